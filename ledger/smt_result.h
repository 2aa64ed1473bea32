/* What an overlay of the state tree is and what its result is made of, shared by smt_overlay.c, which makes results, and
   smt_fold.c, which writes them into the tree. */
#ifndef LEDGER_SMT_RESULT_H
#define LEDGER_SMT_RESULT_H

#include "smt_tree.h"

/* A subtree as an overlay sees it: a node of this or an ancestor's result, or (node NULL) one of the tree. */
struct view_reference { struct result_node *node; uint32_t base; };

struct result_node {
    struct result_node *next;           /* children stand before their parents */
    const struct cl_smt_overlay *owner;
    struct cl_hash hash;
    struct view_reference old;          /* what stood here before */
    union {
        struct { struct view_reference left, right; } inner;
        const struct cl_smt_slot *slot;  /* as long as bucket_count asks for */
        /* of a large overlay: only what changes in the old bucket, and the quarters that change, one behind the other */
        struct { const struct cl_smt_leaf *const *changes; const struct cl_hash *quarters; uint32_t change_count, changed; } thin;
    } is;
    uint32_t placed;                    /* where fold put it in the tree */
    uint8_t bucket_count;               /* 0: an inner node */
    bool is_thin;
};

struct cl_smt_overlay {
    struct cl_smt *tree;
    struct cl_smt_overlay *parent, *children, *sibling;
    struct cl_smt_leaf *changes;
    size_t change_count, change_capacity;
    bool folded, has_result;
    struct view_reference root;
    struct result_node *nodes, **nodes_end;
    const struct cl_smt_leaf **sorted;  /* the changes, for thin buckets */
    size_t sorted_count;
    struct cl_smt_leaf *before;         /* what each of them was before; NULL where the tree does not remember */
    size_t before_count;
    struct arena_block *arena;
    size_t inner_count, bucket_count;   /* that the tree will need beyond those that are replaced */
    uint64_t added;
};

/* Makes the results that are missing, the overlay's own and those of its ancestors. */
CL_MUST_USE enum cl_status smt_result_ensure(struct cl_smt_overlay *overlay);
void smt_result_drop(struct cl_smt_overlay *overlay);
void smt_result_drop_all(struct cl_smt_overlay *top); /* also of all that stand on it */
/* The overlay that comes after `at` when `top` and all that stands on it are walked; NULL at the end. */
struct cl_smt_overlay *smt_next_above(struct cl_smt_overlay *top, struct cl_smt_overlay *at);
/* Takes the overlay from among its parent's children, or from those that stand on the tree. */
void smt_list_remove(struct cl_smt_overlay *overlay);
/* What a thin bucket holds: what the one that it replaces does, with its changes. */
CL_MUST_USE enum cl_status smt_thin_slot(struct cl_smt_slot *out, const struct cl_smt *tree, const struct result_node *node);

/* Of so many nodes the memory is asked for at a time. */
#define SMT_WARM_COUNT 16u

#endif

/* Sparse Merkle tree over the state, shaped as ICS23's SmtSpec checks it, depth 256. Pure: buckets of leaves come and
   go through callbacks. In memory: inner nodes down to buckets of at most CL_SMT_BUCKET_MAX leaves.
   leaf = H(00 || H(key) || H(value)); inner = H(01 || left || right); empty subtree = 32 zero bytes; a subtree of one
   leaf is that leaf's hash; path = bits of H(key), most significant first. */
#ifndef LEDGER_SMT_H
#define LEDGER_SMT_H

#include <stddef.h>

#include "consent/limits.h"
#include "consent/status.h"
#include "consent/types.h"

#define CL_SMT_BUCKET_MAX 16u

/* key_hash = H(tree key). */
struct cl_smt_leaf { uint8_t key_hash[32]; uint8_t leaf_hash[32]; };
void cl_smt_leaf_make(struct cl_smt_leaf *out, const uint8_t key_hash[32], const uint8_t *value, size_t length);

/* What a bucket's slot holds, as it lies in memory: leaves sorted by key_hash, and before them the hashes of its four subtrees
   two levels down, so that a leaf that changes has only its own quarter hashed again. */
#define CL_SMT_QUARTERS 4u
struct cl_smt_slot { struct cl_hash quarters[CL_SMT_QUARTERS]; struct cl_smt_leaf leaves[CL_SMT_BUCKET_MAX]; };
static inline size_t cl_smt_slot_bytes(unsigned count) { return offsetof(struct cl_smt_slot, leaves) + count * sizeof(struct cl_smt_leaf); }
/* Where buckets live: slot numbers are handed out by the tree, dense from 0, and reused. count <= CL_SMT_BUCKET_MAX: so many
   leaves are there. A memory and a scratch-file implementation: ledger/buckets.h. */
struct cl_smt_buckets {
    void *context;
    enum cl_status (*load)(void *context, struct cl_smt_slot *out, uint32_t slot, unsigned count);
    enum cl_status (*save)(void *context, uint32_t slot, const struct cl_smt_slot *in, unsigned count);
    void (*fetch_ahead)(void *context, uint32_t slot); /* soon it will be loaded or saved; changes nothing. Or NULL */
};

struct cl_smt;
CL_MUST_USE enum cl_status cl_smt_new(struct cl_smt **out, const struct cl_smt_buckets *buckets);
void cl_smt_free(struct cl_smt *tree);
/* all: calls run(argument, part) once for each part from 0 to count - 1, in any order, also at the same time on several
   threads, and returns when all have returned. Without it (all NULL) everything is done in turn. Large overlays' roots are
   computed so; buckets.load must then be good for several threads at once while nothing is saved. */
struct cl_smt_spread { void *context; void (*all)(void *context, void (*run)(void *argument, unsigned part), void *argument, unsigned count); };
void cl_smt_set_spread(struct cl_smt *tree, const struct cl_smt_spread *spread);
/* Bulk build from leaves in ascending order of key_hash, once, on a new tree; then finish. CL_E_FORMAT if out of order. */
CL_MUST_USE enum cl_status cl_smt_build_add(struct cl_smt *tree, const struct cl_smt_leaf *leaf);
CL_MUST_USE enum cl_status cl_smt_build_finish(struct cl_smt *tree);
void cl_smt_root(struct cl_hash *out, const struct cl_smt *tree);
uint64_t cl_smt_count(const struct cl_smt *tree);
/* *found: is there a leaf with this key_hash? (Saves a look-up in the store for ids that are new.) */
CL_MUST_USE enum cl_status cl_smt_contains(bool *found, struct cl_smt *tree, const uint8_t key_hash[32]);
/* The same from memory alone: false is certain, true is wrong for one absent key in some 6,000. */
CL_MUST_USE enum cl_status cl_smt_may_contain(bool *found, struct cl_smt *tree, const uint8_t key_hash[32]);
/* Asks for the memory on the way to these keys, all at once, so that looking for them need not wait. Changes nothing. */
void cl_smt_warm(const struct cl_smt *tree, const uint8_t (*key_hashes)[32], size_t count);

/* A set of changed leaves over the tree, or over another overlay (NULL parent: over the tree itself). Blocks that are
   not final, or final without a quorum of cosignatures, stay overlays; several branches may exist at once.
   Overlays of one parent chain must be folded parent first. */
struct cl_smt_overlay;
CL_MUST_USE enum cl_status cl_smt_overlay_new(struct cl_smt_overlay **out, struct cl_smt *tree, struct cl_smt_overlay *parent);
void cl_smt_overlay_free(struct cl_smt_overlay *overlay);
/* Adds or replaces a leaf. Cheap; hashing waits for overlay_root. */
CL_MUST_USE enum cl_status cl_smt_overlay_put(struct cl_smt_overlay *overlay, const struct cl_smt_leaf *leaf);
/* Root with all changes of the chain applied; each touched inner node is hashed once; cached until the next put. */
CL_MUST_USE enum cl_status cl_smt_overlay_root(struct cl_hash *out, struct cl_smt_overlay *overlay);
/* Makes the overlay's changes the tree's. Its parent must be NULL or folded. Reuses the hashes of overlay_root where
   the tree has not changed since. After it, children of this overlay stand on the tree; call overlay_free on it. */
CL_MUST_USE enum cl_status cl_smt_overlay_fold(struct cl_smt_overlay *overlay);

/* From now on overlays note what each leaf that they change was before: 64 bytes each. For the tree as it was, below. */
void cl_smt_remember(struct cl_smt *tree);
/* Of a folded overlay, once: what its changed leaves were before it, each key once; leaf_hash of 32 zero bytes: there was no
   such leaf. NULL where the tree did not remember. The caller frees it. */
struct cl_smt_leaf *cl_smt_overlay_before_take(struct cl_smt_overlay *overlay, size_t *count);

/* The tree as it was before some changes, to prove what was there. Good until the tree changes, then to be freed.
   before: what cl_smt_overlay_before_take gave for all that was folded since, the newest first; of several to one key the
   last counts. From malloc, and taken, whatever comes of it. Hashes each inner node above a change once. */
struct cl_smt_past;
CL_MUST_USE enum cl_status cl_smt_past_take(struct cl_smt_past **out, const struct cl_smt *tree, struct cl_smt_leaf *before, size_t count);
void cl_smt_past_free(struct cl_smt_past *past); /* NULL is fine */
void cl_smt_past_root(struct cl_hash *out, const struct cl_smt_past *past);

/* Proofs, on the tree itself, or on the past. siblings: from the leaf up; *count <= 256. */
struct cl_smt_path { size_t count; struct cl_hash siblings[CL_SMT_DEPTH]; };
/* CL_E_NOT_FOUND where no such leaf exists. */
CL_MUST_USE enum cl_status cl_smt_prove(struct cl_smt_path *out, struct cl_smt_leaf *leaf, const struct cl_smt *tree, const uint8_t key_hash[32]);
CL_MUST_USE enum cl_status cl_smt_past_prove(struct cl_smt_path *out, struct cl_smt_leaf *leaf, const struct cl_smt_past *past, const uint8_t key_hash[32]);
/* The nearest leaves below and above an absent key_hash. CL_E_EXISTS where it is there. */
CL_MUST_USE enum cl_status cl_smt_neighbours(bool *has_left, struct cl_smt_leaf *left, bool *has_right, struct cl_smt_leaf *right,
                                             const struct cl_smt *tree, const uint8_t key_hash[32]);
CL_MUST_USE enum cl_status cl_smt_past_neighbours(bool *has_left, struct cl_smt_leaf *left, bool *has_right, struct cl_smt_leaf *right,
                                                  const struct cl_smt_past *past, const uint8_t key_hash[32]);

/* Verifiers: CL_OK or CL_E_PROOF. value_hash = H(value). */
CL_MUST_USE enum cl_status cl_smt_check_existence(const struct cl_hash *root, const uint8_t key_hash[32], const uint8_t value_hash[32],
                                                  const struct cl_hash *siblings, size_t count);
struct cl_smt_neighbour { const uint8_t *key_hash32, *value_hash32; const struct cl_hash *siblings; size_t count; };
/* Absence: existence of both neighbours (one at an edge, the other NULL), key_hash strictly between, and nothing between. */
CL_MUST_USE enum cl_status cl_smt_check_absence(const struct cl_hash *root, const uint8_t key_hash[32],
                                                const struct cl_smt_neighbour *left, const struct cl_smt_neighbour *right);
#endif

/* What the ledger's files share among themselves. Nobody else includes this. */
#ifndef LEDGER_LEDGER_INTERNAL_H
#define LEDGER_LEDGER_INTERNAL_H

#include "ledger.h"
#include "rules.h"
#include "tables.h"

#include <stdatomic.h>

/* ---- ledger_tables.c: single values in the store */

CL_MUST_USE enum cl_status cl_store_get_key(const struct cl_store *store, struct cl_buffer *out, const struct cl_store_snapshot *snapshot, const struct cl_table_key *key);
/* As above for the tables whose values end in a CRC: it is checked and taken off. CL_E_STORE_CORRUPT. */
CL_MUST_USE enum cl_status cl_store_get_checked(const struct cl_store *store, struct cl_buffer *out, const struct cl_store_snapshot *snapshot, const struct cl_table_key *key);
/* Puts value || crc; scratch is overwritten. */
CL_MUST_USE enum cl_status cl_batch_put_checked(const struct cl_store *store, struct cl_store_batch *batch, struct cl_buffer *scratch, const struct cl_table_key *key, const uint8_t *value, size_t length);
void cl_batch_put_key(const struct cl_store *store, struct cl_store_batch *batch, const struct cl_table_key *key, const void *value, size_t length);

CL_MUST_USE enum cl_status cl_tip_encode(struct cl_buffer *out, const struct cl_tip *tip, uint64_t state_leaves);
/* Of the value without its CRC. CL_E_STORE_CORRUPT. */
CL_MUST_USE enum cl_status cl_tip_decode(struct cl_tip *tip, uint64_t *state_leaves, const uint8_t *data, size_t length);
CL_MUST_USE enum cl_status cl_tip_load(const struct cl_store *store, const struct cl_store_snapshot *snapshot, struct cl_tip *tip, uint64_t *state_leaves);
struct cl_kept_checkpoint { uint64_t size; struct cl_hash root; struct cl_view note; };
/* note borrows from bytes. CL_E_NOT_FOUND where none is kept. */
CL_MUST_USE enum cl_status cl_kept_checkpoint_load(const struct cl_store *store, const struct cl_store_snapshot *snapshot, struct cl_buffer *bytes, struct cl_kept_checkpoint *out);
CL_MUST_USE enum cl_status cl_kept_checkpoint_encode(struct cl_buffer *out, const struct cl_kept_checkpoint *in);
/* Is this a store of ours, of this network, and of a format that we know? CL_E_NOT_FOUND: it is empty. */
CL_MUST_USE enum cl_status cl_store_identify(const struct cl_store *store, const struct cl_network_id *network);
/* A value that has to be there and is not means damage. */
static inline enum cl_status cl_must_exist(enum cl_status status)
{
    return status == CL_E_NOT_FOUND ? CL_E_STORE_CORRUPT : status;
}

/* ---- ledger_map.c: state values by tree key, as one candidate sees and leaves them */

enum cl_map_state { CL_MAP_ABSENT, CL_MAP_READ, CL_MAP_CHANGED };
struct cl_map_entry {
    uint8_t key[32], key_hash[32];
    uint8_t *value;
    uint32_t length, capacity;
    enum cl_map_state state;
    bool is_new;                  /* no block below has it */
};
struct cl_map_block;
struct cl_map {
    struct cl_map_entry *entries; /* in the order in which they came */
    uint32_t count, entries_capacity;
    uint32_t *slots;              /* entry number + 1 and some bits of its key, 0: free; open addressing */
    uint32_t slot_count;          /* a power of two, or 0 */
    struct cl_map_block *block;   /* where values live: they never move */
    uint64_t seed;                /* secret: places keys where nobody who chooses them can foresee; set before use */
};
/* A slot among slot_count (a power of two) for a SHA-256 value. Whoever makes objects or records can choose a few bits of
   their ids by trying nonces; without the seed they could all be made to want one place, and each look-up a walk past
   all of them. (Multiply-shift: the product's upper bits.) */
static inline uint32_t cl_slot_of(const uint8_t hash32[32], uint64_t seed, uint32_t slot_count)
{
    uint64_t bits;
    memcpy(&bits, hash32, sizeof bits);
    return (uint32_t)((bits * (seed | 1)) >> 32) & (slot_count - 1);
}
/* The number of entries is all that undoing needs: values of what is undone stay unused until the map goes. */
struct cl_map_entry *cl_map_find(const struct cl_map *map, const uint8_t key32[32]); /* or NULL */
static inline void cl_map_warm(const struct cl_map *map, const uint8_t key32[32])
{
    if (map->slot_count > 0)
        __builtin_prefetch(&map->slots[cl_slot_of(key32, map->seed, map->slot_count)]);
}
/* Once that memory is there: asks for the entry that the key probably has. */
void cl_map_warm_entry(const struct cl_map *map, const uint8_t key32[32]);
/* The key must be new. Pointers to other entries are void after it. NULL: out of memory. */
struct cl_map_entry *cl_map_insert(struct cl_map *map, const uint8_t key32[32], const uint8_t key_hash32[32]);
CL_MUST_USE enum cl_status cl_map_set(struct cl_map *map, struct cl_map_entry *entry, enum cl_map_state state, const uint8_t *value, size_t length);
/* Forgets the entries from `count` on; only values that were read, never changed ones, may be among them. */
void cl_map_truncate(struct cl_map *map, uint32_t count);
void cl_map_clear(struct cl_map *map); /* keeps its memory */
void cl_map_deinit(struct cl_map *map);

/* ---- ledger_ahead.c: values read before their record's turn */

/* commits: how many since opening; last: for some bits of a key's hash, the newest of them that changed such a key;
   waiting: how much was read ahead and not yet used. */
struct cl_waiting;
struct cl_changes { _Atomic uint32_t commits; uint32_t *last; struct cl_waiting *waiting; };
CL_MUST_USE enum cl_status cl_changes_init(struct cl_changes *changes);
void cl_changes_deinit(struct cl_changes *changes);
/* Owner thread, once the store has the changes. */
void cl_changes_commit(struct cl_changes *changes, const struct cl_map *map);
/* Owner thread; ahead may be NULL. Returns: the key's hash, or NULL where nobody has worked it out. value: what the store
   has for the key; length 0 where that is not known. */
const uint8_t *cl_ahead_find(struct cl_view *value, const struct cl_ahead *ahead, const struct cl_changes *changes, const uint8_t key32[32]);
/* Of the record's entries, as cl_rules_input takes them; NULL: nobody has worked them out. Good as long as ahead is. */
const struct cl_entry_ids *cl_ahead_ids(const struct cl_ahead *ahead);
/* Asks for the memory that the record's keys will be looked for in, all at once. Changes nothing; ahead may be NULL. */
void cl_ahead_warm(const struct cl_ahead *ahead, const struct cl_candidate *candidate); /* nothing where there are too few values to gain by it */
void cl_ahead_free(struct cl_ahead *ahead);

/* ---- ledger_recent.c: values that are waited for, as they were left last */

struct cl_recent;
#define CL_RECENT_BYTES ((size_t)32 << 20) /* some 170,000 offers; pages come as they are touched */
CL_MUST_USE enum cl_status cl_recent_new(struct cl_recent **out, uint64_t seed, size_t size);
void cl_recent_free(struct cl_recent *recent); /* or NULL */
/* Owner thread, for each changed value, once the store has it and before cl_changes_commit. Keeps it or forgets the key.
   is_new: the key had no value before. */
void cl_recent_put(struct cl_recent *recent, const uint8_t key_hash[32], bool is_new, const uint8_t *value, size_t length);
/* Owner thread. Good until the next put; data NULL: it is not here, ask the store. */
struct cl_view cl_recent_get(struct cl_recent *recent, const uint8_t key_hash[32]);
/* Asks for the memory that a key's list begins in, and, called once that is there, for its first entry. */
void cl_recent_warm(const struct cl_recent *recent, const uint8_t key_hash[32]);
void cl_recent_warm_entry(const struct cl_recent *recent, const uint8_t key_hash[32]);
/* [any thread] Probably: is it not worth reading from the store? */
bool cl_recent_may_have(const struct cl_recent *recent, const uint8_t key_hash[32]);

/* ---- ledger_past.c: the last final trees, while checkpoints are behind the tip. Owner thread. */

#define CL_PAST_BLOCKS_MAX 64u
#define CL_PAST_BYTES_MAX ((size_t)16 << 20) /* of leaves: a quarter of a million changed values */
struct cl_past_block { struct cl_tip tip; struct cl_store_snapshot *snapshot; struct cl_smt_leaf *before; size_t before_count; }; /* all of before the block */
struct cl_past {
    bool started;
    struct cl_past_block blocks[CL_PAST_BLOCKS_MAX]; /* the newest without a gap, oldest first */
    size_t count, bytes;
    struct cl_smt_past *tree;     /* at tree_size; made when first needed, good until the next block */
    uint64_t tree_size;
};
/* A checkpoint is kept: from now on what blocks change is remembered, where there are several members. */
void cl_past_start(struct cl_ledger *ledger);
/* The kept checkpoint is of this size now. */
void cl_past_checkpoint(struct cl_ledger *ledger, uint64_t size);
/* Before a block is written. *out NULL: nothing is to be remembered. */
CL_MUST_USE enum cl_status cl_past_snapshot(struct cl_store_snapshot **out, const struct cl_ledger *ledger);
/* The block is written and folded; the ledger's tip is the one before it yet. Takes the snapshot (or NULL). */
void cl_past_add(struct cl_ledger *ledger, struct cl_store_snapshot *snapshot, struct cl_smt_overlay *overlay);
/* What was final at this size, which is not the tip's. tree: good until the next block or checkpoint; it is the ledger's.
   CL_E_PENDING: it is not remembered. */
CL_MUST_USE enum cl_status cl_past_view(struct cl_ledger_view **view, const struct cl_smt_past **tree, struct cl_ledger *ledger, uint64_t size);
void cl_past_deinit(struct cl_ledger *ledger);

/* ---- the ledger itself */

/* The last tile of each level, not yet complete: (log size >> 8 * level) mod 256 hashes of each. */
#define CL_TILE_LEVELS 8u
struct cl_edge { struct cl_hash hashes[CL_TILE_LEVELS][CL_TILE_WIDTH]; };

struct cl_ledger {
    struct cl_store *store;
    struct cl_genesis genesis;
    struct cl_hash member_set;
    struct cl_smt *tree;
    struct cl_log_frontier frontier;
    struct cl_edge edge;
    struct cl_tip tip;
    struct cl_candidate *trial;   /* for cl_ledger_try; reused */
    struct cl_changes changes;
    struct cl_recent *recent;
    struct cl_helper helper;      /* begin NULL: none */
    void (*meanwhile)(void *context); /* NULL: nothing */
    void *meanwhile_context;
    uint64_t seed;                /* of hash tables; drawn at opening, never stored */
    struct cl_past past;
    struct cl_policy *policy;     /* for cl_ledger_proof; made when first needed */
    struct cl_buffer value, scratch;
    enum cl_status failed;        /* once a commit has failed nothing more is done */
};

/* A block that ended within its candidate, because what it made of the state was believed (cl_candidate_next_block). */
struct cl_candidate_part {
    struct cl_buffer state_leaf;
    struct cl_block_id id;
    struct cl_hash log_root;
    uint64_t height, epoch, view, parent_view;
    uint32_t first, end;          /* of the candidate's records */
};

struct cl_candidate {
    struct cl_ledger *ledger;
    struct cl_candidate *parent;  /* counted; NULL: the tip */
    uint32_t references;
    bool sealed, committed, ordinary_seen;
    enum cl_status failed;
    struct cl_block_id base;      /* the block below the first */
    struct cl_state_leaf head;    /* of the last block: filled as it becomes known */
    uint64_t first_index;         /* of the first block's first leaf */
    struct cl_candidate_part *parts; /* blocks before the last: none but where a quorum is believed */
    uint32_t part_count, parts_capacity;
    uint32_t block_first;         /* of the records: the last block's first */
    struct cl_smt_overlay *overlay;
    struct cl_map map;
    const struct cl_ahead *ahead; /* of the record that is being applied */
    uint32_t *changed;            /* once sealed: numbers of the map's changed entries, near enough in the order of key_hash */
    uint32_t changed_count;
    struct cl_ledger_record **records;
    uint32_t *id_slots;           /* record number + 1 by record id, open addressing */
    uint32_t count, capacity, id_slot_count;
    size_t bytes;                 /* of the last block's records */
    struct cl_buffer index;       /* rows for p, T and y: key length:1, key, value length:1, value */
    struct cl_log_frontier frontier; /* after the last block that has ended */
    struct cl_buffer tile_roots;  /* 32 bytes of each tile of leaves that these blocks fill, in their order */
    struct cl_buffer state_leaf;  /* once sealed */
    struct cl_candidate_summary summary;
    struct cl_store_batch *batch; /* its rows, being made or made; NULL: not yet begun */
    struct cl_job rows;           /* begun while batch is not NULL */
    enum cl_status batch_status;
};

/* ledger.c: cl_smt_spread's `all` by owner and helper together, or by the owner alone; context is the ledger. */
void cl_ledger_spread(void *context, void (*run)(void *argument, unsigned part), void *argument, unsigned count);

/* The block below it that is not in the store yet, or NULL. */
const struct cl_candidate *cl_candidate_below(const struct cl_candidate *candidate);
/* Has this id been applied in the candidate's chain or in the final log? CL_OK no, CL_E_REPLAY yes. */
CL_MUST_USE enum cl_status cl_candidate_replay(struct cl_candidate *candidate, const struct cl_record_id *id);

/* Where the candidate's record has its place in the log: state leaves lie between the blocks. */
static inline uint64_t cl_candidate_place(const struct cl_candidate *candidate, uint32_t record)
{
    uint32_t low = 0, high = candidate->part_count; /* the parts that end before it */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (candidate->parts[middle].end <= record)
            low = middle + 1;
        else
            high = middle;
    }
    return candidate->first_index + record + low;
}

/* ledger_commit.c: hands the making of the candidate's rows to the helper, if there is one. All that they are made of is
   there and stays: what was changed, the records, their index rows, the state leaf. */
void cl_candidate_rows_begin(struct cl_candidate *candidate);
void cl_candidate_rows_free(struct cl_candidate *candidate);

/* ---- ledger_view.c */
struct cl_ledger_view {
    const struct cl_store *store;
    struct cl_store_snapshot *snapshot;
    bool snapshot_borrowed;
    struct cl_network_id network;
    struct cl_tip tip;
    struct cl_store_iterator *iterator;  /* made when first needed */
    struct cl_buffer chunk;              /* the chunk last read */
    uint64_t chunk_first, chunk_count;
    uint64_t cursor_index;               /* leaf that begins at cursor_offset within it */
    size_t cursor_offset;
    struct cl_buffer tile;               /* of leaf hashes, the one last read: leaves are mostly read in their order */
    uint64_t tile_number;
    struct cl_buffer value;
};
/* A view of an earlier tip, on a snapshot that outlives it. */
CL_MUST_USE enum cl_status cl_view_new_at(struct cl_ledger_view **out, struct cl_ledger *ledger, const struct cl_tip *tip, struct cl_store_snapshot *snapshot);
void cl_view_log_source(struct cl_log_source *out, struct cl_ledger_view *view);
CL_MUST_USE enum cl_status cl_view_load_edge(struct cl_edge *edge, struct cl_ledger_view *view);

/* ---- ledger_history.c: from an object's head back to its opening */
struct cl_chain {
    struct cl_ledger_view *view;
    uint8_t object[32];
    bool ended;                   /* nothing older */
    uint64_t index;               /* of the present link */
    struct cl_record_id id;
};
/* CL_E_NOT_FOUND: no such object, or one that has no history of its own. */
CL_MUST_USE enum cl_status cl_chain_begin(struct cl_chain *chain, struct cl_ledger_view *view, const uint8_t object32[32]);
CL_MUST_USE enum cl_status cl_chain_back(struct cl_chain *chain);
/* Every record on an object, newest first: the chain, and the entries that it does not tell. */
struct cl_history { struct cl_chain chain; struct cl_store_iterator *iterator; bool aside_ended; uint64_t aside; };
CL_MUST_USE enum cl_status cl_history_begin(struct cl_history *history, struct cl_ledger_view *view, const uint8_t object32[32]);
bool cl_history_ended(const struct cl_history *history);
CL_MUST_USE enum cl_status cl_history_next(struct cl_history *history, uint64_t *log_index); /* where it has not ended */
void cl_history_end(struct cl_history *history); /* also after begin has failed */

#endif

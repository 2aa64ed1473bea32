/* The ledger core: validate -> evaluate on an overlay -> one synced write -> new state. Knows nothing of who ordered.
   One thread (the owner) calls what changes or reads the tree; what is marked [any thread] reads the store only. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "block.h"
#include "consent/proof.h"
#include "consent/record.h"
#include "log.h"
#include "rules.h"
#include "smt.h"
#include "store.h"

struct cl_genesis {
    struct cl_network_id network;   /* H of the document's bytes */
    char origin[CL_ORIGIN_BYTES_MAX + 1];
    uint64_t time_ms;
    struct cl_network value;        /* parameters and members */
};

struct cl_tip {
    uint64_t height, time_ms, log_size, epoch, view; /* view in which the block was final; genesis 0 */
    struct cl_block_id block;
    struct cl_hash log_root, state_root;
};

struct cl_ledger;
/* Creates height 0 in an empty store. */
CL_MUST_USE enum cl_status cl_ledger_create(struct cl_store *store, const struct cl_genesis *genesis);
/* Opens: checks format version and network, loads the frontier, rebuilds the tree from the state leaves, compares
   the root with the last block's. progress may be NULL. The store and buckets stay the caller's.
   Errors: CL_E_STORE_NEWER, CL_E_STORE_OTHER, CL_E_STORE_CORRUPT, CL_E_STORE_IO, CL_E_MEMORY. */
typedef void (*cl_progress_fn)(void *context, const char *what, uint64_t done, uint64_t total);
CL_MUST_USE enum cl_status cl_ledger_open(struct cl_ledger **out, struct cl_store *store, const struct cl_smt_buckets *buckets,
                                          const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context);
void cl_ledger_close(struct cl_ledger *ledger);
/* A second pair of hands for the owner: begin hands over a job and returns at once, jobs are done one after the other in
   that order; finish returns when this one is done, and does it itself where nobody has begun it. Each job that was begun
   is finished before its memory goes. Jobs are: parts of a block's leaf hashes and of its state root, which owner and helper
   take from one pile; the rows of its batch while its roots are computed; its write while the tree is folded. The latter two
   only for a block that changes at least `worth` things: to wake a thread takes time too. Without a helper the owner does
   everything, in turn. Set once, after opening; it must stay good until the ledger is closed. */
struct cl_job { void (*run)(void *argument); void *argument; struct cl_job *next; unsigned state; }; /* next, state: the helper's */
struct cl_helper {
    void *context;
    void (*begin)(void *context, struct cl_job *job);
    void (*finish)(void *context, struct cl_job *job);
    size_t worth;
};
void cl_ledger_set_helper(struct cl_ledger *ledger, const struct cl_helper *helper);
/* Called by cl_ledger_commit, on the owner's thread, while the helper writes the block: a candidate on the one that is being
   committed may be made, filled and sealed. Nothing that rests on the block may be told or signed yet. Without a helper it
   is never called, nor for a block that is not worth it. */
void cl_ledger_set_meanwhile(struct cl_ledger *ledger, void (*meanwhile)(void *context), void *context);
void cl_ledger_tip(const struct cl_ledger *ledger, struct cl_tip *out);
void cl_ledger_frontier(const struct cl_ledger *ledger, struct cl_log_frontier *out); /* the log's, at the tip */

/* A record on its way: decoded once, shared by pool, candidate and feed by counting. bytes are owned. */
struct cl_ahead;
struct cl_ledger_record {
    struct cl_record record;
    uint8_t *bytes;
    uint32_t references, first_heard_from;
    struct cl_ahead *ahead;       /* what was read ahead for it, or NULL */
};
CL_MUST_USE enum cl_status cl_ledger_record_new(struct cl_ledger_record **out, uint32_t *refused_entry, const uint8_t *bytes, size_t length, const struct cl_network_id *network);
void cl_ledger_record_ref(struct cl_ledger_record *record);
void cl_ledger_record_unref(struct cl_ledger_record *record); /* atomic count: any thread */
/* [any thread], once, before the record is shared: reads from the store the state values that its entries name, so that
   evaluating it need not. What it may keep in memory is bounded; where it does nothing, nothing but time is lost. */
void cl_ledger_look_ahead(const struct cl_ledger *ledger, struct cl_ledger_record *record);

/* Would it apply now, on the last final state at time_ms? Cheap; for admission. CL_E_REPLAY if its id was applied. */
CL_MUST_USE enum cl_status cl_ledger_try(struct cl_ledger *ledger, const struct cl_record *record, uint64_t time_ms, uint32_t *refused_entry);

/* A block being evaluated on an overlay over the final tip (parent NULL) or over another sealed candidate. */
struct cl_candidate;
CL_MUST_USE enum cl_status cl_candidate_new(struct cl_candidate **out, struct cl_ledger *ledger, struct cl_candidate *parent, uint64_t time_ms);
/* CL_OK and it is the next leaf; a refusal and the candidate is as before; CL_E_BLOCK_ORDER, CL_E_BLOCK_SIZE. Takes a reference. */
CL_MUST_USE enum cl_status cl_candidate_add(struct cl_candidate *candidate, struct cl_ledger_record *record, uint32_t *refused_entry);
/* These records are about to be added: the memory that they need is asked for, which one after the other would wait for. A
   hint, for some 16 at a time; only what was read ahead for them is known. A record of many entries needs none. */
void cl_candidate_warm(const struct cl_candidate *candidate, struct cl_ledger_record *const *records, size_t count);
size_t cl_candidate_count(const struct cl_candidate *candidate); /* of records, in all of its blocks */
struct cl_candidate_summary { struct cl_block_id id; uint64_t height, time_ms, log_size; struct cl_hash log_root, state_root; };
/* For whoever takes a quorum's word for the state: ends the block so far and goes on with the one after it, of that time, in
   the same candidate, which gets one root, one batch and one write for all of its blocks. What it is believed to be, a
   certificate must prove: its own, or one of a later block. Its records, times and roots of the log are checked against its
   id, its state root is not: the last block's will be, which rests on it. Any error, CL_E_BLOCK_INVALID where the id is
   another: the candidate is of no use any more. */
struct cl_believed_block { struct cl_block_id id; struct cl_hash state_root; uint64_t view, parent_view; };
CL_MUST_USE enum cl_status cl_candidate_next_block(struct cl_candidate *candidate, const struct cl_believed_block *believed, uint64_t time_ms);
/* Computes roots, state leaf and block id, of the last block. No add after it. */
CL_MUST_USE enum cl_status cl_candidate_seal(struct cl_candidate *candidate, struct cl_candidate_summary *out);
struct cl_ledger_record *cl_candidate_record(const struct cl_candidate *candidate, size_t index); /* borrowed */
/* Its parent is final: it keeps the memory of it no longer. */
void cl_candidate_drop_parent(struct cl_candidate *candidate);
/* Whether it still builds on the last final block, perhaps over others; what does not can never be final. */
bool cl_candidate_stands(const struct cl_candidate *candidate);
void cl_candidate_free(struct cl_candidate *candidate); /* NULL is fine; children first */

/* Finality: one WriteBatch with sync: block, certificate, records, indexes, tree leaves, meta. Then the tree. The
   candidate's parent must be the tip. After CL_OK the candidate may be freed (records and events can be read first).
   Any error: the node must stop. Views and certificate are the last block's; it may be empty (a later block's proves it). */
CL_MUST_USE enum cl_status cl_ledger_commit(struct cl_ledger *ledger, struct cl_candidate *candidate, uint64_t view, uint64_t parent_view, const uint8_t *certificate, size_t certificate_length);

/* Withdrawals accepted but not final (records.md rule 5): durable before cl_ledger_withdrawal_keep returns; dropped by
   the commit that includes them. */
CL_MUST_USE enum cl_status cl_ledger_withdrawal_keep(struct cl_ledger *ledger, const struct cl_ledger_record *record);
typedef enum cl_status (*cl_record_fn)(void *context, const uint8_t *bytes, size_t length);
CL_MUST_USE enum cl_status cl_ledger_withdrawals(struct cl_ledger *ledger, cl_record_fn each, void *context);
CL_MUST_USE enum cl_status cl_ledger_withdrawal_drop(struct cl_ledger *ledger, const struct cl_leaf_hash *leaf); /* it turned out not to apply */

/* The newest checkpoint with a quorum (signed note with cosignatures). It may be of an earlier final tree than the tip's.
   Durable with the next block: what it covers is already, and it can be signed anew. CL_E_FORK: smaller than the one that is kept, or not the log after a final block. Of the same size as the
   one that is kept: it takes its place. */
CL_MUST_USE enum cl_status cl_ledger_checkpoint_keep(struct cl_ledger *ledger, uint64_t size, const struct cl_hash *root, const uint8_t *note, size_t length);

/* ---- reads, [any thread]. A view is a snapshot of the store at one final tip; keep it short-lived. */
struct cl_ledger_view;
CL_MUST_USE enum cl_status cl_ledger_view_new(struct cl_ledger_view **out, struct cl_ledger *ledger);
void cl_ledger_view_free(struct cl_ledger_view *view);
CL_MUST_USE enum cl_status cl_view_tip(struct cl_ledger_view *view, struct cl_tip *out);
CL_MUST_USE enum cl_status cl_view_checkpoint(struct cl_ledger_view *view, struct cl_buffer *note); /* CL_E_NOT_FOUND */
CL_MUST_USE enum cl_status cl_view_state(struct cl_ledger_view *view, struct cl_buffer *value, const uint8_t key32[32]);
CL_MUST_USE enum cl_status cl_view_record_place(struct cl_ledger_view *view, uint64_t *log_index, const struct cl_record_id *id);
CL_MUST_USE enum cl_status cl_view_leaf(struct cl_ledger_view *view, struct cl_buffer *bytes, uint64_t log_index); /* record or state leaf */
/* The same as it lies in the store, which has checksums of its own, but not compared with the log's tiles: for those who do
   so themselves, or give it to others who will. Borrowed until the view's next call. */
CL_MUST_USE enum cl_status cl_view_leaf_borrow(struct cl_ledger_view *view, struct cl_view *bytes, uint64_t log_index);
CL_MUST_USE enum cl_status cl_view_block(struct cl_ledger_view *view, struct cl_buffer *stored_block, uint64_t height);
CL_MUST_USE enum cl_status cl_view_block_of(struct cl_ledger_view *view, uint64_t *height, uint64_t log_index);
/* Log indexes of the records on an object: of those before log index `before` (UINT64_MAX: all) the newest `max`, oldest
   first; *more: there are older ones. CL_E_BOUND: more than CL_HISTORY_PASSED_MAX newer ones would have to be passed. */
#define CL_HISTORY_PASSED_MAX 16384u
CL_MUST_USE enum cl_status cl_view_history(struct cl_ledger_view *view, uint64_t *indexes, size_t max, size_t *count, bool *more, const uint8_t object32[32], uint64_t before);
/* Object ids, ascending from cursor (exclusive; NULL: from the start). */
CL_MUST_USE enum cl_status cl_view_party_objects(struct cl_ledger_view *view, struct cl_object_id *out, size_t max, size_t *count, const struct cl_party *party, const struct cl_object_id *cursor);
CL_MUST_USE enum cl_status cl_view_terms(struct cl_ledger_view *view, struct cl_object_id *out, size_t max, size_t *count, const struct cl_object_id *cursor);
/* Log proofs at any size up to the view's. */
CL_MUST_USE enum cl_status cl_view_inclusion(struct cl_ledger_view *view, struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, uint64_t index, uint64_t size);
CL_MUST_USE enum cl_status cl_view_consistency(struct cl_ledger_view *view, struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, uint64_t size1, uint64_t size2);
CL_MUST_USE enum cl_status cl_view_log_root(struct cl_ledger_view *view, struct cl_hash *out, uint64_t size);
/* C2SP tile bytes: level 0..; width 256 or the partial width; CL_E_NOT_FOUND beyond the tree. Entries: 16-bit big-endian length || leaf bytes. */
CL_MUST_USE enum cl_status cl_view_tile(struct cl_ledger_view *view, struct cl_buffer *out, unsigned level, uint64_t number, unsigned width);
CL_MUST_USE enum cl_status cl_view_tile_entries(struct cl_ledger_view *view, struct cl_buffer *out, uint64_t number, unsigned width);

/* Owner thread: the state part of a proof, on the tip's tree. */
CL_MUST_USE enum cl_status cl_ledger_state_proof(struct cl_ledger *ledger, struct cl_buffer *state_proof_cbor, const uint8_t object32[32]);
/* Owner thread: a whole .consent-proof of an object as of the newest kept checkpoint, self-checked before it is handed out.
   The tip may have gone on by up to 64 blocks and 16 MiB of changes since (ledger_past.c), all seen since the ledger was
   opened. CL_E_PENDING: it has gone further, or no checkpoint is kept: a newer one will do. The first proof after a block
   costs what hashing the tree over those changes costs; others cost some look-ups. */
CL_MUST_USE enum cl_status cl_ledger_proof(struct cl_ledger *ledger, struct cl_buffer *proof_file, const uint8_t object32[32]);

/* Offline tools: everything again from the records, in an empty scratch store and buckets of the caller's (on disk, where
   the ledger may be large). CL_E_STORE_CORRUPT with a sentence in detail. */
CL_MUST_USE enum cl_status cl_ledger_check(struct cl_store *store, struct cl_store *scratch, const struct cl_smt_buckets *buckets, const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context, char *detail, size_t detail_size);
/* Rebuilds every index and the state leaves from the blocks; detail tells what was put right, or what could not be. */
CL_MUST_USE enum cl_status cl_ledger_reindex(struct cl_store *store, struct cl_store *scratch, const struct cl_smt_buckets *buckets, const struct cl_genesis *genesis, cl_progress_fn progress, void *progress_context, char *detail, size_t detail_size);

#endif

/* What the parts of the node share: node.c (start, owner loop, stop), node_order.c (carries out what ordering asks),
   node_blocks.c (blocks that are not final), node_build.c (this node's own), node_fetch.c (what they lack), node_recover.c (ordering at start), node_links.c (frames and questions), node_gossip.c (records to and from others), node_submit.c (records on their way in), node_withdraw.c (accepted withdrawals), node_final.c (what follows finality), node_cosign.c (checkpoints), and the HTTP routes. */
#ifndef NODE_NODE_PRIVATE_H
#define NODE_NODE_PRIVATE_H

#include "consensus.h"
#include "http.h"
#include "inbox.h"
#include "mailbox_server.h"
#include "public_server.h"
#include "node.h"
#include "node_backup.h"
#include "pool.h"
#include "helper.h"
#include "transport.h"
#include "verify_pool.h"
#include "vote_recovery.h"
#include "votelog.h"

#include <stdatomic.h>

#define NODE_REFUSALS_KEPT 4096u
#define NODE_EVENTS_MAX 256u      /* of one step's effects: at most two for each block not final */
#define NODE_PENDING_MAX 120u     /* blocks not final, on all branches */
#define NODE_TICK_MS 1000u
#define NODE_PINNED_RECORDS 65536u    /* records asked for because blocks need them; all go when there are too many */
#define NODE_PINNED_BYTES (32u * 1024 * 1024)
#define NODE_BLOCK_ENTRIES 16384u /* a block that we propose is full when it has so many entries */

/* One record that somebody waits for. Whoever makes it gets done called once, by the owner thread, and frees it. */
enum outcome { OUTCOME_NONE, OUTCOME_ACCEPTED, OUTCOME_KNOWN_PENDING, OUTCOME_FINAL, OUTCOME_REFUSED, OUTCOME_STOPPED };
struct submission {
    struct cl_ledger_record *record;  /* a reference */
    bool wait_final;
    bool known;                       /* the node had it already */
    uint64_t deadline_ms;             /* for wait_final: then OUTCOME_ACCEPTED */
    enum outcome outcome;
    enum cl_status status;            /* OUTCOME_REFUSED: why */
    uint32_t entry;
    struct cl_buffer acceptance;      /* of a withdrawal */
    uint64_t accepted_ms;
    void (*done)(struct submission *submission);
    void *context;
    uint64_t covering_size;           /* final: a checkpoint of this size or a larger one covers it */
    struct submission *next;          /* in its pool entry's list */
};

struct refusal { struct cl_record_id id; enum cl_status status; uint32_t entry; };
struct accepted_withdrawal { struct cl_leaf_hash leaf; uint8_t object[32]; uint64_t slots; enum cl_status answer; };
/* A proposed block that is not final. */
struct pending_block {
    struct order_block block;             /* id: what its leader signed, or who asked for it named */
    struct cl_candidate *candidate;       /* NULL: not evaluated, because something is missing */
    struct cl_candidate_summary summary;  /* of the candidate */
    struct cl_buffer proposal;            /* empty: only its id is known */
    size_t record_bytes;                  /* of the candidate's records */
    bool wanted, judged;                  /* ordering waits for CONSENSUS_BLOCK; for a verdict */
    size_t asking, next_peer;             /* who was asked for what is missing, SIZE_MAX: nobody; who will be next */
    bool held;                            /* from the vote log, and ordering was not told */
    size_t giver;                         /* the proposal's */
    bool doubted;                         /* what was said of it did not hold, or did not come */
    uint64_t given_ms;                    /* when the proposal came */
    uint64_t since_ms;                    /* that records are missing; 0: they are not */
    uint64_t asked, ask_from_ms;          /* how often; not before */
};
struct links;
struct gossip_report;
struct node_gossip;
struct cosigning;
struct catching_up;

struct counters {
    atomic_uint_fast64_t submitted, malformed, bad_signature, duplicates, refused, final_records, blocks, checkpoints, bounded,
        withdrawals_accepted, pool_records, pool_bytes, height, log_size, view, commit_us, cosignatures_dropped, forks,
        sync_behind, sync_proven, sync_claimed, sync_records, sync_records_per_s, sync_wrong, sync_unanswered, /* node_sync.c */
        memory_allocated, memory_free; /* of malloc; once a second */
};

struct source_counters { atomic_uint_fast64_t taken, dropped, malformed, bad_signature, duplicates, refused; };

struct node {
    struct node_options options;
    struct node_genesis genesis;
    struct node_keys keys;
    size_t own;                       /* index among the members */
    size_t peer_count;                /* this node and all that it has links with */
    uint64_t epoch;
    uint64_t started_ms;              /* of a clock that nobody sets */
    /* the owner thread's */
    struct cl_store store;
    struct cl_smt_buckets buckets;
    bool store_open, buckets_open;
    struct cl_ledger *ledger;         /* views are any thread's */
    struct consensus *consensus;
    struct votelog *votelog;
    struct pool *pool;
    struct consensus_effects effects;
    struct consensus_event events[NODE_EVENTS_MAX];
    size_t event_count;
    struct pending_block pending[NODE_PENDING_MAX];
    size_t pending_count;
    struct pool *pinned;              /* records that blocks not final need and the pool may not have room for; NULL in a network of one */
    size_t proposal_batches;          /* such records on their way through the workers */
    uint64_t admitted, evaluated_after; /* counts what came that blocks may wait for; where that stood when they were last looked at */
    uint64_t fills;                   /* counts blocks that were filled: a mark in the pool */
    struct cl_block_id nothing_on;    /* nothing to propose on this block */
    uint64_t nothing_after;           /* pool_changes() then */
    uint64_t timers[CONSENSUS_TIMERS]; /* deadlines, UINT64_MAX: not armed */
    uint64_t final_view, current_view;
    struct catching_up *sync;         /* NULL in a network of one */
    bool catching_up;                 /* blocks are known to be final that the ledger lacks: nothing is signed that says "newest" */
    uint64_t heeded_ms[CL_MEMBERS_MAX], heeded_views[CL_MEMBERS_MAX]; /* from when on each member's proposals of views up to this are looked at */
    struct cl_vote proposers[CL_MEMBERS_MAX]; /* each member's newest propose vote, for the proposal that follows it */
    struct pending_block *committing; /* while its block is being written */
    struct pending_block prepared;    /* made meanwhile, on that block; candidate NULL: none */
    struct inbox_list signatures;     /* the lane, taken out before a commit */
    uint64_t synced;                  /* vote log sequence that is durable */
    uint64_t votelog_kept;            /* its size when it was last started anew */
    struct vote_recovery vote_recovery; /* while this member does not know what it signed */
    uint64_t vote_recovery_ask_ms, vote_recovery_said_ms;
    size_t evidence_kept;             /* pieces that are on the disk */
    bool progress;                    /* the last round committed or refused something */
    struct refusal refusals[NODE_REFUSALS_KEPT];
    size_t refusal_next;
    uint64_t last_tick_ms;
    struct submission *finished;      /* final; answered once a kept checkpoint covers it */
    struct cosigning *cosigning;
    /* shared */
    struct inbox inbox;
    struct verify_pool *verify_pool;
    struct helper *helper;            /* the ledger's second pair of hands */
    struct links *links;              /* NULL in a network of one, as transport and gossip */
    struct node_gossip *gossip;
    struct transport *transport;
    struct http_server *http;
    struct api *api;
    struct backup_server *backup;
    struct mailbox_server *mailboxes;
    struct public_server *public_bodies;
    struct node_condition *condition;
    pthread_t owner;
    bool owner_running;
    atomic_bool stopping, failed;
    char failure[512];
    enum cl_status failure_status;
    struct counters counters;
    struct source_counters sources[CL_MEMBERS_MAX];
    atomic_uint_fast64_t votes_barred; /* consensus_report's barred */
    atomic_bool vote_recovery_heard[CL_MEMBERS_MAX];
    pthread_mutex_t room_lock;        /* the two below, and waiting for them */
    pthread_cond_t room_changed;
    struct shares room;               /* let in and not settled */
    pthread_rwlock_t accepted_lock;
    struct accepted_withdrawal *accepted;
    size_t accepted_count, accepted_capacity;
    atomic_size_t accepted_published;
};

uint64_t node_now_ms(void);       /* the wall clock: blocks, records, hellos */
uint64_t node_monotonic_ms(void); /* a clock that nobody sets: ordering, timers */
uint64_t node_uptime_s(const struct node *node);
/* The node cannot go on: the sentence is logged, everything stops. Returns status. */
CL_PRINTF(3, 4) enum cl_status node_fail(struct node *node, enum cl_status status, const char *format, ...);
/* True for what is no refusal but trouble of this machine. */
bool status_is_fatal(enum cl_status status);

/* node_order.c, owner thread. A failure has also stopped the node (node_fail). */
enum cl_status node_drive(struct node *node, const struct consensus_event *event);
void node_push_event(struct node *node, const struct consensus_event *event); /* for the next step, while effects are carried out */
enum cl_status node_run_events(struct node *node);
enum cl_status node_run_effects(struct node *node);
/* Fires timers that are due. Returns: ms until the next. So do the other rounds: each is called once in each turn of the
   owner's loop. */
uint64_t node_order_round(struct node *node, uint64_t now_ms);
/* Blocks up to this one were caught up by height and committed: they are the ledger's tip. */
enum cl_status node_order_final(struct node *node, const struct order_block *block, const struct cl_certificate *certificate);
void node_on_votes(struct node *node, size_t peer, const struct frame *frame);
void node_on_certificates(struct node *node, size_t peer, const struct frame *frame);
void node_on_proposal(struct node *node, size_t peer, const struct frame *frame);

/* node_vote_recovery.c, owner thread */
CL_MUST_USE enum cl_status node_vote_recovery_begin(struct node *node); /* at start, once the vote log was read */
uint64_t node_vote_recovery_round(struct node *node, uint64_t now_ms);
bool node_votes_awaited(const struct node *node); /* it does not know what it signed, and signs no vote and no tree */
void node_on_recovery_question(struct node *node, size_t peer, const struct frame *frame, struct transport_question *question);

/* node_evidence.c, owner thread, but node_evidence_read, which is any thread's */
CL_MUST_USE enum cl_status node_evidence_load(struct node *node); /* at start, into ordering */
enum cl_status node_evidence_keep(struct node *node); /* what is new; a failure has also stopped the node */
/* What is on the disk. Out: *pieces on the heap; path: the file's. */
CL_MUST_USE enum cl_status node_evidence_read(struct consensus_evidence **pieces, size_t *count, const struct node *node, char path[1200]);

/* node_recover.c */
CL_MUST_USE enum cl_status node_recover(struct node *node, char *sentence, size_t sentence_size); /* vote log and consensus at start */

/* node_blocks.c, owner thread. A failure has also stopped the node. */
enum cl_status node_validate(struct node *node, const struct consensus_effect *effect);
enum cl_status node_want(struct node *node, const struct order_block *block); /* CONSENSUS_FETCH */
enum cl_status node_commit_pending(struct node *node, const struct consensus_effect *effect);
/* Tells ordering what it asked about this block, as far as it can be told. */
enum cl_status node_settle_block(struct node *node, struct pending_block *entry);
/* CL_OK: it has its candidate. CL_E_PENDING: something is missing. CL_E_BLOCK_INVALID. Others: node_fail is the caller's. */
CL_MUST_USE enum cl_status node_evaluate(struct node *node, struct pending_block *entry);
/* The leader's proposal with its vote, kept; NULL: another one of that view is, or it is not of this view, or does not
   prove its parent, or there is no room. payload: its bytes. */
struct pending_block *node_hold_proposal(struct node *node, const struct cl_vote *vote, const struct cl_proposal *proposal, const struct cl_view *payload);
/* A proposal of a block that was asked for by its id. Returns: whether it was taken. */
bool node_take_answer(struct node *node, struct pending_block *entry, size_t peer, const struct cl_view *payload);
/* Whoever gave it may have lied about what nobody has. From now on only answers are believed, each time the next member's,
   and no leader, who could go on. */
void node_doubt(struct pending_block *entry);
struct cl_ledger_record *node_record_at_hand(struct node *node, const struct cl_leaf_hash *leaf); /* borrowed; NULL: not here */
/* Out: the leaf hashes, borrowed from the proposal. to_ask: without those that came and are being checked. */
size_t node_missing_records(struct node *node, const struct cl_proposal *proposal, struct cl_view *missing, size_t max, bool to_ask);
struct pending_block *node_pending_find(struct node *node, const struct cl_block_id *id);
bool node_pending_room(struct node *node); /* for one more that is evaluated; pointers to others are void after it */
struct pending_block *node_pending_add(struct node *node, const struct order_block *block); /* likewise */
/* The candidate of a block on the tip that was evaluated here, so that catching up need not do it again; it becomes the
   caller's. */
bool node_order_adopt(struct node *node, const struct cl_block_id *id, struct cl_candidate **candidate, struct cl_candidate_summary *summary);
void node_pending_settle(struct node *node); /* after the tip moved: what does not stand on it goes */
void node_pending_deinit(struct pending_block *pending);
void node_pending_free(struct node *node);
/* Out: the candidate to build on, NULL for the last final block. Returns: whether it is at hand. */
bool node_find_parent(struct node *node, const struct cl_block_id *id, struct cl_candidate **parent, uint64_t *parent_time);
bool node_blocks_full(const struct node *node); /* from now on one record at most */
size_t node_candidate_bytes(const struct cl_candidate *candidate); /* of its records */

/* node_build.c, owner thread. A failure has also stopped the node. */
enum cl_status node_build(struct node *node, const struct consensus_effect *effect);
void node_prepare(void *context);        /* the node: cl_ledger_set_meanwhile */
void node_sweep_pool(struct node *node); /* of an observer: refuses what does not apply */

/* node_fetch.c, owner thread. A failure has also stopped the node. */
uint64_t node_fetch_round(struct node *node, uint64_t now_ms);
void node_take_proposal_records(struct node *node, struct verify_batch *batch);
void node_on_fetch_question(struct node *node, size_t peer, const struct frame *frame, struct transport_question *question);

/* node_links.c. In a network of one all of this does nothing, and node_ask must not be called. */
CL_MUST_USE enum cl_status node_links_start(struct node *node, char *sentence, size_t sentence_size);
void node_links_stop(struct node *node); /* no frame comes or goes any more; what waits in the inbox is run after it */
void node_links_free(struct node *node);
void node_links_round(struct node *node); /* hands over answers */
/* Owner thread. To one peer or TRANSPORT_ALL; what does not fit is dropped: whoever sends repeats what matters. */
void node_send(struct node *node, size_t peer, enum lane lane, enum frame_kind kind, const struct cl_buffer *payload);
void node_flush(struct node *node); /* what was sent goes out now: before all that takes time, and at the end of a round */
/* Items in as many frames as it takes. */
void node_send_list(struct node *node, size_t peer, enum lane lane, enum frame_kind kind, const struct cl_view *items, size_t count);
/* As many of the items as one frame holds. Returns how many; 0: no memory. */
size_t node_list_encode(struct cl_buffer *out, enum frame_kind kind, const struct cl_view *items, size_t count);
/* Owner thread, as answered, which is called once; frame NULL: no answer, else borrowed. CL_E_BOUND: as many
   questions to this peer are open as may be. */
typedef void (*node_answered)(struct node *node, void *context, size_t peer, enum transport_outcome outcome, const struct frame *frame);
CL_MUST_USE enum cl_status node_ask(struct node *node, size_t peer, enum frame_kind kind, const struct cl_buffer *payload, uint32_t limit_ms, node_answered answered, void *context);
uint64_t node_link_drops(const struct node *node, size_t peer); /* frames that the owner had no time for */

/* node_gossip.c, owner thread. In a network of one all of it does nothing, but for the handlers, which are not called. */
CL_MUST_USE enum cl_status node_gossip_start(struct node *node);
void node_gossip_free(struct node *node);
void node_gossip_have(struct node *node, const struct cl_ledger_record *record); /* it entered the pool */
void node_gossip_gone(struct node *node, const struct cl_leaf_hash *leaf);       /* it left the pool, or is final */
bool node_gossip_is_coming(struct node *node, const struct cl_leaf_hash *leaf);  /* it arrived, and its signature is being checked */
void node_gossip_flush(struct node *node); /* before a proposal: whoever gets that has the records, or they are ahead of it */
uint64_t node_gossip_round(struct node *node, uint64_t now_ms);
void node_on_announce(struct node *node, size_t peer, const struct frame *frame);
void node_on_fetch(struct node *node, size_t peer, const struct frame *frame);
void node_on_records(struct node *node, size_t peer, const struct frame *frame);
void node_gossip_counters(struct node *node, struct gossip_report *out); /* any thread */
/* node_sync.c, owner thread but for node_serve_range. In a network of one nothing of it is called. */
CL_MUST_USE enum cl_status node_sync_new(struct node *node);
void node_sync_free(struct node *node);
uint64_t node_sync_round(struct node *node, uint64_t now_ms);
void node_on_status(struct node *node, size_t peer, const struct frame *frame);
/* This peer has a final block of this view that is not here and that consensus cannot get by itself. A hint: it is asked. */
void node_sync_hint(struct node *node, size_t peer, uint64_t view);
void node_sync_lacks(struct node *node, uint64_t view); /* a final block of this view could not be committed: anybody is asked */
bool node_sync_committed(const struct node *node, const struct cl_block_id *id); /* since consensus heard last of what is final */
void node_sync_prepare(struct node *node); /* the next caught-up block, while one is being written */
void node_sync_take(struct node *node, struct verify_batch *batch);
void node_serve_range(struct node *node, size_t peer, const struct frame *frame, struct transport_question *question); /* any thread */

/* node_submit.c */
size_t node_room_records(struct node *node); /* how many more records there is room for, whoever they come from */
/* Any thread. Checks the signature, then goes to the owner; CL_E_BOUND, CL_E_MEMORY: it was not taken and done is not called. */
CL_MUST_USE enum cl_status node_submit(struct node *node, struct submission *submission);
void node_admit_waiting(struct node *node); /* owner thread: what has been verified goes to the pool */
void node_on_verified(void *context, struct verify_batch *batch);     /* worker threads */
/* Owner: to the workers, then node_take_proposal_records. No room is asked for: one question to a peer is open at a time. */
void node_offer_proposal_records(struct node *node, const struct frame *frame, size_t source);
void node_count_bad(struct node *node, size_t source, const struct verify_item *item); /* malformed, or badly signed */
void node_settle_refused(struct node *node, struct pool_entry *entry, enum cl_status status, uint32_t refused_entry);
void node_settle_final(struct node *node, struct cl_ledger_record *record);
void node_finish_submission(struct submission *submission, enum outcome outcome);
void node_stop_list(struct submission **list);                    /* all of them: OUTCOME_STOPPED */
void node_expire_list(struct submission **list, uint64_t now_ms); /* those whose deadline has come: OUTCOME_ACCEPTED */
void node_expire_waiters(struct node *node, uint64_t now_ms);
void node_cancel_waiters(struct node *node);
const struct refusal *node_find_refusal(const struct node *node, const struct cl_record_id *id);

/* node_condition.c */
struct condition;
CL_MUST_USE enum cl_status node_condition_new(struct node *node);
void node_condition_free(struct node *node);
void node_condition_heard(struct node *node, size_t peer, const struct frame *frame); /* owner: a status frame */
void node_condition_take(struct node *node);                                          /* owner, once a second */
void node_condition_read(struct node *node, struct condition *out);                   /* any thread */

/* node_withdraw.c, owner thread; node_check is any thread's */
/* Makes it durable, counts it from now on, and signs for it. A failure to keep it has also stopped the node. */
CL_MUST_USE enum cl_status node_accept_withdrawal(struct node *node, struct submission *submission, struct pool_entry *entry);
/* Says with this member's signature that a withdrawal is durable here: call it once it is. An observer has none to give. */
CL_MUST_USE enum cl_status node_sign_acceptance(struct node *node, struct submission *submission, const struct cl_record *record);
void node_accepted_drop(struct node *node, const struct cl_leaf_hash *leaf);
CL_MUST_USE enum cl_status node_restore_withdrawals(struct node *node); /* at start: back into the pool */

/* node_final.c, owner thread */
CL_MUST_USE enum cl_status node_commit(struct node *node, struct pending_block *pending, const struct cl_certificate *certificate);
/* What this submission waits for is in the final log: answers it at once, or, where it waits for finality, once a kept
   checkpoint covers the tip; at its deadline it is OUTCOME_ACCEPTED. */
void node_finish_final(struct node *node, struct submission *submission);
void node_answer_finished(struct node *node); /* those whom the kept checkpoint covers */
void node_expire_finished(struct node *node, uint64_t now_ms);

/* node_cosign.c, owner thread. A failure has also stopped the node. */
CL_MUST_USE enum cl_status node_cosign_new(struct node *node); /* at start, after the ledger, before ordering */
void node_cosign_free(struct node *node);
/* This node holds a notarization of view, first at wall_ms (0: before it started). */
void node_cosign_notarized(struct node *node, uint64_t view, uint64_t wall_ms);
enum cl_status node_cosign_committed(struct node *node); /* after each block that became the tip */
CL_MUST_USE enum cl_status node_cosign_ensure(struct node *node); /* at start, in a consortium of one: where the kept one is older than the tip */
uint64_t node_cosign_round(struct node *node, uint64_t now_ms);
void node_on_cosignatures(struct node *node, size_t peer, const struct frame *frame);
uint64_t node_cosigned_size(const struct node *node); /* of the kept checkpoint; 0: none */
struct condition;
void node_cosign_describe(const struct node *node, struct condition *out, uint64_t now_ms);

/* api.c */
CL_MUST_USE enum cl_status api_new(struct api **out, struct node *node);
void api_free(struct api *api);
void api_handle(void *context, struct http_request *request);
size_t api_body_max(const char *method, const char *path); /* api_mailbox.c: a body's bound on this path; 0: as everywhere */
#endif

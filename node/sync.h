/* Catching up by height: what to ask of whom, what an answer must be, and whom to believe. Pure: no clock, no sockets;
   questions come out, answers and times go in.

   In two steps. First blocks without their records (headers), which chain by their state leaves: each names the block
   before it, and a block's id commits to its records. What lies at or below a header whose finalization certificate has
   the votes of a quorum is final, whoever sent it. Then the records of those blocks (bodies), each bound to the id that
   is known to be final; several peers are asked at a time, for blocks that follow each other.

   Heights that peers claim are hints: they make this node ask, and nothing else. Whoever claims what he does not deliver
   is asked less and less often; whoever answers with what cannot be true is counted and left alone for a growing while. */
#ifndef NODE_SYNC_H
#define NODE_SYNC_H

#include "frame.h"
#include "ledger.h"

#define SYNC_HEADERS_MAX 1024u              /* heights above the own one that are planned at a time */
#define SYNC_HEADERS_LOW 256u               /* with fewer known to be final, more are asked for */
#define SYNC_CERTIFICATE_EVERY 32u          /* of headers that all have one, every so many and the last are checked and kept */
#define SYNC_BODY_BYTES_MAX (16u * 1024u * 1024u) /* records taken and not yet in the ledger: more only of the lowest block */
#define SYNC_ASKED_MAX 8u                   /* questions open at a time, */
#define SYNC_PEER_ASKED_MAX 6u              /* and to one peer: while it answers one, the next is there */
#define SYNC_LIMIT_MS 5000u                 /* for an answer */
#define SYNC_QUICK_MS 1000u                 /* whoever answers so soon is asked one more at a time; after twice that, half as many */
#define SYNC_PATIENCE_MS 500u               /* a member behind by claim is given this long to get there by itself */
#define SYNC_PAUSE_MS 500u                  /* after a question without an answer; doubles */
#define SYNC_PAUSE_MS_MAX 30000u
#define SYNC_BAN_MS 10000u                  /* after a wrong answer; doubles */
#define SYNC_BAN_MS_MAX 3600000u

/* A correct node has at most so many blocks in a row that only a later one's certificate proves: as many bodies as
   consensus knows at a time. One that caught up leaves no wider gaps than it met. */
#define SYNC_UNPROVEN_MAX 512u
static_assert(SYNC_HEADERS_MAX - SYNC_HEADERS_LOW >= SYNC_UNPROVEN_MAX, "the longest chain to a certificate has room");
static_assert(SYNC_BODY_BYTES_MAX >= CL_BLOCK_BYTES_MAX && SYNC_BODY_BYTES_MAX >= (SYNC_ASKED_MAX + 1) * CL_FRAME_BYTES_MAX, "a block has room, and all answers");

struct sync;
struct sync_config {
    const struct cl_network_id *network; /* borrowed, as members */
    const struct cl_member *members;
    size_t member_count;
    size_t peer_count, own;              /* own: index of this node among the peers, never asked */
    bool observer;                       /* runs no consensus: asks as soon as somebody is ahead at all */
    uint64_t block_bytes_max;
    void *context;
    /* What was taken of this block's records is to be forgotten. */
    void (*forget)(void *context, uint64_t height);
};
CL_MUST_USE enum cl_status sync_new(struct sync **out, const struct sync_config *config, const struct cl_tip *tip);
void sync_free(struct sync *sync); /* NULL is fine; forgets nothing */

/* The ledger has moved, by this or by itself. */
void sync_moved(struct sync *sync, const struct cl_tip *tip);
void sync_heard(struct sync *sync, size_t peer, uint64_t height, uint64_t now_ms); /* a peer says how high it is */
void sync_wanted(struct sync *sync, size_t peer, uint64_t now_ms);                 /* and this one is ahead: ask at once */

struct sync_question { size_t peer, number; struct frame_range_request request; }; /* number: which of those that are open to this peer */
/* The next question to be asked now; call until false. Its answer, or that there is none, must follow. */
bool sync_next(struct sync *sync, struct sync_question *question, uint64_t now_ms);
/* It could not be asked just now (other questions to it are open): nobody is at fault. */
void sync_put_off(struct sync *sync, size_t peer, size_t number, uint64_t until_ms);
/* How long until sync_next may have something although nothing happens; UINT64_MAX: never. */
uint64_t sync_wait_ms(const struct sync *sync, uint64_t now_ms);

/* frame NULL: no answer within the limit; otherwise of kind FRAME_RANGE. *taken: so many of the frame's blocks, from the
   first, whose records are to be kept, in order; they follow on what was taken of them before. A peer that is at fault was
   noted. CL_OK or CL_E_MEMORY. */
struct sync_taken { uint64_t first_height; size_t blocks; uint64_t skipped; }; /* skipped: of each block's records */
CL_MUST_USE enum cl_status sync_answered(struct sync *sync, struct sync_taken *taken, size_t peer, size_t number, const struct frame *frame, uint64_t now_ms);

/* The block after the ledger's last one, if all of its records were taken. Borrowed until the next call that changes anything. */
struct sync_block {
    uint64_t height, view, parent_view, time_ms, records;
    struct cl_block_id id, parent;
    struct cl_hash root_before; /* of the log up to the state leaf */
    struct cl_hash state_root;  /* as the state leaf says */
    struct cl_view certificate; /* checked; empty: a later block's proves it */
};
bool sync_block(const struct sync *sync, size_t further, struct sync_block *out); /* further 1: the one after it, and so on */
/* Are that block's records on their way, or taken but not yet looked at? further: as above. */
bool sync_coming(const struct sync *sync, size_t further);
uint32_t sync_records(const struct sync *sync, uint64_t height); /* of a block that was taken of */
/* Its records do not give its id: whoever sent them is at fault, and they are forgotten and asked for again. */
void sync_refuse(struct sync *sync, uint64_t height, uint64_t now_ms);

struct sync_report {
    bool behind;                     /* blocks are known to be final that the ledger lacks */
    uint64_t height, proven, claimed; /* own; known to be final; the highest that a peer that is not at fault claims */
    uint64_t answers, unanswered, wrong;
};
void sync_report(const struct sync *sync, struct sync_report *out, uint64_t now_ms);
struct sync_peer_report { uint64_t claimed, wrong, unanswered, asked_again_in_ms; };
void sync_peer_report(const struct sync *sync, size_t peer, struct sync_peer_report *out, uint64_t now_ms);

/* ---- the other side (sync_serve.c): any thread, from a snapshot of the ledger */
#define SYNC_SERVED_BLOCKS_MAX 256u /* in one answer */
/* Appends the answer's payload: blocks from first_height on with the records that skip leaves, as many whole ones as a frame
   holds; of the first, where it does not fit whole, as many records as do. No blocks where there is none of that height. CL_OK, CL_E_MEMORY, or the store's trouble. */
CL_MUST_USE enum cl_status sync_serve(struct cl_buffer *out, struct cl_ledger_view *view, const struct frame_range_request *request);

#endif

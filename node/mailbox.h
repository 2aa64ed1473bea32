/* Mailboxes: sealed deliveries that wait here until the holder of a mailbox's key fetches them. A mailbox is one for each
   relationship, known by the hash of a key that is used for nothing else, so that this node learns of nobody who he is.
   Rules and rows only, no clock, threads or sockets: time comes in, one thread at a time calls (mailbox_server.c), and what
   is decided counts once mailboxes_commit has written it. */
#ifndef NODE_MAILBOX_H
#define NODE_MAILBOX_H

#include "store.h"

#define MAILBOX_DELIVERY_BYTES_MAX (300u * 1024)
#define MAILBOX_PAGE_DELIVERIES_MAX 64u
#define MAILBOX_PAGE_BYTES_MAX (512u * 1024) /* of one fetch; but one delivery at least */

/* Numbers are on the wire (formats.cddl "deposited") and never used again for something else. */
enum mailbox_outcome {
    MAILBOX_DONE = 0, MAILBOX_KNOWN = 1, /* these very bytes wait already */ MAILBOX_MORE = 2, /* a part was taken; never an answer to a client */
    MAILBOX_UNKNOWN = 3, MAILBOX_TOO_FAST = 4, MAILBOX_FULL = 5, MAILBOX_NODE_FULL = 6, MAILBOX_NOT_NOW = 7, /* stopping, too much to do, unreachable */
    MAILBOX_FAILED = 8, /* the disk */ MAILBOX_REPLAY = 9 /* the challenge was used */
};
struct mailbox_limits {
    uint64_t mailboxes_max, bytes_max, deliveries_max;          /* of the node */
    uint64_t mailbox_bytes_max, mailbox_deliveries_max;         /* of each mailbox */
    uint64_t deposits_per_s, bytes_per_s, opens_per_s;          /* of each mailbox; of the node; of the node. Four times that at once */
    uint64_t delivery_days, unfetched_days;                     /* then a delivery goes; then a mailbox that nobody fetched from */
};
struct mailbox_time { uint64_t wall_ms, monotonic_ms; };
struct mailbox_report { uint64_t mailboxes, deliveries, bytes, deposited, fetched, deleted, expired, refused; bool failed; };

struct mailboxes;
/* Reads what is there; the store is borrowed and nobody else writes to it, but compaction. CL_E_STORE_*, CL_E_MEMORY. */
CL_MUST_USE enum cl_status mailboxes_new(struct mailboxes **out, struct cl_store *store, const struct mailbox_limits *limits);
void mailboxes_free(struct mailboxes *mailboxes);

/* Each puts what it decides into the write that mailboxes_commit makes. nonce16: time and randomness of the challenge that
   the caller has checked; of one mailbox they only ascend, so a used one is never good again. */
enum mailbox_outcome mailbox_open(struct mailboxes *mailboxes, const uint8_t id32[32], const struct mailbox_time *now);
enum mailbox_outcome mailbox_close(struct mailboxes *mailboxes, uint64_t *deleted, const uint8_t id32[32], const uint8_t nonce16[16], const struct mailbox_time *now);
/* Out: *number, of MAILBOX_DONE and MAILBOX_KNOWN. digest32: SHA-256 of the bytes. */
enum mailbox_outcome mailbox_deposit(struct mailboxes *mailboxes, uint64_t *number, const uint8_t id32[32], struct cl_view bytes, const uint8_t digest32[32], const struct mailbox_time *now);
/* All up to and including this number has arrived and goes. Those that went before are no error. */
enum mailbox_outcome mailbox_acknowledge(struct mailboxes *mailboxes, uint64_t *deleted, const uint8_t id32[32], uint64_t through, const uint8_t nonce16[16], const struct mailbox_time *now);
/* The challenge of a fetch; then mailbox_page, as often as needed. */
enum mailbox_outcome mailbox_enter(struct mailboxes *mailboxes, const uint8_t id32[32], const uint8_t nonce16[16], const struct mailbox_time *now);
/* What has run out of time, a bounded part of it. Returns: whether there is more. */
bool mailboxes_sweep(struct mailboxes *mailboxes, const struct mailbox_time *now);
/* CL_OK, also where there was nothing to write. After a failure nothing that was decided since the last commit counts, and
   all is MAILBOX_FAILED until the store is opened anew. */
CL_MUST_USE enum cl_status mailboxes_commit(struct mailboxes *mailboxes);

struct mailbox_page {
    struct cl_buffer bytes; /* one after the other */
    struct { uint64_t number; uint32_t length; } items[MAILBOX_PAGE_DELIVERIES_MAX];
    size_t count;
    bool more;
};
/* The oldest with a number above after, of what is committed. */
enum mailbox_outcome mailbox_page(struct mailboxes *mailboxes, struct mailbox_page *page, const uint8_t id32[32], uint64_t after, size_t limit);
void mailboxes_report(const struct mailboxes *mailboxes, struct mailbox_report *out);
/* Bytes that were deleted since the last call of mailboxes_compact began, and may still be in the database's files. Any thread. */
uint64_t mailboxes_deleted_bytes(const struct mailboxes *mailboxes);
/* Rewrites the files without them. Any thread; takes its time. */
void mailboxes_compact(struct mailboxes *mailboxes);

#endif

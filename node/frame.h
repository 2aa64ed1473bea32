/* Frames between nodes (ledger/formats.cddl "frames between nodes"): what a frame says it is, and every kind of payload,
   decoded strictly and whole, so that whoever gets a frame need not expect a malformed one. Pure: no clock, no sockets. */
#ifndef NODE_FRAME_H
#define NODE_FRAME_H

#include "block.h"
#include "cbor.h"
#include "mailbox.h"
#include "public_bodies.h"

#define FRAME_VERSION 1u
#define FRAME_NETWORK_BYTES 8u /* of the network id: enough to tell stray frames from bad ones; hellos carry all of it */
/* Items in one frame; refused beyond. */
#define FRAME_VOTES_MAX 1024u
#define FRAME_CERTIFICATES_MAX 64u
#define FRAME_ANNOUNCED_MAX 4096u
#define FRAME_FETCHED_MAX 1024u
#define FRAME_RECORDS_MAX 1024u
#define FRAME_COSIGNATURES_MAX 128u
#define FRAME_DEPOSIT_PART_MAX (192u * 1024)

static_assert(36u + 34u * FRAME_ANNOUNCED_MAX <= CL_FRAME_BYTES_MAX, "a full announcement fits in a frame");

enum frame_kind {
    FRAME_HELLO = 1, FRAME_VOTES = 2, FRAME_CERTIFICATES = 3, FRAME_PROPOSAL = 4, FRAME_ANNOUNCE = 5, FRAME_FETCH = 6,
    FRAME_RECORDS = 7, FRAME_RANGE_REQUEST = 8, FRAME_RANGE = 9, FRAME_COSIGNATURES = 10, FRAME_STATUS = 11,
    FRAME_RECOVERY_QUESTION = 12, FRAME_RECOVERY_ANSWER = 13, FRAME_DEPOSIT = 14, FRAME_DEPOSITED = 15,
    FRAME_PUBLIC_QUESTION = 16, FRAME_PUBLIC_ANSWER = 17
};
struct frame {
    enum frame_kind kind;
    struct cl_view payload; /* within the frame's bytes; of the form that the kind has */
};

/* Puts a frame around a payload. CL_E_BOUND: longer than CL_FRAME_BYTES_MAX; CL_E_MEMORY. */
CL_MUST_USE enum cl_status frame_encode(struct cl_buffer *out, const struct cl_network_id *network, enum frame_kind kind, const uint8_t *payload, size_t length);
/* CL_E_UNSUPPORTED: a kind of a later version, to be counted and dropped. CL_E_NETWORK: another network's. CL_E_MEMORY.
   All else: malformed (CL_E_BOUND, CL_E_VERSION, CL_E_FORMAT, CL_E_VALUE, CL_E_CBOR_*). */
CL_MUST_USE enum cl_status frame_decode(struct frame *out, const struct cl_network_id *network, const uint8_t *data, size_t length);

/* Who opens a pipe, to whom, and when: signed by the sender's vote key. */
struct frame_hello {
    struct cl_network_id network;
    char sender[CL_MEMBER_NAME_BYTES_MAX + 1], receiver[CL_MEMBER_NAME_BYTES_MAX + 1];
    uint64_t time_ms;
    uint8_t signature[64];
};
CL_MUST_USE enum cl_status frame_hello_sign(struct frame_hello *hello, const uint8_t vote_seed32[32]); /* the other fields are set; CL_E_MEMORY */
CL_MUST_USE enum cl_status frame_hello_check(const struct frame_hello *hello, const uint8_t vote32[32]); /* CL_E_SIGNATURE, CL_E_MEMORY */
CL_MUST_USE enum cl_status frame_hello_encode(struct cl_buffer *out, const struct frame_hello *in);
CL_MUST_USE enum cl_status frame_hello_decode(struct frame_hello *out, struct cl_view payload);

/* Lists: of votes and certificates (encoded), of hashes to announce or fetch, of records, of cosignatures. An item is what
   the list carries: a record's bytes, not the byte string around them. */
CL_MUST_USE enum cl_status frame_list_encode(struct cl_buffer *out, enum frame_kind kind, const struct cl_view *items, size_t count);
/* How many items one frame of such a kind holds; 0: it is no list. */
size_t frame_items_max(enum frame_kind kind);
/* Walks the list in a decoded frame of such a kind; each item borrows from it. */
struct frame_items { struct cl_cbor_reader reader; enum frame_kind kind; size_t left; };
void frame_items_init(struct frame_items *items, const struct frame *frame);
bool frame_items_next(struct frame_items *items, struct cl_view *item);

/* skip: how many of each block's records, from its first on, are left out; CL_BLOCK_RECORDS_MAX: all. */
struct frame_range_request { uint64_t first_height, count, skip; };
struct frame_status { uint64_t height, view, final_view; };
struct frame_recovery_question { uint8_t nonce[32]; uint32_t member; };
struct frame_recovery_answer {
    uint8_t nonce[32];
    uint32_t member;
    uint64_t view;
    struct cl_view certificate; /* borrowed; empty: none yet */
    uint8_t signature[64];
};
CL_MUST_USE enum cl_status frame_range_request_encode(struct cl_buffer *out, const struct frame_range_request *in);
CL_MUST_USE enum cl_status frame_range_request_decode(struct frame_range_request *out, struct cl_view payload);
CL_MUST_USE enum cl_status frame_status_encode(struct cl_buffer *out, const struct frame_status *in);
CL_MUST_USE enum cl_status frame_status_decode(struct frame_status *out, struct cl_view payload);
CL_MUST_USE enum cl_status frame_recovery_question_encode(struct cl_buffer *out, const struct frame_recovery_question *in);
CL_MUST_USE enum cl_status frame_recovery_question_decode(struct frame_recovery_question *out, struct cl_view payload);
/* What the answering member's vote key signs, appended; then the whole answer. */
CL_MUST_USE enum cl_status frame_recovery_answer_signed_bytes(struct cl_buffer *out, const struct frame_recovery_answer *in);
CL_MUST_USE enum cl_status frame_recovery_answer_encode(struct cl_buffer *out, const struct frame_recovery_answer *in);
CL_MUST_USE enum cl_status frame_recovery_answer_decode(struct frame_recovery_answer *out, struct cl_view payload);

/* A delivery for a mailbox on the node that is asked, in parts of a frame's size, one question after the other; and what
   became of it. */
struct frame_deposit {
    uint8_t mailbox[32], delivery[32]; /* delivery: SHA-256 of all its bytes */
    uint64_t size, offset;             /* of all; of the part */
    struct cl_view part;               /* borrowed */
};
struct frame_deposited { enum mailbox_outcome outcome; uint64_t number; }; /* number: of what waits there, 0 otherwise */
CL_MUST_USE enum cl_status frame_deposit_encode(struct cl_buffer *out, const struct frame_deposit *in);
CL_MUST_USE enum cl_status frame_deposit_decode(struct frame_deposit *out, struct cl_view payload);
CL_MUST_USE enum cl_status frame_deposited_encode(struct cl_buffer *out, const struct frame_deposited *in);
CL_MUST_USE enum cl_status frame_deposited_decode(struct frame_deposited *out, struct cl_view payload);

/* Public bodies that the node which is asked keeps itself, a page at a time. The answer's items borrow from the payload. */
struct frame_public_question { bool has_after; uint8_t after[32]; };
struct frame_public_answer { size_t count; struct cl_view bodies[PUBLIC_PAGE_BODIES_MAX]; bool more; };
CL_MUST_USE enum cl_status frame_public_question_encode(struct cl_buffer *out, const struct frame_public_question *in);
CL_MUST_USE enum cl_status frame_public_question_decode(struct frame_public_question *out, struct cl_view payload);
CL_MUST_USE enum cl_status frame_public_answer_encode(struct cl_buffer *out, const struct frame_public_answer *in);
CL_MUST_USE enum cl_status frame_public_answer_decode(struct frame_public_answer *out, struct cl_view payload);

/* A range: stored blocks, each with the log's root before its state leaf and with records in the block's order: what skip leaves, of the last block perhaps only the
   first that fit. begin, then add as often as it said. Read in one pass: next goes on behind the records of the block before,
   as far as they were not read. */
struct frame_range_reader { size_t left; struct frame_items records; }; /* records: of the block that next gave, borrowed like all */
CL_MUST_USE enum cl_status frame_range_begin(struct cl_buffer *out, size_t block_count);
CL_MUST_USE enum cl_status frame_range_add(struct cl_buffer *out, struct cl_view stored_block, const struct cl_hash *root_before, const struct cl_view *records, size_t count);
void frame_range_init(struct frame_range_reader *range, const struct frame *frame);
bool frame_range_next(struct frame_range_reader *range, struct cl_view *stored_block, struct cl_hash *root_before);

#endif

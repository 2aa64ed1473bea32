/* The durable journal of what this node has signed: nothing that it voted is counted or leaves before it is here.

   File (formats.cddl "Vote log"): 8 bytes "CLVOTE01", then entries:
   offset size meaning
   0      4    payload length, little-endian
   4      4    CRC-32C of type and payload, little-endian
   8      1    type
   9      n    payload
   The first entry is of type start. */
#ifndef NODE_VOTELOG_H
#define NODE_VOTELOG_H

#include "consent/status.h"
#include "consent/types.h"

#define VOTELOG_PAYLOAD_BYTES_MAX (2u * 1024u * 1024u) /* a proposal of a full block with 64 certificates of 128 votes fits */

enum votelog_type { VOTELOG_PROPOSAL = 1, VOTELOG_VOTE = 2, VOTELOG_RECORD = 3, VOTELOG_CERTIFICATE = 4, VOTELOG_START = 5, VOTELOG_BAR = 6 };
#define VOTELOG_BAR_UNKNOWN UINT64_MAX

#define VOTELOG_TRUNCATE_MB_MAX 128ull /* the setting that bounds the file has this bound: the file is read whole at start */

struct votelog_start {
    struct cl_network_id network;
    uint64_t epoch;
    uint32_t member;
    const uint8_t *vote_key32; /* not in the file: the member's public vote key, borrowed while opening; NULL: unknown */
};
struct votelog;
typedef enum cl_status (*votelog_entry_fn)(void *context, enum votelog_type type, const uint8_t *payload, size_t length);

/* Reads entries of a file's bytes (header included) in order; *good is the length of the good part. CL_OK also where the
   tail is torn: bytes after *good among which there is no vote of this member. CL_E_STORE_CORRUPT: damage with such votes
   after it, or a bad header. CL_E_STORE_NEWER: a later format. vote_key32: to check votes after damage with, or NULL. For
   open, and the fuzzer. */
CL_MUST_USE enum cl_status votelog_scan(size_t *good, struct votelog_start *start, const uint8_t *bytes, size_t length,
                                        const uint8_t *vote_key32, votelog_entry_fn each, void *context);

/* Makes a new one; CL_E_EXISTS where there is a file. sentence: at least 256 bytes, filled on failure. */
CL_MUST_USE enum cl_status votelog_create(const char *path, const struct votelog_start *start, char *sentence, size_t sentence_size);
/* For a member that no longer knows what it signed: in place of what is there, if anything, an empty one that forbids every
   vote (a bar that is not known yet), whole or not at all. What was there is kept beside it as PATH.old. */
CL_MUST_USE enum cl_status votelog_replace(const char *path, const struct votelog_start *start, char *sentence, size_t sentence_size);
/* Opens, calls each for every entry after the start, cuts a torn tail. CL_E_NOT_FOUND, CL_E_STORE_OTHER (another
   network, epoch or member), CL_E_STORE_CORRUPT, CL_E_STORE_NEWER, CL_E_STORE_IO. */
CL_MUST_USE enum cl_status votelog_open(struct votelog **out, const char *path, const struct votelog_start *start, votelog_entry_fn each,
                                        void *context, char *sentence, size_t sentence_size);
void votelog_close(struct votelog *log); /* what was not synced is dropped */
/* The payload of a bar: the view up to which this member must not vote; VOTELOG_BAR_UNKNOWN: it does not know yet. */
CL_MUST_USE enum cl_status votelog_bar_encode(struct cl_buffer *out, uint64_t view);
CL_MUST_USE enum cl_status votelog_bar_decode(uint64_t *view, const uint8_t *payload, size_t length); /* CL_E_STORE_CORRUPT */
/* Appends to memory; votelog_sync writes it out. */
CL_MUST_USE enum cl_status votelog_append(struct votelog *log, enum votelog_type type, const void *payload, size_t length);
/* Write and fdatasync. After a failure every later call fails: the node must stop. CL_E_STORE_IO with errno. */
CL_MUST_USE enum cl_status votelog_sync(struct votelog *log);
/* Bytes in the file. */
uint64_t votelog_size(const struct votelog *log);
/* At finality: a new file that holds the start alone and what was appended since the last sync, renamed into place.
   The caller appends first what must be kept. */
CL_MUST_USE enum cl_status votelog_restart(struct votelog *log);

#endif

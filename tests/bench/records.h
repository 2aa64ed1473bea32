/* Real signed records by the hundred thousand, made by all cores, the same for the same plan: keys and nonces are hashes
   of the plan's series and the record's number, so ids look random and nothing needs to be remembered.
   A stream of records: u32 little-endian length, bytes, and so on. */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include "consent/record.h"
#include "measure.h"

#define BENCH_ENTRIES 64u /* of a bulk record: the most that its types take */
#define BENCH_FRAME_BYTES (256u * 1024u)
#define BENCH_FRAME_RECORDS 1024u

enum bench_kind {
    BENCH_GRANT,           /* offers; single-entry ones are each signed by a key of its own, as are bulk records */
    BENCH_TERMS,           /* standing terms that many may subscribe to, each signed by a key of its own */
    BENCH_SUBSCRIBE_TERMS, /* an organisation subscribes to as many single-entry BENCH_TERMS as the record has entries */
    BENCH_ANSWER_GRANTS    /* an organisation answers as many single-entry BENCH_GRANT */
};
struct bench_plan {
    enum bench_kind kind;
    uint32_t entries;      /* of each record: 1 to 64; an answer's record n is about the offers n x entries and following */
    struct cl_network_id network;
    uint64_t issued_at_ms;
    uint64_t offered_at_ms; /* BENCH_ANSWER_GRANTS: when the offers were issued; their record ids follow from it */
    uint32_t series;       /* another series: other keys, other ids; an answer has the series of its offers */
    uint32_t organisation; /* who subscribes; offers are meant for organisation 0 */
    uint64_t first, count; /* numbers of the records */
};

/* Writes the plan's records to fd in frame-sized pieces, from all cores, in no particular order. */
void bench_records_write(int fd, const struct bench_plan *plan);
/* One record; for benches that need it in hand. */
void bench_record_make(struct cl_buffer *out, struct cl_record_id *id, const struct bench_plan *plan, uint64_t number);
/* The object that entry `entry` of record `number` opens (openings only). */
void bench_object_of(struct cl_object_id *out, const struct bench_plan *plan, uint64_t number, uint32_t entry);
/* A file of the plan's records that is kept between runs and made anew when it is missing, of another plan or older than
   20 days. Sets issued_at_ms to the file's, for plans that answer these records. Returns: an open file descriptor. */
int bench_records_cached(struct bench_plan *plan, const struct bench_context *context, const char *name);

#define BENCH_FILE_HEADER 80 /* bytes before the stream in such a file */

/* Reads a stream; frames of at most 256 KiB and 1,024 records, as a peer would send them. */
struct bench_reader { int fd; uint8_t *buffer; size_t begin, end; bool ended; };
void bench_reader_init(struct bench_reader *reader, int fd);
void bench_reader_deinit(struct bench_reader *reader); /* the descriptor stays the caller's */
/* Views of at most `max` records, good until the next call; 0 at the end. */
size_t bench_reader_next(struct bench_reader *reader, struct cl_view *records, size_t max);

#endif

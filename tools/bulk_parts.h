/* What the parts of `consent subscribe --from LIST` share: the list (bulk_list.c), what is remembered on disk
   (bulk_journal.c), what the node says of the lines (bulk_judge.c), and the run itself (bulk.c). */
#ifndef TOOLS_BULK_PARTS_H
#define TOOLS_BULK_PARTS_H

#include "act.h"

#define LIST_LINES_MAX 1000000u
#define CHUNK_BATCHES 7u /* 448 lines, each with two ids to look up: 896 of the 1,000 that one question takes */
#define CHUNK_LINES (CHUNK_BATCHES * CL_RECORD_ENTRIES_SHORT_MAX)
#define CHUNKS 4u        /* on their way at once */
#define LABEL_SIZE 65u

/* One line of the list on its way. why CL_OK: it is, or goes, into a record. CL_E_ANSWERED: id is the agreement that
   there is. */
struct bulk_item { char label[LABEL_SIZE]; uint8_t terms[32], nonce[16], commitment[32]; uint64_t slots; struct cl_object_id id; enum cl_status why; char state[16]; };
/* 64 lines and the record made of those that can be agreed to. refused: what the node said of the record as a whole. */
struct bulk_batch { size_t first_line, last_line, count; struct bulk_item items[CL_RECORD_ENTRIES_SHORT_MAX]; struct cl_buffer record; enum cl_status refused; };
struct bulk_chunk { size_t count; struct bulk_batch batches[CHUNK_BATCHES]; };

struct bulk_list { FILE *file; bool too_long; size_t line, line_count; struct cl_hash digest; uint8_t (*seen)[16]; size_t seen_size; };
struct bulk_totals { uint64_t agreed, already, refused; };
struct bulk {
    struct context *context;
    struct act_signer signer;
    struct cl_party party;        /* whose answers they are */
    bool has_profile;
    const char *path;
    struct bulk_list list;
    size_t done_line;             /* lines up to this one are settled */
    struct bulk_totals totals;
    int journal, results, refusals;
    char journal_path[3200], results_path[3200], refusals_path[3200];
    struct bulk_chunk *chunks[CHUNKS]; /* oldest first; all CHUNKS are allocated */
    size_t chunk_count;
    uint64_t started_ms, told_ms;
    size_t started_line;
};

/* ---- bulk_list.c */
/* One pass over the file: counts, and takes its digest. */
int list_open(struct bulk *bulk);
void list_close(struct bulk_list *list);
/* The next line that is not empty, no comment and no heading. False at the end. */
bool list_next(struct bulk_list *list, struct bulk_item *item);

/* ---- bulk_journal.c */
int journal_open(struct bulk *bulk); /* reads what an earlier run left; fills chunks, done_line, totals */
int journal_sent(struct bulk *bulk, const struct bulk_chunk *chunk);  /* durable when it returns */
int journal_done(struct bulk *bulk, const struct bulk_chunk *chunk);  /* its lines are listed; durable when it returns */
void journal_close(struct bulk *bulk);

/* ---- bulk_judge.c */
/* Looks up the lines' TERMS, and whether there is an agreement already; fills what an entry needs, or says why not. */
int judge_chunk(struct bulk *bulk, struct bulk_chunk *chunk);
/* What came of the lines that went into final records. */
int judge_outcome(struct bulk *bulk, struct bulk_chunk *chunk);
void chunk_clear(struct bulk_chunk *chunk);

#endif

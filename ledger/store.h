/* A key-value store as a table of functions: store_leveldb.c (the only file that includes leveldb) and store_mem.c
   (tests, with failure injection). The tables inside one store are listed at the top of ledger.c. */
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H

#include "consent/status.h"
#include "consent/types.h"

struct cl_store_batch; /* writes that happen together or not at all */
struct cl_store_iterator;
struct cl_store_snapshot;

struct cl_store {
    void *context;
    /* get: value appended to out (cleared first). CL_E_NOT_FOUND, CL_E_STORE_CORRUPT, CL_E_STORE_IO. snapshot may be NULL. Thread-safe. */
    enum cl_status (*get)(void *context, struct cl_buffer *out, const struct cl_store_snapshot *snapshot, const uint8_t *key, size_t key_length);
    struct cl_store_batch *(*batch_new)(void *context); /* NULL: out of memory */
    void (*batch_put)(struct cl_store_batch *batch, const uint8_t *key, size_t key_length, const uint8_t *value, size_t value_length);
    void (*batch_delete)(struct cl_store_batch *batch, const uint8_t *key, size_t key_length);
    /* All or nothing; durable before it returns if sync. After a failure every later write fails too. */
    enum cl_status (*batch_write)(void *context, struct cl_store_batch *batch, bool sync);
    void (*batch_free)(struct cl_store_batch *batch);
    struct cl_store_snapshot *(*snapshot_new)(void *context);
    void (*snapshot_free)(void *context, struct cl_store_snapshot *snapshot);
    struct cl_store_iterator *(*iterator_new)(void *context, const struct cl_store_snapshot *snapshot);
    void (*iterator_seek)(struct cl_store_iterator *iterator, const uint8_t *key, size_t key_length); /* first key >= */
    void (*iterator_next)(struct cl_store_iterator *iterator);
    void (*iterator_previous)(struct cl_store_iterator *iterator);
    bool (*iterator_valid)(const struct cl_store_iterator *iterator);
    struct cl_view (*iterator_key)(const struct cl_store_iterator *iterator);   /* until the next move */
    struct cl_view (*iterator_value)(const struct cl_store_iterator *iterator);
    enum cl_status (*iterator_status)(const struct cl_store_iterator *iterator); /* check at the end of every scan */
    void (*iterator_free)(struct cl_store_iterator *iterator);
    void (*compact)(void *context);
    uint64_t (*bytes_on_disk)(void *context);
    const char *(*last_error)(void *context); /* the engine's own words on the last failure, for the log */
    void (*close)(void *context);
};

/* Opens or creates (create) a LevelDB under directory. CL_E_STORE_LOCKED, CL_E_STORE_IO, CL_E_STORE_CORRUPT, CL_E_NOT_FOUND.
   error: at least 256 bytes, gets a sentence with the engine's words. */
struct cl_store_options { size_t write_buffer_bytes, cache_bytes, file_bytes; int open_files; bool create, exclusive_create;
    bool unsynced; /* no write is synced: for what is worth nothing before it is whole, and is synced by the caller then */ };
void cl_store_options_default(struct cl_store_options *options);
CL_MUST_USE enum cl_status cl_store_leveldb_open(struct cl_store *out, const char *directory, const struct cl_store_options *options, char *error, size_t error_size);

/* Removes a LevelDB that nobody has open; nothing there is good too. CL_E_STORE_IO, CL_E_STORE_LOCKED. */
CL_MUST_USE enum cl_status cl_store_leveldb_remove(const char *directory, char *error, size_t error_size);

/* In memory, sorted. For tests: every n-th call may be made to fail. */
CL_MUST_USE enum cl_status cl_store_mem_open(struct cl_store *out);
/* The n-th get/write/iterator step from now fails with status (n from 1; 0: none). Calling it also forgets a failed write,
   as closing the store and opening it again would. */
void cl_store_mem_fail_at(struct cl_store *store, uint64_t n, enum cl_status status);

#endif

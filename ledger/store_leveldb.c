/* The store on LevelDB; the only file that includes its header. LevelDB checks every block that it reads; a write that
   failed is the last one; nothing is ever repaired here, because a repair may lose what it cannot read. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <leveldb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consent/record.h"
#include "crypto.h"
#include "store.h"

/* LevelDB maps its tables into memory, and every mapped page that a scan touches counts as the process's own: a start over
   ten million entries would pass any bound on memory. Only its own test hook turns that off, in favour of plain reads; it
   is in the static library, not in the shared one, so it is asked for weakly, by its C++ name. */
extern void leveldb_mmap_limit(int files) __asm__("_ZN7leveldb18EnvPosixTestHelper20SetReadOnlyMMapLimitEi") __attribute__((weak));

/* LevelDB computes its checksums by tables where it was built without another library for them, as Debian's was: it spent
   more on them than on the merging of its tables. The function is the same by its definition; the linker takes this one,
   which uses the processor's instruction, in place of the archive's. */
uint32_t leveldb_crc32c_extend(uint32_t crc, const char *data, size_t length) __asm__("_ZN7leveldb6crc32c6ExtendEjPKcm");
uint32_t leveldb_crc32c_extend(uint32_t crc, const char *data, size_t length)
{
    return cl_crc32c_extend(crc, data, length);
}

/* The engine's words are kept until close, so that a reader's pointer stays good; so many different ones at most. */
#define ERRORS_MAX 64u

struct error_text { struct error_text *next; char words[]; };

struct level_store {
    leveldb_t *database;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_readoptions_t *read_options;
    leveldb_writeoptions_t *write_options, *sync_options;
    char *directory;
    _Atomic(struct cl_store_batch *) spare; /* an empty batch that keeps its memory: a block's is megabytes */
    atomic_bool write_failed;
    atomic_uint error_count;
    _Atomic(struct error_text *) errors; /* newest first */
};

struct cl_store_batch { struct level_store *store; leveldb_writebatch_t *batch; };
struct cl_store_snapshot { const leveldb_snapshot_t *snapshot; leveldb_readoptions_t *read_options; };
struct cl_store_iterator { struct level_store *store; leveldb_iterator_t *iterator; };

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* LevelDB's C interface gives its status as text only. */
static enum cl_status status_of(const char *words)
{
    if (starts_with(words, "Corruption")) return CL_E_STORE_CORRUPT;
    if (starts_with(words, "NotFound")) return CL_E_STORE_CORRUPT; /* a file of the database is gone */
    /* "IO error: lock DIR/LOCK: …": from another process, or from this one */
    if (starts_with(words, "IO error: lock ")) return CL_E_STORE_LOCKED;
    if (starts_with(words, "Invalid argument") && strstr(words, "(create_if_missing is false)") != NULL) return CL_E_NOT_FOUND;
    if (starts_with(words, "Invalid argument") && strstr(words, "(error_if_exists is true)") != NULL) return CL_E_EXISTS;
    return CL_E_STORE_IO;
}

static void keep_error(struct level_store *store, const char *words)
{
    struct error_text *newest = atomic_load(&store->errors), *text;
    if (newest != NULL && strcmp(newest->words, words) == 0) return;
    if (atomic_fetch_add(&store->error_count, 1) >= ERRORS_MAX) return;
    size_t size = strlen(words) + 1;
    text = malloc(sizeof *text + size);
    if (text == NULL) return;
    memcpy(text->words, words, size);
    text->next = newest;
    while (!atomic_compare_exchange_weak(&store->errors, &text->next, text)) continue;
}

/* Takes the engine's message. */
static enum cl_status failed(struct level_store *store, char *words)
{
    enum cl_status status = status_of(words);
    keep_error(store, words);
    leveldb_free(words);
    return status;
}

static enum cl_status level_get(void *context, struct cl_buffer *out, const struct cl_store_snapshot *snapshot, const uint8_t *key, size_t key_length)
{
    struct level_store *store = context;
    char *error = NULL, *value;
    size_t length = 0;
    enum cl_status status;
    out->length = 0;
    value = leveldb_get(store->database, snapshot != NULL ? snapshot->read_options : store->read_options, (const char *)key, key_length, &length, &error);
    if (error != NULL) return failed(store, error);
    if (value == NULL) return CL_E_NOT_FOUND;
    status = cl_buffer_append(out, value, length);
    leveldb_free(value);
    return status;
}

static struct cl_store_batch *level_batch_new(void *context)
{
    struct level_store *store = context;
    struct cl_store_batch *batch = atomic_exchange(&store->spare, NULL);
    if (batch != NULL) return batch;
    batch = malloc(sizeof *batch);
    if (batch == NULL) return NULL;
    batch->store = store;
    batch->batch = leveldb_writebatch_create();
    return batch;
}

static void level_batch_put(struct cl_store_batch *batch, const uint8_t *key, size_t key_length, const uint8_t *value, size_t value_length)
{
    leveldb_writebatch_put(batch->batch, (const char *)key, key_length, (const char *)value, value_length);
}

static void level_batch_delete(struct cl_store_batch *batch, const uint8_t *key, size_t key_length)
{
    leveldb_writebatch_delete(batch->batch, (const char *)key, key_length);
}

static enum cl_status level_batch_write(void *context, struct cl_store_batch *batch, bool sync)
{
    struct level_store *store = context;
    char *error = NULL;
    if (atomic_load(&store->write_failed)) return CL_E_STORE_IO;
    leveldb_write(store->database, sync ? store->sync_options : store->write_options, batch->batch, &error);
    if (error == NULL) return CL_OK;
    /* What is on the disk now is not known: no further write, even if the engine would take it. */
    atomic_store(&store->write_failed, true);
    return failed(store, error);
}

static void batch_destroy(struct cl_store_batch *batch)
{
    if (batch == NULL) return;
    leveldb_writebatch_destroy(batch->batch);
    free(batch);
}

static void level_batch_free(struct cl_store_batch *batch)
{
    if (batch == NULL) return;
    leveldb_writebatch_clear(batch->batch);
    batch_destroy(atomic_exchange(&batch->store->spare, batch));
}

static leveldb_readoptions_t *checked_reads(const leveldb_snapshot_t *snapshot, bool fill_cache)
{
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(options, 1);
    leveldb_readoptions_set_fill_cache(options, fill_cache);
    leveldb_readoptions_set_snapshot(options, snapshot);
    return options;
}

static struct cl_store_snapshot *level_snapshot_new(void *context)
{
    struct level_store *store = context;
    struct cl_store_snapshot *snapshot = malloc(sizeof *snapshot);
    if (snapshot == NULL) return NULL;
    snapshot->snapshot = leveldb_create_snapshot(store->database);
    snapshot->read_options = checked_reads(snapshot->snapshot, true);
    return snapshot;
}

static void level_snapshot_free(void *context, struct cl_store_snapshot *snapshot)
{
    struct level_store *store = context;
    if (snapshot == NULL) return;
    leveldb_readoptions_destroy(snapshot->read_options);
    leveldb_release_snapshot(store->database, snapshot->snapshot);
    free(snapshot);
}

static struct cl_store_iterator *level_iterator_new(void *context, const struct cl_store_snapshot *snapshot)
{
    struct level_store *store = context;
    struct cl_store_iterator *iterator = malloc(sizeof *iterator);
    leveldb_readoptions_t *options;
    if (iterator == NULL) return NULL;
    options = checked_reads(snapshot != NULL ? snapshot->snapshot : NULL, false); /* a scan must not push out what gets use */
    iterator->store = store;
    iterator->iterator = leveldb_create_iterator(store->database, options);
    leveldb_readoptions_destroy(options);
    return iterator;
}

static void level_iterator_seek(struct cl_store_iterator *iterator, const uint8_t *key, size_t key_length)
{
    leveldb_iter_seek(iterator->iterator, (const char *)key, key_length);
}

static void level_iterator_next(struct cl_store_iterator *iterator)
{
    leveldb_iter_next(iterator->iterator);
}

static void level_iterator_previous(struct cl_store_iterator *iterator)
{
    leveldb_iter_prev(iterator->iterator);
}

static bool level_iterator_valid(const struct cl_store_iterator *iterator)
{
    return leveldb_iter_valid(iterator->iterator) != 0;
}

static struct cl_view level_iterator_key(const struct cl_store_iterator *iterator)
{
    size_t length;
    const char *key = leveldb_iter_key(iterator->iterator, &length);
    return (struct cl_view){ (const uint8_t *)key, length };
}

static struct cl_view level_iterator_value(const struct cl_store_iterator *iterator)
{
    size_t length;
    const char *value = leveldb_iter_value(iterator->iterator, &length);
    return (struct cl_view){ (const uint8_t *)value, length };
}

static enum cl_status level_iterator_status(const struct cl_store_iterator *iterator)
{
    char *error = NULL;
    leveldb_iter_get_error(iterator->iterator, &error);
    return error == NULL ? CL_OK : failed(iterator->store, error);
}

static void level_iterator_free(struct cl_store_iterator *iterator)
{
    if (iterator == NULL) return;
    leveldb_iter_destroy(iterator->iterator);
    free(iterator);
}

static void level_compact(void *context)
{
    struct level_store *store = context;
    leveldb_compact_range(store->database, NULL, 0, NULL, 0);
}

static uint64_t level_bytes_on_disk(void *context)
{
    struct level_store *store = context;
    uint64_t bytes = 0;
    DIR *directory = opendir(store->directory);
    if (directory == NULL) return 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct stat file;
        /* a file may go while we look: LevelDB deletes old ones in the background */
        if (fstatat(dirfd(directory), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(file.st_mode)) bytes += (uint64_t)file.st_size;
    }
    closedir(directory);
    return bytes;
}

static const char *level_last_error(void *context)
{
    struct level_store *store = context;
    const struct error_text *newest = atomic_load(&store->errors);
    return newest != NULL ? newest->words : "";
}

/* Also what is half opened. */
static void level_close(void *context)
{
    struct level_store *store = context;
    struct error_text *text = atomic_load(&store->errors);
    batch_destroy(atomic_load(&store->spare));
    if (store->database != NULL) leveldb_close(store->database);
    leveldb_writeoptions_destroy(store->sync_options);
    leveldb_writeoptions_destroy(store->write_options);
    leveldb_readoptions_destroy(store->read_options);
    leveldb_options_destroy(store->options);
    leveldb_filterpolicy_destroy(store->filter);
    leveldb_cache_destroy(store->cache);
    while (text != NULL) {
        struct error_text *next = text->next;
        free(text);
        text = next;
    }
    free(store->directory);
    free(store);
}

void cl_store_options_default(struct cl_store_options *options)
{
    *options = (struct cl_store_options){
        .write_buffer_bytes = 24u << 20, .cache_bytes = 8u << 20, .file_bytes = 8u << 20, .open_files = 256, .create = true, .exclusive_create = false
    };
}

static struct level_store *level_new(const char *directory, const struct cl_store_options *options)
{
    struct level_store *store = calloc(1, sizeof *store);
    if (store == NULL) return NULL;
    store->directory = strdup(directory);
    if (store->directory == NULL) {
        free(store);
        return NULL;
    }
    store->cache = leveldb_cache_create_lru(options->cache_bytes);
    store->filter = leveldb_filterpolicy_create_bloom(10);
    store->read_options = checked_reads(NULL, true);
    store->write_options = leveldb_writeoptions_create();
    store->sync_options = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(store->sync_options, !options->unsynced);
    store->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(store->options, options->create || options->exclusive_create);
    leveldb_options_set_error_if_exists(store->options, options->exclusive_create);
    leveldb_options_set_paranoid_checks(store->options, 1);
    leveldb_options_set_write_buffer_size(store->options, options->write_buffer_bytes);
    leveldb_options_set_max_file_size(store->options, options->file_bytes);
    leveldb_options_set_max_open_files(store->options, options->open_files);
    leveldb_options_set_cache(store->options, store->cache);
    leveldb_options_set_filter_policy(store->options, store->filter);
    leveldb_options_set_compression(store->options, leveldb_no_compression); /* hashes and signatures do not shrink */
    return store;
}

static bool sync_directory(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good;
    if (descriptor < 0) return false;
    good = fsync(descriptor) == 0;
    close(descriptor);
    return good;
}

/* A directory is only there for good once the one that names it is synced as well. */
static bool sync_with_parent(const char *directory)
{
    char *parent;
    bool good;
    if (!sync_directory(directory) || asprintf(&parent, "%s/..", directory) < 0) return false;
    good = sync_directory(parent);
    free(parent);
    return good;
}

/* LevelDB takes a directory without CURRENT for a new one, and would then delete the tables that it finds there. */
static bool lost_its_head(const char *directory)
{
    bool current = false, content = false;
    DIR *entries = opendir(directory);
    if (entries == NULL) return false;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        struct stat file;
        const char *dot = strrchr(entry->d_name, '.');
        if (strcmp(entry->d_name, "CURRENT") == 0) current = true;
        if (dot == NULL || (strcmp(dot, ".ldb") != 0 && strcmp(dot, ".log") != 0)) continue;
        if (fstatat(dirfd(entries), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0 && file.st_size > 0) content = true;
    }
    closedir(entries);
    return content && !current;
}

/* Before main, because LevelDB refuses it by an assertion once anything in the process has used it. */
__attribute__((constructor)) static void prefer_plain_reads(void)
{
    if (leveldb_mmap_limit != NULL) leveldb_mmap_limit(0);
}

static const struct cl_store level_functions = {
    .get = level_get,
    .batch_new = level_batch_new,
    .batch_put = level_batch_put,
    .batch_delete = level_batch_delete,
    .batch_write = level_batch_write,
    .batch_free = level_batch_free,
    .snapshot_new = level_snapshot_new,
    .snapshot_free = level_snapshot_free,
    .iterator_new = level_iterator_new,
    .iterator_seek = level_iterator_seek,
    .iterator_next = level_iterator_next,
    .iterator_previous = level_iterator_previous,
    .iterator_valid = level_iterator_valid,
    .iterator_key = level_iterator_key,
    .iterator_value = level_iterator_value,
    .iterator_status = level_iterator_status,
    .iterator_free = level_iterator_free,
    .compact = level_compact,
    .bytes_on_disk = level_bytes_on_disk,
    .last_error = level_last_error,
    .close = level_close,
};

enum cl_status cl_store_leveldb_open(struct cl_store *out, const char *directory, const struct cl_store_options *options, char *error, size_t error_size)
{
    struct level_store *store = level_new(directory, options);
    char *words = NULL;
    enum cl_status status;
    if (error_size > 0) error[0] = 0;
    if (store == NULL) {
        (void)snprintf(error, error_size, "%s", cl_status_sentence(CL_E_MEMORY));
        return CL_E_MEMORY;
    }
    if (lost_its_head(directory)) {
        (void)snprintf(error, error_size, "The database's file CURRENT is gone, and without it nothing else in its directory can be read: restore a backup, or fetch the blocks from a peer again.");
        level_close(store);
        return CL_E_STORE_CORRUPT;
    }
    store->database = leveldb_open(store->options, directory, &words);
    if (words != NULL) {
        status = status_of(words);
        if (starts_with(words, "NotFound")) status = options->create || options->exclusive_create ? CL_E_STORE_IO : CL_E_NOT_FOUND; /* no such directory */
        (void)snprintf(error, error_size, "%s LevelDB says: %s", cl_status_sentence(status), words);
        leveldb_free(words);
        level_close(store);
        return status;
    }
    if ((options->create || options->exclusive_create) && !sync_with_parent(directory)) {
        (void)snprintf(error, error_size, "%s Syncing %s: %s", cl_status_sentence(CL_E_STORE_IO), directory, strerror(errno));
        level_close(store);
        return CL_E_STORE_IO;
    }
    *out = level_functions;
    out->context = store;
    return CL_OK;
}

enum cl_status cl_store_leveldb_remove(const char *directory, char *error, size_t error_size)
{
    leveldb_options_t *options = leveldb_options_create();
    char *words = NULL;
    enum cl_status status = CL_OK;
    if (error_size > 0) error[0] = 0;
    leveldb_destroy_db(options, directory, &words);
    if (words != NULL) {
        status = status_of(words);
        (void)snprintf(error, error_size, "%s LevelDB says: %s", cl_status_sentence(status), words);
        leveldb_free(words);
    }
    leveldb_options_destroy(options);
    return status;
}

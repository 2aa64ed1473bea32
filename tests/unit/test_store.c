/* Both stores do the same for the same calls; LevelDB's is durable, locked, and notices damage and failing writes;
   the one in memory fails where a test asks it to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "consent/record.h"
#include "store.h"

/* ---- a directory for each test, and short words for the calls */
static char directory[64];

static int directory_new(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/consent-store-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int directory_remove(void **state)
{
    DIR *listing = opendir(directory);
    (void)state;
    if (listing == NULL) return 1;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        (void)unlinkat(dirfd(listing), entry->d_name, 0);
        (void)unlinkat(dirfd(listing), entry->d_name, AT_REMOVEDIR);
    }
    closedir(listing);
    return rmdir(directory);
}

static enum cl_status open_with(struct cl_store *store, bool create, bool exclusive, char error[256])
{
    struct cl_store_options options;
    cl_store_options_default(&options);
    options.create = create;
    options.exclusive_create = exclusive;
    return cl_store_leveldb_open(store, directory, &options, error, 256);
}

static void open_level(struct cl_store *store)
{
    char error[256];
    if (open_with(store, true, false, error) != CL_OK) fail_msg("%s", error);
}

static enum cl_status write_one(struct cl_store *store, const char *key, const char *value)
{
    struct cl_store_batch *batch = store->batch_new(store->context);
    enum cl_status status;
    assert_non_null(batch);
    if (value != NULL) store->batch_put(batch, (const uint8_t *)key, strlen(key), (const uint8_t *)value, strlen(value));
    else store->batch_delete(batch, (const uint8_t *)key, strlen(key));
    status = store->batch_write(store->context, batch, true);
    store->batch_free(batch);
    return status;
}

static void put(struct cl_store *store, const char *key, const char *value)
{
    assert_int_equal(write_one(store, key, value), CL_OK);
}

static void expect(struct cl_store *store, const struct cl_store_snapshot *snapshot, const char *key, const char *value)
{
    struct cl_buffer buffer = { 0 };
    assert_int_equal(cl_buffer_append(&buffer, "old", 3), CL_OK);
    assert_int_equal(store->get(store->context, &buffer, snapshot, (const uint8_t *)key, strlen(key)), value == NULL ? CL_E_NOT_FOUND : CL_OK);
    if (value != NULL) {
        assert_int_equal(buffer.length, strlen(value));
        assert_memory_equal(buffer.data, value, buffer.length);
    }
    cl_buffer_deinit(&buffer);
}

static void expect_at(struct cl_store *store, const struct cl_store_iterator *iterator, const char *key, const char *value)
{
    struct cl_view view;
    assert_true(store->iterator_valid(iterator));
    view = store->iterator_key(iterator);
    assert_int_equal(view.length, strlen(key));
    assert_memory_equal(view.data, key, view.length);
    view = store->iterator_value(iterator);
    assert_int_equal(view.length, strlen(value));
    assert_memory_equal(view.data, value, view.length);
}

/* ---- what both do */

static void gives_back_what_was_put(struct cl_store *store)
{
    expect(store, NULL, "a", NULL);
    put(store, "a", "1");
    put(store, "b", "");
    put(store, "a", "2");
    put(store, "", "the empty key");
    expect(store, NULL, "a", "2");
    expect(store, NULL, "b", "");
    expect(store, NULL, "", "the empty key");
    put(store, "a", NULL);
    put(store, "absent", NULL);
    expect(store, NULL, "a", NULL);
    expect(store, NULL, "b", "");
}

static void snapshots_stand_still(struct cl_store *store)
{
    struct cl_store_snapshot *snapshot;
    struct cl_store_iterator *iterator;
    put(store, "k1", "old");
    put(store, "k2", "old");
    snapshot = store->snapshot_new(store->context);
    assert_non_null(snapshot);
    put(store, "k1", "new");
    put(store, "k2", NULL);
    put(store, "k3", "new");
    expect(store, snapshot, "k1", "old");
    expect(store, snapshot, "k2", "old");
    expect(store, snapshot, "k3", NULL);
    expect(store, NULL, "k1", "new");
    iterator = store->iterator_new(store->context, snapshot);
    store->iterator_seek(iterator, (const uint8_t *)"k", 1);
    expect_at(store, iterator, "k1", "old");
    store->iterator_next(iterator);
    expect_at(store, iterator, "k2", "old");
    store->iterator_next(iterator);
    assert_false(store->iterator_valid(iterator));
    assert_int_equal(store->iterator_status(iterator), CL_OK);
    store->iterator_free(iterator);
    store->snapshot_free(store->context, snapshot);
}

static void iterates_in_the_order_of_bytes(struct cl_store *store)
{
    static const char *const keys[] = { "a", "aa", "ab", "b", "\x7f", "\x80", "\xff" };
    struct cl_store_iterator *iterator;
    for (size_t i = 0; i < 7; i++) put(store, keys[(i * 3) % 7], keys[(i * 3) % 7]);
    iterator = store->iterator_new(store->context, NULL);
    assert_non_null(iterator);
    store->iterator_seek(iterator, NULL, 0);
    put(store, "aaa", "later"); /* not for an iterator that is there already */
    for (size_t i = 0; i < 7; i++, store->iterator_next(iterator)) expect_at(store, iterator, keys[i], keys[i]);
    assert_false(store->iterator_valid(iterator));
    store->iterator_seek(iterator, (const uint8_t *)"\xff", 1);
    for (size_t i = 7; i-- > 0; store->iterator_previous(iterator)) expect_at(store, iterator, keys[i], keys[i]);
    assert_false(store->iterator_valid(iterator));
    store->iterator_seek(iterator, (const uint8_t *)"ac", 2);
    expect_at(store, iterator, "b", "b");
    assert_int_equal(store->iterator_status(iterator), CL_OK);
    store->iterator_free(iterator);
}

/* Random puts and deletes of few keys against a plain table. */
static void agrees_with_a_plain_table(struct cl_store *store)
{
    unsigned values[64] = { 0 };
    uint32_t random = 7;
    char key[16], value[16];
    for (unsigned turn = 1; turn < 800; turn++) {
        struct cl_store_batch *batch = store->batch_new(store->context);
        for (unsigned i = 0; i < turn % 7; i++) {
            random = random * 1664525 + 1013904223;
            unsigned at = random >> 26;
            (void)snprintf(key, sizeof key, "table%02u", at);
            (void)snprintf(value, sizeof value, "%u", turn);
            values[at] = (random >> 20 & 3) == 0 ? 0 : turn;
            if (values[at] == 0) store->batch_delete(batch, (const uint8_t *)key, strlen(key));
            else store->batch_put(batch, (const uint8_t *)key, strlen(key), (const uint8_t *)value, strlen(value));
        }
        assert_int_equal(store->batch_write(store->context, batch, false), CL_OK);
        store->batch_free(batch);
    }
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    store->iterator_seek(iterator, (const uint8_t *)"table", 5);
    for (unsigned at = 0; at < 64; at++) {
        (void)snprintf(key, sizeof key, "table%02u", at);
        (void)snprintf(value, sizeof value, "%u", values[at]);
        expect(store, NULL, key, values[at] == 0 ? NULL : value);
        if (values[at] == 0) continue;
        expect_at(store, iterator, key, value);
        store->iterator_next(iterator);
    }
    assert_false(store->iterator_valid(iterator));
    store->iterator_free(iterator);
}

static void both(void (*claim)(struct cl_store *store))
{
    struct cl_store store;
    assert_int_equal(cl_store_mem_open(&store), CL_OK);
    claim(&store);
    store.close(store.context);
    open_level(&store);
    claim(&store);
    store.close(store.context);
}

static void both_give_back_what_was_put(void **state) { (void)state; both(gives_back_what_was_put); }
static void both_keep_snapshots_still(void **state) { (void)state; both(snapshots_stand_still); }
static void both_iterate_in_the_order_of_bytes(void **state) { (void)state; both(iterates_in_the_order_of_bytes); }
static void both_agree_with_a_plain_table(void **state) { (void)state; both(agrees_with_a_plain_table); }

/* ---- LevelDB */

static void what_was_synced_is_there_after_a_kill(void **state)
{
    struct cl_store store;
    int result;
    pid_t child;
    (void)state;
    child = fork();
    if (child == 0) {
        struct cl_store_options options;
        char error[256];
        cl_store_options_default(&options);
        if (cl_store_leveldb_open(&store, directory, &options, error, sizeof error) != CL_OK) _exit(1);
        if (write_one(&store, "kept", "yes") != CL_OK) _exit(1);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    open_level(&store);
    expect(&store, NULL, "kept", "yes");
    assert_true(store.bytes_on_disk(store.context) > 0);
    store.close(store.context);
}

static void creating_is_asked_for(void **state)
{
    struct cl_store store;
    char error[256];
    (void)state;
    assert_int_equal(open_with(&store, false, false, error), CL_E_NOT_FOUND);
    assert_true(strlen(error) > 0);
    assert_int_equal(open_with(&store, true, true, error), CL_OK);
    store.close(store.context);
    assert_int_equal(open_with(&store, true, true, error), CL_E_EXISTS);
    assert_int_equal(open_with(&store, false, false, error), CL_OK);
    store.close(store.context);
}

static void a_second_opening_in_this_process_is_refused(void **state)
{
    struct cl_store store, second;
    char error[256];
    (void)state;
    open_level(&store);
    assert_int_equal(open_with(&second, true, false, error), CL_E_STORE_LOCKED);
    assert_non_null(strstr(error, "Another process"));
    put(&store, "still", "works");
    store.close(store.context);
    open_level(&store);
    store.close(store.context);
}

static void a_second_process_is_refused(void **state)
{
    struct cl_store store;
    char error[256], byte = 0;
    int ready[2], done[2], result;
    pid_t child;
    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    child = fork();
    if (child == 0) {
        close(done[1]);
        byte = open_with(&store, true, false, error) == CL_OK ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1) _exit(1);
        _exit(read(done[0], &byte, 1) == 0 ? 0 : 1); /* holds the lock until the other end closes */
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(open_with(&store, true, false, error), CL_E_STORE_LOCKED);
    close(done[1]);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    open_level(&store);
    store.close(store.context);
    close(ready[0]);
    close(ready[1]);
}

static void fill(struct cl_store *store, unsigned count)
{
    struct cl_store_batch *batch = store->batch_new(store->context);
    for (unsigned i = 0; i < count; i++) {
        uint8_t key[4] = { 'k', (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }, value[200];
        for (unsigned j = 0; j < sizeof value; j++) value[j] = (uint8_t)(i * 7 + j * 13);
        store->batch_put(batch, key, sizeof key, value, sizeof value);
    }
    assert_int_equal(store->batch_write(store->context, batch, true), CL_OK);
    store->batch_free(batch);
}

/* Flips one byte at a part (0 to 15 sixteenths) of every file with this ending; returns how many. */
static unsigned flip(const char *ending, unsigned sixteenth)
{
    DIR *listing = opendir(directory);
    unsigned flipped = 0;
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        struct stat file;
        uint8_t byte;
        int descriptor;
        if (dot == NULL || strcmp(dot, ending) != 0) continue;
        descriptor = openat(dirfd(listing), entry->d_name, O_RDWR);
        assert_true(descriptor >= 0 && fstat(descriptor, &file) == 0);
        off_t at = file.st_size * sixteenth / 16;
        if (file.st_size > 0) {
            assert_int_equal(pread(descriptor, &byte, 1, at), 1);
            byte ^= 0x10;
            assert_int_equal(pwrite(descriptor, &byte, 1, at), 1);
            flipped++;
        }
        close(descriptor);
    }
    closedir(listing);
    return flipped;
}

static void a_flipped_byte_in_a_table_is_noticed(void **state)
{
    (void)state;
    for (unsigned part = 0; part < 16; part += 3) {
        struct cl_store store;
        char error[256];
        unsigned corrupt = 0;
        open_level(&store);
        fill(&store, 2000);
        store.compact(store.context);
        store.close(store.context);
        assert_true(flip(".ldb", part) > 0);
        if (open_with(&store, true, false, error) != CL_OK) fail_msg("%s", error);
        for (unsigned i = 0; i < 2000; i++) {
            uint8_t key[4] = { 'k', 0, (uint8_t)(i >> 8), (uint8_t)i };
            struct cl_buffer buffer = { 0 };
            enum cl_status status = store.get(store.context, &buffer, NULL, key, sizeof key);
            assert_true(status == CL_OK || status == CL_E_STORE_CORRUPT);
            if (status == CL_OK) assert_int_equal(buffer.data[0], (uint8_t)(i * 7));
            else corrupt++;
            cl_buffer_deinit(&buffer);
        }
        assert_true(corrupt > 0);
        assert_non_null(strstr(store.last_error(store.context), "Corruption"));
        struct cl_store_iterator *iterator = store.iterator_new(store.context, NULL);
        unsigned seen = 0;
        for (store.iterator_seek(iterator, NULL, 0); store.iterator_valid(iterator); store.iterator_next(iterator)) seen++;
        assert_int_equal(store.iterator_status(iterator), CL_E_STORE_CORRUPT);
        assert_true(seen < 2000);
        store.iterator_free(iterator);
        store.close(store.context);
        assert_int_equal(directory_remove(state), 0);
        assert_int_equal(mkdir(directory, 0700), 0);
    }
}

static void a_flipped_byte_in_the_journal_is_noticed_at_opening(void **state)
{
    struct cl_store store;
    char error[256];
    (void)state;
    open_level(&store);
    for (unsigned i = 0; i < 3; i++) fill(&store, 500);
    store.close(store.context);
    assert_true(flip(".log", 4) > 0);
    assert_int_equal(open_with(&store, true, false, error), CL_E_STORE_CORRUPT);
    assert_non_null(strstr(error, "reindex"));
}

/* Root passes every permission, so the disk is made to refuse by a limit on the size of files. */
static void after_a_failed_write_every_later_write_fails(void **state)
{
    struct cl_store store;
    struct rlimit limit, before;
    (void)state;
    open_level(&store);
    put(&store, "before", "1");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum cl_status status = CL_OK;
    for (unsigned i = 0; i < 200 && status == CL_OK; i++) status = write_one(&store, "filler", "sixty-four bytes of nothing in particular, so that it is soon full");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, CL_E_STORE_IO);
    assert_non_null(strstr(store.last_error(store.context), "IO error"));
    assert_int_equal(write_one(&store, "after", "space is back, but nobody knows what was written"), CL_E_STORE_IO);
    expect(&store, NULL, "before", "1");
    store.close(store.context);
    open_level(&store); /* starting again is what helps */
    expect(&store, NULL, "before", "1");
    expect(&store, NULL, "after", NULL);
    put(&store, "after", "2");
    store.close(store.context);
}

static void a_directory_that_cannot_be_made_is_told(void **state)
{
    struct cl_store_options options;
    struct cl_store store;
    char error[256];
    (void)state;
    cl_store_options_default(&options);
    assert_int_equal(cl_store_leveldb_open(&store, "/proc/consent-store", &options, error, sizeof error), CL_E_STORE_IO);
    assert_non_null(strstr(error, "check space, permissions and the disk"));
}

/* ---- in memory */

static void memory_fails_where_asked_and_only_there(void **state)
{
    struct cl_store store;
    struct cl_buffer buffer = { 0 };
    struct cl_store_iterator *iterator;
    (void)state;
    assert_int_equal(cl_store_mem_open(&store), CL_OK);
    put(&store, "a", "1");
    put(&store, "b", "2");
    cl_store_mem_fail_at(&store, 2, CL_E_STORE_CORRUPT);
    expect(&store, NULL, "a", "1");
    assert_int_equal(store.get(store.context, &buffer, NULL, (const uint8_t *)"a", 1), CL_E_STORE_CORRUPT);
    expect(&store, NULL, "a", "1");
    cl_store_mem_fail_at(&store, 2, CL_E_STORE_IO);
    iterator = store.iterator_new(store.context, NULL);
    store.iterator_seek(iterator, NULL, 0);
    expect_at(&store, iterator, "a", "1");
    store.iterator_next(iterator);
    assert_false(store.iterator_valid(iterator));
    assert_int_equal(store.iterator_status(iterator), CL_E_STORE_IO);
    store.iterator_free(iterator);
    cl_buffer_deinit(&buffer);
    store.close(store.context);
}

static void a_failed_batch_in_memory_changes_nothing_and_is_the_last(void **state)
{
    struct cl_store store;
    struct cl_store_batch *batch;
    (void)state;
    assert_int_equal(cl_store_mem_open(&store), CL_OK);
    put(&store, "a", "1");
    cl_store_mem_fail_at(&store, 1, CL_E_STORE_IO);
    batch = store.batch_new(store.context);
    store.batch_put(batch, (const uint8_t *)"a", 1, (const uint8_t *)"2", 1);
    store.batch_put(batch, (const uint8_t *)"b", 1, (const uint8_t *)"2", 1);
    assert_int_equal(store.batch_write(store.context, batch, true), CL_E_STORE_IO);
    assert_int_equal(store.batch_write(store.context, batch, true), CL_E_STORE_IO);
    expect(&store, NULL, "a", "1");
    expect(&store, NULL, "b", NULL);
    cl_store_mem_fail_at(&store, 0, CL_OK);
    assert_int_equal(store.batch_write(store.context, batch, true), CL_OK);
    expect(&store, NULL, "b", "2");
    store.batch_free(batch);
    store.close(store.context);
}

#define LEVEL(claim) cmocka_unit_test_setup_teardown(claim, directory_new, directory_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEVEL(both_give_back_what_was_put),
        LEVEL(both_keep_snapshots_still),
        LEVEL(both_iterate_in_the_order_of_bytes),
        LEVEL(both_agree_with_a_plain_table),
        LEVEL(what_was_synced_is_there_after_a_kill),
        LEVEL(creating_is_asked_for),
        LEVEL(a_second_opening_in_this_process_is_refused),
        LEVEL(a_second_process_is_refused),
        LEVEL(a_flipped_byte_in_a_table_is_noticed),
        LEVEL(a_flipped_byte_in_the_journal_is_noticed_at_opening),
        LEVEL(after_a_failed_write_every_later_write_fails),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_told),
        cmocka_unit_test(memory_fails_where_asked_and_only_there),
        cmocka_unit_test(a_failed_batch_in_memory_changes_nothing_and_is_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

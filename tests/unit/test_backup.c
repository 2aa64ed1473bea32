/* A backup's stream: what goes in comes out, whole or not at all; and a ledger that is made from one is the ledger that it
   was taken of, or is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backup.h"
#include "crypto.h"
#include "fixture.h"

static char detail[512];

static enum cl_status put(void *context, const uint8_t *data, size_t length) { return cl_buffer_append(context, data, length); }

struct source { const uint8_t *data; size_t length, at; };
static enum cl_status get(void *context, uint8_t *out, size_t length)
{
    struct source *source = context;
    if (source->length - source->at < length) return CL_E_FORMAT;
    memcpy(out, source->data + source->at, length);
    source->at += length;
    return CL_OK;
}

static enum cl_status read_all(struct cl_backup_summary *summary, const struct cl_store *store, const struct cl_buffer *bytes)
{
    struct source source = {bytes->data, bytes->length, 0};
    return cl_backup_read(summary, store, get, &source, NULL, NULL);
}

/* A ledger of a few blocks with a promised withdrawal and a checkpoint, and its backup. */
static void make(struct fixture *fixture, struct cl_buffer *bytes)
{
    struct cl_object_id agreement;
    struct cl_buffer note = {0};
    fixture_open(fixture, 4);
    for (uint64_t i = 1; i <= 300; i++) fixture_block_of(fixture, fixture_grant(&fixture->network, i, 1, 2, fixture->now_ms));
    fixture_object(&agreement, 7, 1);
    struct cl_ledger_record *promised = fixture_act(&fixture->network, CL_REVOKE, 7, &agreement, NULL, fixture->now_ms);
    FIXTURE_OK(cl_ledger_withdrawal_keep(fixture->ledger, promised));
    cl_ledger_record_unref(promised);
    fixture_checkpoint(fixture, &note, FIXTURE_START_MS / 1000 + 600);
    cl_buffer_deinit(&note);
    FIXTURE_OK(cl_backup_write(&fixture->store, put, bytes));
}

static enum cl_status restore(struct cl_store *out, const struct cl_buffer *bytes, const struct cl_genesis *genesis)
{
    struct cl_store source;
    struct cl_smt_buckets buckets;
    struct cl_backup_summary summary;
    FIXTURE_OK(cl_store_mem_open(&source));
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    enum cl_status status = read_all(&summary, &source, bytes);
    if (status == CL_OK) status = cl_ledger_restore(out, &source, &buckets, genesis, NULL, NULL, detail, sizeof detail);
    cl_buckets_free(&buckets);
    source.close(source.context);
    return status;
}

static bool same(struct cl_store *a, struct cl_store *b)
{
    struct cl_store_iterator *left = a->iterator_new(a->context, NULL), *right = b->iterator_new(b->context, NULL);
    a->iterator_seek(left, (const uint8_t *)"", 0);
    b->iterator_seek(right, (const uint8_t *)"", 0);
    bool equal = true;
    for (; equal && a->iterator_valid(left) && b->iterator_valid(right); a->iterator_next(left), b->iterator_next(right)) {
        struct cl_view key = a->iterator_key(left), other = b->iterator_key(right);
        struct cl_view value = a->iterator_value(left), other_value = b->iterator_value(right);
        equal = key.length == other.length && memcmp(key.data, other.data, key.length) == 0 && value.length == other_value.length &&
                (value.length == 0 || memcmp(value.data, other_value.data, value.length) == 0);
    }
    equal = equal && !a->iterator_valid(left) && !b->iterator_valid(right);
    a->iterator_free(left);
    b->iterator_free(right);
    return equal;
}

static void what_is_restored_is_the_same_in_every_entry(void **state)
{
    (void)state;
    struct fixture fixture;
    struct cl_buffer bytes = {0};
    struct cl_store restored;
    struct cl_backup_summary summary;
    struct cl_tip tip;
    make(&fixture, &bytes);
    FIXTURE_OK(cl_store_mem_open(&restored));
    FIXTURE_OK(read_all(&summary, NULL, &bytes));
    cl_ledger_tip(fixture.ledger, &tip);
    assert_true(summary.has_tip && summary.bytes == bytes.length - 32);
    assert_memory_equal(&summary.tip, &tip, sizeof tip);
    assert_memory_equal(summary.network.bytes, fixture.network.genesis.network.bytes, 32);
    if (restore(&restored, &bytes, &fixture.network.genesis) != CL_OK) fail_msg("%s", detail);
    assert_true(same(&fixture.store, &restored));
    restored.close(restored.context);
    cl_buffer_deinit(&bytes);
    fixture_close(&fixture);
}

/* Another block becomes final as soon as the first bytes are out. */
struct busy { struct fixture *fixture; struct cl_buffer bytes; bool done; };
static enum cl_status put_busy(void *context, const uint8_t *data, size_t length)
{
    struct busy *busy = context;
    if (!busy->done) {
        busy->done = true;
        fixture_block_of(busy->fixture, fixture_grant(&busy->fixture->network, 999, 1, 2, busy->fixture->now_ms));
    }
    return cl_buffer_append(&busy->bytes, data, length);
}

static void blocks_that_come_meanwhile_are_not_in_it(void **state)
{
    (void)state;
    struct fixture fixture;
    struct cl_buffer before = {0}, after = {0};
    make(&fixture, &before);
    struct busy busy = {.fixture = &fixture};
    FIXTURE_OK(cl_backup_write(&fixture.store, put_busy, &busy));
    FIXTURE_OK(cl_backup_write(&fixture.store, put, &after));
    assert_true(after.length > before.length);
    assert_int_equal(busy.bytes.length, before.length);
    assert_memory_equal(busy.bytes.data, before.data, before.length);
    cl_buffer_deinit(&before);
    cl_buffer_deinit(&busy.bytes);
    cl_buffer_deinit(&after);
    fixture_close(&fixture);
}

static void every_cut_and_every_flip_is_noticed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct cl_buffer bytes = {0};
    struct cl_backup_summary summary;
    make(&fixture, &bytes);
    size_t whole = bytes.length;
    for (size_t length = 0; length < whole; length += length < 200 ? 1 : 997) {
        bytes.length = length;
        assert_int_equal(read_all(&summary, NULL, &bytes), CL_E_FORMAT);
    }
    bytes.length = whole;
    for (size_t at = 0; at < whole; at += at < 200 ? 1 : 499) {
        bytes.data[at] ^= 0x04;
        enum cl_status status = read_all(&summary, NULL, &bytes);
        if (status != CL_E_FORMAT && !(at == 15 && status == CL_E_VERSION) && !(at == 16 && status == CL_E_VERSION)) fail_msg("byte %zu: %s", at, cl_status_code(status));
        bytes.data[at] ^= 0x04;
    }
    FIXTURE_OK(read_all(&summary, NULL, &bytes));
    cl_buffer_deinit(&bytes);
    fixture_close(&fixture);
}

/* Bytes with a good hash that a backup never has. */
struct made { struct cl_buffer bytes; };
static void row(struct made *made, const char *key, size_t key_length, uint32_t value_length)
{
    uint8_t head[5] = {(uint8_t)key_length, (uint8_t)(value_length >> 24), (uint8_t)(value_length >> 16), (uint8_t)(value_length >> 8), (uint8_t)value_length};
    FIXTURE_OK(cl_buffer_append(&made->bytes, head, sizeof head));
    FIXTURE_OK(cl_buffer_append(&made->bytes, key, key_length));
    for (uint32_t i = 0; i < value_length && i < 2 * CL_BACKUP_VALUE_BYTES_MAX; i++) FIXTURE_OK(cl_buffer_append(&made->bytes, "x", 1));
}

static enum cl_status finish(struct made *made)
{
    struct cl_backup_summary summary;
    uint8_t hash[32];
    FIXTURE_OK(cl_buffer_append(&made->bytes, "", 1));
    cl_sha256_once(hash, made->bytes.data, made->bytes.length);
    FIXTURE_OK(cl_buffer_append(&made->bytes, hash, 32));
    enum cl_status status = read_all(&summary, NULL, &made->bytes);
    cl_buffer_deinit(&made->bytes);
    return status;
}

static struct made begin(void)
{
    struct made made = {{0}};
    FIXTURE_OK(cl_buffer_append(&made.bytes, "consent-backup-1\n", 17));
    return made;
}

static void a_stream_has_one_form(void **state)
{
    (void)state;
    struct made made = begin();
    assert_int_equal(finish(&made), CL_OK); /* nothing in it: whoever restores it says so */
    made = begin();
    row(&made, "ma", 2, 3); row(&made, "mab", 3, 0); row(&made, "mb", 2, 0); row(&made, "b1", 2, 9); row(&made, "r1", 2, CL_BACKUP_VALUE_BYTES_MAX);
    assert_int_equal(finish(&made), CL_OK);
    made = begin();
    row(&made, "mb", 2, 1); row(&made, "ma", 2, 1);
    assert_int_equal(finish(&made), CL_E_FORMAT); /* not ascending */
    made = begin();
    row(&made, "ma", 2, 1); row(&made, "ma", 2, 1);
    assert_int_equal(finish(&made), CL_E_FORMAT); /* twice */
    made = begin();
    row(&made, "r1", 2, 1); row(&made, "b1", 2, 1);
    assert_int_equal(finish(&made), CL_E_FORMAT); /* tables in another order */
    made = begin();
    row(&made, "s1", 2, 1);
    assert_int_equal(finish(&made), CL_E_FORMAT); /* an index, which nobody asked for */
    made = begin();
    row(&made, "r1", 2, CL_BACKUP_VALUE_BYTES_MAX + 1);
    assert_int_equal(finish(&made), CL_E_FORMAT); /* too long */
    made = begin();
    row(&made, "r12345678901234567890123456789012345678901234567890123456789012345678901234", 73, 1);
    assert_int_equal(finish(&made), CL_E_FORMAT);
}

/* Changes one entry of what a backup puts into a store; then it must not be restored. */
static void refused(const struct cl_buffer *bytes, const struct cl_genesis *genesis, uint8_t table, size_t number, bool drop, const char *word)
{
    struct cl_store source, restored;
    struct cl_smt_buckets buckets;
    struct cl_backup_summary summary;
    struct cl_buffer key = {0}, value = {0};
    FIXTURE_OK(cl_store_mem_open(&source));
    FIXTURE_OK(cl_store_mem_open(&restored));
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    FIXTURE_OK(read_all(&summary, &source, bytes));
    struct cl_store_iterator *iterator = source.iterator_new(source.context, NULL);
    source.iterator_seek(iterator, &table, 1);
    for (size_t i = 0; i < number; i++) source.iterator_next(iterator);
    struct cl_view at = source.iterator_key(iterator), old = source.iterator_value(iterator);
    assert_true(at.data[0] == table);
    FIXTURE_OK(cl_buffer_append(&key, at.data, at.length));
    FIXTURE_OK(cl_buffer_append(&value, old.data, old.length));
    source.iterator_free(iterator);
    struct cl_store_batch *batch = source.batch_new(source.context);
    value.data[value.length / 2] ^= 1;
    if (drop) source.batch_delete(batch, key.data, key.length);
    else source.batch_put(batch, key.data, key.length, value.data, value.length);
    FIXTURE_OK(source.batch_write(source.context, batch, true));
    source.batch_free(batch);
    assert_int_equal(cl_ledger_restore(&restored, &source, &buckets, genesis, NULL, NULL, detail, sizeof detail), CL_E_STORE_CORRUPT);
    if (strstr(detail, word) == NULL) fail_msg("'%s' is not in: %s", word, detail);
    cl_buckets_free(&buckets);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
    source.close(source.context);
    restored.close(restored.context);
}

static void a_backup_of_something_else_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fixture_network other;
    struct cl_buffer bytes = {0};
    struct cl_store restored;
    make(&fixture, &bytes);
    const struct cl_genesis *genesis = &fixture.network.genesis;
    refused(&bytes, genesis, 'b', 150, false, "Block 150");
    refused(&bytes, genesis, 'b', 150, true, "or one before it, is missing");
    refused(&bytes, genesis, 'b', 300, true, "Block 300"); /* the tip tells */
    refused(&bytes, genesis, 'r', 40, false, "Block 40");
    refused(&bytes, genesis, 'r', 40, true, "Block 40");
    refused(&bytes, genesis, 'r', 0, false, "genesis");
    refused(&bytes, genesis, 'w', 0, false, "withdrawal");
    refused(&bytes, genesis, 'm', 0, false, "checkpoint");
    fixture_network_make(&other, 1);
    FIXTURE_OK(cl_store_mem_open(&restored));
    assert_int_equal(restore(&restored, &bytes, &other.genesis), CL_E_STORE_OTHER);
    restored.close(restored.context);
    cl_buffer_deinit(&bytes);
    fixture_close(&fixture);
}

/* Somebody who has a record but no quorum adds a block: it has a good form, and its certificate is left out. */
static void a_last_block_without_certificate_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct cl_buffer bytes = {0}, again = {0};
    struct cl_store restored, source;
    struct cl_smt_buckets buckets;
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    make(&fixture, &bytes);
    struct cl_ledger_record *record = fixture_grant(&fixture.network, 998, 1, 2, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1000));
    FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    FIXTURE_OK(cl_ledger_commit(fixture.ledger, candidate, fixture.view + 1, fixture.view, NULL, 0));
    cl_candidate_free(candidate);
    cl_ledger_record_unref(record);
    assert_int_equal(cl_backup_write(&fixture.store, put, &again), CL_E_PENDING);
    assert_int_equal(again.length, 0);
    FIXTURE_OK(cl_store_mem_open(&restored));
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    source = fixture.store;
    assert_int_equal(cl_ledger_restore(&restored, &source, &buckets, &fixture.network.genesis, NULL, NULL, detail, sizeof detail), CL_E_STORE_CORRUPT);
    if (strstr(detail, "no certificate") == NULL) fail_msg("%s", detail);
    cl_buckets_free(&buckets);
    restored.close(restored.context);
    cl_buffer_deinit(&bytes);
    fixture_close(&fixture);
}

/* Whatever fails on the way: a status, and no memory is lost (sanitizers look). */
static void a_failing_store_or_reader_is_told(void **state)
{
    (void)state;
    struct fixture fixture;
    struct cl_buffer bytes = {0}, again = {0};
    struct cl_backup_summary summary;
    make(&fixture, &bytes);
    for (uint64_t n = 1; n < 400; n += 13) {
        cl_store_mem_fail_at(&fixture.store, n, CL_E_STORE_IO);
        assert_int_equal(cl_backup_write(&fixture.store, put, &again), CL_E_STORE_IO);
        again.length = 0;
    }
    cl_store_mem_fail_at(&fixture.store, 0, CL_OK);
    struct cl_store store;
    FIXTURE_OK(cl_store_mem_open(&store));
    cl_store_mem_fail_at(&store, 1, CL_E_STORE_IO);
    assert_int_equal(read_all(&summary, &store, &bytes), CL_E_STORE_IO);
    store.close(store.context);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_restored_is_the_same_in_every_entry),
        cmocka_unit_test(blocks_that_come_meanwhile_are_not_in_it),
        cmocka_unit_test(every_cut_and_every_flip_is_noticed),
        cmocka_unit_test(a_stream_has_one_form),
        cmocka_unit_test(a_backup_of_something_else_is_refused),
        cmocka_unit_test(a_last_block_without_certificate_is_refused),
        cmocka_unit_test(a_failing_store_or_reader_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

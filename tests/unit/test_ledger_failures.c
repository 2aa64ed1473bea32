/* Fail at N: the n-th store call, then the n-th allocation, fails, for n = 1, 2, … until a whole life runs through. Each
   time the ledger is opened again on what survived: the chain must be whole, at the old tip or the new one, and every
   block that was reported final is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

/* ---- allocations that fail: glibc lets a program have its own malloc, and keeps the real one under another name.
   Sanitizers bring their own, so there these tests do nothing but run the life once. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

static uint64_t allocations_left; /* 0: none fails; n: the n-th from now does, once */
static int64_t allocations_live;

#if OWN_MALLOC
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static bool refused(void)
{
    return allocations_left > 0 && --allocations_left == 0;
}

static void *counted(void *memory)
{
    allocations_live += memory != NULL;
    return memory;
}

void *malloc(size_t size)
{
    return refused() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return refused() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    if (refused())
        return NULL;
    void *memory = __libc_realloc(old, size);
    return old == NULL ? counted(memory) : memory;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return refused() ? NULL : counted(__libc_memalign(alignment, size));
}

void free(void *memory)
{
    allocations_live -= memory != NULL;
    __libc_free(memory);
}
#endif

/* ---- the life: every step may fail; the first failure ends it */

struct life {
    struct fixture_network network;
    struct cl_store store;
    struct cl_smt_buckets buckets;
    struct cl_ledger_record *records[4], *promised;
    struct cl_object_id object, later;
    struct cl_buffer first_note;      /* the checkpoint after the first block */
    struct cl_tip first;
    struct cl_block_id expected[3];   /* the block at each height, from a run without failures */
    bool created;
    uint64_t final_height;            /* as reported by commit */
    bool kept;                        /* the withdrawal was reported durable */
};

static void prepare(struct life *life)
{
    memset(life, 0, sizeof *life);
    fixture_network_make(&life->network, 2);
    life->records[0] = fixture_grant(&life->network, 1, 1, 2, FIXTURE_START_MS);
    life->records[1] = fixture_terms(&life->network, 50, 1, 1, 10, FIXTURE_START_MS);
    life->records[2] = fixture_subscribe(&life->network, 2, 1, 1, FIXTURE_START_MS);
    life->records[3] = fixture_subscribe_terms(&life->network, 2, 9, 50, 1, FIXTURE_START_MS);
    fixture_object(&life->object, 1, 1);
    fixture_object(&life->later, 2, 9);
    life->promised = fixture_act(&life->network, CL_REVOKE, 1, &life->object, NULL, FIXTURE_START_MS);
}

static void open_store(struct life *life)
{
    FIXTURE_OK(cl_store_mem_open(&life->store));
    FIXTURE_OK(cl_buckets_memory_new(&life->buckets));
    life->created = life->kept = false;
    life->final_height = 0;
}

static void close_store(struct life *life)
{
    cl_buckets_free(&life->buckets);
    life->store.close(life->store.context);
}

static void free_life(struct life *life)
{
    for (size_t i = 0; i < 4; i++)
        cl_ledger_record_unref(life->records[i]);
    cl_ledger_record_unref(life->promised);
    cl_buffer_deinit(&life->first_note);
}

/* Block `number` (0 or 1) of two records. */
static enum cl_status run_block(struct life *life, struct cl_ledger *ledger, unsigned number)
{
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    enum cl_status status = cl_ledger_try(ledger, &life->records[2 * number]->record, FIXTURE_START_MS + 1 + number, NULL);
    if (status != CL_OK)
        return status;
    status = cl_candidate_new(&candidate, ledger, NULL, FIXTURE_START_MS + 1 + number);
    if (status == CL_OK)
        status = cl_candidate_add(candidate, life->records[2 * number], NULL);
    if (status == CL_OK)
        status = cl_candidate_add(candidate, life->records[2 * number + 1], NULL);
    if (status == CL_OK)
        status = cl_candidate_seal(candidate, &summary);
    if (status == CL_OK)
        status = cl_ledger_commit(ledger, candidate, number + 1, number, NULL, 0);
    if (status == CL_OK)
        life->final_height = number + 1;
    cl_candidate_free(candidate);
    return status;
}

static enum cl_status read_something(const struct life *life, struct cl_ledger *ledger)
{
    struct cl_ledger_view *view;
    struct cl_buffer bytes = {0};
    struct cl_hash path[CL_LOG_PATH_MAX];
    uint64_t indexes[8];
    size_t count;
    bool more;
    enum cl_status status = cl_ledger_view_new(&view, ledger);
    if (status != CL_OK)
        return status;
    status = cl_view_history(view, indexes, 8, &count, &more, life->object.bytes, UINT64_MAX);
    if (status == CL_OK)
        status = cl_view_leaf(view, &bytes, 1);
    if (status == CL_OK)
        status = cl_view_inclusion(view, path, &count, 1, 4);
    if (status == CL_OK)
        status = cl_view_tile_entries(view, &bytes, 0, 4);
    if (status == CL_OK)
        status = cl_ledger_state_proof(ledger, &bytes, life->object.bytes);
    cl_buffer_deinit(&bytes);
    cl_ledger_view_free(view);
    return status;
}

/* At the first block's checkpoint: an object that the second block changed, and one that it made. */
static enum cl_status prove_the_past(const struct life *life, struct cl_ledger *ledger)
{
    struct cl_buffer proof = {0};
    enum cl_status status = cl_ledger_proof(ledger, &proof, life->object.bytes);
    if (status == CL_OK)
        status = cl_ledger_proof(ledger, &proof, life->later.bytes);
    cl_buffer_deinit(&proof);
    return status;
}

static enum cl_status live(struct life *life)
{
    struct cl_ledger *ledger = NULL;
    struct cl_tip tip;
    enum cl_status status = cl_ledger_create(&life->store, &life->network.genesis);
    if (status == CL_OK) {
        life->created = true;
        status = cl_ledger_open(&ledger, &life->store, &life->buckets, &life->network.genesis, NULL, NULL);
    }
    if (status == CL_OK)
        status = run_block(life, ledger, 0);
    if (status == CL_OK)
        status = cl_ledger_checkpoint_keep(ledger, life->first.log_size, &life->first.log_root, life->first_note.data, life->first_note.length);
    if (status == CL_OK)
        status = run_block(life, ledger, 1);
    if (status == CL_OK)
        status = prove_the_past(life, ledger);
    if (status == CL_OK)
        status = cl_ledger_withdrawal_keep(ledger, life->promised);
    if (status == CL_OK) {
        life->kept = true;
        cl_ledger_tip(ledger, &tip);
        status = cl_ledger_checkpoint_keep(ledger, tip.log_size, &tip.log_root, (const uint8_t *)"note", 4);
    }
    if (status == CL_OK)
        status = read_something(life, ledger);
    cl_ledger_close(ledger);
    return status;
}

static enum cl_status count_one(void *context, const uint8_t *bytes, size_t length)
{
    (void)bytes, (void)length;
    ++*(size_t *)context;
    return CL_OK;
}

/* Everything as it should be after a failure: opened on the surviving store, without failures. */
static void examine(struct life *life)
{
    struct cl_ledger *ledger;
    struct cl_tip tip;
    size_t kept = 0;
    char detail[256];
    struct cl_smt_buckets buckets;
    FIXTURE_OK(cl_buckets_memory_new(&buckets));
    enum cl_status status = cl_ledger_open(&ledger, &life->store, &buckets, &life->network.genesis, NULL, NULL);
    if (status == CL_E_NOT_FOUND) {
        assert_false(life->created);
        FIXTURE_OK(cl_ledger_create(&life->store, &life->network.genesis)); /* nothing half done is in the way */
        FIXTURE_OK(cl_ledger_open(&ledger, &life->store, &buckets, &life->network.genesis, NULL, NULL));
    } else {
        assert_int_equal(status, CL_OK);
    }
    cl_ledger_tip(ledger, &tip);
    assert_in_range(tip.height, life->final_height, life->final_height + 1);
    assert_memory_equal(&tip.block, &life->expected[tip.height], sizeof tip.block);
    FIXTURE_OK(cl_ledger_withdrawals(ledger, count_one, &kept));
    assert_in_range(kept, life->kept ? 1 : 0, 1);
    for (unsigned number = (unsigned)tip.height; number < 2; number++) /* and it goes on from there */
        FIXTURE_OK(run_block(life, ledger, number));
    cl_ledger_tip(ledger, &tip);
    assert_memory_equal(&tip.block, &life->expected[2], sizeof tip.block);
    cl_ledger_close(ledger);
    cl_buckets_free(&buckets);
    status = fixture_audit(&life->store, &life->network.genesis, false, detail, sizeof detail);
    /* this life keeps a note that is not a checkpoint's text: all else must be good */
    assert_true(status == CL_OK || strstr(detail, "checkpoint") != NULL);
}

static void note_expected(struct life *life)
{
    struct cl_ledger *ledger;
    struct cl_tip tip;
    open_store(life);
    FIXTURE_OK(cl_ledger_create(&life->store, &life->network.genesis));
    FIXTURE_OK(cl_ledger_open(&ledger, &life->store, &life->buckets, &life->network.genesis, NULL, NULL));
    for (unsigned height = 0;; height++) {
        cl_ledger_tip(ledger, &tip);
        life->expected[height] = tip.block;
        if (height == 1) {
            life->first = tip;
            fixture_note(&life->first_note, &life->network, tip.log_size, &tip.log_root, FIXTURE_START_MS / 1000);
        }
        if (height == 2)
            break;
        FIXTURE_OK(run_block(life, ledger, height));
    }
    cl_ledger_close(ledger);
    close_store(life);
}

static void any_store_call_may_fail(void **state)
{
    struct life life;
    enum cl_status status;
    uint64_t n = 0;
    (void)state;
    prepare(&life);
    note_expected(&life);
    do {
        int64_t live_before = allocations_live;
        open_store(&life);
        cl_store_mem_fail_at(&life.store, ++n, CL_E_STORE_IO);
        status = live(&life);
        assert_true(status == CL_OK || status == CL_E_STORE_IO);
        cl_store_mem_fail_at(&life.store, 0, CL_OK);
        examine(&life);
        close_store(&life);
        assert_int_equal(allocations_live, live_before); /* nothing leaks on the way out */
    } while (status != CL_OK);
    assert_true(n > 20);
    free_life(&life);
}

static void any_allocation_may_fail(void **state)
{
    struct life life;
    enum cl_status status;
    uint64_t n = 0;
    (void)state;
    prepare(&life);
    note_expected(&life);
    do {
        int64_t live_before = allocations_live;
        open_store(&life);
        allocations_left = OWN_MALLOC ? ++n : 0;
        status = live(&life);
        allocations_left = 0;
        assert_true(status == CL_OK || status == CL_E_MEMORY || status == CL_E_STORE_IO);
        cl_store_mem_fail_at(&life.store, 0, CL_OK);
        examine(&life);
        close_store(&life);
        assert_int_equal(allocations_live, live_before); /* nothing leaks on the way out */
    } while (status != CL_OK);
    assert_true(!OWN_MALLOC || n > 50);
    free_life(&life);
}

/* After a failed commit the ledger refuses everything: what is on disk is known only after a new start. */
static void a_failed_commit_ends_the_ledger(void **state)
{
    struct fixture fixture;
    struct cl_candidate *candidate, *other;
    struct cl_candidate_summary summary;
    struct cl_buffer proof = {0};
    (void)state;
    fixture_open(&fixture, 1);
    struct cl_ledger_record *record = fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms);
    FIXTURE_OK(cl_candidate_new(&candidate, fixture.ledger, NULL, fixture.now_ms + 1));
    FIXTURE_OK(cl_candidate_add(candidate, record, NULL));
    FIXTURE_OK(cl_candidate_seal(candidate, &summary));
    cl_store_mem_fail_at(&fixture.store, 1, CL_E_STORE_IO);
    assert_int_equal(cl_ledger_commit(fixture.ledger, candidate, 1, 0, NULL, 0), CL_E_STORE_IO);
    assert_int_equal(cl_ledger_commit(fixture.ledger, candidate, 1, 0, NULL, 0), CL_E_STORE_IO);
    assert_int_equal(cl_candidate_new(&other, fixture.ledger, NULL, fixture.now_ms + 1), CL_E_STORE_IO);
    assert_int_equal(cl_ledger_try(fixture.ledger, &record->record, fixture.now_ms + 1, NULL), CL_E_STORE_IO);
    assert_int_equal(cl_ledger_state_proof(fixture.ledger, &proof, record->record.id.bytes), CL_E_STORE_IO);
    cl_candidate_free(candidate);
    cl_ledger_record_unref(record);
    cl_store_mem_fail_at(&fixture.store, 0, CL_OK);
    fixture_reopen(&fixture);
    fixture_block_of(&fixture, fixture_grant(&fixture.network, 1, 1, 2, fixture.now_ms));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_store_call_may_fail),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_failed_commit_ends_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Both places for buckets keep what they are given; the scratch file leaves no name and reports its errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "buckets.h"

static void fill(struct cl_smt_slot *content, uint32_t slot, unsigned count)
{
    for (unsigned i = 0; i < CL_SMT_QUARTERS; i++) memset(&content->quarters[i], (int)(slot * 17 + i), sizeof content->quarters[i]);
    for (unsigned i = 0; i < count; i++) memset(&content->leaves[i], (int)(slot * 31 + i), sizeof content->leaves[i]);
}

static void keeps_what_it_is_given(struct cl_smt_buckets *buckets)
{
    struct cl_smt_slot in, out;
    for (uint32_t slot = 0; slot < 300; slot++) {
        fill(&in, slot, 1 + slot % 16);
        assert_int_equal(buckets->save(buckets->context, slot, &in, 1 + slot % 16), CL_OK);
    }
    for (uint32_t slot = 0; slot < 300; slot += 3) { /* a slot is used again, with another count */
        fill(&in, slot + 7, 1 + (slot + 7) % 16);
        assert_int_equal(buckets->save(buckets->context, slot, &in, 1 + (slot + 7) % 16), CL_OK);
    }
    for (uint32_t slot = 300; slot-- > 0;) {
        uint32_t content = slot % 3 == 0 ? slot + 7 : slot;
        fill(&in, content, 1 + content % 16);
        assert_int_equal(buckets->load(buckets->context, &out, slot, 1 + content % 16), CL_OK);
        assert_memory_equal(&in, &out, cl_smt_slot_bytes(1 + content % 16));
    }
    cl_buckets_free(buckets);
    assert_null(buckets->context);
    cl_buckets_free(buckets); /* freeing what is free is nothing */
}

static void memory_keeps_what_it_is_given(void **state)
{
    struct cl_smt_buckets buckets;
    (void)state;
    assert_int_equal(cl_buckets_memory_new(&buckets), CL_OK);
    keeps_what_it_is_given(&buckets);
}

static void the_scratch_file_keeps_what_it_is_given_and_has_no_name(void **state)
{
    static const uint32_t in_memory[] = {0, 1, 299, 300, 301}; /* none, nearly all, all */
    (void)state;
    for (size_t i = 0; i < sizeof in_memory / sizeof in_memory[0]; i++) {
        char directory[] = "/tmp/consent-buckets-XXXXXX";
        struct cl_smt_buckets buckets;
        unsigned names = 0;
        DIR *listing;
        assert_non_null(mkdtemp(directory));
        assert_int_equal(cl_buckets_file_new(&buckets, directory, in_memory[i]), CL_OK);
        assert_non_null(listing = opendir(directory));
        while (readdir(listing) != NULL) names++;
        closedir(listing);
        assert_int_equal(names, 2); /* . and .. */
        keeps_what_it_is_given(&buckets);
        assert_int_equal(rmdir(directory), 0);
    }
}

static void a_missing_directory_is_told_with_errno(void **state)
{
    struct cl_smt_buckets buckets;
    (void)state;
    assert_int_equal(cl_buckets_file_new(&buckets, "/nonexistent-directory/for/buckets", 0), CL_E_IO);
    assert_int_equal(errno, ENOENT);
}

/* Saves slot after slot while no file may be longer than 1,500 bytes. Returns: the first slot that fails, with errno. */
static uint32_t first_that_fails(struct cl_smt_buckets *buckets, const struct cl_smt_slot *content)
{
    struct rlimit limit, before;
    uint32_t slot = 0;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1500;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    while (slot < 10 && buckets->save(buckets->context, slot, content, 16) == CL_OK) slot++;
    int reason = errno;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    errno = reason;
    return slot;
}

static void a_full_disk_is_told_and_so_is_a_file_that_is_too_short(void **state)
{
    struct cl_smt_buckets buckets;
    struct cl_smt_slot content;
    (void)state;
    fill(&content, 1, 16);
    assert_int_equal(cl_buckets_file_new(&buckets, "/tmp", 0), CL_OK);
    assert_int_equal(first_that_fails(&buckets, &content), 1); /* half of it was written before the end was reached */
    assert_int_equal(errno, EFBIG);
    assert_int_equal(buckets.load(buckets.context, &content, 1, 16), CL_E_IO);
    assert_int_equal(buckets.load(buckets.context, &content, 0, 16), CL_OK);
    cl_buckets_free(&buckets);
}

static void reports(const struct cl_smt_buckets *buckets, uint64_t slots, uint64_t memory_bytes, uint64_t memory_bytes_max)
{
    struct cl_buckets_report report;
    cl_buckets_report(&report, buckets);
    assert_int_equal(report.slots, slots);
    assert_int_equal(report.memory_bytes, memory_bytes);
    assert_int_equal(report.memory_bytes_max, memory_bytes_max);
}

static void what_they_take_is_told(void **state)
{
    static const uint32_t order[] = {0, 2, 1, 0}; /* up to 3 slots */
    struct cl_smt_buckets buckets;
    struct cl_smt_slot content;
    (void)state;
    fill(&content, 1, 16);
    assert_int_equal(cl_buckets_file_new(&buckets, "/tmp", 4), CL_OK);
    reports(&buckets, 0, 0, 4608);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) assert_int_equal(buckets.save(buckets.context, order[i], &content, 1), CL_OK);
    reports(&buckets, 3, 3456, 4608);
    assert_int_equal(buckets.save(buckets.context, 3, &content, 16), CL_OK);
    reports(&buckets, 4, 4608, 4608);
    assert_int_equal(buckets.save(buckets.context, 4, &content, 16), CL_OK); /* all move to the file */
    reports(&buckets, 5, 0, 4608);
    cl_buckets_free(&buckets);
    assert_int_equal(cl_buckets_file_new(&buckets, "/tmp", 0), CL_OK);
    assert_int_equal(buckets.save(buckets.context, 0, &content, 16), CL_OK);
    reports(&buckets, 1, 0, 0);
    cl_buckets_free(&buckets);
}

static void a_full_disk_leaves_the_slots_in_memory(void **state)
{
    struct cl_smt_buckets buckets;
    struct cl_smt_slot content, out;
    (void)state;
    fill(&content, 1, 16);
    assert_int_equal(cl_buckets_file_new(&buckets, "/tmp", 4), CL_OK);
    assert_int_equal(first_that_fails(&buckets, &content), 4); /* when the four move to the file */
    assert_int_equal(errno, EFBIG);
    reports(&buckets, 4, 4608, 4608);
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t slot = 0; slot < 4 + i; slot++) {
            assert_int_equal(buckets.load(buckets.context, &out, slot, 16), CL_OK);
            assert_memory_equal(&out, &content, sizeof content);
        }
        assert_int_equal(buckets.save(buckets.context, 4, &content, 16), CL_OK); /* there is room again */
    }
    cl_buckets_free(&buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_keeps_what_it_is_given),
        cmocka_unit_test(the_scratch_file_keeps_what_it_is_given_and_has_no_name),
        cmocka_unit_test(a_missing_directory_is_told_with_errno),
        cmocka_unit_test(what_they_take_is_told),
        cmocka_unit_test(a_full_disk_is_told_and_so_is_a_file_that_is_too_short),
        cmocka_unit_test(a_full_disk_leaves_the_slots_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The list of `consent subscribe --from`: it is what it was when its digest was taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../tools/bulk_parts.h"

static void lines_put(const char *path, unsigned first, unsigned count)
{
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(fprintf(file, "%064x,line %u\n", first + i + 0x1000000u, first + i), 64 + snprintf(NULL, 0, ",line %u\n", first + i));
    assert_int_equal(fclose(file), 0);
}

static void what_is_appended_meanwhile_is_not_read(void **state)
{
    (void)state;
    char path[] = "/tmp/test_bulk_list-XXXXXX";
    struct context context = {0};
    struct bulk bulk = {.context = &context, .path = path};
    struct bulk_item item;
    unsigned count = 0;
    output_init(&context.output, false, true);
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    lines_put(path, 0, 100);
    assert_int_equal(list_open(&bulk), 0);
    assert_int_equal(bulk.list.line_count, 100);
    lines_put(path, 100, 1000); /* more than there is room for marks */
    while (list_next(&bulk.list, &item)) {
        assert_int_equal(item.why, CL_OK);
        count++;
    }
    assert_int_equal(count, 100);
    list_close(&bulk.list);
    assert_int_equal(unlink(path), 0);
}

/* Else a journal would begin with the digest of a part of the list, and refuse the whole one ever after. */
static void a_count_that_was_interrupted_is_none(void **state)
{
    (void)state;
    char path[] = "/tmp/test_bulk_list-XXXXXX";
    struct context context = {0};
    struct bulk bulk = {.context = &context, .path = path};
    output_init(&context.output, false, true);
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(close(file), 0);
    lines_put(path, 0, 10);
    http_interrupted = 1;
    assert_int_equal(list_open(&bulk), 130);
    http_interrupted = 0;
    list_close(&bulk.list);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_appended_meanwhile_is_not_read), cmocka_unit_test(a_count_that_was_interrupted_is_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

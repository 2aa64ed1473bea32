/* The radix sort against the C library's, stable, for sizes on both sides of its thresholds and values of all shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sort.h"

static uint64_t random_state = 7;

static uint64_t draw(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state ^ random_state >> 29;
}

static int by_order_then_arrival(const void *a, const void *b)
{
    const struct cl_sort_item *left = a, *right = b;
    if (left->order != right->order) return left->order < right->order ? -1 : 1;
    return (left->at > right->at) - (left->at < right->at);
}

static void sorts_as_the_library_does(void **state)
{
    static const uint64_t masks[] = {UINT64_MAX, 0, 1, 0xff, 0xff00, 0xff00000000000000, 0x0f0f0f0f0f0f0f0f, 0xffffffff};
    enum { MOST = 3000 };
    static struct cl_sort_item items[MOST], expected[MOST];
    (void)state;
    for (size_t count = 0; count <= MOST; count += count < 70 ? 1 : 733) {
        for (size_t mask = 0; mask < sizeof masks / sizeof masks[0]; mask++) {
            for (size_t i = 0; i < count; i++) items[i] = (struct cl_sort_item){draw() & masks[mask], i};
            memcpy(expected, items, sizeof items);
            if (count > 0) qsort(expected, count, sizeof *expected, by_order_then_arrival);
            assert_int_equal(cl_sort(items, count), CL_OK);
            for (size_t i = 0; i < count; i++) assert_true(items[i].order == expected[i].order && items[i].at == expected[i].at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_as_the_library_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Bounded send lanes: order, and what goes at the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lanes.h"

static enum cl_status put(struct lanes *lanes, enum lane lane, uint8_t mark, size_t length)
{
    static uint8_t data[CL_FRAME_BYTES_MAX];
    data[0] = mark;
    struct lane_bytes *bytes = lane_bytes_new(data, length);
    assert_non_null(bytes);
    enum cl_status status = lanes_put(lanes, lane, bytes);
    lane_bytes_release(bytes);
    return status;
}

static int take(struct lanes *lanes)
{
    struct lane_bytes *bytes = lanes_take(lanes);
    if (bytes == NULL) return -1;
    int mark = bytes->data[0];
    lane_bytes_release(bytes);
    return mark;
}

static void the_most_important_lane_goes_first_and_each_in_order(void **state)
{
    (void)state;
    struct lanes lanes = { 0 };
    for (unsigned lane = LANE_COUNT; lane-- > 0;)
        for (uint8_t i = 0; i < 3; i++) assert_int_equal(put(&lanes, (enum lane)lane, (uint8_t)(lane * 3 + i), 10), CL_OK);
    for (int expected = 0; expected < LANE_COUNT * 3; expected++) assert_int_equal(take(&lanes), expected);
    assert_int_equal(take(&lanes), -1);
    assert_true(lanes.frames == 0 && lanes.bytes == 0);
}

static void at_the_bound_of_bytes_the_least_important_goes(void **state)
{
    (void)state;
    struct lanes lanes = { 0 };
    const size_t fit = LANES_BYTES_MAX / CL_FRAME_BYTES_MAX;
    for (size_t i = 0; i < fit; i++) assert_int_equal(put(&lanes, i % 2 ? LANE_RECORDS : LANE_ANNOUNCEMENTS, (uint8_t)i, CL_FRAME_BYTES_MAX), CL_OK);
    /* The oldest announcement makes room for records, then for a vote. */
    assert_int_equal(put(&lanes, LANE_RECORDS, 100, CL_FRAME_BYTES_MAX), CL_OK);
    assert_int_equal(put(&lanes, LANE_VOTES, 101, 10), CL_OK);
    assert_int_equal(lanes.dropped[LANE_ANNOUNCEMENTS], 2);
    assert_true(lanes.bytes <= LANES_BYTES_MAX);
    assert_int_equal(take(&lanes), 101);
    assert_int_equal(take(&lanes), 1);
    lanes_clear(&lanes);
    assert_true(lanes.frames == 0 && lanes.bytes == 0);
}

static void what_is_itself_the_least_important_is_refused(void **state)
{
    (void)state;
    struct lanes lanes = { 0 };
    for (size_t i = 0; i < LANES_FRAMES_MAX; i++) assert_int_equal(put(&lanes, LANE_VOTES, 1, 10), CL_OK);
    assert_int_equal(put(&lanes, LANE_RECORDS, 2, 10), CL_E_BOUND);
    assert_int_equal(lanes.dropped[LANE_RECORDS], 1);
    assert_int_equal(lanes.frames, LANES_FRAMES_MAX);
    lanes_clear(&lanes);
}

static void within_one_lane_the_oldest_goes(void **state)
{
    (void)state;
    struct lanes lanes = { 0 };
    for (size_t i = 0; i <= LANES_FRAMES_MAX; i++) assert_int_equal(put(&lanes, LANE_VOTES, i == 0 ? 7 : i == 1 ? 8 : 9, 10), CL_OK);
    assert_int_equal(lanes.dropped[LANE_VOTES], 1);
    assert_int_equal(take(&lanes), 8);
    lanes_clear(&lanes);
}

static void a_frame_that_goes_to_many_is_kept_once(void **state)
{
    (void)state;
    struct lanes a = { 0 }, b = { 0 };
    struct lane_bytes *bytes = lane_bytes_new((const uint8_t *)"x", 1);
    assert_non_null(bytes);
    assert_int_equal(lanes_put(&a, LANE_VOTES, bytes), CL_OK);
    assert_int_equal(lanes_put(&b, LANE_VOTES, bytes), CL_OK);
    lane_bytes_release(bytes);
    assert_ptr_equal(lanes_take(&a), bytes);
    lane_bytes_release(bytes);
    assert_ptr_equal(lanes_take(&b), bytes);
    assert_int_equal(bytes->data[0], 'x');
    lane_bytes_release(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_important_lane_goes_first_and_each_in_order),
        cmocka_unit_test(at_the_bound_of_bytes_the_least_important_goes),
        cmocka_unit_test(what_is_itself_the_least_important_is_refused),
        cmocka_unit_test(within_one_lane_the_oldest_goes),
        cmocka_unit_test(a_frame_that_goes_to_many_is_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What outsiders and lying proposers may try on the ledger itself: cost, order, replay, half-done records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "crypto.h"
#include "fixture.h"
#include "ledger_internal.h"

/* ---- cost */

/* The longest walk that a look-up can take: a run of taken slots. */
static uint32_t longest_run(const struct cl_map *map)
{
    uint32_t run = 0, longest = 0;
    for (uint32_t i = 0; i < 2 * map->slot_count; i++) {
        run = map->slots[i % map->slot_count] != 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* Ids are hashes of nonces of their maker's choice: a few chosen bits cost him seconds. */
static void chosen_ids_do_not_crowd_one_place(void **state)
{
    struct cl_map map = {.seed = 0x9e3779b97f4a7c15u};
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        uint8_t key[32];
        fixture_hash(key, "chosen", i);
        for (size_t k = 0; k < 4; k++)
            key[k] = 0; /* more than anybody would grind for each of 20,000 */
        assert_non_null(cl_map_insert(&map, key, key));
        assert_non_null(cl_map_find(&map, key));
    }
    assert_true(longest_run(&map) < 200);
    cl_map_deinit(&map);
}

static void each_opening_draws_its_own_seed(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_open(&fixture, 1);
    uint64_t seed = fixture.ledger->seed;
    fixture_reopen(&fixture);
    assert_true(seed != fixture.ledger->seed); /* by chance once in 2^64 */
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids_do_not_crowd_one_place), cmocka_unit_test(each_opening_draws_its_own_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

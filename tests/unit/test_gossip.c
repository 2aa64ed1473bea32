/* Gossip: who is told and who is asked, its bounds, and what becomes of it among 4 and 31 nodes over bad links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gossip.h"

#define START_MS 1000000u
#define POOL_MAX 8192u
#define RECORD_BYTES 200u

static struct cl_leaf_hash leaves[FRAME_ANNOUNCED_MAX]; /* what was taken last */
static size_t taken;

static struct cl_leaf_hash leaf_of(uint64_t number)
{
    struct cl_leaf_hash leaf = { { 0 } };
    for (size_t i = 0; i < 32; i += 8) {
        uint64_t mixed = (number + i + 1) * 0x9e3779b97f4a7c15ull;
        mixed ^= mixed >> 31;
        memcpy(leaf.bytes + i, &mixed, 8);
    }
    memcpy(leaf.bytes + 24, &number, 8);
    return leaf;
}

static uint64_t number_of(const struct cl_leaf_hash *leaf)
{
    uint64_t number;
    memcpy(&number, leaf->bytes + 24, 8);
    return number;
}

static struct gossip *gossip_of(size_t members)
{
    struct gossip *gossip = NULL;
    const struct gossip_config config = { members, members, POOL_MAX, { 0x0123456789abcdefull, 42 } };
    assert_int_equal(gossip_new(&gossip, &config), CL_OK);
    return gossip;
}

static void have(struct gossip *gossip, uint64_t number, bool first, uint64_t now)
{
    struct cl_leaf_hash leaf = leaf_of(number);
    gossip_have(gossip, &leaf, RECORD_BYTES, first, now);
}

static void gone(struct gossip *gossip, uint64_t number, uint64_t now)
{
    struct cl_leaf_hash leaf = leaf_of(number);
    gossip_gone(gossip, &leaf, now);
}

static void announced(struct gossip *gossip, size_t peer, uint64_t number, uint64_t now)
{
    struct cl_leaf_hash leaf = leaf_of(number);
    gossip_announced(gossip, peer, &leaf, now);
}

static bool arrived(struct gossip *gossip, size_t peer, uint64_t number, uint64_t now)
{
    struct cl_leaf_hash leaf = leaf_of(number);
    return gossip_arrived(gossip, peer, &leaf, now);
}

static enum gossip_how take_fresh(struct gossip *gossip, bool at_once, uint64_t now)
{
    return gossip_take_fresh(gossip, leaves, &taken, FRAME_ANNOUNCED_MAX, at_once, now);
}

static size_t take_repairs(struct gossip *gossip, uint64_t now)
{
    return taken = gossip_take_repairs(gossip, leaves, FRAME_ANNOUNCED_MAX, now);
}

/* The peer that is asked; SIZE_MAX: none. */
static size_t take_fetch(struct gossip *gossip, uint64_t now)
{
    size_t peer = SIZE_MAX;
    return gossip_take_fetches(gossip, &peer, leaves, &taken, FRAME_FETCHED_MAX, now) ? peer : SIZE_MAX;
}

static struct gossip_report report_of(const struct gossip *gossip)
{
    struct gossip_report report;
    gossip_report(gossip, &report);
    return report;
}

static struct gossip_peer_report peer_report_of(const struct gossip *gossip, size_t peer)
{
    struct gossip_peer_report report;
    gossip_report_peer(gossip, peer, &report);
    return report;
}

/* ---- telling */
static void up_to_eight_members_a_new_record_is_sent_and_above_announced(void **state)
{
    (void)state;
    for (size_t members = 2; members <= 31; members++) {
        struct gossip *gossip = gossip_of(members);
        have(gossip, 7, true, START_MS);
        assert_int_equal(take_fresh(gossip, false, START_MS), members <= 8 ? GOSSIP_PUSH : GOSSIP_ANNOUNCE);
        assert_int_equal(taken, 1);
        assert_int_equal(number_of(&leaves[0]), 7);
        assert_int_equal(take_fresh(gossip, true, START_MS), GOSSIP_NOTHING);
        gossip_free(gossip);
    }
}

static void what_came_from_another_member_is_not_sent_on(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    assert_true(arrived(gossip, 1, 7, START_MS));
    have(gossip, 7, false, START_MS);
    assert_int_equal(take_fresh(gossip, true, START_MS), GOSSIP_NOTHING);
    assert_int_equal(report_of(gossip).held, 1);
    gossip_free(gossip);
}

static void what_comes_alone_goes_at_once_and_what_follows_is_gathered(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    have(gossip, 1, true, START_MS);
    assert_int_equal(gossip_wait_ms(gossip, START_MS), 0);
    assert_int_equal(take_fresh(gossip, false, START_MS), GOSSIP_PUSH);
    for (uint64_t i = 0; i < GOSSIP_GATHER_MS; i++) {
        have(gossip, 10 + i, true, START_MS + i);
        assert_int_equal(take_fresh(gossip, false, START_MS + i), GOSSIP_NOTHING);
        assert_int_equal(gossip_wait_ms(gossip, START_MS + i), GOSSIP_GATHER_MS - i);
    }
    assert_int_equal(take_fresh(gossip, false, START_MS + GOSSIP_GATHER_MS), GOSSIP_PUSH);
    assert_int_equal(taken, GOSSIP_GATHER_MS);
    assert_int_equal(number_of(&leaves[0]), 10); /* in their order */
    have(gossip, 30, true, START_MS + GOSSIP_GATHER_MS);
    assert_int_equal(take_fresh(gossip, true, START_MS + GOSSIP_GATHER_MS), GOSSIP_PUSH); /* before a proposal */
    gossip_free(gossip);
}

static void many_bytes_do_not_wait_for_more(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    uint64_t number = 1;
    have(gossip, number++, true, START_MS);
    assert_int_equal(take_fresh(gossip, false, START_MS), GOSSIP_PUSH);
    for (size_t bytes = RECORD_BYTES; bytes < GOSSIP_GATHER_BYTES; bytes += RECORD_BYTES) have(gossip, number++, true, START_MS);
    assert_int_equal(take_fresh(gossip, false, START_MS), GOSSIP_NOTHING);
    have(gossip, number++, true, START_MS);
    assert_int_equal(take_fresh(gossip, false, START_MS), GOSSIP_PUSH);
    gossip_free(gossip);
}

static void more_than_the_lanes_hold_is_announced_until_they_had_time(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    size_t fit = GOSSIP_PUSH_BYTES / CL_RECORD_BYTES_MAX, pushed = 0;
    for (uint64_t i = 0; i < 2 * fit; i++) {
        struct cl_leaf_hash leaf = leaf_of(i);
        gossip_have(gossip, &leaf, CL_RECORD_BYTES_MAX, true, START_MS);
    }
    assert_int_equal(take_fresh(gossip, true, START_MS), GOSSIP_PUSH);
    pushed = taken;
    assert_int_equal(pushed, fit);
    assert_int_equal(take_fresh(gossip, true, START_MS), GOSSIP_ANNOUNCE);
    assert_int_equal(pushed + taken, 2 * fit);
    have(gossip, 1000, true, START_MS + 1000);
    assert_int_equal(take_fresh(gossip, true, START_MS + 1000), GOSSIP_PUSH);
    gossip_free(gossip);
}

/* Takes repairs each millisecond until the time; how often the record was among them, and when last. */
static size_t count_repairs(struct gossip *gossip, uint64_t from_ms, uint64_t to_ms, uint64_t *at_ms)
{
    size_t count = 0;
    for (uint64_t now = from_ms; now < to_ms; now++) {
        assert_true(gossip_wait_ms(gossip, now) > 0 || now == from_ms || take_repairs(gossip, now) > 0);
        if (taken == 0 && take_repairs(gossip, now) == 0) continue;
        at_ms[count++] = now - from_ms;
        taken = 0;
    }
    return count;
}

static void what_waits_is_announced_again_with_growing_pauses(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    uint64_t at_ms[64];
    const uint64_t own[] = { 1000, 3000, 7000, 15000, 31000, 63000, 127000, 191000 }, others[] = { 8000, 24000, 56000, 120000, 184000 };
    have(gossip, 1, true, START_MS);
    assert_int_equal(take_fresh(gossip, false, START_MS), GOSSIP_PUSH);
    taken = 0;
    assert_int_equal(count_repairs(gossip, START_MS, START_MS + 200000, at_ms), 8);
    assert_memory_equal(at_ms, own, sizeof own);
    gone(gossip, 1, START_MS + 200000);
    assert_true(gossip_wait_ms(gossip, START_MS + 200000) == UINT64_MAX);
    have(gossip, 2, false, START_MS + 200000); /* another told us: that one announces it again first */
    taken = 0;
    assert_int_equal(count_repairs(gossip, START_MS + 200000, START_MS + 400000, at_ms), 5);
    assert_memory_equal(at_ms, others, sizeof others);
    gossip_free(gossip);
}

static void repairs_are_bounded_and_leave_nothing_out(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(31);
    bool seen[POOL_MAX] = { false };
    size_t frames = 0, records = 0;
    for (uint64_t i = 0; i < POOL_MAX; i++) have(gossip, i, true, START_MS);
    while (take_fresh(gossip, true, START_MS) != GOSSIP_NOTHING) frames++;
    assert_int_equal(frames, POOL_MAX / FRAME_ANNOUNCED_MAX);
    frames = 0;
    for (uint64_t now = START_MS, last = 0; now < START_MS + 2900; now++) {
        if (take_repairs(gossip, now) == 0) continue;
        frames++;
        assert_true(taken <= GOSSIP_REPAIR_BATCH && now - last >= GOSSIP_REPAIR_PAUSE_MS);
        last = now;
        for (size_t i = 0; i < taken; i++) {
            assert_false(seen[number_of(&leaves[i])]);
            seen[number_of(&leaves[i])] = true;
            records++;
        }
    }
    assert_int_equal(records, POOL_MAX);
    assert_int_equal(frames, POOL_MAX / GOSSIP_REPAIR_BATCH);
    gossip_free(gossip);
}

static void what_left_the_pool_is_told_to_nobody(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    have(gossip, 1, true, START_MS);
    have(gossip, 2, true, START_MS);
    gone(gossip, 1, START_MS);
    assert_int_equal(take_fresh(gossip, false, START_MS), GOSSIP_PUSH);
    assert_int_equal(taken, 1);
    assert_int_equal(number_of(&leaves[0]), 2);
    gone(gossip, 2, START_MS);
    assert_int_equal(take_repairs(gossip, START_MS + 100000), 0);
    gossip_free(gossip);
}

/* ---- fetching */
static void a_missing_record_is_asked_of_one_announcer_and_after_the_limit_of_another(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    uint64_t now = START_MS;
    size_t order[3];
    for (size_t peer = 1; peer < 4; peer++) announced(gossip, peer, 7, now);
    for (size_t i = 0; i < 3; i++) {
        order[i] = take_fetch(gossip, now);
        assert_true(order[i] >= 1 && order[i] <= 3 && taken == 1 && number_of(&leaves[0]) == 7);
        assert_true(i == 0 || order[i] != order[i - 1]);
        assert_true(i < 2 || order[2] != order[0]);
        for (uint64_t ms = 0; ms < GOSSIP_FETCH_MS; ms += 100) assert_int_equal(take_fetch(gossip, now + ms), SIZE_MAX);
        assert_int_equal(gossip_wait_ms(gossip, now), GOSSIP_FETCH_MS);
        now += GOSSIP_FETCH_MS;
    }
    assert_int_equal(take_fetch(gossip, now), SIZE_MAX); /* all were asked, nobody delivered: it is forgotten */
    assert_int_equal(report_of(gossip).missing, 0);
    assert_int_equal(report_of(gossip).overdue, 3);
    announced(gossip, order[0], 7, now);
    assert_int_equal(take_fetch(gossip, now), order[0]);
    assert_true(arrived(gossip, order[0], 7, now + 5));
    assert_int_equal(take_fetch(gossip, now + GOSSIP_FETCH_MS), SIZE_MAX);
    assert_int_equal(report_of(gossip).delivered, 1);
    gossip_free(gossip);
}

static void what_did_not_come_is_asked_of_another_before_what_is_newer(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    announced(gossip, 1, 1, START_MS);
    assert_int_equal(take_fetch(gossip, START_MS), 1);
    announced(gossip, 2, 1, START_MS + 1);
    for (uint64_t i = 2; i < 10; i++) announced(gossip, 2, i, START_MS + GOSSIP_FETCH_MS - 1);
    assert_int_equal(take_fetch(gossip, START_MS + GOSSIP_FETCH_MS), 2);
    assert_int_equal(taken, 9);
    assert_int_equal(number_of(&leaves[0]), 1);
    gossip_free(gossip);
}

static void what_is_here_or_went_lately_is_not_fetched(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    have(gossip, 1, true, START_MS);
    have(gossip, 2, false, START_MS);
    gone(gossip, 2, START_MS);
    gone(gossip, 3, START_MS);             /* final, and never in this pool */
    assert_true(arrived(gossip, 1, 4, START_MS)); /* its signature is being checked */
    for (uint64_t number = 1; number <= 4; number++) {
        announced(gossip, 2, number, START_MS);
        assert_false(arrived(gossip, 2, number, START_MS));
    }
    assert_int_equal(take_fetch(gossip, START_MS), SIZE_MAX);
    assert_int_equal(report_of(gossip).heard_known, 4);
    assert_int_equal(report_of(gossip).duplicates, 4);
    /* After a while only what is in the pool is known. */
    for (uint64_t number = 1; number <= 4; number++) announced(gossip, 2, number, START_MS + GOSSIP_REMEMBER_MS);
    assert_int_equal(take_fetch(gossip, START_MS + GOSSIP_REMEMBER_MS), 2);
    assert_int_equal(taken, 3);
    gossip_free(gossip);
}

static void a_record_that_comes_otherwise_ends_its_fetch(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    for (size_t peer = 1; peer < 4; peer++) announced(gossip, peer, 1, START_MS);
    announced(gossip, 2, 2, START_MS);
    announced(gossip, 2, 3, START_MS);
    while (take_fetch(gossip, START_MS) != SIZE_MAX) continue;
    assert_int_equal(report_of(gossip).open, 3);
    have(gossip, 1, true, START_MS);           /* a client brought it */
    gone(gossip, 2, START_MS);                 /* a block was final */
    assert_true(arrived(gossip, 3, 3, START_MS)); /* another sent it */
    struct gossip_report report = report_of(gossip);
    assert_true(report.open == 0 && report.missing == 0 && report.delivered == 0);
    for (size_t peer = 0; peer < 4; peer++) assert_int_equal(peer_report_of(gossip, peer).announced, 0);
    assert_int_equal(take_fetch(gossip, START_MS + GOSSIP_FETCH_MS), SIZE_MAX);
    assert_int_equal(report_of(gossip).overdue, 0);
    gossip_free(gossip);
}

static void what_arrived_is_coming_until_it_is_in_the_pool_or_was_dropped(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    struct cl_leaf_hash leaf = leaf_of(1), other = leaf_of(2);
    assert_false(gossip_is_coming(gossip, &leaf, START_MS));
    assert_true(arrived(gossip, 1, 1, START_MS));
    assert_true(gossip_is_coming(gossip, &leaf, START_MS + GOSSIP_CHECKED_MS - 1));
    assert_false(gossip_is_coming(gossip, &leaf, START_MS + GOSSIP_CHECKED_MS));
    have(gossip, 1, false, START_MS);
    assert_false(gossip_is_coming(gossip, &leaf, START_MS));
    gone(gossip, 1, START_MS);
    assert_false(gossip_is_coming(gossip, &leaf, START_MS));
    assert_true(arrived(gossip, 1, 2, START_MS));
    gone(gossip, 2, START_MS); /* a block was quicker */
    assert_false(gossip_is_coming(gossip, &other, START_MS));
    gossip_free(gossip);
}

static void one_that_found_no_room_may_come_again(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    struct cl_leaf_hash leaf = leaf_of(1);
    assert_true(arrived(gossip, 1, 1, START_MS));
    gossip_forget(gossip, &leaf);
    assert_true(arrived(gossip, 1, 1, START_MS));
    have(gossip, 1, false, START_MS);
    gossip_forget(gossip, &leaf); /* in the pool: it stays known */
    assert_false(arrived(gossip, 1, 1, START_MS));
    gossip_free(gossip);
}

static void no_more_is_fetched_than_there_is_room_for(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    size_t peer;
    for (uint64_t i = 0; i < 10; i++) announced(gossip, 1, i, START_MS);
    assert_false(gossip_take_fetches(gossip, &peer, leaves, &taken, 0, START_MS));
    assert_true(gossip_take_fetches(gossip, &peer, leaves, &taken, 4, START_MS));
    assert_int_equal(taken, 4);
    assert_int_equal(number_of(&leaves[0]), 0); /* the oldest announcement first */
    gossip_free(gossip);
}

static void announcements_of_one_peer_are_bounded_and_its_oldest_goes(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    announced(gossip, 2, 1u << 20, START_MS);
    for (uint64_t i = 0; i < GOSSIP_ANNOUNCED_MAX + 100; i++) announced(gossip, 1, i, START_MS);
    assert_int_equal(peer_report_of(gossip, 1).announced, GOSSIP_ANNOUNCED_MAX);
    assert_int_equal(peer_report_of(gossip, 1).dropped, 100);
    assert_int_equal(peer_report_of(gossip, 2).announced, 1);
    assert_int_equal(report_of(gossip).missing, GOSSIP_ANNOUNCED_MAX + 1);
    bool first = false, other = false;
    for (size_t peer; (peer = take_fetch(gossip, START_MS)) != SIZE_MAX;) {
        if (peer == 1) first = number_of(&leaves[0]) == 100;
        if (peer == 2) other = number_of(&leaves[0]) == 1u << 20;
    }
    assert_true(first && other);
    gossip_free(gossip);
}

/* Makes a peer deliver until so many may be open at it. */
static void widen(struct gossip *gossip, size_t peer, size_t open_max, uint64_t *number)
{
    while (peer_report_of(gossip, peer).open_max < open_max) {
        announced(gossip, peer, *number, START_MS);
        assert_int_equal(take_fetch(gossip, START_MS), peer);
        assert_true(arrived(gossip, peer, (*number)++, START_MS));
    }
}

static void where_all_of_its_announcements_are_being_fetched_a_new_one_is_dropped(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(6);
    uint64_t number = 1;
    for (size_t peer = 0; peer < 4; peer++) widen(gossip, peer, GOSSIP_OPEN_MAX, &number);
    for (size_t peer = 0; peer < 4; peer++)
        for (size_t i = 0; i < GOSSIP_OPEN_MAX; i++) announced(gossip, peer, number + peer * GOSSIP_OPEN_MAX + i, START_MS);
    while (take_fetch(gossip, START_MS) != SIZE_MAX) assert_int_equal(taken, GOSSIP_OPEN_MAX);
    assert_int_equal(report_of(gossip).open, GOSSIP_ANNOUNCED_MAX);
    for (size_t i = 0; i < GOSSIP_ANNOUNCED_MAX; i++) announced(gossip, 5, number + i, START_MS);
    announced(gossip, 5, 1u << 30, START_MS);
    assert_int_equal(peer_report_of(gossip, 5).announced, GOSSIP_ANNOUNCED_MAX);
    assert_int_equal(peer_report_of(gossip, 5).dropped, 1);
    assert_int_equal(report_of(gossip).missing, GOSSIP_ANNOUNCED_MAX);
    gossip_free(gossip);
}

static void who_does_not_deliver_is_asked_less_and_who_does_more(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    uint64_t now = START_MS, number = 1;
    size_t asked[12], i;
    for (i = 0; i < 12; i++, now += GOSSIP_FETCH_MS) { /* announces whatever fits, brings nothing */
        while (peer_report_of(gossip, 1).announced < GOSSIP_ANNOUNCED_MAX) announced(gossip, 1, number++, now);
        assert_int_equal(take_fetch(gossip, now), 1);
        asked[i] = taken;
        assert_int_equal(take_fetch(gossip, now), SIZE_MAX);
    }
    assert_int_equal(asked[0], GOSSIP_OPEN_FIRST);
    for (i = 1; i < 12; i++) assert_int_equal(asked[i], asked[i - 1] > 1 ? asked[i - 1] / 2 : 1);
    assert_true(take_fetch(gossip, now) == 1 && taken == 1);
    for (uint64_t round = 0; round < 12; round++) { /* then it brings all that it is asked for */
        size_t before = taken;
        for (i = 0; i < before; i++) assert_true(arrived(gossip, 1, number_of(&leaves[i]), now));
        while (peer_report_of(gossip, 1).announced < GOSSIP_ANNOUNCED_MAX) announced(gossip, 1, number++, now);
        assert_int_equal(take_fetch(gossip, now), 1);
        assert_int_equal(taken, 2 * before < GOSSIP_OPEN_MAX ? 2 * before : GOSSIP_OPEN_MAX);
    }
    gossip_free(gossip);
}

static void what_came_and_went_is_remembered_up_to_a_bound(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    for (uint64_t i = 0; i < GOSSIP_REMEMBERED_MAX + 10; i++) assert_true(arrived(gossip, 1, i, START_MS));
    assert_int_equal(report_of(gossip).remembered, GOSSIP_REMEMBERED_MAX);
    for (uint64_t i = 10; i < GOSSIP_REMEMBERED_MAX + 10; i += 97) assert_false(arrived(gossip, 1, i, START_MS));
    assert_true(arrived(gossip, 1, 9, START_MS));
    gossip_free(gossip);
}

static void all_bounds_are_reached_at_once_within_the_memory_set_aside(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    uint64_t number = 1;
    for (size_t i = 0; i < GOSSIP_REMEMBERED_MAX; i++) gone(gossip, number++, START_MS);
    for (size_t i = 0; i < POOL_MAX; i++) have(gossip, number++, i % 2 == 0, START_MS);
    for (size_t peer = 0; peer < 4; peer++)
        for (size_t i = 0; i < GOSSIP_ANNOUNCED_MAX; i++) announced(gossip, peer, number++, START_MS);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(arrived(gossip, 1, number++, START_MS));
        gone(gossip, number++, START_MS);
        announced(gossip, i % 4, number++, START_MS);
    }
    struct gossip_report report = report_of(gossip);
    assert_int_equal(report.remembered, GOSSIP_REMEMBERED_MAX);
    assert_int_equal(report.held, POOL_MAX);
    assert_int_equal(report.missing, 4 * GOSSIP_ANNOUNCED_MAX);
    gossip_free(gossip);
}

static void what_a_peer_may_fetch_is_bounded_and_comes_back(void **state)
{
    (void)state;
    struct gossip *gossip = gossip_of(4);
    size_t served = 0, lookups = 0;
    while (gossip_may_serve(gossip, 1, RECORD_BYTES, START_MS)) served++;
    assert_int_equal(served, GOSSIP_SERVE_BYTES / RECORD_BYTES);
    assert_true(gossip_may_serve(gossip, 2, RECORD_BYTES, START_MS)); /* others have their own */
    assert_true(gossip_may_serve(gossip, 1, RECORD_BYTES, START_MS + 1));
    while (gossip_may_serve(gossip, 3, 0, START_MS)) lookups++;
    assert_true(lookups > 0 && lookups <= GOSSIP_SERVE_BYTES / 64);
    for (served = 0; gossip_may_serve(gossip, 1, RECORD_BYTES, START_MS + 10000000); served++) continue;
    assert_int_equal(served, GOSSIP_SERVE_BYTES / RECORD_BYTES);
    assert_int_equal(peer_report_of(gossip, 1).unserved, 2);
    gossip_free(gossip);
}

/* ---- at random, against a plain model of 200 records */
static uint64_t random_state;
static uint64_t random_below(uint64_t bound)
{
    random_state += 0x9e3779b97f4a7c15ull;
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % bound;
}

#define MODEL_RECORDS 200u
#define MODEL_PEERS 5u
enum model_state { MODEL_UNKNOWN, MODEL_HELD, MODEL_GONE };
struct model { enum model_state state; uint64_t gone_ms, asked_ms; bool by[MODEL_PEERS], open; size_t asked; };
static struct model model[MODEL_RECORDS];

static void model_settle(struct model *record, enum model_state to, uint64_t now)
{
    *record = (struct model){ .state = to, .gone_ms = now };
}

static void model_pass(uint64_t now)
{
    for (size_t i = 0; i < MODEL_RECORDS; i++) {
        struct model *record = &model[i];
        if (!record->open || now - record->asked_ms < GOSSIP_FETCH_MS) continue;
        record->open = false;
        record->by[record->asked] = false;
    }
}

/* Whatever is asked for is missing, announced by that peer since it was last asked, and asked of nobody else; and what can
   be asked for is. */
static void model_fetch(struct gossip *gossip, uint64_t now)
{
    model_pass(now);
    for (size_t peer; (peer = take_fetch(gossip, now)) != SIZE_MAX;) {
        for (size_t i = 0; i < taken; i++) {
            struct model *record = &model[number_of(&leaves[i])];
            assert_true(record->state != MODEL_HELD && record->by[peer] && !record->open);
            record->open = true;
            record->asked = peer;
            record->asked_ms = now;
        }
    }
    size_t open = 0, missing = 0;
    for (size_t i = 0; i < MODEL_RECORDS; i++) {
        bool any = false, room = false;
        for (size_t peer = 0; peer < MODEL_PEERS; peer++) {
            struct gossip_peer_report report = peer_report_of(gossip, peer);
            any = any || model[i].by[peer];
            room = room || (model[i].by[peer] && report.open < report.open_max);
        }
        assert_false(room && !model[i].open);
        open += model[i].open;
        missing += any;
    }
    assert_int_equal(report_of(gossip).open, open);
    assert_int_equal(report_of(gossip).missing, missing);
}

static void at_random_it_does_what_a_plain_model_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct gossip *gossip = gossip_of(MODEL_PEERS);
        uint64_t now = START_MS;
        random_state = seed;
        memset(model, 0, sizeof model);
        for (size_t step = 0; step < 3000; step++) {
            size_t number = random_below(MODEL_RECORDS), peer = random_below(MODEL_PEERS), act = random_below(100);
            struct model *record = &model[number];
            if (record->state == MODEL_GONE && now - record->gone_ms >= GOSSIP_REMEMBER_MS) record->state = MODEL_UNKNOWN;
            if (act < 60) {
                announced(gossip, peer, number, now);
                if (record->state == MODEL_UNKNOWN) record->by[peer] = true;
            } else if (act < 75) {
                bool expected = record->state == MODEL_UNKNOWN;
                assert_int_equal(arrived(gossip, peer, number, now), expected);
                if (expected) model_settle(record, MODEL_GONE, now);
            } else if (act < 80) {
                have(gossip, number, act < 78, now);
                model_settle(record, MODEL_HELD, now);
            } else if (act < 85) {
                gone(gossip, number, now);
                model_settle(record, MODEL_GONE, now);
            } else if (act < 95) {
                model_fetch(gossip, now);
            } else {
                now += random_below(act == 99 ? 20000 : 800);
                while (take_fresh(gossip, true, now) != GOSSIP_NOTHING)
                    for (size_t i = 0; i < taken; i++) assert_int_equal(model[number_of(&leaves[i])].state, MODEL_HELD);
                take_repairs(gossip, now);
                for (size_t i = 0; i < taken; i++) assert_int_equal(model[number_of(&leaves[i])].state, MODEL_HELD);
                model_fetch(gossip, now);
            }
        }
        gossip_free(gossip);
    }
}

/* ---- whole networks on a virtual clock: messages are lost, doubled, overtake each other; some members lie */
#define SIM_NODES_MAX 31u
#define SIM_RECORDS_MAX 2000u
#define SIM_DELAY_MS_MAX 60u
enum sim_kind { SIM_RECORDS, SIM_ANNOUNCE, SIM_FETCH };
struct sim_message { struct sim_message *next; enum sim_kind kind; size_t from, to, count; struct cl_leaf_hash leaves[]; };
struct sim {
    size_t nodes, liars, records;
    unsigned loss, doubled; /* in a hundred */
    uint64_t now_ms;
    struct gossip *gossip[SIM_NODES_MAX];
    bool holds[SIM_NODES_MAX][SIM_RECORDS_MAX];
    uint64_t asked_ms[SIM_NODES_MAX][SIM_RECORDS_MAX]; /* an open fetch's time */
    struct sim_message *wheel[SIM_DELAY_MS_MAX];       /* by the millisecond in which it comes */
    uint64_t transfers, fetches, frames, lies;
};

static bool sim_lies(const struct sim *sim, size_t node) { return node >= sim->nodes - sim->liars; }

static void sim_post(struct sim *sim, size_t from, size_t to, enum sim_kind kind, const struct cl_leaf_hash *items, size_t count)
{
    for (unsigned copies = random_below(100) < sim->doubled ? 2 : 1; copies > 0; copies--) {
        if (random_below(100) < sim->loss) continue;
        struct sim_message *message = malloc(sizeof *message + count * sizeof *items);
        assert_non_null(message);
        struct sim_message **slot = &sim->wheel[(sim->now_ms + 1 + random_below(SIM_DELAY_MS_MAX - 1)) % SIM_DELAY_MS_MAX];
        *message = (struct sim_message){ *slot, kind, from, to, count };
        memcpy(message->leaves, items, count * sizeof *items);
        *slot = message;
    }
    sim->frames++;
    if (kind == SIM_RECORDS) sim->transfers += count;
    if (kind == SIM_FETCH) sim->fetches += count;
}

static void sim_post_all(struct sim *sim, size_t from, enum sim_kind kind, const struct cl_leaf_hash *items, size_t count)
{
    for (size_t to = 0; to < sim->nodes; to++)
        if (to != from) sim_post(sim, from, to, kind, items, count);
}

static void sim_receive(struct sim *sim, const struct sim_message *message)
{
    struct gossip *gossip = sim->gossip[message->to];
    struct cl_leaf_hash found[FRAME_ANNOUNCED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < message->count; i++) {
        const struct cl_leaf_hash *leaf = &message->leaves[i];
        uint64_t number = number_of(leaf);
        bool *holds = number < sim->records ? &sim->holds[message->to][number] : NULL;
        switch (message->kind) {
        case SIM_ANNOUNCE: gossip_announced(gossip, message->from, leaf, sim->now_ms); break;
        case SIM_FETCH:
            if (holds != NULL && *holds && gossip_may_serve(gossip, message->from, RECORD_BYTES, sim->now_ms)) found[count++] = *leaf;
            break;
        case SIM_RECORDS:
            sim->asked_ms[message->to][number] = 0;
            if (!gossip_arrived(gossip, message->from, leaf, sim->now_ms)) break;
            assert_false(*holds);
            *holds = true;
            gossip_have(gossip, leaf, RECORD_BYTES, false, sim->now_ms);
            break;
        }
    }
    if (count > 0) sim_post(sim, message->to, message->from, SIM_RECORDS, found, count);
}

/* A liar says that it has whatever it hears of, and much that nobody has, and delivers nothing. */
static void sim_lie(struct sim *sim, const struct sim_message *message)
{
    struct cl_leaf_hash lies[64];
    if (message->kind == SIM_FETCH || sim_lies(sim, message->from)) return;
    sim_post_all(sim, message->to, SIM_ANNOUNCE, message->leaves, message->count);
    for (size_t i = 0; i < 64; i++) lies[i] = leaf_of((1ull << 40) + sim->lies++);
    sim_post_all(sim, message->to, SIM_ANNOUNCE, lies, 64);
}

static void sim_round(struct sim *sim, size_t node)
{
    struct gossip *gossip = sim->gossip[node];
    enum gossip_how how = take_fresh(gossip, false, sim->now_ms);
    if (how != GOSSIP_NOTHING) sim_post_all(sim, node, how == GOSSIP_PUSH ? SIM_RECORDS : SIM_ANNOUNCE, leaves, taken);
    if (take_repairs(gossip, sim->now_ms) > 0) sim_post_all(sim, node, SIM_ANNOUNCE, leaves, taken);
    for (size_t peer; (peer = take_fetch(gossip, sim->now_ms)) != SIZE_MAX;) {
        for (size_t i = 0; i < taken; i++) {
            uint64_t number = number_of(&leaves[i]);
            if (number >= sim->records) continue;
            uint64_t *asked = &sim->asked_ms[node][number];
            assert_true(!sim->holds[node][number] && (*asked == 0 || sim->now_ms - *asked >= GOSSIP_FETCH_MS)); /* one at a time */
            *asked = sim->now_ms;
        }
        sim_post(sim, node, peer, SIM_FETCH, leaves, taken);
    }
    if (sim->now_ms % 100 != 0) return;
    for (size_t peer = 0; peer < sim->nodes; peer++) {
        struct gossip_peer_report report = peer_report_of(gossip, peer);
        assert_true(report.announced <= GOSSIP_ANNOUNCED_MAX && report.open <= GOSSIP_OPEN_MAX);
    }
    assert_true(report_of(gossip).missing <= sim->nodes * GOSSIP_ANNOUNCED_MAX);
}

static void sim_step(struct sim *sim)
{
    struct sim_message *due = sim->wheel[++sim->now_ms % SIM_DELAY_MS_MAX];
    sim->wheel[sim->now_ms % SIM_DELAY_MS_MAX] = NULL;
    while (due != NULL) {
        struct sim_message *message = due;
        due = message->next;
        if (sim_lies(sim, message->to)) sim_lie(sim, message);
        else sim_receive(sim, message);
        free(message);
    }
    for (size_t node = 0; node < sim->nodes - sim->liars; node++) sim_round(sim, node);
}

static bool sim_complete(const struct sim *sim)
{
    for (size_t node = 0; node < sim->nodes - sim->liars; node++)
        for (size_t i = 0; i < sim->records; i++)
            if (!sim->holds[node][i]) return false;
    return true;
}

struct sim_result { double transfers, fetches; uint64_t ms; };

/* records come to honest nodes within a second; runs until all honest ones have all. Counted for each record and honest
   node that lacked it. */
static struct sim_result sim_run(size_t nodes, size_t liars, size_t records, unsigned loss, unsigned doubled, uint64_t seed, uint64_t ms_max)
{
    static struct sim sim;
    memset(&sim, 0, sizeof sim);
    sim = (struct sim){ .nodes = nodes, .liars = liars, .records = records, .loss = loss, .doubled = doubled, .now_ms = START_MS };
    random_state = seed;
    for (size_t node = 0; node < nodes - liars; node++) sim.gossip[node] = gossip_of(nodes);
    for (size_t number = 0; number < records;) {
        for (size_t i = 0; i < (records + 999) / 1000 && number < records; i++, number++) {
            size_t first = random_below(nodes - liars);
            sim.holds[first][number] = true;
            have(sim.gossip[first], number, true, sim.now_ms);
        }
        sim_step(&sim);
    }
    while (!sim_complete(&sim) && sim.now_ms < START_MS + ms_max) sim_step(&sim);
    assert_true(sim_complete(&sim));
    struct sim_result result = { .ms = sim.now_ms - START_MS };
    double needed = (double)records * (double)(nodes - 1 - liars);
    result.transfers = (double)sim.transfers / needed;
    result.fetches = (double)sim.fetches / needed;
    for (size_t i = 0; i < SIM_DELAY_MS_MAX; i++)
        for (struct sim_message *message = sim.wheel[i], *next; message != NULL; message = next) {
            next = message->next;
            free(message);
        }
    for (size_t node = 0; node < nodes - liars; node++) gossip_free(sim.gossip[node]);
    print_message("           %2zu nodes, %2zu of them lie, loss %u %%, doubled %u %%: for each record and node that lacks it %.3f sent, %.3f asked for; complete after %.1f s\n",
                  nodes, liars, loss, doubled, result.transfers, result.fetches, (double)result.ms / 1000);
    return result;
}

static void over_good_links_four_nodes_send_each_record_once_to_each_and_ask_for_nothing(void **state)
{
    (void)state;
    struct sim_result result = sim_run(4, 0, 2000, 0, 0, 1, 2000);
    assert_true(result.transfers == 1.0 && result.fetches == 0.0);
}

static void over_good_links_31_nodes_fetch_each_record_once(void **state)
{
    (void)state;
    struct sim_result result = sim_run(31, 0, 1000, 0, 0, 2, 2000);
    assert_true(result.transfers == 1.0 && result.fetches == 1.0);
}

static void over_bad_links_every_record_reaches_all_and_few_are_sent_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim_result four = sim_run(4, 0, 2000, 10, 10, seed, 60000);
        assert_true(four.transfers < 1.2 && four.fetches < 0.3);
    }
    struct sim_result many = sim_run(31, 0, 500, 10, 10, 9, 60000);
    assert_true(many.transfers < 1.3 && many.fetches < 1.5);
}

static void a_third_of_liars_delays_records_but_stops_none(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim_result four = sim_run(4, 1, 1000, 5, 5, seed, 60000);
        assert_true(four.transfers < 2.0 && four.fetches < 3.0); /* a liar is sent to as well */
    }
    struct sim_result many = sim_run(31, 10, 300, 5, 5, 9, 120000);
    assert_true(many.transfers < 1.5 && many.fetches < 60.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_to_eight_members_a_new_record_is_sent_and_above_announced),
        cmocka_unit_test(what_came_from_another_member_is_not_sent_on),
        cmocka_unit_test(what_comes_alone_goes_at_once_and_what_follows_is_gathered),
        cmocka_unit_test(many_bytes_do_not_wait_for_more),
        cmocka_unit_test(more_than_the_lanes_hold_is_announced_until_they_had_time),
        cmocka_unit_test(what_waits_is_announced_again_with_growing_pauses),
        cmocka_unit_test(repairs_are_bounded_and_leave_nothing_out),
        cmocka_unit_test(what_left_the_pool_is_told_to_nobody),
        cmocka_unit_test(a_missing_record_is_asked_of_one_announcer_and_after_the_limit_of_another),
        cmocka_unit_test(what_did_not_come_is_asked_of_another_before_what_is_newer),
        cmocka_unit_test(what_is_here_or_went_lately_is_not_fetched),
        cmocka_unit_test(a_record_that_comes_otherwise_ends_its_fetch),
        cmocka_unit_test(what_arrived_is_coming_until_it_is_in_the_pool_or_was_dropped),
        cmocka_unit_test(one_that_found_no_room_may_come_again),
        cmocka_unit_test(no_more_is_fetched_than_there_is_room_for),
        cmocka_unit_test(announcements_of_one_peer_are_bounded_and_its_oldest_goes),
        cmocka_unit_test(where_all_of_its_announcements_are_being_fetched_a_new_one_is_dropped),
        cmocka_unit_test(who_does_not_deliver_is_asked_less_and_who_does_more),
        cmocka_unit_test(what_came_and_went_is_remembered_up_to_a_bound),
        cmocka_unit_test(all_bounds_are_reached_at_once_within_the_memory_set_aside),
        cmocka_unit_test(what_a_peer_may_fetch_is_bounded_and_comes_back),
        cmocka_unit_test(at_random_it_does_what_a_plain_model_does),
        cmocka_unit_test(over_good_links_four_nodes_send_each_record_once_to_each_and_ask_for_nothing),
        cmocka_unit_test(over_good_links_31_nodes_fetch_each_record_once),
        cmocka_unit_test(over_bad_links_every_record_reaches_all_and_few_are_sent_twice),
        cmocka_unit_test(a_third_of_liars_delays_records_but_stops_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

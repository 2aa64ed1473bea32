/* The vote log: what was synced is read back, a torn tail is cut, damage elsewhere stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "block.h"
#include "consent/record.h"
#include "crypto.h"
#include "files.h"
#include "votelog.h"

static char directory[64], path[96], sentence[256];
static const struct votelog_start own = { .network = { { 1, 2, 3 } }, .epoch = 0, .member = 4 };

struct entries { size_t count; uint8_t types[64]; size_t lengths[64]; uint8_t first[64]; };

static enum cl_status note(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct entries *entries = context;
    assert_true(entries->count < 64);
    entries->types[entries->count] = (uint8_t)type;
    entries->lengths[entries->count] = length;
    entries->first[entries->count++] = payload[0];
    return CL_OK;
}

static int setup(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test-votelog-XXXXXX");
    if (mkdtemp(directory) == NULL) return 1;
    snprintf(path, sizeof path, "%s/vote.log", directory);
    return votelog_create(path, &own, sentence, sizeof sentence) == CL_OK ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static struct votelog *open_good(struct entries *entries)
{
    struct votelog *log = NULL;
    memset(entries, 0, sizeof *entries);
    assert_int_equal(votelog_open(&log, path, &own, note, entries, sentence, sizeof sentence), CL_OK);
    return log;
}

static enum cl_status open_bad(void)
{
    struct votelog *log = NULL;
    struct entries entries = { 0 };
    enum cl_status status = votelog_open(&log, path, &own, note, &entries, sentence, sizeof sentence);
    assert_null(log);
    return status;
}

static void append(struct votelog *log, enum votelog_type type, uint8_t mark, size_t length)
{
    uint8_t payload[70000];
    memset(payload, mark, sizeof payload);
    assert_int_equal(votelog_append(log, type, payload, length), CL_OK);
}

enum { VOTE_SEED = 42 };

/* A real one, as its member signs it. */
static struct cl_buffer vote_of(uint64_t view, uint32_t voter)
{
    struct cl_buffer bytes = { 0 }, out = { 0 };
    uint8_t seed[32];
    memset(seed, VOTE_SEED, sizeof seed);
    struct cl_vote vote = { .view = view, .kind = CL_VOTE_NOTARIZE, .has_block = true, .voter = voter, .block = { { 7 } } };
    assert_int_equal(cl_vote_signed_bytes(&bytes, &own.network, 0, vote.kind, view, &vote.block), CL_OK);
    cl_ed25519_sign(vote.signature, seed, bytes.data, bytes.length);
    assert_int_equal(cl_vote_encode(&out, &vote), CL_OK);
    cl_buffer_deinit(&bytes);
    return out;
}

static size_t append_vote(struct votelog *log, uint64_t view)
{
    struct cl_buffer vote = vote_of(view, own.member);
    size_t length = vote.length;
    assert_int_equal(votelog_append(log, VOTELOG_VOTE, vote.data, vote.length), CL_OK);
    cl_buffer_deinit(&vote);
    return length;
}

static struct cl_buffer content(void)
{
    struct cl_buffer bytes = { 0 };
    assert_int_equal(file_read(&bytes, path, 1 << 24), CL_OK);
    return bytes;
}

static void write_content(const uint8_t *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static size_t last_entry_length;

static void fill(void)
{
    struct entries entries;
    struct votelog *log = open_good(&entries);
    append(log, VOTELOG_RECORD, 11, 300);
    append(log, VOTELOG_PROPOSAL, 12, 500);
    append_vote(log, 13);
    assert_int_equal(votelog_sync(log), CL_OK);
    append(log, VOTELOG_CERTIFICATE, 14, 200);
    last_entry_length = 9 + append_vote(log, 15);
    assert_int_equal(votelog_sync(log), CL_OK);
    votelog_close(log);
}

static void what_was_synced_is_read_back_in_order(void **state)
{
    (void)state;
    struct entries entries;
    fill();
    struct votelog *log = open_good(&entries);
    const uint8_t types[] = { VOTELOG_RECORD, VOTELOG_PROPOSAL, VOTELOG_VOTE, VOTELOG_CERTIFICATE, VOTELOG_VOTE };
    assert_int_equal(entries.count, 5);
    assert_memory_equal(entries.types, types, 5);
    const uint8_t first[] = { 11, 12, 0x87, 14, 0x87 };
    assert_memory_equal(entries.first, first, 5);
    append(log, VOTELOG_VOTE, 16, 122); /* and it goes on */
    assert_int_equal(votelog_sync(log), CL_OK);
    votelog_close(log);
    log = open_good(&entries);
    assert_int_equal(entries.count, 6);
    votelog_close(log);
}

static void what_was_not_synced_is_not_there(void **state)
{
    (void)state;
    struct entries entries;
    struct votelog *log = open_good(&entries);
    append(log, VOTELOG_VOTE, 1, 100);
    votelog_close(log);
    log = open_good(&entries);
    assert_int_equal(entries.count, 0);
    votelog_close(log);
}

static void a_tail_torn_at_any_byte_is_cut(void **state)
{
    (void)state;
    struct entries entries;
    fill();
    struct cl_buffer whole = content();
    size_t last = last_entry_length;
    for (size_t cut = 1; cut < last; cut++) {
        write_content(whole.data, whole.length - cut);
        struct votelog *log = open_good(&entries);
        assert_int_equal(entries.count, 4);
        assert_int_equal(votelog_size(log), whole.length - last);
        votelog_close(log);
        struct cl_buffer after = content();
        assert_int_equal(after.length, whole.length - last);
        cl_buffer_deinit(&after);
    }
    cl_buffer_deinit(&whole);
}

static void damage_before_the_last_entry_stops(void **state)
{
    (void)state;
    fill();
    struct cl_buffer whole = content();
    size_t last_entry = whole.length - last_entry_length;
    for (size_t at = 0; at < last_entry; at += at < 80 ? 1 : 7) {
        whole.data[at] ^= 0x40;
        write_content(whole.data, whole.length);
        enum cl_status status = open_bad();
        assert_true(status == CL_E_STORE_CORRUPT || status == CL_E_STORE_NEWER);
        assert_true(strlen(sentence) > 20);
        whole.data[at] ^= 0x40;
    }
    cl_buffer_deinit(&whole);
}

/* Two files one after the other: whoever put them together does not know what this node signed. */
static void a_second_beginning_stops(void **state)
{
    (void)state;
    fill();
    struct cl_buffer whole = content();
    size_t start_entry = 9 + ((size_t)whole.data[8] | (size_t)whole.data[9] << 8);
    struct cl_buffer twice = { 0 };
    assert_int_equal(cl_buffer_append(&twice, whole.data, whole.length), CL_OK);
    assert_int_equal(cl_buffer_append(&twice, whole.data + 8, start_entry), CL_OK);
    write_content(twice.data, twice.length);
    assert_int_equal(open_bad(), CL_E_STORE_CORRUPT);
    cl_buffer_deinit(&twice);
    cl_buffer_deinit(&whole);
}

/* Records are other people's bytes: nobody may keep a node from starting after a crash by what they put into one. */
static void a_torn_record_that_holds_an_entry_is_still_a_torn_tail(void **state)
{
    (void)state;
    struct entries entries;
    uint8_t key[32], seed[32];
    memset(seed, VOTE_SEED, sizeof seed);
    cl_ed25519_public(key, seed);
    struct votelog_start known = own;
    known.vote_key32 = key;
    for (int fake = 0; fake < 4; fake++) {
        fill();
        struct cl_buffer whole = content(), inside = { 0 }, vote = vote_of(99, fake == 2 ? own.member + 1 : own.member);
        if (fake == 3) vote.data[vote.length - 1] ^= 1; /* ours but for the signature */
        uint8_t head[9] = { 0 }, torn[9] = { 0xe8, 3, 0, 0, 1, 2, 3, 4, VOTELOG_RECORD }; /* 1000 bytes, of which 400 came */
        enum votelog_type type = fake == 0 ? VOTELOG_RECORD : fake == 1 ? VOTELOG_PROPOSAL : VOTELOG_VOTE;
        uint32_t crc = cl_crc32c((uint8_t)type, vote.data, vote.length);
        head[0] = (uint8_t)vote.length;
        for (int i = 0; i < 4; i++) head[4 + i] = (uint8_t)(crc >> (8 * i));
        head[8] = (uint8_t)type;
        size_t good = whole.length;
        assert_int_equal(cl_buffer_append(&inside, whole.data, whole.length), CL_OK);
        assert_int_equal(cl_buffer_append(&inside, torn, 9), CL_OK);
        assert_int_equal(cl_buffer_append(&inside, seed, 32), CL_OK);
        assert_int_equal(cl_buffer_append(&inside, head, 9), CL_OK);
        assert_int_equal(cl_buffer_append(&inside, vote.data, vote.length), CL_OK);
        assert_int_equal(cl_buffer_append(&inside, seed, 32), CL_OK);
        write_content(inside.data, inside.length);
        struct votelog *log = NULL;
        memset(&entries, 0, sizeof entries);
        assert_int_equal(votelog_open(&log, path, &known, note, &entries, sentence, sizeof sentence), CL_OK);
        assert_int_equal(entries.count, 5);
        assert_int_equal(votelog_size(log), good);
        votelog_close(log);
        cl_buffer_deinit(&whole);
        cl_buffer_deinit(&inside);
        cl_buffer_deinit(&vote);
        unlink(path);
        assert_int_equal(votelog_create(path, &own, sentence, sizeof sentence), CL_OK);
    }
}

static void another_network_member_or_epoch_is_refused(void **state)
{
    (void)state;
    struct votelog *log = NULL;
    struct votelog_start other = own;
    other.member = 5;
    assert_int_equal(votelog_open(&log, path, &other, NULL, NULL, sentence, sizeof sentence), CL_E_STORE_OTHER);
    other = own;
    other.epoch = 1;
    assert_int_equal(votelog_open(&log, path, &other, NULL, NULL, sentence, sizeof sentence), CL_E_STORE_OTHER);
    other = own;
    other.network.bytes[0] ^= 1;
    assert_int_equal(votelog_open(&log, path, &other, NULL, NULL, sentence, sizeof sentence), CL_E_STORE_OTHER);
    unlink(path);
    assert_int_equal(votelog_open(&log, path, &own, NULL, NULL, sentence, sizeof sentence), CL_E_NOT_FOUND);
}

static void a_newer_format_is_named_as_such(void **state)
{
    (void)state;
    struct cl_buffer whole = content();
    whole.data[7] = '2';
    write_content(whole.data, whole.length);
    assert_int_equal(open_bad(), CL_E_STORE_NEWER);
    assert_non_null(strstr(sentence, "newer"));
    cl_buffer_deinit(&whole);
}

static void an_existing_log_is_never_made_anew(void **state)
{
    (void)state;
    assert_int_equal(votelog_create(path, &own, sentence, sizeof sentence), CL_E_EXISTS);
}

static void starting_anew_keeps_what_was_appended_for_it(void **state)
{
    (void)state;
    struct entries entries;
    fill();
    struct votelog *log = open_good(&entries);
    uint64_t before = votelog_size(log);
    append(log, VOTELOG_VOTE, 77, 90);
    assert_int_equal(votelog_restart(log), CL_OK);
    assert_true(votelog_size(log) < before);
    append(log, VOTELOG_VOTE, 78, 91);
    assert_int_equal(votelog_sync(log), CL_OK);
    votelog_close(log);
    log = open_good(&entries);
    assert_int_equal(entries.count, 2);
    assert_int_equal(entries.first[0], 77);
    assert_int_equal(entries.first[1], 78);
    votelog_close(log);
}

/* For a member that no longer knows what it signed: nothing but a bar, and what was there is kept. */
static void a_replaced_log_forbids_every_vote(void **state)
{
    (void)state;
    struct entries entries;
    char old[128];
    uint64_t view = 0;
    snprintf(old, sizeof old, "%s.old", path);
    fill();
    for (int round = 0; round < 3; round++) { /* damaged, good, missing: the same comes of it */
        struct cl_buffer before = content(), kept = { 0 };
        if (round == 0) {
            before.data[100] ^= 1;
            write_content(before.data, before.length);
        }
        if (round == 2) unlink(path);
        assert_int_equal(votelog_replace(path, &own, sentence, sizeof sentence), CL_OK);
        assert_int_equal(file_read(&kept, old, 1 << 20), round == 2 ? CL_E_NOT_FOUND : CL_OK);
        assert_true(round == 2 || (kept.length == before.length && memcmp(kept.data, before.data, kept.length) == 0));
        struct votelog *log = open_good(&entries);
        assert_true(entries.count == 1 && entries.types[0] == VOTELOG_BAR);
        votelog_close(log);
        cl_buffer_deinit(&before);
        cl_buffer_deinit(&kept);
    }
    struct cl_buffer bar = { 0 };
    for (uint64_t each = 0; each < 3; each++) {
        uint64_t given = each == 2 ? VOTELOG_BAR_UNKNOWN : each * 70000;
        bar.length = 0;
        assert_int_equal(votelog_bar_encode(&bar, given), CL_OK);
        assert_int_equal(votelog_bar_decode(&view, bar.data, bar.length), CL_OK);
        assert_true(view == given);
    }
    static const uint8_t largest[] = { 0x1b, 255, 255, 255, 255, 255, 255, 255, 255 }, text[] = { 0x61, 'a' }, longer[] = { 1, 2 };
    assert_int_equal(votelog_bar_decode(&view, largest, sizeof largest), CL_E_STORE_CORRUPT);
    assert_int_equal(votelog_bar_decode(&view, text, sizeof text), CL_E_STORE_CORRUPT);
    assert_int_equal(votelog_bar_decode(&view, longer, sizeof longer), CL_E_STORE_CORRUPT);
    assert_int_equal(votelog_bar_decode(&view, NULL, 0), CL_E_STORE_CORRUPT);
    cl_buffer_deinit(&bar);
    unlink(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_synced_is_read_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_synced_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tail_torn_at_any_byte_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_before_the_last_entry_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_beginning_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_format_is_named_as_such, setup, teardown),
        cmocka_unit_test_setup_teardown(an_existing_log_is_never_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(starting_anew_keeps_what_was_appended_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_record_that_holds_an_entry_is_still_a_torn_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(another_network_member_or_epoch_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replaced_log_forbids_every_vote, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

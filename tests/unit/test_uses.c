/* Uses of data: the log's lines, statements, and proofs of what was used and what was not; against bytes that another
   implementation made (tests/vectors/uses.py), and against organisations and customers that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consent/uses.h"
#include "consent/wallet.h"
#include "fixture.h"
#include "proof_world.h"
#include "vectors.h"

#define FROM 1700000000u
#define UNTIL 1700100000u

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = vectors_load("tests/vectors/uses.json");
    return 0;
}
static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

/* ---- an organisation with some agreements; agreement i is used i % 3 times */

struct organisation {
    struct proof_world *world;
    struct cl_policy *policy;
    struct proof_world_key key;
    struct cl_object_id profile;
    struct cl_buffer lists[300], record, receipt;
    struct cl_uses_account accounts[300];
    struct cl_uses_statement statement;
    struct cl_uses_tree *tree;
};

static struct cl_view text_view(const char *text) { return (struct cl_view){(const uint8_t *)text, strlen(text)}; }

static int by_id(const void *a, const void *b) { return memcmp(a, b, 32); }

static void uses_of(struct cl_buffer *out, size_t count)
{
    struct cl_use uses[3];
    for (size_t i = 0; i < count; i++)
        uses[i] = (struct cl_use){.time_ms = FROM * 1000ull + 7 * i, .slot = (uint8_t)i, .purpose = text_view("https://w3id.org/dpv#Marketing"), .reference = text_view(i == 0 ? "" : "again")};
    out->length = 0;
    FIXTURE_OK(cl_use_list_encode(out, uses, count, FROM, UNTIL));
}

/* The STATEMENT alone in a log of one leaf, with a receipt from three of four members. */
static void state_as(struct organisation *one, const struct cl_entry *entries, size_t count, enum cl_record_type type, bool skip)
{
    struct cl_entry copy[2];
    struct cl_signer signer;
    struct cl_buffer note = {0};
    struct cl_leaf_hash leaf;
    memcpy(copy, entries, count * sizeof *entries);
    fixture_signer(&signer, 7);
    struct cl_draft draft = {.type = type, .skip_refused = skip, .issued_at_ms = UNTIL * 1000ull, .entries = copy, .entry_count = count};
    one->record.length = one->receipt.length = 0;
    FIXTURE_OK(cl_record_sign(&one->record, NULL, NULL, &draft, &signer, &one->world->network));
    cl_log_leaf_hash(&leaf, one->record.data, one->record.length);
    struct proof_world alone = *one->world;
    alone.leaf_count = 1;
    memcpy(alone.root.bytes, leaf.bytes, 32);
    proof_world_checkpoint(&note, &alone, 3, UNTIL + 60);
    FIXTURE_OK(cl_tlog_proof_encode(&one->receipt, 0, NULL, 0, note.data, note.length));
    cl_buffer_deinit(&note);
}

static struct cl_entry entry_of(const struct organisation *one, const struct cl_hash *root)
{
    return (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(4) | CL_HAS(5), .object = one->profile.bytes, .object_length = 32, .commitment = root->bytes, .not_before = FROM, .not_after = UNTIL};
}

static void commit(struct organisation *one)
{
    struct cl_hash root;
    cl_uses_tree_free(one->tree);
    one->tree = NULL;
    FIXTURE_OK(cl_uses_tree_new(&one->tree, &one->statement));
    cl_uses_tree_root(&root, one->tree);
    struct cl_entry entry = entry_of(one, &root);
    state_as(one, &entry, 1, CL_STATEMENT, false);
}

static struct organisation *organisation_new(size_t agreements)
{
    struct organisation *one = calloc(1, sizeof *one);
    assert_non_null(one);
    one->world = proof_world_new(4);
    one->policy = proof_world_policy(one->world);
    fixture_hash(one->profile.bytes, "profile", 1);
    for (size_t i = 0; i < agreements; i++)
        fixture_hash(one->accounts[i].agreement.bytes, "agreement", i);
    qsort(one->accounts, agreements, sizeof one->accounts[0], by_id);
    for (size_t i = 0; i < agreements; i++) {
        uses_of(&one->lists[i], i % 3);
        fixture_hash(one->accounts[i].salt32, "salt", i);
        one->accounts[i].list = (struct cl_view){one->lists[i].data, one->lists[i].length};
    }
    one->statement = (struct cl_uses_statement){.profile = one->profile, .from_s = FROM, .until_s = UNTIL, .account_count = agreements, .accounts = one->accounts};
    commit(one);
    return one;
}

static void organisation_free(struct organisation *one)
{
    cl_uses_tree_free(one->tree);
    for (size_t i = 0; i < 300; i++)
        cl_buffer_deinit(&one->lists[i]);
    cl_buffer_deinit(&one->record);
    cl_buffer_deinit(&one->receipt);
    cl_policy_free(one->policy);
    proof_world_free(one->world);
    free(one);
}

static struct cl_buffer proof_of(const struct organisation *one, const struct cl_object_id *agreement)
{
    struct cl_buffer proof = {0};
    FIXTURE_OK(cl_uses_prove(&proof, one->tree, &one->world->network, (struct cl_view){one->record.data, one->record.length}, (struct cl_view){one->receipt.data, one->receipt.length}, agreement));
    return proof;
}

static enum cl_status verify(struct cl_uses_report *report, const struct organisation *one, const struct cl_buffer *proof) { return cl_uses_verify(report, proof->data, proof->length, one->policy); }

/* ---- what holds */

static void every_agreement_gets_its_own_uses_and_any_other_none(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 17, 300};
    static struct cl_uses_report report;
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct organisation *one = organisation_new(sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++) {
            struct cl_buffer proof = proof_of(one, &one->accounts[i].agreement);
            struct cl_use use;
            size_t seen = 0;
            assert_int_equal(verify(&report, one, &proof), CL_OK);
            assert_true(report.named);
            assert_int_equal(report.use_count, i % 3);
            while (cl_use_take(&use, &report.items))
                assert_int_equal(use.slot, seen++);
            assert_int_equal(seen, i % 3);
            assert_memory_equal(report.agreement.bytes, one->accounts[i].agreement.bytes, 32);
            assert_memory_equal(report.profile.bytes, one->profile.bytes, 32);
            assert_int_equal(report.from_s, FROM);
            assert_int_equal(report.until_s, UNTIL);
            assert_int_equal(report.receipt.quorum.signed_count, 3);
            cl_buffer_deinit(&proof);
        }
        for (uint64_t i = 0; i < 40; i++) { /* on both edges too, where the tree is small */
            struct cl_object_id stranger;
            fixture_hash(stranger.bytes, "stranger", i);
            struct cl_buffer proof = proof_of(one, &stranger);
            assert_int_equal(verify(&report, one, &proof), CL_OK);
            assert_false(report.named);
            assert_int_equal(report.use_count, 0);
            assert_memory_equal(report.agreement.bytes, stranger.bytes, 32);
            cl_buffer_deinit(&proof);
        }
        organisation_free(one);
    }
}

static void the_same_uses_under_another_salt_give_another_root(void **state)
{
    struct organisation *one = organisation_new(9);
    struct cl_hash before, after;
    (void)state;
    cl_uses_tree_root(&before, one->tree);
    one->accounts[4].salt32[0] ^= 1;
    commit(one);
    cl_uses_tree_root(&after, one->tree);
    assert_memory_not_equal(before.bytes, after.bytes, 32);
    organisation_free(one);
}

static void a_proof_shows_nothing_of_other_agreements(void **state)
{
    struct organisation *one = organisation_new(30);
    struct cl_buffer proof = proof_of(one, &one->accounts[10].agreement);
    (void)state;
    for (size_t i = 0; i < 30; i++) {
        bool found = i == 10;
        for (size_t at = 0; !found && at + 32 <= proof.length; at++) {
            assert_memory_not_equal(proof.data + at, one->accounts[i].agreement.bytes, 32);
            assert_memory_not_equal(proof.data + at, one->accounts[i].salt32, 32);
        }
    }
    cl_buffer_deinit(&proof);
    organisation_free(one);
}

/* ---- what does not */

static void no_byte_of_a_proof_can_be_changed_unseen(void **state)
{
    struct organisation *one = organisation_new(20);
    static struct cl_uses_report report;
    struct cl_object_id stranger;
    (void)state;
    fixture_hash(stranger.bytes, "stranger", 3);
    struct cl_buffer proofs[2] = {proof_of(one, &one->accounts[5].agreement), proof_of(one, &stranger)};
    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < proofs[p].length; i++) {
            proofs[p].data[i] ^= (uint8_t)(1u << i % 8);
            /* the agreement's id alone can become another one that is absent too, and is then what the report names */
            const uint8_t *meant = p == 0 ? one->accounts[5].agreement.bytes : stranger.bytes;
            if (verify(&report, one, &proofs[p]) == CL_OK && (p == 0 || memcmp(report.agreement.bytes, meant, 32) == 0))
                fail_msg("byte %zu of %zu of proof %zu can be changed", i, proofs[p].length, p);
            proofs[p].data[i] ^= (uint8_t)(1u << i % 8);
        }
        for (size_t length = 0; length < proofs[p].length; length++)
            assert_int_not_equal(cl_uses_verify(&report, proofs[p].data, length, one->policy), CL_OK);
        assert_int_equal(verify(&report, one, &proofs[p]), CL_OK);
        cl_buffer_deinit(&proofs[p]);
    }
    organisation_free(one);
}

/* The organisation shows the customer another list than the one that it committed to. */
static void a_use_that_is_left_out_or_changed_is_noticed(void **state)
{
    struct organisation *one = organisation_new(20);
    static struct cl_uses_report report;
    struct cl_buffer other = {0};
    struct cl_use lie = {.time_ms = FROM * 1000ull, .slot = 0, .purpose = text_view("https://w3id.org/dpv#ServiceProvision"), .reference = text_view("")};
    (void)state;
    for (unsigned turn = 0; turn < 3; turn++) {
        other.length = 0;
        if (turn == 2)
            FIXTURE_OK(cl_use_list_encode(&other, &lie, 1, FROM, UNTIL));
        else
            uses_of(&other, turn);
        struct cl_view kept = one->accounts[5].list; /* two uses */
        one->accounts[5].list = (struct cl_view){other.data, other.length};
        struct cl_buffer proof = proof_of(one, &one->accounts[5].agreement);
        one->accounts[5].list = kept;
        assert_int_equal(verify(&report, one, &proof), CL_E_PROOF);
        cl_buffer_deinit(&proof);
    }
    cl_buffer_deinit(&other);
    organisation_free(one);
}

/* A named agreement is claimed to be absent: its neighbours are proven by a statement that lacks it. */
static void absence_of_what_is_there_cannot_be_proven(void **state)
{
    struct organisation *one = organisation_new(20), *less = organisation_new(20);
    static struct cl_uses_report report;
    (void)state;
    struct cl_object_id hidden = one->accounts[7].agreement;
    memmove(&less->accounts[7], &less->accounts[8], 12 * sizeof less->accounts[0]);
    less->statement.account_count = 19;
    commit(less);
    struct cl_buffer honest = proof_of(less, &hidden);
    assert_int_equal(verify(&report, less, &honest), CL_OK); /* of that other root it is true */
    assert_false(report.named);
    cl_buffer_deinit(&honest);
    cl_buffer_replace(&less->record, one->record.data, one->record.length) == CL_OK ? (void)0 : fail();
    cl_buffer_replace(&less->receipt, one->receipt.data, one->receipt.length) == CL_OK ? (void)0 : fail();
    struct cl_buffer lie = proof_of(less, &hidden);
    assert_int_equal(verify(&report, less, &lie), CL_E_PROOF);
    cl_buffer_deinit(&lie);
    organisation_free(one);
    organisation_free(less);
}

static void another_periods_root_and_another_agreements_proof_do_not_hold(void **state)
{
    struct organisation *one = organisation_new(20), *later = organisation_new(20);
    static struct cl_uses_report report;
    struct cl_buffer record = {0}, receipt = {0};
    (void)state;
    for (size_t i = 0; i < 20; i++)
        fixture_hash(later->accounts[i].salt32, "salt of later", i);
    commit(later);
    FIXTURE_OK(cl_buffer_replace(&record, later->record.data, later->record.length));
    FIXTURE_OK(cl_buffer_replace(&receipt, later->receipt.data, later->receipt.length));
    FIXTURE_OK(cl_buffer_replace(&one->record, record.data, record.length));
    FIXTURE_OK(cl_buffer_replace(&one->receipt, receipt.data, receipt.length));
    struct cl_buffer proof = proof_of(one, &one->accounts[5].agreement);
    assert_int_equal(verify(&report, one, &proof), CL_E_PROOF);
    /* what is true of one agreement, said of another */
    struct cl_buffer mine = proof_of(later, &later->accounts[3].agreement);
    bool changed = false;
    for (size_t at = 0; at + 32 <= mine.length && !changed; at++)
        if (memcmp(mine.data + at, later->accounts[3].agreement.bytes, 32) == 0) {
            memcpy(mine.data + at, later->accounts[5].agreement.bytes, 32);
            changed = true;
        }
    assert_true(changed);
    assert_int_equal(verify(&report, later, &mine), CL_E_PROOF);
    cl_buffer_deinit(&mine);
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&record);
    cl_buffer_deinit(&receipt);
    organisation_free(one);
    organisation_free(later);
}

/* With payload key 4 a record is in the log although the rules refused an entry of it: a stranger's "statement" of a PROFILE
   that is not theirs would be, too. */
static void a_record_that_may_not_have_been_applied_is_no_statement(void **state)
{
    struct organisation *one = organisation_new(5);
    static struct cl_uses_report report;
    struct cl_hash root;
    (void)state;
    cl_uses_tree_root(&root, one->tree);
    struct cl_entry entries[2] = {entry_of(one, &root), entry_of(one, &root)};
    struct cl_object_id second;
    fixture_hash(second.bytes, "profile", 2);
    entries[1].object = second.bytes;
    static const struct { size_t count; bool skip; enum cl_status status; } cases[] = {{1, false, CL_OK}, {1, true, CL_E_PROOF}, {2, true, CL_E_PROOF}, {2, false, CL_E_PROOF}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        state_as(one, entries, cases[i].count, CL_STATEMENT, cases[i].skip);
        struct cl_buffer proof = proof_of(one, &one->accounts[2].agreement);
        assert_int_equal(verify(&report, one, &proof), cases[i].status);
        cl_buffer_deinit(&proof);
    }
    struct cl_entry revoke = {.present = CL_HAS(1), .object = one->profile.bytes, .object_length = 32};
    state_as(one, &revoke, 1, CL_SUSPEND, false);
    struct cl_buffer proof = proof_of(one, &one->accounts[2].agreement);
    assert_int_equal(verify(&report, one, &proof), CL_E_PROOF);
    cl_buffer_deinit(&proof);
    organisation_free(one);
}

static void too_few_members_are_not_believed(void **state)
{
    struct organisation *one = organisation_new(5);
    static struct cl_uses_report report;
    struct cl_buffer note = {0};
    struct cl_leaf_hash leaf;
    (void)state;
    cl_log_leaf_hash(&leaf, one->record.data, one->record.length);
    struct proof_world alone = *one->world;
    alone.leaf_count = 1;
    memcpy(alone.root.bytes, leaf.bytes, 32);
    proof_world_checkpoint(&note, &alone, 2, UNTIL + 60);
    one->receipt.length = 0;
    FIXTURE_OK(cl_tlog_proof_encode(&one->receipt, 0, NULL, 0, note.data, note.length));
    struct cl_buffer proof = proof_of(one, &one->accounts[2].agreement);
    assert_int_equal(verify(&report, one, &proof), CL_E_QUORUM);
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&note);
    organisation_free(one);
}

/* ---- lists, statements, lines */

static void lists_are_ordered_bounded_and_within_their_period(void **state)
{
    struct cl_buffer out = {0};
    struct cl_view purpose = text_view("dpv:x");
    struct cl_use good = {.time_ms = FROM * 1000ull, .slot = 63, .purpose = purpose, .reference = text_view("")}, bad;
    char longer[200];
    (void)state;
    memset(longer, 'x', sizeof longer);
    FIXTURE_OK(cl_use_list_encode(&out, &good, 1, FROM, UNTIL));
    for (unsigned i = 0; i < 8; i++) {
        bad = good;
        switch (i) {
        case 0: bad.time_ms--; break;
        case 1: bad.time_ms = UNTIL * 1000ull; break;
        case 2: bad.slot = 64; break;
        case 3: bad.purpose.length = 0; break;
        case 4: bad.purpose = (struct cl_view){(uint8_t *)longer, CL_USE_PURPOSE_BYTES_MAX + 1}; break;
        case 5: bad.reference = (struct cl_view){(uint8_t *)longer, CL_USE_REFERENCE_BYTES_MAX + 1}; break;
        case 6: bad.purpose = text_view("two words"); break;
        default: bad.reference = text_view("\x1b[31m"); break;
        }
        assert_int_equal(cl_use_list_encode(&out, &bad, 1, FROM, UNTIL), CL_E_VALUE);
    }
    struct cl_use pair[2] = {good, good};
    pair[0].time_ms++;
    assert_int_equal(cl_use_list_encode(&out, pair, 2, FROM, UNTIL), CL_E_VALUE);
    assert_int_equal(cl_use_list_encode(&out, pair, 0, UNTIL, FROM), CL_E_VALUE);
    struct cl_use *many = calloc(CL_USES_OF_AGREEMENT_MAX + 1, sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i <= CL_USES_OF_AGREEMENT_MAX; i++)
        many[i] = good;
    out.length = 0;
    assert_int_equal(cl_use_list_encode(&out, many, CL_USES_OF_AGREEMENT_MAX + 1, FROM, UNTIL), CL_E_BOUND);
    assert_int_equal(cl_use_list_encode(&out, many, CL_USES_OF_AGREEMENT_MAX, FROM, UNTIL), CL_OK);
    for (size_t i = 0; i <= CL_USES_OF_AGREEMENT_MAX; i++)
        many[i].purpose = (struct cl_view){(uint8_t *)longer, 150};
    out.length = 0;
    assert_int_equal(cl_use_list_encode(&out, many, CL_USES_OF_AGREEMENT_MAX, FROM, UNTIL), CL_E_BOUND); /* of bytes */
    assert_int_equal(out.length, 0);
    free(many);
    cl_buffer_deinit(&out);
}

static void a_statement_comes_back_as_it_was_and_out_of_order_not(void **state)
{
    struct organisation *one = organisation_new(12);
    struct cl_uses_statement read;
    struct cl_uses_tree *tree = NULL;
    struct cl_buffer file = {0};
    struct cl_hash roots[2];
    (void)state;
    FIXTURE_OK(cl_uses_statement_encode(&file, &one->statement));
    FIXTURE_OK(cl_uses_statement_decode(&read, file.data, file.length));
    FIXTURE_OK(cl_uses_tree_new(&tree, &read));
    cl_uses_tree_root(&roots[0], one->tree);
    cl_uses_tree_root(&roots[1], tree);
    assert_memory_equal(roots[0].bytes, roots[1].bytes, 32);
    assert_non_null(cl_uses_account_find(&read, &one->accounts[11].agreement));
    cl_uses_tree_free(tree);
    cl_uses_statement_deinit(&read);
    for (size_t length = 0; length < file.length; length++)
        assert_int_not_equal(cl_uses_statement_decode(&read, file.data, length), CL_OK);
    struct cl_uses_account swap = one->accounts[3];
    one->accounts[3] = one->accounts[4];
    one->accounts[4] = swap;
    assert_int_equal(cl_uses_statement_encode(&file, &one->statement), CL_E_RECORD_ORDER);
    one->accounts[4] = one->accounts[3];
    assert_int_equal(cl_uses_statement_encode(&file, &one->statement), CL_E_RECORD_ORDER); /* one twice: two stories of it */
    cl_buffer_deinit(&file);
    organisation_free(one);
}

/* ---- vectors */

static void lines_have_one_form(void **state)
{
    const json_t *item;
    size_t position, good = 0, bad = 0;
    (void)state;
    json_array_foreach(vectors, position, item) {
        struct cl_use_line line;
        const char *text = json_string_value(json_object_get(item, "text"));
        if (vectors_is(item, "line_")) {
            struct cl_buffer again = {0};
            FIXTURE_OK(cl_use_line_decode(&line, text, strlen(text)));
            assert_int_equal(line.kind, vectors_number(json_object_get(item, "kind")));
            FIXTURE_OK(cl_use_line_encode(&again, &line));
            assert_int_equal(again.length, strlen(text) + 1);
            assert_memory_equal(again.data, text, strlen(text));
            cl_buffer_deinit(&again);
            good++;
        } else if (vectors_is(item, "bad_line_")) {
            assert_int_equal(cl_use_line_decode(&line, text, strlen(text)), CL_E_FORMAT);
            bad++;
        }
    }
    assert_true(good >= 5 && bad >= 17);
}

static void another_implementations_statement_and_proofs_are_ours_to_the_byte(void **state)
{
    const json_t *item = vectors_item(vectors, "statement"), *proof;
    struct cl_buffer file = vectors_bytes(item, "hex"), record = vectors_bytes(item, "record"), receipt = vectors_bytes(item, "tlog_proof"), again = {0};
    const char *policy_text = json_string_value(json_object_get(item, "policy"));
    struct cl_uses_statement statement;
    struct cl_uses_tree *tree = NULL;
    struct cl_policy *policy = NULL;
    struct cl_network_id network;
    struct cl_hash root;
    uint8_t expected[32];
    static struct cl_uses_report report;
    size_t position, count = 0;
    (void)state;
    FIXTURE_OK(cl_uses_statement_decode(&statement, file.data, file.length));
    FIXTURE_OK(cl_uses_statement_encode(&again, &statement));
    assert_int_equal(again.length, file.length);
    assert_memory_equal(again.data, file.data, file.length);
    FIXTURE_OK(cl_uses_tree_new(&tree, &statement));
    cl_uses_tree_root(&root, tree);
    vectors_fixed(expected, 32, item, "root");
    assert_memory_equal(root.bytes, expected, 32);
    vectors_fixed(network.bytes, 32, item, "network_id");
    FIXTURE_OK(cl_policy_new(&policy, NULL, (const uint8_t *)policy_text, strlen(policy_text)));
    json_array_foreach(vectors, position, proof) {
        struct cl_object_id agreement;
        struct cl_buffer made = {0};
        if (!vectors_is(proof, "proof_"))
            continue;
        struct cl_buffer theirs = vectors_bytes(proof, "hex");
        vectors_fixed(agreement.bytes, 32, proof, "agreement");
        FIXTURE_OK(cl_uses_prove(&made, tree, &network, (struct cl_view){record.data, record.length}, (struct cl_view){receipt.data, receipt.length}, &agreement));
        assert_int_equal(made.length, theirs.length);
        assert_memory_equal(made.data, theirs.data, theirs.length);
        assert_int_equal(cl_uses_verify(&report, theirs.data, theirs.length, policy), CL_OK);
        assert_int_equal(report.named, json_is_true(json_object_get(proof, "named")));
        assert_int_equal(report.use_count, json_array_size(json_object_get(proof, "uses")));
        vectors_fixed(expected, 32, item, "record_id");
        assert_memory_equal(report.receipt.record.bytes, expected, 32);
        cl_buffer_deinit(&made);
        cl_buffer_deinit(&theirs);
        count++;
    }
    assert_int_equal(count, 6);
    cl_policy_free(policy);
    cl_uses_tree_free(tree);
    cl_uses_statement_deinit(&statement);
    cl_buffer_deinit(&file);
    cl_buffer_deinit(&record);
    cl_buffer_deinit(&receipt);
    cl_buffer_deinit(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_agreement_gets_its_own_uses_and_any_other_none),
        cmocka_unit_test(the_same_uses_under_another_salt_give_another_root),
        cmocka_unit_test(a_proof_shows_nothing_of_other_agreements),
        cmocka_unit_test(no_byte_of_a_proof_can_be_changed_unseen),
        cmocka_unit_test(a_use_that_is_left_out_or_changed_is_noticed),
        cmocka_unit_test(absence_of_what_is_there_cannot_be_proven),
        cmocka_unit_test(another_periods_root_and_another_agreements_proof_do_not_hold),
        cmocka_unit_test(a_record_that_may_not_have_been_applied_is_no_statement),
        cmocka_unit_test(too_few_members_are_not_believed),
        cmocka_unit_test(lists_are_ordered_bounded_and_within_their_period),
        cmocka_unit_test(a_statement_comes_back_as_it_was_and_out_of_order_not),
        cmocka_unit_test(lines_have_one_form),
        cmocka_unit_test(another_implementations_statement_and_proofs_are_ours_to_the_byte),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

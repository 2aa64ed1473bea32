/* Checkpoints, policies, proofs, receipts, bodies and acceptances against bytes that another implementation made from
   formats.cddl and the C2SP texts: ours reads theirs, and what ours writes from the same pieces is the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cbor.h"
#include "checkpoint.h"
#include "consent/record.h"
#include "consent/terms.h"
#include "crypto.h"
#include "fixture.h"
#include "proof_build.h"
#include "signing.h"
#include "vectors.h"

static json_t *proofs;

static int load(void **state)
{
    (void)state;
    proofs = vectors_load("tests/vectors/proofs.json");
    return 0;
}
static int unload(void **state)
{
    (void)state;
    json_decref(proofs);
    return 0;
}

static void same_buffer(struct cl_buffer *made, struct cl_buffer *expected)
{
    assert_int_equal(made->length, expected->length);
    assert_memory_equal(made->data, expected->data, expected->length);
    cl_buffer_deinit(made);
    cl_buffer_deinit(expected);
}

static struct cl_policy *policy_of(const char *text)
{
    struct cl_policy *policy = NULL;
    size_t bad_line = 0;
    FIXTURE_OK(cl_policy_new(&policy, &bad_line, (const uint8_t *)text, strlen(text)));
    return policy;
}

static void the_checkpoint_is_read_and_written_alike(void **state)
{
    (void)state;
    const json_t *item = vectors_item(proofs, "checkpoint"), *seeds = json_object_get(item, "witness_seeds"), *times = json_object_get(item, "cosigned_at");
    const char *origin = json_string_value(json_object_get(item, "origin"));
    struct cl_buffer note = vectors_bytes(item, "hex"), made = {0};
    struct cl_checkpoint checkpoint;
    uint8_t root[32], seed[32];
    FIXTURE_OK(cl_checkpoint_decode(&checkpoint, note.data, note.length));
    vectors_fixed(root, 32, item, "root");
    assert_string_equal(checkpoint.origin, origin);
    assert_int_equal(checkpoint.size, vectors_number(json_object_get(item, "size")));
    assert_memory_equal(checkpoint.root.bytes, root, 32);
    assert_int_equal(checkpoint.signature_count, 4);

    FIXTURE_OK(cl_checkpoint_body(&made, origin, checkpoint.size, &checkpoint.root));
    struct cl_buffer body = {0};
    FIXTURE_OK(cl_buffer_append(&body, made.data, made.length));
    const struct cl_view view = {body.data, body.length};
    assert_int_equal(view.length, strlen(json_string_value(json_object_get(item, "body"))));
    FIXTURE_OK(cl_buffer_append(&made, "\n", 1));
    vectors_fixed(seed, 32, item, "log_seed");
    FIXTURE_OK(cl_checkpoint_sign_log(&made, &view, origin, signing_key(seed)));
    for (size_t i = 0; i < json_array_size(seeds); i++) {
        char member[32];
        (void)snprintf(member, sizeof member, "member-%zu", i);
        vectors_fixed_of(seed, 32, json_array_get(seeds, i));
        FIXTURE_OK(cl_checkpoint_cosign(&made, &view, origin, member, vectors_number(json_array_get(times, i)), signing_key(seed)));
    }
    cl_buffer_deinit(&body);
    same_buffer(&made, &note);
}

static void the_policy_counts_the_quorum_and_its_oldest_time(void **state)
{
    (void)state;
    const json_t *item = vectors_item(proofs, "checkpoint");
    struct cl_policy *policy = policy_of(json_string_value(json_object_get(vectors_item(proofs, "policy"), "text")));
    struct cl_buffer note = vectors_bytes(item, "hex");
    struct cl_checkpoint checkpoint;
    struct cl_quorum_report *report = malloc(sizeof *report);
    assert_non_null(report);
    FIXTURE_OK(cl_checkpoint_decode(&checkpoint, note.data, note.length));
    FIXTURE_OK(cl_policy_check(report, policy, &checkpoint));
    assert_int_equal(report->witnesses, 4);
    assert_int_equal(report->needed, 3);
    assert_int_equal(report->signed_count, 3);
    assert_true(report->log_signed);
    assert_int_equal(report->as_of_s, vectors_number(json_object_get(item, "as_of_s")));
    note.data[note.length - 10] ^= 1; /* one of three needed signatures */
    if (cl_checkpoint_decode(&checkpoint, note.data, note.length) == CL_OK)
        assert_int_equal(cl_policy_check(report, policy, &checkpoint), CL_E_QUORUM);
    free(report);
    cl_buffer_deinit(&note);
    cl_policy_free(policy);
}

static void our_policy_of_these_members_has_the_same_lines(void **state)
{
    (void)state;
    const json_t *members = json_array_get(json_object_get(vectors_item(proofs, "boundary"), "value"), 3);
    struct cl_member set[4];
    struct cl_buffer text = {0}, theirs = vectors_bytes(vectors_item(proofs, "policy"), "hex");
    assert_int_equal(json_array_size(members), 4);
    memset(set, 0, sizeof set);
    for (size_t i = 0; i < 4; i++) {
        const json_t *member = json_array_get(members, i);
        (void)snprintf(set[i].name, sizeof set[i].name, "%s", json_string_value(json_array_get(member, 0)));
        vectors_fixed_of(set[i].vote, 32, json_array_get(member, 1));
        vectors_fixed_of(set[i].log, 32, json_array_get(member, 2));
        vectors_fixed_of(set[i].witness, 32, json_array_get(member, 3));
        vectors_fixed_of(set[i].party, 33, json_array_get(member, 4));
    }
    FIXTURE_OK(cl_policy_of_members(&text, "ledger.example/consent", set, 4));
    uint8_t zero = 0;
    FIXTURE_OK(cl_buffer_append(&text, &zero, 1));
    FIXTURE_OK(cl_buffer_append(&theirs, &zero, 1));
    const char *ours = strchr((const char *)text.data, '\n') + 1; /* past our comment */
    assert_int_equal(strlen(ours), theirs.length - 1);
    size_t lines = 0; /* logs and witnesses may come in any order */
    for (char *line = strtok((char *)theirs.data, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++)
        assert_non_null(strstr(ours, line));
    assert_int_equal(lines, 4 + 4 + 2);
    cl_buffer_deinit(&text);
    cl_buffer_deinit(&theirs);
}

/* ---- proof files */
static void verify(struct cl_verify_report *report, const char *name, uint64_t seconds_later)
{
    const json_t *item = vectors_item(proofs, name);
    struct cl_policy *policy = policy_of(json_string_value(json_object_get(item, "policy")));
    struct cl_buffer bytes = vectors_bytes(item, "hex");
    uint64_t as_of_s = vectors_number(json_object_get(item, "as_of_s"));
    const struct cl_verify_options options = {.now_ms = (as_of_s + seconds_later) * 1000};
    uint8_t expected[32];
    FIXTURE_OK(cl_proof_verify(report, bytes.data, bytes.length, policy, &options));
    vectors_fixed(expected, 32, item, "object");
    assert_memory_equal(report->object.bytes, expected, 32);
    vectors_fixed(expected, 32, item, "network_id");
    assert_memory_equal(report->network.bytes, expected, 32);
    assert_int_equal(report->as_of_s, as_of_s);
    assert_int_equal(report->log_size, 5);
    assert_int_equal(report->height, 1);
    bytes.data[bytes.length / 2] ^= 1;
    struct cl_verify_report *other = malloc(sizeof *other);
    assert_non_null(other);
    assert_int_not_equal(cl_proof_verify(other, bytes.data, bytes.length, policy, &options), CL_OK);
    free(other);
    cl_buffer_deinit(&bytes);
    cl_policy_free(policy);
}

static void proof_files_of_the_vectors_hold(void **state)
{
    (void)state;
    struct cl_verify_report *report = malloc(sizeof *report);
    assert_non_null(report);
    verify(report, "proof_file", 1);
    assert_true(report->exists);
    assert_int_equal(report->kind, CL_STATE_AGREEMENT);
    assert_int_equal(report->agreement.status, CL_ACTIVE);
    assert_int_equal(report->verdict, CL_OK);
    assert_int_equal(report->record_count, 2);
    verify(report, "proof_file_profile", 1);
    assert_int_equal(report->kind, CL_STATE_PROFILE);
    assert_int_equal(report->record_count, 1);
    const char *const absent[] = {"proof_file_absent_left_edge", "proof_file_absent_right_edge", "proof_file_absent_between"};
    for (size_t i = 0; i < 3; i++) {
        verify(report, absent[i], 1);
        assert_false(report->exists);
        assert_int_equal(report->verdict, CL_E_NO_OBJECT);
    }
    free(report);
}

struct path { struct cl_hash hashes[CL_LOG_PATH_MAX]; struct cl_path view; };
static void read_path(struct path *out, struct cl_cbor_reader *reader)
{
    out->view = (struct cl_path){out->hashes, cl_cbor_array(reader)};
    assert_true(out->view.count <= CL_LOG_PATH_MAX);
    for (size_t i = 0; i < out->view.count; i++)
        memcpy(out->hashes[i].bytes, cl_cbor_bytes_fixed(reader, 32), 32);
}

/* Takes a file apart by its layout, and has our writer put the parts together. */
static void rebuild(const char *name)
{
    struct cl_buffer bytes = vectors_bytes(vectors_item(proofs, name), "hex"), made = {0};
    struct path *paths = calloc(4, sizeof *paths);
    struct cl_proof_record records[3];
    struct cl_proof_parts parts = {.records = records};
    struct cl_cbor_reader reader;
    assert_non_null(paths);
    cl_cbor_reader_init(&reader, bytes.data, bytes.length);
    cl_cbor_array_fixed(&reader, 8);
    assert_int_equal(cl_cbor_uint(&reader), 1);
    parts.checkpoint = cl_cbor_bytes(&reader);
    parts.state_leaf = cl_cbor_bytes(&reader);
    read_path(&paths[0], &reader);
    parts.state_leaf_path = paths[0].view;
    memcpy(parts.object.bytes, cl_cbor_bytes_fixed(&reader, 32), 32);
    parts.state_proof = cl_cbor_skip(&reader);
    parts.record_count = cl_cbor_array(&reader);
    assert_true(parts.record_count <= 3);
    for (size_t i = 0; i < parts.record_count; i++) {
        cl_cbor_array_fixed(&reader, 3);
        records[i].record = cl_cbor_bytes(&reader);
        records[i].index = cl_cbor_uint(&reader);
        read_path(&paths[i + 1], &reader);
        records[i].path = paths[i + 1].view;
    }
    assert_int_equal(cl_cbor_array(&reader), 0);
    FIXTURE_OK(cl_cbor_finish(&reader));
    FIXTURE_OK(cl_proof_encode(&made, &parts));
    same_buffer(&made, &bytes);
    free(paths);
}

static void our_writer_makes_the_same_proof_files(void **state)
{
    (void)state;
    const char *const names[] = {"proof_file", "proof_file_profile", "proof_file_absent_left_edge", "proof_file_absent_right_edge", "proof_file_absent_between"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        rebuild(names[i]);
}

/* ---- pieces */
struct side { uint8_t key_hash[32], value_hash[32]; struct cl_hash siblings[CL_SMT_DEPTH]; struct cl_proof_neighbour written; struct cl_smt_neighbour checked; };

static bool side_of(struct side *out, const json_t *neighbour)
{
    if (json_is_null(neighbour))
        return false;
    const json_t *siblings = json_array_get(neighbour, 2);
    size_t count = json_array_size(siblings);
    vectors_fixed_of(out->key_hash, 32, json_array_get(neighbour, 0));
    vectors_fixed_of(out->value_hash, 32, json_array_get(neighbour, 1));
    assert_true(count <= CL_SMT_DEPTH);
    for (size_t i = 0; i < count; i++)
        vectors_fixed_of(out->siblings[i].bytes, 32, json_array_get(siblings, i));
    out->written = (struct cl_proof_neighbour){out->key_hash, out->value_hash, out->siblings, count};
    out->checked = (struct cl_smt_neighbour){out->key_hash, out->value_hash, out->siblings, count};
    return true;
}

static void absence_between_and_at_both_edges_is_read_and_written_alike(void **state)
{
    (void)state;
    const char *const places[] = {"left_edge", "right_edge", "between"};
    struct side *sides = calloc(2, sizeof *sides);
    assert_non_null(sides);
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        struct cl_hash root;
        uint8_t path[32];
        (void)snprintf(name, sizeof name, "state_proof_absent_%s", places[i]);
        const json_t *item = vectors_item(proofs, name), *value = json_object_get(item, "value");
        vectors_fixed(root.bytes, 32, item, "state_root");
        bool left = side_of(&sides[0], json_array_get(value, 1)), right = side_of(&sides[1], json_array_get(value, 2));
        struct cl_buffer expected = vectors_bytes(item, "hex"), made = {0};
        FIXTURE_OK(cl_state_proof_encode_absence(&made, left ? &sides[0].written : NULL, right ? &sides[1].written : NULL));
        same_buffer(&made, &expected);
        (void)snprintf(name, sizeof name, "absent_key_%s", places[i]);
        vectors_fixed(path, 32, vectors_item(proofs, name), "path");
        const struct cl_smt_neighbour *below = left ? &sides[0].checked : NULL, *above = right ? &sides[1].checked : NULL;
        FIXTURE_OK(cl_smt_check_absence(&root, path, below, above));
        assert_int_equal(cl_smt_check_absence(&root, left ? sides[0].key_hash : sides[1].key_hash, below, above), CL_E_PROOF);
        if (left && right)
            assert_int_equal(cl_smt_check_absence(&root, path, below, NULL), CL_E_PROOF);
    }
    free(sides);
}

static void existence_is_read_and_written_alike(void **state)
{
    (void)state;
    const json_t *item = vectors_item(proofs, "state_proof_exists"), *value = json_object_get(item, "value"), *siblings = json_array_get(value, 2);
    struct cl_buffer expected = vectors_bytes(item, "hex"), made = {0}, bytes = vectors_bytes_of(json_array_get(value, 1));
    struct cl_hash root, path[8];
    uint8_t object[32], key_hash[32], value_hash[32];
    size_t count = json_array_size(siblings);
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++)
        vectors_fixed_of(path[i].bytes, 32, json_array_get(siblings, i));
    FIXTURE_OK(cl_state_proof_encode_existence(&made, bytes.data, bytes.length, path, count));
    same_buffer(&made, &expected);
    vectors_fixed(root.bytes, 32, item, "state_root");
    vectors_fixed(object, 32, vectors_item(proofs, "proof_file"), "object");
    cl_sha256_once(key_hash, object, 32);
    cl_sha256_once(value_hash, bytes.data, bytes.length);
    FIXTURE_OK(cl_smt_check_existence(&root, key_hash, value_hash, path, count));
    cl_buffer_deinit(&bytes);
}

static void the_cose_receipt_is_read_and_written_alike(void **state)
{
    (void)state;
    const json_t *item = vectors_item(proofs, "cose_receipt");
    struct cl_buffer expected = vectors_bytes(item, "hex"), leaf = vectors_bytes(item, "leaf_bytes"), made = {0};
    struct cl_cbor_reader reader;
    struct path path;
    struct cl_hash root;
    uint8_t seed[32], public[32], key_id[4];
    uint64_t index = 0, size = 0;
    vectors_fixed(seed, 32, item, "seed");
    vectors_fixed(public, 32, item, "public");
    vectors_fixed(key_id, 4, item, "key_id");
    vectors_fixed(root.bytes, 32, item, "root");
    FIXTURE_OK(cl_cose_receipt_verify(&index, &size, expected.data, expected.length, leaf.data, leaf.length, public));
    assert_int_equal(index, vectors_number(json_object_get(item, "index")));
    assert_int_equal(size, vectors_number(json_object_get(item, "size")));
    cl_cbor_reader_init(&reader, expected.data, expected.length);
    (void)cl_cbor_tag(&reader);
    cl_cbor_array_fixed(&reader, 4);
    (void)cl_cbor_bytes(&reader);
    assert_int_equal(cl_cbor_map(&reader), 1);
    assert_int_equal(cl_cbor_uint(&reader), 396);
    assert_int_equal(cl_cbor_map(&reader), 1);
    assert_int_equal(cl_cbor_int(&reader), -1);
    cl_cbor_array_fixed(&reader, 1);
    struct cl_view inclusion = cl_cbor_bytes(&reader);
    cl_cbor_reader_init(&reader, inclusion.data, inclusion.length);
    cl_cbor_array_fixed(&reader, 3);
    (void)cl_cbor_uint(&reader), (void)cl_cbor_uint(&reader);
    read_path(&path, &reader);
    FIXTURE_OK(cl_cbor_finish(&reader));
    FIXTURE_OK(cl_cose_receipt_encode(&made, size, index, path.hashes, path.view.count, &root, seed, key_id, 4));
    leaf.data[leaf.length - 1] ^= 1;
    assert_int_not_equal(cl_cose_receipt_verify(&index, &size, expected.data, expected.length, leaf.data, leaf.length, public), CL_OK);
    same_buffer(&made, &expected);
    cl_buffer_deinit(&leaf);
}

/* ---- bodies, withdrawals, acceptances */
static void bodies_show_their_fields_and_commitment(void **state)
{
    (void)state;
    const char *const names[] = {"body_file", "body_file_of_one_field"};
    const size_t shown[] = {4, 1}, first[] = {0, 1};
    struct cl_body_file *file = malloc(sizeof *file);
    assert_non_null(file);
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = vectors_item(proofs, names[i]);
        struct cl_buffer bytes = vectors_bytes(item, "hex"), body = vectors_bytes(vectors_item(proofs, "body"), "hex");
        struct cl_commitment commitment;
        uint8_t expected[32];
        FIXTURE_OK(cl_body_file_decode(file, bytes.data, bytes.length));
        vectors_fixed(expected, 32, item, "object");
        assert_memory_equal(file->object.bytes, expected, 32);
        assert_int_equal(file->digest_count, 4);
        assert_int_equal(file->disclosure_count, shown[i]);
        assert_int_equal(file->body.length, body.length);
        assert_memory_equal(file->body.data, body.data, body.length);
        for (size_t k = 0; k < shown[i]; k++) {
            char name[32];
            (void)snprintf(name, sizeof name, "disclosure_%zu", first[i] + k);
            struct cl_buffer disclosure = vectors_bytes(vectors_item(proofs, name), "hex");
            assert_int_equal(file->disclosures[k].length, disclosure.length);
            assert_memory_equal(file->disclosures[k].data, disclosure.data, disclosure.length);
            cl_buffer_deinit(&disclosure);
        }
        cl_body_file_commitment(&commitment, file);
        vectors_fixed(expected, 32, item, "commitment");
        assert_memory_equal(commitment.bytes, expected, 32);
        cl_buffer_deinit(&bytes);
        cl_buffer_deinit(&body);
    }
    free(file);
}

static void a_withdrawal_signed_in_advance_is_an_ordinary_record(void **state)
{
    (void)state;
    const json_t *item = vectors_item(proofs, "withdrawal_file");
    struct cl_buffer bytes = vectors_bytes(item, "hex");
    struct cl_record *record = malloc(sizeof *record);
    struct cl_network_id network;
    uint32_t entry = 0;
    uint8_t id[32];
    assert_non_null(record);
    vectors_fixed(network.bytes, 32, vectors_item(proofs, "proof_file"), "network_id");
    vectors_fixed(id, 32, item, "id");
    FIXTURE_OK(cl_record_decode(record, &entry, bytes.data, bytes.length, &network));
    assert_int_equal(record->type, CL_REVOKE);
    assert_memory_equal(record->id.bytes, id, 32);
    FIXTURE_OK(cl_record_check_signature(record));
    cl_record_deinit(record);
    free(record);
    cl_buffer_deinit(&bytes);
}

static void the_acceptance_is_read_and_written_alike(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/agreement.json");
    const json_t *item = vectors_item(items, "acceptance"), *value = json_object_get(item, "value");
    struct cl_buffer expected = vectors_bytes(item, "hex"), made = {0};
    struct cl_acceptance found;
    uint8_t seed[32], public[32], field[64];
    vectors_fixed(seed, 32, item, "seed");
    vectors_fixed(public, 32, item, "public");
    FIXTURE_OK(cl_acceptance_verify(&found, expected.data, expected.length, public));
    vectors_fixed_of(field, 32, json_array_get(value, 1));
    assert_memory_equal(found.network.bytes, field, 32);
    vectors_fixed_of(field, 32, json_array_get(value, 2));
    assert_memory_equal(found.record.bytes, field, 32);
    vectors_fixed_of(field, 32, json_array_get(value, 3));
    assert_memory_equal(found.leaf.bytes, field, 32);
    assert_int_equal(found.time_ms, vectors_number(json_array_get(value, 4)));
    assert_string_equal(found.member, json_string_value(json_array_get(value, 5)));
    vectors_fixed_of(field, 64, json_array_get(value, 6));
    assert_memory_equal(found.signature, field, 64);
    memset(found.signature, 0, 64);
    FIXTURE_OK(cl_acceptance_sign(&made, &found, seed));
    public[0] ^= 1;
    assert_int_not_equal(cl_acceptance_verify(&found, expected.data, expected.length, public), CL_OK);
    same_buffer(&made, &expected);
    json_decref(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checkpoint_is_read_and_written_alike),
        cmocka_unit_test(the_policy_counts_the_quorum_and_its_oldest_time),
        cmocka_unit_test(our_policy_of_these_members_has_the_same_lines),
        cmocka_unit_test(proof_files_of_the_vectors_hold),
        cmocka_unit_test(our_writer_makes_the_same_proof_files),
        cmocka_unit_test(existence_is_read_and_written_alike),
        cmocka_unit_test(absence_between_and_at_both_edges_is_read_and_written_alike),
        cmocka_unit_test(the_cose_receipt_is_read_and_written_alike),
        cmocka_unit_test(bodies_show_their_fields_and_commitment),
        cmocka_unit_test(a_withdrawal_signed_in_advance_is_an_ordinary_record),
        cmocka_unit_test(the_acceptance_is_read_and_written_alike),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

/* record.c against the vectors of tests/vectors, which another implementation made: every type in every form decodes to
   its fields and encodes back to the same bytes, and each of the malformed ones is refused for its own fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "consent/record.h"
#include "crypto.h"
#include "record_internal.h"

#include <stdlib.h>

/* ---------------------------------------------------------------- vectors */

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *items = json_load_file(path, 0, &error);
    if (items == NULL) fail_msg("%s: %s", path, error.text);
    assert_true(json_is_array(items) && json_array_size(items) > 0);
    return items;
}

/* The heap bytes of a hexadecimal text; the caller frees. */
static uint8_t *bytes_of(const char *hex, size_t *length)
{
    assert_non_null(hex);
    *length = strlen(hex) / 2;
    uint8_t *bytes = malloc(*length + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < *length; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return bytes;
}

static uint8_t *bytes_in(const json_t *item, const char *name, size_t *length)
{
    return bytes_of(json_string_value(json_object_get(item, name)), length);
}

static void fixed_bytes_in(uint8_t *out, size_t length, const json_t *item, const char *name)
{
    size_t found;
    uint8_t *bytes = bytes_in(item, name, &found);
    assert_int_equal(found, length);
    memcpy(out, bytes, length);
    free(bytes);
}

/* Whole numbers from 2^53 on are decimal text. */
static uint64_t number_of(const json_t *value)
{
    if (json_is_string(value)) return strtoull(json_string_value(value), NULL, 10);
    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

static void assert_bytes(const uint8_t *data, size_t length, const json_t *hex)
{
    size_t expected_length;
    uint8_t *expected = bytes_of(json_string_value(hex), &expected_length);
    assert_int_equal(length, expected_length);
    assert_memory_equal(data, expected, length);
    free(expected);
}

static void assert_entry_value(const struct cl_entry *entry, unsigned long key, const json_t *value)
{
    switch (key) {
    case 1: assert_bytes(entry->object, entry->object_length, value); break;
    case 2: assert_bytes(entry->prev, 32, value); break;
    case 3: assert_bytes(entry->commitment, 32, value); break;
    case 4: assert_true(entry->not_before == number_of(value)); break;
    case 5: assert_true(entry->not_after == number_of(value)); break;
    case 6:
        assert_true(entry->audience_kind == number_of(json_array_get(value, 0)));
        assert_bytes(entry->audience, entry->audience_kind == CL_AUDIENCE_HASH ? 32 : 33, json_array_get(value, 1));
        break;
    case 7: assert_bytes(entry->opening, entry->opening_length, value); break;
    case 8: assert_bytes(entry->ref, 32, value); break;
    case 9: assert_true(entry->slots == number_of(value)); break;
    case 10: assert_true(entry->reason == number_of(value)); break;
    case 11: assert_true(entry->limit == number_of(value)); break;
    case 12: assert_bytes(entry->key, entry->key_length, value); break;
    case 13: assert_bytes(entry->party, 32, value); break;
    case 14: assert_true(entry->mode == number_of(value)); break;
    case 15: assert_bytes(entry->recovery, 32, value); break;
    default: fail_msg("key %lu", key);
    }
}

static void assert_fields(const struct cl_record *record, const json_t *item)
{
    const json_t *entries = json_object_get(item, "entries");
    assert_true((uint64_t)record->type == number_of(json_object_get(item, "type")));
    assert_true(record->issued_at_ms == number_of(json_object_get(item, "issued_at")));
    assert_int_equal(record->skip_refused, json_is_true(json_object_get(item, "skip_refused")));
    assert_int_equal(record->entry_count, json_array_size(entries));
    for (size_t i = 0; i < record->entry_count; i++) {
        const char *name;
        json_t *value, *fields = json_array_get(entries, i);
        uint32_t present = 0;
        json_object_foreach(fields, name, value) {
            unsigned long key = strtoul(name, NULL, 10);
            assert_in_range(key, 1, 15);
            present |= CL_HAS(key);
            assert_entry_value(&record->entries[i], key, value);
        }
        assert_int_equal(record->entries[i].present, present);
    }
    assert_bytes(record->signer33, 33, json_object_get(item, "signer"));
    assert_bytes(record->id.bytes, 32, json_object_get(item, "id"));
}

/* ---------------------------------------------------------------- the good ones */

typedef void (*record_test)(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network);

static void for_each_record(record_test test)
{
    json_t *items = load("tests/vectors/records.json"), *item;
    size_t i;
    json_array_foreach(items, i, item) {
        print_message("  %s\n", json_string_value(json_object_get(item, "name")));
        struct cl_network_id network;
        size_t length;
        uint8_t *bytes = bytes_in(item, "hex", &length);
        fixed_bytes_in(network.bytes, 32, item, "network_id");
        test(item, bytes, length, &network);
        free(bytes);
    }
    json_decref(items);
}

static void check_decoded(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network)
{
    struct cl_record record;
    uint32_t refused_entry = 99;
    assert_int_equal(cl_record_decode(&record, &refused_entry, bytes, length, network), CL_OK);
    assert_fields(&record, item);
    assert_bytes(record.payload.data, record.payload.length, json_object_get(item, "payload"));
    assert_bytes(record.signature64, 64, json_object_get(item, "signature"));
    assert_bytes(record.leaf_hash.bytes, 32, json_object_get(item, "leaf_hash"));
    assert_int_equal(cl_record_length(record.payload.length), length);
    assert_int_equal(cl_record_check_signature(&record), CL_OK);
    cl_record_deinit(&record);
}

static void every_record_decodes_to_its_fields(void **state)
{
    (void)state;
    for_each_record(check_decoded);
}

static void check_payload_alone(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network)
{
    (void)bytes;
    (void)length;
    struct cl_record record;
    size_t payload_length;
    uint8_t signer[33], *payload = bytes_in(item, "payload", &payload_length);
    fixed_bytes_in(signer, 33, item, "signer");
    assert_int_equal(cl_record_decode_payload(&record, NULL, payload, payload_length, signer, network), CL_OK);
    assert_fields(&record, item);
    assert_null(record.signature64);
    assert_int_equal(cl_record_check_signature(&record), CL_E_SIGNATURE);
    cl_record_deinit(&record);
    free(payload);
}

static void a_payload_alone_gives_the_same_fields_and_id(void **state)
{
    (void)state;
    for_each_record(check_payload_alone);
}

static enum cl_status sign_with_secret(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    return cl_ecdsa_sign(signature64, context, digest32);
}

static void check_signed_again(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network)
{
    struct cl_record record;
    uint8_t secret[32];
    assert_int_equal(cl_record_decode(&record, NULL, bytes, length, network), CL_OK);
    fixed_bytes_in(secret, 32, item, "secret");
    /* Reversed, so that the encoder has to put them in order. */
    struct cl_entry *entries = malloc(record.entry_count * sizeof *entries);
    assert_non_null(entries);
    for (size_t i = 0; i < record.entry_count; i++) entries[record.entry_count - 1 - i] = record.entries[i];
    struct cl_draft draft = {.type = record.type,
                             .skip_refused = record.skip_refused,
                             .issued_at_ms = record.issued_at_ms,
                             .entries = entries,
                             .entry_count = record.entry_count};
    struct cl_signer signer = {.context = secret, .sign = sign_with_secret};
    assert_int_equal(cl_public_key_of(signer.key.bytes, secret), CL_OK);
    struct cl_buffer again = {0};
    struct cl_record_id id;
    assert_int_equal(cl_record_sign(&again, &id, NULL, &draft, &signer, network), CL_OK);
    assert_int_equal(again.length, length);
    assert_memory_equal(again.data, bytes, length);
    assert_memory_equal(id.bytes, record.id.bytes, 32);
    free(entries);
    cl_buffer_deinit(&again);
    cl_record_deinit(&record);
}

static void every_record_signs_to_the_same_bytes(void **state)
{
    (void)state;
    for_each_record(check_signed_again);
}

static void check_other_network(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network)
{
    (void)item;
    struct cl_network_id other = *network;
    other.bytes[31] ^= 1;
    struct cl_record record;
    assert_int_equal(cl_record_decode(&record, NULL, bytes, length, &other), CL_OK);
    assert_int_equal(cl_record_check_signature(&record), CL_E_SIGNATURE);
    cl_record_deinit(&record);
}

static void a_record_of_another_network_does_not_check(void **state)
{
    (void)state;
    for_each_record(check_other_network);
}

/* Cuts every record at every length: each is refused, and under a sanitizer nothing beyond the end is read. */
static void check_truncated(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network)
{
    (void)item;
    size_t step = length > 1000 ? 97 : 1;
    for (size_t cut = 0; cut < length; cut += step) {
        uint8_t *part = malloc(cut > 0 ? cut : 1);
        assert_non_null(part);
        memcpy(part, bytes, cut);
        struct cl_record record;
        enum cl_status status = cl_record_decode(&record, NULL, part, cut, network);
        assert_int_equal(status, CL_E_CBOR_TRUNCATED);
        free(part);
    }
}

static void a_truncated_record_is_refused_at_every_length(void **state)
{
    (void)state;
    for_each_record(check_truncated);
}

/* No single flipped bit leaves a record that decodes and checks: every byte of it is under the signature. */
static void check_flipped(const json_t *item, const uint8_t *bytes, size_t length, const struct cl_network_id *network)
{
    (void)item;
    if (length > 400) return;
    uint8_t *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    for (size_t i = 0; i < length; i++) {
        uint8_t flip = (uint8_t)(1u << (i % 8));
        copy[i] ^= flip;
        struct cl_record record;
        if (cl_record_decode(&record, NULL, copy, length, network) == CL_OK) {
            assert_int_not_equal(cl_record_check_signature(&record), CL_OK);
            cl_record_deinit(&record);
        }
        copy[i] ^= flip;
    }
    free(copy);
}

static void a_flipped_bit_anywhere_is_noticed(void **state)
{
    (void)state;
    for_each_record(check_flipped);
}

/* ---------------------------------------------------------------- the bad ones */

static void every_malformed_record_is_refused_for_its_fault(void **state)
{
    (void)state;
    json_t *items = load("tests/vectors/records_bad.json"), *item;
    size_t i, wrong = 0;
    assert_true(json_array_size(items) >= 60);
    json_array_foreach(items, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *expected = json_string_value(json_object_get(item, "expect"));
        struct cl_network_id network;
        struct cl_record record;
        uint32_t refused_entry = 99;
        size_t length;
        uint8_t *bytes = bytes_in(item, "hex", &length);
        fixed_bytes_in(network.bytes, 32, item, "network_id");
        enum cl_status status = cl_record_decode(&record, &refused_entry, bytes, length, &network);
        bool as_expected = strcmp(cl_status_code(status), expected) == 0 &&
                           refused_entry == number_of(json_object_get(item, "entry"));
        if (!as_expected) {
            print_error("%s: %s at entry %u, expected %s\n", name, cl_status_code(status), refused_entry, expected);
            wrong++;
        }
        if (status == CL_OK) cl_record_deinit(&record);
        free(bytes);
    }
    assert_int_equal(wrong, 0);
    json_decref(items);
}

/* ---------------------------------------------------------------- drafts */

static uint8_t secret[32] = {[31] = 42};
static const struct cl_network_id network = {{1, 2, 3}};

static struct cl_signer test_signer(void)
{
    struct cl_signer signer = {.context = secret, .sign = sign_with_secret};
    assert_int_equal(cl_public_key_of(signer.key.bytes, secret), CL_OK);
    return signer;
}

/* A draft of `count` entries of one type, each on its own object, with the keys of a REVOKE or of a narrowing AMEND. */
static enum cl_status sign_many(enum cl_record_type type, size_t count, struct cl_buffer *bytes)
{
    struct cl_entry *entries = calloc(count + 1, sizeof *entries);
    uint8_t(*objects)[32] = calloc(count + 1, 32);
    assert_non_null(entries);
    assert_non_null(objects);
    for (size_t i = 0; i < count; i++) {
        objects[i][0] = (uint8_t)(i >> 8);
        objects[i][1] = (uint8_t)i;
        entries[i] = (struct cl_entry){.present = CL_HAS(1), .object_length = 32, .object = objects[i]};
        if (type == CL_AMEND) {
            entries[i].present |= CL_HAS(9);
            entries[i].slots = 1;
        }
    }
    struct cl_draft draft = {.type = type, .issued_at_ms = 1, .entries = entries, .entry_count = count};
    struct cl_signer signer = test_signer();
    enum cl_status status = cl_record_sign(bytes, NULL, NULL, &draft, &signer, &network);
    free(entries);
    free(objects);
    return status;
}

static void entries_are_bounded_by_type(void **state)
{
    (void)state;
    const struct { enum cl_record_type type; size_t max; } cases[] = {{CL_REVOKE, 1000}, {CL_AMEND, 64}};
    for (size_t i = 0; i < 2; i++) {
        struct cl_buffer bytes = {0};
        struct cl_record record;
        assert_int_equal(sign_many(cases[i].type, cases[i].max, &bytes), CL_OK);
        assert_int_equal(cl_record_decode(&record, NULL, bytes.data, bytes.length, &network), CL_OK);
        assert_int_equal(record.entry_count, cases[i].max);
        cl_record_deinit(&record);
        bytes.length = 0;
        assert_int_equal(sign_many(cases[i].type, cases[i].max + 1, &bytes), CL_E_RECORD_ENTRIES);
        assert_int_equal(bytes.length, 0);
        assert_int_equal(sign_many(cases[i].type, 0, &bytes), CL_E_RECORD_ENTRIES);
        cl_buffer_deinit(&bytes);
    }
    for (uint64_t type = 0; type < 40; type++) {
        bool known = (type >= 1 && type <= 12) || (type >= 14 && type <= 21);
        assert_int_equal(cl_record_type_name(type) != NULL, known);
        bool shown_whole = type == CL_REQUEST || type == CL_GRANT || type == CL_SUBSCRIBE || type == CL_COUNTER || type == CL_AMEND || type == CL_RENEW;
        if (known)
            assert_int_equal(cl_record_entries_max((enum cl_record_type)type), shown_whole ? 64 : 1000);
    }
    assert_null(cl_record_type_name(UINT64_MAX));
    assert_string_equal(cl_record_type_name(CL_GRANT), "GRANT");
}

/* 1,000 entries of a STATEMENT do not fit into 65,535 bytes: the size is the bound then. */
static void a_record_too_large_is_refused_before_it_is_signed(void **state)
{
    (void)state;
    static struct cl_entry entries[CL_RECORD_ENTRIES_MAX];
    static uint8_t objects[CL_RECORD_ENTRIES_MAX][32];
    for (size_t i = 0; i < CL_RECORD_ENTRIES_MAX; i++) {
        objects[i][0] = (uint8_t)(i >> 8);
        objects[i][1] = (uint8_t)i;
        entries[i] = (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(4) | CL_HAS(5),
                                       .object_length = 32, .object = objects[i], .commitment = objects[0],
                                       .not_before = 1, .not_after = 2};
    }
    struct cl_draft draft = {.type = CL_STATEMENT, .entries = entries, .entry_count = CL_RECORD_ENTRIES_MAX};
    struct cl_signer signer = test_signer();
    struct cl_buffer bytes = {0};
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_RECORD_SIZE);
    static uint8_t large[CL_RECORD_BYTES_MAX + 1];
    struct cl_record record;
    assert_int_equal(cl_record_decode(&record, NULL, large, sizeof large, &network), CL_E_RECORD_SIZE);
    /* and the bound is met exactly: drop entries until it fits */
    enum cl_status status = CL_E_RECORD_SIZE;
    while (status == CL_E_RECORD_SIZE) {
        draft.entry_count--;
        status = cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network);
    }
    assert_int_equal(status, CL_OK);
    assert_in_range(bytes.length, CL_RECORD_BYTES_MAX - 100, CL_RECORD_BYTES_MAX);
    cl_buffer_deinit(&bytes);
}

static void a_draft_that_a_node_would_refuse_is_refused(void **state)
{
    (void)state;
    uint8_t object[32] = {7};
    struct cl_entry entries[2] = {{.present = CL_HAS(1), .object_length = 32, .object = object},
                                  {.present = CL_HAS(1), .object_length = 32, .object = object}};
    struct cl_draft draft = {.type = CL_REVOKE, .entries = entries, .entry_count = 2};
    struct cl_signer signer = test_signer();
    struct cl_buffer bytes = {0};
    uint32_t refused_entry = 99;
    assert_int_equal(cl_record_sign(&bytes, NULL, &refused_entry, &draft, &signer, &network), CL_E_RECORD_ORDER);
    assert_int_equal(refused_entry, 1);
    draft.entry_count = 1;
    entries[0].present |= CL_HAS(2);
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_ARGUMENT); /* no pointer */
    entries[0].prev = object;
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_RECORD_KEYS);
    entries[0].present = CL_HAS(1);
    entries[0].object_length = 200;
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_ARGUMENT);
    entries[0].object_length = 32;
    draft.type = (enum cl_record_type)13;
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_RECORD_TYPE);
    draft.type = CL_REVOKE;
    draft.signer = signer.key;
    draft.signer.bytes[0] ^= 1;
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_ARGUMENT); /* another's key */
    assert_int_equal(bytes.length, 0);
    cl_buffer_deinit(&bytes);
}

/* ---------------------------------------------------------------- signers outside the process */

static enum cl_status failing_signer(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    (void)context;
    (void)signature64;
    (void)digest32;
    return CL_E_SIGNER;
}

static enum cl_status lying_signer(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    uint8_t other[32];
    memcpy(other, digest32, 32);
    other[0] ^= 1;
    return cl_ecdsa_sign(signature64, context, other);
}

static void a_signer_that_fails_or_lies_makes_no_record(void **state)
{
    (void)state;
    uint8_t object[32] = {7};
    struct cl_entry entry = {.present = CL_HAS(1), .object_length = 32, .object = object};
    struct cl_draft draft = {.type = CL_SUSPEND, .issued_at_ms = 5, .entries = &entry, .entry_count = 1};
    struct cl_signer signer = test_signer();
    struct cl_buffer bytes = {0};
    draft.signer = signer.key;
    signer.sign = failing_signer;
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_SIGNER);
    signer.sign = lying_signer;
    assert_int_equal(cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &network), CL_E_SIGNATURE);
    assert_int_equal(bytes.length, 0);
    struct cl_record_id id;
    struct cl_buffer payload = {0};
    assert_int_equal(cl_draft_encode(&payload, &id, NULL, &draft, &network), CL_OK);
    assert_int_equal(cl_record_finish(&bytes, payload.data, payload.length, &signer.key, object, 7, &network), CL_E_SIGNATURE);
    assert_int_equal(bytes.length, 0);
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&bytes);
}

/* ---------------------------------------------------------------- derived ids */

static const json_t *named(const json_t *items, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0) return item;
    fail_msg("no item %s", name);
    return NULL;
}

static void derived_ids_are_those_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = load("tests/vectors/ids.json");
    size_t length;
    uint8_t key[33], a[32], b[32], nonce[16], *data;
    struct cl_hash hash;

    const json_t *item = named(items, "network_id");
    struct cl_network_id network_id;
    data = bytes_in(item, "genesis", &length);
    cl_network_id_derive(&network_id, data, length);
    assert_bytes(network_id.bytes, 32, json_object_get(item, "hex"));
    free(data);

    item = named(items, "object_id");
    struct cl_object_id object;
    fixed_bytes_in(key, 33, item, "signer");
    fixed_bytes_in(nonce, 16, item, "nonce");
    cl_object_id_derive(&object, key, nonce);
    assert_bytes(object.bytes, 32, json_object_get(item, "hex"));

    item = named(items, "commitment");
    struct cl_commitment commitment;
    fixed_bytes_in(object.bytes, 32, item, "object");
    fixed_bytes_in(a, 32, item, "salt");
    data = bytes_in(item, "body", &length);
    cl_commitment_derive(&commitment, &object, a, data, length);
    assert_bytes(commitment.bytes, 32, json_object_get(item, "hex"));
    free(data);

    item = named(items, "audience_key");
    fixed_bytes_in(a, 32, item, "salt");
    fixed_bytes_in(key, 33, item, "answerer");
    cl_audience_derive(&hash, a, key, 33);
    assert_bytes(hash.bytes, 32, json_object_get(item, "hex"));
    item = named(items, "audience_profile");
    fixed_bytes_in(b, 32, item, "answerer");
    cl_audience_derive(&hash, a, b, 32);
    assert_bytes(hash.bytes, 32, json_object_get(item, "hex"));

    item = named(items, "token_digest");
    fixed_bytes_in(network_id.bytes, 32, item, "network_id");
    fixed_bytes_in(a, 32, item, "bearer");
    fixed_bytes_in(b, 32, item, "agreement");
    fixed_bytes_in(key, 33, item, "answering_key");
    cl_token_digest(&hash, &network_id, a, b, key);
    assert_bytes(hash.bytes, 32, json_object_get(item, "hex"));

    item = named(items, "recovery");
    fixed_bytes_in(key, 33, item, "key");
    cl_recovery_derive(&hash, key);
    assert_bytes(hash.bytes, 32, json_object_get(item, "hex"));

    item = named(items, "mailbox");
    fixed_bytes_in(key, 33, item, "key");
    cl_mailbox_derive(&hash, key);
    assert_bytes(hash.bytes, 32, json_object_get(item, "hex"));
    json_decref(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_decodes_to_its_fields),
        cmocka_unit_test(a_payload_alone_gives_the_same_fields_and_id),
        cmocka_unit_test(every_record_signs_to_the_same_bytes),
        cmocka_unit_test(a_record_of_another_network_does_not_check),
        cmocka_unit_test(a_truncated_record_is_refused_at_every_length),
        cmocka_unit_test(a_flipped_bit_anywhere_is_noticed),
        cmocka_unit_test(every_malformed_record_is_refused_for_its_fault),
        cmocka_unit_test(entries_are_bounded_by_type),
        cmocka_unit_test(a_record_too_large_is_refused_before_it_is_signed),
        cmocka_unit_test(a_draft_that_a_node_would_refuse_is_refused),
        cmocka_unit_test(a_signer_that_fails_or_lies_makes_no_record),
        cmocka_unit_test(derived_ids_are_those_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

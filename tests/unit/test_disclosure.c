/* Disclosures: what is shown belongs to the commitment and to nothing else, whatever was chosen; what is not shown stays
   unseen; and an address holds for its network, its fields and a key that the state names. Profiles of persons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cbor.h"
#include "consent/disclosure.h"
#include "consent/record.h"
#include "crypto.h"
#include "fixture.h"
#include "vectors.h"

static const uint8_t salt[32] = {2};
static const struct cl_object_id object = {{3}};
static const struct cl_network_id network = {{4}};

/* A body as its owner has it: the template of terms, 12 fields. */
struct whole { struct cl_buffer bytes; struct cl_body_file file; struct cl_verify_report report; };

static void whole_of(struct whole *out, struct cl_body *body)
{
    memset(out, 0, sizeof *out);
    out->bytes.secret = true;
    FIXTURE_OK(cl_body_file_encode(&out->bytes, &object, salt, body));
    FIXTURE_OK(cl_body_file_decode(&out->file, out->bytes.data, out->bytes.length));
    cl_body_deinit(body);
    out->report.exists = true;
    out->report.kind = CL_STATE_TERMS;
    out->report.network = network;
    cl_body_file_commitment(&out->report.commitment, &out->file);
}

static struct whole *whole_new(uint8_t seed_byte)
{
    struct whole *whole = malloc(sizeof *whole);
    struct cl_terms_text *text = NULL;
    struct cl_terms_fault fault;
    struct cl_body body;
    uint8_t seed[32] = {seed_byte};
    assert_non_null(whole);
    FIXTURE_OK(cl_terms_text_parse(&text, &fault, cl_terms_text_template(), strlen(cl_terms_text_template())));
    FIXTURE_OK(cl_body_make(&body, text, seed));
    cl_terms_text_free(text);
    whole_of(whole, &body);
    return whole;
}

static void whole_free(struct whole *whole)
{
    cl_buffer_wipe(&whole->bytes);
    free(whole);
}

/* The fields whose bits are set, as a file. address: NULL, or to be signed by secret32. */
static struct cl_buffer made(const struct cl_body_file *file, uint64_t bits, struct cl_disclosure_address *address, const uint8_t *secret32)
{
    struct cl_buffer shown = {.secret = true}, out = {.secret = true};
    bool marked[CL_BODY_FIELDS_MAX] = {false};
    for (size_t i = 0; i < file->disclosure_count; i++)
        marked[i] = (bits >> i & 1) != 0;
    FIXTURE_OK(cl_disclosure_select(&shown, file, marked));
    struct cl_view view = {shown.data, shown.length};
    if (address != NULL) {
        struct cl_hash digest;
        FIXTURE_OK(cl_public_key_of(address->signer.bytes, secret32));
        FIXTURE_OK(cl_disclosure_digest(&digest, &network, view, address));
        FIXTURE_OK(cl_ecdsa_sign(address->signature64, secret32, digest.bytes));
    }
    FIXTURE_OK(cl_disclosure_encode(&out, view, address));
    cl_buffer_wipe(&shown);
    return out;
}

static struct cl_disclosure_file read_back; /* 4 KiB: not on the stack of every test */

static enum cl_status judged(const struct cl_buffer *bytes, const struct cl_verify_report *report)
{
    enum cl_status status = cl_disclosure_decode(&read_back, bytes->data, bytes->length);
    return status != CL_OK ? status : cl_disclosure_check(&read_back, report);
}

static bool contains(const struct cl_buffer *in, struct cl_view what) { return memmem(in->data, in->length, what.data, what.length) != NULL; }

static void every_subset_holds_and_shows_nothing_else(void **state)
{
    (void)state;
    struct whole *whole = whole_new(1);
    size_t count = whole->file.disclosure_count;
    assert_int_equal(count, 12);
    for (uint64_t bits = 1; bits < 1ull << count; bits++) {
        struct cl_buffer bytes = made(&whole->file, bits, NULL, NULL);
        FIXTURE_OK(judged(&bytes, &whole->report));
        assert_int_equal(read_back.body.disclosure_count, __builtin_popcountll(bits));
        for (size_t i = 0; i < count; i++)
            assert_int_equal(contains(&bytes, whole->file.disclosures[i]), (bits >> i & 1) != 0);
        if (bits % 64 == 1) /* the salt, and so the digest's secret, of what is not shown */
            for (size_t i = 0; i < count; i++)
                assert_int_equal(contains(&bytes, (struct cl_view){whole->file.disclosures[i].data + 2, 16}), (bits >> i & 1) != 0);
        cl_buffer_wipe(&bytes);
    }
    struct cl_buffer none = {0};
    const bool marked[CL_BODY_FIELDS_MAX] = {false};
    assert_int_equal(cl_disclosure_select(&none, &whole->file, marked), CL_E_ARGUMENT);
    whole_free(whole);
}

static void a_changed_byte_anywhere_is_noticed(void **state)
{
    (void)state;
    static const uint8_t secret[32] = {9};
    struct whole *whole = whole_new(1);
    struct cl_disclosure_address address = {.nonce = "4711", .time_ms = 1760000000000};
    for (int addressed = 0; addressed < 2; addressed++) {
        struct cl_buffer bytes = made(&whole->file, 5, addressed == 1 ? &address : NULL, secret);
        memcpy(whole->report.owner.bytes, address.signer.bytes, 33);
        FIXTURE_OK(judged(&bytes, &whole->report));
        for (size_t i = 0; i < bytes.length; i++)
            for (unsigned bit = 0; bit < 8; bit++) {
                bytes.data[i] ^= (uint8_t)(1u << bit);
                assert_int_not_equal(judged(&bytes, &whole->report), CL_OK);
                bytes.data[i] ^= (uint8_t)(1u << bit);
            }
        for (size_t length = 0; length < bytes.length; length++) {
            struct cl_buffer cut = {.data = bytes.data, .length = length};
            assert_int_not_equal(judged(&cut, &whole->report), CL_OK);
        }
        FIXTURE_OK(cl_buffer_append(&bytes, "", 1));
        assert_int_equal(judged(&bytes, &whole->report), CL_E_CBOR_TRAILING);
        cl_buffer_wipe(&bytes);
    }
    whole_free(whole);
}

/* As a disclosure file around this body-file, made by hand. */
static struct cl_buffer by_hand(struct cl_view body, const struct cl_view *disclosures, size_t count)
{
    struct cl_buffer inner = {0}, out = {0};
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, &inner);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, object.bytes, 32);
    cl_cbor_put_bytes(&writer, salt, 32);
    cl_cbor_put_bytes(&writer, body.data, body.length);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++)
        cl_cbor_put_bytes(&writer, disclosures[i].data, disclosures[i].length);
    FIXTURE_OK(writer.status);
    FIXTURE_OK(cl_disclosure_encode(&out, (struct cl_view){inner.data, inner.length}, NULL));
    cl_buffer_deinit(&inner);
    return out;
}

static enum cl_status by_hand_judged(const struct whole *whole, struct cl_view body, const struct cl_view *disclosures, size_t count)
{
    struct cl_buffer bytes = by_hand(body, disclosures, count);
    enum cl_status status = judged(&bytes, &whole->report);
    cl_buffer_deinit(&bytes);
    return status;
}

static void fields_of_another_body_doubled_and_disordered_ones_are_refused(void **state)
{
    (void)state;
    struct whole *whole = whole_new(1), *other = whole_new(2);
    const struct cl_view *own = whole->file.disclosures;
    FIXTURE_OK(by_hand_judged(whole, whole->file.body, own, 2));
    assert_int_equal(by_hand_judged(whole, whole->file.body, (struct cl_view[]){own[0], other->file.disclosures[1]}, 2), CL_E_BODY);
    assert_int_equal(by_hand_judged(whole, whole->file.body, (struct cl_view[]){own[0], own[0]}, 2), CL_E_BODY);
    assert_int_equal(by_hand_judged(whole, whole->file.body, (struct cl_view[]){own[1], own[0]}, 2), CL_E_BODY);
    assert_int_equal(by_hand_judged(whole, whole->file.body, own, 0), CL_E_FORMAT);
    assert_int_equal(by_hand_judged(whole, other->file.body, other->file.disclosures, 2), CL_E_BODY); /* whole, and not what was committed to */
    /* a digest that is there twice */
    struct cl_buffer doubled = {0};
    FIXTURE_OK(cl_buffer_append(&doubled, whole->file.body.data, whole->file.body.length));
    memcpy(doubled.data + doubled.length - 32, doubled.data + doubled.length - 66, 32);
    assert_int_equal(by_hand_judged(whole, (struct cl_view){doubled.data, doubled.length}, own, 1), CL_E_FORMAT);
    cl_buffer_deinit(&doubled);
    whole_free(whole);
    whole_free(other);
}

/* Whoever made the body can have given one name two values, and show each to somebody else, but not both to one. */
static void a_name_is_shown_once(void **state)
{
    (void)state;
    const char *const names[] = {"age", "age"}, *const values[] = {"40", "50"};
    const uint8_t seed[32] = {1};
    struct whole *whole = malloc(sizeof *whole);
    struct cl_body body;
    assert_non_null(whole);
    FIXTURE_OK(cl_body_make_fields(&body, "profile", names, values, 2, seed));
    whole_of(whole, &body);
    struct cl_buffer both = made(&whole->file, 3, NULL, NULL), one = made(&whole->file, 2, NULL, NULL);
    assert_int_equal(judged(&both, &whole->report), CL_E_FORMAT);
    FIXTURE_OK(judged(&one, &whole->report));
    cl_buffer_wipe(&both);
    cl_buffer_wipe(&one);
    whole_free(whole);
}

static void it_belongs_to_one_commitment_of_a_thing_that_exists(void **state)
{
    (void)state;
    struct whole *whole = whole_new(1);
    struct cl_buffer bytes = made(&whole->file, 1, NULL, NULL);
    const enum cl_state_kind good[] = {CL_STATE_AGREEMENT, CL_STATE_TERMS, CL_STATE_PROFILE}, bad[] = {CL_STATE_ANSWER, CL_STATE_NETWORK};
    for (size_t i = 0; i < 3; i++) {
        whole->report.kind = good[i];
        FIXTURE_OK(judged(&bytes, &whole->report));
    }
    for (size_t i = 0; i < 2; i++) {
        whole->report.kind = bad[i];
        assert_int_equal(judged(&bytes, &whole->report), CL_E_OBJECT_KIND);
    }
    whole->report.kind = CL_STATE_TERMS;
    whole->report.exists = false;
    assert_int_equal(judged(&bytes, &whole->report), CL_E_OBJECT_KIND);
    whole->report.exists = true;
    whole->report.commitment.bytes[31] ^= 1;
    assert_int_equal(judged(&bytes, &whole->report), CL_E_BODY);
    cl_buffer_wipe(&bytes);
    whole_free(whole);
}

static void an_address_is_of_one_network_one_choice_and_a_party(void **state)
{
    (void)state;
    static const uint8_t secret[32] = {9}, stranger[32] = {10};
    struct whole *whole = whole_new(1);
    struct cl_disclosure_address address = {.nonce = "4711", .time_ms = 1760000000000}, other;
    struct cl_buffer bytes = made(&whole->file, 1, &address, secret);
    whole->report.kind = CL_STATE_AGREEMENT;
    whole->report.agreement.customer.length = whole->report.agreement.organisation.length = 33;
    memcpy(whole->report.agreement.organisation.bytes, address.signer.bytes, 33);
    FIXTURE_OK(judged(&bytes, &whole->report));
    memcpy(whole->report.agreement.customer.bytes, address.signer.bytes, 33);
    memset(whole->report.agreement.organisation.bytes, 0, 33);
    FIXTURE_OK(judged(&bytes, &whole->report));
    whole->report.agreement.customer.length = 32; /* an object: which key acts for it is not said */
    assert_int_equal(judged(&bytes, &whole->report), CL_E_PARTY);
    whole->report.agreement.customer.length = 33;
    whole->report.network.bytes[0] ^= 1;
    assert_int_equal(judged(&bytes, &whole->report), CL_E_SIGNATURE);
    whole->report.network = network;
    cl_buffer_wipe(&bytes);
    /* the signature moved to another choice of fields */
    struct cl_buffer shown = {0};
    const bool marked[CL_BODY_FIELDS_MAX] = {true, true};
    FIXTURE_OK(cl_disclosure_select(&shown, &whole->file, marked));
    FIXTURE_OK(cl_disclosure_encode(&bytes, (struct cl_view){shown.data, shown.length}, &address));
    assert_int_equal(judged(&bytes, &whole->report), CL_E_SIGNATURE);
    cl_buffer_wipe(&bytes);
    cl_buffer_wipe(&shown);
    other = (struct cl_disclosure_address){.has_recipient = true, .time_ms = 1};
    memcpy(other.recipient.bytes, address.signer.bytes, 33);
    bytes = made(&whole->file, 1, &other, stranger);
    assert_int_equal(judged(&bytes, &whole->report), CL_E_PARTY);
    cl_buffer_wipe(&bytes);
    whole_free(whole);
}

static enum cl_status with_address(const struct cl_body_file *file, const struct cl_disclosure_address *address)
{
    struct cl_buffer shown = {0}, bytes = {0};
    const bool marked[CL_BODY_FIELDS_MAX] = {true};
    FIXTURE_OK(cl_disclosure_select(&shown, file, marked));
    FIXTURE_OK(cl_disclosure_encode(&bytes, (struct cl_view){shown.data, shown.length}, address));
    enum cl_status status = cl_disclosure_decode(&read_back, bytes.data, bytes.length);
    cl_buffer_deinit(&shown);
    cl_buffer_deinit(&bytes);
    return status;
}

static void an_address_has_one_form(void **state)
{
    (void)state;
    static const uint8_t secret[32] = {9};
    struct whole *whole = whole_new(1);
    struct cl_disclosure_address good = {.nonce = "4711", .time_ms = 1760000000000}, bad;
    struct cl_hash digest;
    struct cl_buffer bytes = made(&whole->file, 1, &good, secret);
    cl_buffer_wipe(&bytes);
    FIXTURE_OK(with_address(&whole->file, &good));
    bad = good, bad.nonce[0] = '\0';
    assert_int_equal(with_address(&whole->file, &bad), CL_E_FORMAT);
    assert_int_equal(cl_disclosure_digest(&digest, &network, (struct cl_view){salt, 1}, &bad), CL_E_ARGUMENT);
    bad = good, bad.nonce[1] = '\x1b';
    assert_int_equal(with_address(&whole->file, &bad), CL_E_FORMAT);
    bad = good, memset(bad.nonce, 'a', 64);
    FIXTURE_OK(with_address(&whole->file, &bad));
    bad = good, bad.signer.bytes[0] = 7;
    assert_int_equal(with_address(&whole->file, &bad), CL_E_KEY);
    bad = good, bad.has_recipient = true;
    assert_int_equal(with_address(&whole->file, &bad), CL_E_KEY);
    bad = good, memset(bad.signature64 + 32, 0xf0, 32);
    assert_int_equal(with_address(&whole->file, &bad), CL_E_SIGNATURE_HIGH_S);
    bad = good, bad.time_ms = UINT64_MAX;
    assert_int_equal(with_address(&whole->file, &bad), CL_E_VALUE);
    whole_free(whole);
}

/* ---- vectors: another implementation's bytes */

static void vector_holds(const json_t *items, const char *name, const struct cl_verify_report *report)
{
    const json_t *item = vectors_item(items, name);
    const char *nonce = json_string_value(json_object_get(item, "nonce"));
    bool recipient = json_is_string(json_object_get(item, "recipient"));
    struct cl_buffer bytes = vectors_bytes(item, "hex"), shown = vectors_bytes(item, "shown"), again = {0};
    uint8_t expected[33];
    struct cl_hash digest;
    FIXTURE_OK(judged(&bytes, report));
    assert_int_equal(read_back.shown.length, shown.length);
    assert_memory_equal(read_back.shown.data, shown.data, shown.length);
    assert_int_equal(read_back.body.disclosure_count, 1);
    assert_int_equal(read_back.addressed, nonce != NULL || recipient);
    if (read_back.addressed) {
        assert_int_equal(read_back.address.has_recipient, recipient);
        assert_string_equal(read_back.address.nonce, nonce == NULL ? "" : nonce);
        assert_int_equal(read_back.address.time_ms, vectors_number(json_object_get(item, "time_ms")));
        FIXTURE_OK(cl_disclosure_digest(&digest, &report->network, read_back.shown, &read_back.address));
        vectors_fixed(expected, 32, item, "digest");
        assert_memory_equal(digest.bytes, expected, 32);
        vectors_fixed(expected, 33, item, "signer");
        assert_memory_equal(read_back.address.signer.bytes, expected, 33);
    }
    FIXTURE_OK(cl_disclosure_encode(&again, read_back.shown, read_back.addressed ? &read_back.address : NULL));
    assert_int_equal(again.length, bytes.length);
    assert_memory_equal(again.data, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&shown);
    cl_buffer_deinit(&again);
}

static void files_of_another_implementation_hold_against_its_proof(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/proofs.json");
    const json_t *proof = vectors_item(items, "proof_file");
    struct cl_buffer bytes = vectors_bytes(proof, "hex");
    const char *text = json_string_value(json_object_get(proof, "policy"));
    struct cl_policy *policy = NULL;
    struct cl_verify_report *report = malloc(sizeof *report);
    const struct cl_verify_options options = {.now_ms = 1000 * vectors_number(json_object_get(proof, "as_of_s"))};
    assert_non_null(report);
    FIXTURE_OK(cl_policy_new(&policy, NULL, (const uint8_t *)text, strlen(text)));
    FIXTURE_OK(cl_proof_verify(report, bytes.data, bytes.length, policy, &options));
    const char *const names[] = {"disclosure_file_for_anybody", "disclosure_file_for_the_bank", "disclosure_file_for_a_nonce", "disclosure_file_for_both"};
    for (size_t i = 0; i < 4; i++)
        vector_holds(items, names[i], report);
    cl_buffer_deinit(&bytes);
    bytes = vectors_bytes(vectors_item(items, "proof_file_profile"), "hex");
    FIXTURE_OK(cl_proof_verify(report, bytes.data, bytes.length, policy, &options));
    struct cl_buffer file = vectors_bytes(vectors_item(items, "disclosure_file_for_anybody"), "hex");
    assert_int_equal(judged(&file, report), CL_E_BODY);
    cl_buffer_deinit(&file);
    cl_buffer_deinit(&bytes);
    cl_policy_free(policy);
    free(report);
    json_decref(items);
}

static void same_text(struct cl_view text, const json_t *expected)
{
    assert_int_equal(text.length, json_string_length(expected));
    assert_memory_equal(text.data, json_string_value(expected), text.length);
}

static void same_bound(bool has, int64_t bound, const json_t *expected)
{
    assert_int_equal(has, json_is_integer(expected));
    assert_true(!has || bound == json_integer_value(expected));
}

static void a_profile_of_another_implementation_is_read(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/proofs.json");
    const json_t *item = vectors_item(items, "profile_body_file"), *attributes = json_object_get(item, "attributes");
    struct cl_buffer bytes = vectors_bytes(item, "hex");
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_commitment commitment;
    uint8_t expected[32];
    size_t seen = 0;
    assert_non_null(file);
    FIXTURE_OK(cl_body_file_decode(file, bytes.data, bytes.length));
    cl_body_file_commitment(&commitment, file);
    vectors_fixed(expected, 32, item, "commitment");
    assert_memory_equal(commitment.bytes, expected, 32);
    assert_int_equal(file->digest_count, 16);
    assert_int_equal(file->disclosure_count, json_array_size(attributes));
    for (size_t i = 0; i < file->disclosure_count; i++) {
        struct cl_body_field field;
        FIXTURE_OK(cl_body_field_read(&field, file->disclosures[i]));
        for (size_t k = 0; k < json_array_size(attributes); k++) {
            const json_t *name = json_array_get(json_array_get(attributes, k), 0), *pair = json_array_get(json_array_get(attributes, k), 1), *value = json_array_get(pair, 1);
            if (field.name.length != json_string_length(name) || memcmp(field.name.data, json_string_value(name), field.name.length) != 0)
                continue;
            same_text(field.category, json_array_get(pair, 0));
            if (json_is_string(value))
                same_text(field.text, value);
            assert_int_equal(field.kind, json_is_string(value) ? CL_FIELD_TEXT : json_is_boolean(value) ? CL_FIELD_YES_NO : CL_FIELD_RANGE);
            assert_int_equal(field.yes, json_is_true(value));
            same_bound(field.has_low, field.low, json_array_get(value, 0));
            same_bound(field.has_high, field.high, json_array_get(value, 1));
            seen++;
        }
    }
    assert_int_equal(seen, 6);
    free(file);
    cl_buffer_deinit(&bytes);
    json_decref(items);
}

/* ---- profiles as text */

static void profile_refused(const char *source, size_t line, const char *part)
{
    struct cl_profile_text profile;
    struct cl_terms_fault fault;
    assert_int_equal(cl_profile_text_parse(&profile, &fault, source, strlen(source)), CL_E_FORMAT);
    assert_int_equal(fault.line, line);
    if (strstr(fault.sentence, part) == NULL)
        fail_msg("'%s' does not say '%s'", fault.sentence, part);
}

static void faults_of_a_profile_are_named_with_their_line(void **state)
{
    (void)state;
    profile_refused("", 0, "no attribute");
    profile_refused("category: pd:Age\n", 1, "begins with its name");
    profile_refused("[Age]\n", 1, "a-z");
    profile_refused("[age\n", 1, "a-z");
    profile_refused("[age, name]\n", 1, "a-z");
    profile_refused("[age]\ncategory: pd:AgeRang\n", 2, "pd:AgeRange");
    profile_refused("[age]\ncategory: pd:AgeRange\n", 2, "needs a category and a value");
    profile_refused("[age]\nrange: 1\n[b]\n", 3, "'age' needs");
    profile_refused("[age]\ncategory: pd:AgeRange\nrange: 50 to 40\n", 3, "at least 8");
    profile_refused("[age]\nrange: 40 bis 50\n", 2, "at least 8");
    profile_refused("[age]\nrange: 9999999999999999\n", 2, "at least 8");
    profile_refused("[age]\nanswer: maybe\n", 2, "'yes' or 'no'");
    profile_refused("[age]\nrange: 1\ntext: b\n", 3, "one value");
    profile_refused("[age]\ncategory: pd:Age\ncategory: pd:Age\n", 3, "twice");
    profile_refused("[age]\ncolour: red\n", 2, "not known");
    profile_refused("[age]\ntext:\n", 2, "nothing behind");
    profile_refused("[age]\ntext\n", 2, "key: value");
    profile_refused("[a]\ncategory: pd:Age\nrange: 1\n[a]\n", 4, "Two attributes");
    profile_refused("[a]\ntext: a\x1b[2J\n", 2, "control");
    profile_refused("\xff", 0, "UTF-8");
}

static struct whole *profile_new(const char *source)
{
    const uint8_t seed[32] = {7};
    struct cl_profile_text profile;
    struct cl_terms_fault fault;
    struct whole *whole = malloc(sizeof *whole);
    struct cl_body body;
    assert_non_null(whole);
    FIXTURE_OK(cl_profile_text_parse(&profile, &fault, source, strlen(source)));
    FIXTURE_OK(cl_body_make_profile(&body, &profile, seed));
    whole_of(whole, &body);
    return whole;
}

static void words_are(const struct whole *whole, const char *expected)
{
    struct cl_buffer words = {0};
    FIXTURE_OK(cl_body_file_words(&words, &whole->file));
    FIXTURE_OK(cl_buffer_append(&words, "", 1));
    assert_string_equal((const char *)words.data, expected);
    cl_buffer_deinit(&words);
}

static void a_profile_reads_back_in_plain_words(void **state)
{
    (void)state;
    struct { const char *source, *words; } const cases[] = {
        {"[a]\ncategory: pd:AgeRange\nrange: 40 to 50\n", "a: 40 to 50 (Age Range, pd:AgeRange)\n"},
        {"[a]\ncategory: pd:AgeRange\nrange: at least 8\n", "a: at least 8 (Age Range, pd:AgeRange)\n"},
        {"[a]\ncategory: https://w3id.org/dpv/pd#AgeRange\nrange: at most -3\n", "a: at most -3 (Age Range, pd:AgeRange)\n"},
        {"# c\n\n  [a]  \n\tcategory:pd:Age\r\nrange:7", "a: 7 (Age, pd:Age)\n"},
        {"[a]\ncategory: https://example.org/x\nanswer: no\n", "a: no (https://example.org/x)\n"},
        {"[a]\nanswer: yes\ncategory: pd:Insurance\n", "a: yes (Insurance, pd:Insurance)\n"},
        {"[a]\ncategory: pd:Intention\ntext: a car: red\n", "a: a car: red (Intention, pd:Intention)\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct whole *whole = profile_new(cases[i].source);
        words_are(whole, cases[i].words);
        whole_free(whole);
    }
    struct whole *whole = profile_new(cl_profile_text_template());
    assert_int_equal(whole->file.disclosure_count, 4);
    whole_free(whole);
}

static void the_number_of_attributes_is_hidden_in_sixteens(void **state)
{
    (void)state;
    const size_t counts[] = {1, 15, 16, 17, 64}, digests[] = {16, 16, 16, 32, 64};
    for (size_t i = 0; i < 5; i++) {
        char source[8192];
        size_t used = 0;
        for (size_t k = 0; k < counts[i]; k++)
            used += (size_t)snprintf(source + used, sizeof source - used, "[a%zu]\ncategory: pd:Age\nrange: 1\n", k);
        struct whole *whole = profile_new(source);
        assert_int_equal(whole->file.disclosure_count, counts[i]);
        assert_int_equal(whole->file.digest_count, digests[i]);
        whole_free(whole);
        if (counts[i] == 64) {
            (void)snprintf(source + used, sizeof source - used, "[one-more]\n");
            profile_refused(source, 193, "at most 64");
        }
    }
}

/* What is shown must not pass for something else, nor be left out because it looks like something known. */
static void words_cannot_be_forged(void **state)
{
    (void)state;
    const uint8_t seed[32] = {1};
    const char *const names[] = {"about"}, *const values[] = {"x\nage: 40\x1b[2J\xc2\x9b"};
    struct whole *whole = malloc(sizeof *whole);
    struct cl_body body;
    assert_non_null(whole);
    FIXTURE_OK(cl_body_make_fields(&body, "profile", names, values, 1, seed));
    whole_of(whole, &body);
    words_are(whole, "about: x\n    age: 40?[2J?\n");
    const char *const slots[] = {"slot-64"}, *const texts[] = {"everything"};
    cl_buffer_wipe(&whole->bytes);
    FIXTURE_OK(cl_body_make_fields(&body, "terms", slots, texts, 1, seed));
    whole_of(whole, &body);
    words_are(whole, "slot-64: everything\n");
    const char *const bad[] = {"a\nb"};
    cl_buffer_wipe(&whole->bytes);
    FIXTURE_OK(cl_body_make_fields(&body, "terms", bad, texts, 1, seed));
    whole_of(whole, &body);
    struct cl_buffer bytes = made(&whole->file, 1, NULL, NULL);
    assert_int_equal(judged(&bytes, &whole->report), CL_E_FORMAT);
    cl_buffer_wipe(&bytes);
    whole_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subset_holds_and_shows_nothing_else),
        cmocka_unit_test(a_changed_byte_anywhere_is_noticed),
        cmocka_unit_test(fields_of_another_body_doubled_and_disordered_ones_are_refused),
        cmocka_unit_test(a_name_is_shown_once),
        cmocka_unit_test(it_belongs_to_one_commitment_of_a_thing_that_exists),
        cmocka_unit_test(an_address_is_of_one_network_one_choice_and_a_party),
        cmocka_unit_test(an_address_has_one_form),
        cmocka_unit_test(files_of_another_implementation_hold_against_its_proof),
        cmocka_unit_test(a_profile_of_another_implementation_is_read),
        cmocka_unit_test(faults_of_a_profile_are_named_with_their_line),
        cmocka_unit_test(a_profile_reads_back_in_plain_words),
        cmocka_unit_test(the_number_of_attributes_is_hidden_in_sixteens),
        cmocka_unit_test(words_cannot_be_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

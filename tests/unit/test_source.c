/* Data that stays at the source: bytes against another implementation's; what a holder serves and what it refuses; whom a
   reader believes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "crypto.h"
#include "fixture.h"
#include "proof_world.h"
#include "consent/source.h"
#include "vectors.h"

#define OK(call) assert_int_equal((call), CL_OK)
#define HOUR_MS 3600000u

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = vectors_load("tests/vectors/source.json");
    return 0;
}
static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

/* ---- signers: one that gives back what was read, so that bytes can be compared; and people */

static enum cl_status sign_as_read(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    (void)digest32;
    memcpy(signature64, context, 64);
    return CL_OK;
}

static enum cl_status sign_with(void *context, uint8_t signature64[64], const uint8_t digest32[32]) { return cl_ecdsa_sign(signature64, context, digest32); }

static struct cl_signer signer_of(struct proof_world_key *key)
{
    struct cl_signer signer = {.context = key->secret, .sign = sign_with};
    memcpy(signer.key.bytes, key->public33, 33);
    return signer;
}

/* ---- documents */

static enum cl_status read_any(const char *name, const uint8_t *data, size_t length, struct cl_buffer *again)
{
    struct cl_source_release release;
    struct cl_source_pointer pointer;
    struct cl_source_request request;
    uint8_t signature[64];
    struct cl_signer signer = {.context = signature, .sign = sign_as_read};
    enum cl_status status = strncmp(name, "release", 7) == 0 ? cl_source_release_decode(&release, data, length)
        : strncmp(name, "pointer", 7) == 0 ? cl_source_pointer_decode(&pointer, data, length) : cl_source_request_decode(&request, data, length);
    if (status != CL_OK || again == NULL)
        return status;
    memcpy(signature, data + length - 64, 64);
    if (strncmp(name, "release", 7) == 0) {
        signer.key = release.signer;
        OK(cl_source_release_sign(again, &release, &signer));
    } else if (strncmp(name, "pointer", 7) == 0) {
        signer.key = pointer.signer;
        OK(cl_source_pointer_sign(again, &pointer, &signer));
    } else {
        signer.key = request.signer;
        OK(cl_source_request_sign(again, &request, &signer));
    }
    return CL_OK;
}

static const char *const documents[] = {"release", "release_taken_back", "pointer", "pointer_nowhere", "request", "request_with_party_proof"};

static void documents_are_those_of_the_vectors_and_no_byte_of_them_can_be_changed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        struct cl_buffer bytes = vectors_bytes(vectors_item(vectors, documents[i]), "hex"), again = {0};
        OK(read_any(documents[i], bytes.data, bytes.length, &again));
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.data, bytes.data, bytes.length);
        for (size_t at = 0; at < bytes.length; at += bytes.length > 1000 ? 17 : 1) {
            bytes.data[at] ^= 1;
            assert_int_not_equal(read_any(documents[i], bytes.data, bytes.length, NULL), CL_OK);
            bytes.data[at] ^= 1;
            assert_int_not_equal(read_any(documents[i], bytes.data, at, NULL), CL_OK);
        }
        OK(cl_buffer_append(&bytes, "", 1));
        assert_int_equal(read_any(documents[i], bytes.data, bytes.length, NULL), CL_E_CBOR_TRAILING);
        cl_buffer_deinit(&bytes);
        cl_buffer_deinit(&again);
    }
}

static void what_is_beyond_a_bound_is_neither_made_nor_read(void **state)
{
    (void)state;
    struct proof_world_key key;
    proof_world_key(&key, "anna");
    struct cl_signer signer = signer_of(&key);
    struct cl_source_request request = {.slot = 1};
    struct cl_source_pointer pointer = {.uses = 1, .where = {(const uint8_t *)"a\nb", 3}};
    struct cl_source_release release = {.slot = 64};
    struct cl_buffer out = {0};
    uint8_t *large = calloc(1, CL_SOURCE_REQUEST_BYTES_MAX + 1);
    assert_non_null(large);
    assert_int_equal(cl_source_request_decode(&request, large, CL_SOURCE_REQUEST_BYTES_MAX + 1), CL_E_BOUND);
    request.proof = (struct cl_view){large, CL_SOURCE_REQUEST_BYTES_MAX - 100};
    assert_int_equal(cl_source_request_sign(&out, &request, &signer), CL_E_BOUND);
    request.proof.length = 0;
    assert_int_equal(cl_source_request_sign(&out, &request, &signer), CL_E_VALUE);
    assert_int_equal(cl_source_pointer_sign(&out, &pointer, &signer), CL_E_VALUE); /* nothing that drives a terminal */
    pointer.where = (struct cl_view){large, CL_SOURCE_WHERE_BYTES_MAX + 1};
    assert_int_equal(cl_source_pointer_sign(&out, &pointer, &signer), CL_E_VALUE);
    assert_int_equal(cl_source_release_sign(&out, &release, &signer), CL_E_VALUE);
    assert_int_equal(cl_source_release_decode(&release, large, CL_SOURCE_POINTER_BYTES_MAX + 1), CL_E_BOUND);
    assert_int_equal(cl_source_pointer_decode(&pointer, large, CL_SOURCE_POINTER_BYTES_MAX + 1), CL_E_BOUND);
    assert_int_equal(out.length, 0);
    free(large);
    cl_buffer_deinit(&out);
}

static void answers_are_those_of_the_vectors(void **state)
{
    (void)state;
    static const char *const names[] = {"answer", "answer_4_kib"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = vectors_item(vectors, names[i]);
        struct cl_buffer padded = vectors_bytes(item, "hex"), sealed = vectors_bytes(item, "sealed"), opened = {.secret = true}, again = {0};
        struct cl_source_answer answer, read;
        uint8_t secret[32], signature[64], delivery[32], holder[33];
        vectors_fixed(secret, 32, item, "secret");
        vectors_fixed(holder, 33, item, "holder_key");
        OK(cl_source_answer_open(&opened, &answer, sealed.data, sealed.length, secret));
        assert_int_equal(opened.length, padded.length);
        assert_memory_equal(opened.data, padded.data, padded.length);
        assert_memory_equal(answer.signer.bytes, holder, 33);
        assert_memory_equal(answer.content.data, "income of 2025: 41,200\n", 23);
        size_t end = padded.length;
        while (padded.data[end - 1] == 0)
            end--;
        memcpy(signature, padded.data + end - 64, 64); /* its last byte is not zero in these */
        struct cl_signer signer = {.context = signature, .sign = sign_as_read, .key = answer.signer};
        cl_x25519_public(delivery, secret);
        OK(cl_source_answer_seal(&again, &answer, &signer, delivery));
        assert_int_equal(again.length, sealed.length);
        OK(cl_source_answer_open(&opened, &read, again.data, again.length, secret));
        assert_memory_equal(opened.data, padded.data, padded.length);
        for (size_t at = 0; at < sealed.length; at += 97) {
            sealed.data[at] ^= 1;
            assert_int_equal(cl_source_answer_open(&opened, &read, sealed.data, sealed.length, secret), CL_E_DELIVERY_KEY);
            sealed.data[at] ^= 1;
        }
        secret[0] ^= 8; /* another request's key */
        assert_int_equal(cl_source_answer_open(&opened, &read, sealed.data, sealed.length, secret), CL_E_DELIVERY_KEY);
        assert_int_equal(cl_source_answer_open(&opened, &read, sealed.data, sealed.length - 1, secret), CL_E_FORMAT);
        padded.data[padded.length - 1] = 1;
        assert_int_equal(cl_source_answer_read(&read, padded.data, padded.length), CL_E_FORMAT);
        cl_buffer_deinit(&padded);
        cl_buffer_deinit(&sealed);
        cl_buffer_deinit(&again);
        cl_buffer_wipe(&opened);
    }
}

/* Every length of content comes back, in the least class that it fits in, up to the greatest there is. */
static void every_length_of_answer_comes_back(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 700, 5000, 60000, 300000, CL_SOURCE_CONTENT_BYTES_MAX};
    struct proof_world_key key;
    proof_world_key(&key, "holder");
    struct cl_signer signer = signer_of(&key);
    uint8_t delivery[32], secret[32], *content = calloc(1, CL_SOURCE_CONTENT_BYTES_MAX + 1);
    assert_non_null(content);
    OK(cl_source_key_new(delivery, secret));
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct cl_source_answer answer = {.media_type = "text/plain", .content = {content, lengths[i]}}, read;
        struct cl_buffer sealed = {0}, opened = {.secret = true};
        content[lengths[i] / 2] = (uint8_t)(i + 1);
        OK(cl_source_answer_seal(&sealed, &answer, &signer, delivery));
        assert_true(sealed.length >= 1024 && (sealed.length & (sealed.length - 1)) == 0);
        OK(cl_source_answer_open(&opened, &read, sealed.data, sealed.length, secret));
        assert_int_equal(read.content.length, lengths[i]);
        assert_memory_equal(read.content.data, content, lengths[i]);
        cl_buffer_deinit(&sealed);
        cl_buffer_wipe(&opened);
    }
    struct cl_source_answer answer = {.media_type = "text/plain", .content = {content, CL_SOURCE_CONTENT_BYTES_MAX + 1}};
    struct cl_buffer sealed = {0};
    assert_int_equal(cl_source_answer_seal(&sealed, &answer, &signer, delivery), CL_E_BOUND);
    answer = (struct cl_source_answer){.media_type = "text", .content = {content, 1}};
    assert_int_equal(cl_source_answer_seal(&sealed, &answer, &signer, delivery), CL_E_VALUE);
    free(content);
}

/* ---- the holder judges a request: a ledger of four members with real proofs */

static const struct cl_object_id holder = {{0xb}};

static struct cl_entry opening(uint8_t nonce, uint64_t slots)
{
    static uint8_t nonces[256][16];
    memset(nonces[nonce], nonce, 16);
    return (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(9), .object_length = 16, .object = nonces[nonce], .commitment = scene_commitments[1], .slots = slots};
}

static void act(struct scene *scene, const struct proof_world_key *key, enum cl_record_type type, struct cl_entry entry)
{
    struct cl_record_id id;
    OK(proof_world_act(scene->world, &id, key, type, &entry));
    if (entry.object_length == 16)
        cl_object_id_derive(&scene->object, key->public33, entry.object);
    scene->head = id;
}

/* The customer grants slots 0 and 1 to who asked: the organisation's key, or (profile) its PROFILE. */
static void agree(struct scene *scene, uint8_t nonce, const struct cl_object_id *profile)
{
    static uint8_t signature[64];
    struct cl_entry asked = opening(nonce, 3);
    struct cl_hash digest;
    asked.present |= CL_HAS(6);
    asked.audience_kind = CL_AUDIENCE_TOKEN;
    asked.audience = scene->other.public33;
    if (profile != NULL) {
        asked.present |= CL_HAS(13);
        asked.party = profile->bytes;
    }
    act(scene, &scene->organisation, CL_REQUEST, asked);
    cl_token_digest(&digest, &scene->world->network, scene->object.bytes, scene->object.bytes, scene->customer.public33);
    OK(cl_ecdsa_sign(signature, scene->other.secret, digest.bytes));
    struct cl_entry answer = scene_answer(scene, 1, 3);
    answer.present |= CL_HAS(7);
    answer.opening = signature;
    answer.opening_length = 64;
    act(scene, &scene->customer, CL_GRANT, answer);
}

static struct cl_object_id profile_of(struct scene *scene, uint8_t nonce, const struct proof_world_key *key)
{
    static const uint8_t delivery[32] = {9}, recovery[32] = {7};
    struct cl_entry entry = opening(nonce, 0);
    entry.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(12) | CL_HAS(15);
    entry.key = delivery;
    entry.key_length = 32;
    entry.recovery = recovery;
    act(scene, key, CL_PROFILE, entry);
    return scene->object;
}

static struct cl_buffer proof_of(const struct scene *scene, const struct cl_object_id *object, uint64_t time_s)
{
    struct cl_buffer proof = {0};
    proof_world_proof(&proof, scene->world, object, time_s, 0);
    return proof;
}

static struct cl_source_rules rules_of(const struct scene *scene)
{
    return (struct cl_source_rules){.policy = scene->policy, .network = scene->world->network, .holder = holder, .now_ms = SCENE_NOW_MS, .max_age_ms = HOUR_MS};
}

/* As a reader would sign it; judged by its bytes. */
static enum cl_status judged_as(struct cl_source_request request, struct proof_world_key *key, const struct cl_source_rules *rules)
{
    struct cl_buffer bytes = {0};
    struct cl_signer signer = signer_of(key);
    struct cl_source_request read;
    OK(cl_source_request_sign(&bytes, &request, &signer));
    OK(cl_source_request_decode(&read, bytes.data, bytes.length));
    enum cl_status status = cl_source_request_check(&read, rules);
    cl_buffer_deinit(&bytes);
    return status;
}

static struct cl_source_request request_of(const struct scene *scene, const struct cl_buffer *proof)
{
    return (struct cl_source_request){.network = scene->world->network, .agreement = scene->object, .slot = 1, .holder = holder, .made_ms = SCENE_NOW_MS - 1000, .nonce16 = {1}, .proof = {proof->data, proof->length}};
}

static void a_request_with_a_fresh_proof_holds_and_nothing_else_does(void **state)
{
    struct scene *scene = *state;
    agree(scene, 1, NULL);
    struct cl_buffer proof = proof_of(scene, &scene->object, SCENE_NOW_S), old = proof_of(scene, &scene->object, SCENE_NOW_S - 3601);
    struct cl_source_rules rules = rules_of(scene), changed = rules;
    struct cl_source_request request = request_of(scene, &proof), other;
    struct proof_world_key *key = &scene->organisation;
    OK(judged_as(request, key, &rules));
    /* signed by somebody else: the customer, a stranger */
    assert_int_equal(judged_as(request, &scene->customer, &rules), CL_E_SOURCE_READER);
    assert_int_equal(judged_as(request, &scene->delegate, &rules), CL_E_SOURCE_READER);
    /* for another holder, of another network */
    changed.holder.bytes[0] ^= 1;
    assert_int_equal(judged_as(request, key, &changed), CL_E_SOURCE_HOLDER);
    other = request;
    other.network.bytes[0] ^= 1;
    assert_int_equal(judged_as(other, key, &rules), CL_E_NETWORK);
    /* old, or from the future: the request, the proof */
    other = request;
    other.made_ms = SCENE_NOW_MS - HOUR_MS - 1;
    assert_int_equal(judged_as(other, key, &rules), CL_E_SOURCE_OLD);
    other.made_ms = SCENE_NOW_MS - HOUR_MS;
    OK(judged_as(other, key, &rules));
    other.made_ms = SCENE_NOW_MS + CL_RECORD_AHEAD_MS_MAX + 1;
    assert_int_equal(judged_as(other, key, &rules), CL_E_TIME_AHEAD);
    other = request;
    other.proof = (struct cl_view){old.data, old.length};
    assert_int_equal(judged_as(other, key, &rules), CL_E_PROOF_OLD);
    /* another slot, one that is not live */
    other = request;
    other.slot = 2;
    assert_int_equal(judged_as(other, key, &rules), CL_E_SLOT_NOT_LIVE);
    /* a proof that nobody asked for */
    other = request;
    other.party_proof = other.proof;
    assert_int_equal(judged_as(other, key, &rules), CL_E_SOURCE_PROOF);
    /* no proof at all, and one with a byte changed */
    other = request;
    other.proof = (struct cl_view){(const uint8_t *)"proof", 5};
    assert_int_not_equal(judged_as(other, key, &rules), CL_OK);
    proof.data[proof.length / 2] ^= 1;
    assert_int_not_equal(judged_as(request, key, &rules), CL_OK);
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&old);
}

static void a_proof_of_something_else_does_not_do(void **state)
{
    struct scene *scene = *state;
    struct cl_object_id profile = profile_of(scene, 1, &scene->organisation), absent = {{1, 2, 3}};
    agree(scene, 2, NULL);
    struct cl_object_id first = scene->object;
    agree(scene, 3, NULL); /* of the same two */
    struct cl_source_rules rules = rules_of(scene);
    const struct { struct cl_object_id of, named; enum cl_status wanted; } proofs[] = {
        {first, first, CL_OK}, {scene->object, first, CL_E_SOURCE_PROOF}, {first, scene->object, CL_E_SOURCE_PROOF}, {profile, first, CL_E_SOURCE_PROOF},
        {profile, profile, CL_E_SOURCE_PROOF}, {absent, first, CL_E_SOURCE_PROOF}, {absent, absent, CL_E_NO_OBJECT},
    };
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
        struct cl_buffer proof = proof_of(scene, &proofs[i].of, SCENE_NOW_S);
        struct cl_source_request request = request_of(scene, &proof);
        request.agreement = proofs[i].named;
        assert_int_equal(judged_as(request, &scene->organisation, &rules), proofs[i].wanted);
        cl_buffer_deinit(&proof);
    }
}

static void an_agreement_that_is_not_in_force_serves_nothing(void **state)
{
    struct scene *scene = *state;
    agree(scene, 1, NULL);
    struct cl_source_rules rules = rules_of(scene);
    struct cl_buffer proof;
    static const struct { enum cl_record_type type; bool customer; enum cl_status wanted; } acts[] = {
        {CL_SUSPEND, true, CL_E_SUSPENDED}, {CL_RESUME, true, CL_OK}, {CL_SUSPEND, false, CL_E_SUSPENDED}, {CL_REVOKE, true, CL_E_WITHDRAWN},
    };
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        struct cl_entry entry = scene_on_object(scene);
        if (acts[i].type == CL_RESUME) {
            entry.present |= CL_HAS(2);
            entry.prev = scene->head.bytes;
        }
        act(scene, acts[i].customer ? &scene->customer : &scene->organisation, acts[i].type, entry);
        proof = proof_of(scene, &scene->object, SCENE_NOW_S);
        assert_int_equal(judged_as(request_of(scene, &proof), &scene->organisation, &rules), acts[i].wanted);
        cl_buffer_deinit(&proof);
    }
    /* ended by its period between the proof and now, and by the organisation */
    agree(scene, 2, NULL);
    struct cl_entry narrowed = scene_on_object(scene);
    narrowed.present |= CL_HAS(5);
    narrowed.not_after = SCENE_NOW_S + 10;
    act(scene, &scene->customer, CL_AMEND, narrowed);
    proof = proof_of(scene, &scene->object, SCENE_NOW_S);
    OK(judged_as(request_of(scene, &proof), &scene->organisation, &rules));
    rules.now_ms += 10000;
    assert_int_equal(judged_as(request_of(scene, &proof), &scene->organisation, &rules), CL_E_EXPIRED);
    cl_buffer_deinit(&proof);
    agree(scene, 3, NULL);
    act(scene, &scene->organisation, CL_REVOKE, scene_on_object(scene));
    proof = proof_of(scene, &scene->object, SCENE_NOW_S);
    assert_int_equal(judged_as(request_of(scene, &proof), &scene->organisation, &rules), CL_E_TERMINATED);
    cl_buffer_deinit(&proof);
}

static void a_profile_asks_with_the_key_that_its_own_proof_shows(void **state)
{
    struct scene *scene = *state;
    struct cl_object_id profile = profile_of(scene, 1, &scene->organisation), stranger = profile_of(scene, 2, &scene->delegate);
    agree(scene, 3, &profile);
    struct cl_source_rules rules = rules_of(scene);
    struct cl_buffer proof = proof_of(scene, &scene->object, SCENE_NOW_S), of_profile = proof_of(scene, &profile, SCENE_NOW_S), old = proof_of(scene, &profile, SCENE_NOW_S - 3601), of_stranger = proof_of(scene, &stranger, SCENE_NOW_S);
    struct cl_source_request request = request_of(scene, &proof), other;
    assert_int_equal(judged_as(request, &scene->organisation, &rules), CL_E_SOURCE_PROOF); /* nothing shows its key */
    request.party_proof = (struct cl_view){of_profile.data, of_profile.length};
    OK(judged_as(request, &scene->organisation, &rules));
    assert_int_equal(judged_as(request, &scene->delegate, &rules), CL_E_SOURCE_READER);
    other = request;
    other.party_proof = (struct cl_view){of_stranger.data, of_stranger.length};
    assert_int_equal(judged_as(other, &scene->delegate, &rules), CL_E_SOURCE_PROOF);
    other.party_proof = (struct cl_view){old.data, old.length};
    assert_int_equal(judged_as(other, &scene->organisation, &rules), CL_E_PROOF_OLD);
    other.party_proof = request.proof; /* of no PROFILE */
    assert_int_equal(judged_as(other, &scene->organisation, &rules), CL_E_SOURCE_PROOF);
    struct cl_entry rotate = {.present = CL_HAS(1) | CL_HAS(12), .object_length = 32, .object = profile.bytes, .key = scene->other.public33, .key_length = 33};
    act(scene, &scene->organisation, CL_ROTATE, rotate);
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&of_profile);
    proof = proof_of(scene, &scene->object, SCENE_NOW_S);
    of_profile = proof_of(scene, &profile, SCENE_NOW_S);
    request.proof = (struct cl_view){proof.data, proof.length};
    request.party_proof = (struct cl_view){of_profile.data, of_profile.length};
    assert_int_equal(judged_as(request, &scene->organisation, &rules), CL_E_SOURCE_READER); /* its key no more */
    OK(judged_as(request, &scene->other, &rules));
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&of_profile);
    cl_buffer_deinit(&old);
    cl_buffer_deinit(&of_stranger);
}

static void the_request_of_the_vectors_holds(void **state)
{
    (void)state;
    const json_t *item = vectors_item(vectors, "request");
    struct cl_buffer bytes = vectors_bytes(item, "hex");
    const char *text = json_string_value(json_object_get(item, "policy"));
    struct cl_source_rules rules = {.max_age_ms = HOUR_MS, .now_ms = vectors_number(json_object_get(item, "as_of_s")) * 1000u};
    struct cl_source_request request;
    struct cl_policy *policy = NULL;
    OK(cl_policy_new(&policy, NULL, (const uint8_t *)text, strlen(text)));
    rules.policy = policy;
    vectors_fixed(rules.network.bytes, 32, item, "network_id");
    vectors_fixed(rules.holder.bytes, 32, item, "holder");
    OK(cl_source_request_decode(&request, bytes.data, bytes.length));
    OK(cl_source_request_check(&request, &rules));
    rules.now_ms += HOUR_MS + 1000;
    assert_int_equal(cl_source_request_check(&request, &rules), CL_E_SOURCE_OLD);
    cl_policy_free(policy);
    cl_buffer_deinit(&bytes);
}

/* ---- the release, and what was served under it */

static void a_release_is_the_customers_and_of_this_agreement(void **state)
{
    (void)state;
    struct cl_object_id id = {{1}};
    struct cl_network_id network = {{2}};
    struct cl_public_key customer = {{2, 3}}, stranger = {{2, 4}};
    struct cl_agreement agreement = {.status = CL_ACTIVE, .live = 6};
    struct cl_source_release release = {.network = network, .agreement = id, .slot = 2, .until_s = 1000, .uses = 1, .signer = customer, .made_ms = 500000}, other = release;
    OK(cl_source_release_check(&release, &network, &id, &agreement, &customer, 999999));
    assert_int_equal(cl_source_release_check(&release, &network, &id, &agreement, &customer, 1000000), CL_E_EXPIRED);
    assert_int_equal(cl_source_release_check(&release, &network, &id, &agreement, &stranger, 600000), CL_E_DELIVERY_SENDER); /* forged */
    other.agreement.bytes[0] = 9;
    assert_int_equal(cl_source_release_check(&other, &network, &id, &agreement, &customer, 600000), CL_E_DELIVERY_AGREEMENT);
    other = release;
    other.network.bytes[0] = 9;
    assert_int_equal(cl_source_release_check(&other, &network, &id, &agreement, &customer, 600000), CL_E_NETWORK);
    other = release;
    other.made_ms = 600000 + CL_RECORD_AHEAD_MS_MAX + 1;
    assert_int_equal(cl_source_release_check(&other, &network, &id, &agreement, &customer, 600000), CL_E_TIME_AHEAD);
    other = release;
    other.slot = 3;
    assert_int_equal(cl_source_release_check(&other, &network, &id, &agreement, &customer, 600000), CL_E_SLOT_NOT_LIVE);
    agreement.status = CL_WITHDRAWN;
    assert_int_equal(cl_source_release_check(&release, &network, &id, &agreement, &customer, 600000), CL_E_WITHDRAWN);
    release.uses = 0; /* taking back works after the end too */
    OK(cl_source_release_check(&release, &network, &id, &agreement, &customer, 600000));
    assert_int_equal(cl_source_release_check(&release, &network, &id, &agreement, &stranger, 600000), CL_E_DELIVERY_SENDER);
}

static void a_pointer_is_the_customers_and_in_force(void **state)
{
    (void)state;
    struct cl_object_id id = {{1}};
    struct cl_network_id network = {{2}};
    struct cl_public_key customer = {{2, 3}}, stranger = {{2, 4}};
    struct cl_agreement agreement = {.status = CL_ACTIVE, .live = 6};
    struct cl_source_pointer pointer = {.network = network, .agreement = id, .slot = 2, .until_s = 1000, .uses = 1, .signer = customer};
    OK(cl_source_pointer_check(&pointer, &network, &id, &agreement, &customer, 999999));
    assert_int_equal(cl_source_pointer_check(&pointer, &network, &id, &agreement, &customer, 1000000), CL_E_EXPIRED);
    assert_int_equal(cl_source_pointer_check(&pointer, &network, &id, &agreement, &stranger, 1), CL_E_DELIVERY_SENDER);
    pointer.slot = 0;
    assert_int_equal(cl_source_pointer_check(&pointer, &network, &id, &agreement, &customer, 1), CL_E_SLOT_NOT_LIVE);
}

static void a_release_serves_so_often_and_each_request_once(void **state)
{
    (void)state;
    struct cl_source_release release = {.reader = {{1}}, .reader_slot = 1, .reference16 = {7}, .until_s = 1000, .uses = 2}, back = release;
    struct cl_source_request first = {.agreement = {{1}}, .slot = 1, .reference16 = {7}, .nonce16 = {1}}, second = first, third = first, other = first;
    struct cl_source_served served[2] = {{.nonce16 = {1}}, {.nonce16 = {2}}};
    second.nonce16[0] = 2;
    third.nonce16[0] = 3;
    OK(cl_source_serve_check(&release, served, 0, &first, 999999));
    assert_int_equal(cl_source_serve_check(&release, served, 1, &first, 999999), CL_E_SOURCE_REPLAY);
    OK(cl_source_serve_check(&release, served, 1, &second, 999999));
    assert_int_equal(cl_source_serve_check(&release, served, 2, &third, 999999), CL_E_SOURCE_SPENT);
    assert_int_equal(cl_source_serve_check(&release, served, 2, &second, 999999), CL_E_SOURCE_REPLAY);
    assert_int_equal(cl_source_serve_check(&release, served, 0, &first, 1000000), CL_E_EXPIRED);
    other.slot = 2;
    assert_int_equal(cl_source_serve_check(&release, served, 0, &other, 1), CL_E_SOURCE_OTHER);
    other = first;
    other.agreement.bytes[0] = 2;
    assert_int_equal(cl_source_serve_check(&release, served, 0, &other, 1), CL_E_SOURCE_OTHER);
    other = first;
    other.reference16[0] = 8;
    assert_int_equal(cl_source_serve_check(&release, served, 0, &other, 1), CL_E_SOURCE_OTHER);
    back.uses = 0;
    assert_int_equal(cl_source_serve_check(&back, served, 0, &first, 1), CL_E_SOURCE_BACK);
}

static void an_answer_is_the_holders_and_to_this_request(void **state)
{
    (void)state;
    struct cl_public_key key = {{2, 3}}, stranger = {{2, 4}};
    struct cl_hash request = {{5}}, another = {{6}};
    struct cl_source_pointer pointer = {.network = {{1}}, .holder = {{0xb}}};
    struct cl_source_answer answer = {.network = {{1}}, .holder = {{0xb}}, .request = request, .signer = key, .made_ms = 1000}, other = answer;
    OK(cl_source_answer_check(&answer, &pointer, &request, &key, 1000));
    assert_int_equal(cl_source_answer_check(&answer, &pointer, &request, &stranger, 1000), CL_E_SOURCE_HOLDER);
    assert_int_equal(cl_source_answer_check(&answer, &pointer, &another, &key, 1000), CL_E_SOURCE_OTHER);
    other.holder.bytes[0] = 0xc;
    assert_int_equal(cl_source_answer_check(&other, &pointer, &request, &key, 1000), CL_E_SOURCE_HOLDER);
    other = answer;
    other.network.bytes[0] = 2;
    assert_int_equal(cl_source_answer_check(&other, &pointer, &request, &key, 1000), CL_E_NETWORK);
    other = answer;
    other.made_ms = 1000 + CL_RECORD_AHEAD_MS_MAX + 1;
    assert_int_equal(cl_source_answer_check(&other, &pointer, &request, &key, 1000), CL_E_TIME_AHEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_those_of_the_vectors_and_no_byte_of_them_can_be_changed),
        cmocka_unit_test(what_is_beyond_a_bound_is_neither_made_nor_read),
        cmocka_unit_test(answers_are_those_of_the_vectors),
        cmocka_unit_test(every_length_of_answer_comes_back),
        cmocka_unit_test_setup_teardown(a_request_with_a_fresh_proof_holds_and_nothing_else_does, scene_init, scene_deinit),
        cmocka_unit_test_setup_teardown(a_proof_of_something_else_does_not_do, scene_init, scene_deinit),
        cmocka_unit_test_setup_teardown(an_agreement_that_is_not_in_force_serves_nothing, scene_init, scene_deinit),
        cmocka_unit_test_setup_teardown(a_profile_asks_with_the_key_that_its_own_proof_shows, scene_init, scene_deinit),
        cmocka_unit_test(the_request_of_the_vectors_holds),
        cmocka_unit_test(a_release_is_the_customers_and_of_this_agreement),
        cmocka_unit_test(a_pointer_is_the_customers_and_in_force),
        cmocka_unit_test(a_release_serves_so_often_and_each_request_once),
        cmocka_unit_test(an_answer_is_the_holders_and_to_this_request),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

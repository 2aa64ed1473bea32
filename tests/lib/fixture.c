/* A network, people, records and a ledger for tests (fixture.h). */
#include "fixture.h"

#include "checkpoint.h"
#include "crypto.h"
#include "signing.h"

#include <stdio.h>
#include <stdlib.h>

void fixture_must(enum cl_status status, const char *call, const char *file, int line)
{
    if (status == CL_OK)
        return;
    fprintf(stderr, "%s:%d: %s: %s: %s\n", file, line, call, cl_status_code(status), cl_status_sentence(status));
    abort();
}

/* ---- keys and ids */

void fixture_hash(uint8_t out32[32], const char *role, uint64_t number)
{
    struct cl_sha256 hash;
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
    cl_sha256_domain(&hash, role);
    cl_sha256_update(&hash, bytes, sizeof bytes);
    cl_sha256_final(&hash, out32);
}

static enum cl_status sign(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    uint8_t secret[32];
    fixture_hash(secret, "fixture key", (uint64_t)(uintptr_t)context);
    return cl_ecdsa_sign(signature64, secret, digest32);
}

void fixture_signer(struct cl_signer *out, uint64_t key)
{
    uint8_t secret[32];
    fixture_hash(secret, "fixture key", key);
    out->context = (void *)(uintptr_t)key;
    out->sign = sign;
    FIXTURE_OK(cl_public_key_of(out->key.bytes, secret));
}

static void nonce_of(uint8_t out16[16], uint64_t nonce)
{
    uint8_t hash[32];
    fixture_hash(hash, "fixture nonce", nonce);
    memcpy(out16, hash, 16);
}

void fixture_object(struct cl_object_id *out, uint64_t key, uint64_t nonce)
{
    struct cl_signer signer;
    uint8_t nonce16[16];
    fixture_signer(&signer, key);
    nonce_of(nonce16, nonce);
    cl_object_id_derive(out, signer.key.bytes, nonce16);
}

void fixture_network_make(struct fixture_network *out, size_t members)
{
    struct cl_network *value = &out->genesis.value;
    uint8_t count = (uint8_t)members;
    if (members == 0 || members > FIXTURE_MEMBERS_MAX)
        abort();
    memset(out, 0, sizeof *out);
    cl_network_id_derive(&out->genesis.network, &count, 1);
    memcpy(out->genesis.origin, "fixture.example/log", sizeof "fixture.example/log");
    out->genesis.time_ms = FIXTURE_START_MS;
    value->parameters = (struct cl_parameters){.epoch_length = 100000, .block_records_max = CL_BLOCK_RECORDS_MAX, .block_bytes_max = CL_BLOCK_BYTES_MAX, .d0_ms = 200};
    value->member_count = members;
    for (size_t i = 0; i < members; i++) {
        struct cl_member *member = &value->members[i];
        int length = snprintf(member->name, sizeof member->name, "member-%zu", i);
        if (length < 0 || (size_t)length >= sizeof member->name)
            abort();
        fixture_hash(out->vote_seed[i], "fixture vote", i);
        fixture_hash(out->log_seed[i], "fixture log", i);
        fixture_hash(out->witness_seed[i], "fixture witness", i);
        fixture_hash(out->party_secret[i], "fixture party", i);
        cl_ed25519_public(member->vote, out->vote_seed[i]);
        cl_ed25519_public(member->log, out->log_seed[i]);
        cl_ed25519_public(member->witness, out->witness_seed[i]);
        FIXTURE_OK(cl_public_key_of(member->party, out->party_secret[i]));
    }
}

/* ---- records */

struct cl_ledger_record *fixture_record(const struct fixture_network *network, enum cl_record_type type, uint64_t key,
                                        struct cl_entry *entries, size_t count, uint64_t issued_at_ms)
{
    struct cl_buffer bytes = {0};
    struct cl_record_id id;
    struct cl_signer signer;
    struct cl_ledger_record *record;
    fixture_signer(&signer, key);
    struct cl_draft draft = {.type = type, .issued_at_ms = issued_at_ms, .signer = signer.key, .entries = entries, .entry_count = count};
    FIXTURE_OK(cl_record_sign(&bytes, &id, NULL, &draft, &signer, &network->genesis.network));
    FIXTURE_OK(cl_ledger_record_new(&record, NULL, bytes.data, bytes.length, &network->genesis.network));
    cl_buffer_deinit(&bytes);
    return record;
}

/* What stands in for the words of the agreement that (key, nonce) opened. */
static void commitment_of(uint8_t out32[32], uint64_t key, uint64_t nonce)
{
    fixture_hash(out32, "fixture commitment", key * 1000003 + nonce);
}

static void salt_of(uint8_t out32[32], uint64_t key, uint64_t nonce)
{
    fixture_hash(out32, "fixture salt", key * 1000003 + nonce);
}

struct cl_ledger_record *fixture_grant(const struct fixture_network *network, uint64_t customer, uint64_t nonce, uint64_t organisation, uint64_t issued_at_ms)
{
    uint8_t nonce16[16], commitment[32], salt[32];
    struct cl_signer answering;
    struct cl_hash audience;
    nonce_of(nonce16, nonce);
    commitment_of(commitment, customer, nonce);
    salt_of(salt, customer, nonce);
    fixture_signer(&answering, organisation);
    cl_audience_derive(&audience, salt, answering.key.bytes, 33);
    struct cl_entry entry = {
        .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(6) | CL_HAS(9), .object = nonce16, .object_length = 16,
        .commitment = commitment, .audience_kind = CL_AUDIENCE_HASH, .audience = audience.bytes, .slots = 3,
    };
    return fixture_record(network, CL_GRANT, customer, &entry, 1, issued_at_ms);
}

struct cl_ledger_record *fixture_subscribe(const struct fixture_network *network, uint64_t organisation, uint64_t customer, uint64_t nonce, uint64_t issued_at_ms)
{
    uint8_t commitment[32], salt[32];
    struct cl_object_id object;
    fixture_object(&object, customer, nonce);
    commitment_of(commitment, customer, nonce);
    salt_of(salt, customer, nonce);
    /* The offer's head is the record that opened it: its id does not depend on the signature, so it can be had again. */
    struct cl_ledger_record *offer = fixture_grant(network, customer, nonce, organisation, issued_at_ms);
    struct cl_entry entry = {
        .present = CL_HAS(1) | CL_HAS(2) | CL_HAS(3) | CL_HAS(7) | CL_HAS(9), .object = object.bytes, .object_length = 32,
        .prev = offer->record.id.bytes, .commitment = commitment, .opening = salt, .opening_length = 32, .slots = 3,
    };
    struct cl_ledger_record *record = fixture_record(network, CL_SUBSCRIBE, organisation, &entry, 1, issued_at_ms);
    cl_ledger_record_unref(offer);
    return record;
}

struct cl_ledger_record *fixture_terms(const struct fixture_network *network, uint64_t owner, uint64_t nonce, uint64_t mode, uint64_t limit, uint64_t issued_at_ms)
{
    uint8_t nonce16[16], commitment[32];
    nonce_of(nonce16, nonce);
    commitment_of(commitment, owner, nonce);
    struct cl_entry entry = {
        .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(9) | CL_HAS(11) | CL_HAS(14), .object = nonce16, .object_length = 16,
        .commitment = commitment, .slots = 3, .limit = limit, .mode = mode,
    };
    return fixture_record(network, CL_TERMS, owner, &entry, 1, issued_at_ms);
}

struct cl_ledger_record *fixture_subscribe_terms(const struct fixture_network *network, uint64_t organisation, uint64_t nonce, uint64_t owner, uint64_t terms_nonce, uint64_t issued_at_ms)
{
    uint8_t nonce16[16], commitment[32];
    struct cl_object_id terms;
    nonce_of(nonce16, nonce);
    commitment_of(commitment, owner, terms_nonce);
    fixture_object(&terms, owner, terms_nonce);
    struct cl_entry entry = {
        .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(8) | CL_HAS(9), .object = nonce16, .object_length = 16,
        .commitment = commitment, .ref = terms.bytes, .slots = 3,
    };
    return fixture_record(network, CL_SUBSCRIBE, organisation, &entry, 1, issued_at_ms);
}

struct cl_ledger_record *fixture_profile(const struct fixture_network *network, uint64_t key, uint64_t nonce, uint64_t issued_at_ms)
{
    uint8_t nonce16[16], commitment[32], delivery[32], recovery[32];
    nonce_of(nonce16, nonce);
    commitment_of(commitment, key, nonce);
    fixture_hash(delivery, "fixture delivery", key);
    fixture_hash(recovery, "fixture recovery", key);
    struct cl_entry entry = {
        .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(12) | CL_HAS(15), .object = nonce16, .object_length = 16,
        .commitment = commitment, .key = delivery, .key_length = 32, .recovery = recovery,
    };
    return fixture_record(network, CL_PROFILE, key, &entry, 1, issued_at_ms);
}

struct cl_ledger_record *fixture_act(const struct fixture_network *network, enum cl_record_type type, uint64_t key, const struct cl_object_id *object, const struct cl_record_id *prev, uint64_t issued_at_ms)
{
    struct cl_entry entry = {.present = CL_HAS(1), .object = object->bytes, .object_length = 32};
    if (prev != NULL) {
        entry.present |= CL_HAS(2);
        entry.prev = prev->bytes;
    }
    return fixture_record(network, type, key, &entry, 1, issued_at_ms);
}

/* ---- a ledger */

void fixture_open_in(struct fixture *fixture, size_t members, const struct cl_store *store)
{
    memset(fixture, 0, sizeof *fixture);
    fixture_network_make(&fixture->network, members);
    fixture->store = *store;
    fixture->now_ms = FIXTURE_START_MS;
    FIXTURE_OK(cl_buckets_memory_new(&fixture->buckets));
    FIXTURE_OK(cl_ledger_create(&fixture->store, &fixture->network.genesis));
    FIXTURE_OK(cl_ledger_open(&fixture->ledger, &fixture->store, &fixture->buckets, &fixture->network.genesis, NULL, NULL));
}

void fixture_open(struct fixture *fixture, size_t members)
{
    struct cl_store store;
    FIXTURE_OK(cl_store_mem_open(&store));
    fixture_open_in(fixture, members, &store);
}

void fixture_reopen(struct fixture *fixture)
{
    cl_ledger_close(fixture->ledger);
    cl_buckets_free(&fixture->buckets);
    FIXTURE_OK(cl_buckets_memory_new(&fixture->buckets));
    FIXTURE_OK(cl_ledger_open(&fixture->ledger, &fixture->store, &fixture->buckets, &fixture->network.genesis, NULL, NULL));
}

void fixture_close(struct fixture *fixture)
{
    cl_ledger_close(fixture->ledger);
    cl_buckets_free(&fixture->buckets);
    fixture->store.close(fixture->store.context);
}

void fixture_certificate(struct cl_buffer *out, const struct fixture_network *network, uint64_t epoch, uint64_t view, const struct cl_block_id *block)
{
    struct cl_certificate *certificate = calloc(1, sizeof *certificate);
    struct cl_buffer bytes = {0};
    size_t members = network->genesis.value.member_count;
    if (certificate == NULL)
        abort();
    certificate->epoch = epoch;
    certificate->view = view;
    certificate->kind = CL_VOTE_FINALIZE;
    certificate->has_block = true;
    certificate->block = *block;
    certificate->member_count = certificate->vote_count = members;
    FIXTURE_OK(cl_vote_signed_bytes(&bytes, &network->genesis.network, epoch, CL_VOTE_FINALIZE, view, block));
    for (size_t i = 0; i < members; i++) {
        certificate->voters[i / 8] = (uint8_t)(certificate->voters[i / 8] | 1u << (i % 8));
        cl_ed25519_sign(certificate->signatures[i], network->vote_seed[i], bytes.data, bytes.length);
    }
    FIXTURE_OK(cl_certificate_encode(out, certificate));
    cl_buffer_deinit(&bytes);
    free(certificate);
}

void fixture_block(struct fixture *fixture, struct cl_ledger_record **records, size_t count, struct cl_candidate_summary *summary)
{
    struct cl_candidate_summary sealed;
    struct cl_candidate *candidate;
    struct cl_buffer certificate = {0};
    struct cl_tip tip;
    cl_ledger_tip(fixture->ledger, &tip);
    fixture->now_ms = tip.time_ms + 1000;
    FIXTURE_OK(cl_candidate_new(&candidate, fixture->ledger, NULL, fixture->now_ms));
    for (size_t i = 0; i < count; i++) {
        FIXTURE_OK(cl_candidate_add(candidate, records[i], NULL));
        cl_ledger_record_unref(records[i]);
    }
    FIXTURE_OK(cl_candidate_seal(candidate, &sealed));
    fixture_certificate(&certificate, &fixture->network, tip.epoch, tip.view + 1, &sealed.id);
    FIXTURE_OK(cl_ledger_commit(fixture->ledger, candidate, tip.view + 1, tip.view, certificate.data, certificate.length));
    fixture->view = tip.view + 1;
    cl_candidate_free(candidate);
    cl_buffer_deinit(&certificate);
    if (summary != NULL)
        *summary = sealed;
}

void fixture_block_of(struct fixture *fixture, struct cl_ledger_record *record)
{
    fixture_block(fixture, &record, 1, NULL);
}

void fixture_agreement(struct fixture *fixture, struct cl_object_id *object, uint64_t customer)
{
    uint64_t issued = fixture->now_ms;
    fixture_block_of(fixture, fixture_grant(&fixture->network, customer, 1, 2, issued));
    fixture_block_of(fixture, fixture_subscribe(&fixture->network, 2, customer, 1, issued));
    fixture_object(object, customer, 1);
}

void fixture_agreement_read(const struct fixture *fixture, struct cl_agreement *out, const struct cl_object_id *object)
{
    struct cl_ledger_view *view;
    struct cl_buffer value = {0};
    FIXTURE_OK(cl_ledger_view_new(&view, fixture->ledger));
    FIXTURE_OK(cl_view_state(view, &value, object->bytes));
    FIXTURE_OK(cl_agreement_decode(out, value.data, value.length));
    cl_buffer_deinit(&value);
    cl_ledger_view_free(view);
}

void fixture_note(struct cl_buffer *note, const struct fixture_network *network, uint64_t size, const struct cl_hash *root, uint64_t time_s)
{
    const struct cl_genesis *genesis = &network->genesis;
    struct cl_buffer body = {0}, lines[FIXTURE_MEMBERS_MAX + 1] = {{0}};
    struct cl_view views[FIXTURE_MEMBERS_MAX + 1], text;
    size_t members = genesis->value.member_count;
    FIXTURE_OK(cl_checkpoint_body(&body, genesis->origin, size, root));
    text = (struct cl_view){body.data, body.length};
    FIXTURE_OK(cl_checkpoint_sign_log(&lines[0], &text, genesis->origin, signing_key(network->log_seed[0])));
    for (size_t i = 0; i < members; i++)
        FIXTURE_OK(cl_checkpoint_cosign(&lines[i + 1], &text, genesis->origin, genesis->value.members[i].name, time_s, signing_key(network->witness_seed[i])));
    for (size_t i = 0; i <= members; i++)
        views[i] = (struct cl_view){lines[i].data, lines[i].length};
    note->length = 0;
    FIXTURE_OK(cl_checkpoint_merge(note, &text, genesis->origin, views, members + 1, genesis->value.members, members, 0, false));
    for (size_t i = 0; i <= members; i++)
        cl_buffer_deinit(&lines[i]);
    cl_buffer_deinit(&body);
}

void fixture_checkpoint(struct fixture *fixture, struct cl_buffer *note, uint64_t time_s)
{
    struct cl_tip tip;
    cl_ledger_tip(fixture->ledger, &tip);
    fixture_note(note, &fixture->network, tip.log_size, &tip.log_root, time_s);
    FIXTURE_OK(cl_ledger_checkpoint_keep(fixture->ledger, tip.log_size, &tip.log_root, note->data, note->length));
}

enum cl_status fixture_audit(struct cl_store *store, const struct cl_genesis *genesis, bool repair, char *detail, size_t detail_size)
{
    struct cl_store scratch;
    struct cl_smt_buckets buckets;
    enum cl_status status = cl_store_mem_open(&scratch);
    if (status != CL_OK)
        return status;
    status = cl_buckets_memory_new(&buckets);
    if (status == CL_OK) {
        status = repair ? cl_ledger_reindex(store, &scratch, &buckets, genesis, NULL, NULL, detail, detail_size)
                        : cl_ledger_check(store, &scratch, &buckets, genesis, NULL, NULL, detail, detail_size);
        cl_buckets_free(&buckets);
    }
    scratch.close(scratch.context);
    return status;
}

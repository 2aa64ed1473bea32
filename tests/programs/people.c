/* Synthetic people, with wallets as `consent` has them, for the linkage audit (tests/linkage):

     people NETWORK PEOPLE RELATIONSHIPS ORGANISATIONS SEED MANNER FOLDER

   Each person grants to organisations drawn by chance, of which two answer terms of their own, over four weeks; organisations
   answer in their PROFILE's name; three of ten agreements are withdrawn. FOLDER/records has all records in the order of their
   times: length as 4 bytes, most significant first, record. FOLDER/truth.csv: agreement, person, the TERMS that it is under or
   nothing. MANNER is what people do about being recognised:
     careful   what `consent` does for everybody: fresh keys, ids, salts, periods to the end of a day; acts at times of their own
     one-key   one key for everything, which `consent` never does: the audit has to find it
     sessions  careful, but all acts of a person within ten minutes: what no wallet can hide */
#include "files.h"
#include "fixture.h"
#include "consent/wallet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WEEKS_MS (28ull * 86400000)
#define OWN_TERMS 2u /* of a person's relationships: answers to terms of their own */

enum manner { CAREFUL, ONE_KEY, SESSIONS };
struct signed_record { uint64_t issued_at_ms, number; struct cl_buffer bytes; };
struct world {
    struct cl_network_id network;
    uint64_t seed, end_ms;
    enum manner manner;
    struct cl_wallet *organisations;
    struct cl_object_id *profiles;
    size_t organisation_count, count, capacity;
    struct signed_record *records;
    FILE *truth;
};
struct author { const struct cl_wallet *wallet; const struct cl_wallet_key *key; };

static void need(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "people: %s\n", what);
    exit(1);
}

static uint64_t draw(struct world *world, uint64_t below)
{
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (world->seed >> 24) % below;
}

static void draw_bytes(struct world *world, uint8_t *out, size_t length)
{
    for (size_t i = 0; i < length; i++) out[i] = (uint8_t)draw(world, 256);
}

static enum cl_status sign(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct author *author = context;
    return cl_wallet_sign_digest(signature64, author->wallet, author->key, digest32);
}

static struct cl_record_id put(struct world *world, struct author author, enum cl_record_type type, struct cl_entry *entry, uint64_t at_ms)
{
    struct cl_signer signer = { &author, sign, author.key->key };
    struct cl_draft draft = { .type = type, .issued_at_ms = at_ms, .entries = entry, .entry_count = 1 };
    struct cl_record_id id;
    if (world->count == world->capacity) {
        world->capacity = world->capacity == 0 ? 1024 : 2 * world->capacity;
        world->records = realloc(world->records, world->capacity * sizeof *world->records);
        need(world->records != NULL, "there is not enough memory");
    }
    struct signed_record *record = &world->records[world->count];
    *record = (struct signed_record){ .issued_at_ms = at_ms, .number = world->count };
    world->count++;
    need(cl_record_sign(&record->bytes, &id, NULL, &draft, &signer, &world->network) == CL_OK, "a record cannot be signed");
    return id;
}

static const struct cl_wallet_key *key_for(struct cl_wallet *wallet, const char *kind, const char *name)
{
    char uri[CL_URI_BYTES_MAX + 1];
    size_t position;
    snprintf(uri, sizeof uri, "consent:%s/%s", kind, name);
    need(cl_wallet_key_add(wallet, &position, name, uri) == CL_OK, "a key cannot be made");
    return &wallet->keys[position];
}

static struct cl_wallet *wallet_new(struct world *world)
{
    uint8_t entropy[32];
    struct cl_wallet *wallet;
    draw_bytes(world, entropy, sizeof entropy);
    need(cl_wallet_new(&wallet, entropy) == CL_OK, "a wallet cannot be made");
    return wallet;
}

static void make_organisations(struct world *world, uint64_t begin_ms)
{
    world->organisations = wallet_new(world);
    world->profiles = calloc(world->organisation_count, sizeof *world->profiles);
    need(world->profiles != NULL, "there is not enough memory");
    for (size_t i = 0; i < world->organisation_count; i++) {
        char name[48];
        uint8_t nonce[16], commitment[32], delivery[32], recovery[32];
        snprintf(name, sizeof name, "organisation-%zu", i);
        struct author author = { world->organisations, key_for(world->organisations, "key", name) };
        draw_bytes(world, nonce, 16);
        draw_bytes(world, commitment, 32);
        draw_bytes(world, delivery, 32);
        draw_bytes(world, recovery, 32);
        struct cl_entry entry = { .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(12) | CL_HAS(15), .object = nonce, .object_length = 16, .commitment = commitment,
                                  .key = delivery, .key_length = 32, .recovery = recovery };
        put(world, author, CL_PROFILE, &entry, begin_ms);
        cl_object_id_derive(&world->profiles[i], author.key->key.bytes, nonce);
    }
}

/* What a person signs with in this relationship. */
static const struct cl_wallet_key *fresh_key(struct world *world, struct cl_wallet *wallet, const char *name, uint8_t recovery32[32])
{
    char recovery_name[CL_NAME_BYTES_MAX + 1];
    struct cl_hash commitment;
    snprintf(recovery_name, sizeof recovery_name, "%.40s.recovery", name);
    cl_recovery_derive(&commitment, key_for(wallet, "recovery", recovery_name)->key.bytes);
    memcpy(recovery32, commitment.bytes, 32);
    if (world->manner == ONE_KEY && wallet->key_count > 1) return &wallet->keys[1];
    return key_for(wallet, "relationship", name);
}

static uint64_t end_of_a_day(struct world *world)
{
    return (world->end_ms / 86400000 + 90 + draw(world, 4) * 91) * 86400; /* a few common lengths */
}

static void tell_truth(struct world *world, const struct cl_object_id *agreement, size_t person, const struct cl_object_id *terms)
{
    char hex[65], terms_hex[65] = "";
    hex_encode(hex, agreement->bytes, 32);
    if (terms != NULL) hex_encode(terms_hex, terms->bytes, 32);
    fprintf(world->truth, "%s,%zu,%s\n", hex, person, terms_hex);
}

static void withdraw_perhaps(struct world *world, struct author author, const struct cl_object_id *agreement, uint64_t after_ms)
{
    struct cl_entry entry = { .present = CL_HAS(1), .object = agreement->bytes, .object_length = 32 };
    if (draw(world, 10) < 3 && after_ms < world->end_ms) put(world, author, CL_REVOKE, &entry, after_ms + draw(world, world->end_ms - after_ms));
}

static uint64_t answered_ms(struct world *world, uint64_t at_ms)
{
    uint64_t until = at_ms + 2 * 86400000;
    return at_ms + 1 + draw(world, (until < world->end_ms ? until : world->end_ms) - at_ms);
}

static void grant(struct world *world, struct cl_wallet *wallet, size_t person, const char *name, uint64_t at_ms)
{
    uint8_t nonce[16], commitment[32], salt[32], recovery[32];
    struct cl_hash audience;
    struct cl_object_id agreement;
    size_t organisation = draw(world, world->organisation_count);
    struct author author = { wallet, fresh_key(world, wallet, name, recovery) };
    draw_bytes(world, nonce, 16);
    draw_bytes(world, commitment, 32);
    draw_bytes(world, salt, 32);
    cl_audience_derive(&audience, salt, world->profiles[organisation].bytes, 32);
    cl_object_id_derive(&agreement, author.key->key.bytes, nonce);
    uint64_t slots = 2 | draw(world, 4) << 2;
    struct cl_entry entry = { .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(5) | CL_HAS(6) | CL_HAS(9) | CL_HAS(15), .object = nonce, .object_length = 16,
                              .commitment = commitment, .audience_kind = CL_AUDIENCE_HASH, .audience = audience.bytes, .slots = slots,
                              .not_after = end_of_a_day(world), .recovery = recovery };
    struct cl_record_id head = put(world, author, CL_GRANT, &entry, at_ms);
    struct cl_entry answer = { .present = CL_HAS(1) | CL_HAS(2) | CL_HAS(3) | CL_HAS(7) | CL_HAS(9) | CL_HAS(13), .object = agreement.bytes, .object_length = 32,
                               .prev = head.bytes, .commitment = commitment, .opening = salt, .opening_length = 32, .slots = slots, .party = world->profiles[organisation].bytes };
    uint64_t then_ms = answered_ms(world, at_ms);
    put(world, (struct author){ world->organisations, &world->organisations->keys[organisation] }, CL_SUBSCRIBE, &answer, then_ms);
    withdraw_perhaps(world, author, &agreement, then_ms);
    tell_truth(world, &agreement, person, NULL);
}

static void publish_terms(struct world *world, struct cl_wallet *wallet, size_t person, uint64_t at_ms)
{
    uint8_t nonce[16], commitment[32], recovery[32];
    struct cl_object_id terms;
    struct author author = { wallet, fresh_key(world, wallet, "terms", recovery) };
    draw_bytes(world, nonce, 16);
    draw_bytes(world, commitment, 32);
    cl_object_id_derive(&terms, author.key->key.bytes, nonce);
    struct cl_entry entry = { .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(9) | CL_HAS(11) | CL_HAS(14) | CL_HAS(15), .object = nonce, .object_length = 16,
                              .commitment = commitment, .slots = 6, .limit = 100, .mode = 1, .recovery = recovery };
    put(world, author, CL_TERMS, &entry, at_ms);
    size_t first = draw(world, world->organisation_count);
    for (size_t i = 0; i < OWN_TERMS; i++) { /* two different ones: a party answers once */
        size_t organisation = (first + i) % world->organisation_count;
        struct author answerer = { world->organisations, &world->organisations->keys[organisation] };
        uint8_t answer_nonce[16];
        struct cl_object_id agreement;
        draw_bytes(world, answer_nonce, 16);
        cl_object_id_derive(&agreement, answerer.key->key.bytes, answer_nonce);
        struct cl_entry answer = { .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(8) | CL_HAS(9) | CL_HAS(13), .object = answer_nonce, .object_length = 16,
                                   .commitment = commitment, .ref = terms.bytes, .slots = 6, .party = world->profiles[organisation].bytes };
        put(world, answerer, CL_SUBSCRIBE, &answer, answered_ms(world, at_ms));
        tell_truth(world, &agreement, person, &terms);
    }
}

static void live(struct world *world, size_t person, size_t relationships)
{
    struct cl_wallet *wallet = wallet_new(world);
    uint64_t begin_ms = world->end_ms - WEEKS_MS, session_ms = begin_ms + draw(world, WEEKS_MS - 7200000);
    for (size_t i = 0; i + OWN_TERMS < relationships; i++) {
        char name[48];
        snprintf(name, sizeof name, "relationship-%zu", i);
        grant(world, wallet, person, name, world->manner == SESSIONS ? session_ms + draw(world, 600000) : begin_ms + 1 + draw(world, WEEKS_MS - 7200000));
    }
    if (relationships > OWN_TERMS) publish_terms(world, wallet, person, world->manner == SESSIONS ? session_ms + draw(world, 600000) : begin_ms + 1 + draw(world, WEEKS_MS - 7200000));
    cl_wallet_free(wallet);
}

static int by_time(const void *a, const void *b)
{
    const struct signed_record *one = a, *other = b;
    if (one->issued_at_ms != other->issued_at_ms) return one->issued_at_ms < other->issued_at_ms ? -1 : 1;
    return one->number < other->number ? -1 : 1;
}

static void write_records(struct world *world, const char *folder)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/records", folder);
    FILE *file = fopen(path, "wb");
    need(file != NULL, "the records cannot be written");
    qsort(world->records, world->count, sizeof *world->records, by_time);
    for (size_t i = 0; i < world->count; i++) {
        size_t length = world->records[i].bytes.length;
        uint8_t head[4] = { 0, (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length };
        need(fwrite(head, 1, 4, file) == 4 && fwrite(world->records[i].bytes.data, 1, length, file) == length, "the records cannot be written");
        cl_buffer_deinit(&world->records[i].bytes);
    }
    need(fclose(file) == 0, "the records cannot be written");
    free(world->records);
}

int main(int argc, char **argv)
{
    static const char *const manners[] = { "careful", "one-key", "sessions" };
    struct world world = { 0 };
    struct timespec now;
    char path[1024];
    if (argc != 8 || !hex_decode(world.network.bytes, 32, argv[1], strlen(argv[1]))) return 2;
    size_t people = strtoull(argv[2], NULL, 10), relationships = strtoull(argv[3], NULL, 10);
    world.organisation_count = strtoull(argv[4], NULL, 10);
    world.seed = strtoull(argv[5], NULL, 10);
    while (world.manner < 3 && strcmp(manners[world.manner], argv[6]) != 0) world.manner++;
    need(world.manner < 3 && world.organisation_count >= OWN_TERMS, "what manner?");
    clock_gettime(CLOCK_REALTIME, &now);
    world.end_ms = (uint64_t)now.tv_sec * 1000u;
    snprintf(path, sizeof path, "%s/truth.csv", argv[7]);
    world.truth = fopen(path, "w");
    need(world.truth != NULL, "truth.csv cannot be written");
    make_organisations(&world, world.end_ms - WEEKS_MS);
    for (size_t person = 0; person < people; person++) live(&world, person, relationships);
    need(fclose(world.truth) == 0, "truth.csv cannot be written");
    write_records(&world, argv[7]);
    cl_wallet_free(world.organisations);
    free(world.profiles);
    return 0;
}

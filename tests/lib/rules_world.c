/* See rules_world.h. What goes wrong here is the test's own fault, so it aborts: fuzz targets and programs link this too,
   without cmocka. */
#include "rules_world.h"

#include <stdio.h>
#include <stdlib.h>

#define must(condition) must_hold((condition), #condition, __LINE__)
static void must_hold(bool holds, const char *condition, int line)
{
    if (holds)
        return;
    fprintf(stderr, "rules_world.c:%d: %s does not hold\n", line, condition);
    abort();
}

struct item { uint8_t key[32]; uint8_t *value; size_t length; };

struct cl_network_id story_network = {{0x77}};
uint64_t story_now_ms, story_issued_at;
bool story_skip_refused;
struct cl_touched story_touched[1000];
size_t story_touched_count, story_put_count;
uint32_t story_refused_entry, story_applied_count;
struct cl_record_id story_record_id;
enum cl_status story_get_fails, story_put_fails;

static struct item *items;
static size_t item_count, item_capacity;
static uint64_t log_index;
static uint8_t *kept[4096]; /* memory that entries borrow; freed with the world */
static size_t kept_count;

static uint8_t *keep(const void *data, size_t length)
{
    uint8_t *copy = malloc(length);
    must(copy != NULL);
    must(kept_count < sizeof kept / sizeof kept[0]);
    memcpy(copy, data, length);
    kept[kept_count++] = copy;
    return copy;
}

static struct item *find(const uint8_t *key32)
{
    for (size_t i = 0; i < item_count; i++)
        if (memcmp(items[i].key, key32, 32) == 0)
            return &items[i];
    return NULL;
}

static enum cl_status state_get(void *context, const uint8_t key32[32], struct cl_view *value)
{
    (void)context;
    if (story_get_fails != CL_OK)
        return story_get_fails;
    const struct item *item = find(key32);
    if (item == NULL)
        return CL_E_NOT_FOUND;
    *value = (struct cl_view){item->value, item->length};
    return CL_OK;
}

static enum cl_status state_put(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    (void)context;
    if (story_put_fails != CL_OK)
        return story_put_fails;
    struct item *item = find(key32);
    if (item == NULL) {
        if (item_count == item_capacity) {
            item_capacity = item_capacity == 0 ? 64 : item_capacity * 2;
            items = realloc(items, item_capacity * sizeof *items);
            must(items != NULL);
        }
        item = &items[item_count++];
        memcpy(item->key, key32, 32);
        item->value = NULL;
    }
    item->value = realloc(item->value, length);
    must(item->value != NULL);
    memcpy(item->value, value, length);
    item->length = length;
    story_put_count++;
    return CL_OK;
}

static void state_digest(uint8_t out32[32])
{
    struct cl_sha256 hash;
    cl_sha256_init(&hash);
    for (size_t i = 0; i < item_count; i++) {
        cl_sha256_update(&hash, items[i].key, 32);
        cl_sha256_update(&hash, items[i].value, items[i].length);
    }
    cl_sha256_final(&hash, out32);
}

static void note_touched(void *context, const struct cl_touched *touched)
{
    (void)context;
    must(story_touched_count < 1000);
    story_touched[story_touched_count++] = *touched;
}

int story_setup(void **state)
{
    (void)state;
    story_now_ms = STORY_START_MS;
    story_issued_at = 0;
    story_skip_refused = false;
    story_get_fails = story_put_fails = CL_OK;
    log_index = 1;
    story_members((const unsigned[]){90}, 1);
    return 0;
}

int story_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < item_count; i++)
        free(items[i].value);
    free(items);
    items = NULL;
    item_count = item_capacity = 0;
    while (kept_count > 0)
        free(kept[--kept_count]);
    return 0;
}

/* ---- names for things */

const uint8_t *story_secret(unsigned n)
{
    static uint8_t secrets[256][32];
    must(n >= 1 && n <= 255);
    secrets[n][31] = (uint8_t)n;
    return secrets[n];
}

const uint8_t *story_key(unsigned n)
{
    static uint8_t keys[256][33];
    must(n >= 1 && n <= 255);
    if (keys[n][0] == 0)
        must(cl_public_key_of(keys[n], story_secret(n)) == CL_OK);
    return keys[n];
}

const uint8_t *story_hash(unsigned n)
{
    uint8_t hash[32];
    cl_sha256_once(hash, &n, sizeof n);
    return keep(hash, 32);
}

const uint8_t *story_id(unsigned signer, uint8_t nonce)
{
    struct cl_object_id id;
    uint8_t nonce16[16];
    memset(nonce16, nonce, 16);
    cl_object_id_derive(&id, story_key(signer), nonce16);
    return keep(id.bytes, 32);
}

void story_members(const unsigned *keys, size_t count)
{
    struct cl_network *network = calloc(1, sizeof *network);
    struct cl_buffer value = {0};
    struct cl_hash key;
    must(network != NULL);
    network->parameters = (struct cl_parameters){1000, 1000, 1000000, 1000, 0, 1};
    network->member_count = count;
    for (size_t i = 0; i < count; i++) {
        memcpy(network->members[i].name, "member-", 7);
        network->members[i].name[7] = (char)('a' + i);
        memcpy(network->members[i].party, story_key(keys[i]), 33);
    }
    must(cl_network_encode(&value, network) == CL_OK);
    cl_network_key(&key);
    must(state_put(NULL, key.bytes, value.data, value.length) == CL_OK);
    cl_buffer_deinit(&value);
    free(network);
}

/* ---- entries */

struct cl_entry on_new(uint8_t nonce)
{
    uint8_t nonce16[16];
    memset(nonce16, nonce, 16);
    return (struct cl_entry){.present = CL_HAS(1), .object_length = 16, .object = keep(nonce16, 16)};
}

struct cl_entry on(const uint8_t *id32)
{
    return (struct cl_entry){.present = CL_HAS(1), .object_length = 32, .object = keep(id32, 32)};
}

struct cl_entry with_prev_of(struct cl_entry entry, const uint8_t *head32)
{
    entry.present |= CL_HAS(2);
    entry.prev = keep(head32, 32);
    return entry;
}

struct cl_entry with_prev(struct cl_entry entry)
{
    const struct item *item = find(entry.object);
    enum cl_state_kind kind;
    if (item == NULL)
        return with_prev_of(entry, story_hash(99999));
    must(cl_state_kind_of(&kind, item->value, item->length) == CL_OK);
    if (kind == CL_STATE_AGREEMENT)
        return with_prev_of(entry, story_agreement(entry.object)->head);
    if (kind == CL_STATE_TERMS)
        return with_prev_of(entry, story_terms(entry.object)->head);
    return with_prev_of(entry, story_profile(entry.object)->head);
}

struct cl_entry with_commitment(struct cl_entry entry, unsigned n)
{
    entry.present |= CL_HAS(3);
    entry.commitment = story_hash(n);
    return entry;
}

struct cl_entry with_before(struct cl_entry entry, uint64_t seconds)
{
    entry.present |= CL_HAS(4);
    entry.not_before = seconds;
    return entry;
}

struct cl_entry with_after(struct cl_entry entry, uint64_t seconds)
{
    entry.present |= CL_HAS(5);
    entry.not_after = seconds;
    return entry;
}

struct cl_entry with_audience_key(struct cl_entry entry, unsigned salt, const uint8_t *answerer, size_t length)
{
    struct cl_hash hash;
    cl_audience_derive(&hash, story_hash(salt), answerer, length);
    entry.present |= CL_HAS(6);
    entry.audience_kind = CL_AUDIENCE_HASH;
    entry.audience = keep(hash.bytes, 32);
    return entry;
}

struct cl_entry with_audience_token(struct cl_entry entry, unsigned token)
{
    entry.present |= CL_HAS(6);
    entry.audience_kind = CL_AUDIENCE_TOKEN;
    entry.audience = story_key(token);
    return entry;
}

struct cl_entry with_opening(struct cl_entry entry, const uint8_t *bytes, uint8_t length)
{
    entry.present |= CL_HAS(7);
    entry.opening = keep(bytes, length);
    entry.opening_length = length;
    return entry;
}

struct cl_entry with_token(struct cl_entry entry, unsigned token, const uint8_t *bearer, const uint8_t *agreement,
                           unsigned signer)
{
    struct cl_hash digest;
    uint8_t signature[64];
    cl_token_digest(&digest, &story_network, bearer, agreement, story_key(signer));
    must(cl_ecdsa_sign(signature, story_secret(token), digest.bytes) == CL_OK);
    return with_opening(entry, signature, 64);
}

struct cl_entry with_ref(struct cl_entry entry, const uint8_t *ref32)
{
    entry.present |= CL_HAS(8);
    entry.ref = keep(ref32, 32);
    return entry;
}

struct cl_entry with_slots(struct cl_entry entry, uint64_t slots)
{
    entry.present |= CL_HAS(9);
    entry.slots = slots;
    return entry;
}

struct cl_entry with_reason(struct cl_entry entry, uint8_t reason)
{
    entry.present |= CL_HAS(10);
    entry.reason = reason;
    return entry;
}

struct cl_entry with_limit(struct cl_entry entry, uint64_t limit)
{
    entry.present |= CL_HAS(11);
    entry.limit = limit;
    return entry;
}

struct cl_entry with_key(struct cl_entry entry, const uint8_t *key, uint8_t length)
{
    entry.present |= CL_HAS(12);
    entry.key = keep(key, length);
    entry.key_length = length;
    return entry;
}

struct cl_entry with_party(struct cl_entry entry, const uint8_t *profile32)
{
    entry.present |= CL_HAS(13);
    entry.party = keep(profile32, 32);
    return entry;
}

struct cl_entry with_mode(struct cl_entry entry, uint64_t mode)
{
    entry.present |= CL_HAS(14);
    entry.mode = mode;
    return entry;
}

struct cl_entry with_recovery(struct cl_entry entry, unsigned key)
{
    struct cl_hash hash;
    cl_recovery_derive(&hash, story_key(key));
    entry.present |= CL_HAS(15);
    entry.recovery = keep(hash.bytes, 32);
    return entry;
}

/* ---- acts */

enum cl_status story_acts(unsigned signer, enum cl_record_type type, struct cl_entry *entries, size_t count)
{
    struct cl_draft draft = {.type = type, .skip_refused = story_skip_refused, .entries = entries, .entry_count = count};
    struct cl_buffer payload = {0};
    struct cl_record record;
    uint8_t before[32], after[32];
    draft.issued_at_ms = story_issued_at != 0 ? story_issued_at : story_now_ms;
    memcpy(draft.signer.bytes, story_key(signer), 33);
    enum cl_status status = cl_draft_encode(&payload, &story_record_id, &story_refused_entry, &draft, &story_network);
    if (status != CL_OK) {
        cl_buffer_deinit(&payload);
        return status; /* refused for its form already */
    }
    must(cl_record_decode_payload(&record, &story_refused_entry, payload.data, payload.length,
                                              story_key(signer), &story_network) == CL_OK);
    const struct cl_state_access access = {NULL, state_get, state_put};
    const struct cl_rules_input input = {&story_network, &record, log_index, story_now_ms, NULL};
    story_touched_count = story_put_count = 0;
    state_digest(before);
    status = cl_rules_apply(&access, &input, &story_refused_entry, &story_applied_count, note_touched, NULL);
    if (status != CL_OK) {
        state_digest(after);
        must(memcmp(before, after, 32) == 0);
        must(story_touched_count == 0);
        must(story_applied_count == 0);
    } else {
        must(story_touched_count == story_applied_count);
        log_index++;
    }
    story_now_ms++;
    cl_record_deinit(&record);
    cl_buffer_deinit(&payload);
    return status;
}

enum cl_status story_act(unsigned signer, enum cl_record_type type, struct cl_entry entry)
{
    return story_acts(signer, type, &entry, 1);
}

/* ---- what is held */

static const struct item *must_find(const uint8_t *key32)
{
    const struct item *item = find(key32);
    must(item != NULL);
    return item;
}

const struct cl_agreement *story_agreement(const uint8_t *id32)
{
    static struct cl_agreement agreement;
    const struct item *item = must_find(id32);
    must(cl_agreement_decode(&agreement, item->value, item->length) == CL_OK);
    return &agreement;
}

const struct cl_terms *story_terms(const uint8_t *id32)
{
    static struct cl_terms terms;
    const struct item *item = must_find(id32);
    must(cl_terms_decode(&terms, item->value, item->length) == CL_OK);
    return &terms;
}

const struct cl_profile *story_profile(const uint8_t *id32)
{
    static struct cl_profile profile;
    const struct item *item = must_find(id32);
    must(cl_profile_decode(&profile, item->value, item->length) == CL_OK);
    return &profile;
}

bool story_has(const uint8_t *key32) { return find(key32) != NULL; }

void story_damage(const uint8_t *key32, size_t offset)
{
    struct item *item = find(key32);
    must(item != NULL && offset < item->length);
    item->value[offset] ^= 0x40;
}

/* ---- stories */

const uint8_t *story_offer(unsigned customer, uint8_t nonce, uint64_t slots)
{
    const uint8_t *id = story_id(customer, nonce);
    struct cl_entry entry = with_slots(with_commitment(on_new(nonce), 1), slots);
    must(story_act(customer, CL_GRANT, with_audience_token(entry, 80)) == CL_OK);
    return id;
}

const uint8_t *story_active(unsigned customer, unsigned organisation, uint8_t nonce, uint64_t slots)
{
    const uint8_t *id = story_offer(customer, nonce, slots);
    struct cl_entry answer = with_slots(with_commitment(with_prev(on(id)), 1), slots);
    must(story_act(organisation, CL_SUBSCRIBE, with_token(answer, 80, id, id, organisation)) == CL_OK);
    return id;
}

const uint8_t *story_make_terms(unsigned owner, uint8_t nonce, uint64_t mode, uint64_t limit)
{
    must(story_act(owner, CL_TERMS, with_recovery(with_mode(with_limit(with_slots(with_commitment(on_new(nonce), 1), 7), limit), mode), owner + 50)) == CL_OK);
    return story_id(owner, nonce);
}

const uint8_t *story_make_profile(unsigned key, uint8_t nonce)
{
    struct cl_entry entry = with_key(with_commitment(on_new(nonce), 7), story_hash(8), 32);
    must(story_act(key, CL_PROFILE, with_recovery(entry, key + 50)) == CL_OK);
    return story_id(key, nonce);
}

struct cl_entry subscribe_to(const uint8_t *terms32, uint8_t nonce)
{
    return with_slots(with_ref(with_commitment(on_new(nonce), 1), terms32), 7);
}

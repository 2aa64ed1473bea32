#include "script.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto.h"

#define NEED(condition) do { if (!(condition)) { fprintf(stderr, "script.c:%d: %s\n", __LINE__, #condition); abort(); } } while (0)
#define TOKEN_KEY (SCRIPT_KEYS - 1)
#define DAY_MS 86400000ull

const struct cl_network_id script_network = {{0x5c}};
static const uint8_t salt[32] = {0x5a, 0x17};

const uint8_t *script_secret(unsigned n)
{
    static uint8_t secrets[SCRIPT_KEYS][32];
    NEED(n < SCRIPT_KEYS);
    secrets[n][31] = (uint8_t)(n + 1);
    return secrets[n];
}

const uint8_t *script_key(unsigned n)
{
    static uint8_t keys[SCRIPT_KEYS][33];
    NEED(n < SCRIPT_KEYS);
    if (keys[n][0] == 0)
        NEED(cl_public_key_of(keys[n], script_secret(n)) == CL_OK);
    return keys[n];
}

unsigned script_key_number(const uint8_t key33[33])
{
    unsigned n = 0;
    while (n < SCRIPT_KEYS && memcmp(script_key(n), key33, 33) != 0)
        n++;
    return n;
}

/* ---- the state */

const struct script_value *script_state_find(const struct script_state *state, const uint8_t key32[32])
{
    for (size_t i = 0; i < state->count; i++)
        if (memcmp(state->values[i].key, key32, 32) == 0)
            return &state->values[i];
    return NULL;
}

static enum cl_status state_get(void *context, const uint8_t key32[32], struct cl_view *value)
{
    const struct script_value *found = script_state_find(context, key32);
    if (found == NULL)
        return CL_E_NOT_FOUND;
    *value = (struct cl_view){found->bytes, found->length};
    return CL_OK;
}

static enum cl_status state_put(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    struct script_state *state = context;
    struct script_value *found = (struct script_value *)(uintptr_t)script_state_find(state, key32);
    NEED(length <= SCRIPT_VALUE_BYTES_MAX);
    if (found == NULL) {
        NEED(state->count < SCRIPT_STATES_MAX);
        found = &state->values[state->count++];
        found->length = 0;
        found->written = found->existed = false;
        memcpy(found->key, key32, 32);
    } else if (!found->written) {
        found->existed = true;
        found->old_length = found->length;
        memcpy(found->old, found->bytes, found->length);
    }
    found->written = true;
    found->length = length;
    memcpy(found->bytes, value, length);
    state->put_count++;
    return CL_OK;
}

void script_state_mark(struct script_state *state)
{
    state->put_count = 0;
    for (size_t i = 0; i < state->count; i++)
        state->values[i].written = state->values[i].existed = false;
}

struct cl_state_access script_state_access(struct script_state *state)
{
    return (struct cl_state_access){state, state_get, state_put};
}

void script_state_init(struct script_state *state)
{
    static struct cl_network network;
    struct cl_buffer value = {0};
    struct cl_hash key;
    state->count = state->put_count = 0;
    network.parameters = (struct cl_parameters){1000, 1000, 1000000, 1000, 0, 1};
    network.member_count = 1;
    memcpy(network.members[0].name, "member", 7);
    memcpy(network.members[0].party, script_key(6), 33);
    NEED(cl_network_encode(&value, &network) == CL_OK);
    cl_network_key(&key);
    NEED(state_put(state, key.bytes, value.data, value.length) == CL_OK);
    cl_buffer_deinit(&value);
    script_state_mark(state);
}

/* ---- the script */

struct scene {
    struct script *script;
    const struct script_state *state;
    struct script_record *record;
    struct cl_entry *entry;
    struct script_entry_bytes *bytes;
    bool known;                      /* what the entry is about, where it exists */
    enum cl_state_kind kind;
    struct cl_agreement agreement;
    struct cl_terms terms;
    struct cl_profile profile;
};

static uint8_t next(struct script *script) { return script->at < script->end ? *script->at++ : 0; }

void script_init(struct script *script, const uint8_t *data, size_t size)
{
    *script = (struct script){.at = data, .end = data + size, .now_ms = SCRIPT_START_MS};
}

void script_opened(struct script *script, const uint8_t id32[32], enum cl_state_kind kind)
{
    if (script->object_count == SCRIPT_OBJECTS_MAX)
        return;
    memcpy(script->objects[script->object_count].id, id32, 32);
    script->objects[script->object_count++].kind = kind;
}

/* The choice-th object of a kind (0: of any), counted round; NULL where there is none. */
static const uint8_t *object_of(const struct script *script, enum cl_state_kind kind, unsigned choice)
{
    size_t count = 0;
    for (size_t i = 0; i < script->object_count; i++)
        count += kind == 0 || script->objects[i].kind == kind;
    if (count == 0)
        return NULL;
    choice %= (unsigned)count;
    for (size_t i = 0; i < script->object_count; i++)
        if ((kind == 0 || script->objects[i].kind == kind) && choice-- == 0)
            return script->objects[i].id;
    return NULL;
}

static void load(struct scene *scene, const uint8_t id32[32])
{
    const struct script_value *value = script_state_find(scene->state, id32);
    scene->known = value != NULL && cl_state_kind_of(&scene->kind, value->bytes, value->length) == CL_OK;
    if (!scene->known)
        return;
    if (scene->kind == CL_STATE_AGREEMENT)
        NEED(cl_agreement_decode(&scene->agreement, value->bytes, value->length) == CL_OK);
    else if (scene->kind == CL_STATE_TERMS)
        NEED(cl_terms_decode(&scene->terms, value->bytes, value->length) == CL_OK);
    else if (scene->kind == CL_STATE_PROFILE)
        NEED(cl_profile_decode(&scene->profile, value->bytes, value->length) == CL_OK);
}

static bool is(const struct scene *scene, enum cl_state_kind kind) { return scene->known && scene->kind == kind; }

/* The number of a party's present key; SCRIPT_KEYS where nobody is known. */
static unsigned present_key(const struct scene *scene, const struct cl_party *party)
{
    struct cl_terms terms;
    struct cl_profile profile;
    if (party->length == 33)
        return script_key_number(party->bytes);
    const struct script_value *value = party->length == 32 ? script_state_find(scene->state, party->bytes) : NULL;
    if (value != NULL && cl_terms_decode(&terms, value->bytes, value->length) == CL_OK)
        return script_key_number(terms.owner);
    if (value != NULL && cl_profile_decode(&profile, value->bytes, value->length) == CL_OK)
        return script_key_number(profile.key);
    return SCRIPT_KEYS;
}

/* choice below 160: who would naturally act; else one of all. */
static unsigned signer_of(const struct scene *scene, unsigned choice)
{
    unsigned natural = SCRIPT_KEYS;
    if (choice < 160 && is(scene, CL_STATE_AGREEMENT)) {
        bool customer = scene->agreement.turn == 0 ? (choice & 1) == 0 : scene->agreement.turn == CL_SIDE_CUSTOMER;
        natural = present_key(scene, customer ? &scene->agreement.customer : &scene->agreement.organisation);
    } else if (choice < 160 && is(scene, CL_STATE_TERMS)) {
        natural = script_key_number(scene->terms.owner);
    } else if (choice < 160 && is(scene, CL_STATE_PROFILE)) {
        natural = script_key_number(scene->profile.key);
    }
    return natural < SCRIPT_KEYS ? natural : choice % SCRIPT_KEYS;
}

static void copy_prev(struct scene *scene)
{
    memset(scene->bytes->prev, 0xee, 32);
    if (is(scene, CL_STATE_AGREEMENT))
        memcpy(scene->bytes->prev, scene->agreement.head, 32);
    else if (is(scene, CL_STATE_PROFILE))
        memcpy(scene->bytes->prev, scene->profile.head, 32);
    else if (is(scene, CL_STATE_TERMS))
        memcpy(scene->bytes->prev, scene->terms.head, 32);
}

static void copy_commitment(struct scene *scene, unsigned choice, bool fresh)
{
    memset(scene->bytes->commitment, (int)(choice & 1), 32);
    const uint8_t *terms = scene->record->type == CL_SUBSCRIBE && fresh ? object_of(scene->script, CL_STATE_TERMS, choice) : NULL;
    if (terms != NULL) {
        load(scene, terms);
        memcpy(scene->bytes->ref, terms, 32);
        if (is(scene, CL_STATE_TERMS))
            memcpy(scene->bytes->commitment, scene->terms.commitment, 32);
    } else if (is(scene, CL_STATE_AGREEMENT) && (scene->record->type == CL_GRANT || scene->record->type == CL_SUBSCRIBE)) {
        memcpy(scene->bytes->commitment, scene->agreement.commitment, 32);
    }
}

static uint64_t time_of(const struct script *script, unsigned choice)
{
    static const int64_t around[8] = {-100, 0, 1, 50, 1000, 864000, 3456000, 40000000};
    return (uint64_t)((int64_t)(script->now_ms / 1000) + around[choice % 8]);
}

static uint64_t slots_of(const struct scene *scene, unsigned choice)
{
    uint64_t slots = choice & 15u;
    if (scene->record->type == CL_SUBSCRIBE && is(scene, CL_STATE_TERMS))
        slots = scene->terms.slots;
    else if (is(scene, CL_STATE_AGREEMENT) && scene->record->type == CL_SUBSCRIBE)
        slots = scene->agreement.live;
    else if (is(scene, CL_STATE_AGREEMENT) && scene->record->type == CL_GRANT)
        slots = (choice & 16) != 0 ? scene->agreement.live & choice : scene->agreement.live;
    else if (is(scene, CL_STATE_AGREEMENT) && (scene->record->type == CL_REVOKE || (choice & 32) != 0))
        slots = scene->agreement.live & choice;
    else if (is(scene, CL_STATE_AGREEMENT) && scene->record->type == CL_ERASE)
        slots = (scene->agreement.due | scene->agreement.live) & choice;
    return slots != 0 ? slots : 1 + choice / 64u;
}

static void make_audience(struct scene *scene, unsigned choice)
{
    struct cl_entry *entry = scene->entry;
    const uint8_t *profile = (choice & 8) != 0 ? object_of(scene->script, CL_STATE_PROFILE, choice / 16) : NULL;
    struct cl_hash hash;
    entry->audience = scene->bytes->audience;
    if ((choice & 4) != 0) {
        entry->audience_kind = CL_AUDIENCE_TOKEN;
        memcpy(scene->bytes->audience, script_key(TOKEN_KEY), 33);
        return;
    }
    entry->audience_kind = CL_AUDIENCE_HASH;
    if (profile != NULL)
        cl_audience_derive(&hash, salt, profile, 32);
    else
        cl_audience_derive(&hash, salt, script_key(choice / 16 % SCRIPT_KEYS), 33);
    memcpy(scene->bytes->audience, hash.bytes, 32);
}

/* What shows that the signer is meant, by the audience of what is answered. Returns: whether there is an audience. */
static bool make_opening(struct scene *scene, const uint8_t object32[32])
{
    const struct cl_audience *audience = is(scene, CL_STATE_TERMS) ? &scene->terms.audience : &scene->agreement.audience;
    struct cl_hash digest;
    if (!is(scene, CL_STATE_AGREEMENT) && !is(scene, CL_STATE_TERMS))
        return false;
    if (audience->kind == CL_AUDIENCE_HASH) {
        memcpy(scene->bytes->opening, salt, 32);
        scene->entry->opening_length = 32;
    } else if (audience->kind == CL_AUDIENCE_TOKEN) {
        cl_token_digest(&digest, &script_network, is(scene, CL_STATE_TERMS) ? scene->bytes->ref : object32, object32, script_key(scene->record->signer));
        NEED(cl_ecdsa_sign(scene->bytes->opening, script_secret(TOKEN_KEY), digest.bytes) == CL_OK);
        scene->entry->opening_length = 64;
    }
    return audience->kind != 0;
}

#define K(n) CL_HAS(n)
struct form { enum cl_record_type type; bool opens; uint32_t required, optional; };
static const struct form forms[] = {
    {CL_GRANT, true, K(1) | K(3) | K(6) | K(9), K(4) | K(5) | K(13) | K(15)},
    {CL_REQUEST, true, K(1) | K(3) | K(6) | K(9), K(4) | K(5) | K(13)},
    {CL_TERMS, true, K(1) | K(3) | K(9) | K(11) | K(14), K(4) | K(5) | K(6) | K(8) | K(15)},
    {CL_SUBSCRIBE, true, K(1) | K(3) | K(8) | K(9), K(4) | K(5) | K(13)},
    {CL_PROFILE, true, K(1) | K(3) | K(12) | K(15), 0},
    {CL_GRANT, false, K(1) | K(2) | K(3) | K(9), K(4) | K(5) | K(13) | K(15)},
    {CL_SUBSCRIBE, false, K(1) | K(2) | K(3) | K(9), K(4) | K(5) | K(13)},
    {CL_COUNTER, false, K(1) | K(2) | K(3) | K(9), K(4) | K(5) | K(13) | K(15)},
    {CL_REFUSE, false, K(1) | K(2), K(10) | K(13)},
    {CL_AMEND, false, K(1) | K(2) | K(8), 0},
    {CL_AMEND, false, K(1) | K(2) | K(3) | K(9), K(4) | K(5)},
    {CL_AMEND, false, K(1) | K(9), K(5)},
    {CL_AMEND, false, K(1) | K(5), 0},
    {CL_SUSPEND, false, K(1), 0},
    {CL_RESUME, false, K(1) | K(2), 0},
    {CL_REVOKE, false, K(1), K(9) | K(10)},
    {CL_RENEW, false, K(1) | K(2) | K(5), 0},
    {CL_ACK, false, K(1) | K(8) | K(10), 0},
    {CL_STATEMENT, false, K(1) | K(3) | K(4) | K(5), 0},
    {CL_DELEGATE, false, K(1) | K(5) | K(12) | K(14), 0},
    {CL_UNDELEGATE, false, K(1) | K(12), 0},
    {CL_ROTATE, false, K(1) | K(12), K(7) | K(15)},
    {CL_ERASE, false, K(1), K(9)},
    {CL_DISPUTE, false, K(1) | K(8) | K(10), 0},
    {CL_VOUCH, false, K(1) | K(5) | K(10), 0},
    {CL_PROFILE, false, K(1) | K(2) | K(3) | K(12), 0},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

static uint8_t reason_of(enum cl_record_type type, unsigned choice)
{
    if (type == CL_ACK)
        return (uint8_t)(1 + choice % 3);
    if (type == CL_DISPUTE)
        return (uint8_t)(4 + choice % 2);
    return (uint8_t)(type == CL_VOUCH ? 1 + choice % 2 : 6 + choice % 3);
}

static void point_at_bytes(struct cl_entry *entry, struct script_entry_bytes *bytes)
{
    entry->prev = bytes->prev;
    entry->commitment = bytes->commitment;
    entry->opening = bytes->opening;
    entry->ref = bytes->ref;
    entry->key = bytes->key;
    entry->party = bytes->party;
    entry->recovery = bytes->recovery;
}

static void choose_object(struct scene *scene, const struct form *form, unsigned choice)
{
    struct cl_object_id id;
    const uint8_t *object = object_of(scene->script, 0, choice);
    memset(scene->bytes->nonce, (int)choice, 16);
    memset(scene->bytes->object, 0xcc, 32);
    if (form->opens) {
        scene->entry->object_length = 16;
        scene->entry->object = scene->bytes->nonce;
        cl_object_id_derive(&id, script_key(scene->record->signer), scene->bytes->nonce);
        memcpy(scene->bytes->object, id.bytes, 32);
    } else {
        scene->entry->object_length = 32;
        scene->entry->object = scene->bytes->object;
        if (object != NULL)
            memcpy(scene->bytes->object, object, 32);
    }
    scene->known = false;
    if (!form->opens)
        load(scene, scene->bytes->object);
}

static void fill_keys(struct scene *scene, const struct form *form, unsigned choice)
{
    struct script *script = scene->script;
    const uint8_t *profile = object_of(script, CL_STATE_PROFILE, choice), *terms = object_of(script, CL_STATE_TERMS, choice);
    struct cl_hash recovery;
    if (profile != NULL)
        memcpy(scene->bytes->party, profile, 32);
    copy_prev(scene);
    if (terms != NULL)
        memcpy(scene->bytes->ref, terms, 32);
    else
        memset(scene->bytes->ref, 0xdd, 32);
    copy_commitment(scene, next(script), form->opens);
    if (is(scene, CL_STATE_AGREEMENT) && form->type == CL_AMEND)
        memcpy(scene->bytes->ref, scene->agreement.pending.record_id, 32);
    scene->entry->key_length = form->type == CL_PROFILE ? 32 : 33;
    memcpy(scene->bytes->key, script_key(choice % SCRIPT_KEYS), 33);
    cl_recovery_derive(&recovery, script_key(choice / 8 % SCRIPT_KEYS));
    memcpy(scene->bytes->recovery, recovery.bytes, 32);
}

static void make_entry(struct scene *scene, const struct form *form)
{
    struct script *script = scene->script;
    struct cl_entry *entry = scene->entry;
    unsigned options = next(script), choice = next(script), fault = next(script);
    point_at_bytes(entry, scene->bytes);
    fill_keys(scene, form, choice);
    entry->present = form->required;
    for (unsigned k = 1, bit = 0; k <= 15; k++) {
        if ((form->optional & CL_HAS(k)) == 0)
            continue;
        if ((options >> bit & 1) != 0 && (k != 13 || object_of(script, CL_STATE_PROFILE, 0) != NULL))
            entry->present |= CL_HAS(k);
        bit++;
    }
    entry->slots = slots_of(scene, next(script));
    entry->not_before = time_of(script, choice);
    entry->not_after = time_of(script, next(script));
    entry->reason = reason_of(form->type, choice);
    entry->limit = 1 + choice % 3u;
    entry->mode = form->type == CL_DELEGATE ? 1 + choice % 31u : choice & 3u;
    make_audience(scene, choice);
    if (form->type == CL_ROTATE) { /* recovery: the opening is the signer's own key */
        memcpy(scene->bytes->opening, script_key(scene->record->signer), 33);
        entry->opening_length = 33;
        if ((entry->present & CL_HAS(7)) == 0)
            entry->present &= ~CL_HAS(15);
    } else if ((form->type == CL_GRANT || form->type == CL_SUBSCRIBE || form->type == CL_COUNTER || form->type == CL_REFUSE) &&
               (form->required & CL_HAS(6)) == 0 && make_opening(scene, scene->bytes->object)) {
        entry->present |= CL_HAS(7);
    }
    if (fault >= 240) /* the odd fault: a key too many or too few, or a changed byte */
        entry->present ^= CL_HAS(fault & 15);
    else if (fault >= 224)
        scene->bytes->prev[fault & 15] ^= 1;
    else if (fault >= 216)
        memset(scene->bytes->commitment, (int)fault, 32);
    else if (fault >= 208)
        scene->bytes->opening[fault & 7] ^= 1;
}

bool script_next(struct script *script, struct script_record *out, const struct script_state *state)
{
    static const uint64_t steps[8] = {1, 1, 1000, 30000, 300000, DAY_MS, 20 * DAY_MS, 40 * DAY_MS};
    struct scene scene = {.script = script, .state = state, .record = out};
    if (script->at >= script->end)
        return false;
    const struct form *form = &forms[next(script) % FORMS];
    unsigned time = next(script), object = next(script);
    memset(out, 0, sizeof *out);
    script->now_ms += steps[time & 7];
    out->type = form->type;
    out->skip_refused = (time & 0x40) != 0;
    out->entry_count = (time & 0x30) == 0x30 ? 1 + time % 3u : (time & 0x38) == 0x28 ? SCRIPT_ENTRIES_MAX : 1;
    out->issued_at_ms = script->now_ms;
    if ((time & 0x88) == 0x88) {
        const uint64_t odd[4] = {script->now_ms - 31 * DAY_MS, script->now_ms + CL_RECORD_AHEAD_MS_MAX + 1, script->now_ms - CL_RECORD_AGE_MS_MAX,
                                 script->now_ms + CL_RECORD_AHEAD_MS_MAX};
        out->issued_at_ms = odd[time & 3];
    }
    const uint8_t *first = form->opens ? NULL : object_of(script, 0, object);
    if (first != NULL)
        load(&scene, first);
    out->signer = signer_of(&scene, next(script));
    for (size_t i = 0; i < out->entry_count; i++) {
        scene.entry = &out->entries[i];
        scene.bytes = &out->bytes[i];
        choose_object(&scene, form, i == 0 ? object : (uint8_t)(next(script) + i));
        make_entry(&scene, form);
    }
    script->record_count++;
    return true;
}

enum cl_status script_payload(struct cl_buffer *payload, struct script_record *record)
{
    struct cl_draft draft = {.type = record->type, .skip_refused = record->skip_refused, .issued_at_ms = record->issued_at_ms,
                             .entries = record->entries, .entry_count = record->entry_count};
    struct cl_record_id id;
    memcpy(draft.signer.bytes, script_key(record->signer), 33);
    return cl_draft_encode(payload, &id, NULL, &draft, &script_network);
}

void script_entry_object(uint8_t id32[32], const uint8_t signer33[33], const struct cl_entry *entry)
{
    struct cl_object_id id;
    if (entry->object_length == 16) {
        cl_object_id_derive(&id, signer33, entry->object);
        memcpy(id32, id.bytes, 32);
    } else {
        memcpy(id32, entry->object, 32);
    }
}

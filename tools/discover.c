/* Finds what is on the ledger under this wallet's keys, TERMS and PROFILEs (design rule: a person can list all of their
   agreements). The node lists by party only for whoever signs a fresh challenge with the party's present key; what it
   names is fetched and believed only where one side is really ours. */
#include "discover.h"

#include <stdlib.h>

#define PAGE_LIMIT 1000
#define PAGES_MAX (CL_WALLET_ITEMS_MAX / PAGE_LIMIT + 1) /* more would not fit into a wallet */
#define PROFILE_FOUND_MAX 1000
#define NOT_OURS_NOW (-1) /* the node says that another key signs for the party */

/* ---- names */

static bool name_taken(const struct context *context, const char *name)
{
    for (size_t i = 0; i < context->wallet->item_count; i++)
        if (strcmp(context->wallet->items[i].name, name) == 0)
            return true;
    return false;
}

void name_numbered(struct context *context, char out[CL_NAME_BYTES_MAX + 1], const char *base)
{
    char stem[57];
    (void)snprintf(stem, sizeof stem, "%.56s", base);
    size_t length = strlen(stem), number = 1;
    if (length > 6 && strcmp(stem + length - 6, ".terms") == 0)
        stem[length -= 6] = '\0';
    for (size_t i = 0; i < context->wallet->item_count; i++) {
        const char *name = context->wallet->items[i].name;
        unsigned long used = strncmp(name, stem, length) == 0 && name[length] == '.' ? strtoul(name + length + 1, NULL, 10) : 0;
        if (used >= number && used < 10000000)
            number = used + 1;
    }
    (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%s.%u", stem, (unsigned)number);
}

/* After recovery the key's URI says what the relationship was called. */
static void name_of_key(struct context *context, char out[CL_NAME_BYTES_MAX + 1], const struct cl_party *own)
{
    const char *name = party_key_name(context, own);
    const struct cl_wallet_key *key = name == NULL ? NULL : cl_wallet_key_find(context->wallet, name);
    const char *slash = key == NULL ? NULL : strrchr(key->uri, '/');
    (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.64s", slash != NULL && cl_wallet_name_usable(slash + 1) ? slash + 1 : "agreement");
    if (name_taken(context, out)) {
        char base[CL_NAME_BYTES_MAX + 1];
        memcpy(base, out, sizeof base);
        name_numbered(context, out, base);
    }
}

const char *party_short(struct context *context, const struct cl_party *party)
{
    static char storage[4][CL_DID_KEY_SIZE + 8];
    static unsigned next;
    const char *text = party_text(context, party);
    size_t length = strlen(text), kept = party->length == 33 ? 20 : 16;
    char *out = storage[next++ % 4];
    (void)snprintf(out, sizeof storage[0], "%.*s%s", length > 28 ? (int)kept : (int)length, text, length > 28 ? "..." : "");
    return out;
}

/* ---- entries */

static void owner_of(struct cl_party *out, const struct object *object, enum cl_side side)
{
    *out = (struct cl_party){.length = 33};
    if (object->kind == CL_STATE_AGREEMENT)
        *out = side == CL_SIDE_CUSTOMER ? object->as.agreement.customer : object->as.agreement.organisation;
    else
        memcpy(out->bytes, object->kind == CL_STATE_TERMS ? object->as.terms.owner : object->as.profile.key, 33);
}

enum cl_side side_by_keys(struct context *context, const struct object *object)
{
    struct cl_party owner;
    owner_of(&owner, object, CL_SIDE_CUSTOMER);
    if (party_key_name(context, &owner) != NULL)
        return object->kind == CL_STATE_PROFILE ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER;
    if (object->kind != CL_STATE_AGREEMENT)
        return CL_SIDE_NONE;
    owner_of(&owner, object, CL_SIDE_ORGANISATION);
    return party_key_name(context, &owner) != NULL ? CL_SIDE_ORGANISATION : CL_SIDE_NONE;
}

struct cl_wallet_item *wallet_item_of_hash(struct context *context, const uint8_t id32[32])
{
    struct cl_object_id id;
    memcpy(id.bytes, id32, 32);
    return cl_wallet_item_of(context->wallet, &id);
}

/* The TERMS that it was made under, else the TERMS or PROFILE that is our side; NULL where neither is in the wallet. */
static const struct cl_wallet_item *parent_of(struct context *context, const struct object *object, const struct cl_party *own)
{
    const struct cl_wallet_item *parent = NULL;
    if (object->kind != CL_STATE_AGREEMENT)
        return NULL;
    if (object->as.agreement.terms.present)
        parent = wallet_item_of_hash(context, object->as.agreement.terms.bytes);
    return parent != NULL || own->length != 32 ? parent : wallet_item_of_hash(context, own->bytes);
}

static enum cl_status fill_entry(struct context *context, struct cl_wallet_item *item, const struct object *object, const struct cl_party *own)
{
    const struct cl_agreement *agreement = &object->as.agreement;
    enum cl_status status = cl_buffer_replace(&item->state, object->value.data, object->value.length);
    if (object->kind != CL_STATE_AGREEMENT)
        return status;
    item->party = item->role == CL_SIDE_CUSTOMER ? agreement->organisation : agreement->customer;
    if (own->length == 32 && item->role == CL_SIDE_ORGANISATION) {
        item->profile.present = true;
        memcpy(item->profile.bytes, own->bytes, 32);
    }
    item->terms = agreement->terms;
    const struct cl_wallet_item *terms = item->terms.present ? wallet_item_of_hash(context, item->terms.bytes) : NULL;
    for (size_t i = 0; terms != NULL && status == CL_OK && i < terms->body_count; i++)
        status = cl_wallet_item_body_add(item, terms->bodies[i].data, terms->bodies[i].length);
    return status;
}

int entry_adopt(struct context *context, const struct object *object, enum cl_side side, const char *given)
{
    struct cl_wallet_item *item = NULL;
    struct cl_party own;
    char name[CL_NAME_BYTES_MAX + 1], key_name[CL_NAME_BYTES_MAX + 1];
    owner_of(&own, object, side);
    const struct cl_wallet_item *parent = parent_of(context, object, &own);
    const char *key = party_key_name(context, &own);
    (void)snprintf(key_name, sizeof key_name, "%s", key == NULL ? "" : key);
    if (given != NULL)
        (void)snprintf(name, sizeof name, "%.64s", given);
    else if (parent != NULL)
        name_numbered(context, name, parent->name);
    else
        name_of_key(context, name, &own);
    enum cl_wallet_kind kind = object->kind == CL_STATE_TERMS ? CL_ITEM_TERMS : object->kind == CL_STATE_PROFILE ? CL_ITEM_PROFILE : CL_ITEM_AGREEMENT;
    enum cl_status status = cl_wallet_item_add(context->wallet, &item, name, kind, &object->id);
    if (status == CL_OK) {
        item->role = side;
        item->made_ms = time_now_ms();
        memcpy(item->key_name, key_name, sizeof key_name);
        status = fill_entry(context, item, object, &own);
    }
    return status == CL_OK ? 0 : output_fail(&context->output, status, "'%s'", name);
}

/* ---- asking the node */

static int answer_json(struct context *context, json_t **out, struct http_answer *answer)
{
    json_error_t error;
    int result = 0;
    if (answer->status == 401)
        result = NOT_OURS_NOW;
    else if (answer->status != 200)
        result = node_problem(context, answer);
    else if ((*out = json_loadb((const char *)answer->body.data, answer->body.length, JSON_REJECT_DUPLICATES, &error)) == NULL)
        result = output_fail(&context->output, CL_E_FORMAT, "The node's answer is not JSON: %s", context->node_url);
    http_answer_deinit(answer);
    return result;
}

int challenge_headers(struct context *context, char challenge[128], char signature[192], const struct cl_wallet_key *key)
{
    char path[128], hex[129];
    uint8_t nonce[32], signature64[64];
    struct cl_hash digest;
    json_t *json = NULL;
    cl_hex_encode(hex, key->key.bytes, 33);
    (void)snprintf(path, sizeof path, "/v1/challenge?key=%.66s", hex);
    int result = node_get_json(context, &json, path);
    const char *text = json_string_value(json_object_get(json, "nonce"));
    if (result == 0 && (text == NULL || !cl_hex_decode(nonce, 32, text)))
        result = output_fail(&context->output, CL_E_FORMAT, "The node's challenge is not 32 bytes.");
    json_decref(json);
    if (result != 0)
        return result;
    cl_challenge_digest(&digest, &context->wallet->network.id, nonce, &key->key);
    enum cl_status status = cl_wallet_sign_digest(signature64, context->wallet, key, digest.bytes);
    if (status != CL_OK)
        return output_fail(&context->output, status, "(key '%s')", key->name);
    cl_hex_encode(hex, nonce, 32);
    (void)snprintf(challenge, 128, "Consent-Challenge: %.64s", hex);
    cl_hex_encode(hex, signature64, 64);
    (void)snprintf(signature, 192, "Consent-Signature: %s", hex);
    return 0;
}

static int party_page(struct context *context, json_t **page, const char *party, const struct cl_wallet_key *key, const char *cursor)
{
    char path[320], challenge[128], signature[192];
    struct http_answer answer;
    int result = challenge_headers(context, challenge, signature, key);
    if (result != 0)
        return result;
    (void)snprintf(path, sizeof path, "/v1/parties/%s/agreements?limit=%d%s%.64s", party, PAGE_LIMIT, cursor[0] == '\0' ? "" : "&cursor=", cursor);
    const char *headers[] = {"Accept: application/json", challenge, signature, NULL};
    result = node_ask(context, &answer, path, headers);
    return result == 0 ? answer_json(context, page, &answer) : result;
}

/* What the node named: fetched, judged, taken in. *stale: it is, or was, this party's, and another key acts for it now. */
static int take_in(struct context *context, const char *id_hex, size_t *found, bool *stale)
{
    struct cl_object_id id;
    struct object object = {0};
    if (id_hex == NULL || !id_parse(&id, id_hex))
        return output_fail(&context->output, CL_E_FORMAT, "The node's list has something that is not an id.");
    if (cl_wallet_item_of(context->wallet, &id) != NULL)
        return 0;
    int result = object_fetch(context, &object, &id, false);
    if (result != 0)
        return result == 3 ? 0 : result;
    enum cl_side side = side_by_keys(context, &object);
    if (side == CL_SIDE_NONE)
        *stale = true;
    else
        result = entry_adopt(context, &object, side, NULL);
    if (result == 0 && side != CL_SIDE_NONE)
        output_progress(&context->output, "found", ++*found, 0);
    object_deinit(&object);
    return result;
}

static int discover_party(struct context *context, const char *party, const struct cl_wallet_key *key, size_t found_max, size_t *found, bool *stale)
{
    size_t found_before = *found;
    char cursor[65] = "";
    int result = 0;
    bool more = true;
    for (size_t pages = 0; more && result == 0; pages++) {
        json_t *page = NULL, *entry;
        size_t position;
        result = pages < PAGES_MAX ? party_page(context, &page, party, key, cursor) : output_fail(&context->output, CL_E_BOUND, "There is more than a wallet holds; follow 'consent feed' instead.");
        const json_t *list = json_object_get(page, "agreements");
        json_array_foreach(list, position, entry) {
            if (result == 0 && *found - found_before < found_max)
                result = http_interrupted ? output_fail(&context->output, CL_E_CANCELLED, NULL) : take_in(context, json_string_value(json_object_get(entry, "id")), found, stale);
        }
        const char *next = json_string_value(json_object_get(page, "cursor"));
        /* a node that repeats itself does not keep us for ever */
        more = next != NULL && strlen(next) == 64 && strcmp(next, cursor) > 0 && *found - found_before < found_max;
        (void)snprintf(cursor, sizeof cursor, "%.64s", more ? next : "");
        json_decref(page);
    }
    return result;
}

int discover_under(struct context *context, const struct cl_object_id *object, size_t *found)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, object);
    const struct cl_wallet_key *key = item == NULL || item->key_name[0] == '\0' ? NULL : cl_wallet_key_find(context->wallet, item->key_name);
    /* A person sees everything. What an organisation has under its profile may be a million; ids work without entries. */
    size_t found_before = *found, found_max = item != NULL && item->kind == CL_ITEM_PROFILE ? PROFILE_FOUND_MAX : SIZE_MAX;
    bool stale = false;
    if (key == NULL) /* somebody else's, or signed for outside of this wallet */
        return 0;
    struct cl_wallet_key copy = *key;
    char name[CL_NAME_BYTES_MAX + 1];
    memcpy(name, item->name, sizeof name);
    int result = discover_party(context, id_text(object->bytes), &copy, found_max, found, &stale);
    if (*found - found_before == found_max)
        output_say(&context->output, "There is more under '%s' than is taken in at once; the same command goes on.", name);
    if (result == NOT_OURS_NOW)
        output_warn(&context->output, "Another key signs for '%s' now, so the node does not list what is under it.", name);
    return result == NOT_OURS_NOW ? 0 : result;
}

/* The object found by this key has another key now: in a wallet rebuilt from words, likely the next of the same
   relationship. Returns: whether there is one that was not asked yet. */
static bool next_key(struct context *context, size_t *position)
{
    struct cl_wallet *wallet = context->wallet;
    const struct cl_wallet_key *key = &wallet->keys[*position];
    char uri[CL_URI_BYTES_MAX + 1], name[CL_NAME_BYTES_MAX + 1];
    memcpy(uri, key->uri, sizeof uri);
    uint32_t index = key->index + 1;
    for (size_t i = 0; i < wallet->key_count; i++)
        if (wallet->keys[i].index == index && strcmp(wallet->keys[i].uri, uri) == 0)
            return false;
    const char *slash = strrchr(uri, '/');
    for (unsigned number = index + 1; number < index + 1000; number++) {
        (void)snprintf(name, sizeof name, "%.52s.%u", slash == NULL ? "key" : slash + 1, number);
        enum cl_status status = cl_wallet_key_add(wallet, position, name, uri);
        if (status != CL_E_EXISTS)
            return status == CL_OK;
    }
    return false;
}

static int discover_key(struct context *context, size_t position, size_t *found)
{
    for (;;) {
        struct cl_wallet_key key = context->wallet->keys[position];
        char party[67];
        bool stale = false;
        cl_hex_encode(party, key.key.bytes, 33);
        int result = discover_party(context, party, &key, SIZE_MAX, found, &stale);
        if (result == NOT_OURS_NOW)
            return output_fail(&context->output, CL_E_LOCKED, "The node refuses the signature of key '%s'.", key.name);
        if (result != 0 || !stale || !next_key(context, &position))
            return result;
    }
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Positions of the keys that may be a party and that no entry uses: nobody learns of keys that need no asking. */
static size_t unused_keys(const struct cl_wallet *wallet, size_t *positions, const char **names)
{
    size_t count = 0;
    for (size_t i = 0; i < wallet->item_count; i++)
        names[i] = wallet->items[i].key_name;
    qsort(names, wallet->item_count, sizeof *names, by_text);
    for (size_t i = 0; i < wallet->key_count; i++) {
        const char *name = wallet->keys[i].name, *uri = wallet->keys[i].uri;
        bool never_party = strncmp(uri, "consent:recovery/", 17) == 0 || strncmp(uri, "consent:delivery/", 17) == 0 || strncmp(uri, "consent:code/", 13) == 0 || strncmp(uri, "consent:mailbox/", 16) == 0;
        if (!never_party && bsearch(&name, names, wallet->item_count, sizeof *names, by_text) == NULL)
            positions[count++] = i;
    }
    return count;
}

int discover_all(struct context *context, size_t *found)
{
    struct cl_wallet *wallet = context->wallet;
    size_t *positions = malloc((wallet->key_count + 1) * sizeof *positions);
    const char **names = malloc((wallet->item_count + 1) * sizeof *names);
    bool room = positions != NULL && names != NULL;
    int result = room ? 0 : output_fail(&context->output, CL_E_MEMORY, NULL);
    size_t count = room ? unused_keys(wallet, positions, names) : 0;
    for (size_t i = 0; i < count && result == 0; i++)
        result = discover_key(context, positions[i], found);
    free(positions);
    free(names);
    for (size_t i = 0; i < wallet->item_count && result == 0; i++) { /* the keys may have found TERMS and PROFILEs */
        struct cl_object_id object = wallet->items[i].object;
        if (wallet->items[i].kind != CL_ITEM_AGREEMENT)
            result = discover_under(context, &object, found);
    }
    output_progress_end(&context->output);
    if (*found > 0)
        output_say(&context->output, "%zu %s found that this wallet did not know.", *found, *found == 1 ? "entry was" : "entries were");
    return result;
}

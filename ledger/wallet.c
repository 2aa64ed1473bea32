/* What a wallet holds: one seed, its keys, and what its owner agreed to with each key. Nothing here touches a file. */
#include "consent/wallet.h"
#include "crypto.h"

#include <assert.h>
#include <stdlib.h>

enum cl_status cl_wallet_new(struct cl_wallet **out, const uint8_t entropy32[32])
{
    struct cl_wallet *wallet = calloc(1, sizeof *wallet);
    if (wallet == NULL)
        return CL_E_MEMORY;
    memcpy(wallet->entropy32, entropy32, 32);
    cl_words_seed(wallet->seed64, entropy32);
    *out = wallet;
    return CL_OK;
}

static void item_deinit(struct cl_wallet_item *item)
{
    for (size_t i = 0; i < item->body_count; i++)
        cl_buffer_wipe(&item->bodies[i]);
    cl_buffer_wipe(&item->state);
    cl_buffer_wipe(&item->proof);
    cl_buffer_wipe(&item->content);
    cl_wipe(item, sizeof *item);
}

void cl_wallet_free(struct cl_wallet *wallet)
{
    if (wallet == NULL)
        return;
    for (size_t i = 0; i < wallet->item_count; i++)
        item_deinit(&wallet->items[i]);
    free(wallet->items);
    free(wallet->keys);
    cl_buffer_wipe(&wallet->network.policy);
    cl_wipe(wallet, sizeof *wallet);
    free(wallet);
}

static bool all_hex(const char *text)
{
    for (; *text != '\0'; text++)
        if (!((*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f') || (*text >= 'A' && *text <= 'F')))
            return false;
    return true;
}

bool cl_wallet_name_usable(const char *name)
{
    size_t length = strnlen(name, CL_NAME_BYTES_MAX + 1);
    if (length == 0 || length > CL_NAME_BYTES_MAX || name[0] == '-' || name[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_' && c != '.')
            return false;
    }
    return length < 6 || !all_hex(name);
}

/* Room for one more, doubling. What moves leaves nothing behind: items have salts in them. */
static void *room_for(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    void *larger = malloc((count == 0 ? 1 : 2 * count) * size);
    if (larger != NULL && array != NULL) {
        memcpy(larger, array, count * size);
        cl_wipe(array, count * size);
        free(array);
    }
    return larger;
}

static bool uri_usable(const char *uri)
{
    size_t length = strnlen(uri, CL_URI_BYTES_MAX + 1);
    if (length == 0 || length > CL_URI_BYTES_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (uri[i] <= ' ' || uri[i] > '~')
            return false;
    return true;
}

enum cl_status cl_wallet_key_add(struct cl_wallet *wallet, size_t *position, const char *name, const char *uri)
{
    if (!cl_wallet_name_usable(name) || !uri_usable(uri))
        return CL_E_ARGUMENT;
    if (wallet->key_count == CL_WALLET_KEYS_MAX)
        return CL_E_BOUND;
    uint32_t index = 0;
    for (size_t i = 0; i < wallet->key_count; i++) {
        if (strcmp(wallet->keys[i].name, name) == 0)
            return CL_E_EXISTS;
        index += strcmp(wallet->keys[i].uri, uri) == 0 ? 1 : 0;
    }
    struct cl_wallet_key *keys = room_for(wallet->keys, wallet->key_count, sizeof *keys);
    if (keys == NULL)
        return CL_E_MEMORY;
    wallet->keys = keys;
    struct cl_wallet_key *key = &keys[wallet->key_count];
    *key = (struct cl_wallet_key){.index = index};
    memcpy(key->name, name, strlen(name));
    memcpy(key->uri, uri, strlen(uri));
    uint8_t secret[32];
    enum cl_status status = cl_wallet_key_secret(secret, wallet, key);
    if (status == CL_OK)
        status = cl_secret_public(&key->key, secret);
    cl_wipe(secret, sizeof secret);
    if (status != CL_OK)
        return status;
    if (position != NULL)
        *position = wallet->key_count;
    wallet->key_count++;
    return CL_OK;
}

const struct cl_wallet_key *cl_wallet_key_find(const struct cl_wallet *wallet, const char *text)
{
    struct cl_public_key key;
    bool is_key = cl_public_key_decode(&key, text) == CL_OK;
    for (size_t i = 0; i < wallet->key_count; i++) {
        if (is_key ? memcmp(wallet->keys[i].key.bytes, key.bytes, 33) == 0 : strcmp(wallet->keys[i].name, text) == 0)
            return &wallet->keys[i];
    }
    return NULL;
}

void cl_wallet_key_remove(struct cl_wallet *wallet, const struct cl_wallet_key *key)
{
    size_t position = (size_t)(key - wallet->keys);
    assert(position < wallet->key_count);
    memmove(&wallet->keys[position], &wallet->keys[position + 1], (wallet->key_count - position - 1) * sizeof *wallet->keys);
    wallet->key_count--;
    cl_wipe(&wallet->keys[wallet->key_count], sizeof *wallet->keys);
}

enum cl_status cl_wallet_key_secret(uint8_t secret32[32], const struct cl_wallet *wallet, const struct cl_wallet_key *key)
{
    return cl_key_derive(secret32, wallet->seed64, key->uri, key->index);
}

enum cl_status cl_wallet_sign_digest(uint8_t signature64[64], const struct cl_wallet *wallet,
                                     const struct cl_wallet_key *key, const uint8_t digest32[32])
{
    uint8_t secret[32];
    enum cl_status status = cl_wallet_key_secret(secret, wallet, key);
    if (status == CL_OK)
        status = cl_ecdsa_sign(signature64, secret, digest32);
    cl_wipe(secret, sizeof secret);
    return status;
}

/* A name and a key for content that was never sealed yet. */
static enum cl_status draw_content_key(struct cl_wallet_item *item)
{
    enum cl_status status = cl_random(item->content_id16, sizeof item->content_id16);
    if (status == CL_OK)
        status = cl_random(item->content_key32, sizeof item->content_key32);
    item->content_open = status == CL_OK;
    return status;
}

enum cl_status cl_wallet_item_add(struct cl_wallet *wallet, struct cl_wallet_item **out, const char *name,
                                  enum cl_wallet_kind kind, const struct cl_object_id *object)
{
    if (!cl_wallet_name_usable(name))
        return CL_E_ARGUMENT;
    if (wallet->item_count == CL_WALLET_ITEMS_MAX)
        return CL_E_BOUND;
    for (size_t i = 0; i < wallet->item_count; i++)
        if (strcmp(wallet->items[i].name, name) == 0 || memcmp(wallet->items[i].object.bytes, object->bytes, 32) == 0)
            return CL_E_EXISTS;
    struct cl_wallet_item *items = room_for(wallet->items, wallet->item_count, sizeof *items);
    if (items == NULL)
        return CL_E_MEMORY;
    wallet->items = items;
    struct cl_wallet_item *item = &items[wallet->item_count];
    *item = (struct cl_wallet_item){.kind = kind, .object = *object};
    enum cl_status status = draw_content_key(item);
    if (status != CL_OK)
        return status;
    wallet->item_count++;
    memcpy(item->name, name, strlen(name));
    *out = item;
    return CL_OK;
}

enum cl_status cl_wallet_item_find(struct cl_wallet_item **out, struct cl_wallet *wallet, const char *text)
{
    size_t length = strnlen(text, 65), found = 0;
    bool prefix = length >= 6 && length <= 64 && all_hex(text);
    for (size_t i = 0; i < wallet->item_count; i++) {
        struct cl_wallet_item *item = &wallet->items[i];
        if (strcmp(item->name, text) == 0) {
            *out = item;
            return CL_OK;
        }
        char hex[65];
        cl_hex_encode(hex, item->object.bytes, 32);
        if (prefix && strncasecmp(hex, text, length) == 0) {
            *out = item;
            found++;
        }
    }
    return found == 1 ? CL_OK : found == 0 ? CL_E_NOT_FOUND : CL_E_ARGUMENT;
}

struct cl_wallet_item *cl_wallet_item_of(struct cl_wallet *wallet, const struct cl_object_id *object)
{
    for (size_t i = 0; i < wallet->item_count; i++)
        if (memcmp(wallet->items[i].object.bytes, object->bytes, 32) == 0)
            return &wallet->items[i];
    return NULL;
}

void cl_wallet_item_remove(struct cl_wallet *wallet, struct cl_wallet_item *item)
{
    size_t position = (size_t)(item - wallet->items);
    assert(position < wallet->item_count);
    item_deinit(item);
    memmove(item, item + 1, (wallet->item_count - position - 1) * sizeof *item);
    wallet->item_count--;
    cl_wipe(&wallet->items[wallet->item_count], sizeof *item); /* a salt and pointers, which moved down */
    /* room_for asks for room at powers of two only: after a removal once too often perhaps, never too late */
}

enum cl_status cl_wallet_item_body_add(struct cl_wallet_item *item, const uint8_t *body_file, size_t length)
{
    for (size_t i = 0; i < item->body_count; i++)
        if (item->bodies[i].length == length && memcmp(item->bodies[i].data, body_file, length) == 0)
            return CL_OK;
    struct cl_buffer copy = {0};
    enum cl_status status = cl_buffer_append(&copy, body_file, length);
    if (status != CL_OK)
        return status;
    if (item->body_count == CL_WALLET_BODIES_MAX) {
        cl_buffer_wipe(&item->bodies[0]);
        memmove(&item->bodies[0], &item->bodies[1], (CL_WALLET_BODIES_MAX - 1) * sizeof item->bodies[0]);
        item->body_count--;
    }
    item->bodies[item->body_count++] = copy;
    return CL_OK;
}

enum cl_status cl_wallet_item_content_renew(struct cl_wallet_item *item)
{
    if (item->content_open || (item->body_count == 0 && !item->audience_salt.present && item->proof.length == 0))
        return CL_OK;
    cl_buffer_wipe(&item->content);
    return draw_content_key(item);
}

enum cl_status cl_wallet_item_destroy_secrets(struct cl_wallet_item *item)
{
    for (size_t i = 0; i < item->body_count; i++)
        cl_buffer_wipe(&item->bodies[i]);
    item->body_count = 0;
    cl_buffer_wipe(&item->proof);
    cl_wipe(&item->audience_salt, sizeof item->audience_salt);
    cl_buffer_wipe(&item->content);
    return draw_content_key(item);
}

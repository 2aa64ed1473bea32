/* The wallet's content as bytes. One canonical form, strictly read:

   wallet  = [ 2, entropy: bstr .size 32, network / null, [ *key ], [ *item ] ]
   network = [ network_id: hash, origin: tstr, url: tstr, policy: bstr ]
   key     = [ name: tstr, uri: tstr, index: uint, public key: bstr .size 33 ]
   item    = [ name: tstr, kind: 1..3, role: 0..2, object: hash, key name: tstr, party: bstr (0, 32 or 33 bytes),
               terms: hash / null, profile: hash / null, recovery key name: tstr, made: ms, state: bstr,
               content id: bstr .size 16, nonce: bstr .size 24, sealed: bstr ]
   sealed  = XChaCha20-Poly1305 of content under the item's own key, which is not here but in the file of the store that
             the content id names (formats.cddl "key-file"); additional data: "consent/v1 item" || object
   content = [ audience salt: bstr .size 32 / null, [ *8 body-file bstr ], proof: bstr ]
   offer   = [ 1, "consent-offer", network_id: hash, object: hash, kind: 1..3, audience salt / null, body-file bstr,
               reception / null ]                   ; reception: formats.cddl

   Secrets of keys are not in it: they follow from the entropy. */
#include "consent/wallet.h"
#include "cbor.h"
#include "crypto.h"
#include "reception.h"

#include <stdlib.h>

static void put_text(struct cl_cbor_writer *writer, const char *text) { cl_cbor_put_text(writer, text, strlen(text)); }

static void put_optional(struct cl_cbor_writer *writer, const struct cl_optional_hash *hash)
{
    if (hash->present)
        cl_cbor_put_bytes(writer, hash->bytes, 32);
    else
        cl_cbor_put_null(writer);
}

#define ITEM_LABEL "consent/v1 item"
#define ITEM_LABEL_LENGTH 15u
#define SEAL_OVERHEAD 16u

static void item_label(uint8_t out[ITEM_LABEL_LENGTH + 32], const struct cl_wallet_item *item)
{
    memcpy(out, ITEM_LABEL, ITEM_LABEL_LENGTH);
    memcpy(out + ITEM_LABEL_LENGTH, item->object.bytes, 32);
}

/* Nonce and sealed content: as it was read where its key is not at hand. */
static void put_content(struct cl_cbor_writer *writer, const struct cl_wallet_item *item)
{
    if (!item->content_open && item->content.length < 24) {
        writer->status = CL_E_LOCKED;
        return;
    }
    if (!item->content_open) {
        cl_cbor_put_bytes(writer, item->content.data, 24);
        cl_cbor_put_bytes(writer, item->content.data + 24, item->content.length - 24);
        return;
    }
    struct cl_buffer clear = {.secret = true};
    struct cl_cbor_writer inner;
    uint8_t nonce[24], label[ITEM_LABEL_LENGTH + 32], *sealed = NULL;
    cl_cbor_writer_init(&inner, &clear);
    cl_cbor_put_array(&inner, 3);
    put_optional(&inner, &item->audience_salt);
    cl_cbor_put_array(&inner, item->body_count);
    for (size_t i = 0; i < item->body_count; i++)
        cl_cbor_put_bytes(&inner, item->bodies[i].data, item->bodies[i].length);
    cl_cbor_put_bytes(&inner, item->proof.data, item->proof.length);
    enum cl_status status = inner.status;
    if (status == CL_OK)
        status = cl_random(nonce, sizeof nonce);
    if (status == CL_OK && (sealed = malloc(clear.length + SEAL_OVERHEAD)) == NULL)
        status = CL_E_MEMORY;
    if (status == CL_OK) {
        item_label(label, item);
        cl_seal(sealed, clear.data, clear.length, label, sizeof label, nonce, item->content_key32);
        cl_cbor_put_bytes(writer, nonce, sizeof nonce);
        cl_cbor_put_bytes(writer, sealed, clear.length + SEAL_OVERHEAD);
    } else if (writer->status == CL_OK) {
        writer->status = status;
    }
    free(sealed);
    cl_buffer_wipe(&clear);
}

static void put_item(struct cl_cbor_writer *writer, const struct cl_wallet_item *item)
{
    cl_cbor_put_array(writer, 14);
    put_text(writer, item->name);
    cl_cbor_put_uint(writer, (uint64_t)item->kind);
    cl_cbor_put_uint(writer, (uint64_t)item->role);
    cl_cbor_put_bytes(writer, item->object.bytes, 32);
    put_text(writer, item->key_name);
    cl_cbor_put_bytes(writer, item->party.bytes, item->party.length);
    put_optional(writer, &item->terms);
    put_optional(writer, &item->profile);
    put_text(writer, item->recovery_key);
    cl_cbor_put_uint(writer, item->made_ms);
    cl_cbor_put_bytes(writer, item->state.data, item->state.length);
    cl_cbor_put_bytes(writer, item->content_id16, 16);
    put_content(writer, item);
}

enum cl_status cl_wallet_encode(struct cl_buffer *out, const struct cl_wallet *wallet)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, 5);
    cl_cbor_put_uint(&writer, 2);
    cl_cbor_put_bytes(&writer, wallet->entropy32, 32);
    if (wallet->network.known) {
        cl_cbor_put_array(&writer, 4);
        cl_cbor_put_bytes(&writer, wallet->network.id.bytes, 32);
        put_text(&writer, wallet->network.origin);
        put_text(&writer, wallet->network.url);
        cl_cbor_put_bytes(&writer, wallet->network.policy.data, wallet->network.policy.length);
    } else {
        cl_cbor_put_null(&writer);
    }
    cl_cbor_put_array(&writer, wallet->key_count);
    for (size_t i = 0; i < wallet->key_count; i++) {
        const struct cl_wallet_key *key = &wallet->keys[i];
        cl_cbor_put_array(&writer, 4);
        put_text(&writer, key->name);
        put_text(&writer, key->uri);
        cl_cbor_put_uint(&writer, key->index);
        cl_cbor_put_bytes(&writer, key->key.bytes, 33);
    }
    cl_cbor_put_array(&writer, wallet->item_count);
    for (size_t i = 0; i < wallet->item_count; i++)
        put_item(&writer, &wallet->items[i]);
    return writer.status;
}

/* Copies text of at most size - 1 bytes without a zero byte in it. */
static void get_text(struct cl_cbor_reader *reader, char *out, size_t size)
{
    struct cl_view text = cl_cbor_text(reader);
    if (text.length >= size || (text.length > 0 && memchr(text.data, 0, text.length) != NULL)) {
        cl_cbor_fail(reader, CL_E_BOUND);
        return;
    }
    if (text.length > 0)
        memcpy(out, text.data, text.length);
    out[text.length] = '\0';
}

static void get_optional(struct cl_cbor_reader *reader, struct cl_optional_hash *out)
{
    if (cl_cbor_null(reader))
        return;
    out->present = true;
    cl_cbor_bytes_copy(reader, out->bytes, 32);
}

static void get_buffer(struct cl_cbor_reader *reader, struct cl_buffer *out, size_t maximum)
{
    struct cl_view bytes = cl_cbor_bytes(reader);
    if (bytes.length > maximum)
        cl_cbor_fail(reader, CL_E_BOUND);
    else if (bytes.length > 0 && cl_buffer_append(out, bytes.data, bytes.length) != CL_OK)
        cl_cbor_fail(reader, CL_E_MEMORY);
}

static void get_network(struct cl_cbor_reader *reader, struct cl_wallet_network *out)
{
    if (cl_cbor_null(reader))
        return;
    cl_cbor_array_fixed(reader, 4);
    cl_cbor_bytes_copy(reader, out->id.bytes, 32);
    get_text(reader, out->origin, sizeof out->origin);
    get_text(reader, out->url, sizeof out->url);
    get_buffer(reader, &out->policy, CL_POLICY_BYTES_MAX);
    out->known = true;
}

/* The public key is kept so that a wrong derivation shows at once instead of signing with a key that nobody knows. */
static void get_key(struct cl_cbor_reader *reader, struct cl_wallet *wallet)
{
    char name[CL_NAME_BYTES_MAX + 1] = "", uri[CL_URI_BYTES_MAX + 1] = "";
    cl_cbor_array_fixed(reader, 4);
    get_text(reader, name, sizeof name);
    get_text(reader, uri, sizeof uri);
    uint64_t index = cl_cbor_uint(reader);
    const uint8_t *public33 = cl_cbor_bytes_fixed(reader, 33);
    if (reader->status != CL_OK)
        return;
    if (index > UINT32_MAX || !cl_wallet_name_usable(name) || uri[0] == '\0') {
        cl_cbor_fail(reader, CL_E_FORMAT);
        return;
    }
    struct cl_wallet_key *key = &wallet->keys[wallet->key_count];
    *key = (struct cl_wallet_key){.index = (uint32_t)index};
    memcpy(key->name, name, sizeof name);
    memcpy(key->uri, uri, sizeof uri);
    memcpy(key->key.bytes, public33, 33);
    wallet->key_count++;
}

#define CONTENT_BYTES_MAX ((CL_WALLET_BODIES_MAX + 1u) * (CL_PROOF_BYTES_MAX + 16u) + 64u)

static enum cl_status get_content(struct cl_wallet_item *item, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 3);
    get_optional(&reader, &item->audience_salt);
    size_t bodies = cl_cbor_array_at_most(&reader, CL_WALLET_BODIES_MAX);
    for (size_t i = 0; i < bodies && reader.status == CL_OK; i++) {
        item->body_count = i + 1;
        get_buffer(&reader, &item->bodies[i], CL_PROOF_BYTES_MAX);
    }
    get_buffer(&reader, &item->proof, CL_PROOF_BYTES_MAX);
    return cl_cbor_finish(&reader);
}

enum cl_status cl_wallet_item_content_open(struct cl_wallet_item *item, const uint8_t key32[32])
{
    uint8_t label[ITEM_LABEL_LENGTH + 32];
    if (item->content_open)
        return CL_OK;
    size_t sealed = item->content.length - 24;
    if (sealed < SEAL_OVERHEAD)
        return CL_E_LOCKED;
    uint8_t *clear = malloc(sealed);
    if (clear == NULL)
        return CL_E_MEMORY;
    item_label(label, item);
    enum cl_status status = cl_open(clear, item->content.data + 24, sealed, label, sizeof label, item->content.data, key32);
    if (status == CL_OK)
        status = get_content(item, clear, sealed - SEAL_OVERHEAD);
    cl_wipe(clear, sealed);
    free(clear);
    if (status == CL_OK) {
        memcpy(item->content_key32, key32, 32);
        cl_buffer_wipe(&item->content);
        item->content_open = true;
        return CL_OK;
    }
    for (size_t i = 0; i < item->body_count; i++)
        cl_buffer_wipe(&item->bodies[i]);
    item->body_count = 0;
    cl_buffer_wipe(&item->proof);
    cl_wipe(&item->audience_salt, sizeof item->audience_salt);
    return status;
}

static void get_item(struct cl_cbor_reader *reader, struct cl_wallet_item *item)
{
    cl_cbor_array_fixed(reader, 14);
    get_text(reader, item->name, sizeof item->name);
    uint64_t kind = cl_cbor_uint(reader), role = cl_cbor_uint(reader);
    cl_cbor_bytes_copy(reader, item->object.bytes, 32);
    get_text(reader, item->key_name, sizeof item->key_name);
    struct cl_view party = cl_cbor_bytes(reader);
    get_optional(reader, &item->terms);
    get_optional(reader, &item->profile);
    get_text(reader, item->recovery_key, sizeof item->recovery_key);
    item->made_ms = cl_cbor_uint(reader);
    get_buffer(reader, &item->state, CL_STATE_VALUE_BYTES_MAX);
    cl_cbor_bytes_copy(reader, item->content_id16, 16);
    const uint8_t *nonce = cl_cbor_bytes_fixed(reader, 24);
    if (nonce != NULL && cl_buffer_append(&item->content, nonce, 24) != CL_OK)
        cl_cbor_fail(reader, CL_E_MEMORY);
    get_buffer(reader, &item->content, CONTENT_BYTES_MAX);
    if (reader->status != CL_OK)
        return;
    bool party_good = party.length == 0 || party.length == 32 || party.length == 33;
    if (kind < CL_ITEM_AGREEMENT || kind > CL_ITEM_PROFILE || role > CL_SIDE_ORGANISATION || !party_good || !cl_wallet_name_usable(item->name)) {
        cl_cbor_fail(reader, CL_E_FORMAT);
        return;
    }
    item->kind = (enum cl_wallet_kind)kind;
    item->role = (enum cl_side)role;
    item->party.length = (uint8_t)party.length;
    if (party.length > 0)
        memcpy(item->party.bytes, party.data, party.length);
}

static size_t power_of_two(size_t count)
{
    size_t room = 1;
    while (room < count)
        room *= 2;
    return room;
}

static enum cl_status get_lists(struct cl_cbor_reader *reader, struct cl_wallet *wallet)
{
    size_t keys = cl_cbor_array(reader);
    if (keys > CL_WALLET_KEYS_MAX)
        return CL_E_BOUND;
    wallet->keys = calloc(power_of_two(keys), sizeof *wallet->keys);
    if (wallet->keys == NULL)
        return CL_E_MEMORY;
    for (size_t i = 0; i < keys && reader->status == CL_OK; i++)
        get_key(reader, wallet);
    size_t items = cl_cbor_array(reader);
    if (items > CL_WALLET_ITEMS_MAX)
        return CL_E_BOUND;
    if (reader->status != CL_OK)
        return reader->status;
    wallet->items = calloc(power_of_two(items), sizeof *wallet->items);
    if (wallet->items == NULL)
        return CL_E_MEMORY;
    for (size_t i = 0; i < items && reader->status == CL_OK; i++) {
        wallet->item_count = i + 1;
        get_item(reader, &wallet->items[i]);
    }
    return cl_cbor_finish(reader);
}

enum cl_status cl_wallet_decode(struct cl_wallet **out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    struct cl_wallet *wallet = calloc(1, sizeof *wallet);
    if (wallet == NULL)
        return CL_E_MEMORY;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 5);
    uint64_t version = cl_cbor_uint(&reader);
    cl_cbor_bytes_copy(&reader, wallet->entropy32, 32);
    get_network(&reader, &wallet->network);
    enum cl_status status = reader.status;
    if (status == CL_OK && version != 2)
        status = CL_E_VERSION;
    if (status == CL_OK)
        status = get_lists(&reader, wallet);
    if (status != CL_OK) {
        cl_wallet_free(wallet);
        return status;
    }
    cl_words_seed(wallet->seed64, wallet->entropy32);
    *out = wallet;
    return CL_OK;
}

#define OFFER_MAGIC "consent-offer"

enum cl_status cl_offer_encode(struct cl_buffer *out, const struct cl_offer *offer)
{
    struct cl_cbor_writer writer;
    if (!cl_reception_usable(&offer->reception))
        return CL_E_ARGUMENT;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 8, OFFER_MAGIC);
    cl_cbor_put_bytes(&writer, offer->network.bytes, 32);
    cl_cbor_put_bytes(&writer, offer->object.bytes, 32);
    cl_cbor_put_uint(&writer, (uint64_t)offer->kind);
    if (offer->has_audience_salt)
        cl_cbor_put_bytes(&writer, offer->audience_salt, 32);
    else
        cl_cbor_put_null(&writer);
    cl_cbor_put_bytes(&writer, offer->body_file.data, offer->body_file.length);
    cl_reception_put(&writer, &offer->reception);
    return writer.status;
}

enum cl_status cl_offer_decode(struct cl_offer *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    *out = (struct cl_offer){0};
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 8, OFFER_MAGIC);
    cl_cbor_bytes_copy(&reader, out->network.bytes, 32);
    cl_cbor_bytes_copy(&reader, out->object.bytes, 32);
    uint64_t kind = cl_cbor_uint(&reader);
    if (!cl_cbor_null(&reader)) {
        out->has_audience_salt = true;
        cl_cbor_bytes_copy(&reader, out->audience_salt, 32);
    }
    out->body_file = cl_cbor_bytes(&reader);
    cl_reception_get(&reader, &out->reception);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    if (kind < CL_ITEM_AGREEMENT || kind > CL_ITEM_PROFILE)
        return CL_E_FORMAT;
    out->kind = (enum cl_wallet_kind)kind;
    return CL_OK;
}

/* One part of a sealed delivery: signed inside, padded to a size class, sealed to the receiver (formats.cddl "sealed
   deliveries"). The signature is over bytes as they are read, not over what they would encode to. */
#include "consent/delivery.h"
#include "cbor.h"
#include "crypto.h"
#include "sealing.h"

#include <assert.h>
#include <stdlib.h>

#define DELIVERY_DOMAIN "consent/v1 delivery"
#define ITEMS 17u /* the signature is the last */

static const size_t classes[] = {1024, 4096, 16384, 65536, CL_DELIVERY_SEALED_MAX};
#define CLASS_COUNT (sizeof classes / sizeof classes[0])

/* Sealed length of a part of this length; 0 where it fits in none. */
static size_t class_of(size_t part_length)
{
    for (size_t i = 0; i < CLASS_COUNT; i++)
        if (part_length + CL_BOX_EXTRA <= classes[i])
            return classes[i];
    return 0;
}

static uint32_t parts_of(uint64_t length)
{
    return length == 0 ? 1u : (uint32_t)((length + CL_DELIVERY_PART_BYTES - 1) / CL_DELIVERY_PART_BYTES);
}

static size_t bytes_of(const struct cl_delivery *delivery, uint32_t number)
{
    return number + 1 < delivery->part_count ? CL_DELIVERY_PART_BYTES : (size_t)(delivery->length - (uint64_t)number * CL_DELIVERY_PART_BYTES);
}

const char *cl_delivery_kind_name(enum cl_delivery_kind kind)
{
    switch (kind) {
    case CL_DELIVERY_DATA: return "data";
    case CL_DELIVERY_CHANGE: return "change";
    case CL_DELIVERY_NOTICE: return "notice";
    case CL_DELIVERY_ACKNOWLEDGEMENT: return "acknowledgement";
    }
    return "unknown";
}

static bool media_type_usable(const char *text, bool none)
{
    size_t length = strnlen(text, CL_MEDIA_TYPE_BYTES_MAX + 1);
    if (none || length == 0 || length > CL_MEDIA_TYPE_BYTES_MAX)
        return none && length == 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return strchr(text, '/') != NULL;
}

/* What the format says of the fields together, the same when writing and when reading. */
static bool fields_agree(const struct cl_delivery *delivery)
{
    static const uint8_t zeros[16];
    bool acknowledges = delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT, notice = delivery->kind == CL_DELIVERY_NOTICE;
    if (delivery->from != CL_SIDE_CUSTOMER && delivery->from != CL_SIDE_ORGANISATION)
        return false;
    if (delivery->kind < CL_DELIVERY_DATA || delivery->kind > CL_DELIVERY_ACKNOWLEDGEMENT)
        return false;
    if (delivery->has_slot ? notice || delivery->slot > 63 : !notice && !acknowledges)
        return false;
    if (!media_type_usable(delivery->media_type, acknowledges))
        return false;
    if (acknowledges ? delivery->length != 0 : memcmp(delivery->acknowledges16, zeros, 16) != 0)
        return false;
    return delivery->sent_ms <= CL_SECONDS_MAX * 1000u && delivery->length <= CL_DELIVERY_BYTES_MAX && delivery->part_count == parts_of(delivery->length);
}

enum cl_status cl_delivery_measure(struct cl_delivery *delivery, const void *content, size_t length)
{
    if (length > CL_DELIVERY_BYTES_MAX)
        return CL_E_BOUND;
    delivery->length = length;
    delivery->part_count = parts_of(length);
    cl_sha256_once(delivery->content32, content, length);
    return CL_OK;
}

/* The items that are signed; the head of the array is the caller's. */
static void put_items(struct cl_cbor_writer *writer, const struct cl_delivery *delivery, uint32_t number, const uint8_t *bytes, size_t length, const uint8_t signer33[33])
{
    cl_cbor_put_uint(writer, 1);
    cl_cbor_put_bytes(writer, delivery->network.bytes, 32);
    cl_cbor_put_bytes(writer, delivery->agreement.bytes, 32);
    cl_cbor_put_uint(writer, (uint64_t)delivery->from);
    if (delivery->has_slot)
        cl_cbor_put_uint(writer, delivery->slot);
    else
        cl_cbor_put_null(writer);
    cl_cbor_put_bytes(writer, delivery->id16, 16);
    cl_cbor_put_uint(writer, delivery->sent_ms);
    cl_cbor_put_uint(writer, (uint64_t)delivery->kind);
    cl_cbor_put_text(writer, delivery->media_type, strlen(delivery->media_type));
    if (delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT)
        cl_cbor_put_bytes(writer, delivery->acknowledges16, 16);
    else
        cl_cbor_put_null(writer);
    cl_cbor_put_uint(writer, number);
    cl_cbor_put_uint(writer, delivery->part_count);
    cl_cbor_put_uint(writer, delivery->length);
    cl_cbor_put_bytes(writer, delivery->content32, 32);
    cl_cbor_put_bytes(writer, bytes, length);
    cl_cbor_put_bytes(writer, signer33, 33);
}

enum cl_status cl_delivery_seal(struct cl_buffer *out, const struct cl_delivery *delivery, uint32_t number, const uint8_t *content, size_t length, const struct cl_signer *signer, const uint8_t recipient32[32])
{
    struct cl_buffer part = {.secret = true};
    struct cl_cbor_writer writer;
    uint8_t digest[32];
    uint8_t *sealed = NULL;
    if (!fields_agree(delivery) || length != delivery->length || number >= delivery->part_count)
        return CL_E_VALUE;
    cl_cbor_writer_init(&writer, &part);
    cl_cbor_put_array(&writer, ITEMS);
    size_t start = part.length;
    put_items(&writer, delivery, number, length == 0 ? content : content + (size_t)number * CL_DELIVERY_PART_BYTES, bytes_of(delivery, number), signer->key.bytes);
    enum cl_status status = writer.status;
    if (status != CL_OK)
        goto out;
    cl_items_digest(digest, DELIVERY_DOMAIN, ITEMS, part.data + start, part.length - start);
    status = cl_sign_put(&writer, signer, digest);
    if (status != CL_OK)
        goto out;
    size_t class = class_of(part.length);
    assert(status != CL_OK || class != 0);
    static const uint8_t zeros[1024];
    while (status == CL_OK && part.length + CL_BOX_EXTRA < class) {
        size_t wanted = class - CL_BOX_EXTRA - part.length;
        status = cl_buffer_append(&part, zeros, wanted < sizeof zeros ? wanted : sizeof zeros);
    }
    if (status == CL_OK && (sealed = malloc(class)) == NULL)
        status = CL_E_MEMORY;
    if (status == CL_OK)
        status = cl_box_seal(sealed, part.data, part.length, recipient32);
    if (status == CL_OK)
        status = cl_buffer_append(out, sealed, class);
out:
    free(sealed);
    cl_buffer_deinit(&part);
    return status;
}

/* ---- the receiver */

static void get_media_type(struct cl_cbor_reader *reader, char out[CL_MEDIA_TYPE_BYTES_MAX + 1])
{
    struct cl_view text = cl_cbor_text(reader);
    if (text.length > CL_MEDIA_TYPE_BYTES_MAX || (text.length > 0 && memchr(text.data, '\0', text.length) != NULL)) {
        cl_cbor_fail(reader, CL_E_VALUE);
        return;
    }
    if (text.length > 0)
        memcpy(out, text.data, text.length);
    out[text.length] = '\0';
}

static void get_items(struct cl_cbor_reader *reader, struct cl_delivery_part *out)
{
    struct cl_delivery *delivery = &out->delivery;
    if (cl_cbor_uint(reader) != 1)
        cl_cbor_fail(reader, CL_E_VERSION);
    cl_cbor_bytes_copy(reader, delivery->network.bytes, 32);
    cl_cbor_bytes_copy(reader, delivery->agreement.bytes, 32);
    delivery->from = (enum cl_side)cl_cbor_uint_at_most(reader, 2);
    delivery->has_slot = !cl_cbor_null(reader);
    if (delivery->has_slot)
        delivery->slot = (uint8_t)cl_cbor_uint_at_most(reader, 63);
    cl_cbor_bytes_copy(reader, delivery->id16, 16);
    delivery->sent_ms = cl_cbor_uint(reader);
    delivery->kind = (enum cl_delivery_kind)cl_cbor_uint_at_most(reader, 4);
    get_media_type(reader, delivery->media_type);
    bool acknowledges = !cl_cbor_null(reader);
    if (acknowledges)
        cl_cbor_bytes_copy(reader, delivery->acknowledges16, 16);
    out->number = (uint32_t)cl_cbor_uint_at_most(reader, CL_DELIVERY_PARTS_MAX - 1);
    delivery->part_count = (uint32_t)cl_cbor_uint_at_most(reader, CL_DELIVERY_PARTS_MAX);
    delivery->length = cl_cbor_uint_at_most(reader, CL_DELIVERY_BYTES_MAX);
    cl_cbor_bytes_copy(reader, delivery->content32, 32);
    out->bytes = cl_cbor_bytes(reader);
    cl_cbor_bytes_copy(reader, out->signer.bytes, 33);
    if (reader->status == CL_OK && acknowledges != (delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT))
        cl_cbor_fail(reader, CL_E_FORMAT);
    if (reader->status == CL_OK && (!fields_agree(delivery) || out->number >= delivery->part_count || out->bytes.length != bytes_of(delivery, out->number)))
        cl_cbor_fail(reader, CL_E_FORMAT);
}

enum cl_status cl_delivery_read(struct cl_delivery_part *out, const uint8_t *padded, size_t length)
{
    struct cl_delivery_part part = {0};
    struct cl_cbor_reader reader;
    uint8_t digest[32];
    cl_cbor_reader_init(&reader, padded, length);
    cl_cbor_array_fixed(&reader, ITEMS);
    const uint8_t *items = reader.at;
    get_items(&reader, &part);
    const uint8_t *items_end = reader.at;
    const uint8_t *signature = cl_cbor_bytes_fixed(&reader, 64);
    if (reader.status != CL_OK)
        return reader.status;
    if (class_of((size_t)(reader.at - padded)) != length + CL_BOX_EXTRA)
        return CL_E_FORMAT;
    for (const uint8_t *at = reader.at; at < reader.end; at++)
        if (*at != 0)
            return CL_E_FORMAT;
    cl_items_digest(digest, DELIVERY_DOMAIN, ITEMS, items, (size_t)(items_end - items));
    enum cl_status status = cl_ecdsa_verify(part.signer.bytes, digest, signature);
    if (status == CL_OK)
        *out = part;
    return status;
}

enum cl_status cl_delivery_open(struct cl_buffer *opened, struct cl_delivery_part *out, const uint8_t *sealed, size_t length, const uint8_t delivery_secret32[32])
{
    enum cl_status status = cl_box_open_class(opened, classes, CLASS_COUNT, sealed, length, delivery_secret32);
    return status == CL_OK ? cl_delivery_read(out, opened->data, opened->length) : status;
}

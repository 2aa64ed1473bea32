/* Exchange files as bytes (formats.cddl "exchange-file"). Nothing here touches a file. */
#include "exchange_format.h"

#include <assert.h>
#include <stdlib.h>

#include "cbor.h"
#include "crypto.h"
#include "sealing.h"

static const struct cl_sealed_form form = {"consent-exchange", "consent/v1 exchange file", CL_EXCHANGE_BYTES_MAX};

static_assert(CL_CONTACT_BYTES_MAX + CL_EXCHANGE_LINKS_MAX * (CL_NAME_BYTES_MAX + 16u) + CL_OPENED_BYTES_MAX + CL_EXCHANGE_LOG_MAX * (CL_MEDIA_TYPE_BYTES_MAX + 64u) + CL_SEALED_STEP + 128u <= CL_EXCHANGE_BYTES_MAX,
              "the fullest one fits");

void cl_exchange_name(uint8_t id16[16], const uint8_t secret32[32], const struct cl_object_id *agreement)
{
    uint8_t both[64], hash[32];
    memcpy(both, secret32, 32);
    memcpy(both + 32, agreement->bytes, 32);
    cl_sha256_of_secret(hash, "consent/v1 exchange name", both, sizeof both);
    memcpy(id16, hash, 16);
    cl_wipe(both, sizeof both);
}

static void put_delivery(struct cl_cbor_writer *writer, const struct cl_exchange_delivery *delivery)
{
    cl_cbor_put_array(writer, 9);
    cl_cbor_put_uint(writer, delivery->received ? 2 : 1);
    cl_cbor_put_bytes(writer, delivery->id16, 16);
    cl_cbor_put_uint(writer, (uint64_t)delivery->kind);
    if (delivery->has_slot)
        cl_cbor_put_uint(writer, delivery->slot);
    else
        cl_cbor_put_null(writer);
    cl_cbor_put_uint(writer, delivery->sent_ms);
    cl_cbor_put_uint(writer, delivery->seen_ms);
    cl_cbor_put_uint(writer, delivery->acknowledged_ms);
    cl_cbor_put_uint(writer, delivery->length);
    cl_cbor_put_text(writer, delivery->media_type, strlen(delivery->media_type));
}

enum cl_status cl_exchange_content_encode(struct cl_buffer *out, const struct cl_exchange *exchange)
{
    struct cl_buffer opened = {.secret = true};
    struct cl_cbor_writer writer;
    enum cl_status status = cl_opened_encode(&opened, &exchange->opened);
    if (status == CL_OK && (exchange->contact.length > CL_CONTACT_BYTES_MAX || exchange->link_count > CL_EXCHANGE_LINKS_MAX || exchange->delivery_count > CL_EXCHANGE_LOG_MAX))
        status = CL_E_BOUND;
    if (status == CL_OK) {
        cl_cbor_writer_init(&writer, out);
        cl_cbor_put_array(&writer, 6);
        cl_cbor_put_bytes(&writer, exchange->contact.data, exchange->contact.length);
        cl_cbor_put_uint(&writer, exchange->contact_sent_ms);
        cl_cbor_put_array(&writer, exchange->link_count);
        for (size_t i = 0; i < exchange->link_count; i++) {
            cl_cbor_put_array(&writer, 3);
            cl_cbor_put_uint(&writer, exchange->links[i].slot);
            cl_cbor_put_text(&writer, exchange->links[i].item, strlen(exchange->links[i].item));
            cl_cbor_put_uint(&writer, exchange->links[i].told_ms);
        }
        cl_cbor_put_bytes(&writer, opened.data, opened.length);
        cl_cbor_put_uint(&writer, exchange->dropped);
        cl_cbor_put_array(&writer, exchange->delivery_count);
        for (size_t i = 0; i < exchange->delivery_count; i++)
            put_delivery(&writer, &exchange->deliveries[i]);
        status = writer.status;
    }
    cl_buffer_wipe(&opened);
    return status;
}

/* Returns: whether there was one that fits; it may be empty. */
static void get_text(struct cl_cbor_reader *reader, char *out, size_t size)
{
    struct cl_view text = cl_cbor_text(reader);
    if (reader->status == CL_OK && (text.length >= size || memchr(text.data, 0, text.length) != NULL))
        cl_cbor_fail(reader, CL_E_BOUND);
    if (reader->status != CL_OK)
        return;
    memcpy(out, text.data, text.length);
    out[text.length] = '\0';
}

static void get_links(struct cl_cbor_reader *reader, struct cl_exchange *out)
{
    size_t count = cl_cbor_array_at_most(reader, CL_EXCHANGE_LINKS_MAX);
    for (size_t i = 0; i < count && reader->status == CL_OK; i++) {
        struct cl_exchange_link *link = &out->links[i];
        cl_cbor_array_fixed(reader, 3);
        link->slot = (uint8_t)cl_cbor_uint_at_most(reader, 63);
        get_text(reader, link->item, sizeof link->item);
        link->told_ms = cl_cbor_uint(reader);
        if (reader->status == CL_OK && (!cl_wallet_name_usable(link->item) || (i > 0 && link->slot <= out->links[i - 1].slot)))
            cl_cbor_fail(reader, CL_E_FORMAT);
        out->link_count = i + 1;
    }
}

static void get_delivery(struct cl_cbor_reader *reader, struct cl_exchange_delivery *out)
{
    cl_cbor_array_fixed(reader, 9);
    uint64_t way = cl_cbor_uint_at_most(reader, 2);
    cl_cbor_bytes_copy(reader, out->id16, 16);
    uint64_t kind = cl_cbor_uint_at_most(reader, CL_DELIVERY_NOTICE);
    out->has_slot = !cl_cbor_null(reader);
    out->slot = out->has_slot ? (uint8_t)cl_cbor_uint_at_most(reader, 63) : 0;
    out->sent_ms = cl_cbor_uint(reader);
    out->seen_ms = cl_cbor_uint(reader);
    out->acknowledged_ms = cl_cbor_uint(reader);
    out->length = cl_cbor_uint_at_most(reader, CL_DELIVERY_BYTES_MAX);
    get_text(reader, out->media_type, sizeof out->media_type);
    if (reader->status == CL_OK && (way == 0 || kind == 0))
        cl_cbor_fail(reader, CL_E_FORMAT);
    out->received = way == 2;
    out->kind = (enum cl_delivery_kind)kind;
}

enum cl_status cl_exchange_content_decode(struct cl_exchange *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    *out = (struct cl_exchange){.contact = {.secret = true}};
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_array_fixed(&reader, 6);
    struct cl_view contact = cl_cbor_bytes(&reader);
    out->contact_sent_ms = cl_cbor_uint(&reader);
    get_links(&reader, out);
    struct cl_view opened = cl_cbor_bytes(&reader);
    out->dropped = cl_cbor_uint(&reader);
    size_t count = cl_cbor_array_at_most(&reader, CL_EXCHANGE_LOG_MAX);
    enum cl_status status = reader.status;
    if (status == CL_OK && contact.length > CL_CONTACT_BYTES_MAX)
        status = CL_E_BOUND;
    if (status == CL_OK)
        status = cl_opened_decode(&out->opened, opened.data, opened.length);
    if (status == CL_OK && contact.length > 0)
        status = cl_buffer_append(&out->contact, contact.data, contact.length);
    if (status == CL_OK && count > 0 && (out->deliveries = calloc(count, sizeof *out->deliveries)) == NULL)
        status = CL_E_MEMORY;
    for (; status == CL_OK && out->delivery_count < count && reader.status == CL_OK; out->delivery_count++)
        get_delivery(&reader, &out->deliveries[out->delivery_count]);
    if (status == CL_OK)
        status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        cl_exchange_deinit(out);
    return status;
}

enum cl_status cl_exchange_file_encode(struct cl_buffer *out, const struct cl_exchange *exchange, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24])
{
    struct cl_buffer content = {.secret = true};
    enum cl_status status = cl_exchange_content_encode(&content, exchange);
    if (status == CL_OK)
        status = cl_sealed_file_encode(out, &form, &content, id16, secret32, nonce24);
    cl_buffer_wipe(&content);
    return status;
}

enum cl_status cl_exchange_file_decode(struct cl_exchange *out, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32])
{
    struct cl_buffer content = {.secret = true};
    enum cl_status status = cl_sealed_file_decode(&content, &form, data, length, id16, secret32);
    if (status == CL_OK)
        status = cl_exchange_content_decode(out, content.data, content.length);
    cl_buffer_wipe(&content);
    return status;
}

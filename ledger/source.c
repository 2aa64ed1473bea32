/* The four signed documents of data that stays at the source (formats.cddl): releases, pointers, requests, answers. The
   signature is over bytes as they are read, not over what they would encode to. */
#include "consent/source.h"

#include "cbor.h"
#include "crypto.h"
#include "sealing.h"
#include "utf8.h"

#include <assert.h>
#include <stdlib.h>

/* One form of document: what its bytes begin with, how many items it has (the signature is the last), what is hashed first. */
struct form { const char *magic; size_t items, bytes_max; const char *domain; };
static const struct form release_form = {"consent-release", 13, CL_SOURCE_POINTER_BYTES_MAX, "consent/v1 source release"};
static const struct form pointer_form = {"consent-source", 13, CL_SOURCE_POINTER_BYTES_MAX, "consent/v1 source pointer"};
static const struct form request_form = {"consent-source-request", 14, CL_SOURCE_REQUEST_BYTES_MAX, "consent/v1 source request"};
static const struct form answer_form = {"consent-source-answer", 10, CL_SOURCE_SEALED_MAX, "consent/v1 source answer"};

static const size_t classes[] = {1024, 4096, 16384, 65536, 262144, 1048576, 4194304, CL_SOURCE_SEALED_MAX};
#define CLASS_COUNT (sizeof classes / sizeof classes[0])

/* Signs what stands in the writer's buffer from `before` on, and appends signer and signature; on failure the buffer is as it was. */
static enum cl_status finish(struct cl_cbor_writer *writer, const struct form *form, size_t before, const struct cl_signer *signer)
{
    struct cl_buffer *out = writer->buffer;
    uint8_t digest[32];
    cl_cbor_put_bytes(writer, signer->key.bytes, 33);
    enum cl_status status = writer->status;
    if (status == CL_OK) {
        cl_items_digest(digest, form->domain, form->items, out->data + before + 1, out->length - before - 1); /* the head of so short an array is one byte */
        status = cl_sign_put(writer, signer, digest);
    }
    if (status == CL_OK && out->length - before > form->bytes_max)
        status = CL_E_BOUND;
    if (status != CL_OK)
        out->length = before;
    return status;
}

static void begin(struct cl_cbor_writer *writer, struct cl_buffer *out, const struct form *form, const struct cl_network_id *network)
{
    cl_cbor_writer_init(writer, out);
    cl_cbor_put_file_head(writer, form->items, form->magic);
    cl_cbor_put_bytes(writer, network->bytes, 32);
}

static void read_begin(struct cl_cbor_reader *reader, const struct form *form, struct cl_network_id *network, const uint8_t *data, size_t length)
{
    cl_cbor_reader_init(reader, data, length);
    cl_cbor_file_head(reader, form->items, form->magic);
    cl_cbor_bytes_copy(reader, network->bytes, 32);
}

/* The signer and the signature, which has to hold; then the reader stands behind the document. */
static enum cl_status read_finish(struct cl_cbor_reader *reader, const struct form *form, struct cl_public_key *signer, const uint8_t *data)
{
    uint8_t digest[32];
    cl_cbor_bytes_copy(reader, signer->bytes, 33);
    const uint8_t *signed_end = reader->at;
    const uint8_t *signature = cl_cbor_bytes_fixed(reader, 64);
    if (reader->status != CL_OK)
        return reader->status;
    cl_items_digest(digest, form->domain, form->items, data + 1, (size_t)(signed_end - data - 1));
    return cl_ecdsa_verify(signer->bytes, digest, signature);
}

static enum cl_status read_whole(struct cl_cbor_reader *reader, const struct form *form, struct cl_public_key *signer, const uint8_t *data)
{
    enum cl_status status = read_finish(reader, form, signer, data);
    return status == CL_OK ? cl_cbor_finish(reader) : status;
}

/* ---- releases */

static bool release_usable(const struct cl_source_release *release)
{
    return release->slot <= 63 && release->reader_slot <= 63 && release->until_s <= CL_SECONDS_MAX && release->made_ms <= CL_SECONDS_MAX * 1000u;
}

enum cl_status cl_source_release_sign(struct cl_buffer *out, const struct cl_source_release *release, const struct cl_signer *signer)
{
    struct cl_cbor_writer writer;
    size_t before = out->length;
    if (!release_usable(release))
        return CL_E_VALUE;
    begin(&writer, out, &release_form, &release->network);
    cl_cbor_put_bytes(&writer, release->agreement.bytes, 32);
    cl_cbor_put_uint(&writer, release->slot);
    cl_cbor_put_bytes(&writer, release->reference16, 16);
    cl_cbor_put_bytes(&writer, release->reader.bytes, 32);
    cl_cbor_put_uint(&writer, release->reader_slot);
    cl_cbor_put_uint(&writer, release->until_s);
    cl_cbor_put_uint(&writer, release->uses);
    cl_cbor_put_uint(&writer, release->made_ms);
    return finish(&writer, &release_form, before, signer);
}

enum cl_status cl_source_release_decode(struct cl_source_release *out, const uint8_t *data, size_t length)
{
    struct cl_source_release release = {0};
    struct cl_cbor_reader reader;
    if (length > release_form.bytes_max)
        return CL_E_BOUND;
    read_begin(&reader, &release_form, &release.network, data, length);
    cl_cbor_bytes_copy(&reader, release.agreement.bytes, 32);
    release.slot = (uint8_t)cl_cbor_uint_at_most(&reader, 63);
    cl_cbor_bytes_copy(&reader, release.reference16, 16);
    cl_cbor_bytes_copy(&reader, release.reader.bytes, 32);
    release.reader_slot = (uint8_t)cl_cbor_uint_at_most(&reader, 63);
    release.until_s = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX);
    release.uses = (uint8_t)cl_cbor_uint_at_most(&reader, CL_SOURCE_USES_MAX);
    release.made_ms = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX * 1000u);
    enum cl_status status = read_whole(&reader, &release_form, &release.signer, data);
    if (status == CL_OK)
        *out = release;
    return status;
}

/* ---- pointers */

static bool pointer_usable(const struct cl_source_pointer *pointer)
{
    if (pointer->slot > 63 || pointer->uses == 0 || pointer->until_s > CL_SECONDS_MAX || pointer->made_ms > CL_SECONDS_MAX * 1000u || pointer->where.length > CL_SOURCE_WHERE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < pointer->where.length; i++) /* it is shown on terminals */
        if (pointer->where.data[i] < ' ' || pointer->where.data[i] == 0x7f || (pointer->where.data[i] == 0xc2 && i + 1 < pointer->where.length && pointer->where.data[i + 1] < 0xa0))
            return false;
    return true;
}

enum cl_status cl_source_pointer_sign(struct cl_buffer *out, const struct cl_source_pointer *pointer, const struct cl_signer *signer)
{
    struct cl_cbor_writer writer;
    size_t before = out->length;
    if (!pointer_usable(pointer) || !cl_utf8_valid(pointer->where.data, pointer->where.length))
        return CL_E_VALUE;
    begin(&writer, out, &pointer_form, &pointer->network);
    cl_cbor_put_bytes(&writer, pointer->agreement.bytes, 32);
    cl_cbor_put_uint(&writer, pointer->slot);
    cl_cbor_put_bytes(&writer, pointer->reference16, 16);
    cl_cbor_put_bytes(&writer, pointer->holder.bytes, 32);
    cl_cbor_put_text(&writer, (const char *)pointer->where.data, pointer->where.length);
    cl_cbor_put_uint(&writer, pointer->until_s);
    cl_cbor_put_uint(&writer, pointer->uses);
    cl_cbor_put_uint(&writer, pointer->made_ms);
    return finish(&writer, &pointer_form, before, signer);
}

enum cl_status cl_source_pointer_decode(struct cl_source_pointer *out, const uint8_t *data, size_t length)
{
    struct cl_source_pointer pointer = {0};
    struct cl_cbor_reader reader;
    if (length > pointer_form.bytes_max)
        return CL_E_BOUND;
    read_begin(&reader, &pointer_form, &pointer.network, data, length);
    cl_cbor_bytes_copy(&reader, pointer.agreement.bytes, 32);
    pointer.slot = (uint8_t)cl_cbor_uint_at_most(&reader, 63);
    cl_cbor_bytes_copy(&reader, pointer.reference16, 16);
    cl_cbor_bytes_copy(&reader, pointer.holder.bytes, 32);
    pointer.where = cl_cbor_text(&reader);
    pointer.until_s = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX);
    pointer.uses = (uint8_t)cl_cbor_uint_at_most(&reader, CL_SOURCE_USES_MAX);
    pointer.made_ms = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX * 1000u);
    enum cl_status status = read_whole(&reader, &pointer_form, &pointer.signer, data);
    if (status == CL_OK && !pointer_usable(&pointer))
        status = CL_E_VALUE;
    if (status == CL_OK)
        *out = pointer;
    return status;
}

/* ---- requests */

enum cl_status cl_source_request_sign(struct cl_buffer *out, const struct cl_source_request *request, const struct cl_signer *signer)
{
    struct cl_cbor_writer writer;
    size_t before = out->length;
    if (request->slot > 63 || request->made_ms > CL_SECONDS_MAX * 1000u || request->proof.length == 0)
        return CL_E_VALUE;
    if (request->proof.length > CL_SOURCE_REQUEST_BYTES_MAX || request->party_proof.length > CL_SOURCE_REQUEST_BYTES_MAX)
        return CL_E_BOUND;
    begin(&writer, out, &request_form, &request->network);
    cl_cbor_put_bytes(&writer, request->agreement.bytes, 32);
    cl_cbor_put_uint(&writer, request->slot);
    cl_cbor_put_bytes(&writer, request->reference16, 16);
    cl_cbor_put_bytes(&writer, request->holder.bytes, 32);
    cl_cbor_put_uint(&writer, request->made_ms);
    cl_cbor_put_bytes(&writer, request->nonce16, 16);
    cl_cbor_put_bytes(&writer, request->delivery32, 32);
    cl_cbor_put_bytes(&writer, request->proof.data, request->proof.length);
    if (request->party_proof.length > 0)
        cl_cbor_put_bytes(&writer, request->party_proof.data, request->party_proof.length);
    else
        cl_cbor_put_null(&writer);
    return finish(&writer, &request_form, before, signer);
}

enum cl_status cl_source_request_decode(struct cl_source_request *out, const uint8_t *data, size_t length)
{
    struct cl_source_request request = {0};
    struct cl_cbor_reader reader;
    if (length > request_form.bytes_max)
        return CL_E_BOUND;
    read_begin(&reader, &request_form, &request.network, data, length);
    cl_cbor_bytes_copy(&reader, request.agreement.bytes, 32);
    request.slot = (uint8_t)cl_cbor_uint_at_most(&reader, 63);
    cl_cbor_bytes_copy(&reader, request.reference16, 16);
    cl_cbor_bytes_copy(&reader, request.holder.bytes, 32);
    request.made_ms = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX * 1000u);
    cl_cbor_bytes_copy(&reader, request.nonce16, 16);
    cl_cbor_bytes_copy(&reader, request.delivery32, 32);
    request.proof = cl_cbor_bytes(&reader);
    bool party = !cl_cbor_null(&reader);
    if (party)
        request.party_proof = cl_cbor_bytes(&reader);
    enum cl_status status = read_whole(&reader, &request_form, &request.signer, data);
    if (status == CL_OK && (request.proof.length == 0 || (party && request.party_proof.length == 0)))
        status = CL_E_VALUE;
    if (status == CL_OK)
        *out = request;
    return status;
}

/* ---- answers */

static size_t class_of(size_t length)
{
    for (size_t i = 0; i < CLASS_COUNT; i++)
        if (length + CL_BOX_EXTRA <= classes[i])
            return classes[i];
    return 0;
}

enum cl_status cl_source_key_new(uint8_t delivery32[32], uint8_t secret32[32])
{
    enum cl_status status = cl_random(secret32, 32);
    if (status == CL_OK)
        cl_x25519_public(delivery32, secret32);
    return status;
}

static enum cl_status answer_sign(struct cl_buffer *out, const struct cl_source_answer *answer, const struct cl_signer *signer)
{
    struct cl_cbor_writer writer;
    begin(&writer, out, &answer_form, &answer->network);
    cl_cbor_put_bytes(&writer, answer->request.bytes, 32);
    cl_cbor_put_bytes(&writer, answer->holder.bytes, 32);
    cl_cbor_put_uint(&writer, answer->made_ms);
    cl_cbor_put_text(&writer, answer->media_type, strlen(answer->media_type));
    cl_cbor_put_bytes(&writer, answer->content.data, answer->content.length);
    return finish(&writer, &answer_form, 0, signer);
}

enum cl_status cl_source_answer_seal(struct cl_buffer *out, const struct cl_source_answer *answer, const struct cl_signer *signer, const uint8_t delivery32[32])
{
    static const uint8_t zeros[4096];
    struct cl_buffer clear = {.secret = true};
    uint8_t *sealed = NULL;
    if (answer->made_ms > CL_SECONDS_MAX * 1000u || !cl_media_type_usable(answer->media_type))
        return CL_E_VALUE;
    if (answer->content.length > CL_SOURCE_CONTENT_BYTES_MAX)
        return CL_E_BOUND;
    enum cl_status status = answer_sign(&clear, answer, signer);
    size_t class = class_of(clear.length);
    assert(class != 0);
    while (status == CL_OK && clear.length + CL_BOX_EXTRA < class) {
        size_t wanted = class - CL_BOX_EXTRA - clear.length;
        status = cl_buffer_append(&clear, zeros, wanted < sizeof zeros ? wanted : sizeof zeros);
    }
    if (status == CL_OK && (sealed = malloc(class)) == NULL)
        status = CL_E_MEMORY;
    if (status == CL_OK)
        status = cl_box_seal(sealed, clear.data, clear.length, delivery32);
    if (status == CL_OK)
        status = cl_buffer_append(out, sealed, class);
    free(sealed);
    cl_buffer_wipe(&clear);
    return status;
}

enum cl_status cl_source_answer_read(struct cl_source_answer *out, const uint8_t *padded, size_t length)
{
    struct cl_source_answer answer = {0};
    struct cl_cbor_reader reader;
    read_begin(&reader, &answer_form, &answer.network, padded, length);
    cl_cbor_bytes_copy(&reader, answer.request.bytes, 32);
    cl_cbor_bytes_copy(&reader, answer.holder.bytes, 32);
    answer.made_ms = cl_cbor_uint_at_most(&reader, CL_SECONDS_MAX * 1000u);
    struct cl_view type = cl_cbor_text(&reader);
    answer.content = cl_cbor_bytes(&reader);
    enum cl_status status = read_finish(&reader, &answer_form, &answer.signer, padded);
    if (status != CL_OK)
        return status;
    if (type.length > CL_MEDIA_TYPE_BYTES_MAX || answer.content.length > CL_SOURCE_CONTENT_BYTES_MAX)
        return CL_E_BOUND;
    if (type.length > 0)
        memcpy(answer.media_type, type.data, type.length);
    if (strlen(answer.media_type) != type.length || !cl_media_type_usable(answer.media_type))
        return CL_E_VALUE;
    if (class_of((size_t)(reader.at - padded)) != length + CL_BOX_EXTRA)
        return CL_E_FORMAT;
    for (const uint8_t *at = reader.at; at < reader.end; at++)
        if (*at != 0)
            return CL_E_FORMAT;
    *out = answer;
    return CL_OK;
}

enum cl_status cl_source_answer_open(struct cl_buffer *opened, struct cl_source_answer *out, const uint8_t *sealed, size_t length, const uint8_t secret32[32])
{
    enum cl_status status = cl_box_open_class(opened, classes, CLASS_COUNT, sealed, length, secret32);
    return status == CL_OK ? cl_source_answer_read(out, opened->data, opened->length) : status;
}

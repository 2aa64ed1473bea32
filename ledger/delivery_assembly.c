/* The receiver's memory: the parts of one delivery until all are there, and the deliveries of an agreement that were
   opened, so that none is taken twice. */
#include "cbor.h"
#include "consent/delivery.h"
#include "crypto.h"

#include <stdlib.h>

#define OPENED_MAGIC "consent-opened"

struct cl_delivery_assembly {
    bool begun, there[CL_DELIVERY_PARTS_MAX];
    struct cl_delivery delivery;
    uint32_t missing;
    uint8_t *content;
};

enum cl_status cl_delivery_assembly_new(struct cl_delivery_assembly **out)
{
    struct cl_delivery_assembly *assembly = calloc(1, sizeof *assembly);
    if (assembly == NULL)
        return CL_E_MEMORY;
    assembly->missing = 1;
    *out = assembly;
    return CL_OK;
}

void cl_delivery_assembly_free(struct cl_delivery_assembly *assembly)
{
    if (assembly == NULL)
        return;
    if (assembly->content != NULL)
        cl_wipe(assembly->content, (size_t)assembly->delivery.length);
    free(assembly->content);
    free(assembly);
}

static bool same_delivery(const struct cl_delivery *a, const struct cl_delivery *b)
{
    return memcmp(a->network.bytes, b->network.bytes, 32) == 0 && memcmp(a->agreement.bytes, b->agreement.bytes, 32) == 0 &&
           a->from == b->from && a->has_slot == b->has_slot && a->slot == b->slot && memcmp(a->id16, b->id16, 16) == 0 &&
           a->sent_ms == b->sent_ms && a->kind == b->kind && strcmp(a->media_type, b->media_type) == 0 &&
           memcmp(a->acknowledges16, b->acknowledges16, 16) == 0 && a->length == b->length &&
           a->part_count == b->part_count && memcmp(a->content32, b->content32, 32) == 0;
}

/* The part's numbers were bound to each other when it was read: part_count follows from length, bytes from both. */
enum cl_status cl_delivery_assembly_add(struct cl_delivery_assembly *assembly, const struct cl_delivery_part *part)
{
    if (!assembly->begun) {
        assembly->content = malloc(part->delivery.length == 0 ? 1 : (size_t)part->delivery.length);
        if (assembly->content == NULL)
            return CL_E_MEMORY;
        assembly->delivery = part->delivery;
        assembly->missing = part->delivery.part_count;
        assembly->begun = true;
    }
    if (!same_delivery(&assembly->delivery, &part->delivery))
        return CL_E_DELIVERY_PARTS;
    uint8_t *place = assembly->content + (size_t)part->number * CL_DELIVERY_PART_BYTES;
    if (assembly->there[part->number])
        return part->bytes.length == 0 || memcmp(place, part->bytes.data, part->bytes.length) == 0 ? CL_OK : CL_E_DELIVERY_PARTS;
    if (part->bytes.length > 0)
        memcpy(place, part->bytes.data, part->bytes.length);
    assembly->there[part->number] = true;
    assembly->missing--;
    return CL_OK;
}

const struct cl_delivery *cl_delivery_assembly_of(const struct cl_delivery_assembly *assembly)
{
    return assembly->begun ? &assembly->delivery : NULL;
}

uint32_t cl_delivery_assembly_missing(const struct cl_delivery_assembly *assembly, uint32_t *first)
{
    uint32_t number = 0;
    while (number + 1 < CL_DELIVERY_PARTS_MAX && assembly->there[number])
        number++;
    if (first != NULL)
        *first = number;
    return assembly->missing;
}

enum cl_status cl_delivery_assembly_content(struct cl_view *out, const struct cl_delivery_assembly *assembly)
{
    uint8_t hash[32];
    if (assembly->missing > 0)
        return CL_E_PENDING;
    cl_sha256_once(hash, assembly->content, (size_t)assembly->delivery.length);
    if (memcmp(hash, assembly->delivery.content32, 32) != 0)
        return CL_E_DELIVERY_PARTS;
    *out = (struct cl_view){assembly->content, (size_t)assembly->delivery.length};
    return CL_OK;
}

/* ---- what was opened */

static int compare(const struct cl_opened_entry *a, uint64_t sent_ms, const uint8_t id16[16])
{
    return a->sent_ms != sent_ms ? (a->sent_ms < sent_ms ? -1 : 1) : memcmp(a->id16, id16, 16);
}

enum cl_status cl_opened_encode(struct cl_buffer *out, const struct cl_opened *opened)
{
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 4, OPENED_MAGIC);
    cl_cbor_put_uint(&writer, opened->floor_ms);
    cl_cbor_put_array(&writer, opened->count);
    for (size_t i = 0; i < opened->count; i++) {
        cl_cbor_put_array(&writer, 2);
        cl_cbor_put_uint(&writer, opened->entries[i].sent_ms);
        cl_cbor_put_bytes(&writer, opened->entries[i].id16, 16);
    }
    return writer.status;
}

enum cl_status cl_opened_decode(struct cl_opened *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    memset(out, 0, sizeof *out);
    if (length > CL_OPENED_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, OPENED_MAGIC);
    out->floor_ms = cl_cbor_uint(&reader);
    size_t count = cl_cbor_array_at_most(&reader, CL_OPENED_MAX);
    for (size_t i = 0; i < count && reader.status == CL_OK; i++) {
        struct cl_opened_entry *entry = &out->entries[i];
        cl_cbor_array_fixed(&reader, 2);
        entry->sent_ms = cl_cbor_uint(&reader);
        cl_cbor_bytes_copy(&reader, entry->id16, 16);
        bool ascends = i == 0 || compare(&out->entries[i - 1], entry->sent_ms, entry->id16) < 0;
        if (reader.status == CL_OK && (!ascends || entry->sent_ms <= out->floor_ms))
            cl_cbor_fail(&reader, CL_E_FORMAT);
        out->count++;
    }
    return cl_cbor_finish(&reader);
}

enum cl_status cl_opened_check(const struct cl_opened *opened, const struct cl_delivery *delivery)
{
    if (delivery->sent_ms <= opened->floor_ms)
        return CL_E_DELIVERY_REPLAY;
    for (size_t i = 0; i < opened->count; i++) /* the id alone: its time is the sender's to choose */
        if (memcmp(opened->entries[i].id16, delivery->id16, 16) == 0)
            return CL_E_DELIVERY_REPLAY;
    return CL_OK;
}

void cl_opened_add(struct cl_opened *opened, const struct cl_delivery *delivery)
{
    if (cl_opened_check(opened, delivery) != CL_OK)
        return;
    if (opened->count == CL_OPENED_MAX) {
        size_t gone = 1; /* and all that were sent in the same millisecond: the floor is above them too */
        opened->floor_ms = opened->entries[0].sent_ms;
        while (gone < opened->count && opened->entries[gone].sent_ms == opened->floor_ms)
            gone++;
        opened->count -= gone;
        memmove(&opened->entries[0], &opened->entries[gone], opened->count * sizeof opened->entries[0]);
        if (delivery->sent_ms <= opened->floor_ms)
            return;
    }
    size_t at = opened->count;
    while (at > 0 && compare(&opened->entries[at - 1], delivery->sent_ms, delivery->id16) > 0)
        at--;
    memmove(&opened->entries[at + 1], &opened->entries[at], (opened->count - at) * sizeof opened->entries[0]);
    opened->entries[at].sent_ms = delivery->sent_ms;
    memcpy(opened->entries[at].id16, delivery->id16, 16);
    opened->count++;
}

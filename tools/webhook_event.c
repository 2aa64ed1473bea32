/* Events as the feed has them, whom they concern, and lists of them. What a node says is checked before it is used: an
   event names its log index twice, its objects and its signer, and nothing else of it is looked at. */
#include "webhooks.h"

#include <stdlib.h>

void webhook_delivery_free(struct webhook_delivery *delivery)
{
    if (delivery == NULL)
        return;
    cl_buffer_deinit(&delivery->body);
    free(delivery->objects);
    free(delivery);
}

/* A record's part: objects, signer, and the id made of index and record. */
static enum cl_status take_record(struct webhook_delivery *delivery, const json_t *data)
{
    const json_t *objects = json_object_get(data, "objects"), *object;
    const char *signer = json_string_value(json_object_get(data, "signer")), *record = json_string_value(json_object_get(data, "record_id"));
    struct cl_record_id id;
    size_t count = json_array_size(objects), position;
    if (count == 0 || count > CL_RECORD_ENTRIES_MAX || signer == NULL || record == NULL || !cl_hex_decode(delivery->signer, 33, signer) || !cl_hex_decode(id.bytes, 32, record))
        return CL_E_FORMAT;
    delivery->objects = calloc(count, sizeof *delivery->objects);
    if (delivery->objects == NULL)
        return CL_E_MEMORY;
    delivery->object_count = count;
    json_array_foreach(objects, position, object) {
        const char *text = json_string_value(object);
        if (text == NULL || !id_parse(&delivery->objects[position], text))
            return CL_E_FORMAT;
    }
    cl_hex_encode(delivery->subject, delivery->objects[0].bytes, 32);
    (void)snprintf(delivery->id, sizeof delivery->id, "evt_%llu_%.16s", (unsigned long long)delivery->index, record);
    return CL_OK;
}

enum cl_status webhook_event_parse(struct webhook_delivery **out, const char *line, size_t length)
{
    json_error_t error;
    struct webhook_delivery *delivery = calloc(1, sizeof *delivery);
    json_t *event = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    const json_t *data = json_object_get(event, "data"), *index = json_object_get(data, "log_index");
    const char *id = json_string_value(json_object_get(event, "id")), *type = json_string_value(json_object_get(event, "type"));
    uint64_t number = 0;
    enum cl_status status = CL_E_FORMAT;
    if (delivery == NULL)
        status = CL_E_MEMORY;
    else if (id != NULL && type != NULL && number_parse(&number, id, INT64_MAX - 1) && json_is_integer(index) && json_integer_value(index) == (json_int_t)number) {
        delivery->index = number;
        status = strcmp(type, "consent.block.v1") == 0 ? CL_OK : strcmp(type, "consent.record.v1") == 0 ? take_record(delivery, data) : CL_E_FORMAT;
    }
    json_decref(event);
    if (status == CL_OK)
        status = cl_buffer_append(&delivery->body, line, length);
    if (status != CL_OK) {
        webhook_delivery_free(delivery);
        return status;
    }
    *out = delivery;
    return CL_OK;
}

bool webhook_share_object(const struct webhook_delivery *a, const struct webhook_delivery *b)
{
    for (size_t i = 0; i < a->object_count; i++)
        for (size_t k = 0; k < b->object_count; k++)
            if (memcmp(a->objects[i].bytes, b->objects[k].bytes, 32) == 0)
                return true;
    return false;
}

bool webhook_follows(const struct cl_party *follow, size_t count, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (follow[i].length == length && memcmp(follow[i].bytes, bytes, length) == 0)
            return true;
    return false;
}

bool webhook_concerns(const struct cl_party *follow, size_t count, const struct cl_object_id *object, const uint8_t *value, size_t length)
{
    enum cl_state_kind kind;
    union { struct cl_agreement agreement; struct cl_terms terms; struct cl_profile profile; } as;
    if (webhook_follows(follow, count, object->bytes, 32))
        return true;
    if (value == NULL || cl_state_kind_of(&kind, value, length) != CL_OK)
        return false;
    if (kind == CL_STATE_AGREEMENT && cl_agreement_decode(&as.agreement, value, length) == CL_OK)
        return webhook_follows(follow, count, as.agreement.organisation.bytes, as.agreement.organisation.length) ||
               webhook_follows(follow, count, as.agreement.customer.bytes, as.agreement.customer.length) ||
               (as.agreement.terms.present && webhook_follows(follow, count, as.agreement.terms.bytes, 32));
    if (kind == CL_STATE_TERMS && cl_terms_decode(&as.terms, value, length) == CL_OK)
        return webhook_follows(follow, count, as.terms.owner, 33);
    if (kind == CL_STATE_PROFILE && cl_profile_decode(&as.profile, value, length) == CL_OK)
        return webhook_follows(follow, count, as.profile.key, 33);
    return false;
}

/* ---- lists */

/* The place of the first item with at least this index. */
static size_t place_of(const struct webhook_list *list, uint64_t index)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle]->index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct webhook_delivery *webhook_list_find(const struct webhook_list *list, uint64_t index)
{
    size_t place = place_of(list, index);
    return place < list->count && list->items[place]->index == index ? list->items[place] : NULL;
}

enum cl_status webhook_list_add(struct webhook_list *list, struct webhook_delivery *delivery)
{
    size_t place = place_of(list, delivery->index);
    if (place < list->count && list->items[place]->index == delivery->index)
        return CL_E_EXISTS;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct webhook_delivery **items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return CL_E_MEMORY;
        list->items = items;
        list->capacity = capacity;
    }
    memmove(list->items + place + 1, list->items + place, (list->count - place) * sizeof *list->items);
    list->items[place] = delivery;
    list->count++;
    list->bytes += delivery->body.length;
    return CL_OK;
}

struct webhook_delivery *webhook_list_remove(struct webhook_list *list, uint64_t index)
{
    size_t place = place_of(list, index);
    if (place == list->count || list->items[place]->index != index)
        return NULL;
    struct webhook_delivery *delivery = list->items[place];
    list->count--;
    list->bytes -= delivery->body.length;
    memmove(list->items + place, list->items + place + 1, (list->count - place) * sizeof *list->items);
    return delivery;
}

void webhook_list_clear(struct webhook_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        webhook_delivery_free(list->items[i]);
    free(list->items);
    *list = (struct webhook_list){0};
}

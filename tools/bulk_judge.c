/* What the node says of the lines of a list: can these TERMS be agreed to, is there an agreement already, what came of the
   record? Asked for hundreds of lines at a time. */
#include "bulk_parts.h"

#include <stdlib.h>

#define IDS_MAX (2u * CHUNK_LINES)

static_assert(IDS_MAX <= 1000, "one question to the node takes a thousand ids");

/* ids and what they are of, then the values; index i of each belongs together. */
struct lookup { struct context *context; size_t count; uint8_t ids[IDS_MAX][32]; json_t *answer, *values; };

static struct lookup *lookup_new(struct context *context)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup != NULL)
        lookup->context = context;
    else
        (void)output_fail(&context->output, CL_E_MEMORY, NULL);
    return lookup;
}

static void lookup_free(struct lookup *lookup)
{
    if (lookup != NULL)
        json_decref(lookup->answer);
    free(lookup);
}

static void lookup_add(struct lookup *lookup, const uint8_t id32[32])
{
    assert(lookup->count < IDS_MAX);
    memcpy(lookup->ids[lookup->count++], id32, 32);
}

static int lookup_ask(struct lookup *lookup)
{
    struct http_answer answer;
    json_error_t error;
    if (lookup->count == 0)
        return 0;
    int result = node_post(lookup->context, &answer, "/v1/objects", lookup->ids, 32 * lookup->count);
    if (result != 0)
        return result;
    lookup->answer = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
    lookup->values = json_object_get(lookup->answer, "values");
    http_answer_deinit(&answer);
    return json_array_size(lookup->values) == lookup->count ? 0 : output_fail(&lookup->context->output, CL_E_FORMAT, "The node does not answer what it was asked.");
}

/* False where the node has no such entry (empty value), or something that is no value (*bad). */
static bool lookup_value(const struct lookup *lookup, size_t i, struct cl_buffer *value, bool *bad)
{
    json_t *entry = json_array_get(lookup->values, i);
    const char *text = json_string_value(entry);
    value->length = 0;
    if (json_is_null(entry))
        return false;
    if (text == NULL || cl_base64_get(value, text, json_string_length(entry)) != CL_OK) {
        *bad = true;
        return false;
    }
    return true;
}

/* ---- before signing */

static enum cl_status why_not(const struct cl_terms *terms)
{
    if (!terms->open)
        return CL_E_CLOSED;
    if (terms->answers >= terms->limit)
        return CL_E_LIMIT;
    if (terms->audience.kind != 0)
        return CL_E_AUDIENCE;
    return terms->not_after.present && terms->not_after.seconds * 1000u <= time_now_ms() ? CL_E_EXPIRED : CL_OK;
}

/* position: of the TERMS among the ids; the answer follows it. */
static int judge_item(const struct lookup *lookup, size_t position, struct bulk_item *item)
{
    struct cl_buffer value = {0};
    struct cl_terms terms;
    bool bad = false;
    if (lookup_value(lookup, position + 1, &value, &bad)) {
        item->why = CL_E_ANSWERED;
        bad = cl_answer_decode(&item->id, value.data, value.length) != CL_OK;
    } else if (lookup_value(lookup, position, &value, &bad)) {
        enum cl_status status = cl_terms_decode(&terms, value.data, value.length);
        item->why = status == CL_OK ? why_not(&terms) : CL_E_OBJECT_KIND;
        if (status == CL_OK) {
            memcpy(item->commitment, terms.commitment, 32);
            item->slots = terms.slots;
        }
    } else {
        item->why = CL_E_NO_OBJECT;
    }
    cl_buffer_deinit(&value);
    return bad ? output_fail(&lookup->context->output, CL_E_FORMAT, "The node's answer has no state value.") : 0;
}

static void add_terms(const struct bulk *bulk, struct lookup *lookup, const struct bulk_item *item)
{
    struct cl_hash answer;
    cl_answer_key(&answer, item->terms, &bulk->party);
    lookup_add(lookup, item->terms);
    lookup_add(lookup, answer.bytes);
}

int judge_chunk(struct bulk *bulk, struct bulk_chunk *chunk)
{
    struct lookup *lookup = lookup_new(bulk->context);
    int result = lookup == NULL ? 1 : 0;
    for (size_t i = 0; result == 0 && i < chunk->count; i++)
        for (size_t j = 0; j < chunk->batches[i].count; j++)
            if (chunk->batches[i].items[j].why == CL_OK)
                add_terms(bulk, lookup, &chunk->batches[i].items[j]);
    if (result == 0)
        result = lookup_ask(lookup);
    size_t position = 0;
    for (size_t i = 0; result == 0 && i < chunk->count; i++)
        for (size_t j = 0; result == 0 && j < chunk->batches[i].count; j++) {
            struct bulk_item *item = &chunk->batches[i].items[j];
            if (item->why != CL_OK)
                continue;
            result = judge_item(lookup, position, item);
            position += 2;
            if (result == 0 && item->why == CL_OK) {
                if (cl_random_bytes(item->nonce, 16) != CL_OK)
                    result = output_fail(&bulk->context->output, CL_E_IO, NULL);
                cl_object_id_derive(&item->id, bulk->signer.signer.key.bytes, item->nonce);
            }
        }
    lookup_free(lookup);
    return result;
}

/* ---- after */

static void add_agreements(struct lookup *lookup, const struct bulk_batch *batch)
{
    for (size_t j = 0; j < batch->count; j++)
        if (batch->items[j].why == CL_OK && batch->items[j].state[0] == '\0')
            lookup_add(lookup, batch->items[j].id.bytes);
}

/* Fills the state of the agreements that are there; *missing counts the others. */
static int take_agreements(const struct lookup *lookup, size_t *position, struct bulk_batch *batch, size_t *missing)
{
    struct cl_buffer value = {0};
    bool bad = false;
    int result = 0;
    *missing = 0;
    for (size_t j = 0; result == 0 && j < batch->count; j++) {
        struct bulk_item *item = &batch->items[j];
        struct object object = {.id = item->id};
        if (item->why != CL_OK || item->state[0] != '\0')
            continue;
        if (lookup_value(lookup, (*position)++, &value, &bad)) {
            result = object_decode(lookup->context, &object, value.data, value.length);
            if (result == 0)
                (void)snprintf(item->state, sizeof item->state, "%s", state_word(&object));
        } else {
            ++*missing;
        }
    }
    cl_buffer_deinit(&value);
    return bad ? output_fail(&lookup->context->output, CL_E_FORMAT, "The node's answer has no state value.") : result;
}

/* Final, or refused as a whole. */
static int wait_for(struct bulk *bulk, struct bulk_batch *batch)
{
    struct submission submission = {0};
    int result = 0;
    for (unsigned attempt = 0; result == 0 && !submission.final && !submission.refused; attempt++)
        result = attempt == 20 ? output_fail(&bulk->context->output, CL_E_PENDING, "The node takes records but makes nothing final.") : record_offer(bulk->context, &submission, batch->record.data, batch->record.length, true);
    if (submission.refused)
        batch->refused = submission.why;
    return result;
}

/* Entries that were left out of a final record, or whose record was refused: the state of now says why, else the record's
   refusal does. */
static int explain(struct bulk *bulk, struct bulk_batch *batch)
{
    struct lookup *lookup = lookup_new(bulk->context);
    int result = lookup == NULL ? 1 : 0;
    for (size_t j = 0; result == 0 && j < batch->count; j++)
        if (batch->items[j].why == CL_OK && batch->items[j].state[0] == '\0')
            add_terms(bulk, lookup, &batch->items[j]);
    if (result == 0)
        result = lookup_ask(lookup);
    size_t position = 0;
    for (size_t j = 0; result == 0 && j < batch->count; j++) {
        struct bulk_item *item = &batch->items[j];
        if (item->why != CL_OK || item->state[0] != '\0')
            continue;
        result = judge_item(lookup, position, item);
        position += 2;
        if (item->why == CL_OK)
            item->why = batch->refused != CL_OK ? batch->refused : CL_E_NOTHING_APPLIES;
    }
    lookup_free(lookup);
    return result;
}

/* One batch by itself, where the look at the whole chunk left something open. */
static int settle_batch(struct bulk *bulk, struct bulk_batch *batch)
{
    size_t missing = 0, position = 0;
    int result = batch->refused == CL_OK ? wait_for(bulk, batch) : 0;
    struct lookup *lookup = result == 0 ? lookup_new(bulk->context) : NULL;
    if (lookup == NULL)
        return result == 0 ? 1 : result;
    add_agreements(lookup, batch);
    result = lookup_ask(lookup);
    if (result == 0)
        result = take_agreements(lookup, &position, batch, &missing);
    lookup_free(lookup);
    return result == 0 && missing > 0 ? explain(bulk, batch) : result;
}

int judge_outcome(struct bulk *bulk, struct bulk_chunk *chunk)
{
    struct lookup *lookup = lookup_new(bulk->context);
    int result = lookup == NULL ? 1 : 0;
    struct bulk_batch *last = NULL;
    for (size_t i = 0; i < chunk->count; i++)
        if (chunk->batches[i].record.length > 0 && chunk->batches[i].refused == CL_OK)
            last = &chunk->batches[i];
    if (result == 0 && last != NULL)
        result = wait_for(bulk, last); /* those before it are final by then, but for rare ones */
    for (size_t i = 0; result == 0 && i < chunk->count; i++)
        add_agreements(lookup, &chunk->batches[i]);
    if (result == 0)
        result = lookup_ask(lookup);
    size_t position = 0;
    for (size_t i = 0; result == 0 && i < chunk->count; i++) {
        size_t missing = 0;
        result = take_agreements(lookup, &position, &chunk->batches[i], &missing);
        if (result == 0 && missing > 0)
            result = settle_batch(bulk, &chunk->batches[i]);
    }
    lookup_free(lookup);
    return result;
}

void chunk_clear(struct bulk_chunk *chunk)
{
    for (size_t i = 0; i < chunk->count; i++)
        cl_buffer_deinit(&chunk->batches[i].record);
    chunk->count = 0;
}

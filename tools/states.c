/* The states of many agreements, and of the TERMS and PROFILEs that are their parties, a thousand to a question. */
#include "sharing.h"

#include <stdlib.h>

struct states {
    size_t count, party_count;
    struct object objects[STATES_MAX];          /* kind 0: there is none */
    struct object parties[2u * STATES_MAX];     /* by id */
};

struct states *states_new(void) { return calloc(1, sizeof(struct states)); }

static void clear(struct states *states)
{
    for (size_t i = 0; i < states->count; i++)
        object_deinit(&states->objects[i]);
    for (size_t i = 0; i < states->party_count; i++)
        object_deinit(&states->parties[i]);
    states->count = states->party_count = 0;
}

void states_free(struct states *states)
{
    if (states == NULL)
        return;
    clear(states);
    free(states);
}

static int value_take(struct context *context, struct object *object, const json_t *value)
{
    const char *text = json_string_value(value);
    if (json_is_null(value))
        return 0;
    if (text == NULL || cl_base64_get(&object->value, text, strlen(text)) != CL_OK)
        return output_fail(&context->output, CL_E_FORMAT, "The node's answer has a state value that is none.");
    return object_decode(context, object, object->value.data, object->value.length);
}

/* Objects whose ids are set: the rest is filled. */
static int ask(struct context *context, struct object *objects, size_t count)
{
    struct cl_buffer ids = {0};
    struct http_answer answer;
    json_error_t error;
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < count && status == CL_OK; i++)
        status = cl_buffer_append(&ids, objects[i].id.bytes, 32);
    int result = status != CL_OK ? output_fail(&context->output, status, NULL) : node_post(context, &answer, "/v1/objects", ids.data, ids.length);
    cl_buffer_deinit(&ids);
    if (result != 0)
        return result;
    json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
    const json_t *values = json_object_get(json, "values");
    http_answer_deinit(&answer);
    if (json_array_size(values) != count)
        result = output_fail(&context->output, CL_E_FORMAT, "The node did not answer for as many agreements as it was asked about.");
    for (size_t i = 0; i < count && result == 0; i++)
        result = value_take(context, &objects[i], json_array_get(values, i));
    json_decref(json);
    return result;
}

static int by_id(const void *a, const void *b) { return memcmp(((const struct object *)a)->id.bytes, ((const struct object *)b)->id.bytes, 32); }

static void party_note(struct states *states, const struct cl_party *party)
{
    if (party->length == 32)
        memcpy((states->parties[states->party_count++] = (struct object){.kind = 0}).id.bytes, party->bytes, 32);
}

/* Each once, in order. */
static void parties_arrange(struct states *states)
{
    size_t kept = 0;
    if (states->party_count == 0)
        return;
    qsort(states->parties, states->party_count, sizeof *states->parties, by_id);
    for (size_t i = 0; i < states->party_count; i++)
        if (kept == 0 || by_id(&states->parties[kept - 1], &states->parties[i]) != 0)
            states->parties[kept++].id = states->parties[i].id;
    states->party_count = kept;
}

int states_fetch_objects(struct context *context, struct states *states, const struct cl_object_id *ids, size_t count)
{
    clear(states);
    assert(count <= STATES_MAX);
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        states->objects[i] = (struct object){.id = ids[i]};
    states->count = count;
    return ask(context, states->objects, count);
}

int states_fetch(struct context *context, struct states *states, const struct cl_object_id *ids, size_t count)
{
    int result = states_fetch_objects(context, states, ids, count);
    for (size_t i = 0; i < count && result == 0; i++)
        if (states->objects[i].kind == CL_STATE_AGREEMENT) {
            party_note(states, &states->objects[i].as.agreement.customer);
            party_note(states, &states->objects[i].as.agreement.organisation);
        }
    parties_arrange(states);
    for (size_t at = 0; at < states->party_count && result == 0; at += STATES_MAX)
        result = ask(context, &states->parties[at], states->party_count - at < STATES_MAX ? states->party_count - at : STATES_MAX);
    return result;
}

const struct object *states_object(const struct states *states, size_t position)
{
    return states->objects[position].kind == 0 ? NULL : &states->objects[position];
}

const struct cl_agreement *states_agreement(const struct states *states, size_t position)
{
    return states->objects[position].kind == CL_STATE_AGREEMENT ? &states->objects[position].as.agreement : NULL;
}

struct cl_view states_value(const struct states *states, size_t position)
{
    return (struct cl_view){states->objects[position].value.data, states->objects[position].value.length};
}

const struct cl_terms *states_terms(const struct states *states, size_t position)
{
    return states->objects[position].kind == CL_STATE_TERMS ? &states->objects[position].as.terms : NULL;
}

bool states_party(const struct states *states, const struct cl_party *party, struct cl_delivery_signers *signers)
{
    struct object wanted;
    *signers = (struct cl_delivery_signers){.delegation_count = 0};
    if (party->length == 33) {
        memcpy(signers->key.bytes, party->bytes, 33);
        return true;
    }
    memcpy(wanted.id.bytes, party->bytes, 32);
    const struct object *found = party->length != 32 || states->party_count == 0 ? NULL : bsearch(&wanted, states->parties, states->party_count, sizeof wanted, by_id);
    if (found == NULL || (found->kind != CL_STATE_TERMS && found->kind != CL_STATE_PROFILE))
        return false;
    memcpy(signers->key.bytes, found->kind == CL_STATE_TERMS ? found->as.terms.owner : found->as.profile.key, 33);
    return true;
}

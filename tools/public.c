/* All public bodies of all nodes, one after the other: each is compared with the state of its object first. */
#include "public.h"

#include <stdlib.h>

#define PAGES_OF_NODE_MAX 20000u /* a million bodies: more than a node may be told to keep */
#define PAGE_BODIES_MAX 64u

struct walker {
    struct context *context;
    struct public_walk *report;
    public_each_fn each;
    void *each_context;
    const char *node;
    struct cl_network_id network;
    struct cl_buffer bodies[PAGE_BODIES_MAX], ids;
};

/* ---- one page */
static bool take_bodies(struct walker *walker, const json_t *list, struct cl_public_body *content)
{
    size_t count = json_array_size(list);
    walker->ids.length = 0;
    if (!json_is_array(list) || count > PAGE_BODIES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_object_get(json_array_get(list, i), "body"));
        walker->bodies[i].length = 0;
        if (text == NULL || strlen(text) > 2 * CL_PUBLIC_BODY_BYTES_MAX || cl_base64_get(&walker->bodies[i], text, strlen(text)) != CL_OK)
            return false;
        if (cl_public_body_decode(content, walker->bodies[i].data, walker->bodies[i].length) != CL_OK || cl_buffer_append(&walker->ids, content->body.object.bytes, 32) != CL_OK)
            return false;
    }
    return true;
}

/* Whether the ledger bears it out. A field with a name that cannot be shown is nobody's to see. */
static bool fits(const struct cl_public_body *content, const struct object *object, const struct cl_network_id *network)
{
    const struct cl_body_file *file = &content->body;
    struct cl_commitment commitment;
    struct cl_body_field field;
    if (object->kind != CL_STATE_TERMS && object->kind != CL_STATE_PROFILE)
        return false;
    for (size_t i = 0; i < file->disclosure_count; i++)
        if (cl_body_field_read(&field, file->disclosures[i]) != CL_OK)
            return false;
    cl_body_file_commitment(&commitment, file);
    return memcmp(commitment.bytes, object_commitment(object), 32) == 0 && cl_public_body_check(content, network, object->kind == CL_STATE_TERMS ? object->as.terms.owner : object->as.profile.key) == CL_OK;
}

static int show_one(struct walker *walker, size_t position, const json_t *value, struct cl_public_body *content)
{
    struct object object = {0};
    const char *text = json_string_value(value);
    int result = 0;
    walker->report->bodies++;
    if (cl_public_body_decode(content, walker->bodies[position].data, walker->bodies[position].length) != CL_OK)
        return output_fail(&walker->context->output, CL_E_BODY, NULL);
    object.id = content->body.object;
    if (text == NULL || cl_base64_get(&object.value, text, strlen(text)) != CL_OK) {
        walker->report->unfit++;
    } else if ((result = object_decode(walker->context, &object, object.value.data, object.value.length)) == 0) {
        struct public_body body = {walker->node, content, &object};
        if (fits(content, &object, &walker->network))
            result = walker->each(walker->each_context, &body);
        else
            walker->report->unfit++;
    }
    object_deinit(&object);
    return result;
}

/* The states of everything on the page, whatever is looked for. */
static int show_page(struct walker *walker, size_t count, struct cl_public_body *content)
{
    struct http_answer answer;
    json_error_t error;
    int result = count == 0 ? 0 : node_post(walker->context, &answer, "/v1/objects", walker->ids.data, walker->ids.length);
    if (result != 0 || count == 0)
        return result;
    json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
    const json_t *values = json_object_get(json, "values");
    http_answer_deinit(&answer);
    if (json_array_size(values) != count)
        result = output_fail(&walker->context->output, CL_E_FORMAT, "The node does not answer what it was asked.");
    for (size_t i = 0; i < count && result == 0; i++)
        result = show_one(walker, i, json_array_get(values, i), content);
    json_decref(json);
    return result;
}

/* ---- one node */
/* *cursor: where to go on; "" at the end. silent: no page came. */
static int next_page(struct walker *walker, char cursor[65], bool *silent, struct cl_public_body *content)
{
    char path[200];
    struct http_answer answer;
    json_error_t error;
    (void)snprintf(path, sizeof path, "/v1/public?node=%s%s%s", walker->node, cursor[0] == '\0' ? "" : "&cursor=", cursor);
    int result = node_look(walker->context, &answer, path, NULL);
    if (result != 0)
        return result;
    json_t *json = answer.status == 200 ? json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error) : NULL;
    const char *next = json_string_value(json_object_get(json, "cursor"));
    struct cl_object_id id;
    http_answer_deinit(&answer);
    *silent = !take_bodies(walker, json_object_get(json, "bodies"), content) || (next != NULL && (!id_parse(&id, next) || strcmp(next, cursor) <= 0));
    (void)snprintf(cursor, 65, "%s", next == NULL || *silent ? "" : next);
    size_t count = json_array_size(json_object_get(json, "bodies"));
    json_decref(json);
    return *silent ? 0 : show_page(walker, count, content);
}

static int walk_node(struct walker *walker, struct cl_public_body *content)
{
    char cursor[65] = "";
    bool silent = false;
    int result = 0;
    size_t pages = 0;
    do {
        result = next_page(walker, cursor, &silent, content);
        output_progress(&walker->context->output, "looking through public bodies", walker->report->bodies, 0);
    } while (result == 0 && cursor[0] != '\0' && ++pages < PAGES_OF_NODE_MAX);
    if (silent)
        (void)json_array_append_new(walker->report->silent, json_string(walker->node));
    else
        walker->report->nodes++;
    return result;
}

static bool name_usable(const char *name)
{
    return name != NULL && name[0] != '\0' && strlen(name) <= CL_MEMBER_NAME_BYTES_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

int public_walk(struct context *context, struct public_walk *out, public_each_fn each, void *each_context)
{
    static const char *const kinds[] = {"members", "observers"};
    json_t *network = NULL;
    *out = (struct public_walk){.silent = json_array()};
    struct walker *walker = calloc(1, sizeof *walker);
    struct cl_public_body *content = malloc(sizeof *content);
    int result = walker == NULL || content == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : node_get_json(context, &network, "/v1/network");
    if (result == 0)
        *walker = (struct walker){.context = context, .report = out, .each = each, .each_context = each_context};
    const char *id = json_string_value(json_object_get(network, "network_id"));
    if (result == 0 && (id == NULL || !cl_hex_decode(walker->network.bytes, 32, id)))
        result = output_fail(&context->output, CL_E_FORMAT, "The node does not say which network it belongs to.");
    for (size_t kind = 0; kind < 2 && result == 0; kind++) {
        const json_t *peer;
        size_t i;
        json_array_foreach(json_object_get(network, kinds[kind]), i, peer) {
            walker->node = json_string_value(json_object_get(peer, "name"));
            if (result == 0 && name_usable(walker->node))
                result = walk_node(walker, content);
        }
    }
    output_progress_end(&context->output);
    for (size_t i = 0; walker != NULL && i < PAGE_BODIES_MAX; i++)
        cl_buffer_deinit(&walker->bodies[i]);
    if (walker != NULL)
        cl_buffer_deinit(&walker->ids);
    json_decref(network);
    free(walker);
    free(content);
    return result == PUBLIC_ENOUGH ? 0 : result;
}

void public_say_silent(struct context *context, const struct public_walk *walk)
{
    const json_t *name;
    size_t i;
    json_array_foreach(walk->silent, i, name)
        output_warn(&context->output, "%s could not be reached, or keeps no such list: what is public there is not among these.", json_string_value(name));
    if (walk->unfit > 0)
        output_warn(&context->output, "%zu bodies that nodes gave are not what the ledger commits to, and were left out.", walk->unfit);
}

/* ---- into the wallet */
struct taking { struct context *context; const struct cl_object_id *wanted; bool *found; };

static int take_one(void *each_context, const struct public_body *body)
{
    struct taking *taking = each_context;
    struct context *context = taking->context;
    struct cl_buffer data = {0};
    char path[40], name[CL_NAME_BYTES_MAX + 1] = "";
    if (memcmp(body->object->id.bytes, taking->wanted->bytes, 32) != 0)
        return 0;
    (void)snprintf(path, sizeof path, "public-%.8s", id_text(taking->wanted->bytes));
    const struct cl_offer offer = {.network = context->wallet->network.id, .object = body->object->id, .kind = CL_ITEM_TERMS, .body_file = body->content->shown, .reception = body->content->reception};
    enum cl_status status = cl_offer_encode(&data, &offer);
    int result = status == CL_OK ? offer_take(context, &data, path, NULL, name) : output_fail(&context->output, status, NULL);
    cl_buffer_deinit(&data);
    *taking->found = result == 0;
    return result == 0 ? PUBLIC_ENOUGH : result;
}

int public_take(struct context *context, const struct cl_object_id *terms, bool *found)
{
    struct taking taking = {context, terms, found};
    struct public_walk walk;
    *found = false;
    int result = public_walk(context, &walk, take_one, &taking);
    if (result == 0 && !*found)
        public_say_silent(context, &walk);
    json_decref(walk.silent);
    return result;
}

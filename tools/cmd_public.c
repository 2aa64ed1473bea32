/* consent public: what everybody may read of one's own terms and profiles, at a node of one's choice, until it is taken away. */
#include "public.h"
#include "connect.h"
#include "disclosed.h"
#include "discover.h"

#include <stdlib.h>

/* ---- put */
/* The owner of the terms, the key of the profile: NULL where the wallet does not have it. */
static const struct cl_wallet_key *key_of(struct context *context, const struct object *object)
{
    struct cl_party party = {.length = 33};
    memcpy(party.bytes, object->kind == CL_STATE_TERMS ? object->as.terms.owner : object->as.profile.key, 33);
    const char *name = party_key_name(context, &party);
    return name == NULL ? NULL : cl_wallet_key_find(context->wallet, name);
}

static int send_signed(struct context *context, struct http_answer *answer, const char *method, const struct object *object, const struct cl_buffer *body)
{
    char path[100], challenge[128], signature[192];
    const struct cl_wallet_key *key = key_of(context, object);
    if (key == NULL)
        return output_fail(&context->output, CL_E_PARTY, "The key that it stands under now is not in this wallet.");
    int result = challenge_headers(context, challenge, signature, key);
    if (result != 0)
        return result;
    (void)snprintf(path, sizeof path, "/v1/public/%s", id_text(object->id.bytes));
    const char *headers[] = {"Accept: application/json", challenge, signature, body == NULL ? NULL : "Content-Type: application/octet-stream", NULL};
    return node_send(context, answer, method, path, headers, body == NULL ? NULL : body->data, body == NULL ? 0 : body->length);
}

/* Which fields: of terms all, because whoever answers has to see that nothing is kept back; of a person's profile those that
   were named. */
static int choose(struct context *context, bool marked[CL_BODY_FIELDS_MAX], const struct cl_wallet_item *item, const struct cl_body_file *file, const char *fields)
{
    if (fields != NULL && item->kind == CL_ITEM_TERMS)
        return output_usage(&context->output, "Terms are public as a whole: whoever answers has to see that nothing is kept back. Leave out --fields.");
    if (fields != NULL)
        return fields_mark(context, marked, file, fields);
    if (item->kind == CL_ITEM_PROFILE && item->role == CL_SIDE_CUSTOMER)
        return output_usage(&context->output, "Which attributes shall everybody see? --fields NAME,NAME; 'consent disclose %.64s' lists them.", item->name);
    for (size_t i = 0; i < file->disclosure_count; i++)
        marked[i] = true;
    return 0;
}

static int put_answered(struct context *context, const struct cl_wallet_item *item, const struct cl_body_file *shown, struct http_answer *answer, json_t *into)
{
    json_error_t error;
    struct cl_buffer words = {0};
    if (answer->status != 200 && answer->status != 201) {
        int result = node_problem(context, answer);
        if (answer->status != 409 && answer->status != 400)
            output_say(&context->output, "It is not public; 'consent public put %.64s' tries again, at another node with --node URL.", item->name);
        return result;
    }
    json_t *json = json_loadb((const char *)answer->body.data, answer->body.length, JSON_REJECT_DUPLICATES, &error);
    const char *node = json_string_value(json_object_get(json, "node"));
    node = node == NULL ? "the node" : output_printable(node, strlen(node));
    output_line(&context->output, "%s is public at %s: everybody can read %s", item->name, node, item->kind == CL_ITEM_TERMS ? "the terms, all of them." : "this of it:");
    if (!context->output.json && item->kind != CL_ITEM_TERMS && cl_body_file_words(&words, shown) == CL_OK && words.length > 0)
        (void)fwrite(words.data, 1, words.length, stdout);
    json_int_t days = json_integer_value(json_object_get(json, "body_days"));
    output_say(&context->output, "It stays there for %lld days (put it again for more), or until you take it away: consent public remove %s%s. What others have read they may keep.", (long long)days, item->name,
               item->kind == CL_ITEM_TERMS ? ", or close the terms with 'consent revoke'" : "");
    (void)json_object_set_new(into, "public", json_pack("{s:s, s:o}", "node", node, "fields", fields_json(shown)));
    cl_buffer_deinit(&words);
    json_decref(json);
    return 0;
}

/* The state of it; only terms and profiles are public. */
static int object_open(struct context *context, struct object *object, const struct cl_object_id *id, const char *name)
{
    int result = object_fetch(context, object, id, true);
    if (result == 0 && object->kind != CL_STATE_TERMS && object->kind != CL_STATE_PROFILE)
        result = output_fail(&context->output, CL_E_OBJECT_KIND, "'%.64s' is an agreement: what it is about is between its two sides. Only terms and profiles are public.", name);
    return result;
}

/* Signed by the key that the object stands under now. */
static int sign_public(struct context *context, struct cl_buffer *out, struct cl_public_body *content, const struct object *object)
{
    struct act_signer signer;
    const struct cl_wallet_key *key = key_of(context, object);
    if (key == NULL)
        return output_fail(&context->output, CL_E_PARTY, "The key that it stands under now is not in this wallet.");
    int result = signer_open(context, &signer, key->name);
    if (result != 0)
        return result;
    content->network = context->wallet->network.id;
    content->made_ms = time_now_ms();
    if (object->kind == CL_STATE_TERMS)
        reception_open(context, &content->reception, &object->id, false);
    /* The mailbox's key is on disk, and in the backup, before anybody hears of the mailbox. */
    if (content->reception.present && (result = wallet_save(context)) == 0)
        result = wallet_backup(context, NULL);
    if (result != 0)
        return result;
    enum cl_status status = cl_public_body_sign(out, content, &signer.signer);
    if (status == CL_E_BOUND)
        return output_fail(&context->output, status, "Nodes take public bodies of at most %u bytes; this one would have %zu.", CL_PUBLIC_BODY_BYTES_MAX, content->shown.length);
    if (status == CL_OK)
        status = cl_public_body_decode(content, out->data, out->length);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

int public_put(struct context *context, const struct cl_wallet_item *item, const char *fields, json_t *into)
{
    bool marked[CL_BODY_FIELDS_MAX] = {false};
    struct cl_buffer shown = {0}, bytes = {0};
    struct object object = {0};
    struct http_answer answer;
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_public_body *content = calloc(1, sizeof *content);
    int result = file == NULL || content == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : object_open(context, &object, &item->object, item->name);
    if (result == 0 && object.kind == CL_STATE_TERMS && object.as.terms.audience.kind != 0)
        result = output_usage(&context->output, "'%.64s' is meant for somebody in particular, or for whoever holds its code; only what anybody may answer is public.", item->name);
    if (result == 0 && object.kind == CL_STATE_TERMS && !object.as.terms.open)
        result = output_fail(&context->output, CL_E_CLOSED, "'%.64s': nobody can answer them any more.", item->name);
    if (result == 0)
        result = body_open(context, file, item);
    if (result == 0)
        result = choose(context, marked, item, file, fields);
    if (result == 0 && cl_disclosure_select(&shown, file, marked) != CL_OK)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0) {
        content->shown = (struct cl_view){shown.data, shown.length};
        result = sign_public(context, &bytes, content, &object);
    }
    if (result == 0 && (result = send_signed(context, &answer, "PUT", &object, &bytes)) == 0) {
        result = put_answered(context, item, &content->body, &answer, into);
        http_answer_deinit(&answer);
    }
    object_deinit(&object);
    cl_buffer_deinit(&shown);
    cl_buffer_deinit(&bytes);
    free(content);
    free(file);
    return result;
}

/* The wallet's entry of that name or id: terms or a profile. */
static int item_open(struct context *context, struct cl_wallet_item **item)
{
    const char *name = positional(context, 0);
    if (name == NULL)
        return output_usage(&context->output, "Which terms or profile of yours?");
    int result = network_open(context);
    if (result != 0)
        return result;
    if (cl_wallet_item_find(item, context->wallet, name) != CL_OK)
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'; 'consent list' shows what this wallet has.", name);
    return 0;
}

int run_public_put(struct context *context)
{
    struct cl_wallet_item *item = NULL;
    json_t *json = json_object();
    int result = item_open(context, &item);
    if (result == 0)
        result = public_put(context, item, option(context, "--fields"), json);
    if (result == 0) {
        (void)json_object_set_new(json, "object", json_string(id_text(item->object.bytes)));
        output_json(&context->output, json);
    } else {
        json_decref(json);
    }
    return result;
}

/* ---- list, remove */
struct own { struct context *context; const struct cl_object_id *only; json_t *list; };

static int own_one(void *each_context, const struct public_body *body)
{
    struct own *own = each_context;
    struct context *context = own->context;
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, &body->object->id);
    char names[160] = "";
    if (own->only != NULL ? memcmp(own->only->bytes, body->object->id.bytes, 32) != 0 : key_of(context, body->object) == NULL)
        return 0;
    for (size_t i = 0, used = 0; i < body->content->body.disclosure_count && used < sizeof names; i++) {
        struct cl_body_field field;
        if (cl_body_field_read(&field, body->content->body.disclosures[i]) == CL_OK)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ", output_printable((const char *)field.name.data, field.name.length));
    }
    if (own->only == NULL)
        output_line(&context->output, "%-20s at %-16s %s", item == NULL ? id_text(body->object->id.bytes) : item->name, body->node, body->object->kind == CL_STATE_TERMS ? "the terms, all of them" : names);
    (void)json_array_append_new(own->list, json_pack("{s:s, s:s, s:s, s:o}", "name", item == NULL ? "" : item->name, "object", id_text(body->object->id.bytes), "node", body->node, "fields", fields_json(&body->content->body)));
    return 0;
}

int run_public_list(struct context *context)
{
    struct own own = {.context = context, .list = json_array()};
    struct public_walk walk = {0};
    int result = network_open(context);
    if (result == 0)
        result = public_walk(context, &walk, own_one, &own);
    if (result == 0) {
        if (json_array_size(own.list) == 0)
            output_say(&context->output, "Nothing of this wallet is public; 'consent public put NAME' lets everybody read terms or a profile.");
        else
            output_say(&context->output, "What was taken away within the last minute may still be among these.");
        public_say_silent(context, &walk);
        output_json(&context->output, json_pack("{s:O, s:O}", "public", own.list, "silent", walk.silent));
    }
    json_decref(own.list);
    json_decref(walk.silent);
    return result;
}

/* It was not at the node in use: where is it? */
static int removed_nothing(struct context *context, const struct cl_object_id *id, const char *name)
{
    struct own own = {.context = context, .only = id, .list = json_array()};
    struct public_walk walk = {0};
    int result = public_walk(context, &walk, own_one, &own);
    const char *node = json_string_value(json_object_get(json_array_get(own.list, 0), "node"));
    if (result == 0)
        public_say_silent(context, &walk);
    if (result == 0 && node != NULL)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.64s' is public at %s and not at the node in use. Ask that node: --node URL.", name, node);
    if (result == 0) {
        output_line(&context->output, "%s was not public.", name);
        output_json(&context->output, json_pack("{s:i, s:s}", "removed", 0, "object", id_text(id->bytes)));
    }
    json_decref(own.list);
    json_decref(walk.silent);
    return result;
}

/* What was forgotten has an id still, and a key. */
static int id_open(struct context *context, struct cl_object_id *id)
{
    struct cl_wallet_item *item = NULL;
    const char *name = positional(context, 0);
    bool is_id = name != NULL && id_parse(id, name);
    int result = is_id ? network_open(context) : item_open(context, &item);
    if (result == 0 && item != NULL)
        *id = item->object;
    return result;
}

int run_public_remove(struct context *context)
{
    const char *name = positional(context, 0);
    struct cl_object_id id;
    struct object object = {0};
    struct http_answer answer;
    json_error_t error;
    int result = id_open(context, &id);
    if (result == 0)
        result = object_open(context, &object, &id, name);
    if (result == 0)
        result = send_signed(context, &answer, "DELETE", &object, NULL);
    object_deinit(&object);
    if (result != 0)
        return result;
    if (answer.status != 200 && answer.status != 404) {
        result = node_problem(context, &answer);
        http_answer_deinit(&answer);
        return result;
    }
    json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
    bool removed = answer.status == 200 && json_integer_value(json_object_get(json, "deleted")) == 1;
    json_decref(json);
    http_answer_deinit(&answer);
    if (!removed)
        return removed_nothing(context, &id, name);
    output_line(&context->output, "%s is public no more.", name);
    output_say(&context->output, "It is in no file of the node any more; other nodes stop showing it within a minute or so. What others have read they may keep.");
    output_json(&context->output, json_pack("{s:i, s:s}", "removed", 1, "object", id_text(id.bytes)));
    return 0;
}

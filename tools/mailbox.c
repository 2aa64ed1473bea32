/* A mailbox as its holder uses it: signed challenges with a key that is used for nothing else. */
#include "mailbox.h"
#include "discover.h"

#define IN_RETURN_END ".in-return" /* of the name of such a mailbox's key, and so of its URI */

static bool of_mailbox(const struct cl_wallet_key *key) { return strncmp(key->uri, MAILBOX_URI, sizeof MAILBOX_URI - 1) == 0; }
bool mailbox_closing(const struct cl_wallet_key *key) { return of_mailbox(key) && strstr(key->name, MAILBOX_CLOSING) != NULL; }
bool mailbox_key(const struct cl_wallet_key *key) { return of_mailbox(key) && !mailbox_closing(key); }

bool mailbox_in_return(const struct cl_wallet_key *key)
{
    size_t length = strlen(key->uri), ending = sizeof IN_RETURN_END - 1;
    return mailbox_key(key) && length > ending && strcmp(key->uri + length - ending, IN_RETURN_END) == 0;
}

/* Of the id a part, which is enough to tell one's own apart: names are used again, ids never. */
static void key_name(char out[CL_NAME_BYTES_MAX + 1], const struct cl_object_id *id, bool in_return)
{
    (void)snprintf(out, CL_NAME_BYTES_MAX + 1, "%.16s%s", id_text(id->bytes), in_return ? IN_RETURN_END : ".mailbox");
}

bool mailbox_key_of(const struct cl_wallet_key *key, const struct cl_object_id *id)
{
    return mailbox_key(key) && strncmp(key->uri + sizeof MAILBOX_URI - 1, id_text(id->bytes), 16) == 0; /* its name may change: former, closing */
}

const struct cl_wallet_key *mailbox_of(const struct context *context, const struct cl_object_id *id)
{
    char name[CL_NAME_BYTES_MAX + 1];
    for (unsigned in_return = 0; in_return < 2; in_return++) {
        key_name(name, id, in_return == 1);
        const struct cl_wallet_key *found = cl_wallet_key_find(context->wallet, name);
        if (found != NULL && mailbox_key(found))
            return found;
    }
    return NULL;
}

void mailbox_put_aside(struct context *context, const struct cl_object_id *id)
{
    const struct cl_wallet_key *found = mailbox_of(context, id);
    char name[CL_NAME_BYTES_MAX + 1];
    unsigned number = 1;
    if (found == NULL)
        return;
    do
        (void)snprintf(name, sizeof name, "%.16s.former.%u", id_text(id->bytes), number++);
    while (cl_wallet_key_find(context->wallet, name) != NULL);
    memcpy(context->wallet->keys[found - context->wallet->keys].name, name, sizeof name);
}

int mailbox_own(struct context *context, const struct cl_object_id *id, bool in_return, char address[MAILBOX_ADDRESS_SIZE], struct cl_wallet_key *key)
{
    char name[CL_NAME_BYTES_MAX + 1], made[CL_NAME_BYTES_MAX + 1] = "";
    const struct cl_wallet_key *found = mailbox_of(context, id);
    bool opened, kept = false;
    int result = 0;
    address[0] = '\0';
    if (found == NULL) {
        key_name(name, id, in_return);
        result = key_fresh(context, made, name, "mailbox");
        found = result == 0 ? cl_wallet_key_find(context->wallet, made) : NULL;
    }
    if (result != 0)
        return result;
    *key = *found;
    result = mailbox_open(context, key, address, &opened, &kept);
    if (!kept)
        address[0] = '\0';
    return result;
}

static void name_of(char mailbox[65], const struct cl_wallet_key *key)
{
    struct cl_hash hash;
    cl_mailbox_derive(&hash, key->key.bytes);
    cl_hex_encode(mailbox, hash.bytes, 32);
}

/* One request that the mailbox's key signs; any HTTP status is good. */
static int ask(struct context *context, struct http_answer *answer, const char *method, const struct cl_wallet_key *key, const char *rest)
{
    char path[200], mailbox[65], hex[67], own[90], challenge[128], signature[192];
    int result = challenge_headers(context, challenge, signature, key);
    if (result != 0)
        return result;
    name_of(mailbox, key);
    cl_hex_encode(hex, key->key.bytes, 33);
    (void)snprintf(own, sizeof own, "Consent-Key: %s", hex);
    (void)snprintf(path, sizeof path, "/v1/mailboxes/%s%s", mailbox, rest);
    const char *headers[] = {"Accept: application/json", own, challenge, signature, NULL};
    return node_send(context, answer, method, path, headers, NULL, 0);
}

static int refused(struct context *context, struct http_answer *answer)
{
    int result = node_problem(context, answer);
    http_answer_deinit(answer);
    return result;
}

int mailbox_open(struct context *context, const struct cl_wallet_key *key, char address[MAILBOX_ADDRESS_SIZE], bool *opened, bool *kept)
{
    struct http_answer answer;
    json_error_t error;
    int result = ask(context, &answer, "PUT", key, "");
    if (result != 0)
        return result;
    *kept = answer.status != 404;
    *opened = answer.status == 201;
    if (*kept && answer.status != 200 && answer.status != 201)
        return refused(context, &answer);
    if (*kept) {
        char mailbox[65];
        json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
        const char *text = json_string_value(json_object_get(json, "address"));
        name_of(mailbox, key);
        if (text == NULL || strlen(text) >= MAILBOX_ADDRESS_SIZE || strchr(text, '/') == NULL || strcmp(strchr(text, '/') + 1, mailbox) != 0)
            result = output_fail(&context->output, CL_E_FORMAT, "The node's answer has no address of this mailbox.");
        else
            (void)snprintf(address, MAILBOX_ADDRESS_SIZE, "%s", text);
        json_decref(json);
    }
    http_answer_deinit(&answer);
    return result;
}

int mailbox_page(struct context *context, const struct http_answer *answer, json_t **page, bool *gone, long *again_s)
{
    json_error_t error;
    *page = NULL;
    *again_s = 0;
    *gone = answer->status == 404;
    if (answer->status == 429 || answer->status == 503) {
        *again_s = answer->retry_after_s > 0 ? answer->retry_after_s : 1;
        return 0;
    }
    if (*gone)
        return 0;
    if (answer->status != 200)
        return node_problem(context, answer);
    *page = json_loadb((const char *)answer->body.data, answer->body.length, JSON_REJECT_DUPLICATES, &error);
    if (json_is_array(json_object_get(*page, "deliveries")))
        return 0;
    json_decref(*page);
    *page = NULL;
    return output_fail(&context->output, CL_E_FORMAT, "The node's answer is not a list of deliveries.");
}

int mailbox_fetch(struct context *context, const struct cl_wallet_key *key, json_t **page, bool *gone, long *again_s)
{
    struct http_answer answer;
    *page = NULL;
    int result = ask(context, &answer, "GET", key, "/deliveries");
    if (result != 0)
        return result;
    result = mailbox_page(context, &answer, page, gone, again_s);
    http_answer_deinit(&answer);
    return result;
}

int mailbox_poll_prepare(struct context *context, struct mailbox_poll *poll, const struct cl_wallet_key *key, unsigned wait_s)
{
    char mailbox[65], hex[67];
    int result = challenge_headers(context, poll->challenge, poll->signature, key);
    if (result == 0)
        result = reader_header(context, poll->reader, sizeof poll->reader);
    name_of(mailbox, key);
    cl_hex_encode(hex, key->key.bytes, 33);
    (void)snprintf(poll->own, sizeof poll->own, "Consent-Key: %s", hex);
    (void)snprintf(poll->url, sizeof poll->url, "%s/v1/mailboxes/%s/deliveries?wait=%u", context->node_url, mailbox, wait_s);
    poll->request = (struct http_request){.method = "GET", .url = poll->url, .headers = {"Accept: application/json", poll->own, poll->challenge, poll->signature, poll->reader[0] == '\0' ? NULL : poll->reader}};
    return result;
}

int mailbox_acknowledge(struct context *context, const struct cl_wallet_key *key, uint64_t through)
{
    char rest[64];
    struct http_answer answer;
    (void)snprintf(rest, sizeof rest, "/deliveries?through=%llu", (unsigned long long)through);
    int result = ask(context, &answer, "DELETE", key, rest);
    if (result == 0 && answer.status >= 400)
        return refused(context, &answer);
    if (result == 0)
        http_answer_deinit(&answer);
    return result;
}

int mailbox_close(struct context *context, const struct cl_wallet_key *key, bool *gone, uint64_t *deleted)
{
    struct http_answer answer;
    json_error_t error;
    int result = ask(context, &answer, "DELETE", key, "");
    if (result != 0)
        return result;
    *gone = answer.status == 404;
    *deleted = 0;
    if (!*gone && answer.status != 200)
        return refused(context, &answer);
    if (!*gone) {
        json_t *json = json_loadb((const char *)answer.body.data, answer.body.length, JSON_REJECT_DUPLICATES, &error);
        *deleted = (uint64_t)json_integer_value(json_object_get(json, "deleted"));
        json_decref(json);
    }
    http_answer_deinit(&answer);
    return 0;
}

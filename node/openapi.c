/* /openapi.json, made from the table of routes, so that what is served and what is described are one. */
#include "api_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *status_words(int status)
{
    switch (status) {
    case 200: return "Done";
    case 201: return "Done and durable: the record is final; the mailbox, the delivery or the public body is kept";
    case 202: return "The record is taken and waits for a block";
    case 400: return "The request is not well formed";
    case 401: return "A signed challenge or a reader's token is needed";
    case 403: return "This node does not take records from that key";
    case 404: return "Not found";
    case 406: return "None of the media types asked for";
    case 409: return "The rules refuse it, or it is not final yet";
    case 413: return "The body is too large";
    case 415: return "The body is of another media type";
    case 429: return "Too many requests of this kind; see Retry-After";
    case 507: return "No room: the mailbox or the node is full; see Retry-After";
    case 503: return "The node is full or stopping; see Retry-After";
    default: return "Answer";
    }
}

/* "/tile/{level}/{number+}" is "/tile/{level}/{number}" to readers. */
static void plain_path(char *out, size_t size, const char *path)
{
    size_t used = 0;
    for (; *path != '\0' && used + 1 < size; path++)
        if (*path != '+') out[used++] = *path;
    out[used] = '\0';
}

static void add_parameter(json_t *parameters, const char *name, size_t name_length, const char *where, bool required, const char *text, size_t text_length)
{
    json_array_append_new(parameters, json_pack("{s:s%,s:s,s:b,s:s%,s:{s:s}}", "name", name, name_length, "in", where, "required", (int)required, "description", text,
                                                text_length, "schema", "type", "string"));
}

static json_t *parameters_of(const struct api_route *route)
{
    json_t *parameters = json_array();
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{'))
        add_parameter(parameters, at + 1, strcspn(at + 1, "+}"), "path", true, "see node/API.md", 15);
    for (const char *at = route->query; *at != '\0';) {
        size_t length = strcspn(at, "|"), name = strcspn(at, ":");
        const char *text = at + name + 1;
        size_t text_length = length - name - 1;
        bool required = text_length > 10 && memcmp(text + text_length - 10, "(required)", 10) == 0;
        add_parameter(parameters, at, name, "query", required, text, text_length);
        at += length + (at[length] == '|');
    }
    if ((route->flags & API_KEY) != 0) add_parameter(parameters, "Consent-Key", 11, "header", true, "the mailbox's key, compressed, 66 hex digits", 44);
    if ((route->flags & (API_KEY | API_SIGNED)) != 0 || strcmp(route->name, "listPartyAgreements") == 0) {
        add_parameter(parameters, "Consent-Challenge", 17, "header", true, "nonce of /v1/challenge, hex", 27);
        add_parameter(parameters, "Consent-Signature", 17, "header", true, "ES256K over the challenge, r || s, hex", 38);
    }
    return parameters;
}

static json_t *content_of(const char *types)
{
    json_t *content = json_object();
    for (const char *at = types; *at != '\0';) {
        char type[64];
        size_t length = strcspn(at, "|");
        snprintf(type, sizeof type, "%.*s", (int)length, at);
        json_object_set_new(content, type, json_pack("{s:{}}", "schema"));
        at += length + (at[length] == '|');
    }
    return content;
}

static json_t *responses_of(const struct api_route *route)
{
    json_t *responses = json_object();
    char list[96];
    snprintf(list, sizeof list, "%s|400|503", route->statuses);
    for (const char *at = list; *at != '\0';) {
        int status = atoi(at);
        char name[16];
        snprintf(name, sizeof name, "%d", status);
        json_object_set_new(responses, name, json_pack("{s:s,s:o}", "description", status_words(status), "content",
                                                       content_of(status < 400 ? route->types : "application/problem+json")));
        at += strcspn(at, "|");
        at += *at == '|';
    }
    return responses;
}

static json_t *operation_of(const struct api_route *route)
{
    json_t *operation = json_pack("{s:s,s:s,s:o,s:o}", "operationId", route->name, "summary", route->summary, "parameters", parameters_of(route), "responses",
                                  responses_of(route));
    if (operation == NULL) return NULL;
    const char *taken = strcmp(route->name, "submitRecord") == 0 ? "application/cose" : "application/octet-stream";
    if (strcmp(route->method, "POST") == 0 || strcmp(route->name, "putPublicBody") == 0)
        json_object_set_new(operation, "requestBody", json_pack("{s:b,s:{s:{s:{s:s,s:s}}}}", "required", 1, "content", taken, "schema", "type", "string",
                                                                "contentMediaType", taken));
    if ((route->flags & API_READER) != 0) json_object_set_new(operation, "security", json_pack("[{},{s:[]}]", "reader"));
    return operation;
}

void api_openapi(struct api_call *call)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        char path[128], method[8];
        plain_path(path, sizeof path, route->path);
        for (size_t at = 0; at <= strlen(route->method); at++) method[at] = (char)tolower((unsigned char)route->method[at]);
        json_t *item = json_object_get(paths, path);
        if (item == NULL) {
            json_object_set_new(paths, path, json_object());
            item = json_object_get(paths, path);
        }
        json_object_set_new(item, method, operation_of(route));
    }
    api_answer_json(call->request, 200, json_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:{s:{s:{s:s,s:s}}}}", "openapi", "3.1.0", "info", "title", "Consent ledger node", "version",
        CL_VERSION, "description", "Records in, proofs out. Errors are application/problem+json with a stable code.", "paths", paths, "components",
        "securitySchemes", "reader", "type", "http", "scheme", "bearer"));
}

/* Pages of other origins (Fetch standard, "CORS protocol"): a browser lets a page call this API where [http] origins names
   the page's origin, or is "*". That gives a page nothing that a program would not have: the API knows no cookies, and who
   may do what follows from signatures and tokens that a request brings. */
#include "api_private.h"

#include <string.h>

#define METHODS "GET, HEAD, POST, PUT, DELETE"
#define HEADERS "Accept, Authorization, Content-Type, Last-Event-ID, Consent-Key, Consent-Challenge, Consent-Signature"
#define EXPOSED "Location, Retry-After, WWW-Authenticate, Allow, Consent-Challenge"
#define PREFLIGHT_S "600"

static bool listed(const char *list, const char *origin)
{
    size_t length = strlen(origin);
    if (strcmp(list, "*") == 0) return true;
    while (*list != '\0') {
        size_t word = strcspn(list, " ");
        if (word == length && word > 0 && memcmp(list, origin, word) == 0) return true;
        list += word + strspn(list + word, " ");
    }
    return false;
}

/* Returns: whether that was the answer: a preflight, which asks what a request may be. */
bool api_origin(const struct api_call *call)
{
    struct http_request *request = call->request;
    const char *list = call->api->node->options.config.http_origins, *origin = http_header(request, "Origin");
    if (list[0] == '\0') return false;
    http_set_header(request, "Vary", "Origin");
    if (origin == NULL || strlen(origin) >= sizeof call->api->node->options.config.http_origins || !listed(list, origin)) return false;
    http_set_header(request, "Access-Control-Allow-Origin", strcmp(list, "*") == 0 ? "*" : origin);
    http_set_header(request, "Access-Control-Expose-Headers", EXPOSED);
    if (strcmp(http_method(request), "OPTIONS") != 0 || http_header(request, "Access-Control-Request-Method") == NULL) return false;
    http_set_header(request, "Access-Control-Allow-Methods", METHODS);
    http_set_header(request, "Access-Control-Allow-Headers", HEADERS);
    http_set_header(request, "Access-Control-Max-Age", PREFLIGHT_S);
    http_answer(request, 204, "text/plain; charset=utf-8", "", 0);
    return true;
}

/* A request's head as a stranger writes it: path and Accept header, before anything else is looked at. A path that fits a
   route is the route with its arguments put in; unescaping never grows; a media type is chosen only where a range names it. */
#include "media.h"
#include "require.h"
#include "route.h"

static const char *const patterns[] = {
    "/v1/records", "/v1/records/{id}", "/v1/agreements/{id}", "/v1/parties/{party}/agreements", "/tile/entries/{number+}", "/tile/{level}/{number+}", "/checkpoint",
};
static const char *const types[] = {"application/json", "text/plain", "application/scitt-receipt+cose", "application/cose", NULL};

static void route(const char *path)
{
    static char arguments[ROUTE_ARGUMENTS_MAX][ROUTE_ARGUMENT_BYTES];
    static char again[ROUTE_ARGUMENTS_MAX * ROUTE_ARGUMENT_BYTES + 64];
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        size_t used = 0, argument = 0;
        if (!route_match(patterns[i], path, arguments))
            continue;
        for (const char *at = patterns[i]; *at != '\0'; at++) {
            if (*at != '{') {
                again[used++] = *at;
                continue;
            }
            size_t length = strlen(arguments[argument]);
            require(length > 0 && length < ROUTE_ARGUMENT_BYTES);
            memcpy(again + used, arguments[argument++], length);
            used += length;
            at = strchr(at, '}');
        }
        again[used] = '\0';
        require(strcmp(again, path) == 0);
    }
}

static void unescape(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    require(copy != NULL);
    memcpy(copy, text, length + 1);
    size_t used = route_unescape(copy);
    require(used <= length && strlen(copy) == used);
    size_t slashes = 0, were = 0;
    for (size_t i = 0; i < length; i++)
        were += text[i] == '/';
    for (size_t i = 0; i < used; i++)
        slashes += copy[i] == '/';
    require(slashes == were); /* no segment is made by an escape */
    free(copy);
}

static void accept(const char *header)
{
    int chosen = media_choose(header, types);
    require(chosen >= -1 && chosen < 4);
    if (chosen > 0) /* the first is what is given where nothing is asked */
        require(strchr(header, '/') != NULL);
    require(media_choose("", types) == 0 && media_choose(NULL, types) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    size_t length = strlen(text);
    route(text);
    unescape(text, length);
    accept(text);
    free(text);
    return 0;
}

/* The log as C2SP tlog-tiles serves it, and consistency proofs. */
#include "api_private.h"

#include "files.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

void api_checkpoint(struct api_call *call)
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer note = { 0 };
    enum cl_status status = cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = cl_view_checkpoint(view, &note);
    cl_ledger_view_free(view);
    if (status == CL_OK) http_answer(call->request, 200, "text/plain; charset=utf-8", note.data, note.length);
    else api_fail(call->request, status);
    cl_buffer_deinit(&note);
}

/* "x001/x234/067" or "x001/x234/067.p/8": groups of three digits, all but the last with an x (tlog-tiles). */
static bool parse_number(const char *text, uint64_t *number, unsigned *width)
{
    *number = 0;
    *width = CL_TILE_WIDTH;
    for (unsigned groups = 1; groups <= 6; groups++) {
        bool more = *text == 'x';
        if (more) text++;
        if (!isdigit((unsigned char)text[0]) || !isdigit((unsigned char)text[1]) || !isdigit((unsigned char)text[2])) return false;
        *number = *number * 1000 + (uint64_t)(text[0] - '0') * 100 + (uint64_t)(text[1] - '0') * 10 + (uint64_t)(text[2] - '0');
        if (groups == 1 && more && *number == 0) return false; /* no leading zero group */
        text += 3;
        if (more) {
            if (*text++ != '/') return false;
            continue;
        }
        if (*text == '\0') return true;
        if (strncmp(text, ".p/", 3) != 0 || text[3] < '1' || text[3] > '9' || strlen(text + 3) > 3) return false;
        char *end = NULL;
        *width = (unsigned)strtoul(text + 3, &end, 10);
        return *end == '\0' && *width < CL_TILE_WIDTH;
    }
    return false;
}

static void answer_tile(struct api_call *call, bool entries, unsigned level, const char *name)
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer tile = { 0 };
    uint64_t number = 0;
    unsigned width = 0;
    if (!parse_number(name, &number, &width)) {
        api_problem(call->request, 404, CL_E_NOT_FOUND, -1, "Tiles are named as C2SP tlog-tiles says.");
        return;
    }
    enum cl_status status = cl_ledger_view_new(&view, call->api->node->ledger);
    if (status == CL_OK) status = entries ? cl_view_tile_entries(view, &tile, number, width) : cl_view_tile(view, &tile, level, number, width);
    cl_ledger_view_free(view);
    if (status == CL_OK) {
        /* A tile never changes. "public" would let a shared cache hand it to readers without a token. */
        http_set_header(call->request, "Cache-Control", api_open_reads(call->api) ? "public, max-age=31536000, immutable" : "private, max-age=31536000, immutable");
        http_answer(call->request, 200, "application/octet-stream", tile.data, tile.length);
    } else {
        api_fail(call->request, status);
    }
    cl_buffer_deinit(&tile);
}

void api_tile(struct api_call *call)
{
    const char *level = call->arguments[0];
    if (level[0] < '0' || level[0] > '9' || level[1] != '\0') { /* 2^64 leaves make 8 levels */
        api_problem(call->request, 404, CL_E_NOT_FOUND, -1, "Tiles are named as C2SP tlog-tiles says.");
        return;
    }
    answer_tile(call, false, (unsigned)(level[0] - '0'), call->arguments[1]);
}

void api_tile_entries(struct api_call *call)
{
    answer_tile(call, true, 0, call->arguments[0]);
}

enum cl_status api_checkpoint_size(struct cl_ledger_view *view, uint64_t *size)
{
    struct cl_buffer note = { 0 };
    struct cl_checkpoint *checkpoint = malloc(sizeof *checkpoint);
    enum cl_status status = checkpoint != NULL ? cl_view_checkpoint(view, &note) : CL_E_MEMORY;
    if (status == CL_OK) status = cl_checkpoint_decode(checkpoint, note.data, note.length);
    if (status == CL_OK) *size = checkpoint->size;
    cl_buffer_deinit(&note);
    free(checkpoint);
    return status;
}

void api_consistency(struct api_call *call)
{
    struct cl_ledger_view *view = NULL;
    struct cl_hash path[CL_LOG_PATH_MAX];
    uint64_t from = 0, to = 0, newest = 0;
    size_t count = 0;
    bool has_from = false, has_to = false;
    bool good = api_query_number(call->request, "from", &from, &has_from) && api_query_number(call->request, "to", &to, &has_to) && has_from;
    enum cl_status status = good ? cl_ledger_view_new(&view, call->api->node->ledger) : CL_E_ARGUMENT;
    if (status == CL_OK) status = api_checkpoint_size(view, &newest);
    if (status == CL_OK && !has_to) to = newest;
    if (status == CL_OK && (from > to || to > newest)) status = CL_E_ARGUMENT; /* proofs only for trees that are signed */
    if (status == CL_OK) status = cl_view_consistency(view, path, &count, from, to);
    cl_ledger_view_free(view);
    if (status != CL_OK) {
        api_problem(call->request, api_status_of(status), status, -1, status == CL_E_ARGUMENT ? "from and to are sizes up to the newest checkpoint's, in order." : NULL);
        return;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        char text[65];
        hex_encode(text, path[i].bytes, 32);
        json_array_append_new(array, json_string(text));
    }
    api_answer_json(call->request, 200, json_pack("{s:i,s:I,s:I,s:o}", "version", 1, "from", (json_int_t)from, "to", (json_int_t)to, "path", array));
}

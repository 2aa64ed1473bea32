/* The feed: events are derived from the ledger by log index, so nothing is queued for a reader, and one that was cut
   resumes where it was, for ever. CloudEvents 1.0 in Server-Sent Events or in lines of JSON. */
#include "api_private.h"

#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FEED_PART_EVENTS = 64, FEED_PART_BYTES = 32 * 1024, HEARTBEAT_S = 15 };
static const char *const feed_types[] = { "text/event-stream", "application/x-ndjson", NULL };

struct feed { struct api *api; uint64_t next; bool follow, lines; struct cl_buffer part; size_t sent; time_t spoke; };

static time_t monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void time_text(char out[40], uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + length, 40 - length, ".%03uZ", (unsigned)(ms % 1000));
}

static json_t *block_event(const struct cl_state_leaf *leaf, uint64_t index)
{
    json_t *data = json_pack("{s:I,s:I,s:I,s:I,s:I}", "log_index", (json_int_t)index, "height", (json_int_t)leaf->height, "block_time_ms", (json_int_t)leaf->time_ms,
                             "records", (json_int_t)leaf->record_count, "log_size", (json_int_t)index + 1);
    if (data == NULL) return NULL;
    json_set_hex(data, "previous", leaf->previous.bytes, 32);
    json_set_hex(data, "state_root", leaf->state_root.bytes, 32);
    return data;
}

/* The data of the event at a log index, its type and the block's time. */
static enum cl_status event_data(json_t **data, const char **type, uint64_t *time_ms, struct api *api, struct cl_ledger_view *view, uint64_t index)
{
    struct final_record record;
    enum cl_status status = final_record_load(&record, view, &api->node->genesis.core.network, index);
    if (status == CL_OK) {
        *type = "consent.record.v1";
        *time_ms = record.block_time_ms;
        *data = record_json(&record.record, index, record.height, record.block_time_ms);
        final_record_deinit(&record);
    } else if (status == CL_E_NOT_FOUND) {
        struct cl_buffer bytes = { 0 };
        struct cl_state_leaf leaf;
        status = cl_view_leaf(view, &bytes, index);
        if (status == CL_OK) status = cl_state_leaf_decode(&leaf, bytes.data, bytes.length);
        cl_buffer_deinit(&bytes);
        if (status != CL_OK) return status;
        *type = "consent.block.v1";
        *time_ms = leaf.time_ms;
        *data = block_event(&leaf, index);
    }
    return status == CL_OK && *data == NULL ? CL_E_MEMORY : status;
}

static enum cl_status append_event(struct feed *feed, struct cl_ledger_view *view, uint64_t index)
{
    json_t *data = NULL;
    const char *type = "";
    uint64_t time_ms = 0;
    char id[24], when[40], source[CL_ORIGIN_BYTES_MAX + 16], head[128];
    enum cl_status status = event_data(&data, &type, &time_ms, feed->api, view, index);
    if (status != CL_OK) return status;
    snprintf(id, sizeof id, "%llu", (unsigned long long)index);
    snprintf(source, sizeof source, "consent:%s", feed->api->node->genesis.core.origin);
    time_text(when, time_ms);
    const char *subject = json_string_value(json_array_get(json_object_get(data, "objects"), 0));
    json_t *event = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s*,s:o}", "specversion", "1.0", "id", id, "source", source, "type", type, "time", when,
                              "datacontenttype", "application/json", "subject", subject, "data", data);
    char *text = event != NULL ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);
    if (text == NULL) return CL_E_MEMORY;
    if (!feed->lines) {
        snprintf(head, sizeof head, "id: %s\nevent: %s\ndata: ", id, type);
        status = cl_buffer_append(&feed->part, head, strlen(head));
    }
    if (status == CL_OK) status = cl_buffer_append(&feed->part, text, strlen(text));
    if (status == CL_OK) status = cl_buffer_append(&feed->part, "\n\n", feed->lines ? 1 : 2);
    free(text);
    return status;
}

/* Fills the part with the next events. */
static enum cl_status next_part(struct feed *feed, bool *at_end)
{
    struct cl_ledger_view *view = NULL;
    struct cl_tip tip = {0};
    feed->part.length = 0;
    feed->sent = 0;
    enum cl_status status = cl_ledger_view_new(&view, feed->api->node->ledger);
    if (status == CL_OK) status = cl_view_tip(view, &tip);
    for (unsigned i = 0; status == CL_OK && i < FEED_PART_EVENTS && feed->part.length < FEED_PART_BYTES && feed->next < tip.log_size; i++) {
        status = append_event(feed, view, feed->next);
        if (status == CL_OK) feed->next++;
    }
    *at_end = status == CL_OK && feed->next >= tip.log_size;
    cl_ledger_view_free(view);
    return status;
}

static long feed_read(void *context, char *out, size_t max)
{
    struct feed *feed = context;
    bool at_end = false;
    if (feed->sent == feed->part.length) {
        enum cl_status status = next_part(feed, &at_end);
        if (status != CL_OK) {
            api_tell_operator(status);
            return HTTP_STREAM_BROKEN; /* the reader resumes by its last id */
        }
        if (feed->part.length == 0 && !feed->follow) return HTTP_STREAM_END;
        if (feed->part.length == 0 && monotonic_s() - feed->spoke >= HEARTBEAT_S &&
            cl_buffer_append(&feed->part, feed->lines ? "\n" : ": heartbeat\n\n", feed->lines ? 1 : 13) != CL_OK) return HTTP_STREAM_BROKEN;
    }
    size_t left = feed->part.length - feed->sent;
    if (left == 0) return 0;
    if (left > max) left = max;
    memcpy(out, feed->part.data + feed->sent, left);
    feed->sent += left;
    feed->spoke = monotonic_s();
    return (long)left;
}

static void feed_release(void *context)
{
    struct feed *feed = context;
    cl_buffer_deinit(&feed->part);
    free(feed);
}

/* Where to begin: Last-Event-ID (a reader that reconnects) goes before ?after=. */
static bool read_start(struct api_call *call, uint64_t *next)
{
    const char *last = http_header(call->request, "Last-Event-ID");
    const char *after = last != NULL && last[0] != '\0' ? last : http_query(call->request, "after");
    char *end = NULL;
    *next = 0;
    if (after == NULL) return true;
    if (strcmp(after, "now") == 0) {
        struct node_counters counters;
        node_counters(call->api->node, &counters);
        *next = counters.log_size;
        return true;
    }
    if (after[0] < '0' || after[0] > '9' || strlen(after) > 18) return false;
    *next = strtoull(after, &end, 10) + 1;
    return *end == '\0';
}

void api_feed(struct api_call *call)
{
    uint64_t next = 0;
    const char *follow = http_query(call->request, "follow");
    int type = api_choose(call->request, feed_types);
    if (type < 0) {
        api_problem(call->request, 406, CL_E_UNSUPPORTED, -1, NULL);
        return;
    }
    if (!read_start(call, &next)) {
        api_problem(call->request, 400, CL_E_ARGUMENT, -1, "after is a log index or 'now'.");
        return;
    }
    struct feed *feed = calloc(1, sizeof *feed);
    enum cl_status status = CL_E_MEMORY;
    if (feed != NULL) {
        *feed = (struct feed){ .api = call->api, .next = next, .follow = follow == NULL || strcmp(follow, "0") != 0, .lines = type == 1, .spoke = monotonic_s() };
        status = http_stream(call->request, feed_types[type], feed_read, feed_release, feed);
        if (status == CL_OK) return;
    }
    free(feed);
    if (status == CL_E_BOUND) api_problem(call->request, 429, CL_E_BOUND, -1, "Too many feeds are open.");
    else api_fail(call->request, status);
}

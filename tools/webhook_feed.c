/* What an endpoint reads of the node: the feed, as far as there is room for it (what is not read stays in the ledger); the
   states of the objects that events name, which say whom they concern; and single events that are to be sent again. */
#include "webhooks.h"

#include <stdlib.h>

#define LOOKUP_IDS_MAX 1000u /* that a node takes at a time */
#define NODE_WAIT_MS_MAX 30000u
#define FEED_SILENCE_S 60 /* a node's heartbeat comes every 15 */

uint64_t webhook_feed_settled(const struct webhook_endpoint *endpoint)
{
    const struct webhook_list *first = endpoint->fresh.count > 0 ? &endpoint->fresh : endpoint->asked.count > 0 ? &endpoint->asked : &endpoint->batch;
    return first->count > 0 ? first->items[0]->index : endpoint->read_next;
}

/* part: 1, or 2 where the queue has to be half empty. */
static bool has_room(const struct webhook_endpoint *endpoint, size_t part)
{
    const struct webhook_list *waiting = &endpoint->journal.waiting, *fresh = &endpoint->fresh, *asked = &endpoint->asked, *batch = &endpoint->batch;
    return waiting->count + fresh->count + asked->count + batch->count < WEBHOOK_QUEUE_MAX / part &&
           waiting->bytes + fresh->bytes + asked->bytes + batch->bytes < WEBHOOK_QUEUE_BYTES_MAX / part;
}

/* ---- the feed */

static bool take_event(struct webhook_endpoint *endpoint)
{
    struct webhook_delivery *event = NULL;
    endpoint->feed_bad = true;
    if (webhook_event_parse(&event, (const char *)endpoint->line.data, endpoint->line.length) != CL_OK)
        return false;
    bool good = event->index >= endpoint->read_next, wanted = event->object_count > 0 && webhook_list_find(&endpoint->journal.waiting, event->index) == NULL;
    uint64_t next = event->index + 1;
    if (!good || !wanted)
        webhook_delivery_free(event);
    else if (webhook_list_add(&endpoint->batch, event) != CL_OK) {
        webhook_delivery_free(event);
        return false;
    }
    endpoint->feed_bad = !good;
    endpoint->read_next = good ? next : endpoint->read_next;
    return good;
}

static bool on_feed(void *opaque, const char *data, size_t length)
{
    struct webhook_endpoint *endpoint = opaque;
    endpoint->node_failures = 0;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(data + at, '\n', length - at);
        size_t part = end == NULL ? length - at : (size_t)(end - data) - at;
        if (endpoint->line.length + part > WEBHOOK_EVENT_BYTES_MAX || (part > 0 && cl_buffer_append(&endpoint->line, data + at, part) != CL_OK)) {
            endpoint->feed_bad = true;
            return false;
        }
        at += part + 1;
        if (end != NULL && endpoint->line.length > 0 && (!has_room(endpoint, 1) || !take_event(endpoint)))
            return false;
        if (end != NULL)
            endpoint->line.length = 0;
    }
    return true;
}

static int start_feed(struct webhook_endpoint *endpoint)
{
    char url[CL_URL_BYTES_MAX + 128];
    int length = snprintf(url, sizeof url, "%s/v1/feed?follow=%d", endpoint->context->node_url, endpoint->once ? 0 : 1);
    if (endpoint->read_next > 0)
        (void)snprintf(url + length, sizeof url - (size_t)length, "&after=%llu", (unsigned long long)endpoint->read_next - 1);
    endpoint->line.length = 0;
    endpoint->feed_bad = false;
    struct http_request request = {.method = "GET", .url = url, .headers = {"Accept: application/x-ndjson", endpoint->reader[0] == '\0' ? NULL : endpoint->reader},
                                   .piece = on_feed, .context = endpoint, .silence_s = FEED_SILENCE_S};
    enum cl_status status = http_transfer_start(endpoint->feed, &request);
    return status == CL_OK ? 0 : output_fail(&endpoint->context->output, status, NULL);
}

/* Says so where it matters: when it begins. Returns: until when to wait. */
static uint64_t node_failed(struct webhook_endpoint *endpoint, uint64_t now_ms, const char *what, const struct http_answer *answer)
{
    unsigned doublings = endpoint->node_failures < 6 ? endpoint->node_failures : 6;
    uint64_t wait_ms = 500u << doublings < NODE_WAIT_MS_MAX ? 500u << doublings : NODE_WAIT_MS_MAX;
    if (endpoint->node_failures++ == 1) /* once is a node that was started anew */
        output_say(&endpoint->context->output, "[%s] %s of %s broke off (HTTP status %ld%s%s); trying again.", endpoint->settings->name, what, endpoint->context->node_url, answer->status,
                   answer->problem[0] == '\0' ? "" : ": ", answer->problem);
    return now_ms + wait_ms;
}

static int feed_ended(struct webhook_endpoint *endpoint, enum cl_status status, const struct http_answer *answer, uint64_t now_ms)
{
    if (answer->status == 401)
        return output_fail(&endpoint->context->output, CL_E_LOCKED, "Reading the feed needs a reader's token. Give it with --reader-token-file FILE.");
    if (endpoint->feed_bad && answer->status < 400)
        return output_fail(&endpoint->context->output, CL_E_FORMAT, "The feed of %s has what is no event after log index %lld (HTTP status %ld).", endpoint->context->node_url, (long long)endpoint->read_next - 1, answer->status);
    if (status == CL_OK && answer->status == 200 && endpoint->once)
        endpoint->at_end = true;
    else if (status != CL_E_CANCELLED || answer->status != 200)
        endpoint->feed_at_ms = node_failed(endpoint, now_ms, "The feed", answer);
    return 0;
}

void webhook_feed_restart(struct webhook_endpoint *endpoint, uint64_t next)
{
    http_transfer_stop(endpoint->feed);
    http_transfer_stop(endpoint->lookup);
    webhook_list_clear(&endpoint->batch);
    webhook_list_clear(&endpoint->asked);
    webhook_list_clear(&endpoint->fresh);
    endpoint->read_next = next;
    endpoint->at_end = false;
}

/* ---- whom events concern */

static int start_lookup(struct webhook_endpoint *endpoint)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", "Accept: application/json"};
    struct webhook_list *batch = &endpoint->batch, *asked = &endpoint->asked;
    char url[CL_URL_BYTES_MAX + 32];
    enum cl_status status = CL_OK;
    if (asked->count == 0)
        endpoint->ids.length = 0;
    /* Where the last one failed, the same are asked about again. */
    while (asked->count == 0 || endpoint->ids.length > 0) {
        if (batch->count == 0 || endpoint->ids.length / 32 + batch->items[0]->object_count > LOOKUP_IDS_MAX)
            break;
        struct webhook_delivery *event = batch->items[0];
        status = cl_buffer_append(&endpoint->ids, event->objects, event->object_count * 32);
        (void)webhook_list_remove(batch, event->index);
        if (status == CL_OK)
            status = webhook_list_add(asked, event);
        if (status != CL_OK) {
            webhook_delivery_free(event);
            return output_fail(&endpoint->context->output, status, NULL);
        }
    }
    (void)snprintf(url, sizeof url, "%s/v1/objects", endpoint->context->node_url);
    struct http_request request = {.method = "POST", .url = url, .headers = {headers[0], headers[1]}, .body = endpoint->ids.data, .body_length = endpoint->ids.length, .timeout_s = 30};
    status = http_transfer_start(endpoint->lookup, &request);
    return status == CL_OK ? 0 : output_fail(&endpoint->context->output, status, NULL);
}

/* first: of the event's objects among the values. */
static bool event_concerns(const struct webhook_settings *settings, const struct webhook_delivery *event, const json_t *values, size_t first)
{
    bool concerns = webhook_follows(settings->follow, settings->follow_count, event->signer, 33);
    for (size_t i = 0; i < event->object_count && !concerns; i++) {
        struct cl_buffer value = {0};
        const char *text = json_string_value(json_array_get(values, first + i));
        bool there = text != NULL && cl_base64_get(&value, text, strlen(text)) == CL_OK;
        concerns = webhook_concerns(settings->follow, settings->follow_count, &event->objects[i], there ? value.data : NULL, value.length);
        cl_buffer_deinit(&value);
    }
    return concerns;
}

static int lookup_ended(struct webhook_endpoint *endpoint, enum cl_status status, const struct http_answer *answer, uint64_t now_ms)
{
    json_error_t error;
    json_t *json = status == CL_OK && answer->status == 200 ? json_loadb((const char *)answer->body.data, answer->body.length, 0, &error) : NULL;
    const json_t *values = json_object_get(json, "values");
    int result = 0;
    if (json_array_size(values) != endpoint->ids.length / 32) {
        json_decref(json);
        endpoint->lookup_at_ms = node_failed(endpoint, now_ms, "A question", answer);
        return 0;
    }
    for (size_t first = 0; endpoint->asked.count > 0 && result == 0;) {
        struct webhook_delivery *event = webhook_list_remove(&endpoint->asked, endpoint->asked.items[0]->index);
        bool concerns = event_concerns(endpoint->settings, event, values, first);
        first += event->object_count;
        if (concerns && webhook_list_add(&endpoint->fresh, event) == CL_OK)
            continue;
        if (concerns)
            result = output_fail(&endpoint->context->output, CL_E_MEMORY, NULL);
        webhook_delivery_free(event);
    }
    json_decref(json);
    return result;
}

/* ---- events that are needed again */

const struct webhook_delivery *webhook_feed_missing(const struct webhook_endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->journal.waiting.count; i++)
        if (endpoint->journal.waiting.items[i]->body.length == 0)
            return endpoint->journal.waiting.items[i];
    return NULL;
}

/* Up to the end of the first line. */
static bool on_fetched(void *opaque, const char *data, size_t length)
{
    struct webhook_endpoint *endpoint = opaque;
    const char *end = memchr(data, '\n', length);
    size_t part = end == NULL ? length : (size_t)(end - data);
    return endpoint->fetched.length + part <= WEBHOOK_EVENT_BYTES_MAX && (part == 0 || cl_buffer_append(&endpoint->fetched, data, part) == CL_OK) && end == NULL;
}

static int start_fetch(struct webhook_endpoint *endpoint, uint64_t index)
{
    char url[CL_URL_BYTES_MAX + 128];
    int length = snprintf(url, sizeof url, "%s/v1/feed?follow=0", endpoint->context->node_url);
    if (index > 0)
        (void)snprintf(url + length, sizeof url - (size_t)length, "&after=%llu", (unsigned long long)index - 1);
    endpoint->fetch_index = index;
    endpoint->fetched.length = 0;
    struct http_request request = {.method = "GET", .url = url, .headers = {"Accept: application/x-ndjson", endpoint->reader[0] == '\0' ? NULL : endpoint->reader},
                                   .piece = on_fetched, .context = endpoint, .timeout_s = 30};
    enum cl_status status = http_transfer_start(endpoint->fetch, &request);
    return status == CL_OK ? 0 : output_fail(&endpoint->context->output, status, NULL);
}

static int fetch_ended(struct webhook_endpoint *endpoint, const struct http_answer *answer, uint64_t now_ms)
{
    struct webhook_delivery *event = NULL, *waiting = webhook_list_find(&endpoint->journal.waiting, endpoint->fetch_index);
    if (waiting == NULL || waiting->body.length > 0)
        return 0;
    if (answer->status != 200 || endpoint->fetched.length == 0) {
        endpoint->fetch_at_ms = node_failed(endpoint, now_ms, "The feed", answer);
        return 0;
    }
    if (webhook_event_parse(&event, (const char *)endpoint->fetched.data, endpoint->fetched.length) != CL_OK || event->index != waiting->index || event->object_count == 0) {
        webhook_delivery_free(event);
        return output_fail(&endpoint->context->output, CL_E_FORMAT, "The feed of %s has no event at log index %llu, which [%s] waits for; check --node, and %s.", endpoint->context->node_url,
                           (unsigned long long)endpoint->fetch_index, endpoint->settings->name, endpoint->journal.path);
    }
    event->attempts = waiting->attempts;
    event->since_ms = waiting->since_ms;
    event->next_ms = waiting->next_ms;
    event->last_ms = waiting->last_ms;
    event->status = waiting->status;
    webhook_delivery_free(webhook_list_remove(&endpoint->journal.waiting, event->index));
    enum cl_status status = webhook_list_add(&endpoint->journal.waiting, event);
    return status == CL_OK ? 0 : output_fail(&endpoint->context->output, status, NULL);
}

int webhook_feed_step(struct webhook_endpoint *endpoint, uint64_t now_ms)
{
    enum cl_status status;
    const struct http_answer *answer;
    int result = 0;
    if (http_transfer_done(endpoint->feed, &status, &answer))
        result = feed_ended(endpoint, status, answer, now_ms);
    if (result == 0 && http_transfer_done(endpoint->lookup, &status, &answer))
        result = lookup_ended(endpoint, status, answer, now_ms);
    if (result == 0 && http_transfer_done(endpoint->fetch, &status, &answer))
        result = fetch_ended(endpoint, answer, now_ms);
    if (result != 0 || endpoint->journal.off != 0)
        return result;
    const struct webhook_delivery *missing = http_transfer_busy(endpoint->fetch) || now_ms < endpoint->fetch_at_ms ? NULL : webhook_feed_missing(endpoint);
    if (missing != NULL)
        result = start_fetch(endpoint, missing->index);
    if (result == 0 && !http_transfer_busy(endpoint->feed) && !endpoint->at_end && now_ms >= endpoint->feed_at_ms && has_room(endpoint, 2))
        result = start_feed(endpoint);
    if (result == 0 && !http_transfer_busy(endpoint->lookup) && now_ms >= endpoint->lookup_at_ms && endpoint->batch.count + endpoint->asked.count > 0)
        result = start_lookup(endpoint);
    return result;
}

/* consent node status, peers, policy, and feed: how a node is, seen from outside, and what becomes final there. */
#include "act.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static json_int_t number(const json_t *json, const char *name) { return json_integer_value(json_object_get(json, name)); }

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "?" : output_printable(text, strlen(text));
}

/* Asks for /v1/status, and makes sure that it is a node's. */
static int get_status(struct context *context, json_t **json)
{
    int result = node_open(context);
    if (result == 0)
        result = node_get_json(context, json, "/v1/status");
    if (result == 0 && (!json_is_string(json_object_get(*json, "member")) || !json_is_integer(json_object_get(*json, "height")))) {
        result = output_fail(&context->output, CL_E_FORMAT, "%s does not answer as a node does; check --node.", context->node_url);
        json_decref(*json);
    }
    return result;
}

static void print_ordering(const struct output *output, const json_t *json)
{
    const json_t *sentence, *peer;
    size_t index;
    if (json_is_integer(json_object_get(json, "current_view")))
        output_line(output, "view          %lld%s, led by %s; the newest final block is of view %lld", (long long)number(json, "current_view"),
                    json_is_true(json_object_get(json, "idle")) ? ", idle" : "", text_of(json, "leader"), (long long)number(json, "view"));
    output_line(output, "members       %lld, quorum %lld; %lld can be heard%s", (long long)number(json, "members"), (long long)number(json, "quorum"),
                (long long)number(json, "members_heard"), json_is_true(json_object_get(json, "observer")) ? "; this node is an observer" : "");
    if (number(json, "behind_blocks") > 0)
        output_line(output, "behind        %lld blocks", (long long)number(json, "behind_blocks"));
    json_array_foreach(json_object_get(json, "peers"), index, peer)
        if (number(peer, "evidence") > 0)
            output_line(output, "evidence      %lld against %s", (long long)number(peer, "evidence"), text_of(peer, "name"));
    json_array_foreach(json_object_get(json, "why"), index, sentence)
        if (json_is_string(sentence))
            output_line(output, "%s%s", index == 0 ? "now           " : "              ", output_printable(json_string_value(sentence), json_string_length(sentence)));
}

int run_node_status(struct context *context)
{
    json_t *json = NULL;
    int result = get_status(context, &json);
    if (result != 0)
        return result;
    char when[TIME_TEXT_SIZE];
    time_text(when, (uint64_t)number(json, "block_time_ms") / 1000u);
    output_line(&context->output, "%s  %s at %s", text_of(json, "member"), text_of(json, "software"), context->node_url);
    output_line(&context->output, "height        %lld, of %s", (long long)number(json, "height"), when);
    output_line(&context->output, "log           %lld leaves; checkpoint at %lld", (long long)number(json, "log_size"), (long long)number(json, "checkpoint_size"));
    output_line(&context->output, "waiting       %lld records, %lld bytes", (long long)number(json, "pool_records"), (long long)number(json, "pool_bytes"));
    output_line(&context->output, "disk free     %lld MiB", (long long)(number(json, "disk_free_bytes") >> 20));
    output_line(&context->output, "up            %lld s", (long long)number(json, "uptime_s"));
    print_ordering(&context->output, json);
    output_json(&context->output, json_incref(json));
    json_decref(json);
    return 0;
}

/* What the peer has done in the present view. */
static const char *vote_of(const json_t *peer)
{
    if (json_is_true(json_object_get(peer, "observer")))
        return "observer";
    bool notarized = json_is_true(json_object_get(peer, "notarized")), nullified = json_is_true(json_object_get(peer, "nullified"));
    return notarized && nullified ? "notarize, nullify" : notarized ? "notarize" : nullified ? "nullify" : "-";
}

int run_node_peers(struct context *context)
{
    json_t *json = NULL;
    const json_t *peer;
    size_t index;
    int result = get_status(context, &json);
    if (result != 0)
        return result;
    const json_t *peers = json_object_get(json, "peers");
    if (json_array_size(peers) == 0)
        output_line(&context->output, "This node has no peers: it is alone in its network.");
    else
        output_line(&context->output, "%-32s  %-9s  %-12s  %-9s  %-12s  %s", "peer", "reached", "heard", "height", "clock", "vote in this view");
    json_array_foreach(peers, index, peer) {
        char heard[32] = "never", height[32] = "?", clock[32] = "?";
        const json_t *frames = json_object_get(peer, "connected"), *questions = json_object_get(peer, "ask_connected");
        if (json_is_integer(json_object_get(peer, "heard_ms_ago")))
            (void)snprintf(heard, sizeof heard, "%.1f s ago", (double)number(peer, "heard_ms_ago") / 1000.0);
        if (json_is_integer(json_object_get(peer, "height")))
            (void)snprintf(height, sizeof height, "%lld", (long long)number(peer, "height"));
        if (json_is_integer(json_object_get(peer, "clock_ahead_ms")))
            (void)snprintf(clock, sizeof clock, "%+.1f s", (double)number(peer, "clock_ahead_ms") / 1000.0);
        output_line(&context->output, "%-32s  %-9s  %-12s  %-9s  %-12s  %s", text_of(peer, "name"),
                    json_is_true(frames) && json_is_true(questions) ? "yes" : json_is_true(frames) || json_is_true(questions) ? "one port" : "no", heard, height, clock, vote_of(peer));
    }
    output_json(&context->output, json_pack("{s:O}", "peers", peers));
    json_decref(json);
    return 0;
}

int run_node_policy(struct context *context)
{
    struct http_answer answer;
    struct cl_policy *policy = NULL;
    size_t bad_line = 0;
    const char *out = option(context, "--output");
    int result = node_open(context);
    if (result == 0)
        result = node_get(context, &answer, "/v1/policy", "text/plain");
    if (result != 0)
        return result;
    enum cl_status status = cl_policy_new(&policy, &bad_line, answer.body.data, answer.body.length);
    cl_policy_free(policy);
    if (status != CL_OK)
        result = output_fail(&context->output, status, "(line %zu)", bad_line);
    else if (context->output.json && out == NULL)
        output_json(&context->output, json_pack("{s:s%}", "policy", (const char *)answer.body.data, answer.body.length));
    else
        result = file_write(context, out == NULL ? "-" : out, answer.body.data, answer.body.length, false);
    if (result == 0 && out != NULL) {
        output_say(&context->output, "%s says whom 'consent verify' believes; compare it with what another member gives you.", out);
        output_json(&context->output, json_pack("{s:s}", "file", out));
    }
    http_answer_deinit(&answer);
    return result;
}

/* ---- feed */

#define LINE_BYTES_MAX (256u * 1024u)
struct feed { struct context *context; struct cl_buffer line; json_int_t last; bool reached, failed; }; /* reached: it did answer once */

static void print_event(struct feed *feed, json_t *event)
{
    json_t *data = json_object_get(event, "data");
    if (data == NULL)
        return;
    feed->reached = true;
    feed->last = number(data, "log_index");
    if (feed->context->output.json) {
        output_json_line(&feed->context->output, json_incref(event));
        return;
    }
    char when[TIME_TEXT_SIZE];
    time_text(when, (uint64_t)number(data, "block_time_ms") / 1000u);
    const char *type = json_string_value(json_object_get(data, "type"));
    if (type == NULL)
        output_line(&feed->context->output, "%lld  %s  block %lld, %lld record%s", (long long)feed->last, when, (long long)number(data, "height"), (long long)number(data, "records"), number(data, "records") == 1 ? "" : "s");
    else
        output_line(&feed->context->output, "%lld  %s  %-10s %s", (long long)feed->last, when, output_printable(type, strlen(type)), text_of(event, "subject"));
    (void)fflush(stdout);
}

static bool feed_piece(void *opaque, const char *data, size_t length)
{
    struct feed *feed = opaque;
    json_error_t error;
    for (size_t at = 0; at < length;) {
        const char *end = memchr(data + at, '\n', length - at);
        size_t part = end == NULL ? length - at : (size_t)(end - data) - at;
        if (feed->line.length + part > LINE_BYTES_MAX || (part > 0 && cl_buffer_append(&feed->line, data + at, part) != CL_OK)) {
            feed->failed = true;
            return false;
        }
        at += part + 1;
        if (end == NULL)
            break;
        if (feed->line.length > 1) {
            json_t *event = json_loadb((const char *)feed->line.data, feed->line.length, 0, &error);
            if (event == NULL || json_object_get(event, "code") != NULL)
                feed->failed = true;
            else
                print_event(feed, event);
            json_decref(event);
        }
        feed->line.length = 0;
    }
    return !http_interrupted && !feed->failed;
}

static int feed_once(struct feed *feed, bool follow)
{
    struct context *context = feed->context;
    char url[CL_URL_BYTES_MAX + 128], reader[300];
    struct http_answer answer;
    int result = reader_header(context, reader, sizeof reader);
    if (result != 0)
        return result;
    feed->line.length = 0; /* of a stream that broke off within a line */
    int length = snprintf(url, sizeof url, "%s/v1/feed?%s", context->node_url, follow ? "" : "follow=0&");
    if (feed->last >= 0)
        (void)snprintf(url + length, sizeof url - (size_t)length, "after=%lld", (long long)feed->last);
    struct http_request request = {.method = "GET", .url = url, .headers = {"Accept: application/x-ndjson", reader[0] == '\0' ? NULL : reader}, .piece = feed_piece, .context = feed};
    enum cl_status status = http_send(context->http, &answer, &request);
    cl_wipe_bytes(reader, sizeof reader);
    bool later = status == CL_E_IO || answer.status == 429 || answer.status == 503;
    if (http_interrupted)
        status = CL_E_CANCELLED;
    else if (follow && feed->reached && later && !feed->failed)
        output_say(&context->output, "The feed of %s broke off; trying again.", context->node_url);
    else if (feed->failed || answer.status >= 400)
        result = answer.status == 401 ? output_fail(&context->output, CL_E_LOCKED, "Reading everything needs a reader's token. Give it with --reader-token-file FILE.") : output_fail(&context->output, CL_E_FORMAT, "The node's feed is not usable (HTTP status %ld).", answer.status);
    else if (status != CL_OK)
        result = node_silent(context, status, &answer);
    http_answer_deinit(&answer);
    return status == CL_E_CANCELLED ? 130 : result;
}

int run_feed(struct context *context)
{
    const char *after = option(context, "--after");
    struct feed feed = {.context = context, .last = -1};
    uint64_t last = 0;
    if (after != NULL && !number_parse(&last, after, INT64_MAX))
        return output_usage(&context->output, "--after takes the log index of the last event that you have.");
    if (after != NULL)
        feed.last = (json_int_t)last;
    int result = node_open(context);
    bool once = flag(context, "--once");
    /* A stream that ends or breaks off (the node stopped) is taken up again where it was. */
    for (unsigned attempt = 0; result == 0; attempt++) {
        json_int_t before = feed.last;
        result = feed_once(&feed, !once);
        if (once || result != 0)
            break;
        attempt = feed.last != before ? 0 : attempt;
        for (unsigned waited = 0; waited < (attempt < 5 ? 1u << attempt : 30u) && !http_interrupted; waited++)
            (void)sleep(1);
        result = http_interrupted ? 130 : 0;
    }
    if (result == 130 && feed.last >= 0)
        output_say(&context->output, "Interrupted. To go on: consent feed --after %lld", (long long)feed.last);
    cl_buffer_deinit(&feed.line);
    return result;
}

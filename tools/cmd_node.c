/* consent node, feed: how a node is, seen from outside, and what becomes final there. */
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

int run_node_status(struct context *context)
{
    json_t *json = NULL;
    int result = node_open(context);
    if (result == 0)
        result = node_get_json(context, &json, "/v1/status");
    if (result == 0 && (!json_is_string(json_object_get(json, "member")) || !json_is_integer(json_object_get(json, "height")))) {
        result = output_fail(&context->output, CL_E_FORMAT, "%s does not answer as a node does; check --node.", context->node_url);
        json_decref(json);
    }
    if (result != 0)
        return result;
    char when[TIME_TEXT_SIZE];
    time_text(when, (uint64_t)number(json, "block_time_ms") / 1000u);
    output_line(&context->output, "%s  %s at %s", text_of(json, "member"), text_of(json, "software"), context->node_url);
    output_line(&context->output, "height        %lld, of %s", (long long)number(json, "height"), when);
    output_line(&context->output, "log           %lld leaves; checkpoint at %lld", (long long)number(json, "log_size"), (long long)number(json, "checkpoint_size"));
    output_line(&context->output, "members       %lld, quorum %lld", (long long)number(json, "members"), (long long)number(json, "quorum"));
    output_line(&context->output, "waiting       %lld records, %lld bytes", (long long)number(json, "pool_records"), (long long)number(json, "pool_bytes"));
    output_line(&context->output, "disk free     %lld MiB", (long long)(number(json, "disk_free_bytes") >> 20));
    output_line(&context->output, "up            %lld s", (long long)number(json, "uptime_s"));
    output_json(&context->output, json_incref(json));
    json_decref(json);
    return 0;
}

struct doctor { struct context *context; json_t *findings; unsigned bad; };

static CL_PRINTF(3, 4) void finding(struct doctor *doctor, bool good, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    doctor->bad += good ? 0 : 1;
    output_line(&doctor->context->output, "%s  %s", output_coloured(&doctor->context->output, good ? "32" : "1;31", good ? "good" : "BAD "), text);
    (void)json_array_append_new(doctor->findings, json_pack("{s:b, s:s}", "good", good ? 1 : 0, "finding", text));
}

/* The checkpoint against the policy that the node itself gives: enough signatures, and how fresh. */
static void examine_checkpoint(struct doctor *doctor)
{
    struct http_answer note, policy_text;
    struct cl_policy *policy = NULL;
    size_t bad_line = 0;
    struct cl_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    struct cl_quorum_report *report = calloc(1, sizeof *report);
    if (checkpoint == NULL || report == NULL || node_get(doctor->context, &policy_text, "/v1/policy", "text/plain") != 0) {
        finding(doctor, false, "there is no trust file to be had");
        goto out;
    }
    enum cl_status status = cl_policy_new(&policy, &bad_line, policy_text.body.data, policy_text.body.length);
    http_answer_deinit(&policy_text);
    finding(doctor, status == CL_OK, "the trust file %s", status == CL_OK ? "is in order" : cl_status_sentence(status));
    if (status != CL_OK || node_get(doctor->context, &note, "/checkpoint", "text/plain") != 0)
        goto out;
    status = cl_checkpoint_decode(checkpoint, note.body.data, note.body.length);
    if (status == CL_OK)
        status = cl_policy_check(report, policy, checkpoint);
    uint64_t now_s = time_now_ms() / 1000u, age = now_s > report->as_of_s ? now_s - report->as_of_s : 0;
    finding(doctor, status == CL_OK, "the checkpoint of %llu leaves is signed by %zu of %zu (%zu needed)", (unsigned long long)checkpoint->size, report->signed_count, report->witnesses, report->needed);
    char text[TIME_TEXT_SIZE];
    age_text(text, age);
    finding(doctor, status == CL_OK && age < 3600, "the checkpoint is %s old", text);
    http_answer_deinit(&note);
out:
    cl_policy_free(policy);
    free(checkpoint);
    free(report);
}

static void examine_status(struct doctor *doctor, const json_t *status)
{
    json_int_t clock_ms = number(status, "clock_ms"), now = (json_int_t)time_now_ms(), apart = clock_ms > now ? clock_ms - now : now - clock_ms;
    json_int_t free_mib = number(status, "disk_free_bytes") >> 20, behind = number(status, "log_size") - number(status, "checkpoint_size");
    finding(doctor, apart < 30000, "its clock is %lld ms from this machine's", (long long)apart);
    finding(doctor, free_mib >= 1024, "its disk has %lld MiB left", (long long)free_mib);
    finding(doctor, number(status, "members") > 0 && number(status, "quorum") > 0, "%lld member%s, quorum %lld", (long long)number(status, "members"), number(status, "members") == 1 ? "" : "s", (long long)number(status, "quorum"));
    finding(doctor, behind < 65536, "its checkpoint is %lld leaves behind its log", (long long)behind);
}

int run_node_doctor(struct context *context)
{
    struct doctor doctor = {context, json_array(), 0};
    struct http_answer answer;
    json_t *status = NULL;
    int result = node_open(context);
    if (result == 0)
        result = node_get_json(context, &status, "/v1/status");
    if (result != 0) {
        json_decref(doctor.findings);
        return result;
    }
    finding(&doctor, true, "%s answers at %s", text_of(status, "member"), context->node_url);
    bool secure = strncmp(context->node_url, "https://", 8) == 0, local = strncmp(context->node_url, "http://127.", 11) == 0 || strncmp(context->node_url, "http://localhost", 16) == 0 || strncmp(context->node_url, "http://[::1]", 12) == 0;
    finding(&doctor, secure || local, secure ? "its certificate was accepted" : local ? "no certificate, and none is needed on this machine" : "it is reached over a network without TLS");
    if (node_get(context, &answer, "/readyz", "text/plain") == 0) {
        finding(&doctor, answer.status == 200, "it is ready");
        http_answer_deinit(&answer);
    } else {
        finding(&doctor, false, "it says that it is not ready");
    }
    examine_status(&doctor, status);
    examine_checkpoint(&doctor);
    json_decref(status);
    output_json(&context->output, json_pack("{s:i, s:o}", "bad", (int)doctor.bad, "findings", doctor.findings));
    return doctor.bad == 0 ? 0 : 1;
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

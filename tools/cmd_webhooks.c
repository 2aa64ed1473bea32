/* consent webhooks run, failed, replay, secret: what becomes final, posted to the organisation's own systems. */
#include "webhooks.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS 250u
#define SECRET_BYTES 32u

/* How a configuration looks, for whoever has none. */
static int ask_for_file(const struct context *context)
{
    return output_usage(&context->output, "Which file? It has for each endpoint: [NAME], url = https://..., secret-file = FILE, follow = ID or key; see consent(1), \"Webhooks\".");
}

/* ---- run */

static int network_of_node(struct context *context, struct cl_network_id *network)
{
    json_t *json = NULL;
    int result = node_open(context);
    if (result == 0)
        result = node_get_json(context, &json, "/v1/network");
    if (result != 0)
        return result;
    const char *id = json_string_value(json_object_get(json, "network_id"));
    if (id == NULL || !cl_hex_decode(network->bytes, 32, id))
        result = output_fail(&context->output, CL_E_FORMAT, "%s does not answer as a node does; check --node.", context->node_url);
    json_decref(json);
    return result;
}

static bool all_finished(struct webhook_endpoint *const *endpoints, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!webhook_endpoint_finished(endpoints[i]))
            return false;
    return true;
}

static void tell_totals(struct context *context, struct webhook_endpoint *const *endpoints, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct webhook_journal *journal = &endpoints[i]->journal;
        output_line(&context->output, "[%s] %llu delivered, %zu waiting, %zu failed; at log index %llu", endpoints[i]->settings->name, endpoints[i]->delivered, journal->waiting.count, journal->failed.count,
                    (unsigned long long)journal->next);
        (void)json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "name", endpoints[i]->settings->name, "delivered", (json_int_t)endpoints[i]->delivered, "waiting",
                                                    (json_int_t)journal->waiting.count, "failed", (json_int_t)journal->failed.count, "next", (json_int_t)journal->next, "off", journal->off != 0));
    }
    output_json(&context->output, json_pack("{s:o}", "endpoints", list));
}

static void tell_start(struct context *context, const struct webhook_endpoint *endpoint)
{
    const struct webhook_settings *settings = endpoint->settings;
    const struct webhook_journal *journal = &endpoint->journal;
    if (strncmp(settings->url, "http:", 5) == 0 && strncmp(settings->url, "http://127.", 11) != 0 && strncmp(settings->url, "http://localhost", 16) != 0 && strncmp(settings->url, "http://[::1]", 12) != 0)
        output_warn(&context->output, "[%s] The URL is not https: whoever is on the way can read what is posted.", settings->name);
    if (journal->off != 0)
        output_warn(&context->output, "[%s] is off since it answered %ld; 'consent webhooks replay FILE %s' switches it on.", settings->name, journal->off, settings->name);
    else
        output_say(&context->output, "[%s] from log index %llu on; %zu waiting, %zu failed.", settings->name, (unsigned long long)journal->next, journal->waiting.count, journal->failed.count);
}

int run_webhooks_run(struct context *context)
{
    struct webhook_config *config = NULL;
    struct webhook_endpoint *endpoints[WEBHOOK_ENDPOINTS_MAX] = {NULL};
    struct http_multi *multi = NULL;
    struct cl_network_id network;
    size_t count = 0;
    bool once = flag(context, "--once");
    if (positional(context, 0) == NULL)
        return ask_for_file(context);
    int result = webhook_config_read(context, &config, positional(context, 0));
    if (result == 0)
        result = network_of_node(context, &network);
    enum cl_status status = result == 0 ? http_multi_new(&multi) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    for (; result == 0 && count < config->count; count++) {
        result = webhook_endpoint_new(context, &endpoints[count], multi, config, &config->endpoints[count], &network, once);
        if (result == 0)
            tell_start(context, endpoints[count]);
    }
    while (result == 0 && !http_interrupted && !(once && all_finished(endpoints, count))) {
        for (size_t i = 0; i < count && result == 0; i++)
            result = webhook_endpoint_step(endpoints[i]);
        if (result == 0 && http_multi_wait(multi, TICK_MS) != CL_OK)
            result = output_fail(&context->output, CL_E_IO, "(connections)");
    }
    /* Also where something failed: what was noted is not noted in vain. */
    for (size_t i = 0; i < count; i++)
        if (endpoints[i]->journal.file >= 0) {
            int flushed = webhook_endpoint_flush(endpoints[i]);
            result = result == 0 ? flushed : result;
        }
    if (result == 0)
        tell_totals(context, endpoints, count);
    for (size_t i = 0; i < count; i++)
        webhook_endpoint_free(endpoints[i]);
    http_multi_free(multi);
    webhook_config_free(config);
    return result == 0 && http_interrupted ? 130 : result;
}

/* ---- failed */

static void tell_delivery(struct context *context, json_t *list, const char *name, const struct webhook_delivery *delivery, bool failed)
{
    char since[TIME_TEXT_SIZE], answer[32] = "no answer";
    time_text(since, delivery->since_ms / 1000u);
    if (delivery->status != 0)
        (void)snprintf(answer, sizeof answer, "HTTP %ld", delivery->status);
    output_line(&context->output, "%-16s  %-7s  %10llu  %s  %8u  %-20s  %s", name, failed ? "failed" : "waiting", (unsigned long long)delivery->index, delivery->subject, delivery->attempts,
                delivery->attempts == 0 ? "behind another one" : since, delivery->attempts == 0 ? "-" : answer);
    (void)json_array_append_new(list, json_pack("{s:s, s:b, s:I, s:s, s:i, s:I, s:I, s:I, s:i}", "name", name, "failed", failed, "log_index", (json_int_t)delivery->index, "object", delivery->subject,
                                                "attempts", (int)delivery->attempts, "since_ms", (json_int_t)delivery->since_ms, "last_ms", (json_int_t)delivery->last_ms, "next_ms",
                                                (json_int_t)(failed ? 0 : delivery->next_ms), "status", (int)delivery->status));
}

int run_webhooks_failed(struct context *context)
{
    struct webhook_config *config = NULL;
    if (positional(context, 0) == NULL)
        return ask_for_file(context);
    json_t *list = json_array(), *endpoints = json_array();
    int result = webhook_config_read(context, &config, positional(context, 0));
    bool any = false;
    for (size_t i = 0; result == 0 && i < config->count; i++) {
        struct webhook_journal journal;
        const char *name = config->endpoints[i].name;
        result = webhook_journal_read(context, &journal, config, name);
        if (result != 0)
            break;
        if (!any && journal.failed.count + journal.waiting.count > 0)
            output_line(&context->output, "%-16s  %-7s  %10s  %-64s  %8s  %-20s  %s", "endpoint", "state", "log index", "agreement", "attempts", "since", "last answer");
        any = any || journal.failed.count + journal.waiting.count > 0;
        for (size_t k = 0; k < journal.failed.count; k++)
            tell_delivery(context, list, name, journal.failed.items[k], true);
        for (size_t k = 0; k < journal.waiting.count; k++)
            tell_delivery(context, list, name, journal.waiting.items[k], false);
        if (journal.off != 0)
            output_say(&context->output, "[%s] is off since it answered %ld; 'consent webhooks replay %s %s' switches it on.", name, journal.off, positional(context, 0), name);
        else
            output_say(&context->output, journal.known ? "[%s] %zu failed, %zu waiting; everything else before log index %llu is delivered." : "[%s] was never run.", name, journal.failed.count, journal.waiting.count,
                       (unsigned long long)journal.next);
        (void)json_array_append_new(endpoints, json_pack("{s:s, s:b, s:I}", "name", name, "off", journal.off != 0, "next", (json_int_t)journal.next));
        webhook_journal_close(&journal);
    }
    if (result == 0)
        output_json(&context->output, json_pack("{s:O, s:O}", "events", list, "endpoints", endpoints));
    json_decref(list);
    json_decref(endpoints);
    webhook_config_free(config);
    return result;
}

/* ---- replay */

int run_webhooks_replay(struct context *context)
{
    struct webhook_config *config = NULL;
    char path[2300], text[64] = "failed\n";
    const char *name = positional(context, 1), *after = option(context, "--after");
    uint64_t index = 0;
    if (name == NULL)
        return output_usage(&context->output, "Which file, and which of its endpoints?");
    if (after != NULL && !number_parse(&index, after, INT64_MAX - 1))
        return output_usage(&context->output, "--after takes a log index.");
    if (after != NULL)
        (void)snprintf(text, sizeof text, "after %llu\n", (unsigned long long)index);
    int result = webhook_config_read(context, &config, positional(context, 0));
    if (result == 0 && webhook_config_find(config, name) == NULL)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "%s has no endpoint [%.40s].", positional(context, 0), name);
    if (result == 0) {
        (void)mkdir(config->state_directory, 0700);
        webhook_journal_path(path, sizeof path, config, name, ".replay");
        result = file_write(context, path, text, strlen(text), true);
    }
    if (result == 0) {
        if (after != NULL)
            output_say(&context->output, "Everything after log index %llu is sent to [%s] again, within a second where 'consent webhooks run' is running.", (unsigned long long)index, name);
        else
            output_say(&context->output, "What has failed or waits is sent to [%s] again, within a second where 'consent webhooks run' is running.", name);
        output_json(&context->output, after != NULL ? json_pack("{s:s, s:I}", "name", name, "after", (json_int_t)index) : json_pack("{s:s}", "name", name));
    }
    webhook_config_free(config);
    return result;
}

/* ---- secret */

int run_webhooks_secret(struct context *context)
{
    const char *path = positional(context, 0);
    if (path == NULL)
        return output_usage(&context->output, "Which file? (- for standard output)");
    struct cl_buffer text = {.secret = true};
    struct webhook_secrets before = {0};
    uint8_t secret[SECRET_BYTES];
    bool there = strcmp(path, "-") != 0 && access(path, F_OK) == 0;
    int result = there ? webhook_secrets_read(context, &before, path) : 0;
    if (result == 0 && before.count == WEBHOOK_SECRETS_MAX)
        result = output_fail(&context->output, CL_E_BOUND, "%s has four secrets; remove the last line, which is the oldest.", path);
    enum cl_status status = result == 0 ? cl_random_bytes(secret, sizeof secret) : CL_OK;
    if (result == 0 && status == CL_OK)
        status = cl_buffer_append(&text, "whsec_", 6);
    if (result == 0 && status == CL_OK)
        status = cl_base64_put(&text, secret, sizeof secret);
    if (result == 0 && status == CL_OK)
        status = cl_buffer_append(&text, "\n", 1);
    for (size_t i = 0; i < before.count && result == 0 && status == CL_OK; i++) {
        status = cl_buffer_append(&text, "whsec_", 6);
        if (status == CL_OK)
            status = cl_base64_put(&text, before.items[i].bytes, before.items[i].length);
        if (status == CL_OK)
            status = cl_buffer_append(&text, "\n", 1);
    }
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0)
        result = file_write(context, path, text.data, text.length, true);
    if (result == 0 && there)
        output_say(&context->output, "A new secret is the first line of %s; both sign from the next run on. Once the receiver has it, remove the line below.", path);
    else if (result == 0 && strcmp(path, "-") != 0)
        output_say(&context->output, "The secret is in %s, which only you can read; the receiver needs the same line.", path);
    if (result == 0 && strcmp(path, "-") != 0)
        output_json(&context->output, json_pack("{s:s, s:I}", "file", path, "secrets", (json_int_t)before.count + 1));
    cl_wipe_bytes(secret, sizeof secret);
    cl_wipe_bytes(&before, sizeof before);
    cl_buffer_wipe(&text);
    return result;
}

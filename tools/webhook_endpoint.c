/* Delivers to one endpoint, one request at a time on one connection: what concerns it in the order of the log, and what
   failed again by the schedule. Events that share an object (an agreement) never overtake each other: what comes behind an
   event that waits, waits too. Where everything fails, new events stay in the ledger until something is taken again. */
#include "webhooks.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define OUTAGE_FAILURES 3u /* in a row: the endpoint, and not the event, is the reason */
#define ANSWER_BYTES_MAX 65536u
#define FLUSH_EVERY_MS 500u
#define NEXT_AHEAD_MS_MAX (9ull * 24u * 3600u * 1000u) /* beyond, the clock was set back */
#define REPLAY_FILE_BYTES_MAX 256u

static int fail(const struct webhook_endpoint *endpoint, enum cl_status status)
{
    return output_fail(&endpoint->context->output, status, "[%s]", endpoint->settings->name);
}

/* ---- one attempt */

/* Answers are not looked at, only bounded. */
static bool on_answer(void *opaque, const char *data, size_t length)
{
    struct webhook_endpoint *endpoint = opaque;
    (void)data;
    endpoint->answer_bytes += length;
    return endpoint->answer_bytes <= ANSWER_BYTES_MAX;
}

static int send_delivery(struct webhook_endpoint *endpoint, struct webhook_delivery *delivery, uint64_t now_ms)
{
    const struct webhook_settings *settings = endpoint->settings;
    endpoint->signature.length = 0;
    endpoint->answer_bytes = 0;
    (void)snprintf(endpoint->id_header, sizeof endpoint->id_header, "webhook-id: %s", delivery->id);
    (void)snprintf(endpoint->time_header, sizeof endpoint->time_header, "webhook-timestamp: %llu", (unsigned long long)(now_ms / 1000u));
    static const char name[] = "webhook-signature: ";
    enum cl_status status = cl_buffer_append(&endpoint->signature, name, sizeof name - 1);
    if (status == CL_OK)
        status = webhook_sign(&endpoint->signature, &endpoint->secrets, delivery->id, now_ms / 1000u, delivery->body.data, delivery->body.length);
    if (status == CL_OK)
        status = cl_buffer_append(&endpoint->signature, "", 1);
    struct http_request request = {.method = "POST", .url = settings->url, .body = delivery->body.data, .body_length = delivery->body.length, .timeout_s = (long)settings->timeout_s,
                                   .headers = {"Content-Type: application/cloudevents+json", endpoint->id_header, endpoint->time_header, (const char *)endpoint->signature.data},
                                   .ca_file = settings->ca_file[0] == '\0' ? NULL : settings->ca_file, .piece = on_answer, .context = endpoint};
    if (status == CL_OK)
        status = http_transfer_start(endpoint->post, &request);
    endpoint->sending = status == CL_OK ? delivery : NULL;
    return status == CL_OK ? 0 : fail(endpoint, status);
}

/* In words, for people. Static storage. */
static const char *answer_text(long code, const char *problem)
{
    static char text[300];
    if (code != 0)
        (void)snprintf(text, sizeof text, "HTTP status %ld", code);
    else
        (void)snprintf(text, sizeof text, "no answer%s%s", problem[0] == '\0' ? "" : ": ", problem);
    return text;
}

static int taken(struct webhook_endpoint *endpoint, struct webhook_delivery *delivery, uint64_t now_ms)
{
    uint64_t index = delivery->index;
    if (webhook_list_find(&endpoint->fresh, index) == delivery) {
        (void)webhook_list_remove(&endpoint->fresh, index);
        webhook_delivery_free(delivery);
    }
    enum cl_status status = webhook_journal_delivered(&endpoint->journal, index);
    endpoint->delivered++;
    if (endpoint->failures_in_row >= OUTAGE_FAILURES) {
        output_say(&endpoint->context->output, "[%s] takes events again.", endpoint->settings->name);
        for (size_t i = 0; i < endpoint->journal.waiting.count; i++)
            if (endpoint->journal.waiting.items[i]->last_ms >= endpoint->outage_ms && endpoint->journal.waiting.items[i]->next_ms > now_ms)
                endpoint->journal.waiting.items[i]->next_ms = now_ms;
    }
    endpoint->failures_in_row = 0;
    return status == CL_OK ? 0 : fail(endpoint, status);
}

static int not_taken(struct webhook_endpoint *endpoint, struct webhook_delivery *delivery, long code, const struct http_answer *answer, uint64_t now_ms)
{
    const struct webhook_settings *settings = endpoint->settings;
    const struct output *output = &endpoint->context->output;
    uint32_t chance = 0;
    enum cl_status status = cl_random_bytes(&chance, sizeof chance);
    if (webhook_list_find(&endpoint->fresh, delivery->index) == delivery)
        (void)webhook_list_remove(&endpoint->fresh, delivery->index);
    if (delivery->attempts == 0)
        delivery->since_ms = now_ms;
    delivery->last_ms = now_ms;
    delivery->status = code;
    uint64_t delay_ms = webhook_delay_ms(settings->retry_ms, settings->retry_count, delivery->attempts, answer->retry_after_s, chance);
    delivery->next_ms = now_ms + delay_ms;
    delivery->attempts++;
    if (endpoint->failures_in_row++ == 0)
        endpoint->outage_ms = now_ms;
    if (endpoint->failures_in_row == OUTAGE_FAILURES)
        output_warn(output, "[%s] does not take events (%s); new ones wait in the ledger.", settings->name, answer_text(code, answer->problem));
    bool given_up = delivery->attempts > settings->retry_count && endpoint->journal.failed.count < WEBHOOK_FAILED_MAX;
    if (given_up)
        output_warn(output, "[%s] event %llu is given up after %u attempts (%s); 'consent webhooks replay' sends it again.", settings->name, (unsigned long long)delivery->index, delivery->attempts,
                    answer_text(code, answer->problem));
    else
        output_say(output, "[%s] event %llu, attempt %u: %s; again in %.1f s.", settings->name, (unsigned long long)delivery->index, delivery->attempts, answer_text(code, answer->problem),
                   (double)delay_ms / 1000.0);
    if (status == CL_OK)
        status = given_up ? webhook_journal_failed(&endpoint->journal, delivery) : webhook_journal_waits(&endpoint->journal, delivery);
    return status == CL_OK ? 0 : fail(endpoint, status);
}

static int attempt_ended(struct webhook_endpoint *endpoint, enum cl_status status, const struct http_answer *answer, uint64_t now_ms)
{
    struct webhook_delivery *delivery = endpoint->sending;
    long code = status == CL_OK || endpoint->answer_bytes > ANSWER_BYTES_MAX ? answer->status : 0;
    endpoint->sending = NULL;
    if (delivery == NULL || (status == CL_E_CANCELLED && code == 0))
        return 0; /* interrupted, or not wanted any more */
    if (code >= 200 && code < 300)
        return taken(endpoint, delivery, now_ms);
    if (code != 410)
        return not_taken(endpoint, delivery, code, answer, now_ms);
    output_warn(&endpoint->context->output, "[%s] answered 410 Gone: nothing more is sent to it until 'consent webhooks replay FILE %s'.", endpoint->settings->name, endpoint->settings->name);
    http_transfer_stop(endpoint->feed);
    status = webhook_journal_off(&endpoint->journal, code);
    return status == CL_OK ? 0 : fail(endpoint, status);
}

/* ---- what is sent next */

/* Is there one before it that waits, of the same agreement? */
static bool is_behind(const struct webhook_list *waiting, const struct webhook_delivery *delivery)
{
    for (size_t i = 0; i < waiting->count && waiting->items[i]->index < delivery->index; i++)
        if (webhook_share_object(waiting->items[i], delivery))
            return true;
    return false;
}

static struct webhook_delivery *due_waiting(const struct webhook_endpoint *endpoint, uint64_t now_ms)
{
    const struct webhook_list *waiting = &endpoint->journal.waiting;
    for (size_t i = 0; i < waiting->count; i++) {
        struct webhook_delivery *delivery = waiting->items[i];
        if ((delivery->next_ms <= now_ms || delivery->next_ms > now_ms + NEXT_AHEAD_MS_MAX) && !is_behind(waiting, delivery))
            return delivery;
    }
    return NULL;
}

/* Events before it that concerned nobody here may concern us by what comes now (an offer that is taken up): that they
   were passed is written first, lest a run after kill -9 finds them late. */
static int send_fresh(struct webhook_endpoint *endpoint, struct webhook_delivery *delivery, uint64_t now_ms)
{
    enum cl_status status = webhook_journal_at(&endpoint->journal, delivery->index);
    int result = status == CL_OK ? webhook_journal_write(endpoint->context, &endpoint->journal) : fail(endpoint, status);
    return result == 0 ? send_delivery(endpoint, delivery, now_ms) : result;
}

static int send_next(struct webhook_endpoint *endpoint, uint64_t now_ms)
{
    if (endpoint->journal.waiting.count > 0 && webhook_feed_missing(endpoint) != NULL)
        return 0; /* it is not known what may not overtake it */
    struct webhook_delivery *delivery = due_waiting(endpoint, now_ms);
    if (delivery != NULL)
        return send_delivery(endpoint, delivery, now_ms);
    while (endpoint->failures_in_row < OUTAGE_FAILURES && endpoint->fresh.count > 0) {
        delivery = endpoint->fresh.items[0];
        if (!is_behind(&endpoint->journal.waiting, delivery))
            return send_fresh(endpoint, delivery, now_ms);
        (void)webhook_list_remove(&endpoint->fresh, delivery->index);
        enum cl_status status = webhook_journal_waits(&endpoint->journal, delivery);
        if (status != CL_OK)
            return fail(endpoint, status);
    }
    return 0;
}

/* ---- replay */

/* What had failed before the replay was asked for waits again, as much as there is room for: what fails after that waits by the
   schedule, and is given up, as anything else. *all: that was all. */
static enum cl_status requeue_failed(struct webhook_endpoint *endpoint, uint64_t now_ms, bool *all)
{
    struct webhook_journal *journal = &endpoint->journal;
    enum cl_status status = CL_OK;
    size_t at = 0;
    while (at < journal->failed.count && journal->waiting.count < WEBHOOK_QUEUE_MAX / 2 && status == CL_OK) {
        struct webhook_delivery *delivery = journal->failed.items[at];
        if (delivery->last_ms > endpoint->replay_since_ms && delivery->last_ms <= now_ms) { /* later than now: before the clock was set back */
            at++;
            continue;
        }
        (void)webhook_list_remove(&journal->failed, delivery->index);
        delivery->attempts = 0;
        delivery->next_ms = 0;
        if (webhook_list_find(&endpoint->fresh, delivery->index) != NULL) {
            webhook_delivery_free(delivery); /* it is on its way anyhow */
            continue;
        }
        status = webhook_journal_waits(journal, delivery);
    }
    *all = at == journal->failed.count;
    return status;
}

/* Once for each time that it is asked; requeue_failed goes on for as long as it takes. */
static enum cl_status obey(struct webhook_endpoint *endpoint, const char *text, uint64_t now_ms)
{
    unsigned long long after = 0;
    enum cl_status status = endpoint->journal.off == 0 ? CL_OK : webhook_journal_off(&endpoint->journal, 0);
    endpoint->failures_in_row = 0;
    endpoint->replay_since_ms = now_ms;
    for (size_t i = 0; i < endpoint->journal.waiting.count; i++)
        endpoint->journal.waiting.items[i]->next_ms = 0;
    if (status != CL_OK || sscanf(text, "after %llu", &after) != 1 || after >= INT64_MAX)
        return status;
    if (endpoint->sending != NULL && webhook_list_find(&endpoint->fresh, endpoint->sending->index) == endpoint->sending) {
        http_transfer_stop(endpoint->post);
        endpoint->sending = NULL;
    }
    webhook_feed_restart(endpoint, after + 1);
    return webhook_journal_at(&endpoint->journal, after + 1);
}

/* What 'consent webhooks replay' left. */
static int look_for_replay(struct webhook_endpoint *endpoint, uint64_t now_ms)
{
    char path[2300];
    bool all = true;
    struct cl_buffer text = {0};
    webhook_journal_path(path, sizeof path, endpoint->config, endpoint->settings->name, ".replay");
    if (access(path, F_OK) != 0)
        return 0;
    int result = file_read(endpoint->context, &text, path, REPLAY_FILE_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_buffer_append(&text, "", 1) : CL_OK;
    if (result == 0 && status == CL_OK && endpoint->replay_since_ms == 0)
        status = obey(endpoint, (const char *)text.data, now_ms);
    if (result == 0 && status == CL_OK && strncmp((const char *)text.data, "after ", 6) != 0)
        status = requeue_failed(endpoint, now_ms, &all);
    cl_buffer_deinit(&text);
    if (status != CL_OK)
        return fail(endpoint, status);
    if (result == 0)
        result = webhook_journal_flush(endpoint->context, &endpoint->journal);
    if (result == 0 && all && unlink(path) != 0)
        return output_fail(&endpoint->context->output, CL_E_IO, "%s: %s", path, strerror(errno));
    endpoint->replay_since_ms = all ? 0 : endpoint->replay_since_ms;
    return result;
}

/* ---- the whole */

int webhook_endpoint_flush(struct webhook_endpoint *endpoint)
{
    uint64_t settled = webhook_feed_settled(endpoint);
    enum cl_status status = settled == endpoint->journal.next ? CL_OK : webhook_journal_at(&endpoint->journal, settled);
    return status == CL_OK ? webhook_journal_flush(endpoint->context, &endpoint->journal) : fail(endpoint, status);
}

int webhook_endpoint_step(struct webhook_endpoint *endpoint)
{
    enum cl_status status;
    const struct http_answer *answer;
    uint64_t now_ms = time_now_ms();
    int result = http_transfer_done(endpoint->post, &status, &answer) ? attempt_ended(endpoint, status, answer, now_ms) : 0;
    if (result == 0 && now_ms - endpoint->replay_ms >= FLUSH_EVERY_MS) {
        endpoint->replay_ms = now_ms;
        result = look_for_replay(endpoint, now_ms);
    }
    if (result == 0)
        result = webhook_feed_step(endpoint, now_ms);
    if (result == 0 && endpoint->sending == NULL && endpoint->journal.off == 0)
        result = send_next(endpoint, now_ms);
    if (result == 0 && now_ms - endpoint->flushed_ms >= FLUSH_EVERY_MS) {
        endpoint->flushed_ms = now_ms;
        result = webhook_endpoint_flush(endpoint);
    }
    return result;
}

bool webhook_endpoint_finished(const struct webhook_endpoint *endpoint)
{
    if (endpoint->journal.off != 0)
        return true;
    bool nothing_new = endpoint->batch.count + endpoint->asked.count == 0 && (endpoint->fresh.count == 0 || endpoint->failures_in_row >= OUTAGE_FAILURES);
    bool nothing_read = endpoint->at_end || endpoint->failures_in_row >= OUTAGE_FAILURES || endpoint->journal.waiting.count >= WEBHOOK_QUEUE_MAX / 2;
    return nothing_read && nothing_new && endpoint->sending == NULL && webhook_feed_missing(endpoint) == NULL && due_waiting(endpoint, time_now_ms()) == NULL;
}

/* Where the feed is begun for an endpoint that is new. */
static int first_position(struct webhook_endpoint *endpoint)
{
    const char *after = endpoint->settings->after;
    uint64_t last = 0;
    json_t *json = NULL;
    if (strcmp(after, "now") == 0) {
        int result = node_get_json(endpoint->context, &json, "/v1/status");
        endpoint->journal.next = (uint64_t)json_integer_value(json_object_get(json, "log_size"));
        json_decref(json);
        return result;
    }
    endpoint->journal.next = after[0] != '\0' && number_parse(&last, after, INT64_MAX - 1) ? last + 1 : 0;
    return 0;
}

int webhook_endpoint_new(struct context *context, struct webhook_endpoint **out, struct http_multi *multi, const struct webhook_config *config,
                         const struct webhook_settings *settings, const struct cl_network_id *network, bool once)
{
    struct webhook_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    *endpoint = (struct webhook_endpoint){.context = context, .config = config, .settings = settings, .once = once, .journal = {.file = -1, .lock = -1}};
    *out = endpoint;
    int result = webhook_secrets_read(context, &endpoint->secrets, settings->secret_file);
    if (result == 0)
        result = reader_header(context, endpoint->reader, sizeof endpoint->reader);
    if (result == 0)
        result = webhook_journal_open(context, &endpoint->journal, config, settings->name, network);
    if (result == 0 && !endpoint->journal.known)
        result = first_position(endpoint);
    if (result == 0 && !endpoint->journal.known)
        result = webhook_journal_create(context, &endpoint->journal);
    enum cl_status status = result == 0 ? http_transfer_new(&endpoint->feed, multi) : CL_OK;
    if (status == CL_OK && result == 0)
        status = http_transfer_new(&endpoint->lookup, multi);
    if (status == CL_OK && result == 0)
        status = http_transfer_new(&endpoint->fetch, multi);
    if (status == CL_OK && result == 0)
        status = http_transfer_new(&endpoint->post, multi);
    endpoint->read_next = endpoint->journal.next;
    return status == CL_OK ? result : fail(endpoint, status);
}

void webhook_endpoint_free(struct webhook_endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    http_transfer_free(endpoint->feed);
    http_transfer_free(endpoint->lookup);
    http_transfer_free(endpoint->fetch);
    http_transfer_free(endpoint->post);
    webhook_list_clear(&endpoint->batch);
    webhook_list_clear(&endpoint->asked);
    webhook_list_clear(&endpoint->fresh);
    cl_buffer_deinit(&endpoint->line);
    cl_buffer_deinit(&endpoint->fetched);
    cl_buffer_deinit(&endpoint->ids);
    cl_buffer_deinit(&endpoint->signature);
    webhook_journal_close(&endpoint->journal);
    cl_wipe_bytes(&endpoint->secrets, sizeof endpoint->secrets);
    cl_wipe_bytes(endpoint->reader, sizeof endpoint->reader);
    free(endpoint);
}

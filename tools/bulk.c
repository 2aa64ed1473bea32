/* consent subscribe --from LIST: thousands of TERMS in one go. Every 64 lines become a record; several records are on their
   way at once; a journal beside the list (bulk_journal.c) remembers what was signed before it is sent, so that a run that
   was cut short, however, goes on with the same bytes. */
#include "bulk.h"
#include "bulk_parts.h"

#include <stdlib.h>
#include <unistd.h>

#define TELL_EVERY_MS 10000u

static int sign_batch(struct bulk *bulk, struct bulk_batch *batch)
{
    struct context *context = bulk->context;
    struct cl_entry entries[CL_RECORD_ENTRIES_SHORT_MAX];
    size_t count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct bulk_item *from = &batch->items[i];
        if (from->why != CL_OK)
            continue;
        entries[count] = (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(8) | CL_HAS(9), .object = from->nonce, .object_length = 16, .commitment = from->commitment, .ref = from->terms, .slots = from->slots};
        if (bulk->has_profile) {
            entries[count].present |= CL_HAS(13);
            entries[count].party = bulk->party.bytes;
        }
        count++;
    }
    if (count == 0)
        return 0;
    /* 4: 1, so that one customer's closing of terms does not hold up the other 63 */
    struct cl_draft draft = {.type = CL_SUBSCRIBE, .skip_refused = true, .issued_at_ms = time_now_ms(), .signer = bulk->signer.signer.key, .entries = entries, .entry_count = count};
    struct cl_signer signer = bulk->signer.signer;
    signer.context = &bulk->signer;
    enum cl_status status = cl_record_sign(&batch->record, NULL, NULL, &draft, &signer, &context->wallet->network.id);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

static int send_chunk(struct bulk *bulk, struct bulk_chunk *chunk)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < chunk->count; i++) {
        struct bulk_batch *batch = &chunk->batches[i];
        struct submission submission;
        if (batch->record.length == 0)
            continue;
        result = record_offer(bulk->context, &submission, batch->record.data, batch->record.length, false);
        if (result == 0 && submission.refused)
            batch->refused = submission.why;
    }
    return result;
}

/* Up to 448 lines: read, looked up, signed, written down, sent. */
static int make_chunk(struct bulk *bulk, bool *more)
{
    struct bulk_chunk *chunk = bulk->chunks[bulk->chunk_count];
    int result = 0;
    chunk->count = 0;
    while (*more && chunk->count < CHUNK_BATCHES) {
        struct bulk_batch *batch = &chunk->batches[chunk->count];
        batch->record = (struct cl_buffer){0};
        batch->refused = CL_OK;
        batch->first_line = bulk->list.line + 1;
        batch->count = 0;
        while (batch->count < CL_RECORD_ENTRIES_SHORT_MAX && (*more = list_next(&bulk->list, &batch->items[batch->count])))
            batch->count++;
        batch->last_line = bulk->list.line;
        chunk->count += batch->count > 0 ? 1 : 0;
    }
    if (chunk->count == 0)
        return 0;
    result = judge_chunk(bulk, chunk);
    for (size_t i = 0; result == 0 && i < chunk->count; i++)
        result = sign_batch(bulk, &chunk->batches[i]);
    if (result == 0)
        result = journal_sent(bulk, chunk);
    if (result != 0) {
        chunk_clear(chunk);
        return result;
    }
    bulk->chunk_count++;
    return send_chunk(bulk, chunk);
}

/* A bar on a terminal; elsewhere a line now and then. */
static void tell(struct bulk *bulk)
{
    struct output *output = &bulk->context->output;
    uint64_t now_ms = time_now_ms(), passed_ms = now_ms > bulk->started_ms ? now_ms - bulk->started_ms : 1;
    uint64_t lines = bulk->done_line - bulk->started_line, left = bulk->list.line_count - bulk->done_line;
    uint64_t rate = lines * 1000u / passed_ms;
    char note[96] = "", age[TIME_TEXT_SIZE];
    if (rate > 0) {
        age_text(age, left / rate);
        (void)snprintf(note, sizeof note, "; %llu a second, %s left", (unsigned long long)rate, left < rate ? "a moment" : age);
    }
    if (isatty(STDERR_FILENO) == 1) {
        output_progress_note(output, "lines", bulk->done_line, bulk->list.line_count, note);
    } else if (now_ms >= bulk->told_ms + TELL_EVERY_MS) {
        bulk->told_ms = now_ms;
        output_say(output, "%zu of %zu lines%s", bulk->done_line, bulk->list.line_count, note);
    }
}

/* The oldest chunk: waits until it is final, lists what came of it. */
static int settle_oldest(struct bulk *bulk)
{
    struct bulk_chunk *chunk = bulk->chunks[0];
    int result = judge_outcome(bulk, chunk);
    if (result == 0)
        result = journal_done(bulk, chunk);
    if (result != 0)
        return result;
    chunk_clear(chunk);
    memmove(bulk->chunks, bulk->chunks + 1, (CHUNKS - 1) * sizeof *bulk->chunks);
    bulk->chunks[CHUNKS - 1] = chunk;
    bulk->chunk_count--;
    tell(bulk);
    return 0;
}

static int signer_and_party(struct bulk *bulk)
{
    struct context *context = bulk->context;
    const char *as = option(context, "--as");
    struct cl_wallet_item *profile = NULL;
    struct cl_object_id id;
    if (as == NULL && option(context, "--key") == NULL && option(context, "--signer") == NULL)
        return output_usage(&context->output, "In whose name? --as PROFILE, or --key NAME.");
    if (as != NULL && cl_wallet_item_find(&profile, context->wallet, as) == CL_OK && profile->kind == CL_ITEM_PROFILE)
        id = profile->object;
    else if (as != NULL && !id_parse(&id, as)) /* a delegate acts for a profile that is not in this wallet */
        return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s' is not a profile of this wallet.", as);
    int result = signer_open(context, &bulk->signer, profile == NULL ? NULL : profile->key_name);
    bulk->has_profile = as != NULL;
    bulk->party.length = as != NULL ? 32 : 33;
    memcpy(bulk->party.bytes, as != NULL ? id.bytes : bulk->signer.signer.key.bytes, bulk->party.length);
    return result;
}

static int bulk_open(struct bulk *bulk)
{
    bulk->path = option(bulk->context, "--from");
    if (strcmp(bulk->path, "-") == 0)
        return output_usage(&bulk->context->output, "A list has to be a file: its journal stands beside it.");
    (void)snprintf(bulk->journal_path, sizeof bulk->journal_path, "%.3000s.journal", bulk->path);
    (void)snprintf(bulk->results_path, sizeof bulk->results_path, "%.3000s.agreements", bulk->path);
    (void)snprintf(bulk->refusals_path, sizeof bulk->refusals_path, "%.3000s.refused", bulk->path);
    for (size_t i = 0; i < CHUNKS; i++) {
        bulk->chunks[i] = calloc(1, sizeof *bulk->chunks[i]);
        if (bulk->chunks[i] == NULL)
            return output_fail(&bulk->context->output, CL_E_MEMORY, NULL);
    }
    int result = network_open(bulk->context);
    if (result == 0)
        result = signer_and_party(bulk);
    if (result == 0)
        result = list_open(bulk);
    return result == 0 ? journal_open(bulk) : result;
}

static int bulk_run(struct bulk *bulk)
{
    struct bulk_item item;
    bool more = true;
    size_t resumed = bulk->done_line;
    int result = 0;
    for (size_t i = 0; i < bulk->chunk_count; i++)
        resumed = bulk->chunks[i]->batches[bulk->chunks[i]->count - 1].last_line;
    if (resumed > 0)
        output_say(&bulk->context->output, "Going on after line %zu of %zu.", bulk->done_line, bulk->list.line_count);
    while (more && bulk->list.line < resumed)
        more = list_next(&bulk->list, &item);
    bulk->started_ms = bulk->told_ms = time_now_ms();
    bulk->started_line = bulk->done_line;
    for (size_t i = 0; result == 0 && i < bulk->chunk_count; i++)
        result = send_chunk(bulk, bulk->chunks[i]);
    while (result == 0 && !http_interrupted && (more || bulk->chunk_count > 0)) {
        if (more && bulk->chunk_count < CHUNKS)
            result = make_chunk(bulk, &more);
        else
            result = settle_oldest(bulk);
    }
    return http_interrupted ? 130 : result;
}

static void bulk_summary(struct bulk *bulk, int result)
{
    struct context *context = bulk->context;
    const struct bulk_totals *totals = &bulk->totals;
    if (result == 0) {
        output_line(&context->output, "%llu subscriptions, %llu lines refused, %llu agreed to before", (unsigned long long)totals->agreed, (unsigned long long)totals->refused, (unsigned long long)totals->already);
        output_line(&context->output, "agreements: %s", bulk->results_path);
        if (totals->refused > 0)
            output_line(&context->output, "refused, and why: %s", bulk->refusals_path);
        output_json(&context->output, json_pack("{s:I, s:I, s:I, s:s, s:s}", "subscriptions", (json_int_t)totals->agreed, "refused", (json_int_t)totals->refused, "already", (json_int_t)totals->already, "file", bulk->results_path, "refused_file", bulk->refusals_path));
    } else if (bulk->journal >= 0 && bulk->list.line_count > 0) {
        output_warn(&context->output, "%s after line %zu of %zu. The same command goes on there; %s remembers.", result == 130 ? "Interrupted" : "Stopped", bulk->done_line, bulk->list.line_count, bulk->journal_path);
    }
}

int bulk_subscribe(struct context *context)
{
    struct bulk bulk = {.context = context, .journal = -1, .results = -1, .refusals = -1};
    int result = bulk_open(&bulk);
    if (result == 0)
        result = bulk_run(&bulk);
    output_progress_end(&context->output);
    bulk_summary(&bulk, result);
    for (size_t i = 0; i < CHUNKS; i++) {
        if (bulk.chunks[i] != NULL)
            chunk_clear(bulk.chunks[i]);
        free(bulk.chunks[i]);
    }
    list_close(&bulk.list);
    journal_close(&bulk);
    return result;
}

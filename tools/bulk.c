/* consent subscribe --from LIST: thousands of TERMS in one go. 64 entries go into a record; a journal beside the list
   remembers what was signed before it is sent, so that a run which was cut short goes on with the same bytes:

   LIST.journal      consent-journal 1 NETWORK SIGNER           the first line
                     sent FIRST LAST BASE64-RECORD              lines of the list, and the record made of them
                     done LAST                                  it is final, and its agreements are listed
   LIST.agreements   TERMS,AGREEMENT,STATE                      STATE: active, subscribed, …, or the code of a refusal */
#include "bulk.h"
#include "act.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIST_BYTES_MAX (256u * 1024u * 1024u)
#define WINDOW 8u /* records on their way at once */

struct bulk_entry { uint8_t nonce[16], commitment[32], terms[32]; uint64_t slots; struct cl_object_id id; };
struct batch { size_t first_line, last_line, count; struct bulk_entry entries[CL_RECORD_ENTRIES_SHORT_MAX]; struct cl_buffer record; };
struct bulk {
    struct context *context;
    struct act_signer signer;
    bool has_profile;
    uint8_t profile[32];
    struct cl_buffer list;
    size_t at, line, line_count, done_line;
    uint64_t active, skipped;
    int journal, results;
    char journal_path[3200], results_path[3200];
    struct batch *window;
    size_t window_count;
};

static bool append_line(int file, const char *text, size_t length, bool sync)
{
    while (length > 0) {
        ssize_t wrote = write(file, text, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        text += wrote;
        length -= (size_t)wrote;
    }
    return !sync || fdatasync(file) == 0;
}

static int say_result(struct bulk *bulk, const uint8_t terms32[32], const char *agreement, const char *state)
{
    char line[220];
    int length = snprintf(line, sizeof line, "%s,%s,%s\n", id_text(terms32), agreement, state);
    return append_line(bulk->results, line, (size_t)length, false) ? 0 : output_fail(&bulk->context->output, CL_E_IO, "%s: %s", bulk->results_path, strerror(errno));
}

/* The next line that is not empty and no comment. Returns: false at the end. */
static bool next_line(struct bulk *bulk, char out[80])
{
    while (bulk->at < bulk->list.length) {
        const char *start = (const char *)bulk->list.data + bulk->at;
        const char *end = memchr(start, '\n', bulk->list.length - bulk->at);
        size_t length = end == NULL ? bulk->list.length - bulk->at : (size_t)(end - start);
        bulk->at += length + 1;
        bulk->line++;
        size_t part = 0;
        while (part < length && part < 79 && memchr(",;\r \t", start[part], 5) == NULL) /* a zero byte separates nothing */
            part++;
        if (part == 0 || start[0] == '#')
            continue;
        memcpy(out, start, part);
        out[part] = '\0';
        return true;
    }
    return false;
}

static size_t count_lines(const struct cl_buffer *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->length; i++)
        count += list->data[i] == '\n' ? 1 : 0;
    return count + (list->length > 0 && list->data[list->length - 1] != '\n' ? 1 : 0);
}

/* One line becomes an entry, or a line among the results that says why not. */
static int add_line(struct bulk *bulk, struct batch *batch, const char *text)
{
    struct context *context = bulk->context;
    struct cl_object_id id;
    struct object object = {0};
    if (!id_parse(&id, text)) {
        if (bulk->line == 1)
            return 0; /* a heading */
        return output_fail(&context->output, CL_E_FORMAT, "Line %zu of the list does not begin with the id of TERMS (64 hex digits).", bulk->line);
    }
    int result = object_fetch(context, &object, &id, false);
    const char *why = result == 3 ? "CL_E_NO_OBJECT" : NULL;
    if (result != 0 && result != 3)
        return result;
    const struct cl_terms *terms = &object.as.terms;
    if (why == NULL)
        why = object.kind != CL_STATE_TERMS ? "CL_E_OBJECT_KIND" : !terms->open ? "CL_E_CLOSED" : terms->answers >= terms->limit ? "CL_E_LIMIT" : terms->audience.kind != 0 ? "CL_E_AUDIENCE" : NULL;
    result = 0;
    if (why != NULL) {
        bulk->skipped++;
        result = say_result(bulk, id.bytes, "", why);
    } else {
        struct bulk_entry *entry = &batch->entries[batch->count++];
        memcpy(entry->terms, id.bytes, 32);
        memcpy(entry->commitment, terms->commitment, 32);
        entry->slots = terms->slots;
        if (cl_random_bytes(entry->nonce, 16) != CL_OK)
            result = output_fail(&context->output, CL_E_IO, NULL);
        cl_object_id_derive(&entry->id, bulk->signer.signer.key.bytes, entry->nonce);
    }
    object_deinit(&object);
    return result;
}

static int sign_batch(struct bulk *bulk, struct batch *batch)
{
    struct context *context = bulk->context;
    struct cl_entry entries[CL_RECORD_ENTRIES_SHORT_MAX];
    for (size_t i = 0; i < batch->count; i++) {
        struct bulk_entry *from = &batch->entries[i];
        entries[i] = (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(8) | CL_HAS(9), .object = from->nonce, .object_length = 16, .commitment = from->commitment, .ref = from->terms, .slots = from->slots};
        if (bulk->has_profile) {
            entries[i].present |= CL_HAS(13);
            entries[i].party = bulk->profile;
        }
    }
    /* 4: 1, so that one customer's closing of terms does not hold up the other 63 */
    struct cl_draft draft = {.type = CL_SUBSCRIBE, .skip_refused = true, .issued_at_ms = time_now_ms(), .signer = bulk->signer.signer.key, .entries = entries, .entry_count = batch->count};
    struct cl_signer signer = bulk->signer.signer;
    struct cl_record_id id;
    signer.context = &bulk->signer;
    enum cl_status status = cl_record_sign(&batch->record, &id, NULL, &draft, &signer, &context->wallet->network.id);
    struct cl_buffer line = {0};
    char head[64];
    int length = snprintf(head, sizeof head, "sent %zu %zu ", batch->first_line, batch->last_line);
    if (status == CL_OK)
        status = cl_buffer_append(&line, head, (size_t)length);
    if (status == CL_OK)
        status = cl_base64_put(&line, batch->record.data, batch->record.length);
    if (status == CL_OK)
        status = cl_buffer_append(&line, "\n", 1);
    int result = status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
    if (result == 0 && !append_line(bulk->journal, (const char *)line.data, line.length, true))
        result = output_fail(&context->output, CL_E_IO, "%s: %s", bulk->journal_path, strerror(errno));
    cl_buffer_deinit(&line);
    return result;
}

/* Gathers up to 64 lines, signs them, writes them down, sends them. */
static int make_batch(struct bulk *bulk, bool *more)
{
    char text[80];
    struct batch *batch = &bulk->window[bulk->window_count];
    *batch = (struct batch){.first_line = bulk->line + 1};
    int result = 0;
    *more = true;
    while (result == 0 && batch->count < CL_RECORD_ENTRIES_SHORT_MAX && !http_interrupted && (*more = next_line(bulk, text)))
        result = add_line(bulk, batch, text);
    batch->last_line = bulk->line;
    if (result != 0 || batch->count == 0 || http_interrupted)
        return http_interrupted ? 130 : result;
    result = sign_batch(bulk, batch);
    struct submission submission;
    if (result == 0)
        bulk->window_count++;
    return result != 0 ? result : record_submit(bulk->context, &submission, batch->record.data, batch->record.length, false);
}

/* What came of each entry, by asking for its agreement. */
static int list_batch(struct bulk *bulk, const struct batch *batch)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < batch->count; i++) {
        struct object object;
        int found = object_fetch(bulk->context, &object, &batch->entries[i].id, false);
        if (found == 0) {
            bulk->active++;
            result = say_result(bulk, batch->entries[i].terms, id_text(batch->entries[i].id.bytes), state_word(&object));
            object_deinit(&object);
        } else if (found == 3) {
            bulk->skipped++;
            result = say_result(bulk, batch->entries[i].terms, "", "CL_E_NOTHING_APPLIES");
        } else {
            result = found;
        }
    }
    return result;
}

/* Waits until the records on their way are final; the oldest first. */
static int settle(struct bulk *bulk)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < bulk->window_count; i++) {
        struct batch *batch = &bulk->window[i];
        struct submission submission = {0};
        char line[48];
        for (unsigned attempt = 0; result == 0 && !submission.final; attempt++) {
            result = attempt == 20 ? output_fail(&bulk->context->output, CL_E_PENDING, "The node takes records but makes nothing final.") : record_submit(bulk->context, &submission, batch->record.data, batch->record.length, true);
            if (result != 0 && submission.refused)
                result = 0, submission.final = true; /* none of its entries applies; list_batch says so of each */
        }
        if (result == 0)
            result = list_batch(bulk, batch);
        int length = snprintf(line, sizeof line, "done %zu\n", batch->last_line);
        if (result == 0 && (fdatasync(bulk->results) != 0 || !append_line(bulk->journal, line, (size_t)length, true)))
            result = output_fail(&bulk->context->output, CL_E_IO, "%s: %s", bulk->journal_path, strerror(errno));
        if (result == 0)
            output_progress(&bulk->context->output, "subscriptions", batch->last_line, bulk->line_count);
    }
    for (size_t i = 0; i < bulk->window_count; i++)
        cl_buffer_deinit(&bulk->window[i].record);
    bulk->window_count = 0;
    return result;
}

/* ---- the journal of a run before */

/* A record that was signed but may not have arrived: its entries are read back from its bytes. */
static int resume_batch(struct bulk *bulk, struct batch *batch, const char *base64, size_t length)
{
    struct cl_record *record = calloc(1, sizeof *record);
    enum cl_status status = record == NULL ? CL_E_MEMORY : cl_base64_get(&batch->record, base64, length);
    if (status == CL_OK)
        status = cl_record_decode(record, NULL, batch->record.data, batch->record.length, &bulk->context->wallet->network.id);
    if (status == CL_OK) {
        for (size_t i = 0; i < record->entry_count && i < CL_RECORD_ENTRIES_SHORT_MAX && record->type == CL_SUBSCRIBE; i++) {
            struct bulk_entry *entry = &batch->entries[batch->count++];
            memcpy(entry->terms, record->entries[i].ref, 32);
            memcpy(entry->nonce, record->entries[i].object, 16);
            cl_object_id_derive(&entry->id, record->signer33, entry->nonce);
        }
        cl_record_deinit(record);
    }
    free(record);
    return status == CL_OK ? 0 : output_fail(&bulk->context->output, status, "%s", bulk->journal_path);
}

static int read_journal_line(struct bulk *bulk, const char *line, size_t length)
{
    size_t first = 0, last = 0;
    int used = 0;
    char head[64];
    (void)snprintf(head, sizeof head, "%.*s", (int)(length < 63 ? length : 63), line);
    if (sscanf(head, "done %zu", &last) == 1) {
        bulk->done_line = last;
        size_t kept = 0;
        for (size_t i = 0; i < bulk->window_count; i++) {
            if (bulk->window[i].last_line <= last)
                cl_buffer_deinit(&bulk->window[i].record);
            else
                bulk->window[kept++] = bulk->window[i];
        }
        bulk->window_count = kept;
        return 0;
    }
    if (sscanf(head, "sent %zu %zu %n", &first, &last, &used) == 2 && used > 0 && bulk->window_count < WINDOW && (size_t)used < length) {
        struct batch *batch = &bulk->window[bulk->window_count++];
        *batch = (struct batch){.first_line = first, .last_line = last};
        return resume_batch(bulk, batch, line + used, length - (size_t)used);
    }
    return output_fail(&bulk->context->output, CL_E_FORMAT, "%s; to begin anew, remove it and %s.", bulk->journal_path, bulk->results_path);
}

static int read_journal(struct bulk *bulk)
{
    struct context *context = bulk->context;
    struct cl_buffer text = {0};
    char header[220], key[67];
    cl_hex_encode(key, bulk->signer.signer.key.bytes, 33);
    int header_length = snprintf(header, sizeof header, "consent-journal 1 %s %s\n", id_text(context->wallet->network.id.bytes), key);
    enum cl_status status = cl_file_read(&text, bulk->journal_path, LIST_BYTES_MAX);
    int result = 0;
    if (status == CL_E_NOT_FOUND)
        goto out;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s", bulk->journal_path);
    else if (text.length > 0 && (text.length < (size_t)header_length || memcmp(text.data, header, (size_t)header_length) != 0))
        result = output_fail(&context->output, CL_E_EXISTS, "%s is of another network or another key; remove it to begin anew.", bulk->journal_path);
    size_t at = (size_t)header_length;
    while (result == 0 && at < text.length) {
        const char *start = (const char *)text.data + at, *end = memchr(start, '\n', text.length - at);
        if (end == NULL)
            break; /* cut off while it was written: that record was never sent */
        result = read_journal_line(bulk, start, (size_t)(end - start));
        at += (size_t)(end - start) + 1;
    }
    if (result == 0 && at < text.length && truncate(bulk->journal_path, (off_t)at) != 0)
        result = output_fail(&context->output, CL_E_IO, "%s: %s", bulk->journal_path, strerror(errno));
out:
    if (result == 0) {
        bulk->journal = open(bulk->journal_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        bulk->results = open(bulk->results_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (bulk->journal < 0 || bulk->results < 0 || (text.length == 0 && !append_line(bulk->journal, header, (size_t)header_length, true)))
            result = output_fail(&context->output, CL_E_IO, "%s: %s", bulk->journal_path, strerror(errno));
    }
    cl_buffer_deinit(&text);
    return result;
}

static int bulk_open(struct bulk *bulk)
{
    struct context *context = bulk->context;
    const char *path = option(context, "--from"), *as = option(context, "--as");
    struct cl_wallet_item *profile = NULL;
    int result = strcmp(path, "-") == 0 ? output_usage(&context->output, "A list has to be a file: its journal stands beside it.") : network_open(context);
    if (result == 0 && as != NULL) {
        if (cl_wallet_item_find(&profile, context->wallet, as) != CL_OK || profile->kind != CL_ITEM_PROFILE)
            return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s' is not a profile of this wallet.", as);
        bulk->has_profile = true;
        memcpy(bulk->profile, profile->object.bytes, 32);
    } else if (result == 0 && option(context, "--key") == NULL && option(context, "--signer") == NULL) {
        return output_usage(&context->output, "In whose name? --as PROFILE, or --key NAME.");
    }
    if (result == 0)
        result = signer_open(context, &bulk->signer, profile == NULL ? NULL : profile->key_name);
    if (result == 0)
        result = file_read(context, &bulk->list, path, LIST_BYTES_MAX);
    if (result != 0)
        return result;
    (void)snprintf(bulk->journal_path, sizeof bulk->journal_path, "%.3000s.journal", path);
    (void)snprintf(bulk->results_path, sizeof bulk->results_path, "%.3000s.agreements", path);
    bulk->line_count = count_lines(&bulk->list);
    bulk->window = calloc(WINDOW, sizeof *bulk->window);
    return bulk->window == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : read_journal(bulk);
}

static int bulk_run(struct bulk *bulk)
{
    char text[80];
    bool more = true;
    size_t resumed = bulk->window_count > 0 ? bulk->window[bulk->window_count - 1].last_line : bulk->done_line;
    if (resumed > 0)
        output_say(&bulk->context->output, "Going on after line %zu of %zu.", resumed, bulk->line_count);
    int result = settle(bulk);
    while (bulk->line < resumed && next_line(bulk, text)) {
    }
    while (result == 0 && more) {
        while (result == 0 && more && bulk->window_count < WINDOW)
            result = make_batch(bulk, &more);
        if (result == 0)
            result = settle(bulk);
    }
    return result;
}

int bulk_subscribe(struct context *context)
{
    struct bulk bulk = {.context = context, .journal = -1, .results = -1};
    int result = bulk_open(&bulk);
    if (result == 0)
        result = bulk_run(&bulk);
    output_progress_end(&context->output);
    if (http_interrupted)
        result = 130;
    if (result == 0) {
        output_line(&context->output, "%llu subscriptions, %llu lines skipped; each stands in %s", (unsigned long long)bulk.active, (unsigned long long)bulk.skipped, bulk.results_path);
        output_json(&context->output, json_pack("{s:I, s:I, s:s}", "subscriptions", (json_int_t)bulk.active, "skipped", (json_int_t)bulk.skipped, "file", bulk.results_path));
    } else if (bulk.journal >= 0) {
        output_warn(&context->output, "Stopped before the end. The same command goes on where it stopped; %s remembers.", bulk.journal_path);
    }
    for (size_t i = 0; bulk.window != NULL && i < bulk.window_count; i++)
        cl_buffer_deinit(&bulk.window[i].record);
    free(bulk.window);
    cl_buffer_deinit(&bulk.list);
    if (bulk.journal >= 0)
        (void)close(bulk.journal);
    if (bulk.results >= 0)
        (void)close(bulk.results);
    return result;
}

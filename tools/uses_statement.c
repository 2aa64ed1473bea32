/* consent statement over the log of uses: one root for a period that is over, signed by the PROFILE. What the root is made of
   is on disk before anything is signed, because every customer's proof needs it. */
#include "uses.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define AGREEMENTS_FILE_BYTES_MAX CL_BUFFER_BYTES_MAX

/* ---- periods */

static bool month_parse(struct period *out, const char *text)
{
    unsigned year = 0, month = 0;
    char first[16], next[16];
    int used = 0;
    if (sscanf(text, "%4u-%2u%n", &year, &month, &used) == 2 && used == 7 && text[used] == '\0' && month >= 1 && month <= 12) {
        (void)snprintf(first, sizeof first, "%04u-%02u-01", year, month);
        (void)snprintf(next, sizeof next, "%04u-%02u-01", month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1);
    } else if (strlen(text) == 4 && sscanf(text, "%4u%n", &year, &used) == 1 && used == 4) {
        (void)snprintf(first, sizeof first, "%04u-01-01", year);
        (void)snprintf(next, sizeof next, "%04u-01-01", year + 1);
    } else {
        return time_parse(&out->from_s, text, false) && time_parse(&out->until_s, text, true);
    }
    return time_parse(&out->from_s, first, false) && time_parse(&out->until_s, next, false);
}

int period_option(struct context *context, struct period *out)
{
    const char *name = option(context, "--period"), *from = option(context, "--from"), *until = option(context, "--until");
    if (name != NULL && (from != NULL || until != NULL))
        return output_usage(&context->output, "Give --period, or --from and --until.");
    if (name == NULL && (from == NULL || until == NULL))
        return output_usage(&context->output, "Which period? --period 2026-11 (a year, a month or a day), or --from DATE --until DATE");
    bool good = name != NULL ? month_parse(out, name) : time_parse(&out->from_s, from, false) && time_parse(&out->until_s, until, true);
    if (!good || out->from_s >= out->until_s || out->until_s > CL_SECONDS_MAX)
        return output_usage(&context->output, "That is not a period; say --period 2026, 2026-11 or 2026-11-03, or --from and a later --until, UTC.");
    return 0;
}

const char *period_words(const struct period *period)
{
    static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};
    static char out[2][96];
    static unsigned next;
    char from[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE], name[16] = "";
    char *text = out[next++ % 2];
    struct period same = {0, 0};
    unsigned month = 0;
    time_text(from, period->from_s);
    time_until_text(until, period->until_s);
    (void)snprintf(name, sizeof name, "%.7s", from);
    if (month_parse(&same, name) && same.from_s == period->from_s && same.until_s == period->until_s && sscanf(name + 5, "%2u", &month) == 1 && month >= 1 && month <= 12) {
        (void)snprintf(text, sizeof out[0], "in %s %.4s", months[month - 1], name);
        return text;
    }
    bool days = period->from_s % 86400 == 0 && period->until_s % 86400 == 0;
    if (days)
        from[10] = '\0';
    if (days && period->until_s - period->from_s == 86400)
        (void)snprintf(text, sizeof out[0], "on %s", from);
    else
        (void)snprintf(text, sizeof out[0], "from %s to %s", from, until);
    return text;
}

/* ---- what the statement is about */

struct used { struct cl_object_id agreement; struct cl_use use; bool counts; size_t place; };
struct gathering { struct cl_buffer all; struct uses_reader reader; size_t use_count; };

static int note(struct context *context, struct gathering *gathering, const struct cl_object_id *agreement, const struct cl_use *use)
{
    struct used one = {.agreement = *agreement, .counts = use != NULL, .place = gathering->all.length};
    if (use != NULL)
        one.use = *use;
    if (cl_buffer_append(&gathering->all, &one, sizeof one) != CL_OK)
        return output_fail(&context->output, CL_E_BOUND, "There are too many uses for one statement; take shorter periods.");
    gathering->use_count += use != NULL ? 1 : 0;
    return 0;
}

/* Agreements of the log, of the wallet, and of --agreements are named whether they were used or not: then "not used" is a
   line of one's own, and no proof has to show neighbours. */
static int note_log(struct context *context, struct gathering *gathering, const struct period *period)
{
    struct cl_use_line line = {.kind = CL_USE_LINE_START};
    bool more = true;
    int result = 0;
    while (result == 0 && more) {
        result = uses_reader_next(context, &gathering->reader, &line, &more);
        if (result != 0 || !more || line.kind != CL_USE_LINE_USE)
            continue;
        bool inside = line.use.time_ms / 1000u >= period->from_s && line.use.time_ms / 1000u < period->until_s;
        result = note(context, gathering, &line.object, inside ? &line.use : NULL);
    }
    return result;
}

static int note_wallet(struct context *context, struct gathering *gathering, const struct cl_object_id *profile)
{
    int result = 0;
    for (size_t i = 0; i < context->wallet->item_count && result == 0; i++) {
        const struct cl_wallet_item *item = &context->wallet->items[i];
        if (item->kind == CL_ITEM_AGREEMENT && item->role == CL_SIDE_ORGANISATION && item->profile.present && memcmp(item->profile.bytes, profile->bytes, 32) == 0)
            result = note(context, gathering, &item->object, NULL);
    }
    return result;
}

/* Ids, one a line; or what 'consent subscribe --from LIST' left in LIST.agreements (TERMS,AGREEMENT,STATE). */
static int note_file(struct context *context, struct gathering *gathering)
{
    const char *path = option(context, "--agreements");
    struct cl_buffer data = {0};
    size_t number = 0;
    int result = path == NULL ? 0 : file_read(context, &data, path, AGREEMENTS_FILE_BYTES_MAX);
    for (size_t at = 0; at < data.length && result == 0;) {
        const char *start = (const char *)data.data + at, *end = memchr(start, '\n', data.length - at);
        size_t length = end == NULL ? data.length - at : (size_t)(end - start);
        const char *comma = memchr(start, ',', length);
        const char *id_start = comma == NULL ? start : comma + 1;
        char text[65] = "";
        struct cl_object_id id;
        at += length + 1;
        number++;
        if (length == 0 || start[0] == '#')
            continue;
        if (length - (size_t)(id_start - start) >= 64)
            memcpy(text, id_start, 64);
        result = id_parse(&id, text) ? note(context, gathering, &id, NULL) : output_fail(&context->output, CL_E_FORMAT, "%s, line %zu: no agreement's id", path, number);
    }
    cl_buffer_deinit(&data);
    return result;
}

static int by_agreement_and_time(const void *left, const void *right)
{
    const struct used *a = left, *b = right;
    int order = memcmp(a->agreement.bytes, b->agreement.bytes, 32);
    if (order == 0)
        order = a->use.time_ms < b->use.time_ms ? -1 : a->use.time_ms > b->use.time_ms ? 1 : 0;
    return order != 0 ? order : a->place < b->place ? -1 : a->place > b->place ? 1 : 0;
}

/* One account for each agreement; lists holds the bytes of their lists. */
static enum cl_status accounts_make(struct cl_uses_statement *statement, struct cl_buffer *lists, struct gathering *gathering)
{
    struct used *all = (struct used *)(void *)gathering->all.data;
    size_t count = gathering->all.length / sizeof *all;
    struct cl_use *uses = calloc(CL_USES_OF_AGREEMENT_MAX, sizeof *uses);
    statement->accounts = calloc(count + 1, sizeof *statement->accounts);
    enum cl_status status = uses == NULL || statement->accounts == NULL ? CL_E_MEMORY : CL_OK;
    if (count > 0)
        qsort(all, count, sizeof *all, by_agreement_and_time);
    for (size_t first = 0, next; first < count && status == CL_OK; first = next) {
        struct cl_uses_account *account = &statement->accounts[statement->account_count];
        size_t used = 0, start = lists->length;
        for (next = first; next < count && memcmp(all[next].agreement.bytes, all[first].agreement.bytes, 32) == 0 && status == CL_OK; next++)
            if (all[next].counts && used == CL_USES_OF_AGREEMENT_MAX)
                status = CL_E_BOUND;
            else if (all[next].counts)
                uses[used++] = all[next].use;
        if (status == CL_OK)
            status = cl_use_list_encode(lists, uses, used, statement->from_s, statement->until_s);
        if (status == CL_OK)
            status = cl_random_bytes(account->salt32, sizeof account->salt32);
        account->agreement = all[first].agreement;
        account->list = (struct cl_view){NULL, lists->length - start}; /* lists may move yet */
        statement->account_count++;
    }
    size_t at = 0;
    for (size_t i = 0; i < statement->account_count && status == CL_OK; i++) {
        statement->accounts[i].list.data = lists->data + at;
        at += statement->accounts[i].list.length;
    }
    free(uses);
    return status;
}

static int statement_write(struct context *context, const struct cl_object_id *profile, const struct period *period, const char *path)
{
    struct gathering gathering = {.use_count = 0};
    struct cl_uses_statement statement = {.profile = *profile, .from_s = period->from_s, .until_s = period->until_s};
    struct cl_buffer lists = {0}, file = {.secret = true};
    int result = uses_reader_open(context, &gathering.reader, profile);
    if (result == 0)
        result = note_log(context, &gathering, period);
    if (result == 0)
        result = note_wallet(context, &gathering, profile);
    if (result == 0)
        result = note_file(context, &gathering);
    if (result == 0) {
        enum cl_status status = accounts_make(&statement, &lists, &gathering);
        if (status == CL_OK)
            status = cl_uses_statement_encode(&file, &statement);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s", status == CL_E_BOUND ? "There are too many uses for one statement; take shorter periods." : "");
    }
    if (result == 0)
        result = file_write(context, path, file.data, file.length, true);
    uses_reader_close(&gathering.reader);
    cl_uses_statement_deinit(&statement);
    cl_buffer_deinit(&gathering.all);
    cl_buffer_deinit(&lists);
    cl_buffer_deinit(&file);
    return result;
}

/* ---- signing it */

/* Root and counts of the statement on disk. */
static int statement_sum(struct context *context, struct cl_hash *root, size_t counts[3], const char *path)
{
    struct cl_buffer data = {.secret = true};
    struct cl_uses_statement statement = {.accounts = NULL};
    struct cl_uses_tree *tree = NULL;
    int result = file_read(context, &data, path, CL_BUFFER_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_uses_statement_decode(&statement, data.data, data.length) : CL_OK;
    if (result == 0 && status == CL_OK)
        status = cl_uses_tree_new(&tree, &statement);
    for (size_t i = 0; result == 0 && status == CL_OK && i < statement.account_count; i++) {
        size_t count = 0;
        struct cl_view items;
        status = cl_use_list_decode(&count, &items, statement.accounts[i].list.data, statement.accounts[i].list.length, statement.from_s, statement.until_s);
        counts[0] += count;
        counts[count > 0 ? 1 : 2]++;
    }
    if (result == 0 && status != CL_OK)
        result = output_fail(&context->output, status, "%s", path);
    if (result == 0)
        cl_uses_tree_root(root, tree);
    cl_uses_tree_free(tree);
    cl_uses_statement_deinit(&statement);
    cl_buffer_deinit(&data);
    return result;
}

/* Whether the record of an earlier run is in the log already. */
static int stated_before(struct context *context, bool *before, const char *record_path)
{
    struct cl_buffer data = {0};
    struct cl_record record;
    struct http_answer answer;
    char path[96];
    *before = false;
    if (access(record_path, F_OK) != 0)
        return 0;
    int result = file_read(context, &data, record_path, CL_RECORD_BYTES_MAX);
    if (result == 0 && cl_record_decode(&record, NULL, data.data, data.length, &context->wallet->network.id) == CL_OK) {
        (void)snprintf(path, sizeof path, "/v1/records/%s", id_text(record.id.bytes));
        result = node_look(context, &answer, path, "text/plain");
        if (result == 0) {
            *before = answer.status == 200;
            http_answer_deinit(&answer);
        }
        if (*before)
            output_line(&context->output, "The statement %s is in the log already, as record %s.", period_words(&(struct period){record.entries[0].not_before, record.entries[0].not_after}), id_text(record.id.bytes));
        if (*before)
            output_json(&context->output, json_pack("{s:s, s:s, s:b}", "record_id", id_text(record.id.bytes), "root", id_text(record.entries[0].commitment), "before", 1));
        cl_record_deinit(&record);
    }
    cl_buffer_deinit(&data);
    return result;
}

static int state_it(struct context *context, struct subject *subject, const struct period *period, const struct cl_hash *root, const size_t counts[3], const char *record_path)
{
    struct act act;
    struct act_signer signer;
    struct cl_buffer record = {0};
    act_init(&act, CL_STATEMENT);
    act_object(&act, &subject->object.id);
    act_commitment(&act, root->bytes);
    act_not_before(&act, period->from_s);
    act_not_after(&act, period->until_s);
    int result = subject_signer(context, &signer, subject);
    if (result != 0)
        return result;
    output_say(&context->output, "You state %zu use%s of %zu agreement%s %s, and none of %zu other%s, as the root %s.", counts[0], counts[0] == 1 ? "" : "s", counts[1], counts[1] == 1 ? "" : "s",
               period_words(period), counts[2], counts[2] == 1 ? "" : "s", id_short(root->bytes));
    result = act_sign(context, &record, &act, &signer);
    if (result == 0)
        result = file_write(context, record_path, record.data, record.length, true);
    if (result == 0)
        result = act_finish(context, &act, &record, &subject->object.id, subject->item_name, false,
                            json_pack("{s:s, s:I, s:I, s:I}", "root", id_text(root->bytes), "uses", (json_int_t)counts[0], "used_agreements", (json_int_t)counts[1], "unused_agreements", (json_int_t)counts[2]));
    cl_buffer_deinit(&record);
    return result;
}

int statement_of_uses(struct context *context)
{
    struct subject subject;
    struct period period;
    struct uses_log log = {.descriptor = -1};
    struct cl_hash root;
    size_t counts[3] = {0};
    bool before = false;
    char path[USES_PATH_SIZE], record_path[USES_PATH_SIZE];
    int result = period_option(context, &period);
    if (result == 0)
        result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    if (subject.object.kind != CL_STATE_PROFILE)
        result = subject_unfit(context, &subject, "a profile");
    if (result == 0)
        result = uses_path(context, path, &subject.object.id, &period, "statement");
    if (result == 0)
        result = uses_path(context, record_path, &subject.object.id, &period, "record");
    if (result == 0)
        result = stated_before(context, &before, record_path);
    if (result == 0 && !before) /* the log is ours until the statement is on disk: from then on the period is closed */
        result = uses_log_open(context, &log, &subject.object.id);
    if (result == 0 && !before && period.until_s * 1000u > time_now_ms())
        result = output_fail(&context->output, CL_E_NOT_YET, "The period is not over; uses may still come. State it afterwards.");
    if (result == 0 && !before && access(path, F_OK) == 0)
        output_say(&context->output, "An earlier run wrote down what the statement is about; it is taken as it is.");
    else if (result == 0 && !before)
        result = statement_write(context, &subject.object.id, &period, path);
    uses_log_close(&log);
    if (result == 0 && !before)
        result = statement_sum(context, &root, counts, path);
    if (result == 0 && !before)
        result = state_it(context, &subject, &period, &root, counts, record_path);
    subject_close(&subject);
    return result;
}

/* consent uses add, list: an organisation's log of what it used; and the line that consent check --log writes. */
#include "uses.h"

#include <stdlib.h>

#define FILE_BYTES_MAX CL_BUFFER_BYTES_MAX
#define BATCH_LINES 4096u
#define AHEAD_MS_MAX 120000ull

int profile_named(struct context *context, struct cl_object_id *out, const char *text)
{
    struct cl_wallet_item *item = NULL;
    if (text == NULL)
        return output_usage(&context->output, "Whose uses? Give the name or id of the profile.");
    if (id_parse(out, text))
        return 0;
    int result = wallet_open(context);
    if (result == 0 && (cl_wallet_item_find(&item, context->wallet, text) != CL_OK || item->kind != CL_ITEM_PROFILE))
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s' is not a profile of this wallet.", text);
    if (result == 0)
        *out = item->object;
    return result;
}

bool purpose_iri(struct cl_buffer *out, const char *text)
{
    size_t start = out->length;
    return cl_vocabulary_expand(out, text) == CL_OK && cl_use_text_usable((const char *)out->data + start, out->length - start, 1, CL_USE_PURPOSE_BYTES_MAX);
}

/* ---- consent check --log */

static int append_answer(struct context *context, const struct cl_object_id *profile, struct cl_use_line *line)
{
    struct cl_buffer text = {0};
    struct uses_log log;
    int result = uses_log_open(context, &log, profile);
    if (result != 0)
        return result;
    /* the time is taken with the lock in hand: a period that has its statement is over for every later line */
    line->time_ms = line->use.time_ms = time_now_ms();
    const struct period *stated = uses_log_stated(&log, line->time_ms);
    if (stated != NULL)
        result = output_fail(&context->output, CL_E_TIME_OLD, "A statement of the uses %s was made; check the clock of this machine.", period_words(stated));
    enum cl_status status = result == 0 ? cl_use_line_encode(&text, line) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "--purpose is an IRI of at most %u characters, --reference a word of at most %u.", CL_USE_PURPOSE_BYTES_MAX, CL_USE_REFERENCE_BYTES_MAX);
    if (result == 0)
        result = uses_log_append(context, &log, &text);
    uses_log_close(&log);
    cl_buffer_deinit(&text);
    return result;
}

int uses_log_use(struct context *context, const struct cl_object_id *profile, const struct cl_object_id *agreement, uint8_t slot, const char *purpose_text, const char *reference)
{
    struct cl_buffer purpose = {0};
    int result = 0;
    if (!purpose_iri(&purpose, purpose_text)) {
        result = output_usage(&context->output, "--purpose is an IRI, as dpv:Marketing.");
    } else {
        struct cl_use_line line = {.kind = CL_USE_LINE_USE, .object = *agreement, .use = {.slot = slot, .purpose = {purpose.data, purpose.length}, .reference = {(const uint8_t *)reference, strlen(reference)}}};
        result = append_answer(context, profile, &line);
    }
    cl_buffer_deinit(&purpose);
    return result;
}

int uses_log_answer(struct context *context, const struct cl_party *organisation, const struct cl_object_id *agreement, int slot, enum cl_status answer)
{
    const char *reference = option(context, "--reference");
    struct cl_use_line line = {.kind = CL_USE_LINE_REFUSED, .object = *agreement};
    struct cl_object_id profile;
    if (organisation->length != 32 && answer != CL_OK)
        return 0; /* there is no log in which to count it */
    if (organisation->length != 32)
        return output_fail(&context->output, CL_E_OBJECT_KIND, "The other side of this agreement is a key and no profile; uses are logged and stated under a profile.");
    memcpy(profile.bytes, organisation->bytes, 32);
    if (answer == CL_OK)
        return uses_log_use(context, &profile, agreement, (uint8_t)slot, option(context, "--purpose"), reference == NULL ? "" : reference);
    line.code = (struct cl_view){(const uint8_t *)cl_status_code(answer), strlen(cl_status_code(answer))};
    return append_answer(context, &profile, &line);
}

/* ---- consent uses add */

/* A file of others: lines, and the words of the present one. */
struct intake { const char *path; char *at, *end; size_t line, line_count; };

/* The next line that says something, cut into words; count is 0 at the end. Words end in zero bytes afterwards. */
static size_t next_words(struct intake *intake, char *words[6])
{
    while (intake->at < intake->end) {
        char *line_end = memchr(intake->at, '\n', (size_t)(intake->end - intake->at));
        char *next = line_end == NULL ? intake->end : line_end + 1, *rest = NULL;
        size_t count = 0;
        *(line_end == NULL ? intake->end : line_end) = '\0';
        char *hash = intake->at[0] == '#' ? intake->at : NULL;
        char *word = hash != NULL ? NULL : strtok_r(intake->at, " \t\r", &rest);
        for (; word != NULL && count < 6; word = strtok_r(NULL, " \t\r", &rest))
            words[count++] = word;
        intake->at = next;
        intake->line++;
        if (count > 0)
            return count;
    }
    return 0;
}

/* TIME AGREEMENT SLOT PURPOSE [REFERENCE] */
static int read_line(struct context *context, struct cl_use_line *out, struct cl_buffer *purpose, const struct intake *intake, char *const words[6], size_t count)
{
    uint64_t seconds = 0, slot = 0;
    struct cl_wallet_item *item = NULL;
    *out = (struct cl_use_line){.kind = CL_USE_LINE_USE};
    if (count < 4 || count > 5)
        return output_fail(&context->output, CL_E_FORMAT, "%s, line %zu: wanted are TIME AGREEMENT SLOT PURPOSE [REFERENCE].", intake->path, intake->line);
    if (!time_parse(&seconds, words[0], false) || seconds * 1000u > time_now_ms() + AHEAD_MS_MAX)
        return output_fail(&context->output, CL_E_VALUE, "%s, line %zu: '%.30s' is not a time of the past, as 2026-11-03T10:00:00Z.", intake->path, intake->line, output_printable(words[0], strlen(words[0])));
    if (!id_parse(&out->object, words[1])) {
        int result = wallet_open(context);
        if (result != 0)
            return result;
        if (cl_wallet_item_find(&item, context->wallet, words[1]) != CL_OK || item->kind != CL_ITEM_AGREEMENT)
            return output_fail(&context->output, CL_E_NOT_FOUND, "%s, line %zu: '%.70s' is no agreement's id, and no name in this wallet.", intake->path, intake->line, output_printable(words[1], strlen(words[1])));
        out->object = item->object;
    }
    if (!number_parse(&slot, words[2], 63))
        return output_fail(&context->output, CL_E_VALUE, "%s, line %zu: '%.30s' is not a slot's number, 0 to 63.", intake->path, intake->line, output_printable(words[2], strlen(words[2])));
    purpose->length = 0;
    if (!purpose_iri(purpose, words[3]))
        return output_fail(&context->output, CL_E_VALUE, "%s, line %zu: '%.80s' is not a purpose, as dpv:Marketing.", intake->path, intake->line, output_printable(words[3], strlen(words[3])));
    out->use = (struct cl_use){.time_ms = seconds * 1000u, .slot = (uint8_t)slot, .purpose = {purpose->data, purpose->length}};
    out->use.reference = (struct cl_view){(const uint8_t *)(count == 5 ? words[4] : ""), count == 5 ? strlen(words[4]) : 0};
    if (count == 5 && !cl_use_text_usable(words[4], strlen(words[4]), 1, CL_USE_REFERENCE_BYTES_MAX))
        return output_fail(&context->output, CL_E_VALUE, "%s, line %zu: a reference is a word of at most %u characters.", intake->path, intake->line, CL_USE_REFERENCE_BYTES_MAX);
    return 0;
}

/* Every line becomes a line of the log; nothing is written yet, so that a file with a fault is refused as a whole.
   ends[i]: where the i-th use's line ends in lines; times[i]: its time. */
struct taken { struct cl_buffer lines, ends, times; size_t count; };

static int read_all(struct context *context, struct taken *taken, struct intake *intake)
{
    char *words[6];
    struct cl_use_line line;
    struct cl_buffer purpose = {0};
    int result = 0;
    for (size_t count; result == 0 && (count = next_words(intake, words)) > 0;) {
        result = read_line(context, &line, &purpose, intake, words, count);
        enum cl_status status = result == 0 ? cl_use_line_encode(&taken->lines, &line) : CL_OK;
        uint64_t end = taken->lines.length;
        if (status == CL_OK && result == 0)
            status = cl_buffer_append(&taken->ends, &end, sizeof end);
        if (status == CL_OK && result == 0)
            status = cl_buffer_append(&taken->times, &line.use.time_ms, sizeof line.use.time_ms);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s, line %zu: take it in parts.", intake->path, intake->line);
        taken->count += result == 0 ? 1 : 0;
    }
    cl_buffer_deinit(&purpose);
    return result;
}

/* How many of the file's uses an earlier run has taken in. */
static int already(struct context *context, size_t *count, const struct cl_object_id *profile, const struct cl_hash *file)
{
    struct uses_reader reader;
    struct cl_use_line line;
    bool more = true;
    *count = 0;
    int result = uses_reader_open(context, &reader, profile);
    while (result == 0 && more) {
        result = uses_reader_next(context, &reader, &line, &more);
        if (result == 0 && more && line.kind == CL_USE_LINE_FILE && memcmp(line.file.bytes, file->bytes, 32) == 0 && line.line_count > *count)
            *count = (size_t)line.line_count;
    }
    uses_reader_close(&reader);
    return result;
}

/* One batch with its mark in one append: a run that was killed goes on behind it. */
static int append_batch(struct context *context, const struct cl_object_id *profile, const struct taken *taken, size_t first, size_t last, const struct cl_hash *file)
{
    const uint64_t *ends = (const uint64_t *)(const void *)taken->ends.data, *times = (const uint64_t *)(const void *)taken->times.data;
    size_t start = first == 0 ? 0 : (size_t)ends[first - 1];
    struct cl_use_line mark = {.kind = CL_USE_LINE_FILE, .file = *file, .line_count = last};
    struct cl_buffer text = {0};
    struct uses_log log;
    int result = uses_log_open(context, &log, profile);
    for (size_t i = first; i < last && result == 0; i++) {
        const struct period *stated = uses_log_stated(&log, times[i]);
        if (stated != NULL)
            result = output_fail(&context->output, CL_E_TIME_OLD, "Use %zu of the file lies %s, of which a statement was made already; nothing can be added to it.", i + 1, period_words(stated));
    }
    if (result == 0 && (cl_buffer_append(&text, taken->lines.data + start, (size_t)ends[last - 1] - start) != CL_OK || cl_use_line_encode(&text, &mark) != CL_OK))
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0)
        result = uses_log_append(context, &log, &text);
    uses_log_close(&log);
    cl_buffer_deinit(&text);
    return result;
}

static int append_all(struct context *context, size_t *before, const struct cl_object_id *profile, const struct taken *taken, const struct cl_hash *file)
{
    struct uses_log log;
    int result = uses_log_open(context, &log, profile); /* made where there is none */
    if (result == 0)
        uses_log_close(&log);
    if (result == 0)
        result = already(context, before, profile, file);
    if (result == 0 && *before > taken->count)
        result = output_fail(&context->output, CL_E_FORMAT, "%s says that %zu uses of this file were taken in; it has %zu.", "The log", *before, taken->count);
    for (size_t first = *before; result == 0 && first < taken->count;) {
        size_t last = taken->count - first < BATCH_LINES ? taken->count : first + BATCH_LINES;
        result = append_batch(context, profile, taken, first, last, file);
        first = last;
        output_progress(&context->output, "logged", first, taken->count);
        if (result == 0 && http_interrupted && first < taken->count)
            result = output_fail(&context->output, CL_E_CANCELLED, "%zu of %zu uses are in the log; the same command takes in the rest.", first, taken->count);
    }
    output_progress_end(&context->output);
    return result;
}

int run_uses_add(struct context *context)
{
    struct cl_object_id profile;
    struct cl_buffer data = {0};
    struct cl_hash file;
    struct taken taken = {.count = 0};
    size_t before = 0;
    const char *path = positional(context, 1);
    if (path == NULL)
        return output_usage(&context->output, "Give the profile, then a file with a use on each line: TIME AGREEMENT SLOT PURPOSE [REFERENCE]; - reads standard input.");
    int result = profile_named(context, &profile, positional(context, 0));
    if (result == 0)
        result = file_read(context, &data, path, FILE_BYTES_MAX - 1);
    if (result == 0 && data.length > 0 && memchr(data.data, 0, data.length) != NULL)
        result = output_fail(&context->output, CL_E_FORMAT, "%s is not text.", path);
    if (result == 0) {
        cl_hash_bytes(&file, data.data, data.length);
        if (cl_buffer_append(&data, "", 1) != CL_OK)
            result = output_fail(&context->output, CL_E_MEMORY, NULL);
    }
    if (result == 0) {
        struct intake intake = {.path = path, .at = (char *)data.data, .end = (char *)data.data + data.length - 1};
        result = read_all(context, &taken, &intake);
    }
    if (result == 0 && taken.count > 0)
        result = append_all(context, &before, &profile, &taken, &file);
    if (result == 0) {
        if (before > 0)
            output_say(&context->output, "%zu of them were in the log from an earlier run of this file.", before);
        output_line(&context->output, "%zu use%s added to the log", taken.count - before, taken.count - before == 1 ? "" : "s");
        output_json(&context->output, json_pack("{s:I, s:I, s:s}", "added", (json_int_t)(taken.count - before), "before", (json_int_t)before, "profile", id_text(profile.bytes)));
    }
    cl_buffer_deinit(&taken.lines);
    cl_buffer_deinit(&taken.ends);
    cl_buffer_deinit(&taken.times);
    cl_buffer_deinit(&data);
    return result;
}

/* ---- consent uses list */

static void show_use(struct context *context, json_t *list, const struct cl_use_line *line)
{
    char when[TIME_TEXT_SIZE];
    struct cl_buffer purpose = {0};
    struct cl_wallet_item *item = context->wallet == NULL ? NULL : cl_wallet_item_of(context->wallet, &line->object);
    const struct cl_use *use = &line->use;
    time_text(when, use->time_ms / 1000u);
    if (cl_vocabulary_shorten(&purpose, (const char *)use->purpose.data, use->purpose.length) == CL_OK)
        output_line(&context->output, "%s  %-18s slot %-2u  %.*s%s%.*s", when, item == NULL ? id_short(line->object.bytes) : item->name, use->slot, (int)purpose.length, (const char *)purpose.data,
                    use->reference.length == 0 ? "" : "  ", (int)use->reference.length, (const char *)use->reference.data);
    if (context->output.json)
        (void)json_array_append_new(list, json_pack("{s:I, s:s, s:i, s:s%, s:s%}", "time_ms", (json_int_t)use->time_ms, "agreement", id_text(line->object.bytes), "slot", (int)use->slot,
                                                    "purpose", (const char *)use->purpose.data, use->purpose.length, "reference", (const char *)use->reference.data, use->reference.length));
    cl_buffer_deinit(&purpose);
}

int run_uses_list(struct context *context)
{
    struct cl_object_id profile, wanted;
    struct period period = {0, UINT64_MAX};
    struct uses_reader reader = {.data = NULL};
    struct cl_use_line line = {.kind = CL_USE_LINE_START};
    struct cl_wallet_item *item = NULL;
    size_t uses = 0, refusals = 0;
    bool more = true;
    const char *what = positional(context, 1);
    int result = profile_named(context, &profile, positional(context, 0));
    if (result == 0 && (option(context, "--period") != NULL || option(context, "--from") != NULL || option(context, "--until") != NULL))
        result = period_option(context, &period);
    if (result == 0 && what != NULL && !id_parse(&wanted, what)) {
        result = wallet_open(context);
        if (result == 0 && cl_wallet_item_find(&item, context->wallet, what) != CL_OK)
            result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'", what);
        if (result == 0)
            wanted = item->object;
    }
    if (result == 0)
        result = uses_reader_open(context, &reader, &profile);
    json_t *list = json_array();
    while (result == 0 && more) {
        result = uses_reader_next(context, &reader, &line, &more);
        uint64_t seconds = (line.kind == CL_USE_LINE_USE ? line.use.time_ms : line.time_ms) / 1000u;
        if (result != 0 || !more || seconds < period.from_s || seconds >= period.until_s)
            continue;
        refusals += line.kind == CL_USE_LINE_REFUSED ? 1 : 0;
        if (line.kind == CL_USE_LINE_USE && (what == NULL || memcmp(line.object.bytes, wanted.bytes, 32) == 0)) {
            show_use(context, list, &line);
            uses++;
        }
    }
    if (result == 0) {
        output_say(&context->output, "%zu use%s; %zu time%s the answer was no.", uses, uses == 1 ? "" : "s", refusals, refusals == 1 ? "" : "s");
        output_json(&context->output, json_pack("{s:O, s:I}", "uses", list, "refusals", (json_int_t)refusals));
    }
    json_decref(list);
    uses_reader_close(&reader);
    return result;
}

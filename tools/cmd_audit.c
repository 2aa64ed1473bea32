/* consent audit: follows a node through C2SP tiles, checks every leaf, applies every record by the rules, counts every
   state root again, and keeps both notes where two checkpoints contradict each other. Beside the state file stand
   STATE.progress (how far a run that was cut short had come) and STATE.rules (the audit's own copy of the ledger). */
#include "act.h"
#include "audit_world.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct auditor {
    struct context *context;
    struct cl_audit *audit;
    struct cl_policy *policy;
    struct cl_network_id network;
    struct cl_audit_genesis *genesis;
    struct cl_audit_rules *rules;
    uint64_t rules_size;   /* leaves that the rules have seen: blocks applied, and what was read since */
    uint64_t seen_size;    /* of the newest checkpoint that held */
    uint64_t kept_ms;
    char state_path[3200], progress_path[3300];
};

#define KEEP_EVERY_MS 3000u
#define INTERVAL_S_MAX 86400u

static int remember_at(struct auditor *auditor, const char *path);

/* C2SP tlog-tiles: the number in groups of three digits, all but the last with an x before. */
static void tile_path(char *out, size_t size, uint64_t tile, unsigned width)
{
    char number[64] = "";
    (void)snprintf(number, sizeof number, "%03u", (unsigned)(tile % 1000));
    for (uint64_t rest = tile / 1000; rest > 0; rest /= 1000) {
        char longer[64];
        (void)snprintf(longer, sizeof longer, "x%03u/%.50s", (unsigned)(rest % 1000), number);
        memcpy(number, longer, sizeof number);
    }
    if (width < CL_TILE_WIDTH)
        (void)snprintf(out, size, "/tile/entries/%s.p/%u", number, width);
    else
        (void)snprintf(out, size, "/tile/entries/%s", number);
}

/* One leaf, for the form and the chain, then for the rules; each takes only what it has not seen. */
static int take_leaf(struct auditor *auditor, uint64_t index, const uint8_t *leaf, size_t length)
{
    const struct output *output = &auditor->context->output;
    const char *sentence = "";
    struct cl_audit_report report;
    enum cl_status status = CL_OK;
    cl_audit_report(&report, auditor->audit);
    if (index >= report.size)
        status = cl_audit_leaf(auditor->audit, &sentence, leaf, length);
    if (status == CL_OK && index >= auditor->rules_size) {
        status = cl_audit_rules_leaf(auditor->rules, &sentence, leaf, length);
        auditor->rules_size++;
    }
    if (status != CL_OK)
        return output_fail(output, status == CL_E_SIGNATURE || status == CL_E_STORE_IO || status == CL_E_MEMORY ? status : CL_E_PROOF, "Leaf %llu: %s", (unsigned long long)index, sentence);
    /* Only where a block ends is there something to remember. */
    if (leaf[0] != 0xd2 && time_now_ms() > auditor->kept_ms + KEEP_EVERY_MS) {
        auditor->kept_ms = time_now_ms();
        return remember_at(auditor, auditor->progress_path);
    }
    return 0;
}

/* Feeds the leaves of one tile that are new. Entries: 16-bit length, then the leaf. */
static int take_tile(struct auditor *auditor, const struct cl_buffer *tile, uint64_t first, unsigned width, uint64_t from)
{
    const struct output *output = &auditor->context->output;
    size_t at = 0;
    for (unsigned i = 0; i < width; i++) {
        if (tile->length - at < 2)
            return output_fail(output, CL_E_CBOR_TRUNCATED, "(a tile of entries)");
        size_t length = (size_t)tile->data[at] << 8 | tile->data[at + 1];
        if (length == 0 || length > tile->length - at - 2)
            return output_fail(output, CL_E_CBOR_TRUNCATED, "(a tile of entries)");
        int result = first + i >= from ? take_leaf(auditor, first + i, tile->data + at + 2, length) : 0;
        if (result != 0)
            return result;
        at += 2 + length;
    }
    return at == tile->length ? 0 : output_fail(output, CL_E_CBOR_TRAILING, "(a tile of entries)");
}

static int take_leaves(struct auditor *auditor, uint64_t from, uint64_t to)
{
    struct context *context = auditor->context;
    int result = 0;
    for (uint64_t tile = from / CL_TILE_WIDTH; result == 0 && tile * CL_TILE_WIDTH < to; tile++) {
        uint64_t first = tile * CL_TILE_WIDTH;
        unsigned width = to - first < CL_TILE_WIDTH ? (unsigned)(to - first) : CL_TILE_WIDTH;
        char path[128];
        struct http_answer answer;
        tile_path(path, sizeof path, tile, width);
        result = node_get(context, &answer, path, "application/octet-stream");
        if (result != 0)
            break;
        result = take_tile(auditor, &answer.body, first, width, from);
        http_answer_deinit(&answer);
        output_progress(&context->output, "leaves", first + width, to);
        if (result == 0 && http_interrupted)
            result = output_fail(&context->output, CL_E_CANCELLED, "What was verified before is remembered.");
    }
    output_progress_end(&context->output);
    return result;
}

/* Both notes, side by side, for whoever has to judge. */
static int keep_evidence(struct auditor *auditor, const uint8_t *note, size_t length)
{
    char first[3300], second[3300];
    struct cl_audit_report report;
    cl_audit_report(&report, auditor->audit);
    (void)snprintf(first, sizeof first, "%s.fork-1", auditor->state_path);
    (void)snprintf(second, sizeof second, "%s.fork-2", auditor->state_path);
    int result = report.note.length == 0 ? 0 : file_write(auditor->context, first, report.note.data, report.note.length, false);
    if (result == 0)
        result = file_write(auditor->context, second, note, length, false);
    return result != 0 ? result : output_fail(&auditor->context->output, CL_E_FORK, "The signed notes are in %s and %s.", first, second);
}

/* Does the node show that the smaller log is the beginning of the larger? */
static bool consistent(struct auditor *auditor, const struct cl_hash *root1, uint64_t size1, const struct cl_hash *root2, uint64_t size2)
{
    char path[128];
    json_t *json = NULL, *value;
    struct cl_hash proof[CL_LOG_PATH_MAX];
    size_t count = 0, position;
    (void)snprintf(path, sizeof path, "/v1/consistency?from=%llu&to=%llu", (unsigned long long)size1, (unsigned long long)size2);
    if (size1 == 0 || node_get_json(auditor->context, &json, path) != 0)
        return false;
    bool good = true;
    json_array_foreach(json_object_get(json, "path"), position, value) {
        const char *hex = json_string_value(value);
        good = good && hex != NULL && count < CL_LOG_PATH_MAX && cl_hex_decode(proof[count].bytes, 32, hex);
        count += good ? 1 : 0;
    }
    json_decref(json);
    return good && cl_consistency_verify(root1, size1, root2, size2, proof, count) == CL_OK;
}

/* A checkpoint that is behind what was seen: the log of now must still begin as it says. */
static int check_older(struct auditor *auditor, const struct cl_checkpoint *checkpoint, const struct cl_audit_report *report, const struct http_answer *note)
{
    struct context *context = auditor->context;
    if (!consistent(auditor, &checkpoint->root, checkpoint->size, &report->root, report->size))
        return keep_evidence(auditor, note->body.data, note->body.length);
    if (flag(context, "--once"))
        return output_fail(&context->output, CL_E_PROOF_OLD, "The node's checkpoint has %llu leaves; one with %llu was seen before.", (unsigned long long)checkpoint->size, (unsigned long long)report->size);
    output_warn(&context->output, "The node's checkpoint has %llu leaves; one with %llu was seen before. The two agree.", (unsigned long long)checkpoint->size, (unsigned long long)report->size);
    return 0;
}

/* Does the checkpoint contradict the one that was seen last? Asked before any leaf is looked at. */
static bool contradicts(struct auditor *auditor, const struct cl_checkpoint *checkpoint, const struct cl_audit_report *report)
{
    struct cl_checkpoint *seen = calloc(1, sizeof *seen);
    bool fork = false;
    if (report->note.length > 0 && seen != NULL && cl_checkpoint_decode(seen, report->note.data, report->note.length) == CL_OK && seen->size > 0 && seen->size <= checkpoint->size) {
        if (seen->size == checkpoint->size)
            fork = memcmp(seen->root.bytes, checkpoint->root.bytes, 32) != 0;
        else
            fork = !consistent(auditor, &seen->root, seen->size, &checkpoint->root, checkpoint->size);
    }
    free(seen);
    return fork;
}

/* What came from a node that was caught is not gone on from. */
static void forget_since(struct auditor *auditor)
{
    (void)unlink(auditor->progress_path);
    if (auditor->rules_size > auditor->seen_size)
        audit_rules_discard(&auditor->rules, auditor->state_path);
}

static int rules_agree(struct auditor *auditor, const struct cl_checkpoint *checkpoint)
{
    uint64_t size;
    struct cl_hash root;
    cl_audit_rules_tip(&size, &root, auditor->rules);
    if (size == checkpoint->size && memcmp(root.bytes, checkpoint->root.bytes, 32) == 0)
        return 0;
    return output_fail(&auditor->context->output, CL_E_PROOF, "%s.rules is not of this log; remove it, and it is made again.", auditor->state_path);
}

static int remember_at(struct auditor *auditor, const char *path)
{
    struct cl_buffer data = {0};
    enum cl_status status = cl_audit_encode(&data, auditor->audit);
    int result = status == CL_OK ? file_write(auditor->context, path, data.data, data.length, false) : output_fail(&auditor->context->output, status, NULL);
    cl_buffer_deinit(&data);
    return result;
}

static int remember(struct auditor *auditor)
{
    int result = remember_at(auditor, auditor->state_path);
    if (result == 0)
        (void)unlink(auditor->progress_path);
    return result;
}

static int take_checkpoint(struct auditor *auditor, const struct cl_checkpoint *checkpoint, const struct cl_quorum_report *quorum, const struct http_answer *note)
{
    struct context *context = auditor->context;
    struct cl_audit_report before, after;
    cl_audit_report(&before, auditor->audit);
    if (checkpoint->size < before.size)
        return check_older(auditor, checkpoint, &before, note);
    if (contradicts(auditor, checkpoint, &before))
        return keep_evidence(auditor, note->body.data, note->body.length);
    int result = take_leaves(auditor, before.size < auditor->rules_size ? before.size : auditor->rules_size, checkpoint->size);
    enum cl_status status = result == 0 ? cl_audit_checkpoint(auditor->audit, checkpoint, note->body.data, note->body.length) : CL_OK;
    if (status == CL_E_FORK)
        result = output_fail(&context->output, CL_E_PROOF, "The leaves that the node serves are not those that its checkpoint of %llu leaves is signed for.", (unsigned long long)checkpoint->size);
    else if (status != CL_OK)
        result = output_fail(&context->output, status == CL_E_PENDING ? CL_E_PROOF : status, "The checkpoint does not end with a block.");
    if (result == 13 || result == 10)
        forget_since(auditor);
    if (result == 0)
        result = rules_agree(auditor, checkpoint);
    if (result == 0)
        result = remember(auditor);
    if (result != 0)
        return result;
    auditor->seen_size = checkpoint->size;
    cl_audit_report(&after, auditor->audit);
    if (result == 0 && (after.size != before.size || before.size == 0 || flag(context, "--once"))) {
        output_line(&context->output, "good  height %llu, %llu leaves, %llu records verified (%llu new), signed by %zu of %zu", (unsigned long long)after.height, (unsigned long long)after.size, (unsigned long long)after.records,
                    (unsigned long long)(after.records - before.records), quorum->signed_count, quorum->witnesses);
        json_t *json = json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I}", "version", 1, "network_id", id_text(auditor->network.bytes), "height", (json_int_t)after.height, "log_size", (json_int_t)after.size, "records", (json_int_t)after.records,
                                 "new_records", (json_int_t)(after.records - before.records), "root", id_text(after.root.bytes), "signed", (json_int_t)quorum->signed_count, "members", (json_int_t)quorum->witnesses);
        output_json_line(&context->output, json);
    }
    return result;
}

static int look(struct auditor *auditor)
{
    struct http_answer note = {0};
    struct cl_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    struct cl_quorum_report *quorum = calloc(1, sizeof *quorum);
    int result = checkpoint == NULL || quorum == NULL ? output_fail(&auditor->context->output, CL_E_MEMORY, NULL) : node_get(auditor->context, &note, "/checkpoint", "text/plain");
    if (result == 0) {
        enum cl_status status = cl_checkpoint_decode(checkpoint, note.body.data, note.body.length);
        if (status == CL_OK)
            status = cl_policy_check(quorum, auditor->policy, checkpoint);
        result = status == CL_OK ? take_checkpoint(auditor, checkpoint, quorum, &note) : output_fail(&auditor->context->output, status, "%zu of %zu signed, %zu are needed.", quorum->signed_count, quorum->witnesses, quorum->needed);
        http_answer_deinit(&note);
    }
    free(checkpoint);
    free(quorum);
    return result;
}

/* --policy FILE, else the one seen first, kept beside the state. */
static int auditor_policy(struct auditor *auditor)
{
    struct context *context = auditor->context;
    struct http_answer answer;
    struct cl_buffer text = {0};
    size_t bad_line = 0;
    char path[3300];
    (void)snprintf(path, sizeof path, "%s.policy", auditor->state_path);
    const char *given = option(context, "--policy");
    int result = 0;
    if (given == NULL && access(path, F_OK) != 0) {
        result = node_get(context, &answer, "/v1/policy", "text/plain");
        if (result == 0) {
            result = file_write(context, path, answer.body.data, answer.body.length, false);
            http_answer_deinit(&answer);
            output_say(&context->output, "Taking the trust file from the node itself, this once; --policy FILE gives one that you trust.");
        }
    }
    if (result == 0)
        result = file_read(context, &text, given != NULL ? given : path, CL_POLICY_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_policy_new(&auditor->policy, &bad_line, text.data, text.length) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s, line %zu", given != NULL ? given : path, bad_line);
    cl_buffer_deinit(&text);
    return result;
}

/* A file of the audit's: the state, or how far a run that was cut short had come. */
static int read_state(struct auditor *auditor, struct cl_audit **out, const char *path)
{
    struct cl_buffer data = {0};
    int result = file_read(auditor->context, &data, path, 1u << 20);
    enum cl_status status = result == 0 ? cl_audit_decode(out, data.data, data.length, &auditor->network) : CL_OK;
    cl_buffer_deinit(&data);
    return status == CL_OK ? result : output_fail(&auditor->context->output, status, "%s", path);
}

static int open_state(struct auditor *auditor)
{
    struct cl_audit_report report, farther;
    struct cl_audit *progress = NULL;
    int result = 0;
    if (access(auditor->state_path, F_OK) == 0)
        result = read_state(auditor, &auditor->audit, auditor->state_path);
    else if (cl_audit_new(&auditor->audit, &auditor->network) != CL_OK)
        result = output_fail(&auditor->context->output, CL_E_MEMORY, NULL);
    if (result != 0)
        return result;
    cl_audit_report(&report, auditor->audit);
    auditor->seen_size = report.size;
    if (access(auditor->progress_path, F_OK) != 0)
        return 0;
    result = read_state(auditor, &progress, auditor->progress_path);
    if (result == 0)
        cl_audit_report(&farther, progress);
    if (result == 0 && farther.size > report.size) {
        cl_audit_free(auditor->audit);
        auditor->audit = progress;
        output_say(&auditor->context->output, "Going on at leaf %llu.", (unsigned long long)farther.size);
    } else {
        cl_audit_free(progress);
    }
    return result;
}

static int auditor_open(struct auditor *auditor)
{
    struct context *context = auditor->context;
    struct http_answer genesis;
    const char *state = option(context, "--state");
    auditor->genesis = calloc(1, sizeof *auditor->genesis);
    int result = auditor->genesis == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : node_get(context, &genesis, "/v1/genesis", "application/json");
    if (result != 0)
        return result;
    result = audit_genesis_read(context, auditor->genesis, &genesis.body);
    http_answer_deinit(&genesis);
    if (result != 0)
        return result;
    auditor->network = auditor->genesis->network;
    if (state != NULL)
        (void)snprintf(auditor->state_path, sizeof auditor->state_path, "%s", state);
    else
        (void)snprintf(auditor->state_path, sizeof auditor->state_path, "%s.audit-%.16s", wallet_path_of(context), id_text(auditor->network.bytes));
    char *slash = strrchr(auditor->state_path, '/');
    if (state == NULL && slash != NULL) {
        *slash = '\0';
        (void)mkdir(auditor->state_path, 0700);
        *slash = '/';
    }
    (void)snprintf(auditor->progress_path, sizeof auditor->progress_path, "%s.progress", auditor->state_path);
    result = auditor_policy(auditor);
    if (result == 0)
        result = open_state(auditor);
    return result == 0 ? audit_rules_open(context, &auditor->rules, &auditor->rules_size, auditor->state_path, auditor->genesis) : result;
}

int run_audit(struct context *context)
{
    struct auditor auditor = {.context = context};
    const char *url = positional(context, 0), *interval = option(context, "--interval");
    uint64_t seconds = 10;
    if (interval != NULL && (!number_parse(&seconds, interval, INTERVAL_S_MAX) || seconds == 0))
        return output_usage(&context->output, "--interval takes a number of seconds, 1 to %u.", INTERVAL_S_MAX);
    if (url != NULL && context->option_count < OPTIONS_MAX)
        context->options[context->option_count++] = (struct option_value){"--node", url};
    int result = node_open(context);
    if (result == 0)
        result = auditor_open(&auditor);
    while (result == 0) {
        result = look(&auditor);
        if (result != 0 || flag(context, "--once"))
            break;
        for (uint64_t waited = 0; waited < seconds && !http_interrupted; waited++)
            (void)sleep(1);
        if (http_interrupted)
            result = 130;
    }
    if (result == 130)
        output_say(&context->output, "Interrupted. The next 'consent audit' goes on where this one was (%s).", auditor.state_path);
    cl_audit_rules_close(auditor.rules);
    free(auditor.genesis);
    cl_audit_free(auditor.audit);
    cl_policy_free(auditor.policy);
    return result;
}

/* Gathers what happened beside the ledger (past.h). Each log of uses is read once, however many agreements are asked about. */
#include "past.h"
#include "uses.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROOFS_MAX 4096u
#define PROOF_END ".consent-uses"

void past_free(struct past *past)
{
    if (past == NULL)
        return;
    if (past->exchange != NULL)
        cl_exchange_deinit(past->exchange);
    free(past->exchange);
    free(past->uses);
    free(past);
}

const struct cl_terms_slot *past_terms_slot(const struct export_agreement *agreement, bool has_slot, uint8_t slot)
{
    char number[8];
    (void)snprintf(number, sizeof number, "%u", slot);
    return !has_slot || agreement->text == NULL ? NULL : cl_terms_slot_find(agreement->text, number);
}

const char *past_slot(const struct export_agreement *agreement, bool has_slot, uint8_t slot)
{
    static char storage[4][96];
    static unsigned next;
    char *out = storage[next++ % 4];
    const struct cl_terms_slot *found = past_terms_slot(agreement, has_slot, slot);
    if (found != NULL && found->name != NULL)
        (void)snprintf(out, sizeof storage[0], "%s", output_printable(found->name, strnlen(found->name, 64)));
    else
        (void)snprintf(out, sizeof storage[0], has_slot ? "slot %u" : "no slot", slot);
    return out;
}

/* By id, for those that are many. */
struct by_id { struct export_agreement **list; size_t count; };

static int compare(const void *a, const void *b)
{
    return memcmp((*(struct export_agreement *const *)a)->id.bytes, (*(struct export_agreement *const *)b)->id.bytes, 32);
}

static struct past *past_find(const struct by_id *by_id, const struct cl_object_id *id)
{
    struct export_agreement wanted = {.id = *id}, *key = &wanted;
    struct export_agreement **found = by_id->count == 0 ? NULL : bsearch(&key, by_id->list, by_id->count, sizeof key, compare);
    return found == NULL ? NULL : (*found)->past;
}

static void text_copy(char *out, size_t size, const uint8_t *data, size_t length)
{
    struct cl_buffer shortened = {0};
    if (cl_vocabulary_shorten(&shortened, (const char *)data, length) == CL_OK)
        (void)snprintf(out, size, "%.*s", (int)shortened.length, shortened.length == 0 ? "" : (const char *)shortened.data);
    cl_buffer_deinit(&shortened);
}

static int use_add(struct context *context, struct past *past, const struct cl_use *use, bool stated)
{
    if (past->use_count == PAST_USES_MAX) {
        past->uses_left_out++;
        return 0;
    }
    if ((past->use_count & (past->use_count - 1)) == 0) { /* grow at powers of two */
        struct past_use *more = realloc(past->uses, (past->use_count == 0 ? 1 : 2 * past->use_count) * sizeof *more);
        if (more == NULL)
            return output_fail(&context->output, CL_E_MEMORY, NULL);
        past->uses = more;
    }
    struct past_use *added = &past->uses[past->use_count++];
    *added = (struct past_use){.time_ms = use->time_ms, .slot = use->slot, .stated = stated};
    text_copy(added->purpose, sizeof added->purpose, use->purpose.data, use->purpose.length);
    (void)snprintf(added->reference, sizeof added->reference, "%.*s", (int)use->reference.length, use->reference.length == 0 ? "" : (const char *)use->reference.data);
    return 0;
}

/* ---- our own log */

static int log_read(struct context *context, const struct by_id *by_id, const struct cl_object_id *profile)
{
    char path[USES_PATH_SIZE];
    struct uses_reader reader;
    struct cl_use_line line;
    bool more = true;
    int result = uses_path(context, path, profile, NULL, "log");
    if (result != 0 || access(path, F_OK) != 0)
        return result;
    result = uses_reader_open(context, &reader, profile);
    while (result == 0 && more) {
        result = uses_reader_next(context, &reader, &line, &more);
        struct past *past = result == 0 && more && line.kind == CL_USE_LINE_USE ? past_find(by_id, &line.object) : NULL;
        if (past != NULL)
            result = use_add(context, past, &line.use, false);
    }
    uses_reader_close(&reader);
    return result;
}

static int logs_read(struct context *context, const struct by_id *by_id)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < context->wallet->item_count; i++)
        if (context->wallet->items[i].kind == CL_ITEM_PROFILE)
            result = log_read(context, by_id, &context->wallet->items[i].object);
    return result;
}

/* ---- proofs of uses */

static int proof_read(struct context *context, const struct by_id *by_id, const struct cl_policy *policy, const char *path)
{
    struct cl_buffer proof = {.secret = true};
    struct cl_uses_report *report = calloc(1, sizeof *report);
    struct cl_use use;
    int result = report == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &proof, path, CL_PROOF_BYTES_MAX);
    if (result == 0) {
        enum cl_status status = cl_uses_verify(report, proof.data, proof.length, policy);
        struct export_agreement wanted = {.id = report->agreement}, *key = &wanted;
        struct export_agreement **found = status != CL_OK || by_id->count == 0 ? NULL : bsearch(&key, by_id->list, by_id->count, sizeof key, compare);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s", path);
        else if (found != NULL && ((*found)->state->organisation.length != 32 || memcmp((*found)->state->organisation.bytes, report->profile.bytes, 32) != 0))
            result = output_fail(&context->output, CL_E_PROOF, "%s is stated by a profile that is no side of this agreement: %s", path, id_text(report->profile.bytes));
        while (result == 0 && found != NULL && cl_use_take(&use, &report->items))
            result = use_add(context, (*found)->past, &use, true);
    }
    cl_buffer_deinit(&proof);
    free(report);
    return result;
}

static int is_proof(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name), end = sizeof PROOF_END - 1;
    return entry->d_name[0] != '.' && length > end && strcmp(entry->d_name + length - end, PROOF_END) == 0;
}

static int proofs_read(struct context *context, const struct by_id *by_id, const char *path)
{
    struct stat about;
    struct dirent **names = NULL;
    struct cl_policy *policy = NULL;
    int result = policy_open(context, &policy), count = 0;
    if (result == 0 && (stat(path, &about) != 0 || !S_ISDIR(about.st_mode))) {
        result = proof_read(context, by_id, policy, path);
    } else if (result == 0) {
        count = scandir(path, &names, is_proof, alphasort);
        if (count < 0)
            result = output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
        else if ((unsigned)count > PROOFS_MAX)
            result = output_fail(&context->output, CL_E_BOUND, "%s has more than %u proofs of uses.", path, PROOFS_MAX);
        else if (count == 0)
            result = output_fail(&context->output, CL_E_NOT_FOUND, "%s has no files *" PROOF_END ".", path);
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        (void)snprintf(file, sizeof file, "%.3500s/%.500s", path, names[i]->d_name);
        if (result == 0)
            result = proof_read(context, by_id, policy, file);
        free(names[i]);
    }
    free(names);
    cl_policy_free(policy);
    return result;
}

static int compare_uses(const void *a, const void *b)
{
    const struct past_use *left = a, *right = b;
    return left->time_ms < right->time_ms ? -1 : left->time_ms > right->time_ms;
}

int past_gather(struct context *context, struct export_agreement *agreements, size_t count, const char *uses_path)
{
    struct by_id by_id = {.list = calloc(count + 1, sizeof *by_id.list), .count = count};
    int result = by_id.list == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : 0;
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct past *past = calloc(1, sizeof *past);
        agreements[i].past = past;
        by_id.list[i] = &agreements[i];
        if (past == NULL || (past->exchange = calloc(1, sizeof *past->exchange)) == NULL) {
            result = output_fail(&context->output, CL_E_MEMORY, NULL);
            break;
        }
        enum cl_status status = cl_exchange_load(past->exchange, context->store, &agreements[i].id);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "What is kept of the exchange under %s. Put the wallet's folder back from a backup.", id_short(agreements[i].id.bytes));
    }
    if (result == 0 && count > 0)
        qsort(by_id.list, count, sizeof(struct export_agreement *), compare);
    if (result == 0)
        result = logs_read(context, &by_id);
    if (result == 0 && uses_path != NULL)
        result = proofs_read(context, &by_id, uses_path);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (agreements[i].past->use_count > 0)
            qsort(agreements[i].past->uses, agreements[i].past->use_count, sizeof *agreements[i].past->uses, compare_uses);
    free(by_id.list);
    return result;
}

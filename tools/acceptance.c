/* A node's signed acceptance of a withdrawal: it has to be of this record, and signed by a log key of the trust file. Then
   it is worth keeping: from its time on, that member answers for every use that it still allowed. */
#include "workspace.h"

#include <dirent.h>
#include <stdlib.h>

#define ACCEPTED ".accepted-"

/* Whose signature it may be: the log keys of the trust file. */
static enum cl_status check(struct cl_acceptance *out, const struct cl_buffer *data, const struct cl_buffer *text)
{
    struct cl_policy *policy = NULL;
    const struct cl_note_key *key;
    enum cl_status status = cl_policy_new(&policy, NULL, text->data, text->length);
    if (status != CL_OK)
        return status;
    status = CL_E_SIGNATURE;
    for (size_t i = 0; status != CL_OK && (key = cl_policy_log(policy, i)) != NULL; i++)
        status = cl_acceptance_verify(out, data->data, data->length, key->public32);
    cl_policy_free(policy);
    return status;
}

/* Which agreement it is about is told by the file's name to this wallet only: 16 digits of a keyed hash. */
static void tag_of(const struct context *context, char out[17], const uint8_t agreement32[32])
{
    static const char domain[] = "consent/v1 acceptance of";
    uint8_t label[sizeof domain + 32], hash[32];
    memcpy(label, domain, sizeof domain);
    memcpy(label + sizeof domain, agreement32, 32);
    cl_hmac_bytes(hash, context->wallet->seed64, sizeof context->wallet->seed64, label, sizeof label);
    cl_hex_encode(out, hash, 8);
}

/* *object32: of the record's first entry; a record of several is nothing that this tool makes. */
static enum cl_status is_of(const struct cl_acceptance *acceptance, const struct cl_network_id *network, const uint8_t *record, size_t length, uint8_t object32[32])
{
    struct cl_record *decoded = calloc(1, sizeof *decoded);
    enum cl_status status = decoded == NULL ? CL_E_MEMORY : cl_record_decode(decoded, NULL, record, length, network);
    if (status == CL_OK) {
        bool same = memcmp(acceptance->network.bytes, network->bytes, 32) == 0 && memcmp(acceptance->record.bytes, decoded->id.bytes, 32) == 0 &&
                    memcmp(acceptance->leaf.bytes, decoded->leaf_hash.bytes, 32) == 0;
        status = same && decoded->entry_count > 0 && decoded->entries[0].object_length == 32 ? CL_OK : CL_E_PROOF;
        if (status == CL_OK)
            memcpy(object32, decoded->entries[0].object, 32);
        cl_record_deinit(decoded);
    }
    free(decoded);
    return status;
}

void acceptance_take(struct context *context, struct submission *out, const char *base64, const uint8_t *record, size_t length)
{
    struct cl_buffer data = {0};
    struct cl_acceptance acceptance;
    uint8_t object[32];
    char tag[17];
    const struct cl_wallet_network *network = context->wallet == NULL ? NULL : &context->wallet->network;
    out->accepted = true;
    if (network == NULL || !network->known) {
        output_say(&context->output, "The node says that it accepted the withdrawal; without a wallet there is no trust file to check that against.");
        return;
    }
    enum cl_status status = cl_base64_get(&data, base64, strlen(base64));
    if (status == CL_OK)
        status = check(&acceptance, &data, &network->policy);
    if (status == CL_OK)
        status = is_of(&acceptance, &network->id, record, length, object);
    if (status != CL_OK) {
        out->accepted = false;
        output_warn(&context->output, "The node's acceptance of the withdrawal does not hold (%s); count on it only once it is final.", cl_status_code(status));
    } else {
        out->accepted_ms = acceptance.time_ms;
        (void)snprintf(out->accepted_by, sizeof out->accepted_by, "%s", acceptance.member);
        tag_of(context, tag, object);
        (void)snprintf(out->acceptance_file, sizeof out->acceptance_file, "%s" ACCEPTED "%s-%.8s", context->wallet_path, tag, id_text(acceptance.record.bytes));
        if (file_write(context, out->acceptance_file, data.data, data.length, true) != 0)
            out->acceptance_file[0] = '\0';
    }
    cl_buffer_deinit(&data);
}

void acceptance_say(struct context *context, const struct submission *submission)
{
    char when[TIME_TEXT_SIZE];
    if (submission->accepted_by[0] == '\0')
        return;
    time_text(when, submission->accepted_ms / 1000u);
    output_line(&context->output, "accepted by member '%s' on %s: no use from then on, final or not", submission->accepted_by, when);
    if (submission->acceptance_file[0] != '\0')
        output_line(&context->output, "its signed word is kept in %s", submission->acceptance_file);
}

bool acceptances_destroy(struct context *context, const struct cl_object_id *agreement, size_t *count)
{
    char beginning[3200], path[3600], tag[17];
    struct dirent **names = NULL;
    const char *slash = strrchr(context->wallet_path, '/'), *own = slash == NULL ? context->wallet_path : slash + 1;
    int folder = slash == NULL ? 0 : (int)(slash + 1 - context->wallet_path);
    bool good = true;
    tag_of(context, tag, agreement->bytes);
    size_t length = (size_t)snprintf(beginning, sizeof beginning, "%s" ACCEPTED "%s-", own, tag);
    (void)snprintf(path, sizeof path, "%.*s", folder, context->wallet_path);
    int found = scandir(folder == 0 ? "." : path, &names, NULL, NULL);
    for (int i = 0; i < found; i++) {
        if (strncmp(names[i]->d_name, beginning, length) == 0) {
            (void)snprintf(path, sizeof path, "%.*s%.255s", folder, context->wallet_path, names[i]->d_name);
            good = cl_file_destroy(path) && good;
            *count += 1;
        }
        free(names[i]);
    }
    free(names);
    return good && found >= 0;
}

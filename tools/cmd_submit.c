/* consent sign, submit, inspect: records as files, for those who sign elsewhere or want to see for themselves. */
#include "act.h"
#include "consent/inspect.h"

#include <stdlib.h>
#include <unistd.h>

/* --network HEX, else the wallet's. */
static int network_of(struct context *context, struct cl_network_id *out)
{
    const char *text = option(context, "--network");
    struct cl_object_id id;
    if (text != NULL) {
        if (!id_parse(&id, text))
            return output_usage(&context->output, "'%.70s' is not a network id (64 hex digits).", text);
        memcpy(out->bytes, id.bytes, 32);
        return 0;
    }
    int result = wallet_open(context);
    if (result == 0 && !context->wallet->network.known)
        result = output_fail(&context->output, CL_E_NETWORK, "This wallet does not belong to a network yet; give --network.");
    if (result == 0)
        *out = context->wallet->network.id;
    return result;
}

/* --signature: made elsewhere over the digest that --digest-only printed. */
static int finish_elsewhere(struct context *context, struct cl_buffer *record, const struct cl_buffer *payload, const struct cl_record *draft, const struct cl_public_key *key, const struct cl_network_id *network)
{
    struct cl_buffer signature = {0};
    uint8_t signature64[64];
    int result = file_read(context, &signature, option(context, "--signature"), 512);
    if (result == 0) {
        enum cl_status status = cl_signature_import(signature64, signature.data, signature.length, key, draft->id.bytes);
        if (status == CL_OK)
            status = cl_record_finish(record, payload->data, payload->length, key, signature64, 64, network);
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
    }
    cl_buffer_deinit(&signature);
    return result;
}

static int sign_payload(struct context *context, const struct cl_buffer *payload, const struct cl_public_key *key, const struct act_signer *signer, const struct cl_network_id *network)
{
    struct cl_record *draft = calloc(1, sizeof *draft);
    struct cl_buffer record = {0};
    uint32_t entry = 0;
    const char *out = option(context, "--output");
    int result = 0;
    enum cl_status status = draft == NULL ? CL_E_MEMORY : cl_record_decode_payload(draft, &entry, payload->data, payload->length, key->bytes, network);
    if (status != CL_OK) {
        result = output_fail(&context->output, status, "(entry %u)", entry);
        free(draft);
        return result;
    }
    if (flag(context, "--digest-only")) {
        output_line(&context->output, "%s", id_text(draft->id.bytes));
        output_json(&context->output, json_pack("{s:s}", "digest", id_text(draft->id.bytes)));
    } else if (out == NULL) {
        result = output_usage(&context->output, "Where to? -o FILE");
    } else if (option(context, "--signature") != NULL) {
        result = finish_elsewhere(context, &record, payload, draft, key, network);
    } else {
        uint8_t signature64[64];
        assert(signer->signer.sign != NULL);
        status = signer->signer.sign((void *)(uintptr_t)signer, signature64, draft->id.bytes);
        if (status == CL_OK)
            status = cl_record_finish(&record, payload->data, payload->length, key, signature64, 64, network);
        if (status != CL_OK)
            result = output_fail(&context->output, status, NULL);
    }
    if (result == 0 && record.length > 0)
        result = file_write(context, out, record.data, record.length, false);
    if (result == 0 && record.length > 0) {
        output_line(&context->output, "%s, record %s", out, id_text(draft->id.bytes));
        output_json(&context->output, json_pack("{s:s, s:s}", "file", out, "record_id", id_text(draft->id.bytes)));
    }
    cl_record_deinit(draft);
    free(draft);
    cl_buffer_deinit(&record);
    return result;
}

int run_sign(struct context *context)
{
    struct cl_buffer payload = {0};
    struct cl_network_id network;
    struct act_signer signer = {0};
    struct cl_public_key key;
    const char *path = positional(context, 0), *given = option(context, "--signer-key");
    if (path == NULL)
        return output_usage(&context->output, "Which file? It holds a record's payload (see 'consent inspect').");
    int result = file_read(context, &payload, path, CL_RECORD_BYTES_MAX);
    if (result == 0)
        result = network_of(context, &network);
    bool outside_later = flag(context, "--digest-only") || option(context, "--signature") != NULL;
    if (result == 0 && outside_later && given != NULL) {
        if (cl_public_key_decode(&key, given) != CL_OK)
            result = output_fail(&context->output, CL_E_KEY, "'%.80s'", given);
    } else if (result == 0) {
        if (context->wallet == NULL && option(context, "--signer") == NULL)
            result = wallet_open(context);
        if (result == 0)
            result = signer_open(context, &signer, NULL);
        key = signer.signer.key;
    }
    /* A signed record may be given too: its payload is signed anew. */
    struct cl_record *signed_record = calloc(1, sizeof *signed_record);
    if (result == 0 && signed_record != NULL && cl_file_kind_of(payload.data, payload.length) == CL_FILE_RECORD && cl_record_decode(signed_record, NULL, payload.data, payload.length, &network) == CL_OK) {
        struct cl_buffer inner = {0};
        if (cl_buffer_append(&inner, signed_record->payload.data, signed_record->payload.length) != CL_OK)
            result = output_fail(&context->output, CL_E_MEMORY, NULL);
        cl_record_deinit(signed_record);
        cl_buffer_deinit(&payload);
        payload = inner;
    }
    free(signed_record);
    if (result == 0)
        result = sign_payload(context, &payload, &key, &signer, &network);
    cl_buffer_deinit(&payload);
    return result;
}

int run_submit(struct context *context)
{
    struct cl_buffer record = {0};
    struct submission submission;
    const char *path = positional(context, 0);
    if (path == NULL)
        return output_usage(&context->output, "Which record?");
    int result = file_read(context, &record, path, CL_RECORD_BYTES_MAX);
    if (result == 0 && cl_file_kind_of(record.data, record.length) != CL_FILE_RECORD)
        result = output_fail(&context->output, CL_E_FORMAT, "%s is %s.", path, cl_file_kind_words(cl_file_kind_of(record.data, record.length)));
    if (result == 0)
        result = node_open(context);
    if (result == 0)
        output_say(&context->output, "Submitting %s to %s.", path, context->node_url);
    if (result == 0)
        result = record_withdraw(context, &submission, record.data, record.length, flag(context, "--wait"));
    if (result == 0) {
        json_t *json = json_object();
        submission_say(context, &submission);
        submission_json(json, &submission);
        output_json(&context->output, json);
        result = flag(context, "--wait") && !submission.final ? 15 : 0;
    }
    cl_buffer_deinit(&record);
    return result;
}

int run_inspect(struct context *context)
{
    struct cl_buffer data = {.secret = true}, words = {0}, diagnostic = {0};
    struct cl_network_id network;
    const char *path = positional(context, 0), *given = option(context, "--network");
    if (path == NULL)
        return output_usage(&context->output, "Which file?");
    int result = file_read(context, &data, path, CL_WALLET_FILE_BYTES_MAX);
    if (result == 0 && given != NULL)
        result = network_of(context, &network);
    if (result != 0) {
        cl_buffer_wipe(&data);
        return result;
    }
    enum cl_file_kind kind = cl_file_kind_of(data.data, data.length);
    enum cl_status status = cl_inspect_words(&words, data.data, data.length, given == NULL ? NULL : &network);
    bool text = kind == CL_FILE_CHECKPOINT || kind == CL_FILE_TLOG_PROOF || kind == CL_FILE_POLICY || kind == CL_FILE_UNKNOWN;
    enum cl_status notation = text ? CL_OK : cl_inspect_diagnostic(&diagnostic, data.data, data.length);
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    else if (!context->output.json) {
        (void)fwrite(words.data, 1, words.length, stdout);
        if (kind == CL_FILE_CHECKPOINT || kind == CL_FILE_TLOG_PROOF || kind == CL_FILE_POLICY)
            (void)printf("\n%.*s", (int)data.length, (const char *)data.data);
        else if (!text && notation == CL_OK)
            (void)printf("\n%.*s", (int)diagnostic.length, (const char *)diagnostic.data);
        else if (!text)
            (void)printf("\nnot deterministic CBOR: %s\n", cl_status_sentence(notation));
    } else {
        output_json(&context->output, json_pack("{s:s, s:s%, s:s%}", "kind", cl_file_kind_words(kind), "words", (const char *)words.data, words.length, "diagnostic", diagnostic.data == NULL ? "" : (const char *)diagnostic.data, notation == CL_OK ? diagnostic.length : (size_t)0));
    }
    if (result == 0 && (kind == CL_FILE_UNKNOWN || notation != CL_OK))
        result = 1;
    cl_buffer_wipe(&data);
    cl_buffer_deinit(&words);
    cl_buffer_deinit(&diagnostic);
    return result;
}

/* consent source ask, open: the reader asks a holder for what a customer released to it, with a fresh proof and a key made for
   this one request; and opens the answer, which has to be the holder's, to this request. */
#include "source.h"

#include <stdlib.h>
#include <unistd.h>

/* A fresh proof of our side's party, where that is a PROFILE or TERMS. */
static int party_proof(struct context *context, struct cl_buffer *out, const struct subject *subject)
{
    const struct cl_party *party = subject_party(subject, CL_SIDE_ORGANISATION);
    struct cl_object_id id;
    if (party->length != 32)
        return 0;
    memcpy(id.bytes, party->bytes, 32);
    return proof_fetch(context, out, &id);
}

static int request_make(struct context *context, struct cl_buffer *out, struct cl_source_entry *entry, const struct cl_source_pointer *pointer, const struct subject *subject)
{
    struct cl_source_request request = {.network = pointer->network, .agreement = pointer->agreement, .slot = pointer->slot, .holder = pointer->holder, .made_ms = time_now_ms()};
    struct cl_buffer proof = {0}, of_party = {0};
    struct act_signer signer;
    memcpy(request.reference16, pointer->reference16, 16);
    int result = subject_signer(context, &signer, subject);
    if (result == 0)
        result = proof_fetch(context, &proof, &subject->object.id);
    if (result == 0)
        result = party_proof(context, &of_party, subject);
    enum cl_status status = result == 0 ? cl_random_bytes(request.nonce16, 16) : CL_OK;
    if (result == 0 && status == CL_OK)
        status = cl_source_key_new(request.delivery32, entry->secret32);
    if (result == 0 && status == CL_OK) {
        request.proof = (struct cl_view){proof.data, proof.length};
        request.party_proof = (struct cl_view){of_party.data, of_party.length};
        status = cl_source_request_sign(out, &request, &signer.signer);
    }
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    cl_hash_bytes(&entry->request, out->data, out->length);
    entry->asked_ms = request.made_ms;
    cl_buffer_deinit(&proof);
    cl_buffer_deinit(&of_party);
    return result;
}

static void asked_say(struct context *context, const struct cl_source_pointer *pointer, const char *path)
{
    char until[TIME_TEXT_SIZE], profile[65];
    time_until_text(until, pointer->until_s);
    (void)snprintf(profile, sizeof profile, "%s", id_text(pointer->holder.bytes));
    output_line(&context->output, "request in %s", path);
    output_say(&context->output, "It asks profile %s for %s of '%s'. Hand it over within the hour; it may be fetched %s, until %s.", profile, source_slot_text(context, &pointer->agreement, pointer->slot), source_name(context, &pointer->agreement), source_times(pointer->uses), until);
    if (pointer->where.length > 0)
        output_say(&context->output, "Where to, says the customer: %s", output_printable((const char *)pointer->where.data, pointer->where.length));
    output_say(&context->output, "What comes back is opened with 'consent source open ANSWER -o FILE'.");
    output_json(&context->output, json_pack("{s:s, s:s, s:s, s:i, s:s, s:s%}", "file", path, "holder", profile, "agreement", id_text(pointer->agreement.bytes), "slot", (int)pointer->slot, "reference", source_reference(pointer->reference16), "where", (const char *)pointer->where.data, pointer->where.length));
}

static int ask(struct context *context, const struct cl_source_pointer *pointer, const struct cl_buffer *file, const char *out)
{
    struct cl_source_entry entry = {.way = CL_SOURCE_ASKED, .document = *file};
    struct cl_buffer request = {0};
    struct cl_public_key customer;
    struct subject subject;
    int result = source_agreement(context, &subject, &customer, &pointer->agreement, CL_SIDE_ORGANISATION);
    if (result != 0)
        return result;
    enum cl_status status = cl_source_pointer_check(pointer, &context->wallet->network.id, &subject.object.id, &subject.object.as.agreement, &customer, time_now_ms());
    if (status != CL_OK)
        result = output_fail(&context->output, status == CL_E_DELIVERY_SENDER ? CL_E_SIGNATURE : status, status == CL_E_DELIVERY_SENDER ? "It is not signed by the customer of '%s'." : "(what the customer of '%s' released)", source_name(context, &pointer->agreement));
    if (result == 0)
        result = request_make(context, &request, &entry, pointer, &subject);
    if (result == 0 && (status = cl_source_save(&entry, context->store)) != CL_OK) /* before the request is out: its answer has one key */
        result = output_fail(&context->output, status, NULL);
    if (result == 0)
        result = file_write(context, out, request.data, request.length, true);
    if (result == 0 && strcmp(out, "-") != 0)
        asked_say(context, pointer, out);
    subject_close(&subject);
    cl_buffer_deinit(&request);
    cl_wipe_bytes(entry.secret32, sizeof entry.secret32);
    return result;
}

int run_source_ask(struct context *context)
{
    struct cl_buffer file = {.secret = true};
    struct cl_source_pointer pointer;
    const char *path = positional(context, 0), *out = option(context, "--output");
    if (path == NULL || out == NULL)
        return output_usage(&context->output, path == NULL ? "Which file? What 'consent open' or 'consent inbox' wrote of a delivery of " POINTER_MEDIA_TYPE "." : "Where to? Give a file for the request with -o, as my.consent-source-request.");
    int result = network_open(context);
    if (result == 0)
        result = file_read(context, &file, path, CL_SOURCE_POINTER_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_source_pointer_decode(&pointer, file.data, file.length) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s does not say where data is to be fetched, as a customer signs it.", path);
    if (result == 0)
        result = source_tidy(context);
    if (result == 0)
        result = ask(context, &pointer, &file, out);
    cl_buffer_wipe(&file);
    return result;
}

/* ---- open */

struct answering {
    struct cl_buffer sealed, opened;
    struct cl_source_answer answer;
    enum cl_status status;          /* CL_E_DELIVERY_KEY: no key that was asked with opens it */
    struct cl_source_entry entry;   /* what was asked; its document is ours */
};

static enum cl_status try_one(void *opaque, const struct cl_source_entry *entry)
{
    struct answering *answering = opaque;
    if (entry->way != CL_SOURCE_ASKED || answering->status != CL_E_DELIVERY_KEY)
        return CL_OK;
    answering->status = cl_source_answer_open(&answering->opened, &answering->answer, answering->sealed.data, answering->sealed.length, entry->secret32);
    if (answering->status != CL_OK)
        return CL_OK;
    answering->entry.way = CL_SOURCE_ASKED;
    answering->entry.request = entry->request;
    return cl_buffer_append(&answering->entry.document, entry->document.data, entry->document.length);
}

/* From the holder that the customer named, as its PROFILE is now, and to what was asked. */
static int answer_judge(struct context *context, struct answering *answering, struct cl_source_pointer *pointer)
{
    struct cl_party holder = {.length = 32};
    struct delivery_party party;
    enum cl_status status = cl_source_pointer_decode(pointer, answering->entry.document.data, answering->entry.document.length);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    memcpy(holder.bytes, pointer->holder.bytes, 32);
    int result = delivery_party_open(context, &party, &holder);
    if (result != 0)
        return result;
    status = cl_source_answer_check(&answering->answer, pointer, &answering->entry.request, &party.signers.key, time_now_ms());
    delivery_party_close(&party);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "The answer is left alone; the one of profile %s can still come.", id_text(pointer->holder.bytes));
}

static int answer_take(struct context *context, struct answering *answering, const char *out)
{
    struct cl_source_pointer pointer;
    const struct cl_source_answer *answer = &answering->answer;
    int result = answer_judge(context, answering, &pointer);
    if (result == 0)
        result = file_write(context, out, answer->content.data, answer->content.length, true);
    if (result != 0)
        return result;
    enum cl_status status = cl_source_remove(&answering->entry, context->store); /* the key opens nothing more */
    if (status != CL_OK)
        return output_fail(&context->output, status, "The content is in %s; the key that opened it could not be destroyed.", out);
    if (strcmp(out, "-") == 0)
        return 0;
    output_line(&context->output, "%s: %zu bytes of %s, from profile %s", out, answer->content.length, output_printable(answer->media_type, strlen(answer->media_type)), id_text(pointer.holder.bytes));
    output_say(&context->output, "It is what the customer of '%s' released for %s.", source_name(context, &pointer.agreement), source_slot_text(context, &pointer.agreement, pointer.slot));
    output_json(&context->output, json_pack("{s:s, s:I, s:s, s:s, s:s, s:i, s:s, s:I}", "file", out, "bytes", (json_int_t)answer->content.length, "media_type", answer->media_type, "holder", id_text(pointer.holder.bytes), "agreement", id_text(pointer.agreement.bytes), "slot", (int)pointer.slot,
                                            "reference", source_reference(pointer.reference16), "made_ms", (json_int_t)answer->made_ms));
    return 0;
}

int run_source_open(struct context *context)
{
    struct answering answering = {.opened = {.secret = true}, .status = CL_E_DELIVERY_KEY, .entry = {.document = {.secret = true}}};
    const char *path = positional(context, 0), *out = option(context, "--output");
    if (path == NULL)
        return output_usage(&context->output, "Which answer?");
    if (out == NULL && (context->output.json || isatty(STDOUT_FILENO) == 1))
        return output_usage(&context->output, "Where to? Give a file with -o; what others send is not shown on a terminal.");
    int result = network_open(context);
    if (result == 0)
        result = file_read(context, &answering.sealed, path, CL_SOURCE_SEALED_MAX);
    enum cl_status status = result == 0 ? cl_source_each(context->store, try_one, &answering) : CL_OK;
    if (result == 0 && status == CL_OK)
        status = answering.status;
    if (status != CL_OK)
        result = output_fail(&context->output, status, status == CL_E_DELIVERY_KEY ? "%s answers nothing that was asked from this wallet, or what was answered already." : "%s", path);
    if (result == 0)
        result = answer_take(context, &answering, out == NULL ? "-" : out);
    cl_source_entry_deinit(&answering.entry);
    cl_buffer_deinit(&answering.sealed);
    cl_buffer_wipe(&answering.opened);
    return result;
}

/* consent source take, serve: the holder keeps what its customers released, and serves a request that shows it may be, by
   what is in its hands. A use is logged and counted on disk before anything leaves. */
#include "source.h"
#include "uses.h"

#include <stdlib.h>

#define MAX_AGE_MS_DEFAULT (3600ull * 1000u)
#define PURPOSE_DEFAULT "dpv:RequestedServiceProvision"

/* ---- take */

/* The newer of two releases with one reference counts, and what was served stays counted. *news: it changes something.
   CL_E_EXISTS: another agreement's has that reference. */
static enum cl_status held_update(struct context *context, const struct cl_source_release *release, struct cl_view file, bool *news)
{
    struct cl_source_entry entry;
    struct cl_source_release before = {.agreement = release->agreement};
    enum cl_status status = cl_source_load(&entry, context->store, CL_SOURCE_HELD, release->reference16);
    bool there = status == CL_OK;
    if (status == CL_E_NOT_FOUND)
        entry = (struct cl_source_entry){.way = CL_SOURCE_HELD, .document = {.secret = true}};
    else if (status != CL_OK)
        return status;
    status = there ? cl_source_release_decode(&before, entry.document.data, entry.document.length) : CL_OK;
    if (status == CL_OK && memcmp(before.agreement.bytes, release->agreement.bytes, 32) != 0)
        status = CL_E_EXISTS;
    *news = status == CL_OK && (!there || release->made_ms > before.made_ms);
    if (*news)
        status = cl_buffer_replace(&entry.document, file.data, file.length);
    if (*news && status == CL_OK)
        status = cl_source_save(&entry, context->store);
    cl_source_entry_deinit(&entry);
    return status;
}

static enum cl_status release_judge(struct context *context, const struct cl_source_release *release, const struct subject *subject, const struct cl_public_key *customer)
{
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    if (subject->side != CL_SIDE_ORGANISATION)
        return CL_E_PARTY;
    enum cl_status status = cl_source_release_check(release, &context->wallet->network.id, &subject->object.id, agreement, customer, time_now_ms());
    return status == CL_OK && agreement->organisation.length != 32 ? CL_E_OBJECT_KIND : status; /* uses are stated under a profile */
}

static void taken_say(struct context *context, const struct cl_source_release *release, bool news, bool many)
{
    char until[TIME_TEXT_SIZE];
    const char *customer = source_name(context, &release->agreement), *reference = source_reference(release->reference16);
    time_until_text(until, release->until_s);
    if (!news)
        output_line(&context->output, "release %s of '%s' is held already, in this form or a newer one", reference, customer);
    else if (release->uses == 0)
        output_line(&context->output, "release %s of '%s' is taken back: nothing is served under it any more", reference, customer);
    else
        output_line(&context->output, "release %s: %s of '%s' may be served to the organisation of agreement %s, %s, until %s", reference, source_slot_text(context, &release->agreement, release->slot), customer, id_short(release->reader.bytes), source_times(release->uses), until);
    (many ? output_json_line : output_json)(&context->output, json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:b}", "reference", reference, "agreement", id_text(release->agreement.bytes), "reader", id_text(release->reader.bytes), "slot", (int)release->slot, "uses", (int)release->uses, "until", (json_int_t)release->until_s, "new", news ? 1 : 0));
}

bool source_release_is(const struct cl_delivery *delivery) { return delivery->kind == CL_DELIVERY_NOTICE && strcmp(delivery->media_type, RELEASE_MEDIA_TYPE) == 0; }

int source_release_arrived(struct opening *opening, struct cl_view content, enum cl_status *status)
{
    struct context *context = opening->context;
    struct cl_source_release release;
    bool news = false;
    *status = cl_source_release_decode(&release, content.data, content.length);
    if (*status == CL_OK)
        *status = release_judge(context, &release, &opening->subject, &opening->other.signers.key);
    if (*status != CL_OK)
        return 0;
    enum cl_status kept = held_update(context, &release, content, &news);
    if (kept == CL_OK)
        taken_say(context, &release, news, true);
    else if (kept == CL_E_EXISTS)
        *status = kept;
    else
        return output_fail(&context->output, kept, "The register of releases, in the folder beside the wallet.");
    return 0;
}

int run_source_take(struct context *context)
{
    struct cl_buffer file = {.secret = true};
    struct cl_source_release release;
    struct cl_public_key customer;
    struct subject subject;
    bool news = false;
    const char *path = positional(context, 0);
    if (path == NULL)
        return output_usage(&context->output, "Which file? What 'consent open' wrote of a delivery of " RELEASE_MEDIA_TYPE ".");
    int result = network_open(context);
    if (result == 0)
        result = file_read(context, &file, path, CL_SOURCE_POINTER_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_source_release_decode(&release, file.data, file.length) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s is not a release as a customer signs it.", path);
    if (result == 0)
        result = source_tidy(context);
    if (result == 0)
        result = source_agreement(context, &subject, &customer, &release.agreement, CL_SIDE_ORGANISATION);
    if (result != 0) {
        cl_buffer_wipe(&file);
        return result;
    }
    status = release_judge(context, &release, &subject, &customer);
    const char *why = status == CL_E_DELIVERY_SENDER ? "is not signed by the customer of" : status == CL_E_OBJECT_KIND ? "cannot be served by a side without a profile, as yours is, in" : "is under";
    if (status != CL_OK)
        result = output_fail(&context->output, status == CL_E_DELIVERY_SENDER ? CL_E_SIGNATURE : status, "The release %s '%s'.", why, source_name(context, &release.agreement));
    else if ((status = held_update(context, &release, (struct cl_view){file.data, file.length}, &news)) != CL_OK)
        result = output_fail(&context->output, status, status == CL_E_EXISTS ? "Another customer's release has this reference." : "The register of releases, in the folder beside the wallet.");
    else
        taken_say(context, &release, news, false);
    subject_close(&subject);
    cl_buffer_wipe(&file);
    return result;
}

/* ---- serve */

struct serving {
    struct cl_buffer file;              /* the request */
    struct cl_source_request request;
    struct cl_source_entry held;
    struct cl_source_release release;
    struct cl_object_id profile;        /* ours, in the agreement with the customer */
    uint64_t now_ms, max_age_ms;
};

static int refused(struct context *context, enum cl_status status, const char *why) { return output_fail(&context->output, status, "Nothing is served%s%s.", why[0] == '\0' ? "" : ": ", why); }

/* Our own agreement with the customer, as the node or the proof at hand has it: active, the slot live. */
static int own_check(struct context *context, struct serving *serving)
{
    struct cl_agreement agreement;
    struct subject subject;
    struct cl_policy *policy = NULL;
    const struct cl_object_id *id = &serving->release.agreement;
    enum cl_status status = CL_OK;
    int result = 0;
    if (!flag(context, "--offline")) {
        result = agreement_open(context, &subject, id_text(id->bytes));
        if (result != 0)
            return result;
        agreement = subject.object.as.agreement;
        subject_close(&subject);
    } else {
        const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
        struct cl_verify_report *report = calloc(1, sizeof *report);
        struct cl_verify_options options = {.now_ms = serving->now_ms, .max_age_ms = serving->max_age_ms};
        if (report == NULL)
            return output_fail(&context->output, CL_E_MEMORY, NULL);
        result = item == NULL || item->proof.length == 0 ? output_fail(&context->output, CL_E_NOT_FOUND, "There is no proof of '%s' at hand; 'consent proof %s' fetches one.", source_name(context, id), source_name(context, id)) : policy_open(context, &policy);
        if (result == 0)
            status = cl_proof_verify(report, item->proof.data, item->proof.length, policy, &options);
        if (result == 0 && status == CL_OK)
            status = !report->exists || report->kind != CL_STATE_AGREEMENT || memcmp(report->object.bytes, id->bytes, 32) != 0 ? CL_E_OBJECT_KIND : CL_OK;
        agreement = report->agreement;
        cl_policy_free(policy);
        free(report);
    }
    if (result == 0 && status == CL_OK)
        status = agreement.organisation.length != 32 ? CL_E_OBJECT_KIND : cl_agreement_check(&agreement, 1ull << serving->release.slot, serving->now_ms);
    if (result == 0 && status != CL_OK)
        return refused(context, status, "so it is with your own agreement with the customer");
    memcpy(serving->profile.bytes, agreement.organisation.bytes, 32);
    return result;
}

/* All that has to hold, cheapest first. */
static int judge(struct context *context, struct serving *serving)
{
    struct cl_policy *policy = NULL;
    enum cl_status status = cl_source_load(&serving->held, context->store, CL_SOURCE_HELD, serving->request.reference16);
    if (status == CL_OK)
        status = cl_source_release_decode(&serving->release, serving->held.document.data, serving->held.document.length);
    if (status != CL_OK)
        return refused(context, status, status == CL_E_NOT_FOUND ? "no release with this reference is held; 'consent source take' takes in what a customer sent" : "the register of releases is damaged");
    status = cl_source_serve_check(&serving->release, serving->held.served, serving->held.served_count, &serving->request, serving->now_ms);
    if (status != CL_OK)
        return refused(context, status, status == CL_E_EXPIRED ? "the release is over" : "");
    int result = own_check(context, serving);
    if (result == 0)
        result = policy_open(context, &policy);
    if (result != 0)
        return result;
    struct cl_source_rules rules = {.policy = policy, .network = context->wallet->network.id, .holder = serving->profile, .now_ms = serving->now_ms, .max_age_ms = serving->max_age_ms};
    status = cl_source_request_check(&serving->request, &rules);
    cl_policy_free(policy);
    return status == CL_OK ? 0 : refused(context, status, "so it is with what the request shows");
}

/* In the log of uses, then in the register, both on disk; nothing has left yet. */
static int count(struct context *context, struct serving *serving)
{
    const char *purpose = option(context, "--purpose");
    int result = uses_log_use(context, &serving->profile, &serving->release.agreement, serving->release.slot, purpose == NULL ? PURPOSE_DEFAULT : purpose, source_reference(serving->release.reference16));
    if (result != 0)
        return result;
    struct cl_source_served *one = &serving->held.served[serving->held.served_count++];
    one->ms = serving->now_ms;
    memcpy(one->nonce16, serving->request.nonce16, 16);
    enum cl_status status = cl_source_save(&serving->held, context->store);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "The use could not be counted, so nothing is served.");
}

static int answer_make(struct context *context, struct cl_buffer *sealed, const struct serving *serving, const char *path)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, &serving->profile);
    const char *type = option(context, "--media-type");
    struct cl_source_answer answer = {.network = context->wallet->network.id, .holder = serving->profile, .made_ms = serving->now_ms};
    struct cl_buffer content = {.secret = true};
    struct act_signer signer;
    if (type != NULL && !cl_media_type_usable(type))
        return output_usage(&context->output, "A media type looks as text/csv, and has at most %u characters.", CL_MEDIA_TYPE_BYTES_MAX);
    (void)snprintf(answer.media_type, sizeof answer.media_type, "%s", type == NULL ? "application/octet-stream" : type);
    int result = signer_open(context, &signer, item == NULL ? NULL : item->key_name);
    if (result == 0)
        result = file_read(context, &content, path, CL_SOURCE_CONTENT_BYTES_MAX);
    if (result == 0) {
        answer.content = (struct cl_view){content.data, content.length};
        cl_hash_bytes(&answer.request, serving->file.data, serving->file.length);
        enum cl_status status = cl_source_answer_seal(sealed, &answer, &signer.signer, serving->request.delivery32);
        if (status != CL_OK)
            result = output_fail(&context->output, status, status == CL_E_KEY ? "The request's delivery key is none." : NULL);
    }
    cl_buffer_wipe(&content);
    return result;
}

static int serve(struct context *context, struct serving *serving)
{
    const char *path = positional(context, 1), *out = option(context, "--output");
    struct cl_buffer sealed = {0};
    const char *slot = source_slot_text(context, &serving->release.agreement, serving->release.slot), *customer = source_name(context, &serving->release.agreement);
    unsigned uses = serving->release.uses;
    if (path != NULL && out == NULL)
        return output_usage(&context->output, "Where to? Give a file for the sealed answer with -o, as answer.consent-source-answer.");
    int result = path == NULL ? 0 : answer_make(context, &sealed, serving, path);
    if (result == 0 && path != NULL)
        result = count(context, serving);
    if (result == 0 && path != NULL) {
        result = file_write(context, out, sealed.data, sealed.length, true);
        if (result != 0)
            output_warn(&context->output, "The use stays counted and logged, for nobody knows how much of the answer left; the customer can release once more.");
    }
    if (result == 0) {
        size_t served = serving->held.served_count;
        if (path == NULL)
            output_line(&context->output, "%s  %s of '%s' may be served (%zu of %u times so far); give its file, and -o", output_coloured(&context->output, "1;32", "yes"), slot, customer, served, uses);
        else if (strcmp(out, "-") != 0)
            output_line(&context->output, "%s of '%s' is in %s, sealed for who asked (%zu of %u times); the use is logged", slot, customer, out, served, uses);
        if (path == NULL || strcmp(out, "-") != 0)
            output_json(&context->output, json_pack("{s:b, s:s, s:s, s:s, s:i, s:i, s:i, s:o}", "served", path != NULL ? 1 : 0, "reference", source_reference(serving->release.reference16), "agreement", id_text(serving->release.agreement.bytes), "customer", customer,
                                                    "slot", (int)serving->release.slot, "times", (int)served, "uses", (int)uses, "file", path == NULL ? json_null() : json_string(out)));
    }
    cl_buffer_deinit(&sealed);
    return result;
}

int run_source_serve(struct context *context)
{
    struct serving *serving = calloc(1, sizeof *serving);
    const char *path = positional(context, 0), *age = option(context, "--max-age");
    if (serving == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    serving->now_ms = time_now_ms();
    serving->max_age_ms = MAX_AGE_MS_DEFAULT;
    int result = path == NULL ? output_usage(&context->output, "Which request? 'consent source serve REQUEST' says whether it may be served, and of whom; with a file it is.") : 0;
    if (result == 0 && age != NULL && (!duration_parse(&serving->max_age_ms, age) || serving->max_age_ms == 0))
        result = output_usage(&context->output, "'%.40s' is not an age, such as 90s, 30m, 24h.", age);
    if (result == 0)
        result = flag(context, "--offline") ? wallet_open(context) : network_open(context);
    if (result == 0)
        result = file_read(context, &serving->file, path, CL_SOURCE_REQUEST_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_source_request_decode(&serving->request, serving->file.data, serving->file.length) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "%s is not a request as 'consent source ask' writes it.", path);
    if (result == 0)
        result = judge(context, serving);
    if (result == 0)
        result = serve(context, serving);
    cl_source_entry_deinit(&serving->held);
    cl_buffer_deinit(&serving->file);
    free(serving);
    return result;
}

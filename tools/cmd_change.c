/* consent amend, suspend, resume, revoke, renew, ack, erase, dispute: what happens to an agreement that stands. */
#include "erasure.h"
#include "proposals.h"

#include <stdlib.h>

/* Signs and finishes an act on the subject. */
static int finish(struct context *context, struct act *act, struct subject *subject)
{
    struct act_signer signer;
    struct cl_buffer record = {0};
    act_object(act, &subject->object.id);
    int result = subject_signer(context, &signer, subject);
    if (result == 0)
        result = act_sign(context, &record, act, &signer);
    if (result == 0)
        result = act_finish(context, act, &record, &subject->object.id, subject->item_name, false, NULL);
    cl_buffer_deinit(&record);
    return result;
}

static const char *called(const struct subject *subject)
{
    return subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes);
}

static int amend_narrow(struct context *context, struct subject *subject)
{
    struct act act;
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    uint64_t slots = 0;
    act_init(&act, CL_AMEND);
    int result = slots_option(context, &slots, agreement->live);
    if (result == 0)
        result = act_period(context, &act, "--from");
    if (result == 0 && (act.entry.present & CL_HAS(4)) != 0)
        result = output_usage(&context->output, "Narrowing takes --slots and --until only.");
    if (result == 0 && slots == 0 && (act.entry.present & CL_HAS(5)) == 0)
        result = output_usage(&context->output, "Say what to narrow (--slots, --until), what to propose (--terms), or --accept.");
    if (result != 0)
        return result;
    if (slots != 0)
        act_slots(&act, slots);
    struct cl_optional_time until = (act.entry.present & CL_HAS(5)) != 0 ? (struct cl_optional_time){true, act.entry.not_after} : agreement->not_after;
    output_say(&context->output, "You narrow '%s' to slots %s, %s.", called(subject), slots_text(slots != 0 ? slots : agreement->live), period_text(&agreement->not_before, &until));
    return finish(context, &act, subject);
}

static int amend_propose(struct context *context, struct subject *subject)
{
    struct act act;
    struct cl_terms_text *text = NULL;
    struct cl_buffer body = {.secret = true};
    const char *offer = option(context, "--output");
    struct cl_wallet_item *item = subject_item(context, subject);
    act_init(&act, CL_AMEND);
    int result = terms_read(context, &text, option(context, "--terms"));
    uint64_t slots = text == NULL ? 0 : cl_terms_text_slots(text);
    if (result == 0)
        result = slots_option(context, &slots, slots);
    if (result == 0)
        result = act_period(context, &act, "--from");
    if (result == 0)
        result = body_make(context, &body, &act, text, &subject->object.id);
    if (result == 0 && item != NULL)
        proposal_room(item, subject->object.as.agreement.commitment);
    if (result == 0 && item != NULL && cl_wallet_item_body_add(item, body.data, body.length) != CL_OK)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    if (result == 0 && item != NULL && offer != NULL)
        result = offer_write(context, item, NULL, offer);
    if (result == 0) {
        act_slots(&act, slots);
        act_prev(&act, subject->object.as.agreement.head);
        output_say(&context->output, "You propose other terms for '%s': slots %s. The present ones stand until the other side accepts.", called(subject), slots_text(slots));
        proposal_say(context, item, subject->object.as.agreement.commitment, text);
        result = finish(context, &act, subject);
    }
    cl_terms_text_free(text);
    cl_buffer_wipe(&body);
    return result;
}

static int amend_accept(struct context *context, struct subject *subject)
{
    struct act act;
    const struct cl_pending *pending = &subject->object.as.agreement.pending;
    const struct cl_wallet_item *item = subject_item(context, subject);
    act_init(&act, CL_AMEND);
    if (!pending->present)
        return output_fail(&context->output, CL_E_NO_AMENDMENT, NULL);
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, pending->commitment);
    struct cl_buffer page = {0};
    if (text == NULL)
        return output_fail(&context->output, CL_E_NOT_FOUND, "The text of the proposal is not at hand: give it with --offer FILE.");
    if (!context->output.json && !context->output.quiet && cl_terms_text_plain(&page, text, pending->slots) == CL_OK)
        (void)fwrite(page.data, 1, page.length, stderr);
    cl_buffer_deinit(&page);
    cl_terms_text_free(text);
    act_prev(&act, subject->object.as.agreement.head);
    act_ref(&act, pending->record_id);
    output_say(&context->output, "You accept this for '%s': slots %s, %s.", called(subject), slots_text(pending->slots), period_text(&pending->not_before, &pending->not_after));
    return finish(context, &act, subject);
}

int run_amend(struct context *context)
{
    struct subject subject;
    char name[CL_NAME_BYTES_MAX + 1];
    const char *offer = option(context, "--offer");
    struct cl_buffer data = {.secret = true};
    int result = offer == NULL ? 0 : offer_load(context, &data, offer);
    if (result == 0)
        result = network_open(context);
    if (result == 0 && offer != NULL)
        result = offer_take(context, &data, offer, NULL, name);
    cl_buffer_wipe(&data);
    if (result == 0)
        result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    bool changes = option(context, "--terms") != NULL || option(context, "--slots") != NULL || option(context, "--from") != NULL || option(context, "--until") != NULL;
    if (flag(context, "--accept") && changes)
        result = output_usage(&context->output, "--accept takes the other side's proposal as it is: leave --terms, --slots, --from and --until out.");
    else if (flag(context, "--accept"))
        result = amend_accept(context, &subject);
    else
        result = option(context, "--terms") != NULL ? amend_propose(context, &subject) : amend_narrow(context, &subject);
    subject_close(&subject);
    return result;
}

int run_suspend(struct context *context)
{
    struct subject subject;
    struct act act;
    act_init(&act, CL_SUSPEND);
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    output_say(&context->output, "You suspend '%s': no use until you resume it.", called(&subject));
    result = finish(context, &act, &subject);
    subject_close(&subject);
    return result;
}

int run_resume(struct context *context)
{
    struct subject subject;
    struct act act;
    act_init(&act, CL_RESUME);
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    act_prev(&act, subject.object.as.agreement.head);
    output_say(&context->output, "You end your suspension of '%s'.", called(&subject));
    result = finish(context, &act, &subject);
    subject_close(&subject);
    return result;
}

static bool reason_parse(struct act *act, const char *text)
{
    static const struct { const char *name; uint8_t number; } reasons[] = {{"breach", 6}, {"no-longer-needed", 7}, {"other", 8}};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(reasons[i].name, text) == 0) {
            act_reason(act, reasons[i].number);
            return true;
        }
    return false;
}

/* A withdrawal for a drawer: the record, and a page to print that holds it. */
static int prepare(struct context *context, struct act *act, struct subject *subject)
{
    struct act_signer signer;
    struct cl_buffer record = {0}, base64 = {0};
    const char *path = option(context, "--output");
    char page_path[3200];
    if (path == NULL)
        return output_usage(&context->output, "Where to? consent revoke NAME --prepare -o FILE");
    act_object(act, &subject->object.id);
    int result = subject_signer(context, &signer, subject);
    if (result == 0)
        result = act_sign(context, &record, act, &signer);
    if (result == 0)
        result = file_write(context, path, record.data, record.length, true);
    if (result == 0 && cl_base64_put(&base64, record.data, record.length) != CL_OK)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    struct cl_buffer page = {0};
    char line[400];
    int length = snprintf(line, sizeof line, "Withdrawal of consent, signed in advance\n\nagreement  %s\nnetwork    %s\n\nAny node of the network takes it, years later:\n  base64 -d THESE-LINES > withdrawal && consent submit withdrawal --wait\nIt is good as long as the key of the agreement is not replaced.\n\n", id_text(subject->object.id.bytes), id_text(context->wallet->network.id.bytes));
    enum cl_status status = cl_buffer_append(&page, line, (size_t)length);
    for (size_t at = 0; result == 0 && status == CL_OK && at < base64.length; at += 64) {
        status = cl_buffer_append(&page, base64.data + at, base64.length - at < 64 ? base64.length - at : 64);
        if (status == CL_OK)
            status = cl_buffer_append(&page, "\n", 1);
    }
    (void)snprintf(page_path, sizeof page_path, "%s.txt", path);
    if (result == 0)
        result = status == CL_OK ? file_write(context, page_path, page.data, page.length, true) : output_fail(&context->output, status, NULL);
    if (result == 0) {
        output_line(&context->output, "%s is a signed withdrawal of '%s'; %s is the same to print. Nothing was submitted.", path, called(subject), page_path);
        output_json(&context->output, json_pack("{s:s, s:s, s:s}", "object", id_text(subject->object.id.bytes), "file", path, "page", page_path));
    }
    cl_buffer_deinit(&page);
    cl_buffer_deinit(&base64);
    cl_buffer_deinit(&record);
    return result;
}

int run_revoke(struct context *context)
{
    struct subject subject;
    struct act act;
    uint64_t slots = 0;
    const char *reason = option(context, "--reason");
    act_init(&act, CL_REVOKE);
    int result = subject_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    if (subject.object.kind == CL_STATE_PROFILE)
        result = output_fail(&context->output, CL_E_OBJECT_KIND, "A profile cannot be revoked.");
    if (subject.object.kind == CL_STATE_TERMS && option(context, "--slots") != NULL)
        result = output_usage(&context->output, "Terms are closed as a whole, or not: leave --slots out. Single slots are withdrawn from the agreements under them.");
    if (result == 0 && flag(context, "--prepare") && subject.object.kind == CL_STATE_AGREEMENT && subject.object.as.agreement.status >= CL_REFUSED)
        result = output_fail(&context->output, CL_E_FINAL, "It is %s; there is nothing left to withdraw.", state_word(&subject.object));
    if (result == 0 && subject.object.kind == CL_STATE_AGREEMENT)
        result = slots_option(context, &slots, subject.object.as.agreement.live);
    if (result == 0 && reason != NULL && !reason_parse(&act, reason))
        result = output_usage(&context->output, "A reason is breach, no-longer-needed or other, and only an organisation gives one.");
    if (result == 0) {
        if (slots != 0)
            act_slots(&act, slots);
        if (subject.object.kind == CL_STATE_TERMS)
            output_say(&context->output, "You close '%s': nobody can subscribe any more%s; agreements made under it stand.", called(&subject), subject.object.as.terms.audience.kind == CL_AUDIENCE_TOKEN ? ", its code is cancelled" : "");
        else if (subject.object.as.agreement.audience.kind == CL_AUDIENCE_TOKEN && !flag(context, "--prepare"))
            output_say(&context->output, "You cancel '%s', which nobody has answered, and its code, for good.", called(&subject));
        else if (flag(context, "--prepare"))
            output_say(&context->output, "You sign for later that you %s '%s'%s%s, for good.", subject.side == CL_SIDE_ORGANISATION ? "end" : "withdraw", called(&subject), slots != 0 ? ", slots " : "", slots != 0 ? slots_text(slots) : "");
        else if (slots != 0)
            output_say(&context->output, "You withdraw slots %s of '%s', for good.", slots_text(slots), called(&subject));
        else
            output_say(&context->output, "You %s '%s', for good; what was shared is to be erased.", subject.side == CL_SIDE_ORGANISATION ? "end" : "withdraw", called(&subject));
        result = flag(context, "--prepare") ? prepare(context, &act, &subject) : finish(context, &act, &subject);
    }
    subject_close(&subject);
    return result;
}

int run_renew(struct context *context)
{
    struct subject subject;
    struct act act;
    act_init(&act, CL_RENEW);
    int result = act_period(context, &act, "--from");
    if (result == 0 && (act.entry.present & CL_HAS(5)) == 0)
        result = output_usage(&context->output, "Until when? --until DATE");
    if (result == 0)
        result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    struct cl_optional_time until = {true, act.entry.not_after};
    act_prev(&act, subject.object.as.agreement.head);
    output_say(&context->output, "You extend '%s' %s.", called(&subject), period_text(&(struct cl_optional_time){false, 0}, &until));
    result = finish(context, &act, &subject);
    subject_close(&subject);
    return result;
}

/* --record ID, else the head. */
static int record_option(struct context *context, struct act *act, const struct subject *subject)
{
    const char *text = option(context, "--record");
    struct cl_object_id id;
    if (text == NULL) {
        act_ref(act, object_head(&subject->object));
        return 0;
    }
    if (!id_parse(&id, text))
        return output_usage(&context->output, "'%.70s' is not a record id (64 hex digits).", text);
    act_ref(act, id.bytes);
    return 0;
}

int run_ack(struct context *context)
{
    struct subject subject;
    struct act act;
    const char *state = option(context, "--state");
    uint8_t reason = state == NULL || strcmp(state, "received") == 0 ? 1 : strcmp(state, "complied") == 0 ? 2 : strcmp(state, "erased-elsewhere") == 0 ? 3 : 0;
    act_init(&act, CL_ACK);
    if (reason == 0)
        return output_usage(&context->output, "--state is received, complied or erased-elsewhere.");
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    act_reason(&act, reason);
    result = record_option(context, &act, &subject);
    if (result == 0) {
        output_say(&context->output, "You state that record %s was %s.", id_short(act.ref), reason == 1 ? "received" : reason == 2 ? "complied with" : "followed by erasing copies elsewhere");
        result = finish(context, &act, &subject);
    }
    subject_close(&subject);
    return result;
}

/* Whether the terms that an agreement was made under are in the wallet, with their text. */
static bool text_of_terms(struct context *context, const struct cl_wallet_item *item)
{
    struct cl_object_id id;
    memcpy(id.bytes, item->terms.bytes, 32);
    const struct cl_wallet_item *terms = cl_wallet_item_of(context->wallet, &id);
    return terms != NULL && terms->body_count > 0;
}

/* records.md rule 11: sign ERASE, destroy, then submit; so that the statement is never made of something that is still there. */
int run_erase(struct context *context)
{
    struct subject subject;
    struct act act;
    struct act_signer signer;
    struct cl_buffer record = {0};
    const char *text = option(context, "--slots");
    uint64_t slots = 0;
    act_init(&act, CL_ERASE);
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    if (text != NULL && !slots_parse(&slots, text))
        result = output_usage(&context->output, "'%.60s' is not a list of slot numbers, as 1,3.", text);
    else if ((text != NULL || flag(context, "--keep")) && (flag(context, "--keep-proof") || flag(context, "--keep-received")))
        result = output_usage(&context->output, "With --keep or --slots nothing is destroyed here; leave --keep-proof and --keep-received out.");
    if (slots != 0)
        act_slots(&act, slots);
    act_object(&act, &subject.object.id);
    if (result == 0)
        result = subject_signer(context, &signer, &subject);
    if (result == 0)
        result = act_sign(context, &record, &act, &signer);
    struct cl_wallet_item *item = result == 0 ? subject_item(context, &subject) : NULL;
    bool here = slots == 0 && !flag(context, "--keep"), shared = item != NULL && item->terms.present && text_of_terms(context, item);
    json_t *json = json_object();
    if (result == 0 && here) {
        struct erasure erasure = {.agreement = subject.object.id, .keep_proof = flag(context, "--keep-proof"), .keep_received = flag(context, "--keep-received")};
        result = erasure_run(context, &erasure, json);
    }
    if (result == 0) {
        output_say(&context->output, "You state that what was shared under '%s'%s%s is destroyed at your side%s%s.", called(&subject), slots != 0 ? " in slots " : "", slots != 0 ? slots_text(slots) : "", here ? "; the keys of it are destroyed, so that no copy of this wallet shows it any more. A copy that you made of the wallet's folder still does: run 'consent key backup -o' to it again" : "",
                   here && shared ? ". The text and salt of the terms that it was made under stay, since others rest on them" : "");
        result = act_finish(context, &act, &record, &subject.object.id, subject.item_name, false, json);
    } else {
        json_decref(json);
    }
    subject_close(&subject);
    cl_buffer_deinit(&record);
    return result;
}

int run_dispute(struct context *context)
{
    struct subject subject;
    struct act act;
    bool clear = flag(context, "--clear");
    act_init(&act, CL_DISPUTE);
    int result = agreement_open(context, &subject, positional(context, 0));
    if (result != 0)
        return result;
    act_reason(&act, clear ? 5 : 4);
    result = record_option(context, &act, &subject);
    if (result == 0) {
        output_say(&context->output, "You %s a dispute about '%s'.", clear ? "clear" : "raise", called(&subject));
        result = finish(context, &act, &subject);
    }
    subject_close(&subject);
    return result;
}

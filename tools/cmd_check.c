/* consent check: may it be used now? Of one agreement, of several, or of a joint thing (joint.h), which is allowed only where
   every holder's agreement allows it; the first that does not gives the reason. */
#include "joint.h"
#include "uses.h"

#include <stdlib.h>

#define MAX_AGE_MS_DEFAULT (24ull * 3600ull * 1000ull)

_Static_assert(JOINT_HOLDERS_MAX < POSITIONALS_MAX, "a name and an agreement for each holder fit on the command line");

/* What one agreement says. */
struct answer {
    struct cl_object_id id;
    char name[CL_NAME_BYTES_MAX + 1];  /* of the entry, or the id's beginning */
    struct cl_party organisation;
    int slot;
    enum cl_status status;
    const char *sentence;
};

int slot_named(struct context *context, int *slot, const struct cl_terms_text *text, const char *name)
{
    uint64_t bits = 0;
    const struct cl_terms_slot *found = text == NULL ? NULL : cl_terms_slot_find(text, name);
    if (found != NULL)
        *slot = found->number;
    else if (slots_parse(&bits, name) && (bits & (bits - 1)) == 0)
        *slot = __builtin_ctzll(bits);
    else
        return output_fail(&context->output, CL_E_NOT_FOUND, text == NULL ? "The text of these terms is not at hand, so '%.60s' cannot be found in it; give the slot's number." : "There is no slot '%.60s'.", name);
    return 0;
}

int slot_asked(struct context *context, const struct cl_wallet_item *item, const uint8_t commitment32[32], int *slot, bool *purpose_good)
{
    const char *name = option(context, "--slot"), *purpose = option(context, "--purpose");
    *slot = -1;
    *purpose_good = true;
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, commitment32);
    int result = name == NULL ? 0 : slot_named(context, slot, text, name);
    if (result == 0 && purpose != NULL) {
        if (text == NULL || *slot < 0)
            result = output_fail(&context->output, CL_E_BODY, "To judge a purpose, give --slot, and have the text of the terms in the wallet.");
        else {
            char number[16];
            (void)snprintf(number, sizeof number, "%d", *slot);
            const struct cl_terms_slot *found = cl_terms_slot_find(text, number);
            *purpose_good = found != NULL && cl_terms_slot_allows(found, purpose);
        }
    }
    cl_terms_text_free(text);
    return result;
}

static void answered(struct answer *out, const struct cl_object_id *id, const struct cl_wallet_item *item, const struct cl_party *organisation, int slot, enum cl_status status, bool purpose_good)
{
    *out = (struct answer){.id = *id, .organisation = *organisation, .slot = slot, .status = status, .sentence = cl_status_sentence(status)};
    (void)snprintf(out->name, sizeof out->name, "%s", item != NULL ? item->name : id_short(id->bytes));
    if (status == CL_OK && !purpose_good) {
        out->status = CL_E_SLOT_NOT_LIVE;
        out->sentence = "The terms do not name that purpose for this slot.";
    }
}

static int ask_proof(struct context *context, struct answer *out, const char *what)
{
    struct cl_wallet_item *item = NULL;
    struct cl_policy *policy = NULL;
    struct cl_verify_options options = {.now_ms = time_now_ms(), .max_age_ms = MAX_AGE_MS_DEFAULT};
    const char *age = option(context, "--max-age");
    bool purpose_good = true;
    int slot = -1;
    if (age != NULL && !duration_parse(&options.max_age_ms, age))
        return output_usage(&context->output, "'%.40s' is not an age, such as 90s, 30m, 24h, 7d.", age);
    struct cl_verify_report *report = calloc(1, sizeof *report);
    int result = report == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : 0;
    if (result == 0 && cl_wallet_item_find(&item, context->wallet, what) != CL_OK)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%.80s'", what);
    if (result == 0 && item->proof.length == 0)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "There is no proof of '%.80s' at hand; 'consent proof' fetches one.", item->name);
    if (result == 0)
        result = policy_open(context, &policy);
    if (result == 0) {
        enum cl_status status = cl_proof_verify(report, item->proof.data, item->proof.length, policy, &options);
        if (status == CL_OK)
            status = report->verdict;
        if (status == CL_OK && (report->kind != CL_STATE_AGREEMENT || memcmp(report->object.bytes, item->object.bytes, 32) != 0))
            status = CL_E_OBJECT_KIND;
        result = status == CL_OK ? slot_asked(context, item, report->agreement.commitment, &slot, &purpose_good) : 0;
        if (status == CL_OK && result == 0)
            status = cl_agreement_check(&report->agreement, slot < 0 ? 0 : 1ull << slot, options.now_ms);
        answered(out, &item->object, item, &report->agreement.organisation, slot, status, purpose_good);
        if (status == CL_OK && purpose_good)
            out->sentence = "from the proof at hand";
    }
    cl_policy_free(policy);
    free(report);
    return result;
}

static int ask_node(struct context *context, struct answer *out, const char *what)
{
    struct subject subject;
    bool purpose_good = true;
    int slot = -1;
    char path[160];
    json_t *json = NULL;
    int result = agreement_open(context, &subject, what);
    if (result != 0)
        return result;
    const struct cl_agreement *agreement = &subject.object.as.agreement;
    result = slot_asked(context, subject_item(context, &subject), agreement->commitment, &slot, &purpose_good);
    if (result == 0) {
        int length = snprintf(path, sizeof path, "/v1/check?agreement=%s", id_text(subject.object.id.bytes));
        if (slot >= 0)
            (void)snprintf(path + length, sizeof path - (size_t)length, "&slot=%d", slot);
        result = node_get_json(context, &json, path);
    }
    if (result == 0) {
        const char *code = json_string_value(json_object_get(json, "code"));
        enum cl_status status = CL_E_NOT_ACTIVE;
        for (int i = 0; code != NULL && i < CL_STATUS_COUNT; i++)
            if (strcmp(cl_status_code((enum cl_status)i), code) == 0)
                status = (enum cl_status)i;
        if (status == CL_OK && !json_is_true(json_object_get(json, "allowed")))
            status = CL_E_NOT_ACTIVE; /* default is no */
        answered(out, &subject.object.id, subject_item(context, &subject), &agreement->organisation, slot, status, purpose_good);
        if (out->status == CL_OK)
            out->sentence = "active now, says the node";
    }
    json_decref(json);
    subject_close(&subject);
    return result;
}

/* With --log: a use is on disk before the yes, which allows it, is said; of a joint thing one under each agreement. A no is
   counted where it was said, and stays a no if it cannot be counted. */
static int log_answers(struct context *context, const struct answer *answers, size_t count, bool yes)
{
    int result = 0;
    for (size_t i = 0; flag(context, "--log") && i < count && result == 0; i++)
        if (yes)
            result = uses_log_answer(context, &answers[i].organisation, &answers[i].id, answers[i].slot, CL_OK);
        else if (answers[i].status != CL_OK)
            (void)uses_log_answer(context, &answers[i].organisation, &answers[i].id, answers[i].slot, answers[i].status);
    return result;
}

static json_t *answer_json(const struct answer *answer)
{
    return json_pack("{s:b, s:s, s:s, s:s}", "allowed", answer->status == CL_OK, "code", cl_status_code(answer->status), "sentence", answer->sentence, "object", id_text(answer->id.bytes));
}

/* joint: the thing's name; NULL: none. */
static int say(struct context *context, const struct answer *answers, size_t count, const char *joint)
{
    const struct output *output = &context->output;
    size_t first = 0;
    while (first < count && answers[first].status == CL_OK)
        first++;
    bool yes = first == count, many = count > 1 || joint != NULL;
    const struct answer *telling = &answers[yes ? 0 : first];
    if (many)
        output_line(output, "%s  %s%s%s", output_coloured(output, yes ? "1;32" : "1;31", yes ? "yes" : "no"), yes ? "all of them: " : telling->name, yes ? "" : ": ", telling->sentence);
    else
        output_line(output, "%s  %s", output_coloured(output, yes ? "1;32" : "1;31", yes ? "yes" : "no"), telling->sentence);
    json_t *json = answer_json(telling), *list = json_array();
    for (size_t i = 0; many && i < count; i++) {
        if (!output->quiet)
            output_line(output, "     %-18s %s", answers[i].name, answers[i].status == CL_OK ? "yes" : answers[i].sentence);
        json_t *each = answer_json(&answers[i]);
        (void)json_object_set_new(each, "name", json_string(answers[i].name));
        (void)json_array_append_new(list, each);
    }
    if (joint != NULL)
        (void)json_object_set_new(json, "joint", json_string(joint));
    if (many)
        (void)json_object_set(json, "agreements", list);
    json_decref(list);
    output_json(output, json);
    return yes ? 0 : telling->status == CL_E_SLOT_NOT_LIVE ? 1 : output_exit_of(telling->status);
}

/* What was named: agreements, each once, and instead of a joint thing those of its holders. */
static int wanted(struct context *context, struct joint *out, bool *is_joint)
{
    int result = wallet_open(context);
    *is_joint = false;
    if (result == 0)
        result = joint_load(context, out, positional(context, 0), is_joint);
    if (result == 0 && *is_joint && positional(context, 1) != NULL)
        result = output_usage(&context->output, "'%.64s' is a joint thing: check it by itself, or name agreements.", out->name);
    return result;
}

int run_check(struct context *context)
{
    struct joint joint;
    struct answer answers[POSITIONALS_MAX];
    bool is_joint, yes = true;
    size_t count = 0;
    if (positional(context, 0) == NULL)
        return output_usage(&context->output, "Which agreement?");
    if (flag(context, "--log") && (option(context, "--slot") == NULL || option(context, "--purpose") == NULL))
        return output_usage(&context->output, "A use is logged with its slot and its purpose: give --slot and --purpose.");
    int result = wanted(context, &joint, &is_joint);
    size_t named = 0;
    while (positional(context, named) != NULL)
        named++;
    for (size_t i = 0; result == 0 && i < (is_joint ? joint.count : named); i++) {
        const char *what = is_joint ? id_text(joint.agreements[i].bytes) : positional(context, i);
        result = flag(context, "--offline") ? ask_proof(context, &answers[count], what) : ask_node(context, &answers[count], what);
        for (size_t k = 0; k < count && result == 0; k++)
            if (memcmp(answers[k].id.bytes, answers[count].id.bytes, 32) == 0)
                result = output_usage(&context->output, "'%.70s' is there twice; each holder has an agreement of his own.", what);
        yes = yes && result == 0 && answers[count].status == CL_OK;
        count++;
    }
    if (result == 0)
        result = log_answers(context, answers, count, yes);
    return result != 0 ? result : say(context, answers, count, is_joint ? joint.name : NULL);
}

/* consent node doctor: looks for what is wrong with a node, from outside and by what it says of its machine and its links. */
#include "act.h"

#include <stdarg.h>
#include <stdlib.h>

static json_int_t number(const json_t *json, const char *name) { return json_integer_value(json_object_get(json, name)); }

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text == NULL ? "?" : output_printable(text, strlen(text));
}

struct doctor { struct context *context; json_t *findings; unsigned bad; };

/* ADVICE: worth doing, and not what is wrong. The first two are what a condition that does not hold, or does, comes to. */
enum verdict { WRONG, GOOD, ADVICE };

static CL_PRINTF(3, 4) void finding(struct doctor *doctor, enum verdict verdict, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *word = verdict == GOOD ? "good" : verdict == WRONG ? "BAD " : "hint", *colour = verdict == GOOD ? "32" : verdict == WRONG ? "1;31" : "33";
    doctor->bad += verdict == WRONG;
    output_line(&doctor->context->output, "%s  %s", output_coloured(&doctor->context->output, colour, word), text);
    (void)json_array_append_new(doctor->findings, json_pack("{s:b, s:b, s:s}", "good", verdict != WRONG, "hint", verdict == ADVICE, "finding", text));
}

/* The checkpoint against the policy that the node itself gives: enough signatures, and how fresh. */
static void examine_checkpoint(struct doctor *doctor)
{
    struct http_answer note, policy_text;
    struct cl_policy *policy = NULL;
    size_t bad_line = 0;
    struct cl_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    struct cl_quorum_report *report = calloc(1, sizeof *report);
    if (checkpoint == NULL || report == NULL || node_get(doctor->context, &policy_text, "/v1/policy", "text/plain") != 0) {
        finding(doctor, WRONG, "there is no trust file to be had");
        goto out;
    }
    enum cl_status status = cl_policy_new(&policy, &bad_line, policy_text.body.data, policy_text.body.length);
    http_answer_deinit(&policy_text);
    finding(doctor, status == CL_OK, "the trust file %s", status == CL_OK ? "is in order" : cl_status_sentence(status));
    if (status != CL_OK || node_look(doctor->context, &note, "/checkpoint", "text/plain") != 0)
        goto out;
    if (note.status >= 400) {
        finding(doctor, WRONG, "it has no checkpoint that a quorum signed");
        http_answer_deinit(&note);
        goto out;
    }
    status = cl_checkpoint_decode(checkpoint, note.body.data, note.body.length);
    if (status == CL_OK)
        status = cl_policy_check(report, policy, checkpoint);
    uint64_t now_s = time_now_ms() / 1000u, age = now_s > report->as_of_s ? now_s - report->as_of_s : 0;
    finding(doctor, status == CL_OK, "the checkpoint of %llu leaves is signed by %zu of %zu (%zu needed)", (unsigned long long)checkpoint->size, report->signed_count, report->witnesses, report->needed);
    char text[TIME_TEXT_SIZE];
    age_text(text, age);
    finding(doctor, status == CL_OK && age < 3600, "the checkpoint is %s old", text);
    http_answer_deinit(&note);
out:
    cl_policy_free(policy);
    free(checkpoint);
    free(report);
}

static void examine_status(struct doctor *doctor, const json_t *status)
{
    json_int_t clock_ms = number(status, "clock_ms"), now = (json_int_t)time_now_ms(), apart = clock_ms > now ? clock_ms - now : now - clock_ms;
    json_int_t free_mib = number(status, "disk_free_bytes") >> 20, behind = number(status, "log_size") - number(status, "checkpoint_size");
    finding(doctor, apart < 30000, "its clock is %lld ms from this machine's", (long long)apart);
    finding(doctor, free_mib >= 1024, "its disk has %lld MiB left", (long long)free_mib);
    finding(doctor, number(status, "members") > 0 && number(status, "quorum") > 0, "%lld member%s, quorum %lld", (long long)number(status, "members"), number(status, "members") == 1 ? "" : "s", (long long)number(status, "quorum"));
    finding(doctor, behind < 65536, "its checkpoint is %lld leaves behind its log", (long long)behind);
}

/* The node's own machine, as it says. What it cannot tell is left out. */
static void examine_machine(struct doctor *doctor, const json_t *status)
{
    const json_t *machine = json_object_get(status, "machine"), *synchronised = json_object_get(machine, "clock_synchronised"), *name;
    size_t index;
    if (json_is_boolean(synchronised))
        finding(doctor, json_is_true(synchronised) ? GOOD : ADVICE, json_is_true(synchronised) ? "its clock is kept right by a time service" : "no time service keeps its clock right: run chrony or systemd-timesyncd");
    const json_t *open_files = json_object_get(machine, "open_key_files");
    json_array_foreach(open_files, index, name)
        finding(doctor, WRONG, "others than its user may read %s: chmod 600", json_is_string(name) ? output_printable(json_string_value(name), json_string_length(name)) : "?");
    if (json_is_array(open_files) && json_array_size(open_files) == 0)
        finding(doctor, GOOD, "its key files are its own");
    finding(doctor, strcmp(text_of(status, "software"), "consentd " CL_VERSION) == 0 ? GOOD : ADVICE, "it runs %s, this is consent " CL_VERSION, text_of(status, "software"));
}

static void examine_certificate(struct doctor *doctor, const char *whose, json_int_t until_s)
{
    json_int_t days = (until_s - (json_int_t)(time_now_ms() / 1000u)) / 86400;
    if (until_s > 0)
        finding(doctor, days >= 60, "%s certificate for links is good for %lld days", whose, (long long)days);
}

/* Both ports of each peer, both directions, clock and certificate. */
static void examine_peers(struct doctor *doctor, const json_t *status)
{
    const json_t *peer;
    size_t index;
    json_array_foreach(json_object_get(status, "peers"), index, peer) {
        const char *name = text_of(peer, "name");
        char whose[80];
        bool frames = json_is_true(json_object_get(peer, "connected")), questions = json_is_true(json_object_get(peer, "ask_connected"));
        const json_t *heard = json_object_get(peer, "heard_ms_ago"), *clock = json_object_get(peer, "clock_ahead_ms");
        bool hears = json_is_integer(heard) && json_integer_value(heard) < 45000;
        finding(doctor, frames && questions, frames && questions ? "%s is reached at both ports" : frames ? "%s is not reached at its port for questions (the one after its address's)" :
                questions ? "%s is not reached at its address's port" : "%s is not reached at either port", name);
        finding(doctor, hears, hears ? "%s reaches this node" : "%s has not been heard for 45 s: can it reach this node's address, and is its clock within 60 s?", name);
        if (json_is_integer(clock))
            finding(doctor, json_integer_value(clock) < 2000 && json_integer_value(clock) > -2000, "the clock of %s is %+lld ms from its own", name, (long long)json_integer_value(clock));
        if (number(peer, "evidence") > 0)
            finding(doctor, WRONG, "%s has signed votes that contradict each other (%lld)", name, (long long)number(peer, "evidence"));
        (void)snprintf(whose, sizeof whose, "%s's", name);
        examine_certificate(doctor, whose, number(peer, "certificate_until_s"));
    }
    if (json_array_size(json_object_get(status, "peers")) > 0) {
        examine_certificate(doctor, "its own", number(status, "certificate_until_s"));
        finding(doctor, number(status, "members_heard") >= number(status, "quorum"), "%lld of %lld members can be heard, %lld are needed", (long long)number(status, "members_heard"), (long long)number(status, "members"), (long long)number(status, "quorum"));
        finding(doctor, number(status, "behind_blocks") < 1000, "it is %lld blocks behind the furthest of its peers", (long long)number(status, "behind_blocks"));
    }
    if (json_is_integer(json_object_get(status, "condition_ms_ago")))
        finding(doctor, number(status, "condition_ms_ago") < 5000, "the thread that orders came round %lld ms ago", (long long)number(status, "condition_ms_ago"));
}

int run_node_doctor(struct context *context)
{
    struct doctor doctor = {context, json_array(), 0};
    struct http_answer answer;
    json_t *status = NULL;
    int result = node_open(context);
    if (result == 0)
        result = node_get_json(context, &status, "/v1/status");
    if (result != 0) {
        json_decref(doctor.findings);
        return result;
    }
    finding(&doctor, GOOD, "%s answers at %s", text_of(status, "member"), context->node_url);
    bool secure = strncmp(context->node_url, "https://", 8) == 0, local = strncmp(context->node_url, "http://127.", 11) == 0 || strncmp(context->node_url, "http://localhost", 16) == 0 || strncmp(context->node_url, "http://[::1]", 12) == 0;
    finding(&doctor, secure || local, secure ? "its certificate was accepted" : local ? "no certificate, and none is needed on this machine" : "it is reached over a network without TLS");
    if (node_look(context, &answer, "/readyz", "text/plain") == 0) {
        finding(&doctor, answer.status == 200, answer.status == 200 ? "it is ready" : "it says that it is not ready");
        http_answer_deinit(&answer);
    }
    examine_status(&doctor, status);
    examine_machine(&doctor, status);
    examine_peers(&doctor, status);
    examine_checkpoint(&doctor);
    json_decref(status);
    output_json(&context->output, json_pack("{s:i, s:o}", "bad", (int)doctor.bad, "findings", doctor.findings));
    return doctor.bad == 0 ? 0 : 1;
}

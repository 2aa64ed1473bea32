/* How the node is among the others, for HTTP: peers, who is awaited, why it does not move, and what of this machine an
   operator should see to. */
#include "api_private.h"

#include "condition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>

static bool has(const uint8_t *bitmap, size_t member) { return (bitmap[member / 8] >> member % 8 & 1) != 0; }

static json_t *peer_json(const struct condition *condition, size_t index)
{
    const struct condition_peer *peer = &condition->peers[index];
    json_t *out = json_pack("{s:s,s:b,s:b,s:b,s:I,s:I,s:I}", "name", peer->name, "observer", peer->observer, "connected", peer->connected, "ask_connected",
                            peer->ask_connected, "evidence", (json_int_t)peer->evidence, "certificate_until_s", (json_int_t)peer->certificate_until_s,
                            "dropped_frames", (json_int_t)peer->dropped_frames);
    if (out == NULL) return NULL;
    json_object_set_new(out, "heard_ms_ago", peer->heard_ms_ago == UINT64_MAX ? json_null() : json_integer((json_int_t)peer->heard_ms_ago));
    json_object_set_new(out, "height", peer->reported ? json_integer((json_int_t)peer->height) : json_null());
    json_object_set_new(out, "view", peer->reported ? json_integer((json_int_t)peer->view) : json_null());
    json_object_set_new(out, "clock_ahead_ms", peer->clock_known ? json_integer((json_int_t)peer->clock_ahead_ms) : json_null());
    if (condition->ordering && index < condition->member_count) {
        json_object_set_new(out, "notarized", json_boolean(has(condition->outlook.notarize, index)));
        json_object_set_new(out, "nullified", json_boolean(has(condition->outlook.nullify, index)));
        json_object_set_new(out, "finalized", json_boolean(has(condition->outlook.finalize, index)));
    }
    return out;
}

static void add_sentence(void *context, const char *sentence)
{
    json_array_append_new(context, json_string(sentence));
}

/* ---- this machine */

/* Names of secret files that others than their owner may read. */
static json_t *open_files(const char *data)
{
    static const char *const names[] = { "node.seed", "tls.key", "reader.token" };
    json_t *out = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[NODE_PATH_MAX + 64];
        struct stat information;
        snprintf(path, sizeof path, "%s/%s", data, names[i]);
        if (stat(path, &information) == 0 && (information.st_mode & 077) != 0) json_array_append_new(out, json_string(names[i]));
    }
    return out;
}

static json_t *machine_json(const struct node *node)
{
    struct timex time_state = { .modes = 0 };
    int state = adjtimex(&time_state);
    return json_pack("{s:o,s:o}", "clock_synchronised", state < 0 ? json_null() : json_boolean(state != TIME_ERROR), "open_key_files",
                     open_files(node->options.config.data));
}

void json_condition(json_t *object, struct node *node)
{
    struct condition *condition = malloc(sizeof *condition);
    json_t *peers = json_array(), *why = json_array();
    if (condition == NULL || object == NULL) {
        json_decref(peers);
        json_decref(why);
        free(condition);
        return;
    }
    node_condition_read(node, condition);
    for (size_t i = 0; i < condition->peer_count; i++)
        if (i != condition->own) json_array_append_new(peers, peer_json(condition, i));
    condition_why(condition, add_sentence, why);
    json_object_set_new(object, "observer", json_boolean(condition->own >= condition->member_count));
    json_object_set_new(object, "members_heard", json_integer((json_int_t)condition_members_heard(condition)));
    json_object_set_new(object, "behind_blocks", json_integer((json_int_t)condition_behind(condition)));
    json_object_set_new(object, "condition_ms_ago", json_integer((json_int_t)condition->taken_ms_ago));
    json_object_set_new(object, "certificate_until_s", json_integer((json_int_t)condition->peers[condition->own].certificate_until_s));
    if (condition->ordering) {
        json_object_set_new(object, "current_view", json_integer((json_int_t)condition->outlook.view));
        json_object_set_new(object, "idle", json_boolean(condition->idle));
        json_object_set_new(object, "leader", json_string(condition->peers[condition->outlook.leader].name));
    }
    json_object_set_new(object, "why", why);
    json_object_set_new(object, "peers", peers);
    json_object_set_new(object, "machine", machine_json(node));
    free(condition);
}

/* ---- metrics */
struct gauge { const char *name, *type, *help; double (*value)(const struct condition_peer *peer); };
static double connected_of(const struct condition_peer *peer) { return peer->connected; }
static double heard_of(const struct condition_peer *peer) { return peer->heard_ms_ago == UINT64_MAX ? -1 : (double)peer->heard_ms_ago / 1000; }
static double height_of(const struct condition_peer *peer) { return peer->reported ? (double)peer->height : -1; }
static double clock_of(const struct condition_peer *peer) { return (double)peer->clock_ahead_ms / 1000; }
static double sent_of(const struct condition_peer *peer) { return (double)peer->sent_bytes; }
static double received_of(const struct condition_peer *peer) { return (double)peer->received_bytes; }
static double dropped_of(const struct condition_peer *peer) { return (double)peer->dropped_frames; }
static double malformed_of(const struct condition_peer *peer) { return (double)peer->malformed_frames; }
static double waiting_of(const struct condition_peer *peer) { return (double)peer->waiting_bytes; }
static double evidence_of(const struct condition_peer *peer) { return (double)peer->evidence; }
static double until_of(const struct condition_peer *peer) { return (double)peer->certificate_until_s; }

static const struct gauge gauges[] = {
    { "consent_peer_connected", "gauge", "1: its port for frames is reached.", connected_of },
    { "consent_peer_heard_seconds", "gauge", "Since it was last heard; -1: never.", heard_of },
    { "consent_peer_height_blocks", "gauge", "The height that it says it has; -1: it has not said.", height_of },
    { "consent_peer_clock_ahead_seconds", "gauge", "How far its clock was ahead of ours at its newest hello.", clock_of },
    { "consent_peer_sent_bytes_total", "counter", "Bytes of frames that went to it.", sent_of },
    { "consent_peer_received_bytes_total", "counter", "Bytes of frames that came from it.", received_of },
    { "consent_peer_dropped_frames_total", "counter", "Frames to or from it that were left out because there were too many.", dropped_of },
    { "consent_peer_malformed_frames_total", "counter", "Frames from it that are none; after some the pipe is closed and no more are read.", malformed_of },
    { "consent_peer_send_waiting_bytes", "gauge", "Bytes that wait to be sent to it.", waiting_of },
    { "consent_peer_evidence_votes", "gauge", "Contradictions that it signed and that are kept.", evidence_of },
    { "consent_peer_certificate_end_timestamp_seconds", "gauge", "When its TLS certificate ends, since 1970.", until_of },
};

enum cl_status condition_metrics(struct cl_buffer *text, struct node *node)
{
    struct condition *condition = malloc(sizeof *condition);
    enum cl_status status = condition != NULL ? CL_OK : CL_E_MEMORY;
    char line[512];
    if (status == CL_OK) node_condition_read(node, condition);
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0] && status == CL_OK && condition->peer_count > 1; i++) {
        int length = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n", gauges[i].name, gauges[i].help, gauges[i].name, gauges[i].type);
        status = cl_buffer_append(text, line, (size_t)length);
        for (size_t k = 0; k < condition->peer_count && status == CL_OK; k++) {
            if (k == condition->own) continue;
            length = snprintf(line, sizeof line, "%s{peer=\"%s\"} %.15g\n", gauges[i].name, condition->peers[k].name, gauges[i].value(&condition->peers[k]));
            status = cl_buffer_append(text, line, (size_t)length);
        }
    }
    if (status == CL_OK) {
        int length = snprintf(line, sizeof line, "# HELP consent_members_heard Members that answer, this one included.\n# TYPE consent_members_heard gauge\n"
            "consent_members_heard %zu\n# HELP consent_members_needed Members that have to agree.\n# TYPE consent_members_needed gauge\nconsent_members_needed %zu\n"
            "# HELP consent_ordering_present_views The view that ordering is in.\n# TYPE consent_ordering_present_views gauge\nconsent_ordering_present_views %llu\n",
            condition_members_heard(condition), condition->quorum, condition->ordering ? (unsigned long long)condition->outlook.view : 0ull);
        status = cl_buffer_append(text, line, (size_t)length);
    }
    free(condition);
    return status;
}

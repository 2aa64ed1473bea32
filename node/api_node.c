/* The network, the node's own condition, metrics. */
#include "api_private.h"

#include "buckets.h"
#include "gossip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static json_t *member_json(const struct cl_member *member, const struct member_info *info)
{
    json_t *out = json_pack("{s:s,s:s,s:s,s:s}", "name", member->name, "role", info->role, "jurisdiction", info->jurisdiction, "address", info->address);
    if (out == NULL) return NULL;
    json_set_hex(out, "vote_key", member->vote, 32);
    json_set_hex(out, "log_key", member->log, 32);
    json_set_hex(out, "witness_key", member->witness, 32);
    json_set_hex(out, "party_key", member->party, 33);
    return out;
}

static const char *own_name(const struct node *node)
{
    struct genesis_peer own;
    node_genesis_peer(&own, &node->genesis, node->own);
    return own.name;
}

void api_network(struct api_call *call)
{
    const struct node *node = call->api->node;
    const struct cl_genesis *genesis = &node->genesis.core;
    const struct cl_parameters *parameters = &genesis->value.parameters;
    struct cl_buffer policy = { 0 };
    enum cl_status status = cl_policy_of_members(&policy, genesis->origin, genesis->value.members, genesis->value.member_count);
    if (status != CL_OK) {
        api_fail(call->request, status);
        cl_buffer_deinit(&policy);
        return;
    }
    json_t *members = json_array(), *observers = json_array();
    for (size_t i = 0; i < genesis->value.member_count; i++) json_array_append_new(members, member_json(&genesis->value.members[i], &node->genesis.info[i]));
    for (size_t i = 0; i < node->genesis.observer_count; i++) {
        struct genesis_peer peer;
        node_genesis_peer(&peer, &node->genesis, genesis->value.member_count + i);
        json_t *observer = json_pack("{s:s,s:s}", "name", peer.name, "address", peer.info->address);
        json_set_hex(observer, "vote_key", peer.vote32, 32);
        json_array_append_new(observers, observer);
    }
    json_t *object = json_pack("{s:i,s:s,s:s,s:s%,s:{s:I,s:I,s:I,s:I,s:I,s:I},s:o,s:o}", "version", 1, "origin", genesis->origin, "member",
        own_name(node), "policy", (const char *)policy.data, policy.length, "parameters", "epoch_length", (json_int_t)parameters->epoch_length,
        "block_records_max", (json_int_t)parameters->block_records_max, "block_bytes_max", (json_int_t)parameters->block_bytes_max, "d0_ms",
        (json_int_t)parameters->d0_ms, "fairness", (json_int_t)parameters->fairness, "open_reads", (json_int_t)parameters->open_reads, "members", members, "observers", observers);
    if (object != NULL) {
        json_set_hex(object, "network_id", genesis->network.bytes, 32);
        json_set_base64(object, "genesis", node->genesis.bytes.data, node->genesis.bytes.length);
    }
    api_answer_json(call->request, 200, object);
    cl_buffer_deinit(&policy);
}

void api_genesis(struct api_call *call)
{
    const struct cl_buffer *bytes = &call->api->node->genesis.bytes;
    http_answer(call->request, 200, "application/json", bytes->data, bytes->length);
}

void api_policy(struct api_call *call)
{
    const struct cl_genesis *genesis = &call->api->node->genesis.core;
    struct cl_buffer policy = { 0 };
    enum cl_status status = cl_policy_of_members(&policy, genesis->origin, genesis->value.members, genesis->value.member_count);
    if (status == CL_OK) http_answer(call->request, 200, "text/plain; charset=utf-8", policy.data, policy.length);
    else api_fail(call->request, status);
    cl_buffer_deinit(&policy);
}

static uint64_t disk_free(const struct node *node)
{
    struct statvfs information;
    return statvfs(node->options.config.data, &information) == 0 ? (uint64_t)information.f_bavail * information.f_frsize : 0;
}

void api_status(struct api_call *call)
{
    struct node *node = call->api->node;
    const struct cl_genesis *genesis = &node->genesis.core;
    struct cl_ledger_view *view = NULL;
    struct node_counters counters;
    struct cl_tip tip;
    uint64_t checkpoint = 0;
    enum cl_status status = cl_ledger_view_new(&view, node->ledger);
    if (status == CL_OK) status = cl_view_tip(view, &tip);
    if (status == CL_OK) {
        status = api_checkpoint_size(view, &checkpoint);
        if (status == CL_E_NOT_FOUND) status = CL_OK; /* no quorum has signed yet */
    }
    cl_ledger_view_free(view);
    if (status != CL_OK) {
        api_fail(call->request, status);
        return;
    }
    node_counters(node, &counters);
    json_t *object = json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s}", "version", 1, "member", own_name(node),
        "height", (json_int_t)tip.height, "log_size", (json_int_t)tip.log_size, "block_time_ms", (json_int_t)tip.time_ms, "epoch", (json_int_t)tip.epoch,
        "view", (json_int_t)tip.view, "members", (json_int_t)genesis->value.member_count, "quorum", (json_int_t)cl_quorum(genesis->value.member_count),
        "checkpoint_size", (json_int_t)checkpoint, "pool_records", (json_int_t)counters.pool_records, "pool_bytes",
        (json_int_t)counters.pool_bytes, "uptime_s", (json_int_t)node_uptime_s(node), "clock_ms", (json_int_t)node_now_ms(), "disk_free_bytes",
        (json_int_t)disk_free(node), "software", "consentd " CL_VERSION);
    if (object != NULL) {
        json_set_hex(object, "block_id", tip.block.bytes, 32);
        json_set_hex(object, "log_root", tip.log_root.bytes, 32);
        json_set_hex(object, "state_root", tip.state_root.bytes, 32);
        json_condition(object, node);
    }
    api_answer_json(call->request, 200, object);
}

void api_livez(struct api_call *call)
{
    http_answer(call->request, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

void api_readyz(struct api_call *call)
{
    if (atomic_load(&call->api->node->failed)) api_problem(call->request, 503, call->api->node->failure_status, -1, NULL);
    else http_answer(call->request, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

struct metric { const char *name, *type, *help; uint64_t value; };

/* By whom records were first heard from; this node's own are those of its clients. */
static enum cl_status source_metrics(struct node *node, struct cl_buffer *text)
{
    static const struct { const char *name, *type, *help; size_t offset; } kinds[] = {
        { "consent_peer_records_taken_total", "counter", "Records let in for checking, by whom they were first heard from.", offsetof(struct node_source_counters, taken) },
        { "consent_peer_records_dropped_total", "counter", "Records for which their source had no room.", offsetof(struct node_source_counters, dropped) },
        { "consent_peer_records_malformed_total", "counter", "Records that could not be read.", offsetof(struct node_source_counters, malformed) },
        { "consent_peer_records_bad_signature_total", "counter", "Records whose signature did not hold.", offsetof(struct node_source_counters, bad_signature) },
        { "consent_peer_records_duplicate_total", "counter", "Records that were known.", offsetof(struct node_source_counters, duplicates) },
        { "consent_peer_records_refused_total", "counter", "Records that the rules refused.", offsetof(struct node_source_counters, refused) },
        { "consent_peer_waiting_records", "gauge", "Records let in and not settled.", offsetof(struct node_source_counters, waiting_records) },
        { "consent_peer_waiting_bytes", "gauge", "Their bytes.", offsetof(struct node_source_counters, waiting_bytes) },
    };
    enum cl_status status = CL_OK;
    char line[512];
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0] && status == CL_OK; kind++) {
        int length = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n", kinds[kind].name, kinds[kind].help, kinds[kind].name, kinds[kind].type);
        status = cl_buffer_append(text, line, (size_t)length);
        for (size_t i = 0; i < node->peer_count && status == CL_OK; i++) {
            struct node_source_counters counters;
            struct genesis_peer peer;
            uint64_t value;
            node_count_source(node, i, &counters);
            node_genesis_peer(&peer, &node->genesis, i);
            memcpy(&value, (const char *)&counters + kinds[kind].offset, sizeof value);
            length = snprintf(line, sizeof line, "%s{peer=\"%s\"} %llu\n", kinds[kind].name, peer.name, (unsigned long long)value);
            status = cl_buffer_append(text, line, (size_t)length);
        }
    }
    return status;
}

void api_metrics(struct api_call *call)
{
    struct node *node = call->api->node;
    struct node_counters n;
    struct http_counters h = { 0 };
    struct cl_buffer text = { 0 };
    struct gossip_report g;
    node_counters(node, &n);
    node_gossip_counters(node, &g);
    if (node->http != NULL) http_counters(node->http, &h);
    struct backup_report b;
    backup_server_report(node->backup, &b);
    struct cl_buckets_report buckets;
    cl_buckets_report(&buckets, &node->buckets);
    struct node_vote_recovery forgotten;
    node_vote_recovery(node, &forgotten);
    const struct metric metrics[] = {
        { "consent_ledger_height_blocks", "gauge", "Height of the newest final block.", n.height },
        { "consent_ledger_log_leaves", "gauge", "Leaves of the log.", n.log_size },
        { "consent_votes_awaited", "gauge", "1: this node does not know what it signed, and votes for nothing until others have told it.", forgotten.waiting },
        { "consent_votes_barred_views", "gauge", "It votes in no view up to this one, because it lost its vote log once; 0: never.", forgotten.barred_view },
        { "consent_ordering_views", "gauge", "Views up to the one in which the newest block became final.", n.view },
        { "consent_blocks_final_total", "counter", "Blocks made final since the start.", n.blocks },
        { "consent_records_final_total", "counter", "Records made final since the start.", n.final_records },
        { "consent_records_submitted_total", "counter", "Records let in for checking.", n.submitted },
        { "consent_records_refused_total", "counter", "Records that the rules refused.", n.refused },
        { "consent_records_malformed_total", "counter", "Records that could not be read.", n.malformed },
        { "consent_records_bad_signature_total", "counter", "Records whose signature did not hold.", n.bad_signature },
        { "consent_records_duplicate_total", "counter", "Records that were known.", n.duplicates },
        { "consent_submissions_bounded_total", "counter", "Records turned away because the node was full.", n.bounded },
        { "consent_withdrawals_accepted_total", "counter", "Withdrawals accepted before they were final.", n.withdrawals_accepted },
        { "consent_checkpoints_signed_total", "counter", "Checkpoints signed.", n.checkpoints },
        { "consent_cosignatures_dropped_total", "counter", "Cosignatures of others that did not hold, were far ahead of our clock, or too many.", atomic_load(&node->counters.cosignatures_dropped) },
        { "consent_forks_total", "counter", "Cosignatures of others that contradict the log of this node.", atomic_load(&node->counters.forks) },
        { "consent_pool_records", "gauge", "Records that wait for a block.", n.pool_records },
        { "consent_pool_bytes", "gauge", "Bytes of records that wait for a block.", n.pool_bytes },
        { "consent_gossip_sent_records_total", "counter", "Own clients' records sent to all members.", g.pushed },
        { "consent_gossip_announced_records_total", "counter", "Own clients' records announced to all members instead.", g.announced },
        { "consent_gossip_repeated_records_total", "counter", "Announcements of records that still waited.", g.repaired },
        { "consent_gossip_heard_records_total", "counter", "Announcements of other members.", g.heard },
        { "consent_gossip_dropped_records_total", "counter", "Announcements dropped because a member made too many.", g.dropped },
        { "consent_gossip_fetched_records_total", "counter", "Announced records asked for.", g.fetched },
        { "consent_gossip_overdue_records_total", "counter", "Records that did not come when asked for.", g.overdue },
        { "consent_gossip_received_records_total", "counter", "Records that came from members.", g.arrived },
        { "consent_gossip_duplicate_records_total", "counter", "Of these, records that were known.", g.duplicates },
        { "consent_gossip_unserved_records_total", "counter", "Records that members asked for beyond what they may.", g.unserved },
        { "consent_gossip_missing_records", "gauge", "Announced records that are not here.", g.missing },
        { "consent_state_buckets", "gauge", "Buckets that hold the state tree's leaves, 1,152 bytes each.", buckets.slots },
        { "consent_state_buckets_memory_bytes", "gauge", "Memory that they take; 0: they have outgrown what is set aside for them, and are in a file.", buckets.memory_bytes },
        { "consent_state_buckets_memory_max_bytes", "gauge", "What is set aside for them: a small node's memory grows up to it.", buckets.memory_bytes_max },
        { "consent_memory_allocated_bytes", "gauge", "Memory from the allocator that is in use, a second ago at most.", atomic_load(&node->counters.memory_allocated) },
        { "consent_memory_free_bytes", "gauge", "Memory that was given back to the allocator and is kept by it for use again.", atomic_load(&node->counters.memory_free) },
        { "consent_uptime_seconds", "gauge", "Since the start.", node_uptime_s(node) },
        { "consent_http_requests_total", "counter", "HTTP requests.", h.requests },
        { "consent_http_answers_4xx_total", "counter", "HTTP answers that refuse.", h.answers_4xx },
        { "consent_http_answers_5xx_total", "counter", "HTTP answers that fail.", h.answers_5xx },
        { "consent_http_connections", "gauge", "Open HTTP connections.", h.connections },
        { "consent_http_connections_cut_total", "counter", "Connections cut because they took too long.", h.cut },
        { "consent_feed_streams", "gauge", "Open feeds.", h.streams },
        { "consent_backups_total", "counter", "Backups taken whole since the start.", b.count },
        { "consent_backup_newest_timestamp_seconds", "gauge", "When the last of these was taken, since 1970; 0: none.", b.newest_s },
        { "consent_disk_free_bytes", "gauge", "Free space where the data directory is.", disk_free(node) },
    };
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0] && status == CL_OK; i++) {
        char line[512];
        int length = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type,
                              metrics[i].name, (unsigned long long)metrics[i].value);
        status = cl_buffer_append(&text, line, (size_t)length);
    }
    if (status == CL_OK) status = mailbox_metrics(&text, node);
    if (status == CL_OK) status = public_metrics(&text, node);
    if (status == CL_OK) status = condition_metrics(&text, node);
    if (status == CL_OK) { /* one that is no whole number */
        char line[256];
        int length = snprintf(line, sizeof line, "# HELP consent_commit_seconds_total Time spent in storing final blocks and signing their checkpoints.\n"
                              "# TYPE consent_commit_seconds_total counter\nconsent_commit_seconds_total %.6f\n", (double)atomic_load(&node->counters.commit_us) / 1e6);
        status = cl_buffer_append(&text, line, (size_t)length);
    }
    if (status == CL_OK) status = source_metrics(node, &text);
    if (status == CL_OK) http_answer(call->request, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.length);
    else api_fail(call->request, status);
    cl_buffer_deinit(&text);
}

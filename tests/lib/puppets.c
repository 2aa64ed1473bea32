#include "puppets.h"

#include "address.h"
#include "crypto.h"
#include "files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 60000u

static void must_be(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "puppets: %s\n", what);
    abort();
}

void puppets_pause(unsigned ms)
{
    const struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };
    nanosleep(&pause, NULL);
}

void puppets_wait(struct puppets *puppets, bool (*is_so)(struct puppets *puppets, const void *argument), const void *argument, const char *what)
{
    uint64_t began = node_monotonic_ms();
    while (!is_so(puppets, argument)) {
        must_be(node_monotonic_ms() - began < WAIT_MS, what);
        if (puppets->node != NULL && atomic_load(&puppets->node->failed)) fprintf(stderr, "the node stopped: %s\n", puppets->node->failure);
        must_be(puppets->node == NULL || !atomic_load(&puppets->node->failed), what);
        puppets_pause(2);
    }
}

/* ---- what puppets hear */
static void note(struct puppets *puppets, const struct puppet_heard *heard)
{
    pthread_mutex_lock(&puppets->lock);
    must_be(puppets->heard_count < PUPPETS_HEARD_MAX, "the node says too much for this test");
    puppets->heard[puppets->heard_count] = *heard;
    puppets->heard[puppets->heard_count++].at_ms = node_monotonic_ms();
    pthread_mutex_unlock(&puppets->lock);
}

static void note_hashes(struct puppet *puppet, enum puppet_news news, const struct frame *frame)
{
    struct frame_items items;
    struct cl_view item;
    struct puppet_heard heard = { .news = news, .member = puppet->member };
    frame_items_init(&items, frame);
    heard.count = items.left;
    if (!frame_items_next(&items, &item)) return;
    memcpy(heard.hash, item.data, 32);
    note(puppet->all, &heard);
}

static void note_proposal(struct puppet *puppet, const struct frame *frame)
{
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    FIXTURE_OK(cl_proposal_decode(&proposal, &leaves, frame->payload.data, frame->payload.length));
    struct puppet_heard heard = { .news = NEWS_PROPOSAL, .member = puppet->member, .count = proposal.leaf_count };
    free(leaves);
    note(puppet->all, &heard);
}

static void receive(void *context, size_t sender, const struct frame *frame)
{
    struct puppet *puppet = context;
    struct frame_items items;
    struct cl_view item;
    if (sender != 0) return;
    if (frame->kind == FRAME_FETCH) note_hashes(puppet, NEWS_FETCH, frame);
    if (frame->kind == FRAME_PROPOSAL && puppet->member == 1) note_proposal(puppet, frame);
    if (frame->kind != FRAME_VOTES || puppet->member != 1) return;
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        struct puppet_heard heard = { .news = NEWS_VOTE, .member = puppet->member };
        if (cl_vote_decode(&heard.vote, item.data, item.length) == CL_OK) note(puppet->all, &heard);
    }
}

/* ---- what puppets answer */
static const struct puppet_shelf *shelved(const struct puppet *puppet, const uint8_t hash[32])
{
    for (size_t i = 0; i < puppet->shelf_count; i++)
        if (memcmp(puppet->shelf[i].hash, hash, 32) == 0) return &puppet->shelf[i];
    return NULL;
}

static enum cl_status answer(const struct puppet *puppet, const struct frame *frame, struct transport_question *question)
{
    struct cl_view found[FRAME_FETCHED_MAX], item;
    struct frame_items items;
    struct cl_buffer payload = { 0 };
    const struct puppet_shelf *proposal = NULL;
    size_t count = 0;
    enum cl_status status = CL_OK;
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        const struct puppet_shelf *shelf = shelved(puppet, item.data);
        if (shelf != NULL && shelf->kind == FRAME_PROPOSAL) proposal = shelf;
        else if (shelf != NULL) found[count++] = (struct cl_view){ shelf->bytes.data, shelf->bytes.length };
    }
    if (proposal != NULL) return transport_answer(question, FRAME_PROPOSAL, proposal->bytes.data, proposal->bytes.length);
    if (count > 0) status = node_list_encode(&payload, FRAME_RECORDS, found, count) > 0 ? CL_OK : CL_E_MEMORY;
    else status = frame_status_encode(&payload, &(struct frame_status){ .height = 0, .view = 1, .final_view = 0 });
    if (status == CL_OK) status = transport_answer(question, count > 0 ? FRAME_RECORDS : FRAME_STATUS, payload.data, payload.length);
    cl_buffer_deinit(&payload);
    return status;
}

static void on_question(void *context, size_t sender, const struct frame *frame, struct transport_question *question)
{
    struct puppet *puppet = context;
    enum cl_status status = CL_E_NOT_FOUND;
    if (sender == 0 && frame->kind == FRAME_FETCH) {
        note_hashes(puppet, NEWS_QUESTION, frame);
        pthread_mutex_lock(&puppet->all->lock);
        if (!puppet->silent) status = answer(puppet, frame, question);
        pthread_mutex_unlock(&puppet->all->lock);
    }
    if (status != CL_OK) transport_decline(question);
}

void puppets_put(struct puppets *puppets, size_t member, const uint8_t hash[32], enum frame_kind kind, const void *bytes, size_t length)
{
    struct puppet *puppet = &puppets->puppets[member];
    pthread_mutex_lock(&puppets->lock);
    must_be(puppet->shelf_count < PUPPETS_SHELF_MAX, "no room on a shelf");
    struct puppet_shelf *shelf = &puppet->shelf[puppet->shelf_count++];
    memcpy(shelf->hash, hash, 32);
    shelf->kind = kind;
    FIXTURE_OK(cl_buffer_append(&shelf->bytes, bytes, length));
    pthread_mutex_unlock(&puppets->lock);
}

void puppets_put_block(struct puppets *puppets, size_t member, const struct puppet_block *block, const struct cl_buffer *proposal)
{
    if (proposal == NULL) proposal = &block->proposal;
    puppets_put(puppets, member, block->block.id.bytes, FRAME_PROPOSAL, proposal->data, proposal->length);
}

void puppets_put_record(struct puppets *puppets, size_t member, const struct cl_ledger_record *record)
{
    puppets_put(puppets, member, record->record.leaf_hash.bytes, FRAME_RECORDS, record->record.bytes.data, record->record.bytes.length);
}

void puppets_silence(struct puppets *puppets, size_t member, bool silent)
{
    pthread_mutex_lock(&puppets->lock);
    puppets->puppets[member].silent = silent;
    pthread_mutex_unlock(&puppets->lock);
}

void puppets_empty(struct puppets *puppets, size_t member)
{
    struct puppet *puppet = &puppets->puppets[member];
    pthread_mutex_lock(&puppets->lock);
    for (size_t i = 0; i < puppet->shelf_count; i++) cl_buffer_deinit(&puppet->shelf[i].bytes);
    memset(puppet->shelf, 0, sizeof puppet->shelf);
    puppet->shelf_count = 0;
    pthread_mutex_unlock(&puppets->lock);
}

/* ---- links */
static void connect_puppet(struct puppets *puppets, size_t member)
{
    struct puppet *puppet = &puppets->puppets[member];
    struct transport_member members[PUPPETS_MEMBERS];
    char ask[PUPPETS_MEMBERS][NODE_ADDRESS_SIZE], folder[NODE_PATH_MAX], path[NODE_PATH_MAX + 16];
    struct cl_buffer key = { .secret = true };
    struct transport_error error = { "" };
    puppet->all = puppets;
    puppet->member = member;
    homes_path(folder, &puppets->homes, member);
    FIXTURE_OK(node_keys_load(&puppet->keys, folder));
    snprintf(path, sizeof path, "%s/tls.key", folder);
    FIXTURE_OK(file_read(&key, path, NODE_PEM_BYTES_MAX));
    FIXTURE_OK(cl_buffer_append(&key, "", 1));
    for (size_t i = 0; i < PUPPETS_MEMBERS; i++) {
        struct genesis_peer peer;
        node_genesis_peer(&peer, &puppets->genesis, i);
        node_address_ask(ask[i], peer.info->address);
        members[i] = (struct transport_member){ .name = peer.name, .certificate = peer.info->certificate, .vote32 = peer.vote32,
                                                .address = peer.info->address, .ask_address = ask[i] };
    }
    struct transport_config config = { .network = puppets->genesis.core.network, .members = members, .member_count = PUPPETS_MEMBERS, .own = member,
        .vote_seed32 = puppet->keys.vote_seed, .key = (const char *)key.data, .listen = members[member].address, .listen_ask = ask[member],
        .wall_ms = node_now_ms, .context = puppet, .receive = receive, .question = on_question };
    FIXTURE_OK(transport_new(&puppet->transport, &error, &config));
    cl_buffer_deinit(&key);
}

static bool links_are_up(struct puppets *puppets, const void *argument)
{
    (void)argument;
    size_t up = node_links_up(puppets->node);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) {
        struct transport_counters counters;
        transport_count(puppets->puppets[i].transport, 0, &counters);
        up += counters.connected;
    }
    return up == 2 * (PUPPETS_MEMBERS - 1);
}

void puppets_start_node(struct puppets *puppets)
{
    char sentence[512];
    enum cl_status status = homes_start(&puppets->node, &puppets->homes, 0, &puppets->config, sentence, sizeof sentence);
    if (status != CL_OK) fprintf(stderr, "%s\n", sentence);
    FIXTURE_OK(status);
    puppets_wait(puppets, links_are_up, NULL, "links come up");
}

void puppets_stop_node(struct puppets *puppets)
{
    struct node *node = puppets->node;
    puppets->node = NULL;
    FIXTURE_OK(node_stop(node));
}

void puppets_open(struct puppets *puppets, const struct node_config *config)
{
    puppets_open_patient(puppets, config, 0);
}

void puppets_open_patient(struct puppets *puppets, const struct node_config *config, uint64_t d0_ms)
{
    char path[NODE_PATH_MAX + 16], folder[NODE_PATH_MAX];
    struct genesis_error error;
    memset(puppets, 0, sizeof *puppets);
    memcpy(puppets->directory, "/tmp/consent-puppets-XXXXXX", sizeof "/tmp/consent-puppets-XXXXXX");
    must_be(mkdtemp(puppets->directory) != NULL, "a folder");
    pthread_mutex_init(&puppets->lock, NULL);
    node_config_default(&puppets->config);
    if (config != NULL) puppets->config = *config;
    homes_make(&puppets->homes, puppets->directory, PUPPETS_MEMBERS, 0, d0_ms);
    puppets->network.genesis.network = puppets->homes.network;
    homes_path(folder, &puppets->homes, 0);
    snprintf(path, sizeof path, "%s/genesis.json", folder);
    FIXTURE_OK(node_genesis_load(&puppets->genesis, &error, path));
    FIXTURE_OK(cl_store_mem_open(&puppets->store));
    FIXTURE_OK(cl_buckets_memory_new(&puppets->buckets));
    FIXTURE_OK(cl_ledger_create(&puppets->store, &puppets->genesis.core));
    FIXTURE_OK(cl_ledger_open(&puppets->ledger, &puppets->store, &puppets->buckets, &puppets->genesis.core, NULL, NULL));
    puppets->customer = 1000;
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) connect_puppet(puppets, i);
    puppets_start_node(puppets);
}

void puppets_close(struct puppets *puppets)
{
    char command[128];
    if (puppets->node != NULL) puppets_stop_node(puppets);
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) {
        transport_free(puppets->puppets[i].transport);
        puppets_empty(puppets, i);
        node_keys_wipe(&puppets->puppets[i].keys);
    }
    cl_ledger_close(puppets->ledger);
    cl_buckets_free(&puppets->buckets);
    puppets->store.close(puppets->store.context);
    node_genesis_deinit(&puppets->genesis);
    pthread_mutex_destroy(&puppets->lock);
    snprintf(command, sizeof command, "rm -rf %s", puppets->directory);
    must_be(system(command) == 0, command);
}

/* ---- votes and certificates */
void puppets_vote(struct puppets *puppets, struct cl_vote *out, size_t member, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    struct cl_buffer bytes = { 0 };
    *out = (struct cl_vote){ .view = view, .kind = kind, .has_block = block != NULL, .voter = (uint32_t)member };
    if (block != NULL) out->block = *block;
    FIXTURE_OK(cl_vote_signed_bytes(&bytes, &puppets->genesis.core.network, 0, kind, view, block));
    cl_ed25519_sign(out->signature, puppets->puppets[member].keys.vote_seed, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
}

static void certificate_of(struct puppets *puppets, struct cl_buffer *out, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    struct cl_certificate *made = calloc(1, sizeof *made);
    must_be(made != NULL, "memory");
    *made = (struct cl_certificate){ .view = view, .kind = kind, .has_block = block != NULL, .member_count = PUPPETS_MEMBERS };
    if (block != NULL) made->block = *block;
    for (size_t i = 1; i < PUPPETS_MEMBERS; i++) {
        struct cl_vote vote;
        puppets_vote(puppets, &vote, i, kind, view, block);
        made->voters[0] |= (uint8_t)(1u << i);
        memcpy(made->signatures[made->vote_count++], vote.signature, 64);
    }
    FIXTURE_OK(cl_certificate_encode(out, made));
    free(made);
}

void puppets_send_payload(struct puppets *puppets, size_t member, enum lane lane, enum frame_kind kind, const struct cl_buffer *payload)
{
    FIXTURE_OK(transport_send(puppets->puppets[member].transport, 0, lane, kind, payload->data, payload->length));
    transport_flush(puppets->puppets[member].transport);
}

void puppets_send(struct puppets *puppets, size_t member, enum lane lane, enum frame_kind kind, const struct cl_view *items, size_t count)
{
    struct cl_buffer payload = { 0 };
    FIXTURE_OK(frame_list_encode(&payload, kind, items, count));
    puppets_send_payload(puppets, member, lane, kind, &payload);
    cl_buffer_deinit(&payload);
}

void puppets_send_vote(struct puppets *puppets, size_t member, const struct cl_vote *vote, enum lane lane)
{
    struct cl_buffer bytes = { 0 };
    FIXTURE_OK(cl_vote_encode(&bytes, vote));
    puppets_send(puppets, member, lane, FRAME_VOTES, &(struct cl_view){ bytes.data, bytes.length }, 1);
    cl_buffer_deinit(&bytes);
}

void puppets_certify(struct puppets *puppets, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    struct cl_buffer bytes = { 0 };
    certificate_of(puppets, &bytes, kind, view, block);
    puppets_send(puppets, 1, LANE_CERTIFICATES, FRAME_CERTIFICATES, &(struct cl_view){ bytes.data, bytes.length }, 1);
    cl_buffer_deinit(&bytes);
}

void puppets_propose(struct puppets *puppets, const struct puppet_block *block, const struct cl_buffer *proposal)
{
    struct cl_vote vote;
    size_t leader = puppets_leader(puppets, block->block.view);
    puppets_vote(puppets, &vote, leader, CL_VOTE_PROPOSE, block->block.view, &block->block.id);
    puppets_send_vote(puppets, leader, &vote, LANE_PROPOSALS);
    puppets_send_payload(puppets, leader, LANE_PROPOSALS, FRAME_PROPOSAL, proposal != NULL ? proposal : &block->proposal);
}

void puppets_announce(struct puppets *puppets, size_t member, const struct cl_ledger_record *record)
{
    puppets_send(puppets, member, LANE_ANNOUNCEMENTS, FRAME_ANNOUNCE, &(struct cl_view){ record->record.leaf_hash.bytes, 32 }, 1);
}

void puppets_send_record(struct puppets *puppets, size_t member, const struct cl_ledger_record *record)
{
    puppets_send(puppets, member, LANE_RECORDS, FRAME_RECORDS, &record->record.bytes, 1);
}

struct asked { atomic_bool done; enum frame_kind kind; };

static void on_asked(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct asked *asked = context;
    (void)member;
    asked->kind = outcome == TRANSPORT_ANSWERED ? frame->kind : FRAME_HELLO;
    atomic_store(&asked->done, true);
}

enum frame_kind puppets_ask(struct puppets *puppets, size_t member, const uint8_t hash[32])
{
    struct asked asked = { .kind = FRAME_HELLO };
    struct cl_buffer payload = { 0 };
    FIXTURE_OK(frame_list_encode(&payload, FRAME_FETCH, &(struct cl_view){ hash, 32 }, 1));
    FIXTURE_OK(transport_ask(puppets->puppets[member].transport, 0, FRAME_FETCH, payload.data, payload.length, 10000, on_asked, &asked));
    while (!atomic_load(&asked.done)) puppets_pause(1);
    cl_buffer_deinit(&payload);
    return asked.kind;
}

/* ---- blocks */
size_t puppets_leader(const struct puppets *puppets, uint64_t view)
{
    return consensus_leader(&puppets->genesis.core.network, 0, view, PUPPETS_MEMBERS);
}

uint64_t puppets_view(const struct puppets *puppets, uint64_t from)
{
    while (puppets_leader(puppets, from) == 0) from++;
    return from;
}

struct cl_ledger_record *puppets_grant(struct puppets *puppets)
{
    return fixture_grant(&puppets->network, puppets->customer++, 1, 2, node_now_ms() - 1000);
}

struct cl_ledger_record *puppets_large(struct puppets *puppets)
{
    static struct cl_entry entries[400];
    static uint8_t hashes[400][32];
    for (size_t i = 0; i < 400; i++) {
        fixture_hash(hashes[i], "puppets", puppets->customer * 1000 + i);
        entries[i] = (struct cl_entry){ .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(12) | CL_HAS(15), .object = hashes[i], .object_length = 16,
                                        .commitment = hashes[i], .key = hashes[i], .key_length = 32, .recovery = hashes[i] };
    }
    return fixture_record(&puppets->network, CL_PROFILE, puppets->customer++, entries, 400, node_now_ms() - 1000);
}

/* Array of the parent's notarization, where there is a parent, and of nullifications: the newest, if there are many. */
static void justify(struct puppets *puppets, struct cl_buffer *out, const struct order_block *block)
{
    struct cl_cbor_writer writer;
    uint64_t between = block->view - block->parent_view - 1;
    if (between >= CONSENSUS_JUSTIFICATION_MAX) between = CONSENSUS_JUSTIFICATION_MAX - 1;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, (size_t)between + (block->parent_view > 0));
    FIXTURE_OK(writer.status);
    if (block->parent_view > 0) certificate_of(puppets, out, CL_VOTE_NOTARIZE, block->parent_view, &block->parent);
    for (uint64_t view = block->view - between; view < block->view; view++) certificate_of(puppets, out, CL_VOTE_NULLIFY, view, NULL);
}

void puppets_make(struct puppets *puppets, struct puppet_block *out, const struct puppet_block *parent, uint64_t view, struct cl_ledger_record **records, size_t count)
{
    struct cl_tip tip;
    struct cl_buffer justification = { 0 };
    struct cl_leaf_hash *leaves = calloc(count > 0 ? count : 1, sizeof *leaves);
    must_be(leaves != NULL, "memory");
    memset(out, 0, sizeof *out);
    cl_ledger_tip(puppets->ledger, &tip);
    uint64_t now = node_now_ms();
    puppets->time_ms = now > puppets->time_ms ? now : puppets->time_ms + 1;
    FIXTURE_OK(cl_candidate_new(&out->candidate, puppets->ledger, parent != NULL ? parent->candidate : NULL, puppets->time_ms));
    for (size_t i = 0; i < count; i++) {
        FIXTURE_OK(cl_candidate_add(out->candidate, records[i], NULL));
        leaves[i] = records[i]->record.leaf_hash;
    }
    FIXTURE_OK(cl_candidate_seal(out->candidate, &out->summary));
    out->block = (struct order_block){ .id = out->summary.id, .parent = parent != NULL ? parent->block.id : tip.block, .view = view,
                                       .parent_view = parent != NULL ? parent->block.view : 0 };
    justify(puppets, &justification, &out->block);
    struct cl_proposal proposal = { .view = view, .parent_view = out->block.parent_view, .height = out->summary.height, .time_ms = out->summary.time_ms,
        .log_size = out->summary.log_size, .parent = out->block.parent, .log_root = out->summary.log_root, .state_root = out->summary.state_root,
        .leaf_count = count, .leaves = leaves, .justification = { justification.data, justification.length } };
    FIXTURE_OK(cl_proposal_encode(&out->proposal, &proposal));
    cl_buffer_deinit(&justification);
    free(leaves);
}

void puppet_block_free(struct puppet_block *block)
{
    cl_candidate_free(block->candidate);
    cl_buffer_deinit(&block->proposal);
}

void puppets_alter(struct cl_buffer *out, const struct cl_buffer *proposal, void (*change)(struct cl_proposal *proposal))
{
    struct cl_proposal decoded;
    struct cl_leaf_hash *leaves = NULL;
    FIXTURE_OK(cl_proposal_decode(&decoded, &leaves, proposal->data, proposal->length));
    change(&decoded);
    FIXTURE_OK(cl_proposal_encode(out, &decoded));
    free(leaves);
}

/* ---- what the node said */
bool puppets_heard_vote(struct puppets *puppets, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    bool found = false;
    pthread_mutex_lock(&puppets->lock);
    for (size_t i = 0; i < puppets->heard_count && !found; i++) {
        const struct cl_vote *vote = &puppets->heard[i].vote;
        found = puppets->heard[i].news == NEWS_VOTE && vote->kind == kind && vote->view == view && (block == NULL || memcmp(vote->block.bytes, block->bytes, 32) == 0);
    }
    pthread_mutex_unlock(&puppets->lock);
    return found;
}

size_t puppets_heard(struct puppets *puppets, enum puppet_news news, size_t member, const uint8_t hash[32])
{
    size_t count = 0;
    pthread_mutex_lock(&puppets->lock);
    for (size_t i = 0; i < puppets->heard_count; i++) {
        const struct puppet_heard *heard = &puppets->heard[i];
        count += heard->news == news && (member == SIZE_MAX || heard->member == member) && memcmp(heard->hash, hash, 32) == 0;
    }
    pthread_mutex_unlock(&puppets->lock);
    return count;
}

bool puppets_first(struct puppets *puppets, struct puppet_heard *out, enum puppet_news news)
{
    bool found = false;
    pthread_mutex_lock(&puppets->lock);
    for (size_t i = 0; i < puppets->heard_count && !found; i++) {
        found = puppets->heard[i].news == news;
        if (found) *out = puppets->heard[i];
    }
    pthread_mutex_unlock(&puppets->lock);
    return found;
}

uint64_t puppets_height(struct puppets *puppets) { return atomic_load(&puppets->node->counters.height); }

/* A member gone bad: holds a real member's keys, speaks over the real links, and does harm of one kind until its standard
   input ends. For tests of what honest nodes bear; they look at those from outside.
     hostile_member DATA MODE SEED      DATA: the member's data directory, as consentd made it; prints "ready", then at the
                                        end what it sent
   MODE: silent       connects, takes part in nothing
         flood        well-formed frames of every kind that mean nothing, as fast as links take them, and questions without end
         garbage      frames whose payloads are random bytes
         replay       whatever it hears, to everybody, again and again
         withhold     announces records and heights that it never hands out, and answers no question
         equivocate   in each view votes for different blocks, and as its leader proposes different ones to each peer */
#include "crypto.h"
#include "consensus.h"
#include "files.h"
#include "genesis.h"
#include "transport.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEARD_MAX 256u
#define VOTES_AT_A_TIME 64u
#define RECORD_BYTES 1024u
#define PARENT_VIEWS 2u
#define WAITING_MAX 64u /* frames in its own lanes */

struct heard { enum frame_kind kind; uint8_t *payload; size_t length; };
struct hostile {
    struct node_genesis genesis;
    struct node_keys keys;
    size_t own, peers;
    struct transport *transport;
    uint64_t chance, sent, refused, asked;
    pthread_mutex_t lock;                     /* what follows is filled by the transport's threads */
    struct heard heard[HEARD_MAX];
    size_t heard_count;
    uint64_t view, acted_view;
    struct cl_block_id block;                 /* of the newest certificate heard */
};

static uint64_t chance(struct hostile *hostile)
{
    hostile->chance ^= hostile->chance << 13;
    hostile->chance ^= hostile->chance >> 7;
    hostile->chance ^= hostile->chance << 17;
    return hostile->chance;
}

static void fill(struct hostile *hostile, void *out, size_t length)
{
    for (size_t i = 0; i < length; i++) ((uint8_t *)out)[i] = (uint8_t)(chance(hostile) >> 24);
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void must(enum cl_status status, const char *what)
{
    if (status == CL_OK) return;
    fprintf(stderr, "hostile_member: %s: %s\n", what, cl_status_sentence(status));
    exit(1);
}

/* ---- what it hears */
static void look_at(struct hostile *hostile, const struct frame *frame)
{
    struct frame_items items;
    struct cl_view item;
    if (frame->kind != FRAME_VOTES && frame->kind != FRAME_CERTIFICATES) return;
    frame_items_init(&items, frame);
    while (frame_items_next(&items, &item)) {
        struct cl_vote vote;
        struct cl_certificate certificate;
        if (frame->kind == FRAME_VOTES && cl_vote_decode(&vote, item.data, item.length) == CL_OK && vote.view > hostile->view)
            hostile->view = vote.view;
        if (frame->kind != FRAME_CERTIFICATES || cl_certificate_decode(&certificate, item.data, item.length) != CL_OK) continue;
        if (certificate.view >= hostile->view) hostile->view = certificate.view + 1;
        if (certificate.has_block) hostile->block = certificate.block;
    }
}

static void receive(void *context, size_t sender, const struct frame *frame)
{
    struct hostile *hostile = context;
    (void)sender;
    pthread_mutex_lock(&hostile->lock);
    look_at(hostile, frame);
    struct heard *slot = &hostile->heard[hostile->heard_count++ % HEARD_MAX];
    free(slot->payload);
    *slot = (struct heard){ frame->kind, malloc(frame->payload.length + 1), frame->payload.length };
    if (slot->payload == NULL) abort();
    memcpy(slot->payload, frame->payload.data, frame->payload.length);
    pthread_mutex_unlock(&hostile->lock);
}

static void question(void *context, size_t sender, const struct frame *frame, struct transport_question *asked)
{
    (void)context, (void)sender, (void)frame;
    transport_decline(asked);
}

static void answered(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    (void)context, (void)member, (void)outcome, (void)frame;
}

/* ---- what it says */
static void say(struct hostile *hostile, size_t peer, enum lane lane, enum frame_kind kind, const struct cl_buffer *payload)
{
    if (transport_send(hostile->transport, peer, lane, kind, payload->data, payload->length) == CL_OK) hostile->sent++;
    else hostile->refused++;
}

/* So much waits for this peer already that more would only be dropped here. */
static bool is_full(struct hostile *hostile, size_t peer)
{
    struct transport_counters counters;
    transport_count(hostile->transport, peer, &counters);
    return counters.waiting_frames >= WAITING_MAX;
}

static void say_list(struct hostile *hostile, size_t peer, enum lane lane, enum frame_kind kind, const struct cl_buffer *items, size_t count)
{
    struct cl_view views[FRAME_ANNOUNCED_MAX];
    struct cl_buffer payload = { 0 };
    for (size_t i = 0; i < count; i++) views[i] = (struct cl_view){ items[i].data, items[i].length };
    must(frame_list_encode(&payload, kind, views, count), "a list");
    say(hostile, peer, lane, kind, &payload);
    cl_buffer_deinit(&payload);
}

static void make_vote(struct hostile *hostile, struct cl_buffer *out, enum cl_vote_kind kind, uint64_t view, bool honestly_signed)
{
    struct cl_vote vote = { .epoch = 0, .view = view, .kind = kind, .has_block = kind != CL_VOTE_NULLIFY, .voter = (uint32_t)hostile->own };
    struct cl_buffer bytes = { 0 };
    fill(hostile, vote.block.bytes, vote.has_block ? 32 : 0);
    fill(hostile, vote.signature, 64);
    must(cl_vote_signed_bytes(&bytes, &hostile->genesis.core.network, vote.epoch, kind, view, vote.has_block ? &vote.block : NULL), "a vote");
    if (honestly_signed) cl_ed25519_sign(vote.signature, hostile->keys.vote_seed, bytes.data, bytes.length);
    else if (chance(hostile) % 2 == 0) vote.voter = (uint32_t)(chance(hostile) % hostile->genesis.core.value.member_count);
    cl_buffer_deinit(&bytes);
    out->length = 0;
    must(cl_vote_encode(out, &vote), "a vote");
}

static void flood_votes(struct hostile *hostile, size_t peer, uint64_t view)
{
    struct cl_buffer items[VOTES_AT_A_TIME] = { 0 };
    for (size_t i = 0; i < VOTES_AT_A_TIME; i++)
        make_vote(hostile, &items[i], (enum cl_vote_kind)(1 + chance(hostile) % 4), view + chance(hostile) % 20, chance(hostile) % 4 == 0);
    say_list(hostile, peer, LANE_VOTES, FRAME_VOTES, items, VOTES_AT_A_TIME);
    for (size_t i = 0; i < VOTES_AT_A_TIME; i++) cl_buffer_deinit(&items[i]);
}

static void flood_certificates(struct hostile *hostile, size_t peer, uint64_t view)
{
    struct cl_buffer items[8] = { 0 };
    for (size_t i = 0; i < 8; i++) {
        size_t members = hostile->genesis.core.value.member_count;
        struct cl_certificate certificate = { .view = view + chance(hostile) % 1000, .kind = CL_VOTE_NOTARIZE, .has_block = true,
                                              .member_count = members, .vote_count = cl_quorum(members) };
        fill(hostile, certificate.block.bytes, 32);
        for (size_t k = 0; k < certificate.vote_count; k++) {
            certificate.voters[k / 8] |= (uint8_t)(1u << k % 8);
            fill(hostile, certificate.signatures[k], 64);
        }
        must(cl_certificate_encode(&items[i], &certificate), "a certificate");
    }
    say_list(hostile, peer, LANE_CERTIFICATES, FRAME_CERTIFICATES, items, 8);
    for (size_t i = 0; i < 8; i++) cl_buffer_deinit(&items[i]);
}

/* Lists of random items: hashes, or what is no record and no cosignature. */
static void flood_list(struct hostile *hostile, size_t peer, enum frame_kind kind, size_t count, size_t length)
{
    static struct cl_buffer items[FRAME_ANNOUNCED_MAX];
    uint8_t bytes[RECORD_BYTES];
    for (size_t i = 0; i < count; i++) {
        fill(hostile, bytes, length);
        items[i].length = 0;
        must(cl_buffer_append(&items[i], bytes, length), "an item");
    }
    say_list(hostile, peer, kind == FRAME_RECORDS ? LANE_RECORDS : LANE_ANNOUNCEMENTS, kind, items, count);
}

static void claim_height(struct hostile *hostile, size_t peer)
{
    struct cl_buffer payload = { 0 };
    uint64_t far = 1000000u + chance(hostile) % 1000000u;
    must(frame_status_encode(&payload, &(struct frame_status){ .height = far, .view = far, .final_view = far }), "a status");
    say(hostile, peer, LANE_ANNOUNCEMENTS, FRAME_STATUS, &payload);
    cl_buffer_deinit(&payload);
}

static void ask(struct hostile *hostile, size_t peer)
{
    struct cl_buffer payload = { 0 };
    must(frame_range_request_encode(&payload, &(struct frame_range_request){ .first_height = 1, .count = 1000000 }), "a question");
    if (transport_ask(hostile->transport, peer, FRAME_RANGE_REQUEST, payload.data, payload.length, 1000, answered, hostile) == CL_OK) hostile->asked++;
    cl_buffer_deinit(&payload);
}

/* ---- proposals: well-formed, of records that nobody has */
static void propose(struct hostile *hostile, size_t peer, uint64_t view, const struct cl_block_id *parent)
{
    struct cl_leaf_hash leaves[16];
    const uint8_t no_certificates[] = { 0x80 };
    struct cl_proposal proposal = { .view = view, .parent_view = view > PARENT_VIEWS ? view - 1 : 0, .height = view, .time_ms = wall_ms(),
                                    .log_size = 1000, .parent = *parent, .leaf_count = 16, .leaves = leaves,
                                    .justification = { no_certificates, 1 } };
    struct cl_buffer payload = { 0 };
    fill(hostile, leaves, sizeof leaves);
    fill(hostile, proposal.log_root.bytes, 32);
    fill(hostile, proposal.state_root.bytes, 32);
    must(cl_proposal_encode(&payload, &proposal), "a proposal");
    say(hostile, peer, LANE_PROPOSALS, FRAME_PROPOSAL, &payload);
    cl_buffer_deinit(&payload);
}

/* ---- modes: one round each, to one peer */
static void flood(struct hostile *hostile, size_t peer, uint64_t view, const struct cl_block_id *block)
{
    flood_votes(hostile, peer, view);
    flood_certificates(hostile, peer, view);
    flood_list(hostile, peer, FRAME_ANNOUNCE, FRAME_ANNOUNCED_MAX, 32);
    flood_list(hostile, peer, FRAME_FETCH, FRAME_FETCHED_MAX, 32);
    flood_list(hostile, peer, FRAME_RECORDS, 200, RECORD_BYTES);
    flood_list(hostile, peer, FRAME_COSIGNATURES, FRAME_COSIGNATURES_MAX, 200);
    claim_height(hostile, peer);
    propose(hostile, peer, view + chance(hostile) % 20, block);
    ask(hostile, peer);
}

static void garbage(struct hostile *hostile, size_t peer)
{
    uint8_t bytes[RECORD_BYTES];
    struct cl_buffer payload = { 0 };
    size_t length = 1 + chance(hostile) % sizeof bytes;
    fill(hostile, bytes, length);
    must(cl_buffer_append(&payload, bytes, length), "garbage");
    say(hostile, peer, LANE_VOTES, (enum frame_kind)(1 + chance(hostile) % 15), &payload);
    cl_buffer_deinit(&payload);
}

static void replay(struct hostile *hostile, size_t peer)
{
    struct cl_buffer payload = { 0 };
    pthread_mutex_lock(&hostile->lock);
    size_t count = hostile->heard_count < HEARD_MAX ? hostile->heard_count : HEARD_MAX;
    const struct heard *chosen = count > 0 ? &hostile->heard[chance(hostile) % count] : NULL;
    enum frame_kind kind = chosen != NULL ? chosen->kind : FRAME_STATUS;
    if (chosen != NULL) must(cl_buffer_append(&payload, chosen->payload, chosen->length), "a replay");
    pthread_mutex_unlock(&hostile->lock);
    if (payload.length > 0) say(hostile, peer, LANE_VOTES, kind, &payload);
    cl_buffer_deinit(&payload);
}

static void equivocate(struct hostile *hostile, size_t peer, uint64_t view, const struct cl_block_id *block)
{
    struct cl_buffer items[7] = { 0 };
    const enum cl_vote_kind kinds[7] = { CL_VOTE_PROPOSE, CL_VOTE_PROPOSE, CL_VOTE_NOTARIZE, CL_VOTE_NOTARIZE, CL_VOTE_FINALIZE, CL_VOTE_FINALIZE, CL_VOTE_NULLIFY };
    for (size_t i = 0; i < 7; i++) make_vote(hostile, &items[i], kinds[i], view, true);
    if (consensus_leader(&hostile->genesis.core.network, 0, view, hostile->genesis.core.value.member_count) == hostile->own) {
        propose(hostile, peer, view, block);
        propose(hostile, peer, view, block);
    }
    say_list(hostile, peer, LANE_VOTES, FRAME_VOTES, items, 7);
    for (size_t i = 0; i < 7; i++) cl_buffer_deinit(&items[i]);
}

/* False: there is nothing to do just now. */
static bool harm(struct hostile *hostile, const char *mode)
{
    pthread_mutex_lock(&hostile->lock);
    uint64_t view = hostile->view;
    struct cl_block_id block = hostile->block;
    pthread_mutex_unlock(&hostile->lock);
    bool fresh = view > hostile->acted_view;
    hostile->acted_view = view;
    if (strcmp(mode, "silent") == 0 || (strcmp(mode, "equivocate") == 0 && !fresh)) return false;
    bool busy = false;
    for (size_t peer = 0; peer < hostile->peers; peer++) {
        if (peer == hostile->own || is_full(hostile, peer)) continue;
        busy = true;
        if (strcmp(mode, "flood") == 0) flood(hostile, peer, view, &block);
        else if (strcmp(mode, "garbage") == 0) garbage(hostile, peer);
        else if (strcmp(mode, "replay") == 0) replay(hostile, peer);
        else if (strcmp(mode, "equivocate") == 0) equivocate(hostile, peer, view, &block);
        else {
            flood_list(hostile, peer, FRAME_ANNOUNCE, 64, 32);
            claim_height(hostile, peer);
        }
    }
    return busy && strcmp(mode, "withhold") != 0;
}

/* ---- start */
static void load(struct hostile *hostile, const char *data, struct cl_buffer *key)
{
    char path[2048];
    struct genesis_error error = { "" };
    must(file_path(path, sizeof path, data, "genesis.json"), data);
    must(node_genesis_load(&hostile->genesis, &error, path), error.sentence);
    must(node_keys_load(&hostile->keys, data), "keys");
    must(file_path(path, sizeof path, data, "tls.key"), data);
    must(file_read(key, path, NODE_PEM_BYTES_MAX), path);
    must(cl_buffer_append(key, "", 1), "memory");
    hostile->peers = node_genesis_peer_count(&hostile->genesis);
    hostile->own = node_genesis_own(&hostile->genesis, &hostile->keys);
    if (hostile->own >= hostile->peers) must(CL_E_NOT_FOUND, "this member in the genesis");
}

static void connect_to_all(struct hostile *hostile, const char *key)
{
    struct transport_member members[GENESIS_PEERS_MAX];
    static char ask_addresses[GENESIS_PEERS_MAX][NODE_ADDRESS_SIZE];
    struct transport_error error = { "" };
    for (size_t i = 0; i < hostile->peers; i++) {
        struct genesis_peer peer;
        node_genesis_peer(&peer, &hostile->genesis, i);
        node_address_ask(ask_addresses[i], peer.info->address);
        members[i] = (struct transport_member){ .name = peer.name, .certificate = peer.info->certificate, .vote32 = peer.vote32,
                                                .address = peer.info->address, .ask_address = ask_addresses[i] };
    }
    struct transport_config config = {
        .network = hostile->genesis.core.network, .members = members, .member_count = hostile->peers, .own = hostile->own,
        .vote_seed32 = hostile->keys.vote_seed, .key = key, .listen = members[hostile->own].address,
        .listen_ask = members[hostile->own].ask_address, .wall_ms = wall_ms, .context = hostile, .receive = receive, .question = question,
    };
    must(transport_new(&hostile->transport, &error, &config), error.sentence);
}

int main(int argc, char **argv)
{
    static struct hostile hostile = { .lock = PTHREAD_MUTEX_INITIALIZER };
    struct cl_buffer key = { .secret = true };
    if (argc != 4) return 2;
    hostile.chance = strtoull(argv[3], NULL, 10) * 2u + 1u;
    load(&hostile, argv[1], &key);
    connect_to_all(&hostile, (const char *)key.data);
    puts("ready");
    fflush(stdout);
    for (bool busy = true;;) {
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        if (poll(&input, 1, busy ? 0 : 1) > 0) break;
        busy = harm(&hostile, argv[2]);
        transport_flush(hostile.transport);
    }
    printf("sent %llu refused %llu asked %llu heard %zu view %llu\n", (unsigned long long)hostile.sent, (unsigned long long)hostile.refused,
           (unsigned long long)hostile.asked, hostile.heard_count, (unsigned long long)hostile.view);
    fflush(stdout);
    _exit(0); /* as rudely as it lived */
}

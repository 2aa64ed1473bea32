/* Links and the owner thread: frames come in as messages for the owner, bounded for each member; questions are answered by
   the owner or, where the store has to be read, by a thread of their own; the owner's questions come back to it answered.
   A network of one has no links, and everything here does nothing. */
#include "node_private.h"

#include "files.h"
#include "logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INBOX_PEER_BYTES (4u * 1024 * 1024) /* of one member's frames that the owner has not come to; dropped beyond */
#define INBOX_PEER_FRAMES 4096u
#define SERVED_MAX (TRANSPORT_MEMBER_QUESTIONS_MAX * GENESIS_PEERS_MAX)

/* One frame on its way to the owner. */
struct arrival {
    struct node *node;
    size_t peer;
    enum frame_kind kind;
    struct transport_question *question; /* NULL: nobody waits for an answer */
    size_t length;
    uint8_t payload[];
};
/* A question that is open to a member. peer, answered and context are the owner's; the rest is the transport's until it sets
   done. */
struct open_question {
    struct links *links;
    size_t peer;
    node_answered answered;
    void *context;
    atomic_bool done;
    enum transport_outcome outcome;
    enum frame_kind kind;
    struct cl_buffer payload;
};
struct link_peer {
    atomic_size_t waiting_bytes, waiting_frames;
    atomic_uint_fast64_t dropped;
    struct open_question questions[TRANSPORT_ASKED_MAX];
};
struct links {
    struct node *node;
    struct link_peer *peers;
    atomic_bool stopping, answers;         /* answers: a question is done */
    pthread_t server;
    bool server_running;
    pthread_mutex_t lock;                  /* the queue of questions that need the store */
    pthread_cond_t filled;
    struct arrival *served[SERVED_MAX];
    size_t served_count;
};

/* ---- frames in */
static struct arrival *arrival_new(struct links *links, size_t peer, const struct frame *frame, struct transport_question *question)
{
    struct arrival *made = malloc(sizeof *made + frame->payload.length);
    if (made == NULL) return NULL;
    *made = (struct arrival){ .node = links->node, .peer = peer, .kind = frame->kind, .question = question, .length = frame->payload.length };
    if (frame->payload.length > 0) memcpy(made->payload, frame->payload.data, frame->payload.length);
    return made;
}

static void handle_frame(struct node *node, size_t peer, const struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_VOTES: node_on_votes(node, peer, frame); return;
    case FRAME_CERTIFICATES: node_on_certificates(node, peer, frame); return;
    case FRAME_PROPOSAL: node_on_proposal(node, peer, frame); return;
    case FRAME_COSIGNATURES: node_on_cosignatures(node, peer, frame); return;
    case FRAME_ANNOUNCE: node_on_announce(node, peer, frame); return;
    case FRAME_FETCH: node_on_fetch(node, peer, frame); return;
    case FRAME_RECORDS: node_on_records(node, peer, frame); return;
    case FRAME_STATUS:
        node_condition_heard(node, peer, frame);
        node_on_status(node, peer, frame);
        return;
    case FRAME_HELLO: /* the transport's own */
    case FRAME_RANGE_REQUEST:
    case FRAME_RANGE:
    case FRAME_RECOVERY_QUESTION:
    case FRAME_RECOVERY_ANSWER:
    case FRAME_DEPOSIT:
    case FRAME_DEPOSITED:
    case FRAME_PUBLIC_QUESTION:
    case FRAME_PUBLIC_ANSWER: return; /* questions and answers do not come as frames */
    }
}

static void handle_question(struct node *node, const struct arrival *arrival, const struct frame *frame)
{
    if (frame->kind == FRAME_FETCH) node_on_fetch_question(node, arrival->peer, frame, arrival->question);
    else if (frame->kind == FRAME_RECOVERY_QUESTION) node_on_recovery_question(node, arrival->peer, frame, arrival->question);
    else transport_decline(arrival->question);
}

static void on_arrival(void *owner, void *context)
{
    struct node *node = owner;
    struct arrival *arrival = context;
    struct link_peer *peer = &node->links->peers[arrival->peer];
    struct frame frame = { .kind = arrival->kind, .payload = { arrival->payload, arrival->length } };
    bool stopping = atomic_load(&node->stopping) || atomic_load(&node->failed);
    atomic_fetch_sub(&peer->waiting_bytes, arrival->length);
    atomic_fetch_sub(&peer->waiting_frames, 1);
    if (node->transport != NULL) { /* without it the question is gone */
        if (arrival->question == NULL && !stopping) handle_frame(node, arrival->peer, &frame);
        if (arrival->question != NULL && !stopping) handle_question(node, arrival, &frame);
        if (arrival->question != NULL && stopping) transport_decline(arrival->question);
    }
    free(arrival);
}

/* For the owner; false: it has too much from this member to do already, or there is no memory. */
static bool to_owner(struct links *links, size_t sender, const struct frame *frame, struct transport_question *question)
{
    struct link_peer *peer = &links->peers[sender];
    size_t bytes = atomic_fetch_add(&peer->waiting_bytes, frame->payload.length), frames = atomic_fetch_add(&peer->waiting_frames, 1);
    struct arrival *made = NULL;
    if (bytes + frame->payload.length <= INBOX_PEER_BYTES && frames < INBOX_PEER_FRAMES) made = arrival_new(links, sender, frame, question);
    if (made != NULL && inbox_put_frame(&links->node->inbox, sender, on_arrival, made) == CL_OK) return true;
    free(made);
    atomic_fetch_sub(&peer->waiting_bytes, frame->payload.length);
    atomic_fetch_sub(&peer->waiting_frames, 1);
    atomic_fetch_add(&peer->dropped, 1);
    return false;
}

static void on_frame(void *context, size_t sender, const struct frame *frame)
{
    struct links *links = context;
    if (!atomic_load(&links->stopping)) (void)to_owner(links, sender, frame, NULL);
}

/* ---- questions to this node */
static bool to_server(struct links *links, size_t sender, const struct frame *frame, struct transport_question *question)
{
    struct arrival *made = arrival_new(links, sender, frame, question);
    pthread_mutex_lock(&links->lock);
    bool taken = made != NULL && links->server_running && links->served_count < SERVED_MAX;
    if (taken) links->served[links->served_count++] = made;
    pthread_cond_signal(&links->filled);
    pthread_mutex_unlock(&links->lock);
    if (!taken) free(made);
    return taken;
}

static void on_question(void *context, size_t sender, const struct frame *frame, struct transport_question *question)
{
    struct links *links = context;
    bool taken = false;
    if (!atomic_load(&links->stopping))
        taken = frame->kind == FRAME_RANGE_REQUEST ? to_server(links, sender, frame, question)
              : frame->kind == FRAME_DEPOSIT         ? mailbox_server_question(links->node->mailboxes, sender, frame, question)
              : frame->kind == FRAME_PUBLIC_QUESTION ? public_server_question(links->node->public_bodies, frame, question)
                                                     : to_owner(links, sender, frame, question);
    if (!taken) transport_decline(question);
}

static void *serve(void *context)
{
    struct links *links = context;
    for (;;) {
        pthread_mutex_lock(&links->lock);
        while (links->served_count == 0 && !atomic_load(&links->stopping)) pthread_cond_wait(&links->filled, &links->lock);
        struct arrival *next = links->served_count > 0 ? links->served[0] : NULL;
        if (next != NULL) memmove(links->served, links->served + 1, --links->served_count * sizeof links->served[0]);
        pthread_mutex_unlock(&links->lock);
        if (next == NULL) return NULL;
        struct frame frame = { .kind = next->kind, .payload = { next->payload, next->length } };
        node_serve_range(links->node, next->peer, &frame, next->question);
        free(next);
    }
}

/* ---- questions of this node */
static void on_answer(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct open_question *question = context;
    struct links *links = question->links;
    (void)member;
    question->outcome = outcome;
    question->payload.length = 0;
    if (frame != NULL) {
        question->kind = frame->kind;
        if (cl_buffer_append(&question->payload, frame->payload.data, frame->payload.length) != CL_OK) question->outcome = TRANSPORT_BROKEN;
    }
    atomic_store(&question->done, true);
    atomic_store(&links->answers, true);
    inbox_nudge(&links->node->inbox);
}

enum cl_status node_ask(struct node *node, size_t peer, enum frame_kind kind, const struct cl_buffer *payload, uint32_t limit_ms, node_answered answered, void *context)
{
    struct open_question *question = node->links->peers[peer].questions, *end = question + TRANSPORT_ASKED_MAX;
    while (question < end && question->answered != NULL) question++;
    if (question == end) return CL_E_BOUND;
    question->links = node->links;
    question->peer = peer;
    question->answered = answered;
    question->context = context;
    atomic_store(&question->done, false);
    enum cl_status status = transport_ask(node->transport, peer, kind, payload->data, payload->length, limit_ms, on_answer, question);
    if (status != CL_OK) question->answered = NULL;
    return status;
}

static void hand_over(struct node *node, struct open_question *question)
{
    struct frame frame = { .kind = question->kind, .payload = { question->payload.data, question->payload.length } };
    struct cl_buffer payload = question->payload;
    node_answered answered = question->answered;
    void *context = question->context;
    enum transport_outcome outcome = question->outcome;
    question->answered = NULL; /* whoever hears of the answer may ask again */
    question->payload = (struct cl_buffer){ 0 };
    answered(node, context, question->peer, outcome, outcome == TRANSPORT_ANSWERED ? &frame : NULL);
    cl_buffer_deinit(&payload);
}

void node_links_round(struct node *node)
{
    struct links *links = node->links;
    if (links == NULL || !atomic_exchange(&links->answers, false)) return;
    for (size_t i = 0; i < node->peer_count * TRANSPORT_ASKED_MAX; i++) {
        struct open_question *question = &links->peers[i / TRANSPORT_ASKED_MAX].questions[i % TRANSPORT_ASKED_MAX];
        if (question->answered != NULL && atomic_load(&question->done)) hand_over(node, question);
    }
}

/* ---- frames out */
void node_send(struct node *node, size_t peer, enum lane lane, enum frame_kind kind, const struct cl_buffer *payload)
{
    if (node->transport == NULL) return;
    enum cl_status status = transport_send(node->transport, peer, lane, kind, payload->data, payload->length);
    if (status != CL_OK && status != CL_E_BOUND) log_line(LOG_LEVEL_WARNING, "frame_left_out", "kind=%d code=%s", (int)kind, cl_status_code(status));
}

void node_flush(struct node *node)
{
    if (node->transport != NULL) transport_flush(node->transport);
}

/* How many of the items fit into one frame, with five bytes of head each and sixty-four around all. */
static size_t fitting(const struct cl_view *items, size_t count, size_t maximum)
{
    size_t bytes = 64, taken = 0;
    while (taken < count && taken < maximum && bytes + items[taken].length + 5 <= CL_FRAME_BYTES_MAX) bytes += items[taken++].length + 5;
    return taken;
}

size_t node_list_encode(struct cl_buffer *out, enum frame_kind kind, const struct cl_view *items, size_t count)
{
    size_t taken = fitting(items, count, frame_items_max(kind));
    out->length = 0;
    return taken > 0 && frame_list_encode(out, kind, items, taken) == CL_OK ? taken : 0;
}

void node_send_list(struct node *node, size_t peer, enum lane lane, enum frame_kind kind, const struct cl_view *items, size_t count)
{
    struct cl_buffer payload = { 0 };
    if (node->transport == NULL) return;
    for (size_t at = 0; at < count;) {
        size_t taken = node_list_encode(&payload, kind, items + at, count - at);
        if (taken == 0) break; /* no memory: lost, as a frame may be */
        node_send(node, peer, lane, kind, &payload);
        at += taken;
    }
    cl_buffer_deinit(&payload);
}

/* ---- start and stop */
struct addresses { char ask[GENESIS_PEERS_MAX][NODE_ADDRESS_SIZE], listen_ask[NODE_ADDRESS_SIZE]; };

/* The genesis was checked: every peer has a good address. */
static void fill_members(struct node *node, struct transport_member *members, struct addresses *addresses)
{
    for (size_t i = 0; i < node->peer_count; i++) {
        struct genesis_peer peer;
        node_genesis_peer(&peer, &node->genesis, i);
        node_address_ask(addresses->ask[i], peer.info->address);
        members[i] = (struct transport_member){ .name = peer.name, .certificate = peer.info->certificate, .vote32 = peer.vote32,
                                                .address = peer.info->address, .ask_address = addresses->ask[i] };
    }
}

static enum cl_status open_transport(struct node *node, struct transport_member *members, struct addresses *addresses, const char *key, char *sentence, size_t sentence_size)
{
    const struct node_config *set = &node->options.config;
    struct transport_error error = { "" };
    const char *listen = set->links_listen[0] != '\0' ? set->links_listen : members[node->own].address;
    if (set->links_ask_listen[0] != '\0') memcpy(addresses->listen_ask, set->links_ask_listen, sizeof addresses->listen_ask);
    else node_address_ask(addresses->listen_ask, listen);
    struct transport_config config = { .network = node->genesis.core.network, .members = members, .member_count = node->peer_count, .own = node->own,
        .vote_seed32 = node->keys.vote_seed, .key = key, .listen = listen, .listen_ask = addresses->listen_ask, .wall_ms = node_now_ms,
        .context = node->links, .receive = on_frame, .question = on_question };
    enum cl_status status = transport_new(&node->transport, &error, &config);
    if (status != CL_OK) snprintf(sentence, sentence_size, "Links to the other members cannot be opened: %s", error.sentence);
    return status;
}

static enum cl_status make_links(struct node *node)
{
    struct links *links = calloc(1, sizeof *links);
    if (links == NULL) return CL_E_MEMORY;
    links->node = node;
    links->peers = calloc(node->peer_count, sizeof *links->peers);
    pthread_mutex_init(&links->lock, NULL);
    pthread_cond_init(&links->filled, NULL);
    node->links = links;
    if (links->peers == NULL) return CL_E_MEMORY;
    links->server_running = pthread_create(&links->server, NULL, serve, links) == 0;
    return links->server_running ? CL_OK : CL_E_MEMORY;
}

enum cl_status node_links_start(struct node *node, char *sentence, size_t sentence_size)
{
    if (node->peer_count < 2) return CL_OK;
    char path[1200];
    struct cl_buffer key = { .secret = true };
    struct transport_member *members = calloc(node->peer_count, sizeof *members);
    struct addresses *addresses = calloc(1, sizeof *addresses);
    enum cl_status status = members != NULL && addresses != NULL ? make_links(node) : CL_E_MEMORY;
    if (status == CL_OK) status = file_path(path, sizeof path, node->options.config.data, "tls.key");
    if (status == CL_OK) status = file_read(&key, path, NODE_PEM_BYTES_MAX);
    if (status != CL_OK) snprintf(sentence, sentence_size, "The key for links, tls.key in %.200s, cannot be read: %s", node->options.config.data, cl_status_sentence(status));
    if (status == CL_OK) status = cl_buffer_append(&key, "", 1);
    if (status == CL_OK) fill_members(node, members, addresses);
    if (status == CL_OK) status = open_transport(node, members, addresses, (const char *)key.data, sentence, sentence_size);
    cl_buffer_deinit(&key);
    free(addresses);
    free(members);
    return status;
}

void node_links_stop(struct node *node)
{
    struct links *links = node->links;
    if (links == NULL) return;
    pthread_mutex_lock(&links->lock);
    atomic_store(&links->stopping, true);
    pthread_cond_signal(&links->filled);
    pthread_mutex_unlock(&links->lock);
    if (links->server_running) pthread_join(links->server, NULL);
    transport_free(node->transport); /* ends the open questions */
    node->transport = NULL;
    for (size_t i = 0; links->peers != NULL && i < node->peer_count * TRANSPORT_ASKED_MAX; i++) {
        struct open_question *question = &links->peers[i / TRANSPORT_ASKED_MAX].questions[i % TRANSPORT_ASKED_MAX];
        if (question->answered != NULL) hand_over(node, question);
    }
}

void node_links_free(struct node *node)
{
    struct links *links = node->links;
    if (links == NULL) return;
    for (size_t i = 0; i < links->served_count; i++) free(links->served[i]);
    for (size_t i = 0; links->peers != NULL && i < node->peer_count * TRANSPORT_ASKED_MAX; i++)
        cl_buffer_deinit(&links->peers[i / TRANSPORT_ASKED_MAX].questions[i % TRANSPORT_ASKED_MAX].payload);
    pthread_cond_destroy(&links->filled);
    pthread_mutex_destroy(&links->lock);
    free(links->peers);
    free(links);
    node->links = NULL;
}

size_t node_links_up(const struct node *node)
{
    size_t up = 0;
    for (size_t i = 0; node->transport != NULL && i < node->peer_count; i++) {
        struct transport_counters counters;
        if (i == node->own) continue;
        transport_count(node->transport, i, &counters);
        up += counters.connected;
    }
    return up;
}

void node_links_traffic(const struct node *node, struct node_traffic *out)
{
    *out = (struct node_traffic){ 0 };
    for (size_t i = 0; node->transport != NULL && i < node->peer_count; i++) {
        struct transport_counters counters;
        if (i == node->own) continue;
        transport_count(node->transport, i, &counters);
        out->sent_frames += counters.sent_frames;
        out->sent_bytes += counters.sent_bytes;
        out->received_frames += counters.received_frames;
        out->received_bytes += counters.received_bytes;
    }
}

uint64_t node_link_drops(const struct node *node, size_t peer)
{
    return node->links != NULL ? atomic_load(&node->links->peers[peer].dropped) : 0;
}

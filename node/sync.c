#include "sync.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum body { BODY_WANTED, BODY_ASKED, BODY_PART, BODY_THERE }; /* PART: some records, and nobody is asked for the rest */
struct header {
    struct cl_block_id id;
    struct cl_hash root_before, state_root;
    uint64_t view, parent_view, first_index, time_ms;
    uint32_t records, taken;      /* taken: of its records, from the first */
    size_t bytes;                 /* of those taken */
    size_t source;                /* the peer that sent them, or is asked for them */
    enum body body;
    struct cl_view offered;       /* while an answer is looked at: its certificate, not yet checked */
    uint8_t *certificate;         /* checked; NULL: a later one's proves it */
    size_t certificate_length;
};

/* A question to a peer. */
struct asked {
    bool open, headers;
    uint64_t generation;          /* of the plan, when it was asked */
    uint64_t asked_ms;
    struct frame_range_request request;
};
struct peer {
    uint64_t claimed, claimed_ms, wrong, unanswered, not_before_ms;
    unsigned failures, bans;      /* failures: in a row */
    bool wanted;                  /* consensus heard of a block that it has: ask at once */
    bool banned;                  /* not_before_ms is for a wrong answer */
    size_t open, open_max;        /* questions; as many as it answers in time */
    struct asked asked[SYNC_PEER_ASKED_MAX];
};

struct sync {
    struct sync_config config;
    struct cl_hash member_set;
    struct cl_tip tip;
    struct header headers[SYNC_HEADERS_MAX]; /* a ring: tip.height + 1 and following */
    size_t base, count, proven;   /* proven: so many, from the first, are known to be final */
    size_t run_peer;              /* who sent the headers beyond */
    size_t taken_bytes;
    size_t asked;                 /* questions open */
    size_t turn;
    uint64_t generation;
    uint64_t record_bytes;        /* a guess at how long the next records are */
    uint64_t answers, unanswered, wrong;
    struct cl_certificate *certificate; /* room to decode one */
    struct peer peers[];
};

static struct header *header_at(struct sync *s, size_t i)
{
    assert(i < SYNC_HEADERS_MAX);
    return &s->headers[(s->base + i) % SYNC_HEADERS_MAX];
}

static const struct header *header_of(const struct sync *s, size_t i)
{
    assert(i < SYNC_HEADERS_MAX);
    return &s->headers[(s->base + i) % SYNC_HEADERS_MAX];
}

static uint64_t height_of(const struct sync *s, size_t i) { return s->tip.height + 1 + i; }

enum cl_status sync_new(struct sync **out, const struct sync_config *config, const struct cl_tip *tip)
{
    struct sync *s = calloc(1, sizeof *s + config->peer_count * sizeof s->peers[0]);
    *out = NULL;
    if (s == NULL) return CL_E_MEMORY;
    s->config = *config;
    s->tip = *tip;
    s->record_bytes = 256;
    for (size_t i = 0; i < config->peer_count; i++) s->peers[i].open_max = 1;
    s->certificate = malloc(sizeof *s->certificate);
    enum cl_status status = s->certificate != NULL ? cl_member_set_hash(&s->member_set, config->members, config->member_count) : CL_E_MEMORY;
    if (status != CL_OK) {
        sync_free(s);
        return status;
    }
    *out = s;
    return CL_OK;
}

static void header_deinit(struct header *header)
{
    free(header->certificate);
    memset(header, 0, sizeof *header);
}

void sync_free(struct sync *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->count; i++) header_deinit(header_at(s, i));
    free(s->certificate);
    free(s);
}

/* ---- peers */
static uint64_t doubled(uint64_t first, uint64_t times, uint64_t maximum)
{
    for (; times > 0 && first < maximum; times--) first *= 2;
    return first < maximum ? first : maximum;
}

/* It did not answer, or not with what it says it has. What else was open to it says nothing new: one pause for all. */
static void note_failure(struct sync *s, size_t peer, uint64_t now_ms)
{
    struct peer *at = &s->peers[peer];
    at->unanswered++;
    s->unanswered++;
    at->open_max = 1;
    if (now_ms < at->not_before_ms) return;
    at->not_before_ms = now_ms + doubled(SYNC_PAUSE_MS, at->failures, SYNC_PAUSE_MS_MAX);
    at->banned = false;
    if (at->failures < 32) at->failures++;
}

static void note_wrong(struct sync *s, size_t peer, uint64_t now_ms)
{
    struct peer *at = &s->peers[peer];
    at->wrong++;
    s->wrong++;
    if (at->banned && now_ms < at->not_before_ms) return;
    at->not_before_ms = now_ms + doubled(SYNC_BAN_MS, at->bans, SYNC_BAN_MS_MAX);
    at->banned = true;
    if (at->bans < 32) at->bans++;
}

void sync_heard(struct sync *s, size_t peer, uint64_t height, uint64_t now_ms)
{
    assert(peer < s->config.peer_count);
    struct peer *at = &s->peers[peer];
    if (peer == s->config.own) return;
    if (at->claimed <= s->tip.height || at->claimed_ms > now_ms) at->claimed_ms = now_ms;
    at->claimed = height;
}

void sync_wanted(struct sync *s, size_t peer, uint64_t now_ms)
{
    assert(peer < s->config.peer_count);
    struct peer *at = &s->peers[peer];
    if (peer == s->config.own) return;
    if (at->claimed <= s->tip.height) sync_heard(s, peer, s->tip.height + 1, now_ms);
    at->wanted = true;
}

static bool may_ask(const struct sync *s, size_t peer, uint64_t now_ms)
{
    const struct peer *at = &s->peers[peer];
    return peer != s->config.own && at->open < at->open_max && now_ms >= at->not_before_ms;
}

/* Whoever may be asked for this height and has the fewest questions open, in turn; SIZE_MAX: nobody. */
static size_t peer_for(const struct sync *s, uint64_t height, uint64_t now_ms)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < s->config.peer_count; i++) {
        size_t peer = (s->turn + i) % s->config.peer_count;
        if (!may_ask(s, peer, now_ms) || s->peers[peer].claimed < height) continue;
        if (best == SIZE_MAX || s->peers[peer].open < s->peers[best].open) best = peer;
    }
    return best;
}

/* ---- the plan's ends */
static void forget(struct sync *s, size_t i)
{
    struct header *header = header_at(s, i);
    s->taken_bytes -= header->bytes;
    header->bytes = 0;
    header->taken = 0;
    if (header->records > 0) header->body = BODY_WANTED;
    if (header->records > 0) s->config.forget(s->config.context, height_of(s, i));
}

/* The headers from `keep` on are planned for no longer. */
static void cut(struct sync *s, size_t keep)
{
    for (; s->count > keep; s->count--) {
        if (header_at(s, s->count - 1)->taken > 0) forget(s, s->count - 1);
        header_deinit(header_at(s, s->count - 1));
    }
    if (s->proven > keep) {
        s->proven = keep;
        s->generation++; /* questions about them have lost their meaning */
    }
}

void sync_moved(struct sync *s, const struct cl_tip *tip)
{
    bool other = false;
    while (s->count > 0 && s->tip.height < tip->height) {
        struct header *header = header_at(s, 0);
        if (header->taken > 0) forget(s, 0);
        other = memcmp(header->id.bytes, tip->block.bytes, 32) != 0;
        header_deinit(header);
        s->base = (s->base + 1) % SYNC_HEADERS_MAX;
        s->count--;
        if (s->proven > 0) s->proven--;
        s->tip.height++;
    }
    if (s->tip.height != tip->height) other = false; /* the plan has come to its end before */
    s->tip = *tip;
    if (other) cut(s, 0); /* of another branch than the ledger took: not proven, or a quorum has lied */
    for (size_t i = 0; i < s->config.peer_count; i++)
        if (s->peers[i].claimed <= tip->height) s->peers[i].wanted = false;
}

/* ---- what to ask */
/* Is this peer far enough ahead, for long enough, to be asked for headers? */
static bool ahead(const struct sync *s, const struct peer *peer, uint64_t now_ms)
{
    if (peer->claimed <= height_of(s, s->count) - 1) return false;
    if (s->count > 0 || peer->wanted || s->config.observer) return true;
    return peer->claimed > s->tip.height + 1 && now_ms - peer->claimed_ms >= SYNC_PATIENCE_MS;
}

static void ask(struct sync *s, struct sync_question *question, size_t peer, const struct frame_range_request *request, bool headers, uint64_t now_ms)
{
    struct peer *at = &s->peers[peer];
    size_t number = 0;
    while (at->asked[number].open) number++;
    assert(number < SYNC_PEER_ASKED_MAX);
    at->asked[number] = (struct asked){ .open = true, .headers = headers, .generation = s->generation, .asked_ms = now_ms, .request = *request };
    at->wanted = at->wanted && !headers;
    at->open++;
    s->asked++;
    s->turn = peer + 1;
    *question = (struct sync_question){ peer, number, *request };
}

static bool headers_asked(const struct sync *s)
{
    for (size_t i = 0; i < s->config.peer_count * SYNC_PEER_ASKED_MAX; i++) {
        const struct asked *asked = &s->peers[i / SYNC_PEER_ASKED_MAX].asked[i % SYNC_PEER_ASKED_MAX];
        if (asked->open && asked->headers) return true;
    }
    return false;
}

/* Headers without a proof are of one peer, which has to bring it: otherwise it could not be told who is at fault. */
static bool next_headers(struct sync *s, struct sync_question *question, uint64_t now_ms)
{
    if (s->proven >= SYNC_HEADERS_LOW || headers_asked(s)) return false;
    if (s->count > s->proven) {
        const struct peer *run = &s->peers[s->run_peer];
        if (run->open >= run->open_max) return false;
        if (now_ms < run->not_before_ms || !ahead(s, run, now_ms)) cut(s, s->proven);
    }
    for (size_t i = 0; i < s->config.peer_count; i++) {
        size_t peer = (s->turn + i) % s->config.peer_count;
        if (s->count > s->proven && peer != s->run_peer) continue;
        if (!may_ask(s, peer, now_ms) || !ahead(s, &s->peers[peer], now_ms)) continue;
        struct frame_range_request request = { height_of(s, s->count), SYNC_HEADERS_MAX - s->count, CL_BLOCK_RECORDS_MAX };
        ask(s, question, peer, &request, true, now_ms);
        return true;
    }
    return false;
}

/* How many blocks from this one on, whose records nobody is asked for, will about fill an answer. */
static size_t bodies_for_one_answer(const struct sync *s, size_t first, uint64_t claimed)
{
    uint64_t bytes = 0;
    size_t count = 0;
    while (first + count < s->proven && height_of(s, first + count) <= claimed && (count == 0 || bytes < CL_FRAME_BYTES_MAX)) {
        const struct header *header = header_of(s, first + count);
        if (header->body == BODY_ASKED || header->body == BODY_PART || (header->body == BODY_THERE && header->records > 0)) break;
        bytes += 512 + header->records * s->record_bytes;
        count++;
    }
    return count;
}

static bool ask_bodies(struct sync *s, struct sync_question *question, size_t peer, size_t first, uint64_t now_ms)
{
    struct header *header = header_at(s, first);
    struct frame_range_request request = { height_of(s, first), 1, header->taken };
    if (header->taken == 0) request.count = bodies_for_one_answer(s, first, s->peers[peer].claimed);
    for (size_t i = 0; i < request.count; i++) {
        header = header_at(s, first + i);
        if (header->body == BODY_THERE) continue; /* without records */
        header->body = BODY_ASKED;
        header->source = peer;
    }
    ask(s, question, peer, &request, false, now_ms);
    return true;
}

static bool next_bodies(struct sync *s, struct sync_question *question, uint64_t now_ms)
{
    bool lowest = true;
    for (size_t i = 0; i < s->proven; i++) {
        struct header *header = header_at(s, i);
        if (header->body == BODY_THERE) continue;
        bool room = lowest || s->taken_bytes + (s->asked + 1) * CL_FRAME_BYTES_MAX <= SYNC_BODY_BYTES_MAX;
        lowest = false;
        if (!room) return false;
        if (header->body == BODY_ASKED) continue;
        if (header->body == BODY_PART) { /* who began goes on: then one peer answers for the whole block */
            if (may_ask(s, header->source, now_ms)) return ask_bodies(s, question, header->source, i, now_ms);
            if (s->peers[header->source].open > 0) continue;
            forget(s, i); /* it may not be asked now */
        }
        size_t peer = peer_for(s, height_of(s, i), now_ms);
        return peer != SIZE_MAX && ask_bodies(s, question, peer, i, now_ms);
    }
    return false;
}

bool sync_next(struct sync *s, struct sync_question *question, uint64_t now_ms)
{
    if (s->asked >= SYNC_ASKED_MAX) return false;
    return next_bodies(s, question, now_ms) || next_headers(s, question, now_ms); /* what is final already comes first */
}

uint64_t sync_wait_ms(const struct sync *s, uint64_t now_ms)
{
    uint64_t wait = UINT64_MAX;
    for (size_t i = 0; i < s->config.peer_count; i++) {
        const struct peer *peer = &s->peers[i];
        if (i == s->config.own || peer->open >= peer->open_max || peer->claimed <= s->tip.height) continue;
        uint64_t at = peer->not_before_ms;
        bool patient = s->count == 0 && !peer->wanted && !s->config.observer;
        if (patient && peer->claimed == s->tip.height + 1) continue;
        if (patient && peer->claimed_ms + SYNC_PATIENCE_MS > at) at = peer->claimed_ms + SYNC_PATIENCE_MS;
        if (at > now_ms && at - now_ms < wait) wait = at - now_ms;
    }
    return wait;
}

/* ---- answers: headers */
/* The block must follow the one before it, and its id must be what its state leaf and the log's root make. Views grow; a
   block's view stands under no hash, so its bound is the certificate's that proves it. */
static bool follows(struct sync *s, const struct cl_stored_block *block, const struct cl_hash *root_before, uint64_t *time_ms, struct cl_hash *state_root)
{
    struct cl_state_leaf leaf;
    struct cl_block_id id;
    const struct header *last = s->count > 0 ? header_of(s, s->count - 1) : NULL;
    uint64_t first_index = last != NULL ? last->first_index + last->records + 1 : s->tip.log_size;
    if (cl_state_leaf_decode(&leaf, block->state_leaf.data, block->state_leaf.length) != CL_OK) return false;
    *time_ms = leaf.time_ms;
    *state_root = leaf.state_root;
    cl_block_id_derive(&id, block->first_index + block->record_count, root_before, block->state_leaf.data, block->state_leaf.length);
    return memcmp(id.bytes, block->id.bytes, 32) == 0 && memcmp(leaf.network.bytes, s->config.network->bytes, 32) == 0 &&
           memcmp(leaf.previous.bytes, last != NULL ? last->id.bytes : s->tip.block.bytes, 32) == 0 &&
           memcmp(leaf.member_set.bytes, s->member_set.bytes, 32) == 0 && leaf.epoch == s->tip.epoch && block->epoch == leaf.epoch &&
           leaf.height == height_of(s, s->count) && leaf.time_ms > (last != NULL ? last->time_ms : s->tip.time_ms) &&
           block->first_index == first_index && block->record_count == leaf.record_count && block->parent_view < block->view &&
           (last == NULL || block->view > last->view);
}

static bool take_header(struct sync *s, struct cl_view bytes, const struct cl_hash *root_before)
{
    struct cl_stored_block block;
    struct cl_hash state_root;
    uint64_t time_ms;
    if (s->count == SYNC_HEADERS_MAX || cl_stored_block_decode(&block, bytes.data, bytes.length) != CL_OK || !follows(s, &block, root_before, &time_ms, &state_root)) return false;
    *header_at(s, s->count) = (struct header){ .id = block.id, .root_before = *root_before, .state_root = state_root, .view = block.view, .parent_view = block.parent_view, .first_index = block.first_index,
        .time_ms = time_ms, .records = (uint32_t)block.record_count, .body = block.record_count > 0 ? BODY_WANTED : BODY_THERE, .offered = block.certificate };
    s->count++;
    return true;
}

/* A quorum's finalization of this header's block: then all up to it are final. */
static enum cl_status prove(struct sync *s, size_t i)
{
    struct header *header = header_at(s, i);
    struct cl_view bytes = header->offered;
    if (cl_certificate_decode(s->certificate, bytes.data, bytes.length) != CL_OK || s->certificate->kind != CL_VOTE_FINALIZE ||
        !s->certificate->has_block || memcmp(s->certificate->block.bytes, header->id.bytes, 32) != 0 || s->certificate->view != header->view ||
        s->certificate->epoch != s->tip.epoch || header->view <= s->tip.view) return CL_E_CERTIFICATE;
    enum cl_status status = cl_certificate_check(s->certificate, s->config.network, s->config.members, s->config.member_count);
    if (status != CL_OK) return status;
    header->certificate = malloc(bytes.length);
    if (header->certificate == NULL) return CL_E_MEMORY;
    memcpy(header->certificate, bytes.data, bytes.length);
    header->certificate_length = bytes.length;
    s->proven = i + 1;
    return CL_OK;
}

/* Of certificates that follow each other closely not all are checked and kept; but never fewer than leave gaps of
   SYNC_CERTIFICATE_EVERY, or the sender's own where those are wider: others will want to catch up from here. */
static enum cl_status prove_run(struct sync *s)
{
    enum cl_status status = CL_OK;
    bool first = s->proven == 0;
    for (size_t i = s->proven, next; i < s->count && status == CL_OK; i = next) {
        for (next = i + 1; next < s->count && header_at(s, next)->offered.length == 0;) next++;
        if (header_at(s, i)->offered.length == 0) continue;
        if (!first && next < s->count && next + 1 - s->proven <= SYNC_CERTIFICATE_EVERY) continue;
        status = i - s->proven <= SYNC_UNPROVEN_MAX ? prove(s, i) : CL_E_BLOCK_INVALID; /* no correct node leaves such gaps */
        first = false;
    }
    for (size_t i = 0; i < s->count; i++) header_at(s, i)->offered = (struct cl_view){ NULL, 0 };
    return status;
}

static enum cl_status read_headers(struct sync *s, const struct frame_range_request *request, const struct frame *frame)
{
    struct frame_range_reader range;
    struct cl_view block;
    struct cl_hash root;
    frame_range_init(&range, frame);
    bool good = range.left <= request->count;
    while (good && frame_range_next(&range, &block, &root)) good = range.records.left == 0 && take_header(s, block, &root);
    enum cl_status status = good ? prove_run(s) : CL_E_BLOCK_INVALID;
    return status == CL_OK && s->count - s->proven > SYNC_UNPROVEN_MAX ? CL_E_BLOCK_INVALID : status; /* nobody has so many */
}

static enum cl_status take_headers(struct sync *s, size_t peer, const struct frame_range_request *request, const struct frame *frame, uint64_t now_ms)
{
    struct peer *at = &s->peers[peer];
    size_t count = s->count, proven = s->proven;
    if (request->first_height != height_of(s, count) || (count > proven && s->run_peer != peer)) return CL_OK; /* the plan has gone on without it */
    s->run_peer = peer;
    enum cl_status status = read_headers(s, request, frame);
    if (status != CL_OK) {
        cut(s, s->proven);
        if (status != CL_E_MEMORY) note_wrong(s, peer, now_ms);
        return status == CL_E_MEMORY ? status : CL_OK;
    }
    if (s->count == count) at->claimed = request->first_height - 1; /* it has no more, whatever it said */
    if (at->claimed < height_of(s, s->count) - 1 && s->count > count) at->claimed = height_of(s, s->count) - 1;
    if (s->proven > proven || (s->count > count && at->claimed >= height_of(s, s->count))) {
        at->failures = 0;
        s->answers++;
    } else {
        cut(s, s->proven);
        note_failure(s, peer, now_ms);
    }
    return CL_OK;
}

/* ---- answers: bodies */
/* The planned block at this height, if it is one that this peer is asked for. */
static struct header *asked_header(struct sync *s, size_t peer, uint64_t height)
{
    if (height <= s->tip.height || height - s->tip.height > s->proven) return NULL;
    struct header *header = header_at(s, (size_t)(height - s->tip.height - 1));
    return header->body == BODY_ASKED && header->source == peer ? header : NULL;
}

/* What was not delivered somebody may be asked for again; with `all` also the part that came before it. */
static void give_up(struct sync *s, size_t peer, const struct frame_range_request *request, bool all)
{
    for (uint64_t i = 0; i < request->count; i++) {
        struct header *header = asked_header(s, peer, request->first_height + i);
        if (header == NULL) continue;
        header->body = header->taken > 0 ? BODY_PART : BODY_WANTED;
        if (all && header->taken > 0) forget(s, (size_t)(request->first_height + i - s->tip.height - 1));
    }
}

/* One block of an answer: which it is, and that it has no more records than are missing, nor more bytes than a block may. */
static bool take_body(struct sync *s, struct header *header, struct cl_view stored, struct frame_items *records, bool only)
{
    struct cl_stored_block block;
    struct cl_view record;
    size_t bytes = 0, count = records->left;
    if (cl_stored_block_decode(&block, stored.data, stored.length) != CL_OK || memcmp(block.id.bytes, header->id.bytes, 32) != 0) return false;
    if (count > header->records - header->taken || (count < header->records - header->taken && (!only || count == 0))) return false;
    while (frame_items_next(records, &record)) bytes += record.length;
    if (header->bytes + bytes > s->config.block_bytes_max) return false;
    header->taken += (uint32_t)count;
    header->bytes += bytes;
    s->taken_bytes += bytes;
    if (count > 0) s->record_bytes = (s->record_bytes + bytes / count + 1) / 2;
    header->body = header->taken == header->records ? BODY_THERE : BODY_PART;
    return true;
}

static void take_bodies(struct sync *s, struct sync_taken *taken, size_t peer, const struct frame_range_request *request, const struct frame *frame, uint64_t now_ms)
{
    struct peer *at = &s->peers[peer];
    struct frame_range_reader range;
    struct cl_view block;
    struct cl_hash root;
    *taken = (struct sync_taken){ request->first_height, 0, request->skip };
    frame_range_init(&range, frame);
    size_t count = range.left;
    bool good = count <= request->count, current = true;
    while (good && current && frame_range_next(&range, &block, &root)) {
        uint64_t height = request->first_height + taken->blocks;
        struct header *header = asked_header(s, peer, height);
        bool empty = height > s->tip.height && height - s->tip.height <= s->proven && header_of(s, (size_t)(height - s->tip.height - 1))->records == 0;
        current = header != NULL || empty; /* otherwise the ledger has it meanwhile */
        if (header != NULL) good = take_body(s, header, block, &range.records, count == 1);
        if (good && current) taken->blocks++;
    }
    give_up(s, peer, request, !good);
    if (good && (count > 0 || !current)) {
        at->failures = 0;
        s->answers++;
    } else if (good) { /* it does not have the block */
        note_failure(s, peer, now_ms);
    } else {
        note_wrong(s, peer, now_ms);
    }
}

/* Closes the question. Out: what it was. */
static struct asked close_question(struct sync *s, size_t peer, size_t number)
{
    assert(peer < s->config.peer_count && number < SYNC_PEER_ASKED_MAX);
    struct peer *at = &s->peers[peer];
    assert(at->asked[number].open && at->open > 0 && s->asked > 0);
    at->asked[number].open = false;
    at->open--;
    s->asked--;
    return at->asked[number];
}

/* Over a slow link each answer waits for those before it: none is to run into its limit for that. */
static void fit_to_pace(struct peer *peer, uint64_t took_ms)
{
    if (took_ms <= SYNC_QUICK_MS && peer->open_max < SYNC_PEER_ASKED_MAX) peer->open_max++;
    if (took_ms > 2 * SYNC_QUICK_MS && peer->open_max > 1) peer->open_max /= 2;
}

enum cl_status sync_answered(struct sync *s, struct sync_taken *taken, size_t peer, size_t number, const struct frame *frame, uint64_t now_ms)
{
    const struct asked asked = close_question(s, peer, number);
    bool current = asked.generation == s->generation;
    *taken = (struct sync_taken){ 0, 0, 0 };
    if (frame == NULL) {
        note_failure(s, peer, now_ms);
        if (current && !asked.headers) give_up(s, peer, &asked.request, true);
        if (current && asked.headers && s->run_peer == peer) cut(s, s->proven);
        return CL_OK;
    }
    fit_to_pace(&s->peers[peer], now_ms - asked.asked_ms);
    if (!current) return CL_OK;
    if (frame->kind != FRAME_RANGE) {
        if (!asked.headers) give_up(s, peer, &asked.request, true);
        note_wrong(s, peer, now_ms);
        return CL_OK;
    }
    if (asked.headers) return take_headers(s, peer, &asked.request, frame, now_ms);
    take_bodies(s, taken, peer, &asked.request, frame, now_ms);
    return CL_OK;
}

void sync_put_off(struct sync *s, size_t peer, size_t number, uint64_t until_ms)
{
    const struct asked asked = close_question(s, peer, number);
    s->peers[peer].not_before_ms = until_ms;
    if (asked.generation == s->generation && !asked.headers) give_up(s, peer, &asked.request, false);
}

/* ---- what came of it */
bool sync_block(const struct sync *s, size_t further, struct sync_block *out)
{
    if (further >= s->proven) return false;
    for (size_t i = 0; i <= further; i++)
        if (header_of(s, i)->body != BODY_THERE) return false;
    const struct header *header = header_of(s, further);
    *out = (struct sync_block){ .height = height_of(s, further), .view = header->view, .parent_view = header->parent_view, .time_ms = header->time_ms,
        .records = header->records, .id = header->id, .root_before = header->root_before, .state_root = header->state_root, .parent = further > 0 ? header_of(s, further - 1)->id : s->tip.block,
        .certificate = { header->certificate, header->certificate_length } };
    return true;
}

bool sync_coming(const struct sync *s, size_t further)
{
    const struct header *header = further < s->proven ? header_of(s, further) : NULL;
    return header != NULL && (header->body == BODY_ASKED || (header->body == BODY_THERE && header->records > 0));
}

uint32_t sync_records(const struct sync *s, uint64_t height)
{
    assert(height > s->tip.height && height - s->tip.height <= s->proven);
    return header_of(s, (size_t)(height - s->tip.height - 1))->records;
}

void sync_refuse(struct sync *s, uint64_t height, uint64_t now_ms)
{
    assert(height > s->tip.height && height - s->tip.height <= s->proven);
    size_t i = (size_t)(height - s->tip.height - 1);
    assert(header_of(s, i)->body == BODY_THERE && header_of(s, i)->records > 0);
    note_wrong(s, header_of(s, i)->source, now_ms);
    forget(s, i);
}

void sync_report(const struct sync *s, struct sync_report *out, uint64_t now_ms)
{
    *out = (struct sync_report){ .behind = s->proven > 0, .height = s->tip.height, .proven = s->tip.height + s->proven, .claimed = s->tip.height + s->proven,
        .answers = s->answers, .unanswered = s->unanswered, .wrong = s->wrong };
    for (size_t i = 0; i < s->config.peer_count; i++) {
        const struct peer *peer = &s->peers[i];
        if (peer->claimed > out->claimed && !(peer->banned && now_ms < peer->not_before_ms)) out->claimed = peer->claimed;
    }
}

void sync_peer_report(const struct sync *s, size_t peer, struct sync_peer_report *out, uint64_t now_ms)
{
    assert(peer < s->config.peer_count);
    const struct peer *at = &s->peers[peer];
    *out = (struct sync_peer_report){ .claimed = at->claimed, .wrong = at->wrong, .unanswered = at->unanswered,
        .asked_again_in_ms = at->not_before_ms > now_ms ? at->not_before_ms - now_ms : 0 };
}

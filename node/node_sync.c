/* Catching up by height, carried out: questions go out by links, records of blocks that are known to be final go through
   the signature workers, and each block is evaluated and committed in turn, while the next one is being made ready. Also
   the other side: this node says how high it is, and serves ranges from snapshots.

   Audited (the default): every signature is checked and every rule applied, as by those who proposed the blocks. Certified:
   signatures are only decoded, because a quorum signed for the blocks that hold them. Blocks that follow each other are then
   one candidate: rules are applied, and each block's id must come out of its records, times and what its state leaf says, but
   the state's root is computed, and must be equal, at the last of them only, which a certificate proves to rest on the others;
   all are in one write. */
#include "node_private.h"

#include "logging.h"
#include "sync.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(SYNC_PEER_ASKED_MAX < TRANSPORT_ASKED_MAX, "other questions find room while this node catches up");
#define PART_BYTES_MAX 524288u  /* of records in one batch for the workers */
#define TURN_MS 5u              /* then the owner sees to everything else first, answers with the next records too */
#define STATUS_MS 1000u         /* at most so often this node says how high it is */
#define SWEEP_MS 1000u
#define LOG_MS 10000u
#define RUN_BLOCKS_MAX 256u     /* blocks in one candidate, and */
#define RUN_ENTRIES NODE_BLOCK_ENTRIES /* no further one where they have so many entries already */
#define RUN_RECORDS 8192u       /* no further one where they have so many records; for fewer it waits, where more are on their way, */
#define RUN_BACKLOG (3 * RUN_RECORDS) /* and to begin with for so many, so that there is a next run while one is being written */
#define WARM_RECORDS 16u         /* looked up in memory together */
#define BUSY_MS 100u            /* a peer that was just asked something else is asked again after that */

/* Records of one block on their way: those that the workers are done with stand in their places. */
struct sync_body {
    uint64_t generation;          /* 0: nothing is here */
    struct cl_ledger_record **records;
    struct cl_leaf_hash *undecoded; /* NULL until there is one: leaf hashes of what is no record */
    uint32_t count, arrived, bad_at;
    enum cl_status bad;           /* the first fault among them */
};
/* Whose records a batch holds. */
struct sync_part { struct { uint64_t height, generation; uint32_t number; } items[VERIFY_BATCH_MAX]; };

/* Blocks that are committed together. */
struct sync_run {
    struct pending_block made;    /* the last of them, and the candidate of all; NULL: there is none */
    struct cl_block_id parent;    /* of the first */
    size_t blocks;
};

struct catching_up {
    struct sync *plan;
    struct sync_body bodies[SYNC_HEADERS_MAX]; /* by height; the plan spans no more */
    uint64_t generation;
    const struct sync_run *committing; /* while they are being written */
    struct sync_run ahead;            /* evaluated on them meanwhile */
    uint64_t singly_to;               /* up to this height one block at a time: in a run of several something was wrong */
    struct cl_block_id untold[SYNC_UNPROVEN_MAX]; /* committed since consensus heard last */
    size_t untold_count;
    uint64_t said_height, said_ms, looked_ms, links_up[CL_MEMBERS_MAX];
    uint64_t swept_ms;                /* an observer's pool */
    uint64_t logged_ms, logged_records, records; /* records: caught up since the start */
};

static struct sync_body *body_at(struct catching_up *sync, uint64_t height) { return &sync->bodies[height % SYNC_HEADERS_MAX]; }

static void forget(void *context, uint64_t height)
{
    struct catching_up *sync = context;
    struct sync_body *body = body_at(sync, height);
    for (uint32_t i = 0; body->records != NULL && i < body->count; i++)
        if (body->records[i] != NULL) cl_ledger_record_unref(body->records[i]);
    free(body->records);
    free(body->undecoded);
    memset(body, 0, sizeof *body);
}

enum cl_status node_sync_new(struct node *node)
{
    struct cl_tip tip;
    struct catching_up *sync = calloc(1, sizeof *sync);
    if (sync == NULL) return CL_E_MEMORY;
    cl_ledger_tip(node->ledger, &tip);
    const struct cl_network *network = &node->genesis.core.value;
    struct sync_config config = { .network = &node->genesis.core.network, .members = network->members, .member_count = network->member_count,
        .peer_count = node->peer_count, .own = node->own, .observer = node->own >= network->member_count,
        .block_bytes_max = network->parameters.block_bytes_max < CL_BLOCK_BYTES_MAX ? network->parameters.block_bytes_max : CL_BLOCK_BYTES_MAX,
        .context = sync, .forget = forget };
    enum cl_status status = sync_new(&sync->plan, &config, &tip);
    if (status == CL_OK) node->sync = sync;
    else free(sync);
    return status;
}

void node_sync_free(struct node *node)
{
    struct catching_up *sync = node->sync;
    if (sync == NULL) return;
    for (uint64_t i = 0; i < SYNC_HEADERS_MAX; i++) forget(sync, i);
    node_pending_deinit(&sync->ahead.made);
    sync_free(sync->plan);
    free(sync);
    node->sync = NULL;
}

/* ---- answers: records to the workers */
struct sorting { struct node *node; struct cl_view records[VERIFY_BATCH_MAX]; struct sync_part part; size_t count, bytes; };

static enum cl_status hand_to_workers(struct sorting *sorting)
{
    struct node *node = sorting->node;
    size_t at = 0;
    if (sorting->count == 0) return CL_OK;
    struct verify_batch *batch = verify_batch_new(sorting->bytes);
    struct sync_part *part = malloc(sizeof *part);
    if (batch == NULL || part == NULL) {
        verify_batch_free(batch);
        free(part);
        return CL_E_MEMORY;
    }
    *part = sorting->part;
    batch->part = part;
    batch->trusted = node->options.config.sync_certified != 0;
    batch->source = (uint32_t)node->own;
    batch->count = sorting->count;
    batch->byte_count = sorting->bytes;
    for (size_t i = 0; i < sorting->count; at += sorting->records[i++].length) {
        memcpy(batch->arena + at, sorting->records[i].data, sorting->records[i].length);
        batch->items[i].bytes = (struct cl_view){ batch->arena + at, sorting->records[i].length };
    }
    sorting->count = sorting->bytes = 0;
    verify_pool_put(node->verify_pool, batch);
    return CL_OK;
}

static enum cl_status begin_body(struct catching_up *sync, struct sync_body *body, uint64_t height)
{
    body->count = sync_records(sync->plan, height);
    body->records = calloc(body->count, sizeof(struct cl_ledger_record *));
    if (body->records == NULL) return CL_E_MEMORY;
    body->generation = ++sync->generation;
    return CL_OK;
}

static enum cl_status sort_block(struct sorting *sorting, uint64_t height, uint32_t number, struct frame_items *records)
{
    struct catching_up *sync = sorting->node->sync;
    struct sync_body *body = body_at(sync, height);
    enum cl_status status = CL_OK;
    if (body->generation == 0 && records->left > 0) status = begin_body(sync, body, height);
    for (struct cl_view record; status == CL_OK && frame_items_next(records, &record); number++) {
        if (sorting->count == VERIFY_BATCH_MAX || (sorting->count > 0 && sorting->bytes + record.length > PART_BYTES_MAX)) status = hand_to_workers(sorting);
        assert(number < body->count);
        sorting->part.items[sorting->count].height = height;
        sorting->part.items[sorting->count].generation = body->generation;
        sorting->part.items[sorting->count].number = number;
        sorting->records[sorting->count++] = record;
        sorting->bytes += record.length;
    }
    return status;
}

static void sort_range(struct node *node, const struct frame *frame, const struct sync_taken *taken)
{
    struct frame_range_reader range;
    struct cl_view stored;
    struct cl_hash root;
    enum cl_status status = CL_E_MEMORY;
    struct sorting *sorting = calloc(1, sizeof *sorting);
    if (sorting != NULL) {
        sorting->node = node;
        status = CL_OK;
    }
    frame_range_init(&range, frame);
    for (size_t i = 0; i < taken->blocks && status == CL_OK; i++) {
        if (!frame_range_next(&range, &stored, &root)) break;
        status = sort_block(sorting, taken->first_height + i, (uint32_t)taken->skipped, &range.records);
    }
    if (status == CL_OK) status = hand_to_workers(sorting);
    free(sorting);
    if (status != CL_OK) node_fail(node, status, "Records that were caught up could not be kept: %s", cl_status_sentence(status));
}

static void on_range(struct node *node, void *context, size_t peer, enum transport_outcome outcome, const struct frame *frame)
{
    struct sync_taken taken;
    (void)outcome;
    enum cl_status status = sync_answered(node->sync->plan, &taken, peer, (size_t)(uintptr_t)context, frame, node_monotonic_ms());
    if (status != CL_OK) node_fail(node, status, "An answer to catch up with could not be read: %s", cl_status_sentence(status));
    else if (taken.blocks > 0) sort_range(node, frame, &taken);
}

void node_sync_take(struct node *node, struct verify_batch *batch)
{
    struct catching_up *sync = node->sync;
    for (size_t i = 0; i < batch->count; i++) {
        struct verify_item *item = &batch->items[i];
        uint32_t number = batch->part->items[i].number;
        struct sync_body *body = body_at(sync, batch->part->items[i].height);
        if (body->generation == 0 || body->generation != batch->part->items[i].generation) continue; /* forgotten meanwhile */
        body->arrived++;
        body->records[number] = item->record;
        item->record = NULL;
        if (item->status == CL_OK) continue;
        if (body->bad == CL_OK) {
            body->bad = item->status;
            body->bad_at = number;
        }
        if (body->records[number] != NULL) continue;
        if (body->undecoded == NULL) body->undecoded = calloc(body->count, sizeof *body->undecoded);
        if (body->undecoded == NULL) node_fail(node, CL_E_MEMORY, "Records that were caught up could not be kept: %s", cl_status_sentence(CL_E_MEMORY));
        else cl_log_leaf_hash(&body->undecoded[number], item->bytes.data, item->bytes.length);
    }
    free(batch->part);
}

/* ---- blocks to the ledger */
/* The block further from the tip, if all of its records are here and were looked at. */
static bool ready_block(struct catching_up *sync, size_t further, struct sync_block *block)
{
    if (!sync_block(sync->plan, further, block)) return false;
    return block->records == 0 || body_at(sync, block->height)->arrived == block->records;
}

/* How many blocks, from this one on, become one candidate: all that are ready up to one with a certificate of its own. */
static size_t run_length(struct node *node, size_t further)
{
    struct catching_up *sync = node->sync;
    struct sync_block block;
    uint64_t entries = 0, records = 0;
    size_t count = 0;
    while (count < RUN_BLOCKS_MAX && entries < RUN_ENTRIES && records < RUN_RECORDS && ready_block(sync, further + count, &block)) {
        const struct sync_body *body = body_at(sync, block.height);
        count++;
        if (!node->options.config.sync_certified || block.height <= sync->singly_to || block.certificate.length > 0 || body->bad != CL_OK) break;
        records += block.records;
        for (uint32_t i = 0; i < block.records; i++) entries += body->records[i]->record.entry_count;
    }
    return count;
}

/* Is it better to wait until so many records of the blocks from this one on are here? */
static bool would_grow(struct node *node, size_t further, uint64_t wanted)
{
    struct sync_block block;
    uint64_t records = 0;
    size_t count = 0;
    if (!node->options.config.sync_certified) return false;
    for (; count < RUN_BLOCKS_MAX && ready_block(node->sync, further + count, &block); count++) {
        records += block.records;
        if (records >= wanted || block.certificate.length > 0 || block.height <= node->sync->singly_to) return false;
    }
    return count < RUN_BLOCKS_MAX && sync_coming(node->sync->plan, further + count);
}

static enum cl_status add_records(struct node *node, struct cl_candidate *candidate, const struct sync_block *block)
{
    const struct sync_body *body = body_at(node->sync, block->height);
    enum cl_status status = body->bad == CL_OK ? CL_OK : CL_E_BLOCK_INVALID;
    for (uint32_t i = 0; i < block->records && status == CL_OK; i++) {
        if (i % WARM_RECORDS == 0) cl_candidate_warm(candidate, body->records + i, block->records - i < WARM_RECORDS ? block->records - i : WARM_RECORDS);
        status = cl_candidate_add(candidate, body->records[i], NULL);
    }
    return status;
}

/* Out: *block, the last of them. */
static enum cl_status add_blocks(struct node *node, struct sync_run *run, size_t further, struct sync_block *block)
{
    struct cl_candidate *candidate = run->made.candidate;
    enum cl_status status = add_records(node, candidate, block);
    for (size_t i = 1; i < run->blocks && status == CL_OK; i++) {
        const struct cl_believed_block believed = { .id = block->id, .state_root = block->state_root, .view = block->view, .parent_view = block->parent_view };
        if (!sync_block(node->sync->plan, further + i, block)) return CL_E_BLOCK_INVALID;
        status = cl_candidate_next_block(candidate, &believed, block->time_ms);
        if (status == CL_OK) status = add_records(node, candidate, block);
    }
    return status;
}

/* The blocks from this one on that are ready and may be taken together, on their parent: NULL, the tip.
   CL_E_BLOCK_INVALID: one of them is not the block that it should be. */
static enum cl_status evaluate(struct node *node, size_t further, struct cl_candidate *parent, struct sync_run *run)
{
    struct sync_block block;
    struct pending_block *made = &run->made;
    *run = (struct sync_run){ .blocks = 1 };
    if (!sync_block(node->sync->plan, further, &block)) return CL_E_BLOCK_INVALID;
    run->parent = block.parent;
    enum cl_status status = CL_OK;
    if (parent != NULL || !node_order_adopt(node, &block.id, &made->candidate, &made->summary)) {
        run->blocks = run_length(node, further);
        status = cl_candidate_new(&made->candidate, node->ledger, parent, block.time_ms);
        if (status == CL_OK) status = add_blocks(node, run, further, &block);
        if (status == CL_OK) status = cl_candidate_seal(made->candidate, &made->summary);
        if (status == CL_OK && memcmp(made->summary.id.bytes, block.id.bytes, 32) != 0) status = CL_E_BLOCK_INVALID;
    }
    made->block = (struct order_block){ .id = block.id, .parent = block.parent, .view = block.view, .parent_view = block.parent_view };
    if (status == CL_OK) return CL_OK;
    node_pending_deinit(made);
    return status_is_fatal(status) ? status : CL_E_BLOCK_INVALID;
}

/* Are these the records that the id commits to? */
static bool are_the_blocks(struct node *node, const struct sync_block *block)
{
    const struct sync_body *body = body_at(node->sync, block->height);
    struct cl_log_frontier frontier;
    struct cl_hash root;
    cl_ledger_frontier(node->ledger, &frontier);
    for (uint32_t i = 0; i < block->records; i++)
        cl_log_frontier_append(&frontier, body->records[i] != NULL ? &body->records[i]->record.leaf_hash : &body->undecoded[i]);
    cl_log_frontier_root(&root, &frontier);
    return memcmp(root.bytes, block->root_before.bytes, 32) == 0;
}

/* Whoever sent other records is at fault, and others are asked. But where these are the records, a quorum has made a block
   final that this node finds wrong: it neither follows nor goes on without the others. */
static enum cl_status judge(struct node *node, const struct sync_block *block)
{
    const struct sync_body *body = body_at(node->sync, block->height);
    if (are_the_blocks(node, block)) {
        const char *why = body->bad != CL_OK ? cl_status_sentence(body->bad) : "its records break a rule, or give another state than its id says.";
        return node_fail(node, CL_E_BLOCK_INVALID, "Block %llu is final by the votes of a quorum, but does not hold: %s Compare versions with the other members before anything else.",
                         (unsigned long long)block->height, why);
    }
    log_line(LOG_LEVEL_WARNING, "sync_bad_records", "height=%llu", (unsigned long long)block->height);
    sync_refuse(node->sync->plan, block->height, node_monotonic_ms());
    return CL_OK;
}

void node_sync_prepare(struct node *node)
{
    struct catching_up *sync = node->sync;
    struct sync_block block;
    if (sync->committing == NULL || !ready_block(sync, sync->committing->blocks, &block) || would_grow(node, sync->committing->blocks, RUN_RECORDS)) return;
    const struct pending_block *pending = node_pending_find(node, &block.id);
    if (pending != NULL && pending->candidate != NULL) return; /* it will be adopted */
    if (evaluate(node, sync->committing->blocks, sync->committing->made.candidate, &sync->ahead) != CL_OK) node_pending_deinit(&sync->ahead.made); /* what is wrong shows when its turn comes */
}

static void unpin(struct node *node, const struct cl_candidate *candidate)
{
    for (size_t i = 0; i < cl_candidate_count(candidate) && pool_count(node->pinned) > 0; i++) {
        struct pool_entry *entry = pool_find_leaf(node->pinned, &cl_candidate_record(candidate, i)->record.leaf_hash);
        if (entry != NULL) pool_remove(node->pinned, entry);
    }
}

/* Consensus hears of blocks with a certificate, and until then is not asked about those below. */
static enum cl_status tell(struct node *node, const struct sync_run *run, const struct cl_certificate *certificate)
{
    struct catching_up *sync = node->sync;
    struct sync_block block;
    struct cl_tip tip;
    for (size_t i = 0; i < run->blocks && certificate == NULL; i++) {
        assert(sync->untold_count < sizeof sync->untold / sizeof sync->untold[0]);
        if (sync_block(sync->plan, i, &block)) sync->untold[sync->untold_count++] = block.id;
    }
    cl_ledger_tip(node->ledger, &tip);
    sync_moved(sync->plan, &tip);
    if (certificate == NULL) {
        node_pending_settle(node);
        return CL_OK;
    }
    sync->untold_count = 0;
    return node_order_final(node, &run->made.block, certificate);
}

static enum cl_status commit(struct node *node, struct sync_run *run)
{
    struct catching_up *sync = node->sync;
    struct cl_certificate *certificate = NULL;
    struct sync_block last;
    enum cl_status status = CL_OK;
    if (sync_block(sync->plan, run->blocks - 1, &last) && last.certificate.length > 0) {
        certificate = malloc(sizeof *certificate);
        status = certificate != NULL ? cl_certificate_decode(certificate, last.certificate.data, last.certificate.length) : CL_E_MEMORY;
        if (status != CL_OK) status = node_fail(node, status, "A certificate could not be kept: %s", cl_status_sentence(status));
    }
    node_admit_waiting(node); /* for the blocks that are made ready meanwhile */
    sync->committing = run;
    if (status == CL_OK) status = node_commit(node, &run->made, certificate);
    sync->committing = NULL;
    if (status == CL_OK) {
        sync->records += cl_candidate_count(run->made.candidate);
        if (sync->ahead.made.candidate != NULL) cl_candidate_drop_parent(sync->ahead.made.candidate);
        unpin(node, run->made.candidate);
        status = tell(node, run, certificate);
    }
    free(certificate);
    return status;
}

static bool was_made_ready(const struct sync_run *run, const struct sync_block *first)
{
    return run->made.candidate != NULL && memcmp(run->parent.bytes, first->parent.bytes, 32) == 0;
}

/* Commits the next block, or the next ones, if they are there. Returns: whether there was one. */
static bool advance(struct node *node)
{
    struct catching_up *sync = node->sync;
    struct sync_block block, last;
    struct cl_tip tip;
    struct sync_run run = sync->ahead;
    sync->ahead.made.candidate = NULL;
    cl_ledger_tip(node->ledger, &tip);
    sync_moved(sync->plan, &tip); /* agreement, told of the block before, may have made further ones final at once */
    bool ready = ready_block(sync, 0, &block);
    bool fits = ready && was_made_ready(&run, &block) && sync_block(sync->plan, run.blocks - 1, &last) && memcmp(run.made.block.id.bytes, last.id.bytes, 32) == 0;
    enum cl_status status = CL_OK;
    if (!fits) {
        node_pending_deinit(&run.made);
        if (!ready || would_grow(node, 0, RUN_BACKLOG)) return false;
        status = evaluate(node, 0, NULL, &run);
        if (status == CL_E_BLOCK_INVALID && run.blocks > 1) { /* which of them? */
            sync->singly_to = block.height + run.blocks - 1;
            status = evaluate(node, 0, NULL, &run);
        }
    }
    if (status == CL_OK) status = commit(node, &run);
    else if (status == CL_E_BLOCK_INVALID) status = judge(node, &block);
    else node_fail(node, status, "A caught-up block could not be evaluated: %s", cl_status_sentence(status));
    node_pending_deinit(&run.made);
    return status == CL_OK;
}

bool node_sync_committed(const struct node *node, const struct cl_block_id *id)
{
    for (size_t i = 0; node->sync != NULL && i < node->sync->untold_count; i++)
        if (memcmp(node->sync->untold[i].bytes, id->bytes, 32) == 0) return true;
    return false;
}

/* ---- who is how high */
void node_on_status(struct node *node, size_t peer, const struct frame *frame)
{
    struct frame_status status;
    if (frame_status_decode(&status, frame->payload) == CL_OK) sync_heard(node->sync->plan, peer, status.height, node_monotonic_ms());
}

void node_sync_hint(struct node *node, size_t peer, uint64_t view)
{
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    if (view > tip.view) sync_wanted(node->sync->plan, peer, node_monotonic_ms());
}

void node_sync_lacks(struct node *node, uint64_t view)
{
    for (size_t i = 0; i < node->peer_count; i++)
        if (i != node->own) node_sync_hint(node, i, view);
}

static void say_height(struct node *node, size_t peer)
{
    struct cl_buffer payload = { 0 };
    struct frame_status status = { .height = atomic_load(&node->counters.height), .view = node->current_view, .final_view = atomic_load(&node->counters.view) };
    if (frame_status_encode(&payload, &status) == CL_OK) node_send(node, peer, LANE_ANNOUNCEMENTS, FRAME_STATUS, &payload);
    cl_buffer_deinit(&payload);
}

/* To a peer whose link came up; to all after commits, at most once a second; to nobody when nothing has changed. */
static uint64_t say_heights(struct node *node, uint64_t now_ms)
{
    struct catching_up *sync = node->sync;
    uint64_t height = atomic_load(&node->counters.height);
    if (now_ms - sync->looked_ms >= STATUS_MS) {
        sync->looked_ms = now_ms;
        for (size_t i = 0; i < node->peer_count; i++) {
            struct transport_counters link;
            if (i == node->own) continue;
            transport_count(node->transport, i, &link);
            if (link.connects == sync->links_up[i]) continue;
            sync->links_up[i] = link.connects;
            say_height(node, i);
        }
    }
    if (height == sync->said_height) return UINT64_MAX;
    if (now_ms - sync->said_ms < STATUS_MS) return STATUS_MS - (now_ms - sync->said_ms);
    sync->said_height = height;
    sync->said_ms = now_ms;
    say_height(node, TRANSPORT_ALL);
    return UINT64_MAX;
}

/* ---- rounds */
static void ask_peers(struct node *node, uint64_t now_ms)
{
    struct sync_question question;
    struct cl_buffer payload = { 0 };
    while (sync_next(node->sync->plan, &question, now_ms)) {
        payload.length = 0;
        enum cl_status status = frame_range_request_encode(&payload, &question.request);
        if (status == CL_OK) status = node_ask(node, question.peer, FRAME_RANGE_REQUEST, &payload, SYNC_LIMIT_MS, on_range, (void *)(uintptr_t)question.number);
        if (status != CL_OK) sync_put_off(node->sync->plan, question.peer, question.number, now_ms + BUSY_MS);
    }
    cl_buffer_deinit(&payload);
}

static void log_progress(struct node *node, const struct sync_report *report, const char *event)
{
    log_line(LOG_LEVEL_INFO, event, "height=%llu final=%llu claimed=%llu records=%llu records_per_s=%llu wrong_answers=%llu", (unsigned long long)report->height,
             (unsigned long long)report->proven, (unsigned long long)report->claimed, (unsigned long long)node->sync->records,
             (unsigned long long)atomic_load(&node->counters.sync_records_per_s), (unsigned long long)report->wrong);
}

static void publish(struct node *node, uint64_t now_ms)
{
    struct catching_up *sync = node->sync;
    struct sync_report report;
    sync_report(sync->plan, &report, now_ms);
    bool began = report.behind && !node->catching_up, ended = !report.behind && node->catching_up, due = report.behind && now_ms - sync->logged_ms >= LOG_MS;
    node->catching_up = report.behind;
    if ((due || ended) && now_ms > sync->logged_ms)
        atomic_store(&node->counters.sync_records_per_s, (sync->records - sync->logged_records) * 1000 / (now_ms - sync->logged_ms));
    if (began || due || ended) {
        sync->logged_ms = now_ms;
        sync->logged_records = sync->records;
    }
    atomic_store(&node->counters.sync_behind, report.behind);
    atomic_store(&node->counters.sync_proven, report.proven);
    atomic_store(&node->counters.sync_claimed, report.claimed);
    atomic_store(&node->counters.sync_records, sync->records);
    atomic_store(&node->counters.sync_wrong, report.wrong);
    atomic_store(&node->counters.sync_unanswered, report.unanswered);
    if (due) log_progress(node, &report, "catching_up");
    if (ended) atomic_store(&node->counters.sync_records_per_s, 0);
}

uint64_t node_sync_round(struct node *node, uint64_t now_ms)
{
    struct catching_up *sync = node->sync;
    struct cl_tip tip;
    uint64_t began = node_monotonic_ms();
    bool more = true;
    cl_ledger_tip(node->ledger, &tip);
    sync_moved(sync->plan, &tip);
    ask_peers(node, now_ms);
    publish(node, now_ms); /* before anything is committed: what is signed depends on it */
    while (more && node_monotonic_ms() - began < TURN_MS && !atomic_load(&node->failed)) {
        more = advance(node);
        if (more) ask_peers(node, node_monotonic_ms());
    }
    publish(node, node_monotonic_ms());
    if (node->consensus == NULL && node->own >= node->genesis.core.value.member_count && !node->catching_up && now_ms - sync->swept_ms >= SWEEP_MS) {
        sync->swept_ms = now_ms;
        node_sweep_pool(node);
    }
    uint64_t said = say_heights(node, now_ms), wait = sync_wait_ms(sync->plan, now_ms);
    if (more) return 0;
    return said < wait ? said : wait;
}

/* ---- the other side */
void node_serve_range(struct node *node, size_t peer, const struct frame *frame, struct transport_question *question)
{
    struct frame_range_request request;
    struct cl_ledger_view *view = NULL;
    struct cl_buffer payload = { 0 };
    enum cl_status status = frame_range_request_decode(&request, frame->payload);
    if (status == CL_OK) status = cl_ledger_view_new(&view, node->ledger);
    if (status == CL_OK) status = sync_serve(&payload, view, &request);
    if (status == CL_OK) status = transport_answer(question, FRAME_RANGE, payload.data, payload.length);
    if (status != CL_OK) {
        log_line(LOG_LEVEL_WARNING, "range_not_served", "peer=%zu code=%s", peer, cl_status_code(status));
        transport_decline(question);
    }
    cl_ledger_view_free(view);
    cl_buffer_deinit(&payload);
}

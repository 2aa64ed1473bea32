/* Start, the owner thread's loop, and stop. */
#include "node.h"

#include "buckets.h"
#include "files.h"
#include "logging.h"
#include "node_private.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

uint64_t node_now_ms(void) { return clock_ms(CLOCK_REALTIME); }
uint64_t node_monotonic_ms(void) { return clock_ms(CLOCK_MONOTONIC); }
uint64_t node_uptime_s(const struct node *node) { return (clock_ms(CLOCK_MONOTONIC) - node->started_ms) / 1000; }

bool status_is_fatal(enum cl_status status)
{
    return status == CL_E_MEMORY || status == CL_E_IO || status == CL_E_STORE_IO || status == CL_E_STORE_CORRUPT;
}

enum cl_status node_fail(struct node *node, enum cl_status status, const char *format, ...)
{
    if (atomic_load(&node->failed)) return status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(node->failure, sizeof node->failure, format, arguments);
    va_end(arguments);
    node->failure_status = status;
    atomic_store(&node->failed, true);
    log_line(LOG_LEVEL_ERROR, "node_stopped", "code=%s sentence=\"%s\"", cl_status_code(status), node->failure);
    pthread_mutex_lock(&node->room_lock);
    pthread_cond_broadcast(&node->room_changed);
    pthread_mutex_unlock(&node->room_lock);
    return status;
}

/* ---- the owner's loop */
static void tick(struct node *node, uint64_t now_ms)
{
    node->last_tick_ms = now_ms;
    node_expire_waiters(node, now_ms);
    node_expire_finished(node, now_ms);
    if (node->http != NULL) {
        http_tick(node->http);
        http_streams_wake(node->http); /* heartbeats */
    }
    node_condition_take(node);
    const struct mallinfo2 heap = mallinfo2(); /* looks through what is free: not for each who asks */
    atomic_store(&node->counters.memory_allocated, heap.uordblks + heap.hblkhd);
    atomic_store(&node->counters.memory_free, heap.fordblks);
}

static void publish_pool(struct node *node)
{
    atomic_store(&node->counters.pool_records, pool_count(node->pool));
    atomic_store(&node->counters.pool_bytes, pool_bytes(node->pool));
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* What ordering, blocks and links have to do by themselves. Returns: ms until something is due again. */
static uint64_t rounds(struct node *node)
{
    uint64_t gossip = node_gossip_round(node, node_monotonic_ms()); /* the first: what it sends need not wait for a disk */
    if (pool_ready(node->pool, node_monotonic_ms()) && !atomic_load(&node->failed))
        node_drive(node, &(struct consensus_event){ .kind = CONSENSUS_WAKE, .now_ms = node_monotonic_ms() });
    if (node->peer_count < 2) return node_cosign_round(node, node_monotonic_ms());
    if (atomic_load(&node->failed)) return UINT64_MAX;
    node_links_round(node);
    uint64_t blocks = node_fetch_round(node, node_monotonic_ms());
    uint64_t sync = node_sync_round(node, node_monotonic_ms());
    uint64_t recovery = node_vote_recovery_round(node, node_monotonic_ms());
    uint64_t order = node_order_round(node, node_monotonic_ms()); /* the last of ordering: what was done before arms its timers */
    return least(least(least(gossip, sync), least(blocks, least(order, recovery))), node_cosign_round(node, node_monotonic_ms()));
}

/* Frames come first, but no more than there were, so that lanes and rounds have their turn. Returns: whether there was
   anything. */
static bool run_inbox(struct node *node, struct inbox_list lists[INBOX_LANES], uint64_t wait_ms)
{
    struct inbox_message frame;
    size_t frames = inbox_take(&node->inbox, lists, wait_ms);
    bool any = frames > 0;
    for (; frames > 0 && inbox_take_frame(&node->inbox, &frame); frames--) frame.run(node, frame.context);
    for (size_t lane = 0; lane < INBOX_LANES; lane++) {
        for (size_t i = 0; i < lists[lane].count; i++, any = true) lists[lane].items[i].run(node, lists[lane].items[i].context);
        lists[lane].count = 0;
    }
    return any;
}

static void *own(void *context)
{
    struct node *node = context;
    struct inbox_list lists[INBOX_LANES] = { 0 };
    uint64_t due = 0;
    while (!atomic_load(&node->stopping) && !atomic_load(&node->failed)) {
        uint64_t now = node_now_ms();
        uint64_t since = now >= node->last_tick_ms ? now - node->last_tick_ms : NODE_TICK_MS; /* the clock may be set back */
        uint64_t wait = since >= NODE_TICK_MS ? 0 : NODE_TICK_MS - since;
        wait = least(wait, least(due, pool_pause_left_ms(node->pool, node_monotonic_ms())));
        if (node->progress && pool_ready(node->pool, node_monotonic_ms())) wait = 0;
        node->progress = false;
        (void)run_inbox(node, lists, wait);
        due = rounds(node);
        node_flush(node);
        publish_pool(node);
        now = node_now_ms();
        if (now < node->last_tick_ms || now - node->last_tick_ms >= NODE_TICK_MS) tick(node, now);
    }
    for (size_t lane = 0; lane < INBOX_LANES; lane++) free(lists[lane].items);
    if (atomic_load(&node->failed) && node->options.on_stop != NULL) node->options.on_stop(node->options.on_stop_context);
    return NULL;
}

/* ---- start */
static void on_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    uint64_t *logged = context, now = node_now_ms();
    if (now - *logged < 5000) return;
    *logged = now;
    log_line(LOG_LEVEL_INFO, "opening", "what=\"%s\" done=%llu total=%llu", what, (unsigned long long)done, (unsigned long long)total);
}

static enum cl_status load_identity(struct node *node, char *sentence, size_t sentence_size)
{
    const char *data = node->options.config.data;
    char path[1200];
    struct genesis_error error;
    enum cl_status status = node_keys_load(&node->keys, data);
    if (status != CL_OK) {
        snprintf(sentence, sentence_size, status == CL_E_NOT_FOUND ? "There is no node.seed in %s; run 'consentd init' first." :
                 "%s/node.seed is not usable: it must be a seed file that only its owner may read (mode 0600); restore it from its backup.", data);
        return status;
    }
    if (node->options.config.genesis[0] != '\0') snprintf(path, sizeof path, "%s", node->options.config.genesis);
    else if (file_path(path, sizeof path, data, "genesis.json") != CL_OK) return CL_E_BOUND;
    status = node_genesis_load(&node->genesis, &error, path);
    if (status != CL_OK) {
        snprintf(sentence, sentence_size, "%.150s: %s", path, error.sentence[0] != '\0' ? error.sentence : cl_status_sentence(status));
        return status;
    }
    node->own = node_genesis_own(&node->genesis, &node->keys);
    if (node->own == SIZE_MAX) {
        snprintf(sentence, sentence_size, "This node's vote key is not among the members and observers of %.150s.", path);
        return CL_E_MEMBER;
    }
    node->peer_count = node_genesis_peer_count(&node->genesis);
    return CL_OK;
}

static void store_options(struct cl_store_options *out, const struct node_config *config)
{
    cl_store_options_default(out);
    out->create = true;
    if (config->store_cache_mb > 0) out->cache_bytes = (size_t)config->store_cache_mb << 20;
    if (config->store_write_buffer_mb > 0) out->write_buffer_bytes = (size_t)config->store_write_buffer_mb << 20;
}

/* The vote log is made after the ledger: where it stands alone, a ledger was lost, and beginning anew would contradict it. */
static bool has_vote_log(const struct node *node)
{
    char path[1200];
    return file_path(path, sizeof path, node->options.config.data, "vote.log") == CL_OK && access(path, F_OK) == 0;
}

static enum cl_status open_ledger(struct node *node, char *sentence, size_t sentence_size)
{
    char path[1200];
    struct cl_store_options options;
    uint64_t logged = node_now_ms();
    enum cl_status status = file_path(path, sizeof path, node->options.config.data, "store");
    if (status != CL_OK) return status;
    store_options(&options, &node->options.config);
    status = cl_store_leveldb_open(&node->store, path, &options, sentence, sentence_size);
    if (status != CL_OK) return status;
    node->store_open = true;
    errno = 0;
    status = cl_buckets_file_new(&node->buckets, node->options.config.data, CL_BUCKETS_IN_MEMORY);
    if (status != CL_OK) {
        snprintf(sentence, sentence_size, "A scratch file cannot be made in %.150s: %s.", node->options.config.data, strerror(errno));
        return status;
    }
    node->buckets_open = true;
    status = cl_ledger_open(&node->ledger, &node->store, &node->buckets, &node->genesis.core, on_progress, &logged);
    if (status == CL_E_NOT_FOUND && has_vote_log(node)) {
        snprintf(sentence, sentence_size, "The database in %.150s is gone or empty, but this node has voted (vote.log): restore a backup of 'store'. Only for a network of "
                 "which nothing is to be kept, remove vote.log as well.", path);
        return CL_E_STORE_CORRUPT;
    }
    if (status == CL_E_NOT_FOUND) {
        status = cl_ledger_create(&node->store, &node->genesis.core);
        if (status == CL_OK) status = cl_ledger_open(&node->ledger, &node->store, &node->buckets, &node->genesis.core, on_progress, &logged);
    }
    if (status != CL_OK) snprintf(sentence, sentence_size, "%s", cl_status_sentence(status));
    return status;
}

static enum cl_status give_helper(struct node *node)
{
    struct cl_helper hands;
    enum cl_status status = helper_new(&node->helper);
    if (status != CL_OK) return status;
    helper_hands(&hands, node->helper);
    cl_ledger_set_helper(node->ledger, &hands);
    cl_ledger_set_meanwhile(node->ledger, node_prepare, node);
    return CL_OK;
}

static enum cl_status make_pool(struct node *node)
{
    const struct pool_options options = { .limits = { (size_t)node->options.config.pool_records_max, (size_t)node->options.config.pool_bytes_max },
        .source_count = node->peer_count, .own = node->own, .fair = node->genesis.core.value.parameters.fairness == 1 };
    const struct pool_options pinned = { .limits = { NODE_PINNED_RECORDS, NODE_PINNED_BYTES }, .source_count = 1 };
    static_assert(GENESIS_PEERS_MAX <= CL_MEMBERS_MAX, "each peer is a source");
    shares_init(&node->room, &options.limits, options.source_count, options.own);
    enum cl_status status = pool_new(&node->pool, &options);
    return status == CL_OK && node->peer_count > 1 ? pool_new(&node->pinned, &pinned) : status;
}

static enum cl_status start_threads(struct node *node, char *sentence, size_t sentence_size)
{
    enum cl_status status = verify_pool_new(&node->verify_pool, (unsigned)node->options.config.workers, &node->genesis.core.network, node_on_verified, node);
    if (status == CL_OK) status = api_new(&node->api, node);
    if (status == CL_OK) status = mailbox_server_new(&node->mailboxes, &node->options.config, node->peer_count, sentence, sentence_size);
    if (status == CL_OK) status = public_server_new(&node->public_bodies, &node->options.config, node->ledger, &node->genesis.core.network, node->peer_count, sentence, sentence_size);
    if (status != CL_OK) return status;
    errno = 0; /* before HTTP, whose threads are asked how it is with backups */
    if (backup_server_start(&node->backup, node->options.config.data, &node->store) != CL_OK) /* then it has to stop for a backup */
        log_line(LOG_LEVEL_WARNING, "no_backup_socket", "reason=\"%s\"", strerror(errno));
    if (strcmp(node->options.config.listen, "none") != 0)
        status = http_start(&node->http, &node->options.config, api_handle, api_body_max, node->api, sentence, sentence_size);
    if (status == CL_OK && node->peer_count > 1) status = node_sync_new(node);
    if (status == CL_OK) status = node_links_start(node, sentence, sentence_size);
    if (status != CL_OK) return status;
    mailbox_server_connect(node->mailboxes, node->transport);
    public_server_connect(node->public_bodies, node->transport);
    node->last_tick_ms = node_now_ms();
    if (pthread_create(&node->owner, NULL, own, node) != 0) return CL_E_MEMORY;
    node->owner_running = true;
    return CL_OK;
}

enum cl_status node_start(struct node **out, const struct node_options *options, char *sentence, size_t sentence_size)
{
    sentence[0] = '\0';
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) return CL_E_MEMORY;
    node->options = *options;
    node->started_ms = clock_ms(CLOCK_MONOTONIC);
    inbox_init(&node->inbox);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&node->room_lock, NULL);
    pthread_cond_init(&node->room_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_rwlock_init(&node->accepted_lock, NULL);
    enum cl_status status = load_identity(node, sentence, sentence_size);
    if (status == CL_OK) status = open_ledger(node, sentence, sentence_size);
    if (status == CL_OK) status = give_helper(node);
    if (status == CL_OK) status = make_pool(node);
    if (status == CL_OK) status = node_gossip_start(node);
    if (status == CL_OK) status = node_cosign_new(node);
    if (status == CL_OK) status = node_recover(node, sentence, sentence_size);
    if (status == CL_OK) status = node_cosign_ensure(node);
    if (status == CL_OK) status = node_restore_withdrawals(node);
    node->progress = true; /* what was restored goes into a block at once */
    if (status == CL_OK) {
        struct cl_tip tip;
        cl_ledger_tip(node->ledger, &tip);
        atomic_store(&node->counters.height, tip.height);
        atomic_store(&node->counters.log_size, tip.log_size);
        atomic_store(&node->counters.view, tip.view);
        status = node_condition_new(node);
        if (status == CL_OK) status = start_threads(node, sentence, sentence_size);
    }
    if (status != CL_OK) {
        if (sentence[0] == '\0') snprintf(sentence, sentence_size, "%s", node->failure[0] != '\0' ? node->failure : cl_status_sentence(status));
        (void)node_stop(node);
        return status;
    }
    *out = node;
    return CL_OK;
}

/* ---- stop */
static void run_left_over(struct node *node)
{
    struct inbox_list lists[INBOX_LANES] = { 0 };
    while (run_inbox(node, lists, 0)) continue;
    for (size_t lane = 0; lane < INBOX_LANES; lane++) free(lists[lane].items);
}

/* This thread is the owner now: everybody who waits gets an answer. */
static void cancel_all(struct node *node)
{
    const struct timespec pause = { 0, 1000000 };
    node_stop_list(&node->finished); /* final, but no checkpoint that is kept covers it */
    if (node->pool == NULL) return;
    for (;;) {
        run_left_over(node);
        node_cancel_waiters(node);
        if (node->http == NULL || http_active(node->http) == 0) return;
        nanosleep(&pause, NULL);
    }
}

enum cl_status node_stop(struct node *node)
{
    if (node == NULL) return CL_OK;
    atomic_store(&node->stopping, true);
    pthread_mutex_lock(&node->room_lock);
    pthread_cond_broadcast(&node->room_changed);
    pthread_mutex_unlock(&node->room_lock);
    if (node->http != NULL) http_drain(node->http);
    inbox_nudge(&node->inbox);
    if (node->owner_running) pthread_join(node->owner, NULL);
    mailbox_server_stop(node->mailboxes); /* before what it asks other nodes by */
    public_server_stop(node->public_bodies);
    node_links_stop(node);
    cancel_all(node);
    verify_pool_free(node->verify_pool);
    http_stop(node->http);
    run_left_over(node);
    mailbox_server_free(node->mailboxes);
    public_server_free(node->public_bodies);
    backup_server_stop(node->backup);
    api_free(node->api);
    node_links_free(node);
    node_gossip_free(node);
    node_sync_free(node);
    node_pending_free(node);
    node_cosign_free(node);
    pool_free(node->pinned);
    pool_free(node->pool);
    consensus_free(node->consensus);
    votelog_close(node->votelog);
    if (node->ledger != NULL) cl_ledger_close(node->ledger);
    helper_free(node->helper);
    if (node->buckets_open) cl_buckets_free(&node->buckets);
    if (node->store_open) node->store.close(node->store.context);
    node_condition_free(node);
    node_genesis_deinit(&node->genesis);
    node_keys_wipe(&node->keys);
    free(node->accepted);
    free(node->signatures.items);
    inbox_deinit(&node->inbox);
    pthread_rwlock_destroy(&node->accepted_lock);
    pthread_cond_destroy(&node->room_changed);
    pthread_mutex_destroy(&node->room_lock);
    enum cl_status status = node->failure_status;
    free(node);
    return status;
}

/* ---- what others ask */
const char *node_url(const struct node *node)
{
    return node->http != NULL ? http_url(node->http) : "";
}

void node_counters(struct node *node, struct node_counters *out)
{
    struct counters *in = &node->counters;
    *out = (struct node_counters){ .submitted = atomic_load(&in->submitted), .malformed = atomic_load(&in->malformed),
        .bad_signature = atomic_load(&in->bad_signature), .duplicates = atomic_load(&in->duplicates), .refused = atomic_load(&in->refused),
        .final_records = atomic_load(&in->final_records), .blocks = atomic_load(&in->blocks), .checkpoints = atomic_load(&in->checkpoints),
        .bounded = atomic_load(&in->bounded), .withdrawals_accepted = atomic_load(&in->withdrawals_accepted),
        .pool_records = atomic_load(&in->pool_records), .pool_bytes = atomic_load(&in->pool_bytes), .height = atomic_load(&in->height),
        .log_size = atomic_load(&in->log_size), .view = atomic_load(&in->view) };
}

void node_count_source(struct node *node, size_t source, struct node_source_counters *out)
{
    struct source_counters *in = &node->sources[source];
    assert(source < node->peer_count);
    *out = (struct node_source_counters){ .taken = atomic_load(&in->taken), .dropped = atomic_load(&in->dropped), .malformed = atomic_load(&in->malformed),
        .bad_signature = atomic_load(&in->bad_signature), .duplicates = atomic_load(&in->duplicates), .refused = atomic_load(&in->refused) };
    pthread_mutex_lock(&node->room_lock);
    struct shares_amount used = shares_used(&node->room, source);
    pthread_mutex_unlock(&node->room_lock);
    out->waiting_records = used.records;
    out->waiting_bytes = used.bytes;
}

static uint64_t settled(struct node *node)
{
    struct node_counters now;
    node_counters(node, &now);
    return now.final_records + now.refused + now.malformed + now.bad_signature + now.duplicates;
}

enum cl_status node_wait_settled(struct node *node, uint64_t count, uint64_t timeout_ms)
{
    struct timespec until;
    enum cl_status status = CL_OK;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&node->room_lock);
    while (settled(node) < count && status == CL_OK) {
        if (atomic_load(&node->stopping) || atomic_load(&node->failed)) status = CL_E_CANCELLED;
        else if (pthread_cond_timedwait(&node->room_changed, &node->room_lock, &until) != 0) status = CL_E_CANCELLED;
    }
    pthread_mutex_unlock(&node->room_lock);
    return status;
}

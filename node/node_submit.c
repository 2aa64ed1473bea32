/* Records on their way in: room for them, signature workers, admission, the pool, and those who wait for an outcome. */
#include "node_private.h"

#include "cbor.h"
#include "logging.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART_BYTES_MAX 524288u /* of records from a peer that are checked as one batch */

/* ---- room: what was let in and is not settled is bounded, for each source, so every queue behind it is */
struct given { struct shares_amount all, kept; }; /* room to be given back at once */

static void give(struct given *given, enum shares_account account, size_t bytes)
{
    struct shares_amount *amount = account == SHARES_KEPT ? &given->kept : &given->all;
    if (account == SHARES_NONE) return;
    amount->records++;
    amount->bytes += bytes;
}

size_t node_room_records(struct node *node)
{
    const struct shares_room *room = &node->room.all.records;
    pthread_mutex_lock(&node->room_lock);
    size_t all = room->guaranteed * node->room.source_count + room->common, left = all > room->total ? all - room->total : 0;
    pthread_mutex_unlock(&node->room_lock);
    return left;
}

static void room_give(struct node *node, size_t source, const struct given *given)
{
    pthread_mutex_lock(&node->room_lock);
    shares_give(&node->room, source, SHARES_ALL, given->all);
    shares_give(&node->room, source, SHARES_KEPT, given->kept);
    pthread_cond_broadcast(&node->room_changed);
    pthread_mutex_unlock(&node->room_lock);
}

static bool is_stopping(struct node *node)
{
    return atomic_load(&node->stopping) || atomic_load(&node->failed);
}

static enum cl_status submit_part(struct node *node, const struct cl_view *records, size_t count, uint32_t source)
{
    size_t bytes = 0, at = 0;
    for (size_t i = 0; i < count; i++) bytes += records[i].length;
    struct verify_batch *batch = verify_batch_new(bytes);
    if (batch == NULL) return CL_E_MEMORY;
    batch->source = source;
    batch->count = count;
    batch->byte_count = bytes;
    for (size_t i = 0; i < count; i++) {
        memcpy(batch->arena + at, records[i].data, records[i].length);
        batch->items[i].bytes = (struct cl_view){ batch->arena + at, records[i].length };
        batch->items[i].account = SHARES_ALL;
        at += records[i].length;
    }
    pthread_mutex_lock(&node->room_lock);
    bool taken = false;
    while (!taken && !is_stopping(node)) {
        taken = shares_take(&node->room, source, (struct shares_amount){ count, bytes }, false) != SHARES_NONE;
        if (!taken) pthread_cond_wait(&node->room_changed, &node->room_lock);
    }
    pthread_mutex_unlock(&node->room_lock);
    if (!taken) {
        verify_batch_free(batch);
        return CL_E_CANCELLED;
    }
    atomic_fetch_add(&node->counters.submitted, count);
    atomic_fetch_add(&node->sources[source].taken, count);
    verify_pool_put(node->verify_pool, batch);
    return CL_OK;
}

enum cl_status node_submit_batch(struct node *node, const struct cl_view *records, size_t count, uint32_t source)
{
    /* Parts that find room some time, also where it is small: what is guaranteed, or one record. */
    size_t part_max = node->room.all.records.guaranteed, bytes_max = node->room.all.bytes.guaranteed;
    if (part_max > VERIFY_BATCH_MAX) part_max = VERIFY_BATCH_MAX;
    if (part_max == 0) part_max = 1;
    if (bytes_max > PART_BYTES_MAX) bytes_max = PART_BYTES_MAX;
    assert(source < node->peer_count);
    for (size_t i = 0; i < count; i++)
        if (records[i].length > CL_RECORD_BYTES_MAX) return CL_E_RECORD_SIZE;
    for (size_t at = 0; at < count;) {
        size_t part = 0, bytes = 0;
        while (part < part_max && at + part < count && (part == 0 || bytes + records[at + part].length <= bytes_max)) bytes += records[at + part++].length;
        enum cl_status status = submit_part(node, records + at, part, source);
        if (status != CL_OK) return status;
        at += part;
    }
    return CL_OK;
}

/* ---- records from links */
/* The owner checks a single record itself where nothing else waits for it: a vote that comes meanwhile waits for one check. */
static void check(struct node *node, struct verify_batch *batch)
{
    if (inbox_is_empty(&node->inbox)) verify_pool_check_or_put(node->verify_pool, batch);
    else verify_pool_put(node->verify_pool, batch);
}

/* Looks at nothing but the type, because this decides only whose room is asked for: a worker decodes. */
static bool looks_like_withdrawal(struct cl_view bytes)
{
    struct cl_cbor_reader reader, inner;
    cl_cbor_reader_init(&reader, bytes.data, bytes.length);
    (void)cl_cbor_tag(&reader);
    cl_cbor_array_fixed(&reader, 4);
    (void)cl_cbor_bytes(&reader);
    (void)cl_cbor_map(&reader);
    struct cl_view payload = cl_cbor_bytes(&reader);
    cl_cbor_reader_init(&inner, payload.data, payload.length);
    (void)cl_cbor_map(&inner);
    bool type_next = cl_cbor_uint(&inner) == 1;
    uint64_t type = cl_cbor_uint_at_most(&inner, CL_VOUCH);
    return type_next && inner.status == CL_OK && cl_rules_is_withdrawal((enum cl_record_type)type);
}

/* Fills the batch with what there is room for; its arena holds all of them. */
static void take_offered(struct node *node, struct verify_batch *batch, const struct cl_view *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool withdrawal = looks_like_withdrawal(records[i]);
        pthread_mutex_lock(&node->room_lock);
        enum shares_account account = shares_take(&node->room, batch->source, (struct shares_amount){ 1, records[i].length }, withdrawal);
        pthread_mutex_unlock(&node->room_lock);
        if (account == SHARES_NONE) continue;
        struct verify_item *item = &batch->items[batch->count++];
        item->account = account;
        item->bytes = (struct cl_view){ batch->arena + batch->byte_count, records[i].length };
        memcpy(batch->arena + batch->byte_count, records[i].data, records[i].length);
        batch->byte_count += records[i].length;
    }
}

size_t node_offer_records(struct node *node, const struct cl_view *records, size_t count, uint32_t source)
{
    size_t taken = 0;
    assert(source < node->peer_count);
    for (size_t at = 0, part; at < count; at += part) {
        size_t bytes = 0;
        for (part = 0; part < VERIFY_BATCH_MAX && at + part < count && (part == 0 || bytes + records[at + part].length <= PART_BYTES_MAX); part++)
            bytes += records[at + part].length;
        struct verify_batch *batch = is_stopping(node) ? NULL : verify_batch_new(bytes);
        if (batch == NULL) continue;
        batch->source = source;
        take_offered(node, batch, records + at, part);
        taken += batch->count;
        if (batch->count > 0) check(node, batch);
        else verify_batch_free(batch);
    }
    atomic_fetch_add(&node->counters.submitted, taken);
    atomic_fetch_add(&node->sources[source].taken, taken);
    atomic_fetch_add(&node->sources[source].dropped, count - taken);
    return taken;
}

enum cl_status node_submit(struct node *node, struct submission *submission)
{
    const struct cl_record *record = &submission->record->record;
    struct verify_batch *batch = verify_batch_new(0);
    if (batch == NULL) return CL_E_MEMORY;
    pthread_mutex_lock(&node->room_lock);
    enum shares_account account = shares_take(&node->room, node->own, (struct shares_amount){ 1, record->bytes.length }, cl_rules_is_withdrawal(record->type));
    pthread_mutex_unlock(&node->room_lock);
    if (account == SHARES_NONE) {
        atomic_fetch_add(&node->counters.bounded, 1);
        atomic_fetch_add(&node->sources[node->own].dropped, 1);
        verify_batch_free(batch);
        return CL_E_BOUND;
    }
    cl_ledger_record_ref(submission->record);
    batch->source = (uint32_t)node->own;
    batch->count = 1;
    batch->byte_count = record->bytes.length;
    batch->items[0].record = submission->record;
    batch->items[0].submission = submission;
    batch->items[0].account = account;
    atomic_fetch_add(&node->counters.submitted, 1);
    atomic_fetch_add(&node->sources[node->own].taken, 1);
    verify_pool_put(node->verify_pool, batch);
    return CL_OK;
}

/* ---- outcomes */
void node_finish_submission(struct submission *submission, enum outcome outcome)
{
    submission->outcome = outcome;
    submission->next = NULL;
    submission->done(submission);
}

void node_stop_list(struct submission **list)
{
    while (*list != NULL) {
        struct submission *submission = *list;
        *list = submission->next;
        node_finish_submission(submission, OUTCOME_STOPPED);
    }
}

void node_expire_list(struct submission **list, uint64_t now_ms)
{
    while (*list != NULL) {
        struct submission *submission = *list;
        if (submission->deadline_ms > now_ms) {
            list = &submission->next;
            continue;
        }
        *list = submission->next;
        node_finish_submission(submission, OUTCOME_ACCEPTED);
    }
}

static void finish_refused(struct submission *submission, enum cl_status status, uint32_t entry)
{
    submission->status = status;
    submission->entry = entry;
    node_finish_submission(submission, OUTCOME_REFUSED);
}

static void remember_refusal(struct node *node, const struct cl_record_id *id, enum cl_status status, uint32_t entry)
{
    node->refusals[node->refusal_next] = (struct refusal){ *id, status, entry };
    node->refusal_next = (node->refusal_next + 1) % NODE_REFUSALS_KEPT;
}

const struct refusal *node_find_refusal(const struct node *node, const struct cl_record_id *id)
{
    for (size_t i = 1; i <= NODE_REFUSALS_KEPT; i++) { /* newest first */
        const struct refusal *refusal = &node->refusals[(node->refusal_next + NODE_REFUSALS_KEPT - i) % NODE_REFUSALS_KEPT];
        if (refusal->status == CL_OK) return NULL;
        if (memcmp(refusal->id.bytes, id->bytes, 32) == 0) return refusal;
    }
    return NULL;
}

static void pool_take_out(struct node *node, struct pool_entry *entry)
{
    struct given given = { { 0, 0 }, { 0, 0 } };
    size_t source = entry->source;
    bool counted = entry->counted != SHARES_NONE;
    give(&given, entry->counted, entry->record->record.bytes.length);
    node_gossip_gone(node, &entry->record->record.leaf_hash);
    pool_remove(node->pool, entry);
    if (counted) room_give(node, source, &given);
}

static void count_duplicate(struct node *node, size_t source)
{
    atomic_fetch_add(&node->counters.duplicates, 1);
    atomic_fetch_add(&node->sources[source].duplicates, 1);
}

static void count_refused(struct node *node, size_t source)
{
    atomic_fetch_add(&node->counters.refused, 1);
    atomic_fetch_add(&node->sources[source].refused, 1);
}

void node_settle_refused(struct node *node, struct pool_entry *entry, enum cl_status status, uint32_t refused_entry)
{
    struct submission *submission = entry->waiters;
    entry->waiters = NULL;
    if (status == CL_E_REPLAY && submission == NULL) count_duplicate(node, entry->source);
    else count_refused(node, entry->source);
    if (status != CL_E_REPLAY) remember_refusal(node, &entry->record->record.id, status, refused_entry);
    if (entry->kept) {
        enum cl_status dropped = cl_ledger_withdrawal_drop(node->ledger, &entry->record->record.leaf_hash);
        if (dropped != CL_OK && dropped != CL_E_NOT_FOUND) (void)node_fail(node, dropped, "A withdrawal could not be dropped: %s", cl_status_sentence(dropped));
        node_accepted_drop(node, &entry->record->record.leaf_hash);
    }
    while (submission != NULL) {
        struct submission *next = submission->next;
        if (status == CL_E_REPLAY) {
            submission->known = true;
            node_finish_final(node, submission);
        } else {
            finish_refused(submission, status, refused_entry);
        }
        submission = next;
    }
    pool_take_out(node, entry);
}

void node_settle_final(struct node *node, struct cl_ledger_record *record)
{
    struct pool_entry *entry = pool_find_leaf(node->pool, &record->record.leaf_hash);
    if (entry == NULL) { /* it came from the vote log at start, or with a proposal; or by height, when nobody speaks of it any more */
        if (!node->catching_up) node_gossip_gone(node, &record->record.leaf_hash);
        return;
    }
    struct submission *submission = entry->waiters;
    entry->waiters = NULL;
    if (entry->kept) node_accepted_drop(node, &record->record.leaf_hash);
    while (submission != NULL) {
        struct submission *next = submission->next;
        /* It had to wait for a block to decide: what is final is durable, so it can be signed for now. */
        if (entry->withdrawal && submission->acceptance.length == 0 && node_sign_acceptance(node, submission, &record->record) != CL_OK)
            log_line(LOG_LEVEL_WARNING, "acceptance_left_out", "reason=memory");
        node_finish_final(node, submission);
        submission = next;
    }
    pool_take_out(node, entry);
}

void node_expire_waiters(struct node *node, uint64_t now_ms)
{
    for (struct pool_entry *entry = pool_next(node->pool, NULL); entry != NULL; entry = pool_next(node->pool, entry))
        node_expire_list(&entry->waiters, now_ms);
}

void node_cancel_waiters(struct node *node)
{
    for (struct pool_entry *entry = pool_next(node->pool, NULL); entry != NULL; entry = pool_next(node->pool, entry))
        node_stop_list(&entry->waiters);
}

/* ---- admission, owner thread */
static void wait_in(struct pool_entry *entry, struct submission *submission)
{
    assert(entry != NULL);
    submission->next = entry->waiters;
    entry->waiters = submission;
}

/* It is in the pool already: under this leaf hash, or as the same message with another signature. Whoever lost the
   answer to a withdrawal gets its acceptance again. */
static void join_known(struct node *node, struct pool_entry *entry, struct submission *submission)
{
    assert(entry != NULL);
    enum cl_status status = CL_OK;
    submission->known = true;
    if (entry->kept) status = node_sign_acceptance(node, submission, &entry->record->record);
    if (status != CL_OK) finish_refused(submission, status, 0);
    else if (submission->wait_final || (entry->withdrawal && !entry->kept)) wait_in(entry, submission);
    else node_finish_submission(submission, OUTCOME_KNOWN_PENDING);
}

static enum cl_status try_admission(struct node *node, struct submission *submission, bool *undecided)
{
    uint64_t now = node_now_ms();
    struct cl_tip tip;
    cl_ledger_tip(node->ledger, &tip);
    enum cl_status status = cl_ledger_try(node->ledger, &submission->record->record, now > tip.time_ms ? now : tip.time_ms + 1, &submission->entry);
    /* What waits may be what this record builds on: then the next block decides, and the answer waits for it. */
    *undecided = status != CL_OK && status != CL_E_REPLAY && !status_is_fatal(status) && pool_count(node->pool) > 0;
    return *undecided ? CL_OK : status;
}

static void admit(struct node *node, struct verify_item *item, size_t source, struct given *given)
{
    struct submission *submission = item->submission;
    const struct cl_record *record = &item->record->record;
    struct pool_entry *entry = pool_find_leaf(node->pool, &record->leaf_hash);
    if (entry == NULL && submission != NULL) entry = pool_find_id(node->pool, &record->id);
    bool undecided = false;
    enum cl_status status = CL_E_EXISTS;
    if (entry == NULL) {
        status = submission != NULL ? try_admission(node, submission, &undecided) : CL_OK;
        if (status == CL_OK) status = pool_add(node->pool, &entry, item->record, source);
    }
    if (status == CL_OK) {
        entry->counted = item->account;
        node->admitted++;
        node_gossip_have(node, item->record);
        if (submission == NULL) return;
        if (cl_rules_is_withdrawal(record->type) && !undecided) status = node_accept_withdrawal(node, submission, entry);
        if (status != CL_OK) finish_refused(submission, status, 0);
        else if (submission->wait_final || undecided) wait_in(entry, submission);
        else node_finish_submission(submission, OUTCOME_ACCEPTED);
        return;
    }
    give(given, item->account, record->bytes.length);
    if (status == CL_E_EXISTS || status == CL_E_REPLAY) count_duplicate(node, source);
    else count_refused(node, source);
    if (submission == NULL) return;
    if (status == CL_E_EXISTS) {
        join_known(node, entry, submission);
    } else if (status == CL_E_REPLAY) {
        submission->known = true;
        node_finish_final(node, submission);
    } else {
        finish_refused(submission, status, submission->entry);
    }
}

void node_offer_proposal_records(struct node *node, const struct frame *frame, size_t source)
{
    struct frame_items items;
    struct cl_view item = { NULL, 0 };
    frame_items_init(&items, frame);
    for (bool more = frame_items_next(&items, &item); more;) {
        struct verify_batch *batch = verify_batch_new(frame->payload.length);
        if (batch == NULL) return; /* asked for again */
        batch->for_proposal = true;
        batch->source = (uint32_t)source;
        for (; more && batch->count < VERIFY_BATCH_MAX; more = frame_items_next(&items, &item)) {
            memcpy(batch->arena + batch->byte_count, item.data, item.length);
            batch->items[batch->count++].bytes = (struct cl_view){ batch->arena + batch->byte_count, item.length };
            batch->byte_count += item.length;
        }
        node->proposal_batches++;
        check(node, batch);
    }
}

void node_count_bad(struct node *node, size_t source, const struct verify_item *item)
{
    bool malformed = item->record == NULL;
    atomic_fetch_add(malformed ? &node->counters.malformed : &node->counters.bad_signature, 1);
    if (status_is_fatal(item->status)) return; /* want of memory is nobody's fault */
    atomic_fetch_add(malformed ? &node->sources[source].malformed : &node->sources[source].bad_signature, 1);
}

static void on_batch(void *owner, void *context)
{
    struct node *node = owner;
    struct verify_batch *batch = context;
    if (batch->part != NULL || batch->for_proposal) {
        if (batch->part != NULL) node_sync_take(node, batch);
        else node_take_proposal_records(node, batch);
        verify_batch_free(batch);
        return;
    }
    struct given given = { { 0, 0 }, { 0, 0 } }; /* once for the batch */
    for (size_t i = 0; i < batch->count; i++) {
        struct verify_item *item = &batch->items[i];
        bool stopping = is_stopping(node); /* then nothing more is taken, kept or signed */
        if (item->status == CL_OK && !stopping) {
            admit(node, item, batch->source, &given);
            continue;
        }
        if (item->status != CL_OK) node_count_bad(node, batch->source, item);
        give(&given, item->account, item->record != NULL ? item->record->record.bytes.length : item->bytes.length);
        if (item->submission == NULL) continue;
        if (item->status != CL_OK) finish_refused(item->submission, item->status, item->refused_entry);
        else node_finish_submission(item->submission, OUTCOME_STOPPED);
    }
    if (given.all.records + given.kept.records > 0) {
        room_give(node, batch->source, &given);
        node->progress = true;
    }
    verify_batch_free(batch);
}

void node_admit_waiting(struct node *node)
{
    inbox_take_lane(&node->inbox, &node->signatures, INBOX_SIGNATURES);
    for (size_t i = 0; i < node->signatures.count; i++) node->signatures.items[i].run(node, node->signatures.items[i].context);
    node->signatures.count = 0;
}

void node_on_verified(void *context, struct verify_batch *batch)
{
    struct node *node = context;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].status == CL_OK) cl_ledger_look_ahead(node->ledger, batch->items[i].record);
    while (inbox_put(&node->inbox, INBOX_SIGNATURES, on_batch, batch) != CL_OK) { /* no memory for a pointer: wait for some */
        struct timespec pause = { 0, 10000000 };
        nanosleep(&pause, NULL);
    }
}

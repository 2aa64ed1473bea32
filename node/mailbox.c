/* The rows are a LevelDB's of their own, because one synced write then makes many deposits durable. What was deleted would
   stay in its files until they happen to be merged, so mailboxes_compact has all of them rewritten.

   | key                          | value                                                     |
   |------------------------------|-----------------------------------------------------------|
   | 'm' id(32)                   | form = 1 (1), next number (8), day of the last fetch (4)  |
   | 'i' id(32) number(8)         | hour of the deposit (4), length (4), half its SHA-256 (16)|
   | 'd' id(32) number(8)         | the delivery's bytes                                      |
   | 00, ff (one byte)            | nothing: the ends of what is compacted                    |

   Numbers big-endian, days and hours since 1970: no finer than is needed, so that the files tell little of when. 'm' and 'i'
   are also in memory. */
#include "mailbox.h"

#include "crypto.h"
#include "keyed.h"

#include "consent/record.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { FORM = 1, HOUR_MS = 3600000, DAY_MS = 86400000, SWEPT_MAX = 1024, BURST = 4, CHALLENGE_AHEAD_MS = 120000, LENGTH_BYTES = 4, DIGEST_BYTES = 16 };

struct delivery { uint64_t number; uint32_t length, hour; uint8_t digest[DIGEST_BYTES]; };
struct rate { uint64_t left_milli, since_ms; }; /* thousandths */
struct mailbox {
    struct mailbox *next; /* in its chain */
    uint8_t id[32], nonce[16];
    uint64_t next_number, bytes;
    uint32_t fetched_day;
    struct rate rate;
    struct delivery *deliveries; /* oldest first */
    size_t count, capacity;
};
struct mailboxes {
    struct cl_store *store;
    struct mailbox_limits limits;
    struct mailbox **chains;
    size_t chain_count, swept_chain;
    uint64_t place_key[2];
    struct rate opens, bytes;
    struct cl_store_batch *batch;
    bool written, failed;
    struct mailbox_report report;
    uint64_t dropped_bytes;             /* of what the batch deletes */
    atomic_uint_fast64_t deleted_bytes; /* written: a compaction that begins before would miss them */
};

/* ---- rows */
struct row_key { uint8_t bytes[1 + 32 + 8]; };

static void put_number(uint8_t *out, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++) out[i] = (uint8_t)(number >> (8 * (width - 1 - i)));
}

static uint64_t get_number(const uint8_t *in, size_t width)
{
    uint64_t number = 0;
    for (size_t i = 0; i < width; i++) number = number << 8 | in[i];
    return number;
}

static struct row_key row_key(char table, const uint8_t id32[32], uint64_t number)
{
    struct row_key key;
    key.bytes[0] = (uint8_t)table;
    memcpy(key.bytes + 1, id32, 32);
    put_number(key.bytes + 33, number, 8);
    return key;
}

static void put_mailbox(struct mailboxes *mailboxes, const struct mailbox *mailbox)
{
    uint8_t value[13] = { FORM };
    struct row_key key = row_key('m', mailbox->id, 0);
    put_number(value + 1, mailbox->next_number, 8);
    put_number(value + 9, mailbox->fetched_day, 4);
    mailboxes->store->batch_put(mailboxes->batch, key.bytes, 33, value, sizeof value);
    mailboxes->written = true;
}

static void put_delivery(struct mailboxes *mailboxes, const struct mailbox *mailbox, const struct delivery *delivery, struct cl_view bytes)
{
    uint8_t value[4 + LENGTH_BYTES + DIGEST_BYTES];
    struct row_key index = row_key('i', mailbox->id, delivery->number), data = row_key('d', mailbox->id, delivery->number);
    put_number(value, delivery->hour, 4);
    put_number(value + 4, delivery->length, LENGTH_BYTES);
    memcpy(value + 4 + LENGTH_BYTES, delivery->digest, DIGEST_BYTES);
    mailboxes->store->batch_put(mailboxes->batch, index.bytes, sizeof index.bytes, value, sizeof value);
    mailboxes->store->batch_put(mailboxes->batch, data.bytes, sizeof data.bytes, bytes.data, bytes.length);
    put_mailbox(mailboxes, mailbox);
}

static void delete_row(struct mailboxes *mailboxes, char table, const struct mailbox *mailbox, uint64_t number)
{
    struct row_key key = row_key(table, mailbox->id, number);
    mailboxes->store->batch_delete(mailboxes->batch, key.bytes, table == 'm' ? 33 : sizeof key.bytes);
    mailboxes->written = true;
}

/* ---- in memory */
static struct mailbox **chain_of(const struct mailboxes *mailboxes, const uint8_t id32[32])
{
    return &mailboxes->chains[keyed_place(mailboxes->place_key, id32) & (mailboxes->chain_count - 1)];
}

static struct mailbox *find(const struct mailboxes *mailboxes, const uint8_t id32[32])
{
    struct mailbox *at = *chain_of(mailboxes, id32);
    while (at != NULL && memcmp(at->id, id32, 32) != 0) at = at->next;
    return at;
}

static struct mailbox *add(struct mailboxes *mailboxes, const uint8_t id32[32])
{
    struct mailbox **chain = chain_of(mailboxes, id32), *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    memcpy(made->id, id32, 32);
    made->next_number = 1;
    made->next = *chain;
    *chain = made;
    mailboxes->report.mailboxes++;
    return made;
}

static bool append(struct mailboxes *mailboxes, struct mailbox *mailbox, const struct delivery *delivery)
{
    if (mailbox->count == mailbox->capacity) {
        size_t capacity = mailbox->capacity > 0 ? mailbox->capacity * 2 : 4;
        struct delivery *larger = realloc(mailbox->deliveries, capacity * sizeof *larger);
        if (larger == NULL) return false;
        mailbox->deliveries = larger;
        mailbox->capacity = capacity;
    }
    mailbox->deliveries[mailbox->count++] = *delivery;
    mailbox->bytes += delivery->length;
    mailboxes->report.deliveries++;
    mailboxes->report.bytes += delivery->length;
    return true;
}

/* The oldest so many go. */
static void drop(struct mailboxes *mailboxes, struct mailbox *mailbox, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct delivery *delivery = &mailbox->deliveries[i];
        delete_row(mailboxes, 'i', mailbox, delivery->number);
        delete_row(mailboxes, 'd', mailbox, delivery->number);
        mailbox->bytes -= delivery->length;
        mailboxes->report.bytes -= delivery->length;
        mailboxes->dropped_bytes += delivery->length;
    }
    mailbox->count -= count;
    mailboxes->report.deliveries -= count;
    if (mailbox->count > 0) memmove(mailbox->deliveries, mailbox->deliveries + count, mailbox->count * sizeof *mailbox->deliveries);
    if (mailbox->count > 0) return;
    free(mailbox->deliveries); /* most mailboxes are empty most of the time */
    mailbox->deliveries = NULL;
    mailbox->capacity = 0;
}

static void remove_mailbox(struct mailboxes *mailboxes, struct mailbox **link)
{
    struct mailbox *mailbox = *link;
    drop(mailboxes, mailbox, mailbox->count);
    delete_row(mailboxes, 'm', mailbox, 0);
    *link = mailbox->next;
    free(mailbox);
    mailboxes->report.mailboxes--;
}

/* ---- what was there before */
static enum cl_status take_row(struct mailboxes *mailboxes, struct cl_view key, struct cl_view value)
{
    if (key.length == 33 && key.data[0] == 'm') {
        if (value.length > 0 && value.data[0] > FORM) return CL_E_STORE_NEWER;
        if (value.length != 13 || value.data[0] != FORM) return CL_E_STORE_CORRUPT;
        struct mailbox *mailbox = add(mailboxes, key.data + 1);
        if (mailbox == NULL) return CL_E_MEMORY;
        mailbox->next_number = get_number(value.data + 1, 8);
        mailbox->fetched_day = (uint32_t)get_number(value.data + 9, 4);
        return CL_OK;
    }
    if (key.length != 41 || key.data[0] != 'i' || value.length != 4 + LENGTH_BYTES + DIGEST_BYTES) return CL_E_STORE_CORRUPT;
    struct mailbox *mailbox = find(mailboxes, key.data + 1);
    struct delivery delivery = { .number = get_number(key.data + 33, 8), .hour = (uint32_t)get_number(value.data, 4),
                                 .length = (uint32_t)get_number(value.data + 4, LENGTH_BYTES) };
    memcpy(delivery.digest, value.data + 4 + LENGTH_BYTES, DIGEST_BYTES);
    if (mailbox == NULL || delivery.number >= mailbox->next_number) return CL_E_STORE_CORRUPT;
    return append(mailboxes, mailbox, &delivery) ? CL_OK : CL_E_MEMORY;
}

static enum cl_status load_table(struct mailboxes *mailboxes, char table)
{
    struct cl_store *store = mailboxes->store;
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    enum cl_status status = iterator != NULL ? CL_OK : CL_E_MEMORY;
    if (iterator == NULL) return status;
    uint8_t first = (uint8_t)table;
    for (store->iterator_seek(iterator, &first, 1); status == CL_OK && store->iterator_valid(iterator); store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator);
        if (key.data[0] != first) break;
        status = take_row(mailboxes, key, store->iterator_value(iterator));
    }
    if (status == CL_OK) status = store->iterator_status(iterator);
    store->iterator_free(iterator);
    return status;
}

enum cl_status mailboxes_new(struct mailboxes **out, struct cl_store *store, const struct mailbox_limits *limits)
{
    struct mailboxes *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    made->store = store;
    made->limits = *limits;
    made->chain_count = 1024;
    while (made->chain_count < limits->mailboxes_max && made->chain_count < (1u << 20)) made->chain_count *= 2;
    made->chains = calloc(made->chain_count, sizeof *made->chains);
    made->batch = store->batch_new(store->context);
    enum cl_status status = made->chains != NULL && made->batch != NULL ? cl_random(made->place_key, sizeof made->place_key) : CL_E_MEMORY;
    if (status == CL_OK) status = load_table(made, 'm');
    if (status == CL_OK) status = load_table(made, 'i');
    if (status != CL_OK) {
        mailboxes_free(made);
        return status;
    }
    *out = made;
    return CL_OK;
}

void mailboxes_free(struct mailboxes *mailboxes)
{
    if (mailboxes == NULL) return;
    for (size_t i = 0; mailboxes->chains != NULL && i < mailboxes->chain_count; i++)
        for (struct mailbox *at = mailboxes->chains[i], *next; at != NULL; at = next) {
            next = at->next;
            free(at->deliveries);
            free(at);
        }
    mailboxes->store->batch_free(mailboxes->batch);
    free(mailboxes->chains);
    free(mailboxes);
}

/* ---- rules */
/* Takes amount of what grows by per_s and holds four seconds' worth. */
static bool take_rate(struct rate *rate, uint64_t per_s, uint64_t amount, uint64_t monotonic_ms)
{
    uint64_t full = per_s * BURST * 1000, passed = rate->since_ms == 0 ? BURST * 1000 : monotonic_ms - rate->since_ms;
    if (passed > BURST * 1000) passed = BURST * 1000;
    rate->left_milli += passed * per_s;
    if (rate->left_milli > full) rate->left_milli = full;
    rate->since_ms = monotonic_ms > 0 ? monotonic_ms : 1;
    if (rate->left_milli < amount * 1000) return false;
    rate->left_milli -= amount * 1000;
    return true;
}

static enum mailbox_outcome refuse(struct mailboxes *mailboxes, enum mailbox_outcome outcome)
{
    mailboxes->report.refused++;
    return outcome;
}

static void fetched_today(struct mailboxes *mailboxes, struct mailbox *mailbox, uint64_t wall_ms)
{
    uint32_t day = (uint32_t)(wall_ms / DAY_MS);
    if (mailbox->fetched_day == day) return;
    mailbox->fetched_day = day;
    put_mailbox(mailboxes, mailbox);
}

/* The holder is here. A nonce that is further ahead than any can be now was given before the clock was put back. */
static enum mailbox_outcome enter(struct mailboxes *mailboxes, struct mailbox **out, const uint8_t id32[32], const uint8_t nonce16[16], const struct mailbox_time *now)
{
    if (mailboxes->failed) return MAILBOX_FAILED;
    struct mailbox *mailbox = find(mailboxes, id32);
    if (mailbox == NULL) return refuse(mailboxes, MAILBOX_UNKNOWN);
    bool put_back = get_number(mailbox->nonce, 8) > now->wall_ms + CHALLENGE_AHEAD_MS;
    if (!put_back && memcmp(nonce16, mailbox->nonce, 16) <= 0) return refuse(mailboxes, MAILBOX_REPLAY);
    memcpy(mailbox->nonce, nonce16, 16);
    fetched_today(mailboxes, mailbox, now->wall_ms);
    *out = mailbox;
    return MAILBOX_DONE;
}

enum mailbox_outcome mailbox_open(struct mailboxes *mailboxes, const uint8_t id32[32], const struct mailbox_time *now)
{
    if (mailboxes->failed) return MAILBOX_FAILED;
    struct mailbox *mailbox = find(mailboxes, id32);
    if (mailbox != NULL) {
        fetched_today(mailboxes, mailbox, now->wall_ms);
        return MAILBOX_KNOWN;
    }
    if (mailboxes->report.mailboxes >= mailboxes->limits.mailboxes_max) return refuse(mailboxes, MAILBOX_NODE_FULL);
    if (!take_rate(&mailboxes->opens, mailboxes->limits.opens_per_s, 1, now->monotonic_ms)) return refuse(mailboxes, MAILBOX_TOO_FAST);
    mailbox = add(mailboxes, id32);
    if (mailbox == NULL) return refuse(mailboxes, MAILBOX_NOT_NOW);
    fetched_today(mailboxes, mailbox, now->wall_ms);
    return MAILBOX_DONE;
}

enum mailbox_outcome mailbox_close(struct mailboxes *mailboxes, uint64_t *deleted, const uint8_t id32[32], const uint8_t nonce16[16], const struct mailbox_time *now)
{
    struct mailbox *mailbox = NULL, **link = chain_of(mailboxes, id32);
    enum mailbox_outcome outcome = enter(mailboxes, &mailbox, id32, nonce16, now);
    if (outcome != MAILBOX_DONE) return outcome;
    *deleted = mailbox->count;
    mailboxes->report.deleted += mailbox->count;
    while (*link != mailbox) link = &(*link)->next;
    remove_mailbox(mailboxes, link);
    return MAILBOX_DONE;
}

enum mailbox_outcome mailbox_deposit(struct mailboxes *mailboxes, uint64_t *number, const uint8_t id32[32], struct cl_view bytes, const uint8_t digest32[32], const struct mailbox_time *now)
{
    const struct mailbox_limits *limits = &mailboxes->limits;
    assert(bytes.length > 0 && bytes.length <= MAILBOX_DELIVERY_BYTES_MAX);
    if (mailboxes->failed) return MAILBOX_FAILED;
    struct mailbox *mailbox = find(mailboxes, id32);
    if (mailbox == NULL) return refuse(mailboxes, MAILBOX_UNKNOWN);
    if (!take_rate(&mailbox->rate, limits->deposits_per_s, 1, now->monotonic_ms)) return refuse(mailboxes, MAILBOX_TOO_FAST);
    for (size_t i = mailbox->count; i > 0; i--)
        if (memcmp(mailbox->deliveries[i - 1].digest, digest32, DIGEST_BYTES) == 0) {
            *number = mailbox->deliveries[i - 1].number;
            return MAILBOX_KNOWN;
        }
    if (mailbox->count >= limits->mailbox_deliveries_max || mailbox->bytes + bytes.length > limits->mailbox_bytes_max) return refuse(mailboxes, MAILBOX_FULL);
    if (mailboxes->report.deliveries >= limits->deliveries_max || mailboxes->report.bytes + bytes.length > limits->bytes_max)
        return refuse(mailboxes, MAILBOX_NODE_FULL);
    if (!take_rate(&mailboxes->bytes, limits->bytes_per_s, bytes.length, now->monotonic_ms)) return refuse(mailboxes, MAILBOX_TOO_FAST);
    struct delivery delivery = { .number = mailbox->next_number, .length = (uint32_t)bytes.length, .hour = (uint32_t)(now->wall_ms / HOUR_MS) };
    memcpy(delivery.digest, digest32, DIGEST_BYTES);
    if (!append(mailboxes, mailbox, &delivery)) return refuse(mailboxes, MAILBOX_NOT_NOW);
    *number = mailbox->next_number++;
    mailboxes->report.deposited++;
    put_delivery(mailboxes, mailbox, &delivery, bytes);
    return MAILBOX_DONE;
}

enum mailbox_outcome mailbox_acknowledge(struct mailboxes *mailboxes, uint64_t *deleted, const uint8_t id32[32], uint64_t through, const uint8_t nonce16[16], const struct mailbox_time *now)
{
    struct mailbox *mailbox = NULL;
    size_t count = 0;
    enum mailbox_outcome outcome = enter(mailboxes, &mailbox, id32, nonce16, now);
    if (outcome != MAILBOX_DONE) return outcome;
    while (count < mailbox->count && mailbox->deliveries[count].number <= through) count++;
    drop(mailboxes, mailbox, count);
    mailboxes->report.deleted += count;
    *deleted = count;
    return MAILBOX_DONE;
}

enum mailbox_outcome mailbox_enter(struct mailboxes *mailboxes, const uint8_t id32[32], const uint8_t nonce16[16], const struct mailbox_time *now)
{
    struct mailbox *mailbox = NULL;
    return enter(mailboxes, &mailbox, id32, nonce16, now);
}

/* Returns: how many entries were looked at or dropped. */
static size_t sweep_chain(struct mailboxes *mailboxes, struct mailbox **link, uint64_t hour, uint64_t day)
{
    const struct mailbox_limits *limits = &mailboxes->limits;
    size_t work = 1;
    while (*link != NULL) {
        struct mailbox *mailbox = *link;
        size_t count = 0;
        /* The hour in which it came is not over before the next one begins: so it waits the whole time, and up to an hour more. */
        while (count < mailbox->count && mailbox->deliveries[count].hour + limits->delivery_days * 24 < hour) count++;
        mailboxes->report.expired += count;
        work += count;
        if (mailbox->fetched_day + limits->unfetched_days < day) {
            mailboxes->report.expired += mailbox->count - count;
            work += mailbox->count - count + 1;
            remove_mailbox(mailboxes, link);
            continue;
        }
        if (count > 0) drop(mailboxes, mailbox, count);
        link = &mailbox->next;
    }
    return work;
}

bool mailboxes_sweep(struct mailboxes *mailboxes, const struct mailbox_time *now)
{
    uint64_t hour = now->wall_ms / HOUR_MS, day = now->wall_ms / DAY_MS;
    for (size_t work = 0; work < SWEPT_MAX && !mailboxes->failed; mailboxes->swept_chain++) {
        if (mailboxes->swept_chain == mailboxes->chain_count) {
            mailboxes->swept_chain = 0;
            return false;
        }
        work += sweep_chain(mailboxes, &mailboxes->chains[mailboxes->swept_chain], hour, day);
    }
    return !mailboxes->failed;
}

enum cl_status mailboxes_commit(struct mailboxes *mailboxes)
{
    struct cl_store *store = mailboxes->store;
    if (mailboxes->failed) return CL_E_STORE_IO;
    if (!mailboxes->written) return CL_OK;
    enum cl_status status = store->batch_write(store->context, mailboxes->batch, true);
    store->batch_free(mailboxes->batch);
    mailboxes->batch = store->batch_new(store->context);
    mailboxes->written = false;
    atomic_fetch_add(&mailboxes->deleted_bytes, mailboxes->dropped_bytes);
    mailboxes->dropped_bytes = 0;
    if (status == CL_OK && mailboxes->batch == NULL) status = CL_E_MEMORY;
    mailboxes->failed = mailboxes->report.failed = status != CL_OK;
    return status;
}

enum mailbox_outcome mailbox_page(struct mailboxes *mailboxes, struct mailbox_page *page, const uint8_t id32[32], uint64_t after, size_t limit)
{
    struct cl_buffer value = { 0 };
    const struct mailbox *mailbox = find(mailboxes, id32);
    enum mailbox_outcome outcome = mailboxes->failed ? MAILBOX_FAILED : mailbox != NULL ? MAILBOX_DONE : MAILBOX_UNKNOWN;
    *page = (struct mailbox_page){ 0 };
    if (limit > MAILBOX_PAGE_DELIVERIES_MAX) limit = MAILBOX_PAGE_DELIVERIES_MAX;
    for (size_t i = 0; mailbox != NULL && outcome == MAILBOX_DONE && i < mailbox->count; i++) {
        const struct delivery *delivery = &mailbox->deliveries[i];
        struct row_key key = row_key('d', id32, delivery->number);
        if (delivery->number <= after) continue;
        page->more = page->count == limit || (page->count > 0 && page->bytes.length + delivery->length > MAILBOX_PAGE_BYTES_MAX);
        if (page->more) break;
        enum cl_status status = mailboxes->store->get(mailboxes->store->context, &value, NULL, key.bytes, sizeof key.bytes);
        if (status == CL_OK && value.length != delivery->length) status = CL_E_STORE_CORRUPT;
        if (status == CL_OK) status = cl_buffer_append(&page->bytes, value.data, value.length);
        if (status != CL_OK) outcome = MAILBOX_FAILED;
        page->items[page->count].number = delivery->number;
        page->items[page->count++].length = delivery->length;
    }
    cl_buffer_deinit(&value);
    if (outcome != MAILBOX_DONE) {
        cl_buffer_deinit(&page->bytes);
        *page = (struct mailbox_page){ 0 };
    }
    mailboxes->report.fetched += page->count;
    return outcome;
}

void mailboxes_report(const struct mailboxes *mailboxes, struct mailbox_report *out) { *out = mailboxes->report; }

uint64_t mailboxes_deleted_bytes(const struct mailboxes *mailboxes)
{
    return atomic_load(&((struct mailboxes *)(uintptr_t)mailboxes)->deleted_bytes); /* atomics are read through a plain pointer */
}

/* A table in which a row and its deletion lie together is rewritten only where a newer one covers it: two rows at the ends,
   written between two passes, see to that. */
void mailboxes_compact(struct mailboxes *mailboxes)
{
    static const uint8_t ends[2] = { 0x00, 0xff };
    struct cl_store *store = mailboxes->store;
    atomic_store(&mailboxes->deleted_bytes, 0);
    for (int pass = 0; pass < 2; pass++) {
        struct cl_store_batch *batch = store->batch_new(store->context);
        if (batch == NULL) return;
        for (size_t i = 0; i < 2; i++) store->batch_put(batch, &ends[i], 1, ends, 0);
        enum cl_status status = store->batch_write(store->context, batch, false);
        store->batch_free(batch);
        if (status != CL_OK) return; /* the next commit fails too, and tells */
        store->compact(store->context);
    }
}

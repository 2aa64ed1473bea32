/* consent inbox: fetches from the wallet's mailboxes what inbox_parts.c judges. A part is deleted at the node only when it is
   on disk here or was refused; so a command that is killed at any moment loses nothing: what it had taken in twice is known by
   its name. With --follow it waits at all mailboxes at once. */
#include "inbox.h"
#include "sharing.h"

#include <stdlib.h>
#include <time.h>

#define WATCHED_MAX 64u      /* mailboxes waited at at once; more take turns */
#define WAIT_S 50u           /* a long poll */
#define TURN_WAIT_S 2u       /* the same, where they take turns */
#define AGAIN_MS 5000u       /* after a node did not answer */
#define TICK_MS 500u
#define KEPT_MS 5000u        /* parts that came early may be taken now */
#define FLUSH_MS 60000u      /* what could not be sent, and those who could not be told of a change, are tried again */

/* A mailbox that is waited at. Keys move in the wallet, and it is read again: so a copy. */
struct watch { bool used, failed; struct cl_wallet_key key; struct mailbox_poll poll; struct http_transfer *transfer; uint64_t not_before_ms; };

static bool wanted(const struct inbox *inbox, const struct cl_wallet_key *key)
{
    if (!mailbox_key(key) || inbox->only_count == 0)
        return mailbox_key(key);
    for (size_t i = 0; i < inbox->only_count; i++)
        if (mailbox_key_of(key, &inbox->only[i]))
            return true;
    return false;
}

static int page_take(struct inbox *inbox, const struct cl_wallet_key *key, const json_t *page)
{
    const json_t *entry, *list = json_object_get(page, "deliveries");
    uint64_t through = 0;
    size_t position;
    int result = 0;
    opening_forget(&inbox->opening); /* the agreements as they are now */
    json_array_foreach(list, position, entry) {
        const char *bytes = json_string_value(json_object_get(entry, "bytes"));
        inbox->opening.sealed.length = 0;
        if (bytes == NULL || cl_base64_get(&inbox->opening.sealed, bytes, strlen(bytes)) != CL_OK)
            result = output_fail(&inbox->opening.context->output, CL_E_FORMAT, "The node's answer has a delivery without bytes.");
        if (result == 0)
            result = inbox_take(inbox, key);
        if (result != 0)
            break;
        through = (uint64_t)json_integer_value(json_object_get(entry, "number"));
    }
    if (through > 0) {
        int deleted = mailbox_acknowledge(inbox->opening.context, key, through);
        result = result != 0 ? result : deleted;
    }
    return result;
}

/* The node does not have it: it is another than the one where it was opened, or closed it because nobody fetched for long. */
static int open_again(struct inbox *inbox, const struct cl_wallet_key *key)
{
    struct context *context = inbox->opening.context;
    char address[MAILBOX_ADDRESS_SIZE];
    bool opened = false, kept = true;
    int result = mailbox_open(context, key, address, &opened, &kept);
    if (result == 0)
        output_warn(&context->output, "The mailbox of '%s' was not at %s%s", key->name, context->node_url, kept ? " and is opened again; if your contact named another node, write a fresh one with 'consent contact'." : ", which keeps none; --node URL names another.");
    return result;
}

/* Everything that one mailbox has now. */
static int mailbox_take(struct inbox *inbox, const struct cl_wallet_key *key)
{
    struct context *context = inbox->opening.context;
    bool gone = false, more = true;
    int result = 0;
    while (more && result == 0 && !http_interrupted) {
        json_t *page = NULL;
        long again_s = 0;
        result = mailbox_fetch(context, key, &page, &gone, &again_s);
        if (result == 0 && page != NULL)
            result = page_take(inbox, key, page);
        more = json_is_true(json_object_get(page, "more"));
        json_decref(page);
        if (result == 0 && gone)
            result = open_again(inbox, key);
    }
    inbox_refusals_say(inbox);
    return result;
}

/* ---- waiting */

static bool watched(const struct watch *watches, const struct cl_wallet_key *key)
{
    for (size_t i = 0; i < WATCHED_MAX; i++)
        if (watches[i].used && memcmp(watches[i].key.key.bytes, key->key.bytes, 33) == 0)
            return true;
    return false;
}

/* Gives each free place a mailbox that is not waited at, in turns where they are more than places; also those that were
   opened meanwhile. Returns: how many mailboxes there are. */
static size_t places_fill(const struct inbox *inbox, struct watch *watches, size_t *turn)
{
    const struct cl_wallet *wallet = inbox->opening.context->wallet;
    size_t count = 0, place = 0;
    for (size_t i = 0; i < wallet->key_count; i++)
        count += wanted(inbox, &wallet->keys[i]) ? 1 : 0;
    for (size_t i = 0; i < wallet->key_count; i++) {
        const struct cl_wallet_key *key = &wallet->keys[(*turn + i) % wallet->key_count];
        while (place < WATCHED_MAX && watches[place].used)
            place++;
        if (place == WATCHED_MAX) {
            *turn = (*turn + i) % wallet->key_count;
            break;
        }
        if (wanted(inbox, key) && !watched(watches, key)) {
            watches[place].used = true;
            watches[place].failed = false;
            watches[place].not_before_ms = 0;
            watches[place].key = *key;
        }
    }
    return count;
}

/* A fetch that waits, at each place where none is under way. A node that is away does not end this: it comes back. */
static int fetches_start(struct inbox *inbox, struct http_multi *multi, struct watch *watches, unsigned wait_s)
{
    struct context *context = inbox->opening.context;
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < WATCHED_MAX && status == CL_OK && !http_interrupted; i++) {
        struct watch *watch = &watches[i];
        if (!watch->used || time_now_ms() < watch->not_before_ms || (watch->transfer != NULL && http_transfer_busy(watch->transfer)))
            continue;
        if (watch->transfer == NULL)
            status = http_transfer_new(&watch->transfer, multi);
        if (status != CL_OK)
            break;
        context->output.soft = true;
        int result = mailbox_poll_prepare(context, &watch->poll, &watch->key, wait_s);
        context->output.soft = false;
        if (result == 0)
            status = http_transfer_start(watch->transfer, &watch->poll.request);
        for (size_t k = i; result != 0 && k < WATCHED_MAX; k++) /* the others would only say the same */
            watches[k].not_before_ms = time_now_ms() + AGAIN_MS;
    }
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

static int answer_take(struct inbox *inbox, struct watch *watch, enum cl_status status, const struct http_answer *answer)
{
    struct context *context = inbox->opening.context;
    json_t *page = NULL;
    bool gone = false;
    long again_s = 0;
    watch->not_before_ms = 0;
    if (status != CL_OK) {
        if (!watch->failed)
            output_warn(&context->output, "The node at %s does not answer (%s); this goes on when it does.", context->node_url, answer->problem);
        watch->failed = true;
        watch->not_before_ms = time_now_ms() + AGAIN_MS;
        return 0;
    }
    watch->failed = false;
    int result = mailbox_page(context, answer, &page, &gone, &again_s);
    if (result == 0 && page != NULL)
        result = page_take(inbox, &watch->key, page);
    if (result == 0 && json_is_true(json_object_get(page, "more")))
        result = mailbox_take(inbox, &watch->key);
    if (result == 0 && gone)
        result = open_again(inbox, &watch->key);
    if (again_s > 0)
        watch->not_before_ms = time_now_ms() + (uint64_t)(again_s > 30 ? 30 : again_s) * 1000u;
    json_decref(page);
    inbox_refusals_say(inbox);
    watch->used = false; /* its turn is over */
    if (watch->not_before_ms > 0)
        watch->used = true;
    return result;
}

/* Until one is answered. */
static int wait_for_answer(struct context *context, struct http_multi *multi, struct watch *watches)
{
    bool done = false;
    uint64_t until_ms = time_now_ms() + TICK_MS;
    wallet_yield(context);
    while (!done && !http_interrupted && time_now_ms() < until_ms) {
        if (http_multi_wait(multi, TICK_MS) != CL_OK)
            return output_fail(&context->output, CL_E_IO, NULL);
        for (size_t i = 0; i < WATCHED_MAX; i++)
            done = done || (watches[i].transfer != NULL && !http_transfer_busy(watches[i].transfer) && watches[i].used && time_now_ms() >= watches[i].not_before_ms);
    }
    return wallet_resume(context);
}

static int follow(struct inbox *inbox)
{
    struct context *context = inbox->opening.context;
    struct http_multi *multi = NULL;
    struct watch *watches = calloc(WATCHED_MAX, sizeof *watches);
    size_t turn = 0;
    uint64_t flushed_ms = time_now_ms(), kept_ms = flushed_ms;
    enum cl_status status = watches == NULL ? CL_E_MEMORY : http_multi_new(&multi);
    int result = status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
    while (result == 0 && !http_interrupted) {
        size_t count = places_fill(inbox, watches, &turn);
        if (time_now_ms() - flushed_ms > FLUSH_MS) {
            outbox_flush(context);
            flushed_ms = time_now_ms();
            inbox->connected = true;
        }
        if (inbox->connected)
            tell_aside(context);
        inbox->connected = false;
        if (time_now_ms() - kept_ms > KEPT_MS) {
            opening_forget(&inbox->opening);
            result = inbox_take_kept(inbox);
            kept_ms = time_now_ms();
        }
        if (result == 0)
            result = fetches_start(inbox, multi, watches, count > WATCHED_MAX ? TURN_WAIT_S : WAIT_S);
        if (result == 0)
            result = wait_for_answer(context, multi, watches);
        for (size_t i = 0; i < WATCHED_MAX && result == 0; i++) {
            const struct http_answer *answer = NULL;
            if (watches[i].transfer != NULL && http_transfer_done(watches[i].transfer, &status, &answer))
                result = answer_take(inbox, &watches[i], status, answer);
        }
    }
    for (size_t i = 0; watches != NULL && i < WATCHED_MAX; i++)
        http_transfer_free(watches[i].transfer);
    http_multi_free(multi);
    free(watches);
    return result;
}

/* ---- the command */

static int fetch_all(struct inbox *inbox)
{
    struct context *context = inbox->opening.context;
    size_t mailboxes = 0;
    for (size_t i = 0; i < context->wallet->key_count; i++)
        mailboxes += wanted(inbox, &context->wallet->keys[i]) ? 1 : 0;
    if (mailboxes == 0)
        return output_fail(&context->output, CL_E_NOT_FOUND, inbox->only_count > 0 ? "There is no mailbox for that; 'consent contact AGREEMENT -o FILE' opens one." : "This wallet has no mailbox yet: one is opened when you hand over an offer or a code, or answer one; 'consent contact AGREEMENT -o FILE' opens one too.");
    outbox_flush(context);
    int result = inbox_take_kept(inbox);
    inbox_refusals_say(inbox);
    for (size_t i = 0; i < context->wallet->key_count && result == 0 && !http_interrupted; i++) {
        struct cl_wallet_key key = context->wallet->keys[i]; /* they move when one is added */
        if (wanted(inbox, &key))
            result = mailbox_take(inbox, &key);
    }
    if (result == 0)
        tell_aside(context);
    inbox->connected = false;
    if (result == 0 && flag(context, "--follow"))
        return follow(inbox);
    if (result == 0 && inbox->arrived == 0 && inbox->refused == 0)
        output_say(&context->output, "Nothing has arrived.");
    return result;
}

/* The agreements and offers that it is limited to. */
static int names_take(struct inbox *inbox)
{
    struct context *context = inbox->opening.context;
    for (; inbox->only_count < context->positional_count; inbox->only_count++) {
        const char *text = positional(context, inbox->only_count);
        struct cl_wallet_item *item = NULL;
        enum cl_status status = cl_wallet_item_find(&item, context->wallet, text);
        if (status == CL_E_ARGUMENT)
            return output_usage(&context->output, "'%.64s' fits several entries; give more digits.", text);
        if (status != CL_OK && !id_parse(&inbox->only[inbox->only_count], text))
            return output_fail(&context->output, CL_E_NOT_FOUND, "'%.70s'; 'consent list' shows what this wallet has.", text);
        if (status == CL_OK)
            inbox->only[inbox->only_count] = item->object;
    }
    return 0;
}

int run_inbox(struct context *context)
{
    struct inbox inbox = {.opening = {.context = context, .many = true, .opened = {.secret = true}}, .folder = option(context, "--to")};
    context->output.lines = true;
    int result = network_open(context);
    if (result == 0)
        result = names_take(&inbox);
    if (result == 0)
        result = inbox_folders(&inbox);
    if (result == 0)
        result = fetch_all(&inbox);
    if (result == 0 && http_interrupted)
        result = output_fail(&context->output, CL_E_CANCELLED, NULL);
    opening_forget(&inbox.opening);
    cl_buffer_deinit(&inbox.opening.sealed);
    cl_buffer_wipe(&inbox.opening.opened);
    return result;
}

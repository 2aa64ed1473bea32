/* One command changes a phone number, and 10,000 subscribers of one TERMS are told: the real `consent`, a wallet with 10,000
   agreements, each with a contact of its own, a real node, 10,000 mailboxes. The time is that of the whole command, from opening
   the wallet to the last link written. Beside it, in turns, what it cannot do without: as many parts sealed, and as many
   put into these mailboxes by a client that does nothing else, each by one thread. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "consent/exchange.h"
#include "consent/terms.h"
#include "consent/wallet.h"
#include "crypto.h"
#include "feed.h"
#include "files.h"
#include "mailboxes.h"

enum { ROUNDS = 3, SUBSCRIBERS = 10000, CONNECTIONS = 32, SEALED = 2000, BYTES = 1024, SETTLE_MS = 120000 };

static const char terms_text[] = "proffered-by: customer\ntitle: How to reach me\nlanguage: en\nwithdraw: at any node\n\n"
                                 "[slot 1 phone]\ncategory: pd:TelephoneNumber\npurposes: dpv:ServiceProvision\n";
static const char passphrase[] = "correct horse battery staple";

struct subscriber { uint8_t secret32[32]; struct cl_public_key key; struct cl_object_id agreement; };
struct bench {
    struct cl_network_id network;
    struct node *node;
    char directory[4096], program[4200], wallet[4200], said[4200];
    struct cl_object_id terms;
    struct subscriber subscribers[SUBSCRIBERS];
    char mailboxes[SUBSCRIBERS][65];
};
static struct bench bench;

static enum cl_status sign(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    return cl_ecdsa_sign(signature64, ((const struct subscriber *)context)->secret32, digest32);
}

static struct cl_signer signer_of(struct subscriber *subscriber)
{
    return (struct cl_signer){ .context = subscriber, .sign = sign, .key = subscriber->key };
}

/* ---- the command line */

static void write_file(const char *name, const char *text)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", bench.directory, name);
    bench_need(file_write(path, (const uint8_t *)text, strlen(text), 0600, false), path);
}

/* Runs it as its user would. Returns: seconds. What it says is in bench.said. */
static double consent(char *const words[])
{
    posix_spawn_file_actions_t actions;
    extern char **environ;
    pid_t child;
    int status = 0;
    uint64_t begin = bench_now_ns();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, bench.said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    if (posix_spawn(&child, bench.program, &actions, NULL, words, environ) != 0 || waitpid(child, &status, 0) != child) bench_fail("%s cannot be run", bench.program);
    posix_spawn_file_actions_destroy(&actions);
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) bench_fail("consent %s %s: status %d; see %s", words[1], words[2], status, bench.said);
    return seconds;
}
#define CONSENT(...) consent((char *[]){ (char *)"consent", __VA_ARGS__, NULL })
#define W(text) (char *)(uintptr_t)(text)

static void expect_said(const char *text)
{
    struct cl_buffer said = { 0 };
    bench_need(file_read(&said, bench.said, 1 << 20), bench.said);
    bench_need(cl_buffer_append(&said, "", 1), "memory");
    if (strstr((const char *)said.data, text) == NULL) bench_fail("the command did not say '%s' but: %.600s", text, (const char *)said.data);
    cl_buffer_deinit(&said);
}

/* ---- those who subscribe */

static void subscribe_all(const uint8_t commitment32[32])
{
    static struct cl_buffer records[SUBSCRIBERS];
    static struct cl_view views[SUBSCRIBERS];
    for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *subscriber = &bench.subscribers[i];
        struct cl_signer signer;
        uint8_t nonce[32];
        struct cl_entry entry = { .present = CL_HAS(1) | CL_HAS(3) | CL_HAS(8) | CL_HAS(9), .object = nonce, .object_length = 16, .commitment = commitment32, .ref = bench.terms.bytes, .slots = 2 };
        struct cl_draft draft = { .type = CL_SUBSCRIBE, .issued_at_ms = (uint64_t)time(NULL) * 1000u, .entries = &entry, .entry_count = 1 };
        bench_need(cl_random_bytes(subscriber->secret32, 32), "a key");
        bench_need(cl_random_bytes(nonce, sizeof nonce), "a nonce");
        bench_need(cl_public_key_of(subscriber->key.bytes, subscriber->secret32), "a key");
        cl_object_id_derive(&subscriber->agreement, subscriber->key.bytes, nonce);
        signer = signer_of(subscriber);
        bench_need(cl_record_sign(&records[i], NULL, NULL, &draft, &signer, &bench.network), "a subscription");
        views[i] = (struct cl_view){ records[i].data, records[i].length };
    }
    struct node_counters counters;
    node_counters(bench.node, &counters);
    uint64_t before = counters.final_records;
    for (uint32_t at = 0; at < SUBSCRIBERS; at += 1000) bench_need(node_submit_batch(bench.node, &views[at], 1000, 0), "subscribing");
    for (unsigned waited_ms = 0; counters.final_records < before + SUBSCRIBERS; waited_ms += 50) {
        if (waited_ms > SETTLE_MS) bench_fail("only %llu subscriptions are final", (unsigned long long)(counters.final_records - before));
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
        node_counters(bench.node, &counters);
    }
    for (uint32_t i = 0; i < SUBSCRIBERS; i++) cl_buffer_deinit(&records[i]);
}

/* One part into each mailbox, by one thread with as many requests under way as `consent` has. Returns: deposits a second. */
static double deposit_rate(void)
{
    int sockets[CONNECTIONS];
    char answer[BENCH_ANSWER_MAX], head[512];
    uint8_t body[BYTES];
    bench_need(cl_random_bytes(body, sizeof body), "noise");
    for (uint32_t i = 0; i < CONNECTIONS; i++) sockets[i] = bench_connect(node_url(bench.node));
    uint64_t begin = bench_now_ns();
    for (uint32_t i = 0; i < SUBSCRIBERS + CONNECTIONS; i++) {
        int handle = sockets[i % CONNECTIONS];
        unsigned status = i < CONNECTIONS ? 201 : bench_receive(handle, answer, NULL);
        if (status != 201) bench_fail("answered with %u: %.300s", status, answer);
        if (i >= SUBSCRIBERS) continue;
        memcpy(body, &i, sizeof i);
        snprintf(head, sizeof head, "POST /v1/mailboxes/%s/deliveries HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", bench.mailboxes[i], BYTES);
        bench_send(handle, head, body, sizeof body);
    }
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    for (uint32_t i = 0; i < CONNECTIONS; i++) close(sockets[i]);
    return SUBSCRIBERS / seconds;
}

/* ---- the wallet of the one who tells */

static void add_agreements(struct cl_wallet *wallet)
{
    for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
        struct cl_wallet_item *item = NULL, *terms = cl_wallet_item_of(wallet, &bench.terms);
        char name[32], key_name[CL_NAME_BYTES_MAX + 1];
        struct cl_buffer body = { 0 };
        memcpy(key_name, terms->key_name, sizeof key_name);
        bench_need(cl_buffer_append(&body, terms->bodies[0].data, terms->bodies[0].length), "memory");
        snprintf(name, sizeof name, "friends.%u", i + 1);
        bench_need(cl_wallet_item_add(wallet, &item, name, CL_ITEM_AGREEMENT, &bench.subscribers[i].agreement), name);
        item->role = CL_SIDE_CUSTOMER;
        memcpy(item->key_name, key_name, sizeof key_name);
        item->terms.present = true;
        memcpy(item->terms.bytes, bench.terms.bytes, 32);
        item->party.length = 33;
        memcpy(item->party.bytes, bench.subscribers[i].key.bytes, 33);
        bench_need(cl_wallet_item_body_add(item, body.data, body.length), "a body");
        cl_buffer_deinit(&body);
    }
}

/* As each subscriber would have sent it. */
static void add_contacts(const struct cl_store *store)
{
    struct cl_exchange *group = calloc(CL_EXCHANGE_SAVE_MAX, sizeof *group);
    struct cl_object_id ids[CL_EXCHANGE_SAVE_MAX];
    if (!group) bench_fail("no memory");
    for (uint32_t at = 0, count; at < SUBSCRIBERS; at += count) {
        count = SUBSCRIBERS - at < CL_EXCHANGE_SAVE_MAX ? SUBSCRIBERS - at : CL_EXCHANGE_SAVE_MAX;
        for (uint32_t i = 0; i < count; i++) {
            struct subscriber *subscriber = &bench.subscribers[at + i];
            struct cl_signer signer = signer_of(subscriber);
            char address[128];
            int length = snprintf(address, sizeof address, "bench/%s", bench.mailboxes[at + i]);
            struct cl_contact contact = { .network = bench.network, .agreement = subscriber->agreement, .side = CL_SIDE_ORGANISATION, .made_ms = (uint64_t)time(NULL) * 1000u, .mailbox_count = 1 };
            contact.mailboxes[0] = (struct cl_view){ (const uint8_t *)address, (size_t)length };
            cl_delivery_key_of(contact.delivery32, subscriber->secret32);
            ids[i] = subscriber->agreement;
            bench_need(cl_contact_sign(&group[i].contact, &contact, &signer), "a contact");
        }
        bench_need(cl_exchange_save_all(group, ids, count, store), "contacts");
        for (uint32_t i = 0; i < count; i++) cl_exchange_deinit(&group[i]);
    }
    free(group);
}

static void fill_wallet(void)
{
    struct cl_buffer file = { 0 }, sealed = { 0 };
    struct cl_wallet *wallet = NULL;
    struct cl_wallet_item *terms = NULL;
    struct cl_body_file body;
    struct cl_commitment commitment;
    struct cl_store *store = NULL;
    char folder[4300];
    snprintf(folder, sizeof folder, "%s.store", bench.wallet);
    bench_need(file_read(&file, bench.wallet, 1 << 26), bench.wallet);
    bench_need(cl_wallet_open(&wallet, file.data, file.length, passphrase, strlen(passphrase)), "the wallet");
    bench_need(cl_store_open(&store, folder, wallet), "the wallet's folder");
    bench_need(cl_wallet_item_find(&terms, wallet, "friends"), "the terms");
    bench.terms = terms->object;
    bench_need(cl_body_file_decode(&body, terms->bodies[0].data, terms->bodies[0].length), "the terms' body");
    cl_body_file_commitment(&commitment, &body);
    subscribe_all(commitment.bytes);
    bench_say("%d subscriptions are final", SUBSCRIBERS);
    add_agreements(wallet);
    bench_need(cl_store_save_keys(store, wallet), "keys");
    bench_need(cl_wallet_seal(&sealed, wallet, NULL, 0), "the wallet");
    bench_need(cl_file_replace(bench.wallet, sealed.data, sealed.length, true), bench.wallet);
    add_contacts(store);
    cl_store_free(store);
    cl_wallet_free(wallet);
    cl_buffer_deinit(&file);
    cl_buffer_deinit(&sealed);
}

/* ---- the limit */

/* Parts a second that one thread seals. */
static double seal_rate(void)
{
    struct subscriber *sender = &bench.subscribers[0];
    struct cl_signer signer = signer_of(sender);
    struct cl_delivery delivery = { .network = bench.network, .agreement = bench.terms, .from = CL_SIDE_CUSTOMER, .has_slot = true, .slot = 1, .kind = CL_DELIVERY_CHANGE, .sent_ms = 1, .media_type = "text/plain" };
    struct cl_buffer sealed = { 0 };
    uint8_t recipient[32];
    cl_delivery_key_of(recipient, sender->secret32);
    bench_need(cl_delivery_measure(&delivery, "+31 6 1111 1111", 15), "measure");
    uint64_t begin = bench_now_ns();
    for (uint32_t i = 0; i < SEALED; i++) {
        sealed.length = 0;
        memcpy(delivery.id16, &i, sizeof i);
        bench_need(cl_delivery_seal(&sealed, &delivery, 0, (const uint8_t *)"+31 6 1111 1111", 15, &signer, recipient), "sealing");
    }
    double rate = SEALED / ((double)(bench_now_ns() - begin) / 1e9);
    cl_buffer_deinit(&sealed);
    return rate;
}

static void start(const struct bench_context *context)
{
    struct node_options options = { .on_stop = NULL };
    char sentence[512];
    bench_home(&bench.network, context);
    bench_temporary(bench.directory, context->data);
    bench_home_copy(context, bench.directory);
    node_config_default(&options.config);
    snprintf(options.config.data, sizeof options.config.data, "%.1000s", bench.directory);
    snprintf(options.config.listen, sizeof options.config.listen, "127.0.0.1:0");
    bench_mailboxes_make(bench.directory, bench.mailboxes, SUBSCRIBERS);
    options.config.mailboxes_bytes_per_s = 1073741824; /* the command is measured, not what a node lets it do */
    if (node_start(&bench.node, &options, sentence, sizeof sentence) != CL_OK) bench_fail("the node: %s", sentence);
    snprintf(bench.program, sizeof bench.program, "%s/consent", context->build);
    snprintf(bench.wallet, sizeof bench.wallet, "%s/wallet", bench.directory);
    snprintf(bench.said, sizeof bench.said, "%s/said", bench.directory);
    char path[4200];
    snprintf(path, sizeof path, "%s/passphrase", bench.directory);
    setenv("CONSENT_NODE", node_url(bench.node), 1);
    setenv("CONSENT_WALLET", bench.wallet, 1);
    setenv("CONSENT_PASSPHRASE_FILE", path, 1);
    setenv("XDG_CONFIG_HOME", bench.directory, 1);
    write_file("passphrase", passphrase);
    write_file("terms.txt", terms_text);
    write_file("value", "+31 6 0000 0000");
}

int main(int argc, char **argv)
{
    struct bench_context context;
    char terms[4200], value[4200], number[64];
    bench_begin(&context, argc, argv, "tell");
    start(&context);
    snprintf(terms, sizeof terms, "%s/terms.txt", bench.directory);
    snprintf(value, sizeof value, "%s/value", bench.directory);
    CONSENT(W("key"), W("new"), W("--name"), W("anna"), W("--no-ask"));
    CONSENT(W("terms"), W("publish"), terms, W("--limit"), W("10000"), W("--standing"), W("--name"), W("friends"));
    CONSENT(W("vault"), W("put"), W("phone"), W("--category"), W("pd:TelephoneNumber"), value);
    uint64_t begin = bench_now_ns();
    fill_wallet();
    bench_say("%d have subscribed, and the wallet has their contacts, after %.1f s", SUBSCRIBERS, (double)(bench_now_ns() - begin) / 1e9);
    CONSENT(W("vault"), W("share"), W("phone"), W("friends"), W("--no-tell"));
    struct bench_figure rate = { .name = "tell", .unit = "subscribers/s", .limit_name = "sealed, then put there, by a thread each", .kind = BENCH_AT_LEAST, .target = 0.5 };
    double sealing_before = seal_rate(), deposits_before = deposit_rate();
    for (unsigned round = 0; round < ROUNDS; round++) {
        snprintf(number, sizeof number, "+31 6 1111 %04u", round);
        write_file("value", number);
        double seconds = CONSENT(W("vault"), W("change"), W("phone"), value);
        expect_said("told 10000 of 10000"); 
        double sealing = seal_rate(), deposits = deposit_rate();
        double seal = (sealing_before + sealing) / 2, deposit = (deposits_before + deposits) / 2;
        bench_round(&rate, SUBSCRIBERS / seconds, 1 / (1 / seal + 1 / deposit));
        bench_say("round %u: %d told in %.2f s, the whole command; %.0f/s sealed, %.0f/s deposited alone", round + 1, SUBSCRIBERS, seconds, seal, deposit);
        sealing_before = sealing;
        deposits_before = deposits;
    }
    (void)node_stop(bench.node);
    bench_report(&context, &rate);
    bench_remove_tree(bench.directory);
    return 0;
}

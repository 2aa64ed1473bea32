/* Deliveries of 1 KiB put into mailboxes of one node over HTTP, each durable before it is answered. Beside it, in turns, what
   the disk can do at best (as many clients, one synced append for all of them), and what the same clients get of the same
   server for a question that needs nothing but an answer. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feed.h"
#include "mailboxes.h"

enum { ROUNDS = 5, PER_ROUND = 20000, CLIENTS = 32, MAILBOXES = 128, BYTES = 1024, APPENDS_NS = 500000000 };

struct client { pthread_t thread; char ids[MAILBOXES][65]; uint64_t first; bool deposit; int socket; };

static void *run(void *context)
{
    struct client *client = context;
    char answer[BENCH_ANSWER_MAX], head[512];
    uint8_t body[BYTES] = { 0 };
    for (uint64_t i = 0; i < PER_ROUND / CLIENTS; i++) {
        uint64_t number = client->first + i;
        memcpy(body, &number, sizeof number);
        if (client->deposit)
            snprintf(head, sizeof head, "POST /v1/mailboxes/%s/deliveries HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n",
                     client->ids[number % MAILBOXES], BYTES);
        else snprintf(head, sizeof head, "GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n");
        unsigned status = bench_exchange(client->socket, head, body, client->deposit ? BYTES : 0, answer, NULL);
        if (status != (client->deposit ? 201u : 200u)) bench_fail("answered with %u: %.300s", status, answer);
    }
    return NULL;
}

/* Returns: requests a second of all clients together. */
static double turn(struct client *clients, uint64_t first, bool deposit)
{
    uint64_t begin = bench_now_ns();
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].first = first + i * (PER_ROUND / CLIENTS);
        clients[i].deposit = deposit;
        if (pthread_create(&clients[i].thread, NULL, run, &clients[i]) != 0) bench_fail("no thread");
    }
    for (unsigned i = 0; i < CLIENTS; i++) pthread_join(clients[i].thread, NULL);
    return (double)PER_ROUND / ((double)(bench_now_ns() - begin) / 1e9);
}

/* Deliveries a second where all clients' are one append and its sync, and nothing else is done. */
static double appends(const char *directory)
{
    static const uint8_t block[CLIENTS * BYTES];
    char path[4200];
    uint64_t count = 0, begin = bench_now_ns();
    snprintf(path, sizeof path, "%s/appends", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) bench_fail("%s cannot be made", path);
    for (; bench_now_ns() - begin < APPENDS_NS; count++)
        if (write(file, block, sizeof block) != (ssize_t)sizeof block || fdatasync(file) != 0) bench_fail("%s cannot be written", path);
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    close(file);
    return (double)count * CLIENTS / seconds;
}

int main(int argc, char **argv)
{
    struct bench_context context;
    struct cl_network_id network;
    struct node_options options = { .on_stop = NULL };
    struct node *node;
    char directory[4096], sentence[512];
    static struct client clients[CLIENTS];
    bench_begin(&context, argc, argv, "mailbox");
    bench_home(&network, &context);
    bench_temporary(directory, context.data);
    bench_home_copy(&context, directory);
    node_config_default(&options.config);
    snprintf(options.config.data, sizeof options.config.data, "%.1000s", directory);
    snprintf(options.config.listen, sizeof options.config.listen, "127.0.0.1:0");
    options.config.mailbox_deposits_per_s = 1000000; /* the node is measured, not what it lets one mailbox do */
    options.config.mailboxes_bytes_per_s = 1073741824;
    if (node_start(&node, &options, sentence, sizeof sentence) != CL_OK) bench_fail("the node: %s", sentence);
    for (unsigned i = 0; i < CLIENTS; i++) clients[i].socket = bench_connect(node_url(node));
    for (uint32_t i = 0; i < MAILBOXES; i++) bench_mailbox_open(clients[0].socket, clients[0].ids[i], i, &network);
    for (unsigned i = 1; i < CLIENTS; i++) memcpy(clients[i].ids, clients[0].ids, sizeof clients[0].ids);
    struct bench_figure rate = { .name = "mailbox", .unit = "deliveries/s", .limit_name = "in synced appends of 32 KiB", .kind = BENCH_AT_LEAST, .target = 0.5 };
    struct bench_figure plain = { .name = "mailbox/requests", .unit = "deliveries/s", .limit_name = "GET /livez a second" };
    double before = turn(clients, 0, false), disk_before = appends(directory);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double deposited = turn(clients, (uint64_t)round * PER_ROUND, true), after = turn(clients, 0, false), disk = appends(directory);
        bench_round(&rate, deposited, (disk_before + disk) / 2);
        bench_round(&plain, deposited, (before + after) / 2);
        bench_say("round %u: %.0f deliveries/s of %d bytes, durable; %.0f in appends alone; %.0f plain requests/s", round + 1, deposited, BYTES, disk, after);
        before = after;
        disk_before = disk;
    }
    for (unsigned i = 0; i < CLIENTS; i++) close(clients[i].socket);
    (void)node_stop(node);
    bench_report(&context, &rate);
    bench_report(&context, &plain);
    bench_remove_tree(directory);
    return 0;
}

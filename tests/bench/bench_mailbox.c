/* Deliveries of 1 KiB put into mailboxes of one node over HTTP, each durable before it is answered. Beside it, in turns, what
   the disk can do at best (as many clients, one synced append for all of them), and what the same clients get of the same
   server for a question that needs nothing but an answer. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consent/record.h"
#include "crypto.h"
#include "feed.h"
#include "files.h"

enum { ROUNDS = 5, PER_ROUND = 20000, CLIENTS = 32, MAILBOXES = 128, BYTES = 1024, ANSWER_MAX = 16384, APPENDS_NS = 500000000 };

struct client { pthread_t thread; char ids[MAILBOXES][65]; uint64_t first; bool deposit; int socket; };

static int connect_to(const char *url)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    unsigned port = 0;
    if (sscanf(url, "http://127.0.0.1:%u", &port) != 1) bench_fail("%s is not on 127.0.0.1", url);
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (handle < 0 || connect(handle, (struct sockaddr *)&address, sizeof address) != 0) bench_fail("no connection to %s", url);
    return handle;
}

/* Sends one request and reads its answer whole. Returns: its status; body: where the body begins, ended by a zero. */
static unsigned exchange(int handle, const char *head, const void *body, size_t length, char answer[ANSWER_MAX], const char **text)
{
    char request[2048 + BYTES];
    size_t head_length = strlen(head), got = 0, whole = SIZE_MAX;
    memcpy(request, head, head_length);
    if (length > 0) memcpy(request + head_length, body, length);
    if (send(handle, request, head_length + length, MSG_NOSIGNAL) != (ssize_t)(head_length + length)) bench_fail("a request was cut");
    while (got < whole) {
        ssize_t came = recv(handle, answer + got, ANSWER_MAX - 1 - got, 0);
        if (came <= 0) bench_fail("an answer was cut");
        got += (size_t)came;
        answer[got] = '\0';
        char *end = strstr(answer, "\r\n\r\n"), *size = strcasestr(answer, "\r\nContent-Length: ");
        if (end == NULL || whole != SIZE_MAX) continue;
        if (size == NULL) bench_fail("an answer without its length");
        whole = (size_t)(end + 4 - answer) + strtoul(size + 18, NULL, 10);
        if (text != NULL) *text = end + 4;
    }
    return (unsigned)strtoul(answer + 9, NULL, 10);
}

/* With a key of its own, as a holder does. Out: its id in hex. */
static void open_mailbox(int handle, char id_hex[65], uint32_t number, const struct cl_network_id *network)
{
    static char answer[ANSWER_MAX];
    uint8_t secret[32], key[33], nonce[32], digest[32], signature[64];
    char key_hex[67], signature_hex[129], nonce_hex[65], head[1024];
    const char *text = NULL;
    struct cl_hash id;
    struct cl_sha256 hash;
    cl_sha256_once(secret, &number, sizeof number);
    bench_need(cl_public_key_of(key, secret), "key");
    cl_mailbox_derive(&id, key);
    hex_encode(id_hex, id.bytes, 32);
    hex_encode(key_hex, key, 33);
    snprintf(head, sizeof head, "GET /v1/challenge?key=%s HTTP/1.1\r\nHost: bench\r\n\r\n", key_hex);
    if (exchange(handle, head, NULL, 0, answer, &text) != 200 || (text = strstr(text, "\"nonce\"")) == NULL) bench_fail("no challenge");
    text = strchr(text + 7, '"') + 1;
    memcpy(nonce_hex, text, 64);
    nonce_hex[64] = '\0';
    if (!hex_decode(nonce, 32, nonce_hex, 64)) bench_fail("a challenge that is none");
    cl_sha256_domain(&hash, "consent/v1 challenge");
    cl_sha256_update(&hash, network->bytes, 32);
    cl_sha256_update(&hash, nonce, 32);
    cl_sha256_update(&hash, key, 33);
    cl_sha256_final(&hash, digest);
    bench_need(cl_ecdsa_sign(signature, secret, digest), "signature");
    hex_encode(signature_hex, signature, 64);
    snprintf(head, sizeof head, "PUT /v1/mailboxes/%s HTTP/1.1\r\nHost: bench\r\nConsent-Key: %s\r\nConsent-Challenge: %s\r\nConsent-Signature: %s\r\nContent-Length: 0\r\n\r\n",
             id_hex, key_hex, nonce_hex, signature_hex);
    unsigned status = exchange(handle, head, NULL, 0, answer, NULL);
    if (status != 201) bench_fail("a mailbox was not opened: %u", status);
}

static void *run(void *context)
{
    struct client *client = context;
    char answer[ANSWER_MAX], head[512];
    uint8_t body[BYTES] = { 0 };
    for (uint64_t i = 0; i < PER_ROUND / CLIENTS; i++) {
        uint64_t number = client->first + i;
        memcpy(body, &number, sizeof number);
        if (client->deposit)
            snprintf(head, sizeof head, "POST /v1/mailboxes/%s/deliveries HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n",
                     client->ids[number % MAILBOXES], BYTES);
        else snprintf(head, sizeof head, "GET /livez HTTP/1.1\r\nHost: bench\r\n\r\n");
        unsigned status = exchange(client->socket, head, body, client->deposit ? BYTES : 0, answer, NULL);
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
    for (unsigned i = 0; i < CLIENTS; i++) clients[i].socket = connect_to(node_url(node));
    for (uint32_t i = 0; i < MAILBOXES; i++) open_mailbox(clients[0].socket, clients[0].ids[i], i, &network);
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

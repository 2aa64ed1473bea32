/* Plain HTTP on one connection: as little of a client as measures the server and not itself. */
#include "mailboxes.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto.h"
#include "files.h"
#include "mailbox.h"
#include "measure.h"

int bench_connect(const char *url)
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

void bench_send(int handle, const char *head, const void *body, size_t length)
{
    char request[2048 + BENCH_BODY_MAX];
    size_t head_length = strlen(head);
    if (length > BENCH_BODY_MAX || head_length > 2048) bench_fail("a request is too long");
    memcpy(request, head, head_length);
    if (length > 0) memcpy(request + head_length, body, length);
    if (send(handle, request, head_length + length, MSG_NOSIGNAL) != (ssize_t)(head_length + length)) bench_fail("a request was cut");
}

unsigned bench_receive(int handle, char answer[BENCH_ANSWER_MAX], const char **text)
{
    size_t got = 0, whole = SIZE_MAX;
    while (got < whole) {
        ssize_t came = recv(handle, answer + got, BENCH_ANSWER_MAX - 1 - got, 0);
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

unsigned bench_exchange(int handle, const char *head, const void *body, size_t length, char answer[BENCH_ANSWER_MAX], const char **text)
{
    bench_send(handle, head, body, length);
    return bench_receive(handle, answer, text);
}

void bench_mailbox_open(int handle, char id_hex[65], uint32_t number, const struct cl_network_id *network)
{
    char answer[BENCH_ANSWER_MAX];
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
    if (bench_exchange(handle, head, NULL, 0, answer, &text) != 200 || (text = strstr(text, "\"nonce\"")) == NULL) bench_fail("no challenge");
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
    unsigned status = bench_exchange(handle, head, NULL, 0, answer, NULL);
    if (status != 201) bench_fail("a mailbox was not opened: %u", status);
}

void bench_mailboxes_make(const char *data, char (*ids_hex)[65], uint32_t count)
{
    const struct mailbox_limits limits = { .mailboxes_max = count, .bytes_max = 1 << 30, .deliveries_max = count, .mailbox_bytes_max = 1 << 20, .mailbox_deliveries_max = 1,
                                           .deposits_per_s = 1, .bytes_per_s = 1, .opens_per_s = count, .delivery_days = 1, .unfetched_days = 1 };
    const struct mailbox_time now = { .wall_ms = (uint64_t)time(NULL) * 1000u, .monotonic_ms = bench_now_ns() / 1000000u };
    struct cl_store store;
    struct cl_store_options options;
    struct mailboxes *mailboxes = NULL;
    char path[4200], sentence[512] = "";
    snprintf(path, sizeof path, "%s/mailboxes", data);
    cl_store_options_default(&options);
    options.create = true;
    bench_need(cl_store_leveldb_open(&store, path, &options, sentence, sizeof sentence), path);
    bench_need(mailboxes_new(&mailboxes, &store, &limits), "mailboxes");
    for (uint32_t i = 0; i < count; i++) {
        uint8_t id[32];
        bench_need(cl_random(id, sizeof id), "an id");
        if (mailbox_open(mailboxes, id, &now) != MAILBOX_DONE) bench_fail("a mailbox was not opened");
        hex_encode(ids_hex[i], id, 32);
    }
    bench_need(mailboxes_commit(mailboxes), "mailboxes");
    mailboxes_free(mailboxes);
    store.close(store.context);
}

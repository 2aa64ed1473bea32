/* One nng TLS round trip: a REQ and a REP socket in one process, over tls+tcp on loopback with certificates on both sides.
   nng's own sockets on purpose: they are the limit that finality is measured against, whatever our links make of it. */
#include "roundtrip.h"

#include <arpa/inet.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys.h"

enum { TRIPS = 200, MESSAGE_BYTES = 64 };

struct bench_roundtrip {
    nng_socket asking, answering;
    pthread_t answerer;
    char names[2][16], certificates[2][NODE_PEM_BYTES_MAX], keys[2][NODE_PEM_BYTES_MAX];
};

static void need(int result, const char *what)
{
    if (result != 0) bench_fail("%s: %s", what, nng_strerror(result));
}

static void *answer(void *context)
{
    struct bench_roundtrip *roundtrip = context;
    nng_msg *message;
    while (nng_recvmsg(roundtrip->answering, &message, 0) == 0)
        if (nng_sendmsg(roundtrip->answering, message, 0) != 0) nng_msg_free(message);
    return NULL;
}

static void ask(struct bench_roundtrip *roundtrip)
{
    uint8_t message[MESSAGE_BYTES] = { 0 };
    size_t length = sizeof message;
    need(nng_send(roundtrip->asking, message, sizeof message, 0), "asking");
    need(nng_recv(roundtrip->asking, message, &length, 0), "the answer");
}

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    if (socket_ < 0 || bind(socket_, (struct sockaddr *)&address, sizeof address) != 0 || getsockname(socket_, (struct sockaddr *)&address, &length) != 0)
        bench_fail("no free port");
    close(socket_);
    return ntohs(address.sin_port);
}

static nng_tls_config *tls(struct bench_roundtrip *roundtrip, unsigned own)
{
    nng_tls_config *made;
    need(nng_tls_config_alloc(&made, own == 0 ? NNG_TLS_MODE_CLIENT : NNG_TLS_MODE_SERVER), "TLS");
    need(nng_tls_config_auth_mode(made, NNG_TLS_AUTH_MODE_REQUIRED), "TLS");
    need(nng_tls_config_own_cert(made, roundtrip->certificates[own], roundtrip->keys[own], NULL), "an own certificate");
    need(nng_tls_config_ca_chain(made, roundtrip->certificates[1 - own], NULL), "the other certificate");
    if (own == 0) need(nng_tls_config_server_name(made, roundtrip->names[1]), "a name");
    return made;
}

struct bench_roundtrip *bench_roundtrip_new(void)
{
    struct bench_roundtrip *made = calloc(1, sizeof *made);
    char url[64], words[256];
    nng_listener listener;
    nng_dialer dialer;
    if (!made) bench_fail("out of memory");
    for (unsigned i = 0; i < 2; i++) {
        snprintf(made->names[i], sizeof made->names[i], "end-%u", i);
        bench_need(node_certificate_make(made->certificates[i], made->keys[i], made->names[i], words, sizeof words), "certificate");
    }
    snprintf(url, sizeof url, "tls+tcp://127.0.0.1:%u", free_port());
    nng_tls_config *client = tls(made, 0), *server = tls(made, 1);
    need(nng_rep0_open(&made->answering), "a socket");
    need(nng_req0_open(&made->asking), "a socket");
    need(nng_socket_set_ms(made->asking, NNG_OPT_RECVTIMEO, 10000), "a time limit");
    need(nng_listener_create(&listener, made->answering, url), "a listener");
    need(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, server), "TLS");
    need(nng_listener_start(listener, 0), "listening");
    need(nng_dialer_create(&dialer, made->asking, url), "a dialer");
    need(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, client), "TLS");
    need(nng_dialer_start(dialer, 0), "dialling");
    nng_tls_config_free(client);
    nng_tls_config_free(server);
    if (pthread_create(&made->answerer, NULL, answer, made) != 0) bench_fail("no thread");
    ask(made);
    return made;
}

void bench_roundtrip_free(struct bench_roundtrip *roundtrip)
{
    nng_close(roundtrip->asking);
    nng_close(roundtrip->answering);
    pthread_join(roundtrip->answerer, NULL);
    free(roundtrip);
}

double bench_roundtrip_seconds(struct bench_roundtrip *roundtrip)
{
    struct bench_series trips = { 0 };
    for (size_t i = 0; i < TRIPS; i += TRIPS / 40) { /* medians of five */
        uint64_t begin = bench_now_ns();
        for (int k = 0; k < TRIPS / 40; k++) ask(roundtrip);
        bench_add(&trips, (double)(bench_now_ns() - begin) / 1e9 / (TRIPS / 40));
    }
    return bench_median(&trips);
}

/* Two transports in one process; one asks, the other answers at once. */
#include "roundtrip.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "consent/record.h"
#include "crypto.h"
#include "keys.h"
#include "transport.h"

enum { TRIPS = 200, PORT = 24760 };

struct end { char name[16], certificate[NODE_PEM_BYTES_MAX], key[NODE_PEM_BYTES_MAX], address[32], ask_address[32]; uint8_t vote_seed[32], vote[32]; };
struct bench_roundtrip {
    struct end ends[2];
    struct transport *transports[2];
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    enum transport_outcome outcome;
};

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void on_frame(void *context, size_t sender, const struct frame *frame)
{
    (void)context, (void)sender, (void)frame;
}

static void on_question(void *context, size_t sender, const struct frame *frame, struct transport_question *question)
{
    (void)context, (void)sender;
    if (transport_answer(question, frame->kind, frame->payload.data, frame->payload.length) != CL_OK) transport_decline(question);
}

static void on_answer(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct bench_roundtrip *roundtrip = context;
    (void)member, (void)frame;
    pthread_mutex_lock(&roundtrip->lock);
    roundtrip->done = true;
    roundtrip->outcome = outcome;
    pthread_cond_signal(&roundtrip->answered);
    pthread_mutex_unlock(&roundtrip->lock);
}

static bool ask(struct bench_roundtrip *roundtrip)
{
    struct cl_buffer payload = { 0 };
    const struct frame_status status = { 1, 1, 1 };
    bench_need(frame_status_encode(&payload, &status), "a question");
    roundtrip->done = false;
    bench_need(transport_ask(roundtrip->transports[0], 1, FRAME_STATUS, payload.data, payload.length, 5000, on_answer, roundtrip), "asking");
    pthread_mutex_lock(&roundtrip->lock);
    while (!roundtrip->done) pthread_cond_wait(&roundtrip->answered, &roundtrip->lock);
    pthread_mutex_unlock(&roundtrip->lock);
    cl_buffer_deinit(&payload);
    return roundtrip->outcome == TRANSPORT_ANSWERED;
}

static void end_make(struct end *end, unsigned number)
{
    char words[256];
    snprintf(end->name, sizeof end->name, "end-%u", number);
    snprintf(end->address, sizeof end->address, "127.0.0.1:%u", PORT + 2 * number);
    snprintf(end->ask_address, sizeof end->ask_address, "127.0.0.1:%u", PORT + 2 * number + 1);
    bench_need(cl_random(end->vote_seed, sizeof end->vote_seed), "a key");
    cl_ed25519_public(end->vote, end->vote_seed);
    bench_need(node_certificate_make(end->certificate, end->key, end->name, words, sizeof words), "certificate");
}

struct bench_roundtrip *bench_roundtrip_new(void)
{
    struct bench_roundtrip *made = calloc(1, sizeof *made);
    struct transport_member members[2];
    struct transport_error error;
    if (!made) bench_fail("out of memory");
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->answered, NULL);
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = &made->ends[i];
        end_make(end, i);
        members[i] = (struct transport_member){ .name = end->name, .certificate = end->certificate, .vote32 = end->vote, .address = end->address, .ask_address = end->ask_address };
    }
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = &made->ends[i];
        struct transport_config config = { .network = { "bench roundtrip" }, .members = members, .member_count = 2, .own = i, .vote_seed32 = end->vote_seed, .key = end->key,
            .listen = end->address, .listen_ask = end->ask_address, .wall_ms = wall_ms, .context = made, .receive = on_frame, .question = on_question };
        if (transport_new(&made->transports[i], &error, &config) != CL_OK) bench_fail("%s", error.sentence);
    }
    for (unsigned tries = 0; !ask(made); tries++)
        if (tries == 10) bench_fail("two ends on loopback do not reach each other");
    return made;
}

void bench_roundtrip_free(struct bench_roundtrip *roundtrip)
{
    for (unsigned i = 0; i < 2; i++) transport_free(roundtrip->transports[i]);
    pthread_cond_destroy(&roundtrip->answered);
    pthread_mutex_destroy(&roundtrip->lock);
    free(roundtrip);
}

double bench_roundtrip_seconds(struct bench_roundtrip *roundtrip)
{
    struct bench_series trips = { 0 };
    for (size_t i = 0; i < TRIPS; i += TRIPS / 40) { /* medians of five */
        uint64_t begin = bench_now_ns();
        for (int k = 0; k < TRIPS / 40; k++)
            if (!ask(roundtrip)) bench_fail("a question was not answered");
        bench_add(&trips, (double)(bench_now_ns() - begin) / 1e9 / (TRIPS / 40));
    }
    return bench_median(&trips);
}

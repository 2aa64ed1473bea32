/* Signature checks per second, the limit of everything that takes records in. */
#include "limits.h"

#include <pthread.h>
#include <stdlib.h>

#include "crypto.h"

#define SIGNATURE_COUNT 4096u /* distinct keys and digests: half a megabyte, more than the first-level cache */
struct one { uint8_t key33[33], digest32[32], signature64[64]; };
struct bench_signatures { struct one all[SIGNATURE_COUNT]; };

struct bench_signatures *bench_signatures_new(void)
{
    struct bench_signatures *signatures = calloc(1, sizeof *signatures);
    if (!signatures) bench_fail("out of memory");
    for (uint32_t i = 0; i < SIGNATURE_COUNT; i++) {
        struct one *one = &signatures->all[i];
        uint8_t secret[32];
        uint8_t seed[5] = { 's', (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), (uint8_t)(i >> 24) };
        cl_sha256_once(secret, seed, sizeof seed);
        cl_sha256_once(one->digest32, secret, sizeof secret);
        bench_need(cl_public_key_of(one->key33, secret), "key");
        bench_need(cl_ecdsa_sign(one->signature64, secret, one->digest32), "signature");
    }
    return signatures;
}

void bench_signatures_free(struct bench_signatures *signatures) { free(signatures); }

struct worker { const struct bench_signatures *signatures; uint64_t deadline_ns, checks; uint32_t first; };

static void *check_until(void *context)
{
    struct worker *worker = context;
    uint32_t next = worker->first;
    while (bench_now_ns() < worker->deadline_ns) {
        for (unsigned i = 0; i < 64; i++) {
            const struct one *one = &worker->signatures->all[next++ % SIGNATURE_COUNT];
            bench_need(cl_ecdsa_verify(one->key33, one->digest32, one->signature64), "check");
        }
        worker->checks += 64;
    }
    return NULL;
}

double bench_signatures_rate(const struct bench_signatures *signatures, unsigned threads, unsigned milliseconds, double *processor_us)
{
    struct worker workers[64];
    pthread_t handles[64];
    if (threads == 0 || threads > 64) bench_fail("1 to 64 threads");
    double used = bench_cpu_seconds();
    uint64_t begin = bench_now_ns();
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){ .signatures = signatures, .deadline_ns = begin + milliseconds * 1000000ull,
                                      .first = i * (SIGNATURE_COUNT / threads) };
        if (pthread_create(&handles[i], NULL, check_until, &workers[i]) != 0) bench_fail("no thread");
    }
    uint64_t checks = 0;
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        checks += workers[i].checks;
    }
    if (processor_us) *processor_us = (bench_cpu_seconds() - used) * 1e6 / (double)checks;
    return (double)checks * 1e9 / (double)(bench_now_ns() - begin);
}

double bench_signature_seconds(const struct bench_signatures *signatures, unsigned milliseconds)
{
    uint64_t begin = bench_thread_ns(), now = begin, checks = 0;
    while (now - begin < milliseconds * 1000000ull) {
        for (unsigned i = 0; i < 64; i++, checks++) {
            const struct one *one = &signatures->all[checks % SIGNATURE_COUNT];
            bench_need(cl_ecdsa_verify(one->key33, one->digest32, one->signature64), "check");
        }
        now = bench_thread_ns();
    }
    return (double)(now - begin) / 1e9 / (double)checks;
}

double bench_ed25519_seconds(size_t length, unsigned milliseconds)
{
    enum { KEYS = 64 };
    uint8_t public32[KEYS][32], signature64[KEYS][64];
    uint8_t *data = calloc(1, length + 1);
    if (!data) bench_fail("out of memory");
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t seed[32] = { (uint8_t)i, 'e' };
        cl_ed25519_public(public32[i], seed);
        cl_ed25519_sign(signature64[i], seed, data, length);
    }
    uint64_t begin = bench_thread_ns(), now = begin, checks = 0;
    while (now - begin < milliseconds * 1000000ull) {
        for (unsigned i = 0; i < KEYS; i++, checks++)
            if (!cl_ed25519_verify(public32[i], signature64[i], data, length)) bench_fail("an Ed25519 check failed");
        now = bench_thread_ns();
    }
    free(data);
    return (double)(now - begin) / 1e9 / (double)checks;
}

/* A nonce is time (8 bytes), a count within the millisecond (2), randomness (6) and a tag (16) under a secret of this run over all
   of that and the key; of two the later one is the greater, which mailboxes go by. So nothing is kept for a challenge until
   it is used; used ones are remembered until they would be too old anyway. */
#include "api_private.h"

#include "crypto.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { CHALLENGE_MS = 60000, USED_MAX = 8192 };
struct used { uint8_t random[8]; uint64_t expires_ms; };
struct challenges { pthread_mutex_t lock; uint64_t made_ms; uint16_t made; /* in that millisecond */ uint8_t secret[32]; struct used used[USED_MAX]; size_t first, count; };

enum cl_status challenges_new(struct challenges **out)
{
    struct challenges *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    enum cl_status status = cl_random(made->secret, sizeof made->secret);
    if (status != CL_OK) {
        free(made);
        return status;
    }
    pthread_mutex_init(&made->lock, NULL);
    *out = made;
    return CL_OK;
}

void challenges_free(struct challenges *challenges)
{
    if (challenges == NULL) return;
    pthread_mutex_destroy(&challenges->lock);
    cl_wipe(challenges->secret, sizeof challenges->secret);
    free(challenges);
}

static void tag(const struct challenges *challenges, uint8_t out16[16], const uint8_t head16[16], const uint8_t key33[33])
{
    uint8_t data[16 + 33], wide[64];
    memcpy(data, head16, 16);
    memcpy(data + 16, key33, 33);
    cl_hmac_sha512(wide, challenges->secret, 32, data, sizeof data);
    memcpy(out16, wide, 16);
}

enum cl_status challenge_make(struct challenges *challenges, uint8_t nonce32[32], uint64_t *expires_ms, const uint8_t key33[33], uint64_t now_ms)
{
    *expires_ms = now_ms + CHALLENGE_MS;
    for (int i = 0; i < 8; i++) nonce32[i] = (uint8_t)(*expires_ms >> (56 - 8 * i));
    pthread_mutex_lock(&challenges->lock);
    if (now_ms != challenges->made_ms) challenges->made = 0;
    else if (challenges->made < UINT16_MAX) challenges->made++;
    challenges->made_ms = now_ms;
    nonce32[8] = (uint8_t)(challenges->made >> 8);
    nonce32[9] = (uint8_t)challenges->made;
    pthread_mutex_unlock(&challenges->lock);
    enum cl_status status = cl_random(nonce32 + 10, 6);
    tag(challenges, nonce32 + 16, nonce32, key33);
    return status;
}

/* CL_E_LOCKED: used already; CL_E_BOUND: so many were used within a minute that this one cannot be remembered. */
static enum cl_status use_once(struct challenges *challenges, const uint8_t random8[8], uint64_t expires_ms, uint64_t now_ms)
{
    enum cl_status status = CL_OK;
    pthread_mutex_lock(&challenges->lock);
    while (challenges->count > 0 && challenges->used[challenges->first].expires_ms < now_ms) {
        challenges->first = (challenges->first + 1) % USED_MAX;
        challenges->count--;
    }
    for (size_t i = 0; i < challenges->count && status == CL_OK; i++)
        if (memcmp(challenges->used[(challenges->first + i) % USED_MAX].random, random8, 8) == 0) status = CL_E_LOCKED;
    if (status == CL_OK && challenges->count == USED_MAX) status = CL_E_BOUND;
    if (status == CL_OK) {
        struct used *used = &challenges->used[(challenges->first + challenges->count++) % USED_MAX];
        memcpy(used->random, random8, 8);
        used->expires_ms = expires_ms > now_ms ? now_ms + CHALLENGE_MS : now_ms; /* in order of use */
    }
    pthread_mutex_unlock(&challenges->lock);
    return status;
}

static uint64_t expiry(const uint8_t nonce32[32])
{
    uint64_t expires_ms = 0;
    for (int i = 0; i < 8; i++) expires_ms = expires_ms << 8 | nonce32[i];
    return expires_ms;
}

enum cl_status challenge_verify(const struct challenges *challenges, const struct cl_network_id *network, const uint8_t nonce32[32], const uint8_t signature64[64],
                                const uint8_t key33[33], uint64_t now_ms)
{
    uint8_t expected[16], digest[32];
    tag(challenges, expected, nonce32, key33);
    if (!cl_equal_constant_time(expected, nonce32 + 16, 16)) return CL_E_LOCKED;
    if (expiry(nonce32) < now_ms) return CL_E_LOCKED;
    struct cl_sha256 hash;
    cl_sha256_domain(&hash, "consent/v1 challenge");
    cl_sha256_update(&hash, network->bytes, 32);
    cl_sha256_update(&hash, nonce32, 32);
    cl_sha256_update(&hash, key33, 33);
    cl_sha256_final(&hash, digest);
    return cl_ecdsa_verify(key33, digest, signature64) == CL_OK ? CL_OK : CL_E_LOCKED;
}

enum cl_status challenge_check(struct challenges *challenges, const struct cl_network_id *network, const uint8_t nonce32[32], const uint8_t signature64[64],
                               const uint8_t key33[33], uint64_t now_ms)
{
    enum cl_status status = challenge_verify(challenges, network, nonce32, signature64, key33, now_ms);
    return status == CL_OK ? use_once(challenges, nonce32 + 8, expiry(nonce32), now_ms) : status;
}

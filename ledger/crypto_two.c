/* Two nodes of a tree hashed at once. The processor's SHA-256 instructions each wait for the one before; two hashes that
   need nothing of each other fill those waits, and take two thirds of the time that they take in turn. Where there are no
   such instructions, they are taken in turn, by nettle. */
#include "crypto.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define WITHIN WITH_SHA __attribute__((always_inline)) inline

/* FIPS 180-4 section 4.2.2 */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The eight words of a running hash, a b c d e f g h, as the instructions want them. */
struct lane { __m128i abef, cdgh, words[4]; };

/* Words are big-endian. */
static WITHIN __m128i swapped(__m128i bytes)
{
    return _mm_shuffle_epi8(bytes, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
}

static WITHIN void next_words(struct lane *lane, const uint8_t *block64, const unsigned step)
{
    __m128i *words = lane->words;
    if (step < 4) {
        words[step] = swapped(_mm_loadu_si128((const __m128i *)(const void *)(block64 + 16 * step)));
        return;
    }
    __m128i first = _mm_sha256msg1_epu32(words[step % 4], words[(step + 1) % 4]);
    __m128i seventh = _mm_alignr_epi8(words[(step + 3) % 4], words[(step + 2) % 4], 4);
    words[step % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(first, seventh), words[(step + 3) % 4]);
}

/* Four rounds of each. */
static WITHIN void rounds(struct lane *a, struct lane *b, const uint8_t *a64, const uint8_t *b64, const unsigned step)
{
    const __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(constants + 4 * step));
    next_words(a, a64, step);
    next_words(b, b64, step);
    __m128i a_words = _mm_add_epi32(a->words[step % 4], k), b_words = _mm_add_epi32(b->words[step % 4], k);
    a->cdgh = _mm_sha256rnds2_epu32(a->cdgh, a->abef, a_words);
    b->cdgh = _mm_sha256rnds2_epu32(b->cdgh, b->abef, b_words);
    a->abef = _mm_sha256rnds2_epu32(a->abef, a->cdgh, _mm_shuffle_epi32(a_words, 0x0e));
    b->abef = _mm_sha256rnds2_epu32(b->abef, b->cdgh, _mm_shuffle_epi32(b_words, 0x0e));
}

static WITHIN void add(struct lane *to, const struct lane *from)
{
    to->abef = _mm_add_epi32(to->abef, from->abef);
    to->cdgh = _mm_add_epi32(to->cdgh, from->cdgh);
}

static WITHIN void compress(struct lane *a, struct lane *b, const uint8_t *a64, const uint8_t *b64)
{
    const struct lane a_before = *a, b_before = *b;
    rounds(a, b, a64, b64, 0);
    rounds(a, b, a64, b64, 1);
    rounds(a, b, a64, b64, 2);
    rounds(a, b, a64, b64, 3);
    rounds(a, b, a64, b64, 4);
    rounds(a, b, a64, b64, 5);
    rounds(a, b, a64, b64, 6);
    rounds(a, b, a64, b64, 7);
    rounds(a, b, a64, b64, 8);
    rounds(a, b, a64, b64, 9);
    rounds(a, b, a64, b64, 10);
    rounds(a, b, a64, b64, 11);
    rounds(a, b, a64, b64, 12);
    rounds(a, b, a64, b64, 13);
    rounds(a, b, a64, b64, 14);
    rounds(a, b, a64, b64, 15);
    add(a, &a_before);
    add(b, &b_before);
}

static WITHIN void put_hash(uint8_t out32[32], const struct lane *lane)
{
    __m128i feba = _mm_shuffle_epi32(lane->abef, 0x1b), dchg = _mm_shuffle_epi32(lane->cdgh, 0xb1);
    __m128i abcd = _mm_blend_epi16(feba, dchg, 0xf0), efgh = _mm_alignr_epi8(dchg, feba, 8);
    _mm_storeu_si128((__m128i *)(void *)out32, swapped(abcd));
    _mm_storeu_si128((__m128i *)(void *)(out32 + 16), swapped(efgh));
}

/* 65 bytes and their padding: two blocks. */
static WITHIN void put_message(uint8_t out128[128], uint8_t prefix, const struct cl_two_parts *parts)
{
    memset(out128 + 64, 0, 64);
    out128[0] = prefix;
    memcpy(out128 + 1, parts->a32, 32);
    memcpy(out128 + 33, parts->b32, 32);
    out128[65] = 0x80;
    out128[126] = 65 * 8 >> 8;
    out128[127] = 65 * 8 & 0xff;
}

WITH_SHA static void two_at_once(uint8_t prefix, const struct cl_two_parts *a, const struct cl_two_parts *b)
{
    uint8_t a_message[128], b_message[128];
    struct lane a_lane = {.abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
                          .cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19)}; /* section 5.3.3 */
    struct lane b_lane = a_lane;
    put_message(a_message, prefix, a);
    put_message(b_message, prefix, b);
    compress(&a_lane, &b_lane, a_message, b_message);
    compress(&a_lane, &b_lane, a_message + 64, b_message + 64);
    put_hash(a->out32, &a_lane);
    put_hash(b->out32, &b_lane);
}

/* The compilers' own question knows of the SHA instructions only since gcc 14. */
static bool has_instructions(void)
{
    static _Atomic int known; /* 0: not yet asked, 1: no, 2: yes */
    int answer = known;
    if (answer == 0) {
        unsigned a, b, c, d;
        bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1u) != 0;
        known = answer = sha && __builtin_cpu_supports("sse4.1") ? 2 : 1;
    }
    return answer == 2;
}
#else
static bool has_instructions(void)
{
    return false;
}

static void two_at_once(uint8_t prefix, const struct cl_two_parts *a, const struct cl_two_parts *b)
{
    (void)prefix, (void)a, (void)b;
}
#endif

void cl_sha256_two_nodes(uint8_t prefix, const struct cl_two_parts *a, const struct cl_two_parts *b)
{
    if (has_instructions()) {
        two_at_once(prefix, a, b);
        return;
    }
    cl_sha256_node(a->out32, prefix, a->a32, a->b32);
    cl_sha256_node(b->out32, prefix, b->a32, b->b32);
}

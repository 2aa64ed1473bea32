/* The limits that products are measured against: what the machine can do at best, measured in the same run. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "measure.h"

/* One secp256k1 check: a 33-byte key and a 64-byte signature parsed from bytes, high s refused, the signature verified
   over a 32-byte digest: cl_ecdsa_verify, as every record needs it. Every check has its own key and digest, so nothing
   is won by repetition. */
#define BENCH_SIGNATURES_NAME "cores x secp256k1 checks/s"
struct bench_signatures;
struct bench_signatures *bench_signatures_new(void);
void bench_signatures_free(struct bench_signatures *signatures);
/* Checks per second of all `threads` together, for about milliseconds. *processor_us (may be NULL): processor time of one. */
double bench_signatures_rate(const struct bench_signatures *signatures, unsigned threads, unsigned milliseconds, double *processor_us);
/* Seconds of processor time for one check, mean over about milliseconds, on the calling thread. */
double bench_signature_seconds(const struct bench_signatures *signatures, unsigned milliseconds);

/* One Ed25519 check (libsodium) over `length` bytes, the same. */
double bench_ed25519_seconds(size_t length, unsigned milliseconds);

#endif

/* The consortium that benchmarks run: its genesis and members' keys come from fixed seeds, so that records signed for it
   stay good from run to run. */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include "ledger.h"
#include "measure.h"

#define BENCH_ORIGIN "bench.consent.example/log"

struct bench_world {
    struct cl_genesis genesis;
    uint8_t log_seed[4][32], witness_seed[4][32], vote_seed[4][32], party_secret[4][32];
};
/* 1 to 4 members. The network's id is a hash of the number of members and of nothing else. */
void bench_world_make(struct bench_world *out, size_t members, uint64_t time_ms);
/* A checkpoint as member 0 serves it: its log line and a quorum of cosignatures. */
void bench_world_checkpoint(struct cl_buffer *note, const struct bench_world *world, const struct cl_tip *tip, uint64_t time_s);

#endif

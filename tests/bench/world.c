/* Fixed keys, the genesis of them, and checkpoints signed with them. */
#include "world.h"

#include <stdio.h>

#include "checkpoint.h"
#include "crypto.h"
#include "signing.h"

static void seed(uint8_t out32[32], const char *what, size_t member)
{
    struct cl_sha256 hash;
    uint8_t number = (uint8_t)member;
    cl_sha256_domain(&hash, what);
    cl_sha256_update(&hash, &number, 1);
    cl_sha256_final(&hash, out32);
}

void bench_world_make(struct bench_world *out, size_t members, uint64_t time_ms)
{
    if (members == 0 || members > 4) bench_fail("1 to 4 members");
    memset(out, 0, sizeof *out);
    struct cl_genesis *genesis = &out->genesis;
    seed(genesis->network.bytes, "bench network", members);
    snprintf(genesis->origin, sizeof genesis->origin, "%s", BENCH_ORIGIN);
    genesis->time_ms = time_ms;
    genesis->value.parameters = (struct cl_parameters){ .epoch_length = 1000000, .block_records_max = CL_BLOCK_RECORDS_MAX,
                                                        .block_bytes_max = CL_BLOCK_BYTES_MAX, .d0_ms = 500, .fairness = 1, .open_reads = 1 };
    genesis->value.member_count = members;
    for (size_t i = 0; i < members; i++) {
        struct cl_member *member = &genesis->value.members[i];
        snprintf(member->name, sizeof member->name, "member-%zu", i);
        seed(out->log_seed[i], "bench log key", i);
        seed(out->witness_seed[i], "bench witness key", i);
        seed(out->vote_seed[i], "bench vote key", i);
        seed(out->party_secret[i], "bench party key", i);
        cl_ed25519_public(member->log, out->log_seed[i]);
        cl_ed25519_public(member->witness, out->witness_seed[i]);
        cl_ed25519_public(member->vote, out->vote_seed[i]);
        bench_need(cl_public_key_of(member->party, out->party_secret[i]), "party key");
    }
}

void bench_world_checkpoint(struct cl_buffer *note, const struct bench_world *world, const struct cl_tip *tip, uint64_t time_s)
{
    const struct cl_network *value = &world->genesis.value;
    const char *origin = world->genesis.origin;
    struct cl_buffer body = { 0 }, lines[5] = { 0 };
    struct cl_view views[5];
    size_t count = 1 + cl_quorum(value->member_count);
    bench_need(cl_checkpoint_body(&body, origin, tip->log_size, &tip->log_root), "checkpoint");
    const struct cl_view text = { body.data, body.length };
    bench_need(cl_checkpoint_sign_log(&lines[0], &text, origin, signing_key(world->log_seed[0])), "log signature");
    for (size_t i = 0; i + 1 < count; i++)
        bench_need(cl_checkpoint_cosign(&lines[i + 1], &text, origin, value->members[i].name, time_s, signing_key(world->witness_seed[i])), "cosignature");
    for (size_t i = 0; i < count; i++) views[i] = (struct cl_view){ lines[i].data, lines[i].length };
    bench_need(cl_checkpoint_merge(note, &text, origin, views, count, value->members, value->member_count, 0, false), "checkpoint");
    for (size_t i = 0; i < count; i++) cl_buffer_deinit(&lines[i]);
    cl_buffer_deinit(&body);
}

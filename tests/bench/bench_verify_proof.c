/* Offline verification of a proof of state, beside the signature checks that it cannot do without: one ECDSA check for
   each record shown, one Ed25519 check for the log's line and for each cosignature of the quorum. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "buckets.h"
#include "limits.h"
#include "records.h"
#include "world.h"

enum { PROOFS = 32, FILLERS = 20000, ROUNDS = 9, SLICE_MS = 60 };

struct scene {
    struct bench_world world;
    struct cl_store store;
    struct cl_smt_buckets buckets;
    struct cl_ledger *ledger;
    struct cl_policy *policy;
    uint64_t now_ms;
};

static void commit_block(struct scene *scene, const struct bench_plan *plan, uint64_t first, uint64_t count)
{
    struct cl_tip tip;
    struct cl_candidate *candidate = NULL;
    struct cl_candidate_summary summary;
    cl_ledger_tip(scene->ledger, &tip);
    bench_need(cl_candidate_new(&candidate, scene->ledger, NULL, tip.time_ms + 1), "candidate");
    for (uint64_t i = first; i < first + count; i++) {
        struct cl_buffer bytes = { 0 };
        struct cl_record_id id;
        struct cl_ledger_record *record = NULL;
        uint32_t refused = 0;
        bench_record_make(&bytes, &id, plan, i);
        bench_need(cl_ledger_record_new(&record, &refused, bytes.data, bytes.length, &plan->network), "record");
        bench_need(cl_candidate_add(candidate, record, &refused), "record in a block");
        cl_ledger_record_unref(record);
        cl_buffer_deinit(&bytes);
    }
    bench_need(cl_candidate_seal(candidate, &summary), "seal");
    bench_need(cl_ledger_commit(scene->ledger, candidate, tip.view + 1, tip.view, NULL, 0), "commit");
    cl_candidate_free(candidate);
}

/* 20,000 other offers, 32 agreements under TERMS, 32 that answer a GRANT, and a checkpoint over all. */
static void scene_make(struct scene *scene, struct bench_plan plans[2], size_t members)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    scene->now_ms = (uint64_t)now.tv_sec * 1000u;
    bench_world_make(&scene->world, members, scene->now_ms - 60000);
    bench_need(cl_store_mem_open(&scene->store), "store");
    bench_need(cl_buckets_memory_new(&scene->buckets), "buckets");
    bench_need(cl_ledger_create(&scene->store, &scene->world.genesis), "ledger");
    bench_need(cl_ledger_open(&scene->ledger, &scene->store, &scene->buckets, &scene->world.genesis, NULL, NULL), "ledger");
    struct bench_plan fill = { .kind = BENCH_GRANT, .entries = BENCH_ENTRIES, .network = scene->world.genesis.network,
                               .issued_at_ms = scene->now_ms - 60000, .offered_at_ms = scene->now_ms - 60000, .series = 1 };
    commit_block(scene, &fill, 0, FILLERS / BENCH_ENTRIES);
    struct bench_plan offers[2] = { fill, fill };
    offers[0].kind = BENCH_TERMS;
    for (unsigned i = 0; i < 2; i++) {
        offers[i].entries = 1;
        offers[i].series = 2;
        commit_block(scene, &offers[i], 0, PROOFS);
        plans[i] = offers[i];
        plans[i].kind = i == 0 ? BENCH_SUBSCRIBE_TERMS : BENCH_ANSWER_GRANTS;
        commit_block(scene, &plans[i], 0, PROOFS);
    }
    plans[1].kind = BENCH_GRANT; /* whose objects the answers made active */
    struct cl_tip tip;
    struct cl_buffer note = { 0 }, text = { 0 };
    size_t bad_line = 0;
    cl_ledger_tip(scene->ledger, &tip);
    bench_world_checkpoint(&note, &scene->world, &tip, scene->now_ms / 1000u);
    bench_need(cl_ledger_checkpoint_keep(scene->ledger, tip.log_size, &tip.log_root, note.data, note.length), "checkpoint");
    bench_need(cl_policy_of_members(&text, scene->world.genesis.origin, scene->world.genesis.value.members, members), "policy");
    bench_need(cl_policy_new(&scene->policy, &bad_line, text.data, text.length), "policy");
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&text);
}

static void scene_end(struct scene *scene)
{
    cl_policy_free(scene->policy);
    cl_ledger_close(scene->ledger);
    cl_buckets_free(&scene->buckets);
    scene->store.close(scene->store.context);
}

/* Mean seconds of one verification, each proof in turn. */
static double verify_seconds(const struct scene *scene, const struct cl_buffer *proofs, struct cl_verify_report *report)
{
    const struct cl_verify_options options = { .now_ms = scene->now_ms };
    uint64_t begin = bench_thread_ns(), count = 0;
    while (bench_thread_ns() - begin < SLICE_MS * 1000000ull)
        for (unsigned i = 0; i < PROOFS; i++, count++) {
            bench_need(cl_proof_verify(report, proofs[i].data, proofs[i].length, scene->policy, &options), "proof");
            bench_need(report->verdict, "verdict");
        }
    return (double)(bench_thread_ns() - begin) / 1e9 / (double)count;
}

static void measure(struct bench_figure *out, const struct bench_context *context, struct scene *scene,
                    const struct bench_plan *plan, const char *name, const struct bench_signatures *signatures)
{
    struct cl_buffer proofs[PROOFS] = { 0 };
    struct cl_verify_report *report = malloc(sizeof *report);
    if (!report) bench_fail("out of memory");
    for (unsigned i = 0; i < PROOFS; i++) {
        struct cl_object_id object;
        bench_object_of(&object, plan, i, 0);
        bench_need(cl_ledger_proof(scene->ledger, &proofs[i], object.bytes), "proof");
    }
    verify_seconds(scene, proofs, report); /* warms up, fills the report */
    size_t members = scene->world.genesis.value.member_count, notes = 1 + cl_quorum(members), records = report->record_count;
    *out = (struct bench_figure){ .name = name, .unit = "us", .limit_name = "its signature checks, us", .kind = BENCH_AT_MOST, .target = 1.25 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        double verify = verify_seconds(scene, proofs, report);
        double limit = (double)records * bench_signature_seconds(signatures, SLICE_MS) + (double)notes * bench_ed25519_seconds(150, SLICE_MS);
        bench_round(out, verify * 1e6, limit * 1e6);
    }
    bench_say("%s: %zu bytes, %zu records, %zu lines of the checkpoint; the verifier says %u checks", name, proofs[0].length,
              records, notes, report->signature_checks);
    bench_report(context, out);
    for (unsigned i = 0; i < PROOFS; i++) cl_buffer_deinit(&proofs[i]);
    free(report);
}

int main(int argc, char **argv)
{
    static const char *const names[2][2] = { { "verify_proof/terms, 1 member", "verify_proof/grant, 1 member" },
                                             { "verify_proof/terms, 4 members", "verify_proof/grant, 4 members" } };
    struct bench_context context;
    struct bench_figure figures[4];
    bench_begin(&context, argc, argv, "verify_proof");
    struct bench_signatures *signatures = bench_signatures_new();
    struct scene *scene = calloc(1, sizeof *scene);
    if (!scene) bench_fail("out of memory");
    size_t worst = 0;
    for (size_t i = 0; i < 2; i++) {
        struct bench_plan plans[2];
        scene_make(scene, plans, i == 0 ? 1 : 4);
        for (size_t j = 0; j < 2; j++) {
            measure(&figures[2 * i + j], &context, scene, &plans[j], names[i][j], signatures);
            if (bench_median(&figures[2 * i + j].ratio) > bench_median(&figures[worst].ratio)) worst = 2 * i + j;
        }
        scene_end(scene);
    }
    figures[worst].name = "verify_proof"; /* the worst of the four stands for all */
    bench_report(&context, &figures[worst]);
    free(scene);
    bench_signatures_free(signatures);
    return 0;
}

/* Receipts of both forms and acceptances, for one leaf of a log whose keys come from fixed seeds. */
#include <stdlib.h>

#include "proof_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct proof_world *world;
    static struct cl_policy *policy;
    static struct cl_receipt_report report;
    struct cl_acceptance acceptance;
    uint64_t index, log_size;
    if (world == NULL) {
        world = proof_world_new(4);
        policy = proof_world_policy(world);
    }
    const struct cl_buffer *leaf = &world->leaves[0];
    const uint8_t *key = world->value.members[0].log;
    if (cl_tlog_proof_verify(&report, data, size, leaf->data, leaf->length, policy) == CL_OK)
        require(report.index < report.size && report.quorum.signed_count >= 3);
    if (cl_cose_receipt_verify(&index, &log_size, data, size, leaf->data, leaf->length, key) == CL_OK)
        require(index < log_size);
    (void)!cl_acceptance_verify(&acceptance, data, size, key);
    return 0;
}

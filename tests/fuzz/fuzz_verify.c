/* The offline verifier, with a policy of four members whose keys come from fixed seeds (so that the saved proofs hold):
   whatever the bytes, it ends, stays within its bounds, and says that a proof holds only with a quorum behind it. */
#include <stdlib.h>

#include "proof_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_policy *policy;
    static struct cl_verify_report report, again;
    struct cl_verify_options options = {.now_ms = WORLD_TIME_MS + 2000000, .max_age_ms = 86400000};
    if (policy == NULL) {
        struct proof_world *world = proof_world_new(4);
        policy = proof_world_policy(world);
        proof_world_free(world);
    }
    enum cl_status status = cl_proof_verify(&report, data, size, policy, &options);
    require(status == cl_proof_verify(&again, data, size, policy, &options) && report.verdict == again.verdict);
    require(report.record_count <= CL_PROOF_RECORDS_MAX && report.quorum.signer_count <= CL_SIGNATURES_MAX);
    if (status == CL_OK) {
        require(report.quorum.signed_count >= report.quorum.needed && report.quorum.log_signed);
        require(report.exists || report.verdict == CL_E_NO_OBJECT);
        require(report.verdict != CL_OK || report.kind != CL_STATE_AGREEMENT || report.record_count > 0);
    } else if (status != CL_E_PROOF_OLD) {
        require(report.verdict == CL_E_NO_OBJECT);
    }
    return 0;
}

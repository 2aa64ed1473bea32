/* Policy files of anybody, and checking a real checkpoint with those that read. */
#include <stdlib.h>

#include "consent/record.h"
#include "proof_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_buffer note;
    static struct cl_checkpoint checkpoint;
    static struct cl_quorum_report report;
    struct cl_policy *policy = NULL;
    size_t bad_line = SIZE_MAX;
    if (note.length == 0) {
        struct proof_world *world = proof_world_new(4);
        proof_world_checkpoint(&note, world, 4, WORLD_TIME_MS / 1000);
        require(cl_checkpoint_decode(&checkpoint, note.data, note.length) == CL_OK);
        proof_world_free(world);
    }
    enum cl_status status = cl_policy_new(&policy, &bad_line, data, size);
    require((status == CL_OK) == (policy != NULL) && bad_line <= size + 1);
    if (status == CL_OK) {
        status = cl_policy_check(&report, policy, &checkpoint);
        require(status == CL_OK || status == CL_E_QUORUM || status == CL_E_CHECKPOINT);
        require(status != CL_OK || report.signed_count >= report.needed);
    }
    cl_policy_free(policy);
    return 0;
}

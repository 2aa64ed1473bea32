/* What decodes encodes to the same bytes: state leaf, vote, certificate, stored block, proposal. The first byte of the
   input says which. A certificate is checked too, since its bitmap drives loops. */
#include "block.h"
#include "consent/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void same(struct cl_buffer *again, enum cl_status status, const uint8_t *data, size_t size)
{
    require(status == CL_OK && again->length == size && memcmp(again->data, data, size) == 0);
    cl_buffer_deinit(again);
}

static void certificate(const uint8_t *data, size_t size)
{
    static const struct cl_member members[CL_MEMBERS_MAX];
    static const struct cl_network_id network;
    static struct cl_certificate value;
    struct cl_buffer again = {0};
    if (cl_certificate_decode(&value, data, size) != CL_OK)
        return;
    same(&again, cl_certificate_encode(&again, &value), data, size);
    size_t count = value.member_count;
    value.member_count = count > 3 ? count - 3 : count;
    require(cl_certificate_check(&value, &network, members, value.member_count) != CL_OK); /* nobody has these keys */
}

static void proposal(const uint8_t *data, size_t size)
{
    struct cl_proposal value;
    struct cl_leaf_hash *leaves;
    struct cl_buffer again = {0};
    if (cl_proposal_decode(&value, &leaves, data, size) == CL_OK) {
        require(value.leaves == leaves && value.leaf_count <= CL_BLOCK_RECORDS_MAX);
        same(&again, cl_proposal_encode(&again, &value), data, size);
    }
    free(leaves);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_buffer again = {0};
    struct cl_state_leaf leaf;
    struct cl_vote vote;
    struct cl_stored_block stored;
    if (size == 0)
        return 0;
    uint8_t which = data[0];
    data++;
    size--;
    switch (which % 5) {
    case 0:
        if (cl_state_leaf_decode(&leaf, data, size) == CL_OK)
            same(&again, cl_state_leaf_encode(&again, &leaf), data, size);
        break;
    case 1:
        if (cl_vote_decode(&vote, data, size) == CL_OK)
            same(&again, cl_vote_encode(&again, &vote), data, size);
        break;
    case 2:
        certificate(data, size);
        break;
    case 3:
        if (cl_stored_block_decode(&stored, data, size) == CL_OK)
            same(&again, cl_stored_block_encode(&again, &stored), data, size);
        break;
    case 4:
        proposal(data, size);
        break;
    }
    return 0;
}

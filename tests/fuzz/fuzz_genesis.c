/* Genesis documents: what is taken holds what the ledger may rely on. */
#include <assert.h>
#include <string.h>

#include "genesis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_genesis genesis;
    struct genesis_error error;
    enum cl_status status = node_genesis_decode(&genesis, &error, data, size);
    if (status != CL_OK) {
        assert(status == CL_E_MEMORY || error.sentence[0] != '\0');
        return 0;
    }
    const struct cl_network *value = &genesis.core.value;
    assert(value->member_count >= 1 && value->member_count <= CL_MEMBERS_MAX);
    assert(value->parameters.block_records_max <= CL_BLOCK_RECORDS_MAX && value->parameters.block_bytes_max <= CL_BLOCK_BYTES_MAX);
    assert(origin_valid(genesis.core.origin) && genesis.bytes.length == size);
    for (size_t i = 0; i < value->member_count; i++) assert(member_name_valid(value->members[i].name));
    node_genesis_deinit(&genesis);
    return 0;
}

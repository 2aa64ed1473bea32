/* Genesis documents, as an operator gets them from others: what is read has distinct members and observers with valid
   names and, where there are several, addresses; it makes a state value that holds; its bytes are kept exactly, because they name the network. */
#include "genesis.h"

#include "require.h"

static void holds_together(const struct node_genesis *genesis, const uint8_t *data, size_t size)
{
    static struct cl_network again;
    struct cl_buffer value = {0};
    struct cl_network_id id;
    const struct cl_network *network = &genesis->core.value;
    require(genesis->bytes.length == size && memcmp(genesis->bytes.data, data, size) == 0);
    cl_network_id_derive(&id, data, size);
    require(memcmp(&id, &genesis->core.network, sizeof id) == 0);
    require(origin_valid(genesis->core.origin) && network->member_count >= 1 && network->member_count <= CL_MEMBERS_MAX);
    require(network->parameters.block_records_max <= CL_BLOCK_RECORDS_MAX && network->parameters.block_bytes_max <= CL_BLOCK_BYTES_MAX);
    for (size_t i = 0; i < network->member_count; i++) {
        require(member_name_valid(network->members[i].name) && genesis->info[i].certificate[0] != '\0');
        for (size_t k = 0; k < i; k++)
            require(strcmp(network->members[i].name, network->members[k].name) != 0 && memcmp(network->members[i].vote, network->members[k].vote, 32) != 0);
    }
    size_t peers = node_genesis_peer_count(genesis);
    require(peers <= GENESIS_PEERS_MAX && (peers == network->member_count) == (genesis->observers == NULL));
    for (size_t i = 0; peers > 1 && i < peers; i++) {
        struct genesis_peer peer, other;
        char ask[NODE_ADDRESS_SIZE];
        node_genesis_peer(&peer, genesis, i);
        require(member_name_valid(peer.name) && node_address_valid(peer.info->address));
        node_address_ask(ask, peer.info->address);
        require(strlen(ask) > 3);
        for (size_t k = 0; k < i; k++) {
            node_genesis_peer(&other, genesis, k);
            require(strcmp(peer.name, other.name) != 0 && memcmp(peer.vote32, other.vote32, 32) != 0);
            require(strcmp(peer.info->address, other.info->address) != 0 && strcmp(ask, other.info->address) != 0);
        }
    }
    require(cl_network_encode(&value, network) == CL_OK && value.length <= CL_STATE_VALUE_BYTES_MAX);
    require(cl_network_decode(&again, value.data, value.length) == CL_OK);
    cl_buffer_deinit(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct node_genesis genesis;
    static struct genesis_error error;
    enum cl_status status = node_genesis_decode(&genesis, &error, data, size);
    if (status == CL_OK) {
        holds_together(&genesis, data, size);
        node_genesis_deinit(&genesis);
    } else {
        require(status == CL_E_FORMAT && error.sentence[0] != '\0' && memchr(error.sentence, 0, sizeof error.sentence) != NULL);
        require(genesis.info == NULL && genesis.observers == NULL && genesis.bytes.data == NULL);
    }
    return 0;
}

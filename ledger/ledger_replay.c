/* Replays stored blocks into a scratch ledger: every record is decoded, applied by the rules and, when checking,
   verified; every block must come out with the id, roots and state leaf that it was stored with. */
#include "ledger_check.h"

#include <inttypes.h>
#include <stdlib.h>

#define PROGRESS_EVERY 64u
#define GET_IT_AGAIN "Fetch the block from a peer, or restore a backup."

/* One block's leaves, as the chunks tell them. */
struct replayed {
    uint64_t height;
    struct cl_stored_block block; /* borrows from audit->block */
    struct cl_state_leaf state_leaf;
    struct cl_candidate *candidate;
    uint64_t read;                /* leaves so far */
    bool suspected;               /* a leaf that the log's tile does not know */
    uint64_t suspect_chunk, suspect_index;
};

/* Does the log's tile, where there is one, know the leaf? If the block then comes out wrong, this is the leaf to blame;
   if it comes out right, the tile is. */
static bool tile_agrees(struct cl_audit *audit, uint64_t index, const uint8_t *bytes, size_t length)
{
    struct cl_leaf_hash leaf;
    struct cl_table_key key;
    struct cl_buffer tile = {0};
    bool agrees = true;
    cl_key_tile(&key, 0, index / CL_TILE_WIDTH);
    cl_log_leaf_hash(&leaf, bytes, length);
    if (cl_store_get_key(audit->store, &tile, NULL, &key) == CL_OK && tile.length == 32 * CL_TILE_WIDTH)
        agrees = memcmp(tile.data + 32 * (index % CL_TILE_WIDTH), leaf.bytes, 32) == 0;
    cl_buffer_deinit(&tile);
    return agrees;
}

static enum cl_status bad_leaf(struct cl_audit *audit, const struct replayed *at, uint64_t chunk_first, const char *what)
{
    return cl_audit_damage(audit, "Block %" PRIu64 ": %s (table r, chunk %" PRIu64 ", log index %" PRIu64 "). " GET_IT_AGAIN,
                           at->height, what, chunk_first, at->block.first_index + at->read);
}

static enum cl_status replay_record(struct cl_audit *audit, struct replayed *at, uint64_t chunk_first, const uint8_t *bytes, size_t length)
{
    struct cl_ledger_record *record;
    if (!at->suspected && !tile_agrees(audit, at->block.first_index + at->read, bytes, length)) {
        at->suspected = true;
        at->suspect_chunk = chunk_first;
        at->suspect_index = at->block.first_index + at->read;
    }
    enum cl_status status = cl_ledger_record_new(&record, NULL, bytes, length, &audit->genesis->network);
    if (status == CL_E_MEMORY)
        return status;
    if (status != CL_OK)
        return bad_leaf(audit, at, chunk_first, "a record cannot be read");
    if (!audit->repair && cl_record_check_signature(&record->record) != CL_OK)
        status = bad_leaf(audit, at, chunk_first, "a record's signature is not good");
    if (status == CL_OK) {
        status = cl_candidate_add(at->candidate, record, NULL);
        if (status != CL_OK && status != CL_E_MEMORY && status != CL_E_STORE_IO)
            status = bad_leaf(audit, at, chunk_first, "a record does not apply");
    }
    cl_ledger_record_unref(record);
    return status;
}

/* Leaves of one chunk; the last of the block is its state leaf. */
static enum cl_status replay_chunk(struct cl_audit *audit, struct replayed *at, uint64_t chunk_first)
{
    const struct cl_buffer *chunk = &audit->chunk;
    enum cl_status status = CL_OK;
    size_t offset = 0;
    while (offset < chunk->length && status == CL_OK) {
        size_t length = chunk->length - offset >= 2 ? (size_t)chunk->data[offset] << 8 | chunk->data[offset + 1] : SIZE_MAX;
        const uint8_t *bytes = chunk->data + offset + 2;
        if (length == SIZE_MAX || chunk->length - offset - 2 < length || at->read > at->block.record_count)
            return bad_leaf(audit, at, chunk_first, "its leaves are not as long as they say");
        if (at->read < at->block.record_count)
            status = replay_record(audit, at, chunk_first, bytes, length);
        else if (length != at->block.state_leaf.length || memcmp(bytes, at->block.state_leaf.data, length) != 0)
            status = bad_leaf(audit, at, chunk_first, "its state leaf is not the one of the block");
        at->read++;
        offset += 2 + length;
    }
    return status;
}

static enum cl_status replay_leaves(struct cl_audit *audit, struct replayed *at)
{
    enum cl_status status = CL_OK;
    while (status == CL_OK && at->read <= at->block.record_count) {
        struct cl_table_key key;
        uint64_t chunk_first = at->block.first_index + at->read;
        cl_key_number(&key, CL_TABLE_LEAVES, chunk_first);
        status = cl_store_get_key(audit->store, &audit->chunk, NULL, &key);
        if (status == CL_E_NOT_FOUND || (status == CL_OK && audit->chunk.length == 0))
            return bad_leaf(audit, at, chunk_first, "records are missing");
        if (status == CL_OK)
            status = replay_chunk(audit, at, chunk_first);
        audit->chunk_count++;
    }
    return status;
}

static enum cl_status bad_block(struct cl_audit *audit, uint64_t height, const char *what)
{
    return cl_audit_damage(audit, "Block %" PRIu64 " (table b): %s. " GET_IT_AGAIN, height, what);
}

/* A certificate that is there must prove this block by a quorum's votes. */
static enum cl_status check_certificate(struct cl_audit *audit, const struct replayed *at)
{
    struct cl_certificate certificate;
    const struct cl_network *network = &audit->genesis->value;
    struct cl_view bytes = at->block.certificate;
    if (bytes.length == 0 || audit->repair)
        return CL_OK;
    enum cl_status status = cl_certificate_decode(&certificate, bytes.data, bytes.length);
    if (status == CL_OK)
        status = cl_certificate_check(&certificate, &audit->genesis->network, network->members, network->member_count);
    if (status == CL_OK || status == CL_E_MEMORY)
        return status;
    return bad_block(audit, at->height, "its certificate does not have the votes of a quorum");
}

static enum cl_status bad_outcome(struct cl_audit *audit, const struct replayed *at)
{
    if (at->suspected)
        return cl_audit_damage(audit, "Block %" PRIu64 ": a record is not the one that was final (table r, chunk %" PRIu64 ", log index %" PRIu64 "). " GET_IT_AGAIN,
                               at->height, at->suspect_chunk, at->suspect_index);
    return bad_block(audit, at->height, "its records (table r) give another id, state or log than it was stored with");
}

static enum cl_status finish_block(struct cl_audit *audit, struct replayed *at)
{
    struct cl_candidate_summary summary;
    enum cl_status status = cl_candidate_seal(at->candidate, &summary);
    if (status != CL_OK)
        return status;
    const struct cl_buffer *state_leaf = &at->candidate->state_leaf;
    if (state_leaf->length != at->block.state_leaf.length || memcmp(state_leaf->data, at->block.state_leaf.data, state_leaf->length) != 0 ||
        memcmp(summary.id.bytes, at->block.id.bytes, 32) != 0 || memcmp(summary.log_root.bytes, at->block.log_root.bytes, 32) != 0)
        return bad_outcome(audit, at);
    status = check_certificate(audit, at);
    if (status != CL_OK)
        return status;
    status = cl_ledger_commit(audit->scratch, at->candidate, at->block.view, at->block.parent_view, at->block.certificate.data, at->block.certificate.length);
    if (status == CL_E_CERTIFICATE || status == CL_E_FORMAT)
        return bad_block(audit, at->height, "its certificate is of another block");
    return status;
}

static enum cl_status replay_block(struct cl_audit *audit, uint64_t height)
{
    struct replayed at = {.height = height};
    struct cl_tip tip;
    cl_ledger_tip(audit->scratch, &tip);
    if (cl_stored_block_decode(&at.block, audit->block.data, audit->block.length) != CL_OK ||
        cl_state_leaf_decode(&at.state_leaf, at.block.state_leaf.data, at.block.state_leaf.length) != CL_OK ||
        at.block.first_index != tip.log_size || at.block.record_count != at.state_leaf.record_count || at.block.epoch != at.state_leaf.epoch)
        return bad_block(audit, height, "it does not have the form of a block, or does not follow the one before");
    enum cl_status status = cl_candidate_new(&at.candidate, audit->scratch, NULL, at.state_leaf.time_ms);
    if (status == CL_E_BLOCK_INVALID)
        return bad_block(audit, height, "its time is not after the block's before");
    if (status == CL_OK)
        status = replay_leaves(audit, &at);
    if (status == CL_OK)
        status = finish_block(audit, &at);
    cl_candidate_free(at.candidate);
    return status;
}

/* The genesis block comes from the genesis document, so it needs no replay; its chunk must be the same. */
static enum cl_status compare_genesis_leaf(struct cl_audit *audit)
{
    struct cl_table_key key;
    cl_key_number(&key, CL_TABLE_LEAVES, 0);
    enum cl_status status = cl_store_get_key(audit->scratch_store, &audit->scratch_value, NULL, &key);
    if (status == CL_OK)
        status = cl_store_get_key(audit->store, &audit->chunk, NULL, &key);
    audit->chunk_count++;
    if (status != CL_OK && status != CL_E_NOT_FOUND)
        return status;
    if (status == CL_OK && audit->chunk.length == audit->scratch_value.length && memcmp(audit->chunk.data, audit->scratch_value.data, audit->chunk.length) == 0)
        return CL_OK;
    return cl_audit_damage(audit, "Block 0: its leaf is not the one that the genesis document gives (table r, chunk 0). " GET_IT_AGAIN);
}

static enum cl_status count_blocks(struct cl_audit *audit, uint64_t *count)
{
    const struct cl_store *store = audit->store;
    static const uint8_t table[1] = {CL_TABLE_BLOCK};
    struct cl_store_iterator *iterator = store->iterator_new(store->context, NULL);
    if (iterator == NULL)
        return CL_E_MEMORY;
    *count = 0;
    for (store->iterator_seek(iterator, table, sizeof table); store->iterator_valid(iterator); store->iterator_next(iterator)) {
        struct cl_view key = store->iterator_key(iterator);
        if (key.length == 0 || key.data[0] != CL_TABLE_BLOCK)
            break;
        ++*count;
    }
    enum cl_status status = store->iterator_status(iterator);
    store->iterator_free(iterator);
    return status;
}

enum cl_status cl_audit_replay(struct cl_audit *audit)
{
    uint64_t count;
    enum cl_status status = count_blocks(audit, &count);
    if (status == CL_OK)
        status = compare_genesis_leaf(audit);
    if (status == CL_OK && audit->expected_height >= count)
        return bad_block(audit, count, "it, or one before it, is missing");
    for (uint64_t height = 1; status == CL_OK && height < count; height++) {
        struct cl_table_key key;
        cl_key_number(&key, CL_TABLE_BLOCK, height);
        status = cl_store_get_checked(audit->store, &audit->block, NULL, &key);
        if (status == CL_E_NOT_FOUND)
            return bad_block(audit, height, "it is missing");
        if (status == CL_E_STORE_CORRUPT)
            return bad_block(audit, height, "it is damaged");
        if (status == CL_OK)
            status = replay_block(audit, height);
        if (audit->progress != NULL && height % PROGRESS_EVERY == 0)
            audit->progress(audit->progress_context, "replaying blocks", height, count);
    }
    return status;
}

/* The server's side of catching up: blocks and records for one answer, read from a snapshot of the ledger. What one question
   costs is bounded by the frame that answers it and by the number of blocks in it. */
#include "sync.h"

#include <assert.h>
#include <stdlib.h>

#define PAYLOAD_BYTES_MAX (CL_FRAME_BYTES_MAX - 32u) /* what is around a payload: 17 bytes, and the range's own head */
#define RECORD_HEAD_MAX 5u

/* Of a frame's bytes there may be as many records as there are bytes, if they are that short. */
struct serving {
    struct cl_ledger_view *view;
    struct cl_buffer *out;        /* the blocks, without the range's head */
    struct cl_buffer stored, bytes;
    struct cl_view records[CL_BLOCK_RECORDS_MAX];
    size_t lengths[CL_BLOCK_RECORDS_MAX];
    size_t blocks;
    bool full;
};

/* The records from `index` on, up to the end, as many as there is room for. Whoever asked compares them with the block's id. */
static enum cl_status read_records(struct serving *serving, size_t *count, size_t room, uint64_t index, uint64_t end)
{
    size_t used = 0;
    *count = 0;
    serving->bytes.length = 0;
    for (; index < end; index++, ++*count) {
        struct cl_view leaf;
        enum cl_status status = cl_view_leaf_borrow(serving->view, &leaf, index);
        if (status != CL_OK) return status;
        used += RECORD_HEAD_MAX + leaf.length;
        if (used > room) break;
        status = cl_buffer_append(&serving->bytes, leaf.data, leaf.length);
        if (status != CL_OK) return status;
        serving->lengths[*count] = leaf.length;
    }
    for (size_t i = 0, at = 0; i < *count; at += serving->lengths[i++]) serving->records[i] = (struct cl_view){ serving->bytes.data + at, serving->lengths[i] };
    return CL_OK;
}

static enum cl_status add_block(struct serving *serving, uint64_t height, uint64_t skip)
{
    struct cl_stored_block block;
    struct cl_hash root;
    enum cl_status status = cl_view_block(serving->view, &serving->stored, height);
    if (status != CL_OK) return status;
    if (cl_stored_block_decode(&block, serving->stored.data, serving->stored.length) != CL_OK) return CL_E_STORE_CORRUPT;
    size_t around = serving->stored.length + 1 + 34 + 3; /* of the array, the root, the list's head */
    size_t used = serving->out->length + around, count = 0;
    uint64_t end = block.first_index + block.record_count, wanted = block.record_count > skip ? block.record_count - skip : 0;
    if (used > PAYLOAD_BYTES_MAX) {
        serving->full = true;
        return CL_OK;
    }
    status = read_records(serving, &count, PAYLOAD_BYTES_MAX - used, end - wanted, end);
    if (status == CL_OK) status = cl_view_log_root(serving->view, &root, end);
    if (status != CL_OK) return status;
    serving->full = count < wanted;
    if (serving->full && serving->blocks > 0) return CL_OK; /* it comes whole, or in parts of its own */
    serving->blocks++;
    return frame_range_add(serving->out, (struct cl_view){ serving->stored.data, serving->stored.length }, &root, serving->records, count);
}

enum cl_status sync_serve(struct cl_buffer *out, struct cl_ledger_view *view, const struct frame_range_request *request)
{
    struct cl_tip tip;
    struct cl_buffer blocks = { 0 };
    struct serving *serving = calloc(1, sizeof *serving);
    if (serving == NULL) return CL_E_MEMORY;
    serving->view = view;
    serving->out = &blocks;
    enum cl_status status = cl_view_tip(view, &tip);
    uint64_t count = request->count < SYNC_SERVED_BLOCKS_MAX ? request->count : SYNC_SERVED_BLOCKS_MAX;
    for (uint64_t i = 0; i < count && request->first_height <= tip.height && i <= tip.height - request->first_height && status == CL_OK && !serving->full; i++)
        status = add_block(serving, request->first_height + i, request->skip);
    if (status == CL_OK) status = frame_range_begin(out, serving->blocks);
    if (status == CL_OK) status = cl_buffer_append(out, blocks.data, blocks.length);
    cl_buffer_deinit(&serving->stored);
    cl_buffer_deinit(&serving->bytes);
    cl_buffer_deinit(&blocks);
    free(serving);
    return status;
}

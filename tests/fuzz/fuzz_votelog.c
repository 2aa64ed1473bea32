/* The vote log's reader, and the decoders behind its entries. A file that reads well is written by us: cutting what
   comes after the good part changes nothing. */
#include <assert.h>
#include <stdlib.h>

#include "block.h"
#include "votelog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum cl_status each(void *context, enum votelog_type type, const uint8_t *payload, size_t length)
{
    struct cl_vote vote;
    struct cl_certificate certificate;
    struct cl_proposal proposal;
    struct cl_leaf_hash *leaves = NULL;
    *(size_t *)context += 1;
    if (type == VOTELOG_VOTE && cl_vote_decode(&vote, payload, length) != CL_OK) return CL_OK;
    if (type == VOTELOG_CERTIFICATE && cl_certificate_decode(&certificate, payload, length) != CL_OK) return CL_OK;
    if (type == VOTELOG_PROPOSAL && cl_proposal_decode(&proposal, &leaves, payload, length) == CL_OK) free(leaves);
    return CL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct votelog_start start;
    size_t good = 0, again = 0, entries = 0, entries_again = 0;
    if (votelog_scan(&good, &start, data, size, each, &entries) != CL_OK) return 0;
    assert(good <= size);
    assert(votelog_scan(&again, &start, data, good, each, &entries_again) == CL_OK);
    assert(again == good && entries_again == entries);
    return 0;
}

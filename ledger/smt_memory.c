/* Memory for the state tree's nodes, apart because it asks the system for large pages, which the pure files may not. A
   tree of ten million leaves spreads over 70 MB in which every step is a jump: with small pages, finding the page costs
   as much as the rest. Where the system has none to give, ordinary ones do. */
#include <stdlib.h>
#include <sys/mman.h>

#include "smt_tree.h"

#define LARGE_PAGE_BYTES ((size_t)2 << 20)

void *smt_chunk_new(size_t bytes)
{
    size_t rounded = (bytes + LARGE_PAGE_BYTES - 1) & ~(LARGE_PAGE_BYTES - 1);
    void *chunk = aligned_alloc(LARGE_PAGE_BYTES, rounded);
    if (chunk != NULL) (void)madvise(chunk, rounded, MADV_HUGEPAGE);
    return chunk;
}

void smt_chunk_free(void *chunk)
{
    free(chunk);
}

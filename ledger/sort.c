/* A radix sort, byte by byte from the lowest: keys are hashes, which comparing sorts learn nothing from. */
#include "sort.h"

#include <stdlib.h>
#include <string.h>

#define FEW 48u /* for so many, 2 x 8 passes and their counts are more work than moving items one by one */

static void sort_few(struct cl_sort_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct cl_sort_item item = items[i];
        size_t at = i;
        for (; at > 0 && items[at - 1].order > item.order; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void count_bytes(size_t counts[8][256], const struct cl_sort_item *items, size_t count)
{
    memset(counts, 0, 8 * sizeof counts[0]);
    for (size_t i = 0; i < count; i++)
        for (unsigned byte = 0; byte < 8; byte++)
            counts[byte][items[i].order >> 8 * byte & 0xff]++;
}

static void distribute(struct cl_sort_item *to, const struct cl_sort_item *from, size_t count, size_t counts[256], unsigned byte)
{
    size_t place = 0;
    for (unsigned value = 0; value < 256; value++) {
        size_t here = counts[value];
        counts[value] = place;
        place += here;
    }
    for (size_t i = 0; i < count; i++)
        to[counts[from[i].order >> 8 * byte & 0xff]++] = from[i];
}

enum cl_status cl_sort(struct cl_sort_item *items, size_t count)
{
    size_t counts[8][256];
    if (count <= FEW) {
        sort_few(items, count);
        return CL_OK;
    }
    struct cl_sort_item *other = malloc(count * sizeof *other), *from = items, *to = other;
    if (other == NULL)
        return CL_E_MEMORY;
    count_bytes(counts, items, count);
    for (unsigned byte = 0; byte < 8; byte++) {
        if (counts[byte][items[0].order >> 8 * byte & 0xff] == count)
            continue; /* the same in all */
        distribute(to, from, count, counts[byte], byte);
        struct cl_sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
    free(other);
    return CL_OK;
}

/* Bounded send lanes (lanes.h). */
#include "lanes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct lane_bytes *lane_bytes_new(const uint8_t *data, size_t length)
{
    struct lane_bytes *bytes = malloc(sizeof *bytes + length);
    if (bytes == NULL) return NULL;
    atomic_init(&bytes->references, 1);
    bytes->length = length;
    memcpy(bytes->data, data, length);
    return bytes;
}

void lane_bytes_release(struct lane_bytes *bytes)
{
    if (bytes != NULL && atomic_fetch_sub(&bytes->references, 1) == 1) free(bytes);
}

static struct lane_bytes *take_from(struct lanes *lanes, enum lane lane)
{
    struct lane_item *item = lanes->first[lane];
    struct lane_bytes *bytes = item->bytes;
    lanes->first[lane] = item->next;
    if (item->next == NULL) lanes->last[lane] = NULL;
    lanes->frames--;
    lanes->bytes -= bytes->length;
    free(item);
    return bytes;
}

static enum lane least_important(const struct lanes *lanes)
{
    unsigned lane = LANE_COUNT - 1;
    while (lanes->first[lane] == NULL) {
        assert(lane > 0); /* asked only where something waits */
        lane--;
    }
    return (enum lane)lane;
}

enum cl_status lanes_put(struct lanes *lanes, enum lane lane, struct lane_bytes *bytes)
{
    assert(bytes->length <= CL_FRAME_BYTES_MAX);
    while (lanes->frames >= LANES_FRAMES_MAX || lanes->bytes + bytes->length > LANES_BYTES_MAX) {
        enum lane least = least_important(lanes);
        if (least < lane) {
            lanes->dropped[lane]++;
            return CL_E_BOUND;
        }
        lane_bytes_release(take_from(lanes, least));
        lanes->dropped[least]++;
    }
    struct lane_item *item = malloc(sizeof *item);
    if (item == NULL) return CL_E_MEMORY;
    atomic_fetch_add(&bytes->references, 1);
    *item = (struct lane_item){ .bytes = bytes };
    if (lanes->last[lane] != NULL) lanes->last[lane]->next = item;
    else lanes->first[lane] = item;
    lanes->last[lane] = item;
    lanes->frames++;
    lanes->bytes += bytes->length;
    return CL_OK;
}

struct lane_bytes *lanes_take(struct lanes *lanes)
{
    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        if (lanes->first[lane] != NULL) return take_from(lanes, (enum lane)lane);
    return NULL;
}

void lanes_clear(struct lanes *lanes)
{
    struct lane_bytes *bytes;
    while ((bytes = lanes_take(lanes)) != NULL) lane_bytes_release(bytes);
}

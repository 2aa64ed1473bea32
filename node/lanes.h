/* What waits to be sent to one peer: bounded lanes in order of importance. At the bound the least important goes, and of
   one lane the oldest: what was said later is worth more, and whoever sends repeats what matters. Pure; the caller locks. */
#ifndef NODE_LANES_H
#define NODE_LANES_H

#include "consent/limits.h"
#include "consent/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most important first. Bodies: records that a proposal waits for; records: those that travel by gossip. */
enum lane { LANE_CERTIFICATES, LANE_VOTES, LANE_PROPOSALS, LANE_BODIES, LANE_RECORDS, LANE_ANNOUNCEMENTS, LANE_COUNT };
#define LANES_BYTES_MAX (4u * 1024u * 1024u)
#define LANES_FRAMES_MAX 2048u
static_assert(LANES_BYTES_MAX >= 4u * CL_FRAME_BYTES_MAX, "lanes hold some of the largest frames");

/* One frame's bytes, shared by the lanes of all peers that it goes to. */
struct lane_bytes { atomic_size_t references; size_t length; uint8_t data[]; };
/* With one reference, the caller's. NULL: no memory. */
struct lane_bytes *lane_bytes_new(const uint8_t *data, size_t length);
void lane_bytes_release(struct lane_bytes *bytes); /* NULL: nothing */

struct lane_item { struct lane_item *next; struct lane_bytes *bytes; };
struct lanes {
    struct lane_item *first[LANE_COUNT], *last[LANE_COUNT];
    size_t frames, bytes;          /* waiting now */
    uint64_t dropped[LANE_COUNT];  /* for want of room, ever */
};
/* Takes a reference of its own. CL_OK: it waits (something less important may have gone); CL_E_BOUND: it was itself the
   least important and is dropped; CL_E_MEMORY. */
CL_MUST_USE enum cl_status lanes_put(struct lanes *lanes, enum lane lane, struct lane_bytes *bytes);
/* The next to send; its reference becomes the caller's. NULL: nothing waits. */
struct lane_bytes *lanes_take(struct lanes *lanes);
void lanes_clear(struct lanes *lanes);

#endif

/* The owner thread's one inbox, all bounded: frames of peers, of each peer in turn, and lanes, so that neither a peer nor a
   flood of clients can delay what members say. Any thread puts; the owner takes a lane whole, under one lock, and frames one
   by one, so that what comes from another peer meanwhile is next. */
#ifndef NODE_INBOX_H
#define NODE_INBOX_H

#include "consent/status.h"
#include "consent/limits.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INBOX_FRAMES_MAX 65536u /* of all peers */

enum inbox_lane { INBOX_SIGNATURES, INBOX_HTTP, INBOX_LANES };
struct inbox_message { void (*run)(void *owner, void *context); void *context; };
struct inbox_list { struct inbox_message *items; size_t count, capacity; };
struct inbox_frame;
struct inbox_queue { struct inbox_frame *first, *last; };
struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct inbox_queue peers[CL_MEMBERS_MAX];
    size_t frame_count, turn;           /* turn: the peer that is looked at first */
    struct inbox_list lanes[INBOX_LANES];
    size_t maximum[INBOX_LANES];
    bool sleeping, nudged;
};

void inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
/* CL_E_BOUND: the lane is full, CL_E_MEMORY. */
CL_MUST_USE enum cl_status inbox_put(struct inbox *inbox, enum inbox_lane lane, void (*run)(void *owner, void *context), void *context);
/* CL_E_BOUND: there are too many frames; how many are of this peer is the caller's to bound. CL_E_MEMORY. */
CL_MUST_USE enum cl_status inbox_put_frame(struct inbox *inbox, size_t peer, void (*run)(void *owner, void *context), void *context);
/* Nothing waits now. */
bool inbox_is_empty(struct inbox *inbox);
/* Wakes the owner without a message. */
void inbox_nudge(struct inbox *inbox);
/* Waits until there is something, or a nudge, or wait_ms have passed; then swaps the lanes with the caller's emptied lists.
   Returns: how many frames there are. */
size_t inbox_take(struct inbox *inbox, struct inbox_list lists[INBOX_LANES], uint64_t wait_ms);
/* The oldest frame of the next peer that has one, without waiting. Returns: whether there was one. */
bool inbox_take_frame(struct inbox *inbox, struct inbox_message *out);
/* What is in one lane now, without waiting. */
void inbox_take_lane(struct inbox *inbox, struct inbox_list *list, enum inbox_lane lane);

#endif

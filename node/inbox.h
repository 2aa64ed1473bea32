/* The owner thread's one inbox: bounded lanes, served in the order of the enum, so that a flood of clients cannot delay
   what members say. Any thread puts; the owner takes all that is there at once, under one lock. */
#ifndef NODE_INBOX_H
#define NODE_INBOX_H

#include "consent/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inbox_lane { INBOX_LINKS, INBOX_TIMERS, INBOX_SIGNATURES, INBOX_HTTP, INBOX_LANES };
struct inbox_message { void (*run)(void *owner, void *context); void *context; };
struct inbox_list { struct inbox_message *items; size_t count, capacity; };
struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct inbox_list lanes[INBOX_LANES];
    size_t maximum[INBOX_LANES];
    bool sleeping, nudged;
};

void inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
/* CL_E_BOUND: the lane is full, CL_E_MEMORY. */
CL_MUST_USE enum cl_status inbox_put(struct inbox *inbox, enum inbox_lane lane, void (*run)(void *owner, void *context), void *context);
/* Wakes the owner without a message. */
void inbox_nudge(struct inbox *inbox);
/* Waits until there is something, or a nudge, or wait_ms have passed; then swaps the lanes with the caller's emptied lists. */
void inbox_take(struct inbox *inbox, struct inbox_list lists[INBOX_LANES], uint64_t wait_ms);
/* What is in one lane now, without waiting. */
void inbox_take_lane(struct inbox *inbox, struct inbox_list *list, enum inbox_lane lane);

#endif

/* Lanes are vectors that are swapped, not copied: a lock for each message put and one for each round of the owner. */
#include "inbox.h"

#include <assert.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct inbox_frame { struct inbox_frame *next; struct inbox_message message; };

void inbox_init(struct inbox *inbox)
{
    pthread_condattr_t monotonic;
    memset(inbox, 0, sizeof *inbox);
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&inbox->filled, &monotonic);
    pthread_condattr_destroy(&monotonic);
    inbox->maximum[INBOX_SIGNATURES] = SIZE_MAX; /* bounded by the records that the node lets in (node_room) */
    inbox->maximum[INBOX_HTTP] = 4096;
}

void inbox_deinit(struct inbox *inbox)
{
    struct inbox_message frame;
    while (inbox_take_frame(inbox, &frame)) continue;
    for (size_t i = 0; i < INBOX_LANES; i++) free(inbox->lanes[i].items);
    pthread_cond_destroy(&inbox->filled);
    pthread_mutex_destroy(&inbox->lock);
}

static enum cl_status push(struct inbox_list *list, size_t maximum, struct inbox_message message)
{
    if (list->count >= maximum) return CL_E_BOUND;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct inbox_message *grown = realloc(list->items, capacity * sizeof *grown);
        if (grown == NULL) return CL_E_MEMORY;
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = message;
    return CL_OK;
}

enum cl_status inbox_put(struct inbox *inbox, enum inbox_lane lane, void (*run)(void *owner, void *context), void *context)
{
    pthread_mutex_lock(&inbox->lock);
    enum cl_status status = push(&inbox->lanes[lane], inbox->maximum[lane], (struct inbox_message){ run, context });
    bool wakes = status == CL_OK && inbox->sleeping;
    pthread_mutex_unlock(&inbox->lock);
    if (wakes) pthread_cond_signal(&inbox->filled); /* now, so that the owner does not wake up to a lock that is taken */
    return status;
}

enum cl_status inbox_put_frame(struct inbox *inbox, size_t peer, void (*run)(void *owner, void *context), void *context)
{
    assert(peer < CL_MEMBERS_MAX);
    struct inbox_queue *queue = &inbox->peers[peer];
    struct inbox_frame *made = malloc(sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    *made = (struct inbox_frame){ .message = { run, context } };
    pthread_mutex_lock(&inbox->lock);
    bool room = inbox->frame_count < INBOX_FRAMES_MAX, wakes = room && inbox->sleeping;
    if (room) {
        if (queue->first == NULL) queue->first = made;
        else queue->last->next = made;
        queue->last = made;
        inbox->frame_count++;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (wakes) pthread_cond_signal(&inbox->filled);
    if (!room) free(made);
    return room ? CL_OK : CL_E_BOUND;
}

bool inbox_take_frame(struct inbox *inbox, struct inbox_message *out)
{
    struct inbox_frame *taken = NULL;
    pthread_mutex_lock(&inbox->lock);
    for (size_t i = 0; i < CL_MEMBERS_MAX && inbox->frame_count > 0 && taken == NULL; i++) {
        struct inbox_queue *queue = &inbox->peers[inbox->turn];
        inbox->turn = (inbox->turn + 1) % CL_MEMBERS_MAX;
        taken = queue->first;
        if (taken != NULL) queue->first = taken->next;
    }
    if (taken != NULL) inbox->frame_count--;
    pthread_mutex_unlock(&inbox->lock);
    if (taken != NULL) *out = taken->message;
    free(taken);
    return taken != NULL;
}

void inbox_nudge(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->nudged = true;
    if (inbox->sleeping) pthread_cond_signal(&inbox->filled);
    pthread_mutex_unlock(&inbox->lock);
}

static bool is_empty(const struct inbox *inbox)
{
    for (size_t i = 0; i < INBOX_LANES; i++)
        if (inbox->lanes[i].count > 0) return false;
    return inbox->frame_count == 0 && !inbox->nudged;
}

bool inbox_is_empty(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    bool empty = is_empty(inbox);
    pthread_mutex_unlock(&inbox->lock);
    return empty;
}

static void swap(struct inbox_list *lane, struct inbox_list *emptied)
{
    struct inbox_list filled = *lane;
    *lane = *emptied;
    lane->count = 0;
    *emptied = filled;
}

size_t inbox_take(struct inbox *inbox, struct inbox_list lists[INBOX_LANES], uint64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&inbox->lock);
    inbox->sleeping = true;
    while (wait_ms > 0 && is_empty(inbox))
        if (pthread_cond_timedwait(&inbox->filled, &inbox->lock, &until) != 0) break;
    inbox->sleeping = false;
    inbox->nudged = false;
    for (size_t i = 0; i < INBOX_LANES; i++) swap(&inbox->lanes[i], &lists[i]);
    size_t frames = inbox->frame_count;
    pthread_mutex_unlock(&inbox->lock);
    return frames;
}

void inbox_take_lane(struct inbox *inbox, struct inbox_list *list, enum inbox_lane lane)
{
    pthread_mutex_lock(&inbox->lock);
    swap(&inbox->lanes[lane], list);
    pthread_mutex_unlock(&inbox->lock);
}

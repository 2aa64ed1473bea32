/* What mailbox_server.c (one turn of the thread) and mailbox_forward.c (other nodes) share. */
#ifndef NODE_MAILBOX_PRIVATE_H
#define NODE_MAILBOX_PRIVATE_H

#include "mailbox_server.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    QUEUED_JOBS_MAX = 1024, QUEUED_BYTES_MAX = 32 * 1024 * 1024,
    GROUP_JOBS_MAX = 256, GROUP_BYTES_MAX = 4 * 1024 * 1024, GROUP_FETCHES_MAX = 16,
    FORWARDS_MAX = 64, FORWARDS_OPEN_MAX = 4,  /* of the node; to one peer, which leaves it half of its questions */
    FORWARD_MS = 10000, ANSWER_MS = 5000,
    ASSEMBLIES_MAX = 64, ASSEMBLIES_OF_PEER_MAX = FORWARDS_OPEN_MAX, ASSEMBLY_MS = 15000,
    SWEEP_MS = 60000, COMPACT_BYTES_MIN = 16 * 1024 * 1024,
    STORE_BUFFER_BYTES = 4 * 1024 * 1024, STORE_CACHE_BYTES = 1024 * 1024, STORE_FILES = 64
};
struct mailbox_jobs { struct mailbox_job *first, *last; };
/* A delivery of which parts have come from another node. */
struct mailbox_assembly { bool used; size_t peer; uint8_t mailbox[32], delivery[32]; uint64_t since_ms; struct cl_buffer bytes; };

struct mailbox_server {
    /* the thread's own */
    struct cl_store store;
    struct mailboxes *mailboxes;            /* NULL: none here */
    bool store_open, told_failure, sweep_more, running, compacting;
    struct mailbox_job **waiters;
    size_t waiter_count, waits_max;
    struct mailbox_jobs to_ask;             /* for other nodes, not asked yet */
    size_t peer_count, *open;               /* questions of ours that each peer has */
    uint64_t kept_house_ms, swept_ms, deleted_since_ms, compact_ms;
    _Atomic(struct transport *) transport;  /* NULL: no links */
    pthread_t thread, compactor;
    pthread_mutex_t lock;                   /* all below */
    pthread_cond_t filled, compact_wanted;
    struct mailbox_jobs queue, answered;
    size_t queued_jobs, queued_bytes, forwards;
    bool stopping, stopped, compact;
    struct mailbox_assembly assemblies[ASSEMBLIES_MAX];
    struct mailbox_server_report report;
};

void mailbox_jobs_append(struct mailbox_jobs *jobs, struct mailbox_job *job);
struct mailbox_job *mailbox_jobs_take(struct mailbox_jobs *jobs);
void mailbox_finish(struct mailbox_job *job, enum mailbox_outcome outcome);
/* mailbox_forward.c */
void mailbox_take_answers(struct mailbox_server *server, struct mailbox_jobs *answered);
void mailbox_forward(struct mailbox_server *server, uint64_t monotonic_ms);
void mailbox_assemblies_expire(struct mailbox_server *server, uint64_t monotonic_ms);

#endif

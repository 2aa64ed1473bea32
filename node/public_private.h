/* What public_server.c (one turn of the thread) and public_copies.c (other nodes) share. */
#ifndef NODE_PUBLIC_PRIVATE_H
#define NODE_PUBLIC_PRIVATE_H

#include "public_server.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PUBLIC_JOBS_MAX = 256, PUBLIC_GROUP_JOBS_MAX = 32,
    PUBLIC_OPEN_MAX = 2,    /* questions of ours to one peer, so that most of its answers are left for what orders records */
    PUBLIC_COPIES_MAX = 64, /* pages of other nodes, each of PUBLIC_PAGE_BYTES_MAX and a little */
    PUBLIC_QUESTIONS_PER_S = 50, PUBLIC_QUESTIONS_BURST = 200,
    PUBLIC_WAIT_MS = 10000, PUBLIC_ANSWER_MS = 5000, PUBLIC_SWEPT_PER_S = 1000,
    PUBLIC_CLOCK_S = 5      /* by which a block's time may be behind this node's */
};
struct public_jobs { struct public_job *first, *last; };
/* A page of another node, as it was answered. asking: it is not here yet. */
struct public_copy {
    bool used, asking, has_after;
    size_t peer;
    struct cl_object_id after;
    uint64_t since_ms, signed_by_owner; /* signed_by_owner: a bit for each body */
    struct cl_buffer answer;
    struct public_server *server;
};
static_assert(PUBLIC_PAGE_BODIES_MAX <= 64, "a bit for each body");

struct public_server {
    struct cl_ledger *ledger;
    struct cl_network_id network;
    uint64_t body_days;
    /* the thread's own */
    struct public_bodies *bodies;          /* NULL: none here */
    struct public_jobs waiting;            /* for a page of another node */
    size_t *open;                          /* questions of ours that each peer has */
    uint64_t copy_ms, kept_house_ms, questions_left_milli, questions_since_ms;
    struct public_server_report now;       /* told once in each turn */
    bool running;
    _Atomic(struct transport *) transport; /* NULL: no links */
    pthread_t thread;
    pthread_mutex_t lock;                  /* all below */
    pthread_cond_t filled;
    struct public_jobs queue;
    size_t queued;                         /* in the queue or waiting */
    bool stopping;
    struct public_copy copies[PUBLIC_COPIES_MAX];
    struct { struct public_copy *copy; bool good; } answered[PUBLIC_COPIES_MAX];
    size_t answered_count;
    struct public_server_report report;
};

/* A moment's ledger. */
struct public_looking { struct cl_ledger_view *view; uint64_t now_s, tip_s; };

void public_jobs_append(struct public_jobs *jobs, struct public_job *job);
struct public_job *public_jobs_take(struct public_jobs *jobs);
void public_finish(struct public_server *server, struct public_job *job, enum public_outcome outcome);
/* Signed by its owner for this network, not long ago and not ahead of time. CL_E_TIME_AHEAD, CL_E_TIME_OLD, and what
   cl_public_body_check returns. */
CL_MUST_USE enum cl_status public_signed_check(const struct public_server *server, const struct cl_public_body *body, uint64_t now_s);
/* public_copies.c, the server's thread. looking NULL: the ledger cannot be read now. */
void public_take_answers(struct public_server *server, struct public_looking *looking);
/* Every page that somebody waits for is shown, asked for, or given up. */
void public_serve_waiting(struct public_server *server, struct public_looking *looking, uint64_t monotonic_ms);
void public_copies_expire(struct public_server *server, uint64_t monotonic_ms);

#endif

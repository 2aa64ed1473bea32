/* The thread that public bodies belong to: what HTTP and other nodes ask comes as jobs. What other nodes keep is asked of them a
   page at a time, when somebody wants to see it, and kept in memory for copy_s: so no file here ever has it. Everything
   that is taken or shown is compared with this node's own ledger first. */
#ifndef NODE_PUBLIC_SERVER_H
#define NODE_PUBLIC_SERVER_H

#include "config.h"
#include "ledger.h"
#include "public_bodies.h"
#include "transport.h"

#define PUBLIC_HERE SIZE_MAX

enum public_job_kind { PUBLIC_JOB_PUT, PUBLIC_JOB_REMOVE, PUBLIC_JOB_PAGE };
struct public_server;
struct public_job {
    enum public_job_kind kind;
    struct cl_object_id object;   /* PUT, REMOVE: whose key signed; PAGE: only those above it */
    bool has_after;               /* PAGE */
    struct cl_view bytes;         /* PUT: borrowed until done */
    size_t peer;                  /* PAGE: whose; PUBLIC_HERE */
    void (*done)(struct public_job *job); /* once, on any thread; must not wait */
    void *context;
    /* set when it is done */
    enum public_outcome outcome;
    enum cl_status why;           /* PUBLIC_REFUSED */
    bool removed;                 /* REMOVE: there was one */
    struct public_page page;      /* PAGE; the caller's. What the ledger does not bear out is left out of it */
    struct cl_object_id last;     /* PAGE, with page.more: where the next one goes on */
    /* the server's */
    struct public_job *next;
    uint64_t deadline_ms;
};

/* With [public] bodies_max = 0 none are kept here, and those of other nodes are still shown. sentence: why it did not start. */
CL_MUST_USE enum cl_status public_server_new(struct public_server **out, const struct node_config *config, struct cl_ledger *ledger, const struct cl_network_id *network, size_t peer_count, char *sentence,
                                             size_t sentence_size);
/* From now on other nodes are asked; the transport must outlive public_server_stop. */
void public_server_connect(struct public_server *server, struct transport *transport);
/* CL_E_BOUND: too much waits. CL_E_CANCELLED: it stops. Then done is not called. */
CL_MUST_USE enum cl_status public_server_put(struct public_server *server, struct public_job *job);
/* Another node's FRAME_PUBLIC_QUESTION. Returns: whether it will be answered. */
bool public_server_question(struct public_server *server, const struct frame *frame, struct transport_question *question);
/* All that waits is done with PUBLIC_NOT_NOW. */
void public_server_stop(struct public_server *server);
void public_server_free(struct public_server *server); /* after the transport */

/* May this body be shown now? CL_OK, or CL_E_NO_OBJECT, CL_E_OBJECT_KIND, CL_E_BODY (another commitment), CL_E_PARTY (another key is
   the present one), CL_E_CLOSED (or others succeed them), CL_E_EXPIRED; or what reading the ledger came to. */
CL_MUST_USE enum cl_status public_facts_check(struct cl_ledger_view *view, const struct public_facts *facts, uint64_t now_s);

struct public_server_report { struct public_report kept; uint64_t copies, copied_bytes, asked, unfit, waiting_jobs; };
void public_server_report(struct public_server *server, struct public_server_report *out); /* any thread */

#endif

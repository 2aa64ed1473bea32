/* The thread that mailboxes belong to: what HTTP and other nodes ask comes as jobs, many become durable with one write, and
   who waits for a delivery is told when it is there. What is for another node's mailbox is asked of that node; nothing is
   queued for a node that cannot be reached: whoever deposits keeps the delivery and sends it again. */
#ifndef NODE_MAILBOX_SERVER_H
#define NODE_MAILBOX_SERVER_H

#include "config.h"
#include "mailbox.h"
#include "transport.h"

#define MAILBOX_WAIT_S_MAX 60u
#define MAILBOX_HERE SIZE_MAX

enum mailbox_job_kind { MAILBOX_JOB_OPEN, MAILBOX_JOB_CLOSE, MAILBOX_JOB_DEPOSIT, MAILBOX_JOB_FETCH, MAILBOX_JOB_ACKNOWLEDGE };
struct mailbox_server;
struct mailbox_job {
    enum mailbox_job_kind kind;
    uint8_t id[32];
    uint8_t nonce[16];            /* of the challenge, which was checked; not of OPEN and DEPOSIT */
    struct cl_view bytes;         /* DEPOSIT: borrowed until done */
    uint8_t digest[32];           /* DEPOSIT: their SHA-256 */
    size_t peer;                  /* DEPOSIT: whose mailbox it is; MAILBOX_HERE */
    uint64_t number;              /* FETCH: only those after it; ACKNOWLEDGE: up to it */
    uint64_t wait_ms;             /* FETCH: for the first one */
    size_t limit;                 /* FETCH */
    void (*done)(struct mailbox_job *job); /* once, on any thread; must not wait */
    void *context;
    /* set when it is done */
    enum mailbox_outcome outcome;
    uint64_t result;              /* DEPOSIT: its number; CLOSE, ACKNOWLEDGE: how many went */
    struct mailbox_page page;     /* FETCH; the caller's */
    /* the server's */
    struct mailbox_server *server;
    struct mailbox_job *next;
    uint64_t deadline_ms, offset;
};

/* With [mailbox] mailboxes_max = 0 there are none here, and deliveries for other nodes are still passed on. sentence: why it
   did not start. */
CL_MUST_USE enum cl_status mailbox_server_new(struct mailbox_server **out, const struct node_config *config, size_t peer_count, char *sentence, size_t sentence_size);
/* From now on deliveries go to other nodes; the transport must outlive mailbox_server_stop. */
void mailbox_server_connect(struct mailbox_server *server, struct transport *transport);
/* CL_E_BOUND: too much waits. CL_E_CANCELLED: it stops. Then done is not called. */
CL_MUST_USE enum cl_status mailbox_server_put(struct mailbox_server *server, struct mailbox_job *job);
/* Another node's FRAME_DEPOSIT. Returns: whether the question will be answered. */
bool mailbox_server_question(struct mailbox_server *server, size_t sender, const struct frame *frame, struct transport_question *question);
/* All that waits is done with MAILBOX_NOT_NOW; what another node was asked about is done once the transport ends it. */
void mailbox_server_stop(struct mailbox_server *server);
void mailbox_server_free(struct mailbox_server *server); /* after the transport */
struct mailbox_server_report { struct mailbox_report kept; uint64_t waiting_jobs, waiting_fetches, forwarded, disk_bytes; };
void mailbox_server_report(struct mailbox_server *server, struct mailbox_server_report *out); /* any thread */

#endif

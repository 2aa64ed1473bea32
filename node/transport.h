/* Links between nodes: frames to and from the other members over mutual TLS. Who uses it: node_links.c, for the owner thread of a node
   with peers: what arrives goes into the inbox, and what consensus, gossip and catching up ask for goes out.

   A transport promises little: a frame that was sent may be lost (a full lane, a broken pipe), and frames of different
   lanes overtake each other. It promises that what arrives is well-formed and comes from the member it names, that
   everything it keeps is bounded for each peer, and that a slow or hostile peer holds up no other. */
#ifndef NODE_TRANSPORT_H
#define NODE_TRANSPORT_H

#include "frame.h"
#include "lanes.h"

#define TRANSPORT_ASKED_MAX 8u               /* questions to one member that are open at a time */
#define TRANSPORT_MEMBER_QUESTIONS_MAX 16u   /* of one member that this node answers at a time; dropped beyond. More than it may have
                                                open, since its next one may come before the place of the last is free */
static_assert(TRANSPORT_MEMBER_QUESTIONS_MAX >= 2 * TRANSPORT_ASKED_MAX, "none is dropped of a member that keeps to its bound");
#define TRANSPORT_QUESTION_MS_MAX 60000u     /* longest time limit of a question */
#define TRANSPORT_QUIET_MS 10000u            /* a hello goes out where nothing else did for so long */
#define TRANSPORT_HELLO_MS 60000u            /* and at least so often */
#define TRANSPORT_SILENCE_MS 25000u          /* nothing heard for so long: dial that peer anew */
#define TRANSPORT_RECONNECT_MS_MIN 100
#define TRANSPORT_RECONNECT_MS_MAX 2000
#define TRANSPORT_ALL SIZE_MAX

struct transport;
struct transport_question;

/* Certificates and keys are PEM text; addresses are HOST:PORT. All is copied. */
struct transport_member {
    const char *name, *certificate;
    const uint8_t *vote32;
    const char *address, *ask_address;       /* where it takes frames, where it answers questions */
};
enum transport_outcome { TRANSPORT_ANSWERED, TRANSPORT_TIMED_OUT, TRANSPORT_BROKEN, TRANSPORT_STOPPED };
struct transport_config {
    struct cl_network_id network;
    const struct transport_member *members;
    size_t member_count, own;                /* at least 2 */
    const uint8_t *vote_seed32;
    const char *key;                         /* of the own certificate */
    const char *listen, *listen_ask;
    uint64_t (*wall_ms)(void);               /* the clock that hellos are judged by */
    /* Both are called on the transport's threads, perhaps before transport_new returns, and must not wait; the frame is
       borrowed. */
    void *context;
    void (*receive)(void *context, size_t sender, const struct frame *frame);
    /* Then transport_answer or transport_decline has to be called once, by any thread. */
    void (*question)(void *context, size_t sender, const struct frame *frame, struct transport_question *question);
};
struct transport_error { char sentence[256]; };

/* Listens and begins to dial; a peer that is not there yet is dialled again and again. CL_E_ARGUMENT, CL_E_IO,
   CL_E_MEMORY, with a sentence. */
CL_MUST_USE enum cl_status transport_new(struct transport **out, struct transport_error *error, const struct transport_config *config);
/* Nobody else may be in one of these functions, or answer a question later. Own questions end with TRANSPORT_STOPPED. */
void transport_free(struct transport *transport);

/* Any thread; never waits. To one member, or TRANSPORT_ALL; goes out with transport_flush, or within a second. CL_E_BOUND: too long for a frame, or nothing less important
   waits in a full lane (counted; with TRANSPORT_ALL only the count tells); CL_E_MEMORY. */
CL_MUST_USE enum cl_status transport_send(struct transport *transport, size_t member, enum lane lane, enum frame_kind kind, const uint8_t *payload, size_t length);
/* Sends what waits: together what was said together, so call it when all is said. Any thread; never waits. */
void transport_flush(struct transport *transport);
/* Any thread. CL_E_BOUND while TRANSPORT_ASKED_MAX questions to this member are open. answered is called once, on
   one of the transport's threads; frame is NULL unless TRANSPORT_ANSWERED. Answers may come in another order than questions went. */
typedef void (*transport_answered)(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame);
CL_MUST_USE enum cl_status transport_ask(struct transport *transport, size_t member, enum frame_kind kind, const uint8_t *payload, size_t length,
                                         uint32_t limit_ms, transport_answered answered, void *context);
/* CL_E_BOUND, CL_E_MEMORY: not answered, decline it. */
CL_MUST_USE enum cl_status transport_answer(struct transport_question *question, enum frame_kind kind, const uint8_t *payload, size_t length);
void transport_decline(struct transport_question *question); /* whoever asked runs into its time limit */

struct transport_counters {
    bool connected, ask_connected;           /* frames can go out; questions can */
    bool clock_known;                        /* a hello came: */
    int64_t clock_ahead_ms;                  /* its time less ours when it came, so less the way here; of the newest one */
    size_t waiting_frames, waiting_bytes;
    uint64_t sent_frames, sent_bytes, dropped[LANE_COUNT], connects;
    uint64_t received_frames, received_bytes, malformed, unknown_kinds, closed, heard_ms_ago;
    uint64_t asked, answered, questions, questions_dropped;
};
void transport_count(struct transport *transport, size_t member, struct transport_counters *out);
/* What came on pipes that are no member's yet. */
struct transport_strays { uint64_t frames, bad_hellos, refused_pipes, closed; };
void transport_count_strays(struct transport *transport, struct transport_strays *out);

#endif

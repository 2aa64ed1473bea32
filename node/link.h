/* Single connections between nodes: nng's TCP streams, TLS over them (tls.h), and messages over that. Knows nothing of
   frames, members or hellos: that is transport.c's, the only user. Of nng only its streams are used: its sockets of 1.5
   lose operations on TLS connections that break at the wrong moment, and never come back from that.

   A message on the wire: length (4 bytes), number (4 bytes), both big-endian, then so many bytes. A number joins an answer
   to its question; frames have 0.

   Locks: none is held while an event is called. Events of one link come one after the other but for `sent`, and on nng's
   threads; they must not wait. All functions may be called within them and by any thread, but for the freeing ones. */
#ifndef NODE_LINK_H
#define NODE_LINK_H

#include "tls.h"

#define LINK_MESSAGE_BYTES_MAX CL_FRAME_BYTES_MAX
#define LINK_WAITING_BYTES_MAX (10u * CL_FRAME_BYTES_MAX) /* to go out on one link; refused beyond */
#define LINK_HEAD_BYTES 8u
#define LINK_CONNECT_MS 3000 /* for a TCP connection to come about */

/* One connection after the other: of a dialer, or taken in. Each has an id of its own, which is never 0. */
struct link;
struct link_events {
    bool (*taken)(void *context, uint32_t id);  /* a connection came in; false: close it. id 0: no link was free for it */
    void (*opened)(void *context, struct link *link, uint32_t id, size_t peer); /* peer: as tls_session_peer */
    void (*came)(void *context, struct link *link, uint32_t id, uint32_t number, const uint8_t *data, size_t length);
    void (*sent)(void *context, struct link *link, uint32_t id); /* all that waited has gone out */
    void (*ended)(void *context, struct link *link, uint32_t id); /* the last for this id, and after link_dial that failed */
};
struct link_error { char sentence[160]; };

/* Addresses are HOST:PORT. events, context and identity are borrowed until the free function returns, after which no event
   comes. CL_E_ARGUMENT, CL_E_IO, CL_E_MEMORY, with a sentence. */
struct link_listener;
/* Takes nothing in before link_listener_go_on. */
CL_MUST_USE enum cl_status link_listener_new(struct link_listener **out, struct link_error *error, const char *address, struct tls_identity *identity,
                                             size_t links_max, const struct link_events *events, void *context);
/* Takes connections in again where that had failed (too many open files). Call every second: between two calls 64
   connections are taken in at once, more only 200 a second, so that strangers' handshakes leave time for others. */
void link_listener_go_on(struct link_listener *listener);
void link_listener_close(struct link_listener *listener, uint32_t id); /* as link_close */
void link_listener_free(struct link_listener *listener);
CL_MUST_USE enum cl_status link_dialer_new(struct link **out, struct link_error *error, const char *address, struct tls_identity *identity,
                                           const struct link_events *events, void *context);
void link_dialer_free(struct link *link);
/* Connects; only while it is not connected: after link_dialer_new and after each ended. Returns the connection's id. */
uint32_t link_dial(struct link *link);
/* Puts a message, or several (link_put_head, bytes, and again), on their way. *waits: not all has gone; sent or ended
   follows. CL_E_NOT_FOUND: that connection is no more, or not open yet. CL_E_BOUND: too much waits. CL_E_MEMORY. */
enum cl_status link_send(struct link *link, uint32_t id, const uint8_t *messages, size_t length, bool *waits);
void link_put_head(uint8_t out[LINK_HEAD_BYTES], size_t length, uint32_t number);
void link_close(struct link *link, uint32_t id); /* ended follows; nothing where that connection is no more */

#endif

/* TLS between bytes in memory: what came from a peer is put in, what is to go to it is taken out. No sockets, no threads.
   Both sides show a certificate, and each believes exactly the certificates that it was given: a member's is its own
   authority (node_certificate_make). TLS 1.2, or 1.3 where the library has it. */
#ifndef NODE_TLS_H
#define NODE_TLS_H

#include "consent/record.h"

struct tls_identity; /* an own certificate and who is believed; for any number of sessions and threads */
struct tls_session;

/* certificate, key: the own ones, PEM. trusted: PEM of the certificates that are believed; NULL entries are passed over.
   server_name: whom a client means to meet; NULL: it is a server. CL_E_ARGUMENT: a text that cannot be used, *bad says
   which: an index in trusted, or trusted_count for the own ones. CL_E_MEMORY. */
CL_MUST_USE enum cl_status tls_identity_new(struct tls_identity **out, size_t *bad, const char *certificate, const char *key,
                                            const char *const *trusted, size_t trusted_count, const char *server_name);
void tls_identity_free(struct tls_identity *identity); /* after its sessions */

CL_MUST_USE enum cl_status tls_session_new(struct tls_session **out, struct tls_identity *identity); /* CL_E_MEMORY */
void tls_session_free(struct tls_session *session);
/* Bytes that came. Borrowed until tls_session_read has said CL_E_NOT_FOUND. */
void tls_session_put(struct tls_session *session, const uint8_t *data, size_t length);
/* Goes on with the handshake; call first for a client, and whenever something came. CL_OK: done. CL_E_NOT_FOUND: more has
   to come. CL_E_SIGNATURE: the other side is not believed, or spoke badly. */
CL_MUST_USE enum cl_status tls_session_greet(struct tls_session *session);
/* Whose certificate the other side showed: an index in trusted. After the handshake. */
size_t tls_session_peer(const struct tls_session *session);
/* Up to size bytes of what the other side said. CL_E_NOT_FOUND: more has to come. CL_E_SIGNATURE: it ended, or spoke badly. */
CL_MUST_USE enum cl_status tls_session_read(struct tls_session *session, uint8_t *out, size_t size, size_t *length);
CL_MUST_USE enum cl_status tls_session_write(struct tls_session *session, const uint8_t *data, size_t length); /* CL_E_MEMORY, CL_E_SIGNATURE */
/* What is to go to the other side; whoever sends it empties the buffer, or swaps it for an empty one. */
struct cl_buffer *tls_session_outgoing(struct tls_session *session);

#endif

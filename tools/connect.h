/* How two sides come to reach each other from one code or offer. Whoever makes one opens a reception: a mailbox and a key, and
   puts them in. Who answers seals his contact to it at once. The maker's inbox keeps that, and answers with the contact of the
   relationship itself. None of it makes the act fail that it goes with: what went wrong is said, and tried again. */
#ifndef TOOLS_CONNECT_H
#define TOOLS_CONNECT_H

#include "mailbox.h"
#include "consent/exchange.h"
#include "opening.h"

/* A reception for those who answer this offer of ours, at the node in use. Absent with --no-mailbox, where the node keeps no
   mailboxes, or does not answer; which is said. in_return: as in cl_reception. */
void reception_open(struct context *context, struct cl_reception *out, const struct cl_object_id *object, bool in_return);
/* The same for an offer that was made before: absent where it had none. */
void reception_again(struct context *context, struct cl_reception *out, const struct cl_object_id *object);

/* After an answer of ours, or a ROTATE (act): our contact goes to the reception of the code or offer, or to the contact that we have, once.
   final: the answer stands on the ledger; else the contact waits in the outbox. Adds to json what came of it. */
void connect_answered(struct context *context, const struct act *act, const struct cl_object_id *object, bool final, json_t *json);
void reception_address(const struct cl_reception *reception, char address[MAILBOX_ADDRESS_SIZE]);
/* Seals a notice of this kind for the other side into the outbox; folder: for outbox_send. */
int connect_notice(struct context *context, char folder[4096], const struct own_side *own, const char *media_type, struct cl_view content, const uint8_t recipient32[32], const char *address);
/* Where the other side takes what connects: as its own contact says, else in the reception that came with the code or offer of this
   command. False: nowhere that we know. */
bool connect_recipient(const struct context *context, const struct cl_exchange *exchange, uint8_t recipient32[32], char address[MAILBOX_ADDRESS_SIZE]);
/* A contact that came into the inbox: kept if it is newer, told, and answered with ours. *status: why it is refused. */
int connect_contact(struct opening *opening, struct cl_view content, enum cl_status *status);

/* An agreement that reached us under our TERMS, PROFILE or key gets a name in the wallet. */
int connect_adopt(struct opening *opening);

/* ---- agreements in return (in_return.c) */
/* Is --in-return in order, and has the user said what becomes of a code that asks for it? Before anything is signed. */
int in_return_check(struct context *context, const struct subject *terms);
/* After SUBSCRIBE to TERMS: grants terms of our own to their maker, and sends the code. Adds to json what came of it. */
void in_return_give(struct context *context, const struct act *act, const struct cl_object_id *id, json_t *json);
/* A code that was delivered: told, or accepted where the owner said yes to exactly that. folder: where its file goes.
   *status: why it is refused; CL_E_NO_OBJECT: the node has not heard of it. */
int in_return_take(struct opening *opening, struct cl_view content, const char *folder, enum cl_status *status);

#endif

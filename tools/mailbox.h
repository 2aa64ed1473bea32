/* Mailboxes on nodes, as their holder and as those who deposit use them (node/API.md), and the contacts that say where. */
#ifndef TOOLS_MAILBOX_H
#define TOOLS_MAILBOX_H

#include "deliveries.h"

#define MAILBOX_URI "consent:mailbox/"
#define MAILBOX_ADDRESS_SIZE (CL_MEMBER_NAME_BYTES_MAX + 66u) /* NODE-NAME/64 digits */

/* ---- the holder */
/* Every mailbox of the wallet has a key of its own, made for nothing else. False: key is no mailbox's, or of one that is closing. */
bool mailbox_key(const struct cl_wallet_key *key);
/* It is to be closed, and used for nothing any more: its agreement was erased or forgotten (erasure.c). */
bool mailbox_closing(const struct cl_wallet_key *key);
#define MAILBOX_CLOSING ".closing"     /* the end of such a key's name, in the place of ".mailbox" */
/* Is it that of our mailbox for this agreement, or for those who answer this offer? */
bool mailbox_key_of(const struct cl_wallet_key *key, const struct cl_object_id *id);
/* Opens the mailbox at the node in use, or finds it open. *opened: it was not. *kept: false where the node keeps none. */
int mailbox_open(struct context *context, const struct cl_wallet_key *key, char address[MAILBOX_ADDRESS_SIZE], bool *opened, bool *kept);
/* Our mailbox for an agreement, or for those who answer an offer of ours (in_return: which asks for the same back): its key is
   made where there is none; the caller saves the wallet before anybody learns of it. *key: a copy. address "": the node in use keeps none. */
int mailbox_own(struct context *context, const struct cl_object_id *id, bool in_return, char address[MAILBOX_ADDRESS_SIZE], struct cl_wallet_key *key);
/* Another one is made when it is asked for next: whoever had the key of the agreement may have that of the mailbox too. inbox
   goes on emptying the old one. */
void mailbox_put_aside(struct context *context, const struct cl_object_id *id);
/* The key of that mailbox; NULL: there is none. */
const struct cl_wallet_key *mailbox_of(const struct context *context, const struct cl_object_id *id);
/* Whether the mailbox was made with in_return. */
bool mailbox_in_return(const struct cl_wallet_key *key);
/* The oldest deliveries as the node's JSON. *gone: the node has no such mailbox. *again_s: the node is busy. Then *page is
   NULL. */
int mailbox_fetch(struct context *context, const struct cl_wallet_key *key, json_t **page, bool *gone, long *again_s);
/* The same fetch for a transfer of its own, with many others (http_client.h): what the request borrows. */
struct mailbox_poll { char url[CL_URL_BYTES_MAX + 200], own[90], challenge[128], signature[192], reader[300]; struct http_request request; };
int mailbox_poll_prepare(struct context *context, struct mailbox_poll *poll, const struct cl_wallet_key *key, unsigned wait_s);
/* What an answer to such a fetch says. Reports. */
int mailbox_page(struct context *context, const struct http_answer *answer, json_t **page, bool *gone, long *again_s);
/* Closes it, with what waits in it: *deleted. *gone: the node has no such mailbox. */
int mailbox_close(struct context *context, const struct cl_wallet_key *key, bool *gone, uint64_t *deleted);
/* All up to this number have arrived. */
int mailbox_acknowledge(struct context *context, const struct cl_wallet_key *key, uint64_t through);

/* ---- the other side's contact for an agreement, in its exchange file (consent/exchange.h) */
/* Checks the contact against the agreement, and keeps it if the other side made it after the kept one (*newer).
   CL_E_TIME_AHEAD, and what cl_contact_decode, cl_contact_check and the exchange file return. */
enum cl_status contact_learn(struct context *context, struct cl_view file, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other, bool *newer);
/* The same, reported. path: where it came from. */
int contact_take(struct context *context, const struct cl_buffer *file, const char *path, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other);
/* consent import: a contact, for the agreement that it names. *is_contact: false where the file is something else. */
int contact_import(struct context *context, const char *path, bool *is_contact);
/* Appends the kept one's bytes; nothing where there is none. */
int contact_kept(struct context *context, struct cl_buffer *out, const struct cl_object_id *id);
/* The first address in it that names a mailbox on a node; false: it has none. */
bool contact_address(const struct cl_contact *contact, char address[MAILBOX_ADDRESS_SIZE]);
/* The mailbox of the other side (own: ours), whose present key is `other`, and the key to seal to. False: none is known. */
bool contact_reach(struct context *context, uint8_t recipient32[32], char address[MAILBOX_ADDRESS_SIZE], const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other);

/* Our own. profile_delivery32: of the PROFILE that is our side; NULL: our side is a key, or TERMS. */
struct own_side { struct cl_object_id id; enum cl_side side; const struct act_signer *signer; const char *name; const uint8_t *profile_delivery32; };
/* Appends our contact, with our mailbox at the node in use (mailbox) and another place (also; NULL: none). */
int contact_make(struct context *context, struct cl_buffer *file, uint64_t *made_ms, const struct own_side *own, bool mailbox, const char *also);

/* ---- the outbox: a folder beside the wallet, in it one for each delivery that is not handed over to its mailbox yet */
/* Makes the folder of a new delivery, for its sealed parts. */
int outbox_folder(struct context *context, char folder[4096], const uint8_t id16[16]);
/* The parts are all there: writes down where they go, and sends. */
int outbox_begin(struct context *context, const char *folder, const char *address, const struct cl_delivery *delivery);
/* The parts are all there: writes down where they go; what sends is outbox_flush, or the caller's outbox_send. */
int outbox_keep(struct context *context, const char *folder, const char *address, const struct cl_delivery *delivery);
int outbox_send(struct context *context, const char *folder);
/* Goes on with everything that was begun, and tells. */
int outbox_resume(struct context *context);
/* The same on the side, for a command that does something else: what fails waits on. */
void outbox_flush(struct context *context);
/* What waits there under this agreement; adds to *parts. */
int outbox_destroy(struct context *context, const struct cl_object_id *agreement, size_t *parts);

#endif

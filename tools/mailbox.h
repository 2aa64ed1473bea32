/* Mailboxes on nodes, as their holder and as those who deposit use them (node/API.md), and the contacts that say where. */
#ifndef TOOLS_MAILBOX_H
#define TOOLS_MAILBOX_H

#include "deliveries.h"

#define MAILBOX_URI "consent:mailbox/"
#define MAILBOX_ADDRESS_SIZE (CL_MEMBER_NAME_BYTES_MAX + 66u) /* NODE-NAME/64 digits */

/* ---- the holder */
/* Every mailbox of the wallet has a key of its own, made for nothing else. NULL: key is another's. */
bool mailbox_key(const struct cl_wallet_key *key);
/* Opens the mailbox at the node in use, or finds it open. *opened: it was not. *kept: false where the node keeps none. */
int mailbox_open(struct context *context, const struct cl_wallet_key *key, char address[MAILBOX_ADDRESS_SIZE], bool *opened, bool *kept);
/* The oldest deliveries as the node's JSON; waits up to wait_s for one. *gone: the node has no such mailbox.
   *again_s: the node is busy. Then *page is NULL. */
int mailbox_fetch(struct context *context, const struct cl_wallet_key *key, unsigned wait_s, json_t **page, bool *gone, long *again_s);
/* All up to this number have arrived. */
int mailbox_acknowledge(struct context *context, const struct cl_wallet_key *key, uint64_t through);

/* ---- the other side's contact for an agreement, in the wallet's folder, encrypted */
/* Checks the contact against the agreement and keeps it. path: where it came from, for the report. */
int contact_take(struct context *context, const struct cl_buffer *file, const char *path, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other, struct cl_contact *out);
/* consent import: a contact, for the agreement that it names. *is_contact: false where the file is something else. */
int contact_import(struct context *context, const char *path, bool *is_contact);
/* Appends the kept one's bytes; nothing where there is none. */
int contact_kept(struct context *context, struct cl_buffer *out, const struct cl_object_id *id);
/* The first address in it that names a mailbox on a node; false: it has none. */
bool contact_address(const struct cl_contact *contact, char address[MAILBOX_ADDRESS_SIZE]);

/* ---- the outbox: a folder beside the wallet, in it one for each delivery that is not handed over to its mailbox yet */
/* Makes the folder of a new delivery, for its sealed parts. */
int outbox_folder(struct context *context, char folder[4096], const uint8_t id16[16]);
/* The parts are all there: writes down where they go, and sends. */
int outbox_begin(struct context *context, const char *folder, const char *address, const struct cl_delivery *delivery);
/* Goes on with everything that was begun. */
int outbox_resume(struct context *context);

#endif

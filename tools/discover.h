/* A person's list is complete: what stands on the ledger under this wallet's keys, TERMS and PROFILEs gets an entry,
   whoever opened it, and also after recovery from the words alone. */
#ifndef TOOLS_DISCOVER_H
#define TOOLS_DISCOVER_H

#include "act.h"

/* Whose side of the agreement is ours by the keys, TERMS and PROFILEs at hand; for TERMS and a PROFILE: whether the
   present key is ours (CL_SIDE_CUSTOMER, CL_SIDE_ORGANISATION) or not (CL_SIDE_NONE). */
enum cl_side side_by_keys(struct context *context, const struct object *object);
/* Adds an entry for an object of which side is ours and which the wallet does not have. given: its name; NULL: one is
   made of the terms' or profile's name and a number. The text of TERMS that are in the wallet comes with it. */
int entry_adopt(struct context *context, const struct object *object, enum cl_side side, const char *given);
/* Asks the node for all agreements under one entry (TERMS or PROFILE) of the wallet. Adds to *found. */
int discover_under(struct context *context, const struct cl_object_id *object, size_t *found);
/* The same for every TERMS and PROFILE, and for keys that no entry uses (after recovery). */
int discover_all(struct context *context, size_t *found);
/* The entry with this id; NULL: none. */
struct cl_wallet_item *wallet_item_of_hash(struct context *context, const uint8_t id32[32]);
/* A name of the wallet, else few enough characters for a table. Static storage. */
const char *party_short(struct context *context, const struct cl_party *party);
/* base.1, base.2, … : the first that no entry has. */
void name_numbered(struct context *context, char out[CL_NAME_BYTES_MAX + 1], const char *base);

/* Consent-Challenge and Consent-Signature for one request. */
int challenge_headers(struct context *context, char challenge[128], char signature[192], const struct cl_wallet_key *key);

#endif

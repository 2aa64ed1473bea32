/* What sending and opening deliveries share: who the other side is now, and what signs for it. */
#ifndef TOOLS_DELIVERIES_H
#define TOOLS_DELIVERIES_H

#include "act.h"
#include "consent/delivery.h"

#define DELIVERY_FILE_END ".consent-delivery"

/* A side's party as it is now. delivery_party_close lets go of what the delegations are borrowed from. */
struct delivery_party { struct object object; struct cl_delivery_signers signers; bool has_delivery; uint8_t delivery32[32]; };
int delivery_party_open(struct context *context, struct delivery_party *out, const struct cl_party *party);
void delivery_party_close(struct delivery_party *party);
/* Seals part after part into files that say nothing but which belong together. files: gets their names; may be NULL. */
int delivery_parts_write(struct context *context, const struct cl_delivery *delivery, struct cl_view content, const struct act_signer *signer, const uint8_t recipient32[32], const char *folder, json_t *files);
static inline enum cl_side other_of(enum cl_side side) { return side == CL_SIDE_CUSTOMER ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER; }
/* "slot 1 (email)" or "no slot". Static storage. */
const char *delivery_slot_text(const struct cl_wallet_item *item, const struct cl_agreement *agreement, bool has_slot, uint8_t slot);

#endif

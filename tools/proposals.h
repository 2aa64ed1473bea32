/* Terms that one side proposes in the place of others (COUNTER, AMEND): what they change is said before anybody signs, and their
   text goes to the other side sealed, by itself, where that can be reached. */
#ifndef TOOLS_PROPOSALS_H
#define TOOLS_PROPOSALS_H

#include "opening.h"

/* Says what text changes in the terms of the item that were committed to; nothing where those are not at hand. */
void proposal_say(struct context *context, const struct cl_wallet_item *item, const uint8_t before32[32], const struct cl_terms_text *text);
/* After such an act of ours: the newest body of the item goes to the mailbox of the other side. final: the act stands on the
   ledger; else it waits in the outbox. Where none is known, says how to hand it over, unless --output did. Adds to json what came of it. */
void proposal_send(struct context *context, const struct act *act, const struct cl_object_id *object, bool final, json_t *json);
/* Before a body is added: where there is no room, whoever proposes often would drive out the terms that stand; those stay, all other
   texts of the item go. */
void proposal_room(struct cl_wallet_item *item, const uint8_t present32[32]);
/* A body that came into the inbox: kept if the ledger has its commitment, and what it changes is told. *status: why it is refused;
   CL_E_PENDING: our node does not know of it yet. */
int proposal_take(struct opening *opening, struct cl_view content, enum cl_status *status);

#endif

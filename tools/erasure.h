/* What consent erase and consent forget destroy beside the content of an entry (erasure.c). */
#ifndef TOOLS_ERASURE_H
#define TOOLS_ERASURE_H

#include "act.h"

struct erasure {
    struct cl_object_id agreement;
    bool forget;            /* the entry goes too, and what arrived stays: it is its owner's */
    bool keep_proof;        /* the last proof and nodes' signed acceptances stay; they say that there was consent, not to what */
    bool keep_received;     /* files that arrived stay in WALLET.received */
};

/* Destroys it all, writes wallet and backup, closes the mailbox, and says what it did. json: gets a member "destroyed"; NULL: none.
   Returns: the exit status; a mailbox that could not be closed is said, and no failure. */
int erasure_run(struct context *context, const struct erasure *erasure, json_t *json);
/* What a command that was killed had begun. The wallet is open. */
int erasure_finish(struct context *context);
/* Mailboxes that a command could not close, the node being away: tries again, and says so. The network is open. */
void erasure_mailboxes(struct context *context);

#endif

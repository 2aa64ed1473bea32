/* What an audit works on: the network as its genesis document says, and a copy of the ledger beside the state file. */
#ifndef TOOLS_AUDIT_WORLD_H
#define TOOLS_AUDIT_WORLD_H

#include "workspace.h"
#include "consent/audit.h"

/* The rules' part of a genesis document; the network's id is that of its bytes. Whatever else a node would refuse in it
   shows in the state root. */
int audit_genesis_read(struct context *context, struct cl_audit_genesis *out, const struct cl_buffer *document);
/* STATE.rules; *tip: how many leaves it has. */
int audit_rules_open(struct context *context, struct cl_audit_rules **out, uint64_t *tip, const char *state_path, const struct cl_audit_genesis *genesis);
/* Closes and removes it: it is made again from the first leaf. */
void audit_rules_discard(struct cl_audit_rules **rules, const char *state_path);

#endif

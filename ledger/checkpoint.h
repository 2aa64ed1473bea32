/* Making checkpoints: signature lines of members as log and as witness. Reading and checking: consent/proof.h. */
#ifndef LEDGER_CHECKPOINT_H
#define LEDGER_CHECKPOINT_H

#include "consent/proof.h"
#include "crypto.h"

/* Appends "— name base64\n" over body: plain Ed25519 by the log key, type 1. */
CL_MUST_USE enum cl_status cl_checkpoint_sign_log(struct cl_buffer *out, const struct cl_view *body, const char *origin, const struct cl_ed25519_key *log_key);
/* Appends a cosignature/v1 line of witness origin/member at time_s. */
CL_MUST_USE enum cl_status cl_checkpoint_cosign(struct cl_buffer *out, const struct cl_view *body, const char *origin, const char *member, uint64_t time_s, const struct cl_ed25519_key *witness_key);
/* What a node serves: body, its own log line, and the q newest cosignatures, one for each witness, each checked; known:
   whoever calls has checked them all. lines: signature lines, each with its newline, of anybody; those that do not hold or are of others are passed over.
   CL_E_CHECKPOINT: a line does not have the form. CL_E_SIGNATURE: our own log line is not among them.
   CL_E_QUORUM: fewer than q members' cosignatures hold. out is then as before. */
CL_MUST_USE enum cl_status cl_checkpoint_merge(struct cl_buffer *out, const struct cl_view *body, const char *origin, const struct cl_view *lines, size_t line_count, const struct cl_member *members, size_t member_count, size_t own_member, bool known);

#endif

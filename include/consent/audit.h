/* Following a ledger from outside, leaf by leaf: every record's form and signature, every block's place in the chain, and
   that the tree so far is the one that checkpoints were signed for. Pure: bytes come in. */
#ifndef CONSENT_AUDIT_H
#define CONSENT_AUDIT_H

#include "consent/proof.h"
#include "consent/record.h"

struct cl_audit;
CL_MUST_USE enum cl_status cl_audit_new(struct cl_audit **out, const struct cl_network_id *network);
void cl_audit_free(struct cl_audit *audit);
/* One more leaf: a record, or a block's state leaf. *sentence (static) says what is wrong.
   CL_E_SIGNATURE, CL_E_FORMAT, CL_E_NETWORK, CL_E_BLOCK_INVALID, …; the audit must not go on after an error. */
CL_MUST_USE enum cl_status cl_audit_leaf(struct cl_audit *audit, const char **sentence, const uint8_t *leaf, size_t length);
/* Is this the checkpoint of exactly the leaves so far? CL_OK and the note is kept; CL_E_FORK where the root differs;
   CL_E_PENDING where the size does. The note's signatures are the caller's to check. */
CL_MUST_USE enum cl_status cl_audit_checkpoint(struct cl_audit *audit, const struct cl_checkpoint *checkpoint, const uint8_t *note, size_t length);
struct cl_audit_report { uint64_t size, height, records, time_ms; struct cl_hash root; struct cl_view note; /* last kept; borrowed */ };
void cl_audit_report(struct cl_audit_report *out, const struct cl_audit *audit);
/* What has to be remembered between runs. Layout in audit.c. Only where the last leaf was a state leaf. */
CL_MUST_USE enum cl_status cl_audit_encode(struct cl_buffer *out, const struct cl_audit *audit);
CL_MUST_USE enum cl_status cl_audit_decode(struct cl_audit **out, const uint8_t *data, size_t length, const struct cl_network_id *network);

#endif

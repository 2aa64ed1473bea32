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

/* ---- the rules again: what is in the log must be what the rules make of it. Works in a directory of the auditor's own
   (a LevelDB); memory stays bounded, and what was applied before an interruption stays applied. */
struct cl_audit_genesis { struct cl_network_id network; char origin[CL_ORIGIN_BYTES_MAX + 1]; uint64_t time_ms; struct cl_network value; };
struct cl_audit_rules;
/* sentence: at least 256 bytes; why it cannot be opened, or empty. CL_E_STORE_*, CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_audit_rules_open(struct cl_audit_rules **out, const char *directory, const struct cl_audit_genesis *genesis, char *sentence, size_t sentence_size);
void cl_audit_rules_close(struct cl_audit_rules *rules); /* NULL is fine */
/* How many leaves are applied (whole blocks; the genesis block's leaf is among them from the start), and their root. */
void cl_audit_rules_tip(uint64_t *size, struct cl_hash *root, const struct cl_audit_rules *rules);
/* The next leaf, from the tip on. *sentence lives until the next call. CL_E_BLOCK_INVALID: a record does not apply, or the
   state root, counted again, is another. After an error, or to go back to the tip: close, and open again. */
CL_MUST_USE enum cl_status cl_audit_rules_leaf(struct cl_audit_rules *rules, const char **sentence, const uint8_t *leaf, size_t length);

#endif

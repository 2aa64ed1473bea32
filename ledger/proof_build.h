/* Writing .consent-proof files (formats.cddl "proof-file"). Checking them: consent/proof.h. */
#ifndef LEDGER_PROOF_BUILD_H
#define LEDGER_PROOF_BUILD_H

#include "consent/proof.h"
#include "consent/record.h"

struct cl_path { const struct cl_hash *hashes; size_t count; };
struct cl_proof_record { struct cl_view record; uint64_t index; struct cl_path path; };
struct cl_proof_parts {
    struct cl_view checkpoint, state_leaf;
    struct cl_path state_leaf_path;          /* of the leaf at size - 1 */
    struct cl_object_id object;
    struct cl_view state_proof;              /* encoded state-proof */
    const struct cl_proof_record *records;   /* ascending by index */
    size_t record_count;
};
/* Appends the proof-file, without boundaries. CL_E_BOUND beyond 64 records, 64 hashes in a path; CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_proof_encode(struct cl_buffer *out, const struct cl_proof_parts *parts);
/* The two forms of a state-proof. A neighbour that is NULL stands at an edge. */
CL_MUST_USE enum cl_status cl_state_proof_encode_existence(struct cl_buffer *out, const uint8_t *value, size_t length, const struct cl_hash *siblings, size_t count);
struct cl_proof_neighbour { const uint8_t *key_hash32, *value_hash32; const struct cl_hash *siblings; size_t count; };
CL_MUST_USE enum cl_status cl_state_proof_encode_absence(struct cl_buffer *out, const struct cl_proof_neighbour *left, const struct cl_proof_neighbour *right);

/* Which records of its history does a proof of this agreement (its value as of the checkpoint) need? Ask for each record
   whose entry on the object applied, from the newest to the oldest, then for the one that opened its TERMS; show exactly
   those for which it is true, ascending by index. Why these: the head of proof_records.c. The selection starts as all
   zero. */
struct cl_proof_selection {
    bool accepted;
    uint8_t proposal[32];
    size_t signer_count, delegation_count;
    uint8_t signers[CL_PROOF_RECORDS_MAX][33];
    struct { uint8_t key[33], signer[33]; } delegations[CL_PROOF_RECORDS_MAX];
};
bool cl_proof_select(struct cl_proof_selection *selection, const struct cl_record *record, const struct cl_object_id *object, const struct cl_agreement *agreement);

#endif

/* Checkpoints, policies and the proofs that people keep; everything a verifier needs, offline. No I/O, no clock: bytes
   and the time come in. C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy, tlog-proof; RFC 9942; the
   .consent-proof file of ledger/formats.cddl. */
#ifndef CONSENT_PROOF_H
#define CONSENT_PROOF_H

#include "consent/limits.h"
#include "consent/state.h"
#include "consent/status.h"
#include "consent/types.h"

/* ---- checkpoints (C2SP tlog-checkpoint): a signed note of three lines and signature lines */
struct cl_checkpoint {
    char origin[CL_ORIGIN_BYTES_MAX + 1];
    uint64_t size;
    struct cl_hash root;
    struct cl_view body;            /* borrowed: the signed text, its last newline included */
    size_t signature_count;         /* of those that a key of ours could have made; others are left out, entries beyond are not set */
    struct { char name[CL_ORIGIN_BYTES_MAX + CL_MEMBER_NAME_BYTES_MAX + 2]; uint8_t key_id[4]; uint8_t length; uint8_t bytes[72]; } signatures[CL_SIGNATURES_MAX];
};
/* Exactly three body lines: checkpoints with extension lines are refused. note must outlive out (body).
   CL_E_CHECKPOINT, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_checkpoint_decode(struct cl_checkpoint *out, const uint8_t *note, size_t length);
CL_MUST_USE enum cl_status cl_checkpoint_body(struct cl_buffer *out, const char *origin, uint64_t size, const struct cl_hash *root);

/* Ed25519 signature types of C2SP signed-note: 1 plain, 4 cosignature/v1 with a time. */
enum cl_note_key_type { CL_NOTE_ED25519 = 1, CL_NOTE_COSIGNATURE = 4 };
struct cl_note_key { char name[CL_ORIGIN_BYTES_MAX + CL_MEMBER_NAME_BYTES_MAX + 2]; enum cl_note_key_type type; uint8_t public32[32]; uint8_t id[4]; };
void cl_note_key_make(struct cl_note_key *out, const char *name, enum cl_note_key_type type, const uint8_t public32[32]);
CL_MUST_USE enum cl_status cl_note_key_decode(struct cl_note_key *out, const char *vkey, size_t length); /* name+hash+base64 */
CL_MUST_USE enum cl_status cl_note_key_encode(struct cl_buffer *out, const struct cl_note_key *key);

/* ---- policies (C2SP tlog-policy): the trust file */
struct cl_policy;
/* bad_line (may be NULL): from 1; 0 where no line is at fault (the quorum line is missing, the text is too long).
   CL_E_POLICY, CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_policy_new(struct cl_policy **out, size_t *bad_line, const uint8_t *text, size_t length);
void cl_policy_free(struct cl_policy *policy);
/* The keys of its log lines, in their order; NULL from the count on. Ownership: the policy's. */
const struct cl_note_key *cl_policy_log(const struct cl_policy *policy, size_t index);
/* The consortium's own policy: members' log keys under origin, witnesses origin/name, group consortium, quorum.
   CL_E_ARGUMENT: a name that a policy cannot carry (members "none" and "consortium" among them). */
CL_MUST_USE enum cl_status cl_policy_of_members(struct cl_buffer *text, const char *origin, const struct cl_member *members, size_t count);
struct cl_quorum_report {
    size_t witnesses, signed_count, needed; /* of the top group */
    bool log_signed;
    uint64_t as_of_s;               /* largest T such that cosignatures of T or later make the quorum; 0 where the policy asks for none */
    size_t signer_count;
    char signers[CL_SIGNATURES_MAX][CL_MEMBER_NAME_BYTES_MAX + 1]; /* the policy's names (for members: without the origin) of those whose cosignature held; only the first signer_count are set */
};
/* CL_OK, CL_E_QUORUM (report is filled), CL_E_CHECKPOINT (origin is not the policy's log). Signatures of unknown keys
   are ignored, a wrong signature of a known key is not counted. */
CL_MUST_USE enum cl_status cl_policy_check(struct cl_quorum_report *report, const struct cl_policy *policy, const struct cl_checkpoint *checkpoint);

/* ---- proof of state (.consent-proof) */
struct cl_verify_options { uint64_t now_ms; uint64_t max_age_ms; /* 0: any */ bool at_present; uint64_t at_ms; /* judge the agreement's period at this time instead of now; before since_ms the verdict is CL_E_BEFORE_PROOF */ };
struct cl_verify_report {
    struct cl_object_id object;
    struct cl_network_id network;
    char origin[CL_ORIGIN_BYTES_MAX + 1];
    uint64_t height, log_size, block_time_ms, epoch;
    uint64_t as_of_s;
    struct cl_quorum_report quorum;
    bool exists;                    /* false: proven absent */
    enum cl_state_kind kind;
    struct cl_agreement agreement;  /* where kind is agreement */
    struct cl_commitment commitment; /* of an agreement, of TERMS, of a PROFILE; else zeros */
    struct cl_public_key owner;     /* of TERMS; of a PROFILE, its key; else zeros */
    size_t record_count;            /* records shown and checked */
    uint64_t since_ms;              /* the state shown holds since then: an agreement's head; of TERMS and a PROFILE, which do
                                       not tell, the block's time */
    enum cl_status verdict;         /* CL_OK: of an agreement, active; of TERMS, open; of a PROFILE, there: so look at kind,
                                       and at object, before acting on it. CL_E_OBJECT_KIND: another kind of value. Else CL_E_WITHDRAWN, CL_E_TERMINATED, CL_E_SUSPENDED, CL_E_EXPIRED, CL_E_NOT_YET, CL_E_NOT_ACTIVE, CL_E_NO_OBJECT */
    uint32_t signature_checks;      /* how many signatures it took */
};
/* Returns: CL_OK: the proof holds; verdict says of what. CL_E_PROOF, CL_E_QUORUM, CL_E_SIGNATURE, CL_E_PROOF_OLD
   (report filled), CL_E_CBOR_*, CL_E_FORMAT. Allocates nothing that outlives the call. */
CL_MUST_USE enum cl_status cl_proof_verify(struct cl_verify_report *report, const uint8_t *proof, size_t length,
                                           const struct cl_policy *policy, const struct cl_verify_options *options);

/* ---- receipts: a record is in the log. `.tlog-proof` text, or COSE receipt (RFC 9942) */
struct cl_receipt_report { uint64_t index, size; struct cl_quorum_report quorum; struct cl_record_id record; struct cl_leaf_hash leaf; };
CL_MUST_USE enum cl_status cl_tlog_proof_encode(struct cl_buffer *out, uint64_t index, const struct cl_hash *path, size_t count, const uint8_t *checkpoint, size_t checkpoint_length);
CL_MUST_USE enum cl_status cl_tlog_proof_verify(struct cl_receipt_report *report, const uint8_t *proof, size_t length, const uint8_t *leaf_bytes, size_t leaf_length, const struct cl_policy *policy);
CL_MUST_USE enum cl_status cl_cose_receipt_encode(struct cl_buffer *out, uint64_t size, uint64_t index, const struct cl_hash *path, size_t count, const struct cl_hash *root, const uint8_t log_seed32[32], const uint8_t *key_id, size_t key_id_length);
/* index, size: as the receipt claims. The signature is over the root alone (RFC 9942), so it shows that the leaf is in the
   log, not where: the same path can carry other numbers. */
CL_MUST_USE enum cl_status cl_cose_receipt_verify(uint64_t *index, uint64_t *size, const uint8_t *receipt, size_t length, const uint8_t *leaf_bytes, size_t leaf_length, const uint8_t log_public32[32]);

/* Signed acceptance of a withdrawal (formats.cddl "acceptance"). */
struct cl_acceptance { struct cl_network_id network; struct cl_record_id record; struct cl_leaf_hash leaf; uint64_t time_ms; char member[CL_MEMBER_NAME_BYTES_MAX + 1]; uint8_t signature[64]; };
CL_MUST_USE enum cl_status cl_acceptance_sign(struct cl_buffer *out, const struct cl_acceptance *in, const uint8_t log_seed32[32]);
CL_MUST_USE enum cl_status cl_acceptance_verify(struct cl_acceptance *out, const uint8_t *data, size_t length, const uint8_t log_public32[32]);

/* Log proofs from outside (consent audit): RFC 6962 2.1; CL_OK or CL_E_PROOF. */
CL_MUST_USE enum cl_status cl_consistency_verify(const struct cl_hash *root1, uint64_t size1, const struct cl_hash *root2, uint64_t size2, const struct cl_hash *path, size_t count);

#endif

/* Bytes of a block: state leaf, block id, proposal, certificate, votes, stored block (formats.cddl). Pure. */
#ifndef LEDGER_BLOCK_H
#define LEDGER_BLOCK_H

#include "consent/state.h"

struct cl_state_leaf {
    struct cl_network_id network;
    uint64_t epoch, height;
    struct cl_block_id previous;
    struct cl_hash member_set, state_root;
    uint64_t time_ms, record_count;
};
CL_MUST_USE enum cl_status cl_state_leaf_encode(struct cl_buffer *out, const struct cl_state_leaf *in);
CL_MUST_USE enum cl_status cl_state_leaf_decode(struct cl_state_leaf *out, const uint8_t *data, size_t length);
/* leaves_before: leaves of the log before the block's state leaf; log_root: over those leaves. */
void cl_block_id_derive(struct cl_block_id *out, uint64_t leaves_before, const struct cl_hash *log_root, const uint8_t *state_leaf, size_t length);

enum cl_vote_kind { CL_VOTE_PROPOSE = 1, CL_VOTE_NOTARIZE = 2, CL_VOTE_NULLIFY = 3, CL_VOTE_FINALIZE = 4 };
struct cl_vote { uint64_t epoch, view; enum cl_vote_kind kind; bool has_block; struct cl_block_id block; uint32_t voter; uint8_t signature[64]; };
CL_MUST_USE enum cl_status cl_vote_signed_bytes(struct cl_buffer *out, const struct cl_network_id *network, uint64_t epoch, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block_or_null);
CL_MUST_USE enum cl_status cl_vote_encode(struct cl_buffer *out, const struct cl_vote *in);
CL_MUST_USE enum cl_status cl_vote_decode(struct cl_vote *out, const uint8_t *data, size_t length);

struct cl_certificate { uint64_t epoch, view; enum cl_vote_kind kind; bool has_block; struct cl_block_id block; uint8_t voters[CL_MEMBERS_MAX / 8]; size_t member_count, vote_count; uint8_t signatures[CL_MEMBERS_MAX][64]; };
CL_MUST_USE enum cl_status cl_certificate_encode(struct cl_buffer *out, const struct cl_certificate *in);
CL_MUST_USE enum cl_status cl_certificate_decode(struct cl_certificate *out, const uint8_t *data, size_t length);
/* q distinct members' signatures, all valid. CL_E_CERTIFICATE. */
CL_MUST_USE enum cl_status cl_certificate_check(const struct cl_certificate *certificate, const struct cl_network_id *network, const struct cl_member *members, size_t member_count);
size_t cl_quorum(size_t member_count); /* n - floor((n-1)/3) */

struct cl_stored_block {
    uint64_t epoch, view, parent_view, first_index, record_count;
    struct cl_block_id id;
    struct cl_view state_leaf;    /* borrowed */
    struct cl_hash log_root;      /* of the log after the block */
    struct cl_view certificate;   /* borrowed; length 0: null */
};
CL_MUST_USE enum cl_status cl_stored_block_encode(struct cl_buffer *out, const struct cl_stored_block *in);
CL_MUST_USE enum cl_status cl_stored_block_decode(struct cl_stored_block *out, const uint8_t *data, size_t length);

struct cl_proposal {
    uint64_t epoch, view, parent_view, height, time_ms, log_size;
    struct cl_block_id parent;
    struct cl_hash log_root, state_root;
    size_t leaf_count; const struct cl_leaf_hash *leaves; /* borrowed; decode: within data */
    struct cl_view justification;  /* borrowed: the CBOR array of certificates */
};
CL_MUST_USE enum cl_status cl_proposal_encode(struct cl_buffer *out, const struct cl_proposal *in);
/* leaves: caller frees with free(); see ownership. */
CL_MUST_USE enum cl_status cl_proposal_decode(struct cl_proposal *out, struct cl_leaf_hash **leaves, const uint8_t *data, size_t length);

#endif

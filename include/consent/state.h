/* State values: what the ledger holds about an agreement, terms, a profile (ledger/formats.cddl "state values"),
   and the question that they answer: may this slot be used now? Pure. */
#ifndef CONSENT_STATE_H
#define CONSENT_STATE_H

#include "consent/limits.h"
#include "consent/status.h"
#include "consent/types.h"

enum cl_state_kind { CL_STATE_AGREEMENT = 1, CL_STATE_TERMS = 2, CL_STATE_PROFILE = 3, CL_STATE_ANSWER = 4, CL_STATE_NETWORK = 5 };
enum cl_agreement_status {
    CL_OFFERED = 0, CL_REQUESTED = 1, CL_SUBSCRIBED = 2, CL_COUNTERED = 3, CL_ACTIVE = 4, CL_REFUSED = 5,
    CL_WITHDRAWN = 6, CL_TERMINATED = 7
};
enum cl_side { CL_SIDE_NONE = 0, CL_SIDE_CUSTOMER = 1, CL_SIDE_ORGANISATION = 2 };
enum { CL_FLAG_DISPUTED = 1, CL_FLAG_ERASED_C = 2, CL_FLAG_ERASED_O = 4, CL_FLAG_COUNTERED = 8 };
enum {
    CL_POWER_REVOKE = 1, CL_POWER_GRANT = 2, CL_POWER_AMEND = 4, CL_POWER_STATE = 8, CL_POWER_DELIVER = 16
};

struct cl_optional_time { bool present; uint64_t seconds; };
struct cl_optional_hash { bool present; uint8_t bytes[32]; };
struct cl_audience { uint8_t kind; uint8_t bytes[33]; }; /* kind 0: anyone; 1: 32 bytes; 2: 33 bytes */
struct cl_delegation { uint8_t side, powers, key[33]; uint64_t until; };
struct cl_vouch { uint8_t key[33], reason; uint64_t until; };
struct cl_pending {
    bool present; uint8_t side; uint8_t record_id[32], commitment[32]; uint64_t slots;
    struct cl_optional_time not_before, not_after;
};

struct cl_agreement {
    uint8_t status, turn, suspended, flags;
    struct cl_party customer, organisation;
    struct cl_audience audience;
    uint8_t commitment[32];
    struct cl_optional_time not_before, not_after;
    uint64_t live, due;
    struct cl_pending pending;
    struct cl_optional_hash terms, recovery;
    uint8_t delegation_count;
    struct cl_delegation delegations[CL_DELEGATIONS_MAX];
    uint8_t head[32];
    uint64_t last_index, head_ms;
};
struct cl_terms {
    uint8_t owner[33], commitment[32], mode, open;
    struct cl_optional_time not_before, not_after;
    uint64_t slots, limit, answers;
    struct cl_audience audience;
    struct cl_optional_hash successor, recovery;
    uint8_t delegation_count;
    struct cl_delegation delegations[CL_DELEGATIONS_MAX];
    uint8_t head[32];
};
struct cl_profile {
    uint8_t key[33], delivery[32], commitment[32], recovery[32];
    uint8_t delegation_count, vouch_count;
    struct cl_delegation delegations[CL_DELEGATIONS_MAX];
    struct cl_vouch vouches[CL_VOUCHES_MAX];
    uint8_t head[32];
};
struct cl_parameters { uint64_t epoch_length, block_records_max, block_bytes_max, d0_ms, fairness, open_reads; };
struct cl_member {
    char name[CL_MEMBER_NAME_BYTES_MAX + 1]; /* a-z, 0-9, - */
    uint8_t vote[32], log[32], witness[32];  /* Ed25519 */
    uint8_t party[33];                       /* secp256k1 */
};
struct cl_network { struct cl_parameters parameters; size_t member_count; struct cl_member members[CL_MEMBERS_MAX]; };

/* Returns: CL_OK and *kind, or CL_E_FORMAT / CL_E_VERSION. Reads the array's head only. */
CL_MUST_USE enum cl_status cl_state_kind_of(enum cl_state_kind *kind, const uint8_t *value, size_t length);

/* Decoders are strict; encoders append the one canonical form. Errors: CL_E_CBOR_*, CL_E_FORMAT, CL_E_VERSION,
   CL_E_OBJECT_KIND (another kind of value), CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_agreement_decode(struct cl_agreement *out, const uint8_t *value, size_t length);
CL_MUST_USE enum cl_status cl_terms_decode(struct cl_terms *out, const uint8_t *value, size_t length);
CL_MUST_USE enum cl_status cl_profile_decode(struct cl_profile *out, const uint8_t *value, size_t length);
CL_MUST_USE enum cl_status cl_network_decode(struct cl_network *out, const uint8_t *value, size_t length);
CL_MUST_USE enum cl_status cl_answer_decode(struct cl_object_id *agreement, const uint8_t *value, size_t length);
CL_MUST_USE enum cl_status cl_agreement_encode(struct cl_buffer *out, const struct cl_agreement *in);
CL_MUST_USE enum cl_status cl_terms_encode(struct cl_buffer *out, const struct cl_terms *in);
CL_MUST_USE enum cl_status cl_profile_encode(struct cl_buffer *out, const struct cl_profile *in);
CL_MUST_USE enum cl_status cl_network_encode(struct cl_buffer *out, const struct cl_network *in);
CL_MUST_USE enum cl_status cl_answer_encode(struct cl_buffer *out, const struct cl_object_id *agreement);
/* H of the canonical CBOR of the member list (formats.cddl). */
CL_MUST_USE enum cl_status cl_member_set_hash(struct cl_hash *out, const struct cl_member *members, size_t count);

void cl_network_key(struct cl_hash *out);
void cl_answer_key(struct cl_hash *out, const uint8_t terms32[32], const struct cl_party *party);

/* Purpose: may this agreement be used at now_ms? slot_mask 0 asks for the agreement as a whole, else every named slot
   must be live. records.md rules 1, 6, 10: default is no.
   Returns: CL_OK, or CL_E_NOT_ACTIVE, CL_E_WITHDRAWN, CL_E_TERMINATED, CL_E_SUSPENDED, CL_E_NOT_YET, CL_E_EXPIRED,
   CL_E_SLOT_NOT_LIVE. */
CL_MUST_USE enum cl_status cl_agreement_check(const struct cl_agreement *agreement, uint64_t slot_mask, uint64_t now_ms);

/* Slots whose data the organisation's side has still to erase at now_ms: those withdrawn, and after expiry the live ones too
   (records.md rule 11). What it stated as erased is not among them. */
uint64_t cl_agreement_due(const struct cl_agreement *agreement, uint64_t now_ms);

/* Words: "active", "withdrawn", …; static. Expiry is derived and not among them. */
const char *cl_agreement_status_name(enum cl_agreement_status status);

#endif

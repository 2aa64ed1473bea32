/* Records: decode and check those of others, build and sign one's own.
   Layout: ledger/formats.cddl "records"; envelope COSE_Sign1 (RFC 9052 section 4.2), ES256K (RFC 8812),
   deterministic CBOR (RFC 8949 section 4.2.1). No I/O, no clock. */
#ifndef CONSENT_RECORD_H
#define CONSENT_RECORD_H

#include "consent/limits.h"
#include "consent/status.h"
#include "consent/types.h"

enum cl_record_type {
    CL_PROFILE = 1, CL_TERMS = 2, CL_REQUEST = 3, CL_GRANT = 4, CL_SUBSCRIBE = 5, CL_COUNTER = 6, CL_REFUSE = 7,
    CL_AMEND = 8, CL_SUSPEND = 9, CL_RESUME = 10, CL_REVOKE = 11, CL_RENEW = 12, CL_ACK = 14, CL_STATEMENT = 15,
    CL_DELEGATE = 16, CL_UNDELEGATE = 17, CL_ROTATE = 18, CL_ERASE = 19, CL_DISPUTE = 20, CL_VOUCH = 21
};

/* Bit k of cl_entry.present: key k is there. */
#define CL_HAS(k) (1u << (k))

enum cl_audience_kind { CL_AUDIENCE_HASH = 1, CL_AUDIENCE_TOKEN = 2 };

/* One entry. All pointers borrow: from the decoded bytes, or from the caller that drafts.
   Lengths that vary stand beside their pointer; the others are fixed (32 unless said). */
struct cl_entry {
    uint32_t present;
    uint8_t object_length;        /* key 1: 16 nonce, 32 object id */
    uint8_t opening_length;       /* key 7: 32, 33 or 64 */
    uint8_t key_length;           /* key 12: 32 or 33 */
    uint8_t audience_kind;        /* key 6: enum cl_audience_kind */
    uint8_t reason;               /* key 10 */
    const uint8_t *object, *prev, *commitment;
    uint64_t not_before, not_after; /* keys 4, 5, Unix seconds */
    const uint8_t *audience;      /* 32 (hash) or 33 (token key) bytes by kind */
    const uint8_t *opening, *ref;
    uint64_t slots, limit;
    const uint8_t *key, *party, *recovery;
    uint64_t mode;                /* key 14: mode or powers */
};

struct cl_record {
    struct cl_view bytes;         /* borrowed: the record as received */
    struct cl_view payload;       /* borrowed, within bytes */
    const uint8_t *signer33, *signature64; /* borrowed, within bytes */
    enum cl_record_type type;
    bool skip_refused;            /* payload key 4 */
    uint64_t issued_at_ms;
    struct cl_record_id id;       /* also the digest that the signature is over */
    struct cl_leaf_hash leaf_hash;
    size_t entry_count;
    struct cl_entry *entries;     /* &single, or heap; see cl_record_deinit */
    struct cl_entry single;
};

/* Purpose: read a record strictly: canonical form, sizes, the keys that its type takes (ledger/rules.md "Keys by
   type"), entry order, low s; compute id and leaf hash. Does not check the signature.
   In: bytes stay the caller's and must outlive the record. A cl_record must not be moved or copied (single).
   Out: *refused_entry (may be NULL): index of the entry at fault, or 0.
   Errors: CL_E_CBOR_*, CL_E_FORMAT, CL_E_RECORD_*, CL_E_VALUE, CL_E_KEY, CL_E_SIGNATURE_HIGH_S, CL_E_MEMORY.
   Ownership: on CL_OK call cl_record_deinit. */
CL_MUST_USE enum cl_status cl_record_decode(struct cl_record *out, uint32_t *refused_entry, const uint8_t *bytes,
                                            size_t length, const struct cl_network_id *network);
void cl_record_deinit(struct cl_record *record);

/* Purpose: as cl_record_decode for the payload alone (a draft from elsewhere); signer33 is given, signature64 NULL,
   leaf_hash zero. */
CL_MUST_USE enum cl_status cl_record_decode_payload(struct cl_record *out, uint32_t *refused_entry,
                                                    const uint8_t *payload, size_t length, const uint8_t *signer33,
                                                    const struct cl_network_id *network);

/* Returns: CL_OK, or CL_E_SIGNATURE / CL_E_KEY. Thread-safe. About 30 to 50 microseconds. */
CL_MUST_USE enum cl_status cl_record_check_signature(const struct cl_record *record);

/* What signs: 32-byte digest in; ECDSA r || s out (cl_record_finish normalises s and checks it). */
struct cl_signer {
    void *context;
    enum cl_status (*sign)(void *context, uint8_t signature64[64], const uint8_t digest32[32]);
    struct cl_public_key key;
};

struct cl_draft {
    enum cl_record_type type;
    bool skip_refused;
    uint64_t issued_at_ms;
    struct cl_public_key signer;
    struct cl_entry *entries;     /* borrowed; cl_draft_encode sorts them in place */
    size_t entry_count;
};

/* Purpose: the payload bytes and the digest (= record id) to be signed.
   Out: payload is appended to (caller's, cl_buffer_deinit). Errors: as decode: a draft that a node would refuse for
   its form is refused here. */
CL_MUST_USE enum cl_status cl_draft_encode(struct cl_buffer *payload, struct cl_record_id *id, uint32_t *refused_entry,
                                           struct cl_draft *draft, const struct cl_network_id *network);
/* Purpose: put payload and signature together; low-s normalised; the signature is verified before it is used.
   signature: 64 bytes r || s, or DER (RFC 3279 section 2.2.3). Out: record bytes appended to record. */
CL_MUST_USE enum cl_status cl_record_finish(struct cl_buffer *record, const uint8_t *payload, size_t payload_length,
                                            const struct cl_public_key *signer, const uint8_t *signature,
                                            size_t signature_length, const struct cl_network_id *network);
/* Purpose: encode, sign, finish. draft->signer: all zero (the signer's key is taken) or the signer's key. id may be
   NULL. Errors: as the three; CL_E_ARGUMENT where the keys differ. */
CL_MUST_USE enum cl_status cl_record_sign(struct cl_buffer *record, struct cl_record_id *id, uint32_t *refused_entry,
                                          struct cl_draft *draft, const struct cl_signer *signer,
                                          const struct cl_network_id *network);

/* Derived ids and hashes (formats.cddl). */
void cl_object_id_derive(struct cl_object_id *out, const uint8_t signer33[33], const uint8_t nonce16[16]);
void cl_commitment_derive(struct cl_commitment *out, const struct cl_object_id *object, const uint8_t salt32[32],
                          const uint8_t *body, size_t body_length);
void cl_audience_derive(struct cl_hash *out, const uint8_t salt32[32], const uint8_t *answerer, size_t answerer_length);
void cl_token_digest(struct cl_hash *out, const struct cl_network_id *network, const uint8_t bearer32[32],
                     const uint8_t agreement32[32], const uint8_t answering_key33[33]);
void cl_recovery_derive(struct cl_hash *out, const uint8_t recovery_key33[33]);
void cl_mailbox_derive(struct cl_hash *out, const uint8_t mailbox_key33[33]); /* a mailbox's name on its home node */
void cl_network_id_derive(struct cl_network_id *out, const uint8_t *genesis, size_t length);

/* Returns: "GRANT", …; NULL where no such type exists. */
const char *cl_record_type_name(uint64_t type);

void cl_buffer_deinit(struct cl_buffer *buffer);
CL_MUST_USE enum cl_status cl_buffer_append(struct cl_buffer *buffer, const void *data, size_t length);
/* Wipes, then frees. */
void cl_buffer_wipe(struct cl_buffer *buffer);
/* A copy of data takes the place of what was in it, which is wiped. */
CL_MUST_USE enum cl_status cl_buffer_replace(struct cl_buffer *buffer, const void *data, size_t length);

#endif

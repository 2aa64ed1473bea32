/* Data that stays at the source: a holder serves one slot of what it has of a customer to the organisation of another
   agreement of that customer, the reader, because the customer released it (ledger/formats.cddl "data stays at the
   source"). The holder judges a request by what is in its hands: its trust file, the release, the request. Pure but for the
   sealing's own randomness, and the register at the end, which is files in the wallet's folder. No clock: times come in.

   Whoever sees the ledger learns nothing: neither that a release was made nor that it was used. The reader does not learn
   which agreement the customer has with the holder; the holder learns which one the customer has with the reader. */
#ifndef CONSENT_SOURCE_H
#define CONSENT_SOURCE_H

#include "consent/delivery.h"
#include "consent/proof.h"
#include "consent/vault.h"

#define CL_SOURCE_USES_MAX 255u                      /* of one release */
#define CL_SOURCE_WHERE_BYTES_MAX 512u
#define CL_SOURCE_POINTER_BYTES_MAX 1024u            /* of a release or a pointer: CL_E_BOUND beyond, as for the next two */
#define CL_SOURCE_REQUEST_BYTES_MAX 262144u
#define CL_SOURCE_SEALED_MAX (16u * 1024u * 1024u)   /* of an answer */
#define CL_SOURCE_CONTENT_BYTES_MAX (CL_SOURCE_SEALED_MAX - 1024u)
#define CL_SOURCE_FILES_MAX 65536u                   /* in the register: CL_E_BOUND beyond */
#define CL_SOURCE_KEPT_S (30u * 86400u)              /* in the register after its time is over */

/* ---- what is signed. The _sign functions append, take the signer's key for the field `signer`, and fail with CL_E_VALUE
   (a field that the format does not take), CL_E_BOUND or the signer's errors. The _decode functions check the signature of
   whom the bytes name; whether that one may is for the _check functions. They fail with CL_E_CBOR_*, CL_E_FORMAT,
   CL_E_VERSION, CL_E_VALUE, CL_E_BOUND, CL_E_KEY, CL_E_SIGNATURE, CL_E_SIGNATURE_HIGH_S; views borrow from data. */

/* The customer to the holder. */
struct cl_source_release {
    struct cl_network_id network;
    struct cl_object_id agreement;  /* with the holder */
    uint8_t slot;
    uint8_t reference16[16];
    struct cl_object_id reader;     /* the agreement with the reader */
    uint8_t reader_slot;
    uint64_t until_s;               /* Unix seconds: served before that */
    uint8_t uses;                   /* at most so often; 0: taken back */
    uint64_t made_ms;
    struct cl_public_key signer;
};
CL_MUST_USE enum cl_status cl_source_release_sign(struct cl_buffer *out, const struct cl_source_release *release, const struct cl_signer *signer);
CL_MUST_USE enum cl_status cl_source_release_decode(struct cl_source_release *out, const uint8_t *data, size_t length);

/* The customer to the reader. */
struct cl_source_pointer {
    struct cl_network_id network;
    struct cl_object_id agreement;  /* with the reader */
    uint8_t slot;
    uint8_t reference16[16];
    struct cl_object_id holder;     /* a PROFILE */
    struct cl_view where;           /* UTF-8 without control characters, may be empty */
    uint64_t until_s;
    uint8_t uses;
    uint64_t made_ms;
    struct cl_public_key signer;
};
CL_MUST_USE enum cl_status cl_source_pointer_sign(struct cl_buffer *out, const struct cl_source_pointer *pointer, const struct cl_signer *signer);
CL_MUST_USE enum cl_status cl_source_pointer_decode(struct cl_source_pointer *out, const uint8_t *data, size_t length);

/* The reader to the holder. */
struct cl_source_request {
    struct cl_network_id network;
    struct cl_object_id agreement;  /* with the customer */
    uint8_t slot;
    uint8_t reference16[16];
    struct cl_object_id holder;
    uint64_t made_ms;
    uint8_t nonce16[16], delivery32[32];
    struct cl_view proof, party_proof; /* party_proof: length 0 where there is none */
    struct cl_public_key signer;
};
CL_MUST_USE enum cl_status cl_source_request_sign(struct cl_buffer *out, const struct cl_source_request *request, const struct cl_signer *signer);
CL_MUST_USE enum cl_status cl_source_request_decode(struct cl_source_request *out, const uint8_t *data, size_t length);

/* The holder to the reader. */
struct cl_source_answer {
    struct cl_network_id network;
    struct cl_hash request;         /* SHA-256 of the request's bytes */
    struct cl_object_id holder;
    uint64_t made_ms;
    char media_type[CL_MEDIA_TYPE_BYTES_MAX + 1];
    struct cl_view content;
    struct cl_public_key signer;
};
/* Signed, padded and sealed to the request's delivery key. Also CL_E_KEY (delivery32), CL_E_BOUND (the content). */
CL_MUST_USE enum cl_status cl_source_answer_seal(struct cl_buffer *out, const struct cl_source_answer *answer, const struct cl_signer *signer, const uint8_t delivery32[32]);
/* opened takes the place of what was in it, best a secret buffer; *out borrows from it. Also CL_E_DELIVERY_KEY: sealed to
   another key, or changed. */
CL_MUST_USE enum cl_status cl_source_answer_open(struct cl_buffer *opened, struct cl_source_answer *out, const uint8_t *sealed, size_t length, const uint8_t secret32[32]);
/* The same for what was opened elsewhere: an answer and its padding. */
CL_MUST_USE enum cl_status cl_source_answer_read(struct cl_source_answer *out, const uint8_t *padded, size_t length);
/* A fresh key pair for one request. CL_E_IO. */
CL_MUST_USE enum cl_status cl_source_key_new(uint8_t delivery32[32], uint8_t secret32[32]);

/* ---- judging. Nothing but what is given is looked at. */

/* Purpose: may the holder keep this release? id, agreement: its own agreement with the customer as it is now; customer: the
   present key of the customer's side. One that takes back is let through also where the agreement has ended.
   Returns: CL_OK, or CL_E_NETWORK, CL_E_DELIVERY_AGREEMENT (another agreement), CL_E_DELIVERY_SENDER (not the customer's),
   CL_E_TIME_AHEAD, CL_E_EXPIRED (its time is over), and what cl_agreement_check says of the slot. */
CL_MUST_USE enum cl_status cl_source_release_check(const struct cl_source_release *release, const struct cl_network_id *network, const struct cl_object_id *id, const struct cl_agreement *agreement, const struct cl_public_key *customer, uint64_t now_ms);
/* The same question of a pointer, asked by the reader of its own agreement with the customer. */
CL_MUST_USE enum cl_status cl_source_pointer_check(const struct cl_source_pointer *pointer, const struct cl_network_id *network, const struct cl_object_id *id, const struct cl_agreement *agreement, const struct cl_public_key *customer, uint64_t now_ms);

struct cl_source_rules {
    const struct cl_policy *policy;  /* the holder's trust file */
    struct cl_network_id network;
    struct cl_object_id holder;      /* its PROFILE */
    uint64_t now_ms, max_age_ms;     /* of the request and of its proofs; not 0 */
};
/* Purpose: does the request show that its signer is the organisation of an agreement that is active now, with its slot live?
   Returns: CL_OK, or CL_E_NETWORK, CL_E_SOURCE_HOLDER (for another holder), CL_E_TIME_AHEAD, CL_E_SOURCE_OLD (the request),
   CL_E_PROOF_OLD, CL_E_SOURCE_PROOF (a proof of something else), CL_E_SOURCE_READER (another signer), what
   cl_proof_verify returns and its verdict (CL_E_WITHDRAWN, …), CL_E_SLOT_NOT_LIVE. */
CL_MUST_USE enum cl_status cl_source_request_check(const struct cl_source_request *request, const struct cl_source_rules *rules);

struct cl_source_served { uint64_t ms; uint8_t nonce16[16]; };
/* Purpose: does the release allow to serve this request, after those that were served?
   Returns: CL_OK, or CL_E_SOURCE_OTHER (another agreement, slot or reference), CL_E_SOURCE_BACK, CL_E_SOURCE_REPLAY,
   CL_E_SOURCE_SPENT, CL_E_EXPIRED. */
CL_MUST_USE enum cl_status cl_source_serve_check(const struct cl_source_release *release, const struct cl_source_served *served, size_t served_count, const struct cl_source_request *request, uint64_t now_ms);
/* Purpose: is this what the holder that the pointer names answered to that request? holder_key: the present key of its PROFILE.
   Returns: CL_OK, or CL_E_NETWORK, CL_E_SOURCE_HOLDER (another holder, or not signed by it), CL_E_SOURCE_OTHER (another
   request), CL_E_TIME_AHEAD. */
CL_MUST_USE enum cl_status cl_source_answer_check(const struct cl_source_answer *answer, const struct cl_source_pointer *pointer, const struct cl_hash *request, const struct cl_public_key *holder_key, uint64_t now_ms);

/* ---- the register: what a wallet gave, holds and asked for; one encrypted file each in the wallet's folder (vault.h), in
   no backup, since a use that was counted must stay so. The caller holds the wallet's lock. */
enum cl_source_way { CL_SOURCE_GIVEN = 1, CL_SOURCE_HELD = 2, CL_SOURCE_ASKED = 3 };
struct cl_source_entry {
    enum cl_source_way way;
    struct cl_buffer document;      /* given, held: the release; asked: the pointer; owned */
    size_t served_count;            /* held */
    struct cl_source_served served[CL_SOURCE_USES_MAX];
    struct cl_hash request;         /* asked: these three */
    uint8_t secret32[32];
    uint64_t asked_ms;
};
void cl_source_entry_deinit(struct cl_source_entry *entry); /* wipes; zeroed is fine */
/* By reference; of what was asked, by the first 16 bytes of `request`. *out is valid on CL_OK only; then the caller calls
   _deinit. CL_E_NOT_FOUND, CL_E_LOCKED (damaged or another wallet's), CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_source_load(struct cl_source_entry *out, const struct cl_store *store, enum cl_source_way way, const uint8_t name16[16]);
/* Written whole, and synced. CL_E_BOUND, CL_E_VALUE (its document), CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_source_save(const struct cl_source_entry *entry, const struct cl_store *store);
/* Overwrites, removes, syncs the folder. CL_E_VALUE, CL_E_IO. */
CL_MUST_USE enum cl_status cl_source_remove(const struct cl_source_entry *entry, const struct cl_store *store);
/* Every entry that can be read, in no order, until `each` returns something else than CL_OK, which is returned. each may
   call cl_source_remove. CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_source_each(const struct cl_store *store, enum cl_status (*each)(void *context, const struct cl_source_entry *entry), void *context);
/* Removes what names this agreement on either side, or (agreement NULL) what is over for longer than CL_SOURCE_KEPT_S.
   Adds to *count. */
CL_MUST_USE enum cl_status cl_source_sweep(size_t *count, const struct cl_store *store, const struct cl_object_id *agreement, uint64_t now_ms);

#endif

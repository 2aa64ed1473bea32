/* Sealed deliveries: what goes from one side of an agreement to the other, in parts that only the receiver can read
   (ledger/formats.cddl "sealed deliveries"). The rule is "no active slot, no delivery": both ends ask it, the sender before
   sealing and the receiver before handing anything over. Pure but for the sealing's own randomness: no files, no clock. */
#ifndef CONSENT_DELIVERY_H
#define CONSENT_DELIVERY_H

#include "consent/record.h"
#include "consent/state.h"

#define CL_DELIVERY_ID_LENGTH 16u

enum cl_delivery_kind { CL_DELIVERY_DATA = 1, CL_DELIVERY_CHANGE = 2, CL_DELIVERY_NOTICE = 3, CL_DELIVERY_ACKNOWLEDGEMENT = 4 };

/* What all parts of one delivery say. */
struct cl_delivery {
    struct cl_network_id network;
    struct cl_object_id agreement;
    enum cl_side from;
    bool has_slot;                 /* false in notices, and in acknowledgements of them */
    uint8_t slot;                  /* 0..63 */
    uint8_t id16[16];              /* fresh and random for each delivery */
    uint64_t sent_ms;
    enum cl_delivery_kind kind;
    char media_type[CL_MEDIA_TYPE_BYTES_MAX + 1];
    uint8_t acknowledges16[16];    /* an acknowledgement's: the id of what arrived */
    uint64_t length;               /* of the whole content, bytes; cl_delivery_measure fills these three */
    uint32_t part_count;
    uint8_t content32[32];         /* SHA-256 of the whole content */
};
struct cl_delivery_part {
    struct cl_delivery delivery;
    uint32_t number;               /* from 0 */
    struct cl_view bytes;          /* borrowed from the opened bytes */
    struct cl_public_key signer;
};

/* "data", "change", "notice", "acknowledgement"; static. */
const char *cl_delivery_kind_name(enum cl_delivery_kind kind);

/* Purpose: the one rule, the same at both ends: may side `from` deliver this slot (has_slot false: a notice) to the other
   at now_ms? The agreement has to be active, within its period, suspended by nobody, and the slot live.
   Returns: CL_OK, or CL_E_PARTY (from is no side), CL_E_SLOTS (above 63), and what cl_agreement_check returns. */
CL_MUST_USE enum cl_status cl_delivery_check(const struct cl_agreement *agreement, enum cl_side from, bool has_slot, uint8_t slot, uint64_t now_ms);

/* What connects two sides, and is data of no slot: a notice that is a side's own contact, or a connect code (code.h) by which it
   offers something more, or the body of terms that it proposes (formats.cddl "body-file"). */
#define CL_MEDIA_TYPE_CONTACT "application/vnd.consent-contact"
#define CL_MEDIA_TYPE_CODE "application/vnd.consent-code"
#define CL_MEDIA_TYPE_BODY "application/vnd.consent-body"
bool cl_delivery_connects(const struct cl_delivery *delivery);
/* The rule for those alone: as cl_delivery_check, but also before the agreement is active (offered, requested, subscribed,
   countered) or has begun, by a side that is known. CL_E_PARTY: that side is nobody yet. */
CL_MUST_USE enum cl_status cl_delivery_connecting_check(const struct cl_agreement *agreement, enum cl_side from, uint64_t now_ms);

/* ---- the sender */
/* Fills length, part_count and content32. CL_E_BOUND: beyond CL_DELIVERY_BYTES_MAX. */
CL_MUST_USE enum cl_status cl_delivery_measure(struct cl_delivery *delivery, const void *content, size_t length);
/* Purpose: one part, signed and sealed to the receiver's delivery key. content: the whole of what was measured.
   Out: appended: exactly 1, 4, 16, 64 or 256 KiB. Errors: CL_E_VALUE (a field that the format does not take, or a content
   that is not the measured one), CL_E_KEY (recipient32), the signer's, CL_E_SIGNATURE (it does not fit its key). */
CL_MUST_USE enum cl_status cl_delivery_seal(struct cl_buffer *out, const struct cl_delivery *delivery, uint32_t number, const uint8_t *content, size_t length, const struct cl_signer *signer, const uint8_t recipient32[32]);

/* ---- the receiver */
/* Purpose: opens and reads one part, and checks that whom it names as its signer has signed it; whether that one may
   is cl_delivery_part_check's. delivery_secret32: wallet.h cl_delivery_secret_of. Out: opened takes the place of what was
   in it, best a secret buffer; *out borrows from it.
   Errors: CL_E_DELIVERY_KEY (sealed to another key, or changed: try the next key), CL_E_CBOR_*, CL_E_FORMAT (a length that
   is no class, or not the smallest; padding that is not zero; fields that contradict each other), CL_E_VERSION, CL_E_VALUE,
   CL_E_SIGNATURE, CL_E_SIGNATURE_HIGH_S, CL_E_KEY. */
CL_MUST_USE enum cl_status cl_delivery_open(struct cl_buffer *opened, struct cl_delivery_part *out, const uint8_t *sealed, size_t length, const uint8_t delivery_secret32[32]);
/* The same for what was opened elsewhere: a part and its padding. */
CL_MUST_USE enum cl_status cl_delivery_read(struct cl_delivery_part *out, const uint8_t *padded, size_t length);

/* Who may sign for a side: the present key of its party, and its party's delegates where that is a PROFILE or TERMS
   (borrowed). Delegates in the agreement itself are found there. */
struct cl_delivery_signers { struct cl_public_key key; const struct cl_delegation *delegations; size_t delegation_count; };
/* May this key sign deliveries of side `from` now? Returns: CL_OK, or CL_E_DELIVERY_SENDER. */
CL_MUST_USE enum cl_status cl_delivery_signer_check(const struct cl_agreement *agreement, enum cl_side from, const struct cl_delivery_signers *signers, const struct cl_public_key *key, uint64_t now_ms);
/* Purpose: may this part be taken by side `own` now? Asked of every part.
   Returns: CL_OK, or CL_E_NETWORK, CL_E_DELIVERY_AGREEMENT (another), CL_E_PARTY (from ourselves), CL_E_TIME_AHEAD (sent more
   than CL_RECORD_AHEAD_MS_MAX after now), CL_E_DELIVERY_SENDER (a forged "from"), and what cl_delivery_check returns. */
CL_MUST_USE enum cl_status cl_delivery_part_check(const struct cl_delivery_part *part, const struct cl_network_id *network, const struct cl_object_id *id, const struct cl_agreement *agreement, enum cl_side own, const struct cl_delivery_signers *other, uint64_t now_ms);

/* Parts of one delivery, in any order of arrival; those that were sealed stay where they are until all are there, so an
   interrupted one begins again from them. Holds up to CL_DELIVERY_BYTES_MAX, wiped at the end. */
struct cl_delivery_assembly;
CL_MUST_USE enum cl_status cl_delivery_assembly_new(struct cl_delivery_assembly **out);
void cl_delivery_assembly_free(struct cl_delivery_assembly *assembly); /* NULL is fine */
/* Copies. The first part says which delivery it is; the same part again changes nothing. CL_E_DELIVERY_PARTS: of another
   delivery, or another content for a part that is there. CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_delivery_assembly_add(struct cl_delivery_assembly *assembly, const struct cl_delivery_part *part);
/* NULL before the first part. */
const struct cl_delivery *cl_delivery_assembly_of(const struct cl_delivery_assembly *assembly);
/* Returns: how many parts are missing (all of them, as far as is known: 1 before the first); *first (may be NULL) is the first such. */
uint32_t cl_delivery_assembly_missing(const struct cl_delivery_assembly *assembly, uint32_t *first);
/* The whole content, borrowed. CL_E_PENDING: parts are missing. CL_E_DELIVERY_PARTS: it is not what was signed. */
CL_MUST_USE enum cl_status cl_delivery_assembly_content(struct cl_view *out, const struct cl_delivery_assembly *assembly);

/* ---- what was opened: stops a replay. One for each agreement. */
struct cl_opened_entry { uint64_t sent_ms; uint8_t id16[16]; };
struct cl_opened { uint64_t floor_ms; size_t count; struct cl_opened_entry entries[CL_OPENED_MAX]; };
CL_MUST_USE enum cl_status cl_opened_encode(struct cl_buffer *out, const struct cl_opened *opened);
/* CL_E_CBOR_*, CL_E_FORMAT, CL_E_VERSION. */
CL_MUST_USE enum cl_status cl_opened_decode(struct cl_opened *out, const uint8_t *data, size_t length);
/* CL_E_DELIVERY_REPLAY: it is among them, or was sent at the floor or before. */
CL_MUST_USE enum cl_status cl_opened_check(const struct cl_opened *opened, const struct cl_delivery *delivery);
/* Remembers it, where cl_opened_check lets it through. At the bound the oldest makes room, and the floor rises to it. */
void cl_opened_add(struct cl_opened *opened, const struct cl_delivery *delivery);

/* ---- contacts: where and under which key a side takes deliveries, signed by it (.consent-contact). For parties that are
   keys, of which the ledger has no delivery key; a PROFILE's is in its state value. */
struct cl_contact {
    struct cl_network_id network;
    struct cl_object_id agreement;
    enum cl_side side;
    uint64_t made_ms;
    uint8_t delivery32[32];
    size_t mailbox_count;
    struct cl_view mailboxes[CL_CONTACT_MAILBOXES_MAX]; /* UTF-8 without zero bytes; borrowed */
    struct cl_public_key signer;
};
/* contact->signer is not read: the signer's key is taken. Appends. CL_E_VALUE, the signer's errors. */
CL_MUST_USE enum cl_status cl_contact_sign(struct cl_buffer *out, const struct cl_contact *contact, const struct cl_signer *signer);
/* Checks the signature of whom it names. CL_E_CBOR_*, CL_E_FORMAT, CL_E_VERSION, CL_E_VALUE, CL_E_BOUND, CL_E_SIGNATURE. */
CL_MUST_USE enum cl_status cl_contact_decode(struct cl_contact *out, const uint8_t *data, size_t length);
/* Is it of the other side of this agreement? CL_E_NETWORK, CL_E_DELIVERY_AGREEMENT, CL_E_PARTY (our own), CL_E_DELIVERY_SENDER. */
CL_MUST_USE enum cl_status cl_contact_check(const struct cl_contact *contact, const struct cl_network_id *network, const struct cl_object_id *id, enum cl_side own, const struct cl_public_key *other);

#endif

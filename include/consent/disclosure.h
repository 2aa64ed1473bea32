/* Showing some of a body's fields and no others (ledger/formats.cddl "disclosure-file", "attribute"): the body's digests,
   the fields shown with their salts, and, where they are meant for somebody now, a signature that says so. And profiles
   of persons, whose fields are there to be shown one by one. Pure: no I/O, no clock, no randomness. */
#ifndef CONSENT_DISCLOSURE_H
#define CONSENT_DISCLOSURE_H

#include "consent/proof.h"
#include "consent/terms.h"

#define CL_PROFILE_FIELDS_MAX 64u
#define CL_FIELD_NAME_BYTES_MAX 64u
#define CL_FIELD_CATEGORY_BYTES_MAX 200u
#define CL_FIELD_NUMBER_MAX 9007199254740991 /* 2^53 - 1: exact in every JSON reader */
#define CL_DISCLOSURE_NONCE_BYTES_MAX 64u

/* ---- fields */
enum cl_field_kind {
    CL_FIELD_OTHER = 0,  /* nothing but its CBOR is known of it: a slot of terms among them */
    CL_FIELD_TEXT = 1,
    CL_FIELD_RANGE = 2,
    CL_FIELD_YES_NO = 3
};
struct cl_body_field {
    struct cl_view name, value;      /* value: one item of CBOR; both borrow from the disclosure */
    enum cl_field_kind kind;
    struct cl_view category, text;   /* category: an IRI; empty where there is none (fields of terms, of an organisation's profile) */
    bool yes, has_low, has_high;
    int64_t low, high;               /* both belong to the range */
};
/* disclosure: one that cl_body_file_decode took. CL_E_FORMAT: a name that cannot be shown. */
CL_MUST_USE enum cl_status cl_body_field_read(struct cl_body_field *out, struct cl_view disclosure);
/* Appends plain language for every field that the file discloses, a line or more each; safe on a terminal. */
CL_MUST_USE enum cl_status cl_body_file_words(struct cl_buffer *out, const struct cl_body_file *file);

/* ---- profiles of persons */
struct cl_profile_text { size_t count; struct cl_body_field fields[CL_PROFILE_FIELDS_MAX]; }; /* no values of CBOR */
/* A commented file to start from. */
const char *cl_profile_text_template(void);
/* out borrows from text. CL_E_FORMAT with *fault, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_profile_text_parse(struct cl_profile_text *out, struct cl_terms_fault *fault, const char *text, size_t length);
/* As cl_body_make. The number of digests is a multiple of 16, whatever the number of fields. */
CL_MUST_USE enum cl_status cl_body_make_profile(struct cl_body *out, const struct cl_profile_text *profile, const uint8_t seed32[32]);

/* ---- disclosure files */
/* For whom and when; has_recipient, nonce or both. */
struct cl_disclosure_address {
    bool has_recipient;
    struct cl_public_key recipient;
    char nonce[CL_DISCLOSURE_NONCE_BYTES_MAX + 1]; /* UTF-8 without control characters; "" for none */
    uint64_t time_ms;
    struct cl_public_key signer;
    uint8_t signature64[64];         /* r || s, low s */
};
struct cl_disclosure_file {
    struct cl_view shown;            /* the bytes of the body-file within; borrowed as all views are */
    struct cl_body_file body;
    bool addressed;
    struct cl_disclosure_address address;
};
/* The body-file with only the fields whose place in file->disclosures is marked. There are salts in it: out is best a
   secret buffer (types.h). CL_E_ARGUMENT: none is. */
CL_MUST_USE enum cl_status cl_disclosure_select(struct cl_buffer *out, const struct cl_body_file *file, const bool marked[CL_BODY_FIELDS_MAX]);
/* What an address signs; its signature64 is not read. CL_E_ARGUMENT: neither recipient nor nonce. */
CL_MUST_USE enum cl_status cl_disclosure_digest(struct cl_hash *out, const struct cl_network_id *network, struct cl_view shown, const struct cl_disclosure_address *address);
/* address: signed, or NULL. shown: what cl_disclosure_select made. */
CL_MUST_USE enum cl_status cl_disclosure_encode(struct cl_buffer *out, struct cl_view shown, const struct cl_disclosure_address *address);
/* Strict; checks that every field shown is behind one of the body's digests (CL_E_BODY), and no signature. Also
   CL_E_CBOR_*, CL_E_FORMAT, CL_E_VERSION, CL_E_BOUND, CL_E_KEY, CL_E_SIGNATURE_HIGH_S. */
CL_MUST_USE enum cl_status cl_disclosure_decode(struct cl_disclosure_file *out, const uint8_t *data, size_t length);
/* Whether it belongs to what the report (of a proof that held) is about: that the commitment is the one of the agreement,
   the TERMS or the PROFILE; where it is addressed, that the signature holds for that network and is of a key that the
   state names: a side of the agreement, the owner of the TERMS, the key of the PROFILE.
   CL_E_OBJECT_KIND, CL_E_BODY, CL_E_SIGNATURE, CL_E_PARTY. Whether a recipient or nonce is the right one, and the time
   recent, is for the caller to compare. */
CL_MUST_USE enum cl_status cl_disclosure_check(const struct cl_disclosure_file *file, const struct cl_verify_report *report);

#endif

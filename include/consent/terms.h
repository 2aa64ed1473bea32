/* What an agreement is about, off the ledger: the text file that a person writes and reads, the salted body that is
   committed to (ledger/formats.cddl "body", "disclosure", "body-file"), and the vocabulary both are written in
   (W3C DPV 2.3, its pd and IEEE 7012 extensions). Pure: salts come in as a seed. */
#ifndef CONSENT_TERMS_H
#define CONSENT_TERMS_H

#include "consent/limits.h"
#include "consent/status.h"
#include "consent/types.h"

#define CL_SLOTS_MAX 64u
#define CL_SLOT_LIST_MAX 16u           /* purposes, kinds of processing, recipients of one slot */
#define CL_TERMS_TEXT_BYTES_MAX 65536u
#define CL_TERMS_VALUE_BYTES_MAX 2048u /* of one line's value */

/* ---- vocabulary */
enum cl_vocabulary_kind {
    CL_VOCABULARY_PURPOSE = 1, CL_VOCABULARY_PERSONAL_DATA = 2, CL_VOCABULARY_AGREEMENT = 3,
    CL_VOCABULARY_CONSENT_STATUS = 4, CL_VOCABULARY_CONTRACT_STATUS = 5
};
struct cl_vocabulary_term { enum cl_vocabulary_kind kind; const char *term, *label; };
size_t cl_vocabulary_count(void);
const struct cl_vocabulary_term *cl_vocabulary_at(size_t position);
/* "dpv:", "pd:", "ieee7012:" and the namespaces that they stand for. */
const char *cl_vocabulary_prefix(enum cl_vocabulary_kind kind);
const char *cl_vocabulary_namespace(enum cl_vocabulary_kind kind);
/* text: prefixed or full IRI. Returns: NULL where the table does not have it. */
const struct cl_vocabulary_term *cl_vocabulary_find(enum cl_vocabulary_kind kind, const char *text);
/* The known term that is closest in spelling; NULL where none is close. */
const struct cl_vocabulary_term *cl_vocabulary_nearest(enum cl_vocabulary_kind kind, const char *text);
/* name: a term without prefix, or its label ("Email Address"); letters' case does not matter. NULL where there is none. */
const struct cl_vocabulary_term *cl_vocabulary_named(enum cl_vocabulary_kind kind, const char *name);
/* Whether DPV counts this category (prefixed or full IRI of pd:) as special or sensitive, itself or by a broader term. */
bool cl_vocabulary_special(const char *category);
/* Appends the full IRI of a prefixed or full name. CL_E_ARGUMENT: neither a known prefix nor an IRI. */
CL_MUST_USE enum cl_status cl_vocabulary_expand(struct cl_buffer *out, const char *text);
/* Appends the prefixed form where there is one, else text itself. */
CL_MUST_USE enum cl_status cl_vocabulary_shorten(struct cl_buffer *out, const char *iri, size_t length);

/* ---- the text */
/* X(enumerator, key in the file and name of the disclosure, whether it must be there, heading in plain language) */
#define CL_TERMS_FIELD_TABLE(X) \
    X(PROFFERED_BY, "proffered-by", true, "Proffered by") \
    X(TEMPLATE, "template", false, "Standard terms") \
    X(TITLE, "title", false, "Title") \
    X(LANGUAGE, "language", true, "Language") \
    X(JURISDICTION, "jurisdiction", false, "Law of") \
    X(CONTACT, "contact", false, "Contact") \
    X(IN_RETURN, "in-return", false, "In return") \
    X(WITHDRAW, "withdraw", true, "How to withdraw") \
    X(AFTER_WITHDRAWAL, "after-withdrawal", false, "What follows then")
enum cl_terms_field {
#define X(name, key, required, heading) CL_FIELD_##name,
    CL_TERMS_FIELD_TABLE(X)
#undef X
    CL_FIELD_COUNT
};
struct cl_terms_slot {
    uint8_t number;
    const char *name, *category;                       /* IRIs in prefixed form where there is one */
    const char *retention, *delivery_period, *delivery_format; /* NULL: not said */
    bool from_organisation;                            /* the organisation gives the data, and owes it where delivery is agreed; else the customer */
    size_t purpose_count, processing_count, recipient_count;
    const char *purposes[CL_SLOT_LIST_MAX], *processing[CL_SLOT_LIST_MAX], *recipients[CL_SLOT_LIST_MAX];
};
struct cl_terms_text {
    const char *fields[CL_FIELD_COUNT];                /* NULL: not there, or not disclosed */
    size_t slot_count;
    struct cl_terms_slot slots[CL_SLOTS_MAX];          /* ascending numbers */
    bool has_text_hash;
    uint8_t text_hash[32];                             /* SHA-256 of the text file */
    char *storage;
    size_t storage_used, storage_size;
};
struct cl_terms_fault { size_t line; char sentence[240]; }; /* line 0: the file as a whole */
/* Errors: CL_E_FORMAT with *fault, CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_terms_text_parse(struct cl_terms_text **out, struct cl_terms_fault *fault, const char *text, size_t length);
void cl_terms_text_free(struct cl_terms_text *text);
/* A commented file to start from. */
const char *cl_terms_text_template(void);
/* What is allowed but better said: writes at most size sentences. Returns: how many there are. */
size_t cl_terms_text_advice(const char **sentences, size_t size, const struct cl_terms_text *text);
uint64_t cl_terms_text_slots(const struct cl_terms_text *text);
/* By number, by name, or by "pd:" category. Returns: NULL where there is none. */
const struct cl_terms_slot *cl_terms_slot_find(const struct cl_terms_text *text, const char *name);
/* Whether the slot names that purpose (prefixed or full IRI). */
bool cl_terms_slot_allows(const struct cl_terms_slot *slot, const char *purpose);
/* Plain language; slots: only these (all bits set for all). */
CL_MUST_USE enum cl_status cl_terms_text_plain(struct cl_buffer *out, const struct cl_terms_text *text, uint64_t slots);
/* What b says otherwise than a, a line each; *differences counts them. */
CL_MUST_USE enum cl_status cl_terms_text_diff(struct cl_buffer *out, size_t *differences, const struct cl_terms_text *a, const struct cl_terms_text *b);

/* ---- the body */
struct cl_body { struct cl_buffer bytes; size_t disclosure_count; struct cl_buffer disclosures[CL_BODY_FIELDS_MAX]; };
/* Every field behind its own salt; the salts follow from seed32, which must be fresh and is not kept. */
CL_MUST_USE enum cl_status cl_body_make(struct cl_body *out, const struct cl_terms_text *text, const uint8_t seed32[32]);
/* A body of plain text fields, of another category (profiles). Names are each there once. */
CL_MUST_USE enum cl_status cl_body_make_fields(struct cl_body *out, const char *category, const char *const *names, const char *const *values, size_t count, const uint8_t seed32[32]);
void cl_body_deinit(struct cl_body *body);
/* There are salts in the file: out is best a secret buffer (types.h). */
CL_MUST_USE enum cl_status cl_body_file_encode(struct cl_buffer *out, const struct cl_object_id *object, const uint8_t salt32[32], const struct cl_body *body);

struct cl_body_file {
    struct cl_object_id object;
    uint8_t salt32[32];
    struct cl_view body, category; /* all views borrow from the data */
    size_t digest_count, disclosure_count;
    struct cl_view disclosures[CL_BODY_FIELDS_MAX];
};
/* Strict: digests ascending, each disclosure's digest among them, in the same order. CL_E_BODY where one is not. */
CL_MUST_USE enum cl_status cl_body_file_decode(struct cl_body_file *out, const uint8_t *data, size_t length);
void cl_body_file_commitment(struct cl_commitment *out, const struct cl_body_file *file);
/* The text that the disclosed fields make. Fields that are not known are left out. */
CL_MUST_USE enum cl_status cl_body_file_text(struct cl_terms_text **out, const struct cl_body_file *file);

/* ISO 8601 duration without fractions ("P1Y6M", "PT10M", "P2W"). */
bool cl_duration_usable(const char *text);
#define CL_DURATION_PLAIN_SIZE 160u
/* "P1Y6M" -> "1 year 6 months"; of a usable one. */
void cl_duration_plain(char out[CL_DURATION_PLAIN_SIZE], const char *duration);

#endif

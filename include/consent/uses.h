/* Uses of data: what an organisation logs before each use, the tree whose root its STATEMENT commits to, and the proof that
   each customer gets of the uses of their agreement, or of none. Layouts: ledger/formats.cddl "uses". Pure: no files, no
   clock, no randomness.

   A proof shows what the organisation stated under its key, for good: it cannot tell one customer this and another that
   about one root, and cannot take it back. It does not show that nothing else was done. */
#ifndef CONSENT_USES_H
#define CONSENT_USES_H

#include "consent/limits.h"
#include "consent/proof.h"
#include "consent/status.h"
#include "consent/types.h"

#define CL_USE_PURPOSE_BYTES_MAX 160u
#define CL_USE_REFERENCE_BYTES_MAX 64u
#define CL_USE_LINE_BYTES_MAX 384u                     /* of the log, without the line's end */
#define CL_USES_OF_AGREEMENT_MAX 65536u                /* in one period; beyond: state shorter periods */
#define CL_USES_LIST_BYTES_MAX (4u * 1024u * 1024u)
#define CL_USES_AGREEMENTS_MAX 2097152u                /* in one statement */

static_assert(CL_USES_LIST_BYTES_MAX + CL_CHECKPOINT_BYTES_MAX + 3u * CL_SMT_DEPTH * 34u + CL_RECORD_BYTES_MAX + 65536u < CL_PROOF_BYTES_MAX, "a proof of uses fits into a proof");

/* One use. purpose: an IRI; reference: the organisation's own, may be empty. Both borrow, and are printable ASCII without
   spaces. time_ms: Unix milliseconds. */
struct cl_use { uint64_t time_ms; uint8_t slot; struct cl_view purpose, reference; };
/* Whether a text may be a purpose (least 1, most CL_USE_PURPOSE_BYTES_MAX) or a reference (0, CL_USE_REFERENCE_BYTES_MAX). */
bool cl_use_text_usable(const char *text, size_t length, size_t least, size_t most);

/* ---- the log: lines of words with one tab between, appended and synced before the use (formats.cddl "uses log") */
enum cl_use_line_kind {
    CL_USE_LINE_START = 1, /* the first line: object is the PROFILE whose log it is */
    CL_USE_LINE_USE,       /* object is the agreement; use */
    CL_USE_LINE_REFUSED,   /* time_ms and code: somebody asked, and the answer was no */
    CL_USE_LINE_FILE       /* so many lines of a file with this hash have been taken in before this line */
};
struct cl_use_line { enum cl_use_line_kind kind; struct cl_object_id object; struct cl_use use; struct cl_view code; uint64_t time_ms; struct cl_hash file; uint64_t line_count; };
/* Appends a line with its end. CL_E_VALUE: a text that is not usable, a slot beyond 63, a time beyond 2^53. */
CL_MUST_USE enum cl_status cl_use_line_encode(struct cl_buffer *out, const struct cl_use_line *line);
/* A line without its end; out borrows from it. CL_E_FORMAT, CL_E_VALUE: not the one form of a line. */
CL_MUST_USE enum cl_status cl_use_line_decode(struct cl_use_line *out, const char *text, size_t length);

/* ---- the list of an agreement's uses in a period */
/* Appends. Times ascend (equal ones are fine) and are of the period from_s <= t < until_s. CL_E_VALUE, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_use_list_encode(struct cl_buffer *out, const struct cl_use *uses, size_t count, uint64_t from_s, uint64_t until_s);
/* Reads a whole list strictly. Out: how many, and the items for cl_use_take, which borrow. CL_E_CBOR_*, CL_E_VALUE, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_use_list_decode(size_t *count, struct cl_view *items, const uint8_t *data, size_t length, uint64_t from_s, uint64_t until_s);
/* The next item of a list that was decoded. Returns: whether there was one. */
bool cl_use_take(struct cl_use *out, struct cl_view *items);

/* ---- what a STATEMENT is about; the organisation keeps it, since every proof is made of it */
struct cl_uses_account { struct cl_object_id agreement; uint8_t salt32[32]; struct cl_view list; }; /* list: encoded, borrowed */
struct cl_uses_statement { struct cl_object_id profile; uint64_t from_s, until_s; size_t account_count; struct cl_uses_account *accounts; };
/* Accounts in ascending order of their agreement, each once; salts fresh and random. CL_E_VALUE, CL_E_BOUND, CL_E_RECORD_ORDER. */
CL_MUST_USE enum cl_status cl_uses_statement_encode(struct cl_buffer *out, const struct cl_uses_statement *statement);
/* Ownership: on CL_OK call _deinit; the lists borrow from data. CL_E_FORMAT, CL_E_VERSION and as above. */
CL_MUST_USE enum cl_status cl_uses_statement_decode(struct cl_uses_statement *out, const uint8_t *data, size_t length);
void cl_uses_statement_deinit(struct cl_uses_statement *statement); /* wipes the salts that it holds */
/* Returns: NULL where the statement does not name it. */
const struct cl_uses_account *cl_uses_account_find(const struct cl_uses_statement *statement, const struct cl_object_id *agreement);

/* The tree. The statement must outlive it. */
struct cl_uses_tree;
CL_MUST_USE enum cl_status cl_uses_tree_new(struct cl_uses_tree **out, const struct cl_uses_statement *statement);
void cl_uses_tree_free(struct cl_uses_tree *tree); /* NULL is fine */
void cl_uses_tree_root(struct cl_hash *out, const struct cl_uses_tree *tree);

/* ---- the proof of one agreement (.consent-uses) */
/* Appends. record: the STATEMENT as it is in the log; tlog_proof: its receipt (C2SP tlog-proof). An agreement that the
   statement does not name is proven absent. CL_E_MEMORY, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_uses_prove(struct cl_buffer *out, const struct cl_uses_tree *tree, const struct cl_network_id *network,
                                         struct cl_view record, struct cl_view tlog_proof, const struct cl_object_id *agreement);
struct cl_uses_report {
    struct cl_network_id network;
    struct cl_object_id profile, agreement;
    uint64_t from_s, until_s, issued_at_ms; /* the period, and when the statement was signed by its own word */
    bool named;                    /* false: proven absent from the statement */
    size_t use_count;              /* 0: stated as not used */
    struct cl_view items;          /* for cl_use_take; borrows from the proof */
    struct cl_public_key signer;   /* the PROFILE's key then, or its delegate's: the ledger saw to that */
    struct cl_receipt_report receipt; /* receipt.record: the STATEMENT's id */
};
/* Purpose: is this what a STATEMENT in the log says of the agreement? Looks at nothing outside the proof and the policy; the
   caller compares profile and agreement with those that it means.
   A record that lets refused entries pass (payload key 4) is not taken: it may be in the log without having been applied.
   CL_E_PROOF, CL_E_QUORUM, CL_E_SIGNATURE, CL_E_CBOR_*, CL_E_FORMAT, CL_E_VERSION, CL_E_VALUE, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_uses_verify(struct cl_uses_report *report, const uint8_t *proof, size_t length, const struct cl_policy *policy);

#endif

/* One agreement, gathered for an export: what it is about, how it stands, what happened to it; and the forms that it is
   written in. Functions that return int report their own failure and return the exit status. */
#ifndef TOOLS_EXPORT_H
#define TOOLS_EXPORT_H

#include "act.h"
#include "consent/export.h"

struct export_event {
    const char *type;                        /* "GRANT", …; static */
    unsigned number;                         /* of that type */
    uint64_t issued_ms, block_ms, height, log_index;
    uint8_t record_id[32], signer33[33];
    bool has_slots;
    uint64_t slots;
    const char *consent, *contract;          /* what it led to, in DPV's words; NULL: that did not change */
    bool agreed, suspended;                  /* it brought terms into force; a side had suspended the agreement after it */
};
struct export_agreement {
    struct cl_object_id id;
    const struct cl_agreement *state;        /* NULL: it is no agreement; then only history_print is for it */
    const struct cl_terms_text *text;        /* NULL: not at hand */
    const struct cl_wallet_item *item;       /* NULL: not in the wallet. Its name and the names of keys are the owner's affair */
    const struct cl_wallet_network *network;
    uint64_t now_ms;
    size_t event_count;
    struct export_event *events;             /* oldest first; none: the history was not asked for */
    struct past *past;                       /* past.h; NULL: was not asked for */
};

/* ---- export.c: gathering */
/* Asks the node for the history, checks every record's signature, and says what each led to. events: export_free. */
int export_history(struct context *context, struct export_agreement *agreement);
void export_free(struct export_agreement *agreement);
/* The last status, in DPV's words; RenewedConsentGiven where the history shows a renewal. */
const char *export_consent(const struct export_agreement *agreement);
/* "did:key:…" of a key, "nih:sha-256;…" (RFC 6920) of an id; "" for nobody. Never a name. Static storage, four at a time. */
const char *party_iri(const struct cl_party *party);
const char *id_iri(const uint8_t id32[32]);
const char *time_iso(uint64_t milliseconds); /* static storage, four at a time; "" after the year 9999 */
/* All with ", " between. Static storage, four at a time. */
const char *joined(const char *const *list, size_t count);
const char *proof_url(const struct export_agreement *agreement); /* where the node has the proof; static storage */
/* What is written for people and programs goes to --output, else to standard output. */
int export_write(struct context *context, const char *data, size_t length);
/* The same for a document, which is taken (NULL: there was no memory for it); path NULL, "-": standard output. */
int export_json_write(struct context *context, json_t *json, const char *path);

/* ---- export_dpv.c: ISO/IEC TS 27560 in the words of W3C DPV 2.3, as JSON-LD with its context inside */
json_t *dpv_context(void);
/* own: with the names that the owner gave, where the node has the proof, and what agreement->past has. */
json_t *dpv_record(const struct export_agreement *agreement, bool own);
json_t *dpv_receipt(const struct export_agreement *agreement, const char uuid[37]);
void uuid_random(char out[37]);              /* RFC 9562, version 4; "" where there is no randomness */

/* ---- export_csv.c */
CL_MUST_USE enum cl_status csv_list_head(struct cl_buffer *out);
/* One row for each slot of the terms; one where they are not at hand, or for what is no agreement (agreement NULL). */
CL_MUST_USE enum cl_status csv_list_rows(struct cl_buffer *out, const struct cl_wallet_item *item, const struct object *object, const struct export_agreement *agreement);
struct timeline;
CL_MUST_USE enum cl_status csv_history(struct cl_buffer *out, struct context *context, const struct export_agreement *agreements, const struct timeline *timeline);

/* ---- export_kantara.c: Kantara Consent Receipt Specification 1.1.0 */
int kantara_receipt(struct context *context, json_t **out, const struct export_agreement *agreement);

/* ---- what --json says of a slot (cmd_terms.c), and of an agreement beyond its state (export.c) */
json_t *slot_json(const struct cl_terms_slot *slot);
void export_json(json_t *object, const struct export_agreement *agreement);

/* ---- cmd_history.c */
/* proof --format dpv, kantara: a receipt for others to read, at --output or NAME.jsonld, NAME.receipt.json. */
int document_write(struct context *context, const struct subject *subject, bool kantara);

#endif

/* Agreements in the words and forms of others: states in W3C DPV terms, CSV, ISO 8601. Pure: the time comes in.
   The documents themselves (JSON-LD, Kantara receipts) are JSON, and so the command line's (tools/export_*.c). */
#ifndef CONSENT_EXPORT_H
#define CONSENT_EXPORT_H

#include "consent/state.h"

/* Purpose: the state of an agreement as a consent status of DPV 2.3 ("dpv:ConsentGiven"), static. Offered, requested,
   subscribed and countered are ConsentRequested; active is ConsentGiven, expired ConsentExpired; withdrawn (by the
   customer) ConsentWithdrawn, terminated (by the other side) ConsentRevoked. While suspended it is the broader
   ConsentStatusInvalidForProcessing: a reader who looks at nothing else must not take it for permission. That consent was
   renewed is not in the state; who has the history says RenewedConsentGiven. */
const char *cl_dpv_consent_status(const struct cl_agreement *agreement, uint64_t now_ms);
/* The same as a contract status of DPV 2.3 ("dpv:ContractFullyExecuted"), static. A dispute comes before all else. */
const char *cl_dpv_contract_status(const struct cl_agreement *agreement, uint64_t now_ms);

/* Appends one row of CSV (RFC 4180: CRLF, quotes doubled); fields NULL: empty. A field that a spreadsheet would take for a
   formula (it begins with = + - @, a tab or a line end) gets an apostrophe in front. CL_E_MEMORY, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_csv_row(struct cl_buffer *out, const char *const *fields, size_t count);

#define CL_ISO8601_SIZE 21u
/* "2027-06-30T00:00:00Z" and zero. Returns: false, and "" in out, after the year 9999. */
bool cl_iso8601_utc(char out[CL_ISO8601_SIZE], uint64_t seconds);

#endif

/* Connect codes: what is handed to somebody, as a line of text or a QR code, so that they may answer an offer. Whoever
   holds the code may answer; whoever only saw the answer may not repeat it, since the token signs for one answerer and one
   agreement. Layout: "code" in ledger/formats.cddl; the text is "CONSENT1:" and base45 (RFC 9285) of it. */
#ifndef CONSENT_CODE_H
#define CONSENT_CODE_H

#include "consent/wallet.h"

#define CL_CODE_PREFIX "CONSENT1:"
#define CL_CODE_URLS_MAX 4u
#define CL_CODE_URL_BYTES_MAX 255u
#define CL_CODE_BYTES_MAX 262144u      /* of the CBOR: longer codes are neither made nor read (CL_E_BOUND) */
#define CL_CODE_TEXT_BYTES_MAX 393226u /* of the text: prefix and three characters for two bytes */

struct cl_code {
    struct cl_network_id network;
    size_t url_count;                                         /* of nodes, to be tried in this order; may be 0 */
    char urls[CL_CODE_URLS_MAX][CL_CODE_URL_BYTES_MAX + 1];   /* http:// or https://, printable ASCII without spaces */
    uint8_t secret32[32];                                     /* of the token key, which is the offer's audience */
    struct cl_object_id object;                               /* the offer: TERMS, or an agreement offered or asked for */
    enum cl_wallet_kind kind;                                 /* CL_ITEM_AGREEMENT or CL_ITEM_TERMS */
    struct cl_optional_time expiry;                           /* seconds: no wallet answers from then on */
    struct cl_buffer body_file;                               /* owned; .consent-body bytes of object with all fields; empty: none */
    struct cl_reception reception;                            /* where the maker takes the contact of who answers; may be absent */
};

/* Appends the text, without a line end. out is best a secret buffer (types.h). The body has to be complete: one disclosure
   for each digest. CL_E_ARGUMENT (a field is out of its bounds, or the body is another object's), CL_E_BODY, CL_E_BOUND,
   CL_E_MEMORY, CL_E_SECRET. */
CL_MUST_USE enum cl_status cl_code_encode(struct cl_buffer *out, const struct cl_code *code);
/* The exact text. *out is valid on CL_OK only; then the caller calls cl_code_deinit.
   CL_E_FORMAT, CL_E_CBOR_*, CL_E_VERSION, CL_E_BOUND, CL_E_BODY, CL_E_SECRET, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_code_decode(struct cl_code *out, const char *text, size_t length);
void cl_code_deinit(struct cl_code *code); /* wipes */
/* What may stand in urls. */
bool cl_code_url_usable(const char *url, size_t length);
/* The opening (key 7) that shows that the answerer holds the code. bearer: the object that bears the audience. */
CL_MUST_USE enum cl_status cl_token_sign(uint8_t opening64[64], const uint8_t secret32[32], const struct cl_network_id *network, const uint8_t bearer32[32], const uint8_t agreement32[32], const struct cl_public_key *answering);

#endif

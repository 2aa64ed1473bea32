/* Public bodies (ledger/formats.cddl "public-body"): what the owner of TERMS or of a PROFILE lets everybody read, with a signature
   that says so. Nodes keep and show them (node/API.md); without the signature nobody could tell what an owner published from
   what it gave to somebody in private. Pure: no I/O, no clock, no randomness. */
#ifndef CONSENT_PUBLIC_H
#define CONSENT_PUBLIC_H

#include "consent/record.h"
#include "consent/terms.h"
#include "consent/wallet.h"

#define CL_PUBLIC_BODY_BYTES_MAX 65536u

struct cl_public_body {
    struct cl_network_id network;
    uint64_t made_ms;
    struct cl_view shown;            /* the bytes of the body-file within, the fields in clear that are public; borrowed */
    struct cl_reception reception;   /* where who answers TERMS sends his contact; may be absent */
    struct cl_public_key signer;
    uint8_t signature64[64];         /* r || s, low s */
    /* set by cl_public_body_decode */
    struct cl_body_file body;        /* borrows from shown */
    struct cl_hash digest;           /* what was signed */
};
/* Appends the signed bytes; of in, network, made_ms, shown and reception are read. CL_E_ARGUMENT: a reception that could not
   be read; CL_E_BOUND: longer than CL_PUBLIC_BODY_BYTES_MAX; CL_E_MEMORY; what the signer returns. */
CL_MUST_USE enum cl_status cl_public_body_sign(struct cl_buffer *out, const struct cl_public_body *in, const struct cl_signer *signer);
/* Strict: at least one field is in clear, and each is behind a digest (CL_E_BODY). Checks no signature. CL_E_CBOR_*, CL_E_FORMAT,
   CL_E_VERSION, CL_E_BOUND, CL_E_KEY, CL_E_SIGNATURE_HIGH_S. */
CL_MUST_USE enum cl_status cl_public_body_decode(struct cl_public_body *out, const uint8_t *data, size_t length);
/* Whether key33, the object's present key, signed this for that network. CL_E_NETWORK, CL_E_PARTY (another key), CL_E_SIGNATURE.
   That it is what the object commits to (cl_body_file_commitment) is for the caller to compare with the ledger. */
CL_MUST_USE enum cl_status cl_public_body_check(const struct cl_public_body *body, const struct cl_network_id *network, const uint8_t key33[33]);

#endif

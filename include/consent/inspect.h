/* Any file of this project, shown: what it is in plain words, and CBOR diagnostic notation (RFC 8949 section 8).
   Shows, and checks nothing but form: signatures and proofs are checked elsewhere. Pure. */
#ifndef CONSENT_INSPECT_H
#define CONSENT_INSPECT_H

#include "consent/record.h"

enum cl_file_kind {
    CL_FILE_UNKNOWN = 0, CL_FILE_RECORD, CL_FILE_PAYLOAD, CL_FILE_STATE_PROOF, CL_FILE_BODY, CL_FILE_OFFER, CL_FILE_WALLET,
    CL_FILE_BACKUP, CL_FILE_STATE_VALUE, CL_FILE_STATE_LEAF, CL_FILE_ACCEPTANCE, CL_FILE_COSE_RECEIPT, CL_FILE_CHECKPOINT,
    CL_FILE_TLOG_PROOF, CL_FILE_POLICY, CL_FILE_CBOR, CL_FILE_STORE_KEY, CL_FILE_STORE_VALUE, CL_FILE_DISCLOSURE,
    CL_FILE_CONTACT, CL_FILE_USES_PROOF, CL_FILE_USES_STATEMENT, CL_FILE_SOURCE_RELEASE, CL_FILE_SOURCE_POINTER,
    CL_FILE_SOURCE_REQUEST
};
enum cl_file_kind cl_file_kind_of(const uint8_t *data, size_t length);
const char *cl_file_kind_words(enum cl_file_kind kind); /* "a signed record", … */

/* Appends lines of plain words. network: for record ids; NULL where it is not known. */
CL_MUST_USE enum cl_status cl_inspect_words(struct cl_buffer *out, const uint8_t *data, size_t length, const struct cl_network_id *network);
/* Appends diagnostic notation, indented; byte strings that hold CBOR as << … >>. CL_E_CBOR_* where it is not
   deterministic CBOR. */
CL_MUST_USE enum cl_status cl_inspect_diagnostic(struct cl_buffer *out, const uint8_t *data, size_t length);

#endif

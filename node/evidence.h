/* Votes that contradict each other, as a file (formats.cddl "evidence-file"), so that a restart does not forget who lied.
   Pure: what the pieces prove is checked by consensus_restore_evidence. */
#ifndef NODE_EVIDENCE_H
#define NODE_EVIDENCE_H

#include "consensus.h"

#define EVIDENCE_PIECES_MAX (CONSENSUS_EVIDENCE_MAX * CL_MEMBERS_MAX)
#define EVIDENCE_FILE_BYTES_MAX (256u * 1024u)

CL_MUST_USE enum cl_status evidence_encode(struct cl_buffer *out, const struct cl_network_id *network, const struct consensus_evidence *pieces, size_t count);
/* Out: *pieces on the heap, *count. CL_E_STORE_OTHER: of another network; CL_E_STORE_NEWER; CL_E_STORE_CORRUPT; CL_E_MEMORY. */
CL_MUST_USE enum cl_status evidence_decode(struct consensus_evidence **pieces, size_t *count, const struct cl_network_id *network, const uint8_t *data, size_t length);

/* "propose", "notarize", "nullify", "finalize" */
const char *evidence_word(enum cl_vote_kind kind);

#endif

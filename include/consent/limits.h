/* Every bound of the project, in one place, and how they hang together. Each says what happens at the bound. */
#ifndef CONSENT_LIMITS_H
#define CONSENT_LIMITS_H

#include <assert.h>

/* records (ledger/formats.cddl): refused beyond */
#define CL_RECORD_BYTES_MAX 65535u
#define CL_RECORD_ENTRIES_MAX 1000u
#define CL_RECORD_ENTRIES_SHORT_MAX 64u /* types 3 to 6, 8 and 12: a proof shows the whole record */
#define CL_CBOR_DEPTH_MAX 8u            /* nesting that any of our layouts needs, with room */
#define CL_RECORD_AGE_MS_MAX (30ull * 86400ull * 1000ull)
#define CL_RECORD_AHEAD_MS_MAX 120000ull
#define CL_RENEW_AFTER_EXPIRY_MS_MAX (30ull * 86400ull * 1000ull)
#define CL_SECONDS_MAX 9007199254740ull /* 2^53 / 1000: milliseconds stay exact in every JSON reader */

/* state values */
#define CL_DELEGATIONS_MAX 16u
#define CL_VOUCHES_MAX 16u
#define CL_MEMBERS_MAX 128u
#define CL_MEMBER_NAME_BYTES_MAX 32u
#define CL_ORIGIN_BYTES_MAX 128u
#define CL_STATE_VALUE_BYTES_MAX 65536u /* the network value with 128 members fits */

/* blocks: the network's parameters may be lower, never higher */
#define CL_BLOCK_RECORDS_MAX 8192u
#define CL_BLOCK_BYTES_MAX (8u * 1024u * 1024u)
#define CL_BLOCKS_NOT_FINAL_MAX 64u

/* proofs */
#define CL_LOG_PATH_MAX 64u
#define CL_SMT_DEPTH 256u
#define CL_PROOF_RECORDS_MAX 64u
#define CL_PROOF_BOUNDARIES_MAX 64u
#define CL_PROOF_BYTES_MAX (8u * 1024u * 1024u)
#define CL_CHECKPOINT_BYTES_MAX 65536u
#define CL_SIGNATURES_MAX 128u /* on one checkpoint; C2SP readers need accept only 16 */
#define CL_POLICY_BYTES_MAX 65536u
#define CL_POLICY_ENTRIES_MAX 512u

/* C2SP tiles */
#define CL_TILE_HEIGHT 8u
#define CL_TILE_WIDTH 256u

/* terms bodies */
#define CL_BODY_BYTES_MAX 65536u
#define CL_BODY_FIELDS_MAX 256u
#define CL_DISCLOSURE_BYTES_MAX 8192u

/* growing buffers (cl_buffer): appending beyond is CL_E_BOUND. Room for the largest file that a tool reads whole. */
#define CL_BUFFER_BYTES_MAX (256u * 1024u * 1024u)

/* sealed deliveries (ledger/formats.cddl "delivery-part"): refused beyond */
#define CL_DELIVERY_BYTES_MAX (16u * 1024u * 1024u) /* of one content */
#define CL_DELIVERY_PART_BYTES (240u * 1024u)       /* of the content in each part but the last */
#define CL_DELIVERY_PARTS_MAX 69u
#define CL_DELIVERY_SEALED_MAX (256u * 1024u)       /* of one sealed part */
#define CL_MEDIA_TYPE_BYTES_MAX 127u
#define CL_MAILBOX_BYTES_MAX 512u                   /* of one address in a contact */
#define CL_CONTACT_MAILBOXES_MAX 8u
#define CL_CONTACT_BYTES_MAX 8192u
#define CL_OPENED_MAX 1024u                         /* deliveries of one agreement that are remembered; older ones are taken for opened */
#define CL_OPENED_BYTES_MAX 65536u

/* frames between nodes */
#define CL_FRAME_BYTES_MAX (256u * 1024u)

static_assert(CL_TILE_WIDTH == 1u << CL_TILE_HEIGHT, "a tile has 2^height hashes");
static_assert(CL_RECORD_BYTES_MAX == 0xffff, "tile entries carry a 16-bit length");
static_assert(CL_FRAME_BYTES_MAX > 2u * CL_RECORD_BYTES_MAX, "a frame holds at least two records");
static_assert(CL_BLOCK_BYTES_MAX >= CL_RECORD_BYTES_MAX, "a block holds at least one record");
static_assert((CL_DELIVERY_PARTS_MAX - 1u) * CL_DELIVERY_PART_BYTES < CL_DELIVERY_BYTES_MAX && CL_DELIVERY_PARTS_MAX * CL_DELIVERY_PART_BYTES >= CL_DELIVERY_BYTES_MAX, "the largest content has so many parts");
static_assert(CL_DELIVERY_PART_BYTES + 1024u <= CL_DELIVERY_SEALED_MAX, "a full part fits with all that stands around it");
static_assert(CL_BUFFER_BYTES_MAX >= 2u * CL_BLOCK_BYTES_MAX, "a buffer holds a block and its proposal");

#endif

/* Cosignatures of final trees: which tree this node may sign with which time, whose signatures are together, and who has
   signed what contradicts the final log. What makes checkpoints of a consortium (design: ledger, "Checkpoint"). Pure: times
   come in, signatures are deterministic, and whoever calls it sends, keeps and answers. */
#ifndef NODE_COSIGN_H
#define NODE_COSIGN_H

#include "checkpoint.h"

#define COSIGN_TREES_MAX 64u        /* newest final trees that are remembered; of older ones nothing is counted */
#define COSIGN_ENTRIES_MAX 64u      /* of each member: cosignatures of its largest sizes; the smallest goes */
#define COSIGN_NOTARIZED_MAX 64u    /* notarizations above the newest tree; beyond, two become one, at the earlier time */
#define COSIGN_AHEAD_S_MAX 60u      /* a time further ahead of our clock is passed over */
#define COSIGN_CHECKS_MAX 256u      /* signatures checked for one sender within a second; dropped beyond */
#define COSIGN_OBSERVER SIZE_MAX    /* as own: counts, and signs nothing */

struct cosign;
struct cosign_config {
    const char *origin;                             /* all borrowed, for as long as the cosign lives */
    const struct cl_member *members;
    size_t member_count, own;                       /* own: index of this member, or COSIGN_OBSERVER */
    size_t peer_count;                              /* who may send: the members, then observers */
    const uint8_t *log_seed32, *witness_seed32;     /* NULL for an observer */
};
struct cosign_tree { uint64_t size, view; struct cl_hash root; };

CL_MUST_USE enum cl_status cosign_new(struct cosign **out, const struct cosign_config *config);
void cosign_free(struct cosign *cosign);

/* The tree of a final block: at start the tip's, then each in its order. view: the block's. */
void cosign_final(struct cosign *cosign, const struct cosign_tree *tree);
/* This node holds a notarization of view, first at wall_ms: no tree of an earlier view is signed with a later time. 0: held
   before it started, so not at all. */
void cosign_notarized(struct cosign *cosign, uint64_t view, uint64_t wall_ms);
/* The checkpoint that is kept: at start, and after each merge that was made durable. known: its signatures hold; else those
   that do not are passed over. CL_E_CHECKPOINT, CL_E_BOUND. */
CL_MUST_USE enum cl_status cosign_kept(struct cosign *cosign, const uint8_t *note, size_t length, bool known);
uint64_t cosign_kept_size(const struct cosign *cosign); /* 0: none */

/* Signs the newest final tree at wall_ms, or when the first notarization above it was held: appends a note of body, own
   log line and own cosignature. CL_E_EXISTS: with such a time or a later one it was signed already. CL_E_PENDING: it is not
   to be signed, because this node has signed a larger one, or held a notarization above it, before it started. CL_E_MEMORY. */
CL_MUST_USE enum cl_status cosign_sign(struct cosign *cosign, struct cl_buffer *note, uint64_t wall_ms);
bool cosign_signed(const struct cosign *cosign); /* the newest final tree, by this node */

/* Of a note with several lines, the last of these that is true of one. */
enum cosign_verdict {
    COSIGN_OLD,     /* of a tree smaller than the kept one */
    COSIGN_KNOWN,   /* nothing new: the sender repeats itself */
    COSIGN_AHEAD,   /* its time is too far ahead of our clock: passed over */
    COSIGN_COUNTED, /* something new that holds, be it of a tree that is not ours yet: see cosign_ready */
    COSIGN_BOUNDED, /* more signatures than are checked for one sender */
    COSIGN_BAD,     /* malformed, of another log, of no member, or a signature does not hold */
    COSIGN_FORK     /* a member signed what contradicts the final log or itself: kept as evidence, not counted */
};
struct cosign_received { enum cosign_verdict verdict; uint64_t size; size_t cosignatures; }; /* size and members' lines of the note */
/* Judges a note that a peer sent; lines of other members in it count as well. Nothing is kept before its signature was
   checked. */
void cosign_receive(struct cosign *cosign, struct cosign_received *out, size_t sender, const uint8_t *note, size_t length, uint64_t wall_ms);

/* The newest final tree under which a quorum's signatures are together. */
enum cosign_readiness { COSIGN_NOTHING, COSIGN_FRESHER /* the kept one with a later time */, COSIGN_LARGER /* than the kept one */ };
enum cosign_readiness cosign_ready(const struct cosign *cosign, struct cosign_tree *tree);
/* Appends the checkpoint to serve: body, a log line (own; an observer's: some member's), the q newest cosignatures.
   CL_E_QUORUM, CL_E_SIGNATURE (no log line), CL_E_MEMORY. */
CL_MUST_USE enum cl_status cosign_merge(struct cosign *cosign, struct cl_buffer *note, const struct cosign_tree *tree);

bool cosign_has(const struct cosign *cosign, size_t member); /* this member's cosignature of the newest final tree is here */

/* The first of a member's cosignatures that contradict another root for the same size. */
struct cosign_fork { uint64_t size, time_s; struct cl_hash known_root, signed_root; uint8_t signature[64]; /* over signed_root at time_s */ };
const struct cosign_fork *cosign_fork(const struct cosign *cosign, size_t member); /* NULL: none */
uint64_t cosign_fork_count(const struct cosign *cosign); /* all that were seen */

#endif

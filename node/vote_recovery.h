/* What a member that lost its vote log asks the others before it votes again. It may have signed anything in the views that
   it was in, and must sign nothing that contradicts it: from a quorum of *other* members it hears, for a nonce of its own,
   in which view each is, proven by the certificate that entered it. Of the quorum whose certificate let it into its last
   view, at least one correct member is among those that answer, and voted in the view before; so the highest view that is
   named, plus one, is as far as it can have voted. Pure: no clock, no sockets, no randomness. */
#ifndef NODE_VOTE_RECOVERY_H
#define NODE_VOTE_RECOVERY_H

#include "consensus.h"
#include "frame.h"

struct vote_recovery {
    uint8_t nonce[32];
    bool answered[CL_MEMBERS_MAX];
    size_t count;      /* members that have answered */
    uint64_t highest;  /* view that one of them is in */
};

/* nonce32: random, and never used before. */
void vote_recovery_begin(struct vote_recovery *recovery, const uint8_t nonce32[32]);
/* What member `from` answered. Out: *has, the certificate that proves it, for ordering. CL_OK: it counts. CL_E_EXISTS: this
   member has answered before. CL_E_REPLAY: not to this question. CL_E_MEMBER, CL_E_SIGNATURE, CL_E_CERTIFICATE, CL_E_MEMORY. */
CL_MUST_USE enum cl_status vote_recovery_take(struct vote_recovery *recovery, const struct consensus *consensus, size_t from,
                                              const struct frame_recovery_answer *answer, struct cl_certificate *certificate, bool *has);
/* How many members have to answer; more than there are others: nobody can tell any more (f = 0). */
size_t vote_recovery_needed(size_t member_count);
/* False: too few have answered. Out: the view up to which no vote may be cast. */
bool vote_recovery_bar(const struct vote_recovery *recovery, const struct consensus *consensus, uint64_t *barred);

/* The answer of a member that is asked, as a FRAME_RECOVERY_ANSWER's payload. CL_E_PENDING: it cannot tell, because it lost
   its own vote log and the views that this may concern are not over. CL_E_MEMORY. */
CL_MUST_USE enum cl_status vote_recovery_answer(struct cl_buffer *payload, const struct consensus *consensus, const uint8_t nonce32[32]);

#endif

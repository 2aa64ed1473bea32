/* Inside of policies that the verifier of proofs needs beyond consent/proof.h. */
#ifndef LEDGER_POLICY_H
#define LEDGER_POLICY_H

#include "consent/proof.h"

/* cl_policy_check, and adds the number of signatures that it checked to *checks (may be NULL). */
CL_MUST_USE enum cl_status cl_policy_check_counting(struct cl_quorum_report *report, uint32_t *checks, const struct cl_policy *policy, const struct cl_checkpoint *checkpoint);
/* The policy of cl_policy_of_members, ready to check with. */
CL_MUST_USE enum cl_status cl_policy_new_of_members(struct cl_policy **out, const char *origin, const struct cl_member *members, size_t count);

#endif

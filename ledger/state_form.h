/* What the files that read and write state values share: the numbers of the layouts (formats.cddl), the member set, and
   the order of delegations. */
#ifndef LEDGER_STATE_FORM_H
#define LEDGER_STATE_FORM_H

#include "cbor.h"
#include "consent/state.h"

enum { STATE_VERSION = 1 };

enum { AGREEMENT_ITEMS = 21, TERMS_ITEMS = 16, PROFILE_ITEMS = 9, ANSWER_ITEMS = 3, NETWORK_ITEMS = 4 };

/* [ 1*128 member ]; members NULL: only the form. Returns: how many, 0 once failed. */
size_t cl_members_read(struct cl_cbor_reader *reader, struct cl_member *members);
/* By key bytes, then side: what makes a list of delegations canonical. As memcmp. */
int cl_delegation_order(const struct cl_delegation *a, const struct cl_delegation *b);
/* Is it a value that others are still to act on: an offer or request without its answer, TERMS, a profile? */
bool cl_state_is_awaited(const uint8_t *value, size_t length);

#endif

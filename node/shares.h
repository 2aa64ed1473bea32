/* Room that several members share, bounded by records and bytes, so that no member can take all of it. Pure; whoever
   uses it from several threads locks.

   A sixteenth is kept for withdrawals; the rest is for all records. Three quarters of each are guaranteed, to every source
   (the peer that a record was first heard from) the same part. The last quarter is common: whoever comes first may use it
   beyond the guarantee, and whatever anybody took of it never touches what is guaranteed to another. A node's own clients,
   where there are others, get their guarantee and one record more: then what was let in here finds room with every other
   node, whoever floods that, and the common quarter is left for peers that are ahead. A withdrawal takes room of the
   sixteenth only where there is no other; as long as it does, nobody's ordinary records get so much more of what is common.
   With one source that is: fifteen sixteenths for all records, and the last one for withdrawals. */
#ifndef NODE_SHARES_H
#define NODE_SHARES_H

#include "consent/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shares_account { SHARES_NONE, SHARES_ALL, SHARES_KEPT }; /* where room was taken; NONE: nowhere */
struct shares_amount { size_t records, bytes; };
struct shares_room {                    /* of one kind: records, or bytes */
    size_t guaranteed, common;          /* each source's own; what is there for all */
    size_t beyond, total;               /* taken of what is common; taken at all */
    size_t used[CL_MEMBERS_MAX];
};
struct shares_part { struct shares_room records, bytes; };
struct shares { size_t source_count, own; struct shares_part all, kept; };

/* source_count: 1 to CL_MEMBERS_MAX; own: below. A source's guarantee may be less than the largest record where limits are low:
   such a record then needs common room. */
void shares_init(struct shares *shares, const struct shares_amount *limits, size_t source_count, size_t own);
/* Takes room for so much at once, or says SHARES_NONE and takes nothing. */
enum shares_account shares_take(struct shares *shares, size_t source, struct shares_amount amount, bool withdrawal);
/* What was taken there. SHARES_NONE: nothing. */
void shares_give(struct shares *shares, size_t source, enum shares_account account, struct shares_amount amount);
struct shares_amount shares_used(const struct shares *shares, size_t source);

#endif

/* Withdrawal and what follows it: REVOKE, ERASE, ACK, DISPUTE. rules.md "REVOKE", "Others". Withdrawing takes no more
   than giving: no prev, no reason, after suspension and after expiry alike. */
#include "rules_internal.h"

/* "TERMS: by its owner (or its delegate with bit 0); keys 9, 10 absent; open must be 1; becomes 0; head moves."
   Agreements made under them stand. */
static enum cl_status close_terms(struct rules_frame *frame)
{
    struct cl_terms *terms = &frame->terms;
    RULES_TRY(rules_load_terms(frame, frame->object));
    RULES_TRY(rules_acts_for_key(frame, terms->owner, terms->delegations, terms->delegation_count, 0, CL_POWER_REVOKE));
    if (rules_has(frame, 9))
        return CL_E_SLOTS;
    if (rules_has(frame, 10))
        return CL_E_REASON;
    if (terms->open == 0)
        return CL_E_CLOSED;
    terms->open = 0;
    return rules_finish_terms(frame, true);
}

/* Full: all that was live is due, nothing stays. */
static void end_agreement(struct cl_agreement *agreement, enum cl_agreement_status status)
{
    if (agreement->status == CL_ACTIVE)
        agreement->due |= agreement->live; /* slots that were never active do not join due */
    agreement->live = 0;
    agreement->turn = CL_SIDE_NONE;
    agreement->status = (uint8_t)status;
}

static enum cl_status withdraw(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    if (rules_has(frame, 10))
        return CL_E_REASON; /* a customer is never asked why */
    if (!rules_has(frame, 9)) {
        end_agreement(agreement, CL_WITHDRAWN);
        return rules_finish_agreement(frame, true);
    }
    uint64_t slots = frame->entry->slots;
    if (agreement->status != CL_ACTIVE)
        return CL_E_STATUS;
    if ((slots & ~agreement->live) != 0)
        return CL_E_SLOTS;
    if (slots == agreement->live) {
        end_agreement(agreement, CL_WITHDRAWN); /* records.md rule 4: a partial one that leaves no slot is a full one */
    } else {
        agreement->live &= ~slots;
        agreement->due |= slots;
    }
    return rules_finish_agreement(frame, true);
}

enum cl_status rules_revoke(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    enum cl_state_kind kind;
    RULES_TRY(rules_kind_of(frame, frame->object, &kind));
    if (kind == CL_STATE_TERMS)
        return close_terms(frame);
    RULES_TRY(rules_load_agreement(frame));
    if (agreement->status > CL_ACTIVE)
        return CL_E_FINAL;
    enum cl_status customer = rules_acts_for(frame, CL_SIDE_CUSTOMER, CL_POWER_REVOKE);
    /* "With key 9 or without key 10 and able to act for C: acts as C." */
    if (customer == CL_OK && (rules_has(frame, 9) || !rules_has(frame, 10)))
        return withdraw(frame);
    enum cl_status organisation = rules_acts_for(frame, CL_SIDE_ORGANISATION, CL_POWER_REVOKE);
    if (organisation != CL_OK) {
        if (customer == CL_OK)
            return withdraw(frame); /* refused there: a customer with a reason */
        return organisation == CL_E_PARTY ? customer : organisation;
    }
    if (rules_has(frame, 9))
        return CL_E_SLOTS; /* "O's REVOKE takes no slots" */
    end_agreement(agreement, CL_TERMINATED);
    return rules_finish_agreement(frame, true);
}

/* ---- statements about what was done */

/* C or O, with the power to state. */
static enum cl_status acts_for_either(struct rules_frame *frame)
{
    enum cl_status customer = rules_acts_for(frame, CL_SIDE_CUSTOMER, CL_POWER_STATE);
    if (customer == CL_OK)
        return CL_OK;
    enum cl_status organisation = rules_acts_for(frame, CL_SIDE_ORGANISATION, CL_POWER_STATE);
    return organisation == CL_E_PARTY ? customer : organisation;
}

enum cl_status rules_ack(struct rules_frame *frame)
{
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(acts_for_either(frame));
    return rules_finish_agreement(frame, false);
}

/* Reason 4 sets, 5 clears the flag; no change is refused. */
enum cl_status rules_dispute(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(acts_for_either(frame));
    bool raise = frame->entry->reason == 4;
    if (((agreement->flags & CL_FLAG_DISPUTED) != 0) == raise)
        return CL_E_NO_CHANGE;
    agreement->flags ^= CL_FLAG_DISPUTED;
    return rules_finish_agreement(frame, false);
}

static enum cl_status erase_customer(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    if (rules_has(frame, 9))
        return CL_E_SLOTS;
    if ((agreement->flags & CL_FLAG_ERASED_C) != 0)
        return CL_E_NO_CHANGE;
    agreement->flags |= CL_FLAG_ERASED_C;
    return rules_finish_agreement(frame, false);
}

static enum cl_status erase_organisation(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    const uint8_t flags = agreement->flags;
    const uint64_t live = agreement->live, due = agreement->due;
    bool over = agreement->status == CL_ACTIVE && rules_lapsed(frame, &agreement->not_after);
    /* "derived due D = due, plus live where status is 4 and the agreement is lapsed" */
    uint64_t derived_due = due | (over ? live : 0);
    uint64_t erased = rules_has(frame, 9) ? frame->entry->slots : derived_due;
    if ((erased & ~derived_due) != 0)
        return CL_E_SLOTS;
    agreement->due &= ~erased;
    if (over)
        agreement->live &= ~erased;
    /* "flag bit 2 is set if k9 = D and (live is then 0)"; key 9 absent: it states all */
    if (!rules_has(frame, 9) || (erased == derived_due && agreement->live == 0))
        agreement->flags |= CL_FLAG_ERASED_O;
    if (agreement->flags == flags && agreement->live == live && agreement->due == due)
        return CL_E_NO_CHANGE;
    return rules_finish_agreement(frame, false);
}

/* "A signer who may act for both acts for O if key 9 is present or C's flag is set, else for C." */
enum cl_status rules_erase(struct rules_frame *frame)
{
    RULES_TRY(rules_load_agreement(frame));
    enum cl_status customer = rules_acts_for(frame, CL_SIDE_CUSTOMER, CL_POWER_STATE);
    enum cl_status organisation = rules_acts_for(frame, CL_SIDE_ORGANISATION, CL_POWER_STATE);
    bool for_organisation = rules_has(frame, 9) || (frame->agreement.flags & CL_FLAG_ERASED_C) != 0;
    if (organisation == CL_OK && (customer != CL_OK || for_organisation))
        return erase_organisation(frame);
    if (customer == CL_OK)
        return erase_customer(frame);
    return organisation == CL_E_PARTY ? customer : organisation;
}

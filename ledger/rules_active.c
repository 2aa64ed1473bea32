/* Changes to an agreement in force: AMEND, SUSPEND, RESUME, RENEW. rules.md "Active agreements (status 4)". */
#include "rules_internal.h"

/* Two refusals for two sides: that a delegate lacks a power says more than that the signer is a stranger. */
static enum cl_status either(enum cl_status a, enum cl_status b)
{
    return a == CL_E_PARTY ? b : a;
}

/* C: slots a subset of live; not_after no later than now; something changes. Allowed after expiry. */
static enum cl_status narrow(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    uint64_t slots = rules_has(frame, 9) ? frame->entry->slots : agreement->live;
    struct cl_optional_time after = rules_has(frame, 5) ? rules_time(frame, 5) : agreement->not_after;
    RULES_TRY(rules_acts_for(frame, CL_SIDE_CUSTOMER, CL_POWER_AMEND));
    if ((slots & ~agreement->live) != 0)
        return CL_E_SLOTS;
    if (agreement->not_after.present && after.seconds > agreement->not_after.seconds)
        return CL_E_PERIOD;
    if (slots == agreement->live && rules_time_equal(&after, &agreement->not_after))
        return CL_E_NO_CHANGE;
    if (rules_empty(&agreement->not_before, &after))
        return CL_E_PERIOD;
    agreement->due |= agreement->live & ~slots; /* "removed slots join due" */
    agreement->live = slots;
    agreement->not_after = after;
    return rules_finish_agreement(frame, true);
}

/* Either side (C where both): replaces any pending one. The head stays: the old terms stay in force. */
static enum cl_status propose(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    struct cl_optional_time before = rules_time(frame, 4), after = rules_time(frame, 5);
    enum cl_side side = CL_SIDE_CUSTOMER;
    RULES_TRY(rules_expect_head(frame, agreement->head));
    enum cl_status status = rules_acts_for(frame, CL_SIDE_CUSTOMER, CL_POWER_AMEND);
    if (status != CL_OK) {
        side = CL_SIDE_ORGANISATION;
        status = either(rules_acts_for(frame, side, CL_POWER_AMEND), status);
    }
    RULES_TRY(status);
    if (rules_lapsed(frame, &agreement->not_after))
        return CL_E_EXPIRED;
    if (rules_empty(&before, &after))
        return CL_E_PERIOD;
    RULES_TRY(rules_within_terms(frame, &before, &after));
    struct cl_pending *pending = &agreement->pending;
    pending->present = true;
    pending->side = (uint8_t)side;
    memcpy(pending->record_id, frame->record->id.bytes, 32);
    memcpy(pending->commitment, frame->entry->commitment, 32);
    pending->slots = frame->entry->slots;
    pending->not_before = before;
    pending->not_after = after;
    return rules_finish_agreement(frame, false);
}

/* The side that did not propose. */
static enum cl_status accept(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    const struct cl_pending *pending = &agreement->pending;
    RULES_TRY(rules_expect_head(frame, agreement->head));
    if (!pending->present || !rules_same32(pending->record_id, frame->entry->ref))
        return CL_E_NO_AMENDMENT;
    enum cl_side side = pending->side == CL_SIDE_CUSTOMER ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER;
    RULES_TRY(rules_acts_for(frame, side, CL_POWER_AMEND));
    if (rules_lapsed(frame, &agreement->not_after) || rules_lapsed(frame, &pending->not_after))
        return CL_E_EXPIRED;
    RULES_TRY(rules_within_terms(frame, &pending->not_before, &pending->not_after));
    memcpy(agreement->commitment, pending->commitment, 32);
    /* due = (due | (old live & ~new live)) & ~new live */
    agreement->due = (agreement->due | agreement->live) & ~pending->slots;
    agreement->live = pending->slots;
    agreement->not_before = pending->not_before;
    agreement->not_after = pending->not_after;
    return rules_finish_agreement(frame, true);
}

/* "Key 8 present: accept; else key 3 present: propose; else narrow." */
enum cl_status rules_amend(struct rules_frame *frame)
{
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(rules_expect_active(frame));
    if (rules_has(frame, 8))
        return accept(frame);
    if (rules_has(frame, 3))
        return propose(frame);
    return narrow(frame);
}

/* "Where a signer may act for either side: SUSPEND tries C then O and takes the first whose bit is clear; RESUME
   likewise the first whose bit is set." */
static enum cl_status set_suspension(struct rules_frame *frame, uint8_t power, bool suspended)
{
    struct cl_agreement *agreement = &frame->agreement;
    enum cl_status refusal = CL_E_PARTY;
    for (enum cl_side side = CL_SIDE_CUSTOMER; side <= CL_SIDE_ORGANISATION; side++) {
        enum cl_status status = rules_acts_for(frame, side, power);
        uint8_t bit = side == CL_SIDE_CUSTOMER ? 1 : 2;
        if (status == CL_OK && ((agreement->suspended & bit) != 0) != suspended) {
            agreement->suspended ^= bit;
            return rules_finish_agreement(frame, true);
        }
        if (status == CL_OK)
            refusal = CL_E_NO_CHANGE;
        else if (refusal != CL_E_NO_CHANGE)
            refusal = either(status, refusal);
    }
    return refusal;
}

enum cl_status rules_suspend(struct rules_frame *frame)
{
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(rules_expect_active(frame));
    return set_suspension(frame, CL_POWER_REVOKE, true);
}

enum cl_status rules_resume(struct rules_frame *frame)
{
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(rules_expect_active(frame));
    RULES_TRY(rules_expect_head(frame, frame->agreement.head));
    return set_suspension(frame, CL_POWER_GRANT, false); /* "RESUME (it gives access back)" */
}

enum cl_status rules_renew(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    RULES_TRY(rules_load_agreement(frame));
    RULES_TRY(rules_expect_active(frame));
    RULES_TRY(rules_expect_head(frame, agreement->head));
    RULES_TRY(rules_acts_for(frame, CL_SIDE_CUSTOMER, CL_POWER_AMEND));
    struct cl_optional_time after = rules_time(frame, 5);
    if ((agreement->flags & CL_FLAG_ERASED_O) != 0)
        return CL_E_ERASED; /* records.md rule 9: before O's ERASE */
    if (!rules_future(frame, after.seconds))
        return CL_E_PERIOD;
    if (rules_time_equal(&after, &agreement->not_after))
        return CL_E_NO_CHANGE;
    if (rules_empty(&agreement->not_before, &after))
        return CL_E_PERIOD;
    /* "where not_after is present t <= 1000 x not_after + 30 days" */
    if (agreement->not_after.present &&
        frame->now_ms > 1000 * agreement->not_after.seconds + CL_RENEW_AFTER_EXPIRY_MS_MAX)
        return CL_E_EXPIRED;
    RULES_TRY(rules_within_terms(frame, &agreement->not_before, &after));
    agreement->not_after = after;
    return rules_finish_agreement(frame, true);
}

/* Answers to an offer: GRANT, SUBSCRIBE, COUNTER, REFUSE. rules.md "Answers", "Periods". Each checks what costs little
   first, and the opening of the audience (perhaps a signature check) last. */
#include "rules_internal.h"

/* Loads the agreement and checks that it can be answered now by `side`. */
static enum cl_status begin(struct rules_frame *frame)
{
    RULES_TRY(rules_load_agreement(frame));
    return rules_expect_offer(frame);
}

static enum cl_status expect_turn(const struct rules_frame *frame, enum cl_side side)
{
    return frame->agreement.turn == side ? CL_OK : CL_E_TURN;
}

/* "For SUBSCRIBE (both forms) and answering GRANT an absent key 4 or 5 takes the offer's value." */
static void fill_in(const struct rules_frame *frame, struct cl_optional_time *before, struct cl_optional_time *after)
{
    *before = rules_has(frame, 4) ? rules_time(frame, 4) : frame->agreement.not_before;
    *after = rules_has(frame, 5) ? rules_time(frame, 5) : frame->agreement.not_after;
}

/* Key 15 in an answer of C: refused where C is an object or recovery is not null already; else sets it. Called once C
   is known. */
static enum cl_status set_recovery(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    if (!rules_has(frame, 15))
        return CL_OK;
    if (agreement->customer.length != 33 || agreement->recovery.present)
        return CL_E_RECOVERY;
    agreement->recovery.present = true;
    memcpy(agreement->recovery.bytes, frame->entry->recovery, 32);
    return CL_OK;
}

/* The answer that makes it active: counted by the TERMS, if any, then status 4, turn 0. */
static enum cl_status become_active(struct rules_frame *frame, struct cl_optional_time before,
                                    struct cl_optional_time after)
{
    struct cl_agreement *agreement = &frame->agreement;
    if (agreement->terms.present) {
        struct cl_hash key;
        RULES_TRY(rules_activation_check(frame, &agreement->organisation, &key));
        RULES_TRY(rules_activate(frame, agreement->terms.bytes, &key));
    }
    agreement->status = CL_ACTIVE;
    agreement->turn = CL_SIDE_NONE;
    agreement->live = frame->entry->slots;
    agreement->not_before = before;
    agreement->not_after = after;
    return rules_finish_agreement(frame, true);
}

/* Status 1 or 2: slots a subset of the offered, period within the offered. Status 3 (O's COUNTER): both equal. */
static enum cl_status check_grant(const struct rules_frame *frame, const struct cl_optional_time *before,
                                  const struct cl_optional_time *after)
{
    const struct cl_agreement *offer = &frame->agreement;
    if (!rules_same32(offer->commitment, frame->entry->commitment))
        return CL_E_COMMITMENT;
    if (offer->status == CL_COUNTERED) {
        if (frame->entry->slots != offer->live)
            return CL_E_SLOTS;
        bool equal = rules_time_equal(before, &offer->not_before) && rules_time_equal(after, &offer->not_after);
        return equal ? CL_OK : CL_E_PERIOD;
    }
    if (frame->entry->slots == 0 || (frame->entry->slots & ~offer->live) != 0)
        return CL_E_SLOTS;
    if (rules_empty(before, after) || !rules_within(before, after, &offer->not_before, &offer->not_after))
        return CL_E_PERIOD;
    return CL_OK;
}

enum cl_status rules_grant(struct rules_frame *frame)
{
    struct cl_optional_time before, after;
    if (rules_opens(frame))
        return rules_grant_open(frame);
    RULES_TRY(begin(frame));
    RULES_TRY(expect_turn(frame, CL_SIDE_CUSTOMER));
    if (rules_lapsed(frame, &frame->agreement.not_after))
        return CL_E_EXPIRED;
    fill_in(frame, &before, &after);
    RULES_TRY(check_grant(frame, &before, &after));
    RULES_TRY(rules_within_terms(frame, &before, &after));
    RULES_TRY(rules_answer_side(frame, CL_SIDE_CUSTOMER));
    RULES_TRY(set_recovery(frame));
    return become_active(frame, before, after);
}

enum cl_status rules_subscribe(struct rules_frame *frame)
{
    struct cl_optional_time before, after;
    if (rules_opens(frame))
        return rules_subscribe_terms(frame);
    RULES_TRY(begin(frame));
    RULES_TRY(expect_turn(frame, CL_SIDE_ORGANISATION));
    const struct cl_agreement *offer = &frame->agreement;
    if (rules_lapsed(frame, &offer->not_after))
        return CL_E_EXPIRED;
    if (!rules_same32(offer->commitment, frame->entry->commitment))
        return CL_E_COMMITMENT;
    if (frame->entry->slots != offer->live)
        return CL_E_SLOTS;
    fill_in(frame, &before, &after);
    if (rules_empty(&before, &after) || !rules_within(&before, &after, &offer->not_before, &offer->not_after))
        return CL_E_PERIOD;
    RULES_TRY(rules_within_terms(frame, &before, &after));
    RULES_TRY(rules_answer_side(frame, CL_SIDE_ORGANISATION));
    return become_active(frame, before, after);
}

enum cl_status rules_counter(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    struct cl_optional_time before = rules_time(frame, 4), after = rules_time(frame, 5);
    RULES_TRY(begin(frame));
    /* "Status 0, 1 or 2 and flag bit 3 clear": one counter-offer for each agreement. */
    if (agreement->status == CL_COUNTERED || (agreement->flags & CL_FLAG_COUNTERED) != 0)
        return CL_E_COUNTERED;
    if (rules_lapsed(frame, &agreement->not_after))
        return CL_E_EXPIRED;
    if (rules_empty(&before, &after))
        return CL_E_PERIOD;
    RULES_TRY(rules_within_terms(frame, &before, &after));
    enum cl_side side = (enum cl_side)agreement->turn;
    if (side == CL_SIDE_ORGANISATION && rules_has(frame, 15))
        return CL_E_RECOVERY; /* "key 15 only where C counters" */
    RULES_TRY(rules_answer_side(frame, side));
    if (side == CL_SIDE_CUSTOMER)
        RULES_TRY(set_recovery(frame));
    memcpy(agreement->commitment, frame->entry->commitment, 32);
    agreement->live = frame->entry->slots;
    agreement->not_before = before;
    agreement->not_after = after;
    agreement->turn = side == CL_SIDE_CUSTOMER ? CL_SIDE_ORGANISATION : CL_SIDE_CUSTOMER;
    agreement->status = CL_COUNTERED;
    agreement->flags |= CL_FLAG_COUNTERED;
    return rules_finish_agreement(frame, true);
}

enum cl_status rules_refuse(struct rules_frame *frame)
{
    struct cl_agreement *agreement = &frame->agreement;
    RULES_TRY(begin(frame));
    enum cl_side side = (enum cl_side)agreement->turn;
    /* A customer need never say why: "key 10 only where O refuses". */
    if (side == CL_SIDE_CUSTOMER && rules_has(frame, 10))
        return CL_E_REASON;
    RULES_TRY(rules_answer_side(frame, side));
    agreement->status = CL_REFUSED;
    agreement->turn = CL_SIDE_NONE;
    agreement->live = 0;
    return rules_finish_agreement(frame, true);
}

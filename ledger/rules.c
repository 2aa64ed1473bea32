/* The frame around every entry: the record's time, its entries in their order, all of it or nothing, and who is told
   afterwards. What each type may do is in the rules_*.c beside this file; ledger/rules.md is the page they enforce. */
#include "rules.h"

#include <assert.h>
#include <stdlib.h>

#include "rules_internal.h"

bool cl_rules_is_withdrawal(enum cl_record_type type)
{
    return type == CL_REVOKE || type == CL_SUSPEND;
}

/* rules.md "issued_at": in [t - 30 days, t + 120,000 ms], both inclusive; REVOKE, SUSPEND, UNDELEGATE have no lower
   bound, so that a withdrawal can be signed years before it is used. */
static enum cl_status check_issued_at(const struct cl_record *record, uint64_t now_ms)
{
    uint64_t issued = record->issued_at_ms;
    if (issued > now_ms && issued - now_ms > CL_RECORD_AHEAD_MS_MAX)
        return CL_E_TIME_AHEAD;
    if (cl_rules_is_withdrawal(record->type) || record->type == CL_UNDELEGATE)
        return CL_OK;
    if (issued < now_ms && now_ms - issued > CL_RECORD_AGE_MS_MAX)
        return CL_E_TIME_OLD;
    return CL_OK;
}

static enum cl_status dispatch(struct rules_frame *frame)
{
    switch (frame->record->type) {
    case CL_PROFILE: return rules_profile(frame);
    case CL_TERMS: return rules_terms(frame);
    case CL_REQUEST: return rules_request(frame);
    case CL_GRANT: return rules_grant(frame);
    case CL_SUBSCRIBE: return rules_subscribe(frame);
    case CL_COUNTER: return rules_counter(frame);
    case CL_REFUSE: return rules_refuse(frame);
    case CL_AMEND: return rules_amend(frame);
    case CL_SUSPEND: return rules_suspend(frame);
    case CL_RESUME: return rules_resume(frame);
    case CL_REVOKE: return rules_revoke(frame);
    case CL_RENEW: return rules_renew(frame);
    case CL_ACK: return rules_ack(frame);
    case CL_STATEMENT: return rules_statement(frame);
    case CL_DELEGATE: return rules_delegate(frame);
    case CL_UNDELEGATE: return rules_undelegate(frame);
    case CL_ROTATE: return rules_rotate(frame);
    case CL_ERASE: return rules_erase(frame);
    case CL_DISPUTE: return rules_dispute(frame);
    case CL_VOUCH: return rules_vouch(frame);
    }
    assert(false && "a decoded record has a known type");
    return CL_E_RECORD_TYPE;
}

static enum cl_status apply_entry(struct rules_frame *frame, uint32_t index)
{
    frame->entry_index = index;
    frame->entry = &frame->record->entries[index];
    frame->ids = frame->input->ids != NULL ? frame->input->ids[index] : (struct cl_entry_ids){NULL, NULL};
    struct rules_note *note = &frame->note;
    note->entry = index;
    note->opened = rules_opens(frame);
    note->moves_head = false;
    note->customer = note->organisation = (struct cl_party){0, {0}};
    if (note->opened) {
        RULES_TRY(rules_open_id(frame));
        memset(note->previous_head, 0, 32);
    } else {
        memcpy(frame->object, frame->entry->object, 32);
    }
    memcpy(note->object, frame->object, 32);
    return dispatch(frame);
}

static void tell(const struct rules_note *note, cl_touched_fn touched, void *context)
{
    struct cl_touched what = {
        .entry = note->entry, .kind = note->kind, .opened = note->opened, .moves_head = note->moves_head,
        .has_previous_head = !note->opened, .customer = note->customer, .organisation = note->organisation,
    };
    memcpy(what.object, note->object, 32);
    memcpy(what.previous_head, note->previous_head, 32);
    touched(context, &what);
}

/* Judges the entries one after the other; notes[k] describes the k-th applied one. notes may be NULL. */
static enum cl_status apply_entries(struct rules_frame *frame, struct rules_note *notes, uint32_t *applied,
                                    uint32_t *refused_entry)
{
    const struct cl_record *record = frame->record;
    for (uint32_t i = 0; i < record->entry_count; i++) {
        enum cl_status status = apply_entry(frame, i);
        if (frame->transaction.failure != CL_OK)
            return frame->transaction.failure;
        if (status == CL_OK) {
            if (notes != NULL)
                notes[*applied] = frame->note;
            *applied += 1;
        } else if (!record->skip_refused) {
            *refused_entry = i;
            return status;
        }
    }
    /* "with 4: 1 the entry is skipped and the record is valid if at least one entry applies" */
    return *applied > 0 ? CL_OK : CL_E_NOTHING_APPLIES;
}

enum cl_status cl_rules_apply(const struct cl_state_access *state, const struct cl_rules_input *input,
                              uint32_t *refused_entry, uint32_t *applied_count, cl_touched_fn touched,
                              void *touched_context)
{
    struct rules_frame frame; /* its large parts are written before they are read: not worth clearing each time */
    struct rules_note single, *notes = NULL, *heap = NULL;
    uint32_t applied = 0, refused = 0;

    enum cl_status status = check_issued_at(input->record, input->block_time_ms);
    frame.input = input;
    frame.record = input->record;
    frame.now_ms = input->block_time_ms;
    frame.next_holder = 0;
    frame.membership = RULES_MEMBER_UNASKED;
    for (unsigned i = 0; i < RULES_HOLDERS; i++)
        frame.holders[i].valid = false;
    rules_transaction_init(&frame.transaction, state);
    if (status != CL_OK)
        goto out;
    if (touched != NULL) {
        notes = &single;
        if (input->record->entry_count > 1) {
            notes = heap = malloc(input->record->entry_count * sizeof *heap);
            if (heap == NULL) {
                status = CL_E_MEMORY;
                goto out;
            }
        }
    }
    status = apply_entries(&frame, notes, &applied, &refused);
    if (status == CL_OK)
        status = rules_commit(&frame.transaction);
    for (uint32_t i = 0; status == CL_OK && notes != NULL && i < applied; i++)
        tell(&notes[i], touched, touched_context);
out:
    if (refused_entry != NULL)
        *refused_entry = refused;
    if (applied_count != NULL)
        *applied_count = status == CL_OK ? applied : 0;
    rules_transaction_deinit(&frame.transaction);
    free(heap);
    return status;
}

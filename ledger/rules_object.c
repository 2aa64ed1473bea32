/* Objects as entries see them: loaded strictly, checked for kind, head and status, and staged again with what every
   applied entry sets; and the arithmetic of periods. */
#include <assert.h>

#include "rules_internal.h"

/* A value that the state holds and that does not decode is a damaged store, not a refusal. */
static enum cl_status decoded(struct rules_frame *frame, enum cl_status status)
{
    if (status == CL_OK || status == CL_E_OBJECT_KIND)
        return status;
    frame->transaction.failure = CL_E_STORE_CORRUPT;
    return CL_E_STORE_CORRUPT;
}

static enum cl_status find_object(struct rules_frame *frame, const uint8_t key32[32], struct cl_view *value)
{
    enum cl_status status = rules_get(&frame->transaction, key32, value);
    return status == CL_E_NOT_FOUND ? CL_E_NO_OBJECT : status;
}

/* rules.md "Parties": the id of a new object uses the signer's key, always. It must not exist as a tree key of any
   kind. */
enum cl_status rules_open_id(struct rules_frame *frame)
{
    struct cl_object_id id;
    struct cl_view value;
    if (frame->ids.object == NULL)
        cl_object_id_derive(&id, frame->record->signer33, frame->entry->object);
    memcpy(frame->object, frame->ids.object != NULL ? frame->ids.object : id.bytes, 32);
    enum cl_status status = rules_get(&frame->transaction, frame->object, &value);
    if (status == CL_OK)
        return CL_E_OBJECT_EXISTS;
    return status == CL_E_NOT_FOUND ? CL_OK : status;
}

enum cl_status rules_kind_of(struct rules_frame *frame, const uint8_t key32[32], enum cl_state_kind *kind)
{
    struct cl_view value;
    RULES_TRY(find_object(frame, key32, &value));
    return decoded(frame, cl_state_kind_of(kind, value.data, value.length));
}

enum cl_status rules_load_agreement(struct rules_frame *frame)
{
    struct cl_view value;
    RULES_TRY(find_object(frame, frame->object, &value));
    RULES_TRY(decoded(frame, cl_agreement_decode(&frame->agreement, value.data, value.length)));
    memcpy(frame->note.previous_head, frame->agreement.head, 32);
    return CL_OK;
}

enum cl_status rules_load_terms(struct rules_frame *frame, const uint8_t key32[32])
{
    struct cl_view value;
    RULES_TRY(find_object(frame, key32, &value));
    return decoded(frame, cl_terms_decode(&frame->terms, value.data, value.length));
}

enum cl_status rules_load_profile(struct rules_frame *frame, const uint8_t key32[32])
{
    struct cl_view value;
    RULES_TRY(find_object(frame, key32, &value));
    return decoded(frame, cl_profile_decode(&frame->profile, value.data, value.length));
}

enum cl_status rules_load_terms_of_agreement(struct rules_frame *frame)
{
    assert(frame->agreement.terms.present);
    enum cl_status status = rules_load_terms(frame, frame->agreement.terms.bytes);
    if (status == CL_E_NO_OBJECT || status == CL_E_OBJECT_KIND)
        status = frame->transaction.failure = CL_E_STORE_CORRUPT;
    return status;
}

/* ---- staging */

/* rules.md "What every applied entry on an agreement sets": last_index always; head, head_ms and no pending amendment
   where the head moves. */
enum cl_status rules_finish_agreement(struct rules_frame *frame, bool moves_head)
{
    struct cl_agreement *agreement = &frame->agreement;
    size_t offset;
    agreement->last_index = frame->input->log_index;
    if (moves_head) {
        memcpy(agreement->head, frame->record->id.bytes, 32);
        agreement->head_ms = frame->now_ms;
        agreement->pending.present = false;
    }
    RULES_TRY(rules_write_begin(&frame->transaction, &offset));
    enum cl_status status = cl_agreement_encode(&frame->transaction.arena, agreement);
    frame->note.kind = CL_STATE_AGREEMENT;
    frame->note.moves_head = moves_head;
    return rules_write_end(&frame->transaction, frame->object, offset, status);
}

enum cl_status rules_write_terms(struct rules_frame *frame, const uint8_t key32[32])
{
    size_t offset;
    rules_forget_holder(frame, key32);
    RULES_TRY(rules_write_begin(&frame->transaction, &offset));
    return rules_write_end(&frame->transaction, key32, offset, cl_terms_encode(&frame->transaction.arena, &frame->terms));
}

enum cl_status rules_finish_terms(struct rules_frame *frame, bool moves_head)
{
    frame->note.kind = CL_STATE_TERMS;
    frame->note.moves_head = moves_head;
    if (!frame->note.opened)
        memcpy(frame->note.previous_head, frame->terms.head, 32);
    if (moves_head)
        memcpy(frame->terms.head, frame->record->id.bytes, 32);
    return rules_write_terms(frame, frame->object);
}

enum cl_status rules_finish_profile(struct rules_frame *frame, bool moves_head)
{
    size_t offset;
    frame->note.kind = CL_STATE_PROFILE;
    frame->note.moves_head = moves_head;
    if (!frame->note.opened)
        memcpy(frame->note.previous_head, frame->profile.head, 32);
    if (moves_head)
        memcpy(frame->profile.head, frame->record->id.bytes, 32);
    rules_forget_holder(frame, frame->object);
    RULES_TRY(rules_write_begin(&frame->transaction, &offset));
    return rules_write_end(&frame->transaction, frame->object, offset,
                           cl_profile_encode(&frame->transaction.arena, &frame->profile));
}

enum cl_status rules_write_answer(struct rules_frame *frame, const struct cl_hash *key)
{
    struct cl_object_id agreement;
    size_t offset;
    memcpy(agreement.bytes, frame->object, 32);
    RULES_TRY(rules_write_begin(&frame->transaction, &offset));
    return rules_write_end(&frame->transaction, key->bytes, offset, cl_answer_encode(&frame->transaction.arena, &agreement));
}

/* ---- what an entry may expect of its object */

enum cl_status rules_expect_head(const struct rules_frame *frame, const uint8_t head32[32])
{
    return rules_same32(frame->entry->prev, head32) ? CL_OK : CL_E_HEAD;
}

/* rules.md "Answers": status 0..3, prev = head. What has ended is said first: it is the more useful word. */
enum cl_status rules_expect_offer(const struct rules_frame *frame)
{
    if (frame->agreement.status > CL_ACTIVE)
        return CL_E_FINAL;
    RULES_TRY(rules_expect_head(frame, frame->agreement.head));
    return frame->agreement.status == CL_ACTIVE ? CL_E_STATUS : CL_OK;
}

enum cl_status rules_expect_active(const struct rules_frame *frame)
{
    if (frame->agreement.status > CL_ACTIVE)
        return CL_E_FINAL;
    return frame->agreement.status == CL_ACTIVE ? CL_OK : CL_E_STATUS;
}

/* ---- periods: t in ms, periods in seconds; CL_SECONDS_MAX keeps 1000 x seconds far from overflow */

bool rules_lapsed(const struct rules_frame *frame, const struct cl_optional_time *not_after)
{
    return not_after->present && frame->now_ms >= 1000 * not_after->seconds;
}

bool rules_future(const struct rules_frame *frame, uint64_t until)
{
    return frame->now_ms < 1000 * until;
}

/* P lies within Q: (Q.nb absent or (P.nb present and P.nb >= Q.nb)) and (Q.na absent or (P.na present and
   P.na <= Q.na)). */
bool rules_within(const struct cl_optional_time *p_before, const struct cl_optional_time *p_after,
                  const struct cl_optional_time *q_before, const struct cl_optional_time *q_after)
{
    if (q_before->present && !(p_before->present && p_before->seconds >= q_before->seconds))
        return false;
    return !q_after->present || (p_after->present && p_after->seconds <= q_after->seconds);
}

bool rules_empty(const struct cl_optional_time *before, const struct cl_optional_time *after)
{
    return before->present && after->present && before->seconds >= after->seconds;
}

struct cl_optional_time rules_time(const struct rules_frame *frame, unsigned key)
{
    struct cl_optional_time time = {rules_has(frame, key), 0};
    assert(key == 4 || key == 5);
    if (time.present)
        time.seconds = key == 4 ? frame->entry->not_before : frame->entry->not_after;
    return time;
}

bool rules_time_equal(const struct cl_optional_time *a, const struct cl_optional_time *b)
{
    return a->present == b->present && (!a->present || a->seconds == b->seconds);
}

/* "An agreement under TERMS: its period lies within the TERMS' period." */
enum cl_status rules_within_terms(struct rules_frame *frame, const struct cl_optional_time *before,
                                  const struct cl_optional_time *after)
{
    if (!frame->agreement.terms.present)
        return CL_OK;
    RULES_TRY(rules_load_terms_of_agreement(frame));
    return rules_within(before, after, &frame->terms.not_before, &frame->terms.not_after) ? CL_OK : CL_E_PERIOD;
}

/* What the files of `rules` share: the transaction that keeps a record all or nothing, who acts for whom, and the one
   function for each type of entry. Nobody else includes this. */
#ifndef LEDGER_RULES_INTERNAL_H
#define LEDGER_RULES_INTERNAL_H

#include "crypto.h"
#include "rules.h"

/* The longest value that rules write: an agreement, TERMS or PROFILE with all delegations and vouches is under 2 KiB;
   the network value is never written here. */
#define RULES_VALUE_BYTES_MAX 4096u
#define RULES_ARENA_INLINE_BYTES (3u * RULES_VALUE_BYTES_MAX)
#define RULES_WRITES_INLINE 8u

/* ---- transaction: writes of this record, kept until all of it is known to apply */
struct rules_write { uint8_t key[32]; uint32_t offset, length; };
struct rules_transaction {
    const struct cl_state_access *state;
    enum cl_status failure;       /* the environment failed: no entry may be judged any more */
    struct cl_buffer arena;       /* encoded values, appended; starts in arena_inline */
    struct rules_write *writes;   /* starts in writes_inline */
    size_t write_count, write_capacity;
    uint32_t *table;              /* open addressing, index + 1, 0 free; NULL while the writes are few */
    size_t table_size;
    struct rules_write writes_inline[RULES_WRITES_INLINE];
    uint8_t arena_inline[RULES_ARENA_INLINE_BYTES];
};
void rules_transaction_init(struct rules_transaction *transaction, const struct cl_state_access *state);
void rules_transaction_deinit(struct rules_transaction *transaction);
/* CL_OK, CL_E_NOT_FOUND, or a failure (then transaction->failure is set too). The view ends at the next write. */
enum cl_status rules_get(struct rules_transaction *transaction, const uint8_t key32[32], struct cl_view *value);
/* Before encoding: room for one more value in arena. After: what was appended since `offset` is key's value. */
enum cl_status rules_write_begin(struct rules_transaction *transaction, size_t *offset);
enum cl_status rules_write_end(struct rules_transaction *transaction, const uint8_t key32[32], size_t offset,
                               enum cl_status encoded);
enum cl_status rules_commit(struct rules_transaction *transaction);

/* ---- the frame of one record */

/* An object that stands for a side: its present key and its delegates. */
struct rules_holder {
    bool valid;
    enum cl_state_kind kind;
    uint8_t id[32], key[33], delegation_count;
    struct cl_delegation delegations[CL_DELEGATIONS_MAX];
};
enum { RULES_HOLDERS = 2 };

/* What cl_touched_fn hears of an applied entry, kept until the whole record is known to apply. */
struct rules_note {
    uint32_t entry;
    uint8_t object[32], previous_head[32];
    enum cl_state_kind kind;
    bool opened, moves_head;
    struct cl_party customer, organisation;
};

enum rules_membership { RULES_MEMBER_UNASKED, RULES_MEMBER_YES, RULES_MEMBER_NO };

struct rules_frame {
    const struct cl_rules_input *input;
    const struct cl_record *record;
    uint64_t now_ms;              /* t in rules.md */
    struct rules_transaction transaction;
    struct rules_holder holders[RULES_HOLDERS];
    unsigned next_holder;
    enum rules_membership membership;
    /* the entry at hand */
    uint32_t entry_index;
    const struct cl_entry *entry;
    struct cl_entry_ids ids;
    uint8_t object[32];           /* its object; for an opening the new id */
    struct rules_note note;
    struct cl_agreement agreement;
    struct cl_terms terms;
    struct cl_profile profile;
};

static inline bool rules_has(const struct rules_frame *frame, unsigned key)
{
    return (frame->entry->present & CL_HAS(key)) != 0;
}
static inline bool rules_opens(const struct rules_frame *frame) { return frame->entry->object_length == 16; }
static inline bool rules_same32(const uint8_t *a, const uint8_t *b) { return memcmp(a, b, 32) == 0; }
static inline bool rules_same33(const uint8_t *a, const uint8_t *b) { return memcmp(a, b, 33) == 0; }

/* ---- objects (rules_object.c): each loads into the frame's place for its kind; CL_E_NO_OBJECT, CL_E_OBJECT_KIND */
enum cl_status rules_open_id(struct rules_frame *frame); /* derives the new id; CL_E_OBJECT_EXISTS */
enum cl_status rules_kind_of(struct rules_frame *frame, const uint8_t key32[32], enum cl_state_kind *kind);
enum cl_status rules_load_agreement(struct rules_frame *frame);
enum cl_status rules_load_terms(struct rules_frame *frame, const uint8_t key32[32]);
enum cl_status rules_load_profile(struct rules_frame *frame, const uint8_t key32[32]);
/* The TERMS that the loaded agreement came from; they exist, or the store is damaged. */
enum cl_status rules_load_terms_of_agreement(struct rules_frame *frame);
/* Stage the new value of the frame's agreement, TERMS or PROFILE. finish_agreement also sets what rules.md "What every
   applied entry on an agreement sets" lists, and fills the note. */
enum cl_status rules_finish_agreement(struct rules_frame *frame, bool moves_head);
enum cl_status rules_write_terms(struct rules_frame *frame, const uint8_t key32[32]);
enum cl_status rules_finish_terms(struct rules_frame *frame, bool moves_head);
enum cl_status rules_finish_profile(struct rules_frame *frame, bool moves_head);
enum cl_status rules_write_answer(struct rules_frame *frame, const struct cl_hash *key);

/* ---- periods (rules_object.c) */
bool rules_lapsed(const struct rules_frame *frame, const struct cl_optional_time *not_after);
/* until is in the future: t < 1000 x until */
bool rules_future(const struct rules_frame *frame, uint64_t until);
bool rules_within(const struct cl_optional_time *p_before, const struct cl_optional_time *p_after,
                  const struct cl_optional_time *q_before, const struct cl_optional_time *q_after);
bool rules_empty(const struct cl_optional_time *before, const struct cl_optional_time *after);
enum cl_status rules_within_terms(struct rules_frame *frame, const struct cl_optional_time *before,
                                  const struct cl_optional_time *after); /* CL_E_PERIOD; loads the agreement's TERMS */
struct cl_optional_time rules_time(const struct rules_frame *frame, unsigned key);
bool rules_time_equal(const struct cl_optional_time *a, const struct cl_optional_time *b);

/* ---- who acts (rules_party.c) */
/* The present key of a known party. */
enum cl_status rules_present_key(struct rules_frame *frame, const struct cl_party *party, const uint8_t **key33);
/* The TERMS just loaded stand for a side: they need not be decoded again when that is asked. */
void rules_hold_terms(struct rules_frame *frame, const uint8_t id32[32]);
void rules_forget_holder(struct rules_frame *frame, const uint8_t id32[32]);
/* CL_OK, CL_E_PARTY (not at all), CL_E_POWER (a delegate without this power now). An unknown side is CL_E_PARTY. */
enum cl_status rules_acts_for(struct rules_frame *frame, enum cl_side side, uint8_t power);
/* As above for TERMS or PROFILE already loaded. */
enum cl_status rules_acts_for_key(const struct rules_frame *frame, const uint8_t key33[33],
                                  const struct cl_delegation *list, size_t count, uint8_t side, uint8_t power);
/* The party in whose name an unknown side acts: key 13's PROFILE, or the signer's key. */
enum cl_status rules_new_party(struct rules_frame *frame, struct cl_party *party);
/* The two sides are never the same: CL_E_SELF. */
enum cl_status rules_sides_differ(struct rules_frame *frame, const struct cl_party *answerer,
                                  const struct cl_party *other);
/* Does the entry's opening show that `answerer` is the audience? CL_E_AUDIENCE. */
enum cl_status rules_check_audience(const struct rules_frame *frame, const struct cl_audience *audience,
                                    const uint8_t bearer32[32], const struct cl_party *answerer);
/* For an answer to the loaded agreement: the signer acts for `side`, known or not yet; a side not yet known becomes
   known (party and note are set, the audience turns null where both are known then). */
enum cl_status rules_answer_side(struct rules_frame *frame, enum cl_side side);
static inline struct cl_party *rules_side(struct cl_agreement *agreement, enum cl_side side)
{
    return side == CL_SIDE_CUSTOMER ? &agreement->customer : &agreement->organisation;
}

/* ---- delegations */
enum cl_status rules_delegation_put(struct cl_delegation *list, uint8_t *count, const struct cl_delegation *item);
enum cl_status rules_delegation_remove(struct cl_delegation *list, uint8_t *count, uint8_t side, const uint8_t key33[33]);

/* ---- one for each type; the entry's form was checked by record.c */
enum cl_status rules_profile(struct rules_frame *frame);
enum cl_status rules_terms(struct rules_frame *frame);
enum cl_status rules_request(struct rules_frame *frame);
enum cl_status rules_grant(struct rules_frame *frame);
enum cl_status rules_grant_open(struct rules_frame *frame);
enum cl_status rules_subscribe(struct rules_frame *frame);
enum cl_status rules_subscribe_terms(struct rules_frame *frame);
enum cl_status rules_counter(struct rules_frame *frame);
enum cl_status rules_refuse(struct rules_frame *frame);
enum cl_status rules_amend(struct rules_frame *frame);
enum cl_status rules_suspend(struct rules_frame *frame);
enum cl_status rules_resume(struct rules_frame *frame);
enum cl_status rules_renew(struct rules_frame *frame);
enum cl_status rules_revoke(struct rules_frame *frame);
enum cl_status rules_ack(struct rules_frame *frame);
enum cl_status rules_dispute(struct rules_frame *frame);
enum cl_status rules_erase(struct rules_frame *frame);
enum cl_status rules_statement(struct rules_frame *frame);
enum cl_status rules_delegate(struct rules_frame *frame);
enum cl_status rules_undelegate(struct rules_frame *frame);
enum cl_status rules_rotate(struct rules_frame *frame);
enum cl_status rules_vouch(struct rules_frame *frame);
/* Where an agreement with TERMS becomes active: counts it. All that can refuse comes first (rules_activation_check,
   the TERMS loaded), then rules_activate stages TERMS and answer entry. */
enum cl_status rules_activation_check(struct rules_frame *frame, const struct cl_party *organisation, struct cl_hash *key);
enum cl_status rules_activate(struct rules_frame *frame, const uint8_t terms32[32], const struct cl_hash *key);

/* Status, head and turn of an agreement that is answered (status 0..3): CL_E_FINAL, CL_E_HEAD, CL_E_STATUS. */
enum cl_status rules_expect_offer(const struct rules_frame *frame);
enum cl_status rules_expect_active(const struct rules_frame *frame);
enum cl_status rules_expect_head(const struct rules_frame *frame, const uint8_t head32[32]);

#define RULES_TRY(call) \
    do { \
        enum cl_status rules_try_status = (call); \
        if (rules_try_status != CL_OK) \
            return rules_try_status; \
    } while (0)

#endif

/* What a record may do to the state: (state, record, block time) -> new state, or a refusal with a reason.
   Pure: no clock, no I/O, no randomness. ledger/rules.md is the page that this enforces. */
#ifndef LEDGER_RULES_H
#define LEDGER_RULES_H

#include "consent/record.h"
#include "consent/state.h"

/* Where rules read the state as the records before left it. get: CL_OK with a view that stays valid until the next
   put through the same table or the end of cl_rules_apply; CL_E_NOT_FOUND; another status stops with that status.
   put: replaces the value (bytes are copied). Keys are tree keys, 32 bytes. Puts happen only once the whole record is
   known to apply, so a refused record changes nothing. */
struct cl_state_access {
    void *context;
    enum cl_status (*get)(void *context, const uint8_t key32[32], struct cl_view *value);
    enum cl_status (*put)(void *context, const uint8_t key32[32], const uint8_t *value, size_t length);
};

/* What follows from a record alone, for whoever has worked it out before the record's turn; NULL where nobody has.
   object: the id that an entry opens (cl_object_id_derive); answer: where SUBSCRIBE to TERMS leaves its answer
   (cl_answer_key of the party in whose name it is). 32 bytes each. */
struct cl_entry_ids { const uint8_t *object, *answer; };

struct cl_rules_input {
    const struct cl_network_id *network;
    const struct cl_record *record;   /* decoded; its signature is checked elsewhere */
    uint64_t log_index;               /* of the record in the log */
    uint64_t block_time_ms;
    const struct cl_entry_ids *ids;   /* of each entry; or NULL */
};

/* Called for each entry that changed an object in the index's sense; may be NULL. Serves the node's indexes and feed. */
struct cl_touched {
    uint32_t entry;
    uint8_t object[32];               /* the entry's object (for an opening: the new id) */
    enum cl_state_kind kind;
    bool opened;                      /* the entry opened it */
    bool moves_head;
    bool has_previous_head;           /* not opened */
    uint8_t previous_head[32];
    struct cl_party customer, organisation; /* parties newly known by this entry; length 0 if none */
};
typedef void (*cl_touched_fn)(void *context, const struct cl_touched *touched);

/* Returns: CL_OK (applied, whole or in part), a refusal (nothing changed), or what get/put returned.
   Out: *refused_entry (may be NULL): the entry that caused the refusal; *applied_count (may be NULL). */
CL_MUST_USE enum cl_status cl_rules_apply(const struct cl_state_access *state, const struct cl_rules_input *input,
                                          uint32_t *refused_entry, uint32_t *applied_count, cl_touched_fn touched,
                                          void *touched_context);

/* True for REVOKE and SUSPEND: they come first in a block and are never refused by policy. */
bool cl_rules_is_withdrawal(enum cl_record_type type);

#endif

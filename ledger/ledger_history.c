/* The records on one object: the chain of its heads, from the state back through `prev`, and the entries that this
   chain does not tell (tables.h: y). Costs nothing when a record is written, a few reads when somebody asks. */
#include "ledger_internal.h"

#include <assert.h>

/* The entry of this record that is on the object, or NULL. */
static const struct cl_entry *entry_on(const struct cl_record *record, const uint8_t object32[32])
{
    for (size_t i = 0; i < record->entry_count; i++) {
        const struct cl_entry *entry = &record->entries[i];
        if (entry->object_length == 32) {
            if (memcmp(entry->object, object32, 32) == 0)
                return entry;
        } else {
            struct cl_object_id id;
            cl_object_id_derive(&id, record->signer33, entry->object);
            if (memcmp(id.bytes, object32, 32) == 0)
                return entry;
        }
    }
    return NULL;
}

/* The head that a state value names. CL_E_NOT_FOUND for values that have none. */
static enum cl_status head_of(struct cl_record_id *head, const struct cl_buffer *value)
{
    enum cl_state_kind kind;
    union { struct cl_agreement agreement; struct cl_terms terms; struct cl_profile profile; } state;
    enum cl_status status = cl_state_kind_of(&kind, value->data, value->length);
    if (status != CL_OK)
        return CL_E_STORE_CORRUPT;
    switch (kind) {
    case CL_STATE_AGREEMENT:
        status = cl_agreement_decode(&state.agreement, value->data, value->length);
        memcpy(head->bytes, state.agreement.head, 32);
        break;
    case CL_STATE_TERMS:
        status = cl_terms_decode(&state.terms, value->data, value->length);
        memcpy(head->bytes, state.terms.head, 32);
        break;
    case CL_STATE_PROFILE:
        status = cl_profile_decode(&state.profile, value->data, value->length);
        memcpy(head->bytes, state.profile.head, 32);
        break;
    case CL_STATE_ANSWER:
    case CL_STATE_NETWORK:
        return CL_E_NOT_FOUND;
    }
    return status == CL_OK ? CL_OK : status == CL_E_MEMORY ? status : CL_E_STORE_CORRUPT;
}

enum cl_status cl_chain_begin(struct cl_chain *chain, struct cl_ledger_view *view, const uint8_t object32[32])
{
    memset(chain, 0, sizeof *chain);
    chain->view = view;
    memcpy(chain->object, object32, 32);
    enum cl_status status = cl_view_state(view, &view->value, object32);
    if (status == CL_OK)
        status = head_of(&chain->id, &view->value);
    if (status == CL_OK)
        status = cl_must_exist(cl_view_record_place(view, &chain->index, &chain->id));
    return status;
}

/* The head before a record, told by the record itself. */
static enum cl_status previous_by_record(struct cl_chain *chain, bool *opened, struct cl_record_id *previous)
{
    struct cl_record record;
    struct cl_view bytes;
    enum cl_status status = cl_view_leaf_borrow(chain->view, &bytes, chain->index);
    if (status != CL_OK)
        return status;
    status = cl_record_decode(&record, NULL, bytes.data, bytes.length, &chain->view->network);
    if (status != CL_OK)
        return status == CL_E_MEMORY ? status : CL_E_STORE_CORRUPT;
    const struct cl_entry *entry = entry_on(&record, chain->object);
    if (memcmp(record.id.bytes, chain->id.bytes, 32) != 0 || entry == NULL) {
        status = CL_E_STORE_CORRUPT;
    } else {
        *opened = entry->object_length == 16;
        if (!*opened && (entry->present & CL_HAS(2)) == 0)
            status = CL_E_STORE_CORRUPT; /* then the table of histories would have told */
        else if (!*opened)
            memcpy(previous->bytes, entry->prev, 32);
    }
    cl_record_deinit(&record);
    return status;
}

enum cl_status cl_chain_back(struct cl_chain *chain)
{
    struct cl_ledger_view *view = chain->view;
    struct cl_table_key key;
    struct cl_record_id previous;
    bool opened = false;
    uint64_t index;
    assert(!chain->ended);
    cl_key_history(&key, chain->object, chain->index);
    enum cl_status status = cl_store_get_key(view->store, &view->value, view->snapshot, &key);
    if (status == CL_OK && view->value.length != 32)
        return CL_E_STORE_CORRUPT; /* a head was moved here */
    if (status == CL_OK)
        memcpy(previous.bytes, view->value.data, 32);
    else if (status == CL_E_NOT_FOUND)
        status = previous_by_record(chain, &opened, &previous);
    if (status != CL_OK)
        return status;
    if (opened) {
        chain->ended = true;
        return CL_OK;
    }
    status = cl_must_exist(cl_view_record_place(view, &index, &previous));
    if (status == CL_OK && index >= chain->index)
        status = CL_E_STORE_CORRUPT; /* it must lead back, or this would never end */
    chain->index = index;
    chain->id = previous;
    return status;
}

/* Entries of y for one object, newest first; those in the chain are left to the chain. */
static enum cl_status read_aside(struct cl_history *history)
{
    const struct cl_store *store = history->chain.view->store;
    struct cl_table_key prefix;
    cl_key_history(&prefix, history->chain.object, 0);
    for (; store->iterator_valid(history->iterator); store->iterator_next(history->iterator)) {
        struct cl_view key = store->iterator_key(history->iterator);
        if (key.length != 41 || memcmp(key.data, prefix.bytes, 33) != 0)
            break;
        if (store->iterator_value(history->iterator).length != 0)
            continue;
        history->aside = ~cl_get_u64(key.data + 33);
        return CL_OK;
    }
    history->aside_ended = true;
    return store->iterator_status(history->iterator);
}

enum cl_status cl_history_begin(struct cl_history *history, struct cl_ledger_view *view, const uint8_t object32[32])
{
    const struct cl_store *store = view->store;
    struct cl_table_key key;
    memset(history, 0, sizeof *history);
    enum cl_status status = cl_chain_begin(&history->chain, view, object32);
    if (status != CL_OK)
        return status;
    history->iterator = store->iterator_new(store->context, view->snapshot);
    if (history->iterator == NULL)
        return CL_E_MEMORY;
    cl_key_history(&key, object32, UINT64_MAX);
    store->iterator_seek(history->iterator, key.bytes, key.length);
    return read_aside(history);
}

bool cl_history_ended(const struct cl_history *history)
{
    return history->chain.ended && history->aside_ended;
}

/* Two lists, each newest first, merged. */
enum cl_status cl_history_next(struct cl_history *history, uint64_t *log_index)
{
    struct cl_chain *chain = &history->chain;
    assert(!cl_history_ended(history));
    if (history->aside_ended || (!chain->ended && chain->index > history->aside)) {
        *log_index = chain->index;
        return cl_chain_back(chain);
    }
    *log_index = history->aside;
    chain->view->store->iterator_next(history->iterator);
    return read_aside(history);
}

void cl_history_end(struct cl_history *history)
{
    if (history->iterator != NULL)
        history->chain.view->store->iterator_free(history->iterator);
    history->iterator = NULL;
}

static void reverse(uint64_t *indexes, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        uint64_t other = indexes[i];
        indexes[i] = indexes[count - 1 - i];
        indexes[count - 1 - i] = other;
    }
}

enum cl_status cl_view_history(struct cl_ledger_view *view, uint64_t *indexes, size_t max, size_t *count, bool *more, const uint8_t object32[32], uint64_t before)
{
    struct cl_history history;
    size_t passed = 0;
    *count = 0;
    *more = false;
    enum cl_status status = cl_history_begin(&history, view, object32);
    while (status == CL_OK && *count < max && !cl_history_ended(&history)) {
        status = cl_history_next(&history, &indexes[*count]);
        if (status == CL_OK && indexes[*count] < before)
            (*count)++;
        else if (status == CL_OK && ++passed > CL_HISTORY_PASSED_MAX)
            status = CL_E_BOUND;
    }
    if (status == CL_OK) {
        reverse(indexes, *count);
        *more = !cl_history_ended(&history);
    }
    cl_history_end(&history);
    return status;
}

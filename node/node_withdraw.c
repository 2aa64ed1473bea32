/* Withdrawals that were accepted and are not final yet: durable, signed for, and no to whoever asks from then on. */
#include "node_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum cl_status accepted_add(struct node *node, const struct cl_record *record)
{
    enum cl_status status = CL_OK;
    pthread_rwlock_wrlock(&node->accepted_lock);
    if (node->accepted_count + record->entry_count > node->accepted_capacity) {
        size_t capacity = 2 * (node->accepted_count + record->entry_count);
        struct accepted_withdrawal *grown = realloc(node->accepted, capacity * sizeof *grown);
        if (grown == NULL) status = CL_E_MEMORY;
        else node->accepted = grown;
        if (grown != NULL) node->accepted_capacity = capacity;
    }
    for (size_t i = 0; i < record->entry_count && status == CL_OK; i++) {
        const struct cl_entry *entry = &record->entries[i];
        struct accepted_withdrawal *made = &node->accepted[node->accepted_count++];
        made->leaf = record->leaf_hash;
        memcpy(made->object, entry->object, 32);
        made->slots = (entry->present & CL_HAS(9)) != 0 ? entry->slots : UINT64_MAX;
        made->answer = record->type == CL_SUSPEND ? CL_E_SUSPENDED : (entry->present & CL_HAS(10)) != 0 ? CL_E_TERMINATED : CL_E_WITHDRAWN;
    }
    atomic_store(&node->accepted_published, node->accepted_count);
    pthread_rwlock_unlock(&node->accepted_lock);
    return status;
}

void node_accepted_drop(struct node *node, const struct cl_leaf_hash *leaf)
{
    pthread_rwlock_wrlock(&node->accepted_lock);
    size_t kept = 0;
    for (size_t i = 0; i < node->accepted_count; i++)
        if (memcmp(node->accepted[i].leaf.bytes, leaf->bytes, 32) != 0) node->accepted[kept++] = node->accepted[i];
    node->accepted_count = kept;
    atomic_store(&node->accepted_published, kept);
    pthread_rwlock_unlock(&node->accepted_lock);
}

/* *withdrawn: the slots that partial withdrawals name; *whole: one withdraws all of it. */
static enum cl_status accepted_answer(struct node *node, const uint8_t object32[32], uint64_t slots, uint64_t *withdrawn, bool *whole)
{
    enum cl_status answer = CL_OK;
    if (atomic_load(&node->accepted_published) == 0) return CL_OK;
    pthread_rwlock_rdlock(&node->accepted_lock);
    for (size_t i = 0; i < node->accepted_count && answer == CL_OK; i++) {
        const struct accepted_withdrawal *accepted = &node->accepted[i];
        if (memcmp(accepted->object, object32, 32) != 0) continue;
        /* A partial withdrawal says no to its slots; the agreement as a whole stands while any is left. */
        if (accepted->slots != UINT64_MAX) *withdrawn |= accepted->slots;
        else *whole = true;
        if (accepted->slots == UINT64_MAX || (accepted->slots & slots) != 0) answer = accepted->answer;
    }
    pthread_rwlock_unlock(&node->accepted_lock);
    return answer;
}

enum cl_status node_check(struct node *node, const uint8_t agreement32[32], uint64_t slots, uint64_t now_ms, bool *accepted, struct cl_tip *as_of)
{
    struct cl_ledger_view *view = NULL;
    struct cl_buffer value = { 0 };
    struct cl_agreement agreement = { 0 };
    if (accepted != NULL) *accepted = false;
    /* Before the snapshot: a withdrawal that became final in between is in it. */
    uint64_t withdrawn = 0;
    bool whole = false;
    enum cl_status pending = accepted_answer(node, agreement32, slots, &withdrawn, &whole);
    enum cl_status status = cl_ledger_view_new(&view, node->ledger);
    if (status != CL_OK) return status;
    if (as_of != NULL) status = cl_view_tip(view, as_of);
    if (status == CL_OK) status = cl_view_state(view, &value, agreement32);
    cl_ledger_view_free(view);
    if (status == CL_E_NOT_FOUND) status = CL_E_NO_OBJECT;
    if (status == CL_OK) status = cl_agreement_decode(&agreement, value.data, value.length);
    if (status == CL_OK) status = cl_agreement_check(&agreement, slots, now_ms);
    cl_buffer_deinit(&value);
    if (status == CL_E_NOT_ACTIVE && whole) status = CL_OK; /* an offer that is withdrawn: what the next block will say */
    if (status == CL_OK && pending == CL_OK && (agreement.live & ~withdrawn) == 0) pending = CL_E_WITHDRAWN;
    if (status != CL_OK || pending == CL_OK) return status;
    if (accepted != NULL) *accepted = true;
    return pending;
}

/* ---- owner thread */
enum cl_status node_sign_acceptance(struct node *node, struct submission *submission, const struct cl_record *record)
{
    if (node->own >= node->genesis.core.value.member_count) return CL_OK; /* an observer's word is nobody's in the trust file */
    struct cl_acceptance acceptance = { .network = node->genesis.core.network, .record = record->id, .leaf = record->leaf_hash, .time_ms = node_now_ms() };
    const char *name = node->genesis.core.value.members[node->own].name;
    memcpy(acceptance.member, name, strlen(name) + 1);
    submission->accepted_ms = acceptance.time_ms;
    return cl_acceptance_sign(&submission->acceptance, &acceptance, node->keys.log_seed);
}

enum cl_status node_accept_withdrawal(struct node *node, struct submission *submission, struct pool_entry *entry)
{
    const struct cl_record *record = &submission->record->record;
    enum cl_status status = cl_ledger_withdrawal_keep(node->ledger, submission->record);
    if (status != CL_OK) return node_fail(node, status, "A withdrawal could not be kept: %s", cl_status_sentence(status));
    entry->kept = true;
    status = accepted_add(node, record);
    if (status != CL_OK) return status;
    atomic_fetch_add(&node->counters.withdrawals_accepted, 1);
    return node_sign_acceptance(node, submission, record);
}

static enum cl_status restore_withdrawal(void *context, const uint8_t *bytes, size_t length)
{
    struct node *node = context;
    struct cl_ledger_record *record = NULL;
    struct pool_entry *entry = NULL;
    enum cl_status status = cl_ledger_record_new(&record, NULL, bytes, length, &node->genesis.core.network);
    if (status != CL_OK) return status;
    record->first_heard_from = (uint32_t)node->own;
    status = accepted_add(node, &record->record);
    if (status == CL_OK) status = pool_add(node->pool, &entry, record, node->own);
    if (status == CL_OK) node_gossip_have(node, record);
    if (status == CL_E_EXISTS) status = CL_OK;
    if (status == CL_OK) {
        assert(entry != NULL);
        entry->kept = true;
    }
    if (status == CL_E_BOUND) status = CL_OK; /* it stays kept, and comes again at the next start */
    cl_ledger_record_unref(record);
    return status;
}

enum cl_status node_restore_withdrawals(struct node *node)
{
    return cl_ledger_withdrawals(node->ledger, restore_withdrawal, node);
}

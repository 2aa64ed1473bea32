/* A record applies whole or not at all, and entries see what those before them left: so writes are kept here, and reach
   the state only once nothing can refuse any more. One entry costs no allocation; a thousand cost a hash table. */
#include <assert.h>
#include <stdlib.h>

#include "rules_internal.h"

void rules_transaction_init(struct rules_transaction *transaction, const struct cl_state_access *state)
{
    transaction->state = state;
    transaction->failure = CL_OK;
    transaction->arena = (struct cl_buffer){.data = transaction->arena_inline, .capacity = sizeof transaction->arena_inline};
    transaction->writes = transaction->writes_inline;
    transaction->write_count = 0;
    transaction->write_capacity = RULES_WRITES_INLINE;
    transaction->table = NULL;
    transaction->table_size = 0;
}

void rules_transaction_deinit(struct rules_transaction *transaction)
{
    if (transaction->arena.data != transaction->arena_inline)
        free(transaction->arena.data);
    if (transaction->writes != transaction->writes_inline)
        free(transaction->writes);
    free(transaction->table);
}

static enum cl_status fail(struct rules_transaction *transaction, enum cl_status status)
{
    transaction->failure = status;
    return status;
}

/* Keys are SHA-256 values, so their first bytes serve as the hash. Whoever grinds ids to collide gains a few thousand
   steps in a record of at most 1,000 entries. */
static size_t slot_of(const struct rules_transaction *transaction, const uint8_t key32[32])
{
    uint64_t hash;
    memcpy(&hash, key32, sizeof hash);
    size_t slot = (size_t)hash & (transaction->table_size - 1);
    for (;;) {
        uint32_t index = transaction->table[slot];
        if (index == 0 || memcmp(transaction->writes[index - 1].key, key32, 32) == 0)
            return slot;
        slot = (slot + 1) & (transaction->table_size - 1);
    }
}

static struct rules_write *find(const struct rules_transaction *transaction, const uint8_t key32[32])
{
    if (transaction->table != NULL) {
        uint32_t index = transaction->table[slot_of(transaction, key32)];
        return index == 0 ? NULL : &transaction->writes[index - 1];
    }
    for (size_t i = 0; i < transaction->write_count; i++)
        if (memcmp(transaction->writes[i].key, key32, 32) == 0)
            return &transaction->writes[i];
    return NULL;
}

enum cl_status rules_get(struct rules_transaction *transaction, const uint8_t key32[32], struct cl_view *value)
{
    const struct rules_write *write = find(transaction, key32);
    if (write != NULL) {
        *value = (struct cl_view){transaction->arena.data + write->offset, write->length};
        return CL_OK;
    }
    enum cl_status status = transaction->state->get(transaction->state->context, key32, value);
    if (status != CL_OK && status != CL_E_NOT_FOUND)
        return fail(transaction, status);
    return status;
}

/* The arena never grows inside an encoder: cl_buffer_append would free memory that is not on the heap. */
enum cl_status rules_write_begin(struct rules_transaction *transaction, size_t *offset)
{
    struct cl_buffer *arena = &transaction->arena;
    if (arena->capacity - arena->length < RULES_VALUE_BYTES_MAX) {
        size_t capacity = arena->capacity * 2 + RULES_VALUE_BYTES_MAX;
        uint8_t *data = malloc(capacity);
        if (data == NULL)
            return fail(transaction, CL_E_MEMORY);
        memcpy(data, arena->data, arena->length);
        if (arena->data != transaction->arena_inline)
            free(arena->data);
        arena->data = data;
        arena->capacity = capacity;
    }
    *offset = arena->length;
    return CL_OK;
}

/* Doubles the list of writes, and the table (kept at most half full) with it. */
static enum cl_status grow(struct rules_transaction *transaction)
{
    size_t capacity = transaction->write_capacity * 4;
    size_t table_size = capacity * 2;
    assert(transaction->writes != NULL && capacity > transaction->write_count);
    struct rules_write *writes = malloc(capacity * sizeof *writes);
    uint32_t *table = calloc(table_size, sizeof *table);
    if (writes == NULL || table == NULL) {
        free(writes);
        free(table);
        return fail(transaction, CL_E_MEMORY);
    }
    memcpy(writes, transaction->writes, transaction->write_count * sizeof *writes);
    if (transaction->writes != transaction->writes_inline)
        free(transaction->writes);
    free(transaction->table);
    transaction->writes = writes;
    transaction->write_capacity = capacity;
    transaction->table = table;
    transaction->table_size = table_size;
    for (size_t i = 0; i < transaction->write_count; i++)
        table[slot_of(transaction, writes[i].key)] = (uint32_t)i + 1;
    return CL_OK;
}

enum cl_status rules_write_end(struct rules_transaction *transaction, const uint8_t key32[32], size_t offset,
                               enum cl_status encoded)
{
    if (encoded != CL_OK)
        return fail(transaction, encoded);
    size_t length = transaction->arena.length - offset;
    assert(length > 0 && length <= RULES_VALUE_BYTES_MAX && transaction->arena.length <= UINT32_MAX);
    struct rules_write *write = find(transaction, key32);
    if (write == NULL) {
        if (transaction->write_count == transaction->write_capacity)
            RULES_TRY(grow(transaction));
        assert(transaction->writes != NULL);
        write = &transaction->writes[transaction->write_count++];
        memcpy(write->key, key32, 32);
        if (transaction->table != NULL)
            transaction->table[slot_of(transaction, key32)] = (uint32_t)transaction->write_count;
    }
    write->offset = (uint32_t)offset;
    write->length = (uint32_t)length;
    return CL_OK;
}

enum cl_status rules_commit(struct rules_transaction *transaction)
{
    const struct cl_state_access *state = transaction->state;
    for (size_t i = 0; i < transaction->write_count; i++) {
        const struct rules_write *write = &transaction->writes[i];
        RULES_TRY(state->put(state->context, write->key, transaction->arena.data + write->offset, write->length));
    }
    return CL_OK;
}

/* Looks into and damages the database of a stopped node, for tests of what the node then says.
     store_tool DIR list                     one line for each table: its letter and how many entries it has
     store_tool DIR flip TABLE NUMBER BYTE   one bit of that byte of the value of the NUMBERth entry (from 0) of a table;
                                             a BYTE beyond the value counts from its start again; of a table without
                                             values, a bit of the key
     store_tool DIR lose TABLE NUMBER        that entry is deleted
     store_tool DIR promise RECORD           puts a withdrawal among those that are promised and not yet final
     store_tool DIR newer                    the format version becomes one that does not exist yet
     store_tool DIR compact                  everything moves into table files
   Answer: one line that says what was done; exit status 1 where it could not be. */
#include "crypto.h"
#include "files.h"
#include "ledger_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cl_store store;

static int fail(const char *what, enum cl_status status)
{
    fprintf(stderr, "store_tool: %s: %s\n", what, cl_status_code(status));
    return 1;
}

static int list(void)
{
    uint64_t counts[256] = { 0 };
    struct cl_store_iterator *iterator = store.iterator_new(store.context, NULL);
    for (store.iterator_seek(iterator, (const uint8_t *)"", 0); store.iterator_valid(iterator); store.iterator_next(iterator))
        counts[store.iterator_key(iterator).data[0]]++;
    enum cl_status status = store.iterator_status(iterator);
    store.iterator_free(iterator);
    for (size_t i = 0; i < 256; i++)
        if (counts[i] > 0) printf("%c %llu\n", (char)i, (unsigned long long)counts[i]);
    return status == CL_OK ? 0 : fail("list", status);
}

static bool entry_at(struct cl_buffer *key, struct cl_buffer *value, uint8_t table, uint64_t number)
{
    bool found = false;
    struct cl_store_iterator *iterator = store.iterator_new(store.context, NULL);
    for (store.iterator_seek(iterator, &table, 1); store.iterator_valid(iterator) && !found; store.iterator_next(iterator)) {
        struct cl_view at = store.iterator_key(iterator), bytes = store.iterator_value(iterator);
        if (at.data[0] != table) break;
        if (number-- > 0) continue;
        found = cl_buffer_append(key, at.data, at.length) == CL_OK && cl_buffer_append(value, bytes.data, bytes.length) == CL_OK;
    }
    store.iterator_free(iterator);
    return found;
}

/* Deletes old where it is not NULL, puts key and value where key is not NULL. */
static int change(const struct cl_buffer *old, const struct cl_buffer *key, const struct cl_buffer *value)
{
    static const uint8_t nothing[1];
    struct cl_store_batch *batch = store.batch_new(store.context);
    if (old != NULL) store.batch_delete(batch, old->data, old->length);
    if (key != NULL) store.batch_put(batch, key->data, key->length, value->length > 0 ? value->data : nothing, value->length);
    enum cl_status status = store.batch_write(store.context, batch, true);
    store.batch_free(batch);
    return status == CL_OK ? 0 : fail("write", status);
}

static int flip(uint8_t table, uint64_t number, uint64_t byte)
{
    struct cl_buffer key = { 0 }, value = { 0 }, old = { 0 };
    int result = 1;
    if (entry_at(&key, &value, table, number) && cl_buffer_append(&old, key.data, key.length) == CL_OK) {
        if (value.length > 0) value.data[byte % value.length] ^= 0x10;
        else key.data[1 + byte % (key.length - 1)] ^= 0x10;
        result = change(&old, &key, &value);
        if (result == 0) printf("flipped %c %llu, value of %zu bytes\n", table, (unsigned long long)number, value.length);
    } else {
        fprintf(stderr, "store_tool: table %c has no entry %llu\n", table, (unsigned long long)number);
    }
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
    cl_buffer_deinit(&old);
    return result;
}

static int lose(uint8_t table, uint64_t number)
{
    struct cl_buffer key = { 0 }, value = { 0 };
    int result = entry_at(&key, &value, table, number) ? change(&key, NULL, NULL) : 1;
    if (result == 0) printf("lost %c %llu\n", table, (unsigned long long)number);
    cl_buffer_deinit(&key);
    cl_buffer_deinit(&value);
    return result;
}

static int promise(const char *hex)
{
    static uint8_t bytes[CL_RECORD_BYTES_MAX];
    struct cl_leaf_hash leaf;
    struct cl_table_key row;
    size_t length = strlen(hex) / 2;
    if (length > sizeof bytes || !hex_decode(bytes, length, hex, strlen(hex))) return fail("promise", CL_E_ARGUMENT);
    cl_log_leaf_hash(&leaf, bytes, length);
    cl_key_hash(&row, CL_TABLE_WITHDRAWAL, leaf.bytes);
    struct cl_buffer key = { .data = row.bytes, .length = row.length }, value = { .data = bytes, .length = length };
    puts("promised");
    return change(NULL, &key, &value);
}

static int newer(void)
{
    static const uint8_t format[4] = { 0, 0, 0, CL_STORE_FORMAT + 1 };
    struct cl_buffer scratch = { 0 };
    struct cl_table_key key;
    struct cl_store_batch *batch = store.batch_new(store.context);
    cl_key_meta(&key, "format");
    enum cl_status status = cl_batch_put_checked(&store, batch, &scratch, &key, format, sizeof format);
    if (status == CL_OK) status = store.batch_write(store.context, batch, true);
    store.batch_free(batch);
    cl_buffer_deinit(&scratch);
    puts("newer");
    return status == CL_OK ? 0 : fail("newer", status);
}

static int act(int count, char **words)
{
    const char *verb = count > 0 ? words[0] : "";
    uint64_t number = count > 2 ? strtoull(words[2], NULL, 10) : 0;
    if (count == 1 && strcmp(verb, "list") == 0) return list();
    if (count == 4 && strcmp(verb, "flip") == 0) return flip((uint8_t)words[1][0], number, strtoull(words[3], NULL, 10));
    if (count == 3 && strcmp(verb, "lose") == 0) return lose((uint8_t)words[1][0], number);
    if (count == 2 && strcmp(verb, "promise") == 0) return promise(words[1]);
    if (count == 1 && strcmp(verb, "newer") == 0) return newer();
    if (count == 1 && strcmp(verb, "compact") == 0) {
        store.compact(store.context);
        puts("compacted");
        return 0;
    }
    fprintf(stderr, "store_tool: not understood; the comment at the top of store_tool.c says what there is\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct cl_store_options options;
    char error[512];
    if (argc < 3) return act(0, NULL);
    cl_store_options_default(&options);
    options.create = false;
    enum cl_status status = cl_store_leveldb_open(&store, argv[1], &options, error, sizeof error);
    if (status != CL_OK) return fail(error, status);
    int result = act(argc - 2, argv + 2);
    store.close(store.context);
    return result;
}

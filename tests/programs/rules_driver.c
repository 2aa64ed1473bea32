/* The rules behind a pipe: one command a line, one answer a line, over a map in memory. The random-history test speaks
   to it and compares every value with its own model.
     network HEX32                                 -> ok
     put KEYHEX VALUEHEX                           -> ok
     apply SIGNERHEX LOGINDEX BLOCKTIME_MS PAYLOAD -> ok APPLIED RECORDID KEY=VALUE,... | refused CL_E_... ENTRY
     get KEYHEX                                    -> VALUEHEX | none
     reset                                         -> ok
   A line that is none of these ends the program with 1: the test is wrong then, not the ledger. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto.h"
#include "rules.h"

struct item { uint8_t key[32]; uint8_t *value; size_t length; bool touched; };
struct map { struct item *items; size_t count, capacity; uint32_t *table; size_t table_size; };

static struct map state;
static size_t *touched_items;
static size_t touched_count, touched_capacity;
static struct cl_network_id network;

static void *must(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "rules_driver: out of memory\n");
        exit(1);
    }
    return memory;
}

static size_t slot_of(const uint8_t key[32])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    size_t slot = (size_t)hash & (state.table_size - 1);
    while (state.table[slot] != 0 && memcmp(state.items[state.table[slot] - 1].key, key, 32) != 0)
        slot = (slot + 1) & (state.table_size - 1);
    return slot;
}

static void grow(void)
{
    state.capacity = state.capacity == 0 ? 1024 : state.capacity * 2;
    state.table_size = state.capacity * 2;
    state.items = must(realloc(state.items, state.capacity * sizeof *state.items));
    free(state.table);
    state.table = must(calloc(state.table_size, sizeof *state.table));
    for (size_t i = 0; i < state.count; i++)
        state.table[slot_of(state.items[i].key)] = (uint32_t)i + 1;
}

static struct item *map_find(const uint8_t key[32])
{
    if (state.count == 0)
        return NULL;
    uint32_t index = state.table[slot_of(key)];
    return index == 0 ? NULL : &state.items[index - 1];
}

static struct item *map_put(const uint8_t key[32], const uint8_t *value, size_t length)
{
    struct item *item = map_find(key);
    if (item == NULL) {
        if (state.count == state.capacity)
            grow();
        item = &state.items[state.count++];
        memset(item, 0, sizeof *item);
        memcpy(item->key, key, 32);
        state.table[slot_of(key)] = (uint32_t)state.count;
    }
    item->value = must(realloc(item->value, length + 1));
    memcpy(item->value, value, length);
    item->length = length;
    return item;
}

static void map_reset(void)
{
    for (size_t i = 0; i < state.count; i++)
        free(state.items[i].value);
    free(state.items);
    free(state.table);
    memset(&state, 0, sizeof state);
}

static enum cl_status state_get(void *context, const uint8_t key32[32], struct cl_view *value)
{
    (void)context;
    const struct item *item = map_find(key32);
    if (item == NULL)
        return CL_E_NOT_FOUND;
    *value = (struct cl_view){item->value, item->length};
    return CL_OK;
}

static enum cl_status state_put(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    (void)context;
    struct item *item = map_put(key32, value, length);
    if (!item->touched) {
        item->touched = true;
        if (touched_count == touched_capacity) {
            touched_capacity = touched_capacity == 0 ? 64 : touched_capacity * 2;
            touched_items = must(realloc(touched_items, touched_capacity * sizeof *touched_items));
        }
        touched_items[touched_count++] = (size_t)(item - state.items);
    }
    return CL_OK;
}

/* ---- lines */

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Decodes in place; the bytes take half the room of their digits. Returns the length, or -1. */
static long unhex(char *text, const uint8_t **bytes)
{
    size_t digits = strlen(text);
    uint8_t *out = (uint8_t *)text;
    if (digits % 2 != 0)
        return -1;
    for (size_t i = 0; i < digits / 2; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i] = (uint8_t)(high << 4 | low);
    }
    *bytes = out;
    return (long)(digits / 2);
}

static void print_hex(const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        putchar_unlocked(digits[bytes[i] >> 4]);
        putchar_unlocked(digits[bytes[i] & 15]);
    }
}

static int by_key(const void *a, const void *b)
{
    return memcmp(state.items[*(const size_t *)a].key, state.items[*(const size_t *)b].key, 32);
}

static void print_applied(const struct cl_record *record, uint32_t applied)
{
    printf("ok %" PRIu32 " ", applied);
    print_hex(record->id.bytes, 32);
    if (touched_count > 1)
        qsort(touched_items, touched_count, sizeof *touched_items, by_key);
    for (size_t i = 0; i < touched_count; i++) {
        const struct item *item = &state.items[touched_items[i]];
        putchar_unlocked(i == 0 ? ' ' : ',');
        print_hex(item->key, 32);
        putchar_unlocked('=');
        print_hex(item->value, item->length);
    }
    putchar_unlocked('\n');
}

static bool apply(char **words)
{
    const uint8_t *signer, *payload;
    if (unhex(words[1], &signer) != 33)
        return false;
    long length = unhex(words[4], &payload);
    if (length < 0)
        return false;
    struct cl_record record;
    uint32_t entry = 0, applied = 0;
    enum cl_status status = cl_record_decode_payload(&record, &entry, payload, (size_t)length, signer, &network);
    if (status != CL_OK) {
        printf("refused %s %" PRIu32 "\n", cl_status_code(status), entry);
        return true;
    }
    const struct cl_state_access access = {NULL, state_get, state_put};
    const struct cl_rules_input input = {&network, &record, strtoull(words[2], NULL, 10), strtoull(words[3], NULL, 10), NULL};
    touched_count = 0;
    status = cl_rules_apply(&access, &input, &entry, &applied, NULL, NULL);
    if (status == CL_OK)
        print_applied(&record, applied);
    else
        printf("refused %s %" PRIu32 "\n", cl_status_code(status), entry);
    for (size_t i = 0; i < touched_count; i++)
        state.items[touched_items[i]].touched = false;
    cl_record_deinit(&record);
    return true;
}

static bool run(char **words, size_t count)
{
    const uint8_t *key, *value;
    if (count == 5 && strcmp(words[0], "apply") == 0)
        return apply(words);
    if (count == 1 && strcmp(words[0], "reset") == 0) {
        map_reset();
        puts("ok");
        return true;
    }
    if (count < 2 || unhex(words[1], &key) != 32)
        return false;
    if (count == 2 && strcmp(words[0], "network") == 0) {
        memcpy(network.bytes, key, 32);
        puts("ok");
        return true;
    }
    if (count == 2 && strcmp(words[0], "get") == 0) {
        const struct item *item = map_find(key);
        if (item == NULL)
            fputs("none", stdout);
        else
            print_hex(item->value, item->length);
        putchar_unlocked('\n');
        return true;
    }
    if (count == 3 && strcmp(words[0], "put") == 0) {
        long length = unhex(words[2], &value);
        if (length < 0)
            return false;
        map_put(key, value, (size_t)length);
        puts("ok");
        return true;
    }
    return false;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int result = 0;
    setvbuf(stdout, NULL, _IOFBF, 1u << 16);
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        char *words[6], *save = NULL;
        size_t count = 0;
        for (char *word = strtok_r(line, " \r\n", &save); word != NULL && count < 6; word = strtok_r(NULL, " \r\n", &save))
            words[count++] = word;
        if (count == 0)
            continue;
        if (!run(words, count)) {
            fprintf(stderr, "rules_driver: not a command: %s\n", words[0]);
            result = 1;
            break;
        }
        fflush(stdout);
    }
    free(line);
    free(touched_items);
    map_reset();
    return result;
}

/* The vault: a person's data items, each a value file and the key file that names and describes it. */
#include "vault_internal.h"

#include <stdio.h>

#include "consent/terms.h"
#include "crypto.h"

size_t cl_vault_count(const struct cl_store *store) { return store->vault_count; }

const struct cl_vault_entry *cl_vault_at(const struct cl_store *store, size_t position)
{
    return position < store->vault_count ? &store->vault[position]->entry : NULL;
}

/* Returns: its place in the list of keys; key_count where there is none. */
static size_t position_of(const struct cl_store *store, const char *name)
{
    size_t position = 0;
    while (position < store->key_count && (store->keys[position].kind != CL_STORE_VAULT || strcmp(store->keys[position].entry.name, name) != 0))
        position++;
    return position;
}

const struct cl_vault_entry *cl_vault_find(const struct cl_store *store, const char *name)
{
    size_t position = position_of(store, name);
    return position == store->key_count ? NULL : &store->keys[position].entry;
}

/* RFC 6838 section 4.2: restricted names on both sides of one slash. */
bool cl_media_type_usable(const char *text)
{
    size_t length = strnlen(text, CL_MEDIA_TYPE_BYTES_MAX + 1), slash = 0;
    if (length > CL_MEDIA_TYPE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool starts = i == 0 || text[i - 1] == '/';
        if (c == '/' && slash == 0 && !starts)
            slash = i;
        else if (!alphanumeric && (starts || strchr("!#$&-^_.+", c) == NULL))
            return false;
    }
    return slash > 0 && slash + 1 < length;
}

/* Writes the value under a fresh name and key, then the key file that names both: its renaming is what decides. */
static enum cl_status write_entry(const struct cl_store *store, struct cl_store_key *key, const uint8_t *value, size_t length)
{
    char path[CL_STORE_FILE_PATH_MAX];
    struct cl_buffer file = {0};
    uint8_t nonce[24];
    enum cl_status status = cl_random(key->key32, sizeof key->key32);
    if (status == CL_OK)
        status = cl_random(key->value16, sizeof key->value16);
    if (status == CL_OK)
        status = cl_random(nonce, sizeof nonce);
    if (status == CL_OK)
        status = cl_value_file_encode(&file, key->value16, key->key32, nonce, value, length);
    if (status == CL_OK) {
        cl_store_path(path, store->directory, key->value16, VALUE_ENDING);
        status = cl_file_replace(path, file.data, file.length, true);
    }
    key->entry.size = length;
    if (status == CL_OK)
        status = cl_store_key_write(store, key);
    cl_buffer_deinit(&file);
    return status;
}

enum cl_status cl_vault_put(struct cl_store *store, const struct cl_vault_entry *entry, const uint8_t *value, size_t length)
{
    const struct cl_vocabulary_term *category = cl_vocabulary_find(CL_VOCABULARY_PERSONAL_DATA, entry->category);
    if (!cl_wallet_name_usable(entry->name) || category == NULL || !cl_media_type_usable(entry->media_type))
        return CL_E_ARGUMENT;
    if (cl_vault_find(store, entry->name) != NULL)
        return CL_E_EXISTS;
    if (length > CL_VAULT_VALUE_BYTES_MAX || store->vault_count >= CL_VAULT_ENTRIES_MAX)
        return CL_E_BOUND;
    struct cl_store_key key = {.kind = CL_STORE_VAULT, .entry = *entry};
    (void)snprintf(key.entry.category, sizeof key.entry.category, "%s%s", cl_vocabulary_prefix(CL_VOCABULARY_PERSONAL_DATA), category->term);
    enum cl_status status = cl_random(key.id16, sizeof key.id16);
    if (status == CL_OK)
        status = write_entry(store, &key, value, length);
    if (status == CL_OK)
        status = cl_store_key_append(store, &key);
    if (status == CL_OK)
        status = cl_store_arrange(store);
    cl_wipe(&key, sizeof key);
    return status;
}

enum cl_status cl_vault_change(struct cl_store *store, const struct cl_vault_entry *entry, const uint8_t *value, size_t length)
{
    size_t position = position_of(store, entry->name);
    if (position == store->key_count)
        return CL_E_NOT_FOUND;
    if (!cl_media_type_usable(entry->media_type))
        return CL_E_ARGUMENT;
    if (length > CL_VAULT_VALUE_BYTES_MAX)
        return CL_E_BOUND;
    struct cl_store_key changed = store->keys[position];
    memcpy(changed.entry.media_type, entry->media_type, sizeof changed.entry.media_type);
    changed.entry.changed_ms = entry->changed_ms;
    enum cl_status status = write_entry(store, &changed, value, length);
    if (status == CL_OK && !cl_value_file_remove(store->directory, store->keys[position].value16))
        status = CL_E_IO;
    if (status == CL_OK)
        store->keys[position] = changed;
    cl_wipe(&changed, sizeof changed);
    return status;
}

enum cl_status cl_vault_value(struct cl_buffer *out, const struct cl_store *store, const char *name)
{
    char path[CL_STORE_FILE_PATH_MAX];
    struct cl_buffer file = {0};
    size_t position = position_of(store, name);
    if (position == store->key_count)
        return CL_E_NOT_FOUND;
    const struct cl_store_key *key = &store->keys[position];
    cl_store_path(path, store->directory, key->value16, VALUE_ENDING);
    enum cl_status status = cl_file_read(&file, path, CL_VALUE_FILE_BYTES_MAX);
    if (status == CL_OK)
        status = cl_value_file_decode(out, file.data, file.length, key->value16, key->key32);
    else if (status == CL_E_NOT_FOUND)
        status = CL_E_IO; /* the item is there, its file is not */
    cl_buffer_deinit(&file);
    return status;
}

enum cl_status cl_vault_remove(struct cl_store *store, const char *name)
{
    size_t position = position_of(store, name);
    if (position == store->key_count)
        return CL_E_NOT_FOUND;
    struct cl_store_id value;
    memcpy(value.bytes, store->keys[position].value16, 16);
    if (!cl_store_file_destroy(store->directory, store->keys[position].id16, KEY_ENDING))
        return CL_E_IO;
    cl_store_key_drop(store, position);
    enum cl_status status = cl_store_arrange(store);
    return status == CL_OK && !cl_value_file_remove(store->directory, value.bytes) ? CL_E_IO : status;
}

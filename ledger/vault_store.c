/* The store's folder: which files there are, and how they come and go so that a process that is killed at any point
   leaves the old state or the new one.

   ID.key     a key file. The key of an item's content lives while an item of the written wallet names it, so the wallet's
              renaming is what decides: keys are written before the wallet, and destroyed after it. The key file of a
              vault's item decides by itself, since it names the file of the value.
   ID.value   a value file. It is there before the key file that names it, and is removed after it.
   ID.exchange  what was exchanged under an agreement (exchange.c), named by a hash; read when it is needed.
   ID.gone    a key or exchange file on its way out: whoever finds it goes on with destroying it.
   *.new-PID  what cl_file_replace was writing when it was killed.
   ID is 32 hexadecimal digits, random. */
#include "vault_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto.h"

/* ---------------------------------------------------------------- what is there */

int cl_store_id_compare(const void *a, const void *b) { return memcmp(a, b, 16); }
static int compare_keys(const void *a, const void *b)
{
    return memcmp(((const struct cl_store_key *)a)->id16, ((const struct cl_store_key *)b)->id16, 16);
}
static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct cl_store_key *const *)a)->entry.name, (*(const struct cl_store_key *const *)b)->entry.name);
}

struct cl_store_key *cl_store_key_find(const struct cl_store *store, const uint8_t id16[16])
{
    struct cl_store_key wanted;
    memcpy(wanted.id16, id16, 16);
    return store->key_count == 0 ? NULL : bsearch(&wanted, store->keys, store->key_count, sizeof wanted, compare_keys);
}

/* Room for one more, doubling. Keys leave nothing behind where they were. */
static bool make_room(void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t larger = *room == 0 ? 16 : 2 * *room;
    void *moved = calloc(larger, size);
    if (moved == NULL)
        return false;
    if (*array != NULL) {
        memcpy(moved, *array, count * size);
        cl_wipe(*array, count * size);
        free(*array);
    }
    *array = moved;
    *room = larger;
    return true;
}

/* Adds without keeping the order; store_arrange follows. */
enum cl_status cl_store_key_append(struct cl_store *store, const struct cl_store_key *key)
{
    void *array = store->keys;
    if (!make_room(&array, &store->key_room, store->key_count, sizeof *key))
        return CL_E_MEMORY;
    store->keys = array;
    store->keys[store->key_count++] = *key;
    return CL_OK;
}

enum cl_status cl_store_arrange(struct cl_store *store)
{
    const struct cl_store_key **vault = calloc(store->key_count + 1, sizeof *vault);
    if (vault == NULL)
        return CL_E_MEMORY;
    if (store->key_count > 0)
        qsort(store->keys, store->key_count, sizeof *store->keys, compare_keys);
    free((void *)store->vault);
    store->vault = vault;
    store->vault_count = 0;
    for (size_t i = 0; i < store->key_count; i++)
        if (store->keys[i].kind == CL_STORE_VAULT)
            vault[store->vault_count++] = &store->keys[i];
    if (store->vault_count > 0)
        qsort((void *)vault, store->vault_count, sizeof *vault, compare_names);
    return CL_OK;
}

static enum cl_status read_key(struct cl_store *store, const char *path, const uint8_t id16[16])
{
    struct cl_buffer file = {0};
    struct cl_store_key key = {0};
    enum cl_status status = cl_file_read(&file, path, CL_KEY_FILE_BYTES);
    if (status == CL_OK || status == CL_E_BOUND) {
        status = status == CL_E_BOUND ? status : cl_key_file_decode(&key, file.data, file.length, id16, store->secret32);
        if (status == CL_OK)
            status = cl_store_key_append(store, &key);
        else
            store->damaged += 1;
        status = status == CL_E_MEMORY ? status : CL_OK;
    }
    cl_wipe(&key, sizeof key);
    cl_buffer_deinit(&file);
    return status;
}

/* One name of the folder. What is not of our making is left alone. */
static enum cl_status take_name(struct cl_store *store, const char *name)
{
    char path[CL_STORE_FILE_PATH_MAX], hex[33];
    struct cl_store_id id;
    if (strnlen(name, 64) > 60 || strlen(name) < 36)
        return CL_OK;
    memcpy(hex, name, 32);
    hex[32] = '\0';
    const char *ending = name + 32;
    if (!cl_hex_decode(id.bytes, 16, hex))
        return CL_OK;
    (void)snprintf(path, sizeof path, "%s/%s", store->directory, name);
    if (strcmp(ending, GONE_ENDING) == 0 || strstr(ending, ".new-") != NULL)
        return cl_file_destroy(path) ? CL_OK : CL_E_IO;
    if (strcmp(ending, KEY_ENDING) == 0)
        return read_key(store, path, id.bytes);
    if (strcmp(ending, VALUE_ENDING) != 0)
        return CL_OK;
    void *array = store->values;
    if (!make_room(&array, &store->value_room, store->value_count, sizeof id))
        return CL_E_MEMORY;
    store->values = array;
    store->values[store->value_count++] = id;
    return CL_OK;
}

static enum cl_status read_folder(struct cl_store *store)
{
    DIR *folder = opendir(store->directory);
    if (folder == NULL)
        return CL_E_IO;
    enum cl_status status = CL_OK;
    struct dirent *entry;
    size_t count = 0;
    while (status == CL_OK && (entry = readdir(folder)) != NULL)
        status = ++count > CL_STORE_FILES_MAX ? CL_E_BOUND : take_name(store, entry->d_name);
    int saved = errno;
    (void)closedir(folder);
    errno = saved;
    return status == CL_OK ? cl_store_arrange(store) : status;
}

enum cl_status cl_store_new(struct cl_store **out, const char *directory, const uint8_t secret32[32])
{
    struct cl_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return CL_E_MEMORY;
    memcpy(store->secret32, secret32, 32);
    enum cl_status status = CL_OK;
    if (snprintf(store->directory, sizeof store->directory, "%s", directory) >= (int)sizeof store->directory) {
        errno = ENAMETOOLONG;
        status = CL_E_IO;
    } else if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        status = CL_E_IO;
    }
    if (status == CL_OK)
        status = read_folder(store);
    if (status == CL_OK && store->vault_count > CL_VAULT_ENTRIES_MAX)
        status = CL_E_BOUND;
    if (status == CL_OK)
        *out = store;
    else
        cl_store_free(store);
    return status;
}

enum cl_status cl_store_open(struct cl_store **out, const char *directory, struct cl_wallet *wallet)
{
    uint8_t secret[32];
    struct cl_store *store = NULL;
    enum cl_status status = cl_store_secret(secret, wallet);
    if (status == CL_OK)
        status = cl_store_new(&store, directory, secret);
    cl_wipe(secret, sizeof secret);
    for (size_t i = 0; status == CL_OK && i < wallet->item_count; i++) {
        const struct cl_store_key *key = cl_store_key_find(store, wallet->items[i].content_id16);
        if (key != NULL && key->kind == CL_STORE_ITEM && cl_wallet_item_content_open(&wallet->items[i], key->key32) == CL_E_MEMORY)
            status = CL_E_MEMORY;
    }
    if (status == CL_OK)
        *out = store;
    else
        cl_store_free(store);
    return status;
}

void cl_store_free(struct cl_store *store)
{
    if (store == NULL)
        return;
    if (store->keys != NULL)
        cl_wipe(store->keys, store->key_count * sizeof *store->keys);
    int saved = errno;
    free(store->keys);
    free(store->values);
    free((void *)store->vault);
    cl_wipe(store, sizeof *store);
    free(store);
    errno = saved;
}

void cl_store_name(uint8_t name16[16], const struct cl_store *store, const char *purpose, const struct cl_object_id *object)
{
    uint8_t code[32];
    cl_hmac_sha256(code, store->secret32, 32, object->bytes, 32); /* a key of its own for the object */
    cl_hmac_sha256(code, code, 32, purpose, strlen(purpose));
    memcpy(name16, code, 16);
    cl_wipe(code, sizeof code);
}

size_t cl_store_damaged(const struct cl_store *store) { return store->damaged; }

/* ---------------------------------------------------------------- keys of items */

static enum cl_status key_encode(struct cl_buffer *out, const struct cl_store *store, const struct cl_store_key *key)
{
    uint8_t nonce[24];
    enum cl_status status = cl_random(nonce, sizeof nonce);
    return status == CL_OK ? cl_key_file_encode(out, key, store->secret32, nonce) : status;
}

enum cl_status cl_store_key_write(const struct cl_store *store, const struct cl_store_key *key)
{
    struct cl_buffer file = {0};
    enum cl_status status = key_encode(&file, store, key);
    if (status == CL_OK)
        status = cl_store_file_replace(store->directory, key->id16, KEY_ENDING, file.data, file.length);
    cl_buffer_deinit(&file);
    return status;
}

/* On the disk first, then in the list. */
static enum cl_status keys_add(struct cl_store *store, const struct cl_store_key *keys, size_t count)
{
    struct cl_store_file *files = calloc(count + 1, sizeof *files);
    enum cl_status status = files == NULL ? CL_E_MEMORY : CL_OK;
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        memcpy(files[i].id16, keys[i].id16, 16);
        status = count <= CL_STORE_FEW ? cl_store_key_write(store, &keys[i]) : key_encode(&files[i].bytes, store, &keys[i]);
    }
    if (status == CL_OK && count > CL_STORE_FEW)
        status = cl_store_files_replace(store->directory, KEY_ENDING, files, count);
    for (size_t i = 0; i < count && status == CL_OK; i++)
        status = cl_store_key_append(store, &keys[i]);
    for (size_t i = 0; files != NULL && i < count; i++)
        cl_buffer_deinit(&files[i].bytes);
    free(files);
    return status;
}

enum cl_status cl_store_save_keys(struct cl_store *store, struct cl_wallet *wallet)
{
    struct cl_store_key *fresh = calloc(CL_STORE_GROUP_MAX, sizeof *fresh);
    enum cl_status status = fresh == NULL ? CL_E_MEMORY : CL_OK;
    size_t known = store->key_count, count = 0; /* those that are known are in order while others are appended */
    for (size_t i = 0; status == CL_OK && i < wallet->item_count; i++) {
        struct cl_wallet_item *item = &wallet->items[i];
        struct cl_store_key *key = &fresh[count];
        *key = (struct cl_store_key){.kind = CL_STORE_ITEM};
        status = cl_wallet_item_content_renew(item);
        memcpy(key->id16, item->content_id16, 16);
        if (status != CL_OK || !item->content_open || (known > 0 && bsearch(key, store->keys, known, sizeof *key, compare_keys) != NULL))
            continue;
        memcpy(key->key32, item->content_key32, 32);
        if (++count == CL_STORE_GROUP_MAX) {
            status = keys_add(store, fresh, count);
            count = 0;
        }
    }
    if (status == CL_OK)
        status = keys_add(store, fresh, count);
    if (fresh != NULL)
        cl_wipe(fresh, CL_STORE_GROUP_MAX * sizeof *fresh);
    free(fresh);
    enum cl_status arranged = cl_store_arrange(store);
    return status == CL_OK ? arranged : status;
}

/* The ids that the wallet refers to, in order; NULL without memory. */
struct cl_store_id *cl_store_ids_of(const struct cl_wallet *wallet)
{
    struct cl_store_id *ids = calloc(wallet->item_count + 1, sizeof *ids);
    for (size_t i = 0; ids != NULL && i < wallet->item_count; i++)
        memcpy(ids[i].bytes, wallet->items[i].content_id16, 16);
    if (ids != NULL && wallet->item_count > 0)
        qsort(ids, wallet->item_count, sizeof *ids, cl_store_id_compare);
    return ids;
}

void cl_store_key_drop(struct cl_store *store, size_t position)
{
    memmove(&store->keys[position], &store->keys[position + 1], (store->key_count - position - 1) * sizeof *store->keys);
    store->key_count--;
    cl_wipe(&store->keys[store->key_count], sizeof *store->keys);
}

/* Values that no key file names. Where key files do not open, nobody knows whose they are: they stay. */
bool cl_store_sweep_values(struct cl_store *store)
{
    bool good = true;
    if (store->damaged > 0 || store->value_count == 0)
        return true;
    struct cl_store_id *named = calloc(store->vault_count + 1, sizeof *named);
    if (named == NULL)
        return false;
    for (size_t i = 0; i < store->vault_count; i++)
        memcpy(named[i].bytes, store->vault[i]->value16, 16);
    if (store->vault_count > 0)
        qsort(named, store->vault_count, sizeof *named, cl_store_id_compare);
    for (size_t i = 0; good && i < store->value_count; i++)
        if (store->vault_count == 0 || bsearch(&store->values[i], named, store->vault_count, sizeof *named, cl_store_id_compare) == NULL)
            good = cl_value_file_remove(store->directory, store->values[i].bytes);
    free(named);
    store->value_count = 0;
    return good;
}

enum cl_status cl_store_sweep(struct cl_store *store, const struct cl_wallet *wallet)
{
    struct cl_store_id *ids = cl_store_ids_of(wallet);
    if (ids == NULL)
        return CL_E_MEMORY;
    bool good = true;
    for (size_t i = store->key_count; good && i-- > 0;) {
        const struct cl_store_key *key = &store->keys[i];
        if (key->kind != CL_STORE_ITEM || (wallet->item_count > 0 && bsearch(key->id16, ids, wallet->item_count, sizeof *ids, cl_store_id_compare) != NULL))
            continue;
        good = cl_store_file_destroy(store->directory, key->id16, KEY_ENDING);
        if (good)
            cl_store_key_drop(store, i);
    }
    free(ids);
    enum cl_status status = cl_store_arrange(store);
    if (status == CL_OK && !(good && cl_store_sweep_values(store)))
        status = CL_E_IO;
    return status;
}

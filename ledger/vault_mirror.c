/* A copy of the store's folder elsewhere, brought up to date: what is new here comes, what was destroyed here is destroyed
   there. */
#include "vault_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto.h"
#include "exchange_format.h"

static enum cl_status copy_file(const struct cl_store *from, const struct cl_store *to, const uint8_t id16[16], const char *ending)
{
    char source[CL_STORE_FILE_PATH_MAX], target[CL_STORE_FILE_PATH_MAX];
    struct cl_buffer data = {0};
    cl_store_path(source, from->directory, id16, ending);
    cl_store_path(target, to->directory, id16, ending);
    enum cl_status status = cl_file_read(&data, source, CL_VALUE_FILE_BYTES_MAX);
    if (status == CL_OK)
        status = strcmp(ending, VALUE_ENDING) != 0 ? cl_store_file_replace(to->directory, id16, ending, data.data, data.length) : cl_file_replace(target, data.data, data.length, true);
    cl_buffer_deinit(&data);
    return status;
}

static bool value_is_there(const struct cl_store *store, const uint8_t value16[16])
{
    char path[CL_STORE_FILE_PATH_MAX];
    cl_store_path(path, store->directory, value16, VALUE_ENDING);
    return access(path, F_OK) == 0;
}

/* Destroys in the copy what is not in the source, and forgets it: a value whose key is gone is swept. */
static enum cl_status prune(struct cl_store *copy, const struct cl_store *source, const struct cl_wallet *wallet)
{
    struct cl_store_id *ids = cl_store_ids_of(wallet);
    if (ids == NULL)
        return CL_E_MEMORY;
    bool good = true;
    for (size_t i = copy->key_count; good && i-- > 0;) {
        const struct cl_store_key *key = &copy->keys[i];
        bool wanted = key->kind == CL_STORE_ITEM && wallet->item_count > 0 && bsearch(key->id16, ids, wallet->item_count, sizeof *ids, cl_store_id_compare) != NULL;
        if (wanted || cl_store_key_find(source, key->id16) != NULL)
            continue;
        good = cl_store_file_destroy(copy->directory, key->id16, KEY_ENDING);
        if (good)
            cl_store_key_drop(copy, i);
    }
    free(ids);
    return good ? CL_OK : CL_E_IO;
}

/* ---- exchange files: by name, and by what they hold, since one is written again under its name */

struct names { size_t count, room; struct cl_store_id *ids; };

static enum cl_status name_add(struct names *names, const uint8_t id16[16])
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : 2 * names->room;
        struct cl_store_id *more = realloc(names->ids, room * sizeof *more);
        if (more == NULL)
            return CL_E_MEMORY;
        names->ids = more;
        names->room = room;
    }
    memcpy(names->ids[names->count++].bytes, id16, 16);
    return CL_OK;
}

static bool name_there(const struct names *names, const uint8_t id16[16])
{
    return names->count > 0 && bsearch(id16, names->ids, names->count, sizeof *names->ids, cl_store_id_compare) != NULL;
}

static enum cl_status names_of_folder(struct names *names, const char *directory)
{
    enum cl_status status = CL_OK;
    struct dirent *entry;
    DIR *folder = opendir(directory);
    if (folder == NULL)
        return CL_E_IO;
    while (status == CL_OK && (entry = readdir(folder)) != NULL) {
        struct cl_store_id id;
        char hex[33] = {0};
        if (strlen(entry->d_name) != 32 + sizeof EXCHANGE_ENDING - 1 || strcmp(entry->d_name + 32, EXCHANGE_ENDING) != 0)
            continue;
        memcpy(hex, entry->d_name, 32);
        if (cl_hex_decode(id.bytes, 16, hex))
            status = names->count >= CL_STORE_FILES_MAX ? CL_E_BOUND : name_add(names, id.bytes);
    }
    (void)closedir(folder);
    if (status == CL_OK && names->count > 0)
        qsort(names->ids, names->count, sizeof *names->ids, cl_store_id_compare);
    return status;
}

/* Those of agreements whose contents do not open here: their keys are in the copy only, and so may this be. */
static enum cl_status names_locked(struct names *names, const struct cl_store *store, const struct cl_wallet *wallet)
{
    enum cl_status status = CL_OK;
    for (size_t i = 0; status == CL_OK && i < wallet->item_count; i++) {
        uint8_t id16[16];
        if (wallet->items[i].content_open)
            continue;
        cl_exchange_name(id16, store->secret32, &wallet->items[i].object);
        status = name_add(names, id16);
    }
    if (status == CL_OK && names->count > 0)
        qsort(names->ids, names->count, sizeof *names->ids, cl_store_id_compare);
    return status;
}

/* Copies what differs. */
static enum cl_status exchange_copy(const struct cl_store *from, const struct cl_store *to, const uint8_t id16[16])
{
    char source[CL_STORE_FILE_PATH_MAX], target[CL_STORE_FILE_PATH_MAX];
    struct cl_buffer here = {0}, there = {0};
    cl_store_path(source, from->directory, id16, EXCHANGE_ENDING);
    cl_store_path(target, to->directory, id16, EXCHANGE_ENDING);
    enum cl_status status = cl_file_read(&here, source, CL_VALUE_FILE_BYTES_MAX);
    enum cl_status copied = cl_file_read(&there, target, CL_VALUE_FILE_BYTES_MAX);
    bool same = copied == CL_OK && here.length == there.length && (here.length == 0 || memcmp(here.data, there.data, here.length) == 0);
    if (status == CL_OK && !same)
        status = cl_store_file_replace(to->directory, id16, EXCHANGE_ENDING, here.data, here.length);
    cl_buffer_deinit(&here);
    cl_buffer_deinit(&there);
    return status;
}

static enum cl_status exchanges_mirror(const struct cl_store *store, const struct cl_store *copy, const struct cl_wallet *wallet)
{
    struct names here = {0}, there = {0}, locked = {0};
    enum cl_status status = names_of_folder(&here, store->directory);
    for (size_t i = 0; status == CL_OK && i < here.count; i++)
        status = exchange_copy(store, copy, here.ids[i].bytes);
    if (status == CL_OK)
        status = names_of_folder(&there, copy->directory);
    if (status == CL_OK)
        status = names_locked(&locked, store, wallet);
    for (size_t i = 0; status == CL_OK && i < there.count; i++)
        if (!name_there(&here, there.ids[i].bytes) && !name_there(&locked, there.ids[i].bytes) && !cl_store_file_destroy(copy->directory, there.ids[i].bytes, EXCHANGE_ENDING))
            status = CL_E_IO;
    free(here.ids);
    free(there.ids);
    free(locked.ids);
    return status;
}

enum cl_status cl_store_mirror(const struct cl_store *store, const char *directory, const struct cl_wallet *wallet)
{
    struct cl_store *copy = NULL;
    enum cl_status status = cl_store_new(&copy, directory, store->secret32);
    for (size_t i = 0; status == CL_OK && i < store->key_count; i++) {
        const struct cl_store_key *key = &store->keys[i], *there = cl_store_key_find(copy, key->id16);
        if (key->kind == CL_STORE_VAULT && !value_is_there(copy, key->value16))
            status = copy_file(store, copy, key->value16, VALUE_ENDING);
        if (status == CL_OK && (there == NULL || !cl_equal_constant_time(there->key32, key->key32, 32)))
            status = copy_file(store, copy, key->id16, KEY_ENDING);
    }
    cl_store_free(copy);
    copy = NULL;
    if (status == CL_OK) /* once more, for what is there now */
        status = cl_store_new(&copy, directory, store->secret32);
    if (status == CL_OK)
        status = prune(copy, store, wallet);
    if (status == CL_OK)
        status = cl_store_arrange(copy);
    if (status == CL_OK && !cl_store_sweep_values(copy))
        status = CL_E_IO;
    if (status == CL_OK)
        status = exchanges_mirror(store, copy, wallet);
    cl_store_free(copy);
    return status;
}

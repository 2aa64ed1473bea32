/* The register of releases given, held and asked for: files in the wallet's folder (consent/source.h), found by what a
   request or an answer says, or walked through. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "crypto.h"
#include "source_format.h"
#include "vault_internal.h"

#define SOURCE_ENDING ".source"
#define FILE_BYTES_MAX 20480u

/* The name that the register knows an entry by, and what its document says. */
struct about { uint8_t id16[16]; struct cl_object_id one, other; uint64_t until_s; };

static enum cl_status about_of(struct about *out, const struct cl_source_entry *entry, const struct cl_store *store)
{
    struct cl_source_release release;
    struct cl_source_pointer pointer;
    if (entry->way == CL_SOURCE_ASKED) {
        if (cl_source_pointer_decode(&pointer, entry->document.data, entry->document.length) != CL_OK)
            return CL_E_VALUE;
        *out = (struct about){.one = pointer.agreement, .other = pointer.agreement, .until_s = pointer.until_s};
        cl_source_file_name(out->id16, store->secret32, entry->way, entry->request.bytes);
        return CL_OK;
    }
    if (cl_source_release_decode(&release, entry->document.data, entry->document.length) != CL_OK)
        return CL_E_VALUE;
    *out = (struct about){.one = release.agreement, .other = release.reader, .until_s = release.until_s};
    cl_source_file_name(out->id16, store->secret32, entry->way, release.reference16);
    return CL_OK;
}

static enum cl_status read_file(struct cl_source_entry *out, const struct cl_store *store, const uint8_t id16[16])
{
    char path[CL_STORE_FILE_PATH_MAX];
    struct cl_buffer file = {0};
    cl_store_path(path, store->directory, id16, SOURCE_ENDING);
    enum cl_status status = cl_file_read(&file, path, FILE_BYTES_MAX);
    if (status == CL_OK)
        status = cl_source_file_decode(out, file.data, file.length, id16, store->secret32);
    cl_buffer_deinit(&file);
    return status == CL_OK || status == CL_E_NOT_FOUND || status == CL_E_IO || status == CL_E_MEMORY ? status : CL_E_LOCKED;
}

enum cl_status cl_source_load(struct cl_source_entry *out, const struct cl_store *store, enum cl_source_way way, const uint8_t name16[16])
{
    uint8_t id16[16];
    cl_source_file_name(id16, store->secret32, way, name16);
    enum cl_status status = read_file(out, store, id16);
    if (status == CL_OK && out->way != way) {
        cl_source_entry_deinit(out);
        status = CL_E_LOCKED;
    }
    return status;
}

/* The names of the register's files; *names is the caller's to free. */
static enum cl_status names_of(struct cl_store_id **names, size_t *count, const struct cl_store *store)
{
    enum cl_status status = CL_OK;
    size_t room = 0;
    struct dirent *entry;
    *names = NULL;
    *count = 0;
    DIR *folder = opendir(store->directory);
    if (folder == NULL)
        return CL_E_IO;
    while (status == CL_OK && (entry = readdir(folder)) != NULL) {
        struct cl_store_id id;
        char hex[33] = {0};
        if (strlen(entry->d_name) != 32 + sizeof SOURCE_ENDING - 1 || strcmp(entry->d_name + 32, SOURCE_ENDING) != 0)
            continue;
        memcpy(hex, entry->d_name, 32);
        if (!cl_hex_decode(id.bytes, 16, hex))
            continue;
        if (*count == room) {
            room = room == 0 ? 64 : 2 * room;
            struct cl_store_id *more = room > 2u * CL_SOURCE_FILES_MAX ? NULL : realloc(*names, room * sizeof *more);
            status = more != NULL ? CL_OK : room > 2u * CL_SOURCE_FILES_MAX ? CL_E_BOUND : CL_E_MEMORY;
            *names = more != NULL ? more : *names;
        }
        if (status == CL_OK)
            (*names)[(*count)++] = id;
    }
    (void)closedir(folder);
    return status;
}

enum cl_status cl_source_save(const struct cl_source_entry *entry, const struct cl_store *store)
{
    struct cl_buffer file = {0};
    struct about about;
    struct cl_source_entry before;
    struct cl_store_id *names = NULL;
    uint8_t nonce[24];
    size_t count = 0;
    enum cl_status status = about_of(&about, entry, store);
    if (status != CL_OK)
        return status;
    status = read_file(&before, store, about.id16);
    if (status == CL_OK) {
        cl_source_entry_deinit(&before);
    } else if (status == CL_E_NOT_FOUND) { /* a new one: is there room? */
        status = names_of(&names, &count, store);
        free(names);
        if (status == CL_OK && count >= CL_SOURCE_FILES_MAX)
            status = CL_E_BOUND;
    }
    if (status == CL_OK)
        status = cl_random(nonce, sizeof nonce);
    if (status == CL_OK)
        status = cl_source_file_encode(&file, entry, about.id16, store->secret32, nonce);
    if (status == CL_OK)
        status = cl_store_file_replace(store->directory, about.id16, SOURCE_ENDING, file.data, file.length);
    cl_buffer_deinit(&file);
    return status;
}

enum cl_status cl_source_remove(const struct cl_source_entry *entry, const struct cl_store *store)
{
    struct about about;
    enum cl_status status = about_of(&about, entry, store);
    return status == CL_OK && !cl_store_file_destroy(store->directory, about.id16, SOURCE_ENDING) ? CL_E_IO : status;
}

enum cl_status cl_source_each(const struct cl_store *store, enum cl_status (*each)(void *context, const struct cl_source_entry *entry), void *context)
{
    struct cl_store_id *names;
    size_t count;
    enum cl_status status = names_of(&names, &count, store);
    for (size_t i = 0; status == CL_OK && i < count; i++) {
        struct cl_source_entry entry;
        status = read_file(&entry, store, names[i].bytes);
        if (status == CL_OK) {
            status = each(context, &entry);
            cl_source_entry_deinit(&entry);
        } else if (status == CL_E_LOCKED || status == CL_E_NOT_FOUND) {
            status = CL_OK; /* another wallet's, or damaged: left alone */
        }
    }
    free(names);
    return status;
}

struct sweep { const struct cl_store *store; const struct cl_object_id *agreement; uint64_t now_s; size_t *count; };

static enum cl_status sweep_one(void *context, const struct cl_source_entry *entry)
{
    struct sweep *sweep = context;
    struct about about;
    if (about_of(&about, entry, sweep->store) != CL_OK)
        return CL_OK;
    bool meant = sweep->agreement == NULL ? about.until_s + CL_SOURCE_KEPT_S < sweep->now_s
        : memcmp(about.one.bytes, sweep->agreement->bytes, 32) == 0 || memcmp(about.other.bytes, sweep->agreement->bytes, 32) == 0;
    *sweep->count += meant ? 1 : 0;
    return meant ? cl_source_remove(entry, sweep->store) : CL_OK;
}

enum cl_status cl_source_sweep(size_t *count, const struct cl_store *store, const struct cl_object_id *agreement, uint64_t now_ms)
{
    struct sweep sweep = {store, agreement, now_ms / 1000u, count};
    return cl_source_each(store, sweep_one, &sweep);
}

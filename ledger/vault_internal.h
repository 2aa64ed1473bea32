/* What the files of the store and the vault share. */
#ifndef LEDGER_VAULT_INTERNAL_H
#define LEDGER_VAULT_INTERNAL_H

#include "vault_format.h"

#define KEY_ENDING ".key"
#define VALUE_ENDING ".value"
#define EXCHANGE_ENDING ".exchange"
#define GONE_ENDING ".gone"

#define CL_STORE_FILE_PATH_MAX (CL_STORE_PATH_MAX + 64u)

struct cl_store_id { uint8_t bytes[16]; };

struct cl_store {
    char directory[CL_STORE_PATH_MAX];
    uint8_t secret32[32];
    size_t key_count, key_room, value_count, value_room, damaged, vault_count;
    struct cl_store_key *keys;         /* by id */
    struct cl_store_id *values;        /* found when the store was opened */
    const struct cl_store_key **vault; /* by name; of keys */
};

/* vault_files.c: false, with errno, where the disk does not do it */
void cl_store_path(char out[CL_STORE_FILE_PATH_MAX], const char *directory, const uint8_t id16[16], const char *ending);
/* Out of the way first: from then on it is gone for every reader, also where the overwriting is interrupted. */
bool cl_store_file_destroy(const char *directory, const uint8_t id16[16], const char *ending);
bool cl_value_file_remove(const char *directory, const uint8_t value16[16]);
/* As a whole; and overwrites what was there before, since it held what must not come back. */
CL_MUST_USE enum cl_status cl_store_file_replace(const char *directory, const uint8_t id16[16], const char *ending, const uint8_t *data, size_t length);
/* Several, each as a whole: files are synced together (syncfs), so many cost little more than one. At most CL_STORE_GROUP_MAX. */
#define CL_STORE_GROUP_MAX 256u
#define CL_STORE_FEW 4u /* so many are better written one by one: syncing everything may wait for what other programs wrote */
struct cl_store_file { uint8_t id16[16]; struct cl_buffer bytes; };
CL_MUST_USE enum cl_status cl_store_files_replace(const char *directory, const char *ending, const struct cl_store_file *files, size_t count);

/* vault_store.c */
/* The folder as it is, made where there is none. CL_E_IO, CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_store_new(struct cl_store **out, const char *directory, const uint8_t secret32[32]);
struct cl_store_key *cl_store_key_find(const struct cl_store *store, const uint8_t id16[16]); /* NULL: none */
int cl_store_id_compare(const void *a, const void *b);
struct cl_store_id *cl_store_ids_of(const struct cl_wallet *wallet); /* of the items' keys, in order; the caller frees; NULL without memory */
bool cl_store_sweep_values(struct cl_store *store); /* removes values that no key file names */
CL_MUST_USE enum cl_status cl_store_key_write(const struct cl_store *store, const struct cl_store_key *key); /* the file */
CL_MUST_USE enum cl_status cl_store_key_append(struct cl_store *store, const struct cl_store_key *key); /* to the list; cl_store_arrange follows */
void cl_store_key_drop(struct cl_store *store, size_t position); /* from the list; cl_store_arrange follows */
CL_MUST_USE enum cl_status cl_store_arrange(struct cl_store *store); /* orders keys by id, the vault's by name */

#endif

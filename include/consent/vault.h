/* The store: a folder beside the wallet with one small file for the key of each item's content, and the vault: a
   person's data items, each in an encrypted file with a key of its own. design/privacy.md 4: salts and bodies are stored
   encrypted under a key for each agreement, and destroying that key is the erasure. So a key is in its file and nowhere
   else: not in the wallet, not in its backup. Key files are sealed under a key that follows from the words, names of
   files are random. Layouts: ledger/formats.cddl "key-file", "value-file". No clock: times come in.

   The caller holds the wallet's lock: one process at a time. What is said to have happened is on disk; a process that is
   killed leaves the old or the new, and what it left lying is removed at the next cl_store_open and cl_store_sweep. */
#ifndef CONSENT_VAULT_H
#define CONSENT_VAULT_H

#include "consent/wallet.h"

#define CL_VAULT_ENTRIES_MAX 4096u                       /* CL_E_BOUND beyond */
#define CL_VAULT_VALUE_BYTES_MAX (16u * 1024u * 1024u)   /* CL_E_BOUND beyond */
#define CL_VAULT_CATEGORY_BYTES_MAX 96u
#define CL_MEDIA_TYPE_BYTES_MAX 127u
#define CL_STORE_FILES_MAX (2u * CL_WALLET_ITEMS_MAX + 4u * CL_VAULT_ENTRIES_MAX) /* names in the folder: CL_E_BOUND beyond */
#define CL_STORE_PATH_MAX 3600u

struct cl_vault_entry {
    char name[CL_NAME_BYTES_MAX + 1];
    char category[CL_VAULT_CATEGORY_BYTES_MAX + 1];      /* "pd:EmailAddress" */
    char media_type[CL_MEDIA_TYPE_BYTES_MAX + 1];        /* RFC 6838: type/subtype */
    uint64_t changed_ms, size;
};

struct cl_store; /* opaque */

/* Opens the folder, and makes it where there is none. Reads all key files, opens the contents of the wallet's items
   whose keys are there, finishes destructions that were interrupted. wallet: borrowed while it runs only.
   CL_E_IO (errno set), CL_E_BOUND, CL_E_MEMORY. A damaged file is no error: see cl_store_damaged. */
CL_MUST_USE enum cl_status cl_store_open(struct cl_store **out, const char *directory, struct cl_wallet *wallet);
void cl_store_free(struct cl_store *store); /* wipes; NULL is fine */
/* Key files that do not open: damaged, or another wallet's. They are left alone. */
size_t cl_store_damaged(const struct cl_store *store);

/* Before the wallet is written: every item's key gets its file. CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_store_save_keys(struct cl_store *store, struct cl_wallet *wallet);
/* After the wallet was written: destroys each key that no item of it refers to any more, and files that belong to
   nothing. Overwrites, syncs, removes, syncs the folder. CL_E_IO. */
CL_MUST_USE enum cl_status cl_store_sweep(struct cl_store *store, const struct cl_wallet *wallet);
/* Makes the folder `directory` hold what this store holds: copies what is missing or differs, destroys there what was
   destroyed here (but for keys that the wallet refers to and this store has not). Killed and begun again it goes on.
   wallet: the one whose words both belong to. CL_E_IO, CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_store_mirror(const struct cl_store *store, const char *directory, const struct cl_wallet *wallet);

/* A name for a file that has to do with an object: the same each time, another for each purpose, and without the words nobody
   can tell of which object it is, nor try. */
void cl_store_name(uint8_t name16[16], const struct cl_store *store, const char *purpose, const struct cl_object_id *object);

/* ---- the vault */
size_t cl_vault_count(const struct cl_store *store);
/* By name, ascending; valid until the vault changes. No value is decrypted. */
const struct cl_vault_entry *cl_vault_at(const struct cl_store *store, size_t position);
const struct cl_vault_entry *cl_vault_find(const struct cl_store *store, const char *name); /* NULL: none */
/* Whether text has the form type/subtype, without parameters. */
bool cl_media_type_usable(const char *text);
/* Adds an item; entry->size is not read. CL_E_EXISTS (the name), CL_E_ARGUMENT (name, category that the vocabulary does
   not have, media type), CL_E_BOUND, CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_vault_put(struct cl_store *store, const struct cl_vault_entry *entry, const uint8_t *value, size_t length);
/* Another value (and media type, and time) under the same name and category, with another key: the old one is destroyed.
   CL_E_NOT_FOUND, else as cl_vault_put. */
CL_MUST_USE enum cl_status cl_vault_change(struct cl_store *store, const struct cl_vault_entry *entry, const uint8_t *value, size_t length);
/* Appends the value; out is best a secret buffer. CL_E_NOT_FOUND, CL_E_IO, CL_E_LOCKED (another's value, or damaged). */
CL_MUST_USE enum cl_status cl_vault_value(struct cl_buffer *out, const struct cl_store *store, const char *name);
/* Destroys the key, then the value. CL_E_NOT_FOUND, CL_E_IO. */
CL_MUST_USE enum cl_status cl_vault_remove(struct cl_store *store, const char *name);

#endif

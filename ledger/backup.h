/* A backup of a ledger as one stream of bytes: what is authoritative in the store (tables.h: m, b, r, w), as it was at one
   moment. Indexes and state are left out, because restoring computes them again anyway, to check them. No sockets, no
   files: whoever calls carries the bytes.

   offset   size   meaning
   0        17     "consent-backup-1" and a line feed
   17       1+4    rows: key length (1 to 72), value length (big-endian), then key and value; tables in the order m, b, r,
                   w, keys of a table ascending
   …        1      0 instead of a key length: there are no more
   …        32     SHA-256 of all before it */
#ifndef LEDGER_BACKUP_H
#define LEDGER_BACKUP_H

#include "ledger.h"

#define CL_BACKUP_VALUE_BYTES_MAX (256u * 1024u) /* blocks, chunks and records are shorter; a longer row is no backup's */

/* All of data is taken, or it fails. */
typedef enum cl_status (*cl_backup_put)(void *context, const uint8_t *data, size_t length);
/* [any thread] What the store holds now; later writes wait for nothing and are not in it. CL_E_PENDING before anything is
   put: the newest block's certificate is about to be stored with the next one; try again. Other errors: put's, the store's. */
CL_MUST_USE enum cl_status cl_backup_write(const struct cl_store *store, cl_backup_put put, void *context);

/* All of length is given, or it fails; CL_E_FORMAT where the bytes end before. */
typedef enum cl_status (*cl_backup_get)(void *context, uint8_t *out, size_t length);
struct cl_backup_summary { bool has_tip; struct cl_tip tip; uint64_t rows, bytes; struct cl_network_id network; };
typedef void (*cl_backup_progress)(void *context, const struct cl_backup_summary *so_far, uint64_t log_index);
/* Reads a stream to its end, and puts its rows into an empty store (NULL: only looks at it). CL_OK: it is whole, and its
   bytes are those that were written; nothing else is known of it until it is restored. CL_E_FORMAT: it is not a backup, cut
   or damaged; CL_E_VERSION: of a later kind; the store's errors, get's. */
CL_MUST_USE enum cl_status cl_backup_read(struct cl_backup_summary *out, const struct cl_store *store, cl_backup_get get, void *context,
                                          cl_backup_progress progress, void *progress_context);

/* Offline: makes a whole ledger in the empty store `out` from what a backup put into `source`: every block is made again
   from its records, whose signatures are checked, and must come out with the id and the certificate that it has there, and
   the signed checkpoint must be of it. Promised withdrawals and the checkpoint are carried over. CL_E_STORE_CORRUPT and the
   others of cl_ledger_check, with a sentence in detail; then out is of no use. */
CL_MUST_USE enum cl_status cl_ledger_restore(struct cl_store *out, struct cl_store *source, const struct cl_smt_buckets *buckets, const struct cl_genesis *genesis,
                                             cl_progress_fn progress, void *progress_context, char *detail, size_t detail_size);

#endif

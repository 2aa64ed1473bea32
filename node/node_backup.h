/* Backups: a running node streams one to whoever of its own user asks on a socket in its data directory; the commands
   `consentd backup` and `consentd restore` write it to a directory of files and make a data directory of those.

   In a backup's directory: ledger.backup (ledger/backup.h), genesis.json, member.json, tls.crt; with keys also node.seed,
   tls.key, reader.token (mode 0600). The vote log is never in it: an old one is worse than none. */
#ifndef NODE_NODE_BACKUP_H
#define NODE_NODE_BACKUP_H

#include "genesis.h"

/* ---- in a running node */
struct backup_server;
struct backup_report { uint64_t count, newest_s; /* backups that were taken whole since the start; when the last one was, or 0 */ };
/* Listens at DATA/backup.sock (mode 0600), one backup at a time, on a thread of its own. data and store are borrowed.
   CL_E_IO with errno, CL_E_MEMORY. */
CL_MUST_USE enum cl_status backup_server_start(struct backup_server **out, const char *data, const struct cl_store *store);
void backup_server_stop(struct backup_server *server); /* NULL is fine; a backup that is being taken is cut */
void backup_server_report(const struct backup_server *server, struct backup_report *out); /* any thread; NULL: all zero */

/* ---- commands. Progress goes to standard error, what was done to standard output; sentence: why it was not. */
struct backup_options { const char *data, *genesis_path, *directory; bool with_keys; };
CL_MUST_USE enum cl_status backup_make(const struct backup_options *options, char *sentence, size_t sentence_size);
CL_MUST_USE enum cl_status backup_restore(const struct backup_options *options, char *sentence, size_t sentence_size);
/* The stream of the node that runs on this data directory; -1: none does, or errno is another than ENOENT, ECONNREFUSED. */
int backup_connect(const char *data);

#endif

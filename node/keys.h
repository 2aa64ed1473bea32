/* The node's keys: all derived from one seed in a file that only its owner may read, but the TLS key, which is P-256. */
#ifndef NODE_KEYS_H
#define NODE_KEYS_H

#include "consent/state.h"

struct node_keys {
    uint8_t vote_seed[32], log_seed[32], witness_seed[32], party_secret[32];
    uint8_t vote[32], log[32], witness[32], party[33]; /* public */
};

/* Makes DATA/node.seed (mode 0600); CL_E_EXISTS where there is one. CL_E_IO with errno. */
CL_MUST_USE enum cl_status node_keys_create(struct node_keys *out, const char *data);
/* CL_E_NOT_FOUND; CL_E_SECRET: the file is not a seed file, or others may read it. */
CL_MUST_USE enum cl_status node_keys_load(struct node_keys *out, const char *data);
void node_keys_wipe(struct node_keys *keys);
/* From the seed alone; for tests and the bench. */
CL_MUST_USE enum cl_status node_keys_derive(struct node_keys *out, const uint8_t seed32[32]);

/* A self-signed P-256 certificate for links, valid 20 years: PEM text of both, NUL-terminated. CL_E_UNSUPPORTED with
   mbedTLS's words in error where it fails. */
#define NODE_PEM_BYTES_MAX 4096u
CL_MUST_USE enum cl_status node_certificate_make(char certificate_pem[NODE_PEM_BYTES_MAX], char key_pem[NODE_PEM_BYTES_MAX],
                                                 const char *name, char *error, size_t error_size);
/* Is this one certificate in PEM? */
bool node_certificate_valid(const char *pem);
/* Is it one that its holder signed, for this name? Dates are not looked at. */
bool node_certificate_names(const char *pem, const char *name);
/* Its last second since 1970; 0: it cannot be read. */
uint64_t node_certificate_until(const char *pem);

#endif

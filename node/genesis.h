/* The genesis document: JSON that people read, whose exact bytes name the network. And the member files that go into it. */
#ifndef NODE_GENESIS_H
#define NODE_GENESIS_H

#include "keys.h"
#include "ledger.h"

#define GENESIS_BYTES_MAX (1024u * 1024u)

struct member_info {
    char role[32], jurisdiction[16], address[256];
    char certificate[NODE_PEM_BYTES_MAX];
};
struct node_genesis {
    struct cl_genesis core;
    struct cl_buffer bytes;      /* the document, exactly */
    struct member_info *info;    /* one for each member of core.value */
};
struct genesis_error { char sentence[256]; };

/* Reads and checks a document: every key known, names and keys distinct and valid, parameters within the limits.
   CL_E_FORMAT with a sentence; CL_E_MEMORY. On CL_OK call node_genesis_deinit. */
CL_MUST_USE enum cl_status node_genesis_decode(struct node_genesis *out, struct genesis_error *error, const uint8_t *bytes, size_t length);
CL_MUST_USE enum cl_status node_genesis_load(struct node_genesis *out, struct genesis_error *error, const char *path);
void node_genesis_deinit(struct node_genesis *genesis);

/* A member file's JSON text (as `consentd init` writes it). */
CL_MUST_USE enum cl_status member_file_encode(struct cl_buffer *out, const char *name, const struct member_info *info, const struct node_keys *keys);
/* Puts a document together from member files; checks it as node_genesis_decode does. */
CL_MUST_USE enum cl_status node_genesis_compose(struct cl_buffer *out, struct genesis_error *error, const char *origin, uint64_t time_ms,
                                                const struct cl_parameters *parameters, const char *const *member_paths, size_t member_count);
void node_parameters_default(struct cl_parameters *out);
bool member_name_valid(const char *name);
bool origin_valid(const char *origin);
/* The member whose vote key is ours; SIZE_MAX where there is none. */
size_t node_genesis_member(const struct node_genesis *genesis, const struct node_keys *keys);

#endif

/* The genesis document: JSON that people read, whose exact bytes name the network. And the member files that go into it.
   Besides members, who vote, it may admit observers, who replicate and serve. Both have links: they are the peers, the
   members first, so an index below member_count is a member's and any other an observer's. */
#ifndef NODE_GENESIS_H
#define NODE_GENESIS_H

#include "address.h"
#include "keys.h"
#include "ledger.h"

#define GENESIS_BYTES_MAX (1024u * 1024u)
#define GENESIS_PEERS_MAX CL_MEMBERS_MAX        /* members and observers together: who has links */
#define GENESIS_PROPOSED_RECORDS_MAX 4096u      /* block_records_max where there are others: a proposal is one frame */

struct member_info {
    char role[32], jurisdiction[16];            /* "" for an observer */
    char address[NODE_ADDRESS_SIZE];            /* HOST:PORT of links; anything where there is one peer only */
    char certificate[NODE_PEM_BYTES_MAX];
};
struct genesis_observer { char name[CL_MEMBER_NAME_BYTES_MAX + 1]; uint8_t vote[32]; }; /* its key signs hellos, never votes */
struct node_genesis {
    struct cl_genesis core;
    struct cl_buffer bytes;      /* the document, exactly */
    size_t observer_count;
    struct genesis_observer *observers;
    struct member_info *info;    /* one for each peer */
};
struct genesis_peer { const char *name; const uint8_t *vote32; const struct member_info *info; }; /* borrowed */
struct genesis_error { char sentence[256]; };

/* Reads and checks a document: every key known, names and keys distinct and valid, parameters within the limits; where it
   names more than one peer, each has an address and a certificate of its own that is good for its name.
   CL_E_FORMAT with a sentence; CL_E_MEMORY. On CL_OK call node_genesis_deinit. */
CL_MUST_USE enum cl_status node_genesis_decode(struct node_genesis *out, struct genesis_error *error, const uint8_t *bytes, size_t length);
CL_MUST_USE enum cl_status node_genesis_load(struct node_genesis *out, struct genesis_error *error, const char *path);
void node_genesis_deinit(struct node_genesis *genesis);

/* A member file's JSON text (as `consentd init` writes it); of an observer: without a role. */
CL_MUST_USE enum cl_status member_file_encode(struct cl_buffer *out, const char *name, const struct member_info *info, const struct node_keys *keys);
/* Puts a document together from member files, in their order, observers apart; checks it as node_genesis_decode does. */
CL_MUST_USE enum cl_status node_genesis_compose(struct cl_buffer *out, struct genesis_error *error, const char *origin, uint64_t time_ms,
                                                const struct cl_parameters *parameters, const char *const *member_paths, size_t member_count);
/* peer_count: members and observers. Where there are several, a block is what goes from one to another in moments. */
void node_parameters_default(struct cl_parameters *out, size_t peer_count);
bool member_name_valid(const char *name);
bool origin_valid(const char *origin);
size_t node_genesis_peer_count(const struct node_genesis *genesis);
void node_genesis_peer(struct genesis_peer *out, const struct node_genesis *genesis, size_t index);
/* The peer whose vote key is ours; SIZE_MAX where there is none. */
size_t node_genesis_own(const struct node_genesis *genesis, const struct node_keys *keys);

#endif

/* What an operator may set: an ini file in which an unknown key is an error with its line. */
#ifndef NODE_CONFIG_H
#define NODE_CONFIG_H

#include "address.h"
#include "consent/status.h"

#include <stddef.h>
#include <stdint.h>

#define NODE_PATH_MAX 1024u
#define NODE_CONFIG_BYTES_MAX 65536u

struct node_config {
    char data[NODE_PATH_MAX];             /* the data directory; from the command line */
    char genesis[NODE_PATH_MAX];          /* [node] genesis; empty: DATA/genesis.json */
    uint64_t workers;                     /* [node] workers: threads that check signatures; 0: one for each processor */
    uint64_t cosign_interval_s;           /* [node] cosign_interval_s: an idle node signs its newest tree again */
    char listen[64];                      /* [http] listen ADDRESS:PORT; port 0: any free one; "none": no HTTP */
    uint64_t http_connections_max, http_threads, http_idle_s, http_request_s, http_body_bytes_max, feed_streams_max;
    char tls_certificate[NODE_PATH_MAX], tls_key[NODE_PATH_MAX];
    char http_origins[512]; /* with spaces between, or "*"; empty: none */
    char links_listen[NODE_ADDRESS_SIZE];     /* [links] listen HOST:PORT, for frames; empty: this node's address in the genesis */
    char links_ask_listen[NODE_ADDRESS_SIZE]; /* [links] ask_listen, for questions; empty: the port after that */
    uint64_t pool_records_max, pool_bytes_max;
    uint64_t store_cache_mb, store_write_buffer_mb; /* 0: the store's defaults */
    uint64_t votelog_truncate_mb;
    uint64_t sync_certified;              /* [sync] mode: 0 audited, 1 certified: signatures of caught-up blocks, and most of their state roots, are a quorum's word */
    char readers[NODE_PATH_MAX];          /* [access] readers: lines of NAME SHA256-OF-TOKEN */
    char submitters[NODE_PATH_MAX];       /* [access] submitters: keys that may submit, one a line; empty: everybody */
    /* [mailbox]: how many mailboxes (0: none here), and all together deliveries, bytes, bytes and openings a second */
    uint64_t mailboxes_max, mailboxes_deliveries_max, mailboxes_bytes_max, mailboxes_bytes_per_s, mailboxes_opens_per_s;
    uint64_t mailbox_deliveries_max, mailbox_bytes_max, mailbox_deposits_per_s; /* of each mailbox */
    uint64_t mailbox_delivery_days, mailbox_unfetched_days, mailbox_waits_max, mailbox_compact_s;
    /* [public]: how many public bodies this node keeps (0: none), and their bytes; how many it takes a second; how long each stays
       after it was last put; how long pages of other nodes' are kept */
    uint64_t public_bodies_max, public_bytes_max, public_puts_per_s, public_body_days, public_copy_s;
    uint64_t log_level;                   /* [log] level: 0 error … 3 debug */
};

struct config_error { size_t line; char sentence[256]; };

void node_config_default(struct node_config *out);
/* Reads the text over what out holds already. On CL_E_FORMAT error says which line and why. */
CL_MUST_USE enum cl_status node_config_parse(struct node_config *out, struct config_error *error, const char *text, size_t length);
/* The same from a file; CL_E_IO with a sentence. */
CL_MUST_USE enum cl_status node_config_load(struct node_config *out, struct config_error *error, const char *path);
/* "ADDRESS:PORT", "[ADDRESS6]:PORT". CL_E_FORMAT. */
CL_MUST_USE enum cl_status node_config_listen(char *address, size_t address_size, uint16_t *port, const char *listen);

#endif

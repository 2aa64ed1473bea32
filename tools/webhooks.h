/* Webhooks of an organisation (Standard Webhooks 1.0.0): what the parts of `consent webhooks` share. An endpoint is a URL
   of the organisation's to which every event is posted that concerns what it follows. The ledger is the queue: what an
   endpoint has not taken is read again from the feed, and only where it stands, and what has failed, is kept on disk. */
#ifndef TOOLS_WEBHOOKS_H
#define TOOLS_WEBHOOKS_H

#include "workspace.h"

#define WEBHOOK_NAME_BYTES_MAX 32u
#define WEBHOOK_ENDPOINTS_MAX 16u
#define WEBHOOK_FOLLOW_MAX 1024u
#define WEBHOOK_RETRIES_MAX 32u
#define WEBHOOK_SECRETS_MAX 4u
#define WEBHOOK_SECRET_BYTES_MIN 24u
#define WEBHOOK_SECRET_BYTES_MAX 64u
#define WEBHOOK_QUEUE_MAX 8192u                  /* events in memory: the feed is not read on beyond */
#define WEBHOOK_QUEUE_BYTES_MAX (32u * 1024u * 1024u)
#define WEBHOOK_FAILED_MAX 10000u                /* given up: beyond, nothing more is given up, and so the feed stops */
#define WEBHOOK_EVENT_BYTES_MAX (256u * 1024u)
#define WEBHOOK_DELAY_MS_MAX (24u * 3600u * 1000u) /* what a Retry-After may ask for */
#define WEBHOOK_ID_SIZE 48u

/* ---- webhook_sign.c */
struct webhook_secrets { size_t count; struct { size_t length; uint8_t bytes[WEBHOOK_SECRET_BYTES_MAX]; } items[WEBHOOK_SECRETS_MAX]; };
/* Lines "whsec_" and base64; empty lines are skipped. CL_E_SECRET; *bad_line from 1. */
CL_MUST_USE enum cl_status webhook_secrets_parse(struct webhook_secrets *out, size_t *bad_line, const char *text, size_t length);
/* Appends "v1,BASE64" for each secret, with spaces between, over ID.TIMESTAMP.BODY. */
CL_MUST_USE enum cl_status webhook_sign(struct cl_buffer *out, const struct webhook_secrets *secrets, const char *id, uint64_t timestamp_s, const void *body, size_t length);
/* How long to wait after the attempt with this number, from 0: the schedule's delay and up to a fifth more by chance, or
   what the endpoint asked for (Retry-After; 0: nothing), if that is longer, at most a day. */
uint64_t webhook_delay_ms(const uint64_t *schedule_ms, size_t count, unsigned attempt, long retry_after_s, uint32_t chance);

/* ---- webhook_event.c: one event, and how its delivery stands */
struct webhook_delivery {
    uint64_t index;               /* in the log: the event's id */
    char subject[65];             /* the first object */
    char id[WEBHOOK_ID_SIZE];     /* the header webhook-id: of index and record, so the same each time */
    uint8_t signer[33];
    size_t object_count;          /* 0: a block */
    struct cl_object_id *objects;
    struct cl_buffer body;        /* the event as the feed has it; empty: to be fetched again */
    unsigned attempts;
    uint64_t since_ms, next_ms, last_ms; /* first attempt, next one, last one */
    long status;                  /* of the last answer; 0: none came */
};
/* Strict. CL_E_FORMAT, CL_E_MEMORY. */
CL_MUST_USE enum cl_status webhook_event_parse(struct webhook_delivery **out, const char *line, size_t length);
void webhook_delivery_free(struct webhook_delivery *delivery);
bool webhook_share_object(const struct webhook_delivery *a, const struct webhook_delivery *b);
bool webhook_follows(const struct cl_party *follow, size_t count, const uint8_t *bytes, size_t length); /* this key or id itself */
/* Does an object in this state concern one who follows these keys and ids? value may be NULL: no such object. */
bool webhook_concerns(const struct cl_party *follow, size_t count, const struct cl_object_id *object, const uint8_t *value, size_t length);

/* By ascending index, each once. Owns what is in it. */
struct webhook_list { struct webhook_delivery **items; size_t count, capacity, bytes; };
struct webhook_delivery *webhook_list_find(const struct webhook_list *list, uint64_t index);
CL_MUST_USE enum cl_status webhook_list_add(struct webhook_list *list, struct webhook_delivery *delivery); /* CL_E_EXISTS; takes it when CL_OK */
struct webhook_delivery *webhook_list_remove(struct webhook_list *list, uint64_t index); /* the caller's now; NULL: it was not there */
void webhook_list_clear(struct webhook_list *list);

/* ---- webhook_config.c */
struct webhook_settings {
    char name[WEBHOOK_NAME_BYTES_MAX + 1];
    char url[CL_URL_BYTES_MAX + 1];
    char secret_file[1024], ca_file[1024], after[24];
    uint64_t timeout_s, retry_ms[WEBHOOK_RETRIES_MAX];
    size_t retry_count, follow_count;
    struct cl_party *follow;      /* keys (33) and ids (32) */
};
struct webhook_config { char state_directory[2048]; size_t count; struct webhook_settings endpoints[WEBHOOK_ENDPOINTS_MAX]; };
/* Reads the file; reports. */
int webhook_config_read(struct context *context, struct webhook_config **out, const char *path);
void webhook_config_free(struct webhook_config *config);
struct webhook_settings *webhook_config_find(struct webhook_config *config, const char *name);
/* The secrets of a file that only its owner may read; reports. */
int webhook_secrets_read(struct context *context, struct webhook_secrets *out, const char *path);

/* ---- webhook_journal.c */
struct webhook_journal {
    char path[2200];              /* DIRECTORY/NAME.webhook */
    int file, lock;
    struct cl_buffer text;        /* not written yet */
    size_t written;               /* length of the file */
    bool synced;                  /* all of it */
    struct cl_network_id network;
    bool known;                   /* there was a file */
    uint64_t next;                /* everything before this log index is delivered, or waits, or has failed */
    long off;                     /* the status with which the endpoint was switched off (410); 0: it is on */
    struct webhook_list waiting, failed;
};
void webhook_journal_path(char *out, size_t size, const struct webhook_config *config, const char *name, const char *suffix);
/* Reads what is there, without a lock and changing nothing. */
int webhook_journal_read(struct context *context, struct webhook_journal *out, const struct webhook_config *config, const char *name);
/* The same, and locks it; what is there is written anew and short. */
int webhook_journal_open(struct context *context, struct webhook_journal *out, const struct webhook_config *config, const char *name, const struct cl_network_id *network);
int webhook_journal_create(struct context *context, struct webhook_journal *journal); /* the file, where there was none */
void webhook_journal_close(struct webhook_journal *journal);
/* Notes what became of it; it moves into the list or out of all. CL_E_MEMORY, CL_E_BOUND. */
CL_MUST_USE enum cl_status webhook_journal_waits(struct webhook_journal *journal, struct webhook_delivery *delivery);
CL_MUST_USE enum cl_status webhook_journal_failed(struct webhook_journal *journal, struct webhook_delivery *delivery);
CL_MUST_USE enum cl_status webhook_journal_delivered(struct webhook_journal *journal, uint64_t index);
CL_MUST_USE enum cl_status webhook_journal_at(struct webhook_journal *journal, uint64_t next);
CL_MUST_USE enum cl_status webhook_journal_off(struct webhook_journal *journal, long status);
/* Hands all that was noted to the system; flush: to the disk. */
int webhook_journal_write(struct context *context, struct webhook_journal *journal);
int webhook_journal_flush(struct context *context, struct webhook_journal *journal);
/* One line of the file, for the reader. */
CL_MUST_USE enum cl_status webhook_journal_apply(struct webhook_journal *journal, const char *line);

/* ---- an endpoint at work: webhook_feed.c fills fresh, webhook_endpoint.c empties it */
struct webhook_endpoint {
    struct context *context;
    const struct webhook_config *config;
    const struct webhook_settings *settings;
    struct webhook_secrets secrets;
    struct webhook_journal journal;
    struct http_transfer *feed, *lookup, *fetch, *post;
    char reader[300];             /* the header with the reader's token, or "" */
    bool once, at_end;            /* once: stop at the present end of the feed, which is reached */
    /* webhook_feed.c */
    uint64_t read_next;           /* the log index that the feed goes on with */
    struct cl_buffer line, fetched, ids;
    bool feed_bad;
    unsigned node_failures;       /* in a row */
    uint64_t feed_at_ms, lookup_at_ms, fetch_at_ms; /* not before */
    uint64_t fetch_index;
    struct webhook_list batch, asked, fresh; /* read, being asked about, concerning us: ascending, and each before the last */
    /* webhook_endpoint.c */
    struct webhook_delivery *sending; /* of fresh or of the journal's waiting */
    struct cl_buffer signature;
    char id_header[80], time_header[60];
    size_t answer_bytes;
    unsigned failures_in_row;
    uint64_t outage_ms, flushed_ms, replay_ms;
    uint64_t replay_since_ms;         /* when the replay that is under way was asked for; 0: none is */
    unsigned long long delivered;
};
int webhook_endpoint_new(struct context *context, struct webhook_endpoint **out, struct http_multi *multi, const struct webhook_config *config,
                         const struct webhook_settings *settings, const struct cl_network_id *network, bool once);
void webhook_endpoint_free(struct webhook_endpoint *endpoint);
/* Does what can be done now. Returns: exit status, 0 to go on. */
int webhook_endpoint_step(struct webhook_endpoint *endpoint);
/* Writes down what was noted: at the end. */
int webhook_endpoint_flush(struct webhook_endpoint *endpoint);
/* With once: whether the feed's present end is reached and nothing more can be done now. */
bool webhook_endpoint_finished(const struct webhook_endpoint *endpoint);

/* Reads on: the feed, whom events concern, events that are needed again. */
int webhook_feed_step(struct webhook_endpoint *endpoint, uint64_t now_ms);
/* Goes back (or on) to this log index. */
void webhook_feed_restart(struct webhook_endpoint *endpoint, uint64_t next);
uint64_t webhook_feed_settled(const struct webhook_endpoint *endpoint); /* everything before is delivered or in the journal */
/* A waiting event whose body is not at hand; NULL: there is none. */
const struct webhook_delivery *webhook_feed_missing(const struct webhook_endpoint *endpoint);

#endif

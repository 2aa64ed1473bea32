/* What a command works with: the wallet on disk, the node, and the network that the wallet belongs to. Each function
   that returns int reports its own failure and returns the exit status (0: good). */
#ifndef TOOLS_WORKSPACE_H
#define TOOLS_WORKSPACE_H

#include "command.h"
#include "consent/proof.h"
#include "http_client.h"

/* ---- wallet */
const char *wallet_path_of(struct context *context);
int wallet_open(struct context *context);                 /* locks the file against other commands; once */
int wallet_create(struct context *context, const uint8_t entropy32[32]); /* CL_E_EXISTS where there is one */
int wallet_save(struct context *context);                 /* keys, wallet, then what the wallet names no more is destroyed */
/* For a command that waits long: other commands may use the wallet meanwhile. What they changed is read again, so nothing that
   was borrowed from the wallet is good after wallet_resume. */
void wallet_yield(struct context *context);
int wallet_resume(struct context *context);
size_t wallet_locked_count(const struct context *context); /* entries whose content has no key here */
/* NULL: beside the wallet, where the folder with the keys is already; else the folder is copied too. Says where. */
int wallet_backup(struct context *context, const char *path);
/* Brings the folder that belongs to a backup into the place of the new wallet's, before wallet_create. */
int wallet_store_recover(struct context *context, const char *backup);
void workspace_close(struct context *context);            /* wipes */
int store_fail(struct context *context, enum cl_status status, const char *directory); /* reports, with errno's text */
/* Reads a whole file; reports. */
int file_read(struct context *context, struct cl_buffer *out, const char *path, size_t maximum);
int file_write(struct context *context, const char *path, const void *data, size_t length, bool only_owner); /* "-": standard output */
int folder_make(struct context *context, const char *folder); /* for this user alone, and there after a power cut too; it may be there already */

/* ---- node */
/* Finds the node's URL (--node, $CONSENT_NODE, configuration, wallet); a wallet is not needed. */
int node_open(struct context *context);
/* node_open, and the wallet is open and belongs to a network: pinned at first use. */
int network_open(struct context *context);
/* GET with these headers (at most six, NULL ends); an answer of any HTTP status is good. */
int node_ask(struct context *context, struct http_answer *answer, const char *path, const char *const *headers);
/* Any method; an answer of any HTTP status is good. */
int node_send(struct context *context, struct http_answer *answer, const char *method, const char *path, const char *const *headers, const void *body, size_t length);
/* GET; any HTTP status but an error is good. 404 is CL_E_NOT_FOUND. accept may be NULL (JSON). */
int node_get(struct context *context, struct http_answer *answer, const char *path, const char *accept);
/* The same, but an answer that refuses is the caller's to look at too (answer->status, 400 and above). */
int node_look(struct context *context, struct http_answer *answer, const char *path, const char *accept);
/* POST of bytes (application/octet-stream); reports as node_get does. */
int node_post(struct context *context, struct http_answer *answer, const char *path, const void *body, size_t length);
int node_get_json(struct context *context, json_t **out, const char *path);
/* Reports that no answer came. */
int node_silent(const struct context *context, enum cl_status status, const struct http_answer *answer);
/* Turns a problem+json answer into a report. */
int node_problem(const struct context *context, const struct http_answer *answer);
int reader_header(struct context *context, char *out, size_t size); /* "Authorization: Bearer …" or "" */

/* ---- objects */
struct object {
    struct cl_object_id id;
    enum cl_state_kind kind;
    struct cl_buffer value;
    union { struct cl_agreement agreement; struct cl_terms terms; struct cl_profile profile; } as;
    uint64_t height, as_of_ms;
};
/* The present state. reported: false keeps quiet where there is no such object (returns 3). */
int object_fetch(struct context *context, struct object *out, const struct cl_object_id *id, bool reported);
int object_decode(struct context *context, struct object *out, const uint8_t *value, size_t length);
void object_deinit(struct object *object);
bool id_parse(struct cl_object_id *out, const char *text); /* 64 hex digits */
const char *id_text(const uint8_t id32[32]);              /* static storage, eight at a time */
const char *id_short(const uint8_t id32[32]);
const char *party_text(struct context *context, const struct cl_party *party); /* a known name, else did:key or id */

/* ---- records */
struct submission {
    struct cl_record_id id;
    bool final;
    uint64_t height, log_index;
    size_t signed_count, member_count; /* of the checkpoint that came with the receipt; 0: not known */
    enum cl_status why;                /* where refused */
    bool refused;                      /* by the rules or for its form: submitting it again is of no use */
    bool accepted;                     /* a signed acceptance came (withdrawals) */
    uint64_t accepted_ms;
    char accepted_by[CL_MEMBER_NAME_BYTES_MAX + 1]; /* whose signature held; "": none was checked */
    char acceptance_file[3300];        /* where it is kept; "": nowhere */
};
int record_submit(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait);
/* For REVOKE and SUSPEND: asks for the node's signed acceptance first, then (wait) until the record is final. */
int record_withdraw(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait);
/* acceptance.c: checks it against record and trust file, keeps it beside the wallet; and says so. */
void acceptance_take(struct context *context, struct submission *out, const char *base64, const uint8_t *record, size_t length);
void acceptance_say(struct context *context, const struct submission *submission);
/* Those of withdrawals from this agreement; adds to *count. False: errno says why. */
bool acceptances_destroy(struct context *context, const struct cl_object_id *agreement, size_t *count);
/* As record_submit, but a refusal is no failure: out->refused and out->why tell of it. */
int record_offer(struct context *context, struct submission *out, const uint8_t *record, size_t length, bool wait);
void submission_json(json_t *object, const struct submission *submission);
void submission_say(struct context *context, const struct submission *submission);

/* ---- the trust file */
int policy_open(struct context *context, struct cl_policy **out); /* --policy, else what the wallet keeps beside itself */

#endif

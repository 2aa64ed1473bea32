/* What the HTTP routes share: the table of routes, answers, problems, access. */
#ifndef NODE_API_PRIVATE_H
#define NODE_API_PRIVATE_H

#include "node_private.h"
#include "route.h"

#include <jansson.h>

struct access;
struct challenges;
struct api { struct node *node; struct access *access; struct challenges *challenges; };
struct api_call { struct api *api; struct http_request *request; char arguments[ROUTE_ARGUMENTS_MAX][ROUTE_ARGUMENT_BYTES]; };

enum api_flags { API_READER = 1 /* needs open_reads or a reader's token */, API_NO_HEAD = 2, API_KEY = 4 /* by whoever has a mailbox's key */, API_SIGNED = 8 /* by an object's present key */ };
/* One row is one path with one method: the router and /openapi.json both read it. Lists are separated by '|'. */
struct api_route {
    const char *method, *path;    /* {x} is one segment, {x+} the rest of the path */
    void (*handle)(struct api_call *call);
    unsigned flags;
    const char *name, *summary;
    const char *query;            /* "name:what it is|…" */
    const char *types;            /* media types that it can answer with */
    const char *statuses;         /* "200|404"; 400 and 503 are added to all; 405, 414, 431 and 500, which any path may answer, are not described */
};
extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* value is taken; NULL answers 500. */
void api_answer_json(struct http_request *request, unsigned status, json_t *value);
/* problem+json. entry -1: none. detail may be NULL. */
void api_problem(struct http_request *request, unsigned http_status, enum cl_status code, int64_t entry, const char *detail);
/* The HTTP status that a cl_status answers with. */
unsigned api_status_of(enum cl_status status);
void api_fail(struct http_request *request, enum cl_status status);
/* Whoever runs the node must hear of a disk that fails or lies, not only who asked; at most once a second. Every problem
   that is answered does this. */
void api_tell_operator(enum cl_status status);

/* The network lets anybody read everything. */
bool api_open_reads(const struct api *api);
/* Chooses from a NULL-ended list of media types by Accept (quality values, wildcards; the first where none is asked
   for); -1: none fits. */
int api_choose(const struct http_request *request, const char *const *types);
bool api_hex_argument(uint8_t *out, size_t length, const char *text);
/* A whole number in a query; *present false where absent. False where it is no number. */
bool api_query_number(const struct http_request *request, const char *name, uint64_t *out, bool *present);
int json_set_hex(json_t *object, const char *key, const uint8_t *bytes, size_t length);
json_t *json_base64(const uint8_t *bytes, size_t length); /* NULL: out of memory */
int json_set_base64(json_t *object, const char *key, const uint8_t *bytes, size_t length);
json_t *json_slots(uint64_t slots);
json_t *json_tip(const struct cl_tip *tip);
/* The log's size in the newest checkpoint. */
CL_MUST_USE enum cl_status api_checkpoint_size(struct cl_ledger_view *view, uint64_t *size);
json_t *json_as_of(struct cl_ledger_view *view); /* the view's tip */

/* Runs on the owner thread, which wakes the request; then `then` on an HTTP thread. context is both's, and outlives this
   handler. CL_E_BOUND: too much waits; answer otherwise. */
CL_MUST_USE enum cl_status api_ask_owner(struct api_call *call, void (*run)(void *owner, void *context), http_handler_fn then, void *context);

/* api_origin.c: headers for pages of other origins; true: it was a preflight, and is answered. */
bool api_origin(const struct api_call *call);

/* state_json.c: a state value in JSON; NULL with *status. */
json_t *state_json(enum cl_status *status, const char **kind, const uint8_t *value, size_t length, uint64_t now_ms);
/* record_json.c: a decoded record's fields; NULL: out of memory. */
json_t *record_json(const struct cl_record *record, uint64_t log_index, uint64_t height, uint64_t block_time_ms);
/* The final record at log_index with its place; a state leaf: CL_E_NOT_FOUND. */
struct final_record { struct cl_buffer bytes; struct cl_record record; bool decoded; uint64_t log_index, height, block_time_ms; };
CL_MUST_USE enum cl_status final_record_load(struct final_record *out, struct cl_ledger_view *view, const struct cl_network_id *network, uint64_t log_index);
void final_record_deinit(struct final_record *record);
CL_MUST_USE enum cl_status block_time_of(struct cl_ledger_view *view, uint64_t height, uint64_t *time_ms);

/* api_condition.c: adds to the answer of /v1/status, or to the metrics */
void json_condition(json_t *object, struct node *node);
CL_MUST_USE enum cl_status condition_metrics(struct cl_buffer *text, struct node *node);

/* access.c */
CL_MUST_USE enum cl_status access_new(struct access **out, const struct node_config *config, char *sentence, size_t sentence_size);
void access_free(struct access *access);
bool access_reader(const struct access *access, const struct http_request *request);
bool access_submitter(const struct access *access, const uint8_t key33[33]);

/* challenge.c: nonces for reads by key, good once within a minute */
CL_MUST_USE enum cl_status challenges_new(struct challenges **out);
void challenges_free(struct challenges *challenges);
CL_MUST_USE enum cl_status challenge_make(struct challenges *challenges, uint8_t nonce32[32], uint64_t *expires_ms, const uint8_t key33[33], uint64_t now_ms);
/* CL_E_LOCKED: not ours, used, too old, or the signature is not the key's. CL_E_BOUND: more are used within a minute than
   can be remembered. */
CL_MUST_USE enum cl_status challenge_check(struct challenges *challenges, const struct cl_network_id *network, const uint8_t nonce32[32], const uint8_t signature64[64],
                                           const uint8_t key33[33], uint64_t now_ms);

/* The same, but whether it was used before is the caller's to find out: of nonces for one key the first 16 bytes may only ascend. */
CL_MUST_USE enum cl_status challenge_verify(const struct challenges *challenges, const struct cl_network_id *network, const uint8_t nonce32[32], const uint8_t signature64[64],
                                            const uint8_t key33[33], uint64_t now_ms);

/* api_objects.c: Consent-Challenge and Consent-Signature are of the party's present key, and fresh. CL_E_LOCKED, CL_E_BOUND (as
   challenge_check), CL_E_NOT_FOUND: no key of that party is known. */
CL_MUST_USE enum cl_status api_signed_by(struct api_call *call, struct cl_ledger_view *view, const struct cl_party *party);
/* A node's name, by which its place among the peers is found; own: this node. Returns: false where none is called so. */
bool api_find_node(size_t *peer, const struct node *node, const char *name, size_t own);

/* api_public.c */
#define API_PUBLIC_SIZE "A public body has at most 65,536 bytes."
static_assert(CL_PUBLIC_BODY_BYTES_MAX == 65536, "the sentence says so");
CL_MUST_USE enum cl_status public_metrics(struct cl_buffer *text, struct node *node);

/* api_mailbox.c */
#define API_DELIVERY_SIZE "A delivery has 1 to 307,200 bytes; what is longer goes in parts."
static_assert(MAILBOX_DELIVERY_BYTES_MAX == 307200, "the sentence says so");
CL_MUST_USE enum cl_status mailbox_metrics(struct cl_buffer *text, struct node *node);

/* Handlers */
void api_public_put(struct api_call *call);
void api_public_delete(struct api_call *call);
void api_public_list(struct api_call *call);
void api_mailbox_put(struct api_call *call);
void api_mailbox_delete(struct api_call *call);
void api_mailbox_deposit(struct api_call *call);
void api_mailbox_fetch(struct api_call *call);
void api_mailbox_acknowledge(struct api_call *call);
void api_records_post(struct api_call *call);
void api_record_get(struct api_call *call);
void api_object_get(struct api_call *call);
void api_objects_post(struct api_call *call);
void api_check(struct api_call *call);
void api_terms(struct api_call *call);
void api_challenge(struct api_call *call);
void api_party_agreements(struct api_call *call);
void api_feed(struct api_call *call);
void api_checkpoint(struct api_call *call);
void api_tile(struct api_call *call);
void api_tile_entries(struct api_call *call);
void api_consistency(struct api_call *call);
void api_network(struct api_call *call);
void api_genesis(struct api_call *call);
void api_policy(struct api_call *call);
void api_status(struct api_call *call);
void api_evidence(struct api_call *call);
void api_livez(struct api_call *call);
void api_readyz(struct api_call *call);
void api_metrics(struct api_call *call);
void api_openapi(struct api_call *call);

#endif

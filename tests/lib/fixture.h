/* What most tests above the codec need: a network of a few members, people's keys, signed records of every type in one
   call, and a ledger that takes them in blocks with real certificates. Whatever fails here ends the program: a test's
   own claims are made with what comes out. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "buckets.h"
#include "ledger.h"

#define FIXTURE_START_MS 1800000000000ull
#define FIXTURE_MEMBERS_MAX 16u

struct fixture_network {
    struct cl_genesis genesis;
    uint8_t vote_seed[FIXTURE_MEMBERS_MAX][32], log_seed[FIXTURE_MEMBERS_MAX][32], witness_seed[FIXTURE_MEMBERS_MAX][32];
    uint8_t party_secret[FIXTURE_MEMBERS_MAX][32];
};
/* The same for the same number of members. Origin "fixture.example/log", members "member-0"… */
void fixture_network_make(struct fixture_network *out, size_t members);

/* ---- keys and ids: all come from small numbers */
void fixture_hash(uint8_t out32[32], const char *role, uint64_t number);
void fixture_signer(struct cl_signer *out, uint64_t key);             /* a party's key */
void fixture_object(struct cl_object_id *out, uint64_t key, uint64_t nonce); /* what that key opens with that nonce */

/* ---- records: signed, decoded, one reference for the caller */
struct cl_ledger_record *fixture_record(const struct fixture_network *network, enum cl_record_type type, uint64_t key,
                                        struct cl_entry *entries, size_t count, uint64_t issued_at_ms);
/* GRANT that opens an agreement: slots 1 and 2, meant for answering key `organisation`. */
struct cl_ledger_record *fixture_grant(const struct fixture_network *network, uint64_t customer, uint64_t nonce, uint64_t organisation, uint64_t issued_at_ms);
/* SUBSCRIBE that answers the GRANT opened by (customer, nonce), made with the same organisation and issued_at_ms. */
struct cl_ledger_record *fixture_subscribe(const struct fixture_network *network, uint64_t organisation, uint64_t customer, uint64_t nonce, uint64_t issued_at_ms);
/* TERMS by owner; mode 1: active at once. And SUBSCRIBE to them, which opens (organisation, nonce). */
struct cl_ledger_record *fixture_terms(const struct fixture_network *network, uint64_t owner, uint64_t nonce, uint64_t mode, uint64_t limit, uint64_t issued_at_ms);
struct cl_ledger_record *fixture_subscribe_terms(const struct fixture_network *network, uint64_t organisation, uint64_t nonce, uint64_t owner, uint64_t terms_nonce, uint64_t issued_at_ms);
struct cl_ledger_record *fixture_profile(const struct fixture_network *network, uint64_t key, uint64_t nonce, uint64_t issued_at_ms);
/* An act with key 1 only (SUSPEND, REVOKE, ERASE), or with prev (RESUME). */
struct cl_ledger_record *fixture_act(const struct fixture_network *network, enum cl_record_type type, uint64_t key, const struct cl_object_id *object, const struct cl_record_id *prev, uint64_t issued_at_ms);

/* ---- a ledger in memory, or in a given store */
struct fixture {
    struct fixture_network network;
    struct cl_store store;
    struct cl_smt_buckets buckets;
    struct cl_ledger *ledger;
    uint64_t view, now_ms;       /* of the last block; records made now carry it */
};
/* One member; store_mem. */
void fixture_open(struct fixture *fixture, size_t members);
/* As above in `store`, which becomes the fixture's. */
void fixture_open_in(struct fixture *fixture, size_t members, const struct cl_store *store);
/* Closes the ledger and opens it again on the same store. */
void fixture_reopen(struct fixture *fixture);
void fixture_close(struct fixture *fixture); /* the store too */

/* Votes of all members for this block. */
void fixture_certificate(struct cl_buffer *out, const struct fixture_network *network, uint64_t epoch, uint64_t view, const struct cl_block_id *block);
/* One final block of these records, a second later than the last; each must apply. Lets go of the records. */
void fixture_block(struct fixture *fixture, struct cl_ledger_record **records, size_t count, struct cl_candidate_summary *summary);
void fixture_block_of(struct fixture *fixture, struct cl_ledger_record *record); /* of one */
/* Two blocks in which the customer offers with nonce 1 and organisation 2 accepts; *object is what comes of it. */
void fixture_agreement(struct fixture *fixture, struct cl_object_id *object, uint64_t customer);
void fixture_agreement_read(const struct fixture *fixture, struct cl_agreement *out, const struct cl_object_id *object); /* at the tip */
/* A checkpoint of this tree, signed as the next one's. */
void fixture_note(struct cl_buffer *note, const struct fixture_network *network, uint64_t size, const struct cl_hash *root, uint64_t time_s);
/* The checkpoint of the tip, signed by member 0 as log and by all as witnesses at time_s, and kept. */
void fixture_checkpoint(struct fixture *fixture, struct cl_buffer *note, uint64_t time_s);

/* cl_ledger_check, or with repair cl_ledger_reindex, with its scratch ledger in memory. */
enum cl_status fixture_audit(struct cl_store *store, const struct cl_genesis *genesis, bool repair, char *detail, size_t detail_size);

#define FIXTURE_OK(call) fixture_must((call), #call, __FILE__, __LINE__)
void fixture_must(enum cl_status status, const char *call, const char *file, int line);

#endif

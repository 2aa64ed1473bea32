/* A whole ledger in memory for tests of proofs: records applied by the real rules, a real log and state tree, and
   checkpoints signed by members whose keys come from fixed seeds. At most 250 leaves. */
#ifndef TESTS_PROOF_WORLD_H
#define TESTS_PROOF_WORLD_H

#include "consent/proof.h"
#include "consent/record.h"
#include "log.h"
#include "proof_build.h"
#include "smt.h"

#define WORLD_LEAVES_MAX 250u
#define WORLD_STATES_MAX 250u
#define WORLD_ORIGIN "ledger.example/test"
#define WORLD_TIME_MS 1700000000000ull /* of genesis; each block is a second later */

struct proof_world_state { uint8_t key[32]; struct cl_buffer value; };
struct proof_world {
    struct cl_network_id network;
    struct cl_network value;
    uint64_t time_ms, height, epoch;
    size_t first_member;           /* number of the first member of the set that is in charge */
    size_t leaf_count, state_count;
    struct cl_buffer leaves[WORLD_LEAVES_MAX];
    struct cl_leaf_hash hashes[WORLD_LEAVES_MAX];
    struct proof_world_state states[WORLD_STATES_MAX];
    struct cl_hash root, state_root;
};
/* A person's or organisation's key, from a name. */
struct proof_world_key { uint8_t secret[32], public33[33]; };

struct proof_world *proof_world_new(size_t members);
void proof_world_free(struct proof_world *world);
/* Puts members first to first + count - 1 in charge, as a change of members at the end of an epoch does. */
void proof_world_set_members(struct proof_world *world, size_t first, size_t count);
void proof_world_key(struct proof_world_key *out, const char *name);
/* Seeds of member i as log and as witness. */
void proof_world_log_seed(uint8_t seed32[32], size_t member);
void proof_world_witness_seed(uint8_t seed32[32], size_t member);

/* Signs a record with one entry, applies it, and ends the block with a state leaf. Returns what the rules say; the
   record's id in *id (may be NULL). */
enum cl_status proof_world_act(struct proof_world *world, struct cl_record_id *id, const struct proof_world_key *key, enum cl_record_type type, const struct cl_entry *entry);
/* The same, but the record enters the log without the rules being asked: what only a dishonest quorum would do. */
void proof_world_force(struct proof_world *world, struct cl_record_id *id, const struct proof_world_key *key, enum cl_record_type type, const struct cl_entry *entry);
/* Overwrites a state value and ends a block. */
void proof_world_force_state(struct proof_world *world, const uint8_t key32[32], const struct cl_buffer *value);
struct cl_buffer *proof_world_value(struct proof_world *world, const uint8_t key32[32]); /* NULL: none */
void proof_world_end_block(struct proof_world *world);

/* The checkpoint of the newest tree: log line of member 0, cosignatures of the first `signers` members at time_s. */
void proof_world_checkpoint(struct cl_buffer *note, const struct proof_world *world, size_t signers, uint64_t time_s);
void proof_world_path(struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, const struct proof_world *world, uint64_t index);
void proof_world_state_proof(struct cl_buffer *out, const struct proof_world *world, const uint8_t object32[32]);
/* A proof of the object at the newest tree, signed by all. Records: those that cl_proof_select asks for; skip: bit i
   leaves out the i-th of them. */
void proof_world_proof(struct cl_buffer *out, const struct proof_world *world, const struct cl_object_id *object, uint64_t time_s, uint64_t skip);
struct cl_policy *proof_world_policy(const struct proof_world *world);

/* ---- a scene: four members, the people of an agreement, and what a test opens between them */

#define SCENE_NOW_S (WORLD_TIME_MS / 1000 + 1000) /* when checkpoints are signed and proofs looked at */
#define SCENE_NOW_MS (SCENE_NOW_S * 1000)

struct scene {
    struct proof_world *world;
    struct cl_policy *policy;
    struct proof_world_key customer, organisation, other, delegate;
    struct cl_object_id object, terms;
    struct cl_record_id head;
    struct cl_buffer proof;
    struct cl_verify_report report;
};
extern const uint8_t scene_commitments[4][32]; /* 32 times the index */

int scene_init(void **state); /* cmocka's setup and teardown; *state is a struct scene */
int scene_deinit(void **state);
struct cl_entry scene_on_object(const struct scene *scene); /* with the object and nothing else */
struct cl_entry scene_answer(const struct scene *scene, size_t commitment, uint64_t slots); /* and prev = head, commitment, slots */
/* Judged at SCENE_NOW_S, at most an hour old; the report in scene->report. */
enum cl_status scene_verify(struct scene *scene, const struct cl_buffer *proof);

#endif

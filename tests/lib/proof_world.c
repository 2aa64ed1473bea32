#include "proof_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "block.h"
#include "buckets.h"
#include "checkpoint.h"
#include "crypto.h"
#include "rules.h"
#include "signing.h"

#define NEED(call) do { enum cl_status need_ = (call); if (need_ != CL_OK) { fprintf(stderr, "%s: %s\n", #call, cl_status_code(need_)); abort(); } } while (0)

static void seed_of(uint8_t out32[32], const char *what, size_t number)
{
    char text[64];
    int length = snprintf(text, sizeof text, "test %s %zu", what, number);
    cl_sha256_once(out32, text, (size_t)length);
}

void proof_world_log_seed(uint8_t seed32[32], size_t member) { seed_of(seed32, "log", member); }
void proof_world_witness_seed(uint8_t seed32[32], size_t member) { seed_of(seed32, "witness", member); }

void proof_world_key(struct proof_world_key *out, const char *name)
{
    cl_sha256_once(out->secret, name, strlen(name));
    NEED(cl_public_key_of(out->public33, out->secret));
}

static void make_member(struct cl_member *out, size_t number)
{
    uint8_t seed[32];
    memset(out, 0, sizeof *out);
    snprintf(out->name, sizeof out->name, "member-%zu", number);
    seed_of(seed, "vote", number);
    cl_ed25519_public(out->vote, seed);
    proof_world_log_seed(seed, number);
    cl_ed25519_public(out->log, seed);
    proof_world_witness_seed(seed, number);
    cl_ed25519_public(out->witness, seed);
    seed_of(seed, "party", number);
    NEED(cl_public_key_of(out->party, seed));
}

/* ---- state */

struct cl_buffer *proof_world_value(struct proof_world *world, const uint8_t key32[32])
{
    for (size_t i = 0; i < world->state_count; i++)
        if (memcmp(world->states[i].key, key32, 32) == 0)
            return &world->states[i].value;
    return NULL;
}

static enum cl_status state_get(void *context, const uint8_t key32[32], struct cl_view *value)
{
    const struct cl_buffer *found = proof_world_value(context, key32);
    if (found == NULL)
        return CL_E_NOT_FOUND;
    *value = (struct cl_view){found->data, found->length};
    return CL_OK;
}

static enum cl_status state_put(void *context, const uint8_t key32[32], const uint8_t *value, size_t length)
{
    struct proof_world *world = context;
    struct cl_buffer *found = proof_world_value(world, key32);
    if (found == NULL) {
        assert(world->state_count < WORLD_STATES_MAX);
        struct proof_world_state *state = &world->states[world->state_count++];
        memcpy(state->key, key32, 32);
        found = &state->value;
    }
    found->length = 0;
    return cl_buffer_append(found, value, length);
}

static int by_key_hash(const void *a, const void *b)
{
    return memcmp(((const struct cl_smt_leaf *)a)->key_hash, ((const struct cl_smt_leaf *)b)->key_hash, 32);
}

static struct cl_smt *build_tree(struct cl_smt_buckets *buckets, const struct proof_world *world)
{
    struct cl_smt_leaf leaves[WORLD_STATES_MAX];
    struct cl_smt *tree = NULL;
    for (size_t i = 0; i < world->state_count; i++) {
        uint8_t key_hash[32];
        cl_sha256_once(key_hash, world->states[i].key, 32);
        cl_smt_leaf_make(&leaves[i], key_hash, world->states[i].value.data, world->states[i].value.length);
    }
    qsort(leaves, world->state_count, sizeof leaves[0], by_key_hash);
    NEED(cl_buckets_memory_new(buckets));
    NEED(cl_smt_new(&tree, buckets));
    for (size_t i = 0; i < world->state_count; i++)
        NEED(cl_smt_build_add(tree, &leaves[i]));
    NEED(cl_smt_build_finish(tree));
    return tree;
}

/* ---- log */

static enum cl_status log_read(void *context, struct cl_hash *out, unsigned tile_level, uint64_t first, unsigned count)
{
    const struct proof_world *world = context;
    if (tile_level != 0)
        return CL_E_NOT_FOUND;
    for (unsigned i = 0; i < count; i++)
        memcpy(out[i].bytes, world->hashes[first + i].bytes, 32);
    return CL_OK;
}

void proof_world_path(struct cl_hash path[CL_LOG_PATH_MAX], size_t *count, const struct proof_world *world, uint64_t index)
{
    struct cl_log_source source = {(void *)(uintptr_t)world, log_read};
    NEED(cl_log_inclusion(path, count, &source, index, world->leaf_count));
}

static void add_leaf(struct proof_world *world, struct cl_buffer *bytes)
{
    assert(world->leaf_count < WORLD_LEAVES_MAX);
    world->leaves[world->leaf_count] = *bytes;
    cl_log_leaf_hash(&world->hashes[world->leaf_count++], bytes->data, bytes->length);
}

void proof_world_end_block(struct proof_world *world)
{
    struct cl_smt_buckets buckets;
    struct cl_buffer bytes = {0};
    struct cl_log_source source = {world, log_read};
    struct cl_smt *tree = build_tree(&buckets, world);
    struct cl_state_leaf leaf = {.network = world->network, .epoch = world->epoch, .height = world->height++, .time_ms = world->time_ms, .record_count = world->leaf_count > 0};
    cl_smt_root(&world->state_root, tree);
    leaf.state_root = world->state_root;
    NEED(cl_member_set_hash(&leaf.member_set, world->value.members, world->value.member_count));
    NEED(cl_state_leaf_encode(&bytes, &leaf));
    add_leaf(world, &bytes);
    NEED(cl_log_root(&world->root, &source, world->leaf_count));
    world->time_ms += 1000;
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
}

void proof_world_set_members(struct proof_world *world, size_t first, size_t count)
{
    world->first_member = first;
    world->value.member_count = count;
    for (size_t i = 0; i < count; i++)
        make_member(&world->value.members[i], first + i);
}

struct proof_world *proof_world_new(size_t members)
{
    struct proof_world *world = calloc(1, sizeof *world);
    struct cl_buffer value = {0};
    struct cl_hash key;
    assert(world != NULL && members <= CL_MEMBERS_MAX);
    memset(world->network.bytes, 0x4e, 32);
    world->time_ms = WORLD_TIME_MS;
    world->value.parameters = (struct cl_parameters){1000, 1000, 1000000, 100, 1, 0};
    proof_world_set_members(world, 0, members);
    NEED(cl_network_encode(&value, &world->value));
    cl_network_key(&key);
    NEED(state_put(world, key.bytes, value.data, value.length));
    cl_buffer_deinit(&value);
    proof_world_end_block(world);
    return world;
}

void proof_world_free(struct proof_world *world)
{
    for (size_t i = 0; i < world->leaf_count; i++)
        cl_buffer_deinit(&world->leaves[i]);
    for (size_t i = 0; i < world->state_count; i++)
        cl_buffer_deinit(&world->states[i].value);
    free(world);
}

/* ---- records */

static enum cl_status sign_digest(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    return cl_ecdsa_sign(signature64, ((const struct proof_world_key *)context)->secret, digest32);
}

static void make_record(struct cl_buffer *out, struct cl_record_id *id, struct proof_world *world, const struct proof_world_key *key, enum cl_record_type type, const struct cl_entry *entry)
{
    struct cl_entry copy = *entry;
    struct cl_draft draft = {.type = type, .issued_at_ms = world->time_ms, .entries = &copy, .entry_count = 1};
    struct cl_signer signer = {(void *)(uintptr_t)key, sign_digest, {{0}}};
    uint32_t refused;
    memcpy(draft.signer.bytes, key->public33, 33);
    signer.key = draft.signer;
    NEED(cl_record_sign(out, id, &refused, &draft, &signer, &world->network));
}

static enum cl_status act(struct proof_world *world, struct cl_record_id *id, const struct proof_world_key *key, enum cl_record_type type, const struct cl_entry *entry, bool forced)
{
    struct cl_buffer bytes = {0};
    struct cl_record record;
    struct cl_record_id own;
    uint32_t refused;
    make_record(&bytes, id != NULL ? id : &own, world, key, type, entry);
    NEED(cl_record_decode(&record, &refused, bytes.data, bytes.length, &world->network));
    struct cl_state_access access = {world, state_get, state_put};
    struct cl_rules_input input = {&world->network, &record, world->leaf_count, world->time_ms, NULL};
    enum cl_status status = forced ? CL_OK : cl_rules_apply(&access, &input, &refused, NULL, NULL, NULL);
    cl_record_deinit(&record);
    if (status != CL_OK) {
        cl_buffer_deinit(&bytes);
        return status;
    }
    add_leaf(world, &bytes);
    proof_world_end_block(world);
    return CL_OK;
}

enum cl_status proof_world_act(struct proof_world *world, struct cl_record_id *id, const struct proof_world_key *key, enum cl_record_type type, const struct cl_entry *entry)
{
    return act(world, id, key, type, entry, false);
}

void proof_world_force(struct proof_world *world, struct cl_record_id *id, const struct proof_world_key *key, enum cl_record_type type, const struct cl_entry *entry)
{
    NEED(act(world, id, key, type, entry, true));
}

void proof_world_force_state(struct proof_world *world, const uint8_t key32[32], const struct cl_buffer *value)
{
    NEED(state_put(world, key32, value->data, value->length));
    proof_world_end_block(world);
}

/* ---- what leaves the ledger */

void proof_world_checkpoint(struct cl_buffer *note, const struct proof_world *world, size_t signers, uint64_t time_s)
{
    struct cl_buffer body = {0};
    uint8_t seed[32];
    NEED(cl_checkpoint_body(&body, WORLD_ORIGIN, world->leaf_count, &world->root));
    struct cl_view view = {body.data, body.length};
    NEED(cl_buffer_append(note, body.data, body.length));
    NEED(cl_buffer_append(note, "\n", 1));
    proof_world_log_seed(seed, world->first_member);
    NEED(cl_checkpoint_sign_log(note, &view, WORLD_ORIGIN, signing_key(seed)));
    for (size_t i = 0; i < signers; i++) {
        proof_world_witness_seed(seed, world->first_member + i);
        NEED(cl_checkpoint_cosign(note, &view, WORLD_ORIGIN, world->value.members[i].name, time_s, signing_key(seed)));
    }
    cl_buffer_deinit(&body);
}

static void absence(struct cl_buffer *out, const struct proof_world *world, struct cl_smt *tree, const uint8_t key_hash[32])
{
    struct cl_smt_leaf leaf[2], proven;
    struct cl_smt_path path[2];
    struct cl_proof_neighbour neighbours[2];
    uint8_t value_hash[2][32];
    bool has[2];
    NEED(cl_smt_neighbours(&has[0], &leaf[0], &has[1], &leaf[1], tree, key_hash));
    for (size_t i = 0; i < 2; i++) {
        if (!has[i])
            continue;
        NEED(cl_smt_prove(&path[i], &proven, tree, leaf[i].key_hash));
        for (size_t k = 0; k < world->state_count; k++) {
            uint8_t hash[32];
            cl_sha256_once(hash, world->states[k].key, 32);
            if (memcmp(hash, leaf[i].key_hash, 32) == 0)
                cl_sha256_once(value_hash[i], world->states[k].value.data, world->states[k].value.length);
        }
        neighbours[i] = (struct cl_proof_neighbour){leaf[i].key_hash, value_hash[i], path[i].siblings, path[i].count};
    }
    NEED(cl_state_proof_encode_absence(out, has[0] ? &neighbours[0] : NULL, has[1] ? &neighbours[1] : NULL));
}

void proof_world_state_proof(struct cl_buffer *out, const struct proof_world *world, const uint8_t object32[32])
{
    struct cl_smt_buckets buckets;
    struct cl_smt *tree = build_tree(&buckets, world);
    const struct cl_buffer *value = proof_world_value((struct proof_world *)(uintptr_t)world, object32);
    uint8_t key_hash[32];
    cl_sha256_once(key_hash, object32, 32);
    if (value != NULL) {
        struct cl_smt_path path;
        struct cl_smt_leaf leaf;
        NEED(cl_smt_prove(&path, &leaf, tree, key_hash));
        NEED(cl_state_proof_encode_existence(out, value->data, value->length, path.siblings, path.count));
    } else {
        absence(out, world, tree, key_hash);
    }
    cl_smt_free(tree);
    cl_buckets_free(&buckets);
}

/* The records that a proof of an agreement shows, in the order of the log; they are chosen from the newest back. */
static size_t choose_records(struct cl_proof_record *records, struct cl_hash (*paths)[CL_LOG_PATH_MAX], const struct proof_world *world,
                             const struct cl_object_id *object, const struct cl_agreement *agreement, uint64_t skip)
{
    struct cl_proof_selection selection = {0};
    bool chosen[WORLD_LEAVES_MAX] = {false};
    size_t count = 0, wanted = 0;
    for (size_t i = world->leaf_count; i-- > 0;) {
        struct cl_record record;
        if (world->leaves[i].data[0] != 0xd2)
            continue;
        NEED(cl_record_decode(&record, NULL, world->leaves[i].data, world->leaves[i].length, &world->network));
        chosen[i] = cl_proof_select(&selection, &record, object, agreement);
        cl_record_deinit(&record);
    }
    for (size_t i = 0; i < world->leaf_count; i++) {
        if (!chosen[i] || (skip >> wanted++ & 1) != 0)
            continue;
        assert(count < CL_PROOF_RECORDS_MAX);
        size_t path_count;
        proof_world_path(paths[count], &path_count, world, i);
        records[count] = (struct cl_proof_record){{world->leaves[i].data, world->leaves[i].length}, i, {paths[count], path_count}};
        count++;
    }
    return count;
}

void proof_world_proof(struct cl_buffer *out, const struct proof_world *world, const struct cl_object_id *object, uint64_t time_s, uint64_t skip)
{
    struct cl_buffer note = {0}, state = {0};
    struct cl_proof_record records[CL_PROOF_RECORDS_MAX];
    static struct cl_hash paths[CL_PROOF_RECORDS_MAX][CL_LOG_PATH_MAX];
    struct cl_hash leaf_path[CL_LOG_PATH_MAX];
    struct cl_agreement agreement;
    const struct cl_buffer *value = proof_world_value((struct proof_world *)(uintptr_t)world, object->bytes);
    const struct cl_buffer *leaf = &world->leaves[world->leaf_count - 1];
    proof_world_checkpoint(&note, world, world->value.member_count, time_s);
    proof_world_state_proof(&state, world, object->bytes);
    struct cl_proof_parts parts = {.checkpoint = {note.data, note.length}, .state_leaf = {leaf->data, leaf->length},
                                   .object = *object, .state_proof = {state.data, state.length}, .records = records};
    proof_world_path(leaf_path, &parts.state_leaf_path.count, world, world->leaf_count - 1);
    parts.state_leaf_path.hashes = leaf_path;
    if (value != NULL && cl_agreement_decode(&agreement, value->data, value->length) == CL_OK)
        parts.record_count = choose_records(records, paths, world, object, &agreement, skip);
    NEED(cl_proof_encode(out, &parts));
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&state);
}

struct cl_policy *proof_world_policy(const struct proof_world *world)
{
    struct cl_buffer text = {0};
    struct cl_policy *policy = NULL;
    NEED(cl_policy_of_members(&text, WORLD_ORIGIN, world->value.members, world->value.member_count));
    NEED(cl_policy_new(&policy, NULL, text.data, text.length));
    cl_buffer_deinit(&text);
    return policy;
}

/* ---- a scene */

#define TIMES_4(byte) byte, byte, byte, byte
#define TIMES_32(byte) {TIMES_4(byte), TIMES_4(byte), TIMES_4(byte), TIMES_4(byte), TIMES_4(byte), TIMES_4(byte), TIMES_4(byte), TIMES_4(byte)}
const uint8_t scene_commitments[4][32] = {TIMES_32(0), TIMES_32(1), TIMES_32(2), TIMES_32(3)};

int scene_init(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert(scene != NULL);
    scene->world = proof_world_new(4);
    scene->policy = proof_world_policy(scene->world);
    proof_world_key(&scene->customer, "customer");
    proof_world_key(&scene->organisation, "organisation");
    proof_world_key(&scene->other, "other");
    proof_world_key(&scene->delegate, "delegate");
    *state = scene;
    return 0;
}

int scene_deinit(void **state)
{
    struct scene *scene = *state;
    cl_buffer_deinit(&scene->proof);
    cl_policy_free(scene->policy);
    proof_world_free(scene->world);
    free(scene);
    return 0;
}

struct cl_entry scene_on_object(const struct scene *scene)
{
    return (struct cl_entry){.present = CL_HAS(1), .object_length = 32, .object = scene->object.bytes};
}

struct cl_entry scene_answer(const struct scene *scene, size_t commitment, uint64_t slots)
{
    struct cl_entry entry = scene_on_object(scene);
    entry.present |= CL_HAS(2) | CL_HAS(3) | CL_HAS(9);
    entry.prev = scene->head.bytes;
    entry.commitment = scene_commitments[commitment];
    entry.slots = slots;
    return entry;
}

enum cl_status scene_verify(struct scene *scene, const struct cl_buffer *proof)
{
    struct cl_verify_options options = {.now_ms = SCENE_NOW_MS, .max_age_ms = 3600000};
    return cl_proof_verify(&scene->report, proof->data, proof->length, scene->policy, &options);
}

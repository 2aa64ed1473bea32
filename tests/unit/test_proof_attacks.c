/* Attacks on the offline verifier: proofs put together from true parts that do not belong together, signatures used for
   what they were not made for, and random lives of an agreement, each of which must be provable at every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base64.h"
#include "block.h"
#include "crypto.h"
#include "note.h"
#include "proof_world.h"

static void must(enum cl_status status, const char *what)
{
    if (status != CL_OK)
        fail_msg("%s: %s", what, cl_status_code(status));
}
#define MUST(call) must((call), #call)

/* ---- an agreement: C's GRANT for O, answered by SUBSCRIBE */

static const uint8_t salt[32] = {7};

static void open_grant(struct scene *scene, uint8_t nonce)
{
    static uint8_t nonces[256][16];
    struct cl_hash audience;
    memset(nonces[nonce], nonce, 16);
    cl_audience_derive(&audience, salt, scene->organisation.public33, 33);
    struct cl_entry entry = {.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(6) | CL_HAS(9), .object_length = 16, .object = nonces[nonce],
                             .commitment = scene_commitments[1], .slots = 7, .audience_kind = CL_AUDIENCE_HASH, .audience = audience.bytes};
    MUST(proof_world_act(scene->world, &scene->head, &scene->customer, CL_GRANT, &entry));
    cl_object_id_derive(&scene->object, scene->customer.public33, nonces[nonce]);
}

static struct cl_entry subscribe(const struct scene *scene)
{
    struct cl_entry entry = scene_answer(scene, 1, 7);
    entry.present |= CL_HAS(7);
    entry.opening = salt;
    entry.opening_length = 32;
    return entry;
}

static void agree(struct scene *scene, uint8_t nonce)
{
    open_grant(scene, nonce);
    struct cl_entry entry = subscribe(scene);
    MUST(proof_world_act(scene->world, &scene->head, &scene->organisation, CL_SUBSCRIBE, &entry));
}

static void revoke(struct scene *scene)
{
    struct cl_entry entry = scene_on_object(scene);
    MUST(proof_world_act(scene->world, &scene->head, &scene->customer, CL_REVOKE, &entry));
}

/* ---- a proof as its parts, each of which can be exchanged before it is written */

struct parts {
    struct cl_buffer note, state;
    struct cl_hash leaf_path[CL_LOG_PATH_MAX], paths[CL_PROOF_RECORDS_MAX][CL_LOG_PATH_MAX];
    struct cl_proof_record records[CL_PROOF_RECORDS_MAX];
    struct cl_proof_parts parts;
};

static void set_record(struct parts *out, size_t at, const struct proof_world *world, uint64_t index)
{
    size_t count;
    proof_world_path(out->paths[at], &count, world, index);
    out->records[at] = (struct cl_proof_record){{world->leaves[index].data, world->leaves[index].length}, index, {out->paths[at], count}};
}

/* Of the newest tree, with the records at these indexes. */
static struct parts *take_apart(const struct scene *scene, const uint64_t *indexes, size_t count)
{
    struct parts *out = calloc(1, sizeof *out);
    const struct proof_world *world = scene->world;
    const struct cl_buffer *leaf = &world->leaves[world->leaf_count - 1];
    proof_world_checkpoint(&out->note, world, 4, SCENE_NOW_S);
    proof_world_state_proof(&out->state, world, scene->object.bytes);
    out->parts = (struct cl_proof_parts){.checkpoint = {out->note.data, out->note.length}, .state_leaf = {leaf->data, leaf->length},
                                         .object = scene->object, .state_proof = {out->state.data, out->state.length},
                                         .records = out->records, .record_count = count};
    proof_world_path(out->leaf_path, &out->parts.state_leaf_path.count, world, world->leaf_count - 1);
    out->parts.state_leaf_path.hashes = out->leaf_path;
    for (size_t i = 0; i < count; i++)
        set_record(out, i, world, indexes[i]);
    return out;
}

static void parts_free(struct parts *parts)
{
    cl_buffer_deinit(&parts->note);
    cl_buffer_deinit(&parts->state);
    free(parts);
}

static enum cl_status verify(struct scene *scene, const struct parts *parts)
{
    struct cl_buffer proof = {0};
    MUST(cl_proof_encode(&proof, &parts->parts));
    enum cl_status status = scene_verify(scene, &proof);
    cl_buffer_deinit(&proof);
    return status;
}

/* ---- true parts that do not belong together */

static void a_state_of_before_does_not_fit_under_a_checkpoint_of_now(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    struct cl_buffer active = {0};
    size_t count;
    agree(scene, 1); /* leaves 0 genesis, 1 GRANT, 2, 3 SUBSCRIBE, 4 */
    proof_world_state_proof(&active, world, scene->object.bytes);
    revoke(scene); /* 5 REVOKE, 6 */
    assert_int_equal(world->leaf_count, 7);
    struct parts *parts = take_apart(scene, (const uint64_t[]){1, 5}, 2);
    assert_int_equal(verify(scene, parts), CL_OK);
    assert_int_equal(scene->report.verdict, CL_E_WITHDRAWN);
    parts->parts.state_proof = (struct cl_view){active.data, active.length};
    set_record(parts, 1, world, 3);
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    /* with its own state leaf, which is in the log as well, but not its last */
    parts->parts.state_leaf = (struct cl_view){world->leaves[4].data, world->leaves[4].length};
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    proof_world_path(parts->leaf_path, &count, world, 4);
    parts->parts.state_leaf_path.count = count;
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    /* a path of another length ends at the wrong height */
    for (size_t length = 0; length <= 4; length++) {
        parts->parts.state_leaf_path.count = length;
        assert_int_equal(verify(scene, parts), CL_E_PROOF);
    }
    parts_free(parts);
    cl_buffer_deinit(&active);
}

static void another_agreements_value_and_records_do_not_serve(void **state)
{
    struct scene *scene = *state;
    agree(scene, 1); /* records 1, 3 */
    struct cl_object_id first = scene->object;
    agree(scene, 2); /* records 5, 7 */
    revoke(scene);   /* 9 */
    struct cl_object_id second = scene->object;
    scene->object = first;
    struct parts *parts = take_apart(scene, (const uint64_t[]){1, 3}, 2);
    assert_int_equal(verify(scene, parts), CL_OK);
    parts->parts.object = second; /* the withdrawn one, shown by the other's value */
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    parts->parts.object = first;
    set_record(parts, 0, scene->world, 5);
    set_record(parts, 1, scene->world, 7);
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    parts_free(parts);
}

static void records_come_once_in_order_and_from_where_they_say(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    agree(scene, 1);
    struct parts *parts = take_apart(scene, (const uint64_t[]){1, 3}, 2);
    assert_int_equal(verify(scene, parts), CL_OK);
    set_record(parts, 1, world, 1); /* twice the same */
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    set_record(parts, 0, world, 3);
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    set_record(parts, 0, world, 1);
    set_record(parts, 1, world, 3);
    for (uint64_t index = 0; index < 70; index++) { /* elsewhere in the log, or beyond it */
        parts->records[1].index = index < 64 ? index : UINT64_MAX - (index - 64);
        assert_int_equal(verify(scene, parts), parts->records[1].index == 3 ? CL_OK : CL_E_PROOF);
    }
    set_record(parts, 1, world, 4); /* a state leaf is no record, wherever it stands */
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    set_record(parts, 1, world, 2);
    assert_int_equal(verify(scene, parts), CL_E_PROOF);
    parts_free(parts);
}

/* Signed for another network and taken into this log by a quorum that lies: the signature is over the network's id. */
static void a_record_of_another_network_is_nobodys_signature_here(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    open_grant(scene, 1);
    struct cl_entry entry = subscribe(scene);
    struct cl_network_id own = world->network;
    struct cl_record record;
    struct cl_agreement agreement;
    struct cl_buffer value = {0};
    memset(world->network.bytes, 0x4f, 32);
    proof_world_force(world, &scene->head, &scene->organisation, CL_SUBSCRIBE, &entry);
    world->network = own;
    const struct cl_buffer *bytes = &world->leaves[world->leaf_count - 2], *found = proof_world_value(world, scene->object.bytes);
    MUST(cl_record_decode(&record, NULL, bytes->data, bytes->length, &own));
    MUST(cl_agreement_decode(&agreement, found->data, found->length));
    agreement.status = CL_ACTIVE;
    agreement.turn = CL_SIDE_NONE;
    agreement.audience.kind = 0;
    agreement.organisation.length = 33;
    memcpy(agreement.organisation.bytes, scene->organisation.public33, 33);
    memcpy(agreement.head, record.id.bytes, 32); /* the id that it would have here */
    agreement.last_index = world->leaf_count - 2;
    cl_record_deinit(&record);
    MUST(cl_agreement_encode(&value, &agreement));
    proof_world_force_state(world, scene->object.bytes, &value);
    struct parts *parts = take_apart(scene, (const uint64_t[]){1, 3}, 2);
    assert_int_equal(verify(scene, parts), CL_E_SIGNATURE);
    parts_free(parts);
    cl_buffer_deinit(&value);
}

/* ---- absence */

/* Every pair of leaves that exist, offered as the neighbours of every key: absent only where nothing stands between. */
static void no_two_neighbours_hide_what_exists(void **state)
{
    enum { LEAVES = 40, ABSENT = 40 };
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    static struct { uint8_t key_hash[32], value_hash[32]; struct cl_hash siblings[CL_SMT_DEPTH]; size_t count; } leaves[LEAVES];
    uint8_t keys[LEAVES + ABSENT][32];
    size_t proven = 0;
    while (world->state_count < LEAVES) {
        struct cl_buffer value = {0};
        struct cl_object_id id;
        uint8_t key[32];
        cl_sha256_once(key, &world->state_count, sizeof world->state_count);
        memcpy(id.bytes, key, 32);
        MUST(cl_answer_encode(&value, &id));
        proof_world_force_state(world, key, &value);
        cl_buffer_deinit(&value);
    }
    for (size_t i = 0; i < LEAVES; i++) {
        const struct proof_world_state *entry = &world->states[i];
        struct cl_buffer proof = {0};
        proof_world_state_proof(&proof, world, entry->key);
        cl_sha256_once(leaves[i].key_hash, entry->key, 32);
        cl_sha256_once(leaves[i].value_hash, entry->value.data, entry->value.length);
        /* [ 1, value, [ hashes ] ]: the hashes end the proof; their count is what is left after the head */
        size_t head = entry->value.length < 24 ? 1 : entry->value.length < 256 ? 2 : 3;
        size_t at = 2 + head + entry->value.length;
        leaves[i].count = proof.data[at] < 0x98 ? proof.data[at] & 31u : proof.data[at + 1];
        at += leaves[i].count < 24 ? 1 : 2;
        for (size_t k = 0; k < leaves[i].count; k++)
            memcpy(leaves[i].siblings[k].bytes, proof.data + at + 34 * k + 2, 32);
        assert_int_equal(at + 34 * leaves[i].count, proof.length);
        cl_buffer_deinit(&proof);
        memcpy(keys[i], leaves[i].key_hash, 32);
    }
    for (size_t i = 0; i < ABSENT; i++)
        cl_sha256_once(keys[LEAVES + i], &i, sizeof i);
    for (size_t k = 0; k < LEAVES + ABSENT; k++) {
        for (size_t i = 0; i <= LEAVES; i++) {
            for (size_t j = 0; j <= LEAVES; j++) {
                struct cl_smt_neighbour left = {leaves[i % LEAVES].key_hash, leaves[i % LEAVES].value_hash, leaves[i % LEAVES].siblings, leaves[i % LEAVES].count};
                struct cl_smt_neighbour right = {leaves[j % LEAVES].key_hash, leaves[j % LEAVES].value_hash, leaves[j % LEAVES].siblings, leaves[j % LEAVES].count};
                if (cl_smt_check_absence(&world->state_root, keys[k], i < LEAVES ? &left : NULL, j < LEAVES ? &right : NULL) != CL_OK)
                    continue;
                assert_true(k >= LEAVES); /* what exists is never proven absent */
                proven++;
            }
        }
    }
    assert_int_equal(proven, ABSENT); /* and what is absent by one pair only */
}

/* Inner nodes and leaves are hashed apart: an inner node cannot pose as a leaf whose key is its left child. */
static void an_inner_node_is_no_leaf(void **state)
{
    struct scene *scene = *state;
    struct cl_hash left = {{1}}, right = {{2}}, root;
    (void)scene;
    cl_sha256_node(root.bytes, 1, left.bytes, right.bytes);
    assert_int_equal(cl_smt_check_existence(&root, left.bytes, right.bytes, NULL, 0), CL_E_PROOF);
    uint8_t bytes[65] = {1};
    struct cl_leaf_hash leaf;
    memcpy(bytes + 1, left.bytes, 32);
    memcpy(bytes + 33, right.bytes, 32);
    cl_log_leaf_hash(&leaf, bytes, sizeof bytes);
    assert_int_equal(cl_log_check_inclusion(&root, 1, 0, &leaf, NULL, 0), CL_E_PROOF);
    cl_log_leaf_hash(&leaf, bytes + 1, 64);
    assert_int_equal(cl_log_check_inclusion(&root, 1, 0, &leaf, NULL, 0), CL_E_PROOF);
}

/* ---- signatures */

static void one_members_cosignatures_count_once(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    struct cl_buffer note = {0}, more = {0};
    struct cl_checkpoint checkpoint;
    struct cl_quorum_report report;
    proof_world_checkpoint(&note, world, 2, SCENE_NOW_S); /* log line, member 0, member 1: three of four are needed */
    for (uint64_t later = 1; later < 5; later++) {
        more.length = 0;
        proof_world_checkpoint(&more, world, 1, SCENE_NOW_S + later);
        const uint8_t *last = more.data + more.length - 1;
        while (last[-1] != '\n')
            last--;
        MUST(cl_buffer_append(&note, last, (size_t)(more.data + more.length - last)));
    }
    MUST(cl_checkpoint_decode(&checkpoint, note.data, note.length));
    assert_int_equal(checkpoint.signature_count, 3 + 4);
    assert_int_equal(cl_policy_check(&report, scene->policy, &checkpoint), CL_E_QUORUM);
    assert_int_equal(report.signed_count, 2);
    assert_int_equal(report.signer_count, 2);
    cl_buffer_deinit(&note);
    cl_buffer_deinit(&more);
}

/* The log's plain signature, given a time and a witness' name and key id: even where one key served for both. */
static void a_log_signature_is_no_cosignature(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    struct cl_buffer note = {0};
    struct cl_checkpoint checkpoint;
    struct cl_note_key witness;
    uint8_t seed[32], public32[32], signature[72] = {0};
    uint64_t time_s;
    proof_world_checkpoint(&note, world, 0, SCENE_NOW_S);
    MUST(cl_checkpoint_decode(&checkpoint, note.data, note.length));
    assert_int_equal(checkpoint.signatures[0].length, 64);
    proof_world_log_seed(seed, 0);
    cl_ed25519_public(public32, seed);
    MUST(cl_witness_key_make(&witness, WORLD_ORIGIN, "member-0", public32));
    memcpy(signature + 8, checkpoint.signatures[0].bytes, 64);
    for (uint64_t at = 0; at < 3; at++) {
        signature[7] = (uint8_t)at;
        assert_false(cl_note_signature_holds(&time_s, &witness, signature, 72, &checkpoint.body));
        assert_false(cl_note_signature_holds(&time_s, &witness, signature + 8, 64, &checkpoint.body));
    }
    cl_buffer_deinit(&note);
}

static void a_cosignatures_time_is_signed(void **state)
{
    struct scene *scene = *state;
    struct cl_buffer note = {0};
    struct cl_checkpoint checkpoint;
    struct cl_quorum_report report;
    proof_world_checkpoint(&note, scene->world, 3, SCENE_NOW_S);
    MUST(cl_checkpoint_decode(&checkpoint, note.data, note.length));
    assert_int_equal(cl_policy_check(&report, scene->policy, &checkpoint), CL_OK);
    assert_int_equal(report.as_of_s, SCENE_NOW_S);
    for (size_t i = 0; i < 8; i++) {
        checkpoint.signatures[2].bytes[i] ^= 1; /* made younger, or older */
        assert_int_equal(cl_policy_check(&report, scene->policy, &checkpoint), CL_E_QUORUM);
        checkpoint.signatures[2].bytes[i] ^= 1;
    }
    cl_buffer_deinit(&note);
}

/* A quorum that lies takes a SUBSCRIBE by a delegate into the log whom the organisation let no more than end things; or
   whom only the quorum's own word, the state value, calls a delegate. */
static void a_delegate_without_the_power_is_not_its_sides_signature(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    for (unsigned powers = 1; powers < 32; powers++) {
        struct cl_agreement agreement;
        struct cl_buffer value = {0};
        open_grant(scene, (uint8_t)powers);
        uint64_t grant = world->leaf_count - 2;
        struct cl_entry entry = subscribe(scene), delegation = {.present = CL_HAS(1) | CL_HAS(5) | CL_HAS(12) | CL_HAS(14), .object_length = 32,
            .object = scene->object.bytes, .not_after = SCENE_NOW_S + 9999, .key = scene->delegate.public33, .key_length = 33, .mode = powers};
        proof_world_force(world, NULL, &scene->organisation, CL_DELEGATE, &delegation);
        uint64_t delegated = world->leaf_count - 2;
        proof_world_force(world, &scene->head, &scene->delegate, CL_SUBSCRIBE, &entry);
        uint64_t answered = world->leaf_count - 2;
        const struct cl_buffer *found = proof_world_value(world, scene->object.bytes);
        MUST(cl_agreement_decode(&agreement, found->data, found->length));
        agreement.status = CL_ACTIVE;
        agreement.turn = CL_SIDE_NONE;
        agreement.audience.kind = 0;
        agreement.organisation.length = 33;
        memcpy(agreement.organisation.bytes, scene->organisation.public33, 33);
        memcpy(agreement.head, scene->head.bytes, 32);
        agreement.last_index = answered;
        agreement.delegation_count = 1;
        agreement.delegations[0] = (struct cl_delegation){.side = CL_SIDE_ORGANISATION, .powers = (uint8_t)powers, .until = SCENE_NOW_S + 9999};
        memcpy(agreement.delegations[0].key, scene->delegate.public33, 33);
        MUST(cl_agreement_encode(&value, &agreement));
        proof_world_force_state(world, scene->object.bytes, &value);
        struct parts *parts = take_apart(scene, (const uint64_t[]){grant, delegated, answered}, 3);
        bool may = (powers & (CL_POWER_GRANT | CL_POWER_AMEND)) != 0;
        assert_int_equal(verify(scene, parts), may ? CL_OK : CL_E_PROOF);
        parts_free(parts);
        parts = take_apart(scene, (const uint64_t[]){grant, answered}, 2);
        assert_int_equal(verify(scene, parts), CL_E_PROOF);
        parts_free(parts);
        cl_buffer_deinit(&value);
    }
}

/* ---- random lives: whatever the rules let happen can be proven, and the proof says what the state says */

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static const enum cl_record_type acts[] = {
    CL_GRANT, CL_SUBSCRIBE, CL_COUNTER, CL_AMEND, CL_AMEND, CL_AMEND, CL_SUSPEND, CL_RESUME, CL_RENEW, CL_DELEGATE, CL_DELEGATE,
    CL_UNDELEGATE, CL_ROTATE, CL_ERASE, CL_DISPUTE, CL_ACK, CL_REFUSE, CL_REVOKE,
};
enum { ACTORS = 6 };

static struct cl_entry random_entry(struct scene *scene, enum cl_record_type type, const struct cl_record_id *proposal, const struct proof_world_key *actors, uint64_t *seed)
{
    struct cl_entry entry = scene_on_object(scene);
    size_t commitment = 1 + random_next(seed) % 2;
    switch (type) {
    case CL_GRANT: case CL_COUNTER:
        entry = scene_answer(scene, commitment, 1 + random_next(seed) % 7);
        break;
    case CL_SUBSCRIBE:
        entry = subscribe(scene);
        if (random_next(seed) % 2 == 0)
            entry.present &= ~CL_HAS(7);
        break;
    case CL_AMEND:
        if (random_next(seed) % 2 == 0) {
            entry = scene_answer(scene, commitment, 1 + random_next(seed) % 7);
        } else if (random_next(seed) % 4 != 0) {
            entry.present |= CL_HAS(2) | CL_HAS(8);
            entry.prev = scene->head.bytes;
            entry.ref = proposal->bytes;
        } else {
            entry.present |= CL_HAS(9);
            entry.slots = 1 + random_next(seed) % 7;
        }
        break;
    case CL_RESUME: case CL_REFUSE:
        entry.present |= CL_HAS(2);
        entry.prev = scene->head.bytes;
        break;
    case CL_RENEW:
        entry.present |= CL_HAS(2) | CL_HAS(5);
        entry.prev = scene->head.bytes;
        entry.not_after = SCENE_NOW_S + 100000 + random_next(seed) % 1000;
        break;
    case CL_DELEGATE:
        entry.present |= CL_HAS(5) | CL_HAS(12) | CL_HAS(14);
        entry.not_after = SCENE_NOW_S + 100000;
        entry.mode = 1 + random_next(seed) % 31;
        entry.key = actors[random_next(seed) % ACTORS].public33;
        entry.key_length = 33;
        break;
    case CL_UNDELEGATE: case CL_ROTATE:
        entry.present |= CL_HAS(12);
        entry.key = actors[random_next(seed) % ACTORS].public33;
        entry.key_length = 33;
        break;
    case CL_ACK: case CL_DISPUTE:
        entry.present |= CL_HAS(8) | CL_HAS(10);
        entry.ref = scene_commitments[1];
        entry.reason = type == CL_ACK ? 1 : (uint8_t)(4 + random_next(seed) % 2);
        break;
    case CL_REVOKE:
        if (random_next(seed) % 8 != 0) {
            entry.present |= CL_HAS(9);
            entry.slots = 1 + random_next(seed) % 7;
        }
        break;
    case CL_PROFILE: case CL_TERMS: case CL_REQUEST: case CL_SUSPEND: case CL_ERASE: case CL_STATEMENT: case CL_VOUCH:
        break;
    }
    return entry;
}

static void proves_what_the_state_says(struct scene *scene, uint64_t life, size_t step, enum cl_record_type type)
{
    struct cl_buffer proof = {0};
    struct cl_agreement agreement;
    const struct cl_buffer *found = proof_world_value(scene->world, scene->object.bytes);
    MUST(cl_agreement_decode(&agreement, found->data, found->length));
    proof_world_proof(&proof, scene->world, &scene->object, SCENE_NOW_S, 0);
    enum cl_status status = scene_verify(scene, &proof);
    if (status != CL_OK)
        fail_msg("life %llu, step %zu, after %s (status %u): %s", (unsigned long long)life, step, cl_record_type_name(type), agreement.status, cl_status_code(status));
    assert_int_equal(scene->report.verdict, cl_agreement_check(&agreement, 0, SCENE_NOW_MS));
    cl_buffer_deinit(&proof);
}

static void one_life(struct scene *scene, uint64_t life)
{
    struct proof_world *world = scene->world;
    struct proof_world_key actors[ACTORS] = {scene->customer, scene->organisation, scene->other, scene->delegate};
    struct cl_record_id proposal = {{0}};
    uint64_t seed = 0x9e3779b97f4a7c15u * (life + 1);
    proof_world_key(&actors[4], "fifth");
    proof_world_key(&actors[5], "sixth");
    open_grant(scene, 1);
    for (size_t step = 0; step < 1500 && world->leaf_count + 2 <= WORLD_LEAVES_MAX / 2; step++) {
        enum cl_record_type type = acts[random_next(&seed) % (sizeof acts / sizeof acts[0])];
        if ((type == CL_REVOKE || type == CL_REFUSE) && random_next(&seed) % 8 != 0)
            continue;
        const struct proof_world_key *actor = &actors[random_next(&seed) % (random_next(&seed) % 2 != 0 ? 2 : ACTORS)];
        struct cl_entry entry = random_entry(scene, type, &proposal, actors, &seed);
        struct cl_record_id id;
        struct cl_agreement agreement;
        if (proof_world_act(world, &id, actor, type, &entry) != CL_OK)
            continue;
        const struct cl_buffer *found = proof_world_value(world, scene->object.bytes);
        MUST(cl_agreement_decode(&agreement, found->data, found->length));
        memcpy(scene->head.bytes, agreement.head, 32);
        if (agreement.pending.present)
            memcpy(proposal.bytes, agreement.pending.record_id, 32);
        proves_what_the_state_says(scene, life, step, type);
    }
    assert_true(world->leaf_count > 3);
}

static void whatever_the_rules_allow_can_be_proven(void **state)
{
    (void)state;
    for (uint64_t life = 0; life < 12; life++) {
        void *scene;
        scene_init(&scene);
        one_life(scene, life);
        scene_deinit(&scene);
    }
}

/* ---- receipts */

/* A COSE receipt signs the root alone. Where leaf and path lead to it under other numbers, the numbers can be changed:
   it shows that the record is in the log, not where. */
static void a_cose_receipt_says_that_not_where(void **state)
{
    (void)state;
    struct cl_hash leaves[3], pair, root, path[2];
    struct cl_leaf_hash hash;
    struct cl_buffer receipt = {0}, other = {0};
    uint8_t seed[32] = {5}, public32[32];
    uint64_t index, size;
    for (uint8_t i = 0; i < 3; i++) {
        cl_log_leaf_hash(&hash, &i, 1);
        memcpy(leaves[i].bytes, hash.bytes, 32);
    }
    cl_sha256_node(pair.bytes, 1, leaves[0].bytes, leaves[1].bytes);
    cl_sha256_node(root.bytes, 1, pair.bytes, leaves[2].bytes);
    cl_ed25519_public(public32, seed);
    path[0] = pair;
    MUST(cl_cose_receipt_encode(&receipt, 3, 2, path, 1, &root, seed, (const uint8_t *)"k", 1));
    MUST(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, (const uint8_t[]){2}, 1, public32));
    assert_int_equal(index, 2);
    MUST(cl_cose_receipt_encode(&other, 2, 1, path, 1, &root, seed, (const uint8_t *)"k", 1));
    MUST(cl_cose_receipt_verify(&index, &size, other.data, other.length, (const uint8_t[]){2}, 1, public32));
    /* but never another leaf */
    assert_int_not_equal(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, (const uint8_t[]){1}, 1, public32), CL_OK);
    assert_int_not_equal(cl_cose_receipt_verify(&index, &size, receipt.data, receipt.length, pair.bytes, 32, public32), CL_OK);
    cl_buffer_deinit(&receipt);
    cl_buffer_deinit(&other);
}

#define T(name) cmocka_unit_test_setup_teardown(name, scene_init, scene_deinit)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_state_of_before_does_not_fit_under_a_checkpoint_of_now), T(another_agreements_value_and_records_do_not_serve),
        T(records_come_once_in_order_and_from_where_they_say), T(a_record_of_another_network_is_nobodys_signature_here),
        T(no_two_neighbours_hide_what_exists), T(an_inner_node_is_no_leaf), T(one_members_cosignatures_count_once),
        T(a_log_signature_is_no_cosignature), T(a_cosignatures_time_is_signed),
        T(a_delegate_without_the_power_is_not_its_sides_signature), cmocka_unit_test(whatever_the_rules_allow_can_be_proven),
        cmocka_unit_test(a_cose_receipt_says_that_not_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

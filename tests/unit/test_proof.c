/* Proofs of state: what holds, what is refused, and that no byte of a proof can be changed unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "block.h"
#include "cbor.h"
#include "crypto.h"
#include "proof_world.h"

static struct cl_entry opening(uint8_t nonce, size_t commitment, uint64_t slots)
{
    static uint8_t nonces[256][16];
    memset(nonces[nonce], nonce, 16);
    return (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(9), .object_length = 16, .object = nonces[nonce], .commitment = scene_commitments[commitment], .slots = slots};
}

static void act(struct scene *scene, const struct proof_world_key *key, enum cl_record_type type, struct cl_entry entry)
{
    struct cl_record_id id;
    enum cl_status status = proof_world_act(scene->world, &id, key, type, &entry);
    if (status != CL_OK)
        fail_msg("%s: %s", cl_record_type_name(type), cl_status_code(status));
    if (entry.object_length == 16)
        cl_object_id_derive(type == CL_TERMS ? &scene->terms : &scene->object, key->public33, entry.object);
    scene->head = id;
}

/* REQUEST and GRANT cannot go without an audience: a token key of somebody. */
static struct cl_entry with_token(struct cl_entry entry, const struct proof_world_key *key)
{
    entry.present |= CL_HAS(6);
    entry.audience_kind = CL_AUDIENCE_TOKEN;
    entry.audience = key->public33;
    return entry;
}

/* The opening that answers it. */
static struct cl_entry with_opening(const struct scene *scene, struct cl_entry entry, const struct proof_world_key *token, const struct proof_world_key *answerer)
{
    static uint8_t signature[64];
    struct cl_hash digest;
    cl_token_digest(&digest, &scene->world->network, scene->object.bytes, scene->object.bytes, answerer->public33);
    assert_int_equal(cl_ecdsa_sign(signature, token->secret, digest.bytes), CL_OK);
    entry.present |= CL_HAS(7);
    entry.opening = signature;
    entry.opening_length = 64;
    return entry;
}

static void request_and_grant(struct scene *scene)
{
    act(scene, &scene->organisation, CL_REQUEST, with_token(opening(1, 1, 7), &scene->other));
    act(scene, &scene->customer, CL_GRANT, with_opening(scene, scene_answer(scene, 1, 3), &scene->other, &scene->customer));
}

static void subscribe_to_terms(struct scene *scene, uint64_t mode)
{
    struct cl_entry terms = opening(2, 1, 6);
    terms.present |= CL_HAS(11) | CL_HAS(14);
    terms.limit = 5;
    terms.mode = mode;
    act(scene, &scene->customer, CL_TERMS, terms);
    struct cl_entry entry = opening(3, 1, 6);
    entry.present |= CL_HAS(8);
    entry.ref = scene->terms.bytes;
    act(scene, &scene->organisation, CL_SUBSCRIBE, entry);
}

static void make_proof(struct scene *scene, uint64_t skip)
{
    scene->proof.length = 0;
    proof_world_proof(&scene->proof, scene->world, &scene->object, SCENE_NOW_S, skip);
}

static enum cl_status verify(struct scene *scene)
{
    return scene_verify(scene, &scene->proof);
}

static void proves(struct scene *scene, enum cl_status verdict, size_t records)
{
    make_proof(scene, 0);
    enum cl_status status = verify(scene);
    if (status != CL_OK)
        fail_msg("refused: %s", cl_status_code(status));
    assert_int_equal(scene->report.verdict, verdict);
    assert_int_equal(scene->report.record_count, records);
    assert_int_equal(scene->report.signature_checks, 1 + 4 + records);
}

/* ---- what holds */

static void an_answered_request_is_active(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    proves(scene, CL_OK, 2);
    assert_true(scene->report.exists);
    assert_int_equal(scene->report.kind, CL_STATE_AGREEMENT);
    assert_int_equal(scene->report.agreement.live, 3);
    assert_int_equal(scene->report.as_of_s, SCENE_NOW_S);
    assert_int_equal(scene->report.log_size, scene->world->leaf_count);
    assert_int_equal(scene->report.height, scene->world->height - 1);
    assert_string_equal(scene->report.origin, WORLD_ORIGIN);
    assert_int_equal(scene->report.quorum.needed, 3);
    assert_int_equal(scene->report.quorum.signed_count, 4);
}

static void standing_terms_are_the_customers_signature(void **state)
{
    struct scene *scene = *state;
    subscribe_to_terms(scene, 1);
    proves(scene, CL_OK, 2);
    make_proof(scene, 1); /* without the TERMS record */
    assert_int_equal(verify(scene), CL_E_PROOF);
}

static void terms_that_ask_need_a_grant(void **state)
{
    struct scene *scene = *state;
    subscribe_to_terms(scene, 0);
    proves(scene, CL_E_NOT_ACTIVE, 2);
    act(scene, &scene->customer, CL_GRANT, scene_answer(scene, 1, 2));
    proves(scene, CL_OK, 3);
    make_proof(scene, 4); /* without the GRANT, which is the head as well */
    assert_int_equal(verify(scene), CL_E_PROOF);
}

static void each_status_can_be_proven(void **state)
{
    struct scene *scene = *state;
    act(scene, &scene->organisation, CL_REQUEST, with_token(opening(1, 1, 7), &scene->other));
    proves(scene, CL_E_NOT_ACTIVE, 1);
    act(scene, &scene->customer, CL_COUNTER, with_opening(scene, scene_answer(scene, 2, 1), &scene->other, &scene->customer));
    proves(scene, CL_E_NOT_ACTIVE, 2);
    act(scene, &scene->organisation, CL_SUBSCRIBE, scene_answer(scene, 2, 1));
    proves(scene, CL_OK, 3);
    act(scene, &scene->organisation, CL_SUSPEND, scene_on_object(scene));
    proves(scene, CL_E_SUSPENDED, 4);
    struct cl_entry resume = scene_on_object(scene);
    resume.present |= CL_HAS(2);
    resume.prev = scene->head.bytes;
    act(scene, &scene->organisation, CL_RESUME, resume);
    proves(scene, CL_OK, 4);
    act(scene, &scene->customer, CL_REVOKE, scene_on_object(scene));
    proves(scene, CL_E_WITHDRAWN, 2); /* the opening and the head */
    make_proof(scene, 1);
    assert_int_equal(verify(scene), CL_E_PROOF);
    make_proof(scene, 2);
    assert_int_equal(verify(scene), CL_E_PROOF);
}

static void a_refused_offer_is_proven_refused(void **state)
{
    struct scene *scene = *state;
    act(scene, &scene->customer, CL_GRANT, with_token(opening(1, 1, 7), &scene->other));
    proves(scene, CL_E_NOT_ACTIVE, 1);
    struct cl_entry refuse = with_opening(scene, scene_answer(scene, 1, 7), &scene->other, &scene->organisation);
    refuse.present = CL_HAS(1) | CL_HAS(2) | CL_HAS(7);
    act(scene, &scene->organisation, CL_REFUSE, refuse);
    proves(scene, CL_E_NOT_ACTIVE, 2);
    assert_int_equal(scene->report.agreement.status, CL_REFUSED);
}

/* Proposes by one, accepts by the other; the proposal moves no head. */
static void amend(struct scene *scene, const struct proof_world_key *proposer, const struct proof_world_key *other, size_t commitment, uint64_t slots)
{
    struct cl_record_id head = scene->head, proposal;
    act(scene, proposer, CL_AMEND, scene_answer(scene, commitment, slots));
    proposal = scene->head;
    struct cl_entry accept = scene_on_object(scene);
    accept.present |= CL_HAS(2) | CL_HAS(8);
    accept.prev = head.bytes;
    accept.ref = proposal.bytes;
    act(scene, other, CL_AMEND, accept);
}

static void an_accepted_amendment_carries_both_signatures(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    amend(scene, &scene->organisation, &scene->customer, 2, 12);
    proves(scene, CL_OK, 4);
    assert_int_equal(scene->report.agreement.live, 12);
    amend(scene, &scene->customer, &scene->organisation, 3, 8);
    proves(scene, CL_OK, 4); /* the newest amendment stands for those before it */
    make_proof(scene, 1 << 2); /* without the proposal in force */
    assert_int_equal(verify(scene), CL_E_PROOF);
}

static void rotated_and_delegated_keys_are_followed(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    struct cl_entry rotate = scene_on_object(scene), delegate = scene_on_object(scene), undelegate = scene_on_object(scene);
    rotate.present |= CL_HAS(12);
    rotate.key = scene->other.public33;
    rotate.key_length = 33;
    act(scene, &scene->customer, CL_ROTATE, rotate);
    proves(scene, CL_OK, 3);
    struct cl_record_id head = scene->head;
    delegate.present |= CL_HAS(5) | CL_HAS(12) | CL_HAS(14);
    delegate.key = scene->delegate.public33;
    delegate.key_length = 33;
    delegate.not_after = SCENE_NOW_S + 100000;
    delegate.mode = CL_POWER_AMEND;
    act(scene, &scene->other, CL_DELEGATE, delegate);
    scene->head = head;
    amend(scene, &scene->organisation, &scene->delegate, 2, 12);
    head = scene->head;
    undelegate.present |= CL_HAS(12);
    undelegate.key = scene->delegate.public33;
    undelegate.key_length = 33;
    act(scene, &scene->other, CL_UNDELEGATE, undelegate);
    proves(scene, CL_OK, 6);
    make_proof(scene, 1 << 2); /* without the ROTATE, the first GRANT is by a stranger */
    assert_int_equal(verify(scene), CL_E_PROOF);
    make_proof(scene, 1 << 3); /* without the DELEGATE, so is the acceptance */
    assert_int_equal(verify(scene), CL_E_PROOF);
}

static void neither_side_can_swell_the_proof_of_a_withdrawal(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    for (size_t i = 0; i < 70; i++) { /* delegations, proposals and rotations without end */
        struct cl_record_id head = scene->head;
        struct cl_entry delegate = scene_on_object(scene), rotate = scene_on_object(scene);
        delegate.present |= CL_HAS(5) | CL_HAS(12) | CL_HAS(14);
        delegate.key = scene->delegate.public33;
        delegate.key_length = 33;
        delegate.not_after = SCENE_NOW_S + 100000 + i;
        delegate.mode = CL_POWER_AMEND;
        rotate.present |= CL_HAS(12);
        rotate.key = i % 2 == 0 ? scene->other.public33 : scene->organisation.public33;
        rotate.key_length = 33;
        act(scene, i % 2 == 0 ? &scene->organisation : &scene->other, i < 35 ? CL_DELEGATE : CL_ROTATE, i < 35 ? delegate : rotate);
        if (i < 35) {
            scene->head = head;
            proves(scene, CL_OK, 2);
            i++; /* the organisation still holds its first key */
        }
    }
    act(scene, &scene->customer, CL_REVOKE, scene_on_object(scene));
    proves(scene, CL_E_WITHDRAWN, 2);
}

static void terms_profiles_and_the_network_can_be_proven(void **state)
{
    struct scene *scene = *state;
    struct cl_hash key;
    subscribe_to_terms(scene, 1);
    scene->object = scene->terms;
    proves(scene, CL_OK, 0);
    assert_int_equal(scene->report.kind, CL_STATE_TERMS);
    act(scene, &scene->customer, CL_REVOKE, scene_on_object(scene));
    proves(scene, CL_E_CLOSED, 0);
    cl_network_key(&key);
    memcpy(scene->object.bytes, key.bytes, 32);
    proves(scene, CL_E_OBJECT_KIND, 0); /* it holds, and is no agreement that could be active */
    assert_int_equal(scene->report.kind, CL_STATE_NETWORK);
}

static void absence_can_be_proven(void **state)
{
    struct scene *scene = *state;
    memset(scene->object.bytes, 0xab, 32);
    proves(scene, CL_E_NO_OBJECT, 0); /* one leaf only: an edge on one side */
    assert_false(scene->report.exists);
    request_and_grant(scene);
    subscribe_to_terms(scene, 1);
    for (uint8_t i = 0; i < 20; i++) {
        memset(scene->object.bytes, i, 32);
        proves(scene, CL_E_NO_OBJECT, 0);
    }
}

static void the_period_is_judged_at_the_time_asked_for(void **state)
{
    struct scene *scene = *state;
    struct cl_entry entry = with_token(opening(1, 1, 7), &scene->other);
    entry.present |= CL_HAS(5);
    entry.not_after = SCENE_NOW_S + 100;
    act(scene, &scene->organisation, CL_REQUEST, entry);
    act(scene, &scene->customer, CL_GRANT, with_opening(scene, scene_answer(scene, 1, 3), &scene->other, &scene->customer));
    proves(scene, CL_OK, 2);
    struct cl_verify_options later = {.now_ms = SCENE_NOW_MS, .at_present = true, .at_ms = SCENE_NOW_MS + 100000};
    assert_int_equal(cl_proof_verify(&scene->report, scene->proof.data, scene->proof.length, scene->policy, &later), CL_OK);
    assert_int_equal(scene->report.verdict, CL_E_EXPIRED);
}

static void a_time_before_the_state_is_not_answered_for(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    make_proof(scene, 0);
    struct cl_verify_options then = {.now_ms = SCENE_NOW_MS, .at_present = true, .at_ms = SCENE_NOW_MS};
    assert_int_equal(cl_proof_verify(&scene->report, scene->proof.data, scene->proof.length, scene->policy, &then), CL_OK);
    assert_int_equal(scene->report.since_ms, scene->report.agreement.head_ms);
    then.at_ms = scene->report.since_ms;
    assert_int_equal(cl_proof_verify(&scene->report, scene->proof.data, scene->proof.length, scene->policy, &then), CL_OK);
    assert_int_equal(scene->report.verdict, CL_OK);
    then.at_ms--;
    assert_int_equal(cl_proof_verify(&scene->report, scene->proof.data, scene->proof.length, scene->policy, &then), CL_OK);
    assert_int_equal(scene->report.verdict, CL_E_BEFORE_PROOF);
}

static void an_old_proof_and_one_from_the_future_are_refused(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    make_proof(scene, 0);
    struct cl_verify_options options = {.now_ms = SCENE_NOW_MS + 3600000, .max_age_ms = 3600000};
#define AT() cl_proof_verify(&scene->report, scene->proof.data, scene->proof.length, scene->policy, &options)
    assert_int_equal(AT(), CL_OK);
    options.now_ms++;
    assert_int_equal(AT(), CL_E_PROOF_OLD);
    assert_int_equal(scene->report.as_of_s, SCENE_NOW_S);
    assert_int_equal(scene->report.verdict, CL_OK);
    options.max_age_ms = 0;
    assert_int_equal(AT(), CL_OK);
    options = (struct cl_verify_options){.now_ms = SCENE_NOW_MS - CL_RECORD_AHEAD_MS_MAX, .max_age_ms = 3600000};
    assert_int_equal(AT(), CL_OK);
    options.now_ms--;
    assert_int_equal(AT(), CL_E_PROOF);
    options.max_age_ms = 0;
    assert_int_equal(AT(), CL_OK);
#undef AT
}

/* ---- what is refused */

/* With exactly a quorum of cosignatures nothing is to spare: every byte counts. */
static void make_scant_proof(struct scene *scene)
{
    scene->world->value.member_count = 3; /* who sign; the policy asks for three of four */
    make_proof(scene, 0);
    scene->world->value.member_count = 4;
}

static void no_byte_can_be_changed_unseen(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    make_scant_proof(scene);
    for (size_t i = 0; i < scene->proof.length; i++) {
        scene->proof.data[i] ^= (uint8_t)(1u << i % 8);
        if (verify(scene) == CL_OK)
            fail_msg("byte %zu of %zu can be changed", i, scene->proof.length);
        scene->proof.data[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(verify(scene), CL_OK);
}

static void no_byte_of_a_proof_of_absence_can_be_changed_unseen(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    subscribe_to_terms(scene, 1);
    memset(scene->object.bytes, 0xab, 32);
    make_scant_proof(scene);
    for (size_t i = 0; i < scene->proof.length; i++) {
        scene->proof.data[i] ^= (uint8_t)(1u << i % 8);
        /* another object may be absent between the same neighbours: that is a proof of its own, and says of what */
        if (verify(scene) == CL_OK && memcmp(scene->report.object.bytes, scene->object.bytes, 32) == 0)
            fail_msg("byte %zu of %zu can be changed", i, scene->proof.length);
        scene->proof.data[i] ^= (uint8_t)(1u << i % 8);
    }
}

/* What is not covered is exactly what the quorum does not need: the fourth member's line can be lost, no more. */
static void a_line_beyond_the_quorum_can_only_be_lost(void **state)
{
    struct scene *scene = *state;
    size_t lost = 0;
    request_and_grant(scene);
    make_proof(scene, 0);
    for (size_t i = 0; i < scene->proof.length; i++) {
        scene->proof.data[i] ^= 1;
        if (verify(scene) == CL_OK) {
            assert_int_equal(scene->report.quorum.signed_count, 3);
            assert_int_equal(scene->report.agreement.live, 3);
            lost++;
        }
        scene->proof.data[i] ^= 1;
    }
    assert_true(lost > 4 * 64 && lost < 4 * 150); /* within the four lines */
}

static void a_proof_cut_short_or_made_longer_is_refused(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    make_proof(scene, 0);
    struct cl_verify_options options = {.now_ms = SCENE_NOW_MS};
    for (size_t i = 0; i < scene->proof.length; i++) {
        uint8_t *exact = malloc(i + 1); /* so that sanitizers see a read beyond the end */
        memcpy(exact, scene->proof.data, i);
        assert_int_not_equal(cl_proof_verify(&scene->report, exact, i, scene->policy, &options), CL_OK);
        free(exact);
    }
    assert_int_equal(cl_buffer_append(&scene->proof, "", 1), CL_OK);
    assert_int_equal(verify(scene), CL_E_CBOR_TRAILING);
}

static void a_quorum_is_needed(void **state)
{
    struct scene *scene = *state;
    struct proof_world *world = scene->world;
    request_and_grant(scene);
    world->value.member_count = 2; /* whose checkpoint two members sign; the policy asks for three of four */
    make_proof(scene, 0);
    assert_int_equal(verify(scene), CL_E_QUORUM);
    assert_int_equal(scene->report.quorum.signed_count, 2);
    assert_int_equal(scene->report.quorum.needed, 3);
    world->value.member_count = 3;
    make_proof(scene, 0);
    assert_int_equal(verify(scene), CL_OK);
    world->value.member_count = 4;
}

static void records_may_not_be_left_out(void **state)
{
    struct scene *scene = *state;
    request_and_grant(scene);
    for (uint64_t skip = 1; skip < 4; skip++) {
        make_proof(scene, skip);
        assert_int_equal(verify(scene), CL_E_PROOF);
    }
}

/* A quorum that lies: it takes an agreement into the state that a party has not signed. */
static void even_a_lying_quorum_needs_the_parties_signatures(void **state)
{
    struct scene *scene = *state;
    struct cl_agreement agreement;
    struct cl_buffer value = {0};
    struct cl_entry grant;
    act(scene, &scene->organisation, CL_REQUEST, with_token(opening(1, 1, 7), &scene->other));
    const struct cl_buffer *found = proof_world_value(scene->world, scene->object.bytes);
    assert_int_equal(cl_agreement_decode(&agreement, found->data, found->length), CL_OK);
    agreement.status = CL_ACTIVE;
    agreement.turn = 0;
    agreement.customer.length = 33;
    memcpy(agreement.customer.bytes, scene->customer.public33, 33);
    agreement.audience.kind = 0;
    agreement.live = 3;
#define FORCE() do { value.length = 0; assert_int_equal(cl_agreement_encode(&value, &agreement), CL_OK); \
        proof_world_force_state(scene->world, scene->object.bytes, &value); make_proof(scene, 0); } while (0)
    FORCE(); /* active with the REQUEST alone */
    assert_int_equal(verify(scene), CL_E_PROOF);
    grant = scene_answer(scene, 1, 3);
    proof_world_force(scene->world, &scene->head, &scene->other, CL_GRANT, &grant); /* signed by a stranger */
    memcpy(agreement.head, scene->head.bytes, 32);
    agreement.last_index = scene->world->leaf_count - 2;
    FORCE();
    assert_int_equal(verify(scene), CL_E_PROOF);
    memcpy(agreement.customer.bytes, scene->other.public33, 33); /* if the stranger is the customer, it holds */
    FORCE();
    assert_int_equal(verify(scene), CL_OK);
    agreement.live = 7; /* a slot that was asked for and not granted */
    FORCE();
    assert_int_equal(verify(scene), CL_E_PROOF);
    agreement.live = 3;
    memset(agreement.commitment, 2, 32); /* other terms than those signed */
    FORCE();
    assert_int_equal(verify(scene), CL_E_PROOF);
#undef FORCE
    cl_buffer_deinit(&value);
}

static void a_hidden_revocation_shows(void **state)
{
    struct scene *scene = *state;
    struct cl_buffer value = {0};
    request_and_grant(scene);
    const struct cl_buffer *active = proof_world_value(scene->world, scene->object.bytes);
    assert_int_equal(cl_buffer_append(&value, active->data, active->length), CL_OK);
    act(scene, &scene->customer, CL_REVOKE, scene_on_object(scene));
    make_proof(scene, 0); /* the REVOKE is shown, the state says active: a contradiction */
    struct cl_agreement agreement;
    assert_int_equal(cl_agreement_decode(&agreement, value.data, value.length), CL_OK);
    memcpy(agreement.head, scene->head.bytes, 32);
    agreement.last_index = scene->world->leaf_count - 2;
    value.length = 0;
    assert_int_equal(cl_agreement_encode(&value, &agreement), CL_OK);
    proof_world_force_state(scene->world, scene->object.bytes, &value);
    make_proof(scene, 0);
    assert_int_equal(verify(scene), CL_E_PROOF);
    cl_buffer_deinit(&value);
}

/* ---- members that change */

/* Ends the epoch with a block whose state leaf names the next set, and keeps what the boundary shows of it. */
struct handover { struct cl_buffer checkpoint, members; size_t leaf; struct cl_hash path[CL_LOG_PATH_MAX]; size_t count; };

static void hand_over(struct handover *out, struct proof_world *world, size_t first, size_t count)
{
    struct cl_cbor_writer writer;
    size_t old_first = world->first_member, old_count = world->value.member_count;
    memset(out, 0, sizeof *out);
    proof_world_set_members(world, first, count);
    proof_world_end_block(world);
    out->leaf = world->leaf_count - 1;
    proof_world_path(out->path, &out->count, world, out->leaf);
    cl_cbor_writer_init(&writer, &out->members);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++) {
        const struct cl_member *member = &world->value.members[i];
        cl_cbor_put_array(&writer, 5);
        cl_cbor_put_text(&writer, member->name, strlen(member->name));
        cl_cbor_put_bytes(&writer, member->vote, 32);
        cl_cbor_put_bytes(&writer, member->log, 32);
        cl_cbor_put_bytes(&writer, member->witness, 32);
        cl_cbor_put_bytes(&writer, member->party, 33);
    }
    assert_int_equal(writer.status, CL_OK);
    proof_world_set_members(world, old_first, old_count); /* the old members sign the boundary block */
    proof_world_checkpoint(&out->checkpoint, world, cl_quorum(old_count), SCENE_NOW_S - 500);
    proof_world_set_members(world, first, count);
    world->epoch++;
}

static void put_boundaries(struct scene *scene, const struct handover *handovers, const size_t *order, size_t count)
{
    struct cl_cbor_writer writer;
    assert_int_equal(scene->proof.data[--scene->proof.length], 0x80); /* the empty list at the end */
    cl_cbor_writer_init(&writer, &scene->proof);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count; i++) {
        const struct handover *handover = &handovers[order[i]];
        const struct cl_buffer *leaf = &scene->world->leaves[handover->leaf];
        cl_cbor_put_array(&writer, 4);
        cl_cbor_put_bytes(&writer, handover->checkpoint.data, handover->checkpoint.length);
        cl_cbor_put_bytes(&writer, leaf->data, leaf->length);
        cl_cbor_put_array(&writer, handover->count);
        for (size_t k = 0; k < handover->count; k++)
            cl_cbor_put_bytes(&writer, handover->path[k].bytes, 32);
        cl_cbor_put_raw(&writer, handover->members.data, handover->members.length);
    }
    assert_int_equal(writer.status, CL_OK);
}

static enum cl_status verify_across(struct scene *scene, const struct handover *handovers, const size_t *order, size_t count)
{
    make_proof(scene, 0);
    if (count > 0)
        put_boundaries(scene, handovers, order, count);
    return verify(scene);
}

static void boundaries_carry_trust_from_set_to_set(void **state)
{
    struct scene *scene = *state;
    struct handover handovers[2];
    request_and_grant(scene);
    hand_over(&handovers[0], scene->world, 10, 3);
    proof_world_end_block(scene->world);
    hand_over(&handovers[1], scene->world, 20, 1);
    proof_world_end_block(scene->world);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0, 1}, 2), CL_OK);
    assert_int_equal(scene->report.epoch, 2);
    assert_int_equal(scene->report.quorum.witnesses, 1);
    assert_int_equal(scene->report.as_of_s, SCENE_NOW_S);
    assert_int_equal(scene->report.signature_checks, 4 + 4 + 2 + 2); /* two quorums of three, one of one, two records */
    for (size_t i = 0; i < scene->proof.length; i++) {
        scene->proof.data[i] ^= (uint8_t)(1u << i % 8);
        if (verify(scene) == CL_OK)
            fail_msg("byte %zu of %zu can be changed", i, scene->proof.length);
        scene->proof.data[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(verify_across(scene, handovers, NULL, 0), CL_E_QUORUM);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0}, 1), CL_E_QUORUM);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){1}, 1), CL_E_QUORUM);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){1, 0}, 2), CL_E_QUORUM);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0, 0, 1}, 3), CL_E_QUORUM);
    struct cl_buffer members = handovers[0].members; /* a set that the state leaf does not name */
    handovers[0].members = handovers[1].members;
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0, 1}, 2), CL_E_PROOF);
    handovers[0].members = members;
    scene->world->epoch++; /* an epoch without its boundary */
    proof_world_end_block(scene->world);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0, 1}, 2), CL_E_PROOF);
    for (size_t i = 0; i < 2; i++) {
        cl_buffer_deinit(&handovers[i].checkpoint);
        cl_buffer_deinit(&handovers[i].members);
    }
}

/* The set stays the same across the boundary: nothing but the order of sizes and epochs tells the blocks apart. */
static void boundaries_of_one_set_still_come_in_order(void **state)
{
    struct scene *scene = *state;
    struct handover handovers[2];
    request_and_grant(scene);
    hand_over(&handovers[0], scene->world, 0, 4);
    hand_over(&handovers[1], scene->world, 0, 4);
    proof_world_end_block(scene->world);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0, 1}, 2), CL_OK);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){1}, 1), CL_OK); /* the policy's set signs them all */
    assert_int_equal(verify_across(scene, handovers, NULL, 0), CL_OK);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0}, 1), CL_E_PROOF);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){1, 0}, 2), CL_E_PROOF);
    assert_int_equal(verify_across(scene, handovers, (const size_t[]){0, 0, 1}, 3), CL_E_PROOF);
    for (size_t i = 0; i < 2; i++) {
        cl_buffer_deinit(&handovers[i].checkpoint);
        cl_buffer_deinit(&handovers[i].members);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, scene_init, scene_deinit)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_answered_request_is_active), T(standing_terms_are_the_customers_signature), T(terms_that_ask_need_a_grant),
        T(each_status_can_be_proven), T(a_refused_offer_is_proven_refused), T(an_accepted_amendment_carries_both_signatures),
        T(rotated_and_delegated_keys_are_followed), T(neither_side_can_swell_the_proof_of_a_withdrawal),
        T(terms_profiles_and_the_network_can_be_proven), T(absence_can_be_proven),
        T(a_time_before_the_state_is_not_answered_for), T(the_period_is_judged_at_the_time_asked_for), T(an_old_proof_and_one_from_the_future_are_refused),
        T(no_byte_can_be_changed_unseen), T(no_byte_of_a_proof_of_absence_can_be_changed_unseen),
        T(a_line_beyond_the_quorum_can_only_be_lost), T(a_proof_cut_short_or_made_longer_is_refused), T(a_quorum_is_needed), T(records_may_not_be_left_out),
        T(even_a_lying_quorum_needs_the_parties_signatures), T(a_hidden_revocation_shows),
        T(boundaries_carry_trust_from_set_to_set), T(boundaries_of_one_set_still_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A Byzantine member: knows everything, signs anything with its own key, and sends to whom it likes. Each act is one of
   equivocating, withholding, voting twice, garbage, replaying, forging. */
#include "sim.h"

#include "cbor.h"
#include "consent/record.h"

#include <stdlib.h>
#include <string.h>

/* A view in which some correct member is, or one near it. */
static uint64_t some_view(struct sim *sim)
{
    struct consensus_report report = { .view = 1 };
    for (int i = 0; i < 4; i++) {
        const struct sim_member *member = &sim->member[sim_random(sim, sim->member_count)];
        if (member->consensus == NULL) continue;
        consensus_report(member->consensus, &report);
        break;
    }
    uint64_t shift = sim_random(sim, 8);
    return shift == 0 ? report.view + 1 : shift == 1 && report.view > 1 ? report.view - 1 : report.view;
}

static void send_vote(struct sim *sim, size_t index, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block, uint64_t permille)
{
    for (size_t to = 0; to < sim->member_count; to++) {
        if (to == index || !sim_chance(sim, permille)) continue;
        struct sim_message *message = sim_message_new(SIM_VOTE);
        message->vote = (struct cl_vote){ .view = view, .kind = kind, .has_block = block != NULL, .voter = (uint32_t)index };
        if (block != NULL) message->vote.block = *block;
        sim_sign(sim, index, &message->vote);
        sim_send(sim, index, to, message);
        sim_message_unref(message);
    }
}

static size_t recent_block(struct sim *sim)
{
    size_t span = sim->block_count < 6 ? sim->block_count : 6;
    return sim->block_count - 1 - sim_random(sim, span);
}

/* For any block in any view, both ways: notarize, nullify, finalize. */
static void vote_twice(struct sim *sim, size_t index)
{
    uint64_t view = some_view(sim), permille = 200 + sim_random(sim, 800);
    for (size_t i = 1 + sim_random(sim, 3); i-- > 0;) {
        size_t block = recent_block(sim);
        if (sim_chance(sim, 700)) view = sim->blocks[block].view;
        switch (sim_random(sim, 3)) {
        case 0: send_vote(sim, index, CL_VOTE_NOTARIZE, view, &sim->blocks[block].id, permille); break;
        case 1: send_vote(sim, index, CL_VOTE_FINALIZE, view, &sim->blocks[block].id, permille); break;
        default: send_vote(sim, index, CL_VOTE_NULLIFY, view, NULL, permille); break;
        }
    }
}

/* The certificates that a proposal in this view on that parent would carry, as far as they were ever sent. */
static size_t justification(struct sim *sim, struct cl_buffer *out, uint64_t view, size_t *parent, uint64_t *parent_view)
{
    const struct cl_certificate *best = NULL;
    struct cl_cbor_writer writer;
    size_t kept = sim->certificate_count < SIM_CERTIFICATES_KEPT ? sim->certificate_count : SIM_CERTIFICATES_KEPT, count = 0;
    for (size_t i = 0; i < kept; i++) {
        const struct cl_certificate *each = sim->certificates[i]->certificate;
        if (each->kind == CL_VOTE_NOTARIZE && each->view < view && (best == NULL || each->view > best->view || sim_chance(sim, 30))) best = each;
    }
    *parent = best != NULL ? sim_block_find(sim, &best->block) : 0;
    *parent_view = best != NULL ? best->view : 0;
    for (size_t i = 0; i < kept; i++) {
        const struct cl_certificate *each = sim->certificates[i]->certificate;
        count += each == best || (each->kind == CL_VOTE_NULLIFY && each->view > *parent_view && each->view < view);
    }
    if (count > CONSENSUS_JUSTIFICATION_MAX) return 0;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < kept; i++) {
        const struct cl_certificate *each = sim->certificates[i]->certificate;
        if (each != best && !(each->kind == CL_VOTE_NULLIFY && each->view > *parent_view && each->view < view)) continue;
        if (cl_certificate_encode(out, each) != CL_OK) abort();
    }
    return 1;
}

/* Two blocks in one view, each to some, some get both, some none. One may be invalid, or have records that nobody has. */
static void equivocate(struct sim *sim, size_t index)
{
    uint64_t view = some_view(sim), parent_view = 0;
    size_t parent = 0;
    while (consensus_leader(&sim->network, 0, view, sim->member_count) != index) view++;
    struct cl_buffer bytes = { 0 };
    if (justification(sim, &bytes, view, &parent, &parent_view) == 0 || parent == SIZE_MAX) {
        cl_buffer_deinit(&bytes);
        return;
    }
    for (size_t i = 1 + sim_random(sim, 2); i-- > 0;) {
        struct sim_block like = { .parent = parent, .view = view, .parent_view = parent_view, .time_ms = sim->now + 1000000, .valid = !sim_chance(sim, 100),
                                  .records = sim_chance(sim, 200) ? (uint64_t)1 << sim_random(sim, SIM_RECORDS_MAX) : 0 };
        size_t made = sim_block_make(sim, &like);
        if (made == 0) break;
        struct cl_vote vote = { .view = view, .kind = CL_VOTE_PROPOSE, .has_block = true, .block = sim->blocks[made].id, .voter = (uint32_t)index };
        sim_sign(sim, index, &vote);
        uint64_t permille = 300 + sim_random(sim, 700);
        sim_tell(sim, index, "(hostile) proposes block %zu on %zu in view %llu", made, parent, (unsigned long long)view);
        for (size_t to = 0; to < sim->member_count; to++) {
            if (to == index || !sim_chance(sim, permille)) continue;
            struct sim_message *message = sim_message_new(SIM_PROPOSAL);
            message->vote = vote;
            message->index = made;
            message->block = (struct order_block){ .id = vote.block, .parent = sim->blocks[parent].id, .view = view, .parent_view = parent_view };
            if (cl_buffer_append(&message->justification, bytes.data, bytes.length) != CL_OK) abort();
            sim_send(sim, index, to, message);
            sim_message_unref(message);
        }
        send_vote(sim, index, CL_VOTE_NOTARIZE, view, &vote.block, permille);
    }
    cl_buffer_deinit(&bytes);
}

/* Votes and certificates that decode, but whose numbers and signatures are noise; and others' votes as if they were its own. */
static void garbage(struct sim *sim, size_t index)
{
    struct sim_message *message = sim_message_new(sim_chance(sim, 500) ? SIM_VOTE : SIM_CERTIFICATE);
    enum cl_vote_kind kind = (enum cl_vote_kind)(1 + sim_random(sim, 4));
    uint64_t view = sim_chance(sim, 300) ? UINT64_MAX - sim_random(sim, 3) : some_view(sim);
    message->vote = (struct cl_vote){ .view = view, .kind = kind, .has_block = sim_chance(sim, 500), .epoch = sim_random(sim, 2), .voter = (uint32_t)sim_random(sim, CL_MEMBERS_MAX) };
    message->vote.block.bytes[31] = 1;
    if (message->kind == SIM_CERTIFICATE) {
        message->certificate = calloc(1, sizeof *message->certificate);
        if (message->certificate == NULL) abort();
        *message->certificate = (struct cl_certificate){ .view = view, .kind = kind, .has_block = kind != CL_VOTE_NULLIFY, .member_count = sim->member_count,
                                                         .vote_count = cl_quorum(sim->member_count) };
        for (size_t i = 0; i < message->certificate->vote_count; i++) message->certificate->voters[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    sim_send(sim, index, sim_random(sim, sim->member_count), message);
    sim_message_unref(message);
}

/* Old certificates, and its own votes again, to one member. */
static void replay(struct sim *sim, size_t index)
{
    size_t kept = sim->certificate_count < SIM_CERTIFICATES_KEPT ? sim->certificate_count : SIM_CERTIFICATES_KEPT;
    if (kept > 0) sim_send(sim, index, sim_random(sim, sim->member_count), sim->certificates[sim_random(sim, kept)]);
}

/* A finalize or notarize vote that completes a quorum for one member only. */
static void help_one(struct sim *sim, size_t index)
{
    size_t block = recent_block(sim);
    send_vote(sim, index, sim_chance(sim, 500) ? CL_VOTE_NOTARIZE : CL_VOTE_FINALIZE, sim->blocks[block].view, &sim->blocks[block].id, 1000 / sim->member_count + 1);
}

void sim_hostile_act(struct sim *sim, size_t index)
{
    switch (sim_random(sim, 8)) {
    case 0:
    case 1: equivocate(sim, index); break;
    case 2:
    case 3: vote_twice(sim, index); break;
    case 4: garbage(sim, index); break;
    case 5: replay(sim, index); break;
    case 6: help_one(sim, index); break;
    default: break; /* withholds */
    }
    sim_push(sim, &(struct sim_item){ .what = SIM_HOSTILE, .member = index }, 20 + sim_random(sim, 300));
}

/* What keeps a member that forgot its votes from knowing how far it voted: an old view, truly proven; or noise. */
void sim_hostile_answer(struct sim *sim, size_t index, size_t from, const struct sim_message *question)
{
    struct frame_recovery_answer answer = { .member = (uint32_t)index, .view = 1 };
    struct cl_buffer bytes = { 0 }, certificate = { 0 };
    struct sim_message *message = sim_message_new(SIM_RECOVERY_ANSWER);
    size_t kept = sim->certificate_count < SIM_CERTIFICATES_KEPT ? sim->certificate_count : SIM_CERTIFICATES_KEPT;
    memcpy(answer.nonce, question->justification.data, 32);
    if (kept > 0 && sim_chance(sim, 500)) {
        const struct cl_certificate *some = sim->certificates[sim_random(sim, kept)]->certificate;
        if (cl_certificate_encode(&certificate, some) != CL_OK) abort();
        answer.certificate = (struct cl_view){ certificate.data, certificate.length };
        answer.view = some->view + sim_random(sim, 3);
    }
    if (sim_chance(sim, 100)) answer.nonce[3] ^= 1;
    if (frame_recovery_answer_signed_bytes(&bytes, &answer) != CL_OK) abort();
    sim_sign_bytes(sim, index, answer.signature, bytes.data, bytes.length);
    if (sim_chance(sim, 100)) answer.signature[7] ^= 1;
    if (frame_recovery_answer_encode(&message->justification, &answer) != CL_OK) abort();
    sim_send(sim, index, from, message);
    sim_message_unref(message);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&certificate);
}

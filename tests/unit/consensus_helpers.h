/* What the tests of ordering share: a consensus to step, others' votes, timers and requests as its effects left them. */
#ifndef TESTS_CONSENSUS_HELPERS_H
#define TESTS_CONSENSUS_HELPERS_H

#include "consensus.h"
#include "crypto.h"
#include "fixture.h"

#include <stdlib.h>

static struct fixture_network network;
static struct consensus_effects effects;
static struct { bool armed[CONSENSUS_TIMERS]; uint64_t at_ms[CONSENSUS_TIMERS]; } timers; /* as the effects left them */
static struct order_block fetched[32]; /* what the last step asked others for */
static size_t fetched_count;
static uint64_t now_ms, durable; /* durable: the sequence that was synced last */

static inline struct consensus *start(size_t members, size_t own, uint64_t final_view)
{
    struct consensus *made = NULL;
    memset(&timers, 0, sizeof timers);
    now_ms = 1000;
    durable = 0;
    fixture_network_make(&network, members);
    struct consensus_config config = { .network = &network.genesis.network, .members = network.genesis.value.members, .member_count = members,
                                       .own = own, .d0_ms = 200, .final_view = final_view };
    memset(config.final_block.bytes, 7, 32);
    memcpy(config.vote_seed, network.vote_seed[own], 32);
    assert_int_equal(consensus_new(&made, &config), CL_OK);
    return made;
}

static inline void step(struct consensus *consensus, const struct consensus_event *event)
{
    struct consensus_event timed = *event;
    timed.now_ms = now_ms;
    effects.count = fetched_count = 0;
    assert_int_equal(consensus_step(consensus, &effects, &timed), CL_OK);
    for (size_t i = 0; i < effects.count; i++) /* durable before sent, in every list of effects */
        if (effects.items[i].kind == CONSENSUS_SYNC) durable = effects.items[i].sequence;
        else if (effects.items[i].kind >= CONSENSUS_SEND_PROPOSAL && effects.items[i].kind <= CONSENSUS_SEND_CERTIFICATE)
            assert_true(effects.items[i].sequence <= durable);
    size_t kept = 0;
    for (size_t i = 0; i < effects.count; i++) {
        const struct consensus_effect *effect = &effects.items[i];
        if (effect->kind == CONSENSUS_ARM) timers.at_ms[effect->timer] = effect->at_ms;
        if (effect->kind == CONSENSUS_ARM || effect->kind == CONSENSUS_CANCEL) timers.armed[effect->timer] = effect->kind == CONSENSUS_ARM;
        else if (effect->kind == CONSENSUS_FETCH) fetched[fetched_count++] = effect->block;
        else effects.items[kept++] = *effect;
    }
    effects.count = kept;
}

static inline size_t count_of(enum consensus_effect_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < effects.count; i++) count += effects.items[i].kind == kind;
    return count;
}

static inline const struct consensus_effect *effect_of(enum consensus_effect_kind kind)
{
    for (size_t i = 0; i < effects.count; i++)
        if (effects.items[i].kind == kind) return &effects.items[i];
    fail_msg("no such effect: %d", (int)kind);
    return NULL;
}

static inline void wake(struct consensus *consensus) { step(consensus, &(struct consensus_event){ .kind = CONSENSUS_WAKE }); }

static inline struct order_block built(const struct consensus_effect *build, uint8_t mark)
{
    struct order_block block = build->block;
    memset(block.id.bytes, mark, 32);
    return block;
}

static inline void give_block(struct consensus *consensus, const struct order_block *block)
{
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_BUILT, .block = *block });
}

static inline uint64_t last_sync(void)
{
    uint64_t sequence = 0;
    for (size_t i = 0; i < effects.count; i++)
        if (effects.items[i].kind == CONSENSUS_SYNC) sequence = effects.items[i].sequence;
    assert_true(sequence > 0);
    return sequence;
}

static inline void synced(struct consensus *consensus, uint64_t sequence)
{
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_SYNCED, .sequence = sequence });
}

static inline struct cl_vote vote_of(size_t voter, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    struct cl_buffer bytes = { 0 };
    struct cl_vote vote = { .view = view, .kind = kind, .has_block = block != NULL, .voter = (uint32_t)voter };
    if (block != NULL) vote.block = *block;
    assert_int_equal(cl_vote_signed_bytes(&bytes, &network.genesis.network, 0, kind, view, block), CL_OK);
    cl_ed25519_sign(vote.signature, network.vote_seed[voter], bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return vote;
}

static inline void hear(struct consensus *consensus, const struct cl_vote *vote)
{
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_VOTE, .vote = vote });
}

static inline void cast(struct consensus *consensus, size_t voter, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    struct cl_vote vote = vote_of(voter, kind, view, block);
    hear(consensus, &vote);
}

static inline uint64_t view_led_by(size_t member, size_t members, uint64_t from)
{
    while (consensus_leader(&network.genesis.network, 0, from, members) != member) from++;
    return from;
}

/* Lets time pass up to this timer's deadline and says so. */
static inline void fire(struct consensus *consensus, enum consensus_timer timer)
{
    assert_true(timers.armed[timer]);
    timers.armed[timer] = false;
    if (now_ms < timers.at_ms[timer]) now_ms = timers.at_ms[timer];
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_TIMER, .timer = timer });
}

static inline struct order_block block_of(uint8_t mark, uint64_t view, const struct order_block *parent)
{
    struct order_block block = { .view = view, .parent_view = parent->view, .parent = parent->id };
    memset(block.id.bytes, mark, 32);
    return block;
}

/* The leader's proposal, without certificates: those that it needs were heard before. */
static inline void propose(struct consensus *consensus, size_t leader, const struct order_block *block)
{
    static const uint8_t no_certificates[] = { 0x80 };
    struct cl_vote vote = vote_of(leader, CL_VOTE_PROPOSE, block->view, &block->id);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_PROPOSAL, .block = *block, .vote = &vote,
                                               .justification = { no_certificates, sizeof no_certificates } });
}

static inline void verdict(struct consensus *consensus, const struct order_block *block, enum consensus_verdict given)
{
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_VERDICT, .block = *block, .verdict = given });
}

/* Own votes of this kind that the last step cast. */
static inline size_t cast_of(enum cl_vote_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < effects.count; i++) count += effects.items[i].kind == CONSENSUS_APPEND_VOTE && effects.items[i].vote.kind == kind;
    return count;
}

static inline struct consensus_report report_of(const struct consensus *consensus)
{
    struct consensus_report report;
    consensus_report(consensus, &report);
    return report;
}

static inline void certify(struct consensus *consensus, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block)
{
    struct cl_certificate *made = calloc(1, sizeof *made);
    assert_non_null(made);
    *made = (struct cl_certificate){ .view = view, .kind = kind, .has_block = block != NULL, .member_count = 4, .vote_count = 3, .voters = { 14 } };
    if (block != NULL) made->block = *block;
    for (size_t voter = 1; voter <= 3; voter++) memcpy(made->signatures[voter - 1], vote_of(voter, kind, view, block).signature, 64);
    step(consensus, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = made });
    free(made);
}

/* The block that is final where a view begins. */
static inline struct order_block final_at(uint64_t view)
{
    struct order_block block = { .view = view };
    memset(block.id.bytes, 7, 32);
    return block;
}

/* In a view led by member 1, the one before it final; awake or not. */
static inline struct consensus *start_before(size_t leader, struct order_block *parent)
{
    fixture_network_make(&network, 4);
    *parent = final_at(view_led_by(leader, 4, 2) - 1);
    return start(4, 0, parent->view);
}

#endif

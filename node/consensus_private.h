/* What the parts of ordering share: consensus.c (events, timers, what a change leads to), consensus_state.c (what is
   known), consensus_vote.c (own votes, counting, certificates, finality), consensus_propose.c (proposals, ours and
   others'), consensus_resume.c (start from the vote log). */
#ifndef NODE_CONSENSUS_PRIVATE_H
#define NODE_CONSENSUS_PRIVATE_H

#include "consensus.h"

#include "consent/record.h"
#include "crypto.h"

#define CONSENSUS_AWAITING_MAX 16u /* own votes not yet durable; a node whose disk is behind casts no more */
#define CONSENSUS_WANTED_MAX 8u    /* bodies asked for at a time */
#define CONSENSUS_FINALIZES_RESENT_MAX 64u
#define CONSENSUS_SERVED_MAX 4u    /* certificates of views above the last final one sent with a resend, in turn */

enum { KIND_COUNT = CL_VOTE_FINALIZE + 1 };

/* unchecked: it came when the certificate that it agrees with was there, and its signature was not looked at */
struct ballot { bool voted, has_block, unchecked; struct cl_block_id block; uint8_t signature[64]; };
struct tally { struct ballot *ballots; struct cl_certificate *certificate; }; /* a ballot for each member; ours once durable */

/* The leader's first proposal of a view, on its way to our vote. */
enum proposal_state {
    PROPOSAL_NONE,
    PROPOSAL_SEEN,    /* to be validated, once its ancestry is justified */
    PROPOSAL_ASKED,   /* VALIDATE is out */
    PROPOSAL_PENDING, /* something is missing: asked again with the next resend */
    PROPOSAL_VALID,
    PROPOSAL_INVALID
};
struct view {
    uint64_t number;
    struct view *next;                /* ascending */
    struct tally tallies[KIND_COUNT];
    struct ballot own[KIND_COUNT];    /* what we signed, durable or not: what we may still sign depends on it */
    enum proposal_state state;
    struct order_block proposal;
    bool building, building_empty, refused, logged, two_proposals, timed_out; /* refused: an empty block could not be built */
};
struct awaited_vote { struct cl_vote vote; uint64_t sequence; };
struct wanted { struct cl_block_id id; uint64_t view; };

struct consensus {
    struct consensus_config config;
    struct cl_ed25519_key vote_key;
    struct cl_network_id network;
    struct consensus_signatures signatures;
    struct cl_buffer final_certificate, justification;
    struct cl_certificate *final_proof; /* the newest finalization, for COMMIT and resending; vote_count 0: none yet */
    struct view *views;                 /* those above the last final one that anything is known of */
    struct view *settled;               /* effects still borrow their certificates: freed by the next step */
    struct order_block bodies[CONSENSUS_BODIES_MAX]; /* not final, at hand with all their records */
    size_t body_count;
    struct wanted wanted[CONSENSUS_WANTED_MAX];
    size_t wanted_count;
    struct consensus_evidence *evidence; /* CONSENSUS_EVIDENCE_MAX for each member */
    size_t evidence_count;
    uint64_t current, sequence, synced, leader_seed;
    uint64_t barred;                    /* no own vote up to this view: they may contradict what this node forgot */
    uint64_t entered, entered_ms;       /* the view whose timers are ours, and since when */
    bool alone, records_wait, idle, view_timers_armed;
    bool armed[CONSENSUS_TIMERS];
    uint64_t deadline_ms[CONSENSUS_TIMERS];
    uint64_t helped_ms, served_view;    /* when a member that is behind was last answered; where serving goes on */
    bool helped;
    struct awaited_vote awaited[CONSENSUS_AWAITING_MAX];
    size_t awaited_count;
    struct consensus_report counters;
};

/* ---- consensus_state.c */
struct view *consensus_view_find(const struct consensus *c, uint64_t number);
struct view *consensus_view_get(struct consensus *c, uint64_t number); /* made where there is none; NULL: out of memory */
void consensus_views_free(struct view **list);
void consensus_settle_views(struct consensus *c, uint64_t up_to);
const struct order_block *consensus_body(const struct consensus *c, const struct cl_block_id *id);
bool consensus_body_add(struct consensus *c, const struct order_block *block); /* false: no room */
void consensus_bodies_settle(struct consensus *c, const struct order_block *const *committed, size_t count);
/* The block that a quorum notarized or finalized in this view; NULL: none that is known. */
const struct cl_block_id *consensus_certified(const struct view *view);
void consensus_want(struct consensus *c, struct consensus_effects *effects, const struct cl_block_id *id, uint64_t view);
bool consensus_wanted_take(struct consensus *c, const struct cl_block_id *id, uint64_t *view);
bool consensus_has_evidence(const struct consensus *c, size_t member);
bool consensus_evidence_full(const struct consensus *c, size_t member); /* no more is kept of this one */
/* The first vote of a kind stays; whatever contradicts what the member signed in this view is evidence. The vote's signature
   is good. An unchecked ballot that it contradicts is checked now, and was never there where it is forged. */
void consensus_record_ballot(struct consensus *c, struct view *view, const struct cl_vote *vote);
/* Where this view has the certificate that the vote agrees with, and nothing of this member contradicts it: the vote is kept
   without a look at its signature. False: it has to be checked. */
bool consensus_record_late(struct view *view, const struct cl_vote *vote);
void consensus_vote_of(struct cl_vote *out, const struct consensus *c, uint64_t view, enum cl_vote_kind kind, uint32_t voter, const struct ballot *ballot);
struct consensus_effect *consensus_effect_add(struct consensus_effects *effects, enum consensus_effect_kind kind);
bool consensus_same_block(const struct cl_block_id *a, const struct cl_block_id *b);

/* ---- consensus_vote.c */
bool consensus_may_cast(const struct consensus *c, const struct view *view, enum cl_vote_kind kind);
/* Signed and appended; it counts and leaves once synced. */
CL_MUST_USE enum cl_status consensus_cast(struct consensus *c, struct consensus_effects *effects, struct view *view, enum cl_vote_kind kind,
                                          const struct cl_block_id *block, struct cl_vote *out);
void consensus_sync(struct consensus *c, struct consensus_effects *effects);
void consensus_send_vote(const struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote);
void consensus_send_certificate(const struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate);
CL_MUST_USE enum cl_status consensus_count(struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote);
CL_MUST_USE enum cl_status consensus_take_certificate(struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate, bool *good);
CL_MUST_USE enum cl_status consensus_keep_certificate(struct consensus *c, const struct cl_certificate *certificate, struct view **view);
bool consensus_vote_good(const struct consensus *c, const struct cl_vote *vote);
CL_MUST_USE enum cl_status consensus_finalize_vote(struct consensus *c, struct consensus_effects *effects, struct view *view, struct cl_vote *out, bool *cast);
/* Blocks not final below this one and it; SIZE_MAX: one of them is not at hand. */
size_t consensus_depth(const struct consensus *c, const struct cl_block_id *id);
/* FETCH for the first body that is not at hand from this view's certified block down to the last final one. */
void consensus_want_missing(struct consensus *c, struct consensus_effects *effects, const struct view *view);
CL_MUST_USE enum cl_status consensus_commit_known(struct consensus *c, struct consensus_effects *effects);
CL_MUST_USE enum cl_status consensus_advance_final(struct consensus *c, uint64_t view, const struct cl_block_id *block, const struct cl_certificate *certificate);

/* ---- consensus_propose.c */
CL_MUST_USE enum cl_status consensus_on_proposal(struct consensus *c, struct consensus_effects *effects, const struct consensus_event *event);
CL_MUST_USE enum cl_status consensus_on_built(struct consensus *c, struct consensus_effects *effects, const struct order_block *block);
CL_MUST_USE enum cl_status consensus_on_verdict(struct consensus *c, struct consensus_effects *effects, const struct order_block *block, enum consensus_verdict verdict);
/* What the current view's proposal needs next: validation, or our notarize vote. */
CL_MUST_USE enum cl_status consensus_consider_proposal(struct consensus *c, struct consensus_effects *effects);
/* Ours to lead: BUILD with records, or an empty block once it is time. */
CL_MUST_USE enum cl_status consensus_propose(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms);

/* ---- consensus_resume.c */
void consensus_recovered(struct consensus *c, struct consensus_effects *effects, uint64_t barred);

/* ---- consensus.c */
uint64_t consensus_d_ms(const struct consensus *c); /* rule 10 */
size_t consensus_leader_of(const struct consensus *c, uint64_t view);
void consensus_arm(struct consensus *c, struct consensus_effects *effects, enum consensus_timer timer, uint64_t at_ms);
/* What the state asks for after an event: a view's timers, votes, blocks. */
CL_MUST_USE enum cl_status consensus_react(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms);

#endif

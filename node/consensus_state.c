/* What ordering knows: views above the last final one with their ballots and certificates, bodies at hand, bodies asked
   for, evidence. Every fact that safety rests on is in one view: what this node voted there, and what a quorum voted. */
#include "consensus_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool consensus_same_block(const struct cl_block_id *a, const struct cl_block_id *b)
{
    return memcmp(a->bytes, b->bytes, 32) == 0;
}

static void view_free(struct view *view)
{
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        free(view->tallies[kind].ballots);
        free(view->tallies[kind].certificate);
    }
    free(view);
}

void consensus_views_free(struct view **list)
{
    while (*list != NULL) {
        struct view *next = (*list)->next;
        view_free(*list);
        *list = next;
    }
}

struct view *consensus_view_find(const struct consensus *c, uint64_t number)
{
    struct view *view = c->views;
    while (view != NULL && view->number < number) view = view->next;
    return view != NULL && view->number == number ? view : NULL;
}

struct view *consensus_view_get(struct consensus *c, uint64_t number)
{
    assert(number > c->config.final_view);
    struct view **link = &c->views;
    while (*link != NULL && (*link)->number < number) link = &(*link)->next;
    if (*link != NULL && (*link)->number == number) return *link;
    struct view *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->number = number;
    for (size_t kind = CL_VOTE_PROPOSE; kind < KIND_COUNT; kind++) {
        made->tallies[kind].ballots = calloc(c->config.member_count, sizeof *made->tallies[kind].ballots);
        if (made->tallies[kind].ballots == NULL) {
            view_free(made);
            return NULL;
        }
    }
    made->next = *link;
    *link = made;
    return made;
}

void consensus_settle_views(struct consensus *c, uint64_t up_to)
{
    while (c->views != NULL && c->views->number <= up_to) {
        struct view *view = c->views;
        c->views = view->next;
        view->next = c->settled;
        c->settled = view;
    }
}

const struct cl_block_id *consensus_certified(const struct view *view)
{
    const struct cl_certificate *certificate = view->tallies[CL_VOTE_NOTARIZE].certificate;
    if (certificate == NULL) certificate = view->tallies[CL_VOTE_FINALIZE].certificate; /* q finalize: q saw it notarized */
    return certificate == NULL ? NULL : &certificate->block;
}

/* ---- bodies */
const struct order_block *consensus_body(const struct consensus *c, const struct cl_block_id *id)
{
    for (size_t i = 0; i < c->body_count; i++)
        if (consensus_same_block(&c->bodies[i].id, id)) return &c->bodies[i];
    return NULL;
}

bool consensus_body_add(struct consensus *c, const struct order_block *block)
{
    if (consensus_body(c, &block->id) != NULL) return true;
    if (c->body_count == CONSENSUS_BODIES_MAX) return false;
    c->bodies[c->body_count++] = *block;
    return true;
}

void consensus_bodies_settle(struct consensus *c, const struct order_block *const *committed, size_t count)
{
    size_t kept = 0;
    bool drop[CONSENSUS_BODIES_MAX] = { false };
    for (size_t i = 0; i < count; i++) drop[committed[i] - c->bodies] = true;
    for (size_t i = 0; i < c->body_count; i++)
        if (!drop[i] && c->bodies[i].view > c->config.final_view) c->bodies[kept++] = c->bodies[i];
    c->body_count = kept;
}

static bool is_nullified(const struct view *view) { return view->tallies[CL_VOTE_NULLIFY].certificate != NULL; }

bool consensus_forget(struct consensus *c, const struct order_block *block)
{
    const struct view *home = consensus_view_find(c, block->view);
    if (home == NULL || !is_nullified(home)) return false;
    for (const struct view *view = c->views; view != NULL; view = view->next) {
        const struct cl_block_id *certified = consensus_certified(view);
        bool proposed = view->state != PROPOSAL_NONE && consensus_same_block(&view->proposal.id, &block->id);
        if ((certified != NULL && consensus_same_block(certified, &block->id)) || (proposed && !is_nullified(view))) return false;
    }
    for (struct view *view = c->views; view != NULL; view = view->next)
        if (consensus_same_block(&view->proposal.id, &block->id)) view->logged = false; /* the executor has nothing to write any more */
    for (size_t i = 0; i < c->body_count; i++)
        if (consensus_same_block(&c->bodies[i].id, &block->id)) c->bodies[i--] = c->bodies[--c->body_count];
    return true;
}

/* One request for a body, however many certificates name it; resending repeats it. Where there is no room, the next
   resend finds it missing again. */
void consensus_want(struct consensus *c, struct consensus_effects *effects, const struct cl_block_id *id, uint64_t view)
{
    for (size_t i = 0; i < c->wanted_count; i++)
        if (consensus_same_block(&c->wanted[i].id, id)) return;
    if (consensus_body(c, id) != NULL || c->wanted_count == CONSENSUS_WANTED_MAX) return;
    c->wanted[c->wanted_count++] = (struct wanted){ .id = *id, .view = view };
    consensus_effect_add(effects, CONSENSUS_FETCH)->block = (struct order_block){ .id = *id, .view = view };
}

bool consensus_wanted_take(struct consensus *c, const struct cl_block_id *id, uint64_t *view)
{
    for (size_t i = 0; i < c->wanted_count; i++)
        if (consensus_same_block(&c->wanted[i].id, id)) {
            *view = c->wanted[i].view;
            c->wanted[i] = c->wanted[--c->wanted_count];
            return true;
        }
    return false;
}

/* ---- ballots and evidence */
void consensus_vote_of(struct cl_vote *out, const struct consensus *c, uint64_t view, enum cl_vote_kind kind, uint32_t voter, const struct ballot *ballot)
{
    *out = (struct cl_vote){ .epoch = c->config.epoch, .view = view, .kind = kind, .has_block = ballot->has_block, .block = ballot->block, .voter = voter };
    memcpy(out->signature, ballot->signature, 64);
}

bool consensus_has_evidence(const struct consensus *c, size_t member)
{
    for (size_t i = 0; i < c->evidence_count; i++)
        if (c->evidence[i].first.voter == member) return true;
    return false;
}

bool consensus_evidence_full(const struct consensus *c, size_t member)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->evidence_count; i++) kept += c->evidence[i].first.voter == member;
    return kept == CONSENSUS_EVIDENCE_MAX;
}

/* At the bound of a member the oldest stays: one piece proves what there is to prove. */
static void keep(struct consensus *c, const struct consensus_evidence *piece)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->evidence_count; i++) {
        const struct consensus_evidence *other = &c->evidence[i];
        if (other->first.voter != piece->first.voter) continue;
        if (other->first.view == piece->first.view && other->first.kind == piece->first.kind && other->second.kind == piece->second.kind) return; /* known */
        kept++;
    }
    if (kept < CONSENSUS_EVIDENCE_MAX) c->evidence[c->evidence_count++] = *piece;
}

static void keep_evidence(struct consensus *c, const struct view *view, enum cl_vote_kind kind, const struct cl_vote *second)
{
    struct consensus_evidence piece = { .second = *second };
    consensus_vote_of(&piece.first, c, view->number, kind, second->voter, &view->tallies[kind].ballots[second->voter]);
    keep(c, &piece);
}

/* As consensus_record_ballot finds them. */
static bool contradict(const struct cl_vote *first, const struct cl_vote *second)
{
    bool differ = first->has_block && second->has_block && !consensus_same_block(&first->block, &second->block);
    if (first->kind == second->kind) return differ;
    switch (first->kind) {
    case CL_VOTE_PROPOSE: return second->kind == CL_VOTE_NOTARIZE && differ;
    case CL_VOTE_NOTARIZE: return second->kind == CL_VOTE_PROPOSE && differ;
    case CL_VOTE_NULLIFY: return second->kind == CL_VOTE_FINALIZE;
    case CL_VOTE_FINALIZE: return second->kind == CL_VOTE_NULLIFY;
    }
    return false;
}

static bool may_be_signed(const struct consensus *c, const struct cl_vote *vote)
{
    return vote->epoch == c->config.epoch && vote->voter < c->config.member_count && vote->has_block == (vote->kind != CL_VOTE_NULLIFY) &&
           (vote->kind != CL_VOTE_PROPOSE || consensus_leader_of(c, vote->view) == vote->voter) && consensus_vote_good(c, vote);
}

bool consensus_restore_evidence(struct consensus *c, const struct consensus_evidence *piece)
{
    if (piece->first.voter != piece->second.voter || piece->first.view != piece->second.view || !contradict(&piece->first, &piece->second)) return false;
    if (!may_be_signed(c, &piece->first) || !may_be_signed(c, &piece->second)) return false;
    keep(c, piece);
    return true;
}

static bool differs(const struct ballot *ballot, const struct cl_vote *vote)
{
    return ballot->voted && (ballot->has_block != vote->has_block || !consensus_same_block(&ballot->block, &vote->block));
}

/* A proposal is for one block, as is the leader's notarize; notarize and nullify is legal, finalize and nullify is not. */
static const enum cl_vote_kind opposite[KIND_COUNT] = { [CL_VOTE_PROPOSE] = CL_VOTE_NOTARIZE, [CL_VOTE_NOTARIZE] = CL_VOTE_PROPOSE,
                                                        [CL_VOTE_NULLIFY] = CL_VOTE_FINALIZE, [CL_VOTE_FINALIZE] = CL_VOTE_NULLIFY };

/* Is there a vote of this member that contradicts this one? An unchecked one is checked before it counts as one. */
static bool is_contradicted(struct consensus *c, struct view *view, enum cl_vote_kind kind, const struct cl_vote *vote)
{
    struct ballot *ballot = &view->tallies[kind].ballots[vote->voter];
    struct cl_vote first;
    if (!differs(ballot, vote) || !ballot->unchecked) return differs(ballot, vote);
    consensus_vote_of(&first, c, view->number, kind, vote->voter, ballot);
    ballot->voted = consensus_vote_good(c, &first);
    ballot->unchecked = false;
    c->counters.votes_dropped += !ballot->voted;
    c->counters.forged += !ballot->voted;
    return ballot->voted;
}

static void put(struct ballot *ballot, const struct cl_vote *vote, bool unchecked)
{
    *ballot = (struct ballot){ .voted = true, .has_block = vote->has_block, .unchecked = unchecked, .block = vote->block };
    memcpy(ballot->signature, vote->signature, 64);
}

void consensus_record_ballot(struct consensus *c, struct view *view, const struct cl_vote *vote)
{
    struct ballot *ballot = &view->tallies[vote->kind].ballots[vote->voter];
    if (is_contradicted(c, view, vote->kind, vote)) {
        if (vote->kind == CL_VOTE_PROPOSE) view->two_proposals = true;
        keep_evidence(c, view, vote->kind, vote);
        return;
    }
    if (ballot->voted && !ballot->unchecked) return;
    if (is_contradicted(c, view, opposite[vote->kind], vote)) keep_evidence(c, view, opposite[vote->kind], vote);
    put(ballot, vote, false);
}

bool consensus_record_late(struct view *view, const struct cl_vote *vote)
{
    struct tally *tally = &view->tallies[vote->kind];
    if (tally->certificate == NULL || !consensus_same_block(&tally->certificate->block, &vote->block)) return false;
    if (tally->ballots[vote->voter].voted || differs(&view->tallies[opposite[vote->kind]].ballots[vote->voter], vote)) return false;
    put(&tally->ballots[vote->voter], vote, true);
    return true;
}

struct consensus_effect *consensus_effect_add(struct consensus_effects *effects, enum consensus_effect_kind kind)
{
    assert(effects->count < CONSENSUS_EFFECTS_MAX);
    struct consensus_effect *effect = &effects->items[effects->count++];
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    return effect;
}

/* Proposals: what a leader builds on, how it is justified, and what others' need until we vote for them. */
#include "consensus_private.h"

#include "cbor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* rule 2: every view after `after` and before `before` is known to be nullified. */
static bool nullified_between(const struct consensus *c, uint64_t after, uint64_t before)
{
    const struct view *view = c->views;
    for (uint64_t number = after + 1; number < before; number++) {
        while (view != NULL && view->number < number) view = view->next;
        if (view == NULL || view->number != number || view->tallies[CL_VOTE_NULLIFY].certificate == NULL) return false;
    }
    return true;
}

/* ---- ours */
/* The highest notarized block that the current view's leader may extend; NULL: the last final one. */
static const struct view *choose_parent(const struct consensus *c, bool *found)
{
    const struct view *best = NULL;
    *found = nullified_between(c, c->config.final_view, c->current);
    for (const struct view *view = c->views; view != NULL && view->number < c->current; view = view->next) {
        const struct cl_block_id *certified = consensus_certified(view);
        if (certified == NULL || consensus_depth(c, certified) == SIZE_MAX || !nullified_between(c, view->number, c->current)) continue;
        best = view;
        *found = true;
    }
    return best;
}

/* How many certificates our proposals hold: a signature takes 66 bytes, what is around all of them less than 128. */
static uint64_t justification_max(const struct consensus *c)
{
    size_t fit = CONSENSUS_JUSTIFICATION_BYTES_MAX / (66 * cl_quorum(c->config.member_count) + 128) - 1;
    static_assert(CONSENSUS_JUSTIFICATION_BYTES_MAX / (66 * CL_MEMBERS_MAX + 128) >= 8, "the parent's, and some nullifications");
    return fit < CONSENSUS_JUSTIFICATION_MAX ? fit : CONSENSUS_JUSTIFICATION_MAX;
}

/* The parent's certificate and the nullifications of the views between; where there are more than a proposal holds, the
   newest: the others are served with every resend. */
static enum cl_status justify(struct consensus *c, const struct view *parent, uint64_t parent_view)
{
    struct cl_cbor_writer writer;
    size_t own = parent != NULL || c->final_certificate.length > 0 ? 1 : 0;
    uint64_t between = c->current - parent_view - 1, kept = between;
    enum cl_status status = CL_OK;
    if (kept > justification_max(c) - own) kept = justification_max(c) - own;
    c->justification.length = 0;
    cl_cbor_writer_init(&writer, &c->justification);
    cl_cbor_put_array(&writer, own + (size_t)kept);
    if (parent != NULL) {
        const struct tally *tally = &parent->tallies[CL_VOTE_NOTARIZE];
        if (tally->certificate == NULL) tally = &parent->tallies[CL_VOTE_FINALIZE];
        status = cl_certificate_encode(&c->justification, tally->certificate);
    } else if (own > 0) {
        cl_cbor_put_raw(&writer, c->final_certificate.data, c->final_certificate.length);
    }
    for (uint64_t number = c->current - kept; number < c->current && status == CL_OK; number++)
        status = cl_certificate_encode(&c->justification, consensus_view_find(c, number)->tallies[CL_VOTE_NULLIFY].certificate);
    return status != CL_OK ? status : writer.status;
}

static enum cl_status ask_for_block(struct consensus *c, struct consensus_effects *effects, struct view *view, const struct view *parent, bool empty)
{
    const struct cl_block_id *id = parent != NULL ? consensus_certified(parent) : &c->config.final_block;
    struct order_block block = { .view = c->current, .parent = *id, .parent_view = parent != NULL ? parent->number : c->config.final_view };
    enum cl_status status = justify(c, parent, block.parent_view);
    if (status != CL_OK) return status;
    struct consensus_effect *effect = consensus_effect_add(effects, CONSENSUS_BUILD);
    effect->block = block;
    effect->empty = empty;
    effect->justification = (struct cl_view){ c->justification.data, c->justification.length };
    view->building = true;
    view->building_empty = empty;
    return CL_OK;
}

enum cl_status consensus_propose(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms)
{
    if (consensus_leader_of(c, c->current) != c->config.own || c->idle || c->current <= c->barred) return CL_OK;
    struct view *view = consensus_view_get(c, c->current);
    if (view == NULL) return CL_E_MEMORY;
    if (view->building || view->state != PROPOSAL_NONE || view->own[CL_VOTE_PROPOSE].voted || view->own[CL_VOTE_NULLIFY].voted) return CL_OK;
    bool found = false;
    const struct view *parent = choose_parent(c, &found);
    if (!found) return CL_OK; /* a notarization or nullification is still to come */
    bool full = parent != NULL && consensus_depth(c, consensus_certified(parent)) >= CL_BLOCKS_NOT_FINAL_MAX; /* rule 11 */
    if (c->records_wait && !full) return ask_for_block(c, effects, view, parent, false);
    /* rule 9: an empty block only to make its parent final, and only after D: a record may still come */
    if (parent == NULL || c->alone || view->refused) return CL_OK;
    uint64_t due = c->entered_ms + consensus_d_ms(c);
    if (now_ms >= due) return ask_for_block(c, effects, view, parent, true);
    if (!c->armed[CONSENSUS_TIMER_PROPOSE]) consensus_arm(c, effects, CONSENSUS_TIMER_PROPOSE, due);
    return CL_OK;
}

static void log_proposal(struct consensus_effects *effects, struct view *view)
{
    if (view->logged) return;
    consensus_effect_add(effects, CONSENSUS_APPEND_PROPOSAL)->block = view->proposal;
    view->logged = true;
}

enum cl_status consensus_on_built(struct consensus *c, struct consensus_effects *effects, const struct order_block *block)
{
    struct view *view = block->view > c->config.final_view ? consensus_view_find(c, block->view) : NULL;
    struct cl_vote propose, notarize;
    if (view == NULL || !view->building) return CL_OK; /* the view was settled while the block was built */
    view->building = false;
    if (block->view != c->current) return CL_OK; /* rule 1: a view that was left gets no proposal */
    if (c->awaited_count + 2 > CONSENSUS_AWAITING_MAX || view->own[CL_VOTE_NOTARIZE].voted || !consensus_body_add(c, block)) return CL_OK;
    view->proposal = *block;
    view->state = PROPOSAL_VALID;
    c->records_wait = false; /* the block took what there was */
    log_proposal(effects, view);
    enum cl_status status = consensus_cast(c, effects, view, CL_VOTE_PROPOSE, &block->id, &propose);
    /* rule 3: the proposal and all its records are in the vote log before the notarize vote leaves */
    if (status == CL_OK) status = consensus_cast(c, effects, view, CL_VOTE_NOTARIZE, &block->id, &notarize);
    if (status != CL_OK) return status;
    consensus_sync(c, effects);
    if (!c->alone) {
        struct consensus_effect *send = consensus_effect_add(effects, CONSENSUS_SEND_PROPOSAL);
        send->block = *block;
        send->vote = propose;
        send->sequence = c->sequence;
    }
    consensus_send_vote(c, effects, &notarize);
    return CL_OK;
}

/* ---- others' */
/* The certificates that came with a proposal whose leader's signature is good. The first bad one ends it. */
static enum cl_status take_justification(struct consensus *c, struct consensus_effects *effects, const struct cl_view *bytes)
{
    struct cl_cbor_reader reader;
    enum cl_status status = CL_OK;
    bool good = true;
    cl_cbor_reader_init(&reader, bytes->data, bytes->length);
    size_t count = cl_cbor_array(&reader);
    if (reader.status != CL_OK || count > CONSENSUS_JUSTIFICATION_MAX) return CL_OK;
    struct cl_certificate *certificate = malloc(sizeof *certificate);
    if (certificate == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < count && good && status == CL_OK; i++) {
        struct cl_view item = cl_cbor_skip(&reader);
        good = reader.status == CL_OK && cl_certificate_decode(certificate, item.data, item.length) == CL_OK;
        if (good) status = consensus_take_certificate(c, effects, certificate, &good);
    }
    free(certificate);
    return status;
}

enum cl_status consensus_on_proposal(struct consensus *c, struct consensus_effects *effects, const struct consensus_event *event)
{
    const struct order_block *block = &event->block;
    const struct cl_vote *vote = event->vote;
    bool good = vote->kind == CL_VOTE_PROPOSE && vote->epoch == c->config.epoch && vote->has_block && vote->view == block->view &&
                consensus_same_block(&vote->block, &block->id) && block->parent_view < block->view && vote->voter != c->config.own &&
                vote->voter < c->config.member_count && vote->view > c->config.final_view && vote->view <= c->current + CONSENSUS_VIEWS_AHEAD_MAX &&
                consensus_leader_of(c, vote->view) == vote->voter && consensus_vote_good(c, vote);
    if (!good) {
        c->counters.proposals_dropped++;
        return CL_OK;
    }
    struct view *view = consensus_view_get(c, block->view);
    if (view == NULL) return CL_E_MEMORY;
    consensus_record_ballot(c, view, vote);
    /* rule 3: the leader's first proposal; another one is evidence by now */
    if (view->state == PROPOSAL_NONE && consensus_same_block(&view->tallies[CL_VOTE_PROPOSE].ballots[vote->voter].block, &block->id)) {
        view->proposal = *block;
        view->state = PROPOSAL_SEEN;
    }
    return take_justification(c, effects, &event->justification);
}

enum ancestry { ANCESTRY_JUSTIFIED, ANCESTRY_OPEN, ANCESTRY_WRONG };

/* rule 3: the parent is notarized and nothing between can become final. Certificates that are missing may still come;
   a parent that something final or notarized contradicts is wrong for good. */
static enum ancestry ancestry_of(const struct consensus *c, const struct order_block *block)
{
    if (block->parent_view < c->config.final_view) return ANCESTRY_WRONG;
    if (block->parent_view == c->config.final_view) {
        if (!consensus_same_block(&block->parent, &c->config.final_block)) return ANCESTRY_WRONG;
    } else {
        const struct view *parent = consensus_view_find(c, block->parent_view);
        const struct cl_block_id *certified = parent != NULL ? consensus_certified(parent) : NULL;
        if (certified == NULL) return ANCESTRY_OPEN;
        if (!consensus_same_block(certified, &block->parent)) return ANCESTRY_WRONG;
        if (consensus_depth(c, certified) == SIZE_MAX) return ANCESTRY_OPEN; /* it cannot be validated without them */
    }
    return nullified_between(c, block->parent_view, block->view) ? ANCESTRY_JUSTIFIED : ANCESTRY_OPEN;
}

static enum cl_status notarize(struct consensus *c, struct consensus_effects *effects, struct view *view)
{
    struct cl_vote vote;
    if (!consensus_may_cast(c, view, CL_VOTE_NOTARIZE)) return CL_OK;
    log_proposal(effects, view);
    enum cl_status status = consensus_cast(c, effects, view, CL_VOTE_NOTARIZE, &view->proposal.id, &vote);
    if (status != CL_OK) return status;
    consensus_sync(c, effects);
    consensus_send_vote(c, effects, &vote);
    return CL_OK;
}

enum cl_status consensus_consider_proposal(struct consensus *c, struct consensus_effects *effects)
{
    struct view *view = consensus_view_find(c, c->current);
    if (view == NULL) return CL_OK;
    if (view->state == PROPOSAL_VALID) return notarize(c, effects, view);
    if (view->state != PROPOSAL_SEEN) return CL_OK;
    switch (ancestry_of(c, &view->proposal)) {
    case ANCESTRY_OPEN: break;
    case ANCESTRY_WRONG: view->state = PROPOSAL_INVALID; break;
    case ANCESTRY_JUSTIFIED:
        consensus_effect_add(effects, CONSENSUS_VALIDATE)->block = view->proposal;
        view->state = PROPOSAL_ASKED;
        break;
    }
    return CL_OK;
}

enum cl_status consensus_on_verdict(struct consensus *c, struct consensus_effects *effects, const struct order_block *block, enum consensus_verdict verdict)
{
    struct view *view = block->view > c->config.final_view ? consensus_view_find(c, block->view) : NULL;
    if (view == NULL || !consensus_same_block(&view->proposal.id, &block->id)) return CL_OK;
    if (view->state != PROPOSAL_ASKED && view->state != PROPOSAL_PENDING) return CL_OK;
    switch (verdict) {
    case CONSENSUS_VALID:
        view->state = consensus_body_add(c, &view->proposal) ? PROPOSAL_VALID : PROPOSAL_PENDING;
        return consensus_commit_known(c, effects); /* its finalization may have been faster */
    case CONSENSUS_INVALID: view->state = PROPOSAL_INVALID; break;
    case CONSENSUS_PENDING: view->state = PROPOSAL_PENDING; break;
    }
    return CL_OK;
}

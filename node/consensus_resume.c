/* Start from the vote log: what was signed is known again, and goes on from where it stood. */
#include "consensus_private.h"

#include <stdlib.h>
#include <string.h>

enum cl_status consensus_restore_proposal(struct consensus *c, const struct order_block *block)
{
    if (block->view <= c->config.final_view) return CL_OK;
    struct view *view = consensus_view_get(c, block->view);
    if (view == NULL) return CL_E_MEMORY;
    if (!consensus_body_add(c, block)) return CL_E_STORE_CORRUPT; /* a log starts anew long before it holds so many */
    view->proposal = *block;
    view->state = PROPOSAL_VALID;
    view->logged = true;
    return CL_OK;
}

enum cl_status consensus_restore_vote(struct consensus *c, const struct cl_vote *vote)
{
    if (vote->view <= c->config.final_view) return CL_OK;
    if (vote->epoch != c->config.epoch || vote->voter != c->config.own) return CL_E_STORE_CORRUPT;
    struct view *view = consensus_view_get(c, vote->view);
    if (view == NULL) return CL_E_MEMORY;
    view->own[vote->kind] = (struct ballot){ .voted = true, .has_block = vote->has_block, .block = vote->block };
    memcpy(view->own[vote->kind].signature, vote->signature, 64);
    if (c->current < vote->view) c->current = vote->view;
    return CL_OK;
}

enum cl_status consensus_restore_certificate(struct consensus *c, const struct cl_certificate *certificate)
{
    struct view *view = NULL;
    if (certificate->view <= c->config.final_view) return CL_OK;
    if (certificate->epoch != c->config.epoch || certificate->kind == CL_VOTE_PROPOSE) return CL_E_STORE_CORRUPT;
    enum cl_status status = consensus_keep_certificate(c, certificate, &view);
    if (status == CL_OK && c->current <= view->number) c->current = view->number + 1;
    return status == CL_E_EXISTS ? CL_OK : status;
}

void consensus_restore_bar(struct consensus *c, uint64_t view)
{
    c->barred = view;
}

/* Durable before a vote above it is: the sync of that vote covers it, and until then the log says that nothing is known. */
void consensus_recovered(struct consensus *c, struct consensus_effects *effects, uint64_t barred)
{
    if (c->barred != CONSENSUS_BAR_UNKNOWN || barred == CONSENSUS_BAR_UNKNOWN) return;
    c->barred = barred;
    consensus_effect_add(effects, CONSENSUS_APPEND_BAR)->view = barred;
    consensus_sync(c, effects);
}

/* Own votes may make certificates that the crash prevented, and a notarization asks for the finalize vote that it prevented. */
static enum cl_status resume_view(struct consensus *c, struct consensus_effects *effects, uint64_t number)
{
    static const enum cl_vote_kind order[] = { CL_VOTE_NOTARIZE, CL_VOTE_NULLIFY, CL_VOTE_FINALIZE };
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct view *view = consensus_view_find(c, number);
        if (view == NULL) return CL_OK; /* final by the step before */
        struct cl_vote vote;
        bool cast = false;
        enum cl_status status = CL_OK;
        if (view->tallies[order[i]].certificate == NULL && view->own[order[i]].voted) {
            consensus_vote_of(&vote, c, number, order[i], (uint32_t)c->config.own, &view->own[order[i]]);
            status = consensus_count(c, effects, &vote);
        } else if (order[i] == CL_VOTE_NOTARIZE) {
            status = consensus_finalize_vote(c, effects, view, &vote, &cast);
            if (cast) {
                consensus_sync(c, effects);
                consensus_send_vote(c, effects, &vote);
            }
        }
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

enum cl_status consensus_resume(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms)
{
    enum cl_status status = CL_OK;
    uint64_t number = c->config.final_view;
    while (status == CL_OK) {
        struct view *view = c->views;
        while (view != NULL && view->number <= number) view = view->next;
        if (view == NULL) break;
        number = view->number;
        if (!view->own[CL_VOTE_PROPOSE].voted && !view->own[CL_VOTE_NOTARIZE].voted) { /* never signed: binds nobody */
            view->state = PROPOSAL_NONE;
            view->logged = false;
        }
        status = resume_view(c, effects, number);
    }
    if (status == CL_OK) status = consensus_commit_known(c, effects);
    return status != CL_OK ? status : consensus_react(c, effects, now_ms);
}

enum cl_status consensus_retained(struct consensus *c, struct consensus_effects *effects, uint64_t *from)
{
    if (*from == 0 && c->barred > c->config.final_view) consensus_effect_add(effects, CONSENSUS_APPEND_BAR)->view = c->barred;
    if (*from == 0) *from = 1;
    for (const struct view *view = c->views; view != NULL && effects->count + 1 + 2 * KIND_COUNT < CONSENSUS_EFFECTS_MAX; view = view->next) {
        if (view->number < *from) continue;
        *from = view->number + 1;
        if (view->logged) consensus_effect_add(effects, CONSENSUS_APPEND_PROPOSAL)->block = view->proposal;
        for (size_t kind = CL_VOTE_PROPOSE; kind < KIND_COUNT; kind++)
            if (view->own[kind].voted)
                consensus_vote_of(&consensus_effect_add(effects, CONSENSUS_APPEND_VOTE)->vote, c, view->number, (enum cl_vote_kind)kind,
                                  (uint32_t)c->config.own, &view->own[kind]);
        for (size_t kind = CL_VOTE_NOTARIZE; kind < KIND_COUNT; kind++)
            if (view->tallies[kind].certificate != NULL)
                consensus_effect_add(effects, CONSENSUS_APPEND_CERTIFICATE)->certificate = view->tallies[kind].certificate;
    }
    return CL_OK;
}

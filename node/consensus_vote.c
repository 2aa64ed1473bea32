/* Votes: casting ours, counting all, certificates, finality. */
#include "consensus_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- own votes: signed, appended; they count and leave once synced */
bool consensus_may_cast(const struct consensus *c, const struct view *view, enum cl_vote_kind kind)
{
    if (view->own[kind].voted || view->number <= c->barred || c->awaited_count == CONSENSUS_AWAITING_MAX) return false;
    switch (kind) {
    case CL_VOTE_NULLIFY: return !view->own[CL_VOTE_FINALIZE].voted;                          /* rule 4 */
    case CL_VOTE_FINALIZE: return !view->own[CL_VOTE_NULLIFY].voted && !view->two_proposals;  /* rule 5 */
    case CL_VOTE_PROPOSE:
    case CL_VOTE_NOTARIZE: return true;
    }
    return false;
}

enum cl_status consensus_cast(struct consensus *c, struct consensus_effects *effects, struct view *view, enum cl_vote_kind kind,
                              const struct cl_block_id *block, struct cl_vote *out)
{
    struct cl_buffer bytes = { 0 };
    /* rule 3: at most one notarize in a view; rules 4 and 5: never both nullify and finalize, durable or not yet */
    assert(!view->own[kind].voted && c->awaited_count < CONSENSUS_AWAITING_MAX);
    assert(kind != CL_VOTE_FINALIZE || !view->own[CL_VOTE_NULLIFY].voted);
    assert(kind != CL_VOTE_NULLIFY || !view->own[CL_VOTE_FINALIZE].voted);
    assert(view->number > c->barred);
    *out = (struct cl_vote){ .epoch = c->config.epoch, .view = view->number, .kind = kind, .has_block = block != NULL, .voter = (uint32_t)c->config.own };
    if (block != NULL) out->block = *block;
    enum cl_status status = cl_vote_signed_bytes(&bytes, &c->network, out->epoch, kind, out->view, block);
    if (status == CL_OK) {
        consensus_sign(c, out->signature, bytes.data, bytes.length);
        view->own[kind] = (struct ballot){ .voted = true, .has_block = out->has_block, .block = out->block };
        memcpy(view->own[kind].signature, out->signature, 64);
        consensus_effect_add(effects, CONSENSUS_APPEND_VOTE)->vote = *out;
        c->awaited[c->awaited_count++] = (struct awaited_vote){ .vote = *out, .sequence = c->sequence + 1 };
    }
    cl_buffer_deinit(&bytes);
    return status;
}

void consensus_sync(struct consensus *c, struct consensus_effects *effects)
{
    consensus_effect_add(effects, CONSENSUS_SYNC)->sequence = ++c->sequence;
}

void consensus_send_vote(const struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote)
{
    if (c->alone) return;
    struct consensus_effect *effect = consensus_effect_add(effects, CONSENSUS_SEND_VOTE);
    effect->vote = *vote;
    effect->sequence = c->sequence;
}

void consensus_send_certificate(const struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate)
{
    if (c->alone) return;
    struct consensus_effect *effect = consensus_effect_add(effects, CONSENSUS_SEND_CERTIFICATE);
    effect->certificate = certificate;
    effect->sequence = c->sequence;
}

/* ---- checking others' */
bool consensus_signed(const struct consensus *c, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    return c->signatures.verify(c->signatures.context, member, signature64, data, length);
}

void consensus_sign(const struct consensus *c, uint8_t signature64[64], const void *data, size_t length)
{
    c->signatures.sign(c->signatures.context, signature64, data, length);
}

/* Was this very signature found good already? Votes come again in certificates and with proposals. One that was not
   looked at when it came is not known. */
static bool is_known(const struct view *view, enum cl_vote_kind kind, size_t voter, const struct cl_block_id *block, const uint8_t signature64[64])
{
    const struct ballot *ballot = view != NULL ? &view->tallies[kind].ballots[voter] : NULL;
    return ballot != NULL && ballot->voted && !ballot->unchecked && ballot->has_block == (block != NULL) && (block == NULL || consensus_same_block(&ballot->block, block)) &&
           memcmp(ballot->signature, signature64, 64) == 0;
}

bool consensus_vote_good(const struct consensus *c, const struct cl_vote *vote)
{
    struct cl_buffer bytes = { 0 };
    if (is_known(consensus_view_find(c, vote->view), vote->kind, vote->voter, vote->has_block ? &vote->block : NULL, vote->signature)) return true;
    bool good = cl_vote_signed_bytes(&bytes, &c->network, vote->epoch, vote->kind, vote->view, vote->has_block ? &vote->block : NULL) == CL_OK &&
                consensus_signed(c, vote->voter, vote->signature, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return good;
}

/* A quorum of different members, each with a good signature. member_count may be rounded up to whole bytes, as decoded. */
bool consensus_certificate_good(const struct consensus *c, const struct cl_certificate *certificate)
{
    struct cl_buffer bytes = { 0 };
    size_t members = c->config.member_count, voters = 0;
    if (certificate->epoch != c->config.epoch || certificate->kind < CL_VOTE_NOTARIZE || certificate->kind > CL_VOTE_FINALIZE) return false;
    if ((certificate->member_count + 7) / 8 != (members + 7) / 8 || certificate->has_block != (certificate->kind != CL_VOTE_NULLIFY)) return false;
    for (size_t i = 0; i < (members + 7) / 8 * 8; i++) {
        bool set = (certificate->voters[i / 8] >> (i % 8) & 1) != 0;
        if (set && i >= members) return false;
        voters += set;
    }
    if (voters != certificate->vote_count || voters < cl_quorum(members)) return false;
    bool good = cl_vote_signed_bytes(&bytes, &c->network, certificate->epoch, certificate->kind, certificate->view,
                                     certificate->has_block ? &certificate->block : NULL) == CL_OK;
    const struct view *view = consensus_view_find(c, certificate->view);
    for (size_t i = 0, next = 0; i < members && good; i++) {
        if ((certificate->voters[i / 8] >> (i % 8) & 1) == 0) continue;
        const uint8_t *signature = certificate->signatures[next++];
        good = is_known(view, certificate->kind, i, certificate->has_block ? &certificate->block : NULL, signature) || consensus_signed(c, i, signature, bytes.data, bytes.length);
    }
    cl_buffer_deinit(&bytes);
    return good;
}

/* ---- certificates */
static void append_certificate(struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate)
{
    struct consensus_effect *append = consensus_effect_add(effects, CONSENSUS_APPEND_CERTIFICATE);
    append->certificate = certificate;
    append->sequence = c->sequence + 1;
}

/* rule 5: where we did not nullify and saw no two proposals */
enum cl_status consensus_finalize_vote(struct consensus *c, struct consensus_effects *effects, struct view *view, struct cl_vote *out, bool *cast)
{
    const struct cl_certificate *certificate = view->tallies[CL_VOTE_NOTARIZE].certificate;
    *cast = certificate != NULL && consensus_may_cast(c, view, CL_VOTE_FINALIZE);
    return *cast ? consensus_cast(c, effects, view, CL_VOTE_FINALIZE, &certificate->block, out) : CL_OK;
}

static enum cl_status on_notarized(struct consensus *c, struct consensus_effects *effects, struct view *view, bool made_here)
{
    const struct cl_certificate *certificate = view->tallies[CL_VOTE_NOTARIZE].certificate;
    struct cl_vote vote;
    bool finalize = false;
    append_certificate(c, effects, certificate);
    enum cl_status status = consensus_finalize_vote(c, effects, view, &vote, &finalize);
    if (status != CL_OK) return status;
    consensus_sync(c, effects);
    if (made_here) consensus_send_certificate(c, effects, certificate);
    if (finalize) consensus_send_vote(c, effects, &vote);
    consensus_want_missing(c, effects, view);
    return CL_OK;
}

/* A new certificate stands in its view. The view after it is entered, never one before ours (rule 1). */
static enum cl_status accept_certificate(struct consensus *c, struct consensus_effects *effects, struct view *view, enum cl_vote_kind kind, bool made_here)
{
    const struct cl_certificate *certificate = view->tallies[kind].certificate;
    bool enters = c->current <= view->number;
    if (enters) c->current = view->number + 1;
    switch (kind) {
    case CL_VOTE_NOTARIZE: return on_notarized(c, effects, view, made_here);
    case CL_VOTE_FINALIZE: { /* rule 7 */
        uint64_t final_view = c->config.final_view;
        if (made_here) consensus_send_certificate(c, effects, certificate);
        enum cl_status status = consensus_commit_known(c, effects);
        if (status != CL_OK || !enters || c->config.final_view != final_view) return status;
        append_certificate(c, effects, certificate); /* the block is not here yet, so the ledger does not justify our view */
        consensus_sync(c, effects);
        return CL_OK;
    }
    case CL_VOTE_NULLIFY: /* rule 6 */
        append_certificate(c, effects, certificate);
        consensus_sync(c, effects);
        if (made_here) consensus_send_certificate(c, effects, certificate);
        return CL_OK;
    case CL_VOTE_PROPOSE: break;
    }
    assert(false && "a proposal has no certificate");
    return CL_E_CERTIFICATE;
}

enum cl_status consensus_keep_certificate(struct consensus *c, const struct cl_certificate *certificate, struct view **view)
{
    *view = consensus_view_get(c, certificate->view);
    if (*view == NULL) return CL_E_MEMORY;
    struct tally *tally = &(*view)->tallies[certificate->kind];
    if (tally->certificate != NULL) return CL_E_EXISTS;
    tally->certificate = malloc(sizeof *certificate);
    if (tally->certificate == NULL) return CL_E_MEMORY;
    *tally->certificate = *certificate;
    tally->certificate->member_count = c->config.member_count;
    return CL_OK;
}

enum cl_status consensus_take_certificate(struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate, bool *good)
{
    struct view *view = NULL;
    *good = true;
    if (certificate->epoch == c->config.epoch && certificate->view <= c->config.final_view) return CL_OK; /* settled */
    const struct view *known = consensus_view_find(c, certificate->view);
    if (known != NULL && certificate->kind <= CL_VOTE_FINALIZE && known->tallies[certificate->kind].certificate != NULL) return CL_OK;
    *good = certificate->view < UINT64_MAX && consensus_certificate_good(c, certificate);
    if (!*good) {
        c->counters.certificates_dropped++;
        c->counters.forged += certificate->epoch == c->config.epoch;
        return CL_OK;
    }
    enum cl_status status = consensus_keep_certificate(c, certificate, &view);
    return status != CL_OK ? status : accept_certificate(c, effects, view, certificate->kind, false);
}

/* ---- counting */
static bool is_like(const struct ballot *ballot, const struct ballot *like)
{
    return ballot->voted && ballot->has_block == like->has_block && consensus_same_block(&ballot->block, &like->block);
}

static enum cl_status make_certificate(struct consensus *c, struct view *view, enum cl_vote_kind kind, const struct ballot *like)
{
    struct cl_certificate *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    *made = (struct cl_certificate){ .epoch = c->config.epoch, .view = view->number, .kind = kind, .has_block = like->has_block,
                                     .block = like->block, .member_count = c->config.member_count };
    size_t needed = cl_quorum(c->config.member_count);
    for (size_t i = 0; i < c->config.member_count && made->vote_count < needed; i++) {
        const struct ballot *ballot = &view->tallies[kind].ballots[i];
        if (!is_like(ballot, like)) continue;
        assert(!ballot->unchecked); /* only what comes after the certificate is */
        made->voters[i / 8] |= (uint8_t)(1u << (i % 8));
        memcpy(made->signatures[made->vote_count++], ballot->signature, 64);
    }
    assert(made->vote_count == needed);
    view->tallies[kind].certificate = made;
    return CL_OK;
}

enum cl_status consensus_count(struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote)
{
    if (vote->view <= c->config.final_view) return CL_OK; /* settled meanwhile */
    struct view *view = consensus_view_get(c, vote->view);
    if (view == NULL) return CL_E_MEMORY;
    consensus_record_ballot(c, view, vote);
    struct tally *tally = &view->tallies[vote->kind];
    if (vote->kind == CL_VOTE_PROPOSE || tally->certificate != NULL) return CL_OK;
    const struct ballot *like = &tally->ballots[vote->voter];
    size_t count = 0;
    for (size_t i = 0; i < c->config.member_count; i++) count += is_like(&tally->ballots[i], like);
    if (count < cl_quorum(c->config.member_count)) return CL_OK;
    enum cl_status status = make_certificate(c, view, vote->kind, like);
    return status != CL_OK ? status : accept_certificate(c, effects, view, vote->kind, true);
}

/* ---- finality */
/* Bodies from this block down to the last final one, newest first. Returns how many; 0: *missing (with view 0: nothing)
   is not at hand. The views of parents are what others say; that one which is too low does no harm is seen to here. */
static size_t chain_to_final(const struct consensus *c, const struct order_block **chain, const struct cl_block_id *id, uint64_t view, struct wanted *missing)
{
    size_t count = 0;
    *missing = (struct wanted){ .view = 0 };
    while (!consensus_same_block(id, &c->config.final_block)) {
        const struct order_block *body = consensus_body(c, id);
        if (body == NULL) {
            *missing = (struct wanted){ .id = *id, .view = view > c->config.final_view ? view : c->config.final_view + 1 };
            return 0;
        }
        if (count == c->body_count) return 0; /* a circle: no honest executor names such parents */
        chain[count++] = body;
        if (body->parent_view < view) view = body->parent_view;
        id = &body->parent;
    }
    return count;
}

size_t consensus_depth(const struct consensus *c, const struct cl_block_id *id)
{
    const struct order_block *chain[CONSENSUS_BODIES_MAX];
    struct wanted missing;
    if (consensus_same_block(id, &c->config.final_block)) return 0;
    size_t depth = chain_to_final(c, chain, id, 0, &missing);
    return depth == 0 ? SIZE_MAX : depth;
}

void consensus_want_missing(struct consensus *c, struct consensus_effects *effects, const struct view *view)
{
    const struct order_block *chain[CONSENSUS_BODIES_MAX];
    const struct cl_block_id *certified = consensus_certified(view);
    struct wanted missing = { .view = 0 };
    if (certified != NULL && chain_to_final(c, chain, certified, view->number, &missing) == 0 && missing.view > 0)
        consensus_want(c, effects, &missing.id, missing.view);
}

enum cl_status consensus_advance_final(struct consensus *c, uint64_t view, const struct cl_block_id *block, const struct cl_certificate *certificate)
{
    c->final_certificate.length = 0;
    enum cl_status status = cl_certificate_encode(&c->final_certificate, certificate);
    if (status != CL_OK) return status;
    *c->final_proof = *certificate;
    c->config.final_block = *block;
    c->config.final_view = view;
    c->wanted_count = 0;      /* what is still missing is asked for again */
    c->records_wait = false;  /* what still waits the executor says again */
    if (c->current <= view) c->current = view + 1;
    consensus_settle_views(c, view);
    return CL_OK;
}

/* rule 7: the newest finalization whose chain is at hand. One whose block is not here stays in its view until that comes. */
enum cl_status consensus_commit_known(struct consensus *c, struct consensus_effects *effects)
{
    const struct order_block *chain[CONSENSUS_BODIES_MAX];
    struct view *found = NULL;
    struct wanted missing;
    for (struct view *view = c->views; view != NULL; view = view->next) {
        const struct cl_certificate *certificate = view->tallies[CL_VOTE_FINALIZE].certificate;
        if (certificate == NULL) continue;
        if (chain_to_final(c, chain, &certificate->block, view->number, &missing) > 0) found = view;
        else consensus_want_missing(c, effects, view);
    }
    if (found == NULL) return CL_OK;
    struct cl_certificate *proof = found->tallies[CL_VOTE_FINALIZE].certificate;
    size_t count = chain_to_final(c, chain, &proof->block, found->number, &missing);
    assert(count > 0);
    enum cl_status status = consensus_advance_final(c, found->number, &chain[0]->id, proof);
    if (status != CL_OK) return status;
    for (size_t i = count; i-- > 0;) {
        struct consensus_effect *effect = consensus_effect_add(effects, CONSENSUS_COMMIT);
        effect->block = *chain[i];
        effect->certificate = i == 0 ? c->final_proof : NULL;
    }
    consensus_bodies_settle(c, chain, count);
    return CL_OK;
}

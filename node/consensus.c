/* The Simplex state machine: events in, then what the new state asks for. Handlers only note what came; timers, votes
   and blocks that follow are decided in one place, consensus_react, whatever the event was. */
#include "consensus_private.h"

#include "crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RESEND_MS_MIN 100u
#define RESEND_MS_MAX 1000u

size_t consensus_leader(const struct cl_network_id *network, uint64_t epoch, uint64_t view, size_t member_count)
{
    struct cl_sha256 hash;
    uint8_t digest[32], number[8];
    uint64_t seed = 0;
    for (int i = 0; i < 8; i++) number[i] = (uint8_t)(epoch >> (56 - 8 * i));
    cl_sha256_domain(&hash, "consent/v1 leader");
    cl_sha256_update(&hash, network->bytes, 32);
    cl_sha256_update(&hash, number, 8);
    cl_sha256_final(&hash, digest);
    for (int i = 0; i < 8; i++) seed = seed << 8 | digest[i];
    return (size_t)((seed % member_count + view % member_count) % member_count);
}

size_t consensus_leader_of(const struct consensus *c, uint64_t view)
{
    return (size_t)((c->leader_seed + view % c->config.member_count) % c->config.member_count);
}

/* ---- signatures as nodes make them */
static void sign_ed25519(void *context, uint8_t signature64[64], const void *data, size_t length)
{
    const struct consensus *c = context;
    cl_ed25519_key_sign(signature64, &c->vote_key, data, length);
}

static bool verify_ed25519(void *context, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    const struct consensus *c = context;
    return cl_ed25519_verify(c->config.members[member].vote, signature64, data, length);
}

enum cl_status consensus_new(struct consensus **out, const struct consensus_config *config)
{
    size_t members = config->member_count;
    assert(members > 0 && members <= CL_MEMBERS_MAX && config->own < members);
    assert(members == 1 || (config->d0_ms > 0 && config->d0_ms <= CONSENSUS_D_MS_MAX));
    struct consensus *c = calloc(1, sizeof *c);
    if (c == NULL) return CL_E_MEMORY;
    c->config = *config;
    cl_ed25519_key_make(&c->vote_key, config->vote_seed);
    cl_wipe(c->config.vote_seed, sizeof c->config.vote_seed);
    c->network = *config->network;
    c->alone = members == 1;
    c->current = config->final_view + 1;
    c->leader_seed = consensus_leader(&c->network, config->epoch, 0, members);
    c->signatures = config->signatures != NULL ? *config->signatures : (struct consensus_signatures){ .context = c, .sign = sign_ed25519, .verify = verify_ed25519 };
    c->final_proof = calloc(1, sizeof *c->final_proof);
    c->evidence = calloc(members * CONSENSUS_EVIDENCE_MAX, sizeof *c->evidence);
    enum cl_status status = c->final_proof == NULL || c->evidence == NULL ? CL_E_MEMORY : CL_OK;
    if (status == CL_OK && config->final_certificate.length > 0) {
        status = cl_buffer_append(&c->final_certificate, config->final_certificate.data, config->final_certificate.length);
        if (status == CL_OK) status = cl_certificate_decode(c->final_proof, config->final_certificate.data, config->final_certificate.length);
        c->final_proof->member_count = members;
    }
    if (status != CL_OK) {
        consensus_free(c);
        return status;
    }
    *out = c;
    return CL_OK;
}

void consensus_free(struct consensus *c)
{
    if (c == NULL) return;
    consensus_views_free(&c->views);
    consensus_views_free(&c->settled);
    cl_buffer_deinit(&c->final_certificate);
    cl_buffer_deinit(&c->justification);
    free(c->final_proof);
    free(c->evidence);
    cl_wipe(&c->vote_key, sizeof c->vote_key);
    free(c);
}

/* ---- timers */
/* rule 10: patience grows with views that bring nothing final, up to a cap that recovery can wait for */
uint64_t consensus_d_ms(const struct consensus *c)
{
    uint64_t d = c->config.d0_ms, since = c->current - c->config.final_view;
    for (uint64_t k = 2; k < since && d < CONSENSUS_D_MS_MAX; k++) d += (d + 1) / 2;
    return d < CONSENSUS_D_MS_MAX ? d : CONSENSUS_D_MS_MAX;
}

static uint64_t resend_ms(const struct consensus *c)
{
    uint64_t interval = 2 * c->config.d0_ms;
    return interval < RESEND_MS_MIN ? RESEND_MS_MIN : interval > RESEND_MS_MAX ? RESEND_MS_MAX : interval;
}

void consensus_arm(struct consensus *c, struct consensus_effects *effects, enum consensus_timer timer, uint64_t at_ms)
{
    struct consensus_effect *effect = consensus_effect_add(effects, CONSENSUS_ARM);
    effect->timer = timer;
    effect->at_ms = at_ms;
    c->armed[timer] = true;
    c->deadline_ms[timer] = at_ms;
}

static void cancel(struct consensus *c, struct consensus_effects *effects, enum consensus_timer timer)
{
    if (!c->armed[timer]) return;
    consensus_effect_add(effects, CONSENSUS_CANCEL)->timer = timer;
    c->armed[timer] = false;
}

static void cancel_view_timers(struct consensus *c, struct consensus_effects *effects)
{
    cancel(c, effects, CONSENSUS_TIMER_LEADER);
    cancel(c, effects, CONSENSUS_TIMER_ADVANCE);
    cancel(c, effects, CONSENSUS_TIMER_PROPOSE);
    c->view_timers_armed = false;
}

/* ---- idle */
static bool saw_proposal(const struct consensus *c, const struct view *view)
{
    return view->state != PROPOSAL_NONE || view->tallies[CL_VOTE_PROPOSE].ballots[consensus_leader_of(c, view->number)].voted;
}

/* Nothing here asks for progress: all that is notarized is final, no record waits, no proposal or f+1 nullify votes of
   others stand in this view. */
static bool is_quiet(const struct consensus *c)
{
    if (c->records_wait) return false;
    for (const struct view *view = c->views; view != NULL; view = view->next)
        if (consensus_certified(view) != NULL) return false;
    const struct view *view = consensus_view_find(c, c->current);
    if (view == NULL) return true;
    if (saw_proposal(c, view)) return false;
    size_t nullified = 0;
    for (size_t i = 0; i < c->config.member_count; i++) nullified += i != c->config.own && view->tallies[CL_VOTE_NULLIFY].ballots[i].voted;
    return nullified <= c->config.member_count - cl_quorum(c->config.member_count);
}

/* rule 9 */
static bool is_idle(const struct consensus *c)
{
    const struct view *view = consensus_view_find(c, c->current);
    for (size_t kind = CL_VOTE_PROPOSE; view != NULL && kind < KIND_COUNT; kind++)
        if (view->own[kind].voted) return false;
    return is_quiet(c);
}

/* Rule 1: entering a view arms its timers, unless idle; leaving it kills them. Waking arms them too, from then on. The
   resend timer never moves away from us: whoever toggles between idle and awake would otherwise never speak. */
static void keep_timers(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms)
{
    if (c->alone) return;
    uint64_t d = consensus_d_ms(c), interval = is_quiet(c) ? CONSENSUS_RESEND_IDLE_MS : resend_ms(c);
    const struct view *view = consensus_view_find(c, c->current);
    bool proposed = view != NULL && saw_proposal(c, view);
    c->idle = is_idle(c);
    if (c->idle && c->view_timers_armed) cancel_view_timers(c, effects);
    if (!c->idle && !c->view_timers_armed) {
        c->view_timers_armed = true;
        c->entered_ms = now_ms;
        if (!proposed) consensus_arm(c, effects, CONSENSUS_TIMER_LEADER, now_ms + 2 * d);
        consensus_arm(c, effects, CONSENSUS_TIMER_ADVANCE, now_ms + 3 * d);
    }
    if (proposed) cancel(c, effects, CONSENSUS_TIMER_LEADER);
    if (!c->armed[CONSENSUS_TIMER_RESEND] || c->deadline_ms[CONSENSUS_TIMER_RESEND] > now_ms + interval)
        consensus_arm(c, effects, CONSENSUS_TIMER_RESEND, now_ms + interval);
}

/* ---- what the state asks for */
/* rule 4, for the current view only: one that was left is never nullified */
static enum cl_status nullify(struct consensus *c, struct consensus_effects *effects)
{
    size_t leader = consensus_leader_of(c, c->current);
    if (c->alone || c->idle) return CL_OK;
    struct view *view = consensus_view_get(c, c->current);
    struct cl_vote vote;
    if (view == NULL) return CL_E_MEMORY;
    bool must = view->timed_out || view->state == PROPOSAL_INVALID || consensus_has_evidence(c, leader) ||
                (leader != c->config.own && view->tallies[CL_VOTE_NULLIFY].ballots[leader].voted);
    if (!must || !consensus_may_cast(c, view, CL_VOTE_NULLIFY)) return CL_OK;
    enum cl_status status = consensus_cast(c, effects, view, CL_VOTE_NULLIFY, NULL, &vote);
    if (status != CL_OK) return status;
    consensus_sync(c, effects);
    consensus_send_vote(c, effects, &vote);
    return CL_OK;
}

enum cl_status consensus_react(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms)
{
    if (c->entered != c->current) {
        c->entered = c->current;
        c->entered_ms = now_ms;
        cancel_view_timers(c, effects);
    }
    enum cl_status status = consensus_consider_proposal(c, effects);
    keep_timers(c, effects, now_ms);
    if (status == CL_OK) status = nullify(c, effects);
    if (status == CL_OK) status = consensus_propose(c, effects, now_ms);
    return status;
}

/* ---- rule 8 */
static void resend_own(struct consensus *c, struct consensus_effects *effects)
{
    const struct view *view = consensus_view_find(c, c->current);
    struct cl_vote vote;
    size_t finalizes = 0, skipped = 0;
    for (size_t kind = CL_VOTE_PROPOSE; view != NULL && kind < CL_VOTE_FINALIZE; kind++) {
        if (!view->own[kind].voted) continue;
        consensus_vote_of(&vote, c, view->number, (enum cl_vote_kind)kind, (uint32_t)c->config.own, &view->own[kind]);
        if (kind != CL_VOTE_PROPOSE) {
            consensus_send_vote(c, effects, &vote);
            continue;
        }
        struct consensus_effect *send = consensus_effect_add(effects, CONSENSUS_SEND_PROPOSAL);
        send->block = view->proposal;
        send->vote = vote;
        send->sequence = c->sequence;
    }
    for (view = c->views; view != NULL; view = view->next) finalizes += view->own[CL_VOTE_FINALIZE].voted;
    for (view = c->views; view != NULL; view = view->next) { /* the newest: a finalization covers what is below it */
        if (!view->own[CL_VOTE_FINALIZE].voted || finalizes - skipped++ > CONSENSUS_FINALIZES_RESENT_MAX) continue;
        consensus_vote_of(&vote, c, view->number, CL_VOTE_FINALIZE, (uint32_t)c->config.own, &view->own[CL_VOTE_FINALIZE]);
        consensus_send_vote(c, effects, &vote);
    }
}

/* The certificate that entered the view, and the newest finalization. */
static void resend_position(const struct consensus *c, struct consensus_effects *effects)
{
    const struct view *before = consensus_view_find(c, c->current - 1);
    for (size_t kind = CL_VOTE_NOTARIZE; before != NULL && kind < KIND_COUNT; kind++)
        if (before->tallies[kind].certificate != NULL) consensus_send_certificate(c, effects, before->tallies[kind].certificate);
    if (c->final_proof->vote_count > 0) consensus_send_certificate(c, effects, c->final_proof);
}

/* Rule 11: all certificates above the last final view are served, a few with each resend, in turn. Without this, nodes of
   which each misses the certificate of another view could never again justify a block. */
static void serve_certificates(struct consensus *c, struct consensus_effects *effects)
{
    size_t sent = 0;
    uint64_t last = 0;
    for (const struct view *view = c->views; view != NULL && sent < CONSENSUS_SERVED_MAX; view = view->next) {
        if (view->number <= c->served_view) continue;
        last = view->number;
        for (size_t kind = CL_VOTE_NOTARIZE; kind < KIND_COUNT; kind++) {
            if (view->tallies[kind].certificate == NULL) continue;
            consensus_send_certificate(c, effects, view->tallies[kind].certificate);
            sent++;
        }
    }
    c->served_view = sent < CONSENSUS_SERVED_MAX ? 0 : last;
}

static enum cl_status on_resend(struct consensus *c, struct consensus_effects *effects)
{
    bool cast = false;
    resend_own(c, effects);
    resend_position(c, effects);
    serve_certificates(c, effects);
    c->wanted_count = 0;
    for (struct view *view = c->views; view != NULL; view = view->next) {
        struct cl_vote vote;
        consensus_want_missing(c, effects, view);
        view->refused = false;
        if (view->state == PROPOSAL_PENDING) view->state = PROPOSAL_SEEN;
        enum cl_status status = consensus_finalize_vote(c, effects, view, &vote, &cast); /* left out while the disk was behind */
        if (status != CL_OK) return status;
        if (!cast) continue;
        consensus_sync(c, effects);
        consensus_send_vote(c, effects, &vote);
    }
    return CL_OK;
}

/* Who votes in a view that we left is behind; everyone is told where we are, once in an interval. */
static void help(struct consensus *c, struct consensus_effects *effects, uint64_t now_ms)
{
    if (c->helped && now_ms - c->helped_ms < resend_ms(c)) return;
    c->helped = true;
    c->helped_ms = now_ms;
    resend_position(c, effects);
}

/* ---- events */
static enum cl_status on_synced(struct consensus *c, struct consensus_effects *effects, uint64_t sequence)
{
    assert(sequence <= c->sequence);
    if (sequence > c->synced) c->synced = sequence;
    while (c->awaited_count > 0 && c->awaited[0].sequence <= c->synced) {
        struct cl_vote vote = c->awaited[0].vote;
        c->awaited_count--;
        memmove(c->awaited, c->awaited + 1, c->awaited_count * sizeof c->awaited[0]);
        enum cl_status status = consensus_count(c, effects, &vote);
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

static enum cl_status on_vote(struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote, uint64_t now_ms)
{
    bool good = vote->epoch == c->config.epoch && vote->voter < c->config.member_count && vote->voter != c->config.own &&
                vote->kind >= CL_VOTE_PROPOSE && vote->kind <= CL_VOTE_FINALIZE && vote->has_block == (vote->kind != CL_VOTE_NULLIFY);
    if (good && vote->view < c->current) help(c, effects, now_ms);
    good = good && vote->view > c->config.final_view && vote->view <= c->current + CONSENSUS_VIEWS_AHEAD_MAX && /* rule 11 */
           (vote->kind != CL_VOTE_PROPOSE || consensus_leader_of(c, vote->view) == vote->voter);
    if (good) {
        struct view *view = consensus_view_find(c, vote->view);
        const struct ballot *ballot = view != NULL ? &view->tallies[vote->kind].ballots[vote->voter] : NULL;
        bool voted = ballot != NULL && ballot->voted;
        bool again = voted && ballot->has_block == vote->has_block && consensus_same_block(&ballot->block, &vote->block);
        /* an unchecked one does not keep out another signature: it may be forged */
        if (again && (!ballot->unchecked || memcmp(ballot->signature, vote->signature, 64) == 0)) return CL_OK;
        if (view != NULL && consensus_record_late(view, vote)) return CL_OK;
        /* whoever contradicts himself without end is not listened to without end */
        good = !voted || !consensus_evidence_full(c, vote->voter) || (vote->kind == CL_VOTE_PROPOSE && !view->two_proposals);
    }
    if (good && consensus_vote_good(c, vote)) return consensus_count(c, effects, vote);
    c->counters.votes_dropped++;
    c->counters.forged += good;
    return CL_OK;
}

static enum cl_status on_block(struct consensus *c, struct consensus_effects *effects, const struct order_block *block)
{
    struct order_block body = *block;
    uint64_t view = 0;
    if (!consensus_wanted_take(c, &block->id, &view)) return CL_OK;
    if (body.view > view) body.view = view;
    if (!consensus_body_add(c, &body)) return CL_OK;
    enum cl_status status = consensus_commit_known(c, effects);
    for (const struct view *each = c->views; each != NULL; each = each->next) consensus_want_missing(c, effects, each);
    return status;
}

static enum cl_status on_final(struct consensus *c, struct consensus_effects *effects, const struct order_block *block, const struct cl_certificate *certificate)
{
    if (block->view <= c->config.final_view) return CL_OK;
    if (certificate->kind != CL_VOTE_FINALIZE || certificate->view != block->view || !certificate->has_block ||
        !consensus_same_block(&certificate->block, &block->id) || !consensus_certificate_good(c, certificate)) {
        c->counters.certificates_dropped++;
        return CL_OK;
    }
    enum cl_status status = consensus_advance_final(c, block->view, &block->id, certificate);
    if (status != CL_OK) return status;
    consensus_bodies_settle(c, NULL, 0);
    return consensus_commit_known(c, effects);
}

static enum cl_status on_timer(struct consensus *c, struct consensus_effects *effects, enum consensus_timer timer, uint64_t now_ms)
{
    if (!c->armed[timer] || now_ms < c->deadline_ms[timer]) return CL_OK; /* of a view that was left, or moved meanwhile */
    struct view *view = consensus_view_get(c, c->current);
    if (view == NULL) return CL_E_MEMORY;
    c->armed[timer] = false;
    switch (timer) {
    case CONSENSUS_TIMER_LEADER:
    case CONSENSUS_TIMER_ADVANCE: view->timed_out = true; return CL_OK;
    case CONSENSUS_TIMER_PROPOSE: return CL_OK; /* that it is time is seen by consensus_propose */
    case CONSENSUS_TIMER_RESEND: return on_resend(c, effects);
    case CONSENSUS_TIMERS: break;
    }
    return CL_OK;
}

static enum cl_status take_event(struct consensus *c, struct consensus_effects *effects, const struct consensus_event *event)
{
    bool good = false;
    switch (event->kind) {
    case CONSENSUS_WAKE: c->records_wait = true; return CL_OK;
    case CONSENSUS_BUILT: return consensus_on_built(c, effects, &event->block);
    case CONSENSUS_NOTHING: {
        struct view *view = consensus_view_find(c, event->view);
        if (view != NULL && view->building) {
            view->refused = view->building_empty; /* until the next resend */
            view->building = false;
        }
        c->records_wait = false;
        return CL_OK;
    }
    case CONSENSUS_SYNCED: return on_synced(c, effects, event->sequence);
    case CONSENSUS_VOTE: return on_vote(c, effects, event->vote, event->now_ms);
    case CONSENSUS_CERTIFICATE: return consensus_take_certificate(c, effects, event->certificate, &good);
    case CONSENSUS_PROPOSAL: return consensus_on_proposal(c, effects, event);
    case CONSENSUS_VERDICT: return consensus_on_verdict(c, effects, &event->block, event->verdict);
    case CONSENSUS_BLOCK: return on_block(c, effects, &event->block);
    case CONSENSUS_FINAL: return on_final(c, effects, &event->block, event->certificate);
    case CONSENSUS_RECOVERED: consensus_recovered(c, effects, event->view); return CL_OK;
    case CONSENSUS_TIMER: return on_timer(c, effects, event->timer, event->now_ms);
    }
    return CL_OK;
}

enum cl_status consensus_step(struct consensus *c, struct consensus_effects *effects, const struct consensus_event *event)
{
    consensus_views_free(&c->settled);
    enum cl_status status = take_event(c, effects, event);
    return status != CL_OK ? status : consensus_react(c, effects, event->now_ms);
}

void consensus_report(const struct consensus *c, struct consensus_report *out)
{
    *out = c->counters;
    out->view = c->current;
    out->final_view = c->config.final_view;
    out->idle = c->idle;
    out->barred = c->barred;
    out->evidence = c->evidence_count;
}

size_t consensus_member_count(const struct consensus *c) { return c->config.member_count; }
size_t consensus_own(const struct consensus *c) { return c->config.own; }

bool consensus_position(const struct consensus *c, uint64_t *view, const struct cl_certificate **certificate)
{
    const struct view *before = consensus_view_find(c, c->current - 1);
    *view = c->current;
    *certificate = c->current > 1 && c->final_proof->view == c->current - 1 && c->final_proof->vote_count > 0 ? c->final_proof : NULL;
    for (size_t kind = CL_VOTE_NOTARIZE; before != NULL && kind < KIND_COUNT && *certificate == NULL; kind++) *certificate = before->tallies[kind].certificate;
    return c->current > c->barred && (*certificate != NULL || c->current == 1);
}

/* Who has a ballot; block: only those for it. Of a kind without a certificate here: beside one there may be unchecked ballots. */
static size_t voters_of(uint8_t out[CL_MEMBERS_MAX / 8], const struct consensus *c, const struct tally *tally, const struct cl_block_id *block)
{
    size_t count = 0;
    memset(out, 0, CL_MEMBERS_MAX / 8);
    for (size_t i = 0; tally->ballots != NULL && i < c->config.member_count; i++) {
        const struct ballot *ballot = &tally->ballots[i];
        if (!ballot->voted || (block != NULL && !consensus_same_block(&ballot->block, block))) continue;
        out[i / 8] |= (uint8_t)(1u << i % 8);
        count++;
    }
    return count;
}

static void most_notarized(uint8_t out[CL_MEMBERS_MAX / 8], const struct consensus *c, const struct tally *tally)
{
    uint8_t voters[CL_MEMBERS_MAX / 8];
    size_t most = 0;
    for (size_t i = 0; tally->ballots != NULL && i < c->config.member_count; i++) {
        if (!tally->ballots[i].voted) continue;
        size_t count = voters_of(voters, c, tally, &tally->ballots[i].block);
        if (count <= most) continue;
        most = count;
        memcpy(out, voters, sizeof voters);
    }
}

void consensus_outlook(const struct consensus *c, struct consensus_outlook *out)
{
    const struct view *present = consensus_view_find(c, c->current);
    *out = (struct consensus_outlook){ .view = c->current, .since_ms = c->entered == c->current ? c->entered_ms : 0, .patience_ms = consensus_d_ms(c),
        .leader = consensus_leader_of(c, c->current) };
    if (present != NULL) {
        out->proposed = present->state != PROPOSAL_NONE || present->own[CL_VOTE_PROPOSE].voted;
        out->incomplete = present->state == PROPOSAL_PENDING;
        most_notarized(out->notarize, c, &present->tallies[CL_VOTE_NOTARIZE]);
        (void)voters_of(out->nullify, c, &present->tallies[CL_VOTE_NULLIFY], NULL);
    }
    for (const struct view *view = c->views; view != NULL; view = view->next) {
        if (view->number > c->current || view->tallies[CL_VOTE_NOTARIZE].certificate == NULL) continue;
        out->finalize_view = view->number;
        const struct cl_certificate *certificate = view->tallies[CL_VOTE_FINALIZE].certificate; /* of a block that is not at hand */
        if (certificate != NULL) memcpy(out->finalize, certificate->voters, sizeof out->finalize);
        else (void)voters_of(out->finalize, c, &view->tallies[CL_VOTE_FINALIZE], NULL);
    }
}

const struct consensus_evidence *consensus_evidence(const struct consensus *c, size_t index)
{
    return index < c->evidence_count ? &c->evidence[index] : NULL;
}

/* The Simplex state machine. Every fact that safety rests on is in one view: what this node voted there, and what a
   quorum voted there. */
#include "consensus.h"

#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_COUNT = CL_VOTE_FINALIZE + 1, AWAITING_MAX = 8 };

struct ballot { bool voted, has_block; struct cl_block_id block; uint8_t signature[64]; };
struct tally { struct ballot *ballots; struct cl_certificate *certificate; }; /* a ballot for each member */
struct view {
    uint64_t number;
    struct view *next; /* ascending */
    struct tally tallies[KIND_COUNT];
    bool building, has_proposal, two_proposals;
    struct order_block proposal;
};
struct awaited_vote { struct cl_vote vote; uint64_t sequence; };

struct consensus {
    struct consensus_config config;
    struct cl_network_id network;
    struct cl_buffer final_certificate, justification;
    struct cl_certificate *final_proof; /* the newest finalization, for COMMIT effects */
    struct view *views;                 /* those above the last final one that anything is known of */
    struct view *settled;               /* effects still borrow their certificates: freed by the next step */
    uint64_t current, sequence, synced;
    struct awaited_vote awaited[AWAITING_MAX];
    size_t awaited_count;
    struct consensus_report counters;
};

static enum cl_status accept_certificate(struct consensus *c, struct consensus_effects *effects, struct view *view, enum cl_vote_kind kind);

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

enum cl_status consensus_new(struct consensus **out, const struct consensus_config *config)
{
    assert(config->member_count > 0 && config->own < config->member_count);
    struct consensus *c = calloc(1, sizeof *c);
    if (c == NULL) return CL_E_MEMORY;
    c->config = *config;
    c->network = *config->network;
    c->current = config->final_view + 1;
    c->final_proof = calloc(1, sizeof *c->final_proof);
    enum cl_status status = c->final_proof == NULL ? CL_E_MEMORY : CL_OK;
    if (status == CL_OK && config->final_certificate.length > 0)
        status = cl_buffer_append(&c->final_certificate, config->final_certificate.data, config->final_certificate.length);
    if (status != CL_OK) {
        consensus_free(c);
        return status;
    }
    *out = c;
    return CL_OK;
}

static void view_free(struct view *view)
{
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        free(view->tallies[kind].ballots);
        free(view->tallies[kind].certificate);
    }
    free(view);
}

static void views_free(struct view **list)
{
    while (*list != NULL) {
        struct view *next = (*list)->next;
        view_free(*list);
        *list = next;
    }
}

void consensus_free(struct consensus *c)
{
    if (c == NULL) return;
    views_free(&c->views);
    views_free(&c->settled);
    cl_buffer_deinit(&c->final_certificate);
    cl_buffer_deinit(&c->justification);
    free(c->final_proof);
    cl_wipe(c->config.vote_seed, sizeof c->config.vote_seed);
    free(c);
}

static struct view *view_find(const struct consensus *c, uint64_t number)
{
    struct view *view = c->views;
    while (view != NULL && view->number < number) view = view->next;
    return view != NULL && view->number == number ? view : NULL;
}

/* NULL: out of memory. */
static struct view *view_get(struct consensus *c, uint64_t number)
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

static struct ballot *own_ballot(const struct consensus *c, const struct view *view, enum cl_vote_kind kind)
{
    return &view->tallies[kind].ballots[c->config.own];
}

static struct consensus_effect *add_effect(struct consensus_effects *effects, enum consensus_effect_kind kind)
{
    assert(effects->count < CONSENSUS_EFFECTS_MAX);
    struct consensus_effect *effect = &effects->items[effects->count++];
    memset(effect, 0, sizeof *effect);
    effect->kind = kind;
    return effect;
}

/* ---- own votes: signed, appended; they count and leave once synced */
static enum cl_status cast_vote(struct consensus *c, struct consensus_effects *effects, struct view *view, enum cl_vote_kind kind,
                                const struct cl_block_id *block, struct cl_vote *out)
{
    struct cl_buffer bytes = { 0 };
    const struct ballot *notarize = own_ballot(c, view, CL_VOTE_NOTARIZE), *finalize = own_ballot(c, view, CL_VOTE_FINALIZE);
    /* rule 3: at most one notarize in a view; rules 4 and 5: never both nullify and finalize */
    assert(kind != CL_VOTE_NOTARIZE || !notarize->voted);
    assert(kind != CL_VOTE_FINALIZE || !own_ballot(c, view, CL_VOTE_NULLIFY)->voted);
    assert(kind != CL_VOTE_NULLIFY || !finalize->voted);
    *out = (struct cl_vote){ .epoch = c->config.epoch, .view = view->number, .kind = kind, .has_block = block != NULL, .voter = (uint32_t)c->config.own };
    if (block != NULL) out->block = *block;
    enum cl_status status = cl_vote_signed_bytes(&bytes, &c->network, out->epoch, kind, out->view, block);
    if (status == CL_OK) {
        cl_ed25519_sign(out->signature, c->config.vote_seed, bytes.data, bytes.length);
        add_effect(effects, CONSENSUS_APPEND_VOTE)->vote = *out;
        assert(c->awaited_count < AWAITING_MAX);
        c->awaited[c->awaited_count++] = (struct awaited_vote){ .vote = *out, .sequence = c->sequence + 1 };
    }
    cl_buffer_deinit(&bytes);
    return status;
}

static void sync(struct consensus *c, struct consensus_effects *effects)
{
    add_effect(effects, CONSENSUS_SYNC)->sequence = ++c->sequence;
}

static void send_vote(struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote)
{
    struct consensus_effect *effect = add_effect(effects, CONSENSUS_SEND_VOTE);
    effect->vote = *vote;
    effect->sequence = c->sequence;
}

/* ---- counting */
static enum cl_status make_certificate(struct consensus *c, struct view *view, enum cl_vote_kind kind, const struct ballot *like)
{
    struct cl_certificate *made = calloc(1, sizeof *made);
    if (made == NULL) return CL_E_MEMORY;
    *made = (struct cl_certificate){ .epoch = c->config.epoch, .view = view->number, .kind = kind, .has_block = like->has_block,
                                     .block = like->block, .member_count = c->config.member_count };
    size_t needed = cl_quorum(c->config.member_count);
    for (size_t i = 0; i < c->config.member_count && made->vote_count < needed; i++) {
        const struct ballot *ballot = &view->tallies[kind].ballots[i];
        if (!ballot->voted || ballot->has_block != like->has_block || memcmp(ballot->block.bytes, like->block.bytes, 32) != 0) continue;
        made->voters[i / 8] |= (uint8_t)(1u << (i % 8));
        memcpy(made->signatures[made->vote_count++], ballot->signature, 64);
    }
    assert(made->vote_count == needed);
    view->tallies[kind].certificate = made;
    return CL_OK;
}

static size_t count_like(const struct consensus *c, const struct view *view, enum cl_vote_kind kind, const struct ballot *like)
{
    size_t count = 0;
    for (size_t i = 0; i < c->config.member_count; i++) {
        const struct ballot *ballot = &view->tallies[kind].ballots[i];
        if (ballot->voted && ballot->has_block == like->has_block && memcmp(ballot->block.bytes, like->block.bytes, 32) == 0) count++;
    }
    return count;
}

/* The first vote of a kind stays; another by the same member in the same view is evidence, but never counts. */
static bool record_ballot(struct consensus *c, struct view *view, const struct cl_vote *vote)
{
    struct ballot *ballot = &view->tallies[vote->kind].ballots[vote->voter];
    if (ballot->voted) {
        if (ballot->has_block != vote->has_block || memcmp(ballot->block.bytes, vote->block.bytes, 32) != 0) {
            c->counters.evidence++;
            if (vote->kind == CL_VOTE_PROPOSE) view->two_proposals = true;
        }
        return false;
    }
    ballot->voted = true;
    ballot->has_block = vote->has_block;
    ballot->block = vote->block;
    memcpy(ballot->signature, vote->signature, 64);
    return true;
}

static enum cl_status count_vote(struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote)
{
    if (vote->view <= c->config.final_view) return CL_OK; /* settled meanwhile */
    struct view *view = view_get(c, vote->view);
    if (view == NULL) return CL_E_MEMORY;
    (void)record_ballot(c, view, vote); /* own ballots may stand there already */
    const struct ballot *ballot = &view->tallies[vote->kind].ballots[vote->voter];
    if (vote->kind == CL_VOTE_PROPOSE || view->tallies[vote->kind].certificate != NULL) return CL_OK;
    if (count_like(c, view, vote->kind, ballot) < cl_quorum(c->config.member_count)) return CL_OK;
    enum cl_status status = make_certificate(c, view, vote->kind, ballot);
    return status != CL_OK ? status : accept_certificate(c, effects, view, vote->kind);
}

/* ---- certificates */
static void append_certificate(struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate)
{
    struct consensus_effect *append = add_effect(effects, CONSENSUS_APPEND_CERTIFICATE);
    append->certificate = certificate;
    append->sequence = c->sequence + 1;
}

static void send_certificate(struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate)
{
    struct consensus_effect *effect = add_effect(effects, CONSENSUS_SEND_CERTIFICATE);
    effect->certificate = certificate;
    effect->sequence = c->sequence;
}

/* rule 5 */
static enum cl_status on_notarized(struct consensus *c, struct consensus_effects *effects, struct view *view)
{
    const struct cl_certificate *certificate = view->tallies[CL_VOTE_NOTARIZE].certificate;
    struct cl_vote vote;
    if (c->current <= view->number) c->current = view->number + 1;
    append_certificate(c, effects, certificate);
    bool finalize = !own_ballot(c, view, CL_VOTE_NULLIFY)->voted && !view->two_proposals && !own_ballot(c, view, CL_VOTE_FINALIZE)->voted;
    if (finalize) {
        enum cl_status status = cast_vote(c, effects, view, CL_VOTE_FINALIZE, &certificate->block, &vote);
        if (status != CL_OK) return status;
    }
    sync(c, effects);
    send_certificate(c, effects, certificate);
    if (finalize) send_vote(c, effects, &vote);
    return CL_OK;
}

/* Blocks from the last final one (not included) up to view's, oldest first, each by its proposal's parent. */
static void commit_chain(struct consensus *c, struct consensus_effects *effects, const struct view *view, const struct cl_certificate *proof)
{
    if (view->proposal.parent_view > c->config.final_view) {
        const struct view *parent = view_find(c, view->proposal.parent_view);
        if (parent != NULL && parent->has_proposal) commit_chain(c, effects, parent, NULL);
    }
    struct consensus_effect *effect = add_effect(effects, CONSENSUS_COMMIT);
    effect->block = view->proposal;
    effect->certificate = proof;
}

static void settle_views(struct consensus *c, uint64_t up_to)
{
    while (c->views != NULL && c->views->number <= up_to) {
        struct view *view = c->views;
        c->views = view->next;
        view->next = c->settled;
        c->settled = view;
    }
}

/* rule 7. A finalization of a block that is not here stays in its view until the block comes. */
static enum cl_status on_finalized(struct consensus *c, struct consensus_effects *effects, struct view *view)
{
    const struct cl_certificate *certificate = view->tallies[CL_VOTE_FINALIZE].certificate;
    if (c->current <= view->number) c->current = view->number + 1;
    if (!view->has_proposal || memcmp(view->proposal.id.bytes, certificate->block.bytes, 32) != 0) return CL_OK;
    c->final_certificate.length = 0;
    enum cl_status status = cl_certificate_encode(&c->final_certificate, certificate);
    if (status != CL_OK) return status;
    *c->final_proof = *certificate;
    commit_chain(c, effects, view, c->final_proof);
    send_certificate(c, effects, c->final_proof);
    c->config.final_block = view->proposal.id;
    c->config.final_view = view->number;
    settle_views(c, view->number);
    return CL_OK;
}

static enum cl_status accept_certificate(struct consensus *c, struct consensus_effects *effects, struct view *view, enum cl_vote_kind kind)
{
    switch (kind) {
    case CL_VOTE_NOTARIZE: return on_notarized(c, effects, view);
    case CL_VOTE_FINALIZE: return on_finalized(c, effects, view);
    case CL_VOTE_NULLIFY: { /* rule 6 */
        const struct cl_certificate *certificate = view->tallies[kind].certificate;
        if (c->current <= view->number) c->current = view->number + 1;
        append_certificate(c, effects, certificate);
        sync(c, effects);
        send_certificate(c, effects, certificate);
        return CL_OK;
    }
    case CL_VOTE_PROPOSE: break;
    }
    assert(false && "a proposal has no certificate");
    return CL_E_CERTIFICATE;
}

/* ---- proposing */
/* rule 2: from view up to (not including) the current one, every view between must be nullified. */
static bool nullified_between(const struct consensus *c, uint64_t after)
{
    for (uint64_t number = after + 1; number < c->current; number++) {
        const struct view *view = view_find(c, number);
        if (view == NULL || view->tallies[CL_VOTE_NULLIFY].certificate == NULL) return false;
    }
    return true;
}

/* The highest notarized block that the current view's leader may extend; NULL: the last final one. */
static const struct view *choose_parent(const struct consensus *c, bool *found)
{
    const struct view *best = NULL;
    *found = nullified_between(c, c->config.final_view);
    for (const struct view *view = c->views; view != NULL && view->number < c->current; view = view->next)
        if (view->tallies[CL_VOTE_NOTARIZE].certificate != NULL && view->has_proposal && nullified_between(c, view->number)) {
            best = view;
            *found = true;
        }
    return best;
}

static enum cl_status justify(struct consensus *c, const struct view *parent, uint64_t parent_view)
{
    struct cl_cbor_writer writer;
    size_t count = 0;
    enum cl_status status = CL_OK;
    c->justification.length = 0;
    cl_cbor_writer_init(&writer, &c->justification);
    if (parent != NULL || c->final_certificate.length > 0) count++;
    cl_cbor_put_array(&writer, count + (size_t)(c->current - parent_view - 1));
    if (parent != NULL) status = cl_certificate_encode(&c->justification, parent->tallies[CL_VOTE_NOTARIZE].certificate);
    else if (count > 0) cl_cbor_put_raw(&writer, c->final_certificate.data, c->final_certificate.length);
    for (uint64_t number = parent_view + 1; number < c->current && status == CL_OK; number++)
        status = cl_certificate_encode(&c->justification, view_find(c, number)->tallies[CL_VOTE_NULLIFY].certificate);
    return status != CL_OK ? status : writer.status;
}

static enum cl_status on_wake(struct consensus *c, struct consensus_effects *effects)
{
    if (consensus_leader(&c->network, c->config.epoch, c->current, c->config.member_count) != c->config.own) return CL_OK;
    struct view *view = view_get(c, c->current);
    if (view == NULL) return CL_E_MEMORY;
    if (view->building || own_ballot(c, view, CL_VOTE_PROPOSE)->voted || view->has_proposal) return CL_OK;
    bool found = false;
    const struct view *parent = choose_parent(c, &found);
    if (!found) return CL_OK; /* a notarization or nullification is still to come */
    struct order_block block = { .view = c->current, .parent = parent != NULL ? parent->proposal.id : c->config.final_block,
                                 .parent_view = parent != NULL ? parent->number : c->config.final_view };
    enum cl_status status = justify(c, parent, block.parent_view);
    if (status != CL_OK) return status;
    struct consensus_effect *effect = add_effect(effects, CONSENSUS_BUILD);
    effect->block = block;
    effect->justification = (struct cl_view){ c->justification.data, c->justification.length };
    view->building = true;
    return CL_OK;
}

static enum cl_status on_built(struct consensus *c, struct consensus_effects *effects, const struct order_block *block)
{
    struct view *view = view_find(c, block->view);
    struct cl_vote propose, notarize;
    if (view == NULL || !view->building) return CL_OK; /* the view was settled while the block was built */
    view->building = false;
    if (block->view != c->current) return CL_OK; /* rule 1: a view that was left gets no proposal */
    view->proposal = *block;
    view->has_proposal = true;
    struct consensus_effect *append = add_effect(effects, CONSENSUS_APPEND_PROPOSAL);
    append->block = *block;
    enum cl_status status = cast_vote(c, effects, view, CL_VOTE_PROPOSE, &block->id, &propose);
    /* rule 3: the proposal and all its records are in the vote log before the notarize vote leaves */
    if (status == CL_OK) status = cast_vote(c, effects, view, CL_VOTE_NOTARIZE, &block->id, &notarize);
    if (status != CL_OK) return status;
    sync(c, effects);
    struct consensus_effect *send = add_effect(effects, CONSENSUS_SEND_PROPOSAL);
    send->block = *block;
    send->vote = propose;
    send->sequence = c->sequence;
    send_vote(c, effects, &notarize);
    return CL_OK;
}

static enum cl_status on_synced(struct consensus *c, struct consensus_effects *effects, uint64_t sequence)
{
    assert(sequence <= c->sequence);
    if (sequence > c->synced) c->synced = sequence;
    while (c->awaited_count > 0 && c->awaited[0].sequence <= c->synced) {
        struct cl_vote vote = c->awaited[0].vote;
        c->awaited_count--;
        memmove(c->awaited, c->awaited + 1, c->awaited_count * sizeof c->awaited[0]);
        enum cl_status status = count_vote(c, effects, &vote);
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

/* ---- what others send */
static enum cl_status on_vote(struct consensus *c, struct consensus_effects *effects, const struct cl_vote *vote)
{
    struct cl_buffer bytes = { 0 };
    bool good = vote->epoch == c->config.epoch && vote->voter < c->config.member_count && vote->voter != c->config.own &&
                vote->view > c->config.final_view && vote->view <= c->current + CONSENSUS_VIEWS_AHEAD_MAX && /* rule 11 */
                vote->has_block == (vote->kind != CL_VOTE_NULLIFY);
    if (good && vote->kind == CL_VOTE_PROPOSE)
        good = consensus_leader(&c->network, c->config.epoch, vote->view, c->config.member_count) == vote->voter;
    if (good) {
        enum cl_status status = cl_vote_signed_bytes(&bytes, &c->network, vote->epoch, vote->kind, vote->view, vote->has_block ? &vote->block : NULL);
        if (status != CL_OK) return status;
        good = cl_ed25519_verify(c->config.members[vote->voter].vote, vote->signature, bytes.data, bytes.length);
        cl_buffer_deinit(&bytes);
    }
    if (!good) {
        c->counters.votes_dropped++;
        return CL_OK;
    }
    return count_vote(c, effects, vote);
}

static enum cl_status keep_certificate(struct consensus *c, const struct cl_certificate *certificate, struct view **view)
{
    *view = view_get(c, certificate->view);
    if (*view == NULL) return CL_E_MEMORY;
    struct tally *tally = &(*view)->tallies[certificate->kind];
    if (tally->certificate != NULL) return CL_E_EXISTS;
    tally->certificate = malloc(sizeof *certificate);
    if (tally->certificate == NULL) return CL_E_MEMORY;
    *tally->certificate = *certificate;
    return CL_OK;
}

static enum cl_status on_certificate(struct consensus *c, struct consensus_effects *effects, const struct cl_certificate *certificate)
{
    struct view *view = NULL;
    if (certificate->epoch != c->config.epoch || certificate->view <= c->config.final_view || certificate->kind == CL_VOTE_PROPOSE ||
        cl_certificate_check(certificate, &c->network, c->config.members, c->config.member_count) != CL_OK) {
        c->counters.certificates_dropped++;
        return CL_OK;
    }
    enum cl_status status = keep_certificate(c, certificate, &view);
    if (status == CL_E_EXISTS) return CL_OK;
    return status != CL_OK ? status : accept_certificate(c, effects, view, certificate->kind);
}

enum cl_status consensus_step(struct consensus *c, struct consensus_effects *effects, const struct consensus_event *event)
{
    views_free(&c->settled);
    switch (event->kind) {
    case CONSENSUS_WAKE: return on_wake(c, effects);
    case CONSENSUS_BUILT: return on_built(c, effects, &event->block);
    case CONSENSUS_NOTHING: {
        struct view *view = view_find(c, event->view);
        if (view != NULL) view->building = false;
        return CL_OK;
    }
    case CONSENSUS_SYNCED: return on_synced(c, effects, event->sequence);
    case CONSENSUS_VOTE: return on_vote(c, effects, event->vote);
    case CONSENSUS_CERTIFICATE: return on_certificate(c, effects, event->certificate);
    }
    return CL_OK;
}

/* ---- start */
enum cl_status consensus_restore_proposal(struct consensus *c, const struct order_block *block)
{
    if (block->view <= c->config.final_view) return CL_OK;
    struct view *view = view_get(c, block->view);
    if (view == NULL) return CL_E_MEMORY;
    view->proposal = *block;
    view->has_proposal = true;
    return CL_OK;
}

enum cl_status consensus_restore_vote(struct consensus *c, const struct cl_vote *vote)
{
    if (vote->view <= c->config.final_view) return CL_OK;
    if (vote->epoch != c->config.epoch || vote->voter != c->config.own) return CL_E_STORE_CORRUPT;
    struct view *view = view_get(c, vote->view);
    if (view == NULL) return CL_E_MEMORY;
    (void)record_ballot(c, view, vote);
    return CL_OK;
}

enum cl_status consensus_restore_certificate(struct consensus *c, const struct cl_certificate *certificate)
{
    struct view *view = NULL;
    if (certificate->view <= c->config.final_view) return CL_OK;
    if (certificate->epoch != c->config.epoch || certificate->kind == CL_VOTE_PROPOSE) return CL_E_STORE_CORRUPT;
    enum cl_status status = keep_certificate(c, certificate, &view);
    if (status == CL_OK && c->current <= view->number) c->current = view->number + 1;
    return status == CL_E_EXISTS ? CL_OK : status;
}

/* Own votes that stand in a view but not in its certificates count now, as if they had just been synced. */
static enum cl_status resume_view(struct consensus *c, struct consensus_effects *effects, uint64_t number)
{
    static const enum cl_vote_kind order[] = { CL_VOTE_NOTARIZE, CL_VOTE_NULLIFY, CL_VOTE_FINALIZE };
    for (size_t i = 0; i < 3; i++) {
        struct view *view = view_find(c, number);
        if (view == NULL) return CL_OK; /* final by the step before */
        const struct ballot *own = own_ballot(c, view, order[i]);
        if (view->tallies[order[i]].certificate != NULL) {
            enum cl_status status = accept_certificate(c, effects, view, order[i]);
            if (status != CL_OK) return status;
            continue;
        }
        if (!own->voted) continue;
        struct cl_vote vote = { .epoch = c->config.epoch, .view = number, .kind = order[i], .has_block = own->has_block,
                                .block = own->block, .voter = (uint32_t)c->config.own };
        memcpy(vote.signature, own->signature, 64);
        enum cl_status status = count_vote(c, effects, &vote);
        if (status != CL_OK) return status;
    }
    return CL_OK;
}

enum cl_status consensus_resume(struct consensus *c, struct consensus_effects *effects)
{
    enum cl_status status = CL_OK;
    uint64_t number = c->config.final_view;
    for (;;) {
        struct view *view = c->views;
        while (view != NULL && view->number <= number) view = view->next;
        if (view == NULL) return CL_OK;
        number = view->number;
        const struct ballot *propose = own_ballot(c, view, CL_VOTE_PROPOSE);
        if (propose->voted && view->has_proposal && !own_ballot(c, view, CL_VOTE_NOTARIZE)->voted && number == c->current) {
            struct cl_vote notarize; /* the crash fell between the two votes: the proposal stands, so it is notarized */
            status = cast_vote(c, effects, view, CL_VOTE_NOTARIZE, &view->proposal.id, &notarize);
            if (status != CL_OK) return status;
            sync(c, effects);
            send_vote(c, effects, &notarize);
        } else {
            if (!propose->voted && !own_ballot(c, view, CL_VOTE_NOTARIZE)->voted) view->has_proposal = false; /* never signed */
            status = resume_view(c, effects, number);
            if (status != CL_OK) return status;
        }
    }
}

enum cl_status consensus_retained(struct consensus *c, struct consensus_effects *effects)
{
    for (const struct view *view = c->views; view != NULL; view = view->next) {
        if (view->has_proposal) add_effect(effects, CONSENSUS_APPEND_PROPOSAL)->block = view->proposal;
        for (size_t kind = CL_VOTE_PROPOSE; kind < KIND_COUNT; kind++) {
            const struct ballot *own = own_ballot(c, view, (enum cl_vote_kind)kind);
            if (own->voted) {
                struct cl_vote *vote = &add_effect(effects, CONSENSUS_APPEND_VOTE)->vote;
                *vote = (struct cl_vote){ .epoch = c->config.epoch, .view = view->number, .kind = (enum cl_vote_kind)kind,
                                          .has_block = own->has_block, .block = own->block, .voter = (uint32_t)c->config.own };
                memcpy(vote->signature, own->signature, 64);
            }
            if (view->tallies[kind].certificate != NULL)
                add_effect(effects, CONSENSUS_APPEND_CERTIFICATE)->certificate = view->tallies[kind].certificate;
        }
    }
    return CL_OK;
}

void consensus_report(const struct consensus *c, struct consensus_report *out)
{
    *out = c->counters;
    out->view = c->current;
    out->final_view = c->config.final_view;
}

/* Enumerates, rather than samples, the first three views of four members of which one lies: enumerate [DEVIATIONS].
   A schedule is one choice for each phase of each view: who times out early, who gets which of the liar's two proposals or
   misses the honest leader's, who gets which of the liar's votes, who misses the others' votes and certificates. What is
   missed is lost; resending comes after the third view, when everything heals. The bound: at most so many choices in a
   schedule differ from "everything arrives and the liar is silent". The liar's blocks A and B are interchangeable. States
   that are equal but for timers' deadlines are followed once. */
#include "consensus_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HONEST = 3, LIAR = 3, VIEWS = 3, BLOCKS_MAX = 64, OUT_MAX = 512, HEALING_ROUNDS = 40, D0_MS = 200 };
enum phase { EARLY, PROPOSALS, LIAR_NOTARIZES, NOTARIZES, LIAR_NULLIFIES, NULLIFIES, CERTIFICATES, LIAR_FINALIZES, FINALIZES, PHASES };
enum { LEVELS = VIEWS * PHASES };

struct schedule { uint8_t choice[LEVELS], used; };
struct out { enum consensus_effect_kind kind; size_t from; struct cl_vote vote; struct order_block block; struct cl_certificate certificate; uint8_t justification[4096]; size_t justification_length; bool gone; };
struct world {
    struct consensus *member[HONEST];
    uint64_t now, deadline[HONEST][CONSENSUS_TIMERS];
    bool armed[HONEST][CONSENSUS_TIMERS];
    struct order_block blocks[BLOCKS_MAX];
    size_t block_count, heights[HONEST];
    struct cl_block_id final_at[BLOCKS_MAX], tip[HONEST];
    size_t height_max, out_count;
    struct out out[OUT_MAX];
    struct { uint8_t bytes[4096]; size_t length; } built[HONEST];
};
static struct world world;
static struct consensus_effects lists[HONEST];
static struct cl_network_id network;
static const struct schedule *running;

static void fail(const char *what)
{
    printf("FAILED: %s; choices by view and phase:", what);
    for (size_t level = 0; level < LEVELS; level++) printf("%s%u", level % PHASES == 0 ? "  " : " ", running->choice[level]);
    printf("\n");
    exit(1);
}

/* ---- signatures: a member's number; the liar signs for itself alone */
static void sign(void *context, uint8_t signature64[64], const void *data, size_t length)
{
    (void)data;
    (void)length;
    memset(signature64, (int)(1 + (size_t)(uintptr_t)context), 64);
}
static bool verify(void *context, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return signature64[0] == 1 + member;
}

/* ---- one honest member */
static void take(size_t index, struct consensus_event event);

static void commit(size_t index, const struct order_block *block)
{
    size_t height = ++world.heights[index];
    if (memcmp(block->parent.bytes, world.tip[index].bytes, 32) != 0) fail("a block is final that does not extend the tip");
    world.tip[index] = block->id;
    if (height > world.height_max) {
        world.height_max = height;
        world.final_at[height] = block->id;
    }
    if (memcmp(world.final_at[height].bytes, block->id.bytes, 32) != 0) fail("two blocks are final at one height");
}

static void keep_out(size_t index, const struct consensus_effect *effect)
{
    if (world.out_count == OUT_MAX) fail("more messages than expected");
    struct out *out = &world.out[world.out_count++];
    *out = (struct out){ .kind = effect->kind, .from = index, .vote = effect->vote, .block = effect->block };
    if (effect->certificate != NULL) out->certificate = *effect->certificate;
    if (effect->kind != CONSENSUS_SEND_PROPOSAL) return;
    memcpy(out->justification, world.built[index].bytes, world.built[index].length);
    out->justification_length = world.built[index].length;
}

static struct order_block *make_block(const struct order_block *like)
{
    if (world.block_count == BLOCKS_MAX) fail("more blocks than expected");
    struct order_block *made = &world.blocks[world.block_count++];
    *made = *like;
    memset(&made->id, 0, sizeof made->id);
    made->id.bytes[0] = (uint8_t)world.block_count;
    return made;
}

static void carry_out(size_t index, const struct consensus_effect *effect)
{
    switch (effect->kind) {
    case CONSENSUS_APPEND_PROPOSAL:
    case CONSENSUS_APPEND_VOTE:
    case CONSENSUS_APPEND_CERTIFICATE:
    case CONSENSUS_APPEND_BAR: break;
    case CONSENSUS_SYNC: take(index, (struct consensus_event){ .kind = CONSENSUS_SYNCED, .sequence = effect->sequence }); break;
    case CONSENSUS_SEND_PROPOSAL:
    case CONSENSUS_SEND_VOTE:
    case CONSENSUS_SEND_CERTIFICATE: keep_out(index, effect); break;
    case CONSENSUS_BUILD:
        if (effect->justification.length > sizeof world.built[index].bytes) fail("a justification is longer than expected");
        memcpy(world.built[index].bytes, effect->justification.data, effect->justification.length);
        world.built[index].length = effect->justification.length;
        take(index, (struct consensus_event){ .kind = CONSENSUS_BUILT, .block = *make_block(&effect->block) });
        break;
    case CONSENSUS_VALIDATE: take(index, (struct consensus_event){ .kind = CONSENSUS_VERDICT, .block = effect->block, .verdict = CONSENSUS_VALID }); break;
    case CONSENSUS_FETCH:
        for (size_t i = 0; i < world.block_count; i++)
            if (memcmp(world.blocks[i].id.bytes, effect->block.id.bytes, 32) == 0) {
                take(index, (struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = world.blocks[i] });
                break;
            }
        break;
    case CONSENSUS_COMMIT: commit(index, &effect->block); break;
    case CONSENSUS_ARM:
    case CONSENSUS_CANCEL:
        world.armed[index][effect->timer] = effect->kind == CONSENSUS_ARM;
        world.deadline[index][effect->timer] = effect->at_ms;
        break;
    }
}

/* Events that effects ask for wait until the effects are carried out: those borrow from the state. */
static struct consensus_event waiting[HONEST][32];
static size_t waiting_count[HONEST];
static bool stepping[HONEST];

static void take(size_t index, struct consensus_event event)
{
    if (waiting_count[index] == 32) fail("more events than expected");
    waiting[index][waiting_count[index]++] = event;
    if (stepping[index]) return;
    stepping[index] = true;
    while (waiting_count[index] > 0) {
        struct consensus_event next = waiting[index][0];
        memmove(waiting[index], waiting[index] + 1, --waiting_count[index] * sizeof next);
        next.now_ms = world.now;
        lists[index].count = 0;
        if (consensus_step(world.member[index], &lists[index], &next) != CL_OK) abort();
        for (size_t i = 0; i < lists[index].count; i++) carry_out(index, &lists[index].items[i]);
    }
    stepping[index] = false;
}

static uint64_t view_of(size_t index) { return world.member[index]->current; }

static void fire(size_t index, enum consensus_timer timer)
{
    if (!world.armed[index][timer]) return;
    if (world.now < world.deadline[index][timer]) world.now = world.deadline[index][timer];
    world.armed[index][timer] = false;
    take(index, (struct consensus_event){ .kind = CONSENSUS_TIMER, .timer = timer });
}

/* ---- phases */
static void deliver(const struct out *out, size_t to)
{
    if (to == out->from) return;
    if (out->kind == CONSENSUS_SEND_VOTE) take(to, (struct consensus_event){ .kind = CONSENSUS_VOTE, .vote = &out->vote });
    else if (out->kind == CONSENSUS_SEND_CERTIFICATE) take(to, (struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = &out->certificate });
    else take(to, (struct consensus_event){ .kind = CONSENSUS_PROPOSAL, .block = out->block, .vote = &out->vote,
                                            .justification = { out->justification, out->justification_length } });
}

/* Everything of this kind that is under way arrives, but at those in the mask, for whom it is lost. */
static void exchange(enum consensus_effect_kind kind, enum cl_vote_kind vote_kind, uint8_t missing)
{
    for (size_t i = 0; i < world.out_count; i++) {
        struct out *out = &world.out[i];
        if (out->gone || out->kind != kind || (kind == CONSENSUS_SEND_VOTE && out->vote.kind != vote_kind)) continue;
        out->gone = true;
        for (size_t to = 0; to < HONEST; to++)
            if ((missing >> to & 1) == 0) deliver(out, to);
    }
}

static void lie(enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block, size_t to)
{
    struct cl_vote vote = { .view = view, .kind = kind, .has_block = block != NULL, .voter = LIAR };
    if (block != NULL) vote.block = *block;
    memset(vote.signature, 1 + LIAR, 64);
    take(to, (struct consensus_event){ .kind = CONSENSUS_VOTE, .vote = &vote });
}

/* The n-th block that was proposed in this view; NULL: none. */
static const struct cl_block_id *proposed_in(uint64_t view, size_t n)
{
    for (size_t i = 0; i < world.block_count; i++)
        if (world.blocks[i].view == view && n-- == 0) return &world.blocks[i].id;
    return NULL;
}

static size_t digit(uint8_t choice, size_t at)
{
    while (at-- > 0) choice = (uint8_t)(choice / 3);
    return choice % 3;
}

static void lie_proposals(uint64_t view, uint8_t choice)
{
    static const uint8_t nothing[] = { 0x80 };
    struct order_block genesis = { .view = view };
    struct order_block pair[2] = { *make_block(&genesis), *make_block(&genesis) };
    for (size_t to = 0; to < HONEST; to++) {
        size_t which = digit(choice, to);
        if (which == 2) continue;
        struct cl_vote vote = { .view = view, .kind = CL_VOTE_PROPOSE, .has_block = true, .block = pair[which].id, .voter = LIAR };
        memset(vote.signature, 1 + LIAR, 64);
        take(to, (struct consensus_event){ .kind = CONSENSUS_PROPOSAL, .block = pair[which], .vote = &vote, .justification = { nothing, sizeof nothing } });
    }
}

static void run_phase(uint64_t view, enum phase phase, uint8_t choice)
{
    bool lying = view == 1;
    switch (phase) {
    case EARLY:
        for (size_t i = 0; i < HONEST; i++)
            if ((choice >> i & 1) != 0 && view_of(i) == view) fire(i, CONSENSUS_TIMER_ADVANCE);
        break;
    case PROPOSALS:
        if (lying) lie_proposals(view, choice);
        else exchange(CONSENSUS_SEND_PROPOSAL, CL_VOTE_PROPOSE, choice);
        break;
    case LIAR_NOTARIZES:
        for (size_t i = 0; i < HONEST; i++) {
            size_t which = lying ? digit(choice, i) : choice >> i & 1;
            const struct cl_block_id *block = which > 0 ? proposed_in(view, which - 1) : NULL;
            if (block != NULL) lie(CL_VOTE_NOTARIZE, view, block, i);
        }
        break;
    case NOTARIZES: exchange(CONSENSUS_SEND_VOTE, CL_VOTE_NOTARIZE, choice); break;
    case LIAR_NULLIFIES:
        for (size_t i = 0; i < HONEST; i++)
            if ((choice >> i & 1) != 0) lie(CL_VOTE_NULLIFY, view, NULL, i);
        break;
    case NULLIFIES:
        for (size_t i = 0; i < HONEST; i++)
            if (view_of(i) == view) fire(i, CONSENSUS_TIMER_ADVANCE);
        exchange(CONSENSUS_SEND_VOTE, CL_VOTE_NULLIFY, choice);
        break;
    case CERTIFICATES: exchange(CONSENSUS_SEND_CERTIFICATE, CL_VOTE_NOTARIZE, choice); break;
    case LIAR_FINALIZES:
        for (size_t i = 0; i < HONEST; i++) {
            const struct view *known = consensus_view_find(world.member[i], view);
            const struct cl_block_id *block = known != NULL ? consensus_certified(known) : NULL;
            if ((choice >> i & 1) != 0 && block != NULL) {
                struct cl_block_id copy = *block;
                lie(CL_VOTE_FINALIZE, view, &copy, i);
            }
        }
        break;
    case FINALIZES: exchange(CONSENSUS_SEND_VOTE, CL_VOTE_FINALIZE, choice); break;
    case PHASES: break;
    }
}

/* ---- a schedule */
static void start(void)
{
    static struct consensus_signatures signatures[HONEST];
    for (size_t i = 0; i < HONEST; i++) consensus_free(world.member[i]);
    memset(&world, 0, offsetof(struct world, out));
    world.now = 1000;
    for (size_t i = 0; i < HONEST; i++) {
        signatures[i] = (struct consensus_signatures){ .context = (void *)(uintptr_t)i, .sign = sign, .verify = verify };
        struct consensus_config config = { .network = &network, .member_count = 4, .own = i, .signatures = &signatures[i], .d0_ms = D0_MS };
        if (consensus_new(&world.member[i], &config) != CL_OK) abort();
        take(i, (struct consensus_event){ .kind = CONSENSUS_WAKE });
    }
}

static void play(const struct schedule *schedule, size_t levels)
{
    running = schedule;
    start();
    for (size_t level = 0; level < levels; level++) {
        if (level % PHASES == EARLY)
            for (size_t i = 0; i < HONEST; i++) take(i, (struct consensus_event){ .kind = CONSENSUS_WAKE });
        run_phase(1 + level / PHASES, (enum phase)(level % PHASES), schedule->choice[level]);
    }
}

/* Everything heals, the liar is silent: within so many resends all three have the same final block, of a view after these. */
static void heal(void)
{
    for (size_t round = 0; round < HEALING_ROUNDS; round++) {
        bool done = true;
        world.out_count = 0;
        for (size_t i = 0; i < HONEST; i++) {
            take(i, (struct consensus_event){ .kind = CONSENSUS_WAKE });
            fire(i, CONSENSUS_TIMER_RESEND);
            for (int timer = 0; timer < CONSENSUS_TIMER_RESEND; timer++)
                if (world.armed[i][timer] && world.deadline[i][timer] <= world.now) fire(i, (enum consensus_timer)timer);
        }
        for (size_t i = 0; i < world.out_count; i++)
            for (size_t to = 0; to < HONEST; to++) {
                struct out out = world.out[i];
                deliver(&out, to);
            }
        for (size_t i = 0; i < HONEST; i++) done = done && world.member[i]->config.final_view > VIEWS;
        if (done) return;
    }
    fail("nothing new is final after everything healed");
}

/* ---- states, up to deadlines */
static uint64_t fold(uint64_t digest, const void *data, size_t length)
{
    for (size_t i = 0; i < length; i++) digest = (digest ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return digest;
}

static uint64_t digest_of_view(uint64_t digest, const struct view *view)
{
    uint8_t flags[] = { (uint8_t)view->number, (uint8_t)view->state, view->building, view->logged, view->two_proposals, view->timed_out, view->proposal.id.bytes[0] };
    digest = fold(digest, flags, sizeof flags);
    for (size_t kind = CL_VOTE_PROPOSE; kind < KIND_COUNT; kind++) {
        const struct tally *tally = &view->tallies[kind];
        for (size_t i = 0; i <= LIAR; i++) digest = fold(digest, (uint8_t[]){ tally->ballots[i].voted, tally->ballots[i].block.bytes[0] }, 2);
        digest = fold(digest, (uint8_t[]){ view->own[kind].voted, view->own[kind].block.bytes[0], tally->certificate != NULL,
                                           tally->certificate != NULL ? tally->certificate->block.bytes[0] : 0 }, 4);
    }
    return digest;
}

static uint64_t digest_of_world(void)
{
    uint64_t digest = 0xcbf29ce484222325u;
    for (size_t i = 0; i < HONEST; i++) {
        const struct consensus *c = world.member[i];
        uint8_t own[] = { (uint8_t)c->current, (uint8_t)c->config.final_view, c->config.final_block.bytes[0], c->records_wait, c->idle, (uint8_t)c->body_count, (uint8_t)c->evidence_count };
        digest = fold(digest, own, sizeof own);
        digest = fold(digest, world.armed[i], sizeof world.armed[i]);
        for (const struct view *view = c->views; view != NULL; view = view->next) digest = digest_of_view(digest, view);
    }
    for (size_t i = 0; i < world.block_count; i++) digest = fold(digest, (uint8_t[]){ (uint8_t)world.blocks[i].view, world.blocks[i].parent.bytes[0] }, 2);
    for (size_t i = 0; i < world.out_count; i++) {
        const struct out *out = &world.out[i];
        if (out->gone) continue;
        uint8_t message[] = { (uint8_t)out->kind, (uint8_t)out->from, (uint8_t)out->vote.kind, (uint8_t)out->vote.view, out->vote.block.bytes[0],
                              (uint8_t)out->certificate.kind, (uint8_t)out->certificate.view, out->certificate.block.bytes[0] };
        digest = fold(digest, message, sizeof message);
    }
    return digest;
}

/* Seen with as few deviations or fewer: there is nothing new to follow. */
struct seen { uint64_t digest; uint8_t used_plus_one; };
static struct seen *table;
static size_t table_size = 1u << 22, table_count;
static bool is_new(uint64_t digest, uint8_t used)
{
    size_t at = digest & (table_size - 1);
    while (table[at].used_plus_one != 0 && table[at].digest != digest) at = (at + 1) & (table_size - 1);
    if (table[at].used_plus_one != 0 && table[at].used_plus_one <= used + 1) return false;
    if (table[at].used_plus_one == 0 && ++table_count > table_size / 2) {
        fputs("more states than the table holds; choose a lower bound\n", stderr);
        exit(2);
    }
    table[at] = (struct seen){ .digest = digest, .used_plus_one = (uint8_t)(used + 1) };
    return true;
}

static bool ternary(size_t level) { return level == PROPOSALS || level == LIAR_NOTARIZES; } /* of the view that the liar leads */

/* How many choices differ from the usual; SIZE_MAX: the mirror image of another one, with A and B exchanged. */
static size_t deviations(size_t level, uint8_t choice)
{
    size_t count = 0, first = 2;
    for (size_t i = 0; i < HONEST; i++) {
        size_t each = ternary(level) ? digit(choice, i) : (size_t)(choice >> i & 1);
        count += each != 0;
        if (first == 2) first = each;
    }
    return level == PROPOSALS && first == 1 ? SIZE_MAX : count;
}

int main(int argument_count, char **arguments)
{
    size_t bound = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : 3, count = 1, played = 0;
    struct schedule *frontier = calloc(1, sizeof *frontier);
    table = calloc(table_size, sizeof *table);
    if (frontier == NULL || table == NULL) abort();
    while (consensus_leader(&network, 0, 1, 4) != LIAR) network.bytes[0]++;
    for (size_t level = 0; level < LEVELS; level++) {
        struct schedule *next = NULL;
        size_t next_count = 0, next_capacity = 0;
        memset(table, 0, table_size * sizeof *table);
        table_count = 0;
        for (size_t i = 0; i < count; i++)
            for (uint8_t choice = 0; choice < (ternary(level) ? 27 : 8); choice++) {
                struct schedule made = frontier[i];
                size_t more = deviations(level, choice);
                if (more == SIZE_MAX || made.used + more > bound) continue;
                made.choice[level] = choice;
                made.used = (uint8_t)(made.used + more);
                play(&made, level + 1);
                played++;
                if (!is_new(digest_of_world(), made.used)) continue;
                if (next_count == next_capacity) {
                    next_capacity = next_capacity == 0 ? 1024 : 2 * next_capacity;
                    next = realloc(next, next_capacity * sizeof *next);
                    if (next == NULL) abort();
                }
                next[next_count++] = made;
            }
        free(frontier);
        frontier = next;
        count = next_count;
    }
    for (size_t i = 0; i < count; i++) {
        play(&frontier[i], LEVELS);
        heal();
    }
    for (size_t i = 0; i < HONEST; i++) consensus_free(world.member[i]);
    printf("%zu schedules played, %zu different ends of three views, at most %zu deviations: all held\n", played, count, bound);
    free(frontier);
    free(table);
    return 0;
}

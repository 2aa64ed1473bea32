/* Clock, queue, network, signatures, and what must be true of all members together. */
#include "sim.h"

#include "consent/record.h"
#include "crypto.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- randomness: splitmix64 */
static uint64_t mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_random(struct sim *sim, uint64_t below) { return mix(&sim->random) % below; }
bool sim_chance(struct sim *sim, uint64_t permille) { return sim_random(sim, 1000) < permille; }

/* ---- the queue: a heap by time, then by order of insertion */
static bool before(const struct sim_item *a, const struct sim_item *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void sim_push(struct sim *sim, const struct sim_item *item, uint64_t delay_ms)
{
    if (sim->queue_count == sim->queue_capacity) {
        sim->queue_capacity = sim->queue_capacity == 0 ? 1024 : 2 * sim->queue_capacity;
        sim->queue = realloc(sim->queue, sim->queue_capacity * sizeof *sim->queue);
        if (sim->queue == NULL) abort();
    }
    struct sim_item made = *item;
    made.time = sim->now + delay_ms;
    made.order = sim->order++;
    size_t at = sim->queue_count++;
    for (; at > 0 && before(&made, &sim->queue[(at - 1) / 2]); at = (at - 1) / 2) sim->queue[at] = sim->queue[(at - 1) / 2];
    sim->queue[at] = made;
}

bool sim_pop(struct sim *sim, struct sim_item *out)
{
    if (sim->queue_count == 0) return false;
    *out = sim->queue[0];
    struct sim_item last = sim->queue[--sim->queue_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < sim->queue_count; at = child) {
        if (child + 1 < sim->queue_count && before(&sim->queue[child + 1], &sim->queue[child])) child++;
        if (!before(&sim->queue[child], &last)) break;
        sim->queue[at] = sim->queue[child];
    }
    sim->queue[at] = last;
    sim->now = out->time;
    return true;
}

/* ---- messages and the network */
struct sim_message *sim_message_new(enum sim_message_kind kind)
{
    struct sim_message *made = calloc(1, sizeof *made);
    if (made == NULL) abort();
    made->kind = kind;
    made->references = 1;
    return made;
}

void sim_message_unref(struct sim_message *message)
{
    if (message == NULL || --message->references > 0) return;
    free(message->certificate);
    cl_buffer_deinit(&message->justification);
    free(message);
}

static void deliver(struct sim *sim, size_t from, size_t to, struct sim_message *message)
{
    uint64_t delay = 1 + sim_random(sim, sim->healed ? 20 : sim->delay_ms);
    if (!sim->healed && sim_chance(sim, sim->slow_permille)) delay += sim_random(sim, 3000);
    message->references++;
    sim_push(sim, &(struct sim_item){ .what = SIM_DELIVER, .member = to, .from = from, .message = message }, delay);
}

void sim_send(struct sim *sim, size_t from, size_t to, struct sim_message *message)
{
    sim->member[from].sent++;
    if (sim->partitioned && sim->side[from] != sim->side[to]) return;
    if (!sim->healed && sim_chance(sim, sim->loss_permille)) return;
    deliver(sim, from, to, message);
    if (!sim->healed && sim_chance(sim, sim->duplicate_permille)) deliver(sim, from, to, message);
}

void sim_broadcast(struct sim *sim, size_t from, struct sim_message *message)
{
    for (size_t to = 0; to < sim->member_count; to++)
        if (to != from) sim_send(sim, from, to, message);
    sim_message_unref(message);
}

/* ---- blocks */
size_t sim_block_make(struct sim *sim, const struct sim_block *like)
{
    if (sim->block_count == SIM_BLOCKS_MAX) return 0;
    struct sim_block *made = &sim->blocks[sim->block_count];
    *made = *like;
    uint64_t state = sim->seed ^ (sim->block_count << 32);
    for (size_t i = 0; i < 32; i += 8) {
        uint64_t word = mix(&state);
        memcpy(made->id.bytes + i, &word, 8);
    }
    memcpy(made->id.bytes, &sim->block_count, 4); /* found again by index */
    if (sim->block_count > 0) made->height = sim->blocks[like->parent].height + 1;
    return sim->block_count++;
}

size_t sim_block_find(const struct sim *sim, const struct cl_block_id *id)
{
    uint32_t index = 0;
    memcpy(&index, id->bytes, 4);
    return index < sim->block_count && memcmp(sim->blocks[index].id.bytes, id->bytes, 32) == 0 ? index : SIZE_MAX;
}

/* ---- signatures: Ed25519, or a keyed sum that is as good here, because hostile members are ours */
static void cheap(uint8_t signature64[64], const uint8_t *seed32, const uint8_t *data, size_t length)
{
    uint64_t state = 0, word = 0;
    memcpy(&state, seed32, 8);
    for (size_t i = 0; i < length; i += 8) {
        word = 0;
        memcpy(&word, data + i, length - i < 8 ? length - i : 8);
        state ^= word;
        state = mix(&state);
    }
    for (size_t i = 0; i < 64; i += 8) {
        word = mix(&state);
        memcpy(signature64 + i, &word, 8);
    }
}

void sim_sign_bytes(const struct sim *sim, size_t member, uint8_t signature64[64], const void *data, size_t length)
{
    if (sim->real_signatures) cl_ed25519_sign(signature64, sim->seeds[member], data, length);
    else cheap(signature64, sim->seeds[member], data, length);
}

bool sim_verify_bytes(const struct sim *sim, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    uint8_t expected[64];
    if (sim->real_signatures) return cl_ed25519_verify(sim->members[member].vote, signature64, data, length);
    cheap(expected, sim->seeds[member], data, length);
    return memcmp(expected, signature64, 64) == 0;
}

void sim_sign(struct sim *sim, size_t member, struct cl_vote *vote)
{
    struct cl_buffer bytes = { 0 };
    if (cl_vote_signed_bytes(&bytes, &sim->network, vote->epoch, vote->kind, vote->view, vote->has_block ? &vote->block : NULL) != CL_OK) abort();
    sim_sign_bytes(sim, member, vote->signature, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
}

bool sim_certificate_good(struct sim *sim, const struct cl_certificate *certificate)
{
    struct cl_buffer bytes = { 0 };
    if (cl_vote_signed_bytes(&bytes, &sim->network, certificate->epoch, certificate->kind, certificate->view, certificate->has_block ? &certificate->block : NULL) != CL_OK) abort();
    bool good = certificate->vote_count >= cl_quorum(sim->member_count);
    for (size_t i = 0, next = 0; i < sim->member_count && good; i++)
        if ((certificate->voters[i / 8] >> (i % 8) & 1) != 0) good = sim_verify_bytes(sim, i, certificate->signatures[next++], bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return good;
}

void sim_note_certificate(struct sim *sim, const struct cl_certificate *certificate)
{
    if (sim->hostile_count == 0) return;
    for (size_t i = 0; i < sim->certificate_count && i < SIM_CERTIFICATES_KEPT; i++)
        if (sim->certificates[i]->certificate->view == certificate->view && sim->certificates[i]->certificate->kind == certificate->kind) return;
    struct sim_message *kept = sim_message_new(SIM_CERTIFICATE);
    kept->certificate = malloc(sizeof *certificate);
    if (kept->certificate == NULL) abort();
    *kept->certificate = *certificate;
    size_t at = sim->certificate_count++ % SIM_CERTIFICATES_KEPT;
    sim_message_unref(sim->certificates[at]);
    sim->certificates[at] = kept;
}

/* ---- what must be true */
void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    if (sim->failed) return;
    sim->failed = true;
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof sim->failure, format, arguments);
    va_end(arguments);
    sim_tell(sim, SIZE_MAX, "FAILED: %s", sim->failure);
}

void sim_tell(struct sim *sim, size_t member, const char *format, ...)
{
    va_list arguments;
    if (!sim->trace) return;
    fprintf(sim->out, "%8llu ms  ", (unsigned long long)sim->now);
    if (member == SIZE_MAX) fputs("world      ", sim->out);
    else fprintf(sim->out, "member %-3zu ", member);
    va_start(arguments, format);
    vfprintf(sim->out, format, arguments);
    va_end(arguments);
    fputc('\n', sim->out);
}

/* No two correct members make different blocks final at one height, and no record is final twice. */
void sim_check_final(struct sim *sim, size_t member, size_t block)
{
    const struct sim_block *made = &sim->blocks[block];
    struct sim_member *self = &sim->member[member];
    if (made->parent != self->ledger.final) sim_fail(sim, "member %zu commits block %zu, whose parent %zu is not its tip %zu", member, block, made->parent, self->ledger.final);
    if (sim->final_at[made->height] == 0) sim->final_at[made->height] = block;
    if (sim->final_at[made->height] != block)
        sim_fail(sim, "member %zu makes block %zu final at height %zu, where %zu is final", member, block, made->height, sim->final_at[made->height]);
    if ((self->ledger.final_records & made->records) != 0) sim_fail(sim, "member %zu makes a record final twice in block %zu", member, block);
    if (!made->valid) sim_fail(sim, "member %zu makes an invalid block final: %zu", member, block);
    if (made->height > sim->height_max) sim->height_max = made->height;
}

static struct sim_sent *sent_in(struct sim *sim, size_t member, uint64_t view)
{
    for (size_t i = sim->sent_count[member]; i-- > 0;)
        if (sim->sent[member][i].view == view) return &sim->sent[member][i];
    if (sim->sent_count[member] == sim->sent_capacity[member]) {
        sim->sent_capacity[member] = sim->sent_capacity[member] == 0 ? 64 : 2 * sim->sent_capacity[member];
        sim->sent[member] = realloc(sim->sent[member], sim->sent_capacity[member] * sizeof *sim->sent[member]);
        if (sim->sent[member] == NULL) abort();
    }
    struct sim_sent *made = &sim->sent[member][sim->sent_count[member]++];
    *made = (struct sim_sent){ .view = view };
    return made;
}

/* A vote leaves: over all lives of this member, it contradicts none that left before, and it is on its disk. */
void sim_check_sent(struct sim *sim, size_t member, const struct cl_vote *vote)
{
    const struct sim_member *self = &sim->member[member];
    struct sim_sent *sent = sent_in(sim, member, vote->view);
    bool durable = vote->view <= self->ledger.final_view; /* its log may have started anew */
    for (size_t i = self->log_synced; i-- > 0 && !durable;)
        durable = self->log[i].kind == SIM_ENTRY_VOTE && self->log[i].vote.view == vote->view && self->log[i].vote.kind == vote->kind &&
                  memcmp(self->log[i].vote.signature, vote->signature, 64) == 0;
    if (!durable) sim_fail(sim, "member %zu sends a vote of kind %d in view %llu that is not on its disk", member, (int)vote->kind, (unsigned long long)vote->view);
    if (vote->kind == CL_VOTE_NOTARIZE) {
        if (sent->notarized && memcmp(sent->notarize.bytes, vote->block.bytes, 32) != 0)
            sim_fail(sim, "member %zu notarizes two blocks in view %llu", member, (unsigned long long)vote->view);
        sent->notarized = true;
        sent->notarize = vote->block;
    }
    sent->finalized = sent->finalized || vote->kind == CL_VOTE_FINALIZE;
    sent->nullified = sent->nullified || vote->kind == CL_VOTE_NULLIFY;
    if (sent->finalized && sent->nullified) sim_fail(sim, "member %zu finalizes and nullifies view %llu", member, (unsigned long long)vote->view);
}

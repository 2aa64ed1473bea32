/* One correct member: carries out effects as a node would, on a disk that is slow, loses what was not synced, and fails at
   a chosen operation. */
#include "sim.h"

#include "cbor.h"
#include "consent/record.h"

#include <stdlib.h>
#include <string.h>

static struct cl_certificate *copy_of(const struct cl_certificate *certificate)
{
    struct cl_certificate *made = malloc(sizeof *made);
    if (made == NULL) abort();
    *made = *certificate;
    return made;
}

static uint64_t clock_of(const struct sim *sim, const struct sim_member *self) { return sim->now + self->skew_ms; }

static void wake_later(struct sim *sim, size_t index)
{
    const struct sim_member *self = &sim->member[index];
    if ((self->pool & ~self->ledger.final_records) != 0) sim_push(sim, &(struct sim_item){ .what = SIM_WAKE, .member = index, .life = self->life }, 1);
}

/* ---- the disk: each operation may be the one at which the machine stops */
static bool disk_operation(struct sim *sim, size_t index)
{
    struct sim_member *self = &sim->member[index];
    if (self->crash_in == 0 || --self->crash_in > 0) return true;
    sim_member_crash(sim, index);
    self->fell = true;
    return false;
}

static bool append(struct sim *sim, size_t index, const struct sim_entry *entry)
{
    struct sim_member *self = &sim->member[index];
    if (self->log_count == SIM_LOG_MAX) {
        sim_fail(sim, "member %zu has filled its vote log", index);
        free(entry->certificate);
        return false;
    }
    self->log[self->log_count++] = *entry;
    return disk_operation(sim, index);
}

static void log_cut(struct sim_member *self, size_t count)
{
    while (self->log_count > count) free(self->log[--self->log_count].certificate);
}

static void ledger_copy(struct sim_ledger *out, const struct sim_ledger *in)
{
    struct cl_buffer certificate = out->final_certificate;
    *out = *in;
    out->final_certificate = certificate;
    out->final_certificate.length = 0;
    if (in->final_certificate.length > 0 && cl_buffer_append(&out->final_certificate, in->final_certificate.data, in->final_certificate.length) != CL_OK) abort();
}

/* What a node makes of a missing vote log, or its operator of a restored disk: a log that forbids every vote. */
static void lose(struct sim *sim, size_t index)
{
    struct sim_member *self = &sim->member[index];
    sim_tell(sim, index, "loses its vote log%s", self->loss == SIM_LOSS_NEWER ? ", and the newest of its ledger" : "");
    log_cut(self, 0);
    self->log[self->log_count++] = (struct sim_entry){ .kind = SIM_ENTRY_BAR, .view = CONSENSUS_BAR_UNKNOWN };
    if (self->loss == SIM_LOSS_NEWER) ledger_copy(&self->ledger, &self->old);
    self->lost = true;
    self->loss = SIM_LOSS_NONE;
}

/* What is not synced is lost, but for a part of it that made it to the disk by chance. */
void sim_member_crash(struct sim *sim, size_t index)
{
    struct sim_member *self = &sim->member[index];
    if (self->consensus == NULL) return;
    size_t survives = self->log_synced + sim_random(sim, self->log_count - self->log_synced + 1);
    sim_tell(sim, index, "crashes: %zu entries of its log, %zu synced, %zu survive", self->log_count, self->log_synced, survives);
    log_cut(self, survives);
    if (self->loss != SIM_LOSS_NONE) lose(sim, index);
    self->log_synced = self->log_count; /* opening it syncs it */
    while (self->held_count > 0) sim_message_unref(self->held[--self->held_count].message);
    consensus_free(self->consensus);
    self->consensus = NULL;
    self->life++;
    self->crash_in = 0;
    sim_push(sim, &(struct sim_item){ .what = SIM_RESTART, .member = index, .life = self->life },
             1 + sim_random(sim, self->lost && sim_chance(sim, 700) ? 30 : 3000)); /* at once: while the others are where they were */
}

/* ---- effects */
static void answer(struct sim *sim, size_t index, const struct consensus_event *event, uint64_t delay_ms)
{
    sim_push(sim, &(struct sim_item){ .what = SIM_ANSWER, .member = index, .life = sim->member[index].life, .event = *event }, delay_ms);
}

/* Records in the blocks from this one down to the last final one. */
static uint64_t records_of_chain(const struct sim *sim, const struct sim_member *self, size_t block)
{
    uint64_t records = self->ledger.final_records;
    for (; block != self->ledger.final && block != 0; block = sim->blocks[block].parent) records |= sim->blocks[block].records;
    return records;
}

static struct sim_message *proposal_message(const struct order_block *block, size_t index, const struct cl_view *justification)
{
    struct sim_message *made = sim_message_new(SIM_PROPOSAL);
    made->block = *block;
    made->index = index;
    if (cl_buffer_append(&made->justification, justification->data, justification->length) != CL_OK) abort();
    return made;
}

static void build(struct sim *sim, size_t index, const struct consensus_effect *effect)
{
    struct sim_member *self = &sim->member[index];
    struct consensus_event event = { .kind = CONSENSUS_NOTHING, .view = effect->block.view };
    size_t parent = sim_block_find(sim, &effect->block.parent);
    if (parent == SIZE_MAX || (parent != self->ledger.final && !self->bodies[parent])) {
        sim_fail(sim, "member %zu is asked to build on a block that it does not have", index);
        return;
    }
    uint64_t waiting = self->pool & ~records_of_chain(sim, self, parent), taken = 0;
    for (size_t i = 0, count = 0; i < SIM_RECORDS_MAX && count < 4; i++)
        if ((waiting >> i & 1) != 0) {
            taken |= (uint64_t)1 << i;
            count++;
        }
    uint64_t now = clock_of(sim, self), after = sim->blocks[parent].time_ms + 1;
    struct sim_block made = { .parent = parent, .view = effect->block.view, .parent_view = effect->block.parent_view,
                              .time_ms = now > after ? now : after, .records = effect->empty ? 0 : taken, .valid = true };
    size_t block = effect->empty || taken != 0 ? sim_block_make(sim, &made) : 0;
    if (block > 0) {
        event = (struct consensus_event){ .kind = CONSENSUS_BUILT, .block = effect->block };
        event.block.id = sim->blocks[block].id;
        self->bodies[block] = true;
        sim_message_unref(self->proposal);
        self->proposal = proposal_message(&event.block, block, &effect->justification);
        sim_tell(sim, index, "builds block %zu on %zu for view %llu%s", block, parent, (unsigned long long)effect->block.view, effect->empty ? ", empty" : "");
    }
    answer(sim, index, &event, sim_random(sim, 4));
}

static void validate(struct sim *sim, size_t index, const struct order_block *asked)
{
    struct sim_member *self = &sim->member[index];
    size_t block = sim_block_find(sim, &asked->id), parent = sim_block_find(sim, &asked->parent);
    struct consensus_event event = { .kind = CONSENSUS_VERDICT, .block = *asked, .verdict = CONSENSUS_VALID };
    if (parent == SIZE_MAX || (parent != self->ledger.final && !self->bodies[parent])) {
        sim_fail(sim, "member %zu is asked to validate a block on a parent that it does not have", index);
        return;
    }
    if (block == SIZE_MAX || sim->blocks[block].parent != parent) event.verdict = CONSENSUS_INVALID;
    else {
        const struct sim_block *made = &sim->blocks[block];
        uint64_t now = clock_of(sim, self);
        if ((made->records & ~(self->pool | self->ledger.final_records)) != 0 || made->time_ms > now + 2000) event.verdict = CONSENSUS_PENDING;
        if (!made->valid || (made->records & records_of_chain(sim, self, parent)) != 0 || made->time_ms + 60000 < now ||
            made->time_ms <= sim->blocks[parent].time_ms) event.verdict = CONSENSUS_INVALID;
        if (event.verdict == CONSENSUS_VALID) self->bodies[block] = true;
    }
    sim_tell(sim, index, "finds block %zu %s", block, event.verdict == CONSENSUS_VALID ? "valid" : event.verdict == CONSENSUS_PENDING ? "pending" : "invalid");
    answer(sim, index, &event, sim_random(sim, 10));
}

static bool commit(struct sim *sim, size_t index, size_t block, uint64_t view, const struct cl_certificate *certificate)
{
    struct sim_member *self = &sim->member[index];
    sim_check_final(sim, index, block);
    self->ledger.final = block;
    self->ledger.final_view = view;
    self->ledger.final_records |= sim->blocks[block].records;
    self->ledger.final_certificate.length = 0;
    if (certificate != NULL && cl_certificate_encode(&self->ledger.final_certificate, certificate) != CL_OK) abort();
    if (certificate != NULL && sim_chance(sim, 300)) ledger_copy(&self->old, &self->ledger);
    sim_tell(sim, index, "makes block %zu final at height %zu, view %llu", block, sim->blocks[block].height, (unsigned long long)view);
    wake_later(sim, index);
    return disk_operation(sim, index); /* a crash between the ledger and the vote log */
}

/* ---- sending: held until the vote log is durable up to the effect's sequence */
static void leave(struct sim *sim, size_t index, const struct consensus_effect *effect, struct sim_message *message)
{
    if (effect->kind == CONSENSUS_SEND_VOTE || effect->kind == CONSENSUS_SEND_PROPOSAL) sim_check_sent(sim, index, &effect->vote);
    if (message->certificate != NULL) sim_note_certificate(sim, message->certificate);
    sim_broadcast(sim, index, message);
}

static void send(struct sim *sim, size_t index, const struct consensus_effect *effect)
{
    struct sim_member *self = &sim->member[index];
    struct sim_message *message = NULL;
    if (effect->kind == CONSENSUS_SEND_PROPOSAL) { /* after a restart its bytes come from the log; here they are lost with the process */
        if (self->proposal == NULL || self->proposal->block.view != effect->block.view) return;
        message = proposal_message(&self->proposal->block, self->proposal->index, &(struct cl_view){ self->proposal->justification.data, self->proposal->justification.length });
        message->vote = effect->vote;
    } else if (effect->kind == CONSENSUS_SEND_VOTE) {
        message = sim_message_new(SIM_VOTE);
        message->vote = effect->vote;
    } else {
        message = sim_message_new(SIM_CERTIFICATE);
        message->certificate = copy_of(effect->certificate);
    }
    if (effect->sequence <= self->synced) {
        leave(sim, index, effect, message);
    } else if (self->held_count < SIM_HELD_MAX) {
        self->held[self->held_count++] = (struct sim_held){ .sequence = effect->sequence, .effect = *effect, .message = message };
    } else {
        sim_message_unref(message); /* a bounded lane; resending repairs it */
    }
}

static void fetch(struct sim *sim, size_t index, const struct order_block *wanted)
{
    struct sim_message *message = sim_message_new(SIM_FETCH);
    message->block = *wanted;
    sim_broadcast(sim, index, message);
}

/* Returns: whether the member is still up. */
static bool carry_out(struct sim *sim, size_t index, const struct consensus_effect *effect)
{
    struct sim_member *self = &sim->member[index];
    switch (effect->kind) {
    case CONSENSUS_APPEND_PROPOSAL: return append(sim, index, &(struct sim_entry){ .kind = SIM_ENTRY_BLOCK, .block = effect->block });
    case CONSENSUS_APPEND_VOTE:
        sim_tell(sim, index, "votes %d in view %llu for %zd", (int)effect->vote.kind, (unsigned long long)effect->vote.view,
                 effect->vote.has_block ? (ssize_t)sim_block_find(sim, &effect->vote.block) : -1);
        return append(sim, index, &(struct sim_entry){ .kind = SIM_ENTRY_VOTE, .vote = effect->vote });
    case CONSENSUS_APPEND_CERTIFICATE:
        sim_tell(sim, index, "has certificate %d of view %llu", (int)effect->certificate->kind, (unsigned long long)effect->certificate->view);
        return append(sim, index, &(struct sim_entry){ .kind = SIM_ENTRY_CERTIFICATE, .certificate = copy_of(effect->certificate) });
    case CONSENSUS_APPEND_BAR:
        sim_tell(sim, index, "must not vote up to view %llu", (unsigned long long)effect->view);
        return append(sim, index, &(struct sim_entry){ .kind = SIM_ENTRY_BAR, .view = effect->view });
    case CONSENSUS_SYNC:
        sim_push(sim, &(struct sim_item){ .what = SIM_SYNCED, .member = index, .life = self->life, .number = effect->sequence, .entries = self->log_count },
                 sim->healed ? 1 : sim_random(sim, self->disk_ms) + (sim_chance(sim, 5) ? 1500 : 0));
        return disk_operation(sim, index);
    case CONSENSUS_SEND_PROPOSAL:
    case CONSENSUS_SEND_VOTE:
    case CONSENSUS_SEND_CERTIFICATE: send(sim, index, effect); return true;
    case CONSENSUS_BUILD: build(sim, index, effect); return true;
    case CONSENSUS_VALIDATE: validate(sim, index, &effect->block); return true;
    case CONSENSUS_FETCH: fetch(sim, index, &effect->block); return true;
    case CONSENSUS_COMMIT: {
        size_t block = sim_block_find(sim, &effect->block.id);
        return commit(sim, index, block, effect->certificate != NULL ? effect->certificate->view : effect->block.view, effect->certificate);
    }
    case CONSENSUS_ARM: {
        uint64_t now = clock_of(sim, self);
        sim_push(sim, &(struct sim_item){ .what = SIM_TIMER, .member = index, .life = self->life, .timer = effect->timer, .number = ++self->timer_generation[effect->timer] },
                 effect->at_ms > now ? effect->at_ms - now : 0);
        return true;
    }
    case CONSENSUS_CANCEL: self->timer_generation[effect->timer]++; return true;
    }
    return true;
}

static void carry_out_all(struct sim *sim, size_t index)
{
    for (size_t i = 0; i < sim->effects->count && !sim->failed; i++)
        if (!carry_out(sim, index, &sim->effects->items[i])) return;
}

/* Above some entries the log starts anew, by a new file and rename: all of it or none. */
static void truncate_log(struct sim *sim, size_t index)
{
    struct sim_member *self = &sim->member[index];
    if (self->log_count < 300 || self->log_synced != self->log_count) return;
    uint64_t from = 0;
    log_cut(self, 0);
    do {
        sim->effects->count = 0;
        if (consensus_retained(self->consensus, sim->effects, &from) != CL_OK) abort();
        uint64_t crash_in = self->crash_in;
        self->crash_in = 0;
        carry_out_all(sim, index);
        self->crash_in = crash_in;
    } while (sim->effects->count > 0);
    self->log_synced = self->log_count;
}

static void step(struct sim *sim, size_t index, struct consensus_event *event)
{
    struct sim_member *self = &sim->member[index];
    if (self->consensus == NULL) return;
    event->now_ms = clock_of(sim, self);
    sim->effects->count = 0;
    self->fell = false;
    sim->steps++;
    if (consensus_step(self->consensus, sim->effects, event) != CL_OK) abort();
    carry_out_all(sim, index);
    if (self->fell || sim->failed) return;
    truncate_log(sim, index);
    if (!self->lost) return;
    struct consensus_report report;
    consensus_report(self->consensus, &report);
    self->lost = report.view <= report.barred;
}

/* ---- start: from the ledger and the vote log */
static void restore(struct sim *sim, size_t index)
{
    struct sim_member *self = &sim->member[index];
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < self->log_count && status == CL_OK; i++) {
        const struct sim_entry *entry = &self->log[i];
        switch (entry->kind) {
        case SIM_ENTRY_BLOCK:
            self->bodies[sim_block_find(sim, &entry->block.id)] = true;
            self->pool |= sim->blocks[sim_block_find(sim, &entry->block.id)].records;
            status = consensus_restore_proposal(self->consensus, &entry->block);
            break;
        case SIM_ENTRY_VOTE: status = consensus_restore_vote(self->consensus, &entry->vote); break;
        case SIM_ENTRY_CERTIFICATE: status = consensus_restore_certificate(self->consensus, entry->certificate); break;
        case SIM_ENTRY_BAR: consensus_restore_bar(self->consensus, entry->view); break;
        }
    }
    if (status != CL_OK) sim_fail(sim, "member %zu cannot read its vote log: %s", index, cl_status_code(status));
}

/* ---- without its vote log */
static void ask(struct sim *sim, size_t index)
{
    const struct sim_member *self = &sim->member[index];
    struct consensus_report report;
    consensus_report(self->consensus, &report);
    if (report.barred != CONSENSUS_BAR_UNKNOWN) return;
    struct sim_message *message = sim_message_new(SIM_RECOVERY_QUESTION);
    if (cl_buffer_append(&message->justification, self->recovery.nonce, 32) != CL_OK) abort();
    sim_broadcast(sim, index, message);
    sim_push(sim, &(struct sim_item){ .what = SIM_ASK, .member = index, .life = self->life }, 500);
}

static void on_question(struct sim *sim, size_t index, size_t from, const struct sim_message *question)
{
    struct sim_message *message = sim_message_new(SIM_RECOVERY_ANSWER);
    if (vote_recovery_answer(&message->justification, sim->member[index].consensus, question->justification.data) == CL_OK) sim_send(sim, index, from, message);
    sim_message_unref(message);
}

static void on_recovery_answer(struct sim *sim, size_t index, size_t from, const struct sim_message *message)
{
    struct sim_member *self = &sim->member[index];
    struct frame_recovery_answer given;
    struct consensus_report report;
    uint64_t barred = 0;
    bool has = false;
    consensus_report(self->consensus, &report);
    if (report.barred != CONSENSUS_BAR_UNKNOWN) return;
    struct cl_certificate *certificate = malloc(sizeof *certificate);
    if (certificate == NULL) abort();
    if (frame_recovery_answer_decode(&given, (struct cl_view){ message->justification.data, message->justification.length }) == CL_OK &&
        vote_recovery_take(&self->recovery, self->consensus, from, &given, certificate, &has) == CL_OK) {
        bool known = vote_recovery_bar(&self->recovery, self->consensus, &barred);
        if (has) step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = certificate });
        if (known) step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_RECOVERED, .view = barred });
    }
    free(certificate);
}

void sim_member_start(struct sim *sim, size_t index)
{
    struct sim_member *self = &sim->member[index];
    struct consensus_config config = { .network = &sim->network, .members = sim->members, .member_count = sim->member_count, .own = index,
        .signatures = &sim->signatures[index], .d0_ms = SIM_D0_MS, .final_view = self->ledger.final_view, .final_block = sim->blocks[self->ledger.final].id,
        .final_certificate = { self->ledger.final_certificate.data, self->ledger.final_certificate.length } };
    memcpy(config.vote_seed, sim->seeds[index], 32);
    memset(self->bodies, 0, sizeof self->bodies);
    sim_message_unref(self->proposal);
    self->proposal = NULL;
    self->synced = 0;
    if (consensus_new(&self->consensus, &config) != CL_OK) abort();
    restore(sim, index);
    sim_tell(sim, index, "starts with %zu entries in its log, final view %llu", self->log_count, (unsigned long long)self->ledger.final_view);
    sim->effects->count = 0;
    self->fell = false;
    if (consensus_resume(self->consensus, sim->effects, clock_of(sim, self)) != CL_OK) abort();
    if (!sim->failed) carry_out_all(sim, index);
    uint8_t nonce[32];
    for (size_t i = 0; i < sizeof nonce; i++) nonce[i] = (uint8_t)sim_random(sim, 256);
    vote_recovery_begin(&self->recovery, nonce);
    if (self->consensus != NULL) ask(sim, index);
    wake_later(sim, index);
}

/* ---- what comes in */
static void on_synced(struct sim *sim, size_t index, const struct sim_item *item)
{
    struct sim_member *self = &sim->member[index];
    if (item->number <= self->synced) return; /* a later sync was faster, and covered it */
    if (item->entries > self->log_synced && item->entries <= self->log_count) self->log_synced = item->entries;
    self->synced = item->number;
    size_t kept = 0;
    for (size_t i = 0; i < self->held_count; i++) {
        struct sim_held held = self->held[i];
        if (held.sequence <= self->synced) leave(sim, index, &held.effect, held.message);
        else self->held[kept++] = held;
    }
    self->held_count = kept;
    step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_SYNCED, .sequence = item->number });
}

static bool has(const struct sim *sim, const struct sim_member *self, size_t block)
{
    size_t at = self->ledger.final;
    if (block == SIZE_MAX) return false;
    if (self->bodies[block]) return true;
    while (at != 0 && sim->blocks[at].height > sim->blocks[block].height) at = sim->blocks[at].parent;
    return at == block;
}

/* Who asks for what is final here gets the tip with its finalization and catches up by height. */
static void on_fetch(struct sim *sim, size_t index, size_t from, const struct order_block *wanted)
{
    const struct sim_member *self = &sim->member[index];
    size_t block = sim_block_find(sim, &wanted->id);
    if (!has(sim, self, block)) return;
    bool final = !self->bodies[block] || sim->blocks[block].height <= sim->blocks[self->ledger.final].height;
    if (final && self->ledger.final_certificate.length > 0) {
        struct sim_message *message = sim_message_new(SIM_FINAL);
        message->certificate = malloc(sizeof *message->certificate);
        if (message->certificate == NULL || cl_certificate_decode(message->certificate, self->ledger.final_certificate.data, self->ledger.final_certificate.length) != CL_OK) abort();
        message->index = self->ledger.final;
        sim_send(sim, index, from, message);
        sim_message_unref(message);
    }
    struct sim_message *message = sim_message_new(SIM_BLOCK);
    const struct sim_block *made = &sim->blocks[block];
    message->index = block;
    message->block = (struct order_block){ .id = made->id, .parent = sim->blocks[made->parent].id, .view = made->view, .parent_view = made->parent_view };
    sim_send(sim, index, from, message);
    sim_message_unref(message);
}

static void on_final(struct sim *sim, size_t index, const struct sim_message *message)
{
    struct sim_member *self = &sim->member[index];
    size_t path[SIM_BLOCKS_MAX], count = 0;
    const struct cl_certificate *certificate = message->certificate;
    if (certificate->view <= self->ledger.final_view || certificate->kind != CL_VOTE_FINALIZE || !sim_certificate_good(sim, certificate) ||
        memcmp(certificate->block.bytes, sim->blocks[message->index].id.bytes, 32) != 0) return;
    for (size_t at = message->index; at != self->ledger.final && sim->blocks[at].height > sim->blocks[self->ledger.final].height; at = sim->blocks[at].parent) path[count++] = at;
    while (count-- > 0 && !sim->failed)
        if (!commit(sim, index, path[count], count == 0 ? certificate->view : sim->blocks[path[count]].view, count == 0 ? certificate : NULL)) return;
    struct consensus_event event = { .kind = CONSENSUS_FINAL, .certificate = certificate };
    event.block = (struct order_block){ .id = certificate->block, .view = certificate->view };
    step(sim, index, &event);
}

static void on_message(struct sim *sim, size_t index, size_t from, const struct sim_message *message)
{
    struct sim_member *self = &sim->member[index];
    switch (message->kind) {
    case SIM_VOTE: step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_VOTE, .vote = &message->vote }); break;
    case SIM_CERTIFICATE: step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_CERTIFICATE, .certificate = message->certificate }); break;
    case SIM_PROPOSAL:
        step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_PROPOSAL, .block = message->block, .vote = &message->vote,
                                                    .justification = { message->justification.data, message->justification.length } });
        break;
    case SIM_RECORDS:
        if ((message->records & ~(self->pool | self->ledger.final_records)) == 0) break;
        self->pool |= message->records;
        wake_later(sim, index);
        break;
    case SIM_FETCH: on_fetch(sim, index, from, &message->block); break;
    case SIM_BLOCK:
        if (has(sim, self, message->index) && !self->bodies[message->index]) break; /* final here */
        self->bodies[message->index] = true;
        self->pool |= sim->blocks[message->index].records;
        step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_BLOCK, .block = message->block });
        break;
    case SIM_FINAL: on_final(sim, index, message); break;
    case SIM_RECOVERY_QUESTION: on_question(sim, index, from, message); break;
    case SIM_RECOVERY_ANSWER: on_recovery_answer(sim, index, from, message); break;
    }
}

static void gossip(struct sim *sim, size_t index)
{
    const struct sim_member *self = &sim->member[index];
    if (sim->member_count > 1 && self->consensus != NULL && (self->pool & ~self->ledger.final_records) != 0)
        for (int i = 0; i < 2; i++) {
            struct sim_message *message = sim_message_new(SIM_RECORDS);
            message->records = self->pool;
            sim_send(sim, index, (index + 1 + sim_random(sim, sim->member_count - 1)) % sim->member_count, message);
            sim_message_unref(message);
        }
    sim_push(sim, &(struct sim_item){ .what = SIM_GOSSIP, .member = index }, 50 + sim_random(sim, 100));
}

/* Beyond f at once nobody could tell them, and the consortium stands still. */
static bool may_lose(const struct sim *sim)
{
    size_t faulty = sim->hostile_count + 1;
    for (size_t i = 0; i < sim->member_count; i++) faulty += sim->member[i].lost || sim->member[i].loss != SIM_LOSS_NONE;
    return faulty <= (sim->member_count - 1) / 3;
}

void sim_member_take(struct sim *sim, struct sim_item *item)
{
    size_t index = item->member;
    struct sim_member *self = &sim->member[index];
    bool alive = self->consensus != NULL && item->life == self->life;
    switch (item->what) {
    case SIM_DELIVER: if (self->consensus != NULL) on_message(sim, index, item->from, item->message); break;
    case SIM_TIMER:
        if (!alive || item->number != self->timer_generation[item->timer]) break;
        step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_TIMER, .timer = item->timer });
        break;
    case SIM_SYNCED: if (alive) on_synced(sim, index, item); break;
    case SIM_ANSWER: if (alive) step(sim, index, &item->event); break;
    case SIM_WAKE: if (alive && (self->pool & ~self->ledger.final_records) != 0) step(sim, index, &(struct consensus_event){ .kind = CONSENSUS_WAKE }); break;
    case SIM_GOSSIP: gossip(sim, index); break;
    case SIM_RESTART: if (self->consensus == NULL && item->life == self->life) sim_member_start(sim, index); break;
    case SIM_CRASH:
        self->crash_in = 1 + sim_random(sim, 12);
        self->loss = may_lose(sim) ? (enum sim_loss)item->number : SIM_LOSS_NONE;
        break;
    case SIM_ASK: if (alive) ask(sim, index); break;
    case SIM_HOSTILE:
    case SIM_HEAL:
    case SIM_NEW_RECORD: break; /* the world's */
    }
}

void sim_member_free(struct sim_member *self)
{
    consensus_free(self->consensus);
    log_cut(self, 0);
    while (self->held_count > 0) sim_message_unref(self->held[--self->held_count].message);
    sim_message_unref(self->proposal);
    cl_buffer_deinit(&self->ledger.final_certificate);
    cl_buffer_deinit(&self->old.final_certificate);
}

/* Runs seeds: sim SEEDS [FIRST]. A seed decides everything, so a seed that failed fails again; it is run a second time to
   tell what happened. */
#include "sim.h"

#include "consent/record.h"
#include "crypto.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_MS 20000u      /* faults last so long, at most */
#define HEALED_MS_MAX 240000u /* after that everything must be final within this, and within the views below */
#define QUIET_MS 60000u
#define QUIET_FRAMES_MAX 4u   /* to each peer with each resend of an idle member */
#define TIMELINE_LINES 400u

static uint64_t running; /* for the handler: the seed */

static void on_abort(int signal_number)
{
    char text[96];
    int length = snprintf(text, sizeof text, "an assertion failed (signal %d) in seed %llu\n", signal_number, (unsigned long long)running);
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0) _exit(3);
    _exit(2);
}

/* ---- a world from a seed */
static void sign(void *context, uint8_t signature64[64], const void *data, size_t length)
{
    const struct sim_signer *signer = context;
    sim_sign_bytes(signer->sim, signer->member, signature64, data, length);
}

static bool verify(void *context, size_t member, const uint8_t signature64[64], const void *data, size_t length)
{
    const struct sim_signer *signer = context;
    return sim_verify_bytes(signer->sim, member, signature64, data, length);
}

static void make_members(struct sim *sim)
{
    static const size_t sizes[] = { 4, 4, 4, 4, 4, 4, 4, 7, 7, 1 };
    sim->member_count = sim_chance(sim, 15) ? 31 : sizes[sim_random(sim, sizeof sizes / sizeof sizes[0])];
    sim->real_signatures = sim->member_count < 31 && sim_chance(sim, 30);
    size_t faulty = (sim->member_count - 1) / 3;
    sim->hostile_count = faulty > 0 && sim_chance(sim, 600) ? 1 + sim_random(sim, faulty) : 0;
    sim->member = calloc(sim->member_count, sizeof *sim->member);
    sim->effects = calloc(1, sizeof *sim->effects);
    if (sim->member == NULL || sim->effects == NULL) abort();
    memset(sim->network.bytes, (int)(sim->seed & 255), 32);
    for (size_t i = 0; i < sim->member_count; i++) {
        for (size_t j = 0; j < 32; j++) sim->seeds[i][j] = (uint8_t)sim_random(sim, 256);
        if (sim->real_signatures) cl_ed25519_public(sim->members[i].vote, sim->seeds[i]);
        sim->signers[i] = (struct sim_signer){ .sim = sim, .member = i };
        sim->signatures[i] = (struct consensus_signatures){ .context = &sim->signers[i], .sign = sign, .verify = verify };
        sim->member[i].skew_ms = 1000000 + sim_random(sim, 1500);
        sim->member[i].disk_ms = 1 + sim_random(sim, sim_chance(sim, 100) ? 400 : 15);
    }
    for (size_t i = 0; i < sim->hostile_count; i++) sim->member[sim_random(sim, sim->member_count)].hostile = true;
}

static void plan(struct sim *sim)
{
    sim->delay_ms = 2 + sim_random(sim, 60);
    sim->loss_permille = sim_chance(sim, 600) ? sim_random(sim, 300) : 0;
    sim->duplicate_permille = sim_chance(sim, 500) ? sim_random(sim, 200) : 0;
    sim->slow_permille = sim_chance(sim, 500) ? sim_random(sim, 100) : 0;
    uint64_t faults_ms = 2000 + sim_random(sim, FAULTS_MS - 2000);
    for (uint64_t records = 1 + sim_random(sim, 12); records > 0; records--)
        sim_push(sim, &(struct sim_item){ .what = SIM_NEW_RECORD, .member = sim_random(sim, sim->member_count) }, sim_random(sim, faults_ms));
    if (sim_chance(sim, 700))
        for (uint64_t crashes = 1 + sim_random(sim, 6); crashes > 0; crashes--)
            sim_push(sim, &(struct sim_item){ .what = SIM_CRASH, .member = sim_random(sim, sim->member_count) }, sim_random(sim, faults_ms));
    if (sim_chance(sim, 400)) /* with loss of the vote log, or as that and an old disk */
        for (uint64_t losses = 1 + sim_random(sim, 4); losses > 0; losses--)
            sim_push(sim, &(struct sim_item){ .what = SIM_CRASH, .member = sim_random(sim, sim->member_count),
                                              .number = SIM_LOSS_LOG + sim_random(sim, 2) }, sim_random(sim, faults_ms));
    if (sim_chance(sim, 500))
        for (uint64_t splits = 1 + sim_random(sim, 4); splits > 0; splits--)
            sim_push(sim, &(struct sim_item){ .what = SIM_HEAL, .number = 1 + sim_random(sim, 2) }, sim_random(sim, faults_ms));
    sim_push(sim, &(struct sim_item){ .what = SIM_HEAL }, faults_ms);
    for (size_t i = 0; i < sim->member_count; i++)
        sim_push(sim, &(struct sim_item){ .what = sim->member[i].hostile ? SIM_HOSTILE : SIM_GOSSIP, .member = i }, 1 + sim_random(sim, 100));
}

static void new_record(struct sim *sim, size_t member)
{
    if (sim->records_made == SIM_RECORDS_MAX) return;
    while (sim->member[member].hostile) member = (member + 1) % sim->member_count;
    uint64_t record = sim->records_made++;
    sim_tell(sim, member, "takes record %llu", (unsigned long long)record);
    sim->member[member].pool |= (uint64_t)1 << record;
    sim_push(sim, &(struct sim_item){ .what = SIM_WAKE, .member = member, .life = sim->member[member].life }, 0);
}

/* number 0: everything heals, and a last record comes; 1: the network splits; 2: it is whole again, for a while. */
static void heal(struct sim *sim, uint64_t number)
{
    if (sim->healed) return;
    sim->partitioned = number == 1;
    for (size_t i = 0; i < sim->member_count; i++) sim->side[i] = (uint8_t)sim_random(sim, 2);
    sim_tell(sim, SIZE_MAX, number == 0 ? "everything heals" : number == 1 ? "the network splits" : "the network is whole");
    if (number > 0) return;
    sim->healed = true;
    for (size_t i = 0; i < sim->member_count; i++) {
        sim->member[i].crash_in = 0;
        sim->member[i].loss = SIM_LOSS_NONE;
    }
    new_record(sim, sim_random(sim, sim->member_count));
}

static uint64_t view_max(const struct sim *sim)
{
    uint64_t most = 0;
    for (size_t i = 0; i < sim->member_count; i++) {
        struct consensus_report report;
        if (sim->member[i].consensus == NULL) continue;
        consensus_report(sim->member[i].consensus, &report);
        if (report.view > most) most = report.view;
    }
    return most;
}

static bool all_up(const struct sim *sim)
{
    for (size_t i = 0; i < sim->member_count; i++)
        if (!sim->member[i].hostile && sim->member[i].consensus == NULL) return false;
    return true;
}

static bool all_final(const struct sim *sim)
{
    uint64_t all = sim->records_made == 64 ? UINT64_MAX : ((uint64_t)1 << sim->records_made) - 1;
    for (size_t i = 0; i < sim->member_count; i++)
        if (!sim->member[i].hostile && (sim->member[i].ledger.final_records & all) != all) return false;
    return true;
}

static void take(struct sim *sim, struct sim_item *item)
{
    const struct sim_member *member = &sim->member[item->member];
    switch (item->what) {
    case SIM_HOSTILE: sim_hostile_act(sim, item->member); break;
    case SIM_HEAL: heal(sim, item->number); break;
    case SIM_NEW_RECORD: new_record(sim, item->member); break;
    case SIM_CRASH: if (!sim->healed && !member->hostile) sim_member_take(sim, item); break;
    case SIM_DELIVER:
        if (!member->hostile) sim_member_take(sim, item);
        else if (item->message->kind == SIM_RECOVERY_QUESTION) sim_hostile_answer(sim, item->member, item->from, item->message);
        break;
    case SIM_ASK:
    case SIM_TIMER:
    case SIM_SYNCED:
    case SIM_ANSWER:
    case SIM_WAKE:
    case SIM_GOSSIP:
    case SIM_RESTART: if (!member->hostile) sim_member_take(sim, item); break;
    }
    sim_message_unref(item->message);
}

/* After the last record is final nothing is left to do: without hostile members everyone idles, and says little. */
static void check_quiet(struct sim *sim)
{
    struct sim_item item;
    uint64_t start = sim->now, sent = 0, after = 0;
    while (!sim->failed && sim->now < start + QUIET_MS / 2 && sim_pop(sim, &item)) take(sim, &item);
    for (size_t i = 0; i < sim->member_count; i++) sent += sim->member[i].sent;
    while (!sim->failed && sim->now < start + QUIET_MS && sim_pop(sim, &item)) take(sim, &item);
    for (size_t i = 0; i < sim->member_count; i++) after += sim->member[i].sent;
    uint64_t bound = sim->member_count * (sim->member_count - 1) * (QUIET_MS / 2 / CONSENSUS_RESEND_IDLE_MS + 1) * QUIET_FRAMES_MAX;
    if (!sim->failed && after - sent > bound)
        sim_fail(sim, "nothing is left to do, and %llu frames are sent in %u s", (unsigned long long)(after - sent), QUIET_MS / 2000);
}

static void run(struct sim *sim)
{
    struct sim_item item;
    uint64_t healed_ms = 0, healed_view = 0, views = 12 + 6 * ((sim->member_count - 1) / 3);
    for (size_t i = 0; i < sim->member_count; i++)
        if (!sim->member[i].hostile) sim_member_start(sim, i);
    while (!sim->failed && sim_pop(sim, &item)) {
        take(sim, &item);
        if (!sim->healed) continue;
        if (healed_ms == 0 && all_up(sim)) {
            healed_ms = sim->now;
            healed_view = view_max(sim);
        }
        if (healed_ms == 0) continue;
        if (all_final(sim)) break;
        if (sim->now > healed_ms + HEALED_MS_MAX)
            sim_fail(sim, "records are not final everywhere %u s after everything healed", HEALED_MS_MAX / 1000);
        if (view_max(sim) > healed_view + views)
            sim_fail(sim, "records are not final everywhere %llu views after everything healed", (unsigned long long)views);
    }
    if (!sim->failed && sim->hostile_count == 0) check_quiet(sim);
}

static void world_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->queue_count; i++) sim_message_unref(sim->queue[i].message);
    for (size_t i = 0; i < SIM_CERTIFICATES_KEPT; i++) sim_message_unref(sim->certificates[i]);
    for (size_t i = 0; i < sim->member_count; i++) {
        sim_member_free(&sim->member[i]);
        free(sim->sent[i]);
    }
    free(sim->queue);
    free(sim->member);
    free(sim->effects);
    free(sim);
}

/* Returns: whether all held. out: where the timeline goes, or NULL. */
static bool run_seed(uint64_t seed, FILE *out, uint64_t *steps, char *failure, size_t failure_size)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) abort();
    running = seed;
    sim->seed = seed;
    sim->random = seed * 0x9e3779b97f4a7c15u + 1;
    sim->trace = out != NULL;
    sim->out = out;
    make_members(sim);
    (void)sim_block_make(sim, &(struct sim_block){ .valid = true }); /* genesis: index 0, height 0 */
    plan(sim);
    sim_tell(sim, SIZE_MAX, "%zu members, %zu hostile, %s signatures, delay %llu ms, loss %llu, duplicates %llu, slow %llu per mille", sim->member_count, sim->hostile_count,
             sim->real_signatures ? "real" : "cheap", (unsigned long long)sim->delay_ms, (unsigned long long)sim->loss_permille,
             (unsigned long long)sim->duplicate_permille, (unsigned long long)sim->slow_permille);
    run(sim);
    bool good = !sim->failed;
    *steps += sim->steps;
    snprintf(failure, failure_size, "%s", sim->failure);
    world_free(sim);
    return good;
}

/* The same seed again, its timeline to standard output: the last lines, which is where it goes wrong. */
static void show(uint64_t seed)
{
    char (*lines)[256] = calloc(TIMELINE_LINES, sizeof *lines), failure[256];
    uint64_t steps = 0, count = 0;
    FILE *file = tmpfile();
    if (lines == NULL || file == NULL) abort();
    (void)run_seed(seed, file, &steps, failure, sizeof failure);
    rewind(file);
    if (fgets(lines[0], sizeof lines[0], file) != NULL) fputs(lines[0], stdout);
    while (fgets(lines[count % TIMELINE_LINES], sizeof lines[0], file) != NULL) count++;
    for (uint64_t i = count > TIMELINE_LINES ? count - TIMELINE_LINES : 0; i < count; i++) fputs(lines[i % TIMELINE_LINES], stdout);
    fclose(file);
    free(lines);
}

int main(int argument_count, char **arguments)
{
    uint64_t seeds = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 200, first = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 1, steps = 0;
    struct timespec start, end;
    char failure[256];
    if (seeds == 0) {
        fputs("usage: sim SEEDS [FIRST]\n", stderr);
        return 64;
    }
    signal(SIGABRT, on_abort);
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        if (run_seed(seed, NULL, &steps, failure, sizeof failure)) continue;
        show(seed);
        printf("seed %llu fails: %s\nagain: make sim SEEDS=1 SEED=%llu\n", (unsigned long long)seed, failure, (unsigned long long)seed);
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("%llu seeds from %llu, %llu steps, %.1f s, %.0f seeds per second: all held\n", (unsigned long long)seeds, (unsigned long long)first,
           (unsigned long long)steps, seconds, (double)seeds / seconds);
    return 0;
}

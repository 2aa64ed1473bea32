/* Sentences for an operator who asks why nothing becomes final. They name members, counts and times, and never guess. */
#include "condition.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct sayer { condition_say say; void *context; const struct condition *condition; };

static CL_PRINTF(2, 3) void tell(const struct sayer *sayer, const char *format, ...)
{
    char sentence[CONDITION_SENTENCE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    sayer->say(sayer->context, sentence);
}

static bool has(const uint8_t *bitmap, size_t member) { return (bitmap[member / 8] >> member % 8 & 1) != 0; }

static size_t count_of(const uint8_t *bitmap, size_t members)
{
    size_t count = 0;
    for (size_t i = 0; i < members; i++) count += has(bitmap, i);
    return count;
}

static bool answers(const struct condition *condition, size_t peer)
{
    return peer == condition->own || (condition->peers[peer].connected && condition->peers[peer].heard_ms_ago < CONDITION_SILENT_MS);
}

size_t condition_members_heard(const struct condition *condition)
{
    size_t count = 0;
    for (size_t i = 0; i < condition->member_count; i++) count += answers(condition, i);
    return count;
}

uint64_t condition_behind(const struct condition *condition)
{
    uint64_t highest = condition->height;
    for (size_t i = 0; i < condition->peer_count; i++)
        if (i != condition->own && condition->peers[i].reported && condition->peers[i].height > highest) highest = condition->peers[i].height;
    return highest - condition->height;
}

/* "2.5 s", "45 s", "3 minutes" */
static const char *span(char out[32], uint64_t ms)
{
    if (ms < 10000) snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms % 1000 / 100);
    else if (ms < 120000) snprintf(out, 32, "%" PRIu64 " s", ms / 1000);
    else snprintf(out, 32, "%" PRIu64 " minutes", ms / 60000);
    return out;
}

/* The names of whom the bitmap has, "nobody" where it has none. */
static const char *names(char out[512], const struct condition *condition, const uint8_t *bitmap)
{
    size_t used = 0, listed = 0, count = count_of(bitmap, condition->member_count);
    out[0] = '\0';
    for (size_t i = 0; i < condition->member_count && listed < CONDITION_NAMES_MAX; i++) {
        if (!has(bitmap, i)) continue;
        int length = snprintf(out + used, 512 - used, "%s%s", listed > 0 ? ", " : "", i == condition->own ? "this node" : condition->peers[i].name);
        used += length > 0 ? (size_t)length : 0;
        listed++;
    }
    if (count > listed) snprintf(out + used, 512 - used, " and %zu others", count - listed);
    return count > 0 ? out : "nobody";
}

/* What is awaited of one kind of vote. */
static void say_votes(const struct sayer *sayer, const char *kind, uint64_t view, const uint8_t *bitmap, const char *what_for)
{
    const struct condition *condition = sayer->condition;
    char list[512];
    size_t count = count_of(bitmap, condition->member_count);
    if (count >= condition->quorum) return;
    size_t more = condition->quorum - count;
    tell(sayer, "This node waits for %zu more %s vote%s in view %" PRIu64 "%s; it has them from %s.", more, kind, more == 1 ? "" : "s", view, what_for,
         names(list, condition, bitmap));
}

static void say_view(const struct sayer *sayer)
{
    const struct condition *condition = sayer->condition;
    const struct consensus_outlook *outlook = &condition->outlook;
    char since[32], limit[32];
    size_t notarized = count_of(outlook->notarize, condition->member_count), nullified = count_of(outlook->nullify, condition->member_count);
    if (outlook->finalize_view > 0) say_votes(sayer, "finalize", outlook->finalize_view, outlook->finalize, ", to make its block final");
    if (!outlook->proposed && outlook->leader == condition->own) {
        tell(sayer, "It is this node's turn to propose a block, in view %" PRIu64 ".", outlook->view);
    } else if (!outlook->proposed) {
        tell(sayer, "View %" PRIu64 " waits for the proposal of %s, since %s; without it this node votes to pass over it after %s.", outlook->view,
             condition->peers[outlook->leader].name, span(since, condition->view_ms), span(limit, 2 * outlook->patience_ms));
    } else if (outlook->incomplete) {
        tell(sayer, "This node lacks records of the proposal of %s in view %" PRIu64 " and asks for them.", condition->peers[outlook->leader].name, outlook->view);
    }
    if (outlook->proposed || notarized > 0) say_votes(sayer, "notarize", outlook->view, outlook->notarize, "");
    if (nullified > 0) say_votes(sayer, "nullify", outlook->view, outlook->nullify, ", to pass over its leader");
}

/* Members that are away, or here and silent in this view. */
static void say_missing(const struct sayer *sayer, bool voting)
{
    const struct condition *condition = sayer->condition;
    const struct consensus_outlook *outlook = &condition->outlook;
    char ago[32];
    size_t said = 0, left = 0;
    for (size_t i = 0; i < condition->member_count; i++) {
        const struct condition_peer *peer = &condition->peers[i];
        bool never = peer->heard_ms_ago == UINT64_MAX, away = !peer->connected || peer->heard_ms_ago >= CONDITION_QUIET_MS;
        bool voted = has(outlook->notarize, i) || has(outlook->nullify, i);
        if (i == condition->own || (!away && (!voting || voted || condition->view_ms < 2 * outlook->patience_ms))) continue;
        if (said == CONDITION_NAMES_MAX) {
            left++;
            continue;
        }
        said++;
        if (never && !peer->connected) tell(sayer, "%s has not been heard since this node started, and does not answer at its address.", peer->name);
        else if (never) tell(sayer, "%s answers at its address, but has not been heard since this node started.", peer->name);
        else if (!peer->connected) tell(sayer, "%s has not been heard for %s and does not answer at its address.", peer->name, span(ago, peer->heard_ms_ago));
        else if (away) tell(sayer, "%s has not been heard for %s.", peer->name, span(ago, peer->heard_ms_ago));
        else tell(sayer, "%s was heard %s ago but has not voted in view %" PRIu64 ".", peer->name, span(ago, peer->heard_ms_ago), outlook->view);
    }
    if (left > 0) tell(sayer, "So it is with %zu others.", left);
}

/* Clocks: whose is off, or ours, where most others agree on that. */
static void say_clocks(const struct sayer *sayer)
{
    const struct condition *condition = sayer->condition;
    size_t known = 0, ahead = 0, behind = 0;
    char apart[32];
    for (size_t i = 0; i < condition->peer_count; i++) {
        const struct condition_peer *peer = &condition->peers[i];
        if (i == condition->own || !peer->clock_known) continue;
        known++;
        ahead += peer->clock_ahead_ms > (int64_t)CONDITION_CLOCK_MS;
        behind += peer->clock_ahead_ms < -(int64_t)CONDITION_CLOCK_MS;
    }
    bool ours = known > 1 && (2 * ahead > known || 2 * behind > known);
    if (ours) tell(sayer, "This node's clock seems wrong: most others' are %s it by more than %s.", ahead > behind ? "ahead of" : "behind", span(apart, CONDITION_CLOCK_MS));
    for (size_t i = 0; i < condition->peer_count && !ours; i++) {
        const struct condition_peer *peer = &condition->peers[i];
        if (i == condition->own || !peer->clock_known) continue;
        uint64_t by = (uint64_t)(peer->clock_ahead_ms < 0 ? -peer->clock_ahead_ms : peer->clock_ahead_ms);
        if (by > CONDITION_CLOCK_MS) tell(sayer, "The clock of %s was %s %s this node's when it last connected.", peer->name, span(apart, by), peer->clock_ahead_ms > 0 ? "ahead of" : "behind");
    }
}

static void say_quorum(const struct sayer *sayer)
{
    const struct condition *condition = sayer->condition;
    size_t heard = condition_members_heard(condition);
    if (heard >= condition->quorum) return;
    size_t more = condition->quorum - heard;
    tell(sayer, "%zu of %zu members can be heard%s, and %zu are needed: nothing becomes final before %zu more %s back.", heard, condition->member_count,
         condition->own < condition->member_count ? ", this node included" : "", condition->quorum, more, more == 1 ? "is" : "are");
}

/* What is final, and not yet shown to anybody because too few have signed it. */
static void say_unsigned(const struct sayer *sayer)
{
    const struct condition *condition = sayer->condition;
    char list[512];
    size_t count = count_of(condition->cosigned, condition->member_count);
    if (condition->unsigned_ms < CONDITION_UNSIGNED_MS || count >= condition->quorum) return;
    tell(sayer, "%" PRIu64 " leaves of the log are final without a checkpoint: this node waits for %zu more cosignature%s; it has them from %s.", condition->unsigned_leaves,
         condition->quorum - count, condition->quorum - count == 1 ? "" : "s", names(list, condition, condition->cosigned));
}

static void say_evidence(const struct sayer *sayer, size_t index)
{
    const struct condition_peer *peer = &sayer->condition->peers[index];
    const char *who = index == sayer->condition->own ? "This node" : peer->name;
    if (peer->evidence > 0) tell(sayer, "%s has signed votes that contradict each other (%zu pieces of evidence are kept).", who, peer->evidence);
    if (peer->fork_size > 0)
        tell(sayer, "%s has signed a checkpoint of %" PRIu64 " leaves that is not of this node's ledger: one of them shows different people different ledgers.", who, peer->fork_size);
}

/* A member that does not know what it signed, and so does not vote. */
static void say_barred(const struct sayer *sayer)
{
    const struct condition *condition = sayer->condition;
    char list[512];
    if (condition->barred == CONSENSUS_BAR_UNKNOWN)
        tell(sayer, "This node lost its vote log and votes for nothing before %zu others have told it how far it may have voted; told so far: %s.", condition->told_needed,
             names(list, condition, condition->told));
    else if (condition->outlook.view <= condition->barred)
        tell(sayer, "This node lost its vote log, so it votes in no view up to %" PRIu64 "; this is view %" PRIu64 ".", condition->barred, condition->outlook.view);
}

void condition_why(const struct condition *condition, condition_say say, void *context)
{
    const struct sayer sayer = { say, context, condition };
    char ago[32];
    if (condition->failure != NULL) {
        tell(&sayer, "This node has stopped: %s", condition->failure);
        return;
    }
    if (condition->taken_ms_ago > CONDITION_STUCK_MS)
        tell(&sayer, "The thread that orders has been busy for %s, with its disk or its processor; the rest is from before.", span(ago, condition->taken_ms_ago));
    if (condition->member_count > 1) say_quorum(&sayer);
    if (condition->ordering && condition->member_count > 1) say_barred(&sayer);
    uint64_t behind = condition_behind(condition);
    if (behind > 1) tell(&sayer, "This node is %" PRIu64 " blocks behind the furthest of the others and fetches them.", behind);
    bool voting = condition->ordering && condition->member_count > 1 && !condition->idle;
    if (voting) say_view(&sayer);
    else if (condition->waiting_records > 0) tell(&sayer, "%" PRIu64 " records wait for the next block.", condition->waiting_records);
    else tell(&sayer, "No record waits: everything that this node took is final.");
    if (condition->member_count > 1) say_missing(&sayer, voting);
    say_unsigned(&sayer);
    for (size_t i = 0; i < condition->member_count; i++) say_evidence(&sayer, i);
    say_clocks(&sayer);
}

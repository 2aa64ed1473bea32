/* Cosignatures of final trees (cosign.h). What a member signed is kept by size, whatever tree is final here already: a tree
   has a quorum when enough members hold an entry for it, so nothing has to be moved when this node gets there. */
#include "cosign.h"

#include "block.h"
#include "consent/record.h"
#include "note.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry { uint64_t size, time_s; struct cl_hash root; uint8_t signature[64], log_signature[64]; bool has_log; };
struct member {
    struct cl_note_key witness, log;
    size_t count;
    struct entry entries[COSIGN_ENTRIES_MAX]; /* ascending by size, one for each */
    bool forked;
    struct cosign_fork fork;
};
struct sender { uint64_t second; unsigned checks; };
struct notarized { uint64_t view, wall_ms; };

struct cosign {
    struct cosign_config config;
    struct cl_ed25519_key log_key, witness_key; /* not an observer's */
    size_t quorum;
    struct member *members;
    struct sender *senders;
    size_t tree_count, notarized_count;
    struct cosign_tree trees[COSIGN_TREES_MAX]; /* ascending */
    struct cosign_tree signed_tree;             /* the last that was signed here */
    struct notarized notarized[COSIGN_NOTARIZED_MAX];
    uint64_t kept_size, kept_time_s, fork_count;
    struct cl_checkpoint decoded;               /* the note at hand */
};

enum cl_status cosign_new(struct cosign **out, const struct cosign_config *config)
{
    assert(config->member_count > 0 && config->member_count <= CL_MEMBERS_MAX && config->peer_count >= config->member_count);
    assert(config->own < config->member_count || config->own == COSIGN_OBSERVER);
    struct cosign *cosign = calloc(1, sizeof *cosign);
    if (cosign == NULL) return CL_E_MEMORY;
    cosign->config = *config;
    cosign->quorum = cl_quorum(config->member_count);
    if (config->own != COSIGN_OBSERVER) {
        cl_ed25519_key_make(&cosign->log_key, config->log_seed32);
        cl_ed25519_key_make(&cosign->witness_key, config->witness_seed32);
    }
    cosign->members = calloc(config->member_count, sizeof *cosign->members);
    cosign->senders = calloc(config->peer_count, sizeof *cosign->senders);
    enum cl_status status = cosign->members != NULL && cosign->senders != NULL ? CL_OK : CL_E_MEMORY;
    for (size_t i = 0; i < config->member_count && status == CL_OK; i++) {
        status = cl_witness_key_make(&cosign->members[i].witness, config->origin, config->members[i].name, config->members[i].witness);
        cl_note_key_make(&cosign->members[i].log, config->origin, CL_NOTE_ED25519, config->members[i].log);
    }
    if (status != CL_OK) {
        cosign_free(cosign);
        return status;
    }
    *out = cosign;
    return CL_OK;
}

void cosign_free(struct cosign *cosign)
{
    if (cosign == NULL) return;
    free(cosign->members);
    free(cosign->senders);
    cl_wipe(&cosign->log_key, sizeof cosign->log_key);
    cl_wipe(&cosign->witness_key, sizeof cosign->witness_key);
    free(cosign);
}

/* ---- what members signed */
static bool same_root(const struct cl_hash *a, const struct cl_hash *b) { return memcmp(a->bytes, b->bytes, 32) == 0; }

/* Where the entry for this size is, or belongs. */
static size_t place_of(const struct member *member, uint64_t size)
{
    size_t at = member->count;
    while (at > 0 && member->entries[at - 1].size >= size) at--;
    return at;
}

static struct entry *find_entry(struct member *member, uint64_t size)
{
    size_t at = place_of(member, size);
    return at < member->count && member->entries[at].size == size ? &member->entries[at] : NULL;
}

static void put_entry(struct member *member, const struct entry *entry)
{
    struct entry *there = find_entry(member, entry->size);
    if (there != NULL) {
        bool has_log = there->has_log && !entry->has_log;
        uint8_t log_signature[64];
        memcpy(log_signature, there->log_signature, 64);
        *there = *entry;
        if (has_log) memcpy(there->log_signature, log_signature, 64);
        there->has_log = has_log || entry->has_log;
        return;
    }
    if (member->count == COSIGN_ENTRIES_MAX) {
        assert(entry->size > member->entries[0].size); /* the smallest goes; smaller ones were passed over */
        memmove(member->entries, member->entries + 1, --member->count * sizeof member->entries[0]);
    }
    size_t at = place_of(member, entry->size);
    memmove(&member->entries[at + 1], &member->entries[at], (member->count - at) * sizeof member->entries[0]);
    member->entries[at] = *entry;
    member->count++;
}

static void take_fork(struct cosign *cosign, struct member *member, const struct entry *entry, const struct cl_hash *known)
{
    cosign->fork_count++;
    if (member->forked) return;
    member->forked = true;
    member->fork = (struct cosign_fork){ .size = entry->size, .time_s = entry->time_s, .known_root = *known, .signed_root = entry->root };
    memcpy(member->fork.signature, entry->signature, 64);
}

const struct cosign_fork *cosign_fork(const struct cosign *cosign, size_t member)
{
    assert(member < cosign->config.member_count);
    return cosign->members[member].forked ? &cosign->members[member].fork : NULL;
}

uint64_t cosign_fork_count(const struct cosign *cosign) { return cosign->fork_count; }

/* ---- final trees */
static const struct cosign_tree *newest_tree(const struct cosign *cosign)
{
    assert(cosign->tree_count > 0);
    return &cosign->trees[cosign->tree_count - 1];
}

static const struct cosign_tree *find_tree(const struct cosign *cosign, uint64_t size)
{
    for (size_t i = cosign->tree_count; i-- > 0 && cosign->trees[i].size >= size;)
        if (cosign->trees[i].size == size) return &cosign->trees[i];
    return NULL;
}

void cosign_final(struct cosign *cosign, const struct cosign_tree *tree)
{
    assert(cosign->tree_count == 0 || tree->size > newest_tree(cosign)->size);
    if (cosign->tree_count == COSIGN_TREES_MAX) memmove(cosign->trees, cosign->trees + 1, --cosign->tree_count * sizeof cosign->trees[0]);
    cosign->trees[cosign->tree_count++] = *tree;
    size_t left = 0;
    for (size_t i = 0; i < cosign->notarized_count; i++)
        if (cosign->notarized[i].view > tree->view) cosign->notarized[left++] = cosign->notarized[i];
    cosign->notarized_count = left;
    for (size_t i = 0; i < cosign->config.member_count; i++) {
        struct member *member = &cosign->members[i];
        struct entry *entry = find_entry(member, tree->size);
        if (entry == NULL || same_root(&entry->root, &tree->root)) continue;
        take_fork(cosign, member, entry, &tree->root);
        size_t at = (size_t)(entry - member->entries);
        memmove(entry, entry + 1, (--member->count - at) * sizeof *entry);
    }
}

void cosign_notarized(struct cosign *cosign, uint64_t view, uint64_t wall_ms)
{
    if (cosign->tree_count > 0 && view <= newest_tree(cosign)->view) return;
    for (size_t i = 0; i < cosign->notarized_count; i++)
        if (cosign->notarized[i].view >= view && cosign->notarized[i].wall_ms <= wall_ms) return; /* says as much already */
    if (cosign->notarized_count == COSIGN_NOTARIZED_MAX) {
        struct notarized *last = &cosign->notarized[COSIGN_NOTARIZED_MAX - 1];
        if (view > last->view) last->view = view;
        if (wall_ms < last->wall_ms) last->wall_ms = wall_ms;
        return;
    }
    cosign->notarized[cosign->notarized_count++] = (struct notarized){ view, wall_ms };
}

/* ---- signing */
bool cosign_signed(const struct cosign *cosign) { return cosign->config.own != COSIGN_OBSERVER && cosign_has(cosign, cosign->config.own); }

/* ledger.md "Checkpoint": never with a time later than when it first held a notarization above that tree */
static uint64_t latest_time_s(const struct cosign *cosign, uint64_t wall_ms)
{
    for (size_t i = 0; i < cosign->notarized_count; i++)
        if (cosign->notarized[i].wall_ms < wall_ms) wall_ms = cosign->notarized[i].wall_ms;
    return wall_ms / 1000;
}

static enum cl_status append_line(struct cl_buffer *out, const struct cl_note_key *key, const struct entry *entry)
{
    uint8_t blob[72];
    for (size_t i = 0; i < 8; i++) blob[i] = (uint8_t)(entry->time_s >> (56 - 8 * i));
    memcpy(blob + 8, entry->signature, 64);
    return cl_note_line_encode(out, key->name, key->id, blob, sizeof blob);
}

/* Reads the signature back out of the line that checkpoint.c made: one place knows what is signed. */
static void read_line(uint8_t *signature, size_t length, const struct cl_buffer *text)
{
    struct cl_note_line line;
    enum cl_status status = cl_note_line_decode(&line, text->data, text->length - 1);
    assert(status == CL_OK && line.length == length);
    memcpy(signature, line.bytes, length);
}

static enum cl_status sign_entry(const struct cosign *cosign, struct cl_buffer *note, struct entry *entry)
{
    const struct cosign_config *config = &cosign->config;
    struct cl_buffer body = { 0 }, log_line = { 0 }, cosignature = { 0 };
    uint8_t blob[72];
    size_t start = note->length;
    enum cl_status status = cl_checkpoint_body(&body, config->origin, entry->size, &entry->root);
    struct cl_view view = { body.data, body.length };
    if (status == CL_OK) status = cl_checkpoint_sign_log(&log_line, &view, config->origin, &cosign->log_key);
    if (status == CL_OK) status = cl_checkpoint_cosign(&cosignature, &view, config->origin, config->members[config->own].name, entry->time_s, &cosign->witness_key);
    if (status == CL_OK) status = cl_buffer_append(note, body.data, body.length);
    if (status == CL_OK) status = cl_buffer_append(note, "\n", 1);
    if (status == CL_OK) status = cl_buffer_append(note, log_line.data, log_line.length);
    if (status == CL_OK) status = cl_buffer_append(note, cosignature.data, cosignature.length);
    if (status == CL_OK) {
        read_line(entry->log_signature, 64, &log_line);
        entry->has_log = true;
        read_line(blob, 72, &cosignature);
        memcpy(entry->signature, blob + 8, 64);
    } else {
        note->length = start;
    }
    cl_buffer_deinit(&cosignature);
    cl_buffer_deinit(&log_line);
    cl_buffer_deinit(&body);
    return status;
}

enum cl_status cosign_sign(struct cosign *cosign, struct cl_buffer *note, uint64_t wall_ms)
{
    assert(cosign->config.own != COSIGN_OBSERVER);
    const struct cosign_tree *tree = newest_tree(cosign);
    struct member *own = &cosign->members[cosign->config.own];
    const struct entry *before = find_entry(own, tree->size);
    struct entry entry = { .size = tree->size, .root = tree->root, .time_s = latest_time_s(cosign, wall_ms) };
    if (entry.time_s == 0 || (own->count > 0 && own->entries[own->count - 1].size > tree->size)) return CL_E_PENDING;
    if (before != NULL && before->time_s >= entry.time_s) return CL_E_EXISTS; /* times never go backwards for one tree */
    /* The tree only grows, and what was signed before is within it. */
    assert(tree->size >= cosign->signed_tree.size && (tree->size > cosign->signed_tree.size || same_root(&tree->root, &cosign->signed_tree.root)));
    enum cl_status status = sign_entry(cosign, note, &entry);
    if (status != CL_OK) return status;
    put_entry(own, &entry);
    cosign->signed_tree = *tree;
    return CL_OK;
}

/* ---- receiving */
static size_t witness_index(const struct cosign *cosign, const struct cl_checkpoint *note, size_t line)
{
    if (note->signatures[line].length != 72) return SIZE_MAX;
    for (size_t i = 0; i < cosign->config.member_count; i++)
        if (memcmp(cosign->members[i].witness.id, note->signatures[line].key_id, 4) == 0 && strcmp(cosign->members[i].witness.name, note->signatures[line].name) == 0) return i;
    return SIZE_MAX;
}

/* The log line of a member in the note, unchecked: an observer, which has none, tries it, and cl_checkpoint_merge checks. */
static void find_log_line(struct entry *entry, const struct member *member, const struct cl_checkpoint *note)
{
    for (size_t i = 0; i < note->signature_count && !entry->has_log; i++) {
        if (note->signatures[i].length != 64 || memcmp(member->log.id, note->signatures[i].key_id, 4) != 0 || strcmp(member->log.name, note->signatures[i].name) != 0) continue;
        memcpy(entry->log_signature, note->signatures[i].bytes, 64);
        entry->has_log = true;
    }
}

static bool may_check(struct sender *sender, uint64_t wall_ms)
{
    if (sender->second != wall_ms / 1000) *sender = (struct sender){ .second = wall_ms / 1000 };
    return sender->checks++ < COSIGN_CHECKS_MAX;
}

/* One member's line of a note. checked: by whom it was sent, NULL where it is known to hold. */
static enum cosign_verdict take_line(struct cosign *cosign, size_t index, size_t line, struct sender *checked, uint64_t wall_ms)
{
    const struct cl_checkpoint *note = &cosign->decoded;
    struct member *member = &cosign->members[index];
    struct entry entry = { .size = note->size, .root = note->root, .time_s = cl_cosignature_time(note->signatures[line].bytes) };
    const struct cosign_tree *tree = find_tree(cosign, note->size);
    const struct entry *before = find_entry(member, note->size);
    const struct cl_hash *known = tree != NULL ? &tree->root : before != NULL ? &before->root : NULL;
    bool contradicts = known != NULL && !same_root(known, &note->root);
    if (!contradicts && before != NULL && before->time_s >= entry.time_s) return COSIGN_KNOWN;
    if (!contradicts && member->count == COSIGN_ENTRIES_MAX && before == NULL && note->size < member->entries[0].size) return COSIGN_OLD;
    if (checked != NULL) {
        uint64_t time_s;
        if (entry.time_s > wall_ms / 1000 + COSIGN_AHEAD_S_MAX) return COSIGN_AHEAD;
        if (!may_check(checked, wall_ms)) return COSIGN_BOUNDED;
        if (!cl_note_signature_holds(&time_s, &member->witness, note->signatures[line].bytes, 72, &note->body)) return COSIGN_BAD;
    }
    memcpy(entry.signature, note->signatures[line].bytes + 8, 64);
    if (contradicts) {
        take_fork(cosign, member, &entry, known);
        return COSIGN_FORK;
    }
    if (cosign->config.own == COSIGN_OBSERVER) find_log_line(&entry, member, note);
    put_entry(member, &entry);
    return COSIGN_COUNTED;
}

void cosign_receive(struct cosign *cosign, struct cosign_received *out, size_t sender, const uint8_t *note, size_t length, uint64_t wall_ms)
{
    assert(sender < cosign->config.peer_count);
    struct cl_checkpoint *decoded = &cosign->decoded;
    *out = (struct cosign_received){ .verdict = COSIGN_BAD };
    if (cl_checkpoint_decode(decoded, note, length) != CL_OK || strcmp(decoded->origin, cosign->config.origin) != 0) return;
    out->size = decoded->size;
    bool any = false;
    enum cosign_verdict verdict = COSIGN_OLD;
    const struct cosign_tree *tree = find_tree(cosign, decoded->size);
    bool contradicts = tree != NULL && !same_root(&tree->root, &decoded->root);
    /* Too old to matter: smaller than what is served, or than any tree that is remembered. A lie about one that is, matters. */
    bool old = !contradicts && (decoded->size < cosign->kept_size || (tree == NULL && cosign->tree_count > 0 && decoded->size < newest_tree(cosign)->size));
    for (size_t i = 0; i < decoded->signature_count; i++) {
        size_t index = witness_index(cosign, decoded, i);
        if (index == SIZE_MAX) continue;
        any = true;
        out->cosignatures++;
        if (old) continue;
        enum cosign_verdict line = take_line(cosign, index, i, &cosign->senders[sender], wall_ms);
        if (line > verdict) verdict = line;
        if (verdict >= COSIGN_BOUNDED) break; /* nothing more from such a note */
    }
    if (any) out->verdict = verdict;
}

/* ---- quorum */
static int later_first(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? 1 : left > right ? -1 : 0;
}

/* The smallest of the q newest times under a tree; false: there are fewer. */
static bool quorum_time(const struct cosign *cosign, uint64_t *time_s, uint64_t size, const struct cl_hash *root)
{
    uint64_t times[CL_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < cosign->config.member_count; i++) {
        const struct entry *entry = find_entry(&cosign->members[i], size);
        if (entry != NULL && same_root(&entry->root, root)) times[count++] = entry->time_s;
    }
    if (count < cosign->quorum) return false;
    qsort(times, count, sizeof times[0], later_first);
    *time_s = times[cosign->quorum - 1];
    return true;
}

bool cosign_has(const struct cosign *cosign, size_t member)
{
    assert(member < cosign->config.member_count);
    const struct entry *entry = find_entry(&cosign->members[member], newest_tree(cosign)->size);
    return entry != NULL && same_root(&entry->root, &newest_tree(cosign)->root);
}

enum cosign_readiness cosign_ready(const struct cosign *cosign, struct cosign_tree *tree)
{
    for (size_t i = cosign->tree_count; i-- > 0 && cosign->trees[i].size >= cosign->kept_size;) {
        uint64_t time_s;
        if (!quorum_time(cosign, &time_s, cosign->trees[i].size, &cosign->trees[i].root)) continue;
        *tree = cosign->trees[i];
        if (tree->size > cosign->kept_size) return COSIGN_LARGER;
        return time_s > cosign->kept_time_s ? COSIGN_FRESHER : COSIGN_NOTHING;
    }
    return COSIGN_NOTHING;
}

static enum cl_status append_log_line(struct cosign *cosign, struct cl_buffer *out, const struct cl_view *body, size_t index, const struct cosign_tree *tree)
{
    const struct member *member = &cosign->members[index];
    const struct entry *entry = find_entry(&cosign->members[index], tree->size);
    if (entry != NULL && entry->has_log && same_root(&entry->root, &tree->root)) return cl_note_line_encode(out, member->log.name, member->log.id, entry->log_signature, 64);
    if (index != cosign->config.own) return CL_E_SIGNATURE;
    return cl_checkpoint_sign_log(out, body, cosign->config.origin, &cosign->log_key); /* not cosigned here, and final all the same */
}

static enum cl_status merge_as(struct cosign *cosign, struct cl_buffer *note, size_t index, const struct cosign_tree *tree)
{
    struct cl_buffer body = { 0 }, text = { 0 };
    struct cl_view views[CL_MEMBERS_MAX + 1];
    size_t ends[CL_MEMBERS_MAX + 1], count = 0;
    enum cl_status status = cl_checkpoint_body(&body, cosign->config.origin, tree->size, &tree->root);
    struct cl_view body_view = { body.data, body.length };
    if (status == CL_OK) status = append_log_line(cosign, &text, &body_view, index, tree);
    ends[count++] = text.length;
    for (size_t i = 0; i < cosign->config.member_count && status == CL_OK; i++) {
        const struct entry *entry = find_entry(&cosign->members[i], tree->size);
        if (entry == NULL || !same_root(&entry->root, &tree->root)) continue;
        status = append_line(&text, &cosign->members[i].witness, entry);
        ends[count++] = text.length;
    }
    for (size_t i = 0; i < count; i++) {
        size_t start = i == 0 ? 0 : ends[i - 1];
        views[i] = (struct cl_view){ text.data + start, ends[i] - start };
    }
    /* Each line was checked when it came; but a log line that an observer goes by was not. */
    if (status == CL_OK) status = cl_checkpoint_merge(note, &body_view, cosign->config.origin, views, count, cosign->config.members, cosign->config.member_count, index, index == cosign->config.own);
    cl_buffer_deinit(&text);
    cl_buffer_deinit(&body);
    return status;
}

enum cl_status cosign_merge(struct cosign *cosign, struct cl_buffer *note, const struct cosign_tree *tree)
{
    if (cosign->config.own != COSIGN_OBSERVER) return merge_as(cosign, note, cosign->config.own, tree);
    enum cl_status status = CL_E_SIGNATURE;
    for (size_t i = 0; i < cosign->config.member_count && status == CL_E_SIGNATURE; i++) status = merge_as(cosign, note, i, tree);
    return status;
}

/* ---- what is kept */
uint64_t cosign_kept_size(const struct cosign *cosign) { return cosign->kept_size; }

static bool is_good(const struct cosign *cosign, const struct cl_checkpoint *note, size_t line, size_t index)
{
    uint64_t time_s;
    return cl_note_signature_holds(&time_s, &cosign->members[index].witness, note->signatures[line].bytes, 72, &note->body);
}

enum cl_status cosign_kept(struct cosign *cosign, const uint8_t *note, size_t length, bool known)
{
    struct cl_checkpoint *decoded = &cosign->decoded;
    enum cl_status status = cl_checkpoint_decode(decoded, note, length);
    if (status != CL_OK) return status;
    for (size_t i = 0; i < decoded->signature_count; i++) {
        size_t index = witness_index(cosign, decoded, i);
        if (index != SIZE_MAX && (known || is_good(cosign, decoded, i, index))) (void)take_line(cosign, index, i, NULL, 0);
    }
    cosign->kept_size = decoded->size;
    if (!quorum_time(cosign, &cosign->kept_time_s, decoded->size, &decoded->root)) cosign->kept_time_s = 0;
    return CL_OK;
}

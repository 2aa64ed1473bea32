/* Trust policies (C2SP tlog-policy): which logs and which witnesses a verifier believes, and how many of them it takes.
   A policy is a list of nodes (witnesses and groups) in the order of definition. As a group names only what stands
   above it, one pass over the list evaluates any nesting, without recursion. */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "block.h"
#include "consent/record.h"
#include "note.h"

struct node {
    struct cl_view name;             /* within the policy's text */
    bool is_witness, is_member;      /* is_member: of a group already; the specification allows one */
    struct cl_note_key key;          /* of a witness */
    size_t first_member, members, needed; /* of a group: a run of policy->members */
};

struct cl_policy {
    uint8_t *text;                   /* own copy: names point into it */
    size_t log_count, node_count, member_count, log_capacity, node_capacity;
    struct cl_note_key *logs;
    struct node *nodes;
    size_t members[CL_POLICY_ENTRIES_MAX]; /* indexes of nodes; each node at most once */
    bool has_quorum;
    size_t quorum;                   /* index of a node, or QUORUM_NONE */
};
#define QUORUM_NONE SIZE_MAX
/* A node without enough cosignatures; times are above it. (A time of 0 is legal, so times are kept plus one.) */
#define NOT_SIGNED 0u

void cl_policy_free(struct cl_policy *policy)
{
    if (policy == NULL)
        return;
    free(policy->logs);
    free(policy->nodes);
    free(policy->text);
    free(policy);
}

const struct cl_note_key *cl_policy_log(const struct cl_policy *policy, size_t index)
{
    return index < policy->log_count ? &policy->logs[index] : NULL;
}

/* ---- reading */

/* Takes the next word (bytes without space and tab) off the line; empty where there is none. */
static struct cl_view next_word(struct cl_view *line)
{
    size_t start = 0, end;
    while (start < line->length && (line->data[start] == ' ' || line->data[start] == '\t'))
        start++;
    for (end = start; end < line->length && line->data[end] != ' ' && line->data[end] != '\t';)
        end++;
    struct cl_view word = {line->data + start, end - start};
    line->data += end;
    line->length -= end;
    return word;
}

static bool is_word(struct cl_view word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.data, text, word.length) == 0;
}

/* Index of the node of that name, or SIZE_MAX. */
static size_t find_node(const struct cl_policy *policy, struct cl_view name)
{
    for (size_t i = 0; i < policy->node_count; i++)
        if (policy->nodes[i].name.length == name.length && memcmp(policy->nodes[i].name.data, name.data, name.length) == 0)
            return i;
    return SIZE_MAX;
}

/* Room for one element more, within the bound. */
static enum cl_status grow(void **array, size_t *capacity, size_t count, size_t size)
{
    if (count >= CL_POLICY_ENTRIES_MAX)
        return CL_E_BOUND;
    if (count < *capacity)
        return CL_OK;
    size_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *larger = realloc(*array, wanted * size);
    if (larger == NULL)
        return CL_E_MEMORY;
    *array = larger;
    *capacity = wanted;
    return CL_OK;
}

/* A new node under a name that is neither taken nor reserved. */
static enum cl_status add_node(struct cl_policy *policy, struct cl_view name)
{
    if (name.length == 0 || is_word(name, "none") || find_node(policy, name) != SIZE_MAX)
        return CL_E_POLICY;
    void *nodes = policy->nodes;
    enum cl_status status = grow(&nodes, &policy->node_capacity, policy->node_count, sizeof *policy->nodes);
    policy->nodes = nodes;
    if (status == CL_OK) {
        memset(&policy->nodes[policy->node_count], 0, sizeof *policy->nodes);
        policy->nodes[policy->node_count++].name = name;
    }
    return status;
}

/* log <vkey> [<url>] */
static enum cl_status read_log(struct cl_policy *policy, struct cl_view line)
{
    struct cl_note_key key;
    struct cl_view vkey = next_word(&line);
    (void)next_word(&line);
    if (next_word(&line).length != 0 || cl_note_key_decode(&key, (const char *)vkey.data, vkey.length) != CL_OK ||
        key.type != CL_NOTE_ED25519)
        return CL_E_POLICY;
    for (size_t i = 0; i < policy->log_count; i++)
        if (memcmp(policy->logs[i].public32, key.public32, 32) == 0)
            return CL_E_POLICY;
    void *logs = policy->logs;
    enum cl_status status = grow(&logs, &policy->log_capacity, policy->log_count, sizeof *policy->logs);
    policy->logs = logs;
    if (status == CL_OK)
        policy->logs[policy->log_count++] = key;
    return status;
}

/* witness <name> <vkey> [<url>] */
static enum cl_status read_witness(struct cl_policy *policy, struct cl_view line)
{
    struct cl_note_key key;
    struct cl_view name = next_word(&line), vkey = next_word(&line);
    (void)next_word(&line);
    if (next_word(&line).length != 0 || cl_note_key_decode(&key, (const char *)vkey.data, vkey.length) != CL_OK ||
        key.type != CL_NOTE_COSIGNATURE)
        return CL_E_POLICY;
    for (size_t i = 0; i < policy->node_count; i++)
        if (policy->nodes[i].is_witness && memcmp(policy->nodes[i].key.public32, key.public32, 32) == 0)
            return CL_E_POLICY;
    enum cl_status status = add_node(policy, name);
    if (status == CL_OK) {
        policy->nodes[policy->node_count - 1].is_witness = true;
        policy->nodes[policy->node_count - 1].key = key;
    }
    return status;
}

/* How many of a group's members it takes: any, all, or a number from 1 to members. */
static bool read_needed(size_t *needed, struct cl_view word, size_t members)
{
    size_t value = 0;
    if (is_word(word, "any") || is_word(word, "all")) {
        *needed = is_word(word, "any") ? 1 : members;
        return true;
    }
    if (word.length == 0 || word.length > 4 || word.data[0] == '0')
        return false;
    for (size_t i = 0; i < word.length; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        value = value * 10 + (size_t)(word.data[i] - '0');
    }
    *needed = value;
    return value <= members;
}

/* group <name> <all|any|k> <name>... */
static enum cl_status read_group(struct cl_policy *policy, struct cl_view line)
{
    struct cl_view name = next_word(&line), threshold = next_word(&line), word;
    size_t first = policy->member_count, needed = 0;
    while ((word = next_word(&line)).length != 0) {
        size_t index = find_node(policy, word);
        /* once in all: each witness contributes to the quorum in only one way */
        if (index == SIZE_MAX || policy->nodes[index].is_member)
            return CL_E_POLICY;
        assert(policy->member_count < CL_POLICY_ENTRIES_MAX); /* each node is a member at most once */
        policy->nodes[index].is_member = true;
        policy->members[policy->member_count++] = index;
    }
    if (policy->member_count == first || !read_needed(&needed, threshold, policy->member_count - first))
        return CL_E_POLICY;
    enum cl_status status = add_node(policy, name);
    if (status == CL_OK) {
        struct node *group = &policy->nodes[policy->node_count - 1];
        group->first_member = first;
        group->members = policy->member_count - first;
        group->needed = needed;
    }
    return status;
}

/* quorum <name> */
static enum cl_status read_quorum(struct cl_policy *policy, struct cl_view line)
{
    struct cl_view name = next_word(&line);
    if (policy->has_quorum || name.length == 0 || next_word(&line).length != 0)
        return CL_E_POLICY;
    policy->quorum = is_word(name, "none") ? QUORUM_NONE : find_node(policy, name);
    policy->has_quorum = true;
    return policy->quorum == SIZE_MAX && !is_word(name, "none") ? CL_E_POLICY : CL_OK;
}

static enum cl_status read_line(struct cl_policy *policy, struct cl_view line)
{
    for (size_t i = 0; i < line.length; i++) /* the newline is not part of the line */
        if ((line.data[i] < 0x20 && line.data[i] != '\t') || line.data[i] == 0x7f)
            return CL_E_POLICY;
    struct cl_view word = next_word(&line);
    if (word.length == 0 || word.data[0] == '#')
        return CL_OK;
    if (is_word(word, "log"))
        return read_log(policy, line);
    if (is_word(word, "witness"))
        return read_witness(policy, line);
    if (is_word(word, "group"))
        return read_group(policy, line);
    return is_word(word, "quorum") ? read_quorum(policy, line) : CL_E_POLICY;
}

enum cl_status cl_policy_new(struct cl_policy **out, size_t *bad_line, const uint8_t *text, size_t length)
{
    struct cl_policy *policy = NULL;
    enum cl_status status = CL_OK;
    size_t line_number = 0, at = 0;
    if (length > CL_POLICY_BYTES_MAX) {
        status = CL_E_BOUND;
        goto out;
    }
    policy = calloc(1, sizeof *policy);
    if (policy == NULL || (policy->text = malloc(length + 1)) == NULL) {
        status = CL_E_MEMORY;
        goto out;
    }
    if (length > 0)
        memcpy(policy->text, text, length);
    while (at < length && status == CL_OK) {
        const uint8_t *end = memchr(policy->text + at, '\n', length - at);
        size_t line_length = end == NULL ? length - at : (size_t)(end - policy->text) - at;
        line_number++;
        status = read_line(policy, (struct cl_view){policy->text + at, line_length});
        at += line_length + 1;
    }
    if (status == CL_OK && !policy->has_quorum) {
        line_number = 0; /* no line is at fault; one is missing */
        status = CL_E_POLICY;
    }
out:
    if (bad_line != NULL)
        *bad_line = status == CL_OK ? 0 : line_number;
    if (status != CL_OK) {
        cl_policy_free(policy);
        policy = NULL;
    }
    *out = policy;
    return status;
}

/* ---- checking */

/* True if one of the checkpoint's signatures is a log's of this policy. */
static bool log_signed(const struct cl_policy *policy, uint32_t *checks, const struct cl_checkpoint *checkpoint)
{
    uint64_t unused;
    for (size_t i = 0; i < checkpoint->signature_count; i++) {
        for (size_t k = 0; k < policy->log_count; k++) {
            const struct cl_note_key *key = &policy->logs[k];
            if (checkpoint->signatures[i].length != 64 || memcmp(checkpoint->signatures[i].key_id, key->id, 4) != 0 ||
                strcmp(checkpoint->signatures[i].name, key->name) != 0 || strcmp(key->name, checkpoint->origin) != 0)
                continue;
            ++*checks;
            if (cl_note_signature_holds(&unused, key, checkpoint->signatures[i].bytes, 64, &checkpoint->body))
                return true;
        }
    }
    return false;
}

/* Time + 1 of the witness' newest cosignature that holds, or NOT_SIGNED. */
static uint64_t newest_cosignature(const struct cl_note_key *key, uint32_t *checks, const struct cl_checkpoint *checkpoint)
{
    uint64_t newest = NOT_SIGNED, time_s;
    for (size_t i = 0; i < checkpoint->signature_count; i++) {
        if (checkpoint->signatures[i].length != 72 || memcmp(checkpoint->signatures[i].key_id, key->id, 4) != 0 ||
            strcmp(checkpoint->signatures[i].name, key->name) != 0)
            continue;
        if (newest != NOT_SIGNED && cl_cosignature_time(checkpoint->signatures[i].bytes) < newest)
            continue; /* not newer than what holds already: no need to check it */
        ++*checks;
        if (cl_note_signature_holds(&time_s, key, checkpoint->signatures[i].bytes, 72, &checkpoint->body))
            newest = time_s + 1;
    }
    return newest;
}

static int descending(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left > right ? -1 : left < right;
}

/* A group of threshold k is witnessed since the k-th newest of its members: the largest T such that k of them are
   witnessed by cosignatures of T or later. Applied from the inside out, that holds for nested groups as well. */
static uint64_t group_time(const struct cl_policy *policy, const struct node *group, const uint64_t *times, size_t *signed_count)
{
    uint64_t sorted[CL_POLICY_ENTRIES_MAX];
    *signed_count = 0;
    assert(group->needed > 0 && group->needed <= group->members);
    for (size_t i = 0; i < group->members; i++) {
        sorted[i] = times[policy->members[group->first_member + i]];
        *signed_count += sorted[i] != NOT_SIGNED;
    }
    qsort(sorted, group->members, sizeof sorted[0], descending);
    return sorted[group->needed - 1];
}

/* Is the checkpoint of a log of this policy? A policy without logs is for callers who know the log otherwise. */
static bool of_our_log(const struct cl_policy *policy, const struct cl_checkpoint *checkpoint)
{
    for (size_t i = 0; i < policy->log_count; i++)
        if (strcmp(policy->logs[i].name, checkpoint->origin) == 0)
            return true;
    return policy->log_count == 0;
}

static void add_signer(struct cl_quorum_report *report, struct cl_view name)
{
    if (report->signer_count == CL_SIGNATURES_MAX)
        return;
    char *out = report->signers[report->signer_count++];
    size_t length = name.length < CL_MEMBER_NAME_BYTES_MAX ? name.length : CL_MEMBER_NAME_BYTES_MAX;
    memcpy(out, name.data, length);
    out[length] = '\0';
}

enum cl_status cl_policy_check_counting(struct cl_quorum_report *report, uint32_t *checks, const struct cl_policy *policy, const struct cl_checkpoint *checkpoint)
{
    uint64_t times[CL_POLICY_ENTRIES_MAX];
    uint32_t checked = 0;
    bool quorum_met = policy->quorum == QUORUM_NONE;
    report->witnesses = report->signed_count = report->needed = report->signer_count = 0;
    report->log_signed = false;
    report->as_of_s = 0;
    if (!of_our_log(policy, checkpoint))
        return CL_E_CHECKPOINT;
    report->log_signed = log_signed(policy, &checked, checkpoint);
    for (size_t i = 0; i < policy->node_count; i++) {
        const struct node *node = &policy->nodes[i];
        size_t signed_count = 0;
        if (node->is_witness) {
            times[i] = newest_cosignature(&node->key, &checked, checkpoint);
            signed_count = times[i] != NOT_SIGNED;
            if (times[i] != NOT_SIGNED)
                add_signer(report, node->name);
        } else {
            times[i] = group_time(policy, node, times, &signed_count);
        }
        if (i == policy->quorum) {
            report->witnesses = node->is_witness ? 1 : node->members;
            report->needed = node->is_witness ? 1 : node->needed;
            report->signed_count = signed_count;
            quorum_met = times[i] != NOT_SIGNED;
            report->as_of_s = quorum_met ? times[i] - 1 : 0;
        }
    }
    if (checks != NULL)
        *checks += checked;
    /* "signed by any one of the listed logs, and cosigned by witnesses according to the quorum" */
    return quorum_met && (report->log_signed || policy->log_count == 0) ? CL_OK : CL_E_QUORUM;
}

enum cl_status cl_policy_check(struct cl_quorum_report *report, const struct cl_policy *policy, const struct cl_checkpoint *checkpoint)
{
    return cl_policy_check_counting(report, NULL, policy, checkpoint);
}

/* ---- the consortium's own policy */

static enum cl_status append_text(struct cl_buffer *out, const char *text)
{
    return cl_buffer_append(out, text, strlen(text));
}

/* first, key, last */
static enum cl_status append_key(struct cl_buffer *out, const char *first, const struct cl_note_key *key)
{
    enum cl_status status = append_text(out, first);
    if (status == CL_OK)
        status = cl_note_key_encode(out, key);
    return status == CL_OK ? append_text(out, "\n") : status;
}

static enum cl_status append_member(struct cl_buffer *out, const char *origin, const struct cl_member *member)
{
    struct cl_note_key key;
    char first[CL_MEMBER_NAME_BYTES_MAX + 16];
    struct cl_view name = {(const uint8_t *)member->name, strlen(member->name)};
    /* names that the policy's own words take */
    if (!cl_note_name_valid(member->name, name.length) || member->name[0] == '#' || is_word(name, "none") || is_word(name, "consortium"))
        return CL_E_ARGUMENT;
    cl_note_key_make(&key, origin, CL_NOTE_ED25519, member->log);
    enum cl_status status = append_key(out, "log ", &key);
    if (status == CL_OK)
        status = cl_witness_key_make(&key, origin, member->name, member->witness);
    if (status != CL_OK)
        return status;
    snprintf(first, sizeof first, "witness %s ", member->name);
    return append_key(out, first, &key);
}

enum cl_status cl_policy_of_members(struct cl_buffer *text, const char *origin, const struct cl_member *members, size_t count)
{
    char group[64];
    size_t start = text->length, origin_length = strlen(origin);
    if (count == 0 || count > CL_MEMBERS_MAX || origin_length > CL_ORIGIN_BYTES_MAX || !cl_note_name_valid(origin, origin_length))
        return CL_E_ARGUMENT;
    enum cl_status status = append_text(text, "# Whose signatures make a checkpoint of this ledger count: a C2SP tlog-policy.\n");
    for (size_t i = 0; i < count && status == CL_OK; i++)
        status = append_member(text, origin, &members[i]);
    snprintf(group, sizeof group, "group consortium %zu", cl_quorum(count));
    if (status == CL_OK)
        status = append_text(text, group);
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        status = append_text(text, " ");
        if (status == CL_OK)
            status = append_text(text, members[i].name);
    }
    if (status == CL_OK)
        status = append_text(text, "\nquorum consortium\n");
    if (status != CL_OK)
        text->length = start;
    return status;
}

enum cl_status cl_policy_new_of_members(struct cl_policy **out, const char *origin, const struct cl_member *members, size_t count)
{
    struct cl_buffer text = {0};
    *out = NULL;
    enum cl_status status = cl_policy_of_members(&text, origin, members, count);
    if (status == CL_OK)
        status = cl_policy_new(out, NULL, text.data, text.length);
    cl_buffer_deinit(&text);
    return status;
}

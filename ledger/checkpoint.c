/* Checkpoints (C2SP tlog-checkpoint): three lines of text, an empty line, signature lines. Reads those of others, and
   makes and merges the signature lines of a consortium's members. */
#include "checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "block.h"
#include "consent/record.h"
#include "crypto.h"
#include "note.h"

/* The three lines; rest is left after the body. */
static enum cl_status decode_body(struct cl_checkpoint *out, struct cl_view *rest)
{
    struct cl_view origin, size, root;
    size_t decoded;
    const uint8_t *start = rest->data;
    if (!cl_note_next_line(&origin, rest) || !cl_note_next_line(&size, rest) || !cl_note_next_line(&root, rest))
        return CL_E_CHECKPOINT;
    if (origin.length == 0)
        return CL_E_CHECKPOINT;
    if (origin.length > CL_ORIGIN_BYTES_MAX)
        return CL_E_BOUND;
    memcpy(out->origin, origin.data, origin.length);
    out->origin[origin.length] = '\0';
    if (!cl_note_decimal(&out->size, size))
        return CL_E_CHECKPOINT;
    if (!cl_base64_decode(out->root.bytes, 32, &decoded, (const char *)root.data, root.length) || decoded != 32)
        return CL_E_CHECKPOINT;
    out->body = (struct cl_view){start, (size_t)(rest->data - start)};
    return CL_OK;
}

enum cl_status cl_checkpoint_decode(struct cl_checkpoint *out, const uint8_t *note, size_t length)
{
    struct cl_view rest = {note, length}, line;
    struct cl_note_line signature;
    size_t lines = 0;
    out->signature_count = 0;
    if (length > CL_CHECKPOINT_BYTES_MAX)
        return CL_E_BOUND;
    if (!cl_note_text_valid(note, length))
        return CL_E_CHECKPOINT;
    enum cl_status status = decode_body(out, &rest);
    if (status != CL_OK)
        return status;
    /* ours have no extension lines: consensus on them cannot be assumed */
    if (!cl_note_next_line(&line, &rest) || line.length != 0 || rest.length == 0)
        return CL_E_CHECKPOINT;
    while (rest.length > 0) {
        if (++lines > CL_SIGNATURES_MAX)
            return CL_E_BOUND;
        if (!cl_note_next_line(&line, &rest))
            return CL_E_CHECKPOINT;
        status = cl_note_line_decode(&signature, line.data, line.length);
        if (status != CL_OK)
            return status;
        /* what no key of ours can have made is left out: it would be ignored anyway */
        if (signature.length == 0 || signature.name.length > CL_NOTE_NAME_BYTES_MAX)
            continue;
        size_t at = out->signature_count++;
        memcpy(out->signatures[at].name, signature.name.data, signature.name.length);
        out->signatures[at].name[signature.name.length] = '\0';
        memcpy(out->signatures[at].key_id, signature.key_id, 4);
        out->signatures[at].length = signature.length;
        memcpy(out->signatures[at].bytes, signature.bytes, signature.length);
    }
    return CL_OK;
}

enum cl_status cl_checkpoint_body(struct cl_buffer *out, const char *origin, uint64_t size, const struct cl_hash *root)
{
    char text[CL_ORIGIN_BYTES_MAX + 128], hash[CL_BASE64_LENGTH(32)];
    size_t length = strlen(origin);
    /* the origin is also the name of a key, so the stricter rules of names hold for ours */
    if (length > CL_ORIGIN_BYTES_MAX || !cl_note_name_valid(origin, length))
        return CL_E_ARGUMENT;
    cl_base64_encode(hash, root->bytes, 32);
    int written = snprintf(text, sizeof text, "%s\n%" PRIu64 "\n%.*s\n", origin, size, (int)sizeof hash, hash);
    assert(written > 0 && (size_t)written < sizeof text);
    return cl_buffer_append(out, text, (size_t)written);
}

enum cl_status cl_checkpoint_sign_log(struct cl_buffer *out, const struct cl_view *body, const char *origin, const struct cl_ed25519_key *log_key)
{
    struct cl_note_key key;
    uint8_t signature[64];
    if (strlen(origin) > CL_ORIGIN_BYTES_MAX)
        return CL_E_ARGUMENT;
    cl_note_key_make(&key, origin, CL_NOTE_ED25519, log_key->public);
    cl_ed25519_key_sign(signature, log_key, body->data, body->length);
    return cl_note_line_encode(out, origin, key.id, signature, sizeof signature);
}

/* "origin/member", the name under which a member cosigns. */
static enum cl_status witness_name(char out[CL_NOTE_NAME_BYTES_MAX + 1], const char *origin, const char *member)
{
    if (strlen(origin) > CL_ORIGIN_BYTES_MAX || strlen(member) > CL_MEMBER_NAME_BYTES_MAX || member[0] == '\0')
        return CL_E_ARGUMENT;
    snprintf(out, CL_NOTE_NAME_BYTES_MAX + 1, "%s/%s", origin, member);
    return CL_OK;
}

enum cl_status cl_witness_key_make(struct cl_note_key *out, const char *origin, const char *member, const uint8_t witness32[32])
{
    char name[CL_NOTE_NAME_BYTES_MAX + 1];
    enum cl_status status = witness_name(name, origin, member);
    if (status == CL_OK)
        cl_note_key_make(out, name, CL_NOTE_COSIGNATURE, witness32);
    return status;
}

enum cl_status cl_checkpoint_cosign(struct cl_buffer *out, const struct cl_view *body, const char *origin, const char *member, uint64_t time_s, const struct cl_ed25519_key *witness_key)
{
    struct cl_note_key key;
    uint8_t signature[72];
    uint8_t message[CL_COSIGNED_BYTES_MAX];
    size_t length = 0;
    if (time_s > INT64_MAX)
        return CL_E_ARGUMENT;
    enum cl_status status = cl_witness_key_make(&key, origin, member, witness_key->public);
    if (status == CL_OK && !cl_cosigned_message(message, &length, time_s, body))
        status = CL_E_ARGUMENT;
    if (status != CL_OK)
        return status;
    for (size_t i = 0; i < 8; i++)
        signature[i] = (uint8_t)(time_s >> (56 - 8 * i));
    cl_ed25519_key_sign(signature + 8, witness_key, message, length);
    return cl_note_line_encode(out, key.name, key.id, signature, sizeof signature);
}

/* ---- merging */

struct cosigner { struct cl_view line; uint64_t time_s; size_t member; bool held; };

/* Newest first; members' order among equals, so that the result depends on nothing else. */
static int newest_first(const void *a, const void *b)
{
    const struct cosigner *left = a, *right = b;
    if (left->held != right->held)
        return left->held ? -1 : 1;
    if (left->time_s != right->time_s)
        return left->time_s > right->time_s ? -1 : 1;
    return left->member < right->member ? -1 : left->member > right->member;
}

/* Is this the line of that key, with a signature that holds, or is known to? */
static bool line_holds(const struct cl_note_line *line, const struct cl_note_key *key, const struct cl_view *body, bool known)
{
    uint64_t time_s;
    return strlen(key->name) == line->name.length && memcmp(key->name, line->name.data, line->name.length) == 0 && memcmp(key->id, line->key_id, 4) == 0 &&
           (known || cl_note_signature_holds(&time_s, key, line->bytes, line->length, body));
}

/* Takes one line into best (a cosignature) or own (our log line); what is neither, or does not hold, is passed over. */
static enum cl_status merge_line(struct cosigner *best, struct cl_view *own, const struct cl_view *view, const struct cl_view *body,
                                 const char *origin, const struct cl_member *members, size_t member_count, size_t own_member, bool known)
{
    struct cl_note_line line;
    struct cl_note_key key;
    size_t prefix = strlen(origin), length = view->length;
    if (length == 0 || view->data[length - 1] != '\n' || memchr(view->data, '\n', length) != view->data + length - 1 ||
        !cl_note_text_valid(view->data, length) || cl_note_line_decode(&line, view->data, length - 1) != CL_OK)
        return CL_E_CHECKPOINT;
    if (line.name.length == prefix && memcmp(line.name.data, origin, prefix) == 0) {
        cl_note_key_make(&key, origin, CL_NOTE_ED25519, members[own_member].log);
        if (line_holds(&line, &key, body, known))
            *own = *view;
        return CL_OK;
    }
    if (line.length != 72 || line.name.length <= prefix + 1 || memcmp(line.name.data, origin, prefix) != 0 || line.name.data[prefix] != '/')
        return CL_OK;
    for (size_t i = 0; i < member_count; i++) {
        size_t name_length = strlen(members[i].name);
        if (name_length != line.name.length - prefix - 1 || memcmp(members[i].name, line.name.data + prefix + 1, name_length) != 0)
            continue;
        if (best[i].held && best[i].time_s >= cl_cosignature_time(line.bytes))
            continue;
        enum cl_status status = cl_witness_key_make(&key, origin, members[i].name, members[i].witness);
        if (status != CL_OK)
            return status;
        if (line_holds(&line, &key, body, known))
            best[i] = (struct cosigner){*view, cl_cosignature_time(line.bytes), i, true};
    }
    return CL_OK;
}

enum cl_status cl_checkpoint_merge(struct cl_buffer *out, const struct cl_view *body, const char *origin, const struct cl_view *lines, size_t line_count, const struct cl_member *members, size_t member_count, size_t own_member, bool known)
{
    struct cosigner best[CL_MEMBERS_MAX];
    struct cl_view own = {NULL, 0};
    enum cl_status status = CL_OK;
    if (member_count == 0 || member_count > CL_MEMBERS_MAX || own_member >= member_count || strlen(origin) > CL_ORIGIN_BYTES_MAX)
        return CL_E_ARGUMENT;
    size_t quorum = cl_quorum(member_count);
    for (size_t i = 0; i < member_count; i++)
        best[i] = (struct cosigner){.member = i};
    for (size_t i = 0; i < line_count && status == CL_OK; i++)
        status = merge_line(best, &own, &lines[i], body, origin, members, member_count, own_member, known);
    if (status != CL_OK)
        return status;
    if (own.length == 0)
        return CL_E_SIGNATURE;
    qsort(best, member_count, sizeof best[0], newest_first);
    if (!best[quorum - 1].held)
        return CL_E_QUORUM;
    size_t start = out->length;
    status = cl_buffer_append(out, body->data, body->length);
    if (status == CL_OK)
        status = cl_buffer_append(out, "\n", 1);
    if (status == CL_OK)
        status = cl_buffer_append(out, own.data, own.length);
    for (size_t i = 0; i < quorum && status == CL_OK; i++)
        status = cl_buffer_append(out, best[i].line.data, best[i].line.length);
    if (status != CL_OK)
        out->length = start;
    return status;
}

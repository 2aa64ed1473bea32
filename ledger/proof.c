/* Checks a .consent-proof offline: nothing in the file is believed until the policy's quorum, hashes and signatures
   carry it. In this order, each step using only what those before it have established:

   1. Form: the whole file is read once, strictly, every count bounded; later steps only follow what was noted here.
   2. Boundaries, then the checkpoint itself, each: decoded; signed by the set in charge (the policy for the first, then
      the members that the boundary before it names); its state leaf shown to be the leaf at size - 1; one network, one
      origin, sizes rising, epochs rising by one; the members named are those that the state leaf commits to.
   3. State: the object's value, or its absence, under the state leaf's root.
   4. Records: each decodes for this network, lies in the log below the state leaf, concerns the object (or its TERMS)
      and carries its signer's signature; for an agreement they must together show what proof_records.c asks. A proof of
      absence, of the network's value or of an answer shows none.
   5. Age: as_of is the time that the quorum vouches for. A quorum from the future (more than CL_RECORD_AHEAD_MS_MAX) is
      refused as CL_E_PROOF where an age limit is asked for: one of the clocks is wrong, so no age can be told, and the
      age must not pass for small. A policy without witnesses vouches for no time: with a limit, such proofs are too old.

   Memory: no allocation but what a decoded record or a member set's policy needs, freed within the step. */
#include "cbor.h"
#include "block.h"
#include "checkpoint.h"
#include "crypto.h"
#include "log.h"
#include "policy.h"
#include "proof_build.h"
#include "proof_records.h"
#include "smt.h"
#include "state_form.h"

/* A list of hashes in the file: each is a CBOR byte string of 34 bytes (head 58 20), one after the other. */
#define HASH_ITEM_BYTES 34u
struct hash_list { const uint8_t *first; size_t count; };

struct boundary_form { struct cl_view checkpoint, state_leaf, members; struct hash_list path; };
struct record_form { struct cl_view bytes; uint64_t index; struct hash_list path; };
struct neighbour_form { bool present; const uint8_t *key_hash, *value_hash; struct hash_list siblings; };
/* Only the first *_count of the arrays are set. */
struct proof_form {
    struct cl_view checkpoint, state_leaf;
    struct hash_list path;
    const uint8_t *object;
    bool exists;
    struct cl_view value;
    struct hash_list siblings;
    struct neighbour_form left, right;
    size_t record_count, boundary_count;
    struct record_form records[CL_PROOF_RECORDS_MAX];
    struct boundary_form boundaries[CL_PROOF_BOUNDARIES_MAX];
};

/* ---- 1. form */

static struct hash_list read_hashes(struct cl_cbor_reader *reader, size_t max)
{
    struct hash_list list = {.count = cl_cbor_array_at_most(reader, max)};
    list.first = reader->at;
    for (size_t i = 0; i < list.count; i++)
        (void)cl_cbor_bytes_fixed(reader, 32);
    return list;
}

static void copy_hashes(struct cl_hash *out, const struct hash_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        memcpy(out[i].bytes, list->first + i * HASH_ITEM_BYTES + 2, 32);
}

static void read_neighbour(struct cl_cbor_reader *reader, struct neighbour_form *out)
{
    out->present = !cl_cbor_null(reader);
    if (!out->present)
        return;
    cl_cbor_array_fixed(reader, 3);
    out->key_hash = cl_cbor_bytes_fixed(reader, 32);
    out->value_hash = cl_cbor_bytes_fixed(reader, 32);
    out->siblings = read_hashes(reader, CL_SMT_DEPTH);
}

static void read_state_proof(struct cl_cbor_reader *reader, struct proof_form *out)
{
    cl_cbor_array_fixed(reader, 3);
    uint64_t kind = cl_cbor_uint(reader);
    out->exists = kind == 1;
    if (kind == 1) {
        out->value = cl_cbor_bytes(reader);
        if (out->value.length > CL_STATE_VALUE_BYTES_MAX)
            cl_cbor_fail(reader, CL_E_BOUND);
        out->siblings = read_hashes(reader, CL_SMT_DEPTH);
    } else if (kind == 2) {
        read_neighbour(reader, &out->left);
        read_neighbour(reader, &out->right);
    } else {
        cl_cbor_fail(reader, CL_E_FORMAT);
    }
}

static void read_boundary(struct cl_cbor_reader *reader, struct boundary_form *out)
{
    cl_cbor_array_fixed(reader, 4);
    out->checkpoint = cl_cbor_bytes(reader);
    out->state_leaf = cl_cbor_bytes(reader);
    out->path = read_hashes(reader, CL_LOG_PATH_MAX);
    out->members.data = reader->at;
    (void)cl_members_read(reader, NULL);
    out->members.length = (size_t)(reader->at - out->members.data);
}

static enum cl_status read_form(struct proof_form *out, const uint8_t *proof, size_t length)
{
    struct cl_cbor_reader reader;
    if (length > CL_PROOF_BYTES_MAX)
        return CL_E_BOUND;
    cl_cbor_reader_init(&reader, proof, length);
    cl_cbor_array_fixed(&reader, 8);
    if (cl_cbor_uint(&reader) != 1)
        cl_cbor_fail(&reader, CL_E_VERSION);
    out->checkpoint = cl_cbor_bytes(&reader);
    out->state_leaf = cl_cbor_bytes(&reader);
    out->path = read_hashes(&reader, CL_LOG_PATH_MAX);
    out->object = cl_cbor_bytes_fixed(&reader, 32);
    read_state_proof(&reader, out);
    out->record_count = cl_cbor_array_at_most(&reader, CL_PROOF_RECORDS_MAX);
    for (size_t i = 0; i < out->record_count; i++) {
        cl_cbor_array_fixed(&reader, 3);
        out->records[i].bytes = cl_cbor_bytes(&reader);
        out->records[i].index = cl_cbor_uint(&reader);
        out->records[i].path = read_hashes(&reader, CL_LOG_PATH_MAX);
    }
    out->boundary_count = cl_cbor_array_at_most(&reader, CL_PROOF_BOUNDARIES_MAX);
    for (size_t i = 0; i < out->boundary_count; i++)
        read_boundary(&reader, &out->boundaries[i]);
    return cl_cbor_finish(&reader);
}

/* ---- 2. checkpoints */

/* What a checkpoint that holds says. */
struct tree { char origin[CL_ORIGIN_BYTES_MAX + 1]; uint64_t size; struct cl_hash root; struct cl_state_leaf leaf; };

static enum cl_status check_inclusion(const struct tree *tree, uint64_t index, const struct cl_leaf_hash *leaf, const struct hash_list *list)
{
    struct cl_hash path[CL_LOG_PATH_MAX];
    copy_hashes(path, list);
    return cl_log_check_inclusion(&tree->root, tree->size, index, leaf, path, list->count);
}

static enum cl_status check_tree(struct tree *tree, struct cl_quorum_report *quorum, uint32_t *checks, const struct cl_policy *policy,
                                 struct cl_view note, struct cl_view state_leaf, const struct hash_list *path)
{
    struct cl_checkpoint checkpoint; /* large, and only filled as far as the note goes */
    struct cl_leaf_hash leaf;
    enum cl_status status = cl_checkpoint_decode(&checkpoint, note.data, note.length);
    if (status == CL_OK)
        status = cl_policy_check_counting(quorum, checks, policy, &checkpoint);
    if (status != CL_OK)
        return status;
    memcpy(tree->origin, checkpoint.origin, sizeof tree->origin);
    tree->size = checkpoint.size;
    tree->root = checkpoint.root;
    if (tree->size == 0)
        return CL_E_PROOF;
    cl_log_leaf_hash(&leaf, state_leaf.data, state_leaf.length);
    status = check_inclusion(tree, tree->size - 1, &leaf, path);
    return status == CL_OK ? cl_state_leaf_decode(&tree->leaf, state_leaf.data, state_leaf.length) : status;
}

/* The policy of the set that a boundary hands over to. */
static enum cl_status policy_after(struct cl_policy **out, const struct tree *tree, struct cl_view encoded)
{
    struct cl_member members[CL_MEMBERS_MAX];
    struct cl_cbor_reader reader;
    uint8_t hash[32];
    /* what was read strictly is the one canonical form, so its bytes are what the state leaf commits to */
    cl_sha256_once(hash, encoded.data, encoded.length);
    if (memcmp(hash, tree->leaf.member_set.bytes, 32) != 0)
        return CL_E_PROOF;
    cl_cbor_reader_init(&reader, encoded.data, encoded.length);
    size_t count = cl_members_read(&reader, members);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = cl_policy_new_of_members(out, tree->origin, members, count);
    return status == CL_OK || status == CL_E_MEMORY ? status : CL_E_PROOF;
}

static bool follows(const struct tree *before, const struct tree *tree)
{
    return strcmp(before->origin, tree->origin) == 0 && before->size < tree->size &&
           memcmp(before->leaf.network.bytes, tree->leaf.network.bytes, 32) == 0 &&
           before->leaf.height < tree->leaf.height && before->leaf.epoch + 1 == tree->leaf.epoch;
}

/* Boundaries and the checkpoint itself; tree and report's quorum are of the latter. */
static enum cl_status check_checkpoints(struct tree *tree, struct cl_verify_report *report, const struct proof_form *form, const struct cl_policy *policy)
{
    struct cl_policy *owned = NULL;
    struct tree before = {0};
    enum cl_status status = CL_OK;
    for (size_t i = 0; i <= form->boundary_count && status == CL_OK; i++) {
        const struct boundary_form *boundary = i < form->boundary_count ? &form->boundaries[i] : NULL;
        const struct cl_policy *in_charge = owned != NULL ? owned : policy;
        if (boundary == NULL)
            status = check_tree(tree, &report->quorum, &report->signature_checks, in_charge, form->checkpoint, form->state_leaf, &form->path);
        else
            status = check_tree(tree, &report->quorum, &report->signature_checks, in_charge, boundary->checkpoint, boundary->state_leaf, &boundary->path);
        if (status == CL_OK && i > 0 && !follows(&before, tree))
            status = CL_E_PROOF;
        if (status == CL_OK && boundary != NULL) {
            cl_policy_free(owned);
            owned = NULL;
            status = policy_after(&owned, tree, boundary->members);
            before = *tree;
        }
    }
    cl_policy_free(owned);
    return status;
}

/* ---- 3. state */

static enum cl_status check_absence(const struct cl_hash *root, const uint8_t key_hash[32], const struct proof_form *form)
{
    struct cl_hash left_siblings[CL_SMT_DEPTH], right_siblings[CL_SMT_DEPTH];
    struct cl_smt_neighbour left, right;
    if (form->left.present) {
        copy_hashes(left_siblings, &form->left.siblings);
        left = (struct cl_smt_neighbour){form->left.key_hash, form->left.value_hash, left_siblings, form->left.siblings.count};
    }
    if (form->right.present) {
        copy_hashes(right_siblings, &form->right.siblings);
        right = (struct cl_smt_neighbour){form->right.key_hash, form->right.value_hash, right_siblings, form->right.siblings.count};
    }
    if (!form->left.present && !form->right.present) /* the tree is never empty: it holds the network's value */
        return CL_E_PROOF;
    return cl_smt_check_absence(root, key_hash, form->left.present ? &left : NULL, form->right.present ? &right : NULL);
}

static enum cl_status check_state(const struct cl_hash *root, const struct proof_form *form)
{
    struct cl_hash siblings[CL_SMT_DEPTH];
    uint8_t key_hash[32], value_hash[32];
    cl_sha256_once(key_hash, form->object, 32);
    if (!form->exists)
        return check_absence(root, key_hash, form);
    cl_sha256_once(value_hash, form->value.data, form->value.length);
    copy_hashes(siblings, &form->siblings);
    return cl_smt_check_existence(root, key_hash, value_hash, siblings, form->siblings.count);
}

/* ---- 4. records */

static enum cl_status check_record(struct cl_act *act, uint32_t *checks, const struct record_form *form, const struct tree *tree,
                                   const struct cl_object_id *object, const uint8_t *terms32)
{
    struct cl_record record;
    /* below the state leaf: nothing else at or above it can be a record */
    if (form->index >= tree->size - 1)
        return CL_E_PROOF;
    enum cl_status status = cl_record_decode(&record, NULL, form->bytes.data, form->bytes.length, &tree->leaf.network);
    if (status != CL_OK)
        return status == CL_E_MEMORY ? status : CL_E_PROOF;
    status = cl_act_find(act, &record, form->index, object, terms32);
    if (status == CL_OK)
        status = check_inclusion(tree, form->index, &record.leaf_hash, &form->path);
    if (status == CL_OK) {
        ++*checks;
        status = cl_record_check_signature(&record) == CL_OK ? CL_OK : CL_E_SIGNATURE;
    }
    cl_record_deinit(&record);
    return status;
}

static enum cl_status check_records(struct cl_verify_report *report, const struct proof_form *form, const struct tree *tree)
{
    struct cl_act acts[CL_PROOF_RECORDS_MAX];
    bool agreement = report->exists && report->kind == CL_STATE_AGREEMENT;
    bool history = agreement || (report->exists && (report->kind == CL_STATE_TERMS || report->kind == CL_STATE_PROFILE));
    const uint8_t *terms32 = agreement && report->agreement.terms.present ? report->agreement.terms.bytes : NULL;
    if (!history && form->record_count > 0)
        return CL_E_PROOF;
    for (size_t i = 0; i < form->record_count; i++) {
        if (i > 0 && form->records[i].index <= form->records[i - 1].index)
            return CL_E_PROOF;
        enum cl_status status = check_record(&acts[i], &report->signature_checks, &form->records[i], tree, &report->object, terms32);
        if (status != CL_OK)
            return status;
        report->record_count++;
    }
    return agreement ? cl_acts_check_agreement(acts, form->record_count, &report->agreement) : CL_OK;
}

/* ---- verdict */

static enum cl_status judge_terms(const struct cl_terms *terms, uint64_t at_ms)
{
    if (terms->open == 0)
        return CL_E_CLOSED;
    if (terms->not_before.present && at_ms < 1000 * terms->not_before.seconds)
        return CL_E_NOT_YET;
    return terms->not_after.present && at_ms >= 1000 * terms->not_after.seconds ? CL_E_EXPIRED : CL_OK;
}

/* A state is no answer to what was the case before it: an amendment, a suspension that ended, may have come between. That
   an id is absent holds for all times before. */
static void judge_time(struct cl_verify_report *report, const struct cl_verify_options *options)
{
    report->since_ms = report->kind == CL_STATE_AGREEMENT ? report->agreement.head_ms : report->block_time_ms;
    if (options->at_present && options->at_ms < report->since_ms && report->verdict != CL_E_OBJECT_KIND)
        report->verdict = CL_E_BEFORE_PROOF;
}

static void report_owner(struct cl_verify_report *report, const uint8_t commitment32[32], const uint8_t key33[33])
{
    memcpy(report->commitment.bytes, commitment32, 32);
    memcpy(report->owner.bytes, key33, 33);
}

/* Decodes the value, which must be whole whatever its kind, and says what it is worth. */
static enum cl_status judge_value(struct cl_verify_report *report, struct cl_view value, uint64_t at_ms)
{
    union { struct cl_terms terms; struct cl_profile profile; struct cl_network network; struct cl_object_id answer; } other;
    enum cl_status status = cl_state_kind_of(&report->kind, value.data, value.length);
    if (status != CL_OK)
        return status;
    report->verdict = CL_OK;
    switch (report->kind) {
    case CL_STATE_AGREEMENT:
        status = cl_agreement_decode(&report->agreement, value.data, value.length);
        if (status == CL_OK) {
            report->verdict = cl_agreement_check(&report->agreement, 0, at_ms);
            memcpy(report->commitment.bytes, report->agreement.commitment, 32);
        }
        return status;
    case CL_STATE_TERMS:
        status = cl_terms_decode(&other.terms, value.data, value.length);
        if (status == CL_OK) {
            report->verdict = judge_terms(&other.terms, at_ms);
            report_owner(report, other.terms.commitment, other.terms.owner);
        }
        return status;
    case CL_STATE_PROFILE:
        status = cl_profile_decode(&other.profile, value.data, value.length);
        if (status == CL_OK)
            report_owner(report, other.profile.commitment, other.profile.key);
        return status;
    case CL_STATE_ANSWER: /* proven, and nothing that could be called active */
        report->verdict = CL_E_OBJECT_KIND;
        return cl_answer_decode(&other.answer, value.data, value.length);
    case CL_STATE_NETWORK:
        report->verdict = CL_E_OBJECT_KIND;
        return cl_network_decode(&other.network, value.data, value.length);
    }
    return CL_E_FORMAT;
}

static enum cl_status judge_age(const struct cl_verify_report *report, const struct cl_verify_options *options)
{
    if (options->max_age_ms == 0)
        return CL_OK;
    if (report->as_of_s > CL_SECONDS_MAX)
        return CL_E_PROOF;
    uint64_t as_of_ms = report->as_of_s * 1000;
    if (as_of_ms > options->now_ms)
        return as_of_ms - options->now_ms > CL_RECORD_AHEAD_MS_MAX ? CL_E_PROOF : CL_OK;
    return options->now_ms - as_of_ms > options->max_age_ms ? CL_E_PROOF_OLD : CL_OK;
}

static void report_tree(struct cl_verify_report *report, const struct tree *tree)
{
    memcpy(report->origin, tree->origin, sizeof report->origin);
    report->network = tree->leaf.network;
    report->height = tree->leaf.height;
    report->log_size = tree->size;
    report->block_time_ms = tree->leaf.time_ms;
    report->epoch = tree->leaf.epoch;
    report->as_of_s = report->quorum.as_of_s;
}

enum cl_status cl_proof_verify(struct cl_verify_report *report, const uint8_t *proof, size_t length,
                               const struct cl_policy *policy, const struct cl_verify_options *options)
{
    struct proof_form form;
    struct tree tree;
    memset(report, 0, sizeof *report);
    report->verdict = CL_E_NO_OBJECT; /* default is no */
    enum cl_status status = read_form(&form, proof, length);
    if (status != CL_OK)
        return status;
    memcpy(report->object.bytes, form.object, 32);
    status = check_checkpoints(&tree, report, &form, policy);
    if (status != CL_OK)
        return status;
    report_tree(report, &tree);
    status = check_state(&tree.leaf.state_root, &form);
    if (status != CL_OK)
        return status;
    report->exists = form.exists;
    if (form.exists)
        status = judge_value(report, form.value, options->at_present ? options->at_ms : options->now_ms);
    if (status == CL_OK && form.exists)
        judge_time(report, options);
    if (status == CL_OK)
        status = check_records(report, &form, &tree);
    if (status == CL_OK)
        status = judge_age(report, options);
    if (status != CL_OK && status != CL_E_PROOF_OLD)
        report->verdict = CL_E_NO_OBJECT;
    return status;
}

enum cl_status cl_consistency_verify(const struct cl_hash *root1, uint64_t size1, const struct cl_hash *root2, uint64_t size2, const struct cl_hash *path, size_t count)
{
    return cl_log_check_consistency(root1, size1, root2, size2, path, count);
}

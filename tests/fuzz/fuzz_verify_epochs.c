/* Trust that is carried from one set of members to the next, behind the signatures: each checkpoint of a chain is rightly
   signed by some set, and the input decides by which, what it says of itself and of its successor. The verifier must
   accept exactly the chains in which every set was named by the one before it and nothing else is out of step. */
#include "block.h"
#include "cbor.h"
#include "checkpoint.h"
#include "consent/record.h"
#include "crypto.h"
#include "log.h"
#include "proof_build.h"
#include "require.h"
#include "signing.h"

#define SETS 5u
#define LINKS_MAX 5u
#define MEMBERS 2u
#define TIME_S 1800000000ull

static const char *const origins[] = {"epochs.example/log", "other.example/log"};
static struct cl_member members[SETS][MEMBERS];

/* One checkpoint as the input describes it; a link that is not the last hands over. */
struct link { unsigned signers, names, lists, origin, network, height, epoch, size; bool torn; };

static void seed_of(uint8_t seed[32], unsigned set, unsigned member, uint8_t role)
{
    memset(seed, 0, 32);
    seed[0] = (uint8_t)(1 + set);
    seed[1] = (uint8_t)member;
    seed[2] = role;
}

static void make_members(void)
{
    uint8_t seed[32];
    for (unsigned s = 0; s < SETS && members[SETS - 1][MEMBERS - 1].name[0] == '\0'; s++)
        for (unsigned m = 0; m < MEMBERS; m++) {
            struct cl_member *member = &members[s][m];
            snprintf(member->name, sizeof member->name, "member-%u", m);
            seed_of(seed, s, m, 1);
            cl_ed25519_public(member->log, seed);
            seed_of(seed, s, m, 2);
            cl_ed25519_public(member->witness, seed);
            seed_of(seed, s, m, 3);
            cl_ed25519_public(member->vote, seed);
            require(cl_public_key_of(member->party, seed) == CL_OK);
        }
}

struct tree { struct cl_buffer note, leaf; struct cl_hash path[CL_LOG_PATH_MAX]; size_t count; struct cl_leaf_hash hashes[64]; };

static enum cl_status read_hashes(void *context, struct cl_hash *out, unsigned level, uint64_t first, unsigned count)
{
    const struct tree *tree = context;
    require(level == 0);
    for (unsigned i = 0; i < count; i++)
        memcpy(out[i].bytes, tree->hashes[first + i].bytes, 32);
    return CL_OK;
}

static void make_tree(struct tree *tree, const struct link *link, const struct cl_hash *state_root)
{
    struct cl_state_leaf leaf = {.epoch = link->epoch, .height = link->height, .time_ms = TIME_S * 1000, .state_root = *state_root};
    struct cl_log_source source = {tree, read_hashes};
    struct cl_buffer body = {0};
    struct cl_hash root;
    uint8_t seed[32];
    leaf.network.bytes[0] = (uint8_t)link->network;
    require(cl_member_set_hash(&leaf.member_set, members[link->names], MEMBERS) == CL_OK);
    tree->leaf.length = tree->note.length = 0;
    require(cl_state_leaf_encode(&tree->leaf, &leaf) == CL_OK);
    for (unsigned i = 0; i + 1 < link->size; i++)
        memset(tree->hashes[i].bytes, (int)(i + 1), 32);
    cl_log_leaf_hash(&tree->hashes[link->size - 1], tree->leaf.data, tree->leaf.length);
    require(cl_log_inclusion(tree->path, &tree->count, &source, link->size - 1, link->size) == CL_OK);
    require(cl_log_root(&root, &source, link->size) == CL_OK);
    if (link->torn) /* what is signed is another tree */
        root.bytes[0] ^= 1;
    require(cl_checkpoint_body(&body, origins[link->origin], link->size, &root) == CL_OK);
    struct cl_view view = {body.data, body.length};
    require(cl_buffer_append(&tree->note, body.data, body.length) == CL_OK && cl_buffer_append(&tree->note, "\n", 1) == CL_OK);
    seed_of(seed, link->signers, 0, 1);
    require(cl_checkpoint_sign_log(&tree->note, &view, origins[link->origin], signing_key(seed)) == CL_OK);
    for (unsigned m = 0; m < MEMBERS; m++) {
        seed_of(seed, link->signers, m, 2);
        require(cl_checkpoint_cosign(&tree->note, &view, origins[link->origin], members[link->signers][m].name, TIME_S, signing_key(seed)) == CL_OK);
    }
    cl_buffer_deinit(&body);
}

static void put_boundary(struct cl_cbor_writer *writer, const struct tree *tree, const struct link *link)
{
    cl_cbor_put_array(writer, 4);
    cl_cbor_put_bytes(writer, tree->note.data, tree->note.length);
    cl_cbor_put_bytes(writer, tree->leaf.data, tree->leaf.length);
    cl_cbor_put_array(writer, tree->count);
    for (size_t i = 0; i < tree->count; i++)
        cl_cbor_put_bytes(writer, tree->path[i].bytes, 32);
    cl_cbor_put_array(writer, MEMBERS);
    for (unsigned m = 0; m < MEMBERS; m++) {
        const struct cl_member *member = &members[link->lists][m];
        cl_cbor_put_array(writer, 5);
        cl_cbor_put_text(writer, member->name, strlen(member->name));
        cl_cbor_put_bytes(writer, member->vote, 32);
        cl_cbor_put_bytes(writer, member->log, 32);
        cl_cbor_put_bytes(writer, member->witness, 32);
        cl_cbor_put_bytes(writer, member->party, 33);
    }
}

/* Said here once more, plainly. The policy is that of set 0 under the first origin. */
static bool should_hold(const struct link *links, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct link *link = &links[i], *before = i > 0 ? &links[i - 1] : NULL;
        if (link->torn || link->origin != 0 || link->signers != (before == NULL ? 0 : before->lists))
            return false;
        if (i + 1 < count && link->names != link->lists)
            return false;
        if (before != NULL && (link->network != before->network || link->size <= before->size || link->height <= before->height || link->epoch != before->epoch + 1))
            return false;
    }
    return true;
}

/* Nine bytes for each link, each a step away from what would be right; 0 is right. */
static size_t read_links(struct link *links, const uint8_t *data, size_t size)
{
    size_t count = 0;
    for (; count < LINKS_MAX && size >= 9; count++, data += 9, size -= 9)
        links[count] = (struct link){
            .signers = (unsigned)(count + data[0]) % SETS, .names = (unsigned)(count + 1 + data[1]) % SETS, .lists = (unsigned)(count + 1 + data[2]) % SETS,
            .origin = data[3] & 1, .network = data[4] & 1, .height = (unsigned)(10 * count + 10 - data[5] % 20u), .epoch = (unsigned)(count + data[6] % 3u),
            .size = (unsigned)(10 * count + 12 - data[7] % 12u), .torn = (data[8] & 1) != 0};
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tree trees[LINKS_MAX];
    static struct cl_policy *policy;
    static struct cl_verify_report report;
    struct link links[LINKS_MAX];
    const struct cl_verify_options options = {.now_ms = TIME_S * 1000, .max_age_ms = 60000};
    struct cl_object_id object = {{1}}, agreement = {{2}};
    struct cl_buffer value = {0}, state = {0}, proof = {0};
    struct cl_hash root;
    uint8_t key_hash[32], value_hash[32];
    size_t count = read_links(links, data, size);
    if (count == 0)
        return 0;
    make_members();
    if (policy == NULL) {
        struct cl_buffer text = {0};
        require(cl_policy_of_members(&text, origins[0], members[0], MEMBERS) == CL_OK && cl_policy_new(&policy, NULL, text.data, text.length) == CL_OK);
        cl_buffer_deinit(&text);
    }
    require(cl_answer_encode(&value, &agreement) == CL_OK); /* the one leaf of the state tree, which is then its root */
    cl_sha256_once(key_hash, object.bytes, 32);
    cl_sha256_once(value_hash, value.data, value.length);
    cl_sha256_node(root.bytes, 0, key_hash, value_hash);
    require(cl_state_proof_encode_existence(&state, value.data, value.length, NULL, 0) == CL_OK);
    for (size_t i = 0; i < count; i++)
        make_tree(&trees[i], &links[i], &root);
    const struct tree *last = &trees[count - 1];
    struct cl_proof_parts parts = {.checkpoint = {last->note.data, last->note.length}, .state_leaf = {last->leaf.data, last->leaf.length},
                                   .state_leaf_path = {last->path, last->count}, .object = object, .state_proof = {state.data, state.length}};
    require(cl_proof_encode(&proof, &parts) == CL_OK && proof.data[proof.length - 1] == 0x80);
    proof.length--; /* the empty list of boundaries */
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, &proof);
    cl_cbor_put_array(&writer, count - 1);
    for (size_t i = 0; i + 1 < count; i++)
        put_boundary(&writer, &trees[i], &links[i]);
    require(writer.status == CL_OK);
    enum cl_status status = cl_proof_verify(&report, proof.data, proof.length, policy, &options);
    require((status == CL_OK) == should_hold(links, count));
    require(status != CL_OK || (report.exists && report.kind == CL_STATE_ANSWER && report.epoch == links[count - 1].epoch));
    cl_buffer_deinit(&value);
    cl_buffer_deinit(&state);
    cl_buffer_deinit(&proof);
    return 0;
}

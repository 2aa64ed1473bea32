/* Existence and absence in the state tree, behind the quorum's signature. Two ways:

   - a small true tree, and a proof of state whose parts the input has bent: what the verifier accepts must be the truth
     of that tree, and the proof that is not bent must hold;
   - a tree of any shape that a lying quorum might sign (leaves at any depth and in any place): for no key may existence
     and absence, or two values, both be provable under its one root. */
#include "book.h"
#include "consent/record.h"
#include "crypto.h"
#include "require.h"

#define POOL 48u
#define NODES_MAX 96u
#define LEAVES_MAX 12u
#define DEPTH_MAX 14u

static uint8_t pool[POOL][32], pool_hash[POOL][32]; /* ascending by hash, in close neighbourhoods */
static const struct cl_network_id network = {{0x55}};
static struct book book;

struct bytes { const uint8_t *at, *end; };
static uint8_t next(struct bytes *bytes) { return bytes->at < bytes->end ? *bytes->at++ : 0; }

static int by_hash(const void *a, const void *b)
{
    uint8_t hash[2][32];
    cl_sha256_once(hash[0], a, 32);
    cl_sha256_once(hash[1], b, 32);
    return memcmp(hash[0], hash[1], 32);
}

/* Out of 4096 keys, runs of four neighbours: their hashes share some 12 bits, so trees become deep. */
static void make_pool(void)
{
    static uint8_t keys[4096][32];
    if (pool_hash[0][0] != 0 || pool_hash[POOL - 1][0] != 0)
        return;
    for (unsigned i = 0; i < 4096; i++) {
        keys[i][0] = (uint8_t)i;
        keys[i][1] = (uint8_t)(i >> 8);
    }
    qsort(keys, 4096, 32, by_hash);
    for (unsigned i = 0; i < POOL; i++) {
        memcpy(pool[i], keys[i / 4 * 340 + i % 4], 32);
        cl_sha256_once(pool_hash[i], pool[i], 32);
    }
}

/* Four values that may stand under any key: answers that name different agreements. */
static const struct cl_buffer *value_of(unsigned n)
{
    static struct cl_buffer values[4];
    struct cl_object_id id = {{0}};
    id.bytes[0] = (uint8_t)n;
    if (values[n % 4].length == 0)
        require(cl_answer_encode(&values[n % 4], &id) == CL_OK);
    return &values[n % 4];
}

/* ---- a true tree and a bent proof */

struct neighbour { bool present; uint8_t key_hash[32], value_hash[32]; size_t count; struct cl_hash siblings[CL_SMT_DEPTH]; };

static void take_leaf(struct neighbour *out, size_t state)
{
    out->present = true;
    memcpy(out->key_hash, book.states[state].key_hash, 32);
    cl_sha256_once(out->value_hash, book.states[state].value, book.states[state].length);
    out->count = book_siblings(out->siblings, &book, state);
}

/* A hash that stands somewhere in the tree, or should: of a range of leaves, of none, of a leaf's parts. */
static struct cl_hash some_hash(struct bytes *bytes)
{
    uint8_t kind = next(bytes), where = next(bytes), depth = next(bytes);
    struct cl_hash hash = {{0}};
    size_t first = where % book.state_count, count = 1 + kind / 8u % (book.state_count - first);
    if (kind % 4 == 0)
        return hash;
    if (kind % 4 == 1)
        return book_subtree(book.states + first, 1, 0);
    if (kind % 4 == 2) {
        memcpy(hash.bytes, book.states[first].key_hash, 32);
        return hash;
    }
    while (count > 1) { /* leaves that part below depth have no subtree there */
        size_t last = first + count - 1, d = 0;
        while (d < depth % 20u && (book.states[first].key_hash[d / 8] ^ book.states[last].key_hash[d / 8]) >> (7 - d % 8) == 0)
            d++;
        if (d == depth % 20u)
            break;
        count--;
    }
    return book_subtree(book.states + first, count, depth % 20u);
}

static void bend(struct neighbour *side, struct bytes *bytes)
{
    uint8_t what = next(bytes), where = next(bytes);
    size_t at = side->count > 0 ? where % side->count : 0;
    switch (what % 9) {
    case 0: if (side->count > 0) side->siblings[at] = some_hash(bytes); break;
    case 1:
        if (side->count > 0) memmove(side->siblings + at, side->siblings + at + 1, (--side->count - at) * sizeof side->siblings[0]);
        break;
    case 2:
        if (side->count < CL_SMT_DEPTH) {
            memmove(side->siblings + at + 1, side->siblings + at, (side->count++ - at) * sizeof side->siblings[0]);
            side->siblings[at] = some_hash(bytes);
        }
        break;
    case 3: side->present = !side->present; break;
    case 4: memcpy(side->key_hash, pool_hash[where % POOL], 32); break;
    case 5: cl_sha256_once(side->value_hash, value_of(where)->data, value_of(where)->length); break;
    case 6: take_leaf(side, where % book.state_count); break;
    case 7: memcpy(side->key_hash, some_hash(bytes).bytes, 32); break;
    case 8: side->key_hash[where % 32] ^= (uint8_t)(1u << what % 8); break;
    }
}

static enum cl_status verify(struct cl_verify_report *report, const struct cl_object_id *object, const struct cl_buffer *state_proof)
{
    struct cl_verify_options options = {.now_ms = BOOK_TIME_S * 1000, .max_age_ms = 60000};
    struct cl_buffer proof = {0};
    struct cl_proof_parts parts = {.checkpoint = {book.note.data, book.note.length}, .state_leaf = {book.state_leaf.data, book.state_leaf.length},
                                   .state_leaf_path = {book.leaf_path, book.leaf_path_count}, .object = *object,
                                   .state_proof = {state_proof->data, state_proof->length}};
    require(cl_proof_encode(&proof, &parts) == CL_OK);
    enum cl_status status = cl_proof_verify(report, proof.data, proof.length, book_policy(), &options);
    require(status == CL_OK || status == CL_E_PROOF);
    cl_buffer_deinit(&proof);
    return status;
}

static void existence(const struct cl_object_id *object, size_t place, bool there, struct bytes *bytes)
{
    static struct cl_verify_report report;
    static struct neighbour leaf;
    struct cl_buffer proof = {0};
    uint8_t value = next(bytes);
    bool bent = bytes->at < bytes->end;
    take_leaf(&leaf, place < book.state_count ? place : 0);
    while (bytes->at < bytes->end)
        bend(&leaf, bytes);
    const struct cl_buffer *claimed = value_of(value);
    require(cl_state_proof_encode_existence(&proof, claimed->data, claimed->length, leaf.siblings, leaf.count) == CL_OK);
    enum cl_status status = verify(&report, object, &proof);
    bool truth = there && book.states[place].length == claimed->length && memcmp(book.states[place].value, claimed->data, claimed->length) == 0;
    require(status != CL_OK || (truth && report.exists));
    require(status == CL_OK || !truth || bent);
    cl_buffer_deinit(&proof);
}

static void absence(const struct cl_object_id *object, size_t place, bool there, struct bytes *bytes)
{
    static struct cl_verify_report report;
    static struct neighbour sides[2];
    struct cl_proof_neighbour shown[2];
    struct cl_buffer proof = {0};
    bool bent = bytes->at < bytes->end;
    sides[0].present = sides[1].present = false;
    sides[0].count = sides[1].count = 0;
    if (place > 0)
        take_leaf(&sides[0], place - 1);
    if (place + there < book.state_count)
        take_leaf(&sides[1], place + there);
    while (bytes->at < bytes->end)
        bend(&sides[next(bytes) & 1], bytes);
    for (size_t i = 0; i < 2; i++)
        shown[i] = (struct cl_proof_neighbour){sides[i].key_hash, sides[i].value_hash, sides[i].siblings, sides[i].count};
    if (sides[0].present || sides[1].present)
        require(cl_state_proof_encode_absence(&proof, sides[0].present ? &shown[0] : NULL, sides[1].present ? &shown[1] : NULL) == CL_OK);
    else /* what our own writer would not make: absence without any neighbour */
        require(cl_buffer_append(&proof, "\x83\x02\xf6\xf6", 4) == CL_OK);
    enum cl_status status = verify(&report, object, &proof);
    require(status != CL_OK || (!there && !report.exists && report.verdict == CL_E_NO_OBJECT));
    require(status == CL_OK || there || bent);
    cl_buffer_deinit(&proof);
}

static void true_tree(struct bytes *bytes)
{
    struct cl_object_id object;
    uint8_t mask[POOL / 8], hash[32];
    for (size_t i = 0; i < sizeof mask; i++)
        mask[i] = next(bytes);
    unsigned which = next(bytes), values = next(bytes);
    size_t place = 0;
    book_reset(&book);
    for (unsigned i = 0; i < POOL; i++)
        if ((mask[i / 8] >> i % 8 & 1) != 0)
            book_add_state(&book, pool[i], value_of(i + values)->data, value_of(i + values)->length);
    if (book.state_count == 0)
        book_add_state(&book, pool[0], value_of(0)->data, value_of(0)->length);
    book_close(&book, &network, NULL);
    memcpy(object.bytes, pool[which % POOL], 32);
    cl_sha256_once(hash, object.bytes, 32);
    while (place < book.state_count && memcmp(book.states[place].key_hash, hash, 32) < 0)
        place++;
    bool there = place < book.state_count && memcmp(book.states[place].key_hash, hash, 32) == 0;
    if (which < 128)
        existence(&object, place, there, bytes);
    else
        absence(&object, place, there, bytes);
}

/* ---- a tree of any shape */

struct leaf { unsigned key, value; size_t depth; struct cl_hash siblings[DEPTH_MAX]; uint8_t value_hash[32]; };
static struct leaf leaves[LEAVES_MAX];
static size_t leaf_count, node_count;
static struct cl_hash nodes[NODES_MAX];
static size_t children[NODES_MAX][2];
static int kinds[NODES_MAX]; /* -2 empty, -1 inner, else the leaf's number */

/* Returns: the node's number. */
static size_t grow(struct bytes *bytes, size_t depth)
{
    size_t node = node_count++;
    uint8_t what = next(bytes);
    kinds[node] = -2;
    memset(&nodes[node], 0, sizeof nodes[node]);
    if (what % 4 >= 2 && depth < DEPTH_MAX && node_count + 2 * DEPTH_MAX + 2 < NODES_MAX) {
        kinds[node] = -1;
        children[node][0] = grow(bytes, depth + 1);
        children[node][1] = grow(bytes, depth + 1);
        cl_sha256_node(nodes[node].bytes, 1, nodes[children[node][0]].bytes, nodes[children[node][1]].bytes);
    } else if (what % 4 == 1 && leaf_count < LEAVES_MAX) {
        struct leaf *leaf = &leaves[leaf_count];
        leaf->key = next(bytes) % POOL;
        leaf->value = what / 4u % 4u;
        cl_sha256_once(leaf->value_hash, value_of(leaf->value)->data, value_of(leaf->value)->length);
        cl_sha256_node(nodes[node].bytes, 0, pool_hash[leaf->key], leaf->value_hash);
        kinds[node] = (int)leaf_count++;
    }
    return node;
}

static void note_paths(size_t node, size_t depth, const size_t *above)
{
    size_t way[DEPTH_MAX + 2];
    for (size_t i = 0; i < depth; i++)
        way[i] = above[i];
    if (kinds[node] == -1) {
        for (unsigned side = 0; side < 2; side++) {
            way[depth] = children[node][1 - side];
            note_paths(children[node][side], depth + 1, way);
        }
    } else if (kinds[node] >= 0) {
        struct leaf *leaf = &leaves[kinds[node]];
        leaf->depth = depth;
        for (size_t i = 0; i < depth; i++)
            leaf->siblings[i] = nodes[way[depth - 1 - i]];
    }
}

static void any_tree(struct bytes *bytes)
{
    uint8_t ask[4] = {next(bytes), next(bytes), next(bytes), next(bytes)};
    leaf_count = node_count = 0;
    size_t root = grow(bytes, 0);
    note_paths(root, 0, NULL);
    for (size_t k = 0; k < 4; k++) {
        const uint8_t *key_hash = pool_hash[ask[k] % POOL];
        bool exists = false, absent = false;
        unsigned value = 0;
        for (size_t i = 0; i < leaf_count; i++) /* every leaf's path, claimed for this key with every leaf's value */
            for (size_t v = 0; v < leaf_count; v++)
                if (cl_smt_check_existence(&nodes[root], key_hash, leaves[v].value_hash, leaves[i].siblings, leaves[i].depth) == CL_OK) {
                    require(!exists || value == leaves[v].value);
                    exists = true;
                    value = leaves[v].value;
                }
        for (size_t l = 0; l <= leaf_count; l++)
            for (size_t r = 0; r <= leaf_count; r++) {
                struct cl_smt_neighbour left = {0}, right = {0};
                if (l < leaf_count)
                    left = (struct cl_smt_neighbour){pool_hash[leaves[l].key], leaves[l].value_hash, leaves[l].siblings, leaves[l].depth};
                if (r < leaf_count)
                    right = (struct cl_smt_neighbour){pool_hash[leaves[r].key], leaves[r].value_hash, leaves[r].siblings, leaves[r].depth};
                absent = absent || cl_smt_check_absence(&nodes[root], key_hash, l < leaf_count ? &left : NULL, r < leaf_count ? &right : NULL) == CL_OK;
            }
        require(!exists || !absent);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data + 1, data + size};
    if (size < 4 || size > 600)
        return 0;
    make_pool();
    if (data[0] % 2 == 0)
        true_tree(&bytes);
    else
        any_tree(&bytes);
    return 0;
}

/* Following a ledger from outside. What an auditor remembers is read strictly and written back the same; and leaves of
   anybody, one after the other (two bytes of length before each): as long as they are taken, the root is that of the
   leaves, and an auditor who was stopped and read back goes on as the one who was not. */
#include "consent/audit.h"

#include "crypto.h"
#include "log.h"
#include "require.h"

#define LEAVES_MAX 32u

static void memory_comes_back(const struct cl_network_id *network, const uint8_t *data, size_t size)
{
    struct cl_audit *audit = NULL;
    struct cl_buffer out = {0};
    if (cl_audit_decode(&audit, data, size, network) != CL_OK)
        return;
    require(cl_audit_encode(&out, audit) == CL_OK && out.length == size && memcmp(out.data, data, size) == 0);
    cl_buffer_deinit(&out);
    cl_audit_free(audit);
}

/* RFC 6962 2.1 */
static struct cl_hash tree_hash(const struct cl_leaf_hash *leaves, size_t count)
{
    struct cl_hash out, left, right;
    size_t split = 1;
    if (count == 0)
        cl_sha256_once(out.bytes, "", 0);
    else if (count == 1)
        memcpy(out.bytes, leaves[0].bytes, 32);
    if (count <= 1)
        return out;
    while (2 * split < count)
        split *= 2;
    left = tree_hash(leaves, split);
    right = tree_hash(leaves + split, count - split);
    cl_sha256_node(out.bytes, 1, left.bytes, right.bytes);
    return out;
}

/* Stops and goes on. Returns: the auditor read back; NULL where the last leaf ended no block. */
static struct cl_audit *read_back(const struct cl_audit *audit, const struct cl_network_id *network)
{
    struct cl_audit *again = NULL;
    struct cl_buffer memory = {0};
    enum cl_status status = cl_audit_encode(&memory, audit);
    require(status == CL_OK || status == CL_E_PENDING);
    if (status == CL_OK)
        require(cl_audit_decode(&again, memory.data, memory.length, network) == CL_OK);
    cl_buffer_deinit(&memory);
    return again;
}

static void check_report(const struct cl_audit *audit, const struct cl_leaf_hash *leaves, size_t count)
{
    struct cl_audit_report report;
    struct cl_hash root = tree_hash(leaves, count);
    cl_audit_report(&report, audit);
    require(report.size == count && memcmp(&report.root, &root, 32) == 0 && report.records <= count);
}

static void follow(const struct cl_network_id *network, const uint8_t *data, size_t size)
{
    struct cl_leaf_hash leaves[LEAVES_MAX];
    struct cl_checkpoint checkpoint = {.size = 0};
    struct cl_audit *audit = NULL;
    size_t count = 0;
    require(cl_audit_new(&audit, network) == CL_OK);
    while (size >= 2 && count < LEAVES_MAX) {
        const char *sentence = NULL;
        size_t length = (size_t)data[0] << 8 | data[1];
        data += 2;
        size -= 2;
        length = length < size ? length : size;
        if (cl_audit_leaf(audit, &sentence, data, length) != CL_OK) {
            require(sentence != NULL);
            break;
        }
        cl_log_leaf_hash(&leaves[count++], data, length);
        check_report(audit, leaves, count);
        struct cl_audit *again = read_back(audit, network);
        checkpoint.size = count;
        checkpoint.root = tree_hash(leaves, count);
        require(cl_audit_checkpoint(audit, &checkpoint, (const uint8_t *)"note", 4) == (again != NULL ? CL_OK : CL_E_PENDING));
        checkpoint.root.bytes[size % 32] ^= 1;
        require(cl_audit_checkpoint(audit, &checkpoint, (const uint8_t *)"fork", 4) == (again != NULL ? CL_E_FORK : CL_E_PENDING));
        if (again != NULL) {
            cl_audit_free(audit);
            audit = again;
            check_report(audit, leaves, count);
        }
        data += length;
        size -= length;
    }
    cl_audit_free(audit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char genesis[] = "consent test vector: a genesis document\n"; /* so that the vectors' records hold */
    struct cl_network_id network;
    cl_network_id_derive(&network, (const uint8_t *)genesis, sizeof genesis - 1);
    if (size == 0)
        return 0;
    memory_comes_back(&network, data, size);
    follow(&network, data, size);
    return 0;
}

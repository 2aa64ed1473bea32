/* The auditor's memory and its chain of blocks: what does not follow is refused, a fork is seen, and what is remembered
   is nothing that a log could not come to. Records and their signatures: fuzz_audit and the integration tests. */
#include "block.h"
#include "cbor.h"
#include "consent/audit.h"
#include "log.h"
#include "require.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct cl_network_id network = {{7}};

struct chain { struct cl_audit *audit; struct cl_log_frontier frontier; struct cl_state_leaf next; const char *sentence; };

/* One more block without records, as next has it. */
static enum cl_status add(struct chain *chain)
{
    struct cl_buffer leaf = {0};
    struct cl_hash root;
    struct cl_leaf_hash hash;
    assert_int_equal(cl_state_leaf_encode(&leaf, &chain->next), CL_OK);
    enum cl_status status = cl_audit_leaf(chain->audit, &chain->sentence, leaf.data, leaf.length);
    cl_log_frontier_root(&root, &chain->frontier);
    cl_block_id_derive(&chain->next.previous, chain->frontier.size, &root, leaf.data, leaf.length);
    cl_log_leaf_hash(&hash, leaf.data, leaf.length);
    cl_log_frontier_append(&chain->frontier, &hash);
    chain->next.height++;
    chain->next.time_ms++;
    cl_buffer_deinit(&leaf);
    return status;
}

static void start(struct chain *chain)
{
    *chain = (struct chain){.next = {.network = network, .time_ms = 1000}};
    cl_log_frontier_init(&chain->frontier);
    assert_int_equal(cl_audit_new(&chain->audit, &network), CL_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(add(chain), CL_OK);
}

static void blocks_that_do_not_follow_are_refused(void **state)
{
    struct chain chain;
    (void)state;
    start(&chain);
    chain.next.height++;
    assert_int_equal(add(&chain), CL_E_BLOCK_INVALID);
    cl_audit_free(chain.audit);
    start(&chain);
    chain.next.previous.bytes[0] ^= 1;
    assert_int_equal(add(&chain), CL_E_BLOCK_INVALID);
    cl_audit_free(chain.audit);
    start(&chain);
    chain.next.record_count = 1;
    assert_int_equal(add(&chain), CL_E_BLOCK_INVALID);
    cl_audit_free(chain.audit);
    start(&chain);
    chain.next.time_ms = 1;
    assert_int_equal(add(&chain), CL_E_BLOCK_INVALID);
    cl_audit_free(chain.audit);
    start(&chain);
    chain.next.network.bytes[0] ^= 1;
    assert_int_equal(add(&chain), CL_E_NETWORK);
    cl_audit_free(chain.audit);
}

static void another_root_at_the_same_size_is_a_fork(void **state)
{
    struct chain chain;
    struct cl_checkpoint checkpoint = {.size = 3};
    struct cl_audit_report report;
    static const uint8_t note[] = "a signed note";
    (void)state;
    start(&chain);
    cl_log_frontier_root(&checkpoint.root, &chain.frontier);
    assert_int_equal(cl_audit_checkpoint(chain.audit, &checkpoint, note, sizeof note), CL_OK);
    checkpoint.size = 4;
    assert_int_equal(cl_audit_checkpoint(chain.audit, &checkpoint, note, sizeof note), CL_E_PENDING);
    checkpoint.size = 3;
    checkpoint.root.bytes[31] ^= 1;
    assert_int_equal(cl_audit_checkpoint(chain.audit, &checkpoint, note, 1), CL_E_FORK);
    cl_audit_report(&report, chain.audit);
    assert_int_equal(report.note.length, sizeof note); /* the one kept is the one that fitted */
    cl_audit_free(chain.audit);
}

static void it_goes_on_where_it_stopped(void **state)
{
    struct chain chain;
    struct cl_buffer memory = {0};
    (void)state;
    start(&chain);
    assert_int_equal(cl_audit_encode(&memory, chain.audit), CL_OK);
    cl_audit_free(chain.audit);
    assert_int_equal(cl_audit_decode(&chain.audit, memory.data, memory.length, &network), CL_OK);
    assert_int_equal(add(&chain), CL_OK);
    cl_audit_free(chain.audit);
    cl_buffer_deinit(&memory);
}

/* What is remembered of a log with that many leaves, a power of two. */
static enum cl_status remembered(struct cl_audit **audit, uint64_t size)
{
    struct cl_buffer memory = {0};
    struct cl_cbor_writer writer;
    static const uint8_t hash[32] = {1};
    cl_cbor_writer_init(&writer, &memory);
    cl_cbor_put_file_head(&writer, 10, "consent-audit");
    cl_cbor_put_bytes(&writer, network.bytes, 32);
    cl_cbor_put_uint(&writer, size);
    cl_cbor_put_array(&writer, 1);
    cl_cbor_put_bytes(&writer, hash, 32);
    cl_cbor_put_bytes(&writer, hash, 32);
    for (unsigned i = 0; i < 3; i++)
        cl_cbor_put_uint(&writer, 1);
    cl_cbor_put_bytes(&writer, hash, 0);
    assert_int_equal(writer.status, CL_OK);
    enum cl_status status = cl_audit_decode(audit, memory.data, memory.length, &network);
    cl_buffer_deinit(&memory);
    return status;
}

/* Both ended in an assertion of the log's, for what is only a damaged file. */
static void an_impossible_log_is_refused(void **state)
{
    struct cl_audit *audit = NULL;
    const char *sentence = NULL;
    static const uint8_t leaf[1] = {0x89};
    (void)state;
    assert_int_equal(remembered(&audit, 2 * CL_LOG_SIZE_MAX), CL_E_VALUE);
    assert_int_equal(remembered(&audit, CL_LOG_SIZE_MAX), CL_OK);
    assert_int_equal(cl_audit_leaf(audit, &sentence, leaf, sizeof leaf), CL_E_BOUND);
    cl_audit_free(audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_that_do_not_follow_are_refused),
        cmocka_unit_test(another_root_at_the_same_size_is_a_fork),
        cmocka_unit_test(it_goes_on_where_it_stopped),
        cmocka_unit_test(an_impossible_log_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

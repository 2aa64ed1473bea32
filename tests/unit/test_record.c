/* record.c: what is signed comes back, and what is not in the one form is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consent/record.h"
#include "crypto.h"

static const uint8_t secret[32] = {[31] = 42};
static struct cl_network_id network = {{1, 2, 3}};

static enum cl_status sign_with_secret(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    return cl_ecdsa_sign(signature64, context, digest32);
}

static struct cl_signer test_signer(void)
{
    struct cl_signer signer = {.context = (void *)(uintptr_t)secret, .sign = sign_with_secret};
    assert_int_equal(cl_public_key_of(signer.key.bytes, secret), CL_OK);
    return signer;
}

static void a_signed_record_comes_back_and_checks(void **state)
{
    (void)state;
    uint8_t object[32] = {7};
    struct cl_entry entry = {.present = CL_HAS(1), .object_length = 32, .object = object};
    struct cl_draft draft = {.type = CL_REVOKE, .issued_at_ms = 1700000000000, .entries = &entry, .entry_count = 1};
    struct cl_signer signer = test_signer();
    struct cl_buffer bytes = {0};
    struct cl_record_id id;
    struct cl_record record;
    assert_int_equal(cl_record_sign(&bytes, &id, NULL, &draft, &signer, &network), CL_OK);
    assert_int_equal(cl_record_decode(&record, NULL, bytes.data, bytes.length, &network), CL_OK);
    assert_int_equal(cl_record_check_signature(&record), CL_OK);
    assert_memory_equal(record.id.bytes, id.bytes, 32);
    assert_memory_equal(record.signer33, signer.key.bytes, 33);
    assert_int_equal(record.type, CL_REVOKE);
    assert_int_equal(record.issued_at_ms, 1700000000000);
    assert_int_equal(record.entry_count, 1);
    assert_ptr_equal(record.entries, &record.single);
    assert_memory_equal(record.entries[0].object, object, 32);
    cl_record_deinit(&record);
    cl_buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_record_comes_back_and_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Public bodies against vectors of another implementation, and whose signature counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "consent/public.h"
#include "fixture.h"
#include "vectors.h"

static json_t *bodies;

static int load(void **state)
{
    (void)state;
    bodies = vectors_load("tests/vectors/public_bodies.json");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(bodies);
    return 0;
}

static struct cl_buffer decoded(struct cl_public_body *body, const char *name)
{
    struct cl_buffer bytes = vectors_bytes(vectors_item(bodies, name), "hex");
    FIXTURE_OK(cl_public_body_decode(body, bytes.data, bytes.length));
    return bytes;
}

static void every_vector_is_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_array_size(bodies); i++) {
        const json_t *item = json_array_get(bodies, i);
        struct cl_buffer bytes = vectors_bytes(item, "hex");
        struct cl_public_body body;
        uint8_t digest[32];
        enum cl_status status = cl_public_body_decode(&body, bytes.data, bytes.length);
        assert_string_equal(cl_status_code(status), json_string_value(json_object_get(item, "expect")));
        if (status == CL_OK) {
            vectors_fixed(digest, 32, item, "digest");
            assert_memory_equal(body.digest.bytes, digest, 32);
            assert_int_equal(body.made_ms, vectors_number(json_object_get(item, "ms")));
            FIXTURE_OK(cl_public_body_check(&body, &body.network, body.signer.bytes));
        }
        cl_buffer_deinit(&bytes);
    }
}

static enum cl_status resigned(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct cl_public_body *body = context;
    (void)digest32;
    memcpy(signature64, body->signature64, 64);
    return CL_OK;
}

/* Encoded again with the signature that it has, each vector is the same bytes. */
static void a_body_has_one_form(void **state)
{
    (void)state;
    static const char *const names[] = { "terms", "terms_with_reception", "profile_of_all_fields" };
    for (size_t i = 0; i < 3; i++) {
        struct cl_public_body body;
        struct cl_buffer bytes = decoded(&body, names[i]), again = { 0 };
        const struct cl_signer signer = { .key = body.signer, .sign = resigned, .context = &body };
        assert_int_equal(body.reception.present, i == 1);
        FIXTURE_OK(cl_public_body_sign(&again, &body, &signer));
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.data, bytes.data, bytes.length);
        cl_buffer_deinit(&again);
        cl_buffer_deinit(&bytes);
    }
}

static void only_the_owners_signature_over_every_byte_counts(void **state)
{
    (void)state;
    struct cl_public_body body, bent;
    struct cl_buffer bytes = decoded(&body, "terms_with_reception");
    struct cl_network_id other = { { 1 } };
    struct cl_signer stranger;
    fixture_signer(&stranger, 77);
    assert_int_equal(cl_public_body_check(&body, &other, body.signer.bytes), CL_E_NETWORK);
    assert_int_equal(cl_public_body_check(&body, &body.network, stranger.key.bytes), CL_E_PARTY);
    for (size_t at = 0; at < bytes.length; at++) { /* a flipped bit anywhere is noticed */
        bytes.data[at] ^= 1;
        if (cl_public_body_decode(&bent, bytes.data, bytes.length) == CL_OK)
            assert_true(cl_public_body_check(&bent, &body.network, body.signer.bytes) != CL_OK);
        bytes.data[at] ^= 1;
    }
    cl_buffer_deinit(&bytes);
}

static void what_cannot_be_read_again_is_not_signed(void **state)
{
    (void)state;
    static uint8_t huge[CL_PUBLIC_BODY_BYTES_MAX];
    struct cl_public_body body;
    struct cl_buffer bytes = decoded(&body, "terms_with_reception"), out = { 0 };
    struct cl_signer signer;
    fixture_signer(&signer, 1);
    body.reception.node[0] = '/';
    assert_int_equal(cl_public_body_sign(&out, &body, &signer), CL_E_ARGUMENT);
    body.reception.node[0] = 'm';
    body.shown = (struct cl_view){ huge, sizeof huge };
    assert_int_equal(cl_public_body_sign(&out, &body, &signer), CL_E_BOUND);
    assert_int_equal(out.length, 0);
    assert_int_equal(cl_public_body_decode(&body, huge, sizeof huge + 0), CL_E_CBOR_TYPE);
    cl_buffer_deinit(&out);
    cl_buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_is_what_it_says),
        cmocka_unit_test(a_body_has_one_form),
        cmocka_unit_test(only_the_owners_signature_over_every_byte_counts),
        cmocka_unit_test(what_cannot_be_read_again_is_not_signed),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

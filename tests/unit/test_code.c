/* Claims about base45 and connect codes: one text for each, equal to what another encoder made (vectors/codes.json), and
   nothing out of bounds in or out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base45.h"
#include "consent/code.h"
#include "consent/record.h"
#include "vectors.h"

static const char *text_of(const json_t *item) { return json_string_value(json_object_get(item, "text")); }

static void base45_is_that_of_rfc_9285(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/codes.json");
    size_t seen = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        struct cl_buffer bytes = vectors_is(item, "base45_") ? vectors_bytes(item, "hex") : (struct cl_buffer){0}, text = {0}, back = {0};
        if (!vectors_is(item, "base45_"))
            continue;
        assert_int_equal(cl_base45_append(&text, bytes.data, bytes.length), CL_OK);
        assert_int_equal(text.length, strlen(text_of(item)));
        if (text.length > 0)
            assert_memory_equal(text.data, text_of(item), text.length);
        assert_int_equal(cl_base45_decode(&back, text_of(item), strlen(text_of(item))), CL_OK);
        assert_int_equal(back.length, bytes.length);
        if (back.length > 0)
            assert_memory_equal(back.data, bytes.data, bytes.length);
        cl_buffer_deinit(&bytes);
        cl_buffer_deinit(&text);
        cl_buffer_deinit(&back);
        seen++;
    }
    assert_int_equal(seen, 6);
    json_decref(items);
}

/* RFC 9285, section 6: FGW is 65,535; GGW is beyond, as is ::: ; of a pair only 0 to 255 stand for a byte. */
static void base45_refuses_what_stands_for_no_bytes(void **state)
{
    (void)state;
    static const char *const bad[] = {"GGW", ":::", "A", "AAAA", "U5X", "::", "V5", "bb8", "B\t8", "BB8\n", "BB\xc3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cl_buffer out = {0};
        assert_int_equal(cl_base45_decode(&out, bad[i], strlen(bad[i])), CL_E_FORMAT);
        cl_buffer_deinit(&out);
    }
    struct cl_buffer out = {0};
    assert_int_equal(cl_base45_decode(&out, "FGWU5", 5), CL_OK);
    assert_memory_equal(out.data, "\xff\xff\xff", 3);
    cl_buffer_deinit(&out);
    assert_int_equal(cl_base45_decode(&out, "B\0" "8", 3), CL_E_FORMAT); /* the alphabet does not end in a zero */
    cl_buffer_deinit(&out);
}

static void same_code(const struct cl_code *code, const json_t *item)
{
    uint8_t expected[32];
    vectors_fixed(expected, 32, item, "network_id");
    assert_memory_equal(code->network.bytes, expected, 32);
    vectors_fixed(expected, 32, item, "secret");
    assert_memory_equal(code->secret32, expected, 32);
    vectors_fixed(expected, 32, item, "object");
    assert_memory_equal(code->object.bytes, expected, 32);
    assert_int_equal(code->kind, json_integer_value(json_object_get(item, "kind")));
    const json_t *urls = json_object_get(item, "urls"), *expiry = json_object_get(item, "expiry");
    assert_int_equal(code->url_count, json_array_size(urls));
    for (size_t i = 0; i < code->url_count; i++)
        assert_string_equal(code->urls[i], json_string_value(json_array_get(urls, i)));
    assert_int_equal(code->expiry.present, json_is_integer(expiry));
    if (code->expiry.present)
        assert_int_equal(code->expiry.seconds, vectors_number(expiry));
    const json_t *reception = json_object_get(item, "reception");
    assert_int_equal(code->reception.present, json_is_array(reception));
    if (code->reception.present) {
        assert_true(cl_hex_decode(expected, 32, json_string_value(json_array_get(reception, 0))));
        assert_memory_equal(code->reception.delivery32, expected, 32);
        assert_string_equal(code->reception.node, json_string_value(json_array_get(reception, 1)));
        assert_true(cl_hex_decode(expected, 32, json_string_value(json_array_get(reception, 2))));
        assert_memory_equal(code->reception.mailbox32, expected, 32);
        assert_int_equal(code->reception.in_return, json_integer_value(json_array_get(reception, 3)));
    }
    if (json_is_null(json_object_get(item, "body_file"))) {
        assert_int_equal(code->body_file.length, 0);
        return;
    }
    struct cl_buffer body = vectors_bytes(item, "body_file");
    assert_int_equal(code->body_file.length, body.length);
    assert_memory_equal(code->body_file.data, body.data, body.length);
    cl_buffer_deinit(&body);
}

static void codes_are_those_of_another_encoder(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/codes.json");
    size_t seen = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        struct cl_code code;
        struct cl_buffer again = {.secret = true};
        if (!vectors_is(item, "code_"))
            continue;
        assert_int_equal(cl_code_decode(&code, text_of(item), strlen(text_of(item))), CL_OK);
        same_code(&code, item);
        assert_int_equal(cl_code_encode(&again, &code), CL_OK);
        assert_int_equal(again.length, strlen(text_of(item)));
        assert_memory_equal(again.data, text_of(item), again.length);
        cl_buffer_wipe(&again);
        cl_code_deinit(&code);
        seen++;
    }
    assert_int_equal(seen, 6);
    json_decref(items);
}

static void every_other_text_is_refused_for_its_fault(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/codes.json");
    size_t seen = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        struct cl_code code;
        if (!vectors_is(item, "refused_"))
            continue;
        enum cl_status status = cl_code_decode(&code, text_of(item), strlen(text_of(item)));
        if (strcmp(cl_status_code(status), json_string_value(json_object_get(item, "expect"))) != 0)
            fail_msg("%s: %s", json_string_value(json_object_get(item, "name")), cl_status_code(status));
        seen++;
    }
    assert_int_equal(seen, 28);
    json_decref(items);
}

/* Cut anywhere it does not read; with one character changed it reads as itself or not at all. */
static void a_damaged_code_is_refused_or_another(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/codes.json");
    const char *text = text_of(vectors_item(items, "code_with_body"));
    size_t length = strlen(text);
    char *bent = malloc(length + 1);
    assert_non_null(bent);
    for (size_t cut = 0; cut < length; cut++) {
        struct cl_code code;
        assert_int_not_equal(cl_code_decode(&code, text, cut), CL_OK);
    }
    for (size_t at = 0; at < length; at++) {
        struct cl_code code;
        struct cl_buffer again = {.secret = true};
        memcpy(bent, text, length + 1);
        bent[at] = bent[at] == '0' ? '1' : '0';
        if (cl_code_decode(&code, bent, length) != CL_OK)
            continue;
        assert_int_equal(cl_code_encode(&again, &code), CL_OK);
        assert_int_equal(again.length, length);
        assert_memory_equal(again.data, bent, length);
        cl_buffer_wipe(&again);
        cl_code_deinit(&code);
    }
    free(bent);
    json_decref(items);
}

static void what_could_not_be_read_is_not_written(void **state)
{
    (void)state;
    struct cl_code code = {.secret32 = {1}, .kind = CL_ITEM_TERMS, .url_count = 1, .urls = {"http://a"}}, bent;
    struct cl_buffer text = {.secret = true};
    assert_int_equal(cl_code_encode(&text, &code), CL_OK);
    bent = code;
    bent.url_count = CL_CODE_URLS_MAX + 1;
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_ARGUMENT);
    bent = code;
    memcpy(bent.urls[0], "ftp://a", 8);
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_ARGUMENT);
    bent = code;
    bent.kind = CL_ITEM_PROFILE;
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_ARGUMENT);
    bent = code;
    bent.reception = (struct cl_reception){.present = true, .node = "a/b"};
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_ARGUMENT);
    bent = code;
    bent.secret32[0] = 0;
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_SECRET);
    bent = code;
    bent.expiry = (struct cl_optional_time){true, CL_SECONDS_MAX + 1};
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_ARGUMENT);
    json_t *items = vectors_load("tests/vectors/proofs.json");
    bent = code;
    bent.body_file = vectors_bytes(vectors_item(items, "body_file"), "hex"); /* of another object */
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_ARGUMENT);
    cl_buffer_wipe(&bent.body_file);
    bent.body_file = vectors_bytes(vectors_item(items, "body_file_of_one_field"), "hex"); /* the others could not be rebuilt */
    vectors_fixed(bent.object.bytes, 32, vectors_item(items, "body_file_of_one_field"), "object");
    assert_int_equal(cl_code_encode(&text, &bent), CL_E_BODY);
    cl_buffer_wipe(&bent.body_file);
    json_decref(items);
    cl_buffer_wipe(&text);
}

/* Found by the fuzzer: what stands behind a zero byte in the name of the node was read over, so two texts were one code. */
static void a_node_name_has_no_zero_byte(void **state)
{
    (void)state;
    struct cl_code code = {.secret32 = {1}, .kind = CL_ITEM_TERMS, .url_count = 1, .urls = {"http://a"}, .reception = {.present = true, .node = "member-two"}}, read;
    struct cl_buffer text = {.secret = true}, bytes = {.secret = true}, bent = {.secret = true};
    assert_int_equal(cl_code_encode(&text, &code), CL_OK);
    assert_int_equal(cl_base45_decode(&bytes, (const char *)text.data + strlen(CL_CODE_PREFIX), text.length - strlen(CL_CODE_PREFIX)), CL_OK);
    uint8_t *name = memmem(bytes.data, bytes.length, "member-two", 10);
    assert_non_null(name);
    name[3] = '\0';
    assert_int_equal(cl_buffer_append(&bent, CL_CODE_PREFIX, strlen(CL_CODE_PREFIX)), CL_OK);
    assert_int_equal(cl_base45_append(&bent, bytes.data, bytes.length), CL_OK);
    assert_int_equal(cl_code_decode(&read, (const char *)text.data, text.length), CL_OK);
    cl_code_deinit(&read);
    assert_int_equal(cl_code_decode(&read, (const char *)bent.data, bent.length), CL_E_FORMAT);
    cl_buffer_wipe(&text);
    cl_buffer_wipe(&bytes);
    cl_buffer_wipe(&bent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base45_is_that_of_rfc_9285),
        cmocka_unit_test(base45_refuses_what_stands_for_no_bytes),
        cmocka_unit_test(codes_are_those_of_another_encoder),
        cmocka_unit_test(every_other_text_is_refused_for_its_fault),
        cmocka_unit_test(a_damaged_code_is_refused_or_another),
        cmocka_unit_test(what_could_not_be_read_is_not_written),
        cmocka_unit_test(a_node_name_has_no_zero_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

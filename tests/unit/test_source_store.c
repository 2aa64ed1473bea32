/* The register of releases: its bytes against another implementation's, and that it forgets no use before its time, and nothing
   stays after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto.h"
#include "proof_world.h"
#include "source_format.h"
#include "scratch.h"
#include "vectors.h"

#define OK(call) assert_int_equal((call), CL_OK)

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = vectors_load("tests/vectors/source.json");
    return 0;
}
static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static enum cl_status sign_with(void *context, uint8_t signature64[64], const uint8_t digest32[32]) { return cl_ecdsa_sign(signature64, context, digest32); }

static char directory[96];

static int make_scratch(void **state)
{
    int made = scratch_make(state);
    (void)snprintf(directory, sizeof directory, "%s/wallet.store", scratch);
    return made;
}

static void files_are_those_of_the_vectors(void **state)
{
    (void)state;
    static const char *const names[] = {"file_given", "file_held", "file_asked"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *item = vectors_item(vectors, names[i]);
        struct cl_buffer file = vectors_bytes(item, "hex"), content = vectors_bytes(item, "content"), made = {0};
        uint8_t id[16], secret[32], nonce[24], key[16], name[16];
        struct cl_source_entry entry;
        vectors_fixed(id, 16, item, "id");
        vectors_fixed(secret, 32, item, "secret");
        vectors_fixed(nonce, 24, item, "nonce");
        vectors_fixed(key, 16, item, "key");
        cl_source_file_name(name, secret, (enum cl_source_way)(i + 1), key);
        assert_memory_equal(name, id, 16);
        OK(cl_source_file_decode(&entry, file.data, file.length, id, secret));
        assert_int_equal(entry.way, i + 1);
        assert_int_equal(entry.served_count, i == 1 ? 2 : 0);
        OK(cl_source_file_encode(&made, &entry, id, secret, nonce));
        assert_int_equal(made.length, file.length);
        assert_memory_equal(made.data, file.data, file.length);
        made.length = 0;
        OK(cl_source_content_encode(&made, &entry));
        assert_memory_equal(made.data, content.data, content.length);
        cl_source_entry_deinit(&entry);
        id[0] ^= 1; /* under another name */
        assert_int_equal(cl_source_file_decode(&entry, file.data, file.length, id, secret), CL_E_LOCKED);
        for (size_t length = 0; length < content.length; length++)
            assert_int_not_equal(cl_source_content_decode(&entry, content.data, length), CL_OK);
        cl_buffer_deinit(&file);
        cl_buffer_deinit(&content);
        cl_buffer_deinit(&made);
    }
}

static struct cl_store *store_of(uint8_t seed)
{
    struct cl_wallet *wallet = NULL;
    struct cl_store *store = NULL;
    OK(cl_wallet_new(&wallet, (const uint8_t[32]){seed}));
    OK(cl_store_open(&store, directory, wallet));
    cl_wallet_free(wallet);
    return store;
}

/* A release of agreement {agreement} to reader {reader}, until that time. */
static struct cl_source_entry held(enum cl_source_way way, uint8_t reference, uint8_t agreement, uint8_t reader, uint64_t until_s)
{
    struct cl_source_entry entry = {.way = way, .document = {.secret = true}};
    struct cl_source_release release = {.agreement = {{agreement}}, .reader = {{reader}}, .reference16 = {reference}, .until_s = until_s, .uses = 255};
    struct proof_world_key key;
    proof_world_key(&key, "anna");
    struct cl_signer signer = {.context = key.secret, .sign = sign_with};
    memcpy(signer.key.bytes, key.public33, 33);
    OK(cl_source_release_sign(&entry.document, &release, &signer));
    return entry;
}

static enum cl_status count_one(void *context, const struct cl_source_entry *entry)
{
    *(size_t *)context += entry->document.length > 0 ? 1 : 0;
    return CL_OK;
}

static size_t entries_of(const struct cl_store *store)
{
    size_t count = 0;
    OK(cl_source_each(store, count_one, &count));
    return count;
}

static void what_was_served_is_there_after_the_fullest_use(void **state)
{
    (void)state;
    struct cl_store *store = store_of(1);
    struct cl_source_entry entry = held(CL_SOURCE_HELD, 7, 1, 2, 1000), read;
    for (unsigned i = 0; i < CL_SOURCE_USES_MAX; i++) {
        entry.served[entry.served_count++] = (struct cl_source_served){.ms = UINT64_MAX, .nonce16 = {(uint8_t)i}};
        if (i % 100 == 0)
            OK(cl_source_save(&entry, store));
    }
    OK(cl_source_save(&entry, store));
    cl_source_entry_deinit(&entry);
    cl_store_free(store);
    store = store_of(1);
    OK(cl_source_load(&read, store, CL_SOURCE_HELD, (const uint8_t[16]){7}));
    assert_int_equal(read.served_count, CL_SOURCE_USES_MAX);
    assert_int_equal(read.served[254].nonce16[0], 254);
    assert_int_equal(cl_source_load(&entry, store, CL_SOURCE_GIVEN, (const uint8_t[16]){7}), CL_E_NOT_FOUND);
    cl_store_free(store);
    store = store_of(2); /* another wallet's words do not find it */
    assert_int_equal(cl_source_load(&entry, store, CL_SOURCE_HELD, (const uint8_t[16]){7}), CL_E_NOT_FOUND);
    assert_int_equal(entries_of(store), 0);
    cl_store_free(store);
    cl_source_entry_deinit(&read);
}

static void what_is_over_or_erased_leaves_the_register(void **state)
{
    (void)state;
    struct cl_store *store = store_of(1);
    size_t count = 0;
    static const uint8_t numbers[][4] = {{1, 1, 2}, {2, 1, 3}, {3, 4, 1}, {4, 5, 6}};
    for (size_t i = 0; i < 4; i++) {
        struct cl_source_entry entry = held(i % 2 == 0 ? CL_SOURCE_HELD : CL_SOURCE_GIVEN, numbers[i][0], numbers[i][1], numbers[i][2], 1000 + i);
        OK(cl_source_save(&entry, store));
        cl_source_entry_deinit(&entry);
    }
    assert_int_equal(entries_of(store), 4);
    OK(cl_source_sweep(&count, store, NULL, (1000ull + CL_SOURCE_KEPT_S) * 1000u));
    assert_int_equal(entries_of(store), 4);
    OK(cl_source_sweep(&count, store, NULL, (1001ull + CL_SOURCE_KEPT_S) * 1000u)); /* the first is over for long enough */
    assert_int_equal(entries_of(store), 3);
    OK(cl_source_sweep(&count, store, &(struct cl_object_id){{1}}, 0)); /* of either side */
    assert_int_equal(entries_of(store), 1);
    assert_int_equal(count, 3);
    struct cl_source_entry last = held(CL_SOURCE_GIVEN, 4, 5, 6, 1003);
    OK(cl_source_remove(&last, store));
    OK(cl_source_remove(&last, store));
    assert_int_equal(entries_of(store), 0);
    cl_source_entry_deinit(&last);
    cl_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_those_of_the_vectors),
        cmocka_unit_test_setup_teardown(what_was_served_is_there_after_the_fullest_use, make_scratch, scratch_remove),
        cmocka_unit_test_setup_teardown(what_is_over_or_erased_leaves_the_register, make_scratch, scratch_remove),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

/* Claims about the folder beside a wallet: what its files say, what a hostile one can do (nothing), that a destroyed key
   takes its content along in every copy of the wallet, and that interruptions leave the old or the new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto.h"
#include "vault_format.h"
#include "scratch.h"
#include "vectors.h"

#define OK(call) assert_int_equal((call), CL_OK)

static char directory[96];

static int make_scratch(void **state)
{
    int made = scratch_make(state);
    (void)snprintf(directory, sizeof directory, "%s/wallet.store", scratch);
    return made;
}

/* How many files of the folder end so; the path of the last one. */
static size_t files(const char *folder, const char *ending, char path[512])
{
    DIR *opened = opendir(folder);
    size_t count = 0;
    assert_non_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        size_t length = strlen(entry->d_name), tail = strlen(ending);
        if (entry->d_name[0] == '.' || length < tail || strcmp(entry->d_name + length - tail, ending) != 0)
            continue;
        if (path != NULL)
            (void)snprintf(path, 512, "%s/%s", folder, entry->d_name);
        count++;
    }
    (void)closedir(opened);
    return count;
}

/* Two agreements, each with a body of its own. */
static struct cl_wallet *filled(void)
{
    struct cl_wallet *wallet = NULL;
    struct cl_wallet_item *item = NULL;
    OK(cl_wallet_new(&wallet, (const uint8_t[32]){3}));
    OK(cl_wallet_item_add(wallet, &item, "bank", CL_ITEM_AGREEMENT, &(struct cl_object_id){{7}}));
    item->audience_salt.present = true;
    memset(item->audience_salt.bytes, 0x5a, 32);
    OK(cl_wallet_item_body_add(item, (const uint8_t *)"the bank's body", 15));
    OK(cl_wallet_item_add(wallet, &item, "shop", CL_ITEM_AGREEMENT, &(struct cl_object_id){{8}}));
    OK(cl_wallet_item_body_add(item, (const uint8_t *)"the shop's body", 15));
    return wallet;
}

/* The wallet as it is after it was written and read again, with the folder's keys. */
static struct cl_wallet *reopened(const struct cl_buffer *copy, struct cl_store **store)
{
    struct cl_wallet *wallet = NULL;
    OK(cl_wallet_decode(&wallet, copy->data, copy->length));
    assert_false(wallet->item_count > 0 && wallet->items[0].content_open);
    OK(cl_store_open(store, directory, wallet));
    return wallet;
}

static struct cl_vault_entry entry_of(const char *name)
{
    struct cl_vault_entry entry = {.category = "pd:EmailAddress", .media_type = "text/plain", .changed_ms = 1};
    (void)snprintf(entry.name, sizeof entry.name, "%s", name);
    return entry;
}

static void is_value(const struct cl_store *store, const char *name, const char *expected)
{
    struct cl_buffer value = {.secret = true};
    OK(cl_vault_value(&value, store, name));
    assert_int_equal(value.length, strlen(expected));
    assert_memory_equal(value.data, expected, value.length);
    cl_buffer_wipe(&value);
}

static void files_are_those_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/vault.json");
    const char *const names[] = {"key_file_of_an_item", "key_file_of_the_vault"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = vectors_item(items, names[i]);
        uint8_t id[16], secret[32], nonce[24], key32[32];
        struct cl_store_key key = {0};
        struct cl_buffer file = vectors_bytes(item, "hex"), made = {0};
        vectors_fixed(id, 16, item, "id");
        vectors_fixed(secret, 32, item, "secret");
        vectors_fixed(nonce, 24, item, "nonce");
        vectors_fixed(key32, 32, item, "key");
        assert_int_equal(file.length, CL_KEY_FILE_BYTES);
        OK(cl_key_file_decode(&key, file.data, file.length, id, secret));
        assert_memory_equal(key.key32, key32, 32);
        assert_int_equal(key.kind, i + 1);
        OK(cl_key_file_encode(&made, &key, secret, nonce));
        assert_memory_equal(made.data, file.data, CL_KEY_FILE_BYTES);
        if (key.kind == CL_STORE_VAULT) {
            assert_string_equal(key.entry.name, json_string_value(json_array_get(json_object_get(item, "entry"), 0)));
            assert_string_equal(key.entry.category, "pd:EmailAddress");
            assert_int_equal(key.entry.changed_ms, vectors_number(json_object_get(item, "changed_ms")));
            assert_int_equal(key.entry.size, 8);
        }
        cl_buffer_wipe(&file);
        cl_buffer_wipe(&made);
    }
    const json_t *item = vectors_item(items, "value_file");
    uint8_t id[16], key32[32], nonce[24];
    struct cl_buffer file = vectors_bytes(item, "hex"), value = vectors_bytes(item, "value"), made = {0}, read = {0};
    vectors_fixed(id, 16, item, "id");
    vectors_fixed(key32, 32, item, "key");
    vectors_fixed(nonce, 24, item, "nonce");
    OK(cl_value_file_decode(&read, file.data, file.length, id, key32));
    assert_int_equal(read.length, value.length);
    assert_memory_equal(read.data, value.data, value.length);
    OK(cl_value_file_encode(&made, id, key32, nonce, value.data, value.length));
    assert_int_equal(made.length, file.length);
    assert_memory_equal(made.data, file.data, file.length);
    cl_buffer_wipe(&file);
    cl_buffer_wipe(&value);
    cl_buffer_wipe(&made);
    cl_buffer_wipe(&read);
    json_decref(items);
}

static void the_content_of_an_item_is_that_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/vault.json");
    const json_t *vector = vectors_item(items, "content_of_an_item");
    struct cl_wallet_item item = {.kind = CL_ITEM_AGREEMENT};
    uint8_t key32[32];
    vectors_fixed(key32, 32, vector, "key");
    item.content = vectors_bytes(vector, "hex");
    key32[0] ^= 1;
    assert_int_equal(cl_wallet_item_content_open(&item, key32), CL_E_LOCKED);
    key32[0] ^= 1;
    item.object.bytes[0] = 1; /* another item's */
    assert_int_equal(cl_wallet_item_content_open(&item, key32), CL_E_LOCKED);
    item.object.bytes[0] = 0;
    OK(cl_wallet_item_content_open(&item, key32));
    assert_true(item.audience_salt.present);
    assert_int_equal(item.body_count, 1);
    assert_memory_equal(item.bodies[0].data, "a body", 6);
    assert_int_equal(item.content.length, 0);
    cl_buffer_wipe(&item.bodies[0]);
    json_decref(items);
}

static void a_key_file_opens_whole_under_its_name_and_its_wallet_only(void **state)
{
    (void)state;
    struct cl_store_key key = {.id16 = {1}, .key32 = {2}, .kind = CL_STORE_ITEM}, read = {0};
    uint8_t secret[32] = {4}, other[32] = {5}, name[16] = {9}, nonce[24] = {6};
    struct cl_buffer file = {0};
    OK(cl_key_file_encode(&file, &key, secret, nonce));
    OK(cl_key_file_decode(&read, file.data, file.length, key.id16, secret));
    assert_int_equal(cl_key_file_decode(&read, file.data, file.length, name, secret), CL_E_LOCKED);
    assert_int_equal(cl_key_file_decode(&read, file.data, file.length, key.id16, other), CL_E_LOCKED);
    for (size_t cut = 0; cut < file.length; cut++)
        assert_int_not_equal(cl_key_file_decode(&read, file.data, cut, key.id16, secret), CL_OK);
    for (size_t bit = 0; bit < 8 * file.length; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(cl_key_file_decode(&read, file.data, file.length, key.id16, secret), CL_OK);
        file.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cl_buffer_wipe(&file);
}

/* What authenticates can still be of a faulty or hostile program of the same words. */
static void what_a_key_file_says_has_one_form(void **state)
{
    (void)state;
    struct cl_store_key key = {.kind = CL_STORE_VAULT, .entry = entry_of("email")}, read = {0};
    uint8_t content[CL_KEY_CONTENT_BYTES], bent[CL_KEY_CONTENT_BYTES];
    OK(cl_key_content_encode(content, &key));
    OK(cl_key_content_decode(&read, content));
    memset(bent, 0, sizeof bent);
    assert_int_equal(cl_key_content_decode(&read, bent), CL_E_FORMAT);
    memcpy(bent, content, sizeof bent);
    bent[sizeof bent - 1] = 0x80; /* the padding's mark at another place */
    assert_int_not_equal(cl_key_content_decode(&read, bent), CL_OK);
    memcpy(bent, content, sizeof bent);
    bent[1] = 3;
    assert_int_not_equal(cl_key_content_decode(&read, bent), CL_OK);
    memcpy(key.entry.name, "-email", 7);
    OK(cl_key_content_encode(bent, &key));
    assert_int_equal(cl_key_content_decode(&read, bent), CL_E_FORMAT);
    key.entry = entry_of("email");
    key.entry.size = CL_VAULT_VALUE_BYTES_MAX + 1;
    OK(cl_key_content_encode(bent, &key));
    assert_int_equal(cl_key_content_decode(&read, bent), CL_E_VALUE);
}

static void media_types_are_checked(void **state)
{
    (void)state;
    assert_true(cl_media_type_usable("text/plain") && cl_media_type_usable("application/ld+json") && cl_media_type_usable("application/vnd.ms-excel"));
    const char *const bad[] = {"", "text", "text/", "/plain", "text/plain/x", "text/pl ain", "text/plain;charset=utf-8", "a//b", "\x1b/a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(cl_media_type_usable(bad[i]));
}

static void a_destroyed_key_takes_the_content_along_in_every_copy(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_store *store = NULL;
    struct cl_buffer old = {.secret = true}, backup = {0}, present = {.secret = true};
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_save_keys(store, wallet));
    OK(cl_wallet_encode(&old, wallet));
    OK(cl_wallet_backup_seal(&backup, wallet));
    assert_null(memmem(old.data, old.length, "the bank's body", 15));
    uint8_t key[32], salt[32];
    memcpy(key, wallet->items[0].content_key32, 32);
    memset(salt, 0x5a, 32);
    assert_null(memmem(old.data, old.length, key, 32));
    assert_null(memmem(old.data, old.length, salt, 32));
    assert_int_equal(files(directory, ".key", NULL), 2);
    cl_wallet_free(wallet);
    cl_store_free(store);

    wallet = reopened(&old, &store);
    assert_memory_equal(wallet->items[0].bodies[0].data, "the bank's body", 15);
    OK(cl_wallet_item_destroy_secrets(&wallet->items[0]));
    assert_int_equal(wallet->items[0].body_count, 0);
    OK(cl_store_save_keys(store, wallet));
    OK(cl_wallet_encode(&present, wallet));
    assert_int_equal(files(directory, ".key", NULL), 3);
    OK(cl_store_sweep(store, wallet));
    assert_int_equal(files(directory, "", NULL), 2);
    cl_wallet_free(wallet);
    cl_store_free(store);

    wallet = reopened(&old, &store); /* a copy that somebody kept, and the words */
    assert_false(wallet->items[0].content_open);
    assert_int_equal(wallet->items[0].body_count, 0);
    assert_memory_equal(wallet->items[1].bodies[0].data, "the shop's body", 15);
    cl_wallet_free(wallet);
    cl_store_free(store);
    OK(cl_wallet_backup_open(&wallet, backup.data, backup.length, (const uint8_t[32]){3}));
    OK(cl_store_open(&store, directory, wallet));
    assert_false(wallet->items[0].content_open);
    cl_wallet_free(wallet);
    cl_store_free(store);
    wallet = reopened(&present, &store);
    assert_true(wallet->items[0].content_open && wallet->items[0].body_count == 0);
    cl_wallet_free(wallet);
    cl_store_free(store);
    cl_buffer_wipe(&old);
    cl_buffer_wipe(&backup);
    cl_buffer_wipe(&present);
}

static void content_without_its_key_is_written_again_as_it_was(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_store *store = NULL;
    struct cl_buffer first = {.secret = true}, second = {.secret = true};
    char moved[128];
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_save_keys(store, wallet));
    OK(cl_wallet_encode(&first, wallet));
    cl_wallet_free(wallet);
    cl_store_free(store);
    (void)snprintf(moved, sizeof moved, "%s/elsewhere", scratch);
    assert_int_equal(rename(directory, moved), 0);
    wallet = reopened(&first, &store);
    OK(cl_store_save_keys(store, wallet));
    OK(cl_wallet_encode(&second, wallet));
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    OK(cl_store_sweep(store, wallet));
    cl_store_free(store);
    cl_wallet_free(wallet);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(rename(moved, directory), 0); /* the folder comes after all */
    wallet = reopened(&second, &store);
    assert_memory_equal(wallet->items[0].bodies[0].data, "the bank's body", 15);
    cl_wallet_free(wallet);
    cl_store_free(store);
    cl_buffer_wipe(&first);
    cl_buffer_wipe(&second);
}

static void keys_swapped_between_items_open_nothing(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_store *store = NULL;
    struct cl_buffer copy = {.secret = true};
    char a[256], b[256], hex[33];
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_save_keys(store, wallet));
    OK(cl_wallet_encode(&copy, wallet));
    cl_hex_encode(hex, wallet->items[0].content_id16, 16);
    (void)snprintf(a, sizeof a, "%s/%s.key", directory, hex);
    cl_hex_encode(hex, wallet->items[1].content_id16, 16);
    (void)snprintf(b, sizeof b, "%s/%s.key", directory, hex);
    cl_wallet_free(wallet);
    cl_store_free(store);
    char third[160];
    (void)snprintf(third, sizeof third, "%s/third", scratch);
    assert_true(rename(a, third) == 0 && rename(b, a) == 0 && rename(third, b) == 0);
    wallet = reopened(&copy, &store);
    assert_int_equal(cl_store_damaged(store), 2);
    assert_false(wallet->items[0].content_open || wallet->items[1].content_open);
    OK(cl_store_sweep(store, wallet)); /* what does not open is left alone */
    assert_int_equal(files(directory, ".key", NULL), 2);
    cl_wallet_free(wallet);
    cl_store_free(store);
    cl_buffer_wipe(&copy);
}

static void a_vault_keeps_changes_and_removes(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_store *store = NULL;
    struct cl_vault_entry email = entry_of("email"), address = entry_of("address"), bad = entry_of("email2");
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_vault_put(store, &email, (const uint8_t *)"a@b.org", 7));
    OK(cl_vault_put(store, &address, (const uint8_t *)"", 0));
    assert_int_equal(cl_vault_put(store, &email, (const uint8_t *)"x", 1), CL_E_EXISTS);
    (void)snprintf(bad.category, sizeof bad.category, "pd:EmailAddres");
    assert_int_equal(cl_vault_put(store, &bad, (const uint8_t *)"x", 1), CL_E_ARGUMENT);
    bad = entry_of("a/b");
    assert_int_equal(cl_vault_put(store, &bad, (const uint8_t *)"x", 1), CL_E_ARGUMENT);
    bad = entry_of("large");
    assert_int_equal(cl_vault_put(store, &bad, (const uint8_t *)"x", CL_VAULT_VALUE_BYTES_MAX + 1), CL_E_BOUND);
    assert_int_equal(cl_vault_count(store), 2);
    assert_string_equal(cl_vault_at(store, 0)->name, "address");
    is_value(store, "email", "a@b.org");
    email.changed_ms = 2;
    OK(cl_vault_change(store, &email, (const uint8_t *)"c@d.org", 7));
    assert_int_equal(cl_vault_change(store, &bad, (const uint8_t *)"x", 1), CL_E_NOT_FOUND);
    cl_store_free(store);
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_sweep(store, wallet));
    is_value(store, "email", "c@d.org");
    assert_int_equal(cl_vault_find(store, "email")->changed_ms, 2);
    assert_int_equal(files(directory, ".value", NULL), 2);
    OK(cl_vault_remove(store, "email"));
    assert_int_equal(cl_vault_remove(store, "email"), CL_E_NOT_FOUND);
    struct cl_buffer value = {0};
    assert_int_equal(cl_vault_value(&value, store, "email"), CL_E_NOT_FOUND);
    is_value(store, "address", "");
    assert_int_equal(files(directory, "", NULL), 2);
    cl_store_free(store);
    cl_wallet_free(wallet);
}

static void a_value_opens_under_its_own_key_only(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_store *store = NULL;
    struct cl_vault_entry first = entry_of("first"), second = entry_of("second");
    struct cl_buffer data = {0}, value = {0};
    char path[512], other[512];
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_vault_put(store, &first, (const uint8_t *)"one", 3));
    assert_int_equal(files(directory, ".value", path), 1);
    OK(cl_file_read(&data, path, 4096));
    OK(cl_vault_remove(store, "first"));
    OK(cl_vault_put(store, &second, (const uint8_t *)"two", 3));
    assert_int_equal(files(directory, ".value", other), 1);
    OK(cl_file_replace(other, data.data, data.length, true)); /* another item's value in its place */
    assert_int_equal(cl_vault_value(&value, store, "second"), CL_E_LOCKED);
    OK(cl_file_replace(other, data.data, data.length / 2, true));
    assert_int_not_equal(cl_vault_value(&value, store, "second"), CL_OK);
    assert_int_equal(value.length, 0);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(cl_vault_value(&value, store, "second"), CL_E_IO);
    cl_store_free(store);
    cl_wallet_free(wallet);
    cl_buffer_wipe(&data);
}

/* What a process that was killed leaves: a value that no key file names, a key that no wallet names, a key half destroyed,
   a file half written. */
static void what_was_interrupted_is_swept(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled(), *other = NULL;
    struct cl_store *store = NULL;
    struct cl_vault_entry email = entry_of("email");
    char path[160];
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_save_keys(store, wallet));
    OK(cl_vault_put(store, &email, (const uint8_t *)"a@b.org", 7));
    cl_store_free(store);
    (void)snprintf(path, sizeof path, "%s/%s", directory, "00112233445566778899aabbccddeeff.value");
    OK(cl_file_replace(path, "x", 1, true));
    (void)snprintf(path, sizeof path, "%s/%s", directory, "00112233445566778899aabbccddeeff.gone");
    OK(cl_file_replace(path, "x", 1, true));
    (void)snprintf(path, sizeof path, "%s/%s", directory, "00112233445566778899aabbccddeeff.key.new-77");
    OK(cl_file_replace(path, "x", 1, true));
    (void)snprintf(path, sizeof path, "%s/%s", directory, "somebody's notes");
    OK(cl_file_replace(path, "x", 1, true));
    cl_wallet_item_remove(wallet, &wallet->items[0]);
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_sweep(store, wallet));
    is_value(store, "email", "a@b.org");
    assert_int_equal(files(directory, "", NULL), 4); /* one item's key, the vault's two, and what is not ours */
    cl_store_free(store);
    /* another wallet's folder: nothing of it opens, and nothing is swept */
    OK(cl_wallet_new(&other, (const uint8_t[32]){99}));
    OK(cl_store_open(&store, directory, other));
    OK(cl_store_sweep(store, other));
    assert_int_equal(cl_store_damaged(store), 2);
    assert_int_equal(cl_vault_count(store), 0);
    assert_int_equal(files(directory, "", NULL), 4);
    cl_store_free(store);
    cl_wallet_free(other);
    cl_wallet_free(wallet);
}

static void a_copy_elsewhere_follows(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_store *store = NULL, *copy = NULL;
    struct cl_vault_entry email = entry_of("email"), address = entry_of("address");
    char elsewhere[128];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/stick.store", scratch);
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_save_keys(store, wallet));
    OK(cl_vault_put(store, &email, (const uint8_t *)"old", 3));
    OK(cl_vault_put(store, &address, (const uint8_t *)"home", 4));
    OK(cl_store_mirror(store, elsewhere, wallet));
    assert_int_equal(files(elsewhere, "", NULL), 6);
    OK(cl_vault_change(store, &email, (const uint8_t *)"new", 3));
    OK(cl_vault_remove(store, "address"));
    OK(cl_wallet_item_destroy_secrets(&wallet->items[0]));
    OK(cl_store_save_keys(store, wallet));
    OK(cl_store_sweep(store, wallet));
    OK(cl_store_mirror(store, elsewhere, wallet));
    assert_int_equal(files(elsewhere, "", NULL), 4);
    OK(cl_store_open(&copy, elsewhere, wallet));
    is_value(copy, "email", "new");
    assert_int_equal(cl_vault_count(copy), 1);
    cl_store_free(copy);
    cl_store_free(store);
    cl_wallet_free(wallet);
}

int main(void)
{
#define IN_SCRATCH(test) cmocka_unit_test_setup_teardown(test, make_scratch, scratch_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_those_of_the_vectors), cmocka_unit_test(the_content_of_an_item_is_that_of_the_vectors),
        cmocka_unit_test(a_key_file_opens_whole_under_its_name_and_its_wallet_only), cmocka_unit_test(what_a_key_file_says_has_one_form),
        cmocka_unit_test(media_types_are_checked), IN_SCRATCH(a_destroyed_key_takes_the_content_along_in_every_copy),
        IN_SCRATCH(content_without_its_key_is_written_again_as_it_was), IN_SCRATCH(keys_swapped_between_items_open_nothing),
        IN_SCRATCH(a_vault_keeps_changes_and_removes), IN_SCRATCH(a_value_opens_under_its_own_key_only),
        IN_SCRATCH(what_was_interrupted_is_swept), IN_SCRATCH(a_copy_elsewhere_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Claims about the keystore: words, keys, names, sealing, and what a damaged or hostile file can do (nothing). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consent/wallet.h"

/* BIP39's published vector for 256 bits of 0x7f, and of zero. */
static void words_are_those_of_bip39(void **state)
{
    (void)state;
    char words[CL_WORDS_SIZE];
    uint8_t entropy[32], back[32];
    memset(entropy, 0x7f, 32);
    cl_words_encode(words, entropy);
    assert_string_equal(words, "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title");
    assert_int_equal(cl_words_decode(back, NULL, words), CL_OK);
    assert_memory_equal(back, entropy, 32);
}

static void a_wrong_word_is_named_and_a_wrong_order_refused(void **state)
{
    (void)state;
    uint8_t entropy[32];
    unsigned bad = 0;
    assert_int_equal(cl_words_decode(entropy, &bad, "legal winner thunk"), CL_E_SECRET);
    assert_int_equal(bad, 3);
    assert_int_equal(cl_words_decode(entropy, &bad, "winner legal thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title"), CL_E_SECRET);
    assert_int_equal(bad, 0);
    assert_int_equal(cl_words_decode(entropy, &bad, ""), CL_E_SECRET);
}

static void names_of_keys_go_there_and_back(void **state)
{
    (void)state;
    struct cl_public_key key, back;
    char did[CL_DID_KEY_SIZE], hex[67];
    uint8_t secret[32] = {1};
    assert_int_equal(cl_secret_public(&key, secret), CL_OK);
    cl_did_key_encode(did, &key);
    assert_memory_equal(did, "did:key:zQ3sh", 13);
    assert_int_equal(cl_public_key_decode(&back, did), CL_OK);
    assert_memory_equal(back.bytes, key.bytes, 33);
    char zero_before[CL_DID_KEY_SIZE + 1] = "did:key:z1"; /* the same number, another text */
    strcat(zero_before, did + 9);
    assert_int_equal(cl_public_key_decode(&back, zero_before), CL_E_KEY);
    cl_hex_encode(hex, key.bytes, 33);
    assert_int_equal(cl_public_key_decode(&back, hex), CL_OK);
    did[20] = did[20] == 'a' ? 'b' : 'a';
    assert_int_not_equal(cl_public_key_decode(&back, did) == CL_OK && memcmp(back.bytes, key.bytes, 33) == 0, true);
    assert_int_equal(cl_public_key_decode(&back, "did:key:z0"), CL_E_KEY);
    assert_int_equal(cl_public_key_decode(&back, ""), CL_E_KEY);
}

/* A wallet with two keys and one entry. */
static struct cl_wallet *filled(void)
{
    struct cl_wallet *wallet = NULL;
    struct cl_wallet_item *item = NULL;
    struct cl_object_id id = {{7}};
    uint8_t entropy[32] = {3};
    assert_int_equal(cl_wallet_new(&wallet, entropy), CL_OK);
    assert_int_equal(cl_wallet_key_add(wallet, NULL, "alice", "consent:key/alice"), CL_OK);
    assert_int_equal(cl_wallet_key_add(wallet, NULL, "alice.2", "consent:key/alice"), CL_OK);
    assert_int_equal(cl_wallet_item_add(wallet, &item, "bank", CL_ITEM_AGREEMENT, &id), CL_OK);
    item->role = CL_SIDE_CUSTOMER;
    item->audience_salt.present = true;
    assert_int_equal(cl_wallet_item_body_add(item, (const uint8_t *)"body", 4), CL_OK);
    return wallet;
}

static void a_relationship_gets_a_fresh_key_each_time(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    assert_int_equal(wallet->keys[1].index, 1);
    assert_memory_not_equal(wallet->keys[0].key.bytes, wallet->keys[1].key.bytes, 33);
    size_t position = 0;
    struct cl_public_key removed;
    assert_int_equal(cl_wallet_key_add(wallet, &position, "alice.3", "consent:key/alice"), CL_OK);
    removed = wallet->keys[position].key;
    cl_wallet_key_remove(wallet, &wallet->keys[position]);
    assert_null(cl_wallet_key_find(wallet, "alice.3"));
    assert_non_null(cl_wallet_key_find(wallet, "alice.2"));
    assert_int_equal(cl_wallet_key_add(wallet, &position, "alice.4", "consent:key/alice"), CL_OK); /* the same index again */
    assert_memory_equal(&wallet->keys[position].key, &removed, sizeof removed);
    cl_wallet_key_remove(wallet, &wallet->keys[position]);
    assert_int_equal(cl_wallet_key_add(wallet, NULL, "alice", "consent:key/other"), CL_E_EXISTS);
    assert_int_equal(cl_wallet_key_add(wallet, NULL, "a b", "consent:key/other"), CL_E_ARGUMENT);
    cl_wallet_free(wallet);
}

static void what_is_written_is_read_again_and_only_that(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled(), *back = NULL;
    struct cl_buffer first = {0}, second = {0};
    assert_int_equal(cl_wallet_encode(&first, wallet), CL_OK);
    assert_int_equal(cl_wallet_decode(&back, first.data, first.length), CL_OK);
    assert_int_equal(cl_wallet_encode(&second, back), CL_OK);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.data, second.data, first.length);
    for (size_t cut = 0; cut < first.length; cut++) {
        struct cl_wallet *none = NULL;
        assert_int_not_equal(cl_wallet_decode(&none, first.data, cut), CL_OK);
    }
    cl_buffer_wipe(&first);
    cl_buffer_wipe(&second);
    cl_wallet_free(wallet);
    cl_wallet_free(back);
}

static void names_and_prefixes_find_an_entry(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    struct cl_wallet_item *item = NULL;
    assert_int_equal(cl_wallet_item_find(&item, wallet, "bank"), CL_OK);
    assert_int_equal(cl_wallet_item_find(&item, wallet, "070000"), CL_OK);
    assert_int_equal(cl_wallet_item_find(&item, wallet, "07000"), CL_E_NOT_FOUND);
    struct cl_object_id second = {{7, 0, 0, 1}};
    assert_int_equal(cl_wallet_item_add(wallet, &item, "shop", CL_ITEM_TERMS, &second), CL_OK);
    assert_int_equal(cl_wallet_item_find(&item, wallet, "070000"), CL_E_ARGUMENT);
    assert_int_equal(cl_wallet_item_find(&item, wallet, "07000001"), CL_OK);
    assert_string_equal(item->name, "shop");
    assert_int_equal(cl_wallet_item_add(wallet, &item, "shop", CL_ITEM_TERMS, &(struct cl_object_id){{9}}), CL_E_EXISTS);
    cl_wallet_free(wallet);
}

static void only_the_passphrase_opens_it_and_any_flipped_bit_locks_it(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled(), *back = NULL;
    struct cl_buffer sealed = {0}, again = {0};
    assert_int_equal(cl_wallet_seal(&sealed, wallet, "secret", 6), CL_OK);
    assert_int_equal(cl_wallet_open(&back, sealed.data, sealed.length, "Secret", 6), CL_E_LOCKED);
    assert_int_equal(cl_wallet_open(&back, sealed.data, sealed.length, "secret", 6), CL_OK);
    assert_string_equal(back->items[0].name, "bank");
    assert_int_equal(cl_wallet_seal(&again, back, NULL, 0), CL_OK);
    assert_memory_not_equal(again.data + 50, sealed.data + 50, 24);
    struct cl_wallet *reread = NULL; /* what another process left, without the passphrase */
    assert_int_equal(cl_wallet_open_again(&reread, again.data, again.length, back), CL_OK);
    assert_string_equal(reread->items[0].name, "bank");
    cl_wallet_free(reread);
    reread = NULL;
    again.data[again.length - 1] ^= 1;
    assert_int_equal(cl_wallet_open_again(&reread, again.data, again.length, back), CL_E_LOCKED);
    struct cl_buffer other = {0};
    assert_int_equal(cl_wallet_seal(&other, wallet, "another", 7), CL_OK); /* with a salt of its own */
    assert_int_equal(cl_wallet_open_again(&reread, other.data, other.length, back), CL_E_LOCKED);
    cl_buffer_wipe(&other);
    sealed.data[sealed.length - 1] ^= 1;
    struct cl_wallet *none = NULL;
    assert_int_equal(cl_wallet_open(&none, sealed.data, sealed.length, "secret", 6), CL_E_LOCKED);
    cl_buffer_wipe(&sealed);
    cl_buffer_wipe(&again);
    cl_wallet_free(wallet);
    cl_wallet_free(back);
}

static void the_words_open_the_backup_and_no_others_do(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled(), *back = NULL;
    struct cl_buffer sealed = {0};
    uint8_t entropy[32] = {3}, other[32] = {4};
    assert_int_equal(cl_wallet_backup_seal(&sealed, wallet), CL_OK);
    assert_int_equal(cl_wallet_backup_open(&back, sealed.data, sealed.length, other), CL_E_LOCKED);
    assert_int_equal(cl_wallet_backup_open(&back, sealed.data, sealed.length, entropy), CL_OK);
    assert_int_equal(back->key_count, 2);
    cl_buffer_wipe(&sealed);
    cl_wallet_free(wallet);
    cl_wallet_free(back);
}

static void erasing_leaves_no_salt_and_no_body(void **state)
{
    (void)state;
    struct cl_wallet *wallet = filled();
    uint8_t key[32];
    memcpy(key, wallet->items[0].content_key32, 32);
    assert_int_equal(cl_wallet_item_destroy_secrets(&wallet->items[0]), CL_OK);
    assert_memory_not_equal(key, wallet->items[0].content_key32, 32);
    assert_int_equal(wallet->items[0].body_count, 0);
    assert_false(wallet->items[0].audience_salt.present);
    cl_wallet_free(wallet);
}

static void a_file_is_replaced_as_a_whole(void **state)
{
    (void)state;
    char path[] = "/tmp/consent-test-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    struct cl_buffer back = {0};
    assert_int_equal(cl_file_replace(path, "first", 5, true), CL_OK);
    assert_int_equal(cl_file_replace(path, "second", 6, true), CL_OK);
    struct stat made;
    assert_int_equal(stat(path, &made), 0);
    assert_int_equal(made.st_mode & 0777, 0600);
    assert_int_equal(cl_file_read(&back, path, 5), CL_E_BOUND);
    cl_buffer_wipe(&back);
    assert_int_equal(cl_file_read(&back, path, 6), CL_OK);
    assert_memory_equal(back.data, "second", 6);
    cl_buffer_wipe(&back);
    assert_int_equal(cl_file_replace("/nonexistent/x", "x", 1, true), CL_E_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cl_file_read(&back, path, 6), CL_E_NOT_FOUND);
}

/* Of a version to come nothing is known but its start: it must not pass for a damaged file. */
static void a_file_of_a_later_version_is_told_as_one(void **state)
{
    static const uint8_t wallet[] = "\x89\x02\x6e" "consent-wallet" "\x01\x02\x03\x04\x05\x06\x07";
    static const uint8_t offer[] = "\x83\x02\x6d" "consent-offer" "\x01";
    struct cl_wallet *opened = NULL;
    struct cl_offer out;
    (void)state;
    assert_int_equal(cl_wallet_open(&opened, wallet, sizeof wallet - 1, "x", 1), CL_E_VERSION);
    assert_int_equal(cl_offer_decode(&out, offer, sizeof offer - 1), CL_E_VERSION);
}

static void offers_go_there_and_back(void **state)
{
    (void)state;
    struct cl_offer offer = {.network = {{1}}, .object = {{2}}, .kind = CL_ITEM_TERMS, .has_audience_salt = true, .audience_salt = {5}, .body_file = {(const uint8_t *)"xyz", 3},
                             .reception = {.present = true, .in_return = true, .delivery32 = {6}, .node = "alpha-1", .mailbox32 = {7}}}, back;
    struct cl_buffer data = {0};
    assert_int_equal(cl_offer_encode(&data, &offer), CL_OK);
    assert_int_equal(cl_offer_decode(&back, data.data, data.length), CL_OK);
    assert_int_equal(back.kind, CL_ITEM_TERMS);
    assert_int_equal(back.body_file.length, 3);
    assert_int_equal(back.audience_salt[0], 5);
    assert_true(back.reception.present && back.reception.in_return && back.reception.delivery32[0] == 6 && back.reception.mailbox32[0] == 7);
    assert_string_equal(back.reception.node, "alpha-1");
    for (size_t cut = 0; cut < data.length; cut++)
        assert_int_not_equal(cl_offer_decode(&back, data.data, cut), CL_OK);
    cl_buffer_wipe(&data);
    memcpy(offer.reception.node, "../alpha", 9);
    assert_int_equal(cl_offer_encode(&data, &offer), CL_E_ARGUMENT);
    offer.reception.present = false;
    assert_int_equal(cl_offer_encode(&data, &offer), CL_OK);
    assert_int_equal(cl_offer_decode(&back, data.data, data.length), CL_OK);
    assert_false(back.reception.present);
    cl_buffer_wipe(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_bip39), cmocka_unit_test(a_wrong_word_is_named_and_a_wrong_order_refused),
        cmocka_unit_test(names_of_keys_go_there_and_back), cmocka_unit_test(a_relationship_gets_a_fresh_key_each_time),
        cmocka_unit_test(what_is_written_is_read_again_and_only_that), cmocka_unit_test(names_and_prefixes_find_an_entry),
        cmocka_unit_test(only_the_passphrase_opens_it_and_any_flipped_bit_locks_it), cmocka_unit_test(the_words_open_the_backup_and_no_others_do),
        cmocka_unit_test(erasing_leaves_no_salt_and_no_body), cmocka_unit_test(a_file_is_replaced_as_a_whole), cmocka_unit_test(offers_go_there_and_back),
        cmocka_unit_test(a_file_of_a_later_version_is_told_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

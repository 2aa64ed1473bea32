/* Claims about what a wallet keeps of its exchanges: the bytes are those of the format, bounds hold, a file of another
   wallet or agreement does not pass, what is destroyed is gone from the folder and from a backup that is brought up to date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "exchange_format.h"
#include "vault_format.h"
#include "scratch.h"
#include "vectors.h"

#define OK(call) assert_int_equal((call), CL_OK)

static char directory[96], elsewhere[96];
static const struct cl_object_id bank = {{7}}, shop = {{8}};

static int make_scratch(void **state)
{
    int made = scratch_make(state);
    (void)snprintf(directory, sizeof directory, "%s/wallet.store", scratch);
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/copy.store", scratch);
    return made;
}

static size_t files(const char *folder)
{
    DIR *opened = opendir(folder);
    size_t count = 0;
    assert_non_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened))
        count += entry->d_name[0] != '.' ? 1 : 0;
    (void)closedir(opened);
    return count;
}

static struct cl_wallet *wallet_of(uint8_t seed)
{
    struct cl_wallet *wallet = NULL;
    struct cl_wallet_item *item = NULL;
    OK(cl_wallet_new(&wallet, (const uint8_t[32]){seed}));
    OK(cl_wallet_item_add(wallet, &item, "bank", CL_ITEM_AGREEMENT, &bank));
    OK(cl_wallet_item_body_add(item, (const uint8_t *)"the bank's body", 15));
    return wallet;
}

static struct cl_exchange_delivery delivery_of(uint16_t number, bool received)
{
    struct cl_exchange_delivery delivery = {.received = received, .id16 = {(uint8_t)(number >> 8), (uint8_t)number}, .kind = CL_DELIVERY_DATA, .has_slot = true, .slot = 1, .sent_ms = number + 1u, .length = 5, .media_type = "text/plain"};
    return delivery;
}

static struct cl_exchange filled(const char *contact)
{
    struct cl_exchange exchange = {.contact = {.secret = true}};
    struct cl_exchange_delivery delivery = delivery_of(3, true);
    OK(cl_buffer_append(&exchange.contact, contact, strlen(contact)));
    OK(cl_exchange_add(&exchange, &delivery));
    OK(cl_exchange_link_set(&exchange, 2, "phone"));
    cl_opened_add(&exchange.opened, &(struct cl_delivery){.id16 = {3}, .sent_ms = 4});
    return exchange;
}

static bool has(struct cl_store *store, const struct cl_object_id *agreement, const char *contact)
{
    struct cl_exchange exchange;
    OK(cl_exchange_load(&exchange, store, agreement));
    bool found = exchange.contact.length == strlen(contact) && (contact[0] == '\0' || memcmp(exchange.contact.data, contact, strlen(contact)) == 0);
    cl_exchange_deinit(&exchange);
    return found;
}

static void save(struct cl_store *store, const struct cl_object_id *agreement, const char *contact)
{
    struct cl_exchange exchange = filled(contact);
    OK(cl_exchange_save(&exchange, store, agreement));
    cl_exchange_deinit(&exchange);
}

static void the_file_is_that_of_the_vectors(void **state)
{
    (void)state;
    json_t *items = vectors_load("tests/vectors/vault.json");
    const json_t *item = vectors_item(items, "exchange_file");
    struct cl_buffer file = vectors_bytes(item, "hex"), made = {0};
    struct cl_object_id agreement;
    uint8_t id[16], secret[32], nonce[24], name[16];
    struct cl_exchange exchange;
    vectors_fixed(id, 16, item, "id");
    vectors_fixed(secret, 32, item, "secret");
    vectors_fixed(nonce, 24, item, "nonce");
    vectors_fixed(agreement.bytes, 32, item, "agreement");
    cl_exchange_name(name, secret, &agreement);
    assert_memory_equal(name, id, 16);
    OK(cl_exchange_file_decode(&exchange, file.data, file.length, id, secret));
    assert_int_equal(exchange.contact.length, 9);
    assert_string_equal(cl_exchange_link_find(&exchange, 63)->item, "phone");
    assert_int_equal(exchange.opened.count, 1);
    assert_int_equal(exchange.dropped, 2);
    assert_int_equal(exchange.delivery_count, 2);
    assert_false(exchange.deliveries[0].received);
    assert_int_equal(exchange.deliveries[0].kind, CL_DELIVERY_CHANGE);
    assert_true(exchange.deliveries[1].received);
    assert_false(exchange.deliveries[1].has_slot);
    OK(cl_exchange_file_encode(&made, &exchange, id, secret, nonce));
    assert_int_equal(made.length, file.length);
    assert_memory_equal(made.data, file.data, file.length);
    cl_exchange_deinit(&exchange);
    id[0] ^= 1; /* under another name */
    assert_int_equal(cl_exchange_file_decode(&exchange, file.data, file.length, id, secret), CL_E_LOCKED);
    cl_buffer_deinit(&file);
    cl_buffer_deinit(&made);
    json_decref(items);
}

static void links_are_one_for_each_slot(void **state)
{
    (void)state;
    struct cl_exchange exchange = {.contact = {.secret = true}};
    for (unsigned slot = 64; slot-- > 0;)
        OK(cl_exchange_link_set(&exchange, (uint8_t)slot, "phone"));
    assert_int_equal(exchange.link_count, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(exchange.links[i].slot, i);
    exchange.links[5].told_ms = 9;
    OK(cl_exchange_link_set(&exchange, 5, "email"));
    assert_string_equal(cl_exchange_link_find(&exchange, 5)->item, "email");
    assert_int_equal(exchange.links[5].told_ms, 0);
    OK(cl_exchange_link_set(&exchange, 5, NULL));
    assert_null(cl_exchange_link_find(&exchange, 5));
    assert_int_equal(exchange.link_count, 63);
    assert_int_equal(cl_exchange_link_set(&exchange, 64, "phone"), CL_E_ARGUMENT);
    assert_int_equal(cl_exchange_link_set(&exchange, 1, "no name"), CL_E_ARGUMENT);
    cl_exchange_deinit(&exchange);
}

static void the_log_drops_the_oldest_and_the_fullest_one_is_written(void **state)
{
    (void)state;
    struct cl_wallet *wallet = wallet_of(3);
    struct cl_store *store = NULL;
    struct cl_exchange exchange = {.contact = {.secret = true}}, read;
    OK(cl_store_open(&store, directory, wallet));
    for (uint16_t i = 0; i < CL_EXCHANGE_LOG_MAX + 3; i++) {
        struct cl_exchange_delivery delivery = delivery_of(i, i % 2 == 0);
        memset(delivery.media_type, 'x', CL_MEDIA_TYPE_BYTES_MAX);
        delivery.sent_ms = delivery.seen_ms = delivery.acknowledged_ms = UINT64_MAX;
        OK(cl_exchange_add(&exchange, &delivery));
    }
    for (unsigned slot = 0; slot < 64; slot++)
        OK(cl_exchange_link_set(&exchange, (uint8_t)slot, "a-name-of-sixty-four-letters-which-is-the-longest-that-there-is."));
    for (uint16_t i = 0; i < CL_OPENED_MAX; i++)
        cl_opened_add(&exchange.opened, &(struct cl_delivery){.id16 = {(uint8_t)(i >> 8), (uint8_t)i}, .sent_ms = UINT64_MAX - CL_OPENED_MAX + i});
    while (exchange.contact.length < CL_CONTACT_BYTES_MAX)
        OK(cl_buffer_append(&exchange.contact, "c", 1));
    assert_int_equal(exchange.opened.count, CL_OPENED_MAX);
    assert_int_equal(exchange.dropped, 3);
    OK(cl_exchange_save(&exchange, store, &bank));
    OK(cl_exchange_load(&read, store, &bank));
    assert_int_equal(read.delivery_count, CL_EXCHANGE_LOG_MAX);
    assert_int_equal(read.dropped, 3);
    assert_int_equal(read.opened.count, CL_OPENED_MAX);
    assert_null(cl_exchange_find(&read, (const uint8_t[16]){0, 2}, true));
    assert_non_null(cl_exchange_find(&read, (const uint8_t[16]){0, 4}, true));
    assert_null(cl_exchange_find(&read, (const uint8_t[16]){0, 4}, false));
    cl_exchange_deinit(&read);
    OK(cl_buffer_append(&exchange.contact, "c", 1));
    assert_int_equal(cl_exchange_save(&exchange, store, &bank), CL_E_BOUND);
    cl_exchange_deinit(&exchange);
    cl_store_free(store);
    cl_wallet_free(wallet);
}

static void another_wallets_file_is_not_taken(void **state)
{
    (void)state;
    struct cl_wallet *wallet = wallet_of(3), *other = wallet_of(4);
    struct cl_store *store = NULL, *others = NULL;
    struct cl_exchange exchange;
    uint8_t secret[32], id[16];
    char path[256], hex[33];
    OK(cl_store_open(&store, directory, wallet));
    save(store, &bank, "the bank's");
    assert_true(has(store, &bank, "the bank's"));
    assert_true(has(store, &shop, ""));
    OK(cl_store_open(&others, elsewhere, other)); /* keys of the one do not open in the other's folder */
    OK(cl_store_secret(secret, wallet));
    cl_exchange_name(id, secret, &bank);
    cl_hex_encode(hex, id, 16);
    (void)snprintf(path, sizeof path, "%s/%s.exchange", directory, hex);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 200, SEEK_SET), 0);
    assert_int_equal(fputc(0x55, file), 0x55);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(cl_exchange_load(&exchange, store, &bank), CL_E_LOCKED);
    assert_true(has(others, &bank, ""));
    cl_store_free(store);
    cl_store_free(others);
    cl_wallet_free(wallet);
    cl_wallet_free(other);
}

/* Interrupted after it was moved out of the way: whoever opens the folder next finishes. */
static void destroyed_is_gone_also_where_it_was_interrupted(void **state)
{
    (void)state;
    struct cl_wallet *wallet = wallet_of(3);
    struct cl_store *store = NULL;
    uint8_t secret[32], id[16];
    char path[256], gone[256], hex[33];
    OK(cl_store_open(&store, directory, wallet));
    save(store, &bank, "the bank's");
    save(store, &shop, "the shop's");
    OK(cl_exchange_destroy(store, &bank));
    OK(cl_exchange_destroy(store, &bank));
    assert_true(has(store, &bank, ""));
    assert_int_equal(files(directory), 1);
    OK(cl_store_secret(secret, wallet));
    cl_exchange_name(id, secret, &shop);
    cl_hex_encode(hex, id, 16);
    (void)snprintf(path, sizeof path, "%s/%s.exchange", directory, hex);
    (void)snprintf(gone, sizeof gone, "%s/%s.gone", directory, hex);
    assert_int_equal(rename(path, gone), 0);
    cl_store_free(store);
    OK(cl_store_open(&store, directory, wallet));
    assert_int_equal(files(directory), 0);
    cl_store_free(store);
    cl_wallet_free(wallet);
}

/* Several written together: each is there, what was there before is not, and nothing is left beside them. */
static void many_are_written_as_one_is(void **state)
{
    (void)state;
    struct cl_wallet *wallet = wallet_of(3);
    struct cl_store *store = NULL;
    static struct cl_exchange exchanges[CL_EXCHANGE_SAVE_MAX];
    static struct cl_object_id agreements[CL_EXCHANGE_SAVE_MAX];
    OK(cl_store_open(&store, directory, wallet));
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < CL_EXCHANGE_SAVE_MAX; i++) {
            char contact[32];
            (void)snprintf(contact, sizeof contact, "round %u of %u", round, i);
            agreements[i] = (struct cl_object_id){{1, (uint8_t)i}};
            exchanges[i] = filled(contact);
        }
        OK(cl_exchange_save_all(exchanges, agreements, round == 0 ? CL_EXCHANGE_SAVE_MAX : 200, store));
        for (unsigned i = 0; i < CL_EXCHANGE_SAVE_MAX; i++)
            cl_exchange_deinit(&exchanges[i]);
    }
    assert_int_equal(files(directory), CL_EXCHANGE_SAVE_MAX);
    assert_true(has(store, &agreements[199], "round 1 of 199") && has(store, &agreements[200], "round 0 of 200"));
    assert_int_equal(cl_exchange_save_all(exchanges, agreements, CL_EXCHANGE_SAVE_MAX + 1, store), CL_E_BOUND);
    /* where the folder is gone, it says so */
    char moved[128];
    (void)snprintf(moved, sizeof moved, "%s.moved", directory);
    assert_int_equal(rename(directory, moved), 0);
    assert_int_equal(cl_exchange_save_all(exchanges, agreements, 200, store), CL_E_IO);
    cl_store_free(store);
    cl_wallet_free(wallet);
}

static void a_copy_follows(void **state)
{
    (void)state;
    struct cl_wallet *wallet = wallet_of(3), *lost = NULL;
    struct cl_store *store = NULL, *copy = NULL, *fresh = NULL;
    struct cl_buffer bytes = {.secret = true};
    char third[128];
    OK(cl_store_open(&store, directory, wallet));
    OK(cl_store_save_keys(store, wallet));
    save(store, &bank, "the bank's");
    save(store, &shop, "the shop's");
    OK(cl_store_mirror(store, elsewhere, wallet));
    OK(cl_store_open(&copy, elsewhere, wallet));
    assert_true(has(copy, &bank, "the bank's") && has(copy, &shop, "the shop's"));
    save(store, &bank, "the bank's new one");
    OK(cl_exchange_destroy(store, &shop));
    OK(cl_store_mirror(store, elsewhere, wallet));
    assert_true(has(copy, &bank, "the bank's new one") && has(copy, &shop, ""));
    /* the folder is lost: a mirror from the empty one keeps what belongs to contents that do not open here */
    OK(cl_wallet_encode(&bytes, wallet));
    OK(cl_wallet_decode(&lost, bytes.data, bytes.length));
    (void)snprintf(third, sizeof third, "%s/fresh.store", scratch);
    OK(cl_store_open(&fresh, third, lost));
    assert_false(lost->items[0].content_open);
    OK(cl_store_mirror(fresh, elsewhere, lost));
    assert_true(has(copy, &bank, "the bank's new one"));
    cl_buffer_wipe(&bytes);
    cl_store_free(store);
    cl_store_free(copy);
    cl_store_free(fresh);
    cl_wallet_free(wallet);
    cl_wallet_free(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_that_of_the_vectors),
        cmocka_unit_test(links_are_one_for_each_slot),
        cmocka_unit_test_setup_teardown(the_log_drops_the_oldest_and_the_fullest_one_is_written, make_scratch, scratch_remove),
        cmocka_unit_test_setup_teardown(another_wallets_file_is_not_taken, make_scratch, scratch_remove),
        cmocka_unit_test_setup_teardown(destroyed_is_gone_also_where_it_was_interrupted, make_scratch, scratch_remove),
        cmocka_unit_test_setup_teardown(many_are_written_as_one_is, make_scratch, scratch_remove),
        cmocka_unit_test_setup_teardown(a_copy_follows, make_scratch, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

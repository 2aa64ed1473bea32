/* Buffers that hold secrets leave none of them in the heap. Linked with free wrapped, so that the test sees each block as
   it is given back. */
#include "consent/record.h"
#include "consent/wallet.h"

#include "consent/terms.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t secret[32] = "a secret of thirty-two bytes ...";
static struct cl_view sought = {secret, sizeof secret};
static unsigned given_back, leaks;

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    if (block != NULL) {
        given_back++;
        if (memmem(block, malloc_usable_size(block), sought.data, sought.length) != NULL)
            leaks++;
    }
    __real_free(block);
}

static void a_secret_is_wiped_when_the_buffer_grows_and_at_its_end(void **state)
{
    struct cl_buffer buffer = {.secret = true};
    uint8_t filling[100] = {0};
    (void)state;
    given_back = leaks = 0;
    assert_int_equal(cl_buffer_append(&buffer, secret, sizeof secret), CL_OK);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(cl_buffer_append(&buffer, filling, sizeof filling), CL_OK);
    assert_memory_equal(buffer.data, secret, sizeof secret);
    assert_true(given_back >= 3);
    cl_buffer_deinit(&buffer);
    assert_int_equal(leaks, 0);
    assert_null(buffer.data);
}

static void what_is_replaced_is_wiped(void **state)
{
    struct cl_buffer buffer = {0};
    (void)state;
    assert_int_equal(cl_buffer_append(&buffer, secret, sizeof secret), CL_OK);
    given_back = leaks = 0;
    assert_int_equal(cl_buffer_replace(&buffer, "x", 1), CL_OK);
    assert_int_equal(given_back, 1);
    assert_int_equal(leaks, 0);
    cl_buffer_deinit(&buffer);
}

/* The content in clear begins with the wallet's entropy and is far longer than a buffer's first block. */
static void sealing_a_wallet_leaves_no_entropy_behind(void **state)
{
    struct cl_wallet *wallet = NULL;
    struct cl_buffer sealed = {0};
    (void)state;
    assert_int_equal(cl_wallet_new(&wallet, secret), CL_OK);
    for (unsigned i = 0; i < 8; i++) {
        char name[8] = {'k', (char)('a' + i)};
        assert_int_equal(cl_wallet_key_add(wallet, NULL, name, "https://example.org/a-relationship"), CL_OK);
    }
    given_back = leaks = 0;
    assert_int_equal(cl_wallet_backup_seal(&sealed, wallet), CL_OK);
    assert_true(given_back >= 3);
    cl_wallet_free(wallet);
    assert_int_equal(leaks, 0);
    cl_buffer_deinit(&sealed);
}

/* Each item's salt goes along where the list of items grows, and goes where the item does. */
static void items_that_move_leave_no_salt_behind(void **state)
{
    struct cl_wallet *wallet = NULL;
    struct cl_wallet_item *item = NULL;
    (void)state;
    assert_int_equal(cl_wallet_new(&wallet, (const uint8_t[32]){1}), CL_OK);
    given_back = leaks = 0;
    for (uint8_t i = 0; i < 9; i++) {
        char name[8] = {'i', (char)('a' + i)};
        assert_int_equal(cl_wallet_item_add(wallet, &item, name, CL_ITEM_AGREEMENT, &(struct cl_object_id){{i}}), CL_OK);
        item->audience_salt.present = true;
        memcpy(item->audience_salt.bytes, secret, sizeof secret);
    }
    while (wallet->item_count > 0)
        cl_wallet_item_remove(wallet, wallet->items);
    assert_true(given_back >= 4);
    cl_wallet_free(wallet);
    assert_int_equal(leaks, 0);
}

static void make_body(struct cl_body *body)
{
    static const uint8_t seed[32] = {1};
    static char text[1000];
    const char *name = "about", *value = memset(text, 'x', sizeof text - 1);
    assert_int_equal(cl_body_make_fields(body, "profile", &name, &value, 1, seed), CL_OK);
}

/* The text is longer than a buffer's first block, in which the salt stands. */
static void making_a_body_leaves_no_salt_behind(void **state)
{
    struct cl_body body;
    uint8_t salt[16];
    (void)state;
    make_body(&body);
    memcpy(salt, body.disclosures[0].data + 2, sizeof salt); /* after the heads of the list and of the salt */
    cl_body_deinit(&body);
    sought = (struct cl_view){salt, sizeof salt};
    given_back = leaks = 0;
    make_body(&body);
    cl_body_deinit(&body);
    sought = (struct cl_view){secret, sizeof secret};
    assert_true(given_back >= 3);
    assert_int_equal(leaks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_wiped_when_the_buffer_grows_and_at_its_end),
        cmocka_unit_test(what_is_replaced_is_wiped),
        cmocka_unit_test(sealing_a_wallet_leaves_no_entropy_behind),
        cmocka_unit_test(items_that_move_leave_no_salt_behind),
        cmocka_unit_test(making_a_body_leaves_no_salt_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

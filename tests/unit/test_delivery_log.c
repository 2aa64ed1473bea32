/* Claims about the log of deliveries: each once, contacts and acknowledgements not at all, and an acknowledgement marks what it is
   about, the first time, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../tools/delivery_log.h"

static struct cl_delivery delivery_of(uint8_t id, enum cl_delivery_kind kind)
{
    struct cl_delivery delivery = {.kind = kind, .has_slot = kind != CL_DELIVERY_NOTICE, .slot = kind != CL_DELIVERY_NOTICE ? 3 : 0, .id16 = {id}, .sent_ms = 1000u + id, .length = 7};
    if (kind != CL_DELIVERY_ACKNOWLEDGEMENT)
        strcpy(delivery.media_type, "text/csv");
    return delivery;
}

static void received(struct cl_exchange *exchange, const struct cl_delivery *delivery, uint64_t now_ms, bool acknowledged)
{
    assert_int_equal(delivery_log_received(exchange, delivery, now_ms, acknowledged), CL_OK);
}

static void what_was_received_stands_there_once(void **state)
{
    (void)state;
    struct cl_exchange *exchange = calloc(1, sizeof *exchange);
    struct cl_delivery data = delivery_of(1, CL_DELIVERY_DATA), notice = delivery_of(2, CL_DELIVERY_NOTICE), contact = delivery_of(3, CL_DELIVERY_NOTICE), terms = delivery_of(4, CL_DELIVERY_NOTICE);
    strcpy(contact.media_type, CL_MEDIA_TYPE_CONTACT);
    strcpy(terms.media_type, CL_MEDIA_TYPE_BODY);
    received(exchange, &data, 5000, true);
    received(exchange, &notice, 5001, false);
    received(exchange, &contact, 5002, false);
    received(exchange, &terms, 5003, false);
    received(exchange, &data, 6000, false); /* opened again */
    assert_int_equal(exchange->delivery_count, 2);
    const struct cl_exchange_delivery *entry = cl_exchange_find(exchange, data.id16, true);
    assert_non_null(entry);
    assert_int_equal(entry->slot, 3);
    assert_int_equal(entry->sent_ms, 1001);
    assert_int_equal(entry->seen_ms, 5000);
    assert_int_equal(entry->acknowledged_ms, 5000);
    assert_int_equal(entry->length, 7);
    assert_string_equal(entry->media_type, "text/csv");
    assert_int_equal(cl_exchange_find(exchange, notice.id16, true)->acknowledged_ms, 0);
    const struct cl_delivery *all[] = {&data, &notice, &contact, &terms};
    for (size_t i = 0; i < 4; i++) /* but none is opened twice */
        assert_int_equal(cl_opened_check(&exchange->opened, all[i]), CL_E_DELIVERY_REPLAY);
    cl_exchange_deinit(exchange);
    free(exchange);
}

static void an_acknowledgement_is_of_what_we_sent(void **state)
{
    (void)state;
    struct cl_exchange *exchange = calloc(1, sizeof *exchange);
    struct cl_exchange_delivery sent = {.id16 = {9}, .kind = CL_DELIVERY_DATA, .has_slot = true, .slot = 3, .sent_ms = 900, .seen_ms = 901}, theirs = sent;
    struct cl_delivery first = delivery_of(20, CL_DELIVERY_ACKNOWLEDGEMENT), second = delivery_of(21, CL_DELIVERY_ACKNOWLEDGEMENT);
    theirs.received = true;
    theirs.id16[0] = 8;
    assert_int_equal(cl_exchange_add(exchange, &sent), CL_OK);
    assert_int_equal(cl_exchange_add(exchange, &theirs), CL_OK);
    first.acknowledges16[0] = 8; /* what they sent us, we did not send */
    assert_int_equal(delivery_log_acknowledges(exchange, &first), CL_E_DELIVERY_UNKNOWN);
    first.acknowledges16[0] = 7;
    assert_int_equal(delivery_log_acknowledges(exchange, &first), CL_E_DELIVERY_UNKNOWN);
    first.acknowledges16[0] = second.acknowledges16[0] = 9;
    first.slot = 4;
    assert_int_equal(delivery_log_acknowledges(exchange, &first), CL_E_DELIVERY_UNKNOWN);
    first.has_slot = false;
    first.slot = 0;
    assert_int_equal(delivery_log_acknowledges(exchange, &first), CL_E_DELIVERY_UNKNOWN);
    first.has_slot = true;
    first.slot = 3;
    assert_int_equal(delivery_log_acknowledges(exchange, &first), CL_OK);
    received(exchange, &first, 5000, false);
    assert_int_equal(cl_exchange_find(exchange, sent.id16, false)->acknowledged_ms, 1020);
    received(exchange, &second, 5001, false); /* a second one says nothing new */
    assert_int_equal(cl_exchange_find(exchange, sent.id16, false)->acknowledged_ms, 1020);
    assert_int_equal(cl_exchange_find(exchange, theirs.id16, true)->acknowledged_ms, 0);
    assert_int_equal(exchange->delivery_count, 2);
    assert_int_equal(cl_opened_check(&exchange->opened, &first), CL_E_DELIVERY_REPLAY);
    cl_exchange_deinit(exchange);
    free(exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_received_stands_there_once), cmocka_unit_test(an_acknowledgement_is_of_what_we_sent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

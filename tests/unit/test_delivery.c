/* Sealed deliveries: bytes against another implementation's, the rule at both ends, and all that a receiver refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cbor.h"
#include "consent/delivery.h"
#include "consent/wallet.h"
#include "crypto.h"
#include "fixture.h"
#include "vectors.h"

#define NOW_MS 1800000000000ull
#define CUSTOMER_KEY 1u
#define ORGANISATION_KEY 2u

static const struct cl_network_id network = {{1, 2, 3}};
static const struct cl_object_id agreement_id = {{4, 5, 6}};
static uint8_t receiver_secret[32], receiver[32];

static struct cl_signer signer_of(uint64_t key)
{
    struct cl_signer signer;
    fixture_signer(&signer, key);
    return signer;
}

static int receiver_make(void **state)
{
    uint8_t secret[32];
    (void)state;
    fixture_hash(secret, "fixture key", CUSTOMER_KEY);
    cl_delivery_secret_of(receiver_secret, secret);
    cl_delivery_key_of(receiver, secret);
    return 0;
}

static struct cl_agreement active(void)
{
    struct cl_agreement agreement = {.status = CL_ACTIVE, .live = 6, .customer = {.length = 33}, .organisation = {.length = 33}};
    struct cl_signer customer = signer_of(CUSTOMER_KEY), organisation = signer_of(ORGANISATION_KEY);
    memcpy(agreement.customer.bytes, customer.key.bytes, 33);
    memcpy(agreement.organisation.bytes, organisation.key.bytes, 33);
    return agreement;
}

static struct cl_delivery delivery_of(const void *content, size_t length, uint8_t id)
{
    struct cl_delivery delivery = {.network = network, .agreement = agreement_id, .from = CL_SIDE_ORGANISATION, .has_slot = true, .slot = 1, .sent_ms = NOW_MS, .kind = CL_DELIVERY_DATA, .media_type = "text/plain"};
    memset(delivery.id16, id, 16);
    assert_int_equal(cl_delivery_measure(&delivery, content, length), CL_OK);
    return delivery;
}

static struct cl_buffer sealed_by(uint64_t key, const struct cl_delivery *delivery, uint32_t number, const void *content)
{
    struct cl_buffer out = {0};
    struct cl_signer signer = signer_of(key);
    assert_int_equal(cl_delivery_seal(&out, delivery, number, content, (size_t)delivery->length, &signer, receiver), CL_OK);
    return out;
}

/* ---- vectors */

static enum cl_status vector_sign(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    return cl_ecdsa_sign(signature64, context, digest32);
}

static void parts_are_what_another_implementation_makes(void **unused)
{
    (void)unused;
    json_t *items = vectors_load("tests/vectors/delivery.json"), *ids = vectors_load("tests/vectors/ids.json"), *item;
    uint8_t secret[32], key_secret[32], public32[32], bank_secret[32];
    size_t i, seen = 0;
    vectors_fixed(secret, 32, json_array_get(items, 0), "recipient_secret");
    vectors_fixed(key_secret, 32, json_array_get(items, 0), "key_secret");
    vectors_fixed(public32, 32, json_array_get(items, 0), "recipient");
    vectors_fixed(bank_secret, 32, vectors_item(ids, "key_of_bank"), "secret");
    cl_delivery_secret_of(receiver_secret, key_secret);
    assert_memory_equal(receiver_secret, secret, 32);
    cl_delivery_key_of(receiver, key_secret);
    assert_memory_equal(receiver, public32, 32);
    json_array_foreach(items, i, item) {
        if (!vectors_is(item, "part_"))
            continue;
        struct cl_buffer padded = vectors_bytes(item, "hex"), sealed = vectors_bytes(item, "sealed"), opened = {.secret = true}, again = {0};
        struct cl_delivery_part part, twin;
        assert_int_equal(cl_delivery_open(&opened, &part, sealed.data, sealed.length, secret), CL_OK);
        assert_int_equal(opened.length, padded.length);
        assert_memory_equal(opened.data, padded.data, padded.length);
        assert_int_equal(cl_delivery_read(&twin, padded.data, padded.length), CL_OK);
        /* and the other way round, where the vector has the whole content */
        if (part.delivery.part_count == 1) {
            struct cl_signer bank = {.context = bank_secret, .sign = vector_sign, .key = part.signer};
            assert_int_equal(cl_delivery_seal(&again, &part.delivery, 0, part.bytes.data, part.bytes.length, &bank, public32), CL_OK);
            assert_int_equal(again.length, sealed.length);
            struct cl_buffer reopened = {0};
            assert_int_equal(cl_delivery_open(&reopened, &twin, again.data, again.length, secret), CL_OK);
            assert_memory_equal(reopened.data, padded.data, padded.length);
            cl_buffer_deinit(&reopened);
        } else {
            assert_int_equal(part.number, 2);
            assert_int_equal(part.bytes.length, 5);
        }
        seen++;
        cl_buffer_deinit(&padded);
        cl_buffer_deinit(&sealed);
        cl_buffer_deinit(&opened);
        cl_buffer_deinit(&again);
    }
    assert_int_equal(seen, 6);
    json_decref(items);
    json_decref(ids);
    (void)receiver_make(NULL);
}

static void contacts_and_journals_are_what_another_implementation_makes(void **unused)
{
    (void)unused;
    json_t *items = vectors_load("tests/vectors/delivery.json"), *ids = vectors_load("tests/vectors/ids.json");
    static const char *const names[] = {"contact", "contact_without_mailbox"};
    struct cl_opened *opened = malloc(sizeof *opened);
    struct cl_buffer journal = vectors_bytes(vectors_item(items, "opened"), "hex"), again = {0};
    uint8_t secret[32];
    vectors_fixed(secret, 32, vectors_item(ids, "key_of_anna"), "secret");
    for (size_t i = 0; i < 2; i++) {
        struct cl_buffer file = vectors_bytes(vectors_item(items, names[i]), "hex"), same = {0};
        struct cl_contact contact;
        assert_int_equal(cl_contact_decode(&contact, file.data, file.length), CL_OK);
        assert_int_equal(contact.mailbox_count, 1 - i);
        struct cl_signer anna = {.context = secret, .sign = vector_sign, .key = contact.signer};
        assert_int_equal(cl_contact_sign(&same, &contact, &anna), CL_OK);
        assert_int_equal(same.length, file.length);
        assert_memory_equal(same.data, file.data, file.length);
        for (size_t at = 0; at < file.length; at++) {
            file.data[at] ^= 1;
            assert_int_not_equal(cl_contact_decode(&contact, file.data, file.length), CL_OK);
            file.data[at] ^= 1;
            assert_int_not_equal(cl_contact_decode(&contact, file.data, at), CL_OK);
        }
        cl_buffer_deinit(&file);
        cl_buffer_deinit(&same);
    }
    assert_int_equal(cl_opened_decode(opened, journal.data, journal.length), CL_OK);
    assert_int_equal(opened->count, 2);
    assert_int_equal(cl_opened_encode(&again, opened), CL_OK);
    assert_memory_equal(again.data, journal.data, journal.length);
    journal.data[journal.length - 18 - 9] = 0xff; /* the second's time no longer fits its place */
    assert_int_not_equal(cl_opened_decode(opened, journal.data, journal.length), CL_OK);
    free(opened);
    cl_buffer_deinit(&journal);
    cl_buffer_deinit(&again);
    json_decref(items);
    json_decref(ids);
}

/* ---- form */

static void a_sealed_part_tells_only_its_size_class(void **unused)
{
    static const struct { size_t content, sealed; } cases[] = {{0, 1024}, {1, 1024}, {600, 1024}, {1024, 4096}, {4000, 16384}, {16384, 65536}, {60000, 65536}, {65536, 262144}, {CL_DELIVERY_PART_BYTES, 262144}};
    static uint8_t content[CL_DELIVERY_PART_BYTES];
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cl_delivery delivery = delivery_of(content, cases[i].content, 1);
        struct cl_buffer sealed = sealed_by(ORGANISATION_KEY, &delivery, 0, content), twin = sealed_by(ORGANISATION_KEY, &delivery, 0, content);
        assert_int_equal(sealed.length, cases[i].sealed);
        assert_memory_not_equal(sealed.data, twin.data, sealed.length); /* the same content twice is not seen to be the same */
        cl_buffer_deinit(&sealed);
        cl_buffer_deinit(&twin);
    }
}

static void no_bit_of_a_sealed_part_can_be_changed(void **unused)
{
    struct cl_delivery delivery = delivery_of("hello", 5, 1);
    struct cl_buffer sealed = sealed_by(ORGANISATION_KEY, &delivery, 0, "hello"), opened = {0};
    struct cl_delivery_part part;
    uint8_t other[32] = {9};
    (void)unused;
    assert_int_equal(cl_delivery_open(&opened, &part, sealed.data, sealed.length, receiver_secret), CL_OK);
    for (size_t i = 0; i < sealed.length; i++) {
        uint8_t bit = (uint8_t)(1u << (i % 8)); /* the highest bit of an X25519 key does not count (RFC 7748 section 5) */
        if (i == 31)
            bit = 1;
        sealed.data[i] ^= bit;
        assert_int_equal(cl_delivery_open(&opened, &part, sealed.data, sealed.length, receiver_secret), CL_E_DELIVERY_KEY);
        sealed.data[i] ^= bit;
    }
    assert_int_equal(cl_delivery_open(&opened, &part, sealed.data, sealed.length, other), CL_E_DELIVERY_KEY);
    for (size_t length = 0; length < sealed.length; length++)
        assert_int_equal(cl_delivery_open(&opened, &part, sealed.data, length, receiver_secret), CL_E_FORMAT);
    cl_buffer_deinit(&sealed);
    cl_buffer_deinit(&opened);
}

static struct cl_buffer padded_of(const struct cl_buffer *sealed)
{
    struct cl_buffer opened = {0};
    struct cl_delivery_part part;
    assert_int_equal(cl_delivery_open(&opened, &part, sealed->data, sealed->length, receiver_secret), CL_OK);
    return opened;
}

static void padding_is_zero_and_the_least_there_is(void **unused)
{
    struct cl_delivery delivery = delivery_of("hello", 5, 1);
    struct cl_buffer sealed = sealed_by(ORGANISATION_KEY, &delivery, 0, "hello"), padded = padded_of(&sealed);
    struct cl_delivery_part part;
    static const uint8_t zeros[4096 - 1024];
    (void)unused;
    size_t item = padded.length;
    while (padded.data[item - 1] == 0)
        item--;
    for (size_t i = item; i < padded.length; i++) {
        padded.data[i] = 1;
        assert_int_equal(cl_delivery_read(&part, padded.data, padded.length), CL_E_FORMAT);
        padded.data[i] = 0;
    }
    assert_int_equal(cl_delivery_read(&part, padded.data, padded.length), CL_OK);
    assert_int_equal(cl_delivery_read(&part, padded.data, padded.length - 1), CL_E_FORMAT);
    assert_int_equal(cl_buffer_append(&padded, zeros, sizeof zeros), CL_OK); /* a class above the least */
    assert_int_equal(cl_delivery_read(&part, padded.data, padded.length), CL_E_FORMAT);
    for (size_t i = 0; i < item; i++) { /* within the signed item */
        padded.data[i] ^= 1;
        assert_int_not_equal(cl_delivery_read(&part, padded.data, 1024 - 48), CL_OK);
        padded.data[i] ^= 1;
    }
    cl_buffer_deinit(&sealed);
    cl_buffer_deinit(&padded);
}

static void fields_that_contradict_each_other_are_not_sealed(void **unused)
{
    struct cl_delivery good = delivery_of("hello", 5, 1), bad;
    struct cl_signer signer = signer_of(ORGANISATION_KEY);
    struct cl_buffer out = {0};
    static uint8_t large[CL_DELIVERY_BYTES_MAX + 1];
    (void)unused;
#define REFUSED(change) do { bad = good; change; assert_int_equal(cl_delivery_seal(&out, &bad, 0, (const uint8_t *)"hello", 5, &signer, receiver), CL_E_VALUE); } while (0)
    REFUSED(bad.from = CL_SIDE_NONE);
    REFUSED(bad.kind = CL_DELIVERY_NOTICE);                                 /* of a slot */
    REFUSED(bad.has_slot = false);                                          /* data of none */
    REFUSED(bad.slot = 64);
    REFUSED(bad.kind = CL_DELIVERY_ACKNOWLEDGEMENT; bad.media_type[0] = 0); /* with a content */
    REFUSED(bad.media_type[0] = '\n');
    REFUSED(strcpy(bad.media_type, "text"));
    REFUSED(bad.acknowledges16[3] = 1);
    REFUSED(bad.part_count = 2);
    REFUSED(bad.length = 6);
#undef REFUSED
    assert_int_equal(cl_delivery_seal(&out, &good, 1, (const uint8_t *)"hello", 5, &signer, receiver), CL_E_VALUE);
    uint8_t zero_key[32] = {0}; /* a point of small order */
    assert_int_equal(cl_delivery_seal(&out, &good, 0, (const uint8_t *)"hello", 5, &signer, zero_key), CL_E_KEY);
    assert_int_equal(out.length, 0);
    assert_int_equal(cl_delivery_measure(&bad, large, CL_DELIVERY_BYTES_MAX), CL_OK);
    assert_int_equal(bad.part_count, CL_DELIVERY_PARTS_MAX);
    assert_int_equal(cl_delivery_measure(&bad, large, sizeof large), CL_E_BOUND);
}

/* ---- the rule, and who it is from */

static void no_active_slot_no_delivery(void **unused)
{
    struct cl_agreement agreement = active();
    (void)unused;
#define ASKED(side, has, slot) cl_delivery_check(&agreement, (side), (has), (slot), NOW_MS)
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 1), CL_OK);
    assert_int_equal(ASKED(CL_SIDE_ORGANISATION, true, 2), CL_OK);
    assert_int_equal(ASKED(CL_SIDE_ORGANISATION, false, 0), CL_OK);
    assert_int_equal(ASKED(CL_SIDE_NONE, true, 1), CL_E_PARTY);
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 0), CL_E_SLOT_NOT_LIVE);
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 63), CL_E_SLOT_NOT_LIVE);
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 64), CL_E_SLOTS);
    for (unsigned status = CL_OFFERED; status <= CL_TERMINATED; status++) {
        agreement.status = (uint8_t)status;
        enum cl_status wanted = status == CL_ACTIVE ? CL_OK : status == CL_WITHDRAWN ? CL_E_WITHDRAWN : status == CL_TERMINATED ? CL_E_TERMINATED : CL_E_NOT_ACTIVE;
        assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 1), wanted);
        assert_int_equal(ASKED(CL_SIDE_CUSTOMER, false, 0), wanted); /* a notice too */
    }
    agreement = active();
    for (uint8_t by = 1; by <= 3; by++) {
        agreement.suspended = by;
        assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 1), CL_E_SUSPENDED);
        assert_int_equal(ASKED(CL_SIDE_ORGANISATION, true, 1), CL_E_SUSPENDED);
    }
    agreement = active();
    agreement.not_before = (struct cl_optional_time){true, NOW_MS / 1000 + 1};
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 1), CL_E_NOT_YET);
    agreement = active();
    agreement.not_after = (struct cl_optional_time){true, NOW_MS / 1000 - 1};
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER, true, 1), CL_E_EXPIRED);
#undef ASKED
}

/* A contact, or a code, may pass before both have agreed; nothing else, and not once it has ended. */
static void sides_connect_before_it_is_active_and_not_after_its_end(void **unused)
{
    struct cl_agreement agreement = active();
    struct cl_delivery notice = {.kind = CL_DELIVERY_NOTICE, .media_type = CL_MEDIA_TYPE_CONTACT};
    (void)unused;
    assert_true(cl_delivery_connects(&notice));
    strcpy(notice.media_type, CL_MEDIA_TYPE_CODE);
    assert_true(cl_delivery_connects(&notice));
    strcpy(notice.media_type, "text/plain");
    assert_false(cl_delivery_connects(&notice));
    notice = (struct cl_delivery){.kind = CL_DELIVERY_DATA, .media_type = CL_MEDIA_TYPE_CONTACT};
    assert_false(cl_delivery_connects(&notice));
#define ASKED(side) cl_delivery_connecting_check(&agreement, (side), NOW_MS)
    for (unsigned status = CL_OFFERED; status <= CL_TERMINATED; status++) {
        agreement.status = (uint8_t)status;
        enum cl_status wanted = status <= CL_ACTIVE ? CL_OK : status == CL_WITHDRAWN ? CL_E_WITHDRAWN : status == CL_TERMINATED ? CL_E_TERMINATED : CL_E_NOT_ACTIVE;
        assert_int_equal(ASKED(CL_SIDE_ORGANISATION), wanted);
    }
    agreement.status = CL_OFFERED;
    agreement.organisation.length = 0; /* who is to answer is nobody yet */
    assert_int_equal(ASKED(CL_SIDE_ORGANISATION), CL_E_PARTY);
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER), CL_OK);
    assert_int_equal(ASKED(CL_SIDE_NONE), CL_E_PARTY);
    agreement.not_after = (struct cl_optional_time){true, NOW_MS / 1000};
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER), CL_E_EXPIRED);
    agreement = active();
    agreement.suspended = 1;
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER), CL_E_SUSPENDED);
    agreement = active();
    agreement.not_before = (struct cl_optional_time){true, NOW_MS / 1000 + 1};
    assert_int_equal(ASKED(CL_SIDE_CUSTOMER), CL_OK);
#undef ASKED
}

struct taken { struct cl_agreement agreement; struct cl_delivery_signers other; struct cl_buffer opened; struct cl_delivery_part part; };

static void taken_open(struct taken *taken, uint64_t key, const struct cl_delivery *delivery)
{
    struct cl_buffer sealed = sealed_by(key, delivery, 0, "hello");
    *taken = (struct taken){.agreement = active()};
    taken->other.key = signer_of(ORGANISATION_KEY).key;
    assert_int_equal(cl_delivery_open(&taken->opened, &taken->part, sealed.data, sealed.length, receiver_secret), CL_OK);
    cl_buffer_deinit(&sealed);
}

static enum cl_status taken_check(const struct taken *taken)
{
    return cl_delivery_part_check(&taken->part, &network, &agreement_id, &taken->agreement, CL_SIDE_CUSTOMER, &taken->other, NOW_MS);
}

static void a_part_is_taken_from_the_other_side_of_its_agreement_only(void **unused)
{
    struct cl_delivery good = delivery_of("hello", 5, 1), bad;
    struct taken taken;
    (void)unused;
    taken_open(&taken, ORGANISATION_KEY, &good);
    assert_int_equal(taken_check(&taken), CL_OK);
    taken.agreement.live = 4; /* since it was sent */
    assert_int_equal(taken_check(&taken), CL_E_SLOT_NOT_LIVE);
    taken.agreement.status = CL_WITHDRAWN;
    assert_int_equal(taken_check(&taken), CL_E_WITHDRAWN);
    cl_buffer_deinit(&taken.opened);
    taken_open(&taken, 3, &good); /* a forged "from" */
    assert_int_equal(taken_check(&taken), CL_E_DELIVERY_SENDER);
    cl_buffer_deinit(&taken.opened);
    taken_open(&taken, CUSTOMER_KEY, &good); /* our own key in the other's name */
    assert_int_equal(taken_check(&taken), CL_E_DELIVERY_SENDER);
    cl_buffer_deinit(&taken.opened);
#define REFUSED(change, wanted) do { bad = good; change; taken_open(&taken, ORGANISATION_KEY, &bad); assert_int_equal(taken_check(&taken), (wanted)); cl_buffer_deinit(&taken.opened); } while (0)
    REFUSED(bad.network.bytes[31] = 1, CL_E_NETWORK);
    REFUSED(bad.agreement.bytes[31] = 1, CL_E_DELIVERY_AGREEMENT);
    REFUSED(bad.from = CL_SIDE_CUSTOMER, CL_E_PARTY);
    REFUSED(bad.slot = 5, CL_E_SLOT_NOT_LIVE);
    REFUSED(bad.sent_ms = NOW_MS + CL_RECORD_AHEAD_MS_MAX + 1, CL_E_TIME_AHEAD);
    REFUSED(bad.sent_ms = NOW_MS + CL_RECORD_AHEAD_MS_MAX, CL_OK);
#undef REFUSED
}

static void a_delegate_delivers_within_its_powers_and_its_time(void **unused)
{
    struct cl_delivery good = delivery_of("hello", 5, 1);
    struct cl_delegation delegation = {.side = CL_SIDE_ORGANISATION, .powers = CL_POWER_DELIVER, .until = NOW_MS / 1000 + 1};
    struct taken taken;
    (void)unused;
    taken_open(&taken, 3, &good);
    memcpy(delegation.key, taken.part.signer.bytes, 33);
    taken.agreement.delegation_count = 1;
    taken.agreement.delegations[0] = delegation;
    assert_int_equal(taken_check(&taken), CL_OK);
    taken.agreement.delegations[0].powers = (uint8_t)~CL_POWER_DELIVER;
    assert_int_equal(taken_check(&taken), CL_E_DELIVERY_SENDER);
    taken.agreement.delegations[0] = delegation;
    taken.agreement.delegations[0].until--;
    assert_int_equal(taken_check(&taken), CL_E_DELIVERY_SENDER);
    taken.agreement.delegations[0] = delegation;
    taken.agreement.delegations[0].side = CL_SIDE_CUSTOMER;
    assert_int_equal(taken_check(&taken), CL_E_DELIVERY_SENDER);
    taken.agreement.delegation_count = 0; /* of the profile that is the party */
    delegation.side = CL_SIDE_NONE;
    taken.other.delegations = &delegation;
    taken.other.delegation_count = 1;
    assert_int_equal(taken_check(&taken), CL_OK);
    cl_buffer_deinit(&taken.opened);
}

/* ---- parts */

#define PARTS 4u
static uint8_t content[(PARTS - 1) * CL_DELIVERY_PART_BYTES + 77];

struct parts { struct cl_delivery delivery; struct cl_buffer opened[PARTS]; struct cl_delivery_part parts[PARTS]; };

static void parts_make(struct parts *out, uint8_t id)
{
    *out = (struct parts){.delivery = delivery_of(content, sizeof content, id)};
    assert_int_equal(out->delivery.part_count, PARTS);
    for (uint32_t i = 0; i < PARTS; i++) {
        struct cl_buffer sealed = sealed_by(ORGANISATION_KEY, &out->delivery, i, content);
        assert_int_equal(cl_delivery_open(&out->opened[i], &out->parts[i], sealed.data, sealed.length, receiver_secret), CL_OK);
        cl_buffer_deinit(&sealed);
    }
}

static void parts_free(struct parts *parts)
{
    for (uint32_t i = 0; i < PARTS; i++)
        cl_buffer_deinit(&parts->opened[i]);
}

static void parts_come_together_in_any_order(void **unused)
{
    struct parts parts;
    (void)unused;
    cl_sha256_of_secret(content, NULL, "x", 1); /* not all zero */
    content[CL_DELIVERY_PART_BYTES] = 7;
    parts_make(&parts, 1);
    for (unsigned order = 0; order < 256; order++) { /* four draws with repetitions; every permutation is among them */
        struct cl_delivery_assembly *assembly = NULL;
        struct cl_view whole;
        unsigned seen = 0;
        assert_int_equal(cl_delivery_assembly_new(&assembly), CL_OK);
        assert_int_equal(cl_delivery_assembly_missing(assembly, NULL), 1);
        for (unsigned i = 0; i < PARTS; i++) {
            unsigned number = order >> (2 * i) & 3;
            assert_int_equal(cl_delivery_assembly_add(assembly, &parts.parts[number]), CL_OK);
            seen |= 1u << number;
        }
        uint32_t first = 0, missing = cl_delivery_assembly_missing(assembly, &first);
        assert_int_equal(missing, PARTS - (unsigned)__builtin_popcount(seen));
        enum cl_status status = cl_delivery_assembly_content(&whole, assembly);
        assert_int_equal(status, missing == 0 ? CL_OK : CL_E_PENDING);
        if (status == CL_OK) {
            assert_int_equal(whole.length, sizeof content);
            assert_memory_equal(whole.data, content, sizeof content);
        } else {
            assert_int_equal(first, __builtin_ctz(~seen));
        }
        cl_delivery_assembly_free(assembly);
    }
    parts_free(&parts);
}

static void parts_of_another_delivery_or_content_are_refused(void **unused)
{
    struct parts parts, others;
    struct cl_delivery_assembly *assembly = NULL;
    struct cl_delivery_part bent;
    struct cl_view whole;
    (void)unused;
    parts_make(&parts, 1);
    parts_make(&others, 2);
    assert_int_equal(cl_delivery_assembly_new(&assembly), CL_OK);
    assert_int_equal(cl_delivery_assembly_add(assembly, &parts.parts[0]), CL_OK);
    assert_int_equal(cl_delivery_assembly_add(assembly, &others.parts[1]), CL_E_DELIVERY_PARTS);
#define REFUSED(change) do { bent = parts.parts[1]; change; assert_int_equal(cl_delivery_assembly_add(assembly, &bent), CL_E_DELIVERY_PARTS); } while (0)
    REFUSED(bent.delivery.slot = 2);
    REFUSED(bent.delivery.sent_ms++);
    REFUSED(bent.delivery.kind = CL_DELIVERY_CHANGE);
    REFUSED(bent.delivery.media_type[0] = 'T');
    REFUSED(bent.delivery.length--);
    REFUSED(bent.delivery.part_count--);
    REFUSED(bent.delivery.content32[0] ^= 1);
    REFUSED(bent.number = 0); /* overlaps part 0 with other bytes */
#undef REFUSED
    assert_int_equal(cl_delivery_assembly_missing(assembly, NULL), PARTS - 1);
    /* a sender that signs its own parts in the wrong order: all are there, and make nothing */
    for (uint32_t i = 1; i < PARTS; i++) {
        bent = parts.parts[i];
        if (i < 3)
            bent.bytes = parts.parts[3 - i].bytes;
        assert_int_equal(cl_delivery_assembly_add(assembly, &bent), CL_OK);
    }
    assert_int_equal(cl_delivery_assembly_content(&whole, assembly), CL_E_DELIVERY_PARTS);
    cl_delivery_assembly_free(assembly);
    parts_free(&parts);
    parts_free(&others);
}

/* Signed by the right key, but with numbers that do not belong together. */
static void a_signed_part_with_numbers_that_do_not_fit_is_refused(void **unused)
{
    static const struct { unsigned number, count, length, bytes; } cases[] = {{1, 1, 5, 5}, {0, 2, 5, 5}, {0, 0, 5, 5}, {0, 1, 5, 4}, {0, 1, 4, 5}, {1, 2, CL_DELIVERY_PART_BYTES + 5, 6}, {0, 1, CL_DELIVERY_PART_BYTES + 5, 5}, {68, 69, CL_DELIVERY_BYTES_MAX, 5}, {69, 70, CL_DELIVERY_BYTES_MAX + 1, 5}};
    struct cl_signer signer = signer_of(ORGANISATION_KEY);
    (void)unused;
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        bool good = i == sizeof cases / sizeof cases[0];
        struct cl_buffer part = {0};
        struct cl_cbor_writer writer;
        struct cl_sha256 hash;
        struct cl_delivery_part out;
        uint8_t digest[32], signature[64], sixteen = 0x90, zeros[1024 - 48] = {0};
        cl_cbor_writer_init(&writer, &part);
        cl_cbor_put_array(&writer, 17);
        cl_cbor_put_uint(&writer, 1);
        cl_cbor_put_bytes(&writer, network.bytes, 32);
        cl_cbor_put_bytes(&writer, agreement_id.bytes, 32);
        cl_cbor_put_uint(&writer, 2);
        cl_cbor_put_uint(&writer, 1);
        cl_cbor_put_bytes(&writer, zeros, 16);
        cl_cbor_put_uint(&writer, NOW_MS);
        cl_cbor_put_uint(&writer, 1);
        cl_cbor_put_text(&writer, "a/b", 3);
        cl_cbor_put_null(&writer);
        cl_cbor_put_uint(&writer, good ? 0 : cases[i].number);
        cl_cbor_put_uint(&writer, good ? 1 : cases[i].count);
        cl_cbor_put_uint(&writer, good ? 5 : cases[i].length);
        cl_cbor_put_bytes(&writer, zeros, 32);
        cl_cbor_put_bytes(&writer, "hello!", good ? 5 : cases[i].bytes);
        cl_cbor_put_bytes(&writer, signer.key.bytes, 33);
        cl_sha256_domain(&hash, "consent/v1 delivery");
        cl_sha256_update(&hash, &sixteen, 1);
        cl_sha256_update(&hash, part.data + 1, part.length - 1);
        cl_sha256_final(&hash, digest);
        assert_int_equal(signer.sign(signer.context, signature, digest), CL_OK);
        cl_cbor_put_bytes(&writer, signature, 64);
        assert_int_equal(writer.status, CL_OK);
        assert_int_equal(cl_buffer_append(&part, zeros, sizeof zeros - part.length), CL_OK);
        enum cl_status status = cl_delivery_read(&out, part.data, part.length);
        if (good)
            assert_int_equal(status, CL_OK);
        else
            assert_true(status == CL_E_FORMAT || status == CL_E_VALUE);
        cl_buffer_deinit(&part);
    }
}

/* ---- replays */

static void a_delivery_is_opened_once(void **unused)
{
    struct cl_opened *opened = calloc(1, sizeof *opened), *read = malloc(sizeof *read);
    struct cl_delivery delivery = delivery_of("hello", 5, 1), later;
    struct cl_buffer file = {0};
    (void)unused;
    assert_int_equal(cl_opened_check(opened, &delivery), CL_OK);
    cl_opened_add(opened, &delivery);
    assert_int_equal(cl_opened_check(opened, &delivery), CL_E_DELIVERY_REPLAY);
    later = delivery;
    later.sent_ms += 5; /* the same id under another time */
    assert_int_equal(cl_opened_check(opened, &later), CL_E_DELIVERY_REPLAY);
    for (unsigned i = 0; i < 3 * CL_OPENED_MAX; i++) { /* out of order, two in each millisecond */
        struct cl_delivery one = delivery;
        one.sent_ms = NOW_MS + (i ^ 2u) / 2;
        memcpy(one.id16, &i, sizeof i);
        cl_opened_add(opened, &one);
        assert_int_equal(cl_opened_check(opened, &one), CL_E_DELIVERY_REPLAY);
        assert_true(opened->count <= CL_OPENED_MAX);
    }
    assert_int_equal(cl_opened_check(opened, &delivery), CL_E_DELIVERY_REPLAY); /* long forgotten, and below the floor */
    later.sent_ms = NOW_MS + 10 * CL_OPENED_MAX;
    memset(later.id16, 0xee, 16);
    assert_int_equal(cl_opened_check(opened, &later), CL_OK);
    assert_int_equal(cl_opened_encode(&file, opened), CL_OK);
    assert_true(file.length <= CL_OPENED_BYTES_MAX);
    assert_int_equal(cl_opened_decode(read, file.data, file.length), CL_OK);
    assert_int_equal(read->count, opened->count);
    assert_memory_equal(read->entries, opened->entries, opened->count * sizeof opened->entries[0]);
    free(opened);
    free(read);
    cl_buffer_deinit(&file);
}

static void a_contact_is_of_the_other_side_of_the_same_agreement(void **unused)
{
    struct cl_signer organisation = signer_of(ORGANISATION_KEY), stranger = signer_of(3);
    struct cl_contact contact = {.network = network, .agreement = agreement_id, .side = CL_SIDE_ORGANISATION, .made_ms = NOW_MS}, read;
    struct cl_network_id other_network = {{9}};
    struct cl_object_id other_id = {{9}};
    struct cl_buffer file = {0};
    (void)unused;
    assert_int_equal(cl_contact_sign(&file, &contact, &organisation), CL_OK);
    assert_int_equal(cl_contact_decode(&read, file.data, file.length), CL_OK);
    assert_int_equal(cl_contact_check(&read, &network, &agreement_id, CL_SIDE_CUSTOMER, &organisation.key), CL_OK);
    assert_int_equal(cl_contact_check(&read, &other_network, &agreement_id, CL_SIDE_CUSTOMER, &organisation.key), CL_E_NETWORK);
    assert_int_equal(cl_contact_check(&read, &network, &other_id, CL_SIDE_CUSTOMER, &organisation.key), CL_E_DELIVERY_AGREEMENT);
    assert_int_equal(cl_contact_check(&read, &network, &agreement_id, CL_SIDE_ORGANISATION, &organisation.key), CL_E_PARTY);
    assert_int_equal(cl_contact_check(&read, &network, &agreement_id, CL_SIDE_CUSTOMER, &stranger.key), CL_E_DELIVERY_SENDER);
    contact.mailbox_count = 1;
    contact.mailboxes[0] = (struct cl_view){(const uint8_t *)"a\0b", 3};
    assert_int_equal(cl_contact_sign(&file, &contact, &organisation), CL_E_VALUE);
    contact.side = CL_SIDE_NONE;
    contact.mailbox_count = 0;
    assert_int_equal(cl_contact_sign(&file, &contact, &organisation), CL_E_VALUE);
    cl_buffer_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_what_another_implementation_makes),
        cmocka_unit_test(contacts_and_journals_are_what_another_implementation_makes),
        cmocka_unit_test(a_sealed_part_tells_only_its_size_class),
        cmocka_unit_test(no_bit_of_a_sealed_part_can_be_changed),
        cmocka_unit_test(padding_is_zero_and_the_least_there_is),
        cmocka_unit_test(fields_that_contradict_each_other_are_not_sealed),
        cmocka_unit_test(no_active_slot_no_delivery), cmocka_unit_test(sides_connect_before_it_is_active_and_not_after_its_end),
        cmocka_unit_test(a_part_is_taken_from_the_other_side_of_its_agreement_only),
        cmocka_unit_test(a_delegate_delivers_within_its_powers_and_its_time),
        cmocka_unit_test(parts_come_together_in_any_order),
        cmocka_unit_test(parts_of_another_delivery_or_content_are_refused),
        cmocka_unit_test(a_signed_part_with_numbers_that_do_not_fit_is_refused),
        cmocka_unit_test(a_delivery_is_opened_once),
        cmocka_unit_test(a_contact_is_of_the_other_side_of_the_same_agreement),
    };
    return cmocka_run_group_tests(tests, receiver_make, NULL);
}

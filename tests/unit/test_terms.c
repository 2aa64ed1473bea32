/* Claims about terms: what the text may say, what the body gives back, and that the vocabulary is the published one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "consent/record.h"
#include "consent/terms.h"
#include "consent/wallet.h"

static struct cl_terms_text *parsed(const char *source)
{
    struct cl_terms_text *text = NULL;
    struct cl_terms_fault fault;
    assert_int_equal(cl_terms_text_parse(&text, &fault, source, strlen(source)), CL_OK);
    return text;
}

static void refused(const char *source, size_t line, const char *part)
{
    struct cl_terms_text *text = NULL;
    struct cl_terms_fault fault;
    assert_int_equal(cl_terms_text_parse(&text, &fault, source, strlen(source)), CL_E_FORMAT);
    assert_int_equal(fault.line, line);
    assert_non_null(strstr(fault.sentence, part));
}

#define HEAD "proffered-by: customer\nlanguage: en\nwithdraw: any time\n"
#define SLOT HEAD "[slot 1 email]\ncategory: pd:EmailAddress\npurposes: dpv:Marketing\n"

static void the_template_is_good(void **state)
{
    (void)state;
    struct cl_terms_text *text = parsed(cl_terms_text_template());
    assert_int_equal(text->slot_count, 2);
    assert_int_equal(cl_terms_text_slots(text), 6);
    const char *advice[8];
    assert_int_equal(cl_terms_text_advice(advice, 8, text), 0);
    cl_terms_text_free(text);
}

static void faults_are_named_with_their_line(void **state)
{
    (void)state;
    refused("", 0, "no slot");
    refused(HEAD, 0, "no slot");
    refused("proffered-by: customer\nlanguage: en\n[slot 1 a]\ncategory: pd:EmailAddress\npurposes: dpv:Marketing\n", 0, "withdraw");
    refused("proffered-by: nobody\n", 1, "customer");
    refused(HEAD "[slot 1 email]\ncategory: pd:EmailAdress\npurposes: dpv:Marketing\n", 6, "EmailAddress");
    refused(HEAD "[slot 64 email]\n", 4, "0 to 63");
    refused(SLOT "[slot 1 other]\n", 7, "ascending");
    refused(SLOT "[slot 2 email]\n", 7, "Two slots");
    refused(SLOT "retention: 30 days\n", 7, "ISO 8601");
    refused(SLOT "delivery: P1M csv\n", 7, "media type");
    refused(SLOT "colour: red\n", 7, "not known");
    refused(SLOT "from: bank\n", 7, "'customer' or 'organisation'");
    refused(SLOT "from: customer\nfrom: customer\n", 8, "twice");
    refused(SLOT "retention: P1D\nretention: P1D\n", 8, "twice");
    refused("what\n", 1, "key: value");
    refused("title: a\x01z\n", 1, "control");
    refused("title: \xff\n", 0, "UTF-8");
}

static void durations_are_those_of_iso_8601(void **state)
{
    (void)state;
    static const char *const good[] = {"P1Y", "P30D", "P2W", "PT10M", "P1Y6M", "P1DT12H"}, *const bad[] = {"", "P", "PT", "1Y", "P1", "P1H", "PT1D", "P1M1Y", "P-1D", "P1.5D", "P1DT"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(cl_duration_usable(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(cl_duration_usable(bad[i]));
}

/* text -> body -> file -> text; and the file's bytes. */
static struct cl_terms_text *around(struct cl_buffer *file_bytes, const struct cl_terms_text *text)
{
    static const uint8_t seed[32] = {1}, salt[32] = {2};
    struct cl_object_id object = {{3}};
    struct cl_body body;
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_terms_text *back = NULL;
    assert_int_equal(cl_body_make(&body, text, seed), CL_OK);
    assert_int_equal(cl_body_file_encode(file_bytes, &object, salt, &body), CL_OK);
    assert_int_equal(cl_body_file_decode(file, file_bytes->data, file_bytes->length), CL_OK);
    assert_int_equal(cl_body_file_text(&back, file), CL_OK);
    cl_body_deinit(&body);
    free(file);
    return back;
}

static void the_body_gives_the_text_back(void **state)
{
    (void)state;
    struct cl_terms_text *text = parsed(cl_terms_text_template());
    struct cl_buffer bytes = {0}, page = {0};
    struct cl_terms_text *back = around(&bytes, text);
    size_t differences = 1;
    assert_int_equal(cl_terms_text_diff(&page, &differences, text, back), CL_OK);
    assert_int_equal(differences, 0);
    assert_memory_equal(back->text_hash, text->text_hash, 32);
    cl_terms_text_free(text);
    cl_terms_text_free(back);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&page);
}

/* Texts from before have the bodies that they had. */
static void who_gives_the_data_is_the_customer_unless_said(void **state)
{
    (void)state;
    struct cl_terms_text *silent = parsed(SLOT "delivery: P1W text/csv\n"), *said = parsed(SLOT "delivery: P1W text/csv\nfrom: customer\n"), *other = parsed(SLOT "delivery: P1M\nfrom: organisation\n[slot 2 x]\ncategory: pd:Purchase\npurposes: dpv:Marketing\nfrom: customer\n");
    struct cl_buffer a = {0}, b = {0}, c = {0}, page = {0};
    memcpy(said->text_hash, silent->text_hash, 32); /* but for the text itself */
    struct cl_terms_text *silent_back = around(&a, silent), *said_back = around(&b, said), *back = around(&c, other);
    assert_int_equal(a.length, b.length);
    assert_memory_equal(a.data, b.data, a.length);
    assert_false(silent_back->slots[0].from_organisation);
    assert_true(back->slots[0].from_organisation);
    assert_false(back->slots[1].from_organisation);
    size_t differences;
    assert_int_equal(cl_terms_text_diff(&page, &differences, silent, other), CL_OK);
    assert_int_equal(cl_buffer_append(&page, "", 1), CL_OK);
    assert_non_null(strstr((const char *)page.data, "slot 1 (email) delivered: every 1 week (P1W) -> every 1 month (P1M)\n"));
    assert_non_null(strstr((const char *)page.data, "slot 1 (email) delivered as: text/csv -> (nothing)\n"));
    assert_non_null(strstr((const char *)page.data, "slot 1 (email) given by: the customer -> the organisation\n"));
    /* a ninth item that says nothing else than the eight is refused */
    struct cl_body_file *file = malloc(sizeof *file);
    uint8_t changed[512];
    size_t tried = 0;
    assert_int_equal(cl_body_file_decode(file, c.data, c.length), CL_OK);
    for (size_t i = 0; i < file->disclosure_count; i++) {
        struct cl_view *disclosure = &file->disclosures[i];
        if (disclosure->length > sizeof changed || disclosure->data[disclosure->length - 1] != 0x02 || disclosure->data[disclosure->length - 2] != 0xf6)
            continue;
        memcpy(changed, disclosure->data, disclosure->length);
        disclosure->data = changed;
        for (uint8_t value = 0; value < 4; value++, tried++) {
            struct cl_terms_text *none = NULL;
            changed[disclosure->length - 1] = value;
            assert_int_equal(cl_body_file_text(&none, file), value == 2 ? CL_OK : CL_E_VALUE);
            cl_terms_text_free(none);
        }
    }
    assert_int_equal(tried, 4);
    free(file);
    cl_terms_text_free(silent);
    cl_terms_text_free(said);
    cl_terms_text_free(other);
    cl_terms_text_free(silent_back);
    cl_terms_text_free(said_back);
    cl_terms_text_free(back);
    cl_buffer_deinit(&a);
    cl_buffer_deinit(&b);
    cl_buffer_deinit(&c);
    cl_buffer_deinit(&page);
}

static void a_damaged_body_file_is_refused(void **state)
{
    (void)state;
    struct cl_terms_text *text = parsed(SLOT);
    struct cl_buffer bytes = {0};
    struct cl_terms_text *back = around(&bytes, text);
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_commitment before, after;
    assert_int_equal(cl_body_file_decode(file, bytes.data, bytes.length), CL_OK);
    cl_body_file_commitment(&before, file);
    for (size_t cut = 0; cut < bytes.length; cut++)
        assert_int_not_equal(cl_body_file_decode(file, bytes.data, cut), CL_OK);
    for (size_t i = 0; i < bytes.length; i++) {
        bytes.data[i] ^= 1;
        if (cl_body_file_decode(file, bytes.data, bytes.length) == CL_OK) { /* a flipped salt or id: another commitment */
            cl_body_file_commitment(&after, file);
            assert_memory_not_equal(before.bytes, after.bytes, 32);
        }
        bytes.data[i] ^= 1;
    }
    free(file);
    cl_terms_text_free(text);
    cl_terms_text_free(back);
    cl_buffer_deinit(&bytes);
}

/* Numbers end at 63: beyond, it is a disclosure that is committed to and not understood, never a slot to consent to. */
static void a_slot_beyond_the_last_is_not_shown(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {1}, salt[32] = {2};
    struct cl_object_id object = {{3}};
    for (unsigned number = 62; number < 66; number++) {
        struct cl_terms_text *text = parsed(SLOT), *back = NULL;
        struct cl_body_file *file = malloc(sizeof *file);
        struct cl_buffer bytes = {0};
        struct cl_body body;
        text->slots[0].number = (uint8_t)number;
        assert_int_equal(cl_body_make(&body, text, seed), CL_OK);
        assert_int_equal(cl_body_file_encode(&bytes, &object, salt, &body), CL_OK);
        assert_int_equal(cl_body_file_decode(file, bytes.data, bytes.length), CL_OK);
        assert_int_equal(cl_body_file_text(&back, file), CL_OK);
        assert_int_equal(back->slot_count, number < 64 ? 1 : 0);
        assert_true(cl_terms_text_slots(back) == (number < 64 ? 1ull << number : 0));
        cl_terms_text_free(text);
        cl_terms_text_free(back);
        cl_body_deinit(&body);
        cl_buffer_deinit(&bytes);
        free(file);
    }
}

static void slots_are_found_by_number_name_and_category(void **state)
{
    (void)state;
    struct cl_terms_text *text = parsed(cl_terms_text_template());
    assert_int_equal(cl_terms_slot_find(text, "email")->number, 1);
    assert_int_equal(cl_terms_slot_find(text, "2")->number, 2);
    assert_int_equal(cl_terms_slot_find(text, "pd:Purchase")->number, 2);
    assert_null(cl_terms_slot_find(text, "3"));
    assert_true(cl_terms_slot_allows(&text->slots[0], "https://w3id.org/dpv#Marketing"));
    assert_true(cl_terms_slot_allows(&text->slots[0], "dpv:Marketing"));
    assert_false(cl_terms_slot_allows(&text->slots[0], "dpv:Advertising"));
    cl_terms_text_free(text);
}

/* First field of a line of the published CSV files: "Term","class","iri",… */
static size_t compare_csv(const char *name, enum cl_vocabulary_kind kind)
{
    char path[256], line[8192], term[128], type[32], iri[256];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "../shared/data/dpv-2.3/%s", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        print_message("%s is not there: the vocabulary is not compared\n", path);
        skip();
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "\"%127[^\"]\",\"%31[^\"]\",\"%255[^\"]\"", term, type, iri) != 3 || strcmp(type, "class") != 0)
            continue;
        const struct cl_vocabulary_term *found = cl_vocabulary_find(kind, iri);
        assert_non_null(found);
        assert_string_equal(found->term, term);
        count++;
    }
    (void)fclose(file);
    return count;
}

static size_t terms_of(enum cl_vocabulary_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < cl_vocabulary_count(); i++)
        count += cl_vocabulary_at(i)->kind == kind ? 1 : 0;
    return count;
}

static void the_vocabulary_is_the_published_one(void **state)
{
    (void)state;
    assert_int_equal(compare_csv("dpv-purposes.csv", CL_VOCABULARY_PURPOSE), terms_of(CL_VOCABULARY_PURPOSE));
    assert_int_equal(compare_csv("pd-core.csv", CL_VOCABULARY_PERSONAL_DATA) + compare_csv("pd-extended.csv", CL_VOCABULARY_PERSONAL_DATA), terms_of(CL_VOCABULARY_PERSONAL_DATA));
    assert_int_equal(compare_csv("ieee-7012-agreement.csv", CL_VOCABULARY_AGREEMENT), terms_of(CL_VOCABULARY_AGREEMENT));
    assert_int_equal(compare_csv("dpv-consent_status.csv", CL_VOCABULARY_CONSENT_STATUS), terms_of(CL_VOCABULARY_CONSENT_STATUS));
    assert_int_equal(compare_csv("dpv-contract_status.csv", CL_VOCABULARY_CONTRACT_STATUS), terms_of(CL_VOCABULARY_CONTRACT_STATUS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_template_is_good), cmocka_unit_test(faults_are_named_with_their_line), cmocka_unit_test(durations_are_those_of_iso_8601),
        cmocka_unit_test(the_body_gives_the_text_back), cmocka_unit_test(who_gives_the_data_is_the_customer_unless_said), cmocka_unit_test(a_damaged_body_file_is_refused),
        cmocka_unit_test(a_slot_beyond_the_last_is_not_shown),
        cmocka_unit_test(slots_are_found_by_number_name_and_category), cmocka_unit_test(the_vocabulary_is_the_published_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

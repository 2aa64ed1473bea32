/* Exports: states in DPV's words, rows that spreadsheets and RFC 4180 readers take alike, times, names of the vocabulary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "consent/export.h"
#include "consent/record.h"
#include "consent/terms.h"

static void every_state_has_its_words_and_they_exist(void **state)
{
    (void)state;
    static const struct { uint8_t status, suspended, flags; uint64_t now_s; const char *consent, *contract; } cases[] = {
        {CL_OFFERED, 0, 0, 50, "dpv:ConsentRequested", "dpv:ContractOffered"},
        {CL_REQUESTED, 0, 0, 50, "dpv:ConsentRequested", "dpv:ContractOffered"},
        {CL_SUBSCRIBED, 0, 0, 50, "dpv:ConsentRequested", "dpv:ContractOffered"},
        {CL_COUNTERED, 0, 0, 50, "dpv:ConsentRequested", "dpv:ContractUnderNegotiation"},
        {CL_ACTIVE, 0, 0, 50, "dpv:ConsentGiven", "dpv:ContractFullyExecuted"},
        {CL_ACTIVE, 0, 0, 99, "dpv:ConsentGiven", "dpv:ContractFullyExecuted"},
        {CL_ACTIVE, 0, 0, 100, "dpv:ConsentExpired", "dpv:ContractExpired"},
        {CL_ACTIVE, 1, 0, 50, "dpv:ConsentStatusInvalidForProcessing", "dpv:ContractTemporarilySuspended"},
        {CL_ACTIVE, 2, 0, 50, "dpv:ConsentStatusInvalidForProcessing", "dpv:ContractTemporarilySuspended"},
        {CL_ACTIVE, 0, CL_FLAG_DISPUTED, 50, "dpv:ConsentGiven", "dpv:ContractDisputed"},
        {CL_REFUSED, 0, 0, 50, "dpv:ConsentRefused", "dpv:ContractRejected"},
        {CL_WITHDRAWN, 0, 0, 50, "dpv:ConsentWithdrawn", "dpv:ContractTerminated"},
        {CL_TERMINATED, 0, 0, 50, "dpv:ConsentRevoked", "dpv:ContractTerminated"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cl_agreement agreement = {.status = cases[i].status, .suspended = cases[i].suspended, .flags = cases[i].flags, .live = 2, .not_after = {true, 100}};
        const char *consent = cl_dpv_consent_status(&agreement, cases[i].now_s * 1000), *contract = cl_dpv_contract_status(&agreement, cases[i].now_s * 1000);
        assert_string_equal(consent, cases[i].consent);
        assert_string_equal(contract, cases[i].contract);
        assert_non_null(cl_vocabulary_find(CL_VOCABULARY_CONSENT_STATUS, consent));
        assert_non_null(cl_vocabulary_find(CL_VOCABULARY_CONTRACT_STATUS, contract));
    }
}

static void row_is(const char *expected, const char *const *fields, size_t count)
{
    struct cl_buffer out = {0};
    assert_int_equal(cl_csv_row(&out, fields, count), CL_OK);
    assert_int_equal(out.length, strlen(expected));
    assert_memory_equal(out.data, expected, out.length);
    cl_buffer_deinit(&out);
}

static void rows_are_those_of_rfc_4180(void **state)
{
    (void)state;
    row_is("a,,b\r\n", (const char *const[]){"a", NULL, "b"}, 3);
    row_is("\"a,b\",\"say \"\"yes\"\"\",\"two\nlines\"\r\n", (const char *const[]){"a,b", "say \"yes\"", "two\nlines"}, 3);
    row_is("\"\"\"\"\r\n", (const char *const[]){"\""}, 1);
    row_is("\r\n", (const char *const[]){""}, 1);
}

static void what_would_be_a_formula_is_text(void **state)
{
    (void)state;
    row_is("\"'=1+1\",\"'+1\",\"'-1\",\"'@x\",\"'\tx\"\r\n", (const char *const[]){"=1+1", "+1", "-1", "@x", "\tx"}, 5);
    row_is("\"'=cmd|'/c calc'!A1\",\"'=\"\"x\"\"\"\r\n", (const char *const[]){"=cmd|'/c calc'!A1", "=\"x\""}, 2);
    row_is("\"'\xef\xbc\x9d" "1\",\"'\xef\xbc\xa0x\",\xef\xbc\xa1\r\n", (const char *const[]){"\xef\xbc\x9d" "1", "\xef\xbc\xa0x", "\xef\xbc\xa1"}, 3); /* full width; U+FF21 is a letter */
    row_is("\"'\rx\",a=b,2026-01-01\r\n", (const char *const[]){"\rx", "a=b", "2026-01-01"}, 3);
}

static void times_are_those_of_the_calendar(void **state)
{
    (void)state;
    char out[CL_ISO8601_SIZE], expected[CL_ISO8601_SIZE + 8];
    uint64_t seconds = 0;
    for (unsigned i = 0; i < 200000; i++, seconds = (seconds * 6364136223846793005ull + 1442695040888963407ull) % 253402300800ull) {
        time_t when = (time_t)seconds;
        struct tm parts;
        assert_non_null(gmtime_r(&when, &parts));
        (void)strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &parts);
        assert_true(cl_iso8601_utc(out, seconds));
        assert_string_equal(out, expected);
    }
    assert_true(cl_iso8601_utc(out, 253402300799ull));
    assert_string_equal(out, "9999-12-31T23:59:59Z");
    assert_false(cl_iso8601_utc(out, 253402300800ull));
    assert_string_equal(out, "");
    assert_false(cl_iso8601_utc(out, UINT64_MAX));
}

static void categories_are_found_by_their_names(void **state)
{
    (void)state;
    assert_string_equal(cl_vocabulary_named(CL_VOCABULARY_PERSONAL_DATA, "email address")->term, "EmailAddress");
    assert_string_equal(cl_vocabulary_named(CL_VOCABULARY_PERSONAL_DATA, "EmailAddress")->term, "EmailAddress");
    assert_string_equal(cl_vocabulary_named(CL_VOCABULARY_PURPOSE, "MARKETING")->term, "Marketing");
    assert_null(cl_vocabulary_named(CL_VOCABULARY_PERSONAL_DATA, "Marketing"));
    assert_null(cl_vocabulary_named(CL_VOCABULARY_PURPOSE, "Market"));
    assert_null(cl_vocabulary_named(CL_VOCABULARY_PURPOSE, ""));
    assert_true(cl_vocabulary_special("pd:HealthRecord"));
    assert_true(cl_vocabulary_special("https://w3id.org/dpv/pd#Religion"));
    assert_false(cl_vocabulary_special("pd:EmailAddress"));
    assert_false(cl_vocabulary_special("https://example.com/Religion"));
}

/* Field number (from 0) of a line of the published CSV files, quotes taken off. */
static void csv_column(char *out, size_t size, const char *line, unsigned column)
{
    size_t used = 0;
    bool quoted = false;
    for (; *line != '\0' && *line != '\n'; line++) {
        if (*line == '"')
            quoted = !quoted;
        else if (*line == ',' && !quoted)
            column--;
        else if (column == 0 && used + 1 < size)
            out[used++] = *line;
        if (column == UINT_MAX)
            break;
    }
    out[used] = '\0';
}

struct broader { char term[128], parents[512]; };

static bool leads_to_special(const struct broader *all, size_t count, const char *term, unsigned depth)
{
    for (size_t i = 0; depth < 12 && i < count; i++) {
        if (strcmp(all[i].term, term) != 0)
            continue;
        if (strstr(all[i].parents, "#SpecialCategoryPersonalData") != NULL || strstr(all[i].parents, "#SensitivePersonalData") != NULL)
            return true;
        for (const char *at = all[i].parents; (at = strstr(at, "/pd#")) != NULL; at += 4) {
            char parent[128];
            size_t length = strcspn(at + 4, ";");
            (void)snprintf(parent, sizeof parent, "%.*s", (int)length, at + 4);
            if (leads_to_special(all, count, parent, depth + 1))
                return true;
        }
    }
    return false;
}

static void special_categories_are_the_published_ones(void **state)
{
    (void)state;
    static const char *const names[] = {"pd-core.csv", "pd-extended.csv"};
    static struct broader all[400];
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[256], line[8192], type[512], class[512], wider[512];
        (void)snprintf(path, sizeof path, "../shared/data/dpv-2.3/%s", names[i]);
        FILE *file = fopen(path, "r");
        if (file == NULL) {
            print_message("%s is not there: the special categories are not compared\n", path);
            skip();
        }
        while (fgets(line, sizeof line, file) != NULL && count < 400) {
            csv_column(all[count].term, sizeof all[count].term, line, 0);
            csv_column(type, sizeof type, line, 5);
            csv_column(class, sizeof class, line, 6);
            csv_column(wider, sizeof wider, line, 7);
            (void)snprintf(all[count].parents, sizeof all[count].parents, "%.160s;%.160s;%.160s", type, class, wider);
            count++;
        }
        (void)fclose(file);
    }
    size_t special = 0;
    for (size_t i = 0; i < cl_vocabulary_count(); i++) {
        const struct cl_vocabulary_term *term = cl_vocabulary_at(i);
        char name[160];
        if (term->kind != CL_VOCABULARY_PERSONAL_DATA)
            continue;
        (void)snprintf(name, sizeof name, "pd:%s", term->term);
        assert_int_equal(cl_vocabulary_special(name), leads_to_special(all, count, term->term, 0));
        special += cl_vocabulary_special(name) ? 1 : 0;
    }
    assert_int_equal(special, 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_has_its_words_and_they_exist), cmocka_unit_test(rows_are_those_of_rfc_4180),
        cmocka_unit_test(what_would_be_a_formula_is_text), cmocka_unit_test(times_are_those_of_the_calendar),
        cmocka_unit_test(categories_are_found_by_their_names), cmocka_unit_test(special_categories_are_the_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

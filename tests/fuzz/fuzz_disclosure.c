/* Disclosure files and profiles of anybody. A file that decodes has one form, shows only what its body holds, and can be
   shown on a terminal; a profile that parses makes a body that reads back the same. */
#include "consent/disclosure.h"

#include "consent/record.h"
#include "require.h"

static void harmless(const struct cl_buffer *out)
{
    for (size_t i = 0; i < out->length; i++) {
        uint8_t c = out->data[i];
        require((c >= 0x20 && c != 0x7f) || c == '\n');
        require(c != 0xc2 || (i + 1 < out->length && out->data[i + 1] >= 0xa0));
    }
}

static void can_be_shown(const struct cl_body_file *file)
{
    struct cl_buffer words = {0};
    enum cl_status status = cl_body_file_words(&words, file);
    require(status == CL_OK || status == CL_E_FORMAT); /* names of any body; those of a disclosure file are all good */
    harmless(&words);
    cl_buffer_deinit(&words);
}

static void file_of_anybody(const uint8_t *data, size_t size)
{
    static struct cl_disclosure_file file;
    static struct cl_verify_report report;
    struct cl_buffer again = {0}, shown = {0};
    bool marked[CL_BODY_FIELDS_MAX];
    if (cl_disclosure_decode(&file, data, size) != CL_OK)
        return;
    require(file.body.disclosure_count > 0 && file.body.disclosure_count <= file.body.digest_count);
    require(file.body.digest_count <= CL_BODY_FIELDS_MAX);
    memset(marked, 1, sizeof marked);
    require(cl_disclosure_select(&shown, &file.body, marked) == CL_OK);
    require(shown.length == file.shown.length && memcmp(shown.data, file.shown.data, shown.length) == 0);
    require(cl_disclosure_encode(&again, file.shown, file.addressed ? &file.address : NULL) == CL_OK);
    require(again.length == size && memcmp(again.data, data, size) == 0);
    require(cl_disclosure_check(&file, &report) == CL_E_OBJECT_KIND);
    report = (struct cl_verify_report){.exists = true, .kind = CL_STATE_PROFILE};
    require(cl_disclosure_check(&file, &report) != CL_OK); /* nobody has a body for zeros */
    cl_body_file_commitment(&report.commitment, &file.body);
    enum cl_status status = cl_disclosure_check(&file, &report);
    require(file.addressed ? status == CL_E_SIGNATURE || status == CL_E_PARTY : status == CL_OK);
    report = (struct cl_verify_report){0};
    can_be_shown(&file.body);
    cl_buffer_deinit(&again);
    cl_buffer_deinit(&shown);
}

static void profile_of_anybody(const char *text, size_t size)
{
    static struct cl_profile_text profile;
    static struct cl_body_file file;
    static const uint8_t seed[32] = {1}, salt[32] = {2};
    static const struct cl_object_id object = {{3}};
    struct cl_terms_fault fault = {0};
    struct cl_buffer bytes = {0};
    enum cl_status status = cl_profile_text_parse(&profile, &fault, text, size);
    if (status != CL_OK) {
        require(status != CL_E_FORMAT || fault.sentence[0] != '\0');
        return;
    }
    struct cl_body *body = calloc(1, sizeof *body);
    require(body != NULL && profile.count > 0 && profile.count <= CL_PROFILE_FIELDS_MAX);
    require(cl_body_make_profile(body, &profile, seed) == CL_OK);
    require(cl_body_file_encode(&bytes, &object, salt, body) == CL_OK);
    require(cl_body_file_decode(&file, bytes.data, bytes.length) == CL_OK);
    require(file.digest_count % 16 == 0 && file.disclosure_count == profile.count);
    for (size_t i = 0; i < file.disclosure_count; i++) {
        struct cl_body_field field;
        size_t k = 0;
        require(cl_body_field_read(&field, file.disclosures[i]) == CL_OK);
        while (k < profile.count && (profile.fields[k].name.length != field.name.length || memcmp(profile.fields[k].name.data, field.name.data, field.name.length) != 0))
            k++;
        require(k < profile.count && profile.fields[k].kind == field.kind && field.category.length > 0);
        require(profile.fields[k].yes == field.yes && profile.fields[k].has_low == field.has_low && profile.fields[k].has_high == field.has_high);
        require(profile.fields[k].low == field.low && profile.fields[k].high == field.high && profile.fields[k].text.length == field.text.length);
    }
    can_be_shown(&file);
    cl_buffer_deinit(&bytes);
    cl_body_deinit(body);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    file_of_anybody(data, size);
    profile_of_anybody(size == 0 ? "" : (const char *)data, size);
    return 0;
}

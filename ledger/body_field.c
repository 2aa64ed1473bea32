/* The fields of a body one by one: what their values are, and how they read in plain language. */
#include "cbor.h"
#include "consent/disclosure.h"
#include "consent/inspect.h"
#include "consent/record.h"
#include "page.h"
#include "terms_text.h"

#include <stdio.h>

static bool get_bound(struct cl_cbor_reader *reader, int64_t *bound)
{
    if (cl_cbor_null(reader))
        return false;
    *bound = cl_cbor_int(reader);
    if (*bound > CL_FIELD_NUMBER_MAX || *bound < -CL_FIELD_NUMBER_MAX)
        cl_cbor_fail(reader, CL_E_VALUE);
    return true;
}

/* An attribute (formats.cddl). Returns: false, and leaves the field as it was, where the value is something else. */
static bool read_attribute(struct cl_body_field *out)
{
    struct cl_body_field field = *out;
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, field.value.data, field.value.length);
    cl_cbor_array_fixed(&reader, 2);
    field.category = cl_cbor_text(&reader);
    enum cl_cbor_major major = cl_cbor_peek(&reader);
    if (major == CL_CBOR_TEXT) {
        field.kind = CL_FIELD_TEXT;
        field.text = cl_cbor_text(&reader);
    } else if (major == CL_CBOR_ARRAY) {
        field.kind = CL_FIELD_RANGE;
        cl_cbor_array_fixed(&reader, 2);
        field.has_low = get_bound(&reader, &field.low);
        field.has_high = get_bound(&reader, &field.high);
        if ((!field.has_low && !field.has_high) || (field.has_low && field.has_high && field.low > field.high))
            cl_cbor_fail(&reader, CL_E_VALUE);
    } else {
        field.kind = CL_FIELD_YES_NO;
        field.yes = cl_cbor_bool(&reader);
    }
    if (cl_cbor_finish(&reader) != CL_OK || field.category.length == 0 || field.category.length > CL_FIELD_CATEGORY_BYTES_MAX || !cl_terms_value_plain((const char *)field.category.data, field.category.length))
        return false;
    *out = field;
    return true;
}

enum cl_status cl_body_field_read(struct cl_body_field *out, struct cl_view disclosure)
{
    struct cl_cbor_reader reader;
    *out = (struct cl_body_field){0};
    cl_cbor_reader_init(&reader, disclosure.data, disclosure.length);
    cl_cbor_array_fixed(&reader, 3);
    (void)cl_cbor_bytes_fixed(&reader, 16);
    out->name = cl_cbor_text(&reader);
    out->value = cl_cbor_skip(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    if (out->name.length == 0 || out->name.length > CL_FIELD_NAME_BYTES_MAX || !cl_terms_value_plain((const char *)out->name.data, out->name.length))
        return CL_E_FORMAT;
    cl_cbor_reader_init(&reader, out->value.data, out->value.length);
    if (cl_cbor_peek(&reader) == CL_CBOR_TEXT) {
        out->kind = CL_FIELD_TEXT;
        out->text = cl_cbor_text(&reader);
    } else {
        (void)read_attribute(out);
    }
    return CL_OK;
}

/* ---- in words */

/* Lines after the first are set in, so that none of them can look like another field; what could drive a terminal goes. */
static void put_text(struct cl_page *page, struct cl_view text)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t c = text.data[i];
        if (c == '\n') {
            cl_page_put(page, "\n    ", 5);
        } else if (c == 0xc2 && i + 1 < text.length && text.data[i + 1] < 0xa0) {
            cl_page_put(page, "?", 1);
            i++;
        } else {
            cl_page_put(page, c < 0x20 || c == 0x7f ? (const uint8_t *)"?" : &text.data[i], 1);
        }
    }
}

static void put_category(struct cl_page *page, struct cl_view category)
{
    struct cl_buffer shorter = {0};
    enum cl_status status = cl_vocabulary_shorten(&shorter, (const char *)category.data, category.length);
    if (status == CL_OK)
        status = cl_buffer_append(&shorter, "", 1);
    if (status == CL_OK) {
        const struct cl_vocabulary_term *term = cl_vocabulary_find(CL_VOCABULARY_PERSONAL_DATA, (const char *)shorter.data);
        cl_page_say(page, term == NULL ? " (%s%s)" : " (%s, %s)", term == NULL ? "" : term->label, (const char *)shorter.data);
    } else {
        page->status = status;
    }
    cl_buffer_deinit(&shorter);
}

static void put_range(struct cl_page *page, const struct cl_body_field *field)
{
    if (field->has_low && field->has_high && field->low == field->high)
        cl_page_say(page, "%lld", (long long)field->low);
    else if (field->has_low && field->has_high)
        cl_page_say(page, "%lld to %lld", (long long)field->low, (long long)field->high);
    else
        cl_page_say(page, "at %s %lld", field->has_low ? "least" : "most", (long long)(field->has_low ? field->low : field->high));
}

static void put_field(struct cl_page *page, const struct cl_body_field *field)
{
    cl_page_put(page, field->name.data, field->name.length);
    cl_page_put(page, ": ", 2);
    switch (field->kind) {
    case CL_FIELD_TEXT: put_text(page, field->text); break;
    case CL_FIELD_RANGE: put_range(page, field); break;
    case CL_FIELD_YES_NO: cl_page_say(page, field->yes ? "yes" : "no"); break;
    case CL_FIELD_OTHER:
        if (page->status == CL_OK)
            page->status = cl_inspect_diagnostic(page->out, field->value.data, field->value.length);
        break;
    }
    if (field->category.length > 0)
        put_category(page, field->category);
    cl_page_put(page, "\n", 1);
}

static bool in_terms_text(struct cl_view name)
{
    if (cl_terms_slot_number(name) < CL_SLOTS_MAX)
        return true;
    for (unsigned i = 0; i < CL_FIELD_COUNT; i++) {
        const char *key = cl_terms_field_key((enum cl_terms_field)i);
        if (strlen(key) == name.length && memcmp(key, name.data, name.length) == 0)
            return true;
    }
    return false;
}

enum cl_status cl_body_file_words(struct cl_buffer *out, const struct cl_body_file *file)
{
    struct cl_page page = {out, CL_OK};
    struct cl_terms_text *text = NULL;
    enum cl_status status = cl_body_file_text(&text, file);
    if (status == CL_E_MEMORY)
        return status;
    if (status == CL_OK) /* else another category, or terms that are not in order: field by field */
        page.status = cl_terms_text_plain(out, text, ~0ull);
    for (size_t i = 0; i < file->disclosure_count && page.status == CL_OK; i++) {
        struct cl_body_field field;
        page.status = cl_body_field_read(&field, file->disclosures[i]);
        if (page.status == CL_OK && (text == NULL || !in_terms_text(field.name)))
            put_field(&page, &field);
    }
    cl_terms_text_free(text);
    return page.status;
}

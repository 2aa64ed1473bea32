/* The text file in which a person writes a profile: one [section] for each attribute, with a category and one value. */
#include "consent/disclosure.h"
#include "terms_text.h"
#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>

static const char template_text[] =
    "# A profile: what you say of yourself without saying who you are. Lines that start with # are comments.\n"
    "# Fill in, then: consent profile publish FILE --name car-insurance\n"
    "# It gets a key of its own, which nothing ties to your other keys. Nobody sees an attribute until you show it:\n"
    "#   consent disclose car-insurance --fields age,no-claims\n"
    "#\n"
    "# An attribute has a name in brackets (a-z, 0-9, -), one W3C DPV personal-data category (pd:...), and one value:\n"
    "#   text: a line of text\n"
    "#   range: whole numbers, as: 40 to 50, or: at least 8, or: at most 20, or one number\n"
    "#   answer: yes or no\n"
    "# The less exactly a value says it, the less it says about who you are.\n"
    "\n"
    "[looking-for]\n"
    "category: pd:Intention\n"
    "text: car insurance\n"
    "\n"
    "[age]\n"
    "category: pd:AgeRange\n"
    "range: 40 to 50\n"
    "\n"
    "[years-without-claims]\n"
    "category: pd:Insurance\n"
    "range: at least 8\n"
    "\n"
    "[no-claims]\n"
    "category: pd:Insurance\n"
    "answer: yes\n";

const char *cl_profile_text_template(void) { return template_text; }

struct parser { struct cl_profile_text *profile; struct cl_body_field *field; bool valued; struct cl_terms_fault *fault; };

static CL_PRINTF(2, 3) bool fault(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(parser->fault->sentence, sizeof parser->fault->sentence, format, arguments);
    va_end(arguments);
    return false;
}

static bool view_is(struct cl_view view, const char *text) { return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0; }

/* The attribute before this line is whole. */
static bool end_field(struct parser *parser)
{
    const struct cl_body_field *field = parser->field;
    if (field == NULL || (field->category.length > 0 && parser->valued))
        return true;
    return fault(parser, "'%.*s' needs a category and a value: text, range or answer.", (int)field->name.length, (const char *)field->name.data);
}

static bool parse_section(struct parser *parser, struct cl_view line)
{
    struct cl_profile_text *profile = parser->profile;
    struct cl_view name = {line.data + 1, line.length - 1};
    if (!end_field(parser))
        return false;
    if (name.length > 0 && name.data[name.length - 1] == ']')
        name.length--;
    else
        name.length = 0;
    for (size_t i = 0; i < name.length; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-", name.data[i]) == NULL)
            name.length = 0;
    if (name.length == 0 || name.length > CL_FIELD_NAME_BYTES_MAX)
        return fault(parser, "An attribute looks like [age-range]: a-z, 0-9 and -, at most %u of them.", CL_FIELD_NAME_BYTES_MAX);
    for (size_t i = 0; i < profile->count; i++)
        if (profile->fields[i].name.length == name.length && memcmp(profile->fields[i].name.data, name.data, name.length) == 0)
            return fault(parser, "Two attributes have the name '%.*s'.", (int)name.length, (const char *)name.data);
    if (profile->count == CL_PROFILE_FIELDS_MAX)
        return fault(parser, "A profile has at most %u attributes.", CL_PROFILE_FIELDS_MAX);
    parser->field = &profile->fields[profile->count++];
    *parser->field = (struct cl_body_field){.name = name};
    parser->valued = false;
    return true;
}

static bool parse_category(struct parser *parser, struct cl_view value)
{
    char category[CL_FIELD_CATEGORY_BYTES_MAX - 40 + 1]; /* with room for the namespace that a prefix stands for */
    if (parser->field->category.length > 0)
        return fault(parser, "This line is there twice.");
    if (value.length >= sizeof category)
        return fault(parser, "A category has at most %zu bytes.", sizeof category - 1);
    memcpy(category, value.data, value.length);
    category[value.length] = '\0';
    parser->field->category = value;
    return cl_terms_category_usable(category, parser->fault);
}

/* Whole numbers of at most 15 digits. Moves *value behind the number. */
static bool take_number(struct cl_view *value, int64_t *number)
{
    bool negative = value->length > 0 && value->data[0] == '-';
    size_t at = negative ? 1 : 0, digits = 0;
    *number = 0;
    for (; at < value->length && value->data[at] >= '0' && value->data[at] <= '9' && digits <= 15; at++, digits++)
        *number = 10 * *number + (value->data[at] - '0');
    if (digits == 0 || digits > 15)
        return false;
    *number = negative ? -*number : *number;
    *value = (struct cl_view){value->data + at, value->length - at};
    return true;
}

static bool take_words(struct cl_view *value, const char *words)
{
    size_t length = strlen(words);
    if (value->length < length || memcmp(value->data, words, length) != 0)
        return false;
    *value = (struct cl_view){value->data + length, value->length - length};
    return true;
}

static bool parse_range(struct cl_body_field *field, struct cl_view value)
{
    field->kind = CL_FIELD_RANGE;
    if (take_words(&value, "at least "))
        return (field->has_low = take_number(&value, &field->low)) && value.length == 0;
    if (take_words(&value, "at most "))
        return (field->has_high = take_number(&value, &field->high)) && value.length == 0;
    if (!take_number(&value, &field->low))
        return false;
    field->has_low = field->has_high = true;
    field->high = field->low;
    if (value.length == 0)
        return true;
    return take_words(&value, " to ") && take_number(&value, &field->high) && value.length == 0 && field->low <= field->high;
}

static bool parse_value(struct parser *parser, struct cl_view key, struct cl_view value)
{
    struct cl_body_field *field = parser->field;
    bool text = view_is(key, "text"), range = view_is(key, "range"), answer = view_is(key, "answer");
    if (!text && !range && !answer)
        return fault(parser, "'%.*s' is not known in an attribute: category, text, range, answer.", (int)(key.length < 40 ? key.length : 40), (const char *)key.data);
    if (parser->valued)
        return fault(parser, "An attribute has one value; make another attribute of this one.");
    parser->valued = true;
    if (range && !parse_range(field, value))
        return fault(parser, "A range is '40 to 50', 'at least 8', 'at most 20' or one whole number.");
    if (answer && !view_is(value, "yes") && !view_is(value, "no"))
        return fault(parser, "An answer is 'yes' or 'no'.");
    if (text && value.length > CL_TERMS_VALUE_BYTES_MAX)
        return fault(parser, "A text has at most %u bytes.", CL_TERMS_VALUE_BYTES_MAX);
    if (answer) {
        field->kind = CL_FIELD_YES_NO;
        field->yes = view_is(value, "yes");
    } else if (text) {
        field->kind = CL_FIELD_TEXT;
        field->text = value;
    }
    return true;
}

static bool parse_line(struct parser *parser, const char *at, size_t length)
{
    length = cl_terms_trimmed(&at, length);
    if (length == 0 || at[0] == '#')
        return true;
    if (!cl_terms_value_plain(at, length))
        return fault(parser, "There is a control character in this line.");
    if (at[0] == '[')
        return parse_section(parser, (struct cl_view){(const uint8_t *)at, length});
    const char *colon = memchr(at, ':', length);
    if (colon == NULL)
        return fault(parser, "A line is 'key: value', an [attribute], or a comment.");
    if (parser->field == NULL)
        return fault(parser, "An attribute begins with its name in brackets, as [age-range].");
    const char *key = at, *value = colon + 1;
    size_t value_length = cl_terms_trimmed(&value, length - (size_t)(value - at)), key_length = cl_terms_trimmed(&key, (size_t)(colon - at));
    struct cl_view key_view = {(const uint8_t *)key, key_length}, value_view = {(const uint8_t *)value, value_length};
    if (value_length == 0)
        return fault(parser, "There is nothing behind the colon.");
    return view_is(key_view, "category") ? parse_category(parser, value_view) : parse_value(parser, key_view, value_view);
}

enum cl_status cl_profile_text_parse(struct cl_profile_text *out, struct cl_terms_fault *fault_out, const char *text, size_t length)
{
    struct parser parser = {.profile = out, .fault = fault_out};
    bool good = true;
    *out = (struct cl_profile_text){0};
    *fault_out = (struct cl_terms_fault){0};
    if (length > CL_TERMS_TEXT_BYTES_MAX)
        return CL_E_BOUND;
    if (!cl_utf8_valid((const uint8_t *)text, length)) {
        (void)fault(&parser, "The file is not UTF-8 text.");
        return CL_E_FORMAT;
    }
    for (size_t at = 0; good && at < length;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t line_length = end == NULL ? length - at : (size_t)(end - text) - at;
        fault_out->line++;
        good = parse_line(&parser, text + at, line_length);
        at += line_length + 1;
    }
    good = good && end_field(&parser);
    if (good && out->count == 0) {
        fault_out->line = 0;
        good = fault(&parser, "There is no attribute; 'consent profile new' prints a file to start from.");
    }
    return good ? CL_OK : CL_E_FORMAT;
}

/* The text file in which a person states terms: "key: value" lines, and one [slot NUMBER NAME] section for each kind of
   data. Small on purpose: what cannot be said here is said in the document that the terms point to. */
#include "terms_text.h"
#include "consent/record.h"
#include "crypto.h"
#include "utf8.h"
#include "vocabulary.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOT_NAME_BYTES_MAX 64u

static const char template_text[] =
    "# Terms on which data is shared. Lines that start with # are comments.\n"
    "# Fill in, then: consent terms check FILE; consent terms publish FILE --limit 500\n"
    "\n"
    "# Who states these terms: customer or organisation.\n"
    "proffered-by: customer\n"
    "# Standard terms of IEEE 7012 (MyTerms) that these follow, if any.\n"
    "template: ieee7012:SD-BASE\n"
    "title: My e-mail address and how often I shop\n"
    "language: en\n"
    "# Country whose law applies (ISO 3166).\n"
    "jurisdiction: NL\n"
    "contact: the form on my profile page\n"
    "in-return: a monthly overview of what was done with my data\n"
    "withdraw: at any time, with one signed record, at any node\n"
    "after-withdrawal: use stops at once, and every copy is erased within the retention time\n"
    "\n"
    "# A slot is one kind of data, with a number from 0 to 63 that never changes its meaning, and a short name.\n"
    "# category: one W3C DPV personal-data category (pd:...). purposes: DPV purposes (dpv:...), several with commas.\n"
    "# processing and recipients: several with commas. retention: an ISO 8601 duration.\n"
    "# delivery: an ISO 8601 period, then a media type. from: who gives the data, customer (unless told) or organisation.\n"
    "[slot 1 email]\n"
    "category: pd:EmailAddress\n"
    "purposes: dpv:ServiceProvision, dpv:Marketing\n"
    "processing: dpv:Store, dpv:Use\n"
    "recipients: the organisation itself\n"
    "retention: P30D\n"
    "\n"
    "[slot 2 purchases]\n"
    "category: pd:Purchase\n"
    "purposes: dpv:ServicePersonalisation\n"
    "recipients: the organisation itself\n"
    "retention: P1Y\n"
    "delivery: P1M text/csv\n";

const char *cl_terms_text_template(void) { return template_text; }

static const struct { const char *key; bool required; const char *heading; } field_table[CL_FIELD_COUNT] = {
#define X(name, key, required, heading) {key, required, heading},
    CL_TERMS_FIELD_TABLE(X)
#undef X
};
const char *cl_terms_field_key(enum cl_terms_field field) { return field_table[field].key; }
const char *cl_terms_field_heading(enum cl_terms_field field) { return field_table[field].heading; }

enum cl_status cl_terms_text_new(struct cl_terms_text **out, size_t bytes)
{
    struct cl_terms_text *text = calloc(1, sizeof *text);
    if (text == NULL || (text->storage = malloc(bytes + 1)) == NULL) {
        free(text);
        return CL_E_MEMORY;
    }
    text->storage_size = bytes + 1;
    *out = text;
    return CL_OK;
}

void cl_terms_text_free(struct cl_terms_text *text)
{
    if (text == NULL)
        return;
    free(text->storage);
    free(text);
}

const char *cl_terms_text_keep(struct cl_terms_text *text, const char *value, size_t length)
{
    if (length >= text->storage_size - text->storage_used)
        return NULL;
    char *kept = text->storage + text->storage_used;
    if (length > 0)
        memcpy(kept, value, length);
    kept[length] = '\0';
    text->storage_used += length + 1;
    return kept;
}

static CL_PRINTF(2, 3) bool fault_at(struct cl_terms_fault *fault, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->sentence, sizeof fault->sentence, format, arguments);
    va_end(arguments);
    return false;
}

bool cl_terms_value_plain(const char *value, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < length && (unsigned char)value[i + 1] < 0xa0))
            return false;
    }
    return true;
}

bool cl_duration_usable(const char *text)
{
    if (*text++ != 'P')
        return false;
    const char *units = "YMWD";
    bool any = false, time_begun = false;
    while (*text != '\0') {
        if (*text == 'T' && !time_begun) {
            time_begun = true;
            any = false;
            units = "HMS";
            text++;
            continue;
        }
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 9 || text[digits] == '\0')
            return false;
        const char *unit = strchr(units, text[digits]);
        if (unit == NULL)
            return false;
        units = unit + 1; /* each unit once, in order */
        any = true;
        text += digits + 1;
    }
    return any;
}

static bool media_type_usable(const char *text)
{
    size_t slash = strcspn(text, "/");
    if (slash == 0 || text[slash] == '\0' || text[slash + 1] == '\0')
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (at != text + slash && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_", *at) == NULL)
            return false;
    return true;
}

static bool language_usable(const char *text)
{
    size_t length = strlen(text);
    if (length < 2 || length > 35)
        return false;
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == length;
}

/* A term of the vocabulary, or an IRI of somebody else's. */
static bool term_usable(enum cl_vocabulary_kind kind, const char *what, const char *value, struct cl_terms_fault *fault)
{
    const char *prefix = cl_vocabulary_prefix(kind), *space = cl_vocabulary_namespace(kind);
    bool ours = strncmp(value, prefix, strlen(prefix)) == 0 || strncmp(value, space, strlen(space)) == 0 || strchr(value, ':') == NULL;
    if (ours && cl_vocabulary_find(kind, value) == NULL) {
        const struct cl_vocabulary_term *nearest = cl_vocabulary_nearest(kind, value);
        if (nearest != NULL)
            return fault_at(fault, "'%.80s' is not a known %s. Did you mean %s%s?", value, what, prefix, nearest->term);
        return fault_at(fault, "'%.80s' is not a known %s. Names begin with '%s', as in the Data Privacy Vocabulary.", value, what, prefix);
    }
    if (!ours && !cl_iri_usable(value))
        return fault_at(fault, "'%.80s' is neither a name with '%s' nor an IRI.", value, prefix);
    return true;
}

bool cl_terms_category_usable(const char *category, struct cl_terms_fault *fault)
{
    return term_usable(CL_VOCABULARY_PERSONAL_DATA, "personal-data category", category, fault);
}

bool cl_terms_field_usable(enum cl_terms_field field, const char *value, struct cl_terms_fault *fault)
{
    assert(value != NULL);
    if (value[0] == '\0' || strlen(value) > CL_TERMS_VALUE_BYTES_MAX)
        return fault_at(fault, "'%s' is empty or longer than %u bytes.", field_table[field].key, CL_TERMS_VALUE_BYTES_MAX);
    if (field == CL_FIELD_TEMPLATE)
        return term_usable(CL_VOCABULARY_AGREEMENT, "agreement of IEEE 7012", value, fault);
    if (field == CL_FIELD_PROFFERED_BY && strcmp(value, "customer") != 0 && strcmp(value, "organisation") != 0)
        return fault_at(fault, "'proffered-by' is 'customer' or 'organisation'.");
    if (field == CL_FIELD_LANGUAGE && !language_usable(value))
        return fault_at(fault, "'language' is a BCP 47 tag, such as en or nl-NL.");
    return true;
}

bool cl_terms_slot_usable(const struct cl_terms_slot *slot, struct cl_terms_fault *fault)
{
    if (slot->name == NULL || slot->name[0] == '\0' || strlen(slot->name) > SLOT_NAME_BYTES_MAX || slot->number >= CL_SLOTS_MAX)
        return fault_at(fault, "A slot needs a number from 0 to 63 and a short name.");
    if (slot->category == NULL || slot->purpose_count == 0)
        return fault_at(fault, "Slot %u (%s) needs a category and at least one purpose.", slot->number, slot->name);
    if (!cl_terms_category_usable(slot->category, fault))
        return false;
    for (size_t i = 0; i < slot->purpose_count; i++)
        if (!term_usable(CL_VOCABULARY_PURPOSE, "purpose", slot->purposes[i], fault))
            return false;
    for (size_t i = 0; i < slot->processing_count; i++)
        if (!cl_prefixed_name_usable(slot->processing[i], CL_VOCABULARY_PURPOSE) && !cl_iri_usable(slot->processing[i]))
            return fault_at(fault, "Processing '%.80s' is neither a name with 'dpv:' nor an IRI.", slot->processing[i]);
    if (slot->retention != NULL && !cl_duration_usable(slot->retention))
        return fault_at(fault, "'%.40s' is not an ISO 8601 duration, such as P30D or P1Y.", slot->retention);
    if (slot->delivery_period != NULL && !cl_duration_usable(slot->delivery_period))
        return fault_at(fault, "'%.40s' is not an ISO 8601 duration, such as P1M.", slot->delivery_period);
    if (slot->delivery_format != NULL && !media_type_usable(slot->delivery_format))
        return fault_at(fault, "'%.60s' is not a media type, such as text/csv.", slot->delivery_format);
    return true;
}

struct parser { struct cl_terms_text *text; struct cl_terms_slot *slot; struct cl_terms_fault *fault; bool from_said; };

size_t cl_terms_trimmed(const char **at, size_t length)
{
    while (length > 0 && (**at == ' ' || **at == '\t')) {
        (*at)++;
        length--;
    }
    while (length > 0 && ((*at)[length - 1] == ' ' || (*at)[length - 1] == '\t' || (*at)[length - 1] == '\r'))
        length--;
    return length;
}

/* Keeps an IRI in its prefixed form, so that both spellings compare equal. */
static const char *keep_short(struct cl_terms_text *text, const char *value, size_t length)
{
    struct cl_buffer shorter = {0};
    const char *kept = NULL;
    if (cl_vocabulary_shorten(&shorter, value, length) == CL_OK)
        kept = cl_terms_text_keep(text, (const char *)shorter.data, shorter.length);
    cl_buffer_deinit(&shorter);
    return kept;
}

static bool parse_list(struct parser *parser, const char **list, size_t *count, const char *value, size_t length)
{
    if (*count != 0)
        return fault_at(parser->fault, "This line is there twice in the slot.");
    while (length > 0) {
        const char *comma = memchr(value, ',', length);
        size_t part = comma == NULL ? length : (size_t)(comma - value);
        const char *item = value;
        size_t item_length = cl_terms_trimmed(&item, part);
        if (!cl_terms_value_plain(item, item_length))
            return fault_at(parser->fault, "There is a control character in this line.");
        if (item_length == 0 || *count == CL_SLOT_LIST_MAX)
            return fault_at(parser->fault, "A list has 1 to %u items with commas between.", CL_SLOT_LIST_MAX);
        if ((list[(*count)++] = keep_short(parser->text, item, item_length)) == NULL)
            return fault_at(parser->fault, "The text is too long.");
        length -= comma == NULL ? length : part + 1;
        value += comma == NULL ? 0 : part + 1;
    }
    return *count > 0 || fault_at(parser->fault, "A list has 1 to %u items with commas between.", CL_SLOT_LIST_MAX);
}

static bool parse_one(struct parser *parser, const char **out, const char *value, size_t length)
{
    if (*out != NULL)
        return fault_at(parser->fault, "This line is there twice.");
    if (length == 0)
        return fault_at(parser->fault, "There is nothing behind the colon.");
    if (!cl_terms_value_plain(value, length)) /* tabs too: around a value they are white space, within it nobody could read it */
        return fault_at(parser->fault, "There is a control character in this line.");
    *out = keep_short(parser->text, value, length);
    return *out != NULL || fault_at(parser->fault, "The text is too long.");
}

static bool parse_delivery(struct parser *parser, const char *value, size_t length)
{
    const char *space = memchr(value, ' ', length);
    size_t period = space == NULL ? length : (size_t)(space - value);
    if (!parse_one(parser, &parser->slot->delivery_period, value, period))
        return false;
    if (space == NULL)
        return true;
    const char *format = space;
    size_t format_length = cl_terms_trimmed(&format, length - period);
    return parse_one(parser, &parser->slot->delivery_format, format, format_length);
}

static bool key_is(const char *key, size_t length, const char *name) { return length == strlen(name) && memcmp(key, name, length) == 0; }

static bool parse_from(struct parser *parser, const char *value, size_t length)
{
    if (parser->from_said)
        return fault_at(parser->fault, "This line is there twice.");
    parser->from_said = true;
    parser->slot->from_organisation = key_is(value, length, "organisation");
    return parser->slot->from_organisation || key_is(value, length, "customer") || fault_at(parser->fault, "'from' is 'customer' or 'organisation'.");
}

static bool parse_slot_line(struct parser *parser, const char *key, size_t key_length, const char *value, size_t length)
{
    struct cl_terms_slot *slot = parser->slot;
    if (key_is(key, key_length, "category"))
        return parse_one(parser, &slot->category, value, length);
    if (key_is(key, key_length, "purposes"))
        return parse_list(parser, slot->purposes, &slot->purpose_count, value, length);
    if (key_is(key, key_length, "processing"))
        return parse_list(parser, slot->processing, &slot->processing_count, value, length);
    if (key_is(key, key_length, "recipients"))
        return parse_list(parser, slot->recipients, &slot->recipient_count, value, length);
    if (key_is(key, key_length, "retention"))
        return parse_one(parser, &slot->retention, value, length);
    if (key_is(key, key_length, "delivery"))
        return parse_delivery(parser, value, length);
    if (key_is(key, key_length, "from"))
        return parse_from(parser, value, length);
    return fault_at(parser->fault, "'%.*s' is not known in a slot: category, purposes, processing, recipients, retention, delivery, from.", (int)(key_length < 40 ? key_length : 40), key);
}

static bool parse_field_line(struct parser *parser, const char *key, size_t key_length, const char *value, size_t length)
{
    for (unsigned i = 0; i < CL_FIELD_COUNT; i++)
        if (key_is(key, key_length, field_table[i].key))
            return parse_one(parser, &parser->text->fields[i], value, length) &&
                   cl_terms_field_usable((enum cl_terms_field)i, parser->text->fields[i], parser->fault);
    return fault_at(parser->fault, "'%.*s' is not known here; 'consent terms new' shows what there is.", (int)(key_length < 40 ? key_length : 40), key);
}

/* "[slot 3 email]" */
static bool parse_section(struct parser *parser, const char *line, size_t length)
{
    if (parser->slot != NULL && !cl_terms_slot_usable(parser->slot, parser->fault))
        return false;
    if (length < 7 || line[length - 1] != ']' || memcmp(line, "[slot ", 6) != 0)
        return fault_at(parser->fault, "A section looks like [slot 1 email].");
    const char *at = line + 6;
    size_t left = cl_terms_trimmed(&at, length - 7);
    unsigned number = 0, digits = 0;
    for (; left > 0 && *at >= '0' && *at <= '9' && digits < 3; at++, left--, digits++)
        number = 10 * number + (unsigned)(*at - '0');
    left = cl_terms_trimmed(&at, left);
    if (digits == 0 || number >= CL_SLOTS_MAX || left == 0 || left > SLOT_NAME_BYTES_MAX)
        return fault_at(parser->fault, "A slot needs a number from 0 to 63 and a short name: [slot 1 email].");
    if (!cl_terms_value_plain(at, left))
        return fault_at(parser->fault, "There is a control character in this line.");
    struct cl_terms_text *text = parser->text;
    if (text->slot_count > 0 && text->slots[text->slot_count - 1].number >= number)
        return fault_at(parser->fault, "Slots come in ascending order of their numbers, each number once.");
    parser->slot = &text->slots[text->slot_count++];
    parser->slot->number = (uint8_t)number;
    parser->from_said = false;
    parser->slot->name = cl_terms_text_keep(text, at, left);
    for (size_t i = 0; parser->slot->name != NULL && i + 1 < text->slot_count; i++)
        if (strcmp(text->slots[i].name, parser->slot->name) == 0)
            return fault_at(parser->fault, "Two slots have the name '%.64s'.", parser->slot->name);
    return parser->slot->name != NULL || fault_at(parser->fault, "The text is too long.");
}

static bool parse_line(struct parser *parser, const char *line, size_t length)
{
    length = cl_terms_trimmed(&line, length);
    if (length == 0 || line[0] == '#')
        return true;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' && line[i] != '\t')
            return fault_at(parser->fault, "There is a control character in this line.");
    if (line[0] == '[')
        return parse_section(parser, line, length);
    const char *colon = memchr(line, ':', length);
    if (colon == NULL)
        return fault_at(parser->fault, "A line is 'key: value', a [slot], or a comment.");
    const char *key = line, *value = colon + 1;
    size_t key_length = cl_terms_trimmed(&key, (size_t)(colon - line)), value_length = cl_terms_trimmed(&value, length - (size_t)(value - line));
    return parser->slot == NULL ? parse_field_line(parser, key, key_length, value, value_length)
                                : parse_slot_line(parser, key, key_length, value, value_length);
}

static bool parse_end(struct parser *parser)
{
    if (parser->slot != NULL && !cl_terms_slot_usable(parser->slot, parser->fault))
        return false;
    parser->fault->line = 0;
    if (parser->text->slot_count == 0)
        return fault_at(parser->fault, "There is no slot: nothing would be shared.");
    for (unsigned i = 0; i < CL_FIELD_COUNT; i++)
        if (field_table[i].required && parser->text->fields[i] == NULL)
            return fault_at(parser->fault, "The line '%s: ...' is missing.", field_table[i].key);
    return true;
}

enum cl_status cl_terms_text_parse(struct cl_terms_text **out, struct cl_terms_fault *fault, const char *source, size_t length)
{
    *fault = (struct cl_terms_fault){0};
    if (length > CL_TERMS_TEXT_BYTES_MAX)
        return CL_E_BOUND;
    if (!cl_utf8_valid((const uint8_t *)source, length)) { /* what is signed must be readable by everybody */
        (void)fault_at(fault, "The file is not UTF-8 text.");
        return CL_E_FORMAT;
    }
    struct cl_terms_text *text = NULL;
    enum cl_status status = cl_terms_text_new(&text, 2 * length + 64);
    if (status != CL_OK)
        return status;
    struct parser parser = {.text = text, .fault = fault};
    bool good = true;
    for (size_t at = 0; good && at < length;) {
        const char *end = memchr(source + at, '\n', length - at);
        size_t line_length = end == NULL ? length - at : (size_t)(end - source) - at;
        fault->line++;
        good = parse_line(&parser, source + at, line_length);
        at += line_length + 1;
    }
    if (!good || !parse_end(&parser)) {
        cl_terms_text_free(text);
        return CL_E_FORMAT;
    }
    text->has_text_hash = true;
    cl_sha256_once(text->text_hash, source, length);
    *out = text;
    return CL_OK;
}

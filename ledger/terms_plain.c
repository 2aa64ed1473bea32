/* Terms in plain language, and what one version says otherwise than another. */
#include "consent/record.h"
#include "consent/schedule.h"
#include "consent/terms.h"
#include "crypto.h"
#include "terms_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct page { struct cl_buffer *out; enum cl_status status; };

static CL_PRINTF(2, 3) void say(struct page *page, const char *format, ...)
{
    char line[CL_TERMS_VALUE_BYTES_MAX + 512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || page->status != CL_OK)
        return;
    page->status = cl_buffer_append(page->out, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

uint64_t cl_terms_text_slots(const struct cl_terms_text *text)
{
    uint64_t slots = 0;
    for (size_t i = 0; i < text->slot_count; i++)
        slots |= 1ull << text->slots[i].number;
    return slots;
}

const struct cl_terms_slot *cl_terms_slot_find(const struct cl_terms_text *text, const char *name)
{
    char *end = NULL;
    unsigned long number = name[0] >= '0' && name[0] <= '9' ? strtoul(name, &end, 10) : CL_SLOTS_MAX;
    bool is_number = end != NULL && *end == '\0';
    for (size_t i = 0; i < text->slot_count; i++) {
        const struct cl_terms_slot *slot = &text->slots[i];
        if (is_number ? slot->number == number : strcmp(slot->name, name) == 0 || strcmp(slot->category, name) == 0)
            return slot;
    }
    return NULL;
}

bool cl_terms_slot_allows(const struct cl_terms_slot *slot, const char *purpose)
{
    struct cl_buffer shorter = {0};
    bool found = false;
    if (cl_vocabulary_shorten(&shorter, purpose, strlen(purpose)) == CL_OK)
        for (size_t i = 0; i < slot->purpose_count; i++)
            found = found || (strlen(slot->purposes[i]) == shorter.length && memcmp(slot->purposes[i], shorter.data, shorter.length) == 0);
    cl_buffer_deinit(&shorter);
    return found;
}

static void say_term(struct page *page, enum cl_vocabulary_kind kind, const char *value)
{
    const struct cl_vocabulary_term *term = cl_vocabulary_find(kind, value);
    if (term != NULL)
        say(page, "%s (%s)", term->label, value);
    else
        say(page, "%s", value);
}

static void say_list(struct page *page, const char *heading, enum cl_vocabulary_kind kind, const char *const *list, size_t count)
{
    if (count == 0)
        return;
    say(page, "     %-12s", heading);
    for (size_t i = 0; i < count; i++) {
        say(page, "%s", i == 0 ? "" : ", ");
        say_term(page, kind, list[i]);
    }
    say(page, "\n");
}

void cl_duration_plain(char out[CL_DURATION_PLAIN_SIZE], const char *duration)
{
    bool in_time = false;
    size_t used = 0;
    out[0] = '\0';
    for (const char *at = duration + 1; *at != '\0';) {
        if (*at == 'T') {
            in_time = true;
            at++;
            continue;
        }
        char *unit = NULL;
        unsigned long number = strtoul(at, &unit, 10);
        if (unit == at || *unit == '\0')
            break; /* not a duration: checked before, so never */
        const char *word = *unit == 'Y' ? "year" : *unit == 'W' ? "week" : *unit == 'D' ? "day" : *unit == 'H' ? "hour" : *unit == 'S' ? "second" : in_time ? "minute" : "month";
        used += (size_t)snprintf(out + used, CL_DURATION_PLAIN_SIZE - used, "%s%lu %s%s", used == 0 ? "" : " ", number, word, number == 1 ? "" : "s");
        if (used >= CL_DURATION_PLAIN_SIZE)
            break; /* nine digits each and seven units: never */
        at = unit + 1;
    }
}

static void say_duration(struct page *page, const char *duration)
{
    char text[CL_DURATION_PLAIN_SIZE];
    cl_duration_plain(text, duration);
    say(page, "%s", text);
}

static void say_slot(struct page *page, const struct cl_terms_slot *slot)
{
    say(page, "  %2u %s: ", slot->number, slot->name);
    say_term(page, CL_VOCABULARY_PERSONAL_DATA, slot->category);
    say(page, "\n");
    say_list(page, "for", CL_VOCABULARY_PURPOSE, slot->purposes, slot->purpose_count);
    say_list(page, "may", CL_VOCABULARY_PURPOSE, slot->processing, slot->processing_count);
    say_list(page, "seen by", CL_VOCABULARY_PURPOSE, slot->recipients, slot->recipient_count);
    if (slot->retention != NULL) {
        say(page, "     %-12s", "kept");
        say_duration(page, slot->retention);
        say(page, "\n");
    }
    if (slot->delivery_period != NULL) {
        say(page, "     %-12severy ", "delivered");
        say_duration(page, slot->delivery_period);
        say(page, "%s%s\n", slot->delivery_format == NULL ? "" : " as ", slot->delivery_format == NULL ? "" : slot->delivery_format);
    }
    if (slot->from_organisation)
        say(page, "     %-12sthe organisation\n", "given by");
}

enum cl_status cl_terms_text_plain(struct cl_buffer *out, const struct cl_terms_text *text, uint64_t slots)
{
    struct page page = {out, CL_OK};
    for (unsigned i = 0; i < CL_FIELD_COUNT; i++) {
        if (text->fields[i] == NULL)
            continue;
        say(&page, "%s: ", cl_terms_field_heading((enum cl_terms_field)i));
        if (i == CL_FIELD_TEMPLATE)
            say_term(&page, CL_VOCABULARY_AGREEMENT, text->fields[i]);
        else
            say(&page, "%s", text->fields[i]);
        say(&page, "\n");
    }
    for (size_t i = 0; i < text->slot_count; i++)
        if ((slots >> text->slots[i].number & 1u) != 0)
            say_slot(&page, &text->slots[i]);
    return page.status;
}

size_t cl_terms_text_advice(const char **sentences, size_t size, const struct cl_terms_text *text)
{
    size_t count = 0;
#define ADVISE(condition, sentence) \
    do { \
        if (condition) { \
            if (count < size) \
                sentences[count] = sentence; \
            count++; \
        } \
    } while (0)
    bool retention = true, recipients = true, counts = true;
    struct cl_schedule schedule;
    for (size_t i = 0; i < text->slot_count; i++) {
        retention = retention && text->slots[i].retention != NULL;
        recipients = recipients && text->slots[i].recipient_count > 0;
        counts = counts && (text->slots[i].delivery_period == NULL || cl_schedule_parse(&schedule, text->slots[i].delivery_period) == CL_OK);
    }
    ADVISE(!retention, "Say for every slot how long the data may be kept (retention).");
    ADVISE(!recipients, "Say for every slot who may see the data (recipients).");
    ADVISE(text->fields[CL_FIELD_JURISDICTION] == NULL, "Say whose law applies (jurisdiction).");
    ADVISE(text->fields[CL_FIELD_CONTACT] == NULL, "Say how to reach whoever states the terms (contact).");
    ADVISE(text->fields[CL_FIELD_AFTER_WITHDRAWAL] == NULL, "Say what follows a withdrawal (after-withdrawal).");
    ADVISE(text->fields[CL_FIELD_TEMPLATE] == NULL, "Standard terms (template) are easier to compare, and single nobody out.");
    ADVISE(!counts, "Say how often data is delivered in a minute to a hundred years (delivery); else nobody can count what is due.");
#undef ADVISE
    return count;
}

struct difference { struct page page; size_t count; };

static void differ(struct difference *difference, const char *where, const char *what, const char *a, const char *b)
{
    if (a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0)
        return;
    difference->count++;
    say(&difference->page, "%s%s%s: %.400s -> %.400s\n", where, where[0] == '\0' ? "" : " ", what, a == NULL ? "(nothing)" : a, b == NULL ? "(nothing)" : b);
}

/* "every 1 month (P1M) -> every 1 week (P1W)" */
static void differ_period(struct difference *difference, const char *where, const char *a, const char *b)
{
    char plain[CL_DURATION_PLAIN_SIZE], texts[2][CL_DURATION_PLAIN_SIZE + 80];
    const char *periods[2] = {a, b};
    for (size_t i = 0; i < 2; i++)
        if (periods[i] != NULL) {
            cl_duration_plain(plain, periods[i]);
            (void)snprintf(texts[i], sizeof texts[i], "every %s (%.60s)", plain, periods[i]);
        }
    differ(difference, where, "delivered", a == NULL ? NULL : texts[0], b == NULL ? NULL : texts[1]);
}

static bool listed(const char *const *list, size_t count, const char *value)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], value) == 0)
            return true;
    return false;
}

static void differ_list(struct difference *difference, const char *where, const char *what, const char *const *a, size_t a_count, const char *const *b, size_t b_count)
{
    for (size_t i = 0; i < a_count; i++)
        if (!listed(b, b_count, a[i])) {
            difference->count++;
            say(&difference->page, "%s %s: no longer %.400s\n", where, what, a[i]);
        }
    for (size_t i = 0; i < b_count; i++)
        if (!listed(a, a_count, b[i])) {
            difference->count++;
            say(&difference->page, "%s %s: also %.400s\n", where, what, b[i]);
        }
}

static void differ_slot(struct difference *difference, const struct cl_terms_slot *a, const struct cl_terms_slot *b)
{
    char where[96];
    const struct cl_terms_slot *known = a != NULL ? a : b; /* one of the two is there */
    assert(known != NULL);
    (void)snprintf(where, sizeof where, "slot %u (%s)", known->number, known->name);
    if (a == NULL || b == NULL) {
        difference->count++;
        say(&difference->page, "%s: %s, %s\n", where, a == NULL ? "new" : "gone", known->category);
        return;
    }
    differ(difference, where, "name", a->name, b->name);
    differ(difference, where, "category", a->category, b->category);
    differ_list(difference, where, "purposes", a->purposes, a->purpose_count, b->purposes, b->purpose_count);
    differ_list(difference, where, "processing", a->processing, a->processing_count, b->processing, b->processing_count);
    differ_list(difference, where, "recipients", a->recipients, a->recipient_count, b->recipients, b->recipient_count);
    differ(difference, where, "retention", a->retention, b->retention);
    differ_period(difference, where, a->delivery_period, b->delivery_period);
    differ(difference, where, "delivered as", a->delivery_format, b->delivery_format);
    differ(difference, where, "given by", a->from_organisation ? "the organisation" : "the customer", b->from_organisation ? "the organisation" : "the customer");
}

enum cl_status cl_terms_text_diff(struct cl_buffer *out, size_t *differences, const struct cl_terms_text *a, const struct cl_terms_text *b)
{
    struct difference difference = {{out, CL_OK}, 0};
    for (unsigned i = 0; i < CL_FIELD_COUNT; i++)
        differ(&difference, "", cl_terms_field_key((enum cl_terms_field)i), a->fields[i], b->fields[i]);
    size_t i = 0, k = 0;
    while (i < a->slot_count || k < b->slot_count) {
        bool left = k == b->slot_count || (i < a->slot_count && a->slots[i].number <= b->slots[k].number);
        bool right = i == a->slot_count || (k < b->slot_count && b->slots[k].number <= a->slots[i].number);
        differ_slot(&difference, left ? &a->slots[i] : NULL, right ? &b->slots[k] : NULL);
        i += left ? 1 : 0;
        k += right ? 1 : 0;
    }
    *differences = difference.count;
    return difference.page.status;
}

/* consent terms find: open terms that anybody may answer, and what their owners say of themselves, by purpose, category and
   attribute. The search is here: see public.h. */
#include "public.h"
#include "disclosed.h"
#include "export.h"

#include <stdlib.h>
#include <strings.h>

#define KEPT_BYTES_MAX (128u * 1024u * 1024u)
#define ATTRIBUTES_MAX 16u

/* Terms that may fit, or a profile; of those the key that they stand under joins them. */
struct kept { struct cl_buffer bytes; char node[CL_MEMBER_NAME_BYTES_MAX + 1]; struct cl_object_id id; uint8_t key[33]; struct cl_terms state; };
struct kept_list { struct kept *items; size_t count, capacity; };
struct search {
    struct context *context;
    const char *purpose, *category;
    size_t attribute_count;
    const char *attributes[ATTRIBUTES_MAX]; /* NAME or NAME=VALUE */
    struct kept_list terms, profiles;
    size_t bytes, open;                     /* open: terms that can be answered, whether they fit or not */
    struct cl_body_file *file;              /* room for one that is looked at again */
};

/* ---- what was asked for */
static int term_check(struct context *context, const char *text, enum cl_vocabulary_kind kind, const char *what)
{
    bool foreign = text != NULL && strstr(text, "://") != NULL;
    if (text == NULL || foreign || cl_vocabulary_find(kind, text) != NULL)
        return 0;
    const struct cl_vocabulary_term *near = cl_vocabulary_nearest(kind, text);
    if (near != NULL)
        return output_usage(&context->output, "The vocabulary has no %s '%.60s'. Did you mean %s%s?", what, text, cl_vocabulary_prefix(kind), near->term);
    return output_usage(&context->output, "The vocabulary has no %s '%.60s'; they are listed at https://w3id.org/dpv", what, text);
}

static int search_open(struct context *context, struct search *search)
{
    *search = (struct search){.context = context, .purpose = option(context, "--purpose"), .category = option(context, "--category")};
    for (size_t i = 0; i < context->option_count; i++) {
        if (strcmp(context->options[i].name, "--attribute") != 0)
            continue;
        if (search->attribute_count == ATTRIBUTES_MAX)
            return output_usage(&context->output, "At most %u attributes.", ATTRIBUTES_MAX);
        search->attributes[search->attribute_count++] = context->options[i].value;
    }
    int result = term_check(context, search->purpose, CL_VOCABULARY_PURPOSE, "purpose");
    if (result == 0)
        result = term_check(context, search->category, CL_VOCABULARY_PERSONAL_DATA, "category");
    if (result == 0 && (search->file = malloc(sizeof *search->file)) == NULL)
        result = output_fail(&context->output, CL_E_MEMORY, NULL);
    return result;
}

static void list_deinit(struct kept_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        cl_buffer_deinit(&list->items[i].bytes);
    free(list->items);
}

/* ---- gathering */
static int keep(struct search *search, struct kept_list *list, const struct public_body *body, const uint8_t key33[33])
{
    search->bytes += body->content->shown.length;
    if (search->bytes > KEPT_BYTES_MAX)
        return output_fail(&search->context->output, CL_E_BOUND, "More fits than can be shown; say more of what you look for (--purpose, --category).");
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        struct kept *larger = realloc(list->items, capacity * sizeof *larger);
        if (larger == NULL)
            return output_fail(&search->context->output, CL_E_MEMORY, NULL);
        list->items = larger;
        list->capacity = capacity;
    }
    struct kept *kept = &list->items[list->count];
    *kept = (struct kept){.id = body->object->id};
    (void)snprintf(kept->node, sizeof kept->node, "%s", body->node);
    memcpy(kept->key, key33, 33);
    if (body->object->kind == CL_STATE_TERMS)
        kept->state = body->object->as.terms;
    if (cl_buffer_append(&kept->bytes, body->content->shown.data, body->content->shown.length) != CL_OK)
        return output_fail(&search->context->output, CL_E_MEMORY, NULL);
    list->count++;
    return 0;
}

static bool can_be_answered(const struct cl_terms *terms)
{
    return terms->open != 0 && !terms->successor.present && terms->audience.kind == 0 && terms->answers < terms->limit && !(terms->not_after.present && terms->not_after.seconds <= time_now_ms() / 1000);
}

static bool names_purpose(const struct cl_terms_text *text, const char *purpose)
{
    bool found = purpose == NULL;
    for (size_t i = 0; i < text->slot_count && !found; i++)
        found = cl_terms_slot_allows(&text->slots[i], purpose);
    return found;
}

static int gather(void *each_context, const struct public_body *body)
{
    struct search *search = each_context;
    struct cl_terms_text *text = NULL;
    if (body->object->kind == CL_STATE_PROFILE)
        return keep(search, &search->profiles, body, body->object->as.profile.key);
    if (!can_be_answered(&body->object->as.terms) || cl_body_file_text(&text, &body->content->body) != CL_OK)
        return 0;
    search->open++;
    int result = names_purpose(text, search->purpose) ? keep(search, &search->terms, body, body->object->as.terms.owner) : 0;
    cl_terms_text_free(text);
    return result;
}

/* ---- what fits */
static bool same_iri(const char *a, struct cl_view b)
{
    struct cl_buffer first = {0}, second = {0};
    char text[CL_FIELD_CATEGORY_BYTES_MAX + 1];
    (void)snprintf(text, sizeof text, "%.*s", (int)b.length, (const char *)b.data);
    bool same = cl_vocabulary_expand(&first, a) == CL_OK && cl_vocabulary_expand(&second, text) == CL_OK && first.length == second.length && memcmp(first.data, second.data, first.length) == 0;
    cl_buffer_deinit(&first);
    cl_buffer_deinit(&second);
    return same;
}

static bool text_has(struct cl_view text, const char *part)
{
    size_t length = strlen(part);
    for (size_t i = 0; i + length <= text.length; i++)
        if (strncasecmp((const char *)text.data + i, part, length) == 0)
            return true;
    return false;
}

/* A range has every number in it; a text what is part of it. */
static bool value_fits(const struct cl_body_field *field, const char *value)
{
    char *end = NULL;
    long long number = strtoll(value, &end, 10);
    switch (field->kind) {
    case CL_FIELD_TEXT: return text_has(field->text, value);
    case CL_FIELD_YES_NO: return strcasecmp(value, field->yes ? "yes" : "no") == 0;
    case CL_FIELD_RANGE: return *value != '\0' && *end == '\0' && (!field->has_low || number >= field->low) && (!field->has_high || number <= field->high);
    case CL_FIELD_OTHER: break;
    }
    return false;
}

static bool attribute_fits(const struct cl_body_file *profile, const char *wanted)
{
    const char *value = strchr(wanted, '=');
    size_t length = value == NULL ? strlen(wanted) : (size_t)(value - wanted);
    for (size_t i = 0; i < profile->disclosure_count; i++) {
        struct cl_body_field field;
        if (cl_body_field_read(&field, profile->disclosures[i]) == CL_OK && field.name.length == length && memcmp(field.name.data, wanted, length) == 0)
            return value == NULL || value_fits(&field, value + 1);
    }
    return false;
}

static bool category_fits(const struct cl_terms_text *text, const struct cl_body_file *profile, const char *category)
{
    bool found = false;
    for (size_t i = 0; i < text->slot_count && !found; i++)
        found = same_iri(category, (struct cl_view){(const uint8_t *)text->slots[i].category, strlen(text->slots[i].category)});
    for (size_t i = 0; profile != NULL && i < profile->disclosure_count && !found; i++) {
        struct cl_body_field field;
        found = cl_body_field_read(&field, profile->disclosures[i]) == CL_OK && field.category.length > 0 && same_iri(category, field.category);
    }
    return found;
}

static bool fits(const struct search *search, const struct cl_terms_text *text, const struct cl_body_file *profile)
{
    bool good = search->category == NULL || category_fits(text, profile, search->category);
    for (size_t i = 0; i < search->attribute_count && good; i++)
        good = profile != NULL && attribute_fits(profile, search->attributes[i]);
    return good;
}

static int by_key(const void *a, const void *b) { return memcmp(((const struct kept *)a)->key, ((const struct kept *)b)->key, 33); }

static int by_id(const void *a, const void *b) { return memcmp(((const struct kept *)a)->id.bytes, ((const struct kept *)b)->id.bytes, 32); }

/* Profiles by key, so that they are found; terms by id, so that those which are public at several nodes stand together. */
static void sort(struct search *search)
{
    if (search->profiles.count > 0)
        qsort(search->profiles.items, search->profiles.count, sizeof(struct kept), by_key);
    if (search->terms.count > 0)
        qsort(search->terms.items, search->terms.count, sizeof(struct kept), by_id);
}

static bool is_again(const struct search *search, size_t position)
{
    return position > 0 && by_id(&search->terms.items[position - 1], &search->terms.items[position]) == 0;
}

static const struct kept *profile_of(const struct search *search, const struct kept *terms)
{
    return search->profiles.count == 0 ? NULL : bsearch(terms, search->profiles.items, search->profiles.count, sizeof *terms, by_key);
}

/* ---- showing */
static json_t *found_json(const struct kept *terms, const struct cl_terms_text *text, const struct kept *profile, const struct cl_body_file *profile_file)
{
    json_t *slots = json_array(), *fields = json_object();
    for (size_t i = 0; i < text->slot_count; i++)
        (void)json_array_append_new(slots, slot_json(&text->slots[i]));
    if (text->fields[CL_FIELD_TITLE] != NULL)
        (void)json_object_set_new(fields, "title", json_string(text->fields[CL_FIELD_TITLE]));
    if (text->fields[CL_FIELD_IN_RETURN] != NULL)
        (void)json_object_set_new(fields, "in_return", json_string(text->fields[CL_FIELD_IN_RETURN]));
    json_t *json = json_pack("{s:s, s:s, s:o, s:o, s:b, s:b}", "object", id_text(terms->id.bytes), "node", terms->node, "text", fields, "slots", slots, "standing", (terms->state.mode & 1) != 0, "vouched_only",
                             (terms->state.mode & 2) != 0);
    uint64_t left = terms->state.limit - terms->state.answers;
    (void)json_object_set_new(json, "admits", json_integer((json_int_t)(left > INT64_MAX ? INT64_MAX : left)));
    (void)json_object_set_new(json, "until", terms->state.not_after.present ? json_integer((json_int_t)terms->state.not_after.seconds) : json_null());
    (void)json_object_set_new(json, "profile", profile == NULL ? json_null() : json_pack("{s:s, s:o}", "object", id_text(profile->id.bytes), "fields", fields_json(profile_file)));
    return json;
}

static void put_slot(struct context *context, const struct cl_terms_slot *slot)
{
    char purposes[400] = "";
    for (size_t i = 0, used = 0; i < slot->purpose_count && used < sizeof purposes; i++)
        used += (size_t)snprintf(purposes + used, sizeof purposes - used, "%s%s", i == 0 ? "" : ", ", slot->purposes[i]);
    output_line(&context->output, "    %u %s: %s, for %s", slot->number, output_printable(slot->name, strlen(slot->name)), output_printable(slot->category, strlen(slot->category)), output_printable(purposes, strlen(purposes)));
}

/* Lines of words, each set in; words is taken. */
static void put_words(struct context *context, struct cl_buffer *words, enum cl_status status)
{
    if (status == CL_OK && cl_buffer_append(words, "", 1) == CL_OK)
        for (char *line = (char *)words->data, *end; *line != '\0'; line = end) {
            size_t length = strcspn(line, "\n");
            end = line + length + (line[length] == '\n' ? 1 : 0);
            output_line(&context->output, "    %.*s", (int)length, line);
        }
    cl_buffer_deinit(words);
}

static void put_profile(struct context *context, const struct cl_body_file *file)
{
    struct cl_buffer words = {0};
    enum cl_status status = cl_body_file_words(&words, file);
    put_words(context, &words, status);
}

/* What they give access to and what for; --full: the whole text. */
static void put_text(struct context *context, const struct cl_terms_text *text)
{
    const char *in_return = text->fields[CL_FIELD_IN_RETURN];
    struct cl_buffer words = {0};
    if (flag(context, "--full")) {
        enum cl_status status = cl_terms_text_plain(&words, text, ~0ull);
        put_words(context, &words, status);
        return;
    }
    output_line(&context->output, "  Gives access to:");
    for (size_t i = 0; i < text->slot_count; i++)
        put_slot(context, &text->slots[i]);
    if (in_return != NULL)
        output_line(&context->output, "  In return: %s", output_printable(in_return, strlen(in_return)));
}

static void found_say(struct context *context, const struct kept *terms, const struct cl_terms_text *text, const struct kept *profile, const struct cl_body_file *profile_file)
{
    char until[TIME_TEXT_SIZE] = "";
    const char *title = text->fields[CL_FIELD_TITLE];
    if (terms->state.not_after.present)
        time_until_text(until, terms->state.not_after.seconds);
    output_line(&context->output, "%s", output_coloured(&context->output, "1", id_text(terms->id.bytes)));
    if (title != NULL)
        output_line(&context->output, "  %s", output_printable(title, strlen(title)));
    output_line(&context->output, "  At %s; admits %llu more%s%s; %s%s.", terms->node, (unsigned long long)(terms->state.limit - terms->state.answers), until[0] == '\0' ? "" : ", until ", until,
                (terms->state.mode & 1) != 0 ? "in force as soon as you subscribe" : "its owner answers each one", (terms->state.mode & 2) != 0 ? "; vouched organisations only" : "");
    put_text(context, text);
    if (profile != NULL) {
        output_line(&context->output, "  Its owner's profile %s says:", id_text(profile->id.bytes));
        put_profile(context, profile_file);
    }
    output_line(&context->output, "%s", "");
}

/* One of those that name the purpose. Returns: 0, or the exit status. *list gets it, where it fits. */
static int judge(struct search *search, const struct kept *terms, json_t *list)
{
    struct cl_terms_text *text = NULL;
    const struct kept *profile = profile_of(search, terms);
    struct cl_body_file *file = search->file;
    enum cl_status status = cl_body_file_decode(file, terms->bytes.data, terms->bytes.length);
    if (status == CL_OK)
        status = cl_body_file_text(&text, file);
    if (status == CL_OK && profile != NULL)
        status = cl_body_file_decode(file, profile->bytes.data, profile->bytes.length);
    if (status != CL_OK) {
        cl_terms_text_free(text);
        return output_fail(&search->context->output, status, NULL);
    }
    if (fits(search, text, profile == NULL ? NULL : file)) {
        found_say(search->context, terms, text, profile, file);
        (void)json_array_append_new(list, found_json(terms, text, profile, file));
    }
    cl_terms_text_free(text);
    return 0;
}

static void sum_up(const struct search *search, const struct public_walk *walk, size_t found)
{
    struct context *context = search->context;
    public_say_silent(context, walk);
    if (found == 0)
        output_line(&context->output, "None of the %zu open terms that are public at %zu node%s fit%s.", search->open, walk->nodes, walk->nodes == 1 ? "" : "s", search->open == 1 ? "s" : "");
    else
        output_say(&context->output, "%zu of %zu open terms fit.%s To answer one: consent subscribe ID (--as PROFILE, in the name of your profile).", found, search->open, flag(context, "--full") ? "" : " Their whole text: --full.");
    output_say(&context->output, "The search was done here: nodes gave all that is public (%zu bodies), and know nothing of what you look for.", walk->bodies);
}

int run_terms_find(struct context *context)
{
    struct search search;
    struct public_walk walk = {0};
    json_t *list = json_array();
    int result = search_open(context, &search);
    if (result == 0)
        result = node_open(context);
    if (result == 0)
        result = public_walk(context, &walk, gather, &search);
    sort(&search);
    for (size_t i = 0; i < search.terms.count && result == 0; i++)
        result = is_again(&search, i) ? 0 : judge(&search, &search.terms.items[i], list);
    if (result == 0) {
        sum_up(&search, &walk, json_array_size(list));
        output_json(&context->output, json_pack("{s:O, s:I, s:I, s:I, s:O}", "found", list, "open", (json_int_t)search.open, "bodies", (json_int_t)walk.bodies, "nodes", (json_int_t)walk.nodes, "silent", walk.silent));
    }
    list_deinit(&search.terms);
    list_deinit(&search.profiles);
    free(search.file);
    json_decref(list);
    json_decref(walk.silent);
    return result;
}

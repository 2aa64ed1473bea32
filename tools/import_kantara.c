/* consent terms import: a Kantara consent receipt (v1.1, also v1.0's spelling of it) becomes a terms file to start from.
   The receipt is somebody else's: its size, depth and counts are bounded, and what it says goes into comments or values
   with every control character taken out. Who the receipt is about is left out: terms may be published. */
#include "act.h"

#include <stdlib.h>

#define RECEIPT_BYTES_MAX 262144u
#define RECEIPT_DEPTH_MAX 16u
#define RECEIPT_PURPOSES_MAX 256u
#define VALUE_BYTES_MAX 200u

/* One kind of data of the receipt, and all that the receipt wants it for. */
struct draft_slot {
    char said[VALUE_BYTES_MAX + 1];
    const struct cl_vocabulary_term *category;         /* NULL: DPV has no category of that name */
    size_t purpose_count, unknown_count, third_count, termination_count;
    const struct cl_vocabulary_term *purposes[CL_SLOT_LIST_MAX];
    char unknown[CL_SLOT_LIST_MAX][VALUE_BYTES_MAX + 1], thirds[CL_SLOT_LIST_MAX][VALUE_BYTES_MAX + 1], terminations[CL_SLOT_LIST_MAX][VALUE_BYTES_MAX + 1];
};
struct draft { size_t slot_count; struct draft_slot slots[CL_SLOTS_MAX]; const struct output *output; };

/* Nesting outside strings, before a parser that recurses sees it. */
static bool depth_good(const char *text, size_t length)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > RECEIPT_DEPTH_MAX)
            return false;
        else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
    }
    return true;
}

/* One line of at most VALUE_BYTES_MAX bytes; in_list: commas, which would end an item, become semicolons. */
static void cleaned(char out[VALUE_BYTES_MAX + 1], const char *text, bool in_list)
{
    size_t used = 0;
    for (; *text != '\0' && used < VALUE_BYTES_MAX; text++) {
        unsigned char c = (unsigned char)*text;
        bool control = c < 0x20 || c == 0x7f;
        if (c == 0xc2 && (unsigned char)text[1] < 0xa0 && text[1] != '\0') { /* U+0080 to U+009F */
            control = true;
            text++;
        }
        out[used++] = control ? ' ' : in_list && c == ',' ? ';' : (char)c;
    }
    while (*text != '\0' && used > 0 && ((unsigned char)*text & 0xc0u) == 0x80u) { /* not in the middle of a character */
        text--;
        used--;
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    size_t spaces = strspn(out, " ");
    memmove(out, out + spaces, used - spaces + 1);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

/* By an IRI, by "Label (pd:Term)", by a name; before a name stands a number where Kantara's own lists are used: "2 - Contact". */
static const struct cl_vocabulary_term *term_named(enum cl_vocabulary_kind kind, const char *said)
{
    char name[VALUE_BYTES_MAX + 1];
    const struct cl_vocabulary_term *term = cl_vocabulary_find(kind, said);
    const char *open = strrchr(said, '('), *rest = said + strspn(said, "0123456789");
    size_t length = strlen(said);
    if (term == NULL && open != NULL && said[length - 1] == ')') {
        (void)snprintf(name, sizeof name, "%.*s", (int)(length - (size_t)(open - said) - 2), open + 1);
        term = cl_vocabulary_find(kind, name);
    }
    if (rest != said && strncmp(rest, " - ", 3) == 0)
        said = rest + 3;
    return term != NULL ? term : cl_vocabulary_named(kind, said);
}

static int slot_for(struct draft *draft, struct draft_slot **out, const char *said)
{
    char clean[VALUE_BYTES_MAX + 1];
    cleaned(clean, said, false);
    const struct cl_vocabulary_term *category = term_named(CL_VOCABULARY_PERSONAL_DATA, clean);
    for (size_t i = 0; i < draft->slot_count; i++) {
        struct draft_slot *slot = &draft->slots[i];
        if ((category != NULL && slot->category == category) || strcmp(slot->said, clean) == 0) {
            *out = slot;
            return 0;
        }
    }
    if (draft->slot_count == CL_SLOTS_MAX)
        return output_fail(draft->output, CL_E_BOUND, "The receipt names more than %u kinds of data, and terms have no more.", CL_SLOTS_MAX);
    *out = &draft->slots[draft->slot_count++];
    memcpy((*out)->said, clean, sizeof clean);
    (*out)->category = category;
    return 0;
}

static void add_text(char (*list)[VALUE_BYTES_MAX + 1], size_t *count, const char *text)
{
    char clean[VALUE_BYTES_MAX + 1];
    cleaned(clean, text, true);
    for (size_t i = 0; i < *count; i++)
        if (strcmp(list[i], clean) == 0)
            return;
    if (clean[0] != '\0' && *count < CL_SLOT_LIST_MAX)
        memcpy(list[(*count)++], clean, sizeof clean);
}

static void add_purpose(struct draft_slot *slot, const char *said)
{
    char clean[VALUE_BYTES_MAX + 1];
    cleaned(clean, said, false);
    const struct cl_vocabulary_term *term = term_named(CL_VOCABULARY_PURPOSE, clean);
    for (size_t i = 0; i < slot->purpose_count; i++)
        if (slot->purposes[i] == term)
            return;
    if (term == NULL)
        add_text(slot->unknown, &slot->unknown_count, said);
    else if (slot->purpose_count < CL_SLOT_LIST_MAX)
        slot->purposes[slot->purpose_count++] = term;
}

/* Strings of a list, or the one string that v1.0 has there. */
static const char *item_at(const json_t *value, size_t position)
{
    const char *text = json_is_array(value) ? json_string_value(json_array_get(value, position)) : position == 0 ? json_string_value(value) : NULL;
    return text;
}

static size_t item_count(const json_t *value) { return json_is_array(value) ? json_array_size(value) : json_is_string(value) ? 1 : 0; }

static int take_purpose(struct draft *draft, const json_t *purpose)
{
    const json_t *data = json_object_get(purpose, "piiCategory"), *categories = json_object_get(purpose, "purposeCategory");
    size_t data_count = item_count(data), category_count = item_count(categories);
    if (data_count == 0 || data_count > RECEIPT_PURPOSES_MAX || category_count > RECEIPT_PURPOSES_MAX)
        return output_fail(draft->output, CL_E_FORMAT, "A purpose of the receipt has no list 'piiCategory', or one without end.");
    for (size_t i = 0; i < data_count; i++) {
        struct draft_slot *slot = NULL;
        const char *said = item_at(data, i);
        int result = said == NULL ? output_fail(draft->output, CL_E_FORMAT, "A 'piiCategory' of the receipt is not text.") : slot_for(draft, &slot, said);
        if (result != 0)
            return result;
        for (size_t k = 0; k < category_count; k++)
            if (item_at(categories, k) != NULL)
                add_purpose(slot, item_at(categories, k));
        if (category_count == 0)
            add_purpose(slot, text_of(purpose, "purpose"));
        if (json_is_true(json_object_get(purpose, "thirdPartyDisclosure")))
            add_text(slot->thirds, &slot->third_count, text_of(purpose, "thirdPartyName"));
        add_text(slot->terminations, &slot->termination_count, text_of(purpose, "termination"));
    }
    return 0;
}

static int take_services(struct draft *draft, const json_t *receipt)
{
    const json_t *service, *purpose;
    size_t i, k, count = 0;
    json_array_foreach(json_object_get(receipt, "services"), i, service)
        json_array_foreach(json_object_get(service, "purposes"), k, purpose) {
            if (++count > RECEIPT_PURPOSES_MAX)
                return output_fail(draft->output, CL_E_BOUND, "The receipt names more than %u purposes.", RECEIPT_PURPOSES_MAX);
            int result = take_purpose(draft, purpose);
            if (result != 0)
                return result;
        }
    return count > 0 ? 0 : output_fail(draft->output, CL_E_FORMAT, "The receipt names no services with purposes, so there is nothing to make terms of.");
}

/* ---- writing the draft */

static void line(struct cl_buffer *out, enum cl_status *status, const char *before, const char *said, const char *after)
{
    char clean[VALUE_BYTES_MAX + 1];
    cleaned(clean, said, false);
    const char *parts[] = {before, clean, after, "\n"};
    for (size_t i = 0; i < 4 && *status == CL_OK; i++)
        if (parts[i][0] != '\0')
            *status = cl_buffer_append(out, parts[i], strlen(parts[i]));
}

static void line_if(struct cl_buffer *out, enum cl_status *status, const char *before, const char *said)
{
    if (said[0] != '\0' && strcmp(said, "not stated") != 0 && strcmp(said, "N/A") != 0)
        line(out, status, before, said, "");
}

/* "Email Address" is the slot email-address. */
static void slot_name(char out[VALUE_BYTES_MAX + 1], const struct draft_slot *slot)
{
    const char *from = slot->category != NULL ? slot->category->label : slot->said + strspn(slot->said, "0123456789 -");
    size_t used = 0;
    for (; *from != '\0' && used < 60; from++) {
        bool plain = (*from >= 'a' && *from <= 'z') || (*from >= '0' && *from <= '9');
        char lower = *from >= 'A' && *from <= 'Z' ? (char)(*from - 'A' + 'a') : plain ? *from : '-';
        if (lower != '-' || (used > 0 && out[used - 1] != '-'))
            out[used++] = lower;
    }
    while (used > 0 && out[used - 1] == '-')
        used--;
    out[used] = '\0';
    if (used == 0)
        memcpy(out, "data", 5);
}

static void put(struct cl_buffer *out, enum cl_status *status, const char *text)
{
    if (*status == CL_OK && text[0] != '\0')
        *status = cl_buffer_append(out, text, strlen(text));
}

/* How long, as far as the receipt says it as terms do. */
static void write_retention(struct cl_buffer *out, enum cl_status *status, const struct draft_slot *slot, const char *mark)
{
    bool duration = slot->termination_count == 1 && cl_duration_usable(slot->terminations[0]);
    for (size_t i = 0; i < slot->termination_count; i++) {
        put(out, status, duration ? mark : "");
        line_if(out, status, duration ? "retention: " : "# Retention is an ISO 8601 duration, as P1Y; the receipt says: ", slot->terminations[i]);
    }
}

/* A slot for which DPV has no category, or no purpose, is written as comments: nothing is shared by guessing. */
static void write_slot(struct cl_buffer *out, enum cl_status *status, const struct draft_slot *slot, size_t number)
{
    const char *mark = slot->category != NULL && slot->purpose_count > 0 ? "" : "# ";
    char name[VALUE_BYTES_MAX + 1], head[128];
    slot_name(name, slot);
    (void)snprintf(head, sizeof head, "%s[slot %zu %.60s]\n", mark, number, name);
    line(out, status, "\n# The receipt says: ", slot->said, "");
    if (slot->category == NULL)
        put(out, status, "# DPV has no category of that name. Choose one of https://w3id.org/dpv/pd, and take the # away.\n");
    for (size_t i = 0; i < slot->unknown_count; i++)
        line(out, status, "# DPV has no purpose of this name; say it by one of https://w3id.org/dpv#vocab-purposes, or leave it out: ", slot->unknown[i], "");
    put(out, status, head);
    put(out, status, mark);
    line(out, status, "category: pd:", slot->category == NULL ? "" : slot->category->term, "");
    put(out, status, mark);
    put(out, status, "purposes: ");
    for (size_t i = 0; i < slot->purpose_count; i++) {
        put(out, status, i == 0 ? "dpv:" : ", dpv:");
        put(out, status, slot->purposes[i]->term);
    }
    put(out, status, slot->purpose_count == 0 ? "dpv:\n" : "\n");
    put(out, status, mark);
    put(out, status, "recipients: the organisation itself");
    for (size_t i = 0; i < slot->third_count && i + 1 < CL_SLOT_LIST_MAX; i++) {
        put(out, status, ", ");
        put(out, status, slot->thirds[i]);
    }
    put(out, status, "\n");
    write_retention(out, status, slot, mark);
}

static void write_head(struct cl_buffer *out, enum cl_status *status, const json_t *receipt, size_t known, size_t all)
{
    const json_t *controller = json_array_get(json_object_get(receipt, "piiControllers"), 0), *service = json_array_get(json_object_get(receipt, "services"), 0);
    const char *language = text_of(receipt, "language");
    size_t letters = strspn(language, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    char counted[128];
    (void)snprintf(counted, sizeof counted, "# %zu of its %zu kinds of data, with their purposes, have names in DPV; the others are comments below.", known, all);
    line(out, status, "# A draft made of a Kantara consent receipt. Read it, put right what the receipt did not say, then:", "", "");
    line(out, status, "# consent terms check FILE", "", "");
    line(out, status, counted, "", "");
    line_if(out, status, "# receipt: ", text_of(receipt, "consentReceiptID"));
    line_if(out, status, "# controller: ", text_of(controller, "piiController"));
    line_if(out, status, "# policy: ", text_of(receipt, "policyUrl"));
    line_if(out, status, "# consent was collected by: ", text_of(receipt, "collectionMethod"));
    line(out, status, "# Who gave the consent is left out of here.\n\nproffered-by: organisation", "", "");
    line_if(out, status, "title: ", text_of(service, "service"));
    line(out, status, "language: ", language[letters] == '\0' && letters >= 2 && letters <= 35 ? language : "en", "");
    line_if(out, status, "jurisdiction: ", text_of(receipt, "jurisdiction"));
    const char *contact = text_of(controller, "email");
    line_if(out, status, "contact: ", strcmp(contact, "not stated") == 0 || contact[0] == '\0' ? text_of(controller, "contact") : contact);
    line(out, status, "# The receipt does not say how to withdraw; on this ledger it is always possible so.\nwithdraw: at any time, with one signed record, at any node", "", "");
}

static int write_draft(struct context *context, const struct draft *draft, const json_t *receipt)
{
    struct cl_buffer out = {0};
    enum cl_status status = CL_OK;
    const char *path = option(context, "--output");
    size_t known = 0;
    for (size_t i = 0; i < draft->slot_count; i++)
        known += draft->slots[i].category != NULL && draft->slots[i].purpose_count > 0 ? 1 : 0;
    write_head(&out, &status, receipt, known, draft->slot_count);
    for (size_t i = 0; i < draft->slot_count && status == CL_OK; i++)
        write_slot(&out, &status, &draft->slots[i], i);
    int result = status != CL_OK ? output_fail(&context->output, status, NULL) : 0;
    if (result == 0 && (!context->output.json || path != NULL))
        result = file_write(context, path == NULL ? "-" : path, out.data, out.length, true);
    if (result == 0) {
        output_say(&context->output, "%zu of %zu kinds of data have names in DPV, with at least one purpose; the rest is in comments. Read it before you publish it.", known, draft->slot_count);
        output_json(&context->output, json_pack("{s:I, s:I, s:s%}", "slots", (json_int_t)known, "kinds_of_data", (json_int_t)draft->slot_count, "text", (const char *)out.data, out.length));
    }
    cl_buffer_deinit(&out);
    return result;
}

int run_terms_import(struct context *context)
{
    struct cl_buffer data = {0};
    json_error_t error;
    json_t *receipt = NULL;
    const char *path = positional(context, 0);
    if (path == NULL)
        return output_usage(&context->output, "Which receipt?");
    struct draft *draft = calloc(1, sizeof *draft);
    int result = draft == NULL ? output_fail(&context->output, CL_E_MEMORY, NULL) : file_read(context, &data, path, RECEIPT_BYTES_MAX);
    if (result == 0 && !depth_good((const char *)data.data, data.length))
        result = output_fail(&context->output, CL_E_FORMAT, "%s: nested more deeply than any consent receipt.", path);
    if (result == 0 && (receipt = json_loadb((const char *)data.data, data.length, JSON_REJECT_DUPLICATES, &error)) == NULL)
        result = output_fail(&context->output, CL_E_FORMAT, "%s, line %d: not JSON: %s", path, error.line, output_printable(error.text, strlen(error.text)));
    if (result == 0 && strncmp(text_of(receipt, "version"), "KI-CR-v1.", 9) != 0)
        result = output_fail(&context->output, CL_E_VERSION, "%s: a Kantara consent receipt says \"version\": \"KI-CR-v1.1.0\"; this says '%s'.", path, output_printable(text_of(receipt, "version"), strlen(text_of(receipt, "version"))));
    if (result == 0) {
        draft->output = &context->output;
        result = take_services(draft, receipt);
    }
    if (result == 0)
        result = write_draft(context, draft, receipt);
    json_decref(receipt);
    cl_buffer_deinit(&data);
    free(draft);
    return result;
}

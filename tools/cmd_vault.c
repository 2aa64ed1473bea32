/* consent vault: a person's data items, each encrypted in a file of its own in the folder beside the wallet. */
#include "sharing.h"

#include "consent/terms.h"

static int entry_fail(struct context *context, enum cl_status status, const char *name)
{
    if (status == CL_E_EXISTS)
        return output_fail(&context->output, status, "'%.80s' is in the vault; 'consent vault change' gives it another value.", name);
    if (status == CL_E_NOT_FOUND)
        return output_fail(&context->output, status, "'%.80s' is not in the vault; 'consent vault list' shows what is.", name);
    if (status == CL_E_LOCKED)
        return output_fail(&context->output, status, "The file of '%.80s' is damaged; bring the wallet's folder back from a backup.", name);
    if (status == CL_E_BOUND)
        return output_fail(&context->output, status, "A vault holds at most %u items.", CL_VAULT_ENTRIES_MAX);
    return store_fail(context, status, name);
}

static json_t *entry_json(const struct cl_vault_entry *entry)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", entry->name, "category", entry->category, "media_type", entry->media_type,
                     "changed_ms", (json_int_t)entry->changed_ms, "bytes", (json_int_t)entry->size);
}

/* UTF-8 without control characters but line ends and tabs: jansson takes nothing else that is not UTF-8. */
static bool is_text(const struct cl_buffer *value)
{
    for (size_t i = 0; i < value->length; i++)
        if ((value->data[i] < ' ' && value->data[i] != '\n' && value->data[i] != '\r' && value->data[i] != '\t') || value->data[i] == 0x7f)
            return false;
    json_t *text = json_stringn(value->length == 0 ? "" : (const char *)value->data, value->length);
    json_decref(text);
    return text != NULL;
}

/* The value and its media type: told, else as before, else by looking. */
static int read_value(struct context *context, struct cl_buffer *value, struct cl_vault_entry *entry, const char *path)
{
    const char *media_type = option(context, "--media-type");
    int result = file_read(context, value, path, CL_VAULT_VALUE_BYTES_MAX);
    if (result != 0)
        return result;
    if (media_type == NULL && entry->media_type[0] == '\0')
        media_type = is_text(value) ? "text/plain" : "application/octet-stream";
    if (media_type != NULL && !cl_media_type_usable(media_type))
        return output_usage(&context->output, "'%.60s' is not a media type, as text/plain or application/pdf.", media_type);
    if (media_type != NULL)
        (void)snprintf(entry->media_type, sizeof entry->media_type, "%s", media_type);
    uint64_t now = time_now_ms();
    entry->changed_ms = now > entry->changed_ms ? now : entry->changed_ms + 1; /* each value later than the one before, whatever the clock does */
    return 0;
}

static int category_check(struct context *context, struct cl_vault_entry *entry)
{
    const char *category = option(context, "--category");
    if (category == NULL)
        return output_usage(&context->output, "What kind of data is it? As --category pd:EmailAddress");
    if (cl_vocabulary_find(CL_VOCABULARY_PERSONAL_DATA, category) == NULL) {
        const struct cl_vocabulary_term *near = cl_vocabulary_nearest(CL_VOCABULARY_PERSONAL_DATA, category);
        if (near != NULL)
            return output_usage(&context->output, "The vocabulary has no category '%.60s'. Did you mean pd:%s?", category, near->term);
        return output_usage(&context->output, "The vocabulary has no category '%.60s'; they are listed at https://w3id.org/dpv/pd", category);
    }
    (void)snprintf(entry->category, sizeof entry->category, "%s", category);
    return 0;
}

static void entry_line(struct context *context, const struct cl_vault_entry *entry)
{
    char changed[TIME_TEXT_SIZE];
    time_text(changed, entry->changed_ms / 1000);
    output_line(&context->output, "%-20s %-28s %-26s %9llu bytes  %s", entry->name, entry->category, entry->media_type, (unsigned long long)entry->size, changed);
}

static int stored(struct context *context, enum cl_status status, const char *name)
{
    if (status != CL_OK)
        return entry_fail(context, status, name);
    entry_line(context, cl_vault_find(context->store, name));
    output_json(&context->output, entry_json(cl_vault_find(context->store, name)));
    return 0;
}

int run_vault_put(struct context *context)
{
    const char *name = positional(context, 0), *path = positional(context, 1);
    struct cl_vault_entry entry = {0};
    struct cl_buffer value = {.secret = true};
    if (name == NULL || path == NULL)
        return output_usage(&context->output, "What is it called, and which file holds it? consent vault put NAME --category pd:EmailAddress FILE");
    if (!cl_wallet_name_usable(name))
        return output_usage(&context->output, "A name is 1 to 64 letters, digits, - _ . and does not look like an id.");
    int result = category_check(context, &entry);
    if (result != 0)
        return result;
    (void)snprintf(entry.name, sizeof entry.name, "%s", name);
    result = wallet_open(context);
    if (result == 0)
        result = read_value(context, &value, &entry, path);
    if (result == 0)
        result = stored(context, cl_vault_put(context->store, &entry, value.data, value.length), name);
    cl_buffer_wipe(&value);
    return result;
}

int run_vault_list(struct context *context)
{
    int result = wallet_open(context);
    if (result != 0)
        return result;
    struct shares shares;
    result = shares_find(context, &shares, NULL);
    if (result != 0)
        return result;
    json_t *list = json_array();
    for (size_t i = 0; i < cl_vault_count(context->store); i++) {
        const struct cl_vault_entry *entry = cl_vault_at(context->store, i);
        json_t *json = entry_json(entry);
        entry_line(context, entry);
        shares_say(context, &shares, entry->name, output_line);
        (void)json_object_set_new(json, "shared", shares_json(context, &shares, entry->name));
        (void)json_array_append_new(list, json);
    }
    shares_free(&shares);
    if (cl_vault_count(context->store) == 0)
        output_say(&context->output, "The vault is empty; 'consent vault put NAME --category pd:EmailAddress FILE' keeps something in it.");
    output_json(&context->output, json_pack("{s:o}", "items", list));
    return 0;
}

/* With --json the value stands in it: text, or base64 where it is none. */
static int show_json(struct context *context, const struct cl_vault_entry *entry, const struct shares *shares, const struct cl_buffer *value)
{
    struct cl_buffer base64 = {.secret = true};
    json_t *json = entry_json(entry);
    enum cl_status status = CL_OK;
    (void)json_object_set_new(json, "shared", shares_json(context, shares, entry->name));
    if (is_text(value)) {
        (void)json_object_set_new(json, "value", json_stringn(value->length == 0 ? "" : (const char *)value->data, value->length));
    } else {
        status = cl_base64_put(&base64, value->data, value->length);
        if (status == CL_OK)
            (void)json_object_set_new(json, "value_base64", json_stringn((const char *)base64.data, base64.length));
    }
    output_json(&context->output, json);
    cl_buffer_wipe(&base64);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

int run_vault_show(struct context *context)
{
    const char *name = positional(context, 0), *path = option(context, "--output");
    struct cl_buffer value = {.secret = true};
    if (name == NULL)
        return output_usage(&context->output, "Which one? 'consent vault list' shows them.");
    int result = wallet_open(context);
    if (result == 0) {
        enum cl_status status = cl_vault_value(&value, context->store, name);
        if (status != CL_OK)
            result = entry_fail(context, status, name);
    }
    struct shares shares = {.count = 0};
    if (result == 0)
        result = shares_find(context, &shares, name);
    if (result == 0)
        shares_say(context, &shares, name, output_say);
    if (result == 0 && path != NULL)
        result = file_write(context, path, value.data, value.length, true);
    else if (result == 0 && !context->output.json)
        result = file_write(context, "-", value.data, value.length, true);
    if (result == 0 && context->output.json && path == NULL)
        result = show_json(context, cl_vault_find(context->store, name), &shares, &value);
    else if (result == 0)
        output_json(&context->output, entry_json(cl_vault_find(context->store, name)));
    shares_free(&shares);
    cl_buffer_wipe(&value);
    return result;
}

int run_vault_change(struct context *context)
{
    const char *name = positional(context, 0), *path = positional(context, 1);
    struct cl_vault_entry entry = {0};
    struct cl_buffer value = {.secret = true};
    if (name == NULL || path == NULL)
        return output_usage(&context->output, "Which one, and which file holds the new value? consent vault change NAME FILE");
    int result = wallet_open(context);
    if (result == 0 && cl_vault_find(context->store, name) == NULL)
        result = entry_fail(context, CL_E_NOT_FOUND, name);
    if (result == 0) {
        entry = *cl_vault_find(context->store, name);
        result = read_value(context, &value, &entry, path);
    }
    if (result == 0) {
        enum cl_status status = cl_vault_change(context->store, &entry, value.data, value.length);
        result = status == CL_OK ? 0 : entry_fail(context, status, name);
    }
    cl_buffer_wipe(&value);
    if (result == 0)
        entry_line(context, cl_vault_find(context->store, name));
    return result == 0 ? changed_tell(context, entry_json(cl_vault_find(context->store, name)), name) : result;
}

int run_vault_remove(struct context *context)
{
    const char *name = positional(context, 0);
    if (name == NULL)
        return output_usage(&context->output, "Which one? 'consent vault list' shows them.");
    int result = wallet_open(context);
    if (result != 0)
        return result;
    struct shares shares;
    size_t links = 0;
    result = cl_vault_find(context->store, name) == NULL ? entry_fail(context, CL_E_NOT_FOUND, name) : shares_find(context, &shares, name);
    if (result != 0)
        return result;
    shares_say(context, &shares, name, output_say);
    shares_free(&shares);
    result = shares_remove(context, name, SIZE_MAX, &links); /* first: another item of this name is not to be told to them */
    enum cl_status status = result == 0 ? cl_vault_remove(context->store, name) : CL_OK;
    if (result != 0 || status != CL_OK)
        return result != 0 ? result : entry_fail(context, status, name);
    if (links > 0)
        output_line(&context->output, "it is shared with nobody any more; what others were told they keep, until you revoke");
    output_line(&context->output, "'%s' is destroyed here. A copy that you made of the wallet's folder still has it: run 'consent key backup -o' to it again.", name);
    output_json(&context->output, json_pack("{s:I}", "links", (json_int_t)links));
    return 0;
}

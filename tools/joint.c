/* consent joint: which agreements are one thing's, one for each of its holders. The tie is a data item of the vault,
   "joint.NAME", a line with an id for each agreement: encrypted, in backups, gone when it is removed. Whoever checks the
   thing asks for all of them (cmd_check.c), so a tie is made whole or not at all. */
#include "joint.h"

#include <stdlib.h>

#define PREFIX "joint."
#define PREFIX_LENGTH (sizeof PREFIX - 1)
#define LINE_BYTES 65u

static bool item_name(char out[CL_NAME_BYTES_MAX + 1], const char *name)
{
    return (size_t)snprintf(out, CL_NAME_BYTES_MAX + 1, PREFIX "%s", name) <= CL_NAME_BYTES_MAX && cl_wallet_name_usable(name);
}

static bool joint_has(const struct joint *joint, const struct cl_object_id *id)
{
    for (size_t i = 0; i < joint->count; i++)
        if (memcmp(joint->agreements[i].bytes, id->bytes, 32) == 0)
            return true;
    return false;
}

static bool parse(struct joint *out, const struct cl_buffer *value)
{
    bool good = value->length >= 2 * LINE_BYTES && value->length % LINE_BYTES == 0 && value->length / LINE_BYTES <= JOINT_HOLDERS_MAX;
    for (size_t at = 0; good && at < value->length; at += LINE_BYTES) {
        struct cl_object_id id;
        char line[LINE_BYTES];
        memcpy(line, value->data + at, 64);
        line[64] = '\0';
        good = value->data[at + 64] == '\n' && id_parse(&id, line) && !joint_has(out, &id);
        if (good)
            out->agreements[out->count++] = id;
    }
    return good;
}

int joint_load(struct context *context, struct joint *out, const char *name, bool *found)
{
    char item[CL_NAME_BYTES_MAX + 1];
    struct cl_buffer value = {.secret = true};
    *out = (struct joint){.count = 0};
    (void)snprintf(out->name, sizeof out->name, "%.64s", name);
    *found = item_name(item, name) && cl_vault_find(context->store, item) != NULL;
    if (!*found)
        return 0;
    enum cl_status status = cl_vault_value(&value, context->store, item);
    if (status == CL_OK && !parse(out, &value))
        status = CL_E_FORMAT;
    cl_buffer_wipe(&value);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "Which agreements are those of '%s' cannot be read; 'consent joint %s AGREEMENT AGREEMENT' says it again.", name, name);
}

int joint_keep(struct context *context, const struct joint *joint)
{
    struct cl_vault_entry entry = {.category = "pd:GroupMembership", .media_type = "text/plain", .changed_ms = time_now_ms()};
    struct cl_buffer value = {.secret = true};
    if (!item_name(entry.name, joint->name))
        return output_usage(&context->output, "Give it a name of at most %zu letters, digits, - _ .", CL_NAME_BYTES_MAX - PREFIX_LENGTH);
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < joint->count && status == CL_OK; i++) {
        status = cl_buffer_append(&value, id_text(joint->agreements[i].bytes), 64);
        if (status == CL_OK)
            status = cl_buffer_append(&value, "\n", 1);
    }
    if (status == CL_OK)
        status = (cl_vault_find(context->store, entry.name) == NULL ? cl_vault_put : cl_vault_change)(context->store, &entry, value.data, value.length);
    cl_buffer_wipe(&value);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "'%s' could not be kept.", joint->name);
}

/* ---- what the wallet saw last */

static const char *agreement_name(struct context *context, const struct cl_object_id *id)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    return item == NULL ? id_short(id->bytes) : item->name;
}

/* "active", "withdrawn", …; *active as cl_agreement_check has it. */
static const char *agreement_word(struct context *context, const struct cl_object_id *id, bool *active)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    struct object object = {.id = *id};
    *active = false;
    if (item == NULL || item->state.length == 0 || object_decode(context, &object, item->state.data, item->state.length) != 0 || object.kind != CL_STATE_AGREEMENT)
        return "not known";
    *active = cl_agreement_check(&object.as.agreement, 0, time_now_ms()) == CL_OK;
    return state_word(&object);
}

static int joint_line(struct context *context, json_t *list, const char *name)
{
    struct joint joint;
    bool found, all = true;
    char parts[JOINT_HOLDERS_MAX * (CL_NAME_BYTES_MAX + 24)] = "";
    int result = joint_load(context, &joint, name, &found);
    json_t *agreements = json_array();
    for (size_t i = 0, used = 0; result == 0 && i < joint.count; i++) {
        bool active;
        const char *called = agreement_name(context, &joint.agreements[i]), *word = agreement_word(context, &joint.agreements[i], &active);
        all = all && active;
        used += (size_t)snprintf(parts + used, sizeof parts - used, "%s%s %s", i == 0 ? "" : ", ", called, word);
        (void)json_array_append_new(agreements, json_pack("{s:s, s:s, s:s}", "name", called, "object", id_text(joint.agreements[i].bytes), "state", word));
    }
    if (result == 0) {
        output_line(&context->output, "%-18s %-9s %-24s %s", name, "joint", all ? "all agree" : "not allowed", parts);
        if (list != NULL)
            (void)json_array_append_new(list, json_pack("{s:s, s:b, s:O}", "name", name, "all_active", all, "agreements", agreements));
    }
    json_decref(agreements);
    return result;
}

size_t joints_list(struct context *context, json_t *list)
{
    size_t count = 0;
    for (size_t i = 0; i < cl_vault_count(context->store); i++) {
        const struct cl_vault_entry *entry = cl_vault_at(context->store, i);
        char name[CL_NAME_BYTES_MAX + 1];
        if (strncmp(entry->name, PREFIX, PREFIX_LENGTH) != 0)
            continue;
        (void)snprintf(name, sizeof name, "%s", entry->name + PREFIX_LENGTH);
        count += joint_line(context, list, name) == 0 ? 1 : 0;
    }
    return count;
}

/* ---- consent joint */

static int joint_set(struct context *context, const char *name)
{
    struct joint joint = {.count = 0};
    struct cl_wallet_item *item = NULL;
    int result = 0;
    if (positional(context, 2) == NULL)
        return output_usage(&context->output, "One agreement for each holder, so at least two: 'consent joint %s AGREEMENT AGREEMENT'.", name);
    if (cl_wallet_item_find(&item, context->wallet, name) == CL_OK)
        return output_fail(&context->output, CL_E_EXISTS, "'%s' is an entry of the wallet; call the joint thing otherwise.", name);
    (void)snprintf(joint.name, sizeof joint.name, "%s", name);
    for (size_t i = 1; result == 0 && positional(context, i) != NULL; i++) {
        struct subject subject;
        result = joint.count == JOINT_HOLDERS_MAX ? output_fail(&context->output, CL_E_BOUND, "At most %u holders.", JOINT_HOLDERS_MAX) : agreement_open(context, &subject, positional(context, i));
        if (result != 0)
            break;
        if (joint_has(&joint, &subject.object.id))
            result = output_usage(&context->output, "'%.70s' is there twice; each holder has an agreement of his own.", positional(context, i));
        joint.agreements[joint.count++] = subject.object.id;
        subject_close(&subject);
    }
    if (result == 0)
        result = wallet_save(context); /* entries that were found on the way */
    if (result == 0)
        result = joint_keep(context, &joint);
    if (result == 0)
        output_say(&context->output, "'%s' is one thing of %zu holders: 'consent check %s' says yes only where all of them do.", name, joint.count, name);
    return result;
}

static int joint_remove(struct context *context, const char *name)
{
    char item[CL_NAME_BYTES_MAX + 1];
    if (positional(context, 1) != NULL)
        return output_usage(&context->output, "--remove takes the whole tie away; to change it, name all agreements that it shall have.");
    enum cl_status status = item_name(item, name) ? cl_vault_remove(context->store, item) : CL_E_NOT_FOUND;
    if (status != CL_OK)
        return output_fail(&context->output, status, "There is no joint thing '%.64s'.", name);
    output_line(&context->output, "'%s' is no joint thing any more; the agreements stand.", name);
    output_json(&context->output, json_object());
    return 0;
}

int run_joint(struct context *context)
{
    const char *name = positional(context, 0);
    char item[CL_NAME_BYTES_MAX + 1];
    json_t *list = NULL;
    if (name == NULL && flag(context, "--remove"))
        return output_usage(&context->output, "Which one? 'consent joint' lists them.");
    if (name != NULL && !item_name(item, name))
        return output_usage(&context->output, "Give it a name of at most %zu letters, digits, - _ .", CL_NAME_BYTES_MAX - PREFIX_LENGTH);
    bool sets = positional(context, 1) != NULL && !flag(context, "--remove");
    int result = sets ? network_open(context) : wallet_open(context);
    if (result == 0 && flag(context, "--remove"))
        return joint_remove(context, name);
    if (result == 0 && sets)
        result = joint_set(context, name);
    if (result == 0 && name != NULL && cl_vault_find(context->store, item) == NULL)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "There is no joint thing '%.64s'; 'consent joint %.64s AGREEMENT AGREEMENT' makes one.", name, name);
    if (result != 0)
        return result;
    if (!sets)
        output_say(&context->output, "As this wallet saw it last; 'consent check NAME' asks the node.");
    list = json_array();
    if (name != NULL)
        result = joint_line(context, list, name);
    else if (joints_list(context, list) == 0)
        output_say(&context->output, "There is no joint thing.");
    if (result == 0)
        output_json(&context->output, json_pack("{s:O}", "joint", list));
    json_decref(list);
    return result;
}

/* ---- consent request --holders */

/* FILE for one holder: house.png is house.anna.png. */
static char *path_of(const char *path, const char *holder)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash == NULL ? path : slash, '.');
    size_t stem = dot == NULL || dot == path || dot == slash + 1 ? strlen(path) : (size_t)(dot - path), size = strlen(path) + strlen(holder) + 2;
    char *out = malloc(size);
    if (out != NULL)
        (void)snprintf(out, size, "%.*s.%s%s", (int)stem, path, holder, path + stem);
    return out;
}

/* The request, with the options that name files changed for this holder. */
static int request_for(struct context *context, const char *name, const char *holder, int (*request)(struct context *context, const char *name))
{
    static const char *const files[] = {"--code", "--png", "--svg", "--output", "--save"};
    const char *before[OPTIONS_MAX];
    char *changed[OPTIONS_MAX] = {NULL};
    bool good = true;
    for (size_t i = 0; i < context->option_count; i++) {
        before[i] = context->options[i].value;
        for (size_t k = 0; k < sizeof files / sizeof files[0]; k++)
            if (strcmp(context->options[i].name, files[k]) == 0 && strcmp(before[i], "-") != 0) {
                context->options[i].value = changed[i] = path_of(before[i], holder);
                good = good && changed[i] != NULL;
            }
    }
    int result = good ? request(context, name) : output_fail(&context->output, CL_E_MEMORY, NULL);
    for (size_t i = 0; i < context->option_count; i++) {
        context->options[i].value = before[i];
        free(changed[i]);
    }
    return result;
}

static int holders_split(struct context *context, char names[JOINT_HOLDERS_MAX][CL_NAME_BYTES_MAX + 1], size_t *count, const char *name, const char *holders)
{
    char whole[2 * CL_NAME_BYTES_MAX];
    struct cl_wallet_item *item = NULL;
    *count = 0;
    for (const char *at = holders; *at != '\0';) {
        size_t length = strcspn(at, ",");
        if (*count == JOINT_HOLDERS_MAX)
            return output_usage(&context->output, "At most %u holders.", JOINT_HOLDERS_MAX);
        (void)snprintf(names[*count], CL_NAME_BYTES_MAX + 1, "%.*s", (int)(length > CL_NAME_BYTES_MAX ? CL_NAME_BYTES_MAX : length), at);
        int used = snprintf(whole, sizeof whole, "%s.%s", name, names[*count]);
        if (used < 0 || (size_t)used > CL_NAME_BYTES_MAX || !cl_wallet_name_usable(names[*count]))
            return output_usage(&context->output, "Call each holder by a short name of letters, digits, - _ : --holders anna,ben");
        if (cl_wallet_item_find(&item, context->wallet, whole) == CL_OK)
            return output_fail(&context->output, CL_E_EXISTS, "'%s' is in the wallet.", whole);
        for (size_t i = 0; i < *count; i++)
            if (strcmp(names[i], names[*count]) == 0)
                return output_usage(&context->output, "'%s' is there twice.", names[i]);
        *count += 1;
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return *count >= 2 ? 0 : output_usage(&context->output, "A joint thing has two holders or more: --holders anna,ben");
}

int joint_request(struct context *context, const char *name, const char *holders, int (*request)(struct context *context, const char *name))
{
    char names[JOINT_HOLDERS_MAX][CL_NAME_BYTES_MAX + 1], whole[2 * CL_NAME_BYTES_MAX];
    struct joint joint = {.count = 0};
    struct cl_wallet_item *item = NULL;
    size_t count;
    bool pending = false;
    int result = holders_split(context, names, &count, name, holders);
    if (result == 0 && option(context, "--to") != NULL)
        result = output_usage(&context->output, "--to names one holder. With --holders each gets a code: --code FILE, --png FILE or --qr.");
    if (result != 0)
        return result;
    (void)snprintf(joint.name, sizeof joint.name, "%s", name);
    json_t *each = context->output.collected = json_array();
    for (size_t i = 0; i < count && result == 0; i++) {
        (void)snprintf(whole, sizeof whole, "%s.%s", name, names[i]);
        result = request_for(context, whole, names[i], request);
        if (cl_wallet_item_find(&item, context->wallet, whole) == CL_OK)
            joint.agreements[joint.count++] = item->object;
        pending = pending || result == 15;
        if (result == 15) /* not final yet: it is on its way */
            result = 0;
    }
    context->output.collected = NULL;
    if (result == 0)
        result = joint_keep(context, &joint);
    else if (joint.count > 0)
        output_warn(&context->output, "Not all holders were asked, so nothing ties what was asked together: ask the others with 'consent request %s.HOLDER', then 'consent joint %s' and all the agreements.", name, name);
    if (result == 0) {
        output_say(&context->output, "Hand each holder the code of his own. 'consent check %s' says yes once all %zu have granted, and no as soon as one of them does not.", name, count);
        output_json(&context->output, json_pack("{s:s, s:O}", "joint", name, "agreements", each));
    }
    json_decref(each);
    return result == 0 && pending ? 15 : result;
}

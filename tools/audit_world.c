/* The audit's network and its copy of the ledger. */
#include "audit_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_text(char *out, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL || strlen(text) >= size)
        return false;
    (void)snprintf(out, size, "%s", text);
    return true;
}

static bool read_hex(uint8_t *out, size_t length, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && cl_hex_decode(out, length, text);
}

static bool read_number(uint64_t *out, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_members(struct cl_network *out, const json_t *members)
{
    size_t count = json_array_size(members);
    if (count == 0 || count > CL_MEMBERS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *member = json_array_get(members, i);
        struct cl_member *to = &out->members[i];
        if (!read_text(to->name, sizeof to->name, member, "name") || !read_hex(to->vote, 32, member, "vote_key") || !read_hex(to->log, 32, member, "log_key") ||
            !read_hex(to->witness, 32, member, "witness_key") || !read_hex(to->party, 33, member, "party_key"))
            return false;
    }
    out->member_count = count;
    return true;
}

static bool read_parameters(struct cl_parameters *out, const json_t *object)
{
    return read_number(&out->epoch_length, object, "epoch_length") && read_number(&out->block_records_max, object, "block_records_max") &&
           read_number(&out->block_bytes_max, object, "block_bytes_max") && read_number(&out->d0_ms, object, "d0_ms") && read_number(&out->fairness, object, "fairness") &&
           read_number(&out->open_reads, object, "open_reads") && out->block_records_max <= CL_BLOCK_RECORDS_MAX && out->block_bytes_max <= CL_BLOCK_BYTES_MAX;
}

int audit_genesis_read(struct context *context, struct cl_audit_genesis *out, const struct cl_buffer *document)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)document->data, document->length, JSON_REJECT_DUPLICATES, &error);
    cl_network_id_derive(&out->network, document->data, document->length);
    bool good = read_text(out->origin, sizeof out->origin, json, "origin") && read_number(&out->time_ms, json, "time_ms") && out->time_ms <= CL_SECONDS_MAX * 1000u &&
                read_parameters(&out->value.parameters, json_object_get(json, "parameters")) && read_members(&out->value, json_object_get(json, "members"));
    json_decref(json);
    return good ? 0 : output_fail(&context->output, CL_E_FORMAT, "The node's genesis document cannot be read.");
}

static void rules_path(char *out, size_t size, const char *state_path) { (void)snprintf(out, size, "%s.rules", state_path); }

int audit_rules_open(struct context *context, struct cl_audit_rules **out, uint64_t *tip, const char *state_path, const struct cl_audit_genesis *genesis)
{
    char path[3300], sentence[400];
    struct cl_hash root;
    rules_path(path, sizeof path, state_path);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
    enum cl_status status = cl_audit_rules_open(out, path, genesis, sentence, sizeof sentence);
    if (status != CL_OK)
        return output_fail(&context->output, status == CL_E_STORE_CORRUPT ? CL_E_FORMAT : status, "%s: %s%s", path, sentence, status == CL_E_STORE_CORRUPT ? " Remove it; it is made again." : "");
    cl_audit_rules_tip(tip, &root, *out);
    return 0;
}

void audit_rules_discard(struct cl_audit_rules **rules, const char *state_path)
{
    char path[3300];
    rules_path(path, sizeof path, state_path);
    cl_audit_rules_close(*rules);
    *rules = NULL;
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder != NULL)
        (void)closedir(folder);
    (void)rmdir(path);
}

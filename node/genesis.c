/* Reads, checks and writes genesis documents and member files. JSON is read strictly: no unknown, double or missing key. */
#include "genesis.h"

#include "crypto.h"
#include "files.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CL_PRINTF(2, 3) enum cl_status fail(struct genesis_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->sentence, sizeof error->sentence, format, arguments);
    va_end(arguments);
    return CL_E_FORMAT;
}

bool member_name_valid(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= CL_MEMBER_NAME_BYTES_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

bool origin_valid(const char *origin)
{
    size_t length = strlen(origin);
    if (length == 0 || length > CL_ORIGIN_BYTES_MAX) return false;
    for (size_t i = 0; i < length; i++)
        if (origin[i] <= ' ' || origin[i] >= 127 || origin[i] == '+') return false;
    return true;
}

void node_parameters_default(struct cl_parameters *out, size_t peer_count)
{
    bool alone = peer_count <= 1;
    *out = (struct cl_parameters){ .epoch_length = 1000000, .block_records_max = alone ? CL_BLOCK_RECORDS_MAX : GENESIS_PROPOSED_RECORDS_MAX,
        .block_bytes_max = alone ? CL_BLOCK_BYTES_MAX : CL_BLOCK_BYTES_MAX / 2, .d0_ms = 300, .fairness = 1, .open_reads = 0 };
}

/* Every key of object must be among the NULL-ended list. */
static bool keys_known(const json_t *object, const char *const *known, const char **unknown)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0) i++;
        if (known[i] == NULL) {
            *unknown = key;
            return false;
        }
    }
    return true;
}

static bool get_text(char *out, size_t size, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) || json_string_length(value) >= size || strlen(json_string_value(value)) != json_string_length(value))
        return false;
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return true;
}

static bool get_hex(uint8_t *out, size_t length, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) && hex_decode(out, length, json_string_value(value), json_string_length(value));
}

static bool get_number(uint64_t *out, const json_t *object, const char *key, uint64_t minimum, uint64_t maximum)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return *out >= minimum && *out <= maximum;
}

static enum cl_status read_observer(struct genesis_observer *observer, struct member_info *info, const json_t *object, struct genesis_error *error)
{
    static const char *const known[] = { "name", "address", "vote_key", "tls_certificate", NULL };
    const char *unknown = NULL;
    if (!json_is_object(object)) return fail(error, "an observer is not a JSON object.");
    if (!keys_known(object, known, &unknown)) return fail(error, "an observer has an unknown key '%.60s'.", unknown);
    if (!get_text(observer->name, sizeof observer->name, object, "name") || !member_name_valid(observer->name))
        return fail(error, "an observer's name must be 1 to %u of a-z, 0-9, -.", CL_MEMBER_NAME_BYTES_MAX);
    if (!get_text(info->address, sizeof info->address, object, "address"))
        return fail(error, "observer %s: address is missing or too long.", observer->name);
    if (!get_hex(observer->vote, 32, object, "vote_key")) return fail(error, "observer %s: vote_key is 64 lower-case hex digits.", observer->name);
    if (!get_text(info->certificate, sizeof info->certificate, object, "tls_certificate") || !node_certificate_valid(info->certificate))
        return fail(error, "observer %s: tls_certificate is not one PEM certificate.", observer->name);
    return CL_OK;
}

static const char *const member_keys[] = { "name", "role", "jurisdiction", "address", "vote_key", "log_key",
                                           "witness_key", "party_key", "tls_certificate", NULL };

static enum cl_status read_member(struct cl_member *member, struct member_info *info, const json_t *object, struct genesis_error *error)
{
    const char *unknown = NULL;
    if (!json_is_object(object)) return fail(error, "a member is not a JSON object.");
    if (!keys_known(object, member_keys, &unknown)) return fail(error, "a member has an unknown key '%.60s'.", unknown);
    if (!get_text(member->name, sizeof member->name, object, "name") || !member_name_valid(member->name))
        return fail(error, "a member's name must be 1 to %u of a-z, 0-9, -.", CL_MEMBER_NAME_BYTES_MAX);
    if (!get_text(info->role, sizeof info->role, object, "role") ||
        (strcmp(info->role, "controller") != 0 && strcmp(info->role, "processor") != 0 && strcmp(info->role, "joint-controller") != 0))
        return fail(error, "member %s: role is one of controller, joint-controller, processor.", member->name);
    if (!get_text(info->jurisdiction, sizeof info->jurisdiction, object, "jurisdiction") || info->jurisdiction[0] == '\0')
        return fail(error, "member %s: jurisdiction is missing.", member->name);
    if (!get_text(info->address, sizeof info->address, object, "address"))
        return fail(error, "member %s: address is missing or too long.", member->name);
    if (!get_hex(member->vote, 32, object, "vote_key") || !get_hex(member->log, 32, object, "log_key") ||
        !get_hex(member->witness, 32, object, "witness_key"))
        return fail(error, "member %s: vote_key, log_key and witness_key are 64 lower-case hex digits.", member->name);
    if (!get_hex(member->party, 33, object, "party_key") || !cl_public_key_valid(member->party))
        return fail(error, "member %s: party_key is not a compressed secp256k1 key.", member->name);
    if (!get_text(info->certificate, sizeof info->certificate, object, "tls_certificate") || !node_certificate_valid(info->certificate))
        return fail(error, "member %s: tls_certificate is not one PEM certificate.", member->name);
    return CL_OK;
}

static bool member_collides(const struct cl_member *a, const struct cl_member *b)
{
    return strcmp(a->name, b->name) == 0 || memcmp(a->vote, b->vote, 32) == 0 || memcmp(a->log, b->log, 32) == 0 ||
           memcmp(a->witness, b->witness, 32) == 0 || memcmp(a->party, b->party, 33) == 0;
}

static enum cl_status read_parameters(struct cl_parameters *out, const json_t *object, struct genesis_error *error)
{
    static const char *const known[] = { "epoch_length", "block_records_max", "block_bytes_max", "d0_ms", "fairness", "open_reads", NULL };
    const char *unknown = NULL;
    if (!json_is_object(object)) return fail(error, "parameters are missing.");
    if (!keys_known(object, known, &unknown)) return fail(error, "parameters have an unknown key '%.60s'.", unknown);
    if (!get_number(&out->epoch_length, object, "epoch_length", 1, 1ull << 40)) return fail(error, "epoch_length is 1 to 2^40.");
    if (!get_number(&out->block_records_max, object, "block_records_max", 1, CL_BLOCK_RECORDS_MAX))
        return fail(error, "block_records_max is 1 to %u.", CL_BLOCK_RECORDS_MAX);
    if (!get_number(&out->block_bytes_max, object, "block_bytes_max", CL_RECORD_BYTES_MAX, CL_BLOCK_BYTES_MAX))
        return fail(error, "block_bytes_max is %u to %u.", CL_RECORD_BYTES_MAX, CL_BLOCK_BYTES_MAX);
    if (!get_number(&out->d0_ms, object, "d0_ms", 10, 5000)) return fail(error, "d0_ms is 10 to 5000.");
    if (!get_number(&out->fairness, object, "fairness", 0, 1) || !get_number(&out->open_reads, object, "open_reads", 0, 1))
        return fail(error, "fairness and open_reads are 0 or 1.");
    return CL_OK;
}

static enum cl_status read_members(struct node_genesis *out, const json_t *array, struct genesis_error *error)
{
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count == 0 || count > CL_MEMBERS_MAX) return fail(error, "members must be 1 to %u.", CL_MEMBERS_MAX);
    out->info = calloc(GENESIS_PEERS_MAX, sizeof *out->info);
    if (out->info == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct cl_member *member = &out->core.value.members[i];
        enum cl_status status = read_member(member, &out->info[i], json_array_get(array, i), error);
        if (status != CL_OK) return status;
        for (size_t j = 0; j < i; j++)
            if (member_collides(member, &out->core.value.members[j]))
                return fail(error, "members %s and %s share a name or a key.", out->core.value.members[j].name, member->name);
    }
    out->core.value.member_count = count;
    return CL_OK;
}

/* A document without the key has no observers; an empty list has no second way to say so. */
static enum cl_status read_observers(struct node_genesis *out, const json_t *array, struct genesis_error *error)
{
    size_t count = json_array_size(array), members = out->core.value.member_count;
    if (array == NULL) return CL_OK;
    if (!json_is_array(array) || count == 0 || count > GENESIS_PEERS_MAX - members)
        return fail(error, "observers must be a list of one or more; with the members they are at most %u.", GENESIS_PEERS_MAX);
    out->observers = calloc(count, sizeof *out->observers);
    if (out->observers == NULL) return CL_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct genesis_observer *observer = &out->observers[i];
        enum cl_status status = read_observer(observer, &out->info[members + i], json_array_get(array, i), error);
        if (status != CL_OK) return status;
        for (size_t j = 0; j < members + i; j++) {
            const struct cl_member *member = j < members ? &out->core.value.members[j] : NULL;
            const char *name = member != NULL ? member->name : out->observers[j - members].name;
            const uint8_t *vote = member != NULL ? member->vote : out->observers[j - members].vote;
            if (strcmp(name, observer->name) == 0 || memcmp(vote, observer->vote, 32) == 0)
                return fail(error, "%s %s and observer %s share a name or a key.", member != NULL ? "member" : "observer", name, observer->name);
        }
    }
    out->observer_count = count;
    return CL_OK;
}

/* What links need, where there are any. */
static enum cl_status check_peers(const struct node_genesis *genesis, struct genesis_error *error)
{
    struct genesis_peer peer, other;
    size_t count = node_genesis_peer_count(genesis);
    if (count == 1) return CL_OK;
    if (genesis->core.value.parameters.block_records_max > GENESIS_PROPOSED_RECORDS_MAX)
        return fail(error, "block_records_max is 1 to %u where there is more than one node.", GENESIS_PROPOSED_RECORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        node_genesis_peer(&peer, genesis, i);
        if (!node_address_valid(peer.info->address))
            return fail(error, "%s has no address HOST:PORT for links ('%.80s'); 'consentd init --address' sets it.", peer.name, peer.info->address);
        if (!node_certificate_names(peer.info->certificate, peer.name))
            return fail(error, "%s: tls_certificate is not self-signed and for that name; 'consentd init' makes one.", peer.name);
        for (size_t j = 0; j < i; j++) {
            node_genesis_peer(&other, genesis, j);
            if (node_addresses_collide(peer.info->address, other.info->address))
                return fail(error, "%s and %s have addresses that collide: each needs its port and the next one.", other.name, peer.name);
        }
    }
    return CL_OK;
}

static enum cl_status read_document(struct node_genesis *out, const json_t *root, struct genesis_error *error)
{
    static const char *const known[] = { "consent_network", "origin", "time_ms", "parameters", "members", "observers", NULL };
    const char *unknown = NULL;
    uint64_t version = 0;
    if (!json_is_object(root)) return fail(error, "it is not a JSON object.");
    if (!get_number(&version, root, "consent_network", 1, UINT64_MAX)) return fail(error, "it is not a genesis document (\"consent_network\": 1 is missing).");
    if (version != 1) return fail(error, "it was made for a newer version of this program.");
    if (!keys_known(root, known, &unknown)) return fail(error, "it has an unknown key '%.60s'.", unknown);
    if (!get_text(out->core.origin, sizeof out->core.origin, root, "origin") || !origin_valid(out->core.origin))
        return fail(error, "origin must be 1 to %u printable characters without spaces or '+'.", CL_ORIGIN_BYTES_MAX);
    if (!get_number(&out->core.time_ms, root, "time_ms", 1, CL_SECONDS_MAX * 1000)) return fail(error, "time_ms is missing or out of range.");
    enum cl_status status = read_parameters(&out->core.value.parameters, json_object_get(root, "parameters"), error);
    if (status == CL_OK) status = read_members(out, json_object_get(root, "members"), error);
    if (status == CL_OK) status = read_observers(out, json_object_get(root, "observers"), error);
    return status != CL_OK ? status : check_peers(out, error);
}

enum cl_status node_genesis_decode(struct node_genesis *out, struct genesis_error *error, const uint8_t *bytes, size_t length)
{
    memset(out, 0, sizeof *out);
    error->sentence[0] = '\0';
    if (length > GENESIS_BYTES_MAX) return fail(error, "it is larger than 1 MiB.");
    json_error_t where;
    json_t *root = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) return fail(error, "line %d: %.120s.", where.line, where.text);
    enum cl_status status = read_document(out, root, error);
    json_decref(root);
    if (status == CL_OK) status = cl_buffer_append(&out->bytes, bytes, length);
    if (status == CL_OK) cl_network_id_derive(&out->core.network, bytes, length);
    if (status != CL_OK) node_genesis_deinit(out);
    return status;
}

enum cl_status node_genesis_load(struct node_genesis *out, struct genesis_error *error, const char *path)
{
    struct cl_buffer text = { 0 };
    error->sentence[0] = '\0';
    enum cl_status status = file_read(&text, path, GENESIS_BYTES_MAX);
    if (status == CL_E_NOT_FOUND) (void)fail(error, "there is no such file.");
    else if (status == CL_E_BOUND) (void)fail(error, "it is larger than 1 MiB.");
    else if (status == CL_E_IO) (void)fail(error, "reading it failed: %s.", strerror(errno));
    else if (status == CL_OK) status = node_genesis_decode(out, error, text.data, text.length);
    cl_buffer_deinit(&text);
    return status;
}

void node_genesis_deinit(struct node_genesis *genesis)
{
    cl_buffer_deinit(&genesis->bytes);
    free(genesis->info);
    free(genesis->observers);
    genesis->info = NULL;
    genesis->observers = NULL;
}

static int set_hex(json_t *object, const char *key, const uint8_t *bytes, size_t length)
{
    char text[2 * 33 + 1];
    hex_encode(text, bytes, length);
    return json_object_set_new(object, key, json_string(text));
}

static enum cl_status dump(struct cl_buffer *out, json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2));
    if (text == NULL) return CL_E_MEMORY;
    enum cl_status status = cl_buffer_append(out, text, strlen(text));
    if (status == CL_OK) status = cl_buffer_append(out, "\n", 1);
    free(text);
    return status;
}

enum cl_status member_file_encode(struct cl_buffer *out, const char *name, const struct member_info *info, const struct node_keys *keys)
{
    bool observer = info->role[0] == '\0';
    json_t *object = observer ? json_pack("{s:i,s:b,s:s,s:s}", "consent_member", 1, "observer", 1, "name", name, "address", info->address)
                              : json_pack("{s:i,s:s,s:s,s:s,s:s}", "consent_member", 1, "name", name, "role", info->role, "jurisdiction",
                                          info->jurisdiction, "address", info->address);
    if (object == NULL) return CL_E_ARGUMENT; /* not UTF-8 */
    enum cl_status status = CL_E_MEMORY;
    int result = set_hex(object, "vote_key", keys->vote, 32);
    if (result == 0 && !observer) result = set_hex(object, "log_key", keys->log, 32);
    if (result == 0 && !observer) result = set_hex(object, "witness_key", keys->witness, 32);
    if (result == 0 && !observer) result = set_hex(object, "party_key", keys->party, 33);
    if (result == 0) result = json_object_set_new(object, "tls_certificate", json_string(info->certificate));
    if (result == 0) status = dump(out, object);
    json_decref(object);
    return status;
}

static enum cl_status load_member(json_t *members, json_t *observers, struct genesis_error *error, const char *path)
{
    json_error_t where;
    struct cl_buffer text = { 0 };
    enum cl_status status = file_read(&text, path, 65536);
    if (status != CL_OK) {
        cl_buffer_deinit(&text);
        return fail(error, "%.150s: cannot read it.", path);
    }
    json_t *object = json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, &where);
    cl_buffer_deinit(&text);
    if (object == NULL) return fail(error, "%.100s line %d: %.80s.", path, where.line, where.text);
    json_t *observer = json_object_get(object, "observer");
    if (json_integer_value(json_object_get(object, "consent_member")) != 1 || (observer != NULL && !json_is_true(observer))) {
        json_decref(object);
        return fail(error, "%.150s is not a member file of this version.", path);
    }
    json_t *list = observer != NULL ? observers : members;
    json_object_del(object, "consent_member");
    json_object_del(object, "observer");
    return json_array_append_new(list, object) == 0 ? CL_OK : CL_E_MEMORY;
}

enum cl_status node_genesis_compose(struct cl_buffer *out, struct genesis_error *error, const char *origin, uint64_t time_ms,
                                    const struct cl_parameters *parameters, const char *const *member_paths, size_t member_count)
{
    error->sentence[0] = '\0';
    json_t *members = json_array(), *observers = json_array();
    json_t *root = NULL;
    struct node_genesis checked;
    enum cl_status status = members != NULL && observers != NULL ? CL_OK : CL_E_MEMORY;
    for (size_t i = 0; i < member_count && status == CL_OK; i++) status = load_member(members, observers, error, member_paths[i]);
    if (status != CL_OK) goto out;
    root = json_pack("{s:i,s:s,s:I,s:{s:I,s:I,s:I,s:I,s:I,s:I},s:O}", "consent_network", 1, "origin", origin, "time_ms",
                     (json_int_t)time_ms, "parameters", "epoch_length", (json_int_t)parameters->epoch_length, "block_records_max",
                     (json_int_t)parameters->block_records_max, "block_bytes_max", (json_int_t)parameters->block_bytes_max, "d0_ms",
                     (json_int_t)parameters->d0_ms, "fairness", (json_int_t)parameters->fairness, "open_reads",
                     (json_int_t)parameters->open_reads, "members", members);
    if (root == NULL) {
        status = fail(error, "the origin is not UTF-8.");
        goto out;
    }
    if (json_array_size(observers) > 0 && json_object_set(root, "observers", observers) != 0) status = CL_E_MEMORY;
    if (status == CL_OK) status = dump(out, root);
    if (status == CL_OK) status = node_genesis_decode(&checked, error, out->data, out->length);
    if (status == CL_OK) node_genesis_deinit(&checked);
out:
    json_decref(root);
    json_decref(members);
    json_decref(observers);
    return status;
}

size_t node_genesis_peer_count(const struct node_genesis *genesis)
{
    return genesis->core.value.member_count + genesis->observer_count;
}

void node_genesis_peer(struct genesis_peer *out, const struct node_genesis *genesis, size_t index)
{
    size_t members = genesis->core.value.member_count;
    assert(index < members + genesis->observer_count);
    const struct cl_member *member = &genesis->core.value.members[index];
    const struct genesis_observer *observer = index < members ? NULL : &genesis->observers[index - members];
    *out = (struct genesis_peer){ observer == NULL ? member->name : observer->name, observer == NULL ? member->vote : observer->vote, &genesis->info[index] };
}

size_t node_genesis_own(const struct node_genesis *genesis, const struct node_keys *keys)
{
    struct genesis_peer peer;
    for (size_t i = 0; i < node_genesis_peer_count(genesis); i++) {
        node_genesis_peer(&peer, genesis, i);
        if (memcmp(peer.vote32, keys->vote, 32) == 0) return i;
    }
    return SIZE_MAX;
}

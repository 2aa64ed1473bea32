/* One sealed part: which of the wallet's keys opens it, whose it is, and whether it may be taken now; and what was opened
   before, which is remembered beside the wallet. For consent open and consent inbox. */
#include "opening.h"
#include "discover.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* A sealed box does not say whose it is: every key of the wallet may be the one, the last that fitted first. */
enum cl_status opening_open(struct opening *opening)
{
    struct cl_wallet *wallet = opening->context->wallet;
    enum cl_status status = CL_E_DELIVERY_KEY;
    uint8_t secret[32], delivery[32];
    for (size_t i = 0; i < wallet->key_count && status == CL_E_DELIVERY_KEY; i++) {
        size_t at = (opening->key + i) % wallet->key_count;
        status = cl_wallet_key_secret(secret, wallet, &wallet->keys[at]);
        if (status != CL_OK)
            break;
        cl_delivery_secret_of(delivery, secret);
        status = cl_delivery_open(&opening->opened, &opening->part, opening->sealed.data, opening->sealed.length, delivery);
        if (status != CL_E_DELIVERY_KEY)
            opening->key = at;
    }
    cl_wipe_bytes(secret, sizeof secret);
    cl_wipe_bytes(delivery, sizeof delivery);
    return status;
}

/* The file's name tells nothing: it follows from the key that opened the part and from the agreement. */
static enum cl_status journal_name(struct opening *opening)
{
    struct context *context = opening->context;
    uint8_t both[64];
    struct cl_hash hash;
    char hex[65];
    enum cl_status status = cl_wallet_key_secret(both, context->wallet, &context->wallet->keys[opening->key]);
    memcpy(both + 32, opening->subject.object.id.bytes, 32);
    cl_hash_bytes(&hash, both, sizeof both);
    cl_wipe_bytes(both, sizeof both);
    cl_hex_encode(hex, hash.bytes, 32);
    (void)snprintf(opening->journal, sizeof opening->journal, "%s.opened-%.16s", context->wallet_path, hex);
    return status;
}

void opening_forget(struct opening *opening)
{
    if (opening->known) {
        subject_close(&opening->subject);
        delivery_party_close(&opening->other);
        opening->known = false;
    }
}

/* The agreement that the part names, as the node has it now. Returns: the exit status where the node did not answer; *status:
   that it is no agreement of ours. */
static int subject_learn(struct opening *opening, enum cl_status *status)
{
    struct context *context = opening->context;
    const struct cl_object_id *id = &opening->part.delivery.agreement;
    if (opening->known && memcmp(opening->subject.object.id.bytes, id->bytes, 32) == 0)
        return 0;
    opening_forget(opening);
    opening->subject = (struct subject){.side = CL_SIDE_NONE};
    int result = object_fetch(context, &opening->subject.object, id, false);
    if (result != 0) {
        *status = CL_E_NO_OBJECT;
        return result == 3 ? 0 : result;
    }
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    if (item != NULL)
        (void)snprintf(opening->subject.item_name, sizeof opening->subject.item_name, "%s", item->name);
    opening->subject.side = item != NULL && item->role != CL_SIDE_NONE ? item->role : side_by_keys(context, &opening->subject.object);
    *status = opening->subject.object.kind != CL_STATE_AGREEMENT ? CL_E_OBJECT_KIND : opening->subject.side == CL_SIDE_NONE ? CL_E_PARTY : CL_OK;
    if (*status == CL_OK)
        result = delivery_party_open(context, &opening->other, subject_party(&opening->subject, other_of(opening->subject.side)));
    if (*status != CL_OK || result != 0)
        subject_close(&opening->subject);
    opening->known = *status == CL_OK && result == 0;
    return result;
}

int opening_check(struct opening *opening, enum cl_status *status)
{
    struct context *context = opening->context;
    *status = memcmp(opening->part.delivery.network.bytes, context->wallet->network.id.bytes, 32) == 0 ? CL_OK : CL_E_NETWORK;
    int result = *status == CL_OK ? subject_learn(opening, status) : 0;
    if (result != 0 || *status != CL_OK)
        return result;
    *status = cl_delivery_part_check(&opening->part, &context->wallet->network.id, &opening->subject.object.id, &opening->subject.object.as.agreement, opening->subject.side, &opening->other.signers, time_now_ms());
    if (*status == CL_OK)
        *status = journal_name(opening);
    return 0;
}

int opening_journal_read(struct opening *opening, struct cl_opened *opened)
{
    struct cl_buffer file = {0};
    struct context *context = opening->context;
    memset(opened, 0, sizeof *opened);
    if (access(opening->journal, F_OK) != 0 && errno == ENOENT)
        return 0;
    int result = file_read(context, &file, opening->journal, CL_OPENED_BYTES_MAX);
    if (result == 0) {
        enum cl_status status = cl_opened_decode(opened, file.data, file.length);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s, where it is kept what was opened, is damaged; without it a delivery could arrive twice. Put it back from a backup, or remove it if you take that upon you.", opening->journal);
    }
    cl_buffer_deinit(&file);
    return result;
}

int opening_journal_write(struct opening *opening, struct cl_opened *opened, const struct cl_delivery *delivery)
{
    struct cl_buffer file = {0};
    cl_opened_add(opened, delivery);
    enum cl_status status = cl_opened_encode(&file, opened);
    int result = status == CL_OK ? file_write(opening->context, opening->journal, file.data, file.length, true) : output_fail(&opening->context->output, status, NULL);
    cl_buffer_deinit(&file);
    return result;
}

void opening_say(struct opening *opening, const struct cl_delivery *delivery, const char *path)
{
    struct context *context = opening->context;
    const struct subject *subject = &opening->subject;
    const char *name = subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes);
    char id[33], about[33], when[TIME_TEXT_SIZE];
    bool acknowledges = delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT;
    cl_hex_encode(id, delivery->id16, 16);
    cl_hex_encode(about, delivery->acknowledges16, 16);
    time_text(when, delivery->sent_ms / 1000u);
    void (*line)(const struct output *, const char *, ...) = path != NULL || acknowledges ? output_line : output_say;
    if (acknowledges)
        line(&context->output, "The other side of '%s' has delivery %s, it says (%s)", name, about, when);
    else
        line(&context->output, "%s under '%s', %s: %llu bytes of %s, sent %s", cl_delivery_kind_name(delivery->kind), name, delivery_slot_text(subject_item(context, subject), &subject->object.as.agreement, delivery->has_slot, delivery->slot), (unsigned long long)delivery->length, delivery->media_type, when);
    line(&context->output, "delivery %s%s%s", id, path != NULL ? " is in " : "", path != NULL ? path : "");
    (opening->many ? output_json_line : output_json)(&context->output, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:o, s:o, s:o}", "delivery", id, "agreement", id_text(subject->object.id.bytes), "kind", cl_delivery_kind_name(delivery->kind), "media_type", delivery->media_type, "bytes", (json_int_t)delivery->length, "sent_ms", (json_int_t)delivery->sent_ms,
        "parts", (int)delivery->part_count, "slot", delivery->has_slot ? json_integer(delivery->slot) : json_null(), "acknowledges", acknowledges ? json_string(about) : json_null(), "file", path != NULL ? json_string(path) : json_null()));
}

/* One sealed part: which of the wallet's keys opens it, whose it is, and whether it may be taken now; and what was opened
   before, which is in its exchange file (consent/exchange.h). For consent open and consent inbox. */
#include "opening.h"
#include "delivery_log.h"
#include "discover.h"
#include "mailbox.h"
#include "source.h"

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
    if (*status == CL_OK && subject_party(&opening->subject, other_of(opening->subject.side))->length == 0)
        *status = CL_E_NOT_ACTIVE; /* nobody answered yet, as far as our node knows */
    if (*status == CL_OK)
        result = delivery_party_open(context, &opening->other, subject_party(&opening->subject, other_of(opening->subject.side)));
    if (*status != CL_OK || result != 0)
        subject_close(&opening->subject);
    opening->known = *status == CL_OK && result == 0;
    return result;
}

/* This object is the agreement, or one that it was made under. */
static bool object_fits(const struct subject *subject, const struct cl_object_id *id)
{
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    const struct cl_party *own = subject_party(subject, subject->side);
    return memcmp(id->bytes, subject->object.id.bytes, 32) == 0 || (agreement->terms.present && memcmp(id->bytes, agreement->terms.bytes, 32) == 0) || (own->length == 32 && memcmp(id->bytes, own->bytes, 32) == 0);
}

/* A mailbox says by its name whose it is. Another key fits unless the wallet's entries have it for something else and not for
   this: one from before a rotation has no entry any more. */
bool opening_key_fits(const struct opening *opening, const struct cl_wallet_key *key)
{
    const struct cl_wallet *wallet = opening->context->wallet;
    const struct subject *subject = &opening->subject;
    const struct cl_party *own = subject_party(subject, subject->side);
    char delivery_key[CL_NAME_BYTES_MAX + 1];
    struct cl_object_id terms;
    bool elsewhere = false;
    memcpy(terms.bytes, subject->object.as.agreement.terms.bytes, 32);
    if (mailbox_key(key))
        return mailbox_key_of(key, &subject->object.id) || (subject->object.as.agreement.terms.present && mailbox_key_of(key, &terms));
    if (own->length == 33 && memcmp(own->bytes, key->key.bytes, 33) == 0)
        return true;
    for (size_t i = 0; i < wallet->item_count; i++) {
        const struct cl_wallet_item *item = &wallet->items[i];
        (void)snprintf(delivery_key, sizeof delivery_key, "%.46s.delivery", item->name);
        if (strcmp(item->key_name, key->name) != 0 && strcmp(delivery_key, key->name) != 0)
            continue;
        if (object_fits(subject, &item->object))
            return true;
        elsewhere = true;
    }
    return !elsewhere;
}

int opening_check(struct opening *opening, enum cl_status *status)
{
    struct context *context = opening->context;
    *status = memcmp(opening->part.delivery.network.bytes, context->wallet->network.id.bytes, 32) == 0 ? CL_OK : CL_E_NETWORK;
    int result = *status == CL_OK ? subject_learn(opening, status) : 0;
    if (result != 0 || *status != CL_OK)
        return result;
    *status = cl_delivery_part_check(&opening->part, &context->wallet->network.id, &opening->subject.object.id, &opening->subject.object.as.agreement, opening->subject.side, &opening->other.signers, time_now_ms());
    if (*status == CL_OK && !opening_key_fits(opening, &context->wallet->keys[opening->key]))
        *status = CL_E_DELIVERY_AGREEMENT;
    return 0;
}

static int exchange_fail(struct opening *opening, enum cl_status status)
{
    return output_fail(&opening->context->output, status, "What is kept of the exchange under '%s', and with it what was opened; without it a delivery could arrive twice. Put the wallet's folder back from a backup.", opening->subject.item_name[0] != '\0' ? opening->subject.item_name : id_short(opening->subject.object.id.bytes));
}

int opening_opened_check(struct opening *opening, const struct cl_delivery *delivery, enum cl_status *out)
{
    struct cl_exchange exchange;
    enum cl_status status = cl_exchange_load(&exchange, opening->context->store, &opening->subject.object.id);
    if (status != CL_OK)
        return exchange_fail(opening, status);
    *out = cl_opened_check(&exchange.opened, delivery);
    if (*out == CL_OK && delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT)
        *out = delivery_log_acknowledges(&exchange, delivery);
    cl_exchange_deinit(&exchange);
    return 0;
}

int opening_opened_add(struct opening *opening, const struct cl_delivery *delivery)
{
    struct cl_exchange exchange;
    enum cl_status status = cl_exchange_load(&exchange, opening->context->store, &opening->subject.object.id);
    if (status != CL_OK)
        return exchange_fail(opening, status);
    status = delivery_log_received(&exchange, delivery, time_now_ms(), opening->acknowledgement[0] != '\0');
    if (status == CL_OK)
        status = cl_exchange_save(&exchange, opening->context->store, &opening->subject.object.id);
    cl_exchange_deinit(&exchange);
    return status == CL_OK ? 0 : exchange_fail(opening, status);
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
        line(&context->output, "The other side of '%s' has delivery %s, %s, it says (%s)", name, about, delivery_slot_text(subject_item(context, subject), &subject->object.as.agreement, delivery->has_slot, delivery->slot), when);
    else
        line(&context->output, "%s under '%s', %s: %llu bytes of %s, sent %s", cl_delivery_kind_name(delivery->kind), name, delivery_slot_text(subject_item(context, subject), &subject->object.as.agreement, delivery->has_slot, delivery->slot), (unsigned long long)delivery->length, delivery->media_type, when);
    if (!acknowledges)
        line(&context->output, "delivery %s%s%s%s", id, path != NULL ? " is in " : "", path != NULL ? path : "", opening->acknowledgement[0] != '\0' ? "; the other side is told" : "");
    if (!acknowledges && path != NULL && strcmp(delivery->media_type, POINTER_MEDIA_TYPE) == 0)
        line(&context->output, "It says where something may be fetched: 'consent source ask %s -o REQUEST' asks for it.", path);
    (opening->many ? output_json_line : output_json)(&context->output, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:o, s:o, s:o, s:b}", "delivery", id, "agreement", id_text(subject->object.id.bytes), "kind", cl_delivery_kind_name(delivery->kind), "media_type", delivery->media_type, "bytes", (json_int_t)delivery->length, "sent_ms", (json_int_t)delivery->sent_ms,
        "parts", (int)delivery->part_count, "slot", delivery->has_slot ? json_integer(delivery->slot) : json_null(), "acknowledges", acknowledges ? json_string(about) : json_null(), "file", path != NULL ? json_string(path) : json_null(), "acknowledged", opening->acknowledgement[0] != '\0'));
}

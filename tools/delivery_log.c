/* What was sent and received under an agreement, written down where it can be destroyed with the rest (delivery_log.h). */
#include "delivery_log.h"
#include "mailbox.h"

#include <unistd.h>

static int log_fail(struct context *context, enum cl_status status, const struct cl_object_id *agreement)
{
    return output_fail(&context->output, status, "What is kept of the exchange under %s. Put the wallet's folder back from a backup.", id_short(agreement->bytes));
}

/* Of what was sealed and never left, nothing waits in the outbox. */
static void drop_interrupted(struct context *context, struct cl_exchange *exchange)
{
    char folder[4096];
    size_t kept = 0;
    for (size_t i = 0; i < exchange->delivery_count; i++) {
        struct cl_exchange_delivery *entry = &exchange->deliveries[i];
        bool waits = !entry->received && entry->seen_ms == 0;
        if (waits && outbox_folder(context, folder, entry->id16) == 0 && access(folder, F_OK) != 0)
            continue;
        exchange->deliveries[kept++] = *entry;
    }
    exchange->delivery_count = kept;
}

static struct cl_exchange_delivery entry_of(const struct cl_delivery *delivery, bool received)
{
    struct cl_exchange_delivery entry = {.received = received, .kind = delivery->kind, .has_slot = delivery->has_slot, .slot = delivery->slot, .sent_ms = delivery->sent_ms, .length = delivery->length};
    memcpy(entry.id16, delivery->id16, 16);
    memcpy(entry.media_type, delivery->media_type, sizeof entry.media_type);
    return entry;
}

int delivery_log_begin(struct context *context, const struct cl_delivery *delivery)
{
    struct cl_exchange exchange;
    struct cl_exchange_delivery entry = entry_of(delivery, false);
    enum cl_status status = cl_exchange_load(&exchange, context->store, &delivery->agreement);
    if (status != CL_OK)
        return log_fail(context, status, &delivery->agreement);
    drop_interrupted(context, &exchange);
    status = cl_exchange_add(&exchange, &entry);
    if (status == CL_OK)
        status = cl_exchange_save(&exchange, context->store, &delivery->agreement);
    cl_exchange_deinit(&exchange);
    return status == CL_OK ? 0 : log_fail(context, status, &delivery->agreement);
}

/* Sets a time that has not come yet, of an entry that may be there. */
static int entry_mark(struct context *context, const struct cl_object_id *agreement, const uint8_t id16[16], bool received)
{
    struct cl_exchange exchange;
    enum cl_status status = cl_exchange_load(&exchange, context->store, agreement);
    if (status != CL_OK)
        return log_fail(context, status, agreement);
    struct cl_exchange_delivery *entry = cl_exchange_find(&exchange, id16, received);
    uint64_t *time_ms = entry == NULL ? NULL : received ? &entry->acknowledged_ms : &entry->seen_ms;
    if (time_ms != NULL && *time_ms == 0) {
        *time_ms = time_now_ms();
        status = cl_exchange_save(&exchange, context->store, agreement);
    }
    cl_exchange_deinit(&exchange);
    return status == CL_OK ? 0 : log_fail(context, status, agreement);
}

int delivery_log_handed_over(struct context *context, const struct cl_object_id *agreement, const uint8_t id16[16])
{
    return entry_mark(context, agreement, id16, false);
}

int delivery_log_acknowledged(struct context *context, const struct cl_object_id *agreement, const uint8_t id16[16])
{
    return entry_mark(context, agreement, id16, true);
}

enum cl_status delivery_log_received(struct cl_exchange *exchange, const struct cl_delivery *delivery, uint64_t now_ms, bool acknowledged)
{
    struct cl_exchange_delivery entry = entry_of(delivery, true), *sent;
    cl_opened_add(&exchange->opened, delivery);
    if (delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT) {
        sent = cl_exchange_find(exchange, delivery->acknowledges16, false);
        if (sent != NULL && sent->acknowledged_ms == 0)
            sent->acknowledged_ms = delivery->sent_ms;
        return CL_OK;
    }
    if (cl_delivery_connects(delivery) || cl_exchange_find(exchange, delivery->id16, true) != NULL) /* there: opened again */
        return CL_OK;
    entry.seen_ms = now_ms;
    entry.acknowledged_ms = acknowledged ? now_ms : 0;
    return cl_exchange_add(exchange, &entry);
}

enum cl_status delivery_log_acknowledges(struct cl_exchange *exchange, const struct cl_delivery *delivery)
{
    const struct cl_exchange_delivery *sent = cl_exchange_find(exchange, delivery->acknowledges16, false);
    return sent != NULL && sent->has_slot == delivery->has_slot && sent->slot == delivery->slot ? CL_OK : CL_E_DELIVERY_UNKNOWN;
}

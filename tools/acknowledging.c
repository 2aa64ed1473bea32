/* The word that a delivery arrived, which inbox and open send by themselves. It goes into the outbox before the delivery is
   remembered as opened, so that one is sent whenever a command is killed; two at the worst, of which the second says nothing new. */
#include "mailbox.h"
#include "opening.h"

#define REST_MS 60000u /* no further tries for so long, once a mailbox took nothing */

/* Sealed, and in the outbox. Where it goes is written first: of one that is interrupted nothing is left that would be told of,
   and what it was about is not remembered yet, so it arrives again and is acknowledged then. */
static int acknowledgement_put(struct opening *opening, const struct cl_delivery *about, const uint8_t recipient32[32], const char *address)
{
    struct context *context = opening->context;
    struct act_signer signer;
    struct cl_delivery delivery = {.network = about->network, .agreement = about->agreement, .from = opening->subject.side, .has_slot = about->has_slot, .slot = about->slot, .sent_ms = time_now_ms(), .kind = CL_DELIVERY_ACKNOWLEDGEMENT};
    memcpy(delivery.acknowledges16, about->id16, 16);
    int result = subject_signer(context, &signer, &opening->subject);
    if (result == 0 && (cl_random_bytes(delivery.id16, 16) != CL_OK || cl_delivery_measure(&delivery, NULL, 0) != CL_OK))
        result = output_fail(&context->output, CL_E_IO, NULL);
    if (result == 0)
        result = outbox_folder(context, opening->acknowledgement, delivery.id16);
    if (result == 0)
        result = folder_make(context, opening->acknowledgement);
    if (result == 0)
        result = outbox_keep(context, opening->acknowledgement, address, &delivery);
    return result == 0 ? delivery_parts_write(context, &delivery, (struct cl_view){NULL, 0}, &signer, recipient32, opening->acknowledgement, NULL) : result;
}

void acknowledge(struct opening *opening, const struct cl_delivery *about)
{
    struct context *context = opening->context;
    uint8_t recipient32[32];
    char address[MAILBOX_ADDRESS_SIZE];
    bool soft = context->output.soft;
    opening->acknowledgement[0] = '\0';
    if (flag(context, "--no-acknowledge") || about->kind == CL_DELIVERY_ACKNOWLEDGEMENT || cl_delivery_connects(about))
        return;
    context->output.soft = true;
    if (contact_reach(context, recipient32, address, &about->agreement, opening->subject.side, &opening->other.signers.key) && acknowledgement_put(opening, about, recipient32, address) != 0) {
        output_warn(&context->output, "So the other side is not told that this arrived; 'consent deliver --acknowledges' does.");
        opening->acknowledgement[0] = '\0';
    }
    context->output.soft = soft;
}

void acknowledge_send(struct opening *opening)
{
    struct context *context = opening->context;
    bool soft = context->output.soft;
    uint64_t timeout_s = context->timeout_s, now_ms = time_now_ms();
    if (opening->acknowledgement[0] == '\0' || now_ms < opening->rest_until_ms)
        return;
    context->output.soft = true;
    context->timeout_s = 0; /* what arrives next does not wait for it */
    if (outbox_send(context, opening->acknowledgement) != 0)
        opening->rest_until_ms = now_ms + REST_MS;
    context->timeout_s = timeout_s;
    context->output.soft = soft;
}

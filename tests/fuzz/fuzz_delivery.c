/* Parts of deliveries, contacts, and what was opened. What reads has one form; and fields of the input's choice, sealed by us,
   come back as they went in, or are refused before they are sealed. */
#include "cbor.h"
#include "consent/delivery.h"
#include "consent/wallet.h"
#include "crypto.h"
#include "require.h"

static const uint8_t secret[32] = {7};
static uint8_t receiver_secret[32], receiver[32];

/* Gives back the signature that stands in what was read. */
static enum cl_status sign_as_read(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    (void)digest32;
    memcpy(signature64, context, 64);
    return CL_OK;
}

static enum cl_status sign(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    (void)context;
    return cl_ecdsa_sign(signature64, secret, digest32);
}

static void part_again(const struct cl_delivery_part *part, const uint8_t *data, size_t size)
{
    struct cl_cbor_reader reader;
    struct cl_buffer sealed = {0}, opened = {0};
    struct cl_delivery_part twin;
    uint8_t signature[64];
    require(part->bytes.length <= CL_DELIVERY_PART_BYTES && part->number < part->delivery.part_count);
    if (part->delivery.part_count != 1)
        return;
    cl_cbor_reader_init(&reader, data, size);
    struct cl_view item = cl_cbor_skip(&reader);
    memcpy(signature, item.data + item.length - 64, 64);
    struct cl_signer signer = {.context = signature, .sign = sign_as_read, .key = part->signer};
    require(cl_delivery_seal(&sealed, &part->delivery, 0, part->bytes.data, part->bytes.length, &signer, receiver) == CL_OK);
    require(cl_delivery_open(&opened, &twin, sealed.data, sealed.length, receiver_secret) == CL_OK);
    require(opened.length == size && memcmp(opened.data, data, size) == 0);
    cl_buffer_deinit(&sealed);
    cl_buffer_deinit(&opened);
}

static void fields_come_back(const uint8_t *data, size_t size)
{
    struct cl_delivery delivery = {0};
    struct cl_delivery_part part;
    struct cl_buffer sealed = {0}, opened = {0};
    struct cl_signer signer = {.sign = sign};
    if (size < 64)
        return;
    require(cl_secret_public(&signer.key, secret) == CL_OK);
    delivery.from = (enum cl_side)(data[0] & 3);
    delivery.kind = (enum cl_delivery_kind)(data[1] & 7);
    delivery.has_slot = (data[2] & 1) != 0;
    delivery.slot = delivery.has_slot ? data[3] & 127 : 0;
    memcpy(&delivery.sent_ms, data + 4, 7);
    memcpy(delivery.id16, data + 10, 16);
    memcpy(delivery.agreement.bytes, data + 26, 16);
    if ((data[2] & 2) != 0)
        memcpy(delivery.acknowledges16, data + 42, 16);
    memcpy(delivery.media_type, data + 58, (data[2] & 4) != 0 ? 6 : 0);
    data += 64;
    size -= 64;
    require(cl_delivery_measure(&delivery, data, size) == CL_OK);
    for (uint32_t number = 0; number < delivery.part_count; number++) {
        enum cl_status status = cl_delivery_seal(&sealed, &delivery, number, data, size, &signer, receiver);
        require(status == CL_OK || (status == CL_E_VALUE && sealed.length == 0));
        if (status != CL_OK)
            break;
        require(cl_delivery_open(&opened, &part, sealed.data, sealed.length, receiver_secret) == CL_OK);
        require(part.number == number && memcmp(part.delivery.id16, delivery.id16, 16) == 0 && part.delivery.from == delivery.from && part.delivery.slot == delivery.slot);
        sealed.length = 0;
    }
    cl_buffer_deinit(&sealed);
    cl_buffer_deinit(&opened);
}

static void contact(const uint8_t *data, size_t size)
{
    struct cl_contact read;
    struct cl_buffer again = {0};
    uint8_t signature[64];
    if (cl_contact_decode(&read, data, size) != CL_OK)
        return;
    memcpy(signature, data + size - 64, 64);
    struct cl_signer signer = {.context = signature, .sign = sign_as_read, .key = read.signer};
    require(cl_contact_sign(&again, &read, &signer) == CL_OK);
    require(again.length == size && memcmp(again.data, data, size) == 0);
    cl_buffer_deinit(&again);
}

static void opened_journal(const uint8_t *data, size_t size)
{
    static struct cl_opened opened;
    struct cl_buffer again = {0};
    if (cl_opened_decode(&opened, data, size) != CL_OK)
        return;
    require(cl_opened_encode(&again, &opened) == CL_OK);
    require(again.length == size && memcmp(again.data, data, size) == 0);
    cl_buffer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_delivery_part part;
    cl_delivery_secret_of(receiver_secret, secret);
    cl_delivery_key_of(receiver, secret);
    if (cl_delivery_read(&part, data, size) == CL_OK)
        part_again(&part, data, size);
    struct cl_buffer opened = {0};
    require(cl_delivery_open(&opened, &part, data, size, receiver_secret) != CL_OK); /* nobody makes a box for us by chance */
    cl_buffer_deinit(&opened);
    contact(data, size);
    opened_journal(data, size);
    fields_come_back(data, size);
    return 0;
}

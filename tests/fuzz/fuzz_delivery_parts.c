/* Putting parts together: the input draws parts of two deliveries, honest and bent, in any order. What comes out is one of
   the two contents, whole, and only when all of its parts were there. */
#include "consent/delivery.h"
#include "require.h"

#define PARTS 3u
static uint8_t contents[2][(PARTS - 1) * CL_DELIVERY_PART_BYTES + 9];

static void part_of(struct cl_delivery_part *out, unsigned which, uint32_t number)
{
    static struct cl_delivery deliveries[2];
    if (deliveries[which].length == 0) {
        deliveries[which] = (struct cl_delivery){.from = CL_SIDE_CUSTOMER, .has_slot = true, .kind = CL_DELIVERY_DATA, .media_type = "a/b"};
        deliveries[which].id16[0] = (uint8_t)which;
        for (size_t i = 0; i < sizeof contents[0]; i++)
            contents[which][i] = (uint8_t)(i * 31 / 7 + which);
        require(cl_delivery_measure(&deliveries[which], contents[which], sizeof contents[which]) == CL_OK);
    }
    size_t from = (size_t)number * CL_DELIVERY_PART_BYTES, length = number + 1 < PARTS ? CL_DELIVERY_PART_BYTES : 9;
    *out = (struct cl_delivery_part){.delivery = deliveries[which], .number = number, .bytes = {contents[which] + from, length}};
}

/* One byte: two bits for the part, one for the delivery, the rest for what is bent about it. */
static bool part_drawn(struct cl_delivery_part *out, uint8_t draw, unsigned *which)
{
    *which = draw >> 2 & 1;
    part_of(out, *which, (draw & 3) % PARTS);
    switch (draw >> 3) {
    case 1: out->delivery.sent_ms ^= 1; return true;
    case 2: out->delivery.content32[31] ^= 1; return true;
    case 3: out->delivery.slot ^= 1; return true;
    case 4: out->delivery.media_type[0] ^= 1; return true;
    case 5: /* the bytes of another part of the same length */
        if (out->number < 2)
            out->bytes.data = contents[*which] + (size_t)(1 - out->number) * CL_DELIVERY_PART_BYTES;
        return out->number < 2;
    default: return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_delivery_assembly *assembly = NULL;
    bool there[PARTS] = {false}, bent_bytes = false;
    uint32_t first = 0;
    require(cl_delivery_assembly_new(&assembly) == CL_OK);
    for (size_t i = 0; i < size && i < 64; i++) {
        struct cl_delivery_part part;
        unsigned which = 0;
        bool bent = part_drawn(&part, data[i], &which);
        const struct cl_delivery *of = cl_delivery_assembly_of(assembly);
        bool same = of == NULL || (of->id16[0] == part.delivery.id16[0] && of->sent_ms == part.delivery.sent_ms && of->slot == part.delivery.slot && memcmp(of->content32, part.delivery.content32, 32) == 0 && of->media_type[0] == part.delivery.media_type[0]);
        enum cl_status status = cl_delivery_assembly_add(assembly, &part);
        require(status == CL_OK || status == CL_E_DELIVERY_PARTS);
        require(same || status == CL_E_DELIVERY_PARTS);
        if (status == CL_OK) {
            bent_bytes = bent_bytes || (bent && data[i] >> 3 == 5 && !there[part.number]) || (bent && data[i] >> 3 == 2);
            there[part.number] = true;
        }
    }
    unsigned count = (unsigned)there[0] + there[1] + there[2];
    if (cl_delivery_assembly_of(assembly) != NULL) {
        struct cl_view whole;
        require(cl_delivery_assembly_missing(assembly, &first) == PARTS - count);
        require(count == PARTS || !there[first]);
        enum cl_status status = cl_delivery_assembly_content(&whole, assembly);
        require(status == (count < PARTS ? CL_E_PENDING : bent_bytes ? CL_E_DELIVERY_PARTS : CL_OK));
        if (status == CL_OK)
            require(whole.length == sizeof contents[0] && memcmp(whole.data, contents[cl_delivery_assembly_of(assembly)->id16[0]], whole.length) == 0);
    }
    cl_delivery_assembly_free(assembly);
    return 0;
}

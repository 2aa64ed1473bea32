/* A reception in bytes (reception.h). The name of the node becomes a part of a URL, so only what a member's name may have
   stands in it. */
#include "reception.h"

bool cl_reception_usable(const struct cl_reception *reception)
{
    size_t length = strnlen(reception->node, sizeof reception->node);
    if (!reception->present)
        return true;
    for (size_t i = 0; i < length; i++) {
        char c = reception->node[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return length > 0 && length <= CL_MEMBER_NAME_BYTES_MAX;
}

void cl_reception_put(struct cl_cbor_writer *writer, const struct cl_reception *reception)
{
    if (!reception->present) {
        cl_cbor_put_null(writer);
        return;
    }
    cl_cbor_put_array(writer, 4);
    cl_cbor_put_bytes(writer, reception->delivery32, 32);
    cl_cbor_put_text(writer, reception->node, strlen(reception->node));
    cl_cbor_put_bytes(writer, reception->mailbox32, 32);
    cl_cbor_put_uint(writer, reception->in_return ? 1 : 0);
}

void cl_reception_get(struct cl_cbor_reader *reader, struct cl_reception *reception)
{
    *reception = (struct cl_reception){.present = !cl_cbor_null(reader)};
    if (!reception->present)
        return;
    cl_cbor_array_fixed(reader, 4);
    cl_cbor_bytes_copy(reader, reception->delivery32, 32);
    struct cl_view node = cl_cbor_text(reader);
    if (reader->status == CL_OK && node.length <= CL_MEMBER_NAME_BYTES_MAX)
        memcpy(reception->node, node.data, node.length);
    cl_cbor_bytes_copy(reader, reception->mailbox32, 32);
    reception->in_return = cl_cbor_uint_at_most(reader, 1) == 1;
    if (reader->status == CL_OK && (node.length > CL_MEMBER_NAME_BYTES_MAX || strlen(reception->node) != node.length || !cl_reception_usable(reception)))
        cl_cbor_fail(reader, CL_E_FORMAT);
}

/* Exchange files: as bytes of anybody, and the content behind the seal, which has to be written again as it was read. */
#include "exchange_format.h"

#include "require.h"

static const uint8_t secret[32] = {3}, id[16] = {4}, nonce[24] = {5};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_exchange exchange, read;
    struct cl_buffer again = {.secret = true}, file = {0};
    require(cl_exchange_file_decode(&exchange, data, size, id, secret) != CL_OK); /* nobody forges a tag */
    if (cl_exchange_content_decode(&exchange, data, size) != CL_OK)
        return 0;
    require(exchange.link_count <= CL_EXCHANGE_LINKS_MAX && exchange.delivery_count <= CL_EXCHANGE_LOG_MAX);
    require(cl_exchange_content_encode(&again, &exchange) == CL_OK && again.length == size && memcmp(again.data, data, size) == 0);
    require(cl_exchange_file_encode(&file, &exchange, id, secret, nonce) == CL_OK);
    require(cl_exchange_file_decode(&read, file.data, file.length, id, secret) == CL_OK && read.delivery_count == exchange.delivery_count);
    cl_exchange_deinit(&read);
    file.data[file.length - 1] ^= 1;
    require(cl_exchange_file_decode(&read, file.data, file.length, id, secret) == CL_E_LOCKED);
    cl_exchange_deinit(&exchange);
    cl_buffer_wipe(&again);
    cl_buffer_deinit(&file);
    return 0;
}

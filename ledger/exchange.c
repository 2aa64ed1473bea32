/* What is kept of the exchange under each agreement: looked up, changed, written (consent/exchange.h). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "crypto.h"
#include "exchange_format.h"
#include "vault_internal.h"

#define FILE_BYTES_MAX (CL_EXCHANGE_BYTES_MAX + 128u)

static_assert(CL_EXCHANGE_SAVE_MAX == CL_STORE_GROUP_MAX, "one group of files");

void cl_exchange_deinit(struct cl_exchange *exchange)
{
    cl_buffer_wipe(&exchange->contact);
    if (exchange->deliveries != NULL)
        cl_wipe(exchange->deliveries, exchange->delivery_count * sizeof *exchange->deliveries);
    free(exchange->deliveries);
    cl_wipe(exchange, sizeof *exchange);
}

struct cl_exchange_delivery *cl_exchange_find(struct cl_exchange *exchange, const uint8_t id16[16], bool received)
{
    for (size_t i = exchange->delivery_count; i-- > 0;)
        if (exchange->deliveries[i].received == received && memcmp(exchange->deliveries[i].id16, id16, 16) == 0)
            return &exchange->deliveries[i];
    return NULL;
}

enum cl_status cl_exchange_add(struct cl_exchange *exchange, const struct cl_exchange_delivery *delivery)
{
    if (exchange->delivery_count >= CL_EXCHANGE_LOG_MAX) {
        memmove(exchange->deliveries, exchange->deliveries + 1, (exchange->delivery_count - 1) * sizeof *exchange->deliveries);
        exchange->delivery_count--;
        exchange->dropped++;
    } else {
        struct cl_exchange_delivery *more = realloc(exchange->deliveries, (exchange->delivery_count + 1) * sizeof *more);
        if (more == NULL)
            return CL_E_MEMORY;
        exchange->deliveries = more;
    }
    exchange->deliveries[exchange->delivery_count++] = *delivery;
    return CL_OK;
}

struct cl_exchange_link *cl_exchange_link_find(struct cl_exchange *exchange, uint8_t slot)
{
    for (size_t i = 0; i < exchange->link_count; i++)
        if (exchange->links[i].slot == slot)
            return &exchange->links[i];
    return NULL;
}

enum cl_status cl_exchange_link_set(struct cl_exchange *exchange, uint8_t slot, const char *item)
{
    struct cl_exchange_link *links = exchange->links;
    size_t at = 0;
    if (slot > 63 || (item != NULL && !cl_wallet_name_usable(item)))
        return CL_E_ARGUMENT;
    while (at < exchange->link_count && links[at].slot < slot)
        at++;
    bool there = at < exchange->link_count && links[at].slot == slot;
    if (item == NULL) {
        if (there)
            memmove(&links[at], &links[at + 1], (--exchange->link_count - at) * sizeof *links);
        return CL_OK;
    }
    if (!there)
        memmove(&links[at + 1], &links[at], (exchange->link_count++ - at) * sizeof *links);
    links[at] = (struct cl_exchange_link){.slot = slot};
    memcpy(links[at].item, item, strlen(item));
    return CL_OK;
}

enum cl_status cl_exchange_load(struct cl_exchange *out, const struct cl_store *store, const struct cl_object_id *agreement)
{
    char path[CL_STORE_FILE_PATH_MAX];
    struct cl_buffer file = {0};
    uint8_t id16[16];
    cl_exchange_name(id16, store->secret32, agreement);
    cl_store_path(path, store->directory, id16, EXCHANGE_ENDING);
    enum cl_status status = cl_file_read(&file, path, FILE_BYTES_MAX);
    if (status == CL_E_NOT_FOUND) {
        *out = (struct cl_exchange){.contact = {.secret = true}};
        status = CL_OK;
    } else if (status == CL_OK) {
        status = cl_exchange_file_decode(out, file.data, file.length, id16, store->secret32);
    }
    cl_buffer_deinit(&file);
    return status == CL_OK || status == CL_E_IO || status == CL_E_MEMORY ? status : CL_E_LOCKED;
}

static enum cl_status file_of(struct cl_store_file *out, const struct cl_exchange *exchange, const struct cl_store *store, const struct cl_object_id *agreement)
{
    uint8_t nonce[24];
    cl_exchange_name(out->id16, store->secret32, agreement);
    enum cl_status status = cl_random(nonce, sizeof nonce);
    return status == CL_OK ? cl_exchange_file_encode(&out->bytes, exchange, out->id16, store->secret32, nonce) : status;
}

enum cl_status cl_exchange_save(const struct cl_exchange *exchange, const struct cl_store *store, const struct cl_object_id *agreement)
{
    struct cl_store_file file = {0};
    enum cl_status status = file_of(&file, exchange, store, agreement);
    if (status == CL_OK)
        status = cl_store_file_replace(store->directory, file.id16, EXCHANGE_ENDING, file.bytes.data, file.bytes.length);
    cl_buffer_deinit(&file.bytes);
    return status;
}

enum cl_status cl_exchange_save_all(const struct cl_exchange *exchanges, const struct cl_object_id *agreements, size_t count, const struct cl_store *store)
{
    if (count > CL_EXCHANGE_SAVE_MAX)
        return CL_E_BOUND;
    if (count <= CL_STORE_FEW) {
        enum cl_status few = CL_OK;
        for (size_t i = 0; i < count && few == CL_OK; i++)
            few = cl_exchange_save(&exchanges[i], store, &agreements[i]);
        return few;
    }
    struct cl_store_file *files = calloc(count, sizeof *files);
    enum cl_status status = files == NULL ? CL_E_MEMORY : CL_OK;
    for (size_t i = 0; i < count && status == CL_OK; i++)
        status = file_of(&files[i], &exchanges[i], store, &agreements[i]);
    if (status == CL_OK)
        status = cl_store_files_replace(store->directory, EXCHANGE_ENDING, files, count);
    for (size_t i = 0; files != NULL && i < count; i++)
        cl_buffer_deinit(&files[i].bytes);
    free(files);
    return status;
}

enum cl_status cl_exchange_destroy(const struct cl_store *store, const struct cl_object_id *agreement)
{
    uint8_t id16[16];
    cl_exchange_name(id16, store->secret32, agreement);
    return cl_store_file_destroy(store->directory, id16, EXCHANGE_ENDING) ? CL_OK : CL_E_IO;
}

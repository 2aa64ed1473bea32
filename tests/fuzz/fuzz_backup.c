/* A backup's stream, as an operator may get it from anybody: what is read to its end has one form, so that writing the rows
   again gives the same bytes; and what its rows make is a ledger of this network whose blocks have certificates, or nothing.
   The last 32 bytes of the input are replaced by the hash that they should be, or nothing would come past them. */
#include "backup.h"

#include "crypto.h"
#include "fixture.h"
#include "require.h"

struct source { const uint8_t *data; size_t length, at; };

static enum cl_status get(void *context, uint8_t *out, size_t length)
{
    struct source *source = context;
    if (source->length - source->at < length) return CL_E_FORMAT;
    if (length > 0) memcpy(out, source->data + source->at, length);
    source->at += length;
    return CL_OK;
}

static enum cl_status put(void *context, const uint8_t *data, size_t length) { return cl_buffer_append(context, data, length); }

static void restore(struct cl_store *source, const struct cl_genesis *genesis)
{
    static char detail[512];
    struct cl_store out;
    struct cl_smt_buckets buckets;
    struct cl_buffer again = {0};
    require(cl_store_mem_open(&out) == CL_OK && cl_buckets_memory_new(&buckets) == CL_OK);
    detail[0] = '\0';
    enum cl_status status = cl_ledger_restore(&out, source, &buckets, genesis, NULL, NULL, detail, sizeof detail);
    if (status == CL_OK) require(cl_backup_write(&out, put, &again) == CL_OK && again.length > 0);
    else require(status != CL_E_STORE_CORRUPT || detail[0] != '\0');
    cl_buffer_deinit(&again);
    cl_buckets_free(&buckets);
    out.close(out.context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fixture_network network;
    static bool made;
    struct cl_store store;
    struct cl_backup_summary summary;
    struct cl_buffer bytes = {0}, again = {0};
    if (!made) fixture_network_make(&network, 1);
    made = true;
    if (size < 32 || cl_buffer_append(&bytes, data, size) != CL_OK) return 0;
    cl_sha256_once(bytes.data + size - 32, bytes.data, size - 32);
    struct source source = {bytes.data, bytes.length, 0};
    require(cl_store_mem_open(&store) == CL_OK);
    if (cl_backup_read(&summary, &store, get, &source, NULL, NULL) == CL_OK) {
        enum cl_status status = cl_backup_write(&store, put, &again);
        if (status == CL_OK) require(again.length == source.at && memcmp(again.data, bytes.data, again.length) == 0);
        restore(&store, &network.genesis);
    }
    store.close(store.context);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);
    return 0;
}

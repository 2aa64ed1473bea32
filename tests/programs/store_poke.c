/* Changes a stopped node's database from outside, for tests of what the node then says:
     store_poke STORE format NUMBER     sets the format's version */
#include "crypto.h"
#include "store.h"
#include "tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put32(uint8_t out[4], uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

int main(int argc, char **argv)
{
    struct cl_store store;
    struct cl_store_options options;
    struct cl_table_key key;
    char error[256];
    uint8_t value[8];
    if (argc != 4 || strcmp(argv[2], "format") != 0) return 2;
    cl_store_options_default(&options);
    options.create = false;
    if (cl_store_leveldb_open(&store, argv[1], &options, error, sizeof error) != CL_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    cl_key_meta(&key, "format");
    put32(value, (uint32_t)strtoul(argv[3], NULL, 10));
    put32(value + 4, cl_crc32c(key.bytes[0], value, 4));
    struct cl_store_batch *batch = store.batch_new(store.context);
    if (batch == NULL) return 1;
    store.batch_put(batch, key.bytes, key.length, value, sizeof value);
    enum cl_status status = store.batch_write(store.context, batch, true);
    store.batch_free(batch);
    store.close(store.context);
    return status == CL_OK ? 0 : 1;
}

/* Writes and reads the stream of a backup (backup.h). The reader trusts nothing: every length is bounded, tables and keys
   must be in order, and the end must be there. */
#include "backup.h"

#include "crypto.h"
#include "ledger_internal.h"

#include <stdlib.h>

#define WRITE_BYTES 65536u            /* how much goes out at once */
#define BATCH_BYTES (1024u * 1024u)   /* and into the store */
#define PROGRESS_EVERY 256u

static const char magic[] = "consent-backup-1\n";
enum { MAGIC_LENGTH = sizeof magic - 1 };
static const uint8_t tables[] = {CL_TABLE_META, CL_TABLE_BLOCK, CL_TABLE_LEAVES, CL_TABLE_WITHDRAWAL};

/* ---- writing */

struct writer { cl_backup_put put; void *context; struct cl_sha256 hash; size_t used; uint8_t bytes[WRITE_BYTES]; };

static enum cl_status flush(struct writer *writer)
{
    if (writer->used == 0)
        return CL_OK;
    cl_sha256_update(&writer->hash, writer->bytes, writer->used);
    enum cl_status status = writer->put(writer->context, writer->bytes, writer->used);
    writer->used = 0;
    return status;
}

static enum cl_status put_bytes(struct writer *writer, const uint8_t *data, size_t length)
{
    enum cl_status status = CL_OK;
    while (length > 0 && status == CL_OK) {
        size_t room = WRITE_BYTES - writer->used, part = length < room ? length : room;
        memcpy(writer->bytes + writer->used, data, part);
        writer->used += part;
        data += part;
        length -= part;
        if (writer->used == WRITE_BYTES)
            status = flush(writer);
    }
    return status;
}

static enum cl_status put_row(struct writer *writer, struct cl_view key, struct cl_view value)
{
    if (key.length > sizeof((struct cl_table_key *)0)->bytes || value.length > CL_BACKUP_VALUE_BYTES_MAX)
        return CL_E_STORE_CORRUPT;
    uint8_t head[5] = {(uint8_t)key.length, (uint8_t)(value.length >> 24), (uint8_t)(value.length >> 16), (uint8_t)(value.length >> 8), (uint8_t)value.length};
    enum cl_status status = put_bytes(writer, head, sizeof head);
    if (status == CL_OK)
        status = put_bytes(writer, key.data, key.length);
    return status == CL_OK ? put_bytes(writer, value.data, value.length) : status;
}

static enum cl_status put_table(struct writer *writer, const struct cl_store *store, struct cl_store_iterator *iterator, uint8_t table)
{
    enum cl_status status = CL_OK;
    store->iterator_seek(iterator, &table, 1);
    while (status == CL_OK && store->iterator_valid(iterator)) {
        struct cl_view key = store->iterator_key(iterator);
        if (key.length == 0 || key.data[0] != table)
            break;
        status = put_row(writer, key, store->iterator_value(iterator));
        store->iterator_next(iterator);
    }
    return status == CL_OK ? store->iterator_status(iterator) : status;
}

/* Blocks that become final together are stored one after the other, and only the last has the certificate. */
static enum cl_status certified(const struct cl_store *store, const struct cl_store_snapshot *snapshot)
{
    struct cl_buffer bytes = {0};
    struct cl_stored_block block = {0};
    struct cl_table_key key;
    struct cl_tip tip;
    uint64_t state_leaves;
    enum cl_status status = cl_tip_load(store, snapshot, &tip, &state_leaves);
    if (status == CL_OK && tip.height > 0) {
        cl_key_number(&key, CL_TABLE_BLOCK, tip.height);
        status = cl_must_exist(cl_store_get_checked(store, &bytes, snapshot, &key));
        if (status == CL_OK && cl_stored_block_decode(&block, bytes.data, bytes.length) != CL_OK)
            status = CL_E_STORE_CORRUPT;
        if (status == CL_OK && block.certificate.length == 0)
            status = CL_E_PENDING;
    }
    cl_buffer_deinit(&bytes);
    return status;
}

enum cl_status cl_backup_write(const struct cl_store *store, cl_backup_put put, void *context)
{
    struct writer *writer = malloc(sizeof *writer);
    struct cl_store_snapshot *snapshot = store->snapshot_new(store->context);
    struct cl_store_iterator *iterator = snapshot != NULL ? store->iterator_new(store->context, snapshot) : NULL;
    enum cl_status status = writer != NULL && iterator != NULL ? CL_OK : CL_E_MEMORY;
    uint8_t end[32];
    if (status == CL_OK)
        status = certified(store, snapshot);
    if (status != CL_OK)
        goto out;
    writer->put = put;
    writer->context = context;
    writer->used = 0;
    cl_sha256_init(&writer->hash);
    status = put_bytes(writer, (const uint8_t *)magic, MAGIC_LENGTH);
    for (size_t i = 0; i < sizeof tables && status == CL_OK; i++)
        status = put_table(writer, store, iterator, tables[i]);
    if (status == CL_OK)
        status = put_bytes(writer, (const uint8_t[1]){0}, 1);
    if (status == CL_OK)
        status = flush(writer);
    if (status == CL_OK) {
        cl_sha256_final(&writer->hash, end);
        status = put(context, end, sizeof end);
    }
out:
    if (iterator != NULL)
        store->iterator_free(iterator);
    if (snapshot != NULL)
        store->snapshot_free(store->context, snapshot);
    free(writer);
    return status;
}

/* ---- reading */

struct reader {
    struct cl_backup_summary *out;
    const struct cl_store *store;
    struct cl_store_batch *batch;
    size_t batch_bytes;
    cl_backup_get get;
    void *context;
    struct cl_sha256 hash;
    size_t table;                 /* number in tables */
    struct cl_table_key last;     /* length 0: none yet */
    uint8_t key[72], *value;
    size_t key_length, value_length;
};

static enum cl_status get_bytes(struct reader *reader, uint8_t *out, size_t length)
{
    enum cl_status status = reader->get(reader->context, out, length);
    if (status == CL_OK) {
        cl_sha256_update(&reader->hash, out, length);
        reader->out->bytes += length;
    }
    return status;
}

static enum cl_status store_rows(struct reader *reader, bool last)
{
    enum cl_status status = CL_OK;
    if (reader->store == NULL)
        return CL_OK;
    if (reader->batch != NULL && (last || reader->batch_bytes >= BATCH_BYTES)) {
        status = reader->store->batch_write(reader->store->context, reader->batch, false);
        reader->store->batch_free(reader->batch);
        reader->batch = NULL;
        reader->batch_bytes = 0;
    }
    if (status == CL_OK && !last && reader->batch == NULL) {
        reader->batch = reader->store->batch_new(reader->store->context);
        status = reader->batch != NULL ? CL_OK : CL_E_MEMORY;
    }
    return status;
}

/* What whoever waits is told, and the network that it is of. Damage here is found when it is restored. */
static void look_at(struct reader *reader)
{
    static const char network[] = "mnetwork", tip[] = "mtip";
    uint64_t state_leaves;
    if (reader->key_length == sizeof network - 1 && memcmp(reader->key, network, reader->key_length) == 0 && reader->value_length == 32 + 4)
        memcpy(reader->out->network.bytes, reader->value, 32);
    if (reader->key_length == sizeof tip - 1 && memcmp(reader->key, tip, reader->key_length) == 0 && reader->value_length > 4)
        reader->out->has_tip = cl_tip_decode(&reader->out->tip, &state_leaves, reader->value, reader->value_length - 4) == CL_OK;
}

/* Tables in their order, and the keys of each ascending: so a row is there once, and a backup has one form. */
static bool in_order(struct reader *reader)
{
    while (reader->table < sizeof tables && reader->key[0] != tables[reader->table]) {
        reader->table++;
        reader->last.length = 0;
    }
    if (reader->table == sizeof tables)
        return false;
    size_t common = reader->key_length < reader->last.length ? reader->key_length : reader->last.length;
    int order = memcmp(reader->key, reader->last.bytes, common);
    if (reader->last.length > 0 && (order < 0 || (order == 0 && reader->key_length <= reader->last.length)))
        return false;
    memcpy(reader->last.bytes, reader->key, reader->key_length);
    reader->last.length = reader->key_length;
    return true;
}

static enum cl_status read_row(struct reader *reader, uint8_t key_length)
{
    uint8_t size[4];
    enum cl_status status = get_bytes(reader, size, sizeof size);
    if (status != CL_OK)
        return status;
    reader->key_length = key_length;
    reader->value_length = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
    if (key_length > sizeof reader->key || reader->value_length > CL_BACKUP_VALUE_BYTES_MAX)
        return CL_E_FORMAT;
    status = get_bytes(reader, reader->key, key_length);
    if (status == CL_OK && !in_order(reader))
        return CL_E_FORMAT;
    if (status == CL_OK && reader->value_length > 0)
        status = get_bytes(reader, reader->value, reader->value_length);
    if (status == CL_OK)
        status = store_rows(reader, false);
    if (status != CL_OK)
        return status;
    if (reader->store != NULL) {
        reader->store->batch_put(reader->batch, reader->key, key_length, reader->value, reader->value_length);
        reader->batch_bytes += key_length + reader->value_length;
    }
    if (tables[reader->table] == CL_TABLE_META)
        look_at(reader);
    reader->out->rows++;
    return CL_OK;
}

static enum cl_status read_rows(struct reader *reader, cl_backup_progress progress, void *progress_context)
{
    for (;;) {
        uint8_t key_length;
        enum cl_status status = get_bytes(reader, &key_length, 1);
        if (status != CL_OK || key_length == 0)
            return status;
        status = read_row(reader, key_length);
        if (status != CL_OK)
            return status;
        if (progress != NULL && reader->out->rows % PROGRESS_EVERY == 0)
            progress(progress_context, reader->out, reader->key[0] == CL_TABLE_LEAVES && key_length == 9 ? cl_get_u64(reader->key + 1) : 0);
    }
}

enum cl_status cl_backup_read(struct cl_backup_summary *out, const struct cl_store *store, cl_backup_get get, void *context,
                              cl_backup_progress progress, void *progress_context)
{
    uint8_t head[MAGIC_LENGTH], hash[32], end[32];
    memset(out, 0, sizeof *out);
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return CL_E_MEMORY;
    *reader = (struct reader){.out = out, .store = store, .get = get, .context = context};
    reader->value = malloc(CL_BACKUP_VALUE_BYTES_MAX);
    enum cl_status status = reader->value != NULL ? CL_OK : CL_E_MEMORY;
    cl_sha256_init(&reader->hash);
    if (status == CL_OK)
        status = get_bytes(reader, head, sizeof head);
    if (status == CL_OK && memcmp(head, magic, sizeof head) != 0)
        status = memcmp(head, magic, sizeof "consent-backup-" - 1) == 0 ? CL_E_VERSION : CL_E_FORMAT;
    if (status == CL_OK)
        status = read_rows(reader, progress, progress_context);
    cl_sha256_final(&reader->hash, hash);
    if (status == CL_OK)
        status = get(context, end, sizeof end);
    if (status == CL_OK && memcmp(end, hash, sizeof end) != 0)
        status = CL_E_FORMAT;
    if (status == CL_OK)
        status = store_rows(reader, true);
    else if (reader->batch != NULL)
        store->batch_free(reader->batch);
    free(reader->value);
    free(reader);
    return status;
}

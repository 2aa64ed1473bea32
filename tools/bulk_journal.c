/* What a run over a list leaves on disk, so that the next one goes on where it stopped, wherever that was:

   LIST.journal      consent-journal 1 NETWORK SIGNER DIGEST-OF-LIST    the first line
                     left CODE LABEL AGREEMENT                a line that goes into no record, of the next "sent"
                     sent FIRST LAST BASE64-RECORD            lines of the list, and the record made of them ("-": none)
                     done LAST AGREED-BYTES REFUSED-BYTES AGREED ALREADY REFUSED
                                                              they are listed; how long the lists are, and the totals
   LIST.agreements   TERMS,AGREEMENT,STATE                    STATE: active, subscribed, …; "already": there was one
   LIST.refused      TERMS,CODE,SENTENCE

   A record is on disk before it is sent, with the nonces that its agreements' ids come from, and is sent again as it is.
   What was listed but not confirmed by a "done" is cut off and listed anew. */
#include "bulk_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_LINE_MAX 200000u

static int disk_fail(struct bulk *bulk, const char *path)
{
    return output_fail(&bulk->context->output, CL_E_IO, "%s: %s", path, strerror(errno));
}

static bool append(int file, const struct cl_buffer *text, bool sync)
{
    return cl_file_write_all(file, text->data, text->length) && (!sync || fdatasync(file) == 0);
}

static enum cl_status put(struct cl_buffer *text, const char *format, ...) CL_PRINTF(2, 3);
static enum cl_status put(struct cl_buffer *text, const char *format, ...)
{
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return cl_buffer_append(text, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static enum cl_status put_sent(struct cl_buffer *text, const struct bulk_batch *batch)
{
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < batch->count && status == CL_OK; i++)
        if (batch->items[i].why != CL_OK)
            status = put(text, "left %s %s %s\n", cl_status_code(batch->items[i].why), batch->items[i].label, id_text(batch->items[i].id.bytes));
    if (status == CL_OK)
        status = put(text, "sent %zu %zu ", batch->first_line, batch->last_line);
    if (status == CL_OK)
        status = batch->record.length == 0 ? cl_buffer_append(text, "-", 1) : cl_base64_put(text, batch->record.data, batch->record.length);
    return status == CL_OK ? cl_buffer_append(text, "\n", 1) : status;
}

int journal_sent(struct bulk *bulk, const struct bulk_chunk *chunk)
{
    struct cl_buffer text = {0};
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < chunk->count && status == CL_OK; i++)
        status = put_sent(&text, &chunk->batches[i]);
    int result = status == CL_OK ? 0 : output_fail(&bulk->context->output, status, NULL);
    if (result == 0 && !append(bulk->journal, &text, true))
        result = disk_fail(bulk, bulk->journal_path);
    cl_buffer_deinit(&text);
    return result;
}

static enum cl_status put_results(struct bulk *bulk, struct cl_buffer *agreed, struct cl_buffer *refused, const struct bulk_batch *batch)
{
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < batch->count && status == CL_OK; i++) {
        const struct bulk_item *item = &batch->items[i];
        if (item->why == CL_OK || item->why == CL_E_ANSWERED)
            status = put(agreed, "%s,%s,%s\n", item->label, id_text(item->id.bytes), item->why == CL_OK ? item->state : "already");
        else
            status = put(refused, "%s,%s,%s\n", item->label, cl_status_code(item->why), item->why == CL_E_EXISTS ? "The line stands in the list twice." : cl_status_sentence(item->why));
        *(item->why == CL_OK ? &bulk->totals.agreed : item->why == CL_E_ANSWERED ? &bulk->totals.already : &bulk->totals.refused) += 1;
    }
    return status;
}

int journal_done(struct bulk *bulk, const struct bulk_chunk *chunk)
{
    struct cl_buffer agreed = {0}, refused = {0}, line = {0};
    struct stat agreed_stat = {0}, refused_stat = {0};
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < chunk->count && status == CL_OK; i++)
        status = put_results(bulk, &agreed, &refused, &chunk->batches[i]);
    int result = status == CL_OK ? 0 : output_fail(&bulk->context->output, status, NULL);
    if (result == 0 && (!append(bulk->results, &agreed, true) || fstat(bulk->results, &agreed_stat) != 0))
        result = disk_fail(bulk, bulk->results_path);
    if (result == 0 && (!append(bulk->refusals, &refused, true) || fstat(bulk->refusals, &refused_stat) != 0))
        result = disk_fail(bulk, bulk->refusals_path);
    if (result == 0) {
        bulk->done_line = chunk->batches[chunk->count - 1].last_line;
        status = put(&line, "done %zu %lld %lld %llu %llu %llu\n", bulk->done_line, (long long)agreed_stat.st_size, (long long)refused_stat.st_size, (unsigned long long)bulk->totals.agreed, (unsigned long long)bulk->totals.already, (unsigned long long)bulk->totals.refused);
        result = status != CL_OK ? output_fail(&bulk->context->output, status, NULL) : !append(bulk->journal, &line, true) ? disk_fail(bulk, bulk->journal_path) : 0;
    }
    cl_buffer_deinit(&agreed);
    cl_buffer_deinit(&refused);
    cl_buffer_deinit(&line);
    return result;
}

/* ---- reading it back */

/* left: lines that are waiting for their "sent". */
struct reader { struct bulk *bulk; struct bulk_batch left; long long agreed_bytes, refused_bytes; off_t end; };

static enum cl_status status_of(const char *code)
{
    for (int i = 0; i < CL_STATUS_COUNT; i++)
        if (strcmp(cl_status_code((enum cl_status)i), code) == 0)
            return (enum cl_status)i;
    return CL_E_FORMAT;
}

/* The entries of a record that was signed but may not have arrived, from its bytes. */
static enum cl_status take_record(struct bulk *bulk, struct bulk_batch *batch, const char *base64, size_t length)
{
    struct cl_record *record = calloc(1, sizeof *record);
    bool decoded = false;
    enum cl_status status = record == NULL ? CL_E_MEMORY : cl_base64_get(&batch->record, base64, length);
    if (status == CL_OK)
        status = cl_record_decode(record, NULL, batch->record.data, batch->record.length, &bulk->context->wallet->network.id);
    decoded = status == CL_OK;
    if (decoded && (record->type != CL_SUBSCRIBE || record->entry_count + batch->count > CL_RECORD_ENTRIES_SHORT_MAX))
        status = CL_E_FORMAT;
    for (size_t i = 0; status == CL_OK && i < record->entry_count; i++) {
        const struct cl_entry *entry = &record->entries[i];
        struct bulk_item *item = &batch->items[batch->count++];
        *item = (struct bulk_item){.why = CL_OK};
        if (entry->ref == NULL || entry->object_length != 16) {
            status = CL_E_FORMAT;
            break;
        }
        memcpy(item->terms, entry->ref, 32);
        (void)snprintf(item->label, sizeof item->label, "%s", id_text(entry->ref));
        cl_object_id_derive(&item->id, record->signer33, entry->object);
    }
    if (decoded)
        cl_record_deinit(record);
    free(record);
    return status;
}

/* While it is read, what is on its way fills one chunk after the other, however a run had cut it: chunks of a run whose
   last write was cut short, or of a list's end, are smaller than CHUNK_BATCHES, and their rest must not cost room. */
static struct bulk_batch *batch_at(struct bulk *bulk, size_t place)
{
    return &bulk->chunks[place / CHUNK_BATCHES]->batches[place % CHUNK_BATCHES];
}

static size_t batches_on_their_way(const struct bulk *bulk)
{
    size_t count = 0;
    for (size_t i = 0; i < bulk->chunk_count; i++)
        count += bulk->chunks[i]->count;
    return count;
}

static void set_batches_on_their_way(struct bulk *bulk, size_t count)
{
    bulk->chunk_count = (count + CHUNK_BATCHES - 1) / CHUNK_BATCHES;
    for (size_t i = 0; i < CHUNKS; i++) {
        size_t before = i * CHUNK_BATCHES, left = count > before ? count - before : 0;
        bulk->chunks[i]->count = left < CHUNK_BATCHES ? left : CHUNK_BATCHES;
    }
}

static enum cl_status take_sent(struct reader *reader, size_t first, size_t last, const char *base64, size_t length)
{
    struct bulk *bulk = reader->bulk;
    size_t count = batches_on_their_way(bulk);
    if (count == CHUNKS * CHUNK_BATCHES)
        return CL_E_FORMAT;
    struct bulk_batch *batch = batch_at(bulk, count);
    set_batches_on_their_way(bulk, count + 1);
    *batch = reader->left;
    reader->left.count = 0;
    batch->first_line = first;
    batch->last_line = last;
    return length == 1 && base64[0] == '-' ? CL_OK : take_record(bulk, batch, base64, length);
}

static bool take_done(struct reader *reader, const char *line)
{
    struct bulk *bulk = reader->bulk;
    unsigned long long agreed, already, refused;
    if (sscanf(line, "done %zu %lld %lld %llu %llu %llu", &bulk->done_line, &reader->agreed_bytes, &reader->refused_bytes, &agreed, &already, &refused) != 6)
        return false;
    bulk->totals = (struct bulk_totals){agreed, already, refused};
    size_t count = batches_on_their_way(bulk), settled = 0;
    while (settled < count && batch_at(bulk, settled)->last_line <= bulk->done_line)
        cl_buffer_deinit(&batch_at(bulk, settled++)->record);
    for (size_t i = settled; i < count; i++)
        *batch_at(bulk, i - settled) = *batch_at(bulk, i);
    set_batches_on_their_way(bulk, count - settled);
    return true;
}

static bool take_line(struct reader *reader, const char *line, size_t length)
{
    char code[40], label[LABEL_SIZE], id[65];
    size_t first, last;
    int used = 0;
    struct bulk_batch *left = &reader->left;
    if (strncmp(line, "done ", 5) == 0)
        return take_done(reader, line);
    if (sscanf(line, "left %39s %64s %64s", code, label, id) == 3 && left->count < CL_RECORD_ENTRIES_SHORT_MAX) {
        struct bulk_item *item = &left->items[left->count++];
        *item = (struct bulk_item){.why = status_of(code)};
        memcpy(item->label, label, sizeof item->label);
        return item->why != CL_OK && id_parse(&item->id, id);
    }
    return sscanf(line, "sent %zu %zu %n", &first, &last, &used) == 2 && used > 0 && (size_t)used < length &&
           take_sent(reader, first, last, line + used, length - (size_t)used) == CL_OK;
}

static int read_lines(struct reader *reader, FILE *file, const char *header)
{
    struct bulk *bulk = reader->bulk;
    char *line = NULL;
    size_t size = 0;
    int result = 0;
    ssize_t length = getline(&line, &size, file);
    if (length > 0 && line[length - 1] == '\n' && strcmp(line, header) != 0)
        result = output_fail(&bulk->context->output, CL_E_EXISTS, "%s is of another network, another key or another list. To begin anew remove it, %s and %s; what is agreed already is found and not agreed to twice.", bulk->journal_path, bulk->results_path, bulk->refusals_path);
    else if (length > 0 && line[length - 1] == '\n')
        reader->end = (off_t)length;
    while (result == 0 && reader->end > 0 && (length = getline(&line, &size, file)) > 0) {
        if (line[length - 1] != '\n')
            break; /* cut off while it was written: that record was never sent */
        line[--length] = '\0';
        if ((size_t)length > JOURNAL_LINE_MAX || !take_line(reader, line, (size_t)length))
            result = output_fail(&bulk->context->output, CL_E_FORMAT, "%s; to begin anew remove it, %s and %s.", bulk->journal_path, bulk->results_path, bulk->refusals_path);
        if (reader->left.count == 0)
            reader->end = ftello(file); /* lines that wait for their "sent" are cut off with it */
    }
    free(line);
    return result;
}

/* Longer than the journal knows: what was written after it is written again. */
static bool cut(int file, long long length)
{
    struct stat found;
    return fstat(file, &found) == 0 && (found.st_size <= length || ftruncate(file, (off_t)length) == 0);
}

static int open_files(struct bulk *bulk)
{
    bulk->journal = open(bulk->journal_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (bulk->journal < 0)
        return disk_fail(bulk, bulk->journal_path);
    if (flock(bulk->journal, LOCK_EX | LOCK_NB) != 0)
        return output_fail(&bulk->context->output, CL_E_LOCKED, "Another command works on %s.", bulk->path);
    bulk->results = open(bulk->results_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (bulk->results < 0)
        return disk_fail(bulk, bulk->results_path);
    bulk->refusals = open(bulk->refusals_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return bulk->refusals < 0 ? disk_fail(bulk, bulk->refusals_path) : 0;
}

int journal_open(struct bulk *bulk)
{
    char header[320], key[67];
    struct reader *reader = calloc(1, sizeof *reader);
    int result = reader == NULL ? output_fail(&bulk->context->output, CL_E_MEMORY, NULL) : open_files(bulk);
    cl_hex_encode(key, bulk->signer.signer.key.bytes, 33);
    (void)snprintf(header, sizeof header, "consent-journal 1 %s %s %s\n", id_text(bulk->context->wallet->network.id.bytes), key, id_text(bulk->list.digest.bytes));
    FILE *file = result == 0 ? fopen(bulk->journal_path, "re") : NULL;
    if (result == 0 && file == NULL)
        result = disk_fail(bulk, bulk->journal_path);
    if (result == 0) {
        reader->bulk = bulk;
        result = read_lines(reader, file, header);
    }
    if (file != NULL)
        (void)fclose(file);
    struct stat found;
    if (result == 0 && reader->end == 0 && fstat(bulk->results, &found) == 0 && found.st_size > 0)
        result = output_fail(&bulk->context->output, CL_E_EXISTS, "%s is there without its journal; move it away to begin anew.", bulk->results_path);
    if (result == 0 && (!cut(bulk->journal, (long long)reader->end) || !cut(bulk->results, reader->agreed_bytes) || !cut(bulk->refusals, reader->refused_bytes)))
        result = disk_fail(bulk, bulk->journal_path);
    struct cl_buffer first = {.data = (uint8_t *)header, .length = strlen(header), .capacity = sizeof header};
    if (result == 0 && reader->end == 0 && !append(bulk->journal, &first, true))
        result = disk_fail(bulk, bulk->journal_path);
    free(reader);
    return result;
}

void journal_close(struct bulk *bulk)
{
    if (bulk->journal >= 0)
        (void)close(bulk->journal);
    if (bulk->results >= 0)
        (void)close(bulk->results);
    if (bulk->refusals >= 0)
        (void)close(bulk->refusals);
}

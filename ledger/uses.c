/* Lists of uses, and the statement that an organisation keeps of a period: their one form, read and written. Pure. */
#include "consent/uses.h"

#include <stdlib.h>

#include "cbor.h"
#include "consent/record.h"
#include "crypto.h"

#define MAGIC "consent-uses-statement"

bool cl_use_text_usable(const char *text, size_t length, size_t least, size_t most)
{
    if (length < least || length > most)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return false;
    return true;
}

static bool usable(const struct cl_use *use, uint64_t after_ms, uint64_t from_s, uint64_t until_s)
{
    return use->slot < 64 && use->time_ms >= after_ms && use->time_ms / 1000u >= from_s && use->time_ms / 1000u < until_s &&
           cl_use_text_usable((const char *)use->purpose.data, use->purpose.length, 1, CL_USE_PURPOSE_BYTES_MAX) &&
           cl_use_text_usable((const char *)use->reference.data, use->reference.length, 0, CL_USE_REFERENCE_BYTES_MAX);
}

static bool period_usable(uint64_t from_s, uint64_t until_s) { return from_s < until_s && until_s <= CL_SECONDS_MAX; }

enum cl_status cl_use_list_encode(struct cl_buffer *out, const struct cl_use *uses, size_t count, uint64_t from_s, uint64_t until_s)
{
    struct cl_cbor_writer writer;
    size_t start = out->length;
    uint64_t after_ms = 0;
    if (count > CL_USES_OF_AGREEMENT_MAX)
        return CL_E_BOUND;
    if (!period_usable(from_s, until_s))
        return CL_E_VALUE;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_array(&writer, count);
    for (size_t i = 0; i < count && writer.status == CL_OK; i++) {
        if (!usable(&uses[i], after_ms, from_s, until_s)) {
            writer.status = CL_E_VALUE;
            break;
        }
        after_ms = uses[i].time_ms;
        cl_cbor_put_array(&writer, 4);
        cl_cbor_put_uint(&writer, uses[i].time_ms);
        cl_cbor_put_uint(&writer, uses[i].slot);
        cl_cbor_put_text(&writer, (const char *)uses[i].purpose.data, uses[i].purpose.length);
        cl_cbor_put_text(&writer, (const char *)uses[i].reference.data, uses[i].reference.length);
        if (out->length - start > CL_USES_LIST_BYTES_MAX)
            writer.status = CL_E_BOUND;
    }
    if (writer.status != CL_OK)
        out->length = start;
    return writer.status;
}

static void read_use(struct cl_use *out, struct cl_cbor_reader *reader)
{
    cl_cbor_array_fixed(reader, 4);
    out->time_ms = cl_cbor_uint(reader);
    out->slot = (uint8_t)cl_cbor_uint_at_most(reader, 63);
    out->purpose = cl_cbor_text(reader);
    out->reference = cl_cbor_text(reader);
}

enum cl_status cl_use_list_decode(size_t *count, struct cl_view *items, const uint8_t *data, size_t length, uint64_t from_s, uint64_t until_s)
{
    struct cl_cbor_reader reader;
    uint64_t after_ms = 0;
    if (length > CL_USES_LIST_BYTES_MAX)
        return CL_E_BOUND;
    if (!period_usable(from_s, until_s))
        return CL_E_VALUE;
    cl_cbor_reader_init(&reader, data, length);
    size_t found = cl_cbor_array_at_most(&reader, CL_USES_OF_AGREEMENT_MAX);
    struct cl_view rest = {reader.at, (size_t)(reader.end - reader.at)};
    for (size_t i = 0; i < found && reader.status == CL_OK; i++) {
        struct cl_use use;
        read_use(&use, &reader);
        if (reader.status == CL_OK && !usable(&use, after_ms, from_s, until_s))
            cl_cbor_fail(&reader, CL_E_VALUE);
        after_ms = use.time_ms;
    }
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK) {
        *count = found;
        *items = rest;
    }
    return status;
}

bool cl_use_take(struct cl_use *out, struct cl_view *items)
{
    struct cl_cbor_reader reader;
    if (items->length == 0)
        return false;
    cl_cbor_reader_init(&reader, items->data, items->length);
    read_use(out, &reader);
    *items = (struct cl_view){reader.at, (size_t)(reader.end - reader.at)};
    return reader.status == CL_OK;
}

/* ---- the statement */

static enum cl_status check(const struct cl_uses_statement *statement)
{
    if (statement->account_count > CL_USES_AGREEMENTS_MAX)
        return CL_E_BOUND;
    if (!period_usable(statement->from_s, statement->until_s))
        return CL_E_VALUE;
    for (size_t i = 0; i < statement->account_count; i++) {
        const struct cl_uses_account *account = &statement->accounts[i];
        size_t count;
        struct cl_view items;
        if (i > 0 && memcmp(statement->accounts[i - 1].agreement.bytes, account->agreement.bytes, 32) >= 0)
            return CL_E_RECORD_ORDER;
        enum cl_status status = cl_use_list_decode(&count, &items, account->list.data, account->list.length, statement->from_s, statement->until_s);
        if (status != CL_OK)
            return status;
    }
    return CL_OK;
}

enum cl_status cl_uses_statement_encode(struct cl_buffer *out, const struct cl_uses_statement *statement)
{
    struct cl_cbor_writer writer;
    size_t start = out->length;
    enum cl_status status = check(statement);
    if (status != CL_OK)
        return status;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 6, MAGIC);
    cl_cbor_put_bytes(&writer, statement->profile.bytes, 32);
    cl_cbor_put_uint(&writer, statement->from_s);
    cl_cbor_put_uint(&writer, statement->until_s);
    cl_cbor_put_array(&writer, statement->account_count);
    for (size_t i = 0; i < statement->account_count && writer.status == CL_OK; i++) {
        cl_cbor_put_array(&writer, 3);
        cl_cbor_put_bytes(&writer, statement->accounts[i].agreement.bytes, 32);
        cl_cbor_put_bytes(&writer, statement->accounts[i].salt32, 32);
        cl_cbor_put_bytes(&writer, statement->accounts[i].list.data, statement->accounts[i].list.length);
    }
    if (writer.status != CL_OK)
        out->length = start;
    return writer.status;
}

enum cl_status cl_uses_statement_decode(struct cl_uses_statement *out, const uint8_t *data, size_t length)
{
    struct cl_cbor_reader reader;
    struct cl_uses_statement made = {.account_count = 0};
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 6, MAGIC);
    cl_cbor_bytes_copy(&reader, made.profile.bytes, 32);
    made.from_s = cl_cbor_uint(&reader);
    made.until_s = cl_cbor_uint(&reader);
    size_t count = cl_cbor_array_at_most(&reader, CL_USES_AGREEMENTS_MAX);
    /* each takes 70 bytes at least, so what is asked for here stands in proportion to what came */
    if (reader.status == CL_OK && count > (size_t)(reader.end - reader.at) / 70u)
        cl_cbor_fail(&reader, CL_E_CBOR_TRUNCATED);
    if (reader.status != CL_OK)
        return reader.status;
    made.accounts = calloc(count + 1, sizeof *made.accounts);
    if (made.accounts == NULL)
        return CL_E_MEMORY;
    made.account_count = count;
    for (size_t i = 0; i < count; i++) {
        struct cl_uses_account *account = &made.accounts[i];
        cl_cbor_array_fixed(&reader, 3);
        cl_cbor_bytes_copy(&reader, account->agreement.bytes, 32);
        cl_cbor_bytes_copy(&reader, account->salt32, 32);
        account->list = cl_cbor_bytes(&reader);
    }
    enum cl_status status = cl_cbor_finish(&reader);
    if (status == CL_OK)
        status = check(&made);
    if (status != CL_OK)
        cl_uses_statement_deinit(&made);
    else
        *out = made;
    return status;
}

void cl_uses_statement_deinit(struct cl_uses_statement *statement)
{
    if (statement->accounts != NULL)
        cl_wipe(statement->accounts, statement->account_count * sizeof *statement->accounts);
    free(statement->accounts);
    statement->accounts = NULL;
    statement->account_count = 0;
}

const struct cl_uses_account *cl_uses_account_find(const struct cl_uses_statement *statement, const struct cl_object_id *agreement)
{
    size_t low = 0, high = statement->account_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(statement->accounts[middle].agreement.bytes, agreement->bytes, 32);
        if (order == 0)
            return &statement->accounts[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

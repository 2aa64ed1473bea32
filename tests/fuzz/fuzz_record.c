/* A record that decodes is exactly what its fields encode to; and a payload alone is judged as the whole record is. */
#include "consent/record.h"
#include "record_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cl_network_id network = {{1}};

static void require(bool condition)
{
    if (!condition) abort();
}

static void encodes_to_the_same_payload(struct cl_record *record)
{
    struct cl_draft draft = {.type = record->type,
                             .skip_refused = record->skip_refused,
                             .issued_at_ms = record->issued_at_ms,
                             .entries = record->entries,
                             .entry_count = record->entry_count};
    memcpy(draft.signer.bytes, record->signer33, 33);
    struct cl_buffer payload = {0};
    struct cl_record_id id;
    enum cl_status status = cl_draft_encode(&payload, &id, NULL, &draft, &network);
    if (status != CL_E_KEY) { /* the decoder leaves the signer's key to the signature check */
        require(status == CL_OK && payload.length == record->payload.length);
        require(memcmp(payload.data, record->payload.data, payload.length) == 0);
        require(memcmp(id.bytes, record->id.bytes, 32) == 0);
    }
    cl_buffer_deinit(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t refused_entry = 0;
    struct cl_record record;
    if (cl_record_decode(&record, &refused_entry, data, size, &network) == CL_OK) {
        require(record.entry_count >= 1 && record.entry_count <= cl_record_entries_max(record.type));
        require(cl_record_length(record.payload.length) == size);
        encodes_to_the_same_payload(&record);
        enum cl_status status = cl_record_check_signature(&record);
        require(status == CL_OK || status == CL_E_SIGNATURE || status == CL_E_KEY);
        cl_record_deinit(&record);
    }
    /* The same bytes as a signer's key and a payload, so that the payload's decoder is reached without an envelope. */
    if (size > 33 && cl_record_decode_payload(&record, &refused_entry, data + 33, size - 33, data, &network) == CL_OK) {
        encodes_to_the_same_payload(&record);
        cl_record_deinit(&record);
    }
    return 0;
}

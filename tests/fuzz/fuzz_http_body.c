/* What a POST body goes through before any state is read: the strict decoder, then the signature check. */
#include <assert.h>
#include <string.h>

#include "ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cl_network_id network = { { 7 } };
    struct cl_ledger_record *record = NULL;
    uint32_t entry = 0;
    enum cl_status status = cl_ledger_record_new(&record, &entry, data, size, &network);
    if (status != CL_OK) {
        assert(strncmp(cl_status_code(status), "CL_E_", 5) == 0 && entry < CL_RECORD_ENTRIES_MAX);
        return 0;
    }
    assert(record->record.bytes.length == size && memcmp(record->bytes, data, size) == 0 && record->bytes != data);
    assert(record->record.entry_count >= 1 && cl_record_type_name(record->record.type) != NULL);
    status = cl_record_check_signature(&record->record);
    assert(status == CL_OK || status == CL_E_SIGNATURE || status == CL_E_KEY || status == CL_E_SIGNATURE_HIGH_S);
    cl_ledger_record_unref(record);
    return 0;
}

/* A wallet's content, an offer and an auditor's memory, from anybody: refused, or read and written back the same. */
#include <stdlib.h>

#include "consent/audit.h"
#include "consent/wallet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cl_network_id network;
    struct cl_wallet *wallet = NULL;
    struct cl_audit *audit = NULL;
    struct cl_offer offer;
    struct cl_buffer out = {0};
    if (size > 0 && cl_wallet_decode(&wallet, data, size) == CL_OK) {
        if (cl_wallet_encode(&out, wallet) != CL_OK || out.length != size || memcmp(out.data, data, size) != 0)
            abort();
        cl_wallet_free(wallet);
        cl_buffer_wipe(&out);
    }
    if (size > 0 && cl_offer_decode(&offer, data, size) == CL_OK) {
        if (cl_offer_encode(&out, &offer) != CL_OK || out.length != size || memcmp(out.data, data, size) != 0)
            abort();
        cl_buffer_wipe(&out);
    }
    if (size > 0 && cl_audit_decode(&audit, data, size, &network) == CL_OK) {
        if (cl_audit_encode(&out, audit) != CL_OK || out.length != size || memcmp(out.data, data, size) != 0)
            abort();
        cl_audit_free(audit);
        cl_buffer_wipe(&out);
    }
    return 0;
}

/* inspect looks at whatever it is given, and shows deterministic CBOR without fail. */
#include <stdlib.h>

#include "consent/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cl_network_id network;
    static const uint8_t nothing[1];
    struct cl_buffer words = {0}, diagnostic = {0};
    if (cl_inspect_words(&words, size == 0 ? nothing : data, size, &network) != CL_OK)
        abort();
    if (cl_inspect_diagnostic(&diagnostic, size == 0 ? nothing : data, size) != CL_OK)
        diagnostic.length = 0; /* not deterministic CBOR: said so */
    cl_buffer_deinit(&words);
    cl_buffer_deinit(&diagnostic);
    return 0;
}

/* Base64 has one text for each byte string: what decodes encodes to the same text, with any capacity, and what a
   decoder writes stays within the capacity. */
#include "base64.h"
#include "consent/record.h"
#include "consent/wallet.h"
#include "require.h"

static void text_has_no_twin(const char *text, size_t size)
{
    size_t length = SIZE_MAX, again = SIZE_MAX;
    uint8_t *out = malloc(size + 1);
    require(out != NULL);
    bool good = cl_base64_decode(NULL, 0, &length, text, size);
    require(cl_base64_decode(out, size, &again, text, size) == good);
    if (good) {
        struct cl_buffer written = {0}, read = {0};
        require(again == length && CL_BASE64_LENGTH(length) == size);
        require(cl_base64_append(&written, out, length) == CL_OK && written.length == size && (size == 0 || memcmp(written.data, text, size) == 0));
        require(cl_base64_get(&read, text, size) == CL_OK && read.length == length && (length == 0 || memcmp(read.data, out, length) == 0));
        if (length > 0) { /* exactly as large, so that sanitizers see one byte too far; and one too small */
            uint8_t *exact = malloc(length);
            require(exact != NULL && cl_base64_decode(exact, length, NULL, text, size));
            require(!cl_base64_decode(exact, length - 1, NULL, text, size));
            free(exact);
        }
        cl_buffer_deinit(&written);
        cl_buffer_deinit(&read);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_buffer text = {0};
    text_has_no_twin((const char *)data, size);
    require(cl_base64_append(&text, data, size) == CL_OK && text.length == CL_BASE64_LENGTH(size));
    require(size == 0 || cl_base64_decode(NULL, 0, NULL, (const char *)text.data, text.length));
    cl_buffer_deinit(&text);
    return 0;
}

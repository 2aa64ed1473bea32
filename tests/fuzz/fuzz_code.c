/* Connect codes and base45: what reads has one text. First byte 'c': the rest is the CBOR, which is put into base45 here, so
   that the fuzzer need not learn that; else the rest is a text. */
#include "consent/code.h"
#include "consent/record.h"

#include "base45.h"
#include "require.h"

static void text_has_one_meaning(const char *text, size_t length)
{
    struct cl_code code;
    struct cl_buffer again = {0};
    if (cl_code_decode(&code, text, length) != CL_OK)
        return;
    require(code.url_count <= CL_CODE_URLS_MAX && (code.kind == CL_ITEM_AGREEMENT || code.kind == CL_ITEM_TERMS));
    for (size_t i = 0; i < code.url_count; i++)
        require(cl_code_url_usable(code.urls[i], strlen(code.urls[i])));
    require(cl_code_encode(&again, &code) == CL_OK && again.length == length && memcmp(again.data, text, length) == 0);
    cl_buffer_deinit(&again);
    cl_code_deinit(&code);
}

static void base45_has_one_text(const char *text, size_t length)
{
    struct cl_buffer bytes = {0}, again = {0};
    if (cl_base45_decode(&bytes, text, length) == CL_OK) {
        require(CL_BASE45_LENGTH(bytes.length) == length && cl_base45_append(&again, bytes.data, bytes.length) == CL_OK);
        require(again.length == length && (length == 0 || memcmp(again.data, text, length) == 0));
    }
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_buffer text = {0};
    if (size == 0)
        return 0;
    if (data[0] == 'c') {
        require(cl_buffer_append(&text, CL_CODE_PREFIX, sizeof CL_CODE_PREFIX - 1) == CL_OK && cl_base45_append(&text, data + 1, size - 1) == CL_OK);
        text_has_one_meaning((const char *)text.data, text.length);
        cl_buffer_deinit(&text);
    } else {
        text_has_one_meaning((const char *)data + 1, size - 1);
        base45_has_one_text((const char *)data + 1, size - 1);
    }
    return 0;
}

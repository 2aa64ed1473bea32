/* Terms as text and as a body file, from anybody. What is accepted survives text -> body -> text without a difference. */
#include <stdlib.h>

#include "consent/record.h"
#include "consent/terms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void around(const struct cl_terms_text *text)
{
    static const uint8_t seed[32] = {1};
    struct cl_body body;
    struct cl_object_id object = {{0}};
    struct cl_buffer bytes = {0}, page = {0};
    struct cl_body_file *file = malloc(sizeof *file);
    struct cl_terms_text *back = NULL;
    size_t differences = 0;
    if (file != NULL && cl_body_make(&body, text, seed) == CL_OK) {
        if (cl_body_file_encode(&bytes, &object, seed, &body) != CL_OK || cl_body_file_decode(file, bytes.data, bytes.length) != CL_OK ||
            cl_body_file_text(&back, file) != CL_OK || cl_terms_text_diff(&page, &differences, text, back) != CL_OK || differences != 0)
            abort();
        cl_body_deinit(&body);
    }
    cl_terms_text_free(back);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&page);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_terms_text *text = NULL;
    struct cl_terms_fault fault;
    struct cl_buffer page = {0};
    struct cl_body_file *file = malloc(sizeof *file);
    if (size > 0 && cl_terms_text_parse(&text, &fault, (const char *)data, size) == CL_OK) {
        if (cl_terms_text_plain(&page, text, ~0ull) != CL_OK)
            abort();
        around(text);
        cl_terms_text_free(text);
    }
    text = NULL;
    if (size > 0 && file != NULL && cl_body_file_decode(file, data, size) == CL_OK && cl_body_file_text(&text, file) == CL_OK) {
        if (cl_terms_text_plain(&page, text, ~0ull) != CL_OK)
            abort();
        cl_terms_text_free(text);
    }
    cl_buffer_deinit(&page);
    free(file);
    return 0;
}

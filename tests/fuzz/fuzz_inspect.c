/* Showing a file of anybody: it ends, keeps to text that a terminal can take, and says the same twice. */
#include "consent/inspect.h"

#include "require.h"

/* No control characters but line ends and tabs, those of Latin-1 (U+0080 to U+009F) neither: a file must not drive the
   terminal of the person who looks at it. */
static void harmless(const struct cl_buffer *out)
{
    for (size_t i = 0; i < out->length; i++) {
        uint8_t c = out->data[i];
        require((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t');
        require(c != 0xc2 || (i + 1 < out->length && out->data[i + 1] >= 0xa0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cl_network_id network = {{1}};
    struct cl_buffer words = {0}, again = {0}, diagnostic = {0};
    enum cl_file_kind kind = cl_file_kind_of(data, size);
    require(cl_file_kind_words(kind) != NULL);
    enum cl_status status = cl_inspect_words(&words, data, size, NULL);
    require(status == cl_inspect_words(&again, data, size, NULL));
    require(words.length == again.length && (words.length == 0 || memcmp(words.data, again.data, words.length) == 0));
    harmless(&words);
    again.length = 0;
    (void)!cl_inspect_words(&again, data, size, &network);
    harmless(&again);
    if (cl_inspect_diagnostic(&diagnostic, data, size) == CL_OK)
        require(diagnostic.length > 0);
    harmless(&diagnostic);
    cl_buffer_deinit(&words);
    cl_buffer_deinit(&again);
    cl_buffer_deinit(&diagnostic);
    return 0;
}

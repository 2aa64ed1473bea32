/* Checkpoints of anybody: what decodes has one body, which its fields encode to; keys read as they are written. */
#include <stdlib.h>

#include "checkpoint.h"
#include "consent/record.h"
#include "note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_checkpoint checkpoint;
    struct cl_buffer text = {0};
    struct cl_note_key key;
    if (cl_checkpoint_decode(&checkpoint, data, size) == CL_OK) {
        require(checkpoint.signature_count <= CL_SIGNATURES_MAX && checkpoint.body.length < size);
        require(memcmp(checkpoint.body.data, data, checkpoint.body.length) == 0);
        enum cl_status status = cl_checkpoint_body(&text, checkpoint.origin, checkpoint.size, &checkpoint.root);
        if (status == CL_OK) /* ours are stricter with the origin */
            require(text.length == checkpoint.body.length && memcmp(text.data, data, text.length) == 0);
        for (size_t i = 0; i < checkpoint.signature_count; i++)
            require(cl_note_name_valid(checkpoint.signatures[i].name, strlen(checkpoint.signatures[i].name)));
    }
    text.length = 0;
    if (cl_note_key_decode(&key, (const char *)data, size) == CL_OK) {
        require(cl_note_key_encode(&text, &key) == CL_OK);
        require(text.length == size && memcmp(text.data, data, size) == 0);
    }
    cl_buffer_deinit(&text);
    return 0;
}

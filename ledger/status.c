/* Codes and sentences of the one result type, from one table. */
#include "consent/status.h"

#include <assert.h>

static const char *const codes[CL_STATUS_COUNT] = {
    "CL_OK",
#define X(name, sentence) "CL_E_" #name,
    CL_STATUS_TABLE(X)
#undef X
};

static const char *const sentences[CL_STATUS_COUNT] = {
    "Done.",
#define X(name, sentence) sentence,
    CL_STATUS_TABLE(X)
#undef X
};

const char *cl_status_code(enum cl_status status)
{
    assert(status >= CL_OK && status < CL_STATUS_COUNT);
    return codes[status];
}

const char *cl_status_sentence(enum cl_status status)
{
    assert(status >= CL_OK && status < CL_STATUS_COUNT);
    return sentences[status];
}

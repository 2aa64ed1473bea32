/* Public bodies of anybody: what decodes has one form, is bounded, shows only what its body holds, and counts as nobody's but its
   signer's. */
#include "consent/public.h"

#include "require.h"

static enum cl_status as_it_was(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct cl_public_body *body = context;
    require(memcmp(digest32, body->digest.bytes, 32) == 0);
    memcpy(signature64, body->signature64, 64);
    return CL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_public_body body;
    static const uint8_t nobody[33];
    struct cl_buffer again = {0};
    if (cl_public_body_decode(&body, data, size) != CL_OK)
        return 0;
    const struct cl_signer signer = {.key = body.signer, .sign = as_it_was, .context = &body};
    require(size <= CL_PUBLIC_BODY_BYTES_MAX && body.body.disclosure_count > 0 && body.body.disclosure_count <= body.body.digest_count);
    require(cl_public_body_check(&body, &body.network, nobody) == CL_E_PARTY);
    enum cl_status status = cl_public_body_check(&body, &body.network, body.signer.bytes);
    require(status == CL_OK || status == CL_E_SIGNATURE);
    if (status == CL_OK) { /* without a good signature nothing is written */
        require(cl_public_body_sign(&again, &body, &signer) == CL_OK);
        require(again.length == size && memcmp(again.data, data, size) == 0);
    } else {
        require(cl_public_body_sign(&again, &body, &signer) != CL_OK && again.length == 0);
    }
    cl_buffer_deinit(&again);
    return 0;
}

/* Signed acceptances of withdrawals. The second half of the work gets past the signature: the input's fields are signed
   by the member's key, and must come back as they went in. */
#include "consent/proof.h"
#include "consent/record.h"
#include "crypto.h"
#include "require.h"

static const uint8_t seed[32] = {7};

static void signed_again_is_the_same(const struct cl_acceptance *acceptance, const uint8_t *data, size_t size)
{
    struct cl_buffer again = {0};
    require(cl_acceptance_sign(&again, acceptance, seed) == CL_OK); /* Ed25519 gives one signature for one message */
    require(again.length == size && memcmp(again.data, data, size) == 0);
    cl_buffer_deinit(&again);
}

static void fields_come_back(const uint8_t key[32], const uint8_t *data, size_t size)
{
    struct cl_acceptance in, out;
    struct cl_buffer text = {0};
    if (size < 96 + 8)
        return;
    memset(&in, 0, sizeof in);
    memcpy(in.network.bytes, data, 32);
    memcpy(in.record.bytes, data + 32, 32);
    memcpy(in.leaf.bytes, data + 64, 32);
    memcpy(&in.time_ms, data + 96, 8);
    data += 104;
    size -= 104;
    memcpy(in.member, data, size < sizeof in.member ? size : sizeof in.member); /* a name without an end is refused */
    enum cl_status status = cl_acceptance_sign(&text, &in, seed);
    require((status == CL_OK) == (text.length > 0));
    if (status == CL_OK && cl_acceptance_verify(&out, text.data, text.length, key) == CL_OK) {
        require(memcmp(&in.network, &out.network, 32) == 0 && memcmp(&in.record, &out.record, 32) == 0);
        require(memcmp(&in.leaf, &out.leaf, 32) == 0 && in.time_ms == out.time_ms && strcmp(in.member, out.member) == 0);
        text.data[text.length / 2] ^= 1;
        require(cl_acceptance_verify(&out, text.data, text.length, key) != CL_OK);
    }
    cl_buffer_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t key[32];
    struct cl_acceptance acceptance;
    cl_ed25519_public(key, seed);
    if (cl_acceptance_verify(&acceptance, data, size, key) == CL_OK)
        signed_again_is_the_same(&acceptance, data, size);
    fields_come_back(key, data, size);
    return 0;
}

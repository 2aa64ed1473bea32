/* Keys for tests that have seeds. */
#ifndef TESTS_SIGNING_H
#define TESTS_SIGNING_H

#include "crypto.h"

/* Until the next call. */
static inline const struct cl_ed25519_key *signing_key(const uint8_t seed32[32])
{
    static struct cl_ed25519_key key;
    cl_ed25519_key_make(&key, seed32);
    return &key;
}

#endif

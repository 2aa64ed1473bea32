/* What a fuzz target claims: a false one ends the program, which libFuzzer and the replay both report with the input. */
#ifndef TESTS_REQUIRE_H
#define TESTS_REQUIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition)
{
    if (!condition)
        abort();
}

#endif

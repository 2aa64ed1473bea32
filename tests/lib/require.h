/* What a fuzz target claims: a false one ends the program, which libFuzzer and the replay both report with the input. */
#ifndef TESTS_REQUIRE_H
#define TESTS_REQUIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_Noreturn static inline void require_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
    abort();
}
#define require(condition) ((condition) ? (void)0 : require_failed(__FILE__, __LINE__, #condition))

#endif

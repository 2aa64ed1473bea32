/* A folder of its own for each test that writes files: setup and teardown for cmocka. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

extern char scratch[64]; /* its path, while a test runs */
int scratch_make(void **state);
int scratch_remove(void **state);

#endif

/* A folder for one test (scratch.h). */
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char scratch[64];

int scratch_make(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/consent-test-XXXXXX");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

int scratch_remove(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", scratch);
    return system(command);
}

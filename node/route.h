/* Paths: which pattern one fits, and what percent signs in it mean. Pure. */
#ifndef NODE_ROUTE_H
#define NODE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#define ROUTE_ARGUMENTS_MAX 2u
#define ROUTE_ARGUMENT_BYTES 256u /* a longer segment fits nothing */

/* pattern: "/a/{x}/b", {x} being one segment that is not empty, {x+} the rest of the path. Arguments are copied out. */
bool route_match(const char *pattern, const char *path, char arguments[ROUTE_ARGUMENTS_MAX][ROUTE_ARGUMENT_BYTES]);
/* Replaces %XX in place, but for %00, which would end the text, and %2F, which is no separator of segments: these stay as
   they are, and fit nothing. Returns the new length. */
size_t route_unescape(char *text);

#endif

/* Data folders of whole consortia on loopback, for tests and benchmarks that run nodes in their own process. Whatever fails
   here ends the program. */
#ifndef TESTS_HOMES_H
#define TESTS_HOMES_H

#include "node.h"

#define HOMES_MAX 8u

/* Members come first; who comes after them observes. */
struct homes { char directory[NODE_PATH_MAX / 2]; size_t count; struct cl_network_id network; };
/* The first of ports that follow each other and are free now, two for each node. */
unsigned homes_free_ports(size_t nodes);
bool homes_ports_are_free(unsigned first, size_t nodes);
/* Makes count folders directory/0, directory/1, … with keys, certificates and one genesis, on ports that are free now. */
void homes_make(struct homes *homes, const char *directory, size_t members, size_t observers, uint64_t d0_ms); /* 0: the default */
void homes_path(char out[NODE_PATH_MAX], const struct homes *homes, size_t number);
/* Starts the node in a folder, without HTTP. config NULL: the defaults. Errors are the caller's to look at. */
CL_MUST_USE enum cl_status homes_start(struct node **out, const struct homes *homes, size_t number, const struct node_config *config, char *sentence, size_t sentence_size);

#endif

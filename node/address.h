/* Where a node's links are: HOST:PORT takes frames, the next port of the same host answers questions. Pure. */
#ifndef NODE_ADDRESS_H
#define NODE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_ADDRESS_SIZE 256u /* with the NUL, of either */

/* A DNS name, an IPv4 address, or an IPv6 address in brackets; PORT is 1 to 65534. What stands for every address of a
   machine (0.0.0.0, [::]) is where one may listen, but nobody's address. */
bool node_address_valid(const char *address);
/* The same, or what stands for every address: where a node may listen. */
bool node_address_listens(const char *address);
/* Where questions go. address must be good for one of the two above. */
void node_address_ask(char out[NODE_ADDRESS_SIZE], const char *address);
/* Would two nodes at these valid addresses need the same port of the same host? */
bool node_addresses_collide(const char *a, const char *b);

#endif

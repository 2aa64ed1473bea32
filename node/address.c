/* Addresses of links, as member files and the genesis document give them: what a stranger wrote, so read strictly. */
#include "address.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The host's length and the port; false: not HOST:PORT. */
static bool split(size_t *host_length, unsigned long *port, const char *address)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strlen(address) > NODE_ADDRESS_SIZE - 2) return false; /* the next port may have a digit more */
    size_t digits = strspn(colon + 1, "0123456789"), length = (size_t)(colon - address);
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || colon[1] == '0') return false;
    *port = strtoul(colon + 1, NULL, 10);
    if (*port > 65534) return false;
    if (address[0] == '[') {
        size_t inner = strspn(address + 1, "0123456789abcdefABCDEF:.");
        if (inner < 2 || inner + 2 != length || address[1 + inner] != ']') return false;
    } else {
        /* A name's parts begin and end with a letter or a digit. */
        for (size_t at = 0; at < length;) {
            size_t part = strcspn(address + at, ".:");
            if (part == 0 || part > 63 || strspn(address + at, "-") > 0 || address[at + part - 1] == '-') return false;
            for (size_t i = at; i < at + part; i++)
                if (address[i] != '-' && strchr(letters, address[i]) == NULL) return false;
            at += part + 1;
            if (at == length || (at < length && address[at - 1] == ':')) return false; /* it ends with a dot; a second colon */
        }
        if (length == 0) return false;
    }
    *host_length = length;
    return true;
}

bool node_address_listens(const char *address)
{
    size_t length;
    unsigned long port;
    return split(&length, &port, address);
}

bool node_address_valid(const char *address)
{
    return node_address_listens(address) && strncmp(address, "0.0.0.0:", 8) != 0 && strncmp(address, "[::]:", 5) != 0;
}

void node_address_ask(char out[NODE_ADDRESS_SIZE], const char *address)
{
    size_t length = 0;
    unsigned long port = 0;
    bool good = split(&length, &port, address);
    assert(good);
    int used = snprintf(out, NODE_ADDRESS_SIZE, "%.*s:%lu", (int)length, address, port + 1);
    assert(used > 0 && (size_t)used < NODE_ADDRESS_SIZE);
}

bool node_addresses_collide(const char *a, const char *b)
{
    size_t a_length = 0, b_length = 0;
    unsigned long a_port = 0, b_port = 0;
    bool good = split(&a_length, &a_port, a) && split(&b_length, &b_port, b);
    assert(good);
    return a_length == b_length && strncasecmp(a, b, a_length) == 0 && a_port + 1 >= b_port && b_port + 1 >= a_port;
}

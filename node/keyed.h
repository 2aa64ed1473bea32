/* A table's place for a hash that strangers may have chosen: without the key nobody can grind many into one chain. */
#ifndef NODE_KEYED_H
#define NODE_KEYED_H

#include <stdint.h>
#include <string.h>

/* key: random and secret; its first word is odd, or made so. Take the low bits. */
static inline uint64_t keyed_place(const uint64_t key[2], const uint8_t hash32[32])
{
    uint64_t low, high;
    memcpy(&low, hash32, 8);
    memcpy(&high, hash32 + 8, 8);
    uint64_t mixed = (low ^ key[1]) * (key[0] | 1) + high;
    mixed ^= mixed >> 29;
    mixed *= 0xbf58476d1ce4e5b9ull;
    return mixed >> 20;
}

#endif

/* Names for things of the same shape, so that a block id cannot be passed for a record id. */
#ifndef CONSENT_TYPES_H
#define CONSENT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All are SHA-256 values, 32 bytes; formats.cddl says of what. */
struct cl_hash { uint8_t bytes[32]; };       /* a node of the log or of the state tree */
struct cl_network_id { uint8_t bytes[32]; };
struct cl_object_id { uint8_t bytes[32]; };
struct cl_record_id { uint8_t bytes[32]; };
struct cl_leaf_hash { uint8_t bytes[32]; };  /* the log's hash of a full record or state leaf */
struct cl_block_id { uint8_t bytes[32]; };
struct cl_commitment { uint8_t bytes[32]; };

struct cl_public_key { uint8_t bytes[33]; }; /* secp256k1, compressed (SEC 1) */
struct cl_signature { uint8_t bytes[64]; };  /* ECDSA r || s, low s */

/* A side of an agreement: length 33 is a key, 32 an object whose present key acts, 0 nobody yet. */
struct cl_party { uint8_t length; uint8_t bytes[33]; };

/* Borrowed bytes. */
struct cl_view { const uint8_t *data; size_t length; };

/* Heap bytes that grow; the owner calls cl_buffer_deinit. Starts as all zero, or as { .secret = true }: then what is in it
   leaves no copy behind when it grows, and is wiped at the end. */
struct cl_buffer { uint8_t *data; size_t length; size_t capacity; bool secret; };

static inline bool cl_party_equal(const struct cl_party *a, const struct cl_party *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

#endif

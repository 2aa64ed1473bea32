/* Every table of the ledger's one database. The first byte of a key names its table. Numbers in keys are big-endian, so
   that the database's order is theirs.

   key                                    value                                  kind
   ------------------------------------   ------------------------------------   -------------------------------------
   b  height:8                            stored-block (formats.cddl), crc:4     authoritative
   r  first log index:8                   leaves: (length:2, bytes)…             authoritative; one chunk, about 32 KiB
   h  level:1  tile:8                     hashes:32…                             rebuilt from r
   s  H(tree key):32                      state value (formats.cddl)             rebuilt from r by the rules
   i  record id:32                        log index:8                            rebuilt
   p  length:1  party:33 or 32  object:32 nothing                                rebuilt; what a key or profile is part of
   T  object:32                           nothing                                rebuilt; all TERMS
   y  object:32  ~log index:8             previous head:32, or nothing           rebuilt; see below
   w  leaf hash:32                        record bytes                           withdrawals promised, not yet final
   m  "format"                            version:4, crc:4                       authoritative
   m  "network"                           network id:32, crc:4                   authoritative
   m  "tip"                               tip (below), crc:4                     rebuilt from b
   m  "checkpoint"                        checkpoint (below), crc:4              authoritative: what was signed

   tip        = [ 1, height: uint, time: ms, log_size: uint, epoch: uint, view: uint, block_id: hash, log_root: hash,
                  state_root: hash, state_leaves: uint ]
   checkpoint = [ 1, size: uint, root: hash, note: bstr ]
   crc        = CRC-32C of the table's byte and the value before it

   A chunk never spans two blocks, and the last leaf of a block's last chunk is its state leaf; the chunk of a leaf is
   found by seeking to the greatest key at or below its index. Chunk bytes are those of a tile of entries (C2SP
   tlog-tiles). Level 0 of h holds complete tiles only (what follows is hashed from the leaves when asked for); the
   last tile of a higher level is rewritten as it grows.
   What r says is proven by the block id in b, which chains to the next; h by the log root; s by the state root.

   History of an object: its state names its head, a record; the record's `prev` names the head before; and so on.
   Only what this chain does not tell is in y: entries without `prev` (where they moved the head: what it was), and
   those that did not move the head. So a plain GRANT costs three small writes: i, s, p. */
#ifndef LEDGER_TABLES_H
#define LEDGER_TABLES_H

#include "consent/types.h"

enum cl_table {
    CL_TABLE_BLOCK = 'b', CL_TABLE_LEAVES = 'r', CL_TABLE_TILE = 'h', CL_TABLE_STATE = 's', CL_TABLE_PLACE = 'i',
    CL_TABLE_PARTY = 'p', CL_TABLE_TERMS = 'T', CL_TABLE_HISTORY = 'y', CL_TABLE_WITHDRAWAL = 'w', CL_TABLE_META = 'm'
};

#define CL_STORE_FORMAT 1u
#define CL_CHUNK_BYTES 32768u

struct cl_table_key { size_t length; uint8_t bytes[72]; };

void cl_put_u64(uint8_t out8[8], uint64_t value);
uint64_t cl_get_u64(const uint8_t in8[8]);

void cl_key_number(struct cl_table_key *key, enum cl_table table, uint64_t number);
void cl_key_hash(struct cl_table_key *key, enum cl_table table, const uint8_t hash32[32]);
void cl_key_tile(struct cl_table_key *key, unsigned level, uint64_t number);
void cl_key_party(struct cl_table_key *key, const uint8_t *party, size_t party_length, const uint8_t object32[32]);
void cl_key_history(struct cl_table_key *key, const uint8_t object32[32], uint64_t log_index);
void cl_key_meta(struct cl_table_key *key, const char *name);

#endif

/* What the reader and the maker of records share. */
#ifndef LEDGER_RECORD_INTERNAL_H
#define LEDGER_RECORD_INTERNAL_H

#include "consent/record.h"

/* The protected header up to the 33 bytes of the signer's key: { 1: -47, 4: h'…' }. */
#define CL_RECORD_PROTECTED_START "\xa2\x01\x38\x2e\x04\x58\x21"
#define CL_RECORD_PROTECTED_LENGTH 40u

/* 64 for types whose records a proof shows whole, else 1,000. */
size_t cl_record_entries_max(enum cl_record_type type);
/* Order of two entries in a record: bytewise order of key 1's encoding. */
int cl_entry_compare(const struct cl_entry *a, const struct cl_entry *b);
/* Bytes of the record around a payload of this length. */
size_t cl_record_length(size_t payload_length);
/* H(Sig_structure): the record's id, and what is signed. */
void cl_record_digest(struct cl_record_id *out, const uint8_t signer33[33], const uint8_t *payload, size_t length,
                      const struct cl_network_id *network);

#endif

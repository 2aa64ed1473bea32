/* Records that a fuzzer's bytes describe. Bytes choose types, signers, objects and the odd fault; what is not chosen is
   filled in from the state as an honest wallet would, so that most records come through and lives grow long. */
#ifndef TESTS_SCRIPT_H
#define TESTS_SCRIPT_H

#include "rules.h"

#define SCRIPT_KEYS 8u      /* people; the last one is the token key of every connect code */
#define SCRIPT_ENTRIES_MAX 12u
#define SCRIPT_OBJECTS_MAX 24u
#define SCRIPT_STATES_MAX 128u
#define SCRIPT_VALUE_BYTES_MAX 4096u
#define SCRIPT_START_MS 1800000000000ull

extern const struct cl_network_id script_network;
const uint8_t *script_key(unsigned n);    /* 33 bytes */
const uint8_t *script_secret(unsigned n); /* 32 bytes */
unsigned script_key_number(const uint8_t key33[33]); /* SCRIPT_KEYS: a stranger's */

/* A state in memory. Writes are counted, and what they replaced is kept until the next script_state_mark. */
struct script_value { uint8_t key[32]; size_t length, old_length; bool existed, written; uint8_t bytes[SCRIPT_VALUE_BYTES_MAX], old[SCRIPT_VALUE_BYTES_MAX]; };
struct script_state { size_t count, put_count; struct script_value values[SCRIPT_STATES_MAX]; };
void script_state_init(struct script_state *state); /* the network's value, with one member: key 6 */
void script_state_mark(struct script_state *state);
struct cl_state_access script_state_access(struct script_state *state);
const struct script_value *script_state_find(const struct script_state *state, const uint8_t key32[32]);

struct script {
    const uint8_t *at, *end;
    uint64_t now_ms;          /* of the block that the next record is in */
    size_t object_count, record_count;
    struct { uint8_t id[32]; enum cl_state_kind kind; } objects[SCRIPT_OBJECTS_MAX];
};
void script_init(struct script *script, const uint8_t *data, size_t size);
/* Tells it what a record that was applied has opened. */
void script_opened(struct script *script, const uint8_t id32[32], enum cl_state_kind kind);

struct script_entry_bytes {
    uint8_t nonce[16], object[32], prev[32], commitment[32], audience[33], opening[64], ref[32], key[33], party[32], recovery[32];
};
struct script_record {
    enum cl_record_type type;
    unsigned signer;
    bool skip_refused;
    uint64_t issued_at_ms;
    size_t entry_count;
    struct cl_entry entries[SCRIPT_ENTRIES_MAX]; /* they borrow from bytes: do not move */
    struct script_entry_bytes bytes[SCRIPT_ENTRIES_MAX];
};
/* False where the bytes are used up. Moves the clock. */
bool script_next(struct script *script, struct script_record *out, const struct script_state *state);
/* Payload bytes of the record (appended), as its signer would sign them. A refusal: its form is wrong. */
enum cl_status script_payload(struct cl_buffer *payload, struct script_record *record);
/* The id that an entry is about. */
void script_entry_object(uint8_t id32[32], const uint8_t signer33[33], const struct cl_entry *entry);

#endif

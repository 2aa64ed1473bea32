/* A small world for tests of the rules: keys of people, a state in memory, a clock, and entries built in one line.
   Every act is a whole record that goes through the codec; a refused one is checked to have changed nothing. */
#ifndef TESTS_RULES_WORLD_H
#define TESTS_RULES_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto.h"
#include "rules.h"

#define STORY_START_MS 1800000000000ull /* the clock at the start of each test */
#define STORY_START_S (STORY_START_MS / 1000)
#define STORY_DAY_S 86400ull

extern struct cl_network_id story_network;
extern uint64_t story_now_ms;      /* the block's time; +1 after each act */
extern uint64_t story_issued_at;   /* 0: as now */
extern bool story_skip_refused;    /* payload key 4 */
extern struct cl_touched story_touched[1000];
extern size_t story_touched_count;
extern uint32_t story_refused_entry, story_applied_count;
extern struct cl_record_id story_record_id; /* of the last act */
extern size_t story_put_count;
extern enum cl_status story_get_fails, story_put_fails; /* the environment fails with this; CL_OK: it works */

int story_setup(void **state); /* cmocka's setup and teardown */
int story_teardown(void **state);

const uint8_t *story_key(unsigned n);    /* 33 bytes, public; n from 1 */
const uint8_t *story_secret(unsigned n); /* 32 bytes */
const uint8_t *story_hash(unsigned n);   /* 32 bytes that stand for n */
const uint8_t *story_id(unsigned signer, uint8_t nonce); /* the object that signer opens with that nonce */
/* Members' party keys are these; story_setup makes one member of key 90. */
void story_members(const unsigned *keys, size_t count);

/* ---- entries */
struct cl_entry on_new(uint8_t nonce);
struct cl_entry on(const uint8_t *id32);
struct cl_entry with_prev(struct cl_entry entry); /* the object's present head */
struct cl_entry with_prev_of(struct cl_entry entry, const uint8_t *head32);
struct cl_entry with_commitment(struct cl_entry entry, unsigned n);
struct cl_entry with_before(struct cl_entry entry, uint64_t seconds);
struct cl_entry with_after(struct cl_entry entry, uint64_t seconds);
struct cl_entry with_audience_key(struct cl_entry entry, unsigned salt, const uint8_t *answerer, size_t length);
struct cl_entry with_audience_token(struct cl_entry entry, unsigned token);
struct cl_entry with_opening(struct cl_entry entry, const uint8_t *bytes, uint8_t length);
struct cl_entry with_token(struct cl_entry entry, unsigned token, const uint8_t *bearer, const uint8_t *agreement, unsigned signer);
struct cl_entry with_ref(struct cl_entry entry, const uint8_t *ref32);
struct cl_entry with_slots(struct cl_entry entry, uint64_t slots);
struct cl_entry with_reason(struct cl_entry entry, uint8_t reason);
struct cl_entry with_limit(struct cl_entry entry, uint64_t limit);
struct cl_entry with_key(struct cl_entry entry, const uint8_t *key, uint8_t length);
struct cl_entry with_party(struct cl_entry entry, const uint8_t *profile32);
struct cl_entry with_mode(struct cl_entry entry, uint64_t mode);
struct cl_entry with_recovery(struct cl_entry entry, unsigned key);

/* ---- acts */
enum cl_status story_act(unsigned signer, enum cl_record_type type, struct cl_entry entry);
enum cl_status story_acts(unsigned signer, enum cl_record_type type, struct cl_entry *entries, size_t count);
#define allow(signer, type, entry) assert_string_equal(cl_status_code(story_act(signer, type, entry)), "CL_OK")
#define refuse(code, signer, type, entry) \
    assert_string_equal(cl_status_code(story_act(signer, type, entry)), cl_status_code(code))

/* ---- what the state holds; abort where it is not there */
const struct cl_agreement *story_agreement(const uint8_t *id32);
const struct cl_terms *story_terms(const uint8_t *id32);
const struct cl_profile *story_profile(const uint8_t *id32);
bool story_has(const uint8_t *key32);
void story_damage(const uint8_t *key32, size_t offset); /* flips a bit of the stored value, or flips it back */

/* ---- stories that many tests start from */
const uint8_t *story_offer(unsigned customer, uint8_t nonce, uint64_t slots);        /* GRANT opens; commitment 1 */
const uint8_t *story_active(unsigned customer, unsigned organisation, uint8_t nonce, uint64_t slots);
const uint8_t *story_make_terms(unsigned owner, uint8_t nonce, uint64_t mode, uint64_t limit); /* slots 7 */
const uint8_t *story_make_profile(unsigned key, uint8_t nonce);                       /* recovery key: key + 50 */
struct cl_entry subscribe_to(const uint8_t *terms32, uint8_t nonce);

#endif

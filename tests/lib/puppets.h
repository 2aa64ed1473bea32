/* One real node, member 0 of four, in this process; the other three members are puppets of the test: they have real links
   and keys, and say what the test says. Three of four are a quorum, so a test can show the node any certificate. Whatever
   fails here ends the program. */
#ifndef TESTS_PUPPETS_H
#define TESTS_PUPPETS_H

#include "fixture.h"
#include "homes.h"
#include "node_private.h"

#define PUPPETS_MEMBERS 4u
#define PUPPETS_SHELF_MAX 128u
#define PUPPETS_HEARD_MAX 4096u

/* A block as its leader makes it, on genesis or on another one. */
struct puppet_block {
    struct order_block block;
    struct cl_candidate *candidate;
    struct cl_candidate_summary summary;
    struct cl_buffer proposal;
};
/* What a puppet says when it is asked for a hash; what it has nothing for it answers with its status. */
struct puppet_shelf { uint8_t hash[32]; enum frame_kind kind; struct cl_buffer bytes; };
struct puppets;
struct puppet {
    struct puppets *all;
    size_t member;
    struct node_keys keys;
    struct transport *transport;
    struct puppet_shelf shelf[PUPPETS_SHELF_MAX];
    size_t shelf_count;
    bool silent;                       /* answers no question */
};
/* What the node said or asked: votes and proposals (only what puppet 1 hears, since all hear the same), questions, and
   fetches as frames. count: of hashes, of a proposal's records. */
enum puppet_news { NEWS_VOTE, NEWS_PROPOSAL, NEWS_QUESTION, NEWS_FETCH };
struct puppet_heard { enum puppet_news news; size_t member; uint64_t at_ms; struct cl_vote vote; uint8_t hash[32]; size_t count; };
struct puppets {
    char directory[64];
    struct homes homes;
    struct node_genesis genesis;
    struct fixture_network network;
    struct node *node;
    struct node_config config;
    struct cl_store store;             /* a ledger to make blocks with; it stays at genesis */
    struct cl_smt_buckets buckets;
    struct cl_ledger *ledger;
    uint64_t time_ms, customer;
    struct puppet puppets[PUPPETS_MEMBERS]; /* 0 is not used */
    pthread_mutex_t lock;              /* shelves and what was heard */
    struct puppet_heard heard[PUPPETS_HEARD_MAX];
    size_t heard_count;
};

void puppets_open(struct puppets *puppets, const struct node_config *config); /* NULL: the defaults; returns once all links are up */
/* As that, with another D0: long, where a timer must not decide. */
void puppets_open_patient(struct puppets *puppets, const struct node_config *config, uint64_t d0_ms);
void puppets_close(struct puppets *puppets);
void puppets_stop_node(struct puppets *puppets); /* it has to stop well */
void puppets_start_node(struct puppets *puppets);
/* Until it is so, or the test fails with `what`. */
void puppets_wait(struct puppets *puppets, bool (*is_so)(struct puppets *puppets, const void *argument), const void *argument, const char *what);
void puppets_pause(unsigned ms);

/* ---- blocks */
size_t puppets_leader(const struct puppets *puppets, uint64_t view);
/* The first view from this one on that a puppet leads. */
uint64_t puppets_view(const struct puppets *puppets, uint64_t from);
struct cl_ledger_record *puppets_grant(struct puppets *puppets); /* a record that applies */
struct cl_ledger_record *puppets_large(struct puppets *puppets); /* one of 50 KB */
/* parent NULL: genesis. Takes nothing of the records. Justified by the parent's notarization and nullifications between, the
   newest 63. */
void puppets_make(struct puppets *puppets, struct puppet_block *out, const struct puppet_block *parent, uint64_t view, struct cl_ledger_record **records, size_t count);
void puppet_block_free(struct puppet_block *block);
/* Its proposal with something else in it. */
void puppets_alter(struct cl_buffer *out, const struct cl_buffer *proposal, void (*change)(struct cl_proposal *proposal));

/* ---- to the node */
void puppets_vote(struct puppets *puppets, struct cl_vote *out, size_t member, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block);
void puppets_send(struct puppets *puppets, size_t member, enum lane lane, enum frame_kind kind, const struct cl_view *items, size_t count);
void puppets_send_payload(struct puppets *puppets, size_t member, enum lane lane, enum frame_kind kind, const struct cl_buffer *payload);
void puppets_send_vote(struct puppets *puppets, size_t member, const struct cl_vote *vote, enum lane lane);
void puppets_certify(struct puppets *puppets, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block); /* from puppet 1 */
void puppets_propose(struct puppets *puppets, const struct puppet_block *block, const struct cl_buffer *proposal); /* NULL: its own */
void puppets_announce(struct puppets *puppets, size_t member, const struct cl_ledger_record *record);
void puppets_send_record(struct puppets *puppets, size_t member, const struct cl_ledger_record *record);
/* Asks the node for what has this hash, and waits. Returns the answer's kind; FRAME_HELLO: there was none. */
enum frame_kind puppets_ask(struct puppets *puppets, size_t member, const uint8_t hash[32]);

/* ---- what puppets answer */
void puppets_put(struct puppets *puppets, size_t member, const uint8_t hash[32], enum frame_kind kind, const void *bytes, size_t length);
void puppets_put_block(struct puppets *puppets, size_t member, const struct puppet_block *block, const struct cl_buffer *proposal);
void puppets_put_record(struct puppets *puppets, size_t member, const struct cl_ledger_record *record);
void puppets_silence(struct puppets *puppets, size_t member, bool silent);
void puppets_empty(struct puppets *puppets, size_t member);

/* ---- what the node said */
bool puppets_heard_vote(struct puppets *puppets, enum cl_vote_kind kind, uint64_t view, const struct cl_block_id *block); /* NULL: of any */
size_t puppets_heard(struct puppets *puppets, enum puppet_news news, size_t member, const uint8_t hash[32]); /* how often; SIZE_MAX: whoever */
/* The first of this kind; false: none yet. */
bool puppets_first(struct puppets *puppets, struct puppet_heard *out, enum puppet_news news);
uint64_t puppets_height(struct puppets *puppets);

#endif

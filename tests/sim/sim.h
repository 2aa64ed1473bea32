/* Whole consortia in one process, on a virtual clock, network and disk, all from one seed. world.c: clock, queue, network,
   truth; member.c: carries out what ordering asks for, as a node would; hostile.c: Byzantine members; main.c: seeds. */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "vote_recovery.h"

#include <stdio.h>

#define SIM_MEMBERS_MAX 31u
#define SIM_BLOCKS_MAX 4096u
#define SIM_RECORDS_MAX 64u
#define SIM_LOG_MAX 4096u
#define SIM_HELD_MAX 4096u
#define SIM_CERTIFICATES_KEPT 256u /* that hostile members can replay */
#define SIM_D0_MS 200u

/* ---- blocks are abstract: every block ever made, by index */
struct sim_block { struct cl_block_id id; size_t parent, height; uint64_t view, parent_view, time_ms, records; bool valid; };

enum sim_message_kind { SIM_VOTE, SIM_CERTIFICATE, SIM_PROPOSAL, SIM_RECORDS, SIM_FETCH, SIM_BLOCK, SIM_FINAL, SIM_RECOVERY_QUESTION, SIM_RECOVERY_ANSWER };
struct sim_message {
    enum sim_message_kind kind;
    size_t references;
    struct cl_vote vote;
    struct cl_certificate *certificate;
    struct order_block block;
    size_t index;                 /* of the block */
    uint64_t records;             /* a bit for each */
    struct cl_buffer justification; /* or nonce, or answer */
};

enum sim_what { SIM_DELIVER, SIM_TIMER, SIM_SYNCED, SIM_ANSWER, SIM_WAKE, SIM_GOSSIP, SIM_RESTART, SIM_CRASH, SIM_ASK, SIM_HOSTILE, SIM_HEAL, SIM_NEW_RECORD };
struct sim_item {
    uint64_t time, order;
    enum sim_what what;
    size_t member, from;
    uint64_t life, number;        /* of which life of the member; timer's generation, sync's sequence, record, crash's loss */
    size_t entries;               /* synced: how many of the log */
    enum consensus_timer timer;
    struct sim_message *message;
    struct consensus_event event; /* an answer */
};

enum sim_entry_kind { SIM_ENTRY_BLOCK, SIM_ENTRY_VOTE, SIM_ENTRY_CERTIFICATE, SIM_ENTRY_BAR };
enum sim_loss { SIM_LOSS_NONE, SIM_LOSS_LOG, SIM_LOSS_NEWER }; /* the whole vote log; that, and the ledger is an old one */
struct sim_entry { enum sim_entry_kind kind; uint64_t view; struct order_block block; struct cl_vote vote; struct cl_certificate *certificate; };
struct sim_held { uint64_t sequence; struct consensus_effect effect; struct sim_message *message; };

/* A ledger: what is durable at once. */
struct sim_ledger { size_t final; uint64_t final_view, final_records; struct cl_buffer final_certificate; };

struct sim_member {
    struct consensus *consensus;  /* NULL: down, or hostile */
    bool hostile;
    uint64_t life, skew_ms, disk_ms, vote_seed;
    uint64_t timer_generation[CONSENSUS_TIMERS];
    bool bodies[SIM_BLOCKS_MAX];  /* in memory, with records */
    uint64_t pool;                /* records heard of and not final here; kept over a crash, as accepted ones are */
    struct sim_entry log[SIM_LOG_MAX];
    size_t log_count, log_synced;
    uint64_t synced;
    struct sim_held held[SIM_HELD_MAX];
    size_t held_count;
    struct sim_ledger ledger, old; /* old: as it was some time ago */
    struct vote_recovery recovery;
    bool lost;                    /* it does not know what it signed in views that are not over */
    enum sim_loss loss;           /* of the next crash */
    struct sim_message *proposal; /* the newest of our own, to be sent again */
    uint64_t crash_in;            /* disk operations until a crash; 0: none */
    bool fell;                    /* it crashed within this step */
    uint64_t sent;
};

/* What a correct member sent in a view, to check it from outside. */
struct sim_sent { uint64_t view; bool notarized, finalized, nullified; struct cl_block_id notarize; };

struct sim {
    uint64_t seed, random, now, order;
    size_t member_count, hostile_count;
    bool real_signatures, healed, failed, trace;
    char failure[256];
    FILE *out;
    struct cl_network_id network;
    struct cl_member members[SIM_MEMBERS_MAX];
    uint8_t seeds[SIM_MEMBERS_MAX][32];
    struct consensus_signatures signatures[SIM_MEMBERS_MAX];
    struct sim_signer { struct sim *sim; size_t member; } signers[SIM_MEMBERS_MAX]; /* contexts of the above: one key each */
    struct sim_member *member;    /* member_count */
    struct sim_block blocks[SIM_BLOCKS_MAX];
    size_t block_count;
    size_t final_at[SIM_BLOCKS_MAX], height_max; /* by height: what the first correct member made final; 0: none yet */
    struct sim_sent *sent[SIM_MEMBERS_MAX];
    size_t sent_count[SIM_MEMBERS_MAX], sent_capacity[SIM_MEMBERS_MAX];
    struct sim_item *queue;
    size_t queue_count, queue_capacity;
    struct sim_message *certificates[SIM_CERTIFICATES_KEPT];
    size_t certificate_count;
    uint64_t loss_permille, duplicate_permille, delay_ms, slow_permille; /* until healing */
    uint8_t side[SIM_MEMBERS_MAX];
    bool partitioned;
    uint64_t records_made, steps;
    struct consensus_effects *effects;
};

/* ---- world.c */
uint64_t sim_random(struct sim *sim, uint64_t below);
bool sim_chance(struct sim *sim, uint64_t permille);
void sim_push(struct sim *sim, const struct sim_item *item, uint64_t delay_ms);
bool sim_pop(struct sim *sim, struct sim_item *out);
struct sim_message *sim_message_new(enum sim_message_kind kind);
void sim_message_unref(struct sim_message *message);
void sim_send(struct sim *sim, size_t from, size_t to, struct sim_message *message);      /* may be lost */
void sim_broadcast(struct sim *sim, size_t from, struct sim_message *message);            /* takes the reference */
size_t sim_block_make(struct sim *sim, const struct sim_block *like);                     /* index; 0: no room */
size_t sim_block_find(const struct sim *sim, const struct cl_block_id *id);               /* SIZE_MAX: none */
void sim_sign_bytes(const struct sim *sim, size_t member, uint8_t signature64[64], const void *data, size_t length);
bool sim_verify_bytes(const struct sim *sim, size_t member, const uint8_t signature64[64], const void *data, size_t length);
void sim_sign(struct sim *sim, size_t member, struct cl_vote *vote);
bool sim_certificate_good(struct sim *sim, const struct cl_certificate *certificate);
void sim_note_certificate(struct sim *sim, const struct cl_certificate *certificate);
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_tell(struct sim *sim, size_t member, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sim_check_final(struct sim *sim, size_t member, size_t block);
void sim_check_sent(struct sim *sim, size_t member, const struct cl_vote *vote);

/* ---- member.c */
void sim_member_start(struct sim *sim, size_t index);
void sim_member_crash(struct sim *sim, size_t index);
void sim_member_take(struct sim *sim, struct sim_item *item);
void sim_member_free(struct sim_member *member);

/* ---- hostile.c */
void sim_hostile_act(struct sim *sim, size_t index);
void sim_hostile_answer(struct sim *sim, size_t index, size_t from, const struct sim_message *question);

#endif

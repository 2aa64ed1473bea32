/* Orders proposed blocks: Simplex as a pure step function. Events come in with the time, effects go out in the order in
   which they must be carried out: what is appended before a sync is durable before what follows the sync. No clock, no
   sockets, no disk. Written for n members; a consortium of one takes the same path.

   Rule numbers in consensus.c are those of node/README.md, "Agreement". Timers, own nullify votes, waking by others and
   catching up (rules 4, 8, 9, 10) come with links between nodes: they add events and effects. */
#ifndef NODE_CONSENSUS_H
#define NODE_CONSENSUS_H

#include "order.h"

#define CONSENSUS_VIEWS_AHEAD_MAX 16u /* votes for views beyond current + 16 are dropped (rule 11) */
#define CONSENSUS_EFFECTS_MAX 256u

struct consensus_config {
    const struct cl_network_id *network;
    const struct cl_member *members;  /* borrowed, of this epoch */
    size_t member_count, own;         /* own: index of this node */
    uint8_t vote_seed[32];
    uint64_t epoch, final_view;       /* 0: genesis */
    struct cl_block_id final_block;
    struct cl_view final_certificate; /* its bytes; empty for genesis */
};

enum consensus_event_kind {
    CONSENSUS_WAKE,        /* a record waits */
    CONSENSUS_BUILT,       /* answer to BUILD: block */
    CONSENSUS_NOTHING,     /* answer to BUILD: no record applies; view */
    CONSENSUS_SYNCED,      /* the vote log is durable up to sequence */
    CONSENSUS_VOTE,        /* of another member; its signature is checked here */
    CONSENSUS_CERTIFICATE  /* from another member; checked here */
};
struct consensus_event {
    enum consensus_event_kind kind;
    uint64_t now_ms, sequence, view;
    struct order_block block;
    const struct cl_vote *vote;
    const struct cl_certificate *certificate;
};

enum consensus_effect_kind {
    CONSENSUS_APPEND_PROPOSAL,    /* block.id: its records, then the proposal, to the vote log */
    CONSENSUS_APPEND_VOTE,        /* vote */
    CONSENSUS_APPEND_CERTIFICATE, /* certificate */
    CONSENSUS_SYNC,               /* then answer SYNCED with sequence */
    CONSENSUS_SEND_PROPOSAL,      /* the rest of these only once sequence is synced */
    CONSENSUS_SEND_VOTE,
    CONSENSUS_SEND_CERTIFICATE,
    CONSENSUS_BUILD,              /* block.view on block.parent with justification; answer BUILT or NOTHING */
    CONSENSUS_COMMIT              /* block is final; certificate proves it (NULL: a descendant's does) */
};
struct consensus_effect {
    enum consensus_effect_kind kind;
    uint64_t sequence;
    struct order_block block;
    struct cl_vote vote;
    const struct cl_certificate *certificate; /* until the next step */
    struct cl_view justification;             /* until the next step: CBOR array of certificates */
};
struct consensus_effects { size_t count; struct consensus_effect items[CONSENSUS_EFFECTS_MAX]; };

struct consensus;
CL_MUST_USE enum cl_status consensus_new(struct consensus **out, const struct consensus_config *config);
void consensus_free(struct consensus *consensus);
/* Appends to effects. CL_OK, CL_E_MEMORY. Events that are wrong, late or early are counted and otherwise without effect. */
CL_MUST_USE enum cl_status consensus_step(struct consensus *consensus, struct consensus_effects *effects, const struct consensus_event *event);

/* At start, from the vote log, in its order: what this node did is known and durable. What is not above the last final
   view is ignored. Then resume goes on from there. */
CL_MUST_USE enum cl_status consensus_restore_proposal(struct consensus *consensus, const struct order_block *block);
CL_MUST_USE enum cl_status consensus_restore_vote(struct consensus *consensus, const struct cl_vote *vote);
CL_MUST_USE enum cl_status consensus_restore_certificate(struct consensus *consensus, const struct cl_certificate *certificate);
CL_MUST_USE enum cl_status consensus_resume(struct consensus *consensus, struct consensus_effects *effects);
/* What a vote log that starts anew must hold: APPEND effects for all above the last final view. */
CL_MUST_USE enum cl_status consensus_retained(struct consensus *consensus, struct consensus_effects *effects);

struct consensus_report { uint64_t view, final_view, votes_dropped, certificates_dropped, evidence; };
void consensus_report(const struct consensus *consensus, struct consensus_report *out);
/* Leader of a view: (epoch seed + view) mod n; epoch seed = first 8 bytes, big-endian, of
   H("consent/v1 leader" 00 || network id || epoch as 8 bytes big-endian). */
size_t consensus_leader(const struct cl_network_id *network, uint64_t epoch, uint64_t view, size_t member_count);

#endif

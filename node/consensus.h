/* Orders proposed blocks: Simplex as a pure step function. Events come in with the time, effects go out in the order in
   which they must be carried out: what is appended before a sync is durable before what follows the sync. No clock, no
   sockets, no disk, no randomness. Rule numbers in the code are those of node/README.md, "Agreement". A consortium of one
   takes the same path; it arms no timers and sends nothing.

   Whoever carries out the effects (the executor) holds blocks, records and proposal bytes by block id; ordering knows a
   block by its id, its parent's id, and the views of both. */
#ifndef NODE_CONSENSUS_H
#define NODE_CONSENSUS_H

#include "order.h"

#define CONSENSUS_VIEWS_AHEAD_MAX 16u /* votes and proposals for views beyond current + 16 are dropped (rule 11) */
#define CONSENSUS_BODIES_MAX 512u     /* blocks not final that are known; beyond, catching up by height is asked for */
#define CONSENSUS_EFFECTS_MAX 1024u   /* of one step; a commit of all bodies and a resend fit */
#define CONSENSUS_D_MS_MAX 5000u      /* rule 10 */
#define CONSENSUS_RESEND_IDLE_MS 10000u
#define CONSENSUS_EVIDENCE_MAX 4u     /* kept for each member */
#define CONSENSUS_JUSTIFICATION_MAX 64u /* certificates in one proposal (formats.cddl: a frame has as many) */
#define CONSENSUS_JUSTIFICATION_BYTES_MAX (CL_FRAME_BYTES_MAX / 2) /* of ours: the other half of a frame is for records */

/* How votes are signed and checked; NULL in the configuration: Ed25519 with vote_seed and the members' vote keys. */
struct consensus_signatures {
    void *context;
    void (*sign)(void *context, uint8_t signature64[64], const void *data, size_t length);
    bool (*verify)(void *context, size_t member, const uint8_t signature64[64], const void *data, size_t length);
};

struct consensus_config {
    const struct cl_network_id *network;
    const struct cl_member *members;  /* borrowed, of this epoch */
    size_t member_count, own;         /* own: index of this node */
    uint8_t vote_seed[32];
    const struct consensus_signatures *signatures; /* borrowed, or NULL */
    uint64_t d0_ms;                   /* the network's parameter; 1 to CONSENSUS_D_MS_MAX where there are others */
    uint64_t epoch, final_view;       /* 0: genesis */
    struct cl_block_id final_block;
    struct cl_view final_certificate; /* its bytes; empty for genesis */
};

/* now_ms is of a clock that nobody sets; deadlines of timers are on the same clock. */
enum consensus_event_kind {
    CONSENSUS_WAKE,        /* a record waits that is in no final block; said again after each COMMIT and FINAL while that is so */
    CONSENSUS_BUILT,       /* answer to BUILD: block */
    CONSENSUS_NOTHING,     /* no record waits or applies: answer to BUILD (view), or the pool ran empty */
    CONSENSUS_SYNCED,      /* the vote log is durable up to sequence */
    CONSENSUS_VOTE,        /* of another member; its signature is checked here */
    CONSENSUS_CERTIFICATE, /* from another member; checked here */
    CONSENSUS_PROPOSAL,    /* block, the leader's propose vote, justification; checked here as far as votes tell. The vote does
                              not sign parent_view and justification: the executor takes them from the leader's own link */
    CONSENSUS_VERDICT,     /* answer to VALIDATE: block, verdict */
    CONSENSUS_BLOCK,       /* answer to FETCH: the block with this id and all its records are at hand */
    CONSENSUS_FINAL,       /* the executor caught up by height: block is final and stored; certificate is of its view */
    CONSENSUS_RECOVERED,   /* the others said (vote_recovery.h) up to which view this node, which lost its vote log, must not vote */
    CONSENSUS_TIMER        /* timer, at or after its deadline */
};
enum consensus_verdict {
    CONSENSUS_VALID,   /* everything at hand, every rule kept: it may be voted for */
    CONSENSUS_INVALID, /* breaks a rule, or its time is more than 60 s behind: never voted for */
    CONSENSUS_PENDING  /* something is missing, or its time is more than 2 s ahead: asked again later */
};
enum consensus_timer { CONSENSUS_TIMER_LEADER, CONSENSUS_TIMER_ADVANCE, CONSENSUS_TIMER_PROPOSE, CONSENSUS_TIMER_RESEND, CONSENSUS_TIMERS };
struct consensus_event {
    enum consensus_event_kind kind;
    uint64_t now_ms, sequence, view;
    struct order_block block;
    const struct cl_vote *vote;
    const struct cl_certificate *certificate;
    struct cl_view justification; /* CBOR array of certificates, as in a proposal */
    enum consensus_verdict verdict;
    enum consensus_timer timer;
};

enum consensus_effect_kind {
    CONSENSUS_APPEND_PROPOSAL,    /* block.id: its records, then the proposal, to the vote log */
    CONSENSUS_APPEND_VOTE,        /* vote */
    CONSENSUS_APPEND_CERTIFICATE, /* certificate */
    CONSENSUS_APPEND_BAR,         /* view, as consensus_restore_bar takes it */
    CONSENSUS_SYNC,               /* then answer SYNCED with sequence */
    CONSENSUS_SEND_PROPOSAL,      /* block, propose vote. SENDs go to every other member, once sequence is synced */
    CONSENSUS_SEND_VOTE,
    CONSENSUS_SEND_CERTIFICATE,
    CONSENSUS_BUILD,              /* block.view on block.parent with justification; answer BUILT or NOTHING */
    CONSENSUS_VALIDATE,           /* block, whose parent is final or at hand; answer VERDICT */
    CONSENSUS_FETCH,              /* block.id, certified in or before block.view: answer BLOCK, or FINAL */
    CONSENSUS_COMMIT,             /* block is final; certificate proves it (NULL: a descendant's does) */
    CONSENSUS_ARM,                /* timer, at_ms: takes the place of an earlier deadline of this timer */
    CONSENSUS_CANCEL              /* timer */
};
struct consensus_effect {
    enum consensus_effect_kind kind;
    bool empty;                   /* BUILD: a block without records; otherwise one with records, or NOTHING */
    enum consensus_timer timer;
    uint64_t sequence, at_ms, view;
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
/* A vote log that began without what was signed before it: no vote in a view up to this one is cast. CONSENSUS_BAR_UNKNOWN:
   none at all, until CONSENSUS_RECOVERED. Everything else goes on: others' votes, certificates and blocks count. */
#define CONSENSUS_BAR_UNKNOWN UINT64_MAX
void consensus_restore_bar(struct consensus *consensus, uint64_t view);
CL_MUST_USE enum cl_status consensus_resume(struct consensus *consensus, struct consensus_effects *effects, uint64_t now_ms);
/* What a vote log that starts anew must hold: APPEND effects for views from *from on, which moves on. Begin with 0, and call
   until there are no more effects. */
CL_MUST_USE enum cl_status consensus_retained(struct consensus *consensus, struct consensus_effects *effects, uint64_t *from);

/* For an executor that has no room: true where nothing can need this block any more, and then it is known no longer, nor
   retained. Its view is nullified, and no certificate that is here names it: whoever learns of one later may pass over that
   view all the same, and what a quorum builds on it, a quorum has. The caller sees to it that it holds nothing built on it. */
bool consensus_forget(struct consensus *consensus, const struct order_block *block);

struct consensus_report {
    uint64_t view, final_view, barred, votes_dropped, certificates_dropped, proposals_dropped, evidence;
    uint64_t forged; /* of those dropped: what no honest member signs or sends on */
    bool idle;
};
void consensus_report(const struct consensus *consensus, struct consensus_report *out);
/* The view that this node is in, and the certificate that entered it, until the next step (NULL: view 1). False: it does
   not know what it signed in a view that is not over. For whoever lost a vote log, and counts on our memory. */
bool consensus_position(const struct consensus *consensus, uint64_t *view, const struct cl_certificate **certificate);
/* With this member's vote key; with another member's. */
void consensus_sign(const struct consensus *consensus, uint8_t signature64[64], const void *data, size_t length);
bool consensus_signed(const struct consensus *consensus, size_t member, const uint8_t signature64[64], const void *data, size_t length);
/* A quorum of different members of this epoch, each with a good signature. */
bool consensus_certificate_good(const struct consensus *consensus, const struct cl_certificate *certificate);
size_t consensus_member_count(const struct consensus *consensus);
size_t consensus_own(const struct consensus *consensus);
/* What the present view waits for, for people to read. Bitmaps of members as in a certificate, ourselves included. */
struct consensus_outlook {
    uint64_t view, since_ms;     /* since_ms: when it was entered; 0: not known */
    uint64_t patience_ms;        /* D: without a proposal for 2D, without a certificate for 3D we nullify */
    size_t leader;
    bool proposed, incomplete;   /* its proposal is known; but not all of it is at hand */
    uint8_t notarize[CL_MEMBERS_MAX / 8], nullify[CL_MEMBERS_MAX / 8]; /* who voted; notarize: for the block with the most votes */
    uint64_t finalize_view;      /* the newest view whose block is notarized and not final; 0: none */
    uint8_t finalize[CL_MEMBERS_MAX / 8]; /* who finalized it */
};
void consensus_outlook(const struct consensus *consensus, struct consensus_outlook *out);
/* Two votes of one member in one view that no honest member signs both of. NULL: no more. */
struct consensus_evidence { struct cl_vote first, second; };
const struct consensus_evidence *consensus_evidence(const struct consensus *consensus, size_t index);
/* At start: what was kept before. False: it proves nothing, and is left out. */
bool consensus_restore_evidence(struct consensus *consensus, const struct consensus_evidence *piece);
/* Leader of a view: (epoch seed + view) mod n; epoch seed = first 8 bytes, big-endian, of
   H("consent/v1 leader" 00 || network id || epoch as 8 bytes big-endian). */
size_t consensus_leader(const struct cl_network_id *network, uint64_t epoch, uint64_t view, size_t member_count);

#endif

/* How a node is among the others, and in words why it does not move where it does not. Pure: node_condition.c gathers it. */
#ifndef NODE_CONDITION_H
#define NODE_CONDITION_H

#include "consensus.h"

#define CONDITION_SILENT_MS 45000u    /* not heard for so long: as good as gone */
#define CONDITION_QUIET_MS 15000u     /* idle members say something every 10 s */
#define CONDITION_STUCK_MS 5000u      /* the owner comes round every second */
#define CONDITION_UNSIGNED_MS 2000u   /* a quorum has signed what is final before */
#define CONDITION_CLOCK_MS 2000u      /* a time further ahead than this is not voted for */
#define CONDITION_SENTENCE_SIZE 1024u
#define CONDITION_NAMES_MAX 8u        /* in one sentence; the rest are counted */

struct condition_peer {
    const char *name;                 /* borrowed */
    bool observer;
    bool connected, ask_connected;    /* we reach its port for frames; for questions */
    uint64_t heard_ms_ago;            /* UINT64_MAX: never */
    bool reported, clock_known;       /* it told its height; it said hello: */
    uint64_t height, view;
    int64_t clock_ahead_ms;
    size_t evidence;                  /* contradictions that it signed */
    uint64_t fork_size;               /* of a checkpoint that it signed and that is not of this node's ledger; 0: none */
    uint64_t sent_bytes, received_bytes, dropped_frames, malformed_frames, waiting_bytes;
    uint64_t certificate_until_s;     /* its certificate's last second; 0: not known */
};
struct condition {
    const char *failure;              /* NULL: the node runs */
    uint64_t taken_ms_ago;            /* how old all this is */
    size_t member_count, peer_count, own, quorum;
    bool ordering;                    /* outlook and idle are good; an observer has neither */
    bool idle;
    uint64_t barred;                  /* it votes in no view up to this one, because it lost a vote log; CONSENSUS_BAR_UNKNOWN: */
    size_t told_needed;               /* so many others have to tell it how far it may have voted; */
    uint8_t told[CL_MEMBERS_MAX / 8]; /* these have */
    struct consensus_outlook outlook;
    uint64_t view_ms;                 /* since the view was entered; 0: not known */
    uint64_t height, waiting_records;
    uint64_t unsigned_ms, unsigned_leaves; /* since the newest block is final here without a quorum's checkpoint; 0: it has one */
    uint8_t cosigned[CL_MEMBERS_MAX / 8];  /* whose signatures of it are here */
    struct condition_peer peers[CL_MEMBERS_MAX];
};

/* Members that answer, this node (a member) included: linked, and heard within CONDITION_SILENT_MS. */
size_t condition_members_heard(const struct condition *condition);
/* How many blocks the furthest peer says that it is ahead. */
uint64_t condition_behind(const struct condition *condition);
/* Says each sentence in turn, what matters most first; at least one. */
typedef void (*condition_say)(void *context, const char *sentence);
void condition_why(const struct condition *condition, condition_say say, void *context);

#endif

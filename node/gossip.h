/* Who is told of which record, and who is asked for which: gossip by leaf hash. The node that first had a record sends it
   to all members, or announces it where there are many; whoever lacks what was announced asks one announcer at a time.
   Pure: times come in (of a clock that nobody sets), what is to be sent is taken out, and all memory is set aside at the
   start. Belongs to the owner thread. node/README.md, "Links", says why it is done so. */
#ifndef NODE_GOSSIP_H
#define NODE_GOSSIP_H

#include "frame.h"

#define GOSSIP_PEERS_MAX CL_MEMBERS_MAX         /* members, then observers */
#define GOSSIP_PUSH_MEMBERS_MAX 8u              /* up to so many members a record is sent unasked, above announced */
#define GOSSIP_PUSH_BYTES (2u * 1024u * 1024u)  /* sent unasked at once, to each; announced beyond */
#define GOSSIP_PUSH_BYTES_PER_MS 16384u         /* and how fast that comes back */
#define GOSSIP_GATHER_MS 4u                     /* between two batches, unless there are */
#define GOSSIP_GATHER_BYTES 65536u              /* so many bytes */
#define GOSSIP_ANNOUNCED_MAX 4096u              /* missing here and announced by one peer: then its oldest goes */
#define GOSSIP_OPEN_MAX 1024u                   /* asked of one peer and not come yet */
#define GOSSIP_OPEN_FIRST 256u                  /* that is how many it begins with: one more for each that comes, half for a time limit */
#define GOSSIP_FETCH_MS 2000u                   /* the time limit; then another announcer is asked */
#define GOSSIP_REMEMBERED_MAX 65536u            /* records that came or went lately and are not fetched: then the oldest is forgotten */
#define GOSSIP_REMEMBER_MS 60000u
#define GOSSIP_CHECKED_MS 2000u                 /* a signature is checked by then, or its record was dropped */
#define GOSSIP_REPAIR_LEVELS 7u                 /* what waits is announced again after 1, 2, 4, … 64 s; where others had it first, from 8 s on */
#define GOSSIP_REPAIR_MS 1000u
#define GOSSIP_REPAIR_LEVEL_OTHERS 3u
#define GOSSIP_REPAIR_BATCH 1024u               /* at most so many at once */
#define GOSSIP_REPAIR_PAUSE_MS 250u             /* and so seldom */
#define GOSSIP_SERVE_BYTES (2u * 1024u * 1024u) /* that one peer may fetch at once; not answered beyond */
#define GOSSIP_SERVE_BYTES_PER_MS 4096u

static_assert(GOSSIP_OPEN_MAX <= FRAME_FETCHED_MAX, "what is open at one peer fits in one frame");
static_assert(GOSSIP_REPAIR_BATCH <= FRAME_ANNOUNCED_MAX, "a repair is one frame");
static_assert(GOSSIP_PUSH_BYTES >= CL_RECORD_BYTES_MAX && GOSSIP_SERVE_BYTES >= CL_RECORD_BYTES_MAX, "every record can be sent");

struct gossip;
struct gossip_config {
    size_t peer_count, member_count; /* peers are members, then observers; at most GOSSIP_PEERS_MAX */
    size_t records_max;              /* the pool's bound */
    uint64_t key[2];                 /* random and secret: of the hash table */
};
CL_MUST_USE enum cl_status gossip_new(struct gossip **out, const struct gossip_config *config); /* CL_E_MEMORY */
void gossip_free(struct gossip *gossip);

/* ---- the pool's news */
/* A record of length bytes entered the pool. first: this node had it before others, so it has to tell them. */
void gossip_have(struct gossip *gossip, const struct cl_leaf_hash *leaf, size_t length, bool first, uint64_t now_ms);
/* It left the pool, final or refused, or is known to be one or the other: not fetched for a while. */
void gossip_gone(struct gossip *gossip, const struct cl_leaf_hash *leaf, uint64_t now_ms);

/* ---- what peers say */
void gossip_announced(struct gossip *gossip, size_t peer, const struct cl_leaf_hash *leaf, uint64_t now_ms);
/* A record came, asked for or not. True: it is new here, goes on to the signature check, and is not fetched meanwhile.
   False: it is in the pool, or came or went lately. */
CL_MUST_USE bool gossip_arrived(struct gossip *gossip, size_t peer, const struct cl_leaf_hash *leaf, uint64_t now_ms);
/* It arrived less than GOSSIP_CHECKED_MS ago and is in neither pool nor block yet: its signature is being checked. */
CL_MUST_USE bool gossip_is_coming(struct gossip *gossip, const struct cl_leaf_hash *leaf, uint64_t now_ms);
/* There was no room for one that arrived: it may come again. */
void gossip_forget(struct gossip *gossip, const struct cl_leaf_hash *leaf);
/* Whether a record of length bytes, or the look-up of one that is not here (0), is still within what peer may fetch. */
CL_MUST_USE bool gossip_may_serve(struct gossip *gossip, size_t peer, size_t length, uint64_t now_ms);

/* ---- what to say. Each fills leaves (of max entries) with what is due now; what was taken counts as said. */
enum gossip_how { GOSSIP_NOTHING, GOSSIP_PUSH, GOSSIP_ANNOUNCE };
/* To all members: records that they have not been told of. at_once: without waiting for more; then take until NOTHING. */
enum gossip_how gossip_take_fresh(struct gossip *gossip, struct cl_leaf_hash *leaves, size_t *count, size_t max, bool at_once, uint64_t now_ms);
/* To all members: announcements of what still waits. */
size_t gossip_take_repairs(struct gossip *gossip, struct cl_leaf_hash *leaves, size_t max, uint64_t now_ms);
/* Ask this peer for these. Take until false. max: how many there is room for; 0: only time limits are looked at. */
CL_MUST_USE bool gossip_take_fetches(struct gossip *gossip, size_t *peer, struct cl_leaf_hash *leaves, size_t *count, size_t max, uint64_t now_ms);
/* After these three: until when nothing is due by itself; UINT64_MAX: for ever. */
uint64_t gossip_wait_ms(const struct gossip *gossip, uint64_t now_ms);

struct gossip_report {
    size_t held, fresh, missing, open, remembered; /* now */
    uint64_t pushed, announced, repaired,          /* records that were told of to all */
        heard, heard_known,                        /* hashes that others announced, and which of them are no news */
        dropped,                                   /* of these, at the bound for one peer */
        fetched, delivered, overdue,               /* asked for; came from whom we asked; time limit */
        arrived, duplicates,                       /* records that came, and that were known */
        unserved;                                  /* asked of us beyond what a peer may fetch */
};
void gossip_report(const struct gossip *gossip, struct gossip_report *out);
struct gossip_peer_report { size_t announced, open, open_max; uint64_t dropped, fetched, delivered, overdue, unserved; };
void gossip_report_peer(const struct gossip *gossip, size_t peer, struct gossip_peer_report *out);

#endif

/* Whose a pipe is: the connections that peers have opened to one of this node's listeners. TLS has let in members only and
   says whose certificate it saw, but a pipe belongs to nobody until it brought a good hello of that member's vote key, and
   what comes before that is dropped. Counts what is wrong on each pipe, and says when it has to be closed. Pure: times
   come in; the caller locks. */
#ifndef NODE_PIPES_H
#define NODE_PIPES_H

#include "frame.h"

#define PIPES_MAX (2u * CL_MEMBERS_MAX)   /* one for each member, and as many whose hello is on its way */
#define PIPES_MALFORMED_MAX 8u            /* malformed frames and bad hellos on a pipe; closed beyond */
#define PIPES_EARLY_MAX 64u               /* frames before a good hello; closed beyond */
#define PIPES_HELLO_WAIT_MS 15000u        /* a pipe without a good hello is closed after so long */
#define PIPES_HELLO_CLOCK_MS 60000u       /* how far a hello's time may be from this node's clock, either way */
#define PIPES_NOBODY SIZE_MAX

struct pipes_member { char name[CL_MEMBER_NAME_BYTES_MAX + 1]; uint8_t vote[32]; };
struct pipes_config {
    struct cl_network_id network;
    struct pipes_member members[CL_MEMBERS_MAX];
    size_t member_count, own;
};

/* certified: whose certificate TLS saw; member: whose it is. PIPES_NOBODY: not known yet. */
struct pipes_entry { uint32_t id; size_t certified, member; uint64_t since_ms; unsigned malformed, early; };
struct pipes {
    const struct pipes_config *config;     /* borrowed */
    size_t count;
    struct pipes_entry entries[PIPES_MAX];
    uint64_t last_hello_ms[CL_MEMBERS_MAX]; /* time in the last good hello of each: an equal or older one is a replay */
};
enum pipes_verdict { PIPES_DELIVER, PIPES_DROP, PIPES_CLOSE };

void pipes_init(struct pipes *pipes, const struct pipes_config *config);
bool pipes_add(struct pipes *pipes, uint32_t id, uint64_t now_ms); /* false: there are too many */
void pipes_certified(struct pipes *pipes, uint32_t id, size_t member);
bool pipes_remove(struct pipes *pipes, uint32_t id); /* false: there was none */
size_t pipes_member(const struct pipes *pipes, uint32_t id); /* PIPES_NOBODY: unknown, or no hello yet */
/* What to do with a frame that frame_decode has judged so, and that is no hello. Never CL_OK with PIPES_NOBODY. */
enum pipes_verdict pipes_judge(struct pipes *pipes, uint32_t id, enum cl_status status);
/* A hello: PIPES_DELIVER makes the pipe its sender's, whose certificate TLS must have seen. *replaced: a pipe of the same
   member that is to be closed, or 0. */
enum pipes_verdict pipes_hello(struct pipes *pipes, uint32_t id, const struct frame_hello *hello, uint64_t wall_ms, uint32_t *replaced);
/* A pipe that waited too long for its hello, to be closed now; 0: none. */
uint32_t pipes_overdue(const struct pipes *pipes, uint64_t now_ms);
/* Where there are too many: the pipe that has waited longest for its hello; 0: all are members'. */
uint32_t pipes_oldest_stranger(const struct pipes *pipes);
/* The member that a hello rightly comes from: this network, to this node, now, signed. PIPES_NOBODY: none. */
size_t pipes_hello_sender(const struct pipes_config *config, const struct frame_hello *hello, uint64_t wall_ms);

#endif

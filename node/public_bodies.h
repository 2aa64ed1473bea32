/* Public bodies: what the owners of TERMS and PROFILEs let everybody read. One (formats.cddl "public-body") for each object, in a
   file of its own, so that taking it away is the end of its bytes; there are few of them, and each is written rarely. Rules
   and files only, no threads and no ledger: one thread at a time calls (public_server.c), which has asked the ledger before. */
#ifndef NODE_PUBLIC_BODIES_H
#define NODE_PUBLIC_BODIES_H

#include "consent/public.h"

#define PUBLIC_PAGE_BODIES_MAX 64u
#define PUBLIC_PAGE_BYTES_MAX (192u * 1024)  /* of one page: so it fits into a frame */

static_assert(PUBLIC_PAGE_BYTES_MAX + 8u * PUBLIC_PAGE_BODIES_MAX + 64u <= CL_FRAME_BYTES_MAX, "a page fits into a frame");
static_assert(CL_PUBLIC_BODY_BYTES_MAX <= PUBLIC_PAGE_BYTES_MAX, "every body fits into a page");

enum public_outcome {
    PUBLIC_DONE, PUBLIC_KNOWN, /* these very bytes are kept already */ PUBLIC_REFUSED, /* the ledger says otherwise */ PUBLIC_TOO_FAST,
    PUBLIC_FULL, PUBLIC_NOT_NOW, /* stopping, too much to do, unreachable */ PUBLIC_FAILED, /* the disk */ PUBLIC_NOT_HERE /* this node keeps none */
};
struct public_limits { uint64_t bodies_max, bytes_max, puts_per_s, body_days; }; /* body_days after it was signed it goes */
struct public_time { uint64_t wall_s, monotonic_ms; };
struct public_report { uint64_t bodies, bytes, put, removed, expired, refused, failures; };
struct public_page {
    struct cl_buffer bytes; /* one after the other */
    struct { struct cl_object_id object; uint32_t length; } items[PUBLIC_PAGE_BODIES_MAX];
    size_t count;
    bool more;
};

/* What has to be compared with the ledger before one is shown. */
struct public_facts { struct cl_object_id object; struct cl_commitment commitment; uint8_t signer[33]; uint64_t made_s; };
void public_facts_of(struct public_facts *out, const struct cl_public_body *body);

struct public_bodies;
/* Makes the folder where there is none, and reads what is in it. A file of ours that is no whole body is removed: its owner
   has it and puts it again. *unreadable counts them. CL_E_IO with errno set, CL_E_MEMORY. */
CL_MUST_USE enum cl_status public_bodies_new(struct public_bodies **out, const char *folder, const struct public_limits *limits, size_t *unreadable);
void public_bodies_free(struct public_bodies *bodies);
/* Durable when it returns PUBLIC_DONE; takes the place of the object's one before. body: decoded from bytes. PUBLIC_FAILED:
   errno says why, nothing is promised, and it may be tried again. */
enum public_outcome public_bodies_put(struct public_bodies *bodies, const struct cl_public_body *body, struct cl_view bytes, const struct public_time *now);
/* Overwritten, removed, and the folder synced, when it returns PUBLIC_DONE. After PUBLIC_FAILED it is not shown any more, and
   sweeping tries again. */
enum public_outcome public_bodies_remove(struct public_bodies *bodies, bool *removed, const struct cl_object_id *object);
/* Those above after (NULL: from the first), ascending. shown (NULL: all) says which are left out; so is what cannot be read. */
typedef bool (*public_shown_fn)(void *context, const struct public_facts *facts);
void public_bodies_page(struct public_bodies *bodies, struct public_page *page, const struct cl_object_id *after, public_shown_fn shown, void *context);
/* Looks at the next so many, and removes those whose time is over or of which stale says so. */
typedef bool (*public_stale_fn)(void *context, const struct public_facts *facts);
void public_bodies_sweep(struct public_bodies *bodies, size_t count, const struct public_time *now, public_stale_fn stale, void *context);
void public_bodies_report(const struct public_bodies *bodies, struct public_report *out);

#endif

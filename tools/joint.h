/* Joint things: an account of two, a house, a child with two parents (design/records.md rule 13). Each holder has an agreement
   of his own, and nothing on the ledger ties these together; the tie is in the organisation's wallet alone (joint.c). */
#ifndef TOOLS_JOINT_H
#define TOOLS_JOINT_H

#include "act.h"

#define JOINT_HOLDERS_MAX 16u

struct joint { char name[CL_NAME_BYTES_MAX + 1]; size_t count; struct cl_object_id agreements[JOINT_HOLDERS_MAX]; };

/* *found: false where the wallet has no joint thing of this name. The wallet is open. */
int joint_load(struct context *context, struct joint *out, const char *name, bool *found);
/* Keeps it, in the place of what was kept under this name. */
int joint_keep(struct context *context, const struct joint *joint);
/* A line for each (text), and as many members of the array (JSON; may be NULL), by what the wallet saw last. Returns: how many. */
size_t joints_list(struct context *context, json_t *list);
/* consent request NAME --holders A,B: one request for each, NAME.A and NAME.B, and the tie between them. */
int joint_request(struct context *context, const char *name, const char *holders, int (*request)(struct context *context, const char *name));

#endif

/* Public bodies on nodes (node/API.md): what owners of terms and of profiles let everybody read. A node cannot be asked for some
   of them: all are fetched, of every node, and looked through here, so that no node learns what for. */
#ifndef TOOLS_PUBLIC_H
#define TOOLS_PUBLIC_H

#include "act.h"
#include "consent/disclosure.h"
#include "consent/public.h"

#define PUBLIC_ENOUGH (-1)

/* One that its owner signed and that fits what the ledger commits to now, with its state; all is borrowed for the call. */
struct public_body { const char *node; const struct cl_public_body *content; const struct object *object; };
/* Returns: 0 to go on, PUBLIC_ENOUGH, or the exit status of what was reported. */
typedef int (*public_each_fn)(void *each_context, const struct public_body *body);
/* silent: names of nodes that gave no list, an array; the caller's to release. unfit: bodies that their owners did not sign, or that did not fit, and were left out. */
struct public_walk { size_t bodies, nodes, unfit; json_t *silent; };
/* The network is open. Pages of nodes that cannot be reached are left out, and told of. */
int public_walk(struct context *context, struct public_walk *out, public_each_fn each, void *each_context);
/* Says which nodes gave nothing. */
void public_say_silent(struct context *context, const struct public_walk *walk);

/* The body of terms that anybody may read comes into the wallet, as an entry. *found: false where no node shows it. */
int public_take(struct context *context, const struct cl_object_id *terms, bool *found);
/* Puts the item's body at the node in use, where everybody can read these fields of it (NULL: all). into: gets "public". */
int public_put(struct context *context, const struct cl_wallet_item *item, const char *fields, json_t *into);

#endif

/* What verify shows of a disclosure file (--disclosure): cmd_disclose.c judges it against the proof's report. */
#ifndef TOOLS_DISCLOSED_H
#define TOOLS_DISCLOSED_H

#include "act.h"
#include "consent/disclosure.h"

/* Starts as all zero. count 0: no disclosure was given. */
struct disclosed { size_t count; struct cl_buffer words; json_t *json; bool addressed; struct cl_disclosure_address address; };
/* --disclosure, --to, --nonce; report: of a proof that held. */
int disclosed_judge(struct context *context, struct disclosed *out, const struct cl_verify_report *report, const struct cl_verify_options *options);
/* kind: what the proof is of, "agreement". */
void disclosed_say(struct context *context, const struct disclosed *disclosed, const char *kind);
void disclosed_deinit(struct disclosed *disclosed);

/* ---- fields of bodies, for others too */
/* The body that the ledger's state commits to, as the wallet has it; the newest one where no state is known yet. */
int body_open(struct context *context, struct cl_body_file *out, const struct cl_wallet_item *item);
/* Marks the fields of a list of names with commas. */
int fields_mark(struct context *context, bool marked[CL_BODY_FIELDS_MAX], const struct cl_body_file *file, const char *list);
/* [{"name", "value", "category"}] */
json_t *fields_json(const struct cl_body_file *file);

#endif

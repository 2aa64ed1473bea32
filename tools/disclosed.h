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

#endif

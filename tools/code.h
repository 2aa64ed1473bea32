/* Connect codes on the command line: read from a file, a picture, standard input or the terminal; made, drawn and written;
   and what becomes of them, in words. Functions that return int report their own failure and return the exit status. */
#ifndef TOOLS_CODE_H
#define TOOLS_CODE_H

#include "consent/code.h"
#include "workspace.h"

#define CODE_PICTURE_BYTES_MAX (16u * 1024u * 1024u)

/* Is this argument a code? Secrets do not belong there. */
bool code_in_argument(const char *argument);

/* ---- codes that others made */
/* The bytes of a file that may hold a code: as text, or in a PNG or JPEG picture; "-" is standard input, and where that is
   a terminal the code is asked for. *is_code: then data holds its exact text. */
int code_file_read(struct context *context, struct cl_buffer *data, bool *is_code, const char *path);
/* Decodes it, says what is wrong with it where it does not read. */
int code_decode(struct context *context, struct cl_code *out, const struct cl_buffer *text, const char *path);
/* May this wallet use it now? Fails beyond its time, or where the wallet belongs to another network. */
int code_usable(struct context *context, const struct cl_code *code);
/* Does it open this object, still? Fails where it is damaged, used up, over or cancelled. */
int code_opens(struct context *context, const struct cl_code *code, const struct object *object);
/* After the ledger refused an answer made with a code: what that means for a person. */
void code_say_refused(struct context *context, enum cl_status why);
/* Reads the code in a picture, with zbarimg where it is installed: replaces data by its text. */
int code_from_picture(struct context *context, struct cl_buffer *data, const char *path);
bool code_is_picture(const struct cl_buffer *data);

/* ---- codes made here */
/* Does the command line ask for a code: --code, --qr, --png, --svg? */
bool code_wanted(const struct context *context);
bool code_drawn(const struct context *context); /* --qr, --png, --svg */
/* Are --expires and --code-node in order? Before anything is done. */
int code_options_check(struct context *context);
/* Fills network, nodes, object, kind, body and expiry (--expires, else until); the caller has put in the secret. */
int code_fill(struct context *context, struct cl_code *code, const struct cl_wallet_item *item, const struct cl_optional_time *until);
/* Writes and draws it as told: text to path (NULL: nowhere; "-": standard output), --png, --svg, --qr.
   name: what its maker calls the offer; NULL: somebody else's code. */
int code_hand_over(struct context *context, const struct cl_code *code, const char *path, const char *name);

#endif

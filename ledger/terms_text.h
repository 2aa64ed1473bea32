/* Storage of a terms text, shared by the parser of the text (terms_text.c) and the reader of bodies (terms_body.c). */
#ifndef LEDGER_TERMS_TEXT_H
#define LEDGER_TERMS_TEXT_H

#include "consent/terms.h"

/* bytes: enough for every string that will be kept, their zero bytes included. */
CL_MUST_USE enum cl_status cl_terms_text_new(struct cl_terms_text **out, size_t bytes);
/* Copies into the storage. Returns: NULL where it is full. */
const char *cl_terms_text_keep(struct cl_terms_text *text, const char *value, size_t length);
/* No control characters, those of Latin-1 (U+0080 to U+009F) neither: values are shown on terminals. */
bool cl_terms_value_plain(const char *value, size_t length);
/* Moves *at behind spaces and tabs. Returns: the length without those, and without those and carriage returns at the end. */
size_t cl_terms_trimmed(const char **at, size_t length);
const char *cl_terms_field_key(enum cl_terms_field field);
const char *cl_terms_field_heading(enum cl_terms_field field);
/* "slot-0" to "slot-63", the name of a disclosure. Returns: the number, or CL_SLOTS_MAX. */
unsigned cl_terms_slot_number(struct cl_view name);
/* Whether every value is what its place asks for; *fault says which is not (line is left alone). */
bool cl_terms_slot_usable(const struct cl_terms_slot *slot, struct cl_terms_fault *fault);
bool cl_terms_category_usable(const char *category, struct cl_terms_fault *fault);
bool cl_terms_field_usable(enum cl_terms_field field, const char *value, struct cl_terms_fault *fault);

#endif

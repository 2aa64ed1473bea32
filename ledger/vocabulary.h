/* The table of identifiers behind consent/terms.h, for the other files of the library. */
#ifndef LEDGER_VOCABULARY_H
#define LEDGER_VOCABULARY_H

#include "consent/terms.h"

/* Whether text looks like an IRI with a scheme of its own (https:, urn:), no spaces. */
bool cl_iri_usable(const char *text);
/* Whether text is PREFIX:Name with a prefix of ours, Name of letters, digits and hyphens. */
bool cl_prefixed_name_usable(const char *text, enum cl_vocabulary_kind kind);

#endif

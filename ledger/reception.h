/* Where whoever makes a code or an offer takes the contact of who answers it: a part of both (formats.cddl "reception"). */
#ifndef LEDGER_RECEPTION_H
#define LEDGER_RECEPTION_H

#include "cbor.h"
#include "consent/wallet.h"

/* What may stand in one; an absent one is fine. */
bool cl_reception_usable(const struct cl_reception *reception);
/* null where it is absent. */
void cl_reception_put(struct cl_cbor_writer *writer, const struct cl_reception *reception);
void cl_reception_get(struct cl_cbor_reader *reader, struct cl_reception *reception);

#endif

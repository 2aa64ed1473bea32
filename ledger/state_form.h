/* The numbers of the state values' layouts (formats.cddl), shared by reader and writer. */
#ifndef LEDGER_STATE_FORM_H
#define LEDGER_STATE_FORM_H

enum { STATE_VERSION = 1 };

enum { AGREEMENT_ITEMS = 21, TERMS_ITEMS = 16, PROFILE_ITEMS = 9, ANSWER_ITEMS = 3, NETWORK_ITEMS = 4 };

#endif

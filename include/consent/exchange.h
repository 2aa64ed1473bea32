/* What a wallet keeps of what it exchanges with the other side of one agreement: that side's contact, deliveries sent and
   received, which of a person's data items were told, what was opened (so that nothing arrives twice). One encrypted file
   for each agreement in the folder beside the wallet (consent/vault.h), named by a keyed hash, of a size in steps of 4 KiB;
   it goes into backups with the folder, and is overwritten and removed when the agreement is erased or forgotten: nothing
   of it stands anywhere else. Layout: ledger/formats.cddl "exchange-file". No clock: times come in.

   Reading one costs one small file; nothing is read at cl_store_open. So an organisation may have as many as it has
   agreements. The caller holds the wallet's lock. */
#ifndef CONSENT_EXCHANGE_H
#define CONSENT_EXCHANGE_H

#include "consent/delivery.h"
#include "consent/vault.h"

#define CL_EXCHANGE_LOG_MAX 512u    /* deliveries that the log holds; at the bound the oldest goes, and is counted */
#define CL_EXCHANGE_LINKS_MAX 64u   /* one for each slot */
#define CL_EXCHANGE_BYTES_MAX 262144u
#define CL_EXCHANGE_SAVE_MAX 256u   /* that cl_exchange_save_all takes */

struct cl_exchange_delivery {
    bool received;                  /* else sent by us */
    uint8_t id16[16];
    enum cl_delivery_kind kind;     /* never an acknowledgement: that is acknowledged_ms of what it is about */
    bool has_slot;
    uint8_t slot;
    uint64_t sent_ms;               /* the sender's time */
    uint64_t seen_ms;               /* received: when it was opened; sent: when it was in the other side's mailbox or files, 0: waits in the outbox */
    uint64_t acknowledged_ms;       /* received: when we acknowledged; sent: when the other side says it had it; 0: not yet */
    uint64_t length;                /* of the content, bytes */
    char media_type[CL_MEDIA_TYPE_BYTES_MAX + 1];
};
/* A data item of the vault that the other side is told, under a slot. */
struct cl_exchange_link {
    uint8_t slot;
    char item[CL_NAME_BYTES_MAX + 1];
    uint64_t told_ms;               /* the item's changed_ms when it was last delivered; 0: never */
};
struct cl_exchange {
    struct cl_buffer contact;       /* the other side's .consent-contact, the newest that it made; empty: none */
    uint64_t contact_sent_ms;       /* made_ms of our own contact that the other side was last sent; 0: none */
    size_t link_count;
    struct cl_exchange_link links[CL_EXCHANGE_LINKS_MAX];   /* ascending by slot */
    struct cl_opened opened;
    uint64_t dropped;               /* of the log, for its bound */
    size_t delivery_count;
    struct cl_exchange_delivery *deliveries;                /* in the order in which they were added; owned */
};

void cl_exchange_deinit(struct cl_exchange *exchange); /* wipes; zeroed is fine */
/* Finds the delivery; NULL: not in the log. */
struct cl_exchange_delivery *cl_exchange_find(struct cl_exchange *exchange, const uint8_t id16[16], bool received);
/* Appends a copy; the oldest makes room at the bound. CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_exchange_add(struct cl_exchange *exchange, const struct cl_exchange_delivery *delivery);
/* The link of this slot; NULL: none. */
struct cl_exchange_link *cl_exchange_link_find(struct cl_exchange *exchange, uint8_t slot);
/* Sets or replaces (told_ms 0) the link of a slot; item NULL: takes it away. CL_E_BOUND never: there is one for each slot. CL_E_ARGUMENT. */
CL_MUST_USE enum cl_status cl_exchange_link_set(struct cl_exchange *exchange, uint8_t slot, const char *item);

/* Purpose: what is kept of this agreement; an empty one where nothing is. *out is valid on CL_OK only; then the caller
   calls cl_exchange_deinit. CL_E_LOCKED (damaged or another wallet's), CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_exchange_load(struct cl_exchange *out, const struct cl_store *store, const struct cl_object_id *agreement);
/* Written whole, and synced. CL_E_BOUND, CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_exchange_save(const struct cl_exchange *exchange, const struct cl_store *store, const struct cl_object_id *agreement);
/* The same for several agreements, each once, at most CL_EXCHANGE_SAVE_MAX: the disk is waited for once for all of them. Each file is
   the old or the new one at any time; where it fails, some are new. CL_E_BOUND, CL_E_IO, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_exchange_save_all(const struct cl_exchange *exchanges, const struct cl_object_id *agreements, size_t count, const struct cl_store *store);
/* Overwrites, removes, syncs the folder. CL_OK also where there was none. CL_E_IO. */
CL_MUST_USE enum cl_status cl_exchange_destroy(const struct cl_store *store, const struct cl_object_id *agreement);

#endif

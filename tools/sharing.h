/* Which data items of the vault are shared under which agreements, and telling the other sides what they are now
   (consent vault share, change, tell). A link, in the agreement's exchange file, ties a slot to an item and says which value was
   delivered last; links in the file of one's own TERMS hold for every agreement under them. Nothing else waits anywhere: what
   is not told yet follows from the vault and the links, so nobody is told an old value late. */
#ifndef TOOLS_SHARING_H
#define TOOLS_SHARING_H

#include "mailbox.h"
#include "consent/exchange.h"

/* ---- shares.c: who has what */
struct share {
    size_t position;                    /* of the agreement (or the TERMS) in the wallet */
    const struct cl_vault_entry *item;  /* good until the vault changes */
    uint8_t slot;
    uint64_t told_ms;                   /* as cl_exchange_link */
};
struct shares {
    size_t count, room, standing_count, standing_room, dangling;
    struct share *list;                 /* by item's name, then as the wallet has the agreements */
    struct share *standing;             /* of TERMS: for everybody who subscribes to them */
};
/* item NULL: of all items. Agreements of which the wallet knows that they are over do not count. Links to items that the vault does not have are counted as dangling. Where it failed there is
   nothing to free. */
int shares_find(struct context *context, struct shares *out, const char *item);
void shares_free(struct shares *shares);
/* For good: nothing brings it back. */
static inline bool agreement_over(const struct cl_agreement *agreement) { return agreement->status == CL_REFUSED || agreement->status == CL_WITHDRAWN || agreement->status == CL_TERMINATED; }
static inline bool share_told(const struct share *share) { return share->told_ms >= share->item->changed_ms; }
/* Takes every link to the item away, or those of one agreement, or of TERMS and of all agreements under them (position; SIZE_MAX:
   all). *count: how many there were. */
int shares_remove(struct context *context, const char *item, size_t position, size_t *count);
/* cmd_share.c: the item's, in lines (output_line or output_say), and as JSON */
void shares_say(struct context *context, const struct shares *shares, const char *item, void (*line)(const struct output *, const char *, ...));
json_t *shares_json(struct context *context, const struct shares *shares, const char *item);
/* The item has another value: everybody concerned is told, unless --no-tell. object: the command's result so far; taken. */
int changed_tell(struct context *context, json_t *object, const char *item);
/* "ben, dora and 9,998 more". Static storage. */
const char *names_text(struct context *context, const size_t *positions, size_t count);

/* ---- states.c: many agreements and their parties as they are now, with few questions */
#define STATES_MAX 1000u
struct states;
struct states *states_new(void);        /* NULL: no memory */
void states_free(struct states *states);
/* Takes the place of what was in it; at most STATES_MAX. */
int states_fetch(struct context *context, struct states *states, const struct cl_object_id *ids, size_t count);
/* The same without the parties. */
int states_fetch_objects(struct context *context, struct states *states, const struct cl_object_id *ids, size_t count);
const struct object *states_object(const struct states *states, size_t position); /* NULL: the ledger has none */
/* NULL: the ledger has no such object, or it is no agreement (TERMS). */
const struct cl_agreement *states_agreement(const struct states *states, size_t position);
struct cl_view states_value(const struct states *states, size_t position); /* its bytes */
const struct cl_terms *states_terms(const struct states *states, size_t position);
/* What a party is now; false: it is of no kind that can be one. */
bool states_party(const struct states *states, const struct cl_party *party, struct cl_delivery_signers *signers);

/* ---- telling.c, telling_send.c */
/* X(enumerator, what is said of those whom it concerns, whether telling again may do without anybody's doing) */
#define TALE_END_TABLE(X) \
    X(OPEN, "interrupted before it was their turn", true) \
    X(TOLD, "told", false) \
    X(NO_CONTACT, "no mailbox of theirs is known here; they are told when their contact comes", false) \
    X(OVER, "the agreement is over, and so is the sharing", false) \
    X(NOT_LIVE, "the slot is not in force any more", false) \
    X(SUSPENDED, "not in force now; they are told when it is again", false) \
    X(OTHER_SLOT, "the terms have no such slot for this kind of data now", false) \
    X(NO_TEXT, "the text of the present terms is not at hand, so it is not known what the slot is for; 'consent import' takes it in", false) \
    X(NO_KEY, "the key of your side is not in this wallet; 'consent deliver --signer' delivers", false) \
    X(UNKNOWN, "the node does not know the agreement yet", true) \
    X(GONE, "their mailbox is gone; they are told when a fresh contact comes", true) \
    X(FULL, "their mailbox is full", true) \
    X(AWAY, "the node that keeps their mailbox is away or too busy", true) \
    X(SILENT, "the node in use does not answer; --node URL names another", true) \
    X(REFUSED, "the node did not take it", true) \
    X(DAMAGED, "what the wallet keeps of the exchange is damaged; bring its folder back from a backup", true)
enum tale_end {
#define X(name, text, later) TALE_##name,
    TALE_END_TABLE(X)
#undef X
    TALE_END_COUNT
};
struct tale {
    struct share share;
    enum tale_end end;
    bool ready;                         /* what follows is known */
    enum cl_side side;
    const struct cl_wallet_key *key;
    uint8_t recipient32[32];
    char address[MAILBOX_ADDRESS_SIZE];
    uint8_t id16[16];
    uint64_t sent_ms, next_ms;          /* next_ms: not sent before */
    uint32_t part;                      /* the next one */
};
/* Everybody who does not have the present value of the item (NULL: of every item) is told it; at once (over_ms 0), or in rounds at
   moments of chance until so much time has passed, so that the node in use does not see all of them in a row. Says what became of
   each, and appends it to tellings. Returns: the exit status; 15 where some wait to be told. */
int tell_over(struct context *context, const char *item, uint64_t over_ms, json_t *tellings);
/* At once, on the side, for consent inbox: says who was told; others are left for the next time. */
void tell_aside(struct context *context);

/* telling_send.c: what tales of one item share while they are handed over */
struct tale_source {
    struct context *context;
    const struct cl_vault_entry *item;
    struct cl_buffer value;
    struct states *states;
    struct cl_terms_text *text;         /* of the agreement that was judged last */
    uint8_t commitment32[32];
    size_t key_at;                      /* of the wallet: the key found last */
    uint64_t patience_ms;               /* how long to go on while no mailbox takes anything */
    bool over;                          /* one was found to be over, and the wallet knows it now */
};
int tales_send(struct tale_source *source, struct tale *tales, size_t count);
/* Is it to be told, and where to? Fills what is behind tale->ready, or end. position: of its agreement in the states. */
void tale_judge(struct tale_source *source, struct tale *tale, size_t position);

#endif

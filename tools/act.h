/* What all acts share: finding the object and whose side is ours, filling an entry, signing, submitting, and keeping
   the result in the wallet. Functions that return int report their own failure and return the exit status. */
#ifndef TOOLS_ACT_H
#define TOOLS_ACT_H

#include "workspace.h"
#include "consent/terms.h"

struct act_signer;
/* An entry with room for everything that it can point to. */
struct act {
    enum cl_record_type type;
    struct cl_entry entry;
    uint8_t nonce[16], object[32], prev[32], commitment[32], audience[33], opening[64], ref[32], key[33], party[32], recovery[32];
};
void act_init(struct act *act, enum cl_record_type type);
void act_object(struct act *act, const struct cl_object_id *object);
void act_prev(struct act *act, const uint8_t head32[32]);
void act_commitment(struct act *act, const uint8_t commitment32[32]);
void act_ref(struct act *act, const uint8_t ref32[32]);
void act_slots(struct act *act, uint64_t slots);
void act_reason(struct act *act, uint8_t reason);
void act_not_before(struct act *act, uint64_t seconds);
void act_not_after(struct act *act, uint64_t seconds);
void act_key(struct act *act, const uint8_t *key, size_t length);
void act_party(struct act *act, const uint8_t profile32[32]);
/* The entry opens an object: by act->nonce, which is random; the id is the signer's. */
void act_nonce(struct act *act, struct cl_object_id *id, const struct act_signer *signer);
/* --from (or name) and --until, where given. */
int act_period(struct context *context, struct act *act, const char *from_option);
/* --slots within allowed; absent: leaves *slots. */
int slots_option(struct context *context, uint64_t *slots, uint64_t allowed);

/* ---- who signs */
struct act_signer { struct context *context; char key_name[CL_NAME_BYTES_MAX + 1]; const char *command; struct cl_signer signer; };
/* --signer, --key, else the named key of the wallet. */
int signer_open(struct context *context, struct act_signer *out, const char *default_key);
/* A fresh key for the relationship; the name may get a number. --signer or --key take its place. */
int signer_fresh(struct context *context, struct act_signer *out, const char *name);
/* As signer_fresh, with the exact name of the key written to key_name. */
int key_fresh(struct context *context, char key_name[CL_NAME_BYTES_MAX + 1], const char *name, const char *uri_kind);
/* A second key "NAME.recovery"; its commitment goes into the act. */
int recovery_fresh(struct context *context, struct act *act, char key_name[CL_NAME_BYTES_MAX + 1], const char *name);
/* --recovery: such a key; --recovery-key KEY: the commitment is to another wallet's key, as a child's future one, and key_name
   stays as it is. Neither: nothing. */
int recovery_option(struct context *context, struct act *act, char key_name[CL_NAME_BYTES_MAX + 1], const char *name);

/* ---- what it is about */
struct subject { struct object object; char item_name[CL_NAME_BYTES_MAX + 1]; enum cl_side side; };
/* Opens wallet and network, finds by name, id or prefix, fetches the present state; what is ours through one of our
   keys, TERMS or PROFILEs is added to the wallet. */
int subject_open(struct context *context, struct subject *out, const char *text);
/* Fails because the subject is of another kind than is wanted, as "an agreement". Returns: the exit status. */
int subject_unfit(struct context *context, const struct subject *subject, const char *wanted);
/* As subject_open, and it has to be an agreement. */
int agreement_open(struct context *context, struct subject *out, const char *text);
void subject_close(struct subject *subject);
/* A fresh proof of an object, from the node. */
int proof_fetch(struct context *context, struct cl_buffer *out, const struct cl_object_id *id);
struct cl_wallet_item *subject_item(struct context *context, const struct subject *subject); /* NULL: not in the wallet */
const struct cl_party *subject_party(const struct subject *subject, enum cl_side side);
/* The wallet's key that acts for the party now: NULL where it is not ours. */
const char *party_key_name(struct context *context, const struct cl_party *party);
/* The signer for our side of the agreement (or for the owner of TERMS, the key of a PROFILE). */
int subject_signer(struct context *context, struct act_signer *out, const struct subject *subject);
const uint8_t *object_head(const struct object *object);
const uint8_t *object_commitment(const struct object *object);

/* ---- terms and offers */
int terms_read(struct context *context, struct cl_terms_text **out, const char *path);
/* Makes a salted body for the object; appends body-file bytes; the commitment goes into the act. */
int body_make(struct context *context, struct cl_buffer *body_file, struct act *act, const struct cl_terms_text *text, const struct cl_object_id *object);
/* The text of the item's body with this commitment; NULL where it is not at hand. */
struct cl_terms_text *body_text_of(const struct cl_wallet_item *item, const uint8_t commitment32[32]);
/* A slot by number, name or category; text: NULL where it is not at hand. Reports. */
int slot_named(struct context *context, int *slot, const struct cl_terms_text *text, const char *name);
/* --slot (number, name or category; -1: not given) and --purpose against the text that was committed to. */
int slot_asked(struct context *context, const struct cl_wallet_item *item, const uint8_t commitment32[32], int *slot, bool *purpose_good);
/* --to: fills the audience and the salt. --code, --qr, --png, --svg: the audience is a token key, made here. */
int audience_option(struct context *context, struct act *act, struct cl_wallet_item *item);
/* The audience is whoever holds a code: its token key is made, and is context->token32. */
int token_audience(struct context *context, struct act *act, const struct cl_wallet_item *item);
/* Reads an offer, a body or a connect code into a secret buffer; of a code also context->code, checked as far as this needs
   no node. Before the network is opened: a code says which one it is for, and a node. */
int offer_load(struct context *context, struct cl_buffer *data, const char *path);
/* Takes what was loaded from path into the wallet; *item_name gets the entry's name. */
int offer_take(struct context *context, const struct cl_buffer *data, const char *path, const char *name, char item_name[CL_NAME_BYTES_MAX + 1]);
/* What opens an object that others answer: signed, handed over in files (--output: the offer; --code and its like: a code,
   code.h), submitted. */
int offer_open(struct context *context, const struct act *act, const struct act_signer *signer, const struct cl_wallet_item *item, const struct cl_object_id *id, const char *name);
/* Fills 7 for an offer that is meant for somebody: with the salt of the offer, or with the token of the code. bearer: what
   has the audience; agreement: what is being answered or opened. */
int opening_fill(struct context *context, struct act *act, const struct act_signer *signer, const struct cl_wallet_item *item, const struct cl_audience *audience, const struct cl_object_id *bearer, const struct cl_object_id *agreement);
/* reception: where our own mailbox for whoever answers is; NULL: none is named. */
int offer_write(struct context *context, const struct cl_wallet_item *item, const struct cl_reception *reception, const char *path);

/* SUBSCRIBE to an agreement that is offered to us; the text is shown before (cmd_agree.c). */
int agreement_accept(struct context *context, struct subject *subject);

/* ---- doing it */
int act_sign(struct context *context, struct cl_buffer *record, const struct act *act, const struct act_signer *signer);
/* Submits (or, with --save, writes), keeps what came of it, prints the result. object: the one that the act is on.
   item_name: "" where the wallet has no entry. opened: the entry was added for this act, and goes again if it is
   refused. extra: more members of the JSON result, taken; may be NULL. */
int act_finish(struct context *context, const struct act *act, const struct cl_buffer *record, const struct cl_object_id *object, const char *item_name, bool opened, json_t *extra);
/* One line: "active; slots 1, 2; until 2027-06-30". Static storage. */
const char *state_line(struct context *context, const struct object *object);
const char *period_text(const struct cl_optional_time *not_before, const struct cl_optional_time *not_after); /* static */
const char *state_word(const struct object *object); /* "active", "expired", "suspended", "open", … */

#endif

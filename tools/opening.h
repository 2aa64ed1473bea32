/* What consent open and consent inbox share: a sealed part, opened and judged. */
#ifndef TOOLS_OPENING_H
#define TOOLS_OPENING_H

#include "deliveries.h"

#define OTHERS_MAX 8u

struct opening {
    struct context *context;
    struct cl_buffer sealed, opened; /* of the part at hand */
    struct cl_delivery_part part;
    size_t key;                      /* of the wallet: opened the last part, and is tried first */
    uint8_t wanted16[16];
    bool one_wanted;
    bool many;                       /* several are told of: each as a line of JSON */
    bool known;                      /* subject and other are of the delivery that is assembled */
    struct subject subject;
    struct delivery_party other;
    struct cl_delivery_assembly *assembly;
    size_t other_count;              /* deliveries that the folder has besides */
    char others[OTHERS_MAX][33];
    enum cl_status first_refusal;
    char acknowledgement[4096];      /* its folder in the outbox; "": none is sent */
    uint64_t rest_until_ms;
};

/* opening->sealed into opening->part. CL_E_DELIVERY_KEY: no key of the wallet. */
enum cl_status opening_open(struct opening *opening);
/* May the part be taken now? Returns: the exit status where the node did not answer (reported); *status: why it may not.
   With CL_OK, subject and other are those of the part's agreement, whose own the key is that opened it: else two parties who
   compare what they know could find out that two relationships are one wallet's. */
int opening_check(struct opening *opening, enum cl_status *status);
/* Is this key (its mailbox, or what was sealed to it) of the present agreement, or of the TERMS or PROFILE that is a side of it? */
bool opening_key_fits(const struct opening *opening, const struct cl_wallet_key *key);
void opening_forget(struct opening *opening); /* the agreement, which is asked for again */
/* Was this delivery, of the present agreement, opened before? *out: as cl_opened_check has it; CL_E_DELIVERY_UNKNOWN: it
   acknowledges what we did not send. And: it is now, which goes into the log too. */
int opening_opened_check(struct opening *opening, const struct cl_delivery *delivery, enum cl_status *out);
int opening_opened_add(struct opening *opening, const struct cl_delivery *delivery);
/* acknowledging.c. Seals the word that this delivery arrived into the outbox, where the other side's mailbox is known, unless
   --no-acknowledge; before opening_opened_add. And: sends it. Neither makes the command fail. */
void acknowledge(struct opening *opening, const struct cl_delivery *about);
void acknowledge_send(struct opening *opening);
/* Tells of what was handed over; path: where it is, or NULL. */
void opening_say(struct opening *opening, const struct cl_delivery *delivery, const char *path);
/* showing.c: with --show, or on a terminal, what it says, where it is a short text under a slot. */
void delivery_show(struct opening *opening, const struct cl_delivery *delivery, const struct cl_view *content);

#endif

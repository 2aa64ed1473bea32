/* consent inbox: what its two files share. inbox_parts.c judges each sealed part, keeps what is not complete, and writes to a
   folder what is; cmd_inbox.c fetches from the mailboxes and waits. */
#ifndef TOOLS_INBOX_H
#define TOOLS_INBOX_H

#include "connect.h"

struct inbox {
    struct opening opening;
    const char *folder;             /* where what arrived goes */
    char received[3200], incoming[3200];
    size_t only_count;              /* of these agreements and offers; 0: of all */
    struct cl_object_id only[POSITIONALS_MAX];
    char came_by[9];                /* digits that say by which of our mailboxes the part at hand came */
    size_t arrived, refused;
    bool connected;                 /* a contact came, so there may be somebody to tell (sharing.h) */
    enum cl_status last_refusal;    /* told once, and then counted */
    size_t same_refusals;
};

/* Makes the folders, and removes half files of a command that was killed. */
int inbox_folders(struct inbox *inbox);
/* opening.sealed is a part that came by this mailbox. With 0 it is on disk, handed over, or refused. */
int inbox_take(struct inbox *inbox, const struct cl_wallet_key *mailbox);
/* The parts that were kept before: a suspension may have ended, or the command that fetched the last part was killed. */
int inbox_take_kept(struct inbox *inbox);
/* Says how often more was refused for the same reason. */
void inbox_refusals_say(struct inbox *inbox);

#endif

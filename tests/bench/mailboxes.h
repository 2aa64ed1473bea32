/* Mailboxes of a node under the benchmarks, as who holds them and who deposits use them, over one connection each. */
#ifndef BENCH_MAILBOXES_H
#define BENCH_MAILBOXES_H

#include "consent/record.h"

#define BENCH_ANSWER_MAX 16384
#define BENCH_BODY_MAX 4096u

int bench_connect(const char *url); /* http://127.0.0.1:PORT; the socket */
void bench_send(int handle, const char *head, const void *body, size_t length);
/* Reads one answer whole. Returns: its status; text (may be NULL): where the body begins, ended by a zero. */
unsigned bench_receive(int handle, char answer[BENCH_ANSWER_MAX], const char **text);
/* The one, then the other. */
unsigned bench_exchange(int handle, const char *head, const void *body, size_t length, char answer[BENCH_ANSWER_MAX], const char **text);
/* With a key of its own that follows from the number, as a holder does. Out: its id in hex. */
void bench_mailbox_open(int handle, char id_hex[65], uint32_t number, const struct cl_network_id *network);
/* Opens so many mailboxes with random ids in the data folder of a node that is stopped: over HTTP a node lets some thousand a minute. */
void bench_mailboxes_make(const char *data, char (*ids_hex)[65], uint32_t count);

#endif

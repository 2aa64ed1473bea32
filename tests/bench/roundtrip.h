/* The limit that agreement is measured against: a question and its answer between two of nng's own sockets. */
#ifndef BENCH_ROUNDTRIP_H
#define BENCH_ROUNDTRIP_H

#include "measure.h"

struct bench_roundtrip;
/* Two ends over TLS on loopback, with certificates of their own. */
struct bench_roundtrip *bench_roundtrip_new(void);
void bench_roundtrip_free(struct bench_roundtrip *roundtrip);
/* Median of some hundred round trips of a short question and a short answer. */
double bench_roundtrip_seconds(struct bench_roundtrip *roundtrip);

#endif

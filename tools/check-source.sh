#!/bin/sh
# Enforces the direction of includes and the "only file that" lines: the pure core stays pure, each library has one door.
set -eu
cd "$(dirname "$0")/.."
bad=0
complain() { echo "check-source: $1" >&2; bad=1; }
# only FILE may include HEADER pattern, under the product folders
only() {
    pattern=$1; shift
    for hit in $(grep -lE "#include <($pattern)" $(find ledger node tools include -name '*.[ch]') 2>/dev/null || true); do
        case " $* " in *" $hit "*) ;; *) complain "$hit includes <$pattern>; only $* may" ;; esac
    done
}
only 'secp256k1|sodium|nettle/' ledger/crypto.c
only 'leveldb/' ledger/store_leveldb.c
only 'microhttpd' node/http.c
only 'nng/' node/link_nng.c
only 'mbedtls/|psa/' node/certificate.c node/tls.c
only 'curl/' tools/http_client.c
only 'qrencode|png\.h' tools/qr.c
for file in ledger/*.[ch] include/consent/*.h; do
    [ -e "$file" ] || continue
    if grep -nE '#include "(\.\./)?(node|tools)/' "$file"; then complain "$file looks up into node or tools"; fi
    if grep -nE '#include <(jansson|microhttpd|nng|curl)' "$file"; then complain "$file: no JSON, HTTP or links in the core"; fi
    if grep -nE '#include <(pthread|sys/socket|netinet)' "$file"; then complain "$file: no threads or sockets in the core"; fi
done
for file in include/consent/*.h; do
    if grep -nE '#include "' "$file" | grep -v '"consent/'; then complain "$file: a public header includes public headers only"; fi
done
for file in tools/*.[ch]; do
    [ -e "$file" ] || continue
    for header in $(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$file"); do
        case $header in consent/*) ;; *) [ -e "tools/$header" ] || complain "$file includes $header: tools use the public headers only" ;; esac
    done
done
# the pure files: no clock, randomness or I/O
for file in ledger/rules*.c ledger/smt.c ledger/smt_overlay.c ledger/smt_past.c ledger/smt_proof.c ledger/log.c ledger/state.c ledger/state_encode.c ledger/record_encode.c ledger/cbor.c ledger/base45.c ledger/record.c ledger/block.c ledger/uses.c ledger/uses_proof.c node/consensus*.c node/gossip.c node/frame.c node/frame_payload.c node/pipes.c node/lanes.c node/sync.c node/shares.c node/cosign.c node/vote_recovery.c node/evidence.c; do
    [ -e "$file" ] || continue
    if grep -nE '\b(time|clock_gettime|gettimeofday|rand|random|getrandom|open|fopen|read|write|printf|fprintf)\(|cl_random\(' "$file"; then
        complain "$file: the pure core has no clock, randomness or I/O"
    fi
    if grep -nE '#include <' "$file" | grep -vE '<(assert|stdbool|stddef|stdint|stdlib|string|limits|inttypes)\.h>'; then
        complain "$file: the pure core includes nothing but plain C headers"
    fi
done
[ "$bad" -eq 0 ] && echo "check-source: good"
exit "$bad"

#!/bin/sh
# `make install` puts everything in place, a program of somebody else's builds against it (shared and static) and runs,
# and `make uninstall` leaves nothing.
set -u
build=${1:-build}
here=$(cd "$(dirname "$0")/../.." && pwd)
case $build in /*) ;; *) build=$here/$build ;; esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
fail() { echo "FAIL: $*" >&2; failures=$((failures + 1)); }
root=$scratch/root
make -s -C "$here" install BUILD="$build" DESTDIR="$root" PREFIX=/usr >"$scratch/log" 2>&1 || { fail "make install"; cat "$scratch/log" >&2; }
for file in bin/consent bin/consentd lib/libconsent.a lib/libconsent.so lib/libconsent.so.0 lib/pkgconfig/consent.pc \
    include/consent/wallet.h include/consent/proof.h share/man/man1/consent.1 share/man/man8/consentd.8 \
    share/man/man5/consent-terms.5 share/bash-completion/completions/consent share/zsh/site-functions/_consent \
    share/fish/vendor_completions.d/consent.fish; do
    [ -s "$root/usr/$file" ] || fail "$file is not there"
done
for header in "$here"/include/consent/*.h; do
    [ -s "$root/usr/include/consent/$(basename "$header")" ] || fail "$(basename "$header") is not there"
    echo "#include <consent/$(basename "$header")>" >>"$scratch/every_header.c"
done
bash -n "$root/usr/share/bash-completion/completions/consent" || fail "the completions of bash"
"$root/usr/bin/consent" --version | grep -q '^consent [0-9]' || fail "consent --version"
"$root/usr/bin/consentd" --version | grep -q '^consentd [0-9]' || fail "consentd --version"
case $(cat "$root/usr/lib/pkgconfig/consent.pc") in *"$root"*) fail "consent.pc knows DESTDIR" ;; esac

cat >"$scratch/program.c" <<'END'
#include <consent/proof.h>
#include <consent/wallet.h>
#include <stdio.h>
int main(void)
{
    static const uint8_t entropy[32] = {1};
    char words[CL_WORDS_SIZE], did[CL_DID_KEY_SIZE];
    struct cl_wallet *wallet = NULL;
    size_t position = 0;
    cl_words_encode(words, entropy);
    if (cl_wallet_new(&wallet, entropy) != CL_OK || cl_wallet_key_add(wallet, &position, "a", "consent:key/a") != CL_OK)
        return 1;
    cl_did_key_encode(did, &wallet->keys[position].key);
    printf("%s %s\n", did, cl_status_code(CL_E_PROOF));
    cl_wallet_free(wallet);
    return 0;
}
END
PKG_CONFIG_LIBDIR=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
flags=$(pkg-config --cflags consent) && libs=$(pkg-config --libs consent) && static=$(pkg-config --static --libs consent) || fail "pkg-config"
cc=${CC:-cc}
# shellcheck disable=SC2086
$cc -std=c11 -Wall -Wextra -Wpedantic -Werror $flags -fsyntax-only "$scratch/every_header.c" || fail "the headers do not stand alone"
# shellcheck disable=SC2086
$cc -std=c11 -Wall -Werror $flags "$scratch/program.c" $libs -o "$scratch/shared" || fail "linking the shared library"
# shellcheck disable=SC2086
$cc -std=c11 -Wall -Werror $flags "$scratch/program.c" "$root/usr/lib/libconsent.a" $(echo "$static" | sed 's/-lconsent//') -o "$scratch/static" || fail "linking the static library"
shared=$(LD_LIBRARY_PATH=$root/usr/lib "$scratch/shared") || fail "the program with the shared library"
alone=$("$scratch/static") || fail "the program with the static library"
case $shared in "did:key:zQ3sh"*" CL_E_PROOF") ;; *) fail "it printed '$shared'" ;; esac
[ "$shared" = "$alone" ] || fail "'$shared' is not '$alone'"
readelf -d "$scratch/shared" | grep -q 'libconsent.so.0' || fail "the shared program does not ask for libconsent.so.0"
readelf -d "$scratch/static" | grep -q 'libconsent' && fail "the static program asks for libconsent"
nm -D --defined-only "$root/usr/lib/libconsent.so.0" | awk '{ print $3 }' >"$scratch/names"
grep -qx cl_wallet_new "$scratch/names" || fail "the shared library does not show cl_wallet_new"
others=$(grep -v '^cl_' "$scratch/names")
[ -z "$others" ] || fail "the shared library shows names of others: $others"

make -s -C "$here" uninstall DESTDIR="$root" PREFIX=/usr || fail "make uninstall"
left=$(find "$root" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
[ "$failures" -eq 0 ] && echo "install.sh: good" || echo "install.sh: $failures failed"
[ "$failures" -eq 0 ]

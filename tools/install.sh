#!/bin/sh
# What `make install` and `make uninstall` do: programs, library, headers, pkg-config file, man pages, completions.
# usage: install.sh BUILD DESTDIR PREFIX VERSION   |   install.sh --remove DESTDIR PREFIX
set -eu
cd "$(dirname "$0")/.."
if [ "$1" = --remove ]; then
    root=$2$3
    rm -f "$root/bin/consentd" "$root/bin/consent" "$root/lib/libconsent.a" "$root/lib/libconsent.so" \
        "$root/lib/libconsent.so.0" "$root/lib/pkgconfig/consent.pc" "$root/share/man/man1/consent.1" \
        "$root/share/man/man8/consentd.8" "$root/share/man/man5/consent-terms.5" \
        "$root/share/bash-completion/completions/consent" "$root/share/zsh/site-functions/_consent" \
        "$root/share/fish/vendor_completions.d/consent.fish"
    rm -rf "$root/include/consent"
    exit 0
fi
build=$1 root=$2$3 prefix=$3 version=$4
install -d "$root/bin" "$root/lib/pkgconfig" "$root/include/consent" "$root/share/man/man1" "$root/share/man/man5" \
    "$root/share/man/man8" "$root/share/bash-completion/completions" "$root/share/zsh/site-functions" \
    "$root/share/fish/vendor_completions.d"
install -m 755 "$build/consentd" "$build/consent" "$root/bin/"
install -m 644 "$build/libconsent.a" "$root/lib/"
install -m 644 "$build/libconsent.so" "$root/lib/libconsent.so.0"
ln -sf libconsent.so.0 "$root/lib/libconsent.so"
install -m 644 include/consent/*.h "$root/include/consent/"
install -m 644 tools/man/consent.1 "$root/share/man/man1/"
install -m 644 tools/man/consent-terms.5 "$root/share/man/man5/"
install -m 644 tools/man/consentd.8 "$root/share/man/man8/"
"$build/consent" completions bash >"$root/share/bash-completion/completions/consent"
"$build/consent" completions zsh >"$root/share/zsh/site-functions/_consent"
"$build/consent" completions fish >"$root/share/fish/vendor_completions.d/consent.fish"
cat >"$root/lib/pkgconfig/consent.pc" <<END
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: consent
Description: Records, rules, ledger and offline proofs of consent
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lconsent
Libs.private: -lsecp256k1 -lsodium -lnettle -lleveldb -lpthread
END

#!/bin/sh
# Installs what is missing, builds with gcc and clang, and runs every test that runs in under ten minutes.
# It works on a machine that has only sh, apt and this checkout, as root or with sudo; continuous integration calls it.
# CHECK_DEEP=1 goes on with `make check-deep`.
set -eu
cd "$(dirname "$0")/.."

case ${1-} in
'') ;;
-h|--help) sed -n '2,4s/^# //p' "$0"; echo 'example: sh tools/check.sh'; exit 0 ;;
*) echo "check.sh takes no argument '$1'; see sh tools/check.sh --help" >&2; exit 2 ;;
esac

sh tools/install-packages.sh build check
jobs=$(nproc 2>/dev/null || echo 2)
echo "check: building with gcc"
make -s -j"$jobs" all
echo "check: building with clang"
make -s -j"$jobs" CC=clang BUILD=build/clang all
make -s -j"$jobs" check
if [ -n "${CHECK_DEEP-}" ]; then
    sh tools/install-packages.sh deep
    make -s check-deep
fi

#!/bin/sh
# Makes a machine that has only sh and apt able to build and check this
# project: installs with apt what is missing, and nothing when nothing is.
#
#   sh tools/install-packages.sh GROUP...
#
#   build   compiler and libraries of the node and the command-line tool
#   check   what `make check` and tests/interop need on top of that
#   demo    what tools/demo.sh shows with: openssl, curl, python3-cbor2
#   deep    what `make check-deep` needs on top of that
#   list    prints the packages of the groups that follow, installs nothing
#
# Works on Debian 12 and Debian 13, as root or through sudo. Only Debian's own
# packages: the interop tests call /usr/bin/python3, /usr/bin/ruby and
# /usr/bin/go by path, because their modules come from here.
#
# An entry is one of
#   package              wanted as it is
#   package|package      any of them does; the first that apt knows is taken
#   command=package      wanted only where the command is not there at all
#                        (a node from elsewhere conflicts with Debian's npm)
set -eu

packages_build='gcc g++ libc6-dev make pkg-config python3
    libsecp256k1-dev libleveldb-dev libsnappy-dev libsodium-dev libnng-dev libmbedtls-dev
    libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev nettle-dev
    libqrencode-dev libpng-dev'

packages_check='clang libclang-rt-dev|libclang-rt-19-dev|libclang-rt-14-dev
    llvm libcmocka-dev libcbor-dev
    python3-cbor2 python3-ecdsa python3-cryptography python3-nacl python3-mnemonic python3-bip32utils python3-jsonschema
    ruby ruby-cose openssl softhsm2 opensc
    golang-go golang-golang-x-mod-dev node=nodejs npm=npm
    ca-certificates curl git iproute2 mandoc procps zsh fish zbar-tools'

packages_demo='openssl curl python3-cbor2'

packages_deep='valgrind clang-tidy cppcheck'

usage()
{
    echo 'usage: sh tools/install-packages.sh [list] build|check|demo|deep ...' >&2
    exit 2
}

installed()
{
    test "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed
}

# Is the entry satisfied by what the machine has now?
satisfied()
{
    case $1 in
    *=*) command -v "${1%%=*}" >/dev/null 2>&1 ;;
    *)
        for name in $(echo "$1" | tr '|' ' '); do
            if installed "$name"; then return 0; fi
        done
        return 1
        ;;
    esac
}

# The package to ask apt for. A name that only another package provides has no
# candidate of its own, so ask for the candidate, not for the name.
choose()
{
    case $1 in
    *=*) echo "${1#*=}"; return ;;
    esac
    for name in $(echo "$1" | tr '|' ' '); do
        case $(LC_ALL=C apt-cache policy "$name" 2>/dev/null) in
        *'Candidate: (none)'*) ;;
        *Candidate:*) echo "$name"; return ;;
        esac
    done
    echo "${1%%|*}"
}

list_only=false
if [ "${1-}" = list ]; then
    list_only=true
    shift
fi
[ $# -gt 0 ] || usage
wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $packages_build" ;;
    check) wanted="$wanted $packages_check" ;;
    demo) wanted="$wanted $packages_demo" ;;
    deep) wanted="$wanted $packages_deep" ;;
    *) usage ;;
    esac
done

if $list_only; then
    for entry in $wanted; do echo "$entry"; done
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-packages: no apt-get here. Install the counterparts of these yourself, then go on with make:" >&2
    echo $wanted >&2
    exit 1
fi

missing=
for entry in $wanted; do
    satisfied "$entry" || missing="$missing $entry"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "install-packages: need root to install:$missing. Run this as root, or install sudo." >&2
        exit 1
    fi
    as_root=sudo
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM

apt()
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" >"$log" 2>&1
}

give_up()
{
    tail -n 15 "$log" >&2
    echo "install-packages: $1" >&2
    exit 1
}

# The lock on the package lists has no waiting time of its own.
try=1
until apt update; do
    [ "$try" -lt 10 ] && grep -q 'Could not get lock' "$log" ||
        give_up 'apt-get update failed. Check the network and /etc/apt/sources.list*, run "apt-get update" until it succeeds, then run this again.'
    try=$((try + 1))
    sleep 5
done

packages=
for entry in $missing; do
    packages="$packages $(choose "$entry")"
done
echo "install-packages: installing$packages"
if ! apt install -y --no-install-recommends $packages; then
    # apt-get update counts as a success even if no server could be reached.
    if grep -qE 'Unable to locate|no installation candidate|Failed to fetch' "$log"; then
        give_up 'apt cannot find or fetch these packages. Check the network and /etc/apt/sources.list* (Debian 12 or 13, component main), run "apt-get update" until it shows no warning, then run this again.'
    fi
    give_up "apt-get install failed. The lines above say why; run \"apt-get install$packages\" by hand, then run this again."
fi

still_missing=
for entry in $missing; do
    satisfied "$entry" || still_missing="$still_missing $entry"
done
[ -z "$still_missing" ] ||
    give_up "apt-get reported success but these are still missing:$still_missing. Install them by hand, then run this again."

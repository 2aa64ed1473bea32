#!/bin/sh
# Builds tlog_go with Debian's own Go and Debian's own x/mod sources, so that no
# module is fetched from anywhere, and runs it on DIR (see tlog_go/main.go).
#
#   tlog_go.sh DIR
set -eu
directory=${1:?usage: tlog_go.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
build=${CONSENT_BUILD:-$here/../../build}
mkdir -p "$build/interop/go-cache"
build=$(cd "$build" && pwd)
if [ ! -x /usr/bin/go ] || [ ! -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]; then
    echo "tlog_go: Debian's Go or x/mod is not here; run: sh tools/install-packages.sh check" >&2
    exit 1
fi
env -u GOROOT -u GOBIN GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= CGO_ENABLED=0 \
    GOPATH=/usr/share/gocode GOCACHE="$build/interop/go-cache" \
    /usr/bin/go build -o "$build/interop/tlog_go" "$here/tlog_go/main.go"
exec "$build/interop/tlog_go" "$directory"

#!/bin/sh
# Runs FOLDER/check.js on DIR with the npm packages that FOLDER pins. They are
# installed outside the source tree, into $CONSENT_BUILD (or build)/interop, and
# left alone while the lock file stays the same. The lock file holds a hash of
# every package, so it does not matter which registry npm is set to.
#
#   node_check.sh FOLDER DIR
set -eu
folder=${1:?usage: node_check.sh FOLDER DIR}
directory=${2:?usage: node_check.sh FOLDER DIR}
here=$(cd "$(dirname "$0")" && pwd)
for command in node npm; do
    command -v "$command" >/dev/null 2>&1 ||
        { echo "$folder: no $command here; run: sh tools/install-packages.sh check" >&2; exit 1; }
done
target=${CONSENT_BUILD:-$here/../../build}/interop/$folder
mkdir -p "$target"
target=$(cd "$target" && pwd)
if ! cmp -s "$here/$folder/package-lock.json" "$target/installed"; then
    rm -rf "$target/node_modules" "$target/installed"
    cp "$here/$folder/package.json" "$here/$folder/package-lock.json" "$target/"
    # Scripts of packages are not run: nothing here needs them.
    (cd "$target" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$target/npm.log" 2>&1 ||
        { tail -n 15 "$target/npm.log" >&2; echo "$folder: npm ci failed; it needs the npm registry" >&2; exit 1; }
    cp "$here/$folder/package-lock.json" "$target/installed"
fi
NODE_PATH=$target/node_modules exec node "$here/$folder/check.js" "$directory"

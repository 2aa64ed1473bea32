#!/bin/sh
# Tries the external signer on a hardware-token interface: makes a SoftHSM key,
# signs with it as `--signer exec:COMMAND` does, and lets openssl judge.
#
#   softhsm.sh DIR
#
# DIR may hold record_hsm.cose and signer_record_hsm.hex: a record that our tool
# signed through the sign-digest of softhsm_setup.sh. It is checked too.
# Exit status 0 only if what the token signed is accepted and twins are refused.
set -eu
directory=${1:?usage: softhsm.sh DIR}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

public=$(sh "$here/softhsm_setup.sh" "$work/token")
case $public in
02* | 03*) ;;
*) echo "no compressed key from the token: $public" >&2; exit 1 ;;
esac
[ "${#public}" -eq 66 ] || { echo "not 33 bytes: $public" >&2; exit 1; }

printf 'something to sign' | openssl dgst -sha256 -binary >"$work/digest"
printf 'something else' | openssl dgst -sha256 -binary >"$work/other"
"$work/token/sign-digest" <"$work/digest" >"$work/raw"
[ "$(wc -c <"$work/raw")" -eq 64 ] || { echo 'the token did not give r || s' >&2; exit 1; }
SIGN_DIGEST_FORMAT=der "$work/token/sign-digest" <"$work/digest" >"$work/der"

verify()
{
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/token/public.der" \
        -in "$1" -sigfile "$work/der" 2>&1
}

answer=$(verify "$work/digest") || { echo "refused what the token signed: $answer" >&2; exit 1; }
echo accepted
if answer=$(verify "$work/other"); then echo 'accepted another digest' >&2; exit 1; fi
case $answer in
*'Verification Failure'*) ;;
*) echo "no verdict on the other digest: $answer" >&2; exit 1 ;;
esac
if printf short | "$work/token/sign-digest" >/dev/null 2>&1; then
    echo 'the helper signed something that is no digest' >&2
    exit 1
fi
echo 'refused every altered twin'
if [ -e "$directory/record_hsm.cose" ]; then
    echo 'record_hsm.cose:'
    /usr/bin/python3 "$here/record_python.py" "$directory" record_hsm
fi

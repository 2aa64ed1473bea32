#!/bin/sh
# Makes a SoftHSM token with one secp256k1 key, so that our external signer
# (`--signer exec:COMMAND`) is tried against a real PKCS#11 device: it never
# gives the key away, and its signatures are high-s about half of the time.
#
#   softhsm_setup.sh DIR     DIR is made where it is missing
#
# Prints the compressed public key in hex and leaves DIR/sign-digest, which
# takes a 32-byte digest on standard input and writes the signature to standard
# output: r || s, 64 bytes; DER with SIGN_DIGEST_FORMAT=der in its environment.
set -eu
directory=${1:?usage: softhsm_setup.sh DIR}
mkdir -p "$directory/tokens"
directory=$(cd "$directory" && pwd)
pin=12345678

module=
for candidate in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    [ -z "$module" ] && [ -f "$candidate" ] && module=$candidate
done
[ -n "$module" ] || { echo 'softhsm: libsofthsm2.so is not here (package softhsm2)' >&2; exit 1; }

cat >"$directory/softhsm2.conf" <<CONF
directories.tokendir = $directory/tokens
objectstore.backend = file
log.level = ERROR
CONF
export SOFTHSM2_CONF="$directory/softhsm2.conf"

quietly()
{
    "$@" >"$directory/setup.log" 2>&1 || { cat "$directory/setup.log" >&2; exit 1; }
}

quietly softhsm2-util --init-token --free --label consent --pin "$pin" --so-pin "$pin"
quietly pkcs11-tool --module "$module" --token-label consent --login --pin "$pin" \
    --keypairgen --key-type EC:secp256k1 --id 01 --label party
quietly pkcs11-tool --module "$module" --token-label consent --login --pin "$pin" \
    --read-object --type pubkey --id 01 --output-file "$directory/public.der"

cat >"$directory/sign-digest" <<HELPER
#!/bin/sh
# Our external signer on a SoftHSM token: digest in, signature out.
set -eu
export SOFTHSM2_CONF='$directory/softhsm2.conf'
work=\$(mktemp -d)
trap 'rm -rf "\$work"' EXIT
cat >"\$work/digest"
[ "\$(wc -c <"\$work/digest")" -eq 32 ] || { echo 'sign-digest: not 32 bytes' >&2; exit 1; }
case \${SIGN_DIGEST_FORMAT-rs} in der) format=openssl ;; *) format=rs ;; esac
pkcs11-tool --module '$module' --token-label consent --login --pin '$pin' --id 01 \\
    --sign --mechanism ECDSA --signature-format "\$format" \\
    --input-file "\$work/digest" --output-file "\$work/signature" >"\$work/log" 2>&1 ||
    { cat "\$work/log" >&2; exit 1; }
cat "\$work/signature"
HELPER
chmod 755 "$directory/sign-digest"

openssl ec -pubin -inform DER -in "$directory/public.der" -conv_form compressed -outform DER 2>/dev/null |
    tail -c 33 | od -An -v -tx1 | tr -d ' \n'
echo

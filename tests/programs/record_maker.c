/* Signs records for tests that drive a real node from outside: one request a line on standard input, one answer a line.
   Keys and nonces are small numbers (tests/lib/fixture.h).
     network HEX                                  before all else
     grant CUSTOMER NONCE ORGANISATION MS         subscribe ORGANISATION CUSTOMER NONCE MS
     terms OWNER NONCE MODE LIMIT MS              profile KEY NONCE MS
     revoke KEY OBJECT MS   suspend KEY OBJECT MS
     revoke_slots KEY OBJECT MS SLOTS             SLOTS: a number, bit i for slot i
     challenge KEY NONCE                          signs a read by key; answer: PUBLIC-KEY SIGNATURE
   Answer: RECORD-ID OBJECT-ID RECORD, all hex. */
#include "crypto.h"
#include "files.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fixture_network network;

static void print_hex(const uint8_t *bytes, size_t length, char end)
{
    for (size_t i = 0; i < length; i++) printf("%02x", bytes[i]);
    putchar(end);
}

static void answer(struct cl_ledger_record *record, const struct cl_object_id *object)
{
    print_hex(record->record.id.bytes, 32, ' ');
    print_hex(object->bytes, 32, ' ');
    print_hex(record->bytes, record->record.bytes.length, '\n');
    cl_ledger_record_unref(record);
}

static int act(enum cl_record_type type, uint64_t key, const char *object_hex, uint64_t ms)
{
    struct cl_object_id object;
    if (!hex_decode(object.bytes, 32, object_hex, strlen(object_hex))) return 1;
    answer(fixture_act(&network, type, key, &object, NULL, ms), &object);
    return 0;
}

static int challenge(uint64_t key, const char *nonce_hex)
{
    struct cl_signer signer;
    struct cl_sha256 hash;
    uint8_t nonce[32], digest[32], signature[64], low[64];
    if (!hex_decode(nonce, 32, nonce_hex, strlen(nonce_hex))) return 1;
    fixture_signer(&signer, key);
    cl_sha256_domain(&hash, "consent/v1 challenge");
    cl_sha256_update(&hash, network.genesis.network.bytes, 32);
    cl_sha256_update(&hash, nonce, 32);
    cl_sha256_update(&hash, signer.key.bytes, 33);
    cl_sha256_final(&hash, digest);
    if (signer.sign(signer.context, signature, digest) != CL_OK || cl_signature_normalise(low, signature, 64) != CL_OK) return 1;
    print_hex(signer.key.bytes, 33, ' ');
    print_hex(low, 64, '\n');
    return 0;
}

static int request(char *line)
{
    char word[6][128] = { { 0 } };
    int words = sscanf(line, "%127s %127s %127s %127s %127s %127s", word[0], word[1], word[2], word[3], word[4], word[5]);
    uint64_t a[6] = { 0 };
    struct cl_object_id object;
    for (int i = 1; i < words; i++) a[i] = strtoull(word[i], NULL, 10);
    if (strcmp(word[0], "network") == 0) return hex_decode(network.genesis.network.bytes, 32, word[1], strlen(word[1])) ? (puts("good"), 0) : 1;
    if (strcmp(word[0], "grant") == 0) {
        fixture_object(&object, a[1], a[2]);
        answer(fixture_grant(&network, a[1], a[2], a[3], a[4]), &object);
    } else if (strcmp(word[0], "subscribe") == 0) {
        fixture_object(&object, a[2], a[3]);
        answer(fixture_subscribe(&network, a[1], a[2], a[3], a[4]), &object);
    } else if (strcmp(word[0], "terms") == 0) {
        fixture_object(&object, a[1], a[2]);
        answer(fixture_terms(&network, a[1], a[2], a[3], a[4], a[5]), &object);
    } else if (strcmp(word[0], "profile") == 0) {
        fixture_object(&object, a[1], a[2]);
        answer(fixture_profile(&network, a[1], a[2], a[3]), &object);
    } else if (strcmp(word[0], "revoke") == 0) {
        return act(CL_REVOKE, a[1], word[2], a[3]);
    } else if (strcmp(word[0], "revoke_slots") == 0) {
        struct cl_entry entry = { .present = CL_HAS(1) | CL_HAS(9), .object = object.bytes, .object_length = 32, .slots = a[4] };
        if (!hex_decode(object.bytes, 32, word[2], strlen(word[2]))) return 1;
        answer(fixture_record(&network, CL_REVOKE, a[1], &entry, 1, a[3]), &object);
    } else if (strcmp(word[0], "suspend") == 0) {
        return act(CL_SUSPEND, a[1], word[2], a[3]);
    } else if (strcmp(word[0], "challenge") == 0) {
        return challenge(a[1], word[2]);
    } else {
        return 1;
    }
    return 0;
}

int main(void)
{
    char line[512];
    fixture_network_make(&network, 1);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (request(line) != 0) {
            fprintf(stderr, "record_maker: not understood: %s", line);
            return 1;
        }
        fflush(stdout);
    }
    return 0;
}

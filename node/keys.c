/* Derives vote, log, witness and party keys from the node's seed with HMAC-SHA-512 under a label each, so that one small
   file is all there is to keep secret. */
#include "keys.h"

#include "consent/wallet.h"
#include "crypto.h"
#include "consent/record.h"
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEED_FILE "node.seed"
#define SEED_PREFIX "consent-node-seed-1 "
enum { SEED_TEXT_LENGTH = sizeof SEED_PREFIX - 1 + 64 + 1 };

static void derive(uint8_t out32[32], const uint8_t seed32[32], const char *label)
{
    uint8_t wide[64];
    cl_hmac_sha512(wide, seed32, 32, label, strlen(label));
    memcpy(out32, wide, 32);
    cl_wipe(wide, sizeof wide);
}

enum cl_status node_keys_derive(struct node_keys *out, const uint8_t seed32[32])
{
    derive(out->vote_seed, seed32, "consent/v1 node vote");
    derive(out->log_seed, seed32, "consent/v1 node log");
    derive(out->witness_seed, seed32, "consent/v1 node witness");
    derive(out->party_secret, seed32, "consent/v1 node party");
    cl_ed25519_public(out->vote, out->vote_seed);
    cl_ed25519_public(out->log, out->log_seed);
    cl_ed25519_public(out->witness, out->witness_seed);
    /* Fails for one seed in 2^128; then another seed is needed. */
    return cl_public_key_of(out->party, out->party_secret);
}

enum cl_status node_keys_create(struct node_keys *out, const char *data)
{
    char path[1200], text[SEED_TEXT_LENGTH + 1];
    uint8_t seed[32];
    enum cl_status status = file_path(path, sizeof path, data, SEED_FILE);
    if (status != CL_OK) return status;
    status = cl_random(seed, sizeof seed);
    if (status == CL_OK) status = node_keys_derive(out, seed);
    if (status == CL_OK) {
        memcpy(text, SEED_PREFIX, sizeof SEED_PREFIX - 1);
        hex_encode(text + sizeof SEED_PREFIX - 1, seed, 32);
        text[SEED_TEXT_LENGTH - 1] = '\n';
        status = file_write(path, text, SEED_TEXT_LENGTH, 0600, true);
    }
    cl_wipe(seed, sizeof seed);
    cl_wipe(text, sizeof text);
    return status;
}

enum cl_status node_keys_load(struct node_keys *out, const char *data)
{
    char path[1200];
    struct stat information;
    struct cl_buffer text = { 0 };
    uint8_t seed[32];
    enum cl_status status = file_path(path, sizeof path, data, SEED_FILE);
    if (status != CL_OK) return status;
    status = file_read(&text, path, SEED_TEXT_LENGTH + 1);
    if (status == CL_E_BOUND) status = CL_E_SECRET;
    if (status != CL_OK) goto out;
    status = CL_E_SECRET;
    if (stat(path, &information) != 0 || (information.st_mode & 077) != 0) goto out;
    if (text.length != SEED_TEXT_LENGTH || memcmp(text.data, SEED_PREFIX, sizeof SEED_PREFIX - 1) != 0) goto out;
    if (!hex_decode(seed, 32, (const char *)text.data + sizeof SEED_PREFIX - 1, 64)) goto out;
    status = node_keys_derive(out, seed);
out:
    cl_wipe(seed, sizeof seed);
    cl_buffer_wipe(&text);
    return status;
}

void node_keys_wipe(struct node_keys *keys)
{
    cl_wipe(keys, sizeof *keys);
}

/* Opens thousands of TERMS for tests of what takes thousands: many_terms NETWORK COUNT FOLDER writes FOLDER/terms-N.cose,
   records of 640 entries each (all of one owner, active as soon as somebody subscribes), and FOLDER/list.csv, their ids. */
#include "files.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENTRIES 640u

static struct fixture_network network;
static uint8_t nonces[ENTRIES][16], commitments[ENTRIES][32];

static int by_nonce(const void *a, const void *b) { return memcmp(a, b, 16); }

static void fill(struct cl_entry *entries, uint64_t record, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t hash[32];
        fixture_hash(hash, "many nonce", record * ENTRIES + i);
        memcpy(nonces[i], hash, 16);
    }
    qsort(nonces, count, sizeof nonces[0], by_nonce);
    for (size_t i = 0; i < count; i++) {
        fixture_hash(commitments[i], "many commitment", record * ENTRIES + i);
        entries[i] = (struct cl_entry){.present = CL_HAS(1) | CL_HAS(3) | CL_HAS(9) | CL_HAS(11) | CL_HAS(14), .object = nonces[i], .object_length = 16,
                                       .commitment = commitments[i], .slots = 6, .limit = 3, .mode = 1};
    }
}

static int write_record(const char *folder, uint64_t number, size_t count, uint64_t now_ms, FILE *list)
{
    struct cl_entry entries[ENTRIES];
    struct cl_signer owner;
    char path[1024], hex[65];
    uint64_t key = 1000 + number;
    fill(entries, number, count);
    struct cl_ledger_record *record = fixture_record(&network, CL_TERMS, key, entries, count, now_ms);
    snprintf(path, sizeof path, "%s/terms-%llu.cose", folder, (unsigned long long)number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(record->bytes, 1, record->record.bytes.length, file) != record->record.bytes.length || fclose(file) != 0) return 1;
    cl_ledger_record_unref(record);
    fixture_signer(&owner, key);
    for (size_t i = 0; i < count; i++) {
        struct cl_object_id id;
        cl_object_id_derive(&id, owner.key.bytes, nonces[i]);
        hex_encode(hex, id.bytes, 32);
        fprintf(list, "%s,customer %llu\n", hex, (unsigned long long)(number * ENTRIES + i));
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct timespec now;
    char path[1024];
    if (argc != 4 || !hex_decode(network.genesis.network.bytes, 32, argv[1], strlen(argv[1]))) return 2;
    uint64_t count = strtoull(argv[2], NULL, 10);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(path, sizeof path, "%s/list.csv", argv[3]);
    FILE *list = fopen(path, "w");
    if (list == NULL) return 1;
    fprintf(list, "terms,note\n");
    for (uint64_t number = 0; number * ENTRIES < count; number++) {
        uint64_t left = count - number * ENTRIES;
        if (write_record(argv[3], number, left < ENTRIES ? (size_t)left : ENTRIES, (uint64_t)now.tv_sec * 1000u, list) != 0) return 1;
    }
    return fclose(list) == 0 ? 0 : 1;
}

/* Where ids of 32 bytes stand in files, as bytes or as hexadecimal digits: find_ids IDS FILE... prints "file offset number" for
   each place, in the order of the file, number being the id's place in IDS (32 bytes each). For the linkage audit. */
#include "files.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct bytes { const uint8_t *data; size_t length; };

static struct bytes map(const char *path)
{
    struct bytes out = { NULL, 0 };
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0) {
        fprintf(stderr, "find_ids: %s cannot be read\n", path);
        exit(1);
    }
    if (about.st_size > 0) {
        out.data = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (out.data == MAP_FAILED) exit(1);
        out.length = (size_t)about.st_size;
    }
    close(file);
    return out;
}

/* slots: number + 1 by the id's first eight bytes, open addressing. */
static uint32_t *slots;
static size_t mask;
static struct bytes ids;

static size_t slot_of(const uint8_t *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    return (size_t)(bits * 0x9e3779b97f4a7c15u >> 20) & mask;
}

static uint32_t find(const uint8_t *at)
{
    for (size_t slot = slot_of(at); slots[slot] != 0; slot = (slot + 1) & mask)
        if (memcmp(ids.data + 32 * (size_t)(slots[slot] - 1), at, 32) == 0) return slots[slot];
    return 0;
}

static void index_ids(void)
{
    size_t count = ids.length / 32, room = 1024;
    while (room < 4 * count) room *= 2;
    mask = room - 1;
    slots = calloc(room, sizeof *slots);
    if (slots == NULL) exit(1);
    for (size_t i = 0; i < count; i++) {
        size_t slot = slot_of(ids.data + 32 * i);
        while (slots[slot] != 0) slot = (slot + 1) & mask;
        slots[slot] = (uint32_t)(i + 1);
    }
}

static bool is_digit(uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

static void look(const char *path)
{
    struct bytes file = map(path);
    size_t digits = 0; /* so many, up to here, in a row */
    for (size_t at = 0; at + 32 <= file.length; at++) {
        uint32_t found = find(file.data + at);
        if (found != 0) printf("%s %zu %u\n", path, at, found - 1);
        digits = is_digit(file.data[at]) ? digits + 1 : 0;
        if (digits < 64) continue;
        uint8_t id[32];
        if (hex_decode(id, 32, (const char *)file.data + at - 63, 64) && (found = find(id)) != 0) printf("%s %zu %u\n", path, at - 63, found - 1);
    }
    if (file.length > 0) munmap((void *)(uintptr_t)file.data, file.length);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    ids = map(argv[1]);
    index_ids();
    for (int i = 2; i < argc; i++) look(argv[i]);
    return 0;
}

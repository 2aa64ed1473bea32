/* FOLDER/ID.consent-public, ID in hexadecimal. Which there are is in memory, ascending by id, with what the ledger has to bear
   out; the bytes are read when they are shown. */
#include "public_bodies.h"

#include "crypto.h"
#include "files.h"

#include "consent/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BURST_S = 4, DAY_S = 86400, NAME_DIGITS = 64 };
static const char suffix[] = ".consent-public";

struct kept { struct public_facts facts; uint32_t length; bool doomed; /* could not be removed yet */ };
struct public_bodies {
    char folder[1100];
    struct public_limits limits;
    struct kept *kept;
    size_t count, capacity, swept;
    uint64_t puts_left_milli, puts_since_ms;
    struct public_report report;
};

void public_facts_of(struct public_facts *out, const struct cl_public_body *body)
{
    *out = (struct public_facts){ .object = body->body.object, .made_s = body->made_ms / 1000 };
    memcpy(out->signer, body->signer.bytes, 33);
    cl_body_file_commitment(&out->commitment, &body->body);
}

/* ---- the index */
/* The place of the first one that is not below this id. */
static size_t place_of(const struct public_bodies *bodies, const struct cl_object_id *object)
{
    size_t low = 0, high = bodies->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(bodies->kept[middle].facts.object.bytes, object->bytes, 32) < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}

static struct kept *find(struct public_bodies *bodies, const struct cl_object_id *object)
{
    size_t at = place_of(bodies, object);
    return at < bodies->count && memcmp(bodies->kept[at].facts.object.bytes, object->bytes, 32) == 0 ? &bodies->kept[at] : NULL;
}

static bool make_room(struct public_bodies *bodies)
{
    if (bodies->count < bodies->capacity) return true;
    size_t capacity = bodies->capacity > 0 ? bodies->capacity * 2 : 64;
    struct kept *larger = realloc(bodies->kept, capacity * sizeof *larger);
    if (larger == NULL) return false;
    bodies->kept = larger;
    bodies->capacity = capacity;
    return true;
}

/* There is room for it. */
static void note(struct public_bodies *bodies, const struct kept *kept)
{
    struct kept *before = find(bodies, &kept->facts.object);
    size_t at = place_of(bodies, &kept->facts.object);
    if (before == NULL) {
        memmove(bodies->kept + at + 1, bodies->kept + at, (bodies->count - at) * sizeof *bodies->kept);
        bodies->count++;
    } else {
        bodies->report.bytes -= before->length;
    }
    bodies->kept[at] = *kept;
    bodies->report.bytes += kept->length;
    bodies->report.bodies = bodies->count;
}

static void forget(struct public_bodies *bodies, struct kept *kept)
{
    size_t at = (size_t)(kept - bodies->kept);
    bodies->report.bytes -= kept->length;
    memmove(kept, kept + 1, (--bodies->count - at) * sizeof *kept);
    bodies->report.bodies = bodies->count;
}

/* ---- files */
static void path_of(char out[1200], const struct public_bodies *bodies, const struct cl_object_id *object)
{
    char name[NAME_DIGITS + 1];
    hex_encode(name, object->bytes, 32);
    snprintf(out, 1200, "%s/%s%s", bodies->folder, name, suffix);
}

/* What was in the file is zeros now, also for who has it open. */
static bool overwrite(int file)
{
    static const uint8_t zeros[4096];
    struct stat found;
    if (fstat(file, &found) != 0 || lseek(file, 0, SEEK_SET) != 0) return false;
    for (off_t left = found.st_size; left > 0;) {
        size_t part = left < (off_t)sizeof zeros ? (size_t)left : sizeof zeros;
        if (!file_write_all(file, zeros, part)) return false;
        left -= (off_t)part;
    }
    return fsync(file) == 0;
}

static bool destroy(const char *path)
{
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 && errno == ENOENT) return true;
    bool good = file >= 0 && overwrite(file);
    if (file >= 0 && close(file) != 0) good = false;
    return good && unlink(path) == 0 && file_sync_directory_of(path) == CL_OK;
}

/* Out: *kept. CL_E_FORMAT and others of its kind: it is no body of that name. */
static enum cl_status read_kept(struct kept *kept, const char *path, const struct cl_object_id *named)
{
    struct cl_buffer bytes = { 0 };
    struct cl_public_body body;
    enum cl_status status = file_read(&bytes, path, CL_PUBLIC_BODY_BYTES_MAX);
    if (status == CL_OK) status = cl_public_body_decode(&body, bytes.data, bytes.length);
    if (status == CL_OK && memcmp(body.body.object.bytes, named->bytes, 32) != 0) status = CL_E_FORMAT;
    *kept = (struct kept){ .length = (uint32_t)bytes.length };
    if (status == CL_OK) public_facts_of(&kept->facts, &body);
    cl_buffer_deinit(&bytes);
    return status;
}

/* One entry of the folder: kept, or removed where it is no whole body (what a crash left half written, or overwritten). */
static enum cl_status take_file(struct public_bodies *bodies, const char *name, size_t *unreadable)
{
    char path[1400];
    struct kept kept;
    struct cl_object_id object;
    size_t length = strlen(name), whole = NAME_DIGITS + sizeof suffix - 1;
    enum cl_status status = CL_E_FORMAT;
    if (length < whole || strncmp(name + NAME_DIGITS, suffix, sizeof suffix - 1) != 0 || !hex_decode(object.bytes, 32, name, NAME_DIGITS)) return CL_OK; /* not ours */
    if (file_path(path, sizeof path, bodies->folder, name) != CL_OK) return CL_E_BOUND;
    if (length == whole) status = read_kept(&kept, path, &object);
    if (status == CL_E_IO || status == CL_E_MEMORY) return status;
    if (status == CL_OK) {
        if (!make_room(bodies)) return CL_E_MEMORY;
        note(bodies, &kept);
        return CL_OK;
    }
    *unreadable += length == whole;
    return destroy(path) ? CL_OK : CL_E_IO;
}

enum cl_status public_bodies_new(struct public_bodies **out, const char *folder, const struct public_limits *limits, size_t *unreadable)
{
    struct public_bodies *made = calloc(1, sizeof *made);
    enum cl_status status = CL_OK;
    *unreadable = 0;
    if (made == NULL) return CL_E_MEMORY;
    made->limits = *limits;
    if (strlen(folder) >= sizeof made->folder) status = CL_E_BOUND;
    else memcpy(made->folder, folder, strlen(folder) + 1);
    if (status == CL_OK && mkdir(folder, 0700) != 0 && errno != EEXIST) status = CL_E_IO;
    if (status == CL_OK) status = file_sync_directory_of(folder);
    DIR *entries = status == CL_OK ? opendir(folder) : NULL;
    if (status == CL_OK && entries == NULL) status = CL_E_IO;
    for (struct dirent *entry; status == CL_OK && (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] != '.') status = take_file(made, entry->d_name, unreadable);
    int saved = errno;
    if (entries != NULL) closedir(entries);
    errno = saved;
    if (status != CL_OK) {
        public_bodies_free(made);
        return status;
    }
    *out = made;
    return CL_OK;
}

void public_bodies_free(struct public_bodies *bodies)
{
    if (bodies == NULL) return;
    free(bodies->kept);
    free(bodies);
}

/* ---- rules */
static enum public_outcome refuse(struct public_bodies *bodies, enum public_outcome outcome)
{
    bodies->report.refused++;
    return outcome;
}

/* The disk failed, but the next time it may not: what is in the file now counts. */
static enum public_outcome fail(struct public_bodies *bodies, const struct cl_object_id *object)
{
    char path[1200];
    struct kept now, *kept = find(bodies, object);
    int saved = errno;
    bodies->report.failures++;
    path_of(path, bodies, object);
    if (read_kept(&now, path, object) == CL_OK && make_room(bodies)) note(bodies, &now);
    else if (kept != NULL) kept->doomed = true;
    errno = saved;
    return PUBLIC_FAILED;
}

static bool take_rate(struct public_bodies *bodies, uint64_t monotonic_ms)
{
    uint64_t full = bodies->limits.puts_per_s * BURST_S * 1000, passed = bodies->puts_since_ms == 0 ? BURST_S * 1000 : monotonic_ms - bodies->puts_since_ms;
    if (passed > BURST_S * 1000) passed = BURST_S * 1000;
    bodies->puts_left_milli += passed * bodies->limits.puts_per_s;
    if (bodies->puts_left_milli > full) bodies->puts_left_milli = full;
    bodies->puts_since_ms = monotonic_ms > 0 ? monotonic_ms : 1;
    if (bodies->puts_left_milli < 1000) return false;
    bodies->puts_left_milli -= 1000;
    return true;
}

static bool same_again(const struct kept *before, const char *path, struct cl_view bytes)
{
    struct cl_buffer found = { 0 };
    bool same = !before->doomed && before->length == bytes.length && file_read(&found, path, CL_PUBLIC_BODY_BYTES_MAX) == CL_OK && found.length == bytes.length &&
                memcmp(found.data, bytes.data, bytes.length) == 0;
    cl_buffer_deinit(&found);
    return same;
}

enum public_outcome public_bodies_put(struct public_bodies *bodies, const struct cl_public_body *body, struct cl_view bytes, const struct public_time *now)
{
    char path[1200];
    struct kept made = { .length = (uint32_t)bytes.length };
    struct kept *before = find(bodies, &body->body.object);
    path_of(path, bodies, &body->body.object);
    if (!take_rate(bodies, now->monotonic_ms)) return refuse(bodies, PUBLIC_TOO_FAST);
    if (before != NULL && same_again(before, path, bytes)) return PUBLIC_KNOWN;
    if (before == NULL && bodies->count >= bodies->limits.bodies_max) return refuse(bodies, PUBLIC_FULL);
    if (bodies->report.bytes - (before != NULL ? before->length : 0) + bytes.length > bodies->limits.bytes_max) return refuse(bodies, PUBLIC_FULL);
    if (!make_room(bodies)) return refuse(bodies, PUBLIC_NOT_NOW);
    public_facts_of(&made.facts, body);
    int old = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW); /* fields that were public and are not any more */
    bool good = file_write(path, bytes.data, bytes.length, 0600, false) == CL_OK;
    if (old >= 0 && good) good = overwrite(old);
    if (old >= 0 && close(old) != 0) good = false;
    if (!good) return fail(bodies, &body->body.object);
    note(bodies, &made);
    bodies->report.put++;
    return PUBLIC_DONE;
}

enum public_outcome public_bodies_remove(struct public_bodies *bodies, bool *removed, const struct cl_object_id *object)
{
    char path[1200];
    struct kept *kept = find(bodies, object);
    *removed = kept != NULL;
    if (kept == NULL) return PUBLIC_DONE;
    path_of(path, bodies, object);
    if (!destroy(path)) {
        kept->doomed = true;
        bodies->report.failures++;
        return PUBLIC_FAILED;
    }
    forget(bodies, kept);
    bodies->report.removed++;
    return PUBLIC_DONE;
}

void public_bodies_page(struct public_bodies *bodies, struct public_page *page, const struct cl_object_id *after, public_shown_fn shown, void *context)
{
    char path[1200];
    *page = (struct public_page){ 0 };
    size_t at = after != NULL ? place_of(bodies, after) : 0;
    if (after != NULL && at < bodies->count && memcmp(bodies->kept[at].facts.object.bytes, after->bytes, 32) == 0) at++;
    for (; at < bodies->count && !page->more; at++) {
        const struct kept *kept = &bodies->kept[at];
        size_t length = page->bytes.length;
        if (kept->doomed || (shown != NULL && !shown(context, &kept->facts))) continue;
        page->more = page->count == PUBLIC_PAGE_BODIES_MAX || length + kept->length > PUBLIC_PAGE_BYTES_MAX;
        if (page->more) break;
        path_of(path, bodies, &kept->facts.object);
        if (file_read(&page->bytes, path, CL_PUBLIC_BODY_BYTES_MAX) != CL_OK || page->bytes.length - length != kept->length) {
            page->bytes.length = length; /* the others are shown all the same */
            bodies->report.failures++;
            continue;
        }
        page->items[page->count].object = kept->facts.object;
        page->items[page->count++].length = kept->length;
    }
}

void public_bodies_sweep(struct public_bodies *bodies, size_t count, const struct public_time *now, public_stale_fn stale, void *context)
{
    for (size_t i = 0; i < count && bodies->count > 0; i++) {
        char path[1200];
        if (bodies->swept >= bodies->count) bodies->swept = 0;
        struct kept *kept = &bodies->kept[bodies->swept];
        bool old = kept->doomed || kept->facts.made_s + bodies->limits.body_days * DAY_S < now->wall_s;
        if (!old && !stale(context, &kept->facts)) {
            bodies->swept++;
            continue;
        }
        path_of(path, bodies, &kept->facts.object);
        if (!destroy(path)) {
            kept->doomed = true;
            bodies->report.failures++;
            bodies->swept++;
            return;
        }
        forget(bodies, kept);
        bodies->report.expired++;
    }
}

void public_bodies_report(const struct public_bodies *bodies, struct public_report *out) { *out = bodies->report; }

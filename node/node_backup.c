/* `consentd backup` and `consentd restore`: files and directories. A backup is written beside its name and renamed when all
   of it is on the disk; a ledger is restored beside its name too, checked block by block, and renamed then. */
#include "node_backup.h"

#include "backup.h"
#include "buckets.h"
#include "crypto.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PATH_SIZE 1300u
#define STREAM "ledger.backup"
#define SMALL_FILE_BYTES_MAX GENESIS_BYTES_MAX
#define SILENT_S 90 /* a node that sends nothing for so long is not waited for */

struct part { const char *name; unsigned mode; bool secret; };
static const struct part parts[] = {
    { "genesis.json", 0644, false }, { "member.json", 0644, false }, { "tls.crt", 0644, false },
    { "node.seed", 0600, true }, { "tls.key", 0600, true }, { "reader.token", 0600, true },
};
enum { PARTS = sizeof parts / sizeof parts[0] };

struct said { char *sentence; size_t size; };
static CL_PRINTF(3, 4) enum cl_status fail(const struct said *said, enum cl_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said->sentence, said->size, format, arguments);
    va_end(arguments);
    return status;
}

static enum cl_status join(char out[PATH_SIZE], const char *directory, const char *name, const struct said *said)
{
    enum cl_status status = file_path(out, PATH_SIZE, directory, name);
    return status == CL_OK ? CL_OK : fail(said, status, "The path of %.200s is too long.", directory);
}

/* Says something at most once a second. */
static bool a_second_has_passed(time_t *shown)
{
    time_t now = time(NULL);
    if (now == *shown) return false;
    *shown = now;
    return true;
}

static enum cl_status copy_part(const struct part *part, const char *from, const char *to, const struct said *said)
{
    char source[PATH_SIZE], target[PATH_SIZE];
    struct cl_buffer bytes = { .secret = part->secret };
    enum cl_status status = join(source, from, part->name, said);
    if (status == CL_OK) status = join(target, to, part->name, said);
    if (status != CL_OK) return status;
    errno = 0;
    status = file_read(&bytes, source, SMALL_FILE_BYTES_MAX);
    if (status == CL_OK) status = file_write(target, bytes.data, bytes.length, part->mode, true);
    if (status != CL_OK && status != CL_E_NOT_FOUND && status != CL_E_EXISTS)
        (void)fail(said, status, "Copying %.200s to %.200s: %s", source, target, errno != 0 ? strerror(errno) : cl_status_sentence(status));
    cl_buffer_wipe(&bytes);
    return status;
}

/* ---- reading a stream from a file */
struct stream_file { int file; uint8_t bytes[65536]; size_t at, length; };

static enum cl_status get_bytes(void *context, uint8_t *out, size_t length)
{
    struct stream_file *in = context;
    while (length > 0) {
        if (in->at == in->length) {
            ssize_t got = read(in->file, in->bytes, sizeof in->bytes);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return CL_E_IO;
            if (got == 0) return CL_E_FORMAT; /* it ends too early */
            in->at = 0;
            in->length = (size_t)got;
        }
        size_t part = in->length - in->at < length ? in->length - in->at : length;
        memcpy(out, in->bytes + in->at, part);
        in->at += part;
        out += part;
        length -= part;
    }
    return CL_OK;
}

static void show_reading(void *context, const struct cl_backup_summary *so_far, uint64_t log_index)
{
    if (log_index > 0 && so_far->has_tip && a_second_has_passed(context))
        fprintf(stderr, "reading the backup: %llu of %llu leaves\n", (unsigned long long)log_index, (unsigned long long)so_far->tip.log_size);
}

/* The whole file, to its end; store may be NULL. */
static enum cl_status read_stream(struct cl_backup_summary *summary, const struct cl_store *store, const char *path, const struct said *said)
{
    time_t shown = time(NULL);
    uint8_t more;
    struct stream_file *in = malloc(sizeof *in);
    if (in == NULL) return CL_E_MEMORY;
    in->at = in->length = 0;
    in->file = open(path, O_RDONLY | O_CLOEXEC);
    enum cl_status status = CL_E_IO;
    if (in->file >= 0) {
        status = cl_backup_read(summary, store, get_bytes, in, show_reading, &shown);
        if (status == CL_OK && get_bytes(in, &more, 1) != CL_E_FORMAT) status = CL_E_FORMAT; /* there is more than a stream */
        int saved = errno;
        close(in->file);
        errno = saved;
    }
    free(in);
    switch ((int)status) {
    case CL_OK: return CL_OK;
    case CL_E_IO: return fail(said, status, "Reading %.300s: %s", path, strerror(errno));
    case CL_E_FORMAT: return fail(said, status, "%.300s is cut or damaged, or not a backup; take another one.", path);
    case CL_E_VERSION: return fail(said, status, "%.300s was written by a newer version; use that version.", path);
    default: return fail(said, status, "%.300s: %s", path, cl_status_sentence(status));
    }
}

/* ---- backup */
struct output { int file; uint64_t bytes; time_t shown; };

static enum cl_status put_bytes(void *context, const uint8_t *data, size_t length)
{
    struct output *output = context;
    if (!file_write_all(output->file, data, length)) return CL_E_IO;
    output->bytes += length;
    if (a_second_has_passed(&output->shown)) fprintf(stderr, "backup: %llu MiB\n", (unsigned long long)(output->bytes >> 20));
    return CL_OK;
}

static enum cl_status from_running_node(int socket, struct output *output, const struct said *said)
{
    uint8_t bytes[65536];
    struct timeval limit = { .tv_sec = SILENT_S };
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (;;) {
        ssize_t got = recv(socket, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(said, CL_E_IO, "The running node sent nothing for %d s: %s", SILENT_S, strerror(errno));
        if (got == 0) return CL_OK; /* whether it is whole, the stream itself tells */
        if (put_bytes(output, bytes, (size_t)got) != CL_OK) return fail(said, CL_E_IO, "Writing the backup: %s", strerror(errno));
    }
}

static enum cl_status from_stopped_node(const char *data, struct output *output, const struct said *said)
{
    char path[PATH_SIZE], words[400] = "";
    struct cl_store store;
    struct cl_store_options options;
    enum cl_status status = join(path, data, "store", said);
    if (status != CL_OK) return status;
    cl_store_options_default(&options);
    options.create = false;
    status = cl_store_leveldb_open(&store, path, &options, words, sizeof words);
    if (status == CL_E_STORE_LOCKED) return fail(said, status, "A process uses %.200s, but answers no backup; it may just have been started: try again.", path);
    if (status != CL_OK) return fail(said, status, "%s", words[0] != '\0' ? words : cl_status_sentence(status));
    status = cl_backup_write(&store, put_bytes, output);
    if (status == CL_E_IO) (void)fail(said, status, "Writing the backup: %s", strerror(errno));
    else if (status == CL_E_PENDING) (void)fail(said, status, "The newest blocks are stored without their certificate, as after a crash; start the node, then try again.");
    else if (status != CL_OK) (void)fail(said, status, "%s", cl_status_sentence(status));
    store.close(store.context);
    return status;
}

static enum cl_status write_stream(const char *data, const char *path, const struct said *said)
{
    struct output output = { .shown = time(NULL) };
    output.file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (output.file < 0) return fail(said, CL_E_IO, "Making %.300s: %s", path, strerror(errno));
    int socket = backup_connect(data);
    enum cl_status status = CL_OK;
    if (socket >= 0) status = from_running_node(socket, &output, said);
    else if (errno == ENOENT || errno == ECONNREFUSED) status = from_stopped_node(data, &output, said);
    else status = fail(said, CL_E_IO, "The running node's backup.sock in %.200s cannot be asked: %s", data, strerror(errno));
    if (socket >= 0) close(socket);
    if (status == CL_OK && fsync(output.file) != 0) status = fail(said, CL_E_IO, "Writing %.300s: %s", path, strerror(errno));
    if (close(output.file) != 0 && status == CL_OK) status = fail(said, CL_E_IO, "Writing %.300s: %s", path, strerror(errno));
    return status;
}

/* What a backup that did not end has left, and nothing else. */
static void remove_unfinished(const char *directory)
{
    char path[PATH_SIZE];
    for (size_t i = 0; i < 2 * PARTS; i++) { /* each, and what it is called while it is being written */
        int length = snprintf(path, sizeof path, "%s/%s%s", directory, parts[i / 2].name, i % 2 == 0 ? "" : ".new");
        if (length > 0 && (size_t)length < sizeof path) unlink(path);
    }
    if (file_path(path, sizeof path, directory, STREAM) == CL_OK) unlink(path);
    rmdir(directory);
}

static enum cl_status fill_directory(const struct backup_options *options, const struct node_genesis *genesis, const char *directory,
                                     struct cl_backup_summary *summary, const struct said *said)
{
    char path[PATH_SIZE];
    enum cl_status status = join(path, directory, STREAM, said);
    if (status == CL_OK) status = write_stream(options->data, path, said);
    if (status == CL_OK) status = read_stream(summary, NULL, path, said);
    if (status == CL_E_FORMAT) (void)fail(said, status, "The node ended the backup before its end, because it stops or cannot read something; its log says why.");
    if (status == CL_OK && memcmp(&summary->network, &genesis->core.network, sizeof summary->network) != 0)
        status = fail(said, CL_E_STORE_OTHER, "The ledger in %.200s is not of the network that %.200s names.", options->data, options->genesis_path);
    if (status == CL_OK) status = join(path, directory, "genesis.json", said);
    if (status == CL_OK) {
        status = file_write(path, genesis->bytes.data, genesis->bytes.length, 0644, true);
        if (status != CL_OK) (void)fail(said, status, "Writing %.300s: %s", path, strerror(errno));
    }
    for (size_t i = 1; i < PARTS && status == CL_OK; i++) {
        if (parts[i].secret && !options->with_keys) continue;
        status = copy_part(&parts[i], options->data, directory, said);
        if (status == CL_E_NOT_FOUND) status = parts[i].secret ? fail(said, status, "There is no %s in %.200s.", parts[i].name, options->data) : CL_OK;
    }
    return status;
}

static enum cl_status load_genesis(struct node_genesis *genesis, const char *path, const struct said *said)
{
    struct genesis_error error;
    enum cl_status status = node_genesis_load(genesis, &error, path);
    if (status == CL_OK) return CL_OK;
    return fail(said, status, "%.200s: %s", path, error.sentence[0] != '\0' ? error.sentence : cl_status_sentence(status));
}

static void tell_backup(const struct backup_options *options, const struct cl_backup_summary *summary)
{
    char network[65];
    hex_encode(network, summary->network.bytes, 32);
    printf("Height %llu, %llu leaves, of network %s is in %s (%llu MiB).\n", (unsigned long long)summary->tip.height,
           (unsigned long long)summary->tip.log_size, network, options->directory, (unsigned long long)(summary->bytes >> 20));
    if (options->with_keys) printf("Its keys are in it too: keep it as secret as the node itself.\n");
    else printf("Keys (node.seed, tls.key, reader.token) are not in it; keep them apart, or say --with-keys.\n");
}

enum cl_status backup_make(const struct backup_options *options, char *sentence, size_t sentence_size)
{
    const struct said said = { sentence, sentence_size };
    char unfinished[PATH_SIZE];
    struct node_genesis genesis;
    struct cl_backup_summary summary;
    int length = snprintf(unfinished, sizeof unfinished, "%s.part", options->directory);
    if (length <= 0 || length >= 1200) return fail(&said, CL_E_BOUND, "The name of the backup's directory is too long.");
    if (access(options->directory, F_OK) == 0) return fail(&said, CL_E_EXISTS, "%.300s is there already; a backup goes into a new directory.", options->directory);
    enum cl_status status = load_genesis(&genesis, options->genesis_path, &said);
    if (status != CL_OK) return status;
    remove_unfinished(unfinished);
    if (mkdir(unfinished, 0700) != 0) {
        status = fail(&said, CL_E_IO, "Making %.300s: %s", unfinished, strerror(errno));
    } else {
        status = fill_directory(options, &genesis, unfinished, &summary, &said);
        if (status == CL_OK && (rename(unfinished, options->directory) != 0 || file_sync_directory_of(options->directory) != CL_OK))
            status = fail(&said, CL_E_IO, "Renaming %.300s: %s", unfinished, strerror(errno));
        if (status == CL_OK) tell_backup(options, &summary);
        else remove_unfinished(unfinished);
    }
    node_genesis_deinit(&genesis);
    return status;
}

/* ---- restore */
struct work { char directory[PATH_SIZE], source[PATH_SIZE], store[PATH_SIZE], target[PATH_SIZE]; };

static void show_replay(void *context, const char *what, uint64_t done, uint64_t total)
{
    if (a_second_has_passed(context)) fprintf(stderr, "%s: %llu of %llu\n", what, (unsigned long long)done, (unsigned long long)total);
}

static enum cl_status prepare(struct work *work, const struct backup_options *options, const struct node_genesis *genesis, const struct said *said)
{
    char path[PATH_SIZE];
    struct cl_buffer bytes = { 0 };
    enum cl_status status = join(work->directory, options->data, "restoring", said);
    if (status == CL_OK) status = join(work->source, work->directory, "source", said);
    if (status == CL_OK) status = join(work->store, work->directory, "store", said);
    if (status == CL_OK) status = join(work->target, options->data, "store", said);
    if (status == CL_OK) status = join(path, options->data, "genesis.json", said);
    if (status != CL_OK) return status;
    if (mkdir(options->data, 0700) != 0 && errno != EEXIST) return fail(said, CL_E_IO, "Making %.300s: %s", options->data, strerror(errno));
    if (access(work->target, F_OK) == 0)
        return fail(said, CL_E_EXISTS, "%.300s is there already; nothing was changed. Move it away if the backup is to take its place.", work->target);
    if (file_read(&bytes, path, GENESIS_BYTES_MAX) == CL_OK && (bytes.length != genesis->bytes.length || memcmp(bytes.data, genesis->bytes.data, bytes.length) != 0))
        status = fail(said, CL_E_STORE_OTHER, "%.300s is another network's than the backup's; nothing was changed.", path);
    cl_buffer_deinit(&bytes);
    if (status == CL_OK && mkdir(work->directory, 0700) != 0 && errno != EEXIST) status = fail(said, CL_E_IO, "Making %.300s: %s", work->directory, strerror(errno));
    return status;
}

/* What a restore that did not end has left. CL_E_STORE_LOCKED: it has not ended. */
static enum cl_status clear(const struct work *work, const struct said *said)
{
    enum cl_status status = cl_store_leveldb_remove(work->source, said->sentence, said->size);
    return status == CL_OK ? cl_store_leveldb_remove(work->store, said->sentence, said->size) : status;
}

static enum cl_status open_new(struct cl_store *out, const char *path, const struct said *said)
{
    struct cl_store_options options;
    cl_store_options_default(&options);
    options.exclusive_create = options.unsynced = true;
    return cl_store_leveldb_open(out, path, &options, said->sentence, said->size);
}

static enum cl_status rebuild(const struct work *work, struct cl_store *source, const struct node_genesis *genesis, const struct said *said)
{
    struct cl_store store;
    struct cl_smt_buckets buckets;
    char words[400] = "";
    time_t shown = time(NULL);
    enum cl_status status = open_new(&store, work->store, said);
    if (status != CL_OK) return status;
    status = cl_buckets_file_new(&buckets, work->directory, CL_BUCKETS_IN_MEMORY);
    if (status == CL_OK) {
        status = cl_ledger_restore(&store, source, &buckets, &genesis->core, show_replay, &shown, words, sizeof words);
        cl_buckets_free(&buckets);
    }
    if (status != CL_OK) (void)fail(said, status, "This backup does not hold together, and nothing was restored: %s", words[0] != '\0' ? words : cl_status_sentence(status));
    store.close(store.context);
    if (status == CL_OK && (!file_sync_all_in(work->store) || rename(work->store, work->target) != 0 || file_sync_directory_of(work->target) != CL_OK))
        status = fail(said, CL_E_IO, "Moving the ledger to %.300s: %s", work->target, strerror(errno));
    return status;
}

static enum cl_status restore_ledger(const struct work *work, const struct backup_options *options, const struct node_genesis *genesis,
                                     struct cl_backup_summary *summary, const struct said *said)
{
    char path[PATH_SIZE], left[256];
    struct cl_store source;
    enum cl_status status = join(path, options->directory, STREAM, said);
    if (status == CL_OK) status = clear(work, said);
    if (status == CL_OK) status = open_new(&source, work->source, said);
    if (status != CL_OK) return status;
    status = read_stream(summary, &source, path, said);
    if (status == CL_OK && memcmp(&summary->network, &genesis->core.network, sizeof summary->network) != 0)
        status = fail(said, CL_E_STORE_OTHER, "%.300s is of another network than the genesis.json beside it; nothing was restored.", path);
    if (status == CL_OK && (!summary->has_tip || summary->tip.height == 0)) status = fail(said, CL_E_NOT_FOUND, "%.300s holds no block: there is nothing to restore.", path);
    if (status == CL_OK) status = rebuild(work, &source, genesis, said);
    source.close(source.context);
    struct said ignored = { left, sizeof left };
    (void)clear(work, &ignored);
    rmdir(work->directory);
    return status;
}

static bool has(const char *directory, const char *name)
{
    char path[PATH_SIZE];
    return file_path(path, sizeof path, directory, name) == CL_OK && access(path, F_OK) == 0;
}

/* Is this an observer's directory? Without its keys nobody can tell. */
static bool is_observer(const struct backup_options *options, const struct node_genesis *genesis)
{
    struct node_keys keys;
    if (node_keys_load(&keys, options->data) != CL_OK) return false;
    size_t own = node_genesis_own(genesis, &keys);
    node_keys_wipe(&keys);
    return own != SIZE_MAX && own >= genesis->core.value.member_count;
}

static void tell_restored(const struct backup_options *options, const struct cl_backup_summary *summary, const struct node_genesis *genesis)
{
    size_t members = genesis->core.value.member_count;
    char when[32] = "";
    time_t block_s = (time_t)(summary->tip.time_ms / 1000);
    struct tm parts_of;
    if (gmtime_r(&block_s, &parts_of) != NULL) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts_of);
    printf("Height %llu (%s), %llu leaves, is in %s. Every record, signature, block and certificate was checked again.\n",
           (unsigned long long)summary->tip.height, when, (unsigned long long)summary->tip.log_size, options->data);
    if (!has(options->data, "node.seed") || !has(options->data, "tls.key"))
        printf("Its keys were not in the backup: put node.seed, tls.key and reader.token (mode 0600) into %s from where you keep them.\n", options->data);
    if (node_genesis_peer_count(genesis) > 1)
        printf("At its next start the node fetches from the others what became final since.");
    else
        printf("What became final after that is lost, unless another copy has it.");
    if (is_observer(options, genesis)) printf(" It is an observer and never votes.\n");
    else if (has(options->data, "vote.log")) printf(" vote.log was there already and stays.\n");
    else if (members > 1) printf(" There is no vote log, so it asks the others how far it may have voted, and votes again once a quorum of them has answered.\n");
    else printf(" There is no vote log, so the node does not know what it has signed since: see 'Restoring' in consentd(8) before you start it.\n");
}

enum cl_status backup_restore(const struct backup_options *options, char *sentence, size_t sentence_size)
{
    const struct said said = { sentence, sentence_size };
    char path[PATH_SIZE];
    struct node_genesis genesis;
    struct work work;
    struct cl_backup_summary summary = { 0 };
    enum cl_status status = join(path, options->directory, "genesis.json", &said);
    if (status == CL_OK) status = load_genesis(&genesis, path, &said);
    if (status != CL_OK) return status;
    status = prepare(&work, options, &genesis, &said);
    if (status == CL_OK) status = restore_ledger(&work, options, &genesis, &summary, &said);
    /* Keys last: a directory with keys and without a ledger would be a new node's. */
    for (size_t i = 0; i < PARTS && status == CL_OK; i++) {
        status = copy_part(&parts[i], options->directory, options->data, &said);
        if (status == CL_E_NOT_FOUND || status == CL_E_EXISTS) status = CL_OK;
    }
    if (status == CL_OK) tell_restored(options, &summary, &genesis);
    node_genesis_deinit(&genesis);
    return status;
}

/* consentd: the node's command line. */
#include "buckets.h"
#include "crypto.h"
#include "files.h"
#include "logging.h"
#include "keys.h"
#include "node.h"
#include "node_backup.h"
#include "consent/record.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2 };

static const char usage_all[] =
    "consentd - a node of a consent ledger\n\n"
    "  consentd init      makes this node's keys and its member file\n"
    "  consentd genesis   puts member files together into a network's genesis document\n"
    "  consentd run       runs the node\n"
    "  consentd check     checks everything that is stored, without changing it\n"
    "  consentd reindex   rebuilds every index from the stored blocks\n"
    "  consentd backup    copies the ledger, from a running node too\n"
    "  consentd restore   makes a data directory from a backup, and checks all of it\n"
    "  consentd sign      signs a digest with the member's party key, for 'consent vouch --signer'\n"
    "  consentd --check-config FILE   reads a configuration file and says what is wrong with it\n"
    "  consentd --version\n\n"
    "'consentd COMMAND --help' tells more. Example: consentd run --data /var/lib/consentd\n";
static const char usage_init[] =
    "consentd init --data DIR --name NAME [--role controller|joint-controller|processor] [--jurisdiction DE] [--address HOST:PORT] [--observer]\n\n"
    "Makes DIR with node.seed (keep it secret and backed up), the TLS key and certificate, reader.token, and member.json,\n"
    "which goes to whoever puts the genesis document together.\n"
    "--address: where the other nodes reach this one. Frames go to PORT, questions to the next port, both over mutual TLS. A\n"
    "network of one member needs none.\n"
    "--observer: this node keeps a copy and serves it; it does not vote, and has neither role nor jurisdiction.\n"
    "Example: consentd init --data /var/lib/consentd --name hospital --jurisdiction DE --address hospital.example:8781\n";
static const char usage_genesis[] =
    "consentd genesis --origin ORIGIN --out FILE [--open-reads] [--epoch-length N] [--block-records N] [--d0-ms N] MEMBER.json...\n\n"
    "Writes the genesis document of a new network; every member puts the same bytes into its data directory as genesis.json.\n"
    "Members' files and observers' files may stand in any order; members, and their turn to lead, are in the order given.\n"
    "--open-reads lets anybody read the feed, the terms and the tiles.\n"
    "--d0-ms (10 to 5000; 300): within it a message reaches every member and is dealt with. A leader that has proposed nothing\n"
    "for twice as long is passed over. Give at least the longest round trip between two members.\n"
    "Example: once each of four members has run 'consentd init' and sent its member.json:\n"
    "  consentd genesis --origin consent.example/2026 --out genesis.json hospital.json bank.json bank2.json union.json\n"
    "Of four members one may fail; of seven two; of n, (n - 1) / 3.\n";
static const char usage_run[] =
    "consentd run --data DIR [--config FILE] [--listen ADDRESS:PORT] [--new-vote-log]\n\n"
    "Runs the node until SIGTERM or SIGINT. It reads DIR/genesis.json unless the configuration names another file, listens on\n"
    "127.0.0.1:8780 unless told otherwise, and prints its URL when it is ready. Settings of the configuration file:\n"
    "  [node] genesis workers cosign_interval_s   [http] listen connections_max threads idle_s request_s body_bytes_max\n"
    "  feed_streams_max origins tls_certificate tls_key   [links] listen ask_listen   [pool] records_max bytes_max\n"
    "  [store] cache_mb write_buffer_mb\n"
    "  [votelog] truncate_mb   [sync] mode   [access] readers submitters   [log] level\n"
    "  [mailbox] mailboxes_max deliveries_max bytes_max bytes_per_s opens_per_s mailbox_deliveries_max mailbox_bytes_max\n"
    "  mailbox_deposits_per_s delivery_days unfetched_days waits_max compact_s\n"
    "  [public] bodies_max bytes_max puts_per_s body_days copy_s\n"
    "--new-vote-log: in a network of one, start a new vote log where it is lost or damaged; only if DIR is this node's newest\n"
    "state. Among several members: forget the vote log and vote again once a quorum of the others has told how far this node may\n"
    "have voted. Needed once after DIR was put back from a copy or a snapshot of the machine; a lost or damaged log needs none.\n"
    "Example: consentd run --data /var/lib/consentd --config /etc/consentd.ini\n";
static const char usage_check[] =
    "consentd check --data DIR [--genesis FILE]\n\n"
    "Computes every hash, root and state again from the stored records and compares. The node must not run.\n"
    "--genesis: the genesis document, where it is not DIR/genesis.json.\n"
    "Example: consentd check --data /var/lib/consentd\n";
static const char usage_reindex[] =
    "consentd reindex --data DIR [--genesis FILE]\n\n"
    "Rebuilds indexes and state from the stored blocks. The node must not run.\n"
    "--genesis: the genesis document, where it is not DIR/genesis.json.\n"
    "Example: consentd reindex --data /var/lib/consentd\n";
static const char usage_backup[] =
    "consentd backup --data DIR --to DIR2 [--with-keys] [--genesis FILE]\n\n"
    "Copies the ledger into DIR2, which must not exist; it gets its name when all of it is on the disk. A running node goes on\n"
    "meanwhile: it streams the ledger as it was at one moment by DIR/backup.sock, which only its own user can ask.\n"
    "--with-keys: node.seed, tls.key and reader.token as well; keep such a backup as secret as the node.\n"
    "--genesis: the genesis document, where it is not DIR/genesis.json.\n"
    "Example: consentd backup --data /var/lib/consentd --to /backup/consentd-2026-11-22\n";
static const char usage_restore[] =
    "consentd restore --from DIR2 --data DIR\n\n"
    "Makes the ledger in DIR again from a backup, checks every record, signature, block and certificate on the way, and says what\n"
    "to do next. DIR must not have a ledger. The vote log is never in a backup: a node that forgot its votes must not vote\n"
    "before the others, or its operator, have told that it may.\n"
    "Example: consentd restore --from /backup/consentd-2026-11-22 --data /var/lib/consentd\n";
static const char usage_sign[] =
    "consentd sign --data DIR\n\n"
    "Reads a 32-byte digest on standard input and writes this member's signature (64 bytes, r || s) by its party key.\n"
    "Example: consent vouch ID --until 2027-06-30 --signer \"exec:consentd sign --data /var/lib/consentd\" --signer-key KEY\n"
    "(KEY is party_key in member.json.)\n";

/* ---- arguments: --name value, --flag, and what is left over */
struct arguments { int count; char **values; bool bad; };

/* Takes --name VALUE out; NULL where absent. */
static const char *take(struct arguments *arguments, const char *name)
{
    for (int i = 0; i < arguments->count; i++) {
        if (strcmp(arguments->values[i], name) != 0) continue;
        if (i + 1 >= arguments->count) {
            fprintf(stderr, "consentd: %s needs a value.\n", name);
            arguments->bad = true;
            return NULL;
        }
        const char *value = arguments->values[i + 1];
        memmove(&arguments->values[i], &arguments->values[i + 2], (size_t)(arguments->count - i - 2) * sizeof(char *));
        arguments->count -= 2;
        return value;
    }
    return NULL;
}

static bool take_flag(struct arguments *arguments, const char *name)
{
    for (int i = 0; i < arguments->count; i++) {
        if (strcmp(arguments->values[i], name) != 0) continue;
        memmove(&arguments->values[i], &arguments->values[i + 1], (size_t)(arguments->count - i - 1) * sizeof(char *));
        arguments->count--;
        return true;
    }
    return false;
}

/* What is left must be nothing (or, where files are allowed, no option). */
static int check_left(const struct arguments *arguments, bool files, const char *usage)
{
    if (arguments->bad) return EXIT_USAGE;
    for (int i = 0; i < arguments->count; i++)
        if (!files || arguments->values[i][0] == '-') {
            fprintf(stderr, "consentd: '%s' is not understood.\n\n%s", arguments->values[i], usage);
            return EXIT_USAGE;
        }
    return EXIT_DONE;
}

static int need(const char *value, const char *name, const char *usage)
{
    if (value != NULL && value[0] != '\0') return EXIT_DONE;
    fprintf(stderr, "consentd: %s is needed.\n\n%s", name, usage);
    return EXIT_USAGE;
}

static int failed(const char *what, enum cl_status status)
{
    if (status == CL_E_IO) fprintf(stderr, "consentd: %s: %s.\n", what, strerror(errno));
    else fprintf(stderr, "consentd: %s: %s (%s)\n", what, cl_status_sentence(status), cl_status_code(status));
    return EXIT_ERROR;
}

/* ---- init */
static enum cl_status write_in(const char *data, const char *name, const void *bytes, size_t length, unsigned mode)
{
    char path[NODE_PATH_MAX + 64];
    enum cl_status status = file_path(path, sizeof path, data, name);
    return status != CL_OK ? status : file_write(path, bytes, length, mode, true);
}

static enum cl_status write_token(const char *data)
{
    uint8_t random[32];
    char text[66];
    enum cl_status status = cl_random(random, sizeof random);
    if (status != CL_OK) return status;
    hex_encode(text, random, sizeof random);
    text[64] = '\n';
    status = write_in(data, "reader.token", text, 65, 0600);
    cl_wipe(text, sizeof text);
    cl_wipe(random, sizeof random);
    return status;
}

static int write_identity(const char *data, const char *name, struct member_info *info)
{
    struct node_keys keys;
    struct cl_buffer member = { 0 };
    char key[NODE_PEM_BYTES_MAX], error[128] = "";
    enum cl_status status = node_certificate_make(info->certificate, key, name, error, sizeof error);
    if (status != CL_OK) {
        fprintf(stderr, "consentd: the TLS certificate could not be made: %s\n", error);
        return EXIT_ERROR;
    }
    status = node_keys_create(&keys, data);
    if (status == CL_E_EXISTS) {
        fprintf(stderr, "consentd: %s has a node.seed already; nothing was changed.\n", data);
        cl_wipe(key, sizeof key);
        return EXIT_ERROR;
    }
    if (status == CL_OK) status = member_file_encode(&member, name, info, &keys);
    if (status == CL_OK) status = write_in(data, "tls.key", key, strlen(key), 0600);
    if (status == CL_OK) status = write_in(data, "tls.crt", info->certificate, strlen(info->certificate), 0644);
    if (status == CL_OK) status = write_token(data);
    if (status == CL_OK) status = write_in(data, "member.json", member.data, member.length, 0644);
    cl_wipe(key, sizeof key);
    node_keys_wipe(&keys);
    cl_buffer_deinit(&member);
    return status == CL_OK ? EXIT_DONE : failed(data, status);
}

/* What the member file will say; name and address are what a stranger's genesis document must be able to carry. */
static int fill_member(struct member_info *info, const char *name, const char *role, const char *jurisdiction, const char *address, bool observer)
{
    if (!member_name_valid(name)) {
        fprintf(stderr, "consentd: a name is 1 to %u of a-z, 0-9 and -.\n", CL_MEMBER_NAME_BYTES_MAX);
        return EXIT_USAGE;
    }
    if (observer && (role != NULL || jurisdiction != NULL || address == NULL)) {
        fprintf(stderr, "consentd: an observer has an --address, and neither --role nor --jurisdiction.\n");
        return EXIT_USAGE;
    }
    role = role != NULL ? role : observer ? "" : "controller";
    jurisdiction = jurisdiction != NULL ? jurisdiction : observer ? "" : "EU";
    if (!observer && strcmp(role, "controller") != 0 && strcmp(role, "joint-controller") != 0 && strcmp(role, "processor") != 0) {
        fprintf(stderr, "consentd: --role is controller, joint-controller or processor.\n");
        return EXIT_USAGE;
    }
    if (address != NULL && !node_address_valid(address)) {
        fprintf(stderr, "consentd: '%.80s' is not HOST:PORT where other nodes reach this one, as hospital.example:8781 or [2001:db8::1]:8781;\n"
                "PORT is 1 to 65534, because questions go to the next one.\n", address);
        return EXIT_USAGE;
    }
    if (strlen(jurisdiction) >= sizeof info->jurisdiction) {
        fprintf(stderr, "consentd: --jurisdiction is too long.\n");
        return EXIT_USAGE;
    }
    snprintf(info->role, sizeof info->role, "%s", role);
    snprintf(info->jurisdiction, sizeof info->jurisdiction, "%s", jurisdiction);
    snprintf(info->address, sizeof info->address, "%s", address != NULL ? address : "");
    return EXIT_DONE;
}

static int command_init(struct arguments *arguments)
{
    const char *data = take(arguments, "--data"), *name = take(arguments, "--name"), *role = take(arguments, "--role");
    const char *jurisdiction = take(arguments, "--jurisdiction"), *address = take(arguments, "--address");
    bool observer = take_flag(arguments, "--observer");
    struct member_info info = { 0 };
    int result = check_left(arguments, false, usage_init);
    if (result == EXIT_DONE) result = need(data, "--data", usage_init);
    if (result == EXIT_DONE) result = need(name, "--name", usage_init);
    if (result == EXIT_DONE) result = fill_member(&info, name, role, jurisdiction, address, observer);
    if (result != EXIT_DONE) return result;
    if (strlen(data) >= NODE_PATH_MAX) {
        fprintf(stderr, "consentd: --data is too long.\n");
        return EXIT_USAGE;
    }
    if (mkdir(data, 0700) != 0 && errno != EEXIST) return failed(data, CL_E_IO);
    result = write_identity(data, name, &info);
    if (result != EXIT_DONE) return result;
    printf("Keys and certificate are in %s. Keep node.seed secret and backed up.\n"
           "Next: send %s/member.json to whoever makes the genesis document", data, data);
    if (observer) printf(",\nput the genesis.json that comes back into %s,\n", data);
    else printf(", or make it yourself:\n  consentd genesis --origin ORIGIN --out %s/genesis.json %s/member.json\n", data, data);
    printf("then start the node:\n  consentd run --data %s\n", data);
    return EXIT_DONE;
}

/* ---- genesis */
static bool read_number(uint64_t *out, const char *text)
{
    char *end = NULL;
    if (text == NULL) return true;
    *out = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static void tell_network(const struct cl_buffer *document, const char *path)
{
    struct node_genesis genesis;
    struct genesis_error error;
    char text[65];
    if (node_genesis_decode(&genesis, &error, document->data, document->length) != CL_OK) return; /* it was checked; no memory */
    size_t members = genesis.core.value.member_count;
    hex_encode(text, genesis.core.network.bytes, 32);
    printf("Network %s of %zu member%s", text, members, members == 1 ? "" : "s");
    if (genesis.observer_count > 0) printf(" and %zu observer%s", genesis.observer_count, genesis.observer_count == 1 ? "" : "s");
    printf(" is in %s.\n", path);
    if (members > 1) printf("%zu of %zu have to agree; %zu may fail.\n", cl_quorum(members), members, members - cl_quorum(members));
    printf("Every member copies this file, byte for byte, to genesis.json in its data directory, then starts: consentd run --data DIR\n");
    node_genesis_deinit(&genesis);
}

static int command_genesis(struct arguments *arguments)
{
    const char *origin = take(arguments, "--origin"), *out = take(arguments, "--out"), *epoch = take(arguments, "--epoch-length");
    const char *records = take(arguments, "--block-records"), *d0 = take(arguments, "--d0-ms");
    struct cl_parameters parameters;
    struct genesis_error error;
    struct cl_buffer document = { 0 };
    bool open_reads = take_flag(arguments, "--open-reads");
    node_parameters_default(&parameters, (size_t)arguments->count);
    parameters.open_reads = open_reads ? 1 : 0;
    int result = check_left(arguments, true, usage_genesis);
    if (result == EXIT_DONE) result = need(origin, "--origin", usage_genesis);
    if (result == EXIT_DONE) result = need(out, "--out", usage_genesis);
    if (result == EXIT_DONE) result = need(arguments->count > 0 ? "yes" : NULL, "a member file", usage_genesis);
    if (result != EXIT_DONE) return result;
    if (!read_number(&parameters.epoch_length, epoch) || !read_number(&parameters.block_records_max, records) || !read_number(&parameters.d0_ms, d0)) {
        fprintf(stderr, "consentd: --epoch-length, --block-records and --d0-ms are numbers.\n");
        return EXIT_USAGE;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    enum cl_status status = node_genesis_compose(&document, &error, origin, now_ms, &parameters, (const char *const *)arguments->values, (size_t)arguments->count);
    if (status != CL_OK) {
        fprintf(stderr, "consentd: the genesis document cannot be made: %s\n", error.sentence[0] != '\0' ? error.sentence : cl_status_sentence(status));
        result = EXIT_ERROR;
    } else {
        status = file_write(out, document.data, document.length, 0644, true);
        if (status != CL_OK) result = failed(out, status);
    }
    if (result == EXIT_DONE) tell_network(&document, out);
    cl_buffer_deinit(&document);
    return result;
}

/* ---- run */
static void on_stop(void *context)
{
    (void)context;
    kill(getpid(), SIGTERM);
}

static int load_config(struct node_config *config, const char *path)
{
    struct config_error error;
    if (path == NULL) return EXIT_DONE;
    enum cl_status status = node_config_load(config, &error, path);
    if (status == CL_OK) return EXIT_DONE;
    if (error.line > 0) fprintf(stderr, "consentd: %s line %zu: %s\n", path, error.line, error.sentence);
    else fprintf(stderr, "consentd: %s: %s\n", path, error.sentence[0] != '\0' ? error.sentence : cl_status_sentence(status));
    return EXIT_ERROR;
}

static int set_text(char *out, size_t size, const char *value, const char *what)
{
    if (value == NULL) return EXIT_DONE;
    if (strlen(value) < size) {
        snprintf(out, size, "%s", value);
        return EXIT_DONE;
    }
    fprintf(stderr, "consentd: %s is too long.\n", what);
    return EXIT_USAGE;
}

static int run_node(const struct node_options *options)
{
    struct node *node = NULL;
    char sentence[512];
    sigset_t signals;
    int signal_number = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread starts: all inherit it */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a full disk: a sentence, not a dump */
    enum cl_status status = node_start(&node, options, sentence, sizeof sentence);
    if (status != CL_OK) {
        fprintf(stderr, "consentd: %s (%s)\n", sentence, cl_status_code(status));
        return EXIT_ERROR;
    }
    printf("consentd is ready at %s\n", node_url(node));
    fflush(stdout);
    log_line(LOG_LEVEL_INFO, "ready", "url=%s", node_url(node));
    while (sigwait(&signals, &signal_number) != 0) {}
    log_line(LOG_LEVEL_INFO, "stopping", "signal=%d", signal_number);
    status = node_stop(node);
    log_line(LOG_LEVEL_INFO, "stopped", "code=%s", cl_status_code(status));
    return status == CL_OK ? EXIT_DONE : EXIT_ERROR;
}

static int command_run(struct arguments *arguments)
{
    const char *data = take(arguments, "--data"), *config = take(arguments, "--config"), *address = take(arguments, "--listen");
    struct node_options options = { .on_stop = on_stop };
    options.new_vote_log = take_flag(arguments, "--new-vote-log");
    int result = check_left(arguments, false, usage_run);
    if (result == EXIT_DONE) result = need(data, "--data", usage_run);
    node_config_default(&options.config);
    if (result == EXIT_DONE) result = load_config(&options.config, config);
    if (result == EXIT_DONE) result = set_text(options.config.data, sizeof options.config.data, data, "--data");
    if (result == EXIT_DONE) result = set_text(options.config.listen, sizeof options.config.listen, address, "--listen");
    if (result != EXIT_DONE) return result;
    log_set_level((enum log_level)options.config.log_level);
    return run_node(&options);
}

/* ---- check and reindex */
static void show_progress(void *context, const char *what, uint64_t done, uint64_t total)
{
    time_t *shown = context, now = time(NULL);
    if (now == *shown) return;
    *shown = now;
    fprintf(stderr, "%s: %llu of %llu\n", what, (unsigned long long)done, (unsigned long long)total);
}

/* The blocks are replayed into a ledger beside the real one, on disk, because it may be larger than memory. */
static enum cl_status replay(struct cl_store *store, const struct cl_genesis *genesis, const char *data, bool rebuild, char *detail, size_t detail_size)
{
    char path[NODE_PATH_MAX + 64];
    struct cl_store scratch;
    struct cl_smt_buckets buckets;
    struct cl_store_options options;
    time_t shown = time(NULL);
    if (file_path(path, sizeof path, data, "scratch") != CL_OK) return CL_E_BOUND;
    cl_store_options_default(&options);
    options.create = options.unsynced = true;
    enum cl_status status = cl_store_leveldb_remove(path, detail, detail_size); /* of a run that was killed */
    if (status == CL_OK) status = cl_store_leveldb_open(&scratch, path, &options, detail, detail_size);
    if (status != CL_OK) return status;
    status = cl_buckets_file_new(&buckets, data, CL_BUCKETS_IN_MEMORY);
    if (status == CL_OK) {
        status = rebuild ? cl_ledger_reindex(store, &scratch, &buckets, genesis, show_progress, &shown, detail, detail_size)
                         : cl_ledger_check(store, &scratch, &buckets, genesis, show_progress, &shown, detail, detail_size);
        cl_buckets_free(&buckets);
    }
    scratch.close(scratch.context);
    char left[256];
    if (cl_store_leveldb_remove(path, left, sizeof left) != CL_OK) fprintf(stderr, "consentd: %s can be removed by hand: %s\n", path, left);
    return status;
}

static int offline(struct arguments *arguments, bool rebuild, const char *usage)
{
    const char *data = take(arguments, "--data"), *genesis_path = take(arguments, "--genesis");
    char path[NODE_PATH_MAX + 64], store_path[NODE_PATH_MAX + 64], detail[512] = "";
    struct node_genesis genesis;
    struct genesis_error error;
    struct cl_store store;
    struct cl_store_options options;
    int result = check_left(arguments, false, usage);
    if (result == EXIT_DONE) result = need(data, "--data", usage);
    if (result != EXIT_DONE) return result;
    if (file_path(path, sizeof path, data, "genesis.json") != CL_OK || file_path(store_path, sizeof store_path, data, "store") != CL_OK)
        return failed(data, CL_E_BOUND);
    if (genesis_path == NULL) genesis_path = path;
    enum cl_status status = node_genesis_load(&genesis, &error, genesis_path);
    if (status != CL_OK) {
        fprintf(stderr, "consentd: %s: %s\n", genesis_path, error.sentence[0] != '\0' ? error.sentence : cl_status_sentence(status));
        return EXIT_ERROR;
    }
    cl_store_options_default(&options);
    options.create = false;
    status = cl_store_leveldb_open(&store, store_path, &options, detail, sizeof detail);
    if (status == CL_E_NOT_FOUND) snprintf(detail, sizeof detail, "There is no database in %.200s yet; 'consentd run' makes one.", store_path);
    if (status == CL_OK) {
        status = replay(&store, &genesis.core, data, rebuild, detail, sizeof detail);
        store.close(store.context);
    }
    node_genesis_deinit(&genesis);
    if (status == CL_OK) {
        printf(rebuild ? "Every index was rebuilt from the blocks.\n" : "Everything stored holds together.\n");
        return EXIT_DONE;
    }
    fprintf(stderr, "consentd: %s (%s)\n", detail[0] != '\0' ? detail : cl_status_sentence(status), cl_status_code(status));
    return EXIT_ERROR;
}

/* ---- backup and restore */
static int finish_backup(enum cl_status status, const char *sentence)
{
    if (status == CL_OK) return fflush(stdout) == 0 ? EXIT_DONE : failed("standard output", CL_E_IO);
    fprintf(stderr, "consentd: %s (%s)\n", sentence[0] != '\0' ? sentence : cl_status_sentence(status), cl_status_code(status));
    return EXIT_ERROR;
}

static int command_backup(struct arguments *arguments)
{
    struct backup_options options = { .data = take(arguments, "--data"), .directory = take(arguments, "--to"),
                                      .genesis_path = take(arguments, "--genesis"), .with_keys = take_flag(arguments, "--with-keys") };
    char path[NODE_PATH_MAX + 64], sentence[1024] = "";
    int result = check_left(arguments, false, usage_backup);
    if (result == EXIT_DONE) result = need(options.data, "--data", usage_backup);
    if (result == EXIT_DONE) result = need(options.directory, "--to", usage_backup);
    if (result != EXIT_DONE) return result;
    if (file_path(path, sizeof path, options.data, "genesis.json") != CL_OK) return failed(options.data, CL_E_BOUND);
    if (options.genesis_path == NULL) options.genesis_path = path;
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is a full disk */
    return finish_backup(backup_make(&options, sentence, sizeof sentence), sentence);
}

static int command_restore(struct arguments *arguments)
{
    struct backup_options options = { .data = take(arguments, "--data"), .directory = take(arguments, "--from") };
    char sentence[1024] = "";
    int result = check_left(arguments, false, usage_restore);
    if (result == EXIT_DONE) result = need(options.directory, "--from", usage_restore);
    if (result == EXIT_DONE) result = need(options.data, "--data", usage_restore);
    if (result != EXIT_DONE) return result;
    signal(SIGXFSZ, SIG_IGN);
    return finish_backup(backup_restore(&options, sentence, sizeof sentence), sentence);
}

/* ---- sign: the party key never leaves the data directory; 'consent' hands the digest over */
static int command_sign(struct arguments *arguments)
{
    const char *data = take(arguments, "--data");
    struct node_keys keys;
    uint8_t digest[33], signature[64];
    int result = check_left(arguments, false, usage_sign);
    if (result == EXIT_DONE) result = need(data, "--data", usage_sign);
    if (result != EXIT_DONE) return result;
    if (fread(digest, 1, sizeof digest, stdin) != 32) {
        fprintf(stderr, "consentd: standard input has to be a digest of 32 bytes.\n");
        return EXIT_USAGE;
    }
    enum cl_status status = node_keys_load(&keys, data);
    if (status != CL_OK) return failed(data, status);
    status = cl_ecdsa_sign(signature, keys.party_secret, digest);
    node_keys_wipe(&keys);
    if (status != CL_OK) return failed("sign", status);
    return fwrite(signature, 1, sizeof signature, stdout) == sizeof signature && fflush(stdout) == 0 ? EXIT_DONE : failed("standard output", CL_E_IO);
}

static int command_check(struct arguments *arguments) { return offline(arguments, false, usage_check); }
static int command_reindex(struct arguments *arguments) { return offline(arguments, true, usage_reindex); }

static const struct { const char *name; int (*run)(struct arguments *); const char *usage; } commands[] = {
    { "init", command_init, usage_init }, { "genesis", command_genesis, usage_genesis }, { "run", command_run, usage_run },
    { "check", command_check, usage_check }, { "reindex", command_reindex, usage_reindex },
    { "backup", command_backup, usage_backup }, { "restore", command_restore, usage_restore }, { "sign", command_sign, usage_sign },
};

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    struct arguments arguments = { .count = argc > 2 ? argc - 2 : 0, .values = argv + 2 };
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        fputs(usage_all, stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("consentd " CL_VERSION "\n");
        return EXIT_DONE;
    }
    if (strcmp(name, "--check-config") == 0 && arguments.count == 1) {
        struct node_config config;
        node_config_default(&config);
        int result = load_config(&config, arguments.values[0]);
        if (result == EXIT_DONE) printf("%s is good.\n", arguments.values[0]);
        return result;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) != 0) continue;
        if (take_flag(&arguments, "--help")) {
            fputs(commands[i].usage, stdout);
            return EXIT_DONE;
        }
        return commands[i].run(&arguments);
    }
    if (name[0] != '\0') fprintf(stderr, "consentd: there is no command '%s'.\n\n", name);
    fputs(usage_all, stderr);
    return EXIT_USAGE;
}

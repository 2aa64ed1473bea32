/* The wallet on disk, the folder with its keys (include/consent/vault.h), and the files beside it. A lock keeps two commands from losing each other's changes. */
#include "workspace.h"
#include "consent/code.h"
#include "erasure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PASSPHRASE_BYTES_MAX 1024u
/* Commands are short but for waits on a node; whoever holds the lock longer than this is stuck, or takes a list. */
#define LOCK_WAIT_MS 15000u
#define LOCK_POLL_MS 50u

static const char *data_directory(void)
{
    static char directory[2048];
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data != NULL && data[0] == '/')
        (void)snprintf(directory, sizeof directory, "%s/consent", data);
    else
        (void)snprintf(directory, sizeof directory, "%s/.local/share/consent", home == NULL ? "." : home);
    return directory;
}

const char *wallet_path_of(struct context *context)
{
    const char *given = option(context, "--wallet"), *environment = getenv("CONSENT_WALLET");
    if (context->wallet_path[0] == '\0') {
        if (given != NULL || (environment != NULL && environment[0] != '\0'))
            (void)snprintf(context->wallet_path, sizeof context->wallet_path, "%s", given != NULL ? given : environment);
        else
            (void)snprintf(context->wallet_path, sizeof context->wallet_path, "%s/wallet", data_directory());
    }
    return context->wallet_path;
}

/* Makes the directories above path, for the owner only. */
static void make_directories(const char *path)
{
    char part[3072];
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(part, 0700);
        *slash = '/';
    }
}

int file_read(struct context *context, struct cl_buffer *out, const char *path, size_t maximum)
{
    enum cl_status status = cl_file_read(out, path, maximum);
    if (status == CL_OK)
        return 0;
    if (status == CL_E_BOUND)
        return output_fail(&context->output, status, "%s is longer than %zu bytes.", path, maximum);
    return output_fail(&context->output, status, "%s: %s", path, status == CL_E_IO || status == CL_E_NOT_FOUND ? strerror(errno) : "");
}

int folder_make(struct context *context, const char *folder)
{
    char above[4096];
    if (mkdir(folder, 0700) != 0)
        return errno == EEXIST ? 0 : output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
    int length = snprintf(above, sizeof above, "%s/..", folder);
    if (length < 0 || (size_t)length >= sizeof above)
        errno = ENAMETOOLONG;
    else if (cl_directory_sync(above))
        return 0;
    return output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
}

int file_write(struct context *context, const char *path, const void *data, size_t length, bool only_owner)
{
    if (strcmp(path, "-") == 0) {
        size_t wrote = fwrite(data, 1, length, stdout);
        return wrote == length && fflush(stdout) == 0 ? 0 : output_fail(&context->output, CL_E_IO, "standard output");
    }
    enum cl_status status = cl_file_replace(path, data, length, only_owner);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "%s: %s", path, strerror(errno));
}

/* Reads a line from the terminal without echo. */
static bool ask_passphrase(char *out, size_t size, const char *question)
{
    FILE *terminal = fopen("/dev/tty", "r+");
    struct termios before, quiet;
    bool good = false;
    if (terminal == NULL)
        return false;
    if (tcgetattr(fileno(terminal), &before) == 0) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(fileno(terminal), TCSAFLUSH, &quiet);
        (void)fprintf(terminal, "%s", question);
        (void)fflush(terminal);
        good = fgets(out, (int)size, terminal) != NULL;
        (void)tcsetattr(fileno(terminal), TCSAFLUSH, &before);
        (void)fputc('\n', terminal);
    }
    (void)fclose(terminal);
    if (good)
        out[strcspn(out, "\r\n")] = '\0';
    return good;
}

static int get_passphrase(struct context *context, char out[PASSPHRASE_BYTES_MAX], bool fresh)
{
    const char *path = option(context, "--passphrase-file");
    if (path == NULL || path[0] == '\0')
        path = getenv("CONSENT_PASSPHRASE_FILE");
    if (path != NULL && path[0] != '\0') {
        struct cl_buffer text = {.secret = true};
        int result = file_read(context, &text, path, 65536);
        size_t length = 0;
        while (result == 0 && length < text.length && text.data[length] != '\n' && text.data[length] != '\r')
            length++;
        if (result == 0 && (length == 0 || length >= PASSPHRASE_BYTES_MAX))
            result = output_fail(&context->output, CL_E_SECRET, "The first line of %s has to be the passphrase, at most %u bytes.", path, PASSPHRASE_BYTES_MAX - 1);
        if (result == 0) {
            memcpy(out, text.data, length);
            out[length] = '\0';
        }
        cl_buffer_wipe(&text);
        return result;
    }
    if (!ask_passphrase(out, PASSPHRASE_BYTES_MAX, fresh ? "New passphrase for the wallet: " : "Passphrase of the wallet: "))
        return output_fail(&context->output, CL_E_LOCKED, "There is no terminal to ask for the passphrase; give --passphrase-file.");
    if (out[0] == '\0')
        return output_fail(&context->output, CL_E_SECRET, "The passphrase is empty.");
    if (fresh) {
        char again[PASSPHRASE_BYTES_MAX] = "";
        bool same = ask_passphrase(again, sizeof again, "Once more: ") && strcmp(again, out) == 0;
        cl_wipe_bytes(again, sizeof again);
        if (!same)
            return output_fail(&context->output, CL_E_SECRET, "The two passphrases differ.");
    }
    return 0;
}

static int lock_wallet(struct context *context)
{
    char path[3200];
    (void)snprintf(path, sizeof path, "%s.lock", context->wallet_path);
    if (context->wallet_lock >= 0 && context->wallet_changed_ns[0] == 0)
        return 0; /* it is held */
    if (context->wallet_lock < 0)
        context->wallet_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (context->wallet_lock < 0)
        return output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
    for (unsigned waited_ms = 0; flock(context->wallet_lock, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_POLL_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
        if (http_interrupted)
            return output_fail(&context->output, CL_E_CANCELLED, NULL);
        if (waited_ms >= LOCK_WAIT_MS)
            return output_fail(&context->output, CL_E_STORE_LOCKED, "Another consent command holds the wallet %s; wait for it to end, or stop it.", context->wallet_path);
        if (waited_ms == 1000)
            output_say(&context->output, "Waiting for another consent command that uses this wallet.");
        (void)nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    return 0;
}

/* The folder of the wallet at path, or that belongs to a backup: alice and alice.backup have alice.store. */
static void store_directory_of(char out[CL_STORE_PATH_MAX], const char *path)
{
    size_t length = strlen(path), ending = strlen(".backup");
    if (length > ending && strcmp(path + length - ending, ".backup") == 0)
        length -= ending;
    (void)snprintf(out, CL_STORE_PATH_MAX, "%.*s.store", (int)length, path);
}

int store_fail(struct context *context, enum cl_status status, const char *directory)
{
    return output_fail(&context->output, status, "%s%s%s", directory, status == CL_E_IO ? ": " : "", status == CL_E_IO ? strerror(errno) : "");
}

size_t wallet_locked_count(const struct context *context)
{
    size_t locked = 0;
    for (size_t i = 0; i < context->wallet->item_count; i++)
        locked += context->wallet->items[i].content_open ? 0 : 1;
    return locked;
}

/* Opens the folder, and what is sealed under its keys. */
static int store_open(struct context *context)
{
    char directory[CL_STORE_PATH_MAX];
    store_directory_of(directory, context->wallet_path);
    enum cl_status status = cl_store_open(&context->store, directory, context->wallet);
    if (status != CL_OK)
        return store_fail(context, status, directory);
    size_t locked = wallet_locked_count(context), damaged = cl_store_damaged(context->store);
    if (locked > 0)
        output_warn(&context->output, "The texts, salts and proofs of %zu entries do not open: their keys are not in %s. If they were not erased, copy that folder here from the old machine or from the backup.", locked, directory);
    if (damaged > 0)
        output_warn(&context->output, "%zu files in %s are damaged or another wallet's; they are left alone.", damaged, directory);
    return 0;
}

int wallet_store_recover(struct context *context, const char *backup)
{
    char source[CL_STORE_PATH_MAX], target[CL_STORE_PATH_MAX];
    struct stat there, here;
    struct cl_store *store = NULL;
    const char *path = wallet_path_of(context);
    make_directories(path);
    store_directory_of(source, backup);
    store_directory_of(target, path);
    int result = lock_wallet(context);
    if (result != 0 || (stat(source, &there) != 0 && errno == ENOENT))
        return result; /* store_open says what is missing */
    bool taken = stat(target, &here) == 0;
    if (taken && there.st_dev == here.st_dev && there.st_ino == here.st_ino)
        return store_open(context);
    if (taken)
        return output_fail(&context->output, CL_E_EXISTS, "The folder %s is of an earlier wallet, or of a recovery that did not end; move it away first.", target);
    output_say(&context->output, "Copying %s to %s.", source, target);
    enum cl_status status = cl_store_open(&store, source, context->wallet);
    if (status != CL_OK)
        return store_fail(context, status, source);
    status = cl_store_mirror(store, target, context->wallet);
    cl_store_free(store);
    return status == CL_OK ? store_open(context) : store_fail(context, status, target);
}

static uint64_t changed_ns(const char *path)
{
    struct stat about = {0};
    (void)stat(path, &about);
    return (uint64_t)about.st_mtim.tv_sec * 1000000000u + (uint64_t)about.st_mtim.tv_nsec + 1;
}

static void wallet_look(const struct context *context, uint64_t changed[2])
{
    char directory[CL_STORE_PATH_MAX];
    store_directory_of(directory, context->wallet_path);
    changed[0] = changed_ns(context->wallet_path);
    changed[1] = changed_ns(directory);
}

void wallet_yield(struct context *context)
{
    wallet_look(context, context->wallet_changed_ns);
    (void)flock(context->wallet_lock, LOCK_UN);
}

/* Another command wrote it, or into its folder. */
static int wallet_reread(struct context *context)
{
    struct cl_buffer sealed = {0};
    struct cl_wallet *wallet = NULL;
    int result = file_read(context, &sealed, context->wallet_path, CL_WALLET_FILE_BYTES_MAX);
    enum cl_status status = result == 0 ? cl_wallet_open_again(&wallet, sealed.data, sealed.length, context->wallet) : CL_OK;
    cl_buffer_deinit(&sealed);
    if (status != CL_OK)
        return output_fail(&context->output, status, "%s was replaced meanwhile; start the command again.", context->wallet_path);
    if (result != 0)
        return result;
    cl_store_free(context->store);
    context->store = NULL;
    cl_wallet_free(context->wallet);
    context->wallet = wallet;
    return store_open(context);
}

int wallet_resume(struct context *context)
{
    uint64_t now[2];
    int result = lock_wallet(context);
    if (result != 0)
        return result;
    wallet_look(context, now);
    bool same = memcmp(now, context->wallet_changed_ns, sizeof now) == 0;
    context->wallet_changed_ns[0] = 0;
    return same ? 0 : wallet_reread(context);
}

int wallet_open(struct context *context)
{
    char passphrase[PASSPHRASE_BYTES_MAX] = "";
    struct cl_buffer sealed = {0};
    if (context->wallet != NULL)
        return 0;
    const char *path = wallet_path_of(context);
    if (access(path, F_OK) != 0)
        return output_fail(&context->output, CL_E_NOT_FOUND, "There is no wallet at %s; 'consent key new --name NAME' makes one.", path);
    int result = lock_wallet(context);
    if (result == 0)
        result = file_read(context, &sealed, path, CL_WALLET_FILE_BYTES_MAX);
    if (result == 0)
        result = get_passphrase(context, passphrase, false);
    if (result == 0) {
        enum cl_status status = cl_wallet_open(&context->wallet, sealed.data, sealed.length, passphrase, strlen(passphrase));
        if (status != CL_OK)
            result = output_fail(&context->output, status, status == CL_E_LOCKED ? "The passphrase is wrong, or %s is damaged." : "%s", path);
    }
    if (result == 0)
        result = store_open(context);
    if (result == 0) { /* what an interrupted command left */
        enum cl_status status = cl_store_sweep(context->store, context->wallet);
        if (status != CL_OK)
            result = store_fail(context, status, "The wallet's folder");
    }
    if (result == 0)
        result = erasure_finish(context);
    cl_wipe_bytes(passphrase, sizeof passphrase);
    cl_buffer_deinit(&sealed);
    return result;
}

int wallet_create(struct context *context, const uint8_t entropy32[32])
{
    char passphrase[PASSPHRASE_BYTES_MAX] = "";
    struct cl_buffer sealed = {0};
    char directory[CL_STORE_PATH_MAX];
    const char *path = wallet_path_of(context);
    make_directories(path);
    store_directory_of(directory, path);
    int result = lock_wallet(context);
    if (result == 0 && access(path, F_OK) == 0)
        result = output_fail(&context->output, CL_E_EXISTS, "There is a wallet at %s.", path);
    if (result == 0 && context->store == NULL && access(directory, F_OK) == 0)
        result = output_fail(&context->output, CL_E_EXISTS, "The folder %s is of an earlier wallet; move it away first.", directory);
    if (result == 0)
        result = get_passphrase(context, passphrase, true);
    if (result == 0) {
        enum cl_status status = context->wallet == NULL ? cl_wallet_new(&context->wallet, entropy32) : CL_OK;
        if (status == CL_OK)
            status = cl_wallet_seal(&sealed, context->wallet, passphrase, strlen(passphrase));
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s", path);
    }
    if (result == 0)
        result = file_write(context, path, sealed.data, sealed.length, true);
    if (result == 0 && context->store == NULL)
        result = store_open(context);
    cl_wipe_bytes(passphrase, sizeof passphrase);
    cl_buffer_deinit(&sealed);
    return result;
}

int wallet_save(struct context *context)
{
    struct cl_buffer sealed = {0};
    enum cl_status status = cl_store_save_keys(context->store, context->wallet);
    if (status != CL_OK)
        return store_fail(context, status, "The wallet's folder");
    status = cl_wallet_seal(&sealed, context->wallet, NULL, 0);
    int result = status == CL_OK ? file_write(context, context->wallet_path, sealed.data, sealed.length, true) : output_fail(&context->output, status, NULL);
    cl_buffer_deinit(&sealed);
    if (result == 0 && (status = cl_store_sweep(context->store, context->wallet)) != CL_OK)
        result = store_fail(context, status, "The wallet's folder");
    return result;
}

int wallet_backup(struct context *context, const char *path)
{
    char beside[3200], directory[CL_STORE_PATH_MAX];
    struct cl_buffer sealed = {0};
    (void)snprintf(beside, sizeof beside, "%s.backup", context->wallet_path);
    store_directory_of(directory, path == NULL ? beside : path);
    enum cl_status status = cl_wallet_backup_seal(&sealed, context->wallet);
    int result = status == CL_OK ? file_write(context, path == NULL ? beside : path, sealed.data, sealed.length, true) : output_fail(&context->output, status, NULL);
    if (result == 0 && path != NULL && (status = cl_store_mirror(context->store, directory, context->wallet)) != CL_OK)
        result = store_fail(context, status, directory);
    if (result == 0 && (path != NULL || !context->backup_said)) /* a command that saves often says it once */
        output_say(&context->output, "An encrypted backup is in %s and the folder %s; your 24 words open them.", path == NULL ? beside : path, directory);
    context->backup_said = context->backup_said || (result == 0 && path == NULL);
    cl_buffer_deinit(&sealed);
    return result;
}

void workspace_close(struct context *context)
{
    cl_wipe_bytes(context->token32, sizeof context->token32);
    cl_store_free(context->store);
    context->store = NULL;
    if (context->code != NULL)
        cl_code_deinit(context->code);
    free(context->code);
    context->code = NULL;
    cl_wallet_free(context->wallet);
    context->wallet = NULL;
    http_client_free(context->http);
    context->http = NULL;
    if (context->wallet_lock >= 0)
        (void)close(context->wallet_lock);
    context->wallet_lock = -1;
}

int policy_open(struct context *context, struct cl_policy **out)
{
    char beside[3200];
    struct cl_buffer text = {0};
    const char *path = option(context, "--policy");
    size_t bad_line = 0;
    if (path == NULL) {
        (void)snprintf(beside, sizeof beside, "%s.policy", wallet_path_of(context));
        path = beside;
        if (access(path, F_OK) != 0)
            return output_fail(&context->output, CL_E_NOT_FOUND, "There is no trust file; give --policy FILE ('consent node policy -o FILE' fetches one).");
    }
    int result = file_read(context, &text, path, CL_POLICY_BYTES_MAX);
    if (result == 0) {
        enum cl_status status = cl_policy_new(out, &bad_line, text.data, text.length);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s, line %zu", path, bad_line);
    }
    cl_buffer_deinit(&text);
    return result;
}

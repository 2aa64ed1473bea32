/* Whose signature it is: a key of the wallet, a fresh one for a new relationship, or a signer outside (a command that
   gets 32 bytes and gives a signature, or a PKCS#11 token through pkcs11-tool). */
#include "act.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static enum cl_status sign_with_wallet(void *opaque, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct act_signer *signer = opaque;
    const struct cl_wallet_key *key = cl_wallet_key_find(signer->context->wallet, signer->key_name);
    return key == NULL ? CL_E_SECRET : cl_wallet_sign_digest(signature64, signer->context->wallet, key, digest32);
}

/* Runs argv, writes the digest to its standard input, reads at most size bytes of its output. */
static enum cl_status run_program(const char *const argv[], const uint8_t digest32[32], uint8_t *out, size_t size, size_t *length)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0)
        return CL_E_IO;
    if (pipe2(from, O_CLOEXEC) != 0) {
        (void)close(to[0]), (void)close(to[1]);
        return CL_E_IO;
    }
    pid_t child = fork();
    if (child == 0) {
        if (dup2(to[0], STDIN_FILENO) >= 0 && dup2(from[1], STDOUT_FILENO) >= 0)
            (void)execvp(argv[0], (char *const *)(uintptr_t)argv); /* which changes nothing, whatever its type says */
        _exit(127);
    }
    (void)close(to[0]), (void)close(from[1]);
    bool good = child > 0 && write(to[1], digest32, 32) == 32;
    (void)close(to[1]);
    *length = 0;
    while (good && *length < size) {
        ssize_t got = read(from[0], out + *length, size - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        *length += (size_t)got;
    }
    (void)close(from[0]);
    int state = 0;
    while (child > 0 && waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    return good && WIFEXITED(state) && WEXITSTATUS(state) == 0 ? CL_OK : CL_E_SIGNER;
}

static enum cl_status sign_with_command(void *opaque, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct act_signer *signer = opaque;
    uint8_t answer[512];
    size_t length = 0;
    const char *argv[] = {"/bin/sh", "-c", signer->command, NULL};
    enum cl_status status = run_program(argv, digest32, answer, sizeof answer, &length);
    return status == CL_OK ? cl_signature_import(signature64, answer, length, &signer->signer.key, digest32) : status;
}

/* One attribute of pkcs11:token=T;object=O?module-path=P&pin-source=F (RFC 7512), without percent-decoding. */
static void uri_attribute(char *out, size_t size, const char *uri, const char *name)
{
    size_t length = strlen(name);
    out[0] = '\0';
    for (const char *at = uri; at != NULL && *at != '\0';) {
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            (void)snprintf(out, size, "%.*s", (int)strcspn(at + length + 1, ";?&"), at + length + 1);
            return;
        }
        at = strpbrk(at, ";?&");
        at = at == NULL ? NULL : at + 1;
    }
}

static enum cl_status sign_with_token(void *opaque, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct act_signer *signer = opaque;
    char token[128], label[128], module[512], pin_file[512];
    uint8_t answer[512];
    size_t length = 0, used = 0;
    uri_attribute(token, sizeof token, signer->command, "token");
    uri_attribute(label, sizeof label, signer->command, "object");
    uri_attribute(module, sizeof module, signer->command, "module-path");
    uri_attribute(pin_file, sizeof pin_file, signer->command, "pin-source");
    struct cl_buffer pin = {.secret = true};
    const char *argv[16] = {"pkcs11-tool", "--sign", "--mechanism", "ECDSA", "--label", label};
    used = 6;
    if (module[0] != '\0')
        argv[used++] = "--module", argv[used++] = module;
    if (token[0] != '\0')
        argv[used++] = "--token-label", argv[used++] = token;
    if (pin_file[0] != '\0' && cl_file_read(&pin, strncmp(pin_file, "file:", 5) == 0 ? pin_file + 5 : pin_file, 256) == CL_OK && cl_buffer_append(&pin, "", 1) == CL_OK) {
        pin.data[strcspn((char *)pin.data, "\r\n")] = '\0';
        (void)setenv("CONSENT_TOKEN_PIN", (char *)pin.data, 1); /* in the environment of the child, not in its arguments */
        argv[used++] = "--login", argv[used++] = "--pin", argv[used++] = "env:CONSENT_TOKEN_PIN";
    }
    enum cl_status status = run_program(argv, digest32, answer, sizeof answer, &length);
    (void)unsetenv("CONSENT_TOKEN_PIN");
    cl_buffer_wipe(&pin);
    return status == CL_OK ? cl_signature_import(signature64, answer, length, &signer->signer.key, digest32) : status;
}

static int signer_outside(struct context *context, struct act_signer *out, const char *given)
{
    const char *key = option(context, "--signer-key");
    if (key == NULL)
        return output_usage(&context->output, "With --signer, --signer-key says whose signature it will be.");
    if (cl_public_key_decode(&out->signer.key, key) != CL_OK)
        return output_fail(&context->output, CL_E_KEY, "'%.80s'", key);
    if (strncmp(given, "exec:", 5) == 0) {
        out->command = given + 5;
        out->signer.sign = sign_with_command;
    } else if (strncmp(given, "pkcs11:", 7) == 0) {
        out->command = given + 7;
        out->signer.sign = sign_with_token;
    } else {
        return output_usage(&context->output, "A signer is exec:COMMAND or pkcs11:URI.");
    }
    return 0;
}

int signer_open(struct context *context, struct act_signer *out, const char *default_key)
{
    const char *outside = option(context, "--signer"), *name = option(context, "--key");
    *out = (struct act_signer){.context = context};
    out->signer.context = out;
    if (outside != NULL)
        return signer_outside(context, out, outside);
    if (name == NULL)
        name = default_key;
    if (name == NULL || name[0] == '\0')
        return output_fail(&context->output, CL_E_PARTY, "No key of this wallet is a party here; name one with --key if it is a delegate's.");
    const struct cl_wallet_key *key = cl_wallet_key_find(context->wallet, name);
    if (key == NULL)
        return output_fail(&context->output, CL_E_NOT_FOUND, "The wallet has no key '%.80s'.", name);
    (void)snprintf(out->key_name, sizeof out->key_name, "%s", key->name);
    out->signer.key = key->key;
    out->signer.sign = sign_with_wallet;
    return 0;
}

int key_fresh(struct context *context, char key_name[CL_NAME_BYTES_MAX + 1], const char *name, const char *uri_kind)
{
    char uri[CL_URI_BYTES_MAX + 1];
    (void)snprintf(uri, sizeof uri, "consent:%s/%.64s", uri_kind, name);
    for (unsigned number = 1; number < 10000; number++) {
        if (number == 1)
            (void)snprintf(key_name, CL_NAME_BYTES_MAX + 1, "%.56s", name);
        else
            (void)snprintf(key_name, CL_NAME_BYTES_MAX + 1, "%.56s.%u", name, number);
        enum cl_status status = cl_wallet_key_add(context->wallet, NULL, key_name, uri);
        if (status == CL_OK)
            return 0;
        if (status != CL_E_EXISTS)
            return output_fail(&context->output, status, "(a key '%s')", key_name);
    }
    return output_fail(&context->output, CL_E_BOUND, NULL);
}

int signer_fresh(struct context *context, struct act_signer *out, const char *name)
{
    char key_name[CL_NAME_BYTES_MAX + 1] = "";
    if (option(context, "--signer") == NULL && option(context, "--key") == NULL) {
        int result = key_fresh(context, key_name, name, "relationship");
        if (result != 0)
            return result;
    }
    return signer_open(context, out, key_name);
}

static void recovery_commit(struct act *act, const struct cl_public_key *key)
{
    struct cl_hash commitment;
    cl_recovery_derive(&commitment, key->bytes);
    memcpy(act->recovery, commitment.bytes, 32);
    act->entry.recovery = act->recovery;
    act->entry.present |= CL_HAS(15);
}

int recovery_fresh(struct context *context, struct act *act, char key_name[CL_NAME_BYTES_MAX + 1], const char *name)
{
    char base[CL_NAME_BYTES_MAX + 1];
    (void)snprintf(base, sizeof base, "%.46s.recovery", name);
    int result = key_fresh(context, key_name, base, "recovery");
    if (result == 0)
        recovery_commit(act, &cl_wallet_key_find(context->wallet, key_name)->key);
    return result;
}

int recovery_option(struct context *context, struct act *act, char key_name[CL_NAME_BYTES_MAX + 1], const char *name)
{
    const char *given = option(context, "--recovery-key");
    struct cl_public_key key;
    if (given != NULL && flag(context, "--recovery"))
        return output_usage(&context->output, "--recovery makes a key in this wallet, --recovery-key names one of another: give one of them.");
    if (given == NULL)
        return flag(context, "--recovery") ? recovery_fresh(context, act, key_name, name) : 0;
    if (cl_public_key_decode(&key, given) != CL_OK)
        return output_fail(&context->output, CL_E_KEY, "'%.80s': --recovery-key takes did:key:... or 66 hex digits.", given);
    recovery_commit(act, &key);
    return 0;
}

int act_sign(struct context *context, struct cl_buffer *record, const struct act *act, const struct act_signer *signer)
{
    struct cl_entry entry = act->entry;
    struct cl_draft draft = {.type = act->type, .issued_at_ms = time_now_ms(), .signer = signer->signer.key, .entries = &entry, .entry_count = 1};
    struct cl_signer with_context = signer->signer;
    struct cl_record_id id;
    with_context.context = (void *)(uintptr_t)signer;
    enum cl_status status = cl_record_sign(record, &id, NULL, &draft, &with_context, &context->wallet->network.id);
    return status == CL_OK ? 0 : output_fail(&context->output, status, NULL);
}

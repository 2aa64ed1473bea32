/* The wallet on disk: sealed bytes, and files that are replaced as a whole or not at all.

   wallet-file = [ 1, "consent-wallet", salt: bstr .size 16, operations: uint, memory bytes: uint, nonce: bstr .size 24,
                   sealed: bstr ]                 key = Argon2id(passphrase, salt, operations, memory)
   backup-file = [ 1, "consent-backup", nonce: bstr .size 24, sealed: bstr ]
                   key = SHA-256("consent/v1 backup key" 00 || secret of m/13'/… for "consent:backup")
   sealed      = XChaCha20-Poly1305 of the wallet's content (wallet_codec.c); additional data: the bytes "consent/v1 wallet"
                 or "consent/v1 backup". */
#include "consent/wallet.h"
#include "cbor.h"
#include "crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPERATIONS 3u
#define MEMORY_BYTES (64u * 1024u * 1024u)
#define OPERATIONS_MAX 64u
#define MEMORY_BYTES_MAX (1024ull * 1024ull * 1024ull)
#define MEMORY_BYTES_MIN (8ull * 1024ull)
#define WALLET_MAGIC "consent-wallet"
#define BACKUP_MAGIC "consent-backup"
#define WALLET_LABEL "consent/v1 wallet"
#define BACKUP_LABEL "consent/v1 backup"
#define SEAL_OVERHEAD 16u

/* Seals the content and writes it as a byte string. */
static enum cl_status put_sealed(struct cl_cbor_writer *writer, const struct cl_wallet *wallet, const char *label, const uint8_t nonce24[24], const uint8_t key32[32])
{
    struct cl_buffer clear = {.secret = true};
    uint8_t *sealed = NULL;
    enum cl_status status = cl_wallet_encode(&clear, wallet);
    if (status == CL_OK && (sealed = malloc(clear.length + SEAL_OVERHEAD)) == NULL)
        status = CL_E_MEMORY;
    if (status == CL_OK) {
        cl_seal(sealed, clear.data, clear.length, label, strlen(label), nonce24, key32);
        cl_cbor_put_bytes(writer, sealed, clear.length + SEAL_OVERHEAD);
        status = writer->status;
    }
    free(sealed);
    cl_buffer_deinit(&clear);
    return status;
}

static enum cl_status open_sealed(struct cl_wallet **out, struct cl_view sealed, const char *label, const uint8_t nonce24[24], const uint8_t key32[32])
{
    if (sealed.length < SEAL_OVERHEAD)
        return CL_E_FORMAT;
    size_t length = sealed.length - SEAL_OVERHEAD;
    uint8_t *clear = malloc(length + 1);
    if (clear == NULL)
        return CL_E_MEMORY;
    enum cl_status status = cl_open(clear, sealed.data, sealed.length, label, strlen(label), nonce24, key32);
    if (status == CL_OK)
        status = cl_wallet_decode(out, clear, length);
    cl_wipe(clear, length + 1);
    free(clear);
    return status;
}

enum cl_status cl_wallet_seal(struct cl_buffer *out, struct cl_wallet *wallet, const char *passphrase, size_t passphrase_length)
{
    uint8_t nonce[24];
    enum cl_status status = cl_random(nonce, sizeof nonce);
    if (status == CL_OK && passphrase != NULL) {
        wallet->operations = OPERATIONS;
        wallet->memory_bytes = MEMORY_BYTES;
        wallet->sealing_known = false;
        status = cl_random(wallet->salt16, 16);
        if (status == CL_OK)
            status = cl_argon2id(wallet->sealing_key32, passphrase, passphrase_length, wallet->salt16, OPERATIONS, MEMORY_BYTES);
        wallet->sealing_known = status == CL_OK;
    }
    if (status != CL_OK)
        return status;
    if (!wallet->sealing_known)
        return CL_E_LOCKED;
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 7, WALLET_MAGIC);
    cl_cbor_put_bytes(&writer, wallet->salt16, 16);
    cl_cbor_put_uint(&writer, wallet->operations);
    cl_cbor_put_uint(&writer, wallet->memory_bytes);
    cl_cbor_put_bytes(&writer, nonce, sizeof nonce);
    return put_sealed(&writer, wallet, WALLET_LABEL, nonce, wallet->sealing_key32);
}

/* What stands before the sealed content. salt16 and nonce24 are borrowed. */
static enum cl_status read_head(const uint8_t *data, size_t length, const uint8_t **salt16, uint64_t *operations, uint64_t *memory_bytes, const uint8_t **nonce24, struct cl_view *sealed)
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 7, WALLET_MAGIC);
    *salt16 = cl_cbor_bytes_fixed(&reader, 16);
    *operations = cl_cbor_uint(&reader);
    *memory_bytes = cl_cbor_uint(&reader);
    *nonce24 = cl_cbor_bytes_fixed(&reader, 24);
    *sealed = cl_cbor_bytes(&reader);
    return cl_cbor_finish(&reader);
}

static enum cl_status open_by_key(struct cl_wallet **out, struct cl_view sealed, const uint8_t nonce24[24], const uint8_t key32[32], const uint8_t salt16[16], uint64_t operations, uint64_t memory_bytes)
{
    struct cl_wallet *wallet = NULL;
    enum cl_status status = open_sealed(&wallet, sealed, WALLET_LABEL, nonce24, key32);
    if (status != CL_OK)
        return status;
    memcpy(wallet->sealing_key32, key32, 32);
    memcpy(wallet->salt16, salt16, 16);
    wallet->operations = operations;
    wallet->memory_bytes = memory_bytes;
    wallet->sealing_known = true;
    *out = wallet;
    return CL_OK;
}

enum cl_status cl_wallet_open(struct cl_wallet **out, const uint8_t *data, size_t length, const char *passphrase, size_t passphrase_length)
{
    const uint8_t *salt, *nonce;
    uint64_t operations, memory_bytes;
    struct cl_view sealed;
    uint8_t key[32];
    enum cl_status status = read_head(data, length, &salt, &operations, &memory_bytes, &nonce, &sealed);
    if (status != CL_OK)
        return status;
    /* The numbers are not yet authenticated: a hostile file must not cost hours or all memory. */
    if (operations == 0 || operations > OPERATIONS_MAX || memory_bytes < MEMORY_BYTES_MIN || memory_bytes > MEMORY_BYTES_MAX)
        return CL_E_BOUND;
    status = cl_argon2id(key, passphrase, passphrase_length, salt, operations, (size_t)memory_bytes);
    if (status == CL_OK)
        status = open_by_key(out, sealed, nonce, key, salt, operations, memory_bytes);
    cl_wipe(key, sizeof key);
    return status;
}

enum cl_status cl_wallet_open_again(struct cl_wallet **out, const uint8_t *data, size_t length, const struct cl_wallet *before)
{
    const uint8_t *salt, *nonce;
    uint64_t operations, memory_bytes;
    struct cl_view sealed;
    enum cl_status status = read_head(data, length, &salt, &operations, &memory_bytes, &nonce, &sealed);
    if (status != CL_OK)
        return status;
    if (!before->sealing_known || memcmp(salt, before->salt16, 16) != 0)
        return CL_E_LOCKED;
    return open_by_key(out, sealed, nonce, before->sealing_key32, before->salt16, before->operations, before->memory_bytes);
}

static enum cl_status backup_key(uint8_t key32[32], const uint8_t seed64[64])
{
    uint8_t secret[32];
    enum cl_status status = cl_key_derive(secret, seed64, "consent:backup", 0);
    if (status == CL_OK)
        cl_sha256_of_secret(key32, "consent/v1 backup key", secret, 32);
    cl_wipe(secret, sizeof secret);
    return status;
}

enum cl_status cl_wallet_backup_seal(struct cl_buffer *out, const struct cl_wallet *wallet)
{
    uint8_t nonce[24], key[32];
    enum cl_status status = cl_random(nonce, sizeof nonce);
    if (status == CL_OK)
        status = backup_key(key, wallet->seed64);
    if (status != CL_OK)
        return status;
    struct cl_cbor_writer writer;
    cl_cbor_writer_init(&writer, out);
    cl_cbor_put_file_head(&writer, 4, BACKUP_MAGIC);
    cl_cbor_put_bytes(&writer, nonce, sizeof nonce);
    status = put_sealed(&writer, wallet, BACKUP_LABEL, nonce, key);
    cl_wipe(key, sizeof key);
    return status;
}

enum cl_status cl_wallet_backup_open(struct cl_wallet **out, const uint8_t *data, size_t length, const uint8_t entropy32[32])
{
    struct cl_cbor_reader reader;
    cl_cbor_reader_init(&reader, data, length);
    cl_cbor_file_head(&reader, 4, BACKUP_MAGIC);
    const uint8_t *nonce = cl_cbor_bytes_fixed(&reader, 24);
    struct cl_view sealed = cl_cbor_bytes(&reader);
    enum cl_status status = cl_cbor_finish(&reader);
    if (status != CL_OK)
        return status;
    uint8_t seed[64], key[32];
    cl_words_seed(seed, entropy32);
    status = backup_key(key, seed);
    if (status == CL_OK)
        status = open_sealed(out, sealed, BACKUP_LABEL, nonce, key);
    cl_wipe(seed, sizeof seed);
    cl_wipe(key, sizeof key);
    return status;
}

enum cl_status cl_file_read(struct cl_buffer *out, const char *path, size_t maximum)
{
    bool standard = strcmp(path, "-") == 0;
    int file = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno == ENOENT ? CL_E_NOT_FOUND : CL_E_IO;
    enum cl_status status = CL_OK;
    uint8_t chunk[16384];
    while (status == CL_OK) {
        ssize_t got = read(file, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = CL_E_IO;
        if (got <= 0)
            break;
        status = out->length + (size_t)got > maximum ? CL_E_BOUND : cl_buffer_append(out, chunk, (size_t)got);
    }
    int saved = errno;
    cl_wipe(chunk, sizeof chunk);
    if (!standard)
        (void)close(file);
    errno = saved;
    return status;
}

bool cl_file_write_all(int file, const void *data, size_t length)
{
    for (const uint8_t *at = data; length > 0;) {
        ssize_t wrote = write(file, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        at += wrote;
        length -= (size_t)wrote;
    }
    return true;
}

bool cl_directory_sync(const char *directory)
{
    int file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool good = fsync(file) == 0;
    int saved = errno;
    (void)close(file);
    errno = saved;
    return good;
}

static bool sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[4096];
    size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (length >= sizeof directory)
        return false;
    memcpy(directory, slash == NULL ? "." : path, length);
    directory[length] = '\0';
    return cl_directory_sync(directory);
}

enum cl_status cl_file_replace(const char *path, const void *data, size_t length, bool only_owner)
{
    char beside[4096];
    int used = snprintf(beside, sizeof beside, "%s.new-%ld", path, (long)getpid());
    if (used < 0 || (size_t)used >= sizeof beside) {
        errno = ENAMETOOLONG;
        return CL_E_IO;
    }
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, only_owner ? 0600 : 0644);
    if (file < 0)
        return CL_E_IO;
    bool good = cl_file_write_all(file, data, length) && fsync(file) == 0;
    int saved = errno;
    if (close(file) != 0 && good) {
        good = false;
        saved = errno;
    }
    if (good && rename(beside, path) != 0) {
        good = false;
        saved = errno;
    }
    if (!good)
        (void)unlink(beside);
    else if (!sync_directory_of(path)) {
        good = false;
        saved = errno;
    }
    errno = saved;
    return good ? CL_OK : CL_E_IO;
}

/* Data that stays at the source: releases, pointers, requests, answers and files of the register, as bytes of anybody. What reads
   has one form, and a request that anybody makes up is never served. */
#include "crypto.h"
#include "require.h"
#include "source_format.h"

static const uint8_t secret[32] = {3}, id[16] = {4}, nonce[24] = {5}, delivery_secret[32] = {6};

/* Gives back the signature that stands in what was read. */
static enum cl_status sign_as_read(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    (void)digest32;
    memcpy(signature64, context, 64);
    return CL_OK;
}

static void same(const struct cl_buffer *again, const uint8_t *data, size_t size) { require(again->length == size && memcmp(again->data, data, size) == 0); }

/* Of a log that no proof of the corpus comes from. */
static const struct cl_policy *policy_of_another(void)
{
    static struct cl_policy *policy;
    struct cl_buffer text = {0};
    struct cl_note_key key;
    uint8_t public[32];
    if (policy == NULL) {
        cl_ed25519_public(public, secret);
        cl_note_key_make(&key, "ledger.example/another", CL_NOTE_ED25519, public);
        require(cl_buffer_append(&text, "log ", 4) == CL_OK && cl_note_key_encode(&text, &key) == CL_OK && cl_buffer_append(&text, "\nquorum none\n", 13) == CL_OK);
        require(cl_policy_new(&policy, NULL, text.data, text.length) == CL_OK);
        cl_buffer_deinit(&text);
    }
    return policy;
}

static void documents(const uint8_t *data, size_t size)
{
    struct cl_source_release release;
    struct cl_source_pointer pointer;
    struct cl_source_request request;
    struct cl_buffer again = {0};
    uint8_t signature[64] = {0};
    struct cl_signer signer = {.context = signature, .sign = sign_as_read};
    if (size >= 64)
        memcpy(signature, data + size - 64, 64);
    if (cl_source_release_decode(&release, data, size) == CL_OK) {
        signer.key = release.signer;
        require(release.slot <= 63 && release.reader_slot <= 63);
        require(cl_source_release_sign(&again, &release, &signer) == CL_OK);
        same(&again, data, size);
    } else if (cl_source_pointer_decode(&pointer, data, size) == CL_OK) {
        signer.key = pointer.signer;
        require(pointer.slot <= 63 && pointer.uses > 0 && pointer.where.length <= CL_SOURCE_WHERE_BYTES_MAX);
        require(cl_source_pointer_sign(&again, &pointer, &signer) == CL_OK);
        same(&again, data, size);
    } else if (cl_source_request_decode(&request, data, size) == CL_OK) {
        signer.key = request.signer;
        require(cl_source_request_sign(&again, &request, &signer) == CL_OK);
        same(&again, data, size);
        struct cl_source_rules rules = {.policy = policy_of_another(), .network = request.network, .holder = request.holder, .now_ms = request.made_ms, .max_age_ms = 3600000};
        require(cl_source_request_check(&request, &rules) != CL_OK); /* its proof is of nobody's log */
    }
    cl_buffer_deinit(&again);
}

static void answers(const uint8_t *data, size_t size)
{
    struct cl_source_answer answer, read;
    struct cl_buffer sealed = {0}, opened = {.secret = true};
    uint8_t delivery[32], signature[64];
    require(cl_source_answer_open(&opened, &answer, data, size, delivery_secret) != CL_OK); /* nobody makes a box for us by chance */
    if (cl_source_answer_read(&answer, data, size) == CL_OK) {
        require(answer.content.length <= CL_SOURCE_CONTENT_BYTES_MAX && cl_media_type_usable(answer.media_type));
        /* behind the content: the signer, 35 bytes with its head, then the signature with its own */
        memcpy(signature, answer.content.data + answer.content.length + 35 + 2, 64);
        struct cl_signer signer = {.context = signature, .sign = sign_as_read, .key = answer.signer};
        cl_x25519_public(delivery, delivery_secret);
        require(cl_source_answer_seal(&sealed, &answer, &signer, delivery) == CL_OK);
        require(cl_source_answer_open(&opened, &read, sealed.data, sealed.length, delivery_secret) == CL_OK);
        same(&opened, data, size);
    }
    cl_buffer_deinit(&sealed);
    cl_buffer_wipe(&opened);
}

static void files(const uint8_t *data, size_t size)
{
    struct cl_source_entry entry, read;
    struct cl_buffer again = {.secret = true}, file = {0};
    require(cl_source_file_decode(&entry, data, size, id, secret) != CL_OK); /* nobody forges a tag */
    if (cl_source_content_decode(&entry, data, size) != CL_OK)
        return;
    require(entry.served_count <= CL_SOURCE_USES_MAX);
    require(cl_source_content_encode(&again, &entry) == CL_OK);
    same(&again, data, size);
    require(cl_source_file_encode(&file, &entry, id, secret, nonce) == CL_OK);
    require(cl_source_file_decode(&read, file.data, file.length, id, secret) == CL_OK && read.served_count == entry.served_count);
    cl_source_entry_deinit(&read);
    file.data[file.length - 1] ^= 1;
    require(cl_source_file_decode(&read, file.data, file.length, id, secret) == CL_E_LOCKED);
    cl_source_entry_deinit(&entry);
    cl_buffer_wipe(&again);
    cl_buffer_deinit(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    documents(data, size);
    answers(data, size);
    files(data, size);
    return 0;
}

/* TLS sessions (tls.h) by mbedTLS: 2.28 of Debian 12, 3.6 of Debian 13. */
#include "tls.h"

#include "crypto.h"

#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif
#include <pthread.h>
#include <stdlib.h>

#define TRUSTED_MAX CL_MEMBERS_MAX

struct tls_identity {
    mbedtls_ssl_config config;
    mbedtls_x509_crt certificate, trusted;
    mbedtls_pk_context key;
    size_t trusted_count, peers[TRUSTED_MAX]; /* the caller's index of each certificate in the chain of trusted ones */
    char *server_name;
    pthread_mutex_t lock;                     /* the key is used by one handshake at a time */
};
struct tls_session {
    struct tls_identity *identity;
    mbedtls_ssl_context context;
    const uint8_t *data;                      /* came and is not read yet */
    size_t left, peer;
    struct cl_buffer outgoing;
    bool greeted;
};

static int random_bytes(void *context, unsigned char *out, size_t length)
{
    (void)context;
    return cl_random(out, length) == CL_OK ? 0 : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* ---- identities */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void start_library(void)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    (void)psa_crypto_init(); /* where it fails, so do handshakes */
#endif
}

static int parse_key(struct tls_identity *identity, const char *key)
{
    const unsigned char *text = (const unsigned char *)key;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(&identity->key, text, strlen(key) + 1, NULL, 0, random_bytes, NULL);
#else
    return mbedtls_pk_parse_key(&identity->key, text, strlen(key) + 1, NULL, 0);
#endif
}

static int key_fits(struct tls_identity *identity)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&identity->certificate.pk, &identity->key, random_bytes, NULL);
#else
    return mbedtls_pk_check_pair(&identity->certificate.pk, &identity->key);
#endif
}

static int parse_certificate(mbedtls_x509_crt *chain, const char *pem)
{
    return mbedtls_x509_crt_parse(chain, (const unsigned char *)pem, strlen(pem) + 1);
}

static int load(struct tls_identity *identity, size_t *bad, const char *certificate, const char *key, const char *const *trusted, size_t trusted_count)
{
    *bad = trusted_count;
    int result = parse_certificate(&identity->certificate, certificate);
    if (result == 0) result = parse_key(identity, key);
    if (result == 0) result = key_fits(identity);
    for (size_t i = 0; i < trusted_count && result == 0; i++) {
        if (trusted[i] == NULL) continue;
        *bad = i;
        result = parse_certificate(&identity->trusted, trusted[i]);
        identity->peers[identity->trusted_count++] = i;
    }
    return result;
}

static int configure(struct tls_identity *identity, bool server)
{
    mbedtls_ssl_config *config = &identity->config;
    int result = mbedtls_ssl_config_defaults(config, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (result != 0) return result;
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3); /* TLS 1.2 */
#endif
    mbedtls_ssl_conf_rng(config, random_bytes, NULL);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(config, &identity->trusted, NULL);
    return mbedtls_ssl_conf_own_cert(config, &identity->certificate, &identity->key);
}

enum cl_status tls_identity_new(struct tls_identity **out, size_t *bad, const char *certificate, const char *key,
                                const char *const *trusted, size_t trusted_count, const char *server_name)
{
    assert(trusted_count <= TRUSTED_MAX);
    *out = NULL;
    *bad = trusted_count;
    pthread_once(&library_once, start_library);
    struct tls_identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) return CL_E_MEMORY;
    mbedtls_ssl_config_init(&identity->config);
    mbedtls_x509_crt_init(&identity->certificate);
    mbedtls_x509_crt_init(&identity->trusted);
    mbedtls_pk_init(&identity->key);
    pthread_mutex_init(&identity->lock, NULL);
    int result = load(identity, bad, certificate, key, trusted, trusted_count);
    if (result == 0) result = configure(identity, server_name == NULL);
    if (result == 0 && server_name != NULL && (identity->server_name = strdup(server_name)) == NULL) result = MBEDTLS_ERR_SSL_ALLOC_FAILED;
    if (result == 0) *out = identity;
    else tls_identity_free(identity);
    if (result == MBEDTLS_ERR_SSL_ALLOC_FAILED || result == MBEDTLS_ERR_X509_ALLOC_FAILED || result == MBEDTLS_ERR_PK_ALLOC_FAILED) return CL_E_MEMORY;
    return result == 0 ? CL_OK : CL_E_ARGUMENT;
}

void tls_identity_free(struct tls_identity *identity)
{
    if (identity == NULL) return;
    mbedtls_ssl_config_free(&identity->config);
    mbedtls_x509_crt_free(&identity->certificate);
    mbedtls_x509_crt_free(&identity->trusted);
    mbedtls_pk_free(&identity->key);
    pthread_mutex_destroy(&identity->lock);
    free(identity->server_name);
    free(identity);
}

/* ---- sessions */

static int take_out(void *context, const unsigned char *data, size_t length)
{
    struct tls_session *session = context;
    if (cl_buffer_append(&session->outgoing, data, length) != CL_OK) return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    return (int)length;
}

static int put_in(void *context, unsigned char *out, size_t size)
{
    struct tls_session *session = context;
    size_t length = session->left < size ? session->left : size;
    if (length == 0) return MBEDTLS_ERR_SSL_WANT_READ;
    memcpy(out, session->data, length);
    session->data += length;
    session->left -= length;
    return (int)length;
}

enum cl_status tls_session_new(struct tls_session **out, struct tls_identity *identity)
{
    struct tls_session *session = calloc(1, sizeof *session);
    *out = NULL;
    if (session == NULL) return CL_E_MEMORY;
    session->identity = identity;
    mbedtls_ssl_init(&session->context);
    int result = mbedtls_ssl_setup(&session->context, &identity->config);
    if (result == 0 && identity->server_name != NULL) result = mbedtls_ssl_set_hostname(&session->context, identity->server_name);
    if (result != 0) {
        tls_session_free(session);
        return CL_E_MEMORY;
    }
    mbedtls_ssl_set_bio(&session->context, session, take_out, put_in, NULL);
    *out = session;
    return CL_OK;
}

void tls_session_free(struct tls_session *session)
{
    if (session == NULL) return;
    mbedtls_ssl_free(&session->context);
    cl_buffer_deinit(&session->outgoing);
    free(session);
}

void tls_session_put(struct tls_session *session, const uint8_t *data, size_t length)
{
    assert(session->left == 0);
    session->data = data;
    session->left = length;
}

static bool find_peer(struct tls_session *session)
{
    const mbedtls_x509_crt *shown = mbedtls_ssl_get_peer_cert(&session->context), *trusted = &session->identity->trusted;
    for (size_t i = 0; shown != NULL && i < session->identity->trusted_count; i++, trusted = trusted->next)
        if (shown->raw.len == trusted->raw.len && memcmp(shown->raw.p, trusted->raw.p, shown->raw.len) == 0) {
            session->peer = session->identity->peers[i];
            return true;
        }
    return false;
}

enum cl_status tls_session_greet(struct tls_session *session)
{
    if (session->greeted) return CL_OK;
    pthread_mutex_lock(&session->identity->lock);
    int result = mbedtls_ssl_handshake(&session->context);
    pthread_mutex_unlock(&session->identity->lock);
    if (result == MBEDTLS_ERR_SSL_WANT_READ) return CL_E_NOT_FOUND;
    session->greeted = result == 0 && find_peer(session);
    return session->greeted ? CL_OK : CL_E_SIGNATURE;
}

size_t tls_session_peer(const struct tls_session *session)
{
    assert(session->greeted);
    return session->peer;
}

static bool is_ticket(int result)
{
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    return result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET; /* sessions are not resumed */
#else
    (void)result;
    return false;
#endif
}

enum cl_status tls_session_read(struct tls_session *session, uint8_t *out, size_t size, size_t *length)
{
    int result;
    do result = mbedtls_ssl_read(&session->context, out, size);
    while (is_ticket(result));
    *length = result > 0 ? (size_t)result : 0;
    if (result > 0) return CL_OK;
    return result == MBEDTLS_ERR_SSL_WANT_READ ? CL_E_NOT_FOUND : CL_E_SIGNATURE;
}

enum cl_status tls_session_write(struct tls_session *session, const uint8_t *data, size_t length)
{
    while (length > 0) {
        int result = mbedtls_ssl_write(&session->context, data, length);
        if (result <= 0) return result == MBEDTLS_ERR_SSL_ALLOC_FAILED ? CL_E_MEMORY : CL_E_SIGNATURE;
        data += result;
        length -= (size_t)result;
    }
    return CL_OK;
}

struct cl_buffer *tls_session_outgoing(struct tls_session *session)
{
    return &session->outgoing;
}

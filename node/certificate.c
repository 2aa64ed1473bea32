/* Makes and reads the self-signed P-256 certificates of links between nodes, by mbedTLS. */
#include "crypto.h"
#include "keys.h"

#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int random_bytes(void *context, unsigned char *out, size_t length)
{
    (void)context;
    return cl_random(out, length) == CL_OK ? 0 : MBEDTLS_ERR_ECP_RANDOM_FAILED;
}

static int set_serial(mbedtls_x509write_cert *certificate, mbedtls_mpi *serial)
{
    uint8_t bytes[16];
    if (cl_random(bytes, sizeof bytes) != CL_OK) return MBEDTLS_ERR_ECP_RANDOM_FAILED;
    bytes[0] &= 0x7f;
    bytes[0] |= 0x40; /* positive, and always 16 bytes long */
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    (void)serial;
    return mbedtls_x509write_crt_set_serial_raw(certificate, bytes, sizeof bytes);
#else
    int result = mbedtls_mpi_read_binary(serial, bytes, sizeof bytes);
    return result != 0 ? result : mbedtls_x509write_crt_set_serial(certificate, serial);
#endif
}

static int write_certificate(mbedtls_x509write_cert *certificate, mbedtls_pk_context *key, mbedtls_mpi *serial, const char *name,
                             char certificate_pem[NODE_PEM_BYTES_MAX])
{
    char subject[64 + CL_MEMBER_NAME_BYTES_MAX], from[32], until[32];
    time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(from, sizeof from, "%Y%m%d000000", &parts);
    parts.tm_year += 20;
    if (parts.tm_mon == 1 && parts.tm_mday == 29) parts.tm_mday = 28;
    strftime(until, sizeof until, "%Y%m%d000000", &parts);
    snprintf(subject, sizeof subject, "CN=%s", name);
    mbedtls_x509write_crt_set_version(certificate, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(certificate, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(certificate, key);
    mbedtls_x509write_crt_set_issuer_key(certificate, key);
    int result = mbedtls_x509write_crt_set_subject_name(certificate, subject);
    if (result == 0) result = mbedtls_x509write_crt_set_issuer_name(certificate, subject);
    if (result == 0) result = set_serial(certificate, serial);
    if (result == 0) result = mbedtls_x509write_crt_set_validity(certificate, from, until);
    /* Each member's certificate is its own and only authority. */
    if (result == 0) result = mbedtls_x509write_crt_set_basic_constraints(certificate, 1, 0);
    if (result == 0)
        result = mbedtls_x509write_crt_pem(certificate, (unsigned char *)certificate_pem, NODE_PEM_BYTES_MAX, random_bytes, NULL);
    return result;
}

enum cl_status node_certificate_make(char certificate_pem[NODE_PEM_BYTES_MAX], char key_pem[NODE_PEM_BYTES_MAX], const char *name,
                                     char *error, size_t error_size)
{
    mbedtls_pk_context key;
    mbedtls_x509write_cert certificate;
    mbedtls_mpi serial;
    mbedtls_pk_init(&key);
    mbedtls_x509write_crt_init(&certificate);
    mbedtls_mpi_init(&serial);
    int result = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (result == 0) result = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), random_bytes, NULL);
    if (result == 0) result = write_certificate(&certificate, &key, &serial, name, certificate_pem);
    if (result == 0) result = mbedtls_pk_write_key_pem(&key, (unsigned char *)key_pem, NODE_PEM_BYTES_MAX);
    if (result != 0) {
        mbedtls_strerror(result, error, error_size);
        cl_wipe(key_pem, NODE_PEM_BYTES_MAX);
    }
    mbedtls_mpi_free(&serial);
    mbedtls_x509write_crt_free(&certificate);
    mbedtls_pk_free(&key);
    return result == 0 ? CL_OK : CL_E_UNSUPPORTED;
}

bool node_certificate_valid(const char *pem)
{
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    int result = mbedtls_x509_crt_parse(&certificate, (const unsigned char *)pem, strlen(pem) + 1);
    bool good = result == 0 && certificate.next == NULL;
    mbedtls_x509_crt_free(&certificate);
    return good;
}

bool node_certificate_names(const char *pem, const char *name)
{
    mbedtls_x509_crt certificate;
    uint32_t flags = 0;
    mbedtls_x509_crt_init(&certificate);
    bool good = mbedtls_x509_crt_parse(&certificate, (const unsigned char *)pem, strlen(pem) + 1) == 0;
    if (good) {
        int result = mbedtls_x509_crt_verify(&certificate, &certificate, NULL, name, &flags, NULL, NULL);
        flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
        good = (result == 0 || result == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) && flags == 0;
    }
    mbedtls_x509_crt_free(&certificate);
    return good;
}

uint64_t node_certificate_until(const char *pem)
{
    mbedtls_x509_crt certificate;
    uint64_t until = 0;
    mbedtls_x509_crt_init(&certificate);
    if (mbedtls_x509_crt_parse(&certificate, (const unsigned char *)pem, strlen(pem) + 1) == 0) {
        const mbedtls_x509_time *end = &certificate.valid_to;
        struct tm parts = { .tm_year = end->year - 1900, .tm_mon = end->mon - 1, .tm_mday = end->day, .tm_hour = end->hour, .tm_min = end->min, .tm_sec = end->sec };
        time_t seconds = timegm(&parts);
        until = seconds > 0 ? (uint64_t)seconds : 0;
    }
    mbedtls_x509_crt_free(&certificate);
    return until;
}

/* The node's ini file: whatever the text, what was read is within the limits that its settings state, and a refusal
   names a line of the text. */
#include "config.h"
#include "require.h"

static void within_limits(const struct node_config *config)
{
    char address[64];
    uint16_t port;
    require(memchr(config->listen, 0, sizeof config->listen) != NULL && memchr(config->genesis, 0, sizeof config->genesis) != NULL);
    require(strcmp(config->listen, "none") == 0 || node_config_listen(address, sizeof address, &port, config->listen) == CL_OK);
    require(config->links_listen[0] == 0 || node_address_listens(config->links_listen));
    require(config->links_ask_listen[0] == 0 || node_address_listens(config->links_ask_listen));
    require((config->tls_certificate[0] == '\0') == (config->tls_key[0] == '\0'));
    require(config->http_connections_max >= 1 && config->http_threads >= 1 && config->http_threads <= 256);
    require(config->http_idle_s >= 1 && config->http_request_s >= 1 && config->http_body_bytes_max >= 1024);
    require(config->http_body_bytes_max <= 16u * 1024 * 1024 && config->feed_streams_max >= 1 && config->pool_records_max >= 16);
    require(config->pool_bytes_max >= 1024 * 1024 && config->votelog_truncate_mb >= 1 && config->log_level <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct node_config config;
    static struct config_error error;
    size_t lines = 1;
    node_config_default(&config);
    /* what is not NUL-terminated must not be read as if it were */
    enum cl_status status = node_config_parse(&config, &error, (const char *)data, size);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    require(status == CL_OK || status == CL_E_FORMAT);
    require(memchr(error.sentence, 0, sizeof error.sentence) != NULL);
    if (status == CL_OK)
        within_limits(&config);
    else
        require(error.sentence[0] != '\0' && error.line <= lines);
    return 0;
}

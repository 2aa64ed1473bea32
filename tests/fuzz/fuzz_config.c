/* The ini reader: any bytes give settings within their bounds, or a sentence. */
#include <assert.h>
#include <string.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node_config config;
    struct config_error error;
    char address[64];
    uint16_t port;
    node_config_default(&config);
    if (node_config_parse(&config, &error, (const char *)data, size) != CL_OK) {
        assert(error.sentence[0] != '\0' && memchr(error.sentence, '\0', sizeof error.sentence) != NULL);
        return 0;
    }
    assert(config.http_threads >= 1 && config.http_threads <= 64 && config.log_level <= 3);
    assert(strcmp(config.listen, "none") == 0 || node_config_listen(address, sizeof address, &port, config.listen) == CL_OK);
    return 0;
}

#include "homes.h"

#include "files.h"
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void homes_path(char out[NODE_PATH_MAX], const struct homes *homes, size_t number)
{
    snprintf(out, NODE_PATH_MAX, "%s/%zu", homes->directory, number);
}

static bool port_is_free(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0) abort();
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}

bool homes_ports_are_free(unsigned first, size_t nodes)
{
    for (unsigned i = 0; i < 2 * (unsigned)nodes; i++)
        if (!port_is_free(first + i)) return false;
    return true;
}

/* Below those that the kernel gives out by itself. */
unsigned homes_free_ports(size_t nodes)
{
    unsigned base = 12000 + (unsigned)getpid() * 37u % 18000u;
    for (unsigned tries = 0; tries < 500; tries++, base = 12000 + (base + 101) % 18000u)
        if (homes_ports_are_free(base, nodes)) return base;
    abort();
}

static void write_in(const char *folder, const char *name, const void *bytes, size_t length, unsigned mode)
{
    char path[NODE_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FIXTURE_OK(file_write(path, bytes, length, mode, true));
}

static void make_member(const struct homes *homes, size_t number, bool observer, unsigned port)
{
    struct node_keys keys;
    struct cl_buffer member = { 0 };
    char folder[NODE_PATH_MAX], name[32], private_key[NODE_PEM_BYTES_MAX], words[256];
    struct member_info *info = calloc(1, sizeof *info);
    if (info == NULL) abort();
    homes_path(folder, homes, number);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) abort();
    FIXTURE_OK(node_keys_create(&keys, folder));
    snprintf(name, sizeof name, "node-%zu", number);
    if (!observer) memcpy(info->role, "controller", sizeof "controller");
    if (!observer) memcpy(info->jurisdiction, "EU", sizeof "EU");
    snprintf(info->address, sizeof info->address, "127.0.0.1:%u", port);
    FIXTURE_OK(node_certificate_make(info->certificate, private_key, name, words, sizeof words));
    FIXTURE_OK(member_file_encode(&member, name, info, &keys));
    write_in(folder, "member.json", member.data, member.length, 0644);
    write_in(folder, "tls.key", private_key, strlen(private_key), 0600);
    node_keys_wipe(&keys);
    cl_buffer_deinit(&member);
    free(info);
}

void homes_make(struct homes *homes, const char *directory, size_t members, size_t observers, uint64_t d0_ms)
{
    char paths[HOMES_MAX][NODE_PATH_MAX + 16], folder[NODE_PATH_MAX];
    const char *files[HOMES_MAX];
    struct genesis_error error;
    struct cl_parameters parameters;
    struct cl_buffer document = { 0 };
    struct node_genesis genesis;
    memset(homes, 0, sizeof *homes);
    if (members + observers > HOMES_MAX || strlen(directory) >= sizeof homes->directory) abort();
    memcpy(homes->directory, directory, strlen(directory) + 1);
    homes->count = members + observers;
    unsigned port = homes_free_ports(homes->count);
    for (size_t i = 0; i < homes->count; i++) {
        make_member(homes, i, i >= members, port + 2 * (unsigned)i);
        homes_path(folder, homes, i);
        snprintf(paths[i], sizeof paths[i], "%s/member.json", folder);
        files[i] = paths[i];
    }
    node_parameters_default(&parameters, homes->count);
    if (d0_ms > 0) parameters.d0_ms = d0_ms;
    if (node_genesis_compose(&document, &error, "homes.consent.example/log", (uint64_t)time(NULL) * 1000u, &parameters, files, homes->count) != CL_OK) {
        fprintf(stderr, "genesis: %s\n", error.sentence);
        abort();
    }
    FIXTURE_OK(node_genesis_decode(&genesis, &error, document.data, document.length));
    homes->network = genesis.core.network;
    node_genesis_deinit(&genesis);
    for (size_t i = homes->count; i-- > 0;) { /* the first one's is written last: it says that all are there */
        homes_path(folder, homes, i);
        write_in(folder, "genesis.json", document.data, document.length, 0644);
    }
    cl_buffer_deinit(&document);
}

enum cl_status homes_start(struct node **out, const struct homes *homes, size_t number, const struct node_config *config, char *sentence, size_t sentence_size)
{
    struct node_options options = { 0 };
    if (config != NULL) options.config = *config;
    else node_config_default(&options.config);
    homes_path(options.config.data, homes, number);
    memcpy(options.config.listen, "none", sizeof "none");
    return node_start(out, &options, sentence, sentence_size);
}

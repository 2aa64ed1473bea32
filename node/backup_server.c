/* The running node's side of a backup. Who may connect is a matter of the file's mode; what comes is one stream of the
   ledger as it is at that moment, read from a snapshot while blocks go on being written. Keys never pass here. */
#include "node_backup.h"

#include "backup.h"
#include "logging.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_NAME "backup.sock"
#define STALLED_MS 60000  /* a reader that takes nothing for so long is cut: its snapshot keeps old tables on the disk */
#define CERTIFIED_MS 25   /* between two looks whether the newest block has its certificate */
#define CERTIFIED_LOOKS 400

struct backup_server {
    const struct cl_store *store;
    int directory, listener, wake[2];
    pthread_t thread;
    bool running;
    atomic_uint_fast64_t count, newest_s;
};
struct stream { struct backup_server *server; int socket; uint64_t bytes; };

/* The socket's name is looked up from the directory's handle, because a name of a socket is at most 107 bytes long. */
static void name_of(struct sockaddr_un *out, int directory)
{
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/" SOCKET_NAME, directory);
}

/* Returns: false where the node stops, or at the time limit. */
static bool wait_for(const struct backup_server *server, int file, short events, int limit_ms)
{
    struct pollfd files[] = { { .fd = server->wake[0], .events = POLLIN }, { .fd = file, .events = events } };
    int ready;
    do ready = poll(files, 2, limit_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0 && files[0].revents == 0;
}

/* Returns: true where the node stops within that time. */
static bool stops_within(const struct backup_server *server, int limit_ms)
{
    struct pollfd wake = { .fd = server->wake[0], .events = POLLIN };
    return poll(&wake, 1, limit_ms) > 0;
}

static enum cl_status send_all(void *context, const uint8_t *data, size_t length)
{
    struct stream *stream = context;
    if (stops_within(stream->server, 0)) return CL_E_CANCELLED;
    while (length > 0) {
        ssize_t sent = send(stream->socket, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
            stream->bytes += (uint64_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(stream->server, stream->socket, POLLOUT, STALLED_MS)) return CL_E_CANCELLED;
        } else if (errno != EINTR) {
            return CL_E_IO;
        }
    }
    return CL_OK;
}

static void serve(struct backup_server *server, int socket)
{
    struct stream stream = { .server = server, .socket = socket };
    enum cl_status status = CL_E_PENDING;
    log_line(LOG_LEVEL_INFO, "backup_begun", "by=socket");
    for (unsigned i = 0; i < CERTIFIED_LOOKS && status == CL_E_PENDING; i++) {
        status = cl_backup_write(server->store, send_all, &stream);
        if (status == CL_E_PENDING && stops_within(server, CERTIFIED_MS)) status = CL_E_CANCELLED;
    }
    if (status == CL_OK) {
        atomic_fetch_add(&server->count, 1);
        atomic_store(&server->newest_s, (uint64_t)time(NULL));
    }
    log_line(status == CL_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "backup_ended", "bytes=%llu code=%s", (unsigned long long)stream.bytes, cl_status_code(status));
}

static void *run(void *context)
{
    struct backup_server *server = context;
    while (wait_for(server, server->listener, POLLIN, -1)) {
        int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0) {
            if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) (void)stops_within(server, 1000); /* no handles left: later */
            continue;
        }
        serve(server, socket);
        close(socket);
    }
    return NULL;
}

static bool listen_at(struct backup_server *server)
{
    struct sockaddr_un name;
    name_of(&name, server->directory);
    unlinkat(server->directory, SOCKET_NAME, 0); /* a node that was killed left it; the store's lock says that none runs */
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->listener < 0) return false;
    /* The mode is the socket's before it has a name, so that there is no moment at which others may connect. */
    return fchmod(server->listener, 0600) == 0 && bind(server->listener, (const struct sockaddr *)&name, sizeof name) == 0 &&
           fchmodat(server->directory, SOCKET_NAME, 0600, 0) == 0 && listen(server->listener, 1) == 0;
}

enum cl_status backup_server_start(struct backup_server **out, const char *data, const struct cl_store *store)
{
    struct backup_server *server = calloc(1, sizeof *server);
    if (server == NULL) return CL_E_MEMORY;
    server->store = store;
    server->listener = server->wake[0] = server->wake[1] = -1;
    server->directory = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool good = server->directory >= 0 && pipe2(server->wake, O_CLOEXEC) == 0 && listen_at(server);
    if (good) server->running = pthread_create(&server->thread, NULL, run, server) == 0;
    if (!server->running) {
        int saved = errno;
        backup_server_stop(server);
        errno = saved;
        return CL_E_IO;
    }
    *out = server;
    return CL_OK;
}

void backup_server_stop(struct backup_server *server)
{
    if (server == NULL) return;
    if (server->wake[1] >= 0) close(server->wake[1]); /* the other end says so */
    if (server->running) pthread_join(server->thread, NULL);
    if (server->listener >= 0) {
        close(server->listener);
        unlinkat(server->directory, SOCKET_NAME, 0);
    }
    if (server->wake[0] >= 0) close(server->wake[0]);
    if (server->directory >= 0) close(server->directory);
    free(server);
}

void backup_server_report(const struct backup_server *server, struct backup_report *out)
{
    *out = (struct backup_report){ 0 };
    if (server == NULL) return;
    out->count = atomic_load(&server->count);
    out->newest_s = atomic_load(&server->newest_s);
}

int backup_connect(const char *data)
{
    struct sockaddr_un name;
    int directory = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return -1;
    name_of(&name, directory);
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = file >= 0 && connect(file, (const struct sockaddr *)&name, sizeof name) == 0;
    int saved = errno;
    close(directory);
    if (!good && file >= 0) close(file);
    errno = saved;
    return good ? file : -1;
}

/* A switch between network namespaces that delays and loses frames, for tests of real nodes: it opens a TAP device eth0 in
   each namespace and passes frames on by the last byte of the receiver's hardware address, which is the port's number.
   It does what tc's netem does, for kernels that lack it, and the losses come from a seed.
     net_switch SEED NAMESPACE...          prints "ready"; then one request a line on standard input, "good" as the answer:
     line FROM TO DELAY_MS LOSS            in this direction; LOSS: of 1,000 frames
     bytes PORT                            "good N": bytes that came from this port
   Ends with its standard input. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PORTS_MAX 32u
#define FRAME_BYTES_MAX 2048u
#define WAITING_MAX 4096u /* in one direction; lost beyond, as in a full router */

struct waiting { struct waiting *next; uint64_t due_us; size_t length; uint8_t bytes[]; };
struct line { uint64_t delay_us; unsigned loss; size_t count; struct waiting *first, **end; };

static struct line lines[PORTS_MAX][PORTS_MAX];
static int taps[PORTS_MAX];
static size_t port_count;
static uint64_t bytes_from[PORTS_MAX], chance;

static void fail(const char *what)
{
    fprintf(stderr, "net_switch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static unsigned of_thousand(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (unsigned)(chance % 1000u);
}

static int open_tap(const char *name, int home)
{
    char path[256];
    struct ifreq request = { 0 };
    snprintf(path, sizeof path, "/run/netns/%s", name);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET) != 0) fail(path);
    close(there);
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0) fail("/dev/net/tun");
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    memcpy(request.ifr_name, "eth0", sizeof "eth0");
    if (ioctl(tap, TUNSETIFF, &request) != 0) fail("TUNSETIFF");
    if (setns(home, CLONE_NEWNET) != 0) fail("setns");
    return tap;
}

/* A device that takes no more, or is down, loses the frame. */
static void deliver(size_t to, const uint8_t *bytes, size_t length)
{
    ssize_t written = write(taps[to], bytes, length);
    (void)written;
}

static void pass_on(size_t from, const uint8_t *bytes, size_t length)
{
    bytes_from[from] += length;
    if (length < 14 || (bytes[0] & 1u) != 0 || bytes[5] >= port_count) return; /* no broadcasts: addresses are set by hand */
    struct line *line = &lines[from][bytes[5]];
    if (of_thousand() < line->loss || line->count >= WAITING_MAX) return;
    if (line->delay_us == 0 && line->count == 0) {
        deliver(bytes[5], bytes, length);
        return;
    }
    struct waiting *waiting = malloc(sizeof *waiting + length);
    if (waiting == NULL) fail("memory");
    *waiting = (struct waiting){ .due_us = now_us() + line->delay_us, .length = length };
    memcpy(waiting->bytes, bytes, length);
    *line->end = waiting;
    line->end = &waiting->next;
    line->count++;
}

/* Delivers what is due. Returns: when the next frame is, UINT64_MAX for none. */
static uint64_t deliver_due(void)
{
    uint64_t now = now_us(), next = UINT64_MAX;
    for (size_t from = 0; from < port_count; from++)
        for (size_t to = 0; to < port_count; to++) {
            struct line *line = &lines[from][to];
            while (line->first != NULL && line->first->due_us <= now) {
                struct waiting *waiting = line->first;
                deliver(to, waiting->bytes, waiting->length);
                line->first = waiting->next;
                if (line->first == NULL) line->end = &line->first;
                line->count--;
                free(waiting);
            }
            if (line->first != NULL && line->first->due_us < next) next = line->first->due_us;
        }
    return next;
}

static void obey(const char *text)
{
    size_t from, to;
    unsigned delay_ms, loss;
    if (sscanf(text, "line %zu %zu %u %u", &from, &to, &delay_ms, &loss) == 4 && from < port_count && to < port_count) {
        lines[from][to].delay_us = delay_ms * 1000u;
        lines[from][to].loss = loss;
        puts("good");
    } else if (sscanf(text, "bytes %zu", &from) == 1 && from < port_count) {
        printf("good %llu\n", (unsigned long long)bytes_from[from]);
    } else {
        puts("bad");
    }
    fflush(stdout);
}

/* Requests come one at a time, each after the answer to the one before: a read holds one line. False at the end. */
static int take_request(void)
{
    char text[256];
    ssize_t length = read(STDIN_FILENO, text, sizeof text - 1);
    if (length <= 0) return 0;
    text[length] = '\0';
    obey(text);
    return 1;
}

int main(int argc, char **argv)
{
    struct pollfd polled[PORTS_MAX + 1];
    uint8_t frame[FRAME_BYTES_MAX];
    if (argc < 3 || (size_t)argc - 2 > PORTS_MAX) return 2;
    port_count = (size_t)argc - 2;
    chance = strtoull(argv[1], NULL, 10) * 2u + 1u;
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0) fail("/proc/self/ns/net");
    for (size_t i = 0; i < port_count; i++) {
        taps[i] = open_tap(argv[2 + i], home);
        polled[i] = (struct pollfd){ .fd = taps[i], .events = POLLIN };
        for (size_t to = 0; to < port_count; to++) lines[i][to].end = &lines[i][to].first;
    }
    polled[port_count] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
    puts("ready");
    fflush(stdout);
    for (;;) {
        uint64_t next = deliver_due(), now = now_us();
        struct timespec pause = { 0 };
        if (next != UINT64_MAX && next > now) pause = (struct timespec){ (time_t)((next - now) / 1000000u), (long)((next - now) % 1000000u) * 1000 };
        if (ppoll(polled, port_count + 1, next == UINT64_MAX ? NULL : &pause, NULL) < 0 && errno != EINTR) fail("poll");
        if (polled[port_count].revents != 0 && !take_request()) return 0;
        for (size_t i = 0; i < port_count; i++)
            for (int burst = 0; (polled[i].revents & POLLIN) != 0 && burst < 64; burst++) {
                ssize_t length = read(taps[i], frame, sizeof frame);
                if (length <= 0) break;
                pass_on(i, frame, (size_t)length);
            }
    }
}

/* Links over loopback, with real certificates: what arrives and from whom, and what a stranger, a rude or a broken peer can
   do. Hostile peers are plain sockets with TLS over them, a member's certificate and, where it helps them, its vote key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "consent/record.h"
#include "fixture.h"
#include "keys.h"
#include "link.h"
#include "pipes.h"
#include "transport.h"

#define MEMBERS 4u
#define HEARD_MAX 512u
#define DEADLINE_MS 30000u /* of what should take a moment: the machine may be busy */
#define LONG_RECORD_BYTES 65000u

struct heard { size_t sender; enum frame_kind kind; uint64_t number; };
struct node { struct transport *transport; size_t count, questions; struct heard heard[HEARD_MAX]; bool declines; };

static struct fixture_network network;
static char certificates[MEMBERS + 1][NODE_PEM_BYTES_MAX], keys[MEMBERS + 1][NODE_PEM_BYTES_MAX]; /* the last: a stranger's */
static char addresses[MEMBERS][2][32];
static struct node nodes[MEMBERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static uint64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Evaluates the condition until it holds; fails at the deadline. */
#define WAIT_FOR(condition) do { \
        uint64_t until_ms = steady_ms() + DEADLINE_MS; \
        while (!(condition)) { \
            if (steady_ms() > until_ms) fail_msg("waited in vain for: %s", #condition); \
            nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL); \
        } \
    } while (0)

/* ---- nodes */

static void receive(void *context, size_t sender, const struct frame *frame)
{
    struct node *node = context;
    struct frame_status report = { 0 };
    if (frame->kind == FRAME_STATUS && frame_status_decode(&report, frame->payload) != CL_OK) abort();
    pthread_mutex_lock(&lock);
    if (node->count < HEARD_MAX) node->heard[node->count++] = (struct heard){ sender, frame->kind, report.height };
    pthread_mutex_unlock(&lock);
}

/* Answers a range request with a status of the same number and its own height 1 more. */
static void question(void *context, size_t sender, const struct frame *frame, struct transport_question *asked)
{
    struct node *node = context;
    struct frame_range_request request;
    struct cl_buffer payload = { 0 };
    if (frame->kind != FRAME_RANGE_REQUEST || frame_range_request_decode(&request, frame->payload) != CL_OK) abort();
    pthread_mutex_lock(&lock);
    node->questions++;
    bool declines = node->declines;
    pthread_mutex_unlock(&lock);
    if (frame_status_encode(&payload, &(struct frame_status){ request.first_height + 1, sender, 0 }) != CL_OK) abort();
    if (declines || transport_answer(asked, FRAME_STATUS, payload.data, payload.length) != CL_OK) transport_decline(asked);
    cl_buffer_deinit(&payload);
}

static void start_node(size_t own)
{
    struct transport_member members[MEMBERS];
    struct transport_error error;
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = (struct transport_member){ network.genesis.value.members[i].name, certificates[i], network.genesis.value.members[i].vote,
                                                addresses[i][0], addresses[i][1] };
    struct transport_config config = {
        .network = network.genesis.network, .members = members, .member_count = MEMBERS, .own = own,
        .vote_seed32 = network.vote_seed[own], .key = keys[own], .listen = addresses[own][0], .listen_ask = addresses[own][1],
        .wall_ms = wall_ms, .context = &nodes[own], .receive = receive, .question = question,
    };
    enum cl_status status = transport_new(&nodes[own].transport, &error, &config);
    if (status != CL_OK) fail_msg("%s", error.sentence);
}

static void stop_node(size_t own)
{
    transport_free(nodes[own].transport);
    nodes[own].transport = NULL;
}

static void send_status(size_t from, size_t to, enum lane lane, uint64_t number)
{
    struct cl_buffer payload = { 0 };
    FIXTURE_OK(frame_status_encode(&payload, &(struct frame_status){ number, 0, 0 }));
    FIXTURE_OK(transport_send(nodes[from].transport, to, lane, FRAME_STATUS, payload.data, payload.length));
    transport_flush(nodes[from].transport);
    cl_buffer_deinit(&payload);
}

static size_t heard_count(size_t who)
{
    pthread_mutex_lock(&lock);
    size_t count = nodes[who].count;
    pthread_mutex_unlock(&lock);
    return count;
}

static size_t heard_of(size_t who, size_t sender, uint64_t number)
{
    size_t found = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < nodes[who].count; i++) found += nodes[who].heard[i].sender == sender && nodes[who].heard[i].number == number;
    pthread_mutex_unlock(&lock);
    return found;
}

static struct transport_counters counters(size_t who, size_t member)
{
    struct transport_counters out;
    transport_count(nodes[who].transport, member, &out);
    return out;
}

static struct transport_strays strays(size_t who)
{
    struct transport_strays out;
    transport_count_strays(nodes[who].transport, &out);
    return out;
}

/* Sends until it arrives: what goes out while a pipe is made or lost may be lost. */
static bool reaches(size_t from, size_t to, uint64_t number)
{
    if (heard_of(to, from, number) > 0) return true;
    send_status(from, to, LANE_VOTES, number);
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    return heard_of(to, from, number) > 0;
}

/* Two ports that were free a moment ago, for each member. */
static void find_ports(void)
{
    int sockets[MEMBERS][2];
    for (size_t i = 0; i < MEMBERS; i++)
        for (size_t k = 0; k < 2; k++) {
            struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
            socklen_t length = sizeof address;
            sockets[i][k] = socket(AF_INET, SOCK_STREAM, 0);
            assert_true(sockets[i][k] >= 0 && bind(sockets[i][k], (struct sockaddr *)&address, sizeof address) == 0);
            assert_int_equal(getsockname(sockets[i][k], (struct sockaddr *)&address, &length), 0);
            snprintf(addresses[i][k], sizeof addresses[i][k], "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
        }
    for (size_t i = 0; i < MEMBERS; i++) close(sockets[i][0]), close(sockets[i][1]);
}

static int make_world(void **state)
{
    (void)state;
    char error[256];
    fixture_network_make(&network, MEMBERS);
    for (size_t i = 0; i <= MEMBERS; i++) {
        const char *name = i < MEMBERS ? network.genesis.value.members[i].name : "member-1"; /* the stranger says it were one */
        FIXTURE_OK(node_certificate_make(certificates[i], keys[i], name, error, sizeof error));
    }
    return 0;
}

static int start(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof nodes);
    find_ports();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) stop_node(i);
    return 0;
}

/* ---- hostile peers */

struct raw { int socket; struct tls_identity *identity; struct tls_session *session; uint8_t chunk[4096]; };

static void raw_identity(struct raw *raw, size_t identity, size_t trusted, bool client)
{
    size_t bad;
    const char *certificate = certificates[trusted];
    memset(raw, 0, sizeof *raw);
    FIXTURE_OK(tls_identity_new(&raw->identity, &bad, certificates[identity], keys[identity], &certificate, 1, client ? network.genesis.value.members[trusted].name : NULL));
    FIXTURE_OK(tls_session_new(&raw->session, raw->identity));
}

static bool raw_write(struct raw *raw)
{
    struct cl_buffer *out = tls_session_outgoing(raw->session);
    bool good = true;
    for (size_t at = 0; at < out->length && good;) {
        ssize_t written = send(raw->socket, out->data + at, out->length - at, MSG_NOSIGNAL);
        good = written > 0;
        at += good ? (size_t)written : 0;
    }
    out->length = 0;
    return good;
}

/* False: the other side closed, or nothing came in time. */
static bool raw_more(struct raw *raw)
{
    ssize_t length = recv(raw->socket, raw->chunk, sizeof raw->chunk, 0);
    if (length > 0) tls_session_put(raw->session, raw->chunk, (size_t)length);
    return length > 0;
}

static bool raw_greet(struct raw *raw)
{
    enum cl_status status;
    while ((status = tls_session_greet(raw->session)) == CL_E_NOT_FOUND)
        if (!raw_write(raw) || !raw_more(raw)) return false;
    return raw_write(raw) && status == CL_OK;
}

static void raw_limit(int of, int milliseconds)
{
    struct timeval limit = { milliseconds / 1000, milliseconds % 1000 * 1000 };
    assert_int_equal(setsockopt(of, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
}

static struct sockaddr_in raw_address(const char *text)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(strchr(text, ':') + 1)) };
    return address;
}

/* Dials the victim's listener for frames (or for questions) with the certificate of `identity`. */
static bool raw_dial(struct raw *raw, bool ask, size_t identity, size_t victim)
{
    struct sockaddr_in address = raw_address(addresses[victim][ask ? 1 : 0]);
    raw_identity(raw, identity, victim, true);
    raw->socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(raw->socket >= 0);
    raw_limit(raw->socket, DEADLINE_MS);
    assert_int_equal(connect(raw->socket, (struct sockaddr *)&address, sizeof address), 0);
    return raw_greet(raw);
}

static void raw_close(struct raw *raw)
{
    close(raw->socket);
    tls_session_free(raw->session);
    tls_identity_free(raw->identity);
}

/* Reads until the other side has said a whole message (true), or closed. */
static bool raw_hears(struct raw *raw)
{
    uint8_t said[4096];
    size_t length, heard = 0;
    for (;;) {
        enum cl_status status = tls_session_read(raw->session, said, sizeof said, &length);
        heard += length;
        if (heard > LINK_HEAD_BYTES) return true;
        if (status == CL_E_SIGNATURE || (status == CL_E_NOT_FOUND && !raw_more(raw))) return false;
    }
}

static bool raw_send(struct raw *raw, const struct cl_buffer *bytes)
{
    uint8_t head[LINK_HEAD_BYTES];
    link_put_head(head, bytes->length, 1);
    FIXTURE_OK(tls_session_write(raw->session, head, sizeof head));
    FIXTURE_OK(tls_session_write(raw->session, bytes->data, bytes->length));
    return raw_write(raw);
}

/* A listener in a member's place, with the certificate of `identity`. */
static int raw_listen(size_t place, unsigned kind)
{
    struct sockaddr_in address = raw_address(addresses[place][kind]);
    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    raw_limit(listener, DEADLINE_MS);
    return listener;
}

static bool raw_accept(struct raw *raw, int listener, size_t identity, size_t trusted)
{
    raw_identity(raw, identity, trusted, false);
    raw->socket = accept(listener, NULL, NULL);
    assert_true(raw->socket >= 0);
    raw_limit(raw->socket, 3000);
    return raw_greet(raw);
}

static bool raw_hello(struct raw *raw, size_t sender, size_t receiver, uint64_t time_ms)
{
    struct frame_hello hello = { .network = network.genesis.network, .time_ms = time_ms };
    struct cl_buffer payload = { 0 }, frame = { 0 };
    strcpy(hello.sender, network.genesis.value.members[sender].name);
    strcpy(hello.receiver, network.genesis.value.members[receiver].name);
    FIXTURE_OK(frame_hello_sign(&hello, network.vote_seed[sender]));
    FIXTURE_OK(frame_hello_encode(&payload, &hello));
    FIXTURE_OK(frame_encode(&frame, &network.genesis.network, FRAME_HELLO, payload.data, payload.length));
    bool sent = raw_send(raw, &frame);
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&frame);
    return sent;
}

static bool raw_status(struct raw *raw, uint64_t number)
{
    struct cl_buffer payload = { 0 }, frame = { 0 };
    FIXTURE_OK(frame_status_encode(&payload, &(struct frame_status){ number, 0, 0 }));
    FIXTURE_OK(frame_encode(&frame, &network.genesis.network, FRAME_STATUS, payload.data, payload.length));
    bool sent = raw_send(raw, &frame);
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&frame);
    return sent;
}

/* ---- questions */

struct answer { bool done; enum transport_outcome outcome; uint64_t number, asker; };

static void answered(void *context, size_t member, enum transport_outcome outcome, const struct frame *frame)
{
    struct answer *answer = context;
    struct frame_status report = { 0 };
    (void)member;
    if ((frame != NULL) != (outcome == TRANSPORT_ANSWERED)) abort();
    if (frame != NULL && frame_status_decode(&report, frame->payload) != CL_OK) abort();
    pthread_mutex_lock(&lock);
    *answer = (struct answer){ true, outcome, report.height, report.view };
    pthread_mutex_unlock(&lock);
}

static bool done(struct answer *answer)
{
    pthread_mutex_lock(&lock);
    bool is = answer->done;
    pthread_mutex_unlock(&lock);
    return is;
}

static enum cl_status ask(size_t from, size_t to, uint64_t number, uint32_t limit_ms, struct answer *answer)
{
    struct cl_buffer payload = { 0 };
    *answer = (struct answer){ 0 };
    FIXTURE_OK(frame_range_request_encode(&payload, &(struct frame_range_request){ number, 1, 0 }));
    enum cl_status status = transport_ask(nodes[from].transport, to, FRAME_RANGE_REQUEST, payload.data, payload.length, limit_ms, answered, answer);
    cl_buffer_deinit(&payload);
    return status;
}

/* ---- claims */

static void frames_arrive_from_whom_they_come(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) start_node(i);
    for (size_t from = 0; from < MEMBERS; from++)
        for (size_t to = 0; to < MEMBERS; to++)
            if (from != to) WAIT_FOR(reaches(from, to, 10 * from + to));
    for (size_t to = 0; to < MEMBERS; to++)
        for (size_t i = 0; i < nodes[to].count; i++) assert_int_equal(nodes[to].heard[i].number, 10 * nodes[to].heard[i].sender + to);
    send_status(2, TRANSPORT_ALL, LANE_PROPOSALS, 1000);
    for (size_t to = 0; to < MEMBERS; to++)
        if (to != 2) WAIT_FOR(heard_of(to, 2, 1000) == 1);
    assert_int_equal(heard_of(2, 2, 1000), 0);
    assert_true(counters(0, 1).connected && counters(0, 1).malformed == 0 && strays(0).bad_hellos == 0);
}

static void what_waits_goes_out_in_order_of_importance(void **state)
{
    (void)state;
    start_node(0);
    for (unsigned lane = LANE_COUNT; lane-- > 0;)
        for (uint64_t i = 0; i < 10; i++) send_status(0, 1, (enum lane)lane, lane * 10 + i);
    assert_int_equal(counters(0, 1).waiting_frames, LANE_COUNT * 10);
    start_node(1);
    WAIT_FOR(heard_count(1) == LANE_COUNT * 10);
    for (size_t i = 0; i < LANE_COUNT * 10; i++) assert_true(nodes[1].heard[i].sender == 0 && nodes[1].heard[i].number == i);
    assert_int_equal(counters(0, 1).waiting_bytes, 0);
}

static void a_strangers_certificate_delivers_nothing(void **state)
{
    (void)state;
    struct raw raw;
    start_node(0);
    if (raw_dial(&raw, false, MEMBERS, 0) && raw_hello(&raw, 1, 0, wall_ms())) /* TLS 1.3 says no only afterwards */
        assert_false(raw_hears(&raw));
    raw_close(&raw);
    assert_int_equal(strays(0).frames, 0);
    assert_int_equal(heard_count(0), 0);
}

static void a_peer_that_is_not_the_one_dialled_gets_nothing(void **state)
{
    (void)state;
    struct raw raw;
    int listener = raw_listen(1, 0);
    start_node(0);
    send_status(0, 1, LANE_VOTES, 1);
    if (raw_accept(&raw, listener, 2, 0)) assert_false(raw_hears(&raw)); /* another member at member 1's address */
    assert_false(counters(0, 1).connected);
    assert_int_equal(counters(0, 1).sent_frames, 0);
    raw_close(&raw);
    close(listener);
}

static void without_a_hello_nothing_is_delivered(void **state)
{
    (void)state;
    struct raw raw;
    start_node(0);
    assert_true(raw_dial(&raw, false, 1, 0));
    assert_true(raw_status(&raw, 1));
    WAIT_FOR(strays(0).frames == 1);
    assert_true(raw_hello(&raw, 1, 0, wall_ms()));
    assert_true(raw_status(&raw, 2));
    WAIT_FOR(heard_of(0, 1, 2) == 1);
    assert_int_equal(heard_of(0, 1, 1), 0);
    raw_close(&raw);
}

static void a_hello_to_another_or_of_another_time_is_refused(void **state)
{
    (void)state;
    struct raw raw, again;
    uint64_t now_ms = wall_ms();
    start_node(0);
    assert_true(raw_dial(&raw, false, 1, 0));
    assert_true(raw_hello(&raw, 1, 2, now_ms));
    assert_true(raw_hello(&raw, 1, 0, now_ms - PIPES_HELLO_CLOCK_MS - 1000));
    assert_true(raw_status(&raw, 1));
    WAIT_FOR(strays(0).frames == 3);
    assert_int_equal(strays(0).bad_hellos, 2);
    assert_true(raw_hello(&raw, 1, 0, now_ms));
    assert_true(raw_status(&raw, 2));
    WAIT_FOR(heard_of(0, 1, 2) == 1);
    assert_true(raw_dial(&again, false, 2, 0)); /* member 2 has heard it and says it again */
    assert_true(raw_hello(&again, 1, 0, now_ms));
    assert_true(raw_status(&again, 3));
    WAIT_FOR(strays(0).frames == 5);
    assert_int_equal(strays(0).bad_hellos, 3);
    assert_int_equal(heard_count(0), 1);
    raw_close(&raw);
    raw_close(&again);
}

/* A frame nearly as large as they come. */
static void send_large(size_t from, size_t to)
{
    static uint8_t record[LONG_RECORD_BYTES];
    const struct cl_view views[] = { { record, sizeof record }, { record, sizeof record }, { record, sizeof record }, { record, sizeof record } };
    struct cl_buffer payload = { 0 };
    FIXTURE_OK(frame_list_encode(&payload, FRAME_RECORDS, views, 4));
    FIXTURE_OK(transport_send(nodes[from].transport, to, LANE_RECORDS, FRAME_RECORDS, payload.data, payload.length));
    transport_flush(nodes[from].transport);
    cl_buffer_deinit(&payload);
}

static void a_peer_that_does_not_read_holds_up_no_other_and_is_bounded(void **state)
{
    (void)state;
    struct raw deaf;
    int listener = raw_listen(3, 0);
    start_node(0);
    assert_true(raw_accept(&deaf, listener, 3, 0));
    start_node(1); /* now: it dials that address too */
    WAIT_FOR(counters(0, 1).connected && counters(0, 3).connected);
    const size_t large = 80; /* 20 MiB: more than the lanes and what the kernel takes */
    for (size_t i = 0; i < large; i++) {
        send_large(0, 1);
        send_large(0, 3);
        assert_true(counters(0, 3).waiting_bytes <= LANES_BYTES_MAX);
        WAIT_FOR(counters(0, 1).waiting_frames < 4);
    }
    struct transport_counters unread = counters(0, 3);
    assert_true(unread.dropped[LANE_RECORDS] > 0 && unread.waiting_frames > 0);
    send_status(0, TRANSPORT_ALL, LANE_VOTES, 7);
    WAIT_FOR(heard_of(1, 0, 7) == 1);
    WAIT_FOR(heard_count(1) == large + 1);
    assert_int_equal(counters(0, 3).dropped[LANE_VOTES], 0);
    assert_int_equal(counters(0, 1).dropped[LANE_RECORDS], 0);
    raw_close(&deaf);
    close(listener);
}

static void a_peer_that_restarts_is_met_again(void **state)
{
    (void)state;
    start_node(0);
    start_node(1);
    WAIT_FOR(reaches(0, 1, 1) && reaches(1, 0, 1));
    for (uint64_t round = 2; round < 5; round++) {
        stop_node(1);
        WAIT_FOR(!counters(0, 1).connected);
        start_node(1);
        WAIT_FOR(reaches(0, 1, round));
        WAIT_FOR(reaches(1, 0, round));
    }
    assert_true(counters(0, 1).connects >= 4);
    stop_node(1);
    WAIT_FOR(!counters(0, 1).connected);
    assert_int_equal(strays(0).bad_hellos, 0);
}

/* One hello for each of the two pipes, and no more while nothing is wrong with them. */
static void a_hello_goes_out_once_on_each_pipe(void **state)
{
    (void)state;
    start_node(0);
    for (uint64_t round = 1; round <= 20; round++) {
        struct answer answer;
        start_node(1);
        FIXTURE_OK(ask(1, 0, 1, DEADLINE_MS, &answer));
        WAIT_FOR(done(&answer) && counters(0, 1).received_frames >= 3 * round);
        assert_int_equal(counters(0, 1).received_frames, 3 * round); /* with the question */
        stop_node(1);
    }
}

static void garbage_closes_the_pipe(void **state)
{
    (void)state;
    struct raw raw;
    struct cl_buffer garbage = { 0 };
    FIXTURE_OK(cl_buffer_append(&garbage, "garbage", 7));
    start_node(0);
    assert_true(raw_dial(&raw, false, 1, 0));
    assert_true(raw_hello(&raw, 1, 0, wall_ms()));
    assert_true(raw_status(&raw, 1));
    WAIT_FOR(heard_of(0, 1, 1) == 1);
    for (unsigned i = 0; i <= PIPES_MALFORMED_MAX; i++) (void)raw_send(&raw, &garbage);
    assert_false(raw_hears(&raw));
    assert_int_equal(counters(0, 1).malformed, PIPES_MALFORMED_MAX + 1);
    assert_int_equal(counters(0, 1).closed, 1);
    raw_close(&raw);
    assert_true(raw_dial(&raw, false, 1, 0));
    assert_true(raw_hello(&raw, 1, 0, wall_ms())); /* it may dial anew, and begins with a hello again */
    assert_true(raw_status(&raw, 2));
    WAIT_FOR(heard_of(0, 1, 2) == 1);
    cl_buffer_deinit(&garbage);
    raw_close(&raw);
}

static void a_frame_beyond_the_bound_closes_the_pipe_unread(void **state)
{
    (void)state;
    struct raw raw;
    struct cl_buffer large = { 0 };
    static uint8_t bytes[LINK_MESSAGE_BYTES_MAX + 1];
    FIXTURE_OK(cl_buffer_append(&large, bytes, sizeof bytes));
    start_node(0);
    assert_true(raw_dial(&raw, false, 1, 0));
    assert_true(raw_hello(&raw, 1, 0, wall_ms()));
    (void)raw_send(&raw, &large); /* perhaps it is closed before all has gone */
    assert_false(raw_hears(&raw));
    assert_int_equal(counters(0, 1).malformed, 0);
    assert_int_equal(counters(0, 1).received_frames, 1); /* the hello */
    cl_buffer_deinit(&large);
    raw_close(&raw);
}

static void strangers_connections_leave_room_for_a_member(void **state)
{
    (void)state;
    enum { STRANGERS = 150 };
    struct sockaddr_in address = raw_address(addresses[0][0]);
    struct raw raw;
    int strangers[STRANGERS];
    start_node(0);
    for (size_t i = 0; i < STRANGERS; i++) {
        strangers[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_true(strangers[i] >= 0 && connect(strangers[i], (struct sockaddr *)&address, sizeof address) == 0);
    }
    WAIT_FOR(strays(0).refused_pipes > 0); /* there are more than it keeps */
    bool greeted = false;
    for (size_t tries = 0; tries < 20 && !greeted; tries++) { /* it may itself be taken for the oldest stranger, and dials again */
        greeted = raw_dial(&raw, false, 1, 0) && raw_hello(&raw, 1, 0, wall_ms()) && raw_status(&raw, 1);
        if (!greeted) raw_close(&raw);
    }
    WAIT_FOR(heard_of(0, 1, 1) == 1);
    raw_close(&raw);
    for (size_t i = 0; i < STRANGERS; i++) close(strangers[i]);
}

static void questions_are_answered_by_whom_they_are_put_to(void **state)
{
    (void)state;
    struct answer answers[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) start_node(i);
    for (uint64_t round = 0; round < 20; round++) {
        for (size_t to = 1; to < MEMBERS; to++) FIXTURE_OK(ask(0, to, 100 * round + to, DEADLINE_MS, &answers[to]));
        for (size_t to = 1; to < MEMBERS; to++) {
            WAIT_FOR(done(&answers[to]));
            assert_int_equal(answers[to].outcome, TRANSPORT_ANSWERED);
            assert_true(answers[to].number == 100 * round + to + 1 && answers[to].asker == 0);
        }
    }
    for (size_t to = 1; to < MEMBERS; to++) assert_int_equal(nodes[to].questions, 20); /* none was repeated */
    assert_int_equal(counters(0, 1).answered, 20);
}

/* Asked before the other side is there, so that all go at once; and then one for each that is answered. */
static void several_questions_are_open_to_a_member_and_each_has_its_own_answer(void **state)
{
    (void)state;
    struct answer answers[TRANSPORT_ASKED_MAX], none;
    start_node(0);
    for (uint64_t i = 0; i < TRANSPORT_ASKED_MAX; i++) FIXTURE_OK(ask(0, 1, i, DEADLINE_MS, &answers[i]));
    assert_int_equal(ask(0, 1, 99, DEADLINE_MS, &none), CL_E_BOUND);
    start_node(1);
    for (uint64_t round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < TRANSPORT_ASKED_MAX; i++) {
            WAIT_FOR(done(&answers[i]));
            assert_int_equal(answers[i].outcome, TRANSPORT_ANSWERED);
            assert_int_equal(answers[i].number, 100 * round + i + 1);
            if (round < 49) FIXTURE_OK(ask(0, 1, 100 * (round + 1) + i, DEADLINE_MS, &answers[i]));
        }
    }
    assert_int_equal(nodes[1].questions, 50 * TRANSPORT_ASKED_MAX);
    assert_int_equal(counters(1, 0).questions_dropped, 0);
}

static void a_question_ends_at_its_time_limit(void **state)
{
    (void)state;
    struct answer first, second;
    uint64_t began_ms = steady_ms();
    start_node(0);
    FIXTURE_OK(ask(0, 1, 2, DEADLINE_MS, &second)); /* nobody is there */
    FIXTURE_OK(ask(0, 1, 1, 300, &first));
    WAIT_FOR(done(&first));
    assert_false(done(&second));
    assert_int_equal(first.outcome, TRANSPORT_TIMED_OUT);
    assert_true(steady_ms() - began_ms >= 300);
    start_node(1);
    WAIT_FOR(done(&second));
    assert_true(second.outcome == TRANSPORT_ANSWERED && second.number == 3);
    nodes[1].declines = true;
    FIXTURE_OK(ask(0, 1, 1, 1000, &first));
    WAIT_FOR(done(&first));
    assert_int_equal(first.outcome, TRANSPORT_TIMED_OUT);
    assert_int_equal(nodes[1].questions, 2);
}

static void an_open_question_ends_when_its_peer_goes_and_when_we_stop(void **state)
{
    (void)state;
    struct answer answer;
    start_node(0);
    start_node(1);
    FIXTURE_OK(ask(0, 1, 1, DEADLINE_MS, &answer));
    WAIT_FOR(done(&answer));
    nodes[1].declines = true;
    FIXTURE_OK(ask(0, 1, 1, TRANSPORT_QUESTION_MS_MAX, &answer));
    WAIT_FOR(counters(1, 0).questions == 2);
    stop_node(1);
    WAIT_FOR(done(&answer));
    assert_int_equal(answer.outcome, TRANSPORT_BROKEN);
    FIXTURE_OK(ask(0, 1, 1, TRANSPORT_QUESTION_MS_MAX, &answer));
    stop_node(0);
    assert_true(done(&answer));
    assert_int_equal(answer.outcome, TRANSPORT_STOPPED);
}

static void a_question_without_a_hello_is_not_answered(void **state)
{
    (void)state;
    struct raw raw;
    struct cl_buffer payload = { 0 }, frame = { 0 };
    start_node(0);
    assert_true(raw_dial(&raw, true, 1, 0));
    FIXTURE_OK(frame_range_request_encode(&payload, &(struct frame_range_request){ 1, 1, 0 }));
    FIXTURE_OK(frame_encode(&frame, &network.genesis.network, FRAME_RANGE_REQUEST, payload.data, payload.length));
    assert_true(raw_send(&raw, &frame));
    WAIT_FOR(strays(0).frames == 1);
    assert_true(raw_hello(&raw, 1, 0, wall_ms()));
    assert_true(raw_send(&raw, &frame));
    assert_true(raw_hears(&raw));
    assert_int_equal(nodes[0].questions, 1); /* the one after the hello */
    cl_buffer_deinit(&payload);
    cl_buffer_deinit(&frame);
    raw_close(&raw);
}

static void what_cannot_be_used_is_said_at_the_start(void **state)
{
    (void)state;
    start_node(0);
    struct transport_member members[2];
    struct transport_error error;
    struct transport *transport;
    for (size_t i = 0; i < 2; i++)
        members[i] = (struct transport_member){ network.genesis.value.members[i].name, certificates[i], network.genesis.value.members[i].vote,
                                                addresses[i][0], addresses[i][1] };
    struct transport_config config = {
        .network = network.genesis.network, .members = members, .member_count = 2, .own = 0, .vote_seed32 = network.vote_seed[0],
        .key = keys[0], .listen = addresses[0][0], .listen_ask = addresses[0][1], .wall_ms = wall_ms, .context = &nodes[0],
        .receive = receive, .question = question,
    };
    assert_int_equal(transport_new(&transport, &error, &config), CL_E_IO); /* the first node has that address */
    assert_non_null(strstr(error.sentence, addresses[0][0]));
    config.listen = addresses[2][0], config.listen_ask = addresses[2][1];
    config.key = keys[1];
    members[1].certificate = "no certificate";
    assert_int_equal(transport_new(&transport, &error, &config), CL_E_ARGUMENT);
    assert_null(transport);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_arrive_from_whom_they_come, start, stop),
        cmocka_unit_test_setup_teardown(what_waits_goes_out_in_order_of_importance, start, stop),
        cmocka_unit_test_setup_teardown(a_strangers_certificate_delivers_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_peer_that_is_not_the_one_dialled_gets_nothing, start, stop),
        cmocka_unit_test_setup_teardown(without_a_hello_nothing_is_delivered, start, stop),
        cmocka_unit_test_setup_teardown(a_hello_to_another_or_of_another_time_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(a_peer_that_does_not_read_holds_up_no_other_and_is_bounded, start, stop),
        cmocka_unit_test_setup_teardown(a_peer_that_restarts_is_met_again, start, stop),
        cmocka_unit_test_setup_teardown(a_hello_goes_out_once_on_each_pipe, start, stop),
        cmocka_unit_test_setup_teardown(garbage_closes_the_pipe, start, stop),
        cmocka_unit_test_setup_teardown(a_frame_beyond_the_bound_closes_the_pipe_unread, start, stop),
        cmocka_unit_test_setup_teardown(strangers_connections_leave_room_for_a_member, start, stop),
        cmocka_unit_test_setup_teardown(questions_are_answered_by_whom_they_are_put_to, start, stop),
        cmocka_unit_test_setup_teardown(several_questions_are_open_to_a_member_and_each_has_its_own_answer, start, stop),
        cmocka_unit_test_setup_teardown(a_question_ends_at_its_time_limit, start, stop),
        cmocka_unit_test_setup_teardown(an_open_question_ends_when_its_peer_goes_and_when_we_stop, start, stop),
        cmocka_unit_test_setup_teardown(a_question_without_a_hello_is_not_answered, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_used_is_said_at_the_start, start, stop),
    };
    int failed = cmocka_run_group_tests(tests, make_world, NULL);
    nng_fini();
    return failed;
}

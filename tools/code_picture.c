/* A code in a picture is read by zbarimg, where that is installed: another process, without a shell, in bounds of time,
   memory and output. It gets the bytes in memory and the name of their format, never a file's name: in those it reads more
   than a name. It writes no file: the picture holds a secret. */
#include "code.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#define READER_SECONDS 30u
#define READER_MEMORY_BYTES (1024ull * 1024 * 1024)
#define READER_OUTPUT_BYTES_MAX 65536u
#define EXIT_NOT_THERE 127

static const char *picture_format(const struct cl_buffer *data)
{
    if (data->length >= 8 && memcmp(data->data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return "png:fd:0";
    return data->length >= 3 && memcmp(data->data, "\xff\xd8\xff", 3) == 0 ? "jpeg:fd:0" : NULL;
}

bool code_is_picture(const struct cl_buffer *data) { return picture_format(data) != NULL; }

static void run_reader(int input, int output, const char *format)
{
    const struct rlimit memory = {READER_MEMORY_BYTES, READER_MEMORY_BYTES}, seconds = {READER_SECONDS, READER_SECONDS}, files = {0, 0};
    int nothing = open("/dev/null", O_WRONLY);
    (void)setrlimit(RLIMIT_AS, &memory);
    (void)setrlimit(RLIMIT_CPU, &seconds);
    (void)setrlimit(RLIMIT_FSIZE, &files);
    (void)signal(SIGPIPE, SIG_DFL);
    if (nothing >= 0 && dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(nothing, STDERR_FILENO) >= 0)
        (void)execlp("zbarimg", "zbarimg", "--quiet", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable", format, (char *)NULL);
    _exit(EXIT_NOT_THERE);
}

/* All that it says, until its end. */
static bool hear(int from, struct cl_buffer *answer)
{
    uint64_t until_ms = time_now_ms() + READER_SECONDS * 1000ull;
    for (;;) {
        uint8_t part[4096];
        uint64_t now_ms = time_now_ms();
        struct pollfd end = {from, POLLIN, 0};
        if (now_ms >= until_ms || http_interrupted || answer->length > READER_OUTPUT_BYTES_MAX)
            return false;
        if (poll(&end, 1, (int)(until_ms - now_ms)) <= 0)
            continue;
        ssize_t got = read(from, part, sizeof part);
        enum cl_status status = got > 0 ? cl_buffer_append(answer, part, (size_t)got) : CL_OK;
        cl_wipe_bytes(part, sizeof part);
        if (got <= 0 || status != CL_OK)
            return got == 0;
    }
}

/* The picture as an open file that is on no disk; -1: none could be made. */
static int in_memory(const struct cl_buffer *picture)
{
    int file = memfd_create("picture", MFD_CLOEXEC);
    size_t written = 0;
    while (file >= 0 && written < picture->length) {
        ssize_t wrote = write(file, picture->data + written, picture->length - written);
        if (wrote <= 0 && errno != EINTR)
            break;
        written += wrote > 0 ? (size_t)wrote : 0;
    }
    if (file >= 0 && (written < picture->length || lseek(file, 0, SEEK_SET) != 0)) {
        (void)close(file);
        return -1;
    }
    return file;
}

/* The reader's exit status, or -1 where there was no orderly end. */
static int read_picture(const struct cl_buffer *picture, struct cl_buffer *answer)
{
    int from[2], state = 0, input = in_memory(picture);
    if (input < 0)
        return -1;
    if (pipe2(from, O_CLOEXEC) != 0) {
        (void)close(input);
        return -1;
    }
    pid_t child = fork();
    if (child == 0)
        run_reader(input, from[1], picture_format(picture));
    (void)close(input), (void)close(from[1]);
    bool good = child > 0 && hear(from[0], answer);
    (void)close(from[0]);
    if (child > 0 && !good)
        (void)kill(child, SIGKILL);
    while (child > 0 && waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
    return good && WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

/* The lines that are codes: moves the first to the start of text. Returns: how many there are. */
static size_t find_codes(struct cl_buffer *text)
{
    size_t count = 0, at = 0, kept_from = 0, kept_length = 0;
    while (at < text->length) {
        const uint8_t *end = memchr(text->data + at, '\n', text->length - at);
        size_t length = end == NULL ? text->length - at : (size_t)(end - text->data) - at;
        if (length >= sizeof CL_CODE_PREFIX - 1 && memcmp(text->data + at, CL_CODE_PREFIX, sizeof CL_CODE_PREFIX - 1) == 0 && count++ == 0) {
            kept_from = at;
            kept_length = length;
        }
        at += length + 1;
    }
    if (count > 0)
        memmove(text->data, text->data + kept_from, kept_length);
    text->length = kept_length;
    return count;
}

int code_from_picture(struct context *context, struct cl_buffer *data, const char *path)
{
    struct cl_buffer answer = {.secret = true};
    int state = read_picture(data, &answer), result = 0;
    size_t count = state == 0 ? find_codes(&answer) : 0;
    if (http_interrupted)
        result = output_fail(&context->output, CL_E_CANCELLED, NULL);
    else if (state == EXIT_NOT_THERE)
        result = output_fail(&context->output, CL_E_UNSUPPORTED, "Pictures are read by zbarimg, which is not installed (Debian: apt install zbar-tools). Or have the code sent as text.");
    else if (count == 0)
        result = output_fail(&context->output, CL_E_FORMAT, "No connect code was found in the picture %s. Take it again: the whole code, sharp, straight, with its white border, not too large a picture.", path);
    else if (count > 1)
        result = output_fail(&context->output, CL_E_FORMAT, "There are %zu connect codes in the picture %s; give one that shows only the code that you mean.", count, path);
    if (result == 0) {
        cl_buffer_wipe(data);
        *data = answer;
        return 0;
    }
    cl_buffer_wipe(&answer);
    return result;
}

/* Text for people, JSON for programs, and never the one where the other is asked for. */
#include "output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ROTATING 4u

void output_init(struct output *output, bool json, bool quiet)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    *output = (struct output){.json = json, .quiet = quiet, .command = "consent"};
    output->colour = !json && isatty(STDOUT_FILENO) == 1 && (no_colour == NULL || no_colour[0] == '\0') &&
                     (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static void end_progress(const struct output *output)
{
    if (output->progress_shown)
        (void)fputs("\r\033[K", stderr);
}

void output_say(const struct output *output, const char *format, ...)
{
    va_list arguments;
    if (output->quiet)
        return;
    end_progress(output);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

void output_warn(const struct output *output, const char *format, ...)
{
    va_list arguments;
    end_progress(output);
    (void)fprintf(stderr, "%s: ", output->command);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}

void output_line(const struct output *output, const char *format, ...)
{
    va_list arguments;
    if (output->json)
        return;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
}

void output_json(const struct output *output, json_t *object)
{
    if (output->lines) {
        output_json_line(output, object);
        return;
    }
    if (output->json && object != NULL && output->collected != NULL) {
        (void)json_array_append(output->collected, object);
    } else if (output->json && object != NULL) {
        json_t *with_version = json_object();
        if (with_version != NULL) {
            (void)json_object_set_new(with_version, "version", json_integer(1));
            (void)json_object_update(with_version, object);
            (void)json_dumpf(with_version, stdout, JSON_INDENT(1));
            (void)putchar('\n');
        }
        json_decref(with_version);
    }
    json_decref(object);
}

void output_json_line(const struct output *output, json_t *object)
{
    if (output->json && object != NULL) {
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        (void)putchar('\n');
        (void)fflush(stdout);
    }
    json_decref(object);
}

static void report(const struct output *output, const char *code, const char *sentence, const char *detail, int exit_status)
{
    struct output told = *output;
    told.collected = NULL; /* what fails is told at once */
    end_progress(output);
    if (output->hushed)
        return;
    if (output->json && !output->soft) {
        json_t *error = json_pack("{s:s, s:s, s:i}", "code", code, "sentence", sentence, "exit_status", exit_status);
        if (detail[0] != '\0')
            (void)json_object_set_new(error, "detail", json_string(detail));
        output_json(&told, json_pack("{s:o}", "error", error));
        return;
    }
    (void)fprintf(stderr, "%s: %s%s%s", output->command, sentence, detail[0] == '\0' ? "" : " ", detail);
    (void)fprintf(stderr, code[0] == '\0' ? "\n" : " [%s]\n", code);
}

int (output_fail)(const struct output *output, enum cl_status status, const char *format, ...)
{
    char detail[1024] = "";
    if (format != NULL) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(detail, sizeof detail, format, arguments);
        va_end(arguments);
    }
    int exit_status = output_exit_of(status);
    report(output, cl_status_code(status), cl_status_sentence(status), detail, exit_status);
    return exit_status;
}

int (output_usage)(const struct output *output, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    report(output, "CL_E_ARGUMENT", sentence, "", 2);
    return 2;
}

void output_progress(struct output *output, const char *what, uint64_t done, uint64_t total)
{
    output_progress_note(output, what, done, total, "");
}

void output_progress_note(struct output *output, const char *what, uint64_t done, uint64_t total, const char *note)
{
    enum { WIDTH = 30 };
    if (output->quiet || isatty(STDERR_FILENO) != 1)
        return;
    output->progress_shown = true;
    if (total == 0) {
        (void)fprintf(stderr, "\r%s %llu\033[K", what, (unsigned long long)done);
    } else {
        unsigned filled = (unsigned)(done * WIDTH / total);
        char bar[WIDTH + 1];
        memset(bar, '-', WIDTH);
        memset(bar, '#', filled > WIDTH ? WIDTH : filled);
        bar[WIDTH] = '\0';
        (void)fprintf(stderr, "\r%s [%s] %llu of %llu%s\033[K", what, bar, (unsigned long long)done, (unsigned long long)total, note);
    }
    (void)fflush(stderr);
}

void output_progress_end(struct output *output)
{
    end_progress(output);
    output->progress_shown = false;
}

const char *output_coloured(const struct output *output, const char *code, const char *text)
{
    static char storage[ROTATING][160];
    static unsigned next;
    if (!output->colour)
        return text;
    char *out = storage[next++ % ROTATING];
    (void)snprintf(out, sizeof storage[0], "\033[%sm%s\033[0m", code, text);
    return out;
}

int output_exit_of(enum cl_status status)
{
    if (status == CL_OK)
        return 0;
    if (status == CL_E_ARGUMENT)
        return 2;
    if (status == CL_E_NOT_FOUND || status == CL_E_NO_OBJECT)
        return 3;
    if (status == CL_E_LOCKED || status == CL_E_STORE_LOCKED || status == CL_E_DELIVERY_KEY || status == CL_E_SOURCE_HOLDER || status == CL_E_PARTY || status == CL_E_POWER || status == CL_E_AUDIENCE || status == CL_E_SIGNER)
        return 4;
    if (status == CL_E_SIGNATURE || status == CL_E_SIGNATURE_HIGH_S || status == CL_E_DELIVERY_SENDER || status == CL_E_SOURCE_READER || status == CL_E_KEY)
        return 10;
    if (status == CL_E_WITHDRAWN || status == CL_E_TERMINATED || status == CL_E_SOURCE_BACK || status == CL_E_CLOSED)
        return 11;
    if (status == CL_E_EXPIRED || status == CL_E_NOT_YET || status == CL_E_SOURCE_SPENT || status == CL_E_SUSPENDED)
        return 12;
    if (status == CL_E_PROOF || status == CL_E_FORK || status == CL_E_CHECKPOINT || status == CL_E_BODY || status == CL_E_SOURCE_PROOF || status == CL_E_BEFORE_PROOF)
        return 13;
    if (status == CL_E_QUORUM)
        return 14;
    if (status == CL_E_PENDING)
        return 15;
    if (status == CL_E_PROOF_OLD || status == CL_E_SOURCE_OLD)
        return 16;
    if (status == CL_E_NOT_ACTIVE)
        return 17;
    return status == CL_E_CANCELLED ? 130 : 1;
}

/* How many of these bytes are one character that may be shown; 0: none may. */
static size_t shown_length(const uint8_t *at, size_t left)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3 : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > left || at[0] < 0x20 || at[0] == 0x7f)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0u) != 0x80)
            return 0;
    bool control = at[0] == 0xc2 && at[1] < 0xa0; /* C1: some terminals obey them as they do ESC */
    bool turns = at[0] == 0xe2 && ((at[1] == 0x80 && (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae))) || (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));
    bool turns_arabic = at[0] == 0xd8 && at[1] == 0x9c;
    return control || turns || turns_arabic ? 0 : length;
}

bool output_harmless(const char *text, size_t length)
{
    const uint8_t *at = (const uint8_t *)text;
    for (size_t i = 0, step; i < length; i += step)
        if ((step = shown_length(at + i, length - i)) == 0)
            return false;
    return true;
}

const char *output_printable(const char *text, size_t length)
{
    static char storage[ROTATING][512];
    static unsigned next;
    char *out = storage[next++ % ROTATING];
    size_t used = 0;
    for (size_t i = 0, step; i < length && used + 4 < sizeof storage[0]; i += step) {
        step = shown_length((const uint8_t *)text + i, length - i);
        if (step > 0)
            memcpy(out + used, text + i, step);
        else
            out[used] = '?';
        used += step > 0 ? step : 1;
        step += step == 0 ? 1 : 0;
    }
    out[used] = '\0';
    return out;
}

uint64_t time_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)(now.tv_nsec / 1000000);
}

void time_text(char out[TIME_TEXT_SIZE], uint64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm parts;
    if (seconds > 253402300799ull || gmtime_r(&when, &parts) == NULL)
        (void)snprintf(out, TIME_TEXT_SIZE, "after the year 9999");
    else
        (void)strftime(out, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M UTC", &parts);
}

void time_until_text(char out[TIME_TEXT_SIZE], uint64_t seconds)
{
    time_text(out, seconds > 0 && seconds % 86400 == 0 ? seconds - 86400 : seconds);
    if (seconds > 0 && seconds % 86400 == 0 && out[0] != 'a')
        out[10] = '\0';
}

bool time_parse(uint64_t *seconds, const char *text, bool until)
{
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%d", &parts);
    bool date_only = rest != NULL && *rest == '\0';
    if (rest != NULL && (*rest == 'T' || *rest == ' ')) {
        rest = strptime(rest + 1, "%H:%M", &parts);
        if (rest != NULL && *rest == ':')
            rest = strptime(rest + 1, "%S", &parts);
    }
    if (rest == NULL || !(date_only || strcmp(rest, "Z") == 0 || strcmp(rest, " UTC") == 0))
        return false;
    int day = parts.tm_mday, month = parts.tm_mon;
    time_t when = timegm(&parts);
    if (when < 0 || parts.tm_mday != day || parts.tm_mon != month)
        return false; /* no such day, as 30 February */
    *seconds = (uint64_t)when + (date_only && until ? 86400 : 0);
    return true;
}

bool duration_parse(uint64_t *milliseconds, const char *text)
{
    char *unit = NULL;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long long number = strtoull(text, &unit, 10);
    uint64_t factor = strcmp(unit, "s") == 0 ? 1 : strcmp(unit, "m") == 0 ? 60 : strcmp(unit, "h") == 0 ? 3600 : strcmp(unit, "d") == 0 ? 86400 : 0;
    if (factor == 0 || number > 100000000ull)
        return false;
    *milliseconds = number * factor * 1000u;
    return true;
}

void age_text(char out[TIME_TEXT_SIZE], uint64_t seconds)
{
    static const struct { uint64_t seconds; const char *word; } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    size_t i = 0;
    while (i < 3 && seconds < (i == 0 ? 2 : 1) * units[i].seconds)
        i++;
    uint64_t number = seconds / units[i].seconds;
    (void)snprintf(out, TIME_TEXT_SIZE, "%llu %s%s", (unsigned long long)number, units[i].word, number == 1 ? "" : "s");
}

bool number_parse(uint64_t *number, const char *text, uint64_t maximum)
{
    uint64_t sum = 0;
    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > maximum || sum > (maximum - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *number = sum;
    return *text == '\0';
}

bool slots_parse(uint64_t *slots, const char *text)
{
    uint64_t set = 0;
    for (;;) {
        char *end = NULL;
        if (*text < '0' || *text > '9')
            return false;
        unsigned long number = strtoul(text, &end, 10);
        if (number > 63 || end - text > 2)
            return false;
        set |= 1ull << number;
        if (*end == '\0')
            break;
        if (*end != ',')
            return false;
        text = end + 1;
        while (*text == ' ')
            text++;
    }
    *slots = set;
    return true;
}

const char *slots_text(uint64_t slots)
{
    static char storage[ROTATING][256];
    static unsigned next;
    char *out = storage[next++ % ROTATING];
    size_t used = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < 64; i++)
        if ((slots >> i & 1u) != 0)
            used += (size_t)snprintf(out + used, sizeof storage[0] - used, "%s%u", used == 0 ? "" : ", ", i);
    if (used == 0)
        (void)snprintf(out, sizeof storage[0], "none");
    return out;
}

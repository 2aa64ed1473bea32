/* Formats log lines in a fixed buffer and hands each to the kernel in one call. */
#include "logging.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum log_level level_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    level_max = level;
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR: return "error";
    case LOG_LEVEL_WARNING: return "warning";
    case LOG_LEVEL_INFO: return "info";
    case LOG_LEVEL_DEBUG: return "debug";
    }
    return "unknown";
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level > level_max) return;
    char line[1024];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    int used = snprintf(line, sizeof line, "time=%s.%03ldZ level=%s event=%s%s", stamp, now.tv_nsec / 1000000,
                        level_name(level), event, format[0] != '\0' ? " " : "");
    size_t length = used > 0 ? (size_t)used : 0;
    if (length >= sizeof line) length = sizeof line - 1;
    va_list arguments;
    va_start(arguments, format);
    used = vsnprintf(line + length, sizeof line - length, format, arguments);
    va_end(arguments);
    if (used > 0) length += (size_t)used;
    if (length > sizeof line - 2) length = sizeof line - 2; /* an overlong line is cut, never split */
    line[length++] = '\n';
    /* A log that cannot be written has nowhere to complain to. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
}

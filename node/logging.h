/* The node's log: one line of key=value pairs on standard error. Ids but never contents; never a client's address. */
#ifndef NODE_LOGGING_H
#define NODE_LOGGING_H

#include "consent/status.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING = 1, LOG_LEVEL_INFO = 2, LOG_LEVEL_DEBUG = 3 };

/* Lines above this level are left out. Set once, before threads start. */
void log_set_level(enum log_level level);
/* Writes `time=… level=… event=EVENT` and the formatted pairs after it; one write call, so lines never mix. */
CL_PRINTF(3, 4) void log_line(enum log_level level, const char *event, const char *format, ...);

#endif

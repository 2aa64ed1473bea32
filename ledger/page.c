/* See page.h. */
#include "page.h"

#include "consent/record.h"

#include <stdarg.h>
#include <stdio.h>

void cl_page_put(struct cl_page *page, const void *data, size_t length)
{
    if (page->status == CL_OK && length > 0)
        page->status = cl_buffer_append(page->out, data, length);
}

void cl_page_say(struct cl_page *page, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length > 0)
        cl_page_put(page, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* The list of `consent subscribe --from`: TERMS, one a line, what follows a comma or a space is the reader's own. Read line
   by line: a list of a million lines needs no more memory than the marks that find a line which stands there twice. */
#include "bulk_parts.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_SIZE 4096u

/* One line without its end. False at the end of the file, or at a line that does not fit (too_long). */
static bool read_line(struct bulk_list *list, char line[LINE_SIZE], size_t *length)
{
    if (fgets(line, LINE_SIZE, list->file) == NULL)
        return false;
    *length = strlen(line);
    list->line++;
    list->too_long = (*length == 0 || line[*length - 1] != '\n') && !feof(list->file);
    *length = strcspn(line, "\r\n");
    line[*length] = '\0';
    return !list->too_long;
}

/* The first word, where the line has one: an id, or something that is none. */
static bool first_word(char label[LABEL_SIZE], const char *line)
{
    size_t length = strcspn(line, ",; \t");
    if (length == 0 || line[0] == '#')
        return false;
    (void)snprintf(label, LABEL_SIZE, "%.*s", length < LABEL_SIZE ? (int)length : 0, line);
    return true;
}

/* False where it was there before. Marks are the first 16 bytes of ids, which are hashes. */
static bool mark(struct bulk_list *list, const uint8_t id32[32])
{
    static const uint8_t empty[16];
    size_t at = 0;
    memcpy(&at, id32 + 16, sizeof at);
    for (at %= list->seen_size; memcmp(list->seen[at], empty, 16) != 0; at = (at + 1) % list->seen_size)
        if (memcmp(list->seen[at], id32, 16) == 0)
            return false;
    memcpy(list->seen[at], id32, 16);
    return true;
}

bool list_next(struct bulk_list *list, struct bulk_item *item)
{
    char line[LINE_SIZE];
    size_t length;
    struct cl_object_id id;
    *item = (struct bulk_item){.why = CL_OK};
    while (list->line < list->line_count && read_line(list, line, &length)) { /* what is put behind it meanwhile is of another list */
        if (!first_word(item->label, line))
            continue;
        bool good = id_parse(&id, item->label);
        if (!good && list->line == 1)
            continue; /* a heading */
        if (!good) {
            (void)snprintf(item->label, sizeof item->label, "line-%zu", list->line);
            item->why = CL_E_FORMAT;
            return true;
        }
        memcpy(item->terms, id.bytes, 32);
        (void)snprintf(item->label, sizeof item->label, "%s", id_text(id.bytes));
        if (!mark(list, id.bytes))
            item->why = CL_E_EXISTS;
        return true;
    }
    return false;
}

static int count_lines(struct bulk *bulk)
{
    struct bulk_list *list = &bulk->list;
    char line[LINE_SIZE + 32], label[LABEL_SIZE];
    struct cl_object_id id;
    size_t length, usable = 0;
    while (!http_interrupted && read_line(list, line + 32, &length)) {
        usable += first_word(label, line + 32) && id_parse(&id, label) ? 1 : 0;
        memcpy(line, list->digest.bytes, 32);
        cl_hash_bytes(&list->digest, line, 32 + length);
        if (list->line > LIST_LINES_MAX)
            return output_fail(&bulk->context->output, CL_E_BOUND, "A list has at most %u lines; split it.", LIST_LINES_MAX);
    }
    if (http_interrupted)
        return output_fail(&bulk->context->output, CL_E_CANCELLED, NULL);
    if (list->too_long)
        return output_fail(&bulk->context->output, CL_E_FORMAT, "Line %zu of %s has a zero byte or more than %u bytes.", list->line, bulk->path, LINE_SIZE - 2);
    if (ferror(list->file))
        return output_fail(&bulk->context->output, CL_E_IO, "%s: %s", bulk->path, strerror(errno));
    if (usable == 0)
        return output_fail(&bulk->context->output, CL_E_FORMAT, "No line of %s begins with the id of TERMS (64 hex digits).", bulk->path);
    list->line_count = list->line;
    list->line = 0;
    list->seen_size = 2 * usable + 1;
    list->seen = calloc(list->seen_size, sizeof *list->seen);
    rewind(list->file);
    return list->seen == NULL ? output_fail(&bulk->context->output, CL_E_MEMORY, NULL) : 0;
}

int list_open(struct bulk *bulk)
{
    bulk->list.file = fopen(bulk->path, "re");
    if (bulk->list.file == NULL)
        return output_fail(&bulk->context->output, errno == ENOENT ? CL_E_NOT_FOUND : CL_E_IO, "%s: %s", bulk->path, strerror(errno));
    return count_lines(bulk);
}

void list_close(struct bulk_list *list)
{
    if (list->file != NULL)
        (void)fclose(list->file);
    free(list->seen);
}

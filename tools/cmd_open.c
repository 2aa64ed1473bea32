/* consent open: sealed parts in, what they hold out. The parts stay as they are, so that one which comes late completes a
   delivery; what was opened is remembered in the wallet's folder, so that nobody makes it arrive twice. */
#include "opening.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096u

static void others_add(struct opening *opening, const uint8_t id16[16])
{
    char hex[33];
    cl_hex_encode(hex, id16, 16);
    for (size_t i = 0; i < opening->other_count; i++)
        if (strcmp(opening->others[i], hex) == 0)
            return;
    if (opening->other_count < OTHERS_MAX)
        memcpy(opening->others[opening->other_count++], hex, sizeof hex);
}

/* One file. Returns: an exit status that ends all; *status: why this part is not taken. */
static int part_take(struct opening *opening, const char *path, enum cl_status *status)
{
    const struct cl_delivery *delivery = &opening->part.delivery, *begun = cl_delivery_assembly_of(opening->assembly);
    opening->sealed.length = 0;
    *status = cl_file_read(&opening->sealed, path, CL_DELIVERY_SEALED_MAX);
    if (*status == CL_E_BOUND)
        *status = CL_E_FORMAT;
    if (*status == CL_OK)
        *status = opening_open(opening);
    if (*status != CL_OK)
        return 0;
    if ((opening->one_wanted && memcmp(delivery->id16, opening->wanted16, 16) != 0) || (begun != NULL && memcmp(delivery->id16, begun->id16, 16) != 0)) {
        others_add(opening, delivery->id16);
        return 0;
    }
    if (begun != NULL && memcmp(delivery->agreement.bytes, begun->agreement.bytes, 32) != 0) {
        *status = CL_E_DELIVERY_PARTS;
        return 0;
    }
    int result = opening_check(opening, status);
    if (result != 0)
        return result;
    if (*status == CL_OK)
        *status = cl_delivery_assembly_add(opening->assembly, &opening->part);
    return 0;
}

static int wanted(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name), end = sizeof DELIVERY_FILE_END - 1;
    return entry->d_name[0] != '.' && length > end && strcmp(entry->d_name + length - end, DELIVERY_FILE_END) == 0;
}

/* A part that is refused does not keep the others from being opened. */
static int part_of_folder(struct opening *opening, const char *folder, const char *name)
{
    char path[4096];
    enum cl_status status = CL_OK;
    (void)snprintf(path, sizeof path, "%.3500s/%.500s", folder, name);
    int result = part_take(opening, path, &status);
    if (result == 0 && status != CL_OK) {
        output_warn(&opening->context->output, "%s is left out: %s (%s)", output_printable(name, strlen(name)), cl_status_sentence(status), cl_status_code(status));
        if (opening->first_refusal == CL_OK)
            opening->first_refusal = status;
    }
    return result;
}

static int folder_take(struct opening *opening, const char *folder)
{
    struct context *context = opening->context;
    struct dirent **names = NULL;
    int count = scandir(folder, &names, wanted, alphasort), result = 0;
    if (count < 0)
        return output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
    if ((unsigned)count > FILES_MAX)
        result = output_fail(&context->output, CL_E_BOUND, "%s has more than %u parts; move those of one delivery to a folder of their own.", folder, FILES_MAX);
    else if (count == 0)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "%s has no files *" DELIVERY_FILE_END ".", folder);
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = part_of_folder(opening, folder, names[i]->d_name);
        if (result == 0 && count > 1)
            output_progress(&context->output, "opened", (uint64_t)i + 1, (uint64_t)count);
        free(names[i]);
    }
    free(names);
    output_progress_end(&context->output);
    if (result == 0 && cl_delivery_assembly_of(opening->assembly) == NULL)
        result = opening->first_refusal != CL_OK ? output_fail(&context->output, opening->first_refusal, "Nothing was opened.") : output_fail(&context->output, CL_E_NOT_FOUND, "There are no parts of that delivery.");
    if (result == 0 && opening->other_count > 0 && !opening->one_wanted) {
        char id[33];
        cl_hex_encode(id, cl_delivery_assembly_of(opening->assembly)->id16, 16);
        result = output_usage(&context->output, "The folder has parts of several deliveries; say which with --delivery: %s, %s%s", id, opening->others[0], opening->other_count > 1 ? ", …" : "");
    }
    return result;
}

static int file_take(struct opening *opening, const char *path)
{
    enum cl_status status = CL_OK;
    int result = part_take(opening, path, &status);
    if (result == 0 && status != CL_OK)
        result = output_fail(&opening->context->output, status, "%s: nothing was opened.%s", path, status == CL_E_IO ? strerror(errno) : "");
    if (result == 0 && cl_delivery_assembly_of(opening->assembly) == NULL)
        result = output_fail(&opening->context->output, CL_E_NOT_FOUND, "It is a part of delivery %s.", opening->others[0]);
    return result;
}

/* ---- handing it over */

static int hand_over(struct opening *opening, const char *path)
{
    struct context *context = opening->context;
    const struct cl_delivery *delivery = cl_delivery_assembly_of(opening->assembly);
    struct cl_view content;
    uint32_t first = 0, missing = cl_delivery_assembly_missing(opening->assembly, &first);
    bool acknowledges = delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT, to_file = path != NULL && strcmp(path, "-") != 0;
    enum cl_status status = CL_OK;
    int result = opening_opened_check(opening, delivery, &status);
    bool before = status != CL_OK;
    if (result == 0 && before && (acknowledges || !flag(context, "--again")))
        result = output_fail(&context->output, status, "%s", acknowledges ? "Nothing is changed by it." : "If it was you, and you want it once more, say --again.");
    if (result == 0 && missing > 0)
        result = output_fail(&context->output, CL_E_PENDING, "%u of %u parts are missing (part %u first). Put them beside the others, then open the folder again.", missing, delivery->part_count, first + 1);
    status = result == 0 ? cl_delivery_assembly_content(&content, opening->assembly) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0 && !acknowledges && !to_file && (context->output.json || isatty(STDOUT_FILENO) == 1))
        result = output_usage(&context->output, "Where to? Give a file with -o; what others send is not shown on a terminal.");
    if (result == 0 && !acknowledges)
        result = file_write(context, to_file ? path : "-", content.data, content.length, true);
    if (result == 0 && !before)
        acknowledge(opening, delivery);
    if (result == 0)
        result = opening_opened_add(opening, delivery);
    if (result == 0)
        opening_say(opening, delivery, to_file && !acknowledges ? path : NULL);
    if (result == 0)
        acknowledge_send(opening);
    return result;
}

int run_open(struct context *context)
{
    struct opening opening = {.context = context, .opened = {.secret = true}};
    const char *path = positional(context, 0), *id = option(context, "--delivery");
    struct stat about;
    if (path == NULL)
        return output_usage(&context->output, "Which file or folder?");
    opening.one_wanted = id != NULL;
    if (id != NULL && !cl_hex_decode(opening.wanted16, 16, id))
        return output_usage(&context->output, "A delivery's id has 32 digits.");
    int result = network_open(context);
    if (result != 0)
        return result;
    enum cl_status status = cl_delivery_assembly_new(&opening.assembly);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    result = stat(path, &about) == 0 && S_ISDIR(about.st_mode) ? folder_take(&opening, path) : file_take(&opening, path);
    if (result == 0)
        result = hand_over(&opening, option(context, "--output"));
    opening_forget(&opening);
    cl_delivery_assembly_free(opening.assembly);
    cl_buffer_deinit(&opening.sealed);
    cl_buffer_wipe(&opening.opened);
    return result;
}

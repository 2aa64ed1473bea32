/* The only file that knows libqrencode and libpng. */
#include "qr.h"

#include "consent/record.h"
#include "consent/wallet.h"

#include <png.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET 4u             /* modules around it: ISO/IEC 18004 asks for four */
#define PICTURE_PIXELS 900u  /* about as wide as a picture is made */
#define MODULE_PIXELS_MIN 4u /* less is hard to read for a camera */

enum cl_status qr_new(struct qr *out, const char *text, size_t length)
{
    *out = (struct qr){0};
    if (length > QR_TEXT_MAX)
        return CL_E_BOUND;
    QRinput *input = QRinput_new2(0, QR_ECLEVEL_L);
    if (input == NULL)
        return CL_E_MEMORY;
    QRcode *code = QRinput_append(input, QR_MODE_AN, (int)length, (const unsigned char *)text) == 0 ? QRcode_encodeInput(input) : NULL;
    QRinput_free(input);
    if (code == NULL)
        return CL_E_ARGUMENT;
    out->width = (size_t)code->width;
    out->dark = malloc(out->width * out->width);
    for (size_t i = 0; out->dark != NULL && i < out->width * out->width; i++)
        out->dark[i] = code->data[i] & 1;
    cl_wipe_bytes(code->data, out->width * out->width);
    QRcode_free(code);
    return out->dark == NULL ? CL_E_MEMORY : CL_OK;
}

void qr_deinit(struct qr *qr)
{
    if (qr->dark != NULL)
        cl_wipe_bytes(qr->dark, qr->width * qr->width);
    free(qr->dark);
    *qr = (struct qr){0};
}

/* With the quiet zone: x and y from 0 to width + 2 QUIET - 1, and beyond all is light. */
static bool dark_at(const struct qr *qr, size_t x, size_t y)
{
    return x >= QUIET && y >= QUIET && x < qr->width + QUIET && y < qr->width + QUIET && qr->dark[(y - QUIET) * qr->width + x - QUIET] != 0;
}

enum cl_status qr_png(struct cl_buffer *out, const struct qr *qr)
{
    size_t modules = qr->width + 2 * QUIET, scale = PICTURE_PIXELS / modules, size = 0;
    if (scale < MODULE_PIXELS_MIN)
        scale = MODULE_PIXELS_MIN;
    size_t side = modules * scale;
    png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)side, .height = (png_uint_32)side, .format = PNG_FORMAT_GRAY};
    uint8_t *pixels = malloc(side * side), *file = NULL;
    enum cl_status status = CL_E_MEMORY;
    if (pixels == NULL)
        return status;
    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++)
            pixels[y * side + x] = dark_at(qr, x / scale, y / scale) ? 0 : 255;
    if (png_image_write_to_memory(&image, NULL, &size, 0, pixels, 0, NULL) != 0)
        file = malloc(size);
    if (file != NULL && png_image_write_to_memory(&image, file, &size, 0, pixels, 0, NULL) != 0)
        status = cl_buffer_append(out, file, size);
    cl_wipe_bytes(pixels, side * side);
    if (file != NULL)
        cl_wipe_bytes(file, size);
    free(pixels);
    free(file);
    return status;
}

enum cl_status qr_svg(struct cl_buffer *out, const struct qr *qr)
{
    size_t modules = qr->width + 2 * QUIET;
    char piece[256];
    int length = snprintf(piece, sizeof piece, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %zu %zu\" shape-rendering=\"crispEdges\"><rect width=\"%zu\" height=\"%zu\" fill=\"#fff\"/><path d=\"", modules, modules, modules, modules);
    enum cl_status status = cl_buffer_append(out, piece, (size_t)length);
    for (size_t y = 0; y < modules; y++)
        for (size_t x = 0, run = 1; x < modules && status == CL_OK; x += run) {
            for (run = 1; dark_at(qr, x, y) && dark_at(qr, x + run, y); run++) {
            }
            length = dark_at(qr, x, y) ? snprintf(piece, sizeof piece, "M%zu %zuh%zuv1h-%zuz", x, y, run, run) : 0;
            status = cl_buffer_append(out, piece, (size_t)length);
        }
    static const char end[] = "\"/></svg>\n";
    return status == CL_OK ? cl_buffer_append(out, end, sizeof end - 1) : status;
}

size_t qr_terminal_columns(const struct qr *qr) { return qr->width + 2 * QUIET; }

enum cl_status qr_terminal(struct cl_buffer *out, const struct qr *qr, bool coloured)
{
    static const char *const block[2][2] = {{"\u2588", "\u2580"}, {"\u2584", " "}}; /* [upper is dark][lower is dark] */
    static const char begin[] = "\033[97;40m", end[] = "\033[0m";
    size_t modules = qr->width + 2 * QUIET;
    enum cl_status status = CL_OK;
    for (size_t y = 0; y < modules && status == CL_OK; y += 2) {
        if (coloured)
            status = cl_buffer_append(out, begin, sizeof begin - 1);
        for (size_t x = 0; x < modules && status == CL_OK; x++) {
            const char *piece = block[dark_at(qr, x, y)][dark_at(qr, x, y + 1)];
            status = cl_buffer_append(out, piece, strlen(piece));
        }
        if (coloured && status == CL_OK)
            status = cl_buffer_append(out, end, sizeof end - 1);
        if (status == CL_OK)
            status = cl_buffer_append(out, "\n", 1);
    }
    return status;
}

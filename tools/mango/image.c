/* image.c - pictures out: PNG and PPM files, enlarging, contact sheets.
 * SPDX-License-Identifier: MIT */
#include "image.h"
#include <stdlib.h>

#ifndef MANGO_NO_STB
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#include <stb/stb_easy_font.h>
#include <stb/stb_image_write.h>
#endif

/* ---- files ---------------------------------------------------------------------- */

int image_name(const char *path, char *out, mango_idx cap)
{
    mgi_copy(out, cap, path);
#ifdef MANGO_NO_STB
    const size_t n = strlen(out);
    if (n >= 4 && strcmp(out + n - 4, ".png") == 0) {
        memcpy(out + n - 4, ".ppm", 4);
        return 1;
    }
#endif
    return 0;
}

static int image_is_ppm(const char *path)
{
    const size_t n = strlen(path);
    return n >= 4 && strcmp(path + n - 4, ".ppm") == 0;
}

static void image_ppm(mgi_str *s, mango_idx W, mango_idx H, const unsigned char *rgb)
{
    mgi_str_printf(s, "P6\n%td %td\n255\n", W, H);
    mgi_str_put(s, (const char *)rgb, W * H * 3);
}

#ifndef MANGO_NO_STB

const char *image_encode(mgi_str *s, mango_idx W, mango_idx H, const unsigned char *rgb)
{
    int n = 0;
    unsigned char *png = stbi_write_png_to_mem(rgb, (int)W * 3, (int)W, (int)H, 3, &n);
    if (png)
        mgi_str_put(s, (const char *)png, n);
    else
        s->bad = 1;
    free(png);
    return "image/png";
}

#else

static void image_le(mgi_str *s, int bytes, uint32_t v)
{
    for (int i = 0; i < bytes; i++) {
        const char c = (char)(v >> 8 * i & 0xff);
        mgi_str_put(s, &c, 1);
    }
}

/* BMP: 24 bits, rows from the bottom, padded to 4 bytes. */
const char *image_encode(mgi_str *s, mango_idx W, mango_idx H, const unsigned char *rgb)
{
    const mango_idx pad = (4 - W * 3 % 4) % 4;
    const uint32_t size = (uint32_t)((W * 3 + pad) * H);
    mgi_str_put(s, "BM", 2);
    const uint32_t head[] = {54 + size, 0, 54, 40, (uint32_t)W, (uint32_t)H};
    for (int i = 0; i < 6; i++)
        image_le(s, 4, head[i]);
    image_le(s, 2, 1);
    image_le(s, 2, 24);
    const uint32_t tail[] = {0, size, 2835, 2835, 0, 0};
    for (int i = 0; i < 6; i++)
        image_le(s, 4, tail[i]);
    for (mango_idx y = H - 1; y >= 0; y--) {
        for (mango_idx x = 0; x < W; x++)
            for (int c = 2; c >= 0; c--)
                mgi_str_put(s, (const char *)&rgb[(y * W + x) * 3 + c], 1);
        mgi_str_put(s, "\0\0\0", pad);
    }
    return "image/bmp";
}

#endif

mango_status image_save(const char *path, mango_idx W, mango_idx H,
                        const unsigned char *rgb, mango_err *err)
{
    char name[4096];
    mgi_str s;
    mango_status st;
    if (strlen(path) >= sizeof name)
        return mgi_fail(err, MANGO_E_LIMIT, "%.60s...: a file name of over 4095 bytes",
                        path);
    image_name(path, name, (mango_idx)sizeof name);
    mgi_str_init(&s, NULL);
    if (image_is_ppm(name))
        image_ppm(&s, W, H, rgb);
    else
        image_encode(&s, W, H, rgb);
    st = s.bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", name)
               : mgi_file_write(name, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

/* ---- pixels ----------------------------------------------------------------------- */

void image_from_planes(mango_idx C, mango_idx H, mango_idx W, const float *x,
                       unsigned char *rgb)
{
    const mango_idx plane = C == 1 ? 0 : H * W;
    for (mango_idx i = 0; i < H * W; i++) {
        for (mango_idx c = 0; c < 3; c++) {
            const float v = x[c * plane + i];
            rgb[i * 3 + c] = (unsigned char)(!(v > 0.0f) ? 0.0f
                                             : v >= 1.0f ? 255.0f
                                                         : v * 255.0f + 0.5f);
        }
    }
}

/* Copy a picture, each pixel k x k, to (x0,y0) of a canvas that is `width` wide. */
static void image_blit(mango_idx W, mango_idx H, mango_idx k, const unsigned char *rgb,
                       mango_idx width, mango_idx x0, mango_idx y0, unsigned char *canvas)
{
    for (mango_idx y = 0; y < H * k; y++) {
        unsigned char *row = canvas + ((y0 + y) * width + x0) * 3;
        for (mango_idx x = 0; x < W * k; x++)
            memcpy(row + x * 3, rgb + (y / k * W + x / k) * 3, 3);
    }
}

void image_scale(mango_idx W, mango_idx H, mango_idx k, const unsigned char *rgb,
                 unsigned char *out)
{
    image_blit(W, H, k, rgb, W * k, 0, 0, out);
}

/* ---- contact sheets ------------------------------------------------------------------ */

#define IMAGE_LINE 12 /* height of a line of captions */

#ifndef MANGO_NO_STB

/* Draw a line of text, cut to `room` pixels, at (x0,y0) of the canvas. The font
 * comes as quads that are rectangles: 4 corners of {float x, y, z; 4 bytes}. */
static void image_text(const char *text, mango_idx room, mango_idx width, mango_idx x0,
                       mango_idx y0, unsigned char *canvas)
{
    static const unsigned char ink[3] = {222, 222, 226};
    char line[128];
    float corner[128 * 24][4];
    mgi_copy(line, (mango_idx)sizeof line, text);
    for (char *c = line; *c; c++)
        *c = *c >= 32 && *c < 127 ? *c : '?';
    while (line[0] && stb_easy_font_width(line) > room)
        line[strlen(line) - 1] = '\0';
    const int quads =
        stb_easy_font_print(0.0f, 0.0f, line, NULL, corner, (int)sizeof corner);
    for (int q = 0; q < quads; q++) {
        const float *a = corner[4 * q], *b = corner[4 * q + 2];
        for (mango_idx y = (mango_idx)a[1]; y < (mango_idx)b[1]; y++)
            for (mango_idx x = (mango_idx)a[0]; x < (mango_idx)b[0]; x++)
                if (x >= 0 && x < room && y >= 0 && y < IMAGE_LINE)
                    memcpy(canvas + ((y0 + y) * width + x0 + x) * 3, ink, 3);
    }
}

#else

static void image_text(const char *text, mango_idx room, mango_idx width, mango_idx x0,
                       mango_idx y0, unsigned char *canvas)
{
    (void)text, (void)room, (void)width, (void)x0, (void)y0, (void)canvas;
}

#endif

mango_status image_sheet(const image_sheet_options *o, mango_idx n, mango_idx W,
                         mango_idx H, const unsigned char *rgb, unsigned char **out,
                         mango_idx *out_W, mango_idx *out_H)
{
    const mango_idx columns = MGI_MAX(1, MGI_MIN(o->columns, n)),
                    rows = (n + columns - 1) / columns;
    const mango_idx k = MGI_MAX(o->scale, 1), gap = MGI_MAX(o->gap, 0);
    const mango_idx dx = W * k + gap, dy = H * k + gap + (o->captions ? IMAGE_LINE : 0);
    mango_idx size;
    *out_W = columns * dx + gap;
    *out_H = rows * dy + gap;
    *out = NULL;
    if (n < 1 || !mgi_prod(3, (mango_idx[]){*out_W, *out_H, 3}, &size))
        return MANGO_E_ARG;
    *out = malloc((size_t)size);
    if (!*out)
        return MANGO_E_MEM;
    memset(*out, 24, (size_t)size);
    for (mango_idx i = 0; i < n; i++) {
        const mango_idx x = gap + i % columns * dx, y = gap + i / columns * dy;
        image_blit(W, H, k, rgb + i * W * H * 3, *out_W, x, y, *out);
        if (o->captions && o->captions[i])
            image_text(o->captions[i], W * k, *out_W, x, y + H * k + 2, *out);
    }
    return MANGO_OK;
}

#undef IMAGE_LINE

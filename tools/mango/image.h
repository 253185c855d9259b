/* image.h - pictures of the command: decoding for the library, PNG files,
 * contact sheets. A picture is (H,W,3), 8 bits a channel, rows from the top.
 *
 * PNG and JPEG come from the stb headers. Built with MANGO_NO_STB, only BMP, PPM
 * and PGM are read, and PPM is written where PNG is asked for.
 * SPDX-License-Identifier: MIT */
#ifndef IMAGE_H
#define IMAGE_H

#include "../../src/base/text.h"
#include "../../src/data/data.h"

/* image_codecs - what the library is given to inflate and to decode PNG (all kinds; of
 * 16 bits the upper 8), JPEG (baseline, progressive; grey, RGB, CMYK), BMP, PPM and PGM.
 * Alpha is dropped, an orientation noted in EXIF is not followed, as Pillow's
 * convert("RGB") does. Files that are cut short, PNGs with a wrong CRC and JPEGs of
 * more than 64 scans are refused with the reason. codecs.c */
const mango_codecs *image_codecs(void);
/* The picture callback for what needs no stb: PPM and PGM (P5, P6, maxval 255), BMP of
 * 1, 4, 8, 24 or 32 bits, not compressed. 0: done, -1: refused, 1: another format.
 * image_foreign - what a file that is no picture seems to be. codecs_plain.c */
int image_plain(const unsigned char *in, mango_idx n, mango_idx *W, mango_idx *H,
                unsigned char *rgb, mango_err *err);
const char *image_foreign(const unsigned char *in, mango_idx n);

/* image_name - the file that image_save writes for `path`: itself, or with .png
 * replaced by .ppm when this build has no PNG. Returns 1 when it was replaced. */
int image_name(const char *path, char *out, mango_idx cap);
/* image_save - write a picture as PNG (or PPM, by the name above), atomically. */
mango_status image_save(const char *path, mango_idx W, mango_idx H,
                        const unsigned char *rgb, mango_err *err);
/* image_encode - append a picture that browsers show to s: PNG, or BMP without
 * stb. Returns its media type, "image/png" or "image/bmp". */
const char *image_encode(mgi_str *s, mango_idx W, mango_idx H, const unsigned char *rgb);

/* image_from_planes - (C,H,W) floats in [0,1] to (H,W,3): round(255 x), clamped,
 * NaN black; C is 3, or 1 for grey. */
void image_from_planes(mango_idx C, mango_idx H, mango_idx W, const float *x,
                       unsigned char *rgb);
/* image_scale - every pixel becomes k x k; out is (k*H,k*W,3). */
void image_scale(mango_idx W, mango_idx H, mango_idx k, const unsigned char *rgb,
                 unsigned char *out);

/* image_sheet - a contact sheet: n pictures of one size in rows of `columns`,
 * on a dark ground, each with its caption below (without stb: none).
 *   rgb       in  (n,H,W,3)
 *   captions  in  (n) ASCII texts, cut to fit; NULL, or NULL entries: none
 * The size of the sheet is set even when out of memory. Frees with free(). */
typedef struct image_sheet_options {
    mango_idx columns, scale, gap;
    const char *const *captions;
} image_sheet_options;
mango_status image_sheet(const image_sheet_options *o, mango_idx n, mango_idx W,
                         mango_idx H, const unsigned char *rgb, unsigned char **out,
                         mango_idx *out_W, mango_idx *out_H);

#endif

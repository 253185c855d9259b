/* codecs.c - the decoders that the library is given: inflate and pictures.
 *
 * stb is lenient with damaged files: it fills what is missing with zeros and
 * skips checksums. So a file is walked from end to end before it is decoded,
 * and memory asked for by the decoder is capped.
 * SPDX-License-Identifier: MIT */
#include "image.h"
#include "../../src/base/hash.h"
#include <stdlib.h>

#define CODECS_SIDE 16384 /* where decoders give up; the library's own limit is lower */

/* ---- PPM and PGM: ours in every build ------------------------------------------ */

/* The next number of a PNM head: digits after white space and #-comments. -1: none. */
static mango_idx codecs_pnm_number(const unsigned char *p, mango_idx n, mango_idx *at)
{
    mango_idx v = 0, i = *at;
    while (i < n && (p[i] == ' ' || (p[i] >= 9 && p[i] <= 13) || p[i] == '#')) {
        if (p[i] == '#')
            while (i < n && p[i] != '\n')
                i++;
        else
            i++;
    }
    if (i >= n || p[i] < '0' || p[i] > '9')
        return -1;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        v = v * 10 + (p[i] - '0');
        if (v > 65535)
            return -1;
    }
    *at = i;
    return v;
}

int image_pnm(const unsigned char *p, mango_idx n, mango_idx *W, mango_idx *H,
              unsigned char *rgb)
{
    mango_idx at = 2;
    if (n < 2 || p[0] != 'P' || (p[1] != '5' && p[1] != '6'))
        return -1;
    const mango_idx channels = p[1] == '6' ? 3 : 1;
    const mango_idx w = codecs_pnm_number(p, n, &at), h = codecs_pnm_number(p, n, &at);
    if (w < 1 || h < 1 || codecs_pnm_number(p, n, &at) != 255)
        return -1;
    at++; /* one white space */
    if (n - at < w * h * channels)
        return -1;
    *W = w;
    *H = h;
    for (mango_idx i = 0; rgb && i < w * h * 3; i++)
        rgb[i] = p[at + (channels == 3 ? i : i / 3)];
    return 0;
}

#ifdef MANGO_NO_STB

static int codecs_picture(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                          mango_idx *H, unsigned char *rgb)
{
    (void)ud;
    return image_pnm(in, n, W, H, rgb);
}

const mango_codecs *image_codecs(void)
{
    static const mango_codecs codecs = {NULL, codecs_picture, NULL};
    return &codecs;
}

#else

/* No block that a picture of CODECS_SIDE needs is larger (progressive JPEG). */
#define CODECS_BLOCK ((size_t)256 << 20)
static void *codecs_malloc(size_t n)
{
    return n <= CODECS_BLOCK ? malloc(n) : NULL;
}
static void *codecs_realloc(void *p, size_t n)
{
    return n <= CODECS_BLOCK ? realloc(p, n) : NULL;
}

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS CODECS_SIDE
#define STBI_MALLOC(n) codecs_malloc(n)
#define STBI_REALLOC(p, n) codecs_realloc(p, n)
#define STBI_FREE(p) free(p)
#include <stb/stb_image.h>

static uint32_t codecs_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static uint32_t codecs_le32(const unsigned char *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* A PNG of at most 8 bits whose chunks lie within the file, have the right CRC
 * and end with IEND. */
static int codecs_png_whole(const unsigned char *p, mango_idx n)
{
    static const unsigned char sign[8] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    if (n < 33 || memcmp(p, sign, 8) != 0 || memcmp(p + 12, "IHDR", 4) != 0 || p[24] > 8)
        return 0;
    for (mango_idx at = 8; n - at >= 12;) {
        const uint32_t len = codecs_be32(p + at);
        if (len > 0x7fffffffu || (mango_idx)len > n - at - 12)
            return 0;
        if (mgi_crc32(0, p + at + 4, (mango_idx)len + 4) != codecs_be32(p + at + 8 + len))
            return 0;
        if (memcmp(p + at + 4, "IEND", 4) == 0)
            return 1;
        at += 12 + (mango_idx)len;
    }
    return 0;
}

/* The Huffman tables of a segment of `len` bytes: 256 codes each at most. */
static int codecs_huffman_sane(const unsigned char *p, mango_idx len)
{
    while (len >= 17) {
        mango_idx codes = 0;
        for (int i = 1; i <= 16; i++)
            codes += p[i];
        if (codes > 256 || codes > len - 17)
            return 0;
        p += 17 + codes;
        len -= 17 + codes;
    }
    return len == 0;
}

/* A JPEG whose segments lie within the file and whose scans reach an end-of-image
 * marker. Within entropy-coded data FF is always followed by 0 or a restart. */
static int codecs_jpeg_whole(const unsigned char *p, mango_idx n)
{
    mango_idx at = 2;
    if (n < 4 || p[0] != 0xff || p[1] != 0xd8)
        return 0;
    while (n - at >= 2) {
        if (p[at] != 0xff || p[at + 1] == 0x00 || p[at + 1] == 0xff ||
            (p[at + 1] >= 0xd0 && p[at + 1] <= 0xd7)) {
            at++; /* data of a scan, or fill */
            continue;
        }
        if (p[at + 1] == 0xd9)
            return 1;
        if (n - at < 4)
            return 0;
        const mango_idx len = (mango_idx)p[at + 2] << 8 | p[at + 3];
        if (len < 2 || len > n - at - 2)
            return 0;
        if (p[at + 1] == 0xc4 && !codecs_huffman_sane(p + at + 4, len - 2))
            return 0;
        at += 2 + len;
    }
    return 0;
}

/* A BMP of 24 bits, not compressed, whose rows lie within the file. */
static int codecs_bmp_whole(const unsigned char *p, mango_idx n)
{
    if (n < 54 || p[0] != 'B' || p[1] != 'M' || codecs_le32(p + 14) < 40 || p[28] != 24 ||
        p[29] != 0 || codecs_le32(p + 30) != 0)
        return 0;
    const uint32_t from = codecs_le32(p + 10), w = codecs_le32(p + 18);
    uint32_t h = codecs_le32(p + 22);
    if (h & 0x80000000u)
        h = 0u - h; /* rows from the top */
    if (w < 1 || w > CODECS_SIDE || h < 1 || h > CODECS_SIDE || (mango_idx)from > n)
        return 0;
    return n - (mango_idx)from >= (mango_idx)((w * 3 + 3) / 4 * 4) * (mango_idx)h;
}

static int codecs_picture(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                          mango_idx *H, unsigned char *rgb)
{
    int w, h, channels;
    (void)ud;
    if (image_pnm(in, n, W, H, rgb) == 0)
        return 0;
    if (n > INT_MAX ||
        (!codecs_png_whole(in, n) && !codecs_jpeg_whole(in, n) && !codecs_bmp_whole(in, n)))
        return -1;
    if (!rgb) {
        if (!stbi_info_from_memory(in, (int)n, &w, &h, &channels))
            return -1;
        *W = w;
        *H = h;
        return 0;
    }
    stbi_uc *pixels = stbi_load_from_memory(in, (int)n, &w, &h, &channels, 3);
    const int fits = pixels && w == *W && h == *H;
    if (fits)
        memcpy(rgb, pixels, (size_t)w * (size_t)h * 3);
    stbi_image_free(pixels);
    return fits ? 0 : -1;
}

static mango_idx codecs_inflate(void *ud, const unsigned char *in, mango_idx n_in,
                                unsigned char *out, mango_idx n_out)
{
    (void)ud;
    if (n_in > INT_MAX || n_out > INT_MAX)
        return -1;
    return stbi_zlib_decode_noheader_buffer((char *)out, (int)n_out, (const char *)in,
                                            (int)n_in);
}

const mango_codecs *image_codecs(void)
{
    static const mango_codecs codecs = {codecs_inflate, codecs_picture, NULL};
    return &codecs;
}

#endif

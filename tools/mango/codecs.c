/* codecs.c - the decoders that the library is given: inflate and pictures.
 *
 * stb is lenient with damaged files: it fills what is missing with zeros and
 * skips checksums. So a file is walked from end to end before it is decoded,
 * the work it asks for and memory asked for by the decoder are capped.
 * SPDX-License-Identifier: MIT */
#include "image.h"
#include "../../src/base/hash.h"
#include <stdlib.h>

#define CODECS_SIDE 16384 /* where decoders give up; the library's own limit is lower */
#define CODECS_SCANS 64   /* of a JPEG: encoders write 1 to about 20 */

/* No decoder took it: say what it is. */
static int codecs_unknown(const unsigned char *p, mango_idx n, mango_err *err)
{
    mgi_fail(err, MANGO_E_FORMAT, "not a picture that can be read: %s; %s expected",
             image_foreign(p, n),
#ifdef MANGO_NO_STB
             "in this build BMP, PPM or PGM"
#else
             "PNG, JPEG, BMP, PPM or PGM"
#endif
    );
    return -1;
}

#ifdef MANGO_NO_STB

static int codecs_picture(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                          mango_idx *H, unsigned char *rgb, mango_err *err)
{
    (void)ud;
    const int rc = image_plain(in, n, W, H, rgb, err);
    return rc > 0 ? codecs_unknown(in, n, err) : rc;
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

static int codecs_is_png(const unsigned char *p, mango_idx n)
{
    static const unsigned char sign[8] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    return n >= 8 && memcmp(p, sign, 8) == 0;
}

/* Chunks lie within the file, have the right CRC and end with IEND; NULL: so it is. */
static const char *codecs_png_flaw(const unsigned char *p, mango_idx n)
{
    if (n >= 16 && memcmp(p + 12, "CgBI", 4) == 0)
        return "a PNG in Apple's own form (CgBI), not a standard one";
    if (n < 33 || memcmp(p + 12, "IHDR", 4) != 0)
        return "a PNG without a head";
    for (mango_idx at = 8; n - at >= 12;) {
        const uint32_t len = codecs_be32(p + at);
        if (len > 0x7fffffffu || (mango_idx)len > n - at - 12)
            return "a PNG that is cut off";
        if (mgi_crc32(0, p + at + 4, (mango_idx)len + 4) != codecs_be32(p + at + 8 + len))
            return "a damaged PNG: a chunk's CRC does not match";
        if (memcmp(p + at + 4, "IEND", 4) == 0)
            return NULL;
        at += 12 + (mango_idx)len;
    }
    return "a PNG that is cut off";
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

/* A segment of a JPEG: marker, `len` bytes behind its length. */
static const char *codecs_jpeg_segment(int marker, const unsigned char *p, mango_idx len,
                                       int *scans)
{
    if (marker == 0xc4)
        return codecs_huffman_sane(p, len) ? NULL : "a damaged JPEG: its Huffman tables";
    if (marker == 0xda && ++*scans > CODECS_SCANS)
        return "a JPEG of more than 64 scans, which no picture needs";
    if (marker < 0xc0 || marker > 0xcf || marker == 0xc8 || marker == 0xcc)
        return NULL;
    if (marker > 0xc2)
        return "a JPEG that is lossless, hierarchical or arithmetic-coded; "
               "baseline or progressive expected";
    if (len < 6 || p[0] != 8)
        return "a JPEG of other than 8 bits a channel";
    return NULL;
}

/* Segments lie within the file, and scans reach an end-of-image marker; NULL: so it is.
 * Within entropy-coded data FF is always followed by 0 or a restart. */
static const char *codecs_jpeg_flaw(const unsigned char *p, mango_idx n)
{
    mango_idx at = 2;
    int scans = 0;
    while (n - at >= 2) {
        const int marker = p[at + 1];
        if (p[at] != 0xff || marker == 0x00 || marker == 0xff ||
            (marker >= 0xd0 && marker <= 0xd7)) {
            at++; /* data of a scan, or fill */
            continue;
        }
        if (marker == 0xd9)
            return NULL;
        const mango_idx len = n - at < 4 ? 0 : (mango_idx)p[at + 2] << 8 | p[at + 3];
        if (len < 2 || len > n - at - 2)
            break;
        const char *flaw = codecs_jpeg_segment(marker, p + at + 4, len - 2, &scans);
        if (flaw)
            return flaw;
        at += 2 + len;
    }
    return "a JPEG that is cut off: no end-of-image marker";
}

/* Decode what was found whole. */
static int codecs_stb(const unsigned char *in, mango_idx n, mango_idx *W, mango_idx *H,
                      unsigned char *rgb, mango_err *err)
{
    int w = 0, h = 0, channels = 0;
    if (!rgb) {
        if (!stbi_info_from_memory(in, (int)n, &w, &h, &channels)) {
            mgi_fail(err, MANGO_E_FORMAT, "a damaged picture, or of over %d a side",
                     CODECS_SIDE);
            return -1;
        }
        *W = w;
        *H = h;
        return 0;
    }
    stbi_uc *pixels = stbi_load_from_memory(in, (int)n, &w, &h, &channels, 3);
    const int fits = pixels && w == *W && h == *H;
    if (fits)
        memcpy(rgb, pixels, (size_t)w * (size_t)h * 3);
    else
        mgi_fail(err, MANGO_E_FORMAT, "a damaged picture");
    stbi_image_free(pixels);
    return fits ? 0 : -1;
}

static int codecs_picture(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                          mango_idx *H, unsigned char *rgb, mango_err *err)
{
    (void)ud;
    const int plain = image_plain(in, n, W, H, rgb, err);
    if (plain <= 0)
        return plain;
    const int png = codecs_is_png(in, n);
    if (n > INT_MAX || (!png && (n < 4 || in[0] != 0xff || in[1] != 0xd8)))
        return codecs_unknown(in, n, err);
    const char *flaw = png ? codecs_png_flaw(in, n) : codecs_jpeg_flaw(in, n);
    if (!flaw)
        return codecs_stb(in, n, W, H, rgb, err);
    mgi_fail(err, MANGO_E_FORMAT, "%s", flaw);
    return -1;
}

/* stbi_zlib_decode_noheader_buffer, which does not say how far it has read: bits that it
 * took in and did not use come off. */
static mango_idx codecs_inflate(void *ud, const unsigned char *in, mango_idx n_in,
                                mango_idx *used, unsigned char *out, mango_idx n_out)
{
    stbi__zbuf z;
    (void)ud;
    if (n_in > INT_MAX || n_out > INT_MAX)
        return -1;
    z.zbuffer = (stbi_uc *)in;
    z.zbuffer_end = z.zbuffer + n_in;
    if (!stbi__do_zlib(&z, (char *)out, (int)n_out, 0, 0))
        return -1;
    *used = z.zbuffer - in - z.num_bits / 8;
    return z.zout - z.zout_start;
}

const mango_codecs *image_codecs(void)
{
    static const mango_codecs codecs = {codecs_inflate, codecs_picture, NULL};
    return &codecs;
}

#endif

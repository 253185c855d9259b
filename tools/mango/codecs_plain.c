/* codecs_plain.c - PNM and BMP, read here in every build: no code is shared with
 * libraries, so what is not understood is refused by name.
 * SPDX-License-Identifier: MIT */
#include "image.h"

enum { PLAIN_MINE = 0, PLAIN_OTHER = 1 };

static int plain_bad(mango_err *err, const char *why)
{
    mgi_fail(err, MANGO_E_FORMAT, "%s", why);
    return -1;
}

/* ---- PPM and PGM: P6, P5, maxval 255 ---------------------------------------------- */

/* The next number of a PNM head: digits after white space and #-comments. -1: none. */
static mango_idx plain_pnm_number(const unsigned char *p, mango_idx n, mango_idx *at)
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

static int plain_pnm(const unsigned char *p, mango_idx n, mango_idx *W, mango_idx *H,
                     unsigned char *rgb, mango_err *err)
{
    mango_idx at = 2;
    if (n < 3 || p[0] != 'P' || p[1] < '1' || p[1] > '7' || (p[2] > ' ' && p[2] != '#'))
        return PLAIN_OTHER;
    if (p[1] != '5' && p[1] != '6')
        return plain_bad(err, "a PNM of another kind than P5 and P6, which are read");
    mango_idx size[3] = {0, 0, p[1] == '6' ? 3 : 1}, bytes;
    size[0] = plain_pnm_number(p, n, &at);
    size[1] = plain_pnm_number(p, n, &at);
    if (size[0] < 1 || size[1] < 1)
        return plain_bad(err, "a PNM without a usable width and height");
    if (plain_pnm_number(p, n, &at) != 255)
        return plain_bad(err, "a PNM with another maximum than 255");
    at++; /* one white space */
    if (!mgi_prod(3, size, &bytes) || n - at < bytes)
        return plain_bad(err, "a PNM that is cut off");
    *W = size[0];
    *H = size[1];
    for (mango_idx i = 0; rgb && i < size[0] * size[1]; i++)
        for (mango_idx c = 0; c < 3; c++)
            rgb[3 * i + c] = p[at + (size[2] == 3 ? 3 * i + c : i)];
    return PLAIN_MINE;
}

/* ---- BMP: palettes of 1, 4, 8 bits; 24 and 32 bits ---------------------------------- */

typedef struct plain_bmp {
    mango_idx W, H, row, pixels; /* bytes of a row; offset of the first one */
    int bits, from_top;
    mango_idx palette, colours;
    int shift[3];                /* 32 bits: where R, G, B are */
} plain_bmp;

static uint32_t plain_le32(const unsigned char *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* 32 bits with masks: each must be one whole byte. */
static int plain_bmp_masks(plain_bmp *b, const unsigned char *p, mango_idx n)
{
    for (int c = 0; c < 3; c++) {
        const uint32_t mask = n >= 66 ? plain_le32(p + 54 + 4 * c) : 0;
        b->shift[c] = -1;
        for (int s = 0; s < 32; s += 8)
            if (mask == UINT32_C(0xff) << s)
                b->shift[c] = s;
        if (b->shift[c] < 0)
            return 0;
    }
    return 1;
}

/* What the head says, checked against n bytes. NULL, or what is wrong with it. */
static const char *plain_bmp_head(plain_bmp *b, const unsigned char *p, mango_idx n)
{
    if (n < 54 || plain_le32(p + 14) < 40 || plain_le32(p + 14) > 200)
        return "a BMP with a head of another kind, of Windows 3 or later expected";
    const uint32_t packed = plain_le32(p + 30), w = plain_le32(p + 18);
    uint32_t h = plain_le32(p + 22);
    b->from_top = (h & UINT32_C(0x80000000)) != 0;
    if (b->from_top)
        h = 0u - h;
    b->bits = p[28] | p[29] << 8;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 24 && b->bits != 32)
        return "a BMP of other bits than 1, 4, 8, 24 or 32";
    b->shift[0] = 16;
    b->shift[1] = 8;
    b->shift[2] = 0;
    if (packed != 0 && !(packed == 3 && b->bits == 32))
        return "a compressed BMP";
    if (packed == 3 && !plain_bmp_masks(b, p, n))
        return "a BMP whose channels are no whole bytes";
    if (w < 1 || w > 65535 || h < 1 || h > 65535)
        return "a BMP with sides out of 1 to 65535";
    b->W = (mango_idx)w;
    b->H = (mango_idx)h;
    b->row = mgi_round_up(b->W * b->bits, 32) / 8;
    mango_idx all;
    const uint32_t from = plain_le32(p + 10), used = plain_le32(p + 46);
    if (!mgi_mul(b->row, b->H, &all) || from > (uint64_t)n || n - (mango_idx)from < all)
        return "a BMP that is cut off";
    b->pixels = (mango_idx)from;
    b->palette = 14 + (mango_idx)plain_le32(p + 14);
    b->colours = 0;
    if (b->bits > 8)
        return NULL;
    if (used > UINT32_C(1) << b->bits)
        return "a BMP with more colours than its bits can name";
    b->colours = used ? (mango_idx)used : (mango_idx)1 << b->bits;
    return b->palette + 4 * b->colours <= b->pixels ? NULL : "a BMP without its palette";
}

/* Pixel x of a row, out (3): false when its colour is not in the palette. */
static int plain_bmp_pixel(const plain_bmp *b, const unsigned char *p, const unsigned char *row,
                           mango_idx x, unsigned char *out)
{
    if (b->bits >= 24) {
        const unsigned char *q = row + x * b->bits / 8;
        for (int c = 0; c < 3; c++)
            out[c] = q[b->shift[c] / 8];
        return 1;
    }
    const int per = 8 / b->bits, last = per - 1 - (int)(x % per);
    const mango_idx k = row[x / per] >> (last * b->bits) & ((1 << b->bits) - 1);
    const unsigned char *q = p + b->palette + 4 * k;
    if (k >= b->colours)
        return 0;
    for (int c = 0; c < 3; c++)
        out[c] = q[2 - c];
    return 1;
}

static int plain_bmp_read(const unsigned char *p, mango_idx n, mango_idx *W, mango_idx *H,
                          unsigned char *rgb, mango_err *err)
{
    plain_bmp b;
    if (n < 2 || p[0] != 'B' || p[1] != 'M')
        return PLAIN_OTHER;
    const char *why = plain_bmp_head(&b, p, n);
    if (why)
        return plain_bad(err, why);
    *W = b.W;
    *H = b.H;
    for (mango_idx y = 0; rgb && y < b.H; y++) {
        const unsigned char *row = p + b.pixels + (b.from_top ? y : b.H - 1 - y) * b.row;
        for (mango_idx x = 0; x < b.W; x++)
            if (!plain_bmp_pixel(&b, p, row, x, rgb + 3 * (y * b.W + x)))
                return plain_bad(err, "a BMP with a pixel whose colour is not in its palette");
    }
    return PLAIN_MINE;
}

int image_plain(const unsigned char *p, mango_idx n, mango_idx *W, mango_idx *H,
                unsigned char *rgb, mango_err *err)
{
    const int rc = plain_pnm(p, n, W, H, rgb, err);
    return rc == PLAIN_OTHER ? plain_bmp_read(p, n, W, H, rgb, err) : rc;
}

const char *image_foreign(const unsigned char *p, mango_idx n)
{
    static const struct {
        int at, bytes;
        const char *sign, *what;
    } known[] = {
        {0, 4, "II*\0", "a TIFF"},
        {0, 4, "MM\0*", "a TIFF"},
        {0, 4, "GIF8", "a GIF"},
        {8, 4, "WEBP", "a WebP"},
        {4, 4, "ftyp", "a HEIF, AVIF or video"},
        {0, 2, "\x1f\x8b", "compressed with gzip"},
        {4, 4, "jP  ", "a JPEG 2000"},
        {0, 4, "\0\0\1\0", "an icon"},
        {0, 4, "%PDF", "a PDF"},
        {0, 4, "PK\3\4", "a zip archive"},
        {0, 4, "8BPS", "a Photoshop file"},
        {0, 6, "\x93NUMPY", "an array of NumPy, which ends in .npy"},
        {0, 15, "version https:/", "a git-lfs pointer; fetch it with `git lfs pull`"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(known); i++)
        if (n >= known[i].at + known[i].bytes &&
            !memcmp(p + known[i].at, known[i].sign, (size_t)known[i].bytes))
            return known[i].what;
    return n > 0 ? "none that is known" : "empty";
}

/* gif.c - animated GIF: median-cut palettes and LZW.
 * SPDX-License-Identifier: MIT */
#include "gif.h"
#include <stdlib.h>

#define GIF_COLOURS 256
#define GIF_CODES 4096 /* LZW codes have at most 12 bits */
#define GIF_SLOTS 8192 /* hash table of the dictionary, twice that */

/* ---- palette ------------------------------------------------------------------------ */

/* A pixel and its place, so that a box of sorted pixels knows whom it colours. */
typedef struct gif_pixel {
    unsigned char c[3];
    uint32_t at;
} gif_pixel;

/* A run of pixels in colour space, lo..hi-1, and how far it spreads. */
typedef struct gif_box {
    mango_idx lo, hi;
    int axis, spread;
} gif_box;

static int gif_by_red(const void *a, const void *b)
{
    return ((const gif_pixel *)a)->c[0] - ((const gif_pixel *)b)->c[0];
}
static int gif_by_green(const void *a, const void *b)
{
    return ((const gif_pixel *)a)->c[1] - ((const gif_pixel *)b)->c[1];
}
static int gif_by_blue(const void *a, const void *b)
{
    return ((const gif_pixel *)a)->c[2] - ((const gif_pixel *)b)->c[2];
}

/* The longest side of a box. The eye weighs green most, blue least. */
static gif_box gif_measure(const gif_pixel *p, mango_idx lo, mango_idx hi)
{
    static const int weight[3] = {3, 4, 2};
    gif_box box = {lo, hi, 0, 0};
    for (int axis = 0; axis < 3; axis++) {
        int least = 255, most = 0;
        for (mango_idx i = lo; i < hi; i++) {
            least = MGI_MIN(least, p[i].c[axis]);
            most = MGI_MAX(most, p[i].c[axis]);
        }
        if ((most - least) * weight[axis] > box.spread) {
            box.spread = (most - least) * weight[axis];
            box.axis = axis;
        }
    }
    return box;
}

/* Cut the box at the change of value nearest to its median; returns where. */
static mango_idx gif_cut(gif_pixel *p, gif_box box)
{
    static int (*const by[3])(const void *, const void *) = {gif_by_red, gif_by_green,
                                                             gif_by_blue};
    const int a = box.axis;
    qsort(p + box.lo, (size_t)(box.hi - box.lo), sizeof *p, by[a]);
    const mango_idx mid = box.lo + (box.hi - box.lo) / 2;
    mango_idx up = mid, down = mid;
    while (up < box.hi && p[up].c[a] == p[up - 1].c[a])
        up++;
    while (down > box.lo && p[down].c[a] == p[down - 1].c[a])
        down--;
    return down == box.lo || (up < box.hi && up - mid < mid - down) ? up : down;
}

/* Boxes, the widest cut first, until there are 256 or every one is a colour. */
static int gif_median_cut(gif_pixel *p, mango_idx n, gif_box box[GIF_COLOURS])
{
    int boxes = 1;
    box[0] = gif_measure(p, 0, n);
    while (boxes < GIF_COLOURS) {
        int widest = 0;
        for (int i = 1; i < boxes; i++)
            if (box[i].spread > box[widest].spread)
                widest = i;
        if (box[widest].spread == 0)
            break;
        const gif_box b = box[widest];
        const mango_idx cut = gif_cut(p, b);
        box[widest] = gif_measure(p, b.lo, cut);
        box[boxes++] = gif_measure(p, cut, b.hi);
    }
    return boxes;
}

/* palette: 256 colours, each the mean of its box; index: (n) one a pixel. */
static int gif_quantize(mango_idx n, const unsigned char *rgb, gif_pixel *p,
                        unsigned char palette[GIF_COLOURS][3], unsigned char *index)
{
    gif_box box[GIF_COLOURS];
    for (mango_idx i = 0; i < n; i++) {
        memcpy(p[i].c, rgb + i * 3, 3);
        p[i].at = (uint32_t)i;
    }
    memset(palette, 0, GIF_COLOURS * 3);
    const int boxes = gif_median_cut(p, n, box);
    for (int b = 0; b < boxes; b++) {
        const mango_idx count = box[b].hi - box[b].lo;
        mango_idx sum[3] = {0, 0, 0};
        for (mango_idx i = box[b].lo; i < box[b].hi; i++) {
            for (int c = 0; c < 3; c++)
                sum[c] += p[i].c[c];
            index[p[i].at] = (unsigned char)b;
        }
        for (int c = 0; c < 3; c++)
            palette[b][c] = (unsigned char)((sum[c] + count / 2) / count);
    }
    return boxes;
}

/* ---- LZW ------------------------------------------------------------------------------ */

typedef struct gif_lzw {
    mgi_str *s;
    unsigned char block[255]; /* data goes out in blocks of up to 255 bytes */
    int n, bits, first, next; /* bits: of a code; first: the clear code */
    uint32_t pending, have;
    int32_t key[GIF_SLOTS]; /* prefix code * 256 + byte, or -1 */
    int code[GIF_SLOTS];
} gif_lzw;

static void gif_flush(gif_lzw *z)
{
    const char n = (char)z->n;
    if (z->n > 0) {
        mgi_str_put(z->s, &n, 1);
        mgi_str_put(z->s, (const char *)z->block, z->n);
    }
    z->n = 0;
}

static void gif_emit(gif_lzw *z, int code)
{
    z->pending |= (uint32_t)code << z->have;
    z->have += (uint32_t)z->bits;
    while (z->have >= 8) {
        z->block[z->n++] = (unsigned char)(z->pending & 0xff);
        z->pending >>= 8;
        z->have -= 8;
        if (z->n == 255)
            gif_flush(z);
    }
}

/* An empty dictionary: all single bytes, the clear code and the end code. */
static void gif_clear(gif_lzw *z)
{
    gif_emit(z, z->first);
    for (int i = 0; i < GIF_SLOTS; i++)
        z->key[i] = -1;
    z->next = z->first + 2;
    z->bits = 9;
}

/* The slot that holds (prefix, byte), or the free one where it belongs. */
static int gif_slot(const gif_lzw *z, int32_t key)
{
    uint32_t h = ((uint32_t)key * 2654435761u) >> 19;
    while (z->key[h] >= 0 && z->key[h] != key)
        h = (h + 1) % GIF_SLOTS;
    return (int)h;
}

/* Compress the W x H indices, each k x k times. */
static void gif_compress(gif_lzw *z, mango_idx W, mango_idx H, mango_idx k,
                         const unsigned char *index)
{
    int prefix = index[0];
    z->first = GIF_COLOURS;
    z->bits = 9;
    gif_clear(z);
    for (mango_idx i = 1; i < W * k * H * k; i++) {
        const int byte = index[i / (W * k) / k * W + i % (W * k) / k];
        const int32_t key = (int32_t)(prefix << 8 | byte);
        const int slot = gif_slot(z, key);
        if (z->key[slot] == key) {
            prefix = z->code[slot];
            continue;
        }
        gif_emit(z, prefix);
        if (z->next == GIF_CODES) {
            gif_clear(z);
        } else {
            z->key[slot] = key;
            z->code[slot] = z->next;
            z->bits += z->next++ == 1 << z->bits;
        }
        prefix = byte;
    }
    gif_emit(z, prefix);
    z->bits += z->next == 1 << z->bits && z->bits < 12; /* the reader adds one more */
    gif_emit(z, z->first + 1);
    if (z->have > 0)
        z->block[z->n++] = (unsigned char)z->pending;
    gif_flush(z);
}

/* ---- the file -------------------------------------------------------------------------- */

static void gif_u16(mgi_str *s, mango_idx v)
{
    const char b[2] = {(char)(v & 0xff), (char)(v >> 8 & 0xff)};
    mgi_str_put(s, b, 2);
}

void gif_begin(gif *g, mgi_str *s, mango_idx W, mango_idx H, mango_idx scale)
{
    *g = (gif){s, W, H, scale};
    mgi_str_put(s, "GIF89a", 6);
    gif_u16(s, W * scale);
    gif_u16(s, H * scale);
    mgi_str_put(s, "\x70\0\0", 3); /* no global palette */
    mgi_str_put(s, "\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0", 19);
}

void gif_frame(gif *g, const unsigned char *rgb, int delay)
{
    const mango_idx n = g->W * g->H;
    unsigned char palette[GIF_COLOURS][3];
    gif_pixel *pixels = malloc((size_t)n * sizeof *pixels);
    unsigned char *index = malloc((size_t)n);
    gif_lzw *z = calloc(1, sizeof *z);
    if (pixels && index && z) {
        gif_quantize(n, rgb, pixels, palette, index);
        mgi_str_put(g->s, "\x21\xf9\x04\x04", 4); /* leave the frame in place */
        gif_u16(g->s, delay);
        mgi_str_put(g->s, "\0\0\x2c\0\0\0\0", 7);
        gif_u16(g->s, g->W * g->scale);
        gif_u16(g->s, g->H * g->scale);
        mgi_str_put(g->s, "\x87", 1); /* a palette of 256 */
        mgi_str_put(g->s, (const char *)palette, GIF_COLOURS * 3);
        mgi_str_put(g->s, "\x08", 1);
        z->s = g->s;
        gif_compress(z, g->W, g->H, g->scale, index);
        mgi_str_put(g->s, "", 1); /* no more blocks */
    } else {
        g->s->bad = 1;
    }
    free(pixels);
    free(index);
    free(z);
}

void gif_end(gif *g)
{
    mgi_str_put(g->s, ";", 1);
}

#undef GIF_COLOURS
#undef GIF_CODES
#undef GIF_SLOTS

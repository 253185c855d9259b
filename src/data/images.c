/* images.c - picture files: bounded decoding through a callback, antialiased
 * bilinear resizing, and the resize-and-crop of the ImageNet networks.
 *
 * Along one axis output x is a weighted mean of the inputs under a triangle
 * of half-width s = max(1, in/out) centred at (x + 1/2) in/out:
 *     w_i = max(0, 1 - |(i + 1/2 - centre)/s|) / sum,  in units of 2^-22
 * SPDX-License-Identifier: MIT */
#include "dataset.h"

#define IMAGES_ONE ((double)(1 << 22))

/* Rows of weights for one axis: output x uses n[x] inputs from first[x] on. */
typedef struct images_filter {
    mango_idx out, width;
    mango_idx *first, *n;
    int32_t *w; /* (out,width) */
} images_filter;

static void images_filter_free(images_filter *f, const mango_alloc *al)
{
    mgi_del(al, f->first, f->out, sizeof *f->first);
    mgi_del(al, f->n, f->out, sizeof *f->n);
    mgi_del(al, f->w, f->out * f->width, sizeof *f->w);
    memset(f, 0, sizeof *f);
}

/* The weights of output x, whose triangle has half-width s. */
static void images_weights(images_filter *f, mango_idx in, mango_idx x, double s)
{
    const double centre = ((double)x + 0.5) * (double)in / (double)f->out;
    mango_idx lo = (mango_idx)(centre - s + 0.5 > 0 ? centre - s + 0.5 : 0);
    mango_idx hi = MGI_MIN((mango_idx)(centre + s + 0.5), in);
    int32_t *w = f->w + x * f->width;
    double sum = 0;
    if (lo >= in)
        lo = in - 1;
    hi = MGI_MIN(MGI_MAX(hi, lo + 1), lo + f->width);
    for (mango_idx i = lo; i < hi; i++) {
        double u = ((double)i + 0.5 - centre) / s;
        u = u < 0 ? -u : u;
        sum += u < 1 ? 1 - u : 0;
    }
    for (mango_idx i = lo; i < hi; i++) {
        double u = ((double)i + 0.5 - centre) / s;
        u = u < 0 ? -u : u;
        w[i - lo] = (int32_t)((u < 1 ? 1 - u : 0) / (sum > 0 ? sum : 1) * IMAGES_ONE + 0.5);
    }
    f->first[x] = lo;
    f->n[x] = hi - lo;
}

static mango_status images_filter_make(images_filter *f, mango_idx in, mango_idx out,
                                       const mango_alloc *al)
{
    const double s = in > out ? (double)in / (double)out : 1.0;
    f->out = out;
    f->width = 2 * ((mango_idx)s + 1) + 1;
    f->first = (mango_idx *)mgi_new(al, out, sizeof *f->first);
    f->n = (mango_idx *)mgi_new(al, out, sizeof *f->n);
    f->w = (int32_t *)mgi_new(al, out * f->width, sizeof *f->w);
    if (!f->first || !f->n || !f->w) {
        images_filter_free(f, al);
        return MANGO_E_MEM;
    }
    for (mango_idx x = 0; x < out; x++)
        images_weights(f, in, x, s);
    return MANGO_OK;
}

/* One axis: in (outer,f.in,inner) -> out (outer,f.out,inner). */
static void images_apply(const images_filter *f, mango_idx outer, mango_idx in_n,
                         mango_idx inner, const unsigned char *in, unsigned char *out)
{
    for (mango_idx o = 0; o < outer; o++)
        for (mango_idx x = 0; x < f->out; x++) {
            const int32_t *w = f->w + x * f->width;
            const unsigned char *p = in + (o * in_n + f->first[x]) * inner;
            for (mango_idx c = 0; c < inner; c++) {
                int64_t sum = 1 << 21;
                for (mango_idx i = 0; i < f->n[x]; i++)
                    sum += (int64_t)w[i] * p[i * inner + c];
                sum >>= 22;
                *out++ = (unsigned char)MGI_MIN(sum, 255);
            }
        }
}

static int images_side(mango_idx n)
{
    return n >= 1 && n <= 65535;
}

mango_status mango_image_resize(mango_idx H, mango_idx W, mango_idx C,
                                const unsigned char *in, mango_idx oH, mango_idx oW,
                                unsigned char *out, const mango_alloc *alloc, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    images_filter fx = {0, 0, NULL, NULL, NULL}, fy = {0, 0, NULL, NULL, NULL};
    const mango_idx size[3] = {H, oW, C};
    unsigned char *rows = NULL;
    mango_idx bytes = 0;
    mango_status st;
    MGI_CHECK(err, in && out && C >= 1 && C <= 4 && images_side(H) && images_side(W) &&
                       images_side(oH) && images_side(oW),
              "mango_image_resize: pictures with sides of 1 to 65535 and 1 to 4 channels "
              "expected");
    MGI_TRY_TO(images_filter_make(&fx, W, oW, &al));
    MGI_TRY_TO(images_filter_make(&fy, H, oH, &al));
    st = mgi_prod(3, size, &bytes) ? MANGO_E_MEM : MANGO_E_LIMIT;
    rows = st == MANGO_E_MEM ? (unsigned char *)mgi_new(&al, bytes, 1) : NULL;
    if (!rows)
        goto done;
    images_apply(&fx, H, W, C, in, rows);       /* (H,W,C) -> (H,oW,C)  */
    images_apply(&fy, 1, H, oW * C, rows, out); /* (H,oW,C) -> (oH,oW,C) */
    st = MANGO_OK;
done:
    mgi_del(&al, rows, bytes, 1);
    images_filter_free(&fx, &al);
    images_filter_free(&fy, &al);
    return st < 0 ? mgi_fail(err, st, "no memory to resize a picture of %tdx%td", W, H) : st;
}

/* The offset of a centred crop: (side - crop)/2, halves to the even number. */
static mango_idx images_centre(mango_idx side, mango_idx crop)
{
    mango_idx twice = side - crop, half = twice / 2;
    return twice % 2 && half % 2 ? half + 1 : half;
}

/* Sides after the shorter one was scaled to `resize`; 0: as they are. */
static void images_scaled(mango_idx H, mango_idx W, mango_idx resize, mango_idx *h,
                          mango_idx *w)
{
    *h = H;
    *w = W;
    if (resize > 0 && resize != MGI_MIN(H, W)) {
        *w = W <= H ? resize : resize * W / H;
        *h = W <= H ? resize * H / W : resize;
    }
}

mango_status mango_image_fit(mango_idx H, mango_idx W, mango_idx C, const unsigned char *in,
                             mango_idx resize, mango_idx crop, unsigned char *out,
                             const mango_alloc *alloc, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *scaled = NULL;
    const unsigned char *p = in;
    mango_idx h = H, w = W, size[3] = {C, 0, 0}, bytes = 0;
    MGI_CHECK(err, in && out && images_side(H) && images_side(W) && C >= 1 && C <= 4 &&
                       crop >= 1 && crop <= 4096 && resize >= 0 && resize <= 4096,
              "mango_image_fit: sides of 1 to 65535, a crop of 1 to 4096 and a resize of 0 to "
              "4096 expected");
    images_scaled(H, W, resize, &h, &w);
    if (h < crop || w < crop || h > 65535 || w > 65535)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "a picture of %tdx%td, shrunk to %tdx%td, cannot be cut to %tdx%td", W,
                        H, w, h, crop, crop);
    if (h != H || w != W) {
        size[1] = h;
        size[2] = w;
        if (!mgi_prod(3, size, &bytes) || bytes > MGI_FILE_MAX)
            return mgi_fail(err, MANGO_E_LIMIT, "a picture of %tdx%td is too large", w, h);
        scaled = (unsigned char *)mgi_new(&al, bytes, 1);
        mango_status st = scaled ? mango_image_resize(H, W, C, in, h, w, scaled, &al, err)
                                 : mgi_fail(err, MANGO_E_MEM, "no memory for %tdx%td", w, h);
        if (st < 0) {
            mgi_del(&al, scaled, bytes, 1);
            return st;
        }
        p = scaled;
    }
    const mango_idx y0 = images_centre(h, crop), x0 = images_centre(w, crop);
    for (mango_idx c = 0; c < C; c++)
        for (mango_idx y = 0; y < crop; y++)
            for (mango_idx x = 0; x < crop; x++)
                *out++ = p[((y0 + y) * w + x0 + x) * C + c];
    mgi_del(&al, scaled, bytes, 1);
    return MANGO_OK;
}

void mango_image_grey(mango_idx n, const unsigned char *rgb, unsigned char *grey)
{
    for (mango_idx i = 0; i < n; i++) {
        const uint32_t R = rgb[3 * i], G = rgb[3 * i + 1], B = rgb[3 * i + 2];
        grey[i] = (unsigned char)((19595 * R + 38470 * G + 7471 * B + 32768) >> 16);
    }
}

/* Size from the head of a picture file, refused when out of bounds. */
static mango_status images_size(const char *path, const unsigned char *bytes, mango_idx n,
                                const mango_codecs *codecs, mango_idx max_side,
                                mango_idx *W, mango_idx *H, mango_err *err)
{
    mango_err why = {"not a picture that can be read"};
    if (codecs->picture(codecs->ud, bytes, n, W, H, NULL, &why) != 0)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: %s", path, why.text);
    if (*W < 1 || *H < 1 || *W > max_side || *H > max_side)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: a picture of %ldx%ld, sides of 1 to %ld expected", path,
                        (long)*W, (long)*H, (long)max_side);
    return MANGO_OK;
}

mango_status mango_image_read(const char *path, const mango_codecs *codecs,
                              mango_idx max_side, unsigned char **rgb, mango_idx *W,
                              mango_idx *H, const mango_alloc *alloc, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *bytes = NULL;
    mango_err why = {"a damaged picture"};
    mango_idx n = 0;
    mango_status st;
    MGI_CHECK(err, path && rgb && W && H,
              "mango_image_read: a path and places for the picture and its sides expected");
    *rgb = NULL;
    if (!codecs || !codecs->picture)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "%s: this build cannot decode pictures",
                        path);
    max_side = max_side > 0 ? MGI_MIN(max_side, 16384) : 4096;
    MGI_TRY(mgi_file_read(path, (mango_idx)1 << 28, &al, &bytes, &n, err));
    MGI_TRY_TO(images_size(path, bytes, n, codecs, max_side, W, H, err));
    *rgb = (unsigned char *)mgi_new(&al, 3 * *W * *H, 1);
    if (!*rgb) {
        st = mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    } else if (codecs->picture(codecs->ud, bytes, n, W, H, *rgb, &why) != 0) {
        mgi_del(&al, *rgb, 3 * *W * *H, 1);
        *rgb = NULL;
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: %s", path, why.text);
    }
done:
    mgi_del(&al, bytes, n + 1, 1);
    return st;
}
#undef IMAGES_ONE

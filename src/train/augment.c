/* augment.c - batches of pictures: order of axes, normalization, random changes.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../base/real.h"

typedef struct aug_change {
    mango_idx dy, dx;         /* shift of the crop, -pad..pad */
    int flip;
    mango_idx cy, cx, side;   /* cutout: centre and side      */
} aug_change;

static aug_change aug_draw(const mango_train_options *o, mango_idx epoch, mango_idx i,
                           mango_idx H, mango_idx W)
{
    mango_rng r;
    aug_change a;
    memset(&a, 0, sizeof a);
    mango_rng_init(&r, o->seed, MGI_RNG_AUGMENT, (uint64_t)epoch << 32 | (uint64_t)i);
    if (o->crop_pad > 0) {
        a.dy = mango_rng_int(&r, 2 * o->crop_pad + 1) - o->crop_pad;
        a.dx = mango_rng_int(&r, 2 * o->crop_pad + 1) - o->crop_pad;
    }
    a.flip = o->flip && mango_rng_int(&r, 2);
    a.side = o->cutout;
    if (a.side > 0) {
        a.cy = mango_rng_int(&r, H);
        a.cx = mango_rng_int(&r, W);
    }
    return a;
}

/* px (C,H,W) bytes -> x (H,W,C). What lies outside the picture is black, as a
 * zero pixel before normalization; a cutout is zero after it. */
static void aug_place(const mgi_batch *B, const aug_change *a, const unsigned char *px,
                      const float table[3][256], float *x)
{
    const mango_idx H = B->H, W = B->W, C = B->C, half = a->side / 2;
    for (mango_idx h = 0; h < H; h++)
        for (mango_idx w = 0; w < W; w++, x += C) {
            const mango_idx sy = h + a->dy, sx = (a->flip ? W - 1 - w : w) + a->dx;
            const int in = sy >= 0 && sy < H && sx >= 0 && sx < W;
            const int cut = a->side > 0 && h >= a->cy - half && h < a->cy - half + a->side &&
                            w >= a->cx - half && w < a->cx - half + a->side;
            for (mango_idx c = 0; c < C; c++)
                x[c] = cut ? 0.0f : table[c % 3][in ? px[(c * H + sy) * W + sx] : 0];
        }
}

/* Says which picture cannot be read, and why. */
static mango_status aug_unread(const mgi_batch *B, const mango_data *data,
                               const mango_idx *index, mango_err *err)
{
    mango_data_info info;
    for (mango_idx k = 0; k < B->b; k++)
        MGI_TRY(mango_data_picture(data, index[k], B->pixels, NULL, err));
    memset(&info, 0, sizeof info);
    mango_data_get(data, &info);
    return mgi_fail(err, MANGO_E_IO, "%s: a picture could not be read for a moment", info.name);
}

mango_status mgi_batch_fill(mgi_batch *B, const mango_data *data, const mango_idx *index,
                            const mango_train_options *o, int random, mango_idx epoch,
                            const float *scale, const float *shift, mango_err *err)
{
    const mango_idx e = B->C * B->H * B->W;
    float table[3][256];
    const unsigned char *px = mango_data_pixels(data);
    int bad = 0;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = (float)v / 255.0f * scale[c] + shift[c];
    MGI_OMP(parallel for reduction(+ : bad))
    for (mango_idx k = 0; k < B->b; k++) {
        unsigned char *own = px ? NULL : B->pixels + k * e;
        aug_change a;
        memset(&a, 0, sizeof a);
        if (random)
            a = aug_draw(o, epoch, index[k], B->H, B->W);
        bad += mango_data_picture(data, index[k], own, &B->label[k], NULL) < 0;
        aug_place(B, &a, px ? px + index[k] * e : own, (const float(*)[256])table,
                  B->x + k * e);
    }
    B->lam = 1;
    return bad ? aug_unread(B, data, index, err) : MANGO_OK;
}

/* Beta(a,a) for a in (0,1], Joehnk's method. */
static double aug_beta(mango_rng *r, double a)
{
    for (;;) {
        const double u = mango_rng_uniform(r), v = mango_rng_uniform(r);
        if (u <= 0 || v <= 0)
            continue;
        const double x = mgi_pow(u, 1 / a), y = mgi_pow(v, 1 / a);
        if (x + y > 0 && x + y <= 1)
            return x / (x + y);
    }
}

void mgi_batch_mixup(mgi_batch *B, const mango_train_options *o, mango_idx update, float *tmp)
{
    mango_rng r;
    const mango_idx e = B->C * B->H * B->W, b = B->b;
    mango_rng_init(&r, o->seed, MGI_RNG_MIXUP, (uint64_t)update);
    B->lam = aug_beta(&r, o->mixup);
    const float lam = (float)B->lam;
    memcpy(tmp, B->x, (size_t)e * sizeof(float)); /* the first, for the last */
    for (mango_idx k = 0; k < b; k++) {
        const float *next = k + 1 < b ? B->x + (k + 1) * e : tmp;
        float *x = B->x + k * e;
        B->label2[k] = B->label[(k + 1) % b];
        for (mango_idx i = 0; i < e; i++)
            x[i] = lam * x[i] + (1.0f - lam) * next[i];
    }
}

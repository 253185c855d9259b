/* norm.c - batch normalization over R rows of C channels.
 *
 *   y = w (x - mean) rstd + b,   rstd = 1/sqrt(var + eps)
 *
 * Sums over the rows are taken in double, in NORM_PARTS fixed parts of the rows
 * that are added in order, NORM_LANES channels at a time; so the bits do not
 * depend on the number of threads.
 * Source: Ioffe and Szegedy 2015. SPDX-License-Identifier: MIT */
#include "loops.h"
#include "ops.h"
#include <math.h> /* sqrt: correctly rounded everywhere */

#define NORM_PARTS 16
#define NORM_LANES 128
#define NORM_ROWS 64 /* that a thread takes at a time */

MGI_FN void mgi_batchnorm_fold(mango_idx C, const float *w, const float *b,
                               const float *mean, const float *var, double eps, float *s,
                               float *t)
{
    for (mango_idx c = 0; c < C; c++) {
        const double scale = (w ? (double)w[c] : 1.0) / sqrt((double)var[c] + eps);
        s[c] = (float)scale;
        t[c] = (float)((b ? (double)b[c] : 0.0) - (double)mean[c] * scale);
    }
}

/* Two sums per channel, over all rows. */
typedef struct norm_sums {
    double a[NORM_LANES], b[NORM_LANES];
} norm_sums;

/* Both kinds of sums for channels c..c+m-1: dy NULL gives the moments of x
 * about `about`, else the products of dy with x - about. */
static void norm_reduce(mango_idx R, mango_idx C, mango_idx c, mango_idx m, const float *x,
                        const float *dy, const float *about, norm_sums *total)
{
    const mgi_loops *loops = mgi_loops_get();
    norm_sums part[NORM_PARTS];
    MGI_OMP(parallel for schedule(static) if (R * m >= MGI_GRAIN))
    for (mango_idx p = 0; p < NORM_PARTS; p++) {
        const mango_idx r0 = R * p / NORM_PARTS, r1 = R * (p + 1) / NORM_PARTS;
        memset(&part[p], 0, sizeof part[p]);
        if (dy)
            loops->norm_products(r1 - r0, C, m, x + r0 * C + c, dy + r0 * C + c, about + c,
                                 part[p].a, part[p].b);
        else /* a shift near the mean keeps the second sum exact enough */
            loops->norm_moments(r1 - r0, C, m, x + r0 * C + c, about + c, part[p].a, part[p].b);
    }
    *total = part[0];
    for (int p = 1; p < NORM_PARTS; p++) {
        for (mango_idx j = 0; j < m; j++) {
            total->a[j] += part[p].a[j];
            total->b[j] += part[p].b[j];
        }
    }
}

/* mean, rstd and the running statistics of channels c..c+m-1; about: row 0. */
static void norm_statistics(mango_idx R, mango_idx c, mango_idx m, const norm_sums *s,
                            const float *about, double eps, double momentum,
                            float *run_mean, float *run_var, float *mean, float *rstd)
{
    const double n = (double)R;
    for (mango_idx j = 0; j < m; j++) {
        const double d = s->a[j] / n, square = s->b[j] - s->a[j] * d;
        const double mu = (double)about[c + j] + d, var = square > 0.0 ? square / n : 0.0;
        mean[c + j] = (float)mu;
        rstd[c + j] = (float)(1.0 / sqrt(var + eps));
        const double unbiased = R > 1 ? var * n / (n - 1.0) : var;
        if (run_mean)
            run_mean[c + j] =
                (float)((1.0 - momentum) * (double)run_mean[c + j] + momentum * mu);
        if (run_var)
            run_var[c + j] =
                (float)((1.0 - momentum) * (double)run_var[c + j] + momentum * unbiased);
    }
}

/* y = (x - mean) * scale + shift, all rows; scale = w rstd in the caller's lanes. */
static void norm_apply(mango_idx R, mango_idx C, mango_idx m, const float *x,
                       const float *mean, const float *scale, const float *shift, float *y)
{
    const mgi_loops *loops = mgi_loops_get();
    MGI_OMP(parallel for schedule(static) if (R * m >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r += NORM_ROWS)
        loops->norm_apply(MGI_MIN(NORM_ROWS, R - r), C, m, x + r * C, mean, scale, shift,
                          y + r * C);
}

MGI_FN void mgi_batchnorm_train(mango_idx R, mango_idx C, const float *x, const float *w,
                                const float *b, double eps, double momentum,
                                float *run_mean, float *run_var, float *mean, float *rstd,
                                float *y)
{
    norm_sums s;
    float scale[NORM_LANES], shift[NORM_LANES];
    for (mango_idx c = 0; c < C; c += NORM_LANES) {
        const mango_idx m = MGI_MIN(NORM_LANES, C - c);
        norm_reduce(R, C, c, m, x, NULL, x, &s);
        norm_statistics(R, c, m, &s, x, eps, momentum, run_mean, run_var, mean, rstd);
        for (mango_idx j = 0; j < m; j++) {
            scale[j] = w ? w[c + j] * rstd[c + j] : rstd[c + j];
            shift[j] = b ? b[c + j] : 0.0f;
        }
        norm_apply(R, C, m, x + c, mean + c, scale, shift, y + c);
    }
}

/* dx = w rstd (dy - sum(dy)/R - (x - mean) rstd^2 sum(dy (x - mean))/R),
 * with k0 = w rstd, k1 = rstd^2 sum(dy (x - mean))/R, k2 = sum(dy)/R. */
static void norm_spread(mango_idx R, mango_idx C, mango_idx m, const float *x,
                        const float *dy, const float *mean, float (*k)[NORM_LANES],
                        float *dx)
{
    const mgi_loops *loops = mgi_loops_get();
    MGI_OMP(parallel for schedule(static) if (R * m >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r += NORM_ROWS)
        loops->norm_spread(MGI_MIN(NORM_ROWS, R - r), C, m, x + r * C, dy + r * C, mean, k[0],
                           k[1], k[2], dx + r * C);
}

MGI_FN void mgi_batchnorm_backward(mango_idx R, mango_idx C, const float *x, const float *w,
                                   const float *mean, const float *rstd, const float *dy,
                                   float *dx, float *dw, float *db)
{
    norm_sums s;
    float k[3][NORM_LANES];
    for (mango_idx c = 0; c < C; c += NORM_LANES) {
        const mango_idx m = MGI_MIN(NORM_LANES, C - c);
        norm_reduce(R, C, c, m, x, dy, mean, &s);
        for (mango_idx j = 0; j < m; j++) {
            const double rs = (double)rstd[c + j];
            k[0][j] = w ? w[c + j] * rstd[c + j] : rstd[c + j];
            k[1][j] = (float)(rs * rs * s.b[j] / (double)R);
            k[2][j] = (float)(s.a[j] / (double)R);
            if (dw)
                dw[c + j] += (float)(rs * s.b[j]);
            if (db)
                db[c + j] += (float)s.a[j];
        }
        if (dx)
            norm_spread(R, C, m, x + c, dy + c, mean + c, k, dx + c);
    }
}

#undef NORM_PARTS
#undef NORM_LANES
#undef NORM_ROWS

/* groupnorm.c - normalization over groups of channels of one map, a row or a pixel.
 *
 * A mean is taken first, then the squares about it, both in double and in one order; a
 * block belongs to one thread.
 * Sources: Ba et al. 2016 (layer), Ulyanov et al. 2016 (instance), Wu and He 2018 (group).
 * SPDX-License-Identifier: MIT */
#include "loops.h"
#include "rearrange.h"
#include "../base/threads.h"
#include <math.h> /* sqrt: correctly rounded everywhere */

#define GROUPNORM_LANES 128 /* channels side by side */
#define GROUPNORM_FEW 16    /* ... where threads share channels */
#define GROUPNORM_CHAINS 8  /* sums side by side over a row */

/* ---- statistics -------------------------------------------------------------------- */

/* What is known of m channels from c on of a block: mean and rstd of their groups. */
static void groupnorm_lanes(const mgi_groupnorm *g, const float *stat, mango_idx c, mango_idx m,
                            float *mean, float *rstd)
{
    const mango_idx size = g->C / g->G;
    mango_idx group = c / size, left = size - c % size; /* of the group */
    for (mango_idx j = 0; j < m; j++) {
        mean[j] = stat[group];
        rstd[j] = stat[g->G + group];
        if (--left == 0) {
            group++;
            left = size;
        }
    }
}

/* One pass over a block: sums of x - mean and of its square end each group. stat is
 * mean (G), rstd (G): the first pass leaves the mean, the second one the rest. */
static void groupnorm_pass(const mgi_groupnorm *g, int second, const float *x, float *stat)
{
    const mgi_loops *loops = mgi_loops_get();
    const mango_idx size = g->C / g->G;
    const double n = (double)(g->P * size);
    double s = 0.0, square = 0.0;
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_LANES) {
        double a[GROUPNORM_LANES] = {0.0}, b[GROUPNORM_LANES] = {0.0};
        float about[GROUPNORM_LANES] = {0.0f}, unused[GROUPNORM_LANES];
        const mango_idx m = MGI_MIN(GROUPNORM_LANES, g->C - c);
        if (second)
            groupnorm_lanes(g, stat, c, m, about, unused);
        loops->norm_moments(g->P, g->C, m, x + c, about, a, b);
        for (mango_idx j = 0; j < m; j++) {
            const mango_idx group = (c + j) / size;
            s += a[j];
            square += b[j];
            if ((c + j + 1) % size)
                continue;
            const double d = s / n, var = square / n - d * d;
            if (second)
                stat[g->G + group] = (float)(1.0 / sqrt((var > 0.0 ? var : 0.0) + g->eps));
            else
                stat[group] = (float)d;
            s = square = 0.0;
        }
    }
}

/* ---- one pixel, one group: a row of C values ---------------------------------------- */

static int groupnorm_is_row(const mgi_groupnorm *g)
{
    return g->P == 1 && g->G == 1;
}

/* GROUPNORM_CHAINS sums side by side, in a fixed order. */
static double groupnorm_total(const double *s)
{
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* Sums of x - about and of its square. */
static void groupnorm_row_moments(mango_idx C, const float *x, float about, double *sum,
                                  double *square)
{
    double s[GROUPNORM_CHAINS] = {0.0}, q[GROUPNORM_CHAINS] = {0.0};
    mango_idx c = 0;
    for (; c + GROUPNORM_CHAINS <= C; c += GROUPNORM_CHAINS)
        for (int j = 0; j < GROUPNORM_CHAINS; j++) {
            const double d = (double)x[c + j] - (double)about;
            s[j] += d;
            q[j] += d * d;
        }
    for (; c < C; c++) {
        const double d = (double)x[c] - (double)about;
        s[0] += d;
        q[0] += d * d;
    }
    *sum = groupnorm_total(s);
    *square = groupnorm_total(q);
}

static void groupnorm_row_statistics(const mgi_groupnorm *g, const float *x, float *stat)
{
    const double n = (double)g->C;
    double sum, square;
    groupnorm_row_moments(g->C, x, 0.0f, &sum, &square);
    stat[0] = (float)(sum / n);
    groupnorm_row_moments(g->C, x, stat[0], &sum, &square);
    const double d = sum / n, var = square / n - d * d;
    stat[1] = (float)(1.0 / sqrt((var > 0.0 ? var : 0.0) + g->eps));
}

static void groupnorm_row(const mgi_groupnorm *g, const float *stat, const float *x, float *y)
{
    const float mean = stat[0], rstd = stat[1];
    const float *w = g->w, *b = g->b;
    for (mango_idx c = 0; c < g->C; c++)
        y[c] = (x[c] - mean) * rstd;
    for (mango_idx c = 0; w && c < g->C; c++)
        y[c] *= w[c];
    for (mango_idx c = 0; b && c < g->C; c++)
        y[c] += b[c];
}

/* dx as below, of a row. */
static void groupnorm_row_back(const mgi_groupnorm *g, const float *stat, const float *x,
                               const float *dy, float *dx)
{
    const float mean = stat[0], rstd = stat[1];
    double a[GROUPNORM_CHAINS] = {0.0}, b[GROUPNORM_CHAINS] = {0.0};
    for (mango_idx c = 0; c < g->C; c++)
        dx[c] = g->w ? g->w[c] * dy[c] : dy[c];
    mango_idx c = 0;
    for (; c + GROUPNORM_CHAINS <= g->C; c += GROUPNORM_CHAINS)
        for (int j = 0; j < GROUPNORM_CHAINS; j++) {
            a[j] += (double)dx[c + j];
            b[j] += (double)dx[c + j] * ((double)x[c + j] - (double)mean);
        }
    for (; c < g->C; c++) {
        a[0] += (double)dx[c];
        b[0] += (double)dx[c] * ((double)x[c] - (double)mean);
    }
    const double n = (double)g->C, r2 = (double)rstd * (double)rstd;
    const float k1 = (float)(r2 * groupnorm_total(b) / n), k2 = (float)(groupnorm_total(a) / n);
    for (c = 0; c < g->C; c++)
        dx[c] = rstd * (dx[c] - k2 - (x[c] - mean) * k1);
}

static void groupnorm_statistics(const mgi_groupnorm *g, const float *x, float *stat)
{
    MGI_OMP(parallel for schedule(static) if (g->N * g->P * g->C >= MGI_GRAIN))
    for (mango_idx i = 0; i < g->N; i++) {
        float *own = stat + i * 2 * g->G;
        if (groupnorm_is_row(g)) {
            groupnorm_row_statistics(g, x + i * g->C, own);
            continue;
        }
        memset(own, 0, (size_t)(2 * g->G) * sizeof *own);
        groupnorm_pass(g, 0, x + i * g->P * g->C, own);
        groupnorm_pass(g, 1, x + i * g->P * g->C, own);
    }
}

/* ---- forward ----------------------------------------------------------------------- */

MGI_FN mango_idx mgi_groupnorm_work(mango_idx N, mango_idx G)
{
    return 2 * N * G;
}

/* v of m channels from c on at pixel p; v NULL: `none`. */
static void groupnorm_parameter(const mgi_groupnorm *g, const float *v, float none, mango_idx p,
                                mango_idx c, mango_idx m, float *out)
{
    for (mango_idx j = 0; j < m; j++)
        out[j] = !v                           ? none
                 : g->by == MGI_NORM_CHANNEL ? v[c + j]
                 : g->by == MGI_NORM_PIXEL   ? v[p]
                                             : v[(c + j) * g->P + p];
}

static void groupnorm_by_channel(const mgi_groupnorm *g, const float *stat, const float *x,
                                 float *y)
{
    const mgi_loops *loops = mgi_loops_get();
    float mean[GROUPNORM_LANES], scale[GROUPNORM_LANES], w[GROUPNORM_LANES];
    float shift[GROUPNORM_LANES];
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_LANES) {
        const mango_idx m = MGI_MIN(GROUPNORM_LANES, g->C - c);
        groupnorm_lanes(g, stat, c, m, mean, scale);
        groupnorm_parameter(g, g->w, 1.0f, 0, c, m, w);
        groupnorm_parameter(g, g->b, 0.0f, 0, c, m, shift);
        for (mango_idx j = 0; j < m; j++)
            scale[j] *= w[j];
        loops->norm_apply(g->P, g->C, m, x + c, mean, scale, shift, y + c);
    }
}

static void groupnorm_by_pixel(const mgi_groupnorm *g, const float *stat, const float *x,
                               float *y)
{
    float mean[GROUPNORM_LANES], rstd[GROUPNORM_LANES], w[GROUPNORM_LANES];
    float b[GROUPNORM_LANES];
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_LANES) {
        const mango_idx m = MGI_MIN(GROUPNORM_LANES, g->C - c);
        groupnorm_lanes(g, stat, c, m, mean, rstd);
        for (mango_idx p = 0; p < g->P; p++) {
            const float *in = x + p * g->C + c;
            float *out = y + p * g->C + c;
            groupnorm_parameter(g, g->w, 1.0f, p, c, m, w);
            groupnorm_parameter(g, g->b, 0.0f, p, c, m, b);
            for (mango_idx j = 0; j < m; j++)
                out[j] = (in[j] - mean[j]) * (rstd[j] * w[j]) + b[j];
        }
    }
}

MGI_FN void mgi_groupnorm_forward(const mgi_groupnorm *g, const float *x, float *y, float *work)
{
    const mango_idx n = g->P * g->C;
    groupnorm_statistics(g, x, work);
    MGI_OMP(parallel for schedule(static) if (g->N * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < g->N; i++)
        if (groupnorm_is_row(g) && g->by == MGI_NORM_CHANNEL)
            groupnorm_row(g, work + i * 2, x + i * n, y + i * n);
        else if (g->by == MGI_NORM_CHANNEL)
            groupnorm_by_channel(g, work + i * 2 * g->G, x + i * n, y + i * n);
        else
            groupnorm_by_pixel(g, work + i * 2 * g->G, x + i * n, y + i * n);
}

/* ---- backward ---------------------------------------------------------------------- */

/* Statistics, and for each group of each block k1 = rstd^2 sum(w dy (x - mean))/n and
 * k2 = sum(w dy)/n. */
MGI_FN mango_idx mgi_groupnorm_backward_work(mango_idx N, mango_idx G)
{
    return 4 * N * G;
}

static void groupnorm_products(const mgi_groupnorm *g, const float *stat, const float *x,
                               const float *dy, float *k)
{
    const mango_idx size = g->C / g->G;
    const double n = (double)(g->P * size);
    double s1 = 0.0, s2 = 0.0;
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_LANES) {
        double a[GROUPNORM_LANES] = {0.0}, b[GROUPNORM_LANES] = {0.0};
        float mean[GROUPNORM_LANES], rstd[GROUPNORM_LANES], w[GROUPNORM_LANES];
        const mango_idx m = MGI_MIN(GROUPNORM_LANES, g->C - c);
        groupnorm_lanes(g, stat, c, m, mean, rstd);
        for (mango_idx p = 0; p < g->P; p++) {
            const float *X = x + p * g->C + c, *D = dy + p * g->C + c;
            if (p == 0 || g->by != MGI_NORM_CHANNEL)
                groupnorm_parameter(g, g->w, 1.0f, p, c, m, w);
            for (mango_idx j = 0; j < m; j++) {
                const double d = (double)D[j] * (double)w[j];
                a[j] += d;
                b[j] += d * ((double)X[j] - (double)mean[j]);
            }
        }
        for (mango_idx j = 0; j < m; j++) {
            const mango_idx group = (c + j) / size;
            s1 += a[j];
            s2 += b[j];
            if ((c + j + 1) % size)
                continue;
            k[group] = (float)((double)rstd[j] * (double)rstd[j] * s2 / n);
            k[g->G + group] = (float)(s1 / n);
            s1 = s2 = 0.0;
        }
    }
}

/* dx = rstd (w dy - k2 - (x - mean) k1) */
static void groupnorm_spread(const mgi_groupnorm *g, const float *stat, const float *k,
                             const float *x, const float *dy, float *dx)
{
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_LANES) {
        float mean[GROUPNORM_LANES], rstd[GROUPNORM_LANES], w[GROUPNORM_LANES];
        float k1[GROUPNORM_LANES], k2[GROUPNORM_LANES];
        const mango_idx m = MGI_MIN(GROUPNORM_LANES, g->C - c);
        groupnorm_lanes(g, stat, c, m, mean, rstd);
        groupnorm_lanes(g, k, c, m, k1, k2);
        for (mango_idx p = 0; p < g->P; p++) {
            const mango_idx at = p * g->C + c;
            if (p == 0 || g->by != MGI_NORM_CHANNEL)
                groupnorm_parameter(g, g->w, 1.0f, p, c, m, w);
            for (mango_idx j = 0; j < m; j++)
                dx[at + j] = rstd[j] * (w[j] * dy[at + j] - k2[j] -
                                        (x[at + j] - mean[j]) * k1[j]);
        }
    }
}

/* Sums for the parameters over all blocks, at pixel p, of m channels from c on. */
static void groupnorm_sums(const mgi_groupnorm *g, const float *stat, const float *x,
                           const float *dy, mango_idx p, mango_idx c, mango_idx m, double *dw,
                           double *db)
{
    float mean[GROUPNORM_LANES], rstd[GROUPNORM_LANES];
    for (mango_idx i = 0; i < g->N; i++) {
        const mango_idx at = (i * g->P + p) * g->C + c;
        groupnorm_lanes(g, stat + i * 2 * g->G, c, m, mean, rstd);
        for (mango_idx j = 0; j < m; j++) {
            const double d = (double)dy[at + j];
            dw[j] += d * ((double)x[at + j] - (double)mean[j]) * (double)rstd[j];
            db[j] += d;
        }
    }
}

static void groupnorm_channels(const mgi_groupnorm *g, const float *stat, const float *x,
                               const float *dy, float *dw, float *db)
{
    MGI_OMP(parallel for schedule(static) if (g->N * g->P * g->C >= MGI_GRAIN))
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_FEW) {
        double a[GROUPNORM_FEW] = {0.0}, b[GROUPNORM_FEW] = {0.0};
        const mango_idx m = MGI_MIN(GROUPNORM_FEW, g->C - c);
        for (mango_idx p = 0; p < g->P; p++)
            groupnorm_sums(g, stat, x, dy, p, c, m, a, b);
        for (mango_idx j = 0; j < m; j++) {
            if (dw)
                dw[c + j] += (float)a[j];
            if (db)
                db[c + j] += (float)b[j];
        }
    }
}

static void groupnorm_pixel(const mgi_groupnorm *g, const float *stat, const float *x,
                            const float *dy, mango_idx p, float *dw, float *db)
{
    double w = 0.0, s = 0.0;
    for (mango_idx c = 0; c < g->C; c += GROUPNORM_LANES) {
        double a[GROUPNORM_LANES] = {0.0}, b[GROUPNORM_LANES] = {0.0};
        const mango_idx m = MGI_MIN(GROUPNORM_LANES, g->C - c);
        groupnorm_sums(g, stat, x, dy, p, c, m, a, b);
        for (mango_idx j = 0; j < m; j++) {
            w += a[j];
            s += b[j];
            if (g->by == MGI_NORM_BOTH && dw)
                dw[(c + j) * g->P + p] += (float)a[j];
            if (g->by == MGI_NORM_BOTH && db)
                db[(c + j) * g->P + p] += (float)b[j];
        }
    }
    if (g->by == MGI_NORM_PIXEL && dw)
        dw[p] += (float)w;
    if (g->by == MGI_NORM_PIXEL && db)
        db[p] += (float)s;
}

static void groupnorm_parameters(const mgi_groupnorm *g, const float *stat, const float *x,
                                 const float *dy, float *dw, float *db)
{
    if (g->by == MGI_NORM_CHANNEL) {
        groupnorm_channels(g, stat, x, dy, dw, db);
        return;
    }
    MGI_OMP(parallel for schedule(static) if (g->N * g->P * g->C >= MGI_GRAIN))
    for (mango_idx p = 0; p < g->P; p++)
        groupnorm_pixel(g, stat, x, dy, p, dw, db);
}

MGI_FN void mgi_groupnorm_backward(const mgi_groupnorm *g, const float *x, const float *dy,
                                   float *dx, float *dw, float *db, float *work)
{
    const mango_idx n = g->P * g->C, G2 = 2 * g->G;
    float *k = work + g->N * G2;
    groupnorm_statistics(g, x, work);
    if (dw || db)
        groupnorm_parameters(g, work, x, dy, dw, db);
    MGI_OMP(parallel for schedule(static) if (g->N * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < g->N; i++) {
        if (!dx)
            continue;
        if (groupnorm_is_row(g) && g->by == MGI_NORM_CHANNEL) {
            groupnorm_row_back(g, work + i * 2, x + i * n, dy + i * n, dx + i * n);
            continue;
        }
        groupnorm_products(g, work + i * G2, x + i * n, dy + i * n, k + i * G2);
        groupnorm_spread(g, work + i * G2, k + i * G2, x + i * n, dy + i * n, dx + i * n);
    }
}

#undef GROUPNORM_LANES
#undef GROUPNORM_FEW
#undef GROUPNORM_CHAINS

/* controls_level.c - mean luminance, RMS contrast and total variation of a picture, brought
 * to what is asked for. Under the mask m, with L = 0.299 R + 0.587 G + 0.114 B in [0,1]:
 *
 *   luminance  M = sum m L / sum m                                                   (1)
 *   contrast   S = sqrt(sum m (L - M)^2 / sum m)                                     (2)
 *   variation  V = 1/(C H W) sum |x[y,x+1] - x[y,x]| + |x[y+1,x] - x[y,x]|           (3)
 *
 * Luminance and contrast are set by x' = M' + S'/S (x - M) in every channel, cut to [0,1];
 * since the cut moves them this is done until both are met to 1e-4, at most 20 times: a
 * picture that is black and white already may stay off. The variation is a limit, kept by a
 * projection: the picture is blurred by 1 2 1 along both axes as often as needed, the last
 * time in part, luminance and contrast being set behind each blur. What is above the limit
 * still after 64 blurs is drawn towards its mean, at the cost of the contrast.
 * SPDX-License-Identifier: MIT */
#include "controls.h"
#include <math.h>

#define LEVEL_PASSES 20
#define LEVEL_NEAR 1e-4
#define LEVEL_BLURS 64
#define LEVEL_HALVES 12

static double level_of(const mgi_controls *q, const double *x, mango_idx p)
{
    const mango_idx n = q->h * q->w;
    return q->C == 3 ? 0.299 * x[p] + 0.587 * x[n + p] + 0.114 * x[2 * n + p] : x[p];
}

/* (1), (2) */
static void level_measure(const mgi_controls *q, const double *x, double *M, double *S)
{
    double area = 0.0, sum = 0.0, square = 0.0;
    for (mango_idx p = 0; p < q->h * q->w; p++) {
        area += q->mask[p];
        sum += q->mask[p] * level_of(q, x, p);
    }
    *M = area > 0.0 ? sum / area : 0.0;                                         /* (1) */
    for (mango_idx p = 0; p < q->h * q->w; p++) {
        const double off = level_of(q, x, p) - *M;
        square += q->mask[p] * off * off;
    }
    *S = area > 0.0 ? sqrt(square / area) : 0.0;                                /* (2) */
}

/* x -> to + gain (x - from), cut to [0,1]. */
static void level_move(const mgi_controls *q, double *x, double from, double to, double gain)
{
    for (mango_idx i = 0; i < q->size; i++) {
        const double v = to + gain * (x[i] - from);
        x[i] = v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v;
    }
}

/* Luminance and contrast, as far as they are asked for. */
static void level_set(const mgi_controls *q, double *x)
{
    const double luminance = q->c.luminance, contrast = q->c.contrast;
    for (int pass = 0; pass < LEVEL_PASSES && (luminance >= 0.0 || contrast >= 0.0); pass++) {
        double M, S;
        level_measure(q, x, &M, &S);
        const double to = luminance >= 0.0 ? luminance : M;
        const double gain = contrast >= 0.0 && S > 1e-6 ? contrast / S : 1.0;
        if (fabs(M - to) < LEVEL_NEAR && (contrast < 0.0 || fabs(S - contrast) < LEVEL_NEAR))
            return;
        level_move(q, x, M, to, gain);
    }
}

/* (3) */
static double level_variation(const mgi_controls *q, const double *x)
{
    double sum = 0.0;
    for (mango_idx i = 0; i < q->size; i++) {
        const mango_idx p = i % (q->h * q->w);
        sum += p % q->w + 1 < q->w ? fabs(x[i + 1] - x[i]) : 0.0;
        sum += p / q->w + 1 < q->h ? fabs(x[i + q->w] - x[i]) : 0.0;
    }
    return sum / (double)q->size;                                               /* (3) */
}

/* y = x blurred by 1 2 1 along both axes, the rim repeated. */
static void level_blur(const mgi_controls *q, const double *x, double *y)
{
    const mango_idx h = q->h, w = q->w;
    for (mango_idx i = 0; i < q->size; i++) {
        const mango_idx row = i / w % h, col = i % w;
        const double *map = x + i / (h * w) * (h * w);
        double sum = 0.0;
        for (int dy = -1; dy <= 1; dy++)
            for (int dx = -1; dx <= 1; dx++) {
                const mango_idx r = MGI_MIN(MGI_MAX(row + dy, 0), h - 1);
                const mango_idx c = MGI_MIN(MGI_MAX(col + dx, 0), w - 1);
                sum += (dy ? 0.25 : 0.5) * (dx ? 0.25 : 0.5) * map[r * w + c];
            }
        y[i] = sum;
    }
}

/* q->x = what lies `share` of the way from a to b, its levels set; its variation. */
static double level_between(mgi_controls *q, const double *a, const double *b, double share)
{
    for (mango_idx i = 0; i < q->size; i++)
        q->x[i] = a[i] + share * (b[i] - a[i]);
    level_set(q, q->x);
    return level_variation(q, q->x);
}

/* The limit, by blurs: from q->soft towards q->softer. */
static void level_project(mgi_controls *q)
{
    double V = level_between(q, q->soft, q->soft, 0.0), low = 0.0, high = 1.0;
    for (int blur = 0; blur < LEVEL_BLURS && V > q->c.tv; blur++) {
        memcpy(q->part, q->soft, (size_t)q->size * sizeof *q->part);
        level_blur(q, q->part, q->softer);
        V = level_between(q, q->part, q->softer, 1.0);
        memcpy(q->soft, q->softer, (size_t)q->size * sizeof *q->soft);
        if (V > q->c.tv)
            continue;
        for (int half = 0; half < LEVEL_HALVES; half++) {
            const double share = 0.5 * (low + high);
            if (level_between(q, q->part, q->softer, share) > q->c.tv)
                low = share;
            else
                high = share;
        }
        V = level_between(q, q->part, q->softer, high);
    }
    if (V > q->c.tv) {
        double M, S;
        level_measure(q, q->x, &M, &S);
        level_move(q, q->x, M, M, q->c.tv / V);
    }
}

MGI_FN void mgi_controls_level(mgi_controls *q)
{
    if (q->c.tv == 0.0) {
        level_set(q, q->x);
        return;
    }
    memcpy(q->soft, q->x, (size_t)q->size * sizeof *q->soft);
    level_project(q);
}

#undef LEVEL_PASSES
#undef LEVEL_NEAR
#undef LEVEL_BLURS
#undef LEVEL_HALVES

/* op_lrn.c - local response normalization across channels, as AlexNet's:
 *     y[c] = x[c] / D[c]^beta,  D[c] = k + alpha/size sum of x[j]^2 over the `size` channels
 * around c, the lower half of them rounded down; what lies beyond the first and the last is 0.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "graph.h"

static const mgi_attr lrn_attr[] = {
    {"size", MGI_ATTR_INT, 0, MGI_ATTR_AT(dims), 1, 1 << 20, 0, 0},
    {"alpha", MGI_ATTR_REAL, 0, MGI_ATTR_AT(number[0]), 0, 1e6, 0, 0},
    {"beta", MGI_ATTR_REAL, 0, MGI_ATTR_AT(number[1]), 0, 100, 0, 0},
    {"k", MGI_ATTR_REAL, 0, MGI_ATTR_AT(eps), 1e-6, 1e6, 0, 0},
    {0},
};

static void lrn_defaults(mgi_node *q)
{
    q->dims = 5;
    q->number[0] = 1e-4;
    q->number[1] = 0.75;
    q->eps = 1;
}

/* The channels from *lo to *hi - 1 around c. */
static void lrn_window(const mgi_node *q, mango_idx c, mango_idx *lo, mango_idx *hi)
{
    const mango_idx before = (q->dims - 1) / 2;
    *lo = MGI_MAX(c - before, 0);
    *hi = MGI_MIN(c - before + q->dims, q->C);
}

/* D of channel c of a pixel x (C). */
static double lrn_base(const mgi_node *q, const float *x, mango_idx c)
{
    mango_idx lo, hi;
    double sum = 0.0;
    lrn_window(q, c, &lo, &hi);
    for (mango_idx j = lo; j < hi; j++)
        sum += (double)x[j] * (double)x[j];
    return q->eps + q->number[0] / q->dims * sum;
}

static void lrn_forward(const mgi_op_run *r)
{
    const mgi_node *q = r->g;
    const mango_idx R = r->N * q->H * q->W, C = q->C;
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < R; i++) {
        const float *x = r->x[0] + i * C;
        float *y = r->y + i * C;
        for (mango_idx c = 0; c < C; c++)
            y[c] = (float)((double)x[c] * mgi_pow(lrn_base(q, x, c), -q->number[1]));
    }
}

/* dx[c] = dy[c] D[c]^-beta - 2 alpha beta/size x[c] sum over j around c of
 * dy[j] x[j] D[j]^(-beta - 1); channels j ascending */
static void lrn_gradient(const mgi_op_grad *r)
{
    const mgi_node *q = r->g;
    const mango_idx R = r->N * q->H * q->W, C = q->C;
    const double scale = 2 * q->number[0] * q->number[1] / q->dims;
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < R; i++) {
        const float *x = r->x + i * C, *dy = r->dy + i * C;
        float *dx = r->dx + i * C;
        memset(dx, 0, (size_t)C * sizeof *dx);
        for (mango_idx j = 0; j < C; j++) {
            mango_idx lo, hi;
            const double D = lrn_base(q, x, j), p = (double)dy[j] * mgi_pow(D, -q->number[1]);
            const double t = scale * (double)x[j] * p / D;
            lrn_window(q, j, &lo, &hi);
            for (mango_idx c = lo; c < hi; c++)
                dx[c] = (float)((double)dx[c] + (c == j ? p : 0) - t * (double)x[c]);
        }
    }
}

MGI_DATA const mgi_op mgi_op_lrn = {
    .name = "lrn",
    .about = "y = x / (k + alpha/size sum x^2)^beta, the sum over channels around each.",
    .shapes = "CxHxW -> CxHxW",
    .keys = "size how many channels are summed\nalpha the weight of their mean square\n"
            "beta the power\nk what is added",
    .least = 1,
    .most = 1,
    .attr = lrn_attr,
    .defaults = lrn_defaults,
    .forward = lrn_forward,
    .gradient = lrn_gradient,
    .reads_x = 1};

/* op_logsoftmax.c - the logarithm of a softmax over the channels of each pixel.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "graph.h"

/* y = x - max - log(sum exp(x - max)), the sum in double, channels ascending. */
static void logsoftmax_forward(const mgi_op_run *r)
{
    const mango_idx R = r->N * r->g->H * r->g->W, C = r->g->C;
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < R; i++) {
        const float *x = r->x[0] + i * C;
        float *y = r->y + i * C, top = x[0];
        double sum = 0.0;
        for (mango_idx c = 1; c < C; c++)
            top = MGI_MAX(top, x[c]);
        for (mango_idx c = 0; c < C; c++)
            sum += (double)mgi_expf(x[c] - top);
        const double all = (double)top + mgi_log(sum);
        for (mango_idx c = 0; c < C; c++)
            y[c] = (float)((double)x[c] - all);
    }
}

/* dx = dy - exp(y) sum dy */
static void logsoftmax_gradient(const mgi_op_grad *r)
{
    const mango_idx R = r->N * r->g->H * r->g->W, C = r->g->C;
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < R; i++) {
        const float *y = r->y + i * C, *dy = r->dy + i * C;
        float *dx = r->dx + i * C;
        double sum = 0.0;
        for (mango_idx c = 0; c < C; c++)
            sum += (double)dy[c];
        for (mango_idx c = 0; c < C; c++)
            dx[c] = (float)((double)dy[c] - (double)mgi_expf(y[c]) * sum);
    }
}

MGI_DATA const mgi_op mgi_op_logsoftmax = {
    .name = "logsoftmax",
    .about = "x, less the logarithm of the sum of exp(x) over the channels of each pixel.",
    .shapes = "CxHxW -> CxHxW",
    .least = 1,
    .most = 1,
    .forward = logsoftmax_forward,
    .gradient = logsoftmax_gradient,
    .reads_y = 1};

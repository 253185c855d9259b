/* op_gelu.c - y = x Phi(x), Phi the normal distribution: x/2 (1 + erf(x / sqrt 2)), exact
 * form; dy/dx = Phi(x) + x phi(x) (Hendrycks and Gimpel 2016). mode=tanh: their
 * approximation, see math/curves.h.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../math/curves.h"
#include "graph.h"

#define GELU_SQRT_HALF 0.70710678118654752440
#define GELU_DENSITY 0.39894228040143267794 /* 1/sqrt(2 pi) */
#define GELU_GRAIN 512 /* values: an erf takes as long as a small product */

static int gelu_is_tanh(const mgi_node *q)
{
    return q->mode == 1;
}

static const mgi_attr gelu_attr[] = {
    {"mode", MGI_ATTR_WORD, 0, MGI_ATTR_AT(mode), 0, 0, "exact|tanh", gelu_is_tanh},
    {0},
};

static double gelu_phi(double x)
{
    return 0.5 * (1.0 + mgi_erf(x * GELU_SQRT_HALF));
}

static void gelu_forward(const mgi_op_run *r)
{
    const mango_idx n = r->N * r->g->C * r->g->H * r->g->W;
    if (gelu_is_tanh(r->g)) {
        mgi_curve_forward(MGI_CURVE_GELU_TANH, 0, 0, n, r->x[0], r->y);
        return;
    }
    MGI_OMP(parallel for if (n >= GELU_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        const double x = (double)r->x[0][i];
        r->y[i] = (float)(x * gelu_phi(x));
    }
}

static void gelu_gradient(const mgi_op_grad *r)
{
    const mango_idx n = r->N * r->g->C * r->g->H * r->g->W;
    if (gelu_is_tanh(r->g)) {
        mgi_curve_backward(MGI_CURVE_GELU_TANH, 0, 0, n, r->x, r->dy, r->dx);
        return;
    }
    MGI_OMP(parallel for if (n >= GELU_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        const double x = (double)r->x[i];
        const double slope = gelu_phi(x) + x * GELU_DENSITY * mgi_exp(-0.5 * x * x);
        r->dx[i] = (float)((double)r->dy[i] * slope);
    }
}

MGI_DATA const mgi_op mgi_op_gelu = {
    .name = "gelu",
    .about = "y = x Phi(x), Phi the normal distribution.",
    .shapes = "CxHxW -> CxHxW",
    .keys = "mode tanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
    .least = 1,
    .most = 1,
    .attr = gelu_attr,
    .forward = gelu_forward,
    .gradient = gelu_gradient,
    .reads_x = 1,
    .in_place = 1,
    .same_grad = 1};

#undef GELU_SQRT_HALF
#undef GELU_DENSITY
#undef GELU_GRAIN

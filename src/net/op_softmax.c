/* op_softmax.c - softmax over the channels of each pixel.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static void softmax_forward(const mgi_op_run *r)
{
    mgi_softmax(r->N * r->g->H * r->g->W, r->g->C, r->x[0], r->y);
}

static void softmax_gradient(const mgi_op_grad *r)
{
    mgi_softmax_backward(r->N * r->g->H * r->g->W, r->g->C, r->y, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_softmax = {
    .name = "softmax",
    .about = "exp(x), divided by its sum over the channels of each pixel.",
    .shapes = "CxHxW -> CxHxW",
    .least = 1,
    .most = 1,
    .forward = softmax_forward,
    .gradient = softmax_gradient,
    .reads_y = 1};

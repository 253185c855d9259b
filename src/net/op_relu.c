/* op_relu.c - y = max(x, 0).
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static void relu_forward(const mgi_op_run *r)
{
    mgi_relu(r->N * r->g->C * r->g->H * r->g->W, r->x[0], r->y);
}

static void relu_gradient(const mgi_op_grad *r)
{
    mgi_relu_backward(r->N * r->g->C * r->g->H * r->g->W, r->y, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_relu = {
    .name = "relu",
    .about = "y = max(x, 0).",
    .shapes = "CxHxW -> CxHxW",
    .least = 1,
    .most = 1,
    .forward = relu_forward,
    .gradient = relu_gradient,
    .reads_y = 1,
    .in_place = 1,
    .same_grad = 1};

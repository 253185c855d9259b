/* op_tanh.c - y = tanh x.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static void tanh_forward(const mgi_op_run *r)
{
    mgi_tanh(r->N * r->g->C * r->g->H * r->g->W, r->x[0], r->y);
}

static void tanh_gradient(const mgi_op_grad *r)
{
    mgi_tanh_backward(r->N * r->g->C * r->g->H * r->g->W, r->y, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_tanh = {
    .name = "tanh",
    .about = "y = tanh x.",
    .shapes = "CxHxW -> CxHxW",
    .least = 1,
    .most = 1,
    .forward = tanh_forward,
    .gradient = tanh_gradient,
    .reads_y = 1,
    .same_grad = 1};

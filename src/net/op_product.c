/* op_product.c - differences and products of maps: sub, mul. (Sums: op_add.c.)
 * SPDX-License-Identifier: MIT */
#include "../math/rearrange.h"
#include "op_merge.h"

static void product_forward(const mgi_op_run *r)
{
    mgi_op_merge(r->g->kind == MGI_SUB ? MGI_MERGE_SUB : MGI_MERGE_MUL, r);
}

static void product_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_merge_op op = t->net->node[i].kind == MGI_SUB ? MGI_MERGE_SUB : MGI_MERGE_MUL;
    (void)spare;
    (void)work;
    mgi_op_merge_backward(op, t, i);
}

MGI_DATA const mgi_op mgi_op_sub = {
    .name = "sub",
    .least = 2,
    .most = 2,
    .about = "The first input minus the second. An axis of size 1 is repeated.",
    .shapes = "CxHxW, CxHxW -> CxHxW; or an input of Cx1x1, 1xHxW, 1x1x1",
    .shape = mgi_op_merge_shape,
    .forward = product_forward,
    .backward = product_backward,
    .adds = 1};
MGI_DATA const mgi_op mgi_op_mul = {
    .name = "mul",
    .least = 2,
    .most = MGI_MAX_INPUTS,
    .about = "The product of all inputs. An axis of size 1 is repeated: a gate.",
    .shapes = "CxHxW, CxHxW .. -> CxHxW; or inputs of Cx1x1, 1xHxW, 1x1x1",
    .shape = mgi_op_merge_shape,
    .forward = product_forward,
    .backward = product_backward,
    .adds = 1,
    .reads_x = 1};

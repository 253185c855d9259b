/* op_rearrange.c - the same values in another order, or some of them: transpose, flatten,
 * pixelshuffle, pixelunshuffle, slice.
 * SPDX-License-Identifier: MIT */
#include "../math/rearrange.h"
#include "../math/ops.h"
#include "graph.h"

/* ---- transpose ----------------------------------------------------------------------- */

#define REARRANGE_ORDERS "chw|cwh|hcw|hwc|wch|whc"

static const mgi_attr rearrange_order_attr[] = {
    {"order", MGI_ATTR_WORD, 1, MGI_ATTR_AT(mode), 0, 0, REARRANGE_ORDERS, 0},
    {0},
};

/* The input's axis (0: C, 1: H, 2: W) that each axis of the output is. */
static void rearrange_order(const mgi_node *q, int order[3])
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 3; i++)
        order[i] = orders[q->mode][i];
}

static mango_status rearrange_transpose_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    const mango_idx in[3] = {x->C, x->H, x->W};
    int order[3];
    (void)err;
    rearrange_order(q, order);
    q->C = in[order[0]];
    q->H = in[order[1]];
    q->W = in[order[2]];
    return MANGO_OK;
}

static void rearrange_transpose(const mgi_op_run *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    const mango_idx in[3] = {x->C, x->H, x->W};
    int order[3];
    rearrange_order(r->g, order);
    mgi_reorder(r->N, in, order, r->x[0], r->y);
}

static void rearrange_transpose_gradient(const mgi_op_grad *r)
{
    const mango_idx in[3] = {r->g->C, r->g->H, r->g->W};
    int order[3], back[3];
    rearrange_order(r->g, order);
    for (int i = 0; i < 3; i++)
        back[order[i]] = i;
    mgi_reorder(r->N, in, back, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_transpose = {
    .name = "transpose",
    .least = 1,
    .most = 1,
    .about = "The axes in another order: those of the input, read as the new (C,H,W).",
    .shapes = "CxHxW -> the same three sizes in the order named",
    .keys = "order hwc: the new channels are the old rows",
    .attr = rearrange_order_attr,
    .shape = rearrange_transpose_shape,
    .forward = rearrange_transpose,
    .gradient = rearrange_transpose_gradient};

/* ---- flatten ------------------------------------------------------------------------- */

enum { REARRANGE_CHW, REARRANGE_HWC };

static const mgi_attr rearrange_flatten_attr[] = {
    {"order", MGI_ATTR_WORD, 0, MGI_ATTR_AT(mode), 0, 0, "chw|hwc", 0},
    {0},
};

static mango_status rearrange_flatten_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    (void)err;
    q->C = x->C * x->H * x->W;
    q->H = q->W = 1;
    return MANGO_OK;
}

static void rearrange_flatten(const mgi_op_run *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    if (r->g->mode == REARRANGE_CHW)
        mgi_to_nchw(r->N, x->C, x->H * x->W, r->x[0], r->y);
    else
        memcpy(r->y, r->x[0], (size_t)(r->N * r->g->C) * sizeof *r->y);
}

static void rearrange_flatten_gradient(const mgi_op_grad *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    if (r->g->mode == REARRANGE_CHW)
        mgi_to_nhwc(r->N, x->C, x->H * x->W, r->dy, r->dx);
    else
        memcpy(r->dx, r->dy, (size_t)(r->N * r->g->C) * sizeof *r->dx);
}

MGI_DATA const mgi_op mgi_op_flatten = {
    .name = "flatten",
    .least = 1,
    .most = 1,
    .about = "All values of a map as one vector.",
    .shapes = "CxHxW -> (C H W)",
    .keys = "order chw: as PyTorch has them, channel by channel; hwc: pixel by pixel",
    .attr = rearrange_flatten_attr,
    .shape = rearrange_flatten_shape,
    .forward = rearrange_flatten,
    .gradient = rearrange_flatten_gradient};

/* ---- pixelshuffle -------------------------------------------------------------------- */

static const mgi_attr rearrange_shuffle_attr[] = {
    {"factor", MGI_ATTR_INT, 0, MGI_ATTR_AT(shuffle), 1, 256, 0, 0},
    {0},
};

static void rearrange_shuffle_defaults(mgi_node *q)
{
    q->shuffle = 2;
}

static mango_status rearrange_shuffle_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    const mango_idx r = q->shuffle;
    if (x->C % (r * r))
        return mgi_shape_bad(q, x, "its channels do not part into factor x factor pixels", err);
    q->C = x->C / (r * r);
    q->H = x->H * r;
    q->W = x->W * r;
    return MANGO_OK;
}

static mango_status rearrange_unshuffle_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    const mango_idx r = q->shuffle;
    if (x->H % r || x->W % r)
        return mgi_shape_bad(q, x, "factor does not divide its height and width", err);
    q->C = x->C * r * r;
    q->H = x->H / r;
    q->W = x->W / r;
    return MANGO_OK;
}

static void rearrange_shuffle(const mgi_op_run *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    mgi_shuffle(r->N, r->g->C, x->H, x->W, r->g->shuffle, r->x[0], r->y);
}

static void rearrange_shuffle_gradient(const mgi_op_grad *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    mgi_unshuffle(r->N, r->g->C, x->H, x->W, r->g->shuffle, r->dy, r->dx);
}

static void rearrange_unshuffle(const mgi_op_run *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    mgi_unshuffle(r->N, x->C, r->g->H, r->g->W, r->g->shuffle, r->x[0], r->y);
}

static void rearrange_unshuffle_gradient(const mgi_op_grad *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    mgi_shuffle(r->N, x->C, r->g->H, r->g->W, r->g->shuffle, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_pixelshuffle = {
    .name = "pixelshuffle",
    .least = 1,
    .most = 1,
    .about = "Channels become pixels: c r^2 + i r + j is pixel (i,j) of a block of channel c.",
    .shapes = "(C r^2)xHxW -> Cx(r H)x(r W)",
    .keys = "factor r, how many times larger",
    .attr = rearrange_shuffle_attr,
    .defaults = rearrange_shuffle_defaults,
    .shape = rearrange_shuffle_shape,
    .forward = rearrange_shuffle,
    .gradient = rearrange_shuffle_gradient};
MGI_DATA const mgi_op mgi_op_pixelunshuffle = {
    .name = "pixelunshuffle",
    .least = 1,
    .most = 1,
    .about = "Pixels become channels: the way back from pixelshuffle.",
    .shapes = "Cx(r H)x(r W) -> (C r^2)xHxW",
    .keys = "factor r, how many times smaller",
    .attr = rearrange_shuffle_attr,
    .defaults = rearrange_shuffle_defaults,
    .shape = rearrange_unshuffle_shape,
    .forward = rearrange_unshuffle,
    .gradient = rearrange_unshuffle_gradient};

/* ---- slice --------------------------------------------------------------------------- */

static const mgi_attr rearrange_slice_attr[] = {
    {"from", MGI_ATTR_IDX, 0, MGI_ATTR_AT(from), 0, 1 << 20, 0, 0},
    {"to", MGI_ATTR_IDX, 1, MGI_ATTR_AT(to), 1, 1 << 20, 0, 0},
    {0},
};

static mango_status rearrange_slice_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    if (q->from >= q->to || q->to > x->C)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: input '%s' of shape %tdx%tdx%td: from=%td to=%td is no range "
                        "of its channels",
                        q->name, x->name, x->C, x->H, x->W, q->from, q->to);
    mgi_shape_copy(q, x);
    q->C = q->to - q->from;
    return MANGO_OK;
}

static void rearrange_slice(const mgi_op_run *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    mgi_columns(r->N * x->H * x->W, x->C, r->g->from, r->g->C, r->x[0], r->y);
}

static void rearrange_slice_gradient(const mgi_op_grad *r)
{
    const mgi_node *x = &r->net->node[r->g->in[0]];
    mgi_columns_backward(r->N * x->H * x->W, x->C, r->g->from, r->g->C, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_slice = {.name = "slice",
                                    .least = 1,
                                    .most = 1,
                                    .about = "Channels from .. to - 1.",
                                    .shapes = "CxHxW -> (to - from)xHxW",
                                    .keys = "from the first channel\nto the one after the last",
                                    .attr = rearrange_slice_attr,
                                    .shape = rearrange_slice_shape,
                                    .forward = rearrange_slice,
                                    .gradient = rearrange_slice_gradient};

#undef REARRANGE_ORDERS

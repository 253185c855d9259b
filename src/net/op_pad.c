/* op_pad.c - a window over a map, larger or smaller than it: pad, crop.
 * SPDX-License-Identifier: MIT */
#include "../math/rearrange.h"
#include "graph.h"

#define PAD_MOST 4096

enum { PAD_LEFT, PAD_RIGHT, PAD_TOP, PAD_BOTTOM };

static const mgi_attr pad_attr[] = {
    {"left", MGI_ATTR_INT, 0, MGI_ATTR_AT(side[PAD_LEFT]), 0, PAD_MOST, 0, 0},
    {"right", MGI_ATTR_INT, 0, MGI_ATTR_AT(side[PAD_RIGHT]), 0, PAD_MOST, 0, 0},
    {"top", MGI_ATTR_INT, 0, MGI_ATTR_AT(side[PAD_TOP]), 0, PAD_MOST, 0, 0},
    {"bottom", MGI_ATTR_INT, 0, MGI_ATTR_AT(side[PAD_BOTTOM]), 0, PAD_MOST, 0, 0},
    {"mode", MGI_ATTR_WORD, 0, MGI_ATTR_AT(mode), 0, 0, "constant|reflect|replicate|circular",
     0},
    {"value", MGI_ATTR_REAL, 0, MGI_ATTR_AT(number[0]), -1e30, 1e30, 0, 0},
    {0},
};
static const mgi_attr pad_crop_attr[] = {
    {"top", MGI_ATTR_INT, 0, MGI_ATTR_AT(side[PAD_TOP]), 0, 1 << 20, 0, 0},
    {"left", MGI_ATTR_INT, 0, MGI_ATTR_AT(side[PAD_LEFT]), 0, 1 << 20, 0, 0},
    {"size", MGI_ATTR_SIZE, 1, MGI_ATTR_AT(size), 1, 1 << 20, 0, 0},
    {0},
};

/* May an axis of n values be continued by so many at either end? */
static int pad_fits(int mode, mango_idx n, int before, int after)
{
    const int most = MGI_MAX(before, after);
    return mode == MGI_PAD_REFLECT ? most < n : mode == MGI_PAD_CIRCULAR ? most <= n : 1;
}

static mango_status pad_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    const int *s = q->side;
    mgi_shape_copy(q, x);
    if (!pad_fits(q->mode, x->W, s[PAD_LEFT], s[PAD_RIGHT]) ||
        !pad_fits(q->mode, x->H, s[PAD_TOP], s[PAD_BOTTOM]))
        return mgi_shape_bad(q, x,
                             q->mode == MGI_PAD_REFLECT
                                 ? "mode=reflect pads by less than the map's size"
                                 : "mode=circular pads by the map's size at most",
                             err);
    q->W += s[PAD_LEFT] + s[PAD_RIGHT];
    q->H += s[PAD_TOP] + s[PAD_BOTTOM];
    return MANGO_OK;
}

static mango_status pad_crop_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mgi_shape_copy(q, x);
    if (q->side[PAD_TOP] + q->size[0] > x->H || q->side[PAD_LEFT] + q->size[1] > x->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: input '%s' of shape %tdx%tdx%td: no %tdx%td pixels from row "
                        "%d, column %d on",
                        q->name, x->name, x->C, x->H, x->W, q->size[0], q->size[1],
                        q->side[PAD_TOP], q->side[PAD_LEFT]);
    q->H = q->size[0];
    q->W = q->size[1];
    return MANGO_OK;
}

static mgi_window pad_window(const mango_net *net, const mgi_node *q)
{
    const mgi_node *x = &net->node[q->in[0]];
    const int sign = q->kind == MGI_CROP ? -1 : 1;
    const mgi_window w = {.C = x->C,
                          .H = x->H,
                          .W = x->W,
                          .OH = q->H,
                          .OW = q->W,
                          .top = sign * q->side[PAD_TOP],
                          .left = sign * q->side[PAD_LEFT],
                          .mode = (mgi_pad_mode)q->mode,
                          .value = (float)q->number[0]};
    return w;
}

static void pad_forward(const mgi_op_run *r)
{
    const mgi_window w = pad_window(r->net, r->g);
    mgi_window_forward(&w, r->N, r->x[0], r->y);
}

static void pad_gradient(const mgi_op_grad *r)
{
    const mgi_window w = pad_window(r->net, r->g);
    mgi_window_backward(&w, r->N, r->dy, r->dx);
}

MGI_DATA const mgi_op mgi_op_pad = {
    .name = "pad",
    .least = 1,
    .most = 1,
    .about = "The map with rows and columns added around it.",
    .shapes = "CxHxW -> Cx(top+H+bottom)x(left+W+right)",
    .keys = "left columns added before\nright columns added behind\ntop rows added above\n"
            "bottom rows added below\n"
            "mode constant: value; reflect: mirrored, without the edge; replicate: the edge; "
            "circular: the map again\n"
            "value what stands there, of mode=constant",
    .attr = pad_attr,
    .shape = pad_shape,
    .forward = pad_forward,
    .gradient = pad_gradient};
MGI_DATA const mgi_op mgi_op_crop = {.name = "crop",
                                   .least = 1,
                                   .most = 1,
                                   .about = "A part of each map.",
                                   .shapes = "CxHxW -> Cx(size)",
                                   .keys = "top the first row\nleft the first column\n"
                                           "size height and width",
                                   .attr = pad_crop_attr,
                                   .shape = pad_crop_shape,
                                   .forward = pad_forward,
                                   .gradient = pad_gradient};

#undef PAD_MOST

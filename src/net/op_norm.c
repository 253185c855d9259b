/* op_norm.c - normalization of each map by itself: layernorm, groupnorm, instancenorm.
 * SPDX-License-Identifier: MIT */
#include "../math/rearrange.h"
#include "tape.h"

enum { NORM_OVER_DIMS, NORM_OVER_CHANNELS };

#define NORM_COMMON                                                                            \
    {"eps", MGI_ATTR_REAL, 0, MGI_ATTR_AT(eps), 1e-30, 1, 0, 0},                               \
        {"weight", MGI_ATTR_INT, 0, MGI_ATTR_AT(affine), 0, 1, 0, 0},                          \
        {"bias", MGI_ATTR_INT, 0, MGI_ATTR_AT(bias), 0, 1, 0, 0}, MGI_ATTR_PARAM,              \
    {                                                                                          \
        0                                                                                      \
    }

static int norm_over_dims(const mgi_node *q)
{
    return q->mode == NORM_OVER_DIMS;
}

static int norm_over_channels(const mgi_node *q)
{
    return q->mode == NORM_OVER_CHANNELS;
}

static const mgi_attr norm_layer_attr[] = {
    {"over", MGI_ATTR_WORD, 0, MGI_ATTR_AT(mode), 0, 0, "dims|channels", norm_over_channels},
    {"dims", MGI_ATTR_INT, 0, MGI_ATTR_AT(dims), 1, 3, 0, norm_over_dims},
    NORM_COMMON};
static const mgi_attr norm_group_attr[] = {
    {"groups", MGI_ATTR_IDX, 1, MGI_ATTR_AT(groups), 1, 1 << 20, 0, 0}, NORM_COMMON};
static const mgi_attr norm_instance_attr[] = {NORM_COMMON};

static void norm_defaults(mgi_node *q)
{
    q->dims = 3;
    q->eps = 1e-5;
    q->affine = q->bias = 1;
}

static void norm_instance_defaults(mgi_node *q)
{
    q->eps = 1e-5;
}

static mango_status norm_layer_check(mgi_node *q, uint64_t seen, mango_err *err)
{
    if (norm_over_channels(q) && mgi_attr_given(norm_layer_attr, seen, "dims"))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "node %s: over=channels and dims exclude each other", q->name);
    return MANGO_OK;
}

static mango_status norm_group_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    if (x->C % q->groups)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: input '%s' of shape %tdx%tdx%td: its channels do not part "
                        "into groups=%td",
                        q->name, x->name, x->C, x->H, x->W, q->groups);
    mgi_shape_copy(q, x);
    return MANGO_OK;
}

/* ---- how the kinds differ ---------------------------------------------------------- */

/* Blocks of N maps, and what is normalized together; see math/rearrange.h. */
static mgi_groupnorm norm_of(const mgi_node *q, mango_idx N)
{
    mgi_groupnorm g = {N, q->H * q->W, q->C, 1, q->eps, MGI_NORM_CHANNEL, NULL, NULL};
    if (q->kind == MGI_GROUPNORM) {
        g.G = q->groups;
    } else if (q->kind == MGI_INSTANCENORM) {
        g.G = q->C;
    } else if (norm_over_channels(q)) {
        g.N = N * g.P;
        g.P = 1;
    } else if (q->dims == 3) {
        g.by = MGI_NORM_BOTH;
    } else {
        g.by = MGI_NORM_PIXEL;
        g.G = q->C;
        g.N = q->dims == 1 ? N * q->H : N;
        g.P = q->dims == 1 ? q->W : g.P;
    }
    return g;
}

static int norm_param(mango_net *n, mgi_node *q, const char *suffix)
{
    if (q->kind != MGI_LAYERNORM || norm_over_channels(q))
        return mgi_net_param_add(n, q, suffix, 0, 1, q->C, 1, 1, 1);
    if (q->dims == 3)
        return mgi_net_param_add(n, q, suffix, 0, 3, q->C, q->H, q->W, 1);
    if (q->dims == 2)
        return mgi_net_param_add(n, q, suffix, 0, 2, q->H, q->W, 1, 1);
    return mgi_net_param_add(n, q, suffix, 0, 1, q->W, 1, 1, 1);
}

static void norm_params(mango_net *n, mgi_node *q)
{
    if (q->affine)
        q->weight = norm_param(n, q, "weight");
    if (q->bias)
        q->bias_p = norm_param(n, q, "bias");
}

/* ---- both ways --------------------------------------------------------------------- */

static mango_idx norm_work(const mango_net *n, const mgi_node *q, mango_idx N)
{
    const mgi_groupnorm g = norm_of(q, N);
    (void)n;
    return mgi_groupnorm_work(g.N, g.G);
}

static void norm_forward(const mgi_op_run *r)
{
    mgi_groupnorm g = norm_of(r->g, r->N);
    g.w = r->weight;
    g.b = r->bias;
    mgi_groupnorm_forward(&g, r->x[0], r->y, r->work);
}

static mango_idx norm_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_groupnorm g = norm_of(&t->net->node[i], rows);
    return mgi_groupnorm_backward_work(g.N, g.G);
}

static void norm_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    mgi_groupnorm g = norm_of(n, mgi_tape_rows(t, i));
    float *dx = t->wants[j] ? mgi_tape_take(t, j, spare) : NULL;
    g.w = n->weight < 0 ? NULL : t->w[n->weight];
    mgi_groupnorm_backward(&g, t->val[j], t->grad[i], dx,
                           n->weight < 0 ? NULL : t->dw[n->weight],
                           n->bias_p < 0 ? NULL : t->dw[n->bias_p], work);
    if (dx)
        mgi_tape_give(t, j, dx);
}

#define NORM_RECORD                                                                            \
    .least = 1, .most = 1, .params = norm_params, .work = norm_work, .forward = norm_forward,  \
    .backward = norm_backward, .backward_work = norm_backward_work, .reads_x = 1, .in_place = 1
#define NORM_KEYS                                                                              \
    "eps added to the variance\nweight 1: scaled by NAME.weight, 0: not\nbias 1: NAME.bias "   \
    "is added, 0: not"

MGI_DATA const mgi_op mgi_op_layernorm = {
    .name = "layernorm",
    .about = "y = w (x - mean)/sqrt(var + eps) + b, over the last axes or the channels.",
    .shapes = "CxHxW -> CxHxW; NAME.weight, NAME.bias: (C,H,W), (H,W), (W) or (C)",
    .keys = "over dims: the last axes of (C,H,W); channels: at each pixel over C\n"
            "dims how many axes: 3, all; 2, a channel's pixels; 1, its rows\n" NORM_KEYS,
    .attr = norm_layer_attr,
    .defaults = norm_defaults,
    .check = norm_layer_check,
    NORM_RECORD};
MGI_DATA const mgi_op mgi_op_groupnorm = {
    .name = "groupnorm",
    .about = "y = w (x - mean)/sqrt(var + eps) + b, over groups of channels of a map.",
    .shapes = "CxHxW -> CxHxW; NAME.weight, NAME.bias: (C)",
    .keys = "groups how many; they divide C\n" NORM_KEYS,
    .attr = norm_group_attr,
    .defaults = norm_defaults,
    .shape = norm_group_shape,
    NORM_RECORD};
MGI_DATA const mgi_op mgi_op_instancenorm = {
    .name = "instancenorm",
    .about = "y = w (x - mean)/sqrt(var + eps) + b, over each channel of a map.",
    .shapes = "CxHxW -> CxHxW; NAME.weight, NAME.bias: (C)",
    .keys = NORM_KEYS,
    .attr = norm_instance_attr,
    .defaults = norm_instance_defaults,
    NORM_RECORD};

#undef NORM_COMMON
#undef NORM_RECORD
#undef NORM_KEYS

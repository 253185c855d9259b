/* op_pool.c - maxima, means and sums over windows: maxpool, avgpool, sumpool; over bins:
 * adaptivemax, adaptiveavg; over the map: globalmax, globalavg, globalsum.
 * SPDX-License-Identifier: MIT */
#include "../math/spikes.h"
#include "plan.h"

static int pool_is_dilated(const mgi_node *q)
{
    return q->pool.dh > 1 || q->pool.dw > 1;
}

static int pool_is_ceil(const mgi_node *q)
{
    return q->pool.ceil;
}

static int pool_is_inside(const mgi_node *q)
{
    return !q->count_pad;
}

#define POOL_KERNEL {"kernel", MGI_ATTR_PAIR, 1, MGI_ATTR_AT(pool.kh), 1, 256, 0, 0}
#define POOL_STRIDE {"stride", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(pool.sh), 1, 256, 0, 0}
#define POOL_PAD {"pad", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(pool.ph), 0, 255, 0, 0}
#define POOL_CEIL {"ceil", MGI_ATTR_INT, 0, MGI_ATTR_AT(pool.ceil), 0, 1, 0, pool_is_ceil}

static const mgi_attr pool_max_attr[] = {
    POOL_KERNEL,
    POOL_STRIDE,
    POOL_PAD,
    {"dilation", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(pool.dh), 1, 255, 0, pool_is_dilated},
    POOL_CEIL,
    {0},
};
static const mgi_attr pool_mean_attr[] = {
    POOL_KERNEL,
    POOL_STRIDE,
    POOL_PAD,
    POOL_CEIL,
    {"count_pad", MGI_ATTR_INT, 0, MGI_ATTR_AT(count_pad), 0, 1, 0, pool_is_inside},
    {0},
};
static const mgi_attr pool_sum_attr[] = {POOL_KERNEL, POOL_STRIDE, POOL_PAD, POOL_CEIL, {0}};

#undef POOL_KERNEL
#undef POOL_STRIDE
#undef POOL_PAD
#undef POOL_CEIL

static const mgi_attr pool_size_attr[] = {
    {"size", MGI_ATTR_SIZE, 1, MGI_ATTR_AT(pool.OH), 1, 4096, 0, 0},
    {0},
};

static void pool_defaults(mgi_node *q)
{
    q->pool.dh = q->pool.dw = 1;
    q->count_pad = 1;
}

/* The stride is the kernel unless given. */
static mango_status pool_check(mgi_node *q, uint64_t seen, mango_err *err)
{
    (void)seen;
    (void)err;
    q->pool.inside = !q->count_pad;
    if (!q->pool.sh) {
        q->pool.sh = q->pool.kh;
        q->pool.sw = q->pool.kw;
    }
    return MANGO_OK;
}

static void pool_output(mgi_node *q)
{
    q->C = q->pool.C;
    q->H = q->pool.OH;
    q->W = q->pool.OW;
}

static void pool_input(mgi_node *q, const mgi_node *x)
{
    q->pool.C = x->C;
    q->pool.H = x->H;
    q->pool.W = x->W;
}

static mango_status pool_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mgi_pool *p = &q->pool;
    pool_input(q, x);
    if (2 * p->ph > (p->kh - 1) * p->dh + 1 || 2 * p->pw > (p->kw - 1) * p->dw + 1)
        return mgi_shape_bad(q, x, "padding over half the pool's kernel", err);
    if (!mgi_pool_shape(p))
        return mgi_shape_bad(q, x, "the pool's output would be empty", err);
    pool_output(q);
    return MANGO_OK;
}

static mango_status pool_size_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    (void)err;
    pool_input(q, &n->node[q->in[0]]);
    pool_output(q);
    return MANGO_OK;
}

static mango_status pool_global_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    q->pool.OH = q->pool.OW = 1;
    return pool_size_shape(n, q, err);
}

static void pool_maximum(const mgi_op_run *r)
{
    mgi_maxpool(&r->g->pool, r->N, r->x[0], r->y);
}

static void pool_mean(const mgi_op_run *r)
{
    mgi_avgpool(&r->g->pool, r->N, r->x[0], r->y);
}

static void pool_sum(const mgi_op_run *r)
{
    mgi_sumpool(&r->g->pool, r->N, r->x[0], r->y);
}

static void pool_adaptive_maximum(const mgi_op_run *r)
{
    mgi_adaptivemax(&r->g->pool, r->N, r->x[0], r->y);
}

static void pool_adaptive_mean(const mgi_op_run *r)
{
    mgi_adaptiveavg(&r->g->pool, r->N, r->x[0], r->y);
}

static void pool_global_sum(const mgi_op_run *r)
{
    const mgi_pool *p = &r->g->pool;
    mgi_globalsum(r->N, p->H * p->W, p->C, r->x[0], r->y);
}

static void pool_maximum_gradient(const mgi_op_grad *r)
{
    mgi_maxpool_backward(&r->g->pool, r->N, r->x, r->dy, r->dx);
}

static void pool_mean_gradient(const mgi_op_grad *r)
{
    mgi_avgpool_backward(&r->g->pool, r->N, r->dy, r->dx);
}

static void pool_adaptive_gradient(const mgi_op_grad *r)
{
    mgi_adaptiveavg_backward(&r->g->pool, r->N, r->dy, r->dx);
}

static void pool_adaptive_maximum_gradient(const mgi_op_grad *r)
{
    mgi_adaptivemax_backward(&r->g->pool, r->N, r->x, r->dy, r->dx);
}

static void pool_sum_gradient(const mgi_op_grad *r)
{
    mgi_sumpool_backward(&r->g->pool, r->N, r->dy, r->dx);
}

static void pool_global_sum_gradient(const mgi_op_grad *r)
{
    const mango_idx C = r->g->C, S = r->g->pool.H * r->g->pool.W;
    MGI_OMP(parallel for if (r->N * S * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < r->N * S; i++)
        memcpy(r->dx + i * C, r->dy + i / S * C, (size_t)C * sizeof(float));
}

/* Of bits a maximum is bits again; the others leave values. */
static void pool_maximum_bits(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head];
    mgi_bits_maxpool(&g->pool, mgi_step_maps(p, s), mgi_plan_words(p, g->in[0]), y);
}

static void pool_mean_bits(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head];
    mgi_bits_avgpool(&g->pool, mgi_step_maps(p, s), mgi_plan_words(p, g->in[0]), y);
}

static void pool_adaptive_bits(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head];
    mgi_bits_adaptiveavg(&g->pool, mgi_step_maps(p, s), mgi_plan_words(p, g->in[0]), y);
}

MGI_DATA const mgi_op mgi_op_maxpool = {
    .name = "maxpool",
    .about = "The largest value of each window.",
    .shapes = "CxHxW -> CxH'xW'",
    .keys = "kernel size of the window\n"
            "stride pixels between two windows; without it: the kernel\n"
            "pad pixels around the map, which never are the largest\n"
            "dilation pixels between two of a window\n"
            "ceil 1: a last window may reach over the edge",
    .least = 1,
    .most = 1,
    .attr = pool_max_attr,
    .defaults = pool_defaults,
    .check = pool_check,
    .shape = pool_shape,
    .forward = pool_maximum,
    .step_bits = pool_maximum_bits,
    .gradient = pool_maximum_gradient,
    .reads_x = 1};
MGI_DATA const mgi_op mgi_op_avgpool = {
    .name = "avgpool",
    .about = "The mean of each window.",
    .shapes = "CxHxW -> CxH'xW'",
    .keys = "kernel size of the window\n"
            "stride pixels between two windows; without it: the kernel\n"
            "pad pixels around the map, zeros\n"
            "ceil 1: a last window may reach over the edge\n"
            "count_pad 1: zeros of the padding count in the mean, 0: not",
    .least = 1,
    .most = 1,
    .attr = pool_mean_attr,
    .defaults = pool_defaults,
    .check = pool_check,
    .shape = pool_shape,
    .forward = pool_mean,
    .step_bits = pool_mean_bits,
    .gradient = pool_mean_gradient};
MGI_DATA const mgi_op mgi_op_adaptiveavg = {
    .name = "adaptiveavg",
    .about = "Means over windows that part the map into the size asked for.",
    .shapes = "CxHxW -> Cx(size)",
    .keys = "size height and width of the output",
    .least = 1,
    .most = 1,
    .attr = pool_size_attr,
    .shape = pool_size_shape,
    .forward = pool_adaptive_mean,
    .step_bits = pool_adaptive_bits,
    .gradient = pool_adaptive_gradient};
MGI_DATA const mgi_op mgi_op_globalavg = {
    .name = "globalavg",
    .about = "The mean of each channel.",
    .shapes = "CxHxW -> Cx1x1",
    .least = 1,
    .most = 1,
    .shape = pool_global_shape,
    .forward = pool_adaptive_mean,
    .step_bits = pool_adaptive_bits,
    .gradient = pool_adaptive_gradient};
MGI_DATA const mgi_op mgi_op_globalsum = {
    .name = "globalsum",
    .about = "The sum of each channel.",
    .shapes = "CxHxW -> Cx1x1",
    .least = 1,
    .most = 1,
    .shape = pool_global_shape,
    .forward = pool_global_sum,
    .gradient = pool_global_sum_gradient};
MGI_DATA const mgi_op mgi_op_sumpool = {
    .name = "sumpool",
    .about = "The sum of each window.",
    .shapes = "CxHxW -> CxH'xW'",
    .keys = "kernel size of the window\n"
            "stride pixels between two windows; without it: the kernel\n"
            "pad pixels around the map, zeros\n"
            "ceil 1: a last window may reach over the edge",
    .least = 1,
    .most = 1,
    .attr = pool_sum_attr,
    .defaults = pool_defaults,
    .check = pool_check,
    .shape = pool_shape,
    .forward = pool_sum,
    .gradient = pool_sum_gradient};
MGI_DATA const mgi_op mgi_op_adaptivemax = {
    .name = "adaptivemax",
    .about = "Maxima over windows that part the map into the size asked for.",
    .shapes = "CxHxW -> Cx(size)",
    .keys = "size height and width of the output",
    .least = 1,
    .most = 1,
    .attr = pool_size_attr,
    .shape = pool_size_shape,
    .forward = pool_adaptive_maximum,
    .gradient = pool_adaptive_maximum_gradient,
    .reads_x = 1};
MGI_DATA const mgi_op mgi_op_globalmax = {
    .name = "globalmax",
    .about = "The largest value of each channel.",
    .shapes = "CxHxW -> Cx1x1",
    .least = 1,
    .most = 1,
    .shape = pool_global_shape,
    .forward = pool_adaptive_maximum,
    .gradient = pool_adaptive_maximum_gradient,
    .reads_x = 1};

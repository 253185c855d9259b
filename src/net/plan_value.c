/* plan_value.c - where the values of a plan lie while a chunk is under way: inputs
 * b0..b0+b-1 and, for what depends on time, steps t0..t0+t-1, as N = t*b maps, t
 * slowest.
 * SPDX-License-Identifier: MIT */
#include "plan.h"

MGI_FN void *mgi_plan_at(const mango_plan *p, int buf)
{
    return p->cpu->maps.base + p->buf[buf].offset;
}

MGI_FN int mgi_plan_source(const mango_plan *p, int node)
{
    while (p->node[node].view >= 0)
        node = p->node[node].view;
    return node;
}

/* The step that leaves a node's value. */
static const mgi_step *value_step(const mango_plan *p, int node)
{
    return &p->step[p->node[mgi_plan_source(p, node)].step];
}

MGI_FN int mgi_plan_is_bits(const mango_plan *p, int node)
{
    return value_step(p, node)->bits;
}

MGI_FN const float *mgi_plan_value(const mango_plan *p, int node)
{
    return mgi_plan_at(p, value_step(p, node)->out);
}

MGI_FN const uint64_t *mgi_plan_words(const mango_plan *p, int node)
{
    return mgi_plan_at(p, value_step(p, node)->out);
}

MGI_FN const float *mgi_plan_map(const mango_plan *p, int node, mango_idx n)
{
    const mgi_node *g = &p->net->node[node];
    const mango_idx i = p->node[node].dynamic ? n : n % p->b;
    return mgi_plan_value(p, node) + i * g->C * g->H * g->W;
}

MGI_FN mango_idx mgi_step_maps(const mango_plan *p, const mgi_step *s)
{
    return s->dynamic ? p->t * p->b : p->b;
}

MGI_FN float *mgi_step_scratch(const mango_plan *p, const mgi_step *s)
{
    return s->work < 0 ? NULL : mgi_plan_at(p, s->work);
}

MGI_FN mango_idx mgi_step_words(const mgi_step *s, mango_idx maps)
{
    const mango_idx words = maps * s->conv.H * s->conv.W * mgi_bits_words(s->conv.C);
    return words * (mango_idx)(sizeof(uint64_t) / sizeof(float));
}

MGI_FN mgi_bits_epilogue mgi_step_epilogue_bits(const mango_plan *p, const mgi_step *s)
{
    mgi_bits_epilogue e = {s->bias, NULL, NULL, s->relu};
    if (s->residual >= 0 && mgi_plan_is_bits(p, s->residual))
        e.bits = mgi_plan_words(p, s->residual);
    else if (s->residual >= 0)
        e.residual = mgi_plan_value(p, s->residual);
    return e;
}

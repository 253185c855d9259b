/* plan_steps.c - from chains of nodes to the steps of a plan and their buffers.
 * SPDX-License-Identifier: MIT */
#include "../math/winograd.h"
#include "neurons.h"
#include "plan.h"

MGI_FN double mgi_step_macs(const mango_plan *p, const mgi_step *s)
{
    const double one = s->head == p->from ? 0 : mgi_node_macs(p->net, s->op, 1);
    return one * (s->dynamic ? (double)p->T : 1.0);
}

/* Values that a step looks at, over all T steps: a window's each time. */
static double plan_step_values(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->head];
    const mgi_node *in = s->head != p->from && g->n_in ? &p->net->node[g->in[0]] : g;
    const double read = (double)(in->C * in->H * in->W);
    const double window = g->pool.kh ? (double)g->pool.kh * g->pool.kw : 1.0;
    const double steps = s->dynamic ? (double)p->T : 1.0;
    return steps * (read + window * (double)s->n);
}

/* Refuses what would run for hours before it starts. */
static mango_status plan_bound(const mango_plan *p, mango_err *err)
{
    double values = 0;
    for (int i = 0; i < p->n_steps; i++)
        values += plan_step_values(p, &p->step[i]);
    if (p->macs + MGI_PLAN_VALUE * values <= MGI_PLAN_WORK)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_LIMIT,
                    "%.3g multiply-adds and %.3g other values for one input in %td steps: over "
                    "the limit of %g, where a value counts as %g multiply-adds",
                    p->macs, values, p->T, MGI_PLAN_WORK, MGI_PLAN_VALUE);
}

MGI_FN mango_idx mgi_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    const mgi_node *g = &p->net->node[s->op];
    const mgi_op *op = mgi_op_of(g->kind);
    if (s->head == p->from)
        return 0;
    if (op->step_work)
        return op->step_work(p, s, maps);
    return op->work ? op->work(p->net, g, maps) : 0;
}

/* ---- buffers ------------------------------------------------------------------ */

static int plan_buffer(mango_plan *p, mgi_scope scope, mgi_elem elem, mango_idx n, int step)
{
    mgi_buf *u = &p->buf[p->n_bufs];
    u->scope = scope;
    u->elem = elem;
    u->n = n;
    u->first = u->last = step;
    return p->n_bufs++;
}

/* The value of `node` is used by step i. */
static void plan_use(mango_plan *p, int node, int i)
{
    const mgi_step *from = &p->step[p->node[mgi_plan_source(p, node)].step];
    mgi_buf *u = &p->buf[from->out];
    u->last = MGI_MAX(u->last, i);
    u->carried |= !from->dynamic && p->step[i].dynamic;
}

/* What the chain of step s takes from elsewhere is used by step i. */
static void plan_use_inputs(mango_plan *p, const mgi_step *s, int i)
{
    for (int e = s->end; e >= 0; e = p->node[e].link)
        for (int j = 0; j < p->net->node[e].n_in; j++)
            if (p->net->node[e].in[j] != p->node[e].link)
                plan_use(p, p->net->node[e].in[j], i);
}

static void plan_step_buffers(mango_plan *p, int i)
{
    mgi_step *s = &p->step[i];
    const mgi_node *g = &p->net->node[s->head];
    const mgi_scope scope = s->dynamic ? MGI_PER_MAP : MGI_PER_INPUT;
    if (s->fused >= 0 && g->kind != MGI_LIF)
        return;
    s->out = s->bits ? plan_buffer(p, scope, MGI_ELEM_BITS,
                                   g->H * g->W * mgi_bits_words(g->C), i)
                     : plan_buffer(p, scope, MGI_ELEM_F32, s->n, i);
    if (mgi_step_work(p, s, 1) > 0)
        s->work = plan_buffer(p, MGI_WORK, MGI_ELEM_F32, 0, i);
    if (g->kind == MGI_VQ)
        s->aux = plan_buffer(p, scope, MGI_ELEM_F32, g->H * g->W, i);
    if (g->kind == MGI_LIF && s->head != p->from) {
        s->aux = plan_buffer(p, MGI_PER_INPUT, MGI_ELEM_F32, mgi_neurons_state(g) * s->n, i);
        p->buf[s->aux].carried = 1;
    }
    if (s->head != p->from)
        plan_use_inputs(p, s->fused < 0 ? s : &p->step[s->fused], i);
}

static void plan_reading_buffers(mango_plan *p)
{
    for (int i = 0; i < p->n_readings; i++) {
        mgi_plan_reading *r = &p->reading[i];
        const int node = mgi_plan_source(p, r->node);
        r->step = p->node[node].step;
        r->sum = -1;
        if (!p->step[r->step].dynamic ||
            (r->what != MANGO_READ_MEAN && r->what != MANGO_READ_RATE))
            continue;
        r->sum =
            plan_buffer(p, MGI_PER_INPUT,
                        mgi_node_spikes(&p->net->node[node]) || p->step[r->step].bits
                            ? MGI_ELEM_F32 /* counts */
                            : MGI_ELEM_F64,
                        r->C * r->HW, r->step);
        p->buf[r->sum].carried = 1;
    }
}

/* ---- steps ---------------------------------------------------------------------- */

/* What node e, behind node `link` of the same chain, turns into. */
static void plan_chain_node(const mango_net *net, mgi_step *s, int e, int link)
{
    const mgi_node *g = &net->node[e];
    switch (g->kind) {
    case MGI_BATCHNORM: *(net->node[link].kind == MGI_ADD ? &s->after : &s->bn) = e; break;
    case MGI_RESHAPE: s->reshape = e; break;
    case MGI_ADD: s->residual = g->in[0] == link ? g->in[1] : g->in[0]; break;
    case MGI_CONV:
        s->op = e;
        s->up = mgi_plan_up_form(net, e);
        break;
    case MGI_UPSAMPLE: s->op = e; break;
    default: *(s->op >= 0 ? &s->relu_before : &s->relu) = 1;
    }
}

/* What the nodes from head to end turn into. */
static void plan_chain(mango_plan *p, mgi_step *s)
{
    int e = s->end;
    for (; p->node[e].link >= 0; e = p->node[e].link)
        plan_chain_node(p->net, s, e, p->node[e].link);
    s->head = e;
    if (s->op >= 0 && p->net->node[e].kind == MGI_RELU)
        s->relu_before = 1;
    if (s->op < 0)
        s->op = e;
}

/* The convolution that a step packs and runs. A linear layer on a map is one
 * whose kernel is the map: its weights (O, C*H*W) are the kernel's (O,C,kh,kw). */
static mgi_conv plan_conv(const mango_net *net, const mgi_step *s)
{
    const mgi_node *g = &net->node[s->op];
    if (s->up != MGI_UP_NONE)
        return mgi_plan_up_conv(net, s->op);
    const mgi_node *in = &net->node[g->in[0]];
    mgi_conv c = {.C = in->C,
                  .H = in->H,
                  .W = in->W,
                  .O = g->conv.O,
                  .OH = 1,
                  .OW = 1,
                  .kh = (int)in->H,
                  .kw = (int)in->W,
                  .sh = 1,
                  .sw = 1};
    if (g->kind == MGI_LINEAR)
        return c;
    if (g->kind != MGI_VQ)
        return g->conv;
    c.O = g->codes;
    c.OH = c.H;
    c.OW = c.W;
    c.kh = c.kw = 1;
    return c;
}

/* May a node's value be held as bits, in this plan or in another one? */
static int plan_spikes_in(const mango_net *net, int i)
{
    while (net->node[i].kind == MGI_MAXPOOL || net->node[i].kind == MGI_RESHAPE)
        i = net->node[i].in[0];
    return mgi_node_spikes(&net->node[i]);
}

/* Are the weights of step s to be held in 8 bits? By the graph and what is fed. */
static int plan_int8(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->op];
    int i = s->op;
    if (!p->int8 || (g->kind != MGI_CONV && g->kind != MGI_LINEAR) || s->op != s->head ||
        s->up != MGI_UP_NONE || s->reshape >= 0 || !mgi_conv_is_plain(&s->conv) ||
        !plan_spikes_in(p->net, g->in[0]) ||
        s->conv.C * s->conv.kh * s->conv.kw > MGI_INT8_MOST)
        return 0;
    do { /* what is fed need not be spikes */
        i = p->net->node[i].in[0];
        if (i == p->from)
            return 0;
    } while (!mgi_node_spikes(&p->net->node[i]));
    return 1;
}

static void plan_step(mango_plan *p, int end)
{
    const mango_net *net = p->net;
    const mgi_node *last = &net->node[end];
    mgi_step *s = &p->step[p->n_steps];
    s->end = end;
    s->bn = s->reshape = s->residual = s->aux = s->work = s->op = s->after = -1;
    s->fused = s->out = -1;
    s->dynamic = p->node[end].dynamic;
    s->n = last->C * last->H * last->W;
    plan_chain(p, s);
    const mgi_node *g = &net->node[s->op];
    const int matmul = mgi_is_matmul(g->kind);
    s->after_n = s->after >= 0 ? last->C : 0;
    if (s->head != p->from && (matmul || g->kind == MGI_VQ)) {
        s->conv = plan_conv(net, s);
        if (g->kind != MGI_VQ && g->kind != MGI_LINEAR && !plan_spikes_in(net, g->in[0]))
            s->conv.winograd = mgi_winograd_rule(&s->conv);
        s->conv.int8 = plan_int8(p, s);
        s->packed_n = mgi_conv_packed(&s->conv);
        s->bias_n = !matmul || g->bias_p >= 0 || s->bn >= 0 ? s->conv.O : 0;
    } else if (s->head != p->from && g->kind == MGI_LIF) {
        s->packed_n = mgi_neurons_packed(g);
    } else if (s->head != p->from && net->node[s->head].kind == MGI_BATCHNORM) {
        s->bias_n = net->node[s->head].C;
    }
    p->node[end].step = p->n_steps++;
    p->macs += mgi_step_macs(p, s);
}

/* A step for every needed node, static ones first; then buffers. */
MGI_FN mango_status mgi_plan_steps(mango_plan *p, mango_err *err)
{
    int n = 0;
    for (int i = 0; i < p->net->n_nodes; i++)
        n += p->node[i].need;
    p->cap_bufs = 3 * n + p->n_readings;
    p->step = mgi_new(&p->al, n, sizeof *p->step);
    p->buf = mgi_new(&p->al, p->cap_bufs, sizeof *p->buf);
    p->place = mgi_new(&p->al, p->cap_bufs, sizeof *p->place);
    p->order = mgi_new(&p->al, p->cap_bufs, sizeof *p->order);
    p->cap_steps = n;
    if (!p->step || !p->buf || !p->place || !p->order)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan of %d steps", n);
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        p->first_dynamic = p->n_steps;
        for (int i = 0; i < p->net->n_nodes; i++)
            if (p->node[i].need && p->node[i].view < 0 && p->node[i].dynamic == dynamic)
                plan_step(p, i);
    }
    mgi_plan_spikes(p);
    for (int i = 0; i < p->n_steps; i++)
        plan_step_buffers(p, i);
    plan_reading_buffers(p);
    return plan_bound(p, err);
}

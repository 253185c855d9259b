/* plan.c - decides everything about a reading of a network before the first
 * query; plan_run.c answers queries.
 * SPDX-License-Identifier: MIT */
#include "../math/winograd.h"
#include "plan.h"

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
        s->aux = plan_buffer(p, MGI_PER_INPUT, MGI_ELEM_F32, s->n, i);
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
                        p->net->node[node].kind == MGI_LIF || p->step[r->step].bits
                            ? MGI_ELEM_F32 /* counts */
                            : MGI_ELEM_F64,
                        r->C * r->HW, r->step);
        p->buf[r->sum].carried = 1;
    }
}

/* ---- steps ---------------------------------------------------------------------- */

MGI_FN double mgi_step_macs(const mango_plan *p, const mgi_step *s)
{
    const mgi_conv *c = s->up == MGI_UP_NONE ? &s->conv : &p->net->node[s->op].conv;
    if (!s->packed_n)
        return 0;
    const double area = c->transposed ? (double)(c->H * c->W) : (double)(c->OH * c->OW);
    return area * (double)c->C * (double)c->O * c->kh * c->kw *
           (s->dynamic ? (double)p->T : 1.0);
}

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
    return net->node[i].kind == MGI_LIF;
}

/* Are the weights of step s to be held in 8 bits? By the graph and what is fed. */
static int plan_int8(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->op];
    int i = s->op;
    if (!p->int8 || (g->kind != MGI_CONV && g->kind != MGI_LINEAR) || s->op != s->head ||
        s->up != MGI_UP_NONE || s->reshape >= 0 || !plan_spikes_in(p->net, g->in[0]) ||
        s->conv.C * s->conv.kh * s->conv.kw > MGI_INT8_MOST)
        return 0;
    do { /* what is fed need not be spikes */
        i = p->net->node[i].in[0];
        if (i == p->from)
            return 0;
    } while (p->net->node[i].kind != MGI_LIF);
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
    } else if (s->head != p->from && net->node[s->head].kind == MGI_BATCHNORM) {
        s->bias_n = net->node[s->head].C;
    }
    p->node[end].step = p->n_steps++;
    p->macs += mgi_step_macs(p, s);
}

/* A step for every needed node, static ones first; then buffers. */
static mango_status plan_steps(mango_plan *p, mango_err *err)
{
    int n = 0;
    for (int i = 0; i < p->net->n_nodes; i++)
        n += p->node[i].need;
    p->cap_bufs = 3 * n + p->n_readings;
    p->step = mgi_new(&p->al, n, sizeof *p->step);
    p->buf = mgi_new(&p->al, p->cap_bufs, sizeof *p->buf);
    p->order = mgi_new(&p->al, 2 * p->cap_bufs, sizeof *p->order);
    p->cap_steps = n;
    if (!p->step || !p->buf || !p->order)
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
    return MANGO_OK;
}

/* ---- create ---------------------------------------------------------------------- */

void mango_plan_defaults(mango_plan_options *o)
{
    const mango_plan_options d = {.T = 0, .batch = 1, .memory = 0, .from = -1};
    *o = d;
}

static mango_status plan_options(mango_plan *p, const mango_plan_options *o, mango_err *err)
{
    p->T = o->T == 0 ? MGI_MAX(p->net->T, 1) : o->T;
    p->B = o->batch;
    p->memory = o->memory == 0 ? MGI_PLAN_MEMORY : o->memory;
    p->from = (int)o->from;
    p->raw = o->raw;
    p->half = o->half;
    p->int8 = o->int8;
    p->slice = MGI_MIN(o->slice, p->T);
    p->at = -1;
    if (p->T < 1 || p->T > MGI_MAX_T)
        return mgi_fail(err, MANGO_E_ARG, "T is %lld: expected 1..%d", (long long)p->T,
                        MGI_MAX_T);
    if (p->B < 1 || p->B > MGI_MAX_BATCH)
        return mgi_fail(err, MANGO_E_ARG, "batch is %lld: expected 1..%d", (long long)p->B,
                        MGI_MAX_BATCH);
    if (p->memory < 0 || p->slice < 0)
        return mgi_fail(err, MANGO_E_ARG, "%s is negative",
                        p->memory < 0 ? "memory cap" : "slice");
    if (o->from < -1 || o->from >= p->net->n_nodes)
        return mgi_fail(err, MANGO_E_ARG, "no layer %lld to feed: the net has %d",
                        (long long)o->from, p->net->n_nodes);
    return MANGO_OK;
}

static mango_status plan_readings(mango_plan *p, mango_idx n, const mango_reading *r,
                                  mango_err *err)
{
    if (n < 1 || n > 4 * MGI_MAX_NODES || !r)
        return mgi_fail(err, MANGO_E_ARG, "%lld readings: expected 1..%d", (long long)n,
                        4 * MGI_MAX_NODES);
    p->reading = mgi_new(&p->al, n, sizeof *p->reading);
    if (!p->reading)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %lld readings", (long long)n);
    p->n_readings = (int)n;
    for (int i = 0; i < p->n_readings; i++) {
        mgi_plan_reading *q = &p->reading[i];
        if (r[i].layer < 0 || r[i].layer >= p->net->n_nodes || (int)r[i].what < 0 ||
            r[i].what > MANGO_READ_CODES)
            return mgi_fail(err, MANGO_E_ARG, "reading %d: no layer %lld or no kind %d", i,
                            (long long)r[i].layer, (int)r[i].what);
        const mgi_node *g = &p->net->node[r[i].layer];
        q->node = (int)r[i].layer;
        q->what = r[i].what;
        q->out = r[i].out;
        q->C = g->C;
        q->HW = g->H * g->W;
    }
    return MANGO_OK;
}

static mango_status plan_build(mango_plan *p, const mango_plan_options *o, mango_idx n,
                               const mango_reading *r, mango_err *err)
{
    MGI_TRY(plan_options(p, o, err));
    MGI_TRY(plan_readings(p, n, r, err));
    p->node = mgi_new(&p->al, p->net->n_nodes, sizeof *p->node);
    if (!p->node)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan of %d nodes",
                        p->net->n_nodes);
    MGI_TRY(mgi_plan_graph(p, err));
    MGI_TRY(plan_steps(p, err));
    MGI_TRY(mgi_plan_chunks(p, err));
    mgi_arena_plan(&p->maps, p->arena_bytes, 1);
    if (mgi_arena_commit(&p->maps) < 0 || !mgi_arena_take(&p->maps, p->arena_bytes, 1))
        return mgi_fail(err, MANGO_E_MEM, "no memory for an arena of %lld bytes",
                        (long long)p->arena_bytes);
    return mgi_plan_pack(p, err);
}

mango_status mango_plan_create(mango_plan **plan, const mango_net *net,
                               const mango_plan_options *o, mango_idx n_readings,
                               const mango_reading *readings, const mango_alloc *al,
                               mango_err *err)
{
    MGI_REQUIRE(plan && net && o);
    *plan = NULL;
    const mango_alloc a = mgi_alloc_get(al);
    mango_plan *p = mgi_new(&a, 1, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan");
    p->al = a;
    p->net = net;
    p->k = mgi_kernels_get();
    p->threads = mango_threads();
    mgi_arena_init(&p->maps, &a);
    mgi_arena_init(&p->weights, &a);
    const mango_status st = plan_build(p, o, n_readings, readings, err);
    if (st < 0) {
        mango_plan_destroy(p);
        return st;
    }
    *plan = p;
    return MANGO_OK;
}

void mango_plan_destroy(mango_plan *p)
{
    if (!p)
        return;
    const mango_alloc a = p->al;
    mgi_arena_free(&p->weights);
    mgi_arena_free(&p->maps);
    if (p->order)
        mgi_del(&a, p->order, 2 * p->cap_bufs, sizeof *p->order);
    if (p->buf)
        mgi_del(&a, p->buf, p->cap_bufs, sizeof *p->buf);
    if (p->step)
        mgi_del(&a, p->step, p->cap_steps, sizeof *p->step);
    if (p->node)
        mgi_del(&a, p->node, p->net->n_nodes, sizeof *p->node);
    if (p->reading)
        mgi_del(&a, p->reading, p->n_readings, sizeof *p->reading);
    mgi_del(&a, p, 1, sizeof *p);
}

mango_idx mango_plan_bytes(const mango_plan *p)
{
    return p ? p->arena_bytes + mgi_arena_bytes(&p->weights) : 0;
}

double mango_plan_macs(const mango_plan *p)
{
    return p ? p->macs : 0.0;
}

mango_status mango_plan_output(mango_plan *p, mango_idx reading, float *out)
{
    MGI_REQUIRE(p && out && reading >= 0 && reading < p->n_readings);
    p->reading[reading].out = out;
    return MANGO_OK;
}

/* ---- print ------------------------------------------------------------------------ */

/* "conv1+bn1+relu1", head first. */
static void plan_chain_names(const mango_plan *p, int end, mgi_str *s)
{
    const int link = p->node[end].link;
    if (link >= 0) {
        plan_chain_names(p, link, s);
        mgi_str_puts(s, "+");
    }
    mgi_str_puts(s, p->net->node[end].name);
}

MGI_FN void mgi_plan_describe(const mango_plan *p, mgi_str *s)
{
    mgi_str_printf(
        s, "plan T=%lld batch=%lld chunk=%lldx%lld arena=%lld weights=%lld macs=%.0f\n",
        (long long)p->T, (long long)p->B, (long long)p->Tc, (long long)p->Bc,
        (long long)p->arena_bytes, (long long)mgi_arena_bytes(&p->weights), p->macs);
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_step *q = &p->step[i];
        const mgi_node *g = &p->net->node[q->end];
        const mgi_buf none = {.last = q->fused}, *u = q->out < 0 ? &none : &p->buf[q->out];
        mgi_str_printf(s, "%4d %s %-10s ", i, q->dynamic ? "T*B" : "B  ",
                       q->head == p->from ? "fed"
                                          : mgi_kind_name(p->net->node[q->head].kind));
        plan_chain_names(p, q->end, s);
        mgi_str_puts(s, q->conv.half ? " half" : q->conv.int8 ? " int8" : "");
        mgi_str_printf(s, " %lldx%lldx%lld %s %lld@%lld used to %d macs=%.0f\n",
                       (long long)g->C, (long long)g->H, (long long)g->W,
                       q->out < 0                 ? "fused"
                       : u->elem == MGI_ELEM_BITS ? "bits"
                                                  : "f32",
                       (long long)u->bytes, (long long)u->offset, u->last,
                       mgi_step_macs(p, q));
    }
}

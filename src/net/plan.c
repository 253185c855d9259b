/* plan.c - decides everything about a reading of a network before the first
 * query; plan_run.c answers queries.
 * SPDX-License-Identifier: MIT */
#include "../base/threads.h"
#include "plan.h"

/* ---- create ---------------------------------------------------------------------- */

mango_status mango_plan_defaults_sized(mango_plan_options *o, size_t size)
{
    const mango_plan_options d = {.size = sizeof d, .batch = 1, .from = -1};
    return mgi_options_out(o, size, &d, sizeof d);
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
            r[i].what > MANGO_READ_MEMBRANE)
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

/* Everything that the options and readings decide, and a backend made ready for it. */
static mango_status plan_build(mango_plan *p, mango_idx n, const mango_reading *r,
                               mango_err *err)
{
    MGI_TRY(plan_options(p, &p->o, err));
    MGI_TRY(plan_readings(p, n, r, err));
    p->node = mgi_new(&p->al, p->net->n_nodes, sizeof *p->node);
    if (!p->node)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan of %d nodes",
                        p->net->n_nodes);
    MGI_TRY(mgi_plan_graph(p, err));
    MGI_TRY(mgi_plan_steps(p, err));
    MGI_TRY(mgi_plan_chunks(p, err));
    return p->backend->prepare(p, err);
}

/* What plan_build made, but for what the backend keeps. */
static void plan_unbuild(mango_plan *p)
{
    const mango_alloc *a = &p->al;
    mgi_del(a, p->order, p->cap_bufs, sizeof *p->order);
    mgi_del(a, p->place, p->cap_bufs, sizeof *p->place);
    mgi_del(a, p->buf, p->cap_bufs, sizeof *p->buf);
    mgi_del(a, p->step, p->cap_steps, sizeof *p->step);
    mgi_del(a, p->node, p->net->n_nodes, sizeof *p->node);
    mgi_del(a, p->reading, p->n_readings, sizeof *p->reading);
}

mango_status mango_plan_create(mango_plan **plan, const mango_net *net,
                               const mango_plan_options *options, mango_idx n_readings,
                               const mango_reading *readings, const mango_alloc *al,
                               mango_err *err)
{
    MGI_CHECK(err, plan && net && options, "mango_plan_create: plan, net or options is NULL");
    *plan = NULL;
    mango_plan_options o;
    mgi_threads_look();
    MGI_TRY(mango_plan_defaults(&o));
    MGI_TRY(mgi_options_in(&o, sizeof o, options, "mango_plan", err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_plan *p = mgi_new(&a, 1, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan");
    p->al = a;
    p->net = net;
    p->o = o;
    p->threads = mango_threads();
    p->backend = &mgi_backend_cpu;
    mango_status st = p->backend->open(p, err);
    if (st == MANGO_OK)
        st = plan_build(p, n_readings, readings, err);
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
    p->backend->close(p);
    plan_unbuild(p);
    mgi_del(&a, p, 1, sizeof *p);
}

/* The new lists are made beside the old ones, which stay when that fails. */
mango_status mango_plan_aim(mango_plan *p, mango_idx n_readings, const mango_reading *readings,
                            mango_err *err)
{
    MGI_CHECK(err, p, "mango_plan_aim: plan is NULL");
    MGI_TRY(p->backend->ready(p, err));
    mango_plan q;
    memset(&q, 0, sizeof q);
    q.al = p->al;
    q.net = p->net;
    q.o = p->o;
    q.threads = mango_threads();
    q.backend = p->backend;
    q.cpu = p->cpu;
    const mango_status st = plan_build(&q, n_readings, readings, err);
    if (st < 0) {
        plan_unbuild(&q);
        return st;
    }
    plan_unbuild(p);
    *p = q;
    return MANGO_OK;
}

const char *mango_plan_error(const mango_plan *p)
{
    return p ? p->err.text : NULL;
}

mango_idx mango_plan_bytes(const mango_plan *p)
{
    return p ? p->arena_bytes + p->backend->weights(p) : 0;
}

mango_status mango_plan_get_sized(const mango_plan *p, mango_plan_info *info, size_t size)
{
    MGI_REQUIRE(p && info);
    const mango_plan_info o = {.T = p->T,
                               .steps = p->first_dynamic < p->n_steps ? p->T : 1,
                               .batch = p->B,
                               .readings = p->n_readings,
                               .bytes = mango_plan_bytes(p),
                               .weights = p->backend->weights(p),
                               .macs = p->macs};
    mgi_info_out(info, size, &o, sizeof o);
    return MANGO_OK;
}

double mango_plan_macs(const mango_plan *p)
{
    return p ? p->macs : 0.0;
}

mango_status mango_plan_output(mango_plan *p, mango_idx reading, float *out)
{
    MGI_REQUIRE(p);
    MGI_CHECK(&p->err, out && reading >= 0 && reading < p->n_readings,
              "mango_plan_output: no reading %td of %d, or no buffer", reading, p->n_readings);
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
        (long long)p->arena_bytes, (long long)p->backend->weights(p), p->macs);
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

mango_idx mango_plan_text(const mango_plan *plan, char *text, mango_idx cap)
{
    mgi_str s;
    if (!plan || cap < 0 || (cap > 0 && !text))
        return -1;
    mgi_str_init(&s, &plan->al);
    mgi_plan_describe(plan, &s);
    return mgi_str_out(&s, MANGO_OK, text, cap);
}

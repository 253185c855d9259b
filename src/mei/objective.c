/* objective.c - codes -> latent -> generator -> 8-bit picture -> network -> activation.
 *
 *   rgb = round(255 clamp(y out_scale + out_shift, 0, 1))/255                (1)
 *   class:k   p_k = exp(v_k - max v) / sum_c exp(v_c - max v)                (2)
 * SPDX-License-Identifier: MIT */
#include "../base/hash.h"
#include "../base/real.h"
#include "../net/graph.h"
#include "objective.h"
#include <math.h>

void mango_objective_defaults(mango_objective_options *o)
{
    if (!o)
        return;
    o->T = 0, o->batch = 10, o->memory = 0;
    o->elite = 0, o->minimize = 0, o->believed = 1.0, o->half = o->int8 = 0;
}

/* Sizes of both nets, checked against each other. */
static mango_status objective_sizes(mango_objective *o, const mango_net *gen,
                                    const mango_net *net, mango_err *err)
{
    const mgi_node *out = gen->node + gen->output, *in = net->node + net->input;
    if (out->C != in->C || out->H != in->H || out->W != in->W)
        return mgi_fail(
            err, MANGO_E_SHAPE,
            "the generator's picture is %tdx%tdx%td, the network takes %tdx%tdx%td", out->C,
            out->H, out->W, in->C, in->H, in->W);
    o->C = out->C, o->H = out->H, o->W = out->W;
    o->size = o->C * o->H * o->W;
    o->out_scale = gen->out_scale, o->out_shift = gen->out_shift;
    return MANGO_OK;
}

/* The reading that target j needs: one that is there already, or another. */
static mango_status objective_aim(mango_objective *o, const mango_net *net, mango_idx j,
                                  mango_err *err)
{
    mgi_aim *a = o->aim + j;
    mango_target *t = &a->t;
    const int whole = t->y < 0;
    int i = 0;
    if (mango_net_layer(net, t->layer, &t->info, sizeof t->info) < 0 || t->unit < 0 ||
        t->unit >= t->info.C || whole != (t->x < 0) || t->y >= t->info.H ||
        t->x >= t->info.W)
        return mgi_fail(err, MANGO_E_NAME, "target %td: no such layer, unit or place", j);
    const mango_read what = whole ? MANGO_READ_RATE : MANGO_READ_MEAN;
    while (i < o->n_looks && (o->look[i].layer != t->layer || o->look[i].what != what))
        i++;
    a->look = i;
    a->at = whole ? t->unit : (t->unit * t->info.H + t->y) * t->info.W + t->x;
    if (i == o->n_looks) {
        o->look[i].layer = t->layer, o->look[i].what = what;
        o->look[i].row = whole ? t->info.C : t->info.C * t->info.H * t->info.W;
        o->n_looks++;
    }
    return MANGO_OK;
}

static mango_status objective_targets(mango_objective *o, const mango_net *net, mango_idx n,
                                      const mango_target *t, mango_err *err)
{
    o->aim = mgi_new(&o->al, n, sizeof *o->aim);
    o->look = mgi_new(&o->al, n, sizeof *o->look);
    o->n = n;
    if (!o->aim || !o->look)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory for %td targets", n);
    for (mango_idx j = 0; j < n; j++) {
        o->aim[j].t = t[j];
        MGI_TRY(objective_aim(o, net, j, err));
    }
    return MANGO_OK;
}

/* One plan looks, to the deepest target and no further; one draws. */
static void objective_plan_options(mango_objective *o, const mango_net *net,
                                   const mango_objective_options *opt, mango_plan_options *look,
                                   mango_plan_options *draw)
{
    mango_plan_options p;
    mango_plan_defaults(&p, sizeof p);
    p.batch = opt->batch;
    p.half = opt->half;
    p.int8 = opt->int8;
    if (opt->memory > 0)
        p.memory = opt->memory;
    *draw = *look = p;
    draw->from = mango_space_layer(o->space), draw->raw = 1;
    look->T = o->T = opt->T > 0 ? opt->T : mango_net_steps(net);
    look->slice = o->elite > 0 ? MGI_MAX(o->T / 2, 1) : 0;
}

static mango_status objective_plan_look(mango_objective *o, const mango_net *net,
                                        const mango_plan_options *p, mango_err *err)
{
    mango_reading *r = mgi_new(&o->al, o->n_looks, sizeof *r);
    if (!r)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    for (int i = 0; i < o->n_looks; i++)
        r[i].layer = o->look[i].layer, r[i].what = o->look[i].what,
        r[i].out = o->look[i].act;
    const mango_status st =
        mango_plan_create(&o->net_plan, net, p, o->n_looks, r, &o->al, err);
    mgi_del(&o->al, r, o->n_looks, sizeof *r);
    return st;
}

/* A digest is a chain, which takes one thread its time: the network's is made beside
 * all that the generator needs, and that by the thread that called, since an allocator
 * may not like others; whoever has nothing left to do helps it to pack. Both digests
 * come before a plan takes weights that are given away. */
static mango_status objective_plans(mango_objective *o, const mango_net *gen,
                                    const mango_net *net,
                                    const mango_objective_options *opt, mango_err *err)
{
    const mango_reading picture = {gen->output, MANGO_READ_MEAN, o->rgb};
    mango_plan_options look, draw;
    mango_status st = MANGO_OK;
    mgi_hash h[2];
    objective_plan_options(o, net, opt, &look, &draw);
    if (mgi_digest_begin(gen, &o->al, h) < 0 || mgi_digest_begin(net, &o->al, h + 1) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    MGI_OMP(parallel)
    MGI_OMP(master)
    {
        MGI_TASK(task)
        mgi_digest_end(net, h + 1, o->net);
        mgi_digest_end(gen, h, o->gen);
        st = mango_plan_create(&o->gen_plan, gen, &draw, 1, &picture, &o->al, err);
    }
    return st < 0 ? st : objective_plan_look(o, net, &look, err);
}

/* One arena for everything that holds a batch. */
static mango_status objective_buffers(mango_objective *o, mango_err *err)
{
    mgi_arena *a = &o->arena;
    const mango_idx B = o->batch;
    mango_idx z, rgb, act;
    if (!mgi_mul(B, o->d, &z) || !mgi_mul(B, o->size, &rgb))
        return mgi_fail(err, MANGO_E_MEM, "objective: batch %td is too large", B);
    mgi_arena_plan(a, z, sizeof(float));
    mgi_arena_plan(a, rgb, sizeof(float));
    mgi_arena_plan(a, z, sizeof *o->drawn);
    for (int i = 0; i < o->n_looks; i++)
        mgi_arena_plan(a, mgi_mul(B, o->look[i].row, &act) ? act : PTRDIFF_MAX,
                       sizeof(float));
    mgi_arena_plan(a, 2 * B, sizeof *o->runs);
    mgi_arena_plan(a, 2 * B, sizeof *o->low);
    if (mgi_arena_commit(a) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    o->z = mgi_arena_take(a, z, sizeof(float));
    o->rgb = mgi_arena_take(a, rgb, sizeof(float));
    o->drawn = mgi_arena_take(a, z, sizeof *o->drawn);
    for (int i = 0; i < o->n_looks; i++)
        o->look[i].act = mgi_arena_take(a, B * o->look[i].row, sizeof(float));
    o->runs = mgi_arena_take(a, 2 * B, sizeof *o->runs);
    o->still = o->runs + B;
    o->low = mgi_arena_take(a, 2 * B, sizeof *o->low);
    o->rank = o->low + B;
    return MANGO_OK;
}

/* A race counts spikes, which a reading tells exactly up to 2^22. */
static mango_status objective_race(mango_objective *o, const mango_net *net,
                                   const mango_objective_options *opt, mango_err *err)
{
    const mango_target *t = &o->aim->t;
    const mango_idx T = opt->T > 0 ? opt->T : mango_net_steps(net);
    o->elite = opt->elite, o->minimize = opt->minimize, o->believed = opt->believed;
    if (o->elite > 0 && (o->n != 1 || !t->info.spiking || t->softmax))
        return mgi_fail(err, MANGO_E_ARG,
                        "early stop: one target of a spiking layer expected");
    if (o->elite > 0 && T * t->info.H * t->info.W > (mango_idx)1 << 22)
        return mgi_fail(err, MANGO_E_LIMIT, "early stop: more than 2^22 spikes to count");
    return MANGO_OK;
}

static mango_status objective_build(mango_objective *o, const mango_net *gen,
                                    const mango_net *net, mango_idx n,
                                    const mango_target *t,
                                    const mango_objective_options *opt, mango_err *err)
{
    mango_modes m;
    o->batch = opt->batch;
    MGI_TRY(objective_targets(o, net, n, t, err));
    MGI_TRY(objective_race(o, net, opt, err));
    MGI_TRY(mango_space_of(&o->space, gen, &o->al, err));
    mango_space_modes(o->space, &m);
    o->d = m.d;
    MGI_TRY(objective_sizes(o, gen, net, err));
    MGI_TRY(objective_buffers(o, err));
    return objective_plans(o, gen, net, opt, err);
}

mango_status mango_objective_create_many(mango_objective **o, const mango_net *gen,
                                         const mango_net *net, mango_idx n,
                                         const mango_target *targets,
                                         const mango_objective_options *opt,
                                         const mango_alloc *al, mango_err *err)
{
    mango_objective_options std;
    MGI_REQUIRE(o && gen && net && targets);
    *o = NULL;
    mango_objective_defaults(&std);
    const mango_objective_options *p = opt ? opt : &std;
    if (p->T < 0 || p->T > 4096 || p->batch < 1 || p->batch > 4096 || p->memory < 0)
        return mgi_fail(err, MANGO_E_ARG,
                        "objective: T 0..4096, batch 1..4096, memory >= 0 expected");
    if (n < 1 || n > (mango_idx)1 << 20 || p->elite < 0 ||
        (p->elite > 0 && !(p->believed > 0.0 && p->believed <= 1.0)))
        return mgi_fail(err, MANGO_E_ARG,
                        "objective: 1..2^20 targets, elite >= 0, believed in (0,1] expected");
    const mango_alloc a = mgi_alloc_get(al);
    mango_objective *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    x->al = a;
    mgi_arena_init(&x->arena, &a);
    const mango_status st = objective_build(x, gen, net, n, targets, p, err);
    if (st < 0)
        mango_objective_destroy(x);
    else
        *o = x;
    return st;
}

mango_status mango_objective_create(mango_objective **o, const mango_net *gen,
                                    const mango_net *net, const char *target,
                                    const mango_objective_options *opt,
                                    const mango_alloc *al, mango_err *err)
{
    mango_target t;
    MGI_REQUIRE(o && gen && net);
    *o = NULL;
    MGI_TRY(mango_target_parse(&t, net, target, err));
    return mango_objective_create_many(o, gen, net, 1, &t, opt, al, err);
}

void mango_objective_destroy(mango_objective *o)
{
    if (!o)
        return;
    const mango_alloc al = o->al;
    mango_plan_destroy(o->gen_plan);
    mango_plan_destroy(o->net_plan);
    mango_space_destroy(o->space);
    mgi_arena_free(&o->arena);
    mgi_del(&al, o->aim, o->n, sizeof *o->aim);
    mgi_del(&al, o->look, o->n, sizeof *o->look);
    mgi_del(&al, o, 1, sizeof *o);
}

/* (1), in place. */
static void objective_round(const mango_objective *o, mango_idx n, float *rgb)
{
    for (mango_idx i = 0; i < n; i++) {
        const float x = rgb[i] * o->out_scale + o->out_shift;
        const float c = !(x > 0.0f) ? 0.0f : x > 1.0f ? 1.0f : x;
        rgb[i] = floorf(255.0f * c + 0.5f) / 255.0f;
    }
}

/* (2) of unit k among n values. */
static double objective_softmax(mango_idx n, const float *v, mango_idx k)
{
    double sum = 0.0;
    float top = v[0];
    for (mango_idx c = 1; c < n; c++)
        top = v[c] > top ? v[c] : top;
    for (mango_idx c = 0; c < n; c++)
        sum += mgi_exp((double)v[c] - (double)top);
    return mgi_exp((double)v[k] - (double)top) / sum;                           /* (2) */
}

/* y (K,n) of K <= batch pictures. */
static mango_status objective_read(mango_objective *o, mango_idx K, const float *rgb,
                                   double *y)
{
    MGI_TRY(mango_plan_run(o->net_plan, K, rgb));
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < o->n; j++) {
            const mgi_aim *a = o->aim + j;
            const mgi_look *l = o->look + a->look;
            const float *v = l->act + k * l->row;
            y[k * o->n + j] =
                a->t.softmax ? objective_softmax(l->row, v, a->t.unit) : (double)v[a->at];
        }
    return MANGO_OK;
}

/* Pictures of K <= batch codes into o->rgb. */
static mango_status objective_draw(mango_objective *o, mango_idx K, const mango_idx *I)
{
    o->n_drawn = 0;
    MGI_TRY(mango_space_latent(o->space, K, I, o->z));
    MGI_TRY(mango_plan_run(o->gen_plan, K, o->z));
    objective_round(o, K * o->size, o->rgb);                                    /* (1) */
    memcpy(o->drawn, I, (size_t)(K * o->d) * sizeof *I);
    o->n_drawn = K;
    return MANGO_OK;
}

mango_status mango_objective_eval_many(mango_objective *o, mango_idx K, const mango_idx *I,
                                       double *y)
{
    MGI_REQUIRE(o && K >= 0 && (K == 0 || (I && y)));
    for (mango_idx k = 0; k < K; k += o->batch) {
        const mango_idx m = MGI_MIN(o->batch, K - k);
        MGI_TRY(objective_draw(o, m, I + k * o->d));
        MGI_TRY(o->elite > 0 ? mgi_race(o, m, y + k)
                             : objective_read(o, m, o->rgb, y + k * o->n));
    }
    return MANGO_OK;
}

mango_status mango_objective_eval(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_objective *o = ud;
    MGI_REQUIRE(o && o->n == 1);
    return mango_objective_eval_many(o, K, I, y);
}

mango_status mango_objective_picture(mango_objective *o, const mango_idx *I, float *rgb)
{
    MGI_REQUIRE(o && I && rgb);
    mango_idx k = 0; /* a picture has the same bits in every batch */
    while (k < o->n_drawn && memcmp(o->drawn + k * o->d, I, (size_t)o->d * sizeof *I))
        k++;
    if (k == o->n_drawn) {
        k = 0;
        MGI_TRY(objective_draw(o, 1, I));
    }
    memcpy(rgb, o->rgb + k * o->size, (size_t)o->size * sizeof *rgb);
    return MANGO_OK;
}

mango_status mango_objective_look(mango_objective *o, mango_idx K, const float *rgb,
                                  double *y)
{
    MGI_REQUIRE(o && K >= 0 && (K == 0 || (rgb && y)));
    for (mango_idx k = 0; k < K; k += o->batch)
        MGI_TRY(objective_read(o, MGI_MIN(o->batch, K - k), rgb + k * o->size,
                               y + k * o->n));
    return MANGO_OK;
}

void mango_objective_get(const mango_objective *o, mango_objective_info *info)
{
    if (!o || !info)
        return;
    info->C = o->C, info->H = o->H, info->W = o->W, info->T = o->T;
    info->bytes = mango_plan_bytes(o->gen_plan) + mango_plan_bytes(o->net_plan);
    info->macs = mango_plan_macs(o->gen_plan) + mango_plan_macs(o->net_plan);
    info->space = o->space;
    info->n_targets = o->n;
    info->target = o->aim->t;
    info->stopped = o->stopped;
    info->steps = o->steps, info->steps_all = o->steps_all;
    memcpy(info->gen, o->gen, sizeof info->gen);
    memcpy(info->net, o->net, sizeof info->net);
}

/* objective.c - codes -> picture -> network -> activation: how it is made and aimed.
 * SPDX-License-Identifier: MIT */
#include "objective.h"
#include "../base/hash.h"
#include "../net/graph.h"

#define OBJECTIVE_BATCH 10

mango_status mango_objective_defaults_sized(mango_objective_options *o, size_t size)
{
    mango_objective_options own;
    memset(&own, 0, sizeof own);
    own.believed = 1.0;
    return mgi_options_out(o, size, &own, sizeof own);
}

/* ---- what is looked at ---------------------------------------------------- */

/* A race counts spikes, which a reading tells exactly up to 2^22. */
static mango_status sight_race(const mgi_sight *s, const mango_objective *o, mango_err *err)
{
    const mango_target *t = &s->aim->t;
    if (o->elite == 0)
        return MANGO_OK;
    MGI_CHECK(err, s->n == 1 && t->spiking && !t->softmax && !s->aim->e,
              "early stop: one unit of a spiking layer expected, over all steps");
    if (o->T * t->H * t->W > (mango_idx)1 << 22)
        return mgi_fail(err, MANGO_E_LIMIT, "early stop: more than 2^22 spikes to count");
    return MANGO_OK;
}

/* ---- plans ---------------------------------------------------------------- */

static mango_reading *objective_readings(const mango_objective *o, const mgi_sight *s)
{
    mango_reading *r = mgi_new(&o->al, s->n_looks, sizeof *r);
    for (int i = 0; r && i < s->n_looks; i++) {
        r[i].layer = s->look[i].layer;
        r[i].what = s->look[i].what;
        r[i].out = s->look[i].act;
    }
    return r;
}

/* The network, to the deepest target and no further: planned, or aimed anew. */
static mango_status objective_plan(mango_objective *o, const mgi_sight *s, mango_err *err)
{
    mango_plan_options p;
    MGI_TRY(mango_plan_defaults(&p));
    p.batch = o->batch;
    p.memory = o->opt.memory;
    p.half = o->opt.half;
    p.int8 = o->opt.int8;
    p.T = o->T;
    p.slice = o->elite > 0 ? MGI_MAX(o->T / 2, 1) : mgi_follow_slice(s, o->T);
    mango_reading *r = objective_readings(o, s);
    if (!r)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    mango_plan *plan = NULL;
    const int again = o->plan && (o->sliced || p.slice == 0);
    const mango_status st =
        again ? mango_plan_aim(o->plan, s->n_looks, r, err)
              : mango_plan_create(&plan, o->network, &p, s->n_looks, r, &o->al, err);
    mgi_del(&o->al, r, s->n_looks, sizeof *r);
    if (st < 0 || again)
        return st;
    mango_plan_destroy(o->plan);
    o->plan = plan;
    o->sliced = p.slice > 0;
    return MANGO_OK;
}

static mango_status objective_drawing(mango_objective *o, const mango_net *gen,
                                      mango_err *err)
{
    mango_drawing_options d;
    MGI_TRY(mango_drawing_defaults(&d));
    d.batch = o->batch;
    d.memory = o->opt.memory;
    d.half = o->opt.half;
    d.controls = o->opt.controls;
    d.C = o->C;
    d.H = o->H;
    d.W = o->W;
    return mango_drawing_create(&o->drawing, gen, &d, &o->al, err);
}

/* A digest is a chain, which takes one thread its time: the network's is made beside
 * all that the generator needs, and that by the thread that called, since an allocator
 * may not like others; whoever has nothing left to do helps it to pack. Both digests
 * come before a plan takes weights that are given away. */
static mango_status objective_plans(mango_objective *o, const mango_net *gen, mango_err *err)
{
    mango_status st = MANGO_OK;
    mgi_hash h[2];
    if ((gen && mgi_digest_begin(gen, &o->al, h) < 0) ||
        mgi_digest_begin(o->network, &o->al, h + 1) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    MGI_OMP(parallel)
    MGI_OMP(master)
    {
        MGI_TASK(task)
        mgi_digest_end(o->network, h + 1, o->net);
        if (gen) {
            mgi_digest_end(gen, h, o->gen);
            st = objective_drawing(o, gen, err);
        }
    }
    return st < 0 ? st : objective_plan(o, &o->see, err);
}

/* ---- create and destroy --------------------------------------------------- */

/* Size of the network's pictures, and the number of modes. */
static mango_status objective_sizes(mango_objective *o, const mango_net *gen, mango_err *err)
{
    const mgi_node *in = o->network->node + o->network->input;
    mango_space *space = NULL;
    mango_space_info info;
    memset(&info, 0, sizeof info);
    o->C = in->C;
    o->H = in->H;
    o->W = in->W;
    o->size = o->C * o->H * o->W;
    if (!gen)
        return MANGO_OK;
    MGI_TRY(mango_space_of(&space, gen, &o->al, err));
    mango_space_get(space, &info);
    o->d = info.modes.d;
    mango_space_destroy(space);
    return MANGO_OK;
}

/* One arena for everything else that holds a batch. */
static mango_status objective_buffers(mango_objective *o, mango_err *err)
{
    mgi_arena *a = &o->arena;
    const mango_idx B = o->batch;
    mango_idx z, rgb;
    if (!mgi_mul(B, o->d, &z) || !mgi_mul(B, o->size, &rgb))
        return mgi_fail(err, MANGO_E_MEM, "objective: batch %td is too large", B);
    mgi_arena_plan(a, rgb, sizeof *o->rgb);
    mgi_arena_plan(a, z, sizeof *o->drawn);
    mgi_arena_plan(a, 2 * B, sizeof *o->runs);
    mgi_arena_plan(a, 2 * B, sizeof *o->low);
    if (mgi_arena_commit(a) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory for a batch of %td", B);
    o->rgb = mgi_arena_take(a, rgb, sizeof *o->rgb);
    o->drawn = mgi_arena_take(a, z, sizeof *o->drawn);
    o->runs = mgi_arena_take(a, 2 * B, sizeof *o->runs);
    o->still = o->runs + B;
    o->low = mgi_arena_take(a, 2 * B, sizeof *o->low);
    o->rank = o->low + B;
    return MANGO_OK;
}

static mango_status objective_check(const mango_objective_options *p, mango_err *err)
{
    MGI_CHECK(err,
              p->T >= 0 && p->T <= 4096 && p->batch >= 0 && p->batch <= 4096 && p->memory >= 0,
              "objective: T 0..4096, batch 0..4096, memory >= 0 expected");
    MGI_CHECK(err, p->elite != MANGO_ELITE_AUTO,
              "objective: MANGO_ELITE_AUTO is for mango_search_create");
    MGI_CHECK(err, p->elite >= 0 && p->believed > 0.0 && p->believed <= 1.0,
              "objective: elite >= 0, believed in (0,1] expected");
    MGI_CHECK(err, !p->ties || p->elite == 0, "objective: ties or early stop, not both");
    return MANGO_OK;
}

static mango_status objective_build(mango_objective *o, const mango_net *gen, mango_idx n,
                                    const mango_target *t, mango_err *err)
{
    const mango_objective_options *p = &o->opt;
    o->batch = p->batch > 0 ? p->batch : OBJECTIVE_BATCH;
    o->T = p->T > 0 ? p->T : mango_net_steps(o->network);
    o->elite = p->elite;
    o->minimize = p->minimize;
    o->believed = p->believed;
    MGI_TRY(mgi_sight_new(&o->see, o, n, t, err));
    MGI_TRY(sight_race(&o->see, o, err));
    MGI_TRY(objective_sizes(o, gen, err));
    MGI_TRY(objective_buffers(o, err));
    return objective_plans(o, gen, err);
}

mango_status mango_objective_create_many(mango_objective **o, const mango_net *gen,
                                         const mango_net *net, mango_idx n,
                                         const mango_target *targets,
                                         const mango_objective_options *options,
                                         const mango_alloc *al, mango_err *err)
{
    mango_objective_options opt;
    MGI_CHECK(err, o, "mango_objective_create: a place for the objective expected");
    *o = NULL;
    MGI_CHECK(err, net && targets, "mango_objective_create: network and targets expected");
    MGI_TRY(mango_objective_defaults(&opt));
    if (options)
        MGI_TRY(mgi_options_in(&opt, sizeof opt, options, "mango_objective_create", err));
    MGI_TRY(objective_check(&opt, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_objective *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    x->al = a;
    x->network = net;
    x->opt = opt;
    mgi_arena_init(&x->arena, &a);
    mgi_arena_init(&x->see.arena, &a);
    const mango_status st = objective_build(x, gen, n, targets, err);
    x->opt.controls = NULL; /* the drawing has a copy */
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
    MGI_CHECK(err, o, "mango_objective_create: a place for the objective expected");
    *o = NULL;
    MGI_TRY(mango_target_parse(&t, net, target, err));
    return mango_objective_create_many(o, gen, net, 1, &t, opt, al, err);
}

void mango_objective_destroy(mango_objective *o)
{
    if (!o)
        return;
    const mango_alloc al = o->al;
    mango_drawing_destroy(o->drawing);
    mango_plan_destroy(o->plan);
    mgi_sight_free(&o->see, &al);
    mgi_del(&al, o->tie, o->cap_tie, sizeof *o->tie);
    mgi_arena_free(&o->arena);
    mgi_del(&al, o, 1, sizeof *o);
}

/* ---- another target ------------------------------------------------------- */

mango_status mango_objective_aim(mango_objective *o, mango_idx n, const mango_target *targets,
                                 mango_err *err)
{
    mgi_sight see;
    MGI_CHECK(err, o, "mango_objective_aim: an objective expected");
    mango_status st = mgi_sight_new(&see, o, n, targets, err);
    if (st == MANGO_OK)
        st = sight_race(&see, o, err);
    if (st == MANGO_OK)
        st = objective_plan(o, &see, err);
    mgi_sight_free(st < 0 ? &see : &o->see, &o->al);
    if (st == MANGO_OK) {
        o->see = see;
        o->n_tie = 0;
    }
    return st;
}

/* ---- what it is ----------------------------------------------------------- */

mango_status mango_objective_get_sized(const mango_objective *o, mango_objective_info *info,
                                       size_t size)
{
    MGI_REQUIRE(o && info);
    mango_drawing_info d;
    memset(&d, 0, sizeof d);
    if (o->drawing)
        MGI_TRY(mango_drawing_get(o->drawing, &d));
    mango_objective_info own = {
        .C = o->C,
        .H = o->H,
        .W = o->W,
        .T = o->T,
        .bytes = d.bytes + mango_plan_bytes(o->plan),
        .batch = o->batch,
        .macs = d.macs + mango_plan_macs(o->plan),
        .space = d.space,
        .n_targets = o->see.n,
        .target = o->see.aim->t,
        .stopped = o->stopped,
        .steps = o->steps,
        .steps_all = o->steps_all,
    };
    if (o->see.aim->e)
        memcpy(own.vectors, o->see.aim->e->vectors, sizeof own.vectors);
    memcpy(own.gen, o->gen, sizeof own.gen);
    memcpy(own.net, o->net, sizeof own.net);
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

const char *mango_objective_error(const mango_objective *o)
{
    return o ? o->err.text : "";
}

#undef OBJECTIVE_BATCH

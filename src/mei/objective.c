/* objective.c - codes -> latent -> generator -> 8-bit picture -> network -> activation.
 *
 *   rgb = round(255 clamp(y out_scale + out_shift, 0, 1))/255                (1)
 *   class:k   p_k = exp(v_k - max v) / sum_c exp(v_c - max v)                (2)
 * SPDX-License-Identifier: MIT */
#include "../base/hash.h"
#include "../base/real.h"
#include "../net/graph.h"
#include "mei.h"
#include <math.h>

struct mango_objective {
    mango_alloc al;
    mgi_arena arena;
    mango_space *space;
    mango_plan *gen_plan, *net_plan;
    mango_idx d, batch;
    mango_idx C, H, W, size; /* of the picture; C*H*W          */
    mango_idx row;           /* floats of one reading          */
    float out_scale, out_shift;
    mango_target target;
    mango_idx T;
    float *z, *rgb, *act;    /* (batch,d) (batch,size) (batch,row) */
    char gen[65], net[65];
};

void mango_objective_defaults(mango_objective_options *o)
{
    if (!o)
        return;
    o->T = 0, o->batch = 10, o->memory = 0;
}

/* A digest is the SHA-256 of the graph's text and of every parameter's name and
 * bits, little-endian. It begins with the text, the only part that allocates. */
static mango_status objective_digest(const mango_net *n, const mango_alloc *al, mgi_hash *h)
{
    mgi_str text;
    mgi_str_init(&text, al);
    mango_status st = mgi_graph_write(n, &text);
    if (st == MANGO_OK && text.bad)
        st = MANGO_E_MEM;
    if (st == MANGO_OK) {
        mgi_sha256_init(h);
        mgi_hash_add(h, text.p, text.n);
    }
    mgi_str_free(&text);
    return st;
}

static void objective_hash_floats(mgi_hash *h, mango_idx n, const float *v)
{
    const uint32_t one = 1;
    unsigned char b[256];
    if (*(const unsigned char *)&one == 1) {
        mgi_hash_add(h, v, 4 * n);
        return;
    }
    for (mango_idx k = 0; k < n; k += 64) {
        const mango_idx m = MGI_MIN(64, n - k);
        for (mango_idx e = 0; e < 4 * m; e++) {
            uint32_t bits;
            memcpy(&bits, v + k + e / 4, sizeof bits);
            b[e] = (unsigned char)(bits >> (8 * (e % 4)) & 255);
        }
        mgi_hash_add(h, b, 4 * m);
    }
}

static void objective_hash_params(const mango_net *n, mgi_hash *h, char hex[65])
{
    for (int i = 0; i < n->n_params; i++) {
        const mgi_param *p = n->param + i;
        mgi_hash_add(h, p->name, (mango_idx)strlen(p->name) + 1);
        if (p->v)
            objective_hash_floats(h, p->count, p->v);
    }
    mgi_hash_end(h, hex);
}

static mango_status objective_digests(mango_objective *o, const mango_net *gen,
                                      const mango_net *net)
{
    const mango_net *const n[2] = {gen, net};
    char *const hex[2] = {o->gen, o->net};
    mgi_hash h[2];
    for (int i = 0; i < 2; i++)
        MGI_TRY(objective_digest(n[i], &o->al, h + i));
    MGI_OMP(parallel for schedule(static, 1))
    for (int i = 0; i < 2; i++)
        objective_hash_params(n[i], h + i, hex[i]);
    return MANGO_OK;
}

/* Sizes of both nets, checked against each other. */
static mango_status objective_sizes(mango_objective *o, const mango_net *gen,
                                    const mango_net *net, mango_err *err)
{
    const mgi_node *out = gen->node + gen->output, *in = net->node + net->input;
    const mgi_node *read = net->node + o->target.layer;
    if (out->C != in->C || out->H != in->H || out->W != in->W)
        return mgi_fail(
            err, MANGO_E_SHAPE,
            "the generator's picture is %tdx%tdx%td, the network takes %tdx%tdx%td", out->C,
            out->H, out->W, in->C, in->H, in->W);
    o->C = out->C, o->H = out->H, o->W = out->W;
    o->size = o->C * o->H * o->W;
    o->row = o->target.y < 0 ? read->C : read->C * read->H * read->W;
    o->out_scale = gen->out_scale, o->out_shift = gen->out_shift;
    return MANGO_OK;
}

static mango_status objective_plans(mango_objective *o, const mango_net *gen,
                                    const mango_net *net,
                                    const mango_objective_options *opt, mango_err *err)
{
    mango_plan_options p;
    mango_plan_defaults(&p);
    p.batch = opt->batch;
    if (opt->memory > 0)
        p.memory = opt->memory;
    mango_plan_options g = p;
    g.from = mango_space_layer(o->space), g.raw = 1;
    const mango_reading picture = {gen->output, MANGO_READ_MEAN, o->rgb};
    MGI_TRY(mango_plan_create(&o->gen_plan, gen, &g, 1, &picture, &o->al, err));
    p.T = o->T = opt->T > 0 ? opt->T : mango_net_steps(net);
    const mango_reading reading = {
        o->target.layer, o->target.y < 0 ? MANGO_READ_RATE : MANGO_READ_MEAN, o->act};
    return mango_plan_create(&o->net_plan, net, &p, 1, &reading, &o->al, err);
}

static mango_status objective_build(mango_objective *o, const mango_net *gen,
                                    const mango_net *net, const char *target,
                                    const mango_objective_options *opt, mango_err *err)
{
    mango_modes m;
    MGI_TRY(mango_target_parse(&o->target, net, target, err));
    MGI_TRY(mango_space_of(&o->space, gen, &o->al, err));
    mango_space_modes(o->space, &m);
    MGI_TRY(objective_sizes(o, gen, net, err));
    o->d = m.d, o->batch = opt->batch;
    mango_idx z, rgb, act;
    if (!mgi_mul(o->batch, o->d, &z) || !mgi_mul(o->batch, o->size, &rgb) ||
        !mgi_mul(o->batch, o->row, &act))
        return mgi_fail(err, MANGO_E_MEM, "objective: batch %td is too large", o->batch);
    mgi_arena_plan(&o->arena, z, sizeof(float));
    mgi_arena_plan(&o->arena, rgb, sizeof(float));
    mgi_arena_plan(&o->arena, act, sizeof(float));
    if (mgi_arena_commit(&o->arena) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    o->z = mgi_arena_take(&o->arena, z, sizeof(float));
    o->rgb = mgi_arena_take(&o->arena, rgb, sizeof(float));
    o->act = mgi_arena_take(&o->arena, act, sizeof(float));
    MGI_TRY(objective_plans(o, gen, net, opt, err));
    if (objective_digests(o, gen, net) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    return MANGO_OK;
}

mango_status mango_objective_create(mango_objective **o, const mango_net *gen,
                                    const mango_net *net, const char *target,
                                    const mango_objective_options *opt,
                                    const mango_alloc *al, mango_err *err)
{
    mango_objective_options std;
    MGI_REQUIRE(o && gen && net);
    *o = NULL;
    mango_objective_defaults(&std);
    const mango_objective_options *p = opt ? opt : &std;
    if (p->T < 0 || p->T > 4096 || p->batch < 1 || p->batch > 4096 || p->memory < 0)
        return mgi_fail(err, MANGO_E_ARG,
                        "objective: T 0..4096, batch 1..4096, memory >= 0 expected");
    const mango_alloc a = mgi_alloc_get(al);
    mango_objective *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    x->al = a;
    mgi_arena_init(&x->arena, &a);
    const mango_status st = objective_build(x, gen, net, target, p, err);
    if (st < 0)
        mango_objective_destroy(x);
    else
        *o = x;
    return st;
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

/* y (K) of K <= batch pictures. */
static mango_status objective_read(mango_objective *o, mango_idx K, const float *rgb,
                                   double *y)
{
    const mango_target *t = &o->target;
    MGI_TRY(mango_plan_run(o->net_plan, K, rgb));
    for (mango_idx k = 0; k < K; k++) {
        const float *v = o->act + k * o->row;
        const mango_idx at =
            t->y < 0 ? t->unit : (t->unit * t->info.H + t->y) * t->info.W + t->x;
        y[k] = t->softmax ? objective_softmax(o->row, v, t->unit) : (double)v[at];
    }
    return MANGO_OK;
}

/* Pictures of K <= batch codes into o->rgb. */
static mango_status objective_draw(mango_objective *o, mango_idx K, const mango_idx *I)
{
    MGI_TRY(mango_space_latent(o->space, K, I, o->z));
    MGI_TRY(mango_plan_run(o->gen_plan, K, o->z));
    objective_round(o, K * o->size, o->rgb);                                    /* (1) */
    return MANGO_OK;
}

mango_status mango_objective_eval(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_objective *o = ud;
    MGI_REQUIRE(o && K >= 0 && (K == 0 || (I && y)));
    for (mango_idx k = 0; k < K; k += o->batch) {
        const mango_idx n = MGI_MIN(o->batch, K - k);
        MGI_TRY(objective_draw(o, n, I + k * o->d));
        MGI_TRY(objective_read(o, n, o->rgb, y + k));
    }
    return MANGO_OK;
}

mango_status mango_objective_picture(mango_objective *o, const mango_idx *I, float *rgb)
{
    MGI_REQUIRE(o && I && rgb);
    MGI_TRY(objective_draw(o, 1, I));
    memcpy(rgb, o->rgb, (size_t)o->size * sizeof *rgb);
    return MANGO_OK;
}

mango_status mango_objective_look(mango_objective *o, mango_idx K, const float *rgb,
                                  double *y)
{
    MGI_REQUIRE(o && K >= 0 && (K == 0 || (rgb && y)));
    for (mango_idx k = 0; k < K; k += o->batch)
        MGI_TRY(objective_read(o, MGI_MIN(o->batch, K - k), rgb + k * o->size, y + k));
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
    info->target = o->target;
    memcpy(info->gen, o->gen, sizeof info->gen);
    memcpy(info->net, o->net, sizeof info->net);
}

/* plan_pack.c - the weights of a plan: spectral norm applied, batch-norm
 * folded in, rows permuted where a reshape follows, packed once.
 *
 *     y = s (W x + b) + t   becomes   W' = s W,  b' = fma(b, s, t)
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../math/spectral.h"
#include "neurons.h"
#include "plan.h"

#define FOLD_LARGE (1 << 18) /* weights that do not stay in cache */
#define FOLD_PART 6144       /* weights that are folded at a time, on the stack */

/* Scratch for one step's weights. */
typedef struct mgi_fold {
    const mango_plan *p;
    mango_idx n, rows, cols;
    float *w;     /* (n) weights being changed            */
    float *s, *t; /* (rows) batch-norm                    */
    float *v, *u; /* (cols), (rows) of the spectral norm  */
} mgi_fold;

static const float *plan_param(const mango_plan *p, int i)
{
    return i < 0 ? NULL : p->net->param[i].v;
}

static mango_status plan_filled(const mango_plan *p, int i, mango_err *err)
{
    if (i >= 0 && !p->net->param[i].v && !p->net->param[i].half)
        return mgi_fail(err, MANGO_E_STATE, "parameter '%s' %s", p->net->param[i].name,
                        p->net->given ? "was given away to an earlier plan"
                                      : "has no values: load or fill the net");
    return MANGO_OK;
}

/* ---- spectral norm -------------------------------------------------------- */

static mango_status fold_spectral(mgi_fold *f, const mgi_node *g, mango_err *err)
{
    const mango_idx O = f->p->net->param[g->weight].shape[0], K = f->n / O;
    const float *u = plan_param(f->p, g->sn_u);
    if (!u)
        return mgi_fail(err, MANGO_E_STATE,
                        "layer '%s': no vector sn_u for its spectral norm", g->name);
    const double sigma = mgi_power_step(O, K, f->w, u, f->v, f->u);
    for (mango_idx i = 0; i < f->n; i++)
        f->w[i] = (float)(f->w[i] / sigma);
    return MANGO_OK;
}

/* ---- batch-norm and order -------------------------------------------------- */

/* W' = s W along the output channels; transposed weights are (C,O/groups,kh,kw). */
static void fold_scale(mgi_fold *f, const mgi_conv *c)
{
    const mango_idx area = (mango_idx)c->kh * c->kw;
    const mango_idx run = c->transposed ? area : mgi_conv_inputs(c) * area;
    const mango_idx Cg = mgi_conv_inputs(c), Og = c->O / mgi_conv_groups(c);
    MGI_OMP(parallel for schedule(static) if (f->n >= MGI_GRAIN))
    for (mango_idx r = 0; r < f->n / run; r++) {
        const float s = f->s[c->transposed ? r / Og / Cg * Og + r % Og : r];
        for (mango_idx i = 0; i < run; i++)
            f->w[r * run + i] *= s;
    }
}

/* dst (HW,C) = src (C,HW), elements of `size` floats. */
static void fold_to_last(mango_idx C, mango_idx HW, mango_idx size, const float *src,
                         float *dst)
{
    for (mango_idx c = 0; c < C; c++)
        for (mango_idx q = 0; q < HW; q++)
            memcpy(dst + (q * C + c) * size, src + (c * HW + q) * size,
                   (size_t)size * sizeof *dst);
}

/* b' into s->bias, in the order of the output. */
static void fold_bias(mgi_fold *f, const mgi_step *s, const mgi_node *g)
{
    const float *b = plan_param(f->p, g->bias_p);
    float *y = f->u;
    for (mango_idx o = 0; o < s->bias_n; o++) {
        y[o] = b ? b[o] : 0.0f;
        if (s->bn >= 0)
            y[o] = mgi_fmaf(y[o], f->s[o], f->t[o]);
    }
    if (s->reshape >= 0) {
        const mgi_node *r = &f->p->net->node[s->reshape];
        fold_to_last(r->C, r->H * r->W, 1, y, s->bias);
    } else {
        memcpy(s->bias, y, (size_t)s->bias_n * sizeof *y);
    }
}

static void fold_batchnorm(const mango_plan *p, const mgi_node *g, float *s, float *t)
{
    mgi_batchnorm_fold(g->C, plan_param(p, g->weight), plan_param(p, g->bias_p),
                       plan_param(p, g->mean_p), plan_param(p, g->var_p), g->eps, s, t);
}

/* Are outputs and inputs independent of others until they are packed? Then a part
 * of them goes from the net's weights to the packed ones without leaving the cache. */
static int fold_in_parts(const mango_plan *p, const mgi_step *s)
{
    const mgi_conv *c = &s->conv;
    return !c->transposed && c->groups <= 1 && !c->int8 && s->reshape < 0 &&
           !p->net->node[s->op].spectral && mgi_kernels_get()->nr * c->kh * c->kw <= FOLD_PART;
}

/* Weights of a matrix product that need no change are packed from the net's. */
static int fold_is_plain(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->op];
    return s->bn < 0 && s->reshape < 0 && !g->spectral && !p->net->param[g->weight].half;
}

/* Parameter i into f->w, to be changed there. */
static void fold_copy(mgi_fold *f, int i)
{
    const mgi_param *q = &f->p->net->param[i];
    if (q->half)
        mgi_file_halves(q->count, q->half, f->w);
    else
        memcpy(f->w, q->v, (size_t)q->count * sizeof *f->w);
}

/* ---- packing ---------------------------------------------------------------- */

/* Inputs of a part. */
static mango_idx fold_inputs(const mgi_conv *c)
{
    return FOLD_PART / (mgi_kernels_get()->nr * c->kh * c->kw);
}

static void fold_part(const mgi_fold *f, const mgi_step *s, mango_idx item)
{
    const mgi_conv *c = &s->conv;
    const mgi_param *q = &f->p->net->param[f->p->net->node[s->op].weight];
    const mango_idx nr = mgi_kernels_get()->nr, most = fold_inputs(c),
                    area = (mango_idx)c->kh * c->kw;
    const mango_idx parts = mgi_ceil_div(c->C, most), p = item / parts,
                    c0 = item % parts * most;
    const mango_idx n = MGI_MIN(most, c->C - c0), row = n * area;
    float w[FOLD_PART];
    for (mango_idx o = 0; o < MGI_MIN(nr, c->O - p * nr); o++) {
        const mango_idx at = ((p * nr + o) * c->C + c0) * area;
        float *to = w + o * row;
        if (q->half)
            mgi_file_halves(row, q->half + 2 * at, to);
        else
            memcpy(to, q->v + at, (size_t)row * sizeof *to);
        for (mango_idx i = 0; s->bn >= 0 && i < row; i++)
            to[i] *= f->s[p * nr + o];
    }
    mgi_conv_pack_part(c, p, c0, n, w, s->packed);
}

static void fold_parts(const mgi_fold *f, const mgi_step *s)
{
    const mango_idx nr = mgi_kernels_get()->nr, most = fold_inputs(&s->conv);
    const mango_idx items = mgi_ceil_div(s->conv.O, nr) * mgi_ceil_div(s->conv.C, most);
    if (mgi_in_parallel()) { /* this thread packs, others of its team may wait for tasks */
        MGI_TASK(taskgroup)
        for (mango_idx i = 0; i < items; i++) {
            MGI_TASK(task)
            fold_part(f, s, i);
        }
        return;
    }
    MGI_OMP(parallel for schedule(static) if (f->n >= MGI_GRAIN))
    for (mango_idx i = 0; i < items; i++)
        fold_part(f, s, i);
}

/* Weights that the whole of them is needed for. */
static mango_status fold_whole(mgi_fold *f, const mgi_step *s, mango_err *err)
{
    const mango_net *net = f->p->net;
    const mgi_node *g = &net->node[s->op];
    const float *w = plan_param(f->p, g->weight);
    if (!fold_is_plain(f->p, s)) {
        fold_copy(f, g->weight);
        if (g->spectral)
            MGI_TRY(fold_spectral(f, g, err));
        if (s->bn >= 0)
            fold_scale(f, s->up == MGI_UP_NONE ? &s->conv : &g->conv);
        w = f->w;
    }
    if (s->up == MGI_UP_SUBPIXEL) {
        mgi_plan_up_weights(&g->conv, w, f->w + f->n);
        w = f->w + f->n;
    }
    if (s->reshape >= 0) {
        const mgi_node *r = &net->node[s->reshape];
        fold_to_last(r->C, r->H * r->W, f->n / s->conv.O, f->w, f->w + f->n);
        w = f->w + f->n;
    }
    mgi_conv_pack(&s->conv, w, s->packed);
    return MANGO_OK;
}

static mango_status fold_matmul(mgi_fold *f, const mgi_step *s, mango_err *err)
{
    const mgi_node *g = &f->p->net->node[s->op];
    f->n = f->p->net->param[g->weight].count;
    if (s->bn >= 0)
        fold_batchnorm(f->p, &f->p->net->node[s->bn], f->s, f->t);
    if (fold_in_parts(f->p, s))
        fold_parts(f, s);
    else
        MGI_TRY(fold_whole(f, s, err));
    if (s->bias)
        fold_bias(f, s, g);
    return MANGO_OK;
}

/* Scores of a VQ: |e|^2 - 2 e'x, smallest for the nearest row e. */
static void fold_vq(mgi_fold *f, const mgi_step *s, const mgi_node *g)
{
    mgi_vq_weights(s->conv.O, s->conv.C, plan_param(f->p, g->weight), f->w, s->bias);
    mgi_conv_pack(&s->conv, f->w, s->packed);
}

/* Constants and recurrent weights of LIF neurons. */
static void fold_neurons(const mango_plan *p, const mgi_step *s, const mgi_node *g)
{
    mgi_neurons_values w;
    for (int c = 0; c < MGI_CELLS; c++)
        w.cell[c] = plan_param(p, g->cell[c]);
    w.weight = plan_param(p, g->weight);
    w.bias = plan_param(p, g->bias_p);
    mgi_neurons_pack(g, &w, s->packed);
}

/* ---- what was packed before --------------------------------------------------- */

/* Do two steps need the same packed weights? Whether these are halves was decided
 * for the first. */
static int pack_same(const mgi_step *a, const mgi_step *b)
{
    const mgi_conv *c = &a->conv, *d = &b->conv;
    return a->head == b->head && a->op == b->op && a->bn == b->bn && a->reshape == b->reshape &&
           a->after == b->after && a->up == b->up && a->may_half == b->may_half &&
           a->bias_n == b->bias_n && a->after_n == b->after_n && c->C == d->C && c->H == d->H &&
           c->W == d->W && c->O == d->O && c->kh == d->kh && c->kw == d->kw && c->sh == d->sh &&
           c->sw == d->sw && c->ph == d->ph && c->pw == d->pw && c->dh == d->dh &&
           c->dw == d->dw && c->groups == d->groups && c->OH == d->OH && c->OW == d->OW &&
           c->transposed == d->transposed && c->winograd == d->winograd && c->int8 == d->int8;
}

static int pack_needs(const mgi_step *s)
{
    return s->packed_n || s->bias_n || s->after_n;
}

/* Takes over what an earlier aim packed; false: nothing like it. */
static int pack_again(const mango_plan *p, mgi_step *s)
{
    for (int i = 0; i < p->cpu->n_packed; i++) {
        const mgi_step *q = &p->cpu->packed[i];
        if (!pack_same(q, s))
            continue;
        s->conv.half = q->conv.half;
        s->packed_n = q->packed_n;
        s->packed = q->packed;
        s->bias = q->bias;
        s->scale = q->scale;
        s->after_scale = q->after_scale;
        s->after_shift = q->after_shift;
        return 1;
    }
    return 0;
}

static int pack_is_new(const mgi_step *s)
{
    return pack_needs(s) && !s->packed && !s->bias && !s->after_scale;
}

/* ---- all steps ------------------------------------------------------------------- */

static mango_status fold_step(mgi_fold *f, mgi_step *s, mango_err *err)
{
    const mango_plan *p = f->p;
    const mgi_node *g = &p->net->node[s->packed ? s->op : s->head];
    if (s->head == p->from)
        return g->kind == MGI_VQ ? plan_filled(p, g->weight, err) : MANGO_OK;
    if (pack_needs(s) && !s->fresh)
        return MANGO_OK; /* an earlier aim did */
    const int with[] = {s->packed ? s->op : s->head, s->bn, s->after};
    for (int j = 0; j < 3; j++) {
        const int i = with[j];
        const mgi_node *q = &p->net->node[MGI_MAX(i, 0)];
        if (i < 0)
            continue;
        MGI_TRY(plan_filled(p, q->weight, err));
        MGI_TRY(plan_filled(p, q->bias_p, err));
        MGI_TRY(plan_filled(p, q->mean_p, err));
        MGI_TRY(plan_filled(p, q->var_p, err));
        for (int c = 0; c < MGI_CELLS; c++)
            MGI_TRY(plan_filled(p, q->cell[c], err));
        MGI_TRY(mgi_check_variance(p->net, i, err));
    }
    if (!s->fresh)
        return MANGO_OK;
    if (s->after >= 0)
        fold_batchnorm(p, &p->net->node[s->after], s->after_scale, s->after_shift);
    if (mgi_is_matmul(g->kind))
        return fold_matmul(f, s, err);
    if (g->kind == MGI_BATCHNORM)
        fold_batchnorm(p, g, s->scale, s->bias);
    else if (g->kind == MGI_VQ)
        fold_vq(f, s, g);
    else if (g->kind == MGI_LIF)
        fold_neurons(p, s, g);
    return MANGO_OK;
}

/* Scratch large enough for every step: weights twice where rows are permuted. */
static mango_status fold_plan(const mango_plan *p, mgi_fold *f, mgi_arena *a)
{
    mango_idx w = 0;
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_step *s = &p->step[i];
        const mgi_node *g = &p->net->node[s->op];
        if (!s->packed_n || !s->fresh || g->kind == MGI_LIF)
            continue;
        const mango_idx n = p->net->param[g->weight].count;
        f->rows = MGI_MAX(f->rows, MGI_MAX(s->bias_n, p->net->param[g->weight].shape[0]));
        f->cols = MGI_MAX(f->cols, g->spectral ? n : 0);
        if (s->up == MGI_UP_SUBPIXEL)
            w = MGI_MAX(w, n + s->conv.C * s->conv.O * s->conv.kh * s->conv.kw);
        else if (g->kind == MGI_VQ || !(fold_in_parts(p, s) || fold_is_plain(p, s)))
            w = MGI_MAX(w, s->reshape >= 0 ? 2 * n : n);
    }
    mgi_arena_plan(a, w, sizeof(float));
    for (int i = 0; i < 3; i++)
        mgi_arena_plan(a, f->rows, sizeof(float));
    mgi_arena_plan(a, f->cols, sizeof(float));
    MGI_TRY(mgi_arena_commit(a));
    f->w = mgi_arena_take(a, w, sizeof(float));
    f->s = mgi_arena_take(a, f->rows, sizeof(float));
    f->t = mgi_arena_take(a, f->rows, sizeof(float));
    f->u = mgi_arena_take(a, f->rows, sizeof(float));
    f->v = mgi_arena_take(a, f->cols, sizeof(float));
    return MANGO_OK;
}

/* One arena for all that is packed anew: weights, biases, scales and shifts. */
static mango_status pack_alloc(mango_plan *p, mgi_arena *a)
{
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_step *s = &p->step[i];
        if (!pack_is_new(s))
            continue;
        mgi_arena_plan(a, s->packed_n, sizeof(float));
        for (int j = 0; j < 2; j++) {
            mgi_arena_plan(a, s->bias_n, sizeof(float));
            mgi_arena_plan(a, s->after_n, sizeof(float));
        }
    }
    MGI_TRY(mgi_arena_commit(a));
    for (int i = 0; i < p->n_steps; i++) {
        mgi_step *s = &p->step[i];
        s->fresh = pack_is_new(s);
        if (!s->fresh)
            continue;
        float *w = mgi_arena_take(a, s->packed_n, sizeof(float));
        float *b = mgi_arena_take(a, s->bias_n, sizeof(float));
        float *c = mgi_arena_take(a, s->bias_n, sizeof(float));
        s->packed = s->packed_n ? w : NULL;
        s->bias = s->bias_n ? b : NULL;
        s->scale = s->bias_n ? c : NULL;
        s->after_scale = mgi_arena_take(a, s->after_n, sizeof(float));
        s->after_shift = mgi_arena_take(a, s->after_n, sizeof(float));
    }
    return MANGO_OK;
}

/* Room to remember `fresh` steps and one more block. */
static mango_status pack_room(mango_plan *p, int fresh)
{
    mgi_cpu *c = p->cpu;
    mgi_step *steps = mgi_new(&p->al, c->n_packed + fresh, sizeof *steps);
    mgi_arena *blocks = mgi_new(&p->al, c->n_blocks + 1, sizeof *blocks);
    if (!steps || !blocks) {
        if (steps)
            mgi_del(&p->al, steps, c->n_packed + fresh, sizeof *steps);
        if (blocks)
            mgi_del(&p->al, blocks, c->n_blocks + 1, sizeof *blocks);
        return MANGO_E_MEM;
    }
    if (c->packed) {
        memcpy(steps, c->packed, (size_t)c->n_packed * sizeof *steps);
        mgi_del(&p->al, c->packed, c->n_packed, sizeof *steps);
    }
    if (c->block) {
        memcpy(blocks, c->block, (size_t)c->n_blocks * sizeof *blocks);
        mgi_del(&p->al, c->block, c->n_blocks, sizeof *blocks);
    }
    c->packed = steps;
    c->block = blocks;
    c->n_packed += fresh;
    c->n_blocks++;
    return MANGO_OK;
}

/* Of a net that gives: free the weights of node op unless a step from `next` on
 * packs them. A quantizer's rows stay: they are read while plans run. */
static void fold_release(const mango_plan *p, int op, int next)
{
    const mgi_node *g = &p->net->node[op];
    int needed = !p->net->given || !mgi_is_matmul(g->kind);
    for (int i = next; !needed && i < p->n_steps; i++)
        needed = p->step[i].packed_n && p->step[i].fresh && p->step[i].op == op;
    if (!needed)
        mgi_param_release(p->net, g->weight);
}

/* Weights held as halves: on request all that multiply values (not spikes); by
 * itself where that changes nothing and is faster, which is where each weight is
 * a half already, as in a file of F16, and is used once an input: reading such
 * weights is what a large linear layer spends its time on. */
static void pack_halves(const mango_plan *p, mgi_step *s)
{
    const mgi_param *w = &p->net->param[p->net->node[s->op].weight];
    const int once = s->conv.OH * s->conv.OW == 1 && s->packed_n >= FOLD_LARGE;
    const int as_is = s->bn < 0 && s->up == MGI_UP_NONE && !p->net->node[s->op].spectral;
    s->conv.half = p->half ||
                   (once && as_is && (w->half || (w->v && mgi_halves_exact(w->count, w->v))));
    s->packed_n = mgi_conv_packed(&s->conv);
}

/* What each step can take from an earlier aim; how many it leaves to be packed. */
static int pack_reuse(mango_plan *p)
{
    int fresh = 0;
    for (int i = 0; i < p->n_steps; i++) {
        mgi_step *s = &p->step[i];
        const mgi_node *g = &p->net->node[s->op];
        s->may_half = s->packed_n && mgi_is_matmul(g->kind) && !s->conv.transposed &&
                      !s->conv.winograd && !s->conv.int8 && s->conv.groups <= 1 &&
                      !(s->op == s->head && mgi_plan_is_bits(p, g->in[0]));
        if (!pack_needs(s) || pack_again(p, s))
            continue;
        if (s->may_half)
            pack_halves(p, s);
        fresh++;
    }
    return fresh;
}

/* Packs all fresh steps into block a. */
static mango_status pack_steps(mango_plan *p, mgi_arena *a, mango_err *err)
{
    mango_status st;
    mgi_fold f = {.p = p};
    mgi_arena scratch;
    mgi_arena_init(&scratch, &p->al);
    st = pack_alloc(p, a);
    if (st >= 0)
        st = fold_plan(p, &f, &scratch);
    if (st < 0) {
        mgi_fail(err, st, "no memory for packed weights");
        goto done;
    }
    for (int i = 0; i < p->net->n_nodes; i++) /* what the plan does not run */
        fold_release(p, i, 0);
    for (int i = 0; i < p->n_steps; i++) {
        MGI_TRY_TO(fold_step(&f, &p->step[i], err));
        fold_release(p, p->step[i].op, i + 1);
    }
done:
    mgi_arena_free(&scratch);
    return st;
}

MGI_FN mango_status mgi_plan_pack(mango_plan *p, mango_err *err)
{
    mgi_arena a;
    const int fresh = pack_reuse(p);
    mgi_arena_init(&a, &p->al);
    mango_status st = pack_steps(p, &a, err);
    if (st >= 0 && fresh > 0) {
        st = pack_room(p, fresh);
        if (st < 0)
            mgi_fail(err, st, "no memory for a plan");
    }
    if (st < 0 || fresh == 0) {
        mgi_arena_free(&a);
        return st;
    }
    p->cpu->block[p->cpu->n_blocks - 1] = a;
    int at = p->cpu->n_packed - fresh;
    for (int i = 0; i < p->n_steps; i++)
        if (p->step[i].fresh)
            p->cpu->packed[at++] = p->step[i];
    return MANGO_OK;
}

#undef FOLD_LARGE
#undef FOLD_PART

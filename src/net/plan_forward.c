/* plan_forward.c - runs the steps of a plan on the chunk under way: inputs
 * b0..b0+b-1 and, for what depends on time, steps t0..t0+t-1, as N = t*b maps,
 * t slowest.
 * SPDX-License-Identifier: MIT */
#include "lifrule.h"
#include "plan.h"

#define FWD_BLOCK 1024            /* neurons whose membranes stay in cache over all steps */
#define FWD_LOW 131072            /* values between a 1x1 convolution and its upsampling */
#define FWD_GRAIN (8 * MGI_GRAIN) /* values below which one thread does it */

MGI_FN void *mgi_plan_at(const mango_plan *p, int buf)
{
    return p->maps.base + p->buf[buf].offset;
}

MGI_FN const float *mgi_plan_value(const mango_plan *p, int node)
{
    return mgi_plan_at(p, p->step[p->node[mgi_plan_source(p, node)].step].out);
}

MGI_FN const uint64_t *mgi_plan_words(const mango_plan *p, int node)
{
    return mgi_plan_at(p, p->step[p->node[mgi_plan_source(p, node)].step].out);
}

/* Maps of a step in this chunk. */
static mango_idx fwd_maps(const mango_plan *p, const mgi_step *s)
{
    return s->dynamic ? p->t * p->b : p->b;
}

/* Map n of a node's value; a static one is the same at each step. */
static const float *fwd_map(const mango_plan *p, int node, mango_idx n)
{
    const mgi_node *g = &p->net->node[node];
    const mango_idx i = p->node[node].dynamic ? n : n % p->b;
    return mgi_plan_value(p, node) + i * g->C * g->H * g->W;
}

static float *fwd_scratch(const mango_plan *p, const mgi_step *s)
{
    return s->work < 0 ? NULL : mgi_plan_at(p, s->work);
}

/* ---- sources ---------------------------------------------------------------- */

/* x = (x - mean)/std per channel, for pictures of one or three channels. */
static void fwd_normalize(const mango_net *net, mango_idx C, mango_idx rows, float *x)
{
    if (C != 1 && C != 3)
        return;
    MGI_OMP(parallel for if (rows * C >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c++)
            x[i * C + c] = (x[i * C + c] - net->mean[c]) / net->std[c];
}

static void fwd_vq_rows(const mango_plan *p, const mgi_node *g, mango_idx n,
                        const float *codes, float *y)
{
    const float *e = p->net->param[g->weight].v; /* (K,C) */
    for (mango_idx i = 0; i < n; i++)
        memcpy(y + i * g->C, e + (mango_idx)codes[i] * g->C, (size_t)g->C * sizeof *y);
}

static void fwd_feed(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W;
    if (g->kind == MGI_VQ) {
        float *codes = mgi_plan_at(p, s->aux);
        memcpy(codes, p->x + p->b0 * HW, (size_t)(p->b * HW) * sizeof *codes);
        fwd_vq_rows(p, g, p->b * HW, codes, y);
        return;
    }
    mgi_to_nhwc(p->b, g->C, HW, p->x + p->b0 * g->C * HW, y);
    if (s->head != p->from && !p->raw)
        fwd_normalize(p->net, g->C, p->b * HW, y);
}

/* ---- operators without a kernel of their own ------------------------------------ */

/* S (t,n), U (n): each block of neurons goes through all steps at once. */
static void fwd_lif(mango_plan *p, const mgi_step *s, float *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx n = p->b * s->n;
    const mango_idx stride = p->node[g->in[0]].dynamic ? n : 0;
    const float *X = mgi_plan_value(p, g->in[0]);
    const mgi_lif_rule rule = mgi_lif_lower(&g->lif);
    const float U0 = mgi_lif_rest(&g->lif);
    float *U = mgi_plan_at(p, s->aux);

    MGI_OMP(parallel for schedule(static) if (n * p->t >= FWD_GRAIN))
    for (mango_idx i = 0; i < n; i += FWD_BLOCK) {
        const mango_idx m = MGI_MIN((mango_idx)FWD_BLOCK, n - i);
        for (mango_idx j = 0; j < m && p->t0 == 0; j++)
            U[i + j] = U0;
        for (mango_idx t = 0; t < p->t; t++)
            p->k->lif(m, &rule, X + t * stride + i, U + i, S + t * n + i);
    }
}

/* The same, S as bits: each word of a pixel goes through all steps at once. */
static void fwd_lif_bits(mango_plan *p, const mgi_step *s, uint64_t *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx C = g->C, rows = p->b * g->H * g->W, words = mgi_bits_words(C);
    const float *X = mgi_plan_value(p, g->in[0]);
    const mgi_lif_rule rule = mgi_lif_lower(&g->lif);
    const float U0 = mgi_lif_rest(&g->lif);
    float *U = mgi_plan_at(p, s->aux);

    MGI_OMP(parallel for schedule(static) if (rows * C * p->t >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows * words; i++) {
        const mango_idx c = i % words * 64, at = i / words * C + c;
        const mgi_lif_run q = {.T = p->t,
                               .n = MGI_MIN(64, C - c),
                               .X = X + at,
                               .ldX = p->node[g->in[0]].dynamic ? rows * C : 0,
                               .U = U + at,
                               .S = S + i,
                               .ldS = rows * words};
        for (mango_idx j = 0; j < q.n && p->t0 == 0; j++)
            q.U[j] = U0;
        p->k->lif_bits(&rule, &q);
    }
}

/* Scores |e|^2 - 2 e'x by one matrix product, then the first smallest. */
static void fwd_vq(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W, K = g->codes, N = fwd_maps(p, s);
    float *codes = mgi_plan_at(p, s->aux), *score = fwd_scratch(p, s);
    const mgi_epilogue e = {s->bias, NULL, 0};
    for (mango_idx n = 0; n < N; n++) {
        mgi_conv_forward(&s->conv, 1, fwd_map(p, g->in[0], n), s->packed, &e, score,
                         score + HW * K);
        for (mango_idx i = 0; i < HW; i++) {
            mango_idx best = 0;
            for (mango_idx k = 1; k < K; k++)
                if (score[i * K + k] < score[i * K + best])
                    best = k;
            codes[n * HW + i] = (float)best;
        }
    }
    fwd_vq_rows(p, g, N * HW, codes, y);
}

static void fwd_relu(const mango_plan *p, mango_idx n, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (n >= FWD_GRAIN))
    for (mango_idx i = 0; i < n; i += FWD_BLOCK)
        p->k->relu(MGI_MIN((mango_idx)FWD_BLOCK, n - i), x + i, y + i);
}

static void fwd_batchnorm(const mango_plan *p, const mgi_step *s, const mgi_node *g,
                          const float *x, float *y)
{
    const mango_idx C = g->C, rows = fwd_maps(p, s) * g->H * g->W;
    const mango_idx block = MGI_MAX(FWD_BLOCK / C, 1);
    MGI_OMP(parallel for schedule(static) if (rows * C >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows; i += block)
        p->k->scale_shift(MGI_MIN(block, rows - i), C, s->scale, s->bias, x + i * C,
                          y + i * C);
}

static void fwd_add(const mango_plan *p, const mgi_step *s, const mgi_node *g, float *y)
{
    const mango_idx N = fwd_maps(p, s);
    MGI_OMP(parallel for schedule(static) if (N * s->n >= FWD_GRAIN))
    for (mango_idx n = 0; n < N; n++)
        p->k->add(s->n, fwd_map(p, g->in[0], n), fwd_map(p, g->in[1], n), y + n * s->n);
}

static void fwd_concat(const mango_plan *p, const mgi_step *s, const mgi_node *g, float *y)
{
    const mango_idx N = fwd_maps(p, s), HW = g->H * g->W;
    MGI_OMP(parallel for schedule(static) if (N * s->n >= FWD_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        float *at = y + n * s->n;
        for (int j = 0; j < g->n_in; j++) {
            const mango_idx C = p->net->node[g->in[j]].C;
            const float *x = fwd_map(p, g->in[j], n);
            for (mango_idx q = 0; q < HW; q++)
                memcpy(at + q * g->C, x + q * C, (size_t)C * sizeof *y);
            at += C;
        }
    }
}

static void fwd_globalsum(mango_idx N, mango_idx HW, mango_idx C, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (N * HW * C >= FWD_GRAIN))
    for (mango_idx n = 0; n < N; n++)
        for (mango_idx c = 0; c < C; c++) {
            double q = 0;
            for (mango_idx i = 0; i < HW; i++)
                q += x[(n * HW + i) * C + c];
            y[n * C + c] = (float)q;
        }
}

/* ---- one step --------------------------------------------------------------------- */

static mgi_bits_epilogue fwd_epilogue_bits(const mango_plan *p, const mgi_step *s)
{
    mgi_bits_epilogue e = {s->bias, NULL, NULL, s->relu};
    if (s->residual >= 0 && mgi_plan_is_bits(p, s->residual))
        e.bits = mgi_plan_words(p, s->residual);
    else if (s->residual >= 0)
        e.residual = mgi_plan_value(p, s->residual);
    return e;
}

static void fwd_matmul_bits(const mango_plan *p, const mgi_step *s, const uint64_t *x,
                            float *y)
{
    const mgi_bits_epilogue e = fwd_epilogue_bits(p, s);
    mgi_bits_conv(&s->conv, fwd_maps(p, s), x, s->packed, &e, y, fwd_scratch(p, s));
}

/* LIF step s and the convolution c before it. */
static void fwd_matmul_lif(mango_plan *p, const mgi_step *s, const mgi_step *c, uint64_t *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mgi_bits_epilogue e = fwd_epilogue_bits(p, c);
    const mgi_bits_lif lif = {mgi_lif_lower(&g->lif), p->b, mgi_plan_at(p, s->aux), S,
                              s->repeats};
    const float U0 = mgi_lif_rest(&g->lif);
    for (mango_idx i = 0; i < p->b * s->n && p->t0 == 0; i++)
        lif.U[i] = U0;
    mgi_bits_conv_lif(&c->conv, fwd_maps(p, s),
                      mgi_plan_words(p, p->net->node[c->head].in[0]), c->packed, &e, &lif,
                      fwd_scratch(p, s));
}

/* Spikes that are held as floats (of another shape than the LIF's, or read elsewhere)
 * meet weights of 8 bits as bits. */
static void fwd_matmul_int8(const mango_plan *p, const mgi_step *s, const float *x, float *y)
{
    const mango_idx N = fwd_maps(p, s);
    const mgi_bits_epilogue e = fwd_epilogue_bits(p, s);
    uint64_t *words = (uint64_t *)(void *)fwd_scratch(p, s);
    float *work = fwd_scratch(p, s) + mgi_step_words(s, N);
    mgi_bits_from(N * s->conv.H * s->conv.W, s->conv.C, x, words);
    mgi_bits_conv(&s->conv, N, words, s->packed, &e, y, work);
}

static void fwd_matmul(const mango_plan *p, const mgi_step *s, const float *x, float *y)
{
    if (s->conv.int8) {
        fwd_matmul_int8(p, s, x, y);
        return;
    }
    const mgi_epilogue e = {
        s->bias, s->residual < 0 ? NULL : mgi_plan_value(p, s->residual), s->relu};
    mgi_conv_forward(&s->conv, fwd_maps(p, s), x, s->packed, &e, y, fwd_scratch(p, s));
}

/* Pools and resampling: a map in, a map out. */
static void fwd_resize(const mgi_node *g, const mgi_node *in, mango_idx N, const float *x,
                       float *y)
{
    mgi_pool a = {.C = in->C, .H = in->H, .W = in->W, .OH = g->H, .OW = g->W};
    switch (g->kind) {
    case MGI_MAXPOOL: mgi_maxpool(&g->pool, N, x, y); break;
    case MGI_AVGPOOL: mgi_avgpool(&g->pool, N, x, y); break;
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: mgi_adaptiveavg(&a, N, x, y); break;
    case MGI_GLOBALSUM: fwd_globalsum(N, in->H * in->W, in->C, x, y); break;
    default: break;
    }
}

MGI_FN mango_idx mgi_up_maps(const mgi_up *u)
{
    return MGI_MAX(FWD_LOW / (u->H * u->W * u->C), 1);
}

MGI_FN mgi_up mgi_step_up(const mango_plan *p, const mgi_step *s)
{
    const mgi_node *g = &p->net->node[s->up == MGI_UP_AFTER ? s->head : s->op];
    const mgi_node *in = &p->net->node[g->in[0]];
    mgi_up u = {.H = in->H, .W = in->W, .C = in->C, .bilinear = g->bilinear, .relu = s->relu};
    if (s->up == MGI_UP_AFTER) {
        u.C = s->conv.O;
        u.after_scale = s->after < 0 ? NULL : s->after_scale;
        u.after_shift = s->after_shift;
    } else {
        u.relu_before = s->relu_before;
        u.scale = s->bias_n ? s->scale : NULL;
        u.shift = s->bias;
    }
    return u;
}

/* A 1x1 convolution on the small map, then the upsampling, for so many maps at
 * a time that the values between the two stay in cache. */
static void fwd_upsample_after(const mango_plan *p, const mgi_step *s, mango_idx N,
                               const float *x, float *y)
{
    const mgi_epilogue e = {s->bias, NULL, 0};
    mgi_up u = mgi_step_up(p, s);
    const mango_idx in = u.H * u.W * s->conv.C, out = u.H * u.W * u.C;
    const mango_idx most = mgi_up_maps(&u);
    const float *res = s->residual < 0 ? NULL : mgi_plan_value(p, s->residual);
    float *low = fwd_scratch(p, s), *work = low + MGI_MIN(most, N) * out;
    for (mango_idx n = 0; n < N; n += most) {
        const mango_idx m = MGI_MIN(most, N - n);
        u.residual = res ? res + n * 4 * out : NULL;
        mgi_conv_forward(&s->conv, m, x + n * in, s->packed, &e, low, work);
        mgi_upsample(&u, m, low, y + n * 4 * out, work);
    }
}

static void fwd_upsample(const mango_plan *p, const mgi_step *s, const float *x, float *y)
{
    const mango_idx N = fwd_maps(p, s);
    const mgi_up u = mgi_step_up(p, s);
    if (s->up == MGI_UP_AFTER)
        fwd_upsample_after(p, s, N, x, y);
    else
        mgi_upsample(&u, N, x, y, fwd_scratch(p, s));
}

/* What takes bits; y is bits too for a LIF or a max-pool. */
static void fwd_bits(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head], *in = &p->net->node[g->in[0]];
    const mgi_pool a = {.C = in->C, .H = in->H, .W = in->W, .OH = g->H, .OW = g->W};
    const mango_idx N = fwd_maps(p, s);
    const uint64_t *x = mgi_plan_words(p, g->in[0]);
    switch (g->kind) {
    case MGI_MAXPOOL: mgi_bits_maxpool(&g->pool, N, x, y); break;
    case MGI_AVGPOOL: mgi_bits_avgpool(&g->pool, N, x, y); break;
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: mgi_bits_adaptiveavg(&a, N, x, y); break;
    default: fwd_matmul_bits(p, s, x, y);
    }
}

static void fwd_reshape(mango_plan *p, const mgi_step *s, const mgi_node *in,
                        const float *x, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx N = fwd_maps(p, s);
    float *w = fwd_scratch(p, s);
    mgi_to_nchw(N, in->C, in->H * in->W, x, w);
    mgi_to_nhwc(N, g->C, g->H * g->W, w, y);
}

static void fwd_operator(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->op], *in = &p->net->node[g->in[0]];
    const mango_idx N = fwd_maps(p, s);
    const float *x = mgi_plan_value(p, p->net->node[s->head].in[0]);
    if (s->up == MGI_UP_AFTER || g->kind == MGI_UPSAMPLE) {
        fwd_upsample(p, s, x, y);
        return;
    }
    switch (g->kind) {
    case MGI_CONV:
    case MGI_CONVT:
    case MGI_LINEAR: fwd_matmul(p, s, x, y); break;
    case MGI_BATCHNORM: fwd_batchnorm(p, s, g, x, y); break;
    case MGI_RELU: fwd_relu(p, N * s->n, x, y); break;
    case MGI_TANH: mgi_tanh(N * s->n, x, y); break;
    case MGI_LIF: fwd_lif(p, s, y); break;
    case MGI_ADD: fwd_add(p, s, g, y); break;
    case MGI_CONCAT: fwd_concat(p, s, g, y); break;
    case MGI_RESHAPE: fwd_reshape(p, s, in, x, y); break;
    case MGI_SOFTMAX: mgi_softmax(N * g->H * g->W, g->C, x, y); break;
    case MGI_VQ: fwd_vq(p, s, y); break;
    default: fwd_resize(g, in, N, x, y);
    }
}

MGI_FN void mgi_step_run(mango_plan *p, const mgi_step *s)
{
    const mgi_kind k = p->net->node[s->head].kind;
    if (s->out < 0)
        return; /* a later LIF step does it */
    void *y = mgi_plan_at(p, s->out);
    if (s->head == p->from || k == MGI_INPUT) {
        fwd_feed(p, s, y);
        return;
    }
    if (s->fused >= 0)
        fwd_matmul_lif(p, s, &p->step[s->fused], y);
    else if (k == MGI_LIF && s->bits)
        fwd_lif_bits(p, s, y);
    else if (mgi_plan_is_bits(p, p->net->node[s->head].in[0]))
        fwd_bits(p, s, y);
    else
        fwd_operator(p, s, y);
    if (s->relu && !mgi_is_matmul(k) && s->op == s->head)
        fwd_relu(p, fwd_maps(p, s) * s->n, y, y);
}

#undef FWD_BLOCK
#undef FWD_LOW
#undef FWD_GRAIN

/* tape_forward.c - the forward steps of a tape.
 * SPDX-License-Identifier: MIT */
#include "../math/spikes_grad.h"
#include "../math/winograd.h"
#include "tape.h"

#define RUN_CHUNK 16384
#define RUN_ALIGN 16
#define RUN_VQ_ROWS 1024

static mango_idx run_align(mango_idx n)
{
    return mgi_round_up(n, RUN_ALIGN);
}

mgi_conv mgi_tape_conv(const mgi_node *n)
{
    mgi_conv c = n->conv;
    c.winograd = c.transposed ? 0 : mgi_winograd_rule(&c);
    return c;
}

static void run_conv(const mgi_tape *t, const mgi_node *n, mango_idx N, const float *x,
                     float *work, float *y)
{
    const mgi_conv c = mgi_tape_conv(n);
    const float *bias = n->bias_p >= 0 ? t->w[n->bias_p] : NULL;
    mgi_conv_either(&c, N, x, t->w[n->weight], bias, y, work);
}

/* Columns in blocks of one (O) row: (C,HW) <-> (HW,C). */
void mgi_linear_columns(const mgi_node *in, mango_idx O, const float *w, float *p)
{
    mgi_to_nhwc(O, in->C, in->H * in->W, w, p);
}

void mgi_linear_columns_add(const mgi_node *in, mango_idx O, const float *p, float *dw)
{
    const mango_idx C = in->C, S = in->H * in->W;
    MGI_OMP(parallel for if (O * C * S >= MGI_GRAIN))
    for (mango_idx o = 0; o < O; o++)
        for (mango_idx c = 0; c < C; c++)
            for (mango_idx s = 0; s < S; s++)
                dw[(o * C + c) * S + s] += p[(o * S + s) * C + c];
}

static void run_linear(const mgi_tape *t, int i, const float *x, float *work, float *y)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx K = in->C * in->H * in->W, O = n->C, N = mgi_tape_rows(t, i);
    const float *w = t->w[n->weight];
    float *scratch = work + run_align(O * K);
    if (in->H * in->W > 1 && in->C > 1) {
        mgi_linear_columns(in, O, w, work);
        w = work;
    }
    if (n->bias_p >= 0)
        for (mango_idx r = 0; r < N; r++)
            memcpy(y + r * O, t->w[n->bias_p], (size_t)O * sizeof(float));
    mgi_gemm('n', 't', N, O, K, x, K, w, K, y, O, n->bias_p >= 0, scratch);
}

static void run_batchnorm(const mgi_tape *t, int i, int again, const float *x, float *work,
                          float *y)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    const float *w = n->weight >= 0 ? t->w[n->weight] : NULL;
    const float *b = n->bias_p >= 0 ? t->w[n->bias_p] : NULL;
    if (t->o.train) {
        float *st = t->stat[i], *rm = st + 2 * C, *rv = st + 3 * C;
        if (!again && !t->frozen && n->mean_p >= 0) {
            rm = t->net->param[n->mean_p].v;
            rv = t->net->param[n->var_p].v;
        }
        mgi_batchnorm_train(R, C, x, w, b, n->eps, t->momentum >= 0 ? t->momentum : n->momentum,
                            rm, rv, st, st + C, y);
        return;
    }
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx block = MGI_MAX(1, RUN_CHUNK / C), chunks = mgi_ceil_div(R, block);
    mgi_batchnorm_fold(C, w, b, t->w[n->mean_p], t->w[n->var_p], n->eps, work, work + C);
    MGI_OMP(parallel for if (R * C >= MGI_GRAIN))
    for (mango_idx c = 0; c < chunks; c++)
        k->scale_shift(MGI_MIN(block, R - c * block), C, work, work + C, x + c * block * C,
                       y + c * block * C);
}

/* For rows r0..r0+R-1: the nearest code by |e|^2 - 2 <x,e>, first of equals. */
static void run_vq_block(const mgi_node *n, mango_idx R, const float *x, const float *E,
                         const float *sq, float *dist, float *gemm_work, int32_t *code, float *y)
{
    const mango_idx C = n->C, K = n->codes;
    mgi_gemm('n', 't', R, K, C, x, C, E, C, dist, K, 0, gemm_work);
    MGI_OMP(parallel for if (R * K >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        const float *d = dist + r * K;
        float best = sq[0] - 2.0f * d[0];
        int32_t at = 0;
        for (mango_idx k = 1; k < K; k++) {
            const float v = sq[k] - 2.0f * d[k];
            if (v < best) {
                best = v;
                at = (int32_t)k;
            }
        }
        code[r] = at;
        memcpy(y + r * C, E + at * C, (size_t)C * sizeof(float));
    }
}

static void run_vq(mgi_tape *t, int i, const float *x, float *work, float *y)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, K = n->codes, R = mgi_tape_rows(t, i) * n->H * n->W;
    const float *E = t->w[n->weight];
    float *sq = work, *dist = work + run_align(K);
    float *gemm_work = dist + run_align(MGI_MIN(R, RUN_VQ_ROWS) * K);
    for (mango_idx k = 0; k < K; k++) {
        double s = 0;
        for (mango_idx c = 0; c < C; c++)
            s += (double)E[k * C + c] * (double)E[k * C + c];
        sq[k] = (float)s;
    }
    for (mango_idx r = 0; r < R; r += RUN_VQ_ROWS)
        run_vq_block(n, MGI_MIN(RUN_VQ_ROWS, R - r), x + r * C, E, sq, dist, gemm_work,
                     t->codes + r, y + r * C);
}

/* An operator that both executors run alike. */
static void run_plain(const mgi_tape *t, int i, float *work)
{
    const mgi_node *n = &t->net->node[i];
    mgi_op_run r;
    r.net = t->net;
    r.g = n;
    r.N = mgi_tape_rows(t, i);
    for (int j = 0; j < n->n_in; j++) {
        r.x[j] = t->val[n->in[j]];
        r.nx[j] = mgi_tape_rows(t, n->in[j]);
    }
    r.weight = n->weight < 0 ? NULL : t->w[n->weight];
    r.bias = n->bias_p < 0 ? NULL : t->w[n->bias_p];
    r.y = t->val[i];
    r.work = work;
    mgi_op_of(n->kind)->forward(&r);
}

static void run_node(mgi_tape *t, int i, int again, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mgi_op *op = mgi_op_of(n->kind);
    const mango_idx rows = mgi_tape_rows(t, i), e = n->C * n->H * n->W;
    const float *x = t->val[n->in[0]];
    float *y = t->val[i];
    if (op->tape_forward) {
        op->tape_forward(t, i, again, work);
        return;
    }
    switch (n->kind) {
    case MGI_CONV:
    case MGI_CONVT: run_conv(t, n, rows, x, work, y); break;
    case MGI_LINEAR: run_linear(t, i, x, work, y); break;
    case MGI_BATCHNORM: run_batchnorm(t, i, again, x, work, y); break;
    case MGI_LIF:
        mango_lif_run(&n->lif, t->o.T, t->b * e, x, t->timed[n->in[0]] ? t->b * e : 0, NULL, y);
        break;
    case MGI_VQ: run_vq(t, i, x, work, y); break;
    default: run_plain(t, i, work); break;
    }
}

static int run_finite(mango_idx n, const float *x)
{
    for (mango_idx i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0.0f))
            return 0;
    return 1;
}

static void run_step(mgi_tape *t, const mgi_tape_op *op)
{
    const mgi_node *n = &t->net->node[op->node];
    float *work = op->work >= 0 ? t->arena + t->buf[op->work].at : NULL;
    if (op->what == MGI_BACKWARD) {
        mgi_backward_node(t, op->node, work);
        return;
    }
    t->val[op->node] = op->y >= 0 ? t->arena + t->buf[op->y].at : t->val[n->in[0]];
    run_node(t, op->node, op->what == MGI_AGAIN, work);
}

mango_status mgi_tape_forward(mgi_tape *t, mango_idx b, const float *x)
{
    MGI_REQUIRE(t && x && b > 0 && b <= t->o.B);
    t->b = b;
    t->bad = -1;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->node[i].kind == MGI_INPUT)
            t->val[i] = (float *)(uintptr_t)x; /* read only */
    for (int s = 0; s < t->loss_step; s++) {
        const int i = t->op[s].node;
        const mgi_node *n = &t->net->node[i];
        run_step(t, &t->op[s]);
        if (t->check && !run_finite(mgi_tape_rows(t, i) * n->C * n->H * n->W, t->val[i])) {
            t->bad = i;
            return MANGO_E_NONFINITE;
        }
    }
    return MANGO_OK;
}

const float *mgi_tape_value(const mgi_tape *t, int node, mango_idx *rows)
{
    const int i = node < 0 ? t->output : node;
    if (rows)
        *rows = mgi_tape_rows(t, i);
    return t->val[i];
}

float *mgi_tape_dout(mgi_tape *t)
{
    return t->o.train == 1 ? t->arena + t->buf[t->gbuf[t->output]].at : NULL;
}

const float *mgi_tape_input_grad(const mgi_tape *t)
{
    const int g = t->gbuf[t->net->input];
    return g >= 0 ? t->arena + t->buf[g].at : NULL;
}

void mgi_tape_backward(mgi_tape *t)
{
    for (int i = 0; i < t->net->n_nodes; i++) {
        t->written[i] = i == t->output;
        t->grad[i] = t->gbuf[i] >= 0 ? t->arena + t->buf[t->gbuf[i]].at : NULL;
    }
    for (int s = t->loss_step + 1; s < t->n_ops; s++)
        run_step(t, &t->op[s]);
}
#undef RUN_CHUNK
#undef RUN_ALIGN
#undef RUN_VQ_ROWS

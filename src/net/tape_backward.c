/* tape_backward.c - the reverse steps of a tape, one function a kind of node.
 *
 * Node i finds its gradient in grad[i] and hands each input j that wants one
 * its share: the first reader of j writes grad[j], later ones add to it.
 * SPDX-License-Identifier: MIT */
#include "tape.h"

#define BACK_CHUNK 16384
#define BACK_ALIGN 16

static mango_idx back_align(mango_idx n)
{
    return mgi_round_up(n, BACK_ALIGN);
}

int mgi_backward_reads_x(const mgi_tape *t, int i)
{
    return mgi_op_of(t->net->node[i].kind)->reads_x;
}

int mgi_backward_reads_y(const mgi_tape *t, int i)
{
    return mgi_op_of(t->net->node[i].kind)->reads_y;
}

/* Floats of scratch for a gradient that is added to one already there. */
static mango_idx back_spare(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    mango_idx most = 0;
    for (int k = 0; k < n->n_in; k++) {
        const mgi_node *in = &t->net->node[n->in[k]];
        const mango_idx rows = t->o.B * (t->timed[n->in[k]] ? t->o.T : 1);
        if (t->uses[n->in[k]] > 1 && t->wants[n->in[k]])
            most = MGI_MAX(most, rows * in->C * in->H * in->W);
    }
    return back_align(most);
}

mango_idx mgi_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx K = in->C * in->H * in->W;
    const mango_idx spare = back_spare(t, i);
    const mgi_op *op = mgi_op_of(n->kind);
    if (op->backward)
        return op->backward_work ? spare + op->backward_work(t, i, rows) : spare;
    switch (n->kind) {
    case MGI_CONV:
    case MGI_CONVT: {
        const mgi_conv c = mgi_tape_conv(n);
        return spare + mgi_conv_backward_work(&c, rows);
    }
    case MGI_LINEAR:
        return spare + back_align(n->C * K) +
               MGI_MAX(mgi_gemm_work(rows, K, n->C, 'n', 'n'),
                       mgi_gemm_work(n->C, K, rows, 't', 'n'));
    case MGI_LIF: return spare + rows * n->C * n->H * n->W;
    case MGI_RESHAPE: return spare + rows * K;
    case MGI_ADD:
    case MGI_CONCAT: return 0;
    default: return spare;
    }
}

/* Where node i may write the gradient of its input j: grad[j] itself, or the
 * spare when another reader was there before. back_give then adds it. */
static float *back_take(mgi_tape *t, int j, float *spare)
{
    return t->written[j] ? spare : t->grad[j];
}

static void back_give(mgi_tape *t, int j, const float *dx)
{
    if (t->written[j]) {
        const mgi_kernels *k = mgi_kernels_get();
        const mgi_node *n = &t->net->node[j];
        const mango_idx count = mgi_tape_rows(t, j) * n->C * n->H * n->W;
        const mango_idx chunks = mgi_ceil_div(count, BACK_CHUNK);
        float *g = t->grad[j];
        MGI_OMP(parallel for if (count >= MGI_GRAIN))
        for (mango_idx c = 0; c < chunks; c++) {
            const mango_idx at = c * BACK_CHUNK;
            k->add(MGI_MIN(BACK_CHUNK, count - at), g + at, dx + at, g + at);
        }
    }
    t->written[j] = 1;
}

/* ---- nodes with parameters ------------------------------------------------ */

static void back_conv(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx N = mgi_tape_rows(t, i);
    const mgi_conv c = mgi_tape_conv(n);
    float *dw = t->dw[n->weight], *db = n->bias_p >= 0 ? t->dw[n->bias_p] : NULL;
    if (dw)
        mgi_conv_backward_weights(&c, N, t->val[j], t->grad[i], dw, db, work);
    if (t->wants[j]) {
        float *dx = back_take(t, j, spare);
        mgi_conv_backward_data(&c, N, t->grad[i], t->w[n->weight], dx, work);
        back_give(t, j, dx);
    }
}

/* db[o] += sum over rows of dy, in double, rows ascending. */
static void back_bias(mango_idx N, mango_idx O, const float *dy, float *db)
{
    for (mango_idx o = 0; o < O; o++) {
        double s = 0;
        for (mango_idx r = 0; r < N; r++)
            s += (double)dy[r * O + o];
        db[o] += (float)s;
    }
}

static void back_linear(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const int j = n->in[0], fold = in->H * in->W > 1 && in->C > 1;
    const mango_idx K = in->C * in->H * in->W, O = n->C, N = mgi_tape_rows(t, i);
    const float *dy = t->grad[i], *w = t->w[n->weight];
    float *dw = t->dw[n->weight], *scratch = work + back_align(O * K);
    if (dw) {
        mgi_gemm('t', 'n', O, K, N, dy, O, t->val[j], K, fold ? work : dw, K, !fold, scratch);
        if (fold)
            mgi_linear_columns_add(in, O, work, dw);
    }
    if (n->bias_p >= 0 && t->dw[n->bias_p])
        back_bias(N, O, dy, t->dw[n->bias_p]);
    if (t->wants[j]) {
        float *dx = back_take(t, j, spare);
        if (fold)
            mgi_linear_columns(in, O, w, work);
        mgi_gemm('n', 'n', N, K, O, dy, O, fold ? work : w, K, dx, K, 0, scratch);
        back_give(t, j, dx);
    }
}

static void back_batchnorm(mgi_tape *t, int i, float *spare)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    float *st = t->stat[i], *sink = st + 2 * C; /* for gradients nobody wants */
    float *dw = n->weight >= 0 && t->dw[n->weight] ? t->dw[n->weight] : sink;
    float *db = n->bias_p >= 0 && t->dw[n->bias_p] ? t->dw[n->bias_p] : sink + C;
    float *dx = t->wants[j] ? back_take(t, j, spare) : NULL;
    mgi_batchnorm_backward(R, C, t->val[j], n->weight >= 0 ? t->w[n->weight] : NULL, st, st + C,
                           t->grad[i], dx, dw, db);
    if (dx)
        back_give(t, j, dx);
}

/* ---- nodes without -------------------------------------------------------- */

static void back_lif(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx count = t->b * n->C * n->H * n->W;
    float *dx = back_take(t, j, spare);
    mango_lif_backward(&n->lif, t->o.T, count, t->val[j], t->timed[j] ? count : 0, t->grad[i],
                       t->timed[j] ? dx : work, dx);
    back_give(t, j, dx);
}

/* g[j] (+)= dy, summed over T when j is static and the reader is not. */
static void back_share(mgi_tape *t, int i, int j, mango_idx e)
{
    const mango_idx count = t->b * e, T = mgi_tape_rows(t, i) / mgi_tape_rows(t, j);
    const mango_idx all = mgi_tape_rows(t, j) * e;
    const float *dy = t->grad[i];
    float *g = t->grad[j];
    const int add = t->written[j];
    t->written[j] = 1;
    if (g == dy && T == 1)
        return;
    MGI_OMP(parallel for if (all >= MGI_GRAIN))
    for (mango_idx k = 0; k < all; k++) {
        float s = dy[k];
        for (mango_idx m = 1; m < T; m++)
            s += dy[m * count + k];
        g[k] = add ? g[k] + s : s;
    }
}

static void back_add(mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    for (int k = n->n_in - 1; k >= 0; k--) /* the alias, in[0], last */
        if (t->wants[n->in[k]])
            back_share(t, i, n->in[k], n->C * n->H * n->W);
}

static void back_concat_one(mgi_tape *t, int i, int j, mango_idx at)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, Cj = t->net->node[j].C, hw = n->H * n->W;
    const mango_idx R = mgi_tape_rows(t, j) * hw, step = t->b * hw;
    const mango_idx T = mgi_tape_rows(t, i) / mgi_tape_rows(t, j);
    const float *dy = t->grad[i];
    float *g = t->grad[j];
    const int add = t->written[j];
    MGI_OMP(parallel for if (R * Cj >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx c = 0; c < Cj; c++) {
            float s = dy[r * C + at + c];
            for (mango_idx m = 1; m < T; m++)
                s += dy[(m * step + r) * C + at + c];
            g[r * Cj + c] = add ? g[r * Cj + c] + s : s;
        }
    t->written[j] = 1;
}

static void back_concat(mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    mango_idx at = 0;
    for (int k = 0; k < n->n_in; k++) {
        if (t->wants[n->in[k]])
            back_concat_one(t, i, n->in[k], at);
        at += t->net->node[n->in[k]].C;
    }
}

static void back_globalsum(const mgi_tape *t, int i, float *dx)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx R = mgi_tape_rows(t, i), C = n->C, S = in->H * in->W;
    MGI_OMP(parallel for if (R * S * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R * S; r++)
        memcpy(dx + r * C, t->grad[i] + r / S * C, (size_t)C * sizeof(float));
}

static void back_pool(const mgi_tape *t, int i, float *dx)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i);
    mgi_pool p = n->pool;
    p.C = in->C, p.H = in->H, p.W = in->W, p.OH = n->H, p.OW = n->W;
    if (n->kind == MGI_MAXPOOL)
        mgi_maxpool_backward(&p, N, t->val[n->in[0]], t->grad[i], dx);
    else if (n->kind == MGI_AVGPOOL)
        mgi_avgpool_backward(&p, N, t->grad[i], dx);
    else
        mgi_adaptiveavg_backward(&p, N, t->grad[i], dx);
}

static void back_reshape(const mgi_tape *t, int i, float *work, float *dx)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i);
    mgi_to_nchw(N, n->C, n->H * n->W, t->grad[i], work);
    mgi_to_nhwc(N, in->C, in->H * in->W, work, dx);
}

/* Straight through: dx = dy, plus the commitment term commit (x - y). */
static void back_vq(const mgi_tape *t, int i, mango_idx n, float *dx)
{
    const float *dy = t->grad[i], *x = t->val[t->net->node[i].in[0]], *y = t->val[i];
    const float a = (float)t->commit;
    MGI_OMP(parallel for if (n >= MGI_GRAIN))
    for (mango_idx k = 0; k < n; k++)
        dx[k] = dy[k] + a * (x[k] - y[k]);
}

/* Nodes with one input and no parameters that write dx whole. */
static void back_plain(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const int j = n->in[0];
    const mango_idx rows = mgi_tape_rows(t, i), count = rows * n->C * n->H * n->W;
    const float *dy = t->grad[i];
    float *dx = back_take(t, j, spare);
    switch (n->kind) {
    case MGI_RELU: mgi_relu_backward(count, t->val[i], dy, dx); break;
    case MGI_TANH: mgi_tanh_backward(count, t->val[i], dy, dx); break;
    case MGI_SOFTMAX: mgi_softmax_backward(rows * n->H * n->W, n->C, t->val[i], dy, dx); break;
    case MGI_UPSAMPLE:
        (n->bilinear ? mgi_bilinear2x_backward : mgi_nearest2x_backward)(rows, in->H, in->W,
                                                                         in->C, dy, dx);
        break;
    case MGI_GLOBALSUM: back_globalsum(t, i, dx); break;
    case MGI_RESHAPE: back_reshape(t, i, work, dx); break;
    case MGI_VQ: back_vq(t, i, count, dx); break;
    default: back_pool(t, i, dx); break;
    }
    back_give(t, j, dx);
}

void mgi_backward_node(mgi_tape *t, int i, float *work)
{
    float *spare = work;
    if (!t->written[i])
        return;
    work = work ? work + back_spare(t, i) : NULL;
    if (mgi_op_of(t->net->node[i].kind)->backward) {
        mgi_op_of(t->net->node[i].kind)->backward(t, i, spare, work);
        return;
    }
    switch (t->net->node[i].kind) {
    case MGI_CONV:
    case MGI_CONVT: back_conv(t, i, spare, work); break;
    case MGI_LINEAR: back_linear(t, i, spare, work); break;
    case MGI_BATCHNORM: back_batchnorm(t, i, spare); break;
    case MGI_LIF: back_lif(t, i, spare, work); break;
    case MGI_ADD: back_add(t, i); break;
    case MGI_CONCAT: back_concat(t, i); break;
    case MGI_INPUT: break;
    default: back_plain(t, i, spare, work); break;
    }
}
#undef BACK_CHUNK
#undef BACK_ALIGN

/* op_vq.c - a quantizer: each pixel becomes the nearest row of a codebook.
 * SPDX-License-Identifier: MIT */
#include "plan.h"
#include "tape.h"

#define VQ_ROWS 1024 /* of a tape at a time */

static const mgi_attr vq_attr[] = {
    {"codes", MGI_ATTR_IDX, 1, MGI_ATTR_AT(codes), 1, 1 << 20, 0, 0},
    MGI_ATTR_PARAM,
    {0},
};

static void vq_params(mango_net *n, mgi_node *q)
{
    q->weight = mgi_net_param_add(n, q, "_embedding.weight", 0, 2, q->codes, q->C, 1, 1);
}

static double vq_macs(const mango_net *n, const mgi_node *q, int padded)
{
    (void)n;
    (void)padded;
    return (double)(q->H * q->W) * (double)q->C * (double)q->codes;
}

/* Scores |e|^2 - 2 e'x by one matrix product, then the first smallest. */
static void vq_step(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W, K = g->codes, N = mgi_step_maps(p, s);
    float *codes = mgi_plan_at(p, s->aux), *score = mgi_step_scratch(p, s);
    const mgi_epilogue e = {s->bias, NULL, 0};
    for (mango_idx n = 0; n < N; n++) {
        mgi_conv_forward(&s->conv, 1, mgi_plan_map(p, g->in[0], n), s->packed, &e, score,
                         score + HW * K);
        for (mango_idx i = 0; i < HW; i++)
            codes[n * HW + i] = (float)mgi_vq_least(K, score + i * K);
    }
    mgi_vq_rows(N * HW, g->C, codes, p->net->param[g->weight].v, y);
}

static mango_idx vq_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    (void)p;
    (void)maps;
    return mgi_conv_work(&s->conv, 1) + s->conv.OH * s->conv.OW * s->conv.O;
}

/* ---- on a tape: the codes stay there ----------------------------------------------- */

/* Floats of the codebook as weights, its constants, one block's scores and codes. */
static mango_idx vq_tape_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx R = MGI_MIN(rows * n->H * n->W, VQ_ROWS);
    return n->codes * n->C + n->codes + R * n->codes + R + 4 * MGI_TAPE_ALIGN +
           mgi_gemm_work(R, n->codes, n->C, 'n', 't');
}

static void vq_tape(mgi_tape *t, int i, int again, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, K = n->codes, R = mgi_tape_rows(t, i) * n->H * n->W;
    const mango_idx most = MGI_MIN(R, VQ_ROWS);
    const float *x = t->val[n->in[0]];
    float *w = work, *b = w + mgi_round_up(K * C, MGI_TAPE_ALIGN);
    float *score = b + mgi_round_up(K, MGI_TAPE_ALIGN);
    float *code = score + mgi_round_up(most * K, MGI_TAPE_ALIGN);
    float *scratch = code + mgi_round_up(most, MGI_TAPE_ALIGN);
    (void)again;
    mgi_vq_weights(K, C, t->w[n->weight], w, b);
    for (mango_idx at = 0; at < R; at += VQ_ROWS) {
        const mango_idx m = MGI_MIN(VQ_ROWS, R - at);
        mgi_gemm('n', 't', m, K, C, x + at * C, C, w, C, score, K, 0, scratch);
        MGI_OMP(parallel for if (m * K >= MGI_GRAIN))
        for (mango_idx r = 0; r < m; r++) {
            for (mango_idx k = 0; k < K; k++)
                score[r * K + k] += b[k];
            t->codes[at + r] = (int32_t)mgi_vq_least(K, score + r * K);
            code[r] = (float)t->codes[at + r];
        }
        mgi_vq_rows(m, C, code, t->w[n->weight], t->val[i] + at * C);
    }
}

/* Straight through: dx = dy, plus the commitment term commit (x - y). */
static void vq_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx count = mgi_tape_rows(t, i) * n->C * n->H * n->W;
    const float *dy = t->grad[i], *x = t->val[j], *y = t->val[i];
    const float a = (float)t->commit;
    float *dx = mgi_tape_take(t, j, spare);
    (void)work;
    MGI_OMP(parallel for if (count >= MGI_GRAIN))
    for (mango_idx k = 0; k < count; k++)
        dx[k] = dy[k] + a * (x[k] - y[k]);
    mgi_tape_give(t, j, dx);
}

MGI_DATA const mgi_op mgi_op_vq = {
    .name = "vq",
    .about = "Each pixel becomes the nearest row of a codebook.",
    .shapes = "CxHxW -> CxHxW; NAME._embedding.weight: (codes,C)",
    .keys = "codes rows of the codebook",
    .least = 1,
    .most = 1,
    .attr = vq_attr,
    .params = vq_params,
    .macs = vq_macs,
    .step = vq_step,
    .step_work = vq_step_work,
    .tape_forward = vq_tape,
    .tape_work = vq_tape_work,
    .backward = vq_backward,
    .reads_x = 1,
    .reads_y = 1};

#undef VQ_ROWS

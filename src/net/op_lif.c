/* op_lif.c - a layer of leaky integrate-and-fire neurons over T steps (lif.h).
 * SPDX-License-Identifier: MIT */
#include "lifrule.h"
#include "plan.h"
#include "tape.h"

#define LIF_STEP_BLOCK 1024 /* neurons whose membranes stay in cache over all steps */
#define LIF_STEP_GRAIN (8 * MGI_GRAIN)
#define LIF_BIG 1e30

/* ---- attributes ---------------------------------------------------------------- */

static int lif_has_beta(const mgi_node *q)
{
    return q->lif.tau <= 0;
}

static int lif_has_tau(const mgi_node *q)
{
    return q->lif.tau > 0;
}

static int lif_never(const mgi_node *q)
{
    (void)q;
    return 0;
}

#define LIF_AT(field) MGI_ATTR_AT(lif.field)
static const mgi_attr lif_attr[] = {
    {"preset", MGI_ATTR_PRESET, 0, MGI_ATTR_AT(lif), 0, 0, 0, lif_never},
    {"beta", MGI_ATTR_FLOAT, 0, LIF_AT(beta), 0, 1, 0, lif_has_beta},
    {"tau", MGI_ATTR_FLOAT, 0, LIF_AT(tau), 1, LIF_BIG, 0, lif_has_tau},
    {"decay_input", MGI_ATTR_INT, 0, LIF_AT(decay_input), 0, 1, 0, lif_has_tau},
    {"input_gain", MGI_ATTR_FLOAT, 0, LIF_AT(input_gain), -LIF_BIG, LIF_BIG, 0, 0},
    {"U_thr", MGI_ATTR_FLOAT, 0, LIF_AT(U_thr), 1e-30, LIF_BIG, 0, 0},
    {"fires_on", MGI_ATTR_WORD, 0, LIF_AT(fires_on_equal), 0, 0, ">|>=", 0},
    {"reset", MGI_ATTR_WORD, 0, LIF_AT(reset), 0, 0, "subtract|value|zero|none", 0},
    {"U_reset", MGI_ATTR_FLOAT, 0, LIF_AT(U_reset), -LIF_BIG, LIF_BIG, 0, 0},
    {"reset_delay", MGI_ATTR_INT, 0, LIF_AT(reset_delay), 0, 1, 0, 0},
    {"detach_reset", MGI_ATTR_INT, 0, LIF_AT(detach_reset), 0, 1, 0, 0},
    {"surrogate", MGI_ATTR_WORD, 0, LIF_AT(surrogate), 0, 0, "fast_sigmoid|atan", 0},
    {"slope", MGI_ATTR_FLOAT, 0, LIF_AT(slope), 1e-30, LIF_BIG, 0, 0},
    MGI_ATTR_PARAM,
    {0},
};
#undef LIF_AT

static void lif_defaults(mgi_node *q)
{
    mango_lif_preset("snntorch", &q->lif);
}

static mango_status lif_together(mgi_node *q, uint64_t seen, mango_err *err)
{
    mango_err sub;
    const int beta = mgi_attr_given(lif_attr, seen, "beta"),
              tau = mgi_attr_given(lif_attr, seen, "tau");
    if (beta && tau)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: beta and tau exclude each other",
                        q->name);
    if (!beta && !tau && !mgi_attr_given(lif_attr, seen, "preset"))
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: a lif needs preset, beta or tau",
                        q->name);
    if (beta)
        q->lif.tau = 0;
    if (q->lif.tau > 0)
        q->lif.beta = 0;
    else
        q->lif.decay_input = 0;
    if (mango_lif_check(&q->lif, &sub) < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s", q->name, sub.text);
    return MANGO_OK;
}

/* ---- one step of a plan --------------------------------------------------------- */

/* S (t,n), U (n): each block of neurons goes through all steps at once. */
static void lif_step_values(mango_plan *p, const mgi_step *s, float *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx n = p->b * s->n;
    const mango_idx stride = p->node[g->in[0]].dynamic ? n : 0;
    const float *X = mgi_plan_value(p, g->in[0]);
    const mgi_lif_rule rule = mgi_lif_lower(&g->lif);
    const float U0 = mgi_lif_rest(&g->lif);
    float *U = mgi_plan_at(p, s->aux);

    MGI_OMP(parallel for schedule(static) if (n * p->t >= LIF_STEP_GRAIN))
    for (mango_idx i = 0; i < n; i += LIF_STEP_BLOCK) {
        const mango_idx m = MGI_MIN((mango_idx)LIF_STEP_BLOCK, n - i);
        for (mango_idx j = 0; j < m && p->t0 == 0; j++)
            U[i + j] = U0;
        for (mango_idx t = 0; t < p->t; t++)
            p->cpu->k->lif(m, &rule, X + t * stride + i, U + i, S + t * n + i);
    }
}

/* The same, S as bits: each word of a pixel goes through all steps at once. */
static void lif_step_words(mango_plan *p, const mgi_step *s, uint64_t *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx C = g->C, rows = p->b * g->H * g->W, words = mgi_bits_words(C);
    const float *X = mgi_plan_value(p, g->in[0]);
    const mgi_lif_rule rule = mgi_lif_lower(&g->lif);
    const float U0 = mgi_lif_rest(&g->lif);
    float *U = mgi_plan_at(p, s->aux);

    MGI_OMP(parallel for schedule(static) if (rows * C * p->t >= LIF_STEP_GRAIN))
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
        p->cpu->k->lif_bits(&rule, &q);
    }
}

/* Together with the convolution c before it. */
static void lif_step_fused(mango_plan *p, const mgi_step *s, const mgi_step *c, uint64_t *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mgi_bits_epilogue e = mgi_step_epilogue_bits(p, c);
    const mgi_bits_lif lif = {mgi_lif_lower(&g->lif), p->b, mgi_plan_at(p, s->aux), S,
                              s->repeats};
    const float U0 = mgi_lif_rest(&g->lif);
    for (mango_idx i = 0; i < p->b * s->n && p->t0 == 0; i++)
        lif.U[i] = U0;
    mgi_bits_conv_lif(&c->conv, mgi_step_maps(p, s),
                      mgi_plan_words(p, p->net->node[c->head].in[0]), c->packed, &e, &lif,
                      mgi_step_scratch(p, s));
}

static void lif_step(mango_plan *p, const mgi_step *s, void *S)
{
    if (s->fused >= 0)
        lif_step_fused(p, s, &p->step[s->fused], S);
    else if (s->bits)
        lif_step_words(p, s, S);
    else
        lif_step_values(p, s, S);
}

static mango_idx lif_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    return s->fused >= 0 ? mgi_bits_conv_work(&p->step[s->fused].conv, maps) : 0;
}

/* ---- on a tape ------------------------------------------------------------------- */

static void lif_tape(mgi_tape *t, int i, int again, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx count = t->b * n->C * n->H * n->W;
    (void)again;
    (void)work;
    mango_lif_run(&n->lif, t->o.T, count, t->val[n->in[0]], t->timed[n->in[0]] ? count : 0,
                  NULL, t->val[i]);
}

static mango_idx lif_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i];
    return rows * n->C * n->H * n->W;
}

static void lif_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx count = t->b * n->C * n->H * n->W;
    float *dx = mgi_tape_take(t, j, spare);
    mango_lif_backward(&n->lif, t->o.T, count, t->val[j], t->timed[j] ? count : 0, t->grad[i],
                       t->timed[j] ? dx : work, dx);
    mgi_tape_give(t, j, dx);
}

MGI_DATA const mgi_op mgi_op_lif = {.name = "lif",
                                  .least = 1,
                                  .most = 1,
                                  .attr = lif_attr,
                                  .defaults = lif_defaults,
                                  .check = lif_together,
                                  .step = lif_step,
                                  .step_work = lif_step_work,
                                  .tape_forward = lif_tape,
                                  .backward = lif_backward,
                                  .backward_work = lif_backward_work,
                                  .reads_x = 1};

#undef LIF_STEP_BLOCK
#undef LIF_STEP_GRAIN
#undef LIF_BIG

/* op_lif.c - a layer of leaky integrate-and-fire neurons over T steps (lif.h).
 * SPDX-License-Identifier: MIT */
#include "neurons.h"
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

static int lif_second(const mgi_node *q)
{
    return q->lif.order == 2;
}

static int lif_leak_apart(const mgi_node *q)
{
    return q->lif.leak_apart;
}

static int lif_reset_after(const mgi_node *q)
{
    return q->lif.reset_after;
}

static int lif_recurrent(const mgi_node *q)
{
    return q->lif.recurrent != MANGO_RECURRENT_NONE;
}

static int lif_has_V(const mgi_node *q)
{
    return q->lif.recurrent == MANGO_RECURRENT_ONE;
}

static int lif_has_kernel(const mgi_node *q)
{
    return q->lif.recurrent == MANGO_RECURRENT_CONV;
}

static int lif_membrane(const mgi_node *q)
{
    return q->lif.readout_membrane;
}

#define LIF_AT(field) MGI_ATTR_AT(lif.field)
#define LIF_PER "layer|channel|each"
static const mgi_attr lif_attr[] = {
    {"preset", MGI_ATTR_PRESET, 0, MGI_ATTR_AT(lif), 0, 0, 0, lif_never},
    {"beta", MGI_ATTR_PER, 0, LIF_AT(beta), 0, 1, LIF_PER, lif_has_beta},
    {"tau", MGI_ATTR_PER, 0, LIF_AT(tau), 1, LIF_BIG, LIF_PER, lif_has_tau},
    {"decay_input", MGI_ATTR_INT, 0, LIF_AT(decay_input), 0, 1, 0, lif_has_tau},
    {"U_leak", MGI_ATTR_FLOAT, 0, LIF_AT(U_leak), -LIF_BIG, LIF_BIG, 0, lif_leak_apart},
    {"alpha", MGI_ATTR_PER, 0, LIF_AT(alpha), 0, 1, LIF_PER, lif_second},
    {"input_gain", MGI_ATTR_FLOAT, 0, LIF_AT(input_gain), -LIF_BIG, LIF_BIG, 0, 0},
    {"U_thr", MGI_ATTR_PER, 0, LIF_AT(U_thr), 1e-30, LIF_BIG, LIF_PER, 0},
    {"fires_on", MGI_ATTR_WORD, 0, LIF_AT(fires_on_equal), 0, 0, ">|>=", 0},
    {"reset", MGI_ATTR_WORD, 0, LIF_AT(reset), 0, 0, "subtract|value|zero|none", 0},
    {"U_reset", MGI_ATTR_FLOAT, 0, LIF_AT(U_reset), -LIF_BIG, LIF_BIG, 0, 0},
    {"reset_delay", MGI_ATTR_INT, 0, LIF_AT(reset_delay), 0, 1, 0, 0},
    {"reset_after", MGI_ATTR_INT, 0, LIF_AT(reset_after), 0, 1, 0, lif_reset_after},
    {"detach_reset", MGI_ATTR_INT, 0, LIF_AT(detach_reset), 0, 1, 0, 0},
    {"recurrent", MGI_ATTR_WORD, 0, LIF_AT(recurrent), 0, 0, "none|one|all|conv",
     lif_recurrent},
    {"V", MGI_ATTR_PER, 0, LIF_AT(V), -LIF_BIG, LIF_BIG, LIF_PER, lif_has_V},
    {"kernel", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(conv.kh), 1, 255, 0, lif_has_kernel},
    {"readout", MGI_ATTR_WORD, 0, LIF_AT(readout_membrane), 0, 0, "spikes|membrane",
     lif_membrane},
    {"surrogate", MGI_ATTR_WORD, 0, LIF_AT(surrogate), 0, 0, "fast_sigmoid|atan", 0},
    {"slope", MGI_ATTR_FLOAT, 0, LIF_AT(slope), 1e-30, LIF_BIG, 0, 0},
    MGI_ATTR_PARAM,
    {0},
};
#undef LIF_AT
#undef LIF_PER

static void lif_defaults(mgi_node *q)
{
    mango_lif_preset("snntorch", &q->lif);
    q->lif.V_per = MANGO_PER_LAYER;
    q->lif.alpha = -1;          /* not given: order 1 */
    q->lif.U_leak = -2e30f; /* not given: U_reset */
}

/* beta or tau: the form. */
static mango_status lif_form(mgi_node *q, uint64_t seen, mango_err *err)
{
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
    if (q->lif.tau_per)
        q->lif.tau = 2; /* any: it says which form */
    if (q->lif.tau > 0)
        q->lif.beta = 0;
    else
        q->lif.decay_input = 0;
    if (mgi_attr_given(lif_attr, seen, "U_leak") && q->lif.tau <= 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: U_leak is of the tau form", q->name);
    return MANGO_OK;
}

static mango_status lif_recurrence(mgi_node *q, uint64_t seen, mango_err *err)
{
    const int kernel = mgi_attr_given(lif_attr, seen, "kernel"),
              V = mgi_attr_given(lif_attr, seen, "V");
    if (!V)
        q->lif.V_per =
            q->lif.recurrent == MANGO_RECURRENT_ONE ? MANGO_PER_LAYER : MANGO_PER_RULE;
    if (V && q->lif.recurrent != MANGO_RECURRENT_ONE)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: V is of recurrent=one", q->name);
    if (kernel != (q->lif.recurrent == MANGO_RECURRENT_CONV))
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: recurrent=conv and kernel go together",
                        q->name);
    if (kernel && (q->conv.kh % 2 == 0 || q->conv.kw % 2 == 0))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "node %s: kernel=%dx%d, expected odd: the map keeps its size", q->name,
                        q->conv.kh, q->conv.kw);
    return MANGO_OK;
}

static mango_status lif_together(mgi_node *q, uint64_t seen, mango_err *err)
{
    mango_err sub;
    MGI_TRY(lif_form(q, seen, err));
    MGI_TRY(lif_recurrence(q, seen, err));
    q->lif.order = mgi_attr_given(lif_attr, seen, "alpha") ? 2 : 1;
    if (q->lif.order == 1 || q->lif.alpha_per)
        q->lif.alpha = 0;
    if (!mgi_attr_given(lif_attr, seen, "U_leak"))
        q->lif.U_leak = q->lif.U_reset;
    q->lif.leak_apart = q->lif.U_leak != q->lif.U_reset;
    if (!q->lif.leak_apart)
        q->lif.U_leak = 0;
    if (mango_lif_check(&q->lif, &sub) < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s", q->name, sub.text);
    return MANGO_OK;
}

static mango_status lif_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mgi_shape_copy(q, x);
    if (q->lif.recurrent == MANGO_RECURRENT_ALL && q->H * q->W > 1)
        return mgi_shape_bad(q, x, "recurrent=all takes Cx1x1; recurrent=conv takes maps", err);
    if (q->lif.recurrent != MANGO_RECURRENT_CONV)
        return MANGO_OK;
    q->conv.C = q->conv.O = q->C;
    q->conv.H = q->H;
    q->conv.W = q->W;
    q->conv.sh = q->conv.sw = 1;
    q->conv.ph = q->conv.kh / 2;
    q->conv.pw = q->conv.kw / 2;
    return mgi_conv_shape(&q->conv) ? MANGO_OK : mgi_shape_bad(q, x, "kernel too large", err);
}

/* Of the recurrence, which is summed as if all fired. */
static double lif_macs(const mango_net *n, const mgi_node *q, int padded)
{
    (void)n;
    (void)padded;
    if (q->lif.recurrent == MANGO_RECURRENT_ALL)
        return (double)q->C * (double)q->C;
    if (q->lif.recurrent == MANGO_RECURRENT_CONV)
        return (double)q->C * (double)q->C * q->conv.kh * q->conv.kw * (double)(q->H * q->W);
    return 0;
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

/* Of a rule that is not plain. */
static void lif_step_neurons(mango_plan *p, const mgi_step *s, void *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mgi_neurons l = mgi_neurons_view(g, s->packed);
    const mgi_neurons_run r = {.T = p->t,
                               .B = p->b,
                               .X = mgi_plan_value(p, g->in[0]),
                               .ldX = p->node[g->in[0]].dynamic ? p->b * s->n : 0,
                               .state = mgi_plan_at(p, s->aux),
                               .first = p->t0 == 0,
                               .y = s->bits ? NULL : S,
                               .bits = s->bits ? S : NULL,
                               .work = s->work < 0 ? NULL : mgi_step_scratch(p, s)};
    mgi_neurons_forward(&l, &r);
}

static void lif_step(mango_plan *p, const mgi_step *s, void *S)
{
    if (!mango_lif_is_plain(&p->net->node[s->head].lif))
        lif_step_neurons(p, s, S);
    else if (s->fused >= 0)
        lif_step_fused(p, s, &p->step[s->fused], S);
    else if (s->bits)
        lif_step_words(p, s, S);
    else
        lif_step_values(p, s, S);
}

static mango_idx lif_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    const mgi_node *g = &p->net->node[s->head];
    if (s->fused >= 0)
        return mgi_bits_conv_work(&p->step[s->fused].conv, maps);
    return mango_lif_is_plain(&g->lif) ? 0 : mgi_neurons_work(g);
}

/* ---- on a tape ------------------------------------------------------------------- */

/* The layer as node i has it on tape t, made ready in `packed`. */
static mgi_neurons lif_on_tape(const mgi_tape *t, int i, float *packed)
{
    const mgi_node *n = &t->net->node[i];
    mgi_neurons_values w;
    for (int c = 0; c < MGI_CELLS; c++)
        w.cell[c] = n->cell[c] < 0 ? NULL : t->w[n->cell[c]];
    w.weight = n->weight < 0 ? NULL : t->w[n->weight];
    w.bias = n->bias_p < 0 ? NULL : t->w[n->bias_p];
    mgi_neurons_pack(n, &w, packed);
    return mgi_neurons_view(n, packed);
}

static mango_idx lif_tape_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx B = rows / t->o.T;
    if (mango_lif_is_plain(&n->lif))
        return 0;
    return mgi_round_up(mgi_neurons_packed(n), MGI_TAPE_ALIGN) +
           mgi_round_up(mgi_neurons_state(n) * B * n->C * n->H * n->W, MGI_TAPE_ALIGN) +
           mgi_neurons_work(n);
}

static void lif_tape_neurons(mgi_tape *t, int i, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx count = t->b * n->C * n->H * n->W;
    float *state = work + mgi_round_up(mgi_neurons_packed(n), MGI_TAPE_ALIGN);
    const mgi_neurons l = lif_on_tape(t, i, work);
    const mgi_neurons_run r = {
        .T = t->o.T,
        .B = t->b,
        .X = t->val[n->in[0]],
        .ldX = t->timed[n->in[0]] ? count : 0,
        .state = state,
        .first = 1,
        .y = t->val[i],
        .work = state + mgi_round_up(mgi_neurons_state(n) * count, MGI_TAPE_ALIGN)};
    mgi_neurons_forward(&l, &r);
}

static void lif_tape(mgi_tape *t, int i, int again, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx count = t->b * n->C * n->H * n->W;
    (void)again;
    if (mango_lif_is_plain(&n->lif))
        mango_lif_run(&n->lif, t->o.T, count, t->val[n->in[0]],
                      t->timed[n->in[0]] ? count : 0, NULL, t->val[i]);
    else
        lif_tape_neurons(t, i, work);
}

static mango_idx lif_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i];
    if (mango_lif_is_plain(&n->lif))
        return rows * n->C * n->H * n->W;
    return mgi_round_up(mgi_neurons_packed(n), MGI_TAPE_ALIGN) +
           mgi_neurons_grad_work(n, t->o.T, rows / t->o.T);
}

/* dx: NULL when nobody wants it. */
static void lif_backward_neurons(const mgi_tape *t, int i, float *dx, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mgi_neurons l = lif_on_tape(t, i, work);
    mgi_neurons_grad q = {.T = t->o.T,
                          .B = t->b,
                          .X = t->val[j],
                          .ldX = t->timed[j] ? t->b * l.n : 0,
                          .dy = t->grad[i],
                          .dX = dx,
                          .work = work + mgi_round_up(mgi_neurons_packed(n), MGI_TAPE_ALIGN)};
    for (int c = 0; c < MGI_CELLS; c++)
        if (n->cell[c] >= 0) {
            q.cell[c] = t->w[n->cell[c]];
            q.count[c] = t->net->param[n->cell[c]].count;
            q.dcell[c] = t->dw[n->cell[c]];
        }
    if (n->weight >= 0) {
        q.weight = t->w[n->weight];
        q.dW = t->dw[n->weight];
        q.db = t->dw[n->bias_p];
    }
    mgi_neurons_backward(&l, &q);
}

static void lif_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx count = t->b * n->C * n->H * n->W;
    float *dx = t->wants[j] ? mgi_tape_take(t, j, spare) : NULL;
    if (!mango_lif_is_plain(&n->lif))
        lif_backward_neurons(t, i, dx, work);
    else if (dx)
        mango_lif_backward(&n->lif, t->o.T, count, t->val[j], t->timed[j] ? count : 0,
                           t->grad[i], t->timed[j] ? dx : work, dx);
    if (dx)
        mgi_tape_give(t, j, dx);
}

MGI_DATA const mgi_op mgi_op_lif = {
    .name = "lif",
    .about = "Leaky integrate-and-fire neurons over T steps: U[t] = beta U[t-1] + "
             "input_gain x[t], a spike where U passes U_thr, then a reset. See "
             "src/net/lif.h.",
    .shapes = "CxHxW -> CxHxW; spikes, 0 or 1, at each of T steps",
    .keys = "preset snntorch or spikingjelly: their rule; comes first\n"
            "beta leak of a step; a word: NAME.beta, for the layer, a channel, each neuron\n"
            "tau time constant in steps: U += (x - U)/tau; in place of beta\n"
            "decay_input 1: x is divided by tau, too\n"
            "U_leak what U decays to, of the tau form\n"
            "alpha leak of a synaptic current between x and U\n"
            "input_gain factor of x\n"
            "U_thr threshold\n"
            "fires_on a spike where U > U_thr, or U >= U_thr\n"
            "reset what a spike does to U\n"
            "U_reset where reset=value sets U\n"
            "reset_delay 1: a step later\n"
            "reset_after 1: after the leak of the next step\n"
            "detach_reset 1: no gradient through the reset, in training\n"
            "recurrent how S[t-1] is fed back: by V, a linear layer, a convolution\n"
            "V factor of a neuron's own spike, of recurrent=one\n"
            "kernel of recurrent=conv\n"
            "readout membrane: U is handed on, not spikes\n"
            "surrogate the derivative of a spike, in training\n"
            "slope of the surrogate",
    .least = 1,
    .most = 1,
    .attr = lif_attr,
    .defaults = lif_defaults,
    .check = lif_together,
    .shape = lif_shape,
    .params = mgi_neurons_params,
    .macs = lif_macs,
    .step = lif_step,
    .step_work = lif_step_work,
    .tape_forward = lif_tape,
    .tape_work = lif_tape_work,
    .backward = lif_backward,
    .backward_work = lif_backward_work,
    .reads_x = 1};

#undef LIF_STEP_BLOCK
#undef LIF_STEP_GRAIN
#undef LIF_BIG

/* neurons_grad.c - gradients through time of LIF layers whose rule is not plain.
 *
 * With the names of lif.h, H[t] the membrane at firing before a reset at once, U[t] what
 * the step leaves, p[t] whether a reset was pending, theta' the surrogate and d(v) =
 * dL/dv, backwards from 0, where `thr` is the reset's share that passes a gradient:
 *     d(S[t])   = dy[t] (readout of spikes) + what recurrence and reset of step t+1 give it
 *     d(U[t])   = dy[t] (readout of membranes) + what the charge of step t+1 gives it
 *     reset     subtract at once: d(H) = d(U),  d(S) -= U_thr d(U);
 *               to a value at once: d(H) = (1 - S) d(U),  d(S) += (U_reset - H) d(U)
 *     fire      d(H) += theta' d(S),  d(U_thr) -= theta' d(S)
 *     charge    d(U[t-1]) = a d(H),  d(J[t]) = d(H), or d(H)/tau;  a = beta, or 1 - 1/tau;
 *               a pending reset to a value stops d(U[t-1]), one after the charge all
 *     order 2   d(I[t]) = d(J[t]) + alpha d(I[t+1]) takes the place of d(J[t])
 *     d(X[t]) = g d(J[t]),  d(R[t]) = d(J[t]),  d(S[t-1]) += V d(R[t]), or W' d(R[t]).
 * Sums over time go backwards in a neuron, then those over maps and neurons in double.
 * SPDX-License-Identifier: MIT */
#include "../math/loops.h"
#include "neurons.h"
#include <math.h>

#define GRAD_BLOCK 1024
#define GRAD_ALIGN 16

/* ---- scratch ----------------------------------------------------------------------- */

/* Where the parts of the scratch lie; (T,B,n) but for the last ones, which are (B,n). */
typedef struct grad_room {
    float *H, *U, *I, *S, *dR;
    float *R, *P, *E, *F, *Q;    /* Q: d(S[t]) by step t+1; E, F: d(U[t]), d(I[t]) by it */
    float *sum[MGI_CELLS];       /* of each neuron's constants over time */
    float *work;
    mango_idx floats;
} grad_room;

static float *grad_take(grad_room *r, float *base, mango_idx n)
{
    float *at = base ? base + r->floats : NULL;
    r->floats += mgi_round_up(n, GRAD_ALIGN);
    return at;
}

/* base NULL: only their number. */
static grad_room grad_plan(const mgi_node *g, mango_idx T, mango_idx B, float *base)
{
    const mango_idx n = B * g->C * g->H * g->W, all = T * n;
    const int back = g->lif.recurrent != MANGO_RECURRENT_NONE, second = g->lif.order == 2;
    const int weights = g->lif.recurrent >= MANGO_RECURRENT_ALL;
    grad_room r = {.floats = 0};
    r.H = grad_take(&r, base, all);
    r.U = grad_take(&r, base, all);
    r.I = grad_take(&r, base, second ? all : 0);
    r.S = grad_take(&r, base, back ? all : 0);
    r.dR = grad_take(&r, base, weights ? all : 0);
    r.R = grad_take(&r, base, back ? n : 0);
    r.P = grad_take(&r, base, n);
    r.E = grad_take(&r, base, n);
    r.F = grad_take(&r, base, n);
    r.Q = grad_take(&r, base, n);
    for (int c = 0; c < MGI_CELLS; c++)
        r.sum[c] = grad_take(&r, base, g->cell[c] >= 0 ? n : 0);
    r.work = base ? base + r.floats : NULL;
    return r;
}

MGI_FN mango_idx mgi_neurons_grad_work(const mgi_node *g, mango_idx T, mango_idx B)
{
    const mango_idx n = g->C;
    mango_idx work = mgi_neurons_work(g);
    if (g->lif.recurrent == MANGO_RECURRENT_ALL)
        work = MGI_MAX(work, mgi_gemm_work(n, n, T * B, 't', 'n'));
    if (g->lif.recurrent == MANGO_RECURRENT_CONV)
        work = MGI_MAX(work, mgi_conv_backward_work(&g->conv, T * B));
    return grad_plan(g, T, B, NULL).floats + work;
}

/* ---- forward again ------------------------------------------------------------------- */

/* Step t of neurons i .. i+m-1 of map k: H, U, I and, with recurrence, S. */
static void grad_again(const mgi_neurons *l, const mgi_neurons_grad *q, const grad_room *r,
                       mango_idx t, mango_idx k, mango_idx i, mango_idx m)
{
    const mango_idx all = q->B * l->n, at = k * l->n + i;
    const int second = l->g->lif.order == 2, back = l->g->lif.recurrent != 0;
    const mgi_lif_cells c = {l->cell[MGI_CELL_LEAK], l->cell[MGI_CELL_ALPHA],
                             l->cell[MGI_CELL_THR], NULL, NULL};
    for (mango_idx j = 0; j < m; j++) {
        const mango_idx a = t * all + at + j;
        const mgi_lif_rule own = mgi_lif_cell(&l->rule, &c, i + j);
        const float u = t > 0 ? r->U[a - all] : l->rest;
        float I = second && t > 0 ? r->I[a - all] : 0.0f;
        r->H[a] = mgi_lif_cell_charge(&own, u, q->X[t * q->ldX + at + j],
                                      back ? r->R + at + j : NULL, second ? &I : NULL);
        r->U[a] = mgi_lif_leave(&own, u, r->H[a]);
        if (second)
            r->I[a] = I;
        if (back)
            r->S[a] = mgi_lif_fires(&own, r->H[a]) ? 1.0f : 0.0f;
    }
}

/* ---- one neuron, one step ----------------------------------------------------------- */

/* What goes on from step t to step t-1, and to parameters and inputs. */
typedef struct grad_flow {
    float dU, dI, dS;                /* in: of step t; out: of step t-1   */
    float dthr, dleak, dalpha, dV;   /* added                             */
    float dX, dR;                    /* out                               */
} grad_flow;

/* theta'(d), in the order of math/kernel/loops.c. */
static float grad_surrogate(const mango_lif *p, float d)
{
    if (p->surrogate == MANGO_SURROGATE_ATAN) {
        const float v = 1.57079633f * p->slope * d;
        return 0.5f * p->slope / (1.0f + v * v);
    }
    const float v = 1.0f + p->slope * fabsf(d);
    return 1.0f / (v * v);
}

/* From d(U[t]) and d(S[t]) to d(H[t]). p: was a reset pending? */
static float grad_fire(const mango_lif *rule, const mgi_lif_rule *r, int p, float H,
                       grad_flow *f)
{
    const int S = mgi_lif_fires(r, H), through = !rule->detach_reset;
    float dH = f->dU, dS = f->dS;
    if (!r->delay && r->reset == MGI_RESET_SUBTRACT) {
        f->dthr -= (float)(S - (r->once && p)) * f->dU;
        dS -= through ? r->U_thr * f->dU : 0.0f;
    }
    if (!r->delay && r->reset == MGI_RESET_VALUE) {
        dH = S ? 0.0f : f->dU;
        dS += through ? (r->U_reset - H) * f->dU : 0.0f;
    }
    const float kick = grad_surrogate(rule, H - r->U_thr) * dS;
    f->dthr -= kick;
    return dH + kick;
}

/* From d(H[t]) to d(U[t-1]), the share of the reset in d(S[t-1]) and d(J[t]), returned.
 * u: U[t-1]; H: the membrane at firing. */
static float grad_charge(const mango_lif *rule, const mgi_lif_rule *r, int p, float u, float H,
                         float dH, grad_flow *f)
{
    const int subtract = p && r->reset == MGI_RESET_SUBTRACT;
    const int value = p && r->reset == MGI_RESET_VALUE;
    const int through = r->delay && !rule->detach_reset;
    const float from = value && !r->after ? r->U_reset : u;
    const float H0 = subtract ? H + r->U_thr : H;
    const float d = value && r->after ? 0.0f : dH;
    const int leak = r->charge == MGI_CHARGE_LEAK;
    const float du = (leak ? r->beta : 1.0f - 1.0f / r->tau) * d;
    f->dthr -= subtract ? dH : 0.0f;
    f->dleak += leak                           ? from * d
                : r->charge == MGI_CHARGE_TAU ? -(H0 - from) / r->tau * d
                                              : (from - r->U_rest) / (r->tau * r->tau) * d;
    f->dU = value ? 0.0f : du;
    f->dS = 0.0f;
    if (through && r->reset == MGI_RESET_SUBTRACT)
        f->dS = -r->U_thr * dH;
    if (through && r->reset == MGI_RESET_VALUE)
        f->dS = (r->U_reset - u) * du;
    return r->charge == MGI_CHARGE_TAU ? d / r->tau : d;
}

/* ---- one step of many --------------------------------------------------------------- */

static void grad_one(const mgi_neurons *l, const mgi_neurons_grad *q, const grad_room *r,
                     mango_idx t, mango_idx at, mango_idx i)
{
    const mango_lif *rule = &l->g->lif;
    const mgi_lif_cells c = {l->cell[MGI_CELL_LEAK], l->cell[MGI_CELL_ALPHA],
                             l->cell[MGI_CELL_THR], NULL, NULL};
    const mgi_lif_rule own = mgi_lif_cell(&l->rule, &c, i);
    const mango_idx all = q->B * l->n, a = t * all + at;
    const float dy = q->dy[a], u = t > 0 ? r->U[a - all] : l->rest;
    const int p = (own.delay || own.once) && mgi_lif_fires(&own, u);
    const int second = rule->order == 2;
    grad_flow f = {.dU = r->E[at], .dS = r->Q[at]};
    *(rule->readout_membrane ? &f.dU : &f.dS) += dy;
    float dJ = grad_charge(rule, &own, p, u, r->H[a], grad_fire(rule, &own, p, r->H[a], &f),
                           &f);
    if (second) {
        dJ += r->F[at];
        f.dalpha = t > 0 ? r->I[a - all] * dJ : 0.0f;
        r->F[at] = own.alpha * dJ;
    }
    if (rule->recurrent == MANGO_RECURRENT_ONE) {
        f.dS += l->cell[MGI_CELL_V][i] * dJ;
        f.dV = t > 0 ? r->S[a - all] * dJ : 0.0f;
    } else if (rule->recurrent != MANGO_RECURRENT_NONE) {
        r->dR[a] = dJ;
    }
    r->E[at] = f.dU;
    r->Q[at] = f.dS;
    const float own_sum[MGI_CELLS] = {f.dleak, f.dalpha, f.dthr, f.dV};
    for (int k = 0; k < MGI_CELLS; k++)
        if (l->g->cell[k] >= 0)
            r->sum[k][at] += own_sum[k];
    if (q->dX && q->ldX)
        q->dX[a] = own.gain * dJ;
    else if (q->dX)
        q->dX[at] += own.gain * dJ;
}

static void grad_begin(const mgi_neurons *l, const mgi_neurons_grad *q, const grad_room *r)
{
    const size_t bytes = (size_t)(q->B * l->n) * sizeof(float);
    memset(r->E, 0, bytes);
    memset(r->F, 0, bytes);
    memset(r->Q, 0, bytes);
    memset(r->P, 0, bytes);
    for (int c = 0; c < MGI_CELLS; c++)
        if (l->g->cell[c] >= 0)
            memset(r->sum[c], 0, bytes);
    if (q->dX && !q->ldX)
        memset(q->dX, 0, bytes);
}

/* Without recurrence: blocks of neurons on their own. */
static void grad_alone(const mgi_neurons *l, const mgi_neurons_grad *q, const grad_room *r)
{
    const mango_idx n = l->n, blocks = mgi_ceil_div(n, GRAD_BLOCK);
    MGI_OMP(parallel for schedule(static) if (q->B * n * q->T >= MGI_GRAIN))
    for (mango_idx b = 0; b < q->B * blocks; b++) {
        const mango_idx k = b / blocks, i = b % blocks * GRAD_BLOCK;
        const mango_idx m = MGI_MIN((mango_idx)GRAD_BLOCK, n - i);
        for (mango_idx t = 0; t < q->T; t++)
            grad_again(l, q, r, t, k, i, m);
        for (mango_idx t = q->T - 1; t >= 0; t--)
            for (mango_idx j = 0; j < m; j++)
                grad_one(l, q, r, t, k * n + i + j, i + j);
    }
}

/* Q += W' d(R[t]) of all maps. */
static void grad_back(const mgi_neurons *l, const mgi_neurons_grad *q, const grad_room *r,
                      mango_idx t)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx n = l->n, all = q->B * n;
    const float *dR = r->dR + t * all;
    if (l->g->lif.recurrent == MANGO_RECURRENT_CONV) {
        mgi_conv_backward_data(&l->g->conv, q->B, dR, q->weight, r->P, r->work);
        kern->add(all, r->Q, r->P, r->Q);
        return;
    }
    MGI_OMP(parallel for schedule(static) if (all * n >= MGI_GRAIN))
    for (mango_idx k = 0; k < q->B; k++)
        for (mango_idx i = 0; i < n; i++)
            kern->axpy(n, dR[k * n + i], q->weight + i * n, r->Q + k * n);
}

static void grad_with_recurrence(const mgi_neurons *l, const mgi_neurons_grad *q,
                                 const grad_room *r)
{
    const mango_idx n = l->n, all = q->B * n;
    for (mango_idx t = 0; t < q->T; t++) {
        mgi_neurons_back(l, q->B, n, t > 0 ? r->S + (t - 1) * all : r->P, r->R, r->work);
        MGI_OMP(parallel for schedule(static) if (all >= MGI_GRAIN))
        for (mango_idx k = 0; k < q->B; k++)
            grad_again(l, q, r, t, k, 0, n);
    }
    for (mango_idx t = q->T - 1; t >= 0; t--) {
        MGI_OMP(parallel for schedule(static) if (all >= MGI_GRAIN))
        for (mango_idx k = 0; k < q->B; k++)
            for (mango_idx i = 0; i < n; i++)
                grad_one(l, q, r, t, k * n + i, i);
        if (l->W && t > 0)
            grad_back(l, q, r, t);
    }
}

/* ---- parameters ----------------------------------------------------------------------- */

/* Outside of where it is clamped a constant passes no gradient. */
static int grad_passes(const mgi_node *g, int cell, float v)
{
    if (cell == MGI_CELL_LEAK && g->lif.tau > 0)
        return v >= 1.0f;
    return (cell != MGI_CELL_LEAK && cell != MGI_CELL_ALPHA) || (v >= 0.0f && v <= 1.0f);
}

/* Sums of the neurons into their parameter d, shaped as it is. */
static void grad_constant(const mgi_neurons *l, const mgi_neurons_grad *q, int cell,
                          const float *sum, const float *v, float *d)
{
    const mgi_node *g = l->g;
    const mango_idx C = g->C, HW = g->H * g->W, count = q->count[cell];
    const mango_idx over = count == 1 ? C : 1, pixels = count == C * HW ? 1 : HW;
    MGI_OMP(parallel for schedule(static) if (q->B * l->n >= MGI_GRAIN))
    for (mango_idx j = 0; j < count; j++) {
        const mango_idx c0 = count == 1 ? 0 : j / (HW / pixels), p0 = j % (HW / pixels);
        double s = 0;
        for (mango_idx b = 0; b < q->B; b++)
            for (mango_idx p = 0; p < pixels; p++)
                for (mango_idx c = 0; c < over; c++)
                    s += (double)sum[b * l->n + (p0 + p) * C + c0 + c];
        if (grad_passes(g, cell, v[j]))
            d[j] += (float)s;
    }
}

/* Of the recurrent weights, from d(R) and the spikes of the step before, and the bias. */
static void grad_weights(const mgi_neurons *l, const mgi_neurons_grad *q, const grad_room *r)
{
    const mango_idx n = l->n, all = q->B * n, C = l->g->C, rows = (q->T - 1) * q->B;
    if (q->dW && rows > 0 && l->g->lif.recurrent == MANGO_RECURRENT_ALL)
        mgi_gemm('t', 'n', n, n, rows, r->dR + all, n, r->S, n, q->dW, n, 1, r->work);
    else if (q->dW && rows > 0)
        mgi_conv_backward_weights(&l->g->conv, rows, r->S, r->dR + all, q->dW, NULL, r->work);
    for (mango_idx c = 0; q->db && c < C; c++) {
        double s = 0;
        for (mango_idx j = c; j < q->T * all; j += C)
            s += (double)r->dR[j];
        q->db[c] += (float)s;
    }
}

MGI_FN void mgi_neurons_backward(const mgi_neurons *l, const mgi_neurons_grad *q)
{
    const grad_room r = grad_plan(l->g, q->T, q->B, q->work);
    grad_begin(l, q, &r);
    if (l->g->lif.recurrent == MANGO_RECURRENT_NONE)
        grad_alone(l, q, &r);
    else
        grad_with_recurrence(l, q, &r);
    for (int c = 0; c < MGI_CELLS; c++)
        if (l->g->cell[c] >= 0 && q->dcell[c])
            grad_constant(l, q, c, r.sum[c], q->cell[c], q->dcell[c]);
    if (l->W)
        grad_weights(l, q, &r);
}

#undef GRAD_BLOCK
#undef GRAD_ALIGN

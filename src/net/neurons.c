/* neurons.c - LIF layers whose rule is not plain: parameters, and steps forward.
 *
 * Neurons are independent without recurrence: then blocks of them walk through time on
 * their own. With it all neurons of a step come before those of the next.
 * SPDX-License-Identifier: MIT */
#include "neurons.h"
#include "../math/loops.h"
#include "../math/spikes.h"

#define NEURONS_BLOCK 1024 /* their state stays in the first-level cache */
#define NEURONS_GRAIN (8 * MGI_GRAIN)

/* ---- parameters ----------------------------------------------------------------- */

static int neurons_per(const mgi_node *g, int cell)
{
    const mango_lif *r = &g->lif;
    switch (cell) {
    case MGI_CELL_LEAK: return r->tau > 0 ? r->tau_per : r->beta_per;
    case MGI_CELL_ALPHA: return r->order == 2 ? r->alpha_per : 0;
    case MGI_CELL_THR: return r->U_thr_per;
    default: return r->recurrent == MANGO_RECURRENT_ONE ? r->V_per : 0;
    }
}

MGI_FN int mgi_neurons_shape(const mgi_node *q, int per, mango_idx shape[3])
{
    const int pixel = q->H * q->W == 1;
    shape[0] = per == MANGO_PER_LAYER ? 1 : q->C;
    shape[1] = q->H;
    shape[2] = q->W;
    return per == MANGO_PER_NEURON && !pixel ? 3 : 1;
}

/* Lists the parameter of a constant, if the rule has one. */
static void neurons_param(mango_net *n, mgi_node *q, int cell)
{
    const char *name[MGI_CELLS] = {q->lif.tau > 0 ? "tau" : "beta", "alpha", "threshold", "V"};
    const int per = neurons_per(q, cell);
    mango_idx s[3];
    if (per == MANGO_PER_RULE)
        return;
    const int rank = mgi_neurons_shape(q, per, s);
    q->cell[cell] = mgi_net_param_add(n, q, name[cell], 0, rank, s[0], rank > 1 ? s[1] : 1,
                                      rank > 1 ? s[2] : 1, 1);
}

MGI_FN void mgi_neurons_params(mango_net *n, mgi_node *q)
{
    const mango_idx C = q->C;
    for (int c = 0; c < MGI_CELLS; c++)
        neurons_param(n, q, c);
    if (q->lif.recurrent == MANGO_RECURRENT_ALL)
        q->weight = mgi_net_param_add(n, q, "recurrent.weight", 0, 2, C, C, 1, 1);
    else if (q->lif.recurrent == MANGO_RECURRENT_CONV)
        q->weight = mgi_net_param_add(n, q, "recurrent.weight", 0, 4, C, C, q->conv.kh,
                                      q->conv.kw);
    if (q->lif.recurrent >= MANGO_RECURRENT_ALL)
        q->bias_p = mgi_net_param_add(n, q, "recurrent.bias", 0, 1, C, 1, 1, 1);
}

/* Sets where a constant comes from; false: the rule has no such constant. */
static int neurons_set_per(mango_lif *r, mgi_cell cell, mango_lif_per per)
{
    switch (cell) {
    case MGI_CELL_LEAK:
        r->beta_per = (int)per;
        r->tau = 0;
        r->tau_per = r->decay_input = r->leak_apart = 0;
        return 1;
    case MGI_CELL_ALPHA: r->alpha_per = (int)per; return r->order == 2;
    case MGI_CELL_THR: r->U_thr_per = (int)per; return 1;
    default: r->V_per = (int)per; return r->recurrent == MANGO_RECURRENT_ONE;
    }
}

MGI_FN int mgi_neurons_own(mango_net *n, mgi_node *q, mgi_cell cell, mango_lif_per per,
                           mango_err *err)
{
    mango_lif rule = q->lif;
    const int filled = n->n_params > 0 && n->param[0].v;
    if (!neurons_set_per(&rule, cell, per)) {
        mgi_fail(err, MANGO_E_UNSUPPORTED, "layer '%s' has no %s", q->name,
                 cell == MGI_CELL_V ? "recurrent weight V" : "synaptic current");
        return -1;
    }
    q->lif = rule;
    neurons_param(n, q, (int)cell);
    const int p = q->cell[cell];
    if (p < 0) {
        mgi_fail(err, n->failed, "%s", n->err.text);
        return -1;
    }
    if (filled)
        n->param[p].v = n->param[p].own = mgi_new(&n->al, n->param[p].count, sizeof(float));
    if (filled && !n->param[p].v) {
        mgi_fail(err, MANGO_E_MEM, "no memory for %s", n->param[p].name);
        return -1;
    }
    return p;
}

/* ---- made ready ------------------------------------------------------------------ */

MGI_FN mango_idx mgi_neurons_state(const mgi_node *g)
{
    return 1 + (g->lif.order == 2) + 2 * (g->lif.recurrent != MANGO_RECURRENT_NONE);
}

/* Is V or W needed in the order of values? A V that is the rule's is spread out, too. */
static int neurons_has(const mgi_node *g, int cell)
{
    return neurons_per(g, cell) != MANGO_PER_RULE ||
           (cell == MGI_CELL_V && g->lif.recurrent == MANGO_RECURRENT_ONE);
}

static mango_idx neurons_weights(const mgi_node *g)
{
    if (g->lif.recurrent == MANGO_RECURRENT_ALL)
        return g->C * g->C;
    return g->lif.recurrent == MANGO_RECURRENT_CONV ? mgi_conv_packed(&g->conv) : 0;
}

MGI_FN mango_idx mgi_neurons_packed(const mgi_node *g)
{
    const mango_idx n = g->C * g->H * g->W, W = neurons_weights(g);
    mango_idx floats = W ? mgi_round_up(W, 16) + g->C : 0;
    for (int c = 0; c < MGI_CELLS; c++)
        floats += neurons_has(g, c) ? n : 0;
    return floats;
}

/* NaN stays. */
static float neurons_clamp(float v, int leak, int tau)
{
    if (!leak)
        return v;
    if (tau)
        return v < 1.0f ? 1.0f : v;
    return v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
}

/* A constant of all neurons into out (H,W,C). */
static void neurons_spread(const mgi_node *g, int cell, const float *v, float *out)
{
    const int per = neurons_per(g, cell), tau = cell == MGI_CELL_LEAK && g->lif.tau > 0;
    const int leak = cell == MGI_CELL_LEAK || cell == MGI_CELL_ALPHA;
    const mango_idx C = g->C, HW = g->H * g->W;
    for (mango_idx q = 0; q < HW; q++)
        for (mango_idx c = 0; c < C; c++) {
            const float x = per == MANGO_PER_NEURON    ? v[c * HW + q]
                            : per == MANGO_PER_CHANNEL ? v[c]
                            : per == MANGO_PER_LAYER   ? v[0]
                                                       : g->lif.V;
            out[q * C + c] = neurons_clamp(x, leak, tau);
        }
}

MGI_FN void mgi_neurons_pack(const mgi_node *g, const mgi_neurons_values *w, float *packed)
{
    const mango_idx C = g->C, n = C * g->H * g->W;
    for (int c = 0; c < MGI_CELLS; c++)
        if (neurons_has(g, c)) {
            neurons_spread(g, c, w->cell[c], packed);
            packed += n;
        }
    if (g->lif.recurrent < MANGO_RECURRENT_ALL)
        return;
    if (g->lif.recurrent == MANGO_RECURRENT_ALL)
        mgi_to_nchw(1, C, C, w->weight, packed);
    else
        mgi_conv_pack(&g->conv, w->weight, packed);
    memcpy(packed + mgi_round_up(neurons_weights(g), 16), w->bias, (size_t)C * sizeof *packed);
}

MGI_FN mgi_neurons mgi_neurons_view(const mgi_node *g, const float *packed)
{
    mgi_neurons l = {.g = g,
                     .rule = mgi_lif_lower(&g->lif),
                     .rest = mgi_lif_rest(&g->lif),
                     .n = g->C * g->H * g->W};
    for (int c = 0; c < MGI_CELLS; c++)
        if (neurons_has(g, c)) {
            l.cell[c] = packed;
            packed += l.n;
        }
    if (g->lif.recurrent >= MANGO_RECURRENT_ALL) {
        l.W = packed;
        l.b = packed + mgi_round_up(neurons_weights(g), 16);
    }
    return l;
}

/* ---- what comes back --------------------------------------------------------------- */

MGI_FN mango_idx mgi_neurons_work(const mgi_node *g)
{
    return g->lif.recurrent == MANGO_RECURRENT_CONV ? mgi_conv_work(&g->conv, 1) : 0;
}

/* R = b + the columns of W of those that fired, ascending. */
static void neurons_back_all(const mgi_neurons *l, const float *P, float *R)
{
    const mgi_kernels *k = mgi_kernels_get();
    memcpy(R, l->b, (size_t)l->n * sizeof *R);
    for (mango_idx j = 0; j < l->n; j++)
        if (P[j] != 0.0f)
            k->add(l->n, R, l->W + j * l->n, R);
}

MGI_FN void mgi_neurons_back(const mgi_neurons *l, mango_idx B, mango_idx ld, const float *P,
                             float *R, float *work)
{
    const mango_idx n = l->n;
    const int conv = l->g->lif.recurrent == MANGO_RECURRENT_CONV;
    const mgi_epilogue e = {l->b, NULL, 0};
    for (mango_idx k = 0; k < (conv ? B : 0); k++)
        mgi_conv_forward(&l->g->conv, 1, P + k * ld, l->W, &e, R + k * ld, work);
    MGI_OMP(parallel for schedule(static) if (!conv && B * n >= MGI_GRAIN))
    for (mango_idx k = 0; k < (conv ? 0 : B); k++) {
        const float *p = P + k * ld, *V = l->cell[MGI_CELL_V];
        if (l->W)
            neurons_back_all(l, p, R + k * ld);
        for (mango_idx i = 0; i < n && !l->W; i++)
            R[k * ld + i] = p[i] * V[i];
    }
}

/* ---- steps ----------------------------------------------------------------------- */

/* m neurons from i on of a map; X, U, I, R, S are theirs. */
static void neurons_step(const mgi_neurons *l, mango_idx i, mango_idx m, const float *X,
                         float *U, float *I, const float *R, float *S)
{
    const float *leak = l->cell[MGI_CELL_LEAK], *alpha = l->cell[MGI_CELL_ALPHA],
                *thr = l->cell[MGI_CELL_THR];
    const mgi_lif_cells c = {leak ? leak + i : NULL, alpha ? alpha + i : NULL,
                             thr ? thr + i : NULL, R, I};
    mgi_kernels_get()->lif_cells(m, &l->rule, &c, X, U, S);
}

/* Membranes and currents of m neurons before the first step. */
static void neurons_begin(const mgi_neurons *l, mango_idx m, float *U, float *I)
{
    for (mango_idx j = 0; j < m; j++)
        U[j] = l->rest;
    if (I)
        memset(I, 0, (size_t)m * sizeof *I);
}

/* All steps of neurons i .. i+m-1 of map k, values out. */
static void neurons_walk(const mgi_neurons *l, const mgi_neurons_run *r, mango_idx k,
                         mango_idx i, mango_idx m)
{
    const mango_idx at = k * l->n + i, step = r->B * l->n;
    const int membrane = l->g->lif.readout_membrane;
    float *U = r->state + k * mgi_neurons_state(l->g) * l->n + i;
    float *I = l->g->lif.order == 2 ? U + l->n : NULL;
    float S[NEURONS_BLOCK];
    if (r->first)
        neurons_begin(l, m, U, I);
    for (mango_idx t = 0; t < r->T; t++) {
        float *y = r->y + t * step + at;
        neurons_step(l, i, m, r->X + t * r->ldX + at, U, I, NULL, membrane ? S : y);
        if (membrane)
            memcpy(y, U, (size_t)m * sizeof *y);
    }
}

/* The same of a word of a pixel, bits out. w: its place among the words of all maps. */
static void neurons_walk_word(const mgi_neurons *l, const mgi_neurons_run *r, mango_idx w)
{
    const mango_idx C = l->g->C, HW = l->g->H * l->g->W, words = mgi_bits_words(C);
    const mango_idx c = w % words * 64, q = w / words, m = MGI_MIN(64, C - c);
    const mango_idx at = q * C + c, i = q % HW * C + c;
    float *U = r->state + q / HW * mgi_neurons_state(l->g) * l->n + i;
    float *I = l->g->lif.order == 2 ? U + l->n : NULL;
    float S[64];
    if (r->first)
        neurons_begin(l, m, U, I);
    for (mango_idx t = 0; t < r->T; t++) {
        neurons_step(l, i, m, r->X + t * r->ldX + at, U, I, NULL, S);
        mgi_loops_get()->bits(1, m, S, r->bits + t * r->B * HW * words + w);
    }
}

/* One step of all maps with recurrence. */
static void neurons_step_all(const mgi_neurons *l, const mgi_neurons_run *r, mango_idx t)
{
    const mango_idx n = l->n, C = l->g->C, HW = l->g->H * l->g->W;
    const mango_idx ld = mgi_neurons_state(l->g) * n;
    const int second = l->g->lif.order == 2;
    float *spikes = r->state + (1 + second) * n;
    mgi_neurons_back(l, r->B, ld, spikes, spikes + n, r->work);
    MGI_OMP(parallel for schedule(static) if (r->B * n >= MGI_GRAIN))
    for (mango_idx k = 0; k < r->B; k++) {
        float *U = r->state + k * ld, *P = spikes + k * ld;
        const mango_idx at = (t * r->B + k) * n;
        neurons_step(l, 0, n, r->X + t * r->ldX + k * n, U, second ? U + n : NULL, P + n, P);
        if (r->y)
            memcpy(r->y + at, l->g->lif.readout_membrane ? U : P, (size_t)n * sizeof *P);
        else
            mgi_loops_get()->bits(HW, C, P,
                                  r->bits + (t * r->B + k) * HW * mgi_bits_words(C));
    }
}

static void neurons_forward_back(const mgi_neurons *l, const mgi_neurons_run *r)
{
    const mango_idx ld = mgi_neurons_state(l->g) * l->n;
    if (r->first) {
        memset(r->state, 0, (size_t)(r->B * ld) * sizeof(float));
        for (mango_idx k = 0; k < r->B; k++)
            neurons_begin(l, l->n, r->state + k * ld, NULL);
    }
    for (mango_idx t = 0; t < r->T; t++)
        neurons_step_all(l, r, t);
}

MGI_FN void mgi_neurons_forward(const mgi_neurons *l, const mgi_neurons_run *r)
{
    const mango_idx n = l->n, blocks = mgi_ceil_div(n, NEURONS_BLOCK);
    const mango_idx words = r->B * l->g->H * l->g->W * mgi_bits_words(l->g->C);
    if (l->g->lif.recurrent != MANGO_RECURRENT_NONE) {
        neurons_forward_back(l, r);
        return;
    }
    MGI_OMP(parallel for schedule(static) if (r->y && r->B * n * r->T >= NEURONS_GRAIN))
    for (mango_idx j = 0; j < (r->y ? r->B * blocks : 0); j++) {
        const mango_idx i = j % blocks * NEURONS_BLOCK;
        neurons_walk(l, r, j / blocks, i, MGI_MIN((mango_idx)NEURONS_BLOCK, n - i));
    }
    MGI_OMP(parallel for schedule(static) if (!r->y && r->B * n * r->T >= NEURONS_GRAIN))
    for (mango_idx w = 0; w < (r->y ? 0 : words); w++)
        neurons_walk_word(l, r, w);
}

#undef NEURONS_BLOCK
#undef NEURONS_GRAIN

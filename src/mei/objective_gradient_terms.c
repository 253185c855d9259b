/* objective_gradient_terms.c - an expression's value on a tape, and where its derivative
 * starts: at the values of each layer that it looks at.
 *
 *     v     = mean of a channel, or neuron, over its pixels and steps, M values in all
 *     dE/dx = dE/dleaf dleaf/dv 1/M    for each of these values x                     (1)
 *
 * The tape ends at the deepest of the layers; what belongs to the others is put in on the
 * way back.
 * SPDX-License-Identifier: MIT */
#include "objective_gradient.h"

/* ---- which layers ----------------------------------------------------------- */

static int terms_layer(const mango_derivative *x, mango_idx layer)
{
    int i = 0;
    while (i < x->n_layers && x->layer[i] != (int)layer)
        i++;
    return i;
}

MGI_FN mango_status mgi_derivative_layers(mango_derivative *x, mango_err *err)
{
    x->layer[0] = (int)x->t.layer;
    x->n_layers = 1;
    if (!x->e)
        return MANGO_OK;
    MGI_TRY(mgi_expression_steps(x->e, x->T, err));
    for (int i = 0; i < x->e->n_leaves; i++) {
        const mgi_leaf *l = x->e->leaf + i;
        const int at = terms_layer(x, l->layer);
        if (l->kind == MGI_LEAF_LATENCY || l->kind == MGI_LEAF_MEMBRANE)
            return mgi_fail(err, MANGO_E_UNSUPPORTED, "derivative: a %s has none",
                            l->kind == MGI_LEAF_LATENCY ? "latency" : "membrane");
        if (at > MGI_TAPE_KEEP)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "derivative: a target that looks at more than %d layers",
                            MGI_TAPE_KEEP + 1);
        x->layer[at] = (int)l->layer;
        x->n_layers = MGI_MAX(x->n_layers, at + 1);
    }
    for (int i = 1; i < x->n_layers; i++)
        if (x->layer[i] > x->layer[0]) {
            const int deeper = x->layer[i];
            x->layer[i] = x->layer[0];
            x->layer[0] = deeper;
        }
    return MANGO_OK;
}

/* ---- memory ----------------------------------------------------------------- */

MGI_FN mango_status mgi_derivative_terms(mango_derivative *x, mango_err *err)
{
    int missing = 0;
    for (int i = 1; i < x->n_layers; i++) {
        const mgi_node *n = x->eye.net->node + x->layer[i];
        if (x->eye.tape->gbuf[x->layer[i]] < 0)
            return mgi_fail(err, MANGO_E_UNSUPPORTED, "derivative: layer '%.60s' does not "
                            "lead to '%.60s', and both are in the target", n->name,
                            x->eye.net->node[x->layer[0]].name);
        x->inject_n[i - 1] = x->T * x->B * n->C * n->H * n->W;
        x->inject[i - 1] = mgi_new(&x->al, x->inject_n[i - 1], sizeof(float));
        x->eye.tape->inject[i - 1] = x->inject[i - 1];
        missing |= !x->inject[i - 1];
    }
    for (int i = 0; i < x->e->n_leaves; i++) {
        const mgi_leaf *l = x->e->leaf + i;
        x->row_n = MGI_MAX(x->row_n, mgi_leaf_by_neuron(l) ? l->C * l->H * l->W : l->C);
    }
    x->row = mgi_new(&x->al, x->row_n, sizeof *x->row);
    x->slope = mgi_new(&x->al, x->row_n, sizeof *x->slope);
    x->y = mgi_new(&x->al, x->e->n_leaves, sizeof *x->y);
    x->dy = mgi_new(&x->al, x->e->n_leaves, sizeof *x->dy);
    if (missing || !x->row || !x->slope || !x->y || !x->dy)
        return mgi_fail(err, MANGO_E_MEM, "derivative: out of memory for its target");
    return MANGO_OK;
}

MGI_FN void mgi_derivative_terms_free(mango_derivative *x)
{
    const mango_idx leaves = x->e ? x->e->n_leaves : 0;
    for (int i = 0; i < MGI_TAPE_KEEP; i++)
        mgi_del(&x->al, x->inject[i], x->inject_n[i], sizeof(float));
    mgi_del(&x->al, x->row, x->row_n, sizeof *x->row);
    mgi_del(&x->al, x->slope, x->row_n, sizeof *x->slope);
    mgi_del(&x->al, x->y, leaves, sizeof *x->y);
    mgi_del(&x->al, x->dy, leaves, sizeof *x->dy);
    mgi_expression_free(x->e);
}

/* ---- one leaf, one picture -------------------------------------------------- */

/* Rows r of a layer's values, pixels first .. end - 1, that number i of a leaf's row is
 * the mean of; c is its channel. */
typedef struct mgi_span {
    mango_idx c, first, end, from, to;
} mgi_span;

static mgi_span terms_span(const mgi_leaf *l, mango_idx i, mango_idx steps)
{
    const mango_idx HW = l->H * l->W;
    const int neuron = mgi_leaf_by_neuron(l), window = l->from >= 0 && steps > 1;
    const mgi_span s = {neuron ? i / HW : i, neuron ? i % HW : 0, neuron ? i % HW + 1 : HW,
                        window ? l->from : 0, window ? l->to : steps - 1};
    return s;
}

/* x->row of leaf l, for picture k of b; its length. */
static mango_idx terms_row(mango_derivative *x, const mgi_leaf *l, mango_idx b, mango_idx k)
{
    mango_idx rows;
    const float *v = mgi_tape_value(x->eye.tape, (int)l->layer, &rows);
    const mango_idx HW = l->H * l->W, steps = rows / b;
    const mango_idx n = mgi_leaf_by_neuron(l) ? l->C * HW : l->C;
    for (mango_idx i = 0; i < n; i++) {
        const mgi_span s = terms_span(l, i, steps);
        double sum = 0.0;
        for (mango_idx t = s.from; t <= s.to; t++)
            for (mango_idx p = s.first; p < s.end; p++)
                sum += (double)v[((t * b + k) * HW + p) * l->C + s.c];
        x->row[i] = (float)(sum / (double)((s.to + 1 - s.from) * (s.end - s.first)));
    }
    return n;
}

/* (1) of leaf l, times g, for picture k of b; x->row is its row of n. */
static void terms_seed(mango_derivative *x, const mgi_leaf *l, mango_idx b, mango_idx k,
                       mango_idx n, double g)
{
    mango_idx rows;
    const int at = terms_layer(x, l->layer);
    float *seed = at == 0 ? mgi_tape_dout(x->eye.tape) : x->inject[at - 1];
    mgi_tape_value(x->eye.tape, (int)l->layer, &rows);
    memset(x->slope, 0, (size_t)n * sizeof *x->slope);
    mgi_leaf_slopes(l, n, x->row, g, x->slope);
    for (mango_idx i = 0; i < n; i++) {
        const mgi_span s = terms_span(l, i, rows / b);
        const float each = (float)(x->slope[i] /                                /* (1) */
                                   (double)((s.to + 1 - s.from) * (s.end - s.first)));
        for (mango_idx t = s.from; x->slope[i] != 0.0 && t <= s.to; t++)
            for (mango_idx p = s.first; p < s.end; p++)
                seed[((t * b + k) * l->H * l->W + p) * l->C + s.c] += each;
    }
}

MGI_FN double mgi_derivative_term(mango_derivative *x, mango_idx b, mango_idx k)
{
    mgi_expression *e = x->e;
    for (int i = 0; i < e->n_leaves; i++)
        x->y[i] = mgi_leaf_value(e->leaf + i, terms_row(x, e->leaf + i, b, k), x->row);
    const double y = mgi_expression_value(e, x->y);
    mgi_expression_slopes(e, x->dy);
    for (int i = 0; i < e->n_leaves; i++) {
        const mango_idx n = terms_row(x, e->leaf + i, b, k);
        terms_seed(x, e->leaf + i, b, k, n, mgi_is_finite(x->dy[i]) ? x->dy[i] : 0.0);
    }
    return y;
}

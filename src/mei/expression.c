/* expression.c - what a target is worth, and its derivative.
 *
 *   class:k     p_k = exp(v_k - max v) / sum_c exp(v_c - max v)                  (1)
 *               dp_k/dv_c = p_k ((c = k) - p_c)                                  (2)
 *   layer@V     sum_i V_i v_i, i ascending                                       (3)
 *
 * Operations stand behind what they use: values go forward through the list, derivatives
 * back.
 * SPDX-License-Identifier: MIT */
#include "expression.h"
#include "../base/real.h"

/* ---- create and destroy --------------------------------------------------- */

MGI_FN mgi_expression *mgi_expression_new(int cap, const mango_alloc *al)
{
    const mango_alloc a = mgi_alloc_get(al);
    mgi_expression *e = mgi_new(&a, 1, sizeof *e);
    if (!e)
        return NULL;
    e->al = a;
    e->cap = cap;
    e->leaf = mgi_new(&a, cap, sizeof *e->leaf);
    e->doing = mgi_new(&a, cap, sizeof *e->doing);
    e->value = mgi_new(&a, cap, sizeof *e->value);
    e->slope = mgi_new(&a, cap, sizeof *e->slope);
    if (e->leaf && e->doing && e->value && e->slope)
        return e;
    mgi_expression_free(e);
    return NULL;
}

MGI_FN void mgi_expression_free(mgi_expression *e)
{
    if (!e)
        return;
    const mango_alloc a = e->al;
    for (int i = 0; i < e->n_leaves; i++)
        mgi_del(&a, e->leaf[i].vector, e->leaf[i].n_vector, sizeof *e->leaf->vector);
    mgi_del(&a, e->text, e->text ? (mango_idx)strlen(e->text) + 1 : 0, 1);
    mgi_del(&a, e->leaf, e->cap, sizeof *e->leaf);
    mgi_del(&a, e->doing, e->cap, sizeof *e->doing);
    mgi_del(&a, e->value, e->cap, sizeof *e->value);
    mgi_del(&a, e->slope, e->cap, sizeof *e->slope);
    mgi_del(&a, e, 1, sizeof *e);
}

MGI_FN int mgi_expression_plain(const mgi_expression *e)
{
    const mgi_leaf *l = e->leaf;
    return e->n_doings == 1 && e->n_leaves == 1 && l->over == MGI_OVER_UNIT && l->from < 0 &&
           (l->kind == MGI_LEAF_VALUE || l->kind == MGI_LEAF_SOFTMAX);
}

MGI_FN mango_status mgi_expression_steps(const mgi_expression *e, mango_idx T, mango_err *err)
{
    for (int i = 0; i < e->n_leaves; i++)
        if (e->leaf[i].from >= 0 && e->leaf[i].to >= T)
            return mgi_fail(err, MANGO_E_ARG, "target: steps %td..%td, but steps are 0..%td",
                            e->leaf[i].from, e->leaf[i].to, T - 1);
    return MANGO_OK;
}

/* ---- operations ----------------------------------------------------------- */

MGI_FN double mgi_expression_value(mgi_expression *e, const double *y)
{
    double *v = e->value;
    for (int i = 0; i < e->n_doings; i++) {
        const mgi_doing *q = e->doing + i;
        switch (q->what) {
        case MGI_DO_NUMBER: v[i] = q->v; break;
        case MGI_DO_LEAF: v[i] = y[q->a]; break;
        case MGI_DO_ADD: v[i] = v[q->a] + v[q->b]; break;
        case MGI_DO_SUB: v[i] = v[q->a] - v[q->b]; break;
        case MGI_DO_MUL: v[i] = v[q->a] * v[q->b]; break;
        case MGI_DO_DIV: v[i] = v[q->a] / v[q->b]; break;
        case MGI_DO_MAX: v[i] = v[q->b] > v[q->a] ? v[q->b] : v[q->a]; break;
        case MGI_DO_MIN: v[i] = v[q->b] < v[q->a] ? v[q->b] : v[q->a]; break;
        }
    }
    return v[e->n_doings - 1];
}

/* Of operation i, to what it uses. */
static void expression_back(mgi_expression *e, int i, double *dy)
{
    const mgi_doing *q = e->doing + i;
    const double *v = e->value, g = e->slope[i];
    double *s = e->slope;
    switch (q->what) {
    case MGI_DO_NUMBER: break;
    case MGI_DO_LEAF: dy[q->a] += g; break;
    case MGI_DO_ADD: s[q->a] += g, s[q->b] += g; break;
    case MGI_DO_SUB: s[q->a] += g, s[q->b] -= g; break;
    case MGI_DO_MUL: s[q->a] += g * v[q->b], s[q->b] += g * v[q->a]; break;
    case MGI_DO_DIV:
        s[q->a] += g / v[q->b];
        s[q->b] -= g * v[q->a] / (v[q->b] * v[q->b]);
        break;
    case MGI_DO_MAX: s[v[q->b] > v[q->a] ? q->b : q->a] += g; break;
    case MGI_DO_MIN: s[v[q->b] < v[q->a] ? q->b : q->a] += g; break;
    }
}

MGI_FN void mgi_expression_slopes(mgi_expression *e, double *dy)
{
    for (int i = 0; i < e->n_leaves; i++)
        dy[i] = 0.0;
    for (int i = 0; i < e->n_doings; i++)
        e->slope[i] = 0.0;
    e->slope[e->n_doings - 1] = 1.0;
    for (int i = e->n_doings - 1; i >= 0; i--)
        expression_back(e, i, dy);
}

/* ---- leaves --------------------------------------------------------------- */

MGI_FN int mgi_leaf_by_neuron(const mgi_leaf *l)
{
    if (l->over == MGI_OVER_UNIT)
        return l->y >= 0;
    return l->over == MGI_OVER_VECTOR && l->n_vector != l->C;
}

/* The sum in (1); *top: the largest value. */
static double leaf_partition(mango_idx n, const float *v, double *top)
{
    double sum = 0.0;
    float most = v[0];
    for (mango_idx c = 1; c < n; c++)
        most = v[c] > most ? v[c] : most;
    *top = (double)most;
    for (mango_idx c = 0; c < n; c++)
        sum += mgi_exp((double)v[c] - *top);
    return sum;
}

/* (1) of unit k among n values. */
static double leaf_softmax(mango_idx n, const float *v, mango_idx k)
{
    double top;
    const double sum = leaf_partition(n, v, &top);
    return mgi_exp((double)v[k] - top) / sum;                                   /* (1) */
}

/* (2), times g, added to d. */
static void leaf_softmax_slopes(mango_idx n, const float *v, mango_idx k, double g, double *d)
{
    double top;
    const double sum = leaf_partition(n, v, &top);
    const double p = mgi_exp((double)v[k] - top) / sum;
    for (mango_idx c = 0; c < n; c++)
        d[c] += g * p * ((c == k) - mgi_exp((double)v[c] - top) / sum);         /* (2) */
}

/* Of a unit: its place in a row. */
static mango_idx leaf_at(const mgi_leaf *l)
{
    return l->y < 0 ? l->unit : (l->unit * l->H + l->y) * l->W + l->x;
}

/* The first of the largest, or of the smallest. */
static mango_idx leaf_extreme(mango_idx n, const float *row, int least)
{
    mango_idx at = 0;
    for (mango_idx i = 1; i < n; i++)
        if (least ? row[i] < row[at] : row[i] > row[at])
            at = i;
    return at;
}

MGI_FN double mgi_leaf_value(const mgi_leaf *l, mango_idx n, const float *row)
{
    double sum = 0.0;
    if (l->kind == MGI_LEAF_SOFTMAX)
        return leaf_softmax(n, row, l->unit);
    switch (l->over) {
    case MGI_OVER_UNIT: return (double)row[leaf_at(l)];
    case MGI_OVER_MAX: return (double)row[leaf_extreme(n, row, 0)];
    case MGI_OVER_MIN: return (double)row[leaf_extreme(n, row, 1)];
    case MGI_OVER_VECTOR:
        for (mango_idx i = 0; i < n; i++)
            sum += (double)l->vector[i] * (double)row[i];                       /* (3) */
        return sum;
    case MGI_OVER_MEAN: break;
    }
    for (mango_idx i = 0; i < n; i++)
        sum += (double)row[i];
    return sum / (double)n;
}

MGI_FN void mgi_leaf_slopes(const mgi_leaf *l, mango_idx n, const float *row, double g,
                            double *d)
{
    if (l->kind == MGI_LEAF_SOFTMAX) {
        leaf_softmax_slopes(n, row, l->unit, g, d);
        return;
    }
    switch (l->over) {
    case MGI_OVER_UNIT: d[leaf_at(l)] += g; break;
    case MGI_OVER_MAX: d[leaf_extreme(n, row, 0)] += g; break;
    case MGI_OVER_MIN: d[leaf_extreme(n, row, 1)] += g; break;
    case MGI_OVER_VECTOR:
        for (mango_idx i = 0; i < n; i++)
            d[i] += g * (double)l->vector[i];
        break;
    case MGI_OVER_MEAN:
        for (mango_idx i = 0; i < n; i++)
            d[i] += g / (double)n;
        break;
    }
}

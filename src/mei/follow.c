/* follow.c - what a target needs of the course of time: the network runs in slices, and the
 * readings between them, means m[t] over the t steps so far, make
 *
 *   steps A..B   ((B+1) m[B+1] - A m[A])/(B+1-A), sums of spikes as whole numbers      (1)
 *   latency      1 - L/T, L the smallest t with m[t+1] > 0; T: none                    (2)
 *   membrane     the mean of U after each of the steps A..B                            (3)
 *
 * SPDX-License-Identifier: MIT */
#include "objective.h"
#include <math.h>

MGI_FN mango_idx mgi_follow_slice(const mgi_sight *s, mango_idx T)
{
    if (s->n_follows == 0)
        return 0;
    for (int i = 0; i < s->n_follows; i++)
        if (s->follow[i].kind != MGI_LEAF_VALUE)
            return 1;
    return MGI_MAX(T / 2, 1);
}

/* After how many steps is f to be read next, when t are done? T: at the end. */
static mango_idx follow_next(const mgi_follow *f, mango_idx t, mango_idx T)
{
    if (t < f->from)
        return f->kind == MGI_LEAF_VALUE ? f->from : f->from + 1;
    if (t > f->to)
        return T;
    return f->kind == MGI_LEAF_VALUE ? f->to + 1 : t + 1;
}

static void follow_begin(mgi_follow *f, mango_idx K)
{
    for (mango_idx i = 0; i < K * f->row * f->HW; i++)
        f->sum[i] = f->kind == MGI_LEAF_LATENCY ? -1.0 : 0.0;
}

/* A reading v (K, row HW) after t steps. */
static void follow_read(mgi_follow *f, mango_idx K, const float *v, mango_idx t)
{
    const mango_idx n = K * f->row * f->HW;
    const double sign = t == f->from ? -1.0 : t == f->to + 1 ? 1.0 : 0.0;
    for (mango_idx i = 0; f->kind == MGI_LEAF_LATENCY && i < n; i++)
        if (f->sum[i] < 0.0 && v[i] > 0.0f)
            f->sum[i] = (double)(t - 1);
    for (mango_idx i = 0; f->kind == MGI_LEAF_MEMBRANE && i < n; i++)
        f->sum[i] += (double)v[i];
    for (mango_idx i = 0; f->kind == MGI_LEAF_VALUE && sign != 0.0 && i < n; i++) {
        const double sum = (double)v[i] * (double)t;
        f->sum[i] += sign * (f->counts ? floor(sum + 0.5) : sum);               /* (1) */
    }
}

/* What it all comes to, of K pictures. */
static void follow_end(mgi_follow *f, mango_idx K, mango_idx T)
{
    const double steps = (double)(f->to + 1 - f->from) * (double)f->HW;
    for (mango_idx i = 0; i < K * f->row; i++) {
        double sum = 0.0;
        for (mango_idx p = 0; p < f->HW; p++)
            sum += f->sum[i * f->HW + p];
        if (f->kind == MGI_LEAF_LATENCY)
            f->act[i] = sum < 0.0 ? 0.0f : (float)(((double)T - sum) / (double)T); /* (2) */
        else
            f->act[i] = (float)(sum / steps);                                   /* (1) (3) */
    }
}

/* Does f look when t steps are done? */
static int follow_looks(const mgi_follow *f, mango_idx t)
{
    if (f->kind == MGI_LEAF_VALUE)
        return t == f->from || t == f->to + 1;
    return t > f->from && t <= f->to + 1;
}

MGI_FN mango_status mgi_follow_run(mango_objective *o, mango_idx K, const float *rgb)
{
    const mgi_sight *s = &o->see;
    MGI_TRY(mango_plan_start(o->plan, K, rgb));
    for (int i = 0; i < s->n_follows; i++)
        follow_begin(s->follow + i, K);
    for (mango_idx t = 0; t < o->T;) {
        mango_idx next = o->T;
        for (int i = 0; i < s->n_follows; i++)
            next = MGI_MIN(next, follow_next(s->follow + i, t, o->T));
        MGI_TRY(mango_plan_advance(o->plan, next - t));
        t = next;
        for (int i = 0; i < s->n_follows; i++)
            if (follow_looks(s->follow + i, t))
                follow_read(s->follow + i, K, s->look[s->follow[i].look].act, t);
    }
    for (int i = 0; i < s->n_follows; i++)
        follow_end(s->follow + i, K, o->T);
    return MANGO_OK;
}

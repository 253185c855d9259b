/* race.c - early stop: a batch of queries runs in slices of time, and a query
 * that can no longer be among the best `elite` of the batch is stopped.
 *
 * After t of T steps, with c_q spikes so far of the n neurons of the target and at
 * most r n spikes in each step to come (r = 1: certain),
 *
 *     low_q = c_q      high_q = c_q + r n (T - t)                                 (1)
 *     q stops when high_q < the elite-th largest low of the batch                 (2)
 *
 * (mirrored when the least is wanted). With r = 1 a stopped query is below `elite`
 * others whatever comes: what the best are, and their values, is not changed. Only
 * counts decide, so neither threads nor kernels change who stops.
 *
 * No look before t = r T/(1 + r), when a leader that always fires passes a silent
 * query. Then: with the leader going on at its pace and a query silent from now
 * on, (2) cannot hold before  t' = (r n T + c_min) / (r n + c_lead/t)             (3)
 * SPDX-License-Identifier: MIT */
#include "objective.h"

#define RACE_LOOKS 16 /* looks at a query at most, about */

/* Spikes so far, from the mean over t steps and n neurons; exact below 2^22. */
static double race_count(const mango_objective *o, mango_idx place, double tn)
{
    const mgi_look *l = o->see.look;
    const double c = (double)l->act[place * l->row + o->see.aim->at] * tn;
    return (double)(int64_t)(c + 0.5);
}

/* The m-th best of v (n), by count from the front: n and m are a batch's. */
static double race_mth(const mango_objective *o, mango_idx n, mango_idx m, double *v)
{
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = i + 1; j < n; j++)
            if (o->minimize ? v[j] < v[i] : v[j] > v[i]) {
                const double swap = v[i];
                v[i] = v[j], v[j] = swap;
            }
    return v[m - 1];
}

/* (2): who of the n running goes on; o->low holds their counts. rest: spikes that
 * may still come. */
static mango_idx race_cut(mango_objective *o, mango_idx n, double rest)
{
    mango_idx kept = 0;
    for (mango_idx i = 0; i < n; i++)
        o->rank[i] = o->low[i] + (o->minimize ? rest : 0.0);
    const double bar = race_mth(o, n, o->elite, o->rank);
    for (mango_idx i = 0; i < n; i++) {
        if (o->minimize ? o->low[i] > bar : o->low[i] + rest < bar)
            continue;
        o->still[kept] = i;
        o->low[kept] = o->low[i];
        o->runs[kept++] = o->runs[i];
    }
    return kept;
}

/* (3): steps until the next look. */
static mango_idx race_step(const mango_objective *o, mango_idx n, mango_idx t, double neurons)
{
    const double r = o->believed * neurons, left = (double)(o->T - t);
    const double least = (double)MGI_MAX(o->T / RACE_LOOKS, 1);
    double lead = o->low[0], last = o->low[0];
    for (mango_idx i = 1; i < n; i++)
        lead = MGI_MAX(lead, o->low[i]), last = MGI_MIN(last, o->low[i]);
    /* minimize: the lead is silence, the last goes on at its pace: the same bound */
    const double when = (r * (double)o->T + last) / (r + lead / (double)t) - (double)t;
    return (mango_idx)MGI_MIN(MGI_MAX(when, least), left);
}

MGI_FN mango_status mgi_race(mango_objective *o, mango_idx K, double *y)
{
    const mango_target *g = &o->see.aim->t;
    const double neurons = g->y < 0 ? (double)(g->H * g->W) : 1.0;
    const double first = (double)o->T * o->believed / (1.0 + o->believed);
    mango_idx n = K, t = 0, dt = K > o->elite ? MGI_MAX((mango_idx)first, 1) : o->T;
    MGI_TRY(mango_plan_start(o->plan, K, o->rgb));
    for (mango_idx k = 0; k < K; k++)
        o->runs[k] = k, y[k] = MGI_NAN;
    for (; t < o->T; dt = race_step(o, n, t, neurons)) {
        MGI_TRY(mango_plan_advance(o->plan, dt));
        t += dt;
        o->steps += (double)(n * dt);
        for (mango_idx i = 0; i < n; i++)
            o->low[i] = race_count(o, i, (double)t * neurons);
        if (t == o->T)
            break;
        const mango_idx m = race_cut(o, n, o->believed * neurons * (double)(o->T - t));
        if (m < n)
            MGI_TRY(mango_plan_keep(o->plan, m, o->still));
        n = m;
    }
    for (mango_idx i = 0; i < n; i++)
        y[o->runs[i]] = (double)o->see.look->act[i * o->see.look->row + o->see.aim->at];
    o->stopped += K - n;
    o->steps_all += (double)(K * o->T);
    return MANGO_OK;
}

#undef RACE_LOOKS

/* plan_run.c - answers queries with a plan, without allocating: in chunks of
 * inputs and of time, or in slices of time that the caller asks for.
 * SPDX-License-Identifier: MIT */
#include "../base/threads.h"
#include "plan.h"

static mango_status run_check_input(mango_plan *p, mango_idx B, const float *x)
{
    const mgi_node *g = &p->net->node[p->from >= 0 ? p->from : p->net->input];
    const int codes = p->from >= 0 && g->kind == MGI_VQ;
    const mango_idx each = g->H * g->W * (codes ? 1 : g->C);
    for (mango_idx i = 0; i < B * each; i++) {
        if (!mgi_is_finite((double)x[i]))
            return mgi_fail(&p->err, MANGO_E_NONFINITE,
                            "input %td, value %td is NaN or infinite", i / each, i % each);
        if (codes &&
            !(x[i] >= 0.0f && x[i] < (float)g->codes && x[i] == (float)(mango_idx)x[i]))
            return mgi_fail(&p->err, MANGO_E_ARG, "input %td, code %td is %g: expected 0..%td",
                            i / each, i % each, (double)x[i], g->codes - 1);
    }
    return MANGO_OK;
}

/* Is the picture read as level numbers? -1: no; else the embedding that does. */
static int run_embedding(const mango_plan *p)
{
    const mango_net *net = p->net;
    for (int i = 0; i < net->n_nodes && p->from < 0; i++) {
        int j = net->node[i].kind == MGI_EMBEDDING ? net->node[i].in[0] : -1;
        while (j >= 0 && net->node[j].kind == MGI_RESHAPE)
            j = net->node[j].in[0];
        if (j == net->input)
            return i;
    }
    return -1;
}

static mango_status run_check_levels(mango_plan *p, mango_idx B, const float *x)
{
    const mango_net *net = p->net;
    const mgi_node *g = &net->node[net->input];
    const int i = run_embedding(p);
    const mango_idx each = g->C * g->H * g->W;
    const int scaled = !p->raw && g->C == 1;
    for (mango_idx k = 0; i >= 0 && k < B * each; k++) {
        const float v = scaled ? (x[k] - net->mean[0]) / net->std[0] : x[k];
        if (!mgi_embed_is_code(v, net->node[i].codes))
            return mgi_fail(&p->err, MANGO_E_ARG,
                            "input %td, value %td is %g: layer '%s' takes whole numbers 0..%td",
                            k / each, k % each, (double)v, net->node[i].name,
                            net->node[i].codes - 1);
    }
    return MANGO_OK;
}

static mango_status run_check(mango_plan *p, mango_idx B, const float *x)
{
    MGI_REQUIRE(p);
    MGI_CHECK(&p->err, x, "x is NULL");
    MGI_CHECK(&p->err, B >= 1 && B <= p->B, "%td inputs: expected 1..%td", B, p->B);
    for (int r = 0; r < p->n_readings; r++)
        MGI_CHECK(&p->err, p->reading[r].out, "reading %d has no buffer", r);
    MGI_TRY(p->backend->ready(p, &p->err));
    MGI_TRY(run_check_input(p, B, x));
    return run_check_levels(p, B, x);
}

/* What does not depend on time, for the inputs of a chunk. */
static void run_static(mango_plan *p)
{
    p->t0 = 0;
    p->t = 1;
    p->backend->run(p, 0, p->first_dynamic);
}

/* Time steps from .. until-1 of the inputs of a chunk; then readings are due. */
static void run_time(mango_plan *p, mango_idx from, mango_idx until)
{
    p->until = until;
    for (p->t0 = from; p->t0 < until && p->first_dynamic < p->n_steps; p->t0 += p->Tc) {
        p->t = MGI_MIN(p->Tc, until - p->t0);
        p->backend->run(p, p->first_dynamic, p->n_steps);
    }
}

/* Scratch is planned for so many threads. Returns what to restore. */
static int run_threads(const mango_plan *p)
{
    const int threads = mango_threads();
    mgi_threads_look();
    if (threads > p->threads)
        mango_set_threads(p->threads);
    return threads;
}

mango_status mango_plan_run(mango_plan *p, mango_idx B, const float *x)
{
    MGI_TRY(run_check(p, B, x));
    const int threads = run_threads(p);
    p->x = x;
    p->run_B = B;
    p->at = -1;
    for (p->b0 = 0; p->b0 < B; p->b0 += p->Bc) {
        p->b = MGI_MIN(p->Bc, B - p->b0);
        run_static(p);
        run_time(p, 0, p->T);
    }
    p->x = NULL;
    mango_set_threads(threads);
    return MANGO_OK;
}

/* ---- slices of time ------------------------------------------------------------ */

mango_status mango_plan_start(mango_plan *p, mango_idx B, const float *x)
{
    MGI_TRY(run_check(p, B, x));
    if (p->slice == 0)
        return mgi_fail(&p->err, MANGO_E_STATE, "the plan was made without `slice`");
    const int threads = run_threads(p);
    p->x = x;
    p->run_B = p->b = B;
    p->b0 = p->at = 0;
    run_static(p);
    p->x = NULL;
    mango_set_threads(threads);
    return MANGO_OK;
}

mango_status mango_plan_advance(mango_plan *p, mango_idx steps)
{
    MGI_REQUIRE(p);
    if (p->at < 0)
        return mgi_fail(&p->err, MANGO_E_STATE, "the plan is not started");
    MGI_TRY(p->backend->ready(p, &p->err));
    MGI_CHECK(&p->err, steps >= 1 && steps <= p->T - p->at, "%td steps: expected 1..%td", steps,
              p->T - p->at);
    const int threads = run_threads(p);
    run_time(p, p->at, p->at + steps);
    p->at += steps;
    mango_set_threads(threads);
    return MANGO_OK;
}

mango_status mango_plan_keep(mango_plan *p, mango_idx n, const mango_idx *which)
{
    MGI_REQUIRE(p);
    MGI_CHECK(&p->err, which, "which is NULL");
    if (p->at < 0)
        return mgi_fail(&p->err, MANGO_E_STATE, "the plan is not started");
    MGI_CHECK(&p->err, n >= 1 && n <= p->b, "%td inputs kept: expected 1..%td", n, p->b);
    for (mango_idx i = 0; i < n; i++)
        MGI_CHECK(&p->err, which[i] >= (i ? which[i - 1] + 1 : 0) && which[i] < p->b,
                  "place %td is %td: expected rising places below %td", i, which[i], p->b);
    for (int r = 0; r < p->n_readings && n < p->b; r++)
        MGI_CHECK(&p->err, p->reading[r].what != MANGO_READ_SPIKES,
                  "reading %d is of every step: no input can be dropped", r);
    p->backend->keep(p, n, which);
    p->run_B = p->b = n;
    return MANGO_OK;
}

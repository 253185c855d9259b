/* plan_readout.c - readings of a plan: means over time, rates, every step, codes.
 *
 * Totals over time go t ascending, one chain per neuron. Those of a LIF layer
 * are counts, exact integers, so a rate count/(T*H*W) is rounded once and is a
 * function of the spikes alone. Other layers are summed in double.
 * SPDX-License-Identifier: MIT */
#include "neurons.h"
#include "plan.h"

#define READ_BLOCK 1024
#define READ_GRAIN (8 * MGI_GRAIN)

/* sum (n) += x (t,n) over the steps of the chunk. */
static void read_count(const mango_plan *p, mango_idx n, const float *x, float *sum)
{
    MGI_OMP(parallel for schedule(static) if (n * p->t >= READ_GRAIN))
    for (mango_idx i = 0; i < n; i += READ_BLOCK) {
        const mango_idx m = MGI_MIN((mango_idx)READ_BLOCK, n - i);
        if (p->t0 == 0)
            memset(sum + i, 0, (size_t)m * sizeof *sum);
        for (mango_idx t = 0; t < p->t; t++)
            p->cpu->k->add(m, sum + i, x + t * n + i, sum + i);
    }
}

/* The same from words: rows pixels of C channels a step. */
static void read_count_bits(const mango_plan *p, mango_idx rows, mango_idx C,
                            const uint64_t *x, float *sum)
{
    const mango_idx words = mgi_bits_words(C), block = MGI_MAX(READ_BLOCK / C, 1);
    MGI_OMP(parallel for schedule(static) if (rows * C * p->t >= READ_GRAIN))
    for (mango_idx i = 0; i < rows; i += block) {
        const mango_idx m = MGI_MIN(block, rows - i);
        if (p->t0 == 0)
            memset(sum + i * C, 0, (size_t)(m * C) * sizeof *sum);
        for (mango_idx t = 0; t < p->t; t++)
            mgi_bits_add(m, C, x + (t * rows + i) * words, sum + i * C);
    }
}

static void read_total(const mango_plan *p, mango_idx n, const float *x, double *sum)
{
    MGI_OMP(parallel for schedule(static) if (n * p->t >= READ_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        double q = p->t0 == 0 ? 0.0 : sum[i];
        for (mango_idx t = 0; t < p->t; t++)
            q += x[t * n + i];
        sum[i] = q;
    }
}

/* Values of one chunk's inputs before division: counts, totals, or the value
 * itself of a static node. */
typedef struct mgi_totals {
    const float *f;
    const double *d;
    double T;
} mgi_totals;

static double read_at(const mgi_totals *v, mango_idx i)
{
    return v->d ? v->d[i] : v->f[i];
}

/* out (b,C,HW) = v (b,HW,C) / T */
static void read_mean(const mango_plan *p, const mgi_plan_reading *r, const mgi_totals *v)
{
    const mango_idx C = r->C, HW = r->HW;
    float *out = r->out + p->b0 * C * HW;
    if (!v->d && v->T == 1.0) {
        mgi_to_nchw(p->b, C, HW, v->f, out);
        return;
    }
    MGI_OMP(parallel for schedule(static) if (p->b * C * HW >= READ_GRAIN))
    for (mango_idx j = 0; j < p->b * C; j++) {
        const mango_idx at = j / C * HW * C + j % C;
        for (mango_idx q = 0; q < HW; q++)
            out[j * HW + q] = (float)(read_at(v, at + q * C) / v->T);
    }
}

/* out (b,C) = sum of v (b,HW,C) over HW / (T HW) */
static void read_rate(const mango_plan *p, const mgi_plan_reading *r, const mgi_totals *v)
{
    const mango_idx C = r->C, HW = r->HW;
    float *out = r->out + p->b0 * C;
    for (mango_idx j = 0; j < p->b * C; j++) {
        const mango_idx at = j / C * HW * C + j % C;
        double q = 0;
        for (mango_idx i = 0; i < HW; i++)
            q += read_at(v, at + i * C);
        out[j] = (float)(q / (v->T * (double)HW));
    }
}

/* out (T,B,C,HW): the steps of the chunk; a static value at all T. */
static void read_steps(const mango_plan *p, const mgi_plan_reading *r, int dynamic,
                       const float *x)
{
    const mango_idx n = r->C * r->HW, t0 = dynamic ? p->t0 : 0, t = dynamic ? p->t : p->T;
    for (mango_idx i = 0; i < t; i++)
        mgi_to_nchw(p->b, r->C, r->HW, x + (dynamic ? i * p->b * n : 0),
                    r->out + ((t0 + i) * p->run_B + p->b0) * n);
}

static void read_steps_bits(const mango_plan *p, const mgi_plan_reading *r, const uint64_t *x)
{
    const mango_idx C = r->C, HW = r->HW, words = mgi_bits_words(C);
    MGI_OMP(parallel for schedule(static) if (p->t * p->b * C * HW >= READ_GRAIN))
    for (mango_idx i = 0; i < p->t * p->b; i++) {
        float *out = r->out + ((p->t0 + i / p->b) * p->run_B + p->b0 + i % p->b) * C * HW;
        memset(out, 0, (size_t)(C * HW) * sizeof *out);
        for (mango_idx q = 0; q < HW * words; q++)
            for (uint64_t w = x[i * HW * words + q]; w; w &= w - 1)
                out[(q % words * 64 + mgi_bits_first(w)) * HW + q / words] = 1.0f;
    }
}

/* The membranes stand first in what each map of a LIF layer carries. */
static void read_membranes(const mango_plan *p, const mgi_plan_reading *r, const mgi_step *s)
{
    const mango_idx n = r->C * r->HW;
    const mango_idx state = n * mgi_neurons_state(&p->net->node[s->head]);
    const float *U = mgi_plan_at(p, s->aux);
    for (mango_idx k = 0; k < p->b; k++)
        mgi_to_nchw(1, r->C, r->HW, U + k * state, r->out + (p->b0 + k) * n);
}

MGI_FN void mgi_reading_take(mango_plan *p, const mgi_plan_reading *r)
{
    const mgi_step *s = &p->step[r->step];
    const mango_idx n = p->b * r->C * r->HW;
    const void *x = mgi_plan_at(p, s->out);
    mgi_totals v = {x, NULL, 1.0};
    if (r->what == MANGO_READ_CODES) {
        memcpy(r->out + p->b0 * r->HW, mgi_plan_at(p, s->aux),
               (size_t)(p->b * r->HW) * sizeof *r->out);
        return;
    }
    if (r->what == MANGO_READ_MEMBRANE) {
        if (p->t0 + p->t == p->until)
            read_membranes(p, r, s);
        return;
    }
    if (r->what == MANGO_READ_SPIKES) {
        if (s->bits)
            read_steps_bits(p, r, x);
        else
            read_steps(p, r, s->dynamic, x);
        return;
    }
    if (r->sum >= 0) {
        void *sum = mgi_plan_at(p, r->sum);
        if (p->buf[r->sum].elem == MGI_ELEM_F64)
            read_total(p, n, x, sum);
        else if (s->bits)
            read_count_bits(p, p->b * r->HW, r->C, x, sum);
        else
            read_count(p, n, x, sum);
        if (p->t0 + p->t < p->until)
            return;
        v.f = sum;
        v.d = p->buf[r->sum].elem == MGI_ELEM_F64 ? sum : NULL;
        v.T = (double)p->until;
    }
    if (r->what == MANGO_READ_MEAN)
        read_mean(p, r, &v);
    else
        read_rate(p, r, &v);
}

#undef READ_BLOCK
#undef READ_GRAIN

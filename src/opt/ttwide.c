/* ttwide.c - what tt.c does with a core of few levels, for wide ones, see
 * ttloops.h: draws, the pass from the left and the chain back. Samples of a
 * block share one walk through V_j; sums that run over levels are kept, so that
 * a draw is a binary search among them.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "ttinner.h"

#define TTW_W MGI_TT_W

/* f(r1, r2, W, ...) with constants for rank 5. */
#define TTW_CALL(f, r1, r2, ...)                                                               \
    do {                                                                                       \
        if ((r1) == 5 && (r2) == 5)                                                            \
            f(5, 5, TTW_W, __VA_ARGS__);                                                       \
        else                                                                                   \
            f((r1), (r2), TTW_W, __VA_ARGS__);                                                 \
    } while (0)

/* The last level of a weight above zero, or 0. */
static mango_idx ttw_last(const mgi_tt *t, mango_idx j, const double *l)
{
    const mango_idx r1 = t->r[j];
    for (mango_idx i = t->n[j] - 1; i > 0; i--) {
        const double *v = t->V + t->voff[j] + i / TTW_W * TTW_W * r1 + i % TTW_W;
        double s = 0.0;
        for (mango_idx a = 0; a < r1; a++)
            s += l[a] * v[a * TTW_W];
        if (fabs(s) > 0.0)
            return i;
    }
    return 0;
}

/* The first i whose running sum P(i) passes u times the last one; where none does
 * (sums so small that the product is rounded up) the last level that counts. A sum
 * grows only at levels of weight above zero, so no other is taken. */
static mango_idx ttw_pick(const mgi_tt *t, mango_idx j, const double *l, const double *P,
                          mango_idx lanes, double u)
{
    const mango_idx n = t->n[j];
    const double S = P[(n - 1) * lanes], x = u * S;
    if (!(S > 0.0 && S <= DBL_MAX))
        return (mango_idx)(u * (double)n);
    mango_idx from = 0;
    for (mango_idx left = n; left > 0;) {
        const mango_idx half = left / 2;
        const int beyond = !(P[(from + half) * lanes] > x);
        from = beyond ? from + half + 1 : from;
        left = beyond ? left - half - 1 : half;
    }
    return from < n ? from : ttw_last(t, j, l);
}

/* Samples whose l are the rows of L, K <= mgi_tt_together; the next ones into L2. */
static void ttw_draw(mgi_tt *t, mango_idx j, mango_idx K, const double *L, mango_rng *rng,
                     mango_idx *I, double *L2)
{
    const mango_idx n = t->n[j], r1 = t->r[j], r2 = t->r[j + 1], lanes = (K + 3) / 4 * 4;
    for (mango_idx a = 0; a < r1; a++)
        for (mango_idx k = 0; k < MGI_TT_BLOCK; k++)
            t->lt[a * MGI_TT_BLOCK + k] = k < K ? L[k * t->rmax + a] : 0.0;
    t->loops->running(n, r1, K, t->V + t->voff[j], t->lt, t->P);                /* (3) */
    for (mango_idx k = 0; k < K; k++) {
        const double u = n <= 4096 ? (double)mango_rng_uniformf(rng + k)
                                   : mango_rng_uniform(rng + k);
        const double *l = L + k * t->rmax;
        double *l2 = L2 + k * t->rmax;
        const mango_idx i = ttw_pick(t, j, l, t->P + k, lanes, u);
        I[k * t->d + j] = i;
        TTW_CALL(mgi_tt_left, r1, r2, t->G + mgi_tt_at(t, j, i, 0, 0), l, l2);  /* (2) */
        if (MGI_TT_SCALE(j))
            mgi_tt_scale(r2, l2);
    }
}

MGI_FN void mgi_ttw_draw(mgi_tt *t, mango_idx j, mango_idx K, mango_rng *rng, mango_idx *I)
{
    const mango_idx half = t->rows * t->rmax, group = mgi_tt_together(t->n[j]);
    const double *L = t->L + (j % 2) * half;
    double *L2 = t->L + ((j + 1) % 2) * half;
    for (mango_idx k = 0; k < K; k += group)
        ttw_draw(t, j, MGI_MIN(group, K - k), L + k * t->rmax, rng + k, I + k * t->d,
                 L2 + k * t->rmax);
}

static void ttw_times(mango_idx n, double w, double *x)
{
    for (mango_idx i = 0; i < n; i++)
        x[i] *= w;
}

MGI_FN void mgi_ttw_forward(mgi_tt *t, mango_idx j, mango_idx K, const mango_idx *I, double *ll)
{
    const mango_idx n = t->n[j], r1 = t->r[j], r2 = t->r[j + 1];
    const double *V = t->V + t->voff[j];
    double *U = t->U + t->voff[j];
    memset(U, 0, (size_t)(t->voff[j + 1] - t->voff[j]) * sizeof *U);
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx ij = I[k * t->d + j], at = (j * t->rows + k) * t->rmax;
        double *l = t->L + at, *l2 = l + t->rows * t->rmax;
        const mango_idx size = t->voff[j + 1] - t->voff[j];
        if (t->w) /* what condition adds to U shall count w times */
            ttw_times(size, 1.0 / t->w[k], U);
        const double p = t->loops->condition(n, r1, V, l, ij, t->q, U, t->C + at); /* (3) */
        if (t->w) {
            ttw_times(size, t->w[k], U);
            ttw_times(r1, t->w[k], t->C + at);
        }
        if (ll)
            ll[k] += mgi_log(p);                                                /* (4) */
        TTW_CALL(mgi_tt_left, r1, r2, t->G + mgi_tt_at(t, j, ij, 0, 0), l, l2); /* (2) */
        t->ls[j * t->rows + k] = MGI_TT_SCALE(j) ? mgi_tt_scale(r2, l2) : 1.0;
    }
}

MGI_FN void mgi_ttw_back(mgi_tt *t, mango_idx j, mango_idx K, const mango_idx *I)
{
    const mango_idx r1 = t->r[j], r2 = t->r[j + 1];
    for (mango_idx k = 0; k < K; k++) {
        const double *Gi = t->G + mgi_tt_at(t, j, I[k * t->d + j], 0, 0);
        double *c = t->C + (j * t->rows + k) * t->rmax;
        const double *c2 = c + t->rows * t->rmax;
        TTW_CALL(mgi_tt_chain, r1, r2, Gi, t->ls[j * t->rows + k], c2, c);
    }
}

MGI_FN mgi_tt_part mgi_ttw_part(const mgi_tt *t, mango_idx j, mango_idx K, const mango_idx *I,
                                float *g)
{
    const mango_idx row = j * t->rows * t->rmax, off = t->off[j];
    const mgi_tt_part p = {
        t->n[j], t->r[j], t->r[j + 1], K, t->U + t->voff[j], t->z + (j + 1) * t->rmax,
        t->gz + j * t->rmax, t->zs[j], -1.0 / (double)K, I + j, t->d, t->rmax,
        t->L + row, t->C + row + t->rows * t->rmax, t->ls + j * t->rows,
        t->G + off, g ? g + off : NULL, t->m + off, t->v + off};
    return p;
}

#undef TTW_W
#undef TTW_CALL

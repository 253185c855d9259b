/* tt.c - sampling, likelihood and its gradient for a tensor train; see tt.h.
 * Inner loops are written once for any (n, r1, r2) and inlined with constants
 * for rank 5, and for rank 5 with two levels, the case of quantized modes. With a
 * kernel set other than the plain one, cores of many levels go to ttwide.c.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "ttinner.h"

#define TT_RNG_INIT 0x54540001u
#define TT_RNG_SAMPLE 0x54540002u
#define TT_CHUNK 32     /* parameters of one inner loop of Adam */
#define TT_PIECE 16384  /* parameters that a thread takes at once */
#define TT_GRAIN 524288 /* parameters below which Adam stays on one thread: half a ms */

/* Run f(n, r1, r2, ...) with constants where a fast case exists. */
#define TT_CALL(f, n, r1, r2, ...)                                                       \
    do {                                                                                 \
        if ((r1) == 5 && (r2) == 5 && (n) == 2)                                          \
            f(2, 5, 5, __VA_ARGS__);                                                     \
        else if ((r1) == 5 && (r2) == 5)                                                 \
            f((n), 5, 5, __VA_ARGS__);                                                   \
        else                                                                             \
            f((n), (r1), (r2), __VA_ARGS__);                                             \
    } while (0)

/* ---- memory ------------------------------------------------------------- */

static void tt_plan(mgi_tt *t, mango_idx vsize)
{
    mango_idx lr = 0, cr = 0;
    const int ok = mgi_prod(3, (mango_idx[3]){t->d + 1, t->rows, t->rmax}, &lr) &&
                   mgi_prod(3, (mango_idx[3]){t->narrow, t->rmax, t->rmax}, &cr);
    mgi_arena *a = &t->arena;
    mgi_arena_plan(a, ok ? t->padded : PTRDIFF_MAX, sizeof(double));
    for (int i = 0; i < 3; i++)
        mgi_arena_plan(a, t->padded, sizeof(float));
    mgi_arena_plan(a, (t->d + 1) * t->rmax, sizeof(double));
    mgi_arena_plan(a, t->d, sizeof(double));
    mgi_arena_plan(a, vsize, sizeof(double));
    mgi_arena_plan(a, vsize, sizeof(double));
    mgi_arena_plan(a, lr, sizeof(double));
    mgi_arena_plan(a, lr, sizeof(double));
    mgi_arena_plan(a, t->d * t->rows, sizeof(double));
    mgi_arena_plan(a, t->nmax + MGI_TT_W - 1, sizeof(double));
    mgi_arena_plan(a, cr, sizeof(double));
    mgi_arena_plan(a, (t->d + 1) * t->rmax, sizeof(double));
    mgi_arena_plan(a, t->rmax * MGI_TT_BLOCK, sizeof(double));
    mgi_arena_plan(a, t->np, sizeof(double));
    for (int i = 0; i < 4; i++)
        mgi_arena_plan(a, t->d + 1, sizeof(mango_idx));
}

static void tt_take(mgi_tt *t, mango_idx vsize)
{
    const mango_idx lr = (t->d + 1) * t->rows * t->rmax;
    mgi_arena *a = &t->arena;
    t->G = mgi_arena_take(a, t->padded, sizeof(double));
    t->g = mgi_arena_take(a, t->padded, sizeof(float));
    t->m = mgi_arena_take(a, t->padded, sizeof(float));
    t->v = mgi_arena_take(a, t->padded, sizeof(float));
    t->z = mgi_arena_take(a, (t->d + 1) * t->rmax, sizeof(double));
    t->zs = mgi_arena_take(a, t->d, sizeof(double));
    t->V = mgi_arena_take(a, vsize, sizeof(double));
    t->U = mgi_arena_take(a, vsize, sizeof(double));
    t->L = mgi_arena_take(a, lr, sizeof(double));
    t->C = mgi_arena_take(a, lr, sizeof(double));
    t->ls = mgi_arena_take(a, t->d * t->rows, sizeof(double));
    t->q = mgi_arena_take(a, t->nmax + MGI_TT_W - 1, sizeof(double));
    t->core = mgi_arena_take(a, t->narrow * t->rmax * t->rmax, sizeof(double));
    t->gz = mgi_arena_take(a, (t->d + 1) * t->rmax, sizeof(double));
    t->lt = mgi_arena_take(a, t->rmax * MGI_TT_BLOCK, sizeof(double));
    t->P = mgi_arena_take(a, t->np, sizeof(double));
    t->n = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->r = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->off = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->voff = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
}

static mango_idx tt_rank(mango_idx d, mango_idx r, mango_idx j)
{
    return j == 0 || j == d ? 1 : r;
}

/* x rounded up to a multiple of m; false on overflow. */
static int tt_round(mango_idx m, mango_idx *x)
{
    if (!mgi_add(*x, m - 1, x))
        return 0;
    *x -= *x % m;
    return 1;
}

/* Core j, n levels, of G and of V: where they begin and end, given where the one
 * before ends. A wide core begins at a multiple of its block. */
static int tt_place(const mgi_tt *t, mango_idx j, mango_idx n, mango_idx begin[2],
                    mango_idx end[2])
{
    mango_idx v, s;
    if (t->loops && n >= MGI_TT_W &&
        !(tt_round(MGI_TT_W, &n) && tt_round(MGI_TT_W, end) && tt_round(MGI_TT_W, end + 1)))
        return 0;
    begin[0] = end[0];
    begin[1] = end[1];
    return mgi_mul(n, tt_rank(t->d, t->rmax, j), &v) &&
           mgi_mul(v, tt_rank(t->d, t->rmax, j + 1), &s) && mgi_add(end[0], s, end) &&
           mgi_add(end[1], v, end + 1);
}

mango_status mgi_tt_init(mgi_tt *t, mango_idx d, const mango_idx *n, mango_idx r,
                         mango_idx rows, const mango_alloc *al)
{
    mango_idx begin[2], end[2] = {0, 0};
    memset(t, 0, sizeof *t);
    mgi_arena_init(&t->arena, al);
    t->loops = mgi_tt_loops_get();
    t->d = d;
    t->rmax = r;
    t->rows = MGI_MAX(rows, MGI_TT_BLOCK);
    for (mango_idx j = 0; j < d; j++) {
        mango_idx np = 0;
        const int wide = t->loops && n[j] >= MGI_TT_W;
        if (!tt_place(t, j, n[j], begin, end) ||
            (wide && !mgi_mul(n[j], mgi_tt_together(n[j]), &np)))
            return MANGO_E_MEM;
        t->np = MGI_MAX(t->np, np);
        t->nmax = MGI_MAX(t->nmax, n[j]);
        t->narrow = MGI_MAX(t->narrow, wide ? 0 : n[j]);
    }
    t->size = t->padded = end[0];
    if (!tt_round(TT_CHUNK, &t->padded))
        return MANGO_E_MEM;
    tt_plan(t, end[1]);
    MGI_TRY(mgi_arena_commit(&t->arena));
    tt_take(t, end[1]);
    end[0] = end[1] = 0;
    for (mango_idx j = 0; j < d; j++) {
        tt_place(t, j, n[j], begin, end);
        t->n[j] = n[j];
        t->r[j] = tt_rank(d, r, j);
        t->off[j] = begin[0];
        t->voff[j] = begin[1];
    }
    t->off[d] = end[0];
    t->voff[d] = end[1];
    t->r[d] = 1;
    t->b1t = t->b2t = 1.0;
    return MANGO_OK;
}

void mgi_tt_free(mgi_tt *t)
{
    mgi_arena_free(&t->arena);
}

void mgi_tt_touch(mgi_tt *t)
{
    t->fresh = 0;
}

void mgi_tt_uniform(mgi_tt *t, uint64_t seed, uint64_t index0)
{
    for (mango_idx j = 0; j < t->d; j++) {
        mango_rng rng;
        mango_rng_init(&rng, seed, TT_RNG_INIT, index0 + (uint64_t)j);
        const mango_idx step = mgi_tt_at(t, j, 0, 0, 1) - t->off[j];
        for (mango_idx i = 0; i < t->n[j]; i++) {
            double *Gi = t->G + mgi_tt_at(t, j, i, 0, 0);
            for (mango_idx ab = 0; ab < t->r[j] * t->r[j + 1]; ab++)
                Gi[ab * step] = (double)mango_rng_uniformf(&rng);
        }
    }
    memset(t->m, 0, (size_t)t->padded * sizeof *t->m);
    memset(t->v, 0, (size_t)t->padded * sizeof *t->v);
    t->b1t = t->b2t = 1.0;
    t->fresh = 0;
}

/* ---- interface vectors, sampling ---------------------------------------- */

/* V[i] = G[i] z, z1 = sum_i V[i]: (1) for one core. */
MGI_TT_INLINE void tt_right(mango_idx n, mango_idx r1, mango_idx r2, const double *G,
                        const double *z, double *V, double *z1)
{
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        z1[a] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        MGI_TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            double s = 0.0;
            MGI_TT_UNROLL
            for (mango_idx b = 0; b < r2; b++)
                s += G[(i * r1 + a) * r2 + b] * z[b];
            V[i * r1 + a] = s;
            z1[a] += s;
        }
}

static void tt_interfaces(mgi_tt *t)
{
    if (t->fresh)
        return;
    t->z[t->d * t->rmax] = 1.0;
    for (mango_idx j = t->d - 1; j >= 0; j--) {
        double *z = t->z + j * t->rmax;
        if (mgi_tt_wide(t, j))
            t->loops->right(t->n[j], t->r[j], t->r[j + 1], t->G + t->off[j], z + t->rmax,
                            t->V + t->voff[j], z);                              /* (1) */
        else
            TT_CALL(tt_right, t->n[j], t->r[j], t->r[j + 1], t->G + t->off[j], z + t->rmax,
                    t->V + t->voff[j], z);                                      /* (1) */
        t->zs[j] = mgi_tt_scale(t->r[j], z);
    }
    t->fresh = 1;
}

/* The first i where the running sum of |q| passes u * total; levels of weight
 * zero are never taken. Uniform when the weights say nothing. */
MGI_TT_INLINE mango_idx tt_pick(mango_idx n, const double *q, double u)
{
    double S = 0.0, c = 0.0;
    mango_idx last = 0;
    MGI_TT_UNROLL
    for (mango_idx i = 0; i < n; i++)
        S += q[i];
    if (!(S > 0.0 && S <= DBL_MAX))
        return (mango_idx)(u * (double)n);
    const double x = u * S;
    if (n == 2) /* the loop below, without branches */
        return !(q[0] > x) & (q[1] > 0.0);
    for (mango_idx i = 0; i < n; i++) {
        if (!(q[i] > 0.0))
            continue;
        c += q[i];
        last = i;
        if (c > x)
            break;
    }
    return last;
}

/* One mode, all samples of a block: (3), draw, (2). I has row stride d. */
MGI_TT_INLINE void tt_draw(mango_idx n, mango_idx r1, mango_idx r2, const mgi_tt *t,
                       mango_idx j, mango_idx K, mango_rng *rng, mango_idx *I)
{
    const double *G = t->G + t->off[j];
    const double *V = t->V + t->voff[j];
    double *L = t->L + (j % 2) * t->rows * t->rmax;
    double *L2 = t->L + ((j + 1) % 2) * t->rows * t->rmax;
    for (mango_idx k = 0; k < K; k++) {
        const double *l = L + k * t->rmax;
        double two[2], *q = n == 2 ? two : t->q;
        MGI_TT_UNROLL
        for (mango_idx i = 0; i < n; i++) {
            double s = 0.0;
            MGI_TT_UNROLL
            for (mango_idx a = 0; a < r1; a++)
                s += l[a] * V[i * r1 + a];
            q[i] = fabs(s);                                                     /* (3) */
        }
        const double u = n <= 4096 ? (double)mango_rng_uniformf(rng + k)
                                   : mango_rng_uniform(rng + k);
        const mango_idx i = tt_pick(n, q, u);
        I[k * t->d + j] = i;
        mgi_tt_left(r1, r2, 1, G + i * r1 * r2, l, L2 + k * t->rmax);                  /* (2) */
        if (MGI_TT_SCALE(j))
            mgi_tt_scale(r2, L2 + k * t->rmax);
    }
}

void mgi_tt_sample(mgi_tt *t, mango_idx K, uint64_t seed, uint64_t first, mango_idx *I)
{
    mango_rng rng[MGI_TT_BLOCK];
    tt_interfaces(t);
    for (mango_idx k0 = 0; k0 < K; k0 += MGI_TT_BLOCK) {
        const mango_idx kn = MGI_MIN(MGI_TT_BLOCK, K - k0);
        for (mango_idx k = 0; k < kn; k++) {
            mango_rng_init(rng + k, seed, TT_RNG_SAMPLE, first + (uint64_t)(k0 + k));
            t->L[k * t->rmax] = 1.0;
        }
        for (mango_idx j = 0; j < t->d; j++)
            if (mgi_tt_wide(t, j))
                mgi_ttw_draw(t, j, kn, rng, I + k0 * t->d);
            else
                TT_CALL(tt_draw, t->n[j], t->r[j], t->r[j + 1], t, j, kn, rng, I + k0 * t->d);
    }
}

/* ---- likelihood and gradient -------------------------------------------- */

/* (3) for one row at one mode, and what it says to its surroundings:
 *   A[i] = d log p / d q[i] = [i = i_j]/q[i_j] - sign(q[i])/S,
 *   U[i] += w A[i] l,  c = sum_i w A[i] V[i].      Returns p(i_j | ...). */
MGI_TT_INLINE double tt_condition(mango_idx n, mango_idx r1, const double *V, const double *l,
                              mango_idx ij, double w, double *q, double *U, double *c)
{
    double S = 0.0;
    MGI_TT_UNROLL
    for (mango_idx i = 0; i < n; i++) {
        q[i] = 0.0;
        MGI_TT_UNROLL
        for (mango_idx a = 0; a < r1; a++)
            q[i] += l[a] * V[i * r1 + a];
        S += fabs(q[i]);
    }
    const double p0 = fabs(q[ij]);
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        c[a] = 0.0;
    if (!(S > 0.0 && S <= DBL_MAX))
        return 1.0 / (double)n;
    if (!(p0 >= DBL_MIN))
        return 0.0;
    const double iS = 1.0 / S, iq = 1.0 / q[ij];
    MGI_TT_UNROLL
    for (mango_idx i = 0; i < n; i++) {
        const double A =
            w * ((i == ij ? iq : 0.0) - (q[i] > 0.0 ? iS : q[i] < 0.0 ? -iS : 0.0));
        MGI_TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            U[i * r1 + a] += A * l[a];
            c[a] += A * V[i * r1 + a];
        }
    }
    return p0 * iS;
}

/* Mode j of the pass from the left: L_{j+1}, U_j and the direct part of C_j
 * for K rows; ll += log p when wanted. */
MGI_TT_INLINE void tt_forward(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                          mango_idx K, const mango_idx *I, double *ll)
{
    const double *V = t->V + t->voff[j];
    double *U = t->U + t->voff[j], two[2];
    for (mango_idx i = 0; i < n * r1; i++)
        U[i] = 0.0;
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx ij = I[k * t->d + j], at = (j * t->rows + k) * t->rmax;
        double *l = t->L + at, *l2 = l + t->rows * t->rmax;
        const double w = t->w ? t->w[k] : 1.0;
        const double p =
            tt_condition(n, r1, V, l, ij, w, n == 2 ? two : t->q, U, t->C + at); /* (3) */
        if (ll)
            ll[k] += mgi_log(p);                                                /* (4) */
        mgi_tt_left(r1, r2, 1, t->G + t->off[j] + ij * r1 * r2, l, l2);         /* (2) */
        t->ls[j * t->rows + k] = MGI_TT_SCALE(j) ? mgi_tt_scale(r2, l2) : 1.0;
    }
}

static void tt_forward_all(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll)
{
    tt_interfaces(t);
    for (mango_idx k = 0; k < K; k++)
        t->L[k * t->rmax] = 1.0;
    for (mango_idx j = 0; j < t->d; j++)
        if (mgi_tt_wide(t, j))
            mgi_ttw_forward(t, j, K, I, ll);
        else
            TT_CALL(tt_forward, t->n[j], t->r[j], t->r[j + 1], t, j, K, I, ll);
}

void mgi_tt_loglik(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll)
{
    for (mango_idx k0 = 0; k0 < K; k0 += t->rows) {
        const mango_idx kn = MGI_MIN(t->rows, K - k0);
        for (mango_idx k = 0; k < kn; k++)
            ll[k0 + k] = 0.0;
        tt_forward_all(t, kn, I + k0 * t->d, ll + k0);
    }
}

/* C_j += s l-chain: d/dl_j gets G_j[i_j] d/dl_{j+1}, the transpose of (2). */
MGI_TT_INLINE void tt_back(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                       mango_idx K, const mango_idx *I)
{
    (void)n;
    for (mango_idx k = 0; k < K; k++) {
        const double *Gi = t->G + t->off[j] + I[k * t->d + j] * r1 * r2;
        double *c = t->C + (j * t->rows + k) * t->rmax;
        mgi_tt_chain(r1, r2, 1, Gi, t->ls[j * t->rows + k], c + t->rows * t->rmax, c);
    }
}

/* Core j complete: through V_j (its own q's and the chain of z, whose gradient
 * gz comes from the left and goes on as gz2) and through l_{j+1}. */
MGI_TT_INLINE void tt_core(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                       mango_idx K, const mango_idx *I, const double *gz, double *gz2)
{
    const double *G = t->G + t->off[j];
    const double *U = t->U + t->voff[j], *z = t->z + (j + 1) * t->rmax, zs = t->zs[j];
    double *D = t->core;
    MGI_TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        gz2[b] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        MGI_TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const double e = U[i * r1 + a] + zs * gz[a];
            const mango_idx at = (i * r1 + a) * r2;
            MGI_TT_UNROLL
            for (mango_idx b = 0; b < r2; b++) {
                D[at + b] = e * z[b];
                gz2[b] += e * G[at + b];
            }
        }
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx at = (j * t->rows + k) * t->rmax;
        const double *l = t->L + at, *c2 = t->C + at + t->rows * t->rmax;
        double *Di = D + I[k * t->d + j] * r1 * r2;
        MGI_TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const double s = t->ls[j * t->rows + k] * l[a];
            MGI_TT_UNROLL
            for (mango_idx b = 0; b < r2; b++)
                Di[a * r2 + b] += s * c2[b];
        }
    }
}

/* g = -D/K as floats within +-1e15; NaN becomes 0. */
static void tt_store(mango_idx n, const double *D, double w, float *g)
{
    for (mango_idx i = 0; i < n; i++) {
        double x = w * D[i];
        x = x > 1e15 ? 1e15 : x;
        x = x > -1e15 ? x : x <= -1e15 ? -1e15 : 0.0;
        g[i] = (float)x;
    }
}

/* All that the gradient is made of, and that of cores that are not wide. */
static void tt_backward(mgi_tt *t, mango_idx K, const mango_idx *I, float *g)
{
    const mango_idx d = t->d, *n = t->n, *r = t->r;
    assert(K >= 1 && K <= t->rows);
    tt_forward_all(t, K, I, NULL);
    for (mango_idx k = 0; k < K; k++) /* nothing depends on l_{d+1} */
        t->C[(d * t->rows + k) * t->rmax] = 0.0;
    for (mango_idx j = d - 1; j > 0; j--)
        if (mgi_tt_wide(t, j))
            mgi_ttw_back(t, j, K, I);
        else
            TT_CALL(tt_back, n[j], r[j], r[j + 1], t, j, K, I);
    t->gz[0] = 0.0; /* nor on z_1 */
    for (mango_idx j = 0; j < d; j++) {
        double *gz = t->gz + j * t->rmax, *gz2 = gz + t->rmax;
        if (mgi_tt_wide(t, j)) {
            t->loops->through(n[j], r[j], r[j + 1], t->G + t->off[j], t->U + t->voff[j],
                              t->zs[j], gz, gz2);
            continue;
        }
        const mango_idx size = n[j] * r[j] * r[j + 1];
        TT_CALL(tt_core, n[j], r[j], r[j + 1], t, j, K, I, gz, gz2);
        tt_store(size, t->core, -1.0 / (double)K, g + t->off[j]);
        for (mango_idx i = t->off[j] + size; i < t->off[j + 1]; i++)
            g[i] = 0.0f;
    }
}

void mgi_tt_gradient(mgi_tt *t, mango_idx K, const mango_idx *I, float *g)
{
    tt_backward(t, K, I, g);
    for (mango_idx j = 0; j < t->d; j++) {
        if (!mgi_tt_wide(t, j))
            continue;
        const mgi_tt_part part = mgi_ttw_part(t, j, K, I, g);
        t->loops->descend(&part, NULL, 0, mgi_ceil_div(t->n[j], MGI_TT_W));
    }
}

/* ---- learning ----------------------------------------------------------- */

/* (5), n a multiple of TT_CHUNK. Loops of fixed length become vector code; the
 * root has its own, as compilers keep it scalar. Moments below 1e-18 are dropped:
 * eps rules there, and denormals are slow. */
static void tt_adam(mango_idx n, const mgi_tt_rule *r, const float *restrict g,
                    float *restrict m, float *restrict v, double *restrict G)
{
    const float a1 = (float)(1.0 - MGI_TT_B1), a2 = (float)(1.0 - MGI_TT_B2);
    const float b1 = (float)MGI_TT_B1, b2 = (float)MGI_TT_B2;
    float root[TT_CHUNK];
    for (; n > 0; n -= TT_CHUNK, g += TT_CHUNK, m += TT_CHUNK, v += TT_CHUNK, G += TT_CHUNK) {
        for (int i = 0; i < TT_CHUNK; i++) {
            const float mi = b1 * m[i] + a1 * g[i];
            const float vi = b2 * v[i] + a2 * (g[i] * g[i]);
            m[i] = fabsf(mi) > 1e-18f ? mi : 0.0f;
            v[i] = vi > 1e-36f ? vi : 0.0f;
        }
        for (int i = 0; i < TT_CHUNK; i++)
            root[i] = sqrtf(r->c2 * v[i]);
        for (int i = 0; i < TT_CHUNK; i++)
            G[i] -= (double)(r->lr * (r->c1 * m[i]) / (root[i] + MGI_TT_EPS));  /* (5) */
    }
}

/* The core that parameter i belongs to. */
static mango_idx tt_find(const mgi_tt *t, mango_idx i)
{
    mango_idx from = 0, to = t->d;
    while (to - from > 1) {
        const mango_idx mid = from + (to - from) / 2;
        if (t->off[mid] <= i)
            from = mid;
        else
            to = mid;
    }
    return from;
}

/* (5) for parameters from .. to-1: of wide cores the blocks that begin there. */
static void tt_step(const mgi_tt *t, const mgi_tt_rule *rule, mango_idx K, const mango_idx *I,
                    mango_idx from, mango_idx to)
{
    for (mango_idx j = tt_find(t, from); j < t->d && t->off[j] < to;) {
        const mango_idx off = t->off[j], size = t->r[j] * t->r[j + 1] * MGI_TT_W;
        mango_idx at = MGI_MAX(from, off), end;
        if (mgi_tt_wide(t, j)) {
            const mgi_tt_part part = mgi_ttw_part(t, j, K, I, NULL);
            end = MGI_MIN(mgi_ceil_div(to - off, size), mgi_ceil_div(t->n[j], MGI_TT_W));
            t->loops->descend(&part, rule, mgi_ceil_div(at - off, size), end);
            j++;
            continue;
        }
        while (j < t->d && t->off[j] < to && !mgi_tt_wide(t, j))
            j++;
        end = MGI_MIN(to, j == t->d ? t->padded : t->off[j]);
        (t->loops ? t->loops->adam : tt_adam)(end - at, rule, t->g + at, t->m + at, t->v + at,
                                              t->G + at);
    }
}

void mgi_tt_learn(mgi_tt *t, mango_idx steps, double lr, mango_idx K, const mango_idx *I)
{
    for (mango_idx s = 0; s < steps; s++) {
        tt_backward(t, K, I, t->g);
        t->b1t *= MGI_TT_B1;
        t->b2t *= MGI_TT_B2;
        const mgi_tt_rule rule = {(float)lr, (float)(1.0 / (1.0 - t->b1t)),
                                  (float)(1.0 / (1.0 - t->b2t))};
        MGI_OMP(parallel for if (t->padded >= TT_GRAIN))
        for (mango_idx i = 0; i < t->padded; i += TT_PIECE)
            tt_step(t, &rule, K, I, i, MGI_MIN(t->padded, i + TT_PIECE));
        t->fresh = 0;
    }
}

#undef TT_CHUNK
#undef TT_PIECE
#undef TT_GRAIN
#undef TT_RNG_INIT
#undef TT_RNG_SAMPLE
#undef TT_CALL

/* tt.c - sampling, likelihood and its gradient for a tensor train; see tt.h.
 * Inner loops are written once for any (n, r1, r2) and inlined with constants
 * for rank 5, and for rank 5 with two levels, the case of quantized modes.
 * SPDX-License-Identifier: MIT */
#include "tt.h"
#include "../base/real.h"
#include "../base/rng.h"
#include <float.h>
#include <math.h>

#define TT_RNG_INIT 0x54540001u
#define TT_RNG_SAMPLE 0x54540002u
#define TT_BLOCK 16 /* samples that advance together, so that their chains overlap */
#define TT_B1 0.9     /* Adam */
#define TT_B2 0.999
#define TT_EPS 1e-8f
#define TT_CHUNK 32     /* parameters of one inner loop of Adam */
#define TT_GRAIN 131072 /* parameters below which Adam stays on one thread */
#define TT_SCALE(j) (((j) & 3) == 3) /* modes at which left vectors are scaled */

#if defined(__GNUC__)
#define TT_INLINE static inline __attribute__((always_inline))
#else
#define TT_INLINE static
#endif

/* TT_UNROLL goes before a loop over ranks: gcc unrolls it at -O2 only when told. */
#if defined(__GNUC__) && !defined(__clang__)
#define TT_UNROLL _Pragma("GCC unroll 5")
#else
#define TT_UNROLL
#endif

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

static void tt_plan(mgi_tt *t, const mango_idx *vsize)
{
    mango_idx lr = 0, cr = 0;
    const int ok = mgi_prod(3, (mango_idx[3]){t->d + 1, t->rows, t->rmax}, &lr) &&
                   mgi_prod(3, (mango_idx[3]){t->nmax, t->rmax, t->rmax}, &cr);
    mgi_arena *a = &t->arena;
    mgi_arena_plan(a, ok ? t->padded : PTRDIFF_MAX, sizeof(double));
    for (int i = 0; i < 3; i++)
        mgi_arena_plan(a, t->padded, sizeof(float));
    mgi_arena_plan(a, (t->d + 1) * t->rmax, sizeof(double));
    mgi_arena_plan(a, t->d, sizeof(double));
    mgi_arena_plan(a, *vsize, sizeof(double));
    mgi_arena_plan(a, *vsize, sizeof(double));
    mgi_arena_plan(a, lr, sizeof(double));
    mgi_arena_plan(a, lr, sizeof(double));
    mgi_arena_plan(a, t->d * t->rows, sizeof(double));
    mgi_arena_plan(a, t->nmax, sizeof(double));
    mgi_arena_plan(a, cr, sizeof(double));
    mgi_arena_plan(a, 2 * t->rmax, sizeof(double));
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
    t->q = mgi_arena_take(a, t->nmax, sizeof(double));
    t->core = mgi_arena_take(a, t->nmax * t->rmax * t->rmax, sizeof(double));
    t->gz = mgi_arena_take(a, 2 * t->rmax, sizeof(double));
    t->n = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->r = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->off = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->voff = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
}

static mango_idx tt_rank(mango_idx d, mango_idx r, mango_idx j)
{
    return j == 0 || j == d ? 1 : r;
}

mango_status mgi_tt_init(mgi_tt *t, mango_idx d, const mango_idx *n, mango_idx r,
                         mango_idx rows, const mango_alloc *al)
{
    mango_idx vsize = 0;
    memset(t, 0, sizeof *t);
    mgi_arena_init(&t->arena, al);
    t->d = d, t->rmax = r, t->rows = MGI_MAX(rows, TT_BLOCK);
    for (mango_idx j = 0; j < d; j++) {
        mango_idx v, s;
        if (!mgi_mul(n[j], tt_rank(d, r, j), &v) || !mgi_mul(v, tt_rank(d, r, j + 1), &s) ||
            !mgi_add(vsize, v, &vsize) || !mgi_add(t->size, s, &t->size))
            return MANGO_E_MEM;
        t->nmax = MGI_MAX(t->nmax, n[j]);
    }
    if (!mgi_add(t->size, TT_CHUNK - 1, &t->padded))
        return MANGO_E_MEM;
    t->padded -= t->padded % TT_CHUNK;
    tt_plan(t, &vsize);
    MGI_TRY(mgi_arena_commit(&t->arena));
    tt_take(t, vsize);
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx r1 = tt_rank(d, r, j), r2 = tt_rank(d, r, j + 1);
        t->n[j] = n[j], t->r[j] = r1;
        t->voff[j + 1] = t->voff[j] + n[j] * r1;
        t->off[j + 1] = t->off[j] + n[j] * r1 * r2;
    }
    t->r[d] = 1, t->b1t = t->b2t = 1.0;
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
        for (mango_idx i = t->off[j]; i < t->off[j + 1]; i++)
            t->G[i] = (double)mango_rng_uniformf(&rng);
    }
    memset(t->m, 0, (size_t)t->padded * sizeof *t->m);
    memset(t->v, 0, (size_t)t->padded * sizeof *t->v);
    t->b1t = t->b2t = 1.0;
    t->fresh = 0;
}

/* ---- interface vectors, sampling ---------------------------------------- */

/* Scale x (r) by a power of two when it leaves [2^-64, 2^64]; returns it. A
 * zero vector stays. Rarely taken, so off the critical path. */
TT_INLINE double tt_scale(mango_idx r, double *x)
{
    double m = 0.0, s = 1.0;
    TT_UNROLL
    for (mango_idx a = 0; a < r; a++) {
        const double b = fabs(x[a]);
        m = b > m ? b : m;
    }
    if ((m > 0x1p-64 && m < 0x1p64) || m == 0.0 || !(m <= DBL_MAX))
        return 1.0;
    for (; m * s > 0x1p32; s *= 0x1p-32) {}
    for (; m * s < 0x1p-32; s *= 0x1p32) {}
    TT_UNROLL
    for (mango_idx a = 0; a < r; a++)
        x[a] *= s;
    return s;
}

/* V[i] = G[i] z, z1 = sum_i V[i]: (1) for one core. */
TT_INLINE void tt_right(mango_idx n, mango_idx r1, mango_idx r2, const double *G,
                        const double *z, double *V, double *z1)
{
    TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        z1[a] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            double s = 0.0;
            TT_UNROLL
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
        TT_CALL(tt_right, t->n[j], t->r[j], t->r[j + 1], t->G + t->off[j], z + t->rmax,
                t->V + t->voff[j], z);                                          /* (1) */
        t->zs[j] = tt_scale(t->r[j], z);
    }
    t->fresh = 1;
}

/* l2 = l Gi, one matrix: (2). */
TT_INLINE void tt_left(mango_idx r1, mango_idx r2, const double *Gi, const double *l,
                       double *l2)
{
    TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        l2[b] = 0.0;
    TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        TT_UNROLL
        for (mango_idx b = 0; b < r2; b++)
            l2[b] += l[a] * Gi[a * r2 + b];
}

/* The first i where the running sum of |q| passes u * total; levels of weight
 * zero are never taken. Uniform when the weights say nothing. */
TT_INLINE mango_idx tt_pick(mango_idx n, const double *q, double u)
{
    double S = 0.0, c = 0.0;
    mango_idx last = 0;
    TT_UNROLL
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
        c += q[i], last = i;
        if (c > x)
            break;
    }
    return last;
}

/* One mode, all samples of a block: (3), draw, (2). I has row stride d. */
TT_INLINE void tt_draw(mango_idx n, mango_idx r1, mango_idx r2, const mgi_tt *t,
                       mango_idx j, mango_idx K, mango_rng *rng, mango_idx *I)
{
    const double *G = t->G + t->off[j];
    const double *V = t->V + t->voff[j];
    double *L = t->L + (j % 2) * t->rows * t->rmax;
    double *L2 = t->L + ((j + 1) % 2) * t->rows * t->rmax;
    for (mango_idx k = 0; k < K; k++) {
        const double *l = L + k * t->rmax;
        double two[2], *q = n == 2 ? two : t->q;
        TT_UNROLL
        for (mango_idx i = 0; i < n; i++) {
            double s = 0.0;
            TT_UNROLL
            for (mango_idx a = 0; a < r1; a++)
                s += l[a] * V[i * r1 + a];
            q[i] = fabs(s);                                                     /* (3) */
        }
        const double u = n <= 4096 ? (double)mango_rng_uniformf(rng + k)
                                   : mango_rng_uniform(rng + k);
        const mango_idx i = tt_pick(n, q, u);
        I[k * t->d + j] = i;
        tt_left(r1, r2, G + i * r1 * r2, l, L2 + k * t->rmax);                  /* (2) */
        if (TT_SCALE(j))
            tt_scale(r2, L2 + k * t->rmax);
    }
}

void mgi_tt_sample(mgi_tt *t, mango_idx K, uint64_t seed, uint64_t first, mango_idx *I)
{
    mango_rng rng[TT_BLOCK];
    tt_interfaces(t);
    for (mango_idx k0 = 0; k0 < K; k0 += TT_BLOCK) {
        const mango_idx kn = MGI_MIN(TT_BLOCK, K - k0);
        for (mango_idx k = 0; k < kn; k++) {
            mango_rng_init(rng + k, seed, TT_RNG_SAMPLE, first + (uint64_t)(k0 + k));
            t->L[k * t->rmax] = 1.0;
        }
        for (mango_idx j = 0; j < t->d; j++)
            TT_CALL(tt_draw, t->n[j], t->r[j], t->r[j + 1], t, j, kn, rng, I + k0 * t->d);
    }
}

/* ---- likelihood and gradient -------------------------------------------- */

/* (3) for one row at one mode, and what it says to its surroundings:
 *   A[i] = d log p / d q[i] = [i = i_j]/q[i_j] - sign(q[i])/S,
 *   U[i] += A[i] l,  c = sum_i A[i] V[i].          Returns p(i_j | ...). */
TT_INLINE double tt_condition(mango_idx n, mango_idx r1, const double *V, const double *l,
                              mango_idx ij, double *q, double *U, double *c)
{
    double S = 0.0;
    TT_UNROLL
    for (mango_idx i = 0; i < n; i++) {
        q[i] = 0.0;
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++)
            q[i] += l[a] * V[i * r1 + a];
        S += fabs(q[i]);
    }
    const double p0 = fabs(q[ij]);
    TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        c[a] = 0.0;
    if (!(S > 0.0 && S <= DBL_MAX))
        return 1.0 / (double)n;
    if (!(p0 >= DBL_MIN))
        return 0.0;
    const double iS = 1.0 / S, iq = 1.0 / q[ij];
    TT_UNROLL
    for (mango_idx i = 0; i < n; i++) {
        const double A = (i == ij ? iq : 0.0) - (q[i] > 0.0 ? iS : q[i] < 0.0 ? -iS : 0.0);
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            U[i * r1 + a] += A * l[a];
            c[a] += A * V[i * r1 + a];
        }
    }
    return p0 * iS;
}

/* Mode j of the pass from the left: L_{j+1}, U_j and the direct part of C_j
 * for K rows; ll += log p when wanted. */
TT_INLINE void tt_forward(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                          mango_idx K, const mango_idx *I, double *ll)
{
    const double *V = t->V + t->voff[j];
    double *U = t->U + t->voff[j], two[2];
    for (mango_idx i = 0; i < n * r1; i++)
        U[i] = 0.0;
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx ij = I[k * t->d + j], at = (j * t->rows + k) * t->rmax;
        double *l = t->L + at, *l2 = l + t->rows * t->rmax;
        const double p =
            tt_condition(n, r1, V, l, ij, n == 2 ? two : t->q, U, t->C + at);   /* (3) */
        if (ll)
            ll[k] += mgi_log(p);                                                /* (4) */
        tt_left(r1, r2, t->G + t->off[j] + ij * r1 * r2, l, l2);                /* (2) */
        t->ls[j * t->rows + k] = TT_SCALE(j) ? tt_scale(r2, l2) : 1.0;
    }
}

static void tt_forward_all(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll)
{
    tt_interfaces(t);
    for (mango_idx k = 0; k < K; k++)
        t->L[k * t->rmax] = 1.0;
    for (mango_idx j = 0; j < t->d; j++)
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
TT_INLINE void tt_back(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                       mango_idx K, const mango_idx *I)
{
    (void)n;
    for (mango_idx k = 0; k < K; k++) {
        const double *Gi = t->G + t->off[j] + I[k * t->d + j] * r1 * r2;
        double *c = t->C + (j * t->rows + k) * t->rmax;
        const double *c2 = c + t->rows * t->rmax, s = t->ls[j * t->rows + k];
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            double x = 0.0;
            TT_UNROLL
            for (mango_idx b = 0; b < r2; b++)
                x += Gi[a * r2 + b] * c2[b];
            c[a] += s * x;
        }
    }
}

/* Core j complete: through V_j (its own q's and the chain of z, whose gradient
 * gz comes from the left and goes on as gz2) and through l_{j+1}. */
TT_INLINE void tt_core(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                       mango_idx K, const mango_idx *I, const double *gz, double *gz2)
{
    const double *G = t->G + t->off[j];
    const double *U = t->U + t->voff[j], *z = t->z + (j + 1) * t->rmax, zs = t->zs[j];
    double *D = t->core;
    TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        gz2[b] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const double e = U[i * r1 + a] + zs * gz[a];
            const mango_idx at = (i * r1 + a) * r2;
            TT_UNROLL
            for (mango_idx b = 0; b < r2; b++) {
                D[at + b] = e * z[b];
                gz2[b] += e * G[at + b];
            }
        }
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx at = (j * t->rows + k) * t->rmax;
        const double *l = t->L + at, *c2 = t->C + at + t->rows * t->rmax;
        double *Di = D + I[k * t->d + j] * r1 * r2;
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const double s = t->ls[j * t->rows + k] * l[a];
            TT_UNROLL
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

void mgi_tt_gradient(mgi_tt *t, mango_idx K, const mango_idx *I, float *g)
{
    const mango_idx d = t->d;
    double *gz = t->gz, *gz2 = t->gz + t->rmax;
    assert(K >= 1 && K <= t->rows);
    tt_forward_all(t, K, I, NULL);
    for (mango_idx k = 0; k < K; k++) /* nothing depends on l_{d+1} */
        t->C[(d * t->rows + k) * t->rmax] = 0.0;
    for (mango_idx j = d - 1; j > 0; j--)
        TT_CALL(tt_back, t->n[j], t->r[j], t->r[j + 1], t, j, K, I);
    gz[0] = 0.0; /* nor on z_1 */
    for (mango_idx j = 0; j < d; j++) {
        TT_CALL(tt_core, t->n[j], t->r[j], t->r[j + 1], t, j, K, I, gz, gz2);
        tt_store(t->off[j + 1] - t->off[j], t->core, -1.0 / (double)K, g + t->off[j]);
        double *swap = gz;
        gz = gz2, gz2 = swap;
    }
}

/* ---- learning ----------------------------------------------------------- */

/* (5) for one chunk. c1, c2: the two bias corrections. Loops of fixed length
 * become vector code; the root has its own, as compilers keep it scalar.
 * Moments below 1e-18 are dropped: eps rules there, and denormals are slow. */
static void tt_adam(float lr, float c1, float c2, const float *restrict g,
                        float *restrict m, float *restrict v, double *restrict G)
{
    const float a1 = (float)(1.0 - TT_B1), a2 = (float)(1.0 - TT_B2);
    const float b1 = (float)TT_B1, b2 = (float)TT_B2;
    float root[TT_CHUNK];
    for (int i = 0; i < TT_CHUNK; i++) {
        const float mi = b1 * m[i] + a1 * g[i];
        const float vi = b2 * v[i] + a2 * (g[i] * g[i]);
        m[i] = fabsf(mi) > 1e-18f ? mi : 0.0f;
        v[i] = vi > 1e-36f ? vi : 0.0f;
    }
    for (int i = 0; i < TT_CHUNK; i++)
        root[i] = sqrtf(c2 * v[i]);
    for (int i = 0; i < TT_CHUNK; i++)
        G[i] -= (double)(lr * (c1 * m[i]) / (root[i] + TT_EPS));            /* (5) */
}

void mgi_tt_learn(mgi_tt *t, mango_idx steps, double lr, mango_idx K, const mango_idx *I)
{
    for (mango_idx s = 0; s < steps; s++) {
        mgi_tt_gradient(t, K, I, t->g);
        t->b1t *= TT_B1, t->b2t *= TT_B2;
        const float c1 = (float)(1.0 / (1.0 - t->b1t)), c2 = (float)(1.0 / (1.0 - t->b2t));
        MGI_OMP(parallel for if (t->padded >= TT_GRAIN))
        for (mango_idx i = 0; i < t->padded; i += TT_CHUNK)
            tt_adam((float)lr, c1, c2, t->g + i, t->m + i, t->v + i, t->G + i);
        t->fresh = 0;
    }
}

#undef TT_B1
#undef TT_B2
#undef TT_EPS
#undef TT_CHUNK
#undef TT_GRAIN
#undef TT_RNG_INIT
#undef TT_RNG_SAMPLE
#undef TT_BLOCK
#undef TT_SCALE
#undef TT_INLINE
#undef TT_UNROLL
#undef TT_CALL

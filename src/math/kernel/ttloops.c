/* ttloops.c - inner loops of wide tensor-train cores, see ttloops.h.
 * Loops over lanes have a constant length, so that they become vector code.
 * SPDX-License-Identifier: MIT */
#include "ttloops.h"
#include "kernels.h"
#include <float.h>
#include <math.h>

#if defined(__GNUC__) &&                                                                       \
    (defined(__x86_64__) || (defined(__aarch64__) && !defined(__AARCH64EB__)))
#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#define TTL_W MGI_TT_W
#define TTL_PIECE 64 /* second ranks of one piece of a gradient */
#define TTL_LANES for (int k = 0; k < TTL_W; k++)

/* x = sqrt(x), n a multiple of 8: by hand, as sqrtf sets errno, which keeps compilers
 * from making a vector of it. A parameter of the bodies that need it. */
typedef void ttl_root(mango_idx n, float *x);

#if defined(__x86_64__)
__attribute__((target("avx2"))) MGI_TT_INLINE void ttl_root_avx2(mango_idx n, float *x)
{
    for (mango_idx i = 0; i < n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_sqrt_ps(_mm256_loadu_ps(x + i)));
}
#else
MGI_TT_INLINE void ttl_root_base(mango_idx n, float *x)
{
    for (mango_idx i = 0; i < n; i += 4)
        vst1q_f32(x + i, vsqrtq_f32(vld1q_f32(x + i)));
}
#endif

/* tt_adam of tt.c for n <= 8 TTL_PIECE parameters, n a multiple of 8. */
MGI_TT_INLINE void ttl_adam_piece(ttl_root *roots, mango_idx n, const mgi_tt_rule *r,
                                  const float *restrict g, float *restrict m,
                                  float *restrict v, double *restrict G)
{
    const float a1 = (float)(1.0 - MGI_TT_B1), a2 = (float)(1.0 - MGI_TT_B2);
    const float b1 = (float)MGI_TT_B1, b2 = (float)MGI_TT_B2;
    const float lr = r->lr, c1 = r->c1, c2 = r->c2;
    float root[TTL_W * TTL_PIECE];
    for (mango_idx i = 0; i < n; i++) {
        const float mi = b1 * m[i] + a1 * g[i];
        const float vi = b2 * v[i] + a2 * (g[i] * g[i]);
        m[i] = fabsf(mi) > 1e-18f ? mi : 0.0f;
        v[i] = vi > 1e-36f ? vi : 0.0f;
        root[i] = c2 * v[i];
    }
    roots(n, root);
    for (mango_idx i = 0; i < n; i++)
        G[i] -= (double)(lr * (c1 * m[i]) / (root[i] + MGI_TT_EPS)); /* (5) */
}

MGI_TT_INLINE void ttl_adam(ttl_root *roots, mango_idx n, const mgi_tt_rule *r, const float *g,
                            float *m, float *v, double *G)
{
    mango_idx i = 0;
    for (; i + 32 <= n; i += 32)
        ttl_adam_piece(roots, 32, r, g + i, m + i, v + i, G + i);
    for (; i < n; i += 8)
        ttl_adam_piece(roots, 8, r, g + i, m + i, v + i, G + i);
}

/* x = a[0] b[0] + a[1] b[W] + ..: for each lane its own chain. */
MGI_TT_INLINE void ttl_dot(mango_idx r, const double *a, const double *b, double *restrict x)
{
    TTL_LANES
        x[k] = a[0] * b[k];
    MGI_TT_UNROLL
    for (mango_idx i = 1; i < r; i++)
        TTL_LANES
            x[k] += a[i] * b[i * TTL_W + k];
}

MGI_TT_INLINE void ttl_right(mango_idx n, mango_idx r1, mango_idx r2, const double *G,
                             const double *z, double *restrict V, double *restrict z1)
{
    const mango_idx blocks = mgi_ceil_div(n, TTL_W);
    for (mango_idx i = 0; i < blocks * r1; i++)
        ttl_dot(r2, z, G + i * r2 * TTL_W, V + i * TTL_W);
    for (mango_idx i = n; i < blocks * TTL_W; i++)
        for (mango_idx a = 0; a < r1; a++)
            V[((blocks - 1) * r1 + a) * TTL_W + i % TTL_W] = 0.0;
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        z1[a] = 0.0;
    for (mango_idx i = 0; i < blocks; i++)
        TTL_LANES
            MGI_TT_UNROLL
            for (mango_idx a = 0; a < r1; a++)
                z1[a] += V[(i * r1 + a) * TTL_W + k];
}

/* lanes: K rounded up, a constant where it counts. */
MGI_TT_INLINE void ttl_running(mango_idx n, mango_idx r1, int lanes, const double *restrict V,
                               const double *restrict l, double *restrict P)
{
    double S[MGI_TT_BLOCK] = {0.0};
    for (mango_idx i0 = 0; i0 < n; i0 += TTL_W, V += r1 * TTL_W)
        for (mango_idx i = 0; i < MGI_MIN(TTL_W, n - i0); i++, P += lanes) {
            double s[MGI_TT_BLOCK];
            for (int k = 0; k < lanes; k++)
                s[k] = l[k] * V[i];
            MGI_TT_UNROLL
            for (mango_idx a = 1; a < r1; a++)
                for (int k = 0; k < lanes; k++)
                    s[k] += l[a * MGI_TT_BLOCK + k] * V[a * TTL_W + i];
            for (int k = 0; k < lanes; k++) {
                S[k] += fabs(s[k]);
                P[k] = S[k];
            }
        }
}

MGI_TT_INLINE double ttl_condition(mango_idx n, mango_idx r1, const double *restrict V,
                                   const double *restrict l, mango_idx ij, double *restrict q,
                                   double *restrict U, double *restrict c)
{
    const mango_idx blocks = mgi_ceil_div(n, TTL_W);
    double S = 0.0;
    for (mango_idx i = 0; i < blocks; i++)
        ttl_dot(r1, l, V + i * r1 * TTL_W, q + i * TTL_W);
    for (mango_idx i = 0; i < n; i++)
        S += fabs(q[i]);
    const double qj = q[ij], p0 = fabs(qj);
    MGI_TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        c[a] = 0.0;
    if (!(S > 0.0 && S <= DBL_MAX))
        return 1.0 / (double)n;
    if (!(p0 >= DBL_MIN))
        return 0.0;
    const double iS = 1.0 / S, iq = 1.0 / qj;
    for (mango_idx i = 0; i < blocks * TTL_W; i++) /* A, without a branch */
        q[i] = 0.0 - copysign(q[i] != 0.0 ? iS : 0.0, q[i]);
    q[ij] = iq - (qj > 0.0 ? iS : -iS);
    for (mango_idx i = 0; i < blocks; i++)
        MGI_TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const mango_idx at = (i * r1 + a) * TTL_W;
            double x[TTL_W];
            TTL_LANES {
                U[at + k] += q[i * TTL_W + k] * l[a];
                x[k] = q[i * TTL_W + k] * V[at + k];
            }
            TTL_LANES
                c[a] += x[k];
        }
    return p0 * iS;
}

MGI_TT_INLINE void ttl_through(mango_idx n, mango_idx r1, mango_idx r2,
                               const double *restrict G, const double *restrict U, double zs,
                               const double *restrict gz, double *restrict gz2)
{
    MGI_TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        gz2[b] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx a = 0; a < r1; a++) {
            const mango_idx at = i / TTL_W * r1 + a, lane = i % TTL_W;
            const double e = U[at * TTL_W + lane] + zs * gz[a];
            for (mango_idx b = 0; b < r2; b++)
                gz2[b] += e * G[(at * r2 + b) * TTL_W + lane];
        }
}

/* The same for ranks 5, products first. */
MGI_TT_INLINE void ttl_through5(mango_idx n, const double *restrict G, const double *restrict U,
                                double zs, const double *restrict gz, double *restrict gz2)
{
    double s[5] = {0.0};
    for (mango_idx i = 0; i < n; i += TTL_W, G += 25 * TTL_W, U += 5 * TTL_W) {
        double x[25 * TTL_W];
        for (int a = 0; a < 5; a++) {
            double e[TTL_W];
            TTL_LANES
                e[k] = U[a * TTL_W + k] + zs * gz[a];
            for (int b = 0; b < 5; b++)
                TTL_LANES
                    x[(a * 5 + b) * TTL_W + k] = e[k] * G[(a * 5 + b) * TTL_W + k];
        }
        for (mango_idx k = 0; k < MGI_MIN(TTL_W, n - i); k++)
            for (int a = 0; a < 5; a++)
                for (int b = 0; b < 5; b++)
                    s[b] += x[(a * 5 + b) * TTL_W + k];
    }
    for (int b = 0; b < 5; b++)
        gz2[b] = s[b];
}

/* Of rows with a level in this block: their direct part, through l_{j+1}. */
MGI_TT_INLINE void ttl_rows(const mgi_tt_part *p, mango_idx block, mango_idx a, mango_idx b0,
                            mango_idx nb, double *D)
{
    for (mango_idx k = 0; k < p->K; k++) {
        const mango_idx i = p->I[k * p->d];
        if (i / TTL_W != block)
            continue;
        const double s = p->ls[k] * p->l[k * p->ld + a];
        for (mango_idx b = 0; b < nb; b++)
            D[b * TTL_W + i % TTL_W] += s * p->c2[k * p->ld + b0 + b];
    }
}

/* tt_store of tt.c, the bounds on floats, as rounding keeps order; each in its own
 * loop, as compilers make branches of two at once. */
MGI_TT_INLINE void ttl_store(mango_idx n, const double *D, double w, float *g)
{
    for (mango_idx i = 0; i < n; i++)
        g[i] = (float)(w * D[i]);
    for (mango_idx i = 0; i < n; i++)
        g[i] = g[i] > 1e15f ? 1e15f : g[i];
    for (mango_idx i = 0; i < n; i++)
        g[i] = g[i] < -1e15f ? -1e15f : g[i];
    for (mango_idx i = 0; i < n; i++)
        g[i] = g[i] == g[i] ? g[i] : 0.0f;
}

/* Row a of a block, nb second ranks from b0 on. */
MGI_TT_INLINE void ttl_piece(ttl_root *roots, mango_idx r2, const mgi_tt_part *p,
                             const mgi_tt_rule *r, mango_idx block, mango_idx a, mango_idx b0,
                             mango_idx nb, int hit)
{
    const mango_idx row = block * p->r1 + a, at = (row * r2 + b0) * TTL_W;
    const double gz = p->gz[a], zs = p->zs;
    double e[TTL_W], D[TTL_W * TTL_PIECE];
    float g[TTL_W * TTL_PIECE];
    TTL_LANES
        e[k] = p->U[row * TTL_W + k] + zs * gz;
    for (mango_idx i = p->n - block * TTL_W; i < TTL_W; i++)
        e[i] = 0.0;
    for (mango_idx b = 0; b < nb; b++)
        TTL_LANES
            D[b * TTL_W + k] = e[k] * p->z[b0 + b];
    if (hit)
        ttl_rows(p, block, a, b0, nb, D);
    ttl_store(nb * TTL_W, D, p->w, g);
    if (p->g)
        memcpy(p->g + at, g, (size_t)(nb * TTL_W) * sizeof *g);
    else
        ttl_adam_piece(roots, nb * TTL_W, r, g, p->m + at, p->v + at, p->G + at);
}

MGI_TT_INLINE void ttl_descend(ttl_root *roots, mango_idx r2, const mgi_tt_part *p,
                               const mgi_tt_rule *r, mango_idx from, mango_idx to)
{
    for (mango_idx i = from; i < to; i++) {
        int hit = 0;
        for (mango_idx k = 0; k < p->K; k++)
            hit |= p->I[k * p->d] / TTL_W == i;
        for (mango_idx a = 0; a < p->r1; a++)
            if (r2 == 5)
                ttl_piece(roots, 5, p, r, i, a, 0, 5, hit);
            else
                for (mango_idx b = 0; b < r2; b += TTL_PIECE)
                    ttl_piece(roots, r2, p, r, i, a, b, MGI_MIN(TTL_PIECE, r2 - b), hit);
    }
}

/* ---- the instances ---------------------------------------------------------- */

#define TTL_SET(as, how)                                                                       \
    how static void ttl_adam_##as(mango_idx n, const mgi_tt_rule *r, const float *g, float *m, \
                                  float *v, double *G)                                         \
    {                                                                                          \
        ttl_adam(ttl_root_##as, n, r, g, m, v, G);                                             \
    }                                                                                          \
    how static void ttl_right_##as(mango_idx n, mango_idx r1, mango_idx r2, const double *G,   \
                                   const double *z, double *V, double *z1)                     \
    {                                                                                          \
        if (r1 == 5 && r2 == 5)                                                                \
            ttl_right(n, 5, 5, G, z, V, z1);                                                   \
        else                                                                                   \
            ttl_right(n, r1, r2, G, z, V, z1);                                                 \
    }                                                                                          \
    how static void ttl_running_##as(mango_idx n, mango_idx r1, mango_idx K, const double *V,  \
                                     const double *l, double *P)                               \
    {                                                                                          \
        const int lanes = (int)(K + 3) / 4 * 4;                                                \
        if (r1 == 5 && lanes == 4)                                                             \
            ttl_running(n, 5, 4, V, l, P);                                                     \
        else if (r1 == 5 && lanes == 8)                                                        \
            ttl_running(n, 5, 8, V, l, P);                                                     \
        else if (r1 == 5 && lanes == 12)                                                       \
            ttl_running(n, 5, 12, V, l, P);                                                    \
        else if (r1 == 5 && lanes == 16)                                                       \
            ttl_running(n, 5, 16, V, l, P);                                                    \
        else                                                                                   \
            ttl_running(n, r1, lanes, V, l, P);                                                \
    }                                                                                          \
    how static double ttl_condition_##as(mango_idx n, mango_idx r1, const double *V,           \
                                         const double *l, mango_idx ij, double *q, double *U,  \
                                         double *c)                                            \
    {                                                                                          \
        return r1 == 5 ? ttl_condition(n, 5, V, l, ij, q, U, c)                                \
                       : ttl_condition(n, r1, V, l, ij, q, U, c);                              \
    }                                                                                          \
    how static void ttl_through_##as(mango_idx n, mango_idx r1, mango_idx r2, const double *G, \
                                     const double *U, double zs, const double *gz,             \
                                     double *gz2)                                              \
    {                                                                                          \
        if (r1 == 5 && r2 == 5)                                                                \
            ttl_through5(n, G, U, zs, gz, gz2);                                                \
        else                                                                                   \
            ttl_through(n, r1, r2, G, U, zs, gz, gz2);                                         \
    }                                                                                          \
    how static void ttl_descend_##as(const mgi_tt_part *p, const mgi_tt_rule *r,               \
                                     mango_idx from, mango_idx to)                             \
    {                                                                                          \
        if (p->r2 == 5)                                                                        \
            ttl_descend(ttl_root_##as, 5, p, r, from, to);                                     \
        else                                                                                   \
            ttl_descend(ttl_root_##as, p->r2, p, r, from, to);                                 \
    }                                                                                          \
    static const mgi_tt_loops ttl_set_##as = {ttl_adam_##as,      ttl_right_##as,              \
                                              ttl_running_##as,   ttl_condition_##as,          \
                                              ttl_through_##as,   ttl_descend_##as}

#if defined(__x86_64__) /* with SSE2 alone the plain loops are as fast, and smaller */
TTL_SET(avx2, __attribute__((target("avx2"))) MGI_O3);
#else
TTL_SET(base, MGI_O3);
#endif

MGI_FN const mgi_tt_loops *mgi_tt_loops_get(void)
{
    const mgi_kernels *k = mgi_kernels_get();
#if defined(__x86_64__)
    if (k == mgi_kernels_avx2() || k == mgi_kernels_avx512())
        return &ttl_set_avx2;
    return NULL;
#else
    return k == mgi_kernels_ref() ? NULL : &ttl_set_base;
#endif
}

#undef TTL_W
#undef TTL_PIECE
#undef TTL_LANES
#undef TTL_SET
#else

MGI_FN const mgi_tt_loops *mgi_tt_loops_get(void)
{
    return NULL;
}

#endif

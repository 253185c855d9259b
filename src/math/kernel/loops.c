/* loops.c - the plain loops of training, see loops.h.
 *
 * A body is always inlined into its instances, whose target attribute decides
 * the vector width; what does not change in a loop is passed as a constant
 * where it pays, so that no branch is left inside. `omp simd` asks for vectors
 * at -O2, too; the iterations are independent, so the order is not at stake.
 * SPDX-License-Identifier: MIT */
#include "../loops.h"
#include "../../base/real.h"
#include "../spikes.h" /* mgi_bits_first */
#include <math.h> /* sqrtf: correctly rounded everywhere */

#if defined(__GNUC__)
#define LOOPS_BODY static inline __attribute__((always_inline))
#else
#define LOOPS_BODY static inline
#endif

/* ---- LIF backwards --------------------------------------------------------- */

/* mgi_lif_charge and mgi_lif_leave for the rules of the presets, without a
 * branch: a leak with a pending subtraction; a time constant with a value set
 * at once. Any other rule as it comes. */
LOOPS_BODY void loops_charge(mango_idx n, const mgi_lif_rule *r, const float *X, float *U,
                             float *H)
{
    const float beta = r->beta, gain = r->gain, U_thr = r->U_thr, tau = r->tau;
    const float U_rest = r->U_rest, U_reset = r->U_reset;
    if (r->charge == MGI_CHARGE_LEAK && r->reset == MGI_RESET_SUBTRACT && r->delay &&
        !r->on_equal) {
        MGI_OMP(simd)
        for (mango_idx j = 0; j < n; j++) {
            const float u = U[j], pending = u > U_thr ? U_thr : 0.0f;
            H[j] = U[j] = beta * u + gain * X[j] - pending; /* h - 0 is h */
        }
        return;
    }
    if (r->charge == MGI_CHARGE_TAU && r->reset == MGI_RESET_VALUE && !r->delay &&
        r->on_equal) {
        MGI_OMP(simd)
        for (mango_idx j = 0; j < n; j++) {
            const float u = U[j], h = u + (gain * X[j] - (u - U_rest)) / tau;
            H[j] = h;
            U[j] = h >= U_thr ? U_reset : h;
        }
        return;
    }
    for (mango_idx j = 0; j < n; j++) {
        H[j] = mgi_lif_charge(r, U[j], X[j]);
        U[j] = mgi_lif_leave(r, U[j], H[j]);
    }
}

/* theta'(d) at d = H - U_thr. */
static float loops_surrogate(int is_atan, float k, float d)
{
    if (is_atan) {
        const float v = 1.57079633f * k * d;
        return 0.5f * k / (1.0f + v * v);
    }
    const float v = 1.0f + k * fabsf(d);
    return 1.0f / (v * v);
}

static void loops_back_base(mango_idx n, const mgi_lif_grad *k, const float *H, const float *dS,
                            int add, float *D, float *dX)
{
    const int value = k->r.reset == MGI_RESET_VALUE;
    for (mango_idx j = 0; j < n; j++) {
        const float theta = loops_surrogate(k->atan, k->slope, H[j] - k->r.U_thr);
        const float aD = k->a * D[j];
        float s = dS[j];
        if (k->through)
            s += value ? (k->r.U_reset - H[j]) * aD : k->kick * D[j];
        const float keep = value && mgi_lif_fires(&k->r, H[j]) ? 0.0f : aD;
        D[j] = keep + theta * s;
        dX[j] = add ? dX[j] + k->g * D[j] : k->g * D[j];
    }
}

/* ---- the optimizer --------------------------------------------------------- */

LOOPS_BODY void loops_sgd(mango_idx n, const mgi_optim_rule *rule, const float *g, float *m,
                          float *w)
{
    const mgi_optim_rule r = *rule;
    const float now = r.nesterov ? 1.0f : 0.0f;
    MGI_OMP(simd)
    for (mango_idx i = 0; i < n; i++) {
        const float d = g[i] * r.clip + r.wd * w[i];
        const float v = r.mu * m[i] + d;
        m[i] = v;
        w[i] -= r.lr * (now > 0.0f ? d + r.mu * v : v);
    }
}

LOOPS_BODY void loops_adam_as(int decoupled, mango_idx n, const mgi_optim_rule *rule,
                              const float *g, float *m, float *v, float *w)
{
    const mgi_optim_rule r = *rule;
    const float b1 = 1.0f - r.b1, b2 = 1.0f - r.b2, shrink = r.lr * r.wd;
    for (mango_idx i = 0; i < n; i++) {
        const float d = g[i] * r.clip + (decoupled ? 0.0f : r.wd * w[i]);
        m[i] = r.b1 * m[i] + b1 * d;
        v[i] = r.b2 * v[i] + b2 * d * d;
        const float u = decoupled ? w[i] - shrink * w[i] : w[i];
        w[i] = u - r.lr * (m[i] * r.c1) / (sqrtf(v[i] * r.c2) + r.eps);
    }
}

static void loops_adam_base(mango_idx n, const mgi_optim_rule *r, const float *g, float *m,
                            float *v, float *w)
{
    if (r->decoupled)
        loops_adam_as(1, n, r, g, m, v, w);
    else
        loops_adam_as(0, n, r, g, m, v, w);
}

LOOPS_BODY void loops_average(mango_idx n, float c, const float *w, float *e)
{
    MGI_OMP(simd)
    for (mango_idx i = 0; i < n; i++)
        e[i] += c * (w[i] - e[i]);
}

/* ---- max-pooling backwards ------------------------------------------------- */

LOOPS_BODY void loops_pool_best(mango_idx n, int32_t q, const float *x, float *best,
                                int32_t *place)
{
    MGI_OMP(simd)
    for (mango_idx j = 0; j < n; j++) {
        const int more = x[j] > best[j];
        place[j] = more ? q : place[j];
        best[j] = more ? x[j] : best[j];
    }
}

/* Sums start at +0 and so are never -0: to add +0 changes no bit. */
LOOPS_BODY void loops_pool_give(mango_idx n, int32_t q, const int32_t *place, const float *dy,
                                float *dx)
{
    MGI_OMP(simd)
    for (mango_idx j = 0; j < n; j++)
        dx[j] += place[j] == q ? dy[j] : 0.0f;
}

/* dx = y > 0 ? dy : 0 */
LOOPS_BODY void loops_relu_back(mango_idx n, const float *y, const float *dy, float *dx)
{
    MGI_OMP(simd)
    for (mango_idx i = 0; i < n; i++) {
        const float g = dy[i];
        dx[i] = y[i] > 0.0f ? g : 0.0f;
    }
}

/* ---- batch norm: rows of m channels, C apart --------------------------------- */

/* a += x - about, b += (x - about)^2. */
LOOPS_BODY void loops_norm_moments(mango_idx R, mango_idx C, mango_idx m, const float *x,
                                   const float *about, double *a, double *b)
{
    for (mango_idx r = 0; r < R; r++, x += C)
        MGI_OMP(simd)
        for (mango_idx j = 0; j < m; j++) {
            const double d = (double)x[j] - (double)about[j];
            a[j] += d;
            b[j] += d * d;
        }
}

/* a += dy, b += dy * (x - mean). */
LOOPS_BODY void loops_norm_products(mango_idx R, mango_idx C, mango_idx m, const float *x,
                                    const float *dy, const float *mean, double *a, double *b)
{
    for (mango_idx r = 0; r < R; r++, x += C, dy += C)
        MGI_OMP(simd)
        for (mango_idx j = 0; j < m; j++) {
            a[j] += (double)dy[j];
            b[j] += (double)dy[j] * ((double)x[j] - (double)mean[j]);
        }
}

/* y = (x - mean) scale + shift */
LOOPS_BODY void loops_norm_apply(mango_idx R, mango_idx C, mango_idx m, const float *x,
                                 const float *mean, const float *scale, const float *shift,
                                 float *y)
{
    for (mango_idx r = 0; r < R; r++, x += C, y += C)
        MGI_OMP(simd)
        for (mango_idx j = 0; j < m; j++)
            y[j] = (x[j] - mean[j]) * scale[j] + shift[j];
}

/* dx = k0 (dy - k2 - (x - mean) k1) */
LOOPS_BODY void loops_norm_spread(mango_idx R, mango_idx C, mango_idx m, const float *x,
                                  const float *dy, const float *mean, const float *k0,
                                  const float *k1, const float *k2, float *dx)
{
    for (mango_idx r = 0; r < R; r++, x += C, dy += C, dx += C)
        MGI_OMP(simd)
        for (mango_idx j = 0; j < m; j++)
            dx[j] = k0[j] * (dy[j] - k2[j] - (x[j] - mean[j]) * k1[j]);
}

/* ---- maps of bits ---------------------------------------------------------- */

static int loops_bits_base(mango_idx rows, mango_idx C, const float *x, uint64_t *bits)
{
    for (mango_idx r = 0; r < rows; r++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            uint64_t w = 0;
            int other = 0;
            for (mango_idx j = 0; j < m; j++) {
                const int one = x[j] == 1.0f;
                w |= (uint64_t)one << j;
                other |= !one & !(x[j] == 0.0f);
            }
            if (other)
                return 0;
            x += m;
            *bits++ = w;
        }
    return 1;
}

static void loops_sum_rows_base(mango_idx m, mango_idx n, mango_idx words,
                                const uint64_t *mask, const float *b, mango_idx ldb,
                                float *c, mango_idx ldc, int load)
{
    for (mango_idx i = 0; i < m; i++, mask += words, c += ldc) {
        float s[64] = {0.0f};
        if (load)
            memcpy(s, c, (size_t)n * sizeof *s);
        for (mango_idx p = 0; p < 64 * words; p += 64)
            for (uint64_t w = mask[p / 64]; w; w &= w - 1) {
                const float *row = b + (p + mgi_bits_first(w)) * ldb;
                for (mango_idx j = 0; j < n; j++)
                    s[j] += row[j];
            }
        memcpy(c, s, (size_t)n * sizeof *s);
    }
}

static void loops_few_base(mango_idx m, mango_idx n, const uint32_t *from, const mgi_few *e,
                           const float *b, mango_idx nr, float *c, mango_idx ldc)
{
    for (mango_idx i = 0; i < m; i++, c += ldc)
        for (uint32_t k = from[i]; k < from[i + 1]; k++) {
            const float *row = b + (mango_idx)e[k].at * nr;
            for (mango_idx j = 0; j < n; j++)
                c[j] = mgi_fmaf(e[k].v, row[j], c[j]);
        }
}

/* ---- the instances --------------------------------------------------------- */

#define LOOPS_SET(as, how)                                                                     \
    how static void loops_charge_##as(mango_idx n, const mgi_lif_rule *r, const float *X,      \
                                      float *U, float *H)                                      \
    {                                                                                          \
        loops_charge(n, r, X, U, H);                                                           \
    }                                                                                          \
    how static void loops_sgd_##as(mango_idx n, const mgi_optim_rule *r, const float *g,       \
                                   float *m, float *w)                                         \
    {                                                                                          \
        loops_sgd(n, r, g, m, w);                                                              \
    }                                                                                          \
    how static void loops_average_##as(mango_idx n, float c, const float *w, float *e)         \
    {                                                                                          \
        loops_average(n, c, w, e);                                                             \
    }                                                                                          \
    how static void loops_pool_best_##as(mango_idx n, int32_t q, const float *x, float *best,  \
                                         int32_t *place)                                       \
    {                                                                                          \
        loops_pool_best(n, q, x, best, place);                                                 \
    }                                                                                          \
    how static void loops_relu_back_##as(mango_idx n, const float *y, const float *dy,         \
        float *dx)                                                                             \
    {                                                                                          \
        loops_relu_back(n, y, dy, dx);                                                         \
    }                                                                                          \
    how static void loops_norm_moments_##as(mango_idx R, mango_idx C, mango_idx m,             \
                                            const float *x, const float *about, double *a,     \
                                            double *b)                                         \
    {                                                                                          \
        loops_norm_moments(R, C, m, x, about, a, b);                                           \
    }                                                                                          \
    how static void loops_norm_products_##as(mango_idx R, mango_idx C, mango_idx m,            \
                                             const float *x, const float *dy,                  \
                                             const float *mean, double *a, double *b)          \
    {                                                                                          \
        loops_norm_products(R, C, m, x, dy, mean, a, b);                                       \
    }                                                                                          \
    how static void loops_norm_apply_##as(mango_idx R, mango_idx C, mango_idx m,               \
        const float *x,                                                                        \
                                          const float *mean, const float *scale,               \
                                          const float *shift, float *y)                        \
    {                                                                                          \
        loops_norm_apply(R, C, m, x, mean, scale, shift, y);                                   \
    }                                                                                          \
    how static void loops_norm_spread_##as(mango_idx R, mango_idx C, mango_idx m,              \
                                           const float *x, const float *dy, const float *mean, \
                                           const float *k0, const float *k1, const float *k2,  \
                                           float *dx)                                          \
    {                                                                                          \
        loops_norm_spread(R, C, m, x, dy, mean, k0, k1, k2, dx);                               \
    }                                                                                          \
    how static void loops_pool_give_##as(mango_idx n, int32_t q, const int32_t *place,         \
                                         const float *dy, float *dx)                           \
    {                                                                                          \
        loops_pool_give(n, q, place, dy, dx);                                                  \
    }

LOOPS_SET(base, )

MGI_FN const mgi_loops *mgi_loops_base(void)
{
    static const mgi_loops table = {
        loops_charge_base,       loops_back_base,       loops_sgd_base,
        loops_adam_base,         loops_average_base,    loops_pool_best_base,
        loops_pool_give_base,    loops_relu_back_base,  loops_norm_moments_base,
        loops_norm_products_base, loops_norm_apply_base, loops_norm_spread_base,
        loops_bits_base,         loops_sum_rows_base,   loops_few_base};
    return &table;
}

#if defined(__GNUC__) && defined(__x86_64__)
LOOPS_SET(avx2, __attribute__((target("avx2"))))

#define LOOPS_AVX2                                                                             \
    loops_charge_avx2, mgi_avx2_lif_back, loops_sgd_avx2, mgi_avx2_adam, loops_average_avx2,   \
        loops_pool_best_avx2, loops_pool_give_avx2, loops_relu_back_avx2,                      \
        loops_norm_moments_avx2, loops_norm_products_avx2, loops_norm_apply_avx2,              \
        loops_norm_spread_avx2, mgi_avx2_bits

MGI_FN const mgi_loops *mgi_loops_get(void)
{
    static const mgi_loops avx2 = {LOOPS_AVX2, mgi_avx2_sum_rows, mgi_avx2_few};
    static const mgi_loops avx512 = {LOOPS_AVX2, mgi_avx512_sum_rows, mgi_avx512_few};
    const mgi_kernels *k = mgi_kernels_get();
    return k == mgi_kernels_avx512() ? &avx512
           : k == mgi_kernels_avx2() ? &avx2
                                     : mgi_loops_base();
}
#else
MGI_FN const mgi_loops *mgi_loops_get(void)
{
    return mgi_loops_base();
}
#endif

#undef LOOPS_BODY
#undef LOOPS_SET
#undef LOOPS_AVX2

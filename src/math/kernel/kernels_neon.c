/* kernels_neon.c - the kernel table for 64-bit ARM: tiles of 6 x 16, that is 24
 * sums of 4 floats + 4 vectors of B + the values of A in the 32 registers.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

#define NEON_BODY static inline __attribute__((always_inline)) void
#define NEON_ROWS(F) F(0) F(1) F(2) F(3) F(4) F(5)

/* n <= 4 floats from or to memory. */
static inline float32x4_t neon_get(const float *p, mango_idx n)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (n >= 4)
        return vld1q_f32(p);
    if (n > 0)
        memcpy(t, p, (size_t)n * sizeof *t);
    return vld1q_f32(t);
}

static inline void neon_put(float *p, mango_idx n, float32x4_t v)
{
    float t[4];
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    vst1q_f32(t, v);
    if (n > 0)
        memcpy(p, t, (size_t)n * sizeof *t);
}

/* Unrolled by hand for registers: p##i .. s##i are the four vectors of row i. */
#define NEON_SUMS(i)                                                                           \
    float32x4_t p##i = vdupq_n_f32(0.0f), q##i = p##i, r##i = p##i, s##i = p##i;
#define NEON_LOAD(i)                                                                           \
    if (M > i) {                                                                               \
        p##i = neon_get(c + i * ldc, n);                                                       \
        q##i = neon_get(c + i * ldc + 4, n - 4);                                               \
        r##i = neon_get(c + i * ldc + 8, n - 8);                                               \
        s##i = neon_get(c + i * ldc + 12, n - 12);                                             \
    }
#define NEON_FMA(i, a)                                                                         \
    if (M > i) {                                                                               \
        const float32x4_t v = vdupq_n_f32(a);                                                  \
        p##i = vfmaq_f32(p##i, b0, v);                                                         \
        q##i = vfmaq_f32(q##i, b1, v);                                                         \
        r##i = vfmaq_f32(r##i, b2, v);                                                         \
        s##i = vfmaq_f32(s##i, b3, v);                                                         \
    }
#define NEON_STORE(i)                                                                          \
    if (M > i) {                                                                               \
        neon_put(c + i * ldc, n, p##i);                                                        \
        neon_put(c + i * ldc + 4, n - 4, q##i);                                                \
        neon_put(c + i * ldc + 8, n - 8, r##i);                                                \
        neon_put(c + i * ldc + 12, n - 12, s##i);                                              \
    }

/* 4 weights at p, floats or halves. */
static inline float32x4_t neon_weights(int half, const char *p)
{
    if (half) {
        float16x4_t h;
        memcpy(&h, p, sizeof h);
        return vcvt_f32_f16(h);
    }
    return vld1q_f32((const float *)(const void *)p);
}

/* half, a constant too: the panel holds halves, size bytes each. */
NEON_BODY neon_tile_body(int M, int half, mango_idx n, const float *const *a, mango_idx ntap,
                         const mgi_tap *tap, const void *b, float *c, mango_idx ldc, int load)
{
    const mango_idx size = half ? 2 : 4;
    NEON_ROWS(NEON_SUMS)
    if (load) {
        NEON_ROWS(NEON_LOAD)
    }
#define NEON_ROW(i) const float *const a##i = a[M > i ? i : 0];
    NEON_ROWS(NEON_ROW)
    for (mango_idx t = 0; t < ntap; t++) {
        const char *B = (const char *)b + tap[t].b * 16 * size;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 16 * size) {
            const float32x4_t b0 = neon_weights(half, B), b1 = neon_weights(half, B + 4 * size);
            const float32x4_t b2 = neon_weights(half, B + 8 * size);
            const float32x4_t b3 = neon_weights(half, B + 12 * size);
#define NEON_STEP(i) NEON_FMA(i, a##i[k])
            NEON_ROWS(NEON_STEP)
        }
    }
    NEON_ROWS(NEON_STORE)
}

NEON_BODY neon_outer_body(int M, mango_idx n, const float *a, mango_idx lda, const float *b,
                          mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,
                          mango_idx ldc, int load)
{
    NEON_ROWS(NEON_SUMS)
    if (load) {
        NEON_ROWS(NEON_LOAD)
    }
    for (mango_idx t = 0; t < nrun; t++) {
        const float *A = a + run[t].a, *B = b + run[t].b;
        for (mango_idx k = run[t].n; k > 0; k--, A += lda, B += ldb) {
            const float32x4_t b0 = neon_get(B, n), b1 = neon_get(B + 4, n - 4);
            const float32x4_t b2 = neon_get(B + 8, n - 8), b3 = neon_get(B + 12, n - 12);
#define NEON_PIX(i) NEON_FMA(i, A[i])
            NEON_ROWS(NEON_PIX)
        }
    }
    NEON_ROWS(NEON_STORE)
}

#define NEON_INST(m)                                                                           \
    static void neon_tile_##m(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const float *b, float *c, mango_idx ldc,     \
                              int load)                                                        \
    {                                                                                          \
        neon_tile_body(m, 0, n, a, ntap, tap, b, c, ldc, load);                                \
    }                                                                                          \
    static void neon_half_##m(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,  \
                              int load)                                                        \
    {                                                                                          \
        neon_tile_body(m, 1, n, a, ntap, tap, b, c, ldc, load);                                \
    }                                                                                          \
    static void neon_outer_##m(mango_idx n, const float *a, mango_idx lda, const float *b,     \
                               mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,    \
                               mango_idx ldc, int load)                                        \
    {                                                                                          \
        if (n == 16)                                                                           \
            neon_outer_body(m, 16, a, lda, b, ldb, nrun, run, c, ldc, load);                   \
        else                                                                                   \
            neon_outer_body(m, n, a, lda, b, ldb, nrun, run, c, ldc, load);                    \
    }
NEON_INST(1) NEON_INST(2) NEON_INST(3) NEON_INST(4) NEON_INST(5) NEON_INST(6)

static void neon_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                      const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    switch (m) {
    case 1: neon_tile_1(n, a, ntap, tap, b, c, ldc, load); break;
    case 2: neon_tile_2(n, a, ntap, tap, b, c, ldc, load); break;
    case 3: neon_tile_3(n, a, ntap, tap, b, c, ldc, load); break;
    case 4: neon_tile_4(n, a, ntap, tap, b, c, ldc, load); break;
    case 5: neon_tile_5(n, a, ntap, tap, b, c, ldc, load); break;
    default: neon_tile_6(n, a, ntap, tap, b, c, ldc, load); break;
    }
}

static void neon_tile_half(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                           const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,
                           int load)
{
    switch (m) {
    case 1: neon_half_1(n, a, ntap, tap, b, c, ldc, load); break;
    case 2: neon_half_2(n, a, ntap, tap, b, c, ldc, load); break;
    case 3: neon_half_3(n, a, ntap, tap, b, c, ldc, load); break;
    case 4: neon_half_4(n, a, ntap, tap, b, c, ldc, load); break;
    case 5: neon_half_5(n, a, ntap, tap, b, c, ldc, load); break;
    default: neon_half_6(n, a, ntap, tap, b, c, ldc, load); break;
    }
}

static void neon_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda,
                       const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run,
                       float *c, mango_idx ldc, int load)
{
    switch (m) {
    case 1: neon_outer_1(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 2: neon_outer_2(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 3: neon_outer_3(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 4: neon_outer_4(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 5: neon_outer_5(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    default: neon_outer_6(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    }
}

/* x > y ? x : y, lane by lane: y when either is NaN or both are zero. */
static inline float32x4_t neon_larger(float32x4_t x, float32x4_t y)
{
    return vbslq_f32(vcgtq_f32(x, y), x, y);
}

/* The w outputs from column j on, of each row. */
NEON_BODY neon_finish_part(mango_idx w, mango_idx j, mango_idx m, const float *acc,
                           mango_idx ldacc, const mango_idx *off, const float *bias,
                           const float *res, int relu, float *y)
{
    const float32x4_t zero = vdupq_n_f32(0.0f), t = bias ? neon_get(bias + j, w) : zero;
    for (mango_idx i = 0; i < m; i++) {
        float32x4_t v = neon_get(acc + i * ldacc + j, w);
        if (bias)
            v = vaddq_f32(v, t);
        if (res)
            v = vaddq_f32(v, neon_get(res + off[i] + j, w));
        neon_put(y + off[i] + j, w, relu ? neon_larger(v, zero) : v);
    }
}

/* `body` for i = 0, 4, ..: w is 4, a constant, but for what fills no vector at the end. */
#define NEON_EACH(i, n, body)                                                                  \
    {                                                                                          \
        mango_idx i = 0, w = 4;                                                                \
        for (; i + 4 <= n; i += 4)                                                             \
            body;                                                                              \
        w = n - i;                                                                             \
        if (w > 0)                                                                             \
            body;                                                                              \
    }

static void neon_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                        const mango_idx *off, const float *bias, const float *res, int relu,
                        float *y)
{
    NEON_EACH(j, n, neon_finish_part(w, j, m, acc, ldacc, off, bias, res, relu, y))
}

static void neon_add(mango_idx n, const float *x, const float *y, float *z)
{
    NEON_EACH(i, n, neon_put(z + i, w, vaddq_f32(neon_get(x + i, w), neon_get(y + i, w))))
}

static void neon_axpy(mango_idx n, float a, const float *x, float *y)
{
    const float32x4_t s = vdupq_n_f32(a);
    NEON_EACH(i, n, neon_put(y + i, w, vfmaq_f32(neon_get(y + i, w), s, neon_get(x + i, w))))
}

static void neon_relu(mango_idx n, const float *x, float *y)
{
    const float32x4_t zero = vdupq_n_f32(0.0f);
    NEON_EACH(i, n, neon_put(y + i, w, neon_larger(neon_get(x + i, w), zero)))
}

static void neon_maximum(mango_idx n, const float *x, float *y)
{
    NEON_EACH(i, n, neon_put(y + i, w, neon_larger(neon_get(x + i, w), neon_get(y + i, w))))
}

static void neon_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                             const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        NEON_EACH(i, nb, neon_put(y + i, w, vfmaq_f32(neon_get(t + i, w), neon_get(s + i, w),
                                                      neon_get(x + i, w))))
}

static inline uint32x4_t neon_fires(int on_equal, float32x4_t H, float32x4_t U_thr)
{
    return on_equal ? vcgeq_f32(H, U_thr) : vcgtq_f32(H, U_thr);
}

/* The order of operations is lifstep.h's; no fma. */
static inline float32x4_t neon_charge(const mgi_lif_rule *r, float32x4_t U, float32x4_t X)
{
    const float32x4_t gX = vmulq_f32(vdupq_n_f32(r->gain), X), tau = vdupq_n_f32(r->tau);
    if (r->charge == MGI_CHARGE_LEAK)
        return vaddq_f32(vmulq_f32(vdupq_n_f32(r->beta), U), gX);
    const float32x4_t d = vsubq_f32(U, vdupq_n_f32(r->U_rest));
    if (r->charge == MGI_CHARGE_TAU)
        return vaddq_f32(U, vdivq_f32(vsubq_f32(gX, d), tau));
    return vaddq_f32(vsubq_f32(U, vdivq_f32(d, tau)), gX);
}

static void neon_lif(mango_idx n, const mgi_lif_rule *r, const float *X, float *U, float *S)
{
    const float32x4_t one = vdupq_n_f32(1.0f), thr = vdupq_n_f32(r->U_thr);
    const float32x4_t value = vdupq_n_f32(r->U_reset);
    const int subtract = r->reset == MGI_RESET_SUBTRACT, set = r->reset == MGI_RESET_VALUE;
    mango_idx i = 0;
    if (r->once) {
        mgi_lif_ref(n, r, X, U, S);
        return;
    }
    for (; i + 4 <= n; i += 4) {
        float32x4_t u = vld1q_f32(U + i);
        const uint32x4_t pending = neon_fires(r->on_equal, u, thr);
        if (r->delay && set)
            u = vbslq_f32(pending, value, u);
        float32x4_t H = neon_charge(r, u, vld1q_f32(X + i));
        if (r->delay && subtract)
            H = vbslq_f32(pending, vsubq_f32(H, thr), H);
        const uint32x4_t fires = neon_fires(r->on_equal, H, thr);
        vst1q_f32(S + i, vreinterpretq_f32_u32(vandq_u32(fires, vreinterpretq_u32_f32(one))));
        if (!r->delay && subtract)
            H = vbslq_f32(fires, vsubq_f32(H, thr), H);
        if (!r->delay && set)
            H = vbslq_f32(fires, value, H);
        vst1q_f32(U + i, H);
    }
    mgi_lif_ref(n - i, r, X + i, U + i, S + i);
}

static const mgi_kernels neon_table = {
    "neon", 6, 16, neon_tile, neon_outer, neon_finish, neon_add, neon_axpy, neon_relu,
    neon_maximum, neon_scale_shift, mgi_ref_mix, neon_lif, mgi_neon_gather,
    mgi_neon_lif_bits, mgi_neon_gather_int8, mgi_ref_drain, neon_tile_half, mgi_neon_tanh,
    mgi_ref_widen, mgi_neon_lif_cells};

MGI_FN const mgi_kernels *mgi_kernels_neon(void)
{
    return &neon_table;
}

#undef NEON_BODY
#undef NEON_ROWS
#undef NEON_EACH
#undef NEON_SUMS
#undef NEON_LOAD
#undef NEON_FMA
#undef NEON_STORE
#undef NEON_ROW
#undef NEON_STEP
#undef NEON_PIX
#undef NEON_INST

#else

MGI_FN const mgi_kernels *mgi_kernels_neon(void)
{
    return NULL;
}

#endif

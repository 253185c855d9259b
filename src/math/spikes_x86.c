/* spikes_x86.c - kernels for maps of bits with AVX2 and AVX-512.
 *
 * gather holds the sums of one pixel in registers and adds, for each active
 * input, its row of weights: 2 vectors a panel, 4 panels (8 sums hide the
 * latency of an addition). Nothing is multiplied.
 * SPDX-License-Identifier: MIT */
#include "spikes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

typedef void (*spk_gather_fn)(mango_idx m, mango_idx per, const mgi_gather *run,
                              const float *b, mango_idx pitch, float *acc, int load);

/* ---- AVX-512: panels of 32 -------------------------------------------------- */
#define SPK5_BODY static inline __attribute__((always_inline, target("avx512f"))) void
#define SPK5_GET(q, u, v)                                                                  \
    __m512 u = _mm512_setzero_ps(), v = u;                                                 \
    if (load && P > q) {                                                                   \
        u = _mm512_loadu_ps(acc + q * 32);                                                 \
        v = _mm512_loadu_ps(acc + q * 32 + 16);                                            \
    }
#define SPK5_ADD(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        u = _mm512_add_ps(u, _mm512_loadu_ps(row + q * pitch));                            \
        v = _mm512_add_ps(v, _mm512_loadu_ps(row + q * pitch + 16));                       \
    }
#define SPK5_PUT(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        _mm512_storeu_ps(acc + q * 32, u);                                                 \
        _mm512_storeu_ps(acc + q * 32 + 16, v);                                            \
    }

SPK5_BODY spk5_body(int P, mango_idx m, mango_idx per, const mgi_gather *run,
                    const float *b, mango_idx pitch, float *acc, int load)
{
    for (; m > 0; m--, acc += P * 32) {
        SPK5_GET(0, u0, v0)
        SPK5_GET(1, u1, v1) SPK5_GET(2, u2, v2)
            SPK5_GET(3, u3, v3) for (const mgi_gather *end = run + per; run < end; run++)
        {
            const float *B = b + run->b;
            for (const uint32_t *at = run->at, *last = at + run->n; at < last; at++) {
                const float *row = B + *at;
                SPK5_ADD(0, u0, v0)
                SPK5_ADD(1, u1, v1) SPK5_ADD(2, u2, v2) SPK5_ADD(3, u3, v3)
            }
        }
        SPK5_PUT(0, u0, v0) SPK5_PUT(1, u1, v1) SPK5_PUT(2, u2, v2) SPK5_PUT(3, u3, v3)
    }
}

/* ---- AVX2: panels of 16 ----------------------------------------------------- */
#define SPK3_BODY static inline __attribute__((always_inline, target("avx2"))) void
#define SPK3_GET(q, u, v)                                                                  \
    __m256 u = _mm256_setzero_ps(), v = u;                                                 \
    if (load && P > q) {                                                                   \
        u = _mm256_loadu_ps(acc + q * 16);                                                 \
        v = _mm256_loadu_ps(acc + q * 16 + 8);                                             \
    }
#define SPK3_ADD(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        u = _mm256_add_ps(u, _mm256_loadu_ps(row + q * pitch));                            \
        v = _mm256_add_ps(v, _mm256_loadu_ps(row + q * pitch + 8));                        \
    }
#define SPK3_PUT(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        _mm256_storeu_ps(acc + q * 16, u);                                                 \
        _mm256_storeu_ps(acc + q * 16 + 8, v);                                             \
    }

SPK3_BODY spk3_body(int P, mango_idx m, mango_idx per, const mgi_gather *run,
                    const float *b, mango_idx pitch, float *acc, int load)
{
    for (; m > 0; m--, acc += P * 16) {
        SPK3_GET(0, u0, v0)
        SPK3_GET(1, u1, v1) SPK3_GET(2, u2, v2)
            SPK3_GET(3, u3, v3) for (const mgi_gather *end = run + per; run < end; run++)
        {
            const float *B = b + run->b;
            for (const uint32_t *at = run->at, *last = at + run->n; at < last; at++) {
                const float *row = B + *at;
                SPK3_ADD(0, u0, v0)
                SPK3_ADD(1, u1, v1) SPK3_ADD(2, u2, v2) SPK3_ADD(3, u3, v3)
            }
        }
        SPK3_PUT(0, u0, v0) SPK3_PUT(1, u1, v1) SPK3_PUT(2, u2, v2) SPK3_PUT(3, u3, v3)
    }
}

/* One instance for each count of panels. */
#define SPK_INST(isa, p, feature)                                                          \
    static __attribute__((target(feature))) void spk##isa##_gather_##p(                    \
        mango_idx m, mango_idx per, const mgi_gather *run, const float *b,                 \
        mango_idx pitch, float *acc, int load)                                             \
    {                                                                                      \
        spk##isa##_body(p, m, per, run, b, pitch, acc, load);                              \
    }
SPK_INST(5, 1, "avx512f")
SPK_INST(5, 2, "avx512f") SPK_INST(5, 3, "avx512f") SPK_INST(5, 4, "avx512f")
    SPK_INST(3, 1, "avx2") SPK_INST(3, 2, "avx2") SPK_INST(3, 3, "avx2")
        SPK_INST(3, 4, "avx2")

            MGI_FN void mgi_avx512_gather(mango_idx panels, mango_idx m, mango_idx per,
                                          const mgi_gather *run, const float *b,
                                          mango_idx pitch, float *acc, int load)
{
    static const spk_gather_fn fn[4] = {spk5_gather_1, spk5_gather_2, spk5_gather_3,
                                        spk5_gather_4};
    fn[panels - 1](m, per, run, b, pitch, acc, load);
}

MGI_FN void mgi_avx2_gather(mango_idx panels, mango_idx m, mango_idx per,
                            const mgi_gather *run, const float *b, mango_idx pitch,
                            float *acc, int load)
{
    static const spk_gather_fn fn[4] = {spk3_gather_1, spk3_gather_2, spk3_gather_3,
                                        spk3_gather_4};
    fn[panels - 1](m, per, run, b, pitch, acc, load);
}

/* ---- LIF, 8 neurons at a time ------------------------------------------------ */
/* As in kernels_x86.c: no fma in the target, the order of lifstep.h. scale:
 * 1/tau when tau is a power of two (then U/tau is U*scale exactly), else 0. */
#define SPKL_BODY static inline __attribute__((always_inline, target("avx2")))

typedef struct spkl_rule {
    mgi_charge charge;
    int delay, set, subtract, on_equal, exact;
} spkl_rule;

SPKL_BODY __m256 spkl_fires(spkl_rule k, __m256 H, __m256 U_thr)
{
    return k.on_equal ? _mm256_cmp_ps(H, U_thr, _CMP_GE_OQ)
                      : _mm256_cmp_ps(H, U_thr, _CMP_GT_OQ);
}

SPKL_BODY __m256 spkl_charge(spkl_rule k, const mgi_lif_rule *r, __m256 tau, __m256 U,
                             __m256 X)
{
    const __m256 gX = _mm256_mul_ps(_mm256_set1_ps(r->gain), X);
    if (k.charge == MGI_CHARGE_LEAK)
        return _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(r->beta), U), gX);
    __m256 d = _mm256_sub_ps(U, _mm256_set1_ps(r->U_rest));
    if (k.charge == MGI_CHARGE_TAU)
        d = _mm256_sub_ps(gX, d);
    d = k.exact ? _mm256_mul_ps(d, tau) : _mm256_div_ps(d, tau);
    if (k.charge == MGI_CHARGE_TAU)
        return _mm256_add_ps(U, d);
    return _mm256_add_ps(_mm256_sub_ps(U, d), gX);
}

SPKL_BODY void spkl_body(spkl_rule k, mango_idx rows, mango_idx C, const mgi_lif_rule *r,
                         float scale, const float *X, float *U, uint64_t *S)
{
    const __m256 thr = _mm256_set1_ps(r->U_thr), value = _mm256_set1_ps(r->U_reset);
    const __m256 tau = _mm256_set1_ps(k.exact ? scale : r->tau);
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64, S++) {
            const mango_idx m = MGI_MIN(64, C - c);
            uint64_t w = 0;
            mango_idx j = 0;
            for (; j + 8 <= m; j += 8, X += 8, U += 8) {
                __m256 u = _mm256_loadu_ps(U);
                const __m256 pending = spkl_fires(k, u, thr);
                if (k.delay && k.set)
                    u = _mm256_blendv_ps(u, value, pending);
                __m256 H = spkl_charge(k, r, tau, u, _mm256_loadu_ps(X));
                if (k.delay && k.subtract)
                    H = _mm256_sub_ps(H, _mm256_and_ps(pending, thr));
                const __m256 fires = spkl_fires(k, H, thr);
                w |= (uint64_t)(unsigned)_mm256_movemask_ps(fires) << j;
                if (!k.delay && k.subtract)
                    H = _mm256_sub_ps(H, _mm256_and_ps(fires, thr));
                if (!k.delay && k.set)
                    H = _mm256_blendv_ps(H, value, fires);
                _mm256_storeu_ps(U, H);
            }
            if (j < m) {
                uint64_t last;
                mgi_ref_lif_bits(1, m - j, r, X, U, &last);
                w |= last << j, X += m - j, U += m - j;
            }
            *S = w;
        }
}

/* 1/tau when that is exact, else 0. */
static float spkl_scale(float tau)
{
    uint32_t bits;
    memcpy(&bits, &tau, sizeof bits);
    return (bits & 0x7fffffu) == 0 && tau >= 1.0f && tau <= 1e30f ? 1.0f / tau : 0.0f;
}

/* The frameworks' two rules are compiled as constants. */
__attribute__((target("avx2"))) MGI_FN void mgi_avx2_lif_bits(mango_idx rows, mango_idx C,
                                                              const mgi_lif_rule *r,
                                                              const float *X, float *U,
                                                              uint64_t *S)
{
    const spkl_rule torch = {MGI_CHARGE_LEAK, 1, 0, 1, 0, 0};
    const spkl_rule jelly = {MGI_CHARGE_TAU, 0, 1, 0, 1, 1};
    const float scale = spkl_scale(r->tau);
    const spkl_rule k = {r->charge,
                         r->delay,
                         r->reset == MGI_RESET_VALUE,
                         r->reset == MGI_RESET_SUBTRACT,
                         r->on_equal,
                         scale > 0.0f && r->charge != MGI_CHARGE_LEAK};
    if (memcmp(&k, &torch, sizeof k) == 0)
        spkl_body(torch, rows, C, r, scale, X, U, S);
    else if (memcmp(&k, &jelly, sizeof k) == 0)
        spkl_body(jelly, rows, C, r, scale, X, U, S);
    else
        spkl_body(k, rows, C, r, scale, X, U, S);
}

#undef SPK5_BODY
#undef SPK5_GET
#undef SPK5_ADD
#undef SPK5_PUT
#undef SPK3_BODY
#undef SPK3_GET
#undef SPK3_ADD
#undef SPK3_PUT
#undef SPK_INST
#undef SPKL_BODY
#endif

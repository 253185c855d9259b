/* spikes_x86.c - kernels for maps of bits with AVX2 and AVX-512.
 *
 * gather holds the sums of 64 outputs of one pixel in registers and adds, for
 * each active input, its row of weights: 8 vectors with AVX2, 4 with AVX-512.
 * Nothing is multiplied. It reads one vector per addition, so that it is bound
 * by loads: the caller sees to it that the rows in use stay in the first-level
 * cache, and that pixels with equally many active inputs follow each other,
 * since the branch that ends a pixel is then foreseen. Each pixel asks for the
 * sums of the next one, and for a part of the weights that the next call will
 * read: they come from far, in an order that the CPU does not foresee.
 * SPDX-License-Identifier: MIT */
#include "../spikes.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* Pixel i of a: what is asked for ahead of time. */
#define SPK_LINE 16 /* floats of a cache line */
static inline __attribute__((always_inline)) void
spk_ahead(int P, mango_idx wide, const mgi_active *a, mango_idx i, mango_idx pitch, float *acc)
{
    const mango_idx per = mgi_ceil_div(a->lines, a->m);
    const mango_idx end = MGI_MIN((i + 1) * per, a->lines);
    for (mango_idx l = i * per; l < end; l++)
        for (int q = 0; q < P; q++)
            _mm_prefetch((const char *)(a->ahead + q * pitch + l * SPK_LINE), _MM_HINT_T1);
    for (mango_idx k = 0; i + 1 < a->m && k < wide; k += SPK_LINE)
        _mm_prefetch((const char *)(acc + a->row[i + 1] * wide + k), _MM_HINT_T0);
}

/* ---- AVX-512: panels of 32 -------------------------------------------------- */
#define SPK5_BODY static inline __attribute__((always_inline, target("avx512f"))) void

SPK5_BODY spk5_body(int P, const mgi_active *a, const float *b, mango_idx pitch, float *acc)
{
    for (mango_idx i = 0; i < a->m; i++) {
        float *s = acc + a->row[i] * 32 * P;
        spk_ahead(P, 32 * P, a, i, pitch, acc);
        __m512 u0 = _mm512_loadu_ps(s), v0 = _mm512_loadu_ps(s + 16), u1 = u0, v1 = v0;
        if (P > 1) {
            u1 = _mm512_loadu_ps(s + 32);
            v1 = _mm512_loadu_ps(s + 48);
        }
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const float *row = b + mgi_bits_first(w) * 32;
            u0 = _mm512_add_ps(u0, _mm512_loadu_ps(row));
            v0 = _mm512_add_ps(v0, _mm512_loadu_ps(row + 16));
            if (P > 1) {
                u1 = _mm512_add_ps(u1, _mm512_loadu_ps(row + pitch));
                v1 = _mm512_add_ps(v1, _mm512_loadu_ps(row + pitch + 16));
            }
        }
        _mm512_storeu_ps(s, u0);
        _mm512_storeu_ps(s + 16, v0);
        if (P > 1) {
            _mm512_storeu_ps(s + 32, u1);
            _mm512_storeu_ps(s + 48, v1);
        }
    }
}

/* ---- AVX2: panels of 16 ----------------------------------------------------- */
#define SPK3_BODY static inline __attribute__((always_inline, target("avx2"))) void
#define SPK3_GET(q, u, v)                                                                  \
    __m256 u = _mm256_setzero_ps(), v = u;                                                 \
    if (P > q) {                                                                           \
        u = _mm256_loadu_ps(s + q * 16);                                                   \
        v = _mm256_loadu_ps(s + q * 16 + 8);                                               \
    }
#define SPK3_ADD(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        u = _mm256_add_ps(u, _mm256_loadu_ps(row + q * pitch));                            \
        v = _mm256_add_ps(v, _mm256_loadu_ps(row + q * pitch + 8));                        \
    }
#define SPK3_PUT(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        _mm256_storeu_ps(s + q * 16, u);                                                   \
        _mm256_storeu_ps(s + q * 16 + 8, v);                                               \
    }
#define SPK3_ALL(F) F(0, u0, v0) F(1, u1, v1) F(2, u2, v2) F(3, u3, v3)

SPK3_BODY spk3_body(int P, const mgi_active *a, const float *b, mango_idx pitch, float *acc)
{
    for (mango_idx i = 0; i < a->m; i++) {
        float *s = acc + a->row[i] * 16 * P;
        spk_ahead(P, 16 * P, a, i, pitch, acc);
        SPK3_ALL(SPK3_GET)
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const float *row = b + mgi_bits_first(w) * 16;
            SPK3_ALL(SPK3_ADD)
        }
        SPK3_ALL(SPK3_PUT)
    }
}

/* One instance for each count of panels. */
__attribute__((target("avx512f"))) MGI_FN void
mgi_avx512_gather(mango_idx panels, const mgi_active *a, const float *b, mango_idx pitch,
                  float *acc)
{
    if (panels == 1)
        spk5_body(1, a, b, pitch, acc);
    else
        spk5_body(2, a, b, pitch, acc);
}

__attribute__((target("avx2"))) MGI_FN void
mgi_avx2_gather(mango_idx panels, const mgi_active *a, const float *b, mango_idx pitch,
                float *acc)
{
    switch (panels) {
    case 1: spk3_body(1, a, b, pitch, acc); break;
    case 2: spk3_body(2, a, b, pitch, acc); break;
    case 3: spk3_body(3, a, b, pitch, acc); break;
    default: spk3_body(4, a, b, pitch, acc); break;
    }
}

/* ---- 8 bits ------------------------------------------------------------------ */
/* A row of weights is 64 bytes: 4 loads that widen, 4 additions. AVX-512 would
 * halve their number, not their time: its loads widen at half the rate. */
__attribute__((target("avx2"))) MGI_FN void
mgi_avx2_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc)
{
    for (mango_idx i = 0; i < a->m; i++) {
        __m256i *s = (__m256i *)(void *)(acc + a->row[i] * MGI_INT8_OUT);
        __m256i s0 = _mm256_loadu_si256(s), s1 = _mm256_loadu_si256(s + 1);
        __m256i s2 = _mm256_loadu_si256(s + 2), s3 = _mm256_loadu_si256(s + 3);
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const __m128i *q =
                (const __m128i *)(const void *)(b + mgi_bits_first(w) * MGI_INT8_OUT);
            s0 = _mm256_add_epi16(s0, _mm256_cvtepi8_epi16(_mm_loadu_si128(q)));
            s1 = _mm256_add_epi16(s1, _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 1)));
            s2 = _mm256_add_epi16(s2, _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 2)));
            s3 = _mm256_add_epi16(s3, _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 3)));
        }
        _mm256_storeu_si256(s, s0);
        _mm256_storeu_si256(s + 1, s1);
        _mm256_storeu_si256(s + 2, s2);
        _mm256_storeu_si256(s + 3, s3);
    }
}

__attribute__((target("avx2"))) MGI_FN void mgi_avx2_drain(mango_idx n, int16_t *h, float *acc)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i *at = (__m128i *)(void *)(h + i);
        const __m256i wide = _mm256_cvtepi16_epi32(_mm_loadu_si128(at));
        _mm256_storeu_ps(acc + i,
                         _mm256_add_ps(_mm256_loadu_ps(acc + i), _mm256_cvtepi32_ps(wide)));
        _mm_storeu_si128(at, _mm_setzero_si128());
    }
    mgi_ref_drain(n - i, h + i, acc + i);
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

/* The currents of neurons j .. j+7 in step t. */
SPKL_BODY __m256 spkl_current(const mgi_lif_run *q, mango_idx t, mango_idx j)
{
    __m256 x = _mm256_loadu_ps(q->X + (q->row ? q->row[t] : t) * q->ldX + j);
    if (q->bias)
        x = _mm256_add_ps(x, _mm256_loadu_ps(q->bias + j));
    if (q->res)
        x = _mm256_add_ps(x, _mm256_loadu_ps(q->res + t * q->ldres + j));
    if (q->bits) {
        const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const int w = (int)(q->bits[t * q->ldbits] >> j & 255);
        const __m256i on = _mm256_and_si256(_mm256_set1_epi32(w), lane);
        const __m256 set = _mm256_castsi256_ps(_mm256_cmpeq_epi32(on, lane));
        x = _mm256_add_ps(x, _mm256_and_ps(set, _mm256_set1_ps(1.0f)));
    }
    return x;
}

SPKL_BODY void spkl_body(spkl_rule k, const mgi_lif_rule *r, float scale,
                         const mgi_lif_run *q)
{
    const __m256 thr = _mm256_set1_ps(r->U_thr), value = _mm256_set1_ps(r->U_reset);
    const __m256 tau = _mm256_set1_ps(k.exact ? scale : r->tau);
    for (mango_idx t = 0; t < q->T; t++) {
        uint64_t w = 0;
        for (mango_idx j = 0; j + 8 <= q->n; j += 8) {
            __m256 u = _mm256_loadu_ps(q->U + j);
            const __m256 pending = spkl_fires(k, u, thr);
            if (k.delay && k.set)
                u = _mm256_blendv_ps(u, value, pending);
            __m256 H = spkl_charge(k, r, tau, u, spkl_current(q, t, j));
            if (k.delay && k.subtract)
                H = _mm256_sub_ps(H, _mm256_and_ps(pending, thr));
            const __m256 fires = spkl_fires(k, H, thr);
            w |= (uint64_t)(unsigned)_mm256_movemask_ps(fires) << j;
            if (!k.delay && k.subtract)
                H = _mm256_sub_ps(H, _mm256_and_ps(fires, thr));
            if (!k.delay && k.set)
                H = _mm256_blendv_ps(H, value, fires);
            _mm256_storeu_ps(q->U + j, H);
        }
        q->S[t * q->ldS] = w;
    }
    mgi_ref_lif_part(q->n / 8 * 8, r, q);
}

/* 1/tau when that is exact, else 0. */
static float spkl_scale(float tau)
{
    uint32_t bits;
    memcpy(&bits, &tau, sizeof bits);
    return (bits & 0x7fffffu) == 0 && tau >= 1.0f && tau <= 1e30f ? 1.0f / tau : 0.0f;
}

/* ---- LIF with AVX-512: 64 neurons stay in four registers over all steps ------- */
#define SPK5L static inline __attribute__((always_inline, target("avx512f")))

/* A product that no compiler fuses with a sum: avx512f has fma. */
SPK5L __m512 spk5_times(__m512 a, __m512 b)
{
    return _mm512_mul_round_ps(a, b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

SPK5L __mmask16 spk5_fires(spkl_rule k, __m512 H, __m512 U_thr)
{
    return k.on_equal ? _mm512_cmp_ps_mask(H, U_thr, _CMP_GE_OQ)
                      : _mm512_cmp_ps_mask(H, U_thr, _CMP_GT_OQ);
}

SPK5L __m512 spk5_charge(spkl_rule k, const mgi_lif_rule *r, __m512 tau, __m512 U, __m512 X)
{
    const __m512 gX = spk5_times(_mm512_set1_ps(r->gain), X);
    if (k.charge == MGI_CHARGE_LEAK)
        return _mm512_add_ps(spk5_times(_mm512_set1_ps(r->beta), U), gX);
    __m512 d = _mm512_sub_ps(U, _mm512_set1_ps(r->U_rest));
    if (k.charge == MGI_CHARGE_TAU)
        d = _mm512_sub_ps(gX, d);
    d = k.exact ? spk5_times(d, tau) : _mm512_div_ps(d, tau);
    if (k.charge == MGI_CHARGE_TAU)
        return _mm512_add_ps(U, d);
    return _mm512_add_ps(_mm512_sub_ps(U, d), gX);
}

/* The currents of the neurons `in` among j .. j+15 in step t. */
SPK5L __m512 spk5_current(const mgi_lif_run *q, mango_idx t, mango_idx j, __mmask16 in)
{
    const float *X = q->X + (q->row ? q->row[t] : t) * q->ldX + j;
    __m512 x = _mm512_maskz_loadu_ps(in, X);
    if (q->bias)
        x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(in, q->bias + j));
    if (q->res)
        x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(in, q->res + t * q->ldres + j));
    if (q->bits) {
        const __mmask16 on = (__mmask16)(q->bits[t * q->ldbits] >> j & 0xffff);
        x = _mm512_add_ps(x, _mm512_maskz_mov_ps(on, _mm512_set1_ps(1.0f)));
    }
    return x;
}

/* Step t of the neurons `in` among j .. j+15, membranes *U: their spikes. */
SPK5L uint64_t spk5_lif_step(spkl_rule k, const mgi_lif_rule *r, float scale,
                             const mgi_lif_run *q, mango_idx t, mango_idx j, __mmask16 in,
                             __m512 *U)
{
    const __m512 thr = _mm512_set1_ps(r->U_thr), value = _mm512_set1_ps(r->U_reset);
    const __m512 tau = _mm512_set1_ps(k.exact ? scale : r->tau);
    const __mmask16 pending = spk5_fires(k, *U, thr);
    __m512 u = k.delay && k.set ? _mm512_mask_mov_ps(*U, pending, value) : *U;
    __m512 H = spk5_charge(k, r, tau, u, spk5_current(q, t, j, in));
    if (k.delay && k.subtract)
        H = _mm512_mask_sub_ps(H, pending, H, thr);
    const __mmask16 fires = spk5_fires(k, H, thr);
    if (!k.delay && k.subtract)
        H = _mm512_mask_sub_ps(H, fires, H, thr);
    if (!k.delay && k.set)
        H = _mm512_mask_mov_ps(H, fires, value);
    *U = H;
    return (uint64_t)(fires & in) << j;
}

/* V registers: n <= 16 V. */
SPK5L void spk5_lif(int V, spkl_rule k, const mgi_lif_rule *r, float scale,
                    const mgi_lif_run *q)
{
    const uint64_t in = q->n < 64 ? ((uint64_t)1 << q->n) - 1 : ~(uint64_t)0;
    const __mmask16 m0 = (__mmask16)(in & 0xffff), m1 = (__mmask16)(in >> 16 & 0xffff);
    const __mmask16 m2 = (__mmask16)(in >> 32 & 0xffff), m3 = (__mmask16)(in >> 48);
    __m512 u0 = _mm512_maskz_loadu_ps(m0, q->U), u1 = u0, u2 = u0, u3 = u0;
    if (V > 1) {
        u1 = _mm512_maskz_loadu_ps(m1, q->U + 16);
        u2 = _mm512_maskz_loadu_ps(m2, q->U + 32);
        u3 = _mm512_maskz_loadu_ps(m3, q->U + 48);
    }
    for (mango_idx t = 0; t < q->T; t++) {
        uint64_t w = spk5_lif_step(k, r, scale, q, t, 0, m0, &u0);
        if (V > 1) {
            w |= spk5_lif_step(k, r, scale, q, t, 16, m1, &u1);
            w |= spk5_lif_step(k, r, scale, q, t, 32, m2, &u2);
            w |= spk5_lif_step(k, r, scale, q, t, 48, m3, &u3);
        }
        q->S[t * q->ldS] = w;
    }
    _mm512_mask_storeu_ps(q->U, m0, u0);
    if (V > 1) {
        _mm512_mask_storeu_ps(q->U + 16, m1, u1);
        _mm512_mask_storeu_ps(q->U + 32, m2, u2);
        _mm512_mask_storeu_ps(q->U + 48, m3, u3);
    }
}

/* ---- which rule ---------------------------------------------------------------- */

/* The frameworks' two rules are compiled as constants. */
static const spkl_rule spkl_torch = {MGI_CHARGE_LEAK, 1, 0, 1, 0, 0};
static const spkl_rule spkl_jelly = {MGI_CHARGE_TAU, 0, 1, 0, 1, 1};

static spkl_rule spkl_of(const mgi_lif_rule *r, float scale)
{
    const spkl_rule k = {r->charge,
                         r->delay,
                         r->reset == MGI_RESET_VALUE,
                         r->reset == MGI_RESET_SUBTRACT,
                         r->on_equal,
                         scale > 0.0f && r->charge != MGI_CHARGE_LEAK};
    return k;
}

__attribute__((target("avx2"))) MGI_FN void mgi_avx2_lif_bits(const mgi_lif_rule *r,
                                                              const mgi_lif_run *q)
{
    if (r->once) {
        mgi_ref_lif_bits(r, q);
        return;
    }
    const float scale = spkl_scale(r->tau);
    const spkl_rule k = spkl_of(r, scale);
    if (memcmp(&k, &spkl_torch, sizeof k) == 0)
        spkl_body(spkl_torch, r, scale, q);
    else if (memcmp(&k, &spkl_jelly, sizeof k) == 0)
        spkl_body(spkl_jelly, r, scale, q);
    else
        spkl_body(k, r, scale, q);
}

__attribute__((target("avx512f"))) MGI_FN void mgi_avx512_lif_bits(const mgi_lif_rule *r,
                                                                   const mgi_lif_run *q)
{
    if (r->once) {
        mgi_ref_lif_bits(r, q);
        return;
    }
    const float scale = spkl_scale(r->tau);
    const spkl_rule k = spkl_of(r, scale);
    const int torch = memcmp(&k, &spkl_torch, sizeof k) == 0;
    const int jelly = memcmp(&k, &spkl_jelly, sizeof k) == 0;
    if (q->n <= 16)
        spk5_lif(1, k, r, scale, q);
    else if (torch)
        spk5_lif(4, spkl_torch, r, scale, q);
    else if (jelly)
        spk5_lif(4, spkl_jelly, r, scale, q);
    else
        spk5_lif(4, k, r, scale, q);
}

#undef SPK5_BODY
#undef SPK3_BODY
#undef SPK3_GET
#undef SPK3_ADD
#undef SPK3_PUT
#undef SPK3_ALL
#undef SPKL_BODY
#undef SPK5L
#undef SPK_LINE
#endif

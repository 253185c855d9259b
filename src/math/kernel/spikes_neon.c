/* spikes_neon.c - the gather of maps of bits for 64-bit ARM: panels of 16, the
 * sums of 4 of them in 16 of the 32 registers.
 * SPDX-License-Identifier: MIT */
#include "../spikes.h"

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

/* P is a constant: the loops over panels and vectors are unrolled. */
static inline __attribute__((always_inline)) void
spkn_body(int P, const mgi_active *a, const float *b, mango_idx pitch, float *acc)
{
    float32x4_t s[16];
    for (mango_idx i = 0; i < a->m; i++) {
        float *at = acc + a->row[i] * 16 * P;
        for (int v = 0; v < 4 * P; v++)
            s[v] = vld1q_f32(at + 4 * v);
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const float *row = b + mgi_bits_first(w) * 16;
            for (int v = 0; v < 4 * P; v++)
                s[v] = vaddq_f32(s[v], vld1q_f32(row + v / 4 * pitch + v % 4 * 4));
        }
        for (int v = 0; v < 4 * P; v++)
            vst1q_f32(at + 4 * v, s[v]);
    }
}

MGI_FN void mgi_neon_gather(mango_idx panels, const mgi_active *a, const float *b,
                            mango_idx pitch, float *acc)
{
    switch (panels) {
    case 1: spkn_body(1, a, b, pitch, acc); break;
    case 2: spkn_body(2, a, b, pitch, acc); break;
    case 3: spkn_body(3, a, b, pitch, acc); break;
    default: spkn_body(4, a, b, pitch, acc); break;
    }
}

MGI_FN void mgi_neon_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc)
{
    int16x8_t s[8];
    for (mango_idx i = 0; i < a->m; i++) {
        int16_t *at = acc + a->row[i] * MGI_INT8_OUT;
        for (int v = 0; v < 8; v++)
            s[v] = vld1q_s16(at + 8 * v);
        for (uint64_t w = a->x[i]; w; w &= w - 1) {
            const int8_t *q = b + mgi_bits_first(w) * MGI_INT8_OUT;
            for (int v = 0; v < 8; v++)
                s[v] = vaddw_s8(s[v], vld1_s8(q + 8 * v));
        }
        for (int v = 0; v < 8; v++)
            vst1q_s16(at + 8 * v, s[v]);
    }
}

/* Each step through the float kernel; then 4 spikes give 4 bits. */
MGI_FN void mgi_neon_lif_bits(const mgi_lif_rule *r, const mgi_lif_run *q)
{
    static const uint32_t power[4] = {1, 2, 4, 8};
    const mgi_kernels *k = mgi_kernels_neon();
    const uint32x4_t bit = vld1q_u32(power);
    float x[64], spike[64] = {0.0f};
    for (mango_idx t = 0; t < q->T; t++) {
        const float *X = q->X + (q->row ? q->row[t] : t) * q->ldX;
        uint64_t w = q->bits ? q->bits[t * q->ldbits] : 0, S = 0;
        if (q->bias)
            k->add(q->n, X, q->bias, x);
        else
            memcpy(x, X, (size_t)q->n * sizeof *x);
        if (q->res)
            k->add(q->n, x, q->res + t * q->ldres, x);
        for (; w; w &= w - 1)
            x[mgi_bits_first(w)] += 1.0f;
        k->lif(q->n, r, x, q->U, spike);
        for (mango_idx j = 0; j < q->n; j += 4) {
            const uint32x4_t on = vcgtq_f32(vld1q_f32(spike + j), vdupq_n_f32(0.0f));
            S |= (uint64_t)vaddvq_u32(vandq_u32(on, bit)) << j;
        }
        q->S[t * q->ldS] = S;
    }
}
#endif

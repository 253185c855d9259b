/* spikes_neon.c - the gather of maps of bits for 64-bit ARM: panels of 16, the
 * sums of 4 of them in 16 of the 32 registers.
 * SPDX-License-Identifier: MIT */
#include "spikes.h"

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

/* P is a constant: the loops over panels and vectors are unrolled. */
static inline __attribute__((always_inline)) void
spkn_body(int P, mango_idx m, mango_idx per, const mgi_gather *run, const float *b,
          mango_idx pitch, float *acc, int load)
{
    float32x4_t s[16];
    for (; m > 0; m--, acc += P * 16) {
        for (int v = 0; v < 4 * P; v++)
            s[v] = load ? vld1q_f32(acc + 4 * v) : vdupq_n_f32(0.0f);
        for (const mgi_gather *end = run + per; run < end; run++)
            for (mango_idx i = 0; i < run->n; i++) {
                const float *row = b + run->b + run->at[i];
                for (int v = 0; v < 4 * P; v++)
                    s[v] = vaddq_f32(s[v], vld1q_f32(row + v / 4 * pitch + v % 4 * 4));
            }
        for (int v = 0; v < 4 * P; v++)
            vst1q_f32(acc + 4 * v, s[v]);
    }
}

MGI_FN void mgi_neon_gather(mango_idx panels, mango_idx m, mango_idx per,
                            const mgi_gather *run, const float *b, mango_idx pitch,
                            float *acc, int load)
{
    switch (panels) {
    case 1: spkn_body(1, m, per, run, b, pitch, acc, load); break;
    case 2: spkn_body(2, m, per, run, b, pitch, acc, load); break;
    case 3: spkn_body(3, m, per, run, b, pitch, acc, load); break;
    default: spkn_body(4, m, per, run, b, pitch, acc, load); break;
    }
}

/* One word at a time through the float kernel; then 4 spikes give 4 bits. */
MGI_FN void mgi_neon_lif_bits(mango_idx rows, mango_idx C, const mgi_lif_rule *r,
                              const float *X, float *U, uint64_t *S)
{
    static const uint32_t power[4] = {1, 2, 4, 8};
    const mgi_kernels *k = mgi_kernels_neon();
    const uint32x4_t bit = vld1q_u32(power);
    float spike[64] = {0.0f};
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            uint64_t w = 0;
            k->lif(m, r, X, U, spike);
            for (mango_idx j = 0; j < m; j += 4) {
                const uint32x4_t on = vcgtq_f32(vld1q_f32(spike + j), vdupq_n_f32(0.0f));
                w |= (uint64_t)vaddvq_u32(vandq_u32(on, bit)) << j;
            }
            *S++ = m < 64 ? w & (((uint64_t)1 << m) - 1) : w;
            X += m, U += m;
        }
}
#endif

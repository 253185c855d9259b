/* lif_x86.c - LIF steps and mixes of two rows with AVX2, 8 values at a time.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* No fma in the target: nothing can be contracted. The order is lifstep.h's. */
#define XL static __attribute__((target("avx2")))
#define XL_ENTRY __attribute__((target("avx2"))) MGI_FN
#define XL_BODY static inline __attribute__((always_inline, target("avx2")))

XL_BODY __m256 xl_fires(int on_equal, __m256 H, __m256 U_thr)
{
    return on_equal ? _mm256_cmp_ps(H, U_thr, _CMP_GE_OQ) : _mm256_cmp_ps(H, U_thr, _CMP_GT_OQ);
}

XL_BODY __m256 xl_charge(const mgi_lif_rule *r, __m256 U, __m256 X)
{
    const __m256 gX = _mm256_mul_ps(_mm256_set1_ps(r->gain), X);
    if (r->charge == MGI_CHARGE_LEAK)
        return _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(r->beta), U), gX);
    const __m256 d = _mm256_sub_ps(U, _mm256_set1_ps(r->U_rest)), tau = _mm256_set1_ps(r->tau);
    if (r->charge == MGI_CHARGE_TAU)
        return _mm256_add_ps(U, _mm256_div_ps(_mm256_sub_ps(gX, d), tau));
    return _mm256_add_ps(_mm256_sub_ps(U, _mm256_div_ps(d, tau)), gX);
}

XL_ENTRY void mgi_avx2_lif(mango_idx n, const mgi_lif_rule *r, const float *X, float *U,
                           float *S)
{
    const __m256 one = _mm256_set1_ps(1.0f), thr = _mm256_set1_ps(r->U_thr);
    const __m256 value = _mm256_set1_ps(r->U_reset);
    const int subtract = r->reset == MGI_RESET_SUBTRACT, set = r->reset == MGI_RESET_VALUE;
    mango_idx i = 0;
    if (r->once) {
        mgi_lif_ref(n, r, X, U, S);
        return;
    }
    for (; i + 8 <= n; i += 8) {
        __m256 u = _mm256_loadu_ps(U + i);
        const __m256 pending = xl_fires(r->on_equal, u, thr);
        if (r->delay && set)
            u = _mm256_blendv_ps(u, value, pending);
        __m256 H = xl_charge(r, u, _mm256_loadu_ps(X + i));
        if (r->delay && subtract)
            H = _mm256_blendv_ps(H, _mm256_sub_ps(H, thr), pending);
        const __m256 fires = xl_fires(r->on_equal, H, thr);
        _mm256_storeu_ps(S + i, _mm256_and_ps(fires, one));
        if (!r->delay && subtract)
            H = _mm256_blendv_ps(H, _mm256_sub_ps(H, thr), fires);
        if (!r->delay && set)
            H = _mm256_blendv_ps(H, value, fires);
        _mm256_storeu_ps(U + i, H);
    }
    mgi_lif_ref(n - i, r, X + i, U + i, S + i);
}

XL_ENTRY void mgi_avx2_mix(mango_idx n, const float *x, const float *y, float *z)
{
    const __m256 a = _mm256_set1_ps(0.75f), b = _mm256_set1_ps(0.25f);
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(z + i, _mm256_add_ps(_mm256_mul_ps(a, _mm256_loadu_ps(x + i)),
                                              _mm256_mul_ps(b, _mm256_loadu_ps(y + i))));
    mgi_ref_mix(n - i, x + i, y + i, z + i);
}

#undef XL
#undef XL_ENTRY
#undef XL_BODY
#endif

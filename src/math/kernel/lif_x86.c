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

/* ---- neurons with constants of their own, currents, recurrence --------------------- */

/* Constants of 8 neurons. */
typedef struct xl_cells {
    __m256 leak, alpha, thr;
} xl_cells;

XL_BODY xl_cells xl_own(const mgi_lif_rule *r, const mgi_lif_cells *c, mango_idx i)
{
    const float leak = r->charge == MGI_CHARGE_LEAK ? r->beta : r->tau;
    xl_cells own;
    own.leak = c->leak ? _mm256_loadu_ps(c->leak + i) : _mm256_set1_ps(leak);
    own.alpha = c->alpha ? _mm256_loadu_ps(c->alpha + i) : _mm256_set1_ps(r->alpha);
    own.thr = c->U_thr ? _mm256_loadu_ps(c->U_thr + i) : _mm256_set1_ps(r->U_thr);
    return own;
}

/* mgi_lif_current */
XL_BODY __m256 xl_current(const mgi_lif_rule *r, const mgi_lif_cells *c, const xl_cells *own,
                          mango_idx i, __m256 X)
{
    __m256 J = _mm256_mul_ps(_mm256_set1_ps(r->gain), X);
    if (c->I)
        J = _mm256_add_ps(_mm256_mul_ps(own->alpha, _mm256_loadu_ps(c->I + i)), J);
    if (c->R && (c->I || r->charge != MGI_CHARGE_LEAK))
        J = _mm256_add_ps(J, _mm256_loadu_ps(c->R + i));
    if (c->I)
        _mm256_storeu_ps(c->I + i, J);
    return J;
}

/* mgi_lif_carry */
XL_BODY __m256 xl_carry(const mgi_lif_rule *r, const mgi_lif_cells *c, const xl_cells *own,
                        mango_idx i, __m256 u, __m256 J)
{
    if (r->charge == MGI_CHARGE_LEAK) {
        const __m256 H = _mm256_add_ps(_mm256_mul_ps(own->leak, u), J);
        return c->R && !c->I ? _mm256_add_ps(H, _mm256_loadu_ps(c->R + i)) : H;
    }
    const __m256 d = _mm256_sub_ps(u, _mm256_set1_ps(r->U_rest));
    if (r->charge == MGI_CHARGE_TAU)
        return _mm256_add_ps(u, _mm256_div_ps(_mm256_sub_ps(J, d), own->leak));
    return _mm256_add_ps(_mm256_sub_ps(u, _mm256_div_ps(d, own->leak)), J);
}

/* mgi_lif_leave; u, H: before the step, at firing. */
XL_BODY __m256 xl_leave(const mgi_lif_rule *r, __m256 thr, __m256 pending, __m256 fires,
                        __m256 H)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    if (r->once) {
        const __m256 d = _mm256_sub_ps(_mm256_and_ps(fires, one), _mm256_and_ps(pending, one));
        return _mm256_sub_ps(H, _mm256_mul_ps(d, thr));
    }
    if (r->delay || r->reset == MGI_RESET_NONE)
        return H;
    return _mm256_blendv_ps(H,
                            r->reset == MGI_RESET_SUBTRACT ? _mm256_sub_ps(H, thr)
                                                           : _mm256_set1_ps(r->U_reset),
                            fires);
}

XL_ENTRY void mgi_avx2_lif_cells(mango_idx n, const mgi_lif_rule *r, const mgi_lif_cells *c,
                                 const float *X, float *U, float *S)
{
    const __m256 one = _mm256_set1_ps(1.0f), value = _mm256_set1_ps(r->U_reset);
    const int early = r->delay || r->once, set = r->delay && r->reset == MGI_RESET_VALUE;
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8) {
        const xl_cells own = xl_own(r, c, i);
        const __m256 u = _mm256_loadu_ps(U + i), pending = xl_fires(r->on_equal, u, own.thr);
        const __m256 from = set && !r->after ? _mm256_blendv_ps(u, value, pending) : u;
        const __m256 J = xl_current(r, c, &own, i, _mm256_loadu_ps(X + i));
        __m256 H = xl_carry(r, c, &own, i, from, J);
        if (set && r->after)
            H = _mm256_blendv_ps(H, value, pending);
        if (early && r->reset == MGI_RESET_SUBTRACT)
            H = _mm256_blendv_ps(H, _mm256_sub_ps(H, own.thr), pending);
        const __m256 fires = xl_fires(r->on_equal, H, own.thr);
        _mm256_storeu_ps(S + i, _mm256_and_ps(fires, one));
        _mm256_storeu_ps(U + i, xl_leave(r, own.thr, pending, fires, H));
    }
    const mgi_lif_cells rest = {c->leak ? c->leak + i : NULL, c->alpha ? c->alpha + i : NULL,
                                c->U_thr ? c->U_thr + i : NULL, c->R ? c->R + i : NULL,
                                c->I ? c->I + i : NULL};
    mgi_lif_cells_ref(n - i, r, &rest, X + i, U + i, S + i);
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

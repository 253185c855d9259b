/* lif_neon.c - steps of LIF neurons with constants of their own, 4 at a time.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

/* The order of operations is lifstep.h's; no fma. */
static inline uint32x4_t nl_fires(int on_equal, float32x4_t H, float32x4_t U_thr)
{
    return on_equal ? vcgeq_f32(H, U_thr) : vcgtq_f32(H, U_thr);
}

static inline float32x4_t nl_one(uint32x4_t fires)
{
    return vreinterpretq_f32_u32(vandq_u32(fires, vreinterpretq_u32_f32(vdupq_n_f32(1.0f))));
}

/* Constants of 4 neurons. */
typedef struct nl_cells {
    float32x4_t leak, alpha, thr;
} nl_cells;

static inline nl_cells nl_own(const mgi_lif_rule *r, const mgi_lif_cells *c, mango_idx i)
{
    const float leak = r->charge == MGI_CHARGE_LEAK ? r->beta : r->tau;
    nl_cells own;
    own.leak = c->leak ? vld1q_f32(c->leak + i) : vdupq_n_f32(leak);
    own.alpha = c->alpha ? vld1q_f32(c->alpha + i) : vdupq_n_f32(r->alpha);
    own.thr = c->U_thr ? vld1q_f32(c->U_thr + i) : vdupq_n_f32(r->U_thr);
    return own;
}

/* mgi_lif_current */
static inline float32x4_t nl_current(const mgi_lif_rule *r, const mgi_lif_cells *c,
                                     const nl_cells *own, mango_idx i, float32x4_t X)
{
    float32x4_t J = vmulq_f32(vdupq_n_f32(r->gain), X);
    if (c->I)
        J = vaddq_f32(vmulq_f32(own->alpha, vld1q_f32(c->I + i)), J);
    if (c->R && (c->I || r->charge != MGI_CHARGE_LEAK))
        J = vaddq_f32(J, vld1q_f32(c->R + i));
    if (c->I)
        vst1q_f32(c->I + i, J);
    return J;
}

/* mgi_lif_carry */
static inline float32x4_t nl_carry(const mgi_lif_rule *r, const mgi_lif_cells *c,
                                   const nl_cells *own, mango_idx i, float32x4_t u,
                                   float32x4_t J)
{
    if (r->charge == MGI_CHARGE_LEAK) {
        const float32x4_t H = vaddq_f32(vmulq_f32(own->leak, u), J);
        return c->R && !c->I ? vaddq_f32(H, vld1q_f32(c->R + i)) : H;
    }
    const float32x4_t d = vsubq_f32(u, vdupq_n_f32(r->U_rest));
    if (r->charge == MGI_CHARGE_TAU)
        return vaddq_f32(u, vdivq_f32(vsubq_f32(J, d), own->leak));
    return vaddq_f32(vsubq_f32(u, vdivq_f32(d, own->leak)), J);
}

/* mgi_lif_leave */
static inline float32x4_t nl_leave(const mgi_lif_rule *r, float32x4_t thr, uint32x4_t pending,
                                   uint32x4_t fires, float32x4_t H)
{
    if (r->once)
        return vsubq_f32(H, vmulq_f32(vsubq_f32(nl_one(fires), nl_one(pending)), thr));
    if (r->delay || r->reset == MGI_RESET_NONE)
        return H;
    return vbslq_f32(fires,
                     r->reset == MGI_RESET_SUBTRACT ? vsubq_f32(H, thr)
                                                    : vdupq_n_f32(r->U_reset),
                     H);
}

MGI_FN void mgi_neon_lif_cells(mango_idx n, const mgi_lif_rule *r, const mgi_lif_cells *c,
                               const float *X, float *U, float *S)
{
    const float32x4_t value = vdupq_n_f32(r->U_reset);
    const int early = r->delay || r->once, set = r->delay && r->reset == MGI_RESET_VALUE;
    mango_idx i = 0;
    for (; i + 4 <= n; i += 4) {
        const nl_cells own = nl_own(r, c, i);
        const float32x4_t u = vld1q_f32(U + i);
        const uint32x4_t pending = nl_fires(r->on_equal, u, own.thr);
        const float32x4_t from = set && !r->after ? vbslq_f32(pending, value, u) : u;
        const float32x4_t J = nl_current(r, c, &own, i, vld1q_f32(X + i));
        float32x4_t H = nl_carry(r, c, &own, i, from, J);
        if (set && r->after)
            H = vbslq_f32(pending, value, H);
        if (early && r->reset == MGI_RESET_SUBTRACT)
            H = vbslq_f32(pending, vsubq_f32(H, own.thr), H);
        const uint32x4_t fires = nl_fires(r->on_equal, H, own.thr);
        vst1q_f32(S + i, nl_one(fires));
        vst1q_f32(U + i, nl_leave(r, own.thr, pending, fires, H));
    }
    const mgi_lif_cells rest = {c->leak ? c->leak + i : NULL, c->alpha ? c->alpha + i : NULL,
                                c->U_thr ? c->U_thr + i : NULL, c->R ? c->R + i : NULL,
                                c->I ? c->I + i : NULL};
    mgi_lif_cells_ref(n - i, r, &rest, X + i, U + i, S + i);
}
#endif

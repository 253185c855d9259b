/* winograd_neon.c - the tile transforms for 64-bit ARM, 4 channels at a time.
 * SPDX-License-Identifier: MIT */
#include "winobody.h"

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

#define WINO_T float32x4_t
#define WINO_W 4
#define WINO_GET(p) vld1q_f32(p)
#define WINO_PUT(p, v) vst1q_f32(p, v)
#define WINO_ADD(a, b) vaddq_f32(a, b)
#define WINO_SUB(a, b) vsubq_f32(a, b)
#define WINO_MAC(k, a, b) vfmaq_n_f32(b, a, k)
#define WINO_RELU(v) vbslq_f32(vcgtq_f32(v, vdupq_n_f32(0.0f)), v, vdupq_n_f32(0.0f))
#define WINO_ZERO vdupq_n_f32(0.0f)
MGI_WINO_SET(mgi_wino_neon, static);

MGI_FN const mgi_winograd_set *mgi_winograd_neon(void)
{
    return &mgi_wino_neon_set;
}

#undef WINO_T
#undef WINO_W
#undef WINO_GET
#undef WINO_PUT
#undef WINO_ADD
#undef WINO_SUB
#undef WINO_MAC
#undef WINO_RELU
#undef WINO_ZERO

#else

MGI_FN const mgi_winograd_set *mgi_winograd_neon(void)
{
    return NULL;
}

#endif

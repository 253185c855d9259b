/* kernels.h - the table of inner loops, chosen once at run time.
 * Algorithms (gemm.c, conv.c, pool.c, net/lif.c, ...) hold no intrinsics: they
 * call this table. kernels_ref.c fills every entry with plain C, which stays
 * for good as documentation, fallback and oracle; kernels_x86.c and
 * kernels_neon.c replace entries. Every set gives the same bits: each output
 * is one chain of fused multiply-adds over k in ascending order.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_KERNELS_H
#define MGI_KERNELS_H

#include "../base/mgi.h"
#include "lifstep.h"

/* One run of the inner product: n consecutive k. Row i of A reads
 * a[i][tap.a + j], B reads row tap.b + j of its packed panel, j = 0..n-1.
 * A plain GEMM has one tap; a convolution one per kernel row (see conv.c). */
typedef struct mgi_tap {
    mango_idx a, b, n;
} mgi_tap;

typedef struct mgi_kernels {
    const char *name; /* "ref", "sse2", "avx2", "avx512", "neon" */
    int mr, nr;       /* register tile: rows of A, columns of B */

    /* tile - C(m,n) [+]= sum over taps of A * B, m <= mr rows, n <= nr columns.
     *   a    (m) row pointers      b  packed panel (K, nr): row k at b + k*nr
     *   c    (m,n) with row stride ldc
     *   load 0: every chain starts at +0; 1: it goes on from c. */
    void (*tile)(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                 const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load);

    /* y[i] = x[i] + b[i % nb] and the like: rows of nb channels, one pass. */
    void (*add)(mango_idx n, const float *x, const float *y, float *z);         /* z = x + y */
    void (*axpy)(mango_idx n, float a, const float *x, float *y);               /* y = fma(a,x,y) */
    void (*relu)(mango_idx n, const float *x, float *y);                        /* x > 0 ? x : +0 */
    void (*maximum)(mango_idx n, const float *x, float *y);                     /* y = x > y ? x : y */
    void (*scale_shift)(mango_idx rows, mango_idx nb, const float *s, const float *t,
                        const float *x, float *y);             /* y = fma(s[c], x, t[c]) */
    /* One LIF step for n neurons; lifstep.h has the rule and its meaning, and
     * mgi_lif_ref, the reference entry. X input current, U state, S spikes out
     * as 0/1 floats (never NULL). */
    void (*lif)(mango_idx n, const mgi_lif_rule *rule, const float *X, float *U, float *S);
} mgi_kernels;

/* The table in force: best the CPU supports, or the one that MANGO_SIMD
 * (ref|sse2|avx2|avx512|neon) names; an unknown or unsupported name falls back
 * to the best one below. Thread-safe, constant after the first call. */
MGI_FN const mgi_kernels *mgi_kernels_get(void);
/* A set by name for tests and benches; NULL when this CPU lacks it. */
MGI_FN const mgi_kernels *mgi_kernels_named(const char *name);
/* Force a set for this process (tests); false when the CPU lacks it. */
MGI_FN int mgi_kernels_force(const char *name);

#endif

/* loops.h - loops of training, chosen with the kernel set.
 *
 * Most are one plain body in loops.c, compiled once for the base machine and
 * once for AVX2 (without fma: nothing can be contracted), so all sets give the
 * same bits; a few are written by hand in loops_x86.c.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_LOOPS_H
#define MGI_LOOPS_H

#include "kernel/kernels.h"

/* What one step of a LIF layer backwards needs, see net/lif.c. */
typedef struct mgi_lif_grad {
    mgi_lif_rule r;
    float rest, a, g, kick; /* kick: dS gains kick * D[t+1] when subtracting */
    int atan, through;      /* through: the reset passes gradient */
    float slope;
} mgi_lif_grad;

/* One update of Adam or SGD, see train/optim.c. */
typedef struct mgi_optim_rule {
    float clip, lr, wd, mu, b1, b2, eps, c1, c2;
    int nesterov, decoupled;
} mgi_optim_rule;

/* A value of a map that is not zero: row `at` (its channel) of the weights. */
typedef struct mgi_few {
    float v;
    uint32_t at;
} mgi_few;

typedef struct mgi_loops {
    /* H = the membrane at firing from U and X; U = what the step leaves. */
    void (*lif_charge)(mango_idx n, const mgi_lif_rule *r, const float *X, float *U, float *H);
    /* D from D[t+1] to D[t]; dX = g D, or dX += g D. H may be dX. */
    void (*lif_back)(mango_idx n, const mgi_lif_grad *k, const float *H, const float *dS,
                     int add, float *D, float *dX);
    void (*sgd)(mango_idx n, const mgi_optim_rule *r, const float *g, float *m, float *w);
    void (*adam)(mango_idx n, const mgi_optim_rule *r, const float *g, float *m, float *v,
                 float *w);
    void (*average)(mango_idx n, float c, const float *w, float *e); /* e += c (w - e) */
    /* n channels of one place of a pooling window: number q is written into
     * `place` where x > best, best = max(best, x). */
    void (*pool_best)(mango_idx n, int32_t q, const float *x, float *best, int32_t *place);
    void (*pool_give)(mango_idx n, int32_t q, const int32_t *place, const float *dy, float *dx);
    void (*relu_back)(mango_idx n, const float *y, const float *dy, float *dx);
    /* Batch norm, R rows of m channels, C floats apart; what norm.c says. */
    void (*norm_moments)(mango_idx R, mango_idx C, mango_idx m, const float *x,
                         const float *about, double *a, double *b);
    void (*norm_products)(mango_idx R, mango_idx C, mango_idx m, const float *x,
                          const float *dy, const float *mean, double *a, double *b);
    void (*norm_apply)(mango_idx R, mango_idx C, mango_idx m, const float *x, const float *mean,
                       const float *scale, const float *shift, float *y);
    void (*norm_spread)(mango_idx R, mango_idx C, mango_idx m, const float *x, const float *dy,
                        const float *mean, const float *k0, const float *k1, const float *k2,
                        float *dx);
    /* rows pixels of C channels, as in spikes.h: bits of what is 1. False, with
     * the bits undefined, when something is neither 0 nor 1. */
    int (*bits)(mango_idx rows, mango_idx C, const float *x, uint64_t *bits);
    /* c(i,j) [+]= sum of b(p,j) over the bits p of mask(i), ascending, for i < m and
     * j < n <= 64. mask: `words` words a row; load as in the kernel `tile`. */
    void (*sum_rows)(mango_idx m, mango_idx n, mango_idx words, const uint64_t *mask,
                     const float *b, mango_idx ldb, float *c, mango_idx ldc, int load);
    /* For each of m pixels i and its entries e = from(i) .. from(i+1), ascending:
     * c(i,j) = fma(e.v, b(e.at,j), c(i,j)), j < n <= nr. b: rows of nr floats. */
    void (*few)(mango_idx m, mango_idx n, const uint32_t *from, const mgi_few *e,
                const float *b, mango_idx nr, float *c, mango_idx ldc);
} mgi_loops;

/* The loops that go with the kernel set in force. */
MGI_FN const mgi_loops *mgi_loops_get(void);

MGI_FN const mgi_loops *mgi_loops_base(void); /* plain */
#if defined(__GNUC__) && defined(__x86_64__)
/* loops_x86.c */
MGI_FN void mgi_avx2_lif_back(mango_idx n, const mgi_lif_grad *k, const float *H,
                              const float *dS, int add, float *D, float *dX);
MGI_FN void mgi_avx2_adam(mango_idx n, const mgi_optim_rule *r, const float *g, float *m,
                          float *v, float *w);
MGI_FN int mgi_avx2_bits(mango_idx rows, mango_idx C, const float *x, uint64_t *bits);
MGI_FN void mgi_avx2_sum_rows(mango_idx m, mango_idx n, mango_idx words, const uint64_t *mask,
                              const float *b, mango_idx ldb, float *c, mango_idx ldc, int load);
MGI_FN void mgi_avx512_sum_rows(mango_idx m, mango_idx n, mango_idx words,
                                const uint64_t *mask, const float *b, mango_idx ldb,
                                float *c, mango_idx ldc, int load);
MGI_FN void mgi_avx2_few(mango_idx m, mango_idx n, const uint32_t *from, const mgi_few *e,
                         const float *b, mango_idx nr, float *c, mango_idx ldc);
MGI_FN void mgi_avx512_few(mango_idx m, mango_idx n, const uint32_t *from, const mgi_few *e,
                           const float *b, mango_idx nr, float *c, mango_idx ldc);
#endif

#endif

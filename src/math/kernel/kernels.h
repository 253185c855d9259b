/* kernels.h - the table of inner loops, chosen once at run time.
 * Algorithms (gemm.c, conv.c, pool.c, net/lif.c, ...) hold no intrinsics: they
 * call this table. kernels_ref.c, with plain.c, tanh.c and half.c, fills every entry
 * with plain C, which stays for good as documentation, fallback and oracle;
 * kernels_sse2.c, kernels_x86.c and kernels_neon.c replace entries. Every set gives the
 * same bits: each output is one chain of fused multiply-adds over k in ascending order.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_KERNELS_H
#define MGI_KERNELS_H

#include "../../base/mgi.h"
#include "lifstep.h"

/* One run of the inner product: n consecutive k. Row i of A reads
 * a[i][tap.a + j], B reads row tap.b + j of its packed panel, j = 0..n-1.
 * A plain GEMM has one tap; a convolution one per kernel row (see conv.c). */
typedef struct mgi_tap {
    mango_idx a, b, n;
} mgi_tap;

/* The lowest set bit of w, which has one. */
static inline int mgi_bits_first(uint64_t w)
{
#if defined(__GNUC__)
    return __builtin_ctzll(w);
#else
    int i = 0;
    for (; !(w & 1); w >>= 1)
        i++;
    return i;
#endif
}

/* The active ones among 64 inputs of some pixels: bit c of x[i] is input c of
 * the pixel whose sums are in row row[i]. */
typedef struct mgi_active {
    mango_idx m;
    const uint64_t *x;  /* (m) */
    const uint8_t *row; /* (m) */
    const float *ahead; /* the next call's b, a hint: `lines` times 16 floats of each panel */
    mango_idx lines;    /* 0: none                                                          */
} mgi_active;

/* n <= 64 neurons, the outputs of one word of a pixel, over T steps. Their
 * currents in step t: X [+ bias] [+ res] [+ bits], added in this order. */
typedef struct mgi_lif_run {
    mango_idx T, n;
    const float *X;       /* row t (n) at X + t*ldX, or at X + row[t]*ldX */
    mango_idx ldX;
    const uint16_t *row;  /* (T) or NULL                                  */
    const float *bias;    /* (n) or NULL                                  */
    const float *res;     /* row t (n) at res + t*ldres, or NULL          */
    const uint64_t *bits; /* a word at bits + t*ldbits, or NULL           */
    mango_idx ldres, ldbits;
    float *U;             /* (n)                                          */
    uint64_t *S;          /* spikes: a word at S + t*ldS; 0 beyond n      */
    mango_idx ldS;
} mgi_lif_run;

typedef struct mgi_kernels {
    const char *name; /* "ref", "sse2", "avx2", "avx512", "neon" */
    int mr, nr;       /* register tile: rows of A, columns of B */

    /* tile - C(m,n) [+]= sum over taps of A * B, m <= mr rows, n <= nr columns.
     *   a    (m) row pointers      b  packed panel (K, nr): row k at b + k*nr
     *   c    (m,n) with row stride ldc
     *   load 0: every chain starts at +0; 1: it goes on from c. */
    void (*tile)(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                 const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load);

    /* outer - C(m,n) [+]= sum over runs r and p = 0..r.n-1 of A(p,i) * B(p,j),
     * m <= mr, n <= nr: the same chains, with both operands stored row p after
     * row p: A at a + r.a + p*lda + i, B at b + r.b + p*ldb + j. Nothing right
     * of column n is read. For weight gradients (p: pixels) and A given as (K,M). */
    void (*outer)(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                  mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                  int load);
    /* finish - the end of a tile of outputs: v = acc(i,j) [+ bias[j]]
     * [+ res[off[i]+j]]; relu: v > 0 ? v : +0; y[off[i]+j] = v, in this order.
     *   acc  (m,n) row stride ldacc;  bias (n) or NULL;  res like y, or NULL */
    void (*finish)(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                   const mango_idx *off, const float *bias, const float *res, int relu,
                   float *y);

    /* Elementwise, one pass; in place (y == x) is fine. */
    void (*add)(mango_idx n, const float *x, const float *y, float *z);         /* z = x + y */
    void (*axpy)(mango_idx n, float a, const float *x, float *y); /* y = fma(a,x,y) */
    void (*relu)(mango_idx n, const float *x, float *y);          /* x > 0 ? x : +0 */
    void (*maximum)(mango_idx n, const float *x, float *y);       /* y = x > y ? x : y */
    /* rows of nb channels */
    void (*scale_shift)(mango_idx rows, mango_idx nb, const float *s, const float *t,
                        const float *x, float *y);             /* y = fma(s[c], x, t[c]) */
    /* z = 0.75 x + 0.25 y, each product and the sum rounded: half of a bilinear x2 */
    void (*mix)(mango_idx n, const float *x, const float *y, float *z);
    /* One LIF step for n neurons, as lifstep.h says. X input current, U state,
     * S spikes out as 0/1 floats (never NULL). */
    void (*lif)(mango_idx n, const mgi_lif_rule *rule, const float *X, float *U, float *S);

    /* On maps of bits, see spikes.h.
     * gather - row row[i] of acc (., panels*nr), at most 64 wide, += the weights of the
     * active inputs of x[i], ascending: of input c at b + q*pitch + c*nr, q the panel. */
    void (*gather)(mango_idx panels, const mgi_active *a, const float *b, mango_idx pitch,
                   float *acc);
    void (*lif_bits)(const mgi_lif_rule *rule, const mgi_lif_run *q);
    /* The same with weights of 8 bits, 64 at b + c*64 of input c, and sums (.,64) of 16. */
    void (*gather_int8)(const mgi_active *a, const int8_t *b, int16_t *acc);
    void (*drain)(mango_idx n, int16_t *h, float *acc); /* acc += h, h = 0 */
    /* tile with the panel in half precision, widened as it is read: the bits of
     * tile on the widened panel. */
    void (*tile_half)(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                      const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc, int load);
    void (*tanh_n)(mango_idx n, const float *x, float *y);/* mgi_tanhf, see tanh.c */
    /* x = n finite halves, two bytes each, little-endian, any alignment: half.c */
    void (*widen)(mango_idx n, const unsigned char *h, float *x);
    /* One step of neurons that have constants of their own, a current or a recurrence. */
    void (*lif_cells)(mango_idx n, const mgi_lif_rule *rule, const mgi_lif_cells *c,
                      const float *X, float *U, float *S);
} mgi_kernels;

/* The table in force: best the CPU supports, or the one that MANGO_SIMD
 * (ref|sse2|avx2|avx512|neon) names; an unknown or unsupported name falls back
 * to the best one below. Thread-safe, constant after the first call. */
MGI_FN const mgi_kernels *mgi_kernels_get(void);
/* A set by name for tests and benches; NULL when this CPU lacks it. */
MGI_FN const mgi_kernels *mgi_kernels_named(const char *name);
/* The i-th of the names that MANGO_SIMD may have; NULL behind the last. */
MGI_FN const char *mgi_kernels_name(int i);
/* Force a set for this process (tests); false when the CPU lacks it. */
MGI_FN int mgi_kernels_force(const char *name);

/* The sets themselves; NULL when not compiled in or not supported here. */
MGI_FN const mgi_kernels *mgi_kernels_ref(void);
MGI_FN const mgi_kernels *mgi_kernels_sse2(void);
MGI_FN const mgi_kernels *mgi_kernels_avx2(void);
MGI_FN const mgi_kernels *mgi_kernels_avx512(void);
MGI_FN const mgi_kernels *mgi_kernels_neon(void);

/* Plain entries that other sets use, too. */
MGI_FN void mgi_ref_tile_half(const mgi_kernels *k, mango_idx m, mango_idx n,
                              const float *const *a, mango_idx ntap, const mgi_tap *tap,
                              const uint16_t *b, float *c, mango_idx ldc, int load);
MGI_FN void mgi_ref_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc);
MGI_FN void mgi_ref_drain(mango_idx n, int16_t *h, float *acc);
MGI_FN void mgi_ref_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                           const mango_idx *off, const float *bias, const float *res, int relu,
                           float *y);
MGI_FN void mgi_ref_gather(mango_idx nr, mango_idx panels, const mgi_active *a,
                           const float *b, mango_idx pitch, float *acc);
/* The neurons from j on; those before it have their bits in S. */
MGI_FN void mgi_ref_lif_part(mango_idx j, const mgi_lif_rule *r, const mgi_lif_run *q);
MGI_FN void mgi_ref_lif_bits(const mgi_lif_rule *r, const mgi_lif_run *q);
/* lif_x86.c, spikes_x86.c, spikes_neon.c: only where they are compiled. */
#if defined(__GNUC__) && defined(__x86_64__)
MGI_FN void mgi_avx2_lif(mango_idx n, const mgi_lif_rule *rule, const float *X, float *U,
                         float *S);
MGI_FN void mgi_avx2_lif_cells(mango_idx n, const mgi_lif_rule *r, const mgi_lif_cells *c,
                               const float *X, float *U, float *S);
MGI_FN void mgi_avx2_mix(mango_idx n, const float *x, const float *y, float *z);
MGI_FN void mgi_avx512_gather(mango_idx panels, const mgi_active *a, const float *b,
                              mango_idx pitch, float *acc);
MGI_FN void mgi_avx2_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc);
MGI_FN void mgi_avx2_drain(mango_idx n, int16_t *h, float *acc);
MGI_FN void mgi_avx2_gather(mango_idx panels, const mgi_active *a, const float *b,
                            mango_idx pitch, float *acc);
MGI_FN void mgi_avx512_lif_bits(const mgi_lif_rule *r, const mgi_lif_run *q);
MGI_FN void mgi_avx2_lif_bits(const mgi_lif_rule *r, const mgi_lif_run *q);
#endif
#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
MGI_FN void mgi_neon_lif_cells(mango_idx n, const mgi_lif_rule *r, const mgi_lif_cells *c,
                               const float *X, float *U, float *S);
MGI_FN void mgi_neon_lif_bits(const mgi_lif_rule *r, const mgi_lif_run *q);
MGI_FN void mgi_neon_gather_int8(const mgi_active *a, const int8_t *b, int16_t *acc);
MGI_FN void mgi_neon_gather(mango_idx panels, const mgi_active *a, const float *b,
                            mango_idx pitch, float *acc);
#endif
MGI_FN void mgi_ref_add(mango_idx n, const float *x, const float *y, float *z);
MGI_FN void mgi_ref_relu(mango_idx n, const float *x, float *y);
MGI_FN void mgi_ref_maximum(mango_idx n, const float *x, float *y);
MGI_FN void mgi_ref_mix(mango_idx n, const float *x, const float *y, float *z);
/* half.c */
MGI_FN void mgi_ref_widen(mango_idx n, const unsigned char *h, float *x);
#if defined(__GNUC__) && defined(__x86_64__)
MGI_FN void mgi_avx2_widen(mango_idx n, const unsigned char *h, float *x);
MGI_FN void mgi_avx512_widen(mango_idx n, const unsigned char *h, float *x);
#endif
/* tanh.c */
MGI_FN void mgi_ref_tanh(mango_idx n, const float *x, float *y);
#if defined(__GNUC__) && defined(__x86_64__)
MGI_FN void mgi_sse2_tanh(mango_idx n, const float *x, float *y);
MGI_FN void mgi_avx2_tanh(mango_idx n, const float *x, float *y);
MGI_FN void mgi_avx512_tanh(mango_idx n, const float *x, float *y);
#endif
#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
MGI_FN void mgi_neon_tanh(mango_idx n, const float *x, float *y);
#endif

#endif

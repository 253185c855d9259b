/* kernels_ref.c - the kernel table in plain C: documentation, fallback and oracle.
 * What other sets use, too, is in plain.c. The bodies are compiled twice: with the CPU's fused
 * multiply-add instruction where there is one, else through mgi_fmaf; the bits
 * are the same.
 * SPDX-License-Identifier: MIT */
#include "kernels.h"
#include "../../base/real.h"

#define REF_MR 4
#define REF_NR 16

#if defined(__GNUC__)
#define REF_BODY static inline __attribute__((always_inline)) void
#else
#define REF_BODY static void
#endif
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define REF_HW __attribute__((target("fma")))
#elif defined(__FP_FAST_FMAF) || defined(__aarch64__)
#define REF_HW
#define REF_ALWAYS_HW 1
#endif

/* One step of a chain; hw is a constant in every caller. */
#if defined(REF_HW)
#define REF_FMA(hw, a, b, c) ((hw) ? __builtin_fmaf(a, b, c) : mgi_fmaf(a, b, c))
#else
#define REF_FMA(hw, a, b, c) mgi_fmaf(a, b, c)
#endif

REF_BODY ref_tile(int hw MGI_UNUSED, mango_idx m, mango_idx n, const float *const *a,
                  mango_idx ntap, const mgi_tap *tap, const float *b, float *c, mango_idx ldc,
                  int load)
{
    float acc[REF_MR][REF_NR];
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < REF_NR; j++)
            acc[i][j] = load && j < n ? c[i * ldc + j] : 0.0f;
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * REF_NR;
        for (mango_idx k = 0; k < tap[t].n; k++, B += REF_NR)
            for (mango_idx i = 0; i < m; i++) {
                const float x = a[i][tap[t].a + k];
                for (mango_idx j = 0; j < REF_NR; j++)
                    acc[i][j] = REF_FMA(hw, x, B[j], acc[i][j]);
            }
    }
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < n; j++)
            c[i * ldc + j] = acc[i][j];
}

REF_BODY ref_outer(int hw MGI_UNUSED, mango_idx m, mango_idx n, const float *a, mango_idx lda,
                   const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,
                   mango_idx ldc, int load)
{
    float acc[REF_MR][REF_NR] = {{0.0f}};
    for (mango_idx i = 0; load && i < m; i++)
        for (mango_idx j = 0; j < n; j++)
            acc[i][j] = c[i * ldc + j];
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = 0; p < run[r].n; p++, A += lda, B += ldb)
            for (mango_idx i = 0; i < m; i++)
                for (mango_idx j = 0; j < n; j++)
                    acc[i][j] = REF_FMA(hw, A[i], B[j], acc[i][j]);
    }
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < n; j++)
            c[i * ldc + j] = acc[i][j];
}

REF_BODY ref_axpy(int hw MGI_UNUSED, mango_idx n, float a, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = REF_FMA(hw, a, x[i], y[i]);
}

REF_BODY ref_scale_shift(int hw MGI_UNUSED, mango_idx rows, mango_idx nb, const float *s,
                         const float *t, const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i++)
            y[i] = REF_FMA(hw, s[i], x[i], t[i]);
}

static void ref_gather(mango_idx panels, const mgi_active *a, const float *b,
                       mango_idx pitch, float *acc)
{
    mgi_ref_gather(REF_NR, panels, a, b, pitch, acc);
}

static void ref_tile_half(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                          const mgi_tap *tap, const uint16_t *b, float *c, mango_idx ldc,
                          int load)
{
    mgi_ref_tile_half(mgi_kernels_ref(), m, n, a, ntap, tap, b, c, ldc, load);
}

/* The four entries that multiply and add, for one kind of fma, and the table. */
#define REF_TABLE(sfx, hw, attr)                                                               \
    attr static void ref_tile_##sfx(mango_idx m, mango_idx n, const float *const *a,           \
                                    mango_idx ntap, const mgi_tap *tap, const float *b,        \
                                    float *c, mango_idx ldc, int load)                         \
    {                                                                                          \
        ref_tile(hw, m, n, a, ntap, tap, b, c, ldc, load);                                     \
    }                                                                                          \
    attr static void ref_outer_##sfx(mango_idx m, mango_idx n, const float *a, mango_idx lda,  \
                                     const float *b, mango_idx ldb, mango_idx nrun,            \
                                     const mgi_tap *run, float *c, mango_idx ldc, int load)    \
    {                                                                                          \
        ref_outer(hw, m, n, a, lda, b, ldb, nrun, run, c, ldc, load);                          \
    }                                                                                          \
    attr static void ref_axpy_##sfx(mango_idx n, float a, const float *x, float *y)            \
    {                                                                                          \
        ref_axpy(hw, n, a, x, y);                                                              \
    }                                                                                          \
    attr static void ref_scale_shift_##sfx(mango_idx rows, mango_idx nb, const float *s,       \
                                           const float *t, const float *x, float *y)           \
    {                                                                                          \
        ref_scale_shift(hw, rows, nb, s, t, x, y);                                             \
    }                                                                                          \
    static const mgi_kernels ref_table_##sfx = {                                               \
        "ref",          REF_MR,       REF_NR,                ref_tile_##sfx,                   \
        ref_outer_##sfx, mgi_ref_finish, mgi_ref_add,         ref_axpy_##sfx,                  \
        mgi_ref_relu,   mgi_ref_maximum, ref_scale_shift_##sfx, mgi_ref_mix, mgi_lif_ref,      \
        ref_gather,     mgi_ref_lif_bits, mgi_ref_gather_int8, mgi_ref_drain, ref_tile_half,   \
        mgi_ref_tanh, mgi_ref_widen, mgi_lif_cells_ref};

#if !defined(REF_ALWAYS_HW)
REF_TABLE(soft, 0, )
#endif
#if defined(REF_HW)
REF_TABLE(hard, 1, REF_HW)
#endif

MGI_FN const mgi_kernels *mgi_kernels_ref(void)
{
#if defined(REF_ALWAYS_HW)
    return &ref_table_hard;
#elif defined(REF_HW)
    __builtin_cpu_init();
    return __builtin_cpu_supports("fma") ? &ref_table_hard : &ref_table_soft;
#else
    return &ref_table_soft;
#endif
}

#undef REF_MR
#undef REF_NR
#undef REF_BODY
#undef REF_HW
#undef REF_ALWAYS_HW
#undef REF_FMA
#undef REF_TABLE

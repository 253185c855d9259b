/* gemm.c - C = A B for any size: B packed in panels of nr columns, K cut in
 * blocks that stay in cache, C tiles of mr x nr from the kernel table. The
 * chain of an output goes on over the blocks (load = 1), so that its bits are
 * those of mgi_gemm_ref.
 * SPDX-License-Identifier: MIT */
#include "ops.h"
#include "../base/real.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

#define GEMM_KC 512 /* k per block: B slice KC x nr and A block MC x KC stay in L2 */
#define GEMM_MC 112 /* rows of A per block, at most (rounded to mr) */

MGI_FN mango_idx mgi_pack_size(mango_idx K, mango_idx N)
{
    const mango_idx nr = mgi_kernels_get()->nr;
    return K * ((N + nr - 1) / nr) * nr;
}

MGI_FN void mgi_pack(mango_idx K, mango_idx N, const float *B, mango_idx sk, mango_idx sn,
                     float *P)
{
    const mango_idx nr = mgi_kernels_get()->nr, panels = (N + nr - 1) / nr;
    MGI_OMP(parallel for if (K * N >= MGI_GRAIN))
    for (mango_idx p = 0; p < panels; p++) {
        const mango_idx n = MGI_MIN(nr, N - p * nr);
        const float *src = B + p * nr * sn;
        float *dst = P + p * nr * K;
        for (mango_idx k = 0; k < K; k++, src += sk, dst += nr) {
            if (sn == 1)
                memcpy(dst, src, (size_t)n * sizeof *dst);
            for (mango_idx j = sn == 1 ? n : 0; j < n; j++)
                dst[j] = src[j * sn];
            for (mango_idx j = n; j < nr; j++)
                dst[j] = 0.0f;
        }
    }
}

/* One product, cut in items of mc rows times a group of B panels. */
typedef struct gemm_job {
    const mgi_kernels *k;
    mango_idx M, N, K, lda, ldc;
    const float *A, *B; /* B packed */
    float *C;
    int opa, load;
    int copy;                 /* 1: rows of A go through scratch        */
    mango_idx mc, pitch;      /* rows per item; floats per scratch row  */
    mango_idx mblocks, groups;
} gemm_job;

static mango_idx gemm_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

static mango_idx gemm_mc(const mgi_kernels *k)
{
    return gemm_up(GEMM_MC, k->mr);
}

/* Scratch of one thread: rows of KC (op n), or KC rows of mc (op t). */
static mango_idx gemm_scratch(const mgi_kernels *k)
{
    return MGI_MAX(gemm_mc(k) * (GEMM_KC + 16), GEMM_KC * gemm_up(gemm_mc(k) + 16, 16));
}

MGI_FN mango_idx mgi_gemm_work(mango_idx M, mango_idx N, mango_idx K, int opa, int opb)
{
    (void)M, (void)opa, (void)opb;
    return gemm_up(mgi_pack_size(K, N), 16) + mango_threads() * gemm_scratch(mgi_kernels_get());
}

/* Bring rows i0.. of block k0.. into scratch: op n keeps rows, op t keeps k-rows. */
static void gemm_copy(const gemm_job *g, mango_idx i0, mango_idx m, mango_idx k0, mango_idx kc,
                      float *s)
{
    const int t = g->opa == 't';
    const mango_idx rows = t ? kc : m;
    const size_t bytes = (size_t)(t ? m : kc) * sizeof *s;
    const float *src = t ? g->A + k0 * g->lda + i0 : g->A + i0 * g->lda + k0;
    for (mango_idx r = 0; r < rows; r++)
        memcpy(s + r * g->pitch, src + r * g->lda, bytes);
}

/* Rows i0 .. i0+m, k from k0, one panel of n columns: tile after tile. */
static void gemm_panel(const gemm_job *g, mango_idx i0, mango_idx m, mango_idx k0, mango_idx kc,
                       mango_idx panel, const float *s)
{
    const mgi_kernels *k = g->k;
    const mango_idx n = MGI_MIN(k->nr, g->N - panel * k->nr);
    const float *B = g->B + panel * k->nr * g->K + k0 * k->nr;
    const mango_idx tiles = (m + k->mr - 1) / k->mr, step = (m + tiles - 1) / tiles;
    const int load = g->load || k0 > 0;
    const mgi_tap run = {0, 0, kc};
    for (mango_idx i = 0; i < m; i += step) {
        const mango_idx mt = MGI_MIN(step, m - i);
        float *C = g->C + (i0 + i) * g->ldc + panel * k->nr;
        if (g->opa == 't') {
            const float *a = g->copy ? s + i : g->A + k0 * g->lda + i0 + i;
            k->outer(mt, n, a, g->copy ? g->pitch : g->lda, B, k->nr, 1, &run, C, g->ldc, load);
        } else {
            const float *row[32];
            for (mango_idx r = 0; r < mt; r++)
                row[r] = g->copy ? s + (i + r) * g->pitch : g->A + (i0 + i + r) * g->lda + k0;
            k->tile(mt, n, row, 1, &run, B, C, g->ldc, load);
        }
    }
}

static void gemm_item(const gemm_job *g, mango_idx item, float *s)
{
    const mango_idx i0 = item / g->groups * g->mc, m = MGI_MIN(g->mc, g->M - i0);
    const mango_idx panels = (g->N + g->k->nr - 1) / g->k->nr, q = item % g->groups;
    const mango_idx p0 = q * panels / g->groups, p1 = (q + 1) * panels / g->groups;
    for (mango_idx k0 = 0; k0 < g->K || k0 == 0; k0 += GEMM_KC) {
        const mango_idx kc = MGI_MIN(GEMM_KC, g->K - k0);
        if (g->copy)
            gemm_copy(g, i0, m, k0, kc, s);
        for (mango_idx p = p0; p < p1; p++)
            gemm_panel(g, i0, m, k0, kc, p, s);
    }
}

/* Cut M and the panels so that the threads get equal shares. */
static void gemm_split(gemm_job *g)
{
    const mango_idx T = mango_threads(), mr = g->k->mr, mc = gemm_mc(g->k);
    const mango_idx panels = (g->N + g->k->nr - 1) / g->k->nr;
    g->mblocks = (g->M + mc - 1) / mc;
    if (g->M >= T * mr * 2 || panels < T)
        g->mblocks = gemm_up(g->mblocks, T);
    g->mc = gemm_up((g->M + g->mblocks - 1) / g->mblocks, mr);
    g->mblocks = (g->M + g->mc - 1) / g->mc;
    g->groups = g->mblocks >= T ? 1 : MGI_MIN(panels, (2 * T + g->mblocks - 1) / g->mblocks);
    /* A few panels do not repay a copy of A, unless its rows fall on few cache sets. */
    g->copy = panels > 2 || g->lda % 1024 == 0;
    g->pitch = g->opa == 't' ? gemm_up(g->mc, 16) + 16 : GEMM_KC + 16;
}

MGI_FN void mgi_gemm(int opa, int opb, mango_idx M, mango_idx N, mango_idx K, const float *A,
                     mango_idx lda, const float *B, mango_idx ldb, float *C, mango_idx ldc,
                     int load, float *work)
{
    gemm_job g = {.k = mgi_kernels_get(), .M = M, .N = N, .K = K, .lda = lda, .ldc = ldc,
                  .A = A, .B = work, .C = C, .opa = opa, .load = load};
    if (M <= 0 || N <= 0)
        return;
    mgi_pack(K, N, B, opb == 't' ? 1 : ldb, opb == 't' ? ldb : 1, work);
    gemm_split(&g);
    float *scratch = work + gemm_up(mgi_pack_size(K, N), 16);
    const mango_idx items = g.mblocks * g.groups, each = gemm_scratch(g.k);
    MGI_OMP(parallel for schedule(dynamic) if (M * N * K > 65536))
    for (mango_idx i = 0; i < items; i++) {
#if defined(_OPENMP)
        gemm_item(&g, i, scratch + omp_get_thread_num() * each);
#else
        gemm_item(&g, i, scratch + 0 * each);
#endif
    }
}

MGI_FN void mgi_gemm_ref(int opa, int opb, mango_idx M, mango_idx N, mango_idx K,
                         const float *A, mango_idx lda, const float *B, mango_idx ldb,
                         float *C, mango_idx ldc, int load)
{
    for (mango_idx i = 0; i < M; i++)
        for (mango_idx j = 0; j < N; j++) {
            float s = load ? C[i * ldc + j] : 0.0f;
            for (mango_idx k = 0; k < K; k++)
                s = mgi_fmaf(opa == 't' ? A[k * lda + i] : A[i * lda + k],
                             opb == 't' ? B[j * ldb + k] : B[k * ldb + j], s);
            C[i * ldc + j] = s;
        }
}

#undef GEMM_KC
#undef GEMM_MC

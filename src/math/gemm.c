/* gemm.c - C = A B for any size. C is cut in blocks of rows and columns, one for
 * each thread; a thread walks its block in the order
 *
 *   columns, NC at a time         so much of B stays in the caches as it is packed
 *     k, KC at a time             the chains go on: load = 1
 *       rows, mc at a time        A (mc,kc) is copied to rows without cache conflicts
 *         panels of nr columns    B (kc,nr) is packed when the first rows meet it
 *           tiles of mr rows      the kernel: C (mr,nr) in registers
 *
 * A stays in L2 over the panels, a panel over the tiles. Nothing packed is
 * shared, so threads never wait for each other. Whatever the cut, the chain of
 * an output runs over k ascending: its bits are those of mgi_gemm_ref.
 * SPDX-License-Identifier: MIT */
#include "ops.h"
#include "../base/real.h"

#define GEMM_KC 576  /* k per block, at most; a 3x3 window of 64 channels  */
#define GEMM_MC 112  /* rows of A per block, at most: 112 x 576 x 4 = 252 KiB */
#define GEMM_NC 1024 /* columns per block, at most                        */
#define GEMM_WIDE 32 /* floats of a row of B that are packed in one go     */
#define GEMM_TURN 16 /* k per square when rows of B are turned             */

#if defined(__GNUC__)
#define GEMM_FETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define GEMM_FETCH(p) ((void)(p))
#endif

/* ---- packing ------------------------------------------------------------- */
/* Rows that lie in one piece: nr is a constant in the callers below. */
static inline void pack_rows(mango_idx kc, mango_idx nr, const float *src, mango_idx sk,
                             float *dst)
{
    for (mango_idx k = 0; k < kc; k++)
        memcpy(dst + k * nr, src + k * sk, (size_t)nr * sizeof *dst);
}

/* Columns lie in one piece (B transposed): squares of 4 x 4, GEMM_TURN k at a
 * time so that what is read and written meanwhile stays in L1. */
static void pack_square(mango_idx nr, const float *src, mango_idx sn, float *dst)
{
    const float *a = src, *b = a + sn, *c = b + sn, *d = c + sn;
    for (int k = 0; k < 4; k++, dst += nr) {
        const float r[4] = {a[k], b[k], c[k], d[k]};
        memcpy(dst, r, sizeof r);
    }
}

static void pack_turn(mango_idx kc, mango_idx n, mango_idx nr, const float *src,
                      mango_idx sn, float *dst)
{
    for (mango_idx k0 = 0; k0 < kc; k0 += GEMM_TURN) {
        const mango_idx kt = MGI_MIN(GEMM_TURN, kc - k0), k4 = k0 + kt / 4 * 4;
        for (mango_idx j = 0; j < n; j++) {
            const int four = j + 4 <= n && j % 4 == 0;
            for (mango_idx k = k0; four && k < k4; k += 4)
                pack_square(nr, src + j * sn + k, sn, dst + k * nr + j);
            for (mango_idx k = j < n / 4 * 4 ? k4 : k0; k < k0 + kt; k++)
                dst[k * nr + j] = src[j * sn + k];
        }
    }
}

/* One panel: kc rows of n <= nr floats, zeros up to nr. */
static void pack_panel(mango_idx kc, mango_idx n, mango_idx nr, const float *src,
                       mango_idx sk, mango_idx sn, float *dst)
{
    if (sn == 1 && n == nr && nr == 32)
        pack_rows(kc, 32, src, sk, dst);
    else if (sn == 1 && n == nr && nr == 16)
        pack_rows(kc, 16, src, sk, dst);
    else if (sk == 1)
        pack_turn(kc, n, nr, src, sn, dst);
    else
        for (mango_idx k = 0; k < kc; k++)
            for (mango_idx j = 0; j < n; j++)
                dst[k * nr + j] = src[k * sk + j * sn];
    for (mango_idx k = 0; n < nr && k < kc; k++)
        memset(dst + k * nr + n, 0, (size_t)(nr - n) * sizeof *dst);
}

MGI_FN mango_idx mgi_pack_size(mango_idx K, mango_idx N)
{
    const mango_idx nr = mgi_kernels_get()->nr;
    return K * mgi_round_up(N, nr);
}

/* ---- the cut ------------------------------------------------------------- */
/* One product: blocks of C, `down` by `across`. */
typedef struct gemm_job {
    const mgi_kernels *k;
    mango_idx M, N, K, lda, ldc;
    const float *A, *B;
    mango_idx sk, sn; /* steps of B along k and along its columns   */
    float *C;
    int opa, load;
    mango_idx mtiles, panels; /* of the whole of C                          */
    mango_idx down, across;
    mango_idx pitch; /* floats per row of copied A                 */
} gemm_job;

/* Where a thread is in its block: m rows from i0, panels p0..p1, kc k from k0. */
typedef struct gemm_at {
    mango_idx i0, m, p0, p1, k0, kc;
    int first, last; /* rows of the block: B is to be packed; is not needed again */
    const float *A;  /* copied rows, NULL: read where they are     */
    float *B;        /* scratch for panels                         */
} gemm_at;

static mango_idx gemm_mc(const mgi_kernels *k)
{
    return mgi_round_up(GEMM_MC, k->mr);
}

/* Copied A: floats per row, and rows; op n keeps rows of kc, op t kc rows of mc. */
static mango_idx gemm_pitch(const mgi_kernels *k, int opa, mango_idx M, mango_idx K)
{
    return mgi_round_up(opa == 't' ? MGI_MIN(gemm_mc(k), M) : MGI_MIN(GEMM_KC, K), 16) + 16;
}

static mango_idx gemm_room_a(const mgi_kernels *k, int opa, mango_idx M, mango_idx K)
{
    const mango_idx rows = opa == 't' ? MGI_MIN(GEMM_KC, K) : MGI_MIN(gemm_mc(k), M);
    return mgi_round_up(rows, 16) * gemm_pitch(k, opa, M, K);
}

/* Floats for packed B. */
static mango_idx gemm_room_b(const mgi_kernels *k, mango_idx N, mango_idx K)
{
    return MGI_MIN(GEMM_NC, mgi_round_up(N, k->nr)) * mgi_round_up(MGI_MIN(GEMM_KC, K), 16);
}

MGI_FN mango_idx mgi_gemm_work(mango_idx M, mango_idx N, mango_idx K, int opa, int opb)
{
    const mgi_kernels *k = mgi_kernels_get();
    (void)opb;
    return mango_threads() * (gemm_room_a(k, opa, M, K) + gemm_room_b(k, N, K));
}

/* Work of the largest of down x across blocks, in multiply-adds: the product,
 * and about what it costs to pack B and to copy A. */
static double gemm_cost(const gemm_job *g, mango_idx down, mango_idx across)
{
    const double m = (double)(mgi_ceil_div(g->mtiles, down) * g->k->mr);
    const double n = (double)(mgi_ceil_div(g->panels, across) * g->k->nr);
    return m * n + 24.0 * n + 8.0 * m;
}

/* As many blocks as threads, as equal and as square as they can be. */
static void gemm_cut(gemm_job *g)
{
    const mango_idx T = mango_threads();
    double least = 0;
    g->mtiles = mgi_ceil_div(g->M, g->k->mr);
    g->panels = mgi_ceil_div(g->N, g->k->nr);
    g->down = g->across = 0;
    for (mango_idx down = 1; down <= T; down++) {
        const double cost = gemm_cost(g, down, T / down);
        if (down == 1 || cost < least) {
            least = cost;
            g->down = MGI_MIN(down, g->mtiles);
            g->across = MGI_MIN(T / down, g->panels);
        }
    }
    g->pitch = gemm_pitch(g->k, g->opa, g->M, g->K);
}

/* ---- the walk ------------------------------------------------------------ */
/* Bring the rows of A into scratch: op n keeps rows, op t keeps k-rows. */
static void gemm_copy(const gemm_job *g, const gemm_at *at, float *s)
{
    const int t = g->opa == 't';
    const mango_idx rows = t ? at->kc : at->m;
    const size_t bytes = (size_t)(t ? at->m : at->kc) * sizeof *s;
    const float *src =
        t ? g->A + at->k0 * g->lda + at->i0 : g->A + at->i0 * g->lda + at->k0;
    for (mango_idx r = 0; r < rows; r++)
        memcpy(s + r * g->pitch, src + r * g->lda, bytes);
}

/* Panels are packed `wide` at a time; rows of A that are alone need none twice. */
static mango_idx gemm_wide(const gemm_job *g)
{
    return MGI_MAX(1, GEMM_WIDE / g->k->nr);
}

static float *gemm_packed(const gemm_job *g, const gemm_at *at, mango_idx panel)
{
    const mango_idx q = panel - at->p0, alone = at->first && at->last;
    return at->B + (alone ? q % (2 * gemm_wide(g)) : q) * at->kc * g->k->nr;
}

/* Pack part i of n of the panels from q on, and ask for the next part: rows of B
 * are pieces too short for the CPU to foresee, and a column of it may fall on
 * few cache sets, so that only a part stays in cache until it is packed. */
static void gemm_feed(const gemm_job *g, const gemm_at *at, mango_idx q, mango_idx i,
                      mango_idx n)
{
    const mango_idx nr = g->k->nr, end = MGI_MIN(at->p1, q + gemm_wide(g));
    const mango_idx k0 = i * at->kc / n, k1 = (i + 1) * at->kc / n;
    const float *B = g->B + (at->k0 + k0) * g->sk;
    for (mango_idx p = q; p < end; p++)
        pack_panel(k1 - k0, MGI_MIN(nr, g->N - p * nr), nr, B + p * nr * g->sn, g->sk,
                   g->sn, gemm_packed(g, at, p) + k0 * nr);
    const mango_idx c0 = q * nr, c1 = MGI_MIN(g->N, end * nr);
    for (mango_idx k = k1 - k0; g->sn == 1 && k < MGI_MIN(2 * k1 - k0, at->kc) - k0; k++)
        for (mango_idx c = c0; c < c1; c += 16)
            GEMM_FETCH(B + k * g->sk + c);
}

/* Ask for rows of C that the next tile goes on from or writes: short pieces far
 * apart, which the CPU cannot foresee. */
static void gemm_ask(const gemm_job *g, mango_idx i, mango_idx rows, mango_idx panel)
{
    const float *C = g->C + i * g->ldc + panel * g->k->nr;
    for (mango_idx r = 0; r < rows; r++, C += g->ldc) {
        GEMM_FETCH(C);
        GEMM_FETCH(C + MGI_MIN(g->k->nr, g->N - panel * g->k->nr) - 1);
    }
}

/* The rows times one packed panel: tile after tile. Between them the panels
 * from `next` on (0: none) are packed, part i of n in the order of the tiles. */
static void gemm_panel(const gemm_job *g, const gemm_at *at, mango_idx panel,
                       mango_idx next, mango_idx part, mango_idx parts)
{
    const mgi_kernels *k = g->k;
    const mango_idx n = MGI_MIN(k->nr, g->N - panel * k->nr), m = at->m;
    const mango_idx tiles = mgi_ceil_div(m, k->mr), step = mgi_ceil_div(m, tiles);
    const mango_idx pitch = at->A ? g->pitch : g->lda;
    const float *A = at->A           ? at->A
                     : g->opa == 't' ? g->A + at->k0 * g->lda + at->i0
                                     : g->A + at->i0 * g->lda + at->k0;
    const float *B = gemm_packed(g, at, panel);
    const int load = g->load || at->k0 > 0;
    const mgi_tap run = {0, 0, at->kc};
    for (mango_idx i = 0; i < m; i += step) {
        const mango_idx mt = MGI_MIN(step, m - i);
        float *C = g->C + (at->i0 + i) * g->ldc + panel * k->nr;
        if (next)
            gemm_feed(g, at, next, part * tiles + i / step, parts * tiles);
        if (i + mt < m)
            gemm_ask(g, at->i0 + i + mt, MGI_MIN(step, m - i - mt), panel);
        else if (panel + 1 < at->p1)
            gemm_ask(g, at->i0, step, panel + 1);
        if (g->opa == 't') {
            k->outer(mt, n, A + i, pitch, B, k->nr, 1, &run, C, g->ldc, load);
        } else {
            const float *row[32];
            for (mango_idx r = 0; r < mt; r++)
                row[r] = A + (i + r) * pitch;
            k->tile(mt, n, row, 1, &run, B, C, g->ldc, load);
        }
    }
}

/* All panels of a stretch of columns. */
static void gemm_rows(const gemm_job *g, const gemm_at *at)
{
    const mango_idx wide = gemm_wide(g);
    if (at->first)
        gemm_feed(g, at, at->p0, 0, 1);
    for (mango_idx q = at->p0; q < at->p1; q += wide) {
        const mango_idx end = MGI_MIN(at->p1, q + wide),
                        next = at->first && end < at->p1 ? end : 0;
        for (mango_idx p = q; p < end; p++)
            gemm_panel(g, at, p, next, p - q, end - q);
    }
}

/* Rows r0..r1 of C, all panels of the stretch, one block of k. */
static void gemm_stretch(const gemm_job *g, gemm_at *at, mango_idx r0, mango_idx r1,
                         float *s)
{
    const mango_idx mc = gemm_mc(g->k), cuts = mgi_ceil_div(r1 - r0, mc);
    const mango_idx step = mgi_round_up(mgi_ceil_div(r1 - r0, cuts), g->k->mr);
    /* A few panels do not repay a copy of A, unless its rows fall on few cache sets. */
    const int copy = at->p1 - at->p0 > 2 || g->lda % 1024 == 0;
    at->A = copy ? s : NULL;
    for (at->i0 = r0; at->i0 < r1; at->i0 += step) {
        at->m = MGI_MIN(step, r1 - at->i0);
        at->first = at->i0 == r0;
        at->last = at->i0 + at->m == r1;
        if (copy)
            gemm_copy(g, at, s);
        gemm_rows(g, at);
    }
}

/* Block `item` of C. */
static void gemm_item(const gemm_job *g, mango_idx item, float *s)
{
    const mango_idx d = item / g->across, a = item % g->across, mr = g->k->mr;
    const mango_idx r0 = d * g->mtiles / g->down * mr;
    const mango_idx r1 = MGI_MIN(g->M, (d + 1) * g->mtiles / g->down * mr);
    const mango_idx q0 = a * g->panels / g->across, q1 = (a + 1) * g->panels / g->across;
    const mango_idx nc = MGI_MAX(1, GEMM_NC / g->k->nr), cuts = mgi_ceil_div(q1 - q0, nc);
    const mango_idx turns = mgi_ceil_div(g->K, GEMM_KC); /* of about as many k */
    const mango_idx kc = turns > 1 ? mgi_round_up(mgi_ceil_div(g->K, turns), 16) : GEMM_KC;
    gemm_at at = {.B = s + gemm_room_a(g->k, g->opa, g->M, g->K)};
    for (mango_idx c = 0; c < cuts; c++) {
        at.p0 = q0 + c * (q1 - q0) / cuts;
        at.p1 = q0 + (c + 1) * (q1 - q0) / cuts;
        for (at.k0 = 0; at.k0 < g->K || at.k0 == 0; at.k0 += kc) {
            at.kc = MGI_MIN(kc, g->K - at.k0);
            gemm_stretch(g, &at, r0, r1, s);
        }
    }
}

MGI_FN void mgi_gemm(int opa, int opb, mango_idx M, mango_idx N, mango_idx K,
                     const float *A, mango_idx lda, const float *B, mango_idx ldb, float *C,
                     mango_idx ldc, int load, float *work)
{
    gemm_job g = {.k = mgi_kernels_get(),
                  .M = M,
                  .N = N,
                  .K = K,
                  .lda = lda,
                  .ldc = ldc,
                  .A = A,
                  .B = B,
                  .C = C,
                  .opa = opa,
                  .load = load,
                  .sk = opb == 't' ? 1 : ldb,
                  .sn = opb == 't' ? ldb : 1};
    if (M <= 0 || N <= 0)
        return;
    gemm_cut(&g);
    const mango_idx items = g.down * g.across;
    const mango_idx each = gemm_room_a(g.k, opa, M, K) + gemm_room_b(g.k, N, K);
    MGI_OMP(parallel for schedule(dynamic) if (M * N * K > 65536))
    for (mango_idx i = 0; i < items; i++)
        gemm_item(&g, i, mgi_thread_scratch(work, each));
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
#undef GEMM_NC
#undef GEMM_WIDE
#undef GEMM_TURN
#undef GEMM_FETCH

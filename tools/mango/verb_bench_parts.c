/* verb_bench_parts.c - the machine's peak, the optimizers' overhead, SGEMM.
 * SPDX-License-Identifier: MIT */
#include "verb_bench.h"
#include <stdlib.h>

/* ---- the machine's peak ----------------------------------------------------- */

#define BENCH_PEAK_ROUNDS 4000

/* The multiply-adds that were done; -1: none, for lack of memory. */
static mango_status bench_peak_once(void *ud)
{
    *(double *)ud = mango_peak(BENCH_PEAK_ROUNDS);
    return *(double *)ud < 0 ? MANGO_E_MEM : MANGO_OK;
}

double bench_peak_of(const bench_all *a, int threads)
{
    const int before = mango_threads();
    bench_time t = {0, 0, 0};
    double done = 0;
    mango_set_threads(threads);
    const mango_status st = bench_run(bench_peak_once, &done, 0.3 * a->seconds, 3, &t);
    mango_set_threads(before);
    return st < 0 ? 0 : 2e-9 * done / t.best;
}

mango_status bench_peak(bench_all *a)
{
    mango_kernels_info k = {0};
    if (a->peak > 0)
        return MANGO_OK;
    mango_kernels_get(&k);
    bench_step(a, "peak");
    a->peak = bench_peak_of(a, mango_threads());
    if (a->peak <= 0)
        return cli_interrupted() ? MANGO_E_STATE : MANGO_E_MEM;
    cli_print(&a->c, "peak of the %s tile, %d x %d, %d threads: %.1f GFLOP/s\n", k.name,
              k.rows, k.columns, mango_threads(), a->peak);
    mgi_str_printf(&a->s, ",\"peak_gflops\":%.2f", a->peak);
    return MANGO_OK;
}

/* ---- optimizers ------------------------------------------------------------- */

typedef struct bench_opt {
    const char *label, *preset;
    mango_idx d, n;
    int quantized;
    mango_idx queries; /* 0: one ask and tell after the other */
    uint64_t seed;
    mango_opt *opt;
    mango_idx *I, *level;
    double y[256];
    mango_idx k; /* queries of the last ask */
} bench_opt;

static mango_status bench_ask_tell(void *ud)
{
    bench_opt *b = ud;
    mango_idx K = 0;
    MGI_TRY(mango_opt_ask(b->opt, 256, &K, b->I));
    for (mango_idx k = 0; k < K; k++) {
        b->y[k] = 0;
        for (mango_idx j = 0; j < b->d; j++)
            b->y[k] += (double)b->I[k * b->d + j];
    }
    b->k = K;
    return mango_opt_tell(b->opt, K, b->I, b->y);
}

static mango_status bench_opt_new(bench_opt *b, mango_err *err)
{
    const mango_modes modes = {b->d, b->level};
    mango_opt_options o;
    MGI_TRY(mango_opt_defaults(b->preset, &o, err));
    MGI_TRY(mango_opt_set(&o, "quantized", b->quantized, err));
    return mango_opt_create(&b->opt, &modes, NULL, &o, b->seed, NULL, err);
}

/* A whole search of b->queries, creation included. */
static mango_status bench_opt_whole(void *ud)
{
    bench_opt *b = ud;
    mango_status st = bench_opt_new(b, NULL);
    for (mango_idx q = 0; st >= 0 && q < b->queries; q += b->k) {
        st = bench_ask_tell(b);
        if (cli_interrupted())
            st = MANGO_E_STATE;
    }
    mango_opt_destroy(b->opt);
    b->opt = NULL;
    return st;
}

/* Milliseconds of one ask and tell, seconds of whole searches. */
static mango_status bench_opt_times(bench_all *a, bench_opt *b, bench_time *one,
                                    bench_time whole[2], mango_err *err)
{
    static const mango_idx queries[2] = {1000, 10000};
    MGI_TRY(bench_opt_new(b, err));
    mango_status st = bench_run(bench_ask_tell, b, a->seconds, 3, one);
    mango_opt_destroy(b->opt);
    b->opt = NULL;
    for (int i = 0; st >= 0 && i < 2; i++) {
        b->queries = queries[i];
        bench_step(a, b->label);
        st = bench_run(bench_opt_whole, b, 0.2 * a->seconds, i ? 1 : 2, &whole[i]);
    }
    return st;
}

static mango_status bench_one_opt(bench_all *a, bench_opt *b, int first, mango_err *err)
{
    bench_time t = {0, 0, 0}, whole[2] = {{0, 0, 0}, {0, 0, 0}};
    b->seed = (uint64_t)a->c.seed;
    b->I = calloc((size_t)(256 * b->d), sizeof *b->I);
    b->level = calloc((size_t)b->d, sizeof *b->level);
    for (mango_idx j = 0; b->level && j < b->d; j++)
        b->level[j] = b->n;
    const mango_status st =
        b->I && b->level ? bench_opt_times(a, b, &t, whole, err) : MANGO_E_MEM;
    free(b->I);
    free(b->level);
    MGI_TRY(st);
    const double ms = 1e3 * t.best, med = 1e3 * t.median;
    cli_print(&a->c, "  %-36s %8.3f %8.3f %10.4f %10.4f\n", b->label, ms, med,
              whole[0].best, whole[1].best);
    mgi_str_printf(&a->s,
                   "%s{\"what\":\"%s\",\"preset\":\"%s\",\"ms\":%.5f,\"ms_median\":%.5f,"
                   "\"s_per_1000\":%.5f,\"s_1000\":%.5f,\"s_10000\":%.5f}",
                   first ? "" : ",", b->label, b->preset, ms, med, med / (double)b->k,
                   whole[0].best, whole[1].best);
    return MANGO_OK;
}

#define BENCH_OPTS 5
int bench_opts_steps(void)
{
    return 2 * BENCH_OPTS;
}

mango_status bench_opts(bench_all *a, mango_err *err)
{
    static const struct {
        const char *label, *preset;
        mango_idx d, n;
        int quantized;
    } row[BENCH_OPTS] = {
        {"768 modes of 2, k 10, rank 5", "tt", 768, 2, 0},
        {"128 of 64 levels, quantized, tt", "tt", 128, 64, 1},
        {"128 of 64 levels, quantized, tt-b", "tt-b", 128, 64, 1},
        {"64 of 512 levels, quantized, tt", "tt", 64, 512, 1},
        {"64 of 512 levels, tt", "tt", 64, 512, 0},
    };
    bench_opt b;
    cli_print(&a->c,
              "optimizers on a trivial objective        ask + tell, ms     whole "
              "search, s, of\n%39s %8s   %8s     %s\n",
              "", "best", "median", "1,000     10,000 queries");
    mgi_str_puts(&a->s, ",\"ask_tell\":[");
    for (int i = 0; i < BENCH_OPTS; i++) {
        memset(&b, 0, sizeof b);
        b.label = row[i].label;
        b.preset = row[i].preset;
        b.d = row[i].d;
        b.n = row[i].n;
        b.quantized = row[i].quantized;
        MGI_TRY(bench_one_opt(a, &b, i == 0, err));
    }
    mgi_str_puts(&a->s, "]");
    return MANGO_OK;
}

/* ---- SGEMM ------------------------------------------------------------------ */

typedef struct bench_gemm {
    mango_idx M, N, K;
    float *A, *B, *C, *work;
} bench_gemm;

static mango_status bench_gemm_once(void *ud)
{
    bench_gemm *g = ud;
    return mango_gemm(g->M, g->N, g->K, g->A, g->B, g->C, g->work);
}

/* A and B by the test formula, names "a" and "b", seed 1. */
static mango_status bench_one_gemm(bench_all *a, bench_gemm *g, bench_time *t)
{
    const mango_idx M = g->M, N = g->N, K = g->K;
    g->A = malloc((size_t)(M * K) * sizeof(float));
    g->B = malloc((size_t)(K * N) * sizeof(float));
    g->C = malloc((size_t)(M * N) * sizeof(float));
    g->work = malloc((size_t)mango_gemm_work(M, N, K) * sizeof(float) + 64);
    if (!g->A || !g->B || !g->C || !g->work)
        return MANGO_E_MEM;
    mango_fill_u("a", 1, M * K, g->A);
    mango_fill_u("b", 1, K * N, g->B);
    return bench_run(bench_gemm_once, g, a->seconds, 3, t);
}

/* One shape with the threads in force, whose peak is given. */
static mango_status bench_gemm_row(bench_all *a, const mango_idx size[3], double peak,
                                   int first)
{
    const mango_idx M = size[0], N = size[1], K = size[2];
    const int threads = mango_threads();
    bench_gemm g = {M, N, K, NULL, NULL, NULL, NULL};
    bench_time t = {1, 1, 1};
    bench_step(a, "sgemm");
    const mango_status st = bench_one_gemm(a, &g, &t);
    const double rate = 2e-9 * (double)(M * N) * (double)K / t.best;
    if (st >= 0) {
        char text[48];
        snprintf(text, sizeof text, "%ld x %ld x %ld", (long)M, (long)N, (long)K);
        cli_print(&a->c, "  %-24s %10d %12.1f %10.2f\n", text, threads, rate, rate / peak);
        mgi_str_printf(&a->s,
                       "%s{\"M\":%td,\"N\":%td,\"K\":%td,\"threads\":%d,\"gflops\":%.4g,"
                       "\"of_peak\":%.4f,\"probe\":[%.8g,%.8g,%.8g]}",
                       first ? "" : ",", M, N, K, threads, rate, rate / peak,
                       (double)g.C[0], (double)g.C[M / 2 * N + N / 3],
                       (double)g.C[M * N - 1]);
    }
    free(g.A);
    free(g.B);
    free(g.C);
    free(g.work);
    return st;
}

/* Squares and the rectangles of anchors; then, as M pixels x N outputs x K inputs
 * of the window: resnet18's first and last stage at batch 10, vgg's 56 x 56 maps,
 * snn_conv's second layer at one step. */
static const mango_idx bench_shape[][3] = {
    {1024, 1024, 1024}, {256, 1024, 2304}, {1024, 256, 2304}, {10240, 64, 576},
    {160, 512, 4608},   {3136, 256, 2304}, {100, 64, 5000}};

int bench_shape_read(const char *text, long v[3])
{
    char end;
    return sscanf(text, "%5ldx%5ldx%5ld%c", &v[0], &v[1], &v[2], &end) == 3 && v[0] > 0 &&
           v[1] > 0 && v[2] > 0;
}

/* The i-th shape asked for; false: there are no more. */
static int bench_shape_at(const bench_all *a, int i, mango_idx size[3])
{
    long v[3];
    if (!a->shape[0]) {
        memcpy(size, bench_shape[MGI_MIN(i, (int)MGI_COUNT(bench_shape) - 1)],
               3 * sizeof *size);
        return i < (int)MGI_COUNT(bench_shape);
    }
    if (!a->shape[i] || !bench_shape_read(a->shape[i], v))
        return 0;
    for (int k = 0; k < 3; k++)
        size[k] = (mango_idx)v[k];
    return 1;
}

int bench_gemms_steps(const bench_all *a)
{
    mango_idx size[3];
    int n = 0;
    while (bench_shape_at(a, n, size))
        n++;
    return n * (mango_threads() > 1 ? 2 : 1);
}

mango_status bench_gemms(bench_all *a)
{
    const int all = mango_threads();
    mango_idx size[3];
    cli_print(&a->c, "SGEMM, M x N x K, %s kernels      threads      GFLOP/s    of peak\n",
              cli_kernels());
    mgi_str_puts(&a->s, ",\"sgemm\":[");
    mango_status st = MANGO_OK;
    for (int pass = 0; st >= 0 && pass < (all > 1 ? 2 : 1); pass++) {
        const int threads = pass ? all : 1;
        const double peak = bench_peak_of(a, threads);
        mango_set_threads(threads);
        for (int i = 0; st >= 0 && bench_shape_at(a, i, size); i++)
            st = peak > 0 ? bench_gemm_row(a, size, peak, !pass && !i) : MANGO_E_MEM;
        mango_set_threads(all);
    }
    mgi_str_puts(&a->s, "]");
    return st;
}

#undef BENCH_PEAK_ROUNDS
#undef BENCH_OPTS

/* verb_bench.c - `mango bench speed`: what things cost on this machine.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"
#include "input.h"
#include "../../src/math/kernels.h"
#include "../../src/math/ops.h"
#include "../../src/mei/mei.h"
#include "../../src/opt/opt.h"
#include <stdlib.h>
#include <sys/resource.h>

static const cli_doc bench_doc = {
    "bench", "measure speed",
    "mango bench speed [--only PART,.. | --net N [--fill SEED,GAIN] [--input X]] [options]",
    "Without --net: the parts that --only names (default peak,opt,gemm):\n"
    "  peak  multiply-adds of the register tile on operands in the first cache, all "
    "threads\n"
    "  opt   the optimizers' overhead: one ask and tell on a trivial objective\n"
    "  gemm  SGEMM\n"
    "  nets  the zoo's networks with formula weights and inputs\n"
    "With --net: one network, milliseconds an image, GFLOP/s by its dense operation count\n"
    "(zeros counted) and as a part of the peak, spike rates, memory. Figures are the best "
    "and\n"
    "the median of runs repeated for --seconds, three at least.\n",
    "  mango bench speed\n  mango bench speed --net snn --T 100 --batch 10\n"
    "  mango bench speed --net zoo:spiking_resnet18 --fill 7,4 --batch 10 --json\n"
    "  mango bench speed --only nets --seconds 3\n"};

#define BENCH_RUNS 400

typedef struct bench_time {
    double best, median; /* seconds */
    int runs;
} bench_time;

static int bench_less(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Call f until `seconds` have passed, three times at least. */
static mango_status bench_run(mango_status (*f)(void *ud), void *ud, double seconds,
                              bench_time *t)
{
    double each[BENCH_RUNS], since = cli_now();
    MGI_TRY(f(ud)); /* warm up */
    t->runs = 0;
    while (t->runs < BENCH_RUNS && (t->runs < 3 || cli_now() - since < seconds)) {
        double t0 = cli_now();
        MGI_TRY(f(ud));
        each[t->runs++] = cli_now() - t0;
    }
    qsort(each, (size_t)t->runs, sizeof *each, bench_less);
    t->best = each[0];
    t->median = each[t->runs / 2];
    return MANGO_OK;
}

/* Resident at most so far. getrusage, where there is no /proc, may count what the
 * process was before exec, a copy of its parent. */
static double bench_rss_mib(void)
{
    struct rusage r;
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && !kib && fgets(line, sizeof line, f))
        sscanf(line, "VmHWM: %ld", &kib);
    if (f)
        fclose(f);
    if (kib)
        return (double)kib / 1024.0;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_maxrss / 1024.0;
}

/* What the options say, and what the parts share. */
typedef struct bench_all {
    cli c;
    const char *only;
    double seconds; /* for each figure    */
    double peak;    /* GFLOP/s            */
    mgi_str s;      /* the result as JSON */
} bench_all;

/* ---- the machine's peak ----------------------------------------------------- */

/* A product that fits the first cache: nothing but multiply-adds in registers
 * and loads that never miss. */
#define BENCH_PEAK_K 128
#define BENCH_PEAK_REPS 4000
typedef struct bench_tile {
    float a[32][BENCH_PEAK_K], b[64 * BENCH_PEAK_K], c[32 * 64];
} bench_tile;

static void bench_tile_run(bench_tile *t)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mgi_tap tap = {0, 0, BENCH_PEAK_K};
    const float *row[32];
    for (mango_idx i = 0; i < k->mr; i++)
        row[i] = t->a[i];
    for (int r = 0; r < BENCH_PEAK_REPS; r++)
        k->tile(k->mr, k->nr, row, 1, &tap, t->b, t->c, k->nr, 0);
}

static mango_status bench_peak_once(void *ud)
{
    bench_tile *t = ud;
    const int n = mango_threads();
    MGI_OMP(parallel for schedule(static, 1))
    for (int i = 0; i < n; i++)
        bench_tile_run(t + i);
    return MANGO_OK;
}

/* The rate of the register tile, all threads at once: no product is faster. */
static mango_status bench_peak(bench_all *a)
{
    const mgi_kernels *k = mgi_kernels_get();
    const int n = mango_threads();
    bench_time t = {0, 0, 0};
    bench_tile *tile = NULL;
    if (k->mr <= 32 && k->nr <= 64)
        tile = malloc((size_t)n * sizeof *tile);
    if (!tile)
        return MANGO_E_MEM;
    for (int i = 0; i < n; i++) {
        mango_fill_u("a", 1, 32 * BENCH_PEAK_K, tile[i].a[0]);
        mango_fill_u("b", 1, 64 * BENCH_PEAK_K, tile[i].b);
    }
    const mango_status st = bench_run(bench_peak_once, tile, 0.3 * a->seconds, &t);
    free(tile);
    MGI_TRY(st);
    a->peak = 2e-9 * (double)(k->mr * k->nr) * BENCH_PEAK_K * BENCH_PEAK_REPS * n / t.best;
    cli_print(&a->c, "peak of the %s tile, %d x %d, %d threads: %.1f GFLOP/s\n", k->name,
              k->mr, k->nr, n, a->peak);
    mgi_str_printf(&a->s, ",\"peak_gflops\":%.2f", a->peak);
    return MANGO_OK;
}

/* ---- optimizers ------------------------------------------------------------- */

typedef struct bench_opt {
    const char *label, *preset;
    mango_idx d, n;
    int quantized;
    mango_opt *opt;
    mango_idx *I;
    double y[256];
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
    return mango_opt_tell(b->opt, K, b->I, b->y);
}

static mango_status bench_one_opt(bench_all *a, bench_opt *b, bench_time *t, mango_idx *k,
                                  mango_err *err)
{
    mango_opt_options o;
    mango_idx *n = calloc((size_t)b->d, sizeof *n);
    mango_modes modes = {b->d, n};
    b->I = calloc((size_t)(256 * b->d), sizeof *b->I);
    mango_status st = n && b->I ? mango_opt_defaults(b->preset, &o, err) : MANGO_E_MEM;
    for (mango_idx j = 0; st >= 0 && j < b->d; j++)
        n[j] = b->n;
    if (st >= 0) {
        o.quantized = b->quantized;
        *k = o.k;
        st = mango_opt_create(&b->opt, b->preset, &modes, &o, (uint64_t)a->c.seed, NULL,
                              err);
    }
    if (st >= 0)
        st = bench_run(bench_ask_tell, b, a->seconds, t);
    mango_opt_destroy(b->opt);
    free(n);
    free(b->I);
    return st;
}

static mango_status bench_opts(bench_all *a, mango_err *err)
{
    bench_opt row[] = {
        {"768 modes of 2, k 10, rank 5", "tt", 768, 2, 0, NULL, NULL, {0}},
        {"128 of 64 levels, quantized, tt", "tt", 128, 64, 1, NULL, NULL, {0}},
        {"128 of 64 levels, quantized, tt-b", "tt-b", 128, 64, 1, NULL, NULL, {0}},
        {"64 of 512 levels, quantized, tt", "tt", 64, 512, 1, NULL, NULL, {0}},
        {"64 of 512 levels, tt", "tt", 64, 512, 0, NULL, NULL, {0}},
    };
    bench_time t;
    mango_idx k = 1;
    cli_print(&a->c,
              "one ask + tell, one thread of work, ms        best   median   s / 1,000 "
              "queries\n");
    mgi_str_puts(&a->s, ",\"ask_tell\":[");
    for (mango_idx i = 0; i < MGI_COUNT(row); i++) {
        MGI_TRY(bench_one_opt(a, &row[i], &t, &k, err));
        const double ms = 1e3 * t.best, med = 1e3 * t.median, per = med / (double)k;
        cli_print(&a->c, "  %-40s %8.3f %8.3f %10.3f\n", row[i].label, ms, med, per);
        mgi_str_printf(
            &a->s, "%s{\"what\":\"%s\",\"ms\":%.5f,\"ms_median\":%.5f,\"s_per_1000\":%.5f}",
            i ? "," : "", row[i].label, ms, med, per);
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
    mgi_gemm('n', 'n', g->M, g->N, g->K, g->A, g->K, g->B, g->N, g->C, g->N, 0, g->work);
    return MANGO_OK;
}

/* A and B by the test formula, names "a" and "b", seed 1. */
static mango_status bench_one_gemm(bench_all *a, bench_gemm *g, bench_time *t)
{
    const mango_idx M = g->M, N = g->N, K = g->K;
    g->A = malloc((size_t)(M * K) * sizeof(float));
    g->B = malloc((size_t)(K * N) * sizeof(float));
    g->C = malloc((size_t)(M * N) * sizeof(float));
    g->work = malloc((size_t)mgi_gemm_work(M, N, K, 'n', 'n') * sizeof(float) + 64);
    if (!g->A || !g->B || !g->C || !g->work)
        return MANGO_E_MEM;
    mango_fill_u("a", 1, M * K, g->A);
    mango_fill_u("b", 1, K * N, g->B);
    return bench_run(bench_gemm_once, g, a->seconds, t);
}

static mango_status bench_gemms(bench_all *a)
{
    static const mango_idx size[][3] = {
        {1024, 1024, 1024}, {256, 1024, 2304}, {1024, 256, 2304}, {100, 64, 5000}};
    cli_print(&a->c, "SGEMM M x N x K, %s kernels, %d threads            GFLOP/s\n",
              mgi_kernels_get()->name, mango_threads());
    mgi_str_puts(&a->s, ",\"sgemm\":[");
    for (mango_idx i = 0; i < MGI_COUNT(size); i++) {
        const mango_idx M = size[i][0], N = size[i][1], K = size[i][2];
        bench_gemm g = {M, N, K, NULL, NULL, NULL, NULL};
        bench_time t = {1, 1, 1};
        const mango_status st = bench_one_gemm(a, &g, &t);
        const double rate = 2e-9 * (double)(M * N) * (double)K / t.best;
        if (st >= 0) {
            cli_print(&a->c, "  %td x %td x %td %40.1f\n", M, N, K, rate);
            mgi_str_printf(&a->s,
                           "%s{\"M\":%td,\"N\":%td,\"K\":%td,\"gflops\":%.2f,"
                           "\"probe\":[%.8g,%.8g,%.8g]}",
                           i ? "," : "", M, N, K, rate, (double)g.C[0],
                           (double)g.C[M / 2 * N + N / 3], (double)g.C[M * N - 1]);
        }
        free(g.A);
        free(g.B);
        free(g.C);
        free(g.work);
        MGI_TRY(st);
    }
    mgi_str_puts(&a->s, "]");
    return MANGO_OK;
}

/* ---- one network ----------------------------------------------------------- */

typedef struct bench_net {
    const char *name, *fill, *input, *layer;
    int64_t batch, T;
    int codes; /* no input given: codes of the vector quantizer, not pictures */
    mango_net *net;
    input_batch in;
    mango_plan *plan;
    float *x, *rate;
} bench_net;

static mango_status bench_net_once(void *ud)
{
    bench_net *b = ud;
    return mango_plan_run(b->plan, (mango_idx)b->batch, b->x);
}

/* Codes by the test formula: floor(n (0.5 + 0.5 u)). */
static mango_status bench_codes(bench_net *b, uint64_t seed, mango_err *err)
{
    mango_space *space;
    mango_modes m;
    MGI_TRY(mango_space_of(&space, b->net, NULL, err));
    mango_space_modes(space, &m);
    const mango_idx B = (mango_idx)b->batch;
    b->in.x = malloc((size_t)(B * m.d) * sizeof(float));
    if (b->in.x) {
        mango_fill_u("codes", seed, B * m.d, b->in.x);
        for (mango_idx i = 0; i < B * m.d; i++)
            b->in.x[i] =
                (float)(mango_idx)((double)m.n[i % m.d] * (0.5 + 0.5 * (double)b->in.x[i]));
        b->in.B = B;
        b->in.size = m.d;
        b->in.raw = 1;
        b->in.from = mango_space_layer(space);
    }
    mango_space_destroy(space);
    return b->in.x ? MANGO_OK : MANGO_E_MEM;
}

static mango_status bench_net_open(bench_net *b, uint64_t seed, mango_err *err)
{
    MGI_TRY(cli_net(&b->net, b->name, b->fill, err));
    if (!b->T)
        b->T = mango_net_steps(b->net);
    if (b->input)
        MGI_TRY(input_read(&b->in, b->net, b->input, err));
    else if (b->codes)
        MGI_TRY(bench_codes(b, seed, err));
    else
        MGI_TRY(input_fill(&b->in, b->net, seed, (mango_idx)b->batch, err));
    b->x = malloc((size_t)(b->batch * b->in.size) * sizeof(float));
    if (!b->x)
        return MANGO_E_MEM;
    for (mango_idx i = 0; i < b->batch; i++) /* fewer inputs than the batch repeat */
        memcpy(b->x + i * b->in.size, b->in.x + i % b->in.B * b->in.size,
               (size_t)b->in.size * sizeof(float));
    return MANGO_OK;
}

static mango_status bench_net_plan(bench_net *b, mango_idx n, mango_reading *rd,
                                   mango_err *err)
{
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = b->T;
    o.batch = b->batch;
    o.raw = b->in.raw;
    o.from = b->in.from;
    return mango_plan_create(&b->plan, b->net, &o, n, rd, NULL, err);
}

/* Mean rate of every spiking layer that is computed on the way, in one more run. */
static mango_status bench_rates(bench_net *b, bench_all *a, mango_idx last, mango_err *err)
{
    const mango_idx n = last + 1, B = (mango_idx)b->batch;
    mango_layer l;
    mango_idx k = 0;
    mango_reading *rd = calloc((size_t)n, sizeof *rd);
    mango_status st = rd ? MANGO_OK : MANGO_E_MEM;
    for (mango_idx i = 0; st >= 0 && i < n; i++)
        if ((st = mango_net_layer(b->net, i, &l)) >= 0 && l.spiking) {
            rd[k] = (mango_reading){i, MANGO_READ_RATE,
                                    calloc((size_t)(B * l.C), sizeof(float))};
            st = rd[k++].out ? MANGO_OK : MANGO_E_MEM;
        }
    mango_plan_destroy(b->plan);
    b->plan = NULL;
    if (st >= 0 && k)
        st = bench_net_plan(b, k, rd, err);
    if (st >= 0 && k)
        st = bench_net_once(b);
    mgi_str_puts(&a->s, ",\"layers\":[");
    double sum = 0;
    for (mango_idx i = 0; st >= 0 && i < k; i++) {
        double mean = 0;
        mango_net_layer(b->net, rd[i].layer, &l);
        for (mango_idx j = 0; j < B * l.C; j++)
            mean += (double)rd[i].out[j] / (double)(B * l.C);
        sum += mean;
        cli_print(&a->c, "  %-20s fires in %.4f of neuron-steps\n", l.name, mean);
        mgi_str_printf(&a->s, "%s{\"name\":\"%s\",\"spike_rate\":%.6f}", i ? "," : "",
                       l.name, mean);
    }
    mgi_str_printf(&a->s, "],\"spike_rate\":%.6f", k ? sum / (double)k : 0.0);
    while (k > 0)
        free(rd[--k].out);
    free(rd);
    return st;
}

static void bench_net_report(const bench_net *b, bench_all *a, const bench_time *t,
                             const char *layer)
{
    const double macs = mango_plan_macs(b->plan), B = (double)b->batch;
    const double ms = 1e3 * t->best / B, med = 1e3 * t->median / B;
    const double gflops = 2e-9 * macs * B / t->best, rss = bench_rss_mib();
    const double mib = (double)mango_plan_bytes(b->plan) / 1048576.0;
    cli_print(
        &a->c,
        "%s to %s, T %td, batch %td, %s, %d threads\n  %.3f ms an image (median "
        "%.3f), %.1f GFLOP/s dense, %.2f of the peak, plan %.1f MiB, resident %.1f MiB\n",
        b->name, layer, (mango_idx)b->T, (mango_idx)b->batch, mgi_kernels_get()->name,
        mango_threads(), ms, med, gflops, gflops / a->peak, mib, rss);
    mgi_str_printf(&a->s,
                   "\"ms_per_image\":%.5f,\"ms_median\":%.5f,\"gflops\":%.3f,"
                   "\"of_peak\":%.4f,\"macs\":%.0f,\"plan_mib\":%.2f,\"peak_rss_mib\":%.2f",
                   ms, med, gflops, gflops / a->peak, macs, mib, rss);
}

static mango_status bench_network(bench_net *b, bench_all *a, mango_err *err)
{
    bench_time t;
    mango_layer l;
    MGI_TRY(bench_net_open(b, (uint64_t)a->c.seed, err));
    mango_reading rd = {mango_net_layers(b->net) - 1, MANGO_READ_MEAN, NULL};
    if (b->layer)
        MGI_TRY(mango_net_find(b->net, b->layer, &rd.layer, err));
    MGI_TRY(mango_net_layer(b->net, rd.layer, &l));
    rd.out = b->rate = calloc((size_t)(b->batch * l.C * l.H * l.W), sizeof(float));
    if (!rd.out)
        return MANGO_E_MEM;
    MGI_TRY(bench_net_plan(b, 1, &rd, err));
    MGI_TRY(bench_run(bench_net_once, b, a->seconds, &t));
    bench_net_report(b, a, &t, l.name);
    return bench_rates(b, a, rd.layer, err);
}

static void bench_net_free(bench_net *b)
{
    mango_plan_destroy(b->plan);
    input_free(&b->in);
    mango_net_destroy(b->net);
    free(b->x);
    free(b->rate);
}

static mango_status bench_nets(bench_all *a, mango_err *err)
{
    static const struct {
        const char *name, *fill;
        int batch, codes;
    } row[] = {{"zoo:sngan", "7,0.6", 10, 0},    {"zoo:vqvae", "7,1", 25, 1},
               {"zoo:snn_conv", "7,1.6", 10, 0}, {"zoo:spiking_resnet18", "7,4", 10, 0},
               {"zoo:resnet18", "7,1", 10, 0},   {"zoo:densenet", "7,1", 10, 0},
               {"zoo:alexnet", "7,1", 10, 0},    {"zoo:vgg16", "7,1", 1, 0},
               {"zoo:vgg19", "7,1", 1, 0}};
    mgi_str_puts(&a->s, ",\"networks\":[");
    for (mango_idx i = 0; i < MGI_COUNT(row); i++) {
        bench_net b;
        memset(&b, 0, sizeof b);
        b.name = row[i].name;
        b.fill = row[i].fill;
        b.batch = row[i].batch;
        b.codes = row[i].codes;
        mgi_str_printf(&a->s, "%s{\"net\":\"%s\",\"batch\":%d,", i ? "," : "", b.name,
                       row[i].batch);
        const mango_status st = bench_network(&b, a, err);
        bench_net_free(&b);
        MGI_TRY(st);
        mgi_str_puts(&a->s, "}");
    }
    mgi_str_puts(&a->s, "]");
    return MANGO_OK;
}

/* ---- the verb --------------------------------------------------------------- */

/* Is `part` one of the words of --only? */
static int bench_wants(const bench_all *a, const char *part)
{
    const size_t n = strlen(part);
    for (const char *p = a->only; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == n && !memcmp(p, part, n))
            return 1;
    return 0;
}

/* The first word of --only that is no part, or NULL. */
static const char *bench_unknown(const bench_all *a)
{
    static const char *const part[] = {"peak", "opt", "gemm", "nets"};
    for (const char *p = a->only; *p; p += strcspn(p, ","), p += *p == ',') {
        int known = 0;
        for (mango_idx i = 0; i < MGI_COUNT(part); i++)
            known |=
                strcspn(p, ",") == strlen(part[i]) && !memcmp(p, part[i], strlen(part[i]));
        if (!known)
            return p;
    }
    return NULL;
}

static mango_status bench_parts(bench_all *a, mango_err *err)
{
    if (bench_wants(a, "peak") || bench_wants(a, "nets"))
        MGI_TRY(bench_peak(a));
    if (bench_wants(a, "opt"))
        MGI_TRY(bench_opts(a, err));
    if (bench_wants(a, "gemm"))
        MGI_TRY(bench_gemms(a));
    return bench_wants(a, "nets") ? bench_nets(a, err) : MANGO_OK;
}

static mango_status bench_one(bench_all *a, bench_net *b, mango_err *err)
{
    MGI_TRY(bench_peak(a));
    mgi_str_puts(&a->s, ",");
    return bench_network(b, a, err);
}

int verb_bench(int argc, char **argv)
{
    bench_all a;
    bench_net b;
    mango_err err = {""};
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.only = "peak,opt,gemm";
    a.seconds = 1;
    b.batch = 1;
    const cli_opt opt[] = {
        {"--only", CLI_STR, &a.only, 0, 0, "PART,..", "peak, opt, gemm, nets", 0},
        {"--net", CLI_STR, &b.name, 0, 0, "N", "weights file, name, or zoo:NAME,k=v", 0},
        {"--fill", CLI_STR, &b.fill, 0, 0, "SEED,GAIN",
         "weights of a zoo network by the test formula", 0},
        {"--input", CLI_STR, &b.input, 0, 0, "X",
         "inputs (default: the test formula with --seed)", 0},
        {"--layer", CLI_STR, &b.layer, 0, 0, "L",
         "stop at this layer (default: the output)", 0},
        {"--batch", CLI_INT, &b.batch, 1, 4096, "B", "inputs at once (default 1)", 0},
        {"--T", CLI_INT, &b.T, 1, 4096, "N", "steps (default: the network's)", 0},
        {"--seconds", CLI_REAL, &a.seconds, 0.001, 3600, "X", "for each figure (default 1)",
         0},
    };
    int rc = cli_parse(&a.c, &bench_doc, opt, (int)MGI_COUNT(opt), 1, argc, argv);
    if (rc >= 0)
        return rc;
    if (a.c.n_pos != 1 || strcmp(a.c.pos[0], "speed"))
        return cli_usage(&a.c, "what to measure? `speed` expected");
    if (bench_unknown(&a))
        return cli_usage(&a.c, "--only %s: peak, opt, gemm, nets expected",
                         bench_unknown(&a));
    mgi_str_init(&a.s, NULL);
    mgi_str_printf(&a.s, "{\"kernels\":\"%s\",\"threads\":%d", mgi_kernels_get()->name,
                   mango_threads());
    const mango_status st = b.name ? bench_one(&a, &b, &err) : bench_parts(&a, &err);
    mgi_str_puts(&a.s, "}");
    rc = st < 0 ? cli_fail(&a.c, st, &err) : CLI_OK;
    if (rc == CLI_OK)
        cli_json(&a.c, &a.s);
    mgi_str_free(&a.s);
    bench_net_free(&b);
    return rc;
}

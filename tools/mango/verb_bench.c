/* verb_bench.c - `mango bench speed`: what things cost on this machine.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "cli.h"
#include "input.h"
#include "../../src/base/rng.h"
#include "../../src/math/kernels.h"
#include "../../src/math/ops.h"
#include "../../src/opt/opt.h"
#include <stdlib.h>
#include <sys/resource.h>

static const cli_doc bench_doc = {
    "bench", "measure speed",
    "mango bench speed [--net N [--fill SEED,GAIN] [--input X] [--batch B] [--T N]] "
    "[--json]",
    "Without --net: the optimizers' overhead (one ask and tell on a trivial objective) and "
    "SGEMM.\n"
    "With --net: one network, milliseconds an image, GFLOP/s by its dense operation count, "
    "spike\n"
    "rates, memory. Each figure is the best and the median of repeated runs of a second in "
    "all.\n",
    "  mango bench speed\n  mango bench speed --net snn --T 100 --batch 10\n"
    "  mango bench speed --net zoo:spiking_resnet18 --fill 7,4 --batch 10 --json\n"};

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

static double bench_rss_mib(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_maxrss / 1024.0;
}

/* ---- optimizers ----------------------------------------------------------- */

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

static mango_status bench_one_opt(bench_opt *b, uint64_t seed, bench_time *t, mango_idx *k,
                                  mango_err *err)
{
    mango_opt_options o;
    mango_idx *n = calloc((size_t)b->d, sizeof *n);
    mango_modes modes = {b->d, n};
    b->I = calloc((size_t)(256 * b->d), sizeof *b->I);
    mango_status st = n && b->I ? mango_opt_defaults(b->preset, &o, err) : MANGO_E_MEM;
    for (mango_idx j = 0; st >= 0 && j < b->d; j++)
        n[j] = b->n;
    o.quantized = b->quantized;
    *k = o.k;
    if (st >= 0)
        st = mango_opt_create(&b->opt, b->preset, &modes, &o, seed, NULL, err);
    if (st >= 0)
        st = bench_run(bench_ask_tell, b, 1.0, t);
    mango_opt_destroy(b->opt);
    free(n);
    free(b->I);
    return st;
}

static mango_status bench_opts(cli *c, mgi_str *s, mango_err *err)
{
    bench_opt row[] = {
        {"768 modes of 2, k 10, rank 5", "tt", 768, 2, 0, NULL, NULL, {0}},
        {"128 of 64 levels, quantized, tt", "tt", 128, 64, 1, NULL, NULL, {0}},
        {"128 of 64 levels, quantized, tt-b", "tt-b", 128, 64, 1, NULL, NULL, {0}},
        {"64 of 512 levels, quantized, tt", "tt", 64, 512, 1, NULL, NULL, {0}},
        {"64 of 512 levels, tt", "tt", 64, 512, 0, NULL, NULL, {0}},
    };
    bench_time t;
    mango_idx k;
    cli_print(c, "one ask + tell, one thread of work, ms        best   median   s / 1,000 "
                 "queries\n");
    mgi_str_puts(s, "\"ask_tell\":[");
    for (mango_idx i = 0; i < MGI_COUNT(row); i++) {
        MGI_TRY(bench_one_opt(&row[i], (uint64_t)c->seed, &t, &k, err));
        cli_print(c, "  %-40s %8.3f %8.3f %10.3f\n", row[i].label, 1e3 * t.best,
                  1e3 * t.median, 1e3 / (double)k * t.median);
        mgi_str_printf(
            s, "%s{\"what\":\"%s\",\"ms\":%.5f,\"ms_median\":%.5f,\"s_per_1000\":%.5f}",
            i ? "," : "", row[i].label, 1e3 * t.best, 1e3 * t.median,
            1e3 / (double)k * t.median);
    }
    mgi_str_puts(s, "]");
    return MANGO_OK;
}

/* ---- SGEMM ---------------------------------------------------------------- */

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

static mango_status bench_gemms(cli *c, mgi_str *s)
{
    static const mango_idx size[][3] = {
        {1024, 1024, 1024}, {1024, 256, 2304}, {100, 64, 5000}};
    cli_print(c, "SGEMM M x N x K, %s kernels, %d threads            GFLOP/s\n",
              mgi_kernels_get()->name, mango_threads());
    mgi_str_puts(s, ",\"sgemm\":[");
    for (mango_idx i = 0; i < MGI_COUNT(size); i++) {
        bench_gemm g = {size[i][0], size[i][1], size[i][2], NULL, NULL, NULL, NULL};
        bench_time t = {0, 0, 0};
        mango_rng r;
        g.A = malloc((size_t)(g.M * g.K) * sizeof(float));
        g.B = malloc((size_t)(g.K * g.N) * sizeof(float));
        g.C = malloc((size_t)(g.M * g.N) * sizeof(float));
        g.work =
            malloc((size_t)mgi_gemm_work(g.M, g.N, g.K, 'n', 'n') * sizeof(float) + 64);
        mango_status st = g.A && g.B && g.C && g.work ? MANGO_OK : MANGO_E_MEM;
        mango_rng_init(&r, 1, 1, 0);
        for (mango_idx j = 0; st >= 0 && j < g.M * g.K; j++)
            g.A[j] = mango_rng_uniformf(&r) - 0.5f;
        for (mango_idx j = 0; st >= 0 && j < g.K * g.N; j++)
            g.B[j] = mango_rng_uniformf(&r) - 0.5f;
        if (st >= 0)
            st = bench_run(bench_gemm_once, &g, 1.0, &t);
        free(g.A);
        free(g.B);
        free(g.C);
        free(g.work);
        MGI_TRY(st);
        double flop = 2e-9 * (double)g.M * (double)g.N * (double)g.K;
        cli_print(c, "  %td x %td x %td %40.1f\n", g.M, g.N, g.K, flop / t.best);
        mgi_str_printf(s, "%s{\"M\":%td,\"N\":%td,\"K\":%td,\"gflops\":%.2f}", i ? "," : "",
                       g.M, g.N, g.K, flop / t.best);
    }
    mgi_str_puts(s, "]");
    return MANGO_OK;
}

/* ---- one network ----------------------------------------------------------- */

typedef struct bench_net {
    const char *name, *fill, *input, *layer;
    int64_t batch, T;
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

static mango_status bench_net_open(bench_net *b, uint64_t seed, mango_err *err)
{
    MGI_TRY(cli_net(&b->net, b->name, b->fill, err));
    if (!b->T)
        b->T = mango_net_steps(b->net);
    if (b->input)
        MGI_TRY(input_read(&b->in, b->net, b->input, err));
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

/* Mean rate of every spiking layer, in one more run. */
static mango_status bench_rates(bench_net *b, cli *c, mgi_str *s, mango_err *err)
{
    double sum = 0;
    mango_idx spiking = 0;
    mango_layer l;
    mgi_str_puts(s, ",\"layers\":[");
    for (mango_idx i = 0; i < mango_net_layers(b->net); i++) {
        MGI_TRY(mango_net_layer(b->net, i, &l));
        if (!l.spiking)
            continue;
        float *y = calloc((size_t)(b->batch * l.C), sizeof *y);
        mango_reading rd = {i, MANGO_READ_RATE, y};
        double mean = 0;
        mango_plan_destroy(b->plan);
        b->plan = NULL;
        mango_status st = y ? bench_net_plan(b, 1, &rd, err) : MANGO_E_MEM;
        if (st >= 0)
            st = bench_net_once(b);
        for (mango_idx k = 0; st >= 0 && k < b->batch * l.C; k++)
            mean += (double)y[k] / (double)(b->batch * l.C);
        free(y);
        MGI_TRY(st);
        cli_print(c, "  %-20s fires in %.4f of neuron-steps\n", l.name, mean);
        mgi_str_printf(s, "%s{\"name\":\"%s\",\"spike_rate\":%.6f}", spiking ? "," : "",
                       l.name, mean);
        sum += mean;
        spiking++;
    }
    mgi_str_printf(s, "],\"spike_rate\":%.6f", spiking ? sum / (double)spiking : 0.0);
    return MANGO_OK;
}

static mango_status bench_network(bench_net *b, cli *c, mgi_str *s, mango_err *err)
{
    bench_time t;
    mango_layer l;
    MGI_TRY(bench_net_open(b, (uint64_t)c->seed, err));
    mango_reading rd = {mango_net_layers(b->net) - 1, MANGO_READ_MEAN, NULL};
    if (b->layer)
        MGI_TRY(mango_net_find(b->net, b->layer, &rd.layer, err));
    MGI_TRY(mango_net_layer(b->net, rd.layer, &l));
    rd.out = b->rate = calloc((size_t)(b->batch * l.C * l.H * l.W), sizeof(float));
    if (!rd.out)
        return MANGO_E_MEM;
    MGI_TRY(bench_net_plan(b, 1, &rd, err));
    double macs = mango_plan_macs(b->plan),
           mib = (double)mango_plan_bytes(b->plan) / 1048576.0;
    MGI_TRY(bench_run(bench_net_once, b, 1.0, &t));
    double ms = 1e3 * t.best / (double)b->batch, med = 1e3 * t.median / (double)b->batch;
    double gflops = 2e-9 * macs * (double)b->batch / t.best;
    cli_print(c,
              "%s to %s, T %td, batch %td, %s, %d threads\n  %.3f ms an image (median "
              "%.3f), %.1f GFLOP/s dense, plan %.1f MiB, peak %.1f MiB\n",
              b->name, l.name, (mango_idx)b->T, (mango_idx)b->batch,
              mgi_kernels_get()->name, mango_threads(), ms, med, gflops, mib,
              bench_rss_mib());
    mgi_str_printf(s,
                   "\"ms_per_image\":%.5f,\"ms_median\":%.5f,\"gflops\":%.3f,\"macs\":%.0f,"
                   "\"plan_mib\":%.2f,\"peak_rss_mib\":%.2f",
                   ms, med, gflops, macs, mib, bench_rss_mib());
    return bench_rates(b, c, s, err);
}

static void bench_net_free(bench_net *b)
{
    mango_plan_destroy(b->plan);
    input_free(&b->in);
    mango_net_destroy(b->net);
    free(b->x);
    free(b->rate);
}

int verb_bench(int argc, char **argv)
{
    cli c;
    mgi_str s;
    mango_err err = {""};
    bench_net b;
    memset(&b, 0, sizeof b);
    b.batch = 1;
    const cli_opt opt[] = {
        {"--net", CLI_STR, &b.name, 0, 0, "N", "weights file, name, or zoo:NAME,k=v", 0},
        {"--fill", CLI_STR, &b.fill, 0, 0, "SEED,GAIN",
         "weights of a zoo network by the test formula", 0},
        {"--input", CLI_STR, &b.input, 0, 0, "X",
         "inputs (default: the test formula with --seed)", 0},
        {"--layer", CLI_STR, &b.layer, 0, 0, "L",
         "stop at this layer (default: the output)", 0},
        {"--batch", CLI_INT, &b.batch, 1, 4096, "B", "inputs at once (default 1)", 0},
        {"--T", CLI_INT, &b.T, 1, 4096, "N", "steps (default: the network's)", 0},
    };
    int rc = cli_parse(&c, &bench_doc, opt, (int)MGI_COUNT(opt), 1, argc, argv);
    if (rc >= 0)
        return rc;
    if (c.n_pos != 1 || strcmp(c.pos[0], "speed"))
        return cli_usage(&c, "what to measure? `speed` expected");
    mgi_str_init(&s, NULL);
    mgi_str_printf(&s, "{\"kernels\":\"%s\",\"threads\":%d,", mgi_kernels_get()->name,
                   mango_threads());
    mango_status st;
    if (b.name)
        st = bench_network(&b, &c, &s, &err);
    else if ((st = bench_opts(&c, &s, &err)) >= 0)
        st = bench_gemms(&c, &s);
    mgi_str_puts(&s, "}");
    rc = st < 0 ? cli_fail(&c, st, &err) : CLI_OK;
    if (rc == CLI_OK)
        cli_json(&c, &s);
    mgi_str_free(&s);
    bench_net_free(&b);
    return rc;
}

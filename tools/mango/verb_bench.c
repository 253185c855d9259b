/* verb_bench.c - `mango bench speed`: what things cost on this machine.
 * SPDX-License-Identifier: MIT */
#include "verb_bench.h"
#include "system.h"
#include <stdlib.h>

static const cli_doc bench_doc = {
    "bench", "measure speed; compare optimizers",
    "mango bench speed [--only PART,..] [options]\n"
    "       mango bench speed --net N [--fill SEED,GAIN] [--input X] [--layer L] "
    "[options]\n"
    "       mango bench speed --scaling DIR [--only FIGURE,..] [options]",
    "Parts (default: all of them, about two minutes on two cores; --seconds 0.1: one):\n"
    "  peak  multiply-adds of the register tile on operands in the first cache\n"
    "  opt   the optimizers' overhead: ask and tell on a trivial objective, and whole\n"
    "        searches of 1,000 and 10,000 queries\n"
    "  gemm  SGEMM with one thread and with all\n"
    "  nets  the zoo's networks, or some by name: --only snn_conv,resnet18\n"
    "By name alone: presets, every optimizer's own seconds in a search of 1,000 queries, on\n"
    "128 modes of 64 levels and 64 of 512, with facts as generators have them; share, "
    "auto's\n"
    "seconds beside those of evaluation, on the weights that come with the project.\n"
    "Networks have formula weights unless --weights gives a file, formula inputs unless\n"
    "--input gives pictures (taken by those with inputs of 3x32x32).\n"
    "\n"
    "GFLOP/s count two operations a multiply-add. gflops counts what is really needed: "
    "layers\n"
    "that do not depend on time once, of spikes only the ones, no padding; of_peak is its "
    "part\n"
    "of the tile's peak. gflops_dense counts every layer at each step, zeros and padding "
    "too,\n"
    "as a framework without our shortcuts runs it; it may pass the peak. Both count\n"
    "convolutions in their direct form, so a fast algorithm shows as a higher rate.\n"
    "Times: the best and the median of runs repeated for --seconds, two at least.\n"
    "\n"
    "--scaling writes figures (SVG) and their numbers (TSV): spikes (time against spike\n"
    "rate, gathered and dense), threads, batch, steps, width; some by --only. 2-3 "
    "minutes.\n"
    "\n"
    "--json: kernels, threads, peak_gflops, counter (\"perf_event\", or null and\n"
    "counter_note), ask_tell[] {what, preset, ms, ms_median, s_per_1000, s_1000, "
    "s_10000},\n"
    "presets[] {preset, space, s_1000}, share[] {gen, net, opt_seconds, eval_seconds},\n"
    "sgemm[] {M, N, K, threads, gflops, of_peak, probe}, networks[]; with --net the keys "
    "of\n"
    "one network stand in the object itself: net, layer, T, formula, input, macs,\n"
    "macs_dense, of the best batch: batch, ms_per_image, ms_median, gflops, gflops_dense,\n"
    "of_peak, plan_mib, peak_rss_mib, instructions (of an image in user mode; null "
    "without\n"
    "a counter); then batches[] with the same keys, layers[] {name, spike_rate} and\n"
    "spike_rate, their mean. --scaling: figures[] {name, svg, tsv}.\n",
    "  mango bench speed\n  mango bench speed --net snn_conv_cifar10 --T 100 --batch 10\n"
    "  mango bench speed --net zoo:spiking_resnet18 --fill 7,4 --batch 10 --json\n"
    "  mango bench speed --only nets --seconds 3 --weights snn_conv=snn.safetensors\n"
    "  mango bench speed --only gemm --shape 512x512x512 --shape 64x10240x576\n"
    "  mango bench speed --only presets --threads 1\n"
    "  mango bench speed --scaling figures --only spikes,batch\n"};

/* ---- timing ------------------------------------------------------------------ */

#define BENCH_RUNS 400

static int bench_less(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

mango_status bench_run(mango_status (*f)(void *ud), void *ud, double seconds, int least,
                       bench_time *t)
{
    double each[BENCH_RUNS], since = cli_now();
    MGI_TRY(f(ud)); /* warm up */
    t->runs = 0;
    while (t->runs < BENCH_RUNS && (t->runs < least || cli_now() - since < seconds)) {
        if (cli_interrupted())
            return MANGO_E_STATE;
        double t0 = cli_now();
        MGI_TRY(f(ud));
        each[t->runs++] = cli_now() - t0;
    }
    qsort(each, (size_t)t->runs, sizeof *each, bench_less);
    t->best = each[0];
    t->median = each[t->runs / 2];
    return MANGO_OK;
}

void bench_step(bench_all *a, const char *what)
{
    cli_progress(&a->c, a->since, 0, a->done, a->total, what);
    a->done += 1;
}

/* ---- memory ------------------------------------------------------------------ */

double bench_rss_mib(void)
{
    return sys_peak_mib();
}

void bench_rss_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f)
        return;
    fputs("5", f); /* Linux: the peak starts again from what is resident now */
    fclose(f);
}

/* ---- the verb ---------------------------------------------------------------- */

int bench_wants(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = list ? list : ""; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == n && !memcmp(p, word, n))
            return 1;
    return !list;
}

/* A part that is not among `all of them`. */
static int bench_named(const bench_all *a, const char *part)
{
    return a->only && bench_wants(a->only, part);
}

static mango_status bench_parts(bench_all *a, mango_err *err)
{
    const int opt = bench_wants(a->only, "opt"), gemm = bench_wants(a->only, "gemm");
    const int presets = bench_named(a, "presets"), share = bench_named(a, "share");
    const int nets = bench_nets_steps(a);
    a->total = (opt ? bench_opts_steps() : 0) + (gemm ? bench_gemms_steps(a) : 0) +
               (presets ? bench_presets_steps() : 0) + (share ? bench_share_steps() : 0) +
               nets + 1;
    if (bench_wants(a->only, "peak") || nets)
        MGI_TRY(bench_peak(a));
    if (opt)
        MGI_TRY(bench_opts(a, err));
    if (presets)
        MGI_TRY(bench_presets(a));
    if (share)
        MGI_TRY(bench_share(a, err));
    if (gemm)
        MGI_TRY(bench_gemms(a));
    return nets ? bench_nets(a, err) : MANGO_OK;
}

static mango_status bench_one(bench_all *a, bench_net *b, mango_err *err)
{
    a->total = 2;
    MGI_TRY(bench_net_open(b, (uint64_t)a->c.seed, err)); /* first: it may be refused */
    MGI_TRY(bench_peak(a));
    mgi_str_puts(&a->s, ",");
    return bench_network(b, a, err);
}

/* What is wrong with the options' texts, as an exit code; CLI_OK: nothing. */
static int bench_check(bench_all *a, const bench_net *b)
{
    const char *unknown = a->scaling ? bench_scaling_unknown(a) : bench_nets_unknown(a);
    long size[3];
    if (a->c.n_pos != 1 || strcmp(a->c.pos[0], "speed"))
        return cli_usage(&a->c, "what to measure? `speed`, `opt` or `problems` expected");
    if (a->scaling && b->name)
        return cli_usage(&a->c, "--scaling and --net exclude each other");
    if (unknown && a->scaling)
        return cli_usage(&a->c, "--only %s: spikes, threads, batch, steps, width expected",
                         unknown);
    if (unknown)
        return cli_usage(
            &a->c, "--only %s: peak, opt, gemm, nets, presets, share, or a network of the zoo "
            "expected",
            unknown);
    for (int i = 0; a->shape[i]; i++)
        if (!bench_shape_read(a->shape[i], size))
            return cli_usage(&a->c, "--shape %s: MxNxK expected, each 1..99999",
                             a->shape[i]);
    for (int i = 0; a->weights[i]; i++)
        if (bench_weights_unknown(a->weights[i]))
            return cli_usage(&a->c, "--weights %s: NAME=FILE expected, NAME one of the zoo",
                             a->weights[i]);
    return CLI_OK;
}

static mango_status bench_all_of(bench_all *a, bench_net *b, mango_err *err)
{
    a->since = cli_now();
    a->counter = bench_counter_open(a->why, (mango_idx)sizeof a->why); /* no threads yet */
    mgi_str_printf(&a->s, "{\"kernels\":\"%s\",\"threads\":%d", cli_kernels(),
                   mango_threads());
    if (a->scaling)
        return bench_scaling(a, err);
    if (a->counter >= 0) {
        mgi_str_puts(&a->s, ",\"counter\":\"perf_event\"");
    } else {
        mgi_str_puts(&a->s, ",\"counter\":null,");
        cli_quote(&a->s, "counter_note", a->why);
    }
    return b->name ? bench_one(a, b, err) : bench_parts(a, err);
}

static int bench_end(bench_all *a, mango_status st, mango_err *err)
{
    cli_progress_end(&a->c);
    if (st < 0 && cli_interrupted())
        return cli_failf(&a->c, CLI_INTERRUPTED, "interrupted");
    if (st < 0)
        return cli_fail(&a->c, st, err);
    mgi_str_puts(&a->s, "}");
    cli_json(&a->c, &a->s);
    return CLI_OK;
}

int verb_bench(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "opt"))
        return verb_bench_opt(argc - 1, argv + 1);
    if (argc > 1 && !strcmp(argv[1], "problems"))
        return verb_bench_problems(argc - 1, argv + 1);
    bench_all a;
    bench_net b;
    mango_err err = {""};
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.counter = -1;
    b.batch = 1;
    const cli_opt opt[] = {
        {"--only", CLI_STR, &a.only, 0, 0, "PART,..",
         "some of the parts, networks or figures", 0},
        {"--net", CLI_STR, &b.name, 0, 0, "N", "weights file, name, or zoo:NAME,k=v", 0},
        {"--fill", CLI_STR, &b.fill, 0, 0, "SEED,GAIN",
         "weights of zoo:NAME or a graph's text by the test formula", 0},
        {"--weights", CLI_MULTI, a.weights, 0, 0, "NAME=FILE",
         "weights of one of the parts' networks", 0},
        {"--input", CLI_STR, &b.input, 0, 0, "X",
         "inputs (default: the test formula with --seed)", 0},
        {"--layer", CLI_STR, &b.layer, 0, 0, "L",
         "stop at this layer (default: the output)", 0},
        {"--batch", CLI_INT, &b.batch, 1, 4096, "B", "inputs at once, --net (default 1)",
         0},
        {"--T", CLI_INT, &b.T, 1, 4096, "N", "steps, --net (default: the network's)", 0},
        {"--half-weights", CLI_FLAG, &b.half, 0, 0, NULL,
         "weights rounded to half precision in memory, --net", 0},
        {"--int8-weights", CLI_FLAG, &b.int8, 0, 0, NULL,
         "weights of spikes in 8 bits, --net", 0},
        {"--shape", CLI_MULTI, a.shape, 0, 0, "MxNxK", "SGEMM of this shape instead", 0},
        {"--scaling", CLI_STR, &a.scaling, 0, 0, "DIR", "figures of scaling into DIR", 0},
        {"--seconds", CLI_REAL, &a.seconds, 0.001, 3600, "X",
         "for each figure (default 1; of --scaling 0.25)", 0},
    };
    int rc = cli_parse(&a.c, &bench_doc, opt, (int)MGI_COUNT(opt), 1, argc, argv);
    if (rc >= 0)
        return rc;
    a.input = b.input;
    if (a.seconds <= 0)
        a.seconds = a.scaling ? 0.25 : 1;
    rc = bench_check(&a, &b);
    if (rc != CLI_OK)
        return rc;
    cli_catch_signals();
    mgi_str_init(&a.s, NULL);
    rc = bench_end(&a, bench_all_of(&a, &b, &err), &err);
    mgi_str_free(&a.s);
    bench_net_free(&b);
    bench_counter_close(a.counter);
    return rc;
}

#undef BENCH_RUNS

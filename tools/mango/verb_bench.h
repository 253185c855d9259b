/* verb_bench.h - what the files of `mango bench speed` share: verb_bench.c (the
 * verb, timing, memory), _parts.c (peak, optimizers, SGEMM), _presets.c (optimizers of
 * all presets, and beside the evaluation), _net.c (networks),
 * _count.c (operations, instructions), _scale.c (figures).
 * SPDX-License-Identifier: MIT */
#ifndef VERB_BENCH_H
#define VERB_BENCH_H

#include "cli.h"
#include "input.h"

/* What the options say, and what the parts share. */
typedef struct bench_all {
    cli c;
    const char *only, *scaling, *input;
    const char *weights[17], *shape[17]; /* NAME=FILE each, MxNxK each */
    double seconds;            /* for each figure                                  */
    double peak;               /* GFLOP/s of all threads; 0: not measured yet      */
    mgi_str s;                 /* the result as JSON                               */
    double since, done, total; /* progress: figures of the whole run    */
    int counter;               /* of instructions, see bench_counter_open; -1, and */
    char why[160];             /* why not; "" once this was said                   */
} bench_all;

/* The other benches, verbs of their own: argv[0] is their name. */
int verb_bench_opt(int argc, char **argv);
int verb_bench_problems(int argc, char **argv);

/* ---- verb_bench.c ---------------------------------------------------------- */
typedef struct bench_time {
    double best, median; /* seconds */
    int runs;
} bench_time;
/* Call f until `seconds` have passed, `least` times at least, after a warm-up.
 * ^C ends it with MANGO_E_STATE. */
mango_status bench_run(mango_status (*f)(void *ud), void *ud, double seconds, int least,
                       bench_time *t);
/* One more figure of the run is under way. */
void bench_step(bench_all *a, const char *what);
/* Resident at most, in MiB, since the last bench_rss_reset (where the system
 * can do this: Linux) or the start of the process. */
double bench_rss_mib(void);
void bench_rss_reset(void);
/* Is `word` one of the words of a list with commas? NULL: the list of everything. */
int bench_wants(const char *list, const char *word);

/* ---- verb_bench_parts.c ---------------------------------------------------- */
/* The rate of the register tile with so many threads at once, GFLOP/s: no
 * product is faster. 0 when there is no memory. */
double bench_peak_of(const bench_all *a, int threads);
mango_status bench_peak(bench_all *a);
mango_status bench_opts(bench_all *a, mango_err *err);
mango_status bench_gemms(bench_all *a);
int bench_opts_steps(void); /* figures that they make, for the progress line */
int bench_gemms_steps(const bench_all *a);
int bench_shape_read(const char *text, long v[3]); /* "MxNxK"; false: it is not */

/* ---- verb_bench_presets.c: parts that are asked for by name */
mango_status bench_presets(bench_all *a);
mango_status bench_share(bench_all *a, mango_err *err);
int bench_presets_steps(void);
int bench_share_steps(void);

/* ---- verb_bench_count.c ---------------------------------------------------- */
/* Multiply-adds of one input, of everything `target` needs, nothing above `from`. */
typedef struct bench_macs {
    double dense;  /* every layer at each of T steps, zeros and padding counted: the
                      usual figure, what a framework without our shortcuts does      */
    double needed; /* what does not depend on time once, of 0/1 maps the ones alone,
                      no padding                                                     */
} bench_macs;
/* A layer whose mean over time is read to count its ones: (B,C,H,W) in `mean`. */
typedef struct bench_ones {
    mango_idx layer;
    float *mean;
} bench_ones;
/* The layer whose spikes, pooled or refolded at most, are the input of matrix
 * product `layer` as zeros and ones; -1: it is none, or its input is no such map. */
mango_idx bench_ones_of(const mango_net *net, mango_idx layer);
/* need (layers): 1 for what the target needs. */
void bench_needed(const mango_net *net, mango_idx target, mango_idx from, char *need);
bench_macs bench_count(const mango_net *net, mango_idx target, mango_idx from, mango_idx T,
                       mango_idx B, mango_idx n, const bench_ones *ones);

/* Instructions that this process and all threads it starts later execute in user
 * mode, by the kernel's performance counters. open: -1, and why in `why`, where
 * there are none (many virtual machines and containers); no other number ever
 * stands in for them. */
int bench_counter_open(char *why, mango_idx cap);
double bench_counter_read(int counter); /* NaN when it cannot be read */
void bench_counter_close(int counter);

/* ---- verb_bench_net.c ------------------------------------------------------ */
typedef struct bench_net {
    const char *name, *fill, *input, *layer;
    int64_t batch, T;
    int half, int8; /* weights, see mango_plan_options */
    int codes; /* no input given: codes of the vector quantizer, not pictures */
    mango_net *net;
    input_batch in;
    mango_plan *plan;
    float *x, *rate;
    mango_idx target;
} bench_net;
/* Network and inputs for batches up to b->batch. */
mango_status bench_net_open(bench_net *b, uint64_t seed, mango_err *err);
/* Plan for batch B, to the target, and time runs of it; free the plan afterwards. */
mango_status bench_net_time(bench_net *b, mango_idx B, double seconds, bench_time *t,
                            mango_err *err);
void bench_net_free(bench_net *b);
/* Figures of one that is open, for --net. */
mango_status bench_network(bench_net *b, bench_all *a, mango_err *err);
mango_status bench_nets(bench_all *a, mango_err *err);
int bench_nets_steps(const bench_all *a);
/* A word of --only that is no part and no network of the zoo, or NULL. */
const char *bench_nets_unknown(const bench_all *a);
/* Is this no NAME=FILE with a network of the zoo? The file that `--weights` gives
 * for one, or NULL. The gain that its formula weights have by default. */
int bench_weights_unknown(const char *text);
const char *bench_weights_of(const bench_all *a, const char *name);
const char *bench_fill_of(const char *name);
/* Mean rate of the spiking layers on the way to the target, in one more run. */
mango_status bench_spike_rate(bench_net *b, double *rate, mango_err *err);

/* ---- verb_bench_scale.c ---------------------------------------------------- */
/* Figures (SVG) and their numbers (TSV) into a folder. */
mango_status bench_scaling(bench_all *a, mango_err *err);
const char *bench_scaling_unknown(const bench_all *a); /* a word that is no figure */

#endif

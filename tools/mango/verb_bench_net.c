/* verb_bench_net.c - whole networks: time, operations, spike rates, memory.
 * SPDX-License-Identifier: MIT */
#include "verb_bench.h"
#include <math.h>
#include <stdlib.h>

#define BENCH_NET_BATCHES 4
#define BENCH_NET_RATES 10 /* inputs over which spikes are counted, at most */

/* ---- one network ------------------------------------------------------------ */

static mango_status bench_net_once(void *ud)
{
    bench_net *b = ud;
    return mango_plan_run(b->plan, (mango_idx)b->batch, b->x);
}

/* Codes by the test formula: floor(n (0.5 + 0.5 u)). */
static mango_status bench_codes(bench_net *b, uint64_t seed, mango_err *err)
{
    mango_space *space;
    mango_space_info info;
    MGI_TRY(mango_space_of(&space, b->net, NULL, err));
    MGI_TRY(mango_space_get(space, &info));
    const mango_modes m = info.modes;
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
        b->in.from = info.layer;
    }
    mango_space_destroy(space);
    return b->in.x ? MANGO_OK : MANGO_E_MEM;
}

mango_status bench_net_open(bench_net *b, uint64_t seed, mango_err *err)
{
    mango_layer l;
    if (!b->net)
        MGI_TRY(cli_net(&b->net, b->name, b->fill, err));
    if (!b->T)
        b->T = mango_net_steps(b->net);
    if (b->input)
        MGI_TRY(input_read(&b->in, b->net, b->input, err));
    else if (b->codes)
        MGI_TRY(bench_codes(b, seed, err));
    else
        MGI_TRY(input_fill(&b->in, b->net, seed, (mango_idx)b->batch, err));
    b->target = mango_net_layers(b->net) - 1;
    if (b->layer)
        MGI_TRY(mango_net_find(b->net, b->layer, &b->target, err));
    MGI_TRY(mango_net_layer(b->net, b->target, &l));
    b->x = malloc((size_t)(b->batch * b->in.size) * sizeof(float));
    b->rate = calloc((size_t)(b->batch * l.C * l.H * l.W), sizeof(float));
    if (!b->x || !b->rate)
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
    o.half = b->half;
    o.int8 = b->int8;
    mango_plan_destroy(b->plan);
    b->plan = NULL;
    return mango_plan_create(&b->plan, b->net, &o, n, rd, NULL, err);
}

mango_status bench_net_time(bench_net *b, mango_idx B, double seconds, bench_time *t,
                            mango_err *err)
{
    mango_reading rd = {b->target, MANGO_READ_MEAN, b->rate};
    b->batch = B;
    MGI_TRY(bench_net_plan(b, 1, &rd, err));
    return bench_run(bench_net_once, b, seconds, 2, t);
}

void bench_net_free(bench_net *b)
{
    mango_plan_destroy(b->plan);
    input_free(&b->in);
    mango_net_destroy(b->net);
    free(b->x);
    free(b->rate);
    memset(b, 0, sizeof *b);
}

/* ---- spikes ------------------------------------------------------------------ */

/* What one more run reads: the rate of each spiking layer, and each 0/1 map that
 * enters a matrix product. */
typedef struct bench_probe {
    mango_reading rd[2 * MANGO_LAYERS_MAX];
    bench_ones ones[MANGO_LAYERS_MAX];
    mango_idx rates, n; /* readings of rates, all readings */
} bench_probe;

static mango_status probe_add(bench_probe *p, mango_idx layer, mango_read what, mango_idx n)
{
    float *out = calloc((size_t)n, sizeof *out);
    p->rd[p->n] = (mango_reading){layer, what, out};
    p->n += out != NULL;
    return out ? MANGO_OK : MANGO_E_MEM;
}

static mango_status probe_list(bench_probe *p, const bench_net *b)
{
    static char need[MANGO_LAYERS_MAX];
    const mango_net *net = b->net;
    const mango_idx B = (mango_idx)b->batch;
    bench_needed(net, b->target, b->in.from, need);
    for (mango_idx i = 0; i < mango_net_layers(net); i++)
        if (need[i] && cli_layer(net, i).spiking)
            MGI_TRY(probe_add(p, i, MANGO_READ_RATE, B * cli_layer(net, i).C));
    p->rates = p->n;
    for (mango_idx i = 0; i < mango_net_layers(net); i++) {
        const mango_idx at = need[i] && i != b->in.from ? bench_ones_of(net, i) : -1;
        mango_idx k = p->rates;
        while (k < p->n && p->rd[k].layer != at)
            k++;
        if (at < 0 || k < p->n)
            continue;
        const mango_layer g = cli_layer(net, at);
        MGI_TRY(probe_add(p, at, MANGO_READ_MEAN, B * g.C * g.H * g.W));
        p->ones[k - p->rates] = (bench_ones){at, p->rd[k].out};
    }
    return MANGO_OK;
}

/* Mean rate of the i-th spiking layer. */
static double probe_rate(const bench_probe *p, const bench_net *b, mango_idx i)
{
    const mango_idx n = (mango_idx)b->batch * cli_layer(b->net, p->rd[i].layer).C;
    double sum = 0;
    for (mango_idx j = 0; j < n; j++)
        sum += (double)p->rd[i].out[j];
    return sum / (double)n;
}

static double probe_mean(const bench_probe *p, const bench_net *b)
{
    double sum = 0;
    for (mango_idx i = 0; i < p->rates; i++)
        sum += probe_rate(p, b, i);
    return p->rates ? sum / (double)p->rates : 0.0;
}

static void probe_report(const bench_probe *p, const bench_net *b, bench_all *a)
{
    mango_layer l;
    mgi_str_puts(&a->s, ",\"layers\":[");
    for (mango_idx i = 0; i < p->rates; i++) {
        const double mean = probe_rate(p, b, i);
        mango_net_layer(b->net, p->rd[i].layer, &l);
        cli_print(&a->c, "  %-20s fires in %.4f of neuron-steps\n", l.name, mean);
        mgi_str_puts(&a->s, i ? ",{" : "{");
        cli_quote(&a->s, "name", l.name);
        mgi_str_printf(&a->s, ",\"spike_rate\":%.6f}", mean);
    }
    mgi_str_printf(&a->s, "],\"spike_rate\":%.6f", probe_mean(p, b));
}

static void probe_free(bench_probe *p)
{
    while (p && p->n > 0)
        free(p->rd[--p->n].out);
    free(p);
}

/* One run with readings of every layer, and the multiply-adds of an input. */
static mango_status probe_run(bench_probe *p, bench_net *b, bench_macs *m, mango_err *err)
{
    b->batch = MGI_MIN(b->batch, BENCH_NET_RATES);
    MGI_TRY(probe_list(p, b));
    if (p->n) {
        MGI_TRY(bench_net_plan(b, p->n, p->rd, err));
        MGI_TRY(bench_net_once(b));
    }
    *m = bench_count(b->net, b->target, b->in.from, (mango_idx)b->T, (mango_idx)b->batch,
                     p->n - p->rates, p->ones);
    return MANGO_OK;
}

mango_status bench_spike_rate(bench_net *b, double *rate, mango_err *err)
{
    bench_macs m;
    const int64_t batch = b->batch;
    bench_probe *p = calloc(1, sizeof *p);
    const mango_status st = p ? probe_run(p, b, &m, err) : MANGO_E_MEM;
    *rate = st < 0 ? 0 : probe_mean(p, b);
    probe_free(p);
    b->batch = batch;
    return st;
}

/* ---- figures of one batch ---------------------------------------------------- */

typedef struct bench_figures {
    mango_idx batch;
    bench_time t;
    double plan_mib, rss_mib, instructions; /* of an input; NaN: not counted */
} bench_figures;

static mango_status bench_measure(bench_net *b, bench_all *a, mango_idx B, bench_figures *f,
                                  mango_err *err)
{
    f->batch = B;
    bench_rss_reset();
    MGI_TRY(bench_net_time(b, B, a->seconds, &f->t, err));
    f->plan_mib = (double)mango_plan_bytes(b->plan) / 1048576.0;
    f->rss_mib = bench_rss_mib();
    const double before = bench_counter_read(a->counter);
    if (a->counter >= 0)
        MGI_TRY(bench_net_once(b));
    f->instructions = (bench_counter_read(a->counter) - before) / (double)B;
    return MANGO_OK;
}

static double figures_ms(const bench_figures *f)
{
    return 1e3 * f->t.best / (double)f->batch;
}

/* The keys of one batch; help of the verb documents them. */
static void figures_json(const bench_figures *f, const bench_macs *m, bench_all *a)
{
    const double ms = figures_ms(f), gflops = 2e-6 * m->needed / ms;
    mgi_str_printf(&a->s,
                   "\"batch\":%td,\"ms_per_image\":%.5f,\"ms_median\":%.5f,"
                   "\"gflops\":%.6g,\"gflops_dense\":%.6g,\"of_peak\":%.4f,"
                   "\"plan_mib\":%.2f,\"peak_rss_mib\":%.2f,\"instructions\":",
                   f->batch, ms, 1e3 * f->t.median / (double)f->batch, gflops,
                   2e-6 * m->dense / ms, gflops / a->peak, f->plan_mib, f->rss_mib);
    if (mgi_is_finite(f->instructions))
        mgi_str_printf(&a->s, "%.0f", f->instructions);
    else
        mgi_str_puts(&a->s, "null");
}

static void figures_print(const bench_figures *f, const bench_macs *m, bench_all *a)
{
    const double ms = figures_ms(f), gflops = 2e-6 * m->needed / ms;
    char counted[48] = "";
    if (mgi_is_finite(f->instructions))
        snprintf(counted, sizeof counted, ", %.3g instructions", f->instructions);
    cli_print(&a->c,
              "  batch %3td: %9.3f ms an image (median %.3f), %.1f GFLOP/s, %.2f of the "
              "peak; dense %.1f; plan %.1f MiB, resident %.1f MiB%s\n",
              f->batch, ms, 1e3 * f->t.median / (double)f->batch, gflops, gflops / a->peak,
              2e-6 * m->dense / ms, f->plan_mib, f->rss_mib, counted);
}

static void bench_net_head(const bench_net *b, bench_all *a, const bench_macs *m)
{
    mango_layer l;
    mango_net_layer(b->net, b->target, &l);
    if (a->why[0])
        cli_print(&a->c, "instructions are not counted here: %s\n", a->why);
    a->why[0] = 0;
    cli_print(&a->c, "%s to %s, T %td, %s%s%s: %.4g M multiply-adds an image, %.4g M dense\n",
              b->name, l.name, (mango_idx)b->T, b->fill ? "formula weights" : "its weights",
              b->half ? ", halves" : "", b->int8 ? ", 8 bits for spikes" : "",
              1e-6 * m->needed, 1e-6 * m->dense);
    cli_quote(&a->s, "net", b->name);
    mgi_str_puts(&a->s, ",");
    cli_quote(&a->s, "layer", l.name);
    mgi_str_printf(&a->s, ",\"T\":%td,\"formula\":%s,\"input\":", (mango_idx)b->T,
                   b->fill ? "true" : "false");
    if (b->input)
        mgi_json_quote(&a->s, b->input, (mango_idx)strlen(b->input));
    else
        mgi_str_puts(&a->s, "null");
    if (b->half || b->int8)
        mgi_str_printf(&a->s, ",\"half_weights\":%d,\"int8_weights\":%d", b->half, b->int8);
    mgi_str_printf(&a->s, ",\"macs\":%.0f,\"macs_dense\":%.0f", m->needed, m->dense);
}

/* All of a network: n batches, the best of which comes first in the object. */
static void bench_net_tell(const bench_net *b, bench_all *a, int n, const bench_figures *f,
                           const bench_macs *m)
{
    int best = 0;
    bench_net_head(b, a, m);
    for (int i = 0; i < n; i++) {
        figures_print(&f[i], m, a);
        if (figures_ms(&f[i]) < figures_ms(&f[best]))
            best = i;
    }
    mgi_str_puts(&a->s, ",");
    figures_json(&f[best], m, a);
    mgi_str_puts(&a->s, ",\"batches\":[");
    for (int i = 0; i < n; i++) {
        mgi_str_puts(&a->s, i ? ",{" : "{");
        figures_json(&f[i], m, a);
        mgi_str_puts(&a->s, "}");
    }
    mgi_str_puts(&a->s, "]");
}

static mango_status bench_net_report(bench_net *b, bench_all *a, int n,
                                     const bench_figures *f, mango_err *err)
{
    bench_macs m = {0, 0};
    bench_probe *p = calloc(1, sizeof *p);
    mango_status st = p ? probe_run(p, b, &m, err) : MANGO_E_MEM;
    if (st >= 0) {
        bench_net_tell(b, a, n, f, &m);
        probe_report(p, b, a);
    }
    probe_free(p);
    return st;
}

mango_status bench_network(bench_net *b, bench_all *a, mango_err *err)
{
    bench_figures f;
    bench_step(a, b->name);
    MGI_TRY(bench_measure(b, a, (mango_idx)b->batch, &f, err));
    return bench_net_report(b, a, 1, &f, err);
}

/* ---- the zoo ------------------------------------------------------------------ */

/* Batches, ascending; 0 ends them. The gains of the spiking ones make their layers
 * fire about as often as trained ones do (3% to 25%). */
static const struct {
    const char *name, *fill;
    int batch[BENCH_NET_BATCHES], codes;
} bench_zoo[] = {{"sngan", "7,0.6", {1, 10, 25, 100}, 0},
                 {"vqvae", "7,1", {1, 10, 25, 100}, 1},
                 {"snn_conv", "7,0.4", {1, 10, 25, 0}, 0},
                 {"spiking_resnet18", "7,3", {1, 10, 25, 0}, 0},
                 {"resnet18", "7,1", {1, 10, 25, 0}, 0},
                 {"densenet", "7,1", {1, 10, 0, 0}, 0},
                 {"alexnet", "7,1", {1, 10, 0, 0}, 0},
                 {"vgg16", "7,1", {1, 4, 0, 0}, 0},
                 {"vgg19", "7,1", {1, 4, 0, 0}, 0}};

static int zoo_wanted(const bench_all *a, mango_idx i)
{
    return bench_wants(a->only, "nets") || bench_wants(a->only, bench_zoo[i].name);
}

int bench_nets_steps(const bench_all *a)
{
    int n = 0;
    for (mango_idx i = 0; i < MGI_COUNT(bench_zoo); i++)
        for (int k = 0; zoo_wanted(a, i) && k < BENCH_NET_BATCHES; k++)
            n += bench_zoo[i].batch[k] > 0;
    return n;
}

const char *bench_nets_unknown(const bench_all *a)
{
    static const char *const part[] = {"peak", "opt", "gemm", "nets", "presets", "share"};
    static char word[64];
    for (const char *p = a->only ? a->only : ""; *p; p += strcspn(p, ","), p += *p == ',') {
        int known = 0;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(p, ","), p);
        for (mango_idx i = 0; i < MGI_COUNT(part); i++)
            known |= !strcmp(word, part[i]);
        for (mango_idx i = 0; i < MGI_COUNT(bench_zoo); i++)
            known |= !strcmp(word, bench_zoo[i].name);
        if (!known)
            return word;
    }
    return NULL;
}

int bench_weights_unknown(const char *text)
{
    const size_t n = strcspn(text, "=");
    for (mango_idx i = 0; i < MGI_COUNT(bench_zoo); i++)
        if (strlen(bench_zoo[i].name) == n && !memcmp(bench_zoo[i].name, text, n))
            return !text[n] || !text[n + 1];
    return 1;
}

const char *bench_fill_of(const char *name)
{
    for (mango_idx i = 0; i < MGI_COUNT(bench_zoo); i++)
        if (!strcmp(bench_zoo[i].name, name))
            return bench_zoo[i].fill;
    return NULL;
}

const char *bench_weights_of(const bench_all *a, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; a->weights[i]; i++)
        if (!strncmp(a->weights[i], name, n) && a->weights[i][n] == '=')
            return a->weights[i] + n + 1;
    return NULL;
}

/* Does this network take the pictures of --input? All of CIFAR-10's size do. */
static int zoo_takes(const bench_net *b)
{
    const mango_layer g = cli_layer(b->net, cli_info(b->net).input);
    return !b->codes && g.C == 3 && g.H == 32 && g.W == 32;
}

static mango_status zoo_row(bench_all *a, mango_idx row, bench_net *b, mango_err *err)
{
    bench_figures f[BENCH_NET_BATCHES];
    int n = 0;
    while (n < BENCH_NET_BATCHES && bench_zoo[row].batch[n])
        n++;
    b->batch = bench_zoo[row].batch[n - 1];
    b->codes = bench_zoo[row].codes;
    MGI_TRY(cli_net(&b->net, b->name, b->fill, err));
    b->input = zoo_takes(b) ? a->input : NULL;
    MGI_TRY(bench_net_open(b, (uint64_t)a->c.seed, err));
    for (int i = 0; i < n; i++) {
        bench_step(a, bench_zoo[row].name);
        MGI_TRY(bench_measure(b, a, bench_zoo[row].batch[i], &f[i], err));
    }
    return bench_net_report(b, a, n, f, err);
}

mango_status bench_nets(bench_all *a, mango_err *err)
{
    int any = 0;
    mgi_str_puts(&a->s, ",\"networks\":[");
    for (mango_idx i = 0; i < MGI_COUNT(bench_zoo); i++) {
        bench_net b;
        char zoo[64];
        if (!zoo_wanted(a, i))
            continue;
        memset(&b, 0, sizeof b);
        snprintf(zoo, sizeof zoo, "zoo:%s", bench_zoo[i].name);
        b.name = bench_weights_of(a, bench_zoo[i].name);
        b.fill = b.name ? NULL : bench_zoo[i].fill;
        b.name = b.name ? b.name : zoo;
        mgi_str_puts(&a->s, any++ ? ",{" : "{");
        const mango_status st = zoo_row(a, i, &b, err);
        bench_net_free(&b);
        MGI_TRY(st);
        mgi_str_puts(&a->s, "}");
    }
    mgi_str_puts(&a->s, "]");
    return MANGO_OK;
}

#undef BENCH_NET_BATCHES
#undef BENCH_NET_RATES

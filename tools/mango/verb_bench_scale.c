/* verb_bench_scale.c - `mango bench speed --scaling DIR`: how time grows with the
 * spike rate, threads, batch, steps and width, as figures and tables.
 * SPDX-License-Identifier: MIT */
#include "svg.h"
#include "verb_bench.h"
#include <math.h>
#include <stdlib.h>

#define SCALE_SERIES 12
#define SCALE_POINTS 16

/* A figure under way: lines of points, and the table. */
typedef struct scale_fig {
    bench_all *a;
    const char *name;
    svg_chart chart;
    svg_series line[SCALE_SERIES];
    double x[SCALE_SERIES][SCALE_POINTS], y[SCALE_SERIES][SCALE_POINTS];
    double tick[SCALE_POINTS];
    char note[192];
    mgi_str tsv;
} scale_fig;

/* ---- lines ------------------------------------------------------------------- */

static svg_series *fig_line(scale_fig *f, const char *name, svg_style style, int colour)
{
    const mango_idx i = f->chart.n++;
    svg_series *l = &f->line[i];
    l->name = name;
    l->style = style;
    l->colour = colour;
    l->x = f->x[i];
    l->y = f->y[i];
    return l;
}

static void fig_point(scale_fig *f, svg_series *l, double x, double y)
{
    const mango_idx i = l - f->line;
    if (l->n < SCALE_POINTS) {
        f->x[i][l->n] = x;
        f->y[i][l->n++] = y;
    }
}

/* A guide from (x0, y0) on: y proportional to x^power. */
static void fig_guide(scale_fig *f, const char *name, double x0, double y0, double x1,
                      double power)
{
    svg_series *l = fig_line(f, name, SVG_DASH, 8);
    fig_point(f, l, x0, y0);
    fig_point(f, l, x1, y0 * pow(x1 / x0, power));
}

/* ---- files ------------------------------------------------------------------- */

/* The processor's name, "" where the system does not tell. */
static void scale_cpu(char out[96])
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    out[0] = 0;
    while (f && !out[0] && fgets(line, sizeof line, f)) {
        const char *at = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
        if (at)
            snprintf(out, 96, "%.*s, ", (int)MGI_MIN(strcspn(at + 1, "\n") - 1, 90),
                     at + 2);
    }
    if (f)
        fclose(f);
}

static void fig_open(scale_fig *f, bench_all *a, const char *name, const char *columns,
                     const char *what)
{
    char cpu[96];
    memset(f, 0, sizeof *f);
    f->a = a;
    f->name = name;
    f->chart.series = f->line;
    f->chart.print = 1;
    f->chart.log_x = f->chart.log_y = 1;
    f->chart.width = 760;
    f->chart.height = 440;
    scale_cpu(cpu);
    snprintf(f->note, sizeof f->note, "%s%s kernels, %d thread%s%s%s", cpu,
             cli_kernels(), mango_threads(), mango_threads() > 1 ? "s" : "",
             what[0] ? "; " : "", what);
    f->chart.note = f->note;
    mgi_str_init(&f->tsv, NULL);
    mgi_str_printf(&f->tsv, "# %s\n%s\n", f->note, columns);
}

static mango_status fig_save(scale_fig *f, mango_err *err)
{
    bench_all *a = f->a;
    char name[64], path[4096];
    snprintf(name, sizeof name, "speed-%s.svg", f->name);
    MGI_TRY(cli_join(path, (mango_idx)sizeof path, a->scaling, name, err));
    MGI_TRY(svg_save(path, &f->chart, err));
    snprintf(name, sizeof name, "speed-%s.tsv", f->name);
    MGI_TRY(cli_join(path, (mango_idx)sizeof path, a->scaling, name, err));
    if (f->tsv.bad)
        return MANGO_E_MEM;
    MGI_TRY(mgi_file_write(path, f->tsv.p, f->tsv.n, err));
    cli_print(&a->c, "speed-%s.svg and .tsv\n", f->name);
    mgi_str_printf(&a->s,
                   "%s{\"name\":\"%s\",\"svg\":\"speed-%s.svg\",\"tsv\":\"speed-%s.tsv\"}",
                   a->s.p[a->s.n - 1] == '[' ? "" : ",", f->name, f->name, f->name);
    return MANGO_OK;
}

/* ---- spike rate ------------------------------------------------------------------ */

/* A layer on bits, some of which are set, and the same on floats. */
typedef struct scale_layer {
    mango_conv_shape c;
    mango_conv_info info;
    mango_conv *conv;
    mango_idx N, bits_n, in_n, out_n;
    float *w, *x, *y, *u;
    uint64_t *bits;
} scale_layer;

#define SCALE_MAPS 100 /* of a batch of 10 at 10 steps, say */

static mango_status layer_sparse(void *ud)
{
    scale_layer *l = ud;
    return mango_conv_spikes(l->conv, l->bits, l->y);
}

static mango_status layer_dense(void *ud)
{
    scale_layer *l = ud;
    return mango_conv_run(l->conv, l->x, l->y);
}

static void layer_free(scale_layer *l)
{
    mango_conv_destroy(l->conv);
    free(l->w);
    free(l->x);
    free(l->y);
    free(l->u);
    free(l->bits);
}

static mango_idx layer_words(mango_idx C)
{
    return (C + 63) / 64;
}

static mango_status layer_make(scale_layer *l, const mango_conv_shape *c)
{
    memset(l, 0, sizeof *l);
    l->c = *c;
    l->N = SCALE_MAPS;
    const mango_idx weights = c->O * c->C * c->kh * c->kw, area = l->N * c->H * c->W;
    l->w = malloc((size_t)weights * sizeof *l->w);
    if (!l->w)
        return MANGO_E_MEM;
    mango_fill_u("weights", 1, weights, l->w);
    MGI_TRY(mango_conv_create(&l->conv, c, l->N, l->w, NULL, NULL));
    mango_conv_get(l->conv, &l->info);
    l->bits_n = area * layer_words(c->C);
    l->in_n = area * c->C;
    l->out_n = l->N * l->info.H * l->info.W * c->O;
    l->x = malloc((size_t)l->in_n * sizeof *l->x);
    l->u = malloc((size_t)l->in_n * sizeof *l->u);
    l->y = malloc((size_t)l->out_n * sizeof *l->y);
    l->bits = malloc((size_t)l->bits_n * sizeof *l->bits);
    if (!l->x || !l->u || !l->y || !l->bits)
        return MANGO_E_MEM;
    mango_fill_u("spikes", 1, l->in_n, l->u);
    return MANGO_OK;
}

/* Each input fires with probability `rate`; the rate that came out. */
static double layer_fire(scale_layer *l, double rate)
{
    const mango_idx C = l->c.C, words = layer_words(C);
    double fired = 0;
    memset(l->bits, 0, (size_t)l->bits_n * sizeof *l->bits);
    for (mango_idx p = 0; p < l->in_n / C; p++)
        for (mango_idx c = 0; c < C; c++) {
            const int on = 0.5 + 0.5 * (double)l->u[p * C + c] < rate;
            l->bits[p * words + c / 64] |= (uint64_t)on << (c % 64);
            l->x[p * C + c] = on ? 1.0f : 0.0f;
            fired += on;
        }
    return fired / (double)l->in_n;
}

static void layer_row(scale_fig *f, const scale_layer *l, const char *name,
                      const char *form, double rate, const bench_time *t, svg_series *line)
{
    const double gflops = 2e-9 * l->info.macs * (double)l->N / t->best;
    mgi_str_printf(&f->tsv, "%s\t%s\t%.5f\t%.6f\t%.2f\n", name, form, rate,
                   1e3 * t->best / (double)l->N, gflops);
    fig_point(f, line, 100 * rate, gflops);
}

static mango_status spikes_layer(scale_fig *f, const mango_conv_shape *c, const char *name,
                                 int colour)
{
    static const double rate[] = {.001, .002, .005, .01, .02, .05, .1, .15, .2, .3, .5};
    scale_layer l;
    bench_time t = {1, 1, 1};
    svg_series *line = fig_line(f, name, SVG_MARKS, colour);
    svg_series *flat = fig_line(f, NULL, SVG_DASH, colour);
    mango_status st = layer_make(&l, c);
    for (mango_idx i = 0; st >= 0 && i < MGI_COUNT(rate); i++) {
        const double made = layer_fire(&l, rate[i]);
        bench_step(f->a, name);
        st = bench_run(layer_sparse, &l, f->a->seconds, 3, &t);
        if (st >= 0)
            layer_row(f, &l, name, "spikes", made, &t, line);
    }
    if (st >= 0)
        st = bench_run(layer_dense, &l, f->a->seconds, 3, &t);
    if (st >= 0) {
        layer_row(f, &l, name, "dense", rate[0], &t, flat);
        layer_row(f, &l, name, "dense", rate[MGI_COUNT(rate) - 1], &t, flat);
    }
    layer_free(&l);
    return st;
}

static mango_status fig_spikes(scale_fig *f, mango_err *err)
{
    static const mango_conv_shape layer[] = {
        {.C = 64,
         .H = 8,
         .W = 8,
         .O = 64,
         .kh = 3,
         .kw = 3,
         .sh = 1,
         .sw = 1,
         .ph = 1,
         .pw = 1},
        {.C = 200, .H = 14, .W = 14, .O = 64, .kh = 5, .kw = 5, .sh = 1, .sw = 1},
        {.C = 512,
         .H = 2,
         .W = 2,
         .O = 512,
         .kh = 3,
         .kw = 3,
         .sh = 1,
         .sw = 1,
         .ph = 1,
         .pw = 1}};
    static const char *const name[] = {"64 to 64, 3\303\2273 on 8\303\2278",
                                       "200 to 64, 5\303\2275 on 14\303\22714",
                                       "512 to 512, 3\303\2273 on 2\303\2272"};
    static const double tick[] = {.1, .2, .5, 1, 2, 5, 10, 20, 50};
    (void)err;
    fig_open(f, f->a, "spikes", "layer\tform\tspike_rate\tms_per_map\tgflops_zeros_counted",
             "100 maps at once; dashed: in dense form");
    f->chart.title = "Convolution of spikes: only active inputs cost";
    f->chart.x_label = "inputs that fire (%)";
    f->chart.y_label = "GFLOP/s, zeros counted";
    f->chart.n_x_tick = MGI_COUNT(tick);
    f->chart.x_tick = tick;
    for (int i = 0; i < 3; i++)
        MGI_TRY(spikes_layer(f, &layer[i], name[i], i + 1));
    return MANGO_OK;
}

/* ---- networks ---------------------------------------------------------------------- */

static const struct {
    const char *name, *label;
    int codes, spiking;
} scale_net[] = {{"sngan", "SN-GAN", 0, 0},
                 {"vqvae", "VQ-VAE decoder", 1, 0},
                 {"resnet18", "ResNet-18", 0, 0},
                 {"snn_conv", "snn_conv, T 100", 0, 1},
                 {"spiking_resnet18", "spiking ResNet-18, T 50", 0, 1}};
#define SCALE_NETS 5

/* One of them ready for batches up to `batch`; width 0: as given by --weights, or
 * full with formula weights. Not to the output but to its last spikes or picture. */
static mango_status net_open(bench_all *a, int i, double width, mango_idx batch,
                             bench_net *b, mango_err *err)
{
    char zoo[96];
    memset(b, 0, sizeof *b);
    snprintf(zoo, sizeof zoo, "zoo:%s", scale_net[i].name);
    if (width > 0)
        snprintf(zoo, sizeof zoo, "zoo:%s,width=%g", scale_net[i].name, width);
    b->name = width > 0 ? NULL : bench_weights_of(a, scale_net[i].name);
    b->fill = b->name ? NULL : bench_fill_of(scale_net[i].name);
    b->name = b->name ? b->name : zoo;
    b->codes = scale_net[i].codes;
    b->input = !b->codes && strcmp(scale_net[i].name, "sngan") ? a->input : NULL;
    b->batch = batch;
    const mango_status st = bench_net_open(b, (uint64_t)a->c.seed, err);
    b->name = scale_net[i].name; /* zoo is gone on return */
    return st;
}

/* One point; ms is that of an image. */
static mango_status net_point(scale_fig *f, bench_net *b, mango_idx B, double width,
                              double *ms, mango_err *err)
{
    bench_time t;
    double rate = 0;
    bench_step(f->a, b->name);
    MGI_TRY(bench_net_time(b, B, f->a->seconds, &t, err));
    if (b->T > 1)
        MGI_TRY(bench_spike_rate(b, &rate, err));
    *ms = 1e3 * t.best / (double)B;
    mgi_str_printf(&f->tsv, "%s\t%d\t%td\t%td\t%g\t%.6f\t%.6f\t", b->name, mango_threads(),
                   B, (mango_idx)b->T, width, *ms, 1e3 * t.median / (double)B);
    mgi_str_printf(&f->tsv, rate > 0 ? "%.5f\n" : "-\n", rate);
    return MANGO_OK;
}

#define SCALE_COLUMNS                                                                      \
    "network\tthreads\tbatch\tT\twidth\tms_per_image\tms_median\tspike_rate"

static void net_fig(scale_fig *f, const char *name, const char *title, const char *x_label,
                    const char *what, mango_idx n, const double *tick)
{
    fig_open(f, f->a, name, SCALE_COLUMNS, what);
    f->chart.title = title;
    f->chart.x_label = x_label;
    f->chart.y_label = "milliseconds an image";
    f->chart.n_x_tick = n;
    f->chart.x_tick = tick;
}

static mango_status fig_threads(scale_fig *f, mango_err *err)
{
    const int all = mango_threads();
    double *tick = f->tick;
    int n = 0;
    net_fig(f, "threads", "Speed-up by threads", "threads", "batch 10", 0, tick);
    for (int t = 1; t < all && n < SCALE_POINTS - 1; t *= 2)
        tick[n++] = t;
    tick[n++] = all;
    f->chart.n_x_tick = n;
    f->chart.log_x = f->chart.log_y = 0;
    f->chart.y_label = "speed-up over one thread";
    fig_guide(f, "ideal", 1, 1, all, 1);
    mango_status st = MANGO_OK;
    for (int i = 0; st >= 0 && i < SCALE_NETS; i++) {
        bench_net b;
        svg_series *l = fig_line(f, scale_net[i].label, SVG_MARKS, i + 1);
        double ms = 0, one = 0;
        st = net_open(f->a, i, 0, 10, &b, err);
        for (int k = 0; st >= 0 && k < n; k++) {
            mango_set_threads((int)tick[k]);
            st = net_point(f, &b, 10, 1, &ms, err);
            one = k ? one : ms;
            fig_point(f, l, tick[k], one / ms);
        }
        mango_set_threads(all);
        bench_net_free(&b);
    }
    return st;
}

static mango_status fig_batch(scale_fig *f, mango_err *err)
{
    static const double tick[] = {1, 2, 5, 10, 25, 50};
    net_fig(f, "batch", "Time an image by batch", "images at once (batch)", "",
            MGI_COUNT(tick), tick);
    mango_status st = MANGO_OK;
    for (int i = 0; st >= 0 && i < SCALE_NETS; i++) {
        bench_net b;
        double ms = 0;
        svg_series *l = fig_line(f, scale_net[i].label, SVG_MARKS, i + 1);
        st = net_open(f->a, i, 0, 50, &b, err);
        for (mango_idx k = 0; st >= 0 && k < MGI_COUNT(tick); k++) {
            st = net_point(f, &b, (mango_idx)tick[k], 1, &ms, err);
            fig_point(f, l, tick[k], ms);
        }
        bench_net_free(&b);
    }
    return st;
}

static mango_status fig_steps(scale_fig *f, mango_err *err)
{
    static const double tick[] = {1, 2, 5, 10, 20, 50, 100, 200};
    static const char *const label[] = {"snn_conv", "spiking ResNet-18"};
    net_fig(f, "steps", "Time an image by steps of a spiking network", "steps T",
            "batch 10", MGI_COUNT(tick), tick);
    mango_status st = MANGO_OK;
    double first = 0, ms = 0;
    for (int i = SCALE_NETS - 2; st >= 0 && i < SCALE_NETS; i++) {
        bench_net b;
        svg_series *l = fig_line(f, label[i - SCALE_NETS + 2], SVG_MARKS, i + 1);
        st = net_open(f->a, i, 0, 10, &b, err);
        for (mango_idx k = 0; st >= 0 && k < MGI_COUNT(tick); k++) {
            b.T = (int64_t)tick[k];
            st = net_point(f, &b, 10, 1, &ms, err);
            fig_point(f, l, tick[k], ms);
            if (i == SCALE_NETS - 2 && k == 0)
                first = ms;
        }
        bench_net_free(&b);
    }
    fig_guide(f, "proportional to T", 1, first / 2, 200, 1);
    return st;
}

static mango_status fig_width(scale_fig *f, mango_err *err)
{
    static const double tick[] = {.125, .25, .5, .75, 1};
    net_fig(f, "width", "Time an image by width",
            "channels of each layer (1: as published)", "batch 10, formula weights",
            MGI_COUNT(tick), tick);
    mango_status st = MANGO_OK;
    double least = HUGE_VAL, ms = 0;
    for (int i = 0; st >= 0 && i < SCALE_NETS; i++) {
        svg_series *l = fig_line(f, scale_net[i].label, SVG_MARKS, i + 1);
        for (mango_idx k = 0; st >= 0 && k < MGI_COUNT(tick); k++) {
            bench_net b;
            st = net_open(f->a, i, tick[k], 10, &b, err);
            if (st >= 0)
                st = net_point(f, &b, 10, tick[k], &ms, err);
            fig_point(f, l, tick[k], ms);
            least = MGI_MIN(least, ms);
            bench_net_free(&b);
        }
    }
    fig_guide(f, "proportional to the square", .25, 2 * least, 1, 2);
    return st;
}

/* ---- all of them --------------------------------------------------------------------- */

static const struct {
    const char *name;
    mango_status (*make)(scale_fig *f, mango_err *err);
    int steps;
} scale_figs[] = {{"spikes", fig_spikes, 33},
                  {"threads", fig_threads, 2 * SCALE_NETS},
                  {"batch", fig_batch, 6 * SCALE_NETS},
                  {"steps", fig_steps, 16},
                  {"width", fig_width, 5 * SCALE_NETS}};

const char *bench_scaling_unknown(const bench_all *a)
{
    static char word[64];
    for (const char *p = a->only ? a->only : ""; *p; p += strcspn(p, ","), p += *p == ',') {
        int known = 0;
        snprintf(word, sizeof word, "%.*s", (int)strcspn(p, ","), p);
        for (mango_idx i = 0; i < MGI_COUNT(scale_figs); i++)
            known |= !strcmp(word, scale_figs[i].name);
        if (!known)
            return word;
    }
    return NULL;
}

mango_status bench_scaling(bench_all *a, mango_err *err)
{
    static scale_fig f;
    mango_status st = cli_mkdir(a->scaling, err);
    for (mango_idx i = 0; i < MGI_COUNT(scale_figs); i++)
        a->total += bench_wants(a->only, scale_figs[i].name) ? scale_figs[i].steps : 0;
    mgi_str_puts(&a->s, ",\"figures\":[");
    for (mango_idx i = 0; st >= 0 && i < MGI_COUNT(scale_figs); i++) {
        if (!bench_wants(a->only, scale_figs[i].name))
            continue;
        memset(&f, 0, sizeof f);
        f.a = a;
        st = scale_figs[i].make(&f, err);
        if (st >= 0)
            st = fig_save(&f, err);
        mgi_str_free(&f.tsv);
    }
    mgi_str_puts(&a->s, "]");
    return st;
}

#undef SCALE_SERIES
#undef SCALE_POINTS
#undef SCALE_MAPS
#undef SCALE_NETS
#undef SCALE_COLUMNS

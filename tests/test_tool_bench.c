/* test_tool_bench.c - `mango bench speed` from outside: what it counts, its keys,
 * its files. Times themselves are never tested.
 * SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "tool.h"
#include <signal.h>
#include <time.h>

#define T_BENCH "bench speed --quiet --seconds 0.001 "

enum { T_BENCH_B = 2, T_BENCH_T = 6 };

/* All of a small text file; "" when it is not there. */
static const char *t_tool_bench_text(const char *name, char text[16384])
{
    FILE *f = fopen(t_work(name), "rb");
    const size_t n = f ? fread(text, 1, 16383, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    return text;
}

/* Lines of a text. */
static int t_tool_bench_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Run it and read its object. */
static int t_tool_bench_get(const char *command, mgi_json *j)
{
    t_ran r = t_tool_run(command);
    const int ok = T_CHECK(r.rc == 0 && r.n_err == 0) && T_CHECK(t_json(&r, j));
    t_ran_free(&r);
    return ok;
}

/* ---- operations ------------------------------------------------------------------ */

/* Multiply-adds of a k x k convolution without padding or stride from n x n maps
 * with the ones of S (C,n,n): every one meets the windows it lies in. */
static double t_tool_bench_taps(const float *S, mango_idx C, mango_idx n, mango_idx k,
                                mango_idx O)
{
    double sum = 0;
    for (mango_idx c = 0; c < C; c++)
        for (mango_idx y = 0; y < n; y++)
            for (mango_idx x = 0; x < n; x++)
                for (mango_idx ky = 0; ky < k && S[(c * n + y) * n + x] > 0; ky++)
                    for (mango_idx kx = 0; kx < k; kx++)
                        sum += y - ky >= 0 && y - ky + k <= n && x - kx >= 0 &&
                               x - kx + k <= n;
    return sum * (double)O;
}

/* The spikes of a layer of the test's network, (T,B,C,H,W). */
static float *t_tool_bench_spikes(const mango_net *net, const char *layer, mango_layer *l)
{
    static float x[T_BENCH_B * 3072];
    mango_plan *plan = NULL;
    mango_plan_options o;
    mango_reading rd = {0, MANGO_READ_SPIKES, NULL};
    mango_fill_u("input", 0, T_BENCH_B * 3072, x);
    for (int i = 0; i < T_BENCH_B * 3072; i++)
        x[i] = 0.5f + 0.5f * x[i];
    mango_plan_defaults(&o);
    o.T = T_BENCH_T, o.batch = T_BENCH_B, o.raw = 1;
    T_STATUS(mango_net_find(net, layer, &rd.layer, NULL), MANGO_OK);
    T_STATUS(mango_net_layer(net, rd.layer, l), MANGO_OK);
    rd.out = calloc((size_t)(T_BENCH_T * T_BENCH_B * l->C * l->H * l->W), sizeof(float));
    T_STATUS(mango_plan_create(&plan, net, &o, 1, &rd, NULL, NULL), MANGO_OK);
    T_STATUS(mango_plan_run(plan, T_BENCH_B, x), MANGO_OK);
    mango_plan_destroy(plan);
    return rd.out;
}

/* What an input of T_NET needs, counted spike by spike. */
static double t_tool_bench_needed(double *rate)
{
    mango_net *net = NULL;
    mango_layer l, after;
    double sum = 0;
    T_STATUS(mango_net_zoo(&net, &T_NET[4], NULL, NULL), MANGO_OK);
    T_STATUS(mango_net_fill(net, 7, 1.0), MANGO_OK);
    static const char *const from[] = {"spiking0", "spiking1", "spiking2"};
    static const char *const to[] = {"conv1", "linear1", "linear2"};
    for (int i = 0; i < 3; i++) {
        mango_idx at = 0;
        float *S = t_tool_bench_spikes(net, from[i], &l);
        T_STATUS(mango_net_find(net, to[i], &at, NULL), MANGO_OK);
        T_STATUS(mango_net_layer(net, at, &after), MANGO_OK);
        const mango_idx n = l.C * l.H * l.W;
        for (mango_idx m = 0; m < T_BENCH_T * T_BENCH_B; m++)
            sum += i ? t_tool_bench_taps(S + m * n, n, 1, 1, after.C)
                     : t_tool_bench_taps(S + m * n, l.C, l.H, 5, after.C);
        rate[i] = t_tool_bench_taps(S, n * T_BENCH_T * T_BENCH_B, 1, 1, 1) /
                  (double)(n * T_BENCH_T * T_BENCH_B);
        free(S);
    }
    T_STATUS(mango_net_layer(net, 1, &after), MANGO_OK); /* conv0: once, no spikes */
    mango_net_destroy(net);
    return sum / T_BENCH_B + (double)(after.C * after.H * after.W) * 75;
}

static void t_tool_bench_net(void)
{
    mgi_json j;
    char command[200];
    double rate[3] = {0, 0, 0};
    snprintf(command, sizeof command,
             T_BENCH "--net %s --fill 7,1 --T %d --batch %d --json", T_NET, T_BENCH_T,
             T_BENCH_B);
    if (!t_tool_bench_get(command, &j))
        return;
    T_REL(t_json_number(&j, "macs"), t_tool_bench_needed(rate), 1e-6);
    T_CHECK(rate[0] > 0 && rate[1] > 0); /* else nothing was shown */
    const mgi_json_value *layers = mgi_json_get(&j, &j.v[0], "layers");
    T_REQUIRE(layers && layers->n == 4);
    for (int i = 0; i < 3; i++)
        T_NEAR(mgi_json_get(&j, mgi_json_at(&j, layers, i), "spike_rate")->d, rate[i],
               1e-5);
    static const char *const key[] = {"ms_per_image", "ms_median",    "gflops",
                                      "gflops_dense", "of_peak",      "peak_gflops",
                                      "plan_mib",     "peak_rss_mib", "spike_rate"};
    for (mango_idx i = 0; i < MGI_COUNT(key); i++)
        T_CHECK(t_json_number(&j, key[i]) > 0);
    T_REL(t_json_number(&j, "gflops") / t_json_number(&j, "gflops_dense"),
          t_json_number(&j, "macs") / t_json_number(&j, "macs_dense"), 0.01);
    /* a count, or an honest null with the reason */
    const mgi_json_value *n = mgi_json_get(&j, &j.v[0], "instructions");
    const mgi_json_value *counter = mgi_json_get(&j, &j.v[0], "counter");
    T_CHECK(n && counter &&
            (n->kind == MGI_JSON_NUMBER) == (counter->kind == MGI_JSON_STRING));
    T_CHECK(counter->kind == MGI_JSON_STRING || mgi_json_get(&j, &j.v[0], "counter_note"));
    mgi_json_free(&j);
}

/* Without spikes: every multiply-add but those with the padding. */
static void t_tool_bench_dense(void)
{
    mgi_json j;
    if (!t_tool_bench_get(
            T_BENCH "--net zoo:resnet18,width=0.125 --fill 7,1 --layer conv1 --threads 1 "
                    "--json",
            &j))
        return;
    T_EQ(t_json_number(&j, "macs_dense"), 3 * 8 * 9 * 32 * 32);
    T_EQ(t_json_number(&j, "macs"), 3 * 8 * (3 * 32 - 2) * (3 * 32 - 2));
    T_EQ(t_json_number(&j, "spike_rate"), 0);
    mgi_json_free(&j);
}

/* ---- parts and figures ------------------------------------------------------------- */

static void t_tool_bench_gemm(void)
{
    mgi_json j;
    float a[15], b[21];
    if (!t_tool_bench_get(T_BENCH "--only gemm --shape 5x7x3 --threads 2 --json", &j))
        return;
    mango_fill_u("a", 1, 15, a);
    mango_fill_u("b", 1, 21, b);
    const mgi_json_value *rows = mgi_json_get(&j, &j.v[0], "sgemm");
    T_REQUIRE(rows && (double)rows->n == t_json_number(&j, "threads"));
    for (mango_idx i = 0; i < rows->n; i++) {
        const mgi_json_value *row = mgi_json_at(&j, rows, i);
        const mgi_json_value *probe = mgi_json_get(&j, row, "probe");
        double first = 0, last = 0;
        for (int k = 0; k < 3; k++) {
            first += (double)a[k] * (double)b[7 * k];
            last += (double)a[12 + k] * (double)b[7 * k + 6];
        }
        T_EQ(mgi_json_get(&j, row, "threads")->d, i + 1);
        T_EQ(mgi_json_get(&j, row, "N")->d, 7);
        T_CHECK(mgi_json_get(&j, row, "gflops")->d > 0);
        T_NEAR(mgi_json_at(&j, probe, 0)->d, first, 1e-6);
        T_NEAR(mgi_json_at(&j, probe, 2)->d, last, 1e-6);
    }
    mgi_json_free(&j);
}

/* Every row without any option: all shapes, each batch of a network, by --only. */
static void t_tool_bench_rows(void)
{
    T_SLOW();
    static const int batch[] = {1, 10, 25, 100};
    mgi_json j;
    if (!t_tool_bench_get(T_BENCH "--only peak,gemm,vqvae --threads 1 --json", &j))
        return;
    T_CHECK(t_json_number(&j, "peak_gflops") > 0);
    T_CHECK(!mgi_json_get(&j, &j.v[0], "ask_tell"));
    const mgi_json_value *gemm = mgi_json_get(&j, &j.v[0], "sgemm");
    const mgi_json_value *nets = mgi_json_get(&j, &j.v[0], "networks");
    T_REQUIRE(gemm && nets && gemm->n == 7 && nets->n == 1);
    for (mango_idx i = 0; i < gemm->n; i++)
        T_CHECK(mgi_json_get(&j, mgi_json_at(&j, gemm, i), "gflops")->d > 0);
    const mgi_json_value *net = mgi_json_at(&j, nets, 0);
    T_STR(mgi_json_get(&j, net, "net")->str, "zoo:vqvae");
    const mgi_json_value *rows = mgi_json_get(&j, net, "batches");
    double best = mgi_json_get(&j, net, "ms_per_image")->d, least = 1e30;
    T_REQUIRE(rows && rows->n == 4);
    for (int i = 0; i < 4; i++) {
        const mgi_json_value *row = mgi_json_at(&j, rows, i);
        T_EQ(mgi_json_get(&j, row, "batch")->d, batch[i]);
        least = MGI_MIN(least, mgi_json_get(&j, row, "ms_per_image")->d);
    }
    T_CHECK(best > 0 && best == least);
    mgi_json_free(&j);
}

/* One name of a tag or attribute; where it ends. */
static const char *t_tool_bench_word(const char *p)
{
    while (*p && !strchr(" \t\n=/<>\"'&", *p))
        p++;
    return p;
}

/* What follows a start tag whose name ends at p: attributes in double quotes, then
 * `>` (*open 1) or `/>` (0). NULL: not well formed. */
static const char *t_tool_bench_attributes(const char *p, int *open)
{
    for (;;) {
        p += strspn(p, " \n");
        if (*p == '>' || (*p == '/' && p[1] == '>')) {
            *open = *p == '>';
            return p + 2 - *open;
        }
        const char *end = t_tool_bench_word(p);
        if (end == p || end[0] != '=' || end[1] != '"')
            return NULL;
        end += 2 + strcspn(end + 2, "<\"");
        if (*end != '"' || (end[1] != ' ' && end[1] != '\n' && !strchr("/>", end[1])))
            return NULL;
        p = end + 1;
    }
}

/* Is this one XML element, every tag closed in order, no stray & or <? */
static int t_tool_bench_xml(const char *p)
{
    const char *stack[32];
    int depth = 0, roots = 0;
    while (*p) {
        const char *end = t_tool_bench_word(p + 1);
        if (*p == '&' && p[1 + strcspn(p + 1, "; <&")] != ';')
            return 0;
        if (*p == '<' && p[1] == '/') {
            end = t_tool_bench_word(p + 2);
            const char *top = depth ? stack[--depth] : "";
            const size_t n = (size_t)(end - p) - 2;
            if (!n || t_tool_bench_word(top) != top + n || memcmp(top, p + 2, n) ||
                *end != '>')
                return 0;
            p = end + 1;
        } else if (*p == '<') {
            int open = 0;
            if (end == p + 1 || depth == 32 || (!depth && roots++))
                return 0;
            stack[depth] = p + 1;
            p = t_tool_bench_attributes(end, &open);
            if (!p)
                return 0;
            depth += open;
        } else {
            p++;
        }
    }
    return roots == 1 && depth == 0;
}

static void t_tool_bench_xml_itself(void)
{
    static const char *const bad[] = {
        "",         "<a>",          "<a><b></a></b>", "<a/><b/>",
        "<a b=c/>", "<a b=\"<\"/>", "<a>&</a> ;",     "<a b=\"1\"c=\"2\"/>"};
    T_CHECK(t_tool_bench_xml("<a x=\"1\" y=\"&lt;\"><b/>t &amp; u<aa>\n</aa></a>\n"));
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        T_CHECK(!t_tool_bench_xml(bad[i]));
}

/* The figure is an SVG, and its table has so many lines, with this head. */
static void t_tool_bench_figure(const char *name, int lines, const char *head)
{
    static char text[16384], file[96];
    snprintf(file, sizeof file, "figs/deep/speed-%s.svg", name);
    t_tool_bench_text(file, text);
    T_CHECK(t_tool_bench_xml(text) && !strncmp(text, "<svg ", 5));
    T_CHECK(!strstr(text, "prefers-color-scheme") && !strstr(text, "nan"));
    snprintf(file, sizeof file, "figs/deep/speed-%s.tsv", name);
    t_tool_bench_text(file, text);
    T_EQ(t_tool_bench_lines(text), lines);
    T_CHECK(strstr(text, head) != NULL);
}

static void t_tool_bench_scaling(void)
{
    T_SLOW();
    mgi_json j;
    mango_net *net = NULL;
    T_STATUS(mango_net_zoo(&net, &T_NET[4], NULL, NULL), MANGO_OK);
    T_STATUS(mango_net_fill(net, 7, 1.0), MANGO_OK);
    T_STATUS(mango_net_save(net, t_work("bench.safetensors"), "F32", NULL), MANGO_OK);
    mango_net_destroy(net);
    if (!t_tool_bench_get(T_BENCH "--scaling figs/deep --only steps,spikes --threads 1 "
                                  "--weights snn_conv=bench.safetensors "
                                  "--weights spiking_resnet18=bench.safetensors --json",
                          &j))
        return;
    const mgi_json_value *figures = mgi_json_get(&j, &j.v[0], "figures");
    T_REQUIRE(figures && figures->n == 2);
    T_STR(mgi_json_get(&j, mgi_json_at(&j, figures, 0), "name")->str, "spikes");
    T_STR(mgi_json_get(&j, mgi_json_at(&j, figures, 1), "svg")->str, "speed-steps.svg");
    mgi_json_free(&j);
    /* two lines of note and head; rates and twice the dense form; steps */
    t_tool_bench_figure("spikes", 2 + 3 * (11 + 2), "\nlayer\tform\tspike_rate\t");
    t_tool_bench_figure("steps", 2 + 2 * 8, "\nnetwork\tthreads\tbatch\tT\t");
}

/* ---- refusals ------------------------------------------------------------------------ */

static void t_tool_bench_refuses(void)
{
    static const struct {
        const char *command, *says;
        int rc;
    } bad[] = {
        {"bench", "speed", 2},
        {"bench speed --only peek", "--only peek", 2},
        {"bench speed --only nets,snn_con", "snn_con", 2},
        {"bench speed --scaling d --only nets", "--only nets", 2},
        {"bench speed --scaling d --net " T_NET, "exclude", 2},
        {"bench speed --only gemm --shape 5x7", "MxNxK", 2},
        {"bench speed --only gemm --shape 5x0x7", "MxNxK", 2},
        {"bench speed --only gemm --shape 5x7x123456", "MxNxK", 2},
        {"bench speed --only nets --weights snn=x", "NAME=FILE", 2},
        {"bench speed --only nets --weights snn_conv", "NAME=FILE", 2},
        {"bench speed --net " T_NET " --fill 7,1 --layer spikin1", "near: spiking1", 3},
        {"bench speed --net " T_NET " --fill 7,1 --input nothing.npy", "nothing.npy", 3},
        {"bench speed --scaling /dev/null/figs --only spikes", "/dev/null", 3},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++)
        t_tool_refuses(bad[i].command, bad[i].rc, bad[i].says);
}

static void t_tool_bench_interrupted(void)
{
    const long pid =
        t_tool_start("bench speed --quiet --net " T_NET " --fill 7,1 --seconds 60");
    T_REQUIRE(pid > 0);
    const struct timespec wait = {0, 500000000};
    nanosleep(&wait, NULL);
    t_tool_signal(pid, SIGINT);
    t_ran r = t_tool_end(pid);
    T_CHECK(r.rc == 130 || r.rc == -SIGINT); /* the latter: it did not listen yet */
    t_ran_free(&r);
}

/* Every preset of the library, on two spaces. */
static void t_tool_bench_presets(void)
{
    mgi_json j;
    T_SLOW();
    if (!t_tool_bench_get(T_BENCH "--only presets --json", &j))
        return;
    const mgi_json_value *rows = mgi_json_get(&j, j.v, "presets");
    T_CHECK(rows && rows->n == 2 * mango_opt_presets());
    for (mango_idx i = 0; rows && i < rows->n; i++) {
        const mgi_json_value *r = mgi_json_at(&j, rows, i);
        mango_opt_preset_info p;
        mango_opt_preset(i / 2, &p);
        T_CHECK(!strcmp(mgi_json_get(&j, r, "preset")->str, p.name));
        T_CHECK(mgi_json_get(&j, r, "s_1000")->d > 0);
    }
    mgi_json_free(&j);
}

void t_tool_bench(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_tool_bench_net);
    T_CASE(t_tool_bench_dense);
    T_CASE(t_tool_bench_gemm);
    T_CASE(t_tool_bench_rows);
    T_CASE(t_tool_bench_xml_itself);
    T_CASE(t_tool_bench_scaling);
    T_CASE(t_tool_bench_refuses);
    T_CASE(t_tool_bench_presets);
    T_CASE(t_tool_bench_interrupted);
}

#undef T_BENCH

/* count.c - single kernels and networks between two marks, for instruction counts
 * under emulation (count.sh, insn.c). One line a case: name, kernels, units of work,
 * what a unit is; the plugin ends it with the instructions. Without the plugin the
 * lines just have no count.
 *     count [CASE..]      cases: tile conv lif gather pool snn_conv spiking_resnet18
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* syscall */
#include "../../src/math/kernel/kernels.h"
#include "../../src/math/spikes.h"
#include "../../src/net/lifrule.h"
#include "../../src/net/net.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MARK 4242 /* as in insn.c */

static void count_begin(const char *name, double units, const char *unit)
{
    printf("%s\t%s\t%.0f\t%s\t", name, mgi_kernels_get()->name, units, unit);
    fflush(stdout);
    (void)syscall(MARK, 'b');
}

static void count_end(void)
{
    if (syscall(MARK, 'e') < 0 && getenv("MANGO_NO_PLUGIN"))
        puts("-");
}

static void *count_new(mango_idx n, size_t size)
{
    void *p = calloc((size_t)n + 64, size);
    if (!p) {
        fputs("count: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* n values of the test formula. */
static float *count_fill(const char *name, mango_idx n)
{
    float *v = count_new(n, sizeof *v);
    mango_fill_u(name, 1, n, v);
    return v;
}

/* n pixels of C channels, each firing with the given probability. */
static uint64_t *count_spikes(mango_idx n, mango_idx C, double rate)
{
    const mango_idx words = mgi_bits_words(C);
    uint64_t *x = count_new(n * words, sizeof *x);
    float *u = count_fill("spikes", n * C);
    for (mango_idx p = 0; p < n; p++)
        for (mango_idx c = 0; c < C; c++)
            if (0.5 + 0.5 * (double)u[p * C + c] < rate)
                x[p * words + c / 64] |= (uint64_t)1 << (c % 64);
    free(u);
    return x;
}

/* ---- cases ------------------------------------------------------------------- */

/* The register tile alone: mr x nr outputs, 256 terms each. */
static void count_tile(void)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mgi_tap tap = {0, 0, 256};
    float *a = count_fill("a", 256 * k->mr), *b = count_fill("b", 256 * k->nr);
    float *c = count_new(k->mr * k->nr, sizeof *c);
    const float *row[64];
    for (mango_idx i = 0; i < k->mr; i++)
        row[i] = a + 256 * i;
    count_begin("SGEMM tile, K 256", 256.0 * k->mr * k->nr, "multiply-add");
    k->tile(k->mr, k->nr, row, 1, &tap, b, c, k->nr, 0);
    count_end();
    free(a);
    free(b);
    free(c);
}

static const mgi_conv count_layer = {.C = 64,
                                     .H = 8,
                                     .W = 8,
                                     .O = 64,
                                     .OH = 8,
                                     .OW = 8,
                                     .kh = 3,
                                     .kw = 3,
                                     .sh = 1,
                                     .sw = 1,
                                     .ph = 1,
                                     .pw = 1};

/* The same layer on floats, and on bits at 15%; units: terms that count. */
static void count_conv(int spikes)
{
    const mgi_conv *c = &count_layer;
    const double all = 22.0 * 22.0 * 64 * 64; /* taps inside an 8x8 map */
    float *w = count_fill("w", 64 * 64 * 9), *x = count_fill("x", 64 * 64);
    float *packed = count_new(mgi_conv_packed(c), sizeof *packed);
    float *y = count_new(64 * 64, sizeof *y);
    float *work =
        count_new(MGI_MAX(mgi_conv_work(c, 1), mgi_bits_conv_work(c, 1)), sizeof *work);
    uint64_t *bits = count_spikes(64, 64, 0.15);
    const mgi_epilogue e = {NULL, NULL, 0};
    const mgi_bits_epilogue be = {NULL, NULL, NULL, 0};
    mgi_conv_pack(c, w, packed);
    count_begin(spikes ? "gather 3x3, 15% active" : "conv 3x3, 64 to 64, 8x8",
                spikes ? all * (double)mgi_bits_total(64, bits) / 4096 : all,
                "multiply-add");
    if (spikes)
        mgi_bits_conv(c, 1, bits, packed, &be, y, work);
    else
        mgi_conv_forward(c, 1, x, packed, &e, y, work);
    count_end();
    free(w);
    free(x);
    free(packed);
    free(y);
    free(work);
    free(bits);
}

static void count_lif(void)
{
    const mango_idx n = 4096;
    float *X = count_fill("X", n), *U = count_fill("U", n);
    uint64_t *S = count_new(n / 64, sizeof *S);
    mango_lif p;
    mango_lif_preset("snntorch", &p);
    const mgi_lif_rule rule = mgi_lif_lower(&p);
    count_begin("LIF step, 64 channels", (double)n, "neuron");
    for (mango_idx i = 0; i < n / 64; i++) {
        const mgi_lif_run q = {.T = 1, .n = 64, .X = X + 64 * i, .U = U + 64 * i, .S = S + i};
        mgi_kernels_get()->lif_bits(&rule, &q);
    }
    count_end();
    free(X);
    free(U);
    free(S);
}

static void count_pool(void)
{
    const mgi_pool p = {.C = 200,
                        .H = 28,
                        .W = 28,
                        .OH = 14,
                        .OW = 14,
                        .kh = 3,
                        .kw = 3,
                        .sh = 2,
                        .sw = 2,
                        .ph = 1,
                        .pw = 1};
    float *x = count_fill("x", 200 * 784), *y = count_new(200 * 196, sizeof *y);
    count_begin("max-pool 3x3, 200x28x28", 200.0 * 196, "output");
    mgi_maxpool(&p, 1, x, y);
    count_end();
    free(x);
    free(y);
}

/* One image, T steps, formula weights. */
static void count_net(const char *spec, double gain, mango_idx T)
{
    mango_net *net = NULL;
    mango_plan *plan = NULL;
    mango_plan_options o;
    mango_err err = {""};
    float *x = count_fill("input", 3 * 32 * 32), *y = count_new(64, sizeof *y);
    char name[64];
    snprintf(name, sizeof name, "%s, T %d, one image", spec, (int)T);
    mango_plan_defaults(&o);
    o.T = T;
    o.raw = 1;
    for (int i = 0; i < 3 * 32 * 32; i++)
        x[i] = 0.5f + 0.5f * x[i];
    if (mango_net_zoo(&net, spec, NULL, &err) < 0 || mango_net_fill(net, 7, gain) < 0) {
        fprintf(stderr, "count: %s\n", err.text);
        exit(1);
    }
    const mango_reading rd = {mango_net_layers(net) - 1, MANGO_READ_MEAN, y};
    if (mango_plan_create(&plan, net, &o, 1, &rd, NULL, &err) < 0) {
        fprintf(stderr, "count: %s\n", err.text);
        exit(1);
    }
    count_begin(name, mango_plan_macs(plan), "dense multiply-add");
    mango_plan_run(plan, 1, x);
    count_end();
    mango_plan_destroy(plan);
    mango_net_destroy(net);
    free(x);
    free(y);
}

static int count_wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name))
            return 1;
    return argc < 2;
}

int main(int argc, char **argv)
{
    mango_set_threads(1);
    if (count_wanted(argc, argv, "tile"))
        count_tile();
    if (count_wanted(argc, argv, "conv"))
        count_conv(0);
    if (count_wanted(argc, argv, "gather"))
        count_conv(1);
    if (count_wanted(argc, argv, "lif"))
        count_lif();
    if (count_wanted(argc, argv, "pool"))
        count_pool();
    if (count_wanted(argc, argv, "snn_conv"))
        count_net("snn_conv", 0.4, 10);
    if (count_wanted(argc, argv, "spiking_resnet18"))
        count_net("spiking_resnet18", 3, 10);
    return 0;
}

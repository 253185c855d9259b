/* test_forward.c - whole networks against the golden outputs of the source
 * frameworks: values, rates, spikes, codes.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static mango_net *t_forward_filled(mango_net *net, uint64_t seed, double gain)
{
    T_CHECK(net && mango_net_fill(net, seed, gain) == MANGO_OK);
    return net;
}

static mango_net *t_forward_zoo(const char *spec, uint64_t seed, double gain)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_zoo(&net, spec, NULL, &err), &err);
    return net ? t_forward_filled(net, seed, gain) : NULL;
}

static mango_idx t_forward_size(const mango_net *net, mango_idx layer)
{
    mango_layer l;
    T_CHECK(mango_net_layer(net, layer, &l) == MANGO_OK);
    return l.C * l.H * l.W;
}

/* The network input of the golden files: 0.5 + 0.5 u, or 2 u for a latent. */
static float *t_forward_input(const mango_net *net, mango_idx B, uint64_t seed)
{
    const int latent = strcmp(net->arch, "sngan") == 0;
    const mango_idx n = B * t_forward_size(net, net->input);
    float *x = malloc((size_t)n * sizeof *x);
    mango_fill_u(latent ? "latent" : "input", seed, n, x);
    for (mango_idx i = 0; i < n; i++)
        x[i] = latent ? 2.0f * x[i] : 0.5f + 0.5f * x[i];
    return x;
}

/* One reading of one layer into a fresh buffer of n floats. */
static float *t_forward_read(const mango_net *net, const mango_plan_options *o,
                             mango_idx layer, mango_read what, mango_idx B, const float *x,
                             mango_idx n)
{
    float *y = calloc((size_t)n, sizeof *y);
    const mango_reading r = {layer, what, y};
    mango_plan *p = NULL;
    mango_err err = {""};
    if (T_OK(mango_plan_create(&p, net, o, 1, &r, NULL, &err), &err))
        T_OK(mango_plan_run(p, B, x), NULL);
    mango_plan_destroy(p);
    return y;
}

static int t_forward_same(const float *a, const float *b, mango_idx n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* max|a-b| / max|b| */
static double t_forward_gap(const float *a, const float *b, mango_idx n)
{
    double gap = 0, top = 1e-30;
    for (mango_idx i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        gap = d > gap || d != d ? d : gap;
        top = MGI_MAX(top, fabs((double)b[i]));
    }
    return gap / top;
}

/* ---- golden networks -------------------------------------------------------- */

typedef struct t_forward_gold {
    mgi_tensors f;
    mango_net *net;
    uint64_t seed;
    mango_idx B, T;
    float *x;
} t_forward_gold;

static double t_forward_meta(const mgi_tensors *f, const char *key, double none)
{
    double v = none;
    const char *z = mgi_tensors_meta(f, key);
    return z && mgi_parse_real(z, &v) ? v : none;
}

static int t_forward_open(t_forward_gold *g, const char *arch)
{
    char name[64], spec[128];
    mango_err err = {""};
    memset(g, 0, sizeof *g);
    snprintf(name, sizeof name, "net_%s.safetensors", arch);
    if (!T_OK(mgi_tensors_read(&g->f, t_golden(name), NULL, &err), &err))
        return 0;
    const char *beta = mgi_tensors_meta(&g->f, "beta");
    snprintf(spec, sizeof spec, "%s%s%s", arch, beta ? ",beta=" : "", beta ? beta : "");
    g->seed = (uint64_t)t_forward_meta(&g->f, "seed", 7);
    g->T = (mango_idx)t_forward_meta(&g->f, "T", 1);
    g->B = g->f.t[0].shape[0];
    for (mango_idx i = 0; i < g->f.n; i++)
        if (!strstr(g->f.t[i].name, ".spikes"))
            g->B = g->f.t[i].shape[0];
    g->net = t_forward_zoo(spec, g->seed, t_forward_meta(&g->f, "gain", 1.0));
    if (g->net)
        g->x = t_forward_input(g->net, g->B, g->seed);
    return g->net != NULL;
}

static void t_forward_close(t_forward_gold *g)
{
    free(g->x);
    mango_net_destroy(g->net);
    mgi_tensors_free(&g->f);
}

/* The layer and the kind of reading that a golden tensor's name means. */
static mango_idx t_forward_layer(const t_forward_gold *g, const char *name,
                                 mango_read *what)
{
    char layer[300];
    mango_idx i = g->net->output;
    const char *dot = strrchr(name, '.');
    *what = MANGO_READ_MEAN;
    if (dot && (!strcmp(dot, ".rate") || !strcmp(dot, ".spikes"))) {
        *what = strcmp(dot, ".rate") ? MANGO_READ_SPIKES : MANGO_READ_RATE;
        snprintf(layer, sizeof layer, "%.*s", (int)(dot - name), name);
        T_CHECK(mango_net_find(g->net, layer, &i, NULL) == MANGO_OK);
    }
    if (!strcmp(name, "z_e") || !strcmp(name, "indices"))
        while (i > 0 && g->net->node[i].kind != MGI_VQ)
            i--;
    if (!strcmp(name, "indices"))
        *what = MANGO_READ_CODES;
    return strcmp(name, "z_e") ? i : g->net->node[i].in[0];
}

/* Spikes: at most 1 in 1000 may differ. Rates and values: 1e-4 relative. */
static void t_forward_compare(const t_forward_gold *g, const mgi_tensor *t,
                              const mango_reading *r)
{
    float *want = malloc((size_t)t->count * sizeof *want);
    mango_idx flips = 0;
    T_CHECK(mgi_tensor_floats(t, 1, want, NULL) == MANGO_OK);
    const mango_idx hw = t_forward_size(g->net, r->layer) / g->net->node[r->layer].C;
    if (r->what == MANGO_READ_SPIKES) {
        /* (T,B,...), or the first input alone as (T,...) */
        const mango_idx n = t_forward_size(g->net, r->layer), B = t->count / (g->T * n);
        for (mango_idx i = 0; i < t->count; i++)
            flips += want[i] != r->out[(i / (B * n) * g->B + i / n % B) * n + i % n];
        T_CHECK(B >= 1 && flips * 1000 <= t->count);
    } else if (r->what == MANGO_READ_RATE) {
        double sum = 0;
        for (mango_idx i = 0; i < t->count; i++)
            sum += fabs((double)want[i] - (double)r->out[i]);
        T_CHECK(sum / (double)t->count <= 1e-3);
        flips = (mango_idx)(sum * (double)(g->T * hw) + 0.5);
    } else if (r->what == MANGO_READ_CODES) {
        T_CHECK(t_forward_same(r->out, want, t->count));
    } else {
        T_CHECK(t_forward_gap(r->out, want, t->count) <= 1e-4);
    }
    if (flips ||
        t_forward_gap(r->out, want, r->what == MANGO_READ_SPIKES ? 0 : t->count) > 1e-4)
        printf("  %s %s: %lld flips, gap %.3g\n", g->net->arch, t->name, (long long)flips,
               t_forward_gap(r->out, want, r->what == MANGO_READ_SPIKES ? 0 : t->count));
    free(want);
}

static void t_forward_golden(const char *arch)
{
    t_forward_gold g;
    if (!t_forward_open(&g, arch)) {
        mgi_tensors_free(&g.f);
        return;
    }
    mango_reading r[64];
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = g.T;
    o.batch = g.B;
    o.raw = 1;
    int n = 0;
    for (mango_idx i = 0; i < g.f.n && n < 64; i++) {
        mango_reading q = {0, MANGO_READ_MEAN, NULL};
        q.layer = t_forward_layer(&g, g.f.t[i].name, &q.what);
        const mango_idx maps = q.what == MANGO_READ_SPIKES ? g.T * g.B : g.B;
        q.out = calloc((size_t)(maps * t_forward_size(g.net, q.layer)), sizeof(float));
        r[n++] = q;
    }
    mango_plan *p = NULL;
    mango_err err = {""};
    if (T_OK(mango_plan_create(&p, g.net, &o, n, r, NULL, &err), &err))
        T_OK(mango_plan_run(p, g.B, g.x), NULL);
    for (int i = 0; p && i < n; i++)
        if (strcmp(g.f.t[i].name, "codes") &&
            (strcmp(g.f.t[i].name, "image") || strcmp(arch, "vqvae")))
            t_forward_compare(&g, &g.f.t[i], &r[i]);
    mango_plan_destroy(p);
    for (int i = 0; i < n; i++)
        free(r[i].out);
    t_forward_close(&g);
}

/* The VQ-VAE's picture from given codes; and from the codes it chose itself,
 * which must be the bits of the whole pass. */
static void t_forward_codes(void)
{
    t_forward_gold g;
    if (!t_forward_open(&g, "vqvae")) {
        mgi_tensors_free(&g.f);
        return;
    }
    mango_read what;
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.batch = g.B;
    o.raw = 1;
    const mango_idx vq = t_forward_layer(&g, "indices", &what), out = g.net->output;
    const mango_idx n = g.B * t_forward_size(g.net, out),
                    d = g.net->node[vq].H * g.net->node[vq].W;
    float *codes = calloc((size_t)(g.B * d), sizeof *codes);
    const mgi_tensor *t = mgi_tensors_find(&g.f, "codes"),
                     *im = mgi_tensors_find(&g.f, "image");
    T_CHECK(t && im && mgi_tensor_floats(t, 1, codes, NULL) == MANGO_OK);
    o.from = vq;
    float *y = t_forward_read(g.net, &o, out, MANGO_READ_MEAN, g.B, codes, n);
    const mango_reading r = {out, MANGO_READ_MEAN, y};
    if (im)
        t_forward_compare(&g, im, &r);
    free(y);
    free(codes);
    o.from = -1;
    y = t_forward_read(g.net, &o, out, MANGO_READ_MEAN, g.B, g.x, n);
    codes = t_forward_read(g.net, &o, vq, MANGO_READ_CODES, g.B, g.x, g.B * d);
    o.from = vq;
    float *z = t_forward_read(g.net, &o, out, MANGO_READ_MEAN, g.B, codes, n);
    T_CHECK(t_forward_same(y, z, n));
    free(y);
    free(z);
    free(codes);
    t_forward_close(&g);
}

/* ---- feeding ---------------------------------------------------------------------- */

/* Feeding any layer that everything after it goes through, with the value read
 * there, gives the same output. */
static void t_forward_feed(mango_net *net)
{
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.batch = 2;
    int fed = 0;
    const mango_idx n = 2 * t_forward_size(net, net->output);
    float *x = t_forward_input(net, 2, 3), *y = calloc((size_t)n, sizeof *y);
    float *want = t_forward_read(net, &o, net->output, MANGO_READ_MEAN, 2, x, n);
    for (mango_idx i = 0; i < mango_net_layers(net); i++) {
        const mango_reading r = {net->output, MANGO_READ_MEAN, y};
        mango_plan *p = NULL;
        o.from = i;
        const mango_status st = mango_plan_create(&p, net, &o, 1, &r, NULL, NULL);
        T_CHECK(st == MANGO_OK || (st == MANGO_E_ARG && !p));
        if (!p)
            continue;
        o.from = -1;
        float *v =
            t_forward_read(net, &o, i, MANGO_READ_MEAN, 2, x, 2 * t_forward_size(net, i));
        T_STATUS(mango_plan_run(p, 2, v), MANGO_OK);
        T_CLOSE(y, want, n, 1e-4);
        fed++;
        free(v);
        mango_plan_destroy(p);
    }
    T_CHECK(fed > 8);
    free(x);
    free(y);
    free(want);
}

/* raw = 0 applies (x - mean)/std, nothing else. */
static void t_forward_normalized(mango_net *net)
{
    mango_plan_options o;
    mango_plan_defaults(&o);
    const mango_idx n = t_forward_size(net, net->output),
                    hw = t_forward_size(net, net->input) / 3;
    float *x = t_forward_input(net, 1, 9);
    float *y = t_forward_read(net, &o, net->output, MANGO_READ_MEAN, 1, x, n);
    for (mango_idx i = 0; i < 3 * hw; i++)
        x[i] = (x[i] - net->mean[i / hw]) / net->std[i / hw];
    o.raw = 1;
    float *z = t_forward_read(net, &o, net->output, MANGO_READ_MEAN, 1, x, n);
    T_CHECK(t_forward_same(y, z, n));
    free(x);
    free(y);
    free(z);
}

/* W/sigma does not see the scale of W. */
static void t_forward_spectral(void)
{
    mango_net *net = t_forward_zoo("sngan_dsc,width=0.125", 7, 1.0);
    T_REQUIRE(net != NULL);
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.raw = 1;
    float *x = t_forward_input(net, 1, 3);
    float *y = t_forward_read(net, &o, net->output, MANGO_READ_MEAN, 1, x, 1);
    int scaled = 0;
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].spectral) {
            mgi_param *w = &net->param[net->node[i].weight];
            for (mango_idx k = 0; k < w->count; k++)
                w->v[k] *= 3.0f;
            scaled++;
        }
    float *z = t_forward_read(net, &o, net->output, MANGO_READ_MEAN, 1, x, 1);
    T_CHECK(scaled > 4);
    T_REL(z[0], y[0], 1e-4);
    free(x);
    free(y);
    free(z);
    mango_net_destroy(net);
}

/* ---- cases ------------------------------------------------------------------------- */

static void t_forward_golden_small(void)
{
    static const char *const arch[] = {"snn_conv", "spiking_resnet18", "sngan",
                                       "vqvae",    "resnet18",         "densenet"};
    for (int i = 0; i < MGI_COUNT(arch); i++)
        t_forward_golden(arch[i]);
}

static void t_forward_golden_large(void)
{
    t_forward_golden("alexnet");
    t_forward_golden("vgg16");
    t_forward_golden("vgg19");
}

static void t_forward_feeding(void)
{
    mango_net *net = t_forward_zoo("resnet18,width=0.125", 7, 1.0);
    T_REQUIRE(net != NULL);
    t_forward_feed(net);
    t_forward_normalized(net);
    mango_net_destroy(net);
}

void t_forward(void)
{
    T_CASE(t_forward_golden_small);
    T_CASE(t_forward_golden_large);
    T_CASE(t_forward_codes);
    T_CASE(t_forward_feeding);
    T_CASE(t_forward_spectral);
}

/* test_plan.c - plans: equal bits however a net is read, fed, batched, cut in
 * chunks, threaded or vectorized. The golden networks are in test_forward.c.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* A net that has every way of fusing, and of not fusing, in it. */
static const char t_plan_toy_text[] = "mango-graph 1\n"
                                      "net arch=toy T=7 mean=0.4,0.5,0.6 std=0.2,0.25,0.3\n"
                                      "input input - shape=3x12x12\n"
                                      "c1 conv input out=9 kernel=3 pad=1 bias=1\n"
                                      "b1 batchnorm c1\n"
                                      "r1 relu b1\n"
                                      "c2 conv r1 out=9 kernel=3 pad=1 bias=0\n"
                                      "b2 batchnorm c2\n"
                                      "a1 add r1,b2\n"
                                      "r2 relu a1\n"
                                      "ct convt r2 out=6 kernel=4 stride=2 pad=1 bias=1\n"
                                      "bt batchnorm ct\n"
                                      "p1 avgpool bt kernel=2 stride=2\n"
                                      "s1 lif p1 preset=snntorch U_thr=0.5\n"
                                      "c3 conv s1 out=9 kernel=3 pad=1 bias=0\n"
                                      "a2 add c3,r2\n"
                                      "s2 lif a2 preset=spikingjelly\n"
                                      "cat concat s1,s2,r2\n"
                                      "p2 maxpool cat kernel=2 stride=2\n"
                                      "b3 batchnorm p2\n"
                                      "r3 relu b3\n"
                                      "c4 conv r3 out=5 kernel=1 bias=1\n"
                                      "r4 relu c4\n"
                                      "c5 conv r4 out=24 kernel=3 stride=2 pad=1 bias=1\n"
                                      "c6 conv p2 out=24 kernel=1 stride=2 bias=0\n"
                                      "b6 batchnorm c6\n"
                                      "a3 add c5,b6\n"
                                      "s3 lif a3 preset=snntorch reset=zero\n"
                                      "l1 linear s3 out=40 bias=1\n"
                                      "rs reshape l1 shape=10x2x2\n"
                                      "r5 relu rs\n"
                                      "up upsample r5 mode=bilinear\n"
                                      "fl reshape up shape=160x1x1\n"
                                      "th tanh fl\n"
                                      "l2 linear th out=7 bias=1\n"
                                      "sm softmax l2\n";

static mango_net *t_plan_filled(mango_net *net, uint64_t seed, double gain)
{
    T_CHECK(net && mango_net_fill(net, seed, gain) == MANGO_OK);
    return net;
}

static mango_net *t_plan_toy(void)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, t_plan_toy_text, (mango_idx)strlen(t_plan_toy_text), NULL,
                         &err),
         &err);
    return net ? t_plan_filled(net, 11, 2.0) : NULL;
}

static mango_net *t_plan_zoo(const char *spec, uint64_t seed, double gain)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_zoo(&net, spec, NULL, &err), &err);
    return net ? t_plan_filled(net, seed, gain) : NULL;
}

static mango_idx t_plan_size(const mango_net *net, mango_idx layer)
{
    mango_layer l;
    T_CHECK(mango_net_layer(net, layer, &l) == MANGO_OK);
    return l.C * l.H * l.W;
}

/* The network input of the golden files: 0.5 + 0.5 u, or 2 u for a latent. */
static float *t_plan_input(const mango_net *net, mango_idx B, uint64_t seed)
{
    const int latent = strcmp(net->arch, "sngan") == 0;
    const mango_idx n = B * t_plan_size(net, net->input);
    float *x = malloc((size_t)n * sizeof *x);
    mango_fill_u(latent ? "latent" : "input", seed, n, x);
    for (mango_idx i = 0; i < n; i++)
        x[i] = latent ? 2.0f * x[i] : 0.5f + 0.5f * x[i];
    return x;
}

/* One reading of one layer into a fresh buffer of n floats. */
static float *t_plan_read(const mango_net *net, const mango_plan_options *o,
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

/* Every layer read at once, one after the other in a fresh buffer: B maps a
 * layer for means, T*B for steps. */
static float *t_plan_all(const mango_net *net, const mango_plan_options *o, mango_read what,
                         mango_idx B, const float *x, mango_idx *total)
{
    const mango_idx n = mango_net_layers(net);
    const mango_idx maps = what == MANGO_READ_SPIKES ? o->T * B : B;
    mango_reading *r = calloc((size_t)n, sizeof *r);
    mango_idx at = 0;
    *total = 0;
    for (mango_idx i = 0; i < n; i++)
        *total += maps * t_plan_size(net, i);
    float *y = calloc((size_t)*total, sizeof *y);
    for (mango_idx i = 0; i < n; i++) {
        const mango_reading q = {i, what, y + at};
        r[i] = q;
        at += maps * t_plan_size(net, i);
    }
    mango_plan *p = NULL;
    mango_err err = {""};
    if (T_OK(mango_plan_create(&p, net, o, n, r, NULL, &err), &err))
        T_OK(mango_plan_run(p, B, x), NULL);
    mango_plan_destroy(p);
    free(r);
    return y;
}

static int t_plan_same(const float *a, const float *b, mango_idx n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* ---- against plain operators ------------------------------------------------------ */

/* One node for N maps, from the values x[] of its inputs, all channels last. */
static void t_plan_matmul(const mango_net *net, const mgi_node *g, mango_idx N,
                          const float *x, float *y)
{
    const mgi_node *in = &net->node[g->in[0]];
    const float *b = g->bias_p < 0 ? NULL : net->param[g->bias_p].v;
    const mango_idx n = in->C * in->H * in->W;
    float *flat = malloc((size_t)(N * n) * sizeof *flat);
    mgi_to_nchw(N, in->C, in->H * in->W, x, flat);
    mgi_conv_forward_ref(&g->conv, N, g->kind == MGI_LINEAR ? flat : x,
                         net->param[g->weight].v, b, y);
    free(flat);
}

static void t_plan_batchnorm(const mango_net *net, const mgi_node *g, mango_idx rows,
                             const float *x, float *y)
{
    const float *w = net->param[g->weight].v, *b = net->param[g->bias_p].v;
    const float *m = net->param[g->mean_p].v, *v = net->param[g->var_p].v;
    for (mango_idx i = 0; i < rows * g->C; i++) {
        const mango_idx c = i % g->C;
        y[i] = (float)((x[i] - (double)m[c]) / sqrt(v[c] + g->eps) * w[c] + b[c]);
    }
}

static void t_plan_joined(const mango_net *net, const mgi_node *g, mango_idx rows,
                          const float *const *x, float *y)
{
    for (mango_idx i = 0, at = 0; i < rows; i++)
        for (int j = 0; j < g->n_in; j++)
            for (mango_idx c = 0; c < net->node[g->in[j]].C; c++)
                y[at++] = x[j][i * net->node[g->in[j]].C + c];
}

static void t_plan_plain(const mango_net *net, const mgi_node *g, mango_idx N,
                         const float *const *x, float *y)
{
    const mgi_node *in = &net->node[g->in[0]];
    const mango_idx hw = g->H * g->W, n = N * g->C * hw;
    if (mgi_is_matmul(g->kind))
        t_plan_matmul(net, g, N, x[0], y);
    else if (g->kind == MGI_BATCHNORM)
        t_plan_batchnorm(net, g, N * hw, x[0], y);
    else if (g->kind == MGI_CONCAT)
        t_plan_joined(net, g, N * hw, x, y);
    else if (g->kind == MGI_MAXPOOL)
        mgi_maxpool(&g->pool, N, x[0], y);
    else if (g->kind == MGI_AVGPOOL)
        mgi_avgpool(&g->pool, N, x[0], y);
    else if (g->kind == MGI_UPSAMPLE)
        mgi_bilinear2x(N, in->H, in->W, in->C, x[0], y);
    else if (g->kind == MGI_SOFTMAX)
        mgi_softmax(N * hw, g->C, x[0], y);
    else if (g->kind == MGI_RESHAPE) {
        float *flat = malloc((size_t)n * sizeof *flat);
        mgi_to_nchw(N, in->C, in->H * in->W, x[0], flat);
        mgi_to_nhwc(N, g->C, hw, flat, y);
        free(flat);
    } else
        for (mango_idx i = 0; i < n; i++)
            y[i] = g->kind == MGI_RELU   ? MGI_MAX(x[0][i], 0.0f)
                   : g->kind == MGI_TANH ? (float)tanh(x[0][i])
                                         : x[0][i] + x[1][i];
}

/* Every node's values are what its plain operator makes of its inputs' values;
 * spikes exactly so. */
static void t_plan_nodes(void)
{
    mango_net *net = t_plan_toy();
    T_REQUIRE(net != NULL);
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = 7;
    o.batch = 2;
    const mango_idx N = o.T * o.batch;
    mango_idx total = 0, at[64], most = 0;
    float *x = t_plan_input(net, 2, 3), *v[3];
    float *all = t_plan_all(net, &o, MANGO_READ_SPIKES, 2, x, &total);
    for (mango_idx i = 0, a = 0; i < mango_net_layers(net); i++) {
        at[i] = a;
        a += N * t_plan_size(net, i);
        most = MGI_MAX(most, N * t_plan_size(net, i));
    }
    float *y = malloc((size_t)most * sizeof *y), *z = malloc((size_t)most * sizeof *z);
    for (int j = 0; j < 3; j++)
        v[j] = malloc((size_t)most * sizeof *v[j]);
    for (mango_idx i = 1; i < mango_net_layers(net); i++) {
        const mgi_node *g = &net->node[i];
        const mango_idx n = t_plan_size(net, i);
        for (int j = 0; j < g->n_in; j++) {
            const mgi_node *q = &net->node[g->in[j]];
            mgi_to_nhwc(N, q->C, q->H * q->W, all + at[g->in[j]], v[j]);
        }
        if (g->kind == MGI_LIF) {
            T_OK(mango_lif_run(&g->lif, o.T, 2 * n, all + at[g->in[0]], 2 * n, NULL, z),
                 NULL);
            T_MEM(all + at[i], z, (size_t)(N * n) * sizeof *z);
        } else {
            t_plan_plain(net, g, N, (const float *const *)v, y);
            mgi_to_nchw(N, g->C, g->H * g->W, y, z);
            T_CLOSE(all + at[i], z, N * n, 2e-6);
        }
    }
    for (int j = 0; j < 3; j++)
        free(v[j]);
    free(y);
    free(z);
    free(x);
    free(all);
    mango_net_destroy(net);
}

/* ---- equal bits ---------------------------------------------------------------- */

/* The bytes that a plan under a cap of one byte says it needs. */
static mango_idx t_plan_least(const mango_net *net, mango_plan_options o)
{
    float y[1];
    const mango_reading r = {net->output, MANGO_READ_MEAN, y};
    mango_plan *p = NULL;
    mango_err err = {""};
    long long bytes = 0;
    o.memory = 1;
    T_CHECK(mango_plan_create(&p, net, &o, 1, &r, NULL, &err) == MANGO_E_MEM && !p);
    const char *z = strstr(err.text, "needs ");
    T_CHECK(z && sscanf(z, "needs %lld bytes", &bytes) == 1 && bytes > 1);
    return (mango_idx)bytes;
}

/* Chunks: under growing caps down to one input and one step at a time. */
static void t_plan_chunked(const mango_net *net, mango_plan_options o, const float *x,
                           const float *all, mango_idx total)
{
    mango_idx n = 0;
    const mango_idx least = t_plan_least(net, o);
    for (int i = 0; i < 6; i++) {
        o.memory = least << i;
        float *y = NULL;
        if (i < 2) { /* all layers need more than the last one does */
            const mango_idx size = t_plan_size(net, net->output) * o.batch;
            y = t_plan_read(net, &o, net->output, MANGO_READ_MEAN, o.batch, x, size);
            T_CHECK(t_plan_same(y, all + total - size, size));
        } else {
            y = t_plan_all(net, &o, MANGO_READ_MEAN, o.batch, x, &n);
            T_CHECK(n == total && t_plan_same(y, all, n));
        }
        free(y);
    }
}

/* Each layer as the only target has the bits it has when all are read. */
static void t_plan_targets(const mango_net *net, mango_plan_options o, const float *x,
                           const float *all, int every)
{
    mango_idx at = 0;
    for (mango_idx i = 0; i < mango_net_layers(net); i++) {
        const mango_idx n = o.batch * t_plan_size(net, i);
        if (i % every == 0) {
            float *y = t_plan_read(net, &o, i, MANGO_READ_MEAN, o.batch, x, n);
            T_CHECK(t_plan_same(y, all + at, n));
            if (!t_plan_same(y, all + at, n))
                printf("  %s alone differs\n", net->node[i].name);
            free(y);
        }
        at += n;
    }
}

/* The first of several inputs alone. */
static void t_plan_single(const mango_net *net, mango_plan_options o, const float *x,
                          const float *all)
{
    mango_idx total = 0, at = 0, at1 = 0;
    const mango_idx B = o.batch;
    o.batch = 1;
    float *y = t_plan_all(net, &o, MANGO_READ_MEAN, 1, x, &total);
    int same = 1;
    for (mango_idx i = 0; i < mango_net_layers(net); i++) {
        const mango_idx n = t_plan_size(net, i);
        same &= t_plan_same(y + at1, all + at, n);
        at += B * n;
        at1 += n;
    }
    T_CHECK(same);
    free(y);
}

static void t_plan_bits(mango_net *net, mango_idx T, int every)
{
    static const char *const sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};
    if (!net)
        return;
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = T;
    o.batch = 3;
    mango_idx total = 0, n = 0;
    const char *best = mgi_kernels_get()->name;
    const int threads = mango_threads();
    float *x = t_plan_input(net, o.batch, 5);
    mango_set_threads(1);
    float *all = t_plan_all(net, &o, MANGO_READ_MEAN, o.batch, x, &total);
    mango_set_threads(2);
    float *y = t_plan_all(net, &o, MANGO_READ_MEAN, o.batch, x, &n);
    T_CHECK(n == total && t_plan_same(y, all, n));
    free(y);
    mango_set_threads(threads);
    for (int i = 0; i < MGI_COUNT(sets); i++) {
        if (!mgi_kernels_force(sets[i]))
            continue;
        y = t_plan_all(net, &o, MANGO_READ_MEAN, o.batch, x, &n);
        T_CHECK(t_plan_same(y, all, n));
        free(y);
    }
    T_CHECK(mgi_kernels_force(best));
    t_plan_chunked(net, o, x, all, total);
    t_plan_targets(net, o, x, all, every);
    t_plan_single(net, o, x, all);
    free(all);
    free(x);
    mango_net_destroy(net);
}

/* ---- time ------------------------------------------------------------------------ */

/* Rates are counts divided once; the first steps do not depend on T. */
static void t_plan_rates(mango_net *net)
{
    if (!net)
        return;
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = 7;
    o.batch = 2;
    mango_idx s = 0, fired = 0;
    T_CHECK(mango_net_find(net, "s2", &s, NULL) == MANGO_OK);
    const mango_idx C = net->node[s].C, n = t_plan_size(net, s), hw = n / C;
    float *x = t_plan_input(net, 2, 3);
    float *all = t_plan_read(net, &o, s, MANGO_READ_SPIKES, 2, x, 7 * 2 * n);
    float *rate = t_plan_read(net, &o, s, MANGO_READ_RATE, 2, x, 2 * C);
    float *mean = t_plan_read(net, &o, s, MANGO_READ_MEAN, 2, x, 2 * n);
    for (mango_idx j = 0; j < 2 * C; j++) {
        mango_idx count = 0;
        for (mango_idx i = 0; i < 7 * hw; i++)
            count += all[i / hw * 2 * n + j * hw + i % hw] == 1.0f;
        T_CHECK(rate[j] == (float)((double)count / (double)(7 * hw)));
        fired += count;
    }
    T_CHECK(fired > 0 && fired < 7 * 2 * n);
    for (mango_idx j = 0; j < 2 * n; j++) {
        float count = 0;
        for (mango_idx t = 0; t < 7; t++)
            count += all[t * 2 * n + j];
        T_CHECK(mean[j] == count / 7.0f);
    }
    o.T = 1;
    float *one = t_plan_read(net, &o, s, MANGO_READ_SPIKES, 2, x, 2 * n);
    T_CHECK(t_plan_same(one, all, 2 * n));
    free(one);
    one = t_plan_read(net, &o, s, MANGO_READ_MEAN, 2, x, 2 * n);
    T_CHECK(t_plan_same(one, all, 2 * n));
    free(one);
    free(all);
    free(rate);
    free(mean);
    free(x);
    mango_net_destroy(net);
}

/* ---- errors ------------------------------------------------------------------------ */

/* Creating with these options and this reading fails as `want` says. */
static void t_plan_bad(const mango_net *net, mango_plan_options o, mango_idx layer,
                       int what, mango_status want)
{
    float y[1];
    const mango_reading r = {layer, (mango_read)what, y};
    mango_plan *p = NULL;
    mango_err err = {""};
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, &err), want);
    T_CHECK(!p && err.text[0]);
}

static void t_plan_refusals(const mango_net *net)
{
    mango_plan_options o, bad;
    mango_plan_defaults(&o);
    t_plan_bad(net, o, mango_net_layers(net), MANGO_READ_MEAN, MANGO_E_ARG);
    t_plan_bad(net, o, -1, MANGO_READ_MEAN, MANGO_E_ARG);
    t_plan_bad(net, o, 1, 17, MANGO_E_ARG);
    t_plan_bad(net, o, 1, MANGO_READ_CODES, MANGO_E_ARG);
    bad = o;
    bad.T = -1;
    t_plan_bad(net, bad, 1, MANGO_READ_MEAN, MANGO_E_ARG);
    bad.T = 4097;
    t_plan_bad(net, bad, 1, MANGO_READ_MEAN, MANGO_E_ARG);
    bad = o;
    bad.batch = 0;
    t_plan_bad(net, bad, 1, MANGO_READ_MEAN, MANGO_E_ARG);
    bad.batch = 4097;
    t_plan_bad(net, bad, 1, MANGO_READ_MEAN, MANGO_E_ARG);
    bad = o;
    bad.memory = -1;
    t_plan_bad(net, bad, 1, MANGO_READ_MEAN, MANGO_E_ARG);
    bad = o;
    bad.from = mango_net_layers(net);
    t_plan_bad(net, bad, net->output, MANGO_READ_MEAN, MANGO_E_ARG);
    bad.from = net->output; /* the first layer does not come after the last */
    t_plan_bad(net, bad, 1, MANGO_READ_MEAN, MANGO_E_ARG);
}

static void t_plan_inputs(const mango_net *net)
{
    mango_plan_options o;
    mango_plan_defaults(&o);
    const mango_idx n = t_plan_size(net, net->output);
    float *x = t_plan_input(net, 2, 1), *y = calloc((size_t)n, sizeof *y);
    mango_reading r = {net->output, MANGO_READ_MEAN, NULL};
    mango_plan *p = NULL;
    T_STATUS(mango_plan_create(&p, net, &o, 0, &r, NULL, NULL), MANGO_E_ARG);
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, NULL), MANGO_OK);
    T_REQUIRE(p != NULL);
    T_STATUS(mango_plan_run(p, 1, x), MANGO_E_ARG); /* no output yet */
    T_STATUS(mango_plan_output(p, 1, y), MANGO_E_ARG);
    T_STATUS(mango_plan_output(p, 0, y), MANGO_OK);
    T_STATUS(mango_plan_run(p, 2, x), MANGO_E_ARG);
    T_STATUS(mango_plan_run(p, 0, x), MANGO_E_ARG);
    x[3] = NAN;
    T_STATUS(mango_plan_run(p, 1, x), MANGO_E_NONFINITE);
    x[3] = -INFINITY;
    T_STATUS(mango_plan_run(p, 1, x), MANGO_E_NONFINITE);
    x[3] = 0.5f;
    T_STATUS(mango_plan_run(p, 1, x), MANGO_OK);
    const int threads = mango_threads();
    mango_set_threads(threads + 2); /* more than the plan has scratch for */
    T_STATUS(mango_plan_run(p, 1, x), MANGO_OK);
    T_CHECK(mango_threads() == threads + 2 || threads == 1);
    mango_set_threads(threads);
    const char *best = mgi_kernels_get()->name;
    if (strcmp(best, "ref") && mgi_kernels_force("ref"))
        T_STATUS(mango_plan_run(p, 1, x), MANGO_E_STATE); /* packed for others */
    T_CHECK(mgi_kernels_force(best));
    T_CHECK(mango_plan_bytes(p) > 0 && mango_plan_macs(p) > 0);
    mgi_str s;
    mgi_str_init(&s, NULL);
    mgi_plan_describe(p, &s);
    T_CHECK(!s.bad && strstr(s.p, "c1+b1+r1") && strstr(s.p, "c2+b2+a1+r2"));
    T_CHECK(strstr(s.p, " a2 ") && strstr(s.p, "l1+rs+r5"));
    mgi_str_free(&s);
    mango_plan_destroy(p);
    mango_plan_destroy(NULL);
    free(x);
    free(y);
}

static mango_status t_plan_make(void *ud, const mango_alloc *al)
{
    const mango_net *net = ud;
    float y[16];
    mango_reading r[3] = {
        {0, MANGO_READ_RATE, y}, {1, MANGO_READ_RATE, y}, {0, MANGO_READ_RATE, y}};
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_plan_defaults(&o);
    r[0].layer = net->output;
    const mango_status st = mango_plan_create(&p, net, &o, 3, r, al, NULL);
    mango_plan_destroy(p);
    return st;
}

static void t_plan_errors(void)
{
    mango_net *net = t_plan_toy();
    T_REQUIRE(net != NULL);
    t_plan_refusals(net);
    t_plan_inputs(net);
    T_CHECK(t_oom_sweep(t_plan_make, net) >= 6);
    mango_net_destroy(net);
}

/* ---- cases ------------------------------------------------------------------------- */

static void t_plan_bits_toy(void)
{
    t_plan_bits(t_plan_toy(), 7, 1);
}

static void t_plan_bits_zoo(void)
{
    t_plan_bits(t_plan_zoo("spiking_resnet18,width=0.125", 7, 4.0), 5, 5);
    t_plan_bits(t_plan_zoo("densenet,width=0.25", 7, 1.0), 1, 40);
}

static void t_plan_over_time(void)
{
    t_plan_rates(t_plan_toy());
}

/* The largest T and batch are planned within the default cap, and a long run
 * is the same in one chunk of time or in many. */
static void t_plan_long(void)
{
    mango_net *net = t_plan_toy();
    T_REQUIRE(net != NULL);
    float y[2 * 9];
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = o.batch = 4096;
    mango_idx s = 0;
    T_OK(mango_net_find(net, "s2", &s, NULL), NULL);
    const mango_reading r = {s, MANGO_READ_RATE, y};
    mango_plan *p = NULL;
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, NULL), MANGO_OK);
    T_CHECK(p && mango_plan_bytes(p) <= (mango_idx)1 << 30);
    mango_plan_destroy(p);
    o.batch = 2;
    float *x = t_plan_input(net, 2, 3);
    float *whole = t_plan_read(net, &o, s, MANGO_READ_RATE, 2, x, 18);
    o.memory = 1 << 20;
    float *cut = t_plan_read(net, &o, s, MANGO_READ_RATE, 2, x, 18);
    T_CHECK(t_plan_same(whole, cut, 18));
    free(whole);
    free(cut);
    free(x);
    mango_net_destroy(net);
}

void t_plan(void)
{
    T_CASE(t_plan_nodes);
    T_CASE(t_plan_bits_toy);
    T_CASE(t_plan_bits_zoo);
    T_CASE(t_plan_over_time);
    T_CASE(t_plan_long);
    T_CASE(t_plan_errors);
}

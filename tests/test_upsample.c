/* test_upsample.c - x2 upsampling in one pass, and merged with the convolution
 * behind it: bits of the pass, error bound and bits of the merged form.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_upsample_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

/* ---- the pass ---------------------------------------------------------------------- */

/* y as one plain operation after the other. */
static void t_upsample_plain(const mgi_up *u, mango_idx N, const float *x, float *tmp, float *y)
{
    const mango_idx C = u->C, n = N * u->H * u->W * C;
    memcpy(tmp, x, (size_t)n * sizeof *x);
    for (mango_idx i = 0; i < n; i++) {
        if (u->scale)
            tmp[i] = mgi_fmaf(u->scale[i % C], tmp[i], u->shift[i % C]);
        if (u->relu_before && !(tmp[i] > 0.0f))
            tmp[i] = 0.0f;
    }
    (u->bilinear ? mgi_bilinear2x : mgi_nearest2x)(N, u->H, u->W, C, tmp, y);
    for (mango_idx i = 0; i < 4 * n; i++) {
        if (u->residual)
            y[i] += u->residual[i];
        if (u->after_scale)
            y[i] = mgi_fmaf(u->after_scale[i % C], y[i], u->after_shift[i % C]);
        if (u->relu && !(y[i] > 0.0f))
            y[i] = 0.0f;
    }
}

/* Every kernel set, 1 to 3 threads. */
static void t_upsample_sets_all(const mgi_up *u, mango_idx N, const float *x, const float *want,
                                mango_idx n)
{
    const char *best = mgi_kernels_get()->name;
    const int threads = mango_threads();
    for (int i = 0; i < MGI_COUNT(t_upsample_sets); i++) {
        if (!mgi_kernels_force(t_upsample_sets[i]))
            continue;
        for (int t = 1; t <= 3; t++) {
            mango_set_threads(t);
            float *work = calloc((size_t)mgi_upsample_work(u), sizeof *work);
            float *y = calloc((size_t)n, sizeof *y);
            mgi_upsample(u, N, x, y, work);
            T_MEM(y, want, (size_t)n * sizeof *y);
            free(y);
            free(work);
        }
    }
    mango_set_threads(threads);
    T_CHECK(mgi_kernels_force(best));
}

static void t_upsample_pass(void)
{
    mango_rng r;
    mango_rng_init(&r, 9, 1, 0);
    for (int i = 0; i < 64; i++) {
        const mango_idx N = 1 + mango_rng_int(&r, 3), C = 1 + mango_rng_int(&r, i % 2 ? 70 : 9);
        const mango_idx H = 1 + mango_rng_int(&r, 9), W = 1 + mango_rng_int(&r, i % 3 ? 5 : 40);
        const mango_idx n = N * H * W * C;
        float *x = malloc((size_t)(10 * n + 4 * C) * sizeof *x), *y = x + 2 * n, *s = x + 10 * n;
        for (mango_idx j = 0; j < 10 * n + 4 * C; j++)
            x[j] = 2.0f * mango_rng_uniformf(&r) - 1.0f;
        const mgi_up u = {.H = H, .W = W, .C = C, .bilinear = i & 1,
                          .scale = i & 2 ? s : NULL, .shift = s + C, .relu_before = (i & 4) != 0,
                          .residual = i & 8 ? y + 4 * n : NULL,
                          .after_scale = i & 16 ? s + 2 * C : NULL, .after_shift = s + 3 * C,
                          .relu = (i & 32) != 0};
        t_upsample_plain(&u, N, x, x + n, y);
        t_upsample_sets_all(&u, N, x, y, 4 * n);
        free(x);
    }
}

/* ---- merged ------------------------------------------------------------------------ */

static const char t_upsample_text[] =
    "mango-graph 1\n"
    "net arch=toy\n"
    "input input - shape=5x6x7\n"
    "b0 batchnorm input\n"
    "r0 relu b0\n"
    "u0 upsample r0 mode=bilinear\n"
    "c0 conv u0 out=6 kernel=3 pad=1 bias=1\n"
    "s0 upsample input mode=bilinear\n"
    "k0 conv s0 out=6 kernel=1 bias=1\n"
    "a0 add c0,k0\n"
    "b1 batchnorm a0\n"
    "r1 relu b1\n"
    "u1 upsample r1 mode=nearest\n"
    "c1 conv u1 out=4 kernel=3 pad=1 bias=1\n"
    "b2 batchnorm c1\n"
    "u2 upsample r1 mode=nearest\n"
    "c2 conv u2 out=4 kernel=4 pad=0 bias=0\n"
    "r2 relu b2\n"
    "r3 relu r2\n"
    "u3 upsample r3 mode=nearest\n"
    "k3 conv u3 out=3 kernel=1 bias=0\n"
    "b3 batchnorm k3\n"
    "r4 relu b3\n"
    "u5 upsample c2 mode=bilinear\n"
    "c5 conv u5 out=3 kernel=1 bias=1\n"
    "t5 tanh c5\n"
    "r5 relu r4\n"
    "u6 upsample r5 mode=nearest\n";

/* "k0": the steps that it must be part of, of plan text; "": none of its own. */
static const char *const t_upsample_steps[] = {" b0+r0+u0 ", " s0+k0+a0+b1+r1 ", " u1+c1+b2+r2 ",
                                               " u3+k3+b3+r4 ", " r5+u6 "};

static mango_net *t_upsample_net(const char *text)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &err), &err);
    if (net)
        T_CHECK(mango_net_fill(net, 5, 1.5) == MANGO_OK);
    return net;
}

/* Layers `first`.. `last` read at once, B inputs; y one layer after the other. */
static float *t_upsample_read(const mango_net *net, int first, int last, mango_idx B,
                              mango_idx memory, const float *x, mango_idx *total, mgi_str *text)
{
    mango_reading r[64];
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_err err = {""};
    mango_idx n = 0;
    for (int i = first; i <= last; i++)
        n += B * net->node[i].C * net->node[i].H * net->node[i].W;
    float *y = calloc((size_t)n, sizeof *y), *at = y;
    for (int i = first; i <= last; i++) {
        const mango_reading q = {i, MANGO_READ_MEAN, at};
        r[i - first] = q;
        at += B * net->node[i].C * net->node[i].H * net->node[i].W;
    }
    mango_plan_defaults(&o);
    o.batch = B;
    o.memory = memory;
    T_OK(mango_plan_create(&p, net, &o, last - first + 1, r, NULL, &err), &err);
    if (p) {
        T_OK(mango_plan_run(p, B, x), NULL);
        if (text)
            mgi_plan_describe(p, text);
    }
    mango_plan_destroy(p);
    *total = n;
    return y;
}

/* Value of the upsampled (H,W) map a at (y,x), in double; outside: 0. */
static double t_upsample_at(int bilinear, mango_idx H, mango_idx W, const float *a, mango_idx y,
                            mango_idx x, int absolute)
{
    double v = 0;
    if (y < 0 || x < 0 || y >= 2 * H || x >= 2 * W)
        return 0;
    for (int j = 0; j < 4; j++) {
        mango_idx iy = y / 2 + (j / 2 ? (y % 2 ? 1 : -1) : 0), ix = x / 2;
        ix += j % 2 ? (x % 2 ? 1 : -1) : 0;
        iy = MGI_MAX(0, MGI_MIN(H - 1, iy));
        ix = MGI_MAX(0, MGI_MIN(W - 1, ix));
        const double w = bilinear ? (j / 2 ? 0.25 : 0.75) * (j % 2 ? 0.25 : 0.75) : j == 0;
        v += w * (absolute ? fabs((double)a[iy * W + ix]) : (double)a[iy * W + ix]);
    }
    return v;
}

/* The largest error of y, what layer `conv` makes of in (C,H,W), as a part of its bound. */
static double t_upsample_error(const mango_net *net, int conv, const float *in, const float *y)
{
    const mgi_node *g = &net->node[conv], *u = &net->node[g->in[0]];
    const mgi_conv *c = &g->conv;
    const mango_idx H = u->H / 2, W = u->W / 2, taps = c->C * c->kh * c->kw;
    const float *w = net->param[g->weight].v;
    const float *b = g->bias_p < 0 ? NULL : net->param[g->bias_p].v;
    double worst = 0;
    for (mango_idx i = 0; i < g->C * g->H * g->W; i++) {
        const mango_idx o = i / (g->H * g->W), oy = i / g->W % g->H, ox = i % g->W;
        double v = b ? b[o] : 0.0, S = fabs(v);
        for (mango_idx k = 0; k < taps; k++) {
            const mango_idx iy = oy - c->ph + k / c->kw % c->kh, ix = ox - c->pw + k % c->kw;
            const float *a = in + k / (c->kh * c->kw) * H * W;
            const double f = w[o * taps + k];
            v += f * t_upsample_at(u->up.mode == MGI_BILINEAR, H, W, a, iy, ix, 0);
            S += fabs(f) * t_upsample_at(u->up.mode == MGI_BILINEAR, H, W, a, iy, ix, 1);
        }
        const double bound = (double)(taps + 11) * ldexp(1.0, -24) * S;
        worst = MGI_MAX(worst, fabs(y[i] - v) / MGI_MAX(bound, 1e-30));
    }
    return worst;
}

/* plan_upsample.c's bound, of both forms, and the steps it plans. */
static void t_upsample_bound(void)
{
    mango_net *net = t_upsample_net(t_upsample_text);
    T_REQUIRE(net != NULL);
    float x[5 * 6 * 7], *at[64];
    mango_idx total, n = 0;
    int seen = 0;
    mango_fill_u("input", 3, MGI_COUNT(x), x);
    float *all = t_upsample_read(net, 0, net->n_nodes - 1, 1, 0, x, &total, NULL);
    for (int i = 0; i < net->n_nodes; n += net->node[i].C * net->node[i].H * net->node[i].W, i++)
        at[i] = all + n;
    for (int i = 0; i < net->n_nodes; i++) {
        if (mgi_plan_up_form(net, i) == MGI_UP_NONE)
            continue;
        const double e = t_upsample_error(net, i, at[net->node[net->node[i].in[0]].in[0]], at[i]);
        if (!T_CHECK(e <= 1.0))
            printf("  %s: %g of the bound\n", net->node[i].name, e);
        seen++;
    }
    T_CHECK(seen == 5);
    free(all);
    mango_net_destroy(net);
}

/* ---- bits ---------------------------------------------------------------------------- */

/* Each layer alone, and under memory caps, has the bits it has among all. */
static void t_upsample_alone(const mango_net *net, mango_idx B, const float *x, const float *all)
{
    mango_idx n = 0, at = 0;
    for (int i = 0; i < net->n_nodes; i++, at += n)
        for (int cap = 0; cap < 2; cap++) {
            float *y = t_upsample_read(net, i, i, B, cap ? 1 << 18 : 0, x, &n, NULL);
            if (!T_MEM(y, all + at, (size_t)n * sizeof *y))
                printf("  %s alone\n", net->node[i].name);
            free(y);
        }
}

static void t_upsample_bits(void)
{
    enum { B = 3, n = 5 * 6 * 7 };
    mango_net *net = t_upsample_net(t_upsample_text);
    T_REQUIRE(net != NULL);
    const char *best = mgi_kernels_get()->name;
    float x[B * n];
    mango_idx total, one;
    mgi_str text;
    mgi_str_init(&text, NULL);
    mango_fill_u("input", 4, MGI_COUNT(x), x);
    float *all = t_upsample_read(net, 0, net->n_nodes - 1, B, 0, x, &total, NULL);
    for (int i = 0; i < MGI_COUNT(t_upsample_sets); i++) {
        if (!mgi_kernels_force(t_upsample_sets[i]))
            continue;
        float *y = t_upsample_read(net, 0, net->n_nodes - 1, B, 0, x, &total, NULL);
        T_MEM(y, all, (size_t)total * sizeof *y);
        free(y);
    }
    T_CHECK(mgi_kernels_force(best));
    t_upsample_alone(net, B, x, all);
    free(all);
    /* the last layers alone: everything before them merged */
    all = t_upsample_read(net, net->n_nodes - 3, net->n_nodes - 1, B, 0, x, &total, &text);
    for (int i = 0; i < MGI_COUNT(t_upsample_steps); i++)
        if (!T_CHECK(strstr(text.p, t_upsample_steps[i]) != NULL))
            printf("  no step%sin\n%s", t_upsample_steps[i], text.p);
    float *y = t_upsample_read(net, net->n_nodes - 1, net->n_nodes - 1, 1, 0, x + n, &one, NULL);
    T_MEM(y, all + total - B * one + one, (size_t)one * sizeof *y); /* the second input */
    free(y);
    free(all);
    mgi_str_free(&text);
    mango_net_destroy(net);
}

/* Fed with what it reads, a net goes on with the same bits, but behind a fed
 * convolution or upsampling, into which nothing can be folded. */
static void t_upsample_fed(void)
{
    mango_net *net = t_upsample_net(t_upsample_text);
    T_REQUIRE(net != NULL);
    float x[5 * 6 * 7], y[3 * 96 * 112];
    mango_idx n, last;
    mango_fill_u("input", 3, MGI_COUNT(x), x);
    float *want = t_upsample_read(net, net->n_nodes - 1, net->n_nodes - 1, 1, 0, x, &last, NULL);
    T_REQUIRE(last <= MGI_COUNT(y));
    for (int i = mgi_net_find(net, "a0"); i < net->n_nodes; i++) {
        const mango_reading r = {net->n_nodes - 1, MANGO_READ_MEAN, y};
        mango_plan_options o;
        mango_plan *p = NULL;
        mango_plan_defaults(&o);
        o.from = i;
        if (mango_plan_create(&p, net, &o, 1, &r, NULL, NULL) < 0)
            continue; /* not on the way to the last layer */
        float *v = t_upsample_read(net, i, i, 1, 0, x, &n, NULL);
        T_OK(mango_plan_run(p, 1, v), NULL);
        if (net->node[i].kind == MGI_CONV || net->node[i].kind == MGI_UPSAMPLE)
            T_CLOSE(y, want, last, 1e-5);
        else
            T_MEM(y, want, (size_t)last * sizeof *y);
        mango_plan_destroy(p);
        free(v);
    }
    free(want);
    mango_net_destroy(net);
}

void t_upsample(void)
{
    T_CASE(t_upsample_pass);
    T_CASE(t_upsample_bound);
    T_CASE(t_upsample_bits);
    T_CASE(t_upsample_fed);
}

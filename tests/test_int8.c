/* test_int8.c - weights of spikes in 8 bits: against the plain form bit for bit, every
 * kernel set, 1 and 2 threads; and in plans.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_int8_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

static void t_int8_scales(void)
{
    const float w[6] = {0.0f, -2.54f, 0.03f, -0.01f, 1.27f, 2.54f}, zero[3] = {0.0f, -0.0f, 1e-38f};
    const int want[6] = {0, -127, 2, 0, 64, 127}; /* 1.5 and 63.5: to even */
    float per;
    T_NEAR(mgi_int8_scale(6, w, &per), 0.02, 1e-8);
    for (int i = 0; i < 6; i++)
        T_EQ(mgi_int8_round(w[i], per), want[i]);
    T_CHECK(mgi_int8_scale(3, zero, &per) == 0.0f && per == 0.0f);
    T_EQ(mgi_int8_round(zero[2], per), 0);
    mango_rng r;
    mango_rng_init(&r, 51, 0, 0);
    int off = 0, most = 0;
    for (int i = 0; i < 20000; i++) {
        float v[2];
        v[0] = (mango_rng_uniformf(&r) + 1e-6f) * (i % 2 ? 1e-20f : 1e20f);
        v[1] = v[0] * (2.0f * mango_rng_uniformf(&r) - 1.0f);
        const float Q = mgi_int8_scale(2, v, &per);
        const int q = mgi_int8_round(v[1], per);
        most += mgi_int8_round(v[0], per) == 127 && mgi_int8_round(-v[0], per) == -127;
        off += !(fabs((double)Q * q - (double)v[1]) <= 0.5001 * (double)Q);
    }
    T_EQ(off, 0);
    T_EQ(most, 20000);
}

/* One convolution: its input as floats and as bits, likewise a residual. */
typedef struct t_int8_case {
    mgi_conv c;
    mango_idx N, nx, ny, nw;
    float *x, *w, *bias, *res, *resf;
    uint64_t *b, *resb;
} t_int8_case;

static void t_int8_same(const t_int8_case *t, const void *want, const void *got, const char *what)
{
    const mgi_conv *c = &t->c;
    char text[200];
    snprintf(text, sizeof text, "%s, %s, %d threads: N %d C %d %dx%d O %d k %dx%d s %d p %d", what,
             mgi_kernels_get()->name, mango_threads(), (int)t->N, (int)c->C, (int)c->H, (int)c->W,
             (int)c->O, c->kh, c->kw, c->sh, c->ph);
    t_check(memcmp(want, got, (size_t)t->ny * sizeof(float)) == 0, text, __FILE__, __LINE__);
}

/* The kernels in force; with: 0 nothing, 1 bias, 2 and residual, 3 of bits, +4 ReLU. */
static void t_int8_one(const t_int8_case *t, mango_idx B, int with)
{
    const mgi_conv *c = &t->c;
    const mango_idx np = mgi_conv_packed(c), nf = mgi_bits_conv_work(c, t->N);
    const mango_idx n = t->ny / t->N, wo = t->ny / c->O * mgi_bits_words(c->O);
    float *packed = calloc((size_t)(np + nf + 3 * t->ny + 2 * B * n), sizeof *packed);
    float *work = packed + np, *want = work + nf, *got = want + t->ny, *fire = got + t->ny;
    float *U = fire + t->ny, *V = U + B * n;
    uint64_t *S = calloc((size_t)wo, sizeof *S);
    const float *bias = with % 4 ? t->bias : NULL;
    const float *res = with % 4 == 2 ? t->res : NULL;
    const mgi_epilogue e = {bias, with % 4 == 3 ? t->resf : res, with / 4};
    mgi_bits_epilogue f = {bias, res, with % 4 == 3 ? t->resb : NULL, with / 4};
    mgi_conv_pack(c, t->w, packed);
    mgi_int8_forward_ref(c, t->N, t->x, t->w, &e, want);
    mgi_bits_conv(c, t->N, t->b, packed, &f, got, work);
    t_int8_same(t, want, got, "currents");
    const mgi_lif_rule rule = {.charge = MGI_CHARGE_LEAK, .reset = MGI_RESET_SUBTRACT, .delay = 1,
                               .beta = 0.9f, .tau = 1.0f, .gain = 1.0f, .U_thr = 0.5f};
    const mgi_bits_lif lif = {rule, B, V, S, with % 2};
    f.relu = 0;
    if (!e.relu) {
        for (mango_idx i = 0; i < t->N; i++)
            mgi_lif_ref(n, &rule, want + i * n, U + i % B * n, fire + i * n);
        mgi_bits_conv_lif(c, t->N, t->b, packed, &f, &lif, work);
        mgi_bits_expand(t->ny / c->O, c->O, S, got);
        t_int8_same(t, fire, got, "spikes");
        T_CHECK(memcmp(U, V, (size_t)(B * n) * sizeof *U) == 0);
    }
    free(S);
    free(packed);
}

static void t_int8_sets_run(const t_int8_case *t, mango_idx B, int with)
{
    const int threads = mango_threads();
    const char *best = "ref";
    for (mango_idx s = 0; s < MGI_COUNT(t_int8_sets); s++) {
        if (!mgi_kernels_force(t_int8_sets[s]))
            continue;
        best = t_int8_sets[s];
        for (int n = 1; n <= 2; n++) {
            mango_set_threads(n);
            t_int8_one(t, B, with++ % 8);
        }
    }
    mango_set_threads(threads);
    mgi_kernels_force(best);
}

/* N = B*T maps; `rate` of the inputs active; extreme: all weights at +-127. */
static void t_int8_conv_case(mango_rng *r, mgi_conv c, mango_idx B, mango_idx T, double rate,
                             int extreme)
{
    t_int8_case t = {.c = c, .N = B * T};
    t.c.int8 = 1;
    if (!mgi_conv_shape(&t.c))
        return;
    t.nx = t.N * c.H * c.W * c.C, t.ny = t.N * t.c.OH * t.c.OW * c.O;
    t.nw = c.O * c.C * c.kh * c.kw;
    const mango_idx pi = t.nx / c.C, po = t.ny / c.O;
    t.x = calloc((size_t)(t.nx + t.nw + c.O + 2 * t.ny), sizeof *t.x);
    t.w = t.x + t.nx, t.bias = t.w + t.nw, t.res = t.bias + c.O, t.resf = t.res + t.ny;
    t.b = calloc((size_t)(pi * mgi_bits_words(c.C) + po * mgi_bits_words(c.O)), sizeof *t.b);
    t.resb = t.b + pi * mgi_bits_words(c.C);
    for (mango_idx i = 0; i < t.nx; i++)
        t.x[i] = i >= 3 * B * t.nx / t.N ? t.x[i - 3 * B * t.nx / t.N] /* repeats itself */
                                         : (double)mango_rng_uniformf(r) < rate;
    for (mango_idx i = 0; i < t.nw + c.O + t.ny; i++)
        t.w[i] = 2.0f * mango_rng_uniformf(r) - 1.0f;
    for (mango_idx i = 0; i < t.nw && extreme; i++)
        t.w[i] = i / (t.nw / c.O) % 2 ? -1.0f : 1.0f;
    for (mango_idx i = 0; i < t.ny; i++)
        t.resf[i] = (float)mango_rng_int(r, 2);
    mgi_bits_from(pi, c.C, t.x, t.b);
    mgi_bits_from(po, c.O, t.resf, t.resb);
    t_int8_sets_run(&t, B, (int)mango_rng_int(r, 8));
    free(t.x);
    free(t.b);
}

static void t_int8_conv(void)
{
    static const double rate[] = {0.0, 0.02, 0.15, 0.5, 1.0};
    mango_rng r;
    mango_rng_init(&r, 52, 0, 0);
    for (int i = 0; i < 30; i++) {
        const mgi_conv c = {.C = 1 + mango_rng_int(&r, i % 3 ? 20 : 140),
                            .H = 1 + mango_rng_int(&r, 7),
                            .W = 1 + mango_rng_int(&r, 7),
                            .O = 1 + mango_rng_int(&r, i % 4 ? 40 : 150),
                            .kh = 1 + (int)mango_rng_int(&r, 4),
                            .kw = 1 + (int)mango_rng_int(&r, 4),
                            .sh = 1 + (int)mango_rng_int(&r, 2),
                            .sw = 1 + (int)mango_rng_int(&r, 2),
                            .ph = (int)mango_rng_int(&r, 3),
                            .pw = (int)mango_rng_int(&r, 3)};
        t_int8_conv_case(&r, c, 1 + mango_rng_int(&r, 3), 1 + mango_rng_int(&r, i % 8 ? 7 : 70),
                         rate[i % 5], i % 6 == 5);
    }
}

/* 3x3x200 and more active inputs of weight 127 do not fit in 16 bits. */
static void t_int8_large(void)
{
    const mgi_conv c = {.C = 300, .H = 3, .W = 3, .O = 70, .kh = 3, .kw = 3, .sh = 1, .sw = 1,
                        .ph = 1, .pw = 1};
    mango_rng r;
    mango_rng_init(&r, 53, 0, 0);
    for (int i = 0; i < 4; i++)
        t_int8_conv_case(&r, c, 1, 2, i % 2 ? 1.0 : 0.9, i < 2);
}

/* ---- plans ------------------------------------------------------------------------ */

enum { T_INT8_B = 3, T_INT8_T = 6 };

/* c2 and c3 meet spikes; the reshape makes f1 meet them as floats; c1 and f2 do not. */
static const char t_int8_text[] = "mango-graph 1\n"
                                  "net arch=toy T=6\n"
                                  "input input - shape=3x8x8\n"
                                  "c1 conv input out=70 kernel=3 pad=1 bias=1\n"
                                  "s1 lif c1 preset=snntorch U_thr=0.3\n"
                                  "c2 conv s1 out=70 kernel=3 pad=1 bias=0\n"
                                  "b2 batchnorm c2 eps=1e-5 momentum=0.1\n"
                                  "a2 add b2,s1\n"
                                  "s2 lif a2 preset=spikingjelly U_thr=0.2\n"
                                  "p2 maxpool s2 kernel=2 stride=2\n"
                                  "c3 conv p2 out=12 kernel=3 bias=1\n"
                                  "s3 lif c3 preset=snntorch U_thr=0.1\n"
                                  "r3 reshape s3 shape=48x1x1\n"
                                  "f1 linear r3 out=20 bias=1\n"
                                  "m avgpool s3 kernel=2 stride=2\n"
                                  "f2 linear m out=5 bias=1\n";

static mango_net *t_int8_net(void)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, t_int8_text, (mango_idx)strlen(t_int8_text), NULL, &err), &err);
    if (net)
        T_OK(mango_net_fill(net, 5, 1.5), NULL);
    return net;
}

/* Every step of `layer` into y (calloc'ed), another layer read beside it; the print into s. */
static float *t_int8_read(const mango_net *net, mango_plan_options o, const char *layer,
                          const char *beside, mgi_str *s)
{
    mango_layer l;
    mango_idx at[2] = {0, 0};
    mango_err err = {""};
    mango_plan *p = NULL;
    static float x[T_INT8_B * 192];
    mango_fill_u("input", 9, T_INT8_B * 192, x);
    T_OK(mango_net_find(net, layer, &at[0], &err), &err);
    T_OK(mango_net_find(net, beside, &at[1], &err), &err);
    float *y[2];
    for (int i = 0; i < 2; i++) {
        mango_net_layer(net, at[i], &l);
        y[i] = calloc((size_t)(o.T * T_INT8_B * l.C * l.H * l.W), sizeof *y[i]);
    }
    const mango_reading r[2] = {{at[0], MANGO_READ_SPIKES, y[0]}, {at[1], MANGO_READ_SPIKES, y[1]}};
    o.batch = T_INT8_B;
    o.raw = 1;
    if (T_OK(mango_plan_create(&p, net, &o, 2, r, NULL, &err), &err))
        T_OK(mango_plan_run(p, T_INT8_B, x), NULL);
    if (s && p)
        mgi_plan_describe(p, s);
    mango_plan_destroy(p);
    free(y[1]);
    return y[0];
}

static mango_plan_options t_int8_options(void)
{
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = T_INT8_T;
    o.int8 = 1;
    return o;
}

/* The layers that meet spikes, and no others. */
static void t_int8_layers(void)
{
    mango_net *net = t_int8_net();
    T_REQUIRE(net != NULL);
    mango_plan_options o = t_int8_options();
    for (int on = 0; on < 2; on++) {
        mgi_str s;
        mgi_str_init(&s, NULL);
        o.int8 = on;
        free(t_int8_read(net, o, "f1", "f2", &s));
        T_EQ(strstr(s.p, "a2 int8") != NULL, on);
        T_EQ(strstr(s.p, "c3 int8") != NULL, on);
        T_EQ(strstr(s.p, "f1 int8") != NULL, on);
        T_CHECK(!strstr(s.p, "c1 int8") && !strstr(s.p, "f2 int8"));
        mgi_str_free(&s);
    }
    mango_net_destroy(net);
}

/* c3 of a plan is the plain form on the spikes that went in; f1, which meets them as
 * floats, likewise. */
static void t_int8_plan(void)
{
    mango_net *net = t_int8_net();
    T_REQUIRE(net != NULL);
    const mango_plan_options o = t_int8_options();
    const mango_idx N = T_INT8_T * T_INT8_B;
    mgi_conv conv[2] = {
        {.C = 70, .H = 4, .W = 4, .O = 12, .kh = 3, .kw = 3, .sh = 1, .sw = 1},
        {.C = 48, .H = 1, .W = 1, .O = 20, .kh = 1, .kw = 1, .sh = 1, .sw = 1}};
    static const char *const name[2][4] = {{"p2", "c3", "c3.weight", "c3.bias"},
                                           {"r3", "f1", "f1.weight", "f1.bias"}};
    for (int i = 0; i < 2; i++) {
        mgi_conv *c = &conv[i];
        T_CHECK(mgi_conv_shape(c));
        const mango_idx nx = N * c->C * c->H * c->W, ny = N * c->O * c->OH * c->OW;
        float *x = t_int8_read(net, o, name[i][0], "input", NULL);
        float *y = t_int8_read(net, o, name[i][1], "input", NULL);
        float *in = calloc((size_t)(nx + 2 * ny), sizeof *in), *want = in + nx, *got = want + ny;
        const mgi_epilogue e = {mango_net_param(net, name[i][3], NULL, NULL), NULL, 0};
        mgi_to_nhwc(N, c->C, c->H * c->W, x, in);
        mgi_int8_forward_ref(c, N, in, mango_net_param(net, name[i][2], NULL, NULL), &e, want);
        mgi_to_nchw(N, c->O, c->OH * c->OW, want, got);
        T_MEM(y, got, (size_t)ny * sizeof *y);
        mango_idx active = 0;
        for (mango_idx k = 0; k < nx; k++)
            active += x[k] > 0.0f;
        T_CHECK(active > nx / 50 && active < nx);
        free(x);
        free(y);
        free(in);
    }
    mango_net_destroy(net);
}

/* The same bits whatever is read beside it, however chunks are cut, on one thread or two; not
 * those of floats, but near them. */
static void t_int8_same_bits(void)
{
    mango_net *net = t_int8_net();
    T_REQUIRE(net != NULL);
    mango_plan_options o = t_int8_options();
    const size_t bytes = T_INT8_T * T_INT8_B * 20 * sizeof(float);
    static const char *const beside[] = {"f2", "s1", "a2", "c3", "r3", "p2"};
    const int threads = mango_threads();
    float *want = t_int8_read(net, o, "f1", "input", NULL);
    for (mango_idx i = 0; i < MGI_COUNT(beside); i++) {
        mango_set_threads(1 + (int)i % 2);
        o.memory = i == 5 ? 340000 : 0;
        float *got = t_int8_read(net, o, "f1", beside[i], NULL);
        T_MEM(got, want, bytes);
        free(got);
    }
    mango_set_threads(threads);
    o.memory = 0;
    o.half = 1; /* of c1: other results */
    float *got = t_int8_read(net, o, "f1", "input", NULL);
    T_CHECK(memcmp(got, want, bytes) != 0);
    free(got);
    o.int8 = o.half = 0;
    got = t_int8_read(net, o, "f1", "input", NULL);
    T_CHECK(memcmp(got, want, bytes) != 0);
    free(got);
    free(want);
    mango_net_destroy(net);
}

/* What is fed need not be spikes: the layers behind it keep their weights as they are. */
static void t_int8_fed(void)
{
    static float in[2 * 70 * 64], y[2][2 * 12 * 4];
    mango_net *net = t_int8_net();
    T_REQUIRE(net != NULL);
    mango_err err = {""};
    mango_plan_options o = t_int8_options();
    mango_reading r = {0, MANGO_READ_SPIKES, NULL};
    T_OK(mango_net_find(net, "s2", &o.from, &err), &err);
    T_OK(mango_net_find(net, "c3", &r.layer, &err), &err);
    mango_fill_u("fed", 3, MGI_COUNT(in), in);
    o.batch = 2;
    for (int i = 0; i < 2; i++) {
        mango_plan *p = NULL;
        o.int8 = i;
        o.T = 1;
        r.out = y[i];
        if (T_OK(mango_plan_create(&p, net, &o, 1, &r, NULL, &err), &err))
            T_OK(mango_plan_run(p, 2, in), NULL);
        mango_plan_destroy(p);
    }
    T_MEM(y[1], y[0], sizeof y[0]);
    T_CHECK(y[0][0] != y[0][1]);
    mango_net_destroy(net);
}

/* A quarter of the weights' memory, and objectives that pass the wish on. */
static void t_int8_objective(void)
{
    mango_objective_info info[2];
    mango_objective_options o;
    mango_net *gen = NULL, *net = NULL;
    mango_err err = {""};
    mango_idx I[128];
    double y[2] = {0, 0};
    mango_objective_defaults(&o);
    T_OK(mango_net_zoo(&gen, "sngan,width=0.0625", NULL, &err), &err);
    T_OK(mango_net_zoo(&net, "spiking_resnet18,width=0.5,T=10", NULL, &err), &err);
    T_REQUIRE(gen && net);
    T_OK(mango_net_fill(gen, 7, 2.0), NULL);
    T_OK(mango_net_fill(net, 7, 4.0), NULL);
    for (int i = 0; i < 128; i++)
        I[i] = i * 5 % 64;
    for (int i = 0; i < 2; i++) {
        mango_objective *f = NULL;
        o.int8 = i;
        o.batch = 1;
        T_OK_OR_RETURN(mango_objective_create(&f, gen, net, "layer4.0.sn1:5", &o, NULL, &err),
                       &err);
        T_OK(mango_objective_eval(f, 1, I, y + i), NULL);
        mango_objective_get(f, info + i);
        mango_objective_destroy(f);
    }
    T_CHECK(y[0] > 0.0 && y[0] <= 1.0 && y[1] > 0.0 && fabs(y[0] - y[1]) < 0.3);
    T_CHECK(2 * info[1].bytes < info[0].bytes); /* weights and arena, of both nets */
    mango_net_destroy(gen);
    mango_net_destroy(net);
}

void t_int8(void)
{
    T_CASE(t_int8_scales);
    T_CASE(t_int8_conv);
    T_CASE(t_int8_large);
    T_CASE(t_int8_layers);
    T_CASE(t_int8_plan);
    T_CASE(t_int8_same_bits);
    T_CASE(t_int8_fed);
    T_CASE(t_int8_objective);
}

/* test_target.c - targets as expressions: the grammar, values against spikes counted here,
 * derivatives, ties, resume.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char t_target_graph[] =
    "mango-graph 1\n"
    "net arch=own T=8\n"
    "input input - shape=2x4x4\n"
    "conv0 conv input out=3 kernel=3 pad=1 bias=1\n"
    "layer1.0.sn1 lif conv0 beta=0.9 U_thr=0.6 reset=subtract reset_delay=1\n"
    "block-2 conv layer1.0.sn1 out=4 kernel=3 pad=1 bias=1\n"
    "sn-2 lif block-2 tau=2 U_thr=0.3 reset=zero fires_on=>=\n"
    "fc linear sn-2 out=5 bias=1\n"
    "7 lif fc beta=0.8 U_thr=0.4 reset=zero\n";

static const char t_target_gen[] = "mango-graph 1\n"
                                   "net arch=own out_scale=0.5 out_shift=0.5\n"
                                   "input input - shape=6x1x1\n"
                                   "fc linear input out=32 bias=1\n"
                                   "map reshape fc shape=2x4x4\n"
                                   "out tanh map\n";

enum { T_TARGET_K = 3, T_TARGET_T = 8, T_TARGET_SIZE = 32 };

static mango_net *t_target_net(const char *text, double gain)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &err), &err);
    if (net)
        T_STATUS(mango_net_fill(net, 5, gain), MANGO_OK);
    return net;
}

static void t_target_pictures(float *rgb)
{
    mango_rng rng;
    mango_rng_init(&rng, 11, 1, 0);
    for (int i = 0; i < T_TARGET_K * T_TARGET_SIZE; i++)
        rgb[i] = (float)mango_rng_int(&rng, 256) / 255.0f;
}

/* ---- the grammar ----------------------------------------------------------------- */

static void t_target_grammar(void)
{
    static const char *const good[] = {
        "layer1.0.sn1:2", "'layer1.0.sn1':2", "\"sn-2\":3:1:2", "sn-2:1", "7:4", "7:4+7:3",
        "layer1.0.sn1:1 - 0.5*layer1.0.sn1:2", "-(7:1 + 2e-1)*3", "1.5 * 7:2 / (7:0+.5)",
        "layer1.0.sn1:0[2..5]", "7:1 [0..0]", "rate('sn-2':1:0:0, 2, 7)", "latency(7:1)",
        "latency('sn-2':0:3:3)", "membrane(layer1.0.sn1:1[0..3])", "mean(layer1.0.sn1)",
        "max(7:0,7:1, 7:2)", "min(layer1.0.sn1, 7, 0.5)", "mean(7[1..2])", "class:3", "logit:4",
        "max(mean(7:1,7:2),latency(7:3)) - 2*min(class:0,logit:1)"};
    static const struct { const char *text; mango_status st; const char *says; } bad[] = {
        {"layer1.0.sn2:2 + 7:1", MANGO_E_NAME, "column 1: no layer 'layer1.0.sn2'; near: layer1.0.sn1"},
        {"7:1 + layer1.0.sn1:3", MANGO_E_NAME, "column 7: layer 'layer1.0.sn1' has units 0..2, got 3"},
        {"7:1 - ", MANGO_E_FORMAT, "column 7: the end stands where layer:unit"},
        {"7:1 7:2", MANGO_E_FORMAT, "column 5: '7:2' stands where an operator"},
        {"(7:1", MANGO_E_FORMAT, "column 5: the end stands where ')'"},
        {"3 + 4", MANGO_E_FORMAT, "no unit"},
        {"average(7:1)", MANGO_E_FORMAT, "max, min, mean"},
        {"7:1[5..2]", MANGO_E_FORMAT, "rising"},
        {"latency(fc:1)", MANGO_E_NAME, "column 9: layer 'fc' does not spike"},
        {"membrane(7)", MANGO_E_FORMAT, "':' and a unit"},
        {"latency(class:1)", MANGO_E_FORMAT, "spikes"},
        {"7@none.npy", MANGO_E_IO, "none.npy"},
        {"sn-2:1 + 1", MANGO_E_FORMAT, "column 3"},
        {"'sn-2:1", MANGO_E_FORMAT, "column 1"}};
    mango_net *net = t_target_net(t_target_graph, 1.0);
    mango_target t;
    mango_err err = {""};
    T_REQUIRE(net != NULL);
    for (mango_idx i = 0; i < MGI_COUNT(good); i++)
        T_OK(mango_target_parse(&t, net, good[i], &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        T_STATUS(mango_target_parse(&t, net, bad[i].text, &err), bad[i].st);
        if (!T_CHECK(strstr(err.text, bad[i].says) != NULL))
            fprintf(stderr, "  '%s' says: %s\n", bad[i].text, err.text);
    }
    T_STATUS(mango_target_parse(&t, net, "'layer1.0.sn1':2", &err), MANGO_OK);
    T_CHECK(t.text == NULL && t.unit == 2); /* one unit is one unit however it is written */
    T_STATUS(mango_target_parse(&t, net, "2*7:3", &err), MANGO_OK);
    T_CHECK(t.text != NULL && t.unit == 3 && t.spiking);
    char deep[400];
    memset(deep, '(', sizeof deep);
    deep[sizeof deep - 1] = 0;
    T_STATUS(mango_target_parse(&t, net, deep, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "deeper") != NULL);
    mango_net_destroy(net);
}

/* Texts put together from pieces at random: read, or refused with a reason. */
static void t_target_any(void)
{
    static const char *const piece[] = {"7:1", "layer1.0.sn1", ":", "2", "(", ")", "[", "]", "..",
                                        "mean(", "max(", "latency(", "membrane(", "rate(", ",",
                                        "+", "-", "*", "/", "'sn-2'", "\"", "'", "@", "x.npy", " ",
                                        "class:1", "logit", "1e-3", ".", "1e999", "\xc3\xa9"};
    mango_net *net = t_target_net(t_target_graph, 1.0);
    mango_rng rng;
    int read = 0;
    T_REQUIRE(net != NULL);
    mango_rng_init(&rng, 9, 9, 9);
    for (int trial = 0; trial < 20000; trial++) {
        char text[200] = "";
        mango_target t;
        mango_err err = {""};
        const mango_idx n = 1 + mango_rng_int(&rng, 9);
        for (mango_idx i = 0; i < n; i++)
            strcat(text, piece[mango_rng_int(&rng, MGI_COUNT(piece))]);
        const mango_status st = mango_target_parse(&t, net, text, &err);
        read += st == MANGO_OK;
        T_CHECK(st == MANGO_OK || err.text[0]);
    }
    T_CHECK(read > 100);
    mango_net_destroy(net);
}

/* ---- values ---------------------------------------------------------------------- */

/* All steps of the layers, read by a plan of their own. */
typedef struct t_target_steps {
    float conv0[T_TARGET_T][T_TARGET_K][3][16];
    float sn1[T_TARGET_T][T_TARGET_K][3][16], sn2[T_TARGET_T][T_TARGET_K][4][16];
    float fc[T_TARGET_T][T_TARGET_K][5], out[T_TARGET_T][T_TARGET_K][5];
} t_target_steps;

static mango_status t_target_read(const mango_net *net, const float *rgb, t_target_steps *s)
{
    const mango_reading r[] = {{1, MANGO_READ_SPIKES, s->conv0[0][0][0]},
                               {2, MANGO_READ_SPIKES, s->sn1[0][0][0]},
                               {4, MANGO_READ_SPIKES, s->sn2[0][0][0]},
                               {5, MANGO_READ_SPIKES, s->fc[0][0]},
                               {6, MANGO_READ_SPIKES, s->out[0][0]}};
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.batch = T_TARGET_K;
    MGI_TRY(mango_plan_create(&p, net, &o, 5, r, NULL, NULL));
    const mango_status st = mango_plan_run(p, T_TARGET_K, rgb);
    mango_plan_destroy(p);
    return st;
}

/* Values of one target, in batches of B. */
static void t_target_look(const mango_net *net, const char *target, mango_idx B,
                          const float *rgb, double y[T_TARGET_K])
{
    mango_objective *f = NULL;
    mango_objective_options o;
    mango_err err = {""};
    mango_objective_defaults(&o);
    o.batch = B;
    if (!T_OK(mango_objective_create(&f, NULL, net, target, &o, NULL, &err), &err))
        return;
    T_OK(mango_objective_look(f, T_TARGET_K, rgb, y), NULL);
    mango_objective_destroy(f);
}

static double t_target_rate(const t_target_steps *s, mango_idx k, int c, int from, int to)
{
    double n = 0;
    for (int t = from; t <= to; t++)
        for (int i = 0; i < 16; i++)
            n += s->sn1[t][k][c][i];
    return (double)(float)(n / (16.0 * (to + 1 - from)));
}

static double t_target_latency(const t_target_steps *s, mango_idx k, int c, int from, int to)
{
    for (int t = 0; t < T_TARGET_T; t++)
        for (int i = from; i <= to; i++)
            if (s->sn2[t][k][c][i] > 0)
                return (double)((float)(T_TARGET_T - t) / T_TARGET_T);
    return 0.0;
}

/* The membrane of one neuron of layer1.0.sn1, simulated here from its current. */
static double t_target_membrane(const t_target_steps *s, mango_idx k, int c, int i, int from,
                                int to)
{
    double U = 0.0, S = 0.0, sum = 0.0;
    for (int t = 0; t < T_TARGET_T; t++) {
        U = 0.9 * U + (double)s->conv0[t][k][c][i] - S * 0.6;
        S = U > 0.6;
        sum += t >= from && t <= to ? U : 0.0;
    }
    return sum / (to + 1 - from);
}

/* What a target's value is, worked out from the steps. */
static double t_target_own(const t_target_steps *s, int which, mango_idx k)
{
    double sum = 0.0, most = 0.0;
    switch (which) {
    case 0: return t_target_rate(s, k, 0, 0, 7) - 0.5 * t_target_rate(s, k, 2, 0, 7);
    case 1: return t_target_rate(s, k, 1, 2, 5);
    case 2: return t_target_latency(s, k, 1, 0, 15);
    case 3: return t_target_latency(s, k, 2, 6, 6);
    case 4:
        for (int c = 0; c < 3; c++)
            sum += t_target_rate(s, k, c, 0, 7);
        return sum / 3;
    case 5:
        for (int c = 0; c < 3; c++)
            most = MGI_MAX(most, t_target_rate(s, k, c, 3, 3));
        return most;
    case 6: return t_target_membrane(s, k, 2, 9, 1, 4);
    case 7:
        for (int i = 0; i < 16; i++)
            sum += t_target_membrane(s, k, 0, i, 0, 7);
        return sum / 16;
    case 8: return s->out[7][k][3];
    case 9: return (s->out[0][k][1] + s->out[7][k][1] + 3.0) / 2.0 / 4.0;
    default:
        for (int t = 2; t < 5; t++)
            sum += s->fc[t][k][4];
        return sum / 3;
    }
}

static const struct { const char *text; double tol; } t_target_values[] = {
    {"layer1.0.sn1:0 - 0.5*layer1.0.sn1:2", 0},
    {"layer1.0.sn1:1[2..5]", 0},
    {"latency('sn-2':1)", 0},
    {"latency('sn-2':2:1:2)", 0},
    {"mean(layer1.0.sn1)", 1e-15},
    {"max(layer1.0.sn1[3..3])", 0},
    {"membrane(layer1.0.sn1:2:2:1[1..4])", 1e-5},
    {"membrane(layer1.0.sn1:0)", 1e-5},
    {"7:3[7..7]", 0},
    {"(7:1[0..0] + rate(7:1,7,7) + 3)/2/4", 0},
    {"fc:4[2..4]", 1e-6}};

/* Several at once, and in other batches, are what each is alone. */
static void t_target_many(const mango_net *net, const float *rgb)
{
    enum { N = MGI_COUNT(t_target_values) };
    mango_target t[N];
    mango_objective *f = NULL;
    mango_err err = {""};
    double y[T_TARGET_K * N], one[T_TARGET_K];
    for (int i = 0; i < N; i++)
        T_OK(mango_target_parse(t + i, net, t_target_values[i].text, &err), &err);
    T_OK_OR_RETURN(mango_objective_create_many(&f, NULL, net, N, t, NULL, NULL, &err), &err);
    T_OK(mango_objective_look(f, T_TARGET_K, rgb, y), NULL);
    for (int i = 0; i < N; i++) {
        t_target_look(net, t_target_values[i].text, 2, rgb, one);
        for (int k = 0; k < T_TARGET_K; k++)
            T_CHECK(one[k] == y[k * N + i]);
    }
    T_OK(mango_target_parse(t, net, "7:3", &err), &err); /* aimed at a unit, and back */
    T_OK(mango_objective_aim(f, 1, t, &err), &err);
    T_OK(mango_objective_look(f, T_TARGET_K, rgb, one), NULL);
    t_target_look(net, "7:3", 2, rgb, y);
    T_MEM(one, y, sizeof one);
    mango_objective_destroy(f);
    T_OK_OR_RETURN(mango_objective_create_many(&f, NULL, net, 1, t, NULL, NULL, &err), &err);
    T_OK(mango_target_parse(t, net, "latency(7:3)", &err), &err);
    T_OK(mango_objective_aim(f, 1, t, &err), &err); /* its plan had no slices */
    T_OK(mango_objective_look(f, T_TARGET_K, rgb, one), NULL);
    t_target_look(net, "latency(7:3)", 2, rgb, y);
    T_MEM(one, y, sizeof one);
    mango_objective_destroy(f);
}

static void t_target_value(void)
{
    mango_net *net = t_target_net(t_target_graph, 2.0);
    static t_target_steps s;
    float rgb[T_TARGET_K * T_TARGET_SIZE];
    double y[T_TARGET_K];
    int differ = 0;
    T_REQUIRE(net != NULL);
    t_target_pictures(rgb);
    T_STATUS(t_target_read(net, rgb, &s), MANGO_OK);
    for (int i = 0; i < (int)MGI_COUNT(t_target_values); i++) {
        t_target_look(net, t_target_values[i].text, 10, rgb, y);
        for (int k = 0; k < T_TARGET_K; k++)
            T_NEAR(y[k], t_target_own(&s, i, k), t_target_values[i].tol);
        differ += y[0] != y[1] || y[1] != y[2];
    }
    T_CHECK(differ >= 8); /* they tell pictures apart */
    t_target_many(net, rgb);
    mango_net_destroy(net);
}

/* Neurons of any rule: a layer that hands on its membrane tells what membrane() is, and a
 * threshold of each neuron is what ties go by. */
static void t_target_rules(void)
{
    static const char *const rule[] = {
        "beta=0.9 U_thr=0.6 reset=subtract reset_delay=1", "tau=2 U_thr=0.3 reset=zero",
        "beta=0.8 alpha=0.7 U_thr=0.5 reset=zero", "beta=0.8 U_thr=0.5 recurrent=one V=0.3"};
    float rgb[T_TARGET_K * T_TARGET_SIZE];
    t_target_pictures(rgb);
    for (mango_idx i = 0; i < MGI_COUNT(rule); i++) {
        double spikes[T_TARGET_K], membrane[T_TARGET_K], same[T_TARGET_K];
        for (int readout = 0; readout < 2; readout++) {
            char text[400];
            snprintf(text, sizeof text, "mango-graph 1\nnet arch=own T=8\n"
                     "input input - shape=2x4x4\nc conv input out=3 kernel=3 bias=1\n"
                     "s lif c %s%s\n", rule[i], readout ? " readout=membrane" : "");
            mango_net *net = t_target_net(text, 2.0);
            T_REQUIRE(net != NULL);
            t_target_look(net, "membrane(s:1[2..6])", 10, rgb, readout ? same : spikes);
            if (readout)
                t_target_look(net, "s:1[2..6]", 10, rgb, membrane);
            mango_net_destroy(net);
        }
        for (int k = 0; k < T_TARGET_K; k++) {
            T_NEAR(spikes[k], membrane[k], 1e-6);
            T_CHECK(same[k] == membrane[k]);
        }
        T_CHECK(spikes[0] != spikes[1]);
    }
}

/* class:k and logit:k agree; a vector by channel and by neuron. */
static void t_target_vectors(void)
{
    mango_net *net = t_target_net(t_target_graph, 2.0);
    static t_target_steps s;
    char text[2][1100], dir[2][1000];
    float rgb[T_TARGET_K * T_TARGET_SIZE], v[3 * 16];
    double y[T_TARGET_K], z[2 * T_TARGET_K];
    mango_err err = {""};
    mango_target t;
    const mango_idx shape[2][3] = {{3}, {3, 4, 4}};
    T_REQUIRE(net != NULL);
    t_target_pictures(rgb);
    T_STATUS(t_target_read(net, rgb, &s), MANGO_OK);
    for (int i = 0; i < 48; i++)
        v[i] = (float)(i % 7) - 2.5f;
    for (int which = 0; which < 2; which++) {
        snprintf(dir[which], sizeof dir[0], "%s", t_tmp(which ? "neurons.npy" : "channels.npy"));
        T_OK(mango_npy_write(dir[which], MANGO_NPY_F4, which ? 3 : 1, shape[which], v, &err), &err);
        snprintf(text[which], sizeof text[0], "layer1.0.sn1@\"%.900s\"", dir[which]);
        t_target_look(net, text[which], 10, rgb, y);
        for (int k = 0; k < T_TARGET_K; k++) {
            double own = 0.0;
            for (int i = 0; i < 48; i++)
                for (int step = 0; step < T_TARGET_T; step++)
                    own += (double)v[which ? i : i / 16] * s.sn1[step][k][i / 16][i % 16] /
                           (which ? 8.0 : 128.0);
            T_NEAR(y[k], own, 1e-6);
        }
    }
    T_OK(mango_target_parse(&t, net, text[0], &err), &err);
    T_CHECK(strlen(t.vectors) == 64 && t.text == text[0]);
    snprintf(text[0], sizeof text[0], "'sn-2'@'%s'", dir[0]);
    T_STATUS(mango_target_parse(&t, net, text[0], &err), MANGO_E_SHAPE);
    t_target_look(net, "class:2", 10, rgb, y);
    for (int c = 0; c < 5; c++) {
        snprintf(text[1], sizeof text[1], "logit:%d", c);
        t_target_look(net, text[1], 10, rgb, z + (c == 2 ? 0 : T_TARGET_K));
    }
    t_target_look(net, "7:2", 10, rgb, z + T_TARGET_K);
    T_MEM(z, z + T_TARGET_K, sizeof y);
    T_CHECK(y[0] > 0.0 && y[0] < 1.0);
    mango_net_destroy(net);
}

/* ---- derivatives ------------------------------------------------------------------- */

/* By finite differences of the derivative's own exact pictures. */
static void t_target_slope(const char *gen_text, const char *net_text, const char *target)
{
    mango_net *gen = t_target_net(gen_text, 1.0), *net = t_target_net(net_text, 1.0);
    mango_derivative *d = NULL;
    mango_err err = {""};
    float g[6], none[6];
    T_REQUIRE(gen && net);
    T_OK_OR_RETURN(mango_derivative_create(&d, gen, net, target, NULL, NULL, &err), &err);
    d->exact = 1;
    double y, side[2], size = 0.0;
    const float x[6] = {0.3f, -0.2f, 0.1f, 0.5f, -0.4f, 0.2f};
    memcpy(d->given, x, sizeof x);
    T_STATUS(mgi_derivative_at(d, 1, &y, g), MANGO_OK);
    for (int i = 0; i < 6; i++) {
        for (int up = 0; up < 2; up++) {
            memcpy(d->given, x, sizeof x);
            d->given[i] += up ? 1e-3f : -1e-3f;
            T_STATUS(mgi_derivative_at(d, 1, &side[up], none), MANGO_OK);
        }
        T_NEAR((side[1] - side[0]) / 2e-3, (double)g[i] * 63.0 / 8.0, 2e-2);
        size += fabs((double)g[i]) * 63.0 / 8.0;
    }
    T_CHECK(size > 0.2);
    mango_derivative_destroy(d);
    mango_net_destroy(gen), mango_net_destroy(net);
}

static void t_target_slopes(void)
{
    static const char net[] = "mango-graph 1\n"
                              "net arch=own\n"
                              "input input - shape=2x4x4\n"
                              "c0 conv input out=3 kernel=3 pad=1 bias=1\n"
                              "t0 tanh c0\n"
                              "c1 conv t0 out=4 kernel=3 pad=1 bias=1\n"
                              "t1 tanh c1\n"
                              "side conv t0 out=2 kernel=1 bias=1\n"
                              "fc linear t1 out=5 bias=1\n";
    static const char *const target[] = {
        "t0:1 - 0.5*t1:2", "fc:1 * t0:0 + class:2", "fc:3/(t1:0:1:1 + 3)",
        "max(fc) - min(t1:0, t1:3)", "mean(t0) + 2*t0:1:2:3 - mean(fc:0,fc:4)"};
    mango_derivative *d = NULL;
    mango_err err = {""};
    for (mango_idx i = 0; i < MGI_COUNT(target); i++)
        t_target_slope(t_target_gen, net, target[i]);
    mango_net *gen = t_target_net(t_target_gen, 1.0), *spikes = t_target_net(t_target_graph, 1.0),
              *plain = t_target_net(net, 1.0);
    T_REQUIRE(gen && spikes && plain);
    T_STATUS(mango_derivative_create(&d, gen, spikes, "latency(7:1)", NULL, NULL, &err),
             MANGO_E_UNSUPPORTED);
    T_CHECK(strstr(err.text, "latency") != NULL);
    T_STATUS(mango_derivative_create(&d, gen, plain, "side:1 + fc:0", NULL, NULL, &err),
             MANGO_E_UNSUPPORTED); /* neither leads to the other */
    T_OK(mango_derivative_create(&d, gen, spikes, "7:1[2..3] - layer1.0.sn1:0", NULL, NULL, &err),
         &err);
    float g[6];
    double y, size = 0.0;
    const mango_idx I[6] = {20, 30, 40, 50, 10, 60};
    T_STATUS(mango_derivative_eval(d, 1, I, &y, g), MANGO_OK);
    for (int i = 0; i < 6; i++)
        size += fabs((double)g[i]);
    T_CHECK(size > 0.0);
    mango_derivative_destroy(d);
    mango_net_destroy(gen), mango_net_destroy(spikes), mango_net_destroy(plain);
}

/* ---- searches ---------------------------------------------------------------------- */

static void t_target_options(mango_objective_options *oo, mango_session_options *so,
                             const char *opt)
{
    mango_objective_defaults(oo);
    T_STATUS(mango_session_defaults(opt, so, NULL), MANGO_OK);
    so->budget = 60;
    so->seed = 3;
    so->sync = 0;
}

/* Half a search, resumed, is the whole one; with another target or vector it is refused. */
static void t_target_resume(void)
{
    mango_net *gen = t_target_net(t_target_gen, 1.0), *net = t_target_net(t_target_graph, 2.0);
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s = NULL;
    mango_err err = {""};
    char text[1100], journal[1000], file[1000];
    float v[3] = {1.0f, -1.0f, 0.5f};
    const mango_idx shape[1] = {3};
    mango_idx whole[6], half[6];
    double a, b;
    T_REQUIRE(gen && net);
    snprintf(file, sizeof file, "%s", t_tmp("v.npy"));
    snprintf(journal, sizeof journal, "%s", t_tmp("target.jsonl"));
    T_OK(mango_npy_write(file, MANGO_NPY_F4, 1, shape, v, &err), &err);
    snprintf(text, sizeof text, "layer1.0.sn1@'%s' + latency(7:1) - 0.1*membrane('sn-2':1)", file);
    t_target_options(&oo, &so, "auto");
    T_OK_OR_RETURN(mango_search_create(&s, gen, net, text, &oo, &so, NULL, &err), &err);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    T_STATUS(mango_search_best(s, &a, whole, NULL), MANGO_OK);
    mango_search_destroy(s);
    so.journal = journal;
    so.budget = 30;
    T_OK_OR_RETURN(mango_search_create(&s, gen, net, text, &oo, &so, NULL, &err), &err);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    mango_search_destroy(s);
    so.budget = 60;
    so.resume = 1;
    T_STATUS(mango_search_create(&s, gen, net, "7:1", &oo, &so, NULL, &err), MANGO_E_STATE);
    v[2] = 0.25f;
    T_OK(mango_npy_write(file, MANGO_NPY_F4, 1, shape, v, &err), &err);
    T_STATUS(mango_search_create(&s, gen, net, text, &oo, &so, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "vectors") != NULL);
    v[2] = 0.5f;
    T_OK(mango_npy_write(file, MANGO_NPY_F4, 1, shape, v, &err), &err);
    T_OK_OR_RETURN(mango_search_create(&s, gen, net, text, &oo, &so, NULL, &err), &err);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    T_STATUS(mango_search_best(s, &b, half, NULL), MANGO_OK);
    T_CHECK(a == b);
    T_MEM(half, whole, sizeof half);
    mango_search_destroy(s);
    mango_net_destroy(gen), mango_net_destroy(net);
}

/* Early stop is for one unit; a gradient search takes what has a derivative. */
static void t_target_searches(void)
{
    mango_net *gen = t_target_net(t_target_gen, 1.0), *net = t_target_net(t_target_graph, 2.0);
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s = NULL;
    mango_err err = {""};
    T_REQUIRE(gen && net);
    t_target_options(&oo, &so, "tt-b");
    oo.elite = MANGO_ELITE_AUTO;
    T_STATUS(mango_search_create(&s, gen, net, "7:1 - 7:2", &oo, &so, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "early stop") != NULL);
    oo.elite = 0;
    T_STATUS(mango_search_create(&s, gen, net, "7:1[3..8]", &oo, &so, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "steps") != NULL);
    t_target_options(&oo, &so, "gradient");
    T_OK_OR_RETURN(mango_search_create(&s, gen, net, "7:1 - layer1.0.sn1:2", &oo, &so, NULL, &err),
                   &err);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    mango_search_destroy(s);
    T_STATUS(mango_search_create(&s, gen, net, "latency(7:1)", &oo, &so, NULL, &err),
             MANGO_E_UNSUPPORTED);
    mango_net_destroy(gen), mango_net_destroy(net);
}

/* Ties of a difference are the difference of ties. */
static void t_target_ties(void)
{
    static const char *const text[3] = {"7:1", "7:2", "7:1 - 2*7:2"};
    mango_net *gen = t_target_net(t_target_gen, 1.0), *net = t_target_net(t_target_graph, 2.0);
    mango_objective_options o;
    mango_err err = {""};
    const mango_idx I[12] = {20, 30, 40, 50, 10, 60, 33, 2, 9, 55, 31, 12};
    double tie[3][2], y[2];
    T_REQUIRE(gen && net);
    mango_objective_defaults(&o);
    o.ties = 1;
    for (int i = 0; i < 3; i++) {
        mango_objective *f = NULL;
        T_OK_OR_RETURN(mango_objective_create(&f, gen, net, text[i], &o, NULL, &err), &err);
        T_STATUS(mango_objective_eval(f, 2, I, y), MANGO_OK);
        T_STATUS(mango_objective_ties(f, 2, tie[i]), MANGO_OK);
        mango_objective_destroy(f);
    }
    for (int k = 0; k < 2; k++)
        T_NEAR(tie[2][k], tie[0][k] - 2.0 * tie[1][k], 1e-12);
    T_CHECK(tie[0][0] != tie[0][1]);
    mango_net_destroy(gen), mango_net_destroy(net);
}

/* ---- memory ------------------------------------------------------------------------ */

static mango_status t_target_make(void *ud, const mango_alloc *al)
{
    mango_objective *f;
    float rgb[T_TARGET_K * T_TARGET_SIZE];
    double y[T_TARGET_K];
    t_target_pictures(rgb);
    MGI_TRY(mango_objective_create(&f, NULL, ud, "latency('sn-2':1) + 7:1[1..2] - mean(7)", NULL,
                                   al, NULL));
    T_STATUS(mango_objective_look(f, T_TARGET_K, rgb, y), MANGO_OK);
    mango_objective_destroy(f);
    return MANGO_OK;
}

static mango_status t_target_derive(void *ud, const mango_alloc *al)
{
    mango_net **nets = ud;
    mango_derivative *d;
    MGI_TRY(mango_derivative_create(&d, nets[0], nets[1], "7:1 - layer1.0.sn1:0", NULL, al, NULL));
    mango_derivative_destroy(d);
    return MANGO_OK;
}

static void t_target_memory(void)
{
    mango_net *nets[2] = {t_target_net(t_target_gen, 1.0), t_target_net(t_target_graph, 1.0)};
    T_REQUIRE(nets[0] && nets[1]);
    T_CHECK(t_oom_sweep(t_target_make, nets[1]) > 10);
    T_CHECK(t_oom_sweep(t_target_derive, nets) > 10);
    mango_net_destroy(nets[0]), mango_net_destroy(nets[1]);
}

void t_target(void)
{
    T_CASE(t_target_grammar);
    T_CASE(t_target_any);
    T_CASE(t_target_value);
    T_CASE(t_target_rules);
    T_CASE(t_target_vectors);
    T_CASE(t_target_slopes);
    T_CASE(t_target_resume);
    T_CASE(t_target_searches);
    T_CASE(t_target_ties);
    T_CASE(t_target_memory);
}

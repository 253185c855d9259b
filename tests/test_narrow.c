/* test_narrow.c - packed weights in fewer bits: half precision, on request and
 * by itself where it changes nothing; weights given away to the plan that packs them.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_NARROW_B = 3, T_NARROW_T = 4 };

/* l1 has weights enough to be held as halves without being asked. */
static const char t_narrow_text[] = "mango-graph 1\n"
                                    "net arch=toy T=4\n"
                                    "input input - shape=4x9x9\n"
                                    "c1 conv input out=20 kernel=5 pad=2 bias=1\n"
                                    "s1 lif c1 preset=snntorch U_thr=0.3\n"
                                    "c2 conv s1 out=12 kernel=3 pad=1 bias=0\n"
                                    "s2 lif c2 preset=snntorch U_thr=0.2\n"
                                    "p avgpool s2 kernel=3 stride=3\n"
                                    "l1 linear p out=2500 bias=1\n"
                                    "l2 linear l1 out=5 bias=1\n";

/* The net; the weights of the layers that `round` names rounded to halves. */
static mango_net *t_narrow_net(const char *round)
{
    mango_net *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_parse(&net, t_narrow_text, (mango_idx)strlen(t_narrow_text), NULL, &err),
         &err);
    T_OK(mango_net_fill(net, 5, 1.5), NULL);
    for (int i = 0; i < net->n_params; i++) {
        const mgi_param *p = &net->param[i];
        uint16_t *h = calloc((size_t)p->count, sizeof *h);
        const char c[3] = {p->name[0], p->name[1], 0};
        if (strstr(round, c) && strstr(p->name, ".weight")) {
            mgi_halves(p->count, p->v, h);
            mgi_from_halves(p->count, h, p->v);
        }
        free(h);
    }
    return net;
}

/* Every step of a layer into y (calloc'ed); the plan's print into s when given. */
static float *t_narrow_read(const mango_net *net, const mango_plan_options *o,
                            const char *layer, mango_idx n, mgi_str *s)
{
    mango_idx at = 0;
    mango_err err = {""};
    mango_plan *p = NULL;
    float *y = calloc((size_t)(n * o->T * T_NARROW_B), sizeof *y);
    float *x = calloc((size_t)(T_NARROW_B * 4 * 81), sizeof *x);
    mango_fill_u("input", 9, T_NARROW_B * 4 * 81, x);
    T_OK(mango_net_find(net, layer, &at, &err), &err);
    const mango_reading r = {at, MANGO_READ_SPIKES, y};
    if (T_OK(mango_plan_create(&p, net, o, 1, &r, NULL, &err), &err))
        T_OK(mango_plan_run(p, T_NARROW_B, x), NULL);
    if (s && p)
        mgi_plan_describe(p, s);
    mango_plan_destroy(p);
    free(x);
    return y;
}

static mango_plan_options t_narrow_options(void)
{
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.T = T_NARROW_T;
    o.batch = T_NARROW_B;
    o.raw = 1;
    return o;
}

/* On request: as if the weights of all layers over values were rounded before. */
static void t_narrow_half(void)
{
    const mango_idx n = 5 * T_NARROW_T * T_NARROW_B;
    mango_net *a = t_narrow_net(""), *b = t_narrow_net("c1,l1,l2");
    mango_plan_options o = t_narrow_options();
    float *plain = t_narrow_read(a, &o, "l2", 5, NULL);
    float *want = t_narrow_read(b, &o, "l2", 5, NULL);
    o.half = 1;
    float *got = t_narrow_read(a, &o, "l2", 5, NULL);
    T_CHECK(!memcmp(want, got, (size_t)n * sizeof *got));
    T_CHECK(memcmp(plain, got, (size_t)n * sizeof *got));
    free(plain);
    free(want);
    free(got);
    mango_net_destroy(a);
    mango_net_destroy(b);
}

/* By itself: where the weights are halves, with the results of floats. */
static void t_narrow_exact(void)
{
    const mango_plan_options o = t_narrow_options();
    for (int half = 0; half < 2; half++) {
        mango_net *net = t_narrow_net(half ? "l1" : "");
        mgi_str s;
        mgi_str_init(&s, NULL);
        const mgi_conv c = {.C = 12, .H = 3, .W = 3, .O = 2500, .OH = 1, .OW = 1,
                            .kh = 3, .kw = 3, .sh = 1, .sw = 1};
        const mango_idx maps = T_NARROW_T * T_NARROW_B;
        float *x = t_narrow_read(net, &o, "p", 108, NULL), *in = calloc(108 * 12, sizeof *in);
        float *y = t_narrow_read(net, &o, "l1", 2500, &s);
        float *want = calloc((size_t)(2500 * maps), sizeof *want);
        mgi_to_nhwc(maps, 12, 9, x, in);
        mgi_conv_forward_ref(&c, maps, in, net->param[mgi_param_find(net, "l1.weight")].v,
                             net->param[mgi_param_find(net, "l1.bias")].v, want);
        T_CHECK(!memcmp(want, y, (size_t)(2500 * maps) * sizeof *y));
        T_CHECK((strstr(s.p, "l1 half") != NULL) == half && !strstr(s.p, "c1 half"));
        mgi_str_free(&s);
        free(x);
        free(in);
        free(y);
        free(want);
        mango_net_destroy(net);
    }
}

/* ---- nets that give their weights away --------------------------------------- */

/* The same results, and then no second plan, no saving, filling, training. */
static void t_narrow_give(void)
{
    mango_net *net = t_narrow_net("");
    mango_plan_options o = t_narrow_options();
    const mango_idx n = 5 * T_NARROW_T * T_NARROW_B;
    float *want = t_narrow_read(net, &o, "l2", 5, NULL), y[180];
    mango_net_give(net);
    mango_plan *p = NULL;
    const mango_reading r = {net->output, MANGO_READ_RATE, y};
    mango_err err = {""};
    o.memory = 64; /* refused before anything is taken */
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, &err), MANGO_E_MEM);
    o.memory = 0;
    float *got = t_narrow_read(net, &o, "l2", 5, NULL);
    T_CHECK(!memcmp(want, got, (size_t)n * sizeof *got));
    for (int i = 0; i < net->n_params; i++)
        T_EQ(net->param[i].v != NULL, strstr(net->param[i].name, ".bias") != NULL);
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "c1.weight") && strstr(err.text, "given away") && !p);
    T_CHECK(!mango_net_param(net, "l1.weight", NULL, NULL));
    T_CHECK(!mango_net_param(net, "c1.bias", NULL, NULL));
    T_STATUS(mango_net_fill(net, 1, 1.0), MANGO_E_STATE);
    T_STATUS(mango_train_init(net, MANGO_TRAIN_NET, 1, NULL), MANGO_E_STATE);
    T_STATUS(mango_net_save(net, "t_narrow.safetensors", "F32", &err), MANGO_E_STATE);
    T_CHECK(strstr(err.text, "c1.weight") && strstr(err.text, "given away"));
    T_CHECK(!fopen("t_narrow.safetensors", "rb"));
    free(want);
    free(got);
    mango_net_destroy(net);
}

/* A net that was opened: halves stay in the file, plans give the same bits, and then
 * it has given its weights away. */
static void t_narrow_open(void)
{
    static const char *const dtype[2] = {"F16", "F32"};
    for (int d = 0; d < 2; d++)
        for (int half = 0; half < 2; half++) {
            mango_net *made = t_narrow_net("l1"), *net[2] = {NULL, NULL};
            mango_plan_options o = t_narrow_options();
            const char *path = t_tmp("opened.safetensors");
            const mango_idx n = 5 * T_NARROW_T * T_NARROW_B;
            mango_err err = {""};
            float *y[2], one[180];
            mango_plan *p = NULL;
            o.half = half;
            T_OK(mango_net_save(made, path, dtype[d], &err), &err);
            T_OK_OR_RETURN(mango_net_load(&net[0], path, NULL, &err), &err);
            T_OK_OR_RETURN(mango_net_open(&net[1], path, NULL, &err), &err);
            for (int i = 0; i < made->n_params; i++) {
                const mgi_param *q = &net[1]->param[i];
                T_EQ(q->half != NULL, d == 0 && strstr(q->name, ".weight") != NULL);
                T_EQ(q->v != NULL, q->half == NULL);
            }
            T_CHECK(!mango_net_param(net[1], "c1.bias", NULL, NULL));
            T_STATUS(mango_net_save(net[1], t_tmp("not"), "F16", &err), d ? MANGO_OK : MANGO_E_STATE);
            T_STATUS(mango_net_fill(net[1], 1, 1.0), MANGO_E_STATE);
            for (int k = 0; k < 2; k++)
                y[k] = t_narrow_read(net[k], &o, "l2", 5, NULL);
            T_CHECK(!memcmp(y[0], y[1], (size_t)n * sizeof *y[0]));
            const mango_reading r = {net[1]->output, MANGO_READ_RATE, one};
            T_STATUS(mango_plan_create(&p, net[1], &o, 1, &r, NULL, &err), MANGO_E_STATE);
            T_CHECK(strstr(err.text, "given away") && !p);
            free(y[0]), free(y[1]);
            mango_net_destroy(made), mango_net_destroy(net[0]), mango_net_destroy(net[1]);
        }
}

/* A net that gives is not trained, whether a plan took its weights or not. */
static void t_narrow_give_train(void)
{
    static const char text[] = "mango-graph 1\nnet arch=toy\n"
                               "input input - shape=1x4x4\nf linear input out=2 bias=1\n";
    static const unsigned char pixel[8 * 16] = {1, 2, 3};
    const int label[8] = {0, 1, 1, 0, 0, 0, 1, 1};
    mango_data *data = NULL;
    mango_net *net = NULL;
    mango_train_options o;
    mango_trainer *t = NULL;
    mango_err err = {""};
    T_OK(mango_data_make(&data, "toy", 8, 1, 4, 4, 2, pixel, label, NULL, &err), &err);
    T_OK_OR_RETURN(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &err), &err);
    T_OK(mango_train_init(net, MANGO_TRAIN_NET, 1, NULL), NULL);
    T_OK(mango_train_defaults(MANGO_TRAIN_NET, net, &o, NULL), NULL);
    o.batch = 4;
    for (int take = 0; take < 3; take++) {
        T_STATUS(mango_trainer_create(&t, MANGO_TRAIN_NET, net, NULL, data, NULL, &o, NULL, &err),
                 take ? MANGO_E_STATE : MANGO_OK);
        mango_trainer_destroy(t);
        t = NULL;
        mango_net_give(net);
        float y[2];
        mango_plan *p = NULL;
        mango_plan_options po;
        mango_plan_defaults(&po);
        const mango_reading r = {net->output, MANGO_READ_MEAN, y};
        if (take == 1)
            T_OK(mango_plan_create(&p, net, &po, 1, &r, NULL, &err), &err);
        mango_plan_destroy(p);
    }
    mango_net_destroy(net);
    mango_data_destroy(data);
}

/* Plans made before go on, and so does the one that took: a codebook is read while it runs. */
static void t_narrow_give_plans(void)
{
    mango_net *net = NULL;
    mango_err err = {""};
    mango_idx vq = 0;
    float code[49], *y[3];
    mango_plan *p[3] = {NULL, NULL, NULL};
    T_OK_OR_RETURN(mango_net_zoo(&net, "vqvae,in=1x28x28,hidden=20,codes=32,dim=6", NULL, &err), &err);
    T_OK(mango_net_fill(net, 3, 1.0), NULL);
    T_OK(mango_net_find(net, "_vq_vae", &vq, &err), &err);
    for (int i = 0; i < 49; i++)
        code[i] = (float)(7 * i % 32);
    mango_plan_options o;
    mango_plan_defaults(&o);
    o.from = vq;
    for (int i = 0; i < 3; i++) {
        y[i] = calloc(784, sizeof *y[i]);
        const mango_reading r = {net->output, MANGO_READ_MEAN, y[i]};
        T_STATUS(mango_plan_create(&p[i], net, &o, 1, &r, NULL, &err),
                 i < 2 ? MANGO_OK : MANGO_E_STATE);
        mango_net_give(net);
    }
    T_CHECK(!net->param[mgi_param_find(net, "_encoder._conv_1.weight")].v); /* not run: gone, too */
    for (int i = 0; i < 2; i++)
        T_OK(mango_plan_run(p[i], 1, code), NULL);
    T_CHECK(!memcmp(y[0], y[1], 784 * sizeof *y[0]) && y[0][400] != y[0][401]);
    for (int i = 0; i < 3; i++) {
        mango_plan_destroy(p[i]);
        free(y[i]);
    }
    mango_net_destroy(net);
}

/* An objective: the same digests and values; no second one from nets that gave. */
static void t_narrow_give_objective(void)
{
    mango_objective_info info[2];
    mango_objective *o[2] = {NULL, NULL};
    mango_idx I[128];
    double y[2];
    char digest[2][2][65];
    mango_net *gen = NULL, *net = NULL;
    mango_err err = {""};
    T_OK(mango_net_zoo(&gen, "sngan,width=0.0625", NULL, &err), &err);
    T_OK(mango_net_zoo(&net, "snn_conv,width=0.1,T=5", NULL, &err), &err);
    T_REQUIRE(gen && net);
    T_OK(mango_net_fill(gen, 7, 2.0), NULL);
    T_OK(mango_net_fill(net, 7, 2.0), NULL);
    for (int i = 0; i < 128; i++)
        I[i] = i * 5 % 64;
    for (int i = 0; i < 2; i++) {
        T_OK_OR_RETURN(mango_objective_create(&o[i], gen, net, "spiking1:3", NULL, NULL, &err), &err);
        T_OK(mango_objective_eval(o[i], 1, I, y + i), NULL);
        mango_objective_get(o[i], info + i);
        memcpy(digest[i][0], info[i].gen, 65);
        memcpy(digest[i][1], info[i].net, 65);
        mango_net_give(gen);
        mango_net_give(net);
    }
    T_CHECK(y[0] == y[1] && y[0] > 0.0);
    T_CHECK(!memcmp(digest[0], digest[1], sizeof digest[0]));
    mango_objective_destroy(o[0]);
    T_STATUS(mango_objective_create(&o[0], gen, net, "spiking1:3", NULL, NULL, &err), MANGO_E_STATE);
    T_CHECK(!o[0] && strstr(err.text, "given away"));
    mango_objective_destroy(o[1]);
    mango_net_destroy(gen);
    mango_net_destroy(net);
}

/* Loaded or opened: the same digests, which journals name, and the same values. */
static void t_narrow_open_objective(void)
{
    mango_objective_info info[2];
    mango_objective *o[2] = {NULL, NULL};
    mango_net *made[2] = {NULL, NULL}, *n[2][2];
    mango_idx I[128];
    double y[2];
    const int threads = mango_threads();
    mango_err err = {""};
    T_OK(mango_net_zoo(&made[0], "sngan,width=0.0625", NULL, &err), &err);
    T_OK(mango_net_zoo(&made[1], "snn_conv,width=0.1,T=5", NULL, &err), &err);
    for (int i = 0; i < 128; i++)
        I[i] = i * 5 % 64;
    for (int i = 0; i < 2; i++) {
        T_OK(mango_net_fill(made[i], 7, 2.0), NULL);
        T_OK(mango_net_save(made[i], t_tmp(i ? "net.st" : "gen.st"), "F16", &err), &err);
        T_OK_OR_RETURN(mango_net_load(&n[0][i], t_tmp(i ? "net.st" : "gen.st"), NULL, &err), &err);
        T_OK_OR_RETURN(mango_net_open(&n[1][i], t_tmp(i ? "net.st" : "gen.st"), NULL, &err), &err);
    }
    for (int i = 0; i < 2; i++) {
        mango_set_threads(1 + 2 * i);
        T_OK_OR_RETURN(mango_objective_create(&o[i], n[i][0], n[i][1], "spiking1:3", NULL, NULL, &err),
                       &err);
        T_OK(mango_objective_eval(o[i], 1, I, y + i), NULL);
        mango_objective_get(o[i], info + i);
    }
    mango_set_threads(threads);
    T_CHECK(y[0] == y[1] && y[0] > 0.0);
    T_STR(info[1].gen, info[0].gen);
    T_STR(info[1].net, info[0].net);
    for (int i = 0; i < 2; i++) {
        mango_objective_destroy(o[i]);
        mango_net_destroy(n[i][0]), mango_net_destroy(n[i][1]), mango_net_destroy(made[i]);
    }
}

void t_narrow(void)
{
    T_CASE(t_narrow_half);
    T_CASE(t_narrow_exact);
    T_CASE(t_narrow_give);
    T_CASE(t_narrow_open);
    T_CASE(t_narrow_give_train);
    T_CASE(t_narrow_give_plans);
    T_CASE(t_narrow_give_objective);
    T_CASE(t_narrow_open_objective);
}

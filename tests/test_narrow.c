/* test_narrow.c - packed weights in fewer bits: half precision, on request and
 * by itself where it changes nothing.
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

void t_narrow(void)
{
    T_CASE(t_narrow_half);
    T_CASE(t_narrow_exact);
}

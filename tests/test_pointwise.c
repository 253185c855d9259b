/* test_pointwise.c - the operators on single values, the norms of one map, and those that
 * move values: both executors alike, gradients by differences, text, threads.
 * SPDX-License-Identifier: MIT */
#include "test.h"

#define T_POINTWISE_HEAD "mango-graph 1\nnet arch=t_pointwise\nin input - shape=4x4x6\n"

/* One line of each kind and mode behind `in` (4x4x6); `z` is the output. */
static const char *const t_pointwise_nodes[] = {
    "z leakyrelu in slope=0.2\n",
    "z elu in alpha=1.5\n",
    "z selu in\n",
    "z silu in\n",
    "z sigmoid in\n",
    "z hardtanh in lo=-0.4 hi=0.7\n",
    "z softplus in beta=2 threshold=3\n",
    "z hardsigmoid in\n",
    "z hardswish in\n",
    "z mish in\n",
    "z affine in scale=-1.5 shift=0.25\n",
    "z gelu in mode=tanh\n",
    "z prelu in\n",
    "z prelu in slope=channel\n",
    "z layernorm in\n",
    "z layernorm in dims=2\n",
    "z layernorm in dims=1 bias=0\n",
    "z layernorm in over=channels eps=1e-3\n",
    "z layernorm in weight=0\n",
    "z groupnorm in groups=2\n",
    "z groupnorm in groups=4 weight=0 bias=0\n",
    "z instancenorm in\n",
    "z instancenorm in weight=1 bias=1\n",
    "z pad in left=1 right=2 top=3 bottom=1 value=0.5\n",
    "z pad in left=4 right=3 top=3 bottom=2 mode=reflect\n",
    "z pad in left=5 right=1 top=7 mode=replicate\n",
    "z pad in left=6 right=2 bottom=4 mode=circular\n",
    "z crop in top=1 left=2 size=3x2\n",
    "z transpose in order=chw\n",
    "z transpose in order=cwh\n",
    "z transpose in order=hcw\n",
    "z transpose in order=hwc\n",
    "z transpose in order=wch\n",
    "z transpose in order=whc\n",
    "z flatten in order=chw\n",
    "z flatten in order=hwc\n",
    "z pixelshuffle in factor=2\n",
    "z pixelunshuffle in factor=2\n",
    "z slice in from=1 to=3\n",
    "a tanh in\nz sub in,a\n",
    "a tanh in\nz mul in,a\n",
    "a globalavg in\nb slice in to=1\nc tanh in\nz mul a,in,b,c\n",
    "a globalavg in\nb slice in to=1\nz sub a,b\n",
    "a globalavg in\nz add a,in\n",
    "a slice in to=1\nb globalavg a\nz add in,b,a,in\n",
    "a globalavg in\nb sigmoid a\nz mul in,b\n",
};

typedef struct t_pointwise_rig {
    mango_net *net;
    mgi_tape *tape;
    mgi_grads g;
    mango_idx nx, ny;
    float *x, *c, *dx; /* input, weights of the outputs in the loss, dL/dx */
} t_pointwise_rig;

static void t_pointwise_close(t_pointwise_rig *r)
{
    mgi_tape_free(r->tape);
    mgi_grads_free(&r->g);
    free(r->x);
    free(r->c);
    free(r->dx);
    mango_net_destroy(r->net);
}

static int t_pointwise_open(t_pointwise_rig *r, const char *text, mango_idx b, mango_idx T)
{
    mango_err e = {""};
    mgi_tape_options o;
    memset(r, 0, sizeof *r);
    if (!T_OK(mango_net_parse(&r->net, text, (mango_idx)strlen(text), NULL, &e), &e) ||
        !T_OK(mango_net_fill(r->net, 5, 1.0), NULL))
        return 0;
    mgi_tape_defaults(&o);
    o.B = b;
    o.T = T;
    o.input_grad = 1;
    if (!T_OK(mgi_tape_new(&r->tape, r->net, &o, NULL, &e), &e) ||
        !T_OK(mgi_grads_new(&r->g, r->net), NULL))
        return 0;
    mgi_tape_set_grads(r->tape, &r->g);
    const mgi_node *in = &r->net->node[r->net->input], *out = &r->net->node[r->net->output];
    r->nx = b * in->C * in->H * in->W;
    r->ny = (r->tape->timed[r->net->output] ? T : 1) * b * out->C * out->H * out->W;
    r->x = calloc((size_t)r->nx, sizeof(float));
    r->dx = calloc((size_t)r->nx, sizeof(float));
    r->c = calloc((size_t)r->ny, sizeof(float));
    if (!r->x || !r->c || !r->dx)
        return 0;
    mango_fill_u("input", 3, r->nx, r->x);
    mango_fill_u("loss", 3, r->ny, r->c);
    for (mango_idx i = 0; i < r->nx; i++)
        r->x[i] *= 2.5f;
    return 1;
}

static double t_pointwise_loss(t_pointwise_rig *r, mango_idx b)
{
    double s = 0;
    if (mgi_tape_forward(r->tape, b, r->x) < 0)
        return NAN;
    const float *y = mgi_tape_value(r->tape, -1, NULL);
    for (mango_idx i = 0; i < r->ny; i++)
        s += (double)y[i] * (double)r->c[i];
    return s;
}

static void t_pointwise_gradient(t_pointwise_rig *r, mango_idx b)
{
    t_pointwise_loss(r, b);
    mgi_grads_zero(&r->g);
    memcpy(mgi_tape_dout(r->tape), r->c, (size_t)r->ny * sizeof(float));
    mgi_tape_backward(r->tape);
    memcpy(r->dx, mgi_tape_input_grad(r->tape), (size_t)r->nx * sizeof(float));
}

/* Each of the n values of w on its own: no direction hides another. */
static void t_pointwise_differences(t_pointwise_rig *r, const char *what, const char *name,
                                    mango_idx b, mango_idx n, float *w, const float *g)
{
    const double eps = 1.0 / 256;
    int bad = 0;
    for (mango_idx i = 0; i < n; i++) {
        const float keep = w[i];
        double L[2];
        for (int k = 0; k < 2; k++) {
            w[i] = keep + (float)(k ? -eps : eps);
            L[k] = t_pointwise_loss(r, b);
        }
        w[i] = keep;
        const double want = (L[0] - L[1]) / (2 * eps), off = fabs(want - (double)g[i]);
        bad += !(off <= 4e-3 * (1 + fabs(want)));
    }
    if (!T_EQ(bad, 0))
        printf("  %d of %d values of %s, %s", bad, (int)n, name, what);
}

/* How far a value may be from a corner of the formula, so that differences are fair. */
static void t_pointwise_off_corners(t_pointwise_rig *r)
{
    static const double corner[] = {0, -0.4, 0.7, 1.5};
    for (mango_idx i = 0; i < r->nx; i++)
        for (mango_idx k = 0; k < MGI_COUNT(corner); k++)
            if (fabs((double)r->x[i] - corner[k]) < 0.01)
                r->x[i] += 0.02f;
}

static void t_pointwise_gradients(void)
{
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++) {
        t_pointwise_rig r;
        char text[400];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t_pointwise_nodes[i]);
        if (t_pointwise_open(&r, text, 2, 1)) {
            t_pointwise_off_corners(&r);
            t_pointwise_gradient(&r, 2);
            t_pointwise_differences(&r, t_pointwise_nodes[i], "the input", 2, r.nx, r.x, r.dx);
            for (int p = 0; p < r.net->n_params; p++)
                t_pointwise_differences(&r, t_pointwise_nodes[i], r.net->param[p].name, 2,
                                        r.net->param[p].count, r.net->param[p].v, r.g.of[p]);
        }
        t_pointwise_close(&r);
    }
}

/* Plan and tape give the same bits; y (2,C,H,W) of a plan for x (2,C,H,W). */
static void t_pointwise_plan_is(const char *text, const float *x, const float *want,
                                mango_idx n, const mango_net *net)
{
    float *y = calloc((size_t)n, sizeof *y);
    const mango_reading r = {net->output, MANGO_READ_MEAN, y};
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_err e = {""};
    mango_plan_defaults(&o);
    o.batch = 2;
    if (T_OK(mango_plan_create(&p, net, &o, 1, &r, NULL, &e), &e) &&
        T_OK(mango_plan_run(p, 2, x), NULL) &&
        !T_MEM(y, want, n * (mango_idx)sizeof *y))
        printf("  plan of %s", text);
    mango_plan_destroy(p);
    free(y);
}

static void t_pointwise_both(void)
{
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++) {
        t_pointwise_rig r;
        char text[400];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t_pointwise_nodes[i]);
        if (t_pointwise_open(&r, text, 2, 1)) {
            const mgi_node *in = &r.net->node[0], *out = &r.net->node[r.net->output];
            float *x = calloc((size_t)r.nx, sizeof *x), *y = calloc((size_t)r.ny, sizeof *y);
            t_pointwise_loss(&r, 2);
            mgi_to_nchw(2, in->C, in->H * in->W, r.x, x);
            mgi_to_nchw(2, out->C, out->H * out->W, mgi_tape_value(r.tape, -1, NULL), y);
            t_pointwise_plan_is(t_pointwise_nodes[i], x, y, r.ny, r.net);
            free(x);
            free(y);
        }
        t_pointwise_close(&r);
    }
}

/* Written and read again, each line is the same text. */
static void t_pointwise_text(void)
{
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++) {
        mango_net *a = NULL, *b = NULL;
        mango_err e = {""};
        char text[400], one[1000], two[1000];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t_pointwise_nodes[i]);
        if (T_OK(mango_net_parse(&a, text, (mango_idx)strlen(text), NULL, &e), &e) &&
            T_CHECK(mango_net_text(a, one, sizeof one) < (mango_idx)sizeof one) &&
            T_OK(mango_net_parse(&b, one, (mango_idx)strlen(one), NULL, &e), &e)) {
            mango_net_text(b, two, sizeof two);
            T_STR(two, one);
        }
        mango_net_destroy(a);
        mango_net_destroy(b);
    }
}

void t_pointwise(void)
{
    T_CASE(t_pointwise_both);
    T_CASE(t_pointwise_gradients);
    T_CASE(t_pointwise_text);
}

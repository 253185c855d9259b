/* test_gelu.c - the operator gelu: values of PyTorch, plan and tape, gradient, text.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* torch.nn.functional.gelu (exact) in double of x, and its derivative by autograd. */
enum { T_GELU_N = 26 };
static const struct {
    float x;
    double y, slope;
} t_gelu_golden[T_GELU_N] = {
    {-12.0f, 0, 0},
    {-6.0f, -5.91952587e-09, -3.54687095e-08},
    {-5.5f, -1.04442594e-07, -5.7334724e-07},
    {-4.25f, -4.54262345e-05, -0.00019211568},
    {-3.0f, -0.00404969409, -0.0119456472},
    {-2.2f, -0.0305875815, -0.0641406519},
    {-1.5f, -0.100210802, -0.127469192},
    {-1.0f, -0.158655254, -0.0833154706},
    {-0.751791f, -0.169971207, 2.2624421e-07},
    {-0.5f, -0.154268769, 0.132504875},
    {-0.125f, -0.0562827219, 0.400782064},
    {-0.001f, -0.000499601081, 0.499202116},
    {0.0f, 0, 0.5},
    {0.001f, 0.000500398966, 0.500797884},
    {0.125f, 0.0687172781, 0.599217936},
    {0.3f, 0.185373435, 0.732327776},
    {0.5f, 0.345731231, 0.867495125},
    {0.75f, 0.580029486, 0.999225722},
    {1.0f, 0.841344746, 1.08331547},
    {1.4142135f, 1.3029862, 1.12890415},
    {2.0f, 1.95449974, 1.0852318},
    {2.75f, 2.74180565, 1.02202753},
    {3.5f, 3.4991858, 1.00282176},
    {4.5f, 4.49998471, 1.00006853},
    {6.0f, 5.99999999, 1.00000004},
    {12.0f, 12, 1},
};

static mango_net *t_gelu_net(const char *text)
{
    mango_net *net = NULL;
    mango_err e = {""};
    if (T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &e), &e))
        T_OK(mango_net_fill(net, 5, 1.0), NULL);
    return net;
}

static void t_gelu_close(const float *got, int slope)
{
    for (int i = 0; i < T_GELU_N; i++) {
        const double want = slope ? t_gelu_golden[i].slope : t_gelu_golden[i].y;
        T_NEAR(got[i], want, 1e-7 * (fabs(want) + 1e-2));
    }
}

/* Both executors, and the derivative. */
static void t_gelu_values(void)
{
    float x[T_GELU_N], y[T_GELU_N];
    mango_net *net =
        t_gelu_net("mango-graph 1\nnet arch=t_gelu\nin input - shape=26\ng gelu in\n");
    const mango_reading r = {1, MANGO_READ_MEAN, y};
    mango_plan *p = NULL;
    mgi_tape *t = NULL;
    mgi_tape_options o;
    mango_plan_options po;
    mango_err e = {""};
    T_REQUIRE(net != NULL);
    T_OK(mango_plan_defaults(&po), NULL);
    for (int i = 0; i < T_GELU_N; i++)
        x[i] = t_gelu_golden[i].x;
    if (T_OK(mango_plan_create(&p, net, &po, 1, &r, NULL, &e), &e) &&
        T_OK(mango_plan_run(p, 1, x), NULL))
        t_gelu_close(y, 0);
    mgi_tape_defaults(&o);
    o.input_grad = 1;
    if (T_OK(mgi_tape_new(&t, net, &o, NULL, &e), &e) &&
        T_OK(mgi_tape_forward(t, 1, x), NULL)) {
        T_MEM(mgi_tape_value(t, -1, NULL), y, sizeof y);
        for (int i = 0; i < T_GELU_N; i++)
            mgi_tape_dout(t)[i] = 1;
        mgi_tape_backward(t);
        t_gelu_close(mgi_tape_input_grad(t), 1);
    }
    mgi_tape_free(t);
    mango_plan_destroy(p);
    mango_net_destroy(net);
}

/* It survives being written and read again. */
static void t_gelu_text(void)
{
    mango_net *a = t_gelu_net("mango-graph 1\nnet arch=t_gelu\nin input - shape=3x4x4\n"
                              "c conv in out=5 kernel=3 pad=1\ng gelu c\nf linear g out=2\n");
    char text[2000];
    T_REQUIRE(a != NULL);
    const mango_idx n = mango_net_text(a, text, (mango_idx)sizeof text);
    T_CHECK(n > 0 && n < (mango_idx)sizeof text && strstr(text, "\ng gelu c\n") != NULL);
    mango_net *b = t_gelu_net(text);
    T_CHECK(b && b->node[2].kind == MGI_GELU && b->node[2].C == 5 && b->node[2].W == 4);
    mango_net_destroy(a);
    mango_net_destroy(b);
}

/* Sum of all outputs; the tape holds gradients after it. */
static double t_gelu_loss(mgi_tape *t, const float *x, int back)
{
    double s = 0;
    mango_idx rows;
    mgi_tape_forward(t, 2, x);
    const float *y = mgi_tape_value(t, -1, &rows);
    for (mango_idx i = 0; i < 2 * rows; i++)
        s += (double)y[i];
    for (mango_idx i = 0; back && i < 2 * rows; i++)
        mgi_tape_dout(t)[i] = 1;
    if (back)
        mgi_tape_backward(t);
    return s;
}

/* Gradients of a small network in which its value is read twice, by differences. */
static void t_gelu_gradient(void)
{
    mango_net *net = t_gelu_net(
        "mango-graph 1\nnet arch=t_gelu\nin input - shape=2x4x4\n"
        "c conv in out=3 kernel=3 pad=1\ng gelu c\nd conv g out=3 kernel=3 pad=1\n"
        "h gelu d\na add h,g\nf linear a out=2\n");
    float x[64];
    mgi_tape *t = NULL;
    mgi_tape_options o;
    mgi_grads g;
    T_REQUIRE(net != NULL);
    memset(&g, 0, sizeof g);
    mango_fill_u("x", 4, 64, x);
    mgi_tape_defaults(&o);
    o.B = 2;
    if (T_OK(mgi_tape_new(&t, net, &o, NULL, NULL), NULL) &&
        T_OK(mgi_grads_new(&g, net), NULL)) {
        mgi_tape_set_grads(t, &g);
        t_gelu_loss(t, x, 1);
        for (int p = 0; p < net->n_params; p++) {
            float *w = net->param[p].v, keep = w[1];
            double L[2];
            for (int k = 0; k < 2; k++) {
                w[1] = keep + (k ? -4e-3f : 4e-3f);
                L[k] = t_gelu_loss(t, x, 0);
            }
            w[1] = keep;
            T_NEAR(g.of[p][1], (L[0] - L[1]) / 8e-3, 2e-3 * (1 + fabs((double)g.of[p][1])));
        }
    }
    mgi_grads_free(&g);
    mgi_tape_free(t);
    mango_net_destroy(net);
}

void t_gelu(void)
{
    T_CASE(t_gelu_values);
    T_CASE(t_gelu_text);
    T_CASE(t_gelu_gradient);
}

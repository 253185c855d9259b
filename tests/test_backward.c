/* test_backward.c - the tape: gradients of whole small networks.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* A network from its text, with parameters by the formula. */
static mango_net *t_backward_net(const char *text, double gain)
{
    mango_net *net = NULL;
    mango_err e;
    if (!T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &e), &e))
        return NULL;
    if (!T_OK(mango_net_fill(net, 5, gain), NULL)) {
        mango_net_destroy(net);
        return NULL;
    }
    return net;
}

typedef struct t_backward_rig {
    mango_net *net;
    mgi_tape *tape;
    mgi_grads g;
    float *x, *c, *dx; /* input, weights of the outputs in the loss, dL/dx */
    mango_idx b, nx, ny;
} t_backward_rig;

static void t_backward_close(t_backward_rig *r)
{
    mgi_tape_free(r->tape);
    mgi_grads_free(&r->g);
    free(r->x);
    free(r->c);
    free(r->dx);
    mango_net_destroy(r->net);
}

static int t_backward_open_for(t_backward_rig *r, const char *text, double gain, mango_idx b,
                               mango_idx T, mango_idx memory, int input_grad)
{
    mango_err e;
    mgi_tape_options o;
    memset(r, 0, sizeof *r);
    r->net = t_backward_net(text, gain);
    if (!r->net)
        return 0;
    mgi_tape_defaults(&o);
    o.B = b;
    o.T = T;
    o.input_grad = input_grad;
    o.memory = memory;
    if (!T_OK(mgi_tape_new(&r->tape, r->net, &o, NULL, &e), &e) ||
        !T_OK(mgi_grads_new(&r->g, r->net), NULL))
        return 0;
    mgi_tape_set_grads(r->tape, &r->g);
    const mgi_node *in = &r->net->node[r->net->input], *out = &r->net->node[r->net->output];
    r->b = b;
    r->nx = b * in->C * in->H * in->W;
    r->ny = (r->tape->timed[r->net->output] ? T : 1) * b * out->C * out->H * out->W;
    r->x = calloc((size_t)r->nx, sizeof(float));
    r->dx = calloc((size_t)r->nx, sizeof(float));
    r->c = calloc((size_t)r->ny, sizeof(float));
    if (!r->x || !r->c || !r->dx)
        return 0;
    mango_fill_u("input", 3, r->nx, r->x);
    mango_fill_u("loss", 3, r->ny, r->c);
    return 1;
}

static int t_backward_open(t_backward_rig *r, const char *text, double gain, mango_idx b,
                           mango_idx T, mango_idx memory)
{
    return t_backward_open_for(r, text, gain, b, T, memory, 1);
}

static double t_backward_loss(t_backward_rig *r)
{
    double s = 0;
    r->tape->frozen = 1;
    if (mgi_tape_forward(r->tape, r->b, r->x) < 0)
        return NAN;
    const float *y = mgi_tape_value(r->tape, -1, NULL);
    for (mango_idx i = 0; i < r->ny; i++)
        s += (double)y[i] * (double)r->c[i];
    return s;
}

static double t_backward_gradient(t_backward_rig *r)
{
    const double loss = t_backward_loss(r);
    mgi_grads_zero(&r->g);
    memcpy(mgi_tape_dout(r->tape), r->c, (size_t)r->ny * sizeof(float));
    mgi_tape_backward(r->tape);
    if (r->tape->o.input_grad)
        memcpy(r->dx, mgi_tape_input_grad(r->tape), (size_t)r->nx * sizeof(float));
    return loss;
}

/* Central difference along g (unit length) in the n values of w against |g|. */
static void t_backward_along(t_backward_rig *r, const char *name, mango_idx n, float *w,
                             const float *g, double eps, double tol)
{
    double norm = 0;
    float *keep = malloc((size_t)n * sizeof *keep), *d = malloc((size_t)n * sizeof *d);
    for (mango_idx i = 0; i < n; i++)
        norm += (double)g[i] * (double)g[i];
    norm = sqrt(norm);
    memcpy(keep, w, (size_t)n * sizeof *keep);
    for (mango_idx i = 0; i < n; i++)
        d[i] = norm > 0 ? (float)((double)g[i] / norm) : 0.0f;
    for (mango_idx i = 0; i < n; i++)
        w[i] = keep[i] + (float)eps * d[i];
    const double up = t_backward_loss(r);
    for (mango_idx i = 0; i < n; i++)
        w[i] = keep[i] - (float)eps * d[i];
    const double down = t_backward_loss(r);
    memcpy(w, keep, (size_t)n * sizeof *keep);
    free(keep);
    free(d);
    const double slope = (up - down) / (2 * eps);
    if (!t_near(slope, norm, tol * (norm + 1e-2), name, __FILE__, __LINE__))
        printf("  %s of %s: slope %g, gradient %g\n", name, r->net->arch, slope, norm);
}

static void t_backward_check(const char *text, double gain, mango_idx b, mango_idx T)
{
    t_backward_rig r;
    if (t_backward_open(&r, text, gain, b, T, 0)) {
        t_backward_gradient(&r);
        t_backward_along(&r, "input", r.nx, r.x, r.dx, 2e-3, 0.03);
        for (int p = 0; p < r.net->n_params; p++)
            if (r.g.of[p])
                t_backward_along(&r, r.net->param[p].name, r.net->param[p].count,
                                 r.net->param[p].v, r.g.of[p], 2e-3, 0.03);
    }
    t_backward_close(&r);
}

static const char t_backward_residual[] =
    "mango-graph 1\nnet arch=t_residual T=1\n"
    "in input - shape=3x8x8\n"
    "c1 conv in out=6 kernel=3 stride=1 pad=1 bias=0\n"
    "b1 batchnorm c1 eps=1e-5 momentum=0.1\n"
    "r1 relu b1\n"
    "c2 conv r1 out=6 kernel=3 stride=1 pad=1 bias=0\n"
    "b2 batchnorm c2 eps=1e-5 momentum=0.1\n"
    "a add b2,r1\n"
    "r2 relu a\n"
    "c3 conv r2 out=8 kernel=3 stride=2 pad=1 bias=1\n"
    "sc conv r2 out=8 kernel=1 stride=2 pad=0 bias=1\n"
    "a2 add c3,sc\n"
    "th tanh a2\n"
    "fc linear th out=3 bias=1\n";

static void t_backward_residual_net(void)
{
    t_backward_check(t_backward_residual, 1.0, 4, 1);
}


static void t_backward_pools(void)
{
    t_backward_check("mango-graph 1\nnet arch=t_pools\n"
                     "in input - shape=2x13x13\n"
                     "c1 conv in out=4 kernel=2 stride=1 pad=0 bias=1\n"
                     "m maxpool c1 kernel=3 stride=2 pad=1\n"
                     "v avgpool m kernel=2 stride=2 pad=0\n"
                     "u upsample v mode=bilinear\n"
                     "k concat m,u,m\n"
                     "w upsample k mode=nearest\n"
                     "a adaptiveavg w size=5x5\n"
                     "f linear a out=5 bias=1\n"
                     "s softmax f\n",
                     1.0, 2, 1);
}

static void t_backward_globals(void)
{
    t_backward_check("mango-graph 1\nnet arch=t_globals\n"
                     "in input - shape=12\n"
                     "l linear in out=32 bias=1\n"
                     "r reshape l shape=2x4x4\n"
                     "t convt r out=3 kernel=4 stride=2 pad=1 bias=1\n"
                     "b batchnorm t eps=1e-5 momentum=0.1\n"
                     "h tanh b\n"
                     "q reshape h shape=12x4x4\n"
                     "g globalavg q\n"
                     "s globalsum q\n"
                     "e add g,s\n"
                     "f linear e out=2 bias=0\n",
                     0.7, 3, 1);
}

/* The generator's gradient through the discriminator: dL/dx of one network is
 * dL/dy of the other. */
static void t_backward_chain(void)
{
    t_backward_rig g, d;
    const int ok = t_backward_open(&g,
                                   "mango-graph 1\nnet arch=t_gen\nin input - shape=6\n"
                                   "l linear in out=48 bias=1\nr reshape l shape=3x4x4\n"
                                   "b batchnorm r eps=1e-5 momentum=0.1\n"
                                   "u upsample b mode=bilinear\n"
                                   "c conv u out=3 kernel=3 stride=1 pad=1 bias=1\n"
                                   "h tanh c\n", 1.0, 4, 1, 0) &
                   t_backward_open(&d,
                                   "mango-graph 1\nnet arch=t_dsc\nin input - shape=3x8x8\n"
                                   "c conv in out=5 kernel=3 stride=1 pad=1 bias=1\n"
                                   "h tanh c\np avgpool h kernel=2 stride=2 pad=0\n"
                                   "s globalsum p\nl linear s out=1 bias=1\n", 1.0, 4, 1, 0);
    if (ok) {
        double L[2], norm = 0;
        const double eps = 1e-3;
        const mgi_param *w = &g.net->param[mgi_param_find(g.net, "c.weight")];
        float *dw = g.g.of[mgi_param_find(g.net, "c.weight")];
        t_backward_loss(&g);
        memcpy(d.x, mgi_tape_value(g.tape, -1, NULL), (size_t)d.nx * sizeof(float));
        t_backward_gradient(&d);
        memcpy(g.c, d.dx, (size_t)g.ny * sizeof(float));
        t_backward_gradient(&g);
        for (mango_idx i = 0; i < w->count; i++)
            norm += (double)dw[i] * (double)dw[i];
        norm = sqrt(norm);
        for (int k = 0; k < 2; k++) {
            for (mango_idx i = 0; i < w->count; i++)
                w->v[i] += (float)((k ? -2 : 1) * eps * (double)dw[i] / norm);
            t_backward_loss(&g);
            memcpy(d.x, mgi_tape_value(g.tape, -1, NULL), (size_t)d.nx * sizeof(float));
            L[k] = t_backward_loss(&d);
        }
        T_REL((L[0] - L[1]) / (2 * eps), norm, 0.02);
    }
    t_backward_close(&g);
    t_backward_close(&d);
}

/* Parameters whose node's input needs no gradient get the same bits as with one,
 * and not only zeros: each kind that has parameters, first or behind others without. */
static void t_backward_no_input_grad(void)
{
    static const char *const first[] = {
        "n batchnorm in eps=1e-5 momentum=0.1\n",
        "l lif in preset=snntorch\nn batchnorm l eps=1e-5 momentum=0.1\n",
        "h tanh in\nn batchnorm h eps=1e-5 momentum=0.1\na add n,h\n",
        "n conv in out=5 kernel=3 stride=1 pad=1 bias=1\n",
        "n convt in out=5 kernel=4 stride=2 pad=1 bias=1\n",
        "n linear in out=5 bias=1\n",
        "p maxpool in kernel=2 stride=2 pad=0\nn linear p out=5 bias=1\n",
        "n conv in out=4 kernel=3 stride=1 pad=1 bias=0 sn=1\n"};
    for (mango_idx k = 0; k < MGI_COUNT(first); k++) {
        t_backward_rig with, none;
        char text[400];
        const char *last = strstr(first[k], "a add") ? "a" : "n";
        snprintf(text, sizeof text,
                 "mango-graph 1\nnet arch=t_first\nin input - shape=3x6x6\n%s"
                 "z linear %s out=2 bias=1\n", first[k], last);
        if (t_backward_open_for(&with, text, 2.0, 3, 3, 0, 1) &
            t_backward_open_for(&none, text, 2.0, 3, 3, 0, 0)) {
            double norm = 0;
            const int p = mgi_param_find(with.net, "n.weight");
            t_backward_gradient(&with);
            t_backward_gradient(&none);
            for (mango_idx i = 0; i < none.net->param[p].count; i++)
                norm += fabs((double)none.g.of[p][i]);
            if (!T_CHECK(norm > 0))
                printf("  no gradient in %s", first[k]);
            T_MEM(none.g.flat, with.g.flat, with.g.n * (mango_idx)sizeof(float));
        }
        t_backward_close(&with);
        t_backward_close(&none);
    }
}

/* ---- spiking -------------------------------------------------------------- */

enum { T_BK_T = 5, T_BK_B = 3 };

/* One layer of neurons over time, in double, by the definition. */
typedef struct t_backward_layer {
    double X[T_BK_T][16], U[T_BK_T][16], S[T_BK_T][16], dS[T_BK_T][16], dX[T_BK_T][16];
} t_backward_layer;

static void t_backward_lif_forward(const mango_lif *r, int n, t_backward_layer *L)
{
    for (int t = 0; t < T_BK_T; t++)
        for (int i = 0; i < n; i++) {
            const double U = t ? L->U[t - 1][i] : 0, S = t ? L->S[t - 1][i] : 0;
            L->U[t][i] = (double)r->beta * U + L->X[t][i] - S * (double)r->U_thr;
            L->S[t][i] = L->U[t][i] > (double)r->U_thr;
        }
}

static void t_backward_lif_reverse(const mango_lif *r, int n, t_backward_layer *L)
{
    for (int i = 0; i < n; i++) {
        double dU = 0; /* dL/dU[t], the reset detached */
        for (int t = T_BK_T - 1; t >= 0; t--) {
            const double k = 1 + (double)r->slope * fabs(L->U[t][i] - (double)r->U_thr);
            dU = dU * (double)r->beta + L->dS[t][i] / (k * k);
            L->dX[t][i] = dU;
        }
    }
}

static void t_backward_dense(const mango_net *net, const char *name, int n, int m,
                             const double *x, double *y)
{
    char key[64];
    snprintf(key, sizeof key, "%s.weight", name);
    const float *w = net->param[mgi_param_find(net, key)].v;
    snprintf(key, sizeof key, "%s.bias", name);
    const float *b = net->param[mgi_param_find(net, key)].v;
    for (int o = 0; o < m; o++) {
        y[o] = (double)b[o];
        for (int i = 0; i < n; i++)
            y[o] += (double)w[o * n + i] * x[i];
    }
}

static void t_backward_dense_reverse(const mango_net *net, const char *name, int n, int m,
                                     const double *x, const double *dy, double *dx, double *dw)
{
    char key[64];
    snprintf(key, sizeof key, "%s.weight", name);
    const float *w = net->param[mgi_param_find(net, key)].v;
    for (int i = 0; i < n; i++) {
        dx[i] = 0;
        for (int o = 0; o < m; o++) {
            dx[i] += dy[o] * (double)w[o * n + i];
            dw[o * n + i] += dy[o] * x[i];
        }
    }
}

/* l1 (static) -> s1 -> l2 -> s2 -> l3 for one input; adds dL/dW. */
static void t_backward_oracle(const t_backward_rig *r, int b, double *dw1, double *dw2,
                              double *dw3)
{
    static t_backward_layer s1, s2;
    const mango_lif *rule = &r->net->node[mgi_net_find(r->net, "s1")].lif;
    double x[7], y[16], dx[16], sum[16] = {0};
    for (int i = 0; i < 7; i++)
        x[i] = (double)r->x[b * 7 + i];
    for (int t = 0; t < T_BK_T; t++)
        t_backward_dense(r->net, "l1", 7, 9, x, s1.X[t]);
    t_backward_lif_forward(rule, 9, &s1);
    for (int t = 0; t < T_BK_T; t++)
        t_backward_dense(r->net, "l2", 9, 8, s1.S[t], s2.X[t]);
    t_backward_lif_forward(rule, 8, &s2);
    for (int t = 0; t < T_BK_T; t++) {
        for (int o = 0; o < 3; o++)
            y[o] = (double)r->c[(t * T_BK_B + b) * 3 + o];
        t_backward_dense_reverse(r->net, "l3", 8, 3, s2.S[t], y, s2.dS[t], dw3);
    }
    t_backward_lif_reverse(rule, 8, &s2);
    for (int t = 0; t < T_BK_T; t++)
        t_backward_dense_reverse(r->net, "l2", 9, 8, s1.S[t], s2.dX[t], s1.dS[t], dw2);
    t_backward_lif_reverse(rule, 9, &s1);
    for (int t = 0; t < T_BK_T; t++)
        for (int o = 0; o < 9; o++)
            sum[o] += s1.dX[t][o];
    t_backward_dense_reverse(r->net, "l1", 7, 9, x, sum, dx, dw1);
}

static void t_backward_same(const t_backward_rig *r, const char *name, const double *want)
{
    const int p = mgi_param_find(r->net, name);
    const mango_idx n = r->net->param[p].count;
    float *w = malloc((size_t)n * sizeof *w);
    for (mango_idx i = 0; i < n; i++)
        w[i] = (float)want[i];
    T_CLOSE(r->g.of[p], w, n, 1e-4);
    free(w);
}

static void t_backward_through_time(void)
{
    t_backward_rig r;
    double dw1[63] = {0}, dw2[72] = {0}, dw3[24] = {0};
    if (t_backward_open(&r,
                        "mango-graph 1\nnet arch=t_spiking T=5\nin input - shape=7\n"
                        "l1 linear in out=9 bias=1\ns1 lif l1 preset=snntorch slope=3\n"
                        "l2 linear s1 out=8 bias=1\ns2 lif l2 preset=snntorch slope=3\n"
                        "l3 linear s2 out=3 bias=1\n",
                        1.5, T_BK_B, T_BK_T, 0)) {
        double spikes = 0;
        t_backward_gradient(&r);
        for (int b = 0; b < T_BK_B; b++)
            t_backward_oracle(&r, b, dw1, dw2, dw3);
        t_backward_same(&r, "l1.weight", dw1);
        t_backward_same(&r, "l2.weight", dw2);
        t_backward_same(&r, "l3.weight", dw3);
        for (int i = 0; i < 24; i++)
            spikes += fabs(dw3[i]);
        T_CHECK(spikes > 0);
    }
    t_backward_close(&r);
}

/* A static branch that joins a timed one gets its gradient summed over T: the
 * last layers are linear in it, so differences hold. */
static void t_backward_static_branch(void)
{
    t_backward_rig r;
    if (t_backward_open(&r,
                        "mango-graph 1\nnet arch=t_branch T=4\nin input - shape=5\n"
                        "l1 linear in out=6 bias=1\ns1 lif l1 preset=snntorch\n"
                        "st linear in out=6 bias=1\nh tanh st\n"
                        "a add s1,h\nk concat h,a\nl3 linear k out=3 bias=1\n",
                        1.5, 3, 4, 0)) {
        const int p = mgi_param_find(r.net, "st.weight");
        t_backward_gradient(&r);
        t_backward_along(&r, "st.weight", 30, r.net->param[p].v, r.g.of[p], 1e-3, 0.02);
    }
    t_backward_close(&r);
}

/* ---- memory ---------------------------------------------------------------- */

static const char t_backward_deep[] =
    "mango-graph 1\nnet arch=t_deep T=3\nin input - shape=3x12x12\n"
    "c0 conv in out=8 kernel=3 stride=1 pad=1 bias=0\nb0 batchnorm c0 eps=1e-5 momentum=0.1\n"
    "s0 lif b0 preset=spikingjelly\n"
    "c1 conv s0 out=8 kernel=3 stride=1 pad=1 bias=0\nb1 batchnorm c1 eps=1e-5 momentum=0.1\n"
    "s1 lif b1 preset=spikingjelly\n"
    "c2 conv s1 out=8 kernel=3 stride=1 pad=1 bias=0\nb2 batchnorm c2 eps=1e-5 momentum=0.1\n"
    "a2 add b2,s0\ns2 lif a2 preset=spikingjelly\n"
    "c3 conv s2 out=8 kernel=3 stride=1 pad=1 bias=0\nb3 batchnorm c3 eps=1e-5 momentum=0.1\n"
    "r3 relu b3\nc4 conv r3 out=8 kernel=3 stride=1 pad=1 bias=0\n"
    "b4 batchnorm c4 eps=1e-5 momentum=0.1\na4 add b4,r3\ns4 lif a4 preset=spikingjelly\n"
    "g globalavg s4\nf linear g out=4 bias=1\n";

static void t_backward_recompute(void)
{
    t_backward_rig whole, parts;
    mango_idx bytes, most = 1;
    memset(&parts, 0, sizeof parts);
    if (!t_backward_open(&whole, t_backward_deep, 2.0, 4, 3, 0)) {
        t_backward_close(&whole);
        return;
    }
    bytes = mgi_tape_bytes(whole.tape);
    t_backward_gradient(&whole);
    for (mango_idx cap = bytes - 64; cap > bytes / 2; cap -= bytes / 16) {
        mgi_tape *t = NULL;
        mgi_tape_options o = whole.tape->o;
        o.memory = cap;
        if (mgi_tape_new(&t, whole.net, &o, NULL, NULL) < 0)
            break;
        T_CHECK(mgi_tape_bytes(t) <= cap && t->segments > 1);
        mgi_tape_free(t);
        most = cap;
    }
    T_CHECK(most > 1);
    if (most > 1 && t_backward_open(&parts, t_backward_deep, 2.0, 4, 3, most)) {
        t_backward_gradient(&parts);
        T_MEM(parts.g.flat, whole.g.flat, whole.g.n * (mango_idx)sizeof(float));
        T_MEM(parts.dx, whole.dx, whole.nx * (mango_idx)sizeof(float));
    }
    if (parts.net)
        t_backward_close(&parts);
    t_backward_close(&whole);
}

static void t_backward_cap(void)
{
    t_backward_rig r;
    mango_err e;
    mgi_tape *t = NULL;
    if (t_backward_open(&r, t_backward_deep, 2.0, 4, 3, 0)) {
        mgi_tape_options o = r.tape->o;
        o.memory = 1000;
        T_STATUS(mgi_tape_new(&t, r.net, &o, NULL, &e), MANGO_E_MEM);
        T_CHECK(strstr(e.text, "MiB") != NULL && t == NULL);
    }
    t_backward_close(&r);
}

/* The same bits with 1 and 2 threads, and for a smaller batch than planned. */
static void t_backward_threads(void)
{
    t_backward_rig r;
    const int before = mango_threads();
    if (t_backward_open(&r, t_backward_deep, 2.0, 4, 3, 0)) {
        float *g = malloc((size_t)r.g.n * sizeof *g);
        mango_set_threads(1);
        t_backward_gradient(&r);
        memcpy(g, r.g.flat, (size_t)r.g.n * sizeof *g);
        mango_set_threads(2);
        t_backward_gradient(&r);
        T_MEM(r.g.flat, g, r.g.n * (mango_idx)sizeof(float));
        free(g);
    }
    mango_set_threads(before);
    t_backward_close(&r);
}

/* ---- batch-norm and VQ ------------------------------------------------------- */

static void t_backward_statistics(void)
{
    t_backward_rig r;
    if (t_backward_open(&r, t_backward_residual, 1.0, 4, 1, 0)) {
        float *mean = r.net->param[mgi_param_find(r.net, "b1.running_mean")].v;
        const float old = mean[0];
        t_backward_loss(&r);
        T_CHECK(mean[0] == old); /* frozen */
        r.tape->frozen = 0;
        mgi_tape_forward(r.tape, 4, r.x);
        T_CHECK(mean[0] != old);
        const float once = mean[0];
        mgi_tape_backward(r.tape);
        T_CHECK(mean[0] == once);
    }
    t_backward_close(&r);
}

/* Straight through: dL/dz is dL/dq plus the commitment's pull. */
static void t_backward_vq(void)
{
    t_backward_rig r;
    if (t_backward_open(&r,
                        "mango-graph 1\nnet arch=t_vq\nin input - shape=4x3x3\n"
                        "q vq in codes=7\n",
                        1.0, 2, 1, 0)) {
        r.tape->commit = 0.5;
        t_backward_gradient(&r);
        const float *E = r.net->param[r.net->node[1].weight].v;
        const float *y = mgi_tape_value(r.tape, -1, NULL);
        for (mango_idx i = 0; i < 18; i++) {
            const float *z = r.x + i * 4;
            double best = 1e30, d;
            int at = 0;
            for (int k = 0; k < 7; k++) {
                d = 0;
                for (int c = 0; c < 4; c++)
                    d += ((double)z[c] - (double)E[k * 4 + c]) *
                         ((double)z[c] - (double)E[k * 4 + c]);
                if (d < best) {
                    best = d;
                    at = k;
                }
            }
            T_EQ(r.tape->codes[i], at);
            T_MEM(y + i * 4, E + at * 4, 4 * sizeof(float));
            for (int c = 0; c < 4; c++)
                T_NEAR(r.dx[i * 4 + c], r.c[i * 4 + c] + 0.5f * (z[c] - E[at * 4 + c]), 1e-6);
        }
    }
    t_backward_close(&r);
}

/* A layer whose output is not finite is named. */
static void t_backward_names_layer(void)
{
    t_backward_rig r;
    if (t_backward_open(&r, t_backward_residual, 1.0, 4, 1, 0)) {
        r.net->param[mgi_param_find(r.net, "c2.weight")].v[3] = NAN;
        r.tape->check = 1;
        T_STATUS(mgi_tape_forward(r.tape, 4, r.x), MANGO_E_NONFINITE);
        T_STR(r.net->node[r.tape->bad].name, "c2");
    }
    t_backward_close(&r);
}

static mango_status t_backward_oom(void *ud, const mango_alloc *al)
{
    mgi_tape *t = NULL;
    mgi_tape_options o;
    mgi_tape_defaults(&o);
    o.B = 2;
    const mango_status st = mgi_tape_new(&t, ud, &o, al, NULL);
    mgi_tape_free(t);
    return st;
}

static void t_backward_no_memory(void)
{
    mango_net *net = t_backward_net(t_backward_residual, 1.0);
    T_REQUIRE(net != NULL);
    T_CHECK(t_oom_sweep(t_backward_oom, net) > 10);
    mango_net_destroy(net);
}

void t_backward(void)
{
    T_CASE(t_backward_residual_net);
    T_CASE(t_backward_pools);
    T_CASE(t_backward_globals);
    T_CASE(t_backward_chain);
    T_CASE(t_backward_no_input_grad);
    T_CASE(t_backward_through_time);
    T_CASE(t_backward_static_branch);
    T_CASE(t_backward_recompute);
    T_CASE(t_backward_cap);
    T_CASE(t_backward_threads);
    T_CASE(t_backward_statistics);
    T_CASE(t_backward_vq);
    T_CASE(t_backward_names_layer);
    T_CASE(t_backward_no_memory);
}

/* test_optim.c - schedules, optimizers, clipping and losses.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static mango_net *t_optim_parse(const char *text, mango_train_kind kind)
{
    mango_net *n = NULL;
    mango_err e;
    if (T_OK(mango_net_parse(&n, text, (mango_idx)strlen(text), NULL, &e), &e))
        T_OK(mango_train_init(n, kind, 3, NULL), NULL);
    return n;
}

static void t_optim_schedules(void)
{
    mango_train_options o;
    T_OK(mango_train_defaults(MANGO_TRAIN_VQVAE, NULL, &o, NULL), NULL);
    o.lr = 2;
    o.warmup = 1;
    o.schedule = MANGO_LR_COSINE;
    T_NEAR(mgi_optim_lr(&o, 0, 10, 110), 2.0 / 11, 1e-12);
    T_NEAR(mgi_optim_lr(&o, 10, 10, 110), 2, 1e-12);
    T_NEAR(mgi_optim_lr(&o, 60, 10, 110), 1, 1e-12);
    T_CHECK(mgi_optim_lr(&o, 109, 10, 110) < 0.001);
    o.schedule = MANGO_LR_LINEAR;
    T_NEAR(mgi_optim_lr(&o, 60, 10, 110), 1, 1e-12);
    o.schedule = MANGO_LR_STEP;
    o.warmup = 0;
    o.lr_every = 2;
    T_NEAR(mgi_optim_lr(&o, 19, 10, 110), 2, 1e-12);
    T_NEAR(mgi_optim_lr(&o, 45, 10, 110), 0.02, 1e-12);
}

/* One parameter matrix and one bias under each rule, against the equations. */
static void t_optim_rule(mango_optimizer kind)
{
    static const char text[] =
        "mango-graph 1\nnet arch=t\nin input - shape=2\nf linear in out=2 bias=1\n";
    mango_net *net = t_optim_parse(text, MANGO_TRAIN_NET);
    mango_train_options o;
    mgi_optim p;
    T_REQUIRE(net != NULL);
    T_OK(mango_train_defaults(MANGO_TRAIN_VQVAE, net, &o, NULL), NULL);
    o.optimizer = kind;
    o.weight_decay = 0.1;
    o.clip = 0;
    T_REQUIRE(mgi_optim_new(&p, net, &o) == MANGO_OK);
    double w[2] = {(double)net->param[0].v[0], (double)net->param[1].v[0]}, m[2] = {0, 0},
           v[2] = {0, 0};
    for (int k = 1; k <= 3; k++) {
        for (mango_idx i = 0; i < p.g.n; i++)
            p.g.flat[i] = (float)(0.3 * k);
        T_STATUS(mgi_optim_step(&p, &o, 0.01), MANGO_OK);
        for (int q = 0; q < 2; q++) {
            const double wd = q == 0 ? 0.1 : 0; /* not on the bias */
            double g = 0.3 * k + (kind == MANGO_ADAMW ? 0 : wd * w[q]);
            if (kind == MANGO_SGD) {
                m[q] = 0.9 * m[q] + g;
                w[q] -= 0.01 * (g + 0.9 * m[q]);
                continue;
            }
            m[q] = 0.9 * m[q] + 0.1 * g;
            v[q] = 0.999 * v[q] + 0.001 * g * g;
            if (kind == MANGO_ADAMW)
                w[q] -= 0.01 * wd * w[q];
            w[q] -= 0.01 * m[q] / (1 - pow(0.9, k)) / (sqrt(v[q] / (1 - pow(0.999, k))) + 1e-8);
        }
        T_NEAR(net->param[0].v[0], w[0], 1e-6);
        T_NEAR(net->param[1].v[0], w[1], 1e-6);
    }
    mgi_optim_free(&p);
    mango_net_destroy(net);
}

static void t_optim_optimizers(void)
{
    t_optim_rule(MANGO_SGD);
    t_optim_rule(MANGO_ADAM);
    t_optim_rule(MANGO_ADAMW);
}

static void t_optim_clipping(void)
{
    static const char text[] =
        "mango-graph 1\nnet arch=t\nin input - shape=2\nf linear in out=2 bias=0\n";
    mango_net *net = t_optim_parse(text, MANGO_TRAIN_NET);
    mango_train_options o;
    mgi_optim p;
    T_REQUIRE(net != NULL);
    T_OK(mango_train_defaults(MANGO_TRAIN_VQVAE, net, &o, NULL), NULL);
    o.optimizer = MANGO_SGD;
    o.momentum = 0;
    o.nesterov = 0;
    o.clip = 1;
    T_REQUIRE(mgi_optim_new(&p, net, &o) == MANGO_OK);
    const float w = net->param[0].v[0];
    for (mango_idx i = 0; i < 4; i++)
        p.g.flat[i] = 5;
    T_STATUS(mgi_optim_step(&p, &o, 1), MANGO_OK);
    T_NEAR(p.norm, 10, 1e-9);
    T_NEAR(w - net->param[0].v[0], 0.5, 1e-6);
    mgi_optim_free(&p);
    mango_net_destroy(net);
}

/* Cross-entropy over time, smoothed and mixed: value and differences. */
static void t_optim_cross_entropy(void)
{
    enum { T = 2, R = 3, C = 4 };
    float v[T * R * C], dv[T * R * C];
    double work[2 * C];
    const int a[R] = {1, 3, 0}, b[R] = {2, 1, 0};
    const mgi_labels l = {a, b, 0.7, 0.1};
    mango_idx hits = 0;
    mango_fill_u("v", 1, T * R * C, v);
    mgi_loss_classes(T, R, C, 3, v, &l, dv, &hits, work);
    for (int i = 0; i < T * R * C; i++) {
        const float keep = v[i];
        v[i] = keep + 1e-2f;
        const double up = mgi_loss_classes(T, R, C, 3, v, &l, NULL, &hits, work);
        v[i] = keep - 1e-2f;
        const double down = mgi_loss_classes(T, R, C, 3, v, &l, NULL, &hits, work);
        v[i] = keep;
        T_NEAR(dv[i], (up - down) / 2e-2, 1e-3);
    }
    const float z[2] = {0, 0};
    const int zero[1] = {0};
    const mgi_labels plain = {zero, NULL, 1, 0};
    T_NEAR(mgi_loss_classes(1, 1, 2, 1, z, &plain, NULL, &hits, work), log(2), 1e-12);
}

/* The teacher's share: divergence by the formula, differences over time, and
 * nothing to learn from a teacher that says the same. */
static void t_optim_teacher(void)
{
    enum { T = 2, R = 3, C = 4, U = 3 };
    const double a = 0.3, tau = 2.5;
    float v[T * R * C], u[U * R * C], dv[T * R * C], none[T * R * C];
    double work[4 * C];
    mango_fill_u("v", 1, T * R * C, v);
    mango_fill_u("u", 1, U * R * C, u);
    for (int i = 0; i < T * R * C; i++)
        dv[i] = 1;
    mgi_loss_teacher(T, R, C, 3, v, U, u, a, tau, dv, work);
    for (int i = 0; i < T * R * C; i++) {
        const float keep = v[i];
        v[i] = keep + 1e-2f;
        const double up = mgi_loss_teacher(T, R, C, 3, v, U, u, a, tau, none, work);
        v[i] = keep - 1e-2f;
        const double down = mgi_loss_teacher(T, R, C, 3, v, U, u, a, tau, none, work);
        v[i] = keep;
        T_NEAR(dv[i], (1 - a) + a * (up - down) / 2e-2, 1e-3);
    }
    const float p[2] = {1, -1}, q[2] = {0, 2};
    const double ps = 1 / (1 + exp(-1.0)), qs = 1 / (1 + exp(1.0)); /* of the first, at 2 */
    T_NEAR(mgi_loss_teacher(1, 1, 2, 1, p, 1, q, 1, 2, none, work),
           4 * (qs * log(qs / ps) + (1 - qs) * log((1 - qs) / (1 - ps))), 1e-12);
    none[0] = none[1] = 8;
    T_NEAR(mgi_loss_teacher(1, 1, 2, 1, p, 1, p, 0.25, 2, none, work), 0, 1e-12);
    T_NEAR(none[0], 6, 1e-6);
    const float far_p[2] = {1000, -1000}, far_q[2] = {-1000, 1000}; /* no infinity */
    T_NEAR(mgi_loss_teacher(1, 1, 2, 1, far_p, 1, far_q, 1, 1, none, work), 2000, 1e-9);
}

static void t_optim_hinge(void)
{
    const float d[4] = {2, 0.5f, -3, 0};
    float dd[4];
    T_NEAR(mgi_loss_hinge(4, 1, NULL, d, 1, dd), (0 + 0.5 + 4 + 1) / 4, 1e-7);
    T_NEAR(dd[0], 0, 0);
    T_NEAR(dd[1], -0.25, 0);
    T_NEAR(mgi_loss_hinge(4, 1, NULL, d, 0, dd), (3 + 1.5 + 0 + 1) / 4, 1e-7);
    T_NEAR(dd[0], 0.25, 0);
    T_NEAR(dd[2], 0, 0);
    const int y[2] = {1, 0}; /* rows of two answers: 0.5 and -3 count */
    T_NEAR(mgi_loss_hinge(2, 2, y, d, 1, dd), (0.5 + 4) / 2, 1e-7);
    T_NEAR(dd[1], -0.5, 0);
    T_NEAR(dd[2], -0.5, 0);
    T_CHECK(dd[0] == 0.0f && dd[3] == 0.0f);
    T_NEAR(mgi_loss_mismatch(2, 2, y, 0.5, d, dd), 0.5 * (3 + 1) / 2,
           1e-7); /* the others, 2 and 0 */
    T_NEAR(dd[0], 0.25, 0);
    T_NEAR(dd[1], -0.5, 0);
    T_NEAR(dd[3], 0.25, 0);
    T_CHECK(mgi_loss_mismatch(4, 1, NULL, 0.5, d, dd) == 0 && dd[0] == 0.25f);
}

/* Spectral norm of a known matrix, and its gradient by differences. */
static void t_optim_spectral(void)
{
    static const char text[] =
        "mango-graph 1\nnet arch=t\nin input - shape=3\nf linear in out=2 bias=0 sn=1\n";
    mango_net *net = t_optim_parse(text, MANGO_TRAIN_SNGAN);
    mgi_spectral s;
    mgi_grads g;
    const float c[6] = {0.3f, -1, 0.5f, 0.2f, 0.9f, -0.4f};
    T_REQUIRE(net != NULL);
    float *w = net->param[net->node[1].weight].v;
    const float known[6] = {3, 0, 0, 0, 1, 0};
    memcpy(w, known, sizeof known);
    T_REQUIRE(mgi_spectral_new(&s, net, 1) == MANGO_OK && mgi_grads_new(&g, net) == MANGO_OK);
    mgi_spectral_update(&s, 50);
    T_NEAR(s.sigma[1], 3, 1e-5);
    T_NEAR(s.wbar[0], 1, 1e-6);
    mango_fill_u("w", 4, 6, w);
    mgi_spectral_update(&s, 100);
    memcpy(g.of[net->node[1].weight], c, sizeof c);
    mgi_spectral_backward(&s, &g);
    for (int i = 0; i < 6; i++) {
        const float keep = w[i];
        double L[2] = {0, 0};
        for (int k = 0; k < 2; k++) {
            w[i] = keep + (k ? -1e-3f : 1e-3f);
            mgi_spectral_update(&s, 100);
            for (int m = 0; m < 6; m++)
                L[k] += (double)c[m] * (double)s.wbar[m];
        }
        w[i] = keep;
        T_NEAR(g.of[net->node[1].weight][i], (L[0] - L[1]) / 2e-3, 3e-3);
    }
    mgi_grads_free(&g);
    mgi_spectral_free(&s);
    mango_net_destroy(net);
}

void t_optim(void)
{
    T_CASE(t_optim_spectral);
    T_CASE(t_optim_schedules);
    T_CASE(t_optim_optimizers);
    T_CASE(t_optim_clipping);
    T_CASE(t_optim_cross_entropy);
    T_CASE(t_optim_teacher);
    T_CASE(t_optim_hinge);
}

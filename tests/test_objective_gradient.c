/* test_objective_gradient.c - the derivative of an activation by the code: against finite
 * differences, its value against the objective's, what it refuses, a search with it.
 * SPDX-License-Identifier: MIT */
#include "test.h"

typedef struct t_og_pair {
    mango_net *gen, *net;
    mango_derivative *d;
} t_og_pair;

static double t_og_gain = 0.7; /* of the weights */

static mango_net *t_og_zoo(const char *spec, double gain)
{
    mango_net *n = NULL;
    mango_err err = {""};
    T_OK(mango_net_zoo(&n, spec, NULL, &err), &err);
    if (n)
        T_STATUS(mango_net_fill(n, 7, gain), MANGO_OK);
    return n;
}

static int t_og_open(t_og_pair *p, const char *gen, const char *net, const char *target,
                     mango_idx T)
{
    mango_objective_options o;
    mango_err err = {""};
    T_STATUS(mango_objective_defaults(&o), MANGO_OK);
    o.T = T;
    p->d = NULL;
    p->gen = t_og_zoo(gen, t_og_gain);
    p->net = t_og_zoo(net, t_og_gain);
    return p->gen && p->net &&
           T_OK(mango_derivative_create(&p->d, p->gen, p->net, target, &o, NULL, &err), &err);
}

static void t_og_close(t_og_pair *p)
{
    mango_derivative_destroy(p->d);
    mango_net_destroy(p->gen);
    mango_net_destroy(p->net);
}

/* ---- finite differences ------------------------------------------------------------ */

/* Along the derivative and along one that is drawn, from two points: (f(x + h u) -
 * f(x - h u))/2h against g . u. Two per cent of |g|: there are kinks. */
static void t_og_differences(const char *gen, const char *net, const char *target, double h,
                             double tol)
{
    t_og_pair p;
    mango_rng rng;
    if (!t_og_open(&p, gen, net, target, 0)) {
        t_og_close(&p);
        return;
    }
    const mango_idx n = p.d->in;
    float *x = malloc((size_t)n * sizeof *x), *g = malloc((size_t)n * sizeof *g);
    float *u = malloc((size_t)n * sizeof *u), *other = malloc((size_t)n * sizeof *other);
    p.d->exact = 1;
    mango_rng_init(&rng, 3, 1, 4);
    for (int trial = 0; x && g && u && other && trial < 4; trial++) {
        double y[3], norm = 0.0, slope = 0.0;
        for (mango_idx i = 0; i < n; i++)
            x[i] = (float)(0.5 * mango_rng_normal(&rng));
        memcpy(p.d->given, x, (size_t)n * sizeof *x);
        T_STATUS(mgi_derivative_at(p.d, 1, y, g), MANGO_OK);
        /* by the level's number, of 64 on [-4,4], or by the embedding itself */
        const double level = p.d->info.codebook ? 1.0 : 8.0 / 63.0;
        for (mango_idx i = 0; i < n; i++) {
            u[i] = trial % 2 ? (float)mango_rng_normal(&rng) : g[i];
            norm += (double)u[i] * (double)u[i];
        }
        norm = sqrt(norm);
        T_REQUIRE(norm > 0.0);
        for (mango_idx i = 0; i < n; i++)
            slope += (double)g[i] / level * (double)u[i] / norm;
        for (int side = 0; side < 2; side++) {
            for (mango_idx i = 0; i < n; i++)
                p.d->given[i] = x[i] + (float)((side ? h : -h) * (double)u[i] / norm);
            T_STATUS(mgi_derivative_at(p.d, 1, y + 1 + side, other), MANGO_OK);
        }
        const double found = (y[2] - y[1]) / (2.0 * h);
        double whole = 0.0; /* |g|: what a slope is small against */
        for (mango_idx i = 0; i < n; i++)
            whole += (double)g[i] * (double)g[i] / (level * level);
        T_CHECK(whole > 0.0);
        T_NEAR(found, slope, tol * sqrt(whole));
    }
    free(x);
    free(g);
    free(u);
    free(other);
    t_og_close(&p);
}

static void t_og_relu(void)
{
    static const char *const gen[2] = {"sngan,width=0.0625", "sngan,width=0.0625,classes=4"};
    t_og_differences(gen[0], "resnet18,width=0.125", "layer1.1.relu2:2", 1e-3, 0.02);
    t_og_differences(gen[1], "resnet18,width=0.125", "class:2", 1e-3, 0.02);
}

static void t_og_embeddings(void)
{
    t_og_differences("vqvae", "resnet18,width=0.125", "layer1.1.relu2:2", 1e-2, 0.02);
    t_og_differences("vqvae", "resnet18,width=0.125", "layer1.0.relu1:1:5:6", 1e-2, 0.02);
}

/* ---- values -------------------------------------------------------------------------- */

/* What it gives is what the objective gives, to the rounding of sums; a spike may fall
 * otherwise. Any batch gives the same bits. */
static void t_og_values(void)
{
    static const struct {
        const char *gen, *net, *target;
        mango_idx T;
        double gain, tol;
    } c[] = {
        {"vqvae", "resnet18,width=0.125", "class:2", 0, 0.7, 1e-4},
        {"sngan,width=0.0625", "resnet18,width=0.125", "layer1.1.relu2:2", 0, 0.7, 1e-4},
        {"vqvae", "snn_conv,width=0.1", "spiking1:1", 6, 2.0, 0.02},
        {"sngan,width=0.0625", "spiking_resnet18,width=0.125", "layer2.0.sn1:3", 6, 2.0, 0.02}};
    for (mango_idx i = 0; i < MGI_COUNT(c); i++) {
        t_og_pair p;
        mango_objective *o = NULL;
        mango_objective_options oo;
        mango_err err = {""};
        T_STATUS(mango_objective_defaults(&oo), MANGO_OK);
        oo.T = c[i].T;
        t_og_gain = c[i].gain;
        if (!t_og_open(&p, c[i].gen, c[i].net, c[i].target, c[i].T)) {
            t_og_close(&p);
            continue;
        }
        T_OK(mango_objective_create(&o, p.gen, p.net, c[i].target, &oo, NULL, &err), &err);
        const mango_idx d = p.d->d, n = p.d->info.modes.n[0], m = p.d->m;
        mango_idx *I = malloc((size_t)(6 * d) * sizeof *I);
        float *dy = malloc((size_t)(6 * d * m) * sizeof *dy);
        float *one = malloc((size_t)(d * m) * sizeof *one);
        double y[6], z[6], own;
        for (mango_idx k = 0; I && k < 6 * d; k++)
            I[k] = (k * 37 + k / 11) % n;
        T_STATUS(mango_derivative_eval(p.d, 6, I, y, dy), MANGO_OK);
        T_STATUS(mango_objective_eval(o, 6, I, z), MANGO_OK);
        double size = 0.0;
        for (mango_idx k = 0; k < 6; k++)
            T_NEAR(y[k], z[k], c[i].tol * (1.0 + fabs(z[k])));
        for (mango_idx k = 0; k < 6 * d * m; k++)
            size += fabs((double)dy[k]);
        T_CHECK(size > 0.0 && mgi_is_finite(size));
        T_STATUS(mango_derivative_eval(p.d, 1, I + 5 * d, &own, one), MANGO_OK);
        T_CHECK(own == y[5]);
        T_MEM(one, dy + 5 * d * m, (size_t)(d * m) * sizeof *one);
        free(I);
        free(dy);
        free(one);
        mango_objective_destroy(o);
        t_og_close(&p);
        t_og_gain = 0.7;
    }
}

/* ---- refusals, memory ------------------------------------------------------------------ */

static void t_og_refused(void)
{
    mango_derivative *d = NULL;
    mango_err err = {""};
    mango_net *gen = t_og_zoo("vqvae", t_og_gain), *net = t_og_zoo("resnet18,width=0.125", t_og_gain);
    T_STATUS(mango_derivative_create(&d, gen, net, "none:1", NULL, NULL, &err), MANGO_E_NAME);
    T_STATUS(mango_derivative_create(&d, net, net, "class:1", NULL, NULL, &err),
             MANGO_E_SHAPE);
    T_STATUS(mango_derivative_create(NULL, gen, net, "class:1", NULL, NULL, &err),
             MANGO_E_ARG);
    T_STATUS(mango_derivative_create(&d, NULL, net, "class:1", NULL, NULL, &err),
             MANGO_E_ARG);
    T_CHECK(d == NULL);
    mango_idx I[64] = {0};
    double y;
    static float dy[64 * 64];
    T_OK_OR_RETURN(mango_derivative_create(&d, gen, net, "class:1", NULL, NULL, &err), &err);
    I[3] = 512;
    T_STATUS(mango_derivative_eval(d, 1, I, &y, dy), MANGO_E_ARG);
    T_CHECK(strstr(mango_derivative_error(d), "codes 0"));
    mango_derivative_destroy(d);
    mango_derivative_destroy(NULL);
    mango_net_destroy(gen);
    mango_net_destroy(net);
}

static mango_status t_og_make(void *ud, const mango_alloc *al)
{
    const t_og_pair *p = ud;
    mango_derivative *d;
    MGI_TRY(mango_derivative_create(&d, p->gen, p->net, "class:1", NULL, al, NULL));
    mango_derivative_destroy(d);
    return MANGO_OK;
}

static void t_og_memory(void)
{
    t_og_pair p = {t_og_zoo("sngan,width=0.0625", t_og_gain), t_og_zoo("snn_conv,width=0.1", t_og_gain),
                   NULL};
    if (p.gen && p.net)
        T_CHECK(t_oom_sweep(t_og_make, &p) >= 20);
    t_og_close(&p);
}

/* ---- a search -------------------------------------------------------------------------- */

static double t_og_search(const char *gen, const char *opt, mango_idx budget)
{
    mango_net *g = t_og_zoo(gen, t_og_gain), *n = t_og_zoo("resnet18,width=0.125", t_og_gain);
    mango_session_options so;
    mango_search *s = NULL;
    mango_err err = {""};
    double best = -INFINITY;
    T_OK(mango_session_defaults(opt, &so, &err), &err);
    so.budget = budget;
    so.seed = 1;
    if (g && n &&
        T_OK(mango_search_create(&s, g, n, "layer1.1.relu2:2", NULL, &so, NULL, &err), &err)) {
        T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
        T_STATUS(mango_search_best(s, &best, NULL, NULL), MANGO_OK);
    }
    mango_search_destroy(s);
    mango_net_destroy(g);
    mango_net_destroy(n);
    return best;
}

/* It looks inside when the optimizer is one that does, and gets further in 60 queries than
 * random search in 300. */
static void t_og_climbs(void)
{
    static const char *const gen[2] = {"vqvae", "sngan,width=0.0625"};
    for (int i = 0; i < 2; i++) {
        const double white = t_og_search(gen[i], "gradient", 60);
        const double blind = t_og_search(gen[i], "random", 300);
        if (getenv("MANGO_VERBOSE"))
            printf("    %s: gradient %.4g after 60, random %.4g after 300\n", gen[i], white,
                   blind);
        T_CHECK(white > blind);
    }
}

void t_objective_gradient(void)
{
    T_CASE(t_og_relu);
    T_CASE(t_og_embeddings);
    T_CASE(t_og_values);
    T_CASE(t_og_refused);
    T_CASE(t_og_memory);
    T_CASE(t_og_climbs);
}

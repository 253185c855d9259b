/* searches.c - opt, space, drawing, objective, session and search.
 * SPDX-License-Identifier: MIT */
#include "public.h"

enum { P_D = 6, P_LEVELS = 10 };
static const mango_idx p_n[P_D] = {10, 10, 10, 10, 10, 10};
static const mango_modes p_modes = {P_D, p_n};

static double p_value(const mango_idx *I) /* the best code is 7 7 7 7 7 7, its value 0 */
{
    double y = 0;
    for (int j = 0; j < P_D; j++)
        y -= (double)((I[j] - 7) * (I[j] - 7));
    return y;
}

static void p_opt(void)
{
    mango_opt_options o;
    mango_opt_info info;
    mango_opt *opt = NULL;
    mango_idx I[100 * P_D], K;
    double y[100], best = -1e9;
    P_CHECK(mango_opt_presets() > 0);
    P_OK(mango_opt_defaults("protes", &o, &p_err));
    P_CHECK(mango_opt_set(&o, "none", 1, &p_err) == MANGO_E_NAME && p_err.text[0]);
    P_OK(mango_opt_create(&opt, &p_modes, NULL, &o, 1, NULL, &p_err));
    for (int batch = 0; batch < 30; batch++) {
        K = 0;
        P_OK(mango_opt_ask(opt, 100, &K, I));
        for (mango_idx k = 0; k < K; k++)
            y[k] = p_value(I + k * P_D);
        P_OK(mango_opt_tell(opt, K, I, y));
    }
    P_OK(mango_opt_best(opt, &best, I));
    P_CHECK(best > -3 && best == p_value(I));
    P_OK(mango_opt_get(opt, &info));
    P_CHECK(info.d == P_D && info.asked > 0 && !info.minimize);
    mango_opt_destroy(opt);
}

static mango_status p_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    for (mango_idx k = 0; k < K; k++)
        y[k] = p_value(I + k * P_D);
    *(mango_idx *)ud += K;
    return MANGO_OK;
}

/* The same search by its function, and told from outside backwards: the same best. */
static void p_session(void)
{
    mango_session_options o;
    mango_session_info a, b;
    mango_session *s = NULL;
    mango_idx queries = 0, K, I[25 * P_D];
    uint64_t id[25];
    double y;
    P_OK(mango_session_defaults("tt-b", &o, &p_err));
    o.budget = 200;
    P_OK(mango_session_create(&s, &p_modes, &o, p_evaluate, &queries, NULL, &p_err));
    P_CHECK(mango_session_run(s) == MANGO_STOP_BUDGET);
    P_OK(mango_session_get(s, &a));
    P_CHECK(a.queries == 200 && queries == 200 && a.best <= 0);
    mango_session_destroy(s);
    o.journal = p_file("journal.jsonl");
    P_OK(mango_session_create(&s, &p_modes, &o, NULL, NULL, NULL, &p_err));
    while (mango_session_ask(s, 25, &K, id, I) == MANGO_OK)
        for (mango_idx k = K - 1; k >= 0; k--) {
            y = p_value(I + k * P_D);
            P_OK(mango_session_tell(s, 1, &id[k], &y));
        }
    P_OK(mango_session_get(s, &b));
    P_CHECK(b.queries == 200 && b.best == a.best);
    mango_session_destroy(s);
    o.resume = 1;
    P_OK(mango_session_create(&s, &p_modes, &o, NULL, NULL, NULL, &p_err));
    P_OK(mango_session_get(s, &b));
    P_CHECK(b.queries == 200 && b.best == a.best);
    P_OK(mango_session_best(s, &y, I));
    P_CHECK(y == a.best && y == p_value(I));
    mango_session_destroy(s);
}

static void p_space(void)
{
    mango_space *s = NULL;
    mango_space_info info;
    const mango_idx n[2] = {3, 2}, I[2] = {1, 1}, out[2] = {3, 0};
    float z[2];
    P_OK(mango_space_create(&s, 2, n, -4, 4, NULL, &p_err));
    P_OK(mango_space_get(s, &info));
    P_CHECK(info.modes.d == 2 && info.modes.n[0] == 3 && !info.codebook);
    P_OK(mango_space_latent(s, 1, I, z));
    P_CHECK(z[0] == 0 && z[1] == 4);
    P_CHECK(mango_space_latent(s, 1, out, z) == MANGO_E_ARG);
    mango_space_destroy(s);
}

/* Generator and network together; the picture that was drawn gives the value again. */
static void p_objective(const mango_net *gen, const mango_net *net)
{
    mango_objective_options o;
    mango_objective_info info;
    mango_objective *f = NULL;
    P_OK(mango_objective_defaults(&o));
    o.T = 4;
    P_OK(mango_objective_create(&f, gen, net, "spiking1:3", &o, NULL, &p_err));
    P_OK(mango_objective_get(f, &info));
    P_CHECK(info.C == 3 && info.T == 4 && info.space && info.n_targets == 1);
    mango_space_info space;
    P_OK(mango_space_get(info.space, &space));
    mango_idx *I = calloc((size_t)space.modes.d, sizeof *I);
    float *rgb = calloc((size_t)(info.C * info.H * info.W), sizeof *rgb);
    double y = -1, again = -2;
    P_OK(mango_objective_eval(f, 1, I, &y));
    P_OK(mango_objective_picture(f, I, rgb));
    P_OK(mango_objective_look(f, 1, rgb, &again));
    P_CHECK(y == again && y >= 0);
    mango_target t;
    P_OK(mango_target_parse(&t, net, "class:1", &p_err));
    P_OK(mango_objective_aim(f, 1, &t, &p_err));
    P_OK(mango_objective_eval(f, 1, I, &again));
    P_CHECK(again > 0 && again < 1);
    free(rgb);
    free(I);
    mango_objective_destroy(f);
    P_CHECK(mango_objective_create(&f, gen, net, "none:3", &o, NULL, &p_err) == MANGO_E_NAME);
}

/* An expression, and pictures kept to something. */
static void p_targets(const mango_net *gen, const mango_net *net)
{
    mango_objective_options o;
    mango_objective *f = NULL, *one = NULL;
    mango_controls c;
    mango_idx I[1024] = {0};
    char text[64];
    double y = 0, a = 0;
    P_OK(mango_objective_defaults(&o));
    P_OK(mango_controls_defaults(&c));
    o.T = 4;
    c.grey = 1;
    c.mask = 0.5;
    o.controls = &c;
    P_CHECK(mango_controls_text(&c, text, sizeof text) > 0 && strstr(text, "grey mask=0.5"));
    P_OK(mango_objective_create(&f, gen, net, "2*spiking1:3 + 1", &o, NULL, &p_err));
    P_OK(mango_objective_create(&one, gen, net, "spiking1:3", &o, NULL, &p_err));
    P_OK(mango_objective_eval(f, 1, I, &y));
    P_OK(mango_objective_eval(one, 1, I, &a));
    P_CHECK(y == 2 * a + 1);
    mango_objective_destroy(one);
    mango_objective_destroy(f);
    P_CHECK(mango_objective_create(&f, gen, net, "spiking1:3 +", &o, NULL, &p_err) ==
            MANGO_E_FORMAT);
}

static mango_status p_white(void *ud, mango_idx K, const float *rgb, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = rgb[4 * k] + rgb[4 * k + 1] + rgb[4 * k + 2] + rgb[4 * k + 3];
    return MANGO_OK;
}

/* A picture's own function, no network. */
static void p_pixels(void)
{
    mango_session_options o;
    mango_search *s = NULL;
    mango_net *gen = NULL;
    float rgb[4];
    double y;
    P_OK(mango_net_pixels(&gen, 1, 2, 2, 2, NULL, &p_err));
    P_OK(mango_session_defaults("random", &o, &p_err));
    o.budget = 100;
    P_OK(mango_search_create_pictures(&s, gen, p_white, NULL, "white", NULL, &o, NULL, &p_err));
    P_CHECK(mango_search_run(s) > 0);
    P_OK(mango_search_best(s, &y, NULL, rgb));
    P_CHECK(y == 4 && rgb[0] == 1 && rgb[3] == 1);
    mango_search_destroy(s);
    mango_net_destroy(gen);
}

static void p_search(const mango_net *gen, const mango_net *net)
{
    mango_session_options o;
    mango_session_info info;
    mango_search *s = NULL;
    double y;
    P_OK(mango_session_defaults("tt-b", &o, &p_err));
    o.budget = 50;
    P_OK(mango_search_create(&s, gen, net, "spiking1:3", NULL, &o, NULL, &p_err));
    P_CHECK(mango_search_run(s) == MANGO_STOP_BUDGET);
    P_OK(mango_session_get(mango_search_session(s), &info));
    P_OK(mango_search_best(s, &y, NULL, NULL));
    P_CHECK(info.queries == 50 && y == info.best);
    mango_search_destroy(s);
}

void p_searches(void)
{
    mango_net *gen = NULL, *net = NULL;
    p_opt();
    p_session();
    p_space();
    P_OK(mango_net_zoo(&gen, "vqvae,width=0.125", NULL, &p_err));
    P_OK(mango_net_zoo(&net, "snn_conv,width=0.125", NULL, &p_err));
    P_OK(mango_net_fill(gen, 7, 1));
    P_OK(mango_net_fill(net, 7, 1));
    p_objective(gen, net);
    p_targets(gen, net);
    p_pixels();
    p_search(gen, net);
    mango_net_destroy(net);
    mango_net_destroy(gen);
}

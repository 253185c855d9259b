/* test_search.c - the search as one object; drawings; objectives of pictures alone, and
 * aimed at other targets.
 * SPDX-License-Identifier: MIT */
#include "test.h"

typedef struct t_search_pair {
    mango_net *gen, *net;
} t_search_pair;

static int t_search_open(t_search_pair *p)
{
    mango_err err = {""};
    p->gen = p->net = NULL;
    return T_OK(mango_net_zoo(&p->gen, "vqvae,width=0.125", NULL, &err), &err) &&
           T_OK(mango_net_zoo(&p->net, "snn_conv,width=0.125", NULL, &err), &err) &&
           T_OK(mango_net_fill(p->gen, 7, 1.5), NULL) &&
           T_OK(mango_net_fill(p->net, 7, 1.0), NULL);
}

static void t_search_close(t_search_pair *p)
{
    mango_net_destroy(p->gen);
    mango_net_destroy(p->net);
}

static void t_search_defaults(mango_objective_options *oo, mango_session_options *so)
{
    T_STATUS(mango_objective_defaults(oo), MANGO_OK);
    T_STATUS(mango_session_defaults("tt-b", so, NULL), MANGO_OK);
    oo->T = 6;
    so->budget = 60;
    so->seed = 3;
    so->sync = 0;
}

/* All queries of a, against those of b. */
static void t_search_same(const mango_session *a, const mango_session *b)
{
    mango_session_info i, k;
    mango_idx I[64], J[64];
    double x, y;
    T_STATUS(mango_session_get(a, &i), MANGO_OK);
    T_STATUS(mango_session_get(b, &k), MANGO_OK);
    T_REQUIRE(i.queries == k.queries && i.queries > 0 && i.d == 64);
    for (mango_idx q = 0; q < i.queries; q++) {
        mango_session_query(a, q, &x, I);
        mango_session_query(b, q, &y, J);
        T_CHECK(memcmp(&x, &y, sizeof x) == 0 && memcmp(I, J, sizeof I) == 0);
    }
}

/* What a search sets up is what a careful caller would: also the early stop, whose elite,
 * batch and sign are the optimizer's. */
static void t_search_setup(int early, int minimize)
{
    t_search_pair p;
    mango_objective_options oo;
    mango_session_options so;
    mango_objective *f = NULL;
    mango_session *by_hand = NULL;
    mango_search *s = NULL;
    mango_objective_info info;
    mango_space_info space;
    mango_err err = {""};
    T_REQUIRE(t_search_open(&p));
    t_search_defaults(&oo, &so);
    T_OK(mango_opt_set(&so.o, "minimize", minimize, &err), &err);
    oo.elite = early ? MANGO_ELITE_AUTO : 0;
    oo.T = early ? 16 : 6;
    T_OK_OR_RETURN(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, &so, NULL, &err),
                   &err);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    oo.elite = early ? 5 : 0; /* of tt-b */
    oo.batch = early ? 25 : 10;
    oo.minimize = minimize;
    T_OK_OR_RETURN(
        mango_objective_create(&f, p.gen, p.net, "spiking1:3", &oo, NULL, &err), &err);
    T_STATUS(mango_objective_get(f, &info), MANGO_OK);
    T_STATUS(mango_space_get(info.space, &space), MANGO_OK);
    T_OK_OR_RETURN(mango_session_create(&by_hand, &space.modes, &so, mango_objective_eval, f,
                                        NULL, &err),
                   &err);
    T_STATUS(mango_session_run(by_hand), MANGO_STOP_BUDGET);
    t_search_same(mango_search_session(s), by_hand);
    T_STATUS(mango_objective_get(f, &info), MANGO_OK);
    T_CHECK(!early || info.stopped > 0);
    mango_session_destroy(by_hand);
    mango_objective_destroy(f);
    mango_search_destroy(s);
    t_search_close(&p);
}

static void t_search_setups(void)
{
    t_search_setup(0, 0);
    t_search_setup(1, 0);
    t_search_setup(1, 1);
}

/* The best picture is the drawing of the best code, and an objective of pictures alone
 * gives the best value for it. */
static void t_search_picture(void)
{
    static float rgb[3 * 32 * 32], again[2 * 3 * 32 * 32];
    t_search_pair p;
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s = NULL;
    mango_drawing *d = NULL;
    mango_drawing_info di;
    mango_objective *f = NULL;
    mango_objective_info fi, si;
    mango_err err = {""};
    mango_idx I[2 * 64];
    double best = 0.0, y = 1.0;
    T_REQUIRE(t_search_open(&p));
    t_search_defaults(&oo, &so);
    T_OK_OR_RETURN(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, &so, NULL, &err),
                   &err);
    T_STATUS(mango_search_best(s, &best, I, rgb), MANGO_E_STATE);
    T_STATUS(mango_search_run(s), MANGO_STOP_BUDGET);
    T_STATUS(mango_search_best(s, &best, I, rgb), MANGO_OK);
    mango_objective_get(mango_search_objective(s), &si);
    mango_search_rest(s);
    T_STATUS(mango_search_best(s, &y, NULL, NULL), MANGO_OK);
    T_CHECK(y == best && mango_search_objective(s) == NULL);
    T_STATUS(mango_search_best(s, NULL, NULL, rgb), MANGO_E_STATE);
    T_STATUS(mango_search_step(s), MANGO_E_STATE);
    memcpy(I + 64, I, 64 * sizeof *I);
    T_OK_OR_RETURN(mango_drawing_create(&d, p.gen, NULL, NULL, &err), &err);
    T_STATUS(mango_drawing_get(d, &di), MANGO_OK);
    T_REQUIRE(di.C == 3 && di.H == 32 && di.W == 32 && di.macs > 0 && di.bytes > 0);
    T_STATUS(mango_drawing_codes(d, 2, I, again), MANGO_OK);
    T_CHECK(memcmp(rgb, again, sizeof rgb) == 0);
    T_CHECK(memcmp(rgb, again + 3 * 32 * 32, sizeof rgb) == 0);
    I[5] = 512;
    T_STATUS(mango_drawing_codes(d, 1, I, again), MANGO_E_ARG);
    T_CHECK(mango_drawing_error(d)[0] != '\0');
    T_OK_OR_RETURN(mango_objective_create(&f, NULL, p.net, "spiking1:3", &oo, NULL, &err),
                   &err);
    T_STATUS(mango_objective_look(f, 1, rgb, &y), MANGO_OK);
    T_CHECK(y == best);
    T_STATUS(mango_objective_eval(f, 1, I + 64, &y), MANGO_E_STATE);
    T_STATUS(mango_objective_picture(f, I + 64, rgb), MANGO_E_STATE);
    T_CHECK(strstr(mango_objective_error(f), "no generator") != NULL);
    rgb[7] = NAN;
    T_STATUS(mango_objective_look(f, 1, rgb, &y), MANGO_E_NONFINITE);
    T_CHECK(strlen(mango_objective_error(f)) > strlen("objective: "));
    mango_objective_get(f, &fi);
    T_CHECK(fi.space == NULL && fi.gen[0] == '\0' && strcmp(fi.net, si.net) == 0);
    mango_objective_destroy(f);
    mango_drawing_destroy(d);
    mango_search_destroy(s);
    t_search_close(&p);
}

/* Aimed at other targets, an objective gives what one made for them gives. */
static void t_search_aim(void)
{
    enum { K = 3 };
    static const char *const text[] = {"spiking2:4", "class:7", "spiking1:2:3:1"};
    t_search_pair p;
    mango_objective *f = NULL, *g = NULL;
    mango_objective_options oo;
    mango_session_options so;
    mango_objective_info was, is;
    mango_target t[2];
    mango_idx I[K * 64];
    double y[2 * K], want[2 * K];
    mango_err err = {""};
    T_REQUIRE(t_search_open(&p));
    t_search_defaults(&oo, &so);
    for (int i = 0; i < K * 64; i++)
        I[i] = i * 7 % 500;
    T_OK_OR_RETURN(
        mango_objective_create(&f, p.gen, p.net, "spiking1:3", &oo, NULL, &err), &err);
    mango_objective_get(f, &was);
    for (int k = 0; k < 3; k++) {
        T_OK(mango_target_parse(&t[0], p.net, text[k], &err), &err);
        T_OK(mango_objective_aim(f, 1, t, &err), &err);
        T_STATUS(mango_objective_eval(f, K, I, y), MANGO_OK);
        T_OK_OR_RETURN(mango_objective_create(&g, p.gen, p.net, text[k], &oo, NULL, &err),
                       &err);
        T_STATUS(mango_objective_eval(g, K, I, want), MANGO_OK);
        T_CHECK(memcmp(y, want, K * sizeof *y) == 0);
        mango_objective_destroy(g);
    }
    mango_objective_get(f, &is);
    T_STR(is.net, was.net);
    t[1] = t[0];
    t[1].unit = 100000;
    T_STATUS(mango_objective_aim(f, 2, t, &err), MANGO_E_NAME);
    T_STATUS(mango_objective_eval(f, K, I, y), MANGO_OK); /* still at the old target */
    T_CHECK(memcmp(y, want, K * sizeof *y) == 0);
    t[1].unit = t[0].unit;
    T_OK(mango_objective_aim(f, 2, t, &err), &err);
    T_STATUS(mango_objective_eval_many(f, K, I, y), MANGO_OK);
    for (int k = 0; k < K; k++)
        T_CHECK(y[2 * k] == want[k] && y[2 * k + 1] == want[k]);
    mango_objective_destroy(f);
    t_search_close(&p);
}

/* Weights that were given away: what the plan holds can still be aimed at. */
static void t_search_aim_given(void)
{
    t_search_pair p;
    mango_objective *f = NULL;
    mango_objective_options oo;
    mango_session_options so;
    mango_target t;
    mango_idx I[64];
    double y = 0.0, want = 1.0;
    mango_err err = {""};
    T_REQUIRE(t_search_open(&p));
    t_search_defaults(&oo, &so);
    for (int i = 0; i < 64; i++)
        I[i] = i * 7 % 500;
    T_OK(mango_target_parse(&t, p.net, "spiking0:2", &err), &err);
    T_OK_OR_RETURN(mango_objective_create_many(&f, p.gen, p.net, 1, &t, &oo, NULL, &err),
                   &err);
    T_STATUS(mango_objective_eval(f, 1, I, &want), MANGO_OK);
    mango_objective_destroy(f);
    mango_net_give(p.net);
    T_OK_OR_RETURN(
        mango_objective_create(&f, p.gen, p.net, "spiking1:3", &oo, NULL, &err), &err);
    T_OK(mango_objective_aim(f, 1, &t, &err), &err);
    T_STATUS(mango_objective_eval(f, 1, I, &y), MANGO_OK);
    T_CHECK(y == want);
    T_OK(mango_target_parse(&t, p.net, "spiking2:2", &err), &err);
    T_STATUS(mango_objective_aim(f, 1, &t, &err), MANGO_E_STATE); /* deeper: gone */
    T_STATUS(mango_objective_eval(f, 1, I, &y), MANGO_OK);
    T_CHECK(y == want);
    mango_objective_destroy(f);
    t_search_close(&p);
}

/* The journal of a search knows what it is of; numbers stand there exactly. */
static void t_search_journal(void)
{
    t_search_pair p;
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s = NULL;
    const mango_note mine = {"animal", "m7"};
    char path[1024], head[2048];
    mango_err err = {""};
    T_REQUIRE(t_search_open(&p));
    t_search_defaults(&oo, &so);
    mgi_copy(path, sizeof path, t_tmp("search.jsonl"));
    oo.elite = MANGO_ELITE_AUTO;
    oo.believed = 0.1234567;
    so.journal = path;
    so.notes = &mine;
    so.n_notes = 1;
    T_OK_OR_RETURN(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, &so, NULL, &err),
                   &err);
    mango_search_destroy(s);
    FILE *file = fopen(path, "rb");
    T_REQUIRE(file && fgets(head, sizeof head, file));
    fclose(file);
    T_CHECK(strstr(head, "\"target\":\"spiking1:3\"") && strstr(head, "\"T\":\"6\""));
    T_CHECK(strstr(head, "\"early_stop\":\"0.1234567\"") && strstr(head, "\"animal\":\"m7\""));
    so.resume = 1;
    oo.believed = 0.12345671;
    T_STATUS(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, &so, NULL, &err),
             MANGO_E_STATE);
    T_CHECK(s == NULL && strstr(err.text, "'early_stop'") != NULL);
    oo.believed = 0.1234567;
    oo.T = 7;
    T_STATUS(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, &so, NULL, &err),
             MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'T'") != NULL);
    oo.T = 6;
    T_OK_OR_RETURN(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, &so, NULL, &err),
                   &err);
    mango_search_destroy(s);
    t_search_close(&p);
}

/* What an optimizer may know of the two kinds of space. */
static void t_search_facts(void)
{
    static const char *const spec[2] = {"vqvae,width=0.125", "sngan,width=0.0625"};
    for (int k = 0; k < 2; k++) {
        mango_net *gen = NULL;
        mango_space *space = NULL;
        mango_facts f;
        mango_err err = {""};
        T_OK_OR_RETURN(mango_net_zoo(&gen, spec[k], NULL, &err), &err);
        T_STATUS(mango_net_meta_set(gen, "train.latent_classes", "10"), MANGO_OK);
        T_OK_OR_RETURN(mango_space_of(&space, gen, NULL, &err), &err);
        T_STATUS(mango_space_facts(space, &f), MANGO_OK);
        T_CHECK(f.H == (k ? 0 : 8) && f.W == f.H && f.classes == (k ? 10 : 0));
        T_CHECK(f.prior == (k ? MANGO_PRIOR_NORMAL : MANGO_PRIOR_NONE));
        T_CHECK(!k || (f.prior_lo == -4.0 && f.prior_hi == 4.0));
        mango_space_destroy(space);
        mango_net_destroy(gen);
    }
}

/* Every failing call says why, NULL included. */
static void t_search_refused(void)
{
    t_search_pair p;
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s = NULL;
    mango_drawing *d = NULL;
    mango_objective *f = NULL;
    mango_target t;
    mango_err err;
    T_REQUIRE(t_search_open(&p));
    t_search_defaults(&oo, &so);
#define T_SEARCH_SAYS(call, st)                                                          \
    do {                                                                                 \
        err.text[0] = '\0';                                                              \
        T_STATUS(call, st);                                                              \
        T_CHECK(err.text[0] != '\0');                                                    \
    } while (0)
    T_SEARCH_SAYS(mango_search_create(NULL, p.gen, p.net, "spiking1:3", NULL, NULL, NULL, &err),
                  MANGO_E_ARG);
    T_SEARCH_SAYS(mango_search_create(&s, NULL, p.net, "spiking1:3", NULL, NULL, NULL, &err),
                  MANGO_E_ARG);
    T_SEARCH_SAYS(mango_search_create(&s, p.gen, p.net, "spiking9:3", NULL, NULL, NULL, &err),
                  MANGO_E_NAME);
    T_SEARCH_SAYS(mango_search_create(&s, p.net, p.net, "spiking1:3", NULL, NULL, NULL, &err),
                  MANGO_E_SHAPE);
    T_SEARCH_SAYS(mango_drawing_create(&d, p.net, NULL, NULL, &err), MANGO_E_SHAPE);
    T_SEARCH_SAYS(mango_drawing_create(&d, NULL, NULL, NULL, &err), MANGO_E_ARG);
    T_SEARCH_SAYS(mango_objective_create(&f, p.gen, NULL, "spiking1:3", NULL, NULL, &err),
                  MANGO_E_ARG);
    T_SEARCH_SAYS(mango_target_parse(&t, NULL, "spiking1:3", &err), MANGO_E_ARG);
    T_SEARCH_SAYS(mango_objective_aim(NULL, 1, &t, &err), MANGO_E_ARG);
    oo.elite = MANGO_ELITE_AUTO; /* only a search knows the optimizer */
    T_SEARCH_SAYS(mango_objective_create(&f, p.gen, p.net, "spiking1:3", &oo, NULL, &err),
                  MANGO_E_ARG);
    oo.size = 0; /* not filled by its defaults */
    T_SEARCH_SAYS(mango_search_create(&s, p.gen, p.net, "spiking1:3", &oo, NULL, NULL, &err),
                  MANGO_E_ARG);
    so.size = 0;
    T_SEARCH_SAYS(mango_session_create(NULL, NULL, &so, NULL, NULL, NULL, &err), MANGO_E_ARG);
#undef T_SEARCH_SAYS
    T_CHECK(mango_search_objective(NULL) == NULL && mango_search_session(NULL) == NULL);
    T_STATUS(mango_search_run(NULL), MANGO_E_ARG);
    T_STATUS(mango_objective_get_sized(NULL, NULL, 0), MANGO_E_ARG);
    T_STATUS(mango_session_get_sized(NULL, NULL, 0), MANGO_E_ARG);
    T_STATUS(mango_space_get_sized(NULL, NULL, 0), MANGO_E_ARG);
    mango_search_destroy(NULL);
    mango_drawing_destroy(NULL);
    mango_search_rest(NULL);
    t_search_close(&p);
}

static mango_status t_search_make(void *ud, const mango_alloc *al)
{
    const t_search_pair *p = ud;
    mango_objective_options oo;
    mango_session_options so;
    mango_search *s;
    t_search_defaults(&oo, &so);
    so.budget = 10;
    oo.T = 2;
    MGI_TRY(mango_search_create(&s, p->gen, p->net, "spiking1:3", &oo, &so, al, NULL));
    mango_status st = mango_search_run(s);
    if (st > 0) {
        mango_target t;
        st = mango_target_parse(&t, p->net, "spiking0:1", NULL);
        if (st == MANGO_OK)
            st = mango_objective_aim(mango_search_objective(s), 1, &t, NULL);
    }
    mango_search_destroy(s);
    return st;
}

static void t_search_memory(void)
{
    t_search_pair p;
    T_SLOW();
    T_REQUIRE(t_search_open(&p));
    T_CHECK(t_oom_sweep(t_search_make, &p) > 30);
    t_search_close(&p);
}

void t_search(void)
{
    T_CASE(t_search_setups);
    T_CASE(t_search_picture);
    T_CASE(t_search_aim);
    T_CASE(t_search_aim_given);
    T_CASE(t_search_journal);
    T_CASE(t_search_facts);
    T_CASE(t_search_refused);
    T_CASE(t_search_memory);
}

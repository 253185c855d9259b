/* test_gp_latent.c - latents by a Gaussian process: beats chance on functions of z and of a
 * class, keeps its norm, bears noise, large spaces and odd ones; bits, memory, resume.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GPL_D = 64, T_GPL_LEVELS = 64, T_GPL_CLASSES = 6 };

typedef struct t_gpl_search {
    mango_opt *opt;
    mango_idx d, classes;
    double noise;
    mango_rng rng;
} t_gpl_search;

static mango_facts t_gpl_facts(mango_idx classes)
{
    mango_facts f;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.prior = MANGO_PRIOR_NORMAL;
    f.prior_lo = -4;
    f.prior_hi = 4;
    f.classes = classes;
    return f;
}

static mango_opt *t_gpl_new(const char *preset, mango_idx d, const mango_facts *f,
                            const char *set, uint64_t seed)
{
    mango_idx *n = malloc((size_t)d * sizeof *n);
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    for (mango_idx j = 0; n && j < d; j++)
        n[j] = T_GPL_LEVELS;
    const mango_modes m = {d, n};
    T_OK(mango_opt_defaults(preset, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &m, f, &o, seed, NULL, &err), &err);
    free(n);
    return p;
}

static double t_gpl_z(mango_idx i)
{
    return -4.0 + 8.0 * (double)i / (T_GPL_LEVELS - 1);
}

static mango_idx t_gpl_class(mango_idx classes, const mango_idx *I)
{
    mango_idx best = 0;
    for (mango_idx c = 1; c < classes; c++)
        best = I[c] > I[best] ? c : best;
    return best;
}

/* The cosine of z and a hidden direction, through a sigmoid; class 4 is by far the best,
 * class 2 next. */
static double t_gpl_value(mango_idx d, mango_idx classes, const mango_idx *I)
{
    double along = 0.0, all = 1e-9;
    for (mango_idx j = classes; j < d; j++) {
        const double z = t_gpl_z(I[j]);
        along += j % 3 ? z : -z;
        all += z * z;
    }
    const mango_idx c = classes ? t_gpl_class(classes, I) : 4;
    const double x = along / sqrt(all * (double)(d - classes));
    return (c == 4 ? 1.0 : c == 2 ? 0.6 : 0.2) / (1.0 + exp(2.0 - 6.0 * x));
}

/* `queries` more, in batches of 10; the best true value among them and, if wanted, the
 * share of the last 100 that are of class 4 and their mean norm. */
static double t_gpl_run(t_gpl_search *s, int queries, double *share, double *norm)
{
    enum { K = 10 };
    mango_idx *I = malloc((size_t)(K * s->d) * sizeof *I);
    double best = -1e9, in = 0.0, norms = 0.0;
    for (int q = 0; I && s->opt && q < queries; q += K) {
        double y[K];
        mango_idx n = K;
        T_STATUS(mango_opt_ask(s->opt, K, &n, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            const mango_idx *at = I + k * s->d;
            double sum = 0.0;
            for (mango_idx j = 0; j < s->d; j++)
                sum += t_gpl_z(at[j]) * t_gpl_z(at[j]);
            if (q >= queries - 100) {
                in += 0.01 * (t_gpl_class(s->classes, at) == 4);
                norms += 0.01 * sqrt(sum);
            }
            y[k] = t_gpl_value(s->d, s->classes, at);
            best = y[k] > best ? y[k] : best;
            y[k] += s->noise > 0.0 ? s->noise * mango_rng_normal(&s->rng) : 0.0;
        }
        T_STATUS(mango_opt_tell(s->opt, K, I, y), MANGO_OK);
    }
    free(I);
    if (share)
        *share = in;
    if (norm)
        *norm = norms;
    return best;
}

static double t_gpl_best(const char *preset, mango_idx d, mango_idx classes, double noise,
                         const char *set, int queries, uint64_t seed)
{
    mango_facts f = t_gpl_facts(classes);
    f.noisy = noise > 0.0;
    t_gpl_search s = {t_gpl_new(preset, d, &f, set, seed), d, classes, noise, {0}};
    mango_rng_init(&s.rng, seed, 77, 0);
    const double best = t_gpl_run(&s, queries, NULL, NULL);
    mango_opt_destroy(s.opt);
    return best;
}

/* ---- cases --------------------------------------------------------------------- */

/* Its 100 are better than chance's 1,000, with classes and without. */
static void t_gpl_chance(void)
{
    for (mango_idx classes = 0; classes <= T_GPL_CLASSES; classes += T_GPL_CLASSES) {
        double ours = 0.0, chance = 0.0, more = 0.0;
        for (uint64_t seed = 0; seed < 5; seed++) {
            ours += t_gpl_best("gp-latent", T_GPL_D, classes, 0, "", 100, seed) / 5;
            more += t_gpl_best("gp-latent", T_GPL_D, classes, 0, "", 300, seed) / 5;
            chance += t_gpl_best("random", T_GPL_D, classes, 0, "", 1000, seed) / 5;
        }
        T_CHECK(ours > chance);
        T_CHECK(more > ours + 0.02);
    }
}

/* It comes upon the class that counts and stays; norms are those of its options. */
static void t_gpl_classes(void)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        const mango_facts f = t_gpl_facts(T_GPL_CLASSES);
        t_gpl_search s = {t_gpl_new("gp-latent", T_GPL_D, &f, "grow=0", seed), T_GPL_D,
                          T_GPL_CLASSES, 0, {0}};
        double share, norm;
        t_gpl_run(&s, 20, NULL, NULL);
        t_gpl_run(&s, 200, &share, &norm);
        T_CHECK(share > 0.6);
        T_CHECK(norm > 0.9 * 8 && norm < 1.02 * 1.77 * 8);
        mango_opt_destroy(s.opt);
    }
}

/* The first draws: two latents a class of the norm `radius`. */
static void t_gpl_draws(void)
{
    const mango_facts f = t_gpl_facts(T_GPL_CLASSES);
    mango_opt *p = t_gpl_new("gp-latent", T_GPL_D, &f, "start=12,radius=1.2,vary=0", 3);
    mango_idx I[12 * T_GPL_D], K = 12, count[T_GPL_CLASSES] = {0};
    double norm = 0.0;
    char text[200];
    T_STATUS(mango_opt_ask(p, 12, &K, I), MANGO_OK);
    for (int k = 0; k < 12; k++) {
        double sum = 0.0;
        count[t_gpl_class(T_GPL_CLASSES, I + k * T_GPL_D)]++;
        for (int j = 0; j < T_GPL_D; j++)
            sum += t_gpl_z(I[k * T_GPL_D + j]) * t_gpl_z(I[k * T_GPL_D + j]);
        norm += sqrt(sum) / 12;
    }
    for (int c = 0; c < T_GPL_CLASSES; c++)
        T_EQ(count[c], 2);
    T_NEAR(norm, 1.2 * 8, 0.5);
    mango_opt_why(p, 3, text, sizeof text);
    T_CHECK(strstr(text, "first draws") != NULL);
    mango_opt_destroy(p);
}

/* Reference codes are among the draws. */
static void t_gpl_references(void)
{
    mango_facts f = t_gpl_facts(0);
    mango_idx codes[2 * T_GPL_D], I[20 * T_GPL_D], K = 20, hits = 0;
    for (int j = 0; j < 2 * T_GPL_D; j++)
        codes[j] = 20 + (j * 7) % 20;
    f.codes = codes;
    f.n_codes = 2;
    mango_opt *p = t_gpl_new("gp-latent", T_GPL_D, &f, "", 1);
    T_STATUS(mango_opt_ask(p, 20, &K, I), MANGO_OK);
    for (int k = 0; k < 20; k++)
        hits += memcmp(I + k * T_GPL_D, codes, sizeof codes / 2) == 0 ||
                memcmp(I + k * T_GPL_D, codes + T_GPL_D, sizeof codes / 2) == 0;
    T_CHECK(hits >= 5 && hits <= 15);
    mango_opt_destroy(p);
}

/* Noise of a third of the range: still better than chance without noise. */
static void t_gpl_noise(void)
{
    double ours = 0.0, chance = 0.0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        ours += t_gpl_best("gp-latent", T_GPL_D, T_GPL_CLASSES, 0.1, "", 300, seed) / 5;
        chance += t_gpl_best("random", T_GPL_D, T_GPL_CLASSES, 0, "", 300, seed) / 5;
    }
    T_CHECK(ours > chance);
}

/* A value told again replaces the first: a liar of 1,000 presentations is forgotten. */
static void t_gpl_again(void)
{
    mango_facts f = t_gpl_facts(0);
    f.noisy = 1;
    mango_opt *p = t_gpl_new("gp-latent", T_GPL_D, &f, "", 1);
    mango_opt *q = t_gpl_new("gp-latent", T_GPL_D, &f, "", 1);
    mango_idx I[20 * T_GPL_D], J[20 * T_GPL_D], K = 20;
    uint64_t id[20];
    mango_told told[20];
    T_STATUS(mango_opt_ask_ids(p, 20, &K, I, id), MANGO_OK);
    T_STATUS(mango_opt_ask_ids(q, 20, &K, J, id), MANGO_OK);
    for (int k = 0; k < 20; k++) {
        const mango_told t = {.id = id[k], .I = I + k * T_GPL_D, .y = 0.1 * k, .var = 0.01,
                              .n = 1};
        told[k] = t;
    }
    T_STATUS(mango_opt_tell_all(q, 20, told), MANGO_OK);
    told[0].y = 99;
    T_STATUS(mango_opt_tell_all(p, 20, told), MANGO_OK);
    told[0].y = 0;
    T_STATUS(mango_opt_tell_all(p, 1, told), MANGO_OK);
    for (int i = 0; i < 2; i++) {
        T_STATUS(mango_opt_ask(p, 20, &K, I), MANGO_OK);
        T_STATUS(mango_opt_ask(q, 20, &K, J), MANGO_OK);
        T_MEM(I, J, sizeof I);
        told[0].I = I;
        T_STATUS(mango_opt_tell_all(p, 1, told), MANGO_OK);
        told[0].I = J;
        T_STATUS(mango_opt_tell_all(q, 1, told), MANGO_OK);
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* 4,096 latents, and a model that is full: it goes on, better than chance. */
static void t_gpl_large(void)
{
    T_CHECK(t_gpl_best("gp-latent", 4096, 0, 0, "points=60", 200, 1) >
            t_gpl_best("random", 4096, 0, 0, "", 200, 1));
    T_CHECK(t_gpl_best("gp-latent", T_GPL_D, 0, 0, "points=40", 300, 1) >
            t_gpl_best("random", T_GPL_D, 0, 0, "", 1000, 1));
}

/* Codes that it was told are not asked again, in a space that has few. */
static void t_gpl_few(void)
{
    mango_facts f = t_gpl_facts(0);
    const mango_idx n[2] = {6, 6};
    const mango_modes m = {2, n};
    mango_opt_options o;
    mango_opt *p = NULL;
    int seen[36] = {0}, distinct = 0;
    T_STATUS(mango_opt_defaults("gp-latent", &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_parse(&o, "start=4,random=0.5", NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&p, &m, &f, &o, 1, NULL, NULL), MANGO_OK);
    for (int q = 0; q < 30; q++) {
        mango_idx I[2], K = 1;
        T_STATUS(mango_opt_ask(p, 1, &K, I), MANGO_OK);
        distinct += seen[6 * I[0] + I[1]]++ == 0;
        const double y = (double)(I[0] + I[1]);
        T_STATUS(mango_opt_tell(p, 1, I, &y), MANGO_OK);
    }
    T_CHECK(distinct >= 24);
    mango_opt_destroy(p);
}

static mango_status t_gpl_make(void *ud, const mango_alloc *al)
{
    mango_idx n[4] = {64, 64, 1, 64};
    const mango_modes m = {4, n};
    const mango_facts f = t_gpl_facts(2);
    mango_opt_options o;
    mango_opt *p;
    (void)ud;
    T_STATUS(mango_opt_defaults("gp-latent", &o, NULL), MANGO_OK);
    MGI_TRY(mango_opt_create(&p, &m, &f, &o, 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

static void t_gpl_memory(void)
{
    T_CHECK(t_oom_sweep(t_gpl_make, NULL) >= 5);
}

/* The same codes on every machine: with classes, without, full and restarted. */
static void t_gpl_bits(void)
{
    static const uint64_t want[2] = {0x053a612da89ecf78u, 0x32c135a66c5f46d6u};
    for (int i = 0; i < 2; i++) {
        const mango_facts f = t_gpl_facts(i ? 0 : T_GPL_CLASSES);
        mango_opt *p = t_gpl_new("gp-latent", T_GPL_D, &f, i ? "points=60" : "", 7);
        mango_idx I[10 * T_GPL_D], K = 10;
        uint64_t h = 0xcbf29ce484222325u;
        for (int q = 0; q < 20; q++) {
            double y[10] = {0};
            T_STATUS(mango_opt_ask(p, 10, &K, I), MANGO_OK);
            for (int j = 0; j < 10 * T_GPL_D; j++) {
                h = (h ^ (uint64_t)I[j]) * 0x100000001b3u;
                y[j / T_GPL_D] += j % 3 ? t_gpl_z(I[j]) : -t_gpl_z(I[j]);
            }
            T_STATUS(mango_opt_tell(p, 10, I, y), MANGO_OK);
            if (i && q == 15)
                T_STATUS(mango_opt_restart(p), MANGO_OK);
        }
        T_CHECK(h == want[i]);
        mango_opt_destroy(p);
    }
}

static mango_status t_gpl_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = I[16 * k] % 5 == 4 ? (double)NAN : (double)(I[16 * k + 1] - I[16 * k + 2]);
    return MANGO_OK;
}

static void t_gpl_session(const char *journal, mango_idx budget, mango_idx *codes)
{
    mango_idx n[16];
    const mango_modes m = {16, n};
    mango_session_options o;
    mango_session *s = NULL;
    mango_err err = {""};
    for (int j = 0; j < 16; j++)
        n[j] = T_GPL_LEVELS;
    T_OK(mango_session_defaults("gp-latent", &o, &err), &err);
    o.budget = budget;
    o.seed = 2;
    o.journal = journal;
    o.resume = 1;
    o.sync = 0;
    T_OK_OR_RETURN(mango_session_create(&s, &m, &o, t_gpl_evaluate, NULL, NULL, &err), &err);
    T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
    for (mango_idx q = 0; q < budget; q++)
        T_STATUS(mango_session_query(s, q, NULL, codes + 16 * q), MANGO_OK);
    mango_session_destroy(s);
}

/* Stopped and resumed after every few queries, it asks the same codes. */
static void t_gpl_resume(void)
{
    enum { ALL = 110 };
    static mango_idx whole[16 * ALL], parts[16 * ALL];
    char path[1024];
    mgi_copy(path, sizeof path, t_tmp("gpl.jsonl"));
    t_gpl_session(NULL, ALL, whole);
    for (mango_idx budget = 3; budget < ALL; budget += 23)
        t_gpl_session(path, budget, parts);
    t_gpl_session(path, ALL, parts);
    T_MEM(parts, whole, sizeof whole);
}

/* It says what it knows and why it proposes. */
static void t_gpl_says(void)
{
    const mango_facts f = t_gpl_facts(T_GPL_CLASSES);
    t_gpl_search s = {t_gpl_new("gp-latent", T_GPL_D, &f, "", 1), T_GPL_D, T_GPL_CLASSES, 0,
                      {0}};
    char text[400];
    t_gpl_run(&s, 50, NULL, NULL);
    T_CHECK(mango_opt_explain(s.opt, text, sizeof text) > 20);
    T_CHECK(strstr(text, "surrogate on 50 values") != NULL);
    T_CHECK(mango_opt_why(s.opt, 0, text, sizeof text) > 5);
    T_CHECK(strstr(text, "expected") != NULL);
    mango_opt_destroy(s.opt);
}

void t_gp_latent(void)
{
    T_CASE(t_gpl_chance);
    T_CASE(t_gpl_classes);
    T_CASE(t_gpl_draws);
    T_CASE(t_gpl_references);
    T_CASE(t_gpl_noise);
    T_CASE(t_gpl_again);
    T_CASE(t_gpl_large);
    T_CASE(t_gpl_few);
    T_CASE(t_gpl_memory);
    T_CASE(t_gpl_bits);
    T_CASE(t_gpl_resume);
    T_CASE(t_gpl_says);
}

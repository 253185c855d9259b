/* test_ga.c - the genetic algorithm: known optima, parents, noise, levels told again.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GA_D = 24, T_GA_CAP = 64 };

static mango_modes t_ga_modes(mango_idx *n, mango_idx d, mango_idx levels)
{
    for (mango_idx j = 0; j < d; j++)
        n[j] = levels;
    const mango_modes m = {d, n};
    return m;
}

static mango_facts t_ga_facts(void)
{
    mango_facts f;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    return f;
}

static mango_opt *t_ga_new(const mango_modes *m, const mango_facts *f, const char *set,
                           uint64_t seed)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults("ga", &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, m, f, &o, seed, NULL, &err), &err);
    return p;
}

/* How many modes have the level j mod 7, of d. */
static double t_ga_matches(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s += I[j] == j % 7;
    return s;
}

static double t_ga_sphere(mango_idx d, const mango_idx *I)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s -= (double)((I[j] - 20 - j) * (I[j] - 20 - j));
    return s;
}

/* Best of `queries` of f. */
static double t_ga_run(const mango_modes *m, const mango_facts *f, const char *set,
                       uint64_t seed, double (*value)(mango_idx, const mango_idx *),
                       mango_idx queries)
{
    static mango_idx I[T_GA_CAP * T_GA_D];
    double y[T_GA_CAP], best = NAN;
    mango_opt *p = t_ga_new(m, f, set, seed);
    for (mango_idx q = 0; p && q < queries;) {
        mango_idx K = 0;
        T_STATUS(mango_opt_ask(p, T_GA_CAP, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++, q++)
            y[k] = value(m->d, I + k * m->d);
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
    mango_opt_destroy(p);
    return best;
}

/* Unordered levels: 24 right ones of 8; uniform search has 9 of them after 1,500. Both
 * ways to choose parents. Ordered levels: within a level of the optimum in each mode. */
static void t_ga_optima(void)
{
    mango_idx n[T_GA_D];
    mango_facts f = t_ga_facts();
    for (uint64_t seed = 0; seed < 5; seed++) {
        const mango_modes m = t_ga_modes(n, T_GA_D, 8);
        T_CHECK(t_ga_run(&m, &f, "", seed, t_ga_matches, 1500) >= 22);
        T_CHECK(t_ga_run(&m, &f, "select=rank", seed, t_ga_matches, 1500) >= 20);
    }
    const mango_modes m = t_ga_modes(n, T_GA_D, 64);
    f.prior = MANGO_PRIOR_NORMAL;
    f.prior_lo = -4.0;
    f.prior_hi = 4.0;
    for (uint64_t seed = 0; seed < 3; seed++)
        T_CHECK(t_ga_run(&m, &f, "sigma=0.03", seed, t_ga_sphere, 4000) > -100.0);
}

/* Without mutation a child is a mixture of its parents; hardly a code comes twice. */
static void t_ga_children(void)
{
    enum { D = T_GA_D, FIRST = 40, K = 20 };
    static mango_idx first[FIRST * D], I[K * D], all[(FIRST + 400) * D];
    mango_idx n[D], k = FIRST, told = 0, strange = 0, twice = 0;
    double y[FIRST];
    const mango_modes m = t_ga_modes(n, D, 16);
    mango_opt *p = t_ga_new(&m, NULL, "mutate=0", 4);
    T_STATUS(mango_opt_ask(p, FIRST, &k, first), MANGO_OK);
    for (k = 0; k < FIRST; k++)
        y[k] = k < 2 ? 5.0 : (double)NAN; /* only two can be parents */
    T_STATUS(mango_opt_tell(p, FIRST, first, y), MANGO_OK);
    for (int round = 0; round < 20; round++) {
        k = K;
        T_STATUS(mango_opt_ask(p, K, &k, I), MANGO_OK);
        for (mango_idx i = 0; i < K * D; i++)
            strange += I[i] != first[i % D] && I[i] != first[D + i % D];
        for (mango_idx i = 0; i < K; i++, told++) {
            memcpy(all + told * D, I + i * D, D * sizeof *I);
            for (mango_idx j = 0; j < told; j++)
                twice += memcmp(all + told * D, all + j * D, D * sizeof *I) == 0;
        }
    }
    T_CHECK(twice <= 4); /* marks of codes may fall together */
    T_CHECK(strange <= 20); /* changes made because a child had been there */
    mango_opt_destroy(p);
}

/* The first codes: every second one a reference code, each once. */
static void t_ga_references(void)
{
    enum { D = 6, CODES = 10 };
    mango_idx n[D], codes[CODES * D], I[40 * D], K = 40, found[CODES] = {0};
    const mango_modes m = t_ga_modes(n, D, 50);
    mango_facts f = t_ga_facts();
    for (mango_idx i = 0; i < CODES * D; i++)
        codes[i] = (i * 7) % 50;
    f.n_codes = CODES;
    f.codes = codes;
    mango_opt *p = t_ga_new(&m, &f, "", 1);
    T_STATUS(mango_opt_ask(p, 40, &K, I), MANGO_OK);
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx c = 0; c < CODES; c++)
            found[c] += memcmp(I + k * D, codes + c * D, D * sizeof *I) == 0;
    for (mango_idx c = 0; c < CODES; c++)
        T_EQ(found[c], 1);
    char why[80];
    T_CHECK(mango_opt_why(p, 0, why, sizeof why) > 0 && strstr(why, "reference code"));
    T_CHECK(mango_opt_why(p, 39, why, sizeof why) > 0 && strstr(why, "uniform"));
    mango_opt_destroy(p);
}

/* A mutant of a codebook's level is near it half of the time. */
static void t_ga_codebook(void)
{
    enum { D = 8, N = 256, K = 2000 };
    static mango_idx I[K * D];
    static float levels[N];
    mango_idx n[D], zero[D] = {0}, far[D], K_ = 2, near = 0, other = 0;
    const mango_modes m = t_ga_modes(n, D, N);
    mango_facts f = t_ga_facts();
    for (mango_idx i = 0; i < N; i++)
        levels[i] = (float)((i * 37) % N); /* level i lies at place 37 i */
    f.level_dim = 1;
    f.levels = levels;
    const double y[2] = {1.0, 1.0};
    mango_opt *p = t_ga_new(&m, &f, "start=2,mutate=0.5", 3);
    T_STATUS(mango_opt_ask(p, 2, &K_, I), MANGO_OK);
    for (mango_idx j = 0; j < D; j++)
        zero[j] = far[j] = 128;
    T_STATUS(mango_opt_tell(p, 2, I, (const double[]){NAN, NAN}), MANGO_OK);
    far[0] = 0;
    memcpy(I, zero, sizeof zero);
    memcpy(I + D, far, sizeof far);
    T_STATUS(mango_opt_tell(p, 2, I, y), MANGO_OK);
    K_ = K;
    T_STATUS(mango_opt_ask(p, K, &K_, I), MANGO_OK);
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 1; j < D; j++) {
            const double off = fabs((double)levels[I[k * D + j]] - (double)levels[128]);
            near += off > 0.0 && off <= 16.0;
            other += off > 16.0;
        }
    const double share = (double)near / (double)(near + other);
    T_NEAR(share, 0.53, 0.04); /* half, and of the other half 16 of 255 or so */
    mango_opt_destroy(p);
}

/* ---- noise ----------------------------------------------------------------------- */

static double t_ga_normal(uint64_t seed, uint64_t index)
{
    mango_rng r;
    mango_rng_init(&r, seed, 77, index);
    return mango_rng_normal(&r);
}

/* Worth under noise: a value of many presentations counts in full, a lucky one of a single
 * presentation is drawn to what was expected, and told again it has the new value. */
static void t_ga_worth(void)
{
    enum { D = 3 };
    mgi_elites e = {0};
    const mango_alloc al = mgi_alloc_get(NULL);
    mango_idx I[D] = {0};
    T_STATUS(mgi_elites_create(&e, D, 8, &al), MANGO_OK);
    for (int i = 0; i < 200; i++) { /* true values of spread 1, noise of spread 2 */
        I[0] = i;
        const double y = t_ga_normal(1, (uint64_t)i) + 2.0 * t_ga_normal(2, (uint64_t)i);
        const mango_told t = {0, I, y, i % 4 ? (double)NAN : 4.0, i % 4 ? 1 : 2, 0.0};
        mgi_elites_tell(&e, &t);
    }
    mgi_elites_rank(&e);
    const mango_idx lucky[D] = {1000, 0, 0}, sure[D] = {1001, 0, 0};
    const mango_told one = {0, lucky, 6.0, NAN, 1, 0.0}, many = {0, sure, 4.0, 4.0, 100, 0.0};
    mgi_elites_tell(&e, &one);
    mgi_elites_tell(&e, &many);
    mgi_elites_rank(&e);
    T_CHECK(e.row[0].n == 100);
    T_NEAR(e.row[0].worth, 4.0, 0.3);
    mango_idx i = 0;
    while (i < e.n && e.row[i].y != 6.0)
        i++;
    T_REQUIRE(i < e.n);
    T_NEAR(e.row[i].worth, 6.0 / 5.0, 0.9); /* tau2 = 1, s2 = 4 */
    const mango_told again = {0, lucky, 6.0, 4.0, 100, 0.0};
    mgi_elites_tell(&e, &again);
    T_CHECK(e.row[0].n == 100 && e.row[0].y == 6.0 && e.row[0].worth > 5.0);
    mgi_elites_destroy(&e, &al);
}

/* A code's presentations so far: a session in small. */
typedef struct t_ga_shown {
    mango_idx I[T_GA_D], n;
    double sum, square;
} t_ga_shown;

/* Show I once more with noise; what is to be told of it. */
static mango_told t_ga_show(t_ga_shown *all, mango_idx *rows, const mango_idx *I, double noise)
{
    mango_idx r = 0;
    while (r < *rows && memcmp(all[r].I, I, sizeof all[r].I) != 0)
        r++;
    t_ga_shown *c = all + r;
    if (r == *rows) {
        memset(c, 0, sizeof *c);
        memcpy(c->I, I, sizeof c->I);
        ++*rows;
    }
    const double y = t_ga_matches(T_GA_D, I) + noise;
    c->sum += y;
    c->square += y * y;
    c->n++;
    const double n = (double)c->n, mean = c->sum / n;
    const double var = MGI_MAX(c->square - n * mean * mean, 0.0) / (n - 1.0);
    const mango_told t = {MANGO_UNASKED, I, mean, n > 1.0 ? var : (double)NAN, c->n, 0.0};
    return t;
}

/* The true value of the last batch, after 1,200 noisy presentations. */
static double t_ga_noisy(uint64_t seed, const char *set, int honest)
{
    enum { MOST = 1200, K = 20 };
    static t_ga_shown all[MOST];
    static mango_idx I[K * T_GA_D];
    mango_idx n[T_GA_D], rows = 0;
    const mango_modes m = t_ga_modes(n, T_GA_D, 8);
    mango_facts f = t_ga_facts();
    mango_told t[K];
    uint64_t id[K];
    f.noisy = 1;
    mango_opt *p = t_ga_new(&m, &f, set, seed);
    for (uint64_t shown = 0; p && shown < MOST;) {
        mango_idx k = 0;
        T_STATUS(mango_opt_ask_ids(p, K, &k, I, id), MANGO_OK);
        for (mango_idx i = 0; i < k; i++, shown++) {
            t[i] = t_ga_show(all, &rows, I + i * T_GA_D, 4.0 * t_ga_normal(seed, shown));
            t[i].id = id[i];
            t[i].var = honest ? t[i].var : (double)NAN;
        }
        T_STATUS(mango_opt_tell_all(p, k, t), MANGO_OK);
    }
    double worth = 0.0;
    for (mango_idx i = 0; i < K; i++)
        worth += t_ga_matches(T_GA_D, I + i * T_GA_D) / K;
    mango_opt_destroy(p);
    return worth;
}

/* Parents ranked by worth and the promising shown again, against luck alone. */
static void t_ga_noise(void)
{
    enum { SEEDS = 12 };
    double by_worth = 0.0, by_luck = 0.0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        by_worth += t_ga_noisy(seed, "", 1) / SEEDS;
        by_luck += t_ga_noisy(seed, "again=0", 0) / SEEDS;
    }
    if (getenv("MANGO_VERBOSE"))
        printf("    right of 24: by worth %.2f, by luck %.2f\n", by_worth, by_luck);
    T_CHECK(by_worth > by_luck + 1.0);
}

/* The same codes on every machine. */
static void t_ga_bits(void)
{
    static const uint64_t want[3] = {0x3b6f3858b1bff5bcu, 0x1cd4fad34fe463a0u,
                                     0x4bf0a3a8a09b0512u};
    for (int i = 0; i < 3; i++) {
        mango_idx n[6] = {5, 9, MANGO_REAL, 2, MANGO_REAL, 64}, I[T_GA_CAP * 6];
        const mango_modes m = {6, n};
        static const char *const set[3] = {"ordered=none", "ordered=all,select=rank", ""};
        mango_opt *p = t_ga_new(&m, NULL, set[i], 7);
        uint64_t h = 0xcbf29ce484222325u;
        for (int q = 0; q < 30; q++) {
            mango_idx K = 0;
            double y[T_GA_CAP] = {0};
            T_STATUS(mango_opt_ask(p, T_GA_CAP, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K * 6; k++) {
                h = (h ^ (uint64_t)I[k]) * 0x100000001b3u;
                y[k / 6] -= fabs((double)I[k] / (double)n[k % 6] - 0.37);
            }
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        if (h != want[i])
            printf("    set %d: 0x%08x%08xu\n", i, (unsigned)(h >> 32), (unsigned)h);
        T_CHECK(h == want[i]);
        mango_opt_destroy(p);
    }
}

void t_ga(void)
{
    T_CASE(t_ga_optima);
    T_CASE(t_ga_children);
    T_CASE(t_ga_references);
    T_CASE(t_ga_codebook);
    T_CASE(t_ga_worth);
    T_CASE(t_ga_noise);
    T_CASE(t_ga_bits);
}

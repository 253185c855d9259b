/* test_es.c - strategies that adapt a normal distribution: known optima, what they must
 * not depend on, codes of others, holes, odd spaces, the same bits, resume.
 * SPDX-License-Identifier: MIT */
#include "opt_rig.h"

static const char *const t_es_preset[] = {"sep-cma", "cma"};

static double t_es_best(const char *preset, const char *set, mango_idx d, t_rig_f f,
                        mango_idx queries, uint64_t seed)
{
    mango_idx n[T_RIG_D];
    const mango_modes m = t_rig_modes(n, d, MANGO_REAL);
    mango_opt *p = t_rig_new(preset, &m, NULL, set, seed);
    const double best = t_rig_run(p, &m, f, queries, 10);
    mango_opt_destroy(p);
    return best;
}

/* ---- known optima, on real modes ---------------------------------------------------- */

/* Published for the sphere of d=10: some 1200 values to 1e-9, here from 1 down to 1e-12;
 * of the ellipsoid with axes 1 to 1000, diagonal: 3 to 4 thousand. */
static void t_es_known(void)
{
    for (uint64_t seed = 0; seed < 3; seed++)
        for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
            T_CHECK(t_es_best(t_es_preset[i], "k=10", 10, t_rig_sphere, 2500, seed) < 1e-12);
            T_CHECK(t_es_best(t_es_preset[i], "k=10", 10, t_rig_ellipsoid, 7000, seed) < 1e-7);
        }
}

/* Turned, and bent: what takes a full matrix. Rosenbrock's function in d=6 takes CMA-ES
 * about 3000 values; the turned ellipsoid, d=8, some 4000. */
static void t_es_full(void)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        T_CHECK(t_es_best("cma", "k=10", 8, t_rig_turned, 7000, seed) < 1e-7);
        T_CHECK(t_es_best("sep-cma", "k=10", 8, t_rig_turned, 7000, seed) > 1e-5);
        T_CHECK(t_es_best("cma", "k=10,sigma=0.5", 6, t_rig_rosenbrock, 8000, seed) < 1e-7);
    }
}

/* Beyond 400 modes it is sep-cma: the same codes under the same options. */
static void t_es_falls_back(void)
{
    enum { D = 500 };
    mango_idx *n = calloc(3 * D, sizeof *n), *a = n + D, *b = a + D;
    char text[512];
    T_REQUIRE(n);
    const mango_modes m = t_rig_modes(n, D, 50);
    mango_opt *p = t_rig_new("cma", &m, NULL, "k=8,sigma=0.5,active=0", 3);
    mango_opt *q = t_rig_new("sep-cma", &m, NULL, "k=8,sigma=0.5,active=0", 3);
    for (int k = 0; k < 40; k++) {
        const uint64_t i = t_rig_ask(p, a), j = t_rig_ask(q, b);
        T_MEM(a, b, D * sizeof *a);
        t_rig_tell(p, i, a, (double)a[0]);
        t_rig_tell(q, j, b, (double)b[0]);
    }
    T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
    T_CHECK(strstr(text, "diagonal covariance, 500 modes") != NULL);
    mango_opt_destroy(p);
    mango_opt_destroy(q);
    free(n);
}

/* The optimum of a linear function is the corner: the strategy goes there, and stays. */
static double t_es_linear(mango_idx d, const double *x)
{
    double s = 0.0;
    for (mango_idx j = 0; j < d; j++)
        s -= x[j];
    return s;
}

static void t_es_corner(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++)
        T_CHECK(t_es_best(t_es_preset[i], "", 8, t_es_linear, 3000, 1) < -8.0 + 1e-6);
}

/* On levels: the best code of 16^7 under the squared distance. */
static void t_es_levels(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        mango_idx n[7];
        const mango_modes m = t_rig_modes(n, 7, 16);
        mango_opt *p = t_rig_new(t_es_preset[i], &m, NULL, "k=10", 4);
        const double best = t_rig_run(p, &m, t_rig_sphere, 1000, 10);
        const double x = t_rig_x(10, 16) - 0.3, least = 7.0 * x * x;
        T_NEAR(best, least, 1e-12);
        mango_opt_destroy(p);
    }
}

/* ---- what it must not depend on --------------------------------------------------- */

/* 200 codes asked and told in generations of k, values changed by `how`:
 * 0 as they are, 1 their cubes, 2 told backwards, 3 minimized, 4 asked one by one. */
static void t_es_codes(const char *preset, int how, mango_idx *codes)
{
    enum { D = 5, K = 10 };
    mango_idx n[D];
    const mango_modes m = t_rig_modes(n, D, MANGO_REAL);
    mango_opt *p = t_rig_new(preset, &m, NULL, how == 3 ? "k=10,minimize=1" : "k=10", 9);
    for (int g = 0; g < 20; g++, codes += K * D) {
        mango_told t[K];
        for (mango_idx k = 0, got = 1; k < K; k += got) {
            uint64_t id[K];
            got = how == 4 ? 1 : K;
            T_STATUS(mango_opt_ask_ids(p, got, &got, codes + k * D, id), MANGO_OK);
            for (mango_idx i = k; i < k + got; i++) {
                const double y = 1.0 - t_rig_value(t_rig_sphere, D, n, codes + i * D);
                mango_told *to = t + (how == 2 ? K - 1 - i : i);
                memset(to, 0, sizeof *to);
                to->id = id[i - k], to->I = codes + i * D, to->var = NAN, to->n = 1;
                to->y = how == 1 ? y * y * y : how == 3 ? -y : y;
            }
        }
        T_STATUS(mango_opt_tell_all(p, K, t), MANGO_OK);
    }
    mango_opt_destroy(p);
}

static void t_es_invariant(void)
{
    static mango_idx plain[1000], other[1000];
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        t_es_codes(t_es_preset[i], 0, plain);
        for (int how = 1; how <= 4; how++) {
            t_es_codes(t_es_preset[i], how, other);
            T_MEM(other, plain, sizeof plain);
        }
    }
}

/* Equal and missing values teach nothing: the step and the mean stay as they were. */
static void t_es_nothing(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++)
        for (int missing = 0; missing < 2; missing++) {
            mango_idx n[20], I[20];
            const mango_modes m = t_rig_modes(n, 20, 64);
            mango_opt *p = t_rig_new(t_es_preset[i], &m, NULL, "k=8,sigma=0.7", 5);
            char text[512];
            for (int q = 0; q < 80; q++) {
                const uint64_t id = t_rig_ask(p, I);
                t_rig_tell(p, id, I, missing ? (double)NAN : 3.0);
            }
            T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
            T_CHECK(strstr(text, "generation 10 of 8, 0 values of the next, 0 re") != NULL);
            T_CHECK(strstr(text, "step sigma 0.7,") != NULL);
            T_CHECK(strstr(text, "mean at distance 0,") != NULL);
            T_CHECK(mango_opt_why(p, 0, text, sizeof text) > 0);
            mango_opt_destroy(p);
        }
}

/* Half the values missing, the others late and mixed: it still gets there. */
static void t_es_holes(void)
{
    enum { D = 6, K = 24 };
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        mango_idx n[D], I[K * D];
        uint64_t id[K];
        const mango_modes m = t_rig_modes(n, D, MANGO_REAL);
        mango_opt *p = t_rig_new(t_es_preset[i], &m, NULL, "k=10", 6);
        double best = INFINITY;
        mango_rng r;
        mango_rng_init(&r, 1, 2, 3);
        for (mango_idx q = 0; q < 6000; q++) {
            const mango_idx at = mango_rng_int(&r, K); /* one of K that are under way */
            if (q >= K) {
                const double y = t_rig_value(t_rig_sphere, D, n, I + at * D);
                best = fmin(best, y);
                t_rig_tell(p, id[at], I + at * D, mango_rng_int(&r, 2) ? -y : (double)NAN);
            }
            id[q < K ? q : at] = t_rig_ask(p, I + (q < K ? q : at) * D);
        }
        T_CHECK(best < 1e-6);
        mango_opt_destroy(p);
    }
}

/* ---- codes of others ------------------------------------------------------------------ */

/* Queries until sphere < 1e-3, with somebody who now and then tells a better code. */
static mango_idx t_es_helped(const char *preset, int help)
{
    enum { D = 20 };
    mango_idx n[D], I[D], best[D], q = 0;
    const mango_modes m = t_rig_modes(n, D, MANGO_REAL);
    mango_opt *p = t_rig_new(preset, &m, NULL, "", 8);
    double y = INFINITY, least = INFINITY;
    for (; q < 8000 && least > 1e-3; q++) {
        const uint64_t id = t_rig_ask(p, I);
        y = t_rig_value(t_rig_sphere, D, n, I);
        if (y < least)
            memcpy(best, I, sizeof best);
        least = fmin(least, y);
        t_rig_tell(p, id, I, -y);
        if (!help || q % 10)
            continue;
        for (int j = 0; j < D; j++) /* a tenth of the way to the optimum, .65 of the range */
            best[j] += (mango_idx)(0.1 * (0.65 * (double)MANGO_REAL - (double)best[j]));
        t_rig_tell(p, MANGO_UNASKED, best, -t_rig_value(t_rig_sphere, D, n, best));
    }
    mango_opt_destroy(p);
    return q;
}

/* Bad codes of others change nothing but for the rates; good ones help. */
static void t_es_inject(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        const mango_idx alone = t_es_helped(t_es_preset[i], 0);
        const mango_idx helped = t_es_helped(t_es_preset[i], 1);
        T_CHECK(alone < 8000);
        T_CHECK(helped < alone);
    }
}

/* With inject=0 they are not even looked at: the same codes are asked. */
static void t_es_alone(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        mango_idx n[4], a[4], b[4];
        const mango_modes m = t_rig_modes(n, 4, 30);
        mango_opt *p = t_rig_new(t_es_preset[i], &m, NULL, "inject=0", 8);
        mango_opt *q = t_rig_new(t_es_preset[i], &m, NULL, "inject=0", 8);
        const mango_idx other[4] = {3, 3, 3, 3};
        int differ = 0;
        for (int k = 0; k < 200; k++) {
            const uint64_t id = t_rig_ask(p, a);
            t_rig_tell(p, id, a, -t_rig_value(t_rig_sphere, 4, n, a));
            t_rig_tell(q, MANGO_UNASKED, other, 1000.0 + k);
            const uint64_t mine = t_rig_ask(q, b);
            t_rig_tell(q, mine, b, -t_rig_value(t_rig_sphere, 4, n, b));
            differ += memcmp(a, b, sizeof a) != 0;
        }
        T_EQ(differ, 0);
        mango_opt_destroy(p);
        mango_opt_destroy(q);
    }
}

/* ---- latents ------------------------------------------------------------------------- */

/* First codes are drawn around z = 0 with the step that was asked for. */
static void t_es_latent(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        enum { D = 128, K = 64 };
        static mango_idx n[D], I[K * D];
        const mango_modes m = t_rig_modes(n, D, 64);
        mango_facts f;
        mango_idx got = K;
        double sum = 0.0, squares = 0.0;
        T_STATUS(mango_facts_defaults(&f), MANGO_OK);
        f.prior = MANGO_PRIOR_NORMAL;
        f.prior_lo = -4.0, f.prior_hi = 4.0;
        mango_opt *p = t_rig_new(t_es_preset[i], &m, &f, "sigma=0.7", 2);
        T_STATUS(mango_opt_ask(p, K, &got, I), MANGO_OK);
        for (int k = 0; k < K * D; k++) {
            const double z = -4.0 + (double)I[k] * 8.0 / 63.0;
            sum += z / (K * D);
            squares += z * z / (K * D);
        }
        T_NEAR(sum, 0.0, 0.03);
        T_NEAR(sqrt(squares), 0.7, 0.02);
        mango_opt_destroy(p);
    }
}

/* Where values are noisy every k-th proposal is the mean, once there is one: it stands in
 * the middle of the others. The others are those of a search without noise. */
static void t_es_mean(void)
{
    enum { D = 100, K = 10 };
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        static mango_idx n[D], a[K * D], b[K * D];
        const mango_modes m = t_rig_modes(n, D, 1000);
        mango_facts f;
        T_STATUS(mango_facts_defaults(&f), MANGO_OK);
        mango_opt *q = t_rig_new(t_es_preset[i], &m, &f, "k=10,sigma=0.5", 5);
        f.noisy = 1;
        mango_opt *p = t_rig_new(t_es_preset[i], &m, &f, "k=10,sigma=0.5", 5);
        for (int g = 0; g < 2; g++)
            for (int k = 0; k < K; k++) {
                const uint64_t x = t_rig_ask(p, a + k * D), y = t_rig_ask(q, b + k * D);
                T_EQ(memcmp(a + k * D, b + k * D, D * sizeof *a) == 0, g == 0 || k > 0);
                if (g > 0)
                    continue;
                t_rig_tell(p, x, a + k * D, (double)a[k * D]);
                t_rig_tell(q, y, b + k * D, (double)b[k * D]);
            }
        double off[2] = {0.0, 0.0};
        for (int j = 0; j < D; j++) {
            double middle = 0.0;
            for (int k = 2; k < K; k++)
                middle += (double)a[k * D + j] / (K - 2);
            for (int k = 0; k < 2; k++)
                off[k] += fabs((double)a[k * D + j] - middle) / D;
        }
        T_CHECK(off[0] < 0.6 * off[1]); /* 1/3 is expected: sqrt(1/8)/sqrt(1 + 1/8) */
        mango_opt_destroy(p);
        mango_opt_destroy(q);
    }
}

/* ---- odd spaces, memory, bits, resume -------------------------------------------------- */

static void t_es_hard(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++)
        t_rig_hard(t_es_preset[i]);
}

/* A space of four codes is exhausted at once: the search starts again, and goes on. */
static void t_es_small(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        mango_idx n[2];
        const mango_modes m = t_rig_modes(n, 2, 2);
        mango_opt *p = t_rig_new(t_es_preset[i], &m, NULL, "k=6", 1);
        char text[512];
        T_NEAR(t_rig_run(p, &m, t_rig_sphere, 600, 6), 2.0 * 0.49, 1e-12);
        T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
        T_CHECK(strstr(text, " 0 restarts") == NULL);
        T_STATUS(mango_opt_restart(p), MANGO_OK);
        mango_opt_destroy(p);
    }
}

static void t_es_memory(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        char name[32];
        mgi_copy(name, sizeof name, t_es_preset[i]);
        T_CHECK(t_oom_sweep(t_rig_make, name) >= 10);
    }
}

static void t_es_bits(void)
{
    static const uint64_t want[] = {0x1c30772eaa2ea463u, 0xe3d92653498d030fu};
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++) {
        const uint64_t h = t_rig_hash(t_es_preset[i], NULL, "k=8");
        if (!T_CHECK(h == want[i]))
            printf("    %s: 0x%016llxu\n", t_es_preset[i], (unsigned long long)h);
    }
}

static void t_es_resume(void)
{
    for (int i = 0; i < MGI_COUNT(t_es_preset); i++)
        t_rig_resume(t_es_preset[i]);
}

void t_es(void)
{
    T_CASE(t_es_known);
    T_CASE(t_es_full);
    T_CASE(t_es_falls_back);
    T_CASE(t_es_corner);
    T_CASE(t_es_levels);
    T_CASE(t_es_invariant);
    T_CASE(t_es_nothing);
    T_CASE(t_es_holes);
    T_CASE(t_es_inject);
    T_CASE(t_es_alone);
    T_CASE(t_es_latent);
    T_CASE(t_es_mean);
    T_CASE(t_es_hard);
    T_CASE(t_es_small);
    T_CASE(t_es_memory);
    T_CASE(t_es_bits);
    T_CASE(t_es_resume);
}

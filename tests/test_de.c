/* test_de.c - differential evolution: known optima, the first population, who replaces
 * whom, codes of others, odd spaces, the same bits, resume.
 * SPDX-License-Identifier: MIT */
#include "opt_rig.h"

static double t_de_best(const char *set, mango_idx d, mango_idx levels, t_rig_f f,
                        mango_idx queries, uint64_t seed)
{
    mango_idx n[T_RIG_D];
    const mango_modes m = t_rig_modes(n, d, levels);
    mango_opt *p = t_rig_new("de", &m, NULL, set, seed);
    const double best = t_rig_run(p, &m, f, queries, 10);
    mango_opt_destroy(p);
    return best;
}

static void t_de_known(void)
{
    const double x = t_rig_x(10, 16) - 0.3; /* the nearest of 16 levels */
    for (uint64_t seed = 0; seed < 3; seed++) {
        T_CHECK(t_de_best("", 6, MANGO_REAL, t_rig_sphere, 6000, seed) < 1e-6);
        T_CHECK(t_de_best("crossover=uniform", 3, MANGO_REAL, t_rig_sphere, 3000, seed) < 1e-6);
        T_NEAR(t_de_best("", 7, 16, t_rig_sphere, 3000, seed), 7.0 * x * x, 0.02);
    }
}

/* The first 30 are uniform codes: every level of 4 about as often as any other. */
static void t_de_first(void)
{
    enum { D = 100, K = 30 };
    mango_idx n[D], I[K * D], count[4] = {0}, K1 = K;
    const mango_modes m = t_rig_modes(n, D, 4);
    mango_opt *p = t_rig_new("de", &m, NULL, "", 2);
    T_STATUS(mango_opt_ask(p, K, &K1, I), MANGO_OK);
    T_EQ(K1, K);
    for (int i = 0; i < K * D; i++)
        count[I[i]]++;
    for (int l = 0; l < 4; l++)
        T_CHECK(count[l] > 650 && count[l] < 850); /* 750, standard deviation 24 */
    mango_opt_destroy(p);
}

/* With F_1 = F_2 = 0 a child is its parent: the population does not move, whoever is told
 * better; proposals repeat in the order of the population. */
static void t_de_parent(void)
{
    enum { D = 8, N = 6 };
    mango_idx n[D], first[N][D], I[D];
    const mango_modes m = t_rig_modes(n, D, 40);
    mango_opt *p = t_rig_new("de", &m, NULL, "population=6,f1=0,f2=0", 2);
    char text[128];
    for (int q = 0; q < 4 * N; q++) {
        const uint64_t id = t_rig_ask(p, I);
        if (q < N)
            memcpy(first[q], I, sizeof I);
        T_MEM(I, first[q % N], sizeof I);
        T_CHECK(mango_opt_why(p, 0, text, sizeof text) > 0);
        T_CHECK(strstr(text, q < N ? "uniform code for place" : "child of") != NULL);
        t_rig_tell(p, id, I, 1.0);
    }
    mango_opt_destroy(p);
}

/* A child that is worse leaves its parent; one that is as good takes its place. */
static void t_de_replaces(void)
{
    enum { D = 5, N = 4 };
    for (int better = 0; better < 2; better++) {
        mango_idx n[D], I[D], other[D] = {1, 2, 3, 4, 5};
        const mango_modes m = t_rig_modes(n, D, 30);
        mango_opt *p = t_rig_new("de", &m, NULL, "population=4,f1=0,f2=0", 9);
        for (int q = 0; q < N; q++) {
            const uint64_t id = t_rig_ask(p, I);
            t_rig_tell(p, id, I, (double)q);
        }
        const uint64_t id = t_rig_ask(p, I); /* child of number 0, shown as another code */
        t_rig_tell(p, id, other, better ? 0.0 : -1.0);
        for (int q = 1; q < N; q++)
            t_rig_ask(p, I);
        t_rig_ask(p, I);
        T_EQ(memcmp(I, other, sizeof I) == 0, better);
        mango_opt_destroy(p);
    }
}

/* A code of somebody else takes the place of the worst, when it is better than that. */
static void t_de_others(void)
{
    enum { D = 5, N = 4 };
    for (int better = 0; better < 2; better++) {
        mango_idx n[D], I[D], other[D] = {1, 2, 3, 4, 5};
        const mango_modes m = t_rig_modes(n, D, 30);
        mango_opt *p = t_rig_new("de", &m, NULL, "population=4,f1=0,f2=0", 9);
        for (int q = 0; q < N; q++) {
            const uint64_t id = t_rig_ask(p, I);
            t_rig_tell(p, id, I, q == 2 ? -5.0 : (double)q);
        }
        t_rig_tell(p, MANGO_UNASKED, other, better ? -4.0 : -6.0);
        for (int q = 0; q < 3; q++)
            t_rig_ask(p, I);
        T_EQ(memcmp(I, other, sizeof I) == 0, better);
        mango_opt_destroy(p);
    }
}

/* Two cuts: with a = b and F_2 = 1 a child has modes of its parent and of the best, in
 * at most two changes, and both kinds but for accidents of equal levels. */
static void t_de_cuts(void)
{
    enum { D = 40 };
    mango_idx n[D], best[D], parent[D], I[D], both = 0;
    const mango_modes m = t_rig_modes(n, D, 5);
    mango_opt *p = t_rig_new("de", &m, NULL, "population=4,f1=0,f2=1", 1);
    for (int j = 0; j < D; j++)
        best[j] = 0, parent[j] = 4;
    for (int q = 0; q < 4; q++) { /* one best, three equal parents */
        const uint64_t id = t_rig_ask(p, I);
        t_rig_tell(p, id, q ? parent : best, q ? 0.0 : 1.0);
    }
    for (int q = 0; q < 400; q++) {
        t_rig_ask(p, I);
        int changes = 0, from_best = 0;
        for (int j = 0; j < D; j++) {
            changes += j > 0 && I[j] != I[j - 1];
            from_best += I[j] == 0;
            T_CHECK(I[j] == 0 || I[j] == 4);
        }
        T_CHECK(changes <= 2);
        both += from_best > 0 && from_best < D;
    }
    T_EQ(both, 300); /* all but those of the best itself */
    mango_opt_destroy(p);
}

static void t_de_hard(void)
{
    t_rig_hard("de");
}

static void t_de_memory(void)
{
    char name[] = "de";
    T_CHECK(t_oom_sweep(t_rig_make, name) >= 10);
}

static void t_de_bits(void)
{
    const uint64_t h = t_rig_hash("de", NULL, "");
    if (!T_CHECK(h == 0x69d711fb533177e2u))
        printf("    0x%016llxu\n", (unsigned long long)h);
}

static void t_de_resume(void)
{
    t_rig_resume("de");
}

void t_de(void)
{
    T_CASE(t_de_known);
    T_CASE(t_de_first);
    T_CASE(t_de_parent);
    T_CASE(t_de_replaces);
    T_CASE(t_de_others);
    T_CASE(t_de_cuts);
    T_CASE(t_de_hard);
    T_CASE(t_de_memory);
    T_CASE(t_de_bits);
    T_CASE(t_de_resume);
}

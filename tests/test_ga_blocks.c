/* test_ga_blocks.c - crossover on a grid, the ranked population, and the GA made of them.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GAB_H = 6, T_GAB_W = 9, T_GAB_CELLS = T_GAB_H * T_GAB_W, T_GAB_D = T_GAB_CELLS + 5,
       T_GAB_L = 40 };

/* ---- operators ------------------------------------------------------------------ */

/* A grid of 6 x 9 cells and five modes behind it; level i is embedded at (i^2, 0). */
static void t_gab_space(mango_opt *o, mango_idx *n, float *level)
{
    memset(o, 0, sizeof *o);
    o->al = mgi_alloc_get(NULL);
    o->d = T_GAB_D;
    o->n = n;
    for (mango_idx j = 0; j < T_GAB_D; j++)
        n[j] = j < T_GAB_CELLS ? T_GAB_L : 1 + j % 4;
    for (mango_idx i = 0; i < T_GAB_L; i++) {
        level[2 * i] = (float)(i * i);
        level[2 * i + 1] = 0.0f;
    }
    o->facts.H = T_GAB_H;
    o->facts.W = T_GAB_W;
    o->facts.level_dim = 2;
    o->facts.levels = level;
}

/* Parent a is all even levels, b all odd: whose a level is, it tells itself. */
static void t_gab_parents(mango_idx *a, mango_idx *b)
{
    for (mango_idx j = 0; j < T_GAB_D; j++) {
        a[j] = 2 * (j % (T_GAB_L / 2));
        b[j] = 2 * (j * 7 % (T_GAB_L / 2)) + 1;
    }
}

static mango_idx t_gab_of_b(mango_idx from, mango_idx to, const mango_idx *child)
{
    mango_idx k = 0;
    for (mango_idx j = from; j < to; j++)
        k += child[j] % 2;
    return k;
}

static void t_gab_uniform(void)
{
    mango_opt o;
    mango_idx n[T_GAB_D], a[T_GAB_D], b[T_GAB_D], child[T_GAB_D], taken = 0, behind = 0;
    float level[2 * T_GAB_L];
    mgi_cross c;
    mango_rng rng;
    t_gab_space(&o, n, level);
    t_gab_parents(a, b);
    T_STATUS(mgi_cross_init(&c, &o), MANGO_OK);
    mango_rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 400; i++) {
        memcpy(child, a, sizeof a);
        mgi_cross_uniform(&c, &rng, 0.3, b, child);
        taken += t_gab_of_b(0, T_GAB_D, child);
        for (mango_idx j = 0; j < T_GAB_D; j++)
            T_CHECK(child[j] == a[j] || child[j] == b[j]);
        memcpy(child, a, sizeof a);
        mgi_cross_behind(&c, &rng, 0.5, b, child);
        T_EQ(t_gab_of_b(0, T_GAB_CELLS, child), 0);
        behind += t_gab_of_b(T_GAB_CELLS, T_GAB_D, child);
    }
    T_NEAR((double)taken / (400.0 * T_GAB_D), 0.3, 0.02);
    T_NEAR((double)behind / (400.0 * 5), 0.5, 0.06);
    mgi_cross_free(&c, &o.al);
}

/* What comes from b is one run on the ring of modes, of any length and at any place. */
static void t_gab_two_point(void)
{
    mango_idx n[T_GAB_D], a[T_GAB_D], b[T_GAB_D], child[T_GAB_D], most = 0, ends = 0;
    const mgi_cross c = {.d = T_GAB_D, .n = n};
    mango_rng rng;
    t_gab_parents(a, b);
    mango_rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 500; i++) {
        mango_idx edges = 0;
        memcpy(child, a, sizeof a);
        mgi_cross_two_point(&c, &rng, b, child);
        for (mango_idx j = 0; j < T_GAB_D; j++) {
            T_CHECK(child[j] == a[j] || child[j] == b[j]);
            edges += child[j] % 2 != child[(j + 1) % T_GAB_D] % 2;
        }
        const mango_idx run = t_gab_of_b(0, T_GAB_D, child);
        T_CHECK(run >= 1 && edges == (run < T_GAB_D ? 2 : 0));
        most = MGI_MAX(most, run);
        ends += child[0] % 2 == 1 && child[T_GAB_D - 1] % 2 == 1 && run < T_GAB_D;
    }
    T_CHECK(most > T_GAB_D - 5 && ends > 50);
}

/* Cell (v,u) of the child: of b, from where (5) says, in the box; of a outside. */
static void t_gab_tile_check(const mango_idx *a, const mango_idx *b, const mango_idx *child,
                             mgi_box to, mgi_box from)
{
    mango_idx wrong = 0;
    for (mango_idx v = 0; v < T_GAB_H; v++)
        for (mango_idx u = 0; u < T_GAB_W; u++) {
            const mango_idx y = v - to.y, x = u - to.x, at = v * T_GAB_W + u;
            const int in = y >= 0 && y < to.h && x >= 0 && x < to.w;
            const mango_idx src = (from.y + y % from.h) * T_GAB_W + from.x + x % from.w;
            wrong += child[at] != (in ? b[src] : a[at]);
        }
    for (mango_idx j = T_GAB_CELLS; j < T_GAB_D; j++)
        wrong += child[j] != a[j];
    T_EQ(wrong, 0);
}

static void t_gab_boxes(void)
{
    mango_idx n[T_GAB_D], a[T_GAB_D], b[T_GAB_D], child[T_GAB_D], low = 0, high = 0;
    const mgi_cross c = {.d = T_GAB_D, .n = n, .H = T_GAB_H, .W = T_GAB_W};
    mango_rng rng;
    t_gab_parents(a, b);
    mango_rng_init(&rng, 4, 5, 6);
    for (int i = 0; i < 1000; i++) {
        const mgi_box to = mgi_cross_box(&c, &rng, 3, 8), from = mgi_cross_box(&c, &rng, 2, 4);
        T_CHECK(to.y >= 0 && to.h >= 3 && to.h <= 6 && to.y + to.h <= T_GAB_H);
        T_CHECK(to.x >= 0 && to.w >= 3 && to.w <= 8 && to.x + to.w <= T_GAB_W);
        low += to.y == 0 && to.x == 0;
        high += to.y + to.h == T_GAB_H && to.x + to.w == T_GAB_W;
        memcpy(child, a, sizeof a);
        mgi_cross_tile(&c, to, from, b, child);
        t_gab_tile_check(a, b, child, to, from);
        memcpy(child, a, sizeof a);
        mgi_cross_tile(&c, to, to, b, child); /* a block that stays */
        t_gab_tile_check(a, b, child, to, to);
    }
    T_CHECK(low > 80 && high > 80);
}

/* Half of the mutations go to one of the 16 nearest of a level; i^2 is nearest to (i-1)^2. */
static void t_gab_mutate(void)
{
    mango_opt o;
    mango_idx n[T_GAB_D], a[T_GAB_D], b[T_GAB_D], child[T_GAB_D];
    mango_idx changed = 0, near = 0, places = 0;
    float level[2 * T_GAB_L];
    mgi_cross c;
    mango_rng rng;
    t_gab_space(&o, n, level);
    t_gab_parents(a, b);
    T_STATUS(mgi_cross_init(&c, &o), MANGO_OK);
    T_EQ(c.n_near, 16);
    T_EQ(c.near[20 * 16], 19);
    T_EQ(c.near[20 * 16 + 1], 21);
    T_EQ(c.near[39 * 16 + 15], 23);
    a[T_GAB_D - 1] = a[T_GAB_D - 2] = a[T_GAB_D - 3] = a[T_GAB_D - 4] = a[T_GAB_D - 5] = 0;
    mango_rng_init(&rng, 1, 2, 3);
    for (int i = 0; i < 2000; i++) {
        memcpy(child, a, sizeof a);
        mango_idx said = mgi_cross_mutate(&c, &rng, 0.2, child);
        for (mango_idx j = 0; j < T_GAB_D; j++) {
            T_CHECK(child[j] >= 0 && child[j] < n[j]);
            said -= child[j] != a[j];
            if (j >= T_GAB_CELLS)
                continue;
            places++;
            changed += child[j] != a[j];
            for (int k = 0; k < 16 && child[j] != a[j]; k++)
                near += c.near[a[j] * 16 + k] == child[j];
        }
        T_EQ(said, 0);
    }
    T_NEAR((double)changed / (double)places, 0.2, 0.01);
    T_NEAR((double)near / (double)changed, 0.5 + 0.5 * 16 / 39, 0.02);
    mgi_cross_free(&c, &o.al);
}

/* ---- population ------------------------------------------------------------------ */

static mango_told t_gab_told(const mango_idx *I, double y, double tie, uint64_t id)
{
    const mango_told t = {id, I, y, NAN, 1, tie};
    return t;
}

/* Of 2 x 8 members the best eight stay, of the others the newest. */
static void t_gab_population(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_population p;
    mango_idx best = 0, newest = 0;
    T_STATUS(mgi_population_create(&p, 2, 16, &al), MANGO_OK);
    for (mango_idx i = 0; i < 200; i++) {
        const mango_idx I[2] = {i, 7};
        const mango_told t = t_gab_told(I, (double)(i * 37 % 101), 0.0, (uint64_t)i);
        T_CHECK(!mgi_population_knows(&p, I));
        T_CHECK(mgi_population_tell(&p, &t) >= 0);
        T_CHECK(mgi_population_knows(&p, I) && mgi_population_note(&p, I));
    }
    T_EQ(p.n, 16);
    for (mango_idx r = 0; r < 16; r++) {
        const mgi_member *m = mgi_population_at(&p, r);
        T_CHECK(r == 0 || m->told.y <= mgi_population_at(&p, r - 1)->told.y);
        T_CHECK(m->told.y == (double)(m->told.I[0] * 37 % 101));
        best += r < 8 && m->told.y >= 97.0;
        newest += r >= 8 && m->told.I[0] >= 188;
    }
    T_EQ(best, 8);
    T_EQ(newest, 8);
    mgi_population_clear(&p);
    T_EQ(p.n, 0);
    mgi_population_free(&p, &al);
}

/* Told again: by its id it is replaced, by another id pooled. Ties order equal values, then
 * the newer is first; what is missing is known but no member. */
static void t_gab_again(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_population p;
    static const mango_idx I[4][1] = {{0}, {1}, {2}, {3}};
    mango_told t = t_gab_told(I[0], 1.0, 0.0, 0);
    T_STATUS(mgi_population_create(&p, 1, 16, &al), MANGO_OK);
    mgi_population_tell(&p, &t);
    t = t_gab_told(I[1], 2.0, 0.0, 1);
    mgi_population_tell(&p, &t);
    T_EQ(mgi_population_at(&p, 0)->told.I[0], 1);
    t = t_gab_told(I[1], 0.5, 0.0, 1);
    T_EQ(mgi_population_tell(&p, &t), 1);
    T_CHECK(p.n == 2 && mgi_population_at(&p, 1)->told.y == 0.5);
    t = t_gab_told(I[1], 2.0, 0.0, 9);
    t.n = 2;
    mgi_population_tell(&p, &t);
    T_CHECK(p.n == 2 && p.member[1].told.y == 1.5 && p.member[1].told.n == 3);
    t = t_gab_told(I[2], 1.5, 0.0, 2);
    mgi_population_tell(&p, &t);
    T_EQ(mgi_population_at(&p, 0)->told.I[0], 2);
    t = t_gab_told(I[3], 1.5, -0.1, 3);
    mgi_population_tell(&p, &t);
    T_EQ(mgi_population_at(&p, 2)->told.I[0], 3);
    static const mango_idx gone[1] = {9};
    t = t_gab_told(gone, NAN, 0.0, 4);
    T_EQ(mgi_population_tell(&p, &t), -1);
    T_CHECK(p.n == 4 && mgi_population_knows(&p, gone));
    mgi_population_free(&p, &al);
}

/* ---- the method -------------------------------------------------------------------- */

/* A texture on a grid of 8 x 8 cells of 32 levels: a cell counts when its right neighbour is
 * seven levels further, again when the one below is five further. */
static double t_gab_texture(const mango_idx *I)
{
    double s = 0.0;
    for (int v = 0; v < 8; v++)
        for (int u = 0; u < 8; u++) {
            const mango_idx x = I[8 * v + u];
            const int right = u < 7 && (x + 7) % 32 == I[8 * v + u + 1];
            const int below = v < 7 && (x + 5) % 32 == I[8 * v + u + 8];
            s += right + below + 2 * (right && below);
        }
    return s / 210.0;
}

static mango_opt *t_gab_new(const char *name, const char *set, const mango_modes *m,
                            const mango_facts *f, uint64_t seed)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, m, f, &o, seed, NULL, &err), &err);
    return p;
}

/* The best texture in `budget` queries, the mean of five seeds. */
static double t_gab_score(const char *name, const char *set, const mango_facts *f,
                          mango_idx budget)
{
    mango_idx n[64], I[64 * 64];
    double y[64], sum = 0.0;
    for (int j = 0; j < 64; j++)
        n[j] = 32;
    const mango_modes m = {64, n};
    for (uint64_t seed = 0; seed < 5; seed++) {
        mango_opt *p = t_gab_new(name, set, &m, f, seed);
        for (mango_idx done = 0, K; p && done < budget; done += K) {
            K = 0;
            T_STATUS(mango_opt_ask(p, MGI_MIN(64, budget - done), &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = t_gab_texture(I + 64 * k);
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        double best = 0.0;
        T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
        sum += best / 5.0;
        mango_opt_destroy(p);
    }
    return sum;
}

static void t_gab_wins(void)
{
    mango_facts f;
    mango_facts_defaults(&f);
    const double flat = t_gab_score("ga-blocks", "", &f, 1000);
    f.H = f.W = 8;
    const double grid = t_gab_score("ga-blocks", "", &f, 1000);
    const double one = t_gab_score("one-plus-one", "", &f, 1000);
    const double random = t_gab_score("random", "", &f, 1000);
    T_CHECK(grid > 1.25 * one && grid > 4.0 * random);
    T_CHECK(grid > 1.4 * flat && flat > 2.0 * random);
}

/* Reference codes come first, in an order of the seed, and are mates later. */
static void t_gab_references(void)
{
    mango_idx n[64], codes[40 * 64], I[40 * 64], K = 40, hits = 0, in_order = 0;
    mango_facts f;
    char why[200];
    for (int j = 0; j < 64; j++)
        n[j] = 32;
    for (int i = 0; i < 40 * 64; i++)
        codes[i] = (i / 64 * 11 + i % 64 * 7 * (i / 64 % 3)) % 32;
    const mango_modes m = {64, n};
    mango_facts_defaults(&f);
    f.H = f.W = 8;
    f.n_codes = 40;
    f.codes = codes;
    mango_opt *p = t_gab_new("ga-blocks", "start=40,k=40", &m, &f, 3);
    T_STATUS(mango_opt_ask(p, 40, &K, I), MANGO_OK);
    for (mango_idx k = 0; k < 40; k++)
        for (mango_idx r = 0; r < 40; r++) {
            const int same = memcmp(I + 64 * k, codes + 64 * r, 64 * sizeof *I) == 0;
            hits += same;
            in_order += same && r == k;
        }
    T_CHECK(hits >= 40 && in_order < 10);
    T_CHECK(mango_opt_why(p, 0, why, sizeof why) > 0 && strstr(why, "reference code"));
    mango_opt_destroy(p);
    const double with = t_gab_score("ga-blocks", "", &f, 300);
    T_CHECK(with > t_gab_score("ga-blocks", "references=0", &f, 300));
}

/* The same proposals on every machine; what is minimized is the mirror; tells in pieces,
 * and one ask of 30 or three of ten, are the same. */
static void t_gab_bits(void)
{
    mango_idx n[64], I[30 * 64], J[30 * 64];
    mango_facts f;
    for (int j = 0; j < 64; j++)
        n[j] = 32;
    const mango_modes m = {64, n};
    mango_facts_defaults(&f);
    f.H = f.W = 8;
    mango_opt *p = t_gab_new("ga-blocks", "", &m, &f, 7);
    mango_opt *q = t_gab_new("ga-blocks", "minimize=1", &m, &f, 7);
    uint64_t h = 0xcbf29ce484222325u;
    for (int round = 0; round < 20; round++) {
        double y[30], z[30];
        mango_idx K = 30;
        T_STATUS(mango_opt_ask(p, 30, &K, I), MANGO_OK);
        for (int i = 0; i < 3; i++) {
            K = 10;
            T_STATUS(mango_opt_ask(q, 10, &K, J + 640 * i), MANGO_OK);
        }
        T_MEM(J, I, sizeof I);
        for (int k = 0; k < 30; k++) {
            y[k] = k % 7 == 6 ? (double)NAN : t_gab_texture(I + 64 * k);
            z[k] = -y[k];
        }
        for (int i = 0; i < 30 * 64; i++)
            h = (h ^ (uint64_t)I[i]) * 0x100000001b3u;
        T_STATUS(mango_opt_tell(p, 30, I, y), MANGO_OK);
        for (int k = 0; k < 30; k++)
            T_STATUS(mango_opt_tell(q, 1, J + 64 * k, z + k), MANGO_OK);
    }
    T_CHECK(h == 0xcaeae44797fde7d7u);
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* Under noise a code that was shown often is believed, a lucky one is not. */
static void t_gab_noise(void)
{
    mango_idx n[16], I[16], from_known = 0;
    mango_facts f;
    for (int j = 0; j < 16; j++)
        n[j] = 100;
    const mango_modes m = {16, n};
    mango_facts_defaults(&f);
    f.noisy = 1;
    mango_opt *p = t_gab_new("ga-blocks", "parents=2,start=2,mutation=0", &m, &f, 7);
    for (mango_idx i = 0; i < 12; i++) { /* all but the first two were shown once */
        mango_told t = {MANGO_UNASKED, I, (double)(i % 4), 4.0, 1, 0.0};
        for (int j = 0; j < 16; j++)
            I[j] = i < 2 ? 60 + i : i;
        t.y = i < 2 ? 2.9 : (double)(i % 4);
        t.n = i < 2 ? 400 : 1;
        T_STATUS(mango_opt_tell_all(p, 1, &t), MANGO_OK);
    }
    for (int q = 0; q < 20; q++) {
        mango_idx K = 1;
        T_STATUS(mango_opt_ask(p, 1, &K, I), MANGO_OK);
        for (int j = 0; j < 16; j++)
            from_known += I[j] == 60 || I[j] == 61;
    }
    T_CHECK(from_known > 16 * 20 * 8 / 10);
    mango_opt_destroy(p);
}

/* A search that stalls starts anew; its best codes come back when the second stalls. */
static void t_gab_islands(void)
{
    enum { SEVEN = 7 };
    mango_idx n[64], I[10 * 64], fresh = 0, back = 0;
    mango_facts f;
    for (int j = 0; j < 64; j++)
        n[j] = 32;
    const mango_modes m = {64, n};
    mango_facts_defaults(&f);
    mango_opt *p = t_gab_new("ga-blocks", "stall=50,start=10,mutation=0", &m, &f, 7);
    for (int round = 0; round < 20; round++) { /* the more sevens the better, until none */
        mango_idx K = 10, sevens = 0;
        double y[10];
        T_STATUS(mango_opt_ask(p, 10, &K, I), MANGO_OK);
        for (mango_idx i = 0; i < 10 * 64; i++)
            sevens += I[i] == SEVEN;
        for (mango_idx k = 0; k < 10; k++)
            y[k] = round == 0 ? (double)k + 1.0 : round < 7 ? 0.0 : 0.5;
        if (round == 0) /* the first island's best is a code of sevens */
            for (mango_idx j = 0; j < 64; j++)
                I[9 * 64 + j] = SEVEN;
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        fresh += round == 6 && sevens < 60;
        back += round > 12 && sevens > 100;
    }
    T_EQ(fresh, 1);
    T_CHECK(back > 0);
    mango_opt_destroy(p);
}

/* The hall keeps the best sixteen of all that were sent, each code once. */
static void t_gab_hall(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_islands s;
    mgi_population p;
    T_STATUS(mgi_population_create(&p, 1, 16, &al), MANGO_OK);
    T_STATUS(mgi_islands_create(&s, 1, 3, &al), MANGO_OK);
    for (mango_idx island = 0; island < 8; island++) {
        mgi_population_clear(&p);
        for (mango_idx i = 0; i < 6; i++) {
            const mango_idx I[1] = {10 * island + i};
            const mango_told t = t_gab_told(I, (double)(20 * (island % 6) - i), 0.0, 0);
            mgi_islands_watch(&s, &t);
            mgi_population_tell(&p, &t);
        }
        T_EQ(s.quiet, 3);
        if (island > 0)
            T_EQ(mgi_islands_next(&s, &p), MGI_ISLANDS_JOIN);
        s.quiet = 3;
        T_EQ(mgi_islands_next(&s, &p), MGI_ISLANDS_NEW);
        T_EQ(mgi_islands_next(&s, &p), MGI_ISLANDS_STAY);
    }
    T_CHECK(s.n == 16 && s.number == 8);
    for (mango_idx i = 0; i < s.n; i++)
        T_CHECK(s.told[i].y >= 37.0 && s.told[i].I == s.code + i);
    mgi_islands_free(&s, &al);
    mgi_population_free(&p, &al);
}

/* One code, one mode, a space smaller than a batch, real modes, grids of one row, classes. */
static void t_gab_odd(void)
{
    static const mango_idx shapes[][6] = {
        {1}, {2}, {MANGO_REAL}, {1, 1, 1}, {2, 2, 2, 2, 2, 2}, {5, 5, 5, 5, MANGO_REAL, 3}};
    static const mango_idx d[] = {1, 1, 1, 3, 6, 6}, H[] = {1, 0, 1, 1, 2, 1},
                           W[] = {1, 0, 1, 3, 2, 4};
    static mango_idx I[64 * 6];
    double y[64];
    mango_idx bad = 0;
    for (mango_idx i = 0; i < 2 * MGI_COUNT(d); i++) {
        const mango_idx s = i / 2;
        const mango_modes m = {d[s], shapes[s]};
        mango_facts f;
        mango_facts_defaults(&f);
        f.H = H[s];
        f.W = W[s];
        mango_opt *p = t_gab_new("ga-blocks", i % 2 ? "k=64" : "", &m, &f, 3);
        for (int round = 0; p && round < 30; round++) {
            mango_idx K = 0;
            T_STATUS(mango_opt_ask(p, 64, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = round % 3 == 1 ? (double)NAN : round % 3 * (double)I[k * d[s]];
            for (mango_idx k = 0; k < K * d[s]; k++)
                bad += I[k] < 0 || I[k] >= shapes[s][k % d[s]];
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
            if (round == 20)
                T_STATUS(mango_opt_restart(p), MANGO_OK);
        }
        mango_opt_destroy(p);
    }
    T_EQ(bad, 0);
}

static mango_status t_gab_make(void *ud, const mango_alloc *al)
{
    static const mango_idx n[4] = {9, 9, 9, 9}, codes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const float level[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const mango_modes m = {4, n};
    mango_opt_options o;
    mango_opt *p;
    mango_facts f;
    (void)ud;
    mango_facts_defaults(&f);
    f.H = f.W = 2;
    f.level_dim = 1;
    f.levels = level;
    f.n_codes = 2;
    f.codes = codes;
    T_STATUS(mango_opt_defaults("ga-blocks", &o, NULL), MANGO_OK);
    MGI_TRY(mango_opt_create(&p, &m, &f, &o, 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

static void t_gab_memory(void)
{
    T_CHECK(t_oom_sweep(t_gab_make, NULL) >= 10);
}

void t_ga_blocks(void)
{
    T_CASE(t_gab_uniform);
    T_CASE(t_gab_two_point);
    T_CASE(t_gab_boxes);
    T_CASE(t_gab_mutate);
    T_CASE(t_gab_population);
    T_CASE(t_gab_again);
    T_CASE(t_gab_wins);
    T_CASE(t_gab_references);
    T_CASE(t_gab_bits);
    T_CASE(t_gab_noise);
    T_CASE(t_gab_islands);
    T_CASE(t_gab_hall);
    T_CASE(t_gab_odd);
    T_CASE(t_gab_memory);
}

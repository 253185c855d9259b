/* test_gp_codes.c - numbers of a code's texture, reference codes by a model, children
 * screened by another.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_GPC_L = 32, T_GPC_D = 64, T_GPC_REFS = 200, T_GPC_F = 6 };

/* A grid of 8 x 8 cells of 32 levels, which lie on a circle: a codebook of two numbers. */
typedef struct t_gpc_space {
    mango_idx n[T_GPC_D], codes[T_GPC_REFS * T_GPC_D];
    float level[2 * T_GPC_L], feature[T_GPC_REFS * T_GPC_F];
    double worth[T_GPC_REFS];
    mango_idx best; /* of worth */
    mango_facts f;
    mango_modes m;
} t_gpc_space;

/* References of noise; features normal, the worth a line through them and some noise. */
static void t_gpc_make(t_gpc_space *s, int references, int features)
{
    mango_rng rng;
    mango_rng_init(&rng, 11, 12, 13);
    for (mango_idx j = 0; j < T_GPC_D; j++)
        s->n[j] = T_GPC_L;
    for (mango_idx i = 0; i < T_GPC_L; i++) {
        s->level[2 * i] = (float)mgi_cos2pi((double)i / T_GPC_L);
        s->level[2 * i + 1] = (float)mgi_sin2pi((double)i / T_GPC_L);
    }
    for (mango_idx i = 0; i < T_GPC_REFS * T_GPC_D; i++)
        s->codes[i] = mango_rng_int(&rng, T_GPC_L);
    s->best = 0;
    for (mango_idx i = 0; i < T_GPC_REFS; i++) {
        float *x = s->feature + i * T_GPC_F;
        for (int a = 0; a < T_GPC_F; a++)
            x[a] = (float)mango_rng_normal(&rng);
        s->worth[i] = (double)x[0] - (double)x[1] + 0.3 * mango_rng_normal(&rng);
        s->best = s->worth[i] > s->worth[s->best] ? i : s->best;
    }
    mango_facts_defaults(&s->f);
    s->f.H = s->f.W = 8;
    s->f.level_dim = 2;
    s->f.levels = s->level;
    s->f.n_codes = references ? T_GPC_REFS : 0;
    s->f.codes = s->codes;
    s->f.code_dim = features ? T_GPC_F : 0;
    s->f.code_features = s->feature;
    s->m.d = T_GPC_D;
    s->m.n = s->n;
}

static mango_opt *t_gpc_new(const char *name, const char *set, const t_gpc_space *s,
                            uint64_t seed)
{
    mango_opt_options o;
    mango_opt *p = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(name, &o, &err), &err);
    T_OK(mango_opt_parse(&o, set, &err), &err);
    T_OK(mango_opt_create(&p, &s->m, &s->f, &o, seed, NULL, &err), &err);
    return p;
}

/* A texture: how near each cell's right and lower neighbours are to a quarter and a third of
 * the circle further. */
static double t_gpc_texture(const mango_idx *I)
{
    double sum = 0.0;
    for (int v = 0; v < 7; v++)
        for (int u = 0; u < 7; u++) {
            const double x = (double)I[8 * v + u];
            const double right = ((double)I[8 * v + u + 1] - x) / T_GPC_L - 0.25;
            const double below = ((double)I[8 * v + u + 8] - x) / T_GPC_L - 0.34;
            sum += (1.0 + mgi_cos2pi(right)) * (1.0 + mgi_cos2pi(below));
        }
    return sum / (4.0 * 49.0);
}

/* ---- numbers of a code ------------------------------------------------------------- */

static mango_opt t_gpc_opt(t_gpc_space *s)
{
    mango_opt o;
    memset(&o, 0, sizeof o);
    o.al = mgi_alloc_get(NULL);
    o.d = T_GPC_D;
    o.n = s->n;
    o.facts = s->f;
    return o;
}

/* A texture of period two is the same wherever it begins, to the part that averages over
 * places; the other parts see that it moved. */
static void t_gpc_shift(void)
{
    static t_gpc_space s;
    static const mango_idx tile[2][2] = {{1, 9}, {20, 30}};
    mgi_texture t;
    mango_idx a[T_GPC_D], b[T_GPC_D];
    t_gpc_make(&s, 0, 0);
    const mango_opt o = t_gpc_opt(&s);
    T_STATUS(mgi_texture_init(&t, &o), MANGO_OK);
    float *x = malloc((size_t)t.dim * sizeof *x), *y = malloc((size_t)t.dim * sizeof *y);
    T_CHECK(t.part[0] == MGI_TEXTURE_A && t.part[2] == 64 * 2 && t.part[3] == 0);
    for (int j = 0; j < T_GPC_D; j++) {
        a[j] = tile[j / 8 % 2][j % 2];
        b[j] = tile[(j / 8 + 1) % 2][(j + 1) % 2];
    }
    mgi_texture_of(&t, a, x);
    mgi_texture_of(&t, b, y);
    T_CLOSE(x, y, t.part[0], 1e-4);
    double off = 0.0;
    for (mango_idx i = t.part[0] + t.part[1]; i < t.dim; i++)
        off += fabs((double)x[i] - (double)y[i]);
    T_CHECK(off > 0.1);
    free(x);
    free(y);
    mgi_texture_free(&t, &o.al);
}

/* (3) gives the products of the kernel of patches: of codes of one level each,
 * exp(-|e - e'|^2/2) times one half, for e of variance 1 a number (here: radius sqrt 2). */
static void t_gpc_kernel(void)
{
    static t_gpc_space s;
    mgi_texture t;
    mango_idx a[T_GPC_D], b[T_GPC_D];
    t_gpc_make(&s, 0, 0);
    const mango_opt o = t_gpc_opt(&s);
    T_STATUS(mgi_texture_init(&t, &o), MANGO_OK);
    float *x = malloc((size_t)t.dim * sizeof *x), *y = malloc((size_t)t.dim * sizeof *y);
    memset(t.mean, 0, (size_t)t.dim * sizeof *t.mean);
    t.weight[0] = 1.0f;
    for (mango_idx k = 0; k <= 16; k += 4) {
        double dot = 0.0;
        for (int j = 0; j < T_GPC_D; j++) {
            a[j] = 3;
            b[j] = 3 + k;
        }
        mgi_texture_of(&t, a, x);
        mgi_texture_of(&t, b, y);
        for (mango_idx i = 0; i < MGI_TEXTURE_A; i++)
            dot += (double)x[i] * (double)y[i] / MGI_TEXTURE_A;
        const double far = 4.0 * (1.0 - mgi_cos2pi((double)k / T_GPC_L)); /* |e - e'|^2 */
        T_NEAR(dot, 0.5 * exp(-far / 2.0 / 2.0), 0.1);
    }
    free(x);
    free(y);
    mgi_texture_free(&t, &o.al);
}

/* ---- references ---------------------------------------------------------------------- */

/* Queries until the best reference is proposed, at most 60; its worth is told, 0 for all
 * that is no reference. */
static mango_idx t_gpc_until(const t_gpc_space *s, uint64_t seed)
{
    mango_idx I[10 * T_GPC_D], at = 60;
    const size_t row = T_GPC_D * sizeof *I;
    mango_opt *p = t_gpc_new("gp-codes", "", s, seed);
    for (mango_idx q = 0; p && q < 60; q += 10) {
        double y[10];
        mango_idx K = 10;
        T_STATUS(mango_opt_ask(p, 10, &K, I), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            y[k] = 0.0;
            for (mango_idx r = 0; r < T_GPC_REFS; r++)
                if (memcmp(I + k * T_GPC_D, s->codes + r * T_GPC_D, row) == 0) {
                    y[k] = s->worth[r];
                    at = r == s->best ? MGI_MIN(at, q + k) : at;
                }
        }
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    }
    mango_opt_destroy(p);
    return at;
}

/* Of 200, features point to the best one within 40 queries; chance finds it in a fifth. */
static void t_gpc_planted(void)
{
    static t_gpc_space s;
    int found = 0, chance = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        t_gpc_make(&s, 1, 1);
        found += t_gpc_until(&s, seed) < 40;
        t_gpc_make(&s, 1, 0);
        chance += t_gpc_until(&s, seed) < 40;
    }
    T_CHECK(found >= 9 && chance <= 6);
}

/* ---- search ---------------------------------------------------------------------------- */

/* The true texture of the best told, noise of this deviation, the mean of three seeds. */
static double t_gpc_score(const char *name, const char *set, t_gpc_space *s, mango_idx budget,
                          double noise)
{
    mango_idx I[16 * T_GPC_D];
    double sum = 0.0;
    s->f.noisy = noise > 0.0;
    for (uint64_t seed = 0; seed < 3; seed++) {
        mango_opt *p = t_gpc_new(name, set, s, seed);
        mango_rng rng;
        mango_rng_init(&rng, seed, 21, 22);
        for (mango_idx done = 0, K; p && done < budget; done += K) {
            double y[16];
            K = 0;
            T_STATUS(mango_opt_ask(p, MGI_MIN(16, budget - done), &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = t_gpc_texture(I + T_GPC_D * k) + noise * mango_rng_normal(&rng);
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        T_STATUS(mango_opt_best(p, NULL, I), MANGO_OK);
        sum += t_gpc_texture(I) / 3.0;
        mango_opt_destroy(p);
    }
    return sum;
}

static void t_gpc_screens(void)
{
    static t_gpc_space s;
    t_gpc_make(&s, 0, 0);
    const double gp = t_gpc_score("gp-codes", "", &s, 300, 0.0);
    const double ga = t_gpc_score("ga-blocks", "", &s, 300, 0.0);
    const double random = t_gpc_score("random", "", &s, 300, 0.0);
    const double noisy = t_gpc_score("gp-codes", "", &s, 300, 0.1);
    const double noisy_ga = t_gpc_score("ga-blocks", "", &s, 300, 0.1);
    s.f.level_dim = 0; /* levels are names */
    const double names = t_gpc_score("gp-codes", "", &s, 300, 0.0);
    s.f.H = s.f.W = 0; /* no grid */
    const double flat = t_gpc_score("gp-codes", "", &s, 300, 0.0);
    T_CHECK(gp > ga + 0.05 && ga > random + 0.05);
    T_CHECK(noisy > noisy_ga && noisy > random + 0.1);
    T_CHECK(names > random + 0.05 && flat > random + 0.05);
}

/* Six cells at the grid's corner, each by its distance from a level of its own. */
static double t_gpc_corner(const mango_idx *I)
{
    double sum = 0.0;
    for (int i = 0; i < 6; i++)
        sum += mgi_cos2pi((double)(I[8 * (i / 3) + i % 3] - 5 * i) / T_GPC_L);
    return sum / 6.0;
}

/* The model finds out whether it matters where something stands. */
static void t_gpc_place(void)
{
    static t_gpc_space s;
    static mango_idx I[10 * T_GPC_D];
    t_gpc_make(&s, 0, 0);
    for (int place = 0; place < 2; place++) {
        char text[1000];
        mango_opt *p = t_gpc_new("gp-codes", "", &s, 3);
        for (int round = 0; p && round < 25; round++) {
            double y[10];
            mango_idx K = 10;
            T_STATUS(mango_opt_ask(p, 10, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++)
                y[k] = place ? t_gpc_corner(I + k * T_GPC_D) : t_gpc_texture(I + k * T_GPC_D);
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
        T_CHECK(strstr(text, place ? "what stands where" : "anywhere") != NULL);
        double best = 0.0;
        T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
        T_CHECK(best > (place ? 0.85 : 0.7));
        mango_opt_destroy(p);
    }
}

/* The same proposals on every machine and kernel set; what is minimized is the mirror; one
 * ask of ten is as three and seven. */
static void t_gpc_bits(void)
{
    static t_gpc_space s;
    mango_idx I[10 * T_GPC_D], J[10 * T_GPC_D];
    uint64_t h = 0xcbf29ce484222325u;
    t_gpc_make(&s, 1, 1);
    mango_opt *p = t_gpc_new("gp-codes", "", &s, 5);
    mango_opt *q = t_gpc_new("gp-codes", "minimize=1", &s, 5);
    for (int round = 0; round < 40; round++) {
        double y[10], z[10];
        mango_idx K = 10, three = 3, seven = 7;
        T_STATUS(mango_opt_ask(p, 10, &K, I), MANGO_OK);
        T_STATUS(mango_opt_ask(q, 3, &three, J), MANGO_OK);
        T_STATUS(mango_opt_ask(q, 7, &seven, J + 3 * T_GPC_D), MANGO_OK);
        T_MEM(J, I, sizeof I);
        for (int k = 0; k < 10; k++) {
            y[k] = k == 6 ? (double)NAN : t_gpc_texture(I + k * T_GPC_D);
            z[k] = -y[k];
        }
        for (int i = 0; i < 10 * T_GPC_D; i++)
            h = (h ^ (uint64_t)I[i]) * 0x100000001b3u;
        T_STATUS(mango_opt_tell(p, 10, I, y), MANGO_OK);
        T_STATUS(mango_opt_tell(q, 10, J, z), MANGO_OK);
    }
    T_CHECK(h == 0x549091245708a4cdu);
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* What it says of itself, and of a proposal. */
static void t_gpc_says(void)
{
    static t_gpc_space s;
    mango_idx I[100 * T_GPC_D], K = 60;
    double y[100];
    char text[1000];
    t_gpc_make(&s, 1, 1);
    mango_opt *p = t_gpc_new("gp-codes", "random=0", &s, 5);
    T_STATUS(mango_opt_ask(p, 60, &K, I), MANGO_OK);
    T_CHECK(mango_opt_why(p, 3, text, sizeof text) > 0);
    T_CHECK(strncmp(text, "reference code ", 15) == 0);
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_gpc_texture(I + k * T_GPC_D);
    T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
    K = 10;
    T_STATUS(mango_opt_ask(p, 10, &K, I), MANGO_OK);
    T_CHECK(mango_opt_why(p, 0, text, sizeof text) > 0);
    T_CHECK(strstr(text, " into parent ") && strstr(text, ", expected "));
    T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
    T_CHECK(strstr(text, "population of 60") && strstr(text, "surrogate on 60 values"));
    mango_opt_destroy(p);
}

static mango_status t_gpc_make_one(void *ud, const mango_alloc *al)
{
    const t_gpc_space *s = ud;
    mango_opt_options o;
    mango_opt *p;
    T_STATUS(mango_opt_defaults("gp-codes", &o, NULL), MANGO_OK);
    MGI_TRY(mango_opt_create(&p, &s->m, &s->f, &o, 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

static void t_gpc_memory(void)
{
    static t_gpc_space s;
    t_gpc_make(&s, 1, 1);
    s.f.n_codes = 10;
    T_CHECK(t_oom_sweep(t_gpc_make_one, &s) >= 30);
}

void t_gp_codes(void)
{
    T_CASE(t_gpc_shift);
    T_CASE(t_gpc_kernel);
    T_CASE(t_gpc_planted);
    T_CASE(t_gpc_screens);
    T_CASE(t_gpc_place);
    T_CASE(t_gpc_bits);
    T_CASE(t_gpc_says);
    T_CASE(t_gpc_memory);
}

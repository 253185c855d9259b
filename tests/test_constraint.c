/* test_constraint.c - masks of levels and predicates: every optimizer of the table keeps to
 * them; facts to match; sessions and their journals.
 * SPDX-License-Identifier: MIT */
#include "session.h"

enum { T_CON_D = 6, T_CON_ALL = 8 + 8 + 8 + 8 + 5 + 1 };
static const mango_idx t_con_n[T_CON_D] = {8, 8, 8, 8, 5, 1};
static const mango_modes t_con_modes = {T_CON_D, t_con_n};

/* Levels 2, 3, 6 of the first four, 4 of the fifth. */
static void t_con_mask(unsigned char *mask)
{
    memset(mask, 0, T_CON_ALL);
    for (int j = 0; j < 4; j++)
        mask[8 * j + 2] = mask[8 * j + 3] = mask[8 * j + 6] = 1;
    mask[32 + 4] = mask[37] = 1;
}

static int t_con_masked(const mango_idx *I)
{
    for (int j = 0; j < 4; j++)
        if (I[j] != 2 && I[j] != 3 && I[j] != 6)
            return 0;
    return I[4] == 4 && I[5] == 0;
}

/* The first modes' sum is a multiple of ud. */
static int t_con_sum(void *ud, const mango_idx *I)
{
    return (I[0] + I[1] + I[2] + I[3]) % *(int *)ud == 0;
}

static int t_con_never(void *ud, const mango_idx *I)
{
    (void)ud;
    (void)I;
    return 0;
}

static double t_con_value(const mango_idx *I)
{
    return (double)(I[0] * 3 + I[1] - I[2] + 2 * I[3]) + 0.25 * (double)I[4];
}

static mango_opt *t_con_new(const char *preset, const mango_facts *f, uint64_t seed)
{
    mango_opt_options o;
    mango_opt *opt = NULL;
    mango_err err = {""};
    T_OK(mango_opt_defaults(preset, &o, &err), &err);
    T_OK(mango_opt_create(&opt, &t_con_modes, f, &o, seed, NULL, &err), &err);
    return opt;
}

/* 200 codes and more: all proposals are allowed, and something good is found. */
static void t_con_run(const char *preset, const mango_facts *f, int masked, int *modulus)
{
    mango_idx I[64 * T_CON_D], best[T_CON_D];
    uint64_t id[64];
    mango_opt *opt = t_con_new(preset, f, 3);
    T_REQUIRE(opt != NULL);
    for (mango_idx shown = 0; shown < 200;) {
        mango_told told[64];
        mango_idx K = 0;
        T_STATUS(mango_opt_ask_ids(opt, 64, &K, I, id), MANGO_OK);
        for (mango_idx k = 0; k < K; k++) {
            const mango_idx *J = I + k * T_CON_D;
            T_CHECK(!masked || t_con_masked(J));
            T_CHECK(!modulus || t_con_sum(modulus, J));
            T_EQ(mango_opt_allows(opt, J), 1);
            const mango_told t = {id[k], J, t_con_value(J), NAN, 1, 0.0};
            told[k] = t;
        }
        T_STATUS(mango_opt_tell_all(opt, K, told), MANGO_OK);
        shown += K;
    }
    T_STATUS(mango_opt_best(opt, NULL, best), MANGO_OK);
    if (!T_CHECK(mango_opt_allows(opt, best) && t_con_value(best) > 20.0))
        printf("  %s: %g\n", preset, t_con_value(best));
    mango_opt_destroy(opt);
}

static void t_con_every(void)
{
    unsigned char mask[T_CON_ALL];
    int three = 3;
    mango_facts f;
    t_con_mask(mask);
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        mango_opt_preset_info p;
        T_STATUS(mango_opt_preset(i, &p), MANGO_OK);
        if (strcmp(p.name, "gradient") == 0)
            continue; /* wants one */
        T_STATUS(mango_facts_defaults(&f), MANGO_OK);
        f.allowed = mask;
        t_con_run(p.name, &f, 1, NULL);
        f.allows = t_con_sum, f.allows_ud = &three, f.allows_name = "sum";
        t_con_run(p.name, &f, 1, &three);
        f.allowed = NULL;
        t_con_run(p.name, &f, 0, &three);
    }
}

/* Under a mask a method does what it does on the fewer levels. */
static void t_con_renumbered(void)
{
    static const mango_idx few[T_CON_D] = {3, 3, 3, 3, 1, 1}, level[3] = {2, 3, 6};
    const char *const presets[] = {"random", "tt-b", "one-plus-one"};
    const mango_modes m = {T_CON_D, few};
    unsigned char mask[T_CON_ALL];
    mango_facts f;
    t_con_mask(mask);
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.allowed = mask;
    for (int p = 0; p < 3; p++) {
        mango_opt_options o;
        mango_opt *a = t_con_new(presets[p], &f, 9), *b = NULL;
        T_STATUS(mango_opt_defaults(presets[p], &o, NULL), MANGO_OK);
        T_STATUS(mango_opt_create(&b, &m, NULL, &o, 9, NULL, NULL), MANGO_OK);
        for (int batch = 0; batch < 10; batch++) {
            mango_idx I[64 * T_CON_D], J[64 * T_CON_D], K = 0, L = 0;
            double y[64];
            T_STATUS(mango_opt_ask(a, 64, &K, I), MANGO_OK);
            T_STATUS(mango_opt_ask(b, 64, &L, J), MANGO_OK);
            T_EQ(K, L);
            for (mango_idx e = 0; e < K * T_CON_D; e++)
                T_EQ(I[e], e % T_CON_D < 4 ? level[J[e]] : e % T_CON_D == 4 ? 4 : 0);
            for (mango_idx k = 0; k < K; k++)
                y[k] = t_con_value(I + k * T_CON_D);
            T_STATUS(mango_opt_tell(a, K, I, y), MANGO_OK);
            T_STATUS(mango_opt_tell(b, L, J, y), MANGO_OK);
        }
        mango_opt_destroy(a);
        mango_opt_destroy(b);
    }
}

/* Told codes that are not allowed are as if they had not been told. */
static void t_con_ignored(void)
{
    const mango_idx out[2 * T_CON_D] = {7, 7, 0, 7, 4, 0, 2, 2, 2, 2, 3, 0};
    const double high[2] = {1000.0, 2000.0};
    mango_idx I[64 * T_CON_D], J[64 * T_CON_D], K = 0, L = 0;
    unsigned char mask[T_CON_ALL];
    double y[64], best;
    mango_facts f;
    t_con_mask(mask);
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.allowed = mask;
    mango_opt *a = t_con_new("tt-b", &f, 1), *b = t_con_new("tt-b", &f, 1);
    T_STATUS(mango_opt_ask(a, 64, &K, I), MANGO_OK);
    T_STATUS(mango_opt_ask(b, 64, &L, J), MANGO_OK);
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_con_value(I + k * T_CON_D);
    T_STATUS(mango_opt_tell(a, 2, out, high), MANGO_OK);
    T_STATUS(mango_opt_best(a, &best, NULL), MANGO_E_STATE);
    T_STATUS(mango_opt_tell(a, K, I, y), MANGO_OK);
    T_STATUS(mango_opt_tell(b, L, J, y), MANGO_OK);
    T_STATUS(mango_opt_best(a, &best, NULL), MANGO_OK);
    T_CHECK(best < 100.0);
    K = L = 0;
    T_STATUS(mango_opt_ask(a, 64, &K, I), MANGO_OK);
    T_STATUS(mango_opt_ask(b, 64, &L, J), MANGO_OK);
    T_CHECK(K == L && memcmp(I, J, (size_t)(K * T_CON_D) * sizeof *I) == 0);
    const mango_idx bad[T_CON_D] = {8, 0, 0, 0, 0, 0};
    T_STATUS(mango_opt_tell(a, 1, bad, high), MANGO_E_ARG);
    mango_opt_destroy(a);
    mango_opt_destroy(b);
}

/* One code alone is allowed, or none: it ends. */
static void t_con_narrow(void)
{
    static const mango_idx only[T_CON_D] = {7, 7, 7, 7, 1, 0};
    mango_idx I[16 * T_CON_D], K = 16;
    uint64_t id[16];
    int most = 1000;
    mango_facts f;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.allows = t_con_sum, f.allows_ud = &most, f.allows_name = "zero"; /* sum 0 alone */
    f.codes = only, f.n_codes = 1; /* not one of them */
    mango_opt *opt = t_con_new("tt", &f, 1);
    T_STATUS(mango_opt_ask_ids(opt, 16, &K, I, id), MANGO_E_STATE); /* 1 in 4096 */
    const mango_idx zero[T_CON_D] = {0, 0, 0, 0, 2, 0};
    const double y[1] = {1.0};
    T_STATUS(mango_opt_tell(opt, 1, zero, y), MANGO_OK);
    K = 16;
    T_STATUS(mango_opt_ask_ids(opt, 16, &K, I, id), MANGO_OK);
    T_EQ(K, 16);
    for (int k = 0; k < 16; k++)
        T_CHECK(t_con_sum(&most, I + k * T_CON_D) && id[k] == MANGO_UNASKED);
    mango_opt_destroy(opt);
    f.allows = t_con_never, f.codes = NULL, f.n_codes = 0;
    opt = t_con_new("random", &f, 1);
    T_STATUS(mango_opt_ask(opt, 16, &K, I), MANGO_E_STATE);
    T_CHECK(strstr(mango_opt_error(opt), "'zero'") != NULL);
    mango_opt_destroy(opt);
    unsigned char mask[T_CON_ALL];
    mango_opt_options o;
    mango_err err = {""};
    memset(mask, 1, sizeof mask);
    mask[37] = 0;
    f.allowed = mask;
    T_STATUS(mango_opt_defaults("tt", &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&opt, &t_con_modes, &f, &o, 1, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mode 5") != NULL);
    f.allowed = NULL, f.allows_name = NULL;
    T_STATUS(mango_opt_create(&opt, &t_con_modes, &f, &o, 1, NULL, &err), MANGO_E_ARG);
}

static mango_status t_con_features(void *ud, mango_idx K, const mango_idx *I, float *f)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        f[k] = (float)I[k * T_CON_D] + 10.0f * (float)I[k * T_CON_D + 4];
    return MANGO_OK;
}

/* Reference codes, points of the levels, prior, classes and features, as the method sees
 * them. */
static void t_con_facts(void)
{
    static const mango_idx codes[3 * T_CON_D] = {2, 3, 6, 2, 4, 0, 1, 3, 6, 2, 4, 0,
                                                 6, 6, 6, 6, 4, 0};
    static const float of_codes[3] = {10, 20, 30}, levels[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const mango_idx own[2 * T_CON_D] = {0, 1, 2, 0, 0, 0, 2, 2, 2, 2, 0, 0};
    unsigned char mask[T_CON_ALL];
    float seen[2];
    mango_facts f;
    t_con_mask(mask);
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.H = f.W = 2;
    f.codes = codes, f.n_codes = 3, f.code_dim = 1, f.code_features = of_codes;
    f.levels = levels, f.level_dim = 1;
    f.prior = MANGO_PRIOR_NORMAL, f.prior_lo = -4, f.prior_hi = 4;
    f.class_first = 0, f.classes = 4;
    f.features = t_con_features, f.features_dim = 1;
    f.allowed = mask;
    mango_opt *opt = t_con_new("random", &f, 1);
    const mango_facts *g = &opt->facts;
    T_EQ(g->n_codes, 2);
    T_MEM(g->codes, own, sizeof own);
    T_CHECK(g->code_features[0] == 10.0f && g->code_features[1] == 30.0f);
    T_CHECK(g->level_dim == 1 && g->levels[0] == 2 && g->levels[1] == 3 && g->levels[2] == 6);
    T_CHECK(g->prior == MANGO_PRIOR_NONE && g->classes == 0); /* 2, 3, 6 are no range */
    T_STATUS(g->features(g->features_ud, 2, own, seen), MANGO_OK);
    T_CHECK(seen[0] == 42.0f && seen[1] == 46.0f);
    mango_opt_destroy(opt);
    memset(mask, 1, sizeof mask);
    for (int l = 0; l < 8; l++)
        mask[8 + l] = l == 5; /* one mode is fixed */
    opt = t_con_new("random", &f, 1);
    g = &opt->facts;
    T_CHECK(g->prior == MANGO_PRIOR_NORMAL && g->prior_lo == -4.0 && g->prior_hi == 4.0);
    T_CHECK(g->level_dim == 0 && !g->levels && g->classes == 0 && g->n_codes == 0);
    mango_opt_destroy(opt);
}

/* ---- sessions --------------------------------------------------------------- */

static mango_status t_con_f(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_con_value(I + k * T_CON_D);
    return MANGO_OK;
}

static void t_con_session(void)
{
    char whole[1024], path[1024];
    unsigned char mask[T_CON_ALL];
    int three = 3;
    mango_idx n = 0, head = 1, I[T_CON_D];
    mango_facts f;
    mango_session *s = NULL;
    mango_session_info i;
    mango_err err = {""};
    uint64_t id;
    t_con_mask(mask);
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.allowed = mask, f.allows = t_con_sum, f.allows_ud = &three, f.allows_name = "by 3";
    mgi_copy(whole, sizeof whole, t_tmp("constraint.jsonl"));
    mgi_copy(path, sizeof path, t_tmp("constraint_cut.jsonl"));
    mango_session_options o = t_session_options("tt-s", 60, whole);
    o.facts = &f;
    T_OK_OR_RETURN(mango_session_create(&s, &t_con_modes, &o, t_con_f, NULL, NULL, &err),
                   &err);
    const mango_idx out[T_CON_D] = {2, 2, 2, 1, 4, 0};
    T_STATUS(mango_session_offer(s, 1, out, &id), MANGO_E_ARG);
    T_STATUS(mango_session_run(s), MANGO_STOP_SPACE); /* 24 codes: all of them */
    mango_session_get(s, &i);
    T_EQ(i.queries, 24);
    for (mango_idx q = 0; q < i.queries; q++) {
        T_STATUS(mango_session_query(s, q, NULL, I), MANGO_OK);
        T_CHECK(t_con_masked(I) && t_con_sum(&three, I));
    }
    mango_session_destroy(s);
    unsigned char *p = t_session_slurp(whole, &n);
    while (head < n && p[head - 1] != '\n')
        head++;
    o.journal = path, o.resume = 1;
    for (mango_idx cut = head; cut <= n; cut += 31) {
        t_write(path, p, (size_t)cut);
        T_OK_OR_RETURN(
            mango_session_create(&s, &t_con_modes, &o, t_con_f, NULL, NULL, &err), &err);
        T_STATUS(mango_session_run(s), MANGO_STOP_SPACE);
        mango_session_destroy(s);
        t_session_same_files(path, whole);
    }
    t_session_drop(p, n);
    f.allows_name = "by 4";
    T_STATUS(mango_session_create(&s, &t_con_modes, &o, t_con_f, NULL, NULL, &err),
             MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'allows'") != NULL);
    f.allows_name = "by 3", mask[0] = 1;
    T_STATUS(mango_session_create(&s, &t_con_modes, &o, t_con_f, NULL, NULL, &err),
             MANGO_E_STATE);
    T_CHECK(strstr(err.text, "'allowed'") != NULL);
}

void t_constraint(void)
{
    T_CASE(t_con_every);
    T_CASE(t_con_renumbered);
    T_CASE(t_con_ignored);
    T_CASE(t_con_narrow);
    T_CASE(t_con_facts);
    T_CASE(t_con_session);
}

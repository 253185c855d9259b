/* test_opt_options.c - the tables of options and presets; facts of a space; told values
 * with ids, variances and presentations; real modes.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static double t_options_value(const mango_opt_options *o, const char *name)
{
    double v = -1e300;
    T_STATUS(mango_opt_value(o, name, &v, NULL), MANGO_OK);
    return v;
}

static mango_opt_options t_options_of(const char *preset)
{
    mango_opt_options o;
    T_STATUS(mango_opt_defaults(preset, &o, NULL), MANGO_OK);
    return o;
}

/* ---- options by name ------------------------------------------------------- */

static void t_options_parse(void)
{
    mango_opt_options o = t_options_of("tt-b");
    mango_err err = {""};
    T_OK(mango_opt_parse(&o, "k=1e2,lr=0.25,minimize=1", &err), &err);
    T_CHECK(t_options_value(&o, "k") == 100 && t_options_value(&o, "lr") == 0.25);
    T_CHECK(t_options_value(&o, "minimize") == 1 && t_options_value(&o, "k_top") == 5);
    T_OK(mango_opt_parse(&o, "", &err), &err);
    T_CHECK(t_options_value(&o, "k") == 100);
}

/* Whatever is refused is named, and nothing of the text is taken. */
static void t_options_parse_bad(void)
{
    static const struct { const char *text, *says; mango_status st; } bad[] = {
        {"k=7,lr", "'lr'", MANGO_E_ARG},
        {"k=7,lr=", "'lr='", MANGO_E_ARG},
        {"k=7,=3", "'=3'", MANGO_E_ARG},
        {"k=7,", "NAME=VALUE", MANGO_E_ARG},
        {",k=7", "NAME=VALUE", MANGO_E_ARG},
        {"k=7,,lr=1", "NAME=VALUE", MANGO_E_ARG},
        {"k=7,k=8", "twice", MANGO_E_ARG},
        {"k=7,lr=x", "'x'", MANGO_E_ARG},
        {"k=7,lr=nan", "'nan'", MANGO_E_ARG},
        {"k=7,k_top=1.5", "k_top is 1.5", MANGO_E_ARG},
        {"k=7, lr=1", "' lr'", MANGO_E_NAME},
        {"k=7,k_tpo=1", "k_top", MANGO_E_NAME},
        {"k=7,quantized=2", "quantized is 2", MANGO_E_ARG},
        {"k=7,lr=0", "more than 0", MANGO_E_ARG}};
    const mango_opt_options base = t_options_of("tt-b");
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        mango_opt_options o = base;
        mango_err err = {""};
        T_STATUS(mango_opt_parse(&o, bad[i].text, &err), bad[i].st);
        T_CHECK(strstr(err.text, bad[i].says) != NULL);
        T_MEM(&o, &base, sizeof o);
    }
    mango_opt_options o = base;
    mango_err err = {""};
    char text[400];
    memset(text, 'k', sizeof text - 1);
    text[sizeof text - 1] = 0;
    T_STATUS(mango_opt_parse(&o, text, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_parse(&o, NULL, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_parse(NULL, "k=1", &err), MANGO_E_ARG);
    T_STATUS(mango_opt_set(&o, NULL, 1, &err), MANGO_E_ARG);
    T_STATUS(mango_opt_value(&o, "k", NULL, &err), MANGO_E_ARG);
    double v;
    T_STATUS(mango_opt_value(&o, "rank", &v, &err), MANGO_E_NAME);
    memset(o.preset, 'x', sizeof o.preset);
    T_STATUS(mango_opt_set(&o, "k", 1, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mango_opt_defaults") != NULL);
}

/* What was not set gives way to the option it may not exceed; what was set does not. */
static void t_options_follow(void)
{
    mango_opt_options o = t_options_of("tt-b");
    mango_err err = {""};
    T_OK(mango_opt_set(&o, "k", 3, &err), &err);
    T_CHECK(t_options_value(&o, "k_top") == 3);
    T_OK(mango_opt_set(&o, "k", 50, &err), &err);
    T_CHECK(t_options_value(&o, "k_top") == 5);
    T_OK(mango_opt_parse(&o, "k_top=4,k=3", &err), &err);
    T_CHECK(t_options_value(&o, "k_top") == 4);
    const mango_idx n[2] = {4, 4};
    const mango_modes m = {2, n};
    mango_opt *opt;
    T_STATUS(mango_opt_create(&opt, &m, NULL, &o, 1, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "k_top is 4") != NULL && strstr(err.text, "1..3") != NULL);
}

/* All options as text, and read back. */
static void t_options_text(void)
{
    char text[256], cut[8];
    mango_opt_options o = t_options_of("tt-exp"), back = t_options_of("tt-exp");
    mango_err err = {""};
    T_OK(mango_opt_parse(&o, "k=3,lr=0.3", &err), &err);
    const mango_idx n = mango_opt_text(&o, text, sizeof text);
    T_CHECK(strcmp(text, "k=3,k_top=3,k_gd=1,lr=0.3,r=5,quantized=1,minimize=0") == 0);
    T_EQ(n, (mango_idx)strlen(text));
    T_EQ(mango_opt_text(&o, cut, sizeof cut), n);
    T_CHECK(strcmp(cut, "k=3,k_t") == 0);
    T_EQ(mango_opt_text(&o, NULL, 0), n);
    T_EQ(mango_opt_text(NULL, text, sizeof text), -1);
    T_OK(mango_opt_parse(&back, text, &err), &err);
    T_CHECK(t_options_value(&back, "lr") == 0.3 && t_options_value(&back, "k_top") == 3);
}

/* The listing says what value says, within its own range, for every preset. */
static void t_options_list(void)
{
    mango_opt_preset_info row;
    mango_opt_spec s;
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        T_STATUS(mango_opt_preset(i, &row), MANGO_OK);
        const mango_idx n = mango_opt_option_count(row.name);
        mango_opt_options o = t_options_of(row.name);
        mango_err err = {""};
        T_CHECK(n >= 1 && n <= MANGO_OPT_VALUES);
        for (mango_idx j = 0; j < n; j++) {
            T_STATUS(mango_opt_option(row.name, j, &s), MANGO_OK);
            T_CHECK(s.name && s.meaning && strlen(s.meaning) > 8);
            T_CHECK(t_options_value(&o, s.name) == s.value);
            T_OK(mango_opt_set(&o, s.name, s.value, &err), &err);
            T_STATUS(mango_opt_set(&o, s.name, s.hi + 1, &err), MANGO_E_ARG);
            T_STATUS(mango_opt_set(&o, s.name, s.lo - 1, &err), MANGO_E_ARG);
        }
        T_STATUS(mango_opt_option(row.name, n, &s), MANGO_E_ARG);
        T_STATUS(mango_opt_option(row.name, -1, &s), MANGO_E_ARG);
    }
    T_EQ(mango_opt_option_count("none"), -1);
    T_STATUS(mango_opt_option("none", 0, &s), MANGO_E_ARG);
    T_STATUS(mango_opt_preset(mango_opt_presets(), &row), MANGO_E_ARG);
    T_STATUS(mango_opt_preset(-1, &row), MANGO_E_ARG);
    T_STATUS(mango_opt_preset_sized(0, NULL, sizeof row), MANGO_E_ARG);
}

/* ---- facts ------------------------------------------------------------------ */

enum { T_FACTS_D = 6 };
static const mango_idx t_facts_n[T_FACTS_D] = {4, 4, 4, 4, 8, 8};

static mango_status t_facts_features(void *ud, mango_idx K, const mango_idx *I, float *f)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        f[k] = (float)I[k * T_FACTS_D];
    return MANGO_OK;
}

static mango_status t_facts_gradient(void *ud, mango_idx K, const mango_idx *I, double *y,
                                     float *dy)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = (double)I[k * T_FACTS_D];
    for (mango_idx i = 0; i < K * T_FACTS_D; i++)
        dy[i] = i % T_FACTS_D == 0 ? 1.0f : 0.0f;
    return MANGO_OK;
}

static mango_facts t_facts_good(mango_idx *codes, float *features)
{
    mango_facts f;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    for (int i = 0; i < 2 * T_FACTS_D; i++)
        codes[i] = i % 4;
    for (int i = 0; i < 6; i++)
        features[i] = (float)i;
    f.H = f.W = 2;
    f.prior = MANGO_PRIOR_NORMAL;
    f.prior_lo = -4;
    f.prior_hi = 4;
    f.class_first = 4;
    f.classes = 2;
    f.n_codes = 2;
    f.codes = codes;
    f.code_dim = 3;
    f.code_features = features;
    f.features = t_facts_features;
    f.gradient = t_facts_gradient;
    f.features_dim = 1;
    f.level_dim = 1;
    f.levels = features;
    return f;
}

/* The optimizer has its own copy, whatever the caller does to the arrays. */
static void t_facts_copied(void)
{
    const mango_modes m = {T_FACTS_D, t_facts_n};
    const mango_opt_options o = t_options_of("tt");
    mango_idx codes[2 * T_FACTS_D];
    float features[6];
    mango_opt *p = NULL;
    mango_err err = {""};
    mango_facts f = t_facts_good(codes, features);
    T_OK_OR_RETURN(mango_opt_create(&p, &m, &f, &o, 1, NULL, &err), &err);
    memset(codes, 99, sizeof codes);
    memset(features, 99, sizeof features);
    memset(&f, 99, sizeof f);
    const mango_facts *own = &p->facts;
    T_CHECK(own->H == 2 && own->W == 2 && own->prior == MANGO_PRIOR_NORMAL);
    T_CHECK(own->class_first == 4 && own->classes == 2 && own->n_codes == 2);
    for (int i = 0; i < 2 * T_FACTS_D; i++)
        T_EQ(own->codes[i], i % 4);
    for (int i = 0; i < 6; i++)
        T_CHECK(own->code_features[i] == (float)i);
    for (int i = 0; i < 4; i++)
        T_CHECK(own->levels[i] == (float)i);
    const mango_idx I[T_FACTS_D] = {3, 0, 0, 0, 0, 0};
    float value = 0;
    T_STATUS(own->features(own->features_ud, 1, I, &value), MANGO_OK);
    T_CHECK(value == 3);
    mango_opt_destroy(p);
}

static void t_facts_bad(void)
{
    const mango_modes m = {T_FACTS_D, t_facts_n};
    const mango_opt_options o = t_options_of("random");
    mango_idx codes[2 * T_FACTS_D];
    float features[6];
    mango_opt *p;
    mango_err err = {""};
    const mango_facts good = t_facts_good(codes, features);
#define T_FACTS_BAD(change, says)                                                        \
    do {                                                                                 \
        mango_facts f = good;                                                            \
        change;                                                                          \
        T_STATUS(mango_opt_create(&p, &m, &f, &o, 1, NULL, &err), MANGO_E_ARG);          \
        T_CHECK(p == NULL && strstr(err.text, says) != NULL);                            \
    } while (0)
    T_FACTS_BAD(f.H = 4, "4x2");
    T_FACTS_BAD(f.W = 0, "2x0");
    T_FACTS_BAD(f.H = -1, "grid");
    T_FACTS_BAD(f.prior = (mango_prior)7, "prior");
    T_FACTS_BAD(f.prior_hi = -4, "prior_lo");
    T_FACTS_BAD(f.prior_lo = NAN, "prior_lo");
    T_FACTS_BAD(f.class_first = 5, "classes");
    T_FACTS_BAD(f.classes = 7, "classes");
    T_FACTS_BAD(f.codes = NULL, "reference codes");
    T_FACTS_BAD(f.code_features = NULL, "features");
    T_FACTS_BAD(f.n_codes = PTRDIFF_MAX / 2, "too many");
    T_FACTS_BAD(f.features_dim = 0, "features_dim");
    T_FACTS_BAD(f.features = NULL, "features_dim");
    T_FACTS_BAD(codes[8] = 4, "code 1 has level 4 in mode 2");
    codes[8] = 0;
    T_FACTS_BAD(features[4] = INFINITY, "feature 1 of reference code 1");
    T_FACTS_BAD(f.level_dim = -1, "level_dim");
    T_FACTS_BAD(f.levels = NULL, "1 numbers of each level");
    T_FACTS_BAD(f.H = f.W = 0, "mode 4 has 8 levels");
    features[4] = 4;
    features[2] = NAN;
    T_FACTS_BAD(f.n_codes = 0, "number 0 of level 2");
    T_FACTS_BAD(f.size = 0, "defaults");
#undef T_FACTS_BAD
    T_STATUS(mango_facts_defaults_sized(NULL, sizeof good), MANGO_E_ARG);
}

static mango_status t_facts_make(void *ud, const mango_alloc *al)
{
    const mango_modes m = {T_FACTS_D, t_facts_n};
    mango_idx codes[2 * T_FACTS_D];
    float features[6];
    const mango_facts f = t_facts_good(codes, features);
    const mango_opt_options o = t_options_of(ud);
    mango_opt *p;
    MGI_TRY(mango_opt_create(&p, &m, &f, &o, 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

/* Every allocation of every optimizer may fail. */
static void t_facts_memory(void)
{
    mango_opt_preset_info row;
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        char name[MANGO_OPT_NAME];
        T_STATUS(mango_opt_preset(i, &row), MANGO_OK);
        mgi_copy(name, sizeof name, row.name);
        T_CHECK(t_oom_sweep(t_facts_make, name) >= 5);
    }
}

/* ---- told values ------------------------------------------------------------- */

/* Told in any order with ids, variances and counts, or as plain values: the elite,
 * and so the next batch, is the same. */
static void t_told_same(void)
{
    enum { CAP = 32 };
    const mango_modes m = {T_FACTS_D, t_facts_n};
    const mango_opt_options o = t_options_of("tt-b");
    mango_opt *p = NULL, *q = NULL;
    mango_idx I[CAP * T_FACTS_D], J[CAP * T_FACTS_D];
    uint64_t id[CAP], want = 0;
    double y[CAP];
    mango_told told[CAP];
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 3, NULL, NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&q, &m, NULL, &o, 3, NULL, NULL), MANGO_OK);
    for (int round = 0; round < 8; round++) {
        mango_idx K = 0, L = 0;
        T_STATUS(mango_opt_ask(p, CAP, &K, I), MANGO_OK);
        T_STATUS(mango_opt_ask_ids(q, CAP, &L, J, id), MANGO_OK);
        T_EQ(L, K);
        T_MEM(J, I, (size_t)(K * T_FACTS_D) * sizeof *I);
        for (mango_idx k = 0; k < K; k++, want++) {
            T_CHECK(id[k] == want);
            y[k] = (double)(I[k * T_FACTS_D] * 100 + I[k * T_FACTS_D + 5]) + 1e-3 * (double)k;
            const mango_told t = {id[k], J + k * T_FACTS_D, y[k], k % 2 ? 0.5 : NAN, 1 + k % 3, 0};
            told[K - 1 - k] = t;
        }
        T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        T_STATUS(mango_opt_tell_all(q, K, told), MANGO_OK);
    }
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

/* What a method sees of a row: the sign, the holes, everything else as told. */
static void t_told_rows(void)
{
    const mango_idx I[2] = {1, 2};
    const mango_told rows[3] = {{7, I, 2.5, 0.25, 4, 1}, {8, I, INFINITY, NAN, 1, INFINITY},
                                {MANGO_UNASKED, I + 1, -3, 0, 2, 0}};
    const double y[2] = {4, NAN};
    const mgi_tells all = {3, 1, rows, NULL, NULL, 1}, plain = {2, 1, NULL, I, y, 0};
    mango_told t = mgi_told_at(&all, 0);
    T_CHECK(t.id == 7 && t.I == I && t.y == -2.5 && t.var == 0.25 && t.n == 4);
    T_CHECK(t.tie == -1 && mgi_told_at(&all, 1).tie == 0);
    T_CHECK(mgi_is_nan(mgi_told_at(&all, 1).y));
    t = mgi_told_at(&all, 2);
    T_CHECK(t.id == MANGO_UNASKED && t.y == 3 && t.var == 0 && t.n == 2 && t.I == I + 1);
    t = mgi_told_at(&plain, 0);
    T_CHECK(t.id == MANGO_UNASKED && t.y == 4 && mgi_is_nan(t.var) && t.n == 1 && t.I == I);
    T_CHECK(mgi_is_nan(mgi_told_at(&plain, 1).y));
}

/* A method without words says nothing; a proposal that was not made is none. */
static void t_explain_none(void)
{
    const mango_modes m = {T_FACTS_D, t_facts_n};
    const mango_opt_options o = t_options_of("random");
    mango_idx I[2 * T_FACTS_D], K = 2;
    char text[8] = "x";
    mango_opt *p = NULL;
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 3, NULL, NULL), MANGO_OK);
    T_CHECK(mango_opt_why(p, 0, text, 8) == -1);
    T_STATUS(mango_opt_ask(p, 2, &K, I), MANGO_OK);
    T_CHECK(mango_opt_why(p, 1, text, 8) == 0 && text[0] == 0);
    T_CHECK(mango_opt_why(p, 2, text, 8) == -1 && mango_opt_why(p, -1, text, 8) == -1);
    T_CHECK(mango_opt_explain(p, text, 8) == 0 && mango_opt_explain(p, NULL, 0) == 0);
    T_CHECK(mango_opt_explain(NULL, text, 8) == -1 && mango_opt_explain(p, NULL, 1) == -1);
    mango_opt_destroy(p);
}

/* Equal values are ordered by their ties, in the direction of the search. */
static void t_told_ties(void)
{
    const mango_idx I = 0;
    const mango_told rows[3] = {{0, &I, 1, NAN, 1, 2}, {1, &I, 1, NAN, 1, 3},
                                {2, &I, NAN, NAN, 1, 9}};
    for (int minimize = 0; minimize < 2; minimize++) {
        const mgi_tells all = {3, 1, rows, NULL, NULL, minimize};
        const mango_told a = mgi_told_at(&all, 0), b = mgi_told_at(&all, 1);
        const mango_told none = mgi_told_at(&all, 2);
        T_CHECK(mgi_told_better(&b, &a) == !minimize);
        T_CHECK(mgi_told_better(&a, &b) == minimize);
        T_CHECK(mgi_told_better(&a, &none) && !mgi_told_better(&none, &a));
        T_CHECK(!mgi_told_better(&a, &a));
    }
}

/* A fault in one row: nothing of the call is taken. */
static void t_told_bad(void)
{
    const mango_modes m = {T_FACTS_D, t_facts_n};
    const mango_opt_options o = t_options_of("tt");
    const mango_idx I[T_FACTS_D] = {1, 1, 1, 1, 1, 1}, out[T_FACTS_D] = {1, 1, 4, 1, 1, 1};
    const mango_told good = {MANGO_UNASKED, I, 1, NAN, 1, 0};
    const struct { mango_told t; const char *says; } bad[] = {
        {{MANGO_UNASKED, NULL, 1, 0, 1, 0}, "no code"},
        {{MANGO_UNASKED, I, 1, 0, 0, 0}, "0 presentations"},
        {{MANGO_UNASKED, I, 1, -0.5, 1, 0}, "variance"},
        {{0, I, 1, 0, 1, 0}, "not made"},
        {{MANGO_UNASKED, out, 1, 0, 1, 0}, "level 4 in mode 2"}};
    mango_opt *p = NULL;
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 3, NULL, NULL), MANGO_OK);
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        const mango_told two[2] = {good, bad[i].t};
        T_STATUS(mango_opt_tell_all(p, 2, two), MANGO_E_ARG);
        T_CHECK(strstr(mango_opt_error(p), "row 1") != NULL);
        T_CHECK(strstr(mango_opt_error(p), bad[i].says) != NULL);
        T_STATUS(mango_opt_best(p, NULL, NULL), MANGO_E_STATE);
    }
    T_STATUS(mango_opt_tell_all(p, -1, &good), MANGO_E_ARG);
    T_STATUS(mango_opt_tell_all(p, 1, NULL), MANGO_E_ARG);
    T_STATUS(mango_opt_tell_all(NULL, 1, &good), MANGO_E_ARG);
    T_STATUS(mango_opt_tell_all(p, 1, &good), MANGO_OK);
    T_STATUS(mango_opt_best(p, NULL, NULL), MANGO_OK);
    mango_opt_destroy(p);
}

/* ---- real modes, traits ------------------------------------------------------- */

/* Intervals beside levels: codes in range; a maximum inside an interval is found. */
static void t_real_modes(void)
{
    static const char *const names[] = {"tt-b", "tt", "random"};
    const mango_idx n[3] = {MANGO_REAL, 5, MANGO_REAL};
    const mango_modes m = {3, n};
    for (int i = 0; i < 3; i++) {
        mango_idx I[25 * 3], K;
        double y[25], best = 0;
        const mango_opt_options o = t_options_of(names[i]);
        mango_opt *p = NULL;
        mango_err err = {""};
        T_OK(mango_opt_create(&p, &m, NULL, &o, 3, NULL, &err), &err);
        for (int round = 0; p && round < 150; round++) {
            K = 0;
            T_STATUS(mango_opt_ask(p, 25, &K, I), MANGO_OK);
            for (mango_idx k = 0; k < K; k++) {
                const double a = (double)I[3 * k] / (MANGO_REAL - 1),
                             b = (double)I[3 * k + 2] / (MANGO_REAL - 1);
                T_CHECK(a >= 0 && a <= 1 && b >= 0 && b <= 1 && I[3 * k + 1] < 5);
                y[k] = -fabs(a - 0.3) - fabs(b - 0.8) - 0.1 * (double)I[3 * k + 1];
            }
            T_STATUS(mango_opt_tell(p, K, I, y), MANGO_OK);
        }
        T_STATUS(mango_opt_best(p, &best, NULL), MANGO_OK);
        T_CHECK(best > -0.2);
        mango_opt_destroy(p);
    }
    const mango_opt_options plain = t_options_of("protes"); /* 2^30 levels of a core */
    mango_opt *p;
    mango_err err = {""};
    T_STATUS(mango_opt_create(&p, &m, NULL, &plain, 3, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "mode 0") != NULL && strstr(err.text, "quantized") != NULL);
}

/* A space with an interval: its ends, and the middle, as a generator gets them. */
static void t_real_space(void)
{
    const mango_idx n[2] = {MANGO_REAL, 3}, big[1] = {MANGO_REAL + 1};
    const mango_idx I[3 * 2] = {0, 0, MANGO_REAL - 1, 2, MANGO_REAL / 2, 1};
    float z[3 * 2];
    mango_space *s = NULL;
    mango_err err = {""};
    T_OK_OR_RETURN(mango_space_create(&s, 2, n, -4, 4, NULL, &err), &err);
    T_STATUS(mango_space_latent(s, 3, I, z), MANGO_OK);
    T_CHECK(z[0] == -4 && z[1] == -4 && z[2] == 4 && z[3] == 4 && z[5] == 0);
    T_NEAR((double)z[4], 0, 1e-8);
    mango_space_destroy(s);
    T_STATUS(mango_space_create(&s, 1, big, -4, 4, NULL, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "2^30") != NULL);
}

static mango_status t_real_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = (double)I[2 * k] - (double)I[2 * k + 1];
    return MANGO_OK;
}

/* A session on it: codes of 30 bits come back from the journal as they were. */
static void t_real_session(void)
{
    const mango_idx n[2] = {MANGO_REAL, MANGO_REAL};
    const mango_modes m = {2, n};
    mango_idx I[2][2];
    double y[2];
    char path[1024];
    mgi_copy(path, sizeof path, t_tmp("real.jsonl"));
    for (int run = 0; run < 2; run++) {
        mango_session_options o;
        mango_session *s = NULL;
        mango_err err = {""};
        T_OK(mango_session_defaults("tt-b", &o, &err), &err);
        o.budget = 100;
        o.journal = path;
        o.resume = 1;
        o.sync = 0;
        T_OK_OR_RETURN(
            mango_session_create(&s, &m, &o, t_real_evaluate, NULL, NULL, &err), &err);
        T_STATUS(mango_session_run(s), MANGO_STOP_BUDGET);
        T_STATUS(mango_session_best(s, y + run, I[run]), MANGO_OK);
        mango_session_destroy(s);
    }
    T_CHECK(y[0] == y[1] && y[0] == (double)(I[0][0] - I[0][1]) && y[0] > 1e8);
    T_MEM(I[1], I[0], sizeof I[0]);
}

static void t_traits(void)
{
    const mango_modes m = {T_FACTS_D, t_facts_n};
    mango_opt_options o = t_options_of("tt-exp");
    mango_opt_info info;
    mango_opt *p = NULL;
    mango_idx I[200 * T_FACTS_D], K = 7;
    T_STATUS(mango_opt_parse(&o, "k=40,minimize=1", NULL), MANGO_OK);
    T_STATUS(mango_opt_create(&p, &m, NULL, &o, 3, NULL, NULL), MANGO_OK);
    T_STATUS(mango_opt_ask(p, 200, &K, I), MANGO_OK);
    K = 0;
    T_STATUS(mango_opt_ask(p, 200, &K, I), MANGO_OK);
    T_STATUS(mango_opt_restart(p), MANGO_OK);
    T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    T_CHECK(strcmp(info.preset, "tt-exp") == 0 && strcmp(info.method, "protes") == 0);
    T_CHECK(info.d == T_FACTS_D && info.batch == 40 && K == 40 && info.elite == 10);
    T_CHECK(!info.oblivious && info.minimize && info.asked == 47 && info.restarts == 1);
    T_STATUS(mango_opt_get(NULL, &info), MANGO_E_ARG);
    T_STATUS(mango_opt_get_sized(p, NULL, sizeof info), MANGO_E_ARG);
    mango_opt_destroy(p);
}

void t_opt_options(void)
{
    T_CASE(t_options_parse);
    T_CASE(t_options_parse_bad);
    T_CASE(t_options_follow);
    T_CASE(t_options_text);
    T_CASE(t_options_list);
    T_CASE(t_facts_copied);
    T_CASE(t_facts_bad);
    T_CASE(t_facts_memory);
    T_CASE(t_told_same);
    T_CASE(t_told_rows);
    T_CASE(t_explain_none);
    T_CASE(t_told_ties);
    T_CASE(t_told_bad);
    T_CASE(t_real_modes);
    T_CASE(t_real_space);
    T_CASE(t_real_session);
    T_CASE(t_traits);
}

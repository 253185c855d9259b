/* verb_bench_presets.c - what optimizers cost: every preset's own time in a search of
 * 1,000 queries, and auto's beside that of the evaluation on the shipped pairs.
 * SPDX-License-Identifier: MIT */
#include "verb_bench.h"
#include <stdlib.h>

#define BENCH_QUERIES 1000
#define BENCH_ASK 4096
#define BENCH_CODES 1000 /* reference codes ...                   */
#define BENCH_DIM 64     /* ... and numbers of each, of a level, too */

/* ---- two spaces, and facts as a generator's file has them --------------------- */

typedef struct bench_space {
    const char *label;
    mango_idx d, n, side; /* side x side cells; 0: no grid */
    mango_idx *level;     /* (d) n each                    */
    mango_idx *codes;     /* (BENCH_CODES, d)              */
    float *features;      /* (BENCH_CODES, BENCH_DIM)      */
    float *levels;        /* (n, BENCH_DIM)                */
    mango_facts facts;
} bench_space;

/* The level that is best in mode j. */
static mango_idx bench_want(const bench_space *s, mango_idx j)
{
    return j * 37 % 64 * s->n / 64;
}

static double bench_value(const bench_space *s, const mango_idx *I)
{
    double far = 0.0;
    for (mango_idx j = 0; j < s->d; j++) {
        const double x = (double)(I[j] - bench_want(s, j)) / (double)s->n;
        far += x * x;
    }
    return 1.0 - far / (double)s->d;
}

/* For methods that climb: towards the wanted level, or its point. */
static mango_status bench_gradient(void *ud, mango_idx K, const mango_idx *I, double *y,
                                   float *dy)
{
    const bench_space *s = ud;
    const mango_idx m = s->side ? BENCH_DIM : 1;
    for (mango_idx k = 0; k < K; k++) {
        y[k] = bench_value(s, I + k * s->d);
        for (mango_idx e = 0; e < s->d * m; e++) {
            const mango_idx want = bench_want(s, e / m), is = I[k * s->d + e / m];
            const float to = s->side ? s->levels[want * m + e % m] : (float)want;
            const float from = s->side ? s->levels[is * m + e % m] : (float)is;
            dy[k * s->d * m + e] = to - from;
        }
    }
    return MANGO_OK;
}

static void bench_space_facts(bench_space *s)
{
    mango_facts *f = &s->facts;
    mango_facts_defaults(f);
    f->n_codes = BENCH_CODES;
    f->codes = s->codes;
    f->code_dim = BENCH_DIM;
    f->code_features = s->features;
    f->gradient = bench_gradient;
    f->gradient_ud = s;
    f->H = f->W = s->side;
    if (s->side) {
        f->level_dim = BENCH_DIM;
        f->levels = s->levels;
        return;
    }
    f->prior = MANGO_PRIOR_NORMAL;
    f->prior_lo = -4.0;
    f->prior_hi = 4.0;
    f->classes = 10;
}

static void bench_space_free(bench_space *s)
{
    free(s->level);
    free(s->codes);
    free(s->features);
    free(s->levels);
}

static mango_status bench_space_new(bench_space *s)
{
    s->level = malloc(sizeof *s->level * (size_t)s->d);
    s->codes = malloc(sizeof *s->codes * (size_t)(BENCH_CODES * s->d));
    s->features = malloc(sizeof *s->features * BENCH_CODES * BENCH_DIM);
    s->levels = malloc(sizeof *s->levels * (size_t)(s->n * BENCH_DIM));
    if (!s->level || !s->codes || !s->features || !s->levels)
        return MANGO_E_MEM;
    for (mango_idx j = 0; j < s->d; j++)
        s->level[j] = s->n;
    mango_rng rng;
    mango_rng_init(&rng, 1, 0x62656e63u, 0);
    for (mango_idx e = 0; e < BENCH_CODES * s->d; e++)
        s->codes[e] = mango_rng_int(&rng, s->n);
    mango_fill_u("features", 1, BENCH_CODES * BENCH_DIM, s->features);
    mango_fill_u("levels", 1, s->n * BENCH_DIM, s->levels);
    bench_space_facts(s);
    return MANGO_OK;
}

/* ---- one preset ------------------------------------------------------------------ */

typedef struct bench_search {
    const bench_space *s;
    const char *preset;
    uint64_t seed;
    mango_idx *I; /* (BENCH_ASK, d) */
    double y[BENCH_ASK];
    mango_err err;
} bench_search;

static mango_status bench_search_steps(bench_search *b, mango_opt *opt)
{
    const bench_space *s = b->s;
    for (mango_idx q = 0, K; q < BENCH_QUERIES; q += K) {
        K = 0;
        MGI_TRY(mango_opt_ask(opt, MGI_MIN(BENCH_ASK, BENCH_QUERIES - q), &K, b->I));
        for (mango_idx k = 0; k < K; k++)
            b->y[k] = bench_value(s, b->I + k * s->d);
        MGI_TRY(mango_opt_tell(opt, K, b->I, b->y));
        if (cli_interrupted())
            return MANGO_E_STATE;
    }
    return MANGO_OK;
}

/* A whole search, creation included. */
static mango_status bench_search_once(void *ud)
{
    bench_search *b = ud;
    const bench_space *s = b->s;
    const mango_modes modes = {s->d, s->level};
    mango_opt_options o;
    mango_opt *opt = NULL;
    MGI_TRY(mango_opt_defaults(b->preset, &o, &b->err));
    MGI_TRY(mango_opt_create(&opt, &modes, &s->facts, &o, b->seed, NULL, &b->err));
    const mango_status st = bench_search_steps(b, opt);
    mango_opt_destroy(opt);
    return st;
}

static mango_status bench_preset(bench_all *a, bench_search *b, double *seconds)
{
    bench_time t = {0, 0, 0};
    bench_step(a, b->preset);
    const mango_status st = bench_run(bench_search_once, b, 0.1 * a->seconds, 1, &t);
    *seconds = st < 0 ? MGI_NAN : t.best;
    return st < 0 && cli_interrupted() ? st : MANGO_OK;
}

static void bench_preset_json(bench_all *a, const char *preset, const bench_space *s,
                              double seconds, int first)
{
    mgi_str_puts(&a->s, first ? "{" : ",{");
    cli_quote(&a->s, "preset", preset);
    mgi_str_puts(&a->s, ",");
    cli_quote(&a->s, "space", s->label);
    if (mgi_is_finite(seconds))
        mgi_str_printf(&a->s, ",\"s_1000\":%.5f}", seconds);
    else
        mgi_str_puts(&a->s, ",\"s_1000\":null}");
}

/* All presets, in both spaces. */
static mango_status bench_presets_all(bench_all *a, bench_space s[2], bench_search *b)
{
    mango_opt_preset_info p;
    for (mango_idx i = 0; i < mango_opt_presets(); i++) {
        double seconds[2] = {0, 0};
        char text[2][16] = {"-", "-"};
        mango_opt_preset(i, &p);
        b->preset = p.name;
        for (int k = 0; k < 2; k++) {
            b->s = s + k;
            MGI_TRY(bench_preset(a, b, seconds + k));
            bench_preset_json(a, p.name, s + k, seconds[k], i == 0 && k == 0);
            if (mgi_is_finite(seconds[k]))
                snprintf(text[k], sizeof text[k], "%.4f", seconds[k]);
        }
        cli_print(&a->c, "  %-20s %12s %12s   %s\n", p.name, text[0], text[1],
                  mgi_is_finite(seconds[0] + seconds[1]) ? "" : b->err.text);
    }
    return MANGO_OK;
}

int bench_presets_steps(void)
{
    return 2 * (int)mango_opt_presets();
}

mango_status bench_presets(bench_all *a)
{
    bench_space s[2] = {{.label = "128 of 64", .d = 128, .n = 64},
                        {.label = "64 of 512", .d = 64, .n = 512, .side = 8}};
    static bench_search b;
    memset(&b, 0, sizeof b);
    b.seed = (uint64_t)a->c.seed;
    b.I = malloc(sizeof *b.I * BENCH_ASK * 128);
    mango_status st = b.I ? bench_space_new(s) : MANGO_E_MEM;
    if (st >= 0)
        st = bench_space_new(s + 1);
    cli_print(&a->c,
              "optimizers' own seconds in a search of %d queries\n  %-20s %12s %12s\n",
              BENCH_QUERIES, "", "128 of 64", "64 of 512");
    mgi_str_puts(&a->s, ",\"presets\":[");
    if (st >= 0)
        st = bench_presets_all(a, s, &b);
    mgi_str_puts(&a->s, "]");
    bench_space_free(s);
    bench_space_free(s + 1);
    free(b.I);
    return st;
}

/* ---- beside the evaluation ---------------------------------------------------------- */

static const char *const bench_share_gen[] = {"vqvae_cifar10", "sngan_cifar10"};
static const char *const bench_share_unit[][2] = {
    {"spiking_resnet18_cifar10", "layer4.1.sn2:17"},
    {"snn_conv_cifar10", "spiking1:10"},
    {"resnet18_cifar10", "class:6"},
};

typedef struct bench_pair {
    mango_search *search;
    double eval; /* seconds */
} bench_pair;

static mango_status bench_share_value(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    bench_pair *b = ud;
    const double t0 = cli_now();
    const mango_status st =
        mango_objective_eval(mango_search_objective(b->search), K, I, y);
    b->eval += cli_now() - t0;
    return cli_interrupted() && st == MANGO_OK ? MANGO_E_CALLBACK : st;
}

/* One search by auto: all seconds of it. */
static mango_status bench_share_run(bench_all *a, const mango_net *gen,
                                    const mango_net *net, const char *target, bench_pair *b,
                                    double *seconds, mango_err *err)
{
    mango_objective_options oo;
    mango_session_options so;
    MGI_TRY(mango_objective_defaults(&oo));
    MGI_TRY(mango_session_defaults("auto", &so, err));
    oo.T = 20;
    so.budget = BENCH_QUERIES;
    so.seed = (uint64_t)a->c.seed;
    MGI_TRY(mango_search_create(&b->search, gen, net, target, &oo, &so, NULL, err));
    MGI_TRY(mango_search_values(b->search, bench_share_value, b));
    const double t0 = cli_now();
    const mango_status st = mango_search_run(b->search);
    *seconds = cli_now() - t0;
    if (st < 0)
        mgi_fail(err, st, "%s", mango_search_error(b->search));
    return st;
}

static mango_status bench_share_pair(bench_all *a, int g, int u, mango_err *err)
{
    const char *const *unit = bench_share_unit[u];
    mango_net *gen = NULL, *net = NULL;
    bench_pair b = {NULL, 0.0};
    double all = 0.0;
    bench_step(a, unit[0]);
    mango_status st = cli_net(&gen, bench_share_gen[g], NULL, err);
    if (st >= 0)
        st = cli_net(&net, unit[0], NULL, err);
    if (st >= 0)
        st = bench_share_run(a, gen, net, unit[1], &b, &all, err);
    if (st >= 0) {
        cli_print(&a->c, "  %-14s %-25s %-16s %8.3f %8.3f %8.3f\n", bench_share_gen[g],
                  unit[0], unit[1], all - b.eval, b.eval, (all - b.eval) / b.eval);
        mgi_str_puts(&a->s, g + u ? ",{" : "{");
        cli_quote(&a->s, "gen", bench_share_gen[g]);
        mgi_str_puts(&a->s, ",");
        cli_quote(&a->s, "net", unit[0]);
        mgi_str_printf(&a->s, ",\"opt_seconds\":%.5f,\"eval_seconds\":%.5f}", all - b.eval,
                       b.eval);
    }
    mango_search_destroy(b.search);
    mango_net_destroy(gen);
    mango_net_destroy(net);
    return st < 0 ? st : MANGO_OK;
}

int bench_share_steps(void)
{
    return (int)(MGI_COUNT(bench_share_gen) * MGI_COUNT(bench_share_unit));
}

mango_status bench_share(bench_all *a, mango_err *err)
{
    cli_print(&a->c,
              "auto, %d queries, T 20: seconds of its own, of evaluation, and their "
              "ratio\n",
              BENCH_QUERIES);
    mgi_str_puts(&a->s, ",\"share\":[");
    for (int g = 0; g < MGI_COUNT(bench_share_gen); g++)
        for (int u = 0; u < MGI_COUNT(bench_share_unit); u++)
            MGI_TRY(bench_share_pair(a, g, u, err));
    mgi_str_puts(&a->s, "]");
    return MANGO_OK;
}

#undef BENCH_QUERIES
#undef BENCH_ASK
#undef BENCH_CODES
#undef BENCH_DIM

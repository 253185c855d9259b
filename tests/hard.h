/* hard.h - spaces and one optimizer under test, for test_opt_hard.c.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_HARD_H
#define MANGO_TEST_HARD_H

#include "test.h"

enum { T_HARD_CAP = 128, T_HARD_D = 16, T_HARD_MOST = 1 << 30 };

/* ---- spaces ------------------------------------------------------------------ */

typedef struct t_hard_space {
    mango_modes modes;
    mango_facts facts;
    double sign; /* of what the gradient tells: -1 for one that minimizes */
} t_hard_space;

static mango_status t_hard_features(void *ud, mango_idx K, const mango_idx *I, float *f)
{
    const mango_idx d = *(const mango_idx *)ud;
    for (mango_idx k = 0; k < K; k++) {
        f[2 * k] = (float)I[k * d] * 0.1f;
        f[2 * k + 1] = (float)I[k * d + d - 1] - 3.0f;
    }
    return MANGO_OK;
}

/* A value's derivative that leads somewhere, sometimes to nothing. */
static mango_status t_hard_gradient(void *ud, mango_idx K, const mango_idx *I, double *y,
                                    float *dy)
{
    const t_hard_space *s = ud;
    const mango_idx d = s->modes.d, m = MGI_MAX(s->facts.level_dim, 1);
    for (mango_idx i = 0; i < K * d; i++)
        for (mango_idx c = 0; c < m; c++)
            dy[i * m + c] = (float)s->sign * (float)((I[i] + c) % 3 - 1);
    for (mango_idx k = 0; k < K; k++)
        y[k] = s->sign * (double)(I[k * d] % 5);
    return MANGO_OK;
}

/* 0: modes of many sizes and no facts. 1: a grid of codes, with reference codes, stored
 * and cheap features, a codebook. 2: numbers with a prior, of which four name a class.
 * 3: the grid under noise. */
static t_hard_space t_hard_room(int which)
{
    static const mango_idx mixed[] = {8, 3, 1, 5, 64, 2, 16}, numbers[12] = {
        64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64};
    static mango_idx cells[T_HARD_D], codes[20 * T_HARD_D], grid_d = T_HARD_D;
    static float stored[20 * 3], levels[32 * 4];
    t_hard_space s = {{7, mixed}, {0}, 1.0};
    T_STATUS(mango_facts_defaults(&s.facts), MANGO_OK);
    if (which % 2 == 1) {
        for (mango_idx j = 0; j < T_HARD_D; j++)
            cells[j] = 32;
        for (mango_idx i = 0; i < 20 * T_HARD_D; i++)
            codes[i] = (7 * i + i / 5) % 32;
        for (mango_idx i = 0; i < 60; i++)
            stored[i] = (float)((i * i) % 11) - 5.0f;
        for (mango_idx i = 0; i < 128; i++)
            levels[i] = (float)((i * i * i) % 13) - 6.0f;
        const mango_modes m = {T_HARD_D, cells};
        s.modes = m;
        s.facts.H = s.facts.W = 4;
        s.facts.n_codes = 20;
        s.facts.codes = codes;
        s.facts.code_dim = 3;
        s.facts.code_features = stored;
        s.facts.features = t_hard_features;
        s.facts.features_ud = &grid_d;
        s.facts.features_dim = 2;
        s.facts.level_dim = 4;
        s.facts.levels = levels;
        s.facts.noisy = which == 3;
    }
    if (which == 2) {
        const mango_modes m = {12, numbers};
        s.modes = m;
        s.facts.prior = MANGO_PRIOR_NORMAL;
        s.facts.prior_lo = -4.0;
        s.facts.prior_hi = 4.0;
        s.facts.class_first = 8;
        s.facts.classes = 4;
    }
    return s;
}

enum { T_HARD_ROOMS = 4 };

/* ---- one optimizer under test --------------------------------------------------- */

/* The preset that is looked at; checks say which. */
static const char *t_hard_name = "";

static int t_hard_said(int ok, const char *what, int line)
{
    char text[160];
    snprintf(text, sizeof text, "%s: %s", t_hard_name, what);
    return t_check(ok, text, __FILE__, line);
}
#define H_CHECK(cond) t_hard_said((cond) != 0, #cond, __LINE__)

/* Number i of the presets to look at; 0 behind the last. */
static int t_hard_preset(mango_idx *i)
{
    const char *only = getenv("MANGO_TEST_PRESET");
    mango_opt_preset_info row;
    for (; *i < mango_opt_presets(); ++*i) {
        T_STATUS(mango_opt_preset(*i, &row), MANGO_OK);
        t_hard_name = row.name;
        if (!only || strcmp(only, row.name) == 0)
            return 1;
    }
    return 0;
}
#define T_HARD_EACH(i) for (mango_idx i = 0; t_hard_preset(&i); i++)

static mango_status t_hard_create(mango_opt **p, const t_hard_space *s, const char *set,
                                  uint64_t seed, const mango_alloc *al, mango_err *err)
{
    mango_opt_options o;
    t_hard_space own = *s;
    *p = NULL;
    if (strcmp(t_hard_name, "gradient") == 0)
        own.facts.gradient = t_hard_gradient;
    own.facts.gradient_ud = (void *)(uintptr_t)s;
    T_STATUS(mango_opt_defaults(t_hard_name, &o, NULL), MANGO_OK);
    T_STATUS(mango_opt_parse(&o, set, err), MANGO_OK);
    return mango_opt_create(p, &own.modes, &own.facts, &o, seed, al, err);
}

static mango_opt *t_hard_new(const t_hard_space *s, const char *set, uint64_t seed)
{
    mango_opt *p;
    mango_err err = {""};
    const mango_status st = t_hard_create(&p, s, set, seed, NULL, &err);
    if (!H_CHECK(st == MANGO_OK))
        T_OK(st, &err);
    return p;
}

/* One ask of K codes, 0: of its own size; *K of them, all in range. */
static int t_hard_ask(mango_opt *p, const t_hard_space *s, mango_idx *K, mango_idx *I,
                      uint64_t *id)
{
    const mango_idx wanted = *K, d = s->modes.d;
    mango_opt_info info;
    T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    if (!H_CHECK(mango_opt_ask_ids(p, T_HARD_CAP, K, I, id) == MANGO_OK) ||
        !H_CHECK(wanted ? *K == wanted : *K >= 1 && *K <= T_HARD_CAP))
        return 0;
    mango_idx bad = 0;
    for (mango_idx k = 0; k < *K; k++)
        bad += id[k] != info.asked + (uint64_t)k;
    for (mango_idx i = 0; i < *K * d; i++)
        bad += I[i] < 0 || I[i] >= s->modes.n[i % d];
    return H_CHECK(bad == 0);
}

static uint32_t t_hard_hash(mango_idx d, const mango_idx *I)
{
    uint32_t h = 2166136261u;
    for (mango_idx j = 0; j < d; j++)
        h = (h ^ (uint32_t)I[j]) * 16777619u;
    return h ^ h >> 15;
}

/* A plain value of a code: many levels say something, few codes are level. */
static double t_hard_value(mango_idx d, const mango_idx *I)
{
    double y = 0.0;
    for (mango_idx j = 0; j < d; j++)
        y += (double)((I[j] * (j + 3)) % 17);
    return y + (double)(t_hard_hash(d, I) % 7);
}

#endif

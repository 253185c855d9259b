/* opt.c - the ask/tell interface: presets, checks, the best so far.
 * The methods themselves are one file each, behind mgi_method (method.h).
 * SPDX-License-Identifier: MIT */
#include "opt.h"
#include "../base/text.h"
#include "method.h"

#define OPT_BLOCK 64 /* values handed to a method at once */

typedef struct opt_preset {
    const char *name;
    const mgi_method *(*method)(void);
    mango_opt_options o;
} opt_preset;

/*                       method                k   top gd lr    r  qtt min budget */
static const opt_preset opt_presets[] = {
    {"tt", mgi_method_protes, {10, 1, 1, 0.05, 5, 1, 0, 0}},
    {"tt-s", mgi_method_protes, {5, 1, 1, 0.05, 5, 1, 0, 0}},
    {"tt-b", mgi_method_protes, {25, 5, 1, 0.05, 5, 1, 0, 0}},
    {"tt-exp", mgi_method_protes, {100, 10, 1, 0.1, 5, 1, 0, 0}},
    {"protes", mgi_method_protes, {100, 10, 1, 0.05, 5, 0, 0, 0}},
    {"random", mgi_method_random, {10, 1, 1, 0.05, 5, 0, 0, 0}},
};

const char *const *mango_opt_names(void)
{
    static const char *const names[] = {"tt",     "tt-s",   "tt-b", "tt-exp",
                                        "protes", "random", NULL};
    return names;
}

static const opt_preset *opt_find(const char *name, mango_err *err)
{
    for (mango_idx i = 0; i < MGI_COUNT(opt_presets); i++)
        if (name && strcmp(name, opt_presets[i].name) == 0)
            return opt_presets + i;
    char near[128];
    mgi_near(name ? name : "", MGI_COUNT(opt_presets), mango_opt_names(), near,
             sizeof near);
    mgi_fail(err, MANGO_E_NAME, "optimizer '%.64s' is not known; near: %s",
             name ? name : "", near);
    return NULL;
}

mango_status mango_opt_defaults(const char *name, mango_opt_options *o, mango_err *err)
{
    MGI_REQUIRE(o);
    const opt_preset *p = opt_find(name, err);
    if (!p)
        return MANGO_E_NAME;
    *o = p->o;
    return MANGO_OK;
}

mango_idx mango_opt_elite(const char *name, const mango_opt_options *o)
{
    const opt_preset *p = opt_find(name, NULL);
    if (!p)
        return 0;
    const mango_opt_options *use = o ? o : &p->o;
    const mgi_method *m = p->method();
    return m->elite ? m->elite(use) : use->k;
}

int mango_opt_oblivious(const char *name)
{
    const opt_preset *p = opt_find(name, NULL);
    return p && p->method()->oblivious;
}

static mango_status opt_check(const mango_opt_options *o, mango_err *err)
{
    const struct { const char *name; mango_idx v, lo, hi; } field[] = {
        {"k", o->k, 1, 1 << 20},       {"k_top", o->k_top, 1, o->k},
        {"k_gd", o->k_gd, 1, 10000},   {"r", o->r, 1, 256},
        {"quantized", o->quantized, 0, 1}, {"minimize", o->minimize, 0, 1},
        {"budget", o->budget, 0, PTRDIFF_MAX},
    };
    for (mango_idx i = 0; i < MGI_COUNT(field); i++)
        if (field[i].v < field[i].lo || field[i].v > field[i].hi)
            return mgi_fail(err, MANGO_E_ARG,
                            "optimizer option %s is %td, expected %td..%td", field[i].name,
                            field[i].v, field[i].lo, field[i].hi);
    if (!(o->lr > 0.0 && o->lr <= 1e6))
        return mgi_fail(err, MANGO_E_ARG, "optimizer option lr must be in (0, 1e6]");
    return MANGO_OK;
}

static mango_status opt_check_modes(const mango_modes *m, mango_err *err)
{
    if (!m || !m->n || m->d < 1 || m->d > (mango_idx)1 << 20)
        return mgi_fail(err, MANGO_E_ARG, "optimizer: 1..2^20 modes expected");
    for (mango_idx j = 0; j < m->d; j++)
        if (m->n[j] < 1 || m->n[j] > (mango_idx)1 << 24)
            return mgi_fail(err, MANGO_E_ARG, "mode %td has %td levels, expected 1..2^24",
                            j, m->n[j]);
    return MANGO_OK;
}

mango_status mango_opt_create(mango_opt **opt, const char *name, const mango_modes *modes,
                              const mango_opt_options *o, uint64_t seed,
                              const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(opt);
    *opt = NULL;
    const opt_preset *p = opt_find(name, err);
    if (!p)
        return MANGO_E_NAME;
    MGI_TRY(opt_check_modes(modes, err));
    MGI_TRY(opt_check(o ? o : &p->o, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_status st = MANGO_E_MEM;
    mango_opt *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, st, "optimizer: out of memory");
    x->al = a, x->method = p->method(), x->opt = o ? *o : p->o;
    x->d = modes->d, x->seed = seed;
    x->n = mgi_new(&a, x->d, sizeof *x->n);
    x->best_I = mgi_new(&a, x->d, sizeof *x->best_I);
    if (!x->n || !x->best_I) {
        mgi_fail(err, st, "optimizer: out of memory for %td modes", x->d);
        goto done;
    }
    memcpy(x->n, modes->n, (size_t)x->d * sizeof *x->n);
    st = x->method->create ? x->method->create(x, err) : MANGO_OK;
done:
    if (st < 0)
        mango_opt_destroy(x);
    else
        *opt = x;
    return st;
}

void mango_opt_destroy(mango_opt *opt)
{
    if (!opt)
        return;
    const mango_alloc al = opt->al;
    if (opt->method->destroy)
        opt->method->destroy(opt);
    mgi_del(&al, opt->n, opt->d, sizeof *opt->n);
    mgi_del(&al, opt->best_I, opt->d, sizeof *opt->best_I);
    mgi_del(&al, opt, 1, sizeof *opt);
}

mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K, mango_idx *I)
{
    MGI_REQUIRE(opt);
    if (!K || !I || cap < 1 || *K < 0 || *K > cap)
        return mgi_fail(&opt->err, MANGO_E_ARG, "ask: 0 <= K <= cap, cap >= 1 expected");
    const mango_idx want = *K > 0 ? *K : MGI_MIN(cap, opt->opt.k);
    const mango_status st = opt->method->ask(opt, want, I);
    if (st < 0)
        return st;
    opt->asked += (uint64_t)want;
    *K = want;
    return st;
}

MGI_FN mango_status mgi_opt_peek(mango_opt *opt, mango_idx skip, mango_idx K, mango_idx *I)
{
    if (!opt->method->oblivious)
        return MANGO_E_UNSUPPORTED;
    const uint64_t asked = opt->asked;
    opt->asked += (uint64_t)skip;
    const mango_status st = opt->method->ask(opt, K, I);
    opt->asked = asked;
    return st;
}

static void opt_best(mango_opt *opt, const mango_idx *I, double y)
{
    if (opt->has_best && !(opt->opt.minimize ? y < opt->best_y : y > opt->best_y))
        return;
    opt->has_best = 1;
    opt->best_y = y;
    memcpy(opt->best_I, I, (size_t)opt->d * sizeof *I);
}

mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                            const double *y)
{
    MGI_REQUIRE(opt);
    const mango_idx d = opt->d;
    if (K < 0 || (K > 0 && (!I || !y)))
        return mgi_fail(&opt->err, MANGO_E_ARG, "tell: K >= 0, codes and values expected");
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < d; j++)
            if (I[k * d + j] < 0 || I[k * d + j] >= opt->n[j])
                return mgi_fail(&opt->err, MANGO_E_ARG,
                                "tell: row %td has level %td in mode %td, expected 0..%td",
                                k, I[k * d + j], j, opt->n[j] - 1);
    for (mango_idx k0 = 0; k0 < K; k0 += OPT_BLOCK) {
        double v[OPT_BLOCK];
        const mango_idx kn = MGI_MIN(OPT_BLOCK, K - k0);
        for (mango_idx k = 0; k < kn; k++) {
            const double yk = y[k0 + k];
            const int finite = mgi_is_finite(yk);
            v[k] = !finite ? MGI_NAN : opt->opt.minimize ? -yk : yk;
            if (finite)
                opt_best(opt, I + (k0 + k) * d, yk);
        }
        if (opt->method->tell)
            opt->method->tell(opt, kn, I + k0 * d, v);
    }
    return MANGO_OK;
}

mango_status mango_opt_restart(mango_opt *opt)
{
    MGI_REQUIRE(opt);
    opt->epoch++;
    if (opt->method->restart)
        opt->method->restart(opt, opt->epoch);
    return MANGO_OK;
}

mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I)
{
    MGI_REQUIRE(opt);
    if (!opt->has_best)
        return MANGO_E_STATE;
    if (y)
        *y = opt->best_y;
    if (I)
        memcpy(I, opt->best_I, (size_t)opt->d * sizeof *I);
    return MANGO_OK;
}

const char *mango_opt_error(const mango_opt *opt)
{
    return opt ? opt->err.text : "";
}

#undef OPT_BLOCK

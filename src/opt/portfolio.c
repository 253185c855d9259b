/* portfolio.c - three methods that know nothing of each other's strength, in turn.
 *
 *     proposal q comes from   CMA-ES (cma.c),                          q = 0, 3, 6, ...
 *                             differential evolution, two-point (de.c), q = 1, 4, ...
 *                             scrambled Hammersley points,              q = 2, 5, ...
 * CMA-ES is told its own values, differential evolution all of them. Modes are axes on
 * which every level is as likely as any other, latents too: (1) of transition.h.
 * Source: the passive Portfolio of Nevergrad (Rapin and Teytaud, 2018) with
 * TransitionChoice, as the paper ran it. Of it are the parts, 4 + 3 ln d values of a
 * generation, first steps of .3, from 18 modes on .15, around the middle, and who is told
 * what. There the points are a third of the budget; here points=N says so.
 * SPDX-License-Identifier: MIT */
#include "child.h"
#include <stdio.h>

static const mango_opt_spec portfolio_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 12, 0, NULL, NULL},
    {"points", "Hammersley points that will be asked; 0: not known", MANGO_OPT_INT, 0,
     1 << 30, 0, 0, NULL, NULL},
    {"rename", "1: levels of a codebook in the order of its first axis", MANGO_OPT_FLAG, 0, 1,
     1, 0, NULL, NULL},
};

enum { PORTFOLIO_PARTS = 3 };

static mango_status portfolio_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_children *c = o->state;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++) {
        const uint64_t id = o->asked + (uint64_t)k;
        MGI_TRY(mgi_children_ask(c, (int)(id % PORTFOLIO_PARTS), id, 1, I + k * o->d));
    }
    return MANGO_OK;
}

/* Without ids nobody knows whose a code is: then all are told all. */
static void portfolio_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_children *c = o->state;
    if (t->told) {
        mgi_children_tell(c, t);
        return;
    }
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        for (int i = 0; i < c->n; i++)
            mango_opt_tell(c->opt[i], 1, row.I, &row.y);
    }
}

static void portfolio_restart(mango_opt *o, uint64_t epoch)
{
    (void)epoch;
    mgi_children_restart(o->state);
}

static void portfolio_explain(const mango_opt *o, mgi_str *s)
{
    mgi_children_explain(o->state, s);
}

static void portfolio_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    mgi_children_why(o->state, o->asked - (uint64_t)(o->last - k), s);
}

static void portfolio_destroy(mango_opt *o)
{
    if (!o->state)
        return;
    mgi_children_destroy(o->state, &o->al);
    mgi_del(&o->al, o->state, 1, sizeof(mgi_children));
}

static mango_status portfolio_create(mango_opt *o, mango_err *err)
{
    char cma[64], de[64], ham[64];
    const mgi_part part[PORTFOLIO_PARTS] = {
        {"cma", cma, 0},
        {"de", de, 1},
        {"hammersley", ham, 0},
    };
    o->state = mgi_new(&o->al, 1, sizeof(mgi_children));
    if (!o->state)
        return mgi_fail(err, MANGO_E_MEM, "portfolio: out of memory");
    const int rename = (int)mgi_opt_int(o, "rename");
    snprintf(cma, sizeof cma, "axes=choice,inject=0,rename=%d", rename);
    snprintf(de, sizeof de, "axes=choice,rename=%d", rename);
    snprintf(ham, sizeof ham, "points=%td", mgi_opt_int(o, "points"));
    o->batch = mgi_opt_int(o, "k");
    o->ties = 1;
    return mgi_children_create(o->state, o, &o->facts, PORTFOLIO_PARTS, part, err);
}

MGI_FN const mgi_method *mgi_method_portfolio(void)
{
    static const mgi_method method = {
        .name = "portfolio",
        .option = portfolio_option,
        .n_options = MGI_COUNT(portfolio_option),
        .create = portfolio_create,
        .ask = portfolio_ask,
        .tell = portfolio_tell,
        .restart = portfolio_restart,
        .destroy = portfolio_destroy,
        .explain = portfolio_explain,
        .why = portfolio_why,
    };
    return &method;
}

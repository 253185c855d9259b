/* ttopt.c - TTOpt: maximize a tensor by looking where its submatrices have most volume.
 *
 * A submatrix of maximal volume holds an element close to the largest |element| of its
 * matrix: within a factor r of it for rank r. So sweep through the cores of a cross
 * approximation (tt_cross.h). At each,
 * ask:  the r_j n_j r_{j+1} entries of the core; those known already are not asked again.
 * tell: when all were asked, from their values y and the best so far
 *           z = pi/2 - arctan(y_best - y),   in (0, pi/2], largest at the best          (1)
 *       the rows of most volume are kept for the cores that follow, the row of the
 *       largest z always among them. A missing value is z = 0.
 * After a sweep there and back without any entry that is new, it starts from random index
 * sets again.
 * Source: Sozykin, Chertkov, Schutski, Phan, Cichocki, Oseledets, "TTOpt: a maximum volume
 * quantized tensor train-based optimization", 2022.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "tt_cross.h"

#define TTOPT_HALF_PI 1.5707963267948966

static const mango_opt_spec ttopt_option[] = {
    MGI_TTC_OPTIONS(4),
    {"grow", "rows that a set may gain at a core", MANGO_OPT_INT, 0, 32, 0, 0, NULL, NULL},
    {"r_most", "largest rank, with grow", MANGO_OPT_INT, 1, 32, 8, 0, NULL, NULL},
    {"quantized", "modes of 2^q levels become q modes of 2 (QTT)", MANGO_OPT_FLAG, 0, 1, 0,
     0, NULL, NULL},
};

/* The core's entries were all asked: its rows. One without any value teaches nothing. */
static void ttopt_learn(mango_opt *o)
{
    mgi_ttc *c = o->state;
    const mango_idx size = mgi_ttc_size(c), last = c->now.right ? c->d - 1 : 0;
    if (c->now.core == last || mgi_ttc_gather(c) == 0)
        return;
    for (mango_idx q = 0; q < size; q++) {
        const double y = c->Z[q];
        c->Z[q] = mgi_is_nan(y) ? 0.0 : TTOPT_HALF_PI - mgi_atan(c->best - y);      /* (1) */
    }
    mgi_ttc_choose(c);
}

static mango_status ttopt_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_ttc_ask(o->state, cap, K, I);
    return MANGO_OK;
}

static void ttopt_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_ttc_tell(o->state, t);
}

static void ttopt_restart(mango_opt *o, uint64_t epoch)
{
    mgi_ttc_restart(o->state, epoch << 32);
}

static void ttopt_destroy(mango_opt *o)
{
    mgi_ttc *c = o->state;
    if (!c)
        return;
    mgi_ttc_free(c);
    mgi_del(&o->al, c, 1, sizeof *c);
}

static mango_status ttopt_create(mango_opt *o, mango_err *err)
{
    const mango_idx grow = mgi_opt_int(o, "grow"), r = mgi_opt_int(o, "r");
    const mango_idx most = grow ? MGI_MAX(r, mgi_opt_int(o, "r_most")) : r;
    mgi_ttc *c = mgi_new(&o->al, 1, sizeof *c);
    o->state = c;
    if (!c)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", o->opt.preset);
    c->learn = ttopt_learn;
    c->grow = grow;
    MGI_TRY(mgi_ttc_init(c, o, most, (int)mgi_opt_int(o, "quantized"), 0, err));
    ttopt_restart(o, 0);
    return MANGO_OK;
}

static void ttopt_explain(const mango_opt *o, mgi_str *s)
{
    mgi_ttc_explain(o->state, s);
}

static void ttopt_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    mgi_ttc_why(o->state, k, s);
}

MGI_FN const mgi_method *mgi_method_ttopt(void)
{
    static const mgi_method method = {
        .name = "ttopt",
        .option = ttopt_option,
        .n_options = MGI_COUNT(ttopt_option),
        .create = ttopt_create,
        .ask = ttopt_ask,
        .tell = ttopt_tell,
        .restart = ttopt_restart,
        .destroy = ttopt_destroy,
        .explain = ttopt_explain,
        .why = ttopt_why,
    };
    return &method;
}

#undef TTOPT_HALF_PI

/* objective_values.c - what an objective gives for codes and for pictures.
 * SPDX-License-Identifier: MIT */
#include "objective.h"

static mango_status objective_gave(mango_objective *o, mango_status st)
{
    if (st >= 0)
        return st;
    return mgi_fail(&o->err, st, "objective: %s", mango_plan_error(o->plan));
}

/* y (K,n) of K <= batch pictures. */
static mango_status objective_read(mango_objective *o, mango_idx K, const float *rgb,
                                   double *y)
{
    mgi_sight *s = &o->see;
    MGI_TRY(objective_gave(o, s->n_follows ? mgi_follow_run(o, K, rgb)
                                           : mango_plan_run(o->plan, K, rgb)));
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < s->n; j++)
            y[k * s->n + j] = mgi_sight_value(s, j, k);
    return MANGO_OK;
}

/* Pictures of K <= batch codes into o->rgb. */
static mango_status objective_draw(mango_objective *o, mango_idx K, const mango_idx *I)
{
    o->n_drawn = 0;
    const mango_status st = mango_drawing_codes(o->drawing, K, I, o->rgb);
    if (st < 0)
        return mgi_fail(&o->err, st, "%s", mango_drawing_error(o->drawing));
    memcpy(o->drawn, I, (size_t)(K * o->d) * sizeof *I);
    o->n_drawn = K;
    return MANGO_OK;
}

static mango_status objective_has_codes(mango_objective *o, const char *who)
{
    if (o->drawing)
        return MANGO_OK;
    return mgi_fail(&o->err, MANGO_E_STATE,
                    "%s: this objective has no generator, only pictures", who);
}

mango_status mango_objective_eval_many(mango_objective *o, mango_idx K, const mango_idx *I,
                                       double *y)
{
    MGI_REQUIRE(o);
    MGI_CHECK(&o->err, K >= 0 && (K == 0 || (I && y)),
              "mango_objective_eval: codes and room for values expected");
    MGI_TRY(objective_has_codes(o, "mango_objective_eval"));
    MGI_TRY(mgi_ties_room(o, K));
    for (mango_idx k = 0; k < K; k += o->batch) {
        const mango_idx m = MGI_MIN(o->batch, K - k);
        MGI_TRY(objective_draw(o, m, I + k * o->d));
        MGI_TRY(o->elite > 0 ? objective_gave(o, mgi_race(o, m, y + k))
                             : objective_read(o, m, o->rgb, y + k * o->see.n));
        mgi_ties_add(o, m);
    }
    return MANGO_OK;
}

mango_status mango_objective_eval(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_objective *o = ud;
    MGI_REQUIRE(o);
    MGI_CHECK(&o->err, o->see.n == 1,
              "mango_objective_eval: one target expected, there are %td", o->see.n);
    return mango_objective_eval_many(o, K, I, y);
}

mango_status mango_objective_picture(mango_objective *o, const mango_idx *I, float *rgb)
{
    MGI_REQUIRE(o);
    MGI_CHECK(&o->err, I && rgb, "mango_objective_picture: a code and room expected");
    MGI_TRY(objective_has_codes(o, "mango_objective_picture"));
    mango_idx k = 0; /* a picture has the same bits in every batch */
    while (k < o->n_drawn && memcmp(o->drawn + k * o->d, I, (size_t)o->d * sizeof *I))
        k++;
    if (k == o->n_drawn) {
        k = 0;
        MGI_TRY(objective_draw(o, 1, I));
    }
    memcpy(rgb, o->rgb + k * o->size, (size_t)o->size * sizeof *rgb);
    return MANGO_OK;
}

mango_status mango_objective_look(mango_objective *o, mango_idx K, const float *rgb,
                                  double *y)
{
    MGI_REQUIRE(o);
    MGI_CHECK(&o->err, K >= 0 && (K == 0 || (rgb && y)),
              "mango_objective_look: pictures and room for values expected");
    for (mango_idx k = 0; k < K; k += o->batch)
        MGI_TRY(objective_read(o, MGI_MIN(o->batch, K - k), rgb + k * o->size,
                               y + k * o->see.n));
    return MANGO_OK;
}

/* final.h - for tests of sessions under noise and of how they end: a value of every code,
 * a session of it.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TEST_FINAL_H
#define MANGO_TEST_FINAL_H
#include "session.h"

/* A value of every code, in (0,1]. */
static inline double t_final_value(const mango_idx *I)
{
    double far = 0.0;
    for (int j = 0; j < T_SESSION_D; j++) {
        const double x = (double)I[j] / (double)t_session_wide[j] - 0.6;
        far += x * x;
    }
    return 1.0 / (1.0 + 3.0 * far);
}

static inline mango_status t_final_f(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_idx *calls = ud;
    for (mango_idx k = 0; k < K; k++)
        y[k] = t_final_value(I + k * T_SESSION_D);
    if (calls)
        *calls += K;
    return MANGO_OK;
}

static inline mango_session *t_final_new(const mango_session_options *o, void *ud)
{
    const mango_modes m = {T_SESSION_D, t_session_wide};
    mango_session *s = NULL;
    mango_err err = {""};
    T_OK(mango_session_create(&s, &m, o, t_final_f, ud, NULL, &err), &err);
    return s;
}

static inline mango_session_options t_final_options(const char *opt, mango_idx budget,
                                             const char *journal)
{
    mango_session_options o = t_session_options(opt, budget, journal);
    o.noise = "poisson:30";
    return o;
}

#endif

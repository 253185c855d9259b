/* test_explain.c - what a session tells of its optimizer; explaining changes nothing.
 * SPDX-License-Identifier: MIT */
#include "session.h"
#include "test.h"

enum { T_EXPLAIN_D = 6, T_EXPLAIN_N = 16 };

/* Nearness to level 11 of all modes. */
static mango_status t_explain_value(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    (void)ud;
    for (mango_idx k = 0; k < K; k++) {
        y[k] = 0;
        for (mango_idx j = 0; j < T_EXPLAIN_D; j++)
            y[k] -= fabs((double)I[k * T_EXPLAIN_D + j] - 11.0);
    }
    return MANGO_OK;
}

static mango_session *t_explain_session(const char *opt, int minimize)
{
    mango_idx n[T_EXPLAIN_D];
    for (int j = 0; j < T_EXPLAIN_D; j++)
        n[j] = T_EXPLAIN_N;
    const mango_modes m = {T_EXPLAIN_D, n};
    mango_session_options so;
    mango_session *s = NULL;
    T_STATUS(mango_session_defaults(opt, &so, NULL), MANGO_OK);
    T_STATUS(mango_opt_set(&so.o, "minimize", minimize, NULL), MANGO_OK);
    so.budget = 400;
    so.seed = 3;
    T_STATUS(mango_session_create(&s, &m, &so, t_explain_value, NULL, NULL, NULL),
             MANGO_OK);
    return s;
}

/* The proposals of the last ask, with the ids that their codes have. */
static void t_explain_proposals(void)
{
    mango_session *s = t_explain_session("tt", 0);
    mango_idx I[T_EXPLAIN_D], J[T_EXPLAIN_D];
    uint64_t id;
    mango_opt_info info;
    T_CHECK(mango_session_optimizer(NULL) == NULL);
    T_STATUS(mango_session_proposal(s, 0, I, &id), MANGO_E_ARG);
    for (int step = 0; step < 5; step++) {
        T_STATUS(mango_session_step(s), MANGO_OK);
        T_STATUS(mango_opt_get(mango_session_optimizer(s), &info), MANGO_OK);
        T_CHECK(info.asked == (uint64_t)(10 * (step + 1)));
        for (mango_idx k = 0; k < 10; k++) {
            T_STATUS(mango_session_proposal(s, k, I, &id), MANGO_OK);
            T_STATUS(mango_session_code(s, id, J), MANGO_OK);
            T_CHECK(!memcmp(I, J, sizeof I));
        }
        T_STATUS(mango_session_proposal(s, 10, I, &id), MANGO_E_ARG);
    }
    mango_session_destroy(s);
}

/* Two searches alike, one explained at every step, find the same; the text of the tensor
 * train tells how decided it is, more and more. */
static void t_explain_changes_nothing(void)
{
    const char *opt[] = {"tt", "protes", "tt-b", "ga", "auto", "random"};
    char text[8192], why[256];
    for (int o = 0; o < 6; o++) {
        mango_session *a = t_explain_session(opt[o], o == 2);
        mango_session *b = t_explain_session(opt[o], o == 2);
        mango_status st = MANGO_OK;
        while (st == MANGO_OK) {
            st = mango_session_step(a);
            T_STATUS(mango_session_step(b), st);
            mango_opt_explain(mango_session_optimizer(b), text, sizeof text);
            mango_opt_why(mango_session_optimizer(b), 0, why, sizeof why);
        }
        mango_session_info x, y;
        mango_session_get(a, &x);
        mango_session_get(b, &y);
        T_CHECK(x.queries == y.queries && x.best == y.best);
        for (mango_idx q = 0; q < x.queries; q++) {
            mango_idx I[T_EXPLAIN_D], J[T_EXPLAIN_D];
            mango_session_query(a, q, NULL, I);
            mango_session_query(b, q, NULL, J);
            T_CHECK(!memcmp(I, J, sizeof I));
        }
        mango_session_destroy(a);
        mango_session_destroy(b);
    }
}

/* Numbers of the text: before anything is learnt modes are nearly undecided; after 400
 * queries the most decided one has the level that is best. */
static void t_explain_train(void)
{
    mango_session *s = t_explain_session("protes", 0);
    const mango_opt *opt = mango_session_optimizer(s);
    char text[8192];
    double mean = 1, later = 0;
    T_CHECK(mango_opt_explain(opt, text, sizeof text) > 0);
    const char *at = strstr(text, "mean ");
    T_CHECK(at && sscanf(at, "mean %lf", &mean) == 1 && mean < 0.1);
    mango_session_extend(s, 3000);
    for (int step = 0; step < 20; step++)
        T_STATUS(mango_session_step(s), MANGO_OK);
    mango_opt_explain(opt, text, sizeof text);
    T_CHECK(strstr(text, "elite ") && strstr(text, "before the update"));
    uint64_t id;
    mango_idx K, I[T_EXPLAIN_D];
    T_STATUS(mango_session_ask(s, 1, &K, &id, I), MANGO_OK);
    mango_opt_explain(opt, text, sizeof text);
    at = strstr(text, "the elite is now");
    at = at ? strstr(at, "mean ") : NULL;
    T_CHECK(at && sscanf(at, "mean %lf", &later) == 1 && later > mean + 0.1);
    T_CHECK(strstr(text, "level 11: "));
    mango_session_destroy(s);
}

void t_explain(void)
{
    T_CASE(t_explain_proposals);
    T_CASE(t_explain_changes_nothing);
    T_CASE(t_explain_train);
}

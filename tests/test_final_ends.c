/* test_final_ends.c - how a search ends: stagnation, time, the observer's wish.
 * SPDX-License-Identifier: MIT */
#include "final.h"

/* The observer is called after a tell as well, and ends what asks. */
static int t_ends_watch(void *ud, const mango_session *s)
{
    mango_session_info i;
    mango_session_get(s, &i);
    ++*(int *)ud;
    return i.told >= 20;
}

static void t_ends_observe(void)
{
    int calls = 0;
    uint64_t id[T_SESSION_CAP];
    double y[T_SESSION_CAP];
    mango_idx I[T_SESSION_CAP * T_SESSION_D], K;
    mango_session_options o = t_session_options("tt", 100, NULL);
    o.observe = t_ends_watch, o.observe_ud = &calls;
    mango_session *s = t_final_new(&o, NULL);
    mango_status st = mango_session_ask(s, 5, &K, id, I);
    for (; st == MANGO_OK; st = mango_session_ask(s, 5, &K, id, I)) {
        t_final_f(NULL, K, I, y);
        T_STATUS(mango_session_tell(s, K, id, y), MANGO_OK);
    }
    T_EQ(st, MANGO_STOP_USER);
    T_CHECK(calls == 4 && K == 0);
    T_STATUS(mango_session_ask(s, 5, &K, id, I), MANGO_OK); /* once; then it goes on */
    mango_session_destroy(s);
}

/* ---- ends before the budget's --------------------------------------------------- */

static void t_ends_stagnates(void)
{
    char path[1024];
    mango_session_info i;
    mango_improvement m;
    mango_estimate e;
    mgi_copy(path, sizeof path, t_tmp("stagnates.jsonl"));
    mango_session_options o = t_session_options("random", 100000, path);
    o.stagnate = 300;
    mango_session *s = t_final_new(&o, NULL);
    T_STATUS(mango_session_run(s), MANGO_STOP_STAGNATION);
    T_STATUS(mango_session_step(s), MANGO_STOP_STAGNATION);
    mango_session_get(s, &i);
    T_STATUS(mango_session_improved(s, i.improvements - 1, &m), MANGO_OK);
    T_CHECK(i.told >= m.told + 300 && i.told < m.told + 310 && m.y == i.best);
    mango_session_destroy(s);
    o.resume = 1; /* it goes on: as many again at least */
    s = t_final_new(&o, NULL);
    const mango_idx was = i.told;
    T_STATUS(mango_session_run(s), MANGO_STOP_STAGNATION);
    mango_session_get(s, &i);
    T_CHECK(i.told >= was + 300);
    mango_session_destroy(s);
    o = t_final_options("random", 100000, NULL);
    o.stagnate = 300;
    s = t_final_new(&o, NULL); /* under noise there is a race before the end */
    T_STATUS(mango_session_run(s), MANGO_STOP_STAGNATION);
    mango_session_get(s, &i);
    T_STATUS(mango_session_found(s, &e), MANGO_OK);
    T_CHECK(e.n > 5 && i.told > i.queries && i.told < i.queries + i.queries / 5);
    T_EQ(i.told, i.queries + (mango_idx)(0.15 / 0.85 * (double)i.queries));
    mango_session_destroy(s);
}

/* What is out when the end comes is waited for. */
static void t_ends_stagnates_asked(void)
{
    uint64_t id[2][T_SESSION_CAP];
    double y[T_SESSION_CAP];
    mango_idx I[2][T_SESSION_CAP * T_SESSION_D], K[3];
    mango_session_options o = t_session_options("tt-b", 1000, NULL);
    o.stagnate = 20;
    mango_session *s = t_final_new(&o, NULL);
    for (int b = 0; b < 2; b++)
        T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K[b], id[b], I[b]), MANGO_OK);
    for (int k = 0; k < T_SESSION_CAP; k++)
        y[k] = 0.5;
    T_STATUS(mango_session_tell(s, K[0], id[0], y), MANGO_OK);
    T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K[2], id[0], I[0]), MANGO_OK);
    T_EQ(K[2], 0);
    T_STATUS(mango_session_tell(s, K[1], id[1], y), MANGO_OK);
    T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K[2], id[0], I[0]),
             MANGO_STOP_STAGNATION);
    T_STATUS(mango_session_extend(s, 1000), MANGO_OK);
    T_STATUS(mango_session_ask(s, T_SESSION_CAP, &K[2], id[0], I[0]), MANGO_OK);
    T_CHECK(K[2] > 0);
    mango_session_destroy(s);
}

static void t_ends_time(void)
{
    mango_session_options o = t_session_options("random", (mango_idx)1 << 30, NULL);
    o.seconds = 5.0;
    mango_session *s = t_final_new(&o, NULL);
    T_STATUS(mango_session_step(s), MANGO_OK);
    s->began -= 10; /* ten seconds ago */
    T_STATUS(mango_session_step(s), MANGO_STOP_TIME);
    mango_session_destroy(s);
    o.seconds = -1.0;
    const mango_modes m = {T_SESSION_D, t_session_wide};
    T_STATUS(mango_session_create(&s, &m, &o, t_final_f, NULL, NULL, NULL), MANGO_E_ARG);
}

void t_final_ends(void)
{
    T_CASE(t_ends_stagnates);
    T_CASE(t_ends_stagnates_asked);
    T_CASE(t_ends_time);
    T_CASE(t_ends_observe);
}

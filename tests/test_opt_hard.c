/* test_opt_hard.c - every optimizer of the table through what an experiment may do to it:
 * values that say nothing or mislead, tells in any form, odd spaces, restarts, resume,
 * memory. New presets are covered as soon as they have a row.
 * MANGO_TEST_PRESET=NAME looks at one only.
 * SPDX-License-Identifier: MIT */
#include "hard.h"

/* ---- values that say nothing, or mislead ------------------------------------------ */

typedef double (*t_hard_rule)(mango_idx query, double honest);

static double t_rule_zero(mango_idx q, double y)
{
    (void)q;
    return 0.0 * y;
}

static double t_rule_large(mango_idx q, double y)
{
    (void)q;
    return 1e300 + 0.0 * y;
}

static double t_rule_nan(mango_idx q, double y)
{
    (void)q;
    return y * NAN;
}

static double t_rule_up(mango_idx q, double y)
{
    (void)q;
    return y > -1.0 ? INFINITY : 0.0;
}

static double t_rule_down(mango_idx q, double y)
{
    return -t_rule_up(q, y);
}

static double t_rule_rises(mango_idx q, double y)
{
    return (double)q + 0.0 * y; /* each better than all before it */
}

static double t_rule_falls(mango_idx q, double y)
{
    return -(double)q + 0.0 * y;
}

static double t_rule_swings(mango_idx q, double y)
{
    return (q % 2 ? 1e308 : -1e308) + 0.0 * y;
}

static double t_rule_tiny(mango_idx q, double y)
{
    return (q % 3 ? 5e-324 : 1e-300) + 0.0 * y;
}

static double t_rule_first(mango_idx q, double y)
{
    return q == 0 ? 1e6 : -y; /* never again as good */
}

static double t_rule_holes(mango_idx q, double y)
{
    return q % 3 ? y : q % 2 ? (double)NAN : -INFINITY;
}

static const t_hard_rule t_hard_rules[] = {
    t_rule_zero,  t_rule_large, t_rule_nan,  t_rule_up,    t_rule_down, t_rule_rises,
    t_rule_falls, t_rule_swings, t_rule_tiny, t_rule_first, t_rule_holes};

/* `most` queries or a few more by one rule; the best is what was told. */
static void t_hard_search(const t_hard_space *s, t_hard_rule rule, mango_idx most)
{
    static mango_idx I[T_HARD_CAP * T_HARD_D];
    static uint64_t id[T_HARD_CAP];
    static mango_told told[T_HARD_CAP];
    mango_opt *p = t_hard_new(s, "", 5);
    double best = -INFINITY, is = 0.0;
    for (mango_idx q = 0; p && q < most;) {
        mango_idx K = 0;
        if (!t_hard_ask(p, s, &K, I, id))
            break;
        for (mango_idx k = 0; k < K; k++, q++) {
            const mango_idx *at = I + k * s->modes.d;
            const mango_told row = {id[k], at, rule(q, t_hard_value(s->modes.d, at)), NAN, 1,
                                    (double)(k % 2)};
            told[k] = row;
            if (mgi_is_finite(row.y) && row.y > best)
                best = row.y;
        }
        H_CHECK(mango_opt_tell_all(p, K, told) == MANGO_OK);
    }
    mango_opt_info info = {0};
    if (p)
        T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    const mango_status st = p ? mango_opt_best(p, &is, NULL) : MANGO_E_STATE;
    if (mgi_is_finite(best)) /* told again, a code may have lost its value */
        H_CHECK(st == MANGO_OK && (is == best || (info.retell && is < best)));
    else
        H_CHECK(st == MANGO_E_STATE);
    mango_opt_destroy(p);
}

static void t_hard_values(void)
{
    T_HARD_EACH(i)
        for (int room = 0; room < T_HARD_ROOMS; room++) {
            const t_hard_space s = t_hard_room(room);
            for (mango_idx r = 0; r < MGI_COUNT(t_hard_rules); r++)
                t_hard_search(&s, t_hard_rules[r], t_fast() ? 120 : 400);
        }
}

/* Told nothing finite, it goes on with other codes. */
static void t_hard_silence(void)
{
    static mango_idx I[2][T_HARD_CAP * T_HARD_D];
    static uint64_t id[T_HARD_CAP];
    static double y[T_HARD_CAP];
    T_HARD_EACH(i)
        for (int room = 1; room < T_HARD_ROOMS; room++) {
            const t_hard_space s = t_hard_room(room);
            const size_t row = (size_t)s.modes.d * sizeof **I;
            mango_opt *p = t_hard_new(&s, "", 6);
            mango_idx same = 0, K[2];
            for (int b = 0; p && b < 12; b++) {
                mango_idx *n = K + b % 2;
                *n = 0;
                if (!t_hard_ask(p, &s, n, I[b % 2], id))
                    break;
                for (mango_idx k = 0; k < *n; k++)
                    y[k] = b % 2 ? (double)NAN : -INFINITY;
                T_STATUS(mango_opt_tell(p, *n, I[b % 2], y), MANGO_OK);
                same += b > 0 && K[0] == K[1] && memcmp(I[0], I[1], row * (size_t)*n) == 0;
            }
            H_CHECK(same == 0);
            mango_opt_destroy(p);
        }
}

/* ---- tells in any form ---------------------------------------------------------------- */

typedef struct t_hard_batch {
    mango_idx K, I[T_HARD_CAP * T_HARD_D];
    uint64_t id[T_HARD_CAP];
} t_hard_batch;

static mango_told t_hard_row(const t_hard_batch *b, const t_hard_space *s, mango_idx k,
                             int form)
{
    const mango_idx *I = b->I + k * s->modes.d;
    mango_told t = {b->id[k], I, t_hard_value(s->modes.d, I), NAN, 1, (double)(k % 4)};
    if (form % 2)
        t.id = MANGO_UNASKED;
    if (form % 3 == 1) {
        t.n = 1 + k % 4;
        t.var = (double)(k % 3);
    }
    if (form % 5 == 4)
        t.y = NAN;
    return t;
}

/* A batch told: in part, backwards, with rows twice, in pieces, without ids, not at all. */
static void t_hard_tell(mango_opt *p, const t_hard_space *s, const t_hard_batch *b, int form)
{
    static mango_told t[3 * T_HARD_CAP];
    mango_idx n = 0;
    if (form % 7 == 6)
        return;
    for (mango_idx k = b->K - 1; k >= 0; k--) {
        if (form % 4 == 2 && k % 3 == 0)
            continue;
        t[n++] = t_hard_row(b, s, k, form);
        if (form % 4 == 3)
            t[n++] = t_hard_row(b, s, b->K - 1 - k, form + 1);
    }
    const mango_idx half = form % 3 == 2 ? n / 2 : 0;
    H_CHECK(mango_opt_tell_all(p, half, t) == MANGO_OK);
    H_CHECK(mango_opt_tell_all(p, n - half, t + half) == MANGO_OK);
    if (form % 6 == 5) /* and all of it again, with other values */
        for (mango_idx k = 0; k < n; k++)
            t[k].y += 1.0;
    if (form % 6 == 5)
        H_CHECK(mango_opt_tell_all(p, n, t) == MANGO_OK);
}

/* Codes of nobody's asking, the same one twice among them. */
static void t_hard_strangers(mango_opt *p, const t_hard_space *s, int round)
{
    mango_idx I[4 * T_HARD_D];
    const mango_idx d = s->modes.d;
    double y[4];
    for (mango_idx k = 0; k < 4; k++) {
        for (mango_idx j = 0; j < d; j++)
            I[k * d + j] = (7 * (k % 3) + j + round) % s->modes.n[j];
        y[k] = t_hard_value(d, I + k * d);
    }
    H_CHECK(mango_opt_tell(p, 4, I, y) == MANGO_OK);
}

/* What it says of itself is text that fits what is said of its length. */
static void t_hard_words(const mango_opt *p)
{
    static char text[1 << 16];
    mango_opt_info info;
    T_STATUS(mango_opt_get(p, &info), MANGO_OK);
    const mango_idx n = mango_opt_explain(p, text, sizeof text);
    H_CHECK(n >= 0 && (n >= (mango_idx)sizeof text || (mango_idx)strlen(text) == n));
    H_CHECK(mango_opt_explain(p, NULL, 0) == n);
    const mango_idx m = mango_opt_why(p, 0, text, sizeof text);
    H_CHECK(info.asked == 0 || (m >= 0 && strchr(text, '\n') == NULL));
}

/* Asks and tells of every form in a fixed order; the codes asked as one number. */
static uint64_t t_hard_tour(const t_hard_space *s, const char *set, int rounds,
                            const mango_alloc *al)
{
    static t_hard_batch b[2];
    static const mango_idx sizes[] = {0, 1, 7, 0, 2, 33, 0, 3};
    uint64_t h = 14695981039346656037u;
    mango_opt *p;
    T_STATUS(t_hard_create(&p, s, set, 8, al, NULL), MANGO_OK);
    for (int r = 0; p && r < rounds; r++) {
        if (r % 9 == 0)
            t_hard_strangers(p, s, r);
        if (r % 13 == 7 || r == 1)
            H_CHECK(mango_opt_restart(p) == MANGO_OK);
        for (int i = 0; i < 2; i++) { /* two asks, the second told first */
            b[i].K = sizes[(r + i) % MGI_COUNT(sizes)];
            if (!t_hard_ask(p, s, &b[i].K, b[i].I, b[i].id))
                break;
            for (mango_idx k = 0; k < b[i].K * s->modes.d; k++)
                h = (h ^ (uint64_t)b[i].I[k]) * 1099511628211u;
        }
        if (r % 11 == 10)
            H_CHECK(mango_opt_restart(p) == MANGO_OK);
        t_hard_tell(p, s, b + 1, r);
        t_hard_tell(p, s, b, r + 1);
        t_hard_words(p);
    }
    mango_opt_destroy(p);
    return h;
}

/* All of it is survived, and the state is a function of asks, tells and restarts. */
static void t_hard_tells(void)
{
    T_HARD_EACH(i)
        for (int room = 0; room < T_HARD_ROOMS; room++) {
            const t_hard_space s = t_hard_room(room);
            const int rounds = t_fast() ? 24 : 70;
            const uint64_t h = t_hard_tour(&s, "", rounds, NULL);
            H_CHECK(h == t_hard_tour(&s, "", rounds, NULL));
        }
}

/* ---- odd spaces ------------------------------------------------------------------------ */

/* Memory with an end, so that an optimizer that wants gigabytes is told no. */
static void *t_hard_little(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    size_t *used = ud;
    if (new_size > old_size && new_size - old_size > (size_t)T_HARD_MOST - *used)
        return NULL;
    *used += new_size;
    *used -= old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

/* Asks of its own size, of 1, of an odd number and of more than many of these spaces
 * hold; values with holes. */
static void t_hard_shape(mango_opt *p, const t_hard_space *s)
{
    static mango_idx I[T_HARD_CAP * T_HARD_D];
    static uint64_t id[T_HARD_CAP];
    static double y[T_HARD_CAP];
    static const mango_idx sizes[] = {0, 1, 7, 0, 100, 0};
    for (int round = 0; round < 12; round++) {
        mango_idx K = sizes[round % MGI_COUNT(sizes)];
        if (!t_hard_ask(p, s, &K, I, id))
            return;
        for (mango_idx k = 0; k < K; k++)
            y[k] = k % 5 == 3 ? (double)NAN : (double)(I[k * s->modes.d] % 1000);
        H_CHECK(mango_opt_tell(p, K, I, y) == MANGO_OK);
    }
}

/* Only intervals of 2^30 levels may be too much, and then it is said. */
static void t_hard_shapes(void)
{
    static const mango_idx shapes[][4] = {
        {1}, {2}, {3}, {65536}, {MANGO_REAL}, {1, 1, 1}, {2, 1}, {1, 3, 1, 1},
        {65536, 65536}, {2, MANGO_REAL, 1, 300}};
    static const mango_idx d[] = {1, 1, 1, 1, 1, 3, 2, 4, 2, 4};
    T_HARD_EACH(i)
        for (mango_idx j = 0; j < MGI_COUNT(d); j++) {
            t_hard_space s = t_hard_room(0);
            size_t used = 0;
            const mango_alloc al = {t_hard_little, &used};
            mango_opt *p;
            mango_err err = {""};
            s.modes.d = d[j];
            s.modes.n = shapes[j];
            const mango_status st = t_hard_create(&p, &s, "", 3, &al, &err);
            const int real = shapes[j][0] == MANGO_REAL || shapes[j][1] == MANGO_REAL;
            H_CHECK(st == MANGO_OK || (real && st < 0 && err.text[0] != '\0'));
            if (p)
                t_hard_shape(p, &s);
            mango_opt_destroy(p);
            H_CHECK(used == 0);
        }
}

/* 100,000 modes: a few codes, within bounded time and memory. */
static void t_hard_long(void)
{
    enum { D = 100000, K = 3 };
    mango_idx *n = malloc(D * sizeof *n), *I = malloc(K * D * sizeof *I);
    T_REQUIRE(n && I);
    for (mango_idx j = 0; j < D; j++)
        n[j] = 2 + j % 3;
    T_HARD_EACH(i) {
        t_hard_space s = t_hard_room(0);
        size_t used = 0;
        const mango_alloc al = {t_hard_little, &used};
        mango_opt *p;
        uint64_t id[K];
        s.modes.d = D;
        s.modes.n = n;
        H_CHECK(t_hard_create(&p, &s, "", 3, &al, NULL) == MANGO_OK);
        for (int round = 0; p && round < (t_fast() ? 2 : 4); round++) {
            double y[K];
            mango_idx k = K;
            if (!t_hard_ask(p, &s, &k, I, id))
                break;
            for (k = 0; k < K; k++)
                y[k] = (double)(t_hard_hash(D, I + k * D) % 5);
            H_CHECK(mango_opt_tell(p, K, I, y) == MANGO_OK);
        }
        mango_opt_destroy(p);
        H_CHECK(used == 0);
    }
    free(n);
    free(I);
}

/* ---- the same codes ---------------------------------------------------------------------- */

/* To minimize f is to maximize -f. */
static void t_hard_minimize(void)
{
    static t_hard_batch a, b;
    static mango_told told[T_HARD_CAP];
    T_HARD_EACH(i)
        for (int room = 0; room < T_HARD_ROOMS; room++) {
            const t_hard_space s = t_hard_room(room);
            t_hard_space neg = s;
            neg.sign = -1.0;
            mango_opt *p = t_hard_new(&s, "", 4), *q = t_hard_new(&neg, "minimize=1", 4);
            for (int r = 0; p && q && r < (t_fast() ? 12 : 40); r++) {
                a.K = b.K = 0;
                if (!t_hard_ask(p, &s, &a.K, a.I, a.id) ||
                    !t_hard_ask(q, &s, &b.K, b.I, b.id))
                    break;
                if (!H_CHECK(a.K == b.K && memcmp(a.I, b.I, (size_t)(a.K * s.modes.d) *
                                                                sizeof *a.I) == 0))
                    break;
                for (mango_idx k = 0; k < a.K; k++)
                    told[k] = t_hard_row(&a, &s, k, 0);
                H_CHECK(mango_opt_tell_all(p, a.K, told) == MANGO_OK);
                for (mango_idx k = 0; k < a.K; k++) {
                    told[k].y = -told[k].y;
                    told[k].tie = -told[k].tie;
                }
                H_CHECK(mango_opt_tell_all(q, b.K, told) == MANGO_OK);
            }
            mango_opt_destroy(p);
            mango_opt_destroy(q);
        }
}

/* Those whose proposals have a stream each: K at once or in pieces is the same, as long
 * as nothing is told between. */
static void t_hard_pieces(void)
{
    static const char *const names[] = {"tt",     "tt-s",         "tt-b", "tt-exp",
                                        "protes", "one-plus-one", "random",
                                        "ga",     "tt-paper",     "noisy-bandit"};
    static t_hard_batch whole, part;
    T_HARD_EACH(i) {
        mango_idx at = 0;
        while (at < MGI_COUNT(names) && strcmp(names[at], t_hard_name) != 0)
            at++;
        if (at == MGI_COUNT(names))
            continue;
        const t_hard_space s = t_hard_room(1);
        const size_t row = (size_t)s.modes.d * sizeof *whole.I;
        mango_opt *p = t_hard_new(&s, "", 4), *q = t_hard_new(&s, "", 4);
        for (int r = 0; p && q && r < 8; r++) {
            whole.K = 20;
            t_hard_ask(p, &s, &whole.K, whole.I, whole.id);
            for (mango_idx k = 0; k < 20; k += part.K) {
                part.K = MGI_MIN(20 - k, 1 + k / 2);
                t_hard_ask(q, &s, &part.K, part.I, part.id);
                H_CHECK(memcmp(part.I, whole.I + k * s.modes.d, row * (size_t)part.K) == 0);
            }
            t_hard_tell(p, &s, &whole, 0);
            t_hard_tell(q, &s, &whole, 0);
        }
        mango_opt_destroy(p);
        mango_opt_destroy(q);
    }
}

static mango_status t_hard_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    const t_hard_space *s = ud;
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx *at = I + k * s->modes.d;
        y[k] = t_hard_hash(s->modes.d, at) % 9 ? t_hard_value(s->modes.d, at) : (double)NAN;
    }
    return MANGO_OK;
}

/* Queries 0 .. budget-1 of a search that may go on with a journal; how many there were. */
static mango_idx t_hard_session(t_hard_space *s, const char *journal, mango_idx budget,
                                mango_idx *codes)
{
    mango_session_options o;
    mango_session *run = NULL;
    mango_err err = {""};
    mango_idx n = 0;
    T_OK(mango_session_defaults(t_hard_name, &o, &err), &err);
    if (strcmp(t_hard_name, "gradient") == 0)
        s->facts.gradient = t_hard_gradient;
    s->facts.gradient_ud = s;
    o.facts = &s->facts;
    o.budget = budget;
    o.seed = 2;
    o.journal = journal;
    o.resume = 1;
    o.sync = 0;
    if (!T_OK(mango_session_create(&run, &s->modes, &o, t_hard_evaluate, s, NULL, &err), &err))
        return 0;
    H_CHECK(mango_session_run(run) > 0);
    while (n < budget && mango_session_query(run, n, NULL, codes + n * s->modes.d) == MANGO_OK)
        n++;
    mango_session_destroy(run);
    return n;
}

/* Stopped after every few queries and resumed from its journal, it asks the same codes. */
static void t_hard_resume(void)
{
    enum { ALL = 100 };
    static mango_idx whole[ALL * T_HARD_D], parts[ALL * T_HARD_D];
    T_HARD_EACH(i)
        for (int room = 1; room < 3; room++) {
            t_hard_space s = t_hard_room(room);
            char path[1024], name[80];
            snprintf(name, sizeof name, "hard-%s-%d.jsonl", t_hard_name, room);
            mgi_copy(path, sizeof path, t_tmp(name));
            const mango_idx n = t_hard_session(&s, NULL, ALL, whole);
            for (mango_idx budget = 13; budget < ALL; budget += 29)
                t_hard_session(&s, path, budget, parts);
            H_CHECK(t_hard_session(&s, path, ALL, parts) == n);
            H_CHECK(memcmp(parts, whole, (size_t)(n * s.modes.d) * sizeof *whole) == 0);
        }
}

/* ---- memory ------------------------------------------------------------------ */

static mango_status t_hard_make(void *ud, const mango_alloc *al)
{
    mango_opt *p;
    MGI_TRY(t_hard_create(&p, ud, "", 1, al, NULL));
    mango_opt_destroy(p);
    return MANGO_OK;
}

/* A failure of any allocation leaves nothing behind; ask and tell allocate nothing. */
static void t_hard_memory(void)
{
    static t_hard_batch b;
    T_HARD_EACH(i)
        for (int room = 0; room < T_HARD_ROOMS; room++) {
            t_hard_space s = t_hard_room(room);
            t_heap heap = {0, 0, 0, 0, 0};
            const mango_alloc al = t_heap_value(&heap);
            mango_opt *p;
            H_CHECK(t_oom_sweep(t_hard_make, &s) >= 3);
            H_CHECK(t_hard_create(&p, &s, "", 1, &al, NULL) == MANGO_OK);
            const long made = heap.calls;
            for (int r = 0; p && r < 12; r++) {
                b.K = r % 3 ? 0 : 50;
                if (!t_hard_ask(p, &s, &b.K, b.I, b.id))
                    break;
                t_hard_tell(p, &s, &b, r);
                if (r == 8)
                    H_CHECK(mango_opt_restart(p) == MANGO_OK);
            }
            H_CHECK(heap.calls == made);
            mango_opt_destroy(p);
            H_CHECK(heap.live == 0);
        }
}

void t_opt_hard(void)
{
    T_CASE(t_hard_values);
    T_CASE(t_hard_silence);
    T_CASE(t_hard_tells);
    T_CASE(t_hard_shapes);
    T_CASE(t_hard_long);
    T_CASE(t_hard_minimize);
    T_CASE(t_hard_pieces);
    T_CASE(t_hard_resume);
    T_CASE(t_hard_memory);
}

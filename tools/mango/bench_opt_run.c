/* bench_opt_run.c - the runs of `mango bench opt` that no line of the results holds yet.
 *
 * Of each pair of generator and network the plans are made once and aimed at one unit
 * after the other. An optimizer that asks without looking at values (random) asks the same
 * of every unit: its pictures are drawn, and the network runs, once for all of them.
 * SPDX-License-Identifier: MIT */
#include "bench_opt.h"
#include <stdlib.h>

/* One generator with one network. */
typedef struct bo_room {
    bo_all *a;
    int gen, net;
    uint64_t seed;
    mango_objective *o;
    const mango_target *aimed; /* what o is aimed at now, when it is one unit */
    mango_err *err;
} bo_room;

/* What a run of a session is watched by. */
typedef struct bo_watch {
    bo_room *room;
    bo_result *r;
    double since, eval;
    const char *what;
} bo_watch;

static mango_idx bo_most(const bo_all *a)
{
    return a->budget[a->n_budget - 1];
}

/* After so many queries the clock is read: at powers of ten from 100 on, and at budgets. */
static mango_idx bo_next_mark(const bo_all *a, mango_idx after)
{
    mango_idx next = 100;
    while (next <= after)
        next *= 10;
    for (int b = 0; b < a->n_budget; b++)
        if (a->budget[b] > after)
            next = MGI_MIN(next, a->budget[b]);
    return next;
}

static void bo_mark_at(bo_watch *w, mango_idx q)
{
    bo_result *r = w->r;
    const double all = cli_now() - w->since;
    if (r->n_mark == BO_MARKS)
        return;
    r->mark[r->n_mark].q = q;
    r->mark[r->n_mark].eval = w->eval;
    r->mark[r->n_mark].opt = all - w->eval;
    r->n_mark++;
}

/* Marks that the run has passed. */
static void bo_clock(bo_watch *w, mango_idx queries)
{
    const bo_all *a = w->room->a;
    const bo_result *r = w->r;
    mango_idx next = bo_next_mark(a, r->n_mark ? r->mark[r->n_mark - 1].q : 0);
    for (; next <= queries && r->n_mark < BO_MARKS; next = bo_next_mark(a, next))
        bo_mark_at(w, next);
}

static void bo_progress(bo_watch *w, double queries)
{
    bo_all *a = w->room->a;
    cli_progress(&a->c, a->since, a->done0, a->done + queries, a->total, w->what);
}

static mango_status bo_evaluate(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    bo_watch *w = ud;
    const double t0 = cli_now();
    const mango_status st = mango_objective_eval(w->room->o, K, I, y);
    w->eval += cli_now() - t0;
    return st;
}

/* What orders codes of one value: the session asks for it where the method looks at it. */
static mango_status bo_ties(void *ud, mango_idx K, double *tie)
{
    bo_watch *w = ud;
    return mango_objective_ties(w->room->o, K, tie);
}

static int bo_observe(void *ud, const mango_session *s)
{
    bo_watch *w = ud;
    mango_session_info si;
    mango_session_get(s, &si);
    bo_clock(w, si.queries);
    bo_progress(w, (double)si.queries);
    return cli_interrupted();
}

/* ---- one run ------------------------------------------------------------------------ */

void bo_describe(const bo_all *a, int gen, int unit, int method, uint64_t seed,
                 bo_result *r)
{
    const bo_net *net = a->net + a->unit[unit].net;
    memset(r, 0, sizeof *r);
    bo_key(a, gen, unit, method, seed, r->key);
    bo_scene(a, gen, unit, r->scene);
    strcpy(r->gen, a->gen[gen].name);
    strcpy(r->net, net->name);
    strcpy(r->target, a->unit[unit].target);
    strcpy(r->method, a->method[method].label);
    r->seed = seed;
    r->T = net->T;
    r->budget = bo_most(a);
    r->best = MGI_NAN;
}

static mango_status bo_options(const bo_room *room, int method, mango_session_options *so,
                               mango_facts *facts)
{
    const bo_all *a = room->a;
    const bo_method *m = a->method + method;
    mango_objective_info info;
    MGI_TRY(mango_objective_get(room->o, &info));
    MGI_TRY(mango_session_defaults(m->o.preset, so, room->err));
    MGI_TRY(bo_facts(a->gen + room->gen, m, facts));
    so->o = m->o;
    so->seed = room->seed;
    so->budget = bo_most(a);
    so->facts = facts;
    so->noise = a->noise;
    so->ahead = info.batch; /* of those that look at no value */
    so->sync = 0;
    return MANGO_OK;
}

/* The improvements of a session that is over. */
static mango_status bo_improvements(const mango_session *s, bo_result *r)
{
    mango_session_info si;
    mango_session_get(s, &si);
    r->queries = si.queries;
    r->best = si.best;
    r->q = calloc((size_t)si.improvements + 1, sizeof *r->q);
    r->y = calloc((size_t)si.improvements + 1, sizeof *r->y);
    if (!r->q || !r->y)
        return MANGO_E_MEM;
    for (r->n = 0; r->n < si.improvements; r->n++) {
        const mango_idx q = mango_session_improvement(s, r->n);
        r->q[r->n] = q + 1;
        mango_session_query(s, q, r->y + r->n, NULL);
    }
    return MANGO_OK;
}

/* Under noise: what the code that is reported gives without. */
static mango_status bo_truth(const bo_room *room, const mango_session *s, bo_result *r)
{
    mango_session_info si;
    double y = MGI_NAN;
    mango_session_get(s, &si);
    r->queries = si.told;
    mango_idx *I = malloc(sizeof *I * (size_t)si.d);
    mango_status st = I ? MANGO_OK : MANGO_E_MEM;
    if (st == MANGO_OK && mango_session_best(s, NULL, I) == MANGO_OK)
        st = mango_objective_eval(room->o, 1, I, &y);
    free(I);
    return st == MANGO_OK ? bo_improve(r, r->budget, y) : st;
}

static mango_status bo_aim(bo_room *room, int unit)
{
    const mango_target *t = &room->a->unit[unit].t;
    if (room->aimed == t)
        return MANGO_OK;
    room->aimed = NULL;
    MGI_TRY(mango_objective_aim(room->o, 1, t, room->err));
    room->aimed = t;
    return MANGO_OK;
}

/* The derivative for a method that looks inside; its time counts as the method's. */
static mango_status bo_inside(const bo_room *room, int unit, int method, mango_facts *facts,
                              mango_derivative **d)
{
    const bo_all *a = room->a;
    mango_objective_options oo;
    if (!a->method[method].white)
        return MANGO_OK;
    MGI_TRY(mango_objective_defaults(&oo));
    oo.T = a->net[room->net].T;
    MGI_TRY(mango_derivative_create(d, a->gen[room->gen].net, a->net[room->net].net,
                                    a->unit[unit].target, &oo, NULL, room->err));
    facts->gradient = mango_derivative_eval;
    facts->gradient_ud = *d;
    return MANGO_OK;
}

/* Run it, and keep what it found. MANGO_STOP_USER: interrupted, nothing is kept. */
static mango_status bo_one(bo_room *room, int unit, int method)
{
    bo_all *a = room->a;
    bo_result r;
    bo_watch w = {room, &r, 0.0, 0.0, a->method[method].label};
    mango_session_options so;
    mango_facts facts;
    mango_session *s = NULL;
    mango_derivative *inside = NULL;
    bo_describe(a, room->gen, unit, method, room->seed, &r);
    MGI_TRY(bo_aim(room, unit));
    MGI_TRY(bo_options(room, method, &so, &facts));
    MGI_TRY(bo_inside(room, unit, method, &facts, &inside));
    so.observe = bo_observe;
    so.observe_ud = &w;
    so.ties = a->gen[room->gen].ties[method] ? bo_ties : NULL;
    so.ties_ud = &w;
    w.since = cli_now();
    mango_status st = mango_session_create(&s, &a->gen[room->gen].info.modes, &so,
                                           bo_evaluate, &w, NULL, room->err);
    if (st >= 0)
        st = mango_session_run(s);
    bo_clock(&w, bo_most(a));
    if (st < 0 && s)
        mgi_fail(room->err, st, "%.120s: %.120s", r.method, mango_session_error(s));
    else if (st > 0 && st != MANGO_STOP_USER)
        st = a->noise ? bo_truth(room, s, &r) : bo_improvements(s, &r);
    mango_session_destroy(s);
    mango_derivative_destroy(inside);
    a->done += (double)r.queries;
    if (st == MANGO_OK)
        return bo_store_add(&a->store, &r, room->err);
    free(r.q);
    free(r.y);
    return st;
}

/* ---- one run of many units ------------------------------------------------------------ */

/* The units of one evaluation: u[i] is number i of the objective's targets. */
typedef struct bo_group {
    int n, method;
    int u[BO_UNITS];
    bo_result *r; /* (n) */
    double *y;    /* (batch, n) */
    mango_idx *I; /* (batch, d) */
    uint64_t *id;
    mango_idx batch;
} bo_group;

mango_status bo_improve(bo_result *r, mango_idx query, double y)
{
    if (!mgi_is_finite(y) || (r->n > 0 && y <= r->best))
        return MANGO_OK;
    if ((r->n & (r->n - 1)) == 0) { /* the arrays are full at 0, 1, 2, 4, 8 ... */
        const size_t cap = (size_t)(r->n ? 2 * r->n : 1);
        mango_idx *q = realloc(r->q, sizeof *q * cap);
        r->q = q ? q : r->q;
        double *v = realloc(r->y, sizeof *v * cap);
        r->y = v ? v : r->y;
        if (!q || !v)
            return MANGO_E_MEM;
    }
    r->q[r->n] = query;
    r->y[r->n] = y;
    r->best = y;
    r->n++;
    return MANGO_OK;
}

/* Codes for one evaluation, of as many batches as it takes. */
static mango_status bo_gather(mango_session *s, bo_group *g, mango_idx d, mango_idx *K)
{
    *K = 0;
    while (*K < g->batch) {
        mango_idx more = 0;
        const mango_status st =
            mango_session_ask(s, g->batch - *K, &more, g->id + *K, g->I + *K * d);
        *K += more;
        if (st != MANGO_OK || more == 0)
            return *K > 0 && st >= 0 ? MANGO_OK : st;
    }
    return MANGO_OK;
}

/* Values of all units; the session is told those of the first. */
static mango_status bo_group_step(bo_watch *w, bo_group *g, mango_session *s, mango_idx d,
                                  mango_idx *queries)
{
    mango_idx K = 0;
    double first[4096];
    const mango_status st = bo_gather(s, g, d, &K);
    if (st != MANGO_OK || K == 0)
        return st == MANGO_OK ? MANGO_STOP_SPACE : st;
    const double t0 = cli_now();
    MGI_TRY(mango_objective_eval_many(w->room->o, K, g->I, g->y));
    w->eval += cli_now() - t0;
    for (mango_idx k = 0; k < K; k++) {
        first[k] = g->y[k * g->n];
        for (int i = 0; i < g->n; i++)
            MGI_TRY(bo_improve(g->r + i, *queries + k + 1, g->y[k * g->n + i]));
    }
    *queries += K;
    MGI_TRY(mango_session_tell(s, K, g->id, first));
    bo_clock(w, *queries);
    bo_progress(w, (double)(*queries * g->n));
    return cli_interrupted() ? MANGO_STOP_USER : MANGO_OK;
}

static mango_status bo_group_search(bo_watch *w, bo_group *g, mango_idx *queries)
{
    bo_room *room = w->room;
    const mango_modes modes = room->a->gen[room->gen].info.modes;
    mango_session_options so;
    mango_facts facts;
    mango_session *s = NULL;
    MGI_TRY(bo_options(room, g->method, &so, &facts));
    w->since = cli_now();
    MGI_TRY(mango_session_create(&s, &modes, &so, NULL, NULL, NULL, room->err));
    mango_status st = MANGO_OK;
    while (st == MANGO_OK)
        st = bo_group_step(w, g, s, modes.d, queries);
    mango_session_destroy(s);
    return st;
}

static mango_status bo_group_aim(bo_room *room, const bo_group *g)
{
    mango_target *t = malloc(sizeof *t * (size_t)g->n);
    if (!t)
        return MANGO_E_MEM;
    for (int i = 0; i < g->n; i++)
        t[i] = room->a->unit[g->u[i]].t;
    room->aimed = NULL;
    const mango_status st = mango_objective_aim(room->o, g->n, t, room->err);
    free(t);
    return st;
}

/* A line for each unit. Seconds are those of the whole evaluation: a run of one unit alone
 * takes about as long. */
static mango_status bo_group_keep(bo_room *room, bo_group *g, mango_idx queries)
{
    mango_status st = MANGO_OK;
    for (int i = 0; i < g->n; i++) {
        g->r[i].queries = queries;
        g->r[i].n_mark = g->r[0].n_mark;
        memcpy(g->r[i].mark, g->r[0].mark, sizeof g->r[i].mark);
        if (st >= 0)
            st = bo_store_add(&room->a->store, g->r + i, room->err);
        else
            free(g->r[i].q), free(g->r[i].y);
    }
    return st;
}

static mango_status bo_group_run(bo_room *room, bo_group *g)
{
    bo_all *a = room->a;
    mango_objective_info info;
    mango_idx queries = 0;
    mango_objective_get(room->o, &info);
    g->batch = MGI_MIN(info.batch, 4096);
    g->r = calloc((size_t)g->n, sizeof *g->r);
    g->y = malloc(sizeof *g->y * (size_t)(g->batch * g->n));
    g->I = malloc(sizeof *g->I * (size_t)(g->batch * a->gen[room->gen].info.modes.d));
    g->id = malloc(sizeof *g->id * (size_t)g->batch);
    mango_status st = g->r && g->y && g->I && g->id ? MANGO_OK : MANGO_E_MEM;
    bo_watch w = {room, g->r, 0.0, 0.0, a->method[g->method].label};
    for (int i = 0; st >= 0 && i < g->n; i++)
        bo_describe(a, room->gen, g->u[i], g->method, room->seed, g->r + i);
    if (st >= 0)
        st = bo_group_aim(room, g);
    if (st >= 0)
        st = bo_group_search(&w, g, &queries);
    if (st == MANGO_STOP_BUDGET || st == MANGO_STOP_SPACE)
        st = bo_group_keep(room, g, queries);
    else
        for (int i = 0; g->r && i < g->n; i++)
            free(g->r[i].q), free(g->r[i].y);
    a->done += (double)(queries * g->n);
    free(g->r);
    free(g->y);
    free(g->I);
    free(g->id);
    return st;
}

/* ---- all of them ------------------------------------------------------------------------ */

static int bo_missing(const bo_all *a, int gen, int unit, int method, uint64_t seed)
{
    char key[BO_KEY];
    if (!bo_active(a, gen, unit) || a->method[method].pictures)
        return 0;
    bo_key(a, gen, unit, method, seed, key);
    const bo_result *r = bo_store_find(&a->store, key);
    return !r || r->budget < bo_most(a);
}

/* Is this job one of the shard's? Jobs are counted over everything that is wanted, done
 * or not, so that it is the same job each time. */
static int bo_mine(const bo_all *a, uint64_t seed, int gen, int unit, int method)
{
    const int alone = !a->gen[gen].oblivious[method];
    const int64_t u = alone ? unit : 0;
    const int64_t job =
        (((int64_t)seed * a->n_gen + gen) * a->n_unit + u) * a->n_method + method;
    mango_rng rng;
    mango_rng_init(&rng, 0, 0x73686172u, (uint64_t)job); /* evenly, whatever the order */
    return a->of == 1 || mango_rng_int(&rng, a->of) == a->at - 1;
}

static int bo_group_find(bo_room *room, int method, bo_group *g)
{
    const bo_all *a = room->a;
    memset(g, 0, sizeof *g);
    g->method = method;
    for (int u = 0; u < a->n_unit; u++)
        if (a->unit[u].net == room->net &&
            bo_missing(a, room->gen, u, method, room->seed) &&
            bo_mine(a, room->seed, room->gen, u, method))
            g->u[g->n++] = u;
    return g->n;
}

static mango_status bo_room_runs(bo_room *room)
{
    bo_all *a = room->a;
    static bo_group g;
    for (int m = 0; m < a->n_method; m++)
        if (a->gen[room->gen].oblivious[m] && bo_group_find(room, m, &g) > 0) {
            const mango_status st = bo_group_run(room, &g);
            if (st != MANGO_OK)
                return st;
        }
    for (int u = 0; u < a->n_unit; u++)
        for (int m = 0; m < a->n_method && a->unit[u].net == room->net; m++) {
            if (a->gen[room->gen].oblivious[m] ||
                !bo_missing(a, room->gen, u, m, room->seed) ||
                !bo_mine(a, room->seed, room->gen, u, m))
                continue;
            const mango_status st = bo_one(room, u, m);
            if (st != MANGO_OK)
                return st;
        }
    return MANGO_OK;
}

/* How many queries one room, or all (room NULL: of every seed), has still to make. */
static double bo_left(const bo_all *a, int gen, int net, uint64_t seed)
{
    double n = 0;
    for (int u = 0; u < a->n_unit; u++)
        for (int m = 0; m < a->n_method && a->unit[u].net == net; m++)
            if (bo_missing(a, gen, u, m, seed) && bo_mine(a, seed, gen, u, m))
                n += (double)bo_most(a);
    return n;
}

static mango_status bo_room_open(bo_room *room)
{
    const bo_all *a = room->a;
    mango_objective_options oo;
    int u = 0;
    while (a->unit[u].net != room->net)
        u++;
    MGI_TRY(mango_objective_defaults(&oo));
    oo.T = a->net[room->net].T;
    oo.batch = (mango_idx)a->batch;
    for (int m = 0; m < a->n_method; m++)
        oo.ties |= a->gen[room->gen].ties[m];
    return mango_objective_create(&room->o, a->gen[room->gen].net, a->net[room->net].net,
                                  a->unit[u].target, &oo, NULL, room->err);
}

mango_status bo_run(bo_all *a, mango_err *err)
{
    mango_status st = MANGO_OK;
    a->since = cli_now();
    for (int s = 0; s < a->seeds; s++)
        for (int g = 0; g < a->n_gen; g++)
            for (int n = 0; n < a->n_net; n++)
                a->total += bo_left(a, g, n, (uint64_t)(a->c.seed + s));
    for (int s = 0; s < a->seeds && st == MANGO_OK; s++)
        for (int g = 0; g < a->n_gen && st == MANGO_OK; g++)
            for (int n = 0; n < a->n_net && st == MANGO_OK; n++) {
                bo_room room = {a, g, n, (uint64_t)(a->c.seed + s), NULL, NULL, err};
                if (bo_left(a, g, n, room.seed) <= 0)
                    continue;
                st = bo_room_open(&room);
                if (st == MANGO_OK)
                    st = bo_room_runs(&room);
                mango_objective_destroy(room.o);
            }
    cli_progress_end(&a->c);
    return st;
}

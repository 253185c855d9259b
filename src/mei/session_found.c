/* session_found.c - what a session has found so far.
 * SPDX-License-Identifier: MIT */
#include "session.h"

mango_status mango_session_get_sized(const mango_session *s, mango_session_info *info,
                                     size_t size)
{
    MGI_REQUIRE(s && info);
    const mango_session_info own = {
        .d = s->d,
        .budget = s->budget,
        .queries = s->cache.done,
        .cached = s->cached,
        .missing = s->missing,
        .asks = s->asks,
        .restarts = s->restarts,
        .replayed = s->replayed,
        .improvements = s->n_better,
        .best = s->n_better > 0 ? s->best : MGI_NAN,
        .asked = s->cache.n,
        .told = s->shown,
        .out = s->out,
        .open = s->n_open,
        .format = s->format,
    };
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_session_query(const mango_session *s, mango_idx q, double *y,
                                 mango_idx *I)
{
    MGI_REQUIRE(s && q >= 0 && q < s->cache.done);
    const mango_idx row = s->cache.order[q];
    if (y)
        *y = s->cache.y[row];
    if (I)
        mgi_cache_code(&s->cache, row, I);
    return MANGO_OK;
}

mango_status mango_session_value_sized(const mango_session *s, mango_idx q,
                                       mango_value *value, size_t size)
{
    MGI_REQUIRE(s && value && q >= 0 && q < s->cache.done);
    const mango_idx row = s->cache.order[q];
    const mango_value own = {
        .id = (uint64_t)row,
        .y = s->cache.y[row],
        .var = mgi_cache_var(&s->cache, row),
        .n = s->cache.good[row],
        .shown = s->cache.seen[row],
    };
    mgi_info_out(value, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_session_code(const mango_session *s, uint64_t id, mango_idx *I)
{
    MGI_REQUIRE(s && I && id < (uint64_t)s->cache.n);
    mgi_cache_code(&s->cache, (mango_idx)id, I);
    return MANGO_OK;
}

mango_status mango_session_best(const mango_session *s, double *y, mango_idx *I)
{
    MGI_REQUIRE(s);
    if (s->n_better == 0)
        return MANGO_E_STATE;
    const mango_improvement *last = s->better + s->n_better - 1;
    if (y)
        *y = s->best;
    return mango_session_query(s, last->query, NULL, I);
}

mango_idx mango_session_improvement(const mango_session *s, mango_idx i)
{
    return s && i >= 0 && i < s->n_better ? s->better[i].query : -1;
}

mango_status mango_session_improved_sized(const mango_session *s, mango_idx i,
                                          mango_improvement *improvement, size_t size)
{
    MGI_REQUIRE(s && improvement && i >= 0 && i < s->n_better);
    mgi_info_out(improvement, size, s->better + i, sizeof *s->better);
    return MANGO_OK;
}

/* ---- estimates and elites ----------------------------------------------------- */

static void found_estimate(const mango_session *s, const mgi_posterior *p, mango_idx head,
                           mango_estimate *e)
{
    const mgi_cache *c = &s->cache;
    const mango_idx n = c->all[head];
    memset(e, 0, sizeof *e);
    e->id = (uint64_t)head;
    e->n = n;
    e->y = e->mean = n > 0 ? c->mean[head] : MGI_NAN;
    e->se = e->lo = e->hi = e->again = e->posterior = MGI_NAN;
    if (n == 0)
        return;
    e->posterior = mgi_posterior_mean(p, c, head);
    e->again = mgi_posterior_again(c, head);
    if (s->noisy)
        e->y = n > 1 ? e->again : e->posterior;
    e->se = mgi_posterior_se(p, c, head);
    const double half = mgi_posterior_t(p, c, head) * e->se;
    e->lo = e->again - half;
    e->hi = e->again + half;
}

mango_status mango_session_estimate_sized(const mango_session *s, uint64_t id,
                                          mango_estimate *e, size_t size)
{
    mgi_posterior p;
    mango_estimate own;
    MGI_REQUIRE(s && e && id < (uint64_t)s->cache.n);
    mgi_posterior_fit(&p, &s->cache);
    found_estimate(s, &p, s->cache.head[id], &own);
    mgi_info_out(e, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_session_found_sized(const mango_session *s, mango_estimate *e, size_t size)
{
    MGI_REQUIRE(s && e);
    if (s->n_better == 0)
        return MANGO_E_STATE;
    const mango_idx row = s->cache.order[s->better[s->n_better - 1].query];
    return mango_session_estimate_sized(s, (uint64_t)row, e, size);
}

/* Modes in which two codes differ. */
static mango_idx found_distance(const mgi_cache *c, mango_idx a, mango_idx b)
{
    mango_idx n = 0;
    for (mango_idx j = 0; j < c->d; j++)
        n += c->code[a * c->d + j] != c->code[b * c->d + j];
    return n;
}

/* Codes that may still become elites: heads, with what they are ordered by. */
typedef struct mgi_found {
    mango_idx n, *head;
    double *y;
} mgi_found;

static mango_idx found_best(const mango_session *s, const mgi_found *f)
{
    mango_idx best = 0;
    for (mango_idx i = 1; i < f->n; i++)
        if (mgi_session_better(s, f->y[i], f->y[best]))
            best = i;
    return f->head[best];
}

/* Without those that are nearer to `elite` than that; it is among them. */
static void found_drop(const mgi_cache *c, mgi_found *f, mango_idx elite, mango_idx distance)
{
    mango_idx left = 0;
    for (mango_idx i = 0; i < f->n; i++) {
        if (f->head[i] == elite || found_distance(c, f->head[i], elite) < distance)
            continue;
        f->head[left] = f->head[i];
        f->y[left++] = f->y[i];
    }
    f->n = left;
}

static mango_idx found_elites(const mango_session *s, mgi_found *f, mango_idx most,
                              mango_idx distance, unsigned char *to, size_t size)
{
    const mgi_cache *c = &s->cache;
    mgi_posterior p;
    mango_estimate e;
    mango_idx n = 0;
    mgi_posterior_fit(&p, c);
    for (mango_idx h = 0; h < c->n; h++)
        if (c->head[h] == h && c->all[h] > 0) {
            found_estimate(s, &p, h, &e);
            f->head[f->n] = h;
            f->y[f->n++] = s->noisy ? e.posterior : e.y;
        }
    for (; n < most && f->n > 0; n++) {
        const int reported = n == 0 && s->n_better > 0;
        const mango_idx query = reported ? s->better[s->n_better - 1].query : 0;
        const mango_idx elite = reported ? c->head[c->order[query]] : found_best(s, f);
        found_estimate(s, &p, elite, &e);
        mgi_info_out(to + (size_t)n * size, size, &e, sizeof e);
        found_drop(c, f, elite, distance);
    }
    return n;
}

mango_status mango_session_elites_sized(const mango_session *s, mango_idx most,
                                        mango_idx distance, mango_idx *n,
                                        mango_estimate *elites, size_t size)
{
    MGI_REQUIRE(s && n && most >= 0 && distance >= 0 && (most == 0 || elites));
    mgi_found f = {0, NULL, NULL};
    const mango_idx room = s->cache.n;
    f.head = mgi_new(&s->al, room, sizeof *f.head);
    f.y = mgi_new(&s->al, room, sizeof *f.y);
    const int ok = f.head && f.y;
    *n = ok ? found_elites(s, &f, most, distance, (unsigned char *)elites, size) : 0;
    mgi_del(&s->al, f.head, room, sizeof *f.head);
    mgi_del(&s->al, f.y, room, sizeof *f.y);
    return ok ? MANGO_OK : MANGO_E_MEM;
}

const mango_opt *mango_session_optimizer(const mango_session *s)
{
    return s ? s->opt : NULL;
}

/* A batch keeps its proposals until its memory serves another one. */
mango_status mango_session_proposal(const mango_session *s, mango_idx k, mango_idx *I,
                                    uint64_t *id)
{
    mango_opt_info info;
    MGI_REQUIRE(s && k >= 0);
    MGI_TRY(mango_opt_get(s->opt, &info));
    for (mango_idx i = 0; i < s->n_batch; i++) {
        const mgi_proposals *b = s->batch + i;
        if (!b->I || b->offered || b->K == 0 || b->id[b->K - 1] + 1 != info.asked)
            continue;
        MGI_REQUIRE(k < b->K);
        if (I)
            memcpy(I, b->I + k * s->d, (size_t)s->d * sizeof *I);
        if (id)
            *id = (uint64_t)b->row[k];
        return MANGO_OK;
    }
    return MANGO_E_ARG;
}

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
    return mango_session_query(s, s->better[s->n_better - 1], y, I);
}

mango_idx mango_session_improvement(const mango_session *s, mango_idx i)
{
    return s && i >= 0 && i < s->n_better ? s->better[i] : -1;
}

/* refs.c - (1) to (4) of refs.h.
 * SPDX-License-Identifier: MIT */
#include "refs.h"
#include "elite.h"
#include "../base/real.h"

#define REFS_RNG 0x52454653u
#define REFS_FEW 8 /* told before the process is asked */

static const mgi_gp_rule refs_rule[] = {
    {1.0, 0.0, 1.0, 0.3}, {1.0, 0.0, 1.0, 1.0}, {1.0, 0.0, 1.0, 3.0},
    {0.5, 0.5, 0.7, 0.3}, {0.5, 0.5, 0.7, 1.0}, {0.5, 0.5, 0.7, 3.0},
};

/* ---- life ------------------------------------------------------------------- */

/* Feature a of all codes gets mean 0; all together variance 1. */
static void refs_normalize(mgi_refs *r, mango_idx dim)
{
    double all = 0.0;
    for (mango_idx a = 0; a < dim; a++) {
        double mean = 0.0, square = 0.0;
        for (mango_idx i = 0; i < r->n; i++)
            mean += (double)r->x[i * r->dim + a] / (double)r->n;
        for (mango_idx i = 0; i < r->n; i++) {
            const double off = (double)r->x[i * r->dim + a] - mean;
            r->x[i * r->dim + a] = (float)off;
            square += off * off / (double)r->n;
        }
        all += square;
    }
    const float scale = all > 0.0 ? (float)(1.0 / sqrt(all)) : 0.0f;
    for (mango_idx i = 0; i < r->n; i++)
        for (mango_idx a = 0; a < dim; a++)
            r->x[i * r->dim + a] *= scale;
}

static void refs_features(mgi_refs *r, const mango_opt *o, const mgi_texture *t)
{
    const mango_idx stored = o->facts.code_dim;
    for (mango_idx i = 0; i < r->n; i++) {
        const mango_idx *I = r->codes + r->order[i] * r->d;
        float *x = r->x + i * r->dim;
        if (stored > 0)
            memcpy(x, o->facts.code_features + r->order[i] * stored,
                   (size_t)stored * sizeof *x);
        if (t->dim > 0)
            mgi_texture_of(t, I, x + stored);
        r->hash[i] = mgi_code_hash(r->d, I);
    }
    refs_normalize(r, stored);
}

/* The first n of a random order of all codes. */
static mango_status refs_order(mgi_refs *r, const mango_opt *o)
{
    const mango_idx all = o->facts.n_codes;
    mango_idx *perm = mgi_new(&o->al, all, sizeof *perm);
    if (!perm)
        return MANGO_E_MEM;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, REFS_RNG, 0);
    mango_rng_perm(&rng, all, perm);
    memcpy(r->order, perm, (size_t)r->n * sizeof *perm);
    mgi_del(&o->al, perm, all, sizeof *perm);
    return MANGO_OK;
}

MGI_FN mango_status mgi_refs_init(mgi_refs *r, const mango_opt *o, const mgi_texture *t,
                                  int use)
{
    const mgi_refs none = {.d = o->d, .codes = o->facts.codes};
    *r = none;
    const mango_idx dim = o->facts.code_dim + t->dim;
    if (!use || o->facts.n_codes == 0 || dim == 0)
        return MANGO_OK;
    r->n = MGI_MIN(o->facts.n_codes, MGI_REFS_MOST);
    r->dim = dim;
    r->order = mgi_new(&o->al, r->n, sizeof *r->order);
    r->sorted = mgi_new(&o->al, r->n, sizeof *r->sorted);
    r->x = mgi_new(&o->al, r->n * dim, sizeof *r->x);
    r->hash = mgi_new(&o->al, r->n, sizeof *r->hash);
    r->asked = mgi_new(&o->al, r->n, 1);
    r->mean = mgi_new(&o->al, r->n, sizeof *r->mean);
    r->sd = mgi_new(&o->al, r->n, sizeof *r->sd);
    r->at = mgi_new(&o->al, MGI_REFS_POINTS, sizeof *r->at);
    r->y = mgi_new(&o->al, MGI_REFS_POINTS, sizeof *r->y);
    r->tie = mgi_new(&o->al, MGI_REFS_POINTS, sizeof *r->tie);
    r->z = mgi_new(&o->al, MGI_REFS_POINTS, sizeof *r->z);
    if (!r->order || !r->sorted || !r->x || !r->hash || !r->asked || !r->mean || !r->sd ||
        !r->at || !r->y || !r->tie || !r->z)
        return MANGO_E_MEM;
    MGI_TRY(mgi_gp_init(&r->gp, dim, MGI_REFS_POINTS, &o->al));
    MGI_TRY(refs_order(r, o));
    refs_features(r, o, t);
    r->left = r->n;
    mgi_refs_restart(r);
    return MANGO_OK;
}

MGI_FN void mgi_refs_free(mgi_refs *r, const mango_alloc *al)
{
    mgi_del(al, r->order, r->n, sizeof *r->order);
    mgi_del(al, r->sorted, r->n, sizeof *r->sorted);
    mgi_del(al, r->x, r->n * r->dim, sizeof *r->x);
    mgi_del(al, r->hash, r->n, sizeof *r->hash);
    mgi_del(al, r->asked, r->n, 1);
    mgi_del(al, r->mean, r->n, sizeof *r->mean);
    mgi_del(al, r->sd, r->n, sizeof *r->sd);
    mgi_del(al, r->at, MGI_REFS_POINTS, sizeof *r->at);
    mgi_del(al, r->y, MGI_REFS_POINTS, sizeof *r->y);
    mgi_del(al, r->tie, MGI_REFS_POINTS, sizeof *r->tie);
    mgi_del(al, r->z, MGI_REFS_POINTS, sizeof *r->z);
    if (r->gp.cap > 0)
        mgi_gp_free(&r->gp);
    memset(r, 0, sizeof *r);
}

MGI_FN void mgi_refs_restart(mgi_refs *r)
{
    if (r->n <= 0)
        return;
    mgi_gp_keep(&r->gp, 0, NULL);
    r->stale = 1;
    r->mated = 0;
    if (r->left > 0)
        return;
    memset(r->asked, 0, (size_t)r->n);
    r->left = r->n;
}

/* ---- values ----------------------------------------------------------------------- */

MGI_FN void mgi_refs_tell(mgi_refs *r, const mango_told *t)
{
    const uint64_t h = r->n > 0 ? mgi_code_hash(r->d, t->I) : 0;
    const size_t row = (size_t)r->d * sizeof *t->I;
    mango_idx i = 0, p = 0;
    while (i < r->n && (r->hash[i] != h || memcmp(r->codes + r->order[i] * r->d, t->I, row)))
        i++;
    if (i == r->n)
        return;
    while (p < r->gp.n && r->at[p] != i)
        p++;
    if (p == MGI_REFS_POINTS)
        return;
    if (p == r->gp.n)
        mgi_gp_add(&r->gp, 1, r->x + i * r->dim, NULL);
    r->left -= !r->asked[i];
    r->asked[i] = 1;
    r->at[p] = i;
    r->y[p] = t->y;
    r->tie[p] = t->tie;
    r->stale = 1;
    r->mated = 0;
}

/* (2), and what it says of all codes. */
static void refs_predict(mgi_refs *r)
{
    if (!r->stale)
        return;
    mgi_scores(r->gp.n, r->y, r->tie, r->sorted, r->z);
    mgi_gp_targets(&r->gp, r->z);
    (void)mgi_gp_choose(&r->gp, MGI_COUNT(refs_rule), refs_rule);
    mgi_gp_predict(&r->gp, r->n, r->x, r->mean, r->sd);
    for (mango_idx i = 0; i < r->n; i++)
        r->sd[i] = sqrt(r->sd[i]);
    r->stale = 0;
}

/* ---- choices ------------------------------------------------------------------------ */

MGI_FN mango_idx mgi_refs_next(mgi_refs *r, double b)
{
    const int model = b >= 0.0 && r->gp.n >= REFS_FEW;
    mango_idx best = -1;
    if (model)
        refs_predict(r);
    for (mango_idx i = 0; i < r->n; i++) {
        if (r->asked[i])
            continue;
        if (best < 0 ||
            (model && r->mean[i] + b * r->sd[i] > r->mean[best] + b * r->sd[best])) /* (3) */
            best = i;
        if (!model)
            break;
    }
    r->asked[best] = 1;
    r->left--;
    return best;
}

MGI_FN void mgi_refs_mates(mgi_refs *r, mango_idx most)
{
    const mango_idx n = MGI_MIN(MGI_MIN(most, r->n), MGI_REFS_MATES);
    if (n == 0)
        return;
    if (r->gp.n < REFS_FEW) {
        memcpy(r->mate, r->order, (size_t)n * sizeof *r->mate);
    } else if (!r->mated || r->n_mates != n) {
        refs_predict(r);
        mgi_order(r->n, r->mean, NULL, r->sorted);
        for (mango_idx i = 0; i < n; i++)
            r->mate[i] = r->order[r->sorted[i]];                                    /* (4) */
        r->mated = 1;
    }
    r->n_mates = n;
}

#undef REFS_RNG
#undef REFS_FEW

/* transition.c - modes as real axes: see transition.h for the equations.
 * SPDX-License-Identifier: MIT */
#include "transition.h"
#include "../base/real.h"
#include "../math/eigen.h"

#define AXES_TABLE 65536            /* levels of which the places are kept           */
#define AXES_SQRT12 3.4641016151377546 /* 1 / the standard deviation of U(0,1)       */
#define AXES_NAMES 8192             /* levels and numbers of each that (4) takes: its */
#define AXES_DIM 256                /* time grows as their squares                   */

/* ---- one axis ------------------------------------------------------------- */

static double axes_choice(mango_idx n, mango_idx i)
{
    return mgi_normal_quantile(((double)i + 0.5) / (double)n);                  /* (1) */
}

MGI_FN double mgi_axes_place(const mgi_axes *a, mango_idx j, mango_idx i)
{
    const mango_idx n = a->n[j];
    if (n == 1)
        return 0.0;
    if (j < a->cells)
        i = a->rank[i];
    if (a->latent)
        return a->lo + (double)i * (a->hi - a->lo) / (double)(n - 1);           /* (2) */
    if (n == MANGO_REAL)
        return AXES_SQRT12 * ((double)i / (double)(n - 1) - 0.5);               /* (3) */
    return a->place && n == a->same ? a->place[i] : axes_choice(n, i);
}

/* The level that u, in levels, falls on. */
static mango_idx axes_hold(mango_idx n, double u)
{
    if (!(u > 0.0)) /* NaN too */
        return 0;
    return u >= (double)n ? n - 1 : (mango_idx)u;
}

/* x between mirrors at 0 and 1. */
static double axes_mirror(double x)
{
    const double turn = x - 2.0 * floor(0.5 * x); /* in [0,2) */
    return turn > 1.0 ? 2.0 - turn : turn;
}

MGI_FN mango_idx mgi_axes_level(const mgi_axes *a, mango_idx j, double t)
{
    const mango_idx n = a->n[j];
    const double top = (double)(n - 1);
    double u;
    if (a->latent)
        u = (t - a->lo) / (a->hi - a->lo) * top + 0.5;
    else if (n == MANGO_REAL)
        u = axes_mirror(t / AXES_SQRT12 + 0.5) * top + 0.5;                     /* (3) */
    else
        u = (double)n * mgi_normal_cdf(t);
    const mango_idx i = axes_hold(n, u);
    return j < a->cells ? a->level[i] : i;
}

MGI_FN mango_idx mgi_axes_uniform(const mgi_axes *a, mango_idx j, double u)
{
    const mango_idx i = axes_hold(a->n[j], u * (double)a->n[j]);
    return j < a->cells ? a->level[i] : i;
}

MGI_FN void mgi_axes_places(const mgi_axes *a, const mango_idx *I, double *t)
{
    for (mango_idx j = 0; j < a->d; j++)
        t[j] = mgi_axes_place(a, j, I[j]);
}

MGI_FN void mgi_axes_code(const mgi_axes *a, const double *t, mango_idx *I)
{
    for (mango_idx j = 0; j < a->d; j++)
        I[j] = mgi_axes_level(a, j, t[j]);
}

/* ---- renaming ------------------------------------------------------------- */

/* The covariance S (m,m) of n points about their mean (m). */
static void axes_covariance(mango_idx n, mango_idx m, const float *p, double *mean,
                            double *S)
{
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx c = 0; c < m; c++)
            mean[c] += (double)p[i * m + c] / (double)n;
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx c = 0; c < m; c++)
            for (mango_idx e = 0; e < m; e++)
                S[c * m + e] += ((double)p[i * m + c] - mean[c]) *
                                ((double)p[i * m + e] - mean[e]);
}

/* rank and level from the scores of n levels; equal ones keep their order. */
static void axes_sort(mango_idx n, const double *score, mango_idx *rank, mango_idx *level)
{
    for (mango_idx i = 0; i < n; i++) {
        mango_idx r = 0;
        for (mango_idx k = 0; k < n; k++)
            r += score[k] < score[i] || (score[k] == score[i] && k < i);
        rank[i] = r;
        level[r] = i;
    }
}

/* (4): work holds mean (m), S and V (m,m), w (m), scratch (4,m), scores (n). */
static mango_status axes_order(mgi_axes *a, mango_idx n, mango_idx m, const float *p,
                               double *work)
{
    double *mean = work, *S = mean + m, *V = S + m * m, *w = V + m * m;
    double *scratch = w + m, *score = scratch + 4 * m;
    axes_covariance(n, m, p, mean, S);
    MGI_TRY(mgi_eigen(m, S, w, V, scratch));
    for (mango_idx i = 0; i < n; i++) {
        score[i] = 0.0;
        for (mango_idx c = 0; c < m; c++)
            score[i] += (double)p[i * m + c] * V[(m - 1) * m + c];
    }
    axes_sort(n, score, a->rank, a->level);
    return MANGO_OK;
}

static mango_status axes_rename(mgi_axes *a, const mango_opt *o, mango_err *err)
{
    const mango_idx n = o->n[0], m = o->facts.level_dim;
    const mango_idx numbers = 6 * m + 2 * m * m + n;
    double *work = mgi_new(&a->al, numbers, sizeof *work);
    a->rank = mgi_new(&a->al, n, sizeof *a->rank);
    a->level = mgi_new(&a->al, n, sizeof *a->level);
    mango_status st = MANGO_E_MEM;
    if (work && a->rank && a->level)
        st = axes_order(a, n, m, o->facts.levels, work);
    mgi_del(&a->al, work, numbers, sizeof *work);
    if (st == MANGO_OK)
        a->cells = o->facts.H ? o->facts.H * o->facts.W : o->d;
    return st == MANGO_E_MEM ? mgi_fail(err, st, "optimizer: out of memory for %td levels", n)
                             : MANGO_OK; /* points that are not finite: no renaming */
}

/* ---- life ----------------------------------------------------------------- */

MGI_FN int mgi_axes_how(const mango_opt *o)
{
    return (mgi_opt_int(o, "rename") ? MGI_AXES_RENAME : 0) |
           (mgi_opt_int(o, "axes") ? MGI_AXES_CHOICE : 0);
}

MGI_FN mango_status mgi_axes_create(mgi_axes *a, const mango_opt *o, int how, mango_err *err)
{
    const mango_facts *f = &o->facts;
    memset(a, 0, sizeof *a);
    a->al = o->al;
    a->d = o->d;
    a->n = o->n;
    a->same = o->n[0];
    a->latent = f->prior == MANGO_PRIOR_NORMAL && !(how & MGI_AXES_CHOICE);
    a->lo = f->prior_lo;
    a->hi = f->prior_hi;
    for (mango_idx j = 0; j < o->d && !a->latent; j++)
        a->real += o->n[j] == MANGO_REAL;
    const mango_idx m = f->level_dim;
    if ((how & MGI_AXES_RENAME) && f->levels && m > 0 && m <= AXES_DIM && a->same <= AXES_NAMES)
        MGI_TRY(axes_rename(a, o, err));
    if (a->latent || a->same > AXES_TABLE)
        return MANGO_OK;
    a->place = mgi_new(&a->al, a->same, sizeof *a->place);
    if (!a->place)
        return mgi_fail(err, MANGO_E_MEM, "optimizer: out of memory for %td levels", a->same);
    for (mango_idx i = 0; i < a->same; i++)
        a->place[i] = axes_choice(a->same, i);
    return MANGO_OK;
}

MGI_FN void mgi_axes_free(mgi_axes *a)
{
    mgi_del(&a->al, a->place, a->place ? a->same : 0, sizeof *a->place);
    mgi_del(&a->al, a->rank, a->rank ? a->same : 0, sizeof *a->rank);
    mgi_del(&a->al, a->level, a->level ? a->same : 0, sizeof *a->level);
}

#undef AXES_TABLE
#undef AXES_SQRT12
#undef AXES_NAMES
#undef AXES_DIM

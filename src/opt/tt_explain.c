/* tt_explain.c - what a tensor train has learnt, in lines for people.
 *
 * The sum of w over all other indices, from both sides (tt.h has w and the letters):
 *     l_1 = 1,  l_{j+1} = l_j sum_i G_j[i];   z_{d+1} = 1,  z_j = sum_i G_j[i] z_{j+1}
 *     m_j[i] = |l_j G_j[i] z_{j+1}| / sum over i                                     (1)
 *     H_j = -sum_i m_j[i] log2 m_j[i]                                                (2)
 * (1) is the marginal of p where no core has negative entries, and near it else. A mode
 * is decided as far as H_j is below log2 n_j.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../base/text.h"
#include "tt.h"

#define TTX_SHOWN 6   /* modes whose levels are shown: the most decided ones */
#define TTX_BLOCKS 32 /* blocks of a line of levels                          */
#define TTX_WIDTH 64  /* blocks of a line of modes                           */

typedef struct ttx_sums {
    mango_alloc al;
    mango_idx n;   /* of l and z: (d+1) rmax */
    double *l, *z; /* (d+1, rmax)            */
    double *m;     /* (nmax) of one mode     */
    double *sure;  /* (d) 1 - H_j/log2 n_j   */
} ttx_sums;

/* One of eight heights, for x in [0,1]. */
static void ttx_block(double x, mgi_str *s)
{
    static const char *const block[] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                        "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                        "\xe2\x96\x87", "\xe2\x96\x88"};
    const int h = (int)(8.0 * x);
    mgi_str_puts(s, block[h < 0 ? 0 : h > 7 ? 7 : h]);
}

/* Held in range: only ratios matter. */
static void ttx_scale(mango_idx r, double *x)
{
    double most = 0.0;
    for (mango_idx a = 0; a < r; a++)
        most = fabs(x[a]) > most ? fabs(x[a]) : most;
    for (mango_idx a = 0; a < r && most > 0.0; a++)
        x[a] /= most;
}

static void ttx_right(const mgi_tt *t, mango_idx j, const double *z2, double *z)
{
    for (mango_idx a = 0; a < t->r[j]; a++) {
        z[a] = 0.0;
        for (mango_idx i = 0; i < t->n[j]; i++)
            for (mango_idx b = 0; b < t->r[j + 1]; b++)
                z[a] += t->G[mgi_tt_at(t, j, i, a, b)] * z2[b];
    }
    ttx_scale(t->r[j], z);
}

static void ttx_left(const mgi_tt *t, mango_idx j, const double *l, double *l2)
{
    for (mango_idx b = 0; b < t->r[j + 1]; b++) {
        l2[b] = 0.0;
        for (mango_idx i = 0; i < t->n[j]; i++)
            for (mango_idx a = 0; a < t->r[j]; a++)
                l2[b] += l[a] * t->G[mgi_tt_at(t, j, i, a, b)];
    }
    ttx_scale(t->r[j + 1], l2);
}

/* (1) into m; returns (2). */
static double ttx_marginal(const mgi_tt *t, mango_idx j, const ttx_sums *x)
{
    const double *l = x->l + j * t->rmax, *z2 = x->z + (j + 1) * t->rmax;
    double sum = 0.0, H = 0.0;
    for (mango_idx i = 0; i < t->n[j]; i++) {
        double w = 0.0;
        for (mango_idx a = 0; a < t->r[j]; a++)
            for (mango_idx b = 0; b < t->r[j + 1]; b++)
                w += l[a] * t->G[mgi_tt_at(t, j, i, a, b)] * z2[b];
        x->m[i] = fabs(w);
        sum += x->m[i];
    }
    for (mango_idx i = 0; i < t->n[j]; i++) {
        x->m[i] = sum > 0.0 ? x->m[i] / sum : 1.0 / (double)t->n[j];          /* (1) */
        H -= x->m[i] > 0.0 ? x->m[i] * mgi_log(x->m[i]) / mgi_log(2.0) : 0.0; /* (2) */
    }
    return H;
}

static int ttx_memory(const mgi_tt *t, ttx_sums *x)
{
    x->n = (t->d + 1) * t->rmax;
    x->l = mgi_new(&x->al, x->n, sizeof *x->l);
    x->z = mgi_new(&x->al, x->n, sizeof *x->z);
    x->m = mgi_new(&x->al, t->nmax, sizeof *x->m);
    x->sure = mgi_new(&x->al, t->d, sizeof *x->sure);
    return x->l && x->z && x->m && x->sure;
}

static void ttx_free(const mgi_tt *t, ttx_sums *x)
{
    mgi_del(&x->al, x->l, x->n, sizeof *x->l);
    mgi_del(&x->al, x->z, x->n, sizeof *x->z);
    mgi_del(&x->al, x->m, t->nmax, sizeof *x->m);
    mgi_del(&x->al, x->sure, t->d, sizeof *x->sure);
}

/* l, z, and how decided each mode is. */
static void ttx_sum(const mgi_tt *t, ttx_sums *x)
{
    const mango_idx d = t->d, r = t->rmax;
    x->l[0] = 1.0;
    x->z[d * r] = 1.0;
    for (mango_idx j = 0; j < d; j++)
        ttx_left(t, j, x->l + j * r, x->l + (j + 1) * r);
    for (mango_idx j = d - 1; j >= 0; j--)
        ttx_right(t, j, x->z + (j + 1) * r, x->z + j * r);
    for (mango_idx j = 0; j < d; j++) {
        const double most = mgi_log((double)t->n[j]) / mgi_log(2.0);
        x->sure[j] = most > 0.0 ? 1.0 - ttx_marginal(t, j, x) / most : 0.0;
    }
}

/* A block for each mode, or for the most decided of several that stand together. */
static void ttx_modes(const mgi_tt *t, const ttx_sums *x, mgi_str *s)
{
    const mango_idx width = MGI_MIN(t->d, TTX_WIDTH);
    double mean = 0.0, top = 0.0;
    for (mango_idx j = 0; j < t->d; j++) {
        mean += x->sure[j] / (double)t->d;
        top = x->sure[j] > top ? x->sure[j] : top;
    }
    mgi_str_printf(s,
                   "decided (0: all levels alike, 1: one level): mean %.3f, most %.3f\n  ",
                   mean, top);
    for (mango_idx w = 0; w < width; w++) {
        double most = 0.0;
        for (mango_idx j = w * t->d / width; j < (w + 1) * t->d / width; j++)
            most = x->sure[j] > most ? x->sure[j] : most;
        ttx_block(top > 0.0 ? 0.999 * most / top : 0.0, s);
    }
    mgi_str_puts(s, "\n");
}

/* The levels of one mode, blocks of equally many, and the likeliest of them. */
static void ttx_levels(const mgi_tt *t, mango_idx j, const ttx_sums *x, mgi_str *s)
{
    const mango_idx n = t->n[j], width = MGI_MIN(n, TTX_BLOCKS);
    const double H = ttx_marginal(t, j, x);
    double part[TTX_BLOCKS] = {0.0}, most = 0.0;
    mango_idx best = 0;
    for (mango_idx i = 0; i < n; i++) {
        part[i * width / n] += x->m[i];
        best = x->m[i] > x->m[best] ? i : best;
    }
    for (mango_idx w = 0; w < width; w++)
        most = part[w] > most ? part[w] : most;
    mgi_str_printf(s, "  mode %4td ", j);
    for (mango_idx w = 0; w < width; w++)
        ttx_block(0.999 * part[w] / most, s);
    mgi_str_printf(s, " level %td: %.3f  H %.2f bits\n", best, x->m[best], H);
}

/* The most decided modes, most decided first. */
static void ttx_shown(const mgi_tt *t, const ttx_sums *x, mgi_str *s)
{
    mango_idx shown[TTX_SHOWN];
    for (mango_idx k = 0; k < MGI_MIN(TTX_SHOWN, t->d); k++) {
        mango_idx best = -1;
        for (mango_idx j = 0; j < t->d; j++) {
            int before = 0;
            for (mango_idx i = 0; i < k; i++)
                before |= shown[i] == j;
            if (!before && (best < 0 || x->sure[j] > x->sure[best]))
                best = j;
        }
        shown[k] = best;
        ttx_levels(t, best, x, s);
    }
}

MGI_FN void mgi_tt_explain(const mgi_tt *t, mgi_str *s)
{
    ttx_sums x;
    memset(&x, 0, sizeof x);
    x.al = s->al;
    if (ttx_memory(t, &x)) {
        ttx_sum(t, &x);
        ttx_modes(t, &x, s);
        ttx_shown(t, &x, s);
    } else {
        s->bad = 1;
    }
    ttx_free(t, &x);
}

#undef TTX_SHOWN
#undef TTX_BLOCKS
#undef TTX_WIDTH

/* tt_words.c - the marginals of a tensor train, for people to read.
 *
 *   z_{d+1} = 1,  z_j = sum_i G_j[i] z_{j+1};   l_1 = 1,  l_{j+1} = l_j sum_i G_j[i]   (1)
 *   w_j[i] = |l_j G_j[i] z_{j+1}| / sum_i |l_j G_j[i] z_{j+1}|                         (2)
 *   decided_j = 1 - H(w_j) / log n_j,   H the entropy                                  (3)
 * SPDX-License-Identifier: MIT */
#include "tt_words.h"
#include "../base/real.h"

enum { TT_WORDS_MODES = 16, TT_WORDS_BITS = 128, TT_WORDS_LEVELS = 5 };

/* x (r) divided by its largest |x|: (2) does not change. */
static void words_scale(mango_idx r, double *x)
{
    double m = 0.0;
    for (mango_idx a = 0; a < r; a++)
        m = MGI_MAX(m, fabs(x[a]));
    for (mango_idx a = 0; a < r && m > 1e-300; a++)
        x[a] /= m;
}

/* All z of (1). */
static void words_right(const mgi_tt *t, double *z)
{
    z[t->d * t->rmax] = 1.0;
    for (mango_idx j = t->d - 1; j >= 0; j--) {
        double *to = z + j * t->rmax;
        memset(to, 0, (size_t)t->rmax * sizeof *to);
        for (mango_idx i = 0; i < t->n[j]; i++)
            for (mango_idx a = 0; a < t->r[j]; a++)
                for (mango_idx b = 0; b < t->r[j + 1]; b++)
                    to[a] += t->G[mgi_tt_at(t, j, i, a, b)] * to[t->rmax + b];
        words_scale(t->r[j], to);
    }
}

/* (2) of mode j into w, and l goes on to the next; returns (3). */
static double words_mode(const mgi_tt *t, mango_idx j, const double *z, double *l, double *l2,
                         double *w)
{
    double S = 0.0, H = 0.0;
    memset(l2, 0, (size_t)t->rmax * sizeof *l2);
    for (mango_idx i = 0; i < t->n[j]; i++) {
        w[i] = 0.0;
        for (mango_idx a = 0; a < t->r[j]; a++)
            for (mango_idx b = 0; b < t->r[j + 1]; b++) {
                const double x = l[a] * t->G[mgi_tt_at(t, j, i, a, b)];
                l2[b] += x;
                w[i] += x * z[(j + 1) * t->rmax + b];
            }
        w[i] = fabs(w[i]);
        S += w[i];
    }
    for (mango_idx i = 0; i < t->n[j]; i++) {
        w[i] = S > 0.0 ? w[i] / S : 1.0 / (double)t->n[j];
        H -= w[i] > 0.0 ? w[i] * mgi_log(w[i]) : 0.0;
    }
    words_scale(t->r[j + 1], l2);
    memcpy(l, l2, (size_t)t->rmax * sizeof *l);
    return t->n[j] > 1 ? 1.0 - H / mgi_log((double)t->n[j]) : 1.0;
}

/* The levels of most weight; w of those named becomes -1. */
static void words_levels(mango_idx j, mango_idx n, double *w, mgi_str *s)
{
    mgi_str_printf(s, "  mode %td:", j);
    for (mango_idx k = 0; k < MGI_MIN(n, TT_WORDS_LEVELS); k++) {
        mango_idx at = 0;
        for (mango_idx i = 1; i < n; i++)
            at = w[i] > w[at] ? i : at;
        mgi_str_printf(s, " %td %.3f", at, w[at]);
        w[at] = -1.0;
    }
    mgi_str_puts(s, n > TT_WORDS_LEVELS ? " ...\n" : "\n");
}

/* One mode after the other; bits share lines of 16. */
static void words_all(const mgi_tt *t, const double *z, double *l, double *w, mgi_str *s)
{
    mango_idx bits = 0, wide = 0;
    double decided = 0.0;
    for (mango_idx j = 0; j < t->d; j++) {
        decided += words_mode(t, j, z, l, l + t->rmax, w);
        if (t->n[j] == 2 && bits < TT_WORDS_BITS) {
            if (bits % 16 == 0)
                mgi_str_printf(s, "%s  p(1) from mode %td:", bits ? "\n" : "", j);
            mgi_str_printf(s, " %.2f", w[1]);
            bits++;
        } else if (t->n[j] > 2 && wide++ < TT_WORDS_MODES) {
            mgi_str_puts(s, bits % 16 ? "\n" : "");
            bits = bits % 16 ? 0 : bits;
            words_levels(j, t->n[j], w, s);
        }
    }
    mgi_str_printf(s, "%s  decided: %.3f of 1 in the mean over %td modes\n", bits ? "\n" : "",
                   decided / (double)t->d, t->d);
}

MGI_FN void mgi_tt_words(const mgi_tt *t, mgi_str *s)
{
    const mango_alloc *al = &t->arena.al;
    const mango_idx n = (t->d + 3) * t->rmax + t->nmax;
    double *z = mgi_new(al, n, sizeof *z);
    if (!z)
        return;
    double *l = z + (t->d + 1) * t->rmax;
    words_right(t, z);
    l[0] = 1.0;
    mgi_str_puts(s, "marginals of the tensor train:\n");
    words_all(t, z, l, l + 2 * t->rmax, s);
    mgi_del(al, z, n, sizeof *z);
}

/* scores.c - ranks and their normal scores: values without their scale.
 *
 *   z_i = Phi^-1((r_i + 1/2)/n),   r_i = 0 .. n-1 the rank of y_i from the worst      (1)
 * Source: Blom, "Statistical Estimates and Transformed Beta-Variables", 1958.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "gp.h"

/* Does a come before b? */
static int scores_before(const double *y, const double *tie, mango_idx a, mango_idx b)
{
    if (y[a] != y[b])
        return y[a] > y[b];
    if (tie && tie[a] != tie[b])
        return tie[a] > tie[b];
    return a < b;
}

/* order[at] sinks in the heap of n, whose root comes last. */
static void scores_sink(mango_idx n, const double *y, const double *tie, mango_idx *order,
                        mango_idx at)
{
    const mango_idx x = order[at];
    for (mango_idx c = 2 * at + 1; c < n; c = 2 * at + 1) {
        if (c + 1 < n && scores_before(y, tie, order[c], order[c + 1]))
            c++;
        if (!scores_before(y, tie, x, order[c]))
            break;
        order[at] = order[c];
        at = c;
    }
    order[at] = x;
}

/* Heap sort: no memory, the same in every library. */
MGI_FN void mgi_order(mango_idx n, const double *y, const double *tie, mango_idx *order)
{
    for (mango_idx i = 0; i < n; i++)
        order[i] = i;
    for (mango_idx i = n / 2 - 1; i >= 0; i--)
        scores_sink(n, y, tie, order, i);
    for (mango_idx m = n - 1; m > 0; m--) {
        const mango_idx last = order[0];
        order[0] = order[m];
        order[m] = last;
        scores_sink(m, y, tie, order, 0);
    }
}

static int scores_equal(const double *y, const double *tie, mango_idx a, mango_idx b)
{
    return y[a] == y[b] && (!tie || tie[a] == tie[b]);
}

MGI_FN void mgi_scores(mango_idx n, const double *y, const double *tie, mango_idx *order,
                       double *z)
{
    mgi_order(n, y, tie, order);
    for (mango_idx i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && scores_equal(y, tie, order[i], order[end]);)
            end++;
        const double rank = (double)(n - 1) - 0.5 * (double)(i + end - 1);
        const double score = mgi_normal_quantile((rank + 0.5) / (double)n);     /* (1) */
        for (mango_idx k = i; k < end; k++)
            z[order[k]] = score;
    }
}

/* bandit.c - which of several methods shall propose next.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "bandit.h"

MGI_FN void mgi_bandit_init(mgi_bandit *b, int n, double gamma, double c)
{
    assert(n >= 1 && n <= MGI_ARMS);
    memset(b, 0, sizeof *b);
    b->n = n;
    b->gamma = gamma;
    b->c = c;
}

MGI_FN int mgi_bandit_next(const mgi_bandit *b)
{
    double all = 0.0, most = 0.0;
    int next = -1;
    for (int i = 0; i < b->n; i++)
        all += b->N[i];
    for (int i = 0; i < b->n; i++) {
        if (b->N[i] <= 0.0)
            return i;
        const double wide = sqrt(mgi_log(all > 1.0 ? all : 1.0) / b->N[i]);
        const double score = b->R[i] / b->N[i] + b->c * wide;                   /* (3) */
        if (next >= 0 && score <= most)
            continue;
        most = score;
        next = i;
    }
    return next;
}

MGI_FN int mgi_bandit_enters(mgi_bandit *b, const mango_told *t)
{
    int at = b->n_best;
    if (mgi_is_nan(t->y))
        return 0;
    while (at > 0 && mgi_told_better(t, b->best + at - 1))
        at--;
    if (at == MGI_BANDIT_ELITE)
        return 0;
    if (b->n_best < MGI_BANDIT_ELITE)
        b->n_best++;
    for (int i = b->n_best - 1; i > at; i--)
        b->best[i] = b->best[i - 1];
    b->best[at] = *t;
    b->best[at].I = NULL;
    return 1;
}

MGI_FN void mgi_bandit_reward(mgi_bandit *b, int arm, double weight, double reward)
{
    for (int i = 0; i < b->n; i++) {
        b->R[i] *= b->gamma;
        b->N[i] *= b->gamma;
    }
    b->R[arm] += weight * reward;                                               /* (2) */
    b->N[arm] += weight;
    b->pulls[arm] += weight;
}

MGI_FN void mgi_bandit_explain(const mgi_bandit *b, const char *const *name, mgi_str *s)
{
    for (int i = 0; i < b->n; i++)
        mgi_str_printf(s, "  %-14s %8.1f batches, of late %.2f of a batch among the best %d\n",
                       name[i], b->pulls[i], b->N[i] > 0.0 ? b->R[i] / b->N[i] : 0.0,
                       MGI_BANDIT_ELITE);
}

/* bandit.h - which of several methods shall propose next.
 *
 * Arms are methods; a pull is a batch that one of them proposes; what counts is the best
 * value of the whole search, not the mean of an arm. So the reward of a batch is its share
 * of what reached the best E values of all so far (Fialho et al. 2010 reward operators of
 * an evolution by ranks; the bound is UCB1, Auer et al. 2002), and old rewards fade, since
 * an arm's luck changes while the search goes on:
 *
 *     r = (codes of the batch among the best E when they are told) / (codes of the batch) (1)
 *     R_i <- gamma R_i + r [i was pulled],    N_i <- gamma N_i + [i was pulled]           (2)
 *     next = argmax_i  R_i/N_i + c sqrt(ln(sum_j N_j)/N_i)                                (3)
 * SPDX-License-Identifier: MIT */
#ifndef MGI_BANDIT_H
#define MGI_BANDIT_H

#include "method.h"

enum { MGI_ARMS = 8, MGI_BANDIT_ELITE = 20 };

typedef struct mgi_bandit {
    int n;                       /* arms */
    double gamma, c;
    double R[MGI_ARMS], N[MGI_ARMS];
    double pulls[MGI_ARMS];      /* unfaded, for people */
    mango_told best[MGI_BANDIT_ELITE]; /* values and ties alone, best first */
    int n_best;
} mgi_bandit;

MGI_FN void mgi_bandit_init(mgi_bandit *b, int n, double gamma, double c);
/* (3): the arm to pull; one that was never pulled comes first, in order. */
MGI_FN int mgi_bandit_next(const mgi_bandit *b);
/* (1): does a value enter the best E? It is kept among them. */
MGI_FN int mgi_bandit_enters(mgi_bandit *b, const mango_told *t);
/* (2): `reward` of a batch, or of a part of it that weighs `weight` pulls. */
MGI_FN void mgi_bandit_reward(mgi_bandit *b, int arm, double weight, double reward);
MGI_FN void mgi_bandit_explain(const mgi_bandit *b, const char *const *name, mgi_str *s);

#endif

/* tt_cross.h - cross approximation of a tensor in the format of a tensor train: which entries
 * does a sweep look at, what are their values, which of them does it keep?
 *
 *        left set j          core j          right set j+1
 *     codes of modes     all levels of     codes of modes
 *      0 .. j-1              mode j          j+1 .. d-1
 *     (r_j of them)          (n_j)         (r_{j+1} of them)
 *
 * A core asks for the r_j n_j r_{j+1} entries that join one of each. As a matrix, (r_j n_j)
 * by r_{j+1} going to the right, its rows of most volume (maxvol.h) become left set j+1;
 * going to the left, n_j r_{j+1} by r_j, they become right set j. So a sweep there and
 * back renews all sets, and each is a choice among the codes of the set before it: a
 * row is a level and the number of a row of that set.
 * Source: Oseledets, Tyrtyshnikov, "TT-cross approximation for multidimensional arrays",
 * 2010.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TTC_H
#define MGI_TTC_H

#include "maxvol.h"
#include "method.h"
#include "seen.h"

/* A core and a direction, and the entries of it that were handed out. */
typedef struct mgi_ttc_at {
    mango_idx core, next;
    int right;
} mgi_ttc_at;

typedef struct mgi_ttc {
    mgi_arena arena;
    mgi_seen seen;
    const mango_opt *o;
    void (*learn)(mango_opt *o); /* the entries of now.core were all asked */
    mango_idx d, *n;             /* modes as cores have them */
    mango_idx *coarse;           /* (o->d) levels of a mode that are looked at */
    int quantized;
    mango_idx r, most, grow;     /* ranks: first, largest; rows a set may gain a time */
    mango_idx batch;             /* codes of one ask */
    mango_idx *rl, *rr;          /* (d+1) rows of left set j, of right set j           */
    int32_t *Ll, *Lp;            /* (d+1, most) left set j: level of mode j-1, row of j-1 */
    int32_t *Rl, *Rp;            /* (d+1, most) right set j: level of mode j, row of j+1  */
    mgi_ttc_at now;
    uint64_t round;              /* how often the sets were drawn at random */
    int renew;                   /* set by learn: draw the sets anew */
    mango_idx size;              /* entries of the largest core */
    double *Z;                   /* (size) values of now.core, entry a + r_j (i + n_j b) */
    double *A, *Q, *v;           /* scratch of choose                               */
    double *B;                   /* (its rows, most) coefficients of maxvol         */
    mango_idx *rows;             /* (most) rows that it took */
    unsigned char *used;
    mango_idx *Iq, *Ic;          /* (d), (o->d) a code on its way */
    mango_idx told;              /* finite values so far */
    double best, worst;          /* of them */
    double round_best;           /* the best told since the sets were drawn; NaN: none */
    mango_idx *best_I;           /* (o->d) its code */
    mgi_ttc_at last;           /* where the last ask began */
    mango_idx straight;          /* so many of the last ask are of that core */
} mgi_ttc;

/* The options of all methods by cross approximation, for their tables. */
#define MGI_TTC_OPTIONS(r)                                                                  \
    {"k", "codes of one ask at most", MANGO_OPT_INT, 1, 1 << 20, 100, 0, NULL, NULL},         \
    {"r", "rank it begins with: rows of an index set", MANGO_OPT_INT, 1, 32, r, 0, NULL, NULL}

/* mgi_ttc_init - modes, memory, the options k and r. most: the largest rank. Of a mode
 * of too many levels so many are looked at, evenly spaced, that a core has at most 2^16
 * entries and, where the method keeps them (kept), all cores 2^24; if that is not enough
 * ranks are lower. */
MGI_FN mango_status mgi_ttc_init(mgi_ttc *c, mango_opt *o, mango_idx most, int quantized,
                                   int kept, mango_err *err);
MGI_FN void mgi_ttc_free(mgi_ttc *c);
/* mgi_ttc_restart - no values, new random sets, at the last core going left. */
MGI_FN void mgi_ttc_restart(mgi_ttc *c, uint64_t round);

/* mgi_ttc_advance - learn from the cores whose entries were all asked; ask begins with it.
 * mgi_ttc_ask - as mgi_method.ask: entries of this core not yet seen; where more are
 * wanted those of the cores that come next, by today's sets; at the end random codes. */
MGI_FN void mgi_ttc_advance(mgi_ttc *c);
MGI_FN void mgi_ttc_ask(mgi_ttc *c, mango_idx cap, mango_idx *K, mango_idx *I);
MGI_FN void mgi_ttc_tell(mgi_ttc *c, const mgi_tells *t);

/* For learn: entries of this core; their values into Z, NaN for those missing, and how
 * many there are; the rows of Z's matrix become a set. B holds coefficients then. */
MGI_FN mango_idx mgi_ttc_size(const mgi_ttc *c);
MGI_FN mango_idx mgi_ttc_gather(mgi_ttc *c);
MGI_FN void mgi_ttc_choose(mgi_ttc *c);

/* At the end of a sweep: the best code told since the sets were drawn becomes the last row
 * of each set that the way back will look at. */
MGI_FN void mgi_ttc_plant(mgi_ttc *c);

/* The code of entry q of a core, as cores have it, into c->Iq; from that the code. */
MGI_FN void mgi_ttc_entry(mgi_ttc *c, mango_idx core, mango_idx q);
MGI_FN void mgi_ttc_code(mgi_ttc *c, mango_idx *I);

MGI_FN void mgi_ttc_explain(const mgi_ttc *c, mgi_str *s);
MGI_FN void mgi_ttc_why(const mgi_ttc *c, mango_idx k, mgi_str *s);

#endif

/* texture.h - numbers that describe a code on a grid: what its patches look like, wherever
 * they are, and, weighed less, what stands where. For surrogates (gp.h).
 *
 *   e(i)       level i as q numbers: the leading principal axes of the facts' embedding;
 *              of levels that are only names, random ones                              (1)
 *   s_a(p)     = b_a + sum_o w_ao . e(x_{p+o})   over the cells o of a patch at p       (2)
 *   texture_a  = mean over p of wave(s_a(p)),  wave(t) ~ sin(2 pi t)                    (3)
 *   layout     = the same for patches of 2 x 2 in each of four quarters of the grid     (4)
 *   cells      = two numbers of e(x_p), averaged in at most 8 x 8 fields                (5)
 *   behind     = sum_j +-1 by mode and level, or +- the level where levels are ordered,
 *                over the modes behind the grid; over all where there is no grid        (6)
 *
 * With w normal, (3) gives the products of the convolutional kernel
 *   texture(x) . texture(x') ~ mean over p, p' of exp(-|patch_p - patch'_p'|^2 / 2 l^2),
 * which sees a texture wherever it is: a unit that is averaged over space does, too.
 * (2) is a sum of rows of a table made once, in 2^-16 turns: whole turns fall off by
 * themselves, and the same whole numbers come out on every machine, eight at a time.
 * Source: van der Wilk, Rasmussen, Hensman, "Convolutional Gaussian processes", 2017;
 * (3) Rahimi, Recht, "Random features for large-scale kernel machines", 2007;
 * (6) Achlioptas, "Database-friendly random projections", 2003.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TEXTURE_H
#define MGI_TEXTURE_H

#include "method.h"

enum {
    MGI_TEXTURE_Q = 4,     /* q of (1), at most             */
    MGI_TEXTURE_A = 128,   /* numbers of (3)                */
    MGI_TEXTURE_B = 32,    /* of (4), for each quarter      */
    MGI_TEXTURE_FIELDS = 8,/* of (5) on a side              */
    MGI_TEXTURE_C = 2,     /* numbers of (5) for each field */
    MGI_TEXTURE_FEW = 32,  /* of (6) behind a grid          */
    MGI_TEXTURE_MANY = 128,/* of (6) without a grid         */
    MGI_TEXTURE_PARTS = 4  /* (3), (4), (5), (6)            */
};

/* Patches of h x w cells and the table of (2). */
typedef struct mgi_waves {
    mango_idx h, w, n, levels;
    uint16_t *row; /* (h w, levels, n): w_ao . e(i), b in the first cell's; 2^-16 turns */
} mgi_waves;

typedef struct mgi_texture {
    mango_idx dim;                       /* numbers of a code: all parts together      */
    mango_idx part[MGI_TEXTURE_PARTS];   /* numbers of each part                       */
    float weight[MGI_TEXTURE_PARTS];     /* its numbers are multiplied by              */
    double size[MGI_TEXTURE_PARTS];      /* standard deviation of a part as a whole    */
    mango_idx d, H, W, q, fields_h, fields_w, each, levels; /* each: numbers of a field */
    const mango_idx *n;
    int ordered;
    float *e;                            /* (levels, q)                                */
    mgi_waves wide, small;               /* of (3), (4)                                */
    float *mean;                         /* (dim) of unweighted numbers                */
} mgi_texture;

/* mgi_texture_init - for the space of o; dim 0: there is nothing cheap to say of codes of
 * so many modes. MANGO_OK or MANGO_E_MEM; free is legal after both. */
MGI_FN mango_status mgi_texture_init(mgi_texture *t, const mango_opt *o);
MGI_FN void mgi_texture_free(mgi_texture *t, const mango_alloc *al);

/* mgi_texture_weigh - the share of each part, in standard deviations: share (4). */
MGI_FN void mgi_texture_weigh(mgi_texture *t, const double *share);
/* mgi_texture_of - x (dim) of one code (d).
 * mgi_texture_raw, mgi_texture_weighted - the same in two steps: the numbers that no share
 * changes, and those times the shares in force; raw and x may be one. */
MGI_FN void mgi_texture_of(const mgi_texture *t, const mango_idx *I, float *x);
MGI_FN void mgi_texture_raw(const mgi_texture *t, const mango_idx *I, float *raw);
MGI_FN void mgi_texture_weighted(const mgi_texture *t, const float *raw, float *x);

#endif

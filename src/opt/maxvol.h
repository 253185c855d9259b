/* maxvol.h - rows of a tall matrix that span it best, and the QR it starts from.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_MAXVOL_H
#define MGI_MAXVOL_H

#include "../base/mgi.h"

/* mgi_qr - orthonormal columns Q (n,r) with the span of A (n,r), n >= r, by Householder
 * reflections, also where A has less than full rank. A is destroyed; row-major, all. */
MGI_FN void mgi_qr(mango_idx n, mango_idx r, double *A, double *Q);

/* mgi_maxvol - r rows of A (n,r), n >= r, of full rank, of nearly the most volume.
 *   A     in,out  becomes B = A A[I]^-1; `wide` (>= r) is the distance of its rows
 *   tau   in      ends when no |B_ij| exceeds it, > 1, or after `swaps`
 *   I     out     (r) the rows
 *   used  out     (n) 1 for a row in I, else 0
 * mgi_maxvol_force - row i becomes one of them, where that costs the least volume; not if
 * it is zero.
 * mgi_maxvol_grow - after these: up to `more` further rows, each while its |B_i|^2 > 1.
 * I has room for r + more of them and B, `wide` >= r + more, gets a column for each, so
 * that A = B A[I] still. Returns how many rows there are then. v: scratch (n). */
MGI_FN void mgi_maxvol(mango_idx n, mango_idx r, mango_idx wide, double *A, double tau,
                       int swaps, mango_idx *I, unsigned char *used);
MGI_FN void mgi_maxvol_force(mango_idx n, mango_idx r, mango_idx wide, double *B, mango_idx i,
                             mango_idx *I, unsigned char *used);
MGI_FN mango_idx mgi_maxvol_grow(mango_idx n, mango_idx r, mango_idx wide, double *B,
                                 mango_idx more, mango_idx *I, unsigned char *used, double *v);

#endif

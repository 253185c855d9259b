/* maxvol.c - the maximum volume principle: which rows stand for all the others?
 *
 * Of all choices I of r rows of A (n,r) that of the largest |det A[I]| has
 *     B = A A[I]^-1,   |B_ij| <= 1 for all i, j                                       (1)
 * so that no row is more than a moderate combination of the chosen ones. To find it,
 * start from the pivots of Gaussian elimination. While some |B_ij| > tau, row i takes
 * place j, which multiplies the volume by |B_ij|:
 *     B = B - B_:j (B_i: - e_j) / B_ij                                                (2)
 * More than r rows: the one with the largest F_i = |B_i:|^2 raises det(A[I]^T A[I]) by
 * the factor 1 + F_i. It becomes a row of I, and B gets a column:
 *     v = B B_i:^T,  l = 1 / (1 + v_i),  B = [B - l v B_i:, l v]                      (3)
 * Source: Goreinov, Oseledets, Savostyanov, Tyrtyshnikov, Zamarashkin, "How to find a good
 * submatrix", 2010; Mikhalev, Oseledets, "Rectangular maximum-volume submatrices and their
 * applications", 2018.
 * SPDX-License-Identifier: MIT */
#include "maxvol.h"

/* ---- QR ------------------------------------------------------------------------ */

/* Column k of A below row k becomes the reflection v; returns 2/|v|^2, 0: none needed. */
static double maxvol_reflection(mango_idx n, mango_idx r, mango_idx k, double *A)
{
    double s = 0.0;
    for (mango_idx i = k; i < n; i++)
        s += A[i * r + k] * A[i * r + k];
    if (!(s > 0.0))
        return 0.0;
    const double x = A[k * r + k], norm = sqrt(s);
    A[k * r + k] = x + (x < 0.0 ? -norm : norm);
    return 1.0 / (s + fabs(x) * norm); /* |v|^2 = 2 (s + |x| norm) */
}

/* Columns from .. r-1 of M = M - v (b v^T M), v in column k of A, rows k .. n-1. */
static void maxvol_reflect(mango_idx n, mango_idx r, mango_idx k, double b, const double *A,
                           mango_idx from, double *M)
{
    for (mango_idx c = from; c < r; c++) {
        double s = 0.0;
        for (mango_idx i = k; i < n; i++)
            s += A[i * r + k] * M[i * r + c];
        s *= b;
        for (mango_idx i = k; i < n; i++)
            M[i * r + c] -= s * A[i * r + k];
    }
}

MGI_FN void mgi_qr(mango_idx n, mango_idx r, double *A, double *Q)
{
    for (mango_idx k = 0; k < r; k++) {
        const double b = maxvol_reflection(n, r, k, A);
        maxvol_reflect(n, r, k, b, A, k + 1, A);
    }
    for (mango_idx i = 0; i < n; i++)
        for (mango_idx c = 0; c < r; c++)
            Q[i * r + c] = i == c ? 1.0 : 0.0;
    for (mango_idx k = r - 1; k >= 0; k--) { /* b again: |v|^2 is what it was made from */
        double s = 0.0;
        for (mango_idx i = k; i < n; i++)
            s += A[i * r + k] * A[i * r + k];
        maxvol_reflect(n, r, k, s > 0.0 ? 2.0 / s : 0.0, A, k, Q);
    }
}

/* ---- square -------------------------------------------------------------------- */

/* The columns of A combined so that row i becomes the unit vector e_k. */
static void maxvol_eliminate(mango_idx n, mango_idx r, mango_idx wide, double *A, mango_idx i,
                             mango_idx k)
{
    double *pivot = A + i * wide;
    for (mango_idx l = 0; l < n; l++) {
        double *row = A + l * wide;
        if (l == i)
            continue;
        row[k] /= pivot[k];
        for (mango_idx c = 0; c < r; c++)
            if (c != k)
                row[c] -= pivot[c] * row[k];
    }
    for (mango_idx c = 0; c < r; c++)
        pivot[c] = c == k ? 1.0 : 0.0;
}

/* (2): row i takes place j. */
static void maxvol_swap(mango_idx n, mango_idx r, mango_idx wide, double *B, mango_idx i,
                        mango_idx j, mango_idx *I, unsigned char *used)
{
    double *bi = B + i * wide;
    const double pivot = bi[j];
    bi[j] -= 1.0;
    for (mango_idx l = 0; l < n; l++) {
        double *row = B + l * wide;
        const double s = row[j] / pivot;
        if (l == i)
            continue;
        for (mango_idx c = 0; c < r; c++)
            row[c] -= s * bi[c];
    }
    for (mango_idx c = 0; c < r; c++)
        bi[c] = c == j ? 1.0 : 0.0;
    used[I[j]] = 0;
    used[i] = 1;
    I[j] = i;
}

MGI_FN void mgi_maxvol(mango_idx n, mango_idx r, mango_idx wide, double *A, double tau,
                       int swaps, mango_idx *I, unsigned char *used)
{
    memset(used, 0, (size_t)n);
    for (mango_idx k = 0; k < r; k++) {
        mango_idx at = -1;
        for (mango_idx i = 0; i < n; i++)
            if (!used[i] && (at < 0 || fabs(A[i * wide + k]) > fabs(A[at * wide + k])))
                at = i;
        maxvol_eliminate(n, r, wide, A, at, k);
        I[k] = at;
        used[at] = 1;
    }
    for (; swaps > 0; swaps--) {
        mango_idx i = 0, j = 0;
        for (mango_idx l = 0; l < n; l++)
            for (mango_idx c = 0; c < r; c++)
                if (fabs(A[l * wide + c]) > fabs(A[i * wide + j])) {
                    i = l;
                    j = c;
                }
        if (!(fabs(A[i * wide + j]) > tau))
            return;
        maxvol_swap(n, r, wide, A, i, j, I, used);                                  /* (2) */
    }
}

MGI_FN void mgi_maxvol_force(mango_idx n, mango_idx r, mango_idx wide, double *B, mango_idx i,
                             mango_idx *I, unsigned char *used)
{
    mango_idx j = 0;
    for (mango_idx c = 1; c < r; c++)
        if (fabs(B[i * wide + c]) > fabs(B[i * wide + j]))
            j = c;
    if (fabs(B[i * wide + j]) > 1e-9)
        maxvol_swap(n, r, wide, B, i, j, I, used);
}

/* ---- rectangular --------------------------------------------------------------- */

static double maxvol_dot(mango_idx r, const double *a, const double *b)
{
    double s = 0.0;
    for (mango_idx c = 0; c < r; c++)
        s += a[c] * b[c];
    return s;
}

/* (3) for row i, which becomes number r of the chosen ones. */
static void maxvol_append(mango_idx n, mango_idx r, mango_idx wide, double *B, mango_idx i,
                          double *v)
{
    const double *bi = B + i * wide;
    for (mango_idx l = 0; l < n; l++)
        v[l] = maxvol_dot(r, B + l * wide, bi);
    const double f = 1.0 / (1.0 + v[i]);
    for (mango_idx l = 0; l < n; l++) {
        double *row = B + l * wide;
        if (l == i)
            continue;
        for (mango_idx c = 0; c < r; c++)
            row[c] -= f * v[l] * bi[c];
        row[r] = f * v[l];
    }
    B[i * wide + r] = 1.0;
}

MGI_FN mango_idx mgi_maxvol_grow(mango_idx n, mango_idx r, mango_idx wide, double *B,
                                 mango_idx more, mango_idx *I, unsigned char *used, double *v)
{
    for (; more > 0; more--) {
        mango_idx at = -1;
        double F = 0.0;
        for (mango_idx i = 0; i < n; i++) {
            const double f = used[i] ? 0.0 : maxvol_dot(r, B + i * wide, B + i * wide);
            if (f > F) {
                F = f;
                at = i;
            }
        }
        if (at < 0 || F <= 1.0)
            break;
        maxvol_append(n, r, wide, B, at, v);                                        /* (3) */
        used[at] = 1;
        I[r++] = at;
    }
    for (mango_idx k = 0; k < r; k++) /* exact for the rows themselves */
        for (mango_idx c = 0; c < r; c++)
            B[I[k] * wide + c] = c == k ? 1.0 : 0.0;
    return r;
}

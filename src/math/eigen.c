/* eigen.c - Householder reduction to a tridiagonal T, then implicit QL steps.
 *
 *   H = 1 - beta v v^T,  A' = H A H = A - v w^T - w v^T,
 *       p = beta A v,  w = p - (beta/2)(p.v) v                                (1)
 *   QL: T - mu = Q L,  T' = L Q + mu = Q^T T Q, by rotations chased upwards;
 *       mu the eigenvalue of the top 2x2 block closer to its first entry      (2)
 *
 * Bowdler, Martin, Reinsch, Wilkinson, Numer. Math. 11 (1968); Golub and Van
 * Loan, Matrix Computations, section 8.3 (there for QR).
 * SPDX-License-Identifier: MIT */
#include "eigen.h"
#include <float.h>
#include <math.h>

#define EIGEN_SWEEPS 60      /* per eigenvalue; two is usual        */
#define EIGEN_NOTHING 1e-280 /* squares, of a matrix scaled to 1 */
#define EIGEN_COLS 64        /* columns of V that one thread turns  */

double mgi_dot64(mango_idx n, const double *x, const double *y)
{
    double s[4] = {0.0, 0.0, 0.0, 0.0};
    const mango_idx fours = n - n % 4;
    for (mango_idx i = 0; i < fours; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += x[i + k] * y[i + k];
    for (mango_idx i = fours; i < n; i++)
        s[0] += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Scale A by a power of two so that its largest entry lies in [1/2,1);
 * *power undoes it. 0 when A is not finite. */
static int eigen_scale(mango_idx n, double *A, int *power)
{
    double top = 0.0;
    *power = 0;
    for (mango_idx i = 0; i < n * n; i++) {
        const double a = fabs(A[i]);
        if (!(a <= DBL_MAX))
            return 0;
        top = a > top ? a : top;
    }
    if (top > 0.0)
        frexp(top, power);
    for (mango_idx i = 0; *power != 0 && i < n * n; i++)
        A[i] = ldexp(A[i], -*power);
    return 1;
}

/* Row k of A becomes v of the reflection that leaves only its last entry
 * left of the diagonal, e. Returns beta; 0 when there is nothing to do. */
static double eigen_reflector(mango_idx k, double *v, double *e)
{
    const double rest = mgi_dot64(k - 1, v, v), last = v[k - 1];
    *e = last;
    if (rest < EIGEN_NOTHING)
        return 0.0;
    *e = sqrt(rest + last * last);
    *e = last > 0.0 ? -*e : *e;
    v[k - 1] = last - *e;
    return 2.0 / (rest + v[k - 1] * v[k - 1]);
}

/* A -> T: diagonal d (n), off-diagonal e (n), e[i] between i and i+1. The v
 * stay in the rows of A, their beta in b (n). p (n) is scratch. */
static void eigen_reduce(mango_idx n, double *A, double *d, double *e, double *b, double *p)
{
    for (mango_idx k = n - 1; k >= 2; k--) {
        double *v = A + k * n;
        d[k] = v[k];
        b[k] = eigen_reflector(k, v, &e[k - 1]);
        if (b[k] == 0.0)
            continue;
        MGI_OMP(parallel for if (k * k >= MGI_GRAIN))
        for (mango_idx i = 0; i < k; i++)
            p[i] = b[k] * mgi_dot64(k, A + i * n, v);
        const double half = 0.5 * b[k] * mgi_dot64(k, p, v);
        for (mango_idx i = 0; i < k; i++)
            p[i] -= half * v[i];
        MGI_OMP(parallel for if (k * k >= MGI_GRAIN))
        for (mango_idx i = 0; i < k; i++)
            for (mango_idx j = 0; j < k; j++)
                A[i * n + j] -= v[i] * p[j] + p[i] * v[j]; /* (1) */
    }
    e[n - 1] = 0.0;
    d[0] = A[0];
    if (n > 1) {
        d[1] = A[n + 1];
        e[0] = A[n];
    }
}

/* V = H_2 H_3 ... H_{n-1}, so that A = V^T T V. Row i meets H_k for k > i. */
static void eigen_basis(mango_idx n, const double *A, const double *b, double *V)
{
    MGI_OMP(parallel for schedule(dynamic, 4) if (n * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        double *r = V + i * n;
        for (mango_idx j = 0; j < n; j++)
            r[j] = i == j ? 1.0 : 0.0;
        for (mango_idx k = MGI_MAX(2, i + 1); k < n; k++) {
            const double *v = A + k * n, s = b[k] == 0.0 ? 0.0 : b[k] * mgi_dot64(k, r, v);
            for (mango_idx j = 0; s != 0.0 && j < k; j++)
                r[j] -= s * v[j];
        }
    }
}

/* One QL step on the rows l..m of T; rotation k turns rows k and k+1 by
 * (c[k], s[k]). */
static void eigen_step(mango_idx l, mango_idx m, double *d, double *e, double *c, double *s)
{
    const double delta = 0.5 * (d[l + 1] - d[l]), root = sqrt(delta * delta + e[l] * e[l]);
    const double mu =
        d[l] - e[l] * (e[l] / (delta < 0.0 ? delta - root : delta + root)); /* (2) */
    double x = d[m] - mu, z = e[m - 1]; /* the pair that the rotation turns into (r, 0) */
    for (mango_idx k = m - 1; k >= l; k--) {
        const double r = sqrt(x * x + z * z);
        c[k] = r > 0.0 ? x / r : 1.0;
        s[k] = r > 0.0 ? z / r : 0.0;
        if (k < m - 1)
            e[k + 1] = r;
        const double q = s[k] * (d[k] - d[k + 1]) + 2.0 * c[k] * e[k];
        d[k + 1] += s[k] * q;
        d[k] -= s[k] * q;
        e[k] = x = c[k] * q - e[k];
        if (k > l) {
            z = s[k] * e[k - 1];
            e[k - 1] *= c[k];
        }
    }
}

/* Rows l..m of V follow T; columns are independent of each other. */
static void eigen_turn(mango_idx n, mango_idx l, mango_idx m, const double *c,
                       const double *s, double *V)
{
    MGI_OMP(parallel for if ((m - l) * n >= MGI_GRAIN))
    for (mango_idx at = 0; at < n; at += EIGEN_COLS) {
        const mango_idx end = MGI_MIN(n, at + EIGEN_COLS);
        for (mango_idx k = m - 1; k >= l; k--) {
            double *lo = V + k * n, *hi = lo + n;
            for (mango_idx j = at; j < end; j++) {
                const double a = lo[j], b = hi[j];
                hi[j] = c[k] * b + s[k] * a;
                lo[j] = c[k] * a - s[k] * b;
            }
        }
    }
}

static mango_status eigen_diagonalize(mango_idx n, double *d, double *e, double *c,
                                      double *s, double *V)
{
    for (mango_idx l = 0; l < n; l++)
        for (int sweep = 0;; sweep++) {
            mango_idx m = l;
            while (m < n - 1 &&
                   fabs(e[m]) > 0.5 * DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])) &&
                   e[m] * e[m] > EIGEN_NOTHING)
                m++;
            if (m == l)
                break;
            if (sweep == EIGEN_SWEEPS)
                return MANGO_E_NONFINITE; /* not seen on finite input */
            eigen_step(l, m, d, e, c, s);
            if (V)
                eigen_turn(n, l, m, c, s, V);
        }
    return MANGO_OK;
}

/* Ascending, the rows of V along; of equal values the first stays first. */
static void eigen_sort(mango_idx n, double *w, double *V)
{
    for (mango_idx i = 0; i < n; i++) {
        mango_idx at = i;
        for (mango_idx j = i + 1; j < n; j++)
            at = w[j] < w[at] ? j : at;
        if (at == i)
            continue;
        const double least = w[at];
        w[at] = w[i];
        w[i] = least;
        for (mango_idx j = 0; V && j < n; j++) {
            const double a = V[i * n + j];
            V[i * n + j] = V[at * n + j];
            V[at * n + j] = a;
        }
    }
}

mango_status mgi_eigen(mango_idx n, double *A, double *w, double *V, double *work)
{
    double *e = work, *b = work + n, *c = work + 2 * n, *s = work + 3 * n;
    int power;
    MGI_REQUIRE(n >= 1 && A && w && work);
    if (!eigen_scale(n, A, &power))
        return MANGO_E_NONFINITE;
    eigen_reduce(n, A, w, e, b, c);
    if (V)
        eigen_basis(n, A, b, V);
    MGI_TRY(eigen_diagonalize(n, w, e, c, s, V));
    eigen_sort(n, w, V);
    for (mango_idx i = 0; i < n; i++)
        w[i] = ldexp(w[i], power);
    return MANGO_OK;
}

#undef EIGEN_SWEEPS
#undef EIGEN_NOTHING
#undef EIGEN_COLS

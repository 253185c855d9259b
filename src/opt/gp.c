/* gp.c - Gaussian-process regression, see gp.h for the equations.
 *
 * All that costs runs in the tiles of the SGEMM (kernels.h), on panels of nr columns,
 * nr the width of a tile: a panel (rows, nr) is the packed operand that a tile reads.
 * One routine, gp_solve, serves prediction and factorization: L^-1 of a panel, block of
 * MGI_GP_BLOCK rows after block,
 *   V_b = D_b (-B_b + sum_{a<b} L_ba V_a),    D_b = -1/L_bb                            (7)
 * where the right side B is stored negated so that tiles only add. New rows of L are
 * L^-1 k of the new points (7), and a block on the diagonal of L is the root of
 *   S = K_bb - V^T V,                                                                  (8)
 * done in double. Every number is one chain in ascending order: rows that are added to
 * L are the bits that they are in an L made whole.
 * SPDX-License-Identifier: MIT */
#include "gp.h"
#include "../base/real.h"

#define GP_B MGI_GP_BLOCK
#define GP_LEAST 1e-6 /* of a pivot, in parts of its diagonal element */

/* The kernel (1) with its factors multiplied out. */
typedef struct gp_kernel {
    float lin, rbf, h; /* lin/u, rbf, 1/(2 length^2 u) */
} gp_kernel;

static gp_kernel gp_kernel_of(const mgi_gp *g)
{
    const mgi_gp_rule *r = &g->rule;
    const gp_kernel k = {(float)(r->lin / g->u), (float)r->rbf,
                         (float)(0.5 / (r->length * r->length * g->u))};
    return k;
}

/* ---- life ----------------------------------------------------------------- */

/* The pieces of the arena, planned (take = 0) and then taken. */
static void *gp_piece(mgi_gp *g, int take, mango_idx a, mango_idx b, size_t size)
{
    mango_idx count;
    if (!mgi_mul(a, b, &count))
        count = PTRDIFF_MAX;
    if (take)
        return mgi_arena_take(&g->arena, count, size);
    mgi_arena_plan(&g->arena, count, size);
    return NULL;
}

static void gp_pieces(mgi_gp *g, int take)
{
    const mango_idx cap = g->cap, nr = g->k->nr, rows = mgi_round_up(cap, GP_B);
    g->X = gp_piece(g, take, cap, g->dim, sizeof *g->X);
    g->G = gp_piece(g, take, cap, cap, sizeof *g->G);
    g->L = gp_piece(g, take, cap, cap, sizeof *g->L);
    g->D = gp_piece(g, take, rows, GP_B, sizeof *g->D);
    g->W = gp_piece(g, take, rows, nr, sizeof *g->W);
    g->P = gp_piece(g, take, g->dim, nr, sizeof *g->P);
    g->T = gp_piece(g, take, GP_B, nr, sizeof *g->T);
    g->y = gp_piece(g, take, cap, 1, sizeof *g->y);
    g->noise = gp_piece(g, take, cap, 1, sizeof *g->noise);
    g->v = gp_piece(g, take, cap, 1, sizeof *g->v);
    g->alpha = gp_piece(g, take, cap, 1, sizeof *g->alpha);
}

MGI_FN mango_status mgi_gp_init(mgi_gp *g, mango_idx dim, mango_idx cap,
                                const mango_alloc *al)
{
    static const mgi_gp_rule first = {1.0, 1.0, 1.0, 0.1};
    memset(g, 0, sizeof *g);
    mgi_arena_init(&g->arena, al);
    g->k = mgi_kernels_get();
    g->dim = dim;
    g->cap = cap;
    g->rule = first;
    g->u = g->s = 1.0;
    gp_pieces(g, 0);
    MGI_TRY(mgi_arena_commit(&g->arena));
    gp_pieces(g, 1);
    return MANGO_OK;
}

MGI_FN void mgi_gp_free(mgi_gp *g)
{
    mgi_arena_free(&g->arena);
}

/* ---- panels --------------------------------------------------------------- */

/* C (m, nr) = A (m, K) B (K, nr), or C += when load. */
static void gp_tiles(const mgi_kernels *k, mango_idx m, mango_idx K, const float *A,
                     mango_idx lda, const float *B, float *C, int load)
{
    const mgi_tap run = {0, 0, K};
    const float *row[32];
    for (mango_idx i = 0; i < m; i += k->mr) {
        const mango_idx rows = MGI_MIN(k->mr, m - i);
        for (mango_idx r = 0; r < rows; r++)
            row[r] = A + (i + r) * lda;
        k->tile(rows, k->nr, row, 1, &run, B, C + i * k->nr, k->nr, load);
    }
}

/* P (dim, nr) = `lanes` points x as columns, zeros beyond. */
static void gp_pack(mgi_gp *g, mango_idx lanes, const float *x)
{
    const mango_idx nr = g->k->nr, dim = g->dim;
    for (mango_idx j = 0; j < dim; j++)
        for (mango_idx c = 0; c < nr; c++)
            g->P[j * nr + c] = c < lanes ? x[c * dim + j] : 0.0f;
}

/* exp(x) for x <= 0: x = k ln2 + r, the series of degree 7 on |r| <= ln2/2; plain float
 * operations, so that the loop around it becomes vector code. */
static inline float gp_exp(float x)
{
    const float t = x > -87.0f ? x : -87.0f;
    const float k = (t * 1.44269504f + 12582912.0f) - 12582912.0f; /* nearest whole number */
    const float r = (t - k * 0.693359375f) - k * -2.12194440e-4f;
    float q = 1.0f / 5040.0f;
    q = q * r + 1.0f / 720.0f;
    q = q * r + 1.0f / 120.0f;
    q = q * r + 1.0f / 24.0f;
    q = q * r + 1.0f / 6.0f;
    q = q * r + 0.5f;
    const float e = 1.0f + (r + q * r * r);
    const uint32_t bits = (uint32_t)((int32_t)k + 127) << 23;
    float p;
    memcpy(&p, &bits, sizeof p);
    return e * p;
}

/* w (nr) of one point, the x_i.x' with nr others, becomes -k: (1). xx = |x_i|^2, q (nr)
 * those of the others. */
static void gp_kernel_row(gp_kernel k, mango_idx nr, float xx, const float *restrict q,
                          float *restrict w)
{
    if (k.rbf == 0.0f) {
        for (mango_idx c = 0; c < nr; c++)
            w[c] = -(k.lin * w[c]);
        return;
    }
    for (mango_idx c = 0; c < nr; c++) {
        const float far = (xx + q[c]) - 2.0f * w[c];
        const float e = gp_exp(-k.h * (far > 0.0f ? far : 0.0f));
        w[c] = -(k.lin * w[c] + k.rbf * e);
    }
}

/* ---- factorization -------------------------------------------------------- */

/* (7) for n rows of the panel W, which holds -B and becomes V. */
static void gp_solve(mgi_gp *g, mango_idx n)
{
    const mango_idx nr = g->k->nr;
    for (mango_idx b = 0; b < n; b += GP_B) {
        const mango_idx rows = MGI_MIN(GP_B, n - b);
        float *W = g->W + b * nr;
        if (b > 0)
            gp_tiles(g->k, rows, b, g->L + b * g->cap, g->cap, g->W, W, 1);
        memcpy(g->T, W, (size_t)(rows * nr) * sizeof *W);
        gp_tiles(g->k, rows, rows, g->D + b * GP_B, GP_B, g->T, W, 0);
    }
}

/* Rows 0..n-1 of the panel W = -k of the points c0.. of the set. */
static void gp_columns(mgi_gp *g, mango_idx n, mango_idx c0, mango_idx lanes)
{
    const mango_idx nr = g->k->nr, cap = g->cap;
    const gp_kernel k = gp_kernel_of(g);
    float q[64] = {0.0f};
    for (mango_idx c = 0; c < lanes; c++)
        q[c] = g->G[(c0 + c) * (cap + 1)];
    for (mango_idx i = 0; i < n; i++) {
        float *w = g->W + i * nr;
        for (mango_idx c = 0; c < nr; c++)
            w[c] = c < lanes ? g->G[i * cap + c0 + c] : 0.0f;
        gp_kernel_row(k, nr, g->G[i * (cap + 1)], q, w);
    }
}

/* S = A A^T in place, A lower, for n <= BLOCK rows; a pivot that rounding took is held.
 * Column k of A is taken from the rest as soon as it is known, so that the loop that costs
 * runs along rows; each element is one chain of differences, k ascending. */
static void gp_root(mango_idx n, double *restrict S)
{
    double least[GP_B], a[GP_B];
    for (mango_idx i = 0; i < n; i++)
        least[i] = GP_LEAST * MGI_MAX(S[i * (GP_B + 1)], GP_LEAST);
    for (mango_idx k = 0; k < n; k++) {
        const double s = S[k * (GP_B + 1)];
        const double root = S[k * (GP_B + 1)] = sqrt(s > least[k] ? s : least[k]);
        for (mango_idx i = k + 1; i < n; i++)
            a[i] = S[i * GP_B + k] /= root;
        for (mango_idx i = k + 1; i < n; i++)
            for (mango_idx j = k + 1; j <= i; j++)
                S[i * GP_B + j] -= a[i] * a[j];
    }
}

/* -1/A of a lower A (n,n) into D, zeros above its diagonal: row i of X = -1/A solves
 * sum_k A_ik X_k = -e_i, for all columns at once. */
static void gp_inverse(mango_idx n, const double *restrict A, float *restrict D)
{
    double X[GP_B * GP_B], s[GP_B];
    for (mango_idx i = 0; i < n; i++) {
        for (mango_idx j = 0; j < n; j++)
            s[j] = i == j ? -1.0 : 0.0;
        for (mango_idx k = 0; k < i; k++)
            for (mango_idx j = 0; j <= k; j++)
                s[j] -= A[i * GP_B + k] * X[k * GP_B + j];
        for (mango_idx j = 0; j < n; j++) {
            X[i * GP_B + j] = j > i ? 0.0 : s[j] / A[i * (GP_B + 1)];
            D[i * GP_B + j] = (float)X[i * GP_B + j];
        }
    }
}

/* Block b of rows of L left of the diagonal, by (7), and S of (8), lower triangle. */
static void gp_block_left(mgi_gp *g, mango_idx b, mango_idx rows, double *S)
{
    const mango_idx nr = g->k->nr, cap = g->cap;
    for (mango_idx c0 = b; c0 < b + rows; c0 += nr) {
        const mango_idx lanes = MGI_MIN(nr, b + rows - c0), below = c0 - b + lanes;
        gp_columns(g, b + below, c0, lanes);
        gp_solve(g, b);
        for (mango_idx c = 0; c < lanes; c++)
            for (mango_idx i = 0; i < b; i++)
                g->L[(c0 + c) * cap + i] = g->W[i * nr + c];
        float *W = g->W + b * nr;
        if (b > 0)
            gp_tiles(g->k, below, b, g->L + b * cap, cap, g->W, W, 1);          /* (8) */
        for (mango_idx c = 0; c < lanes; c++)
            for (mango_idx i = 0; i <= c0 - b + c; i++)
                S[(c0 - b + c) * GP_B + i] = -(double)W[i * nr + c];
    }
    for (mango_idx i = 0; i < rows; i++)
        S[i * (GP_B + 1)] += g->rule.noise + g->noise[b + i];
}

/* L of all points, from the first block on that is not yet made. */
static void gp_factor(mgi_gp *g)
{
    double S[GP_B * GP_B];
    for (mango_idx b = g->factored / GP_B * GP_B; b < g->n; b += GP_B) {
        const mango_idx rows = MGI_MIN(GP_B, g->n - b);
        gp_block_left(g, b, rows, S);
        gp_root(rows, S);
        gp_inverse(rows, S, g->D + b * GP_B);
        for (mango_idx i = 0; i < rows; i++)
            for (mango_idx j = 0; j <= i; j++)
                g->L[(b + i) * g->cap + b + j] = (float)S[i * GP_B + j];
    }
    g->factored = g->n;
}

/* sum a_i b_i in four chains. */
static double gp_dot(mango_idx n, const float *a, const double *b)
{
    double s[4] = {0.0, 0.0, 0.0, 0.0}, rest = 0.0;
    mango_idx i = 0;
    for (; i + 4 <= n; i += 4)
        for (int q = 0; q < 4; q++)
            s[q] += (double)a[i + q] * b[i + q];
    for (; i < n; i++)
        rest += (double)a[i] * b[i];
    return ((s[0] + s[1]) + (s[2] + s[3])) + rest;
}

/* v = L^-1 y, alpha = L^-T v (3), s (6). */
static void gp_weights(mgi_gp *g)
{
    const mango_idx n = g->n, cap = g->cap;
    double sum = 0.0;
    for (mango_idx i = 0; i < n; i++) {
        g->v[i] = (g->y[i] - gp_dot(i, g->L + i * cap, g->v)) / (double)g->L[i * (cap + 1)];
        sum += g->v[i] * g->v[i];
        g->alpha[i] = g->v[i];
    }
    for (mango_idx k = n - 1; k >= 0; k--) {
        const double a = g->alpha[k] /= (double)g->L[k * (cap + 1)];
        for (mango_idx j = 0; j < k; j++)
            g->alpha[j] -= a * (double)g->L[k * cap + j];
    }
    g->s = g->noisy || !(sum > 0.0) ? 1.0 : sum / (double)n;
    g->solved = 1;
}

/* u: the mean of |x_i|^2 less |mean x|^2. */
static void gp_cloud(mgi_gp *g)
{
    double own = 0.0, all = 0.0;
    for (mango_idx i = 0; i < g->n; i++) {
        own += (double)g->G[i * (g->cap + 1)];
        for (mango_idx j = 0; j < g->n; j++)
            all += (double)g->G[i * g->cap + j];
    }
    const double n = (double)MGI_MAX(g->n, 1), u = own / n - all / (n * n);
    g->u = u > 1e-6 * own / n && u > 1e-20 ? u : own > 0.0 ? own / n : 1.0;
    g->cloud = g->n > 0;
}

static void gp_ready(mgi_gp *g)
{
    if (!g->cloud)
        gp_cloud(g);
    if (g->factored < g->n)
        gp_factor(g);
    if (!g->solved)
        gp_weights(g);
}

/* ---- points --------------------------------------------------------------- */

MGI_FN void mgi_gp_add(mgi_gp *g, mango_idx K, const float *x, const double *v)
{
    const mango_idx nr = g->k->nr, cap = g->cap, from = g->n;
    memcpy(g->X + from * g->dim, x, (size_t)(K * g->dim) * sizeof *x);
    g->n += K;
    for (mango_idx c0 = from; c0 < g->n; c0 += nr) {
        const mango_idx lanes = MGI_MIN(nr, g->n - c0);
        gp_pack(g, lanes, g->X + c0 * g->dim);
        gp_tiles(g->k, g->n, g->dim, g->X, g->dim, g->P, g->W, 0);
        for (mango_idx i = 0; i < g->n; i++)
            for (mango_idx c = 0; c < lanes; c++) {
                g->G[i * cap + c0 + c] = g->W[i * nr + c];
                g->G[(c0 + c) * cap + i] = g->W[i * nr + c];
            }
    }
    for (mango_idx i = from; i < g->n; i++) {
        g->y[i] = 0.0;
        g->noise[i] = v ? v[i - from] : 0.0;
        g->noisy |= g->noise[i] > 0.0;
    }
    g->solved = 0;
}

MGI_FN void mgi_gp_add_dots(mgi_gp *g, const float *dots)
{
    const mango_idx n = g->n++, cap = g->cap;
    for (mango_idx i = 0; i <= n; i++) {
        g->G[n * cap + i] = dots[i];
        g->G[i * cap + n] = dots[i];
    }
    memset(g->X + n * g->dim, 0, (size_t)g->dim * sizeof *g->X);
    g->y[n] = g->noise[n] = 0.0;
    g->solved = 0;
}

MGI_FN void mgi_gp_keep(mgi_gp *g, mango_idx n, const mango_idx *row)
{
    mango_idx same = 0;
    while (same < n && row[same] == same)
        same++;
    for (mango_idx i = same; i < n; i++) {
        memmove(g->X + i * g->dim, g->X + row[i] * g->dim, (size_t)g->dim * sizeof *g->X);
        g->y[i] = g->y[row[i]];
        g->noise[i] = g->noise[row[i]];
    }
    for (mango_idx i = 0; i < n; i++) {
        const float *from = g->G + row[i] * g->cap;
        for (mango_idx j = 0; j < n; j++)
            g->G[i * g->cap + j] = from[row[j]];
    }
    g->n = n;
    g->factored = MGI_MIN(g->factored, same);
    g->solved = 0;
    if (n == 0)
        g->noisy = g->cloud = 0;
}

MGI_FN void mgi_gp_targets(mgi_gp *g, const double *y)
{
    memcpy(g->y, y, (size_t)g->n * sizeof *y);
    g->solved = 0;
}

MGI_FN void mgi_gp_noise(mgi_gp *g, const double *v)
{
    g->noisy = 0;
    for (mango_idx i = g->n - 1; i >= 0; i--) {
        const double to = v ? v[i] : 0.0;
        if (to != g->noise[i])
            g->factored = MGI_MIN(g->factored, i);
        g->noise[i] = to;
        g->noisy |= to > 0.0;
    }
    g->solved = 0;
}

MGI_FN const double *mgi_gp_alpha(mgi_gp *g)
{
    if (g->n > 0)
        gp_ready(g);
    return g->alpha;
}

/* ---- rule and prediction -------------------------------------------------- */

static void gp_rule(mgi_gp *g, const mgi_gp_rule *rule)
{
    g->rule = *rule;
    g->factored = g->solved = 0;
}

MGI_FN double mgi_gp_evidence(mgi_gp *g)
{
    if (g->n == 0)
        return 0.0;
    gp_ready(g);
    const double n = (double)g->n;
    double fit = 0.0, logs = 0.0;
    for (mango_idx i = 0; i < g->n; i++) {
        fit += g->v[i] * g->v[i];
        logs += mgi_log((double)g->L[i * (g->cap + 1)]);
    }
    return -0.5 * n * mgi_log(0x1.921fb54442d18p+2 * g->s) - 0.5 * fit / g->s - logs; /* (5) */
}

MGI_FN mango_idx mgi_gp_choose(mgi_gp *g, mango_idx count, const mgi_gp_rule *rule)
{
    mango_idx best = 0;
    double most = 0.0;
    gp_cloud(g);
    for (mango_idx i = 0; i < count && g->n > 0; i++) {
        gp_rule(g, rule + i);
        const double e = mgi_gp_evidence(g);
        if (i == 0 || e > most) {
            most = e;
            best = i;
        }
    }
    if (g->n == 0 || best != count - 1)
        gp_rule(g, rule + best);
    return best;
}

/* W (n, nr) = -k of the points and `lanes` others, packed in P; q their |x|^2. */
static void gp_against(mgi_gp *g, const float *q)
{
    const mango_idx nr = g->k->nr;
    const gp_kernel k = gp_kernel_of(g);
    gp_tiles(g->k, g->n, g->dim, g->X, g->dim, g->P, g->W, 0);
    for (mango_idx i = 0; i < g->n; i++)
        gp_kernel_row(k, nr, g->G[i * (g->cap + 1)], q, g->W + i * nr);
}

/* sum_k a[k] W[k][c] and sum_k W[k][c]^2 of each column. */
static void gp_sums(const mgi_gp *g, const double *a, double *restrict one,
                    double *restrict two)
{
    const mango_idx nr = g->k->nr;
    for (mango_idx i = 0; i < g->n; i++)
        for (mango_idx c = 0; c < nr; c++) {
            const double w = (double)g->W[i * nr + c];
            one[c] += a[i] * w;
            two[c] += w * w;
        }
}

static void gp_predict_panel(mgi_gp *g, mango_idx lanes, const float *x, double *mean,
                             double *var)
{
    const gp_kernel k = gp_kernel_of(g);
    float q[64] = {0.0f};
    double one[64] = {0.0}, two[64] = {0.0};
    gp_pack(g, lanes, x);
    for (mango_idx j = 0; j < g->dim; j++)
        for (mango_idx c = 0; c < lanes; c++)
            q[c] += g->P[j * g->k->nr + c] * g->P[j * g->k->nr + c];
    gp_against(g, q);
    if (var)
        gp_solve(g, g->n);
    gp_sums(g, var ? g->v : g->alpha, one, two);
    for (mango_idx c = 0; c < lanes; c++) {
        mean[c] = var ? one[c] : -one[c];                                       /* (3) */
        if (var) {
            const double left = (double)(k.lin * q[c] + k.rbf) - two[c];
            var[c] = g->s * (left > 0.0 ? left : 0.0);                          /* (4) */
        }
    }
}

MGI_FN void mgi_gp_predict(mgi_gp *g, mango_idx m, const float *x, double *mean, double *var)
{
    gp_ready(g);
    for (mango_idx c = 0; c < m; c += g->k->nr)
        gp_predict_panel(g, MGI_MIN(g->k->nr, m - c), x + c * g->dim, mean + c,
                         var ? var + c : NULL);
}

MGI_FN void mgi_gp_slope(mgi_gp *g, mango_idx i, float *slope)
{
    gp_ready(g);
    const mango_idx dim = g->dim;
    const float *G = g->G + i * g->cap, *x = g->X + i * dim;
    const gp_kernel k = gp_kernel_of(g);
    float all = 0.0f;
    memset(slope, 0, (size_t)dim * sizeof *slope);
    for (mango_idx j = 0; j < g->n; j++) {
        const float far = (G[i] + g->G[j * (g->cap + 1)]) - 2.0f * G[j];
        const float e = k.rbf * gp_exp(-k.h * (far > 0.0f ? far : 0.0f)) * 2.0f * k.h;
        const float a = (float)g->alpha[j], w = a * (k.lin + e);
        const float *q = g->X + j * dim;
        for (mango_idx c = 0; c < dim; c++)
            slope[c] += w * q[c];
        all += a * e;
    }
    for (mango_idx c = 0; c < dim; c++)
        slope[c] -= all * x[c];
}

#undef GP_B
#undef GP_LEAST

/* test_maps.c - properties of the operators on feature maps: adjoints of the
 * linear ones, edges of pooling, batch-norm statistics, label smoothing, and
 * the same bits for any number of threads. test_ops.c has the golden values.
 * SPDX-License-Identifier: MIT */
#include "test.h"

/* Scratch of one case: t_maps_new carves from it. */
static float t_maps_pool[1 << 21];
static mango_idx t_maps_used;

static float *t_maps_new(mango_idx n)
{
    if (!T_CHECK(n >= 0 && n <= MGI_COUNT(t_maps_pool) - t_maps_used))
        return t_maps_pool;
    float *p = t_maps_pool + t_maps_used;
    t_maps_used += (n + 15) / 16 * 16;
    for (mango_idx i = 0; i < n; i++)
        p[i] = 7e7f; /* what an operator does not write shows */
    return p;
}

static float *t_maps_zeros(mango_idx n)
{
    float *p = t_maps_new(n);
    memset(p, 0, (size_t)n * sizeof *p);
    return p;
}

static float *t_maps_random(const char *name, mango_idx n)
{
    float *u = t_maps_new(n);
    mango_fill_u(name, 11, n, u);
    return u;
}

static double t_maps_dot(mango_idx n, const float *a, const float *b)
{
    double sum = 0.0;
    for (mango_idx i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* <A x, dy> = <x, A' dy> for the linear operators, at awkward sizes; which: 0, 1
 * average pools, 2 adaptive, 3 nearest, 4 bilinear. */
static void t_maps_adjoint_case(int which, mango_idx H, mango_idx W, mango_idx OH,
                                mango_idx OW)
{
    enum { N = 2, C = 5 };
    mgi_pool p = {.C = C,
                  .H = H,
                  .W = W,
                  .OH = OH,
                  .OW = OW,
                  .kh = 3,
                  .kw = 2,
                  .sh = 2,
                  .sw = 1,
                  .ph = which,
                  .pw = which};
    t_maps_used = 0;
    if (which < 2 && !T_CHECK(mgi_pool_shape(&p)))
        return;
    if (which > 2) {
        p.OH = 2 * H;
        p.OW = 2 * W;
    }
    const mango_idx n = N * H * W * C, m = N * p.OH * p.OW * C;
    const float *x = t_maps_random("adjoint.x", n), *dy = t_maps_random("adjoint.dy", m);
    float *y = t_maps_new(m), *dx = t_maps_new(n);
    switch (which) {
    case 0:
    case 1:
        mgi_avgpool(&p, N, x, y);
        mgi_avgpool_backward(&p, N, dy, dx);
        break;
    case 2:
        mgi_adaptiveavg(&p, N, x, y);
        mgi_adaptiveavg_backward(&p, N, dy, dx);
        break;
    case 3:
        mgi_nearest2x(N, H, W, C, x, y);
        mgi_nearest2x_backward(N, H, W, C, dy, dx);
        break;
    default: mgi_bilinear2x(N, H, W, C, x, y); mgi_bilinear2x_backward(N, H, W, C, dy, dx);
    }
    T_NEAR(t_maps_dot(m, y, dy), t_maps_dot(n, x, dx), 1e-5);
}

static void t_maps_adjoints(void)
{
    static const mango_idx size[][4] = {
        {3, 2, 1, 1}, {5, 7, 3, 4}, {4, 4, 6, 5}, {9, 3, 2, 3}};
    for (int which = 0; which < 5; which++)
        for (mango_idx i = 0; i < MGI_COUNT(size); i++)
            t_maps_adjoint_case(which, size[i][0], size[i][1], size[i][2], size[i][3]);
    t_maps_adjoint_case(3, 1, 1, 0, 0);
    t_maps_adjoint_case(4, 1, 1, 0, 0);
    t_maps_adjoint_case(4, 1, 3, 0, 0);
}

static void t_maps_pool_edges(void)
{
    mgi_pool p = {
        .C = 1, .H = 2, .W = 2, .kh = 2, .kw = 2, .sh = 1, .sw = 1, .ph = 1, .pw = 1};
    const float x[4] = {-4.0f, -3.0f, -2.0f, -1.0f}, same[4] = {5.0f, 5.0f, 5.0f, 5.0f};
    const float dy[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    float y[9], dx[4];
    T_REQUIRE(mgi_pool_shape(&p) && p.OH == 3 && p.OW == 3);
    mgi_maxpool(&p, 1, x, y); /* padding never wins over negative values */
    T_CHECK(y[0] == -4.0f && y[4] == -1.0f && y[8] == -1.0f);
    mgi_avgpool(&p, 1, x, y); /* padding counts as zeros */
    T_CHECK(y[0] == -1.0f && y[4] == -2.5f);
    mgi_maxpool_backward(&p, 1, same, dy, dx); /* the first of equals takes all */
    T_CHECK(dx[0] == 4.0f && dx[1] == 2.0f && dx[2] == 2.0f && dx[3] == 1.0f);
    p.ph = 2;
    T_CHECK(!mgi_pool_shape(&p));
    p.ph = 1;
    p.kh = 7;
    T_CHECK(!mgi_pool_shape(&p));
    p.kh = 2;
    p.sw = 0;
    T_CHECK(!mgi_pool_shape(&p));
}

/* Statistics of a channel far from zero, the running ones, and in-place use. */
static void t_maps_batchnorm_statistics(void)
{
    enum { R = 700, C = 130 };
    t_maps_used = 0;
    float *x = t_maps_random("stat.x", R * C), *y = t_maps_new(R * C);
    float *mean = t_maps_new(C), *rstd = t_maps_new(C), *rm = t_maps_zeros(C),
          *rv = t_maps_new(C);
    float *s = t_maps_new(C), *t = t_maps_new(C);
    double gap[4] = {0.0, 0.0, 0.0, 0.0};
    for (mango_idx i = 0; i < R * C; i++)
        x[i] = 100.0f * (float)(i % C) + 0.5f * x[i];
    for (mango_idx c = 0; c < C; c++)
        rv[c] = 1.0f;
    mgi_batchnorm_train(R, C, x, NULL, NULL, 1e-5, 0.25, rm, rv, mean, rstd, y);
    mgi_batchnorm_fold(C, NULL, NULL, rm, rv, 1e-5, s, t);
    for (mango_idx c = 0; c < C; c++) {
        double m = 0.0, v = 0.0;
        for (mango_idx r = 0; r < R; r++)
            m += (double)x[r * C + c] / R;
        for (mango_idx r = 0; r < R; r++)
            v += ((double)x[r * C + c] - m) * ((double)x[r * C + c] - m) / R;
        gap[0] = fmax(gap[0], fabs((double)mean[c] - m) / (1.0 + m));
        gap[1] = fmax(gap[1], fabs((double)rstd[c] * sqrt(v + 1e-5) - 1.0));
        gap[2] = fmax(gap[2], fabs((double)rv[c] - 0.75 - 0.25 * v * R / (R - 1.0)));
        gap[3] = fmax(gap[3], fabs((double)(s[c] * rm[c] + t[c])) / (1.0 + m));
    }
    T_NEAR(gap[0], 0.0, 1e-7);
    T_NEAR(gap[1], 0.0, 1e-6);
    T_NEAR(gap[2], 0.0, 1e-6);
    T_NEAR(gap[3], 0.0, 1e-6); /* the running mean is mapped to 0 */
    mgi_batchnorm_train(R, C, x, NULL, NULL, 1e-5, 0.25, NULL, NULL, mean, rstd, x);
    T_MEM(x, y, sizeof(float) * R * C);
}

/* A constant channel has variance 0, and one row has no unbiased variance. */
static void t_maps_batchnorm_degenerate(void)
{
    const float x[3] = {0.1f, 0.1f, 0.1f}, dy[3] = {1.0f, 2.0f, 3.0f};
    float y[3], dx[3], mean, rstd, rm = 0.0f, rv = 1.0f, dw = 0.0f, db = 0.0f;
    mgi_batchnorm_train(3, 1, x, NULL, NULL, 1e-5, 0.1, &rm, &rv, &mean, &rstd, y);
    T_CHECK(mean == 0.1f && y[0] == 0.0f && y[2] == 0.0f && fabsf(rv - 0.9f) < 1e-7f);
    mgi_batchnorm_backward(3, 1, x, NULL, &mean, &rstd, dy, dx, &dw, &db);
    T_CHECK(db == 6.0f && dw == 0.0f && isfinite(dx[0]));
    mgi_batchnorm_train(1, 1, x, NULL, NULL, 1e-5, 0.1, &rm, &rv, &mean, &rstd, y);
    T_CHECK(y[0] == 0.0f && isfinite(rv));
}

/* Loss of rows of 7 with labels smoothed by 0.1. */
static double t_maps_loss(mango_idx R, const float *x, const int *label, float *dx)
{
    const mgi_labels l = {label, NULL, 1, 0.1};
    double work[4 * 7];
    mango_idx hits = 0;
    return mgi_loss_classes(1, R, 7, 1, x, &l, dx, &hits, work);
}

/* Loss and gradient with label smoothing against differences and the formula. */
static void t_maps_smoothing(void)
{
    enum { R = 3, C = 7 };
    const int label[R] = {6, 0, 3};
    const double eps = 0.1;
    float x[R * C], dx[R * C], p[R * C];
    double loss = 0.0;
    mango_fill_u("smooth.x", 2, R * C, x);
    T_NEAR(t_maps_loss(R, x, label, dx),
           t_maps_loss(R, x, label, NULL), 0);
    mgi_softmax(R, C, x, p);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++)
            loss -= (eps / C + (c == label[r] ? 1.0 - eps : 0.0)) *
                    log((double)p[r * C + c]) / R;
    T_NEAR(t_maps_loss(R, x, label, NULL), loss, 1e-6);
    for (int i = 0; i < R * C; i++) {
        const float at = x[i];
        x[i] = at + 0.0078125f;
        const double up = t_maps_loss(R, x, label, NULL);
        x[i] = at - 0.0078125f;
        const double down = t_maps_loss(R, x, label, NULL);
        x[i] = at;
        T_NEAR((double)dx[i], (up - down) / 0.015625, 1e-5);
    }
    const float far_out[3] = {1e30f, -1e30f, 0.0f};
    mgi_softmax(1, 3, far_out, p);
    T_CHECK(p[0] == 1.0f && p[1] == 0.0f && p[2] == 0.0f);
}

static void t_maps_small(void)
{
    const float y[4] = {0.0f, -0.0f, 2.0f, 1e-30f}, dy[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    float dx[4], a[2 * 3 * 35], b[2 * 3 * 35], c[2 * 3 * 35];
    mgi_relu_backward(4, y, dy, dx);
    T_CHECK(dx[0] == 0.0f && dx[1] == 0.0f && dx[2] == 3.0f && dx[3] == 4.0f);
    mango_fill_u("layout", 1, MGI_COUNT(a), a);
    mgi_to_nhwc(2, 3, 35, a, b);
    T_CHECK(b[0] == a[0] && b[1] == a[35] && b[3] == a[1] && b[105 + 2] == a[105 + 70]);
    mgi_to_nchw(2, 3, 35, b, c);
    T_MEM(c, a, sizeof a);
}

/* y(j,i) = x(i,j), nothing else written; all remainders of the squares of 4. */
static void t_maps_transpose(void)
{
    enum { LX = 14, LY = 13 };
    float x[12 * LX], y[12 * LY];
    mango_fill_u("transpose", 1, MGI_COUNT(x), x);
    for (mango_idx m = 0; m <= 12; m++)
        for (mango_idx n = 0; n <= 12; n++) {
            int bad = 0;
            for (mango_idx i = 0; i < MGI_COUNT(y); i++)
                y[i] = 9.0f;
            mgi_transpose(m, n, x, LX, y, LY);
            for (mango_idx i = 0; i < MGI_COUNT(y); i++) {
                const int in = i / LY < n && i % LY < m;
                bad += y[i] != (in ? x[i % LY * LX + i / LY] : 9.0f);
            }
            T_CHECK(bad == 0);
        }
}

/* ---- the same bits for any number of threads ---------------------------------------- */

/* Every split operator once, outputs one after the other in `out`. */
static mango_idx t_maps_all(const float *x, const float *dy, float *out)
{
    enum { N = 6, H = 14, W = 12, C = 40, n = N * H * W * C, R = N * H * W };
    mgi_pool p = {
        .C = C, .H = H, .W = W, .kh = 3, .kw = 3, .sh = 2, .sw = 2, .ph = 1, .pw = 1};
    float *o = out, mean[C], rstd[C];
    if (!mgi_pool_shape(&p))
        return 0;
    memset(o, 0, 4 * C * sizeof *o);
    mgi_batchnorm_train(R, C, x, NULL, NULL, 1e-5, 0.1, o, o + C, mean, rstd, o + 4 * C);
    mgi_batchnorm_backward(R, C, x, NULL, mean, rstd, dy, o + 4 * C + n, o + 2 * C,
                           o + 3 * C);
    o += 4 * C + 2 * n;
    mgi_maxpool(&p, N, x, o);
    mgi_maxpool_backward(&p, N, x, dy, o + n);
    mgi_avgpool(&p, N, x, o + 2 * n);
    mgi_avgpool_backward(&p, N, dy, o + 3 * n);
    mgi_bilinear2x(N, H / 2, W / 2, C, x, o + 4 * n);
    mgi_bilinear2x_backward(N, H / 2, W / 2, C, dy, o + 5 * n);
    mgi_nearest2x_backward(N, H / 2, W / 2, C, dy, o + 6 * n);
    mgi_softmax(R, C, x, o + 7 * n);
    mgi_softmax_backward(R, C, o + 7 * n, dy, o + 8 * n);
    mgi_tanh(n, x, o + 9 * n);
    mgi_to_nchw(N, C, H * W, x, o + 10 * n);
    return 4 * C + 13 * n;
}

static void t_maps_threads(void)
{
    enum { n = 6 * 14 * 12 * 40, all = 160 + 13 * n };
    const int before = mango_threads();
    t_maps_used = 0;
    const float *x = t_maps_random("threads.x", n), *dy = t_maps_random("threads.dy", n);
    float *one = t_maps_zeros(all), *more = t_maps_zeros(all);
    mango_set_threads(1);
    T_EQ(t_maps_all(x, dy, one), all);
    for (int k = 2; k <= 5; k++) {
        mango_set_threads(k);
        t_maps_all(x, dy, more);
        T_MEM(more, one, all * sizeof *one);
    }
    mango_set_threads(before);
}

void t_maps(void)
{
    T_CASE(t_maps_adjoints);
    T_CASE(t_maps_pool_edges);
    T_CASE(t_maps_batchnorm_statistics);
    T_CASE(t_maps_batchnorm_degenerate);
    T_CASE(t_maps_smoothing);
    T_CASE(t_maps_small);
    T_CASE(t_maps_transpose);
    T_CASE(t_maps_threads);
}

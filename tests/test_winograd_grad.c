/* test_winograd_grad.c - gradients of 3x3 convolutions by Winograd: numbers where
 * they are exact, equal bits for every kernel set and thread count, the stated
 * bound against exact sums.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_winograd_grad_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

typedef struct t_winograd_grad_case {
    mgi_conv c;
    mango_idx N, nx, ny, nw, total;
    float *all, *x, *dy, *w, *dx, *dw, *gdx, *gdw; /* g: got */
} t_winograd_grad_case;

static void t_winograd_grad_open(t_winograd_grad_case *t)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_conv *c = &t->c;
    c->kh = c->kw = 3;
    c->sh = c->sw = 1;
    T_CHECK(mgi_conv_shape(c));
    t->nx = t->N * c->H * c->W * c->C, t->ny = t->N * c->OH * c->OW * c->O;
    t->nw = c->O * c->C * 9;
    t->total = 3 * t->nx + t->ny + 3 * t->nw;
    t->all = mgi_new(&al, t->total, sizeof *t->all);
    t->x = t->all, t->dy = t->x + t->nx, t->w = t->dy + t->ny, t->dx = t->w + t->nw;
    t->dw = t->dx + t->nx, t->gdx = t->dw + t->nw, t->gdw = t->gdx + t->nx;
}

static void t_winograd_grad_close(t_winograd_grad_case *t)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_del(&al, t->all, t->total, sizeof *t->all);
}

/* Both gradients by the form that c names; dw from 1 on, since they are added. */
static void t_winograd_grad_run(const t_winograd_grad_case *t, int winograd, float *dx, float *dw)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_conv c = t->c;
    c.winograd = winograd;
    const mango_idx n = mgi_conv_backward_work(&c, t->N);
    float *work = mgi_new(&al, n, sizeof *work);
    memset(work, 0xff, (size_t)n * sizeof *work); /* NaN: scratch is not to be read */
    for (mango_idx i = 0; i < t->nw; i++)
        dw[i] = 1.0f;
    mgi_conv_backward_data(&c, t->N, t->dy, t->w, dx, work);
    mgi_conv_backward_weights(&c, t->N, t->x, t->dy, dw, NULL, work);
    mgi_del(&al, work, n, sizeof *work);
}

/* ---- exact numbers ---------------------------------------------------------- */

static mango_idx t_winograd_grad_unequal(mango_idx n, const float *a, const float *b)
{
    mango_idx bad = 0;
    for (mango_idx i = 0; i < n; i++)
        bad += !(a[i] == b[i]);
    return bad;
}

/* Small integers: V, Z and their sums are integers below 2^24, G'RG is a sum of
 * doubles that come near an integer and are rounded to it. Kernels turned and
 * transformed are multiples of 576. */
static void t_winograd_grad_exact(void)
{
    mango_rng r;
    mango_rng_init(&r, 31, 1, 0);
    for (int i = 0; i < 24; i++) {
        t_winograd_grad_case t = {.c = {.C = 8 + mango_rng_int(&r, 30), .O = 24 + mango_rng_int(&r, 30),
                                        .H = 3 + mango_rng_int(&r, 12), .W = 3 + mango_rng_int(&r, 12),
                                        .ph = (int)mango_rng_int(&r, 3), .pw = (int)mango_rng_int(&r, 3)},
                                  .N = 1 + mango_rng_int(&r, 3)};
        t_winograd_grad_open(&t);
        for (mango_idx k = 0; k < t.nx; k++)
            t.x[k] = (float)mango_rng_int(&r, 5) - 2.0f;
        for (mango_idx k = 0; k < t.ny; k++)
            t.dy[k] = (float)mango_rng_int(&r, 5) - 2.0f;
        for (mango_idx k = 0; k < t.nw; k++)
            t.w[k] = (float)(576 * (mango_rng_int(&r, 3) - 1));
        t_winograd_grad_run(&t, 0, t.dx, t.dw);
        t_winograd_grad_run(&t, i % 2 ? 4 : 2, t.gdx, t.gdw);
        T_EQ(t_winograd_grad_unequal(t.nx, t.dx, t.gdx), 0);
        T_EQ(t_winograd_grad_unequal(t.nw, t.dw, t.gdw), 0);
        t_winograd_grad_close(&t);
    }
}

/* ---- the same bits ----------------------------------------------------------- */

static void t_winograd_grad_fill(mango_rng *r, mango_idx n, float *x)
{
    for (mango_idx i = 0; i < n; i++)
        x[i] = (2.0f * mango_rng_uniformf(r) - 1.0f) * (float)(1 << mango_rng_int(r, 6));
}

static void t_winograd_grad_all_sets(t_winograd_grad_case *t, int m)
{
    const int threads = mango_threads();
    const char *before = mgi_kernels_get()->name;
    mango_set_threads(1);
    T_CHECK(mgi_kernels_force("ref"));
    t_winograd_grad_run(t, m, t->dx, t->dw);
    for (mango_idx s = 0; s < 2 * MGI_COUNT(t_winograd_grad_sets); s++) {
        char what[120];
        if (!mgi_kernels_force(t_winograd_grad_sets[s / 2]))
            continue;
        mango_set_threads(s % 2 ? 3 : 1);
        t_winograd_grad_run(t, m, t->gdx, t->gdw);
        snprintf(what, sizeof what, "%s, %d threads: F(%d) C %d %dx%d O %d differs",
                 t_winograd_grad_sets[s / 2], s % 2 ? 3 : 1, m, (int)t->c.C, (int)t->c.H,
                 (int)t->c.W, (int)t->c.O);
        t_check(!memcmp(t->dx, t->gdx, (size_t)t->nx * sizeof *t->dx) &&
                    !memcmp(t->dw, t->gdw, (size_t)t->nw * sizeof *t->dw),
                what, __FILE__, __LINE__);
    }
    mango_set_threads(threads);
    T_CHECK(mgi_kernels_force(before));
}

/* Odd numbers of channels, and so many tiles that they fill several blocks. */
static void t_winograd_grad_bits(void)
{
    mango_rng r;
    mango_rng_init(&r, 32, 1, 0);
    for (int i = 0; i < 10; i++) {
        t_winograd_grad_case t = {.c = {.C = 1 + mango_rng_int(&r, 60), .O = 1 + mango_rng_int(&r, 60),
                                        .H = 3 + mango_rng_int(&r, 12), .W = 3 + mango_rng_int(&r, 12),
                                        .ph = (int)mango_rng_int(&r, 3), .pw = (int)mango_rng_int(&r, 3)},
                                  .N = i < 8 ? 1 + mango_rng_int(&r, 4) : t_fast() ? 20 : 80};
        t_winograd_grad_open(&t);
        t_winograd_grad_fill(&r, t.total, t.all);
        t_winograd_grad_all_sets(&t, i % 2 ? 4 : 2);
        t_winograd_grad_close(&t);
    }
}

/* ---- the bound ---------------------------------------------------------------- */

/* |M| applied along both axes: y (rows,rows) = |M| x |M'|, x (cols,cols). */
static void t_winograd_grad_both(int rows, int cols, const double *M, const double *x, double *y)
{
    double t[36];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            t[i * cols + j] = 0;
            for (int k = 0; k < cols; k++)
                t[i * cols + j] += fabs(M[i * cols + k]) * x[k * cols + j];
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            y[i * rows + j] = 0;
            for (int k = 0; k < cols; k++)
                y[i * rows + j] += fabs(M[j * cols + k]) * t[i * cols + k];
        }
}

typedef struct t_winograd_grad_forms {
    double B[36], A[24], Gt[18]; /* (a,a), (a,m), (3,a) */
} t_winograd_grad_forms;

static const t_winograd_grad_forms t_winograd_grad_f2 = {
    {1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1},
    {1, 0, 1, 1, 1, 1, 0, 1},
    {1, .5, .5, 0, 0, .5, .5, 0, 0, .5, .5, 1}};
static const t_winograd_grad_forms t_winograd_grad_f4 = {
    {4, 0, 5, 0, 1, 0, 0, 4, 4, 1, 1, 0, 0, 4, 4, 1, 1, 0, 0, 2, 1, 2, 1, 0, 0, 2, 1, 2, 1, 0,
     0, 4, 0, 5, 0, 1},
    {1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 8, 1, 2, 4, 8, 0, 0, 0, 1},
    {1. / 4, 1. / 6, 1. / 6, 1. / 24, 1. / 24, 0, 0, 1. / 6, 1. / 6, 1. / 12, 1. / 12, 0,
     0, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1}};

/* |pixel| of map (H,W,C) at (y,x) of image n, channel c; 0 outside. */
static double t_winograd_grad_pixel(const float *map, mango_idx H, mango_idx W, mango_idx C,
                                    mango_idx n, mango_idx y, mango_idx x, mango_idx c)
{
    const int in = y >= 0 && y < H && x >= 0 && x < W;
    return in ? fabs((double)map[((n * H + y) * W + x) * C + c]) : 0.0;
}

/* S (3,3) of winograd_grad.c for output o and input ch. */
static void t_winograd_grad_scale(const t_winograd_grad_case *t, int m, mango_idx o, mango_idx ch,
                                  double *S)
{
    const t_winograd_grad_forms *f = m == 2 ? &t_winograd_grad_f2 : &t_winograd_grad_f4;
    const mgi_conv *c = &t->c;
    const int a = m + 2;
    double sum[36] = {0}, d[36], V[36], Z[36];
    for (mango_idx n = 0; n < t->N; n++)
        for (mango_idx y0 = 0; y0 < c->OH; y0 += m)
            for (mango_idx x0 = 0; x0 < c->OW; x0 += m) {
                for (int p = 0; p < a * a; p++)
                    d[p] = t_winograd_grad_pixel(t->x, c->H, c->W, c->C, n, y0 - c->ph + p / a,
                                                 x0 - c->pw + p % a, ch);
                t_winograd_grad_both(a, a, f->B, d, V);
                for (int p = 0; p < m * m; p++)
                    d[p] = t_winograd_grad_pixel(t->dy, c->OH, c->OW, c->O, n, y0 + p / m,
                                                 x0 + p % m, o);
                t_winograd_grad_both(a, m, f->A, d, Z);
                for (int p = 0; p < a * a; p++)
                    sum[p] += V[p] * Z[p];
            }
    t_winograd_grad_both(3, a, f->Gt, sum, S);
}

static double t_winograd_grad_true(const t_winograd_grad_case *t, mango_idx o, mango_idx ch, int k)
{
    const mgi_conv *c = &t->c;
    double sum = 0;
    for (mango_idx p = 0; p < t->N * c->OH * c->OW; p++) {
        const mango_idx iy = p / c->OW % c->OH - c->ph + k / 3, ix = p % c->OW - c->pw + k % 3;
        if (iy >= 0 && iy < c->H && ix >= 0 && ix < c->W)
            sum += (double)t->x[((p / c->OW / c->OH * c->H + iy) * c->W + ix) * c->C + ch] *
                   (double)t->dy[p * c->O + o];
    }
    return sum;
}

/* The largest part of the bound that an error uses; dw starts from 1. */
static double t_winograd_grad_used(const t_winograd_grad_case *t, int m, mango_idx step)
{
    const double unit = 1.0 / (1 << 24);
    const mango_idx a = m, tiles = t->N * ((t->c.OH + a - 1) / a) * ((t->c.OW + a - 1) / a);
    const double rounds = (double)tiles + (m == 2 ? 2 * 1 + 2 * 1 + 1 : 2 * 2 + 2 * 2 + 1);
    double used = 0, S[9];
    for (mango_idx i = 0; i < t->c.O * t->c.C; i += step) {
        t_winograd_grad_scale(t, m, i / t->c.C, i % t->c.C, S);
        for (int k = 0; k < 9; k++) {
            const double v = t_winograd_grad_true(t, i / t->c.C, i % t->c.C, k);
            const double most = 1.001 * rounds * unit * S[k] + unit * (fabs(v) + 1);
            used = MGI_MAX(used, fabs((double)t->gdw[i * 9 + k] - 1.0 - v) / most);
        }
    }
    return used;
}

static void t_winograd_grad_bound(void)
{
    mango_rng r;
    mango_rng_init(&r, 33, 1, 0);
    for (int i = 0; i < 8; i++) {
        const int m = i % 2 ? 4 : 2;
        t_winograd_grad_case t = {.c = {.C = 8, .O = 24, .H = 6 + mango_rng_int(&r, 8),
                                        .W = 6 + mango_rng_int(&r, 8), .ph = 1, .pw = 1},
                                  .N = i < 4 ? 1 : 12};
        char line[120];
        t_winograd_grad_open(&t);
        t_winograd_grad_fill(&r, t.total, t.all);
        t_winograd_grad_run(&t, m, t.gdx, t.gdw);
        const double used = t_winograd_grad_used(&t, m, 5);
        snprintf(line, sizeof line, "F(%d), %d images: %.2g of the bound", m, (int)t.N, used);
        t_check(used <= 1.0, line, __FILE__, __LINE__);
        if (getenv("MANGO_VERBOSE"))
            printf("    %s\n", line);
        t_winograd_grad_close(&t);
    }
}

void t_winograd_grad(void)
{
    T_CASE(t_winograd_grad_exact);
    T_CASE(t_winograd_grad_bits);
    T_CASE(t_winograd_grad_bound);
}

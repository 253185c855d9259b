/* test_winograd_up.c - F(3x3, 2x2) of transposed 4x4 convolutions of stride 2: on
 * numbers where it is exact, equal bits everywhere, the stated bound, the choice.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_winograd_up_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

typedef struct t_winograd_up_case {
    mgi_conv c;
    mango_idx N, nx, ny, nw;
    float *x, *w, *bias, *res, *want, *got;
} t_winograd_up_case;

/* Values in `step` times -n .. n. */
static void t_winograd_up_fill(mango_rng *r, mango_idx count, int n, float step, float *x)
{
    for (mango_idx i = 0; i < count; i++)
        x[i] = step * (float)(mango_rng_int(r, 2 * n + 1) - n);
}

static void t_winograd_up_open(t_winograd_up_case *t, mango_rng *r, int most)
{
    mgi_conv *c = &t->c;
    const mgi_conv k4 = {.C = 1 + mango_rng_int(r, most), .O = 1 + mango_rng_int(r, most),
                         .H = 1 + mango_rng_int(r, 12), .W = 1 + mango_rng_int(r, 12), .kh = 4,
                         .kw = 4, .sh = 2, .sw = 2, .ph = 1, .pw = 1, .transposed = 1,
                         .winograd = 3};
    *c = k4;
    T_CHECK(mgi_conv_shape(c));
    t->N = 1 + mango_rng_int(r, 4);
    t->nx = t->N * c->H * c->W * c->C, t->ny = t->N * c->OH * c->OW * c->O;
    t->nw = c->O * c->C * 16;
    t->x = malloc((size_t)(t->nx + t->nw + c->O + 3 * t->ny) * sizeof *t->x);
    t->w = t->x + t->nx, t->bias = t->w + t->nw, t->res = t->bias + c->O;
    t->want = t->res + t->ny, t->got = t->want + t->ny;
    t_winograd_up_fill(r, t->nx, 3, 1.0f, t->x);
    t_winograd_up_fill(r, t->nw, 3, 4.0f, t->w);
    t_winograd_up_fill(r, c->O + t->ny, 50, 1.0f, t->bias);
}

/* `part` images at a time. */
static void t_winograd_up_run(const t_winograd_up_case *t, const mgi_epilogue *e, mango_idx part,
                              float *y)
{
    const mgi_conv *c = &t->c;
    const mango_idx np = mgi_conv_packed(c), nf = mgi_conv_work(c, part);
    float *packed = malloc((size_t)(np + nf) * sizeof *packed);
    memset(packed + np, 0xff, (size_t)nf * sizeof *packed); /* NaN: scratch is not to be read */
    mgi_conv_pack(c, t->w, packed);
    for (mango_idx n = 0; n < t->N; n += part) {
        const mango_idx sy = n * c->OH * c->OW * c->O;
        const mgi_epilogue f = {e->bias, e->residual ? e->residual + sy : NULL, e->relu};
        mgi_conv_forward(c, MGI_MIN(part, t->N - n), t->x + n * c->H * c->W * c->C, packed, &f,
                         y + sy, packed + np);
    }
    free(packed);
}

/* On every set, 1 and 3 threads, all images at once and one by one: the bits of want. */
static void t_winograd_up_same(const t_winograd_up_case *t, const mgi_epilogue *e)
{
    const char *best = mgi_kernels_get()->name;
    const int threads = mango_threads();
    for (int i = 0; i < MGI_COUNT(t_winograd_up_sets); i++)
        for (int k = 0; k < 4 && mgi_kernels_force(t_winograd_up_sets[i]); k++) {
            mango_set_threads(k % 2 ? 3 : 1);
            memset(t->got, 0xff, (size_t)t->ny * sizeof *t->got);
            t_winograd_up_run(t, e, k / 2 ? 1 : t->N, t->got);
            if (!T_MEM(t->got, t->want, (size_t)t->ny * sizeof *t->got))
                printf("  %s: N %d C %d O %d %dx%d\n", t_winograd_up_sets[i], (int)t->N,
                       (int)t->c.C, (int)t->c.O, (int)t->c.H, (int)t->c.W);
        }
    mango_set_threads(threads);
    T_CHECK(mgi_kernels_force(best));
}

/* Integers all the way: the plain form's values, whatever the order of sums. */
static void t_winograd_up_exact(void)
{
    mango_rng r;
    mango_rng_init(&r, 21, 1, 0);
    for (int i = 0; i < 20; i++) {
        t_winograd_up_case t;
        t_winograd_up_open(&t, &r, i % 4 ? 12 : 50);
        const mgi_epilogue e = {i % 3 ? t.bias : NULL, i % 5 > 1 ? t.res : NULL, i % 2};
        mgi_conv_forward_ref(&t.c, t.N, t.x, t.w, NULL, t.want);
        for (mango_idx k = 0; k < t.ny; k++) {
            const float v = t.want[k] + (e.bias ? t.bias[k % t.c.O] : 0.0f) +
                            (e.residual ? t.res[k] : 0.0f);
            t.want[k] = e.relu && !(v > 0.0f) ? 0.0f : v + 0.0f; /* no zero has a sign */
        }
        t_winograd_up_same(&t, &e);
        free(t.x);
    }
}

/* Any numbers: the same bits; a layer of many channels takes the team's way. */
static void t_winograd_up_bits(void)
{
    mango_rng r;
    mango_rng_init(&r, 22, 1, 0);
    for (int i = 0; i < (t_fast() ? 6 : 12); i++) {
        t_winograd_up_case t;
        t_winograd_up_open(&t, &r, i % 6 ? 60 : 400);
        const mgi_epilogue e = {i % 3 ? t.bias : NULL, i % 5 > 1 ? t.res : NULL, i % 2};
        const char *best = mgi_kernels_get()->name;
        for (mango_idx k = 0; k < t.nx + t.nw; k++)
            t.x[k] += 2.0f * mango_rng_uniformf(&r) - 1.0f;
        T_CHECK(mgi_kernels_force("ref"));
        t_winograd_up_run(&t, &e, t.N, t.want);
        T_CHECK(mgi_kernels_force(best));
        t_winograd_up_same(&t, &e);
        free(t.x);
    }
}

/* ---- the bound ----------------------------------------------------------------- */

/* Along one axis: the four products that output `o` of the transposed map is made
 * of, as A' B' in absolute values: b[p][k] on input y0-1+k, times A' of that output. */
static mango_idx t_winograd_up_axis(mango_idx o, double b[4][4], int *f)
{
    static const double A[3][4] = {{1, 1, 1, 0}, {0, 1, 1, 0}, {0, 1, 1, 1}};
    static const double B[4][4] = {{1, 0, 1, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}, {0, 1, 0, 1}};
    *f = o % 2 == 0; /* even outputs: phase 1 */
    const mango_idx s = (o + 1) / 2, y0 = s / 3 * 3;
    for (int p = 0; p < 4; p++)
        for (int k = 0; k < 4; k++)
            b[p][k] = A[s - y0][p] * B[p][k];
    return y0;
}

/* S of winograd.h for one output and input channel. */
static double t_winograd_up_scale(const t_winograd_up_case *t, mango_idx n, mango_idx oy,
                                  mango_idx ox, mango_idx o, mango_idx ch)
{
    const mgi_conv *c = &t->c;
    double by[4][4], bx[4][4], S = 0;
    float g[4], U[16];
    int fy, fx;
    const mango_idx y0 = t_winograd_up_axis(oy, by, &fy), x0 = t_winograd_up_axis(ox, bx, &fx);
    for (int k = 0; k < 4; k++)
        g[k] = t->w[(ch * c->O + o) * 16 + (fy + 2 - k / 2 * 2) * 4 + fx + 2 - k % 2 * 2];
    mgi_winograd_up_filter(1, g, U);
    for (int p = 0; p < 16; p++)
        for (int k = 0; k < 16; k++) {
            const mango_idx iy = y0 - 1 + k / 4, ix = x0 - 1 + k % 4;
            if (iy >= 0 && iy < c->H && ix >= 0 && ix < c->W)
                S += fabs((double)U[p]) * by[p / 4][k / 4] * bx[p % 4][k % 4] *
                     fabs((double)t->x[((n * c->H + iy) * c->W + ix) * c->C + ch]);
        }
    return S;
}

static double t_winograd_up_true(const t_winograd_up_case *t, mango_idx n, mango_idx oy,
                                 mango_idx ox, mango_idx o)
{
    const mgi_conv *c = &t->c;
    double v = 0;
    for (mango_idx k = 0; k < 16; k++) {
        const mango_idx sy = oy + 1 - k / 4, sx = ox + 1 - k % 4;
        if (sy % 2 || sx % 2 || sy < 0 || sx < 0 || sy / 2 >= c->H || sx / 2 >= c->W)
            continue;
        const float *x = t->x + ((n * c->H + sy / 2) * c->W + sx / 2) * c->C;
        for (mango_idx ch = 0; ch < c->C; ch++)
            v += (double)x[ch] * (double)t->w[(ch * c->O + o) * 16 + k];
    }
    return v;
}

static void t_winograd_up_bound(void)
{
    const double unit = ldexp(1.0, -24);
    mango_rng r;
    mango_rng_init(&r, 23, 1, 0);
    for (int i = 0; i < 10; i++) {
        t_winograd_up_case t;
        const mgi_epilogue e = {NULL, NULL, 0};
        double used = 0, err = 0, top = 1e-30;
        t_winograd_up_open(&t, &r, i % 2 ? 10 : 80);
        for (mango_idx k = 0; k < t.nx + t.nw; k++)
            t.x[k] = (2.0f * mango_rng_uniformf(&r) - 1.0f) * (float)(1 << mango_rng_int(&r, 6));
        t_winograd_up_run(&t, &e, t.N, t.got);
        for (mango_idx k = mango_rng_int(&r, 7); k < t.ny; k += 7) {
            const mango_idx o = k % t.c.O, p = k / t.c.O, ox = p % t.c.OW, oy = p / t.c.OW % t.c.OH;
            const mango_idx n = p / t.c.OW / t.c.OH;
            const double v = t_winograd_up_true(&t, n, oy, ox, o), d = fabs((double)t.got[k] - v);
            double S = 0;
            for (mango_idx ch = 0; ch < t.c.C; ch++)
                S += t_winograd_up_scale(&t, n, oy, ox, o, ch);
            used = MGI_MAX(used, d / (1.001 * (double)(t.c.C + 7) * unit * S + 1e-300));
            err = MGI_MAX(err, d);
            top = MGI_MAX(top, fabs(v));
        }
        T_CHECK(used > 0.0 && used <= 1.0);
        T_CHECK(err <= 1e-5 * top);
        free(t.x);
    }
}

/* Scratch for a batch serves every smaller one, with as many threads or fewer,
 * though these are cut in other blocks. */
static void t_winograd_up_work(void)
{
    static const int L[][5] = {/* C H O k m */
        {256, 16, 256, 3, 4}, {128, 8, 64, 4, 3}, {64, 16, 64, 3, 4}, {512, 6, 512, 3, 2},
        {16, 30, 16, 3, 4}};
    const int threads = mango_threads();
    for (mango_idx i = 0; i < MGI_COUNT(L); i++) {
        mgi_conv c = {.C = L[i][0], .H = L[i][1], .W = L[i][1], .O = L[i][2], .kh = L[i][3],
                      .kw = L[i][3], .sh = L[i][3] - 2, .sw = L[i][3] - 2, .ph = 1, .pw = 1,
                      .transposed = L[i][3] == 4, .winograd = L[i][4]};
        mango_idx below[4] = {0}, bad = 0;
        T_CHECK(mgi_conv_shape(&c));
        for (mango_idx N = 1; N <= 40; N++)
            for (int t = 1; t <= 3; t++) {
                mango_set_threads(t);
                below[t] = MGI_MAX(below[t], MGI_MAX(below[t - 1], mgi_conv_work(&c, N)));
                bad += mgi_conv_work(&c, N) < below[t];
            }
        T_EQ(bad, 0);
    }
    mango_set_threads(threads);
}

/* ---- the choice ------------------------------------------------------------------ */

static int t_winograd_up_choice(mango_idx C, mango_idx O, mango_idx H, int k, int s, int p)
{
    mgi_conv c = {.C = C, .H = H, .W = H, .O = O, .kh = k, .kw = k, .sh = s, .sw = s, .ph = p,
                  .pw = p, .transposed = 1};
    T_CHECK(mgi_conv_shape(&c));
    return mgi_winograd_rule(&c);
}

static void t_winograd_up_rule(void)
{
    T_EQ(t_winograd_up_choice(128, 64, 8, 4, 2, 1), 3);
    T_EQ(t_winograd_up_choice(16, 16, 32, 4, 2, 1), 3);
    T_EQ(t_winograd_up_choice(64, 3, 16, 4, 2, 1), 0);
    T_EQ(t_winograd_up_choice(3, 64, 16, 4, 2, 1), 0);
    T_EQ(t_winograd_up_choice(64, 64, 1, 4, 2, 1), 0);
    T_EQ(t_winograd_up_choice(64, 64, 8, 4, 2, 0), 0);
    T_EQ(t_winograd_up_choice(64, 64, 8, 3, 2, 1), 0);
    T_EQ(t_winograd_up_choice(64, 64, 8, 4, 1, 1), 0);
}

void t_winograd_up(void)
{
    T_CASE(t_winograd_up_exact);
    T_CASE(t_winograd_up_bits);
    T_CASE(t_winograd_up_bound);
    T_CASE(t_winograd_up_work);
    T_CASE(t_winograd_up_rule);
}

/* test_conv.c - convolution forward and backward, every kernel set, bit for
 * bit against the plain loops, over random shapes.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_conv_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

/* One case: a convolution, its tensors and the wanted results. */
typedef struct t_conv_case {
    mgi_conv c;
    mango_idx N, nx, ny, nw, total;
    float *all, *x, *w, *bias, *res, *dy;            /* inputs  */
    float *y, *dx, *dw, *db;                         /* wanted  */
    float *gy, *gdx, *gdw, *gdb;                     /* results */
} t_conv_case;

static void t_conv_fill(mango_rng *r, mango_idx n, float *x)
{
    for (mango_idx i = 0; i < n; i++)
        x[i] = (2.0f * mango_rng_uniformf(r) - 1.0f) * (float)(1 << mango_rng_int(r, 6));
}

static int t_conv_equal(mango_idx n, const float *x, const float *y)
{
    for (mango_idx i = 0; i < n; i++)
        if (!(x[i] == y[i]))
            return 0;
    return 1;
}

/* dW and db by plain loops over the pixels in order; dx by the forward oracle. */
static void t_conv_backward_naive(const t_conv_case *t)
{
    const mgi_conv *c = &t->c;
    const int tr = c->transposed;
    const mango_idx Hb = tr ? c->OH : c->H, Wb = tr ? c->OW : c->W, Cb = tr ? c->O : c->C;
    const mango_idx Hs = tr ? c->H : c->OH, Ws = tr ? c->W : c->OW, Cs = tr ? c->C : c->O;
    const float *big = tr ? t->dy : t->x, *small = tr ? t->x : t->dy;
    const mango_idx G = mgi_conv_groups(c), dh = MGI_MAX(c->dh, 1), dw = MGI_MAX(c->dw, 1);
    for (mango_idx i = 0; i < t->nw; i++) {
        const mango_idx kx = i % c->kw * dw, ky = i / c->kw % c->kh * dh;
        const mango_idx s = i / c->kw / c->kh / (Cb / G);
        const mango_idx b = i / c->kw / c->kh % (Cb / G) + s / (Cs / G) * (Cb / G);
        float sum = 0.0f;
        for (mango_idx p = 0; p < t->N * Hs * Ws; p++) {
            const mango_idx iy = p / Ws % Hs * c->sh - c->ph + ky;
            const mango_idx ix = p % Ws * c->sw - c->pw + kx;
            if (iy >= 0 && iy < Hb && ix >= 0 && ix < Wb)
                sum = mgi_fmaf(big[((p / Ws / Hs * Hb + iy) * Wb + ix) * Cb + b],
                               small[p * Cs + s], sum);
        }
        t->dw[i] += sum;
    }
    for (mango_idx o = 0; o < c->O; o++) {
        double sum = 0.0;
        for (mango_idx p = o; p < t->ny; p += c->O)
            sum += (double)t->dy[p];
        t->db[o] += (float)sum;
    }
    mgi_conv f = *c;
    f.C = c->O, f.H = c->OH, f.W = c->OW, f.O = c->C, f.OH = c->H, f.OW = c->W;
    f.transposed = !tr;
    mgi_conv_forward_ref(&f, t->N, t->dy, t->w, NULL, t->dx);
}

/* False when the shape has no output. */
static int t_conv_open(t_conv_case *t, mango_rng *r)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_conv *c = &t->c;
    if (!mgi_conv_shape(c))
        return 0;
    t->nx = t->N * c->H * c->W * c->C, t->ny = t->N * c->OH * c->OW * c->O;
    t->nw = mgi_conv_weights(c);
    t->total = 3 * t->nx + 4 * t->ny + 3 * t->nw + 3 * c->O;
    t->all = mgi_new(&al, t->total, sizeof *t->all);
    float **piece[] = {&t->x, &t->w, &t->bias, &t->res, &t->dy, &t->y,
                       &t->dx, &t->dw, &t->db, &t->gy, &t->gdx, &t->gdw, &t->gdb};
    const mango_idx size[] = {t->nx, t->nw, c->O, t->ny, t->ny, t->ny,
                              t->nx, t->nw, c->O, t->ny, t->nx, t->nw, c->O};
    float *at = t->all;
    for (mango_idx i = 0; i < MGI_COUNT(size); at += size[i], i++)
        *piece[i] = at;
    t_conv_fill(r, t->total, t->all);
    memcpy(t->gdw, t->dw, (size_t)t->nw * sizeof *t->dw); /* gradients are added */
    memcpy(t->gdb, t->db, (size_t)c->O * sizeof *t->db);
    mgi_conv_forward_ref(c, t->N, t->x, t->w, t->bias, t->y);
    for (mango_idx i = 0; i < t->ny; i++) {
        const float v = t->y[i] + t->res[i];
        t->y[i] = v > 0.0f ? v : 0.0f;
    }
    t_conv_backward_naive(t);
    return 1;
}

static void t_conv_run(const t_conv_case *t, const char *set)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const mgi_conv *c = &t->c;
    const mgi_epilogue e = {t->bias, t->res, 1};
    const mango_idx np = mgi_conv_packed(c), nf = mgi_conv_work(c, t->N);
    const mango_idx nb = mgi_conv_backward_work(c, t->N), total = np + MGI_MAX(nf, nb);
    float *packed = mgi_new(&al, total, sizeof *packed), *work = packed + np;
    float *dw = mgi_new(&al, t->nw + c->O, sizeof *dw), *db = dw + t->nw;
    memcpy(dw, t->gdw, (size_t)(t->nw + c->O) * sizeof *dw);
    mgi_conv_pack(c, t->w, packed);
    mgi_conv_forward(c, t->N, t->x, packed, &e, t->gy, work);
    mgi_conv_backward_data(c, t->N, t->dy, t->w, t->gdx, work);
    mgi_conv_backward_weights(c, t->N, t->x, t->dy, dw, db, work);
    const int bad = !t_conv_equal(t->ny, t->y, t->gy) + 2 * !t_conv_equal(t->nx, t->dx, t->gdx) +
                    4 * !t_conv_equal(t->nw, t->dw, dw) + 8 * !t_conv_equal(c->O, t->db, db);
    char what[240];
    snprintf(what, sizeof what,
             "%s, %d threads: %d (1 y, 2 dx, 4 dw, 8 db): N %d C %d %dx%d O %d k %dx%d s %d,%d "
             "p %d,%d transposed %d groups %d dilation %d,%d", set, mango_threads(), bad, (int)t->N,
             (int)c->C, (int)c->H, (int)c->W, (int)c->O, c->kh, c->kw, c->sh, c->sw, c->ph, c->pw,
             c->transposed, c->groups, c->dh, c->dw);
    t_check(bad == 0, what, __FILE__, __LINE__);
    mgi_del(&al, dw, t->nw + c->O, sizeof *dw);
    mgi_del(&al, packed, total, sizeof *packed);
}

/* The case on every set, 1 and 2 threads. */
static void t_conv_all(t_conv_case *t, mango_rng *r)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const int threads = mango_threads();
    if (!t_conv_open(t, r))
        return;
    const char *best = "ref";
    for (mango_idx s = 0; s < MGI_COUNT(t_conv_sets); s++) {
        if (!mgi_kernels_force(t_conv_sets[s]))
            continue;
        best = t_conv_sets[s];
        for (int n = 1; n <= 2; n++) {
            mango_set_threads(n);
            t_conv_run(t, best);
        }
    }
    mango_set_threads(threads);
    mgi_kernels_force(best);
    mgi_del(&al, t->all, t->total, sizeof *t->all);
}

/* Packed as halves: the bits of the floats that the halves stand for. */
static void t_conv_half(void)
{
    mango_rng r;
    mango_rng_init(&r, 23, 1, 0);
    const mango_alloc al = mgi_alloc_get(NULL);
    const char *best = "ref";
    for (int i = 0; i < 12; i++) {
        const int side = i % 3 ? 1 + (int)mango_rng_int(&r, 7) : 1;
        mgi_conv c = {.C = 1 + mango_rng_int(&r, i % 3 ? 20 : 300), .H = side, .W = side,
                      .O = 1 + mango_rng_int(&r, 70), .sh = 1, .sw = 1};
        c.kh = c.kw = 1 + (int)mango_rng_int(&r, MGI_MIN(side, 3));
        c.ph = c.pw = c.kh / 2;
        mgi_conv_shape(&c);
        const mango_idx N = 1 + mango_rng_int(&r, 9), nw = c.O * c.C * c.kh * c.kw;
        const mango_idx nx = N * c.C * c.H * c.W, ny = N * c.O * c.OH * c.OW;
        float *w = mgi_new(&al, nw + nx + 2 * ny, sizeof *w), *x = w + nw, *y = x + nx, *z = y + ny;
        uint16_t *h = mgi_new(&al, nw, sizeof *h);
        t_conv_fill(&r, nw + nx, w);
        mgi_halves(nw, w, h);
        mgi_from_halves(nw, h, w);
        for (mango_idx s = 0; s < MGI_COUNT(t_conv_sets); s++) {
            if (!mgi_kernels_force(t_conv_sets[s]))
                continue;
            best = t_conv_sets[s];
            for (c.half = 0; c.half < 2; c.half++) {
                const mango_idx np = mgi_conv_packed(&c), nk = mgi_conv_work(&c, N);
                float *p = mgi_new(&al, np, sizeof *p), *k = mgi_new(&al, nk, sizeof *k);
                mgi_conv_pack(&c, w, p);
                mgi_conv_forward(&c, N, x, p, NULL, c.half ? z : y, k);
                mgi_del(&al, p, np, sizeof *p);
                mgi_del(&al, k, nk, sizeof *k);
            }
            t_check(t_conv_equal(ny, y, z), t_conv_sets[s], __FILE__, __LINE__);
        }
        mgi_del(&al, w, nw + nx + 2 * ny, sizeof *w);
        mgi_del(&al, h, nw, sizeof *h);
    }
    mgi_kernels_force(best);
}

/* Packed part by part, in any order: the same bits as packed at once. */
static void t_conv_parts(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const char *best = "ref";
    mango_rng r;
    mango_rng_init(&r, 9, 1, 0);
    for (mango_idx s = 0; s < MGI_COUNT(t_conv_sets); s++) {
        if (!mgi_kernels_force(t_conv_sets[s]))
            continue;
        best = t_conv_sets[s];
        for (int i = 0; i < 32; i++) {
            const int k = i < 16 ? 3 : 1 + i % 5;
            mgi_conv c = {.C = 1 + mango_rng_int(&r, 40), .O = 1 + mango_rng_int(&r, 70), .kh = k,
                          .kw = k, .sh = 1, .sw = 1, .ph = k / 2, .pw = k / 2};
            c.H = c.W = i % 7 ? 8 : 1; /* of 1: only the middle of a kernel is packed */
            mgi_conv_shape(&c);
            c.winograd = i < 16 ? i / 4 % 2 * 2 + i / 8 * 2 * (i / 4 % 2) : 0; /* 0, 2, 0, 4 */
            c.half = !c.winograd && i % 2;
            const mango_idx area = (mango_idx)k * k, nw = c.O * c.C * area, np = mgi_conv_packed(&c);
            const mango_idx nr = mgi_kernels_get()->nr, most = 1 + mango_rng_int(&r, c.C);
            float *w = mgi_new(&al, 2 * (nw + np), sizeof *w), *part = w + nw, *p = part + nw;
            t_conv_fill(&r, nw, w);
            mgi_conv_pack(&c, w, p);
            for (mango_idx q = (c.O - 1) / nr; q >= 0; q--)
                for (mango_idx c0 = 0; c0 < c.C; c0 += most) {
                    const mango_idx n = MGI_MIN(most, c.C - c0), o1 = MGI_MIN(nr, c.O - q * nr);
                    for (mango_idx o = 0; o < o1; o++)
                        memcpy(part + o * n * area, w + ((q * nr + o) * c.C + c0) * area,
                               (size_t)(n * area) * sizeof *w);
                    mgi_conv_pack_part(&c, q, c0, n, part, p + np);
                }
            T_MEM(p + np, p, (size_t)np * sizeof *p);
            mgi_del(&al, w, 2 * (nw + np), sizeof *w);
        }
    }
    mgi_kernels_force(best);
}

/* All finite halves as a file has them, at an odd address, by every kernel set. */
static void t_conv_widen(void)
{
    enum { N = 63488 };
    const char *best = "ref";
    unsigned char *raw = malloc(2 * N + 1);
    float *x = malloc(2 * N * sizeof *x);
    uint16_t *h = malloc(N * sizeof *h);
    T_REQUIRE(raw && x && h);
    for (uint32_t i = 0; i < N; i++) {
        h[i] = (uint16_t)(i < N / 2 ? i : i - N / 2 + 0x8000u);
        raw[2 * i + 1] = (unsigned char)(h[i] & 255), raw[2 * i + 2] = (unsigned char)(h[i] >> 8);
    }
    mgi_from_halves(N, h, x);
    for (mango_idx s = 0; s < MGI_COUNT(t_conv_sets); s++)
        if (mgi_kernels_force(t_conv_sets[s])) {
            best = t_conv_sets[s];
            memset(x + N, 0xff, N * sizeof *x);
            mgi_file_halves(N, raw + 1, x + N);
            T_MEM(x + N, x, N * sizeof *x);
        }
    T_CHECK(mgi_file_halves_finite(N, raw + 1));
    raw[2 * 1000 + 2] = 0xfc; /* minus infinity */
    T_CHECK(!mgi_file_halves_finite(N, raw + 1));
    mgi_kernels_force(best);
    free(raw), free(x), free(h);
}

/* Every half, and floats between and beyond them, as base/real.c has them. */
static void t_conv_halves(void)
{
    int wrong = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        const uint16_t h = (uint16_t)i;
        if ((h & 0x7c00u) == 0x7c00u)
            continue;
        const float want = mgi_from_f16(h), step = fabsf(want) < 0x1p-14f ? 0x1p-24f : want * 0x1p-10f;
        float x, near[4] = {want + step / 2, want + step * 0.4f, want - step / 2, want};
        uint16_t got[4];
        mgi_from_halves(1, &h, &x);
        mgi_halves(4, near, got);
        wrong += memcmp(&x, &want, sizeof x) != 0;
        for (int k = 0; k < 4; k++)
            wrong += fabsf(near[k]) < 65520.0f && got[k] != mgi_to_f16(near[k]);
    }
    T_CHECK(wrong == 0);
    const float x[] = {0.5f, -0x1p-24f, 65504.0f, 0.1f, 65520.0f};
    uint16_t most[2];
    T_CHECK(mgi_halves_exact(3, x) && !mgi_halves_exact(4, x) && !mgi_halves_exact(1, x + 4));
    mgi_halves(2, x + 3, most);
    T_CHECK(most[1] == 0x7bff);
    mgi_halves(1, (const float[]){-1e30f}, most);
    T_CHECK(most[0] == 0xfbff);
}

static void t_conv_random(void)
{
    mango_rng r;
    mango_rng_init(&r, 3, 1, 0);
    for (int i = 0; i < 90; i++) {
        t_conv_case t = {.N = 1 + mango_rng_int(&r, i % 3 ? 3 : 20)};
        mgi_conv *c = &t.c;
        const int most = i % 8 ? 5 : 11;
        c->kh = 1 + (int)mango_rng_int(&r, most), c->kw = 1 + (int)mango_rng_int(&r, most);
        c->sh = 1 + (int)mango_rng_int(&r, 4), c->sw = 1 + (int)mango_rng_int(&r, 4);
        c->ph = (int)mango_rng_int(&r, c->kh), c->pw = (int)mango_rng_int(&r, c->kw);
        c->H = 1 + mango_rng_int(&r, 9), c->W = 1 + mango_rng_int(&r, 9);
        c->C = 1 + mango_rng_int(&r, i % 2 ? 4 : 20), c->O = 1 + mango_rng_int(&r, i % 4 ? 9 : 45);
        c->transposed = i % 5 == 4;
        t_conv_all(&t, &r);
    }
}

/* Groups, dilations and rows added to the output; a third of them depth-wise. */
static void t_conv_groups(void)
{
    mango_rng r;
    mango_rng_init(&r, 6, 1, 0);
    for (int i = 0; i < 120; i++) {
        t_conv_case t = {.N = 1 + mango_rng_int(&r, 4)};
        mgi_conv *c = &t.c;
        const int most = i % 16 ? 4 : 13; /* 169 positions: more than one call */
        c->transposed = i % 4 == 3;
        c->groups = i % 5 ? 1 + (int)mango_rng_int(&r, i % 6 ? 6 : 70) : 1;
        c->C = c->groups * (i % 3 ? 1 + mango_rng_int(&r, i % 7 ? 4 : 9) : 1);
        c->O = c->groups * (i % 3 ? 1 + mango_rng_int(&r, i % 7 ? 4 : 9) : 1);
        if (i % 4 == 1) /* of 1, 2, 4, 8 channels: conv_lanes.c */
            c->C = c->O = (mango_idx)c->groups << i / 4 % 4;
        c->kh = 1 + (int)mango_rng_int(&r, most), c->kw = 1 + (int)mango_rng_int(&r, most);
        c->sh = 1 + (int)mango_rng_int(&r, 3), c->sw = 1 + (int)mango_rng_int(&r, 4);
        c->dh = 1 + (int)mango_rng_int(&r, 4), c->dw = 1 + (int)mango_rng_int(&r, 3);
        c->ph = (int)mango_rng_int(&r, c->kh * c->dh), c->pw = (int)mango_rng_int(&r, c->kw * c->dw);
        c->H = 1 + mango_rng_int(&r, 12), c->W = 1 + mango_rng_int(&r, i % 9 ? 12 : 40);
        c->oph = c->transposed ? (int)mango_rng_int(&r, MGI_MAX(c->sh, c->dh)) : 0;
        c->opw = c->transposed ? (int)mango_rng_int(&r, MGI_MAX(c->sw, c->dw)) : 0;
        t_conv_all(&t, &r);
    }
}

/* Few outputs on wide maps: conv_thin.c, and what it leaves to conv.c. */
static void t_conv_thin(void)
{
    mango_rng r;
    mango_rng_init(&r, 5, 1, 0);
    for (int i = 0; i < 40; i++) {
        t_conv_case t = {.N = 1 + mango_rng_int(&r, 3)};
        mgi_conv *c = &t.c;
        const int most = i % 8 ? 4 : 11; /* 121 positions: more than one call */
        c->transposed = i % 4 == 3;
        c->kh = 1 + (int)mango_rng_int(&r, most), c->kw = 1 + (int)mango_rng_int(&r, most);
        c->sh = 1 + (int)mango_rng_int(&r, 3), c->sw = c->transposed ? 2 : 1;
        c->ph = (int)mango_rng_int(&r, c->kh), c->pw = (int)mango_rng_int(&r, c->kw);
        c->H = 1 + mango_rng_int(&r, 20), c->W = 10 + mango_rng_int(&r, i % 5 ? 20 : 60);
        c->C = 1 + mango_rng_int(&r, 9), c->O = 1 + mango_rng_int(&r, 9);
        t_conv_all(&t, &r);
    }
}

/* The kinds of layer that occur: stems, 1x1, tiny maps, power-of-two strides, k4 s2 p1. */
static void t_conv_layers(void)
{
    static const int L[][9] = {/* N C H W O k s p transposed */
        {1, 3, 32, 32, 20, 7, 2, 3, 0},  {1, 3, 33, 29, 9, 4, 2, 1, 0}, {2, 64, 4, 4, 33, 3, 1, 1, 0},
        {9, 16, 1, 1, 40, 3, 1, 1, 0},   {17, 24, 2, 2, 20, 3, 1, 1, 0}, {9, 8, 4, 4, 20, 3, 2, 1, 0},
        {1, 1024, 3, 3, 5, 1, 1, 0, 0},  {2, 512, 3, 3, 6, 1, 2, 0, 0}, {9, 1024, 1, 1, 12, 1, 1, 0, 0},
        {10, 64, 4, 4, 8, 3, 1, 1, 0},   {2, 10, 8, 8, 3, 4, 2, 1, 1},  {9, 5, 4, 4, 40, 4, 2, 1, 1},
        {1, 4, 2, 300, 6, 3, 1, 1, 0},   {1, 3, 5, 5, 7, 1, 3, 0, 1},   {3, 2, 8, 8, 50, 5, 1, 2, 0},
        {40, 6, 1, 1, 20, 1, 1, 0, 0},   {1, 40, 9, 9, 2, 9, 1, 4, 0},  {2, 300, 1, 1, 30, 1, 1, 0, 0},
        {1, 64, 32, 32, 3, 3, 1, 1, 0},  {5, 20, 16, 16, 3, 4, 2, 1, 1}};
    mango_rng r;
    mango_rng_init(&r, 4, 1, 0);
    for (mango_idx i = 0; i < MGI_COUNT(L); i++) {
        t_conv_case t = {.N = L[i][0], .c = {.C = L[i][1], .H = L[i][2], .W = L[i][3], .O = L[i][4],
                         .kh = L[i][5], .kw = L[i][5], .sh = L[i][6], .sw = L[i][6],
                         .ph = L[i][7], .pw = L[i][7], .transposed = L[i][8]}};
        t_conv_all(&t, &r);
    }
}

void t_conv(void)
{
    T_CASE(t_conv_random);
    T_CASE(t_conv_layers);
    T_CASE(t_conv_groups);
    T_CASE(t_conv_thin);
    T_CASE(t_conv_parts);
    T_CASE(t_conv_widen);
    T_CASE(t_conv_halves);
    T_CASE(t_conv_half);
}

/* test_loops.c - the loops of training, bit for bit against one value at a time.
 * SPDX-License-Identifier: MIT */
#include "test.h"

#define T_LOOPS_N 1027 /* no multiple of any vector */

static const char *const t_loops_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

/* Runs `fn` under every kernel set that this machine has. */
static void t_loops_each(void (*fn)(const mgi_loops *))
{
    const char *best = mgi_kernels_get()->name;
    for (mango_idx s = 0; s < MGI_COUNT(t_loops_sets); s++)
        if (mgi_kernels_force(t_loops_sets[s]))
            fn(mgi_loops_get());
    mgi_kernels_force(best);
}

static float *t_loops_fill(const char *key, float *v)
{
    mango_fill_u(key, 7, T_LOOPS_N, v);
    return v;
}

static float t_loops_theta(const mgi_lif_grad *k, float d)
{
    if (k->atan) {
        const float v = 1.57079633f * k->slope * d;
        return 0.5f * k->slope / (1.0f + v * v);
    }
    const float v = 1.0f + k->slope * fabsf(d);
    return 1.0f / (v * v);
}

static void t_loops_lif_rule(const mgi_loops *l, const mgi_lif_grad *k)
{
    static float X[T_LOOPS_N], S[T_LOOPS_N], U[T_LOOPS_N], H[T_LOOPS_N], D[T_LOOPS_N],
        dX[T_LOOPS_N], u[T_LOOPS_N], d[T_LOOPS_N];
    const int value = k->r.reset == MGI_RESET_VALUE;
    int wrong = 0;
    t_loops_fill("x", X), t_loops_fill("s", S), t_loops_fill("u", U), t_loops_fill("d", D);
    X[3] = k->r.U_thr, U[3] = 0.0f, X[5] = NAN, S[9] = -0.0f, D[9] = -0.0f;
    memcpy(u, U, sizeof u);
    memcpy(d, D, sizeof d);
    l->lif_charge(T_LOOPS_N, &k->r, X, U, H);
    for (int i = 0; i < T_LOOPS_N; i++) {
        const float h = mgi_lif_charge(&k->r, u[i], X[i]), left = mgi_lif_leave(&k->r, u[i], h);
        wrong += memcmp(&h, H + i, 4) != 0 || memcmp(&left, U + i, 4) != 0;
    }
    for (int add = 0; add < 2; add++) {
        t_loops_fill("o", dX);
        memcpy(D, d, sizeof d);
        l->lif_back(T_LOOPS_N, k, H, S, add, D, dX);
        t_loops_fill("o", u);
        for (int i = 0; i < T_LOOPS_N; i++) {
            const float aD = k->a * d[i];
            float s = S[i];
            if (k->through)
                s += value ? (k->r.U_reset - H[i]) * aD : k->kick * d[i];
            const float keep = value && mgi_lif_fires(&k->r, H[i]) ? 0.0f : aD;
            const float want = keep + t_loops_theta(k, H[i] - k->r.U_thr) * s;
            const float out = add ? u[i] + k->g * want : k->g * want;
            wrong += memcmp(&want, D + i, 4) != 0 || memcmp(&out, dX + i, 4) != 0;
        }
    }
    T_EQ(wrong, 0);
}

static void t_loops_lif_set(const mgi_loops *l)
{
    for (int n = 0; n < 144; n++) {
        mgi_lif_grad k = {.a = 0.9f, .g = 0.7f, .kick = -0.45f, .slope = n % 2 ? 2.0f : 25.0f};
        k.r.beta = 0.9f, k.r.tau = 2.0f, k.r.gain = 1.3f, k.r.U_thr = 0.5f, k.r.U_reset = 0.125f;
        k.atan = n % 2, k.through = n / 2 % 2;
        k.r.delay = n / 4 % 2, k.r.on_equal = n / 8 % 2;
        k.r.charge = (mgi_charge)(n / 16 % 3), k.r.reset = (mgi_reset)(n / 48);
        t_loops_lif_rule(l, &k);
    }
}

static void t_loops_lif(void)
{
    t_loops_each(t_loops_lif_set);
}

static mgi_optim_rule t_loops_rule(int n)
{
    const mgi_optim_rule r = {.clip = 0.75f, .lr = 0.01f, .wd = 0.03f, .mu = 0.9f, .b1 = 0.9f,
                              .b2 = 0.999f, .eps = 1e-8f, .c1 = 10.0f, .c2 = 1000.0f,
                              .nesterov = n, .decoupled = n};
    return r;
}

static void t_loops_optim_set(const mgi_loops *l)
{
    static float g[T_LOOPS_N], m[T_LOOPS_N], v[T_LOOPS_N], w[T_LOOPS_N], v0[T_LOOPS_N];
    static float m0[T_LOOPS_N], w0[T_LOOPS_N];
    int wrong = 0;
    t_loops_fill("g", g), t_loops_fill("m", m0), t_loops_fill("v", v0), t_loops_fill("w", w0);
    for (int i = 0; i < T_LOOPS_N; i++)
        v0[i] = v0[i] * v0[i] * (float)(i % 3);
    for (int n = 0; n < 2; n++) {
        const mgi_optim_rule r = t_loops_rule(n);
        memcpy(m, m0, sizeof m), memcpy(v, v0, sizeof v), memcpy(w, w0, sizeof w);
        l->adam(T_LOOPS_N, &r, g, m, v, w);
        for (int i = 0; i < T_LOOPS_N; i++) {
            const float d = g[i] * r.clip + (n ? 0.0f : r.wd * w0[i]);
            const float M = r.b1 * m0[i] + (1.0f - r.b1) * d;
            const float V = r.b2 * v0[i] + (1.0f - r.b2) * d * d;
            const float W = n ? w0[i] - r.lr * r.wd * w0[i] : w0[i];
            const float want = W - r.lr * (M * r.c1) / (sqrtf(V * r.c2) + r.eps);
            wrong += M != m[i] || V != v[i] || want != w[i];
        }
        memcpy(m, m0, sizeof m), memcpy(w, w0, sizeof w);
        l->sgd(T_LOOPS_N, &r, g, m, w);
        for (int i = 0; i < T_LOOPS_N; i++) {
            const float d = g[i] * r.clip + r.wd * w0[i], M = r.mu * m0[i] + d;
            wrong += M != m[i] || w[i] != w0[i] - r.lr * (n ? d + r.mu * M : M);
        }
    }
    memcpy(w, w0, sizeof w);
    l->average(T_LOOPS_N, 0.3f, g, w);
    for (int i = 0; i < T_LOOPS_N; i++)
        wrong += w[i] != w0[i] + 0.3f * (g[i] - w0[i]);
    T_EQ(wrong, 0);
}

static void t_loops_optim(void)
{
    t_loops_each(t_loops_optim_set);
}

/* The first maximum of a window takes all of dy, whatever the kernel set. */
static void t_loops_pool_set(const mgi_loops *l)
{
    enum { N = 2, H = 7, C = 37 };
    static float x[N * H * H * C], dy[N * H * H * C], dx[N * H * H * C], want[N * H * H * C];
    (void)l;
    for (int kind = 0; kind < 3; kind++) {
        mgi_pool p = {.C = C, .H = H, .W = H, .kh = 2 + kind % 2, .kw = 2, .sh = 2 - kind / 2,
                      .sw = 2, .ph = kind % 2, .pw = 0};
        T_REQUIRE(mgi_pool_shape(&p));
        mango_fill_u("x", 3, N * H * H * C, x);
        mango_fill_u("dy", 3, N * p.OH * p.OW * C, dy);
        for (int i = 0; i < N * H * H * C; i++) /* ties, and a map without a maximum */
            x[i] = i % 5 == 0 ? 0.25f : i % C == 4 ? NAN : x[i];
        mgi_maxpool_backward(&p, N, x, dy, dx);
        memset(want, 0, sizeof want);
        for (mango_idx o = 0; o < N * p.OH * p.OW * C; o++) {
            const mango_idx c = o % C, ox = o / C % p.OW, oy = o / C / p.OW % p.OH;
            const mango_idx n = o / C / p.OW / p.OH;
            mango_idx best = -1;
            float top = -3.4e38f;
            for (mango_idx k = 0; k < p.kh * p.kw; k++) {
                const mango_idx y = oy * p.sh - p.ph + k / p.kw, xx = ox * p.sw - p.pw + k % p.kw;
                const mango_idx at = ((n * H + y) * H + xx) * C + c;
                if (y < 0 || y >= H || xx < 0 || xx >= H)
                    continue;
                if (best < 0 || x[at] > top) {
                    top = x[at] > top ? x[at] : top;
                    best = at;
                }
            }
            want[best] += dy[o];
        }
        T_MEM(dx, want, (size_t)(N * H * H * C) * sizeof *dx);
    }
}

static void t_loops_pool(void)
{
    t_loops_each(t_loops_pool_set);
}

/* Sums of squares: in double, blocks of 4096, ascending. */
static void t_loops_norm(void)
{
    static float x[4096 * 70];
    static const mango_idx sizes[] = {0, 5, 4096, 4096 * 4 + 1, 4096 * 7, 4096 * 64, 4096 * 69 + 17};
    mango_fill_u("n", 1, MGI_COUNT(x), x);
    for (mango_idx k = 0; k < MGI_COUNT(sizes); k++) {
        double total = 0, s = 0;
        for (mango_idx i = 0; i < sizes[k]; i++) {
            s += (double)x[i] * (double)x[i];
            if (i % 4096 == 4095 || i == sizes[k] - 1) {
                total += s;
                s = 0;
            }
        }
        T_CHECK(mgi_norm2(sizes[k], x) == sqrt(total));
    }
}

/* Maps of bits from floats, and what is neither 0 nor 1 found at any place. */
static void t_loops_bits_set(const mgi_loops *l)
{
    static const mango_idx widths[] = {1, 5, 8, 24, 63, 64, 70, 96, 200};
    float x[3 * 200];
    uint64_t got[12], none[12];
    for (mango_idx k = 0; k < MGI_COUNT(widths); k++) {
        const mango_idx C = widths[k], words = mgi_bits_words(C);
        int wrong = 0;
        for (mango_idx i = 0; i < 3 * C; i++)
            x[i] = (float)(i * i % 7 % 2);
        T_CHECK(l->bits(3, C, x, got));
        for (mango_idx i = 0; i < 3 * C; i++)
            wrong += (got[i / C * words + i % C / 64] >> i % C % 64 & 1) != (x[i] == 1.0f);
        T_EQ(wrong, 0);
        for (mango_idx i = 0; i < 3 * C; i += MGI_MAX(1, C / 3)) {
            const float kept = x[i];
            x[i] = i % 2 ? NAN : -1.0f;
            T_CHECK(!l->bits(3, C, x, none));
            x[i] = -0.0f; /* is 0 */
            T_CHECK(l->bits(3, C, x, none));
            x[i] = kept;
        }
    }
}

static void t_loops_sums_set(const mgi_loops *l)
{
    enum { M = 5, LD = 67, W = 3 };
    static float b[64 * W * LD], c[M * LD], want[M * LD];
    uint64_t mask[M * W];
    mango_fill_u("b", 1, MGI_COUNT(b), b);
    for (int i = 0; i < M * W; i++)
        mask[i] = i == 4 ? 0 : i == 5 ? ~(uint64_t)0 : (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    for (mango_idx n = 1; n <= 64; n++) {
        const int load = (int)(n % 2);
        mango_fill_u("c", 1, MGI_COUNT(c), c);
        memcpy(want, c, sizeof c);
        l->sum_rows(M, n, W, mask, b, LD, c, LD, load);
        for (mango_idx i = 0; i < M * n; i++) {
            float s = load ? want[i / n * LD + i % n] : 0.0f;
            for (mango_idx p = 0; p < 64 * W; p++)
                if (mask[i / n * W + p / 64] >> p % 64 & 1)
                    s += b[p * LD + i % n];
            want[i / n * LD + i % n] = s;
        }
        T_MEM(c, want, sizeof c);
    }
}

static void t_loops_bits(void)
{
    t_loops_each(t_loops_bits_set);
    t_loops_each(t_loops_sums_set);
}

/* A convolution over a few spikes, forward and by its weights, against the same
 * with one more image of 1/2 behind, which takes the dense way. */
static void t_loops_conv_one(const mgi_conv *c, mango_idx N)
{
    const mango_idx in = c->H * c->W * c->C, out = c->OH * c->OW * c->O;
    const mango_idx weights = c->O * c->C * c->kh * c->kw, M = N + 1;
    const mango_idx work = MGI_MAX(mgi_conv_either_work(c, M), mgi_conv_backward_work(c, M));
    const mango_idx sizes[] = {M * in, M * out, 2 * N * out, M * out, weights, 2 * weights};
    float *a[6], *scratch = calloc((size_t)work, sizeof(float));
    for (int k = 0; k < 6; k++)
        a[k] = calloc((size_t)sizes[k], sizeof(float));
    float *x = a[0], *dy = a[1], *y = a[2], *y2 = a[3], *w = a[4], *dw = a[5];
    mango_fill_u("x", 1, N * in, x);
    for (mango_idx i = 0; i < N * in; i++)
        x[i] = x[i] > 0.8f ? 1.0f : 0.0f;
    for (mango_idx i = N * in; i < M * in; i++)
        x[i] = 0.5f;
    mango_fill_u("dy", 1, N * out, dy);
    mango_fill_u("w", 1, weights, w);
    uint64_t *bits = (uint64_t *)(void *)scratch;
    T_CHECK(mgi_bits_pack(N * c->H * c->W, c->C, x, bits) &&
            mgi_bits_few(N * c->H * c->W, c->C, c->O, bits));
    T_CHECK(!mgi_bits_pack(M * c->H * c->W, c->C, x, bits));
    mgi_conv_either(c, N, x, w, w, y, scratch);
    mgi_conv_either(c, M, x, w, w, y2, scratch);
    T_MEM(y, y2, (size_t)(N * out) * sizeof *y);
    mgi_conv_backward_weights(c, N, x, dy, dw, NULL, scratch);
    mgi_conv_backward_weights(c, M, x, dy, dw + weights, NULL, scratch);
    T_MEM(dw, dw + weights, (size_t)weights * sizeof *dw);
    for (int k = 0; k < 6; k++)
        free(a[k]);
    free(scratch);
}

/* dx from a dy of mostly zeros, against the same with as many images of another
 * kind behind, which takes the dense way. */
static void t_loops_few_one(const mgi_conv *c, mango_idx N)
{
    const mango_idx in = c->H * c->W * c->C, out = c->OH * c->OW * c->O;
    const mango_idx weights = c->O * c->C * c->kh * c->kw, M = 2 * N;
    float *dy = calloc((size_t)(M * out), sizeof *dy), *w = calloc((size_t)weights, sizeof *w);
    float *dx = calloc((size_t)(2 * M * in), sizeof *dx);
    float *work = calloc((size_t)mgi_conv_backward_work(c, M), sizeof *work);
    mango_fill_u("dy", 1, M * out, dy);
    mango_fill_u("w", 1, weights, w);
    for (mango_idx i = 0; i < N * out; i++)
        dy[i] = i * i % 11 < 3 ? dy[i] : 0.0f;
    memset(dy, 0, (size_t)(N * out / 5) * sizeof *dy);
    T_CHECK(mgi_few_backward_data(c, N, dy, w, dx, work));
    T_CHECK(!mgi_few_backward_data(c, M, dy, w, dx, work));
    memset(dx, 1, (size_t)(M * in) * sizeof *dx);
    mgi_conv_backward_data(c, N, dy, w, dx, work);
    mgi_conv_backward_data(c, M, dy, w, dx + M * in, work);
    T_MEM(dx, dx + M * in, (size_t)(N * in) * sizeof *dx);
    free(dy), free(w), free(dx), free(work);
}

static void t_loops_few_set(const mgi_loops *l)
{
    static const mgi_conv shapes[] = {
        {.C = 20, .H = 9, .W = 7, .O = 17, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .ph = 1, .pw = 1},
        {.C = 200, .H = 8, .W = 7, .O = 64, .kh = 5, .kw = 5, .sh = 1, .sw = 1},
        {.C = 67, .H = 5, .W = 5, .O = 16, .kh = 2, .kw = 3, .sh = 1, .sw = 1, .ph = 1, .pw = 2},
        {.C = 16, .H = 1, .W = 1, .O = 48, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .ph = 1, .pw = 1}};
    (void)l;
    for (mango_idx k = 0; k < MGI_COUNT(shapes); k++) {
        mgi_conv c = shapes[k];
        T_REQUIRE(mgi_conv_shape(&c));
        t_loops_few_one(&c, 3 + k);
    }
}

static void t_loops_few(void)
{
    t_loops_each(t_loops_few_set);
}

static void t_loops_conv_set(const mgi_loops *l)
{
    static const mgi_conv shapes[] = {
        {.C = 20, .H = 9, .W = 7, .O = 17, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .ph = 1, .pw = 1},
        {.C = 70, .H = 6, .W = 6, .O = 64, .kh = 5, .kw = 5, .sh = 1, .sw = 1},
        {.C = 64, .H = 4, .W = 4, .O = 130, .kh = 3, .kw = 3, .sh = 2, .sw = 2, .ph = 1, .pw = 1},
        {.C = 32, .H = 1, .W = 1, .O = 48, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .ph = 1, .pw = 1},
        {.C = 128, .H = 5, .W = 2, .O = 33, .kh = 1, .kw = 1, .sh = 2, .sw = 2}};
    static const mango_idx N[] = {2, 3, 33, 130, 70};
    (void)l;
    for (mango_idx k = 0; k < MGI_COUNT(shapes); k++) {
        mgi_conv c = shapes[k];
        T_REQUIRE(mgi_conv_shape(&c));
        t_loops_conv_one(&c, N[k]);
    }
}

static void t_loops_conv(void)
{
    t_loops_each(t_loops_conv_set);
}

void t_loops(void)
{
    T_CASE(t_loops_bits);
    T_CASE(t_loops_conv);
    T_CASE(t_loops_few);
    T_CASE(t_loops_lif);
    T_CASE(t_loops_optim);
    T_CASE(t_loops_pool);
    T_CASE(t_loops_norm);
}

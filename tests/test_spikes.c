/* test_spikes.c - maps of bits against their float forms, bit for bit, every
 * kernel set, 1 and 2 threads.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_spikes_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

/* n pixels of C channels, about `rate` of them 1, as floats and as words. */
static void t_spikes_fill(mango_rng *r, double rate, mango_idx n, mango_idx C, float *x,
                          uint64_t *b)
{
    const mango_idx words = mgi_bits_words(C);
    memset(b, 0, (size_t)(n * words) * sizeof *b);
    for (mango_idx i = 0; i < n * C; i++) {
        x[i] = (double)mango_rng_uniformf(r) < rate ? 1.0f : 0.0f;
        if (x[i] > 0.0f)
            b[i / C * words + i % C / 64] |= (uint64_t)1 << (i % C % 64);
    }
}

/* One convolution: inputs, and residuals of both kinds. */
typedef struct t_spikes_case {
    mgi_conv c;
    mango_idx N, nx, ny, nw;
    float *x, *w, *bias, *res, *resf; /* resf: the bits of resb as floats */
    uint64_t *b, *resb;
} t_spikes_case;

static void t_spikes_one(const t_spikes_case *t, const char *set, int residual, int relu)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const mgi_conv *c = &t->c;
    const mango_idx np = mgi_conv_packed(c);
    const mango_idx nf = MGI_MAX(mgi_conv_work(c, t->N), mgi_bits_conv_work(c, t->N));
    const mango_idx total = np + nf + 2 * t->ny;
    float *packed = mgi_new(&al, total, sizeof *packed), *work = packed + np;
    float *want = work + nf, *got = want + t->ny;
    const float *bias = residual < 3 ? t->bias : NULL;
    const mgi_epilogue e = {bias, residual == 1 ? t->res : residual ? t->resf : NULL, relu};
    const mgi_bits_epilogue f = {bias, residual == 1 ? t->res : NULL,
                                 residual > 1 ? t->resb : NULL, relu};
    mgi_conv_pack(c, t->w, packed);
    mgi_conv_forward(c, t->N, t->x, packed, &e, want, work);
    mgi_bits_conv(c, t->N, t->b, packed, &f, got, work);
    char what[200];
    snprintf(
        what, sizeof what,
        "%s, %d threads, residual %d: N %d C %d %dx%d O %d k %dx%d s %d,%d p %d,%d t %d",
        set, mango_threads(), residual, (int)t->N, (int)c->C, (int)c->H, (int)c->W,
        (int)c->O, c->kh, c->kw, c->sh, c->sw, c->ph, c->pw, c->transposed);
    t_check(memcmp(want, got, (size_t)t->ny * sizeof *got) == 0, what, __FILE__, __LINE__);
    mgi_del(&al, packed, total, sizeof *packed);
}

static void t_spikes_fused_one(const t_spikes_case *t, mango_idx B, int residual, int repeats);
static void t_spikes_repeat(const t_spikes_case *t, mango_idx B, mango_idx period);

/* B > 0: with a LIF layer behind, B inputs over N/B steps. */
static void t_spikes_case_run(const t_spikes_case *t, mango_idx B)
{
    const int threads = mango_threads();
    const char *best = "ref";
    int residual = 0;
    for (mango_idx s = 0; s < MGI_COUNT(t_spikes_sets); s++) {
        if (!mgi_kernels_force(t_spikes_sets[s]))
            continue;
        best = t_spikes_sets[s];
        for (int n = 1; n <= 2; n++, residual++) {
            mango_set_threads(n);
            if (B == 0)
                t_spikes_one(t, best, residual % 4, residual / 4 % 2);
            else
                t_spikes_fused_one(t, B, residual % 4, (residual + n) % 2);
        }
    }
    mango_set_threads(threads);
    mgi_kernels_force(best);
}

static void t_spikes_conv_case(mango_rng *r, mgi_conv c, mango_idx N, double rate,
                               mango_idx B)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    t_spikes_case t = {.c = c, .N = N};
    if (!mgi_conv_shape(&t.c))
        return;
    t.nx = N * c.H * c.W * c.C, t.ny = N * t.c.OH * t.c.OW * c.O;
    t.nw = c.O * c.C * c.kh * c.kw;
    const mango_idx pi = N * c.H * c.W, po = N * t.c.OH * t.c.OW;
    const mango_idx wi = pi * mgi_bits_words(c.C), wo = po * mgi_bits_words(c.O);
    const mango_idx floats = t.nx + t.nw + c.O + 2 * t.ny;
    t.b = mgi_new(&al, wi + wo, sizeof *t.b);
    t.resb = t.b + wi;
    t.x = mgi_new(&al, floats, sizeof *t.x);
    t.w = t.x + t.nx, t.bias = t.w + t.nw, t.res = t.bias + c.O, t.resf = t.res + t.ny;
    for (mango_idx i = 0; i < t.nw + c.O + t.ny; i++)
        t.w[i] = 2.0f * mango_rng_uniformf(r) - 1.0f;
    t_spikes_fill(r, rate, pi, c.C, t.x, t.b);
    t_spikes_fill(r, 0.3, po, c.O, t.resf, t.resb);
    T_EQ(mgi_bits_total(wi, t.b) <= pi * c.C, 1);
    if (B > 0)
        t_spikes_repeat(&t, B, 3);
    t_spikes_case_run(&t, B);
    mgi_del(&al, t.b, wi + wo, sizeof *t.b);
    mgi_del(&al, t.x, floats, sizeof *t.x);
}

static void t_spikes_conv(void)
{
    static const double rate[] = {0.0, 0.01, 0.15, 0.4, 0.8, 1.0};
    mango_rng r;
    mango_rng_init(&r, 41, 0, 0);
    for (int i = 0; i < 150; i++) {
        const mgi_conv c = {.C = 1 + mango_rng_int(&r, i % 3 ? 20 : 200),
                            .H = 1 + mango_rng_int(&r, 9),
                            .W = 1 + mango_rng_int(&r, 9),
                            .O = 1 + mango_rng_int(&r, i % 4 ? 40 : 150),
                            .kh = 1 + (int)mango_rng_int(&r, 5),
                            .kw = 1 + (int)mango_rng_int(&r, 5),
                            .sh = 1 + (int)mango_rng_int(&r, 3),
                            .sw = 1 + (int)mango_rng_int(&r, 3),
                            .ph = (int)mango_rng_int(&r, 4),
                            .pw = (int)mango_rng_int(&r, 4),
                            .transposed = i % 16 == 0};
        t_spikes_conv_case(&r, c, 1 + mango_rng_int(&r, 12), rate[i % 6], 0);
    }
}

/* The shapes that matter: large enough for several items, groups and parts. */
static void t_spikes_conv_large(void)
{
    static const mgi_conv c[] = {
        {.C = 200, .H = 14, .W = 14, .O = 64, .kh = 5, .kw = 5, .sh = 1, .sw = 1},
        {.C = 64,
         .H = 8,
         .W = 8,
         .O = 128,
         .kh = 3,
         .kw = 3,
         .sh = 2,
         .sw = 2,
         .ph = 1,
         .pw = 1},
        {.C = 256,
         .H = 2,
         .W = 2,
         .O = 256,
         .kh = 3,
         .kw = 3,
         .sh = 1,
         .sw = 1,
         .ph = 1,
         .pw = 1},
        {.C = 512,
         .H = 1,
         .W = 1,
         .O = 512,
         .kh = 3,
         .kw = 3,
         .sh = 1,
         .sw = 1,
         .ph = 1,
         .pw = 1},
        {.C = 64, .H = 5, .W = 5, .O = 100, .kh = 5, .kw = 5, .sh = 1, .sw = 1},
        {.C = 3,
         .H = 3,
         .W = 40,
         .O = 5,
         .kh = 2,
         .kw = 7,
         .sh = 1,
         .sw = 2,
         .ph = 3,
         .pw = 9}};
    T_SLOW();
    mango_rng r;
    mango_rng_init(&r, 42, 0, 0);
    for (mango_idx i = 0; i < MGI_COUNT(c); i++)
        t_spikes_conv_case(&r, c[i], c[i].H > 8 ? 2 : 30, 0.2, 0);
}

/* ---- convolution and LIF in one pass ---------------------------------------- */

/* What the LIF layer makes of all currents, map after map. */
static void t_spikes_lif_plain(const mgi_lif_rule *r, mango_idx N, mango_idx B, mango_idx n,
                               const float *X, float *U, float *S)
{
    for (mango_idx i = 0; i < N; i++)
        mgi_lif_ref(n, r, X + i * n, U + i % B * n, S + i * n);
}

/* Spikes and membranes of the fused pass against those of the plain one. */
static void t_spikes_fused_one(const t_spikes_case *t, mango_idx B, int residual, int repeats)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const mgi_conv *c = &t->c;
    const mango_idx np = mgi_conv_packed(c), n = t->ny / t->N, pixels = t->ny / c->O;
    const mango_idx nf = MGI_MAX(mgi_conv_work(c, t->N), mgi_bits_conv_work(c, t->N));
    const mango_idx total = np + nf + 3 * t->ny + 2 * B * n, words = mgi_bits_words(c->O);
    float *packed = mgi_new(&al, total, sizeof *packed), *work = packed + np;
    float *X = work + nf, *want = X + t->ny, *got = want + t->ny;
    float *U = got + t->ny, *V = U + B * n;
    uint64_t *S = mgi_new(&al, pixels * words, sizeof *S);
    const mgi_lif_rule jelly = {.charge = MGI_CHARGE_TAU, .reset = MGI_RESET_VALUE,
                                .on_equal = 1, .tau = 2.0f, .gain = 1.0f, .U_thr = 0.5f};
    const mgi_lif_rule torch = {.charge = MGI_CHARGE_LEAK, .reset = MGI_RESET_SUBTRACT,
                                .delay = 1, .beta = 0.9f, .tau = 1.0f, .gain = 1.0f,
                                .U_thr = 1.0f};
    const mgi_bits_lif lif = {residual % 2 ? jelly : torch, B, V, S, repeats};
    const float *bias = residual < 3 ? t->bias : NULL;
    const mgi_epilogue e = {bias, residual == 1 ? t->res : residual ? t->resf : NULL, 0};
    const mgi_bits_epilogue f = {bias, residual == 1 ? t->res : NULL,
                                 residual > 1 ? t->resb : NULL, 0};
    mgi_conv_pack(c, t->w, packed);
    mgi_conv_forward(c, t->N, t->x, packed, &e, X, work);
    t_spikes_lif_plain(&lif.rule, t->N, B, n, X, U, want);
    mgi_bits_conv_lif(c, t->N, t->b, packed, &f, &lif, work);
    mgi_bits_expand(pixels, c->O, S, got);
    const int same = memcmp(want, got, (size_t)t->ny * sizeof *got) == 0 &&
                     memcmp(U, V, (size_t)(B * n) * sizeof *U) == 0;
    char what[200];
    snprintf(what, sizeof what,
             "%s, %d threads, residual %d, repeats %d: N %d of %d C %d %dx%d O %d k %dx%d s %d,%d "
             "p %d,%d",
             mgi_kernels_get()->name, mango_threads(), residual, repeats, (int)t->N, (int)B,
             (int)c->C, (int)c->H, (int)c->W, (int)c->O, c->kh, c->kw, c->sh, c->sw, c->ph,
             c->pw);
    t_check(same, what, __FILE__, __LINE__);
    mgi_del(&al, S, pixels * words, sizeof *S);
    mgi_del(&al, packed, total, sizeof *packed);
}

/* Maps n and n + B*period are equal from here on. */
static void t_spikes_repeat(const t_spikes_case *t, mango_idx B, mango_idx period)
{
    const mango_idx nx = t->nx / t->N, nb = nx / t->c.C * mgi_bits_words(t->c.C);
    for (mango_idx n = B * period; n < t->N; n++) {
        memcpy(t->x + n * nx, t->x + (n - B * period) * nx, (size_t)nx * sizeof *t->x);
        memcpy(t->b + n * nb, t->b + (n - B * period) * nb, (size_t)nb * sizeof *t->b);
    }
}

static void t_spikes_fused(void)
{
    static const double rate[] = {0.0, 0.02, 0.2, 0.4, 0.9};
    static const mango_idx steps[] = {1, 2, 7, 33, 64, 65, 130};
    mango_rng r;
    mango_rng_init(&r, 45, 0, 0);
    for (int i = 0; i < 50; i++) {
        const mgi_conv c = {.C = 1 + mango_rng_int(&r, i % 3 ? 70 : 210),
                            .H = 1 + mango_rng_int(&r, 6),
                            .W = 1 + mango_rng_int(&r, 6),
                            .O = 1 + mango_rng_int(&r, i % 4 ? 70 : 150),
                            .kh = 1 + (int)mango_rng_int(&r, 3),
                            .kw = 1 + (int)mango_rng_int(&r, 3),
                            .sh = 1 + (int)mango_rng_int(&r, 2),
                            .sw = 1 + (int)mango_rng_int(&r, 2),
                            .ph = (int)mango_rng_int(&r, 2),
                            .pw = (int)mango_rng_int(&r, 2)};
        const mango_idx B = 1 + mango_rng_int(&r, 3);
        t_spikes_conv_case(&r, c, B * steps[i % 7], rate[i % 5], B);
    }
}

/* ---- LIF ------------------------------------------------------------------- */

enum { T_SPIKES_STEPS = 6 };

/* T steps of n neurons as floats and as bits: the same spikes and membranes.
 * with: 1 a bias, 2 a residual, 4 one of bits, 8 rows in another order. */
static void t_spikes_lif_rule(mango_rng *rng, const mgi_lif_rule *r, mango_idx n, int with)
{
    enum { T = T_SPIKES_STEPS };
    static const uint16_t row[T] = {2, 0, 1, 1, 5, 0};
    float X[T * 64], R[T * 64], bias[64], U[64] = {0}, V[64] = {0}, x[64], S[64], E[64];
    uint64_t B[2 * T], W[2 * T];
    int bad = 0;
    for (mango_idx i = 0; i < T * n; i++) {
        X[i] = 3.0f * mango_rng_uniformf(rng) - 1.0f;
        R[i] = mango_rng_uniformf(rng) - 0.5f;
        bias[i % n] = mango_rng_uniformf(rng) - 0.5f;
        W[i % T * 2] = ((uint64_t)1 << (n - 1)) * 2 - 1;
        W[i % T * 2] &= mango_rng_u64(rng);
    }
    const mgi_lif_run q = {.T = T, .n = n, .X = X, .ldX = n, .U = V, .S = B, .ldS = 2,
                           .row = with & 8 ? row : NULL, .bias = with & 1 ? bias : NULL,
                           .res = with & 2 ? R : NULL, .ldres = n,
                           .bits = with & 4 ? W : NULL, .ldbits = 2};
    mgi_kernels_get()->lif_bits(r, &q);
    for (int t = 0; t < T; t++) {
        for (mango_idx i = 0; i < n; i++) {
            x[i] = X[(with & 8 ? row[t] : t) * n + i];
            x[i] = with & 1 ? x[i] + bias[i] : x[i];
            x[i] = with & 2 ? x[i] + R[t * n + i] : x[i];
            x[i] = with & 4 ? x[i] + (float)(W[t * 2] >> i & 1) : x[i];
        }
        mgi_lif_ref(n, r, x, U, S);
        mgi_bits_expand(1, n, B + 2 * t, E);
        bad += memcmp(S, E, (size_t)n * sizeof *S) != 0;
        bad += n < 64 && B[2 * t] >> n != 0;
    }
    T_EQ(bad + (memcmp(U, V, (size_t)n * sizeof *U) != 0), 0);
}

static void t_spikes_lif(void)
{
    static const mango_idx n[] = {1, 7, 8, 16, 17, 36, 63, 64};
    static const float tau[] = {1.0f, 2.0f, 3.0f, 4.0f};
    mango_rng rng;
    mango_rng_init(&rng, 43, 0, 0);
    const char *best = "ref";
    for (mango_idx s = 0; s < MGI_COUNT(t_spikes_sets); s++) {
        if (!mgi_kernels_force(t_spikes_sets[s]))
            continue;
        best = t_spikes_sets[s];
        for (int i = 0; i < 36; i++) {
            const mgi_lif_rule r = {.charge = (mgi_charge)(i % 3),
                                    .reset = (mgi_reset)(i / 3 % 3),
                                    .delay = i / 9 % 2,
                                    .on_equal = i / 18,
                                    .beta = 0.9f,
                                    .tau = tau[i % 4],
                                    .gain = 1.0f,
                                    .U_thr = 1.0f,
                                    .U_rest = 0.1f,
                                    .U_reset = 0.1f};
            for (int c = 0; c < 16; c++)
                t_spikes_lif_rule(&rng, &r, n[(i + c) % MGI_COUNT(n)], c);
        }
    }
    mgi_kernels_force(best);
}

/* ---- pools, widening, counts ------------------------------------------------- */

static void t_spikes_pool_case(mango_rng *r, mgi_pool p, mango_idx N)
{
    enum { IN = 4 * 9 * 9 * 130, OUT = 4 * 10 * 10 * 130 };
    const mango_alloc al = mgi_alloc_get(NULL);
    float *x = mgi_new(&al, IN + 2 * OUT, sizeof *x), *want = x + IN, *got = want + OUT;
    uint64_t *b = mgi_new(&al, 4 * (81 + 100) * 3, sizeof *b), *m = b + 4 * 81 * 3;
    t_spikes_fill(r, 0.3, N * p.H * p.W, p.C, x, b);
    if (mgi_pool_shape(&p)) {
        const mango_idx pixels = N * p.OH * p.OW;
        const size_t bytes = (size_t)(pixels * p.C) * sizeof *x;
        mgi_maxpool(&p, N, x, want);
        mgi_bits_maxpool(&p, N, b, m);
        mgi_bits_expand(pixels, p.C, m, got);
        T_EQ(memcmp(want, got, bytes), 0);
        mgi_avgpool(&p, N, x, want);
        mgi_bits_avgpool(&p, N, b, got);
        T_EQ(memcmp(want, got, bytes), 0);
    }
    p.OH = 1 + mango_rng_int(r, p.H), p.OW = 1 + mango_rng_int(r, p.W);
    mgi_adaptiveavg(&p, N, x, want);
    mgi_bits_adaptiveavg(&p, N, b, got);
    T_EQ(memcmp(want, got, (size_t)(N * p.OH * p.OW * p.C) * sizeof *x), 0);
    mgi_del(&al, x, IN + 2 * OUT, sizeof *x);
    mgi_del(&al, b, 4 * (81 + 100) * 3, sizeof *b);
}

static void t_spikes_pool(void)
{
    mango_rng r;
    mango_rng_init(&r, 44, 0, 0);
    for (int i = 0; i < 60; i++) {
        mgi_pool p = {.C = 1 + mango_rng_int(&r, 130),
                      .H = 1 + mango_rng_int(&r, 9),
                      .W = 1 + mango_rng_int(&r, 9),
                      .kh = 1 + (int)mango_rng_int(&r, 3),
                      .kw = 1 + (int)mango_rng_int(&r, 3),
                      .sh = 1 + (int)mango_rng_int(&r, 3),
                      .sw = 1 + (int)mango_rng_int(&r, 3)};
        p.ph = (int)mango_rng_int(&r, p.kh / 2 + 1);
        p.pw = (int)mango_rng_int(&r, p.kw / 2 + 1);
        t_spikes_pool_case(&r, p, 1 + mango_rng_int(&r, 4));
    }
}

static void t_spikes_bits(void)
{
    const uint64_t x[] = {0, ~(uint64_t)0, 0x8000000000000001u, 0x5555555555555555u};
    T_EQ(mgi_bits_total(4, x), 64 + 2 + 32);
    T_EQ(mgi_bits_first(x[3] << 5), 5);
}

/* ---- plans ----------------------------------------------------------------- */

/* Reading one of x0 .. x3 keeps spikes as floats: a concat takes no bits. */
static const char t_spikes_net[] = "mango-graph 1\n"
                                   "net arch=toy T=6\n"
                                   "input input - shape=3x9x9\n"
                                   "c0 conv input out=70 kernel=3 pad=1 bias=1\n"
                                   "s0 lif c0 preset=snntorch U_thr=0.2\n"
                                   "m0 maxpool s0 kernel=3 stride=2 pad=1\n"
                                   "c1 conv m0 out=70 kernel=3 pad=1 bias=1\n"
                                   "a1 add c1,m0\n"
                                   "s1 lif a1 preset=spikingjelly U_thr=0.4\n"
                                   "c2 conv s1 out=70 kernel=3 pad=1 bias=0\n"
                                   "b2 batchnorm c2\n"
                                   "c3 conv m0 out=70 kernel=1 bias=0\n"
                                   "a2 add b2,c3\n"
                                   "s2 lif a2 preset=snntorch reset=zero\n"
                                   "v2 avgpool s2 kernel=2 stride=2\n"
                                   "g2 globalavg s2\n"
                                   "l2 linear s2 out=20 bias=1\n"
                                   "x0 concat s0,s0\n"
                                   "x1 concat m0,m0\n"
                                   "x2 concat s1,s1\n"
                                   "x3 concat s2,s2\n";
enum { T_SPIKES_LAYERS = 15, T_SPIKES_T = 6, T_SPIKES_B = 3 };

/* All layers but x0 .. x3, `what`; steps that write bits in *bits. small: in
 * the smallest chunks, about. */
static mango_idx t_spikes_read(const mango_net *net, int blocked, int small,
                               mango_read what, const float *x, float *y, int *bits)
{
    mango_reading r[T_SPIKES_LAYERS + 4];
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_err err = {""};
    mango_idx at = 0, kept = 0;
    mango_plan_defaults(&o);
    o.batch = T_SPIKES_B;
    o.memory = small ? 65536 : 0;
    for (int i = 0; i < T_SPIKES_LAYERS + 4; i++) {
        const mgi_node *g = &net->node[i];
        const mango_idx n = what == MANGO_READ_RATE ? g->C : g->C * g->H * g->W;
        r[i].layer = i, r[i].what = what, r[i].out = y + at;
        at += n * T_SPIKES_B * (what == MANGO_READ_SPIKES ? T_SPIKES_T : 1);
        kept = i < T_SPIKES_LAYERS ? at : kept;
    }
    while (mango_plan_create(&p, net, &o, T_SPIKES_LAYERS + 4 * blocked, r, NULL, &err) ==
               MANGO_E_MEM &&
           o.memory > 0 && o.memory < 1 << 28)
        o.memory += o.memory / 4;
    T_CHECK(p != NULL && (!small || p->Tc * p->Bc < T_SPIKES_T * T_SPIKES_B));
    *bits = 0;
    for (int i = 0; p && i < p->n_steps; i++)
        *bits += p->step[i].bits;
    T_STATUS(mango_plan_run(p, T_SPIKES_B, x), MANGO_OK);
    mango_plan_destroy(p);
    return kept;
}

static void t_spikes_plan(void)
{
    enum { VALUES = 1 << 20, INPUT = T_SPIKES_B * 3 * 81 };
    static const mango_read what[] = {MANGO_READ_MEAN, MANGO_READ_RATE, MANGO_READ_SPIKES};
    const mango_alloc al = mgi_alloc_get(NULL);
    float *want = mgi_new(&al, 2 * VALUES + INPUT, sizeof *want), *got = want + VALUES;
    mango_net *net = NULL;
    mango_err err = {""};
    int bits = 0;
    T_OK(mango_net_parse(&net, t_spikes_net, (mango_idx)strlen(t_spikes_net), NULL, &err),
         &err);
    T_REQUIRE(net && want);
    T_REQUIRE(net->n_nodes == T_SPIKES_LAYERS + 4);
    T_STATUS(mango_net_fill(net, 3, 3.0), MANGO_OK);
    for (mango_idx i = 0; i < INPUT; i++)
        got[VALUES + i] = (float)(i * 37 % 101) / 101.0f;
    for (mango_idx w = 0; w < MGI_COUNT(what); w++)
        for (int small = 0; small < 2; small++) {
            const float *x = got + VALUES;
            const mango_idx n = t_spikes_read(net, 1, 0, what[w], x, want, &bits);
            T_EQ(bits, 0);
            t_spikes_read(net, 0, small, what[w], x, got, &bits);
            T_EQ(bits, 4); /* s0 m0 s1 s2 */
            T_EQ(memcmp(want, got, (size_t)n * sizeof *got), 0);
        }
    double sum = 0;
    for (mango_idx i = 0; i < T_SPIKES_B * 70; i++)
        sum += (double)want[i];
    T_CHECK(sum != 0.0);
    mango_net_destroy(net);
    mgi_del(&al, want, 2 * VALUES + INPUT, sizeof *want);
}

void t_spikes(void)
{
    T_CASE(t_spikes_bits);
    T_CASE(t_spikes_lif);
    T_CASE(t_spikes_pool);
    T_CASE(t_spikes_conv);
    T_CASE(t_spikes_conv_large);
    T_CASE(t_spikes_fused);
    T_CASE(t_spikes_plan);
}

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

static void t_spikes_case_run(const t_spikes_case *t)
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
            t_spikes_one(t, best, residual % 4, residual / 4 % 2);
        }
    }
    mango_set_threads(threads);
    mgi_kernels_force(best);
}

static void t_spikes_conv_case(mango_rng *r, mgi_conv c, mango_idx N, double rate)
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
    t_spikes_case_run(&t);
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
        t_spikes_conv_case(&r, c, 1 + mango_rng_int(&r, 12), rate[i % 6]);
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
        t_spikes_conv_case(&r, c[i], c[i].H > 8 ? 2 : 30, 0.2);
}

/* ---- LIF ------------------------------------------------------------------- */

/* Steps of one rule as floats and as bits: the same spikes and membranes. */
static void t_spikes_lif_rule(mango_rng *rng, const mgi_lif_rule *r, mango_idx rows,
                              mango_idx C)
{
    enum { MOST = 6 * 130 };
    float X[MOST], U[MOST], V[MOST], S[MOST], E[MOST];
    uint64_t B[6 * 3];
    const mgi_kernels *k = mgi_kernels_get();
    const size_t bytes = (size_t)(rows * C) * sizeof *X;
    memset(U, 0, sizeof U);
    memset(V, 0, sizeof V);
    int bad = 0;
    for (int t = 0; t < 6; t++) {
        for (mango_idx i = 0; i < rows * C; i++)
            X[i] = 3.0f * mango_rng_uniformf(rng) - 1.0f;
        mgi_lif_ref(rows * C, r, X, U, S);
        k->lif_bits(rows, C, r, X, V, B);
        mgi_bits_expand(rows, C, B, E);
        bad += memcmp(S, E, bytes) != 0 || memcmp(U, V, bytes) != 0;
    }
    T_EQ(bad, 0);
}

static void t_spikes_lif(void)
{
    static const mango_idx C[] = {1, 7, 8, 63, 64, 65, 100, 130};
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
            for (mango_idx c = 0; c < MGI_COUNT(C); c++)
                t_spikes_lif_rule(&rng, &r, 1 + c % 6, C[c]);
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
    float y[70];
    T_EQ(mgi_bits_total(4, x), 64 + 2 + 32);
    T_EQ(mgi_bits_first(x[3] << 5), 5);
    for (mango_idx n = 0; n <= 70; n++) {
        memset(y, 0, sizeof y);
        mgi_bits_add_part(60, n, x + 1, y);
        int bad = 0;
        for (mango_idx i = 0; i < 70; i++)
            bad += y[i] != (i < n && (i < 4 || i == 4 || i == 67 || i == 68) ? 1.0f : 0.0f);
        T_EQ(bad, 0);
    }
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
    T_CASE(t_spikes_plan);
}

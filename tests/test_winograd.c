/* test_winograd.c - F(2x2,3x3) and F(4x4,3x3): the transforms on numbers where
 * they are exact, equal bits for every kernel set, thread count and batch, the
 * stated bound against exact sums, and what the planner does with them.
 * SPDX-License-Identifier: MIT */
#include "test.h"

static const char *const t_winograd_sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};

typedef struct t_winograd_case {
    mgi_conv c;
    mango_idx N, nx, ny, nw, total;
    int relu, with_bias, with_res;
    float *all, *x, *w, *bias, *res, *want, *got;
} t_winograd_case;

static void t_winograd_open(t_winograd_case *t)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_conv *c = &t->c;
    c->kh = c->kw = 3;
    c->sh = c->sw = 1;
    T_CHECK(mgi_conv_shape(c));
    t->nx = t->N * c->H * c->W * c->C, t->ny = t->N * c->OH * c->OW * c->O;
    t->nw = c->O * c->C * 9;
    t->total = t->nx + t->nw + c->O + 3 * t->ny;
    t->all = mgi_new(&al, t->total, sizeof *t->all);
    t->x = t->all, t->w = t->x + t->nx, t->bias = t->w + t->nw, t->res = t->bias + c->O;
    t->want = t->res + t->ny, t->got = t->want + t->ny;
}

static void t_winograd_close(t_winograd_case *t)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    mgi_del(&al, t->all, t->total, sizeof *t->all);
}

/* Values of very different sizes, some of them zero. */
static void t_winograd_fill(mango_rng *r, mango_idx n, float *x)
{
    for (mango_idx i = 0; i < n; i++)
        x[i] = mango_rng_int(r, 8) == 0 ? 0.0f
                                        : (2.0f * mango_rng_uniformf(r) - 1.0f) *
                                              (float)(1 << mango_rng_int(r, 6));
}

/* y by the form that c names, `part` images at a time. */
static void t_winograd_run(const t_winograd_case *t, mango_idx part, float *y)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    const mgi_conv *c = &t->c;
    const mango_idx np = mgi_conv_packed(c), nf = mgi_conv_work(c, part), total = np + nf;
    const mango_idx sx = c->H * c->W * c->C, sy = c->OH * c->OW * c->O;
    float *packed = mgi_new(&al, total, sizeof *packed);
    memset(packed + np, 0xff, (size_t)nf * sizeof *packed); /* NaN: scratch is not to be read */
    mgi_conv_pack(c, t->w, packed);
    for (mango_idx n = 0; n < t->N; n += part) {
        const mgi_epilogue e = {t->with_bias ? t->bias : NULL,
                                t->with_res ? t->res + n * sy : NULL, t->relu};
        mgi_conv_forward(c, MGI_MIN(part, t->N - n), t->x + n * sx, packed, &e, y + n * sy,
                         packed + np);
    }
    mgi_del(&al, packed, total, sizeof *packed);
}

/* ---- exact numbers ---------------------------------------------------------- */

/* Small integers; weights are multiples of 24*24 for m = 4 and of 4 for m = 2,
 * so that every number on the way is an integer below 2^24, and every sum exact. */
static void t_winograd_exact(void)
{
    mango_rng r;
    mango_rng_init(&r, 11, 1, 0);
    for (int i = 0; i < 24; i++) {
        const int m = i % 2 ? 4 : 2;
        t_winograd_case t = {.c = {.C = 1 + mango_rng_int(&r, 5), .O = 1 + mango_rng_int(&r, 40),
                                   .H = 1 + mango_rng_int(&r, 13), .W = 1 + mango_rng_int(&r, 13),
                                   .ph = 1, .pw = 1, .winograd = m},
                             .N = 1 + mango_rng_int(&r, 3)};
        t_winograd_open(&t);
        for (mango_idx k = 0; k < t.nx; k++)
            t.x[k] = (float)mango_rng_int(&r, 5) - 2.0f;
        for (mango_idx k = 0; k < t.nw; k++)
            t.w[k] = (float)((m == 2 ? 4 : 576) * (mango_rng_int(&r, 3) - 1));
        mgi_conv_forward_ref(&t.c, t.N, t.x, t.w, NULL, t.want);
        t_winograd_run(&t, t.N, t.got);
        mango_idx bad = 0;
        for (mango_idx k = 0; k < t.ny; k++)
            bad += !(t.got[k] == t.want[k]);
        T_EQ(bad, 0);
        t_winograd_close(&t);
    }
}

/* ---- the same bits ------------------------------------------------------------ */

static void t_winograd_one_set(t_winograd_case *t, const char *set)
{
    for (int threads = 1; threads <= 3; threads += 2)
        for (mango_idx part = t->N; part > 0; part = part > 1 ? 1 : 0) {
            char what[160];
            const mgi_conv *c = &t->c;
            mango_set_threads(threads);
            memset(t->got, 0xff, (size_t)t->ny * sizeof *t->got);
            t_winograd_run(t, part, t->got);
            snprintf(what, sizeof what,
                     "%s, %d threads, %d of %d images: F(%d) C %d %dx%d O %d p %d,%d differs", set,
                     threads, (int)part, (int)t->N, c->winograd, (int)c->C, (int)c->H, (int)c->W,
                     (int)c->O, c->ph, c->pw);
            t_check(memcmp(t->want, t->got, (size_t)t->ny * sizeof *t->got) == 0, what, __FILE__,
                    __LINE__);
        }
}

static void t_winograd_all_sets(t_winograd_case *t, mango_rng *r)
{
    const int threads = mango_threads();
    const char *before = mgi_kernels_get()->name;
    t_winograd_open(t);
    t_winograd_fill(r, t->nx + t->nw + t->c.O + t->ny, t->all);
    mango_set_threads(1);
    T_CHECK(mgi_kernels_force("ref"));
    t_winograd_run(t, t->N, t->want);
    for (mango_idx s = 0; s < MGI_COUNT(t_winograd_sets); s++)
        if (mgi_kernels_force(t_winograd_sets[s]))
            t_winograd_one_set(t, t_winograd_sets[s]);
    mango_set_threads(threads);
    T_CHECK(mgi_kernels_force(before));
    t_winograd_close(t);
}

static void t_winograd_bits(void)
{
    mango_rng r;
    mango_rng_init(&r, 12, 1, 0);
    for (int i = 0; i < 24; i++) {
        const mango_idx most = i % 4 ? 40 : 140;
        t_winograd_case t = {.c = {.C = 1 + mango_rng_int(&r, most), .O = 1 + mango_rng_int(&r, most),
                                   .H = 1 + mango_rng_int(&r, 14), .W = 1 + mango_rng_int(&r, 14),
                                   .winograd = i % 2 ? 4 : 2},
                             .N = 1 + mango_rng_int(&r, 4)};
        t.c.ph = t.c.H < 3 ? 1 : (int)mango_rng_int(&r, 3);
        t.c.pw = t.c.W < 3 ? 1 : (int)mango_rng_int(&r, 3);
        t.with_bias = i % 3 > 0, t.with_res = i % 5 > 1, t.relu = i % 7 > 2;
        t_winograd_all_sets(&t, &r);
    }
}

/* Many channels: several k blocks, the team's way; many tiles: several blocks. */
static void t_winograd_large(void)
{
    mango_rng r;
    mango_rng_init(&r, 13, 1, 0);
    for (int m = 2; m <= 4; m += 2) {
        t_winograd_case deep = {.c = {.C = 530, .O = 70, .H = 5, .W = 6, .ph = 1, .pw = 1,
                                      .winograd = m}, .N = 2, .relu = 1, .with_bias = 1};
        t_winograd_case wide = {.c = {.C = 20, .O = 33, .H = 70, .W = 50, .ph = 1, .pw = 1,
                                      .winograd = m}, .N = 2, .with_res = 1};
        t_winograd_all_sets(&deep, &r);
        if (!t_fast())
            t_winograd_all_sets(&wide, &r);
    }
}

/* ---- the bound ------------------------------------------------------------------ */

/* |A'| z |A| at output (i,j) of a tile, z (a,a). */
static double t_winograd_fold(int m, const double *z, int i, int j)
{
    static const double A2[2][4] = {{1, 1, 1, 0}, {0, 1, 1, 1}};
    static const double A4[4][6] = {{1, 1, 1, 1, 1, 0}, {0, 1, 1, 2, 2, 0}, {0, 1, 1, 4, 4, 0},
                                    {0, 1, 1, 8, 8, 1}};
    const int a = m + 2;
    double sum = 0;
    for (int p = 0; p < a; p++)
        for (int q = 0; q < a; q++)
            sum += (m == 2 ? A2[i][p] * A2[j][q] : A4[i][p] * A4[j][q]) * z[p * a + q];
    return sum;
}

/* z += |U| o (|B'||d||B|) for one channel. */
static void t_winograd_product(int m, const float *g, const double *d, double *z)
{
    static const double B2[4][4] = {{1, 0, 1, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}, {0, 1, 0, 1}};
    static const double B4[6][6] = {{4, 0, 5, 0, 1, 0}, {0, 4, 4, 1, 1, 0}, {0, 4, 4, 1, 1, 0},
                                    {0, 2, 1, 2, 1, 0}, {0, 2, 1, 2, 1, 0}, {0, 4, 0, 5, 0, 1}};
    const int a = m + 2;
    float U[36];
    double t[36];
    mgi_winograd_filter(m, 1, g, U);
    for (int i = 0; i < a; i++)
        for (int j = 0; j < a; j++) {
            t[i * a + j] = 0;
            for (int k = 0; k < a; k++)
                t[i * a + j] += (m == 2 ? B2[i][k] : B4[i][k]) * d[k * a + j];
        }
    for (int i = 0; i < a; i++)
        for (int j = 0; j < a; j++) {
            double v = 0;
            for (int k = 0; k < a; k++)
                v += (m == 2 ? B2[j][k] : B4[j][k]) * t[i * a + k];
            z[i * a + j] += fabs((double)U[i * a + j]) * v;
        }
}

/* S of winograd.h for output o of the tile at (y0,x0). */
static void t_winograd_scale(const t_winograd_case *t, mango_idx n, mango_idx y0, mango_idx x0,
                             mango_idx o, double *z)
{
    const mgi_conv *c = &t->c;
    const int a = c->winograd + 2;
    memset(z, 0, 36 * sizeof *z);
    for (mango_idx ch = 0; ch < c->C; ch++) {
        double d[36];
        for (int p = 0; p < a * a; p++) {
            const mango_idx iy = y0 - c->ph + p / a, ix = x0 - c->pw + p % a;
            const int in = iy >= 0 && iy < c->H && ix >= 0 && ix < c->W;
            d[p] = in ? fabs((double)t->x[((n * c->H + iy) * c->W + ix) * c->C + ch]) : 0.0;
        }
        t_winograd_product(c->winograd, t->w + (o * c->C + ch) * 9, d, z);
    }
}

static double t_winograd_true(const t_winograd_case *t, mango_idx n, mango_idx oy, mango_idx ox,
                              mango_idx o)
{
    const mgi_conv *c = &t->c;
    double sum = 0;
    for (int k = 0; k < 9; k++) {
        const mango_idx iy = oy - c->ph + k / 3, ix = ox - c->pw + k % 3;
        if (iy < 0 || iy >= c->H || ix < 0 || ix >= c->W)
            continue;
        for (mango_idx ch = 0; ch < c->C; ch++)
            sum += (double)t->x[((n * c->H + iy) * c->W + ix) * c->C + ch] *
                   (double)t->w[(o * c->C + ch) * 9 + k];
    }
    return sum;
}

/* Errors of one output map against the bound: the largest part of the bound
 * that is used, and the largest error over the largest output. */
static void t_winograd_errors(const t_winograd_case *t, mango_idx n, mango_idx o, double *used,
                              double *err, double *top)
{
    const mgi_conv *c = &t->c;
    const int m = c->winograd, rounds = m == 2 ? 2 * 1 + 2 * 2 + 1 : 2 * 2 + 2 * 3 + 1;
    const double unit = 1.0 / (1 << 24);
    double z[36];
    for (mango_idx y0 = 0; y0 < c->OH; y0 += m)
        for (mango_idx x0 = 0; x0 < c->OW; x0 += m) {
            t_winograd_scale(t, n, y0, x0, o, z);
            for (mango_idx p = 0; p < m * m; p++) {
                const mango_idx oy = y0 + p / m, ox = x0 + p % m;
                if (oy >= c->OH || ox >= c->OW)
                    continue;
                const double S = t_winograd_fold(m, z, (int)(p / m), (int)(p % m));
                const double v = t_winograd_true(t, n, oy, ox, o);
                const double e =
                    fabs((double)t->got[((n * c->OH + oy) * c->OW + ox) * c->O + o] - v);
                *used = MGI_MAX(*used, e / (1.001 * (double)(c->C + rounds) * unit * S + 1e-300));
                *err = MGI_MAX(*err, e);
                *top = MGI_MAX(*top, fabs(v));
            }
        }
}

/* On some images and outputs; returns the error over the largest output. */
static double t_winograd_bounded(t_winograd_case *t, mango_idx step, const char *what)
{
    double used = 0, err = 0, top = 1e-30;
    char line[200];
    for (mango_idx i = 0; i < t->N * t->c.O; i += step)
        t_winograd_errors(t, i / t->c.O, i % t->c.O, &used, &err, &top);
    snprintf(line, sizeof line, "%s F(%d): error %.2g of the largest output, %.2g of the bound",
             what, t->c.winograd, err / top, used);
    t_check(used <= 1.0, line, __FILE__, __LINE__);
    if (getenv("MANGO_VERBOSE"))
        printf("    %s\n", line);
    return err / top;
}

static void t_winograd_bound(void)
{
    mango_rng r;
    mango_rng_init(&r, 14, 1, 0);
    for (int i = 0; i < 12; i++) {
        const mango_idx C = i < 4 ? 1 + mango_rng_int(&r, 8) : i < 8 ? 64 : 300;
        t_winograd_case t = {.c = {.C = C, .O = 20, .H = 6 + mango_rng_int(&r, 8),
                                   .W = 6 + mango_rng_int(&r, 8), .ph = 1, .pw = 1,
                                   .winograd = i % 2 ? 4 : 2},
                             .N = 2};
        t_winograd_open(&t);
        t_winograd_fill(&r, t.nx + t.nw, t.all);
        t_winograd_run(&t, t.N, t.got);
        T_CHECK(t_winograd_bounded(&t, 7, "random") < 1e-4);
        t_winograd_close(&t);
    }
}

/* ---- networks ---------------------------------------------------------------------- */

/* (B,C,H,W) values of a layer for formula inputs. */
static float *t_winograd_read(const mango_net *net, mango_idx layer, mango_idx B)
{
    const mgi_node *q = &net->node[layer], *in = &net->node[net->input];
    const mango_idx n = B * q->C * q->H * q->W, ni = B * in->C * in->H * in->W;
    float *y = calloc((size_t)n, sizeof *y), *x = calloc((size_t)ni, sizeof *x);
    const mango_reading r = {layer, MANGO_READ_MEAN, y};
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_plan_defaults(&o);
    o.batch = B;
    mango_fill_u("input", 5, ni, x);
    for (mango_idx i = 0; i < ni; i++)
        x[i] = in->H > 1 ? 0.5f + 0.5f * x[i] : 2.0f * x[i];
    if (T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, NULL), MANGO_OK))
        T_STATUS(mango_plan_run(p, B, x), MANGO_OK);
    mango_plan_destroy(p);
    free(x);
    return y;
}

/* A 3x3 layer on what comes into it, both forms. */
static void t_winograd_layer(const mango_net *net, const mgi_node *q, double most)
{
    float *x = t_winograd_read(net, q->in[0], 1);
    for (int m = 2; m <= 4; m += 2) {
        t_winograd_case t = {.c = q->conv, .N = 1};
        t.c.winograd = m;
        t_winograd_open(&t);
        mgi_to_nhwc(t.N, t.c.C, t.c.H * t.c.W, x, t.x);
        memcpy(t.w, net->param[q->weight].v, (size_t)t.nw * sizeof *t.w);
        t_winograd_run(&t, t.N, t.got);
        T_CHECK(t_winograd_bounded(&t, MGI_MAX(1, t.c.O / 4), q->name) < most);
        t_winograd_close(&t);
    }
    free(x);
}

static int t_winograd_layers(const mango_net *net, double most)
{
    int count = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *q = &net->node[i];
        if (q->kind != MGI_CONV || !mgi_winograd_rule(&q->conv))
            continue;
        t_winograd_layer(net, q, most);
        count++;
    }
    return count;
}

static void t_winograd_trained(void)
{
    const char *path = "weights/vqvae_cifar10.safetensors";
    mango_net *net = NULL;
    mango_err err = {""};
    if (!t_exists(path))
        T_SKIP("weights/ is not here");
    T_OK_OR_RETURN(mango_net_load(&net, path, NULL, &err), &err);
    T_CHECK(t_winograd_layers(net, 1e-5) > 0);
    mango_net_destroy(net);
}

static void t_winograd_formula(void)
{
    static const char *const zoo[] = {"sngan,width=0.25", "resnet18,width=0.25"};
    T_SLOW();
    for (int i = 0; i < 2; i++) {
        mango_net *net = NULL;
        mango_err err = {""};
        T_OK_OR_RETURN(mango_net_zoo(&net, zoo[i], NULL, &err), &err);
        T_CHECK(mango_net_fill(net, 7, i ? 2.0 : 4.0) == MANGO_OK);
        T_CHECK(t_winograd_layers(net, 1e-5) > 0);
        mango_net_destroy(net);
    }
}

static int t_winograd_choice(mango_idx C, mango_idx O, mango_idx H, int k, int s, int transposed)
{
    mgi_conv c = {.C = C, .H = H, .W = H, .O = O, .kh = k, .kw = k, .sh = s, .sw = s,
                  .ph = k / 2, .pw = k / 2, .transposed = transposed};
    T_CHECK(mgi_conv_shape(&c));
    return mgi_winograd_rule(&c);
}

/* The rule sees 3x3, stride 1, enough channels and outputs; nothing else. */
static void t_winograd_shapes(void)
{
    T_EQ(t_winograd_choice(64, 64, 32, 3, 1, 0), 4);
    T_EQ(t_winograd_choice(512, 512, 14, 3, 1, 0), 4);
    T_EQ(t_winograd_choice(8, 64, 8, 3, 1, 0), 4);
    T_EQ(t_winograd_choice(512, 512, 6, 3, 1, 0), 2); /* as many products with m = 4 */
    T_EQ(t_winograd_choice(512, 512, 4, 3, 1, 0), 2); /* one tile with m = 4 */
    T_EQ(t_winograd_choice(512, 512, 2, 3, 1, 0), 0); /* plain: 4 taps an output */
    T_EQ(t_winograd_choice(512, 512, 1, 3, 1, 0), 0);
    T_EQ(t_winograd_choice(64, 64, 16, 3, 1, 1), 0);
    T_EQ(t_winograd_choice(64, 64, 16, 3, 2, 0), 0);
    T_EQ(t_winograd_choice(64, 64, 16, 5, 1, 0), 0);
    T_EQ(t_winograd_choice(64, 64, 16, 1, 1, 0), 0);
    T_EQ(t_winograd_choice(3, 64, 32, 3, 1, 0), 0);
    T_EQ(t_winograd_choice(64, 3, 32, 3, 1, 0), 0);
    T_EQ(t_winograd_choice(12, 12, 32, 3, 1, 0), 0);
}

static mango_net *t_winograd_text(const char *text)
{
    mango_net *net = NULL;
    mango_err err = {""};
    if (!T_OK(mgi_graph_parse(&net, text, (mango_idx)strlen(text), NULL, &err), &err))
        return NULL;
    T_CHECK(mango_net_fill(net, 3, 2.0) == MANGO_OK);
    return net;
}

/* m of the step of a layer, whatever is read. */
static int t_winograd_planned(const mango_net *net, const char *layer)
{
    mango_plan_options o;
    mango_plan *p = NULL;
    const int i = mgi_net_find(net, layer);
    int m = -1;
    const mango_reading r = {i, MANGO_READ_MEAN, NULL};
    mango_plan_defaults(&o);
    T_STATUS(mango_plan_create(&p, net, &o, 1, &r, NULL, NULL), MANGO_OK);
    for (int s = 0; p && s < p->n_steps; s++)
        if (p->step[s].head == i)
            m = p->step[s].conv.winograd;
    mango_plan_destroy(p);
    return m;
}

/* A layer that may read spikes keeps the plain form; others do not. */
static void t_winograd_spikes(void)
{
    mango_net *net = t_winograd_text("mango-graph 1\n"
                                     "net arch=custom T=3\n"
                                     "x input - shape=16x16x16\n"
                                     "a conv x out=32 kernel=3 pad=1\n"
                                     "s lif a preset=snntorch\n"
                                     "b conv s out=32 kernel=3 pad=1\n"
                                     "t lif b preset=snntorch\n"
                                     "p maxpool t kernel=2\n"
                                     "c conv p out=32 kernel=3 pad=1\n"
                                     "d conv c out=32 kernel=3 pad=1\n");
    T_REQUIRE(net != NULL);
    T_CHECK(t_winograd_planned(net, "a") > 0);
    T_EQ(t_winograd_planned(net, "b"), 0);
    T_EQ(t_winograd_planned(net, "c"), 0);
    T_CHECK(t_winograd_planned(net, "d") > 0);
    mango_net_destroy(net);
}

void t_winograd(void)
{
    T_CASE(t_winograd_exact);
    T_CASE(t_winograd_bits);
    T_CASE(t_winograd_large);
    T_CASE(t_winograd_bound);
    T_CASE(t_winograd_trained);
    T_CASE(t_winograd_formula);
    T_CASE(t_winograd_shapes);
    T_CASE(t_winograd_spikes);
}

/* test_ops.c - the operators on feature maps against the golden values and
 * gradients; test_maps.c has what the golden file does not hold.
 * SPDX-License-Identifier: MIT */
#include "test.h"

#define T_OPS_TOL 2e-5 /* of the largest value of a tensor */

/* Scratch of one case: t_ops_new carves from it. */
static float t_ops_pool[1 << 22];
static mango_idx t_ops_used;

static float *t_ops_new(mango_idx n)
{
    if (!T_CHECK(n >= 0 && n <= MGI_COUNT(t_ops_pool) - t_ops_used))
        return t_ops_pool;
    float *p = t_ops_pool + t_ops_used;
    t_ops_used += (n + 15) / 16 * 16;
    for (mango_idx i = 0; i < n; i++)
        p[i] = 7e7f; /* what an operator does not write shows */
    return p;
}

static float *t_ops_zeros(mango_idx n)
{
    float *p = t_ops_new(n);
    memset(p, 0, (size_t)n * sizeof *p);
    return p;
}

/* ---- the golden file -------------------------------------------------------- */

static mgi_tensors t_ops_file;
static uint64_t t_ops_seed;

static mango_status t_ops_status;
static mango_err t_ops_err;

static void t_ops_open(void)
{
    int64_t seed = 0;
    t_ops_status =
        mgi_tensors_read(&t_ops_file, t_golden("ops.safetensors"), NULL, &t_ops_err);
    const char *text = t_ops_status < 0 ? NULL : mgi_tensors_meta(&t_ops_file, "seed");
    if (text && mgi_parse_int(text, 0, INT64_MAX, &seed))
        t_ops_seed = (uint64_t)seed;
    else if (t_ops_status == MANGO_OK)
        t_ops_status = mgi_fail(&t_ops_err, MANGO_E_FORMAT, "no seed in the metadata");
}

static void t_ops_opened(void)
{
    T_OK(t_ops_status, &t_ops_err);
}

static const mgi_tensor *t_ops_find(const char *op, const char *what)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", op, what);
    return mgi_tensors_find(&t_ops_file, name);
}

/* n values of the formula for OP.arg. */
static float *t_ops_u(const char *op, const char *arg, mango_idx n)
{
    char name[128];
    float *u = t_ops_new(n);
    snprintf(name, sizeof name, "%s.%s", op, arg);
    mango_fill_u(name, t_ops_seed, n, u);
    return u;
}

/* A map's sizes from a tensor of rank 4 or 2, or 1 for a single number. */
typedef struct t_ops_map {
    mango_idx N, C, H, W, n;
} t_ops_map;

static t_ops_map t_ops_shape(const mgi_tensor *t)
{
    t_ops_map m = {1, 1, 1, 1, t->count};
    m.N = t->rank > 1 ? t->shape[0] : 1;
    m.C = t->rank > 1 ? t->shape[1] : t->count;
    m.H = t->rank > 2 ? t->shape[2] : 1;
    m.W = t->rank > 3 ? t->shape[3] : 1;
    return m;
}

/* Compare with golden OP.what; got is channels last. */
static void t_ops_expect(const char *op, const char *what, const float *got)
{
    const mgi_tensor *t = t_ops_find(op, what);
    if (!T_CHECK(t != NULL))
        return;
    const t_ops_map m = t_ops_shape(t);
    float *want = t_ops_new(m.n), *have = t_ops_new(m.n);
    T_STATUS(mgi_tensor_floats(t, 1, want, NULL), MANGO_OK);
    mgi_to_nchw(m.N, m.C, m.H * m.W, got, have);
    if (!T_CLOSE(have, want, m.n, T_OPS_TOL))
        printf("    ... %s.%s\n", op, what);
}

/* The same for a parameter's gradient, which keeps the frameworks' order. */
static void t_ops_expect_param(const char *op, const char *what, const float *got)
{
    const mgi_tensor *t = t_ops_find(op, what);
    if (!t)
        return; /* this operator has none */
    float *want = t_ops_new(t->count);
    T_STATUS(mgi_tensor_floats(t, 1, want, NULL), MANGO_OK);
    if (!T_CLOSE(got, want, t->count, T_OPS_TOL))
        printf("    ... %s.%s\n", op, what);
}

/* What every case of a map to a map needs, channels last. */
typedef struct t_ops_io {
    t_ops_map in, out;
    float *x, *y, *dy, *dx;
} t_ops_io;

static int t_ops_load(const char *op, t_ops_io *io)
{
    const mgi_tensor *in = t_ops_find(op, "grad_x"), *out = t_ops_find(op, "out");
    t_ops_used = 0;
    if (!T_CHECK(in && out))
        return 0;
    io->in = t_ops_shape(in);
    io->out = t_ops_shape(out);
    io->x = t_ops_new(io->in.n);
    io->dy = t_ops_new(io->out.n);
    mgi_to_nhwc(io->in.N, io->in.C, io->in.H * io->in.W, t_ops_u(op, "x", io->in.n), io->x);
    mgi_to_nhwc(io->out.N, io->out.C, io->out.H * io->out.W,
                t_ops_u(op, "grad_out", io->out.n), io->dy);
    io->y = t_ops_new(io->out.n);
    io->dx = t_ops_new(io->in.n);
    return 1;
}

static void t_ops_expect_both(const char *op, const t_ops_io *io)
{
    t_ops_expect(op, "out", io->y);
    t_ops_expect(op, "grad_x", io->dx);
}

/* ---- golden: convolutions and linear ------------------------------------------ */

static mgi_conv t_ops_conv_sizes(const t_ops_io *io, const mgi_tensor *w, int stride,
                                 int pad, int transposed)
{
    mgi_conv c;
    memset(&c, 0, sizeof c);
    c.C = io->in.C;
    c.H = io->in.H;
    c.W = io->in.W;
    c.O = io->out.C;
    c.kh = w->rank > 2 ? (int)w->shape[2] : 1;
    c.kw = w->rank > 3 ? (int)w->shape[3] : 1;
    c.sh = c.sw = stride;
    c.ph = c.pw = pad;
    c.transposed = transposed;
    T_CHECK(mgi_conv_shape(&c));
    T_EQ(c.OH, io->out.H);
    T_EQ(c.OW, io->out.W);
    return c;
}

static void t_ops_conv_case(const char *op, int stride, int pad, int transposed)
{
    t_ops_io io;
    const mgi_tensor *wt = t_ops_find(op, "grad_w");
    if (!T_CHECK(wt != NULL) || !t_ops_load(op, &io))
        return;
    const mgi_conv c = t_ops_conv_sizes(&io, wt, stride, pad, transposed);
    const int has_bias = t_ops_find(op, "grad_b") != NULL;
    const float *w = t_ops_u(op, "w", wt->count);
    const float *b = has_bias ? t_ops_u(op, "b", c.O) : NULL;
    const mgi_epilogue e = {.bias = b};
    float *packed = t_ops_new(mgi_conv_packed(&c));
    float *work =
        t_ops_new(MGI_MAX(mgi_conv_work(&c, io.in.N), mgi_conv_backward_work(&c, io.in.N)));
    float *dw = t_ops_zeros(wt->count), *db = t_ops_zeros(c.O);

    mgi_conv_pack(&c, w, packed);
    mgi_conv_forward(&c, io.in.N, io.x, packed, &e, io.y, work);
    mgi_conv_backward_data(&c, io.in.N, io.dy, w, io.dx, work);
    mgi_conv_backward_weights(&c, io.in.N, io.x, io.dy, dw, has_bias ? db : NULL, work);
    t_ops_expect_both(op, &io);
    t_ops_expect_param(op, "grad_w", dw);
    t_ops_expect_param(op, "grad_b", db);

    mgi_conv_forward_ref(&c, io.in.N, io.x, w, b, io.y);
    t_ops_expect(op, "out", io.y);
    /* Parameter gradients add up. */
    mgi_conv_backward_weights(&c, io.in.N, io.x, io.dy, dw, has_bias ? db : NULL, work);
    for (mango_idx i = 0; i < wt->count; i++)
        dw[i] *= 0.5f;
    t_ops_expect_param(op, "grad_w", dw);
}

static void t_ops_convolutions(void)
{
    t_ops_conv_case("conv3x3", 1, 1, 0);
    t_ops_conv_case("conv5x5", 1, 0, 0);
    t_ops_conv_case("conv7x7s2", 2, 3, 0);
    t_ops_conv_case("conv1x1s2", 2, 0, 0);
    t_ops_conv_case("conv4x4s2", 2, 1, 0);
    t_ops_conv_case("conv11x11s4", 4, 2, 0);
    t_ops_conv_case("convt4x4s2", 2, 1, 1);
}

static void t_ops_linear(void)
{
    t_ops_conv_case("linear", 1, 0, 0);
}

/* ---- golden: pooling and resampling --------------------------------------------- */

static mgi_pool t_ops_pool_sizes(const t_ops_io *io, int kernel, int stride, int pad)
{
    mgi_pool p;
    memset(&p, 0, sizeof p);
    p.C = io->in.C;
    p.H = io->in.H;
    p.W = io->in.W;
    p.OH = io->out.H;
    p.OW = io->out.W;
    p.kh = p.kw = kernel;
    p.sh = p.sw = stride;
    p.ph = p.pw = pad;
    return p;
}

static void t_ops_maxpool_case(const char *op, int kernel, int stride, int pad)
{
    t_ops_io io;
    if (!t_ops_load(op, &io))
        return;
    mgi_pool p = t_ops_pool_sizes(&io, kernel, stride, pad);
    T_CHECK(mgi_pool_shape(&p) && p.OH == io.out.H && p.OW == io.out.W);
    mgi_maxpool(&p, io.in.N, io.x, io.y);
    mgi_maxpool_backward(&p, io.in.N, io.x, io.dy, io.dx);
    t_ops_expect_both(op, &io);
}

static void t_ops_pools(void)
{
    t_ops_io io;
    t_ops_maxpool_case("maxpool2", 2, 2, 0);
    t_ops_maxpool_case("maxpool3s2p1", 3, 2, 1);
    if (t_ops_load("avgpool2", &io)) {
        mgi_pool p = t_ops_pool_sizes(&io, 2, 2, 0);
        T_CHECK(mgi_pool_shape(&p) && p.OH == io.out.H && p.OW == io.out.W);
        mgi_avgpool(&p, io.in.N, io.x, io.y);
        mgi_avgpool_backward(&p, io.in.N, io.dy, io.dx);
        t_ops_expect_both("avgpool2", &io);
    }
    static const char *const adaptive[] = {"adaptiveavg6", "globalavg"};
    for (int i = 0; i < 2; i++) {
        if (!t_ops_load(adaptive[i], &io))
            continue;
        const mgi_pool p = t_ops_pool_sizes(&io, 0, 0, 0);
        mgi_adaptiveavg(&p, io.in.N, io.x, io.y);
        mgi_adaptiveavg_backward(&p, io.in.N, io.dy, io.dx);
        t_ops_expect_both(adaptive[i], &io);
    }
}

static void t_ops_resampling(void)
{
    t_ops_io io;
    if (t_ops_load("nearest2x", &io)) {
        mgi_nearest2x(io.in.N, io.in.H, io.in.W, io.in.C, io.x, io.y);
        mgi_nearest2x_backward(io.in.N, io.in.H, io.in.W, io.in.C, io.dy, io.dx);
        t_ops_expect_both("nearest2x", &io);
    }
    if (t_ops_load("bilinear2x", &io)) {
        mgi_bilinear2x(io.in.N, io.in.H, io.in.W, io.in.C, io.x, io.y);
        mgi_bilinear2x_backward(io.in.N, io.in.H, io.in.W, io.in.C, io.dy, io.dx);
        t_ops_expect_both("bilinear2x", &io);
    }
}

/* ---- golden: batch-norm, tanh, softmax, cross-entropy ----------------------------- */

static void t_ops_batchnorm(void)
{
    const char *op = "batchnorm_train";
    t_ops_io io;
    if (!t_ops_load(op, &io))
        return;
    const mango_idx C = io.in.C, R = io.in.n / C;
    const float *w = t_ops_u(op, "w", C), *b = t_ops_u(op, "b", C);
    float *mean = t_ops_new(C), *rstd = t_ops_new(C);
    float *dw = t_ops_zeros(C), *db = t_ops_zeros(C);
    mgi_batchnorm_train(R, C, io.x, w, b, 1e-5, 0.1, NULL, NULL, mean, rstd, io.y);
    mgi_batchnorm_backward(R, C, io.x, w, mean, rstd, io.dy, io.dx, dw, db);
    t_ops_expect_both(op, &io);
    t_ops_expect_param(op, "grad_w", dw);
    t_ops_expect_param(op, "grad_b", db);
}

static void t_ops_scale(mango_idx n, float a, float *x)
{
    for (mango_idx i = 0; i < n; i++)
        x[i] *= a;
}

static void t_ops_pointwise(void)
{
    t_ops_io io;
    if (t_ops_load("tanh", &io)) {
        t_ops_scale(io.in.n, 2.0f, io.x);
        mgi_tanh(io.in.n, io.x, io.y);
        mgi_tanh_backward(io.in.n, io.y, io.dy, io.dx);
        t_ops_scale(io.in.n, 2.0f, io.dx);
        t_ops_expect_both("tanh", &io);
    }
    if (t_ops_load("softmax", &io)) {
        t_ops_scale(io.in.n, 3.0f, io.x);
        mgi_softmax(io.in.N, io.in.C, io.x, io.y);
        mgi_softmax_backward(io.in.N, io.in.C, io.y, io.dy, io.dx);
        t_ops_scale(io.in.n, 3.0f, io.dx);
        t_ops_expect_both("softmax", &io);
    }
}

/* Targets stand in the metadata: "... crossentropy targets 1,0,9,4". */
static mango_idx t_ops_targets(int *label, mango_idx most)
{
    const char *text = mgi_tensors_meta(&t_ops_file, "inputs"),
               *key = "crossentropy targets ";
    const char *at = text ? strstr(text, key) : NULL;
    mango_idx n = 0;
    if (!at)
        return 0;
    for (at += strlen(key); n < most && *at >= '0' && *at <= '9'; at += *at == ',') {
        char *end;
        label[n++] = (int)strtol(at, &end, 10);
        at = end;
    }
    return n;
}

/* What classifiers are trained on (losses.c). */
static void t_ops_crossentropy(void)
{
    const char *op = "crossentropy";
    double work[256];
    mango_idx hits = 0;
    int label[64];
    t_ops_io io;
    if (!t_ops_load(op, &io))
        return;
    T_REQUIRE(io.in.N <= 64 && io.in.C <= 64 && t_ops_targets(label, 64) == io.in.N);
    t_ops_scale(io.in.n, 3.0f, io.x);
    const mgi_labels l = {label, NULL, 1, 0};
    io.y[0] = (float)mgi_loss_classes(1, io.in.N, io.in.C, 1, io.x, &l, io.dx, &hits, work);
    t_ops_scale(io.in.n, 3.0f * io.dy[0], io.dx);
    t_ops_expect_both(op, &io);
}

void t_ops(void)
{
    t_ops_open();
    T_CASE(t_ops_opened);
    T_CASE(t_ops_convolutions);
    T_CASE(t_ops_linear);
    T_CASE(t_ops_pools);
    T_CASE(t_ops_resampling);
    T_CASE(t_ops_batchnorm);
    T_CASE(t_ops_pointwise);
    T_CASE(t_ops_crossentropy);
    if (t_ops_status == MANGO_OK)
        mgi_tensors_free(&t_ops_file);
}

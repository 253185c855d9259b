/* test_pointwise.c - the operators on single values, the norms of one map, and those that
 * move values: both executors alike, gradients by differences, text, threads.
 * SPDX-License-Identifier: MIT */
#include "test.h"

#define T_POINTWISE_HEAD "mango-graph 1\nnet arch=t_pointwise\nin input - shape=4x4x6\n"

/* One line of each kind and mode behind `in` (4x4x6); `z` is the output. */
static const char *const t_pointwise_nodes[] = {
    "z leakyrelu in slope=0.2\n",
    "z elu in alpha=1.5\n",
    "z selu in\n",
    "z silu in\n",
    "z sigmoid in\n",
    "z hardtanh in lo=-0.4 hi=0.7\n",
    "z softplus in beta=2 threshold=3\n",
    "z hardsigmoid in\n",
    "z hardswish in\n",
    "z mish in\n",
    "z affine in scale=-1.5 shift=0.25\n",
    "z gelu in mode=tanh\n",
    "z prelu in\n",
    "z prelu in slope=channel\n",
    "z layernorm in\n",
    "z layernorm in dims=2\n",
    "z layernorm in dims=1 bias=0\n",
    "z layernorm in over=channels eps=1e-3\n",
    "z layernorm in weight=0\n",
    "z groupnorm in groups=2\n",
    "z groupnorm in groups=4 weight=0 bias=0\n",
    "z instancenorm in\n",
    "z instancenorm in weight=1 bias=1\n",
    "z pad in left=1 right=2 top=3 bottom=1 value=0.5\n",
    "z pad in left=4 right=3 top=3 bottom=2 mode=reflect\n",
    "z pad in left=5 right=1 top=7 mode=replicate\n",
    "z pad in left=6 right=2 bottom=4 mode=circular\n",
    "z crop in top=1 left=2 size=3x2\n",
    "z transpose in order=chw\n",
    "z transpose in order=cwh\n",
    "z transpose in order=hcw\n",
    "z transpose in order=hwc\n",
    "z transpose in order=wch\n",
    "z transpose in order=whc\n",
    "z flatten in order=chw\n",
    "z flatten in order=hwc\n",
    "z pixelshuffle in factor=2\n",
    "z pixelunshuffle in factor=2\n",
    "z slice in from=1 to=3\n",
    "z logsoftmax in\n",
    "z lrn in size=3 alpha=0.5 k=0.75\n",
    "z lrn in size=2 alpha=2 beta=0.5\n",
    "z lrn in size=9 alpha=1 beta=1.5 k=2\n",
    "a tanh in\nz sub in,a\n",
    "a tanh in\nz mul in,a\n",
    "a globalavg in\nb slice in to=1\nc tanh in\nz mul a,in,b,c\n",
    "a globalavg in\nb slice in to=1\nz sub a,b\n",
    "a globalavg in\nz add a,in\n",
    "a slice in to=1\nb globalavg a\nz add in,b,a,in\n",
    "a globalavg in\nb sigmoid a\nz mul in,b\n",
};

typedef struct t_pointwise_rig {
    mango_net *net;
    mgi_tape *tape;
    mgi_grads g;
    mango_idx nx, ny;
    float *x, *c, *dx; /* input, weights of the outputs in the loss, dL/dx */
} t_pointwise_rig;

static void t_pointwise_close(t_pointwise_rig *r)
{
    mgi_tape_free(r->tape);
    mgi_grads_free(&r->g);
    free(r->x);
    free(r->c);
    free(r->dx);
    mango_net_destroy(r->net);
}

static int t_pointwise_open(t_pointwise_rig *r, const char *text, mango_idx b, mango_idx T)
{
    mango_err e = {""};
    mgi_tape_options o;
    memset(r, 0, sizeof *r);
    if (!T_OK(mango_net_parse(&r->net, text, (mango_idx)strlen(text), NULL, &e), &e) ||
        !T_OK(mango_net_fill(r->net, 5, 1.0), NULL))
        return 0;
    mgi_tape_defaults(&o);
    o.B = b;
    o.T = T;
    o.input_grad = 1;
    if (!T_OK(mgi_tape_new(&r->tape, r->net, &o, NULL, &e), &e) ||
        !T_OK(mgi_grads_new(&r->g, r->net), NULL))
        return 0;
    mgi_tape_set_grads(r->tape, &r->g);
    const mgi_node *in = &r->net->node[r->net->input], *out = &r->net->node[r->net->output];
    r->nx = b * in->C * in->H * in->W;
    r->ny = (r->tape->timed[r->net->output] ? T : 1) * b * out->C * out->H * out->W;
    r->x = calloc((size_t)r->nx, sizeof(float));
    r->dx = calloc((size_t)r->nx, sizeof(float));
    r->c = calloc((size_t)r->ny, sizeof(float));
    if (!r->x || !r->c || !r->dx)
        return 0;
    mango_fill_u("input", 3, r->nx, r->x);
    mango_fill_u("loss", 3, r->ny, r->c);
    for (mango_idx i = 0; i < r->nx; i++)
        r->x[i] *= 2.5f;
    return 1;
}

static double t_pointwise_loss(t_pointwise_rig *r, mango_idx b)
{
    double s = 0;
    if (mgi_tape_forward(r->tape, b, r->x) < 0)
        return NAN;
    const float *y = mgi_tape_value(r->tape, -1, NULL);
    for (mango_idx i = 0; i < r->ny; i++)
        s += (double)y[i] * (double)r->c[i];
    return s;
}

static void t_pointwise_gradient(t_pointwise_rig *r, mango_idx b)
{
    t_pointwise_loss(r, b);
    mgi_grads_zero(&r->g);
    memcpy(mgi_tape_dout(r->tape), r->c, (size_t)r->ny * sizeof(float));
    mgi_tape_backward(r->tape);
    memcpy(r->dx, mgi_tape_input_grad(r->tape), (size_t)r->nx * sizeof(float));
}

/* Each of the n values of w on its own: no direction hides another. */
static void t_pointwise_differences(t_pointwise_rig *r, const char *what, const char *name,
                                    mango_idx b, mango_idx n, float *w, const float *g)
{
    const double eps = 1.0 / 256;
    int bad = 0;
    for (mango_idx i = 0; i < n; i++) {
        const float keep = w[i];
        double L[2];
        for (int k = 0; k < 2; k++) {
            w[i] = keep + (float)(k ? -eps : eps);
            L[k] = t_pointwise_loss(r, b);
        }
        w[i] = keep;
        const double want = (L[0] - L[1]) / (2 * eps), off = fabs(want - (double)g[i]);
        bad += !(off <= 4e-3 * (1 + fabs(want)));
    }
    if (!T_EQ(bad, 0))
        printf("  %d of %d values of %s, %s", bad, (int)n, name, what);
}

/* How far a value may be from a corner of the formula, so that differences are fair. */
static void t_pointwise_off_corners(t_pointwise_rig *r)
{
    static const double corner[] = {0, -0.4, 0.7, 1.5};
    for (mango_idx i = 0; i < r->nx; i++)
        for (mango_idx k = 0; k < MGI_COUNT(corner); k++)
            if (fabs((double)r->x[i] - corner[k]) < 0.01)
                r->x[i] += 0.02f;
}

static void t_pointwise_gradients(void)
{
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++) {
        t_pointwise_rig r;
        char text[400];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t_pointwise_nodes[i]);
        if (t_pointwise_open(&r, text, 2, 1)) {
            t_pointwise_off_corners(&r);
            t_pointwise_gradient(&r, 2);
            t_pointwise_differences(&r, t_pointwise_nodes[i], "the input", 2, r.nx, r.x, r.dx);
            for (int p = 0; p < r.net->n_params; p++)
                t_pointwise_differences(&r, t_pointwise_nodes[i], r.net->param[p].name, 2,
                                        r.net->param[p].count, r.net->param[p].v, r.g.of[p]);
        }
        t_pointwise_close(&r);
    }
}

/* Plan and tape give the same bits; y (2,C,H,W) of a plan for x (2,C,H,W). */
static void t_pointwise_plan_is(const char *text, const float *x, const float *want,
                                mango_idx n, const mango_net *net)
{
    float *y = calloc((size_t)n, sizeof *y);
    const mango_reading r = {net->output, MANGO_READ_MEAN, y};
    mango_plan *p = NULL;
    mango_plan_options o;
    mango_err e = {""};
    mango_plan_defaults(&o);
    o.batch = 2;
    if (T_OK(mango_plan_create(&p, net, &o, 1, &r, NULL, &e), &e) &&
        T_OK(mango_plan_run(p, 2, x), NULL) &&
        !T_MEM(y, want, n * (mango_idx)sizeof *y))
        printf("  plan of %s", text);
    mango_plan_destroy(p);
    free(y);
}

static void t_pointwise_both(void)
{
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++) {
        t_pointwise_rig r;
        char text[400];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t_pointwise_nodes[i]);
        if (t_pointwise_open(&r, text, 2, 1)) {
            const mgi_node *in = &r.net->node[0], *out = &r.net->node[r.net->output];
            float *x = calloc((size_t)r.nx, sizeof *x), *y = calloc((size_t)r.ny, sizeof *y);
            t_pointwise_loss(&r, 2);
            mgi_to_nchw(2, in->C, in->H * in->W, r.x, x);
            mgi_to_nchw(2, out->C, out->H * out->W, mgi_tape_value(r.tape, -1, NULL), y);
            t_pointwise_plan_is(t_pointwise_nodes[i], x, y, r.ny, r.net);
            free(x);
            free(y);
        }
        t_pointwise_close(&r);
    }
}

/* Written and read again, each line is the same text. */
static void t_pointwise_text(void)
{
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++) {
        mango_net *a = NULL, *b = NULL;
        mango_err e = {""};
        char text[400], one[1000], two[1000];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t_pointwise_nodes[i]);
        if (T_OK(mango_net_parse(&a, text, (mango_idx)strlen(text), NULL, &e), &e) &&
            T_CHECK(mango_net_text(a, one, sizeof one) < (mango_idx)sizeof one) &&
            T_OK(mango_net_parse(&b, one, (mango_idx)strlen(one), NULL, &e), &e)) {
            mango_net_text(b, two, sizeof two);
            T_STR(two, one);
        }
        mango_net_destroy(a);
        mango_net_destroy(b);
    }
}

/* ---- PyTorch ------------------------------------------------------------------- */

/* Tensor CASE.WHAT into n floats; maps of `out` (2,C,H,W) channels last. */
static float *t_pointwise_want(const mgi_tensors *f, int i, const char *what, mango_idx n,
                               const mgi_node *map)
{
    char name[32];
    snprintf(name, sizeof name, "%02d.%s", i, what);
    const mgi_tensor *t = mgi_tensors_find(f, name);
    float *v = calloc((size_t)n, sizeof *v), *w = calloc((size_t)n, sizeof *w);
    if (T_CHECK(t && t->count == n)) {
        T_OK(mgi_tensor_floats(t, 1, v, NULL), NULL);
        if (map)
            mgi_to_nhwc(2, map->C, map->H * map->W, v, w);
        else
            memcpy(w, v, (size_t)n * sizeof *w);
    }
    free(v);
    return w;
}

static void t_pointwise_compare(const mgi_tensors *f, int i, const char *what, mango_idx n,
                                const mgi_node *map, const float *got, const char *text)
{
    float *want = t_pointwise_want(f, i, what, n, map);
    if (!T_CLOSE(got, want, n, 1e-6))
        printf("  %s of %s", what, text);
    free(want);
}

/* The script gives x and the weights of the loss in PyTorch's order. */
static void t_pointwise_golden_case(const mgi_tensors *f, int i, const char *lines)
{
    t_pointwise_rig r;
    char text[500];
    snprintf(text, sizeof text, "mango-graph 1\nnet arch=t\nin input - shape=4x2x4\n%s", lines);
    if (t_pointwise_open(&r, text, 2, 1)) {
        const mgi_node *in = &r.net->node[0], *out = &r.net->node[r.net->output];
        float *x = calloc((size_t)(r.nx + r.ny), sizeof *x), *c = x + r.nx;
        memcpy(x, r.x, (size_t)r.nx * sizeof *x);
        memcpy(c, r.c, (size_t)r.ny * sizeof *c);
        mgi_to_nhwc(2, in->C, in->H * in->W, x, r.x);
        mgi_to_nhwc(2, out->C, out->H * out->W, c, r.c);
        t_pointwise_gradient(&r, 2);
        t_pointwise_compare(f, i, "y", r.ny, out, mgi_tape_value(r.tape, -1, NULL), lines);
        t_pointwise_compare(f, i, "dx", r.nx, in, r.dx, lines);
        for (int p = 0; p < r.net->n_params; p++)
            t_pointwise_compare(f, i, r.net->param[p].name + 2, r.net->param[p].count, NULL,
                                r.g.of[p], lines);
        free(x);
    }
    t_pointwise_close(&r);
}

static void t_pointwise_golden(void)
{
    mgi_tensors f;
    mango_err e = {""};
    int i = 0;
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("pointwise.safetensors"), NULL, &e), &e);
    for (;; i++) {
        char key[16];
        snprintf(key, sizeof key, "%02d", i);
        const char *lines = mgi_tensors_meta(&f, key);
        if (!lines)
            break;
        t_pointwise_golden_case(&f, i, lines);
    }
    T_EQ(i, 45);
    mgi_tensors_free(&f);
}

/* ---- the same bits -------------------------------------------------------------- */

/* Value, gradient of the input and of all parameters, one after the other. */
static mango_idx t_pointwise_all(t_pointwise_rig *r, float *to)
{
    t_pointwise_gradient(r, 2);
    memcpy(to, mgi_tape_value(r->tape, -1, NULL), (size_t)r->ny * sizeof *to);
    memcpy(to + r->ny, r->dx, (size_t)r->nx * sizeof *to);
    memcpy(to + r->ny + r->nx, r->g.flat, (size_t)r->g.n * sizeof *to);
    return r->ny + r->nx + r->g.n;
}

static void t_pointwise_same(const char *lines, const char *best)
{
    static const char *const sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};
    t_pointwise_rig r;
    char text[500];
    snprintf(text, sizeof text, "mango-graph 1\nnet arch=t\nin input - shape=4x34x32\n%s",
             lines);
    if (t_pointwise_open(&r, text, 2, 1)) {
        const mango_idx most = r.nx + r.ny + r.g.n;
        float *a = calloc((size_t)most, sizeof *a), *b = calloc((size_t)most, sizeof *b);
        mango_set_threads(1);
        t_pointwise_all(&r, a);
        for (int k = 2; k < 4; k++) {
            mango_set_threads(k);
            t_pointwise_all(&r, b);
            if (!T_MEM(b, a, most * (mango_idx)sizeof *a))
                printf("  %d threads, %s", k, lines);
        }
        for (mango_idx k = 0; k < MGI_COUNT(sets); k++)
            if (mgi_kernels_force(sets[k])) {
                t_pointwise_all(&r, b);
                if (!T_MEM(b, a, most * (mango_idx)sizeof *a))
                    printf("  %s, %s", sets[k], lines);
            }
        mgi_kernels_force(best);
        free(a);
        free(b);
    }
    t_pointwise_close(&r);
}

static void t_pointwise_bits(void)
{
    const char *best = mgi_kernels_get()->name;
    const int before = mango_threads();
    for (mango_idx i = 0; i < MGI_COUNT(t_pointwise_nodes); i++)
        t_pointwise_same(t_pointwise_nodes[i], best);
    mango_set_threads(before);
}

/* ---- far values ------------------------------------------------------------------ */

/* The formula once more, by the scalar functions of base/real.h. */
static double t_pointwise_formula(mgi_curve f, double x)
{
    const double e = x < 0 ? mgi_exp(x) - 1 : 0;
    const double s = 1 / (1 + mgi_exp(-x));
    const double log1p = x > 30 ? x : x < -30 ? mgi_exp(x) : mgi_log(1 + mgi_exp(x));
    const double u = 0.79788456080286535588 * (x + 0.044715 * x * x * x);
    switch (f) {
    case MGI_CURVE_LEAKYRELU: return x > 0 ? x : x / 4;
    case MGI_CURVE_ELU: return x > 0 ? x : x > -1e-6 ? x / 4 : e / 4;
    case MGI_CURVE_SELU: return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 *
                                                                   (x > -1e-6 ? x : e));
    case MGI_CURVE_SILU: return x * s;
    case MGI_CURVE_SIGMOID: return s;
    case MGI_CURVE_HARDTANH: return x < 0.25 ? 0.25 : x > 2 ? 2 : x;
    case MGI_CURVE_SOFTPLUS: return x / 4 > 2 ? x : 4 * mgi_log(1 + mgi_exp(x / 4));
    case MGI_CURVE_HARDSIGMOID: return x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6;
    case MGI_CURVE_HARDSWISH: return x < -3 ? 0 : x > 3 ? x : x * (x + 3) / 6;
    case MGI_CURVE_MISH: return x * (1 - 2 / (mgi_exp(2 * log1p) + 1));
    case MGI_CURVE_GELU_TANH: return x / (1 + mgi_exp(-2 * u));
    default: return x / 4 + 2;
    }
}

/* Against it over all sizes that a float has, and NaN stays NaN. */
static void t_pointwise_far(void)
{
    for (int f = MGI_CURVE_LEAKYRELU; f <= MGI_CURVE_AFFINE; f++) {
        int wrong = 0;
        for (int k = 0; k < 4000; k++) {
            float x, y, one = 1, dx;
            mango_fill_u("x", (uint64_t)k, 1, &x);
            x *= (float)pow(10, k % 40 - 36);
            mgi_curve_forward((mgi_curve)f, 0.25, 2, 1, &x, &y);
            mgi_curve_backward((mgi_curve)f, 0.25, 2, 1, &x, &one, &dx);
            const double want = t_pointwise_formula((mgi_curve)f, (double)x);
            wrong += !(fabs((double)y - want) <= 1e-6 * fabs(want) + 1e-9) || !isfinite(dx);
        }
        if (!T_EQ(wrong, 0))
            printf("  curve %d\n", f);
        float x = NAN, y = 0;
        mgi_curve_forward((mgi_curve)f, 0.25, 2, 1, &x, &y);
        T_CHECK(isnan(y));
    }
}

/* ---- in whole networks ----------------------------------------------------------- */

/* Values without time beside spikes, repeated over time and over pixels. */
static const char t_pointwise_timed[] =
    "mango-graph 1\nnet arch=t T=4\nin input - shape=4x4x4\n"
    "c conv in out=4 kernel=3 pad=1\nst linear in out=4\ng sigmoid st\n"
    "s lif c preset=snntorch\nm mul s,g\nd sub m,g\nk slice c to=1\na add d,k,s\n"
    "n layernorm a over=channels\np pad n left=1 mode=circular\nf flatten p order=hwc\n"
    "z linear f out=3\n";

static void t_pointwise_over_time(void)
{
    t_pointwise_rig r;
    if (t_pointwise_open(&r, t_pointwise_timed, 2, 4)) {
        t_pointwise_gradient(&r, 2);
        static const char *const names[] = {"st.weight", "n.weight", "n.bias", "z.weight"};
        for (mango_idx i = 0; i < MGI_COUNT(names); i++) {
            const int p = mgi_param_find(r.net, names[i]);
            t_pointwise_differences(&r, "a spiking net", names[i], 2, r.net->param[p].count,
                                    r.net->param[p].v, r.g.of[p]);
        }
    }
    t_pointwise_close(&r);
}

/* All kinds in a row: cut into segments, values are made again with the same bits. */
static const char t_pointwise_row[] =
    "mango-graph 1\nnet arch=t\nin input - shape=4x16x16\na concat in,in\n"
    "b leakyrelu a\nc elu b\nd selu c\ne silu d\nf sigmoid e\ng hardtanh f\nh softplus g\n"
    "i hardsigmoid h\nj hardswish i\nk mish j\nl affine k scale=2\nm prelu l\n"
    "n prelu m slope=channel\np globalavg n\nq mul n,p\nr sub q,n\ns add r,q,p\n"
    "t layernorm s\nu layernorm t dims=1\nv layernorm u over=channels\nw groupnorm v groups=2\n"
    "x instancenorm w\ny pad x left=2 mode=reflect\nz crop y top=1 size=4x4\n"
    "aa transpose z order=hwc\nab pixelshuffle aa\nac pixelunshuffle ab\n"
    "ad slice ac from=1 to=3\nae flatten ad order=hwc\naf gelu ae mode=tanh\n"
    "ag linear af out=3\n";

static void t_pointwise_segments(void)
{
    t_pointwise_rig r;
    if (t_pointwise_open(&r, t_pointwise_row, 2, 1)) {
        const mango_idx most = r.nx + r.ny + r.g.n, bytes = mgi_tape_bytes(r.tape);
        float *a = calloc((size_t)most, sizeof *a), *b = calloc((size_t)most, sizeof *b);
        mgi_tape_options o = r.tape->o;
        t_pointwise_all(&r, a);
        T_CHECK(r.g.n > 0);
        for (o.memory = bytes - 64; o.memory > bytes / 2; o.memory -= bytes / 8) {
            mgi_tape *t = NULL;
            if (mgi_tape_new(&t, r.net, &o, NULL, NULL) < 0)
                break;
            T_CHECK(t->segments > 1);
            mgi_tape_free(r.tape);
            r.tape = t;
            mgi_tape_set_grads(t, &r.g);
            memset(b, 0, (size_t)most * sizeof *b);
            t_pointwise_all(&r, b);
            T_MEM(b, a, most * (mango_idx)sizeof *a);
        }
        T_CHECK(r.tape->segments > 1);
        free(a);
        free(b);
    }
    t_pointwise_close(&r);
}

/* ---- what is refused --------------------------------------------------------------- */

static void t_pointwise_refused(void)
{
    static const struct {
        const char *line, *part;
    } t[] = {
        {"z hardtanh in lo=2 hi=1\n", "node z: lo=2 is over hi=1"},
        {"z softplus in beta=0\n", "node z: beta=0, expected number 1e-06..1e+06"},
        {"z gelu in mode=erf\n", "node z: mode=erf, expected exact|tanh"},
        {"z prelu in slope=all\n", "node z: slope=all, expected one|channel"},
        {"z layernorm in dims=4\n", "node z: dims=4, expected whole numbers 1..3"},
        {"z layernorm in over=channels dims=1\n", "over=channels and dims exclude each other"},
        {"z groupnorm in\n", "node z: attribute 'groups' is missing"},
        {"z groupnorm in groups=3\n",
         "node z: input 'in' of shape 4x4x6: its channels do not part into groups=3"},
        {"z pad in left=6 mode=reflect\n", "mode=reflect pads by less than the map's size"},
        {"z pad in top=5 mode=circular\n", "mode=circular pads by the map's size at most"},
        {"z pad in left=-1\n", "node z: left=-1, expected whole numbers 0..4096"},
        {"z crop in size=5x2\n", "no 5x2 pixels from row 0, column 0 on"},
        {"z crop in left=5 size=2x2\n", "no 2x2 pixels from row 0, column 5 on"},
        {"z transpose in order=hhw\n", "expected chw|cwh|hcw|hwc|wch|whc"},
        {"z transpose in\n", "node z: attribute 'order' is missing"},
        {"z pixelshuffle in factor=3\n", "its channels do not part into factor x factor"},
        {"z pixelunshuffle in factor=4\n", "factor does not divide its height and width"},
        {"z slice in from=2 to=2\n", "from=2 to=2 is no range of its channels"},
        {"z slice in from=2 to=5\n", "from=2 to=5 is no range of its channels"},
        {"a slice in to=2\nz mul in,a\n",
         "node z: cannot multiply 'in' of shape 4x4x6 and 'a' of 2x4x6"},
        {"a crop in size=2x2\nz sub in,a\n", "node z: cannot subtract"},
        {"a slice in to=2\nb slice in to=1\nz add b,b,a,in\n", "node z: cannot add"},
        {"z sub in,in,in\n", "node z: 3 inputs, sub takes 2"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(t); i++) {
        mango_net *net = NULL;
        mango_err e = {""};
        char text[400];
        snprintf(text, sizeof text, T_POINTWISE_HEAD "%s", t[i].line);
        const mango_status st = mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &e);
        if (!T_CHECK(st < 0 && strstr(e.text, t[i].part)))
            printf("  '%s' gave '%s'\n", t[i].line, e.text);
        mango_net_destroy(net);
    }
}

/* A plan and a tape, both ways, where that is a matter of moments. */
static void t_pointwise_runs(const char *text)
{
    mango_net *net = NULL;
    mango_idx values = 0;
    t_pointwise_rig r;
    if (mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, NULL) < 0)
        return;
    for (int i = 0; i < net->n_nodes && values <= 100000; i++)
        values += net->node[i].C * net->node[i].H * net->node[i].W;
    for (int i = 0; i < net->n_params && values <= 100000; i++)
        values += net->param[i].count;
    if (net->input == net->output) {
        mgi_tape *none = NULL;
        mgi_tape_options o;
        mgi_tape_defaults(&o);
        o.B = o.T = 1;
        T_STATUS(mgi_tape_new(&none, net, &o, NULL, NULL), MANGO_E_UNSUPPORTED);
    } else if (values <= 100000) {
        if (t_pointwise_open(&r, text, 1, 1)) {
            float *y = calloc((size_t)(r.nx + r.ny), sizeof *y);
            const mango_reading read = {net->output, MANGO_READ_MEAN, y};
            mango_plan *p = NULL;
            mango_plan_options o;
            t_pointwise_gradient(&r, 1);
            mango_plan_defaults(&o);
            if (T_OK(mango_plan_create(&p, r.net, &o, 1, &read, NULL, NULL), NULL))
                T_OK(mango_plan_run(p, 1, r.x), NULL);
            mango_plan_destroy(p);
            free(y);
        }
        t_pointwise_close(&r);
    }
    mango_net_destroy(net);
}

/* Any change of a byte or a cut is read or refused; what is read is written and read
 * again, and runs. */
static void t_pointwise_mangled(void)
{
    mango_rng r;
    mango_rng_init(&r, 2, 1, 1);
    for (int k = 0; k < 6000; k++) {
        char text[sizeof t_pointwise_row], again[4000];
        mango_net *a = NULL, *b = NULL;
        mango_err e = {""};
        memcpy(text, t_pointwise_row, sizeof text);
        for (mango_idx m = mango_rng_int(&r, 3); m >= 0; m--) {
            const char swap[] = "0123456789=- x,abc";
            text[mango_rng_int(&r, (mango_idx)sizeof text - 1)] =
                k % 2 ? swap[mango_rng_int(&r, (mango_idx)sizeof swap - 1)]
                      : (char)mango_rng_int(&r, 256);
        }
        const mango_idx n = k % 5 ? (mango_idx)sizeof text - 1
                                  : mango_rng_int(&r, (mango_idx)sizeof text);
        if (mango_net_parse(&a, text, n, NULL, &e) < 0) {
            T_CHECK(e.text[0] && !a);
            continue;
        }
        T_CHECK(mango_net_text(a, again, sizeof again) < (mango_idx)sizeof again);
        T_OK(mango_net_parse(&b, again, (mango_idx)strlen(again), NULL, &e), &e);
        if (k % 7 == 0)
            t_pointwise_runs(again);
        mango_net_destroy(a);
        mango_net_destroy(b);
    }
}

void t_pointwise(void)
{
    T_CASE(t_pointwise_golden);
    T_CASE(t_pointwise_bits);
    T_CASE(t_pointwise_far);
    T_CASE(t_pointwise_over_time);
    T_CASE(t_pointwise_segments);
    T_CASE(t_pointwise_refused);
    T_CASE(t_pointwise_mangled);
    T_CASE(t_pointwise_both);
    T_CASE(t_pointwise_gradients);
    T_CASE(t_pointwise_text);
}

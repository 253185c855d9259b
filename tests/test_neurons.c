/* test_neurons.c - LIF layers beyond one rule for all: the spikes of snnTorch's and
 * SpikingJelly's classes (golden/neurons.py), kernels, text, plans and tapes.
 * SPDX-License-Identifier: MIT */
#include "test.h"

enum { T_NEURONS_T = 50, T_NEURONS_B = 2 };
static const char *const t_neurons_names[] = {
    "leaky_each",    "leaky_now",    "leaky_now_zero",  "leaky_maps",    "synaptic_subtract",
    "synaptic_zero", "synaptic_each", "synaptic_now",   "synaptic_maps", "rleaky_one",
    "rleaky_one_zero", "rleaky_all", "rleaky_all_now",  "rleaky_conv",   "rsynaptic_all",
    "rsynaptic_one", "lapicque",     "if_hard",         "if_soft",       "plif",
    "leaky_mem"};

/* ---- the golden networks ----------------------------------------------------------- */

static const char *t_neurons_kind(const mango_net *net)
{
    return net->node[net->input].C == 2 ? "map" : "vector";
}

/* Every parameter from the file: that of a linear layer or convolution, or of neurons. */
static void t_neurons_fill(const mgi_tensors *f, const char *name, mango_net *net)
{
    T_REQUIRE(mgi_net_alloc_params(net) == MANGO_OK);
    for (int i = 0; i < net->n_params; i++) {
        mgi_param *p = &net->param[i];
        char key[200];
        const int matmul = p->name[0] == 'l';
        snprintf(key, sizeof key, "%s.%s", matmul ? t_neurons_kind(net) : name, p->name);
        const mgi_tensor *t = mgi_tensors_find(f, key);
        T_REQUIRE(t && t->count == p->count);
        T_STATUS(mgi_tensor_floats(t, 1, p->v, NULL), MANGO_OK);
    }
}

static mango_net *t_neurons_net(const mgi_tensors *f, const char *name)
{
    mango_net *net = NULL;
    mango_err err = {""};
    const char *text = mgi_tensors_meta(f, name);
    T_CHECK(text != NULL);
    if (!text || !T_OK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &err), &err))
        return NULL;
    t_neurons_fill(f, name, net);
    return net;
}

static float *t_neurons_input(const mgi_tensors *f, const mango_net *net)
{
    char key[40];
    snprintf(key, sizeof key, "input.%s", t_neurons_kind(net));
    const mgi_tensor *t = mgi_tensors_find(f, key);
    float *x = t ? malloc((size_t)t->count * sizeof *x) : NULL;
    T_CHECK(t && mgi_tensor_floats(t, 1, x, NULL) == MANGO_OK);
    return x;
}

static mango_idx t_neurons_count(const mango_net *net, const char *layer)
{
    const mgi_node *q = &net->node[mgi_net_find(net, layer)];
    return T_NEURONS_T * T_NEURONS_B * q->C * q->H * q->W;
}

/* (T,B,n) of a layer. */
static float *t_neurons_read(const mango_net *net, const char *layer, const float *x,
                             mango_idx memory)
{
    const mango_idx n = t_neurons_count(net, layer);
    float *y = calloc((size_t)n, sizeof *y);
    const mango_reading r = {mgi_net_find(net, layer), MANGO_READ_SPIKES, y};
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_err err = {""};
    mango_plan_defaults(&o);
    o.T = T_NEURONS_T;
    o.batch = T_NEURONS_B;
    o.memory = memory;
    if (T_OK(mango_plan_create(&p, net, &o, 1, &r, NULL, &err), &err))
        T_OK(mango_plan_run(p, T_NEURONS_B, x), NULL);
    mango_plan_destroy(p);
    return y;
}

/* Values of `got` that are not the bits of tensor NAME.WHAT, or not its floats. */
static mango_idx t_neurons_differ(const mgi_tensors *f, const char *name, const char *what,
                                  mango_idx n, const float *got)
{
    char key[80];
    mango_idx bad = 0;
    snprintf(key, sizeof key, "%s.%s", name, what);
    const mgi_tensor *t = mgi_tensors_find(f, key);
    if (!t)
        return n;
    if (t->dtype == MGI_F32) {
        float *want = calloc((size_t)t->count, sizeof *want);
        bad = t->count != n || mgi_tensor_floats(t, 1, want, NULL) < 0;
        for (mango_idx i = 0; i < n && !bad; i++)
            bad += !(fabsf(got[i] - want[i]) <= 1e-6f);
        free(want);
        return bad;
    }
    for (mango_idx i = 0; i < n; i++)
        bad += got[i] != (float)(t->raw[i / 8] >> i % 8 & 1);
    return bad;
}

static void t_neurons_golden_case(const mgi_tensors *f, const char *name)
{
    mango_net *net = t_neurons_net(f, name);
    T_REQUIRE(net != NULL);
    float *x = t_neurons_input(f, net);
    const int mem = !strcmp(name, "leaky_mem");
    float *a = t_neurons_read(net, "a", x, 0), *b = t_neurons_read(net, "b", x, 0);
    if (!T_EQ(t_neurons_differ(f, name, "a", t_neurons_count(net, "a"), a), 0) ||
        !T_EQ(t_neurons_differ(f, name, mem ? "mem" : "b", t_neurons_count(net, "b"), b), 0))
        fprintf(stderr, "  in case %s\n", name);
    free(a);
    free(b);
    free(x);
    mango_net_destroy(net);
}

static void t_neurons_golden(void)
{
    mgi_tensors f;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("neurons.safetensors"), NULL, &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(t_neurons_names); i++)
        t_neurons_golden_case(&f, t_neurons_names[i]);
    mgi_tensors_free(&f);
}

/* A file whose graph says beta=0.5 and that holds a beta for each neuron. */
static void t_neurons_file(void)
{
    static const char text[] = "mango-graph 1\nnet arch=f T=3\ninput input - shape=4x1x1\n"
                               "a lif input beta=0.5\n";
    const mango_idx shape[1] = {4};
    const float beta[4] = {0.25f, 0.5f, 2.0f, 1.0f};
    mgi_tensor_writer *w = NULL;
    mango_net *net = NULL;
    mango_err err = {""};
    T_REQUIRE(mgi_writer_new(&w, NULL) == MANGO_OK);
    T_STATUS(mgi_writer_meta(w, "mango.graph", text), MANGO_OK);
    T_STATUS(mgi_writer_add(w, "a.beta", MGI_F32, 1, shape, beta), MANGO_OK);
    T_STATUS(mgi_writer_save(w, t_tmp("own.safetensors"), &err), MANGO_OK);
    mgi_writer_free(w);
    T_OK_OR_RETURN(mango_net_load(&net, t_tmp("own.safetensors"), NULL, &err), &err);
    T_EQ(net->node[1].lif.beta_per, MANGO_PER_CHANNEL);
    T_MEM(mango_net_param(net, "a.beta", NULL, NULL), beta, sizeof beta);
    mango_net_destroy(net);
}

/* ---- gradients --------------------------------------------------------------------- */

/* The loss of golden/neurons.py: its gradient by the values of b, (T,B,C,H,W), written as
 * (T,B,H,W,C). */
static void t_neurons_loss(const mgi_node *q, float *dout)
{
    const mango_idx C = q->C, HW = q->H * q->W;
    for (mango_idx m = 0; m < T_NEURONS_T * T_NEURONS_B; m++)
        for (mango_idx c = 0; c < C; c++)
            for (mango_idx p = 0; p < HW; p++) {
                const mango_idx i = (m * C + c) * HW + p;
                dout[(m * HW + p) * C + c] = (float)(37 * i % 17 - 8) / 16.0f;
            }
}

/* Is `got` the tensor NAME.grad.WHAT, to 1e-4 of its largest value? */
static void t_neurons_gradient(const mgi_tensors *f, const char *name, const char *what,
                               mango_idx n, const float *got)
{
    char key[120];
    double top = 0, gap = 0;
    snprintf(key, sizeof key, "%s.grad.%s", name, what);
    const mgi_tensor *t = mgi_tensors_find(f, key);
    T_REQUIRE(t && t->count == n);
    float *want = malloc((size_t)n * sizeof *want);
    T_STATUS(mgi_tensor_floats(t, 1, want, NULL), MANGO_OK);
    for (mango_idx i = 0; i < n; i++) {
        top = MGI_MAX(top, fabs((double)want[i]));
        gap = MGI_MAX(gap, fabs((double)want[i] - (double)got[i]));
    }
    if (!T_NEAR(gap, 0, 1e-4 * top + 1e-7))
        fprintf(stderr, "  in %s, %g at most\n", key, top);
    free(want);
}

/* Forward on a tape has the bits of a plan; backward the gradients of autograd. */
static void t_neurons_tape_case(const mgi_tensors *f, const char *name)
{
    mango_net *net = t_neurons_net(f, name);
    T_REQUIRE(net != NULL);
    const mgi_node *in = &net->node[net->input], *q = &net->node[net->output];
    const mango_idx n = in->C * in->H * in->W, most = t_neurons_count(net, "b");
    float *x = t_neurons_input(f, net), *dx = malloc((size_t)(T_NEURONS_B * n) * sizeof *dx);
    float *last = malloc((size_t)(T_NEURONS_B * n) * sizeof *last);
    float *y = malloc((size_t)most * sizeof *y), *b = t_neurons_read(net, "b", x, 0);
    mgi_tape_options o;
    mgi_tape *t = NULL;
    mgi_grads g;
    mango_err err = {""};
    mgi_tape_defaults(&o);
    o.B = T_NEURONS_B;
    o.T = T_NEURONS_T;
    o.train = o.input_grad = 1;
    T_REQUIRE(T_OK(mgi_tape_new(&t, net, &o, NULL, &err), &err));
    T_STATUS(mgi_grads_new(&g, net), MANGO_OK);
    mgi_grads_zero(&g);
    mgi_tape_set_grads(t, &g);
    mgi_to_nhwc(T_NEURONS_B, in->C, in->H * in->W, x, last);
    T_STATUS(mgi_tape_forward(t, T_NEURONS_B, last), MANGO_OK);
    mango_idx rows;
    const float *v = mgi_tape_value(t, t->output, &rows);
    mgi_to_nchw(rows, q->C, q->H * q->W, v, y);
    T_MEM(y, b, (size_t)most * sizeof *y);
    t_neurons_loss(q, mgi_tape_dout(t));
    mgi_tape_backward(t);
    mgi_to_nchw(T_NEURONS_B, in->C, in->H * in->W, mgi_tape_input_grad(t), dx);
    t_neurons_gradient(f, name, "input", T_NEURONS_B * n, dx);
    for (int i = 0; i < net->n_params; i++)
        if (net->param[i].name[0] != 'l')
            t_neurons_gradient(f, name, net->param[i].name, net->param[i].count, g.of[i]);
    mgi_grads_free(&g);
    mgi_tape_free(t);
    free(x), free(dx), free(last), free(y), free(b);
    mango_net_destroy(net);
}

static void t_neurons_gradients(void)
{
    mgi_tensors f;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("neurons.safetensors"), NULL, &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(t_neurons_names); i++)
        t_neurons_tape_case(&f, t_neurons_names[i]);
    mgi_tensors_free(&f);
}

/* ---- kernels, chunks ----------------------------------------------------------------- */

/* Case v of a rule of neurons, by a number. */
static mgi_lif_rule t_neurons_rule(int v)
{
    const mgi_lif_rule r = {.charge = (mgi_charge)(v % 3),
                            .reset = (mgi_reset)(v / 3 % 3),
                            .delay = v / 9 % 2,
                            .on_equal = v / 18 % 2,
                            .once = v % 3 == 0 && v / 3 % 3 == 1 && v / 9 % 4 == 0,
                            .after = v / 3 % 3 == 2 && v / 9 % 2 && v / 36 % 2,
                            .beta = 0.9f,
                            .tau = 2.5f,
                            .gain = 0.75f,
                            .U_thr = 1.0f,
                            .U_rest = 0.1f,
                            .U_reset = -0.2f,
                            .alpha = 0.5f};
    return r;
}

/* Every set against the plain loop: each rule with each set of own constants. */
static void t_neurons_kernels(void)
{
    enum { N = 29 };
    float x[N], u[N], own[5][N], U[2][N], S[2][N], I[2][N];
    mango_rng r;
    mango_rng_init(&r, 17, 2, 0);
    for (int i = 0; i < N; i++) {
        x[i] = 2.0f * mango_rng_uniformf(&r) - 0.5f;
        u[i] = i % 7 ? 2.0f * mango_rng_uniformf(&r) - 0.5f : 1.0f;
        for (int k = 0; k < 5; k++)
            own[k][i] = mango_rng_uniformf(&r) + (k == 1 ? 1.0f : 0.25f);
    }
    for (int v = 0; v < 72; v++)
        for (int m = 0; m < 32; m++) {
            const mgi_lif_rule rule = t_neurons_rule(v);
            mgi_lif_cells c = {m & 1 ? own[rule.charge != MGI_CHARGE_LEAK] : NULL,
                               m & 2 ? own[2] : NULL, m & 4 ? own[3] : NULL,
                               m & 8 ? own[4] : NULL, NULL};
            for (int k = 0; mgi_kernels_name(k); k++) {
                const mgi_kernels *set = mgi_kernels_named(mgi_kernels_name(k));
                for (int way = 0; way < 2 && set; way++) {
                    memcpy(U[way], u, sizeof u);
                    memcpy(I[way], own[0], sizeof u);
                    c.I = m & 16 ? I[way] : NULL;
                    (way ? set->lif_cells : mgi_lif_cells_ref)(N, &rule, &c, x, U[way], S[way]);
                }
                if (set && (memcmp(U[0], U[1], sizeof u) || memcmp(S[0], S[1], sizeof u) ||
                            memcmp(I[0], I[1], sizeof u)))
                    T_EQ(v * 32 + m, -1 - k);
            }
        }
}

/* A plan in chunks of time, and one that holds the spikes of `a` as bits or not. */
static void t_neurons_chunks(void)
{
    mgi_tensors f;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("neurons.safetensors"), NULL, &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(t_neurons_names); i++) {
        mango_net *net = t_neurons_net(&f, t_neurons_names[i]);
        T_REQUIRE(net != NULL);
        float *x = t_neurons_input(&f, net);
        float *a = t_neurons_read(net, "b", x, 0), *b = t_neurons_read(net, "b", x, 118000);
        T_MEM(a, b, (size_t)t_neurons_count(net, "b") * sizeof *a);
        free(x), free(a), free(b);
        mango_net_destroy(net);
    }
    mgi_tensors_free(&f);
}

/* In slices, one input dropped on the way: the other's mean and membrane stay the same. */
static void t_neurons_slices_case(const mgi_tensors *f, const char *name)
{
    mango_net *net = t_neurons_net(f, name);
    T_REQUIRE(net != NULL);
    const mango_idx layer = mgi_net_find(net, "b"), keep[1] = {1};
    const mango_idx n = t_neurons_count(net, "b") / T_NEURONS_T / T_NEURONS_B;
    float *x = t_neurons_input(f, net), *y = calloc((size_t)(8 * n), sizeof *y);
    mango_plan_options o;
    mango_err err = {""};
    mango_plan_defaults(&o);
    o.T = T_NEURONS_T;
    o.batch = T_NEURONS_B;
    for (int way = 0; way < 2; way++) {
        const mango_reading r[2] = {{layer, MANGO_READ_MEAN, y + 4 * way * n},
                                    {layer, MANGO_READ_MEMBRANE, y + (4 * way + 2) * n}};
        mango_plan *p = NULL;
        o.slice = way ? 7 : 0;
        T_OK(mango_plan_create(&p, net, &o, 2, r, NULL, &err), &err);
        if (p && way) {
            T_STATUS(mango_plan_start(p, T_NEURONS_B, x), MANGO_OK);
            T_STATUS(mango_plan_advance(p, 20), MANGO_OK);
            T_STATUS(mango_plan_keep(p, 1, keep), MANGO_OK);
            T_STATUS(mango_plan_advance(p, T_NEURONS_T - 20), MANGO_OK);
        } else if (p) {
            T_STATUS(mango_plan_run(p, T_NEURONS_B, x), MANGO_OK);
        }
        mango_plan_destroy(p);
    }
    T_MEM(y + 4 * n, y + n, (size_t)n * sizeof *y);
    T_MEM(y + 6 * n, y + 3 * n, (size_t)n * sizeof *y);
    free(x), free(y);
    mango_net_destroy(net);
}

static void t_neurons_slices(void)
{
    mgi_tensors f;
    mango_err err = {""};
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("neurons.safetensors"), NULL, &err), &err);
    for (mango_idx i = 0; i < MGI_COUNT(t_neurons_names); i++)
        t_neurons_slices_case(&f, t_neurons_names[i]);
    mgi_tensors_free(&f);
}

/* What is no rule is refused, by its name. */
static void t_neurons_refuses(void)
{
    static const char *const bad[][2] = {
        {"beta=1.5", "beta"},
        {"beta=each tau=2", "tau"},
        {"beta=0.5 U_leak=0.25", "U_leak"},
        {"beta=0.5 recurrent=all", "recurrent"},
        {"beta=0.5 recurrent=conv", "kernel"},
        {"beta=0.5 recurrent=conv kernel=2", "odd"},
        {"beta=0.5 kernel=3", "kernel"},
        {"beta=0.5 V=0.5", "V"},
        {"beta=0.5 alpha=2", "alpha"},
        {"beta=0.5 reset_after=1", "reset_after"},
        {"beta=some", "layer|channel|each"},
    };
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        char text[200];
        mango_net *net = NULL;
        mango_err err = {""};
        snprintf(text, sizeof text,
                 "mango-graph 1\nnet arch=f T=3\ninput input - shape=2x2x2\na lif input %s\n",
                 bad[i][0]);
        T_CHECK(mango_net_parse(&net, text, (mango_idx)strlen(text), NULL, &err) < 0);
        T_CHECK(strstr(err.text, bad[i][1]) != NULL);
        mango_net_destroy(net);
    }
}

void t_neurons(void)
{
    T_CASE(t_neurons_gradients);
    T_CASE(t_neurons_kernels);
    T_CASE(t_neurons_chunks);
    T_CASE(t_neurons_slices);
    T_CASE(t_neurons_refuses);
    T_CASE(t_neurons_file);
    T_CASE(t_neurons_golden);
}

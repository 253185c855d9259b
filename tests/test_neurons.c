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

void t_neurons(void)
{
    T_CASE(t_neurons_file);
    T_CASE(t_neurons_golden);
}

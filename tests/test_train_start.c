/* test_train_start.c - a training that starts from another network's values.
 * SPDX-License-Identifier: MIT */
#include "test.h"
#include "../src/net/graph.h"
#include "../src/train/train.h"
#include <math.h>

/* Values go where name and shape agree: another number of classes keeps its own
 * last layer; a network without a name in common gets nothing. */
static void t_train_start_borrow(void)
{
    mango_net *a = NULL, *b = NULL, *c = NULL;
    T_OK(mango_net_zoo(&a, "spiking_resnet18,width=0.125", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&b, "spiking_resnet18,width=0.125,classes=7,tau=4", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&c, "vqvae,hidden=32", NULL, NULL), NULL);
    T_CHECK(mango_net_borrow(b, a) == 0); /* nothing to take yet */
    T_OK(mango_net_fill(a, 3, 1), NULL);
    T_OK(mango_net_fill(b, 4, 1), NULL);
    T_OK(mango_net_fill(c, 4, 1), NULL);
    const float last = mango_net_param(b, "fc.weight", NULL, NULL)[0];
    T_CHECK(mango_net_borrow(b, a) == b->n_params - 2);
    T_CHECK(mango_net_param(b, "fc.weight", NULL, NULL)[0] == last);
    T_CHECK(mango_net_param(b, "fc.weight", NULL, NULL)[0] !=
            mango_net_param(a, "fc.weight", NULL, NULL)[0]);
    T_CHECK(mango_net_param(b, "bn1.running_var", NULL, NULL)[5] ==
            mango_net_param(a, "bn1.running_var", NULL, NULL)[5]);
    T_CHECK(mango_net_borrow(b, c) == 0 && mango_net_borrow(NULL, a) == -1);
    mango_net_destroy(a);
    mango_net_destroy(b);
    mango_net_destroy(c);
}

/* The first latents of a generator become as loud as the others together. */
static void t_train_start_classes(void)
{
    static const mango_idx bad[] = {0, 1, 16, 17};
    mango_net *n = NULL, *was = NULL, *none = NULL;
    T_OK(mango_net_zoo(&n, "sngan,width=0.0625,latent=16", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&was, "sngan,width=0.0625,latent=16", NULL, NULL), NULL);
    T_CHECK(mango_train_latent_classes(n, 4, 0) == 0); /* no values yet */
    T_OK(mango_net_fill(n, 5, 1), NULL);
    T_OK(mango_net_fill(was, 5, 1), NULL);
    for (int k = 0; k < 4; k++)
        T_CHECK(mango_train_latent_classes(n, bad[k], 0) == 0);
    T_NEAR(mango_train_latent_classes(n, 4, 0), sqrt(3.0), 1e-12);
    const float *a = mango_net_param(n, "l1.weight", NULL, NULL),
                *b = mango_net_param(was, "l1.weight", NULL, NULL);
    for (int o = 0; o < 40; o++)
        for (int k = 0; k < 16; k++)
            T_REL(a[o * 16 + k], (k < 4 ? sqrt(3.0) : 1.0) * (double)b[o * 16 + k], 1e-6);
    T_OK(mango_net_zoo(&none, "vqvae,hidden=32", NULL, NULL), NULL);
    T_CHECK(mango_train_latent_classes(none, 4, 0) == 0 &&
            mango_train_latent_classes(NULL, 4, 0) == 0);
    mango_net_destroy(n);
    mango_net_destroy(was);
    mango_net_destroy(none);
}

/* A branch for classes starts from the weights of the latents that stand for them;
 * learned already: these are as loud as the others again. */
static void t_train_start_branch(int learned)
{
    mango_net *n = NULL, *was = NULL;
    const double gain = sqrt(3.0), loud = learned ? 1 : gain;
    T_OK(mango_net_zoo(&n, "sngan,width=0.0625,latent=16,classes=4", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&was, "sngan,width=0.0625,latent=16,classes=4", NULL, NULL), NULL);
    T_CHECK(mango_train_latent_classes(n, 4, learned) == 0); /* no values yet */
    T_OK(mango_net_fill(n, 5, 1), NULL);
    T_OK(mango_net_fill(was, 5, 1), NULL);
    T_CHECK(mango_train_latent_classes(n, 3, learned) == 0); /* the branch has 4 */
    T_NEAR(mango_train_latent_classes(n, 4, learned), gain, 1e-12);
    const float *a = mango_net_param(n, "l1.weight", NULL, NULL),
                *b = mango_net_param(was, "l1.weight", NULL, NULL);
    const float *c = mango_net_param(n, "class.weight", NULL, NULL),
                *v = mango_net_param(n, "l1_class.weight", NULL, NULL);
    for (int o = 0; o < 40; o++)
        for (int k = 0; k < 16; k++) {
            const double mean = ((double)b[o * 16] + (double)b[o * 16 + 1] +
                                 (double)b[o * 16 + 2] + (double)b[o * 16 + 3]) /
                                4;
            T_REL(a[o * 16 + k],
                  (k < 4 && learned ? 1 / gain : 1.0) * (double)b[o * 16 + k], 1e-6);
            if (k < 4)
                T_NEAR(v[o * 4 + k], 3 * loud * ((double)b[o * 16 + k] - mean), 1e-6);
            if (o < 4)
                T_CHECK((c[o * 16 + k] > 1) == (o == k) && (o == k || c[o * 16 + k] == 0));
        }
    mango_net_destroy(n);
    mango_net_destroy(was);
}

static void t_train_start_branches(void)
{
    mango_net *n = NULL;
    mango_err e = {""};
    t_train_start_branch(0);
    t_train_start_branch(1);
    T_OK(mango_net_zoo(&n, "sngan,width=0.0625,latent=16,classes=4", NULL, &e), &e);
    T_OK(mango_train_init(n, MANGO_TRAIN_SNGAN, 3, NULL), NULL);
    const float *c = mango_net_param(n, "class.weight", NULL, NULL);
    T_CHECK(c && c[17] > 1 && c[16] == 0); /* the first values have it set */
    mango_net_destroy(n);
    /* A softmax beside a linear layer of another size is no branch; nor a classifier's. */
    static const char *const text[] = {
        "mango-graph 1\nnet arch=a\nx input - shape=8\nl1 linear x out=4 bias=1\nk linear "
        "x out=3 bias=0\n"
        "s softmax k\nv linear s out=64 bias=0\ny concat l1,v\n",
        "mango-graph 1\nnet arch=b\nx input - shape=8\nl1 linear x out=4 bias=1\nk linear "
        "x out=3 bias=0\n"
        "s softmax k\nv linear s out=4 bias=0\ny add l1,v\n"};
    for (int i = 0; i < 2; i++) {
        n = NULL;
        T_OK(mango_net_parse(&n, text[i], (mango_idx)strlen(text[i]), NULL, &e), &e);
        T_OK(mango_train_init(n, i ? MANGO_TRAIN_NET : MANGO_TRAIN_SNGAN, 3, NULL), NULL);
        c = mango_net_param(n, "k.weight", NULL, NULL);
        T_CHECK(c && c[1] != 0);
        T_CHECK((mango_train_latent_classes(n, 3, 0) > 0) == i);
        mango_net_destroy(n);
    }
}

static double t_train_start_value(mango_net *n, const char *name)
{
    const float *v = mango_net_param(n, name, NULL, NULL);
    return v ? (double)v[3] : NAN;
}

/* A network and its values before the move. */
static void t_train_start_one(mango_net *n, mango_net *was, double X_thr)
{
    static const struct {
        const char *norm;
        double shift;
    } at[] = {{"bn1", 0.8}, {"layer1.1.bn1", 0.8}, {"layer2.0.bn2", 0.5},
              {"layer2.0.downsample.1", 0}};
    T_EQ(mango_train_from_relu(n), 20);
    for (int i = 0; i < 4; i++) {
        char w[64], b[64];
        snprintf(w, sizeof w, "%s.weight", at[i].norm);
        snprintf(b, sizeof b, "%s.bias", at[i].norm);
        T_REL(t_train_start_value(n, w), X_thr * 0.7 * t_train_start_value(was, w), 1e-6);
        T_NEAR(t_train_start_value(n, b),
               X_thr * (0.7 * t_train_start_value(was, b) + at[i].shift), 1e-6);
    }
}

/* Weights scaled by 0.7, biases shifted by their place, in units of the input
 * that just reaches the threshold. */
static void t_train_start_moved(void)
{
    static const struct {
        const char *spec;
        double X_thr;
    } rule[] = {{"spiking_resnet18,width=0.125", 1},
                {"spiking_resnet18,width=0.125,tau=4,decay_input=0,U_thr=2", 0.5},
                {"spiking_resnet18,width=0.125,preset=snntorch,beta=0.75", 0.25}};
    mango_net *n, *was;
    for (int k = 0; k < 3; k++) {
        T_OK(mango_net_zoo(&n, rule[k].spec, NULL, NULL), NULL);
        T_OK(mango_net_zoo(&was, rule[k].spec, NULL, NULL), NULL);
        T_OK(mango_net_fill(n, 5, 1), NULL);
        T_OK(mango_net_fill(was, 5, 1), NULL);
        t_train_start_one(n, was, rule[k].X_thr);
        mango_net_destroy(n);
        mango_net_destroy(was);
    }
    T_OK(mango_net_zoo(&n, "resnet18,width=0.125,stem=7", NULL, NULL), NULL);
    T_EQ(mango_train_from_relu(n), 0); /* no neurons, nothing moved */
    mango_net_destroy(n);
}

/* Every parameter of the spiking network has its like in the twin. */
static void t_train_start_twins(void)
{
    mango_net *relu = NULL, *lif = NULL;
    T_OK(mango_net_zoo(&relu, "resnet18,width=0.125,stem=7", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&lif, "spiking_resnet18,width=0.125", NULL, NULL), NULL);
    T_OK(mango_net_fill(relu, 5, 1), NULL);
    T_EQ(mango_net_borrow(lif, relu), lif->n_params);
    T_EQ(lif->n_params, relu->n_params);
    mango_net_destroy(relu);
    mango_net_destroy(lif);
}

/* The output for two inputs, a fresh buffer; NULL after a failed check. */
static float *t_train_start_answer(const mango_net *n, mango_idx *count)
{
    const mgi_node *in = &n->node[n->input], *out = &n->node[n->output];
    const mango_idx e = in->C * in->H * in->W;
    mango_plan_options o;
    mango_plan *p = NULL;
    mango_err err = {""};
    *count = 2 * out->C * out->H * out->W;
    float *y = calloc((size_t)*count, sizeof *y), *x = calloc((size_t)(2 * e), sizeof *x);
    const mango_reading r = {n->output, MANGO_READ_MEAN, y};
    mango_plan_defaults(&o);
    o.batch = 2;
    o.T = n->T > 1 ? 4 : 1;
    mango_fill_u("x", 3, 2 * e, x);
    for (mango_idx i = 0; i < 2 * e; i++)
        x[i] = 0.5f + 0.5f * x[i];
    if (T_OK(mango_plan_create(&p, n, &o, 1, &r, NULL, &err), &err))
        T_OK(mango_plan_run(p, 2, x), NULL);
    mango_plan_destroy(p);
    free(x);
    return y;
}

/* A wider network starts with the narrow one's answers, by channels that are no
 * exact copies to those who read them. */
static void t_train_start_widened(void)
{
    static const struct {
        const char *narrow, *wide, *reader; /* reader: weight whose inputs are copies */
    } at[] = {
        {"sngan,width=0.0625", "sngan,width=0.09375", "block3.c1.weight"},
        {"sngan,width=0.0625", "sngan,width=0.0625", "block3.c1.weight"},
        {"resnet18,width=0.125", "resnet18,width=0.375", "layer2.0.conv1.weight"},
        {"vqvae,hidden=32", "vqvae,hidden=48", "_pre_vq_conv.weight"},
        {"snn_conv,width=0.05", "snn_conv,width=0.1,hidden=80", "features.linear1.weight"}};
    for (mango_idx k = 0; k < MGI_COUNT(at); k++) {
        mango_net *a = NULL, *b = NULL;
        mango_idx n, m, set = 0;
        T_OK_OR_RETURN(mango_net_zoo(&a, at[k].narrow, NULL, NULL), NULL);
        T_OK_OR_RETURN(mango_net_zoo(&b, at[k].wide, NULL, NULL), NULL);
        T_OK(mango_net_fill(a, 7, 1), NULL);
        T_OK(mango_train_widen(b, a, 5, &set, NULL), NULL);
        T_EQ(set, b->n_params);
        float *y = t_train_start_answer(a, &n), *z = t_train_start_answer(b, &m);
        double sum = 0;
        T_EQ(n, m);
        for (mango_idx i = 0; i < n && n == m; i++) {
            T_NEAR(z[i], y[i], 1e-5 * (1 + fabs((double)y[i])));
            sum += fabs((double)y[i]);
        }
        T_CHECK(sum > 0);
        const int p = mgi_param_find(b, at[k].reader);
        if (T_CHECK(p >= 0)) {
            const float *w = b->param[p].v;
            const mango_idx in = b->param[p].shape[1], old = a->param[p].shape[1];
            const mango_idx taps = b->param[p].count / in / b->param[p].shape[0];
            if (in > old)
                T_CHECK(w[0] != w[old * taps] && w[0] != 0);
        }
        free(y);
        free(z);
        mango_net_destroy(a);
        mango_net_destroy(b);
    }
}

static void t_train_start_not_wider(void)
{
    mango_net *a = NULL, *b = NULL, *c = NULL;
    mango_err err = {""};
    mango_idx set = -1;
    T_OK(mango_net_zoo(&a, "resnet18,width=0.25", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&b, "resnet18,width=0.125", NULL, NULL), NULL);
    T_OK(mango_net_zoo(&c, "densenet,width=0.25", NULL, NULL), NULL);
    T_OK(mango_net_fill(a, 7, 1), NULL);
    T_STATUS(mango_train_widen(b, a, 1, &set, &err), MANGO_E_SHAPE);
    T_CHECK(strstr(err.text, "conv1.weight of resnet18 is not a widened one") != NULL);
    T_STATUS(mango_train_widen(c, a, 1, &set, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, "cannot be widened") != NULL);
    mango_net_destroy(a);
    mango_net_destroy(b);
    mango_net_destroy(c);
}

/* Letters and digits are not mirrored, pictures in colour are. */
static void t_train_start_mirror(void)
{
    static const char *const spec[] = {"vqvae", "vqvae,in=1x28x28"};
    for (int k = 0; k < 2; k++) {
        mango_net *net = NULL;
        mango_err e = {""};
        mango_train_options o;
        T_OK_OR_RETURN(mango_net_zoo(&net, spec[k], NULL, &e), &e);
        T_OK(mango_train_defaults(MANGO_TRAIN_VQVAE, net, &o, NULL), NULL);
        T_EQ(o.flip, k == 0);
        mango_net_destroy(net);
    }
}

void t_train_start(void)
{
    T_CASE(t_train_start_mirror);
    T_CASE(t_train_start_classes);
    T_CASE(t_train_start_branches);
    T_CASE(t_train_start_borrow);
    T_CASE(t_train_start_moved);
    T_CASE(t_train_start_twins);
    T_CASE(t_train_start_widened);
    T_CASE(t_train_start_not_wider);
}

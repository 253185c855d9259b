/* init.c - first values of parameters, and the recipes.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../base/real.h"
#include <math.h>

static void init_uniform(mango_rng *r, mango_idx n, double bound, float *w)
{
    for (mango_idx i = 0; i < n; i++)
        w[i] = (float)((2 * mango_rng_uniform(r) - 1) * bound);
}

static void init_normal(mango_rng *r, mango_idx n, double sd, float *w)
{
    for (mango_idx i = 0; i < n; i++)
        w[i] = (float)(mango_rng_normal(r) * sd);
}

/* The only reader of node i, or -1. */
static int init_reader(const mango_net *net, int i)
{
    int found = -1;
    for (int k = i + 1; k < net->n_nodes; k++)
        for (int m = 0; m < net->node[k].n_in; m++)
            if (net->node[k].in[m] == i)
                found = found < 0 ? k : net->n_nodes;
    return found < net->n_nodes ? found : -1;
}

/* Does a LIF layer read node i, at most a pool in between? */
static int init_feeds_lif(const mango_net *net, int i)
{
    int k = init_reader(net, i);
    while (k >= 0 && (net->node[k].kind == MGI_MAXPOOL || net->node[k].kind == MGI_AVGPOOL))
        k = init_reader(net, k);
    return k >= 0 && net->node[k].kind == MGI_LIF;
}

/* Scale of a batch-norm: neurons of the tau form divide their input by tau, so
 * what feeds them starts higher; 1.5 on the main branch of a residual sum. */
static float init_norm_scale(const mango_net *net, int i)
{
    int k = init_reader(net, i);
    if (k >= 0 && net->node[k].kind == MGI_LIF && net->node[k].lif.tau > 0)
        return 2.0f;
    if (k < 0 || net->node[k].kind != MGI_ADD || net->node[k].in[0] != i)
        return 1.0f;
    k = init_reader(net, k) >= 0 ? init_reader(net, k) : k + 1;
    return k < net->n_nodes && net->node[k].kind == MGI_LIF && net->node[k].lif.tau > 0 ? 1.5f
                                                                                       : 1.0f;
}

static void init_weights(mango_net *net, int i, const mgi_trainer_kind *kind, mango_rng *r)
{
    const mgi_node *n = &net->node[i];
    const mgi_param *p = &net->param[n->weight];
    const mango_idx taps = p->rank == 4 ? p->shape[2] * p->shape[3] : 1;
    const double fan_in = (double)(p->shape[1] * taps), fan_out = (double)(p->shape[0] * taps);
    const int reader = init_reader(net, i);
    const char *name = strrchr(n->name, '.');
    const int residual = name && (!strcmp(name, ".c1") || !strcmp(name, ".c2"));
    if (kind->even_weights)
        init_uniform(r, p->count, sqrt((residual ? 12.0 : 6.0) / (fan_in + fan_out)), p->v);
    else if (reader >= 0 && net->node[reader].kind == MGI_BATCHNORM)
        init_normal(r, p->count, sqrt(2 / fan_out), p->v);
    else if (init_feeds_lif(net, i)) /* loud enough for neurons to fire */
        init_normal(r, p->count, 1 / sqrt(fan_in), p->v);
    else
        init_uniform(r, p->count, 1 / sqrt(fan_in), p->v);
    if (n->bias_p >= 0) {
        const mango_idx O = net->param[n->bias_p].count;
        if (kind->even_weights)
            memset(net->param[n->bias_p].v, 0, (size_t)O * sizeof(float));
        else
            init_uniform(r, O, 1 / sqrt(fan_in), net->param[n->bias_p].v);
    }
}

static void init_norm(mango_net *net, int i, int loud)
{
    const mgi_node *n = &net->node[i];
    const float scale = loud ? init_norm_scale(net, i) : 1.0f;
    for (mango_idx c = 0; c < n->C; c++) {
        if (n->weight >= 0)
            net->param[n->weight].v[c] = scale;
        if (n->bias_p >= 0)
            net->param[n->bias_p].v[c] = 0.0f;
        if (n->mean_p >= 0)
            net->param[n->mean_p].v[c] = 0.0f;
        if (n->var_p >= 0)
            net->param[n->var_p].v[c] = 1.0f;
    }
}

static void init_all(mango_net *net, int param, double value)
{
    for (mango_idx i = 0; param >= 0 && i < net->param[param].count; i++)
        net->param[param].v[i] = (float)value;
}

/* What a layer of neurons learns: the constants of its rule; PyTorch's for a feedback. */
static void init_neurons(mango_net *net, const mgi_node *n, mango_rng *r)
{
    const mango_lif *l = &n->lif;
    init_all(net, n->cell[MGI_CELL_LEAK], l->tau > 0 ? (double)l->tau : (double)l->beta);
    init_all(net, n->cell[MGI_CELL_ALPHA], l->alpha > 0 ? (double)l->alpha : 0.5);
    init_all(net, n->cell[MGI_CELL_THR], (double)l->U_thr);
    init_all(net, n->cell[MGI_CELL_V], 1);
    if (n->weight < 0)
        return;
    const mgi_param *w = &net->param[n->weight];
    const double fan_in = (double)(w->count / w->shape[0]);
    init_uniform(r, w->count, 1 / sqrt(fan_in), w->v);
    init_uniform(r, net->param[n->bias_p].count, 1 / sqrt(fan_in), net->param[n->bias_p].v);
}

/* Of one map: scales 1, shifts 0. A slope of 1/4, rows of N(0,1), as PyTorch has them. */
static void init_others(mango_net *net, const mgi_node *n, mango_rng *r)
{
    switch (n->kind) {
    case MGI_LAYERNORM:
    case MGI_GROUPNORM:
    case MGI_INSTANCENORM:
        init_all(net, n->weight, 1);
        init_all(net, n->bias_p, 0);
        break;
    case MGI_PRELU: init_all(net, n->weight, 0.25); break;
    case MGI_LIF: init_neurons(net, n, r); break;
    case MGI_VQ:
    case MGI_EMBEDDING:
        init_normal(r, net->param[n->weight].count, 1.0, net->param[n->weight].v);
        break;
    default: break;
    }
}

mango_status mango_train_init(mango_net *net, mango_train_kind kind, uint64_t seed,
                              mango_err *err)
{
    const mgi_trainer_kind *k = mgi_trainer_kind_of(kind);
    MGI_CHECK(err, net && k, "mango_train_init: net is NULL, or no such kind of training");
    const mango_status st = mgi_net_alloc_params(net);
    if (st < 0)
        return mgi_fail(err, st, "%s: no first values: %s", net->arch, mango_status_text(st));
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        mango_rng r;
        mango_rng_init(&r, seed, MGI_RNG_INIT, (uint64_t)i);
        if (n->kind == MGI_CONV || n->kind == MGI_CONVT || n->kind == MGI_LINEAR)
            init_weights(net, i, k, &r);
        else if (n->kind == MGI_BATCHNORM)
            init_norm(net, i, k->loud_norms);
        else
            init_others(net, n, &r);
    }
    const int classes = mgi_net_class_softmax(net);
    if (k->info.draws && classes >= 0)
        mango_train_latent_classes(net, net->node[classes].C, 0);
    return MANGO_OK;
}

/* ---- from a twin with ReLUs ------------------------------------------------- */

/* The constant input at which a neuron of this rule reaches its threshold. */
static double relu_threshold(const mango_lif *q)
{
    const double gain = q->input_gain * (q->tau > 0 && !q->decay_input ? q->tau : 1);
    const double room = q->tau > 0 ? q->U_thr - q->U_reset : q->U_thr * (1.0 - q->beta);
    return gain > 0 && room > 0 ? room / gain : 0;
}

/* y -> X_thr (0.7 y + shift) at norm i of a layer that feeds LIF neurons. The
 * shift is smaller where a residual sum adds spikes, none on its shortcut. */
static int relu_norm(mango_net *net, int i)
{
    const mgi_node *n = &net->node[i];
    double shift = 0.8;
    int k = init_reader(net, i);
    if (k >= 0 && net->node[k].kind == MGI_ADD) {
        shift = net->node[k].in[0] == i ? 0.5 : 0;
        k = init_reader(net, k);
    }
    const double X_thr =
        k >= 0 && net->node[k].kind == MGI_LIF ? relu_threshold(&net->node[k].lif) : 0;
    if (X_thr <= 0 || n->weight < 0 || n->bias_p < 0)
        return 0;
    for (mango_idx c = 0; c < n->C; c++) {
        float *w = &net->param[n->weight].v[c], *b = &net->param[n->bias_p].v[c];
        *w = (float)(X_thr * 0.7 * (double)*w);
        *b = (float)(X_thr * (0.7 * (double)*b + shift));
    }
    return 1;
}

mango_idx mango_train_from_relu(mango_net *net)
{
    mango_idx changed = 0;
    if (!net)
        return -1;
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == MGI_BATCHNORM)
            changed += relu_norm(net, i);
    return changed;
}

/* ---- latents that stand for classes ------------------------------------------ */

#define INIT_SHARP 20 /* the softmax of classes: e^20 for a latent that is larger by 1 */
#define INIT_CODE 3   /* largest of K latents less their mean: 1.7 from N(0,1), 3.6 on [-4,4] */

/* The branch's first layer c and its second, v, with rows like W's of d columns. The
 * column of class k is what the latents' columns answered to its code,
 * V_k = INIT_CODE loud (W_k - mean W). */
static void init_class_branch(mgi_param *c, mgi_param *v, mango_idx K, mango_idx d,
                              double loud, const float *W)
{
    memset(c->v, 0, (size_t)c->count * sizeof(float));
    for (mango_idx k = 0; k < K; k++)
        c->v[k * d + k] = INIT_SHARP;
    for (mango_idx o = 0; o < v->count / K; o++) {
        double mean = 0;
        for (mango_idx k = 0; k < K; k++)
            mean += (double)W[o * d + k] / (double)K;
        for (mango_idx k = 0; k < K; k++)
            v->v[o * K + k] = (float)(INIT_CODE * loud * ((double)W[o * d + k] - mean));
    }
}

/* The branch's second layer, when all three have values and it has p's rows; or NULL. */
static mgi_param *init_class_columns(mango_net *net, int softmax, const mgi_param *p)
{
    const int r = init_reader(net, softmax);
    mgi_param *v =
        r >= 0 && net->node[r].kind == MGI_LINEAR ? &net->param[net->node[r].weight] : NULL;
    return v && v->v && v->shape[0] == p->shape[0] &&
                   net->param[net->node[net->node[softmax].in[0]].weight].v
               ? v
               : NULL;
}

double mango_train_latent_classes(mango_net *net, mango_idx classes, int learned)
{
    const int s = net ? mgi_net_class_softmax(net) : -1,
              branch = s < 0 ? -1 : net->node[s].in[0];
    int i = 0;
    while (net && i < net->n_nodes &&
           !(net->node[i].kind == MGI_LINEAR && net->node[i].in[0] == net->input &&
             i != branch))
        i++;
    if (!net || i == net->n_nodes || classes < 2 || classes >= net->node[i].conv.C ||
        (s >= 0 && classes != net->node[s].C) || !net->param[net->node[i].weight].v)
        return 0;
    mgi_param *p = &net->param[net->node[i].weight],
              *v = s < 0 ? NULL : init_class_columns(net, s, p);
    const mango_idx d = net->node[i].conv.C;
    if (s >= 0 && !v)
        return 0;
    const double gain = sqrt((double)(d - classes) / (double)classes);
    const double by = s < 0 ? learned ? 1 : gain : learned ? 1 / gain : 1;
    if (s >= 0)
        init_class_branch(&net->param[net->node[branch].weight], v, classes, d,
                          learned ? 1 : gain, p->v);
    for (mango_idx o = 0; o < p->count / d; o++)
        for (mango_idx k = 0; k < classes; k++)
            p->v[o * d + k] = (float)(by * (double)p->v[o * d + k]);
    return gain;
}
#undef INIT_SHARP
#undef INIT_CODE

/* ---- recipes ------------------------------------------------------------- */

mango_status mango_train_defaults_sized(mango_train_kind kind, const mango_net *net,
                                        mango_train_options *o, size_t size, mango_err *err)
{
    const mgi_trainer_kind *k = mgi_trainer_kind_of(kind);
    mango_train_options own;
    MGI_CHECK(err, k, "mango_train_defaults: no such kind of training");
    MGI_CHECK(err, net || kind != MANGO_TRAIN_NET, "mango_train_defaults: net is NULL");
    memset(&own, 0, sizeof own);
    own.seed = 1;
    own.T = 1;
    own.schedule = MANGO_LR_COSINE;
    own.momentum = 0.9;
    own.nesterov = 1;
    own.beta1 = 0.9;
    own.beta2 = 0.999;
    own.eps = 1e-8;
    own.lr_every = 30;
    own.lr_factor = 0.1;
    own.readout_scale = 1;
    own.distill = 0.5;
    own.temperature = 2;
    own.n_dis = 1;
    k->recipe(&own, net);
    MGI_CHECK(err, mgi_options_out(o, size, &own, sizeof own) >= 0,
              "mango_train_defaults: o is NULL or its size is not sizeof *o");
    return MANGO_OK;
}

typedef struct init_range {
    const char *name;
    double value, lo, hi;
} init_range;

/* Are the options in their ranges? */
static mango_status init_check(const mango_train_options *o, const mgi_trainer_kind *k,
                             mango_err *err)
{
    const init_range r[] = {
        {"epochs", (double)o->epochs, 1, 100000}, {"batch", (double)o->batch, 1, 4096},
        {"T", (double)o->T, 1, 4096},             {"limit", (double)o->limit, 0, 1e9},
        {"val-limit", (double)o->val_limit, 0, 1e9}, {"lr", o->lr, 0, 1e3},
        {"warmup", o->warmup, 0, 1e5},            {"lr-every", o->lr_every, 1e-3, 1e6},
        {"lr-factor", o->lr_factor, 0, 1},        {"momentum", o->momentum, 0, 0.9999},
        {"beta1", o->beta1, 0, 0.99999},          {"beta2", o->beta2, 0, 0.999999},
        {"eps", o->eps, 1e-30, 1},                {"weight-decay", o->weight_decay, 0, 10},
        {"clip", o->clip, 0, 1e9},                {"smoothing", o->smoothing, 0, 0.99},
        {"ema", o->ema, 0, 0.999999},             {"crop-pad", (double)o->crop_pad, 0, 64},
        {"cutout", (double)o->cutout, 0, 256},    {"mixup", o->mixup, 0, 1},
        {"readout-scale", o->readout_scale, 1e-6, 1e6}, {"bn-T", (double)o->bn_T, 0, 4096},
        {"commitment", o->commitment, 0, 100},    {"decay", o->decay, 0, 0.99999},
        {"revive", o->revive, 0, 1},              {"n-dis", (double)o->n_dis, 1, 100},
        {"lr-dis", o->lr_dis, 0, 1e3},            {"grid", o->grid, 0, 1},
        {"distill", o->distill, 0, 1},            {"temperature", o->temperature, 0.1, 100},
        {"reference", (double)o->reference, 0, 100000}, {"memory", (double)o->memory, 0, 1e15},
    };
    for (mango_idx i = 0; i < MGI_COUNT(r); i++)
        if (!(r[i].value >= r[i].lo && r[i].value <= r[i].hi))
            return mgi_fail(err, MANGO_E_ARG, "option %s: %g; expected %g to %g", r[i].name,
                            r[i].value, r[i].lo, r[i].hi);
    if (!k->mixes && o->mixup > 0)
        return mgi_fail(err, MANGO_E_ARG, "option mixup is for classifiers only");
    return MANGO_OK;
}

mango_status mgi_train_options_in(mango_train_options *own, const mango_train_options *o,
                                  mango_train_kind kind, const mango_net *net, mango_err *err)
{
    const mgi_trainer_kind *k = mgi_trainer_kind_of(kind);
    if (net || kind != MANGO_TRAIN_NET)
        MGI_TRY(mango_train_defaults(kind, net, own, err));
    else
        memset(own, 0, sizeof *own);
    MGI_TRY(mgi_options_in(own, sizeof *own, o, "mango_train_defaults", err));
    return init_check(own, k, err);
}

mango_status mango_train_check(const mango_train_options *o, mango_train_kind kind,
                               mango_err *err)
{
    mango_train_options own;
    MGI_CHECK(err, o && mgi_trainer_kind_of(kind),
              "mango_train_check: no such kind of training, or no options");
    return mgi_train_options_in(&own, o, kind, NULL, err);
}

static void init_put(mgi_str *s, const char *name, double v)
{
    mgi_str_printf(s, "%s=", name);
    mgi_str_float(s, v);
    mgi_str_puts(s, "\n");
}

/* Everything that the result depends on; not memory. */
void mgi_train_text(const mango_train_options *o, mgi_str *s)
{
    const init_range r[] = {
        {"epochs", (double)o->epochs, 0, 0}, {"batch", (double)o->batch, 0, 0},
        {"T", (double)o->T, 0, 0},           {"limit", (double)o->limit, 0, 0},
        {"val-limit", (double)o->val_limit, 0, 0},
        {"optimizer", (double)o->optimizer, 0, 0}, {"schedule", (double)o->schedule, 0, 0},
        {"lr", o->lr, 0, 0},                 {"warmup", o->warmup, 0, 0},
        {"lr-every", o->lr_every, 0, 0},     {"lr-factor", o->lr_factor, 0, 0},
        {"momentum", o->momentum, 0, 0},     {"nesterov", (double)o->nesterov, 0, 0},
        {"beta1", o->beta1, 0, 0},           {"beta2", o->beta2, 0, 0},
        {"eps", o->eps, 0, 0},               {"weight-decay", o->weight_decay, 0, 0},
        {"clip", o->clip, 0, 0},             {"smoothing", o->smoothing, 0, 0},
        {"ema", o->ema, 0, 0},               {"crop-pad", (double)o->crop_pad, 0, 0},
        {"flip", (double)o->flip, 0, 0},     {"cutout", (double)o->cutout, 0, 0},
        {"mixup", o->mixup, 0, 0},           {"readout-scale", o->readout_scale, 0, 0},
        {"bn-T", (double)o->bn_T, 0, 0},     {"commitment", o->commitment, 0, 0},
        {"decay", o->decay, 0, 0},           {"revive", o->revive, 0, 0},
        {"n-dis", (double)o->n_dis, 0, 0},
    };
    const init_range later[] = {{"lr-dis", o->lr_dis, 0, 0}, {"grid", o->grid, 0, 0}};
    mgi_str_printf(s, "seed=%llu\nreadout=%s\n", (unsigned long long)o->seed, o->readout);
    for (mango_idx k = 0; k < MGI_COUNT(r); k++)
        init_put(s, r[k].name, r[k].value);
    for (mango_idx k = 0; k < MGI_COUNT(later); k++) /* 0: as before there was the option */
        if (later[k].value > 0)
            init_put(s, later[k].name, later[k].value);
}

/* classifier.c - cross-entropy on the mean output over time; spiking networks
 * by backpropagation through time with surrogate gradients (Neftci et al. 2019).
 * SPDX-License-Identifier: MIT */
#include "trainer.h"

static mango_status classifier_readout(mango_trainer *t, int *node, mango_err *err)
{
    *node = t->net->output;
    if (t->o.readout[0]) {
        *node = mgi_net_find(t->net, t->o.readout);
        if (*node < 0)
            return mgi_fail(err, MANGO_E_NAME, "no layer %s in %s to read the loss from",
                            t->o.readout, t->net->arch);
    }
    const mgi_node *n = &t->net->node[*node];
    if (n->H * n->W != 1 || n->C < t->info.classes)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "layer %s is %ldx%ldx%ld; the loss needs %ld classes", n->name,
                        (long)n->C, (long)n->H, (long)n->W, (long)t->info.classes);
    return MANGO_OK;
}

static mango_status classifier_prepare(mango_trainer *t, mango_err *err)
{
    mgi_tape_options o;
    int node;
    MGI_TRY(classifier_readout(t, &node, err));
    mgi_tape_defaults(&o);
    o.B = t->o.batch;
    o.T = t->o.T;
    o.output = node;
    o.memory = mgi_trainer_memory(t);
    MGI_TRY(mgi_tape_new(&t->tape, t->net, &o, &t->al, err));
    mgi_tape_set_grads(t->tape, &t->opt.g);
    o.train = 0;
    MGI_TRY(mgi_tape_new(&t->eval, t->net, &o, &t->al, err));
    if (t->o.mixup > 0) {
        t->n_tmp = t->batch.C * t->batch.H * t->batch.W;
        if (!(t->tmp = mgi_new(&t->al, t->n_tmp, sizeof(float))))
            return MANGO_E_MEM;
    }
    return MANGO_OK;
}

static mango_status classifier_update(mango_trainer *t, mango_err *err)
{
    const mango_idx b = t->o.batch, C = t->tape->net->node[t->tape->output].C;
    mango_idx rows, hits = 0;
    MGI_TRY(mgi_trainer_batch(t, b, err));
    if (t->o.mixup > 0)
        mgi_batch_mixup(&t->batch, &t->o, t->update, t->tmp);
    const mgi_labels l = {t->batch.label, t->o.mixup > 0 ? t->batch.label2 : NULL, t->batch.lam,
                          t->o.smoothing};
    MGI_TRY(mgi_tape_forward(t->tape, b, t->batch.x));
    const float *v = mgi_tape_value(t->tape, -1, &rows);
    t->last = mgi_loss_classes(rows / b, b, C, t->o.readout_scale, v, &l,
                               mgi_tape_dout(t->tape), &hits, t->work);
    if (t->teacher)
        MGI_TRY(mgi_distill_add(t, b, &t->last));
    if (!mgi_is_finite(t->last))
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    mgi_grads_zero(&t->opt.g);
    mgi_tape_backward(t->tape);
    if (mgi_optim_step(&t->opt, &t->o, mgi_trainer_lr(t)) < 0)
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    t->sum[0] += t->last;
    t->sum[1] += (double)hits / (double)b;
    t->sum[2] += t->opt.norm;
    return MANGO_OK;
}

static mango_status classifier_look(mango_trainer *t, mango_train_row *r, mango_err *err)
{
    const mango_idx n = mgi_trainer_val_count(t);
    const mango_idx C = t->net->node[t->eval->output].C;
    const mgi_labels l = {t->batch.label, NULL, 1, 0};
    mango_idx hits = 0;
    double loss = 0;
    mgi_trainer_bind(t, t->eval);
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        const mango_idx b = MGI_MIN(t->o.batch, n - at);
        mango_idx rows;
        MGI_TRY(mgi_trainer_look(t, t->val, at, b, err));
        MGI_TRY(mgi_tape_forward(t->eval, b, t->batch.x));
        const float *v = mgi_tape_value(t->eval, -1, &rows);
        loss += (double)b * mgi_loss_classes(rows / b, b, C, t->o.readout_scale, v, &l, NULL,
                                             &hits, t->work);
    }
    r->val_loss = loss / (double)n;
    r->val_score = (double)hits / (double)n;
    return MANGO_OK;
}

/* ---- at the end ------------------------------------------------------------- */

/* Running statistics at bn_T steps: plain mean over batches, momentum 1/(k+1). */
static mango_status classifier_renorm(mango_trainer *t, mango_err *err)
{
    mgi_tape *tape = NULL;
    mgi_tape_options o;
    mango_status st = MANGO_OK;
    const mango_idx b = MGI_MIN(t->o.batch, 64);
    const mango_idx batches = MGI_MIN(64, t->info.count / b);
    mgi_tape_defaults(&o);
    o.B = b;
    o.T = t->o.bn_T;
    o.train = 2;
    o.memory = mgi_trainer_memory(t);
    MGI_TRY(mgi_tape_new(&tape, t->net, &o, &t->al, err));
    mango_rng r;
    mango_rng_init(&r, t->o.seed, MGI_RNG_ORDER, UINT64_MAX);
    mango_rng_perm(&r, t->info.count, t->order);
    t->ordered = 0;
    for (mango_idx k = 0; k < batches; k++) {
        t->batch.b = b;
        MGI_TRY_TO(mgi_batch_fill(&t->batch, t->data, t->order + k * b, &t->o, 0, 0, t->scale,
                                  t->shift, err));
        tape->momentum = 1.0 / (double)(k + 1);
        MGI_TRY_TO(mgi_tape_forward(tape, b, t->batch.x));
    }
done:
    mgi_tape_free(tape);
    return st;
}

static mango_status classifier_finish(mango_trainer *t, mango_err *err)
{
    return t->o.bn_T > 0 ? classifier_renorm(t, err) : MANGO_OK;
}

/* ---- recipe ----------------------------------------------------------------- */

static int classifier_has(const mango_net *net, mgi_kind kind)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == kind)
            return 1;
    return 0;
}

/* An output of spikes saturates and passes little gradient: read the linear
 * layer that feeds it, at a tenth of the logits' size, so that the rates of the
 * last neurons keep the order of the classes. */
static void classifier_recipe_readout(mango_train_options *o, const mango_net *net)
{
    int i = net->output;
    if (!mgi_node_spikes(&net->node[i]))
        return;
    while (net->node[i].kind != MGI_LINEAR && net->node[i].n_in > 0)
        i = net->node[i].in[0];
    if (net->node[i].kind == MGI_LINEAR &&
        mgi_copy(o->readout, (mango_idx)sizeof o->readout, net->node[i].name))
        o->readout_scale = 10;
}

static void classifier_recipe(mango_train_options *o, const mango_net *net)
{
    const int spiking = classifier_has(net, MGI_LIF), norm = classifier_has(net, MGI_BATCHNORM);
    o->epochs = 30;
    o->batch = 128;
    o->T = spiking ? 4 : 1;
    /* Surrogate gradients are small and uneven from layer to layer: Adam. */
    o->optimizer = norm && !spiking ? MANGO_SGD : MANGO_ADAMW;
    o->lr = o->optimizer == MANGO_SGD ? 0.1 : 2e-3;
    o->warmup = 0.5;
    o->weight_decay = o->optimizer == MANGO_SGD ? 5e-4 : 0.02;
    o->smoothing = 0.1;
    o->clip = 5;
    o->crop_pad = net->node[net->input].H >= 32 ? 4 : 0;
    o->flip = net->node[net->input].C == 3;
    classifier_recipe_readout(o, net);
}

MGI_DATA const mgi_trainer_kind mgi_trainer_net = {
    .info = {.name = "net",
             .arch = "snn_conv",
             .column = {"loss", "accuracy", "val_loss", "val_accuracy", "lr", "gradient"},
             .rising = 1},
    .labelled = 1,
    .mixes = 1,
    .taught = 1,
    .loud_norms = 1,
    .recipe = classifier_recipe,
    .prepare = classifier_prepare,
    .update = classifier_update,
    .look = classifier_look,
    .finish = classifier_finish,
    .flops = mgi_trainer_flops,
};

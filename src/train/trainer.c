/* trainer.c - what all trainers share: set-up, the order of pictures, epochs.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../base/real.h"
#include <math.h>

mango_idx mgi_trainer_memory(const mango_trainer *t)
{
    return t->o.memory > 0 ? t->o.memory
                           : (mango_idx)MGI_MIN((uint64_t)PTRDIFF_MAX, (uint64_t)4 << 30);
}

static double trainer_lr_of(const mango_trainer *t, mango_idx update)
{
    return mgi_optim_lr(&t->o, update, t->steps, (double)t->steps * (double)t->o.epochs);
}

double mgi_trainer_lr(const mango_trainer *t)
{
    return trainer_lr_of(t, t->update);
}

void mgi_trainer_bind(const mango_trainer *t, mgi_tape *tape)
{
    for (int p = 0; p < t->net->n_params; p++)
        tape->w[p] = t->o.ema > 0 ? t->avg.of[p] : t->net->param[p].v;
}

/* ---- set-up --------------------------------------------------------------- */

const mgi_node *mgi_trainer_pictures(const mango_trainer *t)
{
    return &t->net->node[t->kind->info.draws ? t->net->output : t->net->input];
}

static mango_status trainer_fits(const mango_trainer *t, const mango_data_info *d,
                                 mango_err *err)
{
    const mgi_node *n = mgi_trainer_pictures(t);
    if (d->C != n->C || d->H != n->H || d->W != n->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s: pictures are %ldx%ldx%ld, layer %s of %s is %ldx%ldx%ld", d->name,
                        (long)d->C, (long)d->H, (long)d->W, n->name, t->net->arch, (long)n->C,
                        (long)n->H, (long)n->W);
    return MANGO_OK;
}

static mango_status trainer_labels(const mango_trainer *t, const mango_data *data,
                                   const mango_data_info *d, mango_err *err)
{
    const mango_net *reads = t->dsc ? t->dsc : t->net;
    const mgi_node *out = &reads->node[reads->output];
    const int *label = mango_data_labels(data);
    if (d->classes <= 0)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: has no labels to train on", d->name);
    if (d->classes > out->C * out->H * out->W)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: %ld classes, but %s has %ld outputs", d->name,
                        (long)d->classes, reads->arch, (long)(out->C * out->H * out->W));
    for (mango_idx i = 0; label && i < d->count; i++)
        if (label[i] < 0 || label[i] >= d->classes)
            return mgi_fail(err, MANGO_E_SHAPE, "%s: label %d of picture %ld; expected 0..%ld",
                            d->name, label[i], (long)i, (long)d->classes - 1);
    return MANGO_OK;
}

/* How pictures in [0,1] become what the network reads or draws. */
static void trainer_units(mango_trainer *t)
{
    const mango_net *net = t->net;
    for (int c = 0; c < 3; c++) {
        const float sd = net->std[c] != 0.0f ? net->std[c] : 1.0f;
        const float gain = net->out_scale != 0.0f ? net->out_scale : 1.0f;
        t->scale[c] = 1.0f / (t->kind->info.draws ? gain : sd);
        t->shift[c] = -(t->kind->info.draws ? net->out_shift : net->mean[c]) * t->scale[c];
    }
}

static mango_status trainer_data(mango_trainer *t, mango_err *err)
{
    mango_data_get(t->data, &t->info);
    MGI_TRY(trainer_fits(t, &t->info, err));
    if (t->kind->labelled || (t->dsc && t->dsc->node[t->dsc->output].C > 1))
        MGI_TRY(trainer_labels(t, t->data, &t->info, err));
    if (t->val) {
        mango_data_get(t->val, &t->val_info);
        MGI_TRY(trainer_fits(t, &t->val_info, err));
        if (t->kind->labelled)
            MGI_TRY(trainer_labels(t, t->val, &t->val_info, err));
    }
    trainer_units(t);
    const mango_idx n = t->o.limit > 0 ? MGI_MIN(t->o.limit, t->info.count) : t->info.count;
    t->steps = n / t->o.batch;
    if (t->steps < 1)
        return mgi_fail(err, MANGO_E_ARG,
                        "batch %ld is larger than the %ld pictures of an epoch",
                        (long)t->o.batch, (long)n);
    return MANGO_OK;
}

/* Are all pictures in memory, decoded? */
static int trainer_in_memory(const mango_trainer *t)
{
    return mango_data_pixels(t->data) && (!t->val || mango_data_pixels(t->val));
}

static mango_status trainer_buffers(mango_trainer *t, mango_err *err)
{
    const mgi_node *n = mgi_trainer_pictures(t);
    const mango_idx e = n->C * n->H * n->W,
                    size[] = {4, (mango_idx)sizeof(float), t->o.batch, e};
    mango_idx most;
    if (!mgi_prod(4, size, &most))
        return mgi_fail(err, MANGO_E_LIMIT,
                        "batches of %ld pictures of %ldx%ldx%ld are too large here",
                        (long)t->o.batch, (long)n->C, (long)n->H, (long)n->W);
    t->batch.C = n->C;
    t->batch.H = n->H;
    t->batch.W = n->W;
    t->batch.x = mgi_new(&t->al, t->o.batch * e, sizeof(float));
    if (!trainer_in_memory(t))
        t->batch.pixels = mgi_new(&t->al, t->o.batch * e, 1);
    t->batch.label = mgi_new(&t->al, t->o.batch, sizeof(int));
    t->batch.label2 = mgi_new(&t->al, t->o.batch, sizeof(int));
    t->order = mgi_new(&t->al, t->info.count, sizeof *t->order);
    t->row = mgi_new(&t->al, t->o.epochs, sizeof *t->row);
    t->n_work = 4 * MGI_MAX(t->info.classes, 1);
    for (int i = 0; i < t->net->n_nodes; i++)
        t->n_work = MGI_MAX(t->n_work, 4 * t->net->node[i].C * t->net->node[i].H *
                                           (t->net->node[i].H == 1 ? 1 : 0));
    t->work = mgi_new(&t->al, t->n_work, sizeof *t->work);
    const int pixels = t->batch.pixels || trainer_in_memory(t);
    const int labels = t->batch.label && t->batch.label2;
    return t->batch.x && pixels && labels && t->order && t->row && t->work ? MANGO_OK
                                                                           : MANGO_E_MEM;
}

static mango_status trainer_prepare(mango_trainer *t, mango_err *err)
{
    MGI_TRY(trainer_data(t, err));
    MGI_TRY(trainer_buffers(t, err));
    MGI_TRY(mgi_optim_new(&t->opt, t->net, &t->o));
    if (t->o.ema > 0)
        MGI_TRY(mgi_average_new(&t->avg, t->net));
    MGI_TRY(t->kind->prepare(t, err));
    t->flops = t->kind->flops(t);
    return MANGO_OK;
}

mango_status mango_trainer_create(mango_trainer **out, mango_train_kind kind, mango_net *net,
                                  mango_net *dsc, const mango_data *data, const mango_data *val,
                                  const mango_train_options *o, const mango_alloc *al,
                                  mango_err *err)
{
    const mgi_trainer_kind *k = mgi_trainer_kind_of(kind);
    mango_train_options own;
    MGI_CHECK(err, out && net && data && o,
              "mango_trainer_create: t, net, data or options is NULL");
    *out = NULL;
    MGI_CHECK(err, k, "mango_trainer_create: no such kind of training");
    MGI_CHECK(err, k->info.judged == (dsc != NULL),
              "mango_trainer_create: %s is trained %s a second network", k->info.name,
              k->info.judged ? "with" : "without");
    MGI_TRY(mgi_train_options_in(&own, o, kind, net, err));
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].v)
            return mgi_fail(err, MANGO_E_STATE, "parameter %s has no values yet",
                            net->param[p].name);
    if (net->given || (dsc && dsc->given))
        return mgi_fail(err, MANGO_E_STATE, "a net that gives its weights away is not trained");
    const mango_alloc a = mgi_alloc_get(al);
    mango_trainer *t = mgi_new(&a, 1, sizeof *t);
    if (!t)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a trainer");
    t->al = a;
    t->kind = k;
    t->o = own;
    t->net = net;
    t->dsc = dsc;
    t->data = data;
    t->val = val;
    t->best = MGI_NAN;
    t->vq = t->vq_in = -1;
    mango_err why = {""};
    const mango_status st = trainer_prepare(t, &why);
    if (st < 0) {
        mgi_fail(err, st, "%s", why.text[0] ? why.text : "no memory for a trainer");
        mango_trainer_destroy(t);
        return st;
    }
    *out = t;
    return MANGO_OK;
}

void mango_trainer_destroy(mango_trainer *t)
{
    if (!t)
        return;
    const mango_alloc a = t->al;
    const mango_idx e = t->batch.C * t->batch.H * t->batch.W;
    mgi_tape_free(t->tape);
    mgi_tape_free(t->eval);
    mgi_tape_free(t->tape_d);
    mgi_tape_free(t->tape_g);
    mgi_tape_free(t->lesson);
    mgi_optim_free(&t->opt);
    mgi_optim_free(&t->opt_d);
    mgi_average_free(&t->avg);
    mgi_spectral_free(&t->sn);
    if (t->kind->free)
        t->kind->free(t);
    mgi_del(&a, t->batch.x, t->o.batch * e, sizeof(float));
    mgi_del(&a, t->seen, t->o.batch * e, sizeof(float));
    mgi_del(&a, t->batch.pixels, t->o.batch * e, 1);
    mgi_del(&a, t->batch.label, t->o.batch, sizeof(int));
    mgi_del(&a, t->batch.label2, t->o.batch, sizeof(int));
    mgi_del(&a, t->order, t->info.count, sizeof *t->order);
    mgi_del(&a, t->row, t->o.epochs, sizeof *t->row);
    mgi_del(&a, t->work, t->n_work, sizeof *t->work);
    mgi_del(&a, t->tmp, t->n_tmp, sizeof(float));
    mgi_del(&a, t, 1, sizeof *t);
}

/* ---- batches --------------------------------------------------------------- */

static void trainer_order(mango_trainer *t)
{
    mango_rng r;
    if (t->ordered)
        return;
    mango_rng_init(&r, t->o.seed, MGI_RNG_ORDER, (uint64_t)t->epoch);
    mango_rng_perm(&r, t->info.count, t->order);
    t->ordered = 1;
}

mango_idx mgi_trainer_val_count(const mango_trainer *t)
{
    const mango_idx all = t->val_info.count;
    return t->o.val_limit > 0 ? MGI_MIN(t->o.val_limit, all) : all;
}

mango_status mgi_trainer_batch(mango_trainer *t, mango_idx b, mango_err *err)
{
    trainer_order(t);
    t->batch.b = b;
    return mgi_batch_fill(&t->batch, t->data, t->order + t->step * t->o.batch, &t->o, 1,
                          t->epoch, t->scale, t->shift, err);
}

mango_status mgi_trainer_look(mango_trainer *t, const mango_data *data, mango_idx at,
                              mango_idx b, mango_err *err)
{
    mango_idx index[64];
    mgi_batch part = t->batch;
    const mango_idx e = part.C * part.H * part.W;
    for (mango_idx k = 0; k < b; k += 64) {
        part.b = MGI_MIN(64, b - k);
        part.x = t->batch.x + k * e;
        part.label = t->batch.label + k;
        for (mango_idx i = 0; i < part.b; i++)
            index[i] = at + k + i;
        MGI_TRY(mgi_batch_fill(&part, data, index, &t->o, 0, 0, t->scale, t->shift, err));
    }
    t->batch.b = b;
    t->batch.lam = 1;
    return MANGO_OK;
}

/* ---- steps and epochs ------------------------------------------------------ */

/* The parameter nearest the output whose gradient is not finite; NULL: none. */
static const char *trainer_bad_gradient(const mgi_tape *tape)
{
    for (int p = tape->net->n_params - 1; p >= 0; p--) {
        const float *g = tape->dw[p];
        if (g && !mgi_all_finite(tape->net->param[p].count, g))
            return tape->net->param[p].name;
    }
    return NULL;
}

mango_status mgi_trainer_nonfinite(mango_trainer *t, mgi_tape *tape, const float *x,
                                   mango_err *err)
{
    const char *grad = trainer_bad_gradient(tape);
    tape->check = tape->frozen = 1;
    mgi_tape_forward(tape, tape->b, x);
    const int bad = tape->bad;
    tape->check = tape->frozen = 0;
    const char *where = bad >= 0 ? tape->net->node[bad].name : grad ? grad : "the loss";
    return mgi_fail(
        err, MANGO_E_NONFINITE,
        "the loss or its gradient is not finite at step %ld of epoch %ld; first at %s%s",
        (long)t->step + 1, (long)t->epoch + 1,
        bad >= 0 ? "layer "
        : grad   ? "the gradient of "
                 : "",
        where);
}

mango_status mango_trainer_step(mango_trainer *t, mango_err *err)
{
    MGI_CHECK(err, t, "mango_trainer_step: t is NULL");
    if (t->epoch >= t->o.epochs || t->step >= t->steps)
        return mgi_fail(err, MANGO_E_STATE, "no step left in this epoch");
    MGI_TRY(t->kind->update(t, err));
    if (t->o.ema > 0)
        mgi_average_step(&t->avg, t->net, t->o.ema, t->update);
    t->step++;
    t->update++;
    return MANGO_OK;
}

static mango_status trainer_close(mango_trainer *t, mango_err *err)
{
    const double n = (double)t->steps;
    mango_train_row *r = &t->row[t->epoch];
    r->epoch = t->epoch + 1;
    r->lr = trainer_lr_of(t, MGI_MAX(t->update - 1, 0));
    r->loss = t->sum[0] / n;
    r->score = t->sum[1] / n;
    r->extra = t->sum[2] / n;
    r->val_loss = r->val_score = MGI_NAN;
    if (t->val && t->kind->look)
        MGI_TRY(t->kind->look(t, r, err));
    if (t->kind->close)
        t->kind->close(t, r);
    const double sign = t->kind->info.rising ? 1 : -1;
    const double better = sign * r->val_score, best = sign * t->best;
    if (!mgi_is_nan(better) && (mgi_is_nan(best) || better > best)) {
        t->best = r->val_score;
        t->best_epoch = r->epoch;
    }
    t->epoch++;
    t->step = 0;
    t->ordered = 0;
    memset(t->sum, 0, sizeof t->sum);
    return MANGO_OK;
}

mango_status mango_trainer_epoch(mango_trainer *t, mango_train_watch on_step, void *ud,
                                 mango_err *err)
{
    MGI_CHECK(err, t, "mango_trainer_epoch: t is NULL");
    if (t->epoch >= t->o.epochs)
        return mgi_fail(err, MANGO_E_STATE, "all %ld epochs are done", (long)t->o.epochs);
    while (t->step < t->steps) {
        MGI_TRY(mango_trainer_step(t, err));
        if (on_step && on_step(ud, t))
            return MANGO_STOP_USER;
    }
    return trainer_close(t, err);
}

mango_status mango_trainer_get_sized(const mango_trainer *t, mango_trainer_info *info,
                                     size_t size)
{
    MGI_REQUIRE(t && info && size > 0);
    const mango_trainer_info own = {.epoch = t->epoch,
                                    .epochs = t->o.epochs,
                                    .step = t->step,
                                    .steps = t->steps,
                                    .loss = t->last,
                                    .best = t->best,
                                    .best_epoch = t->best_epoch,
                                    .tape_bytes = mgi_tape_bytes(t->tape),
                                    .segments = t->tape->segments,
                                    .flops = t->flops};
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

mango_idx mango_trainer_rows(const mango_trainer *t)
{
    return t ? t->epoch : -1;
}

mango_status mango_trainer_row_sized(const mango_trainer *t, mango_idx i,
                                     mango_train_row *row, size_t size)
{
    MGI_REQUIRE(t && i >= 0 && i < t->epoch && row && size > 0);
    mgi_info_out(row, size, &t->row[i], sizeof t->row[i]);
    return MANGO_OK;
}

/* ---- at the end -------------------------------------------------------------- */

void mgi_trainer_rgb(const mango_trainer *t, mango_idx n, const float *x, float *rgb)
{
    const mango_idx C = t->batch.C, hw = t->batch.H * t->batch.W;
    mgi_to_nchw(n, C, hw, x, rgb);
    for (mango_idx i = 0; i < n * C * hw; i++) {
        const mango_idx c = i / hw % C % 3;
        const float v = (rgb[i] - t->shift[c]) / t->scale[c];
        rgb[i] = v > 0.0f ? v < 1.0f ? v : 1.0f : 0.0f;
    }
}

mango_status mango_trainer_finish(mango_trainer *t, mango_err *err)
{
    MGI_CHECK(err, t, "mango_trainer_finish: t is NULL");
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++)
        memcpy(t->net->param[p].v, t->avg.of[p],
               (size_t)t->net->param[p].count * sizeof(float));
    return t->kind->finish ? t->kind->finish(t, err) : MANGO_OK;
}

mango_status mango_trainer_snapshot(mango_trainer *t, const char *path, const char *dtype,
                                    mango_err *err)
{
    MGI_CHECK(err, t && path && dtype, "mango_trainer_snapshot: t, path or dtype is NULL");
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++) {
        float *w = t->net->param[p].v;
        t->net->param[p].v = t->avg.of[p];
        t->avg.of[p] = w;
    }
    const mango_status st = mango_net_save(t->net, path, dtype, err);
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++) {
        float *w = t->net->param[p].v;
        t->net->param[p].v = t->avg.of[p];
        t->avg.of[p] = w;
    }
    return st;
}

mango_status mango_trainer_sample(mango_trainer *t, mango_idx n, float *rgb, float *source,
                                  mango_err *err)
{
    MGI_CHECK(err, t && rgb, "mango_trainer_sample: t or rgb is NULL");
    MGI_CHECK(err, n > 0 && n <= t->o.batch,
              "mango_trainer_sample: %ld pictures; expected 1 to %ld", (long)n,
              (long)t->o.batch);
    if (!t->kind->sample)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "a training of kind %s draws no pictures",
                        t->kind->info.name);
    return t->kind->sample(t, n, rgb, source, err);
}

/* sngan.c - SN-GAN (Miyato et al. 2018): hinge loss, spectral norm in the
 * discriminator D, averaged generator G.
 *     L_D = mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))
 *     L_G = - mean D(G(z))
 * A discriminator with K > 1 answers has one for each class of the pictures and
 * is asked for the one that fits: a picture's label, or the class that a latent
 * stands for, the place of the largest of its first K values. (The projection
 * discriminator of Miyato and Koyama 2018, and a generator that learns to read
 * classes from its latent, so that it stays a plain function of it.) Real pictures
 * asked for another class count as drawn ones (Reed et al. 2016), so that D learns
 * what classes are.
 * One "update" is n_dis steps of D, each on new pictures, and one of G.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"

#define SNGAN_MISMATCH 0.5 /* weight of real pictures asked for other classes */

static mango_status sngan_fits(mango_trainer *t, mango_err *err)
{
    const mgi_node *z = &t->net->node[t->net->input];
    const mgi_node *y = &t->net->node[t->net->output], *x = &t->dsc->node[t->dsc->input];
    const mgi_node *d = &t->dsc->node[t->dsc->output];
    if (y->C != x->C || y->H != x->H || y->W != x->W || d->H * d->W != 1)
        return mgi_fail(err, MANGO_E_SHAPE, "%s and %s do not fit: %ldx%ldx%ld, %ldx%ldx%ld",
                        t->net->arch, t->dsc->arch, (long)y->C, (long)y->H, (long)y->W,
                        (long)x->C, (long)x->H, (long)x->W);
    if (d->C > 1 && (d->C != t->info.classes || d->C > z->C * z->H * z->W))
        return mgi_fail(
            err, MANGO_E_SHAPE,
            "%s has an answer for each of %ld classes; %s has %ld, and a latent %ld values",
            t->dsc->arch, (long)d->C, t->info.name, (long)t->info.classes,
            (long)(z->C * z->H * z->W));
    const int branch = mgi_net_class_softmax(t->net);
    if (branch >= 0 && t->net->node[branch].C != d->C)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s draws %ld classes, %s answers for %ld; expected as many",
                        t->net->arch, (long)t->net->node[branch].C, t->dsc->arch,
                        (long)d->C);
    for (int p = 0; p < t->dsc->n_params; p++)
        if (!t->dsc->param[p].v)
            return mgi_fail(err, MANGO_E_STATE, "parameter %s of %s has no values yet",
                            t->dsc->param[p].name, t->dsc->arch);
    return MANGO_OK;
}

static mango_status sngan_prepare(mango_trainer *t, mango_err *err)
{
    const mgi_node *z = &t->net->node[t->net->input], *y = &t->net->node[t->net->output];
    const mango_idx b = t->o.batch;
    mgi_tape_options o;
    MGI_TRY(sngan_fits(t, err));
    MGI_TRY(mgi_optim_new(&t->opt_d, t->dsc, &t->o));
    MGI_TRY(mgi_spectral_new(&t->sn, t->dsc, t->o.seed));
    t->n_latent = b * z->C * z->H * z->W;
    t->n_tmp = t->n_latent + 2 * b * y->C * y->H * y->W;
    if (!(t->tmp = mgi_new(&t->al, t->n_tmp, sizeof(float))))
        return MANGO_E_MEM;
    mgi_tape_defaults(&o);
    o.B = b;
    o.memory = mgi_trainer_memory(t);
    MGI_TRY(mgi_tape_new(&t->tape, t->net, &o, &t->al, err));
    mgi_tape_set_grads(t->tape, &t->opt.g);
    o.input_grad = 1;
    MGI_TRY(mgi_tape_new(&t->tape_g, t->dsc, &o, &t->al, err));
    o.input_grad = 0;
    o.B = 2 * b;
    MGI_TRY(mgi_tape_new(&t->tape_d, t->dsc, &o, &t->al, err));
    mgi_tape_set_grads(t->tape_d, &t->opt_d.g);
    mgi_spectral_bind(&t->sn, t->tape_d);
    mgi_spectral_bind(&t->sn, t->tape_g);
    mgi_spectral_update(&t->sn, 10);
    o.B = b;
    o.train = 0;
    t->steps = t->steps / t->o.n_dis;
    if (t->steps < 1)
        return mgi_fail(err, MANGO_E_ARG, "an epoch has fewer pictures than n-dis batches");
    return mgi_tape_new(&t->eval, t->net, &o, &t->al, err);
}

/* Latents of n pictures: N(0,1), or for a share of them even on [-4,4]. */
static void sngan_latents(mango_trainer *t, uint32_t purpose, mango_idx index, mango_idx n)
{
    const mango_idx d = t->n_latent / t->o.batch;
    mango_rng r;
    mango_rng_init(&r, t->o.seed, purpose, (uint64_t)index);
    for (mango_idx i = 0; i < n; i++) {
        const int even = t->o.grid > 0 && mango_rng_uniform(&r) < t->o.grid;
        for (mango_idx k = i * d; k < (i + 1) * d; k++)
            t->tmp[k] = (float)(even ? 8 * mango_rng_uniform(&r) - 4 : mango_rng_normal(&r));
    }
}

/* The classes that the latents of n pictures stand for, into batch.label2. */
static const int *sngan_classes(mango_trainer *t, mango_idx n)
{
    const mango_idx d = t->n_latent / t->o.batch, K = t->dsc->node[t->dsc->output].C;
    for (mango_idx i = 0; i < n; i++) {
        const float *z = t->tmp + i * d;
        int at = 0;
        for (int k = 1; k < K; k++)
            at = z[k] > z[at] ? k : at;
        t->batch.label2[i] = at;
    }
    return t->batch.label2;
}

static mango_status sngan_discriminator(mango_trainer *t, mango_idx k, double lr,
                                        mango_err *err)
{
    const mango_idx b = t->o.batch, e = t->batch.C * t->batch.H * t->batch.W;
    const mango_idx K = t->dsc->node[t->dsc->output].C;
    const mango_idx draw = t->update * (t->o.n_dis + 1) + k, step = t->step;
    float *x = t->tmp + t->n_latent; /* (2b,H,W,C) real | fake */
    sngan_latents(t, MGI_RNG_LATENT, draw, b);
    t->step = step * t->o.n_dis + k;
    const mango_status st = mgi_trainer_batch(t, b, err);
    t->step = step;
    MGI_TRY(st);
    MGI_TRY(mgi_tape_forward(t->tape, b, t->tmp));
    memcpy(x, t->batch.x, (size_t)(b * e) * sizeof(float));
    memcpy(x + b * e, mgi_tape_value(t->tape, -1, NULL), (size_t)(b * e) * sizeof(float));
    mgi_spectral_update(&t->sn, 1);
    MGI_TRY(mgi_tape_forward(t->tape_d, 2 * b, x));
    const float *d = mgi_tape_value(t->tape_d, -1, NULL);
    float *dd = mgi_tape_dout(t->tape_d);
    const int *real = t->batch.label, *fake = sngan_classes(t, b);
    t->last = mgi_loss_hinge(b, K, real, d, 1, dd) +
              mgi_loss_hinge(b, K, fake, d + b * K, 0, dd + b * K) +
              mgi_loss_mismatch(b, K, real, SNGAN_MISMATCH, d, dd);
    if (!mgi_is_finite(t->last))
        return mgi_trainer_nonfinite(t, t->tape_d, x, err);
    for (mango_idx i = 0; i < b; i++)
        t->sum[2] +=
            ((double)d[i * K + (K > 1 ? real[i] : 0)] - (double)d[(b + i) * K + fake[i]]) /
            (double)(b * t->o.n_dis);
    mgi_grads_zero(&t->opt_d.g);
    mgi_tape_backward(t->tape_d);
    mgi_spectral_backward(&t->sn, &t->opt_d.g);
    if (mgi_optim_step(&t->opt_d, &t->o, lr) < 0)
        return mgi_trainer_nonfinite(t, t->tape_d, x, err);
    t->sum[0] += t->last / (double)t->o.n_dis;
    return MANGO_OK;
}

static mango_status sngan_generator(mango_trainer *t, double lr, mango_err *err)
{
    const mango_idx b = t->o.batch, e = t->batch.C * t->batch.H * t->batch.W;
    const mango_idx K = t->dsc->node[t->dsc->output].C;
    double loss = 0;
    sngan_latents(t, MGI_RNG_LATENT, t->update * (t->o.n_dis + 1) + t->o.n_dis, b);
    MGI_TRY(mgi_tape_forward(t->tape, b, t->tmp));
    mgi_spectral_update(&t->sn, 1);
    MGI_TRY(mgi_tape_forward(t->tape_g, b, mgi_tape_value(t->tape, -1, NULL)));
    const float *d = mgi_tape_value(t->tape_g, -1, NULL);
    float *dd = mgi_tape_dout(t->tape_g);
    const int *fake = sngan_classes(t, b);
    memset(dd, 0, (size_t)(b * K) * sizeof *dd);
    for (mango_idx i = 0; i < b; i++) {
        loss -= (double)d[i * K + fake[i]] / (double)b;
        dd[i * K + fake[i]] = -1.0f / (float)b;
    }
    if (!mgi_is_finite(loss))
        return mgi_trainer_nonfinite(t, t->tape, t->tmp, err);
    mgi_tape_backward(t->tape_g);
    memcpy(mgi_tape_dout(t->tape), mgi_tape_input_grad(t->tape_g),
           (size_t)(b * e) * sizeof(float));
    mgi_grads_zero(&t->opt.g);
    mgi_tape_backward(t->tape);
    if (mgi_optim_step(&t->opt, &t->o, lr) < 0)
        return mgi_trainer_nonfinite(t, t->tape, t->tmp, err);
    t->sum[1] += loss;
    return MANGO_OK;
}

static mango_status sngan_update(mango_trainer *t, mango_err *err)
{
    const double lr = mgi_trainer_lr(t);
    const double lr_dis = t->o.lr_dis > 0 && t->o.lr > 0 ? lr / t->o.lr * t->o.lr_dis : lr;
    for (mango_idx k = 0; k < t->o.n_dis; k++)
        MGI_TRY(sngan_discriminator(t, k, lr_dis, err));
    return sngan_generator(t, lr, err);
}

static mango_status sngan_sample(mango_trainer *t, mango_idx n, float *rgb, float *source,
                                 mango_err *err)
{
    const mango_idx d = t->n_latent / t->o.batch;
    const mango_idx K = t->dsc->node[t->dsc->output].C;
    (void)source;
    (void)err;
    sngan_latents(t, MGI_RNG_SAMPLE, 0, n);
    const int *is = sngan_classes(t, n);
    for (mango_idx i = 0; i < n; i++) { /* one class after the other */
        float *z = t->tmp + i * d, *a = z + is[i], *b = z + i % K;
        const float largest = *a;
        *a = *b;
        *b = largest;
    }
    mgi_trainer_bind(t, t->eval);
    MGI_TRY(mgi_tape_forward(t->eval, n, t->tmp));
    mgi_trainer_rgb(t, n, mgi_tape_value(t->eval, -1, NULL), rgb);
    return MANGO_OK;
}

/* ---- the rest of the kind --------------------------------------------------- */

static mango_status sngan_keeps(mgi_resume *k, mango_trainer *t)
{
    MGI_TRY(mgi_resume_params(k, "dsc", t->dsc));
    MGI_TRY(mgi_resume_optim(k, "dsc_m", "dsc_v", &t->opt_d));
    MGI_TRY(mgi_resume_array(k, "sn", "u", t->sn.nu, t->sn.u));
    MGI_TRY(mgi_resume_array(k, "sn", "v", t->sn.nv, t->sn.v));
    if (mgi_resume_reads(k))
        mgi_spectral_update(&t->sn, 0);
    return MANGO_OK;
}

static double sngan_flops(const mango_trainer *t)
{
    const mango_idx b = t->o.batch;
    const double dsc = mgi_tape_flops(t->tape, b, 0) + mgi_tape_flops(t->tape_d, 2 * b, 1);
    return (double)t->o.n_dis * dsc + mgi_tape_flops(t->tape, b, 1) +
           mgi_tape_flops(t->tape_g, b, 1);
}

static void sngan_recipe(mango_train_options *o, const mango_net *net)
{
    (void)net;
    o->epochs = 50;
    o->batch = 64;
    o->optimizer = MANGO_ADAM;
    o->schedule = MANGO_LR_LINEAR;
    o->lr = 2e-4;
    o->beta1 = 0;
    o->beta2 = 0.9;
    o->ema = 0.999;
    o->n_dis = 5;
    o->flip = 1;
}

MGI_DATA const mgi_trainer_kind mgi_trainer_sngan = {
    .info = {.name = "sngan",
             .arch = "sngan",
             .column = {"loss_d", "loss_g", "val_loss", "val_score", "lr", "margin"},
             .draws = 1,
             .samples = 1,
             .judged = 1},
    .even_weights = 1,
    .recipe = sngan_recipe,
    .prepare = sngan_prepare,
    .update = sngan_update,
    .sample = sngan_sample,
    .keeps = sngan_keeps,
    .flops = sngan_flops,
};
#undef SNGAN_MISMATCH

/* vqvae.c - VQ-VAE (van den Oord et al. 2017) with the codebook as moving
 * averages of what is assigned to each code (its appendix A.1):
 *     N_k = g N_k + (1-g) n_k,  m_k = g m_k + (1-g) sum z,  e_k = m_k / N_k,
 * and codes that nothing uses set on encoded pictures.
 * loss = |y-x|^2 / variance + commitment |z - e|^2, means over elements.
 * SPDX-License-Identifier: MIT */
#include "trainer.h"
#include "../base/real.h"

static mango_status vqvae_find(mango_trainer *t, mango_err *err)
{
    int layers = 0;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->node[i].kind == MGI_VQ) {
            t->vq = i;
            layers++;
        }
    if (layers != 1)
        return mgi_fail(err, MANGO_E_SHAPE, "%s has %d vq layers; a VQ-VAE is trained with one",
                        t->net->arch, layers);
    const mgi_node *n = &t->net->node[t->vq], *y = &t->net->node[t->net->output];
    t->vq_in = n->in[0];
    t->used = mgi_new(&t->al, n->codes, sizeof *t->used);
    t->ema_n = mgi_new(&t->al, n->codes, sizeof(float));
    t->ema_w = mgi_new(&t->al, n->codes * n->C, sizeof(float));
    t->per = mgi_new(&t->al, t->batch.C, sizeof *t->per);
    if (!t->used || !t->ema_n || !t->ema_w || !t->per)
        return MANGO_E_MEM;
    if (y->C != t->batch.C || y->H != t->batch.H || y->W != t->batch.W)
        return mgi_fail(err, MANGO_E_SHAPE, "%s does not rebuild pictures of its input's size",
                        t->net->arch);
    return MANGO_OK;
}

/* Variance of the training pictures, in the network's units. */
static mango_status vqvae_variance(mango_trainer *t, mango_err *err)
{
    const mango_idx e = t->batch.C * t->batch.H * t->batch.W;
    const mango_idx n = MGI_MIN(t->info.count, 2000);
    double s = 0, q = 0;
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        const mango_idx b = MGI_MIN(t->o.batch, n - at);
        MGI_TRY(mgi_trainer_look(t, t->data, at, b, err));
        for (mango_idx k = 0; k < b * e; k++) {
            s += (double)t->batch.x[k];
            q += (double)t->batch.x[k] * (double)t->batch.x[k];
        }
    }
    const double count = (double)n * (double)e;
    t->variance = q / count - s / count * (s / count);
    if (!(t->variance > 0))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: all pictures are one colour", t->info.name);
    return MANGO_OK;
}

static mango_status vqvae_prepare(mango_trainer *t, mango_err *err)
{
    mgi_tape_options o;
    MGI_TRY(vqvae_find(t, err));
    MGI_TRY(vqvae_variance(t, err));
    mgi_tape_defaults(&o);
    o.B = t->o.batch;
    o.memory = mgi_trainer_memory(t);
    o.n_keep = 1;
    o.keep[0] = t->vq_in;
    MGI_TRY(mgi_tape_new(&t->tape, t->net, &o, &t->al, err));
    mgi_tape_set_grads(t->tape, &t->opt.g);
    o.train = 0;
    return mgi_tape_new(&t->eval, t->net, &o, &t->al, err);
}

/* Code k becomes row r of z, with the weight of one use. */
static void vqvae_set(mango_trainer *t, mango_idx k, const float *z)
{
    const mgi_node *n = &t->net->node[t->vq];
    const mango_idx C = n->C;
    memcpy(t->ema_w + k * C, z, (size_t)C * sizeof(float));
    memcpy(t->net->param[n->weight].v + k * C, z, (size_t)C * sizeof(float));
    t->ema_n[k] = 1.0f;
}

static void vqvae_codebook(mango_trainer *t, const float *z, mango_idx R)
{
    const mgi_node *n = &t->net->node[t->vq];
    const mango_idx C = n->C, K = n->codes;
    float *E = t->net->param[n->weight].v;
    const float g = (float)t->o.decay, h = 1.0f - g;
    double total = 0;
    mango_rng r;
    for (mango_idx k = 0; k < K; k++)
        t->ema_n[k] *= g;
    for (mango_idx k = 0; k < K * C; k++)
        t->ema_w[k] *= g;
    for (mango_idx i = 0; i < R; i++) {
        const int32_t k = t->tape->codes[i];
        t->used[k] += 1;
        t->ema_n[k] += h;
        for (mango_idx c = 0; c < C; c++)
            t->ema_w[k * C + c] += h * z[i * C + c];
    }
    for (mango_idx k = 0; k < K; k++)
        total += (double)t->ema_n[k];
    mango_rng_init(&r, t->o.seed, MGI_RNG_CODES, (uint64_t)t->update);
    for (mango_idx k = 0; k < K; k++) {
        /* Laplace smoothing, then revival. */
        const double size = ((double)t->ema_n[k] + 1e-5) / (total + (double)K * 1e-5) * total;
        for (mango_idx c = 0; c < C; c++)
            E[k * C + c] = (float)((double)t->ema_w[k * C + c] / size);
        const mango_idx pick = mango_rng_int(&r, R);
        if ((double)t->ema_n[k] < t->o.revive * total / (double)K)
            vqvae_set(t, k, z + pick * C);
    }
}

/* Before the first update the codes are encoded pictures of the first batch. */
static void vqvae_first_codes(mango_trainer *t, const float *z, mango_idx R)
{
    const mgi_node *n = &t->net->node[t->vq];
    mango_rng r;
    mango_rng_init(&r, t->o.seed, MGI_RNG_CODES, UINT64_MAX);
    for (mango_idx k = 0; k < n->codes; k++)
        vqvae_set(t, k, z + mango_rng_int(&r, R) * n->C);
}

/* weight times the squared error in units of [0,1], from t->per, channel by channel. */
static void vqvae_error_add(const mango_trainer *t, double weight, double *sum)
{
    for (mango_idx c = 0; c < t->batch.C; c++) {
        const double unit = (double)t->scale[c % 3];
        *sum += weight * t->per[c] / (double)t->batch.C / (unit * unit);
    }
}

static mango_status vqvae_update(mango_trainer *t, mango_err *err)
{
    const mgi_node *vq = &t->net->node[t->vq];
    const mango_idx b = t->o.batch, C = t->batch.C, rows = b * t->batch.H * t->batch.W;
    const mango_idx R = b * vq->H * vq->W;
    double commit, each[1];
    MGI_TRY(mgi_trainer_batch(t, b, err));
    MGI_TRY(mgi_tape_forward(t->tape, b, t->batch.x));
    if (t->update == 0) {
        vqvae_first_codes(t, mgi_tape_value(t->tape, t->vq_in, NULL), R);
        MGI_TRY(mgi_tape_forward(t->tape, b, t->batch.x));
    }
    const float *y = mgi_tape_value(t->tape, -1, NULL);
    const float *z = mgi_tape_value(t->tape, t->vq_in, NULL);
    const double mse = mgi_loss_mse(rows, C, y, t->batch.x,
                                    2 / ((double)(rows * C) * t->variance),
                                    mgi_tape_dout(t->tape), t->per);
    commit = 0;
    for (mango_idx i = 0; i < R; i++) { /* |z - e|^2 */
        const float *e = t->net->param[vq->weight].v + t->tape->codes[i] * vq->C;
        mgi_loss_mse(vq->C, 1, z + i * vq->C, e, 0, NULL, each);
        commit += each[0] / (double)R;
    }
    t->last = mse / t->variance + t->o.commitment * commit;
    if (!mgi_is_finite(t->last))
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    t->tape->commit = 2 * t->o.commitment / (double)(R * vq->C);
    mgi_grads_zero(&t->opt.g);
    mgi_tape_backward(t->tape);
    if (mgi_optim_step(&t->opt, &t->o, mgi_trainer_lr(t)) < 0)
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    vqvae_codebook(t, mgi_tape_value(t->tape, t->vq_in, NULL), R);
    t->sum[0] += t->last;
    vqvae_error_add(t, 1, &t->sum[1]);
    return MANGO_OK;
}

static mango_status vqvae_look(mango_trainer *t, mango_train_row *r, mango_err *err)
{
    const mango_idx n = mgi_trainer_val_count(t);
    const mango_idx C = t->batch.C, hw = t->batch.H * t->batch.W;
    double loss = 0, score = 0;
    mgi_trainer_bind(t, t->eval);
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        const mango_idx b = MGI_MIN(t->o.batch, n - at);
        MGI_TRY(mgi_trainer_look(t, t->val, at, b, err));
        MGI_TRY(mgi_tape_forward(t->eval, b, t->batch.x));
        loss += (double)b / t->variance *
                mgi_loss_mse(b * hw, C, mgi_tape_value(t->eval, -1, NULL), t->batch.x, 0, NULL,
                             t->per);
        vqvae_error_add(t, (double)b, &score);
    }
    r->val_loss = loss / (double)n;
    r->val_score = score / (double)n;
    return MANGO_OK;
}

/* ---- reference codes ------------------------------------------------------ */

/* The first pictures of each class, the same number of each, into t->order. */
static mango_idx vqvae_choose(mango_trainer *t)
{
    const int *label = mango_data_labels(t->data);
    const mango_idx classes = label ? MGI_MAX(t->info.classes, 1) : 1;
    const mango_idx each = MGI_MIN(t->o.reference, t->info.count) / classes;
    mango_idx n = 0;
    for (mango_idx c = 0; c < classes; c++)
        for (mango_idx i = 0, k = 0; i < t->info.count && k < each; i++)
            if (!label || label[i] == c) {
                t->order[n++] = i;
                k++;
            }
    t->ordered = 0;
    return n;
}

/* Codes as little-endian 16-bit integers. */
static void vqvae_bytes(mango_idx n, const int32_t *code, unsigned char *raw)
{
    for (mango_idx i = 0; i < n; i++) {
        raw[2 * i] = (unsigned char)(code[i] & 255);
        raw[2 * i + 1] = (unsigned char)(code[i] >> 8 & 255);
    }
}

static mango_status vqvae_reference(mango_trainer *t, mango_err *err)
{
    const mgi_node *vq = &t->net->node[t->vq];
    const mango_idx n = vqvae_choose(t), e = vq->H * vq->W, shape[3] = {n, vq->H, vq->W};
    mango_status st = MANGO_OK;
    if (n == 0 || vq->codes > 32768)
        return MANGO_OK;
    unsigned char *raw = mgi_new(&t->al, n * e, 2);
    if (!raw)
        return MANGO_E_MEM;
    mgi_trainer_bind(t, t->eval);
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        t->batch.b = MGI_MIN(t->o.batch, n - at);
        MGI_TRY_TO(mgi_batch_fill(&t->batch, t->data, t->order + at, &t->o, 0, 0, t->scale,
                                  t->shift, NULL));
        MGI_TRY_TO(mgi_tape_forward(t->eval, t->batch.b, t->batch.x));
        vqvae_bytes(t->batch.b * e, t->eval->codes, raw + 2 * at * e);
    }
    st = mgi_net_extra_set(t->net, "reference_codes", MGI_I16, 3, shape, raw);
done:
    mgi_del(&t->al, raw, n * e, 2);
    return st < 0 ? mgi_fail(err, st, "reference codes: %s", mango_status_text(st)) : st;
}

static mango_status vqvae_finish(mango_trainer *t, mango_err *err)
{
    return t->o.reference > 0 ? vqvae_reference(t, err) : MANGO_OK;
}

/* ---- the rest of the kind --------------------------------------------------- */

static void vqvae_free(mango_trainer *t)
{
    if (t->vq < 0)
        return;
    const mgi_node *n = &t->net->node[t->vq];
    mgi_del(&t->al, t->used, n->codes, sizeof *t->used);
    mgi_del(&t->al, t->per, t->batch.C, sizeof *t->per);
    mgi_del(&t->al, t->ema_n, n->codes, sizeof(float));
    mgi_del(&t->al, t->ema_w, n->codes * n->C, sizeof(float));
}

/* Perplexity of the epoch's codes, exp of their entropy; counting starts again. */
static void vqvae_close(mango_trainer *t, mango_train_row *r)
{
    const mango_idx K = t->net->node[t->vq].codes;
    double n = 0, h = 0;
    for (mango_idx k = 0; k < K; k++)
        n += t->used[k];
    for (mango_idx k = 0; k < K; k++)
        if (t->used[k] > 0)
            h -= t->used[k] / n * mgi_log(t->used[k] / n);
    r->extra = mgi_exp(h);
    memset(t->used, 0, (size_t)K * sizeof *t->used);
}

static mango_status vqvae_sample(mango_trainer *t, mango_idx n, float *rgb, float *source,
                                 mango_err *err)
{
    const mango_idx all = t->val ? t->val_info.count : t->info.count;
    MGI_CHECK(err, n <= all, "mango_trainer_sample: %ld pictures asked for, there are %ld",
              (long)n, (long)all);
    MGI_TRY(mgi_trainer_look(t, t->val ? t->val : t->data, 0, n, err));
    mgi_trainer_bind(t, t->eval);
    MGI_TRY(mgi_tape_forward(t->eval, n, t->batch.x));
    mgi_trainer_rgb(t, n, mgi_tape_value(t->eval, -1, NULL), rgb);
    if (source)
        mgi_trainer_rgb(t, n, t->batch.x, source);
    return MANGO_OK;
}

static mango_status vqvae_keeps(mgi_resume *k, mango_trainer *t)
{
    const mgi_node *n = &t->net->node[t->vq];
    float *used = mgi_new(&t->al, n->codes, sizeof *used);
    mango_status st = MANGO_E_MEM;
    if (!used)
        return st;
    for (mango_idx i = 0; i < n->codes; i++)
        used[i] = (float)t->used[i];
    MGI_TRY_TO(mgi_resume_array(k, "vq", "used", n->codes, used));
    MGI_TRY_TO(mgi_resume_array(k, "vq", "n", n->codes, t->ema_n));
    MGI_TRY_TO(mgi_resume_array(k, "vq", "w", n->codes * n->C, t->ema_w));
    for (mango_idx i = 0; mgi_resume_reads(k) && i < n->codes; i++)
        t->used[i] = (double)used[i];
done:
    mgi_del(&t->al, used, n->codes, sizeof *used);
    return st;
}

static void vqvae_recipe(mango_train_options *o, const mango_net *net)
{
    o->epochs = 20;
    o->batch = 256;
    o->optimizer = MANGO_ADAM;
    o->lr = 1e-3;
    o->commitment = 0.25;
    o->decay = 0.99;
    o->revive = 0.02;
    o->reference = 1000;
    o->flip = !net || net->node[net->input].C == 3; /* digits read one way */
}

MGI_DATA const mgi_trainer_kind mgi_trainer_vqvae = {
    .info = {.name = "vqvae",
             .arch = "vqvae",
             .column = {"loss", "mse", "val_loss", "val_mse", "lr", "perplexity"},
             .samples = 1},
    .recipe = vqvae_recipe,
    .prepare = vqvae_prepare,
    .free = vqvae_free,
    .update = vqvae_update,
    .look = vqvae_look,
    .close = vqvae_close,
    .sample = vqvae_sample,
    .finish = vqvae_finish,
    .keeps = vqvae_keeps,
    .flops = mgi_trainer_flops,
};

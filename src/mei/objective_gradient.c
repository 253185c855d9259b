/* objective_gradient.c - value and derivative of the activation by the code.
 *
 *     code -> z or embeddings -> generator -> rgb = y scale + shift -> x = (r(rgb) - mean)/std
 *          -> network, T steps -> activation a
 *     da/dz = G' diag(scale/std) N' da/da       G', N': the backward passes           (1)
 * r rounds to 8 bits within [0,1]: in (1) its derivative is 1 inside and 0 outside. A spike's
 * is its layer's surrogate, through time; that of a mean over space and T steps, 1/(T H W);
 * of a softmax p of means v,
 *     dp_k/dv_c = p_k ((c = k) - p_c)                                                 (2)
 * Both networks run as they are in use: batch norm by running statistics.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "objective_gradient.h"

#define DERIVATIVE_BATCH 4
#define DERIVATIVE_OWN (4 + MGI_CELLS) /* parameters of a node */

/* ---- networks ---------------------------------------------------------------- */

/* Floats of the parameters that the tape's nodes use; -1: they are not there. */
static mango_idx taped_count(const mgi_taped *n, int parameter[DERIVATIVE_OWN],
                             int node)
{
    const mgi_node *q = n->net->node + node;
    const int first[4] = {q->weight, q->bias_p, q->mean_p, q->var_p};
    mango_idx sum = 0;
    memcpy(parameter, first, sizeof first);
    memcpy(parameter + 4, q->cell, sizeof q->cell);
    for (int k = 0; k < DERIVATIVE_OWN && n->tape->needed[node]; k++) {
        const mgi_param *p = parameter[k] >= 0 ? n->net->param + parameter[k] : NULL;
        if (p && !p->v && !p->half)
            return -1;
        sum += p ? p->count : 0;
    }
    return sum;
}

/* Copies of a node's parameters at `at`; the place behind them. */
static float *taped_copy(mgi_taped *n, int node, float *at)
{
    int own[DERIVATIVE_OWN];
    taped_count(n, own, node);
    for (int k = 0; k < DERIVATIVE_OWN && n->tape->needed[node]; k++) {
        if (own[k] < 0)
            continue;
        const mgi_param *p = n->net->param + own[k];
        if (p->half)
            mgi_file_halves(p->count, p->half, at);
        else
            memcpy(at, p->v, (size_t)p->count * sizeof *at);
        n->tape->w[own[k]] = at;
        at += p->count;
    }
    return at;
}

static mango_status taped_weights(mgi_taped *n, const mango_alloc *al, mango_err *err)
{
    int own[DERIVATIVE_OWN];
    for (int i = 0; i < n->net->n_nodes; i++) {
        const mango_idx count = taped_count(n, own, i);
        if (count < 0)
            return mgi_fail(err, MANGO_E_STATE, "derivative: layer '%s' has no values",
                            n->net->node[i].name);
        if (n->net->node[i].spectral && n->tape->needed[i])
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "derivative: layer '%s' has a spectral norm",
                            n->net->node[i].name);
        n->n_w += count;
    }
    n->w = mgi_new(al, n->n_w, sizeof *n->w);
    if (!n->w)
        return mgi_fail(err, MANGO_E_MEM, "derivative: out of memory for its weights");
    float *at = n->w;
    for (int i = 0; i < n->net->n_nodes; i++)
        at = taped_copy(n, i, at);
    return MANGO_OK;
}

static mango_status taped_new(mgi_taped *n, const mango_net *net, mgi_tape_options *o,
                              const mango_alloc *al, mango_err *err)
{
    n->net = net;
    o->train = o->fixed = o->input_grad = 1;
    MGI_TRY(mgi_tape_new(&n->tape, net, o, al, err));
    return taped_weights(n, al, err);
}

static void taped_free(mgi_taped *n, const mango_alloc *al)
{
    mgi_tape_free(n->tape);
    mgi_del(al, n->w, n->n_w, sizeof *n->w);
}

/* ---- life ----------------------------------------------------------------------- */

static mango_status derivative_tapes(mango_derivative *x, const mango_net *gen,
                                     const mango_net *net, mango_idx memory, mango_err *err)
{
    mgi_tape_options o;
    mgi_tape_defaults(&o);
    o.B = x->B;
    o.memory = memory;
    o.T = mango_net_steps(gen);
    o.from = (int)x->info.layer;
    MGI_TRY(taped_new(&x->gen, gen, &o, &x->al, err));
    o.T = x->T;
    o.from = -1;
    o.output = x->layer[0];
    o.n_keep = x->n_layers - 1;
    memcpy(o.keep, x->layer + 1, (size_t)o.n_keep * sizeof *o.keep);
    MGI_TRY(taped_new(&x->eye, net, &o, &x->al, err));
    return x->e ? mgi_derivative_terms(x, err) : MANGO_OK;
}

static mango_status derivative_buffers(mango_derivative *x, mango_err *err)
{
    x->z = mgi_new(&x->al, x->B * x->d, sizeof *x->z);
    x->given = mgi_new(&x->al, x->B * x->in, sizeof *x->given);
    x->x = mgi_new(&x->al, x->B * x->size, sizeof *x->x);
    x->through = mgi_new(&x->al, x->B * x->size, sizeof *x->through);
    x->mean = mgi_new(&x->al, x->t.C, sizeof *x->mean);
    if (!x->z || !x->given || !x->x || !x->through || !x->mean)
        return mgi_fail(err, MANGO_E_MEM, "derivative: out of memory for a batch of %td", x->B);
    return MANGO_OK;
}

/* Spaces, target and sizes, checked against each other. */
static mango_status derivative_sizes(mango_derivative *x, const mango_net *gen,
                                     const mango_net *net, const char *target, mango_err *err)
{
    const mgi_node *out = gen->node + gen->output, *in = net->node + net->input;
    MGI_TRY(mango_target_parse(&x->t, net, target, err));
    if (x->t.text)
        MGI_TRY(mgi_expression_parse(&x->e, net, x->t.text, &x->al, err));
    x->t.text = NULL;
    MGI_TRY(mgi_derivative_layers(x, err));
    MGI_TRY(mango_space_of(&x->space, gen, &x->al, err));
    MGI_TRY(mango_space_get(x->space, &x->info));
    const mgi_node *from = gen->node + (x->info.layer < 0 ? gen->input : x->info.layer);
    if (out->C != in->C || out->H != in->H || out->W != in->W)
        return mgi_fail(err, MANGO_E_SHAPE, "derivative: pictures of %tdx%tdx%td for a network "
                        "that takes %tdx%tdx%td", out->C, out->H, out->W, in->C, in->H, in->W);
    if (gen->node[gen->output].spiking_input || gen->node[gen->output].kind == MGI_LIF)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "derivative: the generator spikes");
    if (from->C > 1 && from->H * from->W > 1 && !x->info.codebook)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "derivative: latents that are maps");
    if (x->info.codebook && x->info.layer < 0)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "derivative: codes of an embedding");
    x->d = x->info.modes.d;
    x->in = from->C * from->H * from->W;
    x->m = x->info.codebook ? from->C : 1;
    x->size = in->C * in->H * in->W;
    return MANGO_OK;
}

mango_status mango_derivative_create(mango_derivative **d, const mango_net *gen,
                                     const mango_net *net, const char *target,
                                     const mango_objective_options *options,
                                     const mango_alloc *al, mango_err *err)
{
    mango_objective_options o;
    MGI_CHECK(err, d, "mango_derivative_create: a place for the derivative expected");
    *d = NULL;
    MGI_CHECK(err, gen && net && target,
              "mango_derivative_create: generator, network and target expected");
    MGI_TRY(mango_objective_defaults(&o));
    if (options)
        MGI_TRY(mgi_options_in(&o, sizeof o, options, "mango_derivative_create", err));
    if (o.controls)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "derivative: pictures under controls");
    const mango_alloc a = mgi_alloc_get(al);
    mango_derivative *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "derivative: out of memory");
    x->al = a;
    x->B = o.batch > 0 ? MGI_MIN(o.batch, DERIVATIVE_BATCH) : DERIVATIVE_BATCH;
    x->T = o.T > 0 ? o.T : mango_net_steps(net);
    mango_status st = derivative_sizes(x, gen, net, target, err);
    if (st == MANGO_OK)
        st = derivative_tapes(x, gen, net, o.memory, err);
    if (st == MANGO_OK)
        st = derivative_buffers(x, err);
    if (st < 0)
        mango_derivative_destroy(x);
    else
        *d = x;
    return st;
}

void mango_derivative_destroy(mango_derivative *d)
{
    if (!d)
        return;
    const mango_alloc al = d->al;
    taped_free(&d->gen, &al);
    taped_free(&d->eye, &al);
    mgi_derivative_terms_free(d);
    mango_space_destroy(d->space);
    mgi_del(&al, d->z, d->B * d->d, sizeof *d->z);
    mgi_del(&al, d->given, d->B * d->in, sizeof *d->given);
    mgi_del(&al, d->x, d->B * d->size, sizeof *d->x);
    mgi_del(&al, d->through, d->B * d->size, sizeof *d->through);
    mgi_del(&al, d->mean, d->t.C, sizeof *d->mean);
    mgi_del(&al, d, 1, sizeof *d);
}

/* ---- forward ----------------------------------------------------------------------- */

/* What the generator is given for b codes: latents, or rows of the codebook. */
static mango_status derivative_give(mango_derivative *x, mango_idx b, const mango_idx *I)
{
    MGI_TRY(mango_space_latent(x->space, b, I, x->z));
    if (!x->info.codebook) {
        memcpy(x->given, x->z, (size_t)(b * x->d) * sizeof *x->given);
        return MANGO_OK;
    }
    const mgi_node *v = x->gen.net->node + x->info.layer;
    mgi_vq_rows(b * x->d, v->C, x->z, x->gen.tape->w[v->weight], x->given);
    return MANGO_OK;
}

/* From what is given to what the network sees. */
static mango_status derivative_draw(mango_derivative *x, mango_idx b)
{
    const mango_net *gen = x->gen.net, *net = x->eye.net;
    const mango_idx C = net->node[net->input].C;
    const int normal = C == 1 || C == 3;
    MGI_TRY(mgi_tape_forward(x->gen.tape, b, x->given));
    const float *y = mgi_tape_value(x->gen.tape, -1, NULL);
    for (mango_idx i = 0; i < b * x->size; i++) {
        const float rgb = y[i] * gen->out_scale + gen->out_shift;
        const float c = !(rgb > 0.0f) ? 0.0f : rgb > 1.0f ? 1.0f : rgb;
        const float r = x->exact ? c : floorf(255.0f * c + 0.5f) / 255.0f;
        const float mean = normal ? net->mean[i % C] : 0.0f;
        const float std = normal ? net->std[i % C] : 1.0f;
        x->x[i] = (r - mean) / std;
        x->through[i] = rgb > 0.0f && rgb < 1.0f ? gen->out_scale / std : 0.0f;
    }
    return mgi_tape_forward(x->eye.tape, b, x->x);
}

/* First and behind the last of the pixels that the target looks at. */
static mango_idx derivative_pixels(const mango_target *t, mango_idx *end)
{
    const mango_idx one = t->y * t->W + t->x;
    *end = t->y < 0 ? t->H * t->W : one + 1;
    return t->y < 0 ? 0 : one;
}

/* Mean of unit c of picture k over its pixels and steps, of b pictures. */
static double derivative_mean(const mango_derivative *x, mango_idx b, mango_idx k, mango_idx c)
{
    const mango_target *t = &x->t;
    mango_idx rows, end;
    const float *v = mgi_tape_value(x->eye.tape, -1, &rows);
    const mango_idx first = derivative_pixels(t, &end);
    double sum = 0.0;
    for (mango_idx r = k; r < rows; r += b)
        for (mango_idx i = first; i < end; i++)
            sum += (double)v[(r * t->H * t->W + i) * t->C + c];
    return sum / (double)(rows / b * (end - first));
}

/* ---- backward ------------------------------------------------------------------------ */

/* da/d(mean of unit c) = g, to where the backward pass starts. */
static void derivative_seed(mango_derivative *x, mango_idx b, mango_idx k, mango_idx c,
                            double g)
{
    const mango_target *t = &x->t;
    mango_idx rows, end;
    float *dy = mgi_tape_dout(x->eye.tape);
    mgi_tape_value(x->eye.tape, -1, &rows);
    const mango_idx first = derivative_pixels(t, &end);
    const float each = (float)(g / (double)(rows / b * (end - first)));
    for (mango_idx r = k; r < rows; r += b)
        for (mango_idx i = first; i < end; i++)
            dy[(r * t->H * t->W + i) * t->C + c] = each;
}

/* Activation of picture k and where its derivative starts: the mean, or (2). */
static double derivative_read(mango_derivative *x, mango_idx b, mango_idx k)
{
    const mango_target *t = &x->t;
    if (!t->softmax) {
        derivative_seed(x, b, k, t->unit, 1.0);
        return derivative_mean(x, b, k, t->unit);
    }
    double top = -INFINITY, sum = 0.0;
    for (mango_idx c = 0; c < t->C; c++) {
        x->mean[c] = derivative_mean(x, b, k, c);
        top = MGI_MAX(top, x->mean[c]);
    }
    for (mango_idx c = 0; c < t->C; c++) {
        x->mean[c] = mgi_exp(x->mean[c] - top);
        sum += x->mean[c];
    }
    const double p = x->mean[t->unit] / sum;
    for (mango_idx c = 0; c < t->C; c++)
        derivative_seed(x, b, k, c, p * ((c == t->unit) - x->mean[c] / sum));   /* (2) */
    return p;
}

/* dy (b,d,m) of what the generator was given: by z, times what z is for a level. */
static void derivative_levels(const mango_derivative *x, mango_idx b, const float *g, float *dy)
{
    const mango_space_info *s = &x->info;
    if (s->codebook) {
        memcpy(dy, g, (size_t)(b * x->in) * sizeof *dy);
        return;
    }
    for (mango_idx i = 0; i < b * x->d; i++) {
        const mango_idx n = s->modes.n[i % x->d];
        const double level = n > 1 ? (s->hi - s->lo) / (double)(n - 1) : 0.0;
        dy[i] = (float)((double)g[i] * level);
    }
}

MGI_FN mango_status mgi_derivative_at(mango_derivative *x, mango_idx b, double *y, float *dy)
{
    const mgi_node *last = x->eye.net->node + x->layer[0];
    mango_idx rows;
    MGI_TRY(derivative_draw(x, b));
    mgi_tape_value(x->eye.tape, -1, &rows);
    float *seed = mgi_tape_dout(x->eye.tape);
    memset(seed, 0, (size_t)(rows * last->C * last->H * last->W) * sizeof *seed);
    for (int i = 0; i < x->n_layers - 1; i++)
        memset(x->inject[i], 0, (size_t)x->inject_n[i] * sizeof *x->inject[i]);
    for (mango_idx k = 0; k < b; k++)
        y[k] = x->e ? mgi_derivative_term(x, b, k) : derivative_read(x, b, k);
    mgi_tape_backward(x->eye.tape);
    const float *g = mgi_tape_input_grad(x->eye.tape);
    float *back = mgi_tape_dout(x->gen.tape);
    for (mango_idx i = 0; i < b * x->size; i++)
        back[i] = g[i] * x->through[i];                                         /* (1) */
    mgi_tape_backward(x->gen.tape);
    derivative_levels(x, b, mgi_tape_input_grad(x->gen.tape), dy);
    return MANGO_OK;
}

mango_status mango_derivative_eval(void *ud, mango_idx K, const mango_idx *I, double *y,
                                   float *dy)
{
    mango_derivative *x = ud;
    MGI_REQUIRE(x);
    MGI_CHECK(&x->err, K >= 0 && (K == 0 || (I && y && dy)),
              "mango_derivative_eval: codes and room for values expected");
    for (mango_idx k = 0; k < K; k += x->B) {
        const mango_idx b = MGI_MIN(x->B, K - k);
        mango_status st = derivative_give(x, b, I + k * x->d);
        if (st == MANGO_OK)
            st = mgi_derivative_at(x, b, y + k, dy + k * x->d * x->m);
        if (st < 0)
            return mgi_fail(&x->err, st, "mango_derivative_eval: codes %td to %td", k,
                            k + b - 1);
    }
    return MANGO_OK;
}

const char *mango_derivative_error(const mango_derivative *d)
{
    return d ? d->err.text : "";
}

#undef DERIVATIVE_BATCH
#undef DERIVATIVE_OWN

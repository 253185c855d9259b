/* op_conv.c - the matrix products: conv, convt (transposed), linear.
 *
 * A plan runs them with packed weights and whatever it fused onto them; over spikes
 * held as bits by sparse sums.
 * SPDX-License-Identifier: MIT */
#include "../math/conv_geometry.h"
#include "../math/spikes.h"
#include "../math/spikes_grad.h"
#include "../math/winograd.h"
#include "plan.h"
#include "tape.h"

/* ---- attributes ---------------------------------------------------------------- */

static int conv_is_spectral(const mgi_node *q)
{
    return q->spectral;
}

static int conv_parts(const mgi_node *q)
{
    return q->conv.groups > 1;
}

static int conv_dilated(const mgi_node *q)
{
    return q->conv.dh > 1 || q->conv.dw > 1;
}

static int conv_more(const mgi_node *q)
{
    return q->conv.oph > 0 || q->conv.opw > 0;
}

#define CONV_OUT {"out", MGI_ATTR_IDX, 1, MGI_ATTR_AT(conv.O), 1, 1 << 20, 0, 0}
#define CONV_KERNEL {"kernel", MGI_ATTR_PAIR, 1, MGI_ATTR_AT(conv.kh), 1, 256, 0, 0}
#define CONV_STRIDE {"stride", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(conv.sh), 1, 256, 0, 0}
#define CONV_PAD {"pad", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(conv.ph), 0, 255, 0, 0}
#define CONV_BIAS {"bias", MGI_ATTR_INT, 0, MGI_ATTR_AT(bias), 0, 1, 0, 0}
#define CONV_STEPS {"dilation", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(conv.dh), 1, 255, 0, conv_dilated}
#define CONV_CUT {"groups", MGI_ATTR_INT, 0, MGI_ATTR_AT(conv.groups), 1, 65536, 0, conv_parts}
#define CONV_MORE {"out_pad", MGI_ATTR_PAIR, 0, MGI_ATTR_AT(conv.oph), 0, 255, 0, conv_more}
#define CONV_SN {"sn", MGI_ATTR_INT, 0, MGI_ATTR_AT(spectral), 0, 1, 0, conv_is_spectral}

static const mgi_attr conv_attr[] = {
    CONV_OUT,   CONV_KERNEL, CONV_STRIDE, CONV_PAD,       CONV_STEPS,
    CONV_CUT, CONV_BIAS,   CONV_SN,     MGI_ATTR_PARAM, {0}};
static const mgi_attr convt_attr[] = {
    CONV_OUT,  CONV_KERNEL, CONV_STRIDE, CONV_PAD,       CONV_STEPS,
    CONV_MORE, CONV_CUT,  CONV_BIAS,   MGI_ATTR_PARAM, {0}};
static const mgi_attr linear_attr[] = {CONV_OUT, CONV_BIAS, CONV_SN, MGI_ATTR_PARAM, {0}};

#undef CONV_OUT
#undef CONV_KERNEL
#undef CONV_STRIDE
#undef CONV_PAD
#undef CONV_STEPS
#undef CONV_CUT
#undef CONV_MORE
#undef CONV_BIAS
#undef CONV_SN

static void conv_defaults(mgi_node *q)
{
    q->conv.sh = q->conv.sw = q->conv.dh = q->conv.dw = q->conv.groups = 1;
    q->bias = 1;
}

static void convt_defaults(mgi_node *q)
{
    conv_defaults(q);
    q->conv.transposed = 1;
}

/* ---- shape, parameters, cost --------------------------------------------------- */

static mango_status conv_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mgi_conv *c = &q->conv;
    c->C = x->C;
    c->H = x->H;
    c->W = x->W;
    if (c->C % c->groups || c->O % c->groups)
        return mgi_shape_bad(q, x, "the groups do not divide its channels and `out`", err);
    if (c->oph >= MGI_MAX(c->sh, c->dh) || c->opw >= MGI_MAX(c->sw, c->dw))
        return mgi_shape_bad(q, x, "out_pad is not below stride or dilation", err);
    if (!mgi_conv_shape(c))
        return mgi_shape_bad(q, x, "the convolution's output would be empty", err);
    q->C = c->O;
    q->H = c->OH;
    q->W = c->OW;
    return MANGO_OK;
}

/* A linear layer is the 1x1 convolution of a 1x1 map of all C*H*W values. */
static mango_status linear_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = &n->node[q->in[0]];
    mgi_conv *c = &q->conv;
    (void)err;
    c->C = x->C * x->H * x->W;
    c->H = c->W = c->OH = c->OW = 1;
    c->kh = c->kw = c->sh = c->sw = 1;
    c->ph = c->pw = 0;
    q->C = c->O;
    q->H = q->W = 1;
    return MANGO_OK;
}

/* Bias, and the vectors of the spectral norm. */
static void conv_other_params(mango_net *n, mgi_node *q)
{
    const mango_idx O = q->conv.O;
    if (q->bias)
        q->bias_p = mgi_net_param_add(n, q, "bias", 0, 1, O, 1, 1, 1);
    if (q->spectral) {
        q->sn_u = mgi_net_param_add(n, q, "sn_u", 1, 2, 1, O, 1, 1);
        q->sn_sigma = mgi_net_param_add(n, q, "sn_sigma", 1, 1, 1, 1, 1, 1);
    }
}

static void conv_params(mango_net *n, mgi_node *q)
{
    const mgi_conv *c = &q->conv;
    q->weight = mgi_net_param_add(n, q, "weight", 0, 4, c->transposed ? c->C : c->O,
                                  (c->transposed ? c->O : c->C) / c->groups, c->kh, c->kw);
    conv_other_params(n, q);
}

static void linear_params(mango_net *n, mgi_node *q)
{
    q->weight = mgi_net_param_add(n, q, "weight", 0, 2, q->conv.O, q->conv.C, 1, 1);
    conv_other_params(n, q);
}

/* Kernel positions inside the map, over all positions of a window. */
static double conv_taps(mango_idx places, mango_idx s, mango_idx p, mango_idx k, mango_idx d,
                        mango_idx size)
{
    mango_idx sum = 0, lo, hi;
    for (mango_idx t = 0; t < places; t++) {
        mgi_conv_clip_by(t, s, p, k, MGI_MAX(d, 1), size, &lo, &hi);
        sum += hi - lo;
    }
    return (double)sum;
}

static double conv_macs(const mango_net *n, const mgi_node *q, int padded)
{
    const mgi_conv c = q->conv.transposed ? mgi_conv_flip(&q->conv) : q->conv;
    const double maps = (double)mgi_conv_inputs(&c) * (double)c.O;
    (void)n;
    if (padded)
        return maps * (double)(c.OH * c.OW) * c.kh * c.kw;
    return maps * conv_taps(c.OH, c.sh, c.ph, c.kh, c.dh, c.H) *
           conv_taps(c.OW, c.sw, c.pw, c.kw, c.dw, c.W);
}

/* ---- one step of a plan --------------------------------------------------------- */

/* Over bits: y is maps of values. */
static void conv_step_bits(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_bits_epilogue e = mgi_step_epilogue_bits(p, s);
    mgi_bits_conv(&s->conv, mgi_step_maps(p, s),
                  mgi_plan_words(p, p->net->node[s->head].in[0]), s->packed, &e, y,
                  mgi_step_scratch(p, s));
}

/* Spikes that are held as floats (of another shape than the LIF's, or read elsewhere)
 * meet weights of 8 bits as bits. */
static void conv_step_int8(const mango_plan *p, const mgi_step *s, const float *x, float *y)
{
    const mango_idx N = mgi_step_maps(p, s);
    const mgi_bits_epilogue e = mgi_step_epilogue_bits(p, s);
    uint64_t *words = (uint64_t *)(void *)mgi_step_scratch(p, s);
    float *work = mgi_step_scratch(p, s) + mgi_step_words(s, N);
    mgi_bits_from(N * s->conv.H * s->conv.W, s->conv.C, x, words);
    mgi_bits_conv(&s->conv, N, words, s->packed, &e, y, work);
}

static void conv_step(mango_plan *p, const mgi_step *s, void *y)
{
    const float *x = mgi_plan_value(p, p->net->node[s->head].in[0]);
    if (s->up == MGI_UP_AFTER) {
        mgi_step_upsample_after(p, s, x, y);
        return;
    }
    if (s->conv.int8) {
        conv_step_int8(p, s, x, y);
        return;
    }
    const mgi_epilogue e = {
        s->bias, s->residual < 0 ? NULL : mgi_plan_value(p, s->residual), s->relu};
    mgi_conv_forward(&s->conv, mgi_step_maps(p, s), x, s->packed, &e, y,
                     mgi_step_scratch(p, s));
}

static mango_idx conv_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    const int in = p->net->node[s->head].in[0];
    if (s->up == MGI_UP_AFTER) {
        const mgi_up u = mgi_step_up(p, s);
        const mango_idx N = MGI_MIN(maps, mgi_up_maps(&u));
        return N * u.H * u.W * u.C +
               MGI_MAX(mgi_upsample_work(&u), mgi_conv_work(&s->conv, N));
    }
    if (s->up == MGI_UP_SUBPIXEL)
        return mgi_conv_work(&s->conv, maps);
    if (s->conv.int8 && !mgi_plan_is_bits(p, in))
        return mgi_bits_conv_work(&s->conv, maps) + mgi_step_words(s, maps);
    return mgi_plan_is_bits(p, in) ? mgi_bits_conv_work(&s->conv, maps)
                                   : mgi_conv_work(&s->conv, maps);
}

/* ---- on a tape -------------------------------------------------------------------- */

/* A node's convolution as a tape computes it: Winograd's way by shape alone
 * (winograd.h), but for maps of spikes and transposed ones. */
static mgi_conv conv_on_tape(const mgi_node *n)
{
    mgi_conv c = n->conv;
    c.winograd = c.transposed ? 0 : mgi_winograd_rule(&c);
    return c;
}

static mango_idx conv_forward_work(const mango_net *net, const mgi_node *q, mango_idx N)
{
    const mgi_conv c = conv_on_tape(q);
    (void)net;
    return mgi_conv_either_work(&c, N);
}

static void conv_forward(const mgi_op_run *r)
{
    const mgi_conv c = conv_on_tape(r->g);
    mgi_conv_either(&c, r->N, r->x[0], r->weight, r->bias, r->y, r->work);
}

static mango_idx conv_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_conv c = conv_on_tape(&t->net->node[i]);
    return mgi_conv_backward_work(&c, rows);
}

static void conv_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx N = mgi_tape_rows(t, i);
    const mgi_conv c = conv_on_tape(n);
    float *dw = t->dw[n->weight], *db = n->bias_p >= 0 ? t->dw[n->bias_p] : NULL;
    if (dw)
        mgi_conv_backward_weights(&c, N, t->val[j], t->grad[i], dw, db, work);
    if (t->wants[j]) {
        float *dx = mgi_tape_take(t, j, spare);
        mgi_conv_backward_data(&c, N, t->grad[i], t->w[n->weight], dx, work);
        mgi_tape_give(t, j, dx);
    }
}

/* ---- linear on a tape ------------------------------------------------------------- */

/* Does w (O, C*H*W) need its columns in (H,W,C) order, that of values? */
static int linear_folds(const mgi_node *in)
{
    return in->H * in->W > 1 && in->C > 1;
}

/* dw += p, whose columns are in (H,W,C) order. */
static void linear_columns_add(const mgi_node *in, mango_idx O, const float *p, float *dw)
{
    const mango_idx C = in->C, S = in->H * in->W;
    MGI_OMP(parallel for if (O * C * S >= MGI_GRAIN))
    for (mango_idx o = 0; o < O; o++)
        for (mango_idx c = 0; c < C; c++)
            for (mango_idx s = 0; s < S; s++)
                dw[(o * C + c) * S + s] += p[(o * S + s) * C + c];
}

static mango_idx linear_forward_work(const mango_net *net, const mgi_node *q, mango_idx N)
{
    const mango_idx K = q->conv.C;
    (void)net;
    return mgi_round_up(q->C * K, MGI_TAPE_ALIGN) + mgi_gemm_work(N, q->C, K, 'n', 't');
}

static void linear_forward(const mgi_op_run *r)
{
    const mgi_node *in = &r->net->node[r->g->in[0]];
    const mango_idx K = r->g->conv.C, O = r->g->C;
    const float *w = r->weight;
    float *scratch = r->work + mgi_round_up(O * K, MGI_TAPE_ALIGN);
    if (linear_folds(in)) {
        mgi_to_nhwc(O, in->C, in->H * in->W, w, r->work);
        w = r->work;
    }
    for (mango_idx n = 0; r->bias && n < r->N; n++)
        memcpy(r->y + n * O, r->bias, (size_t)O * sizeof(float));
    mgi_gemm('n', 't', r->N, O, K, r->x[0], K, w, K, r->y, O, r->bias != NULL, scratch);
}

static mango_idx linear_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx K = n->conv.C;
    return mgi_round_up(n->C * K, MGI_TAPE_ALIGN) +
           MGI_MAX(mgi_gemm_work(rows, K, n->C, 'n', 'n'),
                   mgi_gemm_work(n->C, K, rows, 't', 'n'));
}

/* db[o] += sum over rows of dy, in double, rows ascending. */
static void linear_backward_bias(mango_idx N, mango_idx O, const float *dy, float *db)
{
    for (mango_idx o = 0; o < O; o++) {
        double s = 0;
        for (mango_idx r = 0; r < N; r++)
            s += (double)dy[r * O + o];
        db[o] += (float)s;
    }
}

static void linear_backward(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const int j = n->in[0], fold = linear_folds(in);
    const mango_idx K = n->conv.C, O = n->C, N = mgi_tape_rows(t, i);
    const float *dy = t->grad[i], *w = t->w[n->weight];
    float *dw = t->dw[n->weight], *scratch = work + mgi_round_up(O * K, MGI_TAPE_ALIGN);
    if (dw) {
        mgi_gemm('t', 'n', O, K, N, dy, O, t->val[j], K, fold ? work : dw, K, !fold, scratch);
        if (fold)
            linear_columns_add(in, O, work, dw);
    }
    if (n->bias_p >= 0 && t->dw[n->bias_p])
        linear_backward_bias(N, O, dy, t->dw[n->bias_p]);
    if (t->wants[j]) {
        float *dx = mgi_tape_take(t, j, spare);
        if (fold)
            mgi_to_nhwc(O, in->C, in->H * in->W, w, work);
        mgi_gemm('n', 'n', N, K, O, dy, O, fold ? work : w, K, dx, K, 0, scratch);
        mgi_tape_give(t, j, dx);
    }
}

MGI_DATA const mgi_op mgi_op_conv = {
    .name = "conv",
    .about = "Convolution. On a sequence Cx1xL: kernel=1xK, stride=1xS, pad=0xP.",
    .shapes = "CxHxW -> (out)xH'xW'; NAME.weight: (out,C/groups,kh,kw), NAME.bias: (out)",
    .keys = "out channels of the output\n"
            "kernel its size\n"
            "stride pixels between two places\n"
            "pad zeros around the map\n"
            "dilation pixels between two weights\n"
            "groups channels are parted into so many; C: depth-wise\n"
            "bias 1: NAME.bias is added, 0: not\n"
            "sn 1: weights over their spectral norm, by NAME.sn_u",
    .least = 1,
    .most = 1,
    .attr = conv_attr,
    .defaults = conv_defaults,
    .shape = conv_shape,
    .params = conv_params,
    .macs = conv_macs,
    .step = conv_step,
    .step_bits = conv_step_bits,
    .step_work = conv_step_work,
    .work = conv_forward_work,
    .forward = conv_forward,
    .backward = conv_backward,
    .backward_work = conv_backward_work,
    .reads_x = 1};
MGI_DATA const mgi_op mgi_op_convt = {
    .name = "convt",
    .about = "Transposed convolution.",
    .shapes = "CxHxW -> (out)xH'xW'; NAME.weight: (C,out/groups,kh,kw), NAME.bias: (out)",
    .keys = "out channels of the output\n"
            "kernel its size\n"
            "stride pixels between two places in the output\n"
            "pad pixels cut off the output\n"
            "dilation pixels between two weights\n"
            "out_pad rows and columns added to the output below and behind\n"
            "groups channels are parted into so many; C: depth-wise\n"
            "bias 1: NAME.bias is added, 0: not",
    .least = 1,
    .most = 1,
    .attr = convt_attr,
    .defaults = convt_defaults,
    .shape = conv_shape,
    .params = conv_params,
    .macs = conv_macs,
    .step = conv_step,
    .step_work = conv_step_work,
    .work = conv_forward_work,
    .forward = conv_forward,
    .backward = conv_backward,
    .backward_work = conv_backward_work,
    .reads_x = 1};
MGI_DATA const mgi_op mgi_op_linear = {
    .name = "linear",
    .about = "All values of the map, in (C,H,W) order, times a matrix.",
    .shapes = "CxHxW -> (out); NAME.weight: (out,C H W), NAME.bias: (out)",
    .keys = "out values of the output\n"
            "bias 1: NAME.bias is added, 0: not\n"
            "sn 1: weights over their spectral norm, by NAME.sn_u",
    .least = 1,
    .most = 1,
    .attr = linear_attr,
    .defaults = conv_defaults,
    .shape = linear_shape,
    .params = linear_params,
    .macs = conv_macs,
    .step = conv_step,
    .step_bits = conv_step_bits,
    .step_work = conv_step_work,
    .work = linear_forward_work,
    .forward = linear_forward,
    .backward = linear_backward,
    .backward_work = linear_backward_work,
    .reads_x = 1};

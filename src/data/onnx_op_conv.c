/* onnx_op_conv.c - Conv and ConvTranspose, over (N,C,H,W) and (N,C,L).
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

/* Of a window along H and W; along W alone where the map is (N,C,L). */
typedef struct oxc_window {
    int axes; /* 1 or 2 */
    mango_idx k[2], s[2], d[2], lo[2], hi[2], in[2], out[2];
} oxc_window;

static mango_status oxc_pair(mango_onnx *m, const mgi_ox_node *n, const char *name,
                             int axes, int64_t lo, int64_t hi, mango_idx v[2])
{
    int64_t list[2] = {0, 0};
    const int count = mgi_ox_ints(n, name, 2, list);
    if (count == 0)
        return MANGO_OK;
    if (count != axes)
        return mgi_ox_refuse(m, n, "%s: %d numbers, %d expected", name, count, axes);
    for (int k = 0; k < axes; k++) {
        if (list[k] < lo || list[k] > hi)
            return mgi_ox_refuse(m, n, "%s: %lld is out of range", name,
                                 (long long)list[k]);
        v[2 - axes + k] = (mango_idx)list[k];
    }
    return MANGO_OK;
}

static mango_status oxc_pads(mango_onnx *m, const mgi_ox_node *n, oxc_window *w)
{
    int64_t list[4] = {0};
    const int count = mgi_ox_ints(n, "pads", 4, list);
    if (count != 0 && count != 2 * w->axes)
        return mgi_ox_refuse(m, n, "pads: %d numbers, %d expected", count, 2 * w->axes);
    for (int k = 0; k < count / 2; k++) {
        const int at = 2 - w->axes + k;
        if (list[k] < 0 || list[k + w->axes] < 0 || list[k] > 4096 ||
            list[k + w->axes] > 4096)
            return mgi_ox_refuse(m, n, "pads out of 0..4096");
        w->lo[at] = (mango_idx)list[k];
        w->hi[at] = (mango_idx)list[k + w->axes];
    }
    return MANGO_OK;
}

/* Strides, dilations and padding, of a map that was brought to (C,H,W). */
static mango_status oxc_read(mango_onnx *m, const mgi_ox_node *n, const mgi_ox_map *v,
                             const mango_idx *kernel, oxc_window *w)
{
    const mgi_ox_layer *l = &m->layer[v->layer];
    memset(w, 0, sizeof *w);
    w->axes = v->rank - 2;
    w->in[0] = l->H;
    w->in[1] = l->W;
    for (int k = 0; k < 2; k++)
        w->k[k] = w->s[k] = w->d[k] = 1;
    for (int k = 0; k < w->axes; k++)
        w->k[2 - w->axes + k] = kernel[k];
    for (int k = 0; k < 2; k++)
        if (w->k[k] < 1 || w->k[k] > 256)
            return mgi_ox_refuse(m, n, "a kernel of %td; 1 to 256 expected", w->k[k]);
    MGI_TRY(oxc_pair(m, n, "strides", w->axes, 1, 256, w->s));
    MGI_TRY(oxc_pair(m, n, "dilations", w->axes, 1, 256, w->d));
    return oxc_pads(m, n, w);
}

/* Padding by rule: as much as keeps ceil(in / stride), the odd one at the end or start. */
static mango_status oxc_auto(mango_onnx *m, const mgi_ox_node *n, oxc_window *w)
{
    char word[32];
    mgi_ox_word(n, "auto_pad", "NOTSET", word);
    const int upper = !strcmp(word, "SAME_UPPER"), lower = !strcmp(word, "SAME_LOWER");
    if (!upper && !lower && strcmp(word, "NOTSET") && strcmp(word, "VALID"))
        return mgi_ox_refuse(m, n, "auto_pad '%s'", word);
    for (int k = 2 - w->axes; k < 2; k++) {
        const mango_idx reach = w->d[k] * (w->k[k] - 1) + 1;
        if (!strcmp(word, "VALID"))
            w->lo[k] = w->hi[k] = 0;
        if (upper || lower) {
            const mango_idx out = mgi_ceil_div(w->in[k], w->s[k]);
            const mango_idx all = MGI_MAX((out - 1) * w->s[k] + reach - w->in[k], 0);
            w->lo[k] = lower ? all - all / 2 : all / 2;
            w->hi[k] = all - w->lo[k];
        }
    }
    return MANGO_OK;
}

static mango_idx oxc_places(const oxc_window *w, int k, mango_idx lo, mango_idx hi)
{
    const mango_idx span = w->in[k] + lo + hi - w->d[k] * (w->k[k] - 1) - 1;
    return span < 0 ? 0 : span / w->s[k] + 1;
}

/* Padding that a layer's own cannot be becomes a layer before it. */
static mango_status oxc_pad(mango_onnx *m, oxc_window *w, int *layer, mango_idx most[2])
{
    int own = 1;
    for (int k = 0; k < 2; k++) {
        w->out[k] = oxc_places(w, k, w->lo[k], w->hi[k]);
        if (oxc_places(w, k, w->lo[k], w->lo[k]) == w->out[k])
            w->hi[k] = w->lo[k]; /* what lies beyond no window reaches */
        own &= w->lo[k] == w->hi[k] && w->lo[k] <= most[k];
    }
    if (own)
        return MANGO_OK;
    const mgi_ox_layer l = m->layer[*layer];
    const int in = *layer;
    MGI_TRY(mgi_ox_emit(m, ".pad", "pad", 1, &in, l.C, l.H + w->lo[0] + w->hi[0],
                        l.W + w->lo[1] + w->hi[1], layer,
                        "left=%td right=%td top=%td bottom=%td", w->lo[1], w->hi[1],
                        w->lo[0], w->hi[0]));
    memset(w->lo, 0, sizeof w->lo);
    memset(w->hi, 0, sizeof w->hi);
    return MANGO_OK;
}

static void oxc_attrs(mango_onnx *m, const char *key, const mango_idx v[2])
{
    mgi_ox_attr(m, v[0] == v[1] ? "%s=%td" : "%s=%tdx%td", key, v[0], v[1]);
}

/* Weights as rank 4: those of a convolution along W get a height of 1. */
static mango_status oxc_weight(mango_onnx *m, int layer, const mgi_ox_array *w)
{
    mango_idx shape[4] = {w->dim[0], w->dim[1], 1, w->dim[w->rank - 1]};
    if (w->rank == 4)
        shape[2] = w->dim[2];
    return mgi_ox_param_add(m, layer, "weight", 4, shape, w, 1);
}

/* Input k, if given a constant of `size` numbers; or the Add behind a node without one. */
static mango_status oxc_bias(mango_onnx *m, const mgi_ox_node *n, int rank, mango_idx size,
                             const mgi_ox_array **bias, int *user)
{
    *user = -1;
    *bias = mgi_ox_const(m, n, 2);
    if (mgi_ox_value_of(m, n, 2) < 0)
        *bias = mgi_ox_bias_after(m, n, rank, 1, size, user);
    else if (!*bias || (*bias)->count != size)
        return mgi_ox_refuse(m, n, "its bias is no constant of %td numbers", size);
    return MANGO_OK;
}

static mango_status oxc_finish(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                               int layer, const mgi_ox_array *bias, int user)
{
    const mango_idx O = m->layer[layer].C;
    if (bias) {
        mgi_ox_array b;
        MGI_TRY(mgi_ox_reshaped(m, bias, 1, &O, &b));
        MGI_TRY(mgi_ox_param_add(m, layer, "bias", 1, &O, &b, 1));
    }
    mgi_ox_see(m, layer, v->rank == 4 ? "nchw" : "ncw", v->size[0], v);
    if (user >= 0) {
        m->node[user].done = 1;
        MGI_TRY(mgi_ox_set_map(m, &m->node[user], 0, v));
    }
    return mgi_ox_set_map(m, n, 0, v);
}

/* The map as (C,H,W), the weights of its rank. */
static mango_status oxc_start(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                              mgi_ox_array *w, int64_t *groups)
{
    const mgi_ox_array *a = mgi_ox_const(m, n, 1);
    MGI_TRY(mgi_ox_map_in(m, n, 0, v));
    if (!a)
        return mgi_ox_refuse(m, n, "its weights are no constant");
    if (v->rank != a->rank || (v->rank != 3 && v->rank != 4))
        return mgi_ox_refuse(m, n, "weights of %d axes over a map of %d; 3 or 4 expected",
                             a->rank, v->rank);
    *w = *a;
    *groups = mgi_ox_int(n, "group", 1);
    if (*groups < 1 || *groups > 1 << 20 || w->count < 1)
        return mgi_ox_refuse(m, n, "group out of range, or no weights");
    return mgi_ox_picture(m, n, v);
}

static mango_status oxc_conv(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mgi_ox_array w;
    oxc_window win;
    const mgi_ox_array *bias;
    mango_idx most[2] = {255, 255};
    int64_t groups;
    int user, at;
    MGI_TRY(oxc_start(m, n, &v, &w, &groups));
    MGI_TRY(oxc_read(m, n, &v, w.dim + 2, &win));
    MGI_TRY(oxc_auto(m, n, &win));
    const mango_idx O = w.dim[0], C = m->layer[v.layer].C;
    if (w.dim[1] * groups != C || O % groups)
        return mgi_ox_refuse(m, n, "weights of %td channels, %lld groups, over %td",
                             w.dim[1], (long long)groups, C);
    MGI_TRY(oxc_bias(m, n, v.rank, O, &bias, &user));
    const mgi_ox_array b = bias ? *bias : w;
    MGI_TRY(oxc_pad(m, &win, &v.layer, most));
    if (win.out[0] < 1 || win.out[1] < 1)
        return mgi_ox_refuse(m, n, "its output would be empty");
    MGI_TRY(mgi_ox_emit(m, "", "conv", 1, &v.layer, O, win.out[0], win.out[1], &at,
                        "out=%td", O));
    oxc_attrs(m, "kernel", win.k);
    oxc_attrs(m, "stride", win.s);
    oxc_attrs(m, "pad", win.lo);
    if (groups > 1)
        mgi_ox_attr(m, "groups=%lld", (long long)groups);
    if (win.d[0] > 1 || win.d[1] > 1)
        oxc_attrs(m, "dilation", win.d);
    mgi_ox_attr(m, "bias=%d", bias != NULL);
    MGI_TRY(oxc_weight(m, at, &w));
    return oxc_finish(m, n, &v, at, bias ? &b : NULL, user);
}

/* ---- transposed ---- */

/* Sizes of the output: given, by rule, or by padding; *more is out_pad. */
static mango_status oxc_transposed(mango_onnx *m, const mgi_ox_node *n, oxc_window *w,
                                   mango_idx more[2])
{
    char word[32];
    mango_idx want[2] = {0, 0};
    more[0] = more[1] = 0;
    mgi_ox_word(n, "auto_pad", "NOTSET", word);
    const int upper = !strcmp(word, "SAME_UPPER"), lower = !strcmp(word, "SAME_LOWER");
    MGI_TRY(oxc_pair(m, n, "output_padding", w->axes, 0, 255, more));
    MGI_TRY(oxc_pair(m, n, "output_shape", w->axes, 1, 1 << 20, want));
    for (int k = 0; k < 2; k++) {
        const mango_idx full =
            (w->in[k] - 1) * w->s[k] + w->d[k] * (w->k[k] - 1) + 1 + more[k];
        mango_idx out = want[k] ? want[k] : upper || lower ? w->in[k] * w->s[k] : 0;
        if (out && (k == 1 || w->axes == 2)) {
            const mango_idx all = full - out;
            if (all < 0)
                return mgi_ox_refuse(m, n, "an output larger than all that it computes");
            w->lo[k] = upper ? all / 2 : all - all / 2;
            w->hi[k] = all - w->lo[k];
        } else if (!strcmp(word, "VALID")) {
            w->lo[k] = w->hi[k] = 0;
        }
        w->out[k] = full - w->lo[k] - w->hi[k];
        if (w->out[k] < 1)
            return mgi_ox_refuse(m, n, "its output would be empty");
    }
    return MANGO_OK;
}

/* Padding as the layer has it, pad at both ends and out_pad rows more; 0: cannot be. */
static int oxc_even(const oxc_window *w, mango_idx more[2])
{
    mango_idx extra[2];
    for (int k = 0; k < 2; k++) {
        const mango_idx reach = w->d[k] * (w->k[k] - 1) + 1;
        extra[k] = w->out[k] - ((w->in[k] - 1) * w->s[k] + reach - 2 * w->lo[k]);
        if (w->lo[k] > 255 || extra[k] < 0 || extra[k] >= MGI_MAX(w->s[k], w->d[k]))
            return 0;
    }
    memcpy(more, extra, sizeof extra);
    return 1;
}

static mango_status oxc_convt(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    mgi_ox_array w;
    oxc_window win;
    const mgi_ox_array *bias;
    mango_idx more[2], size[2];
    int64_t groups;
    int user, at;
    MGI_TRY(oxc_start(m, n, &v, &w, &groups));
    MGI_TRY(oxc_read(m, n, &v, w.dim + 2, &win));
    MGI_TRY(oxc_transposed(m, n, &win, more));
    const mango_idx O = w.dim[1] * groups > MGI_DIM_MAX ? 0 : w.dim[1] * (mango_idx)groups;
    if (w.dim[0] != m->layer[v.layer].C || w.dim[0] % groups || O < 1)
        return mgi_ox_refuse(m, n, "weights of %td channels over %td", w.dim[0],
                             m->layer[v.layer].C);
    MGI_TRY(oxc_bias(m, n, v.rank, O, &bias, &user));
    const mgi_ox_array b = bias ? *bias : w;
    const mango_idx top = win.lo[0], left = win.lo[1];
    const int even = oxc_even(&win, more);
    for (int k = 0; k < 2; k++) {
        const mango_idx full = (win.in[k] - 1) * win.s[k] + win.d[k] * (win.k[k] - 1) + 1;
        const mango_idx end = win.lo[k] + win.out[k];
        if (!even) {
            more[k] = MGI_MAX(end - full, 0);
            win.lo[k] = 0;
        }
        size[k] = even ? win.out[k] : full + more[k];
    }
    MGI_TRY(mgi_ox_emit(m, even ? "" : ".full", "convt", 1, &v.layer, O, size[0], size[1],
                        &at, "out=%td", O));
    oxc_attrs(m, "kernel", win.k);
    oxc_attrs(m, "stride", win.s);
    oxc_attrs(m, "pad", win.lo);
    if (groups > 1)
        mgi_ox_attr(m, "groups=%lld", (long long)groups);
    if (win.d[0] > 1 || win.d[1] > 1)
        oxc_attrs(m, "dilation", win.d);
    if (more[0] || more[1])
        oxc_attrs(m, "out_pad", more);
    mgi_ox_attr(m, "bias=%d", bias != NULL);
    MGI_TRY(oxc_weight(m, at, &w));
    if (even)
        return oxc_finish(m, n, &v, at, bias ? &b : NULL, user);
    if (bias) {
        mgi_ox_array row;
        MGI_TRY(mgi_ox_reshaped(m, &b, 1, &O, &row));
        MGI_TRY(mgi_ox_param_add(m, at, "bias", 1, &O, &row, 1));
    }
    const int in = at;
    MGI_TRY(mgi_ox_emit(m, "", "crop", 1, &in, O, win.out[0], win.out[1], &at,
                        "top=%td left=%td size=%tdx%td", top, left, win.out[0],
                        win.out[1]));
    return oxc_finish(m, n, &v, at, NULL, user);
}

MGI_FN const mgi_ox_op *mgi_ox_conv_ops(void)
{
    static const mgi_ox_op ops[] = {
        {"Conv", oxc_conv}, {"ConvTranspose", oxc_convt}, {NULL, NULL}};
    return ops;
}

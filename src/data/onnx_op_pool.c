/* onnx_op_pool.c - MaxPool, AveragePool, and what is reduced over axes.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

typedef struct oxp_pool {
    mango_idx k[2], s[2], d[2], lo[2], hi[2], in[2], out[2];
    int ceil;
} oxp_pool;

/* A list of one number an axis, of `axes` axes of which W is the last. */
static mango_status oxp_list(mango_onnx *m, const mgi_ox_node *n, const char *name,
                             int axes, mango_idx *v, int64_t lo, int64_t hi)
{
    int64_t list[2];
    const int count = mgi_ox_ints(n, name, 2, list);
    if (count != 0 && count != axes)
        return mgi_ox_refuse(m, n, "%s: %d numbers, %d expected", name, count, axes);
    for (int k = 0; k < count; k++) {
        if (list[k] < lo || list[k] > hi)
            return mgi_ox_refuse(m, n, "%s: %lld is out of range", name,
                                 (long long)list[k]);
        v[2 - axes + k] = (mango_idx)list[k];
    }
    return MANGO_OK;
}

static mango_status oxp_pads(mango_onnx *m, const mgi_ox_node *n, int axes, oxp_pool *p)
{
    int64_t list[4] = {0};
    char word[32];
    const int count = mgi_ox_ints(n, "pads", 4, list);
    mgi_ox_word(n, "auto_pad", "NOTSET", word);
    const int upper = !strcmp(word, "SAME_UPPER"), lower = !strcmp(word, "SAME_LOWER");
    if (count != 0 && count != 2 * axes)
        return mgi_ox_refuse(m, n, "pads: %d numbers, %d expected", count, 2 * axes);
    for (int k = 0; k < axes && strcmp(word, "VALID"); k++) {
        const int at = 2 - axes + k;
        const mango_idx reach = p->d[at] * (p->k[at] - 1) + 1;
        if (count &&
            (list[k] < 0 || list[k] > 4096 || list[k + axes] < 0 || list[k + axes] > 4096))
            return mgi_ox_refuse(m, n, "pads out of 0..4096");
        p->lo[at] = count ? (mango_idx)list[k] : 0;
        p->hi[at] = count ? (mango_idx)list[k + axes] : 0;
        if (upper || lower) {
            const mango_idx out = mgi_ceil_div(p->in[at], p->s[at]);
            const mango_idx all = MGI_MAX((out - 1) * p->s[at] + reach - p->in[at], 0);
            p->lo[at] = lower ? all - all / 2 : all / 2;
            p->hi[at] = all - p->lo[at];
        }
    }
    return MANGO_OK;
}

/* How many windows; the last begins within the map or the padding before it. */
static mango_idx oxp_places(const oxp_pool *p, int k, mango_idx lo, mango_idx hi)
{
    const mango_idx span = p->in[k] + lo + hi - p->d[k] * (p->k[k] - 1) - 1;
    mango_idx out = p->ceil ? mgi_ceil_div(span, p->s[k]) + 1 : span / p->s[k] + 1;
    if (p->ceil && (out - 1) * p->s[k] >= p->in[k] + lo)
        out--;
    return span < 0 ? 0 : out;
}

static mango_status oxp_read(mango_onnx *m, const mgi_ox_node *n, const mgi_ox_map *v,
                             oxp_pool *p)
{
    const mgi_ox_layer *l = &m->layer[v->layer];
    const int axes = v->rank - 2;
    memset(p, 0, sizeof *p);
    p->in[0] = l->H;
    p->in[1] = l->W;
    p->ceil = mgi_ox_int(n, "ceil_mode", 0) != 0;
    for (int k = 0; k < 2; k++)
        p->k[k] = p->s[k] = p->d[k] = 1;
    if (!mgi_ox_has(n, "kernel_shape"))
        return mgi_ox_refuse(m, n, "kernel_shape is missing");
    MGI_TRY(oxp_list(m, n, "kernel_shape", axes, p->k, 1, 256));
    MGI_TRY(oxp_list(m, n, "strides", axes, p->s, 1, 256));
    MGI_TRY(oxp_list(m, n, "dilations", axes, p->d, 1, 256));
    MGI_TRY(oxp_pads(m, n, axes, p));
    for (int k = 0; k < 2; k++) {
        p->out[k] = oxp_places(p, k, p->lo[k], p->hi[k]);
        if (p->out[k] < 1)
            return mgi_ox_refuse(m, n, "its output would be empty");
    }
    return MANGO_OK;
}

/* Padding before the layer, of `value`, unless the layer's own will do. */
static mango_status oxp_pad(mango_onnx *m, oxp_pool *p, double value, int *layer)
{
    int own = 1;
    for (int k = 0; k < 2; k++) {
        if (oxp_places(p, k, p->lo[k], p->lo[k]) == p->out[k] && value < 0)
            p->hi[k] = p->lo[k];
        own &= p->lo[k] == p->hi[k] && 2 * p->lo[k] <= p->k[k];
    }
    if (own)
        return MANGO_OK;
    const mgi_ox_layer l = m->layer[*layer];
    const int in = *layer;
    MGI_TRY(mgi_ox_emit(m, ".pad", "pad", 1, &in, l.C, l.H + p->lo[0] + p->hi[0],
                        l.W + p->lo[1] + p->hi[1], layer,
                        "left=%td right=%td top=%td bottom=%td", p->lo[1], p->hi[1],
                        p->lo[0], p->hi[0]));
    if (value != 0)
        mgi_ox_attr_f(m, "value", value);
    for (int k = 0; k < 2; k++)
        p->lo[k] = p->hi[k] = 0;
    return MANGO_OK;
}

static void oxp_attrs(mango_onnx *m, const char *key, const mango_idx v[2])
{
    mgi_ox_attr(m, v[0] == v[1] ? "%s=%td" : "%s=%tdx%td", key, v[0], v[1]);
}

static mango_status oxp_emit(mango_onnx *m, mgi_ox_map *v, const char *kind,
                             const oxp_pool *p)
{
    const int in = v->layer;
    MGI_TRY(mgi_ox_emit(m, "", kind, 1, &in, m->layer[in].C, p->out[0], p->out[1],
                        &v->layer, p->k[0] == p->k[1] ? "kernel=%td" : "kernel=%tdx%td",
                        p->k[0], p->k[1]));
    oxp_attrs(m, "stride", p->s);
    oxp_attrs(m, "pad", p->lo);
    if (p->d[0] > 1 || p->d[1] > 1)
        oxp_attrs(m, "dilation", p->d);
    if (p->ceil)
        mgi_ox_attr(m, "ceil=1");
    mgi_ox_see(m, v->layer, v->rank == 4 ? "nchw" : "ncw", v->size[0], v);
    return MANGO_OK;
}

static mango_status oxp_max(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    oxp_pool p;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (n->n_out > 1 && m->link[n->out + 1] >= 0 && m->value[m->link[n->out + 1]].uses)
        return mgi_ox_refuse(m, n, "its second output, the indices");
    MGI_TRY(mgi_ox_picture(m, n, &v));
    MGI_TRY(oxp_read(m, n, &v, &p));
    MGI_TRY(oxp_pad(m, &p, -1e30, &v.layer));
    MGI_TRY(oxp_emit(m, &v, "maxpool", &p));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* How many values of window i lie inside the map, along one axis. */
static mango_idx oxp_inside(const oxp_pool *p, int k, mango_idx i)
{
    mango_idx count = 0;
    for (mango_idx t = 0; t < p->k[k]; t++) {
        const mango_idx at = i * p->s[k] - p->lo[k] + t;
        count += at >= 0 && at < p->in[k];
    }
    return count;
}

/* Padded unevenly, but only what lies inside counts: the mean of all, times all / inside. */
static mango_status oxp_mean_inside(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                    oxp_pool *p)
{
    const oxp_pool was = *p;
    const mango_idx shape[3] = {1, p->out[0], p->out[1]};
    mgi_ox_array a;
    unsigned char *bytes = NULL;
    MGI_TRY(mgi_ox_new(m, MGI_OX_F32, v->rank == 4 ? 3 : 2,
                       v->rank == 4 ? shape : shape + 1, &a, &bytes));
    if (v->rank == 3) { /* (1,OW), seen along the channels' axis */
        a.dim[0] = 1;
        a.dim[1] = p->out[1];
    }
    for (mango_idx y = 0; y < p->out[0]; y++)
        for (mango_idx x = 0; x < p->out[1]; x++) {
            const mango_idx inside = oxp_inside(&was, 0, y) * oxp_inside(&was, 1, x);
            if (inside < 1)
                return mgi_ox_refuse(m, n, "a window of padding alone");
            mgi_ox_put(bytes, MGI_OX_F32, y * p->out[1] + x,
                       (double)(p->k[0] * p->k[1]) / (double)inside, 0);
        }
    MGI_TRY(oxp_pad(m, p, 0, &v->layer));
    MGI_TRY(oxp_emit(m, v, "avgpool", p));
    return mgi_ox_scale_shift(m, n, v, &a, 1, NULL, 1);
}

static mango_status oxp_average(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    oxp_pool p;
    const int all = mgi_ox_int(n, "count_include_pad", 0) != 0;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_picture(m, n, &v));
    MGI_TRY(oxp_read(m, n, &v, &p));
    if (p.d[0] > 1 || p.d[1] > 1)
        return mgi_ox_refuse(m, n, "dilations");
    const int uneven = p.lo[0] != p.hi[0] || p.lo[1] != p.hi[1] || 2 * p.lo[0] > p.k[0] ||
                       2 * p.lo[1] > p.k[1];
    if (uneven && !all && p.ceil)
        return mgi_ox_refuse(m, n, "ceil_mode with padding that differs at both ends");
    if (uneven && !all) {
        MGI_TRY(oxp_mean_inside(m, n, &v, &p));
        return mgi_ox_set_map(m, n, 0, &v);
    }
    MGI_TRY(oxp_pad(m, &p, 0, &v.layer));
    MGI_TRY(oxp_emit(m, &v, "avgpool", &p));
    if (p.lo[0] || p.lo[1] || p.ceil)
        mgi_ox_attr(m, "count_pad=%d", all);
    return mgi_ox_set_map(m, n, 0, &v);
}

/* ---- over whole axes ---- */

/* The axes of mask go: v's others become C, these H and W. */
static mango_status oxp_over(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                             unsigned mask, int keep, const char *kind)
{
    int order[MGI_RANK_MAX], count = 0, n_c = 0, n_over = 0;
    for (int r = 1; r < v->rank; r++)
        if (!(mask >> r & 1))
            order[count++] = r;
    n_c = count;
    for (int r = 1; r < v->rank; r++)
        if (mask >> r & 1)
            order[count++] = r;
    n_over = count - n_c;
    if (mask & 1)
        return mgi_ox_refuse(m, n, "over the batch axis");
    MGI_TRY(mgi_ox_bring(m, n, v, count, order, n_c, n_over == 2 ? 1 : 0));
    const mgi_ox_layer l = m->layer[v->layer];
    const int in = v->layer;
    for (int r = 1; r < v->rank; r++)
        if (mask >> r & 1)
            MGI_TRY(mgi_ox_resize(m, n, v, r, 1, 1));
    if (l.H * l.W > 1)
        MGI_TRY(mgi_ox_emit(m, "", kind, 1, &in, l.C, 1, 1, &v->layer, "%s", ""));
    if (!keep)
        mgi_ox_drop_axes(v, mask);
    return MANGO_OK;
}

static mango_status oxp_global(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (v.rank < 3)
        return mgi_ox_refuse(m, n, "of a map of %d axes", v.rank);
    MGI_TRY(oxp_over(m, n, &v, ((1u << v.rank) - 1) & ~3u, 1,
                     !strcmp(n->op, "GlobalMaxPool") ? "globalmax" : "globalavg"));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxp_reduce(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    unsigned mask;
    int given;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_axes(m, n, 1, v.rank, &given, &mask));
    if (!given && mgi_ox_int(n, "noop_with_empty_axes", 0))
        return mgi_ox_set_map(m, n, 0, &v);
    mask = given ? mask : (1u << v.rank) - 1;
    MGI_TRY(oxp_over(m, n, &v, mask, mgi_ox_int(n, "keepdims", 1) != 0,
                     !strcmp(n->op, "ReduceMean")  ? "globalavg"
                     : !strcmp(n->op, "ReduceSum") ? "globalsum"
                                                   : "globalmax"));
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_pool_ops(void)
{
    static const mgi_ox_op ops[] = {{"MaxPool", oxp_max},
                                    {"AveragePool", oxp_average},
                                    {"GlobalAveragePool", oxp_global},
                                    {"GlobalMaxPool", oxp_global},
                                    {"ReduceMean", oxp_reduce},
                                    {"ReduceSum", oxp_reduce},
                                    {"ReduceMax", oxp_reduce},
                                    {NULL, NULL}};
    return ops;
}

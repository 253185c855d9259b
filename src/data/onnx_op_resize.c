/* onnx_op_resize.c - Resize and Upsample. Their many rules for coordinates are compared, row
 * by row, with those that the layer has: what differs anywhere is refused.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

typedef struct oxr_axis {
    mango_idx in, out;
    double scale;
} oxr_axis;

/* Where row x of the output lies among those of the input. */
static double oxr_place(const char *rule, const oxr_axis *a, mango_idx x)
{
    const double i = (double)x, half = (i + 0.5) / a->scale - 0.5;
    if (!strcmp(rule, "align_corners"))
        return a->out > 1 ? i * (double)(a->in - 1) / (double)(a->out - 1) : 0;
    if (!strcmp(rule, "asymmetric"))
        return i / a->scale;
    if (!strcmp(rule, "tf_half_pixel_for_nn"))
        return (i + 0.5) / a->scale;
    if (!strcmp(rule, "pytorch_half_pixel"))
        return a->out > 1 ? half : 0;
    if (!strcmp(rule, "half_pixel_symmetric"))
        return half + (double)a->in / 2 * (1 - (double)a->out / (a->scale * (double)a->in));
    return half;
}

static mango_idx oxr_round(const char *rule, double c, mango_idx in)
{
    const double r = !strcmp(rule, "floor")               ? floor(c)
                     : !strcmp(rule, "ceil")              ? ceil(c)
                     : !strcmp(rule, "round_prefer_ceil") ? floor(c + 0.5)
                                                          : ceil(c - 0.5);
    return r < 0 ? 0 : r > (double)(in - 1) ? in - 1 : (mango_idx)r;
}

/* Is every row the one that the layer takes, floor(x in / out)? */
static int oxr_is_nearest(const char *rule, const char *rounding, const oxr_axis *a)
{
    for (mango_idx x = 0; x < a->out; x++)
        if (oxr_round(rounding, oxr_place(rule, a, x), a->in) != x * a->in / a->out)
            return 0;
    return 1;
}

/* Are all places those of another rule, with out / in as the scale? Whether a size that
 * the scale does not make a whole number is rounded in `align_corners`, programs differ. */
static int oxr_is_rule(const char *rule, const char *other, const oxr_axis *a, int clamp)
{
    const double size = a->scale * (double)a->in, rest = size - (double)a->out;
    if (!strcmp(rule, "align_corners") && (rest > 1e-4 || rest < -1e-4))
        return 0;
    const oxr_axis whole = {a->in, a->out, (double)a->out / (double)a->in};
    const double top = (double)(a->in - 1);
    for (mango_idx x = 0; x < a->out; x++) {
        double p = oxr_place(rule, a, x), q = oxr_place(other, &whole, x);
        if (clamp) {
            p = MGI_MAX(0, MGI_MIN(top, p));
            q = MGI_MAX(0, MGI_MIN(top, q));
        }
        if (!(p - q < 1e-5 && q - p < 1e-5))
            return 0;
    }
    return 1;
}

/* Scales or sizes of all axes, from what the opset has. */
static mango_status oxr_axes(mango_onnx *m, const mgi_ox_node *n, const mgi_ox_map *v,
                             oxr_axis *axis)
{
    const int at = m->opset < 11 ? 1 : 2;
    const mgi_ox_array *scales = mgi_ox_const(m, n, at), *sizes = mgi_ox_const(m, n, 3);
    double list[MGI_RANK_MAX] = {0};
    int64_t which[MGI_RANK_MAX];
    int count = mgi_ox_reals(n, "scales", MGI_RANK_MAX, list);
    const int given = mgi_ox_ints(n, "axes", MGI_RANK_MAX, which);
    const int wanted = given ? given : v->rank;
    if (scales && scales->count == wanted)
        for (count = 0; count < wanted; count++)
            list[count] = mgi_ox_real_at(scales, mgi_ox_offset(scales, count));
    if (count != wanted && !(m->opset >= 11 && sizes && sizes->count == wanted))
        return mgi_ox_refuse(m, n, "no constant scale or size for each axis");
    for (int r = 0; r < v->rank; r++) {
        axis[r].in = axis[r].out = mgi_ox_dim(v, r);
        axis[r].scale = 1;
    }
    for (int k = 0; k < wanted; k++) {
        const int r = given ? mgi_ox_axis(which[k], v->rank) : k;
        oxr_axis *a = r < 0 ? NULL : &axis[r];
        const double out = !a ? 0
                           : count == wanted
                               ? floor((double)a->in * list[k])
                               : (double)mgi_ox_int_at(sizes, mgi_ox_offset(sizes, k));
        if (!(out >= 1) || out > 1 << 20)
            return mgi_ox_refuse(m, n, "an axis or a size out of range");
        a->out = (mango_idx)out;
        a->scale = count == wanted ? list[k] : out / (double)a->in;
    }
    return MANGO_OK;
}

/* The layer's attributes that do the same; *corners: align_corners. */
static mango_status oxr_mode(mango_onnx *m, const mgi_ox_node *n, const oxr_axis *h,
                             const oxr_axis *w, const char **mode, int *corners)
{
    char word[32], rule[32], rounding[32], policy[32];
    const int old = m->opset < 11;
    const oxr_axis *const a[2] = {h, w};
    int same = 1, aligned = 1;
    mgi_ox_word(n, "mode", "nearest", word);
    mgi_ox_word(n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel",
                rule);
    mgi_ox_word(n, "nearest_mode", old ? "floor" : "round_prefer_floor", rounding);
    mgi_ox_word(n, "keep_aspect_ratio_policy", "stretch", policy);
    const int nearest = !strcmp(word, "nearest"), cubic = !strcmp(word, "cubic");
    *mode = nearest ? "nearest" : cubic ? "bicubic" : "bilinear";
    *corners = 0;
    if (!nearest && !cubic && strcmp(word, "linear") && strcmp(word, "bilinear"))
        return mgi_ox_refuse(m, n, "mode '%s'", word);
    if (!strcmp(rule, "tf_crop_and_resize") || mgi_ox_int(n, "antialias", 0) ||
        strcmp(policy, "stretch") || mgi_ox_int(n, "exclude_outside", 0))
        return mgi_ox_refuse(m, n, "cropping, antialiasing or a policy of its own");
    if (cubic && (mgi_ox_real(n, "cubic_coeff_a", -0.75) != -0.75))
        return mgi_ox_refuse(m, n, "cubic_coeff_a other than -0.75");
    for (int k = 0; k < 2; k++) {
        same &= nearest ? oxr_is_nearest(rule, rounding, a[k])
                        : oxr_is_rule(rule, "half_pixel", a[k], !cubic);
        aligned &= !nearest && oxr_is_rule(rule, "align_corners", a[k], !cubic);
    }
    *corners = !same && aligned;
    if (!same && !aligned)
        return mgi_ox_refuse(m, n, "%s by '%s'%s%s from %tdx%td to %tdx%td", word, rule,
                             nearest ? ", " : "", nearest ? rounding : "", h->in, w->in,
                             h->out, w->out);
    return MANGO_OK;
}

static mango_status oxr_resize(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    oxr_axis axis[MGI_RANK_MAX] = {{0, 0, 0}};
    const oxr_axis flat = {1, 1, 1};
    unsigned mask = 0;
    const char *mode;
    int order[3], h, w, corners;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(oxr_axes(m, n, &v, axis));
    for (int r = 0; r < v.rank; r++)
        mask |= axis[r].out != axis[r].in || axis[r].scale != 1 ? 1u << r : 0;
    if (!mask)
        return mgi_ox_set_map(m, n, 0, &v);
    if (!mgi_ox_plane(&v, mask, order, &h, &w))
        return mgi_ox_refuse(m, n, "other than one or two axes of a map of 3 or 4");
    MGI_TRY(oxr_mode(m, n, h < 0 ? &flat : &axis[h], &axis[w], &mode, &corners));
    MGI_TRY(mgi_ox_bring(m, n, &v, v.rank - 1, order, 1, v.rank == 4));
    const mgi_ox_layer l = m->layer[v.layer];
    const mango_idx H = h < 0 ? 1 : axis[h].out, W = axis[w].out;
    const int in = v.layer;
    MGI_TRY(mgi_ox_emit(m, "", "upsample", 1, &in, l.C, H, W, &v.layer, "mode=%s", mode));
    if (H != 2 * l.H || W != 2 * l.W)
        mgi_ox_attr(m, "size=%tdx%td", H, W);
    if (corners)
        mgi_ox_attr(m, "align_corners=1");
    MGI_TRY(mgi_ox_plane_sizes(m, n, &v, h, w));
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_resize_ops(void)
{
    static const mgi_ox_op ops[] = {
        {"Resize", oxr_resize}, {"Upsample", oxr_resize}, {NULL, NULL}};
    return ops;
}

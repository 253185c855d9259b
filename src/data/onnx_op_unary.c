/* onnx_op_unary.c - functions of one value at a time.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

#define OXU_FAR 1e30 /* beyond what values reach: an open end of a range */

/* Those of one name here and there, without attributes. */
static mango_status oxu_plain(mango_onnx *m, const mgi_ox_node *n)
{
    static const char *const kinds[][2] = {
        {"Relu", "relu"},         {"Sigmoid", "sigmoid"},     {"Tanh", "tanh"},
        {"Softplus", "softplus"}, {"HardSwish", "hardswish"}, {"Mish", "mish"},
        {"Silu", "silu"}};
    mgi_ox_map v;
    const char *kind = "";
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    for (mango_idx k = 0; k < MGI_COUNT(kinds); k++)
        kind = strcmp(kinds[k][0], n->op) ? kind : kinds[k][1];
    MGI_TRY(mgi_ox_same_shape(m, "", kind, &v, "%s", ""));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxu_gelu(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    char word[32];
    mgi_ox_word(n, "approximate", "none", word);
    const int tanh_form = !strcmp(word, "tanh") || !strcmp(n->op, "GeluTanh");
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_same_shape(m, "", "gelu", &v, "%s", tanh_form ? "mode=tanh" : ""));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxu_leaky(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_same_shape(m, "", "leakyrelu", &v, "%s", ""));
    mgi_ox_attr_f(m, "slope", mgi_ox_real(n, "alpha", 0.01));
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxu_elu(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    const double alpha = mgi_ox_real(n, "alpha", 1);
    if (!strcmp(n->op, "Celu") && alpha != 1)
        return mgi_ox_refuse(m, n, "alpha %g; 1 expected", alpha);
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_same_shape(m, "", "elu", &v, "%s", ""));
    mgi_ox_attr_f(m, "alpha", alpha);
    return mgi_ox_set_map(m, n, 0, &v);
}

static int oxu_near(double a, double b)
{
    return a - b < 1e-5 && b - a < 1e-5;
}

static mango_status oxu_selu(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    if (!oxu_near(mgi_ox_real(n, "alpha", 1.6732632), 1.6732632) ||
        !oxu_near(mgi_ox_real(n, "gamma", 1.050701), 1.050701))
        return mgi_ox_refuse(m, n, "alpha or gamma other than SELU's");
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_same_shape(m, "", "selu", &v, "%s", ""));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* Into lo..hi, of which one end may be open. */
static mango_status oxu_range(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v, double lo,
                              double hi)
{
    if (lo <= -OXU_FAR && hi >= OXU_FAR)
        return mgi_ox_set_map(m, n, 0, v);
    if (!(lo < hi))
        return mgi_ox_refuse(m, n, "an empty range %g..%g", lo, hi);
    if (lo == 0 && hi >= OXU_FAR) {
        MGI_TRY(mgi_ox_same_shape(m, "", "relu", v, "%s", ""));
        return mgi_ox_set_map(m, n, 0, v);
    }
    MGI_TRY(mgi_ox_same_shape(m, "", "hardtanh", v, "%s", ""));
    mgi_ox_attr_f(m, "lo", MGI_MAX(lo, -OXU_FAR));
    mgi_ox_attr_f(m, "hi", MGI_MIN(hi, OXU_FAR));
    return mgi_ox_set_map(m, n, 0, v);
}

static mango_status oxu_clip(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    double lo, hi;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(mgi_ox_number(m, n, 1, "min", -OXU_FAR, &lo));
    MGI_TRY(mgi_ox_number(m, n, 2, "max", OXU_FAR, &hi));
    return oxu_range(m, n, &v, lo, hi);
}

/* Max and Min of a map and one number. */
static mango_status oxu_bound(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    double bound;
    const int k = mgi_ox_const(m, n, 0) ? 1 : 0;
    if (n->n_in != 2 || !mgi_ox_const(m, n, 1 - k) ||
        !mgi_ox_uniform(mgi_ox_const(m, n, 1 - k), &bound))
        return mgi_ox_refuse(m, n, "of other than one map and one constant number");
    MGI_TRY(mgi_ox_map_in(m, n, k, &v));
    if (mgi_ox_const(m, n, 1 - k)->count != 1 || mgi_ox_const(m, n, 1 - k)->rank > v.rank)
        return mgi_ox_refuse(m, n, "a constant of more than one number");
    return !strcmp(n->op, "Max") ? oxu_range(m, n, &v, bound, OXU_FAR)
                                 : oxu_range(m, n, &v, -OXU_FAR, bound);
}

static mango_status oxu_affine(mango_onnx *m, const char *suffix, mgi_ox_map *v,
                               double scale, double shift)
{
    MGI_TRY(mgi_ox_same_shape(m, suffix, "affine", v, "%s", ""));
    mgi_ox_attr_f(m, "scale", scale);
    mgi_ox_attr_f(m, "shift", shift);
    return MANGO_OK;
}

/* max(0, min(1, alpha x + beta)) */
static mango_status oxu_hardsigmoid(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    const double alpha = mgi_ox_real(n, "alpha", 0.2), beta = mgi_ox_real(n, "beta", 0.5);
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (alpha > 0.166666 && alpha < 0.166668 && beta == 0.5) {
        MGI_TRY(mgi_ox_same_shape(m, "", "hardsigmoid", &v, "%s", ""));
        return mgi_ox_set_map(m, n, 0, &v);
    }
    MGI_TRY(oxu_affine(m, ".affine", &v, alpha, beta));
    return oxu_range(m, n, &v, 0, 1);
}

static mango_status oxu_neg(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    MGI_TRY(oxu_affine(m, "", &v, -1, 0));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* Two layers of one shape into one. */
static mango_status oxu_pair(mango_onnx *m, const char *suffix, const char *kind, int a,
                             int b, int *at)
{
    const int in[2] = {a, b};
    const mgi_ox_layer l = m->layer[a];
    return mgi_ox_emit(m, suffix, kind, 2, in, l.C, l.H, l.W, at, "%s", "");
}

/* |x| = relu(x) + relu(-x) */
static mango_status oxu_abs(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v, up, down;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    up = down = v;
    MGI_TRY(mgi_ox_same_shape(m, ".positive", "relu", &up, "%s", ""));
    MGI_TRY(oxu_affine(m, ".minus", &down, -1, 0));
    MGI_TRY(mgi_ox_same_shape(m, ".negative", "relu", &down, "%s", ""));
    MGI_TRY(oxu_pair(m, "", "add", up.layer, down.layer, &v.layer));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* Whole powers by multiplying. */
static mango_status oxu_pow(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    double power;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (!mgi_ox_const(m, n, 1) || !mgi_ox_uniform(mgi_ox_const(m, n, 1), &power) ||
        (power != 1 && power != 2 && power != 3 && power != 4))
        return mgi_ox_refuse(m, n, "to a power that is not 1, 2, 3 or 4");
    const int x = v.layer;
    int square = x;
    if (power > 1)
        MGI_TRY(oxu_pair(m, power > 2 ? ".square" : "", "mul", x, x, &square));
    v.layer = square;
    if (power > 2)
        MGI_TRY(oxu_pair(m, "", "mul", square, power > 3 ? square : x, &v.layer));
    return mgi_ox_set_map(m, n, 0, &v);
}

/* What is nothing to a network that runs. */
static mango_status oxu_identity(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    double training = 0;
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (!strcmp(n->op, "Dropout")) {
        MGI_TRY(mgi_ox_number(m, n, 2, NULL, 0, &training));
        if (training != 0)
            return mgi_ox_refuse(m, n,
                                 "in training mode; export the model in evaluation mode");
    }
    return mgi_ox_set_map(m, n, 0, &v);
}

static mango_status oxu_cast(mango_onnx *m, const mgi_ox_node *n)
{
    mgi_ox_map v;
    const mgi_ox_array *like = mgi_ox_const(m, n, 1);
    const int64_t to = like ? like->type : mgi_ox_int(n, "to", MGI_OX_F32);
    const int real = to > 0 && to < 64 && mgi_ox_is_real((int)to);
    MGI_TRY(mgi_ox_map_in(m, n, 0, &v));
    if (!real && !v.whole)
        return mgi_ox_refuse(m, n, "rounds values of the network to whole numbers");
    if (to == MGI_OX_F16 || to == MGI_OX_BF16)
        return mgi_ox_refuse(m, n,
                             "rounds values of the network to half precision; export the "
                             "model in float32");
    return mgi_ox_set_map(m, n, 0, &v);
}

MGI_FN const mgi_ox_op *mgi_ox_unary_ops(void)
{
    static const mgi_ox_op ops[] = {{"Relu", oxu_plain},
                                    {"Sigmoid", oxu_plain},
                                    {"Tanh", oxu_plain},
                                    {"Softplus", oxu_plain},
                                    {"HardSwish", oxu_plain},
                                    {"Mish", oxu_plain},
                                    {"Silu", oxu_plain},
                                    {"Gelu", oxu_gelu},
                                    {"GeluTanh", oxu_gelu},
                                    {"LeakyRelu", oxu_leaky},
                                    {"Elu", oxu_elu},
                                    {"Celu", oxu_elu},
                                    {"Selu", oxu_selu},
                                    {"Clip", oxu_clip},
                                    {"Max", oxu_bound},
                                    {"Min", oxu_bound},
                                    {"HardSigmoid", oxu_hardsigmoid},
                                    {"Neg", oxu_neg},
                                    {"Abs", oxu_abs},
                                    {"Pow", oxu_pow},
                                    {"Identity", oxu_identity},
                                    {"Dropout", oxu_identity},
                                    {"Cast", oxu_cast},
                                    {"CastLike", oxu_cast},
                                    {NULL, NULL}};
    return ops;
}

#undef OXU_FAR

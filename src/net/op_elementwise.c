/* op_elementwise.c - functions of one value, see math/curves.h: leakyrelu, elu, selu, silu,
 * sigmoid, hardtanh, softplus, hardsigmoid, hardswish, mish, affine.
 * SPDX-License-Identifier: MIT */
#include "../math/curves.h"
#include "graph.h"

#define ELEMENTWISE_MOST 1e30
#define ELEMENTWISE_NUMBER(key, i)                                                             \
    {                                                                                          \
        key, MGI_ATTR_REAL, 0, MGI_ATTR_AT(number[i]), -ELEMENTWISE_MOST, ELEMENTWISE_MOST, 0, \
            0                                                                                  \
    }

static const mgi_attr elementwise_slope[] = {ELEMENTWISE_NUMBER("slope", 0), {0}};
static const mgi_attr elementwise_alpha[] = {ELEMENTWISE_NUMBER("alpha", 0), {0}};
static const mgi_attr elementwise_range[] = {
    ELEMENTWISE_NUMBER("lo", 0), ELEMENTWISE_NUMBER("hi", 1), {0}};
static const mgi_attr elementwise_softplus[] = {
    {"beta", MGI_ATTR_REAL, 0, MGI_ATTR_AT(number[0]), 1e-6, 1e6, 0, 0},
    {"threshold", MGI_ATTR_REAL, 0, MGI_ATTR_AT(number[1]), 0, 500, 0, 0},
    {0},
};
static const mgi_attr elementwise_affine[] = {
    ELEMENTWISE_NUMBER("scale", 0), ELEMENTWISE_NUMBER("shift", 1), {0}};

static void elementwise_leaky(mgi_node *q)
{
    q->number[0] = 0.01;
}

static void elementwise_one(mgi_node *q)
{
    q->number[0] = 1;
}

static void elementwise_unit(mgi_node *q)
{
    q->number[0] = -1;
    q->number[1] = 1;
}

static void elementwise_soft(mgi_node *q)
{
    q->number[0] = 1;
    q->number[1] = 20;
}

static mango_status elementwise_ordered(mgi_node *q, uint64_t seen, mango_err *err)
{
    (void)seen;
    if (q->number[0] <= q->number[1])
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_FORMAT, "node %s: lo=%g is over hi=%g", q->name,
                    q->number[0], q->number[1]);
}

static mgi_curve elementwise_curve(mgi_kind k)
{
    switch (k) {
    case MGI_LEAKYRELU: return MGI_CURVE_LEAKYRELU;
    case MGI_ELU: return MGI_CURVE_ELU;
    case MGI_SELU: return MGI_CURVE_SELU;
    case MGI_SILU: return MGI_CURVE_SILU;
    case MGI_SIGMOID: return MGI_CURVE_SIGMOID;
    case MGI_HARDTANH: return MGI_CURVE_HARDTANH;
    case MGI_SOFTPLUS: return MGI_CURVE_SOFTPLUS;
    case MGI_HARDSIGMOID: return MGI_CURVE_HARDSIGMOID;
    case MGI_HARDSWISH: return MGI_CURVE_HARDSWISH;
    case MGI_MISH: return MGI_CURVE_MISH;
    default: return MGI_CURVE_AFFINE;
    }
}

static void elementwise_forward(const mgi_op_run *r)
{
    const mgi_node *g = r->g;
    mgi_curve_forward(elementwise_curve(g->kind), g->number[0], g->number[1],
                      r->N * g->C * g->H * g->W, r->x[0], r->y);
}

static void elementwise_gradient(const mgi_op_grad *r)
{
    const mgi_node *g = r->g;
    mgi_curve_backward(elementwise_curve(g->kind), g->number[0], g->number[1],
                       r->N * g->C * g->H * g->W, r->x, r->dy, r->dx);
}

#define ELEMENTWISE_SAME "CxHxW -> CxHxW"
#define ELEMENTWISE_RECORD                                                                     \
    .least = 1, .most = 1, .shapes = ELEMENTWISE_SAME, .forward = elementwise_forward,         \
    .gradient = elementwise_gradient, .reads_x = 1, .in_place = 1, .same_grad = 1

MGI_DATA const mgi_op mgi_op_leakyrelu = {.name = "leakyrelu",
                                        .about = "y = x for x > 0, else slope x.",
                                        .keys = "slope factor of x below 0",
                                        .attr = elementwise_slope,
                                        .defaults = elementwise_leaky,
                                        ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_elu = {.name = "elu",
                                  .about = "y = x for x > 0, else alpha (exp(x) - 1).",
                                  .keys = "alpha -alpha is what y falls to",
                                  .attr = elementwise_alpha,
                                  .defaults = elementwise_one,
                                  ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_selu = {
    .name = "selu",
    .about = "y = 1.0507 x for x > 0, else 1.0507 1.6733 (exp(x) - 1).",
    ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_silu = {
    .name = "silu", .about = "y = x / (1 + exp(-x)), also called swish.", ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_sigmoid = {
    .name = "sigmoid", .about = "y = 1 / (1 + exp(-x)).", ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_hardtanh = {
    .name = "hardtanh",
    .about = "y = min(max(x, lo), hi). ReLU6 is lo=0 hi=6.",
    .keys = "lo the least value\nhi the largest value",
    .attr = elementwise_range,
    .defaults = elementwise_unit,
    .check = elementwise_ordered,
    ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_softplus = {
    .name = "softplus",
    .about = "y = log(1 + exp(beta x)) / beta, and x where beta x > threshold.",
    .keys = "beta how sharp the bend is\nthreshold from here on y is x",
    .attr = elementwise_softplus,
    .defaults = elementwise_soft,
    ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_hardsigmoid = {
    .name = "hardsigmoid", .about = "y = min(max(x + 3, 0), 6) / 6.", ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_hardswish = {
    .name = "hardswish", .about = "y = x min(max(x + 3, 0), 6) / 6.", ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_mish = {
    .name = "mish", .about = "y = x tanh(log(1 + exp(x))).", ELEMENTWISE_RECORD};
MGI_DATA const mgi_op mgi_op_affine = {.name = "affine",
                                     .about = "y = scale x + shift, of two numbers.",
                                     .keys = "scale factor of x\nshift what is added",
                                     .attr = elementwise_affine,
                                     .defaults = elementwise_one,
                                     ELEMENTWISE_RECORD};

#undef ELEMENTWISE_MOST
#undef ELEMENTWISE_NUMBER
#undef ELEMENTWISE_SAME
#undef ELEMENTWISE_RECORD

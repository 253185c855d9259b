/* onnx_fold_math.c - arithmetic between constants, element by element and along axes.
 * Floats are computed in double and rounded to float once, whole numbers in 64 bits.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

enum oxfm_code {
    OXFM_ADD,
    OXFM_SUB,
    OXFM_MUL,
    OXFM_DIV,
    OXFM_POW,
    OXFM_MOD,
    OXFM_MIN,
    OXFM_MAX,
    OXFM_EQUAL,
    OXFM_LESS,
    OXFM_GREATER,
    OXFM_AND,
    OXFM_OR,
    OXFM_NEG,
    OXFM_ABS,
    OXFM_SQRT,
    OXFM_EXP,
    OXFM_LOG,
    OXFM_FLOOR,
    OXFM_CEIL,
    OXFM_RECIPROCAL,
    OXFM_NOT
};

static const struct {
    const char *name;
    int code, inputs;
} oxfm_ops[] = {{"Add", OXFM_ADD, 2},
                {"Sub", OXFM_SUB, 2},
                {"Mul", OXFM_MUL, 2},
                {"Div", OXFM_DIV, 2},
                {"Pow", OXFM_POW, 2},
                {"Mod", OXFM_MOD, 2},
                {"Min", OXFM_MIN, 2},
                {"Max", OXFM_MAX, 2},
                {"Equal", OXFM_EQUAL, 2},
                {"Less", OXFM_LESS, 2},
                {"Greater", OXFM_GREATER, 2},
                {"And", OXFM_AND, 2},
                {"Or", OXFM_OR, 2},
                {"Neg", OXFM_NEG, 1},
                {"Abs", OXFM_ABS, 1},
                {"Sqrt", OXFM_SQRT, 1},
                {"Exp", OXFM_EXP, 1},
                {"Log", OXFM_LOG, 1},
                {"Floor", OXFM_FLOOR, 1},
                {"Ceil", OXFM_CEIL, 1},
                {"Reciprocal", OXFM_RECIPROCAL, 1},
                {"Not", OXFM_NOT, 1}};

static double oxfm_real(int code, double a, double b)
{
    switch (code) {
    case OXFM_ADD: return a + b;
    case OXFM_SUB: return a - b;
    case OXFM_MUL: return a * b;
    case OXFM_DIV: return a / b;
    case OXFM_POW: return b == 2 ? a * a : mgi_pow(a, b);
    case OXFM_MOD: return a - b * floor(a / b);
    case OXFM_MIN: return a < b ? a : b;
    case OXFM_MAX: return a > b ? a : b;
    case OXFM_EQUAL: return a == b;
    case OXFM_LESS: return a < b;
    case OXFM_GREATER: return a > b;
    case OXFM_AND: return a != 0 && b != 0;
    case OXFM_OR: return a != 0 || b != 0;
    case OXFM_NEG: return -a;
    case OXFM_ABS: return a < 0 ? -a : a;
    case OXFM_SQRT: return sqrt(a);
    case OXFM_EXP: return mgi_exp(a);
    case OXFM_LOG: return mgi_log(a);
    case OXFM_FLOOR: return floor(a);
    case OXFM_CEIL: return ceil(a);
    case OXFM_RECIPROCAL: return 1 / a;
    default: return a == 0;
    }
}

/* a^b of whole numbers; wraps as unsigned numbers do. */
static int64_t oxfm_power(int64_t a, int64_t b)
{
    uint64_t x = 1, base = (uint64_t)a;
    for (; b > 0; b >>= 1, base *= base)
        x *= b & 1 ? base : 1;
    return (int64_t)x;
}

static int64_t oxfm_whole(int code, int64_t a, int64_t b)
{
    const uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (code) {
    case OXFM_ADD: return (int64_t)(x + y);
    case OXFM_SUB: return (int64_t)(x - y);
    case OXFM_MUL: return (int64_t)(x * y);
    case OXFM_DIV: return b == 0 ? 0 : b == -1 ? (int64_t)(0 - x) : a / b;
    case OXFM_POW: return oxfm_power(a, b);
    case OXFM_MOD:
        return b == 0 || b == -1 ? 0 : (a % b + (a % b && (a < 0) != (b < 0) ? b : 0));
    case OXFM_MIN: return MGI_MIN(a, b);
    case OXFM_MAX: return MGI_MAX(a, b);
    case OXFM_EQUAL: return a == b;
    case OXFM_LESS: return a < b;
    case OXFM_GREATER: return a > b;
    case OXFM_AND: return a && b;
    case OXFM_OR: return a || b;
    case OXFM_NEG: return (int64_t)(0 - x);
    case OXFM_ABS: return a < 0 ? (int64_t)(0 - x) : a;
    case OXFM_NOT: return a == 0;
    default: return a;
    }
}

/* The shape of both. */
static int oxfm_shape(const mgi_ox_array *a, const mgi_ox_array *b, int *rank,
                      mango_idx *dim)
{
    *rank = MGI_MAX(a->rank, b->rank);
    for (int r = 0; r < *rank; r++) {
        const int i = r - (*rank - a->rank), j = r - (*rank - b->rank);
        const mango_idx x = i < 0 ? 1 : a->dim[i], y = j < 0 ? 1 : b->dim[j];
        if (x != y && x != 1 && y != 1)
            return 0;
        dim[r] = x == 1 ? y : x;
    }
    return 1;
}

static mango_status oxfm_elements(mango_onnx *m, const mgi_ox_node *n, int code,
                                  const mgi_ox_array *a, const mgi_ox_array *b)
{
    mango_idx dim[MGI_RANK_MAX];
    mgi_ox_array x, y, z;
    unsigned char *p = NULL;
    int rank;
    if (!oxfm_shape(a, b, &rank, dim) || !mgi_ox_broadcast(a, rank, dim, &x) ||
        !mgi_ox_broadcast(b, rank, dim, &y))
        return mgi_ox_refuse(m, n, "shapes that do not go together");
    const int real = mgi_ox_is_real(a->type) || mgi_ox_is_real(b->type);
    const int truth = (code >= OXFM_EQUAL && code <= OXFM_OR) || code == OXFM_NOT;
    const int type = truth ? MGI_OX_BOOL : real ? MGI_OX_F32 : MGI_OX_I64;
    MGI_TRY(mgi_ox_new(m, type, rank, dim, &z, &p));
    for (mango_idx i = 0; i < z.count; i++) {
        const mango_idx u = mgi_ox_offset(&x, i), v = mgi_ox_offset(&y, i);
        const double r =
            real ? oxfm_real(code, mgi_ox_real_at(&x, u), mgi_ox_real_at(&y, v)) : 0;
        mgi_ox_put(p, type, i, r,
                   real ? r != 0
                        : oxfm_whole(code, mgi_ox_int_at(&x, u), mgi_ox_int_at(&y, v)));
    }
    return mgi_ox_set_array(m, n, 0, &z);
}

static mango_status oxfm_where(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *in[3];
    mgi_ox_array x[3], z;
    mango_idx dim[MGI_RANK_MAX] = {0}, wide[MGI_RANK_MAX];
    unsigned char *p = NULL;
    int rank;
    for (int k = 0; k < 3; k++) {
        in[k] = mgi_ox_const(m, n, k);
        if (!in[k])
            return mgi_ox_refuse(m, n, "three inputs expected");
    }
    if (!oxfm_shape(in[0], in[1], &rank, dim))
        return mgi_ox_refuse(m, n, "shapes that do not go together");
    z = *in[0];
    z.rank = rank;
    memcpy(z.dim, dim, sizeof dim);
    if (!oxfm_shape(&z, in[2], &rank, wide) || in[1]->type != in[2]->type)
        return mgi_ox_refuse(m, n, "shapes or types that do not go together");
    for (int k = 0; k < 3; k++)
        if (!mgi_ox_broadcast(in[k], rank, wide, &x[k]))
            return mgi_ox_refuse(m, n, "shapes that do not go together");
    const int size = mgi_ox_size(x[1].type);
    MGI_TRY(mgi_ox_new(m, x[1].type, rank, wide, &z, &p));
    for (mango_idx i = 0; i < z.count; i++) {
        const mgi_ox_array *from =
            mgi_ox_int_at(&x[0], mgi_ox_offset(&x[0], i)) ? &x[1] : &x[2];
        memcpy(p + i * size, from->p + mgi_ox_offset(from, i) * size, (size_t)size);
    }
    return mgi_ox_set_array(m, n, 0, &z);
}

static mango_status oxfm_range(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_array *in[3];
    mgi_ox_array z;
    unsigned char *p = NULL;
    for (int k = 0; k < 3; k++) {
        in[k] = mgi_ox_const(m, n, k);
        if (!in[k] || in[k]->count != 1)
            return mgi_ox_refuse(m, n, "three numbers expected");
    }
    const double from = mgi_ox_real_at(in[0], 0), to = mgi_ox_real_at(in[1], 0);
    const double step = mgi_ox_real_at(in[2], 0), d = ceil((to - from) / step);
    if (!(step != 0) || !(d <= (double)MGI_DIM_MAX))
        return mgi_ox_refuse(m, n, "a range without end");
    const mango_idx count = d > 0 ? (mango_idx)d : 0;
    const int type = mgi_ox_is_real(in[0]->type) ? MGI_OX_F32 : MGI_OX_I64;
    MGI_TRY(mgi_ox_new(m, type, 1, &count, &z, &p));
    for (mango_idx i = 0; i < count; i++)
        mgi_ox_put(p, type, i, from + (double)i * step, (int64_t)(from + (double)i * step));
    return mgi_ox_set_array(m, n, 0, &z);
}

/* ReduceProd, ReduceSum, ReduceMax, ReduceMin over all elements: how sizes are computed. */
static mango_status oxfm_reduce(mango_onnx *m, const mgi_ox_node *n)
{
    static const struct {
        const char *name;
        int code;
    } kinds[] = {{"ReduceProd", OXFM_MUL},
                 {"ReduceSum", OXFM_ADD},
                 {"ReduceMax", OXFM_MAX},
                 {"ReduceMin", OXFM_MIN}};
    const mgi_ox_array a = *mgi_ox_const(m, n, 0);
    mango_idx dim[MGI_RANK_MAX];
    mgi_ox_array z;
    unsigned char *p = NULL;
    unsigned mask;
    int code = OXFM_ADD, given;
    MGI_TRY(mgi_ox_axes(m, n, 1, a.rank, &given, &mask));
    if ((given && mask != (1u << a.rank) - 1) || a.count < 1)
        return mgi_ox_refuse(m, n, "of a constant, over some of its axes");
    for (int k = 0; k < MGI_COUNT(kinds); k++)
        code = strcmp(kinds[k].name, n->op) ? code : kinds[k].code;
    double r = mgi_ox_real_at(&a, 0);
    int64_t w = mgi_ox_int_at(&a, 0);
    for (mango_idx i = 1; i < a.count; i++) {
        r = oxfm_real(code, r, mgi_ox_real_at(&a, mgi_ox_offset(&a, i)));
        w = oxfm_whole(code, w, mgi_ox_int_at(&a, mgi_ox_offset(&a, i)));
    }
    for (int k = 0; k < a.rank; k++)
        dim[k] = 1;
    const int type = mgi_ox_is_real(a.type) ? MGI_OX_F32 : MGI_OX_I64;
    const int rank = mgi_ox_int(n, "keepdims", 1) ? a.rank : 0;
    MGI_TRY(mgi_ox_new(m, type, rank, dim, &z, &p));
    mgi_ox_put(p, type, 0, r, w);
    return mgi_ox_set_array(m, n, 0, &z);
}

MGI_FN mango_status mgi_ox_fold_math(mango_onnx *m, const mgi_ox_node *n, int *done)
{
    *done = 1;
    if (!strcmp(n->op, "Where"))
        return oxfm_where(m, n);
    if (!strcmp(n->op, "Range"))
        return oxfm_range(m, n);
    if (!strcmp(n->op, "ReduceProd") || !strcmp(n->op, "ReduceSum") ||
        !strcmp(n->op, "ReduceMax") || !strcmp(n->op, "ReduceMin"))
        return oxfm_reduce(m, n);
    for (int i = 0; i < MGI_COUNT(oxfm_ops); i++)
        if (!strcmp(n->op, oxfm_ops[i].name) && n->n_in == oxfm_ops[i].inputs) {
            const mgi_ox_array *a = mgi_ox_const(m, n, 0);
            const mgi_ox_array *b = n->n_in > 1 ? mgi_ox_const(m, n, 1) : a;
            if (!a || !b)
                break;
            const mgi_ox_array x = *a, y = *b;
            return oxfm_elements(m, n, oxfm_ops[i].code, &x, &y);
        }
    *done = 0;
    return MANGO_OK;
}

/* onnx_patterns.c - functions that exporters write as several nodes: GELU by Erf, SiLU,
 * softplus with a threshold, and a norm by means. The last node becomes the function; the
 * others are then not needed.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

/* The node that makes value v, if its operator is op. */
static mgi_ox_node *oxk_made(const mango_onnx *m, int v, const char *op)
{
    const int at = v < 0 ? -1 : m->value[v].producer;
    return at >= 0 && !strcmp(m->node[at].op, op) && !m->node[at].domain.n ? &m->node[at]
                                                                           : NULL;
}

/* The only node that reads the output of n; NULL: several do, or it is an output. */
static mgi_ox_node *oxk_only_user(const mango_onnx *m, const mgi_ox_node *n)
{
    const int v = n->n_out > 0 ? m->link[n->out] : -1;
    if (v < 0 || m->value[v].uses != 1 || m->value[v].user < 0)
        return NULL;
    return &m->node[m->value[v].user];
}

static int oxk_in(const mango_onnx *m, const mgi_ox_node *n, int k)
{
    return mgi_ox_value_of(m, n, k);
}

static int oxk_number(const mango_onnx *m, int v, double *x)
{
    return v >= 0 && m->value[v].kind == MGI_OX_ARRAY &&
           mgi_ox_uniform(&m->array[m->value[v].at], x);
}

static int oxk_near(double a, double b)
{
    const double d = a - b;
    return d < 1e-4 && d > -1e-4;
}

/* n is `op` of a constant near c and something else, which is told; -1: not. */
static int oxk_with(const mango_onnx *m, const mgi_ox_node *n, const char *op, double c)
{
    double x;
    if (!n || strcmp(n->op, op) || n->n_in != 2)
        return -1;
    if (oxk_number(m, oxk_in(m, n, 1), &x) && oxk_near(x, c))
        return oxk_in(m, n, 0);
    if (strcmp(op, "Div") && oxk_number(m, oxk_in(m, n, 0), &x) && oxk_near(x, c))
        return oxk_in(m, n, 1);
    return -1;
}

/* n becomes an operator of one input. */
static void oxk_become(mango_onnx *m, mgi_ox_node *n, const char *op, int x)
{
    mgi_copy(n->op, (mango_idx)sizeof n->op, op);
    m->link[n->in] = x;
    n->n_in = 1;
    n->body.n = 0; /* it has no attributes */
}

/* The factor that v contributes beside x: x itself, x times or by a number, a number. */
static int oxk_factor(const mango_onnx *m, int v, int x, int *has_x, double *c)
{
    double k;
    if (oxk_number(m, v, &k)) {
        *c *= k;
        return 1;
    }
    if (*has_x)
        return 0;
    *has_x = 1;
    if (v == x)
        return 1;
    const mgi_ox_node *mul = oxk_made(m, v, "Mul"), *div = oxk_made(m, v, "Div");
    for (int i = 0; mul && mul->n_in == 2 && i < 2; i++)
        if (oxk_in(m, mul, i) == x && oxk_number(m, oxk_in(m, mul, 1 - i), &k)) {
            *c *= k;
            return 1;
        }
    if (div && div->n_in == 2 && oxk_in(m, div, 0) == x &&
        oxk_number(m, oxk_in(m, div, 1), &k)) {
        *c /= k;
        return 1;
    }
    return 0;
}

/* x (1 + erf(x / sqrt 2)) / 2, its products in any order. */
static void oxk_gelu(mango_onnx *m, mgi_ox_node *erf)
{
    const mgi_ox_node *before = NULL;
    const int in = oxk_in(m, erf, 0);
    int x = -1, has_x = 0;
    double c = 1;
    if ((before = oxk_made(m, in, "Div")) != NULL)
        x = oxk_with(m, before, "Div", 1.41421356);
    else if ((before = oxk_made(m, in, "Mul")) != NULL)
        x = oxk_with(m, before, "Mul", 0.70710678);
    mgi_ox_node *at = oxk_only_user(m, erf);
    if (x < 0 || !at || oxk_with(m, at, "Add", 1) != m->link[erf->out])
        return;
    for (int step = 0; step < 3; step++) {
        const int from = m->link[at->out];
        at = oxk_only_user(m, at);
        if (!at || strcmp(at->op, "Mul") || at->n_in != 2)
            return;
        const int other = oxk_in(m, at, oxk_in(m, at, 0) == from);
        if (other == from || !oxk_factor(m, other, x, &has_x, &c))
            return;
        if (has_x && oxk_near(c, 0.5)) {
            oxk_become(m, at, "Gelu", x);
            return;
        }
    }
}

/* x sigmoid(x) */
static void oxk_silu(mango_onnx *m, mgi_ox_node *mul)
{
    for (int i = 0; mul->n_in == 2 && i < 2; i++) {
        const mgi_ox_node *s = oxk_made(m, oxk_in(m, mul, i), "Sigmoid");
        if (s && oxk_in(m, s, 0) == oxk_in(m, mul, 1 - i)) {
            oxk_become(m, mul, "Silu", oxk_in(m, s, 0));
            return;
        }
    }
}

/* x where x > 20 (or another number from which on it makes no difference), else softplus. */
static void oxk_softplus(mango_onnx *m, mgi_ox_node *where)
{
    double from;
    const int x = oxk_in(m, where, 1);
    const mgi_ox_node *greater = oxk_made(m, oxk_in(m, where, 0), "Greater");
    const mgi_ox_node *soft = oxk_made(m, oxk_in(m, where, 2), "Softplus");
    if (x >= 0 && greater && soft && oxk_in(m, soft, 0) == x &&
        oxk_in(m, greater, 0) == x && oxk_number(m, oxk_in(m, greater, 1), &from) &&
        from >= 20)
        oxk_become(m, where, "Softplus", x);
}

static int oxk_axes(mango_onnx *m, const mgi_ox_node *n, int64_t *v)
{
    int count;
    mango_err *const err = m->err;
    m->err = NULL;
    const mango_status st = mgi_ox_list(m, n, 1, "axes", MGI_RANK_MAX, v, &count);
    m->err = err;
    return st < 0 || !mgi_ox_int(n, "keepdims", 1) ? 0 : count;
}

/* The mean of the squares of d, if v is it. */
static const mgi_ox_node *oxk_variance(const mango_onnx *m, int v, int d)
{
    double two = 0;
    const mgi_ox_node *mean = oxk_made(m, v, "ReduceMean");
    const int in = mean ? oxk_in(m, mean, 0) : -1;
    const mgi_ox_node *pow = oxk_made(m, in, "Pow"), *mul = oxk_made(m, in, "Mul");
    if (pow && oxk_in(m, pow, 0) == d && oxk_number(m, oxk_in(m, pow, 1), &two) && two == 2)
        return mean;
    return mul && oxk_in(m, mul, 0) == d && oxk_in(m, mul, 1) == d ? mean : NULL;
}

/* d / sqrt(mean(d^2) + eps), d = x - mean(x) */
static void oxk_norm(mango_onnx *m, mgi_ox_node *div)
{
    int64_t a[MGI_RANK_MAX], b[MGI_RANK_MAX];
    double eps;
    const int d = oxk_in(m, div, 0);
    const mgi_ox_node *sub = oxk_made(m, d, "Sub"), *root, *add, *mean, *var = NULL;
    root = oxk_made(m, oxk_in(m, div, 1), "Sqrt");
    add = root ? oxk_made(m, oxk_in(m, root, 0), "Add") : NULL;
    mean = sub ? oxk_made(m, oxk_in(m, sub, 1), "ReduceMean") : NULL;
    if (!add || !mean || oxk_in(m, mean, 0) != oxk_in(m, sub, 0))
        return;
    for (int i = 0; i < 2 && !var; i++)
        if (oxk_number(m, oxk_in(m, add, i), &eps)) {
            var = oxk_variance(m, oxk_in(m, add, 1 - i), d);
            m->link[div->in + 1] = var ? oxk_in(m, add, i) : m->link[div->in + 1];
        }
    if (!var)
        return;
    const int count = oxk_axes(m, mean, a);
    if (count < 1 || oxk_axes(m, var, b) != count ||
        memcmp(a, b, (size_t)count * sizeof *a)) {
        m->link[div->in + 1] = m->link[root->out];
        return;
    }
    mgi_copy(div->op, (mango_idx)sizeof div->op, "NormOver");
    m->link[div->in] = oxk_in(m, sub, 0);
    div->like = (int)(mean - m->node);
}

MGI_FN void mgi_ox_patterns(mango_onnx *m)
{
    for (mango_idx i = 0; i < m->n_node; i++) {
        mgi_ox_node *n = &m->node[i];
        if (n->domain.n || n->n_out < 1 || m->link[n->out] < 0)
            continue;
        if (!strcmp(n->op, "Erf"))
            oxk_gelu(m, n);
        if (!strcmp(n->op, "Mul"))
            oxk_silu(m, n);
        if (!strcmp(n->op, "Where"))
            oxk_softplus(m, n);
        if (!strcmp(n->op, "Div") && n->n_in == 2)
            oxk_norm(m, n);
    }
}

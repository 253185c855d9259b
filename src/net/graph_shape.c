/* graph_shape.c - from a node's inputs and attributes to its output's shape.
 * SPDX-License-Identifier: MIT */
#include "graph.h"

static mango_status shape_bad(const mgi_node *q, const mgi_node *x, const char *why,
                              mango_err *err)
{
    return mgi_fail(err, MANGO_E_SHAPE, "node %s: input '%s' of shape %tdx%tdx%td: %s", q->name,
                    x->name, x->C, x->H, x->W, why);
}

static mango_status shape_conv(mgi_node *q, const mgi_node *x, mango_err *err)
{
    mgi_conv *c = &q->conv;
    c->C = x->C;
    c->H = x->H;
    c->W = x->W;
    if (!mgi_conv_shape(c))
        return shape_bad(q, x, "the convolution's output would be empty", err);
    q->C = c->O;
    q->H = c->OH;
    q->W = c->OW;
    return MANGO_OK;
}

/* A linear layer is the 1x1 convolution of a 1x1 map of all C*H*W values. */
static mango_status shape_linear(mgi_node *q, const mgi_node *x)
{
    mgi_conv *c = &q->conv;
    c->C = x->C * x->H * x->W;
    c->H = c->W = c->OH = c->OW = 1;
    c->kh = c->kw = c->sh = c->sw = 1;
    c->ph = c->pw = 0;
    q->C = c->O;
    q->H = q->W = 1;
    return MANGO_OK;
}

static mango_status shape_pool(mgi_node *q, const mgi_node *x, mango_err *err)
{
    mgi_pool *p = &q->pool;
    p->C = x->C;
    p->H = x->H;
    p->W = x->W;
    if (q->kind == MGI_MAXPOOL || q->kind == MGI_AVGPOOL) {
        if (2 * p->ph > p->kh || 2 * p->pw > p->kw)
            return shape_bad(q, x, "padding over half the pool's kernel", err);
        if (!mgi_pool_shape(p))
            return shape_bad(q, x, "the pool's output would be empty", err);
    } else if (q->kind != MGI_ADAPTIVEAVG)
        p->OH = p->OW = 1;
    q->C = p->C;
    q->H = p->OH;
    q->W = p->OW;
    return MANGO_OK;
}

static mango_status shape_add(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]], *b = &n->node[q->in[1]];
    if (a->C != b->C || a->H != b->H || a->W != b->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: cannot add '%s' of shape %tdx%tdx%td and '%s' of %tdx%tdx%td",
                        q->name, a->name, a->C, a->H, a->W, b->name, b->C, b->H, b->W);
    q->C = a->C;
    q->H = a->H;
    q->W = a->W;
    return MANGO_OK;
}

static mango_status shape_concat(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]];
    q->C = 0;
    q->H = a->H;
    q->W = a->W;
    for (int i = 0; i < q->n_in && q->C <= MGI_MAX_MAP; i++) {
        const mgi_node *b = &n->node[q->in[i]];
        if (a->H != b->H || a->W != b->W)
            return mgi_fail(err, MANGO_E_SHAPE,
                            "node %s: cannot join '%s' of shape %tdx%tdx%td and '%s' of "
                            "%tdx%tdx%td",
                            q->name, a->name, a->C, a->H, a->W, b->name, b->C, b->H, b->W);
        q->C += b->C;
    }
    return MANGO_OK;
}

static mango_status shape_reshape(mgi_node *q, const mgi_node *x, mango_err *err)
{
    mango_idx have = 0, want = 0;
    const mango_idx a[3] = {x->C, x->H, x->W}, b[3] = {q->C, q->H, q->W};
    if (!mgi_prod(3, a, &have) || !mgi_prod(3, b, &want) || have != want)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: input '%s' of shape %tdx%tdx%td does not fold into %tdx%tdx%td",
                        q->name, x->name, x->C, x->H, x->W, q->C, q->H, q->W);
    return MANGO_OK;
}

static mango_status shape_of(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = q->n_in ? &n->node[q->in[0]] : NULL;
    switch (q->kind) {
    case MGI_INPUT:
        return MANGO_OK;
    case MGI_CONV:
    case MGI_CONVT:
        return shape_conv(q, x, err);
    case MGI_LINEAR:
        return shape_linear(q, x);
    case MGI_MAXPOOL:
    case MGI_AVGPOOL:
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG:
    case MGI_GLOBALSUM:
        return shape_pool(q, x, err);
    case MGI_ADD:
        return shape_add(n, q, err);
    case MGI_CONCAT:
        return shape_concat(n, q, err);
    case MGI_RESHAPE:
        return shape_reshape(q, x, err);
    default:
        q->C = x->C;
        q->H = q->kind == MGI_UPSAMPLE ? 2 * x->H : x->H;
        q->W = q->kind == MGI_UPSAMPLE ? 2 * x->W : x->W;
        return MANGO_OK;
    }
}

MGI_FN mango_status mgi_node_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    mango_idx count;
    const int two = q->kind == MGI_ADD || q->kind == MGI_CONCAT;
    const int least = q->kind == MGI_INPUT ? 0 : 1 + two;
    const int most = q->kind == MGI_CONCAT ? MGI_MAX_INPUTS : least;
    if (q->n_in < least || q->n_in > most)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %d inputs, %s takes %s%d", q->name, q->n_in,
                        mgi_kind_name(q->kind), most > least ? "at least " : "", least);
    MGI_TRY(shape_of(n, q, err));
    const mango_idx s[3] = {q->C, q->H, q->W};
    if (!mgi_prod(3, s, &count) || count > MGI_MAX_MAP)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "node %s: its map of %tdx%tdx%td values is over the limit of 2^26", q->name,
                        q->C, q->H, q->W);
    return MANGO_OK;
}

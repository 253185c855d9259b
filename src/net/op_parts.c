/* op_parts.c - what the records of operators share: errors, shapes, parameters, rows of
 * attributes. It knows none of the operators.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include <stdio.h>

MGI_FN int mgi_net_bad(mango_net *n, mango_status st, const mango_err *e)
{
    if (n->failed == MANGO_OK) {
        n->failed = st;
        n->err = *e;
    }
    return -1;
}

MGI_FN mango_status mgi_shape_bad(const mgi_node *q, const mgi_node *x, const char *why,
                                  mango_err *err)
{
    return mgi_fail(err, MANGO_E_SHAPE, "node %s: input '%s' of shape %tdx%tdx%td: %s", q->name,
                    x->name, x->C, x->H, x->W, why);
}

MGI_FN void mgi_shape_copy(mgi_node *q, const mgi_node *x)
{
    q->C = x->C;
    q->H = x->H;
    q->W = x->W;
}

MGI_FN int mgi_param_find(const mango_net *n, const char *name)
{
    for (int i = 0; i < n->n_params; i++)
        if (!strcmp(n->param[i].name, name))
            return i;
    return -1;
}

MGI_FN int mgi_net_param_add(mango_net *n, const mgi_node *q, const char *suffix, int buffer,
                             int rank, mango_idx a, mango_idx b, mango_idx c, mango_idx d)
{
    mango_err e;
    mango_status st = MANGO_OK;
    if (n->failed < 0)
        return -1;
    assert(n->n_params < n->cap_params);
    mgi_param *p = &n->param[n->n_params];
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s.%s", q->prefix, suffix);
    p->rank = rank;
    p->is_buffer = buffer;
    p->shape[0] = a;
    p->shape[1] = b;
    p->shape[2] = c;
    p->shape[3] = d;
    if (!mgi_prod(rank, p->shape, &p->count) || p->count > MGI_MAX_WEIGHTS)
        mgi_fail(&e, st = MANGO_E_LIMIT,
                 "node %s: parameter %s is over the limit of 2^28 values", q->name, p->name);
    else if (mgi_param_find(n, p->name) >= 0)
        mgi_fail(&e, st = MANGO_E_FORMAT,
                 "node %s: parameter %s belongs to another node already", q->name, p->name);
    if (st < 0)
        return mgi_net_bad(n, st, &e);
    return n->n_params++;
}

MGI_FN int mgi_attr_find(const mgi_attr *r, const char *key)
{
    for (int i = 0; r && r[i].key; i++)
        if (!strcmp(r[i].key, key))
            return i;
    return -1;
}

MGI_FN int mgi_attr_given(const mgi_attr *table, uint64_t seen, const char *key)
{
    return (int)(seen >> mgi_attr_find(table, key) & 1);
}

MGI_FN int mgi_attr_renamed(const mgi_node *q)
{
    return strcmp(q->prefix, q->name) != 0;
}

/* graph.c - building networks node by node; their lists of parameters.
 * SPDX-License-Identifier: MIT */
#include "graph.h"
#include <stdio.h>

MGI_FN int mgi_net_find(const mango_net *n, const char *layer)
{
    for (int i = 0; i < n->n_nodes; i++)
        if (!strcmp(n->node[i].name, layer))
            return i;
    return -1;
}

MGI_FN int mgi_net_class_softmax(const mango_net *n)
{
    for (int i = 0; i < n->n_nodes; i++) {
        const mgi_node *s = &n->node[i], *k = s->kind == MGI_SOFTMAX ? &n->node[s->in[0]] : s;
        if (k->kind == MGI_LINEAR && k != s && k->in[0] == n->input)
            return i;
    }
    return -1;
}

/* ---- nodes ----------------------------------------------------------------- */

MGI_FN mango_status mgi_net_new(mango_net **out, const char *arch, const mango_alloc *al)
{
    const mango_alloc a = mgi_alloc_get(al);
    mango_net *n = mgi_new(&a, 1, sizeof *n);
    *out = n;
    if (!n)
        return MANGO_E_MEM;
    n->al = a;
    mgi_copy(n->arch, (mango_idx)sizeof n->arch, arch);
    n->output = n->input = -1;
    n->T = 1;
    for (int c = 0; c < 3; c++)
        n->std[c] = 1;
    n->out_scale = 1;
    return MANGO_OK;
}

MGI_FN void mgi_del_text(const mango_alloc *al, char *z)
{
    if (z)
        mgi_del(al, z, (mango_idx)strlen(z) + 1, 1);
}

void mango_net_destroy(mango_net *n)
{
    if (!n)
        return;
    const mango_alloc al = n->al;
    for (mango_idx i = 0; i < n->n_meta; i++) {
        mgi_del_text(&al, n->meta[i].key);
        mgi_del_text(&al, n->meta[i].value);
    }
    for (mango_idx i = 0; i < n->n_extra; i++)
        mgi_del(&al, (void *)(uintptr_t)n->extra[i].raw,
                n->extra[i].count * mgi_dtype_size(n->extra[i].dtype), 1);
    if (n->meta)
        mgi_del(&al, n->meta, n->cap_meta, sizeof n->meta[0]);
    if (n->extra)
        mgi_del(&al, n->extra, n->cap_extra, sizeof n->extra[0]);
    for (int i = 0; i < n->n_params; i++)
        mgi_param_release(n, i);
    if (n->file)
        mgi_del(&al, n->file, n->file_size, 1);
    if (n->param)
        mgi_del(&al, n->param, n->cap_params, sizeof n->param[0]);
    if (n->node)
        mgi_del(&al, n->node, n->cap_nodes, sizeof n->node[0]);
    mgi_del(&al, n, 1, sizeof *n);
}

/* The names' alphabet leaves the text form's separators out. */
static mango_status graph_check_name(const mango_net *n, const char *name, mango_err *err)
{
    const size_t len = strlen(name);
    if (len < 1 || len >= MGI_NAME)
        return mgi_fail(err, MANGO_E_LIMIT, "node '%.60s...': names have 1..%d bytes", name,
                        MGI_NAME - 1);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] <= 32 || (unsigned char)name[i] >= 127 ||
            strchr(",=#:*?[]", name[i]))
            return mgi_fail(err, MANGO_E_FORMAT, "node '%s': byte %d of a name may not be '%c'",
                            name, (int)i, name[i]);
    if (!strcmp(name, "-"))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "node '-': '-' stands for no input, not for a name");
    if (mgi_net_find(n, name) >= 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: the name is used twice", name);
    if (n->n_nodes >= MGI_MAX_NODES)
        return mgi_fail(err, MANGO_E_LIMIT, "node %s: over the limit of %d nodes", name,
                        MGI_MAX_NODES);
    return MANGO_OK;
}

static mango_status graph_grow(mango_net *n, mango_err *err)
{
    if (n->n_nodes < n->cap_nodes)
        return MANGO_OK;
    const int cap = n->cap_nodes ? 2 * n->cap_nodes : 32;
    mgi_node *p = n->node ? mgi_resize(&n->al, n->node, n->cap_nodes, cap, sizeof *p)
                          : mgi_new(&n->al, cap, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %d nodes", cap);
    n->node = p;
    n->cap_nodes = cap;
    return MANGO_OK;
}

/* Output shape from inputs and attributes. */
static mango_status graph_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_op *op = mgi_op_of(q->kind);
    mango_idx count;
    if (q->n_in < op->least || q->n_in > op->most)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %d inputs, %s takes %s%d", q->name,
                        q->n_in, op->name, op->most > op->least ? "at least " : "", op->least);
    if (op->shape)
        MGI_TRY(op->shape(n, q, err));
    else
        mgi_shape_copy(q, &n->node[q->in[0]]);
    const mango_idx s[3] = {q->C, q->H, q->W};
    if (!mgi_prod(3, s, &count) || count > MGI_MAX_MAP)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "node %s: its map of %tdx%tdx%td values is over the limit of 2^26",
                        q->name, q->C, q->H, q->W);
    return MANGO_OK;
}

static mango_status graph_add(mango_net *n, const char *name, mgi_kind kind, int n_in,
                              const int *in, const char *attrs, mango_err *err)
{
    MGI_TRY(graph_check_name(n, name, err));
    if (n_in < 0 || n_in > MGI_MAX_INPUTS)
        return mgi_fail(err, MANGO_E_LIMIT, "node %s: %d inputs, at most %d", name, n_in,
                        MGI_MAX_INPUTS);
    MGI_TRY(graph_grow(n, err));
    mgi_node *q = &n->node[n->n_nodes];
    memset(q, 0, sizeof *q);
    mgi_copy(q->name, MGI_NAME, name);
    q->kind = kind;
    q->n_in = n_in;
    q->weight = q->bias_p = q->mean_p = q->var_p = q->sn_u = q->sn_sigma = -1;
    for (int c = 0; c < MGI_CELLS; c++)
        q->cell[c] = -1;
    for (int i = 0; i < n_in; i++) {
        assert(in[i] < n->n_nodes);
        q->in[i] = in[i];
        q->spiking_input |= n->node[in[i]].kind == MGI_LIF || n->node[in[i]].spiking_input;
    }
    MGI_TRY(mgi_node_attrs(q, attrs, err));
    MGI_TRY(graph_shape(n, q, err));
    if (kind == MGI_INPUT)
        n->input = n->n_nodes;
    n->output = n->n_nodes++;
    return MANGO_OK;
}

MGI_FN int mgi_net_node(mango_net *n, const char *name, mgi_kind kind, int n_in, const int *in,
                        const char *attrs)
{
    mango_err e;
    if (n->failed < 0)
        return -1;
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0)
            return -1;
    e.text[0] = 0;
    const mango_status st = graph_add(n, name, kind, n_in, in, attrs, &e);
    return st < 0 ? mgi_net_bad(n, st, &e) : n->output;
}

MGI_FN int mgi_net_input(mango_net *n, const char *name, mango_idx C, mango_idx H, mango_idx W)
{
    char attrs[96];
    snprintf(attrs, sizeof attrs, "shape=%tdx%tdx%td", C, H, W);
    return mgi_net_node(n, name, MGI_INPUT, 0, NULL, attrs);
}

MGI_FN int mgi_net_add1(mango_net *n, const char *name, mgi_kind kind, int in,
                        const char *attrs_fmt, ...)
{
    char attrs[512];
    va_list ap;
    va_start(ap, attrs_fmt);
    const int len = vsnprintf(attrs, sizeof attrs, attrs_fmt, ap);
    va_end(ap);
    if (len < 0 || len >= (int)sizeof attrs) {
        mango_err e;
        return mgi_net_bad(n, mgi_fail(&e, MANGO_E_LIMIT, "node %s: attributes too long", name),
                           &e);
    }
    return mgi_net_node(n, name, kind, 1, &in, attrs);
}

MGI_FN int mgi_net_plain(mango_net *n, const char *name, mgi_kind kind, int in)
{
    return mgi_net_node(n, name, kind, 1, &in, "");
}

/* ---- parameters ------------------------------------------------------------ */

static mango_status graph_list_params(mango_net *n, mango_err *err)
{
    mango_idx total = 0;
    int over = 0;
    if (!n->param) {
        n->cap_params = 6 * n->n_nodes;
        n->param = mgi_new(&n->al, n->cap_params, sizeof *n->param);
    }
    if (!n->param)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the list of parameters");
    for (int i = 0; i < n->n_nodes; i++)
        if (mgi_op_of(n->node[i].kind)->params)
            mgi_op_of(n->node[i].kind)->params(n, &n->node[i]);
    for (int i = 0; i < n->n_params; i++)
        over |= !mgi_add(total, n->param[i].count, &total);
    over |= total > MGI_MAX_WEIGHTS || n->n_params > MGI_WEIGHTS_TENSORS_MAX;
    if (n->failed == MANGO_OK && over)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%d parameters of %td values, over the limits of %d and 2^28",
                        n->n_params, total, MGI_WEIGHTS_TENSORS_MAX);
    return MANGO_OK;
}

MGI_FN mango_status mgi_net_relist(mango_net *n, mango_err *err)
{
    const int count = n->n_params;
    mgi_param *old = n->param;
    mgi_param *list = mgi_new(&n->al, n->cap_params, sizeof *list);
    if (!list)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the list of parameters");
    n->param = list;
    n->n_params = 0;
    for (int i = 0; i < n->n_nodes; i++)
        if (mgi_op_of(n->node[i].kind)->params)
            mgi_op_of(n->node[i].kind)->params(n, &n->node[i]);
    assert(n->n_params == count);
    for (int i = 0; i < count; i++) {
        mgi_param *p = &n->param[mgi_param_find(n, old[i].name)];
        p->v = old[i].v;
        p->own = old[i].own;
        p->half = old[i].half;
    }
    mgi_del(&n->al, old, n->cap_params, sizeof *old);
    return MANGO_OK;
}

MGI_FN mango_status mgi_net_finish(mango_net *n, mango_err *err)
{
    int spikes = 0;
    if (n->failed == MANGO_OK && n->input < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "the graph has no input node");
    if (n->failed == MANGO_OK && n->n_params == 0)
        MGI_TRY(graph_list_params(n, err));
    if (n->failed < 0)
        return mgi_fail(err, n->failed, "%s", n->err.text);
    for (int i = 0; i < n->n_nodes; i++)
        spikes |= n->node[i].kind == MGI_LIF;
    if (n->T < 1 || n->T > MGI_MAX_T)
        return mgi_fail(err, MANGO_E_LIMIT, "T=%td, expected 1..%d", n->T, MGI_MAX_T);
    if (!spikes && n->T != 1)
        return mgi_fail(err, MANGO_E_FORMAT, "T=%td, expected 1 where nothing spikes", n->T);
    return MANGO_OK;
}

MGI_FN double mgi_node_macs(const mango_net *n, int node, int padded)
{
    const mgi_op *op = mgi_op_of(n->node[node].kind);
    return op->macs ? op->macs(n, &n->node[node], padded) : 0;
}

MGI_FN mango_status mgi_net_alloc_params(mango_net *n)
{
    if (n->given)
        return MANGO_E_STATE;
    if (n->n_params == 0 || n->param[0].v)
        return MANGO_OK;
    for (int i = 0; i < n->n_params; i++) {
        mgi_param *p = &n->param[i];
        p->v = p->own = p->half ? NULL : mgi_new(&n->al, p->count, sizeof *p->v); /* zeroed */
        if (p->own || p->half)
            continue;
        while (i-- > 0)
            mgi_param_release(n, i);
        return MANGO_E_MEM;
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_check_variance(const mango_net *n, int node, mango_err *err)
{
    const mgi_param *p = n->node[node].var_p < 0 ? NULL : &n->param[n->node[node].var_p];
    for (mango_idx k = 0; p && p->v && k < p->count; k++)
        if (!(p->v[k] >= 0))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "parameter %s is %g at %td, expected 0 or more", p->name,
                            (double)p->v[k], k);
    return MANGO_OK;
}

MGI_FN void mgi_param_release(const mango_net *n, int i)
{
    mgi_param *p = &n->param[i];
    mgi_del(&n->al, p->own, p->count, sizeof *p->own);
    p->v = p->own = NULL;
    p->half = NULL;
}

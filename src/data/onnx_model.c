/* onnx_model.c - an ONNX file as its nodes, values and initializers. Only ModelProto,
 * GraphProto and NodeProto are walked here; attributes when an operator asks for them.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"

static mango_status oxm_cut(mango_onnx *m, const char *where)
{
    return mgi_ox_bad(m, MANGO_E_FORMAT, "malformed or cut short in %s", where);
}

MGI_FN int mgi_ox_same(mgi_ox_text a, const char *z)
{
    return (size_t)a.n == strlen(z) && !memcmp(a.p, z, (size_t)a.n);
}

static mgi_ox_text oxm_text(const mgi_pb_field *f)
{
    const mgi_ox_text t = {f->in.p, f->in.n};
    return t;
}

/* As a C string, cut and without bytes that no text has. */
static void oxm_copy(mgi_ox_text t, char *out, mango_idx cap)
{
    const mango_idx n = MGI_MIN(t.n, cap - 1);
    for (mango_idx i = 0; i < n; i++)
        out[i] = t.p[i] < 32 || t.p[i] == 127 ? '?' : (char)t.p[i];
    out[n] = 0;
}

/* ---- values, found by name ---- */

static uint32_t oxm_hash(mgi_ox_text t)
{
    uint32_t h = 2166136261u;
    for (mango_idx i = 0; i < t.n; i++)
        h = (h ^ t.p[i]) * 16777619u;
    return h;
}

static mango_idx oxm_slot(const mango_onnx *m, mgi_ox_text t)
{
    mango_idx at = (mango_idx)(oxm_hash(t) % (uint32_t)m->n_slot);
    while (m->slot[at]) {
        const mgi_ox_text s = m->value[m->slot[at] - 1].name;
        if (s.n == t.n && !memcmp(s.p, t.p, (size_t)t.n))
            break;
        at = at + 1 < m->n_slot ? at + 1 : 0;
    }
    return at;
}

MGI_FN int mgi_ox_find(const mango_onnx *m, mgi_ox_text name)
{
    return m->n_slot ? m->slot[oxm_slot(m, name)] - 1 : -1;
}

static mango_status oxm_name_check(mango_onnx *m, mgi_ox_text t, const char *of)
{
    if (!mgi_name_ok(t.p, t.n, MGI_OX_NAME))
        return mgi_ox_bad(
            m, MANGO_E_FORMAT,
            "the name of %s is no text of 1 to 256 bytes without control bytes", of);
    return MANGO_OK;
}

/* A name that is new. */
static mango_status oxm_value(mango_onnx *m, mgi_ox_text t, int producer, int *at)
{
    MGI_TRY(oxm_name_check(m, t, "a tensor"));
    const mango_idx slot = oxm_slot(m, t);
    if (m->slot[slot])
        return mgi_ox_bad(m, MANGO_E_FORMAT, "tensor '%.*s' is made twice", (int)t.n,
                          (const char *)t.p);
    MGI_TRY(mgi_ox_grow(m, &m->value, &m->cap_value, m->n_value + 1, MGI_OX_VALUES,
                        sizeof *m->value, "more than 65536 tensors"));
    *at = (int)m->n_value++;
    m->value[*at].name = t;
    m->value[*at].producer = producer;
    m->slot[slot] = *at + 1;
    return MANGO_OK;
}

/* ---- nodes ---- */

static mango_status oxm_link(mango_onnx *m, int value)
{
    MGI_TRY(mgi_ox_grow(m, &m->link, &m->cap_link, m->n_link + 1, 4 * MGI_OX_VALUES,
                        sizeof *m->link, "too many inputs of nodes"));
    m->link[m->n_link++] = value;
    return MANGO_OK;
}

static mango_status oxm_node_input(mango_onnx *m, mgi_ox_node *n, mgi_ox_text t)
{
    int at = -1;
    if (t.n) {
        at = mgi_ox_find(m, t);
        if (at < 0)
            return mgi_ox_refuse(m, n, "reads '%.*s', which nothing before it makes",
                                 (int)MGI_MIN(t.n, 80), (const char *)t.p);
        m->value[at].uses++;
        m->value[at].user = (int)(n - m->node);
    }
    n->n_in++;
    return oxm_link(m, at);
}

static mango_status oxm_node_output(mango_onnx *m, mgi_ox_node *n, mgi_ox_text t)
{
    int at = -1;
    if (t.n)
        MGI_TRY(oxm_value(m, t, (int)(n - m->node), &at));
    n->n_out++;
    return oxm_link(m, at);
}

/* StringStringEntryProto: the modules around a node, as PyTorch lists them. */
static void oxm_scope(mgi_pb entry, mgi_ox_node *n)
{
    mgi_pb_field f;
    mgi_ox_text key = {NULL, 0}, v = {NULL, 0};
    while (mgi_pb_next(&entry, &f) > 0) {
        if (f.number == 1 && f.wire == MGI_PB_BYTES)
            key = oxm_text(&f);
        if (f.number == 2 && f.wire == MGI_PB_BYTES)
            v = oxm_text(&f);
    }
    if (mgi_ox_same(key, "pkg.torch.onnx.name_scopes"))
        n->scope = v;
}

/* Names first, so that messages have them. */
static mango_status oxm_node_names(mango_onnx *m, mgi_ox_node *n)
{
    mgi_pb b = n->body;
    mgi_pb_field f;
    int more;
    while ((more = mgi_pb_next(&b, &f)) > 0) {
        if ((f.number == 3 || f.number == 4 || f.number == 7) && f.wire != MGI_PB_BYTES)
            return oxm_cut(m, "a node");
        if (f.number == 3)
            n->name = oxm_text(&f);
        if (f.number == 7)
            n->domain = oxm_text(&f);
        if (f.number == 9 && f.wire == MGI_PB_BYTES)
            oxm_scope(f.in, n);
        if (f.number == 4)
            oxm_copy(oxm_text(&f), n->op, (mango_idx)sizeof n->op);
    }
    if (more < 0)
        return oxm_cut(m, "a node");
    if (n->name.n)
        MGI_TRY(oxm_name_check(m, n->name, "a node"));
    return MANGO_OK;
}

/* Inputs (1) or outputs (2). */
static mango_status oxm_node_links(mango_onnx *m, mgi_ox_node *n, int number)
{
    mgi_pb b = n->body;
    mgi_pb_field f;
    while (mgi_pb_next(&b, &f) > 0) {
        if (f.number != number)
            continue;
        if (f.wire != MGI_PB_BYTES)
            return oxm_cut(m, "a node");
        MGI_TRY(number == 1 ? oxm_node_input(m, n, oxm_text(&f))
                            : oxm_node_output(m, n, oxm_text(&f)));
    }
    return MANGO_OK;
}

static mango_status oxm_node(mango_onnx *m, mgi_pb body)
{
    MGI_TRY(mgi_ox_grow(m, &m->node, &m->cap_node, m->n_node + 1, MGI_OX_NODES,
                        sizeof *m->node, "more than 16384 nodes"));
    mgi_ox_node *n = &m->node[m->n_node++];
    n->body = body;
    MGI_TRY(oxm_node_names(m, n));
    n->in = (int)m->n_link;
    MGI_TRY(oxm_node_links(m, n, 1));
    n->out = (int)m->n_link;
    MGI_TRY(oxm_node_links(m, n, 2));
    return mgi_ox_attr_check(m, n);
}

/* ---- initializers, inputs, outputs ---- */

static mango_status oxm_initializer(mango_onnx *m, mgi_pb body)
{
    mgi_ox_array a;
    mgi_ox_text name = {NULL, 0};
    int at;
    if (m->n_initializer++ >= MGI_OX_TENSORS)
        return mgi_ox_bad(m, MANGO_E_LIMIT, "more than 4096 initializers");
    MGI_TRY(mgi_ox_tensor(m, body, &a, &name));
    MGI_TRY(oxm_value(m, name, -1, &at));
    MGI_TRY(mgi_ox_grow(m, &m->array, &m->cap_array, m->n_array + 1, MGI_OX_VALUES,
                        sizeof *m->array, "too many constants"));
    m->array[m->n_array] = a;
    m->value[at].kind = MGI_OX_ARRAY;
    m->value[at].at = (int)m->n_array++;
    return MANGO_OK;
}

/* TensorShapeProto: a size that is not a positive number is open. */
static mango_status oxm_shape(mango_onnx *m, mgi_pb body)
{
    mgi_pb_field f, g;
    int more;
    m->in_rank = 0;
    while ((more = mgi_pb_next(&body, &f)) > 0) {
        if (f.number != 1 || f.wire != MGI_PB_BYTES)
            continue;
        if (m->in_rank == MGI_RANK_MAX)
            return mgi_ox_bad(m, MANGO_E_LIMIT, "an input of more than 8 dimensions");
        mango_idx *d = &m->in_dim[m->in_rank++];
        *d = -1;
        while ((more = mgi_pb_next(&f.in, &g)) > 0)
            if (g.number == 1 && g.wire == MGI_PB_VARINT && g.v > 0) {
                if (g.v > (uint64_t)MGI_DIM_MAX && g.v >> 63 == 0)
                    return mgi_ox_bad(m, MANGO_E_LIMIT,
                                      "a dimension of the input over 2^24");
                *d = g.v >> 63 ? -1 : (mango_idx)g.v;
            }
        if (more < 0)
            break;
    }
    return more < 0 ? oxm_cut(m, "the shape of an input") : MANGO_OK;
}

/* TypeProto { tensor_type { elem_type, shape } } */
static mango_status oxm_type(mango_onnx *m, mgi_pb body)
{
    mgi_pb_field f, g;
    int more;
    m->in_rank = -1;
    while ((more = mgi_pb_next(&body, &f)) > 0) {
        if (f.number != 1 || f.wire != MGI_PB_BYTES)
            return mgi_ox_bad(m, MANGO_E_UNSUPPORTED, "an input that is no tensor");
        while ((more = mgi_pb_next(&f.in, &g)) > 0) {
            if (g.number == 1 && g.wire == MGI_PB_VARINT)
                m->in_type = g.v > 64 ? 0 : (int)g.v;
            if (g.number == 2 && g.wire == MGI_PB_BYTES)
                MGI_TRY(oxm_shape(m, g.in));
        }
        if (more < 0)
            break;
    }
    return more < 0 ? oxm_cut(m, "the type of an input") : MANGO_OK;
}

static mango_status oxm_info(mango_onnx *m, mgi_pb body, mgi_ox_text *name, mgi_pb *type)
{
    mgi_pb_field f;
    int more;
    name->n = 0;
    memset(type, 0, sizeof *type);
    while ((more = mgi_pb_next(&body, &f)) > 0) {
        if (f.number > 2 || f.wire != MGI_PB_BYTES)
            continue;
        if (f.number == 1)
            *name = oxm_text(&f);
        else
            *type = f.in;
    }
    if (more < 0)
        return oxm_cut(m, "an input or output");
    return oxm_name_check(m, *name, "an input or output");
}

/* One input that is no initializer: there is no place for a second. */
static mango_status oxm_input(mango_onnx *m, mgi_pb body)
{
    mgi_ox_text name;
    mgi_pb type;
    MGI_TRY(oxm_info(m, body, &name, &type));
    if (mgi_ox_find(m, name) >= 0 && mgi_ox_find(m, name) != m->in_value)
        return MANGO_OK; /* before version 4 of the format initializers are listed, too */
    if (m->in_value >= 0)
        return mgi_ox_bad(m, MANGO_E_UNSUPPORTED,
                          "two inputs, '%s' and '%.*s'; one expected", m->input,
                          (int)MGI_MIN(name.n, 100), (const char *)name.p);
    MGI_TRY(oxm_value(m, name, -1, &m->in_value));
    oxm_copy(name, m->input, (mango_idx)sizeof m->input);
    return oxm_type(m, type);
}

/* The first output is the network's. */
static mango_status oxm_output(mango_onnx *m, mgi_pb body)
{
    mgi_ox_text name;
    mgi_pb type;
    MGI_TRY(oxm_info(m, body, &name, &type));
    const int at = mgi_ox_find(m, name);
    if (at < 0)
        return mgi_ox_bad(m, MANGO_E_FORMAT, "output '%.*s' is made by no node",
                          (int)MGI_MIN(name.n, 100), (const char *)name.p);
    m->value[at].uses++;
    m->value[at].user = -1;
    if (m->out_value < 0) {
        m->out_value = at;
        oxm_copy(name, m->output, (mango_idx)sizeof m->output);
    }
    return MANGO_OK;
}

/* ---- the graph and the model ---- */

/* All fields of one number, in order. */
static mango_status oxm_each(mango_onnx *m, mgi_pb graph, int number,
                             mango_status (*visit)(mango_onnx *m, mgi_pb body))
{
    mgi_pb_field f;
    while (mgi_pb_next(&graph, &f) > 0) {
        if (f.number != number)
            continue;
        if (f.wire != MGI_PB_BYTES)
            return oxm_cut(m, "the graph");
        MGI_TRY(visit(m, f.in));
    }
    return MANGO_OK;
}

/* Is it well-formed at its top, and how many values may there be? */
static mango_status oxm_graph_scan(mango_onnx *m, mgi_pb graph)
{
    mgi_pb_field f;
    int more;
    while ((more = mgi_pb_next(&graph, &f)) > 0) {
        if (f.number == 2 && f.wire == MGI_PB_BYTES)
            oxm_copy(oxm_text(&f), m->graph, (mango_idx)sizeof m->graph);
        if (f.number == 15)
            return mgi_ox_bad(m, MANGO_E_UNSUPPORTED, "sparse initializers");
    }
    if (more < 0)
        return oxm_cut(m, "the graph");
    m->n_slot = 2 * MGI_OX_VALUES + 1;
    m->slot = mgi_new(&m->al, m->n_slot, sizeof *m->slot);
    return m->slot ? MANGO_OK : mgi_ox_bad(m, MANGO_E_MEM, "out of memory");
}

static mango_status oxm_graph(mango_onnx *m, mgi_pb graph)
{
    MGI_TRY(oxm_graph_scan(m, graph));
    MGI_TRY(oxm_each(m, graph, 5, oxm_initializer));
    MGI_TRY(oxm_each(m, graph, 11, oxm_input));
    if (m->in_value < 0)
        return mgi_ox_bad(m, MANGO_E_UNSUPPORTED, "a graph without an input");
    MGI_TRY(oxm_each(m, graph, 1, oxm_node));
    MGI_TRY(oxm_each(m, graph, 12, oxm_output));
    return m->out_value < 0 ? mgi_ox_bad(m, MANGO_E_FORMAT, "a graph without an output")
                            : MANGO_OK;
}

/* OperatorSetIdProto: ONNX's own version. */
static mango_status oxm_opset(mango_onnx *m, mgi_pb body)
{
    mgi_pb_field f;
    mgi_ox_text domain = {NULL, 0};
    int64_t version = 0;
    int more;
    while ((more = mgi_pb_next(&body, &f)) > 0) {
        if (f.number == 1 && f.wire == MGI_PB_BYTES)
            domain = oxm_text(&f);
        if (f.number == 2 && f.wire == MGI_PB_VARINT)
            version = f.v > 1000000 ? 1000000 : (int64_t)f.v;
    }
    if (more < 0)
        return oxm_cut(m, "opset_import");
    if (domain.n == 0 || mgi_ox_same(domain, "ai.onnx"))
        m->opset = version;
    return MANGO_OK;
}

static mango_status oxm_model_field(mango_onnx *m, const mgi_pb_field *f, mgi_pb *graph)
{
    if (f->number == 1 && f->wire == MGI_PB_VARINT)
        m->ir = f->v > 1000000 ? 1000000 : (int64_t)f->v;
    if (f->wire != MGI_PB_BYTES)
        return MANGO_OK;
    if (f->number == 2)
        oxm_copy(oxm_text(f), m->producer, (mango_idx)sizeof m->producer);
    if (f->number == 7) {
        if (graph->p)
            return mgi_ox_bad(m, MANGO_E_FORMAT, "two graphs");
        *graph = f->in;
    }
    return f->number == 8 ? oxm_opset(m, f->in) : MANGO_OK;
}

MGI_FN mango_status mgi_ox_read(mango_onnx *m)
{
    mgi_pb model = {m->image, m->size, 0}, graph = {NULL, 0, 0};
    mgi_pb_field f;
    int more;
    m->in_value = m->out_value = -1;
    while ((more = mgi_pb_next(&model, &f)) > 0)
        MGI_TRY(oxm_model_field(m, &f, &graph));
    if (more < 0)
        return oxm_cut(m, "the model");
    if (!graph.p)
        return mgi_ox_bad(m, MANGO_E_FORMAT, "no graph in it; an ONNX model expected");
    if (m->opset < 7 || m->opset > 26)
        return mgi_ox_bad(m, MANGO_E_UNSUPPORTED,
                          "operators of opset %lld; 7 to 26 are read", (long long)m->opset);
    return oxm_graph(m, graph);
}

/* onnx_emit.c - lines of the graph's text, their parameters, and their names: those of the
 * modules that the model was made from, as far as the file tells them.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"
#include <stdio.h>

/* ---- names ---- */

/* Appends bytes that a layer's name may have; others become '_'. */
static void oxe_add(char *name, const unsigned char *p, mango_idx n)
{
    size_t at = strlen(name);
    for (mango_idx i = 0; i < n && at < MGI_OX_LAYER - 12; i++)
        name[at++] = p[i] <= 32 || p[i] >= 127 || strchr(",=#:", p[i]) ? '_'
                     : p[i] == '/'                                     ? '.'
                                                                       : (char)p[i];
    name[at] = 0;
}

static void oxe_part(char *name, const unsigned char *p, mango_idx n)
{
    if (*name)
        oxe_add(name, (const unsigned char *)".", 1);
    oxe_add(name, p, n);
}

/* The name of the weights without ".weight"; through what only changes their form. */
static int oxe_weight_name(const mango_onnx *m, const mgi_ox_node *n, char *name)
{
    static const char *const ends[] = {".weight", "/kernel", ".kernel", "_weight"};
    static const char *const ops[] = {"Conv",
                                      "ConvTranspose",
                                      "Gemm",
                                      "MatMul",
                                      "BatchNormalization",
                                      "InstanceNormalization",
                                      "LayerNormalization",
                                      "GroupNormalization",
                                      "PRelu"};
    int known = 0;
    for (int i = 0; i < MGI_COUNT(ops); i++)
        known |= !strcmp(n->op, ops[i]);
    int v = known ? mgi_ox_value_of(m, n, 1) : -1;
    for (int depth = 0; depth < 4 && v >= 0 && m->value[v].producer >= 0; depth++)
        v = mgi_ox_value_of(m, &m->node[m->value[v].producer], 0);
    if (v < 0)
        return 0;
    const mgi_ox_text t = m->value[v].name;
    for (int i = 0; i < MGI_COUNT(ends); i++) {
        const mango_idx k = (mango_idx)strlen(ends[i]);
        if (t.n > k && !memcmp(t.p + t.n - k, ends[i], (size_t)k) &&
            !memchr(t.p, ':', (size_t)t.n)) {
            oxe_add(name, t.p, t.n - k);
            return *name != 0;
        }
    }
    return 0;
}

static void oxe_lower(char *name, const char *op)
{
    unsigned char low[32];
    mango_idx n = 0;
    for (; op[n] && n < 31; n++)
        low[n] = (unsigned char)(op[n] >= 'A' && op[n] <= 'Z' ? op[n] + 32 : op[n]);
    oxe_part(name, low, n);
}

/* Does a node lie deeper than in this scope (n bytes of its text)? */
static int oxe_holds_more(const mango_onnx *m, const unsigned char *p, mango_idx n,
                          int scopes)
{
    for (mango_idx i = 0; i < m->n_node; i++) {
        const mgi_ox_text t = scopes ? m->node[i].scope : m->node[i].name;
        mango_idx marks = 0;
        if (t.n <= n || memcmp(t.p, p, (size_t)n))
            continue;
        for (mango_idx k = n; k < t.n; k++)
            marks += t.p[k] == (scopes ? ',' : '/');
        if (marks > 1)
            return 1;
    }
    return 0;
}

/* "['', 'layer1', 'layer1.0', 'layer1.0.relu', 'relu_1']": the last but one. */
static int oxe_scope_name(const mango_onnx *m, const mgi_ox_node *n, char *name)
{
    const unsigned char *p = n->scope.p;
    mango_idx cut = n->scope.n, from;
    while (cut > 0 && p[cut - 1] != ',')
        cut--;
    if (cut < 4)
        return 0;
    for (from = cut - 2; from > 0 && p[from - 1] != '\'';)
        from--;
    if (from > 0 && cut - 2 - from > 0)
        oxe_add(name, p + from, cut - 2 - from);
    if (!*name || oxe_holds_more(m, p, cut - 1, 1))
        oxe_lower(name, n->op);
    return 1;
}

/* "/layer1/layer1.0/relu/Relu_1": a part that begins with the one before it takes its
 * place, the others are joined; the operator goes when it is alone in its module. */
static int oxe_path_name(const mango_onnx *m, const mgi_ox_node *n, char *name)
{
    const unsigned char *p = n->name.p, *last = NULL;
    const mango_idx size = n->name.n;
    mango_idx at = 1, n_last = 0;
    if (size < 2 || p[0] != '/')
        return 0;
    while (at < size) {
        const unsigned char *end = memchr(p + at, '/', (size_t)(size - at));
        if (!end)
            break;
        const mango_idx k = end - (p + at);
        if (last && k > n_last && !memcmp(p + at, last, (size_t)n_last) &&
            p[at + n_last] == '.')
            name[strlen(name) - (size_t)MGI_MIN(n_last, (mango_idx)strlen(name))] = 0;
        if (*name && name[strlen(name) - 1] == '.')
            name[strlen(name) - 1] = 0;
        oxe_part(name, p + at, k);
        last = p + at;
        n_last = k;
        at += k + 1;
    }
    if (!*name || oxe_holds_more(m, p, at, 0))
        oxe_lower(name, n->op);
    return 1;
}

MGI_FN void mgi_ox_base(mango_onnx *m, const mgi_ox_node *n)
{
    char *name = m->base;
    name[0] = 0;
    if (oxe_weight_name(m, n, name) || oxe_scope_name(m, n, name) ||
        oxe_path_name(m, n, name))
        return;
    if (n->name.n)
        oxe_part(name, n->name.p, n->name.n);
    else
        oxe_lower(name, n->op);
}

/* NAME, NAME_1, NAME_2: the first that no layer has. */
static void oxe_unique(const mango_onnx *m, char name[MGI_OX_LAYER])
{
    const size_t n = strlen(name);
    for (int k = 0; k <= m->n_layer; k++) {
        mango_idx i = 0;
        while (i < m->n_layer && strcmp(m->layer[i].name, name))
            i++;
        if (i == m->n_layer)
            return;
        snprintf(name + n, MGI_OX_LAYER - n, "_%d", k + 1);
    }
}

/* ---- lines ---- */

MGI_FN mango_status mgi_ox_emit(mango_onnx *m, const char *suffix, const char *kind,
                                int n_in, const int *in, mango_idx C, mango_idx H,
                                mango_idx W, int *at, const char *fmt, ...)
{
    char attrs[512];
    mango_idx all;
    const mango_idx dim[3] = {C, H, W};
    va_list ap;
    MGI_TRY(mgi_ox_grow(m, &m->layer, &m->cap_layer, m->n_layer + 1, MGI_OX_LAYERS,
                        sizeof *m->layer, "more than 1024 layers"));
    if (!mgi_prod(3, dim, &all) || all < 1 || all > MGI_OX_MAP)
        return mgi_ox_bad(m, MANGO_E_LIMIT,
                          "layer '%s': a map of %tdx%tdx%td; 1 to 2^26 values", m->base, C,
                          H, W);
    mgi_ox_layer *l = &m->layer[m->n_layer];
    snprintf(l->name, sizeof l->name - 8, "%.*s%s", MGI_OX_LAYER - 24, m->base, suffix);
    oxe_unique(m, l->name);
    l->C = C;
    l->H = H;
    l->W = W;
    mgi_str_printf(&m->text, "\n%s %s ", l->name, kind);
    for (int k = 0; k < n_in; k++)
        mgi_str_printf(&m->text, "%s%s", k ? "," : "", m->layer[in[k]].name);
    if (!n_in)
        mgi_str_puts(&m->text, "-");
    va_start(ap, fmt);
    vsnprintf(attrs, sizeof attrs, fmt, ap);
    va_end(ap);
    mgi_str_printf(&m->text, "%s%s", *attrs ? " " : "", attrs);
    *at = (int)m->n_layer++;
    return m->text.bad ? mgi_ox_bad(m, MANGO_E_MEM, "out of memory") : MANGO_OK;
}

MGI_FN mango_status mgi_ox_same_shape(mango_onnx *m, const char *suffix, const char *kind,
                                      mgi_ox_map *v, const char *fmt, ...)
{
    char attrs[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(attrs, sizeof attrs, fmt, ap);
    va_end(ap);
    const mgi_ox_layer l = m->layer[v->layer];
    const int in = v->layer;
    v->whole = 0;
    return mgi_ox_emit(m, suffix, kind, 1, &in, l.C, l.H, l.W, &v->layer, "%s", attrs);
}

MGI_FN void mgi_ox_attr(mango_onnx *m, const char *fmt, ...)
{
    char attrs[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(attrs, sizeof attrs, fmt, ap);
    va_end(ap);
    mgi_str_printf(&m->text, " %s", attrs);
}

MGI_FN void mgi_ox_attr_f(mango_onnx *m, const char *key, double v)
{
    mgi_str_printf(&m->text, " %s=", key);
    mgi_str_f32(&m->text, (float)v);
}

MGI_FN mango_status mgi_ox_param_add(mango_onnx *m, int layer, const char *suffix, int rank,
                                     const mango_idx *shape, const mgi_ox_array *from,
                                     double scale)
{
    const mgi_ox_array copy = *from;
    MGI_TRY(mgi_ox_grow(m, &m->param, &m->cap_param, m->n_param + 1, MGI_OX_TENSORS,
                        sizeof *m->param, "more than 4096 parameters"));
    mgi_ox_param *p = &m->param[m->n_param++];
    p->name = m->names.n;
    mgi_str_printf(&m->names, "%s.%s", m->layer[layer].name, suffix);
    mgi_str_put(&m->names, "", 1);
    p->rank = rank;
    for (int r = 0; r < rank; r++)
        p->shape[r] = shape[r];
    p->from = copy;
    p->scale = scale;
    if (!mgi_prod(rank, shape, &p->count) || p->count != copy.count)
        return mgi_ox_bad(m, MANGO_E_SHAPE,
                          "layer '%s': its %s has %td values, %td expected",
                          m->layer[layer].name, suffix, copy.count, p->count);
    return m->names.bad ? mgi_ox_bad(m, MANGO_E_MEM, "out of memory") : MANGO_OK;
}

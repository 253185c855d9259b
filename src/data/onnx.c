/* onnx.c - ONNX models: what callers see, and the walk over the nodes.
 * SPDX-License-Identifier: MIT */
#include "onnx.h"
#include <stdio.h>

/* ---- messages and memory ---- */

MGI_FN mango_status mgi_ox_bad(mango_onnx *m, mango_status st, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    return mgi_fail(m->err, st, "%s: %s", m->what, line);
}

MGI_FN mango_status mgi_ox_refuse(mango_onnx *m, const mgi_ox_node *n, const char *fmt, ...)
{
    char why[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return mgi_fail(m->err, MANGO_E_UNSUPPORTED, "%s: node '%.*s' (%s): %s", m->what,
                    (int)MGI_MIN(n->name.n, 90), n->name.n ? (const char *)n->name.p : "",
                    n->op, why);
}

MGI_FN mango_status mgi_ox_grow(mango_onnx *m, void *array, mango_idx *cap, mango_idx need,
                                mango_idx max, size_t size, const char *too_many)
{
    void *p;
    if (need <= *cap)
        return MANGO_OK;
    if (need > max)
        return mgi_ox_bad(m, MANGO_E_LIMIT, "%s", too_many);
    const mango_idx more = MGI_MIN(max, MGI_MAX(2 * *cap, 64));
    memcpy(&p, array, sizeof p);
    p = mgi_resize(&m->al, p, *cap, more, size);
    if (!p)
        return mgi_ox_bad(m, MANGO_E_MEM, "out of memory");
    memcpy(array, &p, sizeof p);
    *cap = more;
    return MANGO_OK;
}

MGI_FN mango_status mgi_ox_bytes(mango_onnx *m, mango_idx bytes, unsigned char **p)
{
    MGI_TRY(mgi_ox_grow(m, &m->block, &m->cap_block, m->n_block + 1, 4 * MGI_OX_VALUES,
                        sizeof *m->block, "too many constants"));
    mgi_ox_block *b = &m->block[m->n_block];
    b->p = *p = mgi_new(&m->al, bytes, 1);
    b->bytes = bytes;
    if (!*p)
        return mgi_ox_bad(m, MANGO_E_MEM, "out of memory");
    m->n_block++;
    return MANGO_OK;
}

/* ---- opening ---- */

int mango_onnx_is(const unsigned char *p, mango_idx n)
{
    mgi_pb walk = {p, n, 0};
    mgi_pb_field f;
    int more = 0, seen = 0;
    if (!p || n < 4 || p[0] != 8) /* ir_version comes first */
        return 0;
    while ((more = mgi_pb_next(&walk, &f)) > 0) {
        const int text = f.number == 2 || f.number == 3 || f.number == 4 || f.number == 6 ||
                         f.number == 7 || f.number == 8 || f.number == 14;
        if (text ? f.wire != MGI_PB_BYTES : f.number > 30)
            return 0;
        seen += text;
    }
    return seen > 0;
}

static mango_status onnx_make(mango_onnx **out, const char *what, const mango_alloc *al,
                              mango_err *err)
{
    mango_onnx *m = mgi_new(al, 1, sizeof *m);
    *out = m;
    if (!m)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    m->al = *al;
    m->err = err;
    mgi_copy(m->what, (mango_idx)sizeof m->what, what);
    mgi_str_init(&m->text, al);
    mgi_str_init(&m->names, al);
    return MANGO_OK;
}

MGI_FN mango_status mgi_onnx_take(mango_onnx **out, unsigned char *image, mango_idx size,
                                  const char *what, int has_folder, const mango_alloc *al,
                                  mango_err *err)
{
    mango_onnx *m = NULL;
    *out = NULL;
    mango_status st = onnx_make(&m, what, al, err);
    if (!m) {
        mgi_del(al, image, size + 1, 1);
        return st;
    }
    m->image = image;
    m->size = size;
    m->has_folder = has_folder && strlen(what) < sizeof m->what;
    st = mgi_ox_read(m);
    m->err = NULL;
    if (st < 0)
        mango_onnx_destroy(m);
    else
        *out = m;
    return st;
}

mango_status mango_onnx_open(mango_onnx **m, const char *path, const mango_alloc *alloc,
                             mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *image = NULL;
    mango_idx size = 0;
    MGI_CHECK(err, m && path,
              "mango_onnx_open: a place for the result and a path expected");
    *m = NULL;
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &image, &size, err));
    return mgi_onnx_take(m, image, size, path, 1, &al, err);
}

mango_status mango_onnx_parse(mango_onnx **m, const unsigned char *bytes, mango_idx n,
                              const char *what, const mango_alloc *alloc, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    MGI_CHECK(err, m && what && n >= 0 && (bytes || n == 0),
              "mango_onnx_parse: bytes and their name expected");
    *m = NULL;
    if (n > MGI_FILE_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: over 1 GiB", what);
    unsigned char *image = mgi_new(&al, n + 1, 1);
    if (!image)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    if (n)
        memcpy(image, bytes, (size_t)n);
    return mgi_onnx_take(m, image, n, what, 0, &al, err);
}

void mango_onnx_destroy(mango_onnx *m)
{
    if (!m)
        return;
    const mango_alloc al = m->al;
    for (mango_idx i = 0; i < m->n_block; i++)
        mgi_del(&al, m->block[i].p, m->block[i].bytes, 1);
    mgi_del(&al, m->block, m->cap_block, sizeof *m->block);
    mgi_del(&al, m->node, m->cap_node, sizeof *m->node);
    mgi_del(&al, m->value, m->cap_value, sizeof *m->value);
    mgi_del(&al, m->slot, m->n_slot, sizeof *m->slot);
    mgi_del(&al, m->link, m->cap_link, sizeof *m->link);
    mgi_del(&al, m->array, m->cap_array, sizeof *m->array);
    mgi_del(&al, m->map, m->cap_map, sizeof *m->map);
    mgi_del(&al, m->layer, m->cap_layer, sizeof *m->layer);
    mgi_del(&al, m->param, m->cap_param, sizeof *m->param);
    mgi_del(&al, m->image, m->size + 1, 1);
    mgi_str_free(&m->text);
    mgi_str_free(&m->names);
    mgi_del(&al, m, 1, sizeof *m);
}

/* ---- what it says ---- */

mango_status mango_onnx_get_sized(const mango_onnx *m, mango_onnx_info *info, size_t size)
{
    MGI_REQUIRE(m && info);
    mango_onnx_info own = {m->ir,
                           m->opset,
                           m->producer,
                           m->graph,
                           m->input,
                           m->output,
                           m->in_rank,
                           {0},
                           m->n_node,
                           m->n_initializer,
                           m->translated ? m->text.p : NULL};
    for (int r = 0; r < m->in_rank && r < 8; r++)
        own.shape[r] = m->in_dim[r];
    mgi_info_out(info, size, &own, sizeof own);
    return MANGO_OK;
}

const char *mango_onnx_op(const mango_onnx *m, mango_idx i)
{
    return m && i >= 0 && i < m->n_node ? m->node[i].op : NULL;
}

mango_idx mango_onnx_tensors(const mango_onnx *m)
{
    return m ? m->n_param : -1;
}

mango_status mango_onnx_tensor_sized(const mango_onnx *m, mango_idx i, mango_tensor *t,
                                     size_t size)
{
    MGI_REQUIRE(m && t && i >= 0 && i < m->n_param);
    const mgi_ox_param *p = &m->param[i];
    const int type = p->from.type;
    mango_tensor own = {m->names.p + p->name,
                        type == MGI_OX_F16    ? "float16"
                        : type == MGI_OX_BF16 ? "bfloat16"
                        : type == MGI_OX_F64  ? "float64"
                                              : "float32",
                        p->rank,
                        {0},
                        p->count};
    memcpy(own.shape, p->shape, (size_t)p->rank * sizeof *p->shape);
    mgi_info_out(t, size, &own, sizeof own);
    return MANGO_OK;
}

mango_status mango_onnx_floats(const mango_onnx *m, mango_idx i, float *out, mango_err *err)
{
    mango_idx at[MGI_RANK_MAX] = {0}, from = 0;
    MGI_CHECK(err, m && out && i >= 0 && i < m->n_param, "mango_onnx_floats: no tensor %td",
              i);
    const mgi_ox_param *p = &m->param[i];
    const mgi_ox_array *a = &p->from;
    for (mango_idx e = 0; e < p->count; e++) {
        const float v = (float)(mgi_ox_real_at(a, from) * p->scale);
        if (!mgi_is_finite((double)v))
            return mgi_fail(err, MANGO_E_NONFINITE,
                            "%s: tensor %s: element %td is not a finite "
                            "float",
                            m->what, m->names.p + p->name, e);
        out[e] = v;
        for (int r = a->rank - 1; r >= 0; r--) { /* the next in C order */
            from += a->stride[r];
            if (++at[r] < a->dim[r])
                break;
            from -= a->stride[r] * a->dim[r];
            at[r] = 0;
        }
    }
    return MANGO_OK;
}

/* ---- translating ---- */

static mango_status onnx_node(mango_onnx *m, const mgi_ox_node *n)
{
    const mgi_ox_op *const tables[] = {
        mgi_ox_conv_ops(),  mgi_ox_pool_ops(),  mgi_ox_linear_ops(),
        mgi_ox_norm_ops(),  mgi_ox_unary_ops(), mgi_ox_binary_ops(),
        mgi_ox_shape_ops(), mgi_ox_part_ops(),  mgi_ox_resize_ops()};
    if (n->domain.n && !mgi_ox_same(n->domain, "ai.onnx"))
        return mgi_ox_refuse(m, n, "of domain '%.*s'; only ONNX's own operators are read",
                             (int)MGI_MIN(n->domain.n, 60), (const char *)n->domain.p);
    for (mango_idx k = 0; k < MGI_COUNT(tables); k++)
        for (const mgi_ox_op *o = tables[k]; o->name; o++)
            if (!strcmp(o->name, n->op)) {
                mgi_ox_base(m, n);
                return o->translate(m, n);
            }
    return mgi_ox_refuse(m, n, "there is no such operator here");
}

/* Which nodes the output needs, walking back: they are sorted. */
static void onnx_mark(mango_onnx *m)
{
    const int last = m->value[m->out_value].producer;
    for (mango_idx i = 0; i < m->n_node; i++)
        m->node[i].needed = 0;
    if (last >= 0)
        m->node[last].needed = 1;
    for (mango_idx i = m->n_node - 1; i >= 0; i--)
        for (int k = 0; m->node[i].needed && k < m->node[i].n_in; k++) {
            const int v = mgi_ox_value_of(m, &m->node[i], k);
            if (v >= 0 && m->value[v].producer >= 0)
                m->node[m->value[v].producer].needed = 1;
        }
}

/* Constants that patterns look for; what fails here is said when it is needed. */
static mango_status onnx_fold_all(mango_onnx *m)
{
    mango_err *const err = m->err;
    mango_status st = MANGO_OK;
    m->err = NULL;
    for (mango_idx i = 0; i < m->n_node && st != MANGO_E_MEM; i++) {
        int done = 0;
        if (strcmp(m->node[i].op, "Shape") && strcmp(m->node[i].op, "Size"))
            st = mgi_ox_fold(m, &m->node[i], &done);
        m->node[i].done = st >= 0 && done;
    }
    m->err = err;
    return st == MANGO_E_MEM ? mgi_ox_bad(m, st, "out of memory") : MANGO_OK;
}

/* What the first operator that is not of one value at a time takes its map for: 1, channels
 * last; 0, first; -1: it does not tell. */
static int onnx_first_reader(const mango_onnx *m)
{
    static const int64_t to_first[4] = {0, 3, 1, 2};
    static const char *const single[] = {"Add",  "Sub",      "Mul", "Div",
                                         "Cast", "Identity", "Clip"};
    static const char *const blind[] = {"Flatten", "Reshape", "MatMul", "Shape",
                                        "Transpose"};
    int v = m->in_value;
    for (mango_idx i = 0; i < m->n_node; i++) {
        const mgi_ox_node *n = &m->node[i];
        int64_t order[4] = {0};
        int reads = 0, moves = 0, tells = 1;
        for (int k = 0; k < n->n_in; k++)
            reads |= mgi_ox_value_of(m, n, k) == v;
        if (!reads)
            continue;
        if (!strcmp(n->op, "Transpose") && mgi_ox_ints(n, "perm", 4, order) == 4 &&
            !memcmp(order, to_first, sizeof order))
            return 1;
        for (mango_idx k = 0; k < MGI_COUNT(single); k++)
            moves |= !strcmp(n->op, single[k]);
        for (mango_idx k = 0; k < MGI_COUNT(blind); k++)
            tells &= strcmp(n->op, blind[k]) != 0;
        if (moves && n->n_out > 0)
            v = m->link[n->out];
        else
            return tells ? 0 : -1;
    }
    return -1;
}

/* Is the input a map with channels last? */
static int onnx_channels_last(const mango_onnx *m)
{
    const int said = onnx_first_reader(m);
    if (said >= 0)
        return said;
    return (m->in_dim[3] == 1 || m->in_dim[3] == 3) && m->in_dim[1] != 1 &&
           m->in_dim[1] != 3;
}

/* The input's axes, and (C,H,W). */
static mango_status onnx_input_shape(mango_onnx *m, const mango_idx *in, mango_idx size[3],
                                     const char **axes)
{
    static const char *const by_rank[] = {"nc", "ncw", "nchw"}, *const whole[] = {
                                                                    "nw", "nhw", "nchw"};
    const int rank = m->in_rank, indices = !mgi_ox_is_real(m->in_type);
    if (rank < 2 || rank > 4)
        return mgi_ox_bad(
            m, MANGO_E_UNSUPPORTED,
            "input '%s' has %d axes; 2 (N,C), 3 (N,C,L) or 4 (N,C,H,W) expected", m->input,
            rank);
    *axes = indices ? whole[rank - 2] : by_rank[rank - 2];
    if (rank == 4 && onnx_channels_last(m))
        *axes = "nhwc";
    size[0] = size[1] = size[2] = 1;
    for (int r = 1; r < rank; r++) {
        const int k = (*axes)[r] == 'c' ? 0 : (*axes)[r] == 'h' ? 1 : 2;
        size[k] = in ? in[k] : m->in_dim[r];
        if (in && m->in_dim[r] > 0 && m->in_dim[r] != in[k])
            return mgi_ox_bad(m, MANGO_E_SHAPE, "axis %d of input '%s' is %td, not %td", r,
                              m->input, m->in_dim[r], in[k]);
        if (size[k] < 1)
            return mgi_ox_bad(m, MANGO_E_SHAPE,
                              "the size of axis %d of input '%s' is open; say the input's "
                              "shape CxHxW (--set in=3x224x224)",
                              r, m->input);
        if (size[k] > 1 << 20)
            return mgi_ox_bad(m, MANGO_E_LIMIT, "axis %d of input '%s' is over 2^20", r,
                              m->input);
    }
    return MANGO_OK;
}

static mango_status onnx_input(mango_onnx *m, const mango_idx *in)
{
    mango_idx size[3];
    const char *axes = "";
    int at;
    mgi_ox_map v;
    MGI_TRY(onnx_input_shape(m, in, size, &axes));
    mgi_copy(m->base, MGI_OX_LAYER, "input");
    MGI_TRY(mgi_ox_emit(m, "", "input", 0, NULL, size[0], size[1], size[2], &at,
                        "shape=%tdx%tdx%td", size[0], size[1], size[2]));
    mgi_ox_see(m, at, axes, m->in_dim[0] > 0 ? m->in_dim[0] : MGI_OX_BATCH, &v);
    v.whole = !mgi_ox_is_real(m->in_type);
    MGI_TRY(mgi_ox_grow(m, &m->map, &m->cap_map, m->n_map + 1, MGI_OX_VALUES,
                        sizeof *m->map, "too many maps"));
    m->map[m->n_map] = v;
    m->value[m->in_value].kind = MGI_OX_IS_MAP;
    m->value[m->in_value].at = (int)m->n_map++;
    return MANGO_OK;
}

/* The output in ONNX's order, but pictures with channels last stay (C,H,W); it is the last
 * line. */
static mango_status onnx_output(mango_onnx *m)
{
    static const char *const shapes[] = {"nhwc", "nwc"};
    mgi_ox_node none = {.op = "output"};
    mgi_ox_map v, last;
    if (m->value[m->out_value].kind != MGI_OX_IS_MAP)
        return mgi_ox_bad(m, MANGO_E_UNSUPPORTED,
                          "output '%s' does not depend on the input", m->output);
    v = m->map[m->value[m->out_value].at];
    mgi_copy(m->base, MGI_OX_LAYER, "output");
    mgi_ox_see(m, v.layer, shapes[v.rank != 4], v.size[0], &last);
    const int keep = v.rank == 4 && v.atoms == last.atoms &&
                     !memcmp(v.seq, last.seq, (size_t)v.atoms * sizeof *v.seq) &&
                     !memcmp(v.size, last.size, (size_t)v.atoms * sizeof *v.size);
    if (!keep) {
        const int order[MGI_RANK_MAX] = {1, 2, 3, 4, 5, 6, 7};
        const int n = v.rank - 1;
        MGI_TRY(mgi_ox_bring(m, &none, &v, n, order, 1, n < 3 ? 0 : n - 2));
    }
    if (v.layer == m->n_layer - 1)
        return MANGO_OK;
    const mgi_ox_layer l = m->layer[v.layer];
    const int in = v.layer;
    return mgi_ox_emit(m, "", "reshape", 1, &in, l.C, l.H, l.W, &v.layer,
                       "shape=%tdx%tdx%td", l.C, l.H, l.W);
}

static mango_status onnx_all(mango_onnx *m, const mango_idx *in)
{
    mgi_str_puts(&m->text, "mango-graph 1\nnet arch=onnx");
    MGI_TRY(onnx_fold_all(m));
    mgi_ox_patterns(m);
    onnx_mark(m);
    MGI_TRY(onnx_input(m, in));
    for (mango_idx i = 0; i < m->n_node; i++) {
        int done = m->node[i].done;
        if (done || !m->node[i].needed)
            continue;
        MGI_TRY(mgi_ox_fold(m, &m->node[i], &done));
        if (!done)
            MGI_TRY(onnx_node(m, &m->node[i]));
        m->node[i].done = 1;
    }
    MGI_TRY(onnx_output(m));
    mgi_str_puts(&m->text, "\n");
    return m->text.bad ? mgi_ox_bad(m, MANGO_E_MEM, "out of memory") : MANGO_OK;
}

mango_status mango_onnx_translate(mango_onnx *m, const mango_idx in[3], mango_err *err)
{
    MGI_CHECK(err, m, "mango_onnx_translate: a model expected");
    MGI_CHECK(err, m->n_layer == 0, "mango_onnx_translate: called a second time");
    m->err = err;
    const mango_status st = onnx_all(m, in);
    m->err = NULL;
    m->translated = st >= 0;
    if (st < 0)
        m->n_param = 0;
    return st;
}

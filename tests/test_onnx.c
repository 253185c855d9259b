/* test_onnx.c - ONNX models: small ones of golden/onnx_small.py against ONNX Runtime's
 * answers, and files that are damaged, lie, or ask for what there is not.
 * SPDX-License-Identifier: MIT */
#include "tool.h"

static const char *const t_onnx_names[] = {"classic", "channels_last", "decoder", "shuffle",
                                           "tokens",  "modern",        "line",    "codes"};

static const char *t_onnx_path(const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "onnx_%s.onnx", name);
    return t_golden(file);
}

/* All values of a tensor of the archive; *n of them. */
static float *t_onnx_values(const mango_archive *a, const char *name, const char *end,
                            mango_idx *n, mango_idx *batch)
{
    char full[64];
    mango_tensor t;
    mango_err e = {""};
    snprintf(full, sizeof full, "%s.%s", name, end);
    const mango_idx i = mango_archive_find(a, full);
    if (i < 0 || mango_archive_tensor(a, i, &t) < 0)
        return NULL;
    float *v = malloc((size_t)t.count * sizeof *v);
    *n = t.count;
    *batch = t.shape[0];
    if (v && !T_OK(mango_archive_floats(a, i, v, &e), &e)) {
        free(v);
        v = NULL;
    }
    return v;
}

/* A model as a network, through an archive. */
static mango_net *t_onnx_net(const char *path)
{
    mango_archive *a = NULL;
    mango_archive_info info = {0};
    mango_match *match = NULL;
    mango_net *net = NULL;
    mango_err e = {""};
    int ok = T_OK(mango_archive_open(&a, path, NULL, NULL, &e), &e) &&
             T_OK(mango_archive_get(a, &info), &e) && T_STR(info.format, "onnx") &&
             T_CHECK(info.graph != NULL);
    ok = ok && T_OK(mango_net_parse(&net, info.graph, (mango_idx)strlen(info.graph), NULL, &e),
                    &e);
    ok = ok && T_OK(mango_archive_import(a, net, "", &match, &e), &e);
    mango_match_destroy(match);
    mango_archive_destroy(a);
    if (!ok) {
        mango_net_destroy(net);
        net = NULL;
    }
    return net;
}

static void t_onnx_one(const mango_archive *gold, const char *name)
{
    mango_idx nx = 0, ny = 0, B = 0;
    float *x = t_onnx_values(gold, name, "x", &nx, &B);
    float *want = t_onnx_values(gold, name, "y", &ny, &B);
    float *y = malloc((size_t)ny * sizeof *y + 1);
    mango_net *net = t_onnx_net(t_onnx_path(name));
    mango_plan *plan = NULL;
    mango_err e = {""};
    if (T_CHECK(x && want && y && net)) {
        mango_net_info info;
        mango_layer in, out;
        mango_plan_options o;
        mango_net_get(net, &info);
        mango_net_layer(net, info.input, &in);
        mango_net_layer(net, info.output, &out);
        mango_plan_defaults(&o);
        o.batch = B;
        o.raw = 1;
        mango_reading r = {info.output, MANGO_READ_MEAN, y};
        T_EQ(B * in.C * in.H * in.W, nx);
        if (T_EQ(B * out.C * out.H * out.W, ny) && B * in.C * in.H * in.W == nx &&
            T_OK(mango_plan_create(&plan, net, &o, 1, &r, NULL, &e), &e) &&
            T_OK(mango_plan_run(plan, B, x), NULL) && !T_CLOSE(y, want, ny, 1e-5))
            printf("  of onnx_%s.onnx\n", name);
    }
    mango_plan_destroy(plan);
    mango_net_destroy(net);
    free(x);
    free(want);
    free(y);
}

static void t_onnx_golden(void)
{
    mango_archive *gold = NULL;
    mango_err e = {""};
    T_OK_OR_RETURN(mango_archive_open(&gold, t_golden("onnx.safetensors"), NULL, NULL, &e), &e);
    for (mango_idx i = 0; i < MGI_COUNT(t_onnx_names); i++)
        t_onnx_one(gold, t_onnx_names[i]);
    mango_archive_destroy(gold);
}

/* ---- names and shapes ---- */

/* Layers have the names of the weights; channels last cost no transposition. */
static void t_onnx_text(void)
{
    mango_onnx *m = NULL;
    mango_onnx_info f;
    mango_err e = {""};
    T_OK_OR_RETURN(mango_onnx_open(&m, t_onnx_path("classic"), NULL, &e), &e);
    mango_onnx_get(m, &f);
    T_EQ(f.opset, 9);
    T_STR(f.producer, "golden");
    T_STR(f.input, "x");
    T_EQ(f.rank, 4);
    T_EQ(f.shape[0], -1);
    T_EQ(f.shape[3], 10);
    T_CHECK(f.text == NULL);
    T_STR(mango_onnx_op(m, 1), "BatchNormalization");
    T_CHECK(mango_onnx_op(m, f.nodes) == NULL);
    T_EQ(mango_onnx_tensors(m), 0);
    if (T_OK(mango_onnx_translate(m, NULL, &e), &e)) {
        mango_onnx_get(m, &f);
        T_CHECK(strstr(f.text, "\nc1 conv input out=6 kernel=3 stride=1 pad=1 bias=1\n") != NULL);
        T_CHECK(strstr(f.text, "\nbn batchnorm c1 eps=0.001\n") != NULL);
        T_STATUS(mango_onnx_translate(m, NULL, &e), MANGO_E_ARG);
    }
    mango_onnx_destroy(m);
    T_OK_OR_RETURN(mango_onnx_open(&m, t_onnx_path("channels_last"), NULL, &e), &e);
    if (T_OK(mango_onnx_translate(m, NULL, &e), &e)) {
        mango_onnx_get(m, &f);
        T_CHECK(strstr(f.text, "input input - shape=3x9x11\n") != NULL);
        T_CHECK(strstr(f.text, "\nConv_2 conv input out=4 kernel=3 stride=2 pad=1") != NULL);
    }
    mango_onnx_destroy(m);
}

/* The input's size is said where the file leaves it open, and may not contradict it. */
static void t_onnx_sizes(void)
{
    const mango_idx right[3] = {4, 9, 9}, wrong[3] = {4, 9, 8};
    mango_onnx *m = NULL;
    mango_err e = {""};
    T_OK_OR_RETURN(mango_onnx_open(&m, t_onnx_path("modern"), NULL, &e), &e);
    T_STATUS(mango_onnx_translate(m, wrong, &e), MANGO_E_SHAPE);
    T_CHECK(strstr(e.text, "axis 3 of input 'x' is 9, not 8") != NULL);
    mango_onnx_destroy(m);
    T_OK_OR_RETURN(mango_onnx_open(&m, t_onnx_path("modern"), NULL, &e), &e);
    T_OK(mango_onnx_translate(m, right, &e), &e);
    mango_onnx_destroy(m);
}

/* ---- models made here, field by field ---- */

typedef struct t_onnx_buf {
    unsigned char b[8192];
    mango_idx n;
} t_onnx_buf;

static void t_onnx_varint(t_onnx_buf *s, uint64_t v)
{
    for (; v > 127; v >>= 7)
        s->b[s->n++] = (unsigned char)(v | 128);
    s->b[s->n++] = (unsigned char)v;
}

static void t_onnx_bytes(t_onnx_buf *s, int number, const void *p, mango_idx n)
{
    t_onnx_varint(s, (uint64_t)number << 3 | 2);
    t_onnx_varint(s, (uint64_t)n);
    if (n)
        memcpy(s->b + s->n, p, (size_t)n);
    s->n += n;
}

static void t_onnx_say(t_onnx_buf *s, int number, const char *z)
{
    t_onnx_bytes(s, number, z, (mango_idx)strlen(z));
}

static void t_onnx_number(t_onnx_buf *s, int number, uint64_t v)
{
    t_onnx_varint(s, (uint64_t)number << 3);
    t_onnx_varint(s, v);
}

static void t_onnx_in(t_onnx_buf *s, int number, const t_onnx_buf *inner)
{
    t_onnx_bytes(s, number, inner->b, inner->n);
}

/* NodeProto. */
static void t_onnx_node(t_onnx_buf *graph, const char *op, const char *name, const char *a,
                        const char *b, const char *out)
{
    t_onnx_buf s = {{0}, 0};
    t_onnx_say(&s, 1, a);
    if (b)
        t_onnx_say(&s, 1, b);
    t_onnx_say(&s, 2, out);
    t_onnx_say(&s, 3, name);
    t_onnx_say(&s, 4, op);
    t_onnx_in(graph, 1, &s);
}

/* ValueInfoProto of float (2,3,H,W); H, W 0: open. */
static void t_onnx_info(t_onnx_buf *graph, int number, const char *name, uint64_t H, uint64_t W)
{
    const uint64_t size[4] = {2, 3, H, W};
    t_onnx_buf s = {{0}, 0}, type = {{0}, 0}, tensor = {{0}, 0}, shape = {{0}, 0};
    for (int r = 0; r < 4; r++) {
        t_onnx_buf dim = {{0}, 0};
        if (size[r])
            t_onnx_number(&dim, 1, size[r]);
        t_onnx_in(&shape, 1, &dim);
    }
    t_onnx_number(&tensor, 1, 1);
    t_onnx_in(&tensor, 2, &shape);
    t_onnx_in(&type, 1, &tensor);
    t_onnx_say(&s, 1, name);
    t_onnx_in(&s, 2, &type);
    t_onnx_in(graph, number, &s);
}

/* TensorProto of one float with the sizes given, raw or beside the file. */
static void t_onnx_tensor(t_onnx_buf *graph, const char *name, int rank, const uint64_t *dim,
                          const char *file)
{
    static const unsigned char one[4] = {0, 0, 128, 63};
    t_onnx_buf s = {{0}, 0}, entry = {{0}, 0};
    for (int r = 0; r < rank; r++)
        t_onnx_number(&s, 1, dim[r]);
    t_onnx_number(&s, 2, 1);
    t_onnx_say(&s, 8, name);
    if (file) {
        t_onnx_say(&entry, 1, "location");
        t_onnx_say(&entry, 2, file);
        t_onnx_in(&s, 13, &entry);
        t_onnx_number(&s, 14, 1);
    } else {
        t_onnx_bytes(&s, 9, one, 4);
    }
    t_onnx_in(graph, 5, &s);
}

static t_onnx_buf t_onnx_model(const t_onnx_buf *graph, uint64_t opset)
{
    t_onnx_buf m = {{0}, 0}, set = {{0}, 0};
    t_onnx_number(&m, 1, 8);
    t_onnx_number(&set, 2, opset);
    t_onnx_in(&m, 8, &set);
    t_onnx_in(&m, 7, graph);
    return m;
}

/* Opened and translated: its status, and a word that the message has. */
static void t_onnx_answers(const t_onnx_buf *graph, uint64_t opset, mango_status want,
                           const char *says)
{
    const t_onnx_buf b = t_onnx_model(graph, opset);
    mango_onnx *m = NULL;
    mango_err e = {""};
    mango_status st = mango_onnx_parse(&m, b.b, b.n, "here.onnx", NULL, &e);
    if (st >= 0)
        st = mango_onnx_translate(m, NULL, &e);
    T_STATUS(st, want);
    if (says && !T_CHECK(strstr(e.text, says) != NULL))
        printf("  '%s', '%s' expected\n", e.text, says);
    mango_onnx_destroy(m);
}

/* A graph of one node. */
static t_onnx_buf t_onnx_graph(const char *op, const char *name, const char *second)
{
    t_onnx_buf g = {{0}, 0};
    t_onnx_node(&g, op, name, "x", second, "y");
    t_onnx_info(&g, 11, "x", 4, 5);
    t_onnx_info(&g, 12, "y", 4, 5);
    return g;
}

static void t_onnx_refused(void)
{
    const uint64_t one[1] = {1};
    t_onnx_buf g = t_onnx_graph("Relu", "a", NULL);
    t_onnx_answers(&g, 13, MANGO_OK, NULL);
    t_onnx_answers(&g, 6, MANGO_E_UNSUPPORTED, "opset 6");
    t_onnx_answers(&g, 99, MANGO_E_UNSUPPORTED, "opset 99");
    g = t_onnx_graph("Einsum", "block/mix", NULL);
    t_onnx_answers(&g, 13, MANGO_E_UNSUPPORTED, "node 'block/mix' (Einsum): there is no such");
    g = t_onnx_graph("MatMul", "attend", "x");
    t_onnx_answers(&g, 13, MANGO_E_UNSUPPORTED, "node 'attend' (MatMul): multiplies two values");
    g = t_onnx_graph("Div", "ratio", "x");
    t_onnx_answers(&g, 13, MANGO_E_UNSUPPORTED, "node 'ratio' (Div): divides by a value");
    g = t_onnx_graph("Relu", "a", NULL);
    t_onnx_info(&g, 11, "z", 4, 5);
    t_onnx_answers(&g, 13, MANGO_E_UNSUPPORTED, "two inputs, 'x' and 'z'");
    g = t_onnx_graph("Relu", "a", NULL);
    t_onnx_node(&g, "Relu", "b", "y", NULL, "y");
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "'y' is made twice");
    g = t_onnx_graph("Add", "a", "w");
    t_onnx_answers(&g, 13, MANGO_E_UNSUPPORTED, "reads 'w', which nothing before it makes");
    t_onnx_tensor(&g, "w", 1, one, NULL);
    t_onnx_answers(&g, 13, MANGO_OK, NULL);
    t_onnx_tensor(&g, "w", 1, one, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "'w' is made twice");
}

static void t_onnx_open_size(void)
{
    const mango_idx in[3] = {3, 7, 6};
    t_onnx_buf g = {{0}, 0};
    mango_onnx *m = NULL;
    mango_onnx_info f;
    mango_err e = {""};
    t_onnx_node(&g, "Relu", "a", "x", NULL, "y");
    t_onnx_info(&g, 11, "x", 0, 0);
    t_onnx_info(&g, 12, "y", 0, 0);
    t_onnx_answers(&g, 13, MANGO_E_SHAPE, "size of axis 2 of input 'x' is open");
    const t_onnx_buf b = t_onnx_model(&g, 13);
    T_EQ(mango_onnx_is(b.b, b.n), 1);
    T_OK_OR_RETURN(mango_onnx_parse(&m, b.b, b.n, "here.onnx", NULL, &e), &e);
    T_OK(mango_onnx_translate(m, in, &e), &e);
    mango_onnx_get(m, &f);
    T_STR(f.text, "mango-graph 1\nnet arch=onnx\ninput input - shape=3x7x6\na relu input\n");
    mango_onnx_destroy(m);
}

static void t_onnx_limits(void)
{
    const uint64_t wide[1] = {(1 << 24) + 1}, two[1] = {2};
    const uint64_t deep[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint64_t vast[3] = {1 << 24, 1 << 24, 1 << 24}, below[1] = {(uint64_t)-1};
    char name[300];
    t_onnx_buf g = t_onnx_graph("Add", "a", "w");
    t_onnx_tensor(&g, "w", 1, wide, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "over 2^24");
    g = t_onnx_graph("Add", "a", "w");
    t_onnx_tensor(&g, "w", 9, deep, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "more than 8 dimensions");
    g = t_onnx_graph("Add", "a", "w");
    t_onnx_tensor(&g, "w", 3, vast, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "over 1 GiB");
    g = t_onnx_graph("Add", "a", "w");
    t_onnx_tensor(&g, "w", 1, below, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "negative");
    g = t_onnx_graph("Add", "a", "w");
    t_onnx_tensor(&g, "w", 1, two, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "another size than its shape");
    memset(name, 'n', sizeof name);
    name[257] = 0;
    g = t_onnx_graph("Relu", name, NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "1 to 256 bytes");
    g = t_onnx_graph("Relu", "a\033[2J", NULL);
    t_onnx_answers(&g, 13, MANGO_E_FORMAT, "control bytes");
}

/* Data beside the model: read from the same folder, and from no other place. */
static void t_onnx_beside(void)
{
    static const char *const bad[] = {"../w.bin", "/etc/hostname", ".w", "a/w.bin", "w\\b",
                                      "C:w",      "",              ".."};
    static const unsigned char two[4] = {0, 0, 0, 64};
    const uint64_t one[1] = {1};
    mango_onnx *m = NULL;
    mango_err e = {""};
    float v = 0;
    char path[1024];
    T_CHECK(t_write(t_tmp("w.bin"), two, 4));
    for (mango_idx i = -1; i < MGI_COUNT(bad); i++) {
        t_onnx_buf g = t_onnx_graph("PRelu", "a", "w");
        t_onnx_tensor(&g, "w", 1, one, i < 0 ? "w.bin" : bad[i]);
        const t_onnx_buf b = t_onnx_model(&g, 13);
        snprintf(path, sizeof path, "%s", t_tmp("beside.onnx"));
        T_CHECK(t_write(path, b.b, (size_t)b.n));
        const mango_status st = mango_onnx_open(&m, path, NULL, &e);
        if (i >= 0) {
            T_STATUS(st, MANGO_E_FORMAT);
            continue;
        }
        T_OK_OR_RETURN(st, &e);
        T_OK(mango_onnx_translate(m, NULL, &e), &e);
        T_OK(mango_onnx_floats(m, 0, &v, &e), &e);
        T_EQ(v, 2);
        mango_onnx_destroy(m);
        m = NULL;
        T_STATUS(mango_onnx_parse(&m, b.b, b.n, path, NULL, &e), MANGO_E_FORMAT);
    }
}

/* ---- damage ---- */

/* Opened, translated, read out: whatever it answers, nothing is touched that is not its. */
static mango_status t_onnx_try(const unsigned char *p, mango_idx n, const mango_alloc *al)
{
    mango_onnx *m = NULL;
    mango_err e = {""};
    float v[512];
    mango_tensor t;
    mango_status st = mango_onnx_parse(&m, p, n, "x.onnx", al, &e);
    if (st >= 0)
        st = mango_onnx_translate(m, NULL, &e);
    for (mango_idx i = 0; i < mango_onnx_tensors(m); i++)
        if (mango_onnx_tensor(m, i, &t) >= 0 && t.count <= 512)
            mango_onnx_floats(m, i, v, &e);
    mango_onnx_destroy(m);
    return st;
}

static void t_onnx_damaged(void)
{
    unsigned char *p = NULL;
    mango_idx n = 0;
    const mango_alloc al = mgi_alloc_get(NULL);
    mango_err e = {""};
    for (mango_idx k = 0; k < MGI_COUNT(t_onnx_names); k++) {
        T_OK_OR_RETURN(mgi_file_read(t_onnx_path(t_onnx_names[k]), 1 << 20, &al, &p, &n, &e), &e);
        mango_idx cut = 0, right = 0;
        for (mango_idx i = 0; i < n; i += 1 + i / 200) /* cut short: never a network */
            cut += t_onnx_try(p, i, NULL) >= 0;
        T_EQ(cut, 0);
        for (mango_idx i = 0; i < n; i += 3) { /* one byte changed */
            const unsigned char was = p[i];
            p[i] = (unsigned char)(was ^ (1u << (i / 3 % 8)));
            right += t_onnx_try(p, n, NULL) >= 0;
            p[i] = was;
        }
        T_CHECK(right > 0); /* many bytes are weights */
        mgi_del(&al, p, n + 1, 1);
    }
}

typedef struct t_onnx_bytes_of {
    unsigned char *p;
    mango_idx n;
} t_onnx_bytes_of;

static mango_status t_onnx_poor(void *ud, const mango_alloc *al)
{
    const t_onnx_bytes_of *b = ud;
    return t_onnx_try(b->p, b->n, al);
}

static void t_onnx_memory(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    t_onnx_bytes_of b = {NULL, 0};
    mango_err e = {""};
    for (mango_idx k = 0; k < MGI_COUNT(t_onnx_names); k++) {
        T_OK_OR_RETURN(
            mgi_file_read(t_onnx_path(t_onnx_names[k]), 1 << 20, &al, &b.p, &b.n, &e), &e);
        T_CHECK(t_oom_sweep(t_onnx_poor, &b) > 5);
        mgi_del(&al, b.p, b.n + 1, 1);
    }
}

/* ---- the command ---- */

static void t_onnx_command(void)
{
    char line[1400];
    mgi_json j;
    t_ran r;
    if (!t_tool() || !t_tool_works())
        T_SKIP("no command");
    snprintf(line, sizeof line, "import %s --out o.safetensors --set mean=0.5,std=0.25",
             t_here(t_onnx_path("classic")));
    T_CHECK(t_tool_is(line, 0, "a network from an ONNX model"));
    T_CHECK(t_tool_is("run --net o.safetensors --fill-input 3 --out o1.safetensors", 0, NULL));
    T_CHECK(t_tool_is("info o.safetensors --graph", 0, "c1 conv input out=6"));
    snprintf(line, sizeof line, "info %s --json", t_here(t_onnx_path("classic")));
    r = t_tool_run(line);
    T_EQ(r.rc, 0);
    if (T_CHECK(t_json(&r, &j))) {
        T_EQ(t_json_number(&j, "opset"), 9);
        T_CHECK(mgi_json_get(&j, j.v, "graph") != NULL);
        mgi_json_free(&j);
    }
    t_ran_free(&r);
    snprintf(line, sizeof line, "import %s --out n.safetensors --set width=2",
             t_here(t_onnx_path("classic")));
    T_CHECK(t_tool_refuses(line, 3, "in=CxHxW can be set"));
    snprintf(line, sizeof line, "import %s --out n.safetensors --set in=3x12x11",
             t_here(t_onnx_path("classic")));
    T_CHECK(t_tool_refuses(line, 3, "axis 3 of input 'x' is 10, not 11"));
    T_CHECK(t_tool_refuses("import none.onnx --out n.safetensors", 3, "none.onnx"));
}

void t_onnx(void)
{
    T_CASE(t_onnx_golden);
    T_CASE(t_onnx_text);
    T_CASE(t_onnx_sizes);
    T_CASE(t_onnx_refused);
    T_CASE(t_onnx_open_size);
    T_CASE(t_onnx_limits);
    T_CASE(t_onnx_beside);
    T_CASE(t_onnx_damaged);
    T_CASE(t_onnx_memory);
    T_CASE(t_onnx_command);
}

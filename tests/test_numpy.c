/* test_numpy.c - .npy of every number type in both byte orders, .npz as an archive of
 * tensors: stored and deflated, by content, damaged ones refused.
 * SPDX-License-Identifier: MIT */
#include "test.h"

typedef struct t_numpy_buf {
    unsigned char b[1 << 14];
    mango_idx n;
} t_numpy_buf;

static void t_numpy_put(t_numpy_buf *s, const void *p, size_t n)
{
    if (s->n + (mango_idx)n <= (mango_idx)sizeof s->b)
        memcpy(s->b + s->n, p, n), s->n += (mango_idx)n;
}

/* The low `bytes` bytes of v, big end first or last. */
static void t_numpy_int(t_numpy_buf *s, uint64_t v, int bytes, int big)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)(v >> 8 * (big ? bytes - 1 - i : i));
        t_numpy_put(s, &c, 1);
    }
}

static void t_numpy_le(t_numpy_buf *s, uint64_t v, int bytes)
{
    t_numpy_int(s, v, bytes, 0);
}

static void t_numpy_head(t_numpy_buf *s, const char *descr, int fortran, const char *shape)
{
    char head[160];
    const int n = snprintf(head, sizeof head,
                           "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr,
                           fortran ? "True" : "False", shape);
    t_numpy_put(s, "\x93NUMPY\1\0", 8);
    t_numpy_le(s, (uint64_t)n, 2);
    t_numpy_put(s, head, (size_t)n);
}

/* 2x3 of the values -2..3, or 0..5 where there is no sign: (v[i] = i - off), as bits. */
static void t_numpy_types(void)
{
    static const struct {
        const char *descr, *name;
        int bytes, big, off;
        uint64_t bits[6];
    } t[] = {
        {"<f2", "float16", 2, 0, 2, {0xc000, 0xbc00, 0, 0x3c00, 0x4000, 0x4200}},
        {">f2", "float16", 2, 1, 2, {0xc000, 0xbc00, 0, 0x3c00, 0x4000, 0x4200}},
        {">f4", "float32", 4, 1, 2,
         {0xc0000000, 0xbf800000, 0, 0x3f800000, 0x40000000, 0x40400000}},
        {">f8", "float64", 8, 1, 2,
         {UINT64_C(0xc000000000000000), UINT64_C(0xbff0000000000000), 0,
          UINT64_C(0x3ff0000000000000), UINT64_C(0x4000000000000000),
          UINT64_C(0x4008000000000000)}},
        {"|i1", "int8", 1, 0, 2, {254, 255, 0, 1, 2, 3}},
        {">i2", "int16", 2, 1, 2, {0xfffe, 0xffff, 0, 1, 2, 3}},
        {">i4", "int32", 4, 1, 2, {0xfffffffe, 0xffffffff, 0, 1, 2, 3}},
        {">i8", "int64", 8, 1, 2, {UINT64_MAX - 1, UINT64_MAX, 0, 1, 2, 3}},
        {"<u2", "uint16", 2, 0, 0, {0, 1, 2, 3, 4, 5}},
        {">u2", "uint16", 2, 1, 0, {0, 1, 2, 3, 4, 5}},
        {"<u4", "uint32", 4, 0, 0, {0, 1, 2, 3, 4, 5}},
        {">u4", "uint32", 4, 1, 0, {0, 1, 2, 3, 4, 5}},
        {"<u8", "uint64", 8, 0, 0, {0, 1, 2, 3, 4, 5}},
        {">u8", "uint64", 8, 1, 0, {0, 1, 2, 3, 4, 5}},
    };
    static t_numpy_buf s;
    for (mango_idx k = 0; k < MGI_COUNT(t); k++)
        for (int fortran = 0; fortran < 2; fortran++) {
            mango_npy a;
            mango_err err = {""};
            float f[6];
            mango_idx n[6];
            s.n = 0;
            t_numpy_head(&s, t[k].descr, fortran, "(2, 3)");
            for (int i = 0; i < 6; i++)
                t_numpy_int(&s, t[k].bits[fortran ? i / 2 + 3 * (i % 2) : i], t[k].bytes,
                            t[k].big);
            T_OK_OR_RETURN(mango_npy_parse(&a, s.b, s.n, "x", NULL, &err), &err);
            T_STR(mango_npy_type_name(a.type), t[k].name);
            T_OK(mango_npy_floats(&a, f, &err), &err);
            T_OK(mango_npy_ints(&a, n, &err), &err);
            for (int i = 0; i < 6; i++) {
                T_EQ(n[i], i - t[k].off);
                T_NEAR(f[i], i - t[k].off, 0);
            }
            mango_npy_free(&a);
        }
}

/* Whole numbers beyond what a float or an index holds are refused, not rounded. */
static void t_numpy_large(void)
{
    static t_numpy_buf s;
    mango_npy a;
    mango_err err = {""};
    float f;
    mango_idx n;
    s.n = 0;
    t_numpy_head(&s, "<u8", 0, "()");
    t_numpy_le(&s, UINT64_MAX, 8);
    T_OK_OR_RETURN(mango_npy_parse(&a, s.b, s.n, "x", NULL, &err), &err);
    T_STATUS(mango_npy_floats(&a, &f, &err), MANGO_E_FORMAT);
    T_STATUS(mango_npy_ints(&a, &n, &err), MANGO_E_FORMAT);
    mango_npy_free(&a);
}

/* ---- .npz ------------------------------------------------------------------------------ */

/* One entry; packed: method 8 with one stored block, as deflate allows. */
static void t_numpy_entry(t_numpy_buf *z, t_numpy_buf *dir, const char *name,
                          const t_numpy_buf *data, int packed)
{
    const uint32_t crc = mgi_crc32(0, data->b, data->n);
    const mango_idx at = z->n, size = data->n + (packed ? 5 : 0);
    t_numpy_buf *both[2] = {z, dir};
    for (int k = 0; k < 2; k++) {
        t_numpy_put(both[k], k ? "PK\1\2\24\0" : "PK\3\4", k ? 6 : 4);
        t_numpy_le(both[k], 20, 2);
        t_numpy_le(both[k], 0, 2);
        t_numpy_le(both[k], packed ? 8 : 0, 2);
        t_numpy_le(both[k], 0, 4);
        t_numpy_le(both[k], crc, 4);
        t_numpy_le(both[k], (uint64_t)size, 4);
        t_numpy_le(both[k], (uint64_t)data->n, 4);
        t_numpy_le(both[k], strlen(name), 2);
        t_numpy_le(both[k], 0, k ? 8 : 2);
        if (k) {
            t_numpy_le(dir, 0, 4);
            t_numpy_le(dir, (uint64_t)at, 4);
        }
        t_numpy_put(both[k], name, strlen(name));
    }
    if (packed) {
        t_numpy_le(z, 1, 1);
        t_numpy_le(z, (uint64_t)data->n, 2);
        t_numpy_le(z, ~(uint64_t)data->n, 2);
    }
    t_numpy_put(z, data->b, (size_t)data->n);
}

static void t_numpy_end(t_numpy_buf *z, const t_numpy_buf *dir, int entries)
{
    const mango_idx at = z->n;
    t_numpy_put(z, dir->b, (size_t)dir->n);
    t_numpy_put(z, "PK\5\6\0\0\0\0", 8);
    t_numpy_le(z, (uint64_t)entries, 2);
    t_numpy_le(z, (uint64_t)entries, 2);
    t_numpy_le(z, (uint64_t)dir->n, 4);
    t_numpy_le(z, (uint64_t)at, 4);
    t_numpy_le(z, 0, 2);
}

/* Stored blocks only: enough for what is written here. */
static mango_idx t_numpy_inflate(void *ud, const unsigned char *in, mango_idx n_in,
                                 mango_idx *used, unsigned char *out, mango_idx n_out)
{
    const mango_idx n = n_in < 5 ? -1 : (mango_idx)in[1] | (mango_idx)in[2] << 8;
    (void)ud;
    if (n < 0 || in[0] != 1 || n > n_out || n > n_in - 5)
        return -1;
    memcpy(out, in + 5, (size_t)n);
    *used = 5 + n;
    return n;
}

/* fc.weight (2,3) of f4 and fc.bias (3) of f8, the second one deflated. */
static const char *t_numpy_npz(const char *file, const char *first)
{
    static t_numpy_buf z, dir, a;
    const float w[6] = {1, 2, 3, 4, 5, 6};
    const char *path = t_tmp(file);
    z.n = dir.n = a.n = 0;
    t_numpy_head(&a, "<f4", 0, "(2, 3)");
    for (int i = 0; i < 6; i++) {
        uint32_t u;
        memcpy(&u, &w[i], 4);
        t_numpy_le(&a, u, 4);
    }
    t_numpy_entry(&z, &dir, first, &a, 0);
    a.n = 0;
    t_numpy_head(&a, "<f8", 0, "(2,)");
    t_numpy_le(&a, UINT64_C(0x3fe0000000000000), 8);
    t_numpy_le(&a, UINT64_C(0xbff0000000000000), 8);
    t_numpy_entry(&z, &dir, "fc.bias.npy", &a, 1);
    t_numpy_end(&z, &dir, 2);
    T_STATUS(mgi_file_write(path, (const char *)z.b, z.n, NULL), MANGO_OK);
    return path;
}

static void t_numpy_archive(void)
{
    const mango_codecs codecs = {t_numpy_inflate, NULL, NULL};
    const char *path = t_numpy_npz("w.pt", "fc.weight.npy"); /* the name says nothing */
    mango_archive *a = NULL;
    mango_archive_info info;
    mango_tensor t;
    mango_err err = {""};
    float b[2];
    T_OK_OR_RETURN(mango_archive_open(&a, path, &codecs, NULL, &err), &err);
    T_STATUS(mango_archive_get(a, &info), MANGO_OK);
    T_STR(info.format, "npz");
    T_EQ(info.tensors, 2);
    T_CHECK(info.graph == NULL);
    const mango_idx at = mango_archive_find(a, "fc.bias");
    T_REQUIRE(at >= 0 && mango_archive_tensor(a, at, &t) == MANGO_OK);
    T_STR(t.dtype, "float64");
    T_OK(mango_archive_floats(a, at, b, &err), &err);
    T_CHECK(b[0] == 0.5f && b[1] == -1);
    mango_net *net = NULL;
    mango_match *m = NULL;
    static const char graph[] = "mango-graph 1\nnet arch=g\nx input - shape=3\n"
                                "fc linear x out=2\n";
    T_OK_OR_RETURN(mango_net_parse(&net, graph, (mango_idx)strlen(graph), NULL, &err), &err);
    T_OK(mango_archive_import(a, net, NULL, &m, &err), &err);
    T_NEAR(net->param[mgi_param_find(net, "fc.weight")].v[5], 6, 0);
    mango_match_destroy(m);
    mango_net_destroy(net);
    mango_archive_destroy(a);
    T_STATUS(mango_archive_open(&a, path, NULL, NULL, &err), MANGO_E_UNSUPPORTED);
    path = t_numpy_npz("bad.npz", "\1.npy");
    T_STATUS(mango_archive_open(&a, path, &codecs, NULL, &err), MANGO_E_FORMAT);
}

static mango_status t_numpy_open_once(void *ud, const mango_alloc *al)
{
    const mango_codecs codecs = {t_numpy_inflate, NULL, NULL};
    mango_archive *a = NULL;
    const mango_status st = mango_archive_open(&a, (const char *)ud, &codecs, al, NULL);
    mango_archive_destroy(a);
    return st;
}

static void t_numpy_memory(void)
{
    const char *path = t_numpy_npz("m.npz", "fc.weight.npy");
    T_CHECK(t_oom_sweep(t_numpy_open_once, (void *)(size_t)path) >= 5);
}

void t_numpy(void)
{
    T_CASE(t_numpy_types);
    T_CASE(t_numpy_large);
    T_CASE(t_numpy_archive);
    T_CASE(t_numpy_memory);
}

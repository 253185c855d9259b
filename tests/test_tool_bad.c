/* test_tool_bad.c - malformed weights files, graphs, checkpoints and arrays: one line,
 * exit code 3, nothing written.
 * SPDX-License-Identifier: MIT */
#include "tool.h"

/* ---- weights files --------------------------------------------------------------- */

/* A small good network in the working folder, and its bytes. */
static unsigned char *t_bad_good(mango_idx *n)
{
    mango_net *net = NULL;
    mango_err err = {""};
    unsigned char *p = NULL;
    if (!T_OK(mango_net_zoo(&net, "snn_conv,width=0.125", NULL, &err), &err) ||
        !T_OK(mango_net_fill(net, 7, 1.0), NULL) ||
        !T_OK(mango_net_save(net, t_work("good.safetensors"), "F32", &err), &err) ||
        !T_OK(mgi_file_read(t_work("good.safetensors"), 1 << 24, NULL, &p, n, &err), &err))
        p = NULL;
    mango_net_destroy(net);
    return p;
}

static void t_bad_free(unsigned char *p, mango_idx n)
{
    const mango_alloc libc = mgi_alloc_get(NULL);
    mgi_del(&libc, p, n + 1, 1);
}

/* Refused by every verb that opens networks? */
static void t_bad_net(const void *bytes, mango_idx n, const char *says)
{
    t_write(t_work("bad.safetensors"), bytes, (size_t)n);
    t_tool_refuses("run --net bad.safetensors --fill-input 1 --out y.safetensors", 3, says);
    t_tool_refuses("info bad.safetensors --json", 3, "bad.safetensors");
    t_tool_refuses("mei --gen " T_GEN " --fill 7 --net bad --target spiking1:0 --out m", 3,
                   "bad.safetensors");
}

static void t_bad_weights(void)
{
    mango_idx n = 0;
    unsigned char *p = t_bad_good(&n);
    T_REQUIRE(p != NULL);
    t_tool_is("run --net good --fill-input 1 --T 2 --out good.out", 0, "1 inputs");
    t_bad_net("", 0, "0 bytes");
    t_bad_net(p, 7, "7 bytes");
    t_bad_net(p, 100, NULL);
    t_bad_net(p, n - 1, NULL);    /* truncated */
    t_bad_net(p, n + 1, NULL);    /* padded: a NUL follows the bytes */
    for (int i = 0; i < 8; i++) { /* a header length that lies */
        const unsigned char was = p[i];
        p[i] = (unsigned char)(was ^ (i ? 1 : 8));
        t_write(t_work("bad.safetensors"), p, (size_t)n);
        t_tool_refuses("info bad.safetensors", 3, "bad.safetensors");
        p[i] = was;
    }
    char *shape = strstr((char *)p + 8, "\"shape\":[24,3,5,5]");
    T_REQUIRE(shape != NULL);
    shape[9] = '4'; /* (44,3,5,5) does not fill its bytes */
    t_bad_net(p, n, NULL);
    shape[9] = '2';
    const float nan = (float)NAN;
    memcpy(p + n - 4, &nan, 4);
    t_write(t_work("bad.safetensors"), p, (size_t)n);
    t_tool_refuses("run --net bad --fill-input 1 --out y.safetensors", 3, "linear2.bias");
    t_tool_refuses("mei --gen " T_GEN " --fill 7 --net bad --target class:0 --out m", 3,
                   NULL);
    t_bad_free(p, n);
}

/* ---- graphs ---------------------------------------------------------------------- */

static void t_bad_graph(const char *nodes, const char *says)
{
    char text[2000];
    mgi_tensor_writer *w = NULL;
    const mango_idx four[4] = {4, 3, 5, 5}, one[1] = {4};
    static const float zero[300];
    snprintf(text, sizeof text,
             "mango-graph 1\nnet arch=own T=1 mean=0.5,0.5,0.5 std=0.5,0.5,0.5\n%s", nodes);
    T_REQUIRE(mgi_writer_new(&w, NULL) >= 0);
    mgi_writer_meta(w, "mango.graph", text);
    mgi_writer_add(w, "c.weight", MGI_F32, 4, four, zero);
    mgi_writer_add(w, "c.bias", MGI_F32, 1, one, zero);
    T_STATUS(mgi_writer_save(w, t_work("graph.safetensors"), NULL), MANGO_OK);
    mgi_writer_free(w);
    if (!says) {
        t_tool_is("run --net graph --fill-input 1 --out good.out", 0, "1 inputs");
        return;
    }
    t_tool_refuses("run --net graph --fill-input 1 --out y.safetensors", 3, says);
    t_tool_refuses("mei --gen " T_GEN " --fill 7 --net graph --target c:0 --out m", 3,
                   says);
    t_tool_refuses("info graph", 3, says);
}

#define T_BAD_IN "input input - shape=3x32x32\n"
#define T_BAD_C "c conv input out=4 kernel=5 stride=1 pad=2 bias=1\n"

static void t_bad_graphs(void)
{
    t_bad_graph(T_BAD_IN T_BAD_C "r relu c\n", NULL);
    t_bad_graph(T_BAD_IN "a relu b\nb relu a\n", "'b'");        /* a cycle */
    t_bad_graph(T_BAD_IN T_BAD_C "r relu r\n", "'r'");          /* of one */
    t_bad_graph(T_BAD_IN T_BAD_C "r relu cc\n", "'cc'");        /* no such input */
    t_bad_graph(T_BAD_IN T_BAD_C "s add c,input\n", "4x32x32"); /* shapes differ */
    t_bad_graph(T_BAD_C T_BAD_IN, "'input'");
    t_bad_graph(T_BAD_IN T_BAD_C T_BAD_C, "used twice"); /* twice */
    t_bad_graph(T_BAD_IN "c conv input out=5 kernel=5 stride=1 pad=2 bias=1\n", "c.weight");
    t_bad_graph(T_BAD_IN "c conv input out=4 kernel=99 stride=1 pad=0 bias=1\n",
                "would be empty");
    t_bad_graph(T_BAD_IN T_BAD_C "c2 conv c out=4 kernel=1 bias=1\n", "c2.weight");
    t_bad_graph(T_BAD_IN T_BAD_C "r rely c\n", "rely");
    t_bad_graph(T_BAD_IN T_BAD_C "r relu c why=1\n", "why");
    t_bad_graph(T_BAD_IN "c conv input out=99999999999999999999 kernel=5 pad=2 bias=1\n",
                "out");
    t_bad_graph("input input - shape=3x99999999x99999999\n" T_BAD_C, "99999999");
    t_bad_graph("", "graph");
}

/* ---- checkpoints ----------------------------------------------------------------- */

/* A pickle that would run `touch pwned` if anything here ran pickles. */
static const char t_bad_pickle[] = "\x80\x02"
                                   "cos\nsystem\nX\x0b\0\0\0touch pwned\x85R.";

static void t_bad_zip_le(mgi_str *s, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++, v >>= 8) {
        const char c = (char)(unsigned char)(v & 255);
        mgi_str_put(s, &c, 1);
    }
}

/* A stored zip of one entry, as torch.save makes them. */
static void t_bad_zip(mgi_str *s, const char *name, const char *p, mango_idx n)
{
    const uint32_t crc = mgi_crc32(0, p, n), len = (uint32_t)strlen(name);
    for (int central = 0; central < 2; central++) {
        const mango_idx at = s->n;
        mgi_str_put(
            s, central ? "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0" : "PK\3\4\0\0\0\0\0\0\0\0\0\0",
            central ? 16 : 14);
        t_bad_zip_le(s, crc, 4);
        t_bad_zip_le(s, (uint32_t)n, 4);
        t_bad_zip_le(s, (uint32_t)n, 4);
        t_bad_zip_le(s, len, 4); /* no extra field */
        for (int i = 0; central && i < 14; i++)
            mgi_str_put(s, "\0", 1);
        mgi_str_put(s, name, (mango_idx)len);
        if (!central) {
            mgi_str_put(s, p, n);
            continue;
        }
        const uint32_t size = (uint32_t)(s->n - at);
        mgi_str_put(s, "PK\5\6\0\0\0\0\1\0\1\0", 12);
        t_bad_zip_le(s, size, 4);
        t_bad_zip_le(s, (uint32_t)at, 4);
        t_bad_zip_le(s, 0, 2);
    }
}

static void t_bad_pickles(void)
{
    mgi_str zip;
    const mango_idx n = (mango_idx)sizeof t_bad_pickle - 1;
    mgi_str_init(&zip, NULL);
    t_bad_zip(&zip, "archive/data.pkl", t_bad_pickle, n);
    t_write(t_work("evil.pt"), zip.p, (size_t)zip.n);
    mgi_str_free(&zip);
    t_write(t_work("evil.pkl"), t_bad_pickle, (size_t)n);
    t_write(t_work("evil"), t_bad_pickle, (size_t)n);
    t_write(t_work("empty.pt"), "", 0);
    t_tool_refuses("import evil.pt --arch snn_conv --out y.safetensors", 3, "system");
    t_tool_refuses("import evil.pkl --arch snn_conv --out y.safetensors", 3, "system");
    t_tool_refuses("info evil.pt", 3, "system");
    t_tool_refuses("info evil.pkl", 3, "system");
    t_tool_refuses("info evil", 3, "system");
    t_tool_refuses("run --net evil.pt --fill-input 1 --out y.safetensors", 3,
                   "mango import");
    t_tool_refuses("import empty.pt --arch snn_conv --out y.safetensors", 3, "empty.pt");
    t_tool_refuses("import . --arch snn_conv --out y.safetensors", 3, "folder");
    T_CHECK(!t_exists(t_work("pwned")));
}

/* ---- arrays and pictures --------------------------------------------------------- */

static void t_bad_npy(mango_idx rank, const mango_idx *shape, mango_npy_type type,
                      const void *data)
{
    T_STATUS(mango_npy_write(t_work("x.npy"), type, (int)rank, shape, data, NULL),
             MANGO_OK);
}

static void t_bad_arrays(void)
{
    static float x[3072];
    int32_t code[64] = {0};
    const mango_idx picture[3] = {3, 32, 32}, codes[2] = {1, 64}, none[2] = {0, 64};
    const char *run = "run --net " T_NET " --fill 7,1 --input x.npy --out y.safetensors";
    const char *decode = "decode --gen " T_GEN " --fill 7,1 --codes x.npy --out d";
    x[77] = (float)NAN;
    t_bad_npy(3, picture, MANGO_NPY_F4, x);
    t_tool_refuses(run, 3, "value 77");
    t_tool_refuses(decode, 3, "(B,64)");
    x[77] = 1.5f;
    t_bad_npy(3, picture, MANGO_NPY_F4, x);
    t_tool_refuses(run, 3, "[0,1]");
    code[63] = 512;
    t_bad_npy(2, codes, MANGO_NPY_I4, code);
    t_tool_refuses(decode, 3, "value 63 of code 0 is 512");
    t_tool_refuses(run, 3, "(B,3,32,32)");
    t_bad_npy(2, none, MANGO_NPY_I4, code);
    t_tool_refuses(decode, 3, "(B,64)");
    t_bad_npy(2, codes, MANGO_NPY_F4, x);
    t_tool_refuses(decode, 3, "whole numbers");
    t_write(t_work("x.npy"), "", 0);
    t_tool_refuses(decode, 3, "x.npy");
    t_write(t_work("x.png"), "\x89PNG\r\n\x1a\n", 8);
    t_tool_refuses("run --net " T_NET " --fill 7,1 --input x.png --out y", 3, "x.png");
    t_tool_refuses("encode --gen " T_GEN " --fill 7,1 --images x.png --out y", 3, "x.png");
    t_write(t_work("x.ppm"), "P6\n2 2\n255\n0123456789ab", 23);
    t_tool_refuses("run --net " T_NET " --fill 7,1 --input x.ppm --out y", 3, "2x2 pixels");
}

void t_tool_bad(void)
{
    if (!t_tool_works()) {
        T_CASE(t_tool_absent);
        return;
    }
    T_CASE(t_bad_weights);
    T_CASE(t_bad_graphs);
    T_CASE(t_bad_pickles);
    T_CASE(t_bad_arrays);
}

#undef T_BAD_IN
#undef T_BAD_C

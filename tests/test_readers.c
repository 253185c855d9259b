/* test_readers.c - valid files that a strict reader must take, and files that only seem
 * small: through the library with codecs of our own, through the command with stb's.
 * SPDX-License-Identifier: MIT */
#include "tool.h"
#include <sys/stat.h>

typedef struct t_read_buf {
    unsigned char b[1 << 16];
    mango_idx n;
    int bits; /* of the last byte that are used; 0: all */
} t_read_buf;

static void t_read_put(t_read_buf *s, const void *p, size_t n)
{
    if (n > 0 && s->n + (mango_idx)n <= (mango_idx)sizeof s->b) {
        memcpy(s->b + s->n, p, n);
        s->n += (mango_idx)n;
    }
}

static void t_read_le(t_read_buf *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)(v >> (8 * i));
        t_read_put(s, &c, 1);
    }
}

/* ---- deflate: one block of fixed codes, literals only ---- */

static void t_read_bit(t_read_buf *s, unsigned bit)
{
    if (s->bits == 0)
        t_read_le(s, 0, 1);
    s->b[s->n - 1] |= (unsigned char)(bit << s->bits);
    s->bits = (s->bits + 1) % 8;
}

static void t_read_code(t_read_buf *s, unsigned code, int bits)
{
    for (int i = bits - 1; i >= 0; i--)
        t_read_bit(s, code >> i & 1u);
}

/* The end of the block, 7 bits, is always within the last 15 bits. */
static void t_read_deflate(t_read_buf *s, const unsigned char *p, mango_idx n)
{
    s->bits = 0;
    t_read_bit(s, 1); /* the last block, */
    t_read_bit(s, 1); /* of fixed codes: 01, low bit first */
    t_read_bit(s, 0);
    for (mango_idx i = 0; i < n; i++)
        if (p[i] < 144)
            t_read_code(s, 0x30u + p[i], 8);
        else
            t_read_code(s, 0x190u + p[i] - 144u, 9);
    t_read_code(s, 0, 7);
    s->bits = 0;
}

static void t_read_gzip(t_read_buf *s, const unsigned char *p, mango_idx n)
{
    t_read_put(s, "\x1f\x8b\x08\0\0\0\0\0\0\3", 10);
    t_read_deflate(s, p, n);
    t_read_le(s, mgi_crc32(0, p, n), 4);
    t_read_le(s, (uint64_t)n, 4);
}

/* MNIST files of n blank pictures; infix "-images-idx3", ".images-idx3", ...; labels in
 * `gz` gzip members, 0: plain. */
static void t_read_mnist(const char *dir, int n, const char *images, const char *labels, int gz)
{
    static t_read_buf x, z;
    char path[512];
    x.n = 0;
    t_read_put(&x, "\0\0\10\3\0\0\0", 7);
    t_read_le(&x, (uint64_t)n, 1);
    t_read_put(&x, "\0\0\0\34\0\0\0\34", 8);
    for (int i = 0; i < n * 784; i++)
        t_read_le(&x, (uint64_t)i % 251, 1);
    snprintf(path, sizeof path, "%s/t10k%s-ubyte", dir, images);
    t_write(path, x.b, (size_t)x.n);
    x.n = z.n = 0;
    t_read_put(&x, "\0\0\10\1\0\0\0", 7);
    t_read_le(&x, (uint64_t)n, 1);
    for (int i = 0; i < n; i++)
        t_read_le(&x, (uint64_t)i % 10, 1);
    for (int k = 0; k < gz; k++) {
        const mango_idx from = k * x.n / gz, to = (k + 1) * x.n / gz;
        t_read_gzip(&z, x.b + from, to - from);
        if (k == 2)
            t_read_put(&z, "\0\0\0\0\0", 5); /* as a tape or a disk would fill it up */
    }
    snprintf(path, sizeof path, "%s/t10k%s-ubyte%s", dir, labels, gz ? ".gz" : "");
    t_write(path, gz ? z.b : x.b, (size_t)(gz ? z.n : x.n));
}

/* The decoder of the command reads codes to the last bit, and tells which that was. */
static void t_readers_gzip(void)
{
    if (!t_tool())
        T_SKIP("no command");
    mkdir(t_work("gz"), 0777);
    for (int n = 20; n < 44; n++) {
        t_read_mnist(t_work("gz"), n, "-images-idx3", "-labels-idx1", 1 + n / 8 % 3);
        t_ran r = t_tool_run("data check mnist --root gz --split test");
        if (strstr(r.err, "cannot inflate") == NULL) { /* a build without stb */
            T_EQ(r.rc, 3);
            T_CHECK(strstr(r.err, " pictures, 10000 expected") != NULL);
        }
        t_ran_free(&r);
    }
}

/* What the callback gets: the data and 8 bytes behind it, in gzip and in zip. */
typedef struct t_read_seen {
    mango_idx calls, n;
    unsigned char in[64];
} t_read_seen;

static mango_idx t_read_inflate(void *ud, const unsigned char *in, mango_idx n_in,
                                mango_idx *used, unsigned char *out, mango_idx n_out)
{
    t_read_seen *seen = (t_read_seen *)ud;
    seen->calls++;
    seen->n = n_in;
    memcpy(seen->in, in, (size_t)MGI_MIN(n_in, 64));
    memset(out, 7, (size_t)n_out);
    *used = n_in - 8;
    return n_out;
}

/* An archive of one entry "a", deflated. */
static void t_read_zip(t_read_buf *z, const unsigned char *p, mango_idx n, mango_idx *data,
                       mango_idx *packed)
{
    t_read_put(z, "PK\3\4\x14\0\0\0\x08\0\0\0\0\0", 14);
    t_read_le(z, mgi_crc32(0, p, n), 4);
    const mango_idx at = z->n;
    t_read_le(z, 0, 4);
    t_read_le(z, (uint64_t)n, 4);
    t_read_put(z, "\1\0\0\0a", 5);
    *data = z->n;
    t_read_deflate(z, p, n);
    *packed = z->n - *data;
    z->b[at] = (unsigned char)*packed;
    const mango_idx from = z->n;
    t_read_put(z, "PK\1\2\x14\0\x14\0\0\0\x08\0\0\0\0\0", 16);
    t_read_le(z, mgi_crc32(0, p, n), 4);
    t_read_le(z, (uint64_t)*packed, 4);
    t_read_le(z, (uint64_t)n, 4);
    t_read_put(z, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a", 19);
    const mango_idx size = z->n - from;
    t_read_put(z, "PK\5\6\0\0\0\0\1\0\1\0", 12);
    t_read_le(z, (uint64_t)size, 4);
    t_read_le(z, (uint64_t)from, 4);
    t_read_le(z, 0, 2);
}

static void t_readers_ahead(void)
{
    const mango_alloc al = mgi_alloc_get(NULL);
    static t_read_buf s;
    t_read_seen seen = {0, 0, {0}};
    const mango_codecs codecs = {t_read_inflate, NULL, &seen};
    const unsigned char text[5] = {7, 7, 7, 7, 7};
    unsigned char *out = NULL;
    const unsigned char *p = NULL;
    mango_idx n = 0, data = 0, packed = 0;
    mango_err err = {""};
    s.n = 0;
    t_read_gzip(&s, text, 5);
    T_OK_OR_RETURN(mgi_gunzip(s.b, s.n, 100, "z", &codecs, &al, &out, &n, &err), &err);
    T_EQ(seen.n, s.n - 10); /* all behind the head: data, CRC, size */
    T_MEM(seen.in, s.b + 10, (size_t)(s.n - 10));
    mgi_del(&al, out, n + 1, 1);
    mgi_zip z;
    s.n = 0;
    t_read_zip(&s, text, 5, &data, &packed);
    T_OK_OR_RETURN(mgi_zip_open(&z, s.b, s.n, "z", NULL, &err), &err);
    T_OK(mgi_zip_data(&z, mgi_zip_find(&z, "a"), "z", &codecs, &p, &out, &err), &err);
    T_EQ(seen.calls, 2);
    T_EQ(seen.n, packed + 8);
    T_MEM(seen.in, s.b + data, (size_t)seen.n);
    mgi_del(&al, out, 6, 1);
    mgi_zip_free(&z);
}

/* ---- folders ---- */

/* torchvision and others unpack MNIST to these names. */
static void t_readers_names(void)
{
    static const char *const name[][2] = {{"-images-idx3", "-labels-idx1"},
                                          {"-images.idx3", "-labels.idx1"},
                                          {".images-idx3", ".labels-idx1"}};
    static const char *const folder[] = {"dash", "dot", "dot_before"};
    for (int i = 0; i < 3; i++) {
        mango_data *d = NULL;
        mango_err err = {""};
        const char *dir = t_tmp(folder[i]);
        mkdir(dir, 0777);
        t_read_mnist(dir, 10, name[i][0], name[i][1], 0);
        if (T_OK(mango_data_open(&d, "mnist", dir, "test", NULL, NULL, &err), &err))
            T_CHECK(mango_data_labels(d) && mango_data_labels(d)[9] == 9);
        mango_data_destroy(d);
    }
}

#if !defined(_WIN32)
/* A pipe that nobody writes to among the files: refused, not waited for. */
static void t_readers_pipes(void)
{
    char path[512];
    mango_data *d = NULL;
    mango_err err = {""};
    mango_data_options o;
    static unsigned char px[3 * 8 * 8];
    const char *dir = t_tmp("pipes");
    mango_data_defaults(&o);
    o.resize = o.crop = 8;
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/a.png", dir);
    T_REQUIRE(mkfifo(path, 0600) == 0);
    T_OK_OR_RETURN(mango_data_open(&d, "folder", dir, NULL, &o, NULL, &err), &err);
    T_STATUS(mango_data_picture(d, 0, px, NULL, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "a.png: a pipe or device") != NULL);
    mango_data_destroy(d);
    snprintf(path, sizeof path, "%s/test_batch.bin", dir);
    T_REQUIRE(mkfifo(path, 0600) == 0);
    T_STATUS(mango_data_open(&d, "cifar10", dir, "test", NULL, NULL, &err), MANGO_E_IO);
    T_CHECK(strstr(err.text, "a pipe or device") != NULL);
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte", dir);
    T_REQUIRE(mkfifo(path, 0600) == 0);
    T_STATUS(mango_data_open(&d, "mnist", dir, "test", NULL, NULL, &err), MANGO_E_IO);
}
#endif

/* ---- limits ---- */

/* Limits beyond an index of 32 bits are its largest value, never less. */
static void t_readers_limits(void)
{
    T_EQ(MGI_LIMIT(5), 5);
    T_EQ(MGI_LIMIT(UINT64_C(1) << 30), 1 << 30);
    T_CHECK(MGI_LIMIT(UINT64_C(1) << 31) >= INT32_MAX);
    T_CHECK(MGI_LIMIT(UINT64_C(1) << 32) >= MGI_LIMIT(UINT64_C(1) << 31));
    T_CHECK(MGI_LIMIT(UINT64_MAX) == PTRDIFF_MAX);
    T_CHECK(MGI_PIXELS_MAX >= INT32_MAX);
}

void t_readers(void)
{
    T_CASE(t_readers_gzip);
    T_CASE(t_readers_ahead);
    T_CASE(t_readers_names);
#if !defined(_WIN32)
    T_CASE(t_readers_pipes);
#endif
    T_CASE(t_readers_limits);
}

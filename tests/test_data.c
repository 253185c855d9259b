/* test_data.c - readers of foreign data: good input, and input that lies.
 * SPDX-License-Identifier: MIT */
#include "test.h"
#include <sys/stat.h>

/* ---- a growing buffer, and codecs that need no library ---- */

typedef struct t_data_buf {
    unsigned char b[1 << 16];
    mango_idx n;
} t_data_buf;

static void t_data_put(t_data_buf *s, const void *p, size_t n)
{
    if (s->n + (mango_idx)n <= (mango_idx)sizeof s->b)
        memcpy(s->b + s->n, p, n), s->n += (mango_idx)n;
}

static void t_data_le(t_data_buf *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)(v >> (8 * i));
        t_data_put(s, &c, 1);
    }
}

static void t_data_set(t_data_buf *s, mango_idx at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        s->b[at + i] = (unsigned char)(v >> (8 * i));
}

/* inflate for streams of stored blocks only */
static mango_idx t_data_inflate(void *ud, const unsigned char *in, mango_idx n_in,
                                mango_idx *used, unsigned char *out, mango_idx n_out)
{
    mango_idx at = 0, to = 0;
    (void)ud;
    for (int last = 0; !last;) {
        if (at + 5 > n_in)
            return -1;
        mango_idx len = (mango_idx)(in[at + 1] | in[at + 2] << 8);
        last = in[at] & 1;
        at += 5;
        if (len > n_in - at || len > n_out - to)
            return -1;
        memcpy(out + to, in + at, (size_t)len);
        at += len, to += len;
    }
    *used = at;
    return to;
}

/* pictures of the form "T" W H value: one colour */
static int t_data_picture(void *ud, const unsigned char *in, mango_idx n, mango_idx *W,
                          mango_idx *H, unsigned char *rgb, mango_err *err)
{
    (void)ud, (void)err;
    if (n != 4 || in[0] != 'T')
        return -1;
    *W = in[1] * 100, *H = in[2] * 100;
    if (rgb)
        memset(rgb, in[3], (size_t)(3 * *W * *H));
    return 0;
}

static const mango_codecs t_data_codecs = {t_data_inflate, t_data_picture, NULL};

static void t_data_gzip(t_data_buf *s, const unsigned char *p, mango_idx n)
{
    t_data_put(s, "\x1f\x8b\x08\x08\0\0\0\0\0\3name", 15); /* with a name */
    t_data_put(s, "\1", 1);
    t_data_le(s, (uint64_t)n, 2);
    t_data_le(s, ~(uint64_t)n, 2);
    t_data_put(s, p, (size_t)n);
    t_data_le(s, mgi_crc32(0, p, n), 4);
    t_data_le(s, (uint64_t)n, 4);
}

/* ---- hashes ---- */

static void t_data_hash(void)
{
    char hex[65];
    mgi_hash h;
    static unsigned char big[10000];
    T_EQ(mgi_crc32(0, "123456789", 9), 0xcbf43926);
    for (int i = 0; i < 10000; i++)
        big[i] = (unsigned char)(i * i >> 3);
    uint32_t whole = mgi_crc32(0, big, 10000), parts = 0;
    for (int i = 0; i < 10000; i += 100)
        parts = mgi_crc32(parts, big + i, 100);
    T_EQ(whole, parts);
    mgi_sha256("abc", 3, hex);
    T_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    mgi_sha256("", 0, hex);
    T_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    char own[65], piecewise[65];
    mgi_sha256(big, 9999, hex); /* the plain rounds, the processor's own, any pieces */
    T_STR(hex,
          "b1f96bab3419709703b976dfec94023a9bcdc56ed135be5c9c7f112915b177e4");
    mgi_sha256_start(&h);
    mgi_hash_add(&h, big, 9999);
    mgi_hash_end(&h, own);
    T_STR(own, hex);
    mgi_sha256_init(&h);
    for (int i = 0, n = 0; i < 9999; i += n) {
        n = MGI_MIN(i % 200 + 1, 9999 - i);
        mgi_hash_add(&h, big + i, n);
    }
    mgi_hash_end(&h, piecewise);
    T_STR(piecewise, hex);
    mgi_md5_init(&h);
    mgi_hash_add(&h, "message digest", 14);
    mgi_hash_end(&h, hex);
    T_STR(hex, "f96b697d7cb7938d525a2f31aaf161d0");
    mgi_md5_init(&h);
    for (int i = 0; i < 8; i++)
        mgi_hash_add(&h, "1234567890", 10);
    mgi_hash_end(&h, hex);
    T_STR(hex, "57edf4a22be3c955ac49da2e2107b67a");
}

/* ---- IDX and gzip ---- */

static void t_data_idx(void)
{
    unsigned char f[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7};
    mgi_idx_array a;
    mango_err err;
    T_STATUS(mgi_idx_parse(&a, f, 18, "f", &err), MANGO_OK);
    T_EQ(a.count, 6);
    T_EQ(a.data[5], 6);
    for (mango_idx n = 0; n < 18; n++)
        T_CHECK(mgi_idx_parse(&a, f, n, "f", &err) < 0);
    T_CHECK(mgi_idx_parse(&a, f, 19, "f", &err) < 0);
    f[2] = 13;
    T_STATUS(mgi_idx_parse(&a, f, 18, "f", &err), MANGO_E_UNSUPPORTED);
    f[2] = 8, f[4] = 255;
    T_STATUS(mgi_idx_parse(&a, f, 18, "f", &err), MANGO_E_LIMIT);
}

/* Several members, as of cat a.gz b.gz, the last one shorter; zeros behind them. */
static void t_data_gz_many(void)
{
    static t_data_buf s;
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *out = NULL;
    mango_idx n, two = 0;
    mango_err err = {""};
    s.n = 0;
    for (int k = 0; k < 3; k++) {
        two = s.n;
        t_data_gzip(&s, (const unsigned char *)"hello, all", k < 2 ? 10 : 5);
    }
    const mango_idx end = s.n;
    for (int zeros = 0; zeros < 9; zeros++) {
        if (!T_OK(mgi_gunzip(s.b, s.n, 25, "z", &t_data_codecs, &al, &out, &n, &err), &err))
            break;
        T_EQ(n, 25);
        T_MEM(out, "hello, allhello, allhello", 26);
        T_STR(err.text, "");
        mgi_del(&al, out, n + 1, 1);
        t_data_put(&s, "", 1);
    }
    T_STATUS(mgi_gunzip(s.b, end, 24, "z", &t_data_codecs, &al, &out, &n, &err),
             MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "member 3: truncated, damaged, or larger") != NULL);
    for (mango_idx k = 0; k < end; k++) /* cut off: within a member, but not between two */
        if (k % (two / 2))
            T_CHECK(mgi_gunzip(s.b, k, 25, "z", &t_data_codecs, &al, &out, &n, &err) < 0);
    s.b[end] = 3; /* neither zeros nor gzip */
    T_CHECK(mgi_gunzip(s.b, end + 1, 25, "z", &t_data_codecs, &al, &out, &n, &err) < 0);
    s.b[two - 5] ^= 1; /* CRC of the second */
    T_CHECK(mgi_gunzip(s.b, end, 25, "z", &t_data_codecs, &al, &out, &n, &err) < 0);
    T_CHECK(strstr(err.text, "CRC-32 does not match") != NULL);
}

static void t_data_gz(void)
{
    static t_data_buf s;
    const mango_alloc al = mgi_alloc_get(NULL);
    unsigned char *out;
    mango_idx n;
    mango_err err;
    s.n = 0;
    t_data_gzip(&s, (const unsigned char *)"hello", 5);
    T_STATUS(mgi_gunzip(s.b, s.n, 5, "z", &t_data_codecs, &al, &out, &n, &err), MANGO_OK);
    T_EQ(n, 5);
    T_MEM(out, "hello", 5);
    mgi_del(&al, out, n + 1, 1);
    T_STATUS(mgi_gunzip(s.b, s.n, 4, "z", &t_data_codecs, &al, &out, &n, &err),
             MANGO_E_LIMIT);
    T_STATUS(mgi_gunzip(s.b, s.n, 5, "z", NULL, &al, &out, &n, &err), MANGO_E_UNSUPPORTED);
    for (mango_idx k = 0; k < s.n; k++)
        T_CHECK(mgi_gunzip(s.b, k, 5, "z", &t_data_codecs, &al, &out, &n, &err) < 0);
    s.b[s.n - 5] ^= 1; /* CRC */
    T_STATUS(mgi_gunzip(s.b, s.n, 5, "z", &t_data_codecs, &al, &out, &n, &err),
             MANGO_E_FORMAT);
    t_data_set(&s, s.n - 4, 50000000, 4); /* a size that so few bytes cannot hold */
    T_STATUS(mgi_gunzip(s.b, s.n, 1 << 30, "z", &t_data_codecs, &al, &out, &n, &err),
             MANGO_E_FORMAT);
}

/* ---- data sets ---- */

/* An MNIST folder of n pictures, labels i % 10; gz: pictures compressed. */
static void t_data_mnist_write(const char *dir, mango_idx n, int gz)
{
    static t_data_buf x, z;
    char path[512];
    x.n = z.n = 0;
    t_data_put(&x, "\0\0\10\3\0\0\0", 7);
    t_data_le(&x, (uint64_t)n, 1);
    t_data_put(&x, "\0\0\0\34\0\0\0\34", 8);
    for (mango_idx i = 0; i < n * 784; i++)
        t_data_le(&x, (uint64_t)i * 7 % 256, 1);
    if (gz)
        t_data_gzip(&z, x.b, x.n);
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte%s", dir, gz ? ".gz" : "");
    t_write(path, gz ? z.b : x.b, (size_t)(gz ? z.n : x.n));
    x.n = 0;
    t_data_put(&x, "\0\0\10\1\0\0\0", 7);
    t_data_le(&x, (uint64_t)n, 1);
    for (mango_idx i = 0; i < n; i++)
        t_data_le(&x, (uint64_t)i % 10, 1);
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", dir);
    t_write(path, x.b, (size_t)x.n);
}

static mango_status t_data_open_mnist(void *ud, const mango_alloc *al)
{
    mango_data *d;
    mango_data_options o;
    mango_data_defaults(&o);
    o.codecs = t_data_codecs;
    mango_status st = mango_data_open(&d, "mnist", (const char *)ud, "test", &o, al, NULL);
    mango_data_destroy(d);
    return st;
}

/* torchvision's folders: root/MNIST/raw, for the other set root/FashionMNIST/raw. */
static void t_data_mnist_below(void)
{
    static const char *const inner[] = {"MNIST", "FashionMNIST"}, *const name[] = {
        "mnist", "fashion-mnist"};
    mango_data *d = NULL;
    mango_err err = {""};
    for (int i = 0; i < 2; i++) {
        const char *dir = t_tmp(i ? "below_f" : "below_m");
        char path[600];
        mkdir(dir, 0777);
        snprintf(path, sizeof path, "%s/%s", dir, inner[i]);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/%s/raw", dir, inner[i]);
        mkdir(path, 0777);
        t_data_mnist_write(path, 20, 0);
        T_STATUS(mango_data_open(&d, name[1 - i], dir, "test", NULL, NULL, &err), MANGO_E_IO);
        T_OK(mango_data_open(&d, name[i], dir, "test", NULL, NULL, &err), &err);
        mango_data_destroy(d);
    }
}

static void t_data_mnist(void)
{
    const char *dir = t_tmp("mnist");
    char path[512];
    mango_data *d = NULL;
    mango_data_info info;
    mango_data_options o;
    mango_err err;
    unsigned char px[784];
    int label;
    mango_data_defaults(&o);
    o.codecs = t_data_codecs;
    mkdir(dir, 0777);
    T_STATUS(mango_data_open(&d, "mnist", dir, "test", &o, NULL, &err), MANGO_E_IO);
    t_data_mnist_write(dir, 20, 1);
    T_OK_OR_RETURN(mango_data_open(&d, "mnist", dir, "test", &o, NULL, &err), &err);
    mango_data_get(d, &info);
    T_EQ(info.count, 20);
    T_EQ(info.C * 10000 + info.H * 100 + info.W, 12828);
    T_OK(mango_data_picture(d, 13, px, &label, &err), &err);
    T_EQ(label, 3);
    T_EQ(px[1], (13 * 784 + 1) * 7 % 256);
    T_STR(mango_data_class(d, 9), "9");
    T_STATUS(mango_data_picture(d, 20, px, &label, &err), MANGO_E_ARG);
    mango_data_destroy(d);
    T_CHECK(t_oom_sweep(t_data_open_mnist, (void *)(size_t)dir) > 5);
    T_STATUS(mango_data_open(&d, "mnist", dir, "val", &o, NULL, &err), MANGO_E_NAME);
    T_STATUS(mango_data_open(&d, "mnis", dir, "test", &o, NULL, &err), MANGO_E_NAME);
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte.gz", dir);
    remove(path);
    t_data_mnist_write(dir, 9, 0); /* digit 9 has no picture */
    T_STATUS(mango_data_open(&d, "mnist", dir, "test", &o, NULL, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "class 9") != NULL);
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", dir);
    t_write(path, "\0\0\10\1\0\0\0\11\0\1\2\3\4\5\6\7\13", 17); /* label 11 */
    T_STATUS(mango_data_open(&d, "mnist", dir, "test", &o, NULL, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "label 11") != NULL);
    t_write(path, "\0\0\10\1\0\0\0\2\0\1", 10);
    T_STATUS(mango_data_open(&d, "mnist", dir, "test", &o, NULL, &err), MANGO_E_SHAPE);
}

static void t_data_cifar(void)
{
    const char *dir = t_tmp("cifar");
    char path[512];
    static unsigned char f[20 * 3073];
    unsigned char px[3072];
    mango_data *d;
    mango_data_options o;
    mango_err err;
    int label;
    for (int i = 0; i < 20; i++) {
        memset(f + i * 3073, i, 3073);
        f[i * 3073] = (unsigned char)(i % 10);
    }
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/test_batch.bin", dir);
    t_write(path, f, sizeof f);
    T_STATUS(mango_data_open(&d, "cifar10", dir, "test", NULL, NULL, &err), MANGO_E_FORMAT);
    mango_data_defaults(&o);
    o.partial = 1;
    T_OK_OR_RETURN(mango_data_open(&d, "cifar10", dir, "test", &o, NULL, &err), &err);
    T_OK(mango_data_picture(d, 17, px, &label, &err), &err);
    T_EQ(label, 7);
    T_EQ(px[3071], 17);
    T_STR(mango_data_class(d, 2), "bird");
    mango_data_destroy(d);
    t_write(path, f, sizeof f - 1);
    T_STATUS(mango_data_open(&d, "cifar10", dir, "test", &o, NULL, &err), MANGO_E_FORMAT);
    f[0] = 10;
    t_write(path, f, sizeof f);
    T_STATUS(mango_data_open(&d, "cifar10", dir, "test", &o, NULL, &err), MANGO_E_FORMAT);
    f[0] = 0;
    t_write(path, f, sizeof f);
    snprintf(path, sizeof path, "%s/batches.meta.txt", dir);
    t_write(path, "one\ntwo\n", 8);
    T_STATUS(mango_data_open(&d, "cifar10", dir, "test", &o, NULL, &err), MANGO_E_FORMAT);
    T_STATUS(mango_data_open(&d, "cifar10", dir, "train", &o, NULL, &err), MANGO_E_IO);
}

static mango_status t_data_open_folder(void *ud, const mango_alloc *al)
{
    mango_data *d;
    mango_data_options o;
    static unsigned char px[3 * 64 * 64];
    mango_data_defaults(&o);
    o.codecs = t_data_codecs;
    o.resize = o.crop = 64;
    mango_status st = mango_data_open(&d, "folder", (const char *)ud, NULL, &o, al, NULL);
    if (st >= 0)
        st = mango_data_picture(d, 0, px, NULL, NULL);
    mango_data_destroy(d);
    return st;
}

static void t_data_folder(void)
{
    const char *dir = t_tmp("folder");
    char path[512];
    mango_data *d;
    mango_data_info info;
    mango_data_options o;
    mango_err err;
    static unsigned char px[3 * 64 * 64];
    int label;
    mango_data_defaults(&o);
    o.codecs = t_data_codecs;
    o.resize = o.crop = 64;
    mkdir(dir, 0777);
    T_STATUS(mango_data_open(&d, "folder", dir, NULL, &o, NULL, &err), MANGO_E_FORMAT);
    static const char *const name[] = {"n00000002_bee.JPEG", "n00000001_ant.JPEG",
                                       "n00000002_77.jpeg"};
    for (int i = 0; i < 3; i++) {
        const unsigned char bytes[4] = {'T', (unsigned char)(i + 1), 1,
                                        (unsigned char)(i * 50)};
        snprintf(path, sizeof path, "%s/%s", dir, name[i]);
        t_write(path, bytes, 4);
    }
    T_OK_OR_RETURN(mango_data_open(&d, "folder", dir, "test", &o, NULL, &err), &err);
    mango_data_get(d, &info);
    T_EQ(info.count, 3);
    T_EQ(info.classes, 2);
    T_STR(mango_data_class(d, 0), "ant");
    T_STR(mango_data_path(d, 1), "n00000002_77.jpeg");
    T_OK(mango_data_picture(d, 1, px, &label, &err), &err);
    T_EQ(label, 1);
    T_EQ(px[3 * 64 * 64 - 1], 100);
    mango_data_destroy(d);
    T_CHECK(t_oom_sweep(t_data_open_folder, (void *)(size_t)dir) > 10);
    snprintf(path, sizeof path, "%s/n00000001_ant.JPEG", dir);
    t_write(path, "T\1\1", 3);
    T_OK_OR_RETURN(mango_data_open(&d, "folder", dir, "test", &o, NULL, &err), &err);
    T_STATUS(mango_data_picture(d, 0, px, &label, &err), MANGO_E_FORMAT);
    mango_data_destroy(d);
    snprintf(path, sizeof path, "%s/empty", dir); /* now a tree, with an empty class */
    mkdir(path, 0777);
    T_CHECK(mango_data_open(&d, "folder", dir, "test", &o, NULL, &err) < 0);
}

static void t_data_make(void)
{
    const unsigned char px[6] = {1, 2, 3, 4, 5, 6};
    int labels[3] = {0, 1, 2};
    mango_data *d;
    mango_err err;
    T_OK_OR_RETURN(mango_data_make(&d, "x", 3, 1, 1, 2, 3, px, labels, NULL, &err), &err);
    T_EQ(mango_data_pixels(d)[5], 6);
    mango_data_destroy(d);
    labels[2] = 3;
    T_STATUS(mango_data_make(&d, "x", 3, 1, 1, 2, 3, px, labels, NULL, &err),
             MANGO_E_FORMAT);
    labels[2] = 0;
    T_STATUS(mango_data_make(&d, "x", 3, 1, 1, 2, 3, px, labels, NULL, &err),
             MANGO_E_FORMAT);
    T_CHECK(mango_data_make(&d, "x", 3, PTRDIFF_MAX, 1, 2, 3, px, labels, NULL, &err) < 0);
    T_CHECK(mango_data_make(&d, "x", 0, 1, 1, 2, 3, px, labels, NULL, &err) < 0);
}

/* ---- pictures ---- */

static void t_data_resize(void)
{
    unsigned char in[8 * 6 * 3], out[8 * 6 * 3], half[12], fit[12];
    for (int i = 0; i < 144; i++)
        in[i] = (unsigned char)(i * 37 % 251);
    T_OK(mango_image_resize(8, 6, 3, in, 8, 6, out, NULL, NULL), NULL);
    T_MEM(out, in, 144);
    /* a ramp 0 16 32 48 halved: weights (3,3,1)/7 and (1,3,3)/7 at the ends */
    const unsigned char ramp[4] = {0, 16, 32, 48};
    T_OK(mango_image_resize(1, 4, 1, ramp, 1, 2, half, NULL, NULL), NULL);
    T_EQ(half[0], 11); /* (3*0 + 3*16 + 32)/7 = 11.4 */
    T_EQ(half[1], 37); /* (16 + 3*32 + 3*48)/7 = 36.6 */
    T_OK(mango_image_resize(1, 2, 1, ramp, 1, 4, half, NULL, NULL), NULL);
    T_EQ(half[1], 4);
    T_EQ(half[2], 12);
    T_OK(mango_image_fit(8, 6, 3, in, 0, 2, fit, NULL, NULL), NULL); /* rows 3,4; columns 2,3 */
    T_EQ(fit[0], in[(3 * 6 + 2) * 3]);
    T_EQ(fit[11], in[(4 * 6 + 3) * 3 + 2]);
    T_STATUS(mango_image_fit(8, 6, 3, in, 0, 7, out, NULL, NULL), MANGO_E_SHAPE);
    T_STATUS(mango_image_resize(0, 6, 3, in, 8, 6, out, NULL, NULL), MANGO_E_ARG);
}

/* ---- .npy ---- */

static mango_status t_data_npy_once(void *ud, const mango_alloc *al)
{
    mango_npy a;
    mango_status st = mango_npy_read(&a, (const char *)ud, al, NULL);
    if (st >= 0)
        mango_npy_free(&a);
    return st;
}

static void t_data_npy(void)
{
    const char *path = t_tmp("a.npy");
    const mango_idx shape[3] = {2, 3, 1};
    const float v[6] = {0, -1.5f, 2, 3, 4, 1e30f};
    const int64_t k[6] = {0, -1, 2, 3, 4, (int64_t)1 << 40};
    float f[6];
    mango_idx i[6];
    mango_npy a;
    mango_err err;
    T_OK(mango_npy_write(path, MANGO_NPY_F4, 3, shape, v, &err), &err);
    T_OK_OR_RETURN(mango_npy_read(&a, path, NULL, &err), &err);
    T_EQ(a.rank, 3);
    T_EQ(a.shape[1], 3);
    T_MEM(a.data, v, sizeof v);
    T_STATUS(mango_npy_ints(&a, i, &err), MANGO_E_FORMAT);
    mango_npy_free(&a);
    T_CHECK(t_oom_sweep(t_data_npy_once, (void *)(size_t)path) >= 2);
    T_OK(mango_npy_write(path, MANGO_NPY_I8, 1, (const mango_idx[]){6}, k, &err), &err);
    T_OK_OR_RETURN(mango_npy_read(&a, path, NULL, &err), &err);
    T_OK(mango_npy_floats(&a, f, &err), &err); /* 2^40 is exact */
    T_NEAR(f[5], 1099511627776.0, 0);
    T_CHECK(sizeof(mango_idx) < 8 ||
            (mango_npy_ints(&a, i, &err) == MANGO_OK && i[1] == -1));
    mango_npy_free(&a);
    T_STATUS(mango_npy_write(t_tmp("no/such/x.npy"), MANGO_NPY_F4, 3, shape, v, &err),
             MANGO_E_IO);
}

/* A file with this header text and n bytes of data. */
static mango_status t_data_npy_text(const char *header, int version, mango_idx n,
                                    mango_npy *a, mango_err *err)
{
    static t_data_buf s;
    s.n = 0;
    t_data_put(&s, "\x93NUMPY", 6);
    t_data_le(&s, (uint64_t)version, 2);
    t_data_le(&s, strlen(header), version == 1 ? 2 : 4);
    t_data_put(&s, header, strlen(header));
    for (mango_idx i = 0; i < n; i++)
        t_data_le(&s, (uint64_t)i, 1);
    return mango_npy_parse(a, s.b, s.n, "x", NULL, err);
}

static void t_data_npy_bad(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '>c8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (), }",
        "{'descr': '', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        ("{'descr': '<f4', 'fortran_order': False, 'shape': "
         "(2147483647,2147483647,2147483647), }"),
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': __import__('os')}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } + 1",
        "{'descr': '|b1', 'fortran_order': False, 'shape': (8,), }", /* bytes 2..7 */
    };
    mango_npy a;
    mango_err err;
    float f[8];
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++)
        T_CHECK(t_data_npy_text(bad[i], 1, 8, &a, &err) < 0);
    T_OK_OR_RETURN(
        t_data_npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 3, 8,
                        &a, &err),
        &err);
    mango_npy_free(&a);
    T_CHECK(t_data_npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, 4,
                            &a, &err) < 0);
    T_OK_OR_RETURN(
        t_data_npy_text("{\"shape\": (2, 3), 'descr': '|u1', 'fortran_order': True}\n", 2,
                        6, &a, &err),
        &err);
    T_OK(mango_npy_floats(&a, f, &err), &err); /* stored 0 1 2 3 4 5, first axis fastest */
    const float want[6] = {0, 2, 4, 1, 3, 5};
    T_MEM(f, want, sizeof want);
    mango_npy_free(&a);
    static unsigned char head[12 + 10001] =
        "\x93NUMPY\2\0\x11\x27"; /* a header of 10,001 bytes */
    T_STATUS(mango_npy_parse(&a, head, (mango_idx)sizeof head, "x", NULL, &err),
             MANGO_E_LIMIT);
}

void t_data(void)
{
    T_CASE(t_data_hash);
    T_CASE(t_data_idx);
    T_CASE(t_data_gz);
    T_CASE(t_data_gz_many);
    T_CASE(t_data_mnist);
    T_CASE(t_data_mnist_below);
    T_CASE(t_data_cifar);
    T_CASE(t_data_folder);
    T_CASE(t_data_make);
    T_CASE(t_data_resize);
    T_CASE(t_data_npy);
    T_CASE(t_data_npy_bad);
}

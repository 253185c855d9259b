/* test_import.c - PyTorch checkpoints made here byte by byte: right ones, and
 * ones that lie, bomb or want to run something.
 * SPDX-License-Identifier: MIT */
#include "test.h"

typedef struct t_import_buf {
    unsigned char b[1 << 16];
    mango_idx n;
} t_import_buf;

static void t_import_put(t_import_buf *s, const void *p, size_t n)
{
    if (s->n + (mango_idx)n <= (mango_idx)sizeof s->b)
        memcpy(s->b + s->n, p, n), s->n += (mango_idx)n;
}

static void t_import_le(t_import_buf *s, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)(v >> (8 * i));
        t_import_put(s, &c, 1);
    }
}

/* Opcodes as text, then strings with their length: "...%..." puts a BINUNICODE. */
static void t_import_op(t_import_buf *s, const char *z)
{
    t_import_put(s, z, strlen(z));
}

static void t_import_str(t_import_buf *s, const char *z)
{
    t_import_op(s, "X");
    t_import_le(s, strlen(z), 4);
    t_import_op(s, z);
}

static void t_import_int(t_import_buf *s, int64_t v)
{
    t_import_op(s, "\x8a");
    t_import_le(s, 8, 1);
    t_import_le(s, (uint64_t)v, 8);
}

/* A float tensor in storage `key` of numel elements. */
static void t_import_tensor(t_import_buf *s, const char *key, int64_t numel, int64_t offset,
                            int64_t r, int64_t c, int64_t sr, int64_t sc)
{
    t_import_op(s, "ctorch._utils\n_rebuild_tensor_v2\n((");
    t_import_str(s, "storage");
    t_import_op(s, "ctorch\nFloatStorage\n");
    t_import_str(s, key);
    t_import_str(s, "cpu");
    t_import_int(s, numel);
    t_import_op(s, "tQ");
    t_import_int(s, offset);
    t_import_int(s, r);
    t_import_int(s, c);
    t_import_op(s, "\x86");
    t_import_int(s, sr);
    t_import_int(s, sc);
    t_import_op(s, "\x86\x89"
                   "ccollections\nOrderedDict\n)RtR");
}

/* {"w": 2x3 tensor, strides as given} */
static void t_import_pickle(t_import_buf *s, int64_t numel, int64_t offset, int64_t r,
                            int64_t c, int64_t sr, int64_t sc)
{
    s->n = 0;
    t_import_op(s, "\x80\2}(");
    t_import_str(s, "w");
    t_import_tensor(s, "0", numel, offset, r, c, sr, sc);
    t_import_op(s, "u.");
}

/* One stored entry; its directory record goes to `dir`. */
static void t_import_entry(t_import_buf *z, t_import_buf *dir, const char *name,
                           const void *p, mango_idx n)
{
    const uint32_t crc = mgi_crc32(0, p, n);
    const mango_idx at = z->n;
    t_import_put(z, "PK\3\4\0\0\0\0\0\0\0\0\0\0", 14);
    t_import_le(z, crc, 4);
    t_import_le(z, (uint64_t)n, 4);
    t_import_le(z, (uint64_t)n, 4);
    t_import_le(z, strlen(name), 2);
    t_import_le(z, 0, 2);
    t_import_op(z, name);
    t_import_put(z, p, (size_t)n);
    t_import_put(dir, "PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    t_import_le(dir, crc, 4);
    t_import_le(dir, (uint64_t)n, 4);
    t_import_le(dir, (uint64_t)n, 4);
    t_import_le(dir, strlen(name), 2);
    t_import_put(dir, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    t_import_le(dir, (uint64_t)at, 4);
    t_import_op(dir, name);
}

static void t_import_end(t_import_buf *z, const t_import_buf *dir, int entries)
{
    const mango_idx at = z->n;
    t_import_put(z, dir->b, (size_t)dir->n);
    t_import_put(z, "PK\5\6\0\0\0\0", 8);
    t_import_le(z, (uint64_t)entries, 2);
    t_import_le(z, (uint64_t)entries, 2);
    t_import_le(z, (uint64_t)dir->n, 4);
    t_import_le(z, (uint64_t)at, 4);
    t_import_le(z, 0, 2);
}

/* The archive of a pickle and six floats 0..5 as storage 0. */
static void t_import_zip(t_import_buf *z, const t_import_buf *pkl)
{
    static t_import_buf dir;
    float v[6] = {0, 1, 2, 3, 4, 5};
    t_import_buf *data = &dir;
    z->n = dir.n = 0;
    t_import_entry(z, data, "a/data.pkl", pkl->b, pkl->n);
    t_import_entry(z, data, "a/data/0", v, (mango_idx)sizeof v);
    t_import_end(z, &dir, 2);
}

static mango_status t_import_read(const t_import_buf *z, mango_err *err)
{
    mango_pytorch *c;
    err->text[0] = 0;
    mango_status st = mango_pytorch_parse(&c, z->b, z->n, "x.pt", NULL, NULL, err);
    mango_pytorch_destroy(c);
    return st;
}

/* The status of a zip with this pickle. */
static mango_status t_import_try(const t_import_buf *pkl, mango_err *err)
{
    static t_import_buf z;
    t_import_zip(&z, pkl);
    return t_import_read(&z, err);
}

static void t_import_good(void)
{
    static t_import_buf p, z;
    mango_pytorch *c;
    mango_tensor t;
    mango_err err;
    float v[6];
    const float turned[6] = {0, 2, 4, 1, 3, 5}, want[6] = {0, 1, 2, 3, 4, 5};
    for (int k = 0; k < 2; k++) { /* plain; transposed view of (3,2) */
        t_import_pickle(&p, 6, 0, 2, 3, k ? 1 : 3, k ? 2 : 1);
        t_import_zip(&z, &p);
        T_OK_OR_RETURN(mango_pytorch_parse(&c, z.b, z.n, "x", NULL, NULL, &err), &err);
        T_EQ(mango_pytorch_tensors(c), 1);
        T_STATUS(mango_pytorch_tensor(c, 0, &t), MANGO_OK);
        T_STR(t.name, "w");
        T_STR(t.dtype, "float32");
        T_EQ(t.count, 6);
        T_OK(mango_pytorch_floats(c, 0, v, &err), &err);
        if (mgi_little_endian())
            T_MEM(v, k ? turned : want, sizeof v);
        T_STATUS(mango_pytorch_tensor(c, 1, &t), MANGO_E_ARG);
        mango_pytorch_destroy(c);
    }
}

static mango_status t_import_once(void *ud, const mango_alloc *al)
{
    const t_import_buf *z = (const t_import_buf *)ud;
    mango_pytorch *c;
    mango_status st = mango_pytorch_parse(&c, z->b, z->n, "x", NULL, al, NULL);
    mango_pytorch_destroy(c);
    return st;
}

static void t_import_memory(void)
{
    static t_import_buf p, z;
    t_import_pickle(&p, 6, 0, 2, 3, 3, 1);
    t_import_zip(&z, &p);
    T_CHECK(t_oom_sweep(t_import_once, &z) > 5);
}

/* Every prefix is refused, every changed byte is refused or harmless. */
static void t_import_damage(void)
{
    static t_import_buf p, z, y;
    mango_err err;
    t_import_pickle(&p, 6, 0, 2, 3, 3, 1);
    t_import_zip(&z, &p);
    for (mango_idx n = 0; n < z.n; n++) {
        memcpy(y.b, z.b, (size_t)n);
        y.n = n;
        T_CHECK(t_import_read(&y, &err) < 0);
    }
    y = z;
    t_import_put(&y, "x", 1);
    T_CHECK(t_import_read(&y, &err) < 0);
    for (mango_idx n = 0; n < z.n; n++)
        for (int bit = 1; bit < 256; bit *= 2) {
            y = z;
            y.b[n] ^= (unsigned char)bit;
            t_import_read(&y, &err);
        }
    for (mango_idx n = 0; n < p.n; n++) /* behind a CRC that is right */
        for (int bit = 1; bit < 256; bit *= 2) {
            y = p;
            y.b[n] ^= (unsigned char)bit;
            t_import_try(&y, &err);
        }
}

static void t_import_lies(void)
{
    static t_import_buf p;
    mango_err err;
    const int64_t big = (int64_t)1 << 40;
    t_import_pickle(&p, 6, 1, 2, 3, 3, 1); /* one beyond */
    T_STATUS(t_import_try(&p, &err), MANGO_E_FORMAT);
    t_import_pickle(&p, 7, 0, 2, 3, 3, 1); /* storage shorter than said */
    T_STATUS(t_import_try(&p, &err), MANGO_E_FORMAT);
    t_import_pickle(&p, 6, 0, -2, 3, 3, 1);
    T_CHECK(t_import_try(&p, &err) < 0);
    t_import_pickle(&p, 6, 0, 2, 3, -3, 1);
    T_CHECK(t_import_try(&p, &err) < 0);
    t_import_pickle(&p, 6, -1, 2, 3, 3, 1);
    T_CHECK(t_import_try(&p, &err) < 0);
    t_import_pickle(&p, 6, 0, big, 3, 0, 0);
    T_STATUS(t_import_try(&p, &err), MANGO_E_LIMIT);
    t_import_pickle(&p, 6, 0, 1 << 24, 1 << 24, 0, 0); /* 2^48 elements of 6 */
    T_STATUS(t_import_try(&p, &err), MANGO_E_LIMIT);
    t_import_pickle(&p, big, 0, 2, 3, 3, 1);
    T_CHECK(t_import_try(&p, &err) < 0);
    t_import_pickle(&p, 6, 0, 2, 3, (int64_t)1 << 29, (int64_t)1 << 29);
    T_STATUS(t_import_try(&p, &err), MANGO_E_FORMAT);
    p.n = 0; /* one name twice */
    t_import_op(&p, "\x80\2}(");
    for (int i = 0; i < 2; i++) {
        t_import_str(&p, "w");
        t_import_tensor(&p, "0", 6, 0, 2, 3, 3, 1);
    }
    t_import_op(&p, "u.");
    T_STATUS(t_import_try(&p, &err), MANGO_E_FORMAT);
    p.n = 0; /* a storage key that is a path */
    t_import_op(&p, "\x80\2}(");
    t_import_str(&p, "w");
    t_import_tensor(&p, "../0", 6, 0, 2, 3, 3, 1);
    t_import_op(&p, "u.");
    T_STATUS(t_import_try(&p, &err), MANGO_E_FORMAT);
}

/* A pickle of this text alone. */
static mango_status t_import_text(const char *text, size_t n, mango_err *err)
{
    static t_import_buf p;
    p.n = 0;
    t_import_put(&p, text, n);
    return t_import_try(&p, err);
}

static void t_import_names(void)
{
    static const struct {
        const char *pickle, *says;
    } bad[] = {
        {"cos\nsystem\n(S'id'\ntR.", "os.system"},
        {"cposix\nsystem\n.", "posix.system"},
        {"c__builtin__\neval\n.", "__builtin__.eval"},
        {"cbuiltins\n__import__\n.", "builtins.__import__"},
        {"csubprocess\nPopen\n.", "subprocess.Popen"},
        {"cimportlib.util\nfind_spec\n.", "importlib.util.find_spec"},
        {"c__main__\nNet\n)\x81}b.", "__main__.Net"},
    };
    mango_err err;
    for (mango_idx i = 0; i < MGI_COUNT(bad); i++) {
        T_STATUS(t_import_text(bad[i].pickle, strlen(bad[i].pickle), &err),
                 MANGO_E_UNSUPPORTED);
        T_CHECK(strstr(err.text, bad[i].says) != NULL);
    }
    T_STATUS(t_import_text("\x8c\2os\x8c\6system\x93.", 14, &err), MANGO_E_UNSUPPORTED);
    T_CHECK(strstr(err.text, "os.system") != NULL);
    /* opcodes that build instances, extensions, and ones that do not exist */
    static const char *const ops[] = {
        "(ios\nsystem\n.", "(cos\nsystem\no.", "\x82\1.", "\x83\1\1.", "\x97.", "\xff.",
        "Pid\n."};
    for (int i = 0; i < 7; i++)
        T_STATUS(t_import_text(ops[i], strlen(ops[i]), &err), MANGO_E_UNSUPPORTED);
}

static void t_import_bombs(void)
{
    static t_import_buf p;
    mango_err err;
    static const char *const bad[] = {
        ".",     "0.",   "(.",    "N",     "N0.",
        "t.",    "s.",   "}a.",   "}Ns.",  "}(Nu.",
        "Na.",   "h\5.", "g9\n.", "R.",    "NNR.",
        "NQ.",   ")Q.",  "Nb.",   "]NNb.", "I12345678901234567890123\n.",
        "Ix\n.", "(NNt", "q\0.",  "2."};
    for (int i = 0; i < (int)(sizeof bad / sizeof *bad); i++)
        T_CHECK(t_import_text(bad[i], strlen(bad[i]), &err) < 0);
    p.n = 0;
    for (int i = 0; i < 2000; i++)
        t_import_op(&p, "(");
    T_STATUS(t_import_try(&p, &err), MANGO_E_LIMIT); /* marks in marks */
    p.n = 0;
    for (int i = 0; i < 60000; i++)
        t_import_op(&p, "]");
    for (int i = 0; i < 5000; i++)
        t_import_op(&p, "a");
    T_CHECK(t_import_try(&p, &err) < 0); /* lists in lists, no recursion */
    p.n = 0; /* each list holds the one before twice: 2^1000 items if walked */
    t_import_op(&p, "]q");
    t_import_le(&p, 0, 1);
    for (int i = 0; i < 1000; i++) {
        t_import_op(&p, "](h");
        t_import_le(&p, (uint64_t)i % 200, 1);
        t_import_op(&p, "h");
        t_import_le(&p, (uint64_t)i % 200, 1);
        t_import_op(&p, "eq");
        t_import_le(&p, (uint64_t)(i + 1) % 200, 1);
    }
    t_import_op(&p, "}X\3\0\0\0");
    p.n -= 3, t_import_le(&p, 0, 3), t_import_op(&p, "net");
    T_CHECK(t_import_try(&p, &err) < 0);
    p.n = 0; /* a memo slot of two thousand million */
    t_import_op(&p, "Nr");
    t_import_le(&p, 0x7fffffff, 4);
    t_import_op(&p, ".");
    T_STATUS(t_import_try(&p, &err), MANGO_E_LIMIT);
    p.n = 0; /* a string of nearly 2^64 bytes */
    t_import_op(&p, "\x8d");
    t_import_le(&p, ~(uint64_t)0 - 3, 8);
    T_STATUS(t_import_try(&p, &err), MANGO_E_FORMAT);
}

static void t_import_archive(void)
{
    static t_import_buf p, z, dir;
    mango_err err;
    static t_import_buf inner, scrap;
    t_import_pickle(&p, 6, 0, 2, 3, 3, 1);
    z.n = dir.n = 0; /* one name twice */
    t_import_entry(&z, &dir, "a/data.pkl", p.b, p.n);
    t_import_entry(&z, &dir, "a/data.pkl", p.b, p.n);
    t_import_end(&z, &dir, 2);
    T_STATUS(t_import_read(&z, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "of one name") != NULL);
    z.n = dir.n = inner.n = scrap.n = 0; /* a whole entry quoted inside another's data */
    t_import_entry(&inner, &scrap, "a/data.pkl", p.b, p.n);
    t_import_entry(&z, &dir, "a/x", inner.b, inner.n);
    scrap.b[42] = 30 + 3; /* the inner one's place in the file */
    t_import_put(&dir, scrap.b, (size_t)scrap.n);
    t_import_end(&z, &dir, 2);
    T_STATUS(t_import_read(&z, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "overlap") != NULL);
    t_import_zip(&z, &p);
    z.b[z.n - 12] = 200; /* more entries than there are */
    T_CHECK(t_import_read(&z, &err) < 0);
    t_import_zip(&z, &p);
    z.b[8] = 8; /* local header says deflated, the directory stored */
    T_STATUS(t_import_read(&z, &err), MANGO_E_FORMAT);
    z.n = dir.n = 0; /* TorchScript */
    t_import_entry(&z, &dir, "a/data.pkl", p.b, p.n);
    t_import_entry(&z, &dir, "a/constants.pkl", p.b, p.n);
    t_import_end(&z, &dir, 2);
    T_STATUS(t_import_read(&z, &err), MANGO_E_UNSUPPORTED);
    z.n = dir.n = 0; /* no pickle */
    t_import_entry(&z, &dir, "a/x", p.b, p.n);
    t_import_end(&z, &dir, 1);
    T_STATUS(t_import_read(&z, &err), MANGO_E_FORMAT);
}

static void t_import_mistaken(void)
{
    static t_import_buf p;
    mango_err err;
    static const char lfs[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
    p.n = 0;
    t_import_op(&p, lfs);
    T_STATUS(t_import_read(&p, &err), MANGO_E_FORMAT);
    T_CHECK(strstr(err.text, "git lfs pull") != NULL);
    p.n = 0;
    t_import_op(&p, "<!DOCTYPE html>");
    T_STATUS(t_import_read(&p, &err), MANGO_E_FORMAT);
    p.n = 0;
    T_STATUS(t_import_read(&p, &err), MANGO_E_FORMAT);
    t_import_op(&p, "\x80\2N.");
    T_STATUS(t_import_read(&p, &err), MANGO_E_FORMAT);
}

/* The legacy format; returns where the object's pickle starts. */
static void t_import_legacy_head(t_import_buf *s)
{
    s->n = 0;
    t_import_put(s, "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.",
                 21);
    t_import_op(s, "\x80\2}(");
    t_import_str(s, "little_endian");
    t_import_op(s, "\x88u.");
}

static void t_import_legacy(void)
{
    static t_import_buf s, y;
    mango_pytorch *c;
    mango_err err;
    const float in[6] = {5, 4, 3, 2, 1, 0};
    float v[6];
    t_import_legacy_head(&s);
    t_import_op(&s, "\x80\2}(");
    t_import_str(&s, "epoch");
    t_import_int(&s, 3);
    t_import_str(&s, "state_dict");
    t_import_op(&s, "}(");
    t_import_str(&s, "w");
    t_import_tensor(&s, "77", 6, 0, 2, 3, 3, 1);
    t_import_op(&s, "uu.\x80\2]");
    t_import_str(&s, "77");
    t_import_op(&s, "a.");
    t_import_le(&s, 6, 8);
    t_import_put(&s, in, sizeof in);
    T_OK_OR_RETURN(mango_pytorch_parse(&c, s.b, s.n, "x", NULL, NULL, &err), &err);
    mango_pytorch_info info;
    T_STATUS(mango_pytorch_get(c, &info), MANGO_OK);
    T_STR(info.format, "legacy");
    T_STR(info.under, "state_dict");
    T_OK(mango_pytorch_floats(c, 0, v, &err), &err);
    if (mgi_little_endian())
        T_MEM(v, in, sizeof v);
    mango_pytorch_destroy(c);
    T_CHECK(t_oom_sweep(t_import_once, &s) > 5);
    for (mango_idx n = 0; n < s.n; n++) {
        memcpy(y.b, s.b, (size_t)n);
        y.n = n;
        T_CHECK(t_import_read(&y, &err) < 0);
        y = s;
        y.b[n] ^= 0x55;
        t_import_read(&y, &err);
    }
    y = s;
    t_import_op(&y, "x");
    T_CHECK(t_import_read(&y, &err) < 0);
}

/* The public checkpoints, where they are at hand. */
static void t_import_shared(void)
{
    const char *path = t_shared("weights/snn_cifar10.pt");
    mango_pytorch *c;
    mango_tensor t;
    mango_err err;
    float beta = 0;
    if (!path)
        T_SKIP("no shared weights");
    T_OK_OR_RETURN(mango_pytorch_open(&c, path, NULL, NULL, &err), &err);
    T_EQ(mango_pytorch_tensors(c), 24);
    for (mango_idx i = 0; i < mango_pytorch_tensors(c); i++) {
        T_REQUIRE(mango_pytorch_tensor(c, i, &t) == MANGO_OK);
        if (!strcmp(t.name, "spiking0.beta"))
            T_OK(mango_pytorch_floats(c, i, &beta, &err), &err);
    }
    T_NEAR(beta, 0.9, 1e-6);
    mango_pytorch_destroy(c);
}

/* The command: exit codes, and nothing written when it refuses. */
static void t_import_command(void)
{
    static t_import_buf p, z;
    const char *tool = t_tool(), *in = t_tmp("lie.pt"), *out = t_tmp("out.safetensors");
    const char *good = t_shared("weights/snn_cifar10.pt");
    char line[2048];
    if (!tool)
        T_SKIP("no command built");
    t_import_pickle(&p, 6, 1, 2, 3, 3, 1);
    t_import_zip(&z, &p);
    t_write(in, z.b, (size_t)z.n);
    snprintf(line, sizeof line, "%s import %s --arch snn_conv --out %s >/dev/null 2>&1",
             tool, in, out);
    T_EQ(system(line), 3 << 8);
    T_CHECK(!t_exists(out));
    t_import_pickle(&p, 6, 0, 2, 3, 3, 1); /* right, but of another network */
    t_import_zip(&z, &p);
    t_write(in, z.b, (size_t)z.n);
    T_EQ(system(line), 3 << 8);
    T_CHECK(!t_exists(out));
    if (!good)
        return;
    snprintf(line, sizeof line, "%s import %s --arch snn_conv --out %s >/dev/null 2>&1",
             tool, good, out);
    T_EQ(system(line), 0);
    mango_net *net = NULL;
    mango_err err;
    T_OK_OR_RETURN(mango_net_load(&net, out, NULL, &err), &err);
    T_STR(mango_net_meta_get(net, "source"), "snn_cifar10.pt");
    mango_net_destroy(net);
    snprintf(line, sizeof line, "%s import %s --arch resnet18 --out %s.2 >/dev/null 2>&1",
             tool, good, out);
    T_EQ(system(line), 3 << 8);
}

/* {"a": {"w": tensor}, "b": {"w": tensor}, "c": the first again}: left open; one is
 * selected. With "optimizer" in place of b: nothing to choose. */
static void t_import_choices(void)
{
    static t_import_buf p, z;
    for (int one = 0; one < 2; one++) {
        mango_pytorch *c = NULL;
        mango_pytorch_info info;
        mango_err err = {""};
        float v[6];
        p.n = 0;
        t_import_op(&p, "\x80\2}(");
        t_import_str(&p, "a");
        t_import_op(&p, "}q\1(");
        t_import_str(&p, "w");
        t_import_tensor(&p, "0", 6, 0, 2, 3, 3, 1);
        t_import_op(&p, "u");
        t_import_str(&p, one ? "optimizer" : "b");
        t_import_op(&p, "}(");
        t_import_str(&p, "w");
        t_import_tensor(&p, "0", 6, 0, 3, 2, 2, 1);
        t_import_op(&p, "u");
        t_import_str(&p, "c");
        t_import_op(&p, "h\1");
        t_import_str(&p, "when"); /* an object of a class that is not known */
        t_import_op(&p, "cdatetime\ndatetime\nU\1x\x85R");
        t_import_op(&p, "u.");
        t_import_zip(&z, &p);
        T_OK_OR_RETURN(mango_pytorch_parse(&c, z.b, z.n, "x", NULL, NULL, &err), &err);
        T_STATUS(mango_pytorch_get(c, &info), MANGO_OK);
        T_EQ(info.open, !one);
        T_EQ(mango_pytorch_tensors(c), one);
        T_EQ(mango_pytorch_choices(c), 3 - one);
        T_STR(mango_pytorch_choice(c, 0), "a");
        T_CHECK(mango_pytorch_choice(c, 3) == NULL);
        T_STATUS(mango_pytorch_select(c, "nothing", &err), MANGO_E_NAME);
        T_CHECK(strstr(err.text, "a, ") != NULL);
        T_OK(mango_pytorch_select(c, "c", &err), &err);
        T_EQ(mango_pytorch_tensors(c), 1);
        T_OK(mango_pytorch_floats(c, 0, v, &err), &err);
        T_NEAR(v[5], 5, 0);
        mango_pytorch_destroy(c);
    }
}

void t_import(void)
{
    T_CASE(t_import_choices);
    T_CASE(t_import_good);
    T_CASE(t_import_memory);
    T_CASE(t_import_damage);
    T_CASE(t_import_lies);
    T_CASE(t_import_names);
    T_CASE(t_import_bombs);
    T_CASE(t_import_archive);
    T_CASE(t_import_mistaken);
    T_CASE(t_import_legacy);
    T_CASE(t_import_shared);
    T_CASE(t_import_command);
}

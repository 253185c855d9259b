/* npy.c - NumPy's .npy files. The header is a Python dict in text form; only
 * the one shape that NumPy writes is understood, nothing is evaluated.
 * SPDX-License-Identifier: MIT */
#include "bytes.h"

enum { NPY_HEADER_MAX = 10000 };

static const struct {
    char descr[4];
    int size;
    const char *name;
} npy_types[MANGO_NPY_TYPES] = {
    {"<f4", 4, "float32"}, {"<f8", 8, "float64"}, {"|i1", 1, "int8"},   {"|u1", 1, "uint8"},
    {"<i2", 2, "int16"},   {"<i4", 4, "int32"},   {"<i8", 8, "int64"},  {"|b1", 1, "bool"},
    {"<f2", 2, "float16"}, {"<u2", 2, "uint16"},  {"<u4", 4, "uint32"}, {"<u8", 8, "uint64"}};

/* What the header says, and the cursor in it. */
typedef struct npy_header {
    const char *p, *end;
    int seen; /* bit 0 descr, 1 fortran_order, 2 shape */
    int fortran, big;
} npy_header;

static void npy_space(npy_header *h)
{
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t'))
        h->p++;
}

/* The character c, blanks before it skipped. */
static int npy_char(npy_header *h, char c)
{
    npy_space(h);
    if (h->p >= h->end || *h->p != c)
        return 0;
    h->p++;
    return 1;
}

/* The word z as it stands, blanks before it skipped. */
static int npy_word(npy_header *h, const char *z)
{
    size_t n = strlen(z);
    npy_space(h);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, z, n))
        return 0;
    h->p += n;
    return 1;
}

/* 'xxx' or "xxx", without escapes, of less than cap bytes. */
static int npy_string(npy_header *h, char *out, int cap)
{
    char quote = 0;
    int n = 0;
    if (npy_char(h, '\''))
        quote = '\'';
    else if (npy_char(h, '"'))
        quote = '"';
    if (!quote)
        return 0;
    while (h->p<h->end && * h->p != quote && * h->p> 31 && *h->p != '\\' && n < cap - 1)
        out[n++] = *h->p++;
    out[n] = 0;
    return h->p < h->end && *h->p++ == quote;
}

/* (3, 4), (3,) or (). */
static int npy_shape(npy_header *h, mango_npy *a)
{
    if (!npy_char(h, '('))
        return 0;
    a->rank = 0;
    while (!npy_char(h, ')')) {
        int64_t v = 0;
        int digits = 0;
        npy_space(h);
        while (h->p < h->end && *h->p >= '0' && *h->p <= '9' && ++digits < 18)
            v = 10 * v + (*h->p++ - '0');
        if (!digits || v > INT32_MAX || a->rank == MGI_RANK_MAX)
            return 0;
        a->shape[a->rank++] = (mango_idx)v;
        if (!npy_char(h, ',')) {
            if (a->rank == 1) /* "(3)" is a number, not a tuple */
                return 0;
            return npy_char(h, ')');
        }
    }
    return 1;
}

static mango_status npy_descr(npy_header *h, mango_npy *a, const char *what, mango_err *err)
{
    char z[32];
    if (!npy_string(h, z, (int)sizeof z))
        return mgi_fail(
            err, MANGO_E_UNSUPPORTED,
            "%s: structured or unreadable element type, one plain type expected", what);
    const int native = mgi_little_endian() ? '<' : '>';
    h->big = z[0] == '>' || (z[0] == '=' && native == '>');
    for (int t = 0; z[0] && strchr("<>=|", z[0]) && t < MANGO_NPY_TYPES; t++)
        if (!strcmp(z + 1, npy_types[t].descr + 1) && (z[0] != '|' || npy_types[t].size == 1)) {
            a->type = (mango_npy_type)t;
            return MANGO_OK;
        }
    return mgi_fail(err, MANGO_E_UNSUPPORTED,
                    "%s: element type '%s'%s; f2 f4 f8, i1 i2 i4 i8, u1 u2 u4 u8 or b1 "
                    "expected",
                    what, z,
                    strchr(z, 'O')   ? " (Python objects are never read)"
                    : strchr(z, 'c') ? " (complex)"
                    : strchr(z, 'U') || strchr(z, 'S') ? " (text)"
                                     : "");
}

/* One 'key': value. */
static mango_status npy_entry(npy_header *h, mango_npy *a, const char *what, mango_err *err)
{
    char key[32];
    int bit, good = 1;
    if (!npy_string(h, key, (int)sizeof key) || !npy_char(h, ':'))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: malformed header, 'key': value expected",
                        what);
    bit = !strcmp(key, "descr")           ? 1
          : !strcmp(key, "fortran_order") ? 2
          : !strcmp(key, "shape")         ? 4
                                          : 0;
    if (!bit || (h->seen & bit))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: header key '%s' is %s", what, key,
                        bit ? "there twice" : "not one of descr, fortran_order, shape");
    h->seen |= bit;
    if (bit == 1)
        return npy_descr(h, a, what, err);
    if (bit == 2) {
        h->fortran = npy_word(h, "True");
        good = h->fortran || npy_word(h, "False");
    } else {
        good = npy_shape(h, a);
    }
    return good ? MANGO_OK
                : mgi_fail(err, MANGO_E_FORMAT,
                           "%s: unreadable %s in its header (rank at most %d)", what, key,
                           MGI_RANK_MAX);
}

static mango_status npy_dict(npy_header *h, mango_npy *a, const char *what, mango_err *err)
{
    if (!npy_char(h, '{'))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: malformed header, { expected", what);
    while (!npy_char(h, '}')) {
        MGI_TRY(npy_entry(h, a, what, err));
        if (npy_char(h, ','))
            continue;
        if (!npy_char(h, '}'))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s: malformed header, comma or } expected", what);
        break;
    }
    npy_space(h);
    if (h->p != h->end || h->seen != 7)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: malformed header, descr, fortran_order and shape expected",
                        what);
    return MANGO_OK;
}

/* Where the header's text begins and ends; checked against n. */
static mango_status npy_frame(const unsigned char *bytes, mango_idx n, mango_idx *start,
                              mango_idx *len, const char *what, mango_err *err)
{
    if (n < 10 || memcmp(bytes, "\x93NUMPY", 6))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: not a .npy file", what);
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: .npy version %d.%d, 1.0 to 3.0 expected", what, (int)bytes[6],
                        (int)bytes[7]);
    *start = bytes[6] == 1 ? 10 : 12;
    if (n < *start)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: truncated after %ld bytes", what,
                        (long)n);
    uint32_t size = bytes[6] == 1 ? mgi_le16(bytes + 8) : mgi_le32(bytes + 8);
    if (size > NPY_HEADER_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: a header of %lu bytes, at most %d expected", what,
                        (unsigned long)size, NPY_HEADER_MAX);
    *len = (mango_idx)size;
    if (*len > n - *start)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: truncated in its header, after %ld bytes",
                        what, (long)n);
    return MANGO_OK;
}

/* An element of size bytes, big-endian or not, from or to this machine's order. */
static void npy_element(unsigned char *out, const unsigned char *in, int size, int big)
{
    const int same = mgi_little_endian() == !big;
    for (int b = 0; b < size; b++)
        out[b] = in[same ? b : size - 1 - b];
}

/* Copy the data; Fortran order has its first axis fastest. */
static void npy_copy(mango_npy *a, const unsigned char *in, int fortran, int big)
{
    const int size = npy_types[a->type].size;
    mango_idx at[MGI_RANK_MAX] = {0}, stride[MGI_RANK_MAX], from = 0, step = 1;
    unsigned char *out = (unsigned char *)a->data;
    if (!fortran || a->rank < 2) {
        if (size == 1 || mgi_little_endian() == !big)
            memcpy(out, in, (size_t)a->bytes);
        else
            for (mango_idx e = 0; e < a->count; e++)
                npy_element(out + e * size, in + e * size, size, big);
        return;
    }
    for (int r = 0; r < a->rank; r++, step *= a->shape[r - 1])
        stride[r] = step;
    for (mango_idx e = 0; e < a->count; e++) {
        npy_element(out + e * size, in + from * size, size, big);
        for (int r = a->rank - 1; r >= 0; r--) { /* the next index in C order */
            from += stride[r];
            if (++at[r] < a->shape[r])
                break;
            from -= stride[r] * a->shape[r];
            at[r] = 0;
        }
    }
}

mango_status mango_npy_parse(mango_npy *a, const unsigned char *bytes, mango_idx n,
                             const char *what, const mango_alloc *al, mango_err *err)
{
    mango_idx start = 0, len = 0;
    npy_header h;
    MGI_CHECK(err, a && what && n >= 0 && (bytes || n == 0),
              "mango_npy_parse: an array, bytes and their name expected");
    memset(a, 0, sizeof *a);
    memset(&h, 0, sizeof h);
    a->al = mgi_alloc_get(al);
    MGI_TRY(npy_frame(bytes, n, &start, &len, what, err));
    h.p = (const char *)bytes + start;
    h.end = h.p + len;
    MGI_TRY(npy_dict(&h, a, what, err));
    if (!mgi_prod(a->rank, a->shape, &a->count) ||
        !mgi_mul(a->count, npy_types[a->type].size, &a->bytes) ||
        a->bytes != n - start - len)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: its shape does not match its %ld bytes of data; truncated?",
                        what, (long)(n - start - len));
    if (a->type == MANGO_NPY_BOOL)
        for (mango_idx i = 0; i < a->bytes; i++)
            if (bytes[start + len + i] > 1)
                return mgi_fail(err, MANGO_E_FORMAT,
                                "%s: element %ld is %d, a boolean 0 or 1 expected", what,
                                (long)i, (int)bytes[start + len + i]);
    a->data = mgi_new(&a->al, a->bytes, 1);
    if (!a->data)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what,
                        (long)a->bytes);
    npy_copy(a, bytes + start + len, h.fortran, h.big);
    return MANGO_OK;
}

mango_status mango_npy_read(mango_npy *a, const char *path, const mango_alloc *alloc,
                            mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    MGI_CHECK(err, a && path, "mango_npy_read: an array and a path expected");
    memset(a, 0, sizeof *a);
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &bytes, &n, err));
    mango_status st = mango_npy_parse(a, bytes, n, path, &al, err);
    mgi_del(&al, bytes, n + 1, 1);
    return st;
}

void mango_npy_free(mango_npy *a)
{
    if (a && a->data)
        mgi_del(&a->al, a->data, a->bytes, 1);
    if (a)
        a->data = NULL;
}

/* Element i of an integer type; what int64 does not hold is its largest. */
static int64_t npy_whole(const mango_npy *a, const unsigned char *p)
{
    int16_t i2;
    int32_t i4;
    int64_t i8;
    uint16_t u2;
    uint32_t u4;
    uint64_t u8;
    switch (a->type) {
    case MANGO_NPY_I1: return p[0] < 128 ? p[0] : p[0] - 256;
    case MANGO_NPY_I2: memcpy(&i2, p, 2); return i2;
    case MANGO_NPY_I4: memcpy(&i4, p, 4); return i4;
    case MANGO_NPY_I8: memcpy(&i8, p, 8); return i8;
    case MANGO_NPY_U2: memcpy(&u2, p, 2); return u2;
    case MANGO_NPY_U4: memcpy(&u4, p, 4); return u4;
    case MANGO_NPY_U8: memcpy(&u8, p, 8); return u8 > INT64_MAX ? INT64_MAX : (int64_t)u8;
    default: return p[0];
    }
}

static int npy_is_real(const mango_npy *a)
{
    return a->type == MANGO_NPY_F4 || a->type == MANGO_NPY_F8 || a->type == MANGO_NPY_F2;
}

/* Element i: *v as a number, *k as an integer; false when it is none. */
static int npy_value(const mango_npy *a, mango_idx i, double *v, int64_t *k)
{
    const unsigned char *p = (const unsigned char *)a->data + i * npy_types[a->type].size;
    float f4;
    uint16_t f2;
    if (!npy_is_real(a)) {
        *k = npy_whole(a, p);
        *v = (double)*k;
        return a->type != MANGO_NPY_U8 || *k != INT64_MAX;
    }
    if (a->type == MANGO_NPY_F8) {
        memcpy(v, p, 8);
    } else if (a->type == MANGO_NPY_F4) {
        memcpy(&f4, p, 4);
        *v = (double)f4;
    } else {
        memcpy(&f2, p, 2);
        *v = (double)mgi_from_f16(f2);
    }
    if (!(*v >= -9007199254740992.0 && *v <= 9007199254740992.0)) /* 2^53; NaN too */
        return 0;
    *k = (int64_t)*v;
    return (double)*k == *v;
}

const char *mango_npy_type_name(mango_npy_type type)
{
    return type >= 0 && type < MANGO_NPY_TYPES ? npy_types[type].name : NULL;
}

mango_status mango_npy_floats(const mango_npy *a, float *out, mango_err *err)
{
    MGI_CHECK(err, a && a->data && out, "mango_npy_floats: an array that was read expected");
    for (mango_idx i = 0; i < a->count; i++) {
        double v;
        int64_t k = 0;
        npy_value(a, i, &v, &k);
        out[i] = (float)v;
        if (!npy_is_real(a) &&
            (k > 9007199254740992 || k < -9007199254740992 || (double)out[i] != (double)k))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "element %ld is %lld, which no float holds exactly", (long)i,
                            (long long)k);
    }
    return MANGO_OK;
}

mango_status mango_npy_ints(const mango_npy *a, mango_idx *out, mango_err *err)
{
    MGI_CHECK(err, a && a->data && out, "mango_npy_ints: an array that was read expected");
    for (mango_idx i = 0; i < a->count; i++) {
        double v;
        int64_t k = 0;
        if (!npy_value(a, i, &v, &k) || k > PTRDIFF_MAX || k < -PTRDIFF_MAX)
            return mgi_fail(err, MANGO_E_FORMAT, "element %ld is %g, an integer expected",
                            (long)i, v);
        out[i] = (mango_idx)k;
    }
    return MANGO_OK;
}

mango_status mango_npy_write(const char *path, mango_npy_type type, int rank,
                             const mango_idx *shape, const void *data, mango_err *err)
{
    mango_idx count, bytes;
    mango_status st;
    mgi_str s;
    MGI_CHECK(err, path && (rank == 0 || shape),
              "mango_npy_write: a path and a shape expected");
    if (type < 0 || type >= MANGO_NPY_TYPES || rank < 0 || rank > MGI_RANK_MAX ||
        !mgi_prod(rank, shape, &count) || !mgi_mul(count, npy_types[type].size, &bytes))
        return mgi_fail(err, MANGO_E_ARG, "%s: no such .npy type, rank or shape", path);
    mgi_str_init(&s, NULL);
    mgi_str_put(&s, "\x93NUMPY\1\0\0\0", 10);
    mgi_str_printf(&s, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                   npy_types[type].descr);
    for (int r = 0; r < rank; r++)
        mgi_str_printf(&s,
                       r + 1 < rank ? "%ld, "
                       : rank == 1  ? "%ld,"
                                    : "%ld",
                       (long)shape[r]);
    mgi_str_puts(&s, "), }");
    while (!s.bad && s.n % 64 != 63)
        mgi_str_put(&s, " ", 1);
    mgi_str_put(&s, "\n", 1);
    if (!s.bad) {
        s.p[8] = (char)((s.n - 10) & 255);
        s.p[9] = (char)((s.n - 10) >> 8);
    }
    const mango_idx start = s.n;
    if (bytes > 0)
        mgi_str_put(&s, (const char *)data, bytes);
    if (!s.bad && !mgi_little_endian())
        for (mango_idx e = 0; e < count; e++)
            npy_element((unsigned char *)s.p + start + e * npy_types[type].size,
                        (const unsigned char *)data + e * npy_types[type].size,
                        npy_types[type].size, 0);
    st = s.bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path)
               : mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}

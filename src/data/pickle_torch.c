/* pickle_torch.c - the names a checkpoint may import, as symbols: ordered
 * dicts, tensors, parameters, storages. Objects of other names are passed over.
 * SPDX-License-Identifier: MIT */
#include "pickle.h"

static const struct {
    const char *module, *name;
    mgi_pk_name id;
} pkt_names[] = {
    {"collections", "OrderedDict", MGI_PK_OF_DICT},
    {"collections", "defaultdict", MGI_PK_OF_DICT},
    {"torch._utils", "_rebuild_tensor_v2", MGI_PK_OF_TENSOR},
    {"torch._utils", "_rebuild_tensor", MGI_PK_OF_TENSOR},
    {"torch._utils", "_rebuild_tensor_v3", MGI_PK_OF_TENSOR3},
    {"torch._utils", "_rebuild_qtensor", MGI_PK_OF_TENSOR},
    {"torch._tensor", "_rebuild_from_type_v2", MGI_PK_OF_TYPED},
    {"torch._utils", "_rebuild_parameter", MGI_PK_OF_PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", MGI_PK_OF_PARAMETER},
    {"torch._utils", "_rebuild_sparse_tensor", MGI_PK_OF_UNREAD},
    {"torch._utils", "_rebuild_sparse_csr_tensor", MGI_PK_OF_UNREAD},
    {"torch._utils", "_rebuild_nested_tensor", MGI_PK_OF_UNREAD},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", MGI_PK_OF_UNREAD},
    {"torch._utils", "_rebuild_wrapper_subclass", MGI_PK_OF_UNREAD},
    {"torch.storage", "_load_from_bytes", MGI_PK_OF_UNREAD},
    {"numpy.core.multiarray", "_reconstruct", MGI_PK_OF_ARRAY},
    {"numpy._core.multiarray", "_reconstruct", MGI_PK_OF_ARRAY},
    {"numpy.core.numeric", "_frombuffer", MGI_PK_OF_BUFFER},
    {"numpy._core.numeric", "_frombuffer", MGI_PK_OF_BUFFER},
    {"numpy", "dtype", MGI_PK_OF_NPTYPE},
    {"_codecs", "encode", MGI_PK_OF_ENCODE},
};
/* Modules, and names of builtins, that no checkpoint has a use for and attacks do. */
static const char *const pkt_attack[] = {
    "os",         "posix",  "nt",     "subprocess", "sys",       "pty",
    "shutil",     "socket", "runpy",  "code",       "importlib", "ctypes",
    "webbrowser", "pdb",    "timeit", "commands",   "signal",    "bdb"};
static const char *const pkt_attack_builtin[] = {
    "eval", "exec",  "execfile", "compile",    "open",
    "file", "input", "apply",    "__import__", "breakpoint"};
static const char *const pkt_storages[MGI_PK_DTYPES] = {"FloatStorage",
                                                        "DoubleStorage",
                                                        "HalfStorage",
                                                        "BFloat16Storage",
                                                        "LongStorage",
                                                        "IntStorage",
                                                        "ShortStorage",
                                                        "CharStorage",
                                                        "ByteStorage",
                                                        "BoolStorage",
                                                        "",
                                                        "",
                                                        "",
                                                        "ComplexFloatStorage",
                                                        "ComplexDoubleStorage",
                                                        "QInt8Storage",
                                                        "QUInt8Storage",
                                                        "QInt32Storage",
                                                        "",
                                                        ""};
static const struct {
    const char *name, *numpy;
    int size;
} pkt_types[MGI_PK_DTYPES] = {
    {"float32", "f4", 4},       {"float64", "f8", 8},    {"float16", "f2", 2},
    {"bfloat16", NULL, 2},      {"int64", "i8", 8},      {"int32", "i4", 4},
    {"int16", "i2", 2},         {"int8", "i1", 1},       {"uint8", "u1", 1},
    {"bool", "b1", 1},          {"uint16", "u2", 2},     {"uint32", "u4", 4},
    {"uint64", "u8", 8},        {"complex64", NULL, 8},  {"complex128", NULL, 16},
    {"qint8", NULL, 1},         {"quint8", NULL, 1},     {"qint32", NULL, 4},
    {"float8_e4m3fn", NULL, 1}, {"float8_e5m2", NULL, 1}};

MGI_FN int mgi_pk_size(int dtype)
{
    return pkt_types[dtype].size;
}

MGI_FN const char *mgi_pk_type_name(int dtype)
{
    return pkt_types[dtype].name;
}

/* One element as a double; *whole is set for integers. */
MGI_FN double mgi_pk_element(const unsigned char *p, int dtype, int64_t *whole)
{
    uint32_t u4 = 0;
    uint64_t u8 = 0;
    float f4;
    double f8;
    switch ((mgi_pk_dtype)dtype) {
    case MGI_PK_F32:
        u4 = mgi_le32(p);
        memcpy(&f4, &u4, 4);
        return (double)f4;
    case MGI_PK_F64:
        u8 = mgi_le64(p);
        memcpy(&f8, &u8, 8);
        return f8;
    case MGI_PK_F16: return (double)mgi_from_f16((uint16_t)mgi_le16(p));
    case MGI_PK_BF16: return (double)mgi_from_bf16((uint16_t)mgi_le16(p));
    case MGI_PK_I64:
        u8 = mgi_le64(p);
        memcpy(whole, &u8, 8);
        break;
    case MGI_PK_I32:
        *whole = (int64_t)mgi_le32(p) - ((p[3] & 0x80) ? INT64_C(0x100000000) : 0);
        break;
    case MGI_PK_I16: *whole = (int64_t)mgi_le16(p) - ((p[1] & 0x80) ? 0x10000 : 0); break;
    case MGI_PK_I8: *whole = p[0] - ((p[0] & 0x80) ? 0x100 : 0); break;
    case MGI_PK_U16: *whole = (int64_t)mgi_le16(p); break;
    case MGI_PK_U32: *whole = (int64_t)mgi_le32(p); break;
    case MGI_PK_U64:
        u8 = mgi_le64(p);
        *whole = u8 > INT64_MAX ? INT64_MAX : (int64_t)u8;
        break;
    default: *whole = p[0]; break;
    }
    return (double)*whole;
}

static int pkt_is(const unsigned char *s, mango_idx n, const char *z)
{
    return n == (mango_idx)strlen(z) && !memcmp(s, z, (size_t)n);
}

MGI_FN int mgi_pk_numpy(const unsigned char *s, mango_idx n)
{
    for (int d = 0; d < MGI_PK_READ; d++)
        if (pkt_types[d].numpy && pkt_is(s, n, pkt_types[d].numpy))
            return d;
    return -1;
}

/* The first part of a dotted name is z. */
static int pkt_first(const unsigned char *s, mango_idx n, const char *z)
{
    const mango_idx k = (mango_idx)strlen(z);
    return n >= k && !memcmp(s, z, (size_t)k) && (n == k || s[k] == '.');
}

static int pkt_attacks(const unsigned char *module, mango_idx n_module,
                       const unsigned char *name, mango_idx n_name)
{
    for (mango_idx i = 0; i < MGI_COUNT(pkt_attack); i++)
        if (pkt_first(module, n_module, pkt_attack[i]))
            return 1;
    const int builtin =
        pkt_is(module, n_module, "builtins") || pkt_is(module, n_module, "__builtin__");
    for (mango_idx i = 0; builtin && i < MGI_COUNT(pkt_attack_builtin); i++)
        if (pkt_is(name, n_name, pkt_attack_builtin[i]))
            return 1;
    return 0;
}

MGI_FN mango_status mgi_pickle_name(mgi_pickle *k, const unsigned char *module,
                                    mango_idx n_module, const unsigned char *name,
                                    mango_idx n_name, mgi_pk_name *id, int32_t *dtype)
{
    const int torch = pkt_is(module, n_module, "torch");
    const int m = (int)MGI_MIN(n_module, 60), c = (int)MGI_MIN(n_name, 60);
    *dtype = -1;
    for (mango_idx i = 0; i < MGI_COUNT(pkt_names); i++)
        if (pkt_is(module, n_module, pkt_names[i].module) &&
            pkt_is(name, n_name, pkt_names[i].name)) {
            *id = pkt_names[i].id;
            return MANGO_OK;
        }
    *id = MGI_PK_OF_STORAGE;
    for (int32_t d = 0; d < MGI_PK_DTYPES; d++)
        if ((torch || pkt_is(module, n_module, "torch.cuda")) && *pkt_storages[d] &&
            pkt_is(name, n_name, pkt_storages[d])) {
            *dtype = d;
            return MANGO_OK;
        }
    if (pkt_is(module, n_module, "torch.storage") &&
        pkt_is(name, n_name, "UntypedStorage")) {
        *dtype = MGI_PK_U8;
        return MANGO_OK;
    }
    *id = MGI_PK_OF_OPAQUE;
    for (int32_t d = 0; torch && d < MGI_PK_DTYPES; d++)
        if (pkt_is(name, n_name, pkt_types[d].name))
            *dtype = d;
    if (!pkt_attacks(module, n_module, name, n_name))
        return MANGO_OK;
    return mgi_fail(
        k->err, MANGO_E_UNSUPPORTED,
        "%s: pickle, byte %ld: wants to import %.*s.%.*s, which no weights need; "
        "refused, nothing is run",
        k->what, (long)k->at, m, (const char *)module, c, (const char *)name);
}

/* An integer of value v in [0, max], or -1. */
static int64_t pkt_int(const mgi_pickle *k, int32_t v, int64_t max)
{
    return v >= 0 && k->v[v].kind == MGI_PK_INT && k->v[v].i >= 0 && k->v[v].i <= max
               ? k->v[v].i
               : -1;
}

/* (view key, first element, elements), or None: the whole storage. */
static mango_status pkt_view(mgi_pickle *k, int32_t view, int32_t storage)
{
    int64_t first = pkt_int(k, mgi_pickle_item(k, view, 1), MGI_FILE_MAX);
    int64_t count = pkt_int(k, mgi_pickle_item(k, view, 2), MGI_FILE_MAX);
    if (view < 0 || k->v[view].kind == MGI_PK_NONE)
        return MANGO_OK;
    if (first < 0 || count < 0 || first > k->v[storage].i - count)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a storage view outside its storage");
    MGI_TRY(mgi_pickle_grow(k, &k->view, &k->cap_view, k->n_view + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->view, "too many storage views"));
    k->view[k->n_view].first = first;
    k->view[k->n_view].count = count;
    k->v[storage].head = (int32_t)k->n_view++;
    return MANGO_OK;
}

/* ('storage', torch.XStorage, key, place, elements[, view]) */
MGI_FN mango_status mgi_pickle_storage(mgi_pickle *k, int32_t id, int32_t *out)
{
    const int32_t type = mgi_pickle_item(k, id, 1), key = mgi_pickle_item(k, id, 2);
    const int64_t numel = pkt_int(k, mgi_pickle_item(k, id, 4), MGI_FILE_MAX);
    if (mgi_pickle_is(k, mgi_pickle_item(k, id, 0), "module"))
        return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                        "%s: holds a whole pickled module; save its state_dict() with "
                        "torch.save, or use mango_export.py",
                        k->what);
    if (!mgi_pickle_is(k, mgi_pickle_item(k, id, 0), "storage") || type < 0 || key < 0 ||
        k->v[type].kind != MGI_PK_NAME || k->v[type].i != MGI_PK_OF_STORAGE ||
        k->v[key].kind != MGI_PK_STRING || k->v[key].n < 1 || k->v[key].n > 64 || numel < 0)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a malformed reference to a storage");
    for (mango_idx i = 0; i < k->v[key].n; i++) {
        const unsigned char c = k->v[key].s[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '_')
            return mgi_pickle_bad(k, MANGO_E_FORMAT,
                                  "a storage key of other than letters and digits");
    }
    MGI_TRY(mgi_pickle_new(k, MGI_PK_STORAGE, out));
    k->v[*out].what = k->v[type].what;
    k->v[*out].i = numel;
    k->v[*out].s = k->v[key].s;
    k->v[*out].n = k->v[key].n;
    return pkt_view(k, mgi_pickle_item(k, id, 5), *out);
}

/* (storage, offset, sizes, strides, ...): checked further when it is read. */
static mango_status pkt_tensor(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t storage = mgi_pickle_item(k, args, 0), size = mgi_pickle_item(k, args, 2);
    const int32_t stride = mgi_pickle_item(k, args, 3);
    const int64_t offset = pkt_int(k, mgi_pickle_item(k, args, 1), MGI_FILE_MAX);
    if (storage >= 0 && k->v[storage].kind == MGI_PK_OPAQUE) { /* made by pickle.dump */
        MGI_TRY(mgi_pickle_new(k, MGI_PK_OPAQUE, out));
        k->v[*out].head = k->v[storage].head;
        k->v[*out].i = 1;
        return MANGO_OK;
    }
    if (storage < 0 || k->v[storage].kind != MGI_PK_STORAGE || offset < 0 || size < 0 ||
        stride < 0 || k->v[size].kind != MGI_PK_TUPLE ||
        k->v[stride].kind != MGI_PK_TUPLE || k->v[size].n != k->v[stride].n)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a malformed tensor");
    MGI_TRY(mgi_pickle_new(k, MGI_PK_TENSOR, out));
    k->v[*out].what = storage;
    k->v[*out].i = offset;
    k->v[*out].head = size;
    k->v[*out].tail = stride;
    return MANGO_OK;
}

/* (bytes, offset, sizes, strides, requires_grad, hooks, dtype, ...) */
static mango_status pkt_tensor3(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t type = mgi_pickle_item(k, args, 6);
    if (type < 0 || k->v[type].kind != MGI_PK_NAME || k->v[type].what < 0)
        return mgi_pickle_bad(k, MANGO_E_UNSUPPORTED,
                              "a tensor of an unknown element type");
    MGI_TRY(pkt_tensor(k, args, out));
    if (k->v[*out].kind == MGI_PK_TENSOR)
        k->v[*out].n = k->v[type].what + 1;
    return MANGO_OK;
}

/* OrderedDict() or OrderedDict([[key, value], ...]), Python 2's form; defaultdict(type). */
static mango_status pkt_dict(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t list = mgi_pickle_item(k, args, 0);
    MGI_TRY(mgi_pickle_new(k, MGI_PK_DICT, out));
    if (list < 0 || k->v[list].kind == MGI_PK_NAME || k->v[list].kind == MGI_PK_OPAQUE ||
        k->v[list].kind == MGI_PK_NONE)
        return MANGO_OK;
    if (k->v[list].kind != MGI_PK_LIST)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a dict from something that is no list");
    for (int32_t c = k->v[list].head; c >= 0; c = k->cell[c].next) {
        int32_t key = mgi_pickle_item(k, k->cell[c].v, 0),
                v = mgi_pickle_item(k, k->cell[c].v, 1);
        if (key < 0 || v < 0)
            return mgi_pickle_bad(k, MANGO_E_FORMAT,
                                  "a dict from something else than pairs");
        MGI_TRY(mgi_pickle_link(k, *out, key, v));
    }
    return MANGO_OK;
}

/* An object that is passed over: head its name. */
static mango_status pkt_opaque(mgi_pickle *k, int32_t f, int unread, int32_t *out)
{
    MGI_TRY(mgi_pickle_new(k, MGI_PK_OPAQUE, out));
    k->v[*out].head = k->v[f].kind == MGI_PK_NAME ? f : -1;
    k->v[*out].i = unread;
    return MANGO_OK;
}

/* ---- NumPy ---- */

static int pkt_kind(const mgi_pickle *k, int32_t v, mgi_pk_kind kind)
{
    return v >= 0 && k->v[v].kind == kind;
}

/* dtype('f4', False, True) */
static mango_status pkt_nptype(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t descr = mgi_pickle_item(k, args, 0);
    MGI_TRY(mgi_pickle_new(k, MGI_PK_NPTYPE, out));
    if (!pkt_kind(k, descr, MGI_PK_STRING))
        return MANGO_OK; /* structured: no type that is read */
    k->v[*out].s = k->v[descr].s;
    k->v[*out].n = k->v[descr].n;
    return MANGO_OK;
}

/* encode(text, 'latin1'): how bytes are written for Python 2. */
static mango_status pkt_encode(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t text = mgi_pickle_item(k, args, 0);
    if (!pkt_kind(k, text, MGI_PK_STRING) ||
        !mgi_pickle_is(k, mgi_pickle_item(k, args, 1), "latin1"))
        return mgi_pickle_new(k, MGI_PK_OPAQUE, out);
    MGI_TRY(mgi_pickle_new(k, MGI_PK_BYTES, out));
    k->v[*out].s = k->v[text].s;
    k->v[*out].n = k->v[text].n;
    k->v[*out].what = 1;
    return MANGO_OK;
}

/* Shape, type, order and bytes of an array, when they are of the right kinds. */
static void pkt_array(mgi_pickle *k, int32_t a, int32_t shape, int32_t type,
                      int64_t fortran, int32_t bytes)
{
    if (!pkt_kind(k, shape, MGI_PK_TUPLE) || !pkt_kind(k, type, MGI_PK_NPTYPE) ||
        bytes < 0 ||
        (k->v[bytes].kind != MGI_PK_BYTES && k->v[bytes].kind != MGI_PK_STRING))
        return;
    k->v[a].head = shape;
    k->v[a].what = type;
    k->v[a].i = fortran;
    k->v[a].tail = bytes;
}

/* _frombuffer(bytes, dtype, shape, 'C' or 'F') */
static mango_status pkt_buffer(mgi_pickle *k, int32_t args, int32_t *out)
{
    MGI_TRY(mgi_pickle_new(k, MGI_PK_ARRAY, out));
    pkt_array(k, *out, mgi_pickle_item(k, args, 2), mgi_pickle_item(k, args, 1),
              mgi_pickle_is(k, mgi_pickle_item(k, args, 3), "F"),
              mgi_pickle_item(k, args, 0));
    return MANGO_OK;
}

MGI_FN mango_status mgi_pickle_state(mgi_pickle *k, int32_t v, int32_t state)
{
    const int32_t order = mgi_pickle_item(k, state, 1), f = mgi_pickle_item(k, state, 3);
    switch (k->v[v].kind) {
    case MGI_PK_NPTYPE: /* (version, '<', ...) */
        k->v[v].i = mgi_pickle_is(k, order, ">");
        return MANGO_OK;
    case MGI_PK_ARRAY: /* (version, shape, dtype, fortran, bytes) */
        pkt_array(k, v, order, mgi_pickle_item(k, state, 2), f >= 0 ? k->v[f].i : 0,
                  mgi_pickle_item(k, state, 4));
        return MANGO_OK;
    case MGI_PK_DICT:
    case MGI_PK_TENSOR:
    case MGI_PK_OPAQUE: return MANGO_OK;
    default:
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "sets the state of something that has none");
    }
}

/* ---- calls ---- */

/* _rebuild_from_type_v2(function, type, args, state): a tensor that has attributes. */
static mango_status pkt_typed(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t f = mgi_pickle_item(k, args, 0), a = mgi_pickle_item(k, args, 2);
    if (!pkt_kind(k, f, MGI_PK_NAME) || !pkt_kind(k, a, MGI_PK_TUPLE))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a malformed tensor");
    switch ((mgi_pk_name)k->v[f].i) {
    case MGI_PK_OF_TENSOR: return pkt_tensor(k, a, out);
    case MGI_PK_OF_TENSOR3: return pkt_tensor3(k, a, out);
    default: return pkt_opaque(k, f, 1, out);
    }
}

static mango_status pkt_parameter(mgi_pickle *k, int32_t args, int32_t *out)
{
    *out = mgi_pickle_item(k, args, 0);
    return pkt_kind(k, *out, MGI_PK_TENSOR) || pkt_kind(k, *out, MGI_PK_OPAQUE)
               ? MANGO_OK
               : mgi_pickle_bad(k, MANGO_E_FORMAT, "a parameter without its tensor");
}

MGI_FN mango_status mgi_pickle_call(mgi_pickle *k, int32_t f, int32_t args, int32_t *out)
{
    if (k->v[args].kind != MGI_PK_TUPLE)
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "calls something with other than arguments");
    if (k->v[f].kind == MGI_PK_OPAQUE)
        return pkt_opaque(k, f, 0, out);
    if (k->v[f].kind != MGI_PK_NAME)
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "calls something that is no imported name");
    switch ((mgi_pk_name)k->v[f].i) {
    case MGI_PK_OF_DICT: return pkt_dict(k, args, out);
    case MGI_PK_OF_TENSOR: return pkt_tensor(k, args, out);
    case MGI_PK_OF_TENSOR3: return pkt_tensor3(k, args, out);
    case MGI_PK_OF_TYPED: return pkt_typed(k, args, out);
    case MGI_PK_OF_PARAMETER: return pkt_parameter(k, args, out);
    case MGI_PK_OF_STORAGE: return mgi_pickle_bad(k, MANGO_E_FORMAT, "calls a storage");
    case MGI_PK_OF_ARRAY: return mgi_pickle_new(k, MGI_PK_ARRAY, out);
    case MGI_PK_OF_BUFFER: return pkt_buffer(k, args, out);
    case MGI_PK_OF_NPTYPE: return pkt_nptype(k, args, out);
    case MGI_PK_OF_ENCODE: return pkt_encode(k, args, out);
    case MGI_PK_OF_UNREAD: return pkt_opaque(k, f, 1, out);
    default: return pkt_opaque(k, f, 0, out);
    }
}

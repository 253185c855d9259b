/* pickle_torch.c - the names a checkpoint may import, as symbols: ordered
 * dicts, tensors, parameters, storages. The rest is refused by name.
 * SPDX-License-Identifier: MIT */
#include "pickle.h"

static const struct {
    const char *module, *name;
    mgi_pk_name id;
} pkt_names[] = {
    {"collections", "OrderedDict", MGI_PK_OF_DICT},
    {"torch._utils", "_rebuild_tensor_v2", MGI_PK_OF_TENSOR},
    {"torch._utils", "_rebuild_tensor", MGI_PK_OF_TENSOR},
    {"torch._utils", "_rebuild_parameter", MGI_PK_OF_PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", MGI_PK_OF_PARAMETER},
    /* Of no use here, but beside the weights in training checkpoints (options,
     * schedules, best scores). Plain data classes: kept as an opaque value. */
    {"argparse", "Namespace", MGI_PK_OF_OPAQUE},
    {"collections", "defaultdict", MGI_PK_OF_OPAQUE},
    {"collections", "Counter", MGI_PK_OF_OPAQUE},
    {"torch", "Size", MGI_PK_OF_OPAQUE},
    {"torch", "device", MGI_PK_OF_OPAQUE},
    {"numpy", "dtype", MGI_PK_OF_OPAQUE},
    {"numpy.core.multiarray", "scalar", MGI_PK_OF_OPAQUE},
    {"numpy._core.multiarray", "scalar", MGI_PK_OF_OPAQUE},
    {"_codecs", "encode", MGI_PK_OF_OPAQUE},
};
static const char *const pkt_builtins[] = {"set",   "frozenset", "list", "dict", "int",
                                           "float", "bool",      "str",  "tuple"};
static const char *const pkt_storages[MGI_PK_DTYPES] = {
    "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage",
    "IntStorage",   "ShortStorage",  "CharStorage", "ByteStorage",     "BoolStorage"};
static const struct {
    const char *name;
    int size;
} pkt_types[MGI_PK_DTYPES] = {
    {"float32", 4}, {"float64", 8}, {"float16", 2}, {"bfloat16", 2}, {"int64", 8},
    {"int32", 4},   {"int16", 2},   {"int8", 1},    {"uint8", 1},    {"bool", 1}};

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
    default: *whole = p[0]; break;
    }
    return (double)*whole;
}

static int pkt_is(const unsigned char *s, mango_idx n, const char *z)
{
    return n == (mango_idx)strlen(z) && !memcmp(s, z, (size_t)n);
}

static int pkt_begins(const unsigned char *s, mango_idx n, const char *z)
{
    return n >= (mango_idx)strlen(z) && !memcmp(s, z, strlen(z));
}

/* Why this name is not read: one line, with the name. */
static mango_status pkt_refuse(mgi_pickle *k, const unsigned char *module,
                               mango_idx n_module, const unsigned char *name,
                               mango_idx n_name)
{
    const int whole = pkt_begins(module, n_module, "torch.nn") ||
                      pkt_begins(module, n_module, "__main__") ||
                      pkt_begins(module, n_module, "torchvision") ||
                      pkt_begins(module, n_module, "snntorch") ||
                      pkt_begins(module, n_module, "spikingjelly");
    const int m = (int)MGI_MIN(n_module, 60), c = (int)MGI_MIN(n_name, 60);
    if (whole)
        return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                        "%s: holds a whole pickled module (%.*s.%.*s), which only its code "
                        "could rebuild; "
                        "save its state_dict() instead",
                        k->what, m, (const char *)module, c, (const char *)name);
    return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                    "%s: pickle, byte %ld: wants to import %.*s.%.*s; refused, only "
                    "tensors are read and "
                    "nothing is run",
                    k->what, (long)k->at, m, (const char *)module, c, (const char *)name);
}

MGI_FN mango_status mgi_pickle_name(mgi_pickle *k, const unsigned char *module,
                                    mango_idx n_module, const unsigned char *name,
                                    mango_idx n_name, mgi_pk_name *id, int32_t *dtype)
{
    const int torch = pkt_is(module, n_module, "torch");
    for (mango_idx i = 0; i < MGI_COUNT(pkt_names); i++)
        if (pkt_is(module, n_module, pkt_names[i].module) &&
            pkt_is(name, n_name, pkt_names[i].name)) {
            *id = pkt_names[i].id;
            return MANGO_OK;
        }
    for (int32_t d = 0; d < MGI_PK_DTYPES; d++)
        if ((torch || pkt_is(module, n_module, "torch.cuda")) &&
            pkt_is(name, n_name, pkt_storages[d])) {
            *id = MGI_PK_OF_STORAGE;
            *dtype = d;
            return MANGO_OK;
        }
    *id = MGI_PK_OF_OPAQUE;
    for (mango_idx i = 0; torch && i < MGI_COUNT(pkt_types); i++)
        if (pkt_is(name, n_name, pkt_types[i].name))
            return MANGO_OK;
    const int builtin =
        pkt_is(module, n_module, "builtins") || pkt_is(module, n_module, "__builtin__");
    for (mango_idx i = 0; builtin && i < MGI_COUNT(pkt_builtins); i++)
        if (pkt_is(name, n_name, pkt_builtins[i]))
            return MANGO_OK;
    return pkt_refuse(k, module, n_module, name, n_name);
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
                        "%s: holds a whole pickled module; save its state_dict() instead",
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

/* OrderedDict() or OrderedDict([[key, value], ...]), Python 2's form. */
static mango_status pkt_dict(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t list = mgi_pickle_item(k, args, 0);
    MGI_TRY(mgi_pickle_new(k, MGI_PK_DICT, out));
    if (list < 0)
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

MGI_FN mango_status mgi_pickle_call(mgi_pickle *k, int32_t f, int32_t args, int32_t *out)
{
    if (k->v[f].kind != MGI_PK_NAME || k->v[args].kind != MGI_PK_TUPLE)
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "calls something that is no imported name");
    switch ((mgi_pk_name)k->v[f].i) {
    case MGI_PK_OF_DICT: return pkt_dict(k, args, out);
    case MGI_PK_OF_TENSOR: return pkt_tensor(k, args, out);
    case MGI_PK_OF_PARAMETER:
        *out = mgi_pickle_item(k, args, 0);
        return *out >= 0 && k->v[*out].kind == MGI_PK_TENSOR
                   ? MANGO_OK
                   : mgi_pickle_bad(k, MANGO_E_FORMAT, "a parameter without its tensor");
    case MGI_PK_OF_OPAQUE: return mgi_pickle_new(k, MGI_PK_OPAQUE, out);
    default: return mgi_pickle_bad(k, MANGO_E_FORMAT, "calls a storage");
    }
}

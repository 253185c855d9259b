/* pickle.h - a walker over pickles that never runs anything: opcodes of a
 * fixed list build plain values; the few names that a PyTorch checkpoint needs
 * are symbols; objects of every other name are passed over unread, but names
 * that only an attack has a use for, and every other opcode, are refused.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_PICKLE_H
#define MGI_PICKLE_H

#include "bytes.h"

typedef enum mgi_pk_kind {
    MGI_PK_NONE,
    MGI_PK_BOOL,
    MGI_PK_INT,  /* i */
    MGI_PK_LONG, /* a whole number of over 8 bytes: s, n little-endian */
    MGI_PK_FLOAT,
    MGI_PK_STRING,
    MGI_PK_BYTES, /* s, n: into the pickle; what 1: each byte as a character, in UTF-8 */
    MGI_PK_TUPLE,
    MGI_PK_LIST, /* n items from cell head on */
    MGI_PK_DICT, /* n pairs from cell head on */
    MGI_PK_NAME, /* an imported name: i is one of mgi_pk_name, s and n, its module tail */
    MGI_PK_STORAGE, /* i numel, what dtype, s and n key, view offset in head's place */
    MGI_PK_TENSOR, /* i offset in elements, what storage, head sizes, tail strides (values);
                      n: its dtype + 1 when that is not the storage's, else 0 */
    MGI_PK_NPTYPE, /* NumPy's dtype: s, n ("f4"), i 1: big-endian */
    MGI_PK_ARRAY,  /* NumPy's: what dtype, head shape, tail bytes (values; -1: not yet), i 1:
                      Fortran order */
    MGI_PK_OPAQUE  /* an object that is passed over: head its name, -1: none; i 1: a tensor
                      of a kind that is not read */
} mgi_pk_kind;
typedef struct mgi_pk_value {
    mgi_pk_kind kind;
    int32_t what, head, tail;
    int64_t i;
    const unsigned char *s;
    mango_idx n;
} mgi_pk_value;
/* A link of a container: value v, for dicts under key k; next -1 at the end. */
typedef struct mgi_pk_cell {
    int32_t k, v, next;
} mgi_pk_cell;
/* A view into a storage of the legacy format: first element and number. The
 * value's head is its index here, -1 for a whole storage. */
typedef struct mgi_pk_view {
    int64_t first, count;
} mgi_pk_view;

/* Element types of storages, in this order. */
typedef enum mgi_pk_dtype {
    MGI_PK_F32,
    MGI_PK_F64,
    MGI_PK_F16,
    MGI_PK_BF16,
    MGI_PK_I64,
    MGI_PK_I32,
    MGI_PK_I16,
    MGI_PK_I8,
    MGI_PK_U8,
    MGI_PK_B8,
    MGI_PK_U16,
    MGI_PK_U32,
    MGI_PK_U64,
    MGI_PK_READ, /* those below are known, and not read */
    MGI_PK_C64 = MGI_PK_READ,
    MGI_PK_C128,
    MGI_PK_QI8,
    MGI_PK_QU8,
    MGI_PK_QI32,
    MGI_PK_F8A,
    MGI_PK_F8B,
    MGI_PK_DTYPES
} mgi_pk_dtype;

/* The type that NumPy calls so ("f4"), -1: none that is read. */
MGI_FN int mgi_pk_numpy(const unsigned char *s, mango_idx n);
/* Bytes of an element, PyTorch's name of the type, and the element at p as a
 * double (*whole is set for integers and booleans). */
MGI_FN int mgi_pk_size(int dtype);
MGI_FN const char *mgi_pk_type_name(int dtype);
MGI_FN double mgi_pk_element(const unsigned char *p, int dtype, int64_t *whole);

#define MGI_PK_BYTES_MAX ((mango_idx)64 << 20) /* of one pickle          */
#define MGI_PK_VALUES_MAX (1 << 21)            /* values; cells; memo slots */
#define MGI_PK_STACK_MAX (1 << 16)
#define MGI_PK_DEPTH_MAX 1024 /* open marks              */

typedef struct mgi_pickle {
    mango_alloc al;
    const char *what;       /* names the file in messages */
    const unsigned char *p; /* the pickle, n bytes, at the opcode at */
    mango_idx n, at;
    mgi_pk_value *v;
    mgi_pk_cell *cell;
    mgi_pk_view *view;
    int32_t *memo, *stack, *mark;
    mango_idx n_v, cap_v, n_cell, cap_cell, n_view, cap_view, n_memo, cap_memo;
    mango_idx n_stack, cap_stack, n_mark, cap_mark;
    mango_err *err;
} mgi_pickle;

/* mgi_pickle_run - walk one pickle at the start of p[n): its value's index in
 * *root, the bytes it takes in *used. Values point into p. May be run again
 * on the same walker for a pickle that follows; values are kept, memo and
 * stack start anew. */
MGI_FN void mgi_pickle_init(mgi_pickle *k, const char *what, const mango_alloc *al);
MGI_FN mango_status mgi_pickle_run(mgi_pickle *k, const unsigned char *p, mango_idx n,
                                   int32_t *root, mango_idx *used, mango_err *err);
MGI_FN void mgi_pickle_free(mgi_pickle *k);
/* The value under a string key of a dict, -1 when there is none (last one wins). */
MGI_FN int32_t mgi_pickle_get(const mgi_pickle *k, int32_t dict, const char *key);
/* Is value v the string z? */
MGI_FN int mgi_pickle_is(const mgi_pickle *k, int32_t v, const char *z);
/* Item i of a tuple or list, -1 when there is none. */
MGI_FN int32_t mgi_pickle_item(const mgi_pickle *k, int32_t list, mango_idx i);

/* Names: what an import stands for. */
typedef enum mgi_pk_name {
    MGI_PK_OF_DICT,
    MGI_PK_OF_TENSOR,
    MGI_PK_OF_TENSOR3, /* _rebuild_tensor_v3: bytes and a dtype */
    MGI_PK_OF_TYPED,   /* _rebuild_from_type_v2: a tensor and what else it has */
    MGI_PK_OF_PARAMETER,
    MGI_PK_OF_STORAGE,
    MGI_PK_OF_UNREAD, /* rebuilds a tensor of a kind that is not read */
    MGI_PK_OF_ARRAY,
    MGI_PK_OF_BUFFER, /* an array from bytes, dtype, shape, order */
    MGI_PK_OF_NPTYPE,
    MGI_PK_OF_ENCODE, /* text to bytes */
    MGI_PK_OF_OPAQUE
} mgi_pk_name;
/* What MODULE.NAME stands for; *dtype for storages and for torch.float32 and the like,
 * else -1. Refused names: a message that says the name and why. */
MGI_FN mango_status mgi_pickle_name(mgi_pickle *k, const unsigned char *module,
                                    mango_idx n_module, const unsigned char *name,
                                    mango_idx n_name, mgi_pk_name *id, int32_t *dtype);
/* Call of name `f` with the tuple `args`, or a persistent id: the new value. */
MGI_FN mango_status mgi_pickle_call(mgi_pickle *k, int32_t f, int32_t args, int32_t *out);
MGI_FN mango_status mgi_pickle_storage(mgi_pickle *k, int32_t id, int32_t *out);
/* The state of object v, which only arrays and NumPy's types make use of. */
MGI_FN mango_status mgi_pickle_state(mgi_pickle *k, int32_t v, int32_t state);

/* Building blocks shared by pickle.c and pickle_torch.c. */
MGI_FN mango_status mgi_pickle_bad(mgi_pickle *k, mango_status st, const char *why);
MGI_FN mango_status mgi_pickle_new(mgi_pickle *k, mgi_pk_kind kind, int32_t *out);
MGI_FN mango_status mgi_pickle_link(mgi_pickle *k, int32_t container, int32_t key,
                                    int32_t v);
MGI_FN mango_status mgi_pickle_grow(mgi_pickle *k, void *array, mango_idx *cap,
                                    mango_idx need, mango_idx max, size_t size,
                                    const char *too_many);

#endif

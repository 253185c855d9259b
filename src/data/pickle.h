/* pickle.h - a walker over pickles that never runs anything: opcodes of a
 * fixed list build plain values; the few names that a PyTorch checkpoint needs
 * are symbols; every other name, and every other opcode, is refused.
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
    MGI_PK_BYTES, /* s, n: into the pickle */
    MGI_PK_TUPLE,
    MGI_PK_LIST, /* n items from cell head on */
    MGI_PK_DICT, /* n pairs from cell head on */
    MGI_PK_NAME, /* an imported name: i is one of mgi_pk_name */
    MGI_PK_STORAGE, /* i numel, what dtype, s and n key, view offset in head's place */
    MGI_PK_TENSOR, /* i offset in elements, what storage, head sizes, tail strides (values) */
    MGI_PK_OPAQUE /* known to be harmless and of no use here */
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
    MGI_PK_DTYPES
} mgi_pk_dtype;

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
    MGI_PK_OF_PARAMETER,
    MGI_PK_OF_STORAGE,
    MGI_PK_OF_OPAQUE
} mgi_pk_name;
/* What MODULE.NAME stands for; *dtype for storages. Refused names: a message
 * that says the name and why. */
MGI_FN mango_status mgi_pickle_name(mgi_pickle *k, const unsigned char *module,
                                    mango_idx n_module, const unsigned char *name,
                                    mango_idx n_name, mgi_pk_name *id, int32_t *dtype);
/* Call of name `f` with the tuple `args`, or a persistent id: the new value. */
MGI_FN mango_status mgi_pickle_call(mgi_pickle *k, int32_t f, int32_t args, int32_t *out);
MGI_FN mango_status mgi_pickle_storage(mgi_pickle *k, int32_t id, int32_t *out);

/* Building blocks shared by pickle.c and pickle_torch.c. */
MGI_FN mango_status mgi_pickle_bad(mgi_pickle *k, mango_status st, const char *why);
MGI_FN mango_status mgi_pickle_new(mgi_pickle *k, mgi_pk_kind kind, int32_t *out);
MGI_FN mango_status mgi_pickle_link(mgi_pickle *k, int32_t container, int32_t key,
                                    int32_t v);
MGI_FN mango_status mgi_pickle_grow(mgi_pickle *k, void *array, mango_idx *cap,
                                    mango_idx need, mango_idx max, size_t size,
                                    const char *too_many);

#endif

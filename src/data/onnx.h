/* onnx.h - private parts of the ONNX reader: the model as the file has it, and its
 * translation into a graph's text and named tensors.
 *
 * A value of the model is an array (constant) or a map (depends on the input). A map is a
 * layer of our graph, of shape (C,H,W), seen in ONNX's axes: its elements in (N,C,H,W)
 * order are an index of mixed radix, whose digits are called atoms here, 0 being N; an
 * axis of ONNX is a list of atoms. So Reshape, Transpose, Squeeze and their like change
 * the view and compute nothing; what needs the values in another order asks for it
 * (mgi_ox_bring), and only then layers that move values are written.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_ONNX_H
#define MGI_ONNX_H

#include "protobuf.h"

#define MGI_OX_NODES 16384
#define MGI_OX_VALUES 65536
#define MGI_OX_TENSORS 4096
#define MGI_OX_LAYERS 1024
#define MGI_OX_ATOMS 24
#define MGI_OX_NAME 256
#define MGI_OX_LAYER 96                    /* bytes of a layer's name, NUL included */
#define MGI_OX_MAP ((mango_idx)1 << 26)    /* values of a map */
#define MGI_OX_FOLDED ((mango_idx)1 << 28) /* bytes of all constants that are computed */
#define MGI_OX_BATCH                                                                       \
    7919 /* stands for a batch size that is open: a prime, so that it is
                             found again in a product of sizes */

/* Element types, as the format numbers them. */
enum {
    MGI_OX_F32 = 1,
    MGI_OX_U8,
    MGI_OX_I8,
    MGI_OX_U16,
    MGI_OX_I16,
    MGI_OX_I32,
    MGI_OX_I64,
    MGI_OX_TEXT,
    MGI_OX_BOOL,
    MGI_OX_F16,
    MGI_OX_F64,
    MGI_OX_U32,
    MGI_OX_U64,
    MGI_OX_BF16 = 16
};

/* A constant: strides are in elements, 0 where values repeat. */
typedef struct mgi_ox_array {
    int type, rank;
    mango_idx dim[MGI_RANK_MAX], stride[MGI_RANK_MAX], count;
    const unsigned char *p; /* the first element, little-endian */
} mgi_ox_array;

typedef struct mgi_ox_map {
    int layer, rank;
    int atoms;                    /* 0: N, then those of C, of H, of W */
    mango_idx size[MGI_OX_ATOMS]; /* of each, > 1 but for N */
    int seq[MGI_OX_ATOMS];        /* atoms in ONNX's order, ... */
    int cut[MGI_RANK_MAX + 1];    /* ... axis k: seq[cut[k]] .. seq[cut[k + 1] - 1] */
    int whole;                    /* of whole numbers: indices */
} mgi_ox_map;

typedef struct mgi_ox_text { /* bytes of the file, no NUL */
    const unsigned char *p;
    mango_idx n;
} mgi_ox_text;

typedef enum mgi_ox_kind { MGI_OX_NONE, MGI_OX_ARRAY, MGI_OX_IS_MAP } mgi_ox_kind;
typedef struct mgi_ox_value {
    mgi_ox_text name;
    mgi_ox_kind kind;
    int at;         /* index among the arrays or the maps */
    int producer;   /* node; -1: input or initializer */
    int uses, user; /* by how many inputs of nodes, and the last of these nodes */
} mgi_ox_value;

typedef struct mgi_ox_node {
    mgi_ox_text name, domain, scope; /* scope: PyTorch's modules around it */
    char op[32];
    mgi_pb body;              /* for its attributes */
    int in, n_in, out, n_out; /* links: indices of values, -1: left out */
    int needed, done;
    int like; /* of a NormOver that a pattern made: the node with its axes */
} mgi_ox_node;

typedef struct mgi_ox_layer {
    char name[MGI_OX_LAYER];
    mango_idx C, H, W;
} mgi_ox_layer;

/* A parameter of the graph: an array seen in the parameter's order, times scale. */
typedef struct mgi_ox_param {
    mango_idx name; /* offset into names */
    int rank;
    mango_idx shape[4], count;
    mgi_ox_array from;
    double scale;
} mgi_ox_param;

typedef struct mgi_ox_block { /* memory that arrays lie in */
    void *p;
    mango_idx bytes;
    mgi_ox_text file; /* of external data: its name */
} mgi_ox_block;

struct mango_onnx {
    mango_alloc al;
    char what[1024];      /* the file, for messages */
    int has_folder;       /* it was read by path: other files may lie beside it */
    unsigned char *image; /* size + 1 bytes */
    mango_idx size;
    int64_t ir, opset;
    char producer[64], graph[64], input[MGI_OX_NAME + 1], output[MGI_OX_NAME + 1];
    int in_value, out_value, in_type, in_rank;
    mango_idx in_dim[MGI_RANK_MAX]; /* -1: open */
    mgi_ox_node *node;
    mgi_ox_value *value;
    int32_t *slot; /* hash table of values: index + 1 */
    mango_idx n_slot;
    int *link;
    mgi_ox_array *array;
    mgi_ox_map *map;
    mgi_ox_layer *layer;
    mgi_ox_param *param;
    mgi_ox_block *block;
    mango_idx n_node, cap_node, n_value, cap_value, n_link, cap_link, n_array, cap_array;
    mango_idx n_map, cap_map, n_layer, cap_layer, n_param, cap_param, n_block, cap_block;
    mango_idx n_initializer, folded;
    mgi_str text, names;
    char base[MGI_OX_LAYER]; /* name for the layers of the node in hand */
    int translated;
    mango_err *err;
};

/* ---- onnx.c: memory and messages ---- */

MGI_FN mango_status mgi_ox_bad(mango_onnx *m, mango_status st, const char *fmt, ...)
    MGI_PRINTF(3, 4);
/* The same about a node, which is named: "FILE: node 'NAME' (OP): ...". */
MGI_FN mango_status mgi_ox_refuse(mango_onnx *m, const mgi_ox_node *n, const char *fmt, ...)
    MGI_PRINTF(3, 4);
MGI_FN mango_status mgi_ox_grow(mango_onnx *m, void *array, mango_idx *cap, mango_idx need,
                                mango_idx max, size_t size, const char *too_many);
/* Zeroed bytes that live as long as m. */
MGI_FN mango_status mgi_ox_bytes(mango_onnx *m, mango_idx bytes, unsigned char **p);

/* ---- onnx_model.c: the file ---- */

MGI_FN mango_status mgi_ox_read(mango_onnx *m);
MGI_FN int mgi_ox_find(const mango_onnx *m, mgi_ox_text name); /* a value; -1: none */
MGI_FN int mgi_ox_same(mgi_ox_text a, const char *z);

/* ---- onnx_array.c: constants ---- */

/* A TensorProto; *name is its name. */
MGI_FN mango_status mgi_ox_tensor(mango_onnx *m, mgi_pb body, mgi_ox_array *a,
                                  mgi_ox_text *name);
MGI_FN int mgi_ox_size(int type); /* bytes of an element; 0: no type that is read */
MGI_FN int mgi_ox_is_real(int type);
/* Element at an offset of elements from the first. */
MGI_FN double mgi_ox_real_at(const mgi_ox_array *a, mango_idx offset);
MGI_FN int64_t mgi_ox_int_at(const mgi_ox_array *a, mango_idx offset);
/* The offset of element i in C order. */
MGI_FN mango_idx mgi_ox_offset(const mgi_ox_array *a, mango_idx i);
/* A new array, of F32 or I64, all zero, rows; *p where it is written. */
MGI_FN mango_status mgi_ox_new(mango_onnx *m, int type, int rank, const mango_idx *dim,
                               mgi_ox_array *a, unsigned char **p);
MGI_FN void mgi_ox_put(unsigned char *p, int type, mango_idx i, double real, int64_t whole);
MGI_FN void mgi_ox_rows(mgi_ox_array *a); /* strides and count from dim, C order */
MGI_FN int mgi_ox_is_rows(const mgi_ox_array *a);
/* The same values, broadcast to a shape; 0: they do not fit it. */
MGI_FN int mgi_ox_broadcast(const mgi_ox_array *a, int rank, const mango_idx *dim,
                            mgi_ox_array *out);
/* The same elements under another shape; copies only when it must. */
MGI_FN mango_status mgi_ox_reshaped(mango_onnx *m, const mgi_ox_array *a, int rank,
                                    const mango_idx *dim, mgi_ox_array *out);
/* Is it one number, whatever its rank? All elements the same? */
MGI_FN int mgi_ox_scalar(const mgi_ox_array *a, double *v);
MGI_FN int mgi_ox_uniform(const mgi_ox_array *a, double *v);
/* n equal floats. */
MGI_FN mango_status mgi_ox_filled(mango_onnx *m, mango_idx n, double v, mgi_ox_array *a);

/* ---- onnx_attr.c: attributes and inputs of nodes ---- */

MGI_FN mango_status mgi_ox_attr_check(mango_onnx *m, const mgi_ox_node *n);
MGI_FN int64_t mgi_ox_int(const mgi_ox_node *n, const char *name, int64_t otherwise);
MGI_FN double mgi_ox_real(const mgi_ox_node *n, const char *name, double otherwise);
MGI_FN int mgi_ox_has(const mgi_ox_node *n, const char *name);
/* How many, at most max are stored; 0: none given. */
MGI_FN int mgi_ox_ints(const mgi_ox_node *n, const char *name, int max, int64_t *v);
MGI_FN int mgi_ox_reals(const mgi_ox_node *n, const char *name, int max, double *v);
MGI_FN void mgi_ox_word(const mgi_ox_node *n, const char *name, const char *otherwise,
                        char word[32]);
/* An attribute's tensor, or its numbers as an array; 0 in *there when not given. */
MGI_FN mango_status mgi_ox_attr_array(mango_onnx *m, const mgi_ox_node *n, const char *name,
                                      int *there, mgi_ox_array *a);
MGI_FN int mgi_ox_value_of(const mango_onnx *m, const mgi_ox_node *n, int k); /* -1: none */
MGI_FN const mgi_ox_array *mgi_ox_const(const mango_onnx *m, const mgi_ox_node *n, int k);
/* Input k as a map (copied), as whole numbers (of an input, or before opset `since` of
 * the attribute `name`). *n_v 0: not given. */
MGI_FN mango_status mgi_ox_map_in(mango_onnx *m, const mgi_ox_node *n, int k,
                                  mgi_ox_map *v);
MGI_FN mango_status mgi_ox_list(mango_onnx *m, const mgi_ox_node *n, int k,
                                const char *name, int max, int64_t *v, int *n_v);
MGI_FN mango_status mgi_ox_number(mango_onnx *m, const mgi_ox_node *n, int k,
                                  const char *name, double otherwise, double *v);
/* An axis, counted from the end when negative; -1: out of range. */
MGI_FN int mgi_ox_axis(int64_t axis, int rank);
MGI_FN mango_status mgi_ox_axes(mango_onnx *m, const mgi_ox_node *n, int k, int rank,
                                int *given, unsigned *mask);
MGI_FN mango_status mgi_ox_set_array(mango_onnx *m, const mgi_ox_node *n, int k,
                                     const mgi_ox_array *a);
MGI_FN mango_status mgi_ox_set_map(mango_onnx *m, const mgi_ox_node *n, int k,
                                   const mgi_ox_map *v);

/* ---- onnx_fold.c, onnx_fold_math.c: what is constant is computed ---- */

/* *done: the node's outputs are arrays now. */
MGI_FN mango_status mgi_ox_fold(mango_onnx *m, const mgi_ox_node *n, int *done);
MGI_FN mango_status mgi_ox_fold_math(mango_onnx *m, const mgi_ox_node *n, int *done);
/* The shape that a Reshape asks for, of something of `dim`. */
MGI_FN mango_status mgi_ox_target(mango_onnx *m, const mgi_ox_node *n, int rank,
                                  const mango_idx *dim, int *to_rank, mango_idx *to);

/* ---- onnx_patterns.c ---- */

MGI_FN void mgi_ox_patterns(mango_onnx *m);

/* ---- onnx_emit.c: layers, parameters, names ---- */

MGI_FN void mgi_ox_base(mango_onnx *m, const mgi_ox_node *n);
/* A layer of kind `kind`, named after the node in hand and `suffix` ("" for the one that
 * does the work); its index in *at. */
MGI_FN mango_status mgi_ox_emit(mango_onnx *m, const char *suffix, const char *kind,
                                int n_in, const int *in, mango_idx C, mango_idx H,
                                mango_idx W, int *at, const char *fmt, ...)
    MGI_PRINTF(10, 11);
/* The same over one layer, of its shape; v then is the new one, seen as before. */
MGI_FN mango_status mgi_ox_same_shape(mango_onnx *m, const char *suffix, const char *kind,
                                      mgi_ox_map *v, const char *fmt, ...) MGI_PRINTF(5, 6);
MGI_FN void mgi_ox_attr(mango_onnx *m, const char *fmt, ...) MGI_PRINTF(2, 3);
MGI_FN void mgi_ox_attr_f(mango_onnx *m, const char *key, double v); /* of the last layer */
MGI_FN mango_status mgi_ox_param_add(mango_onnx *m, int layer, const char *suffix, int rank,
                                     const mango_idx *shape, const mgi_ox_array *from,
                                     double scale);

/* ---- onnx_view.c: maps ---- */

MGI_FN mango_idx mgi_ox_dim(const mgi_ox_map *v, int axis);
MGI_FN void mgi_ox_dims(const mgi_ox_map *v, mango_idx dim[MGI_RANK_MAX]);
/* A layer seen by axes: one letter each of n c h w, and 1. */
MGI_FN void mgi_ox_see(const mango_onnx *m, int layer, const char *axes, mango_idx batch,
                       mgi_ox_map *v);
/* The axes in this order (N left out), the first n_c of them as C, the next n_h as H,
 * the others as W: layers are written unless the values lie so already. */
MGI_FN mango_status mgi_ox_bring(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                 int n_order, const int *order, int n_c, int n_h);
/* One axis as C, the others where they are. */
MGI_FN mango_status mgi_ox_channels(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                    int axis);
/* As (N,C,H,W) or (N,C,W). */
MGI_FN mango_status mgi_ox_picture(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v);
/* In C order of ONNX's axes, whatever the layer's shape. */
MGI_FN mango_status mgi_ox_straight(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v);
/* b, of a's axes, into the order and shape of a's layer; both may change. */
MGI_FN mango_status mgi_ox_align(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *a,
                                 mgi_ox_map *b);
/* The same where b has size 1 along some axes: b becomes a layer of Cx1x1, 1xHxW or 1x1x1
 * beside a's CxHxW. */
MGI_FN mango_status mgi_ox_align_part(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *a,
                                      mgi_ox_map *b);
/* The axis, whose atoms follow each other in the layer, becomes one of another size; of
 * an axis of size 1 the new atom's number is `at`. */
MGI_FN mango_status mgi_ox_resize(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                  int axis, mango_idx size, int at);
/* Axes of size 1 go, or come in. */
MGI_FN void mgi_ox_drop_axes(mgi_ox_map *v, unsigned mask);
MGI_FN void mgi_ox_add_axes(mgi_ox_map *v, int rank, unsigned mask);
MGI_FN mango_status mgi_ox_view(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                int rank, const mango_idx *dim);
MGI_FN void mgi_ox_permute(mgi_ox_map *v, const int *order);
/* The layer's values as another (C,H,W), same order. */
MGI_FN mango_status mgi_ox_fold_to(mango_onnx *m, mgi_ox_map *v, mango_idx C, mango_idx H,
                                   mango_idx W);
/* How many of the first atoms, N aside, make up C; -1: C ends within one. */
MGI_FN int mgi_ox_c_atoms(const mango_onnx *m, const mgi_ox_map *v);

/* ---- onnx_op_*.c: one translator for an operator ---- */

typedef struct mgi_ox_op {
    const char *name;
    mango_status (*translate)(mango_onnx *m, const mgi_ox_node *n);
} mgi_ox_op;
/* Tables that end with a NULL name. */
MGI_FN const mgi_ox_op *mgi_ox_conv_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_pool_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_linear_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_norm_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_unary_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_binary_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_shape_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_part_ops(void);
MGI_FN const mgi_ox_op *mgi_ox_resize_ops(void);
/* onnx_op_part.c: which axes of a map of 3 or 4 are its plane, when those of mask must be:
 * the order that brings them to H and W; *h -1: there is W alone. 0: cannot be. And: the
 * layer's H and W are new. */
MGI_FN int mgi_ox_plane(const mgi_ox_map *v, unsigned mask, int order[3], int *h, int *w);
MGI_FN mango_status mgi_ox_plane_sizes(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                       int h, int w);
/* onnx_op_binary.c: y = x * scale + shift along constants of broadcast shape; either
 * may be NULL. */
MGI_FN mango_status mgi_ox_scale_shift(mango_onnx *m, const mgi_ox_node *n, mgi_ox_map *v,
                                       const mgi_ox_array *scale, double times,
                                       const mgi_ox_array *shift, double sign);
/* onnx_op_linear.c: an Add of a constant along `axis` that alone reads output 0 of n, and
 * whose work n's layer can do by its bias. NULL: none. *user: that node, else -1. */
MGI_FN const mgi_ox_array *mgi_ox_bias_after(mango_onnx *m, const mgi_ox_node *n, int rank,
                                             int axis, mango_idx size, int *user);

#endif

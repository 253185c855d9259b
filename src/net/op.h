/* op.h - the kinds of node: one row of MGI_OPS and one record in op_<kind>.c each.
 *
 * A new operator that maps maps to maps is one source file, one row here and one
 * line of src/FILES: both executors, the plan and the tape, read its record. What
 * is left NULL takes the plain way, which is said at each field.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_OP_H
#define MGI_OP_H

#include "../base/mgi.h"
#include "net.h"

/* Rows: MGI_<KIND>, and the record mgi_op_<kind>. */
#define MGI_OPS(ROW)              \
    ROW(INPUT, input)             \
    ROW(CONV, conv)               \
    ROW(CONVT, convt)             \
    ROW(LINEAR, linear)           \
    ROW(BATCHNORM, batchnorm)     \
    ROW(RELU, relu)               \
    ROW(TANH, tanh)               \
    ROW(GELU, gelu)               \
    ROW(LIF, lif)                 \
    ROW(MAXPOOL, maxpool)         \
    ROW(AVGPOOL, avgpool)         \
    ROW(ADAPTIVEAVG, adaptiveavg) \
    ROW(GLOBALAVG, globalavg)     \
    ROW(GLOBALSUM, globalsum)     \
    ROW(SUMPOOL, sumpool)         \
    ROW(ADAPTIVEMAX, adaptivemax) \
    ROW(GLOBALMAX, globalmax)     \
    ROW(UPSAMPLE, upsample)       \
    ROW(ADD, add)                 \
    ROW(CONCAT, concat)           \
    ROW(RESHAPE, reshape)         \
    ROW(SOFTMAX, softmax)         \
    ROW(VQ, vq)                   \
    ROW(LEAKYRELU, leakyrelu)     \
    ROW(ELU, elu)                 \
    ROW(SELU, selu)               \
    ROW(SILU, silu)               \
    ROW(SIGMOID, sigmoid)         \
    ROW(HARDTANH, hardtanh)       \
    ROW(SOFTPLUS, softplus)       \
    ROW(HARDSIGMOID, hardsigmoid) \
    ROW(HARDSWISH, hardswish)     \
    ROW(MISH, mish)               \
    ROW(AFFINE, affine)           \
    ROW(PRELU, prelu)             \
    ROW(SUB, sub)                 \
    ROW(MUL, mul)                 \
    ROW(LAYERNORM, layernorm)     \
    ROW(GROUPNORM, groupnorm)     \
    ROW(INSTANCENORM, instancenorm) \
    ROW(PAD, pad)                 \
    ROW(CROP, crop)               \
    ROW(TRANSPOSE, transpose)     \
    ROW(FLATTEN, flatten)         \
    ROW(PIXELSHUFFLE, pixelshuffle) \
    ROW(PIXELUNSHUFFLE, pixelunshuffle) \
    ROW(SLICE, slice)             \
    ROW(EMBEDDING, embedding)     \
    ROW(LOGSOFTMAX, logsoftmax)   \
    ROW(LRN, lrn)

typedef enum mgi_kind {
#define MGI_ROW(KIND, name) MGI_##KIND,
    MGI_OPS(MGI_ROW)
#undef MGI_ROW
    MGI_KINDS
} mgi_kind;

typedef struct mgi_node mgi_node;
typedef struct mgi_step mgi_step;
typedef struct mgi_tape mgi_tape;

#define MGI_MAX_INPUTS 64 /* of one concat */

/* ---- attributes --------------------------------------------------------------- */

/* How a value is spelled, and what it is stored as at `offset` of mgi_node. */
typedef enum mgi_attr_type {
    MGI_ATTR_INT,   /* int                                    */
    MGI_ATTR_IDX,   /* mango_idx                              */
    MGI_ATTR_REAL,  /* double                                 */
    MGI_ATTR_FLOAT, /* float                                  */
    MGI_ATTR_PAIR,  /* two ints: "3", or "3x5" (height first) */
    MGI_ATTR_SIZE,  /* two mango_idx: "6x6"                   */
    MGI_ATTR_REALS, /* two doubles: "2", or "1.5x2"           */
    MGI_ATTR_SHAPE, /* three mango_idx: "3x32x32", or "128"   */
    MGI_ATTR_WORD,  /* int-sized index into `words`           */
    MGI_ATTR_NAME,  /* char[MGI_NAME]                         */
    MGI_ATTR_PRESET, /* the whole LIF rule                     */
    MGI_ATTR_PER /* float, and an int behind it: 0, or 1 + index into `words`, given instead */
} mgi_attr_type;

/* One attribute; a row without key ends a table. At most 64 rows. */
typedef struct mgi_attr {
    const char *key;
    mgi_attr_type type;
    int needed;         /* must be given                */
    size_t offset;
    double lo, hi;      /* range, ends included         */
    const char *words;  /* "a|b|c"                      */
    int (*shown)(const mgi_node *q); /* is it written? NULL: always */
} mgi_attr;
#define MGI_ATTR_AT(field) offsetof(mgi_node, field)
/* The last row of nodes whose parameters may be named otherwise than the node. */
#define MGI_ATTR_PARAM                                                                         \
    {                                                                                          \
        "param", MGI_ATTR_NAME, 0, MGI_ATTR_AT(prefix), 0, 0, 0, mgi_attr_renamed              \
    }
MGI_FN int mgi_attr_renamed(const mgi_node *q);
/* op_parts.c: a row by its key, -1: none; was the attribute given? seen: a bit for each
 * row of the table. */
MGI_FN int mgi_attr_find(const mgi_attr *table, const char *key);
MGI_FN int mgi_attr_given(const mgi_attr *table, uint64_t seen, const char *key);

/* ---- one operator at work ------------------------------------------------------- */

/* N output maps, channels last. Map i of input j is map i % nx[j] of x[j]: an input
 * that does not depend on time has fewer. y and work may not overlap an x, but y is
 * x[0] where the record says `in_place`. */
typedef struct mgi_op_run {
    const mango_net *net;
    const mgi_node *g;
    mango_idx N;
    const float *x[MGI_MAX_INPUTS];
    mango_idx nx[MGI_MAX_INPUTS];
    const float *weight, *bias; /* parameters, NULL: none           */
    float *y;
    float *work;                /* (work(net, g, N)) scratch floats  */
} mgi_op_run;

/* The gradient of an operator with one input and no parameters: dx, whole, for N maps,
 * from dy and from x and y where the record says that they are read. */
typedef struct mgi_op_grad {
    const mango_net *net;
    const mgi_node *g;
    mango_idx N;
    const float *x, *y, *dy;
    float *dx;   /* may be dy where the record says `same_grad` */
    float *work; /* (backward_work) scratch floats              */
} mgi_op_grad;

typedef struct mgi_op {
    const char *name;
    int least, most;       /* inputs */
    /* For the page of the language, see kinds.c: what it computes, in one line; shapes in
     * and out; a line "KEY what it means" for each attribute; NULL: not said yet. */
    const char *about, *shapes, *keys;
    const mgi_attr *attr;  /* NULL: none */

    /* Graph. */
    void (*defaults)(mgi_node *q); /* of attributes; NULL: zero */
    /* What only holds for all attributes together; NULL: nothing. */
    mango_status (*check)(mgi_node *q, uint64_t seen, mango_err *err);
    /* The output's C, H, W from inputs and attributes; NULL: those of the input. */
    mango_status (*shape)(const mango_net *n, mgi_node *q, mango_err *err);
    void (*params)(mango_net *n, mgi_node *q); /* lists them by mgi_net_param_add; NULL: none */
    /* Multiply-adds of one map; padded: those with zeros of the padding, too. NULL: 0. */
    double (*macs)(const mango_net *n, const mgi_node *q, int padded);

    /* Forward, for either executor that has no function of its own below. */
    mango_idx (*work)(const mango_net *n, const mgi_node *q, mango_idx N); /* NULL: 0 */
    void (*forward)(const mgi_op_run *r);

    /* Forward as a plan runs it, where it fuses, packs or keeps a state: one step of
     * the chunk under way into y, and scratch floats for so many maps. step_bits: the
     * input is held as bits; NULL: it cannot take these. */
    void (*step)(mango_plan *p, const mgi_step *s, void *y);
    void (*step_bits)(mango_plan *p, const mgi_step *s, void *y);
    mango_idx (*step_work)(const mango_plan *p, const mgi_step *s, mango_idx maps);

    /* Forward as a tape runs it, where it keeps something or knows the time (again: the
     * values are made a second time), with its scratch; NULL: `forward` and `work`. */
    void (*tape_forward)(mgi_tape *t, int node, int again, float *work);
    mango_idx (*tape_work)(const mgi_tape *t, int node, mango_idx rows);
    mango_idx (*tape_keeps)(
        const mgi_node *q); /* floats t->stat[node] between steps; NULL: 0 */

    /* Backward, one of both: `gradient`, or, with parameters or several inputs, `backward`,
     * which hands each input that wants one its gradient (mgi_tape_take, mgi_tape_give;
     * spare has room for one). Scratch floats beside it; NULL: 0. */
    void (*gradient)(const mgi_op_grad *r);
    void (*backward)(mgi_tape *t, int node, float *spare, float *work);
    mango_idx (*backward_work)(const mgi_tape *t, int node, mango_idx rows);
    int adds;              /* backward adds by itself: it needs no spare */
    int reads_x, reads_y;  /* backward reads the inputs' values, its own */
    int in_place;          /* forward may write over its only input      */
    int same_grad;         /* backward may write over its own gradient   */
} mgi_op;

#define MGI_ROW(KIND, name) MGI_FN const mgi_op mgi_op_##name;
MGI_OPS(MGI_ROW)
#undef MGI_ROW

MGI_FN const mgi_op *mgi_op_of(mgi_kind k);
MGI_FN const char *mgi_kind_name(mgi_kind k);
MGI_FN int mgi_kind_find(const char *name, mgi_kind *k); /* false: none */
MGI_FN int mgi_is_matmul(mgi_kind k);                     /* conv, convt, linear */

/* Shared by the shapes of several kinds. */
MGI_FN mango_status mgi_shape_bad(const mgi_node *q, const mgi_node *x, const char *why,
                                  mango_err *err);
MGI_FN void mgi_shape_copy(mgi_node *q, const mgi_node *x);

#endif

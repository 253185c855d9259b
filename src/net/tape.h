/* tape.h - a tape: one network planned for training at batch B and T steps.
 *
 * The tape is a program of steps. FORWARD i computes node i, BACKWARD i passes
 * its gradient on. A value lives from the step that makes it to the last step
 * that reads it, and all values, gradients and scratch share one arena by those
 * lifetimes. When the arena would exceed `memory`, the graph is cut into
 * segments: only what crosses a cut is kept, and the inside of a segment is
 * computed again just before its backward steps (AGAIN i), with the same bits.
 *
 * Time is merged with the batch, (T,B) with t slowest. Nodes before the first
 * LIF do not depend on time: they hold B rows, are computed once, and their
 * gradients are summed over T where a timed node reads them.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TAPE_H
#define MGI_TAPE_H

#include "graph.h"
#include "place.h"

#define MGI_TAPE_KEEP 4

typedef struct mgi_tape_options {
    mango_idx B, T;      /* largest batch, steps                                  */
    int output;          /* node read; -1: the network's                          */
    int train;           /* 1: batch statistics, and backward; 2: batch statistics,
                            forward only; 0: running statistics, forward only     */
    int input_grad;      /* 1: mgi_tape_input_grad holds dL/dx after backward     */
    int from;            /* node whose value is given in place of the input, and not
                            computed; -1: the input itself                        */
    int fixed;           /* 1, with train 1: batch norm by running statistics, which are
                            constants, as are its weights: dw of these stay as they are */
    mango_idx memory;    /* cap for the arena in bytes; 0: none                   */
    int n_keep, keep[MGI_TAPE_KEEP]; /* nodes whose value stays readable          */
} mgi_tape_options;

typedef enum mgi_tape_what { MGI_FORWARD, MGI_LOSS, MGI_AGAIN, MGI_BACKWARD } mgi_tape_what;
typedef struct mgi_tape_op {
    mgi_tape_what what;
    int node;
    int y;               /* buffer of the value made, -1: none or in place */
    int work;            /* buffer of scratch, -1: none                    */
} mgi_tape_op;

/* A tape. Fields are read by the trainers; what they write is said. */
struct mgi_tape {
    mango_alloc al;
    const mango_net *net;
    mgi_tape_options o;
    int n_ops, cap_ops, n_bufs, cap_bufs, segments, output, loss_step;
    mgi_tape_op *op;
    mgi_place *buf;      /* in floats; first, last: steps                       */
    int *timed;          /* (nodes) depends on time                             */
    int *needed;         /* (nodes) is an ancestor of the output                */
    int *wants;          /* (nodes) its value gets a gradient: it, or what it is made
                            of, has parameters or is the input asked for         */
    int *uses;           /* (nodes) readers among needed nodes                  */
    int *seg;            /* (nodes) segment                                     */
    int *inplace;        /* (nodes) value shares its input's buffer             */
    int *galias;         /* (nodes) gradient shares that of this reader; -1     */
    int *gbuf;           /* (nodes) buffer of the gradient, -1: none            */
    int *written;        /* (nodes) gradient has been started in this backward  */
    float **val, **grad; /* (nodes) where they lie at the present step          */
    float **stat;        /* (nodes) what the operator keeps between its steps   */
    float *stats;        /* one block that stat points into                     */
    mango_idx n_stats;
    const float **w;     /* (params) values used, the net's own at first; the trainer's
                            to set                                              */
    float **dw;          /* (params) where gradients are added; NULL: not wanted */
    int32_t *codes;      /* VQ: (B,H*W) indices chosen by the last forward      */
    mango_idx n_codes;
    float *arena;
    unsigned char *raw;
    mango_idx arena_count; /* floats                                             */
    mango_idx b;         /* batch of the last forward                           */
    /* The trainer sets: */
    double momentum;     /* >= 0 overrides the batch-norm nodes' momentum       */
    double commit;       /* VQ: dx += commit * (x - y)                          */
    int frozen;          /* 1: running statistics are not updated               */
    const float *inject[MGI_TAPE_KEEP]; /* dL/d(node keep[k]) from elsewhere, shaped like its
                            value: backward adds it; NULL: nothing              */
    int check;           /* 1: forward stops at the first non-finite value ...  */
    int bad;             /* ... and names the node here; -1: none               */
};

/* mgi_tape_new - plan. MANGO_E_MEM names the bytes needed when even the finest
 * cutting does not fit. The net must outlive the tape; its parameters may
 * change between calls, its graph may not. */
MGI_FN void mgi_tape_defaults(mgi_tape_options *o);
MGI_FN mango_status mgi_tape_new(mgi_tape **out, const mango_net *net,
                                 const mgi_tape_options *o, const mango_alloc *al,
                                 mango_err *err);
MGI_FN void mgi_tape_free(mgi_tape *t);
MGI_FN mango_idx mgi_tape_bytes(const mgi_tape *t); /* the arena */

/* mgi_tape_forward - x (b,H,W,C), of the input or of node `from`, with b <= B, borrowed
 * until backward ends.
 * MANGO_E_NONFINITE only with check set. */
MGI_FN mango_status mgi_tape_forward(mgi_tape *t, mango_idx b, const float *x);
/* Value of the output or of a kept node after forward; rows: b or T*b. */
MGI_FN const float *mgi_tape_value(const mgi_tape *t, int node, mango_idx *rows);
/* Where the caller writes dL/d(output), shaped like the output, before backward. */
MGI_FN float *mgi_tape_dout(mgi_tape *t);
/* mgi_tape_backward - adds into dw; once after each forward. */
MGI_FN void mgi_tape_backward(mgi_tape *t);
MGI_FN const float *mgi_tape_input_grad(const mgi_tape *t); /* (b,H,W,C), or of `from` */

/* Gradients of all trained parameters in one block. */
typedef struct mgi_grads {
    mango_alloc al;
    mango_idx n;         /* floats in all      */
    int n_params;
    float *flat;
    float **of;          /* (params) into flat; NULL for buffers */
} mgi_grads;
MGI_FN mango_status mgi_grads_new(mgi_grads *g, const mango_net *net);
MGI_FN void mgi_grads_free(mgi_grads *g);
MGI_FN void mgi_grads_zero(mgi_grads *g);
MGI_FN void mgi_tape_set_grads(mgi_tape *t, const mgi_grads *g); /* NULL: none wanted */

/* ---- shared by the files of a tape and the operators ------------------------------ */
#define MGI_TAPE_ALIGN 16 /* floats */

static inline mango_idx mgi_tape_rows(const mgi_tape *t, int node) /* b or T*b */
{
    return t->timed[node] ? t->o.T * t->b : t->b;
}

/* Is node i's value given by the caller? */
static inline int mgi_tape_given(const mgi_tape *t, int node)
{
    return t->net->node[node].kind == MGI_INPUT || node == t->o.from;
}

/* tape_plan.c: flags, program, places; spare: floats of the gradient that a node hands
 * to an input which has got one already, the largest. */
MGI_FN mango_status mgi_tape_plan(mgi_tape *t, mango_err *err);
MGI_FN mango_idx mgi_tape_floats(const mgi_tape *t,
                                 int node); /* of the largest batch; -1: too many */
MGI_FN mango_idx mgi_tape_spare(const mgi_tape *t, int node);
MGI_FN int mgi_all_finite(mango_idx n, const float *x);
/* tape_forward.c: one step, FORWARD or AGAIN. */
MGI_FN void mgi_tape_make(mgi_tape *t, const mgi_tape_op *op);
/* tape_grad.c: where a node may write the gradient of its input j, whole: grad[j]
 * itself, or the spare when another reader was there before; give then adds it. */
MGI_FN float *mgi_tape_take(const mgi_tape *t, int j, float *spare);
MGI_FN void mgi_tape_give(mgi_tape *t, int j, const float *dx);

#endif

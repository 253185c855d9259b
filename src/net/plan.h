/* plan.h - what the planner decides and the forward pass follows.
 *
 * A plan is a list of steps. A step runs one node's operator and, in the same
 * pass, the chain of nodes fused onto it:
 *     conv|convt|linear [+ batchnorm] [+ reshape] [+ add] [+ relu]
 *     batchnorm [+ relu]      add [+ relu]
 *     [batchnorm] [+ relu] + upsample
 *     upsample + conv ..., plan_upsample.c; with a 1x1 conv [+ add [+ batchnorm]] [+ relu]
 * What is fused onto what depends on the graph alone, so a node's value has
 * the same bits whatever is read, fed, batched or chunked. Reading a node from
 * inside a chain plans a second, shorter chain that ends there. (Nothing
 * folds into what is fed: a batch-norm behind a fed convolution and a
 * convolution behind a fed upsampling stand alone and round otherwise.)
 *
 * A LIF layer over the currents of a convolution over bits runs in one pass with
 * it, when nothing else takes these currents, which are then never stored.
 *
 * Steps before `first_dynamic` have no LIF ancestor and run once for the b
 * inputs of a chunk; the others run over the t*b maps of all its steps, t
 * slowest. Each step writes one buffer of one arena.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_PLAN_H
#define MGI_PLAN_H

#include "../math/spikes.h"
#include "backend.h"
#include "graph.h"
#include "place.h"

#define MGI_MAX_BATCH 4096
#define MGI_PLAN_MEMORY ((mango_idx)1 << 30) /* default cap, bytes          */
#define MGI_PLAN_SPAN ((mango_idx)16 << 20)  /* chunks shrink to this arena */
#define MGI_PLAN_STATIC                                                                        \
    ((mango_idx)4 << 20) /* ... this one where nothing spikes: near the cores */
#define MGI_PLAN_WORK 1e13                   /* multiply-adds for one input that are done */
#define MGI_PLAN_VALUE 32.0                  /* ... that a value looked at counts as      */
#define MGI_PLAN_MAPS 32                     /* ... but not under so many maps */
#define MGI_PLAN_ROWS 512                    /* or rows of the matrix products */

/* How the values of a buffer are stored; bits: 0/1 maps as in spikes.h, words. */
typedef enum mgi_elem { MGI_ELEM_F32, MGI_ELEM_F64, MGI_ELEM_BITS } mgi_elem;
MGI_FN size_t mgi_elem_size(mgi_elem e);

/* What a buffer's size is a multiple of. */
typedef enum mgi_scope {
    MGI_PER_INPUT, /* n values for each of the b inputs of a chunk   */
    MGI_PER_MAP,   /* n values for each of its t*b maps              */
    MGI_WORK       /* scratch of the step `first`, see mgi_step_work */
} mgi_scope;

/* A piece of the arena, in use from step `first` to step `last`. */
typedef struct mgi_buf {
    mgi_scope scope;
    mgi_elem elem;
    mango_idx n;
    int first, last;
    int carried;      /* outlives a chunk of time: membranes, sums, static values */
    mango_idx bytes, offset;
} mgi_buf;

/* How an upsampling and the convolution behind it are one step. */
typedef enum mgi_up_form {
    MGI_UP_NONE,
    MGI_UP_AFTER,   /* 1x1: the convolution first, then the upsampling     */
    MGI_UP_SUBPIXEL /* nearest: one transposed convolution of stride 2     */
} mgi_up_form;

struct mgi_step {
    int head, end;    /* first and last node of the chain                   */
    int op;           /* whose operator it runs: the head, or what stands behind it:
                         the convolution behind an upsampling, an upsampling
                         behind batch-norm and ReLU                         */
    mgi_up_form up;
    int relu_before;  /* ahead of the operator, an upsampling               */
    int after;        /* batch-norm behind the residual, -1: none           */
    int dynamic;
    int bn, reshape;  /* nodes folded into the weights, -1: none            */
    int residual;     /* node whose value is added at the end, -1: none     */
    int relu;
    mango_idx n;      /* values of one map that this step writes            */
    int fresh;        /* its weights are packed for this plan, not for an earlier aim */
    int may_half;     /* its weights may be held as halves                  */
    int bits;         /* it writes them as bits: spikes for consumers that take these */
    int fused;        /* of a LIF: the step of a convolution over bits whose currents
                         only it uses, run in the same pass, at the place of the LIF;
                         of that step: the LIF's. Else -1                   */
    int repeats;      /* fused: the input of the convolution has a period over time */
    int out;          /* buffer of the result; -1: a fused convolution has none     */
    int aux;          /* buffer: membranes of a LIF, codes of a VQ; -1      */
    int work;         /* scratch buffer, -1                                 */
    mgi_conv conv;    /* conv, convt, linear; the scores of a VQ            */
    mango_idx packed_n, bias_n;
    float *packed;    /* packed weights, NULL: none                         */
    float *bias;      /* (bias_n) bias, or shift of a batch-norm; NULL      */
    float *scale;     /* (bias_n) of a batch-norm that stands alone         */
    mango_idx after_n;
    float *after_scale, *after_shift; /* (after_n) of the batch-norm `after` */
};

/* A reading: which step's buffer, and what to make of it. sum: buffer of the
 * running total of a dynamic node, spike counts for a LIF; -1 for a static one. */
typedef struct mgi_plan_reading {
    int node, step, sum;
    mango_read what;
    float *out;
    mango_idx C, HW;
} mgi_plan_reading;

/* What the planner knows of a node. */
typedef struct mgi_plan_node {
    int link;      /* node whose chain it joins, -1                          */
    int uses;      /* inputs of the whole graph that name it                 */
    int user;      /* the last node that does                                */
    int need;      /* its value is read or used                              */
    int dynamic;   /* a LIF, or after one                                    */
    int view;      /* node whose buffer it shares (a reshape without work), -1 */
    int step;      /* step that leaves its value, -1                         */
} mgi_plan_node;

struct mango_plan {
    mango_alloc al;
    const mango_net *net;
    mango_idx T, B, memory, slice;
    int from, raw, half, int8;
    mango_plan_options o;  /* as given, for another aim      */
    mgi_plan_node *node;   /* (net->n_nodes)                 */
    mgi_step *step;
    int n_steps, cap_steps, first_dynamic;
    mgi_buf *buf;
    int n_bufs, cap_bufs;
    mgi_place *place;      /* (cap_bufs) scratch of mgi_plan_place, */
    mgi_place_order *order; /* ... and (cap_bufs) */
    mgi_plan_reading *reading;
    int n_readings;
    mango_idx Bc, Tc;      /* inputs and steps of a chunk    */
    mango_idx arena_bytes;
    const mgi_backend *backend;
    mgi_cpu *cpu;          /* what the CPU's backend keeps */
    double macs;
    int threads;           /* scratch is planned for so many */
    mango_err err;         /* of the last call that failed */
    const float *x;        /* the run under way: input, its batch, */
    mango_idx run_B;       /* and the chunk: inputs b0..b0+b-1,    */
    mango_idx b0, b, t0, t;/* steps t0..t0+t-1                     */
    mango_idx at,
        until; /* in slices: steps done, -1: not started; readings are due at `until` */
};

/* plan_value.c: where values lie while a chunk is under way, for the steps of op_*.c. */
MGI_FN void *mgi_plan_at(const mango_plan *p, int buf);
MGI_FN int mgi_plan_source(const mango_plan *p, int node); /* the node behind views */
MGI_FN int mgi_plan_is_bits(const mango_plan *p, int node); /* is its value held as bits? */
MGI_FN const float *mgi_plan_value(const mango_plan *p, int node);
MGI_FN const uint64_t *mgi_plan_words(const mango_plan *p, int node); /* of one held as bits */
/* Map n of a node's value; a static one is the same at each step. */
MGI_FN const float *mgi_plan_map(const mango_plan *p, int node, mango_idx n);
MGI_FN mango_idx mgi_step_maps(const mango_plan *p, const mgi_step *s); /* in this chunk */
MGI_FN float *mgi_step_scratch(const mango_plan *p, const mgi_step *s);
MGI_FN mgi_bits_epilogue mgi_step_epilogue_bits(const mango_plan *p, const mgi_step *s);
MGI_FN mango_idx mgi_step_words(const mgi_step *s, mango_idx maps); /* floats: input as bits */

/* plan_links.c: links, needs, dynamics. */
MGI_FN mango_status mgi_plan_graph(mango_plan *p, mango_err *err);

/* plan_upsample.c: how a convolution joins the upsampling in front of it, by the
 * graph alone; whether a chain that ends at `node` is such one of MGI_UP_AFTER;
 * the convolution that the step runs; the weights (C,O,k+1,k+1) of the sub-pixel form
 * from (O,C,k,k) ones; a step's upsampling; how many maps MGI_UP_AFTER takes at a
 * time; and that step. */
MGI_FN mgi_up_form mgi_plan_up_form(const mango_net *net, int conv);
MGI_FN int mgi_plan_up_after(const mango_plan *p, int node);
MGI_FN mgi_conv mgi_plan_up_conv(const mango_net *net, int conv);
MGI_FN void mgi_plan_up_weights(const mgi_conv *c, const float *w, float *t);
MGI_FN mgi_up mgi_step_up(const mango_plan *p, const mgi_step *s);
MGI_FN mango_idx mgi_up_maps(const mgi_up *u);
MGI_FN void mgi_step_upsample_after(const mango_plan *p, const mgi_step *s, const float *x,
                                    float *y);

/* plan_bits.c: which steps write bits, once all steps are there. Changes no result. */
MGI_FN void mgi_plan_spikes(mango_plan *p);

/* plan_steps.c: the steps and their buffers; multiply-adds over all T steps, those of
 * the padding counted; scratch floats for so many maps. */
MGI_FN mango_status mgi_plan_steps(mango_plan *p, mango_err *err);
MGI_FN double mgi_step_macs(const mango_plan *p, const mgi_step *s);
MGI_FN mango_idx mgi_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps);

/* plan_memory.c: sizes and places of buffers for chunks of b inputs and t
 * steps; the choice of a chunk under the cap. A plan for slices holds all inputs. */
MGI_FN int mgi_plan_place(mango_plan *p, mango_idx b, mango_idx t, mango_idx *bytes);
MGI_FN mango_status mgi_plan_chunks(mango_plan *p, mango_err *err);

/* plan_pack.c: fold and pack. */
MGI_FN mango_status mgi_plan_pack(mango_plan *p, mango_err *err);

/* plan_forward.c, plan_readout.c: run the steps of the chunk under way. */
MGI_FN void mgi_step_run(mango_plan *p, const mgi_step *s);
MGI_FN void mgi_reading_take(mango_plan *p, const mgi_plan_reading *r);

/* mango_plan_text, appended to s. */
MGI_FN void mgi_plan_describe(const mango_plan *p, mgi_str *s);

#endif

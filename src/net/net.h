/* net.h - networks: build, load, save, ask for names, evaluate.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_NET_H
#define MANGO_NET_H

#include "../base/base.h"
#include "lif.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mango_net mango_net;
#define MANGO_LAYERS_MAX 1024 /* layers of a network; densenet has 567 */

/* mango_net_zoo - build an architecture without weights.
 *   spec  in  "NAME" or "NAME,key=value,...": sngan, sngan_dsc, vqvae, snn_conv,
 *             resnet18, 34, 50, 101, 152 and spiking_resnet..., densenet (161),
 *             densenet121, 161, 169, 201, alexnet, vgg11, 13, 16, 19 and vgg..._bn;
 *             keys: width (all but alexnet and vgg: channel counts scaled, in
 *             multiples of 8), in=CxHxW, classes, T; the fields of mango_lif by
 *             name, or preset, for every neuron (beta=0.8,reset=zero); hidden,
 *             codes, dim (vqvae), hidden (snn_conv), latent, out=CxHxW (sngan), stem=7
 *             (resnet, densenet: torchvision's layers and names), hidden (0: one linear
 *             layer), pool (vgg), sn=0 (sngan_dsc: weights divided already). classes of
 *             sngan_dsc: 1;
 *             of sngan: none, else 2..latent-1, chosen by the first latents.
 *             "vqvae,in=1x28x28,hidden=32,codes=64,dim=8" has a 7x7 grid of codes.
 * Returns MANGO_E_NAME with the near matches for an unknown one, MANGO_E_ARG
 * for a key or value, MANGO_E_SHAPE when the sizes do not fit. */
MANGO_API mango_status mango_net_zoo(mango_net **net, const char *spec, const mango_alloc *al,
                                     mango_err *err);
/* mango_net_parse - from the text form (len bytes), one node a line, # starts a comment:
 *     mango-graph 1
 *     net arch=snn_conv T=100 mean=0.4914,0.4822,0.4465 std=0.2471,0.2435,0.2616
 *     input     input  -      shape=3x32x32
 *     conv0     conv   input  out=200 kernel=5 bias=1
 *     spiking0  lif    conv0  beta=0.9 reset=subtract
 * i.e. NAME KIND INPUT[,INPUT] [KEY=VALUE ...], inputs named before use, `-` for none. */
MANGO_API mango_status mango_net_parse(mango_net **net, const char *text, mango_idx len,
                                       const mango_alloc *al, mango_err *err);
/* The kinds of layers that such a text may name, i = 0 .. mango_kinds() - 1, and the
 * attributes of each, k = 0 .. keys - 1: what a page about the language is made of.
 * Strings are constants. MANGO_E_ARG for an index out of range. Threads: any. */
typedef struct mango_kind {
    const char *name;   /* "conv"                                                        */
    const char *about;  /* what it computes, a sentence or two                           */
    const char *shapes; /* of inputs, output and parameters, "CxHxW -> CxHxW"            */
    mango_idx least, most; /* inputs                                                     */
    mango_idx keys;     /* attributes                                                    */
} mango_kind;
typedef struct mango_kind_key {
    const char *name;   /* "kernel"                                                      */
    const char *type;   /* how a value is spelled: "whole number", "number", "N or HxW",
                           "HxW", "CxHxW or N", "word", "name", "number or word",
                           "number, or two: HxW"                                         */
    const char *words;  /* "a|b|c", of words; NULL                                       */
    int needed;         /* must be given                                                 */
    double lo, hi;      /* range of each number, ends included; both 0 for words, names  */
    char standard[64];  /* its value when not given; "": by a rule that `meaning` tells  */
    char meaning[200];
} mango_kind_key;
MANGO_API mango_idx mango_kinds(void);
MANGO_API mango_status mango_kind_sized(mango_idx i, mango_kind *out, size_t size);
#define mango_kind_at(i, out) mango_kind_sized((i), (out), sizeof *(out))
MANGO_API mango_status mango_kind_key_sized(mango_idx i, mango_idx k, mango_kind_key *out,
                                            size_t size);
#define mango_kind_key_at(i, k, out) mango_kind_key_sized((i), (k), (out), sizeof *(out))
/* mango_net_load - a self-describing weights file (safetensors with the graph
 * in its metadata under "mango.graph"). Every field is checked before anything
 * is allocated; NaN and infinite weights are refused. Limits: a file of 1 GiB, a header of
 * 1 MiB, 4096 tensors, 4096 strings of metadata. */
MANGO_API mango_status mango_net_load(mango_net **net, const char *path, const mango_alloc *al,
                                      mango_err *err);
/* mango_net_save - write it atomically, as "F32", "F16" or "BF16" tensors; vectors stay
 * F32. The metadata set before by mango_net_meta_set goes into the file. */
MANGO_API mango_status mango_net_save(const mango_net *net, const char *path, const char *dtype,
                                      mango_err *err);
MANGO_API void mango_net_destroy(mango_net *net);

/* mango_net_error - the message of the last call on this net that failed and has no
 * err of its own (filling, metadata, borrowing, normalization); "" when none has.
 * NULL for NULL. Valid until the next such call. */
MANGO_API const char *mango_net_error(const mango_net *net);

/* mango_net_fill - every parameter from its name and the seed, u of mango_fill_u: weights
 * gain sqrt(6/inputs) u, biases and running means u/10, running variances 1 + u/4, other
 * vectors 1 + u/10, codebooks u. For measurements and tests: nothing is trained. */
MANGO_API mango_status mango_net_fill(mango_net *net, uint64_t seed, double gain);
/* n values u in [-1,1): splitmix64's outputs from the FNV-1a hash of the name and the
 * seed. The same on every machine. */
MANGO_API void mango_fill_u(const char *name, uint64_t seed, mango_idx n, float *u);

/* Metadata strings of the weights file; get returns NULL when absent. They are listed
 * by i = 0 .. mango_net_info.metas - 1, in the order of the file. */
MANGO_API const char *mango_net_meta_get(const mango_net *net, const char *key);
MANGO_API mango_status mango_net_meta_set(mango_net *net, const char *key, const char *value);
MANGO_API mango_status mango_net_meta_at(const mango_net *net, mango_idx i, const char **key,
                                         const char **value);

/* The network as a whole. Strings belong to the net. */
typedef struct mango_net_info {
    const char *arch;         /* "" when unknown                                     */
    mango_idx layers, params, metas; /* how many there are                           */
    mango_idx input, output;  /* indices of these layers                             */
    mango_idx latent_classes; /* a generator with classes: the layer that is their
                                 softmax over the first latents; -1: none            */
    mango_idx T;              /* steps by default; 1 when nothing spikes             */
    int spiking;              /* has it LIF layers?                                  */
    float mean[3], std[3];    /* an input is (rgb - mean)/std, rgb in [0,1]; 0, 1    */
    float out_scale, out_shift; /* a picture drawn is rgb = y out_scale + out_shift  */
    double macs;              /* mango_net_macs with its own T                       */
} mango_net_info;
MANGO_API mango_status mango_net_get_sized(const mango_net *net, mango_net_info *info,
                                           size_t size);
#define mango_net_get(net, info) mango_net_get_sized((net), (info), sizeof *(info))
/* Other means and deviations (> 0), another scale (not 0) and shift: MANGO_E_ARG when
 * one is not such a number, and nothing is changed. */
MANGO_API mango_status mango_net_set_normalization(mango_net *net, const float mean[3],
                                                   const float std[3]);
MANGO_API mango_status mango_net_set_range(mango_net *net, float scale, float shift);

/* mango_net_macs - multiply-adds of one input through all layers: T times (0: the net's
 * own T) what follows a LIF layer, once the rest; zeros and padding counted. 0 for NULL. */
MANGO_API double mango_net_macs(const mango_net *net, mango_idx T);

/* mango_net_text - the graph in its text form, written to text (cap bytes, a
 * NUL included; cut when it is longer). Returns its whole length, so that a call with
 * cap 0 tells what is needed; -1 when net is NULL or memory is lacking. */
MANGO_API mango_idx mango_net_text(const mango_net *net, char *text, mango_idx cap);

/* mango_net_digest - SHA-256 in hexadecimal of the graph's text and of every parameter's
 * name and bits, or of all parameters rounded to halves, which is the same before and
 * after a file of F16. MANGO_E_STATE when values are missing or were given away. */
typedef enum mango_digest { MANGO_DIGEST_ALL, MANGO_DIGEST_HALVES } mango_digest;
MANGO_API mango_status mango_net_digest(const mango_net *net, mango_digest what, char hex[65]);

/* Layers, in graph order. shape is (C,H,W). Strings and rule belong to the net. */
typedef struct mango_layer {
    const char *name, *kind;
    mango_idx C, H, W;
    int spiking;        /* a LIF layer                                     */
    mango_idx params;   /* trained values of this layer                    */
    int timed;          /* depends on time: a LIF layer, or behind one     */
    mango_idx inputs;   /* layers it reads, see mango_net_layer_input      */
    double macs;        /* multiply-adds of one map, zeros of the padding counted, */
    double macs_inside; /* ... and not counted                             */
    const mango_lif *lif; /* of a LIF layer, else NULL                     */
    mango_idx codes;    /* of a VQ layer, else 0                           */
} mango_layer;
/* How many; -1 for NULL. mango_net_layer: MANGO_E_ARG for an
 * index out of range. mango_net_layer_input: the k-th layer that layer i reads; -1: none. */
MANGO_API mango_idx mango_net_layers(const mango_net *net);
MANGO_API mango_status mango_net_layer_sized(const mango_net *net, mango_idx i,
                                             mango_layer *out, size_t size);
#define mango_net_layer(net, i, out) mango_net_layer_sized((net), (i), (out), sizeof *(out))
MANGO_API mango_idx mango_net_layer_input(const mango_net *net, mango_idx i, mango_idx k);
/* mango_net_layer_uses - in how many multiply-adds of layer i a value at row y, column x of
 * its input takes part: what it costs when it is a spike. 0 for layers that have none. */
MANGO_API double mango_net_layer_uses(const mango_net *net, mango_idx i, mango_idx y,
                                      mango_idx x);
MANGO_API mango_status mango_net_find(const mango_net *net, const char *layer, mango_idx *i,
                                      mango_err *err); /* near matches in err */
MANGO_API mango_idx mango_net_steps(const mango_net *net); /* T by default; -1 for NULL */

/* Parameters, in graph order, in the source framework's shapes. */
typedef struct mango_param {
    const char *name;
    int rank;
    mango_idx shape[4], count; /* shape is 1 from rank on                            */
    int trained;               /* by gradient; 0: running statistics and such        */
    const float *values;       /* NULL: none yet, given away, or halves of an open file */
} mango_param;
MANGO_API mango_idx mango_net_params(const mango_net *net); /* -1 for NULL */
MANGO_API mango_status mango_net_param_at_sized(const mango_net *net, mango_idx i,
                                                mango_param *out, size_t size);
#define mango_net_param_at(net, i, out)                                                    \
    mango_net_param_at_sized((net), (i), (out), sizeof *(out))
/* One by name, to read or to write: data in the source framework's order; NULL when
 * there is none, or no memory for values. */
MANGO_API float *mango_net_param(mango_net *net, const char *name, int *rank,
                                 mango_idx shape[4]);
/* mango_net_borrow - values of `from` for the parameters of `to` that have the
 * same name and shape, running statistics included; the others keep theirs.
 * Returns how many parameters were set; -1 when memory is lacking. */
MANGO_API mango_idx mango_net_borrow(mango_net *to, const mango_net *from);

/* mango_net_give - the next plan that has memory to hold its weights takes them
 * over: each is freed once it is packed, those of layers that it does not run at
 * once, so that no weight is in memory twice. Plans made before go on. What the
 * net is can still be asked, it must live as long as its plans, and biases, norms
 * and codebooks stay; but a further plan, mango_net_save, mango_net_fill and
 * training answer MANGO_E_STATE, and mango_net_param NULL. */
MANGO_API void mango_net_give(mango_net *net);

/* mango_net_open - mango_net_load and mango_net_give in one, for a net that is loaded
 * to be planned once: weights that are halves stay as the file has them, and a plan
 * widens them one layer at a time. Everything else as for a net that was loaded, then given. */
MANGO_API mango_status mango_net_open(mango_net **net, const char *path, const mango_alloc *al,
                                      mango_err *err);

/* A plan: everything about some readings of a network, decided beforehand. */
typedef struct mango_plan mango_plan;
/* What to read of a layer. Shapes are slowest axis first. The rate of a LIF
 * layer is (spikes counted)/(T H W), rounded once. Any layer can be read; what
 * else is read, the batch, T and the memory cap never change its bits. */
typedef enum mango_read {
    MANGO_READ_MEAN,   /* (B,C,H,W): mean over T (spike rate per neuron for LIF layers) */
    MANGO_READ_RATE,   /* (B,C): mean over T, H and W                                   */
    MANGO_READ_SPIKES, /* (T,B,C,H,W): the value at every step                          */
    MANGO_READ_CODES,  /* (B,H*W): indices chosen by a VQ layer, as floats 0..K-1       */
    MANGO_READ_MEMBRANE /* (B,C,H,W): membrane U of a LIF layer as its rule leaves it after
                          the last step that was run, see mango_lif_step             */
} mango_read;
typedef struct mango_reading {
    mango_idx layer;   /* index of the layer to read */
    mango_read what;
    float *out;        /* caller's buffer, filled by mango_plan_run; B: that of the run */
} mango_reading;
typedef struct mango_plan_options {
    size_t size;           /* set by mango_plan_defaults           */
    mango_idx T;           /* steps, 1..4096; 0: the network's own. Where nothing that
                              is read depends on time one step is run, whatever T is:
                              see mango_plan_info.steps */
    mango_idx batch;       /* inputs per run, 1..4096              */
    mango_idx memory;      /* cap in bytes for the arena of feature maps (packed
                              weights are not counted); 0: 1 GiB */
    mango_idx from;        /* layer whose value the caller feeds, as it is, the same
                              at each step; -1: the input. Everything read must
                              come after it. For a VQ layer the fed values are codes
                              (B,H*W) as floats 0..K-1 in row-major (H,W) order */
    int raw;               /* 1: input is normalized already; 0: input is [0,1] RGB
                              and the plan applies the network's mean and std */
    mango_idx slice;       /* > 0: mango_plan_start and mango_plan_advance can be used, best
                              with so many steps at a time; all inputs of a batch are then
                              held at a time. 0: mango_plan_run only */
    int half;              /* 1: weights that multiply values are held in half precision,
                              rounded: half the memory, other results; 0: only where
                              that changes no result. Weights of spikes stay as they are */
    int int8;              /* 1: weights that multiply spikes are held in 8 bits, with a scale
                              for each output (after batch-norm): a quarter of the memory,
                              less time, other results, the same on every machine. For
                              convolutions and linear layers behind a LIF layer or
                              max-pools and reshapes of one; not behind `from` */
} mango_plan_options;
/* mango_plan_defaults - T 0, batch 1, memory 0, from -1, raw 0, slice 0, half 0, int8 0. */
MANGO_API mango_status mango_plan_defaults_sized(mango_plan_options *o, size_t size);
#define mango_plan_defaults(o) mango_plan_defaults_sized((o), sizeof *(o))

/* mango_plan_create - decide everything before the first query: only what the
 * readings need is computed, time-independent layers once, batch-norm folded,
 * weights packed, one arena. Batches and times over the cap are cut in chunks.
 *   plan      out  the plan; NULL on error
 *   net       in   filled or loaded; must outlive the plan and not change
 *   o         in   see above
 *   readings  in   (n_readings) 1..4096 of them, copied; `out` may be NULL and
 *                  given later by mango_plan_output
 * Returns  MANGO_E_ARG for options out of range, a layer that does not exist, or
 *          one that `from` alone does not determine; MANGO_E_STATE for a net
 *          without weights; MANGO_E_LIMIT when one input would cost more than 1e13
 *          multiply-adds over all its steps, a value read counted as 32 of them (the
 *          largest network of the zoo needs 2e10 a step); MANGO_E_FORMAT for a negative
 *          running variance; MANGO_E_MEM, before anything large is allocated and
 *          with the bytes needed, when the cap is too small even for one input
 *          and one step at a time.
 * Memory   from al, until mango_plan_destroy.
 * Threads  a plan serves one call at a time, and at most as many threads as
 *          were in force when it was made; plans of one net are independent. */
MANGO_API mango_status mango_plan_create(mango_plan **plan, const mango_net *net,
                                         const mango_plan_options *o, mango_idx n_readings,
                                         const mango_reading *readings, const mango_alloc *al,
                                         mango_err *err);

/* mango_plan_run - evaluate inputs and fill the buffers of all readings.
 *   B  in  number of inputs, 1..batch
 *   x  in  (B,C,H,W) inputs, or the fed layer's values or codes
 * Returns  MANGO_E_ARG for B out of range, a reading without a buffer or a code
 *          that does not exist; MANGO_E_NONFINITE for NaN or infinity in x;
 *          then nothing is written, and mango_plan_error says what it was.
 * Memory   none allocated. */
MANGO_API mango_status mango_plan_run(mango_plan *plan, mango_idx B, const float *x);

/* A run in slices of time, for a caller who may have seen enough before T:
 *
 *     mango_plan_start(plan, B, x);
 *     for (t = 0; t < T && n > 0; t += dt) {
 *         mango_plan_advance(plan, min(dt, T - t));  readings: means so far
 *         n = inputs that still matter, their places in which[0..n-1];
 *         mango_plan_keep(plan, n, which);
 *     }
 *
 * Membranes and sums stay in the plan in between. After T steps in any slices
 * the readings hold the bits that mango_plan_run gives, for the inputs kept.
 *
 * mango_plan_start - what does not depend on time: membranes are at rest after
 * it, and the readings of time-independent layers are filled.
 * mango_plan_advance - the next `steps` >= 1 steps, at most up to T, then the
 * readings: MEAN and RATE over the steps done so far, SPIKES of the new steps.
 * mango_plan_keep - go on with n >= 1 of the present inputs: those at the places
 * which[0] < which[1] < ... From then on readings are of n inputs in this order.
 * Readings of SPIKES keep the layout of the B inputs of the start, so with one
 * of these nothing can be dropped.
 *
 * Returns  as mango_plan_run; MANGO_E_STATE for a plan without `slice` or,
 *          in advance and keep, not started (mango_plan_run ends a sliced run);
 *          MANGO_E_ARG for steps or places out of range, a dropped input with
 *          a reading of SPIKES. Then nothing is changed.
 * Memory   none allocated. */
MANGO_API mango_status mango_plan_start(mango_plan *plan, mango_idx B, const float *x);
MANGO_API mango_status mango_plan_advance(mango_plan *plan, mango_idx steps);
MANGO_API mango_status mango_plan_keep(mango_plan *plan, mango_idx n, const mango_idx *which);

/* mango_plan_aim - other readings of the same net by the same options. Only steps that the
 * plan did not have before are packed; what was packed stays for later aims. A sliced
 * run ends. Returns and fails as mango_plan_create, and then the plan is as it was;
 * MANGO_E_STATE also for weights that a net gave away unpacked. */
MANGO_API mango_status mango_plan_aim(mango_plan *plan, mango_idx n_readings,
                                      const mango_reading *readings, mango_err *err);

/* mango_plan_output - another buffer for a reading, from the next run on. */
MANGO_API mango_status mango_plan_output(mango_plan *plan, mango_idx reading, float *out);

/* mango_plan_error - the message of the last call on this plan that failed and has no
 * err of its own; "" when none has. NULL for NULL. */
MANGO_API const char *mango_plan_error(const mango_plan *plan);

typedef struct mango_plan_info {
    mango_idx T, steps;      /* T of the options or the net; steps that are run: T, or 1
                                when nothing that is needed depends on time            */
    mango_idx batch, readings;
    mango_idx bytes;         /* mango_plan_bytes, arena and packed weights             */
    mango_idx weights;       /* packed weights alone, those of earlier aims too        */
    double macs;             /* mango_plan_macs                                        */
} mango_plan_info;
MANGO_API mango_status mango_plan_get_sized(const mango_plan *plan, mango_plan_info *info,
                                            size_t size);
#define mango_plan_get(plan, info) mango_plan_get_sized((plan), (info), sizeof *(info))

/* mango_plan_text - one line for the plan and one for each of its steps, as
 * mango_net_text gives a text: the nodes fused, shape, place in memory, multiply-adds. */
MANGO_API mango_idx mango_plan_text(const mango_plan *plan, char *text, mango_idx cap);

/* mango_plan_bytes - arena and packed weights; mango_plan_macs - multiply-adds
 * of one input over all T steps, zeros counted. 0 for a NULL plan. */
MANGO_API mango_idx mango_plan_bytes(const mango_plan *plan);
MANGO_API double mango_plan_macs(const mango_plan *plan);
MANGO_API void mango_plan_destroy(mango_plan *plan); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif

/* graph.h - a network as a list of nodes in topological order, and its
 * parameters. Built by the zoo, or parsed from the text form.
 *
 * Text form, one node a line, '#' starts a comment:
 *     mango-graph 1
 *     net arch=snn_conv T=100 mean=0.4914,0.4822,0.4465 std=0.2471,0.2435,0.2616
 *     input  input  -      shape=3x32x32
 *     conv0  conv   input  out=200 kernel=5 stride=1 pad=0 bias=1
 *     spiking0  lif  pool0  beta=0.9 reset=subtract ...
 * i.e. NAME KIND INPUT[,INPUT] [KEY=VALUE ...], inputs named before use.
 * `-` stands for no input. Parameters are NAME.weight, NAME.bias,
 * NAME.running_mean, NAME.running_var in the source framework's shapes; the
 * attribute param=PREFIX replaces NAME when the two differ. The writer spells
 * out every attribute, so that nothing depends on a default.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_GRAPH_H
#define MGI_GRAPH_H

#include "../base/hash.h"
#include "../base/text.h"
#include "../math/ops.h"
#include "lif.h"
#include "match.h"
#include "net.h"
#include "op.h"
#include "safetensors.h"

#define MGI_MAX_NODES MANGO_LAYERS_MAX
#define MGI_NAME 96        /* bytes of a layer name, NUL included */
#define MGI_MAX_T 4096     /* steps that a file or the zoo may ask for */
#define MGI_MAX_MAP ((mango_idx)1 << 26)    /* values of one feature map    */
#define MGI_MAX_WEIGHTS ((mango_idx)1 << 28) /* values of all parameters */

/* A parameter: values in the source framework's order (O,C,kh,kw). */
typedef struct mgi_param {
    char name[MGI_NAME + 32];
    int rank;
    mango_idx shape[4];
    mango_idx count;
    int is_buffer;   /* running statistics, sn vectors: not trained by gradient */
    float *v;        /* NULL until filled, and after it was given away */
    float *own;      /* what v is unless a trainer lends another one */
    const unsigned char *half; /* or NULL: values are halves in the net's file, v is NULL */
} mgi_param;

/* What each neuron of a LIF layer may have of its own: NAME.beta or NAME.tau, NAME.alpha,
 * NAME.threshold, NAME.V. Its recurrent weights are `weight` and `bias_p`. */
typedef enum mgi_cell {
    MGI_CELL_LEAK,
    MGI_CELL_ALPHA,
    MGI_CELL_THR,
    MGI_CELL_V,
    MGI_CELLS
} mgi_cell;

struct mgi_node {
    char name[MGI_NAME];
    char prefix[MGI_NAME];     /* of its parameters' names; mostly the node's name */
    mgi_kind kind;
    int n_in;
    int in[MGI_MAX_INPUTS];    /* indices of earlier nodes */
    mango_idx C, H, W;         /* output shape; vectors have H = W = 1 */
    mgi_conv conv;             /* CONV, CONVT, LINEAR (as 1x1, C = C*H*W of input) */
    mgi_pool pool;             /* pools */
    mango_lif lif;
    double eps, momentum;
    int bias, spectral;
    int count_pad;             /* AVGPOOL: does the padding count? */
    mgi_resample up;           /* UPSAMPLE */
    mango_idx codes;           /* VQ, EMBEDDING */
    mango_idx dim;             /* EMBEDDING */
    double number[2];          /* elementwise kinds, affine, pad: numbers of the formula */
    int mode;                  /* a word: of gelu, prelu, layernorm, pad, transpose, flatten */
    int side[4];               /* pad, crop: left, right, top, bottom */
    int dims, shuffle;         /* layernorm: axes; pixelshuffle: how many times larger */
    mango_idx groups, from, to; /* groupnorm; slice: channels from .. to - 1 */
    mango_idx size[2];         /* crop: height, width */
    int affine;                /* norms: has it weights? (bias as above) */
    int weight, bias_p, mean_p, var_p; /* indices of parameters, -1: none */
    int cell[MGI_CELLS];       /* LIF: indices of parameters, -1: none */
    int sn_u, sn_sigma;        /* with spectral: buffers (1,O) and (1); -1: none */
    int spiking_input;         /* some ancestor is a LIF: depends on time */
};

/* Is its value spikes, 0 or 1? */
static inline int mgi_node_spikes(const mgi_node *q)
{
    return q->kind == MGI_LIF && !q->lif.readout_membrane;
}

typedef struct mgi_pair {
    char *key, *value;         /* metadata, NUL-terminated, owned */
} mgi_pair;

struct mango_net {
    mango_alloc al;
    int n_nodes, cap_nodes;
    mgi_node *node;
    int n_params, cap_params;
    mgi_param *param;
    int given;                 /* weights are released as a plan packs them */
    unsigned char *file;       /* its bytes, for mango_net_open while the net lives; or NULL */
    mango_idx file_size;
    int output;                /* index of the last node */
    int input;                 /* index of the first INPUT node */
    char arch[32];
    mango_idx T;               /* steps by default; 1 when nothing spikes */
    float mean[3], std[3];     /* x_net = (rgb - mean)/std, rgb in [0,1]; 0,1 when unset */
    float out_scale, out_shift;/* generators: rgb = y*out_scale + out_shift; 1,0 when unset */
    mango_idx n_meta, cap_meta, n_extra, cap_extra;
    mgi_pair *meta;            /* provenance: strings of the weights file */
    mgi_tensor *extra;         /* tensors carried along; .raw is owned */
    mango_status failed;       /* first error of building, and its message */
    mango_err err;
};

/* Builders for the zoo: each returns the new node's index, or -1 after an
 * error, which the net remembers (first one wins) for mgi_net_finish. */
MGI_FN mango_status mgi_net_new(mango_net **out, const char *arch, const mango_alloc *al);
MGI_FN int mgi_net_input(mango_net *n, const char *name, mango_idx C, mango_idx H, mango_idx W);
/* attrs in the text form's "key=value key=value" syntax, so that the zoo, the
 * parser and the writer share one table of attributes. in: up to MGI_MAX_INPUTS. */
MGI_FN int mgi_net_node(mango_net *n, const char *name, mgi_kind kind, int n_in, const int *in,
                        const char *attrs);
MGI_FN int mgi_net_add1(mango_net *n, const char *name, mgi_kind kind, int in,
                        const char *attrs_fmt, ...) MGI_PRINTF(5, 6);
MGI_FN int mgi_net_plain(mango_net *n, const char *name, mgi_kind kind,
                         int in); /* no attributes */
/* Lists parameters and marks time dependence; reports the first error of
 * building, by node name. (Shapes are inferred as nodes are added.) */
MGI_FN mango_status mgi_net_finish(mango_net *n, mango_err *err);
/* Parameters that were added later, to their places: the order of the graph. */
MGI_FN mango_status mgi_net_relist(mango_net *n, mango_err *err);
/* digest.c: mango_net_digest of all in two parts. Only the first, the graph's text,
 * allocates; the second takes every parameter's name and bits, little-endian. */
MGI_FN mango_status mgi_digest_begin(const mango_net *n, const mango_alloc *al, mgi_hash *h);
MGI_FN void mgi_digest_end(const mango_net *n, mgi_hash *h, char hex[65]);

MGI_FN int mgi_net_find(const mango_net *n, const char *layer);   /* -1: none */
/* The softmax of a generator's classes (sngan,classes=K): over a linear layer
 * that reads the input. -1: none. */
MGI_FN int mgi_net_class_softmax(const mango_net *n);
MGI_FN int mgi_param_find(const mango_net *n, const char *name);
/* match.c: does a tensor have the parameter's shape? The weights of a convolution may come
 * without the sizes that are 1: (O,C,k) of a 1-d one, whose kernel is 1xk. */
MGI_FN int mgi_param_takes(const mgi_param *p, int rank, const mango_idx *shape);
/* op_parts.c: remembers the first error; always -1. */
MGI_FN int mgi_net_bad(mango_net *n, mango_status st, const mango_err *e);
/* PREFIX.SUFFIX of a shape, for the records of operators; its index, or -1 with the
 * error remembered. buffer: not trained. */
MGI_FN int mgi_net_param_add(mango_net *n, const mgi_node *q, const char *suffix, int buffer,
                             int rank, mango_idx a, mango_idx b, mango_idx c, mango_idx d);
/* Multiply-adds of one map through a node: the one count of this library. padded:
 * with those that meet zeros of the padding. */
MGI_FN double mgi_node_macs(const mango_net *n, int node, int padded);

/* graph_attr.c: reads and writes what the kind's table lists. attrs is "key=value ...",
 * strict: unknown, repeated, missing or out of range names the key. */
MGI_FN mango_status mgi_node_attrs(mgi_node *q, const char *attrs, mango_err *err);
MGI_FN void mgi_node_write_attrs(const mgi_node *q, mgi_str *s); /* each " key=value" */
MGI_FN void mgi_attr_write(const mgi_attr *r, const mgi_node *q, mgi_str *s); /* one value */

/* Text form. */
MGI_FN mango_status mgi_graph_write(const mango_net *n, mgi_str *s);
MGI_FN mango_status mgi_graph_parse(mango_net **out, const char *text, mango_idx len,
                                    const mango_alloc *al, mango_err *err);

/* Allocate every parameter, zeroed (running_var and sn_sigma too). Nothing
 * happens when they are there already. */
MGI_FN mango_status mgi_net_alloc_params(mango_net *n);
/* Refuses a node whose running variance is negative, by the parameter's name. */
MGI_FN mango_status mgi_check_variance(const mango_net *n, int node, mango_err *err);
MGI_FN void mgi_del_text(const mango_alloc *al, char *z); /* NULL is fine */
MGI_FN void mgi_param_release(const mango_net *n, int i); /* free its values */

/* What an importer needs. An offer is a tensor of a checkpoint, after its
 * prefix was stripped or added. mgi_params_match - map[p] = index of the offer
 * that fits parameter p; MANGO_E_SHAPE with one line that lists the first
 * missing, left over and wrongly shaped ones (and counts the rest). Offers for
 * which mgi_param_foreign is true are passed over, and with map and err NULL
 * nothing but the status is told. A parameter of shape (1) takes an offer of
 * rank 0. */
typedef struct mgi_offer {
    const char *name;
    int rank;
    const mango_idx *shape;
} mgi_offer;
MGI_FN mango_status mgi_params_match(const mango_net *n, mango_idx count,
                                     const mgi_offer *offer, mango_idx *map, mango_err *err);
/* Does a state dict of the source frameworks hold this beside the parameters?
 * num_batches_tracked, _ema_w, _ema_cluster_size, and what a LIF layer has: PREFIX.threshold,
 * .beta, .graded_spikes_factor, .reset_mechanism_val, .w, .mem. */
MGI_FN int mgi_param_foreign(const mango_net *n, const char *name);
/* Is it a scalar of a rule: not a counter, an average or a membrane? */
MGI_FN int mgi_is_rule(const mango_net *n, const char *name);
/* Such a scalar into its layer's rule: true when name was one. *st: MANGO_OK,
 * or an error when the rule cannot hold the value. */
MGI_FN int mgi_rule_scalar(mango_net *n, const char *name, double value, mango_status *st,
                           mango_err *err);

/* Values of such a field that are many: its layer's rule gets a parameter for them, whose
 * index is put in *param; -1: no field that can be many, or a parameter already. */
MGI_FN mango_status mgi_rule_widen(mango_net *n, const char *name, int foreign, int rank,
                                   const mango_idx *shape, int *param, mango_err *err);
/* What a tensor of another program is that is no parameter: nothing known; of no use here;
 * part of a neuron's rule, which now holds it. `name`: that of offer i after prefixes. */
typedef enum mgi_beside { MGI_BESIDE_LEFT, MGI_BESIDE_STATE, MGI_BESIDE_RULE } mgi_beside;
MGI_FN mango_status mgi_rule_offer(mango_net *net, const char *name, const mango_offers *o,
                                   mango_idx i, mgi_beside *what, mango_err *err);

/* Tensors carried along: copied; a second one of the same name replaces the first. */
MGI_FN mango_status mgi_net_extra_set(mango_net *n, const char *name, mgi_dtype dtype, int rank,
                                      const mango_idx *shape, const void *raw);
MGI_FN const mgi_tensor *mgi_net_extra_get(const mango_net *n, const char *name); /* or NULL */
MGI_FN void mgi_net_extra_drop(mango_net *n, const char *name); /* none: nothing happens */

#endif

/* train.h - training: classifiers (spiking or not), VQ-VAE, SN-GAN.
 *
 * A trainer borrows a network and a data set, and moves the network's
 * parameters in place. All randomness is a function of (seed, epoch, index), so
 * a run gives the same bits for any number of threads, and a run that was saved
 * and resumed the same as one never interrupted.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_TRAIN_H
#define MANGO_TRAIN_H

#include "../data/data.h"
#include "../net/net.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mango_train_kind {
    MANGO_TRAIN_NET,   /* cross-entropy on the output's mean over T steps      */
    MANGO_TRAIN_VQVAE, /* van den Oord et al. 2017, codebook by moving averages */
    MANGO_TRAIN_SNGAN  /* Miyato et al. 2018, hinge loss                        */
} mango_train_kind;
/* What is known of a kind of training. */
typedef struct mango_train_kind_info {
    const char *name;      /* "net", "vqvae", "sngan"                             */
    const char *arch;      /* a network of the zoo that is trained so             */
    const char *column[6]; /* loss, score, val_loss, val_score, lr, extra of a row */
    int rising;            /* 1: a larger val_score is better                     */
    int draws;             /* 1: the network's output is pictures, its input not  */
    int samples;           /* 1: mango_trainer_sample has something to show       */
    int judged;            /* 1: a second network, dsc, judges what it draws      */
} mango_train_kind_info;
/* mango_train_kind_get - kinds are 0, 1, .. until it returns MANGO_E_ARG. */
MANGO_API mango_status mango_train_kind_get_sized(mango_train_kind kind,
                                                  mango_train_kind_info *info, size_t size);
#define mango_train_kind_get(kind, info)                                                   \
    mango_train_kind_get_sized((kind), (info), sizeof *(info))
typedef enum mango_optimizer { MANGO_SGD, MANGO_ADAM, MANGO_ADAMW } mango_optimizer;
typedef enum mango_schedule {
    MANGO_LR_CONSTANT,
    MANGO_LR_COSINE, /* to 0 at the last update       */
    MANGO_LR_LINEAR, /* to 0 at the last update       */
    MANGO_LR_STEP    /* times lr_factor every lr_every epochs */
} mango_schedule;

typedef struct mango_train_options {
    size_t size;            /* set by mango_train_defaults                         */
    uint64_t seed;
    mango_idx epochs, batch;
    mango_idx T;            /* steps while training; 1 when nothing spikes         */
    mango_idx limit;        /* pictures an epoch; 0: all                           */
    mango_idx val_limit;    /* pictures of the other split looked at; 0: all       */
    mango_idx memory;       /* cap for one tape in bytes; 0: 4 GiB                 */
    mango_optimizer optimizer;
    mango_schedule schedule;
    double lr, warmup;      /* warmup: epochs of linear rise                       */
    double lr_every, lr_factor;
    double momentum;        /* SGD                                                 */
    int nesterov;
    double beta1, beta2, eps; /* Adam                                              */
    double weight_decay;    /* not on norms, biases and codebooks                  */
    double clip;            /* largest global norm of the gradient; 0: none        */
    double smoothing;       /* of labels, [0,1)                                    */
    double ema;             /* decay of averaged weights, [0,1); 0: none           */
    mango_idx crop_pad;     /* random crop after padding by this; 0: none          */
    int flip;               /* mirrored with probability 1/2                       */
    mango_idx cutout;       /* side of a zeroed square; 0: none                    */
    double mixup;           /* Beta(a,a), a in (0,1]; 0: none                      */
    char readout[96];       /* layer that the loss reads; "": the output           */
    double readout_scale;   /* logits = scale * mean over T                        */
    double distill;         /* share of a teacher in the loss, [0,1]; read only
                               after mango_trainer_teach                           */
    double temperature;     /* both logits are divided by it where compared, > 0   */
    mango_idx bn_T;         /* steps at which running statistics are estimated
                               again at the end; 0: not                            */
    double commitment, decay; /* VQ-VAE                                            */
    double revive;          /* codes used less than this share of the mean are
                               set on an encoded picture; 0: never                 */
    mango_idx reference;    /* VQ-VAE: encoded training pictures that finish puts
                               into the file as I16 tensor reference_codes (n,h,w),
                               as many of each class; 0: none                      */
    mango_idx n_dis;        /* SN-GAN: discriminator updates for one of G          */
    double lr_dis;          /* SN-GAN: lr of D, on the same schedule; 0: that of G */
    double grid;            /* SN-GAN: share of latents drawn evenly from [-4,4],
                               where the levels of its codes lie, not from N(0,1)  */
} mango_train_options;

/* mango_train_defaults - a recipe that works for this kind and network.
 *   net   in  NULL: none in particular, not for MANGO_TRAIN_NET */
MANGO_API mango_status mango_train_defaults_sized(mango_train_kind kind,
                                                  const mango_net *net,
                                                  mango_train_options *o, size_t size,
                                                  mango_err *err);
#define mango_train_defaults(kind, net, o, err)                                            \
    mango_train_defaults_sized((kind), (net), (o), sizeof *(o), (err))
/* mango_train_check - MANGO_OK, or MANGO_E_ARG with the field named in err. */
MANGO_API mango_status mango_train_check(const mango_train_options *o, mango_train_kind kind,
                                         mango_err *err);
/* mango_train_init - random first values for every parameter, chosen by what
 * reads a layer: batch-normed convolutions He (fan out), others as PyTorch;
 * norms before LIF neurons start higher, so that neurons fire. */
MANGO_API mango_status mango_train_init(mango_net *net, mango_train_kind kind, uint64_t seed,
                                        mango_err *err);
/* mango_train_from_relu - a spiking network holds the values of its twin with
 * ReLUs (mango_net_borrow): its batch-norms are scaled and shifted, so that a
 * ReLU's zero lies a little under the neuron's threshold for a constant input,
 * X_thr = U_thr (1 - beta) in the leak form, U_thr - U_reset or that over tau in
 * the tau form. A good place to begin a spiking training from, no more: it has
 * to be trained on. Returns how many norms were changed, -1 for NULL. */
MANGO_API mango_idx mango_train_from_relu(mango_net *net);

/* mango_train_latent_classes - before a generator learns classes (see dsc of
 * mango_trainer_create): prepares it for the place of the largest of its first
 * `classes` latents. `learned`: it has learned them already, without a branch.
 *   sngan,classes=K   the branch is set: a sharp softmax of these latents, and a
 *                     column for each class from their weights in the first linear
 *                     layer. These latents themselves are as loud as any other.
 *                     mango_train_init does this; again after l1 has got other values
 *   no branch         these latents' weights are multiplied once, so that together
 *                     they are as loud as all the others
 * It draws other pictures then and has to be trained on. Returns the factor,
 * sqrt((d-classes)/classes) for d latents; 0 and nothing done where there is no
 * such layer, the layers have no values or other sizes, or classes is not in
 * 2..d-1 or not the branch's. */
MANGO_API double mango_train_latent_classes(mango_net *net, mango_idx classes, int learned);

/* mango_train_widen - a network with more channels, or more outputs of hidden
 * linear layers, starts with the answers of a narrow one (Chen et al. 2016): its
 * channels are copies, and their readers share the weights out at random by
 * `seed`. Exact up to rounding, but for spectral norms, which see other matrices.
 * Parameters without a narrow twin keep their values; *set counts the others.
 * Returns MANGO_E_SHAPE when a twin is larger or of another kernel, MANGO_E_ARG
 * for a net with concat layers, MANGO_E_MEM for memory. */
MANGO_API mango_status mango_train_widen(mango_net *net, const mango_net *from, uint64_t seed,
                                         mango_idx *set, mango_err *err);

/* One epoch's figures.   NET             VQVAE                      SNGAN
 *   loss                 cross-entropy   mse/variance + commitment  discriminator
 *   score                accuracy        mse in [0,1] units         generator's loss
 *   val_loss, val_score  the same on the other split; NaN when there is none
 *                        (NET: at the training's T, of the layer the loss reads)
 *   extra                gradient norm   perplexity of the codes    mean D(real)-D(fake) */
typedef struct mango_train_row {
    mango_idx epoch;   /* 1 after the first */
    double loss, score, val_loss, val_score, lr, extra;
} mango_train_row;

typedef struct mango_trainer mango_trainer;

/* mango_trainer_create - plan everything; the networks' parameters must be set
 * (mango_train_init, or weights to go on from).
 *   dsc   in  SN-GAN: the discriminator; else NULL. With one answer it tells real
 *             from drawn; with one for each class of data (sngan_dsc,classes=10) it
 *             is asked by class, and net learns to draw the class that stands at
 *             the place of the largest of the latent's first `classes` values:
 *             best with a branch for it (sngan,classes=10)
 *   data  in  training pictures;  val  in  the other split, or NULL
 * net, dsc, data and val must outlive the trainer.
 * Returns MANGO_E_SHAPE for pictures of the wrong size or labels that do not
 * fit the network's output, MANGO_E_ARG for options, MANGO_E_MEM for memory,
 * MANGO_E_STATE for a net without weights or one that gives them away. */
MANGO_API mango_status mango_trainer_create(mango_trainer **t, mango_train_kind kind,
                                            mango_net *net, mango_net *dsc,
                                            const mango_data *data, const mango_data *val,
                                            const mango_train_options *o, const mango_alloc *al,
                                            mango_err *err);
MANGO_API void mango_trainer_destroy(mango_trainer *t);

/* mango_trainer_teach - a classifier learns from a trained one too (distillation,
 * Hinton et al. 2015): its loss becomes (1 - distill) times the cross-entropy and
 * distill times tau^2 KL(teacher || net), of logits divided by tau = temperature.
 * The teacher sees the same changed pictures in its own normalization, runs with
 * its own T, and its output's mean over T is the logits. Once, before the first
 * step and before mango_trainer_resume, which refuses another teacher's checkpoint.
 *   teacher  in  borrowed, not changed; must outlive the trainer
 * Memory: one batch of pictures, and a tape of the teacher under options.memory.
 * Returns MANGO_E_SHAPE when its pictures or classes are others, MANGO_E_STATE
 * for one without weights, or for a trainer that has begun or has a teacher,
 * MANGO_E_ARG for other kinds of trainer, MANGO_E_MEM for memory. */
MANGO_API mango_status mango_trainer_teach(mango_trainer *t, const mango_net *teacher,
                                           mango_err *err);

/* mango_trainer_step - one update. A loss that is not finite is
 * MANGO_E_NONFINITE; err names the step and the first layer at fault. */
MANGO_API mango_status mango_trainer_step(mango_trainer *t, mango_err *err);
/* mango_trainer_epoch - the rest of this epoch, then the look at `val`.
 *   on_step  in  called after each update; non-zero stops. NULL: none
 * Returns MANGO_OK and there is a row more, or MANGO_STOP_USER, after which the
 * trainer can be saved and goes on later from there. */
typedef int (*mango_train_watch)(void *ud, const mango_trainer *t);
MANGO_API mango_status mango_trainer_epoch(mango_trainer *t, mango_train_watch on_step,
                                           void *ud, mango_err *err);
/* mango_trainer_finish - put the averaged weights into the network, estimate
 * running statistics again and add reference codes, as the options ask. Once,
 * after the last epoch. */
MANGO_API mango_status mango_trainer_finish(mango_trainer *t, mango_err *err);

typedef struct mango_trainer_info {
    mango_idx epoch, epochs;     /* complete; wanted            */
    mango_idx step, steps;       /* in this epoch; of one epoch */
    double loss;                 /* of the last update          */
    double best;                 /* val_score so far; NaN: none */
    mango_idx best_epoch;
    mango_idx tape_bytes;        /* memory planned for T steps  */
    int segments;                /* 1: nothing is computed twice */
    double flops;                /* floating-point operations that one update asks for: two for
                                    each multiply-add of convolutions and linear layers, forward
                                    and both gradients, without the padding; spikes that are
                                    skipped count, a teacher's answers do not */
} mango_trainer_info;
MANGO_API mango_status mango_trainer_get_sized(const mango_trainer *t,
                                               mango_trainer_info *info, size_t size);
#define mango_trainer_get(t, info) mango_trainer_get_sized((t), (info), sizeof *(info))

/* mango_trainer_save - everything: parameters, moments, averages, position, as
 * one safetensors file, written beside the target and renamed.
 * mango_trainer_resume - go on from it. The file must be of the same kind,
 * architecture and options: MANGO_E_SHAPE or MANGO_E_ARG says what differs. */
MANGO_API mango_status mango_trainer_save(const mango_trainer *t, const char *path,
                                          mango_err *err);
MANGO_API mango_status mango_trainer_resume(mango_trainer *t, const char *path, mango_err *err);
/* Curves so far: how many rows, one for each epoch that is complete, -1 for NULL; row i,
 * MANGO_E_ARG where there is none. */
MANGO_API mango_idx mango_trainer_rows(const mango_trainer *t);
MANGO_API mango_status mango_trainer_row_sized(const mango_trainer *t, mango_idx i,
                                               mango_train_row *row, size_t size);
#define mango_trainer_row(t, i, row) mango_trainer_row_sized((t), (i), (row), sizeof *(row))

/* mango_trainer_sample - VQVAE: n pictures of `val` (or of the training data)
 * rebuilt; SNGAN: n fixed latents drawn. rgb out (n,3,H,W) in [0,1]. Uses the
 * averaged weights when there are any. source out: what VQVAE rebuilt, or NULL.
 * MANGO_E_UNSUPPORTED for a kind without pictures, see mango_train_kind_get. */
MANGO_API mango_status mango_trainer_sample(mango_trainer *t, mango_idx n, float *rgb,
                                            float *source, mango_err *err);
/* mango_trainer_snapshot - the network with averaged weights as a weights file. */
MANGO_API mango_status mango_trainer_snapshot(mango_trainer *t, const char *path,
                                              const char *dtype, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif

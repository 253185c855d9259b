/* trainer.h - the parts of the trainers, shared inside src/train.
 * SPDX-License-Identifier: MIT */
#ifndef MGI_TRAINER_H
#define MGI_TRAINER_H

#include "../base/rng.h"
#include "../net/tape.h"
#include "train.h"

/* Purposes of random streams. */
enum {
    MGI_RNG_INIT = 0x7201,   /* index: parameter          */
    MGI_RNG_ORDER,           /* index: epoch              */
    MGI_RNG_AUGMENT,         /* index: epoch, picture     */
    MGI_RNG_MIXUP,           /* index: update             */
    MGI_RNG_CODES,           /* index: update             */
    MGI_RNG_LATENT,          /* index: update             */
    MGI_RNG_SAMPLE,
    MGI_RNG_WIDEN            /* index: parameter          */
};

/* ---- optim.c ------------------------------------------------------------- */
/* One optimizer over all trained parameters of one network. */
typedef struct mgi_optim {
    mango_alloc al;
    const mango_net *net;
    mgi_grads g;
    float *m, *v;        /* (g.n) moments; v only for Adam */
    unsigned char *skip; /* (params) not trained by gradient here: codebooks */
    mango_idx updates;
    double norm;         /* of the last gradient */
} mgi_optim;
MGI_FN mango_status mgi_optim_new(mgi_optim *p, const mango_net *net,
                                  const mango_train_options *o);
MGI_FN void mgi_optim_free(mgi_optim *p);
/* One update of the net's parameters with learning rate lr; clips first.
 * MANGO_E_NONFINITE, and no update, when the gradient is not finite. */
MGI_FN mango_status mgi_optim_step(mgi_optim *p, const mango_train_options *o, double lr);
/* Learning rate of update k (from 0) of n, `per` updates an epoch. */
MGI_FN double mgi_optim_lr(const mango_train_options *o, mango_idx k, mango_idx per, double n);
/* sqrt(sum x^2), fixed blocks, any thread count. */
MGI_FN double mgi_norm2(mango_idx n, const float *x);

/* Averages of every parameter, running statistics included. */
typedef struct mgi_average {
    mango_alloc al;
    mango_idx n, n_params;
    float *flat, **of;   /* (params) */
} mgi_average;
MGI_FN mango_status mgi_average_new(mgi_average *a, const mango_net *net);
MGI_FN void mgi_average_free(mgi_average *a);
MGI_FN void mgi_average_step(mgi_average *a, const mango_net *net, double decay, mango_idx k);

/* ---- losses.c ------------------------------------------------------------ */
/* Mean over rows of cross-entropy with logits z = scale * mean over T of
 * v (T,R,C), against (1-lam) of label b and lam of label a, smoothed. Writes
 * dv (T,R,C) unless NULL; adds to *hits the rows whose arg max is label a.
 * work: 2 C doubles. */
typedef struct mgi_labels {
    const int *a, *b; /* b NULL: only a */
    double lam, smoothing;
} mgi_labels;
MGI_FN double mgi_loss_classes(mango_idx T, mango_idx R, mango_idx C, double scale,
                               const float *v, const mgi_labels *l, float *dv, mango_idx *hits,
                               double *work);
/* Mean over rows of tau^2 KL(softmax(u/tau) || softmax(z/tau)), z as above and u
 * (T_u,R,C) a teacher's logits, their mean over its steps read (Hinton et al.
 * 2015). Makes dv, the gradient of another loss, that of (1-a) times that loss
 * and a times this one. work: 4 C doubles. */
MGI_FN double mgi_loss_teacher(mango_idx T, mango_idx R, mango_idx C, double scale,
                               const float *v, mango_idx T_u, const float *u, double a,
                               double tau, float *dv, double *work);
/* Mean of (y-x)^2; dy = c * (y-x) unless NULL. per (C): mean over each of the
 * C channels, channels last. */
MGI_FN double mgi_loss_mse(mango_idx R, mango_idx C, const float *y, const float *x, double c,
                           float *dy, double *per);
/* Hinge losses of Miyato et al.: real max(0,1-d), fake max(0,1+d), both means over n
 * rows of d (n,K), of which row i gives answer y[i]; y is not read when K is 1.
 * dd (n,K): the gradient. */
MGI_FN double mgi_loss_hinge(mango_idx n, mango_idx K, const int *y, const float *d, int real,
                             float *dd);
/* share times the mean over rows and their K - 1 other answers of max(0, 1+d): a
 * picture of another class is as wrong as a drawn one. Adds to dd; 0 when K is 1. */
MGI_FN double mgi_loss_mismatch(mango_idx n, mango_idx K, const int *y, double share,
                                const float *d, float *dd);

/* ---- augment.c ----------------------------------------------------------- */
typedef struct mgi_batch {
    mango_idx b, C, H, W;
    float *x;         /* (b,H,W,C), normalized */
    int *label, *label2;
    double lam;       /* of mixup; 1: none */
    unsigned char *pixels; /* (b,C,H,W) as read, of data that is not in memory, else NULL */
} mgi_batch;
/* Pictures index[0..b-1] of data into the batch, changed at random as o asks
 * when `random`; stream by (epoch, picture). shift, scale: x = rgb*scale[c] + shift[c].
 * A picture that cannot be read is named. */
MGI_FN mango_status mgi_batch_fill(mgi_batch *B, const mango_data *data, const mango_idx *index,
                                   const mango_train_options *o, int random, mango_idx epoch,
                                   const float *scale, const float *shift, mango_err *err);
/* Blend each picture with the next one, lam ~ Beta(a,a). */
MGI_FN void mgi_batch_mixup(mgi_batch *B, const mango_train_options *o, mango_idx update,
                            float *tmp);

/* ---- spectral.c ---------------------------------------------------------- */
/* Spectral norm of the layers marked sn: W / sigma(W), sigma by power iteration. */
typedef struct mgi_spectral {
    mango_alloc al;
    const mango_net *net;
    mango_idx n;         /* floats of wbar */
    mango_idx nu, nv;
    float *wbar, *u, *v; /* all layers, one after another */
    double *sigma;       /* (nodes) */
    mango_idx *at, *at_u, *at_v; /* (nodes) offsets, -1: not marked */
} mgi_spectral;
MGI_FN mango_status mgi_spectral_new(mgi_spectral *s, const mango_net *net, uint64_t seed);
MGI_FN void mgi_spectral_free(mgi_spectral *s);
/* iterations >= 0 of the power method, then wbar; points the tapes' w there. */
MGI_FN void mgi_spectral_update(mgi_spectral *s, int iterations);
MGI_FN void mgi_spectral_bind(const mgi_spectral *s, mgi_tape *t);
/* dL/dWbar in g becomes dL/dW. */
MGI_FN void mgi_spectral_backward(const mgi_spectral *s, mgi_grads *g);

typedef struct mgi_resume mgi_resume;

/* ---- the trainer --------------------------------------------------------- */
#define MGI_SUMS 6

/* A kind of training: one record in its file, one row of the table in kinds.c. */
typedef struct mgi_trainer_kind {
    mango_train_kind_info info;
    int labelled;       /* needs labels, of both splits                       */
    int mixes;          /* the option mixup has a meaning                      */
    int taught;         /* may have a teacher                                 */
    int even_weights;   /* first values: uniform by both fans, biases 0       */
    int loud_norms;     /* first values: norms before neurons start higher    */
    void (*recipe)(mango_train_options *o, const mango_net *net); /* its own defaults */
    mango_status (*prepare)(mango_trainer *t, mango_err *err);    /* tapes and buffers */
    void (*free)(mango_trainer *t);                               /* these; NULL: none */
    mango_status (*update)(mango_trainer *t, mango_err *err);     /* one step, adds to sum */
    /* val_loss and val_score of the row; NULL: none. */
    mango_status (*look)(mango_trainer *t, mango_train_row *r, mango_err *err);
    /* The end of an epoch: `extra` of the row, and counts start again; NULL: sum[2]. */
    void (*close)(mango_trainer *t, mango_train_row *r);
    mango_status (*sample)(mango_trainer *t, mango_idx n, float *rgb, float *source,
                           mango_err *err);
    mango_status (*finish)(mango_trainer *t, mango_err *err);     /* NULL: nothing */
    /* What a resume file holds beside parameters, moments and averages; NULL: nothing. */
    mango_status (*keeps)(mgi_resume *k, mango_trainer *t);
    double (*flops)(const mango_trainer *t);
} mgi_trainer_kind;
MGI_FN const mgi_trainer_kind *mgi_trainer_kind_of(mango_train_kind kind); /* NULL: none */
MGI_FN const mgi_trainer_kind mgi_trainer_net;
MGI_FN const mgi_trainer_kind mgi_trainer_vqvae;
MGI_FN const mgi_trainer_kind mgi_trainer_sngan;

struct mango_trainer {
    mango_alloc al;
    const mgi_trainer_kind *kind;
    mango_train_options o;
    mango_net *net, *dsc;
    const mango_data *data, *val;
    mango_data_info info, val_info;
    mgi_tape *tape, *eval;          /* of net */
    mgi_tape *tape_d, *tape_g;      /* of dsc: real and fake together; for G */
    mgi_optim opt, opt_d;
    mgi_average avg;
    mgi_spectral sn;
    mgi_batch batch;
    float *tmp;                     /* mixup; SN-GAN: latents and real|fake pictures */
    mango_idx n_tmp, n_latent;
    mango_idx *order;               /* (data) this epoch's order */
    double *work;                   /* (4 classes) */
    mango_idx n_work;
    const mango_net *teacher;       /* NULL: none */
    mgi_tape *lesson;               /* of teacher */
    float *seen;                    /* (batch,H,W,C) pictures as the teacher normalizes them */
    char teacher_id[65];            /* digest of its parameters */
    float scale[3], shift[3];       /* x = rgb*scale + shift */
    mango_idx epoch, step, steps, update;
    double sum[MGI_SUMS], last, best;
    mango_idx best_epoch;
    int ordered;                    /* order[] is this epoch's */
    mango_train_row *row;           /* (epochs) */
    double flops;                   /* of an update */
    /* VQ-VAE */
    int vq, vq_in;                  /* nodes */
    double variance;                /* of the data as the network sees it */
    double *used;                   /* (codes) this epoch's counts */
    double *per;                    /* (C) squared error of each channel */
    float *ema_n, *ema_w;           /* (codes), (codes,C) */
};

/* distill.c: (1-share) of the loss that t->tape holds and its gradient, and `share` of
 * the teacher's, into *loss. */
MGI_FN mango_status mgi_distill_add(mango_trainer *t, mango_idx b, double *loss);

/* Shared: the next b pictures of this epoch's order into t->batch. */
MGI_FN mango_status mgi_trainer_batch(mango_trainer *t, mango_idx b, mango_err *err);
/* Pictures at..at+b-1 of data, unchanged, into t->batch. */
MGI_FN mango_status mgi_trainer_look(mango_trainer *t, const mango_data *data, mango_idx at,
                                     mango_idx b, mango_err *err);
/* How many pictures of val are looked at. */
MGI_FN mango_idx mgi_trainer_val_count(const mango_trainer *t);
/* The message and status of a loss that is not finite. */
MGI_FN mango_status mgi_trainer_nonfinite(mango_trainer *t, mgi_tape *tape, const float *x,
                                          mango_err *err);
MGI_FN double mgi_trainer_lr(const mango_trainer *t);
/* The evaluation tape reads averaged weights when there are any. */
MGI_FN void mgi_trainer_bind(const mango_trainer *t, mgi_tape *tape);
MGI_FN mango_idx mgi_trainer_memory(const mango_trainer *t);
/* The node whose values are pictures: the input, or of what is drawn the output. */
MGI_FN const mgi_node *mgi_trainer_pictures(const mango_trainer *t);
/* (n,H,W,C) as the network has them to (n,C,H,W) in [0,1]. */
MGI_FN void mgi_trainer_rgb(const mango_trainer *t, mango_idx n, const float *x, float *rgb);

/* ---- resume.c: a walk over all that a trainer remembers, to write, check or read ---- */
/* n values under "group/name"; of a network's parameters; of an optimizer's moments. */
MGI_FN mango_status mgi_resume_array(mgi_resume *k, const char *group, const char *name,
                                     mango_idx n, float *x);
MGI_FN mango_status mgi_resume_params(mgi_resume *k, const char *group, mango_net *net);
MGI_FN mango_status mgi_resume_optim(mgi_resume *k, const char *m, const char *v, mgi_optim *o);
MGI_FN int mgi_resume_reads(const mgi_resume *k); /* does this pass change the trainer? */

/* ---- flops.c ------------------------------------------------------------------------ */
/* Operations for b pictures through the tape, forward; and back, if so. */
MGI_FN double mgi_tape_flops(const mgi_tape *t, mango_idx b, int back);
/* Of one update of a kind that has one network. */
MGI_FN double mgi_trainer_flops(const mango_trainer *t);

/* init.c: the caller's options over the defaults of this header, checked. */
MGI_FN mango_status mgi_train_options_in(mango_train_options *own, const mango_train_options *o,
                                         mango_train_kind kind, const mango_net *net,
                                         mango_err *err);
/* Options as text, "key=value" a line, for the resume file. */
MGI_FN void mgi_train_text(const mango_train_options *o, mgi_str *s);

#endif

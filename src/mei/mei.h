/* mei.h - the most exciting input of a neuron: drawing, objective, session, search; space.h
 * and target.h are of it.
 *
 *     I --space--> latent --generator--> picture --network--> activation y
 *     ^                                                             |
 *     +---------------------- session: optimizer, cache, journal ---+
 *
 * A session searches any function of multi-indices; the ready-made objective
 * is a generator followed by a network. A rig puts its own function there, or asks
 * and tells. A search is objective and session together, made to fit.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_MEI_H
#define MANGO_MEI_H

#include "space.h"
#include "target.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- controls ------------------------------------------------------------ */

/* mango_controls - what a picture is kept to before the network sees it, and what is saved of
 * it is what the network saw. In this order; numbers are of [0,1] as a file has them (sRGB,
 * not linearised), luminance is L = 0.299 R + 0.587 G + 0.114 B:
 *   grey       1: L in all channels
 *   H, W       size of the picture in the middle of the network's field, to which it is
 *              resized (bilinear, antialiased where it shrinks); 0: the whole field
 *   luminance  mean of L, 0 .. 1; contrast: standard deviation of L, 0 .. 0.5 (RMS contrast);
 *              -1: as drawn. Set by one gain and shift for all channels, cut to [0,1], again
 *              up to 20 times until both are met to 1e-4; inside of the mask
 *   tv         > 0: limit of the total variation, the mean over pixels and channels of
 *              |right - here| + |below - here|. A projection: the picture is blurred (1 2 1) as
 *              often as needed, the last time in part
 *   mask       > 0: a disc of so many times half the shorter side as radius, its edge one
 *              pixel wide; outside of it, and around a smaller picture, is
 *   surround   grey, 0 .. 1
 * mango_controls_defaults: none of them; surround 0.5. mango_controls_text: those asked for,
 * "grey luminance=0.5 mask=0.9 surround=0.5", as mango_net_text gives a text. */
typedef struct mango_controls {
    size_t size; /* set by mango_controls_defaults */
    int grey;
    double luminance, contrast, tv, mask, surround;
    mango_idx H, W;
} mango_controls;
MANGO_API mango_status mango_controls_defaults_sized(mango_controls *c, size_t size);
#define mango_controls_defaults(c) mango_controls_defaults_sized((c), sizeof *(c))
MANGO_API mango_idx mango_controls_text(const mango_controls *c, char *text, mango_idx cap);

/* ---- drawing ------------------------------------------------------------- */

/* mango_drawing - from codes to pictures: space -> generator -> controls -> 8 bits,
 *     rgb = round(255 clamp(y out_scale + out_shift, 0, 1))/255
 * (with the controls between clamp and round). The picture of a code has the same bits in
 * every batch. */
typedef struct mango_drawing mango_drawing;
typedef struct mango_drawing_options {
    size_t size;       /* set by mango_drawing_defaults               */
    mango_idx batch;   /* pictures at once, 1 .. 4096                 */
    mango_idx memory;  /* cap of the plan; 0: the plan's default      */
    int half;          /* 1: weights in half precision                */
    const mango_controls *controls; /* copied; NULL: none             */
    mango_idx C, H, W; /* of the pictures wanted; 0: the generator's. Others are resized
                          (see mango_controls); 3 channels become 1 by luminance, 1
                          becomes 3 equal ones                        */
} mango_drawing_options;
/* batch 10, memory 0, half 0, controls NULL, C, H, W 0. */
MANGO_API mango_status mango_drawing_defaults_sized(mango_drawing_options *o, size_t size);
#define mango_drawing_defaults(o) mango_drawing_defaults_sized((o), sizeof *(o))
/* mango_drawing_create - plan a generator, which must outlive the drawing and not
 * change; o NULL: defaults. MANGO_E_SHAPE when it is none, MANGO_E_STATE without weights. */
MANGO_API mango_status mango_drawing_create(mango_drawing **d, const mango_net *gen,
                                            const mango_drawing_options *o,
                                            const mango_alloc *al, mango_err *err);
/* Pictures rgb (K,C,H,W), k/255 with integer k, of any number of codes I (K,d); of
 * latents z (K,d) themselves (with a codebook: codes as floats). */
MANGO_API mango_status mango_drawing_codes(mango_drawing *d, mango_idx K, const mango_idx *I,
                                           float *rgb);
MANGO_API mango_status mango_drawing_latents(mango_drawing *d, mango_idx K, const float *z,
                                             float *rgb);
typedef struct mango_drawing_info {
    mango_idx C, H, W;        /* of the picture              */
    mango_idx batch, bytes;   /* memory of the plan          */
    double macs;              /* multiply-adds of a picture  */
    const mango_space *space; /* owned by the drawing        */
} mango_drawing_info;
MANGO_API mango_status mango_drawing_get_sized(const mango_drawing *d,
                                               mango_drawing_info *info, size_t size);
#define mango_drawing_get(d, info) mango_drawing_get_sized((d), (info), sizeof *(info))
MANGO_API const char *mango_drawing_error(const mango_drawing *d); /* last message, "" */
MANGO_API void mango_drawing_destroy(mango_drawing *d);

/* ---- sketch -------------------------------------------------------------- */

/* mango_sketch - cheap features of pictures: what a code draws in few numbers, without a
 * network. Of a picture (C,H,W), 8x8 means of each colour (C,8,8), then on a 4x4 grid the
 * root mean square of its gradient in four orientations (4,4,4): 256 for 3x32x32. Smaller
 * pictures have fewer cells. It takes the time that drawing takes. */
typedef struct mango_sketch mango_sketch;
/* mango_sketch_create - by a drawing, which must outlive it and serves one at a time. */
MANGO_API mango_status mango_sketch_create(mango_sketch **s, mango_drawing *drawing,
                                           const mango_alloc *al, mango_err *err);
MANGO_API mango_idx mango_sketch_dim(const mango_sketch *s); /* features; -1 for NULL */
/* mango_sketch_codes - f (K,dim) of any number of codes I (K,d): a mango_features of
 * mango_facts, with the sketch as ud and features_dim from mango_sketch_dim.
 * mango_sketch_pictures - of pictures rgb (K,C,H,W). Both allocate nothing; the same bits
 * in every batch. MANGO_E_ARG for a level out of range. */
MANGO_API mango_status mango_sketch_codes(void *sketch, mango_idx K, const mango_idx *I,
                                          float *f);
MANGO_API mango_status mango_sketch_pictures(mango_sketch *s, mango_idx K, const float *rgb,
                                             float *f);
MANGO_API void mango_sketch_destroy(mango_sketch *s);

/* ---- objective ----------------------------------------------------------- */

/* mango_evaluator - y (K) of codes I (K,d), a whole batch at once. Returns
 * MANGO_OK, an error, or a positive status to stop. NaN: this one is missing. */
typedef mango_status (*mango_evaluator)(void *ud, mango_idx K, const mango_idx *I,
                                        double *y);

typedef struct mango_objective mango_objective;
typedef struct mango_objective_options {
    size_t size;       /* set by mango_objective_defaults    */
    mango_idx T;       /* steps; 0: the network's own        */
    mango_idx batch;   /* pictures at once, 1 .. 4096; 0: 10 */
    mango_idx memory;  /* cap for each of the two plans; 0: the plan's default */
    /* Early stop of queries, for one target of a spiking layer: */
    mango_idx elite;   /* > 0: a query that cannot be among the best `elite` of its
                          batch any more is stopped, and its value is NaN; 0: off;
                          MANGO_ELITE_AUTO: the optimizer's (mango_search alone) */
    int minimize;      /* the best are the smallest (mango_search: the optimizer's) */
    double believed;   /* spikes per step that the rest of a query can reach at
                          most, in (0,1]; 1 is certain                         */
    int half;          /* 1: weights in half precision, see mango_plan_options */
    int int8;          /* 1: weights of spikes in 8 bits, see there            */
    int ties;          /* 1: mango_objective_ties can be asked; not with `elite`.
                          0: it costs nothing. mango_search: as its optimizer likes */
    int sketch;        /* mango_search alone: 1: facts.features of its optimizer are those
                          of mango_sketch, for codes that it thinks of, in the time of
                          drawing them; no preset asks for them so far; 0: not */
    const mango_controls *controls; /* of drawn pictures, copied; NULL: none. Pictures that are
                          given (mango_objective_look) are looked at as they are */
} mango_objective_options;
#define MANGO_ELITE_AUTO (-1)
/* T 0, batch 0, memory 0, elite 0 (no early stop), minimize 0, believed 1, half 0,
 * int8 0, ties 0, sketch 0, controls NULL. */
MANGO_API mango_status mango_objective_defaults_sized(mango_objective_options *o,
                                                      size_t size);
#define mango_objective_defaults(o) mango_objective_defaults_sized((o), sizeof *(o))

/* mango_objective_create - join a generator, a network and a target. Both nets
 * must outlive the objective and not change. Everything is planned here; a net
 * that gives its weights away (mango_net_give) does so here.
 *   gen  in  NULL: there is none, the objective is one of pictures
 *            (mango_objective_look), and has no space
 *   opt  in  NULL: defaults
 * A generator's pictures of another size, grey or coloured, are made to fit (mango_drawing).
 * Returns MANGO_E_SHAPE when the picture does not fit the network, MANGO_E_ARG when controls
 * are out of range, MANGO_E_STATE when a net has no weights, or no more. */
MANGO_API mango_status mango_objective_create(mango_objective **o, const mango_net *gen,
                                              const mango_net *net, const char *target,
                                              const mango_objective_options *opt,
                                              const mango_alloc *al, mango_err *err);
/* mango_objective_create_many - the same for n targets at once, of any layers: a
 * code's picture is drawn once, and the network runs once, to the deepest of
 * the layers. Of each target its text is not needed: all channels of a layer are
 *     mango_target_parse(&t[0], net, "layer4.1.sn2:0", &err);
 *     for (u = 1; u < t[0].C; u++) {
 *         t[u] = t[0];
 *         t[u].unit = u;
 *     }
 * Each value has the bits that an objective of this target alone gives. */
MANGO_API mango_status mango_objective_create_many(mango_objective **o, const mango_net *gen,
                                                   const mango_net *net, mango_idx n,
                                                   const mango_target *targets,
                                                   const mango_objective_options *opt,
                                                   const mango_alloc *al, mango_err *err);
/* mango_objective_aim - n other targets of the same network from now on; the generator,
 * its plan and the digests stay. After an error the old targets stay. A network that
 * gave its weights away can be aimed at what its plan holds alone, else MANGO_E_STATE. */
MANGO_API mango_status mango_objective_aim(mango_objective *o, mango_idx n,
                                           const mango_target *targets, mango_err *err);
/* mango_objective_eval - a mango_evaluator; ud is the mango_objective, of one
 * target. Pictures are rounded to 8 bits before the network sees them. With
 * `elite`, each call, cut in pieces of `batch`, is a batch: with `believed` 1 the
 * values of the best `elite` are what they are without. */
MANGO_API mango_status mango_objective_eval(void *ud, mango_idx K, const mango_idx *I,
                                            double *y);
/* mango_objective_ties - numbers that order the K codes of the last mango_objective_eval
 * where their values are equal, as rates k/T often are, most of all those of silence:
 * larger is nearer to one spike more. For the n neurons of a spiking target, which X
 * drives (the input of their layer) and U_thr is the threshold of,
 *
 *     tie = log( 1/n sum_i exp(4 X_i/U_thr) ),  X_i the mean over time
 *
 * so that the neuron nearest to firing counts most. 0 for targets that do not spike.
 * The same bits in every batch. MANGO_E_STATE without option `ties`, with several targets,
 * or when K is not the number of codes of the last evaluation, which are forgotten here. */
MANGO_API mango_status mango_objective_ties(mango_objective *o, mango_idx K, double *tie);
/* mango_objective_eval_many - y (K,n) of codes I (K,d), n targets each. */
MANGO_API mango_status mango_objective_eval_many(mango_objective *o, mango_idx K,
                                                 const mango_idx *I, double *y);
/* mango_objective_picture - rgb (C,H,W) of one code (d), k/255 with integer k. */
MANGO_API mango_status mango_objective_picture(mango_objective *o, const mango_idx *I,
                                               float *rgb);
/* mango_objective_look - y (K,n) of pictures rgb (K,C,H,W) in [0,1], unrounded,
 * for n targets; none is stopped early. */
MANGO_API mango_status mango_objective_look(mango_objective *o, mango_idx K,
                                            const float *rgb, double *y);
typedef struct mango_objective_info {
    mango_idx C, H, W;     /* of the picture                    */
    mango_idx T, bytes;    /* steps; memory of the plans        */
    mango_idx batch;       /* pictures at once                  */
    double macs;           /* dense multiply-adds of a query    */
    const mango_space *space; /* NULL without a generator       */
    mango_idx n_targets;
    mango_target target;   /* the first                         */
    mango_idx stopped;     /* queries stopped early so far      */
    double steps, steps_all; /* with early stop: network steps made, and without */
    char gen[65], net[65]; /* mango_net_digest of both; "" without a generator */
    char vectors[65];      /* SHA-256 of the numbers of the target's files; "": none */
} mango_objective_info;
MANGO_API mango_status mango_objective_get_sized(const mango_objective *o,
                                                 mango_objective_info *info, size_t size);
#define mango_objective_get(o, info) mango_objective_get_sized((o), (info), sizeof *(info))
MANGO_API const char *mango_objective_error(const mango_objective *o); /* last message, "" */
MANGO_API void mango_objective_destroy(mango_objective *o);

/* ---- session ------------------------------------------------------------- */

/* A fact about the run that is kept in the journal's header and must be the
 * same at resume, for example {"target", "sn1:3"}. Both are plain text. */
typedef struct mango_note {
    const char *key, *value;
} mango_note;

typedef struct mango_session mango_session;
typedef struct mango_session_options {
    size_t size;                /* set by mango_session_defaults                  */
    mango_opt_options o;        /* the optimizer: preset and its options          */
    uint64_t seed;
    mango_idx budget;           /* presentations, >= 1; may be larger at resume   */
    double stop_at;             /* stop at this value; NaN: never                 */
    mango_idx stall;            /* batches in a row without a new code before the
                                   optimizer is restarted, 1 .. 10^6              */
    int repeat;                 /* 1: a repeated code is a query again (noise);
                                   0: it is answered from the cache, for nothing  */
    mango_idx shows;            /* presentations of each new code, 1 .. 10^6: its
                                   value is their mean                            */
    mango_idx ahead;            /* codes that one call of the function should hold:
                                   of an oblivious method (mango_opt_info)
                                   the codes of the next batches are evaluated together
                                   with the present one; nothing else changes. 0: off */
    const mango_facts *facts;   /* what the optimizer may know of the space, the same
                                   at resume; NULL: nothing                       */
    const char *journal;        /* path; NULL: none                               */
    int resume;                 /* 1: go on with the journal when it exists;
                                   0: a journal that holds more than a header of
                                   these options is refused                       */
    int sync;                   /* 1: each value is on the disk before anything else:
                                   for queries that cannot be had again. 2: within a
                                   second; a power cut then costs what is computed
                                   again. 0: when the system likes. A killed process
                                   loses nothing in any case */
    const mango_note *notes;    /* (n_notes) up to 32                             */
    mango_idx n_notes;
    int (*observe)(void *ud, const mango_session *s); /* after each step and each call of
                                   mango_session_tell; all that reads a session may be
                                   called. Non-zero: the step, or the next ask, returns
                                   MANGO_STOP_USER; NULL: none                    */
    void *observe_ud;
    /* Under noise: */
    const char *noise;          /* put on the function's values, see mango_noise_parse, keyed
                                   by seed and presentation; sets `repeat`. NULL: none */
    double race;                /* share of the budget, 0 .. 1, for a final race of the
                                   leaders; 0: none; -1: 0.15 with `repeat`, noise, or facts
                                   that tell of noise, else 0                     */
    mango_idx race_leaders;     /* codes in it at first, 1 .. 1000; 0: 20         */
    const mango_idx *start;     /* (n_start, d) codes to begin with, as if offered */
    mango_idx n_start;
    mango_status (*ties)(void *ud, mango_idx K, double *tie); /* orders the K codes that the
                                   function was called with last where their values are
                                   equal: larger as larger values; called only for a method
                                   that looks at ties, and not with `noise`       */
    void *ties_ud;
    /* Ends before the budget's, of this process: after a resume they are counted anew. A
     * race comes first, of its share of all that will then have been shown. */
    mango_idx stagnate;         /* > 0: after so many presentations without an improvement:
                                   MANGO_STOP_STAGNATION                          */
    double seconds;             /* > 0: MANGO_STOP_TIME after so long, to the second;
                                   a batch is not cut                             */
} mango_session_options;
/* mango_session_defaults - options for a preset of mango_opt_preset: budget 1000, seed
 * 0, stop_at NaN, stall 100, shows 1, sync 1, race -1, race_leaders 20. MANGO_E_NAME. */
MANGO_API mango_status mango_session_defaults_sized(const char *opt,
                                                    mango_session_options *o, size_t size,
                                                    mango_err *err);
#define mango_session_defaults(opt, o, err)                                                \
    mango_session_defaults_sized((opt), (o), sizeof *(o), (err))

/* mango_session_create - begin a search, or go on with one.
 *   modes  in   the space
 *   o      in   options; all that they point to is copied
 *   f, ud  in   the function; not called here. NULL: values come by
 *               mango_session_tell alone
 * With resume the journal is replayed: the optimizer is asked again, must
 * propose the same codes, and is told the recorded values. The state is then
 * the one of a run that was never interrupted. An unfinished last line is cut
 * off; damage before it, or options that differ (budget, stop_at and sync may),
 * are refused and nothing is changed. The journal is read line by line, whatever
 * its size; one of format 1 goes on in it. A journal that was made here and of which
 * nothing came is removed; no other file is.
 * Returns  MANGO_OK; MANGO_E_FORMAT (damaged, line named), MANGO_E_STATE
 *          (journal in the way; other option, its name in err), MANGO_E_ARG, ... */
MANGO_API mango_status mango_session_create(mango_session **s, const mango_modes *modes,
                                            const mango_session_options *o,
                                            mango_evaluator f, void *ud,
                                            const mango_alloc *al, mango_err *err);

/* Ask and tell: the caller shows codes and tells what they gave, when and in
 * whatever order it pleases.
 *
 *     uint64_t id[40];                               //
 *     while (mango_session_ask(s, 40, &K, id, I) == MANGO_OK) {
 *         show codes I (K,d), get values y (K), some now, some later ...
 *         mango_session_tell(s, n, some_id, some_y);
 *     }
 *
 * mango_session_ask - what is to be shown next: at most `cap` codes I (K,d) and their
 * ids (K). First what is left of the batches that are open; when nothing is left, a
 * new batch is asked of the optimizer, also while values of earlier ones are still to
 * come: so several can be open. With `shows` > 1 an id comes so many times. An id is
 * the number of its code, counted from 0 in the order asked, the same after a resume.
 * Returns MANGO_OK, *K = 0 when values must be told first; a MANGO_STOP_... and *K = 0
 * when the search is over; an error.
 *
 * mango_session_tell - values y (n) of ids (n): of a whole batch or a part, in any
 * order, late, of several batches, the same id again: each is one presentation, and one
 * line of the journal holds the call. NaN and infinity: missing. A code that has `shows`
 * values counts, with their mean; a batch is told to the optimizer when all its codes
 * do. Presentations beyond that correct the mean that the best and later batches see. An
 * id that was never given is MANGO_E_ARG, and then nothing of the call is taken.
 * What was told in which order is the state: two sessions asked and told alike are
 * alike, and have the same journal, byte for byte.
 * With a journal of format 1 values must come in the order of their ids (else
 * MANGO_E_STATE), one batch at a time.
 *
 * mango_session_tell_ties - the same with ties (n), NULL: none. See `ties`.
 *
 * mango_session_offer - codes I (K,d) of the caller's own: a start that is known to be
 * good, the codes of real pictures, the best of a neighbouring neuron. They come out of
 * mango_session_ask as if the optimizer had proposed them, with the ids (K) that this
 * tells, and it learns from them; one that is known already keeps its id and is shown
 * no more. MANGO_E_ARG for a level out of range; then nothing is taken.
 *
 * mango_session_again - give out anew what was given out and not told, for example
 * when it was lost: ids (n), or all with id NULL. A resumed session does so by itself.
 *
 * Threads  one call at a time on a session: several threads take a lock around each. */
MANGO_API mango_status mango_session_ask(mango_session *s, mango_idx cap, mango_idx *K,
                                         uint64_t *id, mango_idx *I);
MANGO_API mango_status mango_session_tell(mango_session *s, mango_idx n, const uint64_t *id,
                                          const double *y);
MANGO_API mango_status mango_session_tell_ties(mango_session *s, mango_idx n,
                                               const uint64_t *id, const double *y,
                                               const double *tie);
MANGO_API mango_status mango_session_offer(mango_session *s, mango_idx K, const mango_idx *I,
                                           uint64_t *id);
MANGO_API mango_status mango_session_again(mango_session *s, mango_idx n, const uint64_t *id);
/* mango_session_optimizer - to look at it: mango_opt_get, mango_opt_explain, mango_opt_why
 * tell of its last ask; it stays the session's own.
 * mango_session_proposal - number k of that ask: its code I (d), may be NULL, and the id
 * that the code has. MANGO_E_ARG when there is none of this number. */
MANGO_API const mango_opt *mango_session_optimizer(const mango_session *s);
MANGO_API mango_status mango_session_proposal(const mango_session *s, mango_idx k,
                                              mango_idx *I, uint64_t *id);
/* mango_session_note - a line in the journal, {"note":{key:value}}: it keeps its place
 * between the others and changes nothing. */
MANGO_API mango_status mango_session_note(mango_session *s, const char *key,
                                          const char *value);

/* mango_session_step - the same with the session's function, for one batch: ask,
 * evaluate all that is to be shown, tell.
 * Returns MANGO_OK to be called again, a MANGO_STOP_... when the search is over,
 * an error (text from mango_session_error). After an error of the evaluator the
 * step may be tried again; after one of the journal the session is spent.
 * A batch that the budget cuts is finished when the budget grows.
 * MANGO_STOP_SPACE: every code was tried, or ten restarts in a row, each of
 * `stall` batches, brought no new code. MANGO_E_STATE: without a function, and when
 * it must wait for values of what mango_session_ask gave out. */
MANGO_API mango_status mango_session_step(mango_session *s);
/* mango_session_run - step until it stops; returns why. */
MANGO_API mango_status mango_session_run(mango_session *s);
/* mango_session_extend - a new total budget, 1 or more. What had ended by `stagnate` or
 * `seconds` goes on, as after a resume. */
MANGO_API mango_status mango_session_extend(mango_session *s, mango_idx budget);
/* The message of the last call on s that failed; "" if none. */
MANGO_API const char *mango_session_error(const mango_session *s);
/* Closes the journal; nothing is lost by not calling it. */
MANGO_API void mango_session_destroy(mango_session *s);

typedef struct mango_session_info {
    mango_idx d, budget;
    mango_idx queries;       /* codes that have their value, missing ones included */
    mango_idx cached;        /* proposals answered without a query      */
    mango_idx missing;       /* queries that gave no finite value       */
    mango_idx asks, restarts;
    mango_idx replayed;      /* of the values told: from the journal    */
    mango_idx improvements;  /* times the best became another           */
    double best;             /* NaN before the first finite value       */
    mango_idx asked;         /* codes so far: the next id               */
    mango_idx told, out;     /* presentations told; given out and not told */
    mango_idx open;          /* batches under way                       */
    int format;              /* of the journal                          */
} mango_session_info;
MANGO_API mango_status mango_session_get_sized(const mango_session *s,
                                               mango_session_info *info, size_t size);
#define mango_session_get(s, info) mango_session_get_sized((s), (info), sizeof *(info))
/* Best code (d) and value, of equal ones that of the larger tie, then the first;
 * MANGO_E_STATE when none. With a race (under noise) it is, of the codes that were shown
 * again, the one of the highest posterior mean; before any was, of all codes; from the
 * race on, of those that are still in it. Its value is that of mango_session_found. */
MANGO_API mango_status mango_session_best(const mango_session *s, double *y, mango_idx *I);
/* Query q, 0 .. queries-1, in the order in which they got their value: code (d) and
 * value (NaN: missing); either may be NULL. MANGO_E_ARG out of range. */
MANGO_API mango_status mango_session_query(const mango_session *s, mango_idx q, double *y,
                                           mango_idx *I);
/* The same query's value with all that is known of it. */
typedef struct mango_value {
    uint64_t id;
    double y, var;       /* mean; variance of one presentation, NaN below two of them */
    mango_idx n, shown;  /* finite values; presentations                              */
} mango_value;
MANGO_API mango_status mango_session_value_sized(const mango_session *s, mango_idx q,
                                                 mango_value *value, size_t size);
#define mango_session_value(s, q, value)                                                   \
    mango_session_value_sized((s), (q), (value), sizeof *(value))
/* Code (d) of an id. */
MANGO_API mango_status mango_session_code(const mango_session *s, uint64_t id, mango_idx *I);
/* The query that brought improvement i, 0 .. improvements-1; -1 out of range. */
MANGO_API mango_idx mango_session_improvement(const mango_session *s, mango_idx i);
/* The same with all that is known of it: when another code became the best. */
typedef struct mango_improvement {
    mango_idx query;         /* the code's                                    */
    mango_idx queries, told; /* how many there were then                      */
    double y;                /* the best's value then, as mango_session_best  */
} mango_improvement;
MANGO_API mango_status mango_session_improved_sized(const mango_session *s, mango_idx i,
                                                    mango_improvement *improvement,
                                                    size_t size);
#define mango_session_improved(s, i, improvement)                                          \
    mango_session_improved_sized((s), (i), (improvement), sizeof *(improvement))

/* What is known of a code by all its presentations. By the first of them it was chosen to
 * be shown again, so that one is not in `again` and what follows from it. */
typedef struct mango_estimate {
    uint64_t id;         /* the first of the code's                              */
    mango_idx n;         /* finite values                                        */
    double y;            /* with a race: `again`, or `posterior` where the code was not
                            shown again; else the mean                           */
    double mean;         /* of all values                                        */
    double again;        /* of all but the first; NaN: there are none            */
    double se, lo, hi;   /* of `again`: standard error, interval of 95%; NaN: no code was
                            shown three times, so that the noise is not known    */
    double posterior;    /* the mean, shrunk towards that of all codes by how little it
                            was shown: what codes are ranked by                  */
} mango_estimate;
/* mango_session_estimate - of the code of an id; mango_session_found - of the best, as
 * mango_session_best (MANGO_E_STATE when none).
 * mango_session_elites - the best and the next best codes that differ in at least
 * `distance` modes from all better ones taken: at most `most` into elites, *n of them. */
MANGO_API mango_status mango_session_estimate_sized(const mango_session *s, uint64_t id,
                                                    mango_estimate *e, size_t size);
#define mango_session_estimate(s, id, e)                                                   \
    mango_session_estimate_sized((s), (id), (e), sizeof *(e))
MANGO_API mango_status mango_session_found_sized(const mango_session *s, mango_estimate *e,
                                                 size_t size);
#define mango_session_found(s, e) mango_session_found_sized((s), (e), sizeof *(e))
MANGO_API mango_status mango_session_elites_sized(const mango_session *s, mango_idx most,
                                                  mango_idx distance, mango_idx *n,
                                                  mango_estimate *elites, size_t size);
#define mango_session_elites(s, most, distance, n, elites)                                 \
    mango_session_elites_sized((s), (most), (distance), (n), (elites), sizeof *(elites))

/* ---- search --------------------------------------------------------------- */

/* mango_derivative - the activation and its derivative by the code, through network and
 * generator, for methods that may look inside (facts.gradient). Spikes have the surrogate
 * derivative of their layer, the rounding of pictures to 8 bits none; batch norm is as in
 * use. Values are those of the objective but for the rounding of sums.
 * mango_derivative_create
 *   gen, net  in  must outlive it; their weights are copied, so that they may be given away
 *   target    in  see mango_target
 *   options   in  of the objective: T, batch (at most 4 at once) and memory count. NULL:
 *                 defaults
 * Returns  MANGO_OK; MANGO_E_NAME, MANGO_E_SHAPE, MANGO_E_UNSUPPORTED (a layer with a
 *          spectral norm, a generator that spikes), MANGO_E_STATE (a layer without
 *          values), MANGO_E_MEM.
 * mango_derivative_eval - a mango_gradient, ud the derivative: y (K) of codes I (K,d), and
 * dy (K,d,m): by the m numbers of a code's embedding in a codebook, else, m = 1, by the
 * number of the level. MANGO_E_ARG: a level out of range. Allocates nothing. */
typedef struct mango_derivative mango_derivative;
MANGO_API mango_status mango_derivative_create(mango_derivative **d, const mango_net *gen,
                                               const mango_net *net, const char *target,
                                               const mango_objective_options *options,
                                               const mango_alloc *al, mango_err *err);
MANGO_API mango_status mango_derivative_eval(void *ud, mango_idx K, const mango_idx *I,
                                             double *y, float *dy);
MANGO_API const char *mango_derivative_error(const mango_derivative *d); /* "" if none */
MANGO_API void mango_derivative_destroy(mango_derivative *d);             /* NULL is legal */

/* mango_search - the whole of it: generator, network, target and optimizer, made to
 * fit each other. What is easily forgotten is seen to here: the elite of an early
 * stop and whether the least is wanted are the optimizer's; the batches of the two fit;
 * the optimizer knows the facts of the space; the journal notes target, steps, digests
 * of both nets and whatever changes values, so that it is resumed with the same alone. */
typedef struct mango_search mango_search;

/* mango_search_create - everything but the first query.
 *   gen, net  in  must outlive the search and not change
 *   target    in  see mango_target
 *   oo        in  of the objective; elite MANGO_ELITE_AUTO: early stop. NULL: defaults
 *   so        in  of the session; facts NULL: those of the space, ahead 0: as suits;
 *                 notes are added to the search's own. NULL: those of "auto". With the
 *                 optimizer "gradient" and the facts of the space, the search makes the
 *                 derivative that it needs (mango_derivative)
 * Returns  what mango_objective_create and mango_session_create return. */
MANGO_API mango_status mango_search_create(mango_search **s, const mango_net *gen,
                                           const mango_net *net, const char *target,
                                           const mango_objective_options *oo,
                                           const mango_session_options *so,
                                           const mango_alloc *al, mango_err *err);
/* mango_search_create_pictures - the same without a network: the objective is a function of
 * pictures.
 *   f, ud     in  y (K) of pictures rgb (K,C,H,W), k/255 with integer k, K at most the
 *                 drawing's batch; returns as a mango_evaluator
 *   name      in  of the function, for the journal: the same at resume
 *   d         in  of the drawing: size, controls, batch. NULL: defaults
 *   so        in  as above; a method that looks inside, or at ties, has nothing to look at
 * mango_search_objective is NULL then; a preset that needs a gradient is refused. */
typedef mango_status (*mango_picture_values)(void *ud, mango_idx K, const float *rgb,
                                             double *y);
MANGO_API mango_status mango_search_create_pictures(mango_search **s, const mango_net *gen,
                                                    mango_picture_values f, void *ud,
                                                    const char *name,
                                                    const mango_drawing_options *d,
                                                    const mango_session_options *so,
                                                    const mango_alloc *al, mango_err *err);
/* mango_search_values - values come from f from now on, for example noisy ones, or
 * timed; it may call mango_objective_eval of mango_search_objective. */
MANGO_API mango_status mango_search_values(mango_search *s, mango_evaluator f, void *ud);
/* mango_search_step, mango_search_run - as mango_session_step and mango_session_run. */
MANGO_API mango_status mango_search_step(mango_search *s);
MANGO_API mango_status mango_search_run(mango_search *s);
/* mango_search_best - the best so far: value, code (d), picture (C,H,W) in 8 bits; each
 * may be NULL. MANGO_E_STATE before there is one. */
MANGO_API mango_status mango_search_best(mango_search *s, double *y, mango_idx *I, float *rgb);
/* The two in it, which it owns; NULL for NULL. */
MANGO_API mango_objective *mango_search_objective(mango_search *s);
MANGO_API mango_session *mango_search_session(mango_search *s);
/* mango_search_rest - the objective goes, with its plans, and its nets are needed no
 * more; what was found stays. */
MANGO_API void mango_search_rest(mango_search *s);
MANGO_API const char *mango_search_error(const mango_search *s); /* last message, "" */
MANGO_API void mango_search_destroy(mango_search *s);

#ifdef __cplusplus
}
#endif
#endif

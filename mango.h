/*
   mango.h - MANGO in C99: find the picture that makes one neuron of a (spiking)
   network fire most, without gradients. Version: MANGO_VERSION.

   HOW TO BUILD
     Copy mango.h. In ONE C file of your program, before any system header:
         #define MANGO_IMPLEMENTATION
         #include "mango.h"
     and build it:
         cc -O2 -fopenmp prog.c -o prog -lm
     All other files, C or C++, include mango.h without the define.

   EXAMPLE
         #define MANGO_IMPLEMENTATION
         #include "mango.h"
         #include <stdio.h>

         int main(void)
         {
             const mango_idx n[6] = {10, 10, 10, 10, 10, 10};
             const mango_modes modes = {6, n};
             mango_opt_options o;
             mango_opt *opt;
             mango_err err;
             if (mango_opt_defaults("protes", &o, &err) < 0 ||
                 mango_opt_create(&opt, "protes", &modes, &o, 1, NULL, &err) < 0)
                 return puts(err.text), 1;
             mango_idx I[100 * 6], K;
             double y[100], best;
             for (int batch = 0; batch < 20; batch++) {
                 K = 0;
                 mango_opt_ask(opt, 100, &K, I);
                 for (mango_idx k = 0; k < K; k++) { // any function of a code
                     y[k] = 0;
                     for (int j = 0; j < 6; j++)
                         y[k] -= (double)((I[6 * k + j] - 7) * (I[6 * k + j] - 7));
                 }
                 mango_opt_tell(opt, K, I, y);
             }
             mango_opt_best(opt, &best, I);
             printf("%g\n", best);
             mango_opt_destroy(opt);
             return 0;
         }

   COMPILE OPTIONS, all to be defined before the file is included
     MANGO_IMPLEMENTATION   this file holds the library, too
     MANGO_API              linkage of the public functions; `static` keeps the
                            library inside one file
     -fopenmp               threads; without it the same results on one thread
     -std=c99 and later, gcc, clang or another C99 compiler. The implementation
     needs POSIX (fsync): under a strict -std it asks for it itself, which works
     when no system header came earlier; otherwise build with
     -D_POSIX_C_SOURCE=200809L. Floating-point contraction is switched off inside;
     with compilers other than gcc and clang add their option for it. -ffast-math
     is refused. No -march is needed: kernels are chosen at run time, and
     the environment variable MANGO_SIMD=ref|sse2|avx2|avx512|neon forces a set.

   ERRORS
     Calls that can fail return a mango_status: 0 done, < 0 an error, > 0 why an
     optimizer stopped. mango_status_text() says it in words; many calls also fill
     a mango_err with one line: what, where, and what was expected. The library
     never prints, exits or aborts.

   MEMORY
     Objects are made by ..._create, _load, _open and the like, and released by
     ..._destroy, which accepts NULL. Each takes a mango_alloc, or NULL for the C
     library's malloc. A failed allocation is MANGO_E_MEM and leaves nothing
     behind. What a function allocates and who frees it stands at its prototype.

   THREADS
     No mutable globals but the kernel table, set once. Calls on different objects
     may run at the same time; calls on one object may not. mango_set_threads() bounds
     the OpenMP threads of the process.

   NUMBERS
     The same seed gives the same bits for any number of threads and any
     instruction set: fixed order of summation, explicit fused multiply-add, own
     exp, log, tanh and normal deviates, counter-based random numbers.

   FUNCTIONS, by header; each is explained at its prototype
     base/base.h: mango_status_text mango_set_threads mango_threads
     base/rng.h: mango_rng_init mango_rng_u32 mango_rng_u64 mango_rng_uniform
       mango_rng_uniformf mango_rng_normal mango_rng_int mango_rng_perm
     net/lif.h: mango_lif_preset mango_lif_check mango_lif_step mango_lif_run
       mango_lif_backward
     net/net.h: mango_net_zoo mango_net_parse mango_net_load mango_net_save
       mango_net_destroy mango_net_fill mango_fill_u mango_net_meta_get mango_net_meta_set
       mango_net_layers mango_net_layer mango_net_find mango_net_steps mango_net_param
       mango_plan_defaults mango_plan_create mango_plan_run mango_plan_output
       mango_plan_bytes mango_plan_macs mango_plan_destroy
     opt/opt.h: mango_opt_names mango_opt_defaults mango_opt_create mango_opt_ask
       mango_opt_tell mango_opt_restart mango_opt_best mango_opt_error mango_opt_destroy
     data/data.h: mango_data_defaults mango_data_open mango_data_make mango_data_describe
       mango_data_get mango_data_pixels mango_data_labels mango_data_class mango_data_path
       mango_data_destroy mango_image_read mango_image_resize mango_image_fit mango_npy_read
       mango_npy_parse mango_npy_free mango_npy_floats mango_npy_ints mango_npy_write
       mango_checkpoint_open mango_checkpoint_parse mango_checkpoint_count
       mango_checkpoint_get mango_checkpoint_floats mango_checkpoint_destroy
     mei/mei.h: mango_space_create mango_space_of mango_space_modes mango_space_layer
       mango_space_latent mango_space_destroy mango_target_parse mango_objective_defaults
       mango_objective_create mango_objective_eval mango_objective_picture
       mango_objective_look mango_objective_get mango_objective_destroy
       mango_session_defaults mango_session_create mango_session_step mango_session_run
       mango_session_extend mango_session_error mango_session_destroy mango_session_get
       mango_session_best mango_session_query mango_session_improvement
     study/fid.h: mango_moments_create mango_moments_add mango_moments_merge
       mango_moments_count mango_moments_get mango_moments_destroy mango_fid
     train/train.h: mango_train_defaults mango_train_check mango_train_init
       mango_trainer_create mango_trainer_destroy mango_trainer_step mango_trainer_epoch
       mango_trainer_finish mango_trainer_state mango_trainer_save mango_trainer_resume
       mango_trainer_rows mango_trainer_sample mango_trainer_snapshot
*/
/* Made from src/ by `make header`: edit that. SPDX-License-Identifier: MIT */
#if defined(MANGO_IMPLEMENTATION) && defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L /* fsync and the like, under -std=c99 */
#endif

/* ---- begin base/base.h -------------------------------------------------------------- */
/* base.h - what every part of MANGO shares: status codes, errors, memory, sizes.
 */
#ifndef MANGO_BASE_H
#define MANGO_BASE_H

#include <stddef.h>
#include <stdint.h>

#define MANGO_VERSION "0.1.0"

/* MANGO_API marks what programs may call. In mango.h it can be redefined, for
 * example to `static`, before the header is included. */
#ifndef MANGO_API
#if defined(__GNUC__)
#define MANGO_API extern __attribute__((visibility("default")))
#else
#define MANGO_API extern
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes, counts and indices: signed, so that loops can run down to zero. */
typedef ptrdiff_t mango_idx;

/* mango_status - what every call that can fail returns.
 * 0 is success, < 0 an error, > 0 the reason why an optimizer stopped. */
typedef enum mango_status {
    MANGO_OK = 0,
    MANGO_E_ARG = -1,         /* an argument is out of its documented range  */
    MANGO_E_MEM = -2,         /* the allocator returned NULL, or a cap is hit */
    MANGO_E_IO = -3,          /* a file could not be opened, read or written */
    MANGO_E_FORMAT = -4,      /* input is malformed                          */
    MANGO_E_LIMIT = -5,       /* input exceeds a documented limit            */
    MANGO_E_SHAPE = -6,       /* sizes do not fit together                   */
    MANGO_E_NAME = -7,        /* no such layer, parameter, unit or option    */
    MANGO_E_STATE = -8,       /* called in the wrong order                   */
    MANGO_E_NONFINITE = -9,   /* NaN or infinity where none may be           */
    MANGO_E_CALLBACK = -10,   /* a caller's callback reported failure        */
    MANGO_E_UNSUPPORTED = -11,/* valid, but not provided by this build       */
    MANGO_STOP_BUDGET = 1,    /* the budget of queries is spent              */
    MANGO_STOP_TARGET = 2,    /* the wanted value was reached                */
    MANGO_STOP_SPACE = 3,     /* every code of the space was tried           */
    MANGO_STOP_USER = 4       /* the caller asked to stop                    */
} mango_status;

/* mango_status_text - one short sentence for any status; never NULL. */
MANGO_API const char *mango_status_text(mango_status st);

/* mango_err - where a failing call leaves its message: what, where, and what
 * was expected, on one line without a newline. Calls accept NULL. Only failing
 * calls write it. */
typedef struct mango_err {
    char text[256];
} mango_err;

/* mango_alloc - an allocator value, shaped like realloc.
 *   fn(ud, NULL, 0, n)   allocates n bytes, aligned as malloc; NULL on failure
 *   fn(ud, p, old, n)    resizes;  fn(ud, p, old, 0) frees and returns NULL
 * A NULL mango_alloc pointer means the C library's. The value is copied. */
typedef struct mango_alloc {
    void *(*fn)(void *ud, void *ptr, size_t old_size, size_t new_size);
    void *ud;
} mango_alloc;

/* mango_set_threads - threads the library may use from now on in this process.
 *   n  in  >= 1; 0 means all. Without OpenMP always 1.
 * Results do not depend on it. mango_threads returns the number in force. */
MANGO_API void mango_set_threads(int n);
MANGO_API int mango_threads(void);

#ifdef __cplusplus
}
#endif
#endif
/* ---- end base/base.h ---------------------------------------------------------------- */

/* ---- begin base/rng.h --------------------------------------------------------------- */
/* rng.h - counter-based random numbers (Philox-4x32-10, Salmon et al. 2011).
 */
#ifndef MANGO_RNG_H
#define MANGO_RNG_H


#ifdef __cplusplus
extern "C" {
#endif

/* mango_rng - one stream: a pure function of (seed, purpose, index). Draws
 * advance `n`. Two streams with another purpose or index are independent, so
 * results do not depend on threads or on the order of work. Plain data: copy
 * it to fork, store {seed,purpose,index,n} to resume. */
typedef struct mango_rng {
    uint64_t seed, index, n; /* n: 32-bit words drawn so far */
    uint32_t purpose;
    uint32_t have;           /* words left in buf */
    uint32_t buf[4];
} mango_rng;

MANGO_API void mango_rng_init(mango_rng *r, uint64_t seed, uint32_t purpose, uint64_t index);
MANGO_API uint32_t mango_rng_u32(mango_rng *r);
MANGO_API uint64_t mango_rng_u64(mango_rng *r);
MANGO_API double mango_rng_uniform(mango_rng *r);            /* [0,1), 53 bits       */
MANGO_API float mango_rng_uniformf(mango_rng *r);            /* [0,1), 24 bits       */
MANGO_API double mango_rng_normal(mango_rng *r);             /* N(0,1), Box-Muller on own log, sin, cos */
MANGO_API mango_idx mango_rng_int(mango_rng *r, mango_idx n); /* 0..n-1 without bias; n >= 1 */
MANGO_API void mango_rng_perm(mango_rng *r, mango_idx n, mango_idx *p); /* permutation of 0..n-1 */

#ifdef __cplusplus
}
#endif
#endif
/* ---- end base/rng.h ----------------------------------------------------------------- */

/* ---- begin net/lif.h ---------------------------------------------------------------- */
/* lif.h - leaky integrate-and-fire neurons: the rule record and its presets.
 */
#ifndef MANGO_LIF_H
#define MANGO_LIF_H


#ifdef __cplusplus
extern "C" {
#endif

typedef enum mango_lif_reset {
    MANGO_RESET_SUBTRACT, /* U -= U_thr after a spike                     */
    MANGO_RESET_VALUE,    /* U  = U_reset after a spike                   */
    MANGO_RESET_ZERO,     /* U  = 0 after a spike (snnTorch's "zero")     */
    MANGO_RESET_NONE
} mango_lif_reset;
typedef enum mango_surrogate {
    MANGO_SURROGATE_FAST_SIGMOID, /* 1/(1 + k|U-U_thr|)^2                  */
    MANGO_SURROGATE_ATAN          /* (k/2)/(1 + (pi/2 k (U-U_thr))^2)      */
} mango_surrogate;

/* mango_lif - one rule record per layer: stored, printed, never guessed.
 *
 *   leak form (tau = 0):  U[t] = beta U[t-1] + input_gain X[t]
 *   tau form  (tau > 0):  U[t] = U[t-1] + (g X[t] - (U[t-1] - U_reset))/tau,
 *                         where g = 1 (decay_input) or tau (whole input)
 *   S[t] = Theta(U[t] - U_thr), with > or >=
 *   the reset follows at once, or with reset_delay = 1 at the next step, which
 *   is snnTorch's order: U[t] = beta U[t-1] + X[t] - S[t-1] U_thr; a reset to a
 *   value then replaces U[t-1] before it decays.
 */
typedef struct mango_lif {
    float beta;         /* decay per step, [0,1]; used when tau == 0        */
    float tau;          /* time constant in steps, >= 1; 0: leak form       */
    int decay_input;    /* tau form: 1 divides the input by tau             */
    float input_gain;   /* multiplies X; 1 normally                         */
    float U_thr;        /* threshold, > 0                                   */
    int fires_on_equal; /* 0: fires on U > U_thr; 1: on U >= U_thr          */
    mango_lif_reset reset;
    float U_reset;      /* < U_thr: value after a reset; tau form: at rest  */
    int reset_delay;    /* 1: reset acts at the next step (snnTorch)        */
    int detach_reset;   /* no gradient through the reset                    */
    mango_surrogate surrogate;
    float slope;        /* k: fast sigmoid 25 (snnTorch), atan 2            */
} mango_lif;

/* The frameworks' rules by name: "snntorch" (Leaky: beta .9, subtract, >,
 * delayed, fast sigmoid 25, reset detached) and "spikingjelly" (LIFNode: tau 2,
 * decay_input, >=, reset to 0 at once, atan 2). MANGO_E_NAME otherwise. */
MANGO_API mango_status mango_lif_preset(const char *name, mango_lif *rule);

/* mango_lif_check - MANGO_OK, or MANGO_E_ARG with the field named in err. */
MANGO_API mango_status mango_lif_check(const mango_lif *rule, mango_err *err);

/* mango_lif_step - advance n neurons by one step.
 *   X  in      (n) input current of this step
 *   U  in,out  (n) membrane: for reset_delay 1 the value at firing, the reset
 *              still pending; else the value after reset. Start with 0
 *              (tau form: U_reset).
 *   S  out     (n) spikes, 0 or 1
 * X, U, S must not overlap. NaN never fires.
 * Returns  MANGO_OK; MANGO_E_ARG when the rule or a pointer is bad. */
MANGO_API mango_status mango_lif_step(const mango_lif *rule, mango_idx n, const float *X,
                                      float *U, float *S);

/* mango_lif_run - T steps; mango_lif_backward - gradients through time.
 *   X, S, U  (T,n): U holds the membrane as lif_step leaves it at each step
 *            (may be NULL when not wanted by run)
 *   dS  in   (T,n) gradient of the loss by S
 *   dX  out  (T,n), or (n) summed over T when Xstride is 0; may be H itself
 *            when Xstride is not 0
 *   H   out  (T,n) scratch: the membrane at firing, recomputed from X
 *   Xstride  floats from one step's X to the next: n or more, or 0 when X is
 *            (n), the same at each step
 * Returns  MANGO_OK; MANGO_E_ARG when the rule, a size or a pointer is bad.
 * Threads  bitwise the same result for every thread count. */
MANGO_API mango_status mango_lif_run(const mango_lif *rule, mango_idx T, mango_idx n,
                                     const float *X, mango_idx Xstride, float *U, float *S);
MANGO_API mango_status mango_lif_backward(const mango_lif *rule, mango_idx T, mango_idx n,
                                          const float *X, mango_idx Xstride,
                                          const float *dS, float *H, float *dX);

#ifdef __cplusplus
}
#endif
#endif
/* ---- end net/lif.h ------------------------------------------------------------------ */

/* ---- begin net/net.h ---------------------------------------------------------------- */
/* net.h - networks: build, load, save, ask for names, evaluate.
 */
#ifndef MANGO_NET_H
#define MANGO_NET_H


#ifdef __cplusplus
extern "C" {
#endif

typedef struct mango_net mango_net;

/* mango_net_zoo - build an architecture without weights.
 *   spec  in  "NAME" or "NAME,key=value,...": sngan, sngan_dsc, vqvae, snn_conv,
 *             spiking_resnet18, resnet18, densenet, alexnet, vgg16, vgg19;
 *             keys: width (all but alexnet and vgg: channel counts scaled, in
 *             multiples of 8), in=CxHxW, classes, T; the fields of mango_lif by
 *             name, or preset, for every neuron (beta=0.8,reset=zero); hidden,
 *             codes, dim (vqvae), hidden (snn_conv), latent, out=CxHxW (sngan).
 *             "vqvae,in=1x28x28,hidden=32,codes=64,dim=8" has a 7x7 grid of codes.
 * Returns MANGO_E_NAME with the near matches for an unknown one, MANGO_E_ARG
 * for a key or value, MANGO_E_SHAPE when the sizes do not fit. */
MANGO_API mango_status mango_net_zoo(mango_net **net, const char *spec, const mango_alloc *al,
                                     mango_err *err);
/* mango_net_parse - from the text form of graph.h (len bytes). */
MANGO_API mango_status mango_net_parse(mango_net **net, const char *text, mango_idx len,
                                       const mango_alloc *al, mango_err *err);
/* mango_net_load - a self-describing weights file (safetensors with the graph
 * in its metadata under "mango.graph"). Every field is checked before anything
 * is allocated; NaN and infinite weights are refused. */
MANGO_API mango_status mango_net_load(mango_net **net, const char *path, const mango_alloc *al,
                                      mango_err *err);
/* mango_net_save - write it, as "F32" or "F16" tensors, atomically. Further
 * metadata (provenance, accuracy) set before by mango_net_meta_set. */
MANGO_API mango_status mango_net_save(const mango_net *net, const char *path, const char *dtype,
                                      mango_err *err);
MANGO_API void mango_net_destroy(mango_net *net);

/* mango_net_fill - every parameter by the formula of golden/README.md. */
MANGO_API mango_status mango_net_fill(mango_net *net, uint64_t seed, double gain);
/* The formula for any named tensor: writes n values u in [-1,1). */
MANGO_API void mango_fill_u(const char *name, uint64_t seed, mango_idx n, float *u);

/* Metadata strings of the weights file; get returns NULL when absent. */
MANGO_API const char *mango_net_meta_get(const mango_net *net, const char *key);
MANGO_API mango_status mango_net_meta_set(mango_net *net, const char *key, const char *value);

/* Layers, in graph order. shape is (C,H,W). */
typedef struct mango_layer {
    const char *name, *kind;
    mango_idx C, H, W;
    int spiking;        /* a LIF layer */
    mango_idx params;   /* trained values of this layer */
} mango_layer;
MANGO_API mango_idx mango_net_layers(const mango_net *net);
MANGO_API mango_status mango_net_layer(const mango_net *net, mango_idx i, mango_layer *out);
MANGO_API mango_status mango_net_find(const mango_net *net, const char *layer, mango_idx *i,
                                      mango_err *err); /* near matches in err */
MANGO_API mango_idx mango_net_steps(const mango_net *net); /* T by default */
/* Parameters by name, to read or to write: data in the source framework's
 * order; NULL when there is none. */
MANGO_API float *mango_net_param(mango_net *net, const char *name, int *rank,
                                 mango_idx shape[4]);

/* A plan: everything about some readings of a network, decided beforehand. */
typedef struct mango_plan mango_plan;
/* What to read of a layer. Shapes are slowest axis first. The rate of a LIF
 * layer is (spikes counted)/(T H W), rounded once. Any layer can be read; what
 * else is read, the batch, T and the memory cap never change its bits. */
typedef enum mango_read {
    MANGO_READ_MEAN,   /* (B,C,H,W): mean over T (spike rate per neuron for LIF layers) */
    MANGO_READ_RATE,   /* (B,C): mean over T, H and W                                   */
    MANGO_READ_SPIKES, /* (T,B,C,H,W): the value at every step                          */
    MANGO_READ_CODES   /* (B,H*W): indices chosen by a VQ layer, as floats 0..K-1       */
} mango_read;
typedef struct mango_reading {
    mango_idx layer;   /* index of the layer to read */
    mango_read what;
    float *out;        /* caller's buffer, filled by mango_plan_run; B: that of the run */
} mango_reading;
typedef struct mango_plan_options {
    mango_idx T;           /* steps, 1..4096; 0: the network's own */
    mango_idx batch;       /* inputs per run, 1..4096              */
    mango_idx memory;      /* cap in bytes for the arena of feature maps (packed
                              weights are not counted); 0: 1 GiB */
    mango_idx from;        /* layer whose value the caller feeds, as it is, the same
                              at each step; -1: the input. Everything read must
                              come after it. For a VQ layer the fed values are codes
                              (B,H*W) as floats 0..K-1 in row-major (H,W) order */
    int raw;               /* 1: input is normalized already; 0: input is [0,1] RGB
                              and the plan applies the network's mean and std */
} mango_plan_options;
/* mango_plan_defaults - T 0, batch 1, memory 0, from -1, raw 0. */
MANGO_API void mango_plan_defaults(mango_plan_options *o);

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
 *          without weights; MANGO_E_MEM, before anything large is allocated and
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
 *          then nothing is written.
 * Memory   none allocated. */
MANGO_API mango_status mango_plan_run(mango_plan *plan, mango_idx B, const float *x);

/* mango_plan_output - another buffer for a reading, from the next run on. */
MANGO_API mango_status mango_plan_output(mango_plan *plan, mango_idx reading, float *out);

/* mango_plan_bytes - arena and packed weights; mango_plan_macs - multiply-adds
 * of one input over all T steps, zeros counted. 0 for a NULL plan. */
MANGO_API mango_idx mango_plan_bytes(const mango_plan *plan);
MANGO_API double mango_plan_macs(const mango_plan *plan);
MANGO_API void mango_plan_destroy(mango_plan *plan); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
/* ---- end net/net.h ------------------------------------------------------------------ */

/* ---- begin opt/opt.h ---------------------------------------------------------------- */
/* opt.h - black-box optimizers over multi-indices: ask a batch, tell its values.
 */
#ifndef MANGO_OPT_H
#define MANGO_OPT_H


#ifdef __cplusplus
extern "C" {
#endif

/* mango_modes - the space an optimizer sees: d modes, mode j has levels n[j],
 * a multi-index I has 0 <= I[j] < n[j]. Copied at create. */
typedef struct mango_modes {
    mango_idx d;        /* 1 .. 2^20 */
    const mango_idx *n; /* (d), each 1 .. 2^24 */
} mango_modes;

/* Options of every optimizer; defaults() fills them from a preset's name. */
typedef struct mango_opt_options {
    mango_idx k;        /* batch: codes of one ask, 1 .. 2^20                     */
    mango_idx k_top;    /* elite: best of each batch, 1 .. k                      */
    mango_idx k_gd;     /* gradient steps a batch, 1 .. 10000                     */
    double lr;          /* Adam's learning rate, > 0                              */
    mango_idx r;        /* TT rank, 1 .. 256                                      */
    int quantized;      /* modes of 2^q levels become q modes of 2 (QTT), least
                           significant bit first; other sizes stay as they are   */
    int minimize;       /* 0: everything maximizes                                */
    mango_idx budget;   /* queries planned, for schedules; 0: unknown             */
} mango_opt_options;

typedef struct mango_opt mango_opt;

/* mango_opt_names - the presets, NULL-terminated: tt tt-s tt-b tt-exp protes random.
 * mango_opt_defaults - options of one; MANGO_E_NAME with near matches. */
MANGO_API const char *const *mango_opt_names(void);
MANGO_API mango_status mango_opt_defaults(const char *name, mango_opt_options *o,
                                          mango_err *err);

/* mango_opt_create - an optimizer ready for its first ask.
 *   opt    out  the new object; NULL on failure
 *   name   in   a preset's name: it chooses the method
 *   modes  in   the space
 *   o      in   options; NULL means the preset's own
 *   seed   in   same seed, same proposals, on every machine
 * Returns  MANGO_OK; MANGO_E_NAME, MANGO_E_ARG with the field named, MANGO_E_MEM.
 * Memory   all of it is allocated here: ask and tell allocate nothing.
 * Threads  one object belongs to one thread at a time. */
MANGO_API mango_status mango_opt_create(mango_opt **opt, const char *name,
                                        const mango_modes *modes,
                                        const mango_opt_options *o, uint64_t seed,
                                        const mango_alloc *al, mango_err *err);

/* mango_opt_ask - K proposals into I (K,d), row-major.
 *   cap  in      rows that I has room for, >= 1
 *   K    in,out  proposals wanted, <= cap; 0: as many as the optimizer likes
 *                (its batch k), at most cap. *K tells how many there are.
 * A batch may hold the same code twice. What was told since the last ask is
 * learnt now: the elite is the best k_top finite ones of it, whoever proposed
 * them; equal values rank in the order told. Told nothing finite, the next
 * batch is drawn from the same distribution, with new random numbers. */
MANGO_API mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K,
                                     mango_idx *I);

/* mango_opt_tell - K values y (K) of codes I (K,d): any number, order and
 * origin, in one call or many, those never asked included; NaN and infinite
 * values mean missing. A code out of range is MANGO_E_ARG and then nothing of
 * the call is taken. The state is a pure function of (options, seed, sequence
 * of asks, tells and restarts). */
MANGO_API mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                                      const double *y);

/* mango_opt_restart - forget what was learnt but keep the best: for a search
 * whose distribution has collapsed onto codes already known. */
MANGO_API mango_status mango_opt_restart(mango_opt *opt);

/* Best told so far, of equal ones the first: value and code (d), either may be
 * NULL; MANGO_E_STATE before the first finite tell. */
MANGO_API mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I);
MANGO_API const char *mango_opt_error(const mango_opt *opt); /* last message, "" if none */
MANGO_API void mango_opt_destroy(mango_opt *opt);            /* NULL is legal */

#ifdef __cplusplus
}
#endif
#endif
/* ---- end opt/opt.h ------------------------------------------------------------------ */

/* ---- begin data/data.h -------------------------------------------------------------- */
/* data.h - what comes in from outside: data sets, arrays, PyTorch checkpoints.
 * Every reader checks sizes and limits before it allocates, never runs
 * anything found in a file, and names file, place and expectation on error.
 */
#ifndef MANGO_DATA_H
#define MANGO_DATA_H


#ifdef __cplusplus
extern "C" {
#endif

/* mango_codecs - decoders that the library does not bring along; a NULL
 * function means that inputs which need it are refused with a message.
 *
 *   inflate  raw deflate data in[n_in] into out[n_out], which it must fill but
 *            never exceed. Returns the bytes written, or -1.
 *   picture  a picture file (PNG, JPEG, ...) that lies in memory. With rgb NULL
 *            it sets *W and *H from the file's head; else they are what it
 *            answered before, and it fills rgb (H,W,3), 8 bits a channel, grey
 *            repeated. Returns 0, or -1.
 * Both may be called from several threads at once. */
typedef struct mango_codecs {
    mango_idx (*inflate)(void *ud, const unsigned char *in, mango_idx n_in,
                         unsigned char *out, mango_idx n_out);
    int (*picture)(void *ud, const unsigned char *in, mango_idx n_in, mango_idx *W,
                   mango_idx *H, unsigned char *rgb);
    void *ud;
} mango_codecs;

/* ---- data sets ----------------------------------------------------------- */

typedef struct mango_data mango_data;

typedef struct mango_data_options {
    mango_codecs codecs;
    mango_idx resize;   /* folder: shorter side is scaled to this; 0: not     (256)  */
    mango_idx crop;     /* folder: centre crop, height and width              (224)  */
    mango_idx max_side; /* folder: larger pictures are refused                (4096) */
    int partial;        /* cifar10: 1 accepts files of fewer than 10,000 pictures (0) */
    int allow_empty;    /* 1 accepts classes without a picture                (0)    */
} mango_data_options;
MANGO_API void mango_data_defaults(mango_data_options *o);

/* mango_data_open - open one split of a data set and validate it: sizes and
 * counts, checksums of .gz files, labels in range, no empty class.
 *
 *   name   in  "cifar10" (official binary layout), "mnist", "fashion-mnist"
 *              (IDX, plain or .gz), "folder" (pictures: CLASS/xxx, or flat
 *              SYNSET_name.JPEG, each synset a class, or flat without labels)
 *   root   in  its folder; "folder" uses root/SPLIT when there is one
 *   split  in  "train" or "test" ("val" is looked for too); NULL: "test"
 *   o      in  NULL: the defaults, no codecs
 *
 * Array sets are held in memory, 8 bits a value; "folder" holds names and
 * decodes at get. Order: that of the files; folders sorted by name, bytewise.
 * Returns  MANGO_E_NAME, _IO, _FORMAT, _LIMIT, _SHAPE, _UNSUPPORTED, _MEM. */
MANGO_API mango_status mango_data_open(mango_data **data, const char *name,
                                       const char *root, const char *split,
                                       const mango_data_options *o, const mango_alloc *al,
                                       mango_err *err);

/* mango_data_make - a data set from arrays in memory, copied and validated.
 *   pixels  in  (count,C,H,W);  labels  in  (count), 0..classes-1, or NULL */
MANGO_API mango_status mango_data_make(mango_data **data, const char *name, mango_idx count,
                                       mango_idx C, mango_idx H, mango_idx W,
                                       mango_idx classes, const unsigned char *pixels,
                                       const int *labels, const mango_alloc *al,
                                       mango_err *err);

typedef struct mango_data_info {
    const char *name, *split;
    mango_idx count;   /* pictures, >= 1              */
    mango_idx classes; /* 0: the pictures have no labels */
    mango_idx C, H, W; /* of each picture as get hands it out */
} mango_data_info;
MANGO_API void mango_data_describe(const mango_data *data, mango_data_info *info);

/* mango_data_get - picture i.
 *   pixels  out  (C,H,W), 0..255, as stored; NULL: not wanted
 *   label   out  0..classes-1, or -1 without labels; NULL: not wanted
 * Threads  any number at once. */
MANGO_API mango_status mango_data_get(const mango_data *data, mango_idx i,
                                      unsigned char *pixels, int *label, mango_err *err);
/* All pictures (count,C,H,W) and labels (count); NULL when not held in memory,
 * or when there are no labels. */
MANGO_API const unsigned char *mango_data_pixels(const mango_data *data);
MANGO_API const int *mango_data_labels(const mango_data *data);
/* Name of class k, of picture i ("test/17", a file's path); NULL out of range. */
MANGO_API const char *mango_data_class(const mango_data *data, mango_idx k);
MANGO_API const char *mango_data_path(const mango_data *data,
                                      mango_idx i); /* folder only */
MANGO_API void mango_data_destroy(mango_data *data);

/* ---- pictures ------------------------------------------------------------ */

/* mango_image_read - decode one picture file into (H,W,3); the caller frees
 * the 3*W*H bytes of *rgb through the same allocator (libc's: free).
 *   max_side  in  0: 4096 */
MANGO_API mango_status mango_image_read(const char *path, const mango_codecs *codecs,
                                        mango_idx max_side, unsigned char **rgb,
                                        mango_idx *W, mango_idx *H, const mango_alloc *al,
                                        mango_err *err);
/* mango_image_resize - antialiased bilinear filter: a triangle as wide as the
 * reduction, rows first, 8 bits between, coefficients of 22 bits (Pillow's
 * and so torchvision's filter).
 *   in   in   (H,W,C);  out  out  (oH,oW,C);  sides 1..65535, C 1..4 */
MANGO_API mango_status mango_image_resize(mango_idx H, mango_idx W, mango_idx C,
                                          const unsigned char *in, mango_idx oH,
                                          mango_idx oW, unsigned char *out,
                                          const mango_alloc *al);
/* mango_image_fit - torchvision's Resize(resize), CenterCrop(crop), ToTensor's
 * order of axes.
 *   in      in   (H,W,3);  out  out  (3,crop,crop)
 *   resize  in   length of the shorter side; 0 leaves the size as it is
 * Returns MANGO_E_SHAPE when the crop is larger than the resized picture. */
MANGO_API mango_status mango_image_fit(mango_idx H, mango_idx W, const unsigned char *in,
                                       mango_idx resize, mango_idx crop, unsigned char *out,
                                       const mango_alloc *al);

/* ---- .npy ---------------------------------------------------------------- */

typedef enum mango_npy_type {
    MANGO_NPY_F4,
    MANGO_NPY_F8,
    MANGO_NPY_I1,
    MANGO_NPY_U1,
    MANGO_NPY_I2,
    MANGO_NPY_I4,
    MANGO_NPY_I8,
    MANGO_NPY_BOOL,
    MANGO_NPY_TYPES
} mango_npy_type;
/* Data in C order and in this machine's byte order, whatever the file had. */
typedef struct mango_npy {
    mango_npy_type type;
    int rank; /* 0..8 */
    mango_idx shape[8], count;
    void *data;
    mango_idx bytes;
    mango_alloc al;
} mango_npy;

/* mango_npy_read - versions 1 to 3, little-endian f4 f8 i1 u1 i2 i4 i8 and
 * bool; Fortran order is transposed. Refused: other types (objects above all),
 * a header over 10,000 bytes, data shorter or longer than the shape says,
 * a file over 1 GiB. mango_npy_parse: the same from n bytes; `what` names them. */
MANGO_API mango_status mango_npy_read(mango_npy *a, const char *path, const mango_alloc *al,
                                      mango_err *err);
MANGO_API mango_status mango_npy_parse(mango_npy *a, const unsigned char *bytes,
                                       mango_idx n, const char *what, const mango_alloc *al,
                                       mango_err *err);
MANGO_API void mango_npy_free(mango_npy *a);
/* The values as floats or as indices; MANGO_E_FORMAT when one does not fit
 * exactly (floats: f8 is rounded, i4 and i8 must be exact). */
MANGO_API mango_status mango_npy_floats(const mango_npy *a, float *out, mango_err *err);
MANGO_API mango_status mango_npy_ints(const mango_npy *a, mango_idx *out, mango_err *err);
/* mango_npy_write - version 1, C order, atomically. data: this machine's order. */
MANGO_API mango_status mango_npy_write(const char *path, mango_npy_type type, int rank,
                                       const mango_idx *shape, const void *data,
                                       mango_err *err);

/* ---- PyTorch checkpoints --------------------------------------------------- */

typedef struct mango_checkpoint mango_checkpoint;
typedef struct mango_checkpoint_tensor {
    const char *name; /* the key in the state dict, UTF-8 without control bytes */
    const char
        *dtype; /* float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool */
    int rank;   /* 0..8 */
    mango_idx shape[8], count;
} mango_checkpoint_tensor;

/* mango_checkpoint_open - read a .pt, .pth or .pkl file of torch.save (zip and
 * legacy formats) without running anything: a walker over a fixed list of
 * pickle opcodes knows ordered dicts, tensors, parameters and storages as
 * symbols; any other name that the pickle wants to import is refused by name.
 * A state dict nested under net, model, state_dict or model_state_dict is
 * unwrapped; values that are no tensors are left out.
 * Limits: file 1 GiB, pickle 64 MiB, 4096 tensors, rank 8, dimension 2^24,
 * name 256 bytes. Zip: central directory and local headers must agree,
 * entries may not overlap, CRCs must match; compressed entries need inflate. */
MANGO_API mango_status mango_checkpoint_open(mango_checkpoint **c, const char *path,
                                             const mango_codecs *codecs,
                                             const mango_alloc *al, mango_err *err);
/* The same from memory; bytes are copied. `what` names them in messages. */
MANGO_API mango_status mango_checkpoint_parse(mango_checkpoint **c,
                                              const unsigned char *bytes, mango_idx n,
                                              const char *what, const mango_codecs *codecs,
                                              const mango_alloc *al, mango_err *err);
MANGO_API mango_idx mango_checkpoint_count(const mango_checkpoint *c);
MANGO_API const char *
mango_checkpoint_format(const mango_checkpoint *c); /* "zip", "legacy" */
MANGO_API const char *
mango_checkpoint_under(const mango_checkpoint *c); /* "" or "net", ... */
MANGO_API mango_status mango_checkpoint_get(const mango_checkpoint *c, mango_idx i,
                                            mango_checkpoint_tensor *t);
/* Values of tensor i, C order, strides honoured: (count) floats. Integers must
 * be exact in float, others finite: MANGO_E_NONFINITE names the tensor. */
MANGO_API mango_status mango_checkpoint_floats(const mango_checkpoint *c, mango_idx i,
                                               float *out, mango_err *err);
MANGO_API void mango_checkpoint_destroy(mango_checkpoint *c);

#ifdef __cplusplus
}
#endif
#endif
/* ---- end data/data.h ---------------------------------------------------------------- */

/* ---- begin mei/mei.h ---------------------------------------------------------------- */
/* mei.h - the most exciting input of a neuron: space, target, objective, session.
 *
 *     I --space--> latent --generator--> picture --network--> activation y
 *     ^                                                             |
 *     +---------------------- session: optimizer, cache, journal ---+
 *
 * A session searches any function of multi-indices; the ready-made objective
 * is a generator followed by a network. A rig puts its own function there.
 */
#ifndef MANGO_MEI_H
#define MANGO_MEI_H


#ifdef __cplusplus
extern "C" {
#endif

/* ---- space --------------------------------------------------------------- */

/* mango_space - d modes with n[j] levels, and what a multi-index means to a
 * generator: level i of mode j is lo + i (hi - lo)/(n[j] - 1) in the latent
 * (the middle when n[j] = 1), or, for a codebook, the code i itself. */
typedef struct mango_space mango_space;

/* mango_space_create - a grid on [lo, hi]; n (d) is copied. lo <= hi, finite. */
MANGO_API mango_status mango_space_create(mango_space **s, mango_idx d, const mango_idx *n,
                                          double lo, double hi, const mango_alloc *al,
                                          mango_err *err);
/* mango_space_of - the space of a generator: the codes of its vector quantizer
 * in row-major order when it has one (vqvae: 64 modes of 512); else its input
 * vector, 64 levels each on [-4,4] (sngan: 128 modes of 64). */
MANGO_API mango_status mango_space_of(mango_space **s, const mango_net *gen,
                                      const mango_alloc *al, mango_err *err);
MANGO_API void mango_space_modes(const mango_space *s, mango_modes *m); /* s owns m->n */
/* The layer that takes the latent: -1 the input, else the quantizer's index. */
MANGO_API mango_idx mango_space_layer(const mango_space *s);
/* mango_space_latent - z (K,d) of codes I (K,d). MANGO_E_ARG when out of range. */
MANGO_API mango_status mango_space_latent(const mango_space *s, mango_idx K,
                                          const mango_idx *I, float *z);
MANGO_API void mango_space_destroy(mango_space *s);

/* ---- target -------------------------------------------------------------- */

/* mango_target - what is read from a network.
 *   "LAYER:UNIT"      mean over time and space of a channel
 *   "LAYER:UNIT:Y:X"  mean over time of one neuron
 *   "class:K"         softmax probability of output K, from the mean over time
 * For spiking layers the mean over time is spikes per step, in [0,1]. */
typedef struct mango_target {
    mango_idx layer, unit;
    mango_idx y, x;       /* -1: the whole channel               */
    int softmax;          /* 1: probability among all the units  */
    mango_layer info;     /* of the layer; its strings belong to the net */
} mango_target;

/* mango_target_parse - MANGO_E_NAME for an unknown layer (near matches in err),
 * a unit or a place out of range; MANGO_E_FORMAT for anything else. */
MANGO_API mango_status mango_target_parse(mango_target *t, const mango_net *net,
                                          const char *text, mango_err *err);

/* ---- objective ----------------------------------------------------------- */

/* mango_evaluator - y (K) of codes I (K,d), a whole batch at once. Returns
 * MANGO_OK, an error, or a positive status to stop. NaN: this one is missing. */
typedef mango_status (*mango_evaluator)(void *ud, mango_idx K, const mango_idx *I,
                                        double *y);

typedef struct mango_objective mango_objective;
typedef struct mango_objective_options {
    mango_idx T;       /* steps; 0: the network's own        */
    mango_idx batch;   /* pictures at once, 1 .. 4096        */
    mango_idx memory;  /* cap for each of the two plans; 0: the plan's default */
} mango_objective_options;
MANGO_API void mango_objective_defaults(mango_objective_options *o); /* 0, 10, 0 */

/* mango_objective_create - join a generator, a network and a target. Both nets
 * must outlive the objective and not change. Everything is planned here.
 * Returns MANGO_E_SHAPE when the picture does not fit the network. */
MANGO_API mango_status mango_objective_create(mango_objective **o, const mango_net *gen,
                                              const mango_net *net, const char *target,
                                              const mango_objective_options *opt,
                                              const mango_alloc *al, mango_err *err);
/* mango_objective_eval - a mango_evaluator; ud is the mango_objective. Pictures
 * are rounded to 8 bits before the network sees them: round(255 x)/255. */
MANGO_API mango_status mango_objective_eval(void *ud, mango_idx K, const mango_idx *I,
                                            double *y);
/* mango_objective_picture - rgb (C,H,W) of one code (d), k/255 with integer k. */
MANGO_API mango_status mango_objective_picture(mango_objective *o, const mango_idx *I,
                                               float *rgb);
/* mango_objective_look - y (K) of pictures rgb (K,C,H,W) in [0,1], unrounded. */
MANGO_API mango_status mango_objective_look(mango_objective *o, mango_idx K,
                                            const float *rgb, double *y);
typedef struct mango_objective_info {
    mango_idx C, H, W;     /* of the picture                    */
    mango_idx T, bytes;    /* steps; memory of the plans        */
    double macs;           /* dense multiply-adds of a query    */
    const mango_space *space;
    mango_target target;
    char gen[65], net[65]; /* SHA-256 of graph and parameters   */
} mango_objective_info;
MANGO_API void mango_objective_get(const mango_objective *o, mango_objective_info *info);
MANGO_API void mango_objective_destroy(mango_objective *o);

/* ---- session ------------------------------------------------------------- */

/* A fact about the run that is kept in the journal's header and must be the
 * same at resume, for example {"target", "sn1:3"}. Both are plain text. */
typedef struct mango_note {
    const char *key, *value;
} mango_note;

typedef struct mango_session mango_session;
typedef struct mango_session_options {
    const char *opt;            /* preset's name                                  */
    mango_opt_options o;        /* its options                                    */
    uint64_t seed;
    mango_idx budget;           /* queries, >= 1; may be larger at resume         */
    double stop_at;             /* stop at this value; NaN: never                 */
    mango_idx stall;            /* batches in a row without a new code before the
                                   optimizer is restarted, 1 .. 10^6              */
    int repeat;                 /* 1: a repeated code is a query again (noise);
                                   0: it is answered from the cache, for nothing  */
    const char *journal;        /* path; NULL: none                               */
    int resume;                 /* 1: go on with the journal when it exists;
                                   0: a journal that holds anything is refused    */
    int sync;                   /* 1: each line is on the disk before the next query */
    const mango_note *notes;    /* (n_notes) up to 32                             */
    mango_idx n_notes;
    int (*observe)(void *ud, const mango_session *s); /* after each step; non-zero
                                   stops with MANGO_STOP_USER; NULL: none         */
    void *observe_ud;
} mango_session_options;
/* Options of a preset: budget 1000, seed 0, stop_at NaN, stall 100, sync 1. */
MANGO_API mango_status mango_session_defaults(const char *opt, mango_session_options *o,
                                              mango_err *err);

/* mango_session_create - begin a search, or go on with one.
 *   modes  in   the space
 *   o      in   options; strings are copied
 *   f, ud  in   the function; not called here
 * With resume the journal is replayed: the optimizer is asked again, must
 * propose the same codes, and is told the recorded values. The state is then
 * the one of a run that was never interrupted. An unfinished last line is cut
 * off; damage before it, or options that differ (budget, stop_at and sync may),
 * are refused and nothing is changed.
 * Returns  MANGO_OK; MANGO_E_FORMAT (damaged, line named), MANGO_E_STATE
 *          (journal in the way; other option, its name in err), MANGO_E_ARG, ... */
MANGO_API mango_status mango_session_create(mango_session **s, const mango_modes *modes,
                                            const mango_session_options *o,
                                            mango_evaluator f, void *ud,
                                            const mango_alloc *al, mango_err *err);
/* mango_session_step - ask one batch, evaluate its new codes, tell all.
 * Returns MANGO_OK to be called again, a MANGO_STOP_... when the search is over,
 * an error (text from mango_session_error). After an error of the evaluator the
 * step may be tried again; after one of the journal the session is spent.
 * A batch that the budget cuts is finished when the budget grows.
 * MANGO_STOP_SPACE: every code was tried, or ten restarts in a row, each of
 * `stall` batches, brought no new code. */
MANGO_API mango_status mango_session_step(mango_session *s);
/* mango_session_run - step until it stops; returns why. */
MANGO_API mango_status mango_session_run(mango_session *s);
MANGO_API void mango_session_extend(mango_session *s, mango_idx budget); /* new total */
MANGO_API const char *mango_session_error(const mango_session *s);
/* Closes the journal; nothing is lost by not calling it. */
MANGO_API void mango_session_destroy(mango_session *s);

typedef struct mango_session_info {
    mango_idx d, budget;
    mango_idx queries;       /* evaluations so far                      */
    mango_idx cached;        /* proposals answered without a query      */
    mango_idx missing;       /* evaluations that gave no finite value   */
    mango_idx asks, restarts;
    mango_idx replayed;      /* of the queries: from the journal        */
    mango_idx improvements;  /* times the best became better            */
    double best;             /* NaN before the first finite value       */
} mango_session_info;
MANGO_API void mango_session_get(const mango_session *s, mango_session_info *info);
/* Best code (d) and value, of equal ones the first; MANGO_E_STATE when none. */
MANGO_API mango_status mango_session_best(const mango_session *s, double *y, mango_idx *I);
/* Query q, 0 .. queries-1, in order: code (d) and value (NaN: missing). */
MANGO_API mango_status mango_session_query(const mango_session *s, mango_idx q, double *y,
                                           mango_idx *I);
/* The query that brought improvement i, 0 .. improvements-1; -1 out of range. */
MANGO_API mango_idx mango_session_improvement(const mango_session *s, mango_idx i);

#ifdef __cplusplus
}
#endif
#endif
/* ---- end mei/mei.h ------------------------------------------------------------------ */

/* ---- begin study/fid.h -------------------------------------------------------------- */
/* fid.h - how far apart two sets of feature vectors are: the Frechet distance
 * of the two Gaussians with their means and covariances.
 *
 *     FID = |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))
 *
 * On the features of a trained classifier it says how far generated pictures
 * are from real ones (Heusel et al. 2017, arXiv:1706.08500). It is biased by the
 * number of vectors: compare only figures for the same features and numbers.
 */
#ifndef MANGO_FID_H
#define MANGO_FID_H


#ifdef __cplusplus
extern "C" {
#endif

/* mango_moments - mean and covariance of vectors that come one after another. */
typedef struct mango_moments mango_moments;

/* mango_moments_create - of no vectors yet.
 *   dim  in  1..4096 features
 * Memory   about 8 dim^2 bytes from al, until mango_moments_destroy. */
MANGO_API mango_status mango_moments_create(mango_moments **m, mango_idx dim,
                                            const mango_alloc *al, mango_err *err);
/* mango_moments_add - n more vectors.
 *   x  in  (n,dim)
 * The result has the same bits however the vectors are cut into calls.
 * Returns  MANGO_E_NONFINITE for NaN or infinity in x; then none is added.
 * Memory   none allocated.  Threads  one call at a time on m, reading included. */
MANGO_API mango_status mango_moments_add(mango_moments *m, mango_idx n, const float *x);
/* mango_moments_merge - as if the vectors of `from` came after those of m, but
 * for rounding. `from` stays as it is. MANGO_E_SHAPE when dim differs. */
MANGO_API mango_status mango_moments_merge(mango_moments *m, const mango_moments *from);
MANGO_API mango_idx mango_moments_count(const mango_moments *m);
/* mango_moments_get - MANGO_E_STATE for fewer than 2 vectors.
 *   mean  out  (dim)
 *   cov   out  (dim,dim), divided by count - 1 */
MANGO_API mango_status mango_moments_get(const mango_moments *m, double *mean, double *cov);
MANGO_API void mango_moments_destroy(mango_moments *m); /* NULL is fine */

/* mango_fid - the Frechet distance between two sets.
 *   a, b   in   at least 2 vectors each
 *   fid    out  >= 0: what rounding takes below is 0
 *   means  out  |m1 - m2|^2 of it; NULL: not wanted
 * Eigenvalues of C1 below dim 2^-52 of its largest count as 0, so fewer vectors
 * than features are fine. Error: about 1e-8 of the largest variance per feature in
 * the worst case (singular covariances of different ranges), else 1e-13 of the traces.
 * Returns  MANGO_E_SHAPE, MANGO_E_STATE, MANGO_E_MEM, MANGO_E_NONFINITE.
 * Memory   24 dim^2 bytes from al while it runs.  Cost: about 16 dim^3 flops. */
MANGO_API mango_status mango_fid(const mango_moments *a, const mango_moments *b,
                                 const mango_alloc *al, double *fid, double *means,
                                 mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
/* ---- end study/fid.h ---------------------------------------------------------------- */

/* ---- begin train/train.h ------------------------------------------------------------ */
/* train.h - training: classifiers (spiking or not), VQ-VAE, SN-GAN.
 *
 * A trainer borrows a network and a data set, and moves the network's
 * parameters in place. All randomness is a function of (seed, epoch, index), so
 * a run gives the same bits for any number of threads, and a run that was saved
 * and resumed the same as one never interrupted.
 */
#ifndef MANGO_TRAIN_H
#define MANGO_TRAIN_H


#ifdef __cplusplus
extern "C" {
#endif

typedef enum mango_train_kind {
    MANGO_TRAIN_NET,   /* cross-entropy on the output's mean over T steps      */
    MANGO_TRAIN_VQVAE, /* van den Oord et al. 2017, codebook by moving averages */
    MANGO_TRAIN_SNGAN  /* Miyato et al. 2018, hinge loss                        */
} mango_train_kind;
typedef enum mango_optimizer { MANGO_SGD, MANGO_ADAM, MANGO_ADAMW } mango_optimizer;
typedef enum mango_schedule {
    MANGO_LR_CONSTANT,
    MANGO_LR_COSINE, /* to 0 at the last update       */
    MANGO_LR_LINEAR, /* to 0 at the last update       */
    MANGO_LR_STEP    /* times lr_factor every lr_every epochs */
} mango_schedule;

typedef struct mango_train_options {
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
    mango_idx bn_T;         /* steps at which running statistics are estimated
                               again at the end; 0: not                            */
    double commitment, decay; /* VQ-VAE                                            */
    double revive;          /* codes used less than this share of the mean are
                               set on an encoded picture; 0: never                 */
    mango_idx reference;    /* VQ-VAE: encoded training pictures that finish puts
                               into the file as I16 tensor reference_codes (n,h,w),
                               as many of each class; 0: none                      */
    mango_idx n_dis;        /* SN-GAN: discriminator updates for one of G          */
} mango_train_options;

/* mango_train_defaults - a recipe that works for this kind and network. */
MANGO_API void mango_train_defaults(mango_train_options *o, mango_train_kind kind,
                                    const mango_net *net);
/* mango_train_check - MANGO_OK, or MANGO_E_ARG with the field named in err. */
MANGO_API mango_status mango_train_check(const mango_train_options *o, mango_train_kind kind,
                                         mango_err *err);
/* mango_train_init - random first values for every parameter, chosen by what
 * reads a layer: batch-normed convolutions He (fan out), others as PyTorch;
 * norms before LIF neurons start higher, so that neurons fire. */
MANGO_API mango_status mango_train_init(mango_net *net, mango_train_kind kind, uint64_t seed);

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
 *   dsc   in  SN-GAN: the discriminator; else NULL
 *   data  in  training pictures;  val  in  the other split, or NULL
 * net, dsc, data and val must outlive the trainer.
 * Returns MANGO_E_SHAPE for pictures of the wrong size or labels that do not
 * fit the network's output, MANGO_E_ARG for options, MANGO_E_MEM for memory. */
MANGO_API mango_status mango_trainer_create(mango_trainer **t, mango_train_kind kind,
                                            mango_net *net, mango_net *dsc,
                                            const mango_data *data, const mango_data *val,
                                            const mango_train_options *o, const mango_alloc *al,
                                            mango_err *err);
MANGO_API void mango_trainer_destroy(mango_trainer *t);

/* mango_trainer_step - one update. A loss that is not finite is
 * MANGO_E_NONFINITE; err names the step and the first layer at fault. */
MANGO_API mango_status mango_trainer_step(mango_trainer *t, mango_err *err);
/* mango_trainer_epoch - the rest of this epoch, then the look at `val`.
 *   on_step  in  called after each update; non-zero stops. NULL: none
 * Returns MANGO_OK with *row filled, or MANGO_STOP_USER, after which the
 * trainer can be saved and goes on later from there. */
typedef int (*mango_train_watch)(void *ud, const mango_trainer *t);
MANGO_API mango_status mango_trainer_epoch(mango_trainer *t, mango_train_watch on_step, void *ud,
                                           mango_train_row *row, mango_err *err);
/* mango_trainer_finish - put the averaged weights into the network, estimate
 * running statistics again and add reference codes, as the options ask. Once,
 * after the last epoch. */
MANGO_API mango_status mango_trainer_finish(mango_trainer *t, mango_err *err);

typedef struct mango_train_state {
    mango_idx epoch, epochs;     /* complete; wanted            */
    mango_idx step, steps;       /* in this epoch; of one epoch */
    double loss;                 /* of the last update          */
    double best;                 /* val_score so far; NaN: none */
    mango_idx best_epoch;
    mango_idx tape_bytes;        /* memory planned for T steps  */
    int segments;                /* 1: nothing is computed twice */
} mango_train_state;
MANGO_API void mango_trainer_state(const mango_trainer *t, mango_train_state *s);

/* mango_trainer_save - everything: parameters, moments, averages, position, as
 * one safetensors file, written beside the target and renamed.
 * mango_trainer_resume - go on from it. The file must be of the same kind,
 * architecture and options: MANGO_E_SHAPE or MANGO_E_ARG says what differs. */
MANGO_API mango_status mango_trainer_save(const mango_trainer *t, const char *path,
                                          mango_err *err);
MANGO_API mango_status mango_trainer_resume(mango_trainer *t, const char *path, mango_err *err);
/* Curves so far: rows 0..n-1, valid until the next call on t. */
MANGO_API const mango_train_row *mango_trainer_rows(const mango_trainer *t, mango_idx *n);

/* mango_trainer_sample - VQVAE: n pictures of `val` (or of the training data)
 * rebuilt; SNGAN: n fixed latents drawn. rgb out (n,3,H,W) in [0,1]. Uses the
 * averaged weights when there are any. source out: what VQVAE rebuilt, or NULL. */
MANGO_API mango_status mango_trainer_sample(mango_trainer *t, mango_idx n, float *rgb,
                                            float *source);
/* mango_trainer_snapshot - the network with averaged weights as a weights file. */
MANGO_API mango_status mango_trainer_snapshot(mango_trainer *t, const char *path,
                                              const char *dtype, mango_err *err);

#ifdef __cplusplus
}
#endif
#endif
/* ---- end train/train.h -------------------------------------------------------------- */


#if defined(MANGO_IMPLEMENTATION) && !defined(MANGO_IMPLEMENTED)
#define MANGO_IMPLEMENTED
#ifdef __cplusplus
#error "define MANGO_IMPLEMENTATION in a C file; C++ files include mango.h without it"
#endif
#ifdef __FAST_MATH__
#error "the same bits everywhere are part of the contract: build without -ffast-math"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif
#if defined(__GNUC__)
#define MGI_FN static __attribute__((unused))
#else
#define MGI_FN static
#endif

/* ---- begin base/mgi.h --------------------------------------------------------------- */
/* mgi.h - private tools of the whole library: linkage words, checks, sizes.
 */
#ifndef MGI_H
#define MGI_H

/* A few calls of POSIX (fsync, fileno) must stay visible under -std=c99: so
 * private headers come before system headers. mango.h does the same at its top. */
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

/* MGI_FN: private across files; extern in src/, static in mango.h. */
#ifndef MGI_FN
#define MGI_FN extern
#endif

#if defined(__GNUC__)
#define MGI_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MGI_UNUSED __attribute__((unused))
#else
#define MGI_PRINTF(f, a)
#define MGI_UNUSED
#endif

/* MGI_OMP(parallel for ...) is an OpenMP pragma, or nothing. Work split and
 * order of reduction never depend on the number of threads. */
#if defined(_OPENMP)
#define MGI_PRAGMA(x) _Pragma(#x)
#define MGI_OMP(x) MGI_PRAGMA(omp x)
#else
#define MGI_OMP(x)
#endif
#define MGI_GRAIN 8192 /* elements below which a loop stays on one thread */

#define MGI_COUNT(a) ((mango_idx)(sizeof(a) / sizeof((a)[0])))
#define MGI_MIN(a, b) ((a) < (b) ? (a) : (b))
#define MGI_MAX(a, b) ((a) > (b) ? (a) : (b))

/* MGI_TRY forwards an error; MGI_TRY_TO goes to the one `done:` label with the
 * status in `st`. */
#define MGI_TRY(call)                                                                    \
    do {                                                                                 \
        mango_status mgi_st_ = (call);                                                   \
        if (mgi_st_ < 0)                                                                 \
            return mgi_st_;                                                              \
    } while (0)
#define MGI_TRY_TO(call)                                                                 \
    do {                                                                                 \
        st = (call);                                                                     \
        if (st < 0)                                                                      \
            goto done;                                                                   \
    } while (0)
#define MGI_REQUIRE(cond)                                                                \
    do {                                                                                 \
        if (!(cond))                                                                     \
            return MANGO_E_ARG;                                                          \
    } while (0)

/* mgi_fail - write a message into err (NULL allowed; control bytes become '?')
 * and return st, so that `return mgi_fail(err, MANGO_E_FORMAT, "...")` reads. */
MGI_FN mango_status mgi_fail(mango_err *err, mango_status st, const char *fmt, ...)
    MGI_PRINTF(3, 4);

/* Checked size arithmetic: *r = a op b; false when it would overflow
 * PTRDIFF_MAX or an operand is negative. mgi_prod multiplies n numbers. */
MGI_FN int mgi_mul(mango_idx a, mango_idx b, mango_idx *r);
MGI_FN int mgi_add(mango_idx a, mango_idx b, mango_idx *r);
MGI_FN int mgi_prod(int n, const mango_idx *a, mango_idx *r);

/* Allocation through a mango_alloc value (already resolved by mgi_alloc_get).
 * mgi_new: count elements of size bytes, zeroed; NULL on overflow or failure,
 * and for count 0 a valid pointer of one byte. mgi_del: size as allocated. */
MGI_FN mango_alloc mgi_alloc_get(const mango_alloc *al);
MGI_FN void *mgi_new(const mango_alloc *al, mango_idx count, size_t size);
MGI_FN void *mgi_resize(const mango_alloc *al, void *p, mango_idx old_count,
                        mango_idx count, size_t size); /* NULL: p is still valid */
MGI_FN void mgi_del(const mango_alloc *al, void *p, mango_idx count, size_t size);

/* Arena: sizes are planned first, allocated once, then carved. Every piece is
 * aligned to 64 bytes. Use: mgi_arena_plan(a, bytes) for each piece, in order;
 * mgi_arena_commit; mgi_arena_take for each piece, in the same order.
 * mgi_arena_bytes: planned total; checked, so -1 after an overflow. */
typedef struct mgi_arena {
    mango_alloc al;
    unsigned char *raw, *base;
    mango_idx planned, used, raw_size;
} mgi_arena;
MGI_FN void mgi_arena_init(mgi_arena *a, const mango_alloc *al);
MGI_FN void mgi_arena_plan(mgi_arena *a, mango_idx count, size_t size);
MGI_FN mango_idx mgi_arena_bytes(const mgi_arena *a);
MGI_FN mango_status mgi_arena_commit(mgi_arena *a);
MGI_FN void *mgi_arena_take(mgi_arena *a, mango_idx count, size_t size);
MGI_FN void mgi_arena_free(mgi_arena *a);

/* Bounded string copy: always terminated; false when src was cut. */
MGI_FN int mgi_copy(char *dst, mango_idx cap, const char *src);

#endif
/* ---- end base/mgi.h ----------------------------------------------------------------- */

/* ---- begin base/real.h -------------------------------------------------------------- */
/* real.h - portable elementary functions: the same bits on every machine.
 * Only + - * / floor and bit moves, in double, so no libm differences enter.
 */
#ifndef MGI_REAL_H
#define MGI_REAL_H


/* Double versions. Error bounds, which tests/test_base.c checks: 1 ulp of the
 * result for all (2 where exp or pow is subnormal). Inf and NaN follow C99 Annex F. */
MGI_FN double mgi_exp(double x);
MGI_FN double mgi_log(double x);
MGI_FN double mgi_sin2pi(double x);   /* sin(2 pi x); exact at multiples of 1/4 */
MGI_FN double mgi_cos2pi(double x);
MGI_FN double mgi_pow(double x, double y); /* x > 0; NaN otherwise, but x^0 = 1 */
/* Single versions: the double one rounded, which is the correctly rounded
 * result but for 1e-7 of cases. */
MGI_FN float mgi_expf(float x);
MGI_FN float mgi_logf(float x);
MGI_FN float mgi_tanhf(float x);
/* fma on floats with a single rounding on every target. */
MGI_FN float mgi_fmaf(float a, float b, float c);
/* The same through double, for targets whose fmaf is missing or doubtful. */
MGI_FN float mgi_fmaf_soft(float a, float b, float c);
/* Half-precision and bfloat16, round to nearest even. */
MGI_FN float mgi_from_f16(uint16_t h);
MGI_FN uint16_t mgi_to_f16(float x);
MGI_FN float mgi_from_bf16(uint16_t h);
MGI_FN uint16_t mgi_to_bf16(float x);

#endif
/* ---- end base/real.h ---------------------------------------------------------------- */

/* ---- begin base/text.h -------------------------------------------------------------- */
/* text.h - growing strings, strict numbers, name lists, atomic files.
 */
#ifndef MGI_TEXT_H
#define MGI_TEXT_H


/* mgi_str - a growing byte string, always NUL-terminated at p[n]. After a
 * failed allocation `bad` stays set and further appends do nothing, so callers
 * check once at the end. p is NULL until the first append. Numbers print in
 * the shortest form that reads back to the same bits, with '.' whatever the
 * locale; NaN and infinity print as null. */
typedef struct mgi_str {
    mango_alloc al;
    char *p;
    mango_idx n, cap;
    int bad;
} mgi_str;
MGI_FN void mgi_str_init(mgi_str *s, const mango_alloc *al);
MGI_FN void mgi_str_free(mgi_str *s);
MGI_FN void mgi_str_put(mgi_str *s, const char *bytes, mango_idx n);
MGI_FN void mgi_str_puts(mgi_str *s, const char *z);
MGI_FN void mgi_str_printf(mgi_str *s, const char *fmt, ...) MGI_PRINTF(2, 3);
MGI_FN void mgi_str_float(mgi_str *s, double v);  /* exact when read as a double */
MGI_FN void mgi_str_f32(mgi_str *s, float v);     /* exact when read and cast to float: 0.9 */

/* Strict numbers: the whole of z must be one number, else false. */
MGI_FN int mgi_parse_int(const char *z, int64_t lo, int64_t hi, int64_t *v);
MGI_FN int mgi_parse_real(const char *z, double *v);  /* finite decimal only */
MGI_FN int mgi_parse_real_n(const char *p, mango_idx n, double *v); /* of n bytes */

/* Does name match a glob of *, ? and [..]? */
MGI_FN int mgi_glob(const char *pattern, const char *name);
/* Up to 4 of `names` nearest to `name` by edit distance, ", "-joined into out. */
MGI_FN void mgi_near(const char *name, mango_idx n, const char *const *names, char *out,
                     mango_idx cap);

/* Files. Reading is bounded: a file over `limit` bytes is MANGO_E_LIMIT before
 * anything is allocated. A NUL that *n does not count follows the bytes, so
 * free them with mgi_del(al, p, n + 1, 1). Writing goes to a temporary name beside the target,
 * is flushed to disk, then renamed: the target is old or new, never half. */
MGI_FN mango_status mgi_file_read(const char *path, mango_idx limit, const mango_alloc *al,
                                  unsigned char **p, mango_idx *n, mango_err *err);
MGI_FN mango_status mgi_file_write(const char *path, const void *p, mango_idx n,
                                   mango_err *err);

#endif
/* ---- end base/text.h ---------------------------------------------------------------- */

/* ---- begin base/json.h -------------------------------------------------------------- */
/* json.h - a strict, bounded JSON reader (RFC 8259) and writer.
 */
#ifndef MGI_JSON_H
#define MGI_JSON_H


/* A parsed document is one array of values in document order. Objects and
 * arrays link their children through `next`. Duplicate keys, invalid UTF-8,
 * raw control bytes, lone surrogates, NUL in a key, leading zeros, numbers over
 * the range of double, depth over 32 and bytes after the value are errors that
 * name the offset. */
typedef enum mgi_json_kind {
    MGI_JSON_NULL, MGI_JSON_FALSE, MGI_JSON_TRUE, MGI_JSON_NUMBER, MGI_JSON_STRING,
    MGI_JSON_ARRAY, MGI_JSON_OBJECT
} mgi_json_kind;
typedef struct mgi_json_value {
    mgi_json_kind kind;
    int is_int;              /* number without fraction or exponent that fits i */
    int64_t i;
    double d;
    const char *str;         /* STRING: unescaped, NUL-terminated, n bytes */
    mango_idx n;             /* STRING: bytes; ARRAY, OBJECT: children */
    const char *key;         /* set when the parent is an object */
    mango_idx child, next;   /* index of first child, of next sibling; -1: none */
    mango_idx parent;        /* index; -1 for the root */
} mgi_json_value;
typedef struct mgi_json {
    mango_alloc al;
    mgi_json_value *v;       /* v[0] is the root */
    mango_idx n, cap;
    char *text;              /* owned copy that strings point into */
    mango_idx text_size;
} mgi_json;
MGI_FN mango_status mgi_json_parse(mgi_json *j, const char *bytes, mango_idx n,
                                   const mango_alloc *al, mango_err *err);
MGI_FN void mgi_json_free(mgi_json *j);
MGI_FN const mgi_json_value *mgi_json_get(const mgi_json *j, const mgi_json_value *obj,
                                          const char *key); /* NULL: not there */
MGI_FN const mgi_json_value *mgi_json_at(const mgi_json *j, const mgi_json_value *arr,
                                         mango_idx i);
/* Writing: append an escaped, quoted string. Numbers through mgi_str_float;
 * a non-finite number is written as null. */
MGI_FN void mgi_json_quote(mgi_str *s, const char *bytes, mango_idx n);

#endif
/* ---- end base/json.h ---------------------------------------------------------------- */

/* ---- begin base/hash.h -------------------------------------------------------------- */
/* hash.h - CRC-32, MD5 and SHA-256, to recognize files. Not for secrets.
 */
#ifndef MGI_HASH_H
#define MGI_HASH_H


/* CRC-32 of zip and gzip (reflected, 0xEDB88320): start with crc 0, feed the
 * pieces in order. */
MGI_FN uint32_t mgi_crc32(uint32_t crc, const void *p, mango_idx n);

/* A running MD5 (RFC 1321) or SHA-256 (FIPS 180-4): init, add any number of
 * pieces, then end writes the lower-case hex digest, NUL-terminated. */
typedef struct mgi_hash {
    uint32_t h[8];
    uint64_t bytes;
    unsigned char block[64];
    int is_md5;
} mgi_hash;
MGI_FN void mgi_md5_init(mgi_hash *s);
MGI_FN void mgi_sha256_init(mgi_hash *s);
MGI_FN void mgi_hash_add(mgi_hash *s, const void *p, mango_idx n);
MGI_FN void mgi_hash_end(mgi_hash *s, char hex[65]); /* 32 or 64 digits */

/* One call for bytes that lie in memory. */
MGI_FN void mgi_sha256(const void *p, mango_idx n, char hex[65]);

#endif
/* ---- end base/hash.h ---------------------------------------------------------------- */

/* ---- begin math/lifstep.h ----------------------------------------------------------- */
/* lifstep.h - one time step of leaky integrate-and-fire neurons, as scalars.
 *
 * net/lif.h holds the public rule record; net/lif.c lowers it to mgi_lif_rule,
 * which is all that the kernels see. The two functions below are the meaning
 * of a step, in the order of operations that every kernel set keeps (no fma:
 * this is the order of the source frameworks, and spikes are compared exactly).
 */
#ifndef MGI_LIFSTEP_H
#define MGI_LIFSTEP_H


typedef enum mgi_charge {
    MGI_CHARGE_LEAK, /* H = beta*U + gain*X                         */
    MGI_CHARGE_TAU,  /* H = U + (gain*X - (U - U_rest))/tau         */
    MGI_CHARGE_WHOLE /* H = (U - (U - U_rest)/tau) + gain*X         */
} mgi_charge;
typedef enum mgi_reset { MGI_RESET_NONE, MGI_RESET_SUBTRACT, MGI_RESET_VALUE } mgi_reset;

typedef struct mgi_lif_rule {
    mgi_charge charge;
    mgi_reset reset; /* after a spike: nothing, H - U_thr, or U_reset    */
    int delay;       /* 1: U holds H, its reset is made by the next step */
    int on_equal;    /* fires on H >= U_thr, else on H > U_thr           */
    float beta, tau, gain, U_thr, U_rest, U_reset;
} mgi_lif_rule;

/* Theta(H - U_thr); NaN does not fire. */
static inline int mgi_lif_fires(const mgi_lif_rule *r, float H)
{
    return r->on_equal ? H >= r->U_thr : H > r->U_thr;
}

/* The membrane at firing, H[t], from the state U that the last step left. A
 * pending reset comes first: a value replaces U before the charge, a
 * subtraction follows it (U[t] = beta U[t-1] + X[t] - S[t-1] U_thr). */
static inline float mgi_lif_charge(const mgi_lif_rule *r, float U, float X)
{
    const int pending = r->delay && mgi_lif_fires(r, U);
    if (pending && r->reset == MGI_RESET_VALUE)
        U = r->U_reset;
    float H;
    if (r->charge == MGI_CHARGE_LEAK)
        H = r->beta * U + r->gain * X;
    else if (r->charge == MGI_CHARGE_TAU)
        H = U + (r->gain * X - (U - r->U_rest)) / r->tau;
    else
        H = (U - (U - r->U_rest) / r->tau) + r->gain * X;
    return pending && r->reset == MGI_RESET_SUBTRACT ? H - r->U_thr : H;
}

/* The state to leave behind: H, or H after its reset when that is made at once. */
static inline float mgi_lif_leave(const mgi_lif_rule *r, float H)
{
    if (r->delay || r->reset == MGI_RESET_NONE || !mgi_lif_fires(r, H))
        return H;
    return r->reset == MGI_RESET_SUBTRACT ? H - r->U_thr : r->U_reset;
}

/* The plain loop over n neurons: X current, U state, S spikes out (0 or 1).
 * The kernel table's reference entry, and the oracle of the others. */
MGI_FN void mgi_lif_ref(mango_idx n, const mgi_lif_rule *r, const float *X, float *U,
                        float *S);

#endif
/* ---- end math/lifstep.h ------------------------------------------------------------- */

/* ---- begin math/kernels.h ----------------------------------------------------------- */
/* kernels.h - the table of inner loops, chosen once at run time.
 * Algorithms (gemm.c, conv.c, pool.c, net/lif.c, ...) hold no intrinsics: they
 * call this table. kernels_ref.c fills every entry with plain C, which stays
 * for good as documentation, fallback and oracle; kernels_x86.c and
 * kernels_neon.c replace entries. Every set gives the same bits: each output
 * is one chain of fused multiply-adds over k in ascending order.
 */
#ifndef MGI_KERNELS_H
#define MGI_KERNELS_H


/* One run of the inner product: n consecutive k. Row i of A reads
 * a[i][tap.a + j], B reads row tap.b + j of its packed panel, j = 0..n-1.
 * A plain GEMM has one tap; a convolution one per kernel row (see conv.c). */
typedef struct mgi_tap {
    mango_idx a, b, n;
} mgi_tap;

/* One run of active inputs: row at[i] / nr of a packed panel, from b on. */
typedef struct mgi_gather {
    const uint32_t *at; /* (n) floats from row 0 of the run */
    mango_idx n, b;     /* b: floats to that row            */
} mgi_gather;

typedef struct mgi_kernels {
    const char *name; /* "ref", "sse2", "avx2", "avx512", "neon" */
    int mr, nr;       /* register tile: rows of A, columns of B */

    /* tile - C(m,n) [+]= sum over taps of A * B, m <= mr rows, n <= nr columns.
     *   a    (m) row pointers      b  packed panel (K, nr): row k at b + k*nr
     *   c    (m,n) with row stride ldc
     *   load 0: every chain starts at +0; 1: it goes on from c. */
    void (*tile)(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                 const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load);

    /* outer - C(m,n) [+]= sum over runs r and p = 0..r.n-1 of A(p,i) * B(p,j),
     * m <= mr, n <= nr: the same chains, with both operands stored row p after
     * row p: A at a + r.a + p*lda + i, B at b + r.b + p*ldb + j. Nothing right
     * of column n is read. For weight gradients (p: pixels) and A given as (K,M). */
    void (*outer)(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                  mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                  int load);
    /* finish - the end of a tile of outputs: v = acc(i,j) [+ bias[j]]
     * [+ res[off[i]+j]]; relu: v > 0 ? v : +0; y[off[i]+j] = v, in this order.
     *   acc  (m,n) row stride ldacc;  bias (n) or NULL;  res like y, or NULL */
    void (*finish)(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                   const mango_idx *off, const float *bias, const float *res, int relu, float *y);

    /* Elementwise, one pass; in place (y == x) is fine. */
    void (*add)(mango_idx n, const float *x, const float *y, float *z);         /* z = x + y */
    void (*axpy)(mango_idx n, float a, const float *x, float *y);               /* y = fma(a,x,y) */
    void (*relu)(mango_idx n, const float *x, float *y);                        /* x > 0 ? x : +0 */
    void (*maximum)(mango_idx n, const float *x, float *y);                     /* y = x > y ? x : y */
    /* rows of nb channels */
    void (*scale_shift)(mango_idx rows, mango_idx nb, const float *s, const float *t,
                        const float *x, float *y);             /* y = fma(s[c], x, t[c]) */
    /* One LIF step for n neurons, as lifstep.h says. X input current, U state,
     * S spikes out as 0/1 floats (never NULL). */
    void (*lif)(mango_idx n, const mgi_lif_rule *rule, const float *X, float *U, float *S);

    /* On maps of bits, see spikes.h.
     * gather - for each of m pixels, acc (panels,nr) [+]= sum over its `per` runs
     * r and over i of the nr floats at b + q*pitch + r.b + r.at[i], q the panel:
     * the weights of active inputs. load as in tile; panels 1..gather_panels. */
    mango_idx gather_panels;
    void (*gather)(mango_idx panels, mango_idx m, mango_idx per, const mgi_gather *run,
                   const float *b, mango_idx pitch, float *acc, int load);
    /* lif for rows of C neurons each, spikes as words of bits. */
    void (*lif_bits)(mango_idx rows, mango_idx C, const mgi_lif_rule *rule, const float *X,
                     float *U, uint64_t *S);
} mgi_kernels;

/* The table in force: best the CPU supports, or the one that MANGO_SIMD
 * (ref|sse2|avx2|avx512|neon) names; an unknown or unsupported name falls back
 * to the best one below. Thread-safe, constant after the first call. */
MGI_FN const mgi_kernels *mgi_kernels_get(void);
/* A set by name for tests and benches; NULL when this CPU lacks it. */
MGI_FN const mgi_kernels *mgi_kernels_named(const char *name);
/* Force a set for this process (tests); false when the CPU lacks it. */
MGI_FN int mgi_kernels_force(const char *name);

/* The sets themselves; NULL when not compiled in or not supported here. */
MGI_FN const mgi_kernels *mgi_kernels_ref(void);
MGI_FN const mgi_kernels *mgi_kernels_sse2(void);
MGI_FN const mgi_kernels *mgi_kernels_avx2(void);
MGI_FN const mgi_kernels *mgi_kernels_avx512(void);
MGI_FN const mgi_kernels *mgi_kernels_neon(void);

/* Plain entries that other sets use, too. */
MGI_FN void mgi_ref_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                           const mango_idx *off, const float *bias, const float *res, int relu,
                           float *y);
MGI_FN void mgi_ref_gather(mango_idx nr, mango_idx panels, mango_idx m, mango_idx per,
                           const mgi_gather *run, const float *b, mango_idx pitch, float *acc,
                           int load);
MGI_FN void mgi_ref_lif_bits(mango_idx rows, mango_idx C, const mgi_lif_rule *r,
                             const float *X, float *U, uint64_t *S);
/* spikes_x86.c, spikes_neon.c: only where they are compiled. */
#if defined(__GNUC__) && defined(__x86_64__)
MGI_FN void mgi_avx512_gather(mango_idx panels, mango_idx m, mango_idx per,
                              const mgi_gather *run, const float *b, mango_idx pitch,
                              float *acc, int load);
MGI_FN void mgi_avx2_gather(mango_idx panels, mango_idx m, mango_idx per,
                            const mgi_gather *run, const float *b, mango_idx pitch,
                            float *acc, int load);
MGI_FN void mgi_avx2_lif_bits(mango_idx rows, mango_idx C, const mgi_lif_rule *r, const float *X,
                              float *U, uint64_t *S);
#endif
#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
MGI_FN void mgi_neon_lif_bits(mango_idx rows, mango_idx C, const mgi_lif_rule *r, const float *X,
                              float *U, uint64_t *S);
MGI_FN void mgi_neon_gather(mango_idx panels, mango_idx m, mango_idx per,
                            const mgi_gather *run, const float *b, mango_idx pitch,
                            float *acc, int load);
#endif
MGI_FN void mgi_ref_add(mango_idx n, const float *x, const float *y, float *z);
MGI_FN void mgi_ref_relu(mango_idx n, const float *x, float *y);
MGI_FN void mgi_ref_maximum(mango_idx n, const float *x, float *y);

#endif
/* ---- end math/kernels.h ------------------------------------------------------------- */

/* ---- begin math/ops.h --------------------------------------------------------------- */
/* ops.h - the operators on feature maps, forward and backward.
 *
 * Feature maps are channels last: x is (N,H,W,C), so a pixel's channels are
 * consecutive. Convolution weights come in the source frameworks' order
 * (O,C,kh,kw), transposed ones in (C,O,kh,kw); they are packed once, at plan
 * time. The inner product runs over k = (ky,kx,c) in ascending order, always.
 * Backward functions ADD into parameter gradients (dw, db) and OVERWRITE dx.
 * All are deterministic for any thread count. Sizes are trusted: the callers
 * (graph shape inference) have checked them.
 */
#ifndef MGI_OPS_H
#define MGI_OPS_H


/* Scratch: the *_work functions count for the kernel set and the mango_threads()
 * of the moment; more threads later need more. A size for N serves every
 * smaller N. Packed weights belong to the kernel set they were packed for. */

/* ---- gemm.c ------------------------------------------------------------- */
/* C (M,N), row stride ldc = A (M,K) * B (K,N) [+ C when load]. op: 'n' or 't'.
 * With 't' the stored matrix is (K,M) for A, (N,K) for B. work: scratch for
 * packing of mgi_gemm_work(...) floats. Chains run over k ascending from +0,
 * or from C when load. */
MGI_FN mango_idx mgi_gemm_work(mango_idx M, mango_idx N, mango_idx K, int opa, int opb);
MGI_FN void mgi_gemm(int opa, int opb, mango_idx M, mango_idx N, mango_idx K, const float *A,
                     mango_idx lda, const float *B, mango_idx ldb, float *C, mango_idx ldc,
                     int load, float *work);
/* The plain triple loop with fma: the oracle of all the above. */
MGI_FN void mgi_gemm_ref(int opa, int opb, mango_idx M, mango_idx N, mango_idx K,
                         const float *A, mango_idx lda, const float *B, mango_idx ldb,
                         float *C, mango_idx ldc, int load);
/* B packed in panels of nr columns for the kernel table in force: size in
 * floats, packing from row-major (K,N) by element strides, and use. */
MGI_FN mango_idx mgi_pack_size(mango_idx K, mango_idx N);
MGI_FN void mgi_pack(mango_idx K, mango_idx N, const float *B, mango_idx sk, mango_idx sn,
                     float *P);

/* ---- conv.c ------------------------------------------------------------- */
typedef struct mgi_conv {
    mango_idx C, H, W;    /* input channels, height, width  */
    mango_idx O, OH, OW;  /* output                          */
    int kh, kw, sh, sw, ph, pw;
    int transposed;       /* 1: ConvTranspose2d, weights (C,O,kh,kw) */
} mgi_conv;
/* Fill OH, OW from the rest; false when the output would be empty. */
MGI_FN int mgi_conv_shape(mgi_conv *c);
/* What happens to a tile of outputs while it is still in cache:
 * y = act(acc + bias[o] + residual). relu after the add. NULL: none. */
typedef struct mgi_epilogue {
    const float *bias;     /* (O)                            */
    const float *residual; /* like y                         */
    int relu;
} mgi_epilogue;
MGI_FN mango_idx mgi_conv_packed(const mgi_conv *c);               /* floats */
MGI_FN void mgi_conv_pack(const mgi_conv *c, const float *w, float *packed);
MGI_FN mango_idx mgi_conv_work(const mgi_conv *c, mango_idx N);    /* floats, all threads */
MGI_FN void mgi_conv_forward(const mgi_conv *c, mango_idx N, const float *x,
                             const float *packed, const mgi_epilogue *e, float *y,
                             float *work);
/* Transposed: k runs over the input pixels of an output, (iy,ix,c) ascending.
 * Finite numbers only: what lies in the padding is left out of the sums.
 * Backward: dx packs the weights on every call, since they change every step;
 * dw is one chain over the pixels (n,oy,ox) from +0, then added. */
MGI_FN mango_idx mgi_conv_backward_work(const mgi_conv *c, mango_idx N);
MGI_FN void mgi_conv_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                   const float *w, float *dx, float *work);
MGI_FN void mgi_conv_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                      const float *dy, float *dw, float *db /* or NULL */,
                                      float *work);
/* Plain loops, the oracle. */
MGI_FN void mgi_conv_forward_ref(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *w, const float *bias, float *y);

/* Linear: y (N,O) = x (N,K) * w (O,K)^T + b, the 1x1 convolution of a 1x1 map.
 * After a flatten of an (C,H,W) map the columns of w are permuted to (H,W,C)
 * by the caller when it packs. */

/* ---- pool.c ------------------------------------------------------------- */
typedef struct mgi_pool {
    mango_idx C, H, W, OH, OW;
    int kh, kw, sh, sw, ph, pw;
} mgi_pool;
MGI_FN int mgi_pool_shape(mgi_pool *p); /* floor mode; padding counts as -inf (max), is excluded never (avg: count_include_pad) */
MGI_FN void mgi_maxpool(const mgi_pool *p, mango_idx N, const float *x, float *y);
/* First of equal maxima wins, in (ky,kx) order, as PyTorch's CPU kernel has it. */
MGI_FN void mgi_maxpool_backward(const mgi_pool *p, mango_idx N, const float *x,
                                 const float *dy, float *dx);
MGI_FN void mgi_avgpool(const mgi_pool *p, mango_idx N, const float *x, float *y);
MGI_FN void mgi_avgpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx);
/* Adaptive average to (OH,OW): bin i covers floor(i*H/OH) .. ceil((i+1)*H/OH)-1.
 * Global average is (1,1). */
MGI_FN void mgi_adaptiveavg(const mgi_pool *p, mango_idx N, const float *x, float *y);
MGI_FN void mgi_adaptiveavg_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx);

/* ---- resample.c --------------------------------------------------------- */
/* x2 upsampling; bilinear with align_corners = false. (N,H,W,C) -> (N,2H,2W,C) */
MGI_FN void mgi_nearest2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C, const float *x, float *y);
MGI_FN void mgi_nearest2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C, const float *dy, float *dx);
MGI_FN void mgi_bilinear2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C, const float *x, float *y);
MGI_FN void mgi_bilinear2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C, const float *dy, float *dx);

/* ---- norm.c ------------------------------------------------------------- */
/* Inference form: y = fma(s[c], x, t[c]), s = w/sqrt(var+eps), t = b - mean*s. */
MGI_FN void mgi_batchnorm_fold(mango_idx C, const float *w, const float *b, const float *mean,
                               const float *var, double eps, float *s, float *t);
/* Training form over R = N*H*W rows. Saves mean, rstd (C); updates running
 * statistics with `momentum` (unbiased variance, as PyTorch). w, b may be NULL. */
MGI_FN void mgi_batchnorm_train(mango_idx R, mango_idx C, const float *x, const float *w,
                                const float *b, double eps, double momentum, float *run_mean,
                                float *run_var, float *mean, float *rstd, float *y);
MGI_FN void mgi_batchnorm_backward(mango_idx R, mango_idx C, const float *x, const float *w,
                                   const float *mean, const float *rstd, const float *dy,
                                   float *dx, float *dw, float *db);

/* ---- pointwise.c -------------------------------------------------------- */
MGI_FN void mgi_relu_backward(mango_idx n, const float *y, const float *dy, float *dx); /* dx = y > 0 ? dy : 0 */
MGI_FN void mgi_tanh(mango_idx n, const float *x, float *y);
MGI_FN void mgi_tanh_backward(mango_idx n, const float *y, const float *dy, float *dx);
/* Rows of C: y = softmax(x); loss and gradient of mean cross-entropy. */
MGI_FN void mgi_softmax(mango_idx R, mango_idx C, const float *x, float *y);
MGI_FN void mgi_softmax_backward(mango_idx R, mango_idx C, const float *y, const float *dy, float *dx);
MGI_FN double mgi_crossentropy(mango_idx R, mango_idx C, const float *x, const int32_t *label,
                               double smoothing, float *dx /* or NULL */);
/* (N,C,H,W) <-> (N,H,W,C) */
MGI_FN void mgi_to_nhwc(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y);
MGI_FN void mgi_to_nchw(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y);

#endif
/* ---- end math/ops.h ----------------------------------------------------------------- */

/* ---- begin math/convgeo.h ----------------------------------------------------------- */
/* convgeo.h - private to conv.c, convpack.c and convgrad.c: a convolution cut
 * into stride phases, each an ordinary convolution without holes.
 *
 *   iy = ty*sh - py + ky,  ty = 0..TH-1,  ky = 0..kh-1        (the same in x)
 *   oy = oy0 + ty*osy
 *
 * An ordinary convolution is one phase with oy0 = 0, osy = 1. A transposed one
 * with stride s has s*s phases: output oy gets input iy from kernel row
 * ky' = oy + p - s*iy, so the phase f = (oy + p) mod s uses the rows ky' = f,
 * f+s, ..., in DESCENDING order, because iy then ascends. The k order of every
 * output is therefore (iy,ix,c) ascending in the input's own order.
 * Kernel rows and columns that only ever meet padding are left out.
 */
#ifndef MGI_CONVGEO_H
#define MGI_CONVGEO_H


typedef struct mgi_convgeo {
    mango_idx C, H, W, O, OH, OW;
    mango_idx kh, kw, sh, sw, py, px;
    mango_idx TH, TW, oy0, ox0, osy, osx;
    mango_idx ky0, kys, kx0, kxs; /* stored kernel row of ky is ky0 + ky*kys */
} mgi_convgeo;

MGI_FN int mgi_convgeo_phases(const mgi_conv *c);
MGI_FN void mgi_convgeo_phase(const mgi_conv *c, int phase, mgi_convgeo *g);
/* The convolution that computes dx of c from dy, with the same stored weights. */
MGI_FN mgi_conv mgi_conv_flip(const mgi_conv *c);

/* Valid kernel columns [lo,hi) at output position t: 0 <= t*s - p + k < size. */
static inline void mgi_conv_clip(mango_idx t, mango_idx s, mango_idx p, mango_idx k,
                                 mango_idx size, mango_idx *lo, mango_idx *hi)
{
    const mango_idx first = t * s - p;
    *lo = MGI_MIN(k, MGI_MAX(0, -first));
    *hi = MGI_MAX(*lo, MGI_MIN(k, size - first));
}

#endif
/* ---- end math/convgeo.h ------------------------------------------------------------- */

/* ---- begin math/spikes.h ------------------------------------------------------------ */
/* spikes.h - feature maps of 0 and 1 held as bits, and what can be done on them.
 *
 * A map (N,H,W,C) is (N,H,W,ceil(C/64)) words: channel c of a pixel is bit
 * c%64 of its word c/64; bits beyond C are 0. Every function gives bit for bit
 * what its float form gives on the same map: a sum of fma(w, x, acc) over
 * 0/1 inputs is the sum of the w of active inputs in the same order, because a
 * chain that starts at +0 never becomes -0, and adding a zero changes nothing.
 */
#ifndef MGI_SPIKES_H
#define MGI_SPIKES_H


/* The lowest set bit of w, which has one. */
static inline int mgi_bits_first(uint64_t w)
{
#if defined(__GNUC__)
    return __builtin_ctzll(w);
#else
    int i = 0;
    for (; !(w & 1); w >>= 1)
        i++;
    return i;
#endif
}

/* ---- spikes.c -------------------------------------------------------------- */
MGI_FN mango_idx mgi_bits_words(mango_idx C); /* words of a pixel */
/* rows pixels of C channels: y = bits; y += bits; how many bits of n words are set. */
MGI_FN void mgi_bits_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y);
MGI_FN void mgi_bits_add(mango_idx rows, mango_idx C, const uint64_t *x, float *y);
/* y (n) += channels c0 .. c0+n of one pixel. */
MGI_FN void mgi_bits_add_part(mango_idx c0, mango_idx n, const uint64_t *x, float *y);
MGI_FN mango_idx mgi_bits_total(mango_idx n, const uint64_t *x);
/* The pools of ops.h: the largest bit; the mean, as a float map. */
MGI_FN void mgi_bits_maxpool(const mgi_pool *p, mango_idx N, const uint64_t *x, uint64_t *y);
MGI_FN void mgi_bits_avgpool(const mgi_pool *p, mango_idx N, const uint64_t *x, float *y);
MGI_FN void mgi_bits_adaptiveavg(const mgi_pool *p, mango_idx N, const uint64_t *x, float *y);

/* ---- spikeconv.c ----------------------------------------------------------- */
/* mgi_epilogue, whose residual may be a map of bits: y = act(acc + bias + residual).
 * At most one of the two residuals. */
typedef struct mgi_bits_epilogue {
    const float *bias, *residual;
    const uint64_t *bits; /* (N,OH,OW,ceil(O/64)) or NULL */
    int relu;
} mgi_bits_epilogue;
/* The convolution of ops.h over bits, from the weights that mgi_conv_pack packed.
 * Gathers the weights of active inputs, or widens the bits and goes the dense
 * way when so many are active that this is faster: the same bits. */
MGI_FN mango_idx mgi_bits_conv_work(const mgi_conv *c, mango_idx N); /* floats, all threads */
MGI_FN void mgi_bits_conv(const mgi_conv *c, mango_idx N, const uint64_t *x,
                          const float *packed, const mgi_bits_epilogue *e, float *y,
                          float *work);

#endif
/* ---- end math/spikes.h -------------------------------------------------------------- */

/* ---- begin net/lifrule.h ------------------------------------------------------------ */
/* lifrule.h - from the public rule record to the one the kernels take.
 */
#ifndef MGI_LIFRULE_H
#define MGI_LIFRULE_H


/* rule must have passed mango_lif_check. For loops that call the kernel table
 * without the checks of mango_lif_step on every step. */
MGI_FN mgi_lif_rule mgi_lif_lower(const mango_lif *rule);
/* The membrane before the first step: 0, or U_reset in tau form. */
MGI_FN float mgi_lif_rest(const mango_lif *rule);

#endif
/* ---- end net/lifrule.h -------------------------------------------------------------- */

/* ---- begin net/weights.h ------------------------------------------------------------ */
/* weights.h - safetensors files: a bounded reader, an atomic writer.
 */
#ifndef MGI_WEIGHTS_H
#define MGI_WEIGHTS_H


typedef enum mgi_dtype {
    MGI_F32, MGI_F16, MGI_BF16, MGI_F64, MGI_I8, MGI_U8, MGI_I16, MGI_I32, MGI_I64, MGI_BOOL,
    MGI_DTYPES
} mgi_dtype;
typedef struct mgi_tensor {
    char name[257];
    mgi_dtype dtype;
    int rank;                /* 0..8 */
    mango_idx shape[8], count;
    const unsigned char *raw; /* little-endian bytes inside the file image */
} mgi_tensor;
typedef struct mgi_tensors {
    mango_alloc al;
    unsigned char *image;    /* the whole file */
    mango_idx size, room;    /* its bytes; bytes allocated */
    mgi_json header;
    mango_idx n;
    mgi_tensor *t;           /* in order of their names' bytes */
} mgi_tensors;

#define MGI_WEIGHTS_FILE_MAX ((mango_idx)1 << 30)
#define MGI_WEIGHTS_HEADER_MAX ((mango_idx)1 << 20)
#define MGI_WEIGHTS_TENSORS_MAX 4096
#define MGI_WEIGHTS_DIM_MAX ((mango_idx)1 << 24)

MGI_FN const char *mgi_dtype_name(mgi_dtype d);             /* "F32", ... */
MGI_FN mango_idx mgi_dtype_size(mgi_dtype d);               /* bytes of one value */
MGI_FN int mgi_dtype_find(const char *name, mgi_dtype *d);  /* false: no such type */

/* Limits: file 1 GiB, header 1 MiB, 4096 tensors, rank 8, dimension 2^24, name
 * 256 bytes of UTF-8 without control bytes; data must tile the file exactly. */
MGI_FN mango_status mgi_tensors_read(mgi_tensors *f, const char *path, const mango_alloc *al,
                                     mango_err *err);
/* `what` names the source in messages. Takes over image (allocated from al,
 * size bytes) on success only. */
MGI_FN mango_status mgi_tensors_parse(mgi_tensors *f, unsigned char *image, mango_idx size,
                                      const char *what, const mango_alloc *al, mango_err *err);
MGI_FN void mgi_tensors_free(mgi_tensors *f);
MGI_FN const mgi_tensor *mgi_tensors_find(const mgi_tensors *f, const char *name);
MGI_FN const char *mgi_tensors_meta(const mgi_tensors *f, const char *key); /* NULL: none */
/* The i-th metadata pair; false when there are no more. */
MGI_FN int mgi_tensors_meta_at(const mgi_tensors *f, mango_idx i, const char **key,
                               const char **value);
/* Widened values; integers must be exact in float, doubles are rounded. finite:
 * refuse NaN and Inf. Messages name the tensor and the index, not the file. */
MGI_FN mango_status mgi_tensor_floats(const mgi_tensor *t, int finite, float *out,
                                      mango_err *err);
/* Integer and BOOL tensors, every value must fit 32 bits. */
MGI_FN mango_status mgi_tensor_ints(const mgi_tensor *t, int32_t *out, mango_err *err);

/* Writing: add metadata and tensors (data is copied on add), then save once,
 * which empties the writer. The first failing call is remembered, so callers
 * may check the result of save alone; keys and names must differ from each
 * other. add stores v as F32, F16 or BF16; a finite value that would overflow
 * the narrow type is MANGO_E_NONFINITE. */
typedef struct mgi_tensor_writer mgi_tensor_writer;
MGI_FN mango_status mgi_writer_new(mgi_tensor_writer **w, const mango_alloc *al);
MGI_FN mango_status mgi_writer_meta(mgi_tensor_writer *w, const char *key, const char *value);
MGI_FN mango_status mgi_writer_add(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                   int rank, const mango_idx *shape, const float *v);
MGI_FN mango_status mgi_writer_add_i32(mgi_tensor_writer *w, const char *name, int rank,
                                       const mango_idx *shape, const int32_t *v);
/* Bytes already in the file's form, for tensors that are only carried along. */
MGI_FN mango_status mgi_writer_add_raw(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                       int rank, const mango_idx *shape, const void *raw);
MGI_FN mango_status mgi_writer_save(mgi_tensor_writer *w, const char *path, mango_err *err);
MGI_FN void mgi_writer_free(mgi_tensor_writer *w);

#endif
/* ---- end net/weights.h -------------------------------------------------------------- */

/* ---- begin net/graph.h -------------------------------------------------------------- */
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
 */
#ifndef MGI_GRAPH_H
#define MGI_GRAPH_H


typedef enum mgi_kind {
    MGI_INPUT,       /* shape=CxHxW or C                                       */
    MGI_CONV,        /* out kernel stride pad bias [sn=1: spectral norm]       */
    MGI_CONVT,       /* transposed convolution: out kernel stride pad bias     */
    MGI_LINEAR,      /* out bias [sn=1]; input is flattened in (C,H,W) order   */
    MGI_BATCHNORM,   /* eps momentum                                           */
    MGI_RELU,
    MGI_TANH,
    MGI_LIF,         /* the fields of mango_lif by name, or preset=NAME        */
    MGI_MAXPOOL,     /* kernel stride pad                                      */
    MGI_AVGPOOL,     /* kernel stride pad                                      */
    MGI_ADAPTIVEAVG, /* size=OHxOW                                             */
    MGI_GLOBALAVG,   /* -> (C,1,1)                                             */
    MGI_GLOBALSUM,   /* -> (C,1,1); the SN-GAN discriminator's                 */
    MGI_UPSAMPLE,    /* x2, mode=nearest|bilinear                              */
    MGI_ADD,         /* two inputs of one shape                                */
    MGI_CONCAT,      /* channels of two or more inputs                         */
    MGI_RESHAPE,     /* shape=CxHxW: the (C,H,W)-ordered values, refolded      */
    MGI_SOFTMAX,     /* over channels                                          */
    MGI_VQ,          /* codes=K: nearest row of NAME._embedding.weight (K,C)   */
    MGI_KINDS
} mgi_kind;

#define MGI_MAX_NODES 1024 /* densenet has 567 */
#define MGI_MAX_INPUTS 64  /* of one concat */
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
    float *v;        /* NULL until filled */
} mgi_param;

typedef struct mgi_node {
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
    int bias, bilinear, spectral;
    mango_idx codes;           /* VQ */
    int weight, bias_p, mean_p, var_p; /* indices of parameters, -1: none */
    int sn_u, sn_sigma;        /* with spectral: buffers (1,O) and (1); -1: none */
    int spiking_input;         /* some ancestor is a LIF: depends on time */
} mgi_node;

typedef struct mgi_pair {
    char *key, *value;         /* metadata, NUL-terminated, owned */
} mgi_pair;

struct mango_net {
    mango_alloc al;
    int n_nodes, cap_nodes;
    mgi_node *node;
    int n_params, cap_params;
    mgi_param *param;
    mgi_arena values;          /* of all parameters */
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
MGI_FN int mgi_net_add1(mango_net *n, const char *name, mgi_kind kind, int in, const char *attrs_fmt,
                        ...) MGI_PRINTF(5, 6);
MGI_FN int mgi_net_plain(mango_net *n, const char *name, mgi_kind kind, int in); /* no attributes */
/* Lists parameters and marks time dependence; reports the first error of
 * building, by node name. (Shapes are inferred as nodes are added.) */
MGI_FN mango_status mgi_net_finish(mango_net *n, mango_err *err);

MGI_FN int mgi_net_find(const mango_net *n, const char *layer);   /* -1: none */
MGI_FN int mgi_param_find(const mango_net *n, const char *name);
MGI_FN const char *mgi_kind_name(mgi_kind k);
MGI_FN int mgi_kind_find(const char *name, mgi_kind *k);           /* false: none */

/* graph_shape.c: output shape, conv and pool sizes of a node from its inputs
 * and attributes. Messages name both shapes. */
MGI_FN mango_status mgi_node_shape(const mango_net *n, mgi_node *q, mango_err *err);

/* graph_attr.c: the one table of attributes. attrs is "key=value ...", strict:
 * unknown, repeated, missing or out of range names the key. */
MGI_FN mango_status mgi_node_attrs(mgi_node *q, const char *attrs, mango_err *err);
MGI_FN void mgi_node_write_attrs(const mgi_node *q, mgi_str *s); /* each " key=value" */

/* Text form. */
MGI_FN mango_status mgi_graph_write(const mango_net *n, mgi_str *s);
MGI_FN mango_status mgi_graph_parse(mango_net **out, const char *text, mango_idx len,
                                    const mango_alloc *al, mango_err *err);

/* Allocate every parameter, zeroed (running_var and sn_sigma too). Nothing
 * happens when they are there already. */
MGI_FN mango_status mgi_net_alloc_params(mango_net *n);

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
MGI_FN mango_status mgi_params_match(const mango_net *n, mango_idx count, const mgi_offer *offer,
                                     mango_idx *map, mango_err *err);
/* Does a state dict of the source frameworks hold this beside the parameters?
 * num_batches_tracked, _ema_w, _ema_cluster_size, and the scalars of a neuron
 * rule: PREFIX.threshold, .beta, .graded_spikes_factor, .reset_mechanism_val
 * of a LIF layer. */
MGI_FN int mgi_param_foreign(const mango_net *n, const char *name);
/* Such a scalar into its layer's rule: true when name was one. *st: MANGO_OK,
 * or an error when the rule cannot hold the value. */
MGI_FN int mgi_rule_scalar(mango_net *n, const char *name, double value, mango_status *st,
                           mango_err *err);

/* Tensors carried along: copied; a second one of the same name replaces the first. */
MGI_FN mango_status mgi_net_extra_set(mango_net *n, const char *name, mgi_dtype dtype, int rank,
                                      const mango_idx *shape, const void *raw);
MGI_FN const mgi_tensor *mgi_net_extra(const mango_net *n, const char *name); /* NULL: none */

#endif
/* ---- end net/graph.h ---------------------------------------------------------------- */

/* ---- begin net/zoo.h ---------------------------------------------------------------- */
/* zoo.h - the architectures: what a specification may set, and one builder each.
 */
#ifndef MGI_ZOO_H
#define MGI_ZOO_H


/* The values of "NAME,key=value,...", filled with the architecture's own
 * before the keys are read. Builders derive every other size from these. */
typedef struct mgi_zoo {
    double width;            /* scales channel counts                          */
    mango_idx C, H, W;       /* in=CxHxW; of a generator: the picture, out=CxHxW */
    mango_idx classes, T;
    mango_idx hidden;        /* vqvae: channels inside; snn_conv: linear1's outputs;
                                taken as it is; 0: the architecture's own, scaled */
    mango_idx codes, dim;    /* vqvae: the codebook (codes,dim)                */
    mango_idx latent;        /* sngan                                          */
    char lif[256];           /* " key=value ..." appended to every LIF's attributes */
} mgi_zoo;

/* c channels scaled by width: a multiple of 8 and at least 8; c when width is 1. */
MGI_FN mango_idx mgi_zoo_wide(const mgi_zoo *z, mango_idx c);

/* A layer's name, printed into b: mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), ...). */
typedef struct mgi_zoo_label {
    char z[MGI_NAME];
} mgi_zoo_label;
MGI_FN const char *mgi_zoo_name(mgi_zoo_label *b, const char *fmt, ...) MGI_PRINTF(2, 3);
/* Two nodes into one: MGI_ADD or MGI_CONCAT. */
MGI_FN int mgi_zoo_join(mango_net *n, const char *name, mgi_kind kind, int a, int b);

MGI_FN void mgi_zoo_sngan(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_sngan_dsc(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_vqvae(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_snn_conv(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_spiking_resnet18(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_resnet18(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_densenet(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_alexnet(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_vgg16(mango_net *n, const mgi_zoo *z);
MGI_FN void mgi_zoo_vgg19(mango_net *n, const mgi_zoo *z);

#endif
/* ---- end net/zoo.h ------------------------------------------------------------------ */

/* ---- begin net/plan.h --------------------------------------------------------------- */
/* plan.h - what the planner decides and the forward pass follows.
 *
 * A plan is a list of steps. A step runs one node's operator and, in the same
 * pass, the chain of nodes fused onto it:
 *     conv|convt|linear [+ batchnorm] [+ reshape] [+ add] [+ relu]
 *     batchnorm [+ relu]      add [+ relu]
 * What is fused onto what depends on the graph alone, so a node's value has
 * the same bits whatever is read, fed, batched or chunked. Reading a node from
 * inside a chain plans a second, shorter chain that ends there.
 *
 * Steps before `first_dynamic` have no LIF ancestor and run once for the b
 * inputs of a chunk; the others run over the t*b maps of all its steps, t
 * slowest. Each step writes one buffer of one arena.
 */
#ifndef MGI_PLAN_H
#define MGI_PLAN_H


#define MGI_MAX_BATCH 4096
#define MGI_PLAN_MEMORY ((mango_idx)1 << 30) /* default cap, bytes          */
#define MGI_PLAN_SPAN ((mango_idx)16 << 20)  /* chunks shrink to this arena */
#define MGI_PLAN_MAPS 32                     /* ... but not under so many maps */

/* How the values of a buffer are stored; bits: 0/1 maps as in spikes.h, words. */
typedef enum mgi_elem { MGI_ELEM_F32, MGI_ELEM_F64, MGI_ELEM_BITS } mgi_elem;
MGI_FN size_t mgi_elem_size(mgi_elem e);

/* What a buffer's size is a multiple of. */
typedef enum mgi_scope {
    MGI_PER_INPUT, /* n values for each of the b inputs of a chunk   */
    MGI_PER_MAP,   /* n values for each of its t*b maps              */
    MGI_FIXED,     /* n values                                       */
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

typedef struct mgi_step {
    int head, end;    /* first and last node of the chain                   */
    int dynamic;
    int bn, reshape;  /* nodes folded into the weights, -1: none            */
    int residual;     /* node whose value is added at the end, -1: none     */
    int relu;
    mango_idx n;      /* values of one map that this step writes            */
    int bits;         /* it writes them as bits: spikes for consumers that take these */
    int out;          /* buffer of the result                               */
    int aux;          /* buffer: membranes of a LIF, codes of a VQ; -1      */
    int work;         /* scratch buffer, -1                                 */
    mgi_conv conv;    /* conv, convt, linear; the scores of a VQ            */
    mango_idx packed_n, bias_n;
    float *packed;    /* packed weights, NULL: none                         */
    float *bias;      /* (bias_n) bias, or shift of a batch-norm; NULL      */
    float *scale;     /* (bias_n) of a batch-norm that stands alone         */
} mgi_step;

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
    int need;      /* its value is read or used                              */
    int dynamic;   /* a LIF, or after one                                    */
    int view;      /* node whose buffer it shares (a reshape without work), -1 */
    int step;      /* step that leaves its value, -1                         */
} mgi_plan_node;

struct mango_plan {
    mango_alloc al;
    const mango_net *net;
    mango_idx T, B, memory;
    int from, raw;
    mgi_plan_node *node;   /* (net->n_nodes)                 */
    mgi_step *step;
    int n_steps, cap_steps, first_dynamic;
    mgi_buf *buf;
    int n_bufs, cap_bufs;
    int *order;            /* (2 cap_bufs) scratch of mgi_plan_place */
    mgi_plan_reading *reading;
    int n_readings;
    mango_idx Bc, Tc;      /* inputs and steps of a chunk    */
    mango_idx arena_bytes;
    mgi_arena maps, weights;
    double macs;
    int threads;           /* scratch is planned for so many */
    const mgi_kernels *k;
    const float *x;        /* the run under way: input, its batch, */
    mango_idx run_B;       /* and the chunk: inputs b0..b0+b-1,    */
    mango_idx b0, b, t0, t;/* steps t0..t0+t-1                     */
};

/* plan_graph.c: links, needs, dynamics. */
MGI_FN mango_status mgi_plan_graph(mango_plan *p, mango_err *err);
MGI_FN int mgi_plan_source(const mango_plan *p, int node); /* the node behind views */
MGI_FN int mgi_is_matmul(mgi_kind k);  /* conv, convt, linear */

/* plan_spikes.c: which steps write bits, once all steps are there. Changes no result. */
MGI_FN void mgi_plan_spikes(mango_plan *p);
/* Is the value of a node held as bits? */
MGI_FN int mgi_plan_is_bits(const mango_plan *p, int node);

/* plan_memory.c: sizes and places of buffers for chunks of b inputs and t
 * steps; the choice of a chunk under the cap. */
MGI_FN mango_idx mgi_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps);
MGI_FN int mgi_plan_place(mango_plan *p, mango_idx b, mango_idx t, mango_idx *bytes);
MGI_FN mango_status mgi_plan_chunks(mango_plan *p, mango_err *err);

/* plan_weights.c: fold and pack. */
MGI_FN mango_status mgi_plan_pack(mango_plan *p, mango_err *err);
/* The largest singular value of a spectrally normalized weight (O,K), after
 * one power iteration from u (O): v = W'u/|W'u|, u = Wv/|Wv|, sigma = u'Wv.
 * v (K) and u2 (O) are scratch; u2 leaves with the new u. */
MGI_FN double mgi_spectral_sigma(mango_idx O, mango_idx K, const float *W, const float *u,
                                 float *v, float *u2);

/* forward.c, readout.c: run the steps of the chunk under way. */
MGI_FN void mgi_step_run(mango_plan *p, const mgi_step *s);
MGI_FN void mgi_reading_take(mango_plan *p, const mgi_plan_reading *r);
MGI_FN void *mgi_plan_at(const mango_plan *p, int buf);
MGI_FN const float *mgi_plan_value(const mango_plan *p, int node);
MGI_FN const uint64_t *mgi_plan_words(const mango_plan *p, int node); /* of one held as bits */

/* One line a step: chain, shape, placement; `mango info --plan`. */
MGI_FN void mgi_plan_describe(const mango_plan *p, mgi_str *s);

#endif
/* ---- end net/plan.h ----------------------------------------------------------------- */

/* ---- begin net/backward.h ----------------------------------------------------------- */
/* backward.h - a tape: one network planned for training at batch B and T steps.
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
 */
#ifndef MGI_BACKWARD_H
#define MGI_BACKWARD_H


#define MGI_TAPE_KEEP 4

typedef struct mgi_tape_options {
    mango_idx B, T;      /* largest batch, steps                                  */
    int output;          /* node read; -1: the network's                          */
    int train;           /* 1: batch statistics, and backward; 2: batch statistics,
                            forward only; 0: running statistics, forward only     */
    int input_grad;      /* 1: mgi_tape_input_grad holds dL/dx after backward     */
    mango_idx memory;    /* cap for the arena in bytes; 0: none                   */
    int n_keep, keep[MGI_TAPE_KEEP]; /* nodes whose value stays readable          */
} mgi_tape_options;

typedef struct mgi_tape_buf {
    mango_idx count, at; /* floats, offset in the arena */
    int birth, death;    /* steps, both inclusive       */
} mgi_tape_buf;
typedef enum mgi_tape_what { MGI_FORWARD, MGI_LOSS, MGI_AGAIN, MGI_BACKWARD } mgi_tape_what;
typedef struct mgi_tape_op {
    mgi_tape_what what;
    int node;
    int y;               /* buffer of the value made, -1: none or in place */
    int work;            /* buffer of scratch, -1: none                    */
} mgi_tape_op;

/* A tape. Fields are read by the trainers; only tape.c and backward.c write them. */
typedef struct mgi_tape {
    mango_alloc al;
    const mango_net *net;
    mgi_tape_options o;
    int n_ops, cap_ops, n_bufs, cap_bufs, segments, output, loss_step;
    mgi_tape_op *op;
    mgi_tape_buf *buf;
    int *timed;          /* (nodes) depends on time                             */
    int *needed;         /* (nodes) is an ancestor of the output                */
    int *wants;          /* (nodes) a gradient is wanted at its output          */
    int *uses;           /* (nodes) readers among needed nodes                  */
    int *seg;            /* (nodes) segment                                     */
    int *inplace;        /* (nodes) value shares its input's buffer             */
    int *galias;         /* (nodes) gradient shares that of this reader; -1     */
    int *gbuf;           /* (nodes) buffer of the gradient, -1: none            */
    int *written;        /* (nodes) gradient has been started in this backward  */
    float **val, **grad; /* (nodes) where they lie at the present step          */
    float **stat;        /* (nodes) batch-norm: mean (C), rstd (C), scratch (2C) */
    float *stats;        /* one block that stat points into                     */
    mango_idx n_stats;
    const float **w;     /* (params) values used; the net's own at first        */
    float **dw;          /* (params) where gradients are added; NULL: not wanted */
    int32_t *codes;      /* VQ: (B,H*W) indices chosen by the last forward      */
    mango_idx n_codes;
    float *arena;
    unsigned char *raw;
    mango_idx arena_count; /* floats                                             */
    mango_idx b;         /* batch of the last forward                           */
    double momentum;     /* >= 0 overrides the batch-norm nodes' momentum       */
    double commit;       /* VQ: dx += commit * (x - y)                          */
    int frozen;          /* 1: running statistics are not updated               */
    int check;           /* 1: forward stops at the first non-finite value ...  */
    int bad;             /* ... and names the node here; -1: none               */
} mgi_tape;

/* mgi_tape_new - plan. MANGO_E_MEM names the bytes needed when even the finest
 * cutting does not fit. The net must outlive the tape; its parameters may
 * change between calls, its graph may not. */
MGI_FN void mgi_tape_defaults(mgi_tape_options *o);
MGI_FN mango_status mgi_tape_new(mgi_tape **out, const mango_net *net, const mgi_tape_options *o,
                                 const mango_alloc *al, mango_err *err);
MGI_FN void mgi_tape_free(mgi_tape *t);
MGI_FN mango_idx mgi_tape_bytes(const mgi_tape *t); /* the arena */

/* mgi_tape_forward - x (b,H,W,C) with b <= B, borrowed until backward ends.
 * MANGO_E_NONFINITE only with check set. */
MGI_FN mango_status mgi_tape_forward(mgi_tape *t, mango_idx b, const float *x);
/* Value of the output or of a kept node after forward; rows: b or T*b. */
MGI_FN const float *mgi_tape_value(const mgi_tape *t, int node, mango_idx *rows);
/* Where the caller writes dL/d(output), shaped like the output, before backward. */
MGI_FN float *mgi_tape_dout(mgi_tape *t);
/* mgi_tape_backward - adds into dw; once after each forward. */
MGI_FN void mgi_tape_backward(mgi_tape *t);
MGI_FN const float *mgi_tape_input_grad(const mgi_tape *t); /* (b,H,W,C) */

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

/* tape.c and backward.c share: one BACKWARD step; scratch floats it needs at
 * batch B; does it read the node's input, its output. */
MGI_FN void mgi_backward_node(mgi_tape *t, int node, float *work);
MGI_FN mango_idx mgi_backward_work(const mgi_tape *t, int node, mango_idx rows);
MGI_FN int mgi_backward_reads_x(const mgi_tape *t, int node);
MGI_FN int mgi_backward_reads_y(const mgi_tape *t, int node);
MGI_FN mango_idx mgi_tape_rows(const mgi_tape *t, int node); /* b or T*b */
/* w (O, C*H*W) of a linear layer with its columns in (H,W,C) order, and the
 * reverse added into dw. */
MGI_FN void mgi_linear_columns(const mgi_node *in, mango_idx O, const float *w, float *p);
MGI_FN void mgi_linear_columns_add(const mgi_node *in, mango_idx O, const float *p, float *dw);

#endif
/* ---- end net/backward.h ------------------------------------------------------------- */

/* ---- begin opt/tt.h ----------------------------------------------------------------- */
/* tt.h - a tensor train as a probability distribution over multi-indices.
 *
 *   w(i_1..i_d) = G_1[i_1] G_2[i_2] ... G_d[i_d],  G_j[i] an (r_j, r_{j+1}) matrix
 *
 * Read from the left, each index has its own distribution given those before:
 *
 *   z_{d+1} = 1,  z_j = sum_i G_j[i] z_{j+1}                interface vectors  (1)
 *   l_1 = 1,      l_{j+1} = l_j G_j[i_j]                    left vectors       (2)
 *   q_j[i] = l_j G_j[i] z_{j+1},  p(i | i_1..i_{j-1}) = |q_j[i]| / sum |q_j|  (3)
 *   log p(i_1..i_d) = sum_j log p(i_j | i_1..i_{j-1})                         (4)
 *
 * p does not change when z_j or l_j is scaled, so both are held in range by
 * powers of two, which are exact. Cores may become negative; (3) is the only
 * place where an absolute value is taken. All in double, sums in one written
 * order: the same bits on every machine.
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets 2023 (PROTES), the equations.
 */
#ifndef MGI_TT_H
#define MGI_TT_H


typedef struct mgi_tt {
    mgi_arena arena;
    mango_idx d, rmax, nmax, rows;
    mango_idx size, padded;  /* parameters of all cores; rounded up, zeros     */
    mango_idx *n, *r;        /* (d) levels, (d+1) ranks, r[0] = r[d] = 1       */
    mango_idx *off, *voff;   /* (d+1) where core j, where V_j begins           */
    double *G;               /* core j: (n_j, r_j, r_{j+1}) at G + off[j]      */
    float *g, *m, *v;        /* (padded) gradient and moments of Adam          */
    double b1t, b2t;         /* b1^t, b2^t after t steps                       */
    double *z, *zs;          /* (d+1, rmax) z_j; (d) the power of two in it    */
    double *V, *U;           /* (n_j, r_j): V_j[i] = G_j[i] z_{j+1}; U: d/dV   */
    double *L, *C, *ls;      /* (d+1, rows, rmax) l_j, d/dl_j; (d, rows) scale */
    double *q, *core, *gz;   /* (nmax) (nmax, rmax, rmax) (2, rmax) scratch    */
    int fresh;               /* z and V belong to the cores as they are        */
} mgi_tt;

/* mgi_tt_init - allocate. n (d) levels >= 1; r the inner rank >= 1; rows: how
 * many multi-indices a gradient, and a block of samples, may have.
 * Returns MANGO_OK or MANGO_E_MEM; mgi_tt_free is legal after both. */
MGI_FN mango_status mgi_tt_init(mgi_tt *t, mango_idx d, const mango_idx *n, mango_idx r,
                                mango_idx rows, const mango_alloc *al);
MGI_FN void mgi_tt_free(mgi_tt *t);

/* mgi_tt_uniform - every core uniform in [0,1), stream (seed, purpose, index0 + j),
 * and Adam forgets its past. */
MGI_FN void mgi_tt_uniform(mgi_tt *t, uint64_t seed, uint64_t index0);
/* mgi_tt_touch - to be called after the caller wrote G. */
MGI_FN void mgi_tt_touch(mgi_tt *t);

/* mgi_tt_sample - K multi-indices I (K,d) from p. Row k draws from its own
 * stream (seed, purpose, first + k), so K samples at once or one by one are
 * the same. Where (3) is 0/0 the index is uniform. Cost O(K sum n r + K d r^2). */
MGI_FN void mgi_tt_sample(mgi_tt *t, mango_idx K, uint64_t seed, uint64_t first,
                          mango_idx *I);

/* mgi_tt_loglik - (4) for K rows, any K; -inf where p = 0. */
MGI_FN void mgi_tt_loglik(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll);

/* mgi_tt_gradient - g (size) = d/dG of the mean over K <= rows rows of -log p.
 * An index of probability zero, or a 0/0, adds no term of its own. Entries are
 * held within +-1e15 so that their squares stay finite in Adam.
 * Cost O(sum n r^2 + K d r^2). */
MGI_FN void mgi_tt_gradient(mgi_tt *t, mango_idx K, const mango_idx *I, float *g);

/* mgi_tt_learn - steps of Adam (b1 .9, b2 .999, eps 1e-8) down that gradient:
 *     m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2
 *     G = G - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)            (5)
 * g, m, v are floats: their memory is what a step costs. Source: Kingma, Ba 2015. */
MGI_FN void mgi_tt_learn(mgi_tt *t, mango_idx steps, double lr, mango_idx K,
                         const mango_idx *I);

#endif
/* ---- end opt/tt.h ------------------------------------------------------------------- */

/* ---- begin opt/method.h ------------------------------------------------------------- */
/* method.h - what one optimizer provides, and what it finds in mango_opt.
 *
 * A new optimizer is one file with one mgi_method, one line here and one or
 * more presets in opt.c. A method sees values that are to be maximized; codes
 * are checked, and the best is kept, by opt.c.
 */
#ifndef MGI_METHOD_H
#define MGI_METHOD_H


typedef struct mgi_method {
    /* Set o->state, allocated through o->al. On failure o->state may be left:
     * destroy is called either way. */
    mango_status (*create)(mango_opt *o, mango_err *err);
    /* K proposals into I (K,d), K >= 1. */
    mango_status (*ask)(mango_opt *o, mango_idx K, mango_idx *I);
    /* K values, NaN where missing; codes are in range. NULL: does not learn. */
    void (*tell)(mango_opt *o, mango_idx K, const mango_idx *I, const double *y);
    /* Forget what was learnt and start from fresh random numbers of number
     * `epoch` >= 1. NULL: nothing to forget. */
    void (*restart)(mango_opt *o, uint64_t epoch);
    void (*destroy)(mango_opt *o); /* o->state may be NULL */
} mgi_method;

struct mango_opt {
    mango_alloc al;
    const mgi_method *method;
    mango_opt_options opt;
    mango_idx d, *n;         /* modes (d) */
    uint64_t seed;
    uint64_t asked;          /* proposals so far: the next one's stream */
    uint64_t epoch;          /* restarts so far */
    int has_best;
    double best_y;           /* in the caller's sign */
    mango_idx *best_I;       /* (d) */
    void *state;
    mango_err err;
};

MGI_FN const mgi_method *mgi_method_random(void);
MGI_FN const mgi_method *mgi_method_protes(void);

/* Quantized modes: level i of a mode of 2^q levels, q >= 1, becomes q modes of
 * two, least significant bit first: i = sum_s b_s 2^s. Other sizes stay. */
MGI_FN mango_idx mgi_qtt_modes(mango_idx d, const mango_idx *n,
                               mango_idx *nq); /* NULL: count */
MGI_FN void mgi_qtt_split(mango_idx d, const mango_idx *n, const mango_idx *I,
                          mango_idx *Iq);
MGI_FN void mgi_qtt_join(mango_idx d, const mango_idx *n, const mango_idx *Iq,
                         mango_idx *I);

#endif
/* ---- end opt/method.h --------------------------------------------------------------- */

/* ---- begin data/bytes.h ------------------------------------------------------------- */
/* bytes.h - what the readers of src/data share: little- and big-endian loads,
 * gzip, IDX, zip, pickle.
 */
#ifndef MGI_BYTES_H
#define MGI_BYTES_H


#define MGI_FILE_MAX ((mango_idx)1 << 30) /* largest file that is read at all */
#define MGI_DIM_MAX ((mango_idx)1 << 24)  /* largest dimension                */
#define MGI_RANK_MAX 8

MGI_FN uint32_t mgi_le16(const unsigned char *p);
MGI_FN uint32_t mgi_le32(const unsigned char *p);
MGI_FN uint64_t mgi_le64(const unsigned char *p);
MGI_FN uint32_t mgi_be32(const unsigned char *p);
MGI_FN int mgi_little_endian(void); /* this machine */

/* mgi_gunzip - one gzip member that fills in[0..n). Its stated size must lie
 * in [0, limit] and be possible for n bytes (deflate: at most 1032 to 1); size
 * and CRC-32 of the result are checked. *out: *n_out + 1 bytes, as those of
 * mgi_file_read. */
MGI_FN mango_status mgi_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                               const char *what, const mango_codecs *codecs,
                               const mango_alloc *al, unsigned char **out, mango_idx *n_out,
                               mango_err *err);

/* mgi_idx_array - an IDX file of unsigned bytes, big-endian sizes, data that
 * fill the file exactly. data points into the bytes given. */
typedef struct mgi_idx_array {
    int rank;
    mango_idx shape[4], count;
    const unsigned char *data;
} mgi_idx_array;
MGI_FN mango_status mgi_idx_parse(mgi_idx_array *a, const unsigned char *bytes, mango_idx n,
                                  const char *what, mango_err *err);

/* mgi_name_ok - are these 1 to max bytes of UTF-8 without control bytes? */
MGI_FN int mgi_name_ok(const unsigned char *s, mango_idx n, mango_idx max);

/* mgi_path_exists - 0: nothing there, 1: a file, 2: a folder. */
MGI_FN int mgi_path_exists(const char *path);

#endif
/* ---- end data/bytes.h --------------------------------------------------------------- */

/* ---- begin data/dataset.h ----------------------------------------------------------- */
/* dataset.h - a data set from inside: what its loaders fill.
 */
#ifndef MGI_DATASET_H
#define MGI_DATASET_H


#define MGI_CLASS_NAME 128 /* bytes of a class name, NUL included */
#define MGI_CLASSES_MAX 65536
#define MGI_PICTURES_MAX ((mango_idx)1 << 22)

struct mango_data {
    mango_alloc al;
    char name[32], split[32], root[1024]; /* root: folder that paths start from */
    mango_data_options o;
    mango_idx count, classes, C, H, W;
    unsigned char *pixels;              /* (count,C,H,W), or NULL: folder */
    int *labels;                        /* (count), or NULL */
    char (*class_name)[MGI_CLASS_NAME]; /* (classes), or NULL */
    mgi_str names;                      /* folder: the paths below root, NUL-terminated */
    mango_idx *path;                    /* folder: (count) offsets into names */
};

/* Allocate pixels and labels for count pictures of (C,H,W), checked. */
MGI_FN mango_status mgi_data_reserve(mango_data *d, mango_idx count, mango_idx C,
                                     mango_idx H, mango_idx W, mango_err *err);
/* Take over n class names: `names` NULL-terminated, or text of one a line. */
MGI_FN mango_status mgi_data_classes(mango_data *d, mango_idx n, const char *const *names,
                                     mango_err *err);
/* Loaders: fill d for d->split under root. */
MGI_FN mango_status mgi_data_cifar10(mango_data *d, const char *root, mango_err *err);
MGI_FN mango_status mgi_data_mnist(mango_data *d, const char *root, mango_err *err);
MGI_FN mango_status mgi_data_folder(mango_data *d, const char *root, mango_err *err);
/* Decode and fit picture i of a folder into (3,crop,crop). */
MGI_FN mango_status mgi_folder_get(const mango_data *d, mango_idx i, unsigned char *pixels,
                                   mango_err *err);

#endif
/* ---- end data/dataset.h ------------------------------------------------------------- */

/* ---- begin data/zip.h --------------------------------------------------------------- */
/* zip.h - a zip archive in memory, as torch.save writes them, checked whole.
 */
#ifndef MGI_ZIP_H
#define MGI_ZIP_H


#define MGI_ZIP_ENTRIES 16384
#define MGI_ZIP_NAME 512

typedef struct mgi_zip_entry {
    const char *name; /* n bytes, not terminated */
    mango_idx n;
    int flags, method; /* method 0 stored, 8 deflated */
    uint32_t crc;
    mango_idx packed, size;     /* bytes in the file, bytes unpacked */
    mango_idx start, data, end; /* local header, its data, first byte behind */
} mgi_zip_entry;
typedef struct mgi_zip {
    mango_alloc al;
    const unsigned char *bytes; /* borrowed */
    mango_idx size, n;
    mgi_zip_entry *e; /* (n), sorted by name */
} mgi_zip;

/* mgi_zip_open - read the directory and check it against the local headers:
 * names, methods, sizes and CRCs agree; entries neither overlap nor repeat a
 * name; everything lies before the directory; zip64 fields where sizes need
 * them. Refused: encryption, comments and bytes before or behind the archive. */
MGI_FN mango_status mgi_zip_open(mgi_zip *z, const unsigned char *bytes, mango_idx size,
                                 const char *what, const mango_alloc *al, mango_err *err);
MGI_FN void mgi_zip_free(mgi_zip *z);
/* The entry `name`, or NULL. */
MGI_FN const mgi_zip_entry *mgi_zip_find(const mgi_zip *z, const char *name);
/* mgi_zip_data - an entry's bytes, CRC checked: *p points into the archive, or
 * to *owned (e->size + 1 bytes, the caller's) when it had to be inflated. */
MGI_FN mango_status mgi_zip_data(const mgi_zip *z, const mgi_zip_entry *e, const char *what,
                                 const mango_codecs *codecs, const unsigned char **p,
                                 unsigned char **owned, mango_err *err);

#endif
/* ---- end data/zip.h ----------------------------------------------------------------- */

/* ---- begin data/pickle.h ------------------------------------------------------------ */
/* pickle.h - a walker over pickles that never runs anything: opcodes of a
 * fixed list build plain values; the few names that a PyTorch checkpoint needs
 * are symbols; every other name, and every other opcode, is refused.
 */
#ifndef MGI_PICKLE_H
#define MGI_PICKLE_H


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
    MGI_PK_STORAGE, /* i numel, what dtype, s and n key, view offset in head's place: see below */
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
/* ---- end data/pickle.h -------------------------------------------------------------- */

/* ---- begin mei/cache.h -------------------------------------------------------------- */
/* cache.h - every query of a search, in order, found by its code.
 */
#ifndef MGI_CACHE_H
#define MGI_CACHE_H


/* Rows 0 .. done-1 are evaluated, rows done .. n-1 wait for their value. */
typedef struct mgi_cache {
    mango_alloc al;
    int indexed;             /* 0: nothing is ever found (repeats are wanted) */
    mango_idx d, n, done, cap;
    int32_t *code;           /* (cap,d) */
    double *y;               /* (cap) NaN: missing */
    mango_idx slots, *slot;  /* open addressing, a power of two; row + 1, 0: free */
} mgi_cache;

MGI_FN void mgi_cache_init(mgi_cache *c, mango_idx d, int indexed, const mango_alloc *al);
MGI_FN void mgi_cache_free(mgi_cache *c);
/* Room for `more` rows, so that push cannot fail; MANGO_E_MEM leaves c as it was. */
MGI_FN mango_status mgi_cache_reserve(mgi_cache *c, mango_idx more);
/* The row of a code that has a finite value or waits for one; -1: none. */
MGI_FN mango_idx mgi_cache_find(const mgi_cache *c, const mango_idx *I);
MGI_FN mango_idx mgi_cache_push(mgi_cache *c, const mango_idx *I); /* the new row */
MGI_FN void mgi_cache_code(const mgi_cache *c, mango_idx row, mango_idx *I);

#endif
/* ---- end mei/cache.h ---------------------------------------------------------------- */

/* ---- begin mei/journal.h ------------------------------------------------------------ */
/* journal.h - an append-only file of JSON lines, each with a checksum.
 *
 * A line is one JSON object whose last member is "crc":"XXXXXXXX", the CRC-32
 * of everything before that member's comma, going on from the line before: a
 * line that is changed, missing or out of place breaks the chain.
 */
#ifndef MGI_JOURNAL_H
#define MGI_JOURNAL_H

#include <stdio.h>

typedef struct mgi_journal {
    mango_alloc al;
    mgi_str path;
    FILE *f;               /* open for appending, or NULL */
    int sync;              /* flush to the disk */
    uint32_t crc;          /* of the chain so far */
    unsigned char *text;   /* the file as found; good bytes, all bytes */
    mango_idx good, size;
    mango_idx at, line;    /* reading position, lines read */
} mgi_journal;

/* mgi_journal_open - read and check the file. `resume` 0: it must be absent or
 * empty. Damage in the last line is cut off (later, by mgi_journal_append);
 * before it MANGO_E_FORMAT with the line's number. */
MGI_FN mango_status mgi_journal_open(mgi_journal *j, const char *path, int resume, int sync,
                                     const mango_alloc *al, mango_err *err);
MGI_FN int mgi_journal_more(const mgi_journal *j);
/* The next line, parsed; it must have the member `kind`. Free with mgi_json_free. */
MGI_FN mango_status mgi_journal_next(mgi_journal *j, const char *kind, mgi_json *line,
                                     mango_err *err);
/* Does the next line have the member `kind`? */
MGI_FN int mgi_journal_is(const mgi_journal *j, const char *kind);
/* mgi_journal_append - done reading: cut the tail, open for writing. */
MGI_FN mango_status mgi_journal_append(mgi_journal *j, mango_err *err);
/* mgi_journal_write - body is an object without its closing brace. now: to the
 * disk when sync is on; else it follows with the next such line. */
MGI_FN mango_status mgi_journal_write(mgi_journal *j, mgi_str *body, int now,
                                      mango_err *err);
MGI_FN void mgi_journal_close(mgi_journal *j);

#endif
/* ---- end mei/journal.h -------------------------------------------------------------- */

/* ---- begin mei/session.h ------------------------------------------------------------ */
/* session.h - the inside of a session, shared by session.c and session_open.c.
 */
#ifndef MGI_SESSION_H
#define MGI_SESSION_H


struct mango_session {
    mango_alloc al;
    mango_idx d, total;       /* modes; codes of the space, PTRDIFF_MAX: many */
    mango_opt *opt;
    mango_evaluator f;
    void *ud;
    int (*observe)(void *ud, const mango_session *s);
    void *observe_ud;
    int minimize;
    mango_idx budget, stall;
    double stop_at;           /* NaN: never */
    mgi_cache cache;          /* every query in order; pending ones at its end */
    mgi_journal journal;
    mgi_str line;
    /* the batch under way */
    int open;                 /* asked and not yet told */
    mango_idx cap, K;
    mango_idx *I, *J;         /* (cap,d) proposals; codes to evaluate */
    mango_idx *row;           /* (cap) their rows in the cache */
    double *y;                /* (cap) */
    /* counters */
    mango_idx asks, restarts, cached, missing, replayed;
    mango_idx stalled, dry;   /* batches, restarts without a new code */
    mango_idx *better, n_better, cap_better; /* queries that improved the best */
    double best;
    mango_status dead;        /* the journal failed: no further step */
    mango_err err;
};

/* Take all steps that the journal holds. */
MGI_FN mango_status mgi_session_replay(mango_session *s);

#endif
/* ---- end mei/session.h -------------------------------------------------------------- */

/* ---- begin study/eigen.h ------------------------------------------------------------ */
/* eigen.h - eigenvalues and eigenvectors of a real symmetric matrix, in double.
 */
#ifndef MGI_EIGEN_H
#define MGI_EIGEN_H


/* mgi_eigen - A = sum_i w_i v_i v_i^T, with orthonormal v_i.
 *   n     in      >= 1
 *   A     in-out  (n,n) symmetric, both halves filled; destroyed
 *   w     out     (n) ascending
 *   V     out     (n,n) v_i in row i; NULL: values only
 *   work  out     (4,n) scratch
 * Errors of w are about 1e-16 max |w|; small eigenvalues of a graded matrix (its
 * diagonal ascending) come out better.
 * Returns  MANGO_E_NONFINITE when A has NaN or infinity in it.
 * Threads  any number, same bits. Cost: n^3 (2 flops values only, 9 in all). */
MGI_FN mango_status mgi_eigen(mango_idx n, double *A, double *w, double *V, double *work);
/* x.y of n values, in a fixed order of summation. */
MGI_FN double mgi_dot64(mango_idx n, const double *x, const double *y);

#endif
/* ---- end study/eigen.h -------------------------------------------------------------- */

/* ---- begin train/trainer.h ---------------------------------------------------------- */
/* trainer.h - the parts of the trainers, shared inside src/train.
 */
#ifndef MGI_TRAINER_H
#define MGI_TRAINER_H


/* Purposes of random streams. */
enum {
    MGI_RNG_INIT = 0x7201,   /* index: parameter          */
    MGI_RNG_ORDER,           /* index: epoch              */
    MGI_RNG_AUGMENT,         /* index: epoch, picture     */
    MGI_RNG_MIXUP,           /* index: update             */
    MGI_RNG_CODES,           /* index: update             */
    MGI_RNG_LATENT,          /* index: update             */
    MGI_RNG_SAMPLE
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
MGI_FN double mgi_optim_lr(const mango_train_options *o, mango_idx k, mango_idx per, mango_idx n);
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
/* Mean of (y-x)^2; dy = c * (y-x) unless NULL. per (C): mean over each of the
 * C channels, channels last. */
MGI_FN double mgi_loss_mse(mango_idx R, mango_idx C, const float *y, const float *x, double c,
                           float *dy, double *per);
/* Hinge losses of Miyato et al.: real max(0,1-d), fake max(0,1+d), both means. */
MGI_FN double mgi_loss_hinge(mango_idx n, const float *d, int real, float *dd);

/* ---- augment.c ----------------------------------------------------------- */
typedef struct mgi_batch {
    mango_idx b, C, H, W;
    float *x;         /* (b,H,W,C), normalized */
    int *label, *label2;
    double lam;       /* of mixup; 1: none */
} mgi_batch;
/* Pictures index[0..b-1] of data into the batch, changed at random as o asks
 * when `random`; stream by (epoch, picture). shift, scale: x = rgb*scale[c] + shift[c]. */
MGI_FN mango_status mgi_batch_fill(mgi_batch *B, const mango_data *data, const mango_idx *index,
                                   const mango_train_options *o, int random, mango_idx epoch,
                                   const float *scale, const float *shift);
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

/* ---- the trainer --------------------------------------------------------- */
#define MGI_SUMS 6

struct mango_trainer {
    mango_alloc al;
    mango_train_kind kind;
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
    double *work;                   /* (2 classes) */
    mango_idx n_work, n_dout;
    float scale[3], shift[3];       /* x = rgb*scale + shift */
    mango_idx epoch, step, steps, update;
    double sum[MGI_SUMS], last, best;
    mango_idx best_epoch;
    int ordered;                    /* order[] is this epoch's */
    mango_train_row *row;           /* (epochs) */
    /* VQ-VAE */
    int vq, vq_in;                  /* nodes */
    double variance;                /* of the data as the network sees it */
    double *used;                   /* (codes) this epoch's counts */
    float *ema_n, *ema_w;           /* (codes), (codes,C) */
};

/* Per kind. prepare: tapes and buffers; update: one step, adds to sum;
 * look: fills val_loss and val_score; close: loss, score, extra of the row. */
MGI_FN mango_status mgi_classifier_prepare(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_classifier_update(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_classifier_look(mango_trainer *t, mango_train_row *r, mango_err *err);
MGI_FN mango_status mgi_vqvae_prepare(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_vqvae_update(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_vqvae_look(mango_trainer *t, mango_train_row *r, mango_err *err);
MGI_FN mango_status mgi_vqvae_reference(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_sngan_prepare(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_sngan_update(mango_trainer *t, mango_err *err);
MGI_FN mango_status mgi_sngan_sample(mango_trainer *t, mango_idx n, float *rgb);
MGI_FN mango_status mgi_vqvae_sample(mango_trainer *t, mango_idx n, float *rgb, float *source);

/* Shared: the next b pictures of this epoch's order into t->batch. */
MGI_FN mango_status mgi_trainer_batch(mango_trainer *t, mango_idx b, mango_err *err);
/* Pictures at..at+b-1 of val, unchanged, into t->batch. */
MGI_FN mango_status mgi_trainer_val(mango_trainer *t, mango_idx at, mango_idx b, mango_err *err);
/* The message and status of a loss that is not finite. */
MGI_FN mango_status mgi_trainer_nonfinite(mango_trainer *t, mgi_tape *tape, const float *x,
                                          mango_err *err);
MGI_FN double mgi_trainer_lr(const mango_trainer *t);
/* The evaluation tape reads averaged weights when there are any. */
MGI_FN void mgi_trainer_bind(const mango_trainer *t, mgi_tape *tape);
MGI_FN mango_idx mgi_trainer_memory(const mango_trainer *t);
/* Options as text, "key=value" a line, for the checkpoint. */
MGI_FN void mgi_train_text(const mango_train_options *o, mgi_str *s);

#endif
/* ---- end train/trainer.h ------------------------------------------------------------ */


/* ---- begin base/status.c ------------------------------------------------------------ */
/* status.c - the text of status codes, and the message of a failing call.
 */
#include <stdio.h>

#define STATUS_LINE 5000 /* longest message before it is cut: a path and more */

const char *mango_status_text(mango_status st)
{
    switch (st) {
    case MANGO_OK: return "done";
    case MANGO_E_ARG: return "an argument is out of its documented range";
    case MANGO_E_MEM: return "out of memory";
    case MANGO_E_IO: return "a file could not be opened, read or written";
    case MANGO_E_FORMAT: return "the input is malformed";
    case MANGO_E_LIMIT: return "the input exceeds a limit";
    case MANGO_E_SHAPE: return "sizes do not fit together";
    case MANGO_E_NAME: return "no such name";
    case MANGO_E_STATE: return "called in the wrong order";
    case MANGO_E_NONFINITE: return "a number is NaN or infinite";
    case MANGO_E_CALLBACK: return "a callback reported failure";
    case MANGO_E_UNSUPPORTED: return "not provided by this build";
    case MANGO_STOP_BUDGET: return "stopped: the budget is spent";
    case MANGO_STOP_TARGET: return "stopped: the wanted value was reached";
    case MANGO_STOP_SPACE: return "stopped: every code was tried";
    case MANGO_STOP_USER: return "stopped: the caller asked to";
    }
    return "unknown status";
}

mango_status mgi_fail(mango_err *err, mango_status st, const char *fmt, ...)
{
    if (!err)
        return st;
    /* Formatted aside: an argument may be err->text itself. */
    char line[STATUS_LINE] = "";
    const size_t room = sizeof err->text, tail = room - room / 4 - 4;
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0)
        line[0] = '\0';
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    const size_t len = strlen(line);
    if (len >= room) { /* a long path: its middle goes, the reason stays */
        memcpy(line + room / 4, "...", 3);
        memmove(line + room / 4 + 3, line + len - tail, tail + 1);
    }
    memcpy(err->text, line, room);
    return st;
}

#undef STATUS_LINE
/* ---- end base/status.c -------------------------------------------------------------- */

/* ---- begin base/alloc.c ------------------------------------------------------------- */
/* alloc.c - checked sizes, the allocator value, and the planned arena.
 */
#include <stdlib.h>

#define ALLOC_ALIGN 64

int mgi_mul(mango_idx a, mango_idx b, mango_idx *r)
{
    if (a < 0 || b < 0 || (b > 0 && a > PTRDIFF_MAX / b))
        return 0;
    *r = a * b;
    return 1;
}

int mgi_add(mango_idx a, mango_idx b, mango_idx *r)
{
    if (a < 0 || b < 0 || a > PTRDIFF_MAX - b)
        return 0;
    *r = a + b;
    return 1;
}

int mgi_prod(int n, const mango_idx *a, mango_idx *r)
{
    mango_idx p = 1;
    int zero = 0;
    for (int i = 0; i < n; i++) { /* a zero may follow sizes that overflow */
        if (a[i] < 0)
            return 0;
        zero |= a[i] == 0;
    }
    for (int i = 0; i < n && !zero; i++)
        if (!mgi_mul(p, a[i], &p))
            return 0;
    *r = zero ? 0 : p;
    return 1;
}

/* The C library as an allocator value. */
static void *alloc_libc(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    (void)ud;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return ptr ? realloc(ptr, new_size) : malloc(new_size);
}

mango_alloc mgi_alloc_get(const mango_alloc *al)
{
    if (al && al->fn)
        return *al;
    const mango_alloc libc = {alloc_libc, NULL};
    return libc;
}

/* Bytes of count elements, at least 1; false when they do not fit. */
static int alloc_bytes(mango_idx count, size_t size, size_t *bytes)
{
    mango_idx n;
    if (size > (size_t)PTRDIFF_MAX || !mgi_mul(count, (mango_idx)size, &n))
        return 0;
    *bytes = n > 0 ? (size_t)n : 1;
    return 1;
}

void *mgi_new(const mango_alloc *al, mango_idx count, size_t size)
{
    size_t bytes;
    if (!alloc_bytes(count, size, &bytes))
        return NULL;
    void *p = al->fn(al->ud, NULL, 0, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void *mgi_resize(const mango_alloc *al, void *p, mango_idx old_count, mango_idx count,
                 size_t size)
{
    size_t was, bytes;
    if (!p)
        return mgi_new(al, count, size);
    if (!alloc_bytes(old_count, size, &was) || !alloc_bytes(count, size, &bytes))
        return NULL;
    unsigned char *q = al->fn(al->ud, p, was, bytes);
    if (q && bytes > was)
        memset(q + was, 0, bytes - was);
    return q;
}

void mgi_del(const mango_alloc *al, void *p, mango_idx count, size_t size)
{
    size_t bytes;
    if (!p)
        return;
    if (!alloc_bytes(count, size, &bytes))
        bytes = 0;
    al->fn(al->ud, p, bytes, 0);
}

void mgi_arena_init(mgi_arena *a, const mango_alloc *al)
{
    memset(a, 0, sizeof *a);
    a->al = mgi_alloc_get(al);
}

/* Bytes of one piece, rounded up to the alignment. */
static int alloc_piece(mango_idx count, size_t size, mango_idx *bytes)
{
    mango_idx n;
    if (size > (size_t)PTRDIFF_MAX || !mgi_mul(count, (mango_idx)size, &n) ||
        !mgi_add(n, ALLOC_ALIGN - 1, &n))
        return 0;
    *bytes = n - n % ALLOC_ALIGN;
    return 1;
}

void mgi_arena_plan(mgi_arena *a, mango_idx count, size_t size)
{
    mango_idx n;
    if (!alloc_piece(count, size, &n) || !mgi_add(a->planned, n, &a->planned))
        a->planned = -1; /* sticks: mgi_add refuses negative operands */
}

mango_idx mgi_arena_bytes(const mgi_arena *a)
{
    return a->planned;
}

mango_status mgi_arena_commit(mgi_arena *a)
{
    mango_idx n;
    if (a->raw)
        return MANGO_E_STATE;
    if (!mgi_add(a->planned, ALLOC_ALIGN, &n))
        return MANGO_E_MEM;
    a->raw = mgi_new(&a->al, n, 1);
    if (!a->raw)
        return MANGO_E_MEM;
    a->raw_size = n;
    a->base = a->raw + (ALLOC_ALIGN - (uintptr_t)a->raw % ALLOC_ALIGN) % ALLOC_ALIGN;
    a->used = 0;
    return MANGO_OK;
}

void *mgi_arena_take(mgi_arena *a, mango_idx count, size_t size)
{
    mango_idx n;
    if (!a->raw || !alloc_piece(count, size, &n) || n > a->planned - a->used)
        return NULL;
    void *p = a->base + a->used;
    a->used += n;
    return p;
}

void mgi_arena_free(mgi_arena *a)
{
    mgi_del(&a->al, a->raw, a->raw_size, 1);
    a->raw = a->base = NULL;
    a->planned = a->used = a->raw_size = 0;
}

int mgi_copy(char *dst, mango_idx cap, const char *src)
{
    const size_t n = strlen(src);
    const size_t room = cap > 0 ? (size_t)cap - 1 : 0;
    const size_t take = n < room ? n : room;
    if (cap <= 0)
        return 0;
    memcpy(dst, src, take);
    dst[take] = '\0';
    return take == n;
}

#undef ALLOC_ALIGN
/* ---- end base/alloc.c --------------------------------------------------------------- */

/* ---- begin base/threads.c ----------------------------------------------------------- */
/* threads.c - how many threads the library uses; serial without OpenMP.
 */
#if defined(_OPENMP)
#include <omp.h>
#endif

void mango_set_threads(int n)
{
#if defined(_OPENMP)
    omp_set_num_threads(n >= 1 ? n : omp_get_num_procs());
#else
    (void)n;
#endif
}

int mango_threads(void)
{
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}
/* ---- end base/threads.c ------------------------------------------------------------- */

/* ---- begin base/rng.c --------------------------------------------------------------- */
/* rng.c - counter-based random numbers: Philox-4x32 with 10 rounds.
 *   Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3
 *   (SC 2011). Block b of the stream (seed, purpose, index) is
 *   philox(key = seed, counter = {b, purpose, index low, index high}).
 */
#include <math.h>

/* One round multiplies two words and mixes the halves with the key. */
static void rng_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    const uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    const uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    c[1] = (uint32_t)p1;
    c[2] = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c[3] = (uint32_t)p0;
}

/* Fill buf with block n/4. A stream of more than 2^34 words goes on with the
 * key seed + 2^32. */
static void rng_block(mango_rng *r)
{
    const uint64_t b = r->n / 4;
    uint32_t k0 = (uint32_t)r->seed;
    uint32_t k1 = (uint32_t)(r->seed >> 32) + (uint32_t)(b >> 32);
    r->buf[0] = (uint32_t)b;
    r->buf[1] = r->purpose;
    r->buf[2] = (uint32_t)r->index;
    r->buf[3] = (uint32_t)(r->index >> 32);
    for (int i = 0; i < 10; i++) {
        rng_round(r->buf, k0, k1);
        k0 += 0x9E3779B9u; /* golden ratio  */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1   */
    }
    r->have = 4 - (uint32_t)(r->n % 4);
}

void mango_rng_init(mango_rng *r, uint64_t seed, uint32_t purpose, uint64_t index)
{
    memset(r, 0, sizeof *r);
    r->seed = seed;
    r->purpose = purpose;
    r->index = index;
}

uint32_t mango_rng_u32(mango_rng *r)
{
    if (r->have == 0)
        rng_block(r);
    const uint32_t w = r->buf[r->n % 4];
    r->have--;
    r->n++;
    return w;
}

uint64_t mango_rng_u64(mango_rng *r)
{
    const uint64_t low = mango_rng_u32(r);
    return low | (uint64_t)mango_rng_u32(r) << 32;
}

double mango_rng_uniform(mango_rng *r)
{
    return (double)(mango_rng_u64(r) >> 11) * 0x1p-53;
}

float mango_rng_uniformf(mango_rng *r)
{
    return (float)(mango_rng_u32(r) >> 8) * 0x1p-24f;
}

double mango_rng_normal(mango_rng *r)
{
    const double u = 1.0 - mango_rng_uniform(r); /* (0,1]: the log is finite */
    const double v = mango_rng_uniform(r);
    return sqrt(-2.0 * mgi_log(u)) * mgi_cos2pi(v);
}

/* Lemire 2019: the high word of x n is uniform once low words below
 * 2^32 mod n are refused. */
static uint32_t rng_below(mango_rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)mango_rng_u32(r) * n;
    if ((uint32_t)m < n) {
        const uint32_t refuse = (0u - n) % n;
        while ((uint32_t)m < refuse)
            m = (uint64_t)mango_rng_u32(r) * n;
    }
    return (uint32_t)(m >> 32);
}

mango_idx mango_rng_int(mango_rng *r, mango_idx n)
{
    if (n <= 1)
        return 0;
    const uint64_t top = (uint64_t)n - 1;
    if (top < UINT32_MAX)
        return (mango_idx)rng_below(r, (uint32_t)n);
    uint64_t mask = top, x;
    for (int s = 1; s < 64; s *= 2)
        mask |= mask >> s;
    do {
        x = mango_rng_u64(r) & mask;
    } while (x > top);
    return (mango_idx)x;
}

void mango_rng_perm(mango_rng *r, mango_idx n, mango_idx *p)
{
    for (mango_idx i = 0; i < n; i++)
        p[i] = i;
    for (mango_idx i = n - 1; i > 0; i--) { /* Fisher-Yates */
        const mango_idx j = mango_rng_int(r, i + 1);
        const mango_idx t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}
/* ---- end base/rng.c ----------------------------------------------------------------- */

/* ---- begin base/real.c -------------------------------------------------------------- */
/* real.c - elementary functions in plain double arithmetic.
 *   exp: x = k ln2 + r, Taylor series of degree 13 on |r| <= ln2/2
 *   log: x = 2^k m, log m = 2 atanh(f/(2+f)), f = m - 1
 *   sin, cos: exact reduction to |r| <= 1/8 turn, Taylor series
 *   pow: exp(y log x) with the logarithm and the product in double-double
 * Every truncation is below 2^-56 of the result; the bounds are in real.h.
 */
#include <math.h>

#define REAL_LN2_HI 0x1.62e42feep-1 /* 32 bits, so that k times it is exact */
#define REAL_LN2_LO 0x1.a39ef35793c76p-33
#define REAL_LOG2E 0x1.71547652b82fep+0
#define REAL_2PI 0x1.921fb54442d18p+2
#define REAL_2PI_LO 0x1.1a62633145c07p-52

/* A number as hi + lo, |lo| <= ulp(hi)/2. */
typedef struct real_dd {
    double hi, lo;
} real_dd;

static uint64_t real_bits(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static double real_from_bits(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* 2^k for -1022 <= k <= 1023. */
static double real_pow2(int k)
{
    return real_from_bits((uint64_t)(k + 1023) << 52);
}

/* exp(x + lo) for |lo| far below |x|; x is finite or infinite, not NaN. */
static double real_exp(double x, double lo)
{
    static const double c[12] = {/* 1/2! .. 1/13! */
        1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
        1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0};
    if (x > 709.79)
        return (double)INFINITY;
    if (x < -745.14)
        return 0.0;
    const double k = floor(x * REAL_LOG2E + 0.5);
    const double a = x - k * REAL_LN2_HI; /* exact */
    const double b = lo - k * REAL_LN2_LO;
    const double r = a + b;
    double q = c[11];
    for (int i = 10; i >= 0; i--)
        q = q * r + c[i];
    const double p = 1.0 + (a + (b + r * r * q));
    const int n = (int)k, half = n / 2; /* two steps: subnormals, and 2^1024 */
    return p * real_pow2(half) * real_pow2(n - half);
}

double mgi_exp(double x)
{
    return x != x ? x : real_exp(x, 0.0);
}

/* x = 2^k m with sqrt(1/2) <= m < sqrt(2); x positive and finite. */
static double real_split(double x, int *k)
{
    int e = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        e = -54;
    }
    const uint64_t u = real_bits(x);
    double m = real_from_bits((u & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    e += (int)(u >> 52) - 1023;
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        e++;
    }
    *k = e;
    return m;
}

/* sum over i = first.. of 2 z^(i-first)/(2i+1), z <= 0.0295 */
static double real_atanh_tail(double z, int first)
{
    double q = 0.0;
    for (int i = 11; i >= first; i--)
        q = q * z + 2.0 / (2 * i + 1);
    return q;
}

double mgi_log(double x)
{
    if (x != x || x == (double)INFINITY)
        return x;
    if (x <= 0.0)
        return x == 0.0 ? -(double)INFINITY : (double)NAN;
    int k;
    const double f = real_split(x, &k) - 1.0; /* exact */
    const double s = f / (2.0 + f), z = s * s;
    const double h = 0.5 * f * f;
    /* 2 atanh(s) = f - h + s (h + R), R = 2 z/3 + 2 z^2/5 + ... */
    const double low = s * (h + z * real_atanh_tail(z, 1)) + k * REAL_LN2_LO;
    return k * REAL_LN2_HI - ((h - low) - f);
}

/* ---- double-double, for pow ---- */
static real_dd real_sum(double a, double b) /* a + b exactly */
{
    const double s = a + b, t = s - a;
    const real_dd r = {s, (a - (s - t)) + (b - t)};
    return r;
}

static real_dd real_mul(double a, double b) /* a b exactly (Dekker) */
{
    const double ca = 134217729.0 * a, cb = 134217729.0 * b; /* 2^27 + 1 */
    const double ah = ca - (ca - a), al = a - ah;
    const double bh = cb - (cb - b), bl = b - bh;
    const double p = a * b;
    const real_dd r = {p, ((ah * bh - p) + ah * bl + al * bh) + al * bl};
    return r;
}

static real_dd real_dd_mul(real_dd a, real_dd b)
{
    const real_dd p = real_mul(a.hi, b.hi);
    return real_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

static real_dd real_dd_add(real_dd a, real_dd b)
{
    const real_dd s = real_sum(a.hi, b.hi);
    return real_sum(s.hi, s.lo + (a.lo + b.lo));
}

/* log x to about 2^-65 of its value. */
static real_dd real_log_dd(double x)
{
    static const real_dd third = {0x1.5555555555555p-1, 0x1.5555555555555p-55}; /* 2/3 */
    int k;
    const double f = real_split(x, &k) - 1.0;
    const real_dd den = real_sum(2.0, f);
    real_dd s = {f / den.hi, 0.0};
    const real_dd back = real_mul(s.hi, den.hi);
    s.lo = (((f - back.hi) - back.lo) - s.hi * den.lo) / den.hi;
    const real_dd z = real_dd_mul(s, s);
    const real_dd twice = {2.0 * s.hi, 2.0 * s.lo};
    real_dd tail = real_dd_mul(real_dd_mul(s, z), third);
    tail.lo += s.hi * z.hi * z.hi * real_atanh_tail(z.hi, 2);
    real_dd sum = real_dd_add(twice, real_sum(tail.hi, tail.lo));
    const real_dd hi = {k * REAL_LN2_HI, 0.0};
    real_dd lo = real_mul((double)k, REAL_LN2_LO);
    lo.lo += k * 0x1.cc01f97b57a08p-87; /* what LN2_LO leaves of ln 2 */
    return real_dd_add(real_dd_add(hi, lo), sum);
}

double mgi_pow(double x, double y)
{
    if (y == 0.0 || x == 1.0)
        return 1.0;
    if (x != x || y != y || x < 0.0)
        return (double)NAN;
    const double inf = (double)INFINITY;
    if (x == 0.0 || x == inf)
        return (x == 0.0) == (y > 0.0) ? 0.0 : inf;
    if (y - y != 0.0) /* infinite */
        return (x > 1.0) == (y > 0.0) ? inf : 0.0;
    const real_dd l = real_log_dd(x);
    const double rough = l.hi * y;
    if (!(rough < 710.0 && rough > -746.0))
        return rough > 0.0 ? inf : 0.0;
    if (rough > -0x1p-60 && rough < 0x1p-60)
        return 1.0 + rough; /* and y may be too large or small to split */
    const real_dd p = real_mul(l.hi, y);
    return real_exp(p.hi, p.lo + l.lo * y);
}

/* ---- trigonometry ---- */
/* (-1)^i z^i c[i] summed from the small end, z <= (pi/4)^2 */
static double real_alternating(const double *c, double z)
{
    double q = c[8];
    for (int i = 7; i >= 0; i--)
        q = c[i] - z * q;
    return q;
}

/* sin and cos of 2 pi r, |r| <= 1/8 */
static double real_sin(double r)
{
    static const double c[9] = {/* 1/3! 1/5! .. 1/19! */
        1.0 / 6, 1.0 / 120, 1.0 / 5040, 1.0 / 362880, 1.0 / 39916800, 1.0 / 6227020800.0,
        1.0 / 1307674368000.0, 1.0 / 355687428096000.0, 1.0 / 121645100408832000.0};
    const real_dd y = real_mul(REAL_2PI, r);
    const double z = y.hi * y.hi, lo = y.lo + r * REAL_2PI_LO;
    return y.hi + (lo - y.hi * z * real_alternating(c, z));
}

static double real_cos(double r)
{
    static const double c[9] = {/* 1/4! 1/6! .. 1/20! */
        1.0 / 24, 1.0 / 720, 1.0 / 40320, 1.0 / 3628800, 1.0 / 479001600, 1.0 / 87178291200.0,
        1.0 / 20922789888000.0, 1.0 / 6402373705728000.0, 1.0 / 2432902008176640000.0};
    const real_dd y = real_mul(REAL_2PI, r);
    const double z = y.hi * y.hi, lo = y.lo + r * REAL_2PI_LO;
    const double w = 0.5 * z, a = 1.0 - w; /* what a lost is (1 - a) - w */
    return a + (((1.0 - a) - w) + (z * z * real_alternating(c, z) - y.hi * lo));
}

/* x turns = r + q quarter turns, |r| <= 1/8, both exact. */
static double real_quarter(double x, int *q)
{
    const double t = x - floor(x);
    const double n = floor(4.0 * t + 0.5);
    *q = (int)n & 3;
    return t - 0.25 * n;
}

double mgi_sin2pi(double x)
{
    int q;
    if (x - x != 0.0)
        return (double)NAN;
    const double r = real_quarter(x, &q);
    const double v = q & 1 ? real_cos(r) : real_sin(r);
    return q & 2 ? -v : v;
}

double mgi_cos2pi(double x)
{
    int q;
    if (x - x != 0.0)
        return (double)NAN;
    const double r = real_quarter(x, &q);
    const double v = q & 1 ? real_sin(r) : real_cos(r);
    return q == 1 || q == 2 ? -v : v;
}

/* ---- single precision ---- */
float mgi_expf(float x)
{
    return (float)mgi_exp((double)x);
}

float mgi_logf(float x)
{
    return (float)mgi_log((double)x);
}

float mgi_tanhf(float x)
{
    const double a = x < 0.0f ? -(double)x : (double)x, z = a * a;
    if (!(a < 20.0))
        return x != x ? x : x > 0.0f ? 1.0f : -1.0f;
    if (a < 0.5) { /* Lambert's continued fraction, its eighth convergent */
        const double p = 2027025.0 + z * (270270.0 + z * (6930.0 + z * 36.0));
        const double q = 2027025.0 + z * (945945.0 + z * (51975.0 + z * (630.0 + z)));
        return (float)((double)x * p / q);
    }
    const double t = 1.0 - 2.0 / (mgi_exp(2.0 * a) + 1.0);
    return (float)(x < 0.0f ? -t : t);
}

float mgi_fmaf_soft(float a, float b, float c)
{
    const double p = (double)a * (double)b; /* exact: 48 bits */
    const double s = p + (double)c;
    if (s - s != 0.0)
        return (float)s;
    const double t = s - p;
    const double lost = (p - (s - t)) + ((double)c - t);
    uint64_t u = real_bits(s);
    if (lost == 0.0 || (u & 1))
        return (float)s;
    /* Round s to odd: then the second rounding, to float, is the only one. */
    u = (lost > 0.0) == (s > 0.0) ? u + 1 : u - 1;
    return (float)real_from_bits(u);
}

float mgi_fmaf(float a, float b, float c)
{
#if defined(__FP_FAST_FMAF) || defined(__GLIBC__)
    return fmaf(a, b, c);
#else
    return mgi_fmaf_soft(a, b, c);
#endif
}

/* ---- 16-bit formats ---- */
static float real_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static uint32_t real_word(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

float mgi_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t e = (h >> 10) & 31u, m = h & 0x3ffu;
    if (e == 31)
        return real_float(sign | 0x7f800000u | m << 13);
    if (e > 0)
        return real_float(sign | (e + 112u) << 23 | m << 13);
    const float tiny = (float)m * 0x1p-24f;
    return sign ? -tiny : tiny;
}

/* Drop `shift` low bits of u, to nearest, ties to even. */
static uint32_t real_round_shift(uint32_t u, uint32_t shift)
{
    const uint32_t half = 1u << (shift - 1), odd = (u >> shift) & 1u;
    return (u + half - 1u + odd) >> shift;
}

uint16_t mgi_to_f16(float x)
{
    const uint32_t u = real_word(x), a = u & 0x7fffffffu;
    const uint16_t sign = (uint16_t)((u >> 16) & 0x8000u);
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
    if (a >= 0x47800000u) /* 65536 and above, infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (a >= 0x38800000u) /* normal: a carry into the exponent is right */
        return (uint16_t)(sign | real_round_shift(a - (112u << 23), 13));
    if (a < 0x33000000u) /* below 2^-25 */
        return sign;
    const uint32_t e = a >> 23, m = (a & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | real_round_shift(m, 126u - e));
}

float mgi_from_bf16(uint16_t h)
{
    return real_float((uint32_t)h << 16);
}

uint16_t mgi_to_bf16(float x)
{
    const uint32_t u = real_word(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)real_round_shift(u, 16);
}

#undef REAL_LN2_HI
#undef REAL_LN2_LO
#undef REAL_LOG2E
#undef REAL_2PI
#undef REAL_2PI_LO
/* ---- end base/real.c ---------------------------------------------------------------- */

/* ---- begin base/text.c -------------------------------------------------------------- */
/* text.c - growing strings, strict numbers, name lists, atomic files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#if defined(_WIN32)
#include <io.h>
#include <process.h>
#else
#include <fcntl.h>
#include <unistd.h>
#endif
#if defined(__GLIBC__) && !defined(__USE_POSIX)
#error "include mango.h before any system header where MANGO_IMPLEMENTATION is defined"
#endif

#define TEXT_NUMBER 400 /* longest number, in bytes */
#define TEXT_NAME 128   /* names are compared up to here */
#define TEXT_NEAR 4
#define TEXT_PATH 4096

/* ---- growing strings ---- */
void mgi_str_init(mgi_str *s, const mango_alloc *al)
{
    memset(s, 0, sizeof *s);
    s->al = mgi_alloc_get(al);
}

void mgi_str_free(mgi_str *s)
{
    mgi_del(&s->al, s->p, s->cap, 1);
    s->p = NULL;
    s->n = s->cap = 0;
    s->bad = 0;
}

/* Room for n more bytes and the NUL. */
static int text_room(mgi_str *s, mango_idx n)
{
    mango_idx need, cap;
    if (s->bad || !mgi_add(s->n, n, &need) || !mgi_add(need, 1, &need)) {
        s->bad = 1;
        return 0;
    }
    if (need <= s->cap)
        return 1;
    if (!mgi_mul(s->cap, 2, &cap)) /* doubling, but the first request is met exactly */
        cap = need;
    cap = MGI_MAX(MGI_MAX(cap, need), 64);
    char *p = mgi_resize(&s->al, s->p, s->cap, cap, 1);
    if (!p) {
        s->bad = 1;
        return 0;
    }
    s->p = p;
    s->cap = cap;
    return 1;
}

void mgi_str_put(mgi_str *s, const char *bytes, mango_idx n)
{
    if (!text_room(s, n))
        return;
    if (n > 0)
        memcpy(s->p + s->n, bytes, (size_t)n);
    s->n += n;
    s->p[s->n] = '\0';
}

void mgi_str_puts(mgi_str *s, const char *z)
{
    mgi_str_put(s, z, (mango_idx)strlen(z));
}

void mgi_str_printf(mgi_str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        s->bad = 1;
    if (n < 0 || !text_room(s, n))
        return;
    va_start(ap, fmt);
    vsnprintf(s->p + s->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->n += n;
}

/* What the C library prints between integer and fraction, in this locale. */
static void text_point(char point[8])
{
    char probe[16];
    const int n = snprintf(probe, sizeof probe, "%.1f", 0.5); /* "0" point "5" */
    const int k = n > 2 && n < 9 ? n - 2 : 0;
    memcpy(point, probe + 1, (size_t)k);
    point[k] = '\0';
}

/* v with `digits` significant digits and '.'; out holds 64 bytes. */
static void text_digits(double v, int digits, char *out)
{
    char raw[64];
    int k = 0;
    snprintf(raw, sizeof raw, "%.*g", digits, v);
    for (const char *c = raw; *c; c++) {
        const int plain = (*c >= '0' && *c <= '9') || strchr("+-e", *c) != NULL;
        if (plain)
            out[k++] = *c;
        else if (k > 0 && out[k - 1] != '.')
            out[k++] = '.';
    }
    out[k] = '\0';
}

static void text_shortest(mgi_str *s, double v, int first, int last, int as_float)
{
    char z[64];
    double back = 0.0;
    if (v - v != 0.0) {
        mgi_str_puts(s, "null");
        return;
    }
    if (v < 1e-290 && v > -1e-290)
        first = 1; /* subnormals hold fewer digits */
    for (int digits = first; digits <= last; digits++) {
        text_digits(v, digits, z);
        if (mgi_parse_real(z, &back) && (as_float ? (float)back == (float)v : back == v))
            break;
    }
    mgi_str_puts(s, z);
}

void mgi_str_float(mgi_str *s, double v)
{
    text_shortest(s, v, 15, 17, 0); /* %g drops trailing zeros: 0.1 stays 0.1 */
}

void mgi_str_f32(mgi_str *s, float v)
{
    text_shortest(s, (double)v, 6, 9, 1);
}

/* ---- strict numbers ---- */
static int text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int mgi_parse_int(const char *z, int64_t lo, int64_t hi, int64_t *v)
{
    const int minus = *z == '-';
    uint64_t u = 0;
    const uint64_t most = minus ? (uint64_t)1 << 63 : (uint64_t)INT64_MAX;
    z += minus;
    if (!*z)
        return 0;
    for (; *z; z++) {
        if (!text_is_digit(*z))
            return 0;
        const uint64_t d = (uint64_t)(*z - '0');
        if (u > (most - d) / 10)
            return 0;
        u = u * 10 + d;
    }
    const int64_t x = !minus ? (int64_t)u : u == most ? INT64_MIN : -(int64_t)u;
    if (x < lo || x > hi)
        return 0;
    *v = x;
    return 1;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the exponent;
 * *point: where the '.' is, or -1. */
static int text_is_real(const char *p, mango_idx n, mango_idx *point)
{
    mango_idx i = n > 0 && (p[0] == '+' || p[0] == '-'), digits = 0, k = 0;
    *point = -1;
    for (; i < n && text_is_digit(p[i]); i++)
        digits++;
    if (i < n && p[i] == '.')
        for (*point = i++; i < n && text_is_digit(p[i]); i++)
            digits++;
    if (digits == 0)
        return 0;
    if (i == n)
        return 1;
    if (p[i] != 'e' && p[i] != 'E')
        return 0;
    i++;
    i += i < n && (p[i] == '+' || p[i] == '-');
    for (; i < n && text_is_digit(p[i]); i++)
        k++;
    return i == n && k > 0;
}

int mgi_parse_real_n(const char *p, mango_idx n, double *v)
{
    char z[TEXT_NUMBER + 16], point[8];
    mango_idx at, k = 0;
    if (n > TEXT_NUMBER || !text_is_real(p, n, &at))
        return 0;
    text_point(point);
    for (mango_idx i = 0; i < n; i++) {
        if (i == at)
            for (const char *c = point; *c; c++)
                z[k++] = *c;
        else
            z[k++] = p[i];
    }
    z[k] = '\0';
    const double x = strtod(z, NULL);
    if (x - x != 0.0)
        return 0;
    *v = x;
    return 1;
}

int mgi_parse_real(const char *z, double *v)
{
    return mgi_parse_real_n(z, (mango_idx)strlen(z), v);
}

/* ---- names ---- */
/* One [...] at p against c: *ok tells; returns what follows the ']', or NULL
 * when there is none (then '[' is an ordinary byte). */
static const char *text_class(const char *p, char c, int *ok)
{
    const int inverse = p[1] == '!' || p[1] == '^';
    const char *q = p + 1 + inverse;
    int in = 0;
    for (const char *first = q; *q && (*q != ']' || q == first); q++) {
        if (q[1] == '-' && q[2] && q[2] != ']') {
            in |= q[0] <= c && c <= q[2];
            q += 2;
        } else {
            in |= *q == c;
        }
    }
    *ok = in != inverse;
    return *q ? q + 1 : NULL;
}

int mgi_glob(const char *pattern, const char *name)
{
    const char *p = pattern, *z = name, *star = NULL, *mark = name;
    while (*z) {
        int ok = *p == *z || *p == '?';
        const char *next = p + 1;
        if (*p == '*') {
            star = p++;
            mark = z;
            continue;
        }
        if (*p == '[') {
            const char *after = text_class(p, *z, &ok);
            next = after ? after : p + 1;
            ok = after ? ok : *z == '[';
        }
        if (*p && ok) {
            p = next;
            z++;
        } else if (star) { /* let the last star take one byte more */
            p = star + 1;
            z = ++mark;
        } else {
            return 0;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

static int text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Levenshtein distance of the first TEXT_NAME bytes, case ignored. */
static int text_distance(const char *a, const char *b)
{
    int row[TEXT_NAME + 1];
    int nb = 0;
    while (nb < TEXT_NAME && b[nb])
        nb++;
    for (int j = 0; j <= nb; j++)
        row[j] = j;
    for (int i = 0; i < TEXT_NAME && a[i]; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 0; j < nb; j++) {
            const int swap = diagonal + (text_lower(a[i]) != text_lower(b[j]));
            const int gap = MGI_MIN(row[j], row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = MGI_MIN(swap, gap);
        }
    }
    return row[nb];
}

void mgi_near(const char *name, mango_idx n, const char *const *names, char *out, mango_idx cap)
{
    mango_idx best[TEXT_NEAR], found = 0, k = 0;
    int dist[TEXT_NEAR];
    for (mango_idx i = 0; i < n; i++) {
        const int d = text_distance(name, names[i]);
        mango_idx at = found;
        while (at > 0 && dist[at - 1] > d)
            at--;
        if (at == TEXT_NEAR)
            continue;
        found = MGI_MIN(found + 1, TEXT_NEAR);
        for (mango_idx j = found - 1; j > at; j--) {
            best[j] = best[j - 1];
            dist[j] = dist[j - 1];
        }
        best[at] = i;
        dist[at] = d;
    }
    if (cap > 0)
        out[0] = '\0';
    for (mango_idx i = 0; i < found && k < cap; i++) {
        if (i > 0 && !mgi_copy(out + k, cap - k, ", "))
            return;
        k += i > 0 ? 2 : 0;
        if (!mgi_copy(out + k, cap - k, names[best[i]]))
            return;
        k += (mango_idx)strlen(names[best[i]]);
    }
}

/* ---- files ---- */
/* Bytes the file says it has; 0 for pipes and devices, -1 for a folder. */
static mango_idx text_file_size(FILE *f)
{
    struct stat s;
    if (fstat(fileno(f), &s) != 0)
        return 0;
    if ((s.st_mode & S_IFMT) == S_IFDIR)
        return -1;
    if ((s.st_mode & S_IFMT) != S_IFREG || s.st_size < 0)
        return 0;
    return s.st_size > PTRDIFF_MAX - 1 ? PTRDIFF_MAX - 1 : (mango_idx)s.st_size;
}

/* The rest of f into s, at most limit bytes. */
static mango_status text_slurp(FILE *f, mango_idx limit, mango_idx expected, mgi_str *s)
{
    mango_idx chunk = expected > 0 ? expected + 1 : 65536; /* +1 meets the end of file */
    while (!feof(f)) {
        chunk = MGI_MIN(chunk, limit - s->n + 1); /* one more than allowed shows */
        if (!text_room(s, chunk))
            return MANGO_E_MEM;
        s->n += (mango_idx)fread(s->p + s->n, 1, (size_t)chunk, f);
        s->p[s->n] = '\0';
        if (ferror(f))
            return MANGO_E_IO;
        if (s->n > limit)
            return MANGO_E_LIMIT;
        chunk = 65536;
    }
    return MANGO_OK;
}

mango_status mgi_file_read(const char *path, mango_idx limit, const mango_alloc *al,
                           unsigned char **p, mango_idx *n, mango_err *err)
{
    mgi_str s;
    mgi_str_init(&s, al);
    FILE *f = fopen(path, "rb");
    if (!f)
        return mgi_fail(err, MANGO_E_IO, "%s: %s", path, strerror(errno));
    const mango_idx size = text_file_size(f);
    mango_status st;
    if (size < 0)
        st = mgi_fail(err, MANGO_E_IO, "%s: is a folder, a file was expected", path);
    else if (size > limit)
        st = MANGO_E_LIMIT;
    else
        st = text_slurp(f, limit, size, &s);
    if (st == MANGO_E_LIMIT)
        mgi_fail(err, st, "%s: larger than the limit of %lld bytes", path, (long long)limit);
    else if (st == MANGO_E_MEM)
        mgi_fail(err, st, "%s: out of memory for its %lld bytes", path, (long long)size);
    else if (st == MANGO_E_IO && size >= 0)
        mgi_fail(err, st, "%s: read failed at byte %lld", path, (long long)s.n);
    fclose(f);
    if (st == MANGO_OK) { /* trim to the promised n + 1 bytes */
        unsigned char *fit = mgi_resize(&s.al, s.p, s.cap, s.n + 1, 1);
        if (fit) {
            *p = fit;
            *n = s.n;
            return MANGO_OK;
        }
        st = mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    }
    mgi_str_free(&s);
    return st;
}

/* Flush f down to the disk and close it; false with errno set. */
static int text_close(FILE *f)
{
    int ok = fflush(f) == 0;
#if defined(_WIN32)
    ok = ok && _commit(_fileno(f)) == 0;
#else
    ok = ok && (fsync(fileno(f)) == 0 || errno == EINVAL || errno == ENOTSUP);
#endif
    const int why = errno;
    if (fclose(f) != 0)
        return 0;
    errno = why;
    return ok;
}

/* Make the rename itself durable; what cannot be synced is left alone. */
static void text_sync_folder(const char *path)
{
#if !defined(_WIN32)
    char folder[TEXT_PATH];
    mgi_copy(folder, TEXT_PATH, path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    const int fd = open(slash ? folder : ".", O_RDONLY);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
#else
    (void)path;
#endif
}

static int text_replace(const char *from, const char *to)
{
#if defined(_WIN32)
    remove(to); /* rename does not replace there */
#endif
    return rename(from, to) == 0;
}

mango_status mgi_file_write(const char *path, const void *p, mango_idx n, mango_err *err)
{
    char tmp[TEXT_PATH];
    struct stat s;
    const int device = stat(path, &s) == 0 && (s.st_mode & S_IFMT) != S_IFREG;
    const int len = device ? snprintf(tmp, sizeof tmp, "%s", path)
                           : snprintf(tmp, sizeof tmp, "%s.%ld.tmp", path, (long)getpid());
    if (len < 0 || len >= (int)sizeof tmp)
        return mgi_fail(err, MANGO_E_IO, "%.100s...: the path is too long", path);
    FILE *f = fopen(tmp, "wb");
    if (!f)
        return mgi_fail(err, MANGO_E_IO, "%s: %s", path, strerror(errno));
    int ok = n == 0 || fwrite(p, 1, (size_t)n, f) == (size_t)n;
    int why = errno;
    if (!text_close(f) && ok) {
        ok = 0;
        why = errno;
    }
    if (ok && !device && !text_replace(tmp, path)) {
        ok = 0;
        why = errno;
    }
    if (!ok) {
        if (!device)
            remove(tmp);
        return mgi_fail(err, MANGO_E_IO, "%s: %s", path, strerror(why));
    }
    if (!device)
        text_sync_folder(path);
    return MANGO_OK;
}

#undef TEXT_NUMBER
#undef TEXT_NAME
#undef TEXT_NEAR
#undef TEXT_PATH
/* ---- end base/text.c ---------------------------------------------------------------- */

/* ---- begin base/json.c -------------------------------------------------------------- */
/* json.c - a strict, bounded JSON reader (RFC 8259).
 * Recursive descent to depth 32 over an owned copy of the text, in which
 * strings are unescaped in place; duplicate keys are found by one hash table.
 */

#define JSON_DEPTH 32

typedef struct json_parser {
    mgi_json *j;
    char *p;              /* the text */
    mango_idx at, n;      /* position, length */
    mango_idx *slot;      /* hash table of (parent, key): value index + 1 */
    mango_idx slots, keys; /* a power of two; used */
    mango_err *err;
} json_parser;

static mango_status json_value(json_parser *s, int depth, mango_idx parent, const char *key,
                               mango_idx *index);

static mango_status json_fail(json_parser *s, const char *expected)
{
    return mgi_fail(s->err, MANGO_E_FORMAT, "JSON, byte %lld: expected %s", (long long)s->at,
                    expected);
}

static void json_space(json_parser *s)
{
    while (s->at < s->n && s->p[s->at] != '\0' && strchr(" \t\n\r", s->p[s->at]))
        s->at++;
}

/* The next byte, or -1 at the end. */
static int json_peek(const json_parser *s)
{
    return s->at < s->n ? (unsigned char)s->p[s->at] : -1;
}

static int json_accept(json_parser *s, int c)
{
    if (json_peek(s) != c)
        return 0;
    s->at++;
    return 1;
}

/* A new value; grows by doubling. */
static mango_status json_push(json_parser *s, mango_idx parent, const char *key,
                              mango_idx *index)
{
    mgi_json *j = s->j;
    if (j->n == j->cap) {
        const mango_idx cap = j->cap > 0 ? 2 * j->cap : 16; /* cap <= 2 bytes of text */
        mgi_json_value *v = mgi_resize(&j->al, j->v, j->cap, cap, sizeof *v);
        if (!v)
            return mgi_fail(s->err, MANGO_E_MEM, "JSON: out of memory");
        j->v = v;
        j->cap = cap;
    }
    mgi_json_value *v = &j->v[j->n];
    memset(v, 0, sizeof *v);
    v->key = key;
    v->child = v->next = -1;
    v->parent = parent;
    *index = j->n++;
    return MANGO_OK;
}

/* ---- keys: open addressing over (parent, key) ---- */
static uint64_t json_hash(mango_idx parent, const char *key)
{
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)parent * 0x9E3779B97F4A7C15u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 0x100000001b3u; /* FNV-1a */
    return h ^ h >> 29;
}

/* The slot where (parent, key) is or would be. */
static mango_idx json_slot(const json_parser *s, mango_idx parent, const char *key)
{
    const uint64_t mask = (uint64_t)s->slots - 1;
    uint64_t h = json_hash(parent, key) & mask;
    while (s->slot[h] > 0) {
        const mgi_json_value *v = &s->j->v[s->slot[h] - 1];
        if (v->parent == parent && strcmp(v->key, key) == 0)
            break;
        h = (h + 1) & mask;
    }
    return (mango_idx)h;
}

static mango_status json_more_slots(json_parser *s)
{
    mango_idx *was = s->slot;
    const mango_idx count = s->slots;
    s->slots = count > 0 ? 2 * count : 64;
    s->slot = mgi_new(&s->j->al, s->slots, sizeof *s->slot);
    for (mango_idx i = 0; s->slot && i < count; i++)
        if (was[i] > 0) {
            const mgi_json_value *v = &s->j->v[was[i] - 1];
            s->slot[json_slot(s, v->parent, v->key)] = was[i];
        }
    mgi_del(&s->j->al, was, count, sizeof *was);
    return s->slot ? MANGO_OK : mgi_fail(s->err, MANGO_E_MEM, "JSON: out of memory");
}

/* Remember the key of value `index`; refuses a second one of its name. */
static mango_status json_add_key(json_parser *s, mango_idx index)
{
    if (2 * s->keys >= s->slots)
        MGI_TRY(json_more_slots(s));
    const mgi_json_value *v = &s->j->v[index];
    const mango_idx h = json_slot(s, v->parent, v->key);
    if (s->slot[h] > 0)
        return mgi_fail(s->err, MANGO_E_FORMAT, "JSON, byte %lld: key \"%.80s\" appears twice",
                        (long long)s->at, v->key);
    s->slot[h] = index + 1;
    s->keys++;
    return MANGO_OK;
}

/* ---- strings ---- */
/* Length of the UTF-8 sequence at p (n bytes left), 0 when invalid. */
static int json_utf8(const unsigned char *p, mango_idx n)
{
    const unsigned c = p[0];
    const int len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len > n)
        return 0;
    for (int i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || /* overlong, surrogate */
        (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))   /* overlong, > 10FFFF */
        return 0;
    return len;
}

/* Four hex digits; -1 when they are not. */
static long json_hex4(json_parser *s)
{
    long u = 0;
    for (int i = 0; i < 4; i++) {
        static const char hex[] = "0123456789abcdefABCDEF";
        const int c = json_peek(s);
        const char *at = c > 0 ? strchr(hex, c) : NULL;
        if (!at)
            return -1;
        u = u * 16 + (at - hex < 16 ? at - hex : at - hex - 6);
        s->at++;
    }
    return u;
}

/* \uXXXX, surrogate pairs joined, as UTF-8 at out; returns bytes, 0: invalid. */
static int json_unicode(json_parser *s, char *out)
{
    long u = json_hex4(s);
    if (u >= 0xd800 && u < 0xdc00) {
        if (!json_accept(s, '\\') || !json_accept(s, 'u'))
            return 0;
        const long low = json_hex4(s);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    } else if (u < 0 || (u >= 0xdc00 && u < 0xe000)) {
        return 0;
    }
    const int len = u < 0x80 ? 1 : u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (u & 0x3f));
        u >>= 6;
    }
    out[0] = (char)(lead[len] | u);
    return len;
}

/* The escape after a backslash, into out; bytes written, 0: invalid. */
static int json_escape(json_parser *s, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const int c = json_peek(s);
    if (json_accept(s, 'u'))
        return json_unicode(s, out);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    if (!at)
        return 0;
    s->at++;
    *out = to[at - from];
    return 1;
}

/* A string with s->at on its opening quote. Unescaped text is never longer
 * than the escaped, so it replaces it in place and ends before the quote. */
static mango_status json_string(json_parser *s, const char **str, mango_idx *n)
{
    if (!json_accept(s, '"'))
        return json_fail(s, "a string");
    char *start = s->p + s->at, *out = start;
    for (;;) {
        const int c = json_peek(s);
        if (c < 0)
            return json_fail(s, "the end of a string");
        if (c < 32)
            return json_fail(s, "no raw control byte in a string");
        int len;
        if (c == '"') {
            s->at++;
            break;
        } else if (c == '\\') {
            s->at++;
            len = json_escape(s, out);
            if (len == 0)
                return json_fail(s, "a valid escape");
        } else {
            len = json_utf8((const unsigned char *)s->p + s->at, s->n - s->at);
            if (len == 0)
                return json_fail(s, "valid UTF-8");
            memmove(out, s->p + s->at, (size_t)len);
            s->at += len;
        }
        out += len;
    }
    *out = '\0';
    *str = start;
    *n = out - start;
    return MANGO_OK;
}

/* ---- numbers ---- */
static mango_idx json_digits(json_parser *s)
{
    const mango_idx from = s->at;
    while (json_peek(s) >= '0' && json_peek(s) <= '9')
        s->at++;
    return s->at - from;
}

static mango_status json_number(json_parser *s, mgi_json_value *v)
{
    const mango_idx from = s->at;
    int whole = 1;
    json_accept(s, '-');
    if (!json_accept(s, '0') && json_digits(s) == 0)
        return json_fail(s, "a value");
    if (json_accept(s, '.')) {
        whole = 0;
        if (json_digits(s) == 0)
            return json_fail(s, "a digit after the point");
    }
    if (json_accept(s, 'e') || json_accept(s, 'E')) {
        whole = 0;
        if (!json_accept(s, '-'))
            json_accept(s, '+');
        if (json_digits(s) == 0)
            return json_fail(s, "a digit in the exponent");
    }
    v->kind = MGI_JSON_NUMBER;
    if (!mgi_parse_real_n(s->p + from, s->at - from, &v->d))
        return json_fail(s, "a number within the range of double, in 400 bytes");
    char z[24];
    const mango_idx n = s->at - from;
    if (whole && n < MGI_COUNT(z)) {
        memcpy(z, s->p + from, (size_t)n);
        z[n] = '\0';
        v->is_int = mgi_parse_int(z, INT64_MIN, INT64_MAX, &v->i);
    }
    return MANGO_OK;
}

/* ---- structure ---- */
/* Members of the array or object `self`, after its opening bracket. */
static mango_status json_members(json_parser *s, int depth, mango_idx self, int object)
{
    const int close = object ? '}' : ']';
    mango_idx last = -1, child, n = 0;
    json_space(s);
    while (n > 0 || !json_accept(s, close)) {
        const char *key = NULL;
        mango_idx key_size;
        json_space(s);
        if (object) {
            MGI_TRY(json_string(s, &key, &key_size));
            if (strlen(key) != (size_t)key_size)
                return json_fail(s, "a key without a NUL byte");
            json_space(s);
            if (!json_accept(s, ':'))
                return json_fail(s, "':'");
        }
        MGI_TRY(json_value(s, depth + 1, self, key, &child));
        *(last < 0 ? &s->j->v[self].child : &s->j->v[last].next) = child;
        last = child;
        s->j->v[self].n = ++n;
        json_space(s);
        if (json_accept(s, close))
            break;
        if (!json_accept(s, ','))
            return json_fail(s, object ? "',' or '}'" : "',' or ']'");
    }
    return MANGO_OK;
}

static int json_word(json_parser *s, const char *word)
{
    const mango_idx n = (mango_idx)strlen(word);
    if (s->n - s->at < n || memcmp(s->p + s->at, word, (size_t)n) != 0)
        return 0;
    s->at += n;
    return 1;
}

static mango_status json_value(json_parser *s, int depth, mango_idx parent, const char *key,
                               mango_idx *index)
{
    json_space(s);
    MGI_TRY(json_push(s, parent, key, index));
    if (key)
        MGI_TRY(json_add_key(s, *index));
    mgi_json_value *v = &s->j->v[*index];
    const int c = json_peek(s);
    if (c == '{' || c == '[') {
        if (depth > JSON_DEPTH)
            return mgi_fail(s->err, MANGO_E_LIMIT, "JSON, byte %lld: nested deeper than %d",
                            (long long)s->at, JSON_DEPTH);
        v->kind = c == '{' ? MGI_JSON_OBJECT : MGI_JSON_ARRAY;
        s->at++;
        return json_members(s, depth, *index, c == '{');
    }
    if (c == '"') {
        v->kind = MGI_JSON_STRING;
        return json_string(s, &v->str, &v->n);
    }
    if (json_word(s, "null"))
        v->kind = MGI_JSON_NULL;
    else if (json_word(s, "true"))
        v->kind = MGI_JSON_TRUE;
    else if (json_word(s, "false"))
        v->kind = MGI_JSON_FALSE;
    else
        return json_number(s, v);
    return MANGO_OK;
}

mango_status mgi_json_parse(mgi_json *j, const char *bytes, mango_idx n, const mango_alloc *al,
                            mango_err *err)
{
    json_parser s;
    mango_idx root, size;
    memset(j, 0, sizeof *j);
    j->al = mgi_alloc_get(al);
    if (!mgi_add(n, 1, &size))
        return MANGO_E_ARG;
    j->text = mgi_new(&j->al, size, 1);
    if (!j->text)
        return mgi_fail(err, MANGO_E_MEM, "JSON: out of memory");
    j->text_size = size;
    if (n > 0)
        memcpy(j->text, bytes, (size_t)n);
    memset(&s, 0, sizeof s);
    s.j = j;
    s.p = j->text;
    s.n = n;
    s.err = err;
    mango_status st = json_value(&s, 1, -1, NULL, &root);
    json_space(&s);
    if (st == MANGO_OK && s.at < s.n)
        st = json_fail(&s, "nothing after the value");
    mgi_del(&j->al, s.slot, s.slots, sizeof *s.slot);
    if (st < 0)
        mgi_json_free(j);
    return st;
}

void mgi_json_free(mgi_json *j)
{
    mgi_del(&j->al, j->v, j->cap, sizeof *j->v);
    mgi_del(&j->al, j->text, j->text_size, 1);
    j->v = NULL;
    j->text = NULL;
    j->n = j->cap = j->text_size = 0;
}

const mgi_json_value *mgi_json_get(const mgi_json *j, const mgi_json_value *obj, const char *key)
{
    if (!obj || obj->kind != MGI_JSON_OBJECT)
        return NULL;
    for (mango_idx i = obj->child; i >= 0; i = j->v[i].next)
        if (strcmp(j->v[i].key, key) == 0)
            return &j->v[i];
    return NULL;
}

const mgi_json_value *mgi_json_at(const mgi_json *j, const mgi_json_value *arr, mango_idx i)
{
    if (!arr || (arr->kind != MGI_JSON_ARRAY && arr->kind != MGI_JSON_OBJECT) || i < 0)
        return NULL;
    mango_idx k = arr->child;
    while (k >= 0 && i-- > 0)
        k = j->v[k].next;
    return k >= 0 ? &j->v[k] : NULL;
}

void mgi_json_quote(mgi_str *s, const char *bytes, mango_idx n)
{
    mgi_str_puts(s, "\"");
    for (mango_idx i = 0; i < n;) {
        const unsigned char c = (unsigned char)bytes[i];
        const int len = json_utf8((const unsigned char *)bytes + i, n - i);
        if (c == '"' || c == '\\')
            mgi_str_printf(s, "\\%c", c);
        else if (c == '\n')
            mgi_str_puts(s, "\\n");
        else if (c == '\t')
            mgi_str_puts(s, "\\t");
        else if (c < 32 || c == 127)
            mgi_str_printf(s, "\\u%04x", c);
        else if (len == 0)
            mgi_str_puts(s, "\\ufffd"); /* not UTF-8: the replacement character */
        else
            mgi_str_put(s, bytes + i, len);
        i += len > 0 ? len : 1;
    }
    mgi_str_puts(s, "\"");
}

#undef JSON_DEPTH
/* ---- end base/json.c ---------------------------------------------------------------- */

/* ---- begin base/hash.c -------------------------------------------------------------- */
/* hash.c - CRC-32 (eight bytes a round), MD5 (RFC 1321), SHA-256 (FIPS 180-4).
 */

/* ---- CRC-32 ---------------------------------------------------------------- */

/* Four bits a step: a table of 16 that needs no set-up. */
static const uint32_t hash_crc4[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
    0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
    0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
};

/* T[k][b]: the CRC of byte b followed by k zero bytes. */
static void hash_crc_tables(uint32_t T[8][256])
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t c = b;
        c = (c >> 4) ^ hash_crc4[c & 15];
        c = (c >> 4) ^ hash_crc4[c & 15];
        T[0][b] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            T[k][b] = (T[k - 1][b] >> 8) ^ T[0][T[k - 1][b] & 255];
}

MGI_FN uint32_t mgi_crc32(uint32_t crc, const void *p, mango_idx n)
{
    const unsigned char *b = (const unsigned char *)p;
    uint32_t c = ~crc;
    if (n >= 4096) { /* tables on the stack: no mutable globals, worth it from here on */
        uint32_t T[8][256];
        hash_crc_tables(T);
        for (; n >= 8; n -= 8, b += 8) {
            c ^= (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                 (uint32_t)b[3] << 24;
            c = T[7][c & 255] ^ T[6][c >> 8 & 255] ^ T[5][c >> 16 & 255] ^ T[4][c >> 24] ^
                T[3][b[4]] ^ T[2][b[5]] ^ T[1][b[6]] ^ T[0][b[7]];
        }
    }
    for (; n > 0; n--, b++) {
        c ^= *b;
        c = (c >> 4) ^ hash_crc4[c & 15];
        c = (c >> 4) ^ hash_crc4[c & 15];
    }
    return ~c;
}

/* ---- MD5 and SHA-256 --------------------------------------------------------- */

static uint32_t hash_rotl(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

/* floor(2^32 |sin(i + 1)|) */
static const uint32_t hash_md5_k[64] = {
    0xd76aa478u, 0xe8c7b756u, 0x242070dbu, 0xc1bdceeeu, 0xf57c0fafu, 0x4787c62au,
    0xa8304613u, 0xfd469501u, 0x698098d8u, 0x8b44f7afu, 0xffff5bb1u, 0x895cd7beu,
    0x6b901122u, 0xfd987193u, 0xa679438eu, 0x49b40821u, 0xf61e2562u, 0xc040b340u,
    0x265e5a51u, 0xe9b6c7aau, 0xd62f105du, 0x02441453u, 0xd8a1e681u, 0xe7d3fbc8u,
    0x21e1cde6u, 0xc33707d6u, 0xf4d50d87u, 0x455a14edu, 0xa9e3e905u, 0xfcefa3f8u,
    0x676f02d9u, 0x8d2a4c8au, 0xfffa3942u, 0x8771f681u, 0x6d9d6122u, 0xfde5380cu,
    0xa4beea44u, 0x4bdecfa9u, 0xf6bb4b60u, 0xbebfbc70u, 0x289b7ec6u, 0xeaa127fau,
    0xd4ef3085u, 0x04881d05u, 0xd9d4d039u, 0xe6db99e5u, 0x1fa27cf8u, 0xc4ac5665u,
    0xf4292244u, 0x432aff97u, 0xab9423a7u, 0xfc93a039u, 0x655b59c3u, 0x8f0ccc92u,
    0xffeff47du, 0x85845dd1u, 0x6fa87e4fu, 0xfe2ce6e0u, 0xa3014314u, 0x4e0811a1u,
    0xf7537e82u, 0xbd3af235u, 0x2ad7d2bbu, 0xeb86d391u,
};

static void hash_md5_block(uint32_t h[8], const unsigned char *p)
{
    static const unsigned char shift[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], w[16];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
               (uint32_t)p[3] << 24;
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = i; break;
        case 1: f = (d & b) | (~d & c), g = (5 * i + 1) % 16; break;
        case 2: f = b ^ c ^ d, g = (3 * i + 5) % 16; break;
        default: f = c ^ (b | ~d), g = 7 * i % 16; break;
        }
        f += a + hash_md5_k[i] + w[g];
        a = d, d = c, c = b;
        b += hash_rotl(f, shift[i / 16][i % 4]);
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}

/* Fractional parts of the cube roots of the first 64 primes. */
static const uint32_t hash_sha_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u,
    0x923f82a4u, 0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u,
    0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u,
    0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u,
    0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u,
    0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au,
    0x5b9cca4fu, 0x682e6ff3u, 0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u,
    0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
};

static void hash_sha_block(uint32_t h[8], const unsigned char *p)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
               (uint32_t)p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        x = hash_rotl(x, 25) ^ hash_rotl(x, 14) ^ x >> 3;
        y = hash_rotl(y, 15) ^ hash_rotl(y, 13) ^ y >> 10;
        w[i] = w[i - 16] + x + w[i - 7] + y;
    }
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t1 = s[7] + (hash_rotl(e, 26) ^ hash_rotl(e, 21) ^ hash_rotl(e, 7)) +
                      ((e & s[5]) ^ (~e & s[6])) + hash_sha_k[i] + w[i];
        uint32_t t2 = (hash_rotl(a, 30) ^ hash_rotl(a, 19) ^ hash_rotl(a, 10)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

MGI_FN void mgi_md5_init(mgi_hash *s)
{
    static const uint32_t h[4] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u};
    memset(s, 0, sizeof *s);
    memcpy(s->h, h, sizeof h);
    s->is_md5 = 1;
}

MGI_FN void mgi_sha256_init(mgi_hash *s)
{
    static const uint32_t h[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                  0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    memset(s, 0, sizeof *s);
    memcpy(s->h, h, sizeof h);
}

static void hash_block(mgi_hash *s, const unsigned char *p)
{
    if (s->is_md5)
        hash_md5_block(s->h, p);
    else
        hash_sha_block(s->h, p);
}

MGI_FN void mgi_hash_add(mgi_hash *s, const void *p, mango_idx n)
{
    const unsigned char *b = (const unsigned char *)p;
    mango_idx have = (mango_idx)(s->bytes % 64);
    s->bytes += (uint64_t)n;
    while (n > 0) {
        mango_idx m = MGI_MIN(64 - have, n);
        if (m == 64) {
            hash_block(s, b);
        } else {
            memcpy(s->block + have, b, (size_t)m);
            have += m;
            if (have == 64)
                hash_block(s, s->block);
            have %= 64;
        }
        b += m;
        n -= m;
    }
}

MGI_FN void mgi_hash_end(mgi_hash *s, char hex[65])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char tail[72] = {0x80};
    uint64_t bits = s->bytes * 8;
    mango_idx pad =
        (mango_idx)(s->bytes % 64 < 56 ? 56 - s->bytes % 64 : 120 - s->bytes % 64);
    int words = s->is_md5 ? 4 : 8;
    for (int i = 0; i < 8; i++)
        tail[pad + i] = (unsigned char)(bits >> (s->is_md5 ? 8 * i : 56 - 8 * i));
    mgi_hash_add(s, tail, pad + 8);
    for (int i = 0; i < 4 * words; i++) {
        uint32_t b = s->h[i / 4] >> (s->is_md5 ? 8 * (i % 4) : 24 - 8 * (i % 4)) & 255;
        hex[2 * i] = digit[b >> 4];
        hex[2 * i + 1] = digit[b & 15];
    }
    hex[8 * words] = 0;
}

MGI_FN void mgi_sha256(const void *p, mango_idx n, char hex[65])
{
    mgi_hash s;
    mgi_sha256_init(&s);
    mgi_hash_add(&s, p, n);
    mgi_hash_end(&s, hex);
}
/* ---- end base/hash.c ---------------------------------------------------------------- */

/* ---- begin math/lifstep.c ----------------------------------------------------------- */
/* lifstep.c - one time step of leaky integrate-and-fire neurons, the plain loop.
 */

MGI_FN void mgi_lif_ref(mango_idx n, const mgi_lif_rule *r, const float *X, float *U,
                        float *S)
{
    for (mango_idx i = 0; i < n; i++) {
        const float H = mgi_lif_charge(r, U[i], X[i]);
        S[i] = mgi_lif_fires(r, H) ? 1.0f : 0.0f;
        U[i] = mgi_lif_leave(r, H);
    }
}
/* ---- end math/lifstep.c ------------------------------------------------------------- */

/* ---- begin math/kernels.c ----------------------------------------------------------- */
/* kernels.c - chooses the kernel set once, at run time.
 */
#include <stdlib.h>

/* The sets, worst to best. NULL: not compiled in, or the CPU lacks it. */
#define KERNELS_SETS 5

static const mgi_kernels *kernels_set(int i)
{
    switch (i) {
    case 0: return mgi_kernels_ref();
    case 1: return mgi_kernels_sse2();
    case 2: return mgi_kernels_avx2();
    case 3: return mgi_kernels_avx512();
    default: return mgi_kernels_neon();
    }
}

/* Best set not above index i. */
static const mgi_kernels *kernels_best(int i)
{
    const mgi_kernels *k = NULL;
    while (i >= 0 && !(k = kernels_set(i)))
        i--;
    return k;
}

static int kernels_index(const char *name)
{
    static const char *const names[KERNELS_SETS] = {"ref", "sse2", "avx2", "avx512", "neon"};
    for (int i = 0; name && i < KERNELS_SETS; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

/* The table in force. Every thread that finds it empty computes the same
 * pointer, so a race is harmless; the store is atomic. */
static const mgi_kernels *kernels_now;

#if defined(__GNUC__)
#define KERNELS_LOAD() __atomic_load_n(&kernels_now, __ATOMIC_ACQUIRE)
#define KERNELS_STORE(k) __atomic_store_n(&kernels_now, (k), __ATOMIC_RELEASE)
#else
#define KERNELS_LOAD() kernels_now
#define KERNELS_STORE(k) (kernels_now = (k))
#endif

MGI_FN const mgi_kernels *mgi_kernels_get(void)
{
    const mgi_kernels *k = KERNELS_LOAD();
    if (!k) {
        const int i = kernels_index(getenv("MANGO_SIMD"));
        k = kernels_best(i < 0 ? KERNELS_SETS - 1 : i);
        KERNELS_STORE(k);
    }
    return k;
}

MGI_FN const mgi_kernels *mgi_kernels_named(const char *name)
{
    const int i = kernels_index(name);
    return i < 0 ? NULL : kernels_set(i);
}

MGI_FN int mgi_kernels_force(const char *name)
{
    const mgi_kernels *k = mgi_kernels_named(name);
    if (!k)
        return 0;
    KERNELS_STORE(k);
    return 1;
}

#undef KERNELS_SETS
#undef KERNELS_LOAD
#undef KERNELS_STORE
/* ---- end math/kernels.c ------------------------------------------------------------- */

/* ---- begin math/kernels_ref.c ------------------------------------------------------- */
/* kernels_ref.c - every entry of the kernel table in plain C: documentation,
 * fallback and oracle. The bodies are compiled twice: with the CPU's fused
 * multiply-add instruction where there is one, else through mgi_fmaf; the bits
 * are the same.
 */

#define REF_MR 4
#define REF_NR 16

#if defined(__GNUC__)
#define REF_BODY static inline __attribute__((always_inline)) void
#else
#define REF_BODY static void
#endif
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define REF_HW __attribute__((target("fma")))
#elif defined(__FP_FAST_FMAF) || defined(__aarch64__)
#define REF_HW
#define REF_ALWAYS_HW 1
#endif

/* One step of a chain; hw is a constant in every caller. */
#if defined(REF_HW)
#define REF_FMA(hw, a, b, c) ((hw) ? __builtin_fmaf(a, b, c) : mgi_fmaf(a, b, c))
#else
#define REF_FMA(hw, a, b, c) mgi_fmaf(a, b, c)
#endif

REF_BODY ref_tile(int hw, mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                  const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    float acc[REF_MR][REF_NR];
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < REF_NR; j++)
            acc[i][j] = load && j < n ? c[i * ldc + j] : 0.0f;
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * REF_NR;
        for (mango_idx k = 0; k < tap[t].n; k++, B += REF_NR)
            for (mango_idx i = 0; i < m; i++) {
                const float x = a[i][tap[t].a + k];
                for (mango_idx j = 0; j < REF_NR; j++)
                    acc[i][j] = REF_FMA(hw, x, B[j], acc[i][j]);
            }
    }
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < n; j++)
            c[i * ldc + j] = acc[i][j];
}

REF_BODY ref_outer(int hw, mango_idx m, mango_idx n, const float *a, mango_idx lda,
                   const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,
                   mango_idx ldc, int load)
{
    float acc[REF_MR][REF_NR] = {{0.0f}};
    for (mango_idx i = 0; load && i < m; i++)
        for (mango_idx j = 0; j < n; j++)
            acc[i][j] = c[i * ldc + j];
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = 0; p < run[r].n; p++, A += lda, B += ldb)
            for (mango_idx i = 0; i < m; i++)
                for (mango_idx j = 0; j < n; j++)
                    acc[i][j] = REF_FMA(hw, A[i], B[j], acc[i][j]);
    }
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < n; j++)
            c[i * ldc + j] = acc[i][j];
}

REF_BODY ref_axpy(int hw, mango_idx n, float a, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = REF_FMA(hw, a, x[i], y[i]);
}

REF_BODY ref_scale_shift(int hw, mango_idx rows, mango_idx nb, const float *s, const float *t,
                         const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i++)
            y[i] = REF_FMA(hw, s[i], x[i], t[i]);
}

MGI_FN void mgi_ref_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                       const mango_idx *off, const float *bias, const float *res, int relu,
                       float *y)
{
    for (mango_idx i = 0; i < m; i++)
        for (mango_idx j = 0; j < n; j++) {
            float v = acc[i * ldacc + j];
            if (bias)
                v += bias[j];
            if (res)
                v += res[off[i] + j];
            y[off[i] + j] = relu && !(v > 0.0f) ? 0.0f : v;
        }
}

MGI_FN void mgi_ref_add(mango_idx n, const float *x, const float *y, float *z)
{
    for (mango_idx i = 0; i < n; i++)
        z[i] = x[i] + y[i];
}

MGI_FN void mgi_ref_relu(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

MGI_FN void mgi_ref_maximum(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

static void ref_gather(mango_idx panels, mango_idx m, mango_idx per,
                       const mgi_gather *run, const float *b, mango_idx pitch,
                       float *acc, int load)
{
    mgi_ref_gather(REF_NR, panels, m, per, run, b, pitch, acc, load);
}

/* The four entries that multiply and add, for one kind of fma, and the table. */
#define REF_TABLE(sfx, hw, attr)                                                               \
    attr static void ref_tile_##sfx(mango_idx m, mango_idx n, const float *const *a,           \
                                    mango_idx ntap, const mgi_tap *tap, const float *b,        \
                                    float *c, mango_idx ldc, int load)                         \
    {                                                                                          \
        ref_tile(hw, m, n, a, ntap, tap, b, c, ldc, load);                                     \
    }                                                                                          \
    attr static void ref_outer_##sfx(mango_idx m, mango_idx n, const float *a, mango_idx lda,  \
                                     const float *b, mango_idx ldb, mango_idx nrun,            \
                                     const mgi_tap *run, float *c, mango_idx ldc, int load)    \
    {                                                                                          \
        ref_outer(hw, m, n, a, lda, b, ldb, nrun, run, c, ldc, load);                          \
    }                                                                                          \
    attr static void ref_axpy_##sfx(mango_idx n, float a, const float *x, float *y)            \
    {                                                                                          \
        ref_axpy(hw, n, a, x, y);                                                              \
    }                                                                                          \
    attr static void ref_scale_shift_##sfx(mango_idx rows, mango_idx nb, const float *s,       \
                                           const float *t, const float *x, float *y)           \
    {                                                                                          \
        ref_scale_shift(hw, rows, nb, s, t, x, y);                                             \
    }                                                                                          \
    static const mgi_kernels ref_table_##sfx = {                                               \
        "ref",          REF_MR,       REF_NR,                ref_tile_##sfx,                   \
        ref_outer_##sfx, mgi_ref_finish, mgi_ref_add,         ref_axpy_##sfx,                  \
        mgi_ref_relu,   mgi_ref_maximum, ref_scale_shift_##sfx, mgi_lif_ref,                      \
        4,              ref_gather,   mgi_ref_lif_bits};

#if !defined(REF_ALWAYS_HW)
REF_TABLE(soft, 0, )
#endif
#if defined(REF_HW)
REF_TABLE(hard, 1, REF_HW)
#endif

MGI_FN const mgi_kernels *mgi_kernels_ref(void)
{
#if defined(REF_ALWAYS_HW)
    return &ref_table_hard;
#elif defined(REF_HW)
    __builtin_cpu_init();
    return __builtin_cpu_supports("fma") ? &ref_table_hard : &ref_table_soft;
#else
    return &ref_table_soft;
#endif
}

#undef REF_MR
#undef REF_NR
#undef REF_BODY
#undef REF_HW
#undef REF_ALWAYS_HW
#undef REF_FMA
#undef REF_TABLE
/* ---- end math/kernels_ref.c --------------------------------------------------------- */

/* ---- begin math/kernels_sse2.c ------------------------------------------------------ */
/* kernels_sse2.c - the kernel table for every x86-64: tiles of 4 x 4. There is
 * no fma instruction; x2_fma makes it exactly, through double.
 */

#if defined(__GNUC__) && defined(__SSE2__)
#include <emmintrin.h>

/* a*b + c with one rounding, two lanes. The product of two floats is exact in
 * double; the sum is made odd-rounded (its last bit set when it is inexact), so
 * that the rounding to float cannot be led astray by the rounding to double. */
static inline __attribute__((always_inline)) __m128d x2_fma_odd(__m128d a, __m128d b, __m128d c)
{
    const __m128d p = _mm_mul_pd(a, b), s = _mm_add_pd(p, c);
    const __m128d t = _mm_sub_pd(s, p); /* the error of s, exactly (Knuth) */
    const __m128d e = _mm_add_pd(_mm_sub_pd(p, _mm_sub_pd(s, t)), _mm_sub_pd(c, t));
    const __m128d zero = _mm_setzero_pd();
    const __m128i one = _mm_set1_epi64x(1), bits = _mm_castpd_si128(s);
    const __m128d inexact = _mm_or_pd(_mm_cmplt_pd(e, zero), _mm_cmpgt_pd(e, zero));
    /* toward zero when e and s have opposite signs, then set the last bit */
    const __m128d sign = _mm_set1_pd(-0.0);
    const __m128i back = _mm_srli_epi64(_mm_castpd_si128(_mm_and_pd(_mm_xor_pd(e, s), sign)), 63);
    const __m128i odd = _mm_or_si128(_mm_sub_epi64(bits, back), one);
    const __m128i pick = _mm_castpd_si128(inexact);
    return _mm_castsi128_pd(_mm_or_si128(_mm_and_si128(pick, odd), _mm_andnot_si128(pick, bits)));
}

static inline __attribute__((always_inline)) __m128 x2_fma(__m128 a, __m128 b, __m128 c)
{
    const __m128d lo = x2_fma_odd(_mm_cvtps_pd(a), _mm_cvtps_pd(b), _mm_cvtps_pd(c));
    const __m128d hi = x2_fma_odd(_mm_cvtps_pd(_mm_movehl_ps(a, a)),
                                  _mm_cvtps_pd(_mm_movehl_ps(b, b)),
                                  _mm_cvtps_pd(_mm_movehl_ps(c, c)));
    return _mm_movelh_ps(_mm_cvtpd_ps(lo), _mm_cvtpd_ps(hi));
}

/* n <= 4 floats from or to memory. */
static inline __m128 x2_load(const float *p, mango_idx n)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (n >= 4)
        return _mm_loadu_ps(p);
    memcpy(t, p, (size_t)n * sizeof *t);
    return _mm_loadu_ps(t);
}

static inline void x2_store(float *p, mango_idx n, __m128 v)
{
    float t[4];
    if (n >= 4) {
        _mm_storeu_ps(p, v);
        return;
    }
    _mm_storeu_ps(t, v);
    memcpy(p, t, (size_t)n * sizeof *t);
}

static void x2_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                    const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    __m128 s[4];
    for (mango_idx i = 0; i < m; i++)
        s[i] = load ? x2_load(c + i * ldc, n) : _mm_setzero_ps();
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * 4;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 4) {
            const __m128 v = _mm_loadu_ps(B);
            for (mango_idx i = 0; i < m; i++)
                s[i] = x2_fma(_mm_set1_ps(a[i][k]), v, s[i]);
        }
    }
    for (mango_idx i = 0; i < m; i++)
        x2_store(c + i * ldc, n, s[i]);
}

static void x2_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                     mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                     int load)
{
    __m128 s[4];
    for (mango_idx i = 0; i < m; i++)
        s[i] = load ? x2_load(c + i * ldc, n) : _mm_setzero_ps();
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = run[r].n; p > 0; p--, A += lda, B += ldb) {
            const __m128 v = x2_load(B, n);
            for (mango_idx i = 0; i < m; i++)
                s[i] = x2_fma(_mm_set1_ps(A[i]), v, s[i]);
        }
    }
    for (mango_idx i = 0; i < m; i++)
        x2_store(c + i * ldc, n, s[i]);
}

static void x2_axpy(mango_idx n, float a, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 4) {
        const mango_idx m = MGI_MIN(4, n - i);
        x2_store(y + i, m, x2_fma(_mm_set1_ps(a), x2_load(x + i, m), x2_load(y + i, m)));
    }
}

static void x2_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                           const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i += 4) {
            const mango_idx m = MGI_MIN(4, nb - i);
            x2_store(y + i, m, x2_fma(x2_load(s + i, m), x2_load(x + i, m), x2_load(t + i, m)));
        }
}

static void x2_gather(mango_idx panels, mango_idx m, mango_idx per,
                      const mgi_gather *run, const float *b, mango_idx pitch,
                      float *acc, int load)
{
    __m128 s[8];
    for (; m > 0; m--, acc += panels * 4) {
        for (mango_idx q = 0; q < panels; q++)
            s[q] = load ? _mm_loadu_ps(acc + q * 4) : _mm_setzero_ps();
        for (const mgi_gather *end = run + per; run < end; run++)
            for (mango_idx i = 0; i < run->n; i++) {
                const float *row = b + run->b + run->at[i];
                for (mango_idx q = 0; q < panels; q++)
                    s[q] = _mm_add_ps(s[q], _mm_loadu_ps(row + q * pitch));
            }
        for (mango_idx q = 0; q < panels; q++)
            _mm_storeu_ps(acc + q * 4, s[q]);
    }
}

static const mgi_kernels x2_table = {"sse2", 4, 4, x2_tile, x2_outer, mgi_ref_finish, mgi_ref_add,
                                     x2_axpy, mgi_ref_relu, mgi_ref_maximum, x2_scale_shift,
                                     mgi_lif_ref, 8, x2_gather, mgi_ref_lif_bits};

MGI_FN const mgi_kernels *mgi_kernels_sse2(void)
{
    return &x2_table;
}

#else

MGI_FN const mgi_kernels *mgi_kernels_sse2(void)
{
    return NULL;
}

#endif
/* ---- end math/kernels_sse2.c -------------------------------------------------------- */

/* ---- begin math/kernels_x86.c ------------------------------------------------------- */
/* kernels_x86.c - the kernel table for AVX2 with FMA, and for AVX-512.
 *
 * Tiles hold all their sums in registers and read, per k, one vector row of B
 * and one broadcast value for each row of A:
 *   avx512  14 x 32: 28 sums of 16 floats + 2 of B + 1 of A = 31 of 32 registers
 *   avx2     6 x 16: 12 sums of  8 floats + 2 of B + 1 of A = 15 of 16 registers
 * A body takes its number of rows M and of vectors V as constants; the tables
 * below hold one instance for each, so that a remainder costs what it needs.
 */

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#define X86_ROWS6(F) F(0) F(1) F(2) F(3) F(4) F(5)
#define X86_ROWS14(F) X86_ROWS6(F) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13)

/* ---- AVX-512 ------------------------------------------------------------- */
#define X5 static __attribute__((target("avx512f")))
#define X5_BODY static inline __attribute__((always_inline, target("avx512f")))

/* The first n of 16 lanes. */
X5_BODY __mmask16 x5_mask(mango_idx n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : n <= 0 ? 0u : (1u << n) - 1u);
}

/* Unrolled by hand for registers: u##i, v##i are the two vectors of row i. */
#define X5_SUMS(i) __m512 u##i = _mm512_setzero_ps(), v##i = u##i;
#define X5_LOAD(i)                                                                             \
    if (M > i) {                                                                               \
        u##i = _mm512_maskz_loadu_ps(k0, c + i * ldc);                                         \
        if (V > 1)                                                                             \
            v##i = _mm512_maskz_loadu_ps(k1, c + i * ldc + 16);                                \
    }
#define X5_FMA(i, a)                                                                           \
    if (M > i) {                                                                               \
        const __m512 s = _mm512_set1_ps(a);                                                    \
        u##i = _mm512_fmadd_ps(s, b0, u##i);                                                   \
        if (V > 1)                                                                             \
            v##i = _mm512_fmadd_ps(s, b1, v##i);                                               \
    }
#define X5_STORE(i)                                                                            \
    if (M > i) {                                                                               \
        _mm512_mask_storeu_ps(c + i * ldc, k0, u##i);                                          \
        if (V > 1)                                                                             \
            _mm512_mask_storeu_ps(c + i * ldc + 16, k1, v##i);                                 \
    }

X5_BODY void x5_tile_body(int M, int V, mango_idx n, const float *const *a, mango_idx ntap,
                          const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    const __mmask16 k0 = x5_mask(n), k1 = x5_mask(n - 16);
    X86_ROWS14(X5_SUMS)
    if (load) {
        X86_ROWS14(X5_LOAD)
    }
#define X5_ROW(i) const float *const a##i = a[M > i ? i : 0];
    X86_ROWS14(X5_ROW)
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * 32;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 32) {
            const __m512 b0 = _mm512_loadu_ps(B), b1 = V > 1 ? _mm512_loadu_ps(B + 16) : b0;
#define X5_STEP(i) X5_FMA(i, a##i[k])
            X86_ROWS14(X5_STEP)
        }
    }
    X86_ROWS14(X5_STORE)
}

X5_BODY void x5_outer_body(int M, int V, mango_idx n, const float *a, mango_idx lda,
                           const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run,
                           float *c, mango_idx ldc, int load)
{
    const __mmask16 k0 = x5_mask(n), k1 = x5_mask(n - 16);
    X86_ROWS14(X5_SUMS)
    if (load) {
        X86_ROWS14(X5_LOAD)
    }
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = run[r].n; p > 0; p--, A += lda, B += ldb) {
            const __m512 b0 = _mm512_maskz_loadu_ps(k0, B);
            const __m512 b1 = V > 1 ? _mm512_maskz_loadu_ps(k1, B + 16) : b0;
#define X5_PIX(i) X5_FMA(i, A[i])
            X86_ROWS14(X5_PIX)
        }
    }
    X86_ROWS14(X5_STORE)
}

/* One instance for each count of rows and vectors, and the tables of them. */
#define X5_INST(m, v)                                                                          \
    X5 void x5_tile_##m##_##v(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const float *b, float *c, mango_idx ldc,     \
                              int load)                                                        \
    {                                                                                          \
        x5_tile_body(m, v, n, a, ntap, tap, b, c, ldc, load);                                  \
    }                                                                                          \
    X5 void x5_outer_##m##_##v(mango_idx n, const float *a, mango_idx lda, const float *b,     \
                               mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,    \
                               mango_idx ldc, int load)                                        \
    {                                                                                          \
        x5_outer_body(m, v, n, a, lda, b, ldb, nrun, run, c, ldc, load);                       \
    }
#define X5_PAIR(m) X5_INST(m, 1) X5_INST(m, 2)
X5_PAIR(1) X5_PAIR(2) X5_PAIR(3) X5_PAIR(4) X5_PAIR(5) X5_PAIR(6) X5_PAIR(7)
X5_PAIR(8) X5_PAIR(9) X5_PAIR(10) X5_PAIR(11) X5_PAIR(12) X5_PAIR(13) X5_PAIR(14)

typedef void (*x86_tile_fn)(mango_idx n, const float *const *a, mango_idx ntap,
                            const mgi_tap *tap, const float *b, float *c, mango_idx ldc,
                            int load);
typedef void (*x86_outer_fn)(mango_idx n, const float *a, mango_idx lda, const float *b,
                             mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,
                             mango_idx ldc, int load);

static void x5_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                    const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
#define X5_NAME(m) {x5_tile_##m##_1, x5_tile_##m##_2}
    static const x86_tile_fn fn[14][2] = {
        X5_NAME(1), X5_NAME(2), X5_NAME(3), X5_NAME(4), X5_NAME(5), X5_NAME(6), X5_NAME(7),
        X5_NAME(8), X5_NAME(9), X5_NAME(10), X5_NAME(11), X5_NAME(12), X5_NAME(13), X5_NAME(14)};
    fn[m - 1][n > 16](n, a, ntap, tap, b, c, ldc, load);
}

static void x5_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                     mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                     int load)
{
#undef X5_NAME
#define X5_NAME(m) {x5_outer_##m##_1, x5_outer_##m##_2}
    static const x86_outer_fn fn[14][2] = {
        X5_NAME(1), X5_NAME(2), X5_NAME(3), X5_NAME(4), X5_NAME(5), X5_NAME(6), X5_NAME(7),
        X5_NAME(8), X5_NAME(9), X5_NAME(10), X5_NAME(11), X5_NAME(12), X5_NAME(13), X5_NAME(14)};
    fn[m - 1][n > 16](n, a, lda, b, ldb, nrun, run, c, ldc, load);
}

X5 void x5_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                  const mango_idx *off, const float *bias, const float *res, int relu, float *y)
{
    const __m512 low = _mm512_setzero_ps();
    for (mango_idx j = 0; j < n; j += 16) {
        const __mmask16 k = x5_mask(n - j);
        const __m512 t = bias ? _mm512_maskz_loadu_ps(k, bias + j) : low;
        for (mango_idx i = 0; i < m; i++) {
            __m512 v = _mm512_maskz_loadu_ps(k, acc + i * ldacc + j);
            if (bias)
                v = _mm512_add_ps(v, t);
            if (res)
                v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(k, res + off[i] + j));
            if (relu)
                v = _mm512_max_ps(v, low); /* NaN or equal: low */
            _mm512_mask_storeu_ps(y + off[i] + j, k, v);
        }
    }
}

X5 void x5_add(mango_idx n, const float *x, const float *y, float *z)
{
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(z + i, k, _mm512_add_ps(_mm512_maskz_loadu_ps(k, x + i),
                                                      _mm512_maskz_loadu_ps(k, y + i)));
    }
}

X5 void x5_axpy(mango_idx n, float a, const float *x, float *y)
{
    const __m512 s = _mm512_set1_ps(a);
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_fmadd_ps(s, _mm512_maskz_loadu_ps(k, x + i),
                                                        _mm512_maskz_loadu_ps(k, y + i)));
    }
}

X5 void x5_relu(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_max_ps(_mm512_maskz_loadu_ps(k, x + i),
                                                      _mm512_setzero_ps()));
    }
}

X5 void x5_maximum(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 16) {
        const __mmask16 k = x5_mask(n - i);
        _mm512_mask_storeu_ps(y + i, k, _mm512_max_ps(_mm512_maskz_loadu_ps(k, x + i),
                                                      _mm512_maskz_loadu_ps(k, y + i)));
    }
}

X5 void x5_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                       const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i += 16) {
            const __mmask16 k = x5_mask(nb - i);
            const __m512 v = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(k, s + i),
                                             _mm512_maskz_loadu_ps(k, x + i),
                                             _mm512_maskz_loadu_ps(k, t + i));
            _mm512_mask_storeu_ps(y + i, k, v);
        }
}

/* ---- AVX2 and FMA -------------------------------------------------------- */
#define X3 static __attribute__((target("avx2,fma")))
#define X3_BODY static inline __attribute__((always_inline, target("avx2,fma")))

/* The first n of 8 lanes. */
X3_BODY __m256i x3_mask(mango_idx n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)MGI_MIN(n, 8)), lane);
}

#define X3_SUMS(i) __m256 u##i = _mm256_setzero_ps(), v##i = u##i;
#define X3_LOAD(i)                                                                             \
    if (M > i) {                                                                               \
        u##i = _mm256_maskload_ps(c + i * ldc, k0);                                            \
        if (V > 1)                                                                             \
            v##i = _mm256_maskload_ps(c + i * ldc + 8, k1);                                    \
    }
#define X3_FMA(i, a)                                                                           \
    if (M > i) {                                                                               \
        const __m256 s = _mm256_set1_ps(a);                                                    \
        u##i = _mm256_fmadd_ps(s, b0, u##i);                                                   \
        if (V > 1)                                                                             \
            v##i = _mm256_fmadd_ps(s, b1, v##i);                                               \
    }
#define X3_STORE(i)                                                                            \
    if (M > i) {                                                                               \
        _mm256_maskstore_ps(c + i * ldc, k0, u##i);                                            \
        if (V > 1)                                                                             \
            _mm256_maskstore_ps(c + i * ldc + 8, k1, v##i);                                    \
    }

X3_BODY void x3_tile_body(int M, int V, mango_idx n, const float *const *a, mango_idx ntap,
                          const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    const __m256i k0 = x3_mask(n), k1 = x3_mask(n - 8);
    X86_ROWS6(X3_SUMS)
    if (load) {
        X86_ROWS6(X3_LOAD)
    }
#define X3_ROW(i) const float *const a##i = a[M > i ? i : 0];
    X86_ROWS6(X3_ROW)
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * 16;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 16) {
            const __m256 b0 = _mm256_loadu_ps(B), b1 = V > 1 ? _mm256_loadu_ps(B + 8) : b0;
#define X3_STEP(i) X3_FMA(i, a##i[k])
            X86_ROWS6(X3_STEP)
        }
    }
    X86_ROWS6(X3_STORE)
}

/* full: all the columns of V vectors are there (a masked load is slow on some CPUs). */
X3_BODY void x3_outer_body(int M, int V, int full, mango_idx n, const float *a, mango_idx lda,
                           const float *b, mango_idx ldb, mango_idx nrun, const mgi_tap *run,
                           float *c, mango_idx ldc, int load)
{
    const __m256i k0 = x3_mask(n), k1 = x3_mask(n - 8);
    X86_ROWS6(X3_SUMS)
    if (load) {
        X86_ROWS6(X3_LOAD)
    }
    for (mango_idx r = 0; r < nrun; r++) {
        const float *A = a + run[r].a, *B = b + run[r].b;
        for (mango_idx p = run[r].n; p > 0; p--, A += lda, B += ldb) {
            const __m256 b0 = full || V > 1 ? _mm256_loadu_ps(B) : _mm256_maskload_ps(B, k0);
            const __m256 b1 = V < 2 ? b0 : full ? _mm256_loadu_ps(B + 8)
                                                : _mm256_maskload_ps(B + 8, k1);
#define X3_PIX(i) X3_FMA(i, A[i])
            X86_ROWS6(X3_PIX)
        }
    }
    X86_ROWS6(X3_STORE)
}

#define X3_INST(m, v)                                                                          \
    X3 void x3_tile_##m##_##v(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const float *b, float *c, mango_idx ldc,     \
                              int load)                                                        \
    {                                                                                          \
        x3_tile_body(m, v, n, a, ntap, tap, b, c, ldc, load);                                  \
    }                                                                                          \
    X3 void x3_outer_##m##_##v(mango_idx n, const float *a, mango_idx lda, const float *b,     \
                               mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,    \
                               mango_idx ldc, int load)                                        \
    {                                                                                          \
        if (n == 8 * v)                                                                        \
            x3_outer_body(m, v, 1, n, a, lda, b, ldb, nrun, run, c, ldc, load);                \
        else                                                                                   \
            x3_outer_body(m, v, 0, n, a, lda, b, ldb, nrun, run, c, ldc, load);                \
    }
#define X3_PAIR(m) X3_INST(m, 1) X3_INST(m, 2)
X3_PAIR(1) X3_PAIR(2) X3_PAIR(3) X3_PAIR(4) X3_PAIR(5) X3_PAIR(6)

static void x3_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                    const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
#define X3_NAME(m) {x3_tile_##m##_1, x3_tile_##m##_2}
    static const x86_tile_fn fn[6][2] = {X3_NAME(1), X3_NAME(2), X3_NAME(3),
                                         X3_NAME(4), X3_NAME(5), X3_NAME(6)};
    fn[m - 1][n > 8](n, a, ntap, tap, b, c, ldc, load);
}

static void x3_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                     mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                     int load)
{
#undef X3_NAME
#define X3_NAME(m) {x3_outer_##m##_1, x3_outer_##m##_2}
    static const x86_outer_fn fn[6][2] = {X3_NAME(1), X3_NAME(2), X3_NAME(3),
                                          X3_NAME(4), X3_NAME(5), X3_NAME(6)};
    fn[m - 1][n > 8](n, a, lda, b, ldb, nrun, run, c, ldc, load);
}

X3 void x3_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                  const mango_idx *off, const float *bias, const float *res, int relu, float *y)
{
    const __m256 low = _mm256_setzero_ps();
    for (mango_idx j = 0; j < n; j += 8) {
        const __m256i k = x3_mask(n - j);
        const __m256 t = bias ? _mm256_maskload_ps(bias + j, k) : low;
        for (mango_idx i = 0; i < m; i++) {
            __m256 v = _mm256_maskload_ps(acc + i * ldacc + j, k);
            if (bias)
                v = _mm256_add_ps(v, t);
            if (res)
                v = _mm256_add_ps(v, _mm256_maskload_ps(res + off[i] + j, k));
            if (relu)
                v = _mm256_max_ps(v, low);
            _mm256_maskstore_ps(y + off[i] + j, k, v);
        }
    }
}

X3 void x3_add(mango_idx n, const float *x, const float *y, float *z)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(z + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        z[i] = x[i] + y[i];
}

X3 void x3_axpy(mango_idx n, float a, const float *x, float *y)
{
    const __m256 s = _mm256_set1_ps(a);
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(s, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = __builtin_fmaf(a, x[i], y[i]);
}

X3 void x3_relu(mango_idx n, const float *x, float *y)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_max_ps(_mm256_loadu_ps(x + i), _mm256_setzero_ps()));
    for (; i < n; i++)
        y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

X3 void x3_maximum(mango_idx n, const float *x, float *y)
{
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_max_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

X3 void x3_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                       const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb) {
        mango_idx i = 0;
        for (; i + 8 <= nb; i += 8)
            _mm256_storeu_ps(y + i, _mm256_fmadd_ps(_mm256_loadu_ps(s + i), _mm256_loadu_ps(x + i),
                                                    _mm256_loadu_ps(t + i)));
        for (; i < nb; i++)
            y[i] = __builtin_fmaf(s[i], x[i], t[i]);
    }
}

/* ---- LIF, 8 neurons at a time -------------------------------------------- */
/* No fma in the target: nothing can be contracted. The order is lifstep.h's. */
#define XL static __attribute__((target("avx2")))
#define XL_BODY static inline __attribute__((always_inline, target("avx2")))

XL_BODY __m256 xl_fires(int on_equal, __m256 H, __m256 U_thr)
{
    return on_equal ? _mm256_cmp_ps(H, U_thr, _CMP_GE_OQ) : _mm256_cmp_ps(H, U_thr, _CMP_GT_OQ);
}

XL_BODY __m256 xl_charge(const mgi_lif_rule *r, __m256 U, __m256 X)
{
    const __m256 gX = _mm256_mul_ps(_mm256_set1_ps(r->gain), X);
    if (r->charge == MGI_CHARGE_LEAK)
        return _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(r->beta), U), gX);
    const __m256 d = _mm256_sub_ps(U, _mm256_set1_ps(r->U_rest)), tau = _mm256_set1_ps(r->tau);
    if (r->charge == MGI_CHARGE_TAU)
        return _mm256_add_ps(U, _mm256_div_ps(_mm256_sub_ps(gX, d), tau));
    return _mm256_add_ps(_mm256_sub_ps(U, _mm256_div_ps(d, tau)), gX);
}

XL void xl_lif(mango_idx n, const mgi_lif_rule *r, const float *X, float *U, float *S)
{
    const __m256 one = _mm256_set1_ps(1.0f), thr = _mm256_set1_ps(r->U_thr);
    const __m256 value = _mm256_set1_ps(r->U_reset);
    const int subtract = r->reset == MGI_RESET_SUBTRACT, set = r->reset == MGI_RESET_VALUE;
    mango_idx i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 u = _mm256_loadu_ps(U + i);
        const __m256 pending = xl_fires(r->on_equal, u, thr);
        if (r->delay && set)
            u = _mm256_blendv_ps(u, value, pending);
        __m256 H = xl_charge(r, u, _mm256_loadu_ps(X + i));
        if (r->delay && subtract)
            H = _mm256_blendv_ps(H, _mm256_sub_ps(H, thr), pending);
        const __m256 fires = xl_fires(r->on_equal, H, thr);
        _mm256_storeu_ps(S + i, _mm256_and_ps(fires, one));
        if (!r->delay && subtract)
            H = _mm256_blendv_ps(H, _mm256_sub_ps(H, thr), fires);
        if (!r->delay && set)
            H = _mm256_blendv_ps(H, value, fires);
        _mm256_storeu_ps(U + i, H);
    }
    mgi_lif_ref(n - i, r, X + i, U + i, S + i);
}

/* ---- the tables ---------------------------------------------------------- */
/* GCC for Windows does not align the stack for wide registers: SSE2 only. */
#if defined(_WIN32) && !defined(__clang__)
#define X86_HAS(feature) 0
#else
#define X86_HAS(feature) (__builtin_cpu_init(), __builtin_cpu_supports(feature))
#endif

static const mgi_kernels x3_table = {"avx2", 6, 16, x3_tile, x3_outer, x3_finish, x3_add, x3_axpy,
                                     x3_relu, x3_maximum, x3_scale_shift, xl_lif, 4,
                                     mgi_avx2_gather, mgi_avx2_lif_bits};
static const mgi_kernels x5_table = {"avx512", 14, 32, x5_tile, x5_outer, x5_finish, x5_add,
                                     x5_axpy, x5_relu, x5_maximum, x5_scale_shift, xl_lif, 2,
                                     mgi_avx512_gather, mgi_avx2_lif_bits};

MGI_FN const mgi_kernels *mgi_kernels_avx2(void)
{
    return X86_HAS("avx2") && X86_HAS("fma") ? &x3_table : NULL;
}

MGI_FN const mgi_kernels *mgi_kernels_avx512(void)
{
    return X86_HAS("avx512f") && X86_HAS("avx2") ? &x5_table : NULL;
}

#else

MGI_FN const mgi_kernels *mgi_kernels_avx2(void)
{
    return NULL;
}

MGI_FN const mgi_kernels *mgi_kernels_avx512(void)
{
    return NULL;
}

#endif

#undef X86_ROWS6
#undef X86_ROWS14
#undef X5
#undef X5_BODY
#undef X5_SUMS
#undef X5_LOAD
#undef X5_FMA
#undef X5_STORE
#undef X5_ROW
#undef X5_STEP
#undef X5_PIX
#undef X5_INST
#undef X5_PAIR
#undef X5_NAME
#undef X3
#undef X3_BODY
#undef X3_SUMS
#undef X3_LOAD
#undef X3_FMA
#undef X3_STORE
#undef X3_ROW
#undef X3_STEP
#undef X3_PIX
#undef X3_INST
#undef X3_PAIR
#undef X3_NAME
#undef XL
#undef XL_BODY
#undef X86_HAS
/* ---- end math/kernels_x86.c --------------------------------------------------------- */

/* ---- begin math/kernels_neon.c ------------------------------------------------------ */
/* kernels_neon.c - the kernel table for 64-bit ARM: tiles of 6 x 16, that is 24
 * sums of 4 floats + 4 vectors of B + the values of A in the 32 registers.
 */

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

#define NEON_BODY static inline __attribute__((always_inline)) void
#define NEON_ROWS(F) F(0) F(1) F(2) F(3) F(4) F(5)

/* n <= 4 floats from or to memory. */
static inline float32x4_t neon_get(const float *p, mango_idx n)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (n >= 4)
        return vld1q_f32(p);
    if (n > 0)
        memcpy(t, p, (size_t)n * sizeof *t);
    return vld1q_f32(t);
}

static inline void neon_put(float *p, mango_idx n, float32x4_t v)
{
    float t[4];
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    vst1q_f32(t, v);
    if (n > 0)
        memcpy(p, t, (size_t)n * sizeof *t);
}

/* Unrolled by hand for registers: p##i .. s##i are the four vectors of row i. */
#define NEON_SUMS(i) float32x4_t p##i = vdupq_n_f32(0.0f), q##i = p##i, r##i = p##i, s##i = p##i;
#define NEON_LOAD(i)                                                                           \
    if (M > i) {                                                                               \
        p##i = neon_get(c + i * ldc, n);                                                       \
        q##i = neon_get(c + i * ldc + 4, n - 4);                                               \
        r##i = neon_get(c + i * ldc + 8, n - 8);                                               \
        s##i = neon_get(c + i * ldc + 12, n - 12);                                             \
    }
#define NEON_FMA(i, a)                                                                         \
    if (M > i) {                                                                               \
        const float32x4_t v = vdupq_n_f32(a);                                                  \
        p##i = vfmaq_f32(p##i, b0, v);                                                         \
        q##i = vfmaq_f32(q##i, b1, v);                                                         \
        r##i = vfmaq_f32(r##i, b2, v);                                                         \
        s##i = vfmaq_f32(s##i, b3, v);                                                         \
    }
#define NEON_STORE(i)                                                                          \
    if (M > i) {                                                                               \
        neon_put(c + i * ldc, n, p##i);                                                        \
        neon_put(c + i * ldc + 4, n - 4, q##i);                                                \
        neon_put(c + i * ldc + 8, n - 8, r##i);                                                \
        neon_put(c + i * ldc + 12, n - 12, s##i);                                              \
    }

NEON_BODY neon_tile_body(int M, mango_idx n, const float *const *a, mango_idx ntap,
                         const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    NEON_ROWS(NEON_SUMS)
    if (load) {
        NEON_ROWS(NEON_LOAD)
    }
#define NEON_ROW(i) const float *const a##i = a[M > i ? i : 0];
    NEON_ROWS(NEON_ROW)
    for (mango_idx t = 0; t < ntap; t++) {
        const float *B = b + tap[t].b * 16;
        for (mango_idx k = tap[t].a, end = k + tap[t].n; k < end; k++, B += 16) {
            const float32x4_t b0 = vld1q_f32(B), b1 = vld1q_f32(B + 4);
            const float32x4_t b2 = vld1q_f32(B + 8), b3 = vld1q_f32(B + 12);
#define NEON_STEP(i) NEON_FMA(i, a##i[k])
            NEON_ROWS(NEON_STEP)
        }
    }
    NEON_ROWS(NEON_STORE)
}

NEON_BODY neon_outer_body(int M, mango_idx n, const float *a, mango_idx lda, const float *b,
                          mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,
                          mango_idx ldc, int load)
{
    NEON_ROWS(NEON_SUMS)
    if (load) {
        NEON_ROWS(NEON_LOAD)
    }
    for (mango_idx t = 0; t < nrun; t++) {
        const float *A = a + run[t].a, *B = b + run[t].b;
        for (mango_idx k = run[t].n; k > 0; k--, A += lda, B += ldb) {
            const float32x4_t b0 = neon_get(B, n), b1 = neon_get(B + 4, n - 4);
            const float32x4_t b2 = neon_get(B + 8, n - 8), b3 = neon_get(B + 12, n - 12);
#define NEON_PIX(i) NEON_FMA(i, A[i])
            NEON_ROWS(NEON_PIX)
        }
    }
    NEON_ROWS(NEON_STORE)
}

#define NEON_INST(m)                                                                           \
    static void neon_tile_##m(mango_idx n, const float *const *a, mango_idx ntap,              \
                              const mgi_tap *tap, const float *b, float *c, mango_idx ldc,     \
                              int load)                                                        \
    {                                                                                          \
        neon_tile_body(m, n, a, ntap, tap, b, c, ldc, load);                                   \
    }                                                                                          \
    static void neon_outer_##m(mango_idx n, const float *a, mango_idx lda, const float *b,     \
                               mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c,    \
                               mango_idx ldc, int load)                                        \
    {                                                                                          \
        if (n == 16)                                                                           \
            neon_outer_body(m, 16, a, lda, b, ldb, nrun, run, c, ldc, load);                   \
        else                                                                                   \
            neon_outer_body(m, n, a, lda, b, ldb, nrun, run, c, ldc, load);                    \
    }
NEON_INST(1) NEON_INST(2) NEON_INST(3) NEON_INST(4) NEON_INST(5) NEON_INST(6)

static void neon_tile(mango_idx m, mango_idx n, const float *const *a, mango_idx ntap,
                      const mgi_tap *tap, const float *b, float *c, mango_idx ldc, int load)
{
    switch (m) {
    case 1: neon_tile_1(n, a, ntap, tap, b, c, ldc, load); break;
    case 2: neon_tile_2(n, a, ntap, tap, b, c, ldc, load); break;
    case 3: neon_tile_3(n, a, ntap, tap, b, c, ldc, load); break;
    case 4: neon_tile_4(n, a, ntap, tap, b, c, ldc, load); break;
    case 5: neon_tile_5(n, a, ntap, tap, b, c, ldc, load); break;
    default: neon_tile_6(n, a, ntap, tap, b, c, ldc, load); break;
    }
}

static void neon_outer(mango_idx m, mango_idx n, const float *a, mango_idx lda, const float *b,
                       mango_idx ldb, mango_idx nrun, const mgi_tap *run, float *c, mango_idx ldc,
                       int load)
{
    switch (m) {
    case 1: neon_outer_1(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 2: neon_outer_2(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 3: neon_outer_3(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 4: neon_outer_4(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    case 5: neon_outer_5(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    default: neon_outer_6(n, a, lda, b, ldb, nrun, run, c, ldc, load); break;
    }
}

/* x > y ? x : y, lane by lane: y when either is NaN or both are zero. */
static inline float32x4_t neon_larger(float32x4_t x, float32x4_t y)
{
    return vbslq_f32(vcgtq_f32(x, y), x, y);
}

static void neon_finish(mango_idx m, mango_idx n, const float *acc, mango_idx ldacc,
                        const mango_idx *off, const float *bias, const float *res, int relu,
                        float *y)
{
    const float32x4_t zero = vdupq_n_f32(0.0f);
    for (mango_idx j = 0; j < n; j += 4) {
        const mango_idx w = MGI_MIN(4, n - j);
        const float32x4_t t = bias ? neon_get(bias + j, w) : zero;
        for (mango_idx i = 0; i < m; i++) {
            float32x4_t v = neon_get(acc + i * ldacc + j, w);
            if (bias)
                v = vaddq_f32(v, t);
            if (res)
                v = vaddq_f32(v, neon_get(res + off[i] + j, w));
            neon_put(y + off[i] + j, w, relu ? neon_larger(v, zero) : v);
        }
    }
}

static void neon_add(mango_idx n, const float *x, const float *y, float *z)
{
    for (mango_idx i = 0; i < n; i += 4)
        neon_put(z + i, n - i, vaddq_f32(neon_get(x + i, n - i), neon_get(y + i, n - i)));
}

static void neon_axpy(mango_idx n, float a, const float *x, float *y)
{
    const float32x4_t s = vdupq_n_f32(a);
    for (mango_idx i = 0; i < n; i += 4)
        neon_put(y + i, n - i, vfmaq_f32(neon_get(y + i, n - i), s, neon_get(x + i, n - i)));
}

static void neon_relu(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 4)
        neon_put(y + i, n - i, neon_larger(neon_get(x + i, n - i), vdupq_n_f32(0.0f)));
}

static void neon_maximum(mango_idx n, const float *x, float *y)
{
    for (mango_idx i = 0; i < n; i += 4)
        neon_put(y + i, n - i, neon_larger(neon_get(x + i, n - i), neon_get(y + i, n - i)));
}

static void neon_scale_shift(mango_idx rows, mango_idx nb, const float *s, const float *t,
                             const float *x, float *y)
{
    for (mango_idx r = 0; r < rows; r++, x += nb, y += nb)
        for (mango_idx i = 0; i < nb; i += 4)
            neon_put(y + i, nb - i, vfmaq_f32(neon_get(t + i, nb - i), neon_get(s + i, nb - i),
                                              neon_get(x + i, nb - i)));
}

static inline uint32x4_t neon_fires(int on_equal, float32x4_t H, float32x4_t U_thr)
{
    return on_equal ? vcgeq_f32(H, U_thr) : vcgtq_f32(H, U_thr);
}

/* The order of operations is lifstep.h's; no fma. */
static inline float32x4_t neon_charge(const mgi_lif_rule *r, float32x4_t U, float32x4_t X)
{
    const float32x4_t gX = vmulq_f32(vdupq_n_f32(r->gain), X), tau = vdupq_n_f32(r->tau);
    if (r->charge == MGI_CHARGE_LEAK)
        return vaddq_f32(vmulq_f32(vdupq_n_f32(r->beta), U), gX);
    const float32x4_t d = vsubq_f32(U, vdupq_n_f32(r->U_rest));
    if (r->charge == MGI_CHARGE_TAU)
        return vaddq_f32(U, vdivq_f32(vsubq_f32(gX, d), tau));
    return vaddq_f32(vsubq_f32(U, vdivq_f32(d, tau)), gX);
}

static void neon_lif(mango_idx n, const mgi_lif_rule *r, const float *X, float *U, float *S)
{
    const float32x4_t one = vdupq_n_f32(1.0f), thr = vdupq_n_f32(r->U_thr);
    const float32x4_t value = vdupq_n_f32(r->U_reset);
    const int subtract = r->reset == MGI_RESET_SUBTRACT, set = r->reset == MGI_RESET_VALUE;
    mango_idx i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t u = vld1q_f32(U + i);
        const uint32x4_t pending = neon_fires(r->on_equal, u, thr);
        if (r->delay && set)
            u = vbslq_f32(pending, value, u);
        float32x4_t H = neon_charge(r, u, vld1q_f32(X + i));
        if (r->delay && subtract)
            H = vbslq_f32(pending, vsubq_f32(H, thr), H);
        const uint32x4_t fires = neon_fires(r->on_equal, H, thr);
        vst1q_f32(S + i, vreinterpretq_f32_u32(vandq_u32(fires, vreinterpretq_u32_f32(one))));
        if (!r->delay && subtract)
            H = vbslq_f32(fires, vsubq_f32(H, thr), H);
        if (!r->delay && set)
            H = vbslq_f32(fires, value, H);
        vst1q_f32(U + i, H);
    }
    mgi_lif_ref(n - i, r, X + i, U + i, S + i);
}

static const mgi_kernels neon_table = {"neon", 6, 16, neon_tile, neon_outer, neon_finish, neon_add,
                                       neon_axpy, neon_relu, neon_maximum, neon_scale_shift,
                                       neon_lif, 4, mgi_neon_gather, mgi_neon_lif_bits};

MGI_FN const mgi_kernels *mgi_kernels_neon(void)
{
    return &neon_table;
}

#undef NEON_BODY
#undef NEON_ROWS
#undef NEON_SUMS
#undef NEON_LOAD
#undef NEON_FMA
#undef NEON_STORE
#undef NEON_ROW
#undef NEON_STEP
#undef NEON_PIX
#undef NEON_INST

#else

MGI_FN const mgi_kernels *mgi_kernels_neon(void)
{
    return NULL;
}

#endif
/* ---- end math/kernels_neon.c -------------------------------------------------------- */

/* ---- begin math/gemm.c -------------------------------------------------------------- */
/* gemm.c - C = A B for any size: B packed in panels of nr columns, K cut in
 * blocks that stay in cache, C tiles of mr x nr from the kernel table. The
 * chain of an output goes on over the blocks (load = 1), so that its bits are
 * those of mgi_gemm_ref.
 */
#if defined(_OPENMP)
#include <omp.h>
#endif

#define GEMM_KC 512 /* k per block: B slice KC x nr and A block MC x KC stay in L2 */
#define GEMM_MC 112 /* rows of A per block, at most (rounded to mr) */

MGI_FN mango_idx mgi_pack_size(mango_idx K, mango_idx N)
{
    const mango_idx nr = mgi_kernels_get()->nr;
    return K * ((N + nr - 1) / nr) * nr;
}

MGI_FN void mgi_pack(mango_idx K, mango_idx N, const float *B, mango_idx sk, mango_idx sn,
                     float *P)
{
    const mango_idx nr = mgi_kernels_get()->nr, panels = (N + nr - 1) / nr;
    MGI_OMP(parallel for if (K * N >= MGI_GRAIN))
    for (mango_idx p = 0; p < panels; p++) {
        const mango_idx n = MGI_MIN(nr, N - p * nr);
        const float *src = B + p * nr * sn;
        float *dst = P + p * nr * K;
        for (mango_idx k = 0; k < K; k++, src += sk, dst += nr) {
            if (sn == 1)
                memcpy(dst, src, (size_t)n * sizeof *dst);
            for (mango_idx j = sn == 1 ? n : 0; j < n; j++)
                dst[j] = src[j * sn];
            for (mango_idx j = n; j < nr; j++)
                dst[j] = 0.0f;
        }
    }
}

/* One product, cut in items of mc rows times a group of B panels. */
typedef struct gemm_job {
    const mgi_kernels *k;
    mango_idx M, N, K, lda, ldc;
    const float *A, *B; /* B packed */
    float *C;
    int opa, load;
    int copy;                 /* 1: rows of A go through scratch        */
    mango_idx mc, pitch;      /* rows per item; floats per scratch row  */
    mango_idx mblocks, groups;
} gemm_job;

static mango_idx gemm_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

static mango_idx gemm_mc(const mgi_kernels *k)
{
    return gemm_up(GEMM_MC, k->mr);
}

/* Scratch of one thread: rows of KC (op n), or KC rows of mc (op t). */
static mango_idx gemm_scratch(const mgi_kernels *k)
{
    return MGI_MAX(gemm_mc(k) * (GEMM_KC + 16), GEMM_KC * gemm_up(gemm_mc(k) + 16, 16));
}

MGI_FN mango_idx mgi_gemm_work(mango_idx M, mango_idx N, mango_idx K, int opa, int opb)
{
    (void)M, (void)opa, (void)opb;
    return gemm_up(mgi_pack_size(K, N), 16) + mango_threads() * gemm_scratch(mgi_kernels_get());
}

/* Bring rows i0.. of block k0.. into scratch: op n keeps rows, op t keeps k-rows. */
static void gemm_copy(const gemm_job *g, mango_idx i0, mango_idx m, mango_idx k0, mango_idx kc,
                      float *s)
{
    const int t = g->opa == 't';
    const mango_idx rows = t ? kc : m;
    const size_t bytes = (size_t)(t ? m : kc) * sizeof *s;
    const float *src = t ? g->A + k0 * g->lda + i0 : g->A + i0 * g->lda + k0;
    for (mango_idx r = 0; r < rows; r++)
        memcpy(s + r * g->pitch, src + r * g->lda, bytes);
}

/* Rows i0 .. i0+m, k from k0, one panel of n columns: tile after tile. */
static void gemm_panel(const gemm_job *g, mango_idx i0, mango_idx m, mango_idx k0, mango_idx kc,
                       mango_idx panel, const float *s)
{
    const mgi_kernels *k = g->k;
    const mango_idx n = MGI_MIN(k->nr, g->N - panel * k->nr);
    const float *B = g->B + panel * k->nr * g->K + k0 * k->nr;
    const mango_idx tiles = (m + k->mr - 1) / k->mr, step = (m + tiles - 1) / tiles;
    const int load = g->load || k0 > 0;
    const mgi_tap run = {0, 0, kc};
    for (mango_idx i = 0; i < m; i += step) {
        const mango_idx mt = MGI_MIN(step, m - i);
        float *C = g->C + (i0 + i) * g->ldc + panel * k->nr;
        if (g->opa == 't') {
            const float *a = g->copy ? s + i : g->A + k0 * g->lda + i0 + i;
            k->outer(mt, n, a, g->copy ? g->pitch : g->lda, B, k->nr, 1, &run, C, g->ldc, load);
        } else {
            const float *row[32];
            for (mango_idx r = 0; r < mt; r++)
                row[r] = g->copy ? s + (i + r) * g->pitch : g->A + (i0 + i + r) * g->lda + k0;
            k->tile(mt, n, row, 1, &run, B, C, g->ldc, load);
        }
    }
}

static void gemm_item(const gemm_job *g, mango_idx item, float *s)
{
    const mango_idx i0 = item / g->groups * g->mc, m = MGI_MIN(g->mc, g->M - i0);
    const mango_idx panels = (g->N + g->k->nr - 1) / g->k->nr, q = item % g->groups;
    const mango_idx p0 = q * panels / g->groups, p1 = (q + 1) * panels / g->groups;
    for (mango_idx k0 = 0; k0 < g->K || k0 == 0; k0 += GEMM_KC) {
        const mango_idx kc = MGI_MIN(GEMM_KC, g->K - k0);
        if (g->copy)
            gemm_copy(g, i0, m, k0, kc, s);
        for (mango_idx p = p0; p < p1; p++)
            gemm_panel(g, i0, m, k0, kc, p, s);
    }
}

/* Cut M and the panels so that the threads get equal shares. */
static void gemm_split(gemm_job *g)
{
    const mango_idx T = mango_threads(), mr = g->k->mr, mc = gemm_mc(g->k);
    const mango_idx panels = (g->N + g->k->nr - 1) / g->k->nr;
    g->mblocks = (g->M + mc - 1) / mc;
    if (g->M >= T * mr * 2 || panels < T)
        g->mblocks = gemm_up(g->mblocks, T);
    g->mc = gemm_up((g->M + g->mblocks - 1) / g->mblocks, mr);
    g->mblocks = (g->M + g->mc - 1) / g->mc;
    g->groups = g->mblocks >= T ? 1 : MGI_MIN(panels, (2 * T + g->mblocks - 1) / g->mblocks);
    /* A few panels do not repay a copy of A, unless its rows fall on few cache sets. */
    g->copy = panels > 2 || g->lda % 1024 == 0;
    g->pitch = g->opa == 't' ? gemm_up(g->mc, 16) + 16 : GEMM_KC + 16;
}

MGI_FN void mgi_gemm(int opa, int opb, mango_idx M, mango_idx N, mango_idx K, const float *A,
                     mango_idx lda, const float *B, mango_idx ldb, float *C, mango_idx ldc,
                     int load, float *work)
{
    gemm_job g = {.k = mgi_kernels_get(), .M = M, .N = N, .K = K, .lda = lda, .ldc = ldc,
                  .A = A, .B = work, .C = C, .opa = opa, .load = load};
    if (M <= 0 || N <= 0)
        return;
    mgi_pack(K, N, B, opb == 't' ? 1 : ldb, opb == 't' ? ldb : 1, work);
    gemm_split(&g);
    float *scratch = work + gemm_up(mgi_pack_size(K, N), 16);
    const mango_idx items = g.mblocks * g.groups, each = gemm_scratch(g.k);
    MGI_OMP(parallel for schedule(dynamic) if (M * N * K > 65536))
    for (mango_idx i = 0; i < items; i++) {
#if defined(_OPENMP)
        gemm_item(&g, i, scratch + omp_get_thread_num() * each);
#else
        gemm_item(&g, i, scratch + 0 * each);
#endif
    }
}

MGI_FN void mgi_gemm_ref(int opa, int opb, mango_idx M, mango_idx N, mango_idx K,
                         const float *A, mango_idx lda, const float *B, mango_idx ldb,
                         float *C, mango_idx ldc, int load)
{
    for (mango_idx i = 0; i < M; i++)
        for (mango_idx j = 0; j < N; j++) {
            float s = load ? C[i * ldc + j] : 0.0f;
            for (mango_idx k = 0; k < K; k++)
                s = mgi_fmaf(opa == 't' ? A[k * lda + i] : A[i * lda + k],
                             opb == 't' ? B[j * ldb + k] : B[k * ldb + j], s);
            C[i * ldc + j] = s;
        }
}

#undef GEMM_KC
#undef GEMM_MC
/* ---- end math/gemm.c ---------------------------------------------------------------- */

/* ---- begin math/convpack.c ---------------------------------------------------------- */
/* convpack.c - the geometry of convolutions, and their weights packed for the
 * kernel table: per stride phase, panels of nr outputs, rows k = (ky,kx,c).
 */

#define CONV_PACK_TAPS 16
#define CONV_PACK_NR 32 /* the widest panel of any kernel set */

MGI_FN int mgi_conv_shape(mgi_conv *c)
{
    if (c->transposed) {
        c->OH = (c->H - 1) * c->sh - 2 * c->ph + c->kh;
        c->OW = (c->W - 1) * c->sw - 2 * c->pw + c->kw;
    } else {
        const mango_idx h = c->H + 2 * c->ph - c->kh, w = c->W + 2 * c->pw - c->kw;
        c->OH = h < 0 ? 0 : h / c->sh + 1;
        c->OW = w < 0 ? 0 : w / c->sw + 1;
    }
    return c->OH > 0 && c->OW > 0;
}

MGI_FN mgi_conv mgi_conv_flip(const mgi_conv *c)
{
    mgi_conv f = *c;
    f.C = c->O, f.H = c->OH, f.W = c->OW;
    f.O = c->C, f.OH = c->H, f.OW = c->W;
    f.transposed = !c->transposed;
    return f;
}

MGI_FN int mgi_convgeo_phases(const mgi_conv *c)
{
    return c->transposed ? c->sh * c->sw : 1;
}

/* One axis of a transposed convolution: phase f of stride s. */
static void convgeo_axis(mango_idx f, mango_idx k, mango_idx s, mango_idx p, mango_idx out,
                         mango_idx *nk, mango_idx *last, mango_idx *o0, mango_idx *pad,
                         mango_idx *count)
{
    *nk = f < k ? (k - 1 - f) / s + 1 : 0;
    *last = f + (*nk - 1) * s;
    *o0 = ((f - p) % s + s) % s;
    *pad = (*last - *o0 - p) / s; /* exact */
    *count = *o0 < out ? (out - 1 - *o0) / s + 1 : 0;
}

/* Leave out the kernel rows (columns) that meet the map at no position. */
static void convgeo_trim(mango_idx T, mango_idx s, mango_idx size, mango_idx *k, mango_idx *p,
                         mango_idx *k0, mango_idx ks)
{
    const mango_idx lo = MGI_MIN(*k, MGI_MAX(0, *p - (T - 1) * s)); /* of the last position */
    const mango_idx hi = MGI_MAX(lo, MGI_MIN(*k, size + *p));       /* of the first          */
    *k0 += lo * ks;
    *p -= lo;
    *k = hi - lo;
}

MGI_FN void mgi_convgeo_phase(const mgi_conv *c, int phase, mgi_convgeo *g)
{
    const mgi_convgeo plain = {.C = c->C, .H = c->H, .W = c->W, .O = c->O, .OH = c->OH,
                               .OW = c->OW, .kh = c->kh, .kw = c->kw, .sh = c->sh, .sw = c->sw,
                               .py = c->ph, .px = c->pw, .TH = c->OH, .TW = c->OW, .osy = 1,
                               .osx = 1, .kys = 1, .kxs = 1};
    *g = plain;
    if (c->transposed) {
        g->sh = g->sw = 1;
        g->osy = c->sh, g->osx = c->sw;
        g->kys = -c->sh, g->kxs = -c->sw;
        convgeo_axis(phase / c->sw, c->kh, c->sh, c->ph, c->OH, &g->kh, &g->ky0, &g->oy0,
                     &g->py, &g->TH);
        convgeo_axis(phase % c->sw, c->kw, c->sw, c->pw, c->OW, &g->kw, &g->kx0, &g->ox0,
                     &g->px, &g->TW);
    }
    convgeo_trim(g->TH, g->sh, g->H, &g->kh, &g->py, &g->ky0, g->kys);
    convgeo_trim(g->TW, g->sw, g->W, &g->kw, &g->px, &g->kx0, g->kxs);
    if (g->kh * g->kw == 0)
        g->kh = g->kw = 0;
}

MGI_FN mango_idx mgi_conv_packed(const mgi_conv *c)
{
    mango_idx sum = 0;
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo g;
        mgi_convgeo_phase(c, f, &g);
        sum += mgi_pack_size(g.kh * g.kw * g.C, g.O);
    }
    return sum;
}

/* Panel p of one phase: for each input channel the kernel positions of nr
 * outputs are gathered in a small square, then written row by row.
 * Stored weight (o,c): w + o*so + c*sc, then ky*kw + kx. */
static void conv_pack_panel(const mgi_convgeo *g, const mgi_conv *c, mango_idx p, mango_idx nr,
                            const float *w, float *P)
{
    const mango_idx area = (mango_idx)c->kh * c->kw, n = MGI_MIN(nr, g->O - p * nr);
    const mango_idx so = c->transposed ? area : c->C * area;
    const mango_idx sc = c->transposed ? c->O * area : area;
    const mango_idx taps = g->kh * g->kw;
    float square[CONV_PACK_TAPS * CONV_PACK_NR] = {0.0f};
    mango_idx at[CONV_PACK_TAPS];
    for (mango_idx t0 = 0; t0 < taps; t0 += CONV_PACK_TAPS) {
        const mango_idx nt = MGI_MIN(CONV_PACK_TAPS, taps - t0);
        for (mango_idx t = 0; t < nt; t++)
            at[t] = (g->ky0 + (t0 + t) / g->kw * g->kys) * c->kw + g->kx0 +
                    (t0 + t) % g->kw * g->kxs;
        for (mango_idx i = 0; i < g->C; i++) {
            const float *src = w + p * nr * so + i * sc;
            for (mango_idx j = 0; j < n; j++, src += so)
                for (mango_idx t = 0; t < nt; t++)
                    square[t * nr + j] = src[at[t]];
            for (mango_idx t = 0; t < nt; t++)
                memcpy(P + ((t0 + t) * g->C + i) * nr, square + t * nr, (size_t)nr * sizeof *P);
        }
    }
}

MGI_FN void mgi_conv_pack(const mgi_conv *c, const float *w, float *packed)
{
    const mango_idx nr = mgi_kernels_get()->nr, panels = (c->O + nr - 1) / nr;
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo g;
        mgi_convgeo_phase(c, f, &g);
        const mango_idx K = g.kh * g.kw * g.C;
        MGI_OMP(parallel for if (K * g.O >= MGI_GRAIN))
        for (mango_idx p = 0; p < panels; p++)
            conv_pack_panel(&g, c, p, nr, w, packed + p * nr * K);
        packed += panels * nr * K;
    }
}

/* ---- the oracle ---------------------------------------------------------- */
static float conv_ref_one(const mgi_conv *c, const float *x, const float *w, mango_idx o,
                          mango_idx oy, mango_idx ox)
{
    const int t = c->transposed;
    float s = 0.0f;
    for (mango_idx a = 0; a < c->kh; a++)
        for (mango_idx b = 0; b < c->kw; b++) {
            const mango_idx ky = t ? c->kh - 1 - a : a, kx = t ? c->kw - 1 - b : b;
            const mango_idx sy = oy + c->ph - ky, sx = ox + c->pw - kx; /* transposed */
            if (t && (sy % c->sh || sx % c->sw))
                continue;
            const mango_idx iy = t ? sy / c->sh : oy * c->sh - c->ph + ky;
            const mango_idx ix = t ? sx / c->sw : ox * c->sw - c->pw + kx;
            if (iy < 0 || iy >= c->H || ix < 0 || ix >= c->W)
                continue;
            for (mango_idx i = 0; i < c->C; i++)
                s = mgi_fmaf(x[(iy * c->W + ix) * c->C + i],
                             w[((t ? i * c->O + o : o * c->C + i) * c->kh + ky) * c->kw + kx], s);
        }
    return s;
}

MGI_FN void mgi_conv_forward_ref(const mgi_conv *c, mango_idx N, const float *x,
                                 const float *w, const float *bias, float *y)
{
    for (mango_idx n = 0; n < N; n++, x += c->H * c->W * c->C)
        for (mango_idx oy = 0; oy < c->OH; oy++)
            for (mango_idx ox = 0; ox < c->OW; ox++)
                for (mango_idx o = 0; o < c->O; o++, y++)
                    *y = conv_ref_one(c, x, w, o, oy, ox) + (bias ? bias[o] : 0.0f);
}

#undef CONV_PACK_TAPS
#undef CONV_PACK_NR
/* ---- end math/convpack.c ------------------------------------------------------------ */

/* ---- begin math/conv.c -------------------------------------------------------------- */
/* conv.c - convolution as a GEMM without a patch matrix (indirect GEMM).
 *
 * Channels last, a kernel row ky of one output pixel is one run of kw*C
 * consecutive floats of the input. A tile is mr output pixels, given by mr row
 * pointers, times nr outputs; the runs are the same for all its pixels, so the
 * kernel gets one list of them. Three ways to find the rows:
 *   direct   the window never leaves the map: pointers into x
 *   padded   the input rows of a block of pixels are copied between zeros
 *   images   small maps with padding: the tile's pixels are the same position
 *            of mr images, and runs in the padding are left out (3x3 on a 1x1
 *            map: 8/9 of the work)
 * All give the same sums: what is left out adds an exact zero. (Only the sign
 * of a zero sum can differ, after an underflow.) Inputs and weights are finite.
 */
#if defined(_OPENMP)
#include <omp.h>
#endif

#define CONV_MU 256        /* pixels per work item, at most              */
#define CONV_TAPS 64       /* runs per call of the kernel                */
#define CONV_KC 1024       /* k per call, about                          */
#define CONV_CACHE 131072  /* floats of copied input per item, about     */
#define CONV_ALIAS 1024    /* row strides of this many floats share few cache sets */
#define CONV_GAP 16        /* added to such strides                      */

enum { CONV_DIRECT, CONV_PADDED, CONV_IMAGES };

typedef struct conv_job {
    const mgi_kernels *k;
    mgi_convgeo g;
    mango_idx N;
    const float *x, *packed;
    const mgi_epilogue *e;
    float *y;
    int mode;
    mango_idx pitch;         /* floats per pixel (padded) or image (images) */
    mango_idx wide;          /* pixels in a copied row                      */
    mango_idx mu, units, groups, panels;
} conv_job;

/* The part of the window that is inside the map, and how a walk through it
 * moves in the input. */
typedef struct conv_win {
    mango_idx ky0, ky1, kx0, kx1;
    mango_idx a0, arow, apix; /* offset of tap (0,0); steps per ky, per kx */
    mango_idx C, kw;
} conv_win;

static mango_idx conv_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

/* Next runs of a window from run number *r on, up to CONV_KC; returns their count. */
static mango_idx conv_runs(const conv_win *w, mango_idx *r, mgi_tap *tap)
{
    const mango_idx merged = w->apix == w->C, nx = w->kx1 - w->kx0;
    const mango_idx per = merged ? 1 : nx, len = merged ? nx * w->C : w->C;
    const mango_idx runs = len > 0 ? (w->ky1 - w->ky0) * per : 0;
    mango_idx n = 0, K = 0;
    for (; *r < runs && n < CONV_TAPS && (n == 0 || K + len <= CONV_KC); ++*r, n++, K += len) {
        const mango_idx ky = w->ky0 + *r / per, kx = w->kx0 + *r % per;
        const mgi_tap t = {w->a0 + ky * w->arow + kx * w->apix, (ky * w->kw + kx) * w->C, len};
        tap[n] = t;
    }
    return n;
}

/* m pixels, all with window w, times one panel of outputs. */
static void conv_panel(const conv_job *j, const conv_win *w, mango_idx m,
                       const float *const *row, const mango_idx *off, mango_idx shift,
                       mango_idx panel, float *acc)
{
    const mgi_kernels *k = j->k;
    const mango_idx nr = k->nr, o0 = panel * nr, n = MGI_MIN(nr, j->g.O - o0);
    const mango_idx tiles = (m + k->mr - 1) / k->mr, step = (m + tiles - 1) / tiles;
    const float *B = j->packed + o0 * j->g.kh * j->g.kw * j->g.C;
    const mgi_epilogue *e = j->e;
    mgi_tap tap[CONV_TAPS];
    mango_idx r = 0, nt;
    int load = 0;
    while ((nt = conv_runs(w, &r, tap)) > 0 || !load) {
        for (mango_idx i = 0; i < m; i += step)
            k->tile(MGI_MIN(step, m - i), n, row + i, nt, tap, B, acc + i * nr, nr, load);
        load = 1;
    }
    k->finish(m, n, acc, nr, off, e && e->bias ? e->bias + o0 : NULL,
              e && e->residual ? e->residual + shift + o0 : NULL, e && e->relu,
              j->y + shift + o0);
}

/* ---- direct and padded --------------------------------------------------- */
/* One input row between zeros; src NULL: all zero. */
static void conv_copy_row(const conv_job *j, const float *src, float *dst)
{
    const mango_idx C = j->g.C, px = j->g.px, wide = j->wide;
    const mango_idx x0 = src ? MGI_MIN(wide, MGI_MAX(0, px)) : wide;
    const mango_idx x1 = src ? MGI_MAX(x0, MGI_MIN(wide, j->g.W + px)) : wide;
    if (j->pitch == C) {
        memset(dst, 0, (size_t)(x0 * C) * sizeof *dst);
        if (x1 > x0)
            memcpy(dst + x0 * C, src + (x0 - px) * C, (size_t)((x1 - x0) * C) * sizeof *dst);
        memset(dst + x1 * C, 0, (size_t)((wide - x1) * C) * sizeof *dst);
        return;
    }
    for (mango_idx x = 0; x < wide; x++, dst += j->pitch)
        if (x >= x0 && x < x1)
            memcpy(dst, src + (x - px) * C, (size_t)C * sizeof *dst);
        else
            memset(dst, 0, (size_t)C * sizeof *dst);
}

/* Output rows ty0..ty1 of image n: copy the input rows they need; returns the
 * end of the copy. */
static float *conv_copy_rows(const conv_job *j, mango_idx n, mango_idx ty0, mango_idx ty1,
                             float *dst)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx first = ty0 * g->sh - g->py, rows = (ty1 - ty0) * g->sh + g->kh;
    for (mango_idx i = 0; i < rows; i++, dst += j->wide * j->pitch) {
        const mango_idx iy = first + i;
        const int inside = iy >= 0 && iy < g->H;
        conv_copy_row(j, inside ? j->x + (n * g->H + iy) * g->W * g->C : NULL, dst);
    }
    return dst;
}

/* Row pointers and output offsets of pixels p0 .. p0+m of the (n,ty,tx) order. */
static void conv_rows(const conv_job *j, mango_idx p0, mango_idx m, float *scratch,
                      const float **row, mango_idx *off)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx TP = g->TH * g->TW;
    for (mango_idx i = 0; i < m;) {
        const mango_idx n = (p0 + i) / TP, q0 = (p0 + i) % TP;
        const mango_idx q1 = MGI_MIN(TP, q0 + m - i), ty0 = q0 / g->TW;
        const float *base = j->x + n * g->H * g->W * g->C;
        mango_idx line = g->W * g->C;
        if (j->mode == CONV_PADDED) {
            base = scratch;
            line = j->wide * j->pitch;
            scratch = conv_copy_rows(j, n, ty0, (q1 - 1) / g->TW, scratch);
            base -= ty0 * g->sh * line;
        } else
            base -= g->py * line + g->px * g->C;
        for (mango_idx q = q0; q < q1; q++, i++) {
            const mango_idx ty = q / g->TW, tx = q % g->TW;
            row[i] = base + ty * g->sh * line + tx * g->sw * j->pitch;
            off[i] = ((n * g->OH + g->oy0 + ty * g->osy) * g->OW + g->ox0 + tx * g->osx) * g->O;
        }
    }
}

static void conv_item_pixels(const conv_job *j, mango_idx unit, mango_idx q0, mango_idx q1,
                             float *acc, float *scratch)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx p0 = unit * j->mu, m = MGI_MIN(j->mu, j->N * g->TH * g->TW - p0);
    const float *row[CONV_MU];
    mango_idx off[CONV_MU];
    const mango_idx line = j->mode == CONV_PADDED ? j->wide * j->pitch : g->W * g->C;
    const conv_win w = {0, g->kh, 0, g->kw, 0, line, j->pitch, g->C, g->kw};
    conv_rows(j, p0, m, scratch, row, off);
    for (mango_idx q = q0; q < q1; q++)
        conv_panel(j, &w, m, row, off, 0, q, acc);
}

/* ---- images -------------------------------------------------------------- */
static void conv_item_images(const conv_job *j, mango_idx unit, mango_idx q0, mango_idx q1,
                             float *acc, float *scratch)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx n0 = unit * j->mu, m = MGI_MIN(j->mu, j->N - n0), size = g->H * g->W * g->C;
    const float *row[CONV_MU];
    mango_idx off[CONV_MU];
    for (mango_idx i = 0; i < m; i++) {
        row[i] = j->x + (n0 + i) * size;
        off[i] = (n0 + i) * g->OH * g->OW * g->O;
        if (j->pitch != size)
            row[i] = memcpy(scratch + i * j->pitch, row[i], (size_t)size * sizeof *scratch);
    }
    conv_win w = {.arow = g->W * g->C, .apix = g->C, .C = g->C, .kw = g->kw};
    for (mango_idx q = q0; q < q1; q++)
        for (mango_idx ty = 0; ty < g->TH; ty++)
            for (mango_idx tx = 0; tx < g->TW; tx++) {
                mgi_conv_clip(ty, g->sh, g->py, g->kh, g->H, &w.ky0, &w.ky1);
                mgi_conv_clip(tx, g->sw, g->px, g->kw, g->W, &w.kx0, &w.kx1);
                w.a0 = ((ty * g->sh - g->py) * g->W + tx * g->sw - g->px) * g->C;
                const mango_idx oy = g->oy0 + ty * g->osy, ox = g->ox0 + tx * g->osx;
                conv_panel(j, &w, m, row, off, (oy * g->OW + ox) * g->O, q, acc);
            }
}

/* ---- planning ------------------------------------------------------------ */
static mango_idx conv_valid(mango_idx T, mango_idx s, mango_idx p, mango_idx k, mango_idx size)
{
    mango_idx sum = 0, lo, hi;
    for (mango_idx t = 0; t < T; t++, sum += hi - lo)
        mgi_conv_clip(t, s, p, k, size, &lo, &hi);
    return sum;
}

/* Whether the `images` way is worth it: on vectors, or when it leaves out more
 * than 1/8 of the work and there are enough images. */
static int conv_by_images(const mgi_convgeo *g, mango_idx N)
{
    const mango_idx size = g->H * g->W * g->C;
    if (g->TH * g->TW == 1)
        return 1;
    const mango_idx all = g->TH * g->kh * g->TW * g->kw;
    const mango_idx valid = conv_valid(g->TH, g->sh, g->py, g->kh, g->H) *
                            conv_valid(g->TW, g->sw, g->px, g->kw, g->W);
    return N >= 8 && size <= 32768 && 8 * (all - valid) > all;
}

static int conv_inside(const mgi_convgeo *g)
{
    return g->py <= 0 && g->px <= 0 && (g->TH - 1) * g->sh - g->py + g->kh <= g->H &&
           (g->TW - 1) * g->sw - g->px + g->kw <= g->W;
}

/* Floats that a padded block of m pixels copies, at most. */
static mango_idx conv_padded_floats(const conv_job *j, mango_idx m)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx rows = (m + g->TW - 2) / g->TW + 1, images = (rows + g->TH - 2) / g->TH + 1;
    return (rows * g->sh + MGI_MIN(images, m) * g->kh) * j->wide * j->pitch;
}

/* Mode, pitch and the largest item; all but the choice of `images` is the same
 * for any N. Returns the floats of scratch for one thread. */
static mango_idx conv_mode(conv_job *j)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx mr = j->k->mr, size = g->H * g->W * g->C;
    const mango_idx most = CONV_MU / mr * mr;
    j->wide = (g->TW - 1) * g->sw + g->kw;
    j->mode = conv_by_images(g, j->N) ? CONV_IMAGES : CONV_DIRECT;
    j->mu = most;
    if (j->mode == CONV_IMAGES) {
        const int alias = size % CONV_ALIAS == 0 && size > 0;
        j->pitch = alias ? size + CONV_GAP : size;
        if (alias)
            j->mu = MGI_MIN(most, MGI_MAX(mr, 2 * CONV_CACHE / j->pitch / mr * mr));
        return alias ? j->mu * j->pitch : 0;
    }
    const int alias = g->sw * g->C % CONV_ALIAS == 0;
    j->pitch = alias ? g->C + CONV_GAP : g->C;
    if (conv_inside(g) && !alias)
        return 0;
    j->mode = CONV_PADDED;
    while (j->mu > mr && conv_padded_floats(j, j->mu) > CONV_CACHE)
        j->mu -= mr;
    return conv_padded_floats(j, j->mu);
}

/* Equal shares for the threads: cut the pixels, and the panels when there are
 * too few pixels for that. */
static void conv_split(conv_job *j)
{
    const mango_idx T = mango_threads(), mr = j->k->mr;
    const mango_idx M = j->mode == CONV_IMAGES ? j->N : j->N * j->g.TH * j->g.TW;
    j->panels = (j->g.O + j->k->nr - 1) / j->k->nr;
    j->units = (M + j->mu - 1) / j->mu;
    if (M >= 2 * T * mr || j->panels < T)
        j->units = conv_up(j->units, T);
    j->mu = MGI_MIN(j->mu, conv_up((M + j->units - 1) / j->units, mr));
    j->units = (M + j->mu - 1) / j->mu;
    j->groups = j->units >= T ? 1 : MGI_MIN(j->panels, (2 * T + j->units - 1) / j->units);
}

MGI_FN mango_idx mgi_conv_work(const mgi_conv *c, mango_idx N)
{
    conv_job j = {.k = mgi_kernels_get(), .N = N};
    mango_idx most = 0;
    for (int f = 0; f < mgi_convgeo_phases(c); f++)
        for (int few = 0; few < 2; few++) {
            j.N = few ? 1 : N; /* a smaller batch must fit too */
            mgi_convgeo_phase(c, f, &j.g);
            const mango_idx s = j.g.TH && j.g.TW ? conv_mode(&j) : 0;
            most = MGI_MAX(most, s);
        }
    return mango_threads() * conv_up(most + CONV_MU * j.k->nr, 16);
}

static void conv_item(const conv_job *j, mango_idx item, float *scratch)
{
    const mango_idx unit = item / j->groups, q = item % j->groups;
    const mango_idx q0 = q * j->panels / j->groups, q1 = (q + 1) * j->panels / j->groups;
    float *rest = scratch + CONV_MU * j->k->nr;
    if (j->mode == CONV_IMAGES)
        conv_item_images(j, unit, q0, q1, scratch, rest);
    else
        conv_item_pixels(j, unit, q0, q1, scratch, rest);
}

static void conv_phase(conv_job *j, float *work)
{
    const mango_idx each = conv_up(conv_mode(j) + CONV_MU * j->k->nr, 16);
    conv_split(j);
    const mango_idx items = j->units * j->groups;
    const mango_idx flops = j->N * j->g.TH * j->g.TW * j->g.O * j->g.C * j->g.kh * j->g.kw;
    MGI_OMP(parallel for schedule(dynamic) if (flops > 32768))
    for (mango_idx i = 0; i < items; i++) {
#if defined(_OPENMP)
        conv_item(j, i, work + omp_get_thread_num() * each);
#else
        conv_item(j, i, work + 0 * each);
#endif
    }
    (void)flops;
}

MGI_FN void mgi_conv_forward(const mgi_conv *c, mango_idx N, const float *x,
                             const float *packed, const mgi_epilogue *e, float *y,
                             float *work)
{
    conv_job j = {.k = mgi_kernels_get(), .N = N, .x = x, .packed = packed, .e = e, .y = y};
    for (int f = 0; f < mgi_convgeo_phases(c); f++) {
        mgi_convgeo_phase(c, f, &j.g);
        if (N > 0 && j.g.TH > 0 && j.g.TW > 0)
            conv_phase(&j, work);
        j.packed += mgi_pack_size(j.g.kh * j.g.kw * j.g.C, j.g.O);
    }
}

#undef CONV_MU
#undef CONV_TAPS
#undef CONV_KC
#undef CONV_CACHE
#undef CONV_ALIAS
#undef CONV_GAP
/* ---- end math/conv.c ---------------------------------------------------------------- */

/* ---- begin math/convgrad.c ---------------------------------------------------------- */
/* convgrad.c - gradients of a convolution.
 *
 * By its input: dx is the flipped convolution of dy (transposed for an ordinary
 * one and the reverse), with the same stored weights, run by conv.c.
 *
 * By its weights: dW(k,o) = sum over pixels of x(pixel,k) dy(pixel,o), pixels
 * (n,oy,ox) ascending, one chain of fma from +0. Both operands are channels
 * last, which is what the kernel `outer` reads; for each kernel position the
 * pixels whose input is inside the map form runs of equal step. Pixels go by in
 * chunks that stay in cache, the chains go on from chunk to chunk. A transposed
 * convolution is the same sum with x and dy in each other's place.
 */

#define GRAD_PIX 256      /* pixels in a chunk, about: a tile's share of x stays in L1 */
#define GRAD_BLOCK 16     /* channels per item of grad_bias                            */
#define GRAD_SMALL 64     /* small channels in a square of grad_store                  */
#define GRAD_WIDE 36      /* kernel positions (times big channels) in it               */
#if defined(__GNUC__)
#define GRAD_PREFETCH(p) __builtin_prefetch((p), 1)
#else
#define GRAD_PREFETCH(p) ((void)(p))
#endif

typedef struct grad_job {
    const mgi_kernels *k;
    mango_idx N, Hb, Wb, Cb, Hs, Ws, Cs; /* big map under the window; small map */
    mango_idx kh, kw, sh, sw, ph, pw;    /* kh, kw, ph, pw without dead positions */
    mango_idx ky0, kx0, area, width;     /* where they lie in the whole kernel    */
    const float *big, *small;
    float *R;          /* (kh,kw,Cb,Cs), or (kh,kw,Cs,Cb) when swapped */
    int swap;
    mango_idx rows;    /* map rows per chunk                           */
    mango_idx mt, nt;  /* tiles of one kernel position                 */
} grad_job;

/* The runs of one kernel position in a chunk, and their steps. */
typedef struct grad_runs {
    mango_idx step_big, step_small, n;
    mgi_tap run[GRAD_PIX]; /* a: big, b: small */
} grad_runs;

static mango_idx grad_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

MGI_FN mango_idx mgi_conv_backward_work(const mgi_conv *c, mango_idx N)
{
    const mgi_conv f = mgi_conv_flip(c);
    const mango_idx data = grad_up(mgi_conv_packed(&f), 16) + mgi_conv_work(&f, N);
    const mango_idx weights = c->O * c->C * c->kh * c->kw;
    return MGI_MAX(data, weights);
}

MGI_FN void mgi_conv_backward_data(const mgi_conv *c, mango_idx N, const float *dy,
                                   const float *w, float *dx, float *work)
{
    const mgi_conv f = mgi_conv_flip(c);
    mgi_conv_pack(&f, w, work);
    mgi_conv_forward(&f, N, dy, work, NULL, dx, work + grad_up(mgi_conv_packed(&f), 16));
}

/* Positions [lo,hi) of the small map with 0 <= t*s - p + k < size. */
static void grad_clip(mango_idx k, mango_idx s, mango_idx p, mango_idx size, mango_idx count,
                      mango_idx *lo, mango_idx *hi)
{
    *lo = p > k ? (p - k + s - 1) / s : 0;
    *hi = size - 1 + p - k < 0 ? 0 : MGI_MIN(count, (size - 1 + p - k) / s + 1);
}

/* Add n pixels at big offset a, small offset b; joins the last run if it goes on. */
static void grad_add(grad_runs *g, mango_idx a, mango_idx b, mango_idx n)
{
    mgi_tap *last = g->n > 0 ? g->run + g->n - 1 : NULL;
    if (last && a == last->a + last->n * g->step_big &&
        b == last->b + last->n * g->step_small) {
        last->n += n;
        return;
    }
    const mgi_tap t = {a, b, n};
    g->run[g->n++] = t;
}

/* Map rows r0 .. r1 of (n,sy), kernel position (ky,kx). */
static void grad_fill(const grad_job *j, mango_idx ky, mango_idx kx, mango_idx r0, mango_idx r1,
                      grad_runs *g)
{
    mango_idx x0, x1, y0, y1;
    grad_clip(kx, j->sw, j->pw, j->Wb, j->Ws, &x0, &x1);
    grad_clip(ky, j->sh, j->ph, j->Hb, j->Hs, &y0, &y1);
    g->n = 0;
    g->step_big = j->sw * j->Cb, g->step_small = j->Cs;
    if (x1 - x0 == 1) { /* one column: step down the rows, or over the images */
        const int down = y1 - y0 > 1;
        g->step_big = (down ? j->sh : j->Hb) * j->Wb * j->Cb;
        g->step_small = (down ? 1 : j->Hs) * j->Ws * j->Cs;
    }
    if (x1 <= x0)
        return;
    for (mango_idx r = r0; r < r1; r++) {
        const mango_idx n = r / j->Hs, sy = r % j->Hs;
        if (sy < y0 || sy >= y1)
            continue;
        const mango_idx iy = sy * j->sh - j->ph + ky, ix = x0 * j->sw - j->pw + kx;
        grad_add(g, ((n * j->Hb + iy) * j->Wb + ix) * j->Cb, (r * j->Ws + x0) * j->Cs, x1 - x0);
    }
}

/* One tile: tile number t of kernel position `tap`. */
static void grad_tile(const grad_job *j, mango_idx tap, mango_idx t, grad_runs *g, int load)
{
    const mgi_kernels *k = j->k;
    const mango_idx M = j->swap ? j->Cs : j->Cb, Nn = j->swap ? j->Cb : j->Cs;
    const mango_idx step = (M + j->mt - 1) / j->mt;
    const mango_idx i0 = t / j->nt * step, j0 = t % j->nt * k->nr;
    const mango_idx m = MGI_MIN(step, M - i0), n = MGI_MIN(k->nr, Nn - j0);
    float *R = j->R + (tap * M + i0) * Nn + j0;
    if (m <= 0)
        return;
    for (mango_idx i = 0; i < m; i++) { /* of the tile to come */
        GRAD_PREFETCH(R + i * Nn + k->nr);
        GRAD_PREFETCH(R + i * Nn + k->nr + k->nr / 2);
    }
    if (!j->swap)
        k->outer(m, n, j->big + i0, g->step_big, j->small + j0, g->step_small, g->n, g->run, R,
                 Nn, load);
    else
        k->outer(m, n, j->small + i0, g->step_small, j->big + j0, g->step_big, g->n, g->run, R,
                 Nn, load);
}

/* Tiles t0 .. t1 of all, over all pixels. */
static void grad_item(const grad_job *j, mango_idx t0, mango_idx t1)
{
    const mango_idx each = j->mt * j->nt, rows = j->N * j->Hs;
    grad_runs g;
    for (mango_idx r = 0; r < rows; r += j->rows)
        for (mango_idx t = t0; t < t1; t++) {
            const mango_idx tap = t / each;
            if (t == t0 || t % each == 0) {
                grad_fill(j, tap / j->kw, tap % j->kw, r, MGI_MIN(rows, r + j->rows), &g);
                for (mango_idx i = 0; j->swap && i < g.n; i++) {
                    const mgi_tap s = {g.run[i].b, g.run[i].a, g.run[i].n};
                    g.run[i] = s;
                }
            }
            grad_tile(j, tap, t % each, &g, r > 0);
        }
}

/* One square: big channels b .. b+nb, small ones s0 .. s0+ns, kernel positions
 * t0 .. t0+nt (of j->kh*j->kw), which lie at[] in the whole kernel. */
static void grad_square(const grad_job *j, mango_idx s0, mango_idx ns, mango_idx b, mango_idx nb,
                        mango_idx t0, mango_idx nt, const mango_idx *at, float *dw)
{
    const mango_idx step_s = j->swap ? j->Cb : 1, step_b = j->swap ? 1 : j->Cs, n = nb * nt;
    float square[GRAD_SMALL * GRAD_WIDE];
    for (mango_idx i = 0; i < n; i++) {
        const float *R = j->R + (t0 + i % nt) * j->Cs * j->Cb + s0 * step_s + (b + i / nt) * step_b;
        for (mango_idx s = 0; s < ns; s++)
            square[s * n + i] = R[s * step_s];
    }
    for (mango_idx s = 0; s < ns; s++) {
        float *to = dw + ((s0 + s) * j->Cb + b) * j->area;
        if (nt == j->area)
            for (mango_idx i = 0; i < n; i++)
                to[i] += square[s * n + i];
        else
            for (mango_idx i = 0; i < n; i++)
                to[i / nt * j->area + at[i % nt]] += square[s * n + i];
    }
}

/* dw (Cs,Cb,kh,kw) += R for GRAD_SMALL small channels from s0, big channels b0
 * to b1: turned round in squares on the stack, so that both go by in runs. */
static void grad_store(const grad_job *j, mango_idx s0, mango_idx b0, mango_idx b1, float *dw)
{
    const mango_idx taps = j->kh * j->kw, ns = MGI_MIN(GRAD_SMALL, j->Cs - s0);
    mango_idx at[GRAD_WIDE];
    for (mango_idx t0 = 0; t0 < taps; t0 += GRAD_WIDE) {
        const mango_idx nt = MGI_MIN(GRAD_WIDE, taps - t0), nb = GRAD_WIDE / nt;
        for (mango_idx t = 0; t < nt; t++)
            at[t] = (j->ky0 + (t0 + t) / j->kw) * j->width + j->kx0 + (t0 + t) % j->kw;
        for (mango_idx b = b0; b < b1; b += nb)
            grad_square(j, s0, ns, b, MGI_MIN(nb, b1 - b), t0, nt, at, dw);
    }
}

/* db += sum over rows of dy, in double, rows ascending. */
static void grad_bias(mango_idx rows, mango_idx O, const float *dy, float *db)
{
    MGI_OMP(parallel for if (rows * O > 32768))
    for (mango_idx o0 = 0; o0 < O; o0 += GRAD_BLOCK) {
        const mango_idx n = MGI_MIN(GRAD_BLOCK, O - o0);
        double sum[GRAD_BLOCK] = {0.0};
        for (mango_idx r = 0; r < rows; r++)
            for (mango_idx o = 0; o < n; o++)
                sum[o] += (double)dy[r * O + o0 + o];
        for (mango_idx o = 0; o < n; o++)
            db[o0 + o] += (float)sum[o];
    }
}

MGI_FN void mgi_conv_backward_weights(const mgi_conv *c, mango_idx N, const float *x,
                                      const float *dy, float *dw, float *db, float *work)
{
    const int t = c->transposed;
    const mgi_conv f = t ? mgi_conv_flip(c) : *c; /* the ordinary one of the two */
    grad_job j = {.k = mgi_kernels_get(), .N = N, .R = work, .Hb = f.H, .Wb = f.W, .Cb = f.C,
                  .Hs = f.OH, .Ws = f.OW, .Cs = f.O, .sh = f.sh, .sw = f.sw,
                  .area = (mango_idx)f.kh * f.kw, .width = f.kw, .big = t ? dy : x,
                  .small = t ? x : dy};
    mgi_convgeo g;
    mgi_convgeo_phase(&f, 0, &g);
    j.kh = g.kh, j.kw = g.kw, j.ph = g.py, j.pw = g.px, j.ky0 = g.ky0, j.kx0 = g.kx0;
    if (db)
        grad_bias(N * c->OH * c->OW, c->O, dy, db);
    if (N <= 0 || g.kh == 0)
        return;
    /* the axis that wastes fewer lanes of 16 goes into the vectors */
    j.swap = grad_up(j.Cs, 16) * j.Cb > grad_up(j.Cb, 16) * j.Cs;
    j.rows = MGI_MAX(1, GRAD_PIX / j.Ws);
    j.mt = ((j.swap ? j.Cs : j.Cb) + j.k->mr - 1) / j.k->mr;
    j.nt = ((j.swap ? j.Cb : j.Cs) + j.k->nr - 1) / j.k->nr;
    const mango_idx tiles = j.kh * j.kw * j.mt * j.nt, items = MGI_MIN(tiles, mango_threads());
    MGI_OMP(parallel for if (tiles * N * j.Hs * j.Ws > 512))
    for (mango_idx i = 0; i < items; i++)
        grad_item(&j, i * tiles / items, (i + 1) * tiles / items);
    const mango_idx across = (j.Cs + GRAD_SMALL - 1) / GRAD_SMALL;
    const mango_idx squares = across * ((j.Cb + GRAD_SMALL - 1) / GRAD_SMALL);
    MGI_OMP(parallel for if (tiles > 64))
    for (mango_idx i = 0; i < squares; i++) {
        const mango_idx b0 = i / across * GRAD_SMALL;
        grad_store(&j, i % across * GRAD_SMALL, b0, MGI_MIN(j.Cb, b0 + GRAD_SMALL), dw);
    }
}

#undef GRAD_PIX
#undef GRAD_BLOCK
#undef GRAD_SMALL
#undef GRAD_WIDE
#undef GRAD_PREFETCH
/* ---- end math/convgrad.c ------------------------------------------------------------ */

/* ---- begin math/pool.c -------------------------------------------------------------- */
/* pool.c - max, average and adaptive average pooling on (N,H,W,C) maps.
 *
 * A window is walked in (ky,kx) order with the channels innermost, so that
 * every inner loop is a run over consecutive floats. Forward passes are split
 * over output rows, backward passes over images: windows may overlap, and
 * within an image the gradients then add up in a fixed order.
 */
#include <float.h>

#define POOL_LANES 64 /* channels whose maxima and places are kept at hand */

MGI_FN int mgi_pool_shape(mgi_pool *p)
{
    if (p->kh < 1 || p->kw < 1 || p->sh < 1 || p->sw < 1 || p->ph < 0 || p->pw < 0)
        return 0;
    if (2 * p->ph > p->kh || 2 * p->pw > p->kw) /* a window could miss the map */
        return 0;
    const mango_idx h = p->H + 2 * p->ph - p->kh, w = p->W + 2 * p->pw - p->kw;
    if (p->H < 1 || p->W < 1 || h < 0 || w < 0)
        return 0;
    p->OH = h / p->sh + 1;
    p->OW = w / p->sw + 1;
    return 1;
}

/* The window of output (oy,ox), cut to the map: rows y0..y1-1, columns x0..x1-1. */
typedef struct pool_window {
    mango_idx y0, y1, x0, x1;
} pool_window;

static pool_window pool_fixed(const mgi_pool *p, mango_idx oy, mango_idx ox)
{
    const mango_idx y = oy * p->sh - p->ph, x = ox * p->sw - p->pw;
    pool_window w = {MGI_MAX(y, 0), MGI_MIN(y + p->kh, p->H), MGI_MAX(x, 0),
                     MGI_MIN(x + p->kw, p->W)};
    return w;
}

static pool_window pool_adaptive(const mgi_pool *p, mango_idx oy, mango_idx ox)
{
    pool_window w = {oy * p->H / p->OH, ((oy + 1) * p->H + p->OH - 1) / p->OH,
                     ox * p->W / p->OW, ((ox + 1) * p->W + p->OW - 1) / p->OW};
    return w;
}

MGI_FN void mgi_maxpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (rows * p->OW * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const float *in = x + r / p->OH * p->H * p->W * C;
        for (mango_idx ox = 0; ox < p->OW; ox++) {
            const pool_window w = pool_fixed(p, r % p->OH, ox);
            float *out = y + (r * p->OW + ox) * C;
            memcpy(out, in + (w.y0 * p->W + w.x0) * C, (size_t)C * sizeof *out);
            for (mango_idx iy = w.y0; iy < w.y1; iy++)
                for (mango_idx ix = w.x0; ix < w.x1; ix++)
                    kern->maximum(C, in + (iy * p->W + ix) * C, out);
        }
    }
}

/* Add dy of one output pixel, channels c..c+m-1, to the first maximum of its
 * window. in, dx: the image; dy: the pixel's channel c. */
static void pool_route(const mgi_pool *p, pool_window w, mango_idx c, mango_idx m,
                       const float *in, const float *dy, float *dx)
{
    float best[POOL_LANES];
    mango_idx place[POOL_LANES];
    for (mango_idx j = 0; j < m; j++) {
        best[j] = -FLT_MAX;
        place[j] = (w.y0 * p->W + w.x0) * p->C + c;
    }
    for (mango_idx iy = w.y0; iy < w.y1; iy++) {
        for (mango_idx ix = w.x0; ix < w.x1; ix++) {
            const mango_idx at = (iy * p->W + ix) * p->C + c;
            for (mango_idx j = 0; j < m; j++) {
                const int more = in[at + j] > best[j];
                place[j] = more ? at : place[j];
                best[j] = more ? in[at + j] : best[j];
            }
        }
    }
    for (mango_idx j = 0; j < m; j++)
        dx[place[j] + j] += dy[j];
}

MGI_FN void mgi_maxpool_backward(const mgi_pool *p, mango_idx N, const float *x,
                                 const float *dy, float *dx)
{
    const mango_idx C = p->C, size = p->H * p->W * C;
    MGI_OMP(parallel for schedule(static) if (N * size >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        memset(dx + n * size, 0, (size_t)size * sizeof *dx);
        for (mango_idx o = 0; o < p->OH * p->OW; o++) {
            const pool_window w = pool_fixed(p, o / p->OW, o % p->OW);
            for (mango_idx c = 0; c < C; c += POOL_LANES)
                pool_route(p, w, c, MGI_MIN(POOL_LANES, C - c), x + n * size,
                           dy + (n * p->OH * p->OW + o) * C + c, dx + n * size);
        }
    }
}

/* ---- averages: one loop for both kinds of window --------------------------- */

/* Elements an average is divided by: padding counts in the fixed kind. */
static float pool_count(const mgi_pool *p, int adaptive, pool_window w)
{
    return adaptive ? (float)((w.y1 - w.y0) * (w.x1 - w.x0)) : (float)(p->kh * p->kw);
}

static void pool_average(const mgi_pool *p, int adaptive, mango_idx N, const float *x,
                         float *y)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (N * p->H * p->W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const float *in = x + r / p->OH * p->H * p->W * C;
        for (mango_idx ox = 0; ox < p->OW; ox++) {
            const pool_window w =
                adaptive ? pool_adaptive(p, r % p->OH, ox) : pool_fixed(p, r % p->OH, ox);
            float *out = y + (r * p->OW + ox) * C;
            memset(out, 0, (size_t)C * sizeof *out);
            for (mango_idx iy = w.y0; iy < w.y1; iy++)
                for (mango_idx ix = w.x0; ix < w.x1; ix++)
                    kern->add(C, out, in + (iy * p->W + ix) * C, out);
            const float count = pool_count(p, adaptive, w);
            for (mango_idx c = 0; c < C; c++)
                out[c] = out[c] / count;
        }
    }
}

static void pool_average_backward(const mgi_pool *p, int adaptive, mango_idx N,
                                  const float *dy, float *dx)
{
    const mgi_kernels *kern = mgi_kernels_get();
    const mango_idx C = p->C, size = p->H * p->W * C;
    MGI_OMP(parallel for schedule(static) if (N * size >= MGI_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        float *to = dx + n * size;
        memset(to, 0, (size_t)size * sizeof *dx);
        for (mango_idx o = 0; o < p->OH * p->OW; o++) {
            const pool_window w = adaptive ? pool_adaptive(p, o / p->OW, o % p->OW)
                                           : pool_fixed(p, o / p->OW, o % p->OW);
            const float *g = dy + (n * p->OH * p->OW + o) * C;
            const float share = 1.0f / pool_count(p, adaptive, w);
            for (mango_idx iy = w.y0; iy < w.y1; iy++)
                for (mango_idx ix = w.x0; ix < w.x1; ix++)
                    kern->axpy(C, share, g, to + (iy * p->W + ix) * C);
        }
    }
}

MGI_FN void mgi_avgpool(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, 0, N, x, y);
}

MGI_FN void mgi_avgpool_backward(const mgi_pool *p, mango_idx N, const float *dy, float *dx)
{
    pool_average_backward(p, 0, N, dy, dx);
}

MGI_FN void mgi_adaptiveavg(const mgi_pool *p, mango_idx N, const float *x, float *y)
{
    pool_average(p, 1, N, x, y);
}

MGI_FN void mgi_adaptiveavg_backward(const mgi_pool *p, mango_idx N, const float *dy,
                                     float *dx)
{
    pool_average_backward(p, 1, N, dy, dx);
}

#undef POOL_LANES
/* ---- end math/pool.c ---------------------------------------------------------------- */

/* ---- begin math/resample.c ---------------------------------------------------------- */
/* resample.c - x2 upsampling of (N,H,W,C) maps: nearest and bilinear.
 *
 * Bilinear, corners not aligned: output 2i lies a quarter before input i, output
 * 2i+1 a quarter after it, so both take 3/4 of input i and 1/4 of the neighbour
 * on that side, which at the border is input i itself.
 */

MGI_FN void mgi_nearest2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                          const float *x, float *y)
{
    const size_t pixel = (size_t)C * sizeof(float);
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++) {
        float *out = y + r * 4 * W * C;
        for (mango_idx i = 0; i < W; i++) {
            memcpy(out + 2 * i * C, x + (r * W + i) * C, pixel);
            memcpy(out + (2 * i + 1) * C, x + (r * W + i) * C, pixel);
        }
        memcpy(out + 2 * W * C, out, 2 * (size_t)W * pixel);
    }
}

MGI_FN void mgi_nearest2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                                   const float *dy, float *dx)
{
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++) {
        for (mango_idx i = 0; i < W; i++) {
            const float *a = dy + (r * 4 * W + 2 * i) * C, *b = a + 2 * W * C;
            float *out = dx + (r * W + i) * C;
            for (mango_idx c = 0; c < C; c++)
                out[c] = (a[c] + a[C + c]) + (b[c] + b[C + c]);
        }
    }
}

/* The neighbour of input o/2 that output o of 2n also sees. */
static mango_idx resample_side(mango_idx o, mango_idx n)
{
    const mango_idx i = o % 2 ? o / 2 + 1 : o / 2 - 1;
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

MGI_FN void mgi_bilinear2x(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                           const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * 2 * H; r++) {
        const mango_idx n = r / (2 * H), oy = r % (2 * H);
        const float *same = x + (n * H + oy / 2) * W * C;
        const float *side = x + (n * H + resample_side(oy, H)) * W * C;
        for (mango_idx ox = 0; ox < 2 * W; ox++) {
            const mango_idx i = ox / 2 * C, j = resample_side(ox, W) * C;
            const float *nn = same + i, *nf = same + j, *fn = side + i, *ff = side + j;
            float *out = y + (r * 2 * W + ox) * C;
            for (mango_idx c = 0; c < C; c++)
                out[c] = 0.75f * (0.75f * nn[c] + 0.25f * nf[c]) +
                         0.25f * (0.75f * fn[c] + 0.25f * ff[c]);
        }
    }
}

/* The outputs o[k] that see input i of n, and the weights w[k] they see it
 * with: 2i-1 .. 2i+2 where they exist, the border ones with their whole. */
static int resample_seen_by(mango_idx i, mango_idx n, mango_idx o[4], float w[4])
{
    int k = 0;
    if (i > 0) {
        o[k] = 2 * i - 1;
        w[k++] = 0.25f;
    }
    o[k] = 2 * i;
    w[k++] = i > 0 ? 0.75f : 1.0f;
    o[k] = 2 * i + 1;
    w[k++] = i < n - 1 ? 0.75f : 1.0f;
    if (i < n - 1) {
        o[k] = 2 * i + 2;
        w[k++] = 0.25f;
    }
    return k;
}

MGI_FN void mgi_bilinear2x_backward(mango_idx N, mango_idx H, mango_idx W, mango_idx C,
                                    const float *dy, float *dx)
{
    const mgi_kernels *kern = mgi_kernels_get();
    MGI_OMP(parallel for schedule(static) if (N * H * W * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < N * H; r++) {
        const float *in = dy + r / H * 4 * H * W * C;
        mango_idx oy[4], ox[4];
        float wy[4], wx[4];
        const int ny = resample_seen_by(r % H, H, oy, wy);
        memset(dx + r * W * C, 0, (size_t)(W * C) * sizeof *dx);
        for (mango_idx i = 0; i < W; i++) {
            const int nx = resample_seen_by(i, W, ox, wx);
            for (int a = 0; a < ny; a++)
                for (int b = 0; b < nx; b++)
                    kern->axpy(C, wy[a] * wx[b], in + (oy[a] * 2 * W + ox[b]) * C,
                               dx + (r * W + i) * C);
        }
    }
}
/* ---- end math/resample.c ------------------------------------------------------------ */

/* ---- begin math/norm.c -------------------------------------------------------------- */
/* norm.c - batch normalization over R rows of C channels.
 *
 *   y = w (x - mean) rstd + b,   rstd = 1/sqrt(var + eps)
 *
 * Sums over the rows are taken in double, in NORM_PARTS fixed parts of the rows
 * that are added in order, NORM_LANES channels at a time; so the bits do not
 * depend on the number of threads.
 * Source: Ioffe and Szegedy 2015. SPDX-License-Identifier: MIT */
#include <math.h> /* sqrt: correctly rounded everywhere */

#define NORM_PARTS 16
#define NORM_LANES 128

MGI_FN void mgi_batchnorm_fold(mango_idx C, const float *w, const float *b,
                               const float *mean, const float *var, double eps, float *s,
                               float *t)
{
    for (mango_idx c = 0; c < C; c++) {
        const double scale = (w ? (double)w[c] : 1.0) / sqrt((double)var[c] + eps);
        s[c] = (float)scale;
        t[c] = (float)((b ? (double)b[c] : 0.0) - (double)mean[c] * scale);
    }
}

/* Two sums per channel, over all rows. */
typedef struct norm_sums {
    double a[NORM_LANES], b[NORM_LANES];
} norm_sums;

/* a += x - shift, b += (x - shift)^2 over rows r0..r1-1; m channels of x, which
 * has C a row. A shift near the mean keeps the second sum exact enough. */
static void norm_moments(mango_idx r0, mango_idx r1, mango_idx C, mango_idx m,
                         const float *x, const float *shift, norm_sums *s)
{
    for (mango_idx r = r0; r < r1; r++) {
        const float *row = x + r * C;
        for (mango_idx j = 0; j < m; j++) {
            const double d = (double)row[j] - (double)shift[j];
            s->a[j] += d;
            s->b[j] += d * d;
        }
    }
}

/* a += dy, b += dy * (x - mean). */
static void norm_products(mango_idx r0, mango_idx r1, mango_idx C, mango_idx m,
                          const float *x, const float *dy, const float *mean, norm_sums *s)
{
    for (mango_idx r = r0; r < r1; r++) {
        const float *row = x + r * C, *g = dy + r * C;
        for (mango_idx j = 0; j < m; j++) {
            s->a[j] += (double)g[j];
            s->b[j] += (double)g[j] * ((double)row[j] - (double)mean[j]);
        }
    }
}

/* Both kinds of sums for channels c..c+m-1: dy NULL gives the moments of x
 * about `about`, else the products of dy with x - about. */
static void norm_reduce(mango_idx R, mango_idx C, mango_idx c, mango_idx m, const float *x,
                        const float *dy, const float *about, norm_sums *total)
{
    norm_sums part[NORM_PARTS];
    MGI_OMP(parallel for schedule(static) if (R * m >= MGI_GRAIN))
    for (mango_idx p = 0; p < NORM_PARTS; p++) {
        const mango_idx r0 = R * p / NORM_PARTS, r1 = R * (p + 1) / NORM_PARTS;
        memset(&part[p], 0, sizeof part[p]);
        if (dy)
            norm_products(r0, r1, C, m, x + c, dy + c, about + c, &part[p]);
        else
            norm_moments(r0, r1, C, m, x + c, about + c, &part[p]);
    }
    *total = part[0];
    for (int p = 1; p < NORM_PARTS; p++) {
        for (mango_idx j = 0; j < m; j++) {
            total->a[j] += part[p].a[j];
            total->b[j] += part[p].b[j];
        }
    }
}

/* mean, rstd and the running statistics of channels c..c+m-1; about: row 0. */
static void norm_statistics(mango_idx R, mango_idx c, mango_idx m, const norm_sums *s,
                            const float *about, double eps, double momentum,
                            float *run_mean, float *run_var, float *mean, float *rstd)
{
    const double n = (double)R;
    for (mango_idx j = 0; j < m; j++) {
        const double d = s->a[j] / n, square = s->b[j] - s->a[j] * d;
        const double mu = (double)about[c + j] + d, var = square > 0.0 ? square / n : 0.0;
        mean[c + j] = (float)mu;
        rstd[c + j] = (float)(1.0 / sqrt(var + eps));
        const double unbiased = R > 1 ? var * n / (n - 1.0) : var;
        if (run_mean)
            run_mean[c + j] =
                (float)((1.0 - momentum) * (double)run_mean[c + j] + momentum * mu);
        if (run_var)
            run_var[c + j] =
                (float)((1.0 - momentum) * (double)run_var[c + j] + momentum * unbiased);
    }
}

/* y = (x - mean) * scale + shift, all rows; scale = w rstd in the caller's lanes. */
static void norm_apply(mango_idx R, mango_idx C, mango_idx m, const float *x,
                       const float *mean, const float *scale, const float *shift, float *y)
{
    MGI_OMP(parallel for schedule(static) if (R * m >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx j = 0; j < m; j++)
            y[r * C + j] = (x[r * C + j] - mean[j]) * scale[j] + shift[j];
}

MGI_FN void mgi_batchnorm_train(mango_idx R, mango_idx C, const float *x, const float *w,
                                const float *b, double eps, double momentum,
                                float *run_mean, float *run_var, float *mean, float *rstd,
                                float *y)
{
    norm_sums s;
    float scale[NORM_LANES], shift[NORM_LANES];
    for (mango_idx c = 0; c < C; c += NORM_LANES) {
        const mango_idx m = MGI_MIN(NORM_LANES, C - c);
        norm_reduce(R, C, c, m, x, NULL, x, &s);
        norm_statistics(R, c, m, &s, x, eps, momentum, run_mean, run_var, mean, rstd);
        for (mango_idx j = 0; j < m; j++) {
            scale[j] = w ? w[c + j] * rstd[c + j] : rstd[c + j];
            shift[j] = b ? b[c + j] : 0.0f;
        }
        norm_apply(R, C, m, x + c, mean + c, scale, shift, y + c);
    }
}

/* dx = w rstd (dy - sum(dy)/R - (x - mean) rstd^2 sum(dy (x - mean))/R),
 * with k0 = w rstd, k1 = rstd^2 sum(dy (x - mean))/R, k2 = sum(dy)/R. */
static void norm_spread(mango_idx R, mango_idx C, mango_idx m, const float *x,
                        const float *dy, const float *mean, float (*k)[NORM_LANES],
                        float *dx)
{
    MGI_OMP(parallel for schedule(static) if (R * m >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx j = 0; j < m; j++)
            dx[r * C + j] =
                k[0][j] * (dy[r * C + j] - k[2][j] - (x[r * C + j] - mean[j]) * k[1][j]);
}

MGI_FN void mgi_batchnorm_backward(mango_idx R, mango_idx C, const float *x, const float *w,
                                   const float *mean, const float *rstd, const float *dy,
                                   float *dx, float *dw, float *db)
{
    norm_sums s;
    float k[3][NORM_LANES];
    for (mango_idx c = 0; c < C; c += NORM_LANES) {
        const mango_idx m = MGI_MIN(NORM_LANES, C - c);
        norm_reduce(R, C, c, m, x, dy, mean, &s);
        for (mango_idx j = 0; j < m; j++) {
            const double rs = (double)rstd[c + j];
            k[0][j] = w ? w[c + j] * rstd[c + j] : rstd[c + j];
            k[1][j] = (float)(rs * rs * s.b[j] / (double)R);
            k[2][j] = (float)(s.a[j] / (double)R);
            if (dw)
                dw[c + j] += (float)(rs * s.b[j]);
            if (db)
                db[c + j] += (float)s.a[j];
        }
        if (dx)
            norm_spread(R, C, m, x + c, dy + c, mean + c, k, dx + c);
    }
}

#undef NORM_PARTS
#undef NORM_LANES
/* ---- end math/norm.c ---------------------------------------------------------------- */

/* ---- begin math/pointwise.c --------------------------------------------------------- */
/* pointwise.c - what acts on single values or on rows: ReLU's gradient, tanh,
 * softmax, cross-entropy, and the change between (C,H,W) and (H,W,C).
 */

MGI_FN void mgi_relu_backward(mango_idx n, const float *y, const float *dy, float *dx)
{
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++)
        dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

MGI_FN void mgi_tanh(mango_idx n, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++)
        y[i] = mgi_tanhf(x[i]);
}

MGI_FN void mgi_tanh_backward(mango_idx n, const float *y, const float *dy, float *dx)
{
    MGI_OMP(parallel for schedule(static) if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++)
        dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

static float pointwise_max(mango_idx C, const float *x)
{
    float top = x[0];
    for (mango_idx c = 1; c < C; c++)
        top = x[c] > top ? x[c] : top;
    return top;
}

MGI_FN void mgi_softmax(mango_idx R, mango_idx C, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        const float *in = x + r * C, top = pointwise_max(C, in);
        float *out = y + r * C;
        double sum = 0.0;
        for (mango_idx c = 0; c < C; c++) {
            out[c] = mgi_expf(in[c] - top);
            sum += (double)out[c];
        }
        for (mango_idx c = 0; c < C; c++)
            out[c] = (float)((double)out[c] / sum);
    }
}

/* dx = y (dy - sum y dy) */
MGI_FN void mgi_softmax_backward(mango_idx R, mango_idx C, const float *y, const float *dy,
                                 float *dx)
{
    MGI_OMP(parallel for schedule(static) if (R * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        const float *p = y + r * C, *g = dy + r * C;
        double sum = 0.0;
        for (mango_idx c = 0; c < C; c++)
            sum += (double)p[c] * (double)g[c];
        for (mango_idx c = 0; c < C; c++)
            dx[r * C + c] = (float)((double)p[c] * ((double)g[c] - sum));
    }
}

/* One row: -sum_c q[c] log p[c] with q = (1 - smoothing) [c = k] + smoothing/C,
 * p = softmax(x); g (or NULL) = (p - q)/R, its share of the mean's gradient. */
static double pointwise_entropy(mango_idx R, mango_idx C, const float *x, mango_idx k,
                                double smoothing, float *g)
{
    const double top = (double)pointwise_max(C, x), even = smoothing / (double)C;
    double sum = 0.0, loss = 0.0;
    for (mango_idx c = 0; c < C; c++)
        sum += mgi_exp((double)x[c] - top);
    const double log_sum = mgi_log(sum);
    for (mango_idx c = 0; c < C; c++) {
        const double z = (double)x[c] - top, q = even + (c == k ? 1.0 - smoothing : 0.0);
        if (q > 0.0)
            loss += q * (log_sum - z);
        if (g)
            g[c] = (float)((mgi_exp(z) / sum - q) / (double)R);
    }
    return loss;
}

MGI_FN double mgi_crossentropy(mango_idx R, mango_idx C, const float *x,
                               const int32_t *label, double smoothing, float *dx)
{
    double loss = 0.0;
    for (mango_idx r = 0; r < R; r++)
        loss +=
            pointwise_entropy(R, C, x + r * C, label[r], smoothing, dx ? dx + r * C : NULL);
    return R > 0 ? loss / (double)R : 0.0;
}

#define POINTWISE_TILE 16

/* y (N,B,A) = x (N,A,B) with the last two axes exchanged, in square tiles. */
static void pointwise_transpose(mango_idx N, mango_idx A, mango_idx B, const float *x,
                                float *y)
{
    const mango_idx tiles = (A + POINTWISE_TILE - 1) / POINTWISE_TILE;
    MGI_OMP(parallel for schedule(static) if (N * A * B >= MGI_GRAIN))
    for (mango_idx k = 0; k < N * tiles; k++) {
        const mango_idx n = k / tiles, a0 = k % tiles * POINTWISE_TILE;
        const mango_idx a1 = MGI_MIN(a0 + POINTWISE_TILE, A);
        const float *in = x + n * A * B;
        float *out = y + n * A * B;
        for (mango_idx b0 = 0; b0 < B; b0 += POINTWISE_TILE)
            for (mango_idx b = b0; b < MGI_MIN(b0 + POINTWISE_TILE, B); b++)
                for (mango_idx a = a0; a < a1; a++)
                    out[b * A + a] = in[a * B + b];
    }
}

MGI_FN void mgi_to_nhwc(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y)
{
    pointwise_transpose(N, C, HW, x, y);
}

MGI_FN void mgi_to_nchw(mango_idx N, mango_idx C, mango_idx HW, const float *x, float *y)
{
    pointwise_transpose(N, HW, C, x, y);
}

#undef POINTWISE_TILE
/* ---- end math/pointwise.c ----------------------------------------------------------- */

/* ---- begin math/spikes.c ------------------------------------------------------------ */
/* spikes.c - maps of bits: widening, counting, pooling; the plain kernels.
 */

#define SPK_NR 16    /* most columns of a panel of the sets that use mgi_ref_gather */
#define SPK_PANELS 8 /* ... and most panels of a call */

MGI_FN mango_idx mgi_bits_words(mango_idx C)
{
    return (C + 63) / 64;
}

/* ---- the plain kernels ----------------------------------------------------- */
MGI_FN void mgi_ref_gather(mango_idx nr, mango_idx panels, mango_idx m, mango_idx per,
                           const mgi_gather *run, const float *b, mango_idx pitch,
                           float *acc, int load)
{
    float s[SPK_PANELS * SPK_NR] = {0.0f};
    const size_t bytes = (size_t)(panels * nr) * sizeof *s;
    for (; m > 0; m--, acc += panels * nr) {
        if (load)
            memcpy(s, acc, bytes);
        else
            memset(s, 0, bytes);
        for (const mgi_gather *end = run + per; run < end; run++)
            for (mango_idx i = 0; i < run->n; i++) {
                const float *row = b + run->b + run->at[i];
                for (mango_idx p = 0; p < panels; p++, row += pitch)
                    for (mango_idx j = 0; j < nr; j++)
                        s[p * nr + j] += row[j];
            }
        memcpy(acc, s, bytes);
    }
}

MGI_FN void mgi_ref_lif_bits(mango_idx rows, mango_idx C, const mgi_lif_rule *r,
                             const float *X, float *U, uint64_t *S)
{
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            uint64_t w = 0;
            for (mango_idx j = 0; j < m; j++, X++, U++) {
                const float H = mgi_lif_charge(r, *U, *X);
                w |= (uint64_t)mgi_lif_fires(r, H) << j;
                *U = mgi_lif_leave(r, H);
            }
            *S++ = w;
        }
}

/* ---- widening and counting ------------------------------------------------- */
MGI_FN void mgi_bits_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            const uint64_t w = *x++;
            for (mango_idx j = 0; j < m; j++)
                *y++ = (float)(w >> j & 1);
        }
}

MGI_FN void mgi_bits_add(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    for (mango_idx i = 0; i < rows; i++, y += C)
        for (mango_idx c = 0; c < C; c += 64)
            for (uint64_t w = *x++; w; w &= w - 1)
                y[c + mgi_bits_first(w)] += 1.0f;
}

MGI_FN void mgi_bits_add_part(mango_idx c0, mango_idx n, const uint64_t *x, float *y)
{
    const mango_idx end = c0 + n;
    for (mango_idx c = c0 / 64 * 64; c < end; c += 64) {
        uint64_t w = x[c / 64];
        if (c < c0)
            w &= ~(uint64_t)0 << (c0 - c);
        if (end - c < 64)
            w &= ((uint64_t)1 << (end - c)) - 1;
        for (; w; w &= w - 1)
            y[c + mgi_bits_first(w) - c0] += 1.0f;
    }
}

MGI_FN mango_idx mgi_bits_total(mango_idx n, const uint64_t *x)
{
    const uint64_t pairs = ~(uint64_t)0 / 3, fours = ~(uint64_t)0 / 5,
                   bytes = ~(uint64_t)0 / 17;
    mango_idx sum = 0;
    for (mango_idx i = 0; i < n; i++) {
        uint64_t w = x[i];
        w -= w >> 1 & pairs;
        w = (w & fours) + (w >> 2 & fours);
        w = (w + (w >> 4)) & bytes;
        sum += (mango_idx)(w * (~(uint64_t)0 / 255) >> 56);
    }
    return sum;
}

/* ---- pools ----------------------------------------------------------------- */
/* Rows or columns of output t: [lo,hi) of the map. */
static void spk_window(int adaptive, mango_idx t, mango_idx s, mango_idx p, mango_idx k,
                       mango_idx in, mango_idx out, mango_idx *lo, mango_idx *hi)
{
    *lo = adaptive ? t * in / out : MGI_MAX(t * s - p, 0);
    *hi = adaptive ? ((t + 1) * in + out - 1) / out : MGI_MIN(t * s - p + k, in);
}

MGI_FN void mgi_bits_maxpool(const mgi_pool *p, mango_idx N, const uint64_t *x, uint64_t *y)
{
    const mango_idx words = mgi_bits_words(p->C), rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (rows * p->OW * words >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const uint64_t *in = x + r / p->OH * p->H * p->W * words;
        uint64_t *out = y + r * p->OW * words;
        mango_idx y0, y1, x0, x1;
        spk_window(0, r % p->OH, p->sh, p->ph, p->kh, p->H, p->OH, &y0, &y1);
        for (mango_idx ox = 0; ox < p->OW; ox++, out += words) {
            spk_window(0, ox, p->sw, p->pw, p->kw, p->W, p->OW, &x0, &x1);
            memset(out, 0, (size_t)words * sizeof *out);
            for (mango_idx iy = y0; iy < y1; iy++)
                for (mango_idx i = (iy * p->W + x0) * words; i < (iy * p->W + x1) * words;)
                    for (mango_idx j = 0; j < words; j++, i++)
                        out[j] |= in[i];
        }
    }
}

/* Counts are exact in float, so the order of a sum does not matter. */
static void spk_average(const mgi_pool *p, int adaptive, mango_idx N, const uint64_t *x,
                        float *y)
{
    const mango_idx words = mgi_bits_words(p->C), rows = N * p->OH;
    MGI_OMP(parallel for schedule(static) if (rows * p->OW * p->C >= MGI_GRAIN))
    for (mango_idx r = 0; r < rows; r++) {
        const uint64_t *in = x + r / p->OH * p->H * p->W * words;
        float *out = y + r * p->OW * p->C;
        mango_idx y0, y1, x0, x1;
        spk_window(adaptive, r % p->OH, p->sh, p->ph, p->kh, p->H, p->OH, &y0, &y1);
        for (mango_idx ox = 0; ox < p->OW; ox++, out += p->C) {
            spk_window(adaptive, ox, p->sw, p->pw, p->kw, p->W, p->OW, &x0, &x1);
            const float n = (float)(adaptive ? (y1 - y0) * (x1 - x0) : p->kh * p->kw);
            memset(out, 0, (size_t)p->C * sizeof *out);
            for (mango_idx iy = y0; iy < y1; iy++)
                for (mango_idx ix = x0; ix < x1; ix++)
                    mgi_bits_add(1, p->C, in + (iy * p->W + ix) * words, out);
            for (mango_idx c = 0; c < p->C; c++)
                out[c] = out[c] / n;
        }
    }
}

MGI_FN void mgi_bits_avgpool(const mgi_pool *p, mango_idx N, const uint64_t *x, float *y)
{
    spk_average(p, 0, N, x, y);
}

MGI_FN void mgi_bits_adaptiveavg(const mgi_pool *p, mango_idx N, const uint64_t *x,
                                 float *y)
{
    spk_average(p, 1, N, x, y);
}

#undef SPK_NR
#undef SPK_PANELS
/* ---- end math/spikes.c -------------------------------------------------------------- */

/* ---- begin math/spikes_x86.c -------------------------------------------------------- */
/* spikes_x86.c - kernels for maps of bits with AVX2 and AVX-512.
 *
 * gather holds the sums of one pixel in registers and adds, for each active
 * input, its row of weights: 2 vectors a panel, 4 panels (8 sums hide the
 * latency of an addition). Nothing is multiplied.
 */

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

typedef void (*spk_gather_fn)(mango_idx m, mango_idx per, const mgi_gather *run,
                              const float *b, mango_idx pitch, float *acc, int load);

/* ---- AVX-512: panels of 32 -------------------------------------------------- */
#define SPK5_BODY static inline __attribute__((always_inline, target("avx512f"))) void
#define SPK5_GET(q, u, v)                                                                  \
    __m512 u = _mm512_setzero_ps(), v = u;                                                 \
    if (load && P > q) {                                                                   \
        u = _mm512_loadu_ps(acc + q * 32);                                                 \
        v = _mm512_loadu_ps(acc + q * 32 + 16);                                            \
    }
#define SPK5_ADD(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        u = _mm512_add_ps(u, _mm512_loadu_ps(row + q * pitch));                            \
        v = _mm512_add_ps(v, _mm512_loadu_ps(row + q * pitch + 16));                       \
    }
#define SPK5_PUT(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        _mm512_storeu_ps(acc + q * 32, u);                                                 \
        _mm512_storeu_ps(acc + q * 32 + 16, v);                                            \
    }

SPK5_BODY spk5_body(int P, mango_idx m, mango_idx per, const mgi_gather *run,
                    const float *b, mango_idx pitch, float *acc, int load)
{
    for (; m > 0; m--, acc += P * 32) {
        SPK5_GET(0, u0, v0)
        SPK5_GET(1, u1, v1) SPK5_GET(2, u2, v2)
            SPK5_GET(3, u3, v3) for (const mgi_gather *end = run + per; run < end; run++)
        {
            const float *B = b + run->b;
            for (const uint32_t *at = run->at, *last = at + run->n; at < last; at++) {
                const float *row = B + *at;
                SPK5_ADD(0, u0, v0)
                SPK5_ADD(1, u1, v1) SPK5_ADD(2, u2, v2) SPK5_ADD(3, u3, v3)
            }
        }
        SPK5_PUT(0, u0, v0) SPK5_PUT(1, u1, v1) SPK5_PUT(2, u2, v2) SPK5_PUT(3, u3, v3)
    }
}

/* ---- AVX2: panels of 16 ----------------------------------------------------- */
#define SPK3_BODY static inline __attribute__((always_inline, target("avx2"))) void
#define SPK3_GET(q, u, v)                                                                  \
    __m256 u = _mm256_setzero_ps(), v = u;                                                 \
    if (load && P > q) {                                                                   \
        u = _mm256_loadu_ps(acc + q * 16);                                                 \
        v = _mm256_loadu_ps(acc + q * 16 + 8);                                             \
    }
#define SPK3_ADD(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        u = _mm256_add_ps(u, _mm256_loadu_ps(row + q * pitch));                            \
        v = _mm256_add_ps(v, _mm256_loadu_ps(row + q * pitch + 8));                        \
    }
#define SPK3_PUT(q, u, v)                                                                  \
    if (P > q) {                                                                           \
        _mm256_storeu_ps(acc + q * 16, u);                                                 \
        _mm256_storeu_ps(acc + q * 16 + 8, v);                                             \
    }

SPK3_BODY spk3_body(int P, mango_idx m, mango_idx per, const mgi_gather *run,
                    const float *b, mango_idx pitch, float *acc, int load)
{
    for (; m > 0; m--, acc += P * 16) {
        SPK3_GET(0, u0, v0)
        SPK3_GET(1, u1, v1) SPK3_GET(2, u2, v2)
            SPK3_GET(3, u3, v3) for (const mgi_gather *end = run + per; run < end; run++)
        {
            const float *B = b + run->b;
            for (const uint32_t *at = run->at, *last = at + run->n; at < last; at++) {
                const float *row = B + *at;
                SPK3_ADD(0, u0, v0)
                SPK3_ADD(1, u1, v1) SPK3_ADD(2, u2, v2) SPK3_ADD(3, u3, v3)
            }
        }
        SPK3_PUT(0, u0, v0) SPK3_PUT(1, u1, v1) SPK3_PUT(2, u2, v2) SPK3_PUT(3, u3, v3)
    }
}

/* One instance for each count of panels. */
#define SPK_INST(isa, p, feature)                                                          \
    static __attribute__((target(feature))) void spk##isa##_gather_##p(                    \
        mango_idx m, mango_idx per, const mgi_gather *run, const float *b,                 \
        mango_idx pitch, float *acc, int load)                                             \
    {                                                                                      \
        spk##isa##_body(p, m, per, run, b, pitch, acc, load);                              \
    }
SPK_INST(5, 1, "avx512f")
SPK_INST(5, 2, "avx512f") SPK_INST(5, 3, "avx512f") SPK_INST(5, 4, "avx512f")
    SPK_INST(3, 1, "avx2") SPK_INST(3, 2, "avx2") SPK_INST(3, 3, "avx2")
        SPK_INST(3, 4, "avx2")

            MGI_FN void mgi_avx512_gather(mango_idx panels, mango_idx m, mango_idx per,
                                          const mgi_gather *run, const float *b,
                                          mango_idx pitch, float *acc, int load)
{
    static const spk_gather_fn fn[4] = {spk5_gather_1, spk5_gather_2, spk5_gather_3,
                                        spk5_gather_4};
    fn[panels - 1](m, per, run, b, pitch, acc, load);
}

MGI_FN void mgi_avx2_gather(mango_idx panels, mango_idx m, mango_idx per,
                            const mgi_gather *run, const float *b, mango_idx pitch,
                            float *acc, int load)
{
    static const spk_gather_fn fn[4] = {spk3_gather_1, spk3_gather_2, spk3_gather_3,
                                        spk3_gather_4};
    fn[panels - 1](m, per, run, b, pitch, acc, load);
}

/* ---- LIF, 8 neurons at a time ------------------------------------------------ */
/* As in kernels_x86.c: no fma in the target, the order of lifstep.h. scale:
 * 1/tau when tau is a power of two (then U/tau is U*scale exactly), else 0. */
#define SPKL_BODY static inline __attribute__((always_inline, target("avx2")))

typedef struct spkl_rule {
    mgi_charge charge;
    int delay, set, subtract, on_equal, exact;
} spkl_rule;

SPKL_BODY __m256 spkl_fires(spkl_rule k, __m256 H, __m256 U_thr)
{
    return k.on_equal ? _mm256_cmp_ps(H, U_thr, _CMP_GE_OQ)
                      : _mm256_cmp_ps(H, U_thr, _CMP_GT_OQ);
}

SPKL_BODY __m256 spkl_charge(spkl_rule k, const mgi_lif_rule *r, __m256 tau, __m256 U,
                             __m256 X)
{
    const __m256 gX = _mm256_mul_ps(_mm256_set1_ps(r->gain), X);
    if (k.charge == MGI_CHARGE_LEAK)
        return _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(r->beta), U), gX);
    __m256 d = _mm256_sub_ps(U, _mm256_set1_ps(r->U_rest));
    if (k.charge == MGI_CHARGE_TAU)
        d = _mm256_sub_ps(gX, d);
    d = k.exact ? _mm256_mul_ps(d, tau) : _mm256_div_ps(d, tau);
    if (k.charge == MGI_CHARGE_TAU)
        return _mm256_add_ps(U, d);
    return _mm256_add_ps(_mm256_sub_ps(U, d), gX);
}

SPKL_BODY void spkl_body(spkl_rule k, mango_idx rows, mango_idx C, const mgi_lif_rule *r,
                         float scale, const float *X, float *U, uint64_t *S)
{
    const __m256 thr = _mm256_set1_ps(r->U_thr), value = _mm256_set1_ps(r->U_reset);
    const __m256 tau = _mm256_set1_ps(k.exact ? scale : r->tau);
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64, S++) {
            const mango_idx m = MGI_MIN(64, C - c);
            uint64_t w = 0;
            mango_idx j = 0;
            for (; j + 8 <= m; j += 8, X += 8, U += 8) {
                __m256 u = _mm256_loadu_ps(U);
                const __m256 pending = spkl_fires(k, u, thr);
                if (k.delay && k.set)
                    u = _mm256_blendv_ps(u, value, pending);
                __m256 H = spkl_charge(k, r, tau, u, _mm256_loadu_ps(X));
                if (k.delay && k.subtract)
                    H = _mm256_sub_ps(H, _mm256_and_ps(pending, thr));
                const __m256 fires = spkl_fires(k, H, thr);
                w |= (uint64_t)(unsigned)_mm256_movemask_ps(fires) << j;
                if (!k.delay && k.subtract)
                    H = _mm256_sub_ps(H, _mm256_and_ps(fires, thr));
                if (!k.delay && k.set)
                    H = _mm256_blendv_ps(H, value, fires);
                _mm256_storeu_ps(U, H);
            }
            if (j < m) {
                uint64_t last;
                mgi_ref_lif_bits(1, m - j, r, X, U, &last);
                w |= last << j, X += m - j, U += m - j;
            }
            *S = w;
        }
}

/* 1/tau when that is exact, else 0. */
static float spkl_scale(float tau)
{
    uint32_t bits;
    memcpy(&bits, &tau, sizeof bits);
    return (bits & 0x7fffffu) == 0 && tau >= 1.0f && tau <= 1e30f ? 1.0f / tau : 0.0f;
}

/* The frameworks' two rules are compiled as constants. */
__attribute__((target("avx2"))) MGI_FN void mgi_avx2_lif_bits(mango_idx rows, mango_idx C,
                                                              const mgi_lif_rule *r,
                                                              const float *X, float *U,
                                                              uint64_t *S)
{
    const spkl_rule torch = {MGI_CHARGE_LEAK, 1, 0, 1, 0, 0};
    const spkl_rule jelly = {MGI_CHARGE_TAU, 0, 1, 0, 1, 1};
    const float scale = spkl_scale(r->tau);
    const spkl_rule k = {r->charge,
                         r->delay,
                         r->reset == MGI_RESET_VALUE,
                         r->reset == MGI_RESET_SUBTRACT,
                         r->on_equal,
                         scale > 0.0f && r->charge != MGI_CHARGE_LEAK};
    if (memcmp(&k, &torch, sizeof k) == 0)
        spkl_body(torch, rows, C, r, scale, X, U, S);
    else if (memcmp(&k, &jelly, sizeof k) == 0)
        spkl_body(jelly, rows, C, r, scale, X, U, S);
    else
        spkl_body(k, rows, C, r, scale, X, U, S);
}

#undef SPK5_BODY
#undef SPK5_GET
#undef SPK5_ADD
#undef SPK5_PUT
#undef SPK3_BODY
#undef SPK3_GET
#undef SPK3_ADD
#undef SPK3_PUT
#undef SPK_INST
#undef SPKL_BODY
#endif
/* ---- end math/spikes_x86.c ---------------------------------------------------------- */

/* ---- begin math/spikes_neon.c ------------------------------------------------------- */
/* spikes_neon.c - the gather of maps of bits for 64-bit ARM: panels of 16, the
 * sums of 4 of them in 16 of the 32 registers.
 */

#if defined(__GNUC__) && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

/* P is a constant: the loops over panels and vectors are unrolled. */
static inline __attribute__((always_inline)) void
spkn_body(int P, mango_idx m, mango_idx per, const mgi_gather *run, const float *b,
          mango_idx pitch, float *acc, int load)
{
    float32x4_t s[16];
    for (; m > 0; m--, acc += P * 16) {
        for (int v = 0; v < 4 * P; v++)
            s[v] = load ? vld1q_f32(acc + 4 * v) : vdupq_n_f32(0.0f);
        for (const mgi_gather *end = run + per; run < end; run++)
            for (mango_idx i = 0; i < run->n; i++) {
                const float *row = b + run->b + run->at[i];
                for (int v = 0; v < 4 * P; v++)
                    s[v] = vaddq_f32(s[v], vld1q_f32(row + v / 4 * pitch + v % 4 * 4));
            }
        for (int v = 0; v < 4 * P; v++)
            vst1q_f32(acc + 4 * v, s[v]);
    }
}

MGI_FN void mgi_neon_gather(mango_idx panels, mango_idx m, mango_idx per,
                            const mgi_gather *run, const float *b, mango_idx pitch,
                            float *acc, int load)
{
    switch (panels) {
    case 1: spkn_body(1, m, per, run, b, pitch, acc, load); break;
    case 2: spkn_body(2, m, per, run, b, pitch, acc, load); break;
    case 3: spkn_body(3, m, per, run, b, pitch, acc, load); break;
    default: spkn_body(4, m, per, run, b, pitch, acc, load); break;
    }
}

/* One word at a time through the float kernel; then 4 spikes give 4 bits. */
MGI_FN void mgi_neon_lif_bits(mango_idx rows, mango_idx C, const mgi_lif_rule *r,
                              const float *X, float *U, uint64_t *S)
{
    static const uint32_t power[4] = {1, 2, 4, 8};
    const mgi_kernels *k = mgi_kernels_neon();
    const uint32x4_t bit = vld1q_u32(power);
    float spike[64] = {0.0f};
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c += 64) {
            const mango_idx m = MGI_MIN(64, C - c);
            uint64_t w = 0;
            k->lif(m, r, X, U, spike);
            for (mango_idx j = 0; j < m; j += 4) {
                const uint32x4_t on = vcgtq_f32(vld1q_f32(spike + j), vdupq_n_f32(0.0f));
                w |= (uint64_t)vaddvq_u32(vandq_u32(on, bit)) << j;
            }
            *S++ = m < 64 ? w & (((uint64_t)1 << m) - 1) : w;
            X += m, U += m;
        }
}
#endif
/* ---- end math/spikes_neon.c --------------------------------------------------------- */

/* ---- begin math/spikeconv.c --------------------------------------------------------- */
/* spikeconv.c - convolution over maps of bits: gather what is active.
 *
 * An item is some output rows (n,oy) times all outputs. Its input rows are
 * turned once into lists of the active inputs, ascending in (x,c): each entry
 * is the offset of its weights, first[x] the place of pixel x in the list. The
 * inputs of one kernel row of an output pixel are then one stretch of a list.
 * For a few panels of weights, and as much of the window at a time as keeps
 * these weights in the second-level cache, every pixel adds up its stretches;
 * sums wait in between in a buffer of the item. The order over k = (ky,kx,c)
 * of an output is the dense one.
 */
#if defined(_OPENMP)
#include <omp.h>
#endif

#define SPC_SLICE 16384   /* floats of weights in use at a time, about           */
#define SPC_PIXELS 192    /* pixels per item, about                              */
#define SPC_ROWS 256      /* output rows per item, at most                       */
#define SPC_RUNS 64       /* stretches per call of the kernel                    */
#define SPC_STORE 32      /* pixels finished at a time                           */
#define SPC_LISTED 262144 /* entries of the lists of an item, at most, about   */
#define SPC_WIDEN 262144  /* floats widened at a time on the dense way, about  */
#define SPC_DENSE 0.5     /* part of active inputs above which dense is faster */

typedef struct spc_job {
    const mgi_kernels *k;
    mgi_convgeo g;
    mango_idx N, words;
    const uint64_t *x;
    const float *packed;
    const mgi_bits_epilogue *e;
    float *y;
    mango_idx mu, units, panels,
        shares;                /* rows per item; items; panels, in shares for threads */
    mango_idx group, kyn, kxn; /* panels, kernel rows and columns in use at a time */
    mango_idx listed, firsts, sums; /* scratch of a thread, in 4-byte elements */
} spc_job;

/* One output row of an item: first[ky - ky0] of its kernel rows inside the map. */
typedef struct spc_row {
    mango_idx n, oy, ky0, ky1;
    const uint32_t *first; /* (W+1) for each kernel row */
} spc_row;

/* A part of the window. */
typedef struct spc_part {
    mango_idx ky0, ky1, kx0, kx1;
} spc_part;

static mango_idx spc_up(mango_idx x, mango_idx to)
{
    return (x + to - 1) / to * to;
}

/* ---- lists ------------------------------------------------------------------- */

/* The active inputs of one row of the map; returns the end of the list. */
static uint32_t spc_list_row(const spc_job *j, const uint64_t *x, uint32_t at,
                             uint32_t *list, uint32_t *first)
{
    const uint32_t nr = (uint32_t)j->k->nr;
    const mango_idx C = j->g.C;
    for (mango_idx px = 0; px < j->g.W; px++) {
        first[px] = at;
        for (mango_idx c = 0; c < C; c += 64) {
            const uint32_t base = (uint32_t)(px * C + c) * nr;
            for (uint64_t w = *x++; w; w &= w - 1)
                list[at++] = base + (uint32_t)mgi_bits_first(w) * nr;
        }
    }
    first[j->g.W] = at;
    return at;
}

/* Output rows r0 .. r0+m of all N*OH: the lists of their input rows. */
static void spc_lists(const spc_job *j, mango_idx r0, mango_idx m, spc_row *row,
                      uint32_t *list, uint32_t *first)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx wide = g->W + 1;
    mango_idx n = -1, from = 0, next = 0; /* the image; its rows from .. next have lists, */
    uint32_t at = 0, *top = first;        /* the first of them at top                     */
    for (mango_idx i = 0; i < m; i++) {
        spc_row *q = &row[i];
        q->n = (r0 + i) / g->OH, q->oy = (r0 + i) % g->OH;
        mgi_conv_clip(q->oy, g->sh, g->py, g->kh, g->H, &q->ky0, &q->ky1);
        q->first = first;
        if (q->ky0 == q->ky1)
            continue;
        const mango_idx iy0 = q->oy * g->sh - g->py + q->ky0, iy1 = iy0 + q->ky1 - q->ky0;
        if (q->n != n || iy0 > next) {
            n = q->n;
            from = next = iy0;
            top = first;
        }
        for (; next < iy1; next++, first += wide)
            at = spc_list_row(j, j->x + (n * g->H + next) * g->W * j->words, at, list,
                              first);
        q->first = top + (iy0 - from) * wide;
    }
}

/* ---- sums -------------------------------------------------------------------- */

/* The stretches of pixels ox0 .. ox0+m of a row in a part of the window: one
 * for each kernel row of the part. */
static void spc_runs(const spc_job *j, const spc_row *q, const spc_part *w, mango_idx ox0,
                     mango_idx m, const uint32_t *list, mgi_gather *run)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, per = w->ky1 - w->ky0;
    for (mango_idx ky = w->ky0; ky < w->ky1; ky++) {
        const int inside = ky >= q->ky0 && ky < q->ky1;
        const uint32_t *first = q->first + (inside ? ky - q->ky0 : 0) * (g->W + 1);
        const mango_idx step = g->sw * g->C * nr, W = inside ? g->W : 0;
        mango_idx x0 = ox0 * g->sw - g->px, at = (ky * g->kw - x0) * g->C * nr;
        for (mgi_gather *r = run + ky - w->ky0; r < run + m * per; r += per) {
            const mango_idx lo = MGI_MIN(MGI_MAX(x0 + w->kx0, 0), W);
            const mango_idx hi = MGI_MIN(MGI_MAX(x0 + w->kx1, lo), W);
            r->n = hi > lo ? (mango_idx)(first[hi] - first[lo]) : 0;
            r->at = hi > lo ? list + first[lo] : list;
            r->b = at;
            x0 += g->sw, at -= step;
        }
    }
}

/* The next part of the window; false: all done. */
static int spc_next(const spc_job *j, spc_part *w)
{
    const mgi_convgeo *g = &j->g;
    w->kx0 = w->kx1 < g->kw ? w->kx1 : 0;
    w->ky0 = w->kx0 ? w->ky0 : w->ky1;
    w->ky1 = MGI_MIN(w->ky0 + j->kyn, g->kh);
    w->kx1 = MGI_MIN(w->kx0 + j->kxn, g->kw);
    return w->ky0 < g->kh;
}

static void spc_store(const spc_job *j, const spc_row *q, mango_idx o0, mango_idx n,
                      const float *acc, mango_idx ldacc)
{
    const mgi_convgeo *g = &j->g;
    const mgi_bits_epilogue *e = j->e;
    mango_idx off[SPC_STORE];
    const mango_idx p0 = (q->n * g->OH + q->oy) * g->OW, words = mgi_bits_words(g->O);
    for (mango_idx ox = 0; ox < g->OW; ox += SPC_STORE) {
        const mango_idx m = MGI_MIN(SPC_STORE, g->OW - ox);
        for (mango_idx i = 0; i < m; i++)
            off[i] = (p0 + ox + i) * g->O;
        j->k->finish(m, n, acc + ox * ldacc, ldacc, off, e && e->bias ? e->bias + o0 : NULL,
                     e && e->residual ? e->residual + o0 : NULL, e && e->relu && !e->bits,
                     j->y + o0);
        for (mango_idx i = 0; e && e->bits && i < m; i++) {
            mgi_bits_add_part(o0, n, e->bits + (p0 + ox + i) * words, j->y + off[i] + o0);
            if (e->relu)
                j->k->relu(n, j->y + off[i] + o0, j->y + off[i] + o0);
        }
    }
}

/* All m rows, panels q0 .. q0+np. */
static void spc_group(const spc_job *j, mango_idx m, const spc_row *row, mango_idx q0,
                      mango_idx np, const uint32_t *list, float *sums)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, pitch = g->kh * g->kw * g->C * nr, wide = np * nr;
    const float *B = j->packed + q0 * pitch;
    spc_part w = {0, 0, 0, 0};
    mgi_gather run[SPC_RUNS];
    int load = 0;
    while (spc_next(j, &w) || !load) {
        const mango_idx per = w.ky1 - w.ky0, most = SPC_RUNS / MGI_MAX(per, 1);
        float *acc = sums;
        for (mango_idx i = 0; i < m; i++)
            for (mango_idx ox = 0, n; ox < g->OW; ox += n, acc += n * wide) {
                n = MGI_MIN(most, g->OW - ox);
                spc_runs(j, &row[i], &w, ox, n, list, run);
                j->k->gather(np, n, per, run, B, pitch, acc, load);
            }
        load = 1;
    }
    for (mango_idx i = 0; i < m; i++, sums += g->OW * wide)
        spc_store(j, &row[i], q0 * nr, MGI_MIN(wide, g->O - q0 * nr), sums, wide);
}

static void spc_item(const spc_job *j, mango_idx item, float *scratch)
{
    uint32_t *first = (uint32_t *)(void *)scratch, *list = first + j->firsts;
    float *sums = scratch + j->firsts + j->listed;
    const mango_idx r0 = item / j->shares * j->mu, m = MGI_MIN(j->mu, j->N * j->g.OH - r0);
    const mango_idx s = item % j->shares;
    const mango_idx q1 = (s + 1) * j->panels / j->shares;
    spc_row row[SPC_ROWS];
    spc_lists(j, r0, m, row, list, first);
    for (mango_idx q = s * j->panels / j->shares; q < q1; q += j->group)
        spc_group(j, m, row, q, MGI_MIN(j->group, q1 - q), list, sums);
}

/* ---- planning ---------------------------------------------------------------- */

/* Input rows that m output rows need, at most. */
static mango_idx spc_rows(const mgi_convgeo *g, mango_idx m)
{
    const mango_idx images = (m + g->OH - 2) / g->OH + 1;
    return MGI_MIN(images * g->H, m * g->kh);
}

static void spc_plan(spc_job *j)
{
    const mgi_convgeo *g = &j->g;
    const mango_idx nr = j->k->nr, row = MGI_MAX(g->C * g->W, 1);
    j->words = mgi_bits_words(g->C);
    j->panels = (g->O + nr - 1) / nr;
    j->group = MGI_MIN(j->k->gather_panels, j->panels);
    const mango_idx tap = MGI_MAX(g->C * j->group * nr, 1);
    j->kyn = MGI_MAX(MGI_MIN(SPC_SLICE / (tap * MGI_MAX(g->kw, 1)), g->kh), 1);
    j->kyn = MGI_MIN(j->kyn, SPC_RUNS);
    j->kxn = SPC_SLICE / tap >= g->kw ? g->kw : MGI_MAX(SPC_SLICE / tap, 1);
    j->mu = MGI_MIN(MGI_MIN(MGI_MAX(SPC_PIXELS / g->OW, 1), SPC_ROWS),
                    MGI_MAX(j->N * g->OH, 1));
    while (j->mu > 1 && spc_rows(g, j->mu) * row > SPC_LISTED)
        j->mu--;
    j->firsts = spc_up(spc_rows(g, j->mu) * (g->W + 1), 16);
    j->listed = spc_up(spc_rows(g, j->mu) * row, 16);
    j->sums = spc_up(j->mu * g->OW * j->group * nr, 16);
}

/* Equal shares for the threads: of the rows, and of the panels when there are
 * too few rows. */
static void spc_split(spc_job *j)
{
    const mango_idx T = mango_threads(), M = j->N * j->g.OH;
    j->units = (M + j->mu - 1) / j->mu;
    if (j->units >= T)
        j->units = spc_up(j->units, T);
    j->mu = MGI_MIN(j->mu, (M + j->units - 1) / j->units);
    j->units = (M + j->mu - 1) / j->mu;
    j->shares = j->units >= T ? 1 : MGI_MIN(j->panels, (T + j->units - 1) / j->units);
}

static void spc_gather(spc_job *j, float *work)
{
    const mango_idx each = j->firsts + j->listed + j->sums;
    spc_split(j);
    const mango_idx items = j->units * j->shares;
    MGI_OMP(parallel for schedule(dynamic) if (items > 1))
    for (mango_idx i = 0; i < items; i++) {
#if defined(_OPENMP)
        spc_item(j, i, work + omp_get_thread_num() * each);
#else
        spc_item(j, i, work + 0 * each);
#endif
    }
}

/* ---- the dense way ----------------------------------------------------------- */

/* Maps widened at a time. */
static mango_idx spc_widened(const mgi_conv *c, mango_idx N)
{
    const mango_idx size = c->H * c->W * c->C + c->OH * c->OW * c->O;
    return MGI_MAX(MGI_MIN(N, SPC_WIDEN / MGI_MAX(size, 1)), 1);
}

static void spc_expand(mango_idx rows, mango_idx C, const uint64_t *x, float *y)
{
    const mango_idx words = mgi_bits_words(C);
    MGI_OMP(parallel for schedule(static) if (rows * C >= MGI_GRAIN))
    for (mango_idx i = 0; i < rows; i++)
        mgi_bits_expand(1, C, x + i * words, y + i * C);
}

static void spc_dense(const mgi_conv *c, mango_idx N, const uint64_t *x,
                      const float *packed, const mgi_bits_epilogue *e, float *y,
                      float *work)
{
    const mango_idx most = spc_widened(c, N), in = c->H * c->W, out = c->OH * c->OW;
    float *wide = work, *res = wide + spc_up(most * in * c->C, 16);
    float *rest = res + spc_up(most * out * c->O, 16);
    for (mango_idx n = 0; n < N; n += most) {
        const mango_idx m = MGI_MIN(most, N - n);
        mgi_epilogue f = {e ? e->bias : NULL, NULL, e && e->relu};
        spc_expand(m * in, c->C, x + n * in * mgi_bits_words(c->C), wide);
        if (e && e->residual)
            f.residual = e->residual + n * out * c->O;
        if (e && e->bits) {
            spc_expand(m * out, c->O, e->bits + n * out * mgi_bits_words(c->O), res);
            f.residual = res;
        }
        mgi_conv_forward(c, m, wide, packed, &f, y + n * out * c->O, rest);
    }
}

/* ---- both -------------------------------------------------------------------- */

static int spc_is_sparse(const mgi_conv *c, mango_idx N, const uint64_t *x)
{
    const mango_idx pixels = N * c->H * c->W;
    const double active = (double)mgi_bits_total(pixels * mgi_bits_words(c->C), x);
    return !c->transposed && active <= SPC_DENSE * (double)(pixels * c->C);
}

MGI_FN mango_idx mgi_bits_conv_work(const mgi_conv *c, mango_idx N)
{
    const mango_idx most = spc_widened(c, N);
    const mango_idx dense = spc_up(most * c->H * c->W * c->C, 16) +
                            spc_up(most * c->OH * c->OW * c->O, 16) +
                            mgi_conv_work(c, most);
    spc_job j = {.k = mgi_kernels_get(), .N = N};
    if (c->transposed)
        return dense;
    mgi_convgeo_phase(c, 0, &j.g);
    spc_plan(&j);
    return MGI_MAX(dense, mango_threads() * (j.firsts + j.listed + j.sums));
}

MGI_FN void mgi_bits_conv(const mgi_conv *c, mango_idx N, const uint64_t *x,
                          const float *packed, const mgi_bits_epilogue *e, float *y,
                          float *work)
{
    spc_job j = {.k = mgi_kernels_get(), .N = N, .x = x, .packed = packed, .e = e, .y = y};
    if (!spc_is_sparse(c, N, x)) {
        spc_dense(c, N, x, packed, e, y, work);
        return;
    }
    mgi_convgeo_phase(c, 0, &j.g);
    spc_plan(&j);
    spc_gather(&j, work);
}

#undef SPC_SLICE
#undef SPC_PIXELS
#undef SPC_ROWS
#undef SPC_RUNS
#undef SPC_STORE
#undef SPC_LISTED
#undef SPC_WIDEN
#undef SPC_DENSE
/* ---- end math/spikeconv.c ----------------------------------------------------------- */

/* ---- begin net/lif.c ---------------------------------------------------------------- */
/* lif.c - leaky integrate-and-fire layers: presets, steps, gradients in time.
 *
 * Neurons are independent, so all work is split into blocks of LIF_BLOCK of
 * them and each block walks through time on its own.
 */

#define LIF_BLOCK 1024 /* neurons; their state stays in the first-level cache */

mango_status mango_lif_preset(const char *name, mango_lif *rule)
{
    static const struct {
        const char *name;
        mango_lif rule;
    } preset[] = {
        {"snntorch",
         {.beta = 0.9f,
          .input_gain = 1.0f,
          .U_thr = 1.0f,
          .reset = MANGO_RESET_SUBTRACT,
          .reset_delay = 1,
          .detach_reset = 1,
          .surrogate = MANGO_SURROGATE_FAST_SIGMOID,
          .slope = 25.0f}},
        {"spikingjelly",
         {.tau = 2.0f,
          .decay_input = 1,
          .input_gain = 1.0f,
          .U_thr = 1.0f,
          .fires_on_equal = 1,
          .reset = MANGO_RESET_VALUE,
          .surrogate = MANGO_SURROGATE_ATAN,
          .slope = 2.0f}},
    };
    MGI_REQUIRE(name && rule);
    for (mango_idx i = 0; i < MGI_COUNT(preset); i++) {
        if (strcmp(preset[i].name, name) == 0) {
            *rule = preset[i].rule;
            return MANGO_OK;
        }
    }
    return MANGO_E_NAME;
}

/* lo <= v <= hi, false for NaN. */
static int lif_within(float v, float lo, float hi)
{
    return v >= lo && v <= hi;
}

static int lif_is_flag(int v)
{
    return v == 0 || v == 1;
}

mango_status mango_lif_check(const mango_lif *r, mango_err *err)
{
    const float big = 1e30f, tiny = 1e-30f;
    if (!r)
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: missing");
    if (r->tau != 0.0f && !lif_within(r->tau, 1.0f, big))
        return mgi_fail(err, MANGO_E_ARG,
                        "LIF rule: tau is %g, expected 0 (leak form) or >= 1",
                        (double)r->tau);
    if (r->tau == 0.0f && !lif_within(r->beta, 0.0f, 1.0f))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: beta is %g, expected 0..1",
                        (double)r->beta);
    if (!lif_within(r->input_gain, -big, big))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: input_gain is not finite");
    if (!lif_within(r->U_thr, tiny, big))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: U_thr is %g, expected > 0",
                        (double)r->U_thr);
    if (r->reset < MANGO_RESET_SUBTRACT || r->reset > MANGO_RESET_NONE)
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: unknown reset %d", (int)r->reset);
    if (!(r->U_reset >= -big && r->U_reset < r->U_thr))
        return mgi_fail(err, MANGO_E_ARG,
                        "LIF rule: U_reset is %g, expected below U_thr %g",
                        (double)r->U_reset, (double)r->U_thr);
    if (!lif_is_flag(r->decay_input) || !lif_is_flag(r->fires_on_equal) ||
        !lif_is_flag(r->reset_delay) || !lif_is_flag(r->detach_reset))
        return mgi_fail(err, MANGO_E_ARG,
                        "LIF rule: decay_input, fires_on_equal, reset_delay "
                        "and detach_reset are 0 or 1");
    if (r->surrogate != MANGO_SURROGATE_FAST_SIGMOID &&
        r->surrogate != MANGO_SURROGATE_ATAN)
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: unknown surrogate %d",
                        (int)r->surrogate);
    if (!lif_within(r->slope, tiny, big))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: slope is %g, expected > 0",
                        (double)r->slope);
    return MANGO_OK;
}

MGI_FN mgi_lif_rule mgi_lif_lower(const mango_lif *r)
{
    mgi_lif_rule k = {.beta = r->beta,
                      .tau = r->tau,
                      .gain = r->input_gain,
                      .U_thr = r->U_thr,
                      .U_rest = r->U_reset,
                      .U_reset = r->U_reset,
                      .delay = r->reset_delay,
                      .on_equal = r->fires_on_equal};
    k.charge = r->tau == 0.0f   ? MGI_CHARGE_LEAK
               : r->decay_input ? MGI_CHARGE_TAU
                                : MGI_CHARGE_WHOLE;
    k.reset = r->reset == MANGO_RESET_NONE       ? MGI_RESET_NONE
              : r->reset == MANGO_RESET_SUBTRACT ? MGI_RESET_SUBTRACT
                                                 : MGI_RESET_VALUE;
    if (r->reset == MANGO_RESET_ZERO)
        k.U_reset = 0.0f;
    return k;
}

MGI_FN float mgi_lif_rest(const mango_lif *r)
{
    return r->tau == 0.0f ? 0.0f : r->U_reset;
}

mango_status mango_lif_step(const mango_lif *rule, mango_idx n, const float *X, float *U,
                            float *S)
{
    MGI_TRY(mango_lif_check(rule, NULL));
    MGI_REQUIRE(n >= 0 && (n == 0 || (X && U && S)));
    const mgi_lif_rule r = mgi_lif_lower(rule);
    const mgi_kernels *kern = mgi_kernels_get();

    MGI_OMP(parallel for if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += LIF_BLOCK)
        kern->lif(MGI_MIN(LIF_BLOCK, n - i), &r, X + i, U + i, S + i);
    return MANGO_OK;
}

/* All steps of neurons i .. i+m-1. */
static void lif_run_block(const mgi_lif_rule *r, float rest, mango_idx T, mango_idx n,
                          mango_idx i, mango_idx m, const float *X, mango_idx Xstride,
                          float *U, float *S)
{
    const mgi_kernels *kern = mgi_kernels_get();
    float state[LIF_BLOCK];
    for (mango_idx j = 0; j < m; j++)
        state[j] = rest;
    for (mango_idx t = 0; t < T; t++) {
        kern->lif(m, r, X + t * Xstride + i, state, S + t * n + i);
        if (U)
            memcpy(U + t * n + i, state, (size_t)m * sizeof *state);
    }
}

mango_status mango_lif_run(const mango_lif *rule, mango_idx T, mango_idx n, const float *X,
                           mango_idx Xstride, float *U, float *S)
{
    MGI_TRY(mango_lif_check(rule, NULL));
    MGI_REQUIRE(T >= 0 && n >= 0 && (Xstride == 0 || Xstride >= n));
    MGI_REQUIRE(T == 0 || n == 0 || (X && S));
    const mgi_lif_rule r = mgi_lif_lower(rule);
    const float rest = mgi_lif_rest(rule);

    MGI_OMP(parallel for schedule(static) if (T * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += LIF_BLOCK)
        lif_run_block(&r, rest, T, n, i, MGI_MIN(LIF_BLOCK, n - i), X, Xstride, U, S);
    return MANGO_OK;
}

/* ---- gradients through time ------------------------------------------------
 * With H[t] the membrane at firing, theta' the surrogate, a = dH/dU the decay
 * and D[t] = dL/dH[t], the chain rule backwards from D[T] = 0 reads
 *     D[t] = keep a D[t+1] + theta'(H[t]) (dS[t] + kick),     dX[t] = g D[t]
 *     subtract: keep = 1,        kick = -U_thr a D[t+1]   (-U_thr D[t+1] delayed)
 *     value:    keep = 1 - S[t], kick = (U_reset - H[t]) a D[t+1]
 *     none, or reset detached:   kick = 0 (keep as above). */
typedef struct lif_grad {
    mgi_lif_rule r;
    float rest, a, g, kick; /* kick: dS gains kick * D[t+1] when subtracting */
    int atan, through;      /* through: the reset passes gradient */
    float slope;
} lif_grad;

static lif_grad lif_grad_make(const mango_lif *rule)
{
    lif_grad k = {
        .r = mgi_lif_lower(rule), .rest = mgi_lif_rest(rule), .slope = rule->slope};
    const int leak = k.r.charge == MGI_CHARGE_LEAK;
    k.a = leak ? rule->beta : 1.0f - 1.0f / rule->tau;
    k.g = k.r.charge == MGI_CHARGE_TAU ? rule->input_gain / rule->tau : rule->input_gain;
    k.atan = rule->surrogate == MANGO_SURROGATE_ATAN;
    k.through = !rule->detach_reset && k.r.reset != MGI_RESET_NONE;
    k.kick = k.r.delay ? -k.r.U_thr : -k.r.U_thr * k.a;
    return k;
}

/* theta'(d) at d = H - U_thr. */
static float lif_surrogate(int is_atan, float k, float d)
{
    if (is_atan) {
        const float v = 1.57079633f * k * d;
        return 0.5f * k / (1.0f + v * v);
    }
    const float v = 1.0f + k * (d < 0.0f ? -d : d);
    return 1.0f / (v * v);
}

/* One step backwards for m neurons: D goes from D[t+1] to D[t]. */
static void lif_back_step(const lif_grad *k, mango_idx m, const float *H, const float *dS,
                          float *D)
{
    const int value = k->r.reset == MGI_RESET_VALUE;
    for (mango_idx j = 0; j < m; j++) {
        const float theta = lif_surrogate(k->atan, k->slope, H[j] - k->r.U_thr);
        const float aD = k->a * D[j];
        float s = dS[j];
        if (k->through)
            s += value ? (k->r.U_reset - H[j]) * aD : k->kick * D[j];
        const float keep = value && mgi_lif_fires(&k->r, H[j]) ? 0.0f : aD;
        D[j] = keep + theta * s;
    }
}

/* H[t] of neurons i .. i+m-1 for all t, from X. */
static void lif_recompute(const lif_grad *k, mango_idx T, mango_idx n, mango_idx i,
                          mango_idx m, const float *X, mango_idx Xstride, float *H)
{
    float U[LIF_BLOCK];
    for (mango_idx j = 0; j < m; j++)
        U[j] = k->rest;
    for (mango_idx t = 0; t < T; t++) {
        const float *x = X + t * Xstride + i;
        float *h = H + t * n + i;
        for (mango_idx j = 0; j < m; j++) {
            h[j] = mgi_lif_charge(&k->r, U[j], x[j]);
            U[j] = mgi_lif_leave(&k->r, h[j]);
        }
    }
}

static void lif_back_block(const lif_grad *k, mango_idx T, mango_idx n, mango_idx i,
                           mango_idx m, const float *X, mango_idx Xstride, const float *dS,
                           float *H, float *dX)
{
    float D[LIF_BLOCK] = {0.0f};
    lif_recompute(k, T, n, i, m, X, Xstride, H);
    if (Xstride == 0)
        memset(dX + i, 0, (size_t)m * sizeof *dX);
    for (mango_idx t = T - 1; t >= 0; t--) {
        lif_back_step(k, m, H + t * n + i, dS + t * n + i, D);
        float *out = dX + (Xstride ? t * n : 0) + i;
        for (mango_idx j = 0; j < m; j++)
            out[j] = Xstride ? k->g * D[j] : out[j] + k->g * D[j];
    }
}

mango_status mango_lif_backward(const mango_lif *rule, mango_idx T, mango_idx n,
                                const float *X, mango_idx Xstride, const float *dS,
                                float *H, float *dX)
{
    MGI_TRY(mango_lif_check(rule, NULL));
    MGI_REQUIRE(T >= 0 && n >= 0 && (Xstride == 0 || Xstride >= n));
    MGI_REQUIRE(n == 0 || ((T == 0 || (X && dS && H)) && dX));
    const lif_grad k = lif_grad_make(rule);

    MGI_OMP(parallel for schedule(static) if (T * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += LIF_BLOCK)
        lif_back_block(&k, T, n, i, MGI_MIN(LIF_BLOCK, n - i), X, Xstride, dS, H, dX);
    return MANGO_OK;
}

#undef LIF_BLOCK
/* ---- end net/lif.c ------------------------------------------------------------------ */

/* ---- begin net/weights.c ------------------------------------------------------------ */
/* weights.c - reading safetensors: 8 bytes of header length, a JSON header that names
 * every tensor's type, shape and byte range, then the data without a gap.
 * The reader believes nothing: every field is checked against the file's size
 * and the limits of weights.h before a tensor is handed out.
 */
#include <math.h>
#include <stdlib.h>

static const struct {
    char name[8];
    int size;
} wt_dtype[MGI_DTYPES] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I8", 1},
                          {"U8", 1},  {"I16", 2}, {"I32", 4},  {"I64", 8}, {"BOOL", 1}};

MGI_FN const char *mgi_dtype_name(mgi_dtype d)
{
    return wt_dtype[d].name;
}

MGI_FN mango_idx mgi_dtype_size(mgi_dtype d)
{
    return wt_dtype[d].size;
}

MGI_FN int mgi_dtype_find(const char *name, mgi_dtype *d)
{
    for (int i = 0; i < MGI_DTYPES; i++)
        if (!strcmp(name, wt_dtype[i].name)) {
            *d = (mgi_dtype)i;
            return 1;
        }
    return 0;
}

static uint64_t wt_load(const unsigned char *p, mango_idx bytes)
{
    uint64_t v = 0;
    for (mango_idx i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* ---- reading -------------------------------------------------------------- */

/* A name: 1..256 bytes, no control bytes (that it is UTF-8, the JSON reader saw). */
static mango_status wt_check_name(const char *name, const char *what, mango_err *err)
{
    const size_t n = strlen(name);
    if (n < 1 || n > 256)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: a tensor name of %d bytes, expected 1..256", what,
                        (int)MGI_MIN(n, 1 << 20));
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s: tensor name '%.60s' holds a control byte at %d", what, name,
                            (int)i);
    return MANGO_OK;
}

static mango_status wt_shape(const mgi_json *j, const mgi_json_value *a, const char *what,
                             mgi_tensor *t, mango_err *err)
{
    if (!a || a->kind != MGI_JSON_ARRAY || a->n > 8)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': shape is not a list of at most 8 sizes", what,
                        t->name);
    t->rank = (int)a->n;
    t->count = 1;
    mango_idx at = a->child;
    for (int i = 0; i < t->rank; i++, at = j->v[at].next) {
        const mgi_json_value *v = &j->v[at];
        if (v->kind != MGI_JSON_NUMBER || !v->is_int || v->i < 0 || v->i > MGI_WEIGHTS_DIM_MAX)
            return mgi_fail(err, MANGO_E_LIMIT,
                            "%s: tensor '%.80s': size %d of shape is not a whole number 0..2^24",
                            what, t->name, i);
        t->shape[i] = (mango_idx)v->i;
        if (!mgi_mul(t->count, t->shape[i], &t->count))
            return mgi_fail(err, MANGO_E_LIMIT, "%s: tensor '%.80s': shape is too large", what,
                            t->name);
    }
    return MANGO_OK;
}

/* data_offsets: [begin, end) inside the data, as many bytes as the shape says. */
static mango_status wt_range(const mgi_json *j, const mgi_json_value *a, const char *what,
                             const unsigned char *data, mango_idx size, mgi_tensor *t,
                             mango_err *err)
{
    if (!a || a->kind != MGI_JSON_ARRAY || a->n != 2)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': data_offsets is not a list of two numbers", what,
                        t->name);
    const mgi_json_value *b = &j->v[a->child], *e = &j->v[b->next];
    if (b->kind != MGI_JSON_NUMBER || !b->is_int || e->kind != MGI_JSON_NUMBER || !e->is_int ||
        b->i < 0 || e->i < b->i || e->i > size)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': data_offsets [%.0f, %.0f] are not a range inside "
                        "the %td bytes of data",
                        what, t->name, b->d, e->d, size);
    mango_idx bytes;
    if (!mgi_mul(t->count, mgi_dtype_size(t->dtype), &bytes) || bytes != (mango_idx)(e->i - b->i))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': data_offsets span %td bytes, its shape needs %td of "
                        "%s",
                        what, t->name, (mango_idx)(e->i - b->i), t->count,
                        mgi_dtype_name(t->dtype));
    t->raw = data + b->i;
    return MANGO_OK;
}

static mango_status wt_entry(const mgi_json *j, const mgi_json_value *v, const char *what,
                             const unsigned char *data, mango_idx size, mgi_tensor *t,
                             mango_err *err)
{
    MGI_TRY(wt_check_name(v->key, what, err));
    mgi_copy(t->name, (mango_idx)sizeof t->name, v->key);
    if (v->kind != MGI_JSON_OBJECT || v->n != 3)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: tensor '%.80s': expected exactly dtype, shape and data_offsets", what,
                        t->name);
    const mgi_json_value *d = mgi_json_get(j, v, "dtype");
    if (!d || d->kind != MGI_JSON_STRING || !mgi_dtype_find(d->str, &t->dtype))
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: tensor '%.80s': dtype '%.20s' is not one of F32 F16 BF16 F64 I8 U8 "
                        "I16 I32 I64 BOOL",
                        what, t->name, d && d->kind == MGI_JSON_STRING ? d->str : "?");
    MGI_TRY(wt_shape(j, mgi_json_get(j, v, "shape"), what, t, err));
    return wt_range(j, mgi_json_get(j, v, "data_offsets"), what, data, size, t, err);
}

static mango_idx wt_bytes(const mgi_tensor *t)
{
    return t->count * mgi_dtype_size(t->dtype);
}

static int wt_by_place(const void *x, const void *y)
{
    const mgi_tensor *a = x, *b = y;
    if (a->raw != b->raw)
        return a->raw < b->raw ? -1 : 1;
    return (wt_bytes(a) > wt_bytes(b)) - (wt_bytes(a) < wt_bytes(b));
}

static int wt_by_name(const void *x, const void *y)
{
    return strcmp(((const mgi_tensor *)x)->name, ((const mgi_tensor *)y)->name);
}

/* The tensors must tile the data: no hole, no overlap, nothing behind. */
static mango_status wt_tile(mgi_tensors *f, const char *what, const unsigned char *data,
                            mango_idx size, mango_err *err)
{
    mango_idx at = 0;
    qsort(f->t, (size_t)f->n, sizeof f->t[0], wt_by_place);
    for (mango_idx i = 0; i < f->n; i++) {
        const mango_idx begin = f->t[i].raw - data;
        if (begin != at)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s: tensor '%.80s' begins at byte %td of the data, expected %td (%s)",
                            what, f->t[i].name, begin, at, begin < at ? "an overlap" : "a hole");
        at += wt_bytes(&f->t[i]);
    }
    if (at != size)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: %td bytes follow the last tensor at offset %td, expected none", what,
                        size - at, f->size - (size - at));
    qsort(f->t, (size_t)f->n, sizeof f->t[0], wt_by_name);
    for (mango_idx i = 1; i < f->n; i++)
        if (!strcmp(f->t[i - 1].name, f->t[i].name))
            return mgi_fail(err, MANGO_E_FORMAT, "%s: tensor '%.80s' is there twice", what,
                            f->t[i].name);
    return MANGO_OK;
}

static const mgi_json_value *wt_metadata(const mgi_json *j)
{
    return mgi_json_get(j, &j->v[0], "__metadata__");
}

/* The header's outline: an object, metadata of strings, not too many tensors. */
static mango_status wt_outline(const mgi_json *j, const char *what, mango_idx *n, mango_err *err)
{
    if (j->v[0].kind != MGI_JSON_OBJECT)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: the header is not a JSON object", what);
    const mgi_json_value *m = wt_metadata(j);
    if (m && m->kind != MGI_JSON_OBJECT)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: __metadata__ is not an object", what);
    for (mango_idx at = m ? m->child : -1; at >= 0; at = j->v[at].next)
        if (j->v[at].kind != MGI_JSON_STRING)
            return mgi_fail(err, MANGO_E_FORMAT, "%s: __metadata__ '%.80s' is not a string", what,
                            j->v[at].key);
    *n = j->v[0].n - (m ? 1 : 0);
    if (*n > MGI_WEIGHTS_TENSORS_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %td tensors, at most %d are read", what, *n,
                        MGI_WEIGHTS_TENSORS_MAX);
    return MANGO_OK;
}

/* Length field and JSON text; *head is the header's length. */
static mango_status wt_header(mgi_tensors *f, const char *what, mango_idx *head, mango_err *err)
{
    mango_err sub;
    if (f->size < 8)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: %td bytes, a safetensors file begins with 8 bytes of header length",
                        what, f->size);
    const uint64_t n = wt_load(f->image, 8);
    if (n > (uint64_t)MGI_WEIGHTS_HEADER_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: offset 0: header length %.0f, at most 1 MiB is read", what, (double)n);
    if (n > (uint64_t)(f->size - 8))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: truncated: the header should have %d bytes, %td are there", what,
                        (int)n, f->size - 8);
    *head = (mango_idx)n;
    if (n == 0 || f->image[8] != '{')
        return mgi_fail(err, MANGO_E_FORMAT, "%s: offset 8: the header does not begin with '{'",
                        what);
    sub.text[0] = 0;
    const mango_status st =
        mgi_json_parse(&f->header, (const char *)f->image + 8, *head, &f->al, &sub);
    return st < 0 ? mgi_fail(err, st, "%s: header: %s", what, sub.text) : MANGO_OK;
}

MGI_FN mango_status mgi_tensors_parse(mgi_tensors *f, unsigned char *image, mango_idx size,
                                      const char *what, const mango_alloc *al, mango_err *err)
{
    mango_status st;
    mango_idx head = 0, n = 0;
    memset(f, 0, sizeof *f);
    f->al = mgi_alloc_get(al);
    f->image = image;
    f->size = f->room = size;
    st = wt_header(f, what, &head, err);
    if (st < 0) {
        memset(f, 0, sizeof *f);
        return st;
    }
    MGI_TRY_TO(wt_outline(&f->header, what, &n, err));
    f->t = mgi_new(&f->al, n, sizeof f->t[0]);
    if (!f->t) {
        st = mgi_fail(err, MANGO_E_MEM, "%s: no memory for the list of %td tensors", what, n);
        goto done;
    }
    f->n = n;
    const unsigned char *data = image + 8 + head;
    const mango_idx data_size = size - 8 - head;
    const mgi_json_value *m = wt_metadata(&f->header);
    mango_idx i = 0;
    for (mango_idx at = f->header.v[0].child; at >= 0; at = f->header.v[at].next)
        if (&f->header.v[at] != m)
            MGI_TRY_TO(wt_entry(&f->header, &f->header.v[at], what, data, data_size, &f->t[i++],
                                err));
    MGI_TRY_TO(wt_tile(f, what, data, data_size, err));
done:
    if (st < 0) {
        f->image = NULL;
        mgi_tensors_free(f);
    }
    return st;
}

MGI_FN mango_status mgi_tensors_read(mgi_tensors *f, const char *path, const mango_alloc *al,
                                     mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    unsigned char *image = NULL;
    mango_idx size = 0;
    memset(f, 0, sizeof *f);
    MGI_TRY(mgi_file_read(path, MGI_WEIGHTS_FILE_MAX, &a, &image, &size, err));
    const mango_status st = mgi_tensors_parse(f, image, size, path, &a, err);
    if (st < 0)
        mgi_del(&a, image, size + 1, 1); /* with the NUL that file_read adds */
    else
        f->room = size + 1;
    return st;
}

MGI_FN void mgi_tensors_free(mgi_tensors *f)
{
    if (!f || !f->al.fn)
        return;
    mgi_json_free(&f->header);
    if (f->t)
        mgi_del(&f->al, f->t, f->n, sizeof f->t[0]);
    if (f->image)
        mgi_del(&f->al, f->image, f->room, 1);
    memset(f, 0, sizeof *f);
}

MGI_FN const mgi_tensor *mgi_tensors_find(const mgi_tensors *f, const char *name)
{
    mango_idx lo = 0, hi = f->n;
    while (lo < hi) {
        const mango_idx mid = lo + (hi - lo) / 2;
        const int c = strcmp(name, f->t[mid].name);
        if (c == 0)
            return &f->t[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

MGI_FN const char *mgi_tensors_meta(const mgi_tensors *f, const char *key)
{
    const mgi_json_value *m = wt_metadata(&f->header);
    const mgi_json_value *v = m ? mgi_json_get(&f->header, m, key) : NULL;
    return v ? v->str : NULL;
}

MGI_FN int mgi_tensors_meta_at(const mgi_tensors *f, mango_idx i, const char **key,
                               const char **value)
{
    const mgi_json_value *m = wt_metadata(&f->header);
    if (!m || i < 0 || i >= m->n)
        return 0;
    const mgi_json_value *v = mgi_json_at(&f->header, m, i);
    *key = v->key;
    *value = v->str;
    return 1;
}

/* ---- values ---------------------------------------------------------------- */

/* A half without branches, so that the loop below runs in vectors: 2^112 moves
 * the exponent's bias from 15 to 127, exactly, subnormal halves included. */
static float wt_half(uint32_t h)
{
    const uint32_t special = (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0;
    uint32_t b = (h & 0x7fffu) << 13;
    float v;
    memcpy(&v, &b, sizeof v);
    v *= 0x1p112f;
    memcpy(&b, &v, sizeof b);
    b |= special | (h & 0x8000u) << 16;
    memcpy(&v, &b, sizeof v);
    return v;
}

/* One loop a type, since a network has millions of values. */
static void wt_widen(const mgi_tensor *t, float *out)
{
    const unsigned char *p = t->raw;
    const mango_idx n = t->count;
    if (t->dtype == MGI_F16) {
        for (mango_idx i = 0; i < n; i++, p += 2)
            out[i] = wt_half((uint32_t)p[0] | (uint32_t)p[1] << 8);
    } else if (t->dtype == MGI_BF16) {
        for (mango_idx i = 0; i < n; i++, p += 2)
            out[i] = mgi_from_bf16((uint16_t)(p[0] | p[1] << 8));
    } else if (t->dtype == MGI_F64) {
        for (mango_idx i = 0; i < n; i++, p += 8) {
            const uint64_t b = wt_load(p, 8);
            double v;
            memcpy(&v, &b, sizeof v);
            out[i] = (float)v;
        }
    } else {
        for (mango_idx i = 0; i < n; i++, p += 4) {
            const uint32_t b = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                               (uint32_t)p[3] << 24;
            memcpy(&out[i], &b, sizeof b);
        }
    }
}

static int wt_is_int(mgi_dtype d)
{
    return d >= MGI_I8;
}

/* Value i of an integer tensor, with its sign. */
static int64_t wt_int(const mgi_tensor *t, mango_idx i)
{
    const mango_idx size = mgi_dtype_size(t->dtype);
    uint64_t v = wt_load(t->raw + i * size, size);
    if (t->dtype != MGI_U8 && t->dtype != MGI_BOOL && size < 8 && (v >> (size * 8 - 1) & 1))
        v |= ~(uint64_t)0 << (size * 8);
    int64_t s;
    memcpy(&s, &v, sizeof s);
    return s;
}

MGI_FN mango_status mgi_tensor_floats(const mgi_tensor *t, int finite, float *out,
                                      mango_err *err)
{
    if (!wt_is_int(t->dtype))
        wt_widen(t, out);
    for (mango_idx i = 0; wt_is_int(t->dtype) && i < t->count; i++) {
        const int64_t v = wt_int(t, i);
        if (v > 1 << 24 || v < -(1 << 24) || (t->dtype == MGI_BOOL && v > 1))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "tensor '%.80s': value %.0f at index %td is not exact in float",
                            t->name, (double)v, i);
        out[i] = (float)v;
    }
    for (mango_idx i = 0; finite && i < t->count; i++)
        if (!isfinite(out[i]))
            return mgi_fail(err, MANGO_E_NONFINITE,
                            "tensor '%.80s': NaN or infinite at index %td, expected finite values",
                            t->name, i);
    return MANGO_OK;
}

MGI_FN mango_status mgi_tensor_ints(const mgi_tensor *t, int32_t *out, mango_err *err)
{
    if (!wt_is_int(t->dtype))
        return mgi_fail(err, MANGO_E_FORMAT, "tensor '%.80s' is of type %s, expected integers",
                        t->name, mgi_dtype_name(t->dtype));
    for (mango_idx i = 0; i < t->count; i++) {
        const int64_t v = wt_int(t, i);
        if (v > INT32_MAX || v < INT32_MIN)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "tensor '%.80s': value %.0f at index %td does not fit 32 bits",
                            t->name, (double)v, i);
        out[i] = (int32_t)v;
    }
    return MANGO_OK;
}
/* ---- end net/weights.c -------------------------------------------------------------- */

/* ---- begin net/weights_write.c ------------------------------------------------------ */
/* weights_write.c - writing safetensors: values are copied as they are added,
 * laid out widest type first, read back as a check, and saved atomically.
 */
#include <math.h>

static void wt_store(unsigned char *p, uint64_t v, mango_idx bytes)
{
    for (mango_idx i = 0; i < bytes; i++, v >>= 8)
        p[i] = (unsigned char)(v & 255);
}

typedef struct wt_out {
    char name[257];
    mgi_dtype dtype;
    int rank;
    mango_idx shape[8], bytes;
    unsigned char *data;
} wt_out;

struct mgi_tensor_writer {
    mango_alloc al;
    mango_idx n, cap;
    wt_out *t;
    mgi_str meta;    /* the members of __metadata__, quoted, comma-separated */
    mango_status st; /* of the first call that failed, its message in err */
    mango_err err;
};

MGI_FN mango_status mgi_writer_new(mgi_tensor_writer **w, const mango_alloc *al)
{
    const mango_alloc a = mgi_alloc_get(al);
    *w = mgi_new(&a, 1, sizeof **w);
    if (!*w)
        return MANGO_E_MEM;
    (*w)->al = a;
    mgi_str_init(&(*w)->meta, &a);
    return MANGO_OK;
}

/* Keep the first failure. */
static mango_status wt_bad(mgi_tensor_writer *w, mango_status st, const char *name,
                           const char *why)
{
    if (w->st == MANGO_OK)
        w->st = mgi_fail(&w->err, st, "tensor '%.80s': %s", name, why);
    return w->st;
}

MGI_FN mango_status mgi_writer_meta(mgi_tensor_writer *w, const char *key, const char *value)
{
    if (w->meta.n)
        mgi_str_puts(&w->meta, ",");
    mgi_json_quote(&w->meta, key, (mango_idx)strlen(key));
    mgi_str_puts(&w->meta, ":");
    mgi_json_quote(&w->meta, value, (mango_idx)strlen(value));
    if (w->meta.bad && w->st == MANGO_OK)
        w->st = mgi_fail(&w->err, MANGO_E_MEM, "no memory for metadata '%.80s'", key);
    return w->st;
}

static int wt_grow(mgi_tensor_writer *w)
{
    if (w->n < w->cap)
        return 1;
    const mango_idx cap = w->cap ? w->cap * 2 : 32;
    wt_out *t = w->t ? mgi_resize(&w->al, w->t, w->cap, cap, sizeof *t)
                     : mgi_new(&w->al, cap, sizeof *t);
    if (!t)
        return 0;
    w->t = t;
    w->cap = cap;
    return 1;
}

/* A new entry with room for its bytes; NULL after a failure. */
static wt_out *wt_push(mgi_tensor_writer *w, const char *name, mgi_dtype dtype, int rank,
                       const mango_idx *shape, mango_idx *count)
{
    mango_idx bytes;
    if (w->st < 0)
        return NULL;
    if (rank < 0 || rank > 8 || !mgi_prod(rank, shape, count) ||
        !mgi_mul(*count, mgi_dtype_size(dtype), &bytes) || strlen(name) > 256 ||
        w->n >= MGI_WEIGHTS_TENSORS_MAX) {
        wt_bad(w, MANGO_E_LIMIT, name, "the name, rank, shape or number is over the limits");
        return NULL;
    }
    unsigned char *data = wt_grow(w) ? mgi_new(&w->al, bytes, 1) : NULL;
    if (!data) {
        wt_bad(w, MANGO_E_MEM, name, "no memory for its values");
        return NULL;
    }
    wt_out *o = &w->t[w->n++];
    memset(o, 0, sizeof *o);
    mgi_copy(o->name, (mango_idx)sizeof o->name, name);
    o->dtype = dtype;
    o->rank = rank;
    for (int i = 0; i < rank; i++)
        o->shape[i] = shape[i];
    o->bytes = bytes;
    o->data = data;
    return o;
}

MGI_FN mango_status mgi_writer_add(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                   int rank, const mango_idx *shape, const float *v)
{
    mango_idx count = 0;
    if (dtype != MGI_F32 && dtype != MGI_F16 && dtype != MGI_BF16)
        return wt_bad(w, MANGO_E_ARG, name, "floats are written as F32, F16 or BF16");
    wt_out *o = wt_push(w, name, dtype, rank, shape, &count);
    if (!o)
        return w->st;
    for (mango_idx i = 0; i < count; i++) {
        uint32_t b;
        if (dtype == MGI_F32) {
            memcpy(&b, &v[i], sizeof b);
            wt_store(o->data + 4 * i, b, 4);
            continue;
        }
        const uint16_t h = dtype == MGI_F16 ? mgi_to_f16(v[i]) : mgi_to_bf16(v[i]);
        if (isfinite(v[i]) && !isfinite(dtype == MGI_F16 ? mgi_from_f16(h) : mgi_from_bf16(h)))
            return wt_bad(w, MANGO_E_NONFINITE, name, "a value is too large for half precision");
        wt_store(o->data + 2 * i, h, 2);
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_writer_add_i32(mgi_tensor_writer *w, const char *name, int rank,
                                       const mango_idx *shape, const int32_t *v)
{
    mango_idx count = 0;
    wt_out *o = wt_push(w, name, MGI_I32, rank, shape, &count);
    if (!o)
        return w->st;
    for (mango_idx i = 0; i < count; i++)
        wt_store(o->data + 4 * i, (uint32_t)v[i], 4);
    return MANGO_OK;
}

MGI_FN mango_status mgi_writer_add_raw(mgi_tensor_writer *w, const char *name, mgi_dtype dtype,
                                       int rank, const mango_idx *shape, const void *raw)
{
    mango_idx count = 0;
    wt_out *o = wt_push(w, name, dtype, rank, shape, &count);
    if (!o)
        return w->st;
    if (o->bytes)
        memcpy(o->data, raw, (size_t)o->bytes);
    return MANGO_OK;
}

/* The k-th place in the file: wide types first, so that all stay aligned. */
static mango_idx wt_next(const mgi_tensor_writer *w, mango_idx *size, mango_idx at)
{
    for (; *size; *size /= 2, at = -1)
        while (++at < w->n)
            if (mgi_dtype_size(w->t[at].dtype) == *size)
                return at;
    return -1;
}

static void wt_write_header(const mgi_tensor_writer *w, mgi_str *h)
{
    mango_idx begin = 0, size = 8;
    mgi_str_printf(h, "{\"__metadata__\":{%s}", w->meta.n ? w->meta.p : "");
    for (mango_idx i = -1; (i = wt_next(w, &size, i)) >= 0;) {
        const wt_out *o = &w->t[i];
        mgi_str_puts(h, ",");
        mgi_json_quote(h, o->name, (mango_idx)strlen(o->name));
        mgi_str_printf(h, ":{\"dtype\":\"%s\",\"shape\":[", mgi_dtype_name(o->dtype));
        for (int k = 0; k < o->rank; k++)
            mgi_str_printf(h, "%s%td", k ? "," : "", o->shape[k]);
        mgi_str_printf(h, "],\"data_offsets\":[%td,%td]}", begin, begin + o->bytes);
        begin += o->bytes;
    }
    mgi_str_puts(h, "}");
    while (!h->bad && h->n % 8)
        mgi_str_puts(h, " ");
}

/* The whole file; the writer's copies go as they are laid down. */
static unsigned char *wt_image(mgi_tensor_writer *w, mango_idx *total)
{
    mgi_str h;
    unsigned char *image = NULL;
    mango_idx at = 0, size = 8;
    mgi_str_init(&h, &w->al);
    wt_write_header(w, &h);
    *total = h.n + 8;
    int ok = !h.bad;
    for (mango_idx i = 0; ok && i < w->n; i++)
        ok = mgi_add(*total, w->t[i].bytes, total);
    image = ok ? mgi_new(&w->al, *total, 1) : NULL;
    if (image) {
        wt_store(image, (uint64_t)h.n, 8);
        memcpy(image + 8, h.p, (size_t)h.n);
        at = 8 + h.n;
        for (mango_idx i = -1; (i = wt_next(w, &size, i)) >= 0;) {
            wt_out *o = &w->t[i];
            if (o->bytes)
                memcpy(image + at, o->data, (size_t)o->bytes);
            at += o->bytes;
            mgi_del(&w->al, o->data, o->bytes, 1);
            o->data = NULL;
        }
        w->n = 0;
    }
    mgi_str_free(&h);
    return image;
}

MGI_FN mango_status mgi_writer_save(mgi_tensor_writer *w, const char *path, mango_err *err)
{
    mgi_tensors check;
    mango_idx size = 0;
    if (w->st < 0)
        return mgi_fail(err, w->st, "%s: %s", path, w->err.text);
    unsigned char *image = wt_image(w, &size);
    if (!image)
        return mgi_fail(err, MANGO_E_MEM, "%s: no memory for a file of %td bytes", path, size);
    /* What would be refused on reading (a name used twice, ...) is not written. */
    mango_status st = size > MGI_WEIGHTS_FILE_MAX
                          ? mgi_fail(err, MANGO_E_LIMIT, "%s: %td bytes, at most 1 GiB is written",
                                     path, size)
                          : mgi_tensors_parse(&check, image, size, path, &w->al, err);
    if (st < 0) {
        mgi_del(&w->al, image, size, 1);
        return st;
    }
    st = mgi_file_write(path, image, size, err);
    mgi_tensors_free(&check);
    return st;
}

MGI_FN void mgi_writer_free(mgi_tensor_writer *w)
{
    if (!w)
        return;
    const mango_alloc al = w->al;
    for (mango_idx i = 0; i < w->n; i++)
        mgi_del(&al, w->t[i].data, w->t[i].bytes, 1);
    if (w->t)
        mgi_del(&al, w->t, w->cap, sizeof w->t[0]);
    mgi_str_free(&w->meta);
    mgi_del(&al, w, 1, sizeof *w);
}
/* ---- end net/weights_write.c -------------------------------------------------------- */

/* ---- begin net/graph.c -------------------------------------------------------------- */
/* graph.c - building networks node by node; their lists of parameters.
 */
#include <stdio.h>

static const char *const graph_kinds[MGI_KINDS] = {
    "input",     "conv",    "convt",   "linear",      "batchnorm", "relu",      "tanh",
    "lif",       "maxpool", "avgpool", "adaptiveavg", "globalavg", "globalsum", "upsample",
    "add",       "concat",  "reshape", "softmax",     "vq"};

MGI_FN const char *mgi_kind_name(mgi_kind k)
{
    return graph_kinds[k];
}

MGI_FN int mgi_kind_find(const char *name, mgi_kind *k)
{
    for (int i = 0; i < MGI_KINDS; i++)
        if (!strcmp(graph_kinds[i], name)) {
            *k = (mgi_kind)i;
            return 1;
        }
    return 0;
}

MGI_FN int mgi_net_find(const mango_net *n, const char *layer)
{
    for (int i = 0; i < n->n_nodes; i++)
        if (!strcmp(n->node[i].name, layer))
            return i;
    return -1;
}

MGI_FN int mgi_param_find(const mango_net *n, const char *name)
{
    for (int i = 0; i < n->n_params; i++)
        if (!strcmp(n->param[i].name, name))
            return i;
    return -1;
}

/* ---- nodes ----------------------------------------------------------------- */

MGI_FN mango_status mgi_net_new(mango_net **out, const char *arch, const mango_alloc *al)
{
    const mango_alloc a = mgi_alloc_get(al);
    mango_net *n = mgi_new(&a, 1, sizeof *n);
    *out = n;
    if (!n)
        return MANGO_E_MEM;
    n->al = a;
    mgi_arena_init(&n->values, &a);
    mgi_copy(n->arch, (mango_idx)sizeof n->arch, arch);
    n->output = n->input = -1;
    n->T = 1;
    for (int c = 0; c < 3; c++)
        n->std[c] = 1;
    n->out_scale = 1;
    return MANGO_OK;
}

/* Remember the first error; always -1. */
static int graph_bad(mango_net *n, mango_status st, const mango_err *e)
{
    if (n->failed == MANGO_OK) {
        n->failed = st;
        n->err = *e;
    }
    return -1;
}

/* The names' alphabet leaves the text form's separators out. */
static mango_status graph_check_name(const mango_net *n, const char *name, mango_err *err)
{
    const size_t len = strlen(name);
    if (len < 1 || len >= MGI_NAME)
        return mgi_fail(err, MANGO_E_LIMIT, "node '%.60s...': names have 1..%d bytes", name,
                        MGI_NAME - 1);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] <= 32 || (unsigned char)name[i] >= 127 ||
            strchr(",=#:*?[]", name[i]))
            return mgi_fail(err, MANGO_E_FORMAT, "node '%s': byte %d of a name may not be '%c'",
                            name, (int)i, name[i]);
    if (!strcmp(name, "-"))
        return mgi_fail(err, MANGO_E_FORMAT, "node '-': '-' stands for no input, not for a name");
    if (mgi_net_find(n, name) >= 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: the name is used twice", name);
    if (n->n_nodes >= MGI_MAX_NODES)
        return mgi_fail(err, MANGO_E_LIMIT, "node %s: over the limit of %d nodes", name,
                        MGI_MAX_NODES);
    return MANGO_OK;
}

static mango_status graph_grow(mango_net *n, mango_err *err)
{
    if (n->n_nodes < n->cap_nodes)
        return MANGO_OK;
    const int cap = n->cap_nodes ? 2 * n->cap_nodes : 32;
    mgi_node *p = n->node ? mgi_resize(&n->al, n->node, n->cap_nodes, cap, sizeof *p)
                          : mgi_new(&n->al, cap, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %d nodes", cap);
    n->node = p;
    n->cap_nodes = cap;
    return MANGO_OK;
}

static mango_status graph_add(mango_net *n, const char *name, mgi_kind kind, int n_in,
                              const int *in, const char *attrs, mango_err *err)
{
    MGI_TRY(graph_check_name(n, name, err));
    if (n_in < 0 || n_in > MGI_MAX_INPUTS)
        return mgi_fail(err, MANGO_E_LIMIT, "node %s: %d inputs, at most %d", name, n_in,
                        MGI_MAX_INPUTS);
    MGI_TRY(graph_grow(n, err));
    mgi_node *q = &n->node[n->n_nodes];
    memset(q, 0, sizeof *q);
    mgi_copy(q->name, MGI_NAME, name);
    q->kind = kind;
    q->n_in = n_in;
    q->weight = q->bias_p = q->mean_p = q->var_p = q->sn_u = q->sn_sigma = -1;
    for (int i = 0; i < n_in; i++) {
        assert(in[i] < n->n_nodes);
        q->in[i] = in[i];
        q->spiking_input |= n->node[in[i]].kind == MGI_LIF || n->node[in[i]].spiking_input;
    }
    MGI_TRY(mgi_node_attrs(q, attrs, err));
    if (kind == MGI_INPUT && n->input >= 0)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "node %s: a second input beside '%s'", name,
                        n->node[n->input].name);
    MGI_TRY(mgi_node_shape(n, q, err));
    if (kind == MGI_INPUT)
        n->input = n->n_nodes;
    n->output = n->n_nodes++;
    return MANGO_OK;
}

MGI_FN int mgi_net_node(mango_net *n, const char *name, mgi_kind kind, int n_in, const int *in,
                        const char *attrs)
{
    mango_err e;
    if (n->failed < 0)
        return -1;
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0)
            return -1;
    e.text[0] = 0;
    const mango_status st = graph_add(n, name, kind, n_in, in, attrs, &e);
    return st < 0 ? graph_bad(n, st, &e) : n->output;
}

MGI_FN int mgi_net_input(mango_net *n, const char *name, mango_idx C, mango_idx H, mango_idx W)
{
    char attrs[96];
    snprintf(attrs, sizeof attrs, "shape=%tdx%tdx%td", C, H, W);
    return mgi_net_node(n, name, MGI_INPUT, 0, NULL, attrs);
}

MGI_FN int mgi_net_add1(mango_net *n, const char *name, mgi_kind kind, int in,
                        const char *attrs_fmt, ...)
{
    char attrs[512];
    va_list ap;
    va_start(ap, attrs_fmt);
    const int len = vsnprintf(attrs, sizeof attrs, attrs_fmt, ap);
    va_end(ap);
    if (len < 0 || len >= (int)sizeof attrs) {
        mango_err e;
        return graph_bad(n, mgi_fail(&e, MANGO_E_LIMIT, "node %s: attributes too long", name), &e);
    }
    return mgi_net_node(n, name, kind, 1, &in, attrs);
}

MGI_FN int mgi_net_plain(mango_net *n, const char *name, mgi_kind kind, int in)
{
    return mgi_net_node(n, name, kind, 1, &in, "");
}

/* ---- parameters ------------------------------------------------------------ */

/* PREFIX.SUFFIX of a shape; its index, or -1 with the error remembered. */
static int graph_param(mango_net *n, const mgi_node *q, const char *suffix, int buffer, int rank,
                       mango_idx a, mango_idx b, mango_idx c, mango_idx d)
{
    mango_err e;
    mango_status st = MANGO_OK;
    if (n->failed < 0)
        return -1;
    assert(n->n_params < n->cap_params);
    mgi_param *p = &n->param[n->n_params];
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s.%s", q->prefix, suffix);
    p->rank = rank;
    p->is_buffer = buffer;
    p->shape[0] = a;
    p->shape[1] = b;
    p->shape[2] = c;
    p->shape[3] = d;
    if (!mgi_prod(rank, p->shape, &p->count) || p->count > MGI_MAX_WEIGHTS)
        mgi_fail(&e, st = MANGO_E_LIMIT,
                 "node %s: parameter %s is over the limit of 2^28 values", q->name, p->name);
    else if (mgi_param_find(n, p->name) >= 0)
        mgi_fail(&e, st = MANGO_E_FORMAT,
                 "node %s: parameter %s belongs to another node already", q->name, p->name);
    if (st < 0)
        return graph_bad(n, st, &e);
    return n->n_params++;
}

static void graph_matmul_params(mango_net *n, mgi_node *q)
{
    const mgi_conv *c = &q->conv;
    if (q->kind == MGI_LINEAR)
        q->weight = graph_param(n, q, "weight", 0, 2, c->O, c->C, 1, 1);
    else
        q->weight = graph_param(n, q, "weight", 0, 4, c->transposed ? c->C : c->O,
                                c->transposed ? c->O : c->C, c->kh, c->kw);
    if (q->bias)
        q->bias_p = graph_param(n, q, "bias", 0, 1, c->O, 1, 1, 1);
    if (q->spectral) {
        q->sn_u = graph_param(n, q, "sn_u", 1, 2, 1, c->O, 1, 1);
        q->sn_sigma = graph_param(n, q, "sn_sigma", 1, 1, 1, 1, 1, 1);
    }
}

static void graph_node_params(mango_net *n, mgi_node *q)
{
    switch (q->kind) {
    case MGI_CONV:
    case MGI_CONVT:
    case MGI_LINEAR:
        graph_matmul_params(n, q);
        break;
    case MGI_BATCHNORM:
        q->weight = graph_param(n, q, "weight", 0, 1, q->C, 1, 1, 1);
        q->bias_p = graph_param(n, q, "bias", 0, 1, q->C, 1, 1, 1);
        q->mean_p = graph_param(n, q, "running_mean", 1, 1, q->C, 1, 1, 1);
        q->var_p = graph_param(n, q, "running_var", 1, 1, q->C, 1, 1, 1);
        break;
    case MGI_VQ:
        q->weight = graph_param(n, q, "_embedding.weight", 0, 2, q->codes, q->C, 1, 1);
        break;
    default:
        break;
    }
}

static mango_status graph_list_params(mango_net *n, mango_err *err)
{
    mango_idx total = 0;
    int over = 0;
    if (!n->param) {
        n->cap_params = 4 * n->n_nodes;
        n->param = mgi_new(&n->al, n->cap_params, sizeof *n->param);
    }
    if (!n->param)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the list of parameters");
    for (int i = 0; i < n->n_nodes; i++)
        graph_node_params(n, &n->node[i]);
    for (int i = 0; i < n->n_params; i++)
        over |= !mgi_add(total, n->param[i].count, &total);
    over |= total > MGI_MAX_WEIGHTS || n->n_params > MGI_WEIGHTS_TENSORS_MAX;
    if (n->failed == MANGO_OK && over)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%d parameters of %td values, over the limits of %d and 2^28",
                        n->n_params, total, MGI_WEIGHTS_TENSORS_MAX);
    return MANGO_OK;
}

MGI_FN mango_status mgi_net_finish(mango_net *n, mango_err *err)
{
    int spikes = 0;
    if (n->failed == MANGO_OK && n->input < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "the graph has no input node");
    if (n->failed == MANGO_OK && n->n_params == 0)
        MGI_TRY(graph_list_params(n, err));
    if (n->failed < 0)
        return mgi_fail(err, n->failed, "%s", n->err.text);
    for (int i = 0; i < n->n_nodes; i++)
        spikes |= n->node[i].kind == MGI_LIF;
    if (n->T < 1 || n->T > MGI_MAX_T)
        return mgi_fail(err, MANGO_E_LIMIT, "T=%td, expected 1..%d", n->T, MGI_MAX_T);
    if (!spikes && n->T != 1)
        return mgi_fail(err, MANGO_E_FORMAT, "T=%td, expected 1 where nothing spikes", n->T);
    return MANGO_OK;
}

MGI_FN mango_status mgi_net_alloc_params(mango_net *n)
{
    if (n->n_params == 0 || n->param[0].v)
        return MANGO_OK;
    mgi_arena_init(&n->values, &n->al);
    for (int i = 0; i < n->n_params; i++)
        mgi_arena_plan(&n->values, n->param[i].count, sizeof(float));
    MGI_TRY(mgi_arena_commit(&n->values));
    for (int i = 0; i < n->n_params; i++) /* an arena begins zeroed */
        n->param[i].v = mgi_arena_take(&n->values, n->param[i].count, sizeof(float));
    return MANGO_OK;
}
/* ---- end net/graph.c ---------------------------------------------------------------- */

/* ---- begin net/graph_attr.c --------------------------------------------------------- */
/* graph_attr.c - the attributes of nodes: one table that reads and writes them.
 */
#include <stdio.h>

/* How a value is spelled, and what it is stored as at `offset` of mgi_node. */
typedef enum attr_type {
    ATTR_INT,    /* int                                   */
    ATTR_IDX,    /* mango_idx                             */
    ATTR_REAL,   /* double                                */
    ATTR_FLOAT,  /* float                                 */
    ATTR_PAIR,   /* two ints: "3", or "3x5" (height first) */
    ATTR_SIZE,   /* two mango_idx: "6x6"                  */
    ATTR_SHAPE,  /* three mango_idx: "3x32x32", or "128"  */
    ATTR_WORD,   /* int-sized index into `words`          */
    ATTR_NAME,   /* char[MGI_NAME]                        */
    ATTR_PRESET  /* the whole LIF rule                    */
} attr_type;

typedef struct attr_row {
    const char *key;
    unsigned kinds;     /* bit of each kind that has it */
    attr_type type;
    int needed;         /* must be given                */
    size_t offset;
    double lo, hi;      /* range, ends included         */
    const char *words;  /* "a|b|c"                      */
} attr_row;

#define ATTR_K(kind) (1u << (kind))
#define ATTR_AT(field) offsetof(mgi_node, field)
#define ATTR_CONVS (ATTR_K(MGI_CONV) | ATTR_K(MGI_CONVT))
#define ATTR_MATMUL (ATTR_CONVS | ATTR_K(MGI_LINEAR))
#define ATTR_POOLS (ATTR_K(MGI_MAXPOOL) | ATTR_K(MGI_AVGPOOL))
#define ATTR_LIF ATTR_K(MGI_LIF)
#define ATTR_NAMED (ATTR_MATMUL | ATTR_K(MGI_BATCHNORM) | ATTR_LIF | ATTR_K(MGI_VQ))
#define ATTR_BIG 1e30

static const attr_row attr_table[] = {
    {"shape", ATTR_K(MGI_INPUT) | ATTR_K(MGI_RESHAPE), ATTR_SHAPE, 1, ATTR_AT(C), 1, 1 << 20, 0},
    {"out", ATTR_MATMUL, ATTR_IDX, 1, ATTR_AT(conv.O), 1, 1 << 20, 0},
    {"kernel", ATTR_CONVS, ATTR_PAIR, 1, ATTR_AT(conv.kh), 1, 256, 0},
    {"stride", ATTR_CONVS, ATTR_PAIR, 0, ATTR_AT(conv.sh), 1, 256, 0},
    {"pad", ATTR_CONVS, ATTR_PAIR, 0, ATTR_AT(conv.ph), 0, 255, 0},
    {"bias", ATTR_MATMUL, ATTR_INT, 0, ATTR_AT(bias), 0, 1, 0},
    {"sn", ATTR_K(MGI_CONV) | ATTR_K(MGI_LINEAR), ATTR_INT, 0, ATTR_AT(spectral), 0, 1, 0},
    {"eps", ATTR_K(MGI_BATCHNORM), ATTR_REAL, 0, ATTR_AT(eps), 1e-30, 1, 0},
    {"momentum", ATTR_K(MGI_BATCHNORM), ATTR_REAL, 0, ATTR_AT(momentum), 0, 1, 0},
    {"kernel", ATTR_POOLS, ATTR_PAIR, 1, ATTR_AT(pool.kh), 1, 256, 0},
    {"stride", ATTR_POOLS, ATTR_PAIR, 0, ATTR_AT(pool.sh), 1, 256, 0},
    {"pad", ATTR_POOLS, ATTR_PAIR, 0, ATTR_AT(pool.ph), 0, 255, 0},
    {"size", ATTR_K(MGI_ADAPTIVEAVG), ATTR_SIZE, 1, ATTR_AT(pool.OH), 1, 4096, 0},
    {"mode", ATTR_K(MGI_UPSAMPLE), ATTR_WORD, 1, ATTR_AT(bilinear), 0, 0, "nearest|bilinear"},
    {"codes", ATTR_K(MGI_VQ), ATTR_IDX, 1, ATTR_AT(codes), 1, 1 << 20, 0},
    {"preset", ATTR_LIF, ATTR_PRESET, 0, ATTR_AT(lif), 0, 0, 0},
    {"beta", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.beta), 0, 1, 0},
    {"tau", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.tau), 1, ATTR_BIG, 0},
    {"decay_input", ATTR_LIF, ATTR_INT, 0, ATTR_AT(lif.decay_input), 0, 1, 0},
    {"input_gain", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.input_gain), -ATTR_BIG, ATTR_BIG, 0},
    {"U_thr", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.U_thr), 1e-30, ATTR_BIG, 0},
    {"fires_on", ATTR_LIF, ATTR_WORD, 0, ATTR_AT(lif.fires_on_equal), 0, 0, ">|>="},
    {"reset", ATTR_LIF, ATTR_WORD, 0, ATTR_AT(lif.reset), 0, 0, "subtract|value|zero|none"},
    {"U_reset", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.U_reset), -ATTR_BIG, ATTR_BIG, 0},
    {"reset_delay", ATTR_LIF, ATTR_INT, 0, ATTR_AT(lif.reset_delay), 0, 1, 0},
    {"detach_reset", ATTR_LIF, ATTR_INT, 0, ATTR_AT(lif.detach_reset), 0, 1, 0},
    {"surrogate", ATTR_LIF, ATTR_WORD, 0, ATTR_AT(lif.surrogate), 0, 0, "fast_sigmoid|atan"},
    {"slope", ATTR_LIF, ATTR_FLOAT, 0, ATTR_AT(lif.slope), 1e-30, ATTR_BIG, 0},
    {"param", ATTR_NAMED, ATTR_NAME, 0, ATTR_AT(prefix), 0, 0, 0},
};

/* ---- reading --------------------------------------------------------------- */

/* "AxBxC" into at most `most` whole numbers in lo..hi; how many, 0: malformed. */
static int attr_sizes(const char *z, int most, double lo, double hi, int64_t v[3])
{
    char part[24];
    for (int n = 0; n < most; n++) {
        const size_t len = strcspn(z, "x");
        if (len >= sizeof part)
            return 0;
        memcpy(part, z, len);
        part[len] = 0;
        if (!mgi_parse_int(part, (int64_t)lo, (int64_t)hi, &v[n]))
            return 0;
        if (!z[len])
            return n + 1;
        z += len + 1;
    }
    return 0;
}

static int attr_set_sizes(const attr_row *r, const char *z, void *at)
{
    int64_t v[3] = {1, 1, 1};
    const int shape = r->type == ATTR_SHAPE;
    const int n = attr_sizes(z, shape ? 3 : 2, r->lo, r->hi, v);
    if (n == 0 || (n == 2 && shape) || (n == 1 && r->type == ATTR_SIZE))
        return 0;
    if (r->type == ATTR_PAIR) {
        ((int *)at)[0] = (int)v[0];
        ((int *)at)[1] = (int)v[n - 1];
        return 1;
    }
    for (int i = 0; i < (shape ? 3 : 2); i++)
        ((mango_idx *)at)[i] = (mango_idx)v[i];
    return 1;
}

/* The index of a word of "a|b|c"; -1: none of them. */
static int attr_word(const char *words, const char *z)
{
    const size_t n = strlen(z);
    for (int i = 0; words; i++) {
        const size_t len = strcspn(words, "|");
        if (len == n && !memcmp(words, z, n))
            return i;
        words = words[len] ? words + len + 1 : NULL;
    }
    return -1;
}

/* A parameter prefix: a name without separators of the text form. */
static int attr_is_name(const char *z)
{
    const size_t n = strlen(z);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)z[i] <= 32 || z[i] == 127 || strchr(",=#", z[i]))
            return 0;
    return n > 0 && n < MGI_NAME;
}

static int attr_set(const attr_row *r, const char *z, mgi_node *q)
{
    void *at = (char *)q + r->offset;
    int64_t v = 0;
    double d = 0;
    switch (r->type) {
    case ATTR_INT:
    case ATTR_IDX:
        if (!mgi_parse_int(z, (int64_t)r->lo, (int64_t)r->hi, &v))
            return 0;
        if (r->type == ATTR_INT)
            *(int *)at = (int)v;
        else
            *(mango_idx *)at = (mango_idx)v;
        return 1;
    case ATTR_REAL:
    case ATTR_FLOAT:
        if (!mgi_parse_real(z, &d) || !(d >= r->lo && d <= r->hi))
            return 0;
        if (r->type == ATTR_REAL)
            *(double *)at = d;
        else
            *(float *)at = (float)d;
        return 1;
    case ATTR_WORD: {
        const int w = attr_word(r->words, z);
        memcpy(at, &w, sizeof w);
        return w >= 0;
    }
    case ATTR_NAME:
        return attr_is_name(z) && mgi_copy(at, MGI_NAME, z);
    case ATTR_PRESET:
        return mango_lif_preset(z, at) == MANGO_OK;
    default:
        return attr_set_sizes(r, z, at);
    }
}

static int attr_find(const char *key, mgi_kind kind)
{
    for (int i = 0; i < (int)MGI_COUNT(attr_table); i++)
        if ((attr_table[i].kinds & ATTR_K(kind)) && !strcmp(attr_table[i].key, key))
            return i;
    return -1;
}

/* What a value should have been, for the message. */
static void attr_expected(const attr_row *r, char *out, size_t cap)
{
    const int real = r->type == ATTR_REAL || r->type == ATTR_FLOAT;
    const char *form = r->type == ATTR_SHAPE ? "CxHxW of " : r->type == ATTR_SIZE ? "HxW of " : "";
    if (r->type == ATTR_WORD || r->type == ATTR_PRESET || r->type == ATTR_NAME)
        snprintf(out, cap, "%s",
                 r->words ? r->words : r->type == ATTR_NAME ? "a name" : "snntorch|spikingjelly");
    else
        snprintf(out, cap, real ? "%snumber %g..%g" : "%swhole numbers %.0f..%.0f", form, r->lo,
                 r->hi);
}

/* One "key=value"; seen has a bit for each row of the table. */
static mango_status attr_one(mgi_node *q, char *item, uint64_t *seen, mango_err *err)
{
    char want[80];
    char *eq = strchr(item, '=');
    if (!eq || eq == item || !eq[1])
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: '%.60s' is not key=value", q->name, item);
    *eq = 0;
    const int i = attr_find(item, q->kind);
    if (i < 0)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s has no attribute '%.60s'", q->name,
                        mgi_kind_name(q->kind), item);
    if (*seen >> i & 1)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: attribute '%s' is given twice", q->name,
                        item);
    if (attr_table[i].type == ATTR_PRESET && *seen)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: preset comes before other attributes",
                        q->name);
    *seen |= (uint64_t)1 << i;
    if (attr_set(&attr_table[i], eq + 1, q))
        return MANGO_OK;
    attr_expected(&attr_table[i], want, sizeof want);
    return mgi_fail(err, MANGO_E_FORMAT, "node %s: %s=%.60s, expected %s", q->name, item, eq + 1,
                    want);
}

static void attr_defaults(mgi_node *q)
{
    mgi_copy(q->prefix, MGI_NAME, q->name);
    q->conv.sh = q->conv.sw = 1;
    q->conv.transposed = q->kind == MGI_CONVT;
    q->bias = q->kind == MGI_CONV || q->kind == MGI_CONVT || q->kind == MGI_LINEAR;
    q->eps = 1e-5;
    q->momentum = 0.1;
    if (q->kind == MGI_LIF)
        mango_lif_preset("snntorch", &q->lif);
}

static int attr_given(uint64_t seen, const char *key, mgi_kind kind)
{
    return (int)(seen >> attr_find(key, kind) & 1);
}

/* What only holds for all attributes of a node together. */
static mango_status attr_together(mgi_node *q, uint64_t seen, mango_err *err)
{
    mango_err sub;
    for (int i = 0; i < (int)MGI_COUNT(attr_table); i++)
        if ((attr_table[i].kinds & ATTR_K(q->kind)) && attr_table[i].needed && !(seen >> i & 1))
            return mgi_fail(err, MANGO_E_FORMAT, "node %s: attribute '%s' is missing", q->name,
                            attr_table[i].key);
    if (q->pool.kh && !q->pool.sh) {
        q->pool.sh = q->pool.kh;
        q->pool.sw = q->pool.kw;
    }
    if (q->kind != MGI_LIF)
        return MANGO_OK;
    const int beta = attr_given(seen, "beta", MGI_LIF), tau = attr_given(seen, "tau", MGI_LIF);
    if (beta && tau)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: beta and tau exclude each other", q->name);
    if (!beta && !tau && !attr_given(seen, "preset", MGI_LIF))
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: a lif needs preset, beta or tau", q->name);
    if (beta)
        q->lif.tau = 0;
    if (q->lif.tau > 0)
        q->lif.beta = 0;
    else
        q->lif.decay_input = 0;
    return mango_lif_check(&q->lif, &sub) < 0
               ? mgi_fail(err, MANGO_E_FORMAT, "node %s: %s", q->name, sub.text)
               : MANGO_OK;
}

MGI_FN mango_status mgi_node_attrs(mgi_node *q, const char *attrs, mango_err *err)
{
    char item[MGI_NAME + 64];
    uint64_t seen = 0;
    assert(MGI_COUNT(attr_table) <= 64);
    attr_defaults(q);
    for (attrs += strspn(attrs, " \t"); *attrs; attrs += strspn(attrs, " \t")) {
        const size_t n = strcspn(attrs, " \t");
        if (n >= sizeof item)
            return mgi_fail(err, MANGO_E_LIMIT, "node %s: '%.40s...' is too long", q->name, attrs);
        memcpy(item, attrs, n);
        item[n] = 0;
        attrs += n;
        MGI_TRY(attr_one(q, item, &seen, err));
    }
    return attr_together(q, seen, err);
}

/* ---- writing --------------------------------------------------------------- */

static void attr_put_word(mgi_str *s, const char *words, int i)
{
    for (; i > 0; i--)
        words += strcspn(words, "|") + 1;
    mgi_str_put(s, words, (mango_idx)strcspn(words, "|"));
}

static void attr_put(const attr_row *r, const mgi_node *q, mgi_str *s)
{
    const void *at = (const char *)q + r->offset;
    const int *i = at;
    const mango_idx *n = at;
    int w;
    mgi_str_printf(s, " %s=", r->key);
    switch (r->type) {
    case ATTR_INT:
        mgi_str_printf(s, "%d", *i);
        return;
    case ATTR_IDX:
        mgi_str_printf(s, "%td", *n);
        return;
    case ATTR_REAL:
        mgi_str_float(s, *(const double *)at);
        return;
    case ATTR_FLOAT:
        mgi_str_f32(s, *(const float *)at);
        return;
    case ATTR_PAIR:
        mgi_str_printf(s, i[0] == i[1] ? "%d" : "%dx%d", i[0], i[1]);
        return;
    case ATTR_SIZE:
        mgi_str_printf(s, "%tdx%td", n[0], n[1]);
        return;
    case ATTR_SHAPE:
        mgi_str_printf(s, n[1] == 1 && n[2] == 1 ? "%td" : "%tdx%tdx%td", n[0], n[1], n[2]);
        return;
    case ATTR_WORD:
        memcpy(&w, at, sizeof w);
        attr_put_word(s, r->words, w);
        return;
    default:
        mgi_str_puts(s, at);
    }
}

/* Is this row part of how q is written? */
static int attr_shown(const attr_row *r, const mgi_node *q)
{
    if (!(r->kinds & ATTR_K(q->kind)) || r->type == ATTR_PRESET)
        return 0;
    if (r->type == ATTR_NAME)
        return strcmp(q->prefix, q->name) != 0;
    if (r->offset == ATTR_AT(spectral) && r->type == ATTR_INT)
        return q->spectral;
    if (r->offset == ATTR_AT(lif.beta))
        return q->lif.tau <= 0;
    if (r->offset == ATTR_AT(lif.tau) || r->offset == ATTR_AT(lif.decay_input))
        return q->lif.tau > 0;
    return 1;
}

MGI_FN void mgi_node_write_attrs(const mgi_node *q, mgi_str *s)
{
    for (int i = 0; i < (int)MGI_COUNT(attr_table); i++)
        if (attr_shown(&attr_table[i], q))
            attr_put(&attr_table[i], q, s);
}

#undef ATTR_K
#undef ATTR_AT
#undef ATTR_CONVS
#undef ATTR_MATMUL
#undef ATTR_POOLS
#undef ATTR_LIF
#undef ATTR_NAMED
#undef ATTR_BIG
/* ---- end net/graph_attr.c ----------------------------------------------------------- */

/* ---- begin net/graph_shape.c -------------------------------------------------------- */
/* graph_shape.c - from a node's inputs and attributes to its output's shape.
 */

static mango_status shape_bad(const mgi_node *q, const mgi_node *x, const char *why,
                              mango_err *err)
{
    return mgi_fail(err, MANGO_E_SHAPE, "node %s: input '%s' of shape %tdx%tdx%td: %s", q->name,
                    x->name, x->C, x->H, x->W, why);
}

static mango_status shape_conv(mgi_node *q, const mgi_node *x, mango_err *err)
{
    mgi_conv *c = &q->conv;
    c->C = x->C;
    c->H = x->H;
    c->W = x->W;
    if (!mgi_conv_shape(c))
        return shape_bad(q, x, "the convolution's output would be empty", err);
    q->C = c->O;
    q->H = c->OH;
    q->W = c->OW;
    return MANGO_OK;
}

/* A linear layer is the 1x1 convolution of a 1x1 map of all C*H*W values. */
static mango_status shape_linear(mgi_node *q, const mgi_node *x)
{
    mgi_conv *c = &q->conv;
    c->C = x->C * x->H * x->W;
    c->H = c->W = c->OH = c->OW = 1;
    c->kh = c->kw = c->sh = c->sw = 1;
    c->ph = c->pw = 0;
    q->C = c->O;
    q->H = q->W = 1;
    return MANGO_OK;
}

static mango_status shape_pool(mgi_node *q, const mgi_node *x, mango_err *err)
{
    mgi_pool *p = &q->pool;
    p->C = x->C;
    p->H = x->H;
    p->W = x->W;
    if (q->kind == MGI_MAXPOOL || q->kind == MGI_AVGPOOL) {
        if (2 * p->ph > p->kh || 2 * p->pw > p->kw)
            return shape_bad(q, x, "padding over half the pool's kernel", err);
        if (!mgi_pool_shape(p))
            return shape_bad(q, x, "the pool's output would be empty", err);
    } else if (q->kind != MGI_ADAPTIVEAVG)
        p->OH = p->OW = 1;
    q->C = p->C;
    q->H = p->OH;
    q->W = p->OW;
    return MANGO_OK;
}

static mango_status shape_add(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]], *b = &n->node[q->in[1]];
    if (a->C != b->C || a->H != b->H || a->W != b->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: cannot add '%s' of shape %tdx%tdx%td and '%s' of %tdx%tdx%td",
                        q->name, a->name, a->C, a->H, a->W, b->name, b->C, b->H, b->W);
    q->C = a->C;
    q->H = a->H;
    q->W = a->W;
    return MANGO_OK;
}

static mango_status shape_concat(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *a = &n->node[q->in[0]];
    q->C = 0;
    q->H = a->H;
    q->W = a->W;
    for (int i = 0; i < q->n_in && q->C <= MGI_MAX_MAP; i++) {
        const mgi_node *b = &n->node[q->in[i]];
        if (a->H != b->H || a->W != b->W)
            return mgi_fail(err, MANGO_E_SHAPE,
                            "node %s: cannot join '%s' of shape %tdx%tdx%td and '%s' of "
                            "%tdx%tdx%td",
                            q->name, a->name, a->C, a->H, a->W, b->name, b->C, b->H, b->W);
        q->C += b->C;
    }
    return MANGO_OK;
}

static mango_status shape_reshape(mgi_node *q, const mgi_node *x, mango_err *err)
{
    mango_idx have = 0, want = 0;
    const mango_idx a[3] = {x->C, x->H, x->W}, b[3] = {q->C, q->H, q->W};
    if (!mgi_prod(3, a, &have) || !mgi_prod(3, b, &want) || have != want)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "node %s: input '%s' of shape %tdx%tdx%td does not fold into %tdx%tdx%td",
                        q->name, x->name, x->C, x->H, x->W, q->C, q->H, q->W);
    return MANGO_OK;
}

static mango_status shape_of(const mango_net *n, mgi_node *q, mango_err *err)
{
    const mgi_node *x = q->n_in ? &n->node[q->in[0]] : NULL;
    switch (q->kind) {
    case MGI_INPUT:
        return MANGO_OK;
    case MGI_CONV:
    case MGI_CONVT:
        return shape_conv(q, x, err);
    case MGI_LINEAR:
        return shape_linear(q, x);
    case MGI_MAXPOOL:
    case MGI_AVGPOOL:
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG:
    case MGI_GLOBALSUM:
        return shape_pool(q, x, err);
    case MGI_ADD:
        return shape_add(n, q, err);
    case MGI_CONCAT:
        return shape_concat(n, q, err);
    case MGI_RESHAPE:
        return shape_reshape(q, x, err);
    default:
        q->C = x->C;
        q->H = q->kind == MGI_UPSAMPLE ? 2 * x->H : x->H;
        q->W = q->kind == MGI_UPSAMPLE ? 2 * x->W : x->W;
        return MANGO_OK;
    }
}

MGI_FN mango_status mgi_node_shape(const mango_net *n, mgi_node *q, mango_err *err)
{
    mango_idx count;
    const int two = q->kind == MGI_ADD || q->kind == MGI_CONCAT;
    const int least = q->kind == MGI_INPUT ? 0 : 1 + two;
    const int most = q->kind == MGI_CONCAT ? MGI_MAX_INPUTS : least;
    if (q->n_in < least || q->n_in > most)
        return mgi_fail(err, MANGO_E_FORMAT, "node %s: %d inputs, %s takes %s%d", q->name, q->n_in,
                        mgi_kind_name(q->kind), most > least ? "at least " : "", least);
    MGI_TRY(shape_of(n, q, err));
    const mango_idx s[3] = {q->C, q->H, q->W};
    if (!mgi_prod(3, s, &count) || count > MGI_MAX_MAP)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "node %s: its map of %tdx%tdx%td values is over the limit of 2^26", q->name,
                        q->C, q->H, q->W);
    return MANGO_OK;
}
/* ---- end net/graph_shape.c ---------------------------------------------------------- */

/* ---- begin net/graph_text.c --------------------------------------------------------- */
/* graph_text.c - the text form of a network: writer and strict parser.
 */

#define TEXT_LINE 8192 /* bytes of a line; 64 inputs of 95 bytes fit */

/* ---- writing --------------------------------------------------------------- */

static int text_unset(const float *v, float unset)
{
    return v[0] == unset && v[1] == unset && v[2] == unset;
}

static void text_three(mgi_str *s, const char *key, const float *v)
{
    for (int c = 0; c < 3; c++) {
        mgi_str_printf(s, c ? "," : " %s=", key);
        mgi_str_f32(s, v[c]);
    }
}

static void text_write_net(const mango_net *n, mgi_str *s)
{
    mgi_str_puts(s, "mango-graph 1\nnet");
    if (n->arch[0])
        mgi_str_printf(s, " arch=%s", n->arch);
    if (n->T > 1)
        mgi_str_printf(s, " T=%td", n->T);
    if (!text_unset(n->mean, 0) || !text_unset(n->std, 1)) {
        text_three(s, "mean", n->mean);
        text_three(s, "std", n->std);
    }
    if (n->out_scale != 1 || n->out_shift != 0) {
        mgi_str_puts(s, " out_scale=");
        mgi_str_f32(s, n->out_scale);
        mgi_str_puts(s, " out_shift=");
        mgi_str_f32(s, n->out_shift);
    }
    mgi_str_puts(s, "\n");
}

MGI_FN mango_status mgi_graph_write(const mango_net *n, mgi_str *s)
{
    text_write_net(n, s);
    for (int i = 0; i < n->n_nodes; i++) {
        const mgi_node *q = &n->node[i];
        mgi_str_printf(s, "%s %s ", q->name, mgi_kind_name(q->kind));
        for (int k = 0; k < q->n_in; k++)
            mgi_str_printf(s, "%s%s", k ? "," : "", n->node[q->in[k]].name);
        if (q->n_in == 0)
            mgi_str_puts(s, "-");
        mgi_node_write_attrs(q, s);
        mgi_str_puts(s, "\n");
    }
    return s->bad ? MANGO_E_MEM : MANGO_OK;
}

/* ---- reading --------------------------------------------------------------- */

/* Cuts the next word off *z; NULL at the end of the line. */
static char *text_word(char **z)
{
    char *w = *z + strspn(*z, " \t");
    if (!*w)
        return NULL;
    char *end = w + strcspn(w, " \t");
    *z = *end ? end + 1 : end;
    *end = 0;
    return w;
}

/* One or three comma-separated numbers; one stands for all. */
static int text_read_three(char *z, float *v, double lo)
{
    for (int c = 0; c < 3; c++) {
        double d;
        char *comma = strchr(z, ',');
        if (comma)
            *comma = 0;
        if (!mgi_parse_real(z, &d) || !(d >= lo && d <= 1e30))
            return 0;
        v[c] = (float)d;
        if (!comma) {
            if (c == 0)
                v[1] = v[2] = v[0];
            return c != 1;
        }
        z = comma + 1;
    }
    return 0;
}

static int text_net_value(mango_net *n, int which, char *value)
{
    int64_t t;
    double d;
    float *one = which == 4 ? &n->out_scale : &n->out_shift;
    if (which == 0) {
        for (const char *p = value; *p; p++)
            if ((unsigned char)*p <= 32 || (unsigned char)*p >= 127 || strchr(",=#", *p))
                return 0;
        return mgi_copy(n->arch, (mango_idx)sizeof n->arch, value);
    }
    if (which == 1) {
        const int ok = mgi_parse_int(value, 1, MGI_MAX_T, &t);
        n->T = ok ? (mango_idx)t : 1;
        return ok;
    }
    if (which < 4)
        return text_read_three(value, which == 2 ? n->mean : n->std, which == 2 ? -1e30 : 1e-30);
    if (!mgi_parse_real(value, &d) || !(d >= -1e30 && d <= 1e30))
        return 0;
    *one = (float)d;
    return 1;
}

/* net KEY=VALUE ... */
static mango_status text_read_net(mango_net *n, char *z, mango_err *err)
{
    static const char *const keys[] = {"arch", "T", "mean", "std", "out_scale", "out_shift"};
    unsigned seen = 0;
    char *w = text_word(&z);
    if (!w || strcmp(w, "net"))
        return mgi_fail(err, MANGO_E_FORMAT, "expected 'net KEY=VALUE ...'");
    while ((w = text_word(&z)) != NULL) {
        char *eq = strchr(w, '=');
        int which = 0;
        if (!eq || !eq[1])
            return mgi_fail(err, MANGO_E_FORMAT, "net: '%.60s' is not key=value", w);
        *eq = 0;
        while (which < (int)MGI_COUNT(keys) && strcmp(keys[which], w))
            which++;
        if (which == (int)MGI_COUNT(keys))
            return mgi_fail(err, MANGO_E_FORMAT, "net: unknown key '%.60s'", w);
        if (seen >> which & 1)
            return mgi_fail(err, MANGO_E_FORMAT, "net: key '%s' is given twice", w);
        seen |= 1u << which;
        if (!text_net_value(n, which, eq + 1))
            return mgi_fail(err, MANGO_E_FORMAT, "net: %s=%.60s is out of range", w, eq + 1);
    }
    return MANGO_OK;
}

/* The comma-separated inputs of node `name`; "-" is none. */
static mango_status text_inputs(const mango_net *n, const char *name, char *list, int *in,
                                int *n_in, mango_err *err)
{
    *n_in = 0;
    if (!strcmp(list, "-"))
        return MANGO_OK;
    for (char *next; list; list = next) {
        next = strchr(list, ',');
        if (next)
            *next++ = 0;
        if (*n_in == MGI_MAX_INPUTS)
            return mgi_fail(err, MANGO_E_LIMIT, "node %s: over %d inputs", name, MGI_MAX_INPUTS);
        in[*n_in] = mgi_net_find(n, list);
        if (in[(*n_in)++] < 0)
            return mgi_fail(err, MANGO_E_FORMAT, "node %s: input '%.96s' is not defined before it",
                            name, list);
    }
    return MANGO_OK;
}

/* NAME KIND INPUTS [KEY=VALUE ...] */
static mango_status text_read_node(mango_net *n, char *z, mango_err *err)
{
    int in[MGI_MAX_INPUTS], n_in;
    mgi_kind kind;
    char *name = text_word(&z), *word = text_word(&z), *list = text_word(&z);
    if (!list)
        return mgi_fail(err, MANGO_E_FORMAT, "expected NAME KIND INPUTS, found '%.60s'", name);
    if (!mgi_kind_find(word, &kind))
        return mgi_fail(err, MANGO_E_FORMAT, "node %.96s: unknown kind '%.40s'", name, word);
    MGI_TRY(text_inputs(n, name, list, in, &n_in, err));
    if (mgi_net_node(n, name, kind, n_in, in, z) < 0)
        return mgi_fail(err, n->failed, "%s", n->err.text);
    return MANGO_OK;
}

/* One line without its end; *line counts those that are not empty. */
static mango_status text_read_line(mango_net *n, char *z, int *line, mango_err *err)
{
    for (char *p = z; *p; p++) {
        if (*p == '#' && (p == z || p[-1] == ' ' || p[-1] == '\t')) {
            *p = 0;
            break;
        }
        if (((unsigned char)*p < 32 && *p != '\t') || *p == 127)
            return mgi_fail(err, MANGO_E_FORMAT, "a control byte at column %d", (int)(p - z) + 1);
    }
    if (!z[strspn(z, " \t")])
        return MANGO_OK;
    if ((*line)++ == 0) {
        char *a = text_word(&z), *b = text_word(&z);
        return b && !strcmp(a, "mango-graph") && !strcmp(b, "1") && !text_word(&z)
                   ? MANGO_OK
                   : mgi_fail(err, MANGO_E_FORMAT, "expected 'mango-graph 1'");
    }
    return *line == 2 ? text_read_net(n, z, err) : text_read_node(n, z, err);
}

static mango_status text_read(mango_net *n, const char *text, mango_idx len, char *buf,
                              mango_err *err)
{
    int line = 0, number = 0;
    mango_err sub;
    for (mango_idx at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', (size_t)(len - at));
        const mango_idx size = end ? end - (text + at) : len - at;
        number++;
        if (size >= TEXT_LINE)
            return mgi_fail(err, MANGO_E_LIMIT, "graph line %d: over %d bytes", number,
                            TEXT_LINE - 1);
        memcpy(buf, text + at, (size_t)size);
        buf[size] = 0;
        if ((mango_idx)strlen(buf) != size)
            return mgi_fail(err, MANGO_E_FORMAT, "graph line %d: a NUL byte", number);
        sub.text[0] = 0;
        const mango_status st = text_read_line(n, buf, &line, &sub);
        if (st < 0)
            return mgi_fail(err, st, "graph line %d: %s", number, sub.text);
        at += size + 1;
    }
    if (line < 2)
        return mgi_fail(err, MANGO_E_FORMAT, "graph: ends before its 'net' line");
    return MANGO_OK;
}

MGI_FN mango_status mgi_graph_parse(mango_net **out, const char *text, mango_idx len,
                                    const mango_alloc *al, mango_err *err)
{
    mango_net *n = NULL;
    char *buf = NULL;
    mango_status st;
    *out = NULL;
    if (len < 0 || len > MGI_WEIGHTS_HEADER_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "graph: %td bytes, at most 1 MiB is read", len);
    MGI_TRY(mgi_net_new(&n, "", al));
    buf = mgi_new(&n->al, TEXT_LINE, 1);
    if (!buf) {
        st = mgi_fail(err, MANGO_E_MEM, "graph: no memory");
        goto done;
    }
    MGI_TRY_TO(text_read(n, text, len, buf, err));
    MGI_TRY_TO(mgi_net_finish(n, err));
    *out = n;
    n = NULL;
done:
    if (buf)
        mgi_del(n ? &n->al : &(*out)->al, buf, TEXT_LINE, 1);
    mango_net_destroy(n);
    return st;
}

#undef TEXT_LINE
/* ---- end net/graph_text.c ----------------------------------------------------------- */

/* ---- begin net/net.c ---------------------------------------------------------------- */
/* net.c - the public face of a network: names, parameters, metadata, filling.
 */
#include <math.h>

mango_status mango_net_parse(mango_net **net, const char *text, mango_idx len,
                             const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(net && text);
    return mgi_graph_parse(net, text, len, al, err);
}

static mango_idx net_raw_bytes(const mgi_tensor *t)
{
    return t->count * mgi_dtype_size(t->dtype);
}

static void net_del_text(const mango_alloc *al, char *z)
{
    if (z)
        mgi_del(al, z, (mango_idx)strlen(z) + 1, 1);
}

void mango_net_destroy(mango_net *n)
{
    if (!n)
        return;
    const mango_alloc al = n->al;
    for (mango_idx i = 0; i < n->n_meta; i++) {
        net_del_text(&al, n->meta[i].key);
        net_del_text(&al, n->meta[i].value);
    }
    for (mango_idx i = 0; i < n->n_extra; i++)
        mgi_del(&al, (void *)(uintptr_t)n->extra[i].raw, net_raw_bytes(&n->extra[i]), 1);
    if (n->meta)
        mgi_del(&al, n->meta, n->cap_meta, sizeof n->meta[0]);
    if (n->extra)
        mgi_del(&al, n->extra, n->cap_extra, sizeof n->extra[0]);
    if (n->param)
        mgi_del(&al, n->param, n->cap_params, sizeof n->param[0]);
    if (n->node)
        mgi_del(&al, n->node, n->cap_nodes, sizeof n->node[0]);
    mgi_arena_free(&n->values);
    mgi_del(&al, n, 1, sizeof *n);
}

/* ---- layers ---------------------------------------------------------------- */

mango_idx mango_net_layers(const mango_net *net)
{
    return net ? net->n_nodes : 0;
}

static mango_idx net_trained(const mango_net *n, int param)
{
    return param < 0 || n->param[param].is_buffer ? 0 : n->param[param].count;
}

mango_status mango_net_layer(const mango_net *net, mango_idx i, mango_layer *out)
{
    MGI_REQUIRE(net && out && i >= 0 && i < net->n_nodes);
    const mgi_node *q = &net->node[i];
    out->name = q->name;
    out->kind = mgi_kind_name(q->kind);
    out->C = q->C;
    out->H = q->H;
    out->W = q->W;
    out->spiking = q->kind == MGI_LIF;
    out->params = net_trained(net, q->weight) + net_trained(net, q->bias_p);
    return MANGO_OK;
}

mango_status mango_net_find(const mango_net *net, const char *layer, mango_idx *i, mango_err *err)
{
    char near[160] = "";
    MGI_REQUIRE(net && layer && i);
    const int at = mgi_net_find(net, layer);
    if (at >= 0) {
        *i = at;
        return MANGO_OK;
    }
    const char **names = mgi_new(&net->al, net->n_nodes, sizeof *names);
    if (!names)
        return mgi_fail(err, MANGO_E_MEM, "no memory for the names of layers");
    for (int k = 0; k < net->n_nodes; k++)
        names[k] = net->node[k].name;
    mgi_near(layer, net->n_nodes, names, near, (mango_idx)sizeof near);
    mgi_del(&net->al, names, net->n_nodes, sizeof *names);
    return mgi_fail(err, MANGO_E_NAME, "no layer '%.60s'%s%s", layer, near[0] ? "; near: " : "",
                    near);
}

mango_idx mango_net_steps(const mango_net *net)
{
    return net ? net->T : 0;
}

float *mango_net_param(mango_net *net, const char *name, int *rank, mango_idx shape[4])
{
    const int i = net && name ? mgi_param_find(net, name) : -1;
    if (i < 0 || mgi_net_alloc_params(net) < 0)
        return NULL;
    if (rank)
        *rank = net->param[i].rank;
    for (int k = 0; shape && k < 4; k++)
        shape[k] = net->param[i].shape[k];
    return net->param[i].v;
}

/* ---- filling by formula ---------------------------------------------------- */

/* u_i = (z >> 40)/2^23 - 1 with z = splitmix64's output i+1 of the stream that
 * starts at fnv1a64(name) xor seed * golden. */
void mango_fill_u(const char *name, uint64_t seed, mango_idx n, float *u)
{
    const uint64_t golden = 0x9E3779B97F4A7C15u;
    uint64_t s = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++)
        s = (s ^ (unsigned char)*p) * 0x100000001b3u;
    s ^= seed * golden;
    for (mango_idx i = 0; i < n; i++) {
        uint64_t z = s + ((uint64_t)i + 1) * golden;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        u[i] = (float)((double)(z >> 40) / 8388608.0 - 1.0);
    }
}

static int net_ends(const char *name, const char *tail)
{
    const size_t n = strlen(name), k = strlen(tail);
    return n >= k && !strcmp(name + n - k, tail);
}

/* value = a + b u, the table of the reference outputs. */
static void net_fill_one(mgi_param *p, int transposed, uint64_t seed, double gain)
{
    double a = 0, b;
    if (net_ends(p->name, "running_mean") || net_ends(p->name, "bias"))
        b = 0.1;
    else if (net_ends(p->name, "running_var")) {
        a = 1;
        b = 0.25;
    } else if (net_ends(p->name, "_embedding.weight"))
        b = 1;
    else if (p->rank == 1) {
        a = 1;
        b = 0.1;
    } else {
        const mango_idx fan = transposed ? p->shape[0] * p->shape[2] * p->shape[3]
                                         : p->count / p->shape[0];
        b = gain * sqrt(6.0 / (double)fan);
    }
    mango_fill_u(p->name, seed, p->count, p->v);
    for (mango_idx i = 0; i < p->count; i++)
        p->v[i] = (float)(a + b * (double)p->v[i]);
}

mango_status mango_net_fill(mango_net *net, uint64_t seed, double gain)
{
    MGI_REQUIRE(net && isfinite(gain));
    MGI_TRY(mgi_net_alloc_params(net));
    for (int i = 0; i < net->n_params; i++)
        net_fill_one(&net->param[i], 0, seed, gain);
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == MGI_CONVT)
            net_fill_one(&net->param[net->node[i].weight], 1, seed, gain);
    return MANGO_OK;
}

/* ---- what travels along ---------------------------------------------------- */

const char *mango_net_meta_get(const mango_net *net, const char *key)
{
    for (mango_idx i = 0; net && key && i < net->n_meta; i++)
        if (!strcmp(net->meta[i].key, key))
            return net->meta[i].value;
    return NULL;
}

static char *net_text(const mango_alloc *al, const char *z)
{
    const mango_idx n = (mango_idx)strlen(z) + 1;
    char *p = mgi_new(al, n, 1);
    if (p)
        memcpy(p, z, (size_t)n);
    return p;
}

/* Room for one more of n elements; false: no memory. */
static int net_room(const mango_alloc *al, void **p, mango_idx n, mango_idx *cap, size_t size)
{
    if (n < *cap)
        return 1;
    const mango_idx want = *cap ? 2 * *cap : 8;
    void *q = *p ? mgi_resize(al, *p, *cap, want, size) : mgi_new(al, want, size);
    if (!q)
        return 0;
    *p = q;
    *cap = want;
    return 1;
}

mango_status mango_net_meta_set(mango_net *net, const char *key, const char *value)
{
    MGI_REQUIRE(net && key && value && key[0]);
    MGI_REQUIRE(strcmp(key, "mango.graph") && strcmp(key, "mango.extra"));
    char *v = net_text(&net->al, value);
    if (!v)
        return MANGO_E_MEM;
    for (mango_idx i = 0; i < net->n_meta; i++)
        if (!strcmp(net->meta[i].key, key)) {
            net_del_text(&net->al, net->meta[i].value);
            net->meta[i].value = v;
            return MANGO_OK;
        }
    void *list = net->meta;
    char *k = net_text(&net->al, key);
    if (!k || !net_room(&net->al, &list, net->n_meta, &net->cap_meta, sizeof net->meta[0])) {
        net_del_text(&net->al, k);
        net_del_text(&net->al, v);
        return MANGO_E_MEM;
    }
    net->meta = list;
    net->meta[net->n_meta].key = k;
    net->meta[net->n_meta++].value = v;
    return MANGO_OK;
}

static mango_idx net_extra_index(const mango_net *n, const char *name)
{
    for (mango_idx i = 0; i < n->n_extra; i++)
        if (!strcmp(n->extra[i].name, name))
            return i;
    return -1;
}

MGI_FN const mgi_tensor *mgi_net_extra(const mango_net *n, const char *name)
{
    const mango_idx i = net_extra_index(n, name);
    return i < 0 ? NULL : &n->extra[i];
}

MGI_FN mango_status mgi_net_extra_set(mango_net *n, const char *name, mgi_dtype dtype, int rank,
                                      const mango_idx *shape, const void *raw)
{
    mgi_tensor t = {.dtype = dtype, .rank = rank};
    mango_idx bytes;
    MGI_REQUIRE(rank >= 0 && rank <= 8 && strlen(name) <= 256 && !strpbrk(name, "\n\r\t"));
    MGI_REQUIRE(mgi_param_find(n, name) < 0 && mgi_prod(rank, shape, &t.count));
    MGI_REQUIRE(mgi_mul(t.count, mgi_dtype_size(dtype), &bytes));
    mgi_copy(t.name, (mango_idx)sizeof t.name, name);
    for (int i = 0; i < rank; i++)
        t.shape[i] = shape[i];
    unsigned char *copy = mgi_new(&n->al, bytes, 1);
    void *list = n->extra;
    mango_idx at = net_extra_index(n, name);
    if (!copy || !net_room(&n->al, &list, n->n_extra, &n->cap_extra, sizeof n->extra[0])) {
        if (copy)
            mgi_del(&n->al, copy, bytes, 1);
        return MANGO_E_MEM;
    }
    n->extra = list;
    if (at < 0)
        at = n->n_extra++;
    else
        mgi_del(&n->al, (void *)(uintptr_t)n->extra[at].raw, net_raw_bytes(&n->extra[at]), 1);
    if (bytes)
        memcpy(copy, raw, (size_t)bytes);
    t.raw = copy;
    n->extra[at] = t;
    return MANGO_OK;
}
/* ---- end net/net.c ------------------------------------------------------------------ */

/* ---- begin net/weights_net.c -------------------------------------------------------- */
/* weights_net.c - self-describing weights files: tensors by their parameter
 * names, the graph's text form under "mango.graph", free metadata beside it.
 * Other tensors are carried along when "mango.extra" lists their names, one a
 * line; any other difference between graph and tensors is refused.
 */
#include <stdio.h>

/* ---- do tensors and parameters agree? ---------------------------------------- */

static const char *const match_rule[] = {"threshold", "beta", "graded_spikes_factor",
                                         "reset_mechanism_val"};

/* The LIF layer whose rule field `name` is; *field: index into match_rule. */
static int match_rule_node(const mango_net *n, const char *name, int *field)
{
    const char *dot = strrchr(name, '.');
    *field = -1;
    for (int k = 0; dot && k < (int)MGI_COUNT(match_rule); k++)
        if (!strcmp(dot + 1, match_rule[k]))
            *field = k;
    for (int i = 0; *field >= 0 && i < n->n_nodes; i++) {
        const char *p = n->node[i].prefix;
        if (n->node[i].kind == MGI_LIF && strlen(p) == (size_t)(dot - name) &&
            !memcmp(p, name, (size_t)(dot - name)))
            return i;
    }
    return -1;
}

MGI_FN int mgi_param_foreign(const mango_net *n, const char *name)
{
    static const char *const unused[] = {"num_batches_tracked", "_ema_w", "_ema_cluster_size"};
    const char *dot = strrchr(name, '.');
    const char *tail = dot ? dot + 1 : name;
    int field;
    for (int k = 0; k < (int)MGI_COUNT(unused); k++)
        if (!strcmp(tail, unused[k]))
            return 1;
    return match_rule_node(n, name, &field) >= 0;
}

MGI_FN int mgi_rule_scalar(mango_net *n, const char *name, double value, mango_status *st,
                           mango_err *err)
{
    mango_err sub;
    int field;
    const int i = match_rule_node(n, name, &field);
    if (i < 0)
        return 0;
    mango_lif rule = n->node[i].lif;
    *st = MANGO_OK;
    if (field == 0)
        rule.U_thr = (float)value;
    else if (field == 1)
        rule.beta = (float)value;
    else if (field == 2 && value != 1)
        *st = mgi_fail(err, MANGO_E_UNSUPPORTED, "%s is %g, only spikes of size 1 are supported",
                       name, value);
    else if (field == 3) /* snnTorch: 0 subtract, 1 zero, 2 none */
        rule.reset = value == 0 ? MANGO_RESET_SUBTRACT : value == 1 ? MANGO_RESET_ZERO
                                                                    : MANGO_RESET_NONE;
    if (*st == MANGO_OK && mango_lif_check(&rule, &sub) < 0)
        *st = mgi_fail(err, MANGO_E_FORMAT, "%s: %s", name, sub.text);
    if (*st == MANGO_OK)
        n->node[i].lif = rule;
    return 1;
}

static int match_fits(const mgi_param *p, const mgi_offer *o)
{
    if (o->rank == 0 && p->rank == 1)
        return p->shape[0] == 1;
    int same = o->rank == p->rank;
    for (int k = 0; same && k < p->rank; k++)
        same = o->shape[k] == p->shape[k];
    return same;
}

/* A list under way: the first three names, then only a count. */
typedef struct match_list {
    char text[96];
    int n, used;
} match_list;

static void match_note(match_list *l, const char *fmt, ...) MGI_PRINTF(2, 3);
static void match_note(match_list *l, const char *fmt, ...)
{
    va_list ap;
    const int room = (int)sizeof l->text - l->used;
    if (l->n++ >= 3 || room < 8)
        return;
    if (l->used)
        l->used += snprintf(l->text + l->used, (size_t)room, ", ");
    va_start(ap, fmt);
    l->used += vsnprintf(l->text + l->used, sizeof l->text - (size_t)l->used, fmt, ap);
    va_end(ap);
    l->used = MGI_MIN(l->used, (int)sizeof l->text - 1);
}

static void match_shape(char out[48], int rank, const mango_idx *shape)
{
    int used = snprintf(out, 48, rank ? "" : "scalar");
    for (int k = 0; k < rank && used < 40; k++)
        used += snprintf(out + used, (size_t)(48 - used), k ? "x%td" : "%td", shape[k]);
}

static void match_param(const mgi_param *p, mango_idx at, const mgi_offer *o, match_list *missing,
                        match_list *wrong)
{
    char have[48], want[48];
    if (at < 0) {
        match_note(missing, "%s", p->name);
        return;
    }
    if (match_fits(p, o))
        return;
    match_shape(have, o->rank, o->shape);
    match_shape(want, p->rank, p->shape);
    match_note(wrong, "%s is %s, expected %s", p->name, have, want);
}

MGI_FN mango_status mgi_params_match(const mango_net *n, mango_idx count, const mgi_offer *offer,
                                     mango_idx *map, mango_err *err)
{
    match_list missing = {"", 0, 0}, left = {"", 0, 0}, wrong = {"", 0, 0};
    for (mango_idx k = 0; k < count; k++)
        if (mgi_param_find(n, offer[k].name) < 0 && !mgi_param_foreign(n, offer[k].name))
            match_note(&left, "%s", offer[k].name);
    for (int p = 0; p < n->n_params; p++) {
        mango_idx at = -1;
        for (mango_idx k = 0; at < 0 && k < count; k++)
            if (!strcmp(offer[k].name, n->param[p].name))
                at = k;
        match_param(&n->param[p], at, at < 0 ? NULL : &offer[at], &missing, &wrong);
        if (map)
            map[p] = at;
    }
    if (!missing.n && !left.n && !wrong.n)
        return MANGO_OK;
    char text[3][128] = {"", "", ""};
    if (missing.n)
        snprintf(text[0], sizeof text[0], "%d missing (%s); ", missing.n, missing.text);
    if (wrong.n)
        snprintf(text[1], sizeof text[1], "%d of wrong shape (%s); ", wrong.n, wrong.text);
    if (left.n)
        snprintf(text[2], sizeof text[2], "%d left over (%s); ", left.n, left.text);
    return mgi_fail(err, MANGO_E_SHAPE, "parameters differ: %s%s%sexpected %d of %s", text[0],
                    text[1], text[2], n->n_params, n->arch[0] ? n->arch : "the graph");
}

/* ---- load ------------------------------------------------------------------ */

/* Is name one of the lines of list? */
static int load_listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    while (list && *list) {
        const size_t len = strcspn(list, "\n");
        if (len == n && !memcmp(list, name, n))
            return 1;
        list += len + (list[len] == '\n');
    }
    return 0;
}

/* Fill map: parameter -> tensor. Extras are not offered. */
static mango_status load_match(const mango_net *n, const mgi_tensors *f, mango_idx *map,
                               mango_err *err)
{
    const char *extra = mgi_tensors_meta(f, "mango.extra");
    mgi_offer *offer = mgi_new(&n->al, f->n, sizeof *offer);
    mango_idx *at = mgi_new(&n->al, f->n, sizeof *at), count = 0;
    mango_status st = MANGO_E_MEM;
    if (offer && at) {
        for (mango_idx i = 0; i < f->n; i++)
            if (!load_listed(extra, f->t[i].name)) {
                at[count] = i;
                offer[count].name = f->t[i].name;
                offer[count].rank = f->t[i].rank;
                offer[count++].shape = f->t[i].shape;
            }
        st = mgi_params_match(n, count, offer, map, err);
        for (int p = 0; st == MANGO_OK && p < n->n_params; p++)
            map[p] = at[map[p]];
    }
    if (offer)
        mgi_del(&n->al, offer, f->n, sizeof *offer);
    if (at)
        mgi_del(&n->al, at, f->n, sizeof *at);
    return st;
}

static mango_status load_values(mango_net *n, const mgi_tensors *f, mango_err *err)
{
    mango_idx *map = mgi_new(&n->al, n->n_params, sizeof *map);
    if (!map)
        return MANGO_E_MEM;
    mango_status st = load_match(n, f, map, err);
    if (st == MANGO_OK)
        st = mgi_net_alloc_params(n);
    for (int p = 0; st == MANGO_OK && p < n->n_params; p++)
        st = mgi_tensor_floats(&f->t[map[p]], 1, n->param[p].v, err);
    mgi_del(&n->al, map, n->n_params, sizeof *map);
    return st;
}

static mango_status load_rest(mango_net *n, const mgi_tensors *f, mango_err *err)
{
    const char *extra = mgi_tensors_meta(f, "mango.extra"), *key, *value;
    for (mango_idx i = 0; i < f->n; i++)
        if (load_listed(extra, f->t[i].name)) {
            const mgi_tensor *t = &f->t[i];
            const mango_status st =
                mgi_net_extra_set(n, t->name, t->dtype, t->rank, t->shape, t->raw);
            if (st < 0)
                return mgi_fail(err, st, "tensor '%.80s' cannot be carried as an extra", t->name);
        }
    for (mango_idx i = 0; mgi_tensors_meta_at(f, i, &key, &value); i++)
        if (strcmp(key, "mango.graph") && strcmp(key, "mango.extra") && key[0])
            MGI_TRY(mango_net_meta_set(n, key, value));
    return MANGO_OK;
}

mango_status mango_net_load(mango_net **net, const char *path, const mango_alloc *al,
                            mango_err *err)
{
    MGI_REQUIRE(net && path);
    mgi_tensors f;
    mango_err sub = {""};
    mango_net *n = NULL;
    mango_status st;
    *net = NULL;
    MGI_TRY(mgi_tensors_read(&f, path, al, err));
    const char *graph = mgi_tensors_meta(&f, "mango.graph");
    if (!graph) {
        st = mgi_fail(&sub, MANGO_E_FORMAT,
                      "no graph in its metadata (key mango.graph); import it first");
        goto done;
    }
    MGI_TRY_TO(mgi_graph_parse(&n, graph, (mango_idx)strlen(graph), al, &sub));
    MGI_TRY_TO(load_values(n, &f, &sub));
    MGI_TRY_TO(load_rest(n, &f, &sub));
    *net = n;
    n = NULL;
done:
    mango_net_destroy(n);
    mgi_tensors_free(&f);
    if (st < 0)
        mgi_fail(err, st, "%s: %s", path, sub.text[0] ? sub.text : mango_status_text(st));
    return st;
}

/* ---- save ------------------------------------------------------------------ */

static mango_status save_meta(const mango_net *n, mgi_tensor_writer *w)
{
    mgi_str s;
    mgi_str_init(&s, &n->al);
    mango_status st = mgi_graph_write(n, &s);
    if (st == MANGO_OK)
        st = mgi_writer_meta(w, "mango.graph", s.p);
    mgi_str_free(&s);
    mgi_str_init(&s, &n->al);
    for (mango_idx i = 0; i < n->n_extra; i++)
        mgi_str_printf(&s, "%s%s", i ? "\n" : "", n->extra[i].name);
    if (st == MANGO_OK && n->n_extra)
        st = s.bad ? MANGO_E_MEM : mgi_writer_meta(w, "mango.extra", s.p);
    mgi_str_free(&s);
    for (mango_idx i = 0; st == MANGO_OK && i < n->n_meta; i++)
        st = mgi_writer_meta(w, n->meta[i].key, n->meta[i].value);
    return st;
}

/* Vectors (biases, norms) stay F32: they are few, and halves would cost accuracy. */
static mango_status save_tensors(const mango_net *n, mgi_tensor_writer *w, mgi_dtype dtype,
                                 mango_err *err)
{
    for (int i = 0; i < n->n_params; i++) {
        const mgi_param *p = &n->param[i];
        if (!p->v)
            return mgi_fail(err, MANGO_E_STATE, "parameter %s has no values yet", p->name);
        for (mango_idx k = 0; k < p->count; k++)
            if (!(p->v[k] - p->v[k] == 0))
                return mgi_fail(err, MANGO_E_NONFINITE, "parameter %s is NaN or infinite at %td",
                                p->name, k);
        mgi_writer_add(w, p->name, p->rank > 1 ? dtype : MGI_F32, p->rank, p->shape, p->v);
    }
    for (mango_idx i = 0; i < n->n_extra; i++)
        mgi_writer_add_raw(w, n->extra[i].name, n->extra[i].dtype, n->extra[i].rank,
                           n->extra[i].shape, n->extra[i].raw);
    return MANGO_OK; /* the writer remembers its own failures */
}

mango_status mango_net_save(const mango_net *net, const char *path, const char *dtype,
                            mango_err *err)
{
    MGI_REQUIRE(net && path && dtype);
    mgi_tensor_writer *w = NULL;
    mgi_dtype d;
    if (!mgi_dtype_find(dtype, &d) || (d != MGI_F32 && d != MGI_F16 && d != MGI_BF16))
        return mgi_fail(err, MANGO_E_ARG, "weights are saved as F32, F16 or BF16, not '%.20s'",
                        dtype);
    MGI_TRY(mgi_writer_new(&w, &net->al));
    mango_status st = save_meta(net, w);
    if (st == MANGO_OK)
        st = save_tensors(net, w, d, err);
    if (st == MANGO_OK)
        st = mgi_writer_save(w, path, err);
    mgi_writer_free(w);
    return st;
}
/* ---- end net/weights_net.c ---------------------------------------------------------- */

/* ---- begin net/zoo.c ---------------------------------------------------------------- */
/* zoo.c - architectures by name: reads a specification, calls the builder.
 */
#include <stdio.h>

/* Input statistics, and the range of a generator's pictures. */
#define ZOO_CIFAR {0.4914f, 0.4822f, 0.4465f}, {0.2471f, 0.2435f, 0.2616f}, 1, 0
#define ZOO_IMAGENET {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, 1, 0
#define ZOO_SIGNED {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}
#define ZOO_UNSET {0, 0, 0}, {1, 1, 1}

typedef struct zoo_arch {
    const char *name;
    void (*build)(mango_net *n, const mgi_zoo *z);
    const char *keys;   /* that its specification may set, each followed by a space */
    mango_idx size;     /* of its square RGB pictures */
    mango_idx classes, T;
    float mean[3], std[3], out_scale, out_shift;
    const char *lif;    /* its neurons' rule, as attributes */
} zoo_arch;

static const zoo_arch zoo_list[] = {
    {"sngan", mgi_zoo_sngan, "width latent out ", 32, 0, 1, ZOO_UNSET, 0.5f, 0.5f, NULL},
    {"sngan_dsc", mgi_zoo_sngan_dsc, "width in ", 32, 0, 1, ZOO_SIGNED, 1, 0, NULL},
    {"vqvae", mgi_zoo_vqvae, "width in hidden codes dim ", 32, 0, 1, ZOO_SIGNED, 0.5f, 0.5f,
     NULL},
    {"snn_conv", mgi_zoo_snn_conv, "width in hidden classes T lif ", 32, 10, 100, ZOO_CIFAR,
     "preset=snntorch slope=10"},
    {"spiking_resnet18", mgi_zoo_spiking_resnet18, "width in classes T lif ", 32, 10, 50,
     ZOO_CIFAR, "preset=spikingjelly detach_reset=1"},
    {"resnet18", mgi_zoo_resnet18, "width in classes ", 32, 10, 1, ZOO_CIFAR, NULL},
    {"densenet", mgi_zoo_densenet, "width in classes ", 32, 10, 1, ZOO_CIFAR, NULL},
    {"alexnet", mgi_zoo_alexnet, "in classes ", 224, 1000, 1, ZOO_IMAGENET, NULL},
    {"vgg16", mgi_zoo_vgg16, "in classes ", 224, 1000, 1, ZOO_IMAGENET, NULL},
    {"vgg19", mgi_zoo_vgg19, "in classes ", 224, 1000, 1, ZOO_IMAGENET, NULL},
};

/* Keys of a neuron rule: checked by the LIF nodes' own attributes. */
static const char zoo_lif_keys[] =
    "preset beta tau decay_input input_gain U_thr fires_on reset U_reset reset_delay "
    "detach_reset surrogate slope ";

MGI_FN mango_idx mgi_zoo_wide(const mgi_zoo *z, mango_idx c)
{
    if (z->width == 1)
        return c;
    const mango_idx eighths = (mango_idx)(z->width * (double)c / 8 + 0.5);
    return 8 * MGI_MAX(eighths, 1);
}

MGI_FN const char *mgi_zoo_name(mgi_zoo_label *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(b->z, sizeof b->z, fmt, ap);
    va_end(ap);
    return b->z;
}

MGI_FN int mgi_zoo_join(mango_net *n, const char *name, mgi_kind kind, int a, int b)
{
    const int in[2] = {a, b};
    return mgi_net_node(n, name, kind, 2, in, "");
}

/* ---- the specification ------------------------------------------------------ */

/* Is key one of the words of list? */
static int zoo_has(const char *list, const char *key)
{
    const size_t n = strlen(key);
    for (; *list; list += strcspn(list, " ") + 1)
        if (strcspn(list, " ") == n && !memcmp(list, key, n))
            return 1;
    return 0;
}

/* "CxHxW", or "C" for a vector. */
static int zoo_shape(mgi_zoo *z, const char *v)
{
    int64_t d[3];
    char part[16];
    for (int k = 0; k < 3; k++) {
        const size_t n = strcspn(v, "x");
        if (n >= sizeof part || (k < 2) != (v[n] == 'x'))
            return 0;
        memcpy(part, v, n);
        part[n] = 0;
        if (!mgi_parse_int(part, 1, 4096, &d[k]))
            return 0;
        v += n + (v[n] == 'x');
    }
    z->C = (mango_idx)d[0];
    z->H = (mango_idx)d[1];
    z->W = (mango_idx)d[2];
    return 1;
}

/* Append " key=value" to the rule; a preset goes to its front. */
static int zoo_rule(mgi_zoo *z, const char *key, const char *v)
{
    char old[sizeof z->lif];
    memcpy(old, z->lif, sizeof old);
    const int front = !strcmp(key, "preset");
    const int n = front ? snprintf(z->lif, sizeof z->lif, " %s=%s%s", key, v, old)
                        : snprintf(z->lif, sizeof z->lif, "%s %s=%s", old, key, v);
    return n > 0 && (size_t)n < sizeof z->lif;
}

/* The architecture's own rule, but for the keys that were set. */
static int zoo_rule_base(mgi_zoo *z, const char *base, const char *seen)
{
    char user[sizeof z->lif], key[32], value[32];
    if (!base || zoo_has(seen, "preset"))
        return 1;
    memcpy(user, z->lif, sizeof user);
    z->lif[0] = 0;
    for (; *base; base += strcspn(base, " "), base += *base == ' ')
        if (sscanf(base, "%31[^=]=%31[^ ]", key, value) == 2 && !zoo_has(seen, key) &&
            !zoo_rule(z, key, value))
            return 0;
    const size_t used = strlen(z->lif);
    return mgi_copy(z->lif + used, (mango_idx)(sizeof z->lif - used), user);
}

static int zoo_set(mgi_zoo *z, const char *key, const char *v)
{
    const struct {
        const char *key;
        mango_idx *at;
        int64_t hi;
    } whole[] = {{"classes", &z->classes, 65536}, {"T", &z->T, MGI_MAX_T},
                 {"hidden", &z->hidden, 65536},   {"codes", &z->codes, 65536},
                 {"dim", &z->dim, 65536},         {"latent", &z->latent, 65536}};
    int64_t i;
    if (!strcmp(key, "width"))
        return mgi_parse_real(v, &z->width) && z->width > 0 && z->width <= 16;
    if (!strcmp(key, "in") || !strcmp(key, "out"))
        return zoo_shape(z, v);
    for (int k = 0; k < (int)MGI_COUNT(whole); k++)
        if (!strcmp(key, whole[k].key)) {
            const int ok = mgi_parse_int(v, 1, whole[k].hi, &i);
            *whole[k].at = ok ? (mango_idx)i : 1;
            return ok;
        }
    return zoo_rule(z, key, v);
}

static mango_status zoo_keys(const zoo_arch *a, mgi_zoo *z, char *rest, mango_err *err)
{
    char seen[512] = "";
    while (rest) {
        char *item = rest, *eq;
        rest = strchr(rest, ',');
        if (rest)
            *rest++ = 0;
        eq = strchr(item, '=');
        if (!eq || eq == item || !eq[1])
            return mgi_fail(err, MANGO_E_ARG, "zoo:%s: '%.40s' is not key=value", a->name, item);
        *eq = 0;
        const int rule = zoo_has(a->keys, "lif") && zoo_has(zoo_lif_keys, item);
        if (!rule && (!zoo_has(a->keys, item) || !strcmp(item, "lif")))
            return mgi_fail(err, MANGO_E_NAME, "zoo:%s: unknown key '%.40s', expected one of: %s",
                            a->name, item, a->keys);
        if (zoo_has(seen, item))
            return mgi_fail(err, MANGO_E_ARG, "zoo:%s: key '%s' is given twice", a->name, item);
        strcat(strcat(seen, item), " "); /* all known keys together fit */
        if (strpbrk(eq + 1, " \t") || !zoo_set(z, item, eq + 1))
            return mgi_fail(err, MANGO_E_ARG, "zoo:%s: %s=%.40s is out of range", a->name, item,
                            eq + 1);
    }
    if (!zoo_rule_base(z, a->lif, seen))
        return mgi_fail(err, MANGO_E_LIMIT, "zoo:%s: the neurons' rule is too long", a->name);
    return MANGO_OK;
}

static mango_status zoo_build(mango_net *n, const zoo_arch *a, const mgi_zoo *z, mango_err *err)
{
    memcpy(n->mean, a->mean, sizeof n->mean);
    memcpy(n->std, a->std, sizeof n->std);
    if (z->C == 1 && a->classes) { /* grey classifiers: the statistics of MNIST */
        for (int c = 0; c < 3; c++) {
            n->mean[c] = 0.1307f;
            n->std[c] = 0.3081f;
        }
    }
    n->out_scale = a->out_scale;
    n->out_shift = a->out_shift;
    n->T = z->T;
    a->build(n, z);
    return mgi_net_finish(n, err);
}

static const zoo_arch *zoo_find(const char *name, mango_err *err)
{
    const char *names[MGI_COUNT(zoo_list)];
    char near[160] = "";
    for (int i = 0; i < (int)MGI_COUNT(zoo_list); i++) {
        names[i] = zoo_list[i].name;
        if (!strcmp(name, names[i]))
            return &zoo_list[i];
    }
    mgi_near(name, MGI_COUNT(zoo_list), names, near, (mango_idx)sizeof near);
    mgi_fail(err, MANGO_E_NAME, "no architecture '%.60s'; near: %s", name, near);
    return NULL;
}

mango_status mango_net_zoo(mango_net **net, const char *spec, const mango_alloc *al,
                           mango_err *err)
{
    char text[512];
    MGI_REQUIRE(net && spec);
    *net = NULL;
    if (!mgi_copy(text, (mango_idx)sizeof text, spec))
        return mgi_fail(err, MANGO_E_LIMIT, "zoo: the specification is over 511 bytes");
    char *rest = strchr(text, ',');
    if (rest)
        *rest++ = 0;
    const zoo_arch *a = zoo_find(text, err);
    if (!a)
        return MANGO_E_NAME;
    mgi_zoo z = {.width = 1, .C = 3, .H = a->size, .W = a->size, .classes = a->classes,
                 .T = a->T, .codes = 512, .dim = 64, .latent = 128};
    MGI_TRY(zoo_keys(a, &z, rest, err));
    mango_net *n;
    if (mgi_net_new(&n, a->name, al) < 0)
        return mgi_fail(err, MANGO_E_MEM, "zoo:%s: no memory", a->name);
    const mango_status st = zoo_build(n, a, &z, err);
    if (st < 0)
        mango_net_destroy(n);
    else
        *net = n;
    return st;
}

#undef ZOO_CIFAR
#undef ZOO_IMAGENET
#undef ZOO_SIGNED
#undef ZOO_UNSET
/* ---- end net/zoo.c ------------------------------------------------------------------ */

/* ---- begin net/zoo_sngan.c ---------------------------------------------------------- */
/* zoo_sngan.c - SN-GAN (Miyato 2018): residual generator and discriminator.
 *
 *   generator       z -> l1 -> (ngf,4,4) -> block2..4, each x2 -> b5 relu c5 tanh
 *   discriminator   image -> block1 (half size) -> block2 (half size) -> block3
 *                   -> block4 -> relu -> sum over space -> l5; spectral norm
 *                   on every weight: W/sigma, sigma from one power iteration
 *                   that starts at the stored vector sn_u
 */

/* x2 bilinear upsampling comes before c1, and before c_sc of the shortcut. */
static int sngan_gblock(mango_net *n, int x, const char *p, mango_idx C)
{
    mgi_zoo_label b;
    int h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.b1", p), MGI_BATCHNORM, x);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu1", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.up", p), MGI_UPSAMPLE, h, "mode=bilinear");
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), MGI_CONV, h, "out=%td kernel=3 pad=1", C);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.b2", p), MGI_BATCHNORM, h);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu2", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c2", p), MGI_CONV, h, "out=%td kernel=3 pad=1", C);
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.sc_up", p), MGI_UPSAMPLE, x, "mode=bilinear");
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c_sc", p), MGI_CONV, x, "out=%td kernel=1", C);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.add", p), MGI_ADD, h, x);
}

MGI_FN void mgi_zoo_sngan(mango_net *n, const mgi_zoo *z)
{
    const mango_idx C = mgi_zoo_wide(z, 256), H = z->H / 8, W = z->W / 8;
    mango_err e;
    if (z->H % 8 || z->W % 8) {
        n->failed = mgi_fail(&e, MANGO_E_ARG, "zoo:sngan: out=%tdx%tdx%td, expected multiples of 8",
                             z->C, z->H, z->W);
        n->err = e;
        return;
    }
    int x = mgi_net_input(n, "latent", z->latent, 1, 1);
    x = mgi_net_add1(n, "l1", MGI_LINEAR, x, "out=%td", C * H * W);
    x = mgi_net_add1(n, "reshape", MGI_RESHAPE, x, "shape=%tdx%tdx%td", C, H, W);
    x = sngan_gblock(n, x, "block2", C);
    x = sngan_gblock(n, x, "block3", C);
    x = sngan_gblock(n, x, "block4", C);
    x = mgi_net_plain(n, "b5", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "relu5", MGI_RELU, x);
    x = mgi_net_add1(n, "c5", MGI_CONV, x, "out=%td kernel=3 pad=1", z->C);
    mgi_net_plain(n, "tanh", MGI_TANH, x);
}

/* The first block: no activation in front, its shortcut pools before c_sc. */
static int sngan_first(mango_net *n, int x, const char *p, mango_idx C)
{
    mgi_zoo_label b;
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), MGI_CONV, x,
                         "out=%td kernel=3 pad=1 sn=1", C);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 sn=1", C);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.pool", p), MGI_AVGPOOL, h, "kernel=2");
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.sc_pool", p), MGI_AVGPOOL, x, "kernel=2");
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c_sc", p), MGI_CONV, x, "out=%td kernel=1 sn=1", C);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.add", p), MGI_ADD, h, x);
}

/* The first activation works in place in the source, so the shortcut too
 * starts from relu(x); with down both paths end in a 2x2 average. */
static int sngan_dblock(mango_net *n, int x, const char *p, mango_idx C, int down)
{
    mgi_zoo_label b;
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu1", p), MGI_RELU, x);
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c1", p), MGI_CONV, x,
                         "out=%td kernel=3 pad=1 sn=1", C);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu2", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 sn=1", C);
    if (down) {
        h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.pool", p), MGI_AVGPOOL, h, "kernel=2");
        x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.c_sc", p), MGI_CONV, x,
                         "out=%td kernel=1 sn=1", C);
        x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.sc_pool", p), MGI_AVGPOOL, x, "kernel=2");
    }
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.add", p), MGI_ADD, h, x);
}

MGI_FN void mgi_zoo_sngan_dsc(mango_net *n, const mgi_zoo *z)
{
    const mango_idx C = mgi_zoo_wide(z, 128);
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = sngan_first(n, x, "block1", C);
    x = sngan_dblock(n, x, "block2", C, 1);
    x = sngan_dblock(n, x, "block3", C, 0);
    x = sngan_dblock(n, x, "block4", C, 0);
    x = mgi_net_plain(n, "relu5", MGI_RELU, x);
    x = mgi_net_plain(n, "sum", MGI_GLOBALSUM, x);
    mgi_net_add1(n, "l5", MGI_LINEAR, x, "out=1 sn=1");
}
/* ---- end net/zoo_sngan.c ------------------------------------------------------------ */

/* ---- begin net/zoo_vqvae.c ---------------------------------------------------------- */
/* zoo_vqvae.c - VQ-VAE (van den Oord 2017): encoder, codebook, decoder in one graph.
 *
 *   input -> _encoder (quarter size) -> _pre_vq_conv -> _vq_vae -> _decoder -> image
 *
 * The residual blocks' first ReLU works in place in the source, so what is
 * added back is relu(x): x = relu(x) + block(relu(x)).
 */

static int vqvae_residual(mango_net *n, int x, const char *p, int k, mango_idx C, mango_idx R)
{
    mgi_zoo_label b;
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s._layers.%d._block.0", p, k), MGI_RELU, x);
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%s._layers.%d._block.1", p, k), MGI_CONV, x,
                         "out=%td kernel=3 pad=1 bias=0", R);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s._layers.%d._block.2", p, k), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s._layers.%d._block.3", p, k), MGI_CONV, h,
                     "out=%td kernel=1 bias=0", C);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s._layers.%d.add", p, k), MGI_ADD, h, x);
}

/* Two residual blocks and a last ReLU. */
static int vqvae_stack(mango_net *n, int x, const char *p, mango_idx C, mango_idx R)
{
    mgi_zoo_label b;
    x = vqvae_residual(n, x, p, 0, C, R);
    x = vqvae_residual(n, x, p, 1, C, R);
    return mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu", p), MGI_RELU, x);
}

MGI_FN void mgi_zoo_vqvae(mango_net *n, const mgi_zoo *z)
{
    const mango_idx C = z->hidden ? z->hidden : mgi_zoo_wide(z, 128);
    const mango_idx R = MGI_MAX(C / 4, 1), half = (C + 1) / 2;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "_encoder._conv_1", MGI_CONV, x, "out=%td kernel=4 stride=2 pad=1", half);
    x = mgi_net_plain(n, "_encoder._relu_1", MGI_RELU, x);
    x = mgi_net_add1(n, "_encoder._conv_2", MGI_CONV, x, "out=%td kernel=4 stride=2 pad=1", C);
    x = mgi_net_plain(n, "_encoder._relu_2", MGI_RELU, x);
    x = mgi_net_add1(n, "_encoder._conv_3", MGI_CONV, x, "out=%td kernel=3 pad=1", C);
    x = vqvae_stack(n, x, "_encoder._residual_stack", C, R);
    x = mgi_net_add1(n, "_pre_vq_conv", MGI_CONV, x, "out=%td kernel=1", z->dim);

    x = mgi_net_add1(n, "_vq_vae", MGI_VQ, x, "codes=%td", z->codes);

    x = mgi_net_add1(n, "_decoder._conv_1", MGI_CONV, x, "out=%td kernel=3 pad=1", C);
    x = vqvae_stack(n, x, "_decoder._residual_stack", C, R);
    x = mgi_net_add1(n, "_decoder._conv_trans_1", MGI_CONVT, x,
                     "out=%td kernel=4 stride=2 pad=1", half);
    x = mgi_net_plain(n, "_decoder._relu_1", MGI_RELU, x);
    mgi_net_add1(n, "_decoder._conv_trans_2", MGI_CONVT, x, "out=%td kernel=4 stride=2 pad=1",
                 z->C);
}
/* ---- end net/zoo_vqvae.c ------------------------------------------------------------ */

/* ---- begin net/zoo_snn_conv.c ------------------------------------------------------- */
/* zoo_snn_conv.c - a small spiking convolutional network in snnTorch's style.
 *
 *   conv0 5x5 - pool0 3x3/2 - spiking0 - conv1 5x5 - pool1 2x2 - spiking1
 *   - linear1 - spiking2 - linear2 - relu0 - final_spiking
 *
 * The first pool is 3x3, stride 2, padding 1: in the source's definition its
 * name is used twice, and the later line replaces the earlier, in its place.
 * Parameters carry the prefix "features.".
 */

static int snn_lif(mango_net *n, int x, const char *name, const mgi_zoo *z)
{
    return mgi_net_add1(n, name, MGI_LIF, x, "%s param=features.%s", z->lif, name);
}

MGI_FN void mgi_zoo_snn_conv(mango_net *n, const mgi_zoo *z)
{
    const mango_idx c0 = mgi_zoo_wide(z, 200), c1 = mgi_zoo_wide(z, 64);
    const mango_idx hidden = z->hidden ? z->hidden : mgi_zoo_wide(z, 100);
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "conv0", MGI_CONV, x, "out=%td kernel=5 param=features.conv0", c0);
    x = mgi_net_add1(n, "pool0", MGI_MAXPOOL, x, "kernel=3 stride=2 pad=1");
    x = snn_lif(n, x, "spiking0", z);
    x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=5 param=features.conv1", c1);
    x = mgi_net_add1(n, "pool1", MGI_MAXPOOL, x, "kernel=2");
    x = snn_lif(n, x, "spiking1", z);
    x = mgi_net_add1(n, "linear1", MGI_LINEAR, x, "out=%td param=features.linear1", hidden);
    x = snn_lif(n, x, "spiking2", z);
    x = mgi_net_add1(n, "linear2", MGI_LINEAR, x, "out=%td param=features.linear2", z->classes);
    x = mgi_net_plain(n, "relu0", MGI_RELU, x);
    snn_lif(n, x, "final_spiking", z);
}
/* ---- end net/zoo_snn_conv.c --------------------------------------------------------- */

/* ---- begin net/zoo_resnet18.c ------------------------------------------------------- */
/* zoo_resnet18.c - ResNet-18 (He 2015) and its spiking twin.
 *
 *   resnet18          stem 3x3; blocks with ReLU; global average; linear
 *   spiking_resnet18  stem 7x7/2 and max-pool 3x3/2 (SpikingJelly's); a LIF
 *                     layer where the twin has a ReLU; fc, read as mean over T
 */

/* What differs between the two. */
typedef struct resnet_style {
    int spiking;
    const char *shortcut; /* name of a block's 1x1 path: PREFIX.SHORTCUT.0 and .1 */
    const char *lif;      /* attributes of LIF layers                             */
} resnet_style;

/* ReLU or LIF, named PREFIX + relu1 or sn1. */
static int resnet_act(mango_net *n, int x, const char *p, const char *k, const resnet_style *s)
{
    mgi_zoo_label b;
    return s->spiking ? mgi_net_add1(n, mgi_zoo_name(&b, "%ssn%s", p, k), MGI_LIF, x, "%s", s->lif)
                      : mgi_net_plain(n, mgi_zoo_name(&b, "%srelu%s", p, k), MGI_RELU, x);
}

static int resnet_shortcut(mango_net *n, int x, const char *p, mango_idx C, int stride,
                           const resnet_style *s)
{
    mgi_zoo_label b;
    if (stride == 1 && (x < 0 || n->node[x].C == C))
        return x;
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s%s.0", p, s->shortcut), MGI_CONV, x,
                     "out=%td kernel=1 stride=%d bias=0", C, stride);
    return mgi_net_plain(n, mgi_zoo_name(&b, "%s%s.1", p, s->shortcut), MGI_BATCHNORM, x);
}

static int resnet_block(mango_net *n, int x, const char *p, mango_idx C, int stride,
                        const resnet_style *s)
{
    mgi_zoo_label b;
    int h = mgi_net_add1(n, mgi_zoo_name(&b, "%sconv1", p), MGI_CONV, x,
                         "out=%td kernel=3 stride=%d pad=1 bias=0", C, stride);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%sbn1", p), MGI_BATCHNORM, h);
    h = resnet_act(n, h, p, "1", s);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%sconv2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 bias=0", C);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%sbn2", p), MGI_BATCHNORM, h);
    x = resnet_shortcut(n, x, p, C, stride, s);
    h = mgi_zoo_join(n, mgi_zoo_name(&b, "%sadd", p), MGI_ADD, h, x);
    return resnet_act(n, h, p, "2", s);
}

/* layer1..layer4, two blocks each; all but the first halve the size. */
static int resnet_layers(mango_net *n, int x, const mgi_zoo *z, const resnet_style *s)
{
    mgi_zoo_label b;
    for (int layer = 1; layer <= 4; layer++)
        for (int k = 0; k < 2; k++)
            x = resnet_block(n, x, mgi_zoo_name(&b, "layer%d.%d.", layer, k),
                             mgi_zoo_wide(z, 32 << layer), layer > 1 && k == 0 ? 2 : 1, s);
    return x;
}

MGI_FN void mgi_zoo_resnet18(mango_net *n, const mgi_zoo *z)
{
    const resnet_style s = {0, "shortcut", ""};
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=3 pad=1 bias=0",
                     mgi_zoo_wide(z, 64));
    x = mgi_net_plain(n, "bn1", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "relu", MGI_RELU, x);
    x = resnet_layers(n, x, z, &s);
    x = mgi_net_plain(n, "avgpool", MGI_GLOBALAVG, x);
    mgi_net_add1(n, "linear", MGI_LINEAR, x, "out=%td", z->classes);
}

MGI_FN void mgi_zoo_spiking_resnet18(mango_net *n, const mgi_zoo *z)
{
    const resnet_style s = {1, "downsample", z->lif};
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "conv1", MGI_CONV, x, "out=%td kernel=7 stride=2 pad=3 bias=0",
                     mgi_zoo_wide(z, 64));
    x = mgi_net_plain(n, "bn1", MGI_BATCHNORM, x);
    x = resnet_act(n, x, "", "1", &s);
    x = mgi_net_add1(n, "maxpool", MGI_MAXPOOL, x, "kernel=3 stride=2 pad=1");
    x = resnet_layers(n, x, z, &s);
    x = mgi_net_plain(n, "avgpool", MGI_GLOBALAVG, x);
    mgi_net_add1(n, "fc", MGI_LINEAR, x, "out=%td", z->classes);
}
/* ---- end net/zoo_resnet18.c --------------------------------------------------------- */

/* ---- begin net/zoo_densenet.c ------------------------------------------------------- */
/* zoo_densenet.c - DenseNet-161 (Huang 2016) with a stem for 32x32 pictures.
 * Each dense layer appends `growth` channels to what it was given.
 */

/* x joined with conv2(relu(norm2(conv1(relu(norm1(x)))))). */
static int densenet_layer(mango_net *n, int x, const char *p, mango_idx growth)
{
    mgi_zoo_label b;
    int h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.norm1", p), MGI_BATCHNORM, x);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu1", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.conv1", p), MGI_CONV, h, "out=%td kernel=1 bias=0",
                     4 * growth);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.norm2", p), MGI_BATCHNORM, h);
    h = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu2", p), MGI_RELU, h);
    h = mgi_net_add1(n, mgi_zoo_name(&b, "%s.conv2", p), MGI_CONV, h,
                     "out=%td kernel=3 pad=1 bias=0", growth);
    return mgi_zoo_join(n, mgi_zoo_name(&b, "%s.cat", p), MGI_CONCAT, x, h);
}

/* Halves channels and size. */
static int densenet_transition(mango_net *n, int x, const char *p)
{
    mgi_zoo_label b;
    const mango_idx C = x < 0 ? 1 : n->node[x].C;
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s.norm", p), MGI_BATCHNORM, x);
    x = mgi_net_plain(n, mgi_zoo_name(&b, "%s.relu", p), MGI_RELU, x);
    x = mgi_net_add1(n, mgi_zoo_name(&b, "%s.conv", p), MGI_CONV, x, "out=%td kernel=1 bias=0",
                     C / 2);
    return mgi_net_add1(n, mgi_zoo_name(&b, "%s.pool", p), MGI_AVGPOOL, x, "kernel=2");
}

MGI_FN void mgi_zoo_densenet(mango_net *n, const mgi_zoo *z)
{
    static const int layers[4] = {6, 12, 36, 24};
    const mango_idx growth = mgi_zoo_wide(z, 48);
    mgi_zoo_label b;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = mgi_net_add1(n, "features.conv0", MGI_CONV, x, "out=%td kernel=3 pad=1 bias=0",
                     2 * growth);
    x = mgi_net_plain(n, "features.norm0", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "features.relu0", MGI_RELU, x);
    x = mgi_net_add1(n, "features.pool0", MGI_MAXPOOL, x, "kernel=3 stride=2 pad=1");
    for (int i = 1; i <= 4; i++) {
        for (int k = 1; k <= layers[i - 1]; k++)
            x = densenet_layer(
                n, x, mgi_zoo_name(&b, "features.denseblock%d.denselayer%d", i, k), growth);
        if (i < 4)
            x = densenet_transition(n, x, mgi_zoo_name(&b, "features.transition%d", i));
    }
    x = mgi_net_plain(n, "features.norm5", MGI_BATCHNORM, x);
    x = mgi_net_plain(n, "relu", MGI_RELU, x);
    x = mgi_net_plain(n, "avgpool", MGI_GLOBALAVG, x);
    mgi_net_add1(n, "classifier", MGI_LINEAR, x, "out=%td", z->classes);
}
/* ---- end net/zoo_densenet.c --------------------------------------------------------- */

/* ---- begin net/zoo_alexnet.c -------------------------------------------------------- */
/* zoo_alexnet.c - AlexNet in its one-tower form, as torchvision has it.
 * Layers are numbered as there; the dropouts, which do nothing, are left out.
 */

/* features.K = conv, features.K+1 = its ReLU. */
static int alexnet_conv(mango_net *n, int x, int k, const char *attrs)
{
    mgi_zoo_label b;
    x = mgi_net_add1(n, mgi_zoo_name(&b, "features.%d", k), MGI_CONV, x, "%s", attrs);
    return mgi_net_plain(n, mgi_zoo_name(&b, "features.%d", k + 1), MGI_RELU, x);
}

static int alexnet_pool(mango_net *n, int x, int k)
{
    mgi_zoo_label b;
    return mgi_net_add1(n, mgi_zoo_name(&b, "features.%d", k), MGI_MAXPOOL, x,
                        "kernel=3 stride=2");
}

MGI_FN void mgi_zoo_alexnet(mango_net *n, const mgi_zoo *z)
{
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    x = alexnet_conv(n, x, 0, "out=64 kernel=11 stride=4 pad=2");
    x = alexnet_pool(n, x, 2);
    x = alexnet_conv(n, x, 3, "out=192 kernel=5 pad=2");
    x = alexnet_pool(n, x, 5);
    x = alexnet_conv(n, x, 6, "out=384 kernel=3 pad=1");
    x = alexnet_conv(n, x, 8, "out=256 kernel=3 pad=1");
    x = alexnet_conv(n, x, 10, "out=256 kernel=3 pad=1");
    x = alexnet_pool(n, x, 12);
    x = mgi_net_add1(n, "avgpool", MGI_ADAPTIVEAVG, x, "size=6x6");
    x = mgi_net_add1(n, "classifier.1", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.2", MGI_RELU, x);
    x = mgi_net_add1(n, "classifier.4", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.5", MGI_RELU, x);
    mgi_net_add1(n, "classifier.6", MGI_LINEAR, x, "out=%td", z->classes);
}
/* ---- end net/zoo_alexnet.c ---------------------------------------------------------- */

/* ---- begin net/zoo_vgg.c ------------------------------------------------------------ */
/* zoo_vgg.c - VGG-16 and VGG-19 without batch-norm, as torchvision has them.
 * Layers are numbered as there; the dropouts, which do nothing, are left out.
 */

/* plan: channels of the 3x3 convolutions in order; 0 a max-pool, -1 the end. */
static void vgg_build(mango_net *n, const mgi_zoo *z, const int *plan)
{
    mgi_zoo_label b;
    int x = mgi_net_input(n, "input", z->C, z->H, z->W);
    for (int k = 0; *plan >= 0; plan++) {
        const char *name = mgi_zoo_name(&b, "features.%d", k++);
        if (*plan == 0) {
            x = mgi_net_add1(n, name, MGI_MAXPOOL, x, "kernel=2");
            continue;
        }
        x = mgi_net_add1(n, name, MGI_CONV, x, "out=%d kernel=3 pad=1", *plan);
        x = mgi_net_plain(n, mgi_zoo_name(&b, "features.%d", k++), MGI_RELU, x);
    }
    x = mgi_net_add1(n, "avgpool", MGI_ADAPTIVEAVG, x, "size=7x7");
    x = mgi_net_add1(n, "classifier.0", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.1", MGI_RELU, x);
    x = mgi_net_add1(n, "classifier.3", MGI_LINEAR, x, "out=4096");
    x = mgi_net_plain(n, "classifier.4", MGI_RELU, x);
    mgi_net_add1(n, "classifier.6", MGI_LINEAR, x, "out=%td", z->classes);
}

MGI_FN void mgi_zoo_vgg16(mango_net *n, const mgi_zoo *z)
{
    static const int plan[] = {64,  64,  0,   128, 128, 0,   256, 256, 256, 0,
                               512, 512, 512, 0,   512, 512, 512, 0,   -1};
    vgg_build(n, z, plan);
}

MGI_FN void mgi_zoo_vgg19(mango_net *n, const mgi_zoo *z)
{
    static const int plan[] = {64, 64,  0,   128, 128, 0, 256, 256, 256, 256, 0,
                               512, 512, 512, 512, 0,   512, 512, 512, 512, 0, -1};
    vgg_build(n, z, plan);
}
/* ---- end net/zoo_vgg.c -------------------------------------------------------------- */

/* ---- begin net/plan.c --------------------------------------------------------------- */
/* plan.c - decides everything about a reading of a network before the first
 * query, then answers queries without allocating.
 */

/* ---- buffers ------------------------------------------------------------------ */

static int plan_buffer(mango_plan *p, mgi_scope scope, mgi_elem elem, mango_idx n, int step)
{
    mgi_buf *u = &p->buf[p->n_bufs];
    u->scope = scope;
    u->elem = elem;
    u->n = n;
    u->first = u->last = step;
    return p->n_bufs++;
}

/* The value of `node` is used by step i. */
static void plan_use(mango_plan *p, int node, int i)
{
    const mgi_step *from = &p->step[p->node[mgi_plan_source(p, node)].step];
    mgi_buf *u = &p->buf[from->out];
    u->last = MGI_MAX(u->last, i);
    u->carried |= !from->dynamic && p->step[i].dynamic;
}

static void plan_step_buffers(mango_plan *p, int i)
{
    mgi_step *s = &p->step[i];
    const mgi_node *g = &p->net->node[s->head];
    const mgi_scope scope = s->dynamic ? MGI_PER_MAP : MGI_PER_INPUT;
    s->out = s->bits ? plan_buffer(p, scope, MGI_ELEM_BITS,
                                   g->H * g->W * mgi_bits_words(g->C), i)
                     : plan_buffer(p, scope, MGI_ELEM_F32, s->n, i);
    if (mgi_step_work(p, s, 1) > 0)
        s->work = plan_buffer(p, MGI_WORK, MGI_ELEM_F32, 0, i);
    if (g->kind == MGI_VQ)
        s->aux = plan_buffer(p, scope, MGI_ELEM_F32, g->H * g->W, i);
    if (g->kind == MGI_LIF && s->head != p->from) {
        s->aux = plan_buffer(p, MGI_PER_INPUT, MGI_ELEM_F32, s->n, i);
        p->buf[s->aux].carried = 1;
    }
    if (s->head == p->from)
        return;
    for (int e = s->end; e >= 0; e = p->node[e].link)
        for (int j = 0; j < p->net->node[e].n_in; j++)
            if (p->net->node[e].in[j] != p->node[e].link)
                plan_use(p, p->net->node[e].in[j], i);
}

static void plan_reading_buffers(mango_plan *p)
{
    for (int i = 0; i < p->n_readings; i++) {
        mgi_plan_reading *r = &p->reading[i];
        const int node = mgi_plan_source(p, r->node);
        r->step = p->node[node].step;
        r->sum = -1;
        if (!p->step[r->step].dynamic ||
            (r->what != MANGO_READ_MEAN && r->what != MANGO_READ_RATE))
            continue;
        r->sum =
            plan_buffer(p, MGI_PER_INPUT,
                        p->net->node[node].kind == MGI_LIF || p->step[r->step].bits
                            ? MGI_ELEM_F32 /* counts */
                            : MGI_ELEM_F64,
                        r->C * r->HW, r->step);
        p->buf[r->sum].carried = 1;
    }
}

/* ---- steps ---------------------------------------------------------------------- */

static double plan_step_macs(const mango_plan *p, const mgi_step *s)
{
    const mgi_conv *c = &s->conv;
    if (!s->packed_n)
        return 0;
    const double area = c->transposed ? (double)(c->H * c->W) : (double)(c->OH * c->OW);
    return area * (double)c->C * (double)c->O * c->kh * c->kw *
           (s->dynamic ? (double)p->T : 1.0);
}

/* What the nodes from head to end turn into. */
static void plan_chain(mango_plan *p, mgi_step *s)
{
    const mango_net *net = p->net;
    for (int e = s->end;; e = p->node[e].link) {
        const mgi_node *g = &net->node[e];
        s->head = e;
        if (p->node[e].link < 0)
            break;
        if (g->kind == MGI_BATCHNORM)
            s->bn = e;
        else if (g->kind == MGI_RESHAPE)
            s->reshape = e;
        else if (g->kind == MGI_ADD)
            s->residual = g->in[0] == p->node[e].link ? g->in[1] : g->in[0];
        else
            s->relu = 1;
    }
}

/* The convolution that a step packs and runs. A linear layer on a map is one
 * whose kernel is the map: its weights (O, C*H*W) are the kernel's (O,C,kh,kw). */
static mgi_conv plan_conv(const mango_net *net, const mgi_node *g)
{
    const mgi_node *in = &net->node[g->in[0]];
    mgi_conv c = {.C = in->C,
                  .H = in->H,
                  .W = in->W,
                  .O = g->conv.O,
                  .OH = 1,
                  .OW = 1,
                  .kh = (int)in->H,
                  .kw = (int)in->W,
                  .sh = 1,
                  .sw = 1};
    if (g->kind == MGI_LINEAR)
        return c;
    if (g->kind != MGI_VQ)
        return g->conv;
    c.O = g->codes;
    c.OH = c.H;
    c.OW = c.W;
    c.kh = c.kw = 1;
    return c;
}

static void plan_step(mango_plan *p, int end)
{
    const mango_net *net = p->net;
    const mgi_node *last = &net->node[end];
    mgi_step *s = &p->step[p->n_steps];
    s->end = end;
    s->bn = s->reshape = s->residual = s->aux = s->work = -1;
    s->dynamic = p->node[end].dynamic;
    s->n = last->C * last->H * last->W;
    plan_chain(p, s);
    const mgi_node *g = &net->node[s->head];
    const int matmul = mgi_is_matmul(g->kind);
    if (s->head != p->from && (matmul || g->kind == MGI_VQ)) {
        s->conv = plan_conv(net, g);
        s->packed_n = mgi_conv_packed(&s->conv);
        s->bias_n = !matmul || g->bias_p >= 0 || s->bn >= 0 ? s->conv.O : 0;
    } else if (s->head != p->from && g->kind == MGI_BATCHNORM) {
        s->bias_n = g->C;
    }
    p->node[end].step = p->n_steps++;
    p->macs += plan_step_macs(p, s);
}

/* A step for every needed node, static ones first; then buffers. */
static mango_status plan_steps(mango_plan *p, mango_err *err)
{
    int n = 0;
    for (int i = 0; i < p->net->n_nodes; i++)
        n += p->node[i].need;
    p->cap_bufs = 3 * n + p->n_readings;
    p->step = mgi_new(&p->al, n, sizeof *p->step);
    p->buf = mgi_new(&p->al, p->cap_bufs, sizeof *p->buf);
    p->order = mgi_new(&p->al, 2 * p->cap_bufs, sizeof *p->order);
    p->cap_steps = n;
    if (!p->step || !p->buf || !p->order)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan of %d steps", n);
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        p->first_dynamic = p->n_steps;
        for (int i = 0; i < p->net->n_nodes; i++)
            if (p->node[i].need && p->node[i].view < 0 && p->node[i].dynamic == dynamic)
                plan_step(p, i);
    }
    mgi_plan_spikes(p);
    for (int i = 0; i < p->n_steps; i++)
        plan_step_buffers(p, i);
    plan_reading_buffers(p);
    return MANGO_OK;
}

/* ---- create ---------------------------------------------------------------------- */

void mango_plan_defaults(mango_plan_options *o)
{
    const mango_plan_options d = {.T = 0, .batch = 1, .memory = 0, .from = -1, .raw = 0};
    *o = d;
}

static mango_status plan_options(mango_plan *p, const mango_plan_options *o, mango_err *err)
{
    p->T = o->T == 0 ? MGI_MAX(p->net->T, 1) : o->T;
    p->B = o->batch;
    p->memory = o->memory == 0 ? MGI_PLAN_MEMORY : o->memory;
    p->from = (int)o->from;
    p->raw = o->raw;
    if (p->T < 1 || p->T > MGI_MAX_T)
        return mgi_fail(err, MANGO_E_ARG, "T is %lld: expected 1..%d", (long long)p->T,
                        MGI_MAX_T);
    if (p->B < 1 || p->B > MGI_MAX_BATCH)
        return mgi_fail(err, MANGO_E_ARG, "batch is %lld: expected 1..%d", (long long)p->B,
                        MGI_MAX_BATCH);
    if (p->memory < 0)
        return mgi_fail(err, MANGO_E_ARG, "memory cap is negative");
    if (o->from < -1 || o->from >= p->net->n_nodes)
        return mgi_fail(err, MANGO_E_ARG, "no layer %lld to feed: the net has %d",
                        (long long)o->from, p->net->n_nodes);
    return MANGO_OK;
}

static mango_status plan_readings(mango_plan *p, mango_idx n, const mango_reading *r,
                                  mango_err *err)
{
    if (n < 1 || n > 4 * MGI_MAX_NODES || !r)
        return mgi_fail(err, MANGO_E_ARG, "%lld readings: expected 1..%d", (long long)n,
                        4 * MGI_MAX_NODES);
    p->reading = mgi_new(&p->al, n, sizeof *p->reading);
    if (!p->reading)
        return mgi_fail(err, MANGO_E_MEM, "no memory for %lld readings", (long long)n);
    p->n_readings = (int)n;
    for (int i = 0; i < p->n_readings; i++) {
        mgi_plan_reading *q = &p->reading[i];
        if (r[i].layer < 0 || r[i].layer >= p->net->n_nodes || (int)r[i].what < 0 ||
            r[i].what > MANGO_READ_CODES)
            return mgi_fail(err, MANGO_E_ARG, "reading %d: no layer %lld or no kind %d", i,
                            (long long)r[i].layer, (int)r[i].what);
        const mgi_node *g = &p->net->node[r[i].layer];
        q->node = (int)r[i].layer;
        q->what = r[i].what;
        q->out = r[i].out;
        q->C = g->C;
        q->HW = g->H * g->W;
    }
    return MANGO_OK;
}

static mango_status plan_build(mango_plan *p, const mango_plan_options *o, mango_idx n,
                               const mango_reading *r, mango_err *err)
{
    MGI_TRY(plan_options(p, o, err));
    MGI_TRY(plan_readings(p, n, r, err));
    p->node = mgi_new(&p->al, p->net->n_nodes, sizeof *p->node);
    if (!p->node)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan of %d nodes",
                        p->net->n_nodes);
    MGI_TRY(mgi_plan_graph(p, err));
    MGI_TRY(plan_steps(p, err));
    MGI_TRY(mgi_plan_chunks(p, err));
    mgi_arena_plan(&p->maps, p->arena_bytes, 1);
    if (mgi_arena_commit(&p->maps) < 0 || !mgi_arena_take(&p->maps, p->arena_bytes, 1))
        return mgi_fail(err, MANGO_E_MEM, "no memory for an arena of %lld bytes",
                        (long long)p->arena_bytes);
    return mgi_plan_pack(p, err);
}

mango_status mango_plan_create(mango_plan **plan, const mango_net *net,
                               const mango_plan_options *o, mango_idx n_readings,
                               const mango_reading *readings, const mango_alloc *al,
                               mango_err *err)
{
    MGI_REQUIRE(plan && net && o);
    *plan = NULL;
    const mango_alloc a = mgi_alloc_get(al);
    mango_plan *p = mgi_new(&a, 1, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a plan");
    p->al = a;
    p->net = net;
    p->k = mgi_kernels_get();
    p->threads = mango_threads();
    mgi_arena_init(&p->maps, &a);
    mgi_arena_init(&p->weights, &a);
    const mango_status st = plan_build(p, o, n_readings, readings, err);
    if (st < 0) {
        mango_plan_destroy(p);
        return st;
    }
    *plan = p;
    return MANGO_OK;
}

void mango_plan_destroy(mango_plan *p)
{
    if (!p)
        return;
    const mango_alloc a = p->al;
    mgi_arena_free(&p->weights);
    mgi_arena_free(&p->maps);
    if (p->order)
        mgi_del(&a, p->order, 2 * p->cap_bufs, sizeof *p->order);
    if (p->buf)
        mgi_del(&a, p->buf, p->cap_bufs, sizeof *p->buf);
    if (p->step)
        mgi_del(&a, p->step, p->cap_steps, sizeof *p->step);
    if (p->node)
        mgi_del(&a, p->node, p->net->n_nodes, sizeof *p->node);
    if (p->reading)
        mgi_del(&a, p->reading, p->n_readings, sizeof *p->reading);
    mgi_del(&a, p, 1, sizeof *p);
}

mango_idx mango_plan_bytes(const mango_plan *p)
{
    return p ? p->arena_bytes + mgi_arena_bytes(&p->weights) : 0;
}

double mango_plan_macs(const mango_plan *p)
{
    return p ? p->macs : 0.0;
}

mango_status mango_plan_output(mango_plan *p, mango_idx reading, float *out)
{
    MGI_REQUIRE(p && out && reading >= 0 && reading < p->n_readings);
    p->reading[reading].out = out;
    return MANGO_OK;
}

/* ---- run -------------------------------------------------------------------------- */

/* x - x is 0 for finite x alone. */
static mango_status plan_check_input(const mango_plan *p, mango_idx B, const float *x)
{
    const mgi_node *g = &p->net->node[p->from >= 0 ? p->from : p->net->input];
    const int codes = p->from >= 0 && g->kind == MGI_VQ;
    const mango_idx n = B * g->H * g->W * (codes ? 1 : g->C);
    for (mango_idx i = 0; i < n; i++) {
        if (!(x[i] - x[i] == 0.0f))
            return MANGO_E_NONFINITE;
        if (codes &&
            !(x[i] >= 0.0f && x[i] < (float)g->codes && x[i] == (float)(mango_idx)x[i]))
            return MANGO_E_ARG;
    }
    return MANGO_OK;
}

static void plan_run_steps(mango_plan *p, int first, int last)
{
    for (int i = first; i < last; i++) {
        mgi_step_run(p, &p->step[i]);
        for (int r = 0; r < p->n_readings; r++)
            if (p->reading[r].step == i)
                mgi_reading_take(p, &p->reading[r]);
    }
}

static void plan_run_chunks(mango_plan *p)
{
    for (p->b0 = 0; p->b0 < p->run_B; p->b0 += p->Bc) {
        p->b = MGI_MIN(p->Bc, p->run_B - p->b0);
        p->t0 = 0;
        p->t = 1;
        plan_run_steps(p, 0, p->first_dynamic);
        if (p->first_dynamic == p->n_steps)
            continue;
        for (p->t0 = 0; p->t0 < p->T; p->t0 += p->Tc) {
            p->t = MGI_MIN(p->Tc, p->T - p->t0);
            plan_run_steps(p, p->first_dynamic, p->n_steps);
        }
    }
}

mango_status mango_plan_run(mango_plan *p, mango_idx B, const float *x)
{
    MGI_REQUIRE(p && x && B >= 1 && B <= p->B);
    for (int r = 0; r < p->n_readings; r++)
        MGI_REQUIRE(p->reading[r].out);
    if (p->k != mgi_kernels_get())
        return MANGO_E_STATE; /* weights were packed for other kernels */
    MGI_TRY(plan_check_input(p, B, x));
    const int threads = mango_threads();
    if (threads > p->threads)
        mango_set_threads(p->threads);
    p->x = x;
    p->run_B = B;
    plan_run_chunks(p);
    p->x = NULL;
    if (threads > p->threads)
        mango_set_threads(threads);
    return MANGO_OK;
}

/* ---- print ------------------------------------------------------------------------ */

/* "conv1+bn1+relu1", head first. */
static void plan_chain_names(const mango_plan *p, int end, mgi_str *s)
{
    const int link = p->node[end].link;
    if (link >= 0) {
        plan_chain_names(p, link, s);
        mgi_str_puts(s, "+");
    }
    mgi_str_puts(s, p->net->node[end].name);
}

MGI_FN void mgi_plan_describe(const mango_plan *p, mgi_str *s)
{
    mgi_str_printf(
        s, "plan T=%lld batch=%lld chunk=%lldx%lld arena=%lld weights=%lld macs=%.0f\n",
        (long long)p->T, (long long)p->B, (long long)p->Tc, (long long)p->Bc,
        (long long)p->arena_bytes, (long long)mgi_arena_bytes(&p->weights), p->macs);
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_step *q = &p->step[i];
        const mgi_node *g = &p->net->node[q->end];
        const mgi_buf *u = &p->buf[q->out];
        mgi_str_printf(s, "%4d %s %-10s ", i, q->dynamic ? "T*B" : "B  ",
                       q->head == p->from ? "fed"
                                          : mgi_kind_name(p->net->node[q->head].kind));
        plan_chain_names(p, q->end, s);
        mgi_str_printf(s, " %lldx%lldx%lld %s %lld@%lld used to %d macs=%.0f\n",
                       (long long)g->C, (long long)g->H, (long long)g->W,
                       u->elem == MGI_ELEM_BITS ? "bits" : "f32", (long long)u->bytes,
                       (long long)u->offset, u->last, plan_step_macs(p, q));
    }
}
/* ---- end net/plan.c ----------------------------------------------------------------- */

/* ---- begin net/plan_graph.c --------------------------------------------------------- */
/* plan_graph.c - the planner's view of the graph: which nodes join whose step,
 * which depend on time, which are needed.
 */

MGI_FN int mgi_is_matmul(mgi_kind k)
{
    return k == MGI_CONV || k == MGI_CONVT || k == MGI_LINEAR;
}

MGI_FN int mgi_plan_source(const mango_plan *p, int node)
{
    while (p->node[node].view >= 0)
        node = p->node[node].view;
    return node;
}

/* A reshape keeps (C,H,W) order; in memory maps are channels last. The two
 * agree when one of C and H*W is 1, before and after. */
static int plan_same_layout(const mgi_node *a, const mgi_node *b)
{
    const mango_idx hwa = a->H * a->W, hwb = b->H * b->W;
    if (a->C == b->C && a->H == b->H && a->W == b->W)
        return 1;
    return (hwa == 1 || a->C == 1) && (hwb == 1 || b->C == 1);
}

/* ---- fusing --------------------------------------------------------------- */

/* May an add be fused onto node i: does a chain with only weights in it end there? */
static int plan_takes_add(const mango_plan *p, int i)
{
    const mgi_kind k = p->net->node[i].kind;
    if (p->node[i].uses != 1)
        return 0;
    return mgi_is_matmul(k) ||
           ((k == MGI_BATCHNORM || k == MGI_RESHAPE) && p->node[i].link >= 0);
}

static int plan_link_add(const mango_plan *p, const mgi_node *g)
{
    int best = -1;
    for (int j = 0; j < g->n_in; j++)
        if (plan_takes_add(p, g->in[j]) && g->in[j] > best)
            best = g->in[j];
    return best;
}

/* The node that i is fused onto, by the graph alone; -1: i starts a step. */
static int plan_link(const mango_plan *p, int i)
{
    const mgi_node *g = &p->net->node[i];
    if (g->n_in < 1)
        return -1;
    if (g->kind == MGI_ADD)
        return plan_link_add(p, g);
    const int a = g->in[0];
    const mgi_kind k = p->net->node[a].kind;
    if (p->node[a].uses != 1)
        return -1;
    switch (g->kind) {
    case MGI_BATCHNORM: return mgi_is_matmul(k) ? a : -1;
    case MGI_RESHAPE:
        if (plan_same_layout(&p->net->node[a], g) || p->net->node[a].H != 1 ||
            p->net->node[a].W != 1)
            return -1;
        if (k == MGI_LINEAR || k == MGI_CONV)
            return a;
        return k == MGI_BATCHNORM && p->node[a].link >= 0 ? a : -1;
    case MGI_RELU:
        if (mgi_is_matmul(k) || k == MGI_BATCHNORM || k == MGI_ADD)
            return a;
        return k == MGI_RESHAPE && p->node[a].link >= 0 ? a : -1;
    default: return -1;
    }
}

static void plan_links(mango_plan *p)
{
    const mango_net *net = p->net;
    for (int i = 0; i < net->n_nodes; i++)
        for (int j = 0; j < net->node[i].n_in; j++)
            p->node[net->node[i].in[j]].uses++;
    for (int i = 0; i < net->n_nodes; i++) {
        mgi_plan_node *q = &p->node[i];
        q->step = q->view = -1;
        q->link = plan_link(p, i);
    }
}

/* ---- time ----------------------------------------------------------------- */

/* Feeding a node can leave a chain without its matrix product. What needs one
 * to join then starts a step of its own. */
static int plan_still_joins(const mango_plan *p, int i)
{
    const int a = p->node[i].link;
    if (a < 0 || a == p->from || i == p->from)
        return 0;
    const mgi_kind k = p->net->node[a].kind, own = p->net->node[i].kind;
    if (k == MGI_RESHAPE || (k == MGI_BATCHNORM && own != MGI_RELU))
        return p->node[a].link >= 0;
    return 1;
}

/* Marks dynamic nodes, cuts the graph at the fed node, and takes apart an add
 * of a static and a dynamic value (which changes no bits). */
static void plan_dynamics(mango_plan *p)
{
    for (int i = 0; i < p->net->n_nodes; i++) {
        const mgi_node *g = &p->net->node[i];
        mgi_plan_node *q = &p->node[i];
        if (!plan_still_joins(p, i))
            q->link = -1;
        if (i == p->from)
            continue;
        q->dynamic = g->kind == MGI_LIF;
        for (int j = 0; j < g->n_in; j++)
            q->dynamic |= p->node[g->in[j]].dynamic;
        if (g->kind == MGI_ADD && q->link >= 0)
            for (int j = 0; j < g->n_in; j++)
                if (p->node[g->in[j]].dynamic != q->dynamic)
                    q->link = -1;
        if (g->kind == MGI_RESHAPE && q->link < 0 &&
            plan_same_layout(&p->net->node[g->in[0]], g))
            q->view = g->in[0];
    }
}

/* ---- needs ---------------------------------------------------------------- */

static mango_status plan_need_inputs(mango_plan *p, int i, mango_err *err)
{
    const mgi_node *g = &p->net->node[i];
    if (i == p->from)
        return MANGO_OK;
    if (g->kind == MGI_INPUT && p->from >= 0)
        return mgi_fail(
            err, MANGO_E_ARG,
            "layer '%s' cannot be fed alone: a layer that is read also needs '%s'",
            p->net->node[p->from].name, g->name);
    if (g->kind == MGI_INPUT && i != p->net->input)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "input '%s' is needed: a plan feeds one input, '%s'", g->name,
                        p->net->node[p->net->input].name);
    for (int e = i; e >= 0; e = p->node[e].link)
        for (int j = 0; j < p->net->node[e].n_in; j++)
            if (p->net->node[e].in[j] != p->node[e].link)
                p->node[p->net->node[e].in[j]].need = 1;
    return MANGO_OK;
}

static mango_status plan_check_reading(const mango_plan *p, const mgi_plan_reading *r,
                                       mango_err *err)
{
    const mgi_node *g = &p->net->node[r->node];
    if (r->what != MANGO_READ_CODES)
        return MANGO_OK;
    if (g->kind != MGI_VQ)
        return mgi_fail(err, MANGO_E_ARG, "layer '%s' has no codes: only a vq layer has",
                        g->name);
    if (p->node[r->node].dynamic)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "codes of '%s' change over time",
                        g->name);
    return MANGO_OK;
}

MGI_FN mango_status mgi_plan_graph(mango_plan *p, mango_err *err)
{
    plan_links(p);
    plan_dynamics(p);
    for (int r = 0; r < p->n_readings; r++) {
        MGI_TRY(plan_check_reading(p, &p->reading[r], err));
        p->node[p->reading[r].node].need = 1;
    }
    for (int i = p->net->n_nodes - 1; i >= 0; i--)
        if (p->node[i].need)
            MGI_TRY(plan_need_inputs(p, i, err));
    return MANGO_OK;
}
/* ---- end net/plan_graph.c ----------------------------------------------------------- */

/* ---- begin net/plan_spikes.c -------------------------------------------------------- */
/* plan_spikes.c - which values are held as bits: spikes of a LIF layer, and
 * max-pools of such, when everything that uses them has a form for bits.
 */

/* The step that leaves a node's value. */
static mgi_step *spikes_source(const mango_plan *p, int node)
{
    return &p->step[p->node[mgi_plan_source(p, node)].step];
}

MGI_FN int mgi_plan_is_bits(const mango_plan *p, int node)
{
    return spikes_source(p, node)->bits;
}

/* A view keeps the order of values, but words are cut by channels. */
static int spikes_same_shape(const mango_plan *p, int node)
{
    const mgi_node *a = &p->net->node[node], *b = &p->net->node[mgi_plan_source(p, node)];
    return a->C == b->C && a->H == b->H && a->W == b->W;
}

/* Can step s take bits as input `node` of its chain's node e? */
static int spikes_taken(const mango_plan *p, const mgi_step *s, int e, int node)
{
    const mgi_node *g = &p->net->node[s->head];
    if (s->head == p->from || !spikes_same_shape(p, node))
        return 0;
    if (e != s->head) /* the residual of a convolution over bits */
        return (g->kind == MGI_CONV || g->kind == MGI_LINEAR) && s->residual == node &&
               mgi_plan_is_bits(p, g->in[0]);
    switch (g->kind) {
    case MGI_CONV:
    case MGI_LINEAR:
    case MGI_AVGPOOL:
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: return 1;
    case MGI_MAXPOOL: return s->bits;
    default: return 0;
    }
}

/* Takes the bits from the sources of step s that it cannot use; true: some. */
static int spikes_refuse(mango_plan *p, const mgi_step *s)
{
    int changed = 0;
    for (int e = s->end; e >= 0 && s->head != p->from; e = p->node[e].link)
        for (int j = 0; j < p->net->node[e].n_in; j++) {
            const int node = p->net->node[e].in[j];
            if (node == p->node[e].link || !mgi_plan_is_bits(p, node) ||
                spikes_taken(p, s, e, node))
                continue;
            spikes_source(p, node)->bits = 0;
            changed = 1;
        }
    return changed;
}

MGI_FN void mgi_plan_spikes(mango_plan *p)
{
    int changed = 1;
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_kind k = p->net->node[p->step[i].head].kind;
        p->step[i].bits = p->step[i].dynamic && p->step[i].head != p->from &&
                          (k == MGI_LIF || k == MGI_MAXPOOL);
    }
    for (int r = 0; r < p->n_readings; r++)
        if (!spikes_same_shape(p, p->reading[r].node))
            spikes_source(p, p->reading[r].node)->bits = 0;
    while (changed) {
        changed = 0;
        for (int i = p->n_steps - 1; i >= 0; i--) {
            mgi_step *s = &p->step[i];
            const mgi_node *g = &p->net->node[s->head];
            if (s->bits && g->kind == MGI_MAXPOOL && !mgi_plan_is_bits(p, g->in[0])) {
                s->bits = 0;
                changed = 1;
            }
            changed |= spikes_refuse(p, s);
        }
    }
}
/* ---- end net/plan_spikes.c ---------------------------------------------------------- */

/* ---- begin net/plan_memory.c -------------------------------------------------------- */
/* plan_memory.c - sizes and places of a plan's buffers in its one arena.
 *
 * Each buffer is in use during an interval of steps. The largest is placed
 * first, each at the lowest offset where it meets no placed buffer whose
 * interval overlaps its own. What is placed where changes no result.
 */

#define PLAN_ALIGN 64

MGI_FN size_t mgi_elem_size(mgi_elem e)
{
    return e == MGI_ELEM_F32 ? sizeof(float) : sizeof(double); /* a word: 8 bytes */
}

MGI_FN mango_idx mgi_step_work(const mango_plan *p, const mgi_step *s, mango_idx maps)
{
    const mgi_node *g = &p->net->node[s->head];
    if (s->head == p->from || g->kind == MGI_INPUT)
        return 0;
    if (mgi_is_matmul(g->kind))
        return mgi_plan_is_bits(p, g->in[0]) ? mgi_bits_conv_work(&s->conv, maps)
                                             : mgi_conv_work(&s->conv, maps);
    if (g->kind == MGI_VQ)
        return mgi_conv_work(&s->conv, 1) + s->conv.OH * s->conv.OW * s->conv.O;
    if (g->kind == MGI_RESHAPE)
        return maps * s->n;
    return 0;
}

/* Bytes of buffer u in chunks of b inputs and t steps; false on overflow. */
static int plan_size(const mango_plan *p, mgi_buf *u, mango_idx b, mango_idx t)
{
    mango_idx n = u->n, maps;
    if (!mgi_mul(b, t, &maps))
        return 0;
    if (u->scope == MGI_WORK) {
        const mgi_step *s = &p->step[u->first];
        n = mgi_step_work(p, s, s->dynamic ? maps : b);
    } else if (u->scope != MGI_FIXED) {
        if (!mgi_mul(n, u->scope == MGI_PER_INPUT ? b : maps, &n))
            return 0;
    }
    if (!mgi_mul(n, (mango_idx)mgi_elem_size(u->elem), &n) ||
        !mgi_add(n, PLAN_ALIGN - 1, &n))
        return 0;
    u->bytes = n / PLAN_ALIGN * PLAN_ALIGN;
    return 1;
}

/* The steps during which u holds something; `over` when time is cut in chunks. */
static void plan_interval(const mango_plan *p, const mgi_buf *u, int over, int *first,
                          int *last)
{
    *first = u->first;
    *last = u->last;
    if (over && u->carried) {
        *first = MGI_MIN(u->first, p->first_dynamic);
        *last = p->n_steps - 1;
    }
}

static int plan_overlap(const mango_plan *p, const mgi_buf *u, const mgi_buf *v, int over)
{
    int uf, ul, vf, vl;
    plan_interval(p, u, over, &uf, &ul);
    plan_interval(p, v, over, &vf, &vl);
    return uf <= vl && vf <= ul;
}

/* The lowest offset for u among `n` placed buffers, sorted by offset. */
static mango_idx plan_gap(const mango_plan *p, const mgi_buf *u, int n, const int *placed,
                          int over)
{
    mango_idx at = 0;
    for (int i = 0; i < n; i++) {
        const mgi_buf *v = &p->buf[placed[i]];
        if (!plan_overlap(p, u, v, over))
            continue;
        if (v->offset - at >= u->bytes)
            break;
        at = MGI_MAX(at, v->offset + v->bytes);
    }
    return at;
}

/* Buffers by size, largest first; equal sizes in order of creation. */
static void plan_sort(mango_plan *p)
{
    for (int i = 0; i < p->n_bufs; i++) {
        int j = i;
        for (; j > 0 && p->buf[p->order[j - 1]].bytes < p->buf[i].bytes; j--)
            p->order[j] = p->order[j - 1];
        p->order[j] = i;
    }
}

MGI_FN int mgi_plan_place(mango_plan *p, mango_idx b, mango_idx t, mango_idx *bytes)
{
    const int over = p->first_dynamic < p->n_steps && t < p->T;
    int *placed = p->order + p->cap_bufs;
    *bytes = 0;
    for (int i = 0; i < p->n_bufs; i++)
        if (!plan_size(p, &p->buf[i], b, t))
            return 0;
    plan_sort(p);
    for (int i = 0; i < p->n_bufs; i++) {
        mgi_buf *u = &p->buf[p->order[i]];
        mango_idx end;
        u->offset = plan_gap(p, u, i, placed, over);
        if (!mgi_add(u->offset, u->bytes, &end))
            return 0;
        *bytes = MGI_MAX(*bytes, end);
        int j = i;
        for (; j > 0 && p->buf[placed[j - 1]].offset > u->offset; j--)
            placed[j] = placed[j - 1];
        placed[j] = p->order[i];
    }
    p->Bc = b;
    p->Tc = t;
    p->arena_bytes = *bytes;
    return 1;
}

/* The next smaller chunk: over the batch first, then over time; false: none. */
static int plan_halve(mango_idx *b, mango_idx *t)
{
    if (*b > 1)
        *b = (*b + 1) / 2;
    else if (*t > 1)
        *t = (*t + 1) / 2;
    else
        return 0;
    return 1;
}

/* Chunks of equal size, as many as chunks of `part` would need. */
static mango_idx plan_even(mango_idx whole, mango_idx part)
{
    const mango_idx chunks = (whole + part - 1) / part;
    return (whole + chunks - 1) / chunks;
}

/* The first chunk under the cap that also stays in MGI_PLAN_SPAN, or whose next
 * smaller one would have too few maps for the matrix products. */
MGI_FN mango_status mgi_plan_chunks(mango_plan *p, mango_err *err)
{
    const mango_idx T = p->first_dynamic < p->n_steps ? p->T : 1;
    mango_idx b = p->B, t = T, bytes = 0;
    int fits = 0;
    for (;;) {
        mango_idx nb = b, nt = t;
        fits = mgi_plan_place(p, b, t, &bytes) && bytes <= p->memory;
        const int more = plan_halve(&nb, &nt);
        if (!more || (fits && (bytes <= MGI_PLAN_SPAN || nb * nt < MGI_PLAN_MAPS)))
            break;
        b = nb;
        t = nt;
    }
    if (!fits)
        return mgi_fail(err, MANGO_E_MEM,
                        "the plan needs %lld bytes for one input and one step at a time: "
                        "the memory cap is %lld",
                        (long long)bytes, (long long)p->memory);
    if (!mgi_plan_place(p, plan_even(p->B, b), plan_even(T, t), &bytes) ||
        bytes > p->memory)
        (void)mgi_plan_place(p, b, t, &bytes);
    return MANGO_OK;
}

#undef PLAN_ALIGN
/* ---- end net/plan_memory.c ---------------------------------------------------------- */

/* ---- begin net/plan_weights.c ------------------------------------------------------- */
/* plan_weights.c - the weights of a plan: spectral norm applied, batch-norm
 * folded in, rows permuted where a reshape follows, packed once.
 *
 *     y = s (W x + b) + t   becomes   W' = s W,  b' = fma(b, s, t)
 */
#include <math.h>

/* Scratch for one step's weights. */
typedef struct mgi_fold {
    const mango_plan *p;
    mango_idx n, rows, cols;
    float *w;     /* (n) weights being changed            */
    float *s, *t; /* (rows) batch-norm                    */
    float *v, *u; /* (cols), (rows) of the spectral norm  */
} mgi_fold;

static const float *plan_param(const mango_plan *p, int i)
{
    return i < 0 ? NULL : p->net->param[i].v;
}

static mango_status plan_filled(const mango_plan *p, int i, mango_err *err)
{
    if (i >= 0 && !p->net->param[i].v)
        return mgi_fail(err, MANGO_E_STATE,
                        "parameter '%s' has no values: load or fill the net",
                        p->net->param[i].name);
    return MANGO_OK;
}

/* ---- spectral norm -------------------------------------------------------- */

/* x = x / max(|x|, 1e-12) */
static void fold_unit(mango_idx n, float *x)
{
    double q = 0;
    for (mango_idx i = 0; i < n; i++)
        q += (double)x[i] * x[i];
    const double norm = MGI_MAX(sqrt(q), 1e-12);
    for (mango_idx i = 0; i < n; i++)
        x[i] = (float)(x[i] / norm);
}

/* y (O) = W x */
static void fold_times(mango_idx O, mango_idx K, const float *W, const float *x, float *y)
{
    for (mango_idx o = 0; o < O; o++) {
        double q = 0;
        for (mango_idx k = 0; k < K; k++)
            q += (double)W[o * K + k] * x[k];
        y[o] = (float)q;
    }
}

MGI_FN double mgi_spectral_sigma(mango_idx O, mango_idx K, const float *W, const float *u,
                                 float *v, float *u2)
{
    double sigma = 0;
    for (mango_idx k = 0; k < K; k++) {
        double q = 0;
        for (mango_idx o = 0; o < O; o++)
            q += (double)u[o] * W[o * K + k];
        v[k] = (float)q;
    }
    fold_unit(K, v);
    fold_times(O, K, W, v, u2);
    for (mango_idx o = 0; o < O; o++)
        sigma += (double)u2[o] * u2[o]; /* u'Wv = |Wv| for u = Wv/|Wv| */
    fold_unit(O, u2);
    return sqrt(sigma);
}

static mango_status fold_spectral(mgi_fold *f, const mgi_node *g, mango_err *err)
{
    const mango_idx O = f->p->net->param[g->weight].shape[0], K = f->n / O;
    const float *u = plan_param(f->p, g->sn_u);
    if (!u)
        return mgi_fail(err, MANGO_E_STATE,
                        "layer '%s': no vector sn_u for its spectral norm", g->name);
    const double sigma = mgi_spectral_sigma(O, K, f->w, u, f->v, f->u);
    for (mango_idx i = 0; i < f->n; i++)
        f->w[i] = (float)(f->w[i] / sigma);
    return MANGO_OK;
}

/* ---- batch-norm and order -------------------------------------------------- */

/* W' = s W along the output channels; transposed weights are (C,O,kh,kw). */
static void fold_scale(mgi_fold *f, const mgi_conv *c)
{
    const mango_idx area = (mango_idx)c->kh * c->kw;
    const mango_idx run = c->transposed ? area : c->C * area;
    for (mango_idx r = 0; r < f->n / run; r++) {
        const float s = f->s[r % c->O];
        for (mango_idx i = 0; i < run; i++)
            f->w[r * run + i] *= s;
    }
}

/* dst (HW,C) = src (C,HW), elements of `size` floats. */
static void fold_to_last(mango_idx C, mango_idx HW, mango_idx size, const float *src,
                         float *dst)
{
    for (mango_idx c = 0; c < C; c++)
        for (mango_idx q = 0; q < HW; q++)
            memcpy(dst + (q * C + c) * size, src + (c * HW + q) * size,
                   (size_t)size * sizeof *dst);
}

/* b' into s->bias, in the order of the output. */
static void fold_bias(mgi_fold *f, const mgi_step *s, const mgi_node *g)
{
    const float *b = plan_param(f->p, g->bias_p);
    float *y = f->u;
    for (mango_idx o = 0; o < s->bias_n; o++) {
        y[o] = b ? b[o] : 0.0f;
        if (s->bn >= 0)
            y[o] = mgi_fmaf(y[o], f->s[o], f->t[o]);
    }
    if (s->reshape >= 0) {
        const mgi_node *r = &f->p->net->node[s->reshape];
        fold_to_last(r->C, r->H * r->W, 1, y, s->bias);
    } else {
        memcpy(s->bias, y, (size_t)s->bias_n * sizeof *y);
    }
}

static void fold_batchnorm(const mango_plan *p, const mgi_node *g, float *s, float *t)
{
    mgi_batchnorm_fold(g->C, plan_param(p, g->weight), plan_param(p, g->bias_p),
                       plan_param(p, g->mean_p), plan_param(p, g->var_p), g->eps, s, t);
}

/* Weights of a matrix product that need no change are packed from the net's. */
static int fold_is_plain(const mango_plan *p, const mgi_step *s)
{
    return s->bn < 0 && s->reshape < 0 && !p->net->node[s->head].spectral;
}

/* ---- packing ---------------------------------------------------------------- */

static mango_status fold_matmul(mgi_fold *f, const mgi_step *s, mango_err *err)
{
    const mango_net *net = f->p->net;
    const mgi_node *g = &net->node[s->head];
    const float *w = plan_param(f->p, g->weight);
    f->n = net->param[g->weight].count;
    if (s->bn >= 0)
        fold_batchnorm(f->p, &net->node[s->bn], f->s, f->t);
    if (!fold_is_plain(f->p, s)) {
        memcpy(f->w, w, (size_t)f->n * sizeof *w);
        if (g->spectral)
            MGI_TRY(fold_spectral(f, g, err));
        if (s->bn >= 0)
            fold_scale(f, &s->conv);
        w = f->w;
    }
    if (s->reshape >= 0) {
        const mgi_node *r = &net->node[s->reshape];
        fold_to_last(r->C, r->H * r->W, f->n / s->conv.O, f->w, f->w + f->n);
        w = f->w + f->n;
    }
    mgi_conv_pack(&s->conv, w, s->packed);
    if (s->bias)
        fold_bias(f, s, g);
    return MANGO_OK;
}

/* Scores of a VQ: |e|^2 - 2 e'x, smallest for the nearest row e. */
static void fold_vq(mgi_fold *f, const mgi_step *s, const mgi_node *g)
{
    const mango_idx K = s->conv.O, C = s->conv.C;
    const float *e = plan_param(f->p, g->weight);
    for (mango_idx k = 0; k < K; k++) {
        double q = 0;
        for (mango_idx c = 0; c < C; c++) {
            q += (double)e[k * C + c] * e[k * C + c];
            f->w[k * C + c] = -2.0f * e[k * C + c];
        }
        s->bias[k] = (float)q;
    }
    mgi_conv_pack(&s->conv, f->w, s->packed);
}

static mango_status fold_step(mgi_fold *f, mgi_step *s, mango_err *err)
{
    const mango_plan *p = f->p;
    const mgi_node *g = &p->net->node[s->head];
    if (s->head == p->from)
        return g->kind == MGI_VQ ? plan_filled(p, g->weight, err) : MANGO_OK;
    if (!s->packed && !s->bias)
        return MANGO_OK;
    for (int j = 0; j < 2; j++) {
        const int i = j ? s->bn : s->head;
        const mgi_node *q = &p->net->node[MGI_MAX(i, 0)];
        if (i < 0)
            continue;
        MGI_TRY(plan_filled(p, q->weight, err));
        MGI_TRY(plan_filled(p, q->bias_p, err));
        MGI_TRY(plan_filled(p, q->mean_p, err));
        MGI_TRY(plan_filled(p, q->var_p, err));
    }
    if (mgi_is_matmul(g->kind))
        return fold_matmul(f, s, err);
    if (g->kind == MGI_BATCHNORM)
        fold_batchnorm(p, g, s->scale, s->bias);
    else if (g->kind == MGI_VQ)
        fold_vq(f, s, g);
    return MANGO_OK;
}

/* Scratch large enough for every step: weights twice where rows are permuted. */
static mango_status fold_plan(const mango_plan *p, mgi_fold *f, mgi_arena *a)
{
    mango_idx w = 0;
    for (int i = 0; i < p->n_steps; i++) {
        const mgi_step *s = &p->step[i];
        const mgi_node *g = &p->net->node[s->head];
        if (!s->packed_n)
            continue;
        const mango_idx n = p->net->param[g->weight].count;
        f->rows = MGI_MAX(f->rows, MGI_MAX(s->bias_n, p->net->param[g->weight].shape[0]));
        f->cols = MGI_MAX(f->cols, g->spectral ? n : 0);
        if (g->kind == MGI_VQ || !fold_is_plain(p, s))
            w = MGI_MAX(w, s->reshape >= 0 ? 2 * n : n);
    }
    mgi_arena_plan(a, w, sizeof(float));
    for (int i = 0; i < 3; i++)
        mgi_arena_plan(a, f->rows, sizeof(float));
    mgi_arena_plan(a, f->cols, sizeof(float));
    MGI_TRY(mgi_arena_commit(a));
    f->w = mgi_arena_take(a, w, sizeof(float));
    f->s = mgi_arena_take(a, f->rows, sizeof(float));
    f->t = mgi_arena_take(a, f->rows, sizeof(float));
    f->u = mgi_arena_take(a, f->rows, sizeof(float));
    f->v = mgi_arena_take(a, f->cols, sizeof(float));
    return MANGO_OK;
}

/* One arena for all packed weights, biases, scales and shifts. */
static mango_status plan_weights_alloc(mango_plan *p)
{
    for (int i = 0; i < p->n_steps; i++) {
        mgi_arena_plan(&p->weights, p->step[i].packed_n, sizeof(float));
        mgi_arena_plan(&p->weights, p->step[i].bias_n, sizeof(float));
        mgi_arena_plan(&p->weights, p->step[i].bias_n, sizeof(float));
    }
    MGI_TRY(mgi_arena_commit(&p->weights));
    for (int i = 0; i < p->n_steps; i++) {
        mgi_step *s = &p->step[i];
        float *w = mgi_arena_take(&p->weights, s->packed_n, sizeof(float));
        float *b = mgi_arena_take(&p->weights, s->bias_n, sizeof(float));
        float *c = mgi_arena_take(&p->weights, s->bias_n, sizeof(float));
        s->packed = s->packed_n ? w : NULL;
        s->bias = s->bias_n ? b : NULL;
        s->scale = s->bias_n ? c : NULL;
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_plan_pack(mango_plan *p, mango_err *err)
{
    mango_status st = MANGO_OK;
    mgi_fold f = {.p = p};
    mgi_arena scratch;
    mgi_arena_init(&scratch, &p->al);
    st = plan_weights_alloc(p);
    if (st >= 0)
        st = fold_plan(p, &f, &scratch);
    if (st < 0) {
        mgi_fail(err, st, "no memory for packed weights");
        goto done;
    }
    for (int i = 0; i < p->n_steps; i++)
        MGI_TRY_TO(fold_step(&f, &p->step[i], err));
done:
    mgi_arena_free(&scratch);
    return st;
}
/* ---- end net/plan_weights.c --------------------------------------------------------- */

/* ---- begin net/forward.c ------------------------------------------------------------ */
/* forward.c - runs the steps of a plan on the chunk under way: inputs
 * b0..b0+b-1 and, for what depends on time, steps t0..t0+t-1, as N = t*b maps,
 * t slowest.
 */

#define FWD_BLOCK 1024            /* neurons whose membranes stay in cache over all steps */
#define FWD_GRAIN (8 * MGI_GRAIN) /* values below which one thread does it */

MGI_FN void *mgi_plan_at(const mango_plan *p, int buf)
{
    return p->maps.base + p->buf[buf].offset;
}

MGI_FN const float *mgi_plan_value(const mango_plan *p, int node)
{
    return mgi_plan_at(p, p->step[p->node[mgi_plan_source(p, node)].step].out);
}

MGI_FN const uint64_t *mgi_plan_words(const mango_plan *p, int node)
{
    return mgi_plan_at(p, p->step[p->node[mgi_plan_source(p, node)].step].out);
}

/* Maps of a step in this chunk. */
static mango_idx fwd_maps(const mango_plan *p, const mgi_step *s)
{
    return s->dynamic ? p->t * p->b : p->b;
}

/* Map n of a node's value; a static one is the same at each step. */
static const float *fwd_map(const mango_plan *p, int node, mango_idx n)
{
    const mgi_node *g = &p->net->node[node];
    const mango_idx i = p->node[node].dynamic ? n : n % p->b;
    return mgi_plan_value(p, node) + i * g->C * g->H * g->W;
}

static float *fwd_scratch(const mango_plan *p, const mgi_step *s)
{
    return s->work < 0 ? NULL : mgi_plan_at(p, s->work);
}

/* ---- sources ---------------------------------------------------------------- */

/* x = (x - mean)/std per channel, for pictures of one or three channels. */
static void fwd_normalize(const mango_net *net, mango_idx C, mango_idx rows, float *x)
{
    if (C != 1 && C != 3)
        return;
    MGI_OMP(parallel for if (rows * C >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows; i++)
        for (mango_idx c = 0; c < C; c++)
            x[i * C + c] = (x[i * C + c] - net->mean[c]) / net->std[c];
}

static void fwd_vq_rows(const mango_plan *p, const mgi_node *g, mango_idx n,
                        const float *codes, float *y)
{
    const float *e = p->net->param[g->weight].v; /* (K,C) */
    for (mango_idx i = 0; i < n; i++)
        memcpy(y + i * g->C, e + (mango_idx)codes[i] * g->C, (size_t)g->C * sizeof *y);
}

static void fwd_feed(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W;
    if (g->kind == MGI_VQ) {
        float *codes = mgi_plan_at(p, s->aux);
        memcpy(codes, p->x + p->b0 * HW, (size_t)(p->b * HW) * sizeof *codes);
        fwd_vq_rows(p, g, p->b * HW, codes, y);
        return;
    }
    mgi_to_nhwc(p->b, g->C, HW, p->x + p->b0 * g->C * HW, y);
    if (s->head != p->from && !p->raw)
        fwd_normalize(p->net, g->C, p->b * HW, y);
}

/* ---- operators without a kernel of their own ------------------------------------ */

/* S (t,n), U (n): each block of neurons goes through all steps at once. */
static void fwd_lif(mango_plan *p, const mgi_step *s, float *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx n = p->b * s->n;
    const mango_idx stride = p->node[g->in[0]].dynamic ? n : 0;
    const float *X = mgi_plan_value(p, g->in[0]);
    const mgi_lif_rule rule = mgi_lif_lower(&g->lif);
    const float U0 = mgi_lif_rest(&g->lif);
    float *U = mgi_plan_at(p, s->aux);

    MGI_OMP(parallel for schedule(static) if (n * p->t >= FWD_GRAIN))
    for (mango_idx i = 0; i < n; i += FWD_BLOCK) {
        const mango_idx m = MGI_MIN((mango_idx)FWD_BLOCK, n - i);
        for (mango_idx j = 0; j < m && p->t0 == 0; j++)
            U[i + j] = U0;
        for (mango_idx t = 0; t < p->t; t++)
            p->k->lif(m, &rule, X + t * stride + i, U + i, S + t * n + i);
    }
}

/* The same, S as bits. */
static void fwd_lif_bits(mango_plan *p, const mgi_step *s, uint64_t *S)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx C = g->C, rows = p->b * g->H * g->W, words = mgi_bits_words(C);
    const mango_idx stride = p->node[g->in[0]].dynamic ? rows * C : 0;
    const mango_idx block = MGI_MAX(FWD_BLOCK / C, 1);
    const float *X = mgi_plan_value(p, g->in[0]);
    const mgi_lif_rule rule = mgi_lif_lower(&g->lif);
    const float U0 = mgi_lif_rest(&g->lif);
    float *U = mgi_plan_at(p, s->aux);

    MGI_OMP(parallel for schedule(static) if (rows * C * p->t >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows; i += block) {
        const mango_idx m = MGI_MIN(block, rows - i);
        for (mango_idx j = 0; j < m * C && p->t0 == 0; j++)
            U[i * C + j] = U0;
        for (mango_idx t = 0; t < p->t; t++)
            p->k->lif_bits(m, C, &rule, X + t * stride + i * C, U + i * C,
                           S + (t * rows + i) * words);
    }
}

/* Scores |e|^2 - 2 e'x by one matrix product, then the first smallest. */
static void fwd_vq(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx HW = g->H * g->W, K = g->codes, N = fwd_maps(p, s);
    float *codes = mgi_plan_at(p, s->aux), *score = fwd_scratch(p, s);
    const mgi_epilogue e = {s->bias, NULL, 0};
    for (mango_idx n = 0; n < N; n++) {
        mgi_conv_forward(&s->conv, 1, fwd_map(p, g->in[0], n), s->packed, &e, score,
                         score + HW * K);
        for (mango_idx i = 0; i < HW; i++) {
            mango_idx best = 0;
            for (mango_idx k = 1; k < K; k++)
                if (score[i * K + k] < score[i * K + best])
                    best = k;
            codes[n * HW + i] = (float)best;
        }
    }
    fwd_vq_rows(p, g, N * HW, codes, y);
}

static void fwd_relu(const mango_plan *p, mango_idx n, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (n >= FWD_GRAIN))
    for (mango_idx i = 0; i < n; i += FWD_BLOCK)
        p->k->relu(MGI_MIN((mango_idx)FWD_BLOCK, n - i), x + i, y + i);
}

static void fwd_batchnorm(const mango_plan *p, const mgi_step *s, const mgi_node *g,
                          const float *x, float *y)
{
    const mango_idx C = g->C, rows = fwd_maps(p, s) * g->H * g->W;
    const mango_idx block = MGI_MAX(FWD_BLOCK / C, 1);
    MGI_OMP(parallel for schedule(static) if (rows * C >= FWD_GRAIN))
    for (mango_idx i = 0; i < rows; i += block)
        p->k->scale_shift(MGI_MIN(block, rows - i), C, s->scale, s->bias, x + i * C,
                          y + i * C);
}

static void fwd_add(const mango_plan *p, const mgi_step *s, const mgi_node *g, float *y)
{
    const mango_idx N = fwd_maps(p, s);
    MGI_OMP(parallel for schedule(static) if (N * s->n >= FWD_GRAIN))
    for (mango_idx n = 0; n < N; n++)
        p->k->add(s->n, fwd_map(p, g->in[0], n), fwd_map(p, g->in[1], n), y + n * s->n);
}

static void fwd_concat(const mango_plan *p, const mgi_step *s, const mgi_node *g, float *y)
{
    const mango_idx N = fwd_maps(p, s), HW = g->H * g->W;
    MGI_OMP(parallel for schedule(static) if (N * s->n >= FWD_GRAIN))
    for (mango_idx n = 0; n < N; n++) {
        float *at = y + n * s->n;
        for (int j = 0; j < g->n_in; j++) {
            const mango_idx C = p->net->node[g->in[j]].C;
            const float *x = fwd_map(p, g->in[j], n);
            for (mango_idx q = 0; q < HW; q++)
                memcpy(at + q * g->C, x + q * C, (size_t)C * sizeof *y);
            at += C;
        }
    }
}

static void fwd_globalsum(mango_idx N, mango_idx HW, mango_idx C, const float *x, float *y)
{
    MGI_OMP(parallel for schedule(static) if (N * HW * C >= FWD_GRAIN))
    for (mango_idx n = 0; n < N; n++)
        for (mango_idx c = 0; c < C; c++) {
            double q = 0;
            for (mango_idx i = 0; i < HW; i++)
                q += x[(n * HW + i) * C + c];
            y[n * C + c] = (float)q;
        }
}

/* ---- one step --------------------------------------------------------------------- */

static void fwd_matmul_bits(const mango_plan *p, const mgi_step *s, const uint64_t *x,
                            float *y)
{
    mgi_bits_epilogue e = {s->bias, NULL, NULL, s->relu};
    if (s->residual >= 0 && mgi_plan_is_bits(p, s->residual))
        e.bits = mgi_plan_words(p, s->residual);
    else if (s->residual >= 0)
        e.residual = mgi_plan_value(p, s->residual);
    mgi_bits_conv(&s->conv, fwd_maps(p, s), x, s->packed, &e, y, fwd_scratch(p, s));
}

static void fwd_matmul(const mango_plan *p, const mgi_step *s, const float *x, float *y)
{
    const mgi_epilogue e = {
        s->bias, s->residual < 0 ? NULL : mgi_plan_value(p, s->residual), s->relu};
    mgi_conv_forward(&s->conv, fwd_maps(p, s), x, s->packed, &e, y, fwd_scratch(p, s));
}

/* Pools and resampling: a map in, a map out. */
static void fwd_resize(const mgi_node *g, const mgi_node *in, mango_idx N, const float *x,
                       float *y)
{
    mgi_pool a = {.C = in->C, .H = in->H, .W = in->W, .OH = g->H, .OW = g->W};
    switch (g->kind) {
    case MGI_MAXPOOL: mgi_maxpool(&g->pool, N, x, y); break;
    case MGI_AVGPOOL: mgi_avgpool(&g->pool, N, x, y); break;
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: mgi_adaptiveavg(&a, N, x, y); break;
    case MGI_GLOBALSUM: fwd_globalsum(N, in->H * in->W, in->C, x, y); break;
    default:
        if (g->bilinear)
            mgi_bilinear2x(N, in->H, in->W, in->C, x, y);
        else
            mgi_nearest2x(N, in->H, in->W, in->C, x, y);
    }
}

/* What takes bits; y is bits too for a LIF or a max-pool. */
static void fwd_bits(mango_plan *p, const mgi_step *s, void *y)
{
    const mgi_node *g = &p->net->node[s->head], *in = &p->net->node[g->in[0]];
    const mgi_pool a = {.C = in->C, .H = in->H, .W = in->W, .OH = g->H, .OW = g->W};
    const mango_idx N = fwd_maps(p, s);
    const uint64_t *x = mgi_plan_words(p, g->in[0]);
    switch (g->kind) {
    case MGI_MAXPOOL: mgi_bits_maxpool(&g->pool, N, x, y); break;
    case MGI_AVGPOOL: mgi_bits_avgpool(&g->pool, N, x, y); break;
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: mgi_bits_adaptiveavg(&a, N, x, y); break;
    default: fwd_matmul_bits(p, s, x, y);
    }
}

static void fwd_reshape(mango_plan *p, const mgi_step *s, const mgi_node *in,
                        const float *x, float *y)
{
    const mgi_node *g = &p->net->node[s->head];
    const mango_idx N = fwd_maps(p, s);
    float *w = fwd_scratch(p, s);
    mgi_to_nchw(N, in->C, in->H * in->W, x, w);
    mgi_to_nhwc(N, g->C, g->H * g->W, w, y);
}

static void fwd_operator(mango_plan *p, const mgi_step *s, float *y)
{
    const mgi_node *g = &p->net->node[s->head], *in = &p->net->node[g->in[0]];
    const mango_idx N = fwd_maps(p, s);
    const float *x = mgi_plan_value(p, g->in[0]);
    switch (g->kind) {
    case MGI_CONV:
    case MGI_CONVT:
    case MGI_LINEAR: fwd_matmul(p, s, x, y); break;
    case MGI_BATCHNORM: fwd_batchnorm(p, s, g, x, y); break;
    case MGI_RELU: fwd_relu(p, N * s->n, x, y); break;
    case MGI_TANH: mgi_tanh(N * s->n, x, y); break;
    case MGI_LIF: fwd_lif(p, s, y); break;
    case MGI_ADD: fwd_add(p, s, g, y); break;
    case MGI_CONCAT: fwd_concat(p, s, g, y); break;
    case MGI_RESHAPE: fwd_reshape(p, s, in, x, y); break;
    case MGI_SOFTMAX: mgi_softmax(N * g->H * g->W, g->C, x, y); break;
    case MGI_VQ: fwd_vq(p, s, y); break;
    default: fwd_resize(g, in, N, x, y);
    }
}

MGI_FN void mgi_step_run(mango_plan *p, const mgi_step *s)
{
    void *y = mgi_plan_at(p, s->out);
    const mgi_kind k = p->net->node[s->head].kind;
    if (s->head == p->from || k == MGI_INPUT) {
        fwd_feed(p, s, y);
        return;
    }
    if (k == MGI_LIF && s->bits)
        fwd_lif_bits(p, s, y);
    else if (mgi_plan_is_bits(p, p->net->node[s->head].in[0]))
        fwd_bits(p, s, y);
    else
        fwd_operator(p, s, y);
    if (s->relu && !mgi_is_matmul(k))
        fwd_relu(p, fwd_maps(p, s) * s->n, y, y);
}

#undef FWD_BLOCK
#undef FWD_GRAIN
/* ---- end net/forward.c -------------------------------------------------------------- */

/* ---- begin net/readout.c ------------------------------------------------------------ */
/* readout.c - readings of a plan: means over time, rates, every step, codes.
 *
 * Totals over time go t ascending, one chain per neuron. Those of a LIF layer
 * are counts, exact integers, so a rate count/(T*H*W) is rounded once and is a
 * function of the spikes alone. Other layers are summed in double.
 */

#define READ_BLOCK 1024
#define READ_GRAIN (8 * MGI_GRAIN)

/* sum (n) += x (t,n) over the steps of the chunk. */
static void read_count(const mango_plan *p, mango_idx n, const float *x, float *sum)
{
    MGI_OMP(parallel for schedule(static) if (n * p->t >= READ_GRAIN))
    for (mango_idx i = 0; i < n; i += READ_BLOCK) {
        const mango_idx m = MGI_MIN((mango_idx)READ_BLOCK, n - i);
        if (p->t0 == 0)
            memset(sum + i, 0, (size_t)m * sizeof *sum);
        for (mango_idx t = 0; t < p->t; t++)
            p->k->add(m, sum + i, x + t * n + i, sum + i);
    }
}

/* The same from words: rows pixels of C channels a step. */
static void read_count_bits(const mango_plan *p, mango_idx rows, mango_idx C,
                            const uint64_t *x, float *sum)
{
    const mango_idx words = mgi_bits_words(C), block = MGI_MAX(READ_BLOCK / C, 1);
    MGI_OMP(parallel for schedule(static) if (rows * C * p->t >= READ_GRAIN))
    for (mango_idx i = 0; i < rows; i += block) {
        const mango_idx m = MGI_MIN(block, rows - i);
        if (p->t0 == 0)
            memset(sum + i * C, 0, (size_t)(m * C) * sizeof *sum);
        for (mango_idx t = 0; t < p->t; t++)
            mgi_bits_add(m, C, x + (t * rows + i) * words, sum + i * C);
    }
}

static void read_total(const mango_plan *p, mango_idx n, const float *x, double *sum)
{
    MGI_OMP(parallel for schedule(static) if (n * p->t >= READ_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        double q = p->t0 == 0 ? 0.0 : sum[i];
        for (mango_idx t = 0; t < p->t; t++)
            q += x[t * n + i];
        sum[i] = q;
    }
}

/* Values of one chunk's inputs before division: counts, totals, or the value
 * itself of a static node. */
typedef struct mgi_totals {
    const float *f;
    const double *d;
    double T;
} mgi_totals;

static double read_at(const mgi_totals *v, mango_idx i)
{
    return v->d ? v->d[i] : v->f[i];
}

/* out (b,C,HW) = v (b,HW,C) / T */
static void read_mean(const mango_plan *p, const mgi_plan_reading *r, const mgi_totals *v)
{
    const mango_idx C = r->C, HW = r->HW;
    float *out = r->out + p->b0 * C * HW;
    MGI_OMP(parallel for schedule(static) if (p->b * C * HW >= READ_GRAIN))
    for (mango_idx j = 0; j < p->b * C; j++) {
        const mango_idx at = j / C * HW * C + j % C;
        for (mango_idx q = 0; q < HW; q++)
            out[j * HW + q] = (float)(read_at(v, at + q * C) / v->T);
    }
}

/* out (b,C) = sum of v (b,HW,C) over HW / (T HW) */
static void read_rate(const mango_plan *p, const mgi_plan_reading *r, const mgi_totals *v)
{
    const mango_idx C = r->C, HW = r->HW;
    float *out = r->out + p->b0 * C;
    for (mango_idx j = 0; j < p->b * C; j++) {
        const mango_idx at = j / C * HW * C + j % C;
        double q = 0;
        for (mango_idx i = 0; i < HW; i++)
            q += read_at(v, at + i * C);
        out[j] = (float)(q / (v->T * (double)HW));
    }
}

/* out (T,B,C,HW): the steps of the chunk; a static value at all T. */
static void read_steps(const mango_plan *p, const mgi_plan_reading *r, int dynamic,
                       const float *x)
{
    const mango_idx n = r->C * r->HW, t0 = dynamic ? p->t0 : 0, t = dynamic ? p->t : p->T;
    for (mango_idx i = 0; i < t; i++)
        mgi_to_nchw(p->b, r->C, r->HW, x + (dynamic ? i * p->b * n : 0),
                    r->out + ((t0 + i) * p->run_B + p->b0) * n);
}

static void read_steps_bits(const mango_plan *p, const mgi_plan_reading *r, const uint64_t *x)
{
    const mango_idx C = r->C, HW = r->HW, words = mgi_bits_words(C);
    MGI_OMP(parallel for schedule(static) if (p->t * p->b * C * HW >= READ_GRAIN))
    for (mango_idx i = 0; i < p->t * p->b; i++) {
        float *out = r->out + ((p->t0 + i / p->b) * p->run_B + p->b0 + i % p->b) * C * HW;
        memset(out, 0, (size_t)(C * HW) * sizeof *out);
        for (mango_idx q = 0; q < HW * words; q++)
            for (uint64_t w = x[i * HW * words + q]; w; w &= w - 1)
                out[(q % words * 64 + mgi_bits_first(w)) * HW + q / words] = 1.0f;
    }
}

MGI_FN void mgi_reading_take(mango_plan *p, const mgi_plan_reading *r)
{
    const mgi_step *s = &p->step[r->step];
    const mango_idx n = p->b * r->C * r->HW;
    const void *x = mgi_plan_at(p, s->out);
    mgi_totals v = {x, NULL, 1.0};
    if (r->what == MANGO_READ_CODES) {
        memcpy(r->out + p->b0 * r->HW, mgi_plan_at(p, s->aux),
               (size_t)(p->b * r->HW) * sizeof *r->out);
        return;
    }
    if (r->what == MANGO_READ_SPIKES) {
        if (s->bits)
            read_steps_bits(p, r, x);
        else
            read_steps(p, r, s->dynamic, x);
        return;
    }
    if (r->sum >= 0) {
        void *sum = mgi_plan_at(p, r->sum);
        if (p->buf[r->sum].elem == MGI_ELEM_F64)
            read_total(p, n, x, sum);
        else if (s->bits)
            read_count_bits(p, p->b * r->HW, r->C, x, sum);
        else
            read_count(p, n, x, sum);
        if (p->t0 + p->t < p->T)
            return;
        v.f = sum;
        v.d = p->buf[r->sum].elem == MGI_ELEM_F64 ? sum : NULL;
        v.T = (double)p->T;
    }
    if (r->what == MANGO_READ_MEAN)
        read_mean(p, r, &v);
    else
        read_rate(p, r, &v);
}

#undef READ_BLOCK
#undef READ_GRAIN
/* ---- end net/readout.c -------------------------------------------------------------- */

/* ---- begin net/tape.c --------------------------------------------------------------- */
/* tape.c - planning of a tape: the program of steps, lifetimes, the arena.
 *
 * Cutting into segments trades memory for a second forward pass (Chen et al.,
 * "Training deep nets with sublinear memory cost", 2016): values that cross a
 * cut are held, the others are made again before the segment's backward steps.
 */
#include <stdlib.h>

#define TAPE_ALIGN 16 /* floats */

void mgi_tape_defaults(mgi_tape_options *o)
{
    memset(o, 0, sizeof *o);
    o->B = 1;
    o->T = 1;
    o->output = -1;
    o->train = 1;
}

mango_idx mgi_tape_rows(const mgi_tape *t, int node)
{
    return t->timed[node] ? t->o.T * t->b : t->b;
}

/* ---- the graph's flags --------------------------------------------------- */

static int tape_kept(const mgi_tape *t, int node)
{
    if (node == t->output)
        return 1;
    for (int k = 0; k < t->o.n_keep; k++)
        if (t->o.keep[k] == node)
            return 1;
    return 0;
}

static int tape_has_params(const mgi_node *n)
{
    return n->weight >= 0 && n->kind != MGI_VQ;
}

static void tape_mark(mgi_tape *t)
{
    const mango_net *net = t->net;
    t->needed[t->output] = 1;
    for (int k = 0; k < t->o.n_keep; k++)
        t->needed[t->o.keep[k]] = 1;
    for (int i = net->n_nodes - 1; i >= 0; i--)
        for (int k = 0; t->needed[i] && k < net->node[i].n_in; k++) {
            t->needed[net->node[i].in[k]] = 1;
            t->uses[net->node[i].in[k]]++;
        }
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        t->timed[i] = n->kind == MGI_LIF;
        t->wants[i] = t->o.train == 1 && (n->kind == MGI_INPUT ? t->o.input_grad : tape_has_params(n));
        for (int k = 0; k < n->n_in; k++) {
            t->timed[i] |= t->timed[n->in[k]];
            t->wants[i] |= t->wants[n->in[k]];
        }
    }
}

/* Floats of node i's value at the largest batch. */
static mango_idx tape_floats(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx f[5] = {t->timed[i] ? t->o.T : 1, t->o.B, n->C, n->H, n->W};
    mango_idx r;
    return mgi_prod(5, f, &r) && r < (mango_idx)1 << 40 ? r : -1;
}

/* Cut positions: equal shares of the values' floats. */
static void tape_cut(mgi_tape *t, int K)
{
    double total = 0, sum = 0;
    for (int i = 0; i < t->net->n_nodes; i++)
        total += t->needed[i] ? (double)tape_floats(t, i) : 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const int k = (int)(sum / (total + 1) * K);
        t->seg[i] = MGI_MIN(k, K - 1);
        sum += t->needed[i] ? (double)tape_floats(t, i) : 0;
    }
}

/* Values and gradients that may share a buffer with their only neighbour. */
static void tape_share(mgi_tape *t)
{
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        t->inplace[i] = 0;
        t->galias[i] = -1;
        if (n->n_in == 0 || !t->needed[i])
            continue;
        const int j = n->in[0];
        const int alone = t->uses[j] == 1 && !tape_kept(t, j) && t->seg[i] == t->seg[j] &&
                          t->net->node[j].kind != MGI_INPUT;
        t->inplace[i] = n->kind == MGI_RELU && alone &&
                        !(t->wants[j] && mgi_backward_reads_y(t, j));
        if (alone && t->timed[i] == t->timed[j] && !tape_kept(t, i) &&
            (n->kind == MGI_RELU || n->kind == MGI_TANH || n->kind == MGI_ADD))
            t->galias[j] = i;
    }
}

/* ---- the program --------------------------------------------------------- */

static int tape_buf_new(mgi_tape *t, mango_idx count, int birth)
{
    if (t->n_bufs == t->cap_bufs || count < 0)
        return -1;
    mgi_tape_buf *b = &t->buf[t->n_bufs];
    b->count = (count + TAPE_ALIGN - 1) / TAPE_ALIGN * TAPE_ALIGN;
    b->at = 0;
    b->birth = b->death = birth;
    return t->n_bufs++;
}

static mango_idx tape_forward_work(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx rows = tape_floats(t, i) / (n->C * n->H * n->W);
    const mgi_node *in = n->n_in ? &t->net->node[n->in[0]] : n;
    switch (n->kind) {
    case MGI_CONV:
    case MGI_CONVT:
        return mgi_conv_packed(&n->conv) + TAPE_ALIGN + mgi_conv_work(&n->conv, rows);
    case MGI_LINEAR: {
        const mango_idx K = in->C * in->H * in->W;
        return n->C * K + TAPE_ALIGN + mgi_gemm_work(rows, n->C, K, 'n', 't');
    }
    case MGI_BATCHNORM:
        return 2 * n->C;
    case MGI_RESHAPE:
        return rows * n->C * n->H * n->W;
    case MGI_VQ:
        return 2 * n->codes + MGI_MIN(rows * n->H * n->W, 1024) * n->codes +
               mgi_gemm_work(1024, n->codes, n->C, 'n', 't') + 4 * TAPE_ALIGN;
    default:
        return 0;
    }
}

/* Append one step; `cur` holds each node's present buffer. */
static void tape_step(mgi_tape *t, mgi_tape_what what, int i, int *cur)
{
    const int s = t->n_ops++;
    mgi_tape_op *op = &t->op[s];
    const mgi_node *n = &t->net->node[i];
    op->what = what;
    op->node = i;
    op->y = op->work = -1;
    if (what == MGI_FORWARD || what == MGI_AGAIN) {
        for (int k = 0; k < n->n_in; k++)
            if (cur[n->in[k]] >= 0)
                t->buf[cur[n->in[k]]].death = s;
        if (t->inplace[i])
            cur[i] = cur[n->in[0]];
        else
            cur[i] = op->y = tape_buf_new(t, tape_floats(t, i), s);
        const mango_idx work = tape_forward_work(t, i);
        if (work > 0)
            op->work = tape_buf_new(t, work, s);
        return;
    }
    for (int k = 0; k < n->n_in; k++) {
        const int j = n->in[k];
        if (cur[j] >= 0 && mgi_backward_reads_x(t, i))
            t->buf[cur[j]].death = s;
        if (t->wants[j] && t->gbuf[j] < 0)
            t->gbuf[j] = t->galias[j] == i ? t->gbuf[i] : tape_buf_new(t, tape_floats(t, j), s);
        if (t->wants[j])
            t->buf[t->gbuf[j]].death = s;
    }
    if (mgi_backward_reads_y(t, i))
        t->buf[cur[i]].death = s;
    t->buf[t->gbuf[i]].death = s;
    const mango_idx work =
        mgi_backward_work(t, i, tape_floats(t, i) / (n->C * n->H * n->W));
    if (work > 0)
        op->work = tape_buf_new(t, work, s);
}

/* Which nodes of segment k must be made again: what its backward steps read
 * and what that is made of, but for values that are still held. */
static void tape_again(const mgi_tape *t, int k, const int *held, int *again)
{
    const mango_net *net = t->net;
    for (int i = 0; i < net->n_nodes; i++)
        again[i] = 0;
    for (int i = net->n_nodes - 1; i >= 0; i--) {
        if (t->seg[i] != k || !t->needed[i])
            continue;
        const mgi_node *n = &net->node[i];
        if (t->wants[i] && n->kind != MGI_INPUT && mgi_backward_reads_y(t, i) && !held[i])
            again[i] = 1;
        const int reads =
            again[i] || (t->wants[i] && n->kind != MGI_INPUT && mgi_backward_reads_x(t, i));
        for (int m = 0; reads && m < n->n_in; m++)
            if (t->seg[n->in[m]] == k && !held[n->in[m]] && net->node[n->in[m]].kind != MGI_INPUT)
                again[n->in[m]] = 1;
    }
}

static void tape_program(mgi_tape *t, int K, int *cur, int *held, int *again)
{
    const int n = t->net->n_nodes;
    t->n_ops = t->n_bufs = 0;
    t->segments = K;
    tape_cut(t, K);
    tape_share(t);
    for (int i = 0; i < n; i++) {
        cur[i] = t->gbuf[i] = -1;
        held[i] = tape_kept(t, i) || t->seg[i] == K - 1;
    }
    for (int i = 0; i < n; i++)
        for (int m = 0; t->needed[i] && m < t->net->node[i].n_in; m++)
            held[t->net->node[i].in[m]] |= t->seg[i] > t->seg[t->net->node[i].in[m]];
    for (int i = 0; i < n; i++)
        if (t->needed[i] && t->net->node[i].kind != MGI_INPUT)
            tape_step(t, MGI_FORWARD, i, cur);
    t->loss_step = t->n_ops;
    t->op[t->n_ops].what = MGI_LOSS;
    t->op[t->n_ops++].node = t->output;
    t->buf[cur[t->output]].death = t->loss_step;
    if (t->o.train == 1) {
        t->gbuf[t->output] = tape_buf_new(t, tape_floats(t, t->output), t->loss_step);
        for (int k = K - 1; k >= 0; k--) {
            tape_again(t, k, held, again);
            for (int i = 0; k < K - 1 && i < n; i++)
                if (again[i])
                    tape_step(t, MGI_AGAIN, i, cur);
            for (int i = n - 1; i >= 0; i--)
                if (t->needed[i] && t->seg[i] == k && t->wants[i] && t->gbuf[i] >= 0 &&
                    t->net->node[i].kind != MGI_INPUT)
                    tape_step(t, MGI_BACKWARD, i, cur);
        }
    }
    for (int i = 0; i < n; i++)
        if (tape_kept(t, i) && cur[i] >= 0)
            t->buf[cur[i]].death = t->n_ops;
    if (t->o.input_grad && t->gbuf[t->net->input] >= 0)
        t->buf[t->gbuf[t->net->input]].death = t->n_ops;
}

/* ---- the arena ----------------------------------------------------------- */

typedef struct tape_order {
    mango_idx count;
    int buf;
} tape_order;

static int tape_larger(const void *a, const void *b)
{
    const tape_order *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->buf - y->buf;
}

/* The lowest place where buffer b fits between those already placed that live
 * at the same time. placed: indices by rising offset. */
static mango_idx tape_fit(const mgi_tape *t, const mgi_tape_buf *b, int n, const int *placed)
{
    mango_idx at = 0;
    for (int k = 0; k < n; k++) {
        const mgi_tape_buf *p = &t->buf[placed[k]];
        if (p->death < b->birth || p->birth > b->death)
            continue;
        if (at + b->count <= p->at)
            break;
        at = MGI_MAX(at, p->at + p->count);
    }
    return at;
}

/* Offsets: largest first, lowest free place. Returns the total in floats. */
static mango_idx tape_place(mgi_tape *t, tape_order *order, int *placed)
{
    mango_idx total = 0;
    for (int i = 0; i < t->n_bufs; i++) {
        order[i].count = t->buf[i].count;
        order[i].buf = i;
    }
    qsort(order, (size_t)t->n_bufs, sizeof *order, tape_larger);
    for (int i = 0; i < t->n_bufs; i++) {
        mgi_tape_buf *b = &t->buf[order[i].buf];
        b->at = tape_fit(t, b, i, placed);
        int k = i;
        while (k > 0 && t->buf[placed[k - 1]].at > b->at) {
            placed[k] = placed[k - 1];
            k--;
        }
        placed[k] = order[i].buf;
        total = MGI_MAX(total, b->at + b->count);
    }
    return total;
}

/* Raise the number of segments until the arena fits the cap. */
static mango_status tape_plan(mgi_tape *t, int *tmp, tape_order *order, int *placed,
                              mango_err *err)
{
    const int n = t->net->n_nodes;
    const mango_idx cap = t->o.memory;
    mango_idx least = -1;
    int best = 1, Kmax = t->o.train == 1 ? MGI_MIN(n, 48) : 1;
    for (int K = 1; K <= Kmax; K++) {
        tape_program(t, K, tmp, tmp + n, tmp + 2 * n);
        t->arena_count = tape_place(t, order, placed);
        if (cap <= 0 || t->arena_count * (mango_idx)sizeof(float) <= cap)
            return MANGO_OK;
        if (least < 0 || t->arena_count < least) {
            least = t->arena_count;
            best = K;
        }
    }
    return mgi_fail(err, MANGO_E_MEM,
                    "training needs %.1f MiB at batch %ld and %ld steps (%d segments); "
                    "the memory cap is %.1f MiB",
                    (double)least * 4 / 1048576, (long)t->o.B, (long)t->o.T, best,
                    (double)cap / 1048576);
}

/* ---- create and free ----------------------------------------------------- */

static mango_status tape_sizes(const mgi_tape *t, mango_err *err)
{
    for (int i = 0; i < t->net->n_nodes; i++)
        if (tape_floats(t, i) < 0)
            return mgi_fail(err, MANGO_E_LIMIT, "%s: too large for batch %ld, %ld steps",
                            t->net->node[i].name, (long)t->o.B, (long)t->o.T);
    return MANGO_OK;
}

static mango_status tape_arrays(mgi_tape *t)
{
    const mango_idx n = t->net->n_nodes, p = MGI_MAX(t->net->n_params, 1);
    int **ints[] = {&t->timed, &t->needed, &t->wants, &t->uses, &t->seg, &t->inplace,
                    &t->galias, &t->gbuf, &t->written};
    for (mango_idx k = 0; k < MGI_COUNT(ints); k++)
        if (!(*ints[k] = mgi_new(&t->al, n, sizeof(int))))
            return MANGO_E_MEM;
    t->cap_ops = (int)(3 * n + 2);
    t->cap_bufs = (int)(8 * n + 8);
    t->op = mgi_new(&t->al, t->cap_ops, sizeof *t->op);
    t->buf = mgi_new(&t->al, t->cap_bufs, sizeof *t->buf);
    t->val = mgi_new(&t->al, n, sizeof *t->val);
    t->grad = mgi_new(&t->al, n, sizeof *t->grad);
    t->stat = mgi_new(&t->al, n, sizeof *t->stat);
    t->w = mgi_new(&t->al, p, sizeof *t->w);
    t->dw = mgi_new(&t->al, p, sizeof *t->dw);
    return t->op && t->buf && t->val && t->grad && t->stat && t->w && t->dw ? MANGO_OK
                                                                           : MANGO_E_MEM;
}

/* Batch-norm statistics and VQ codes, which outlive single steps. */
static mango_status tape_state(mgi_tape *t)
{
    mango_idx at = 0;
    for (int i = 0; i < t->net->n_nodes; i++) {
        const mgi_node *n = &t->net->node[i];
        t->n_stats += n->kind == MGI_BATCHNORM ? 4 * n->C : 0;
        t->n_codes = n->kind == MGI_VQ && t->needed[i]
                         ? MGI_MAX(t->n_codes, tape_floats(t, i) / n->C)
                         : t->n_codes;
    }
    t->stats = mgi_new(&t->al, t->n_stats, sizeof(float));
    t->codes = mgi_new(&t->al, t->n_codes, sizeof(int32_t));
    if (!t->stats || !t->codes)
        return MANGO_E_MEM;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->node[i].kind == MGI_BATCHNORM) {
            t->stat[i] = t->stats + at;
            at += 4 * t->net->node[i].C;
        }
    for (int p = 0; p < t->net->n_params; p++)
        t->w[p] = t->net->param[p].v;
    return MANGO_OK;
}

static mango_status tape_commit(mgi_tape *t, mango_err *err)
{
    const mango_idx bytes = (t->arena_count + 2 * TAPE_ALIGN) * (mango_idx)sizeof(float);
    t->raw = t->al.fn(t->al.ud, NULL, 0, (size_t)bytes);
    if (!t->raw)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a tape of %.1f MiB",
                        (double)bytes / 1048576);
    t->arena = (float *)(void *)(t->raw + (64 - (uintptr_t)t->raw % 64) % 64);
    return MANGO_OK;
}

mango_status mgi_tape_new(mgi_tape **out, const mango_net *net, const mgi_tape_options *o,
                          const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(out && net && o && net->n_nodes > 0 && o->B > 0 && o->T > 0);
    MGI_REQUIRE(o->output < net->n_nodes && o->n_keep >= 0 && o->n_keep <= MGI_TAPE_KEEP);
    const mango_alloc a = mgi_alloc_get(al);
    mango_status st = MANGO_E_MEM;
    int *tmp = NULL, *placed = NULL;
    tape_order *order = NULL;
    mgi_tape *t = mgi_new(&a, 1, sizeof *t);
    if (!t)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a tape");
    t->al = a;
    t->net = net;
    t->o = *o;
    t->output = o->output < 0 ? net->output : o->output;
    t->momentum = -1;
    t->bad = -1;
    MGI_TRY_TO(tape_arrays(t));
    tape_mark(t);
    MGI_TRY_TO(tape_sizes(t, err));
    MGI_TRY_TO(tape_state(t));
    st = MANGO_E_MEM;
    tmp = mgi_new(&a, 3 * (mango_idx)net->n_nodes, sizeof *tmp);
    order = mgi_new(&a, t->cap_bufs, sizeof *order);
    placed = mgi_new(&a, t->cap_bufs, sizeof *placed);
    if (!tmp || !order || !placed)
        goto done;
    MGI_TRY_TO(tape_plan(t, tmp, order, placed, err));
    MGI_TRY_TO(tape_commit(t, err));
done:
    mgi_del(&a, tmp, 3 * (mango_idx)net->n_nodes, sizeof *tmp);
    mgi_del(&a, order, t->cap_bufs, sizeof *order);
    mgi_del(&a, placed, t->cap_bufs, sizeof *placed);
    if (st < 0) {
        if (st == MANGO_E_MEM && err && !err->text[0])
            mgi_fail(err, st, "no memory for a tape");
        mgi_tape_free(t);
        t = NULL;
    }
    *out = t;
    return st;
}

void mgi_tape_free(mgi_tape *t)
{
    if (!t)
        return;
    const mango_alloc a = t->al;
    const mango_idx n = t->net->n_nodes, p = MGI_MAX(t->net->n_params, 1);
    int *ints[] = {t->timed, t->needed, t->wants, t->uses, t->seg, t->inplace,
                   t->galias, t->gbuf, t->written};
    for (mango_idx k = 0; k < MGI_COUNT(ints); k++)
        mgi_del(&a, ints[k], n, sizeof(int));
    mgi_del(&a, t->op, t->cap_ops, sizeof *t->op);
    mgi_del(&a, t->buf, t->cap_bufs, sizeof *t->buf);
    mgi_del(&a, t->val, n, sizeof *t->val);
    mgi_del(&a, t->grad, n, sizeof *t->grad);
    mgi_del(&a, t->stat, n, sizeof *t->stat);
    mgi_del(&a, (void *)t->w, p, sizeof *t->w);
    mgi_del(&a, t->dw, p, sizeof *t->dw);
    mgi_del(&a, t->stats, t->n_stats, sizeof(float));
    mgi_del(&a, t->codes, t->n_codes, sizeof(int32_t));
    mgi_del(&a, t->raw, (t->arena_count + 2 * TAPE_ALIGN) * (mango_idx)sizeof(float), 1);
    mgi_del(&a, t, 1, sizeof *t);
}

mango_idx mgi_tape_bytes(const mgi_tape *t)
{
    return t->arena_count * (mango_idx)sizeof(float);
}

/* ---- gradients ----------------------------------------------------------- */

mango_status mgi_grads_new(mgi_grads *g, const mango_net *net)
{
    memset(g, 0, sizeof *g);
    g->al = net->al;
    g->n_params = MGI_MAX(net->n_params, 1);
    for (int p = 0; p < net->n_params; p++)
        g->n += net->param[p].is_buffer ? 0 : net->param[p].count;
    g->flat = mgi_new(&g->al, g->n, sizeof(float));
    g->of = mgi_new(&g->al, g->n_params, sizeof *g->of);
    if (!g->flat || !g->of) {
        mgi_grads_free(g);
        return MANGO_E_MEM;
    }
    float *at = g->flat;
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].is_buffer) {
            g->of[p] = at;
            at += net->param[p].count;
        }
    return MANGO_OK;
}

void mgi_grads_free(mgi_grads *g)
{
    if (!g->al.fn)
        return;
    mgi_del(&g->al, g->flat, g->n, sizeof(float));
    mgi_del(&g->al, g->of, g->n_params, sizeof *g->of);
    memset(g, 0, sizeof *g);
}

void mgi_grads_zero(mgi_grads *g)
{
    memset(g->flat, 0, (size_t)g->n * sizeof(float));
}

void mgi_tape_set_grads(mgi_tape *t, const mgi_grads *g)
{
    for (int p = 0; p < t->net->n_params; p++)
        t->dw[p] = g ? g->of[p] : NULL;
}
#undef TAPE_ALIGN
/* ---- end net/tape.c ----------------------------------------------------------------- */

/* ---- begin net/tape_run.c ----------------------------------------------------------- */
/* tape_run.c - the forward steps of a tape.
 */

#define RUN_CHUNK 16384
#define RUN_ALIGN 16
#define RUN_VQ_ROWS 1024

static mango_idx run_align(mango_idx n)
{
    return (n + RUN_ALIGN - 1) / RUN_ALIGN * RUN_ALIGN;
}

static void run_relu(mango_idx n, const float *x, float *y)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx chunks = (n + RUN_CHUNK - 1) / RUN_CHUNK;
    MGI_OMP(parallel for if (n >= MGI_GRAIN))
    for (mango_idx i = 0; i < chunks; i++) {
        const mango_idx at = i * RUN_CHUNK;
        k->relu(MGI_MIN(RUN_CHUNK, n - at), x + at, y + at);
    }
}

/* z = x + y, where one of both may be static and is repeated over T. */
static void run_add(const mgi_tape *t, int i, mango_idx e, float *z)
{
    const mgi_kernels *k = mgi_kernels_get();
    const mgi_node *n = &t->net->node[i];
    const mango_idx step = t->b * e, T = t->timed[i] ? t->o.T : 1;
    const mango_idx sx = t->timed[n->in[0]] ? step : 0, sy = t->timed[n->in[1]] ? step : 0;
    const float *x = t->val[n->in[0]], *y = t->val[n->in[1]];
    const mango_idx chunks = (step + RUN_CHUNK - 1) / RUN_CHUNK;
    MGI_OMP(parallel for if (T * step >= MGI_GRAIN))
    for (mango_idx c = 0; c < T * chunks; c++) {
        const mango_idx s = c / chunks, at = c % chunks * RUN_CHUNK;
        k->add(MGI_MIN(RUN_CHUNK, step - at), x + s * sx + at, y + s * sy + at,
               z + s * step + at);
    }
}

static void run_concat(const mgi_tape *t, int i, float *y)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx hw = n->H * n->W, R = mgi_tape_rows(t, i) * hw, C = n->C;
    mango_idx at = 0;
    for (int k = 0; k < n->n_in; k++) {
        const int j = n->in[k];
        const mango_idx Cj = t->net->node[j].C, Rj = mgi_tape_rows(t, j) * hw;
        const float *x = t->val[j];
        MGI_OMP(parallel for if (R * Cj >= MGI_GRAIN))
        for (mango_idx r = 0; r < R; r++)
            memcpy(y + r * C + at, x + r % Rj * Cj, (size_t)Cj * sizeof(float));
        at += Cj;
    }
}

static void run_conv(const mgi_tape *t, const mgi_node *n, mango_idx N, const float *x,
                     float *work, float *y)
{
    mgi_epilogue e;
    memset(&e, 0, sizeof e);
    e.bias = n->bias_p >= 0 ? t->w[n->bias_p] : NULL;
    mgi_conv_pack(&n->conv, t->w[n->weight], work);
    mgi_conv_forward(&n->conv, N, x, work, &e, y, work + run_align(mgi_conv_packed(&n->conv)));
}

/* Columns in blocks of one (O) row: (C,HW) <-> (HW,C). */
void mgi_linear_columns(const mgi_node *in, mango_idx O, const float *w, float *p)
{
    mgi_to_nhwc(O, in->C, in->H * in->W, w, p);
}

void mgi_linear_columns_add(const mgi_node *in, mango_idx O, const float *p, float *dw)
{
    const mango_idx C = in->C, S = in->H * in->W;
    MGI_OMP(parallel for if (O * C * S >= MGI_GRAIN))
    for (mango_idx o = 0; o < O; o++)
        for (mango_idx c = 0; c < C; c++)
            for (mango_idx s = 0; s < S; s++)
                dw[(o * C + c) * S + s] += p[(o * S + s) * C + c];
}

static void run_linear(const mgi_tape *t, int i, const float *x, float *work, float *y)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx K = in->C * in->H * in->W, O = n->C, N = mgi_tape_rows(t, i);
    const float *w = t->w[n->weight];
    float *scratch = work + run_align(O * K);
    if (in->H * in->W > 1 && in->C > 1) {
        mgi_linear_columns(in, O, w, work);
        w = work;
    }
    if (n->bias_p >= 0)
        for (mango_idx r = 0; r < N; r++)
            memcpy(y + r * O, t->w[n->bias_p], (size_t)O * sizeof(float));
    mgi_gemm('n', 't', N, O, K, x, K, w, K, y, O, n->bias_p >= 0, scratch);
}

static void run_batchnorm(const mgi_tape *t, int i, int again, const float *x, float *work,
                          float *y)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    const float *w = n->weight >= 0 ? t->w[n->weight] : NULL;
    const float *b = n->bias_p >= 0 ? t->w[n->bias_p] : NULL;
    if (t->o.train) {
        float *st = t->stat[i], *rm = st + 2 * C, *rv = st + 3 * C;
        if (!again && !t->frozen && n->mean_p >= 0) {
            rm = t->net->param[n->mean_p].v;
            rv = t->net->param[n->var_p].v;
        }
        mgi_batchnorm_train(R, C, x, w, b, n->eps, t->momentum >= 0 ? t->momentum : n->momentum,
                            rm, rv, st, st + C, y);
        return;
    }
    const mgi_kernels *k = mgi_kernels_get();
    const mango_idx block = MGI_MAX(1, RUN_CHUNK / C), chunks = (R + block - 1) / block;
    mgi_batchnorm_fold(C, w, b, t->w[n->mean_p], t->w[n->var_p], n->eps, work, work + C);
    MGI_OMP(parallel for if (R * C >= MGI_GRAIN))
    for (mango_idx c = 0; c < chunks; c++)
        k->scale_shift(MGI_MIN(block, R - c * block), C, work, work + C, x + c * block * C,
                       y + c * block * C);
}

static void run_globalsum(const mgi_tape *t, int i, const float *x, float *y)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i), C = n->C, S = in->H * in->W;
    MGI_OMP(parallel for if (N * C * S >= MGI_GRAIN))
    for (mango_idx r = 0; r < N; r++)
        for (mango_idx c = 0; c < C; c++) {
            double sum = 0;
            for (mango_idx s = 0; s < S; s++)
                sum += (double)x[(r * S + s) * C + c];
            y[r * C + c] = (float)sum;
        }
}

/* The (C,H,W)-ordered values, refolded. */
static void run_reshape(const mgi_tape *t, int i, const float *x, float *work, float *y)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i);
    mgi_to_nchw(N, in->C, in->H * in->W, x, work);
    mgi_to_nhwc(N, n->C, n->H * n->W, work, y);
}

/* For rows r0..r0+R-1: the nearest code by |e|^2 - 2 <x,e>, first of equals. */
static void run_vq_block(const mgi_node *n, mango_idx R, const float *x, const float *E,
                         const float *sq, float *dist, float *gemm_work, int32_t *code, float *y)
{
    const mango_idx C = n->C, K = n->codes;
    mgi_gemm('n', 't', R, K, C, x, C, E, C, dist, K, 0, gemm_work);
    MGI_OMP(parallel for if (R * K >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++) {
        const float *d = dist + r * K;
        float best = sq[0] - 2.0f * d[0];
        int32_t at = 0;
        for (mango_idx k = 1; k < K; k++) {
            const float v = sq[k] - 2.0f * d[k];
            if (v < best) {
                best = v;
                at = (int32_t)k;
            }
        }
        code[r] = at;
        memcpy(y + r * C, E + at * C, (size_t)C * sizeof(float));
    }
}

static void run_vq(mgi_tape *t, int i, const float *x, float *work, float *y)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, K = n->codes, R = mgi_tape_rows(t, i) * n->H * n->W;
    const float *E = t->w[n->weight];
    float *sq = work, *dist = work + run_align(K);
    float *gemm_work = dist + run_align(MGI_MIN(R, RUN_VQ_ROWS) * K);
    for (mango_idx k = 0; k < K; k++) {
        double s = 0;
        for (mango_idx c = 0; c < C; c++)
            s += (double)E[k * C + c] * (double)E[k * C + c];
        sq[k] = (float)s;
    }
    for (mango_idx r = 0; r < R; r += RUN_VQ_ROWS)
        run_vq_block(n, MGI_MIN(RUN_VQ_ROWS, R - r), x + r * C, E, sq, dist, gemm_work,
                     t->codes + r, y + r * C);
}

static void run_pool(const mgi_tape *t, int i, const float *x, float *y)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i);
    mgi_pool p = n->pool;
    p.C = in->C, p.H = in->H, p.W = in->W, p.OH = n->H, p.OW = n->W;
    if (n->kind == MGI_MAXPOOL)
        mgi_maxpool(&p, N, x, y);
    else if (n->kind == MGI_AVGPOOL)
        mgi_avgpool(&p, N, x, y);
    else
        mgi_adaptiveavg(&p, N, x, y);
}

static void run_node(mgi_tape *t, int i, int again, float *work)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx rows = mgi_tape_rows(t, i), e = n->C * n->H * n->W;
    const float *x = t->val[n->in[0]];
    float *y = t->val[i];
    switch (n->kind) {
    case MGI_CONV:
    case MGI_CONVT: run_conv(t, n, rows, x, work, y); break;
    case MGI_LINEAR: run_linear(t, i, x, work, y); break;
    case MGI_BATCHNORM: run_batchnorm(t, i, again, x, work, y); break;
    case MGI_RELU: run_relu(rows * e, x, y); break;
    case MGI_TANH: mgi_tanh(rows * e, x, y); break;
    case MGI_LIF:
        mango_lif_run(&n->lif, t->o.T, t->b * e, x, t->timed[n->in[0]] ? t->b * e : 0, NULL, y);
        break;
    case MGI_MAXPOOL:
    case MGI_AVGPOOL:
    case MGI_ADAPTIVEAVG:
    case MGI_GLOBALAVG: run_pool(t, i, x, y); break;
    case MGI_GLOBALSUM: run_globalsum(t, i, x, y); break;
    case MGI_UPSAMPLE:
        (n->bilinear ? mgi_bilinear2x : mgi_nearest2x)(rows, in->H, in->W, in->C, x, y);
        break;
    case MGI_ADD: run_add(t, i, e, y); break;
    case MGI_CONCAT: run_concat(t, i, y); break;
    case MGI_RESHAPE: run_reshape(t, i, x, work, y); break;
    case MGI_SOFTMAX: mgi_softmax(rows * n->H * n->W, n->C, x, y); break;
    case MGI_VQ: run_vq(t, i, x, work, y); break;
    case MGI_INPUT:
    case MGI_KINDS: break;
    }
}

static int run_finite(mango_idx n, const float *x)
{
    for (mango_idx i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0.0f))
            return 0;
    return 1;
}

static void run_step(mgi_tape *t, const mgi_tape_op *op)
{
    const mgi_node *n = &t->net->node[op->node];
    float *work = op->work >= 0 ? t->arena + t->buf[op->work].at : NULL;
    if (op->what == MGI_BACKWARD) {
        mgi_backward_node(t, op->node, work);
        return;
    }
    t->val[op->node] = op->y >= 0 ? t->arena + t->buf[op->y].at : t->val[n->in[0]];
    run_node(t, op->node, op->what == MGI_AGAIN, work);
}

mango_status mgi_tape_forward(mgi_tape *t, mango_idx b, const float *x)
{
    MGI_REQUIRE(t && x && b > 0 && b <= t->o.B);
    t->b = b;
    t->bad = -1;
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->node[i].kind == MGI_INPUT)
            t->val[i] = (float *)(uintptr_t)x; /* read only */
    for (int s = 0; s < t->loss_step; s++) {
        const int i = t->op[s].node;
        const mgi_node *n = &t->net->node[i];
        run_step(t, &t->op[s]);
        if (t->check && !run_finite(mgi_tape_rows(t, i) * n->C * n->H * n->W, t->val[i])) {
            t->bad = i;
            return MANGO_E_NONFINITE;
        }
    }
    return MANGO_OK;
}

const float *mgi_tape_value(const mgi_tape *t, int node, mango_idx *rows)
{
    const int i = node < 0 ? t->output : node;
    if (rows)
        *rows = mgi_tape_rows(t, i);
    return t->val[i];
}

float *mgi_tape_dout(mgi_tape *t)
{
    return t->o.train == 1 ? t->arena + t->buf[t->gbuf[t->output]].at : NULL;
}

const float *mgi_tape_input_grad(const mgi_tape *t)
{
    const int g = t->gbuf[t->net->input];
    return g >= 0 ? t->arena + t->buf[g].at : NULL;
}

void mgi_tape_backward(mgi_tape *t)
{
    for (int i = 0; i < t->net->n_nodes; i++) {
        t->written[i] = i == t->output;
        t->grad[i] = t->gbuf[i] >= 0 ? t->arena + t->buf[t->gbuf[i]].at : NULL;
    }
    for (int s = t->loss_step + 1; s < t->n_ops; s++)
        run_step(t, &t->op[s]);
}
#undef RUN_CHUNK
#undef RUN_ALIGN
#undef RUN_VQ_ROWS
/* ---- end net/tape_run.c ------------------------------------------------------------- */

/* ---- begin net/backward.c ----------------------------------------------------------- */
/* backward.c - the reverse steps of a tape, one function a kind of node.
 *
 * Node i finds its gradient in grad[i] and hands each input j that wants one
 * its share: the first reader of j writes grad[j], later ones add to it.
 */

#define BACK_CHUNK 16384
#define BACK_ALIGN 16

static mango_idx back_align(mango_idx n)
{
    return (n + BACK_ALIGN - 1) / BACK_ALIGN * BACK_ALIGN;
}

int mgi_backward_reads_x(const mgi_tape *t, int i)
{
    switch (t->net->node[i].kind) {
    case MGI_CONV:
    case MGI_CONVT:
    case MGI_LINEAR:
    case MGI_BATCHNORM:
    case MGI_LIF:
    case MGI_MAXPOOL:
    case MGI_VQ: return 1;
    default: return 0;
    }
}

int mgi_backward_reads_y(const mgi_tape *t, int i)
{
    switch (t->net->node[i].kind) {
    case MGI_RELU:
    case MGI_TANH:
    case MGI_SOFTMAX:
    case MGI_VQ: return 1;
    default: return 0;
    }
}

/* Floats of scratch for a gradient that is added to one already there. */
static mango_idx back_spare(const mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    mango_idx most = 0;
    for (int k = 0; k < n->n_in; k++) {
        const mgi_node *in = &t->net->node[n->in[k]];
        const mango_idx rows = t->o.B * (t->timed[n->in[k]] ? t->o.T : 1);
        if (t->uses[n->in[k]] > 1 && t->wants[n->in[k]])
            most = MGI_MAX(most, rows * in->C * in->H * in->W);
    }
    return back_align(most);
}

mango_idx mgi_backward_work(const mgi_tape *t, int i, mango_idx rows)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx K = in->C * in->H * in->W;
    const mango_idx spare = back_spare(t, i);
    switch (n->kind) {
    case MGI_CONV:
    case MGI_CONVT: return spare + mgi_conv_backward_work(&n->conv, rows);
    case MGI_LINEAR:
        return spare + back_align(n->C * K) +
               MGI_MAX(mgi_gemm_work(rows, K, n->C, 'n', 'n'),
                       mgi_gemm_work(n->C, K, rows, 't', 'n'));
    case MGI_LIF: return spare + rows * n->C * n->H * n->W;
    case MGI_RESHAPE: return spare + rows * K;
    case MGI_ADD:
    case MGI_CONCAT: return 0;
    default: return spare;
    }
}

/* Where node i may write the gradient of its input j: grad[j] itself, or the
 * spare when another reader was there before. back_give then adds it. */
static float *back_take(mgi_tape *t, int j, float *spare)
{
    return t->written[j] ? spare : t->grad[j];
}

static void back_give(mgi_tape *t, int j, const float *dx)
{
    if (t->written[j]) {
        const mgi_kernels *k = mgi_kernels_get();
        const mgi_node *n = &t->net->node[j];
        const mango_idx count = mgi_tape_rows(t, j) * n->C * n->H * n->W;
        const mango_idx chunks = (count + BACK_CHUNK - 1) / BACK_CHUNK;
        float *g = t->grad[j];
        MGI_OMP(parallel for if (count >= MGI_GRAIN))
        for (mango_idx c = 0; c < chunks; c++) {
            const mango_idx at = c * BACK_CHUNK;
            k->add(MGI_MIN(BACK_CHUNK, count - at), g + at, dx + at, g + at);
        }
    }
    t->written[j] = 1;
}

/* ---- nodes with parameters ------------------------------------------------ */

static void back_conv(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx N = mgi_tape_rows(t, i);
    float *dw = t->dw[n->weight], *db = n->bias_p >= 0 ? t->dw[n->bias_p] : NULL;
    if (dw)
        mgi_conv_backward_weights(&n->conv, N, t->val[j], t->grad[i], dw, db, work);
    if (t->wants[j]) {
        float *dx = back_take(t, j, spare);
        mgi_conv_backward_data(&n->conv, N, t->grad[i], t->w[n->weight], dx, work);
        back_give(t, j, dx);
    }
}

/* db[o] += sum over rows of dy, in double, rows ascending. */
static void back_bias(mango_idx N, mango_idx O, const float *dy, float *db)
{
    for (mango_idx o = 0; o < O; o++) {
        double s = 0;
        for (mango_idx r = 0; r < N; r++)
            s += (double)dy[r * O + o];
        db[o] += (float)s;
    }
}

static void back_linear(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const int j = n->in[0], fold = in->H * in->W > 1 && in->C > 1;
    const mango_idx K = in->C * in->H * in->W, O = n->C, N = mgi_tape_rows(t, i);
    const float *dy = t->grad[i], *w = t->w[n->weight];
    float *dw = t->dw[n->weight], *scratch = work + back_align(O * K);
    if (dw) {
        mgi_gemm('t', 'n', O, K, N, dy, O, t->val[j], K, fold ? work : dw, K, !fold, scratch);
        if (fold)
            mgi_linear_columns_add(in, O, work, dw);
    }
    if (n->bias_p >= 0 && t->dw[n->bias_p])
        back_bias(N, O, dy, t->dw[n->bias_p]);
    if (t->wants[j]) {
        float *dx = back_take(t, j, spare);
        if (fold)
            mgi_linear_columns(in, O, w, work);
        mgi_gemm('n', 'n', N, K, O, dy, O, fold ? work : w, K, dx, K, 0, scratch);
        back_give(t, j, dx);
    }
}

static void back_batchnorm(mgi_tape *t, int i, float *spare)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx C = n->C, R = mgi_tape_rows(t, i) * n->H * n->W;
    float *st = t->stat[i], *sink = st + 2 * C; /* for gradients nobody wants */
    float *dw = n->weight >= 0 && t->dw[n->weight] ? t->dw[n->weight] : sink;
    float *db = n->bias_p >= 0 && t->dw[n->bias_p] ? t->dw[n->bias_p] : sink + C;
    float *dx = t->wants[j] ? back_take(t, j, spare) : NULL;
    if (!dx)
        return;
    mgi_batchnorm_backward(R, C, t->val[j], n->weight >= 0 ? t->w[n->weight] : NULL, st, st + C,
                           t->grad[i], dx, dw, db);
    back_give(t, j, dx);
}

/* ---- nodes without -------------------------------------------------------- */

static void back_lif(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i];
    const int j = n->in[0];
    const mango_idx count = t->b * n->C * n->H * n->W;
    float *dx = back_take(t, j, spare);
    mango_lif_backward(&n->lif, t->o.T, count, t->val[j], t->timed[j] ? count : 0, t->grad[i],
                       work, dx);
    back_give(t, j, dx);
}

/* g[j] (+)= dy, summed over T when j is static and the reader is not. */
static void back_share(mgi_tape *t, int i, int j, mango_idx e)
{
    const mango_idx count = t->b * e, T = mgi_tape_rows(t, i) / mgi_tape_rows(t, j);
    const mango_idx all = mgi_tape_rows(t, j) * e;
    const float *dy = t->grad[i];
    float *g = t->grad[j];
    const int add = t->written[j];
    t->written[j] = 1;
    if (g == dy && T == 1)
        return;
    MGI_OMP(parallel for if (all >= MGI_GRAIN))
    for (mango_idx k = 0; k < all; k++) {
        float s = dy[k];
        for (mango_idx m = 1; m < T; m++)
            s += dy[m * count + k];
        g[k] = add ? g[k] + s : s;
    }
}

static void back_add(mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    for (int k = n->n_in - 1; k >= 0; k--) /* the alias, in[0], last */
        if (t->wants[n->in[k]])
            back_share(t, i, n->in[k], n->C * n->H * n->W);
}

static void back_concat_one(mgi_tape *t, int i, int j, mango_idx at)
{
    const mgi_node *n = &t->net->node[i];
    const mango_idx C = n->C, Cj = t->net->node[j].C, hw = n->H * n->W;
    const mango_idx R = mgi_tape_rows(t, j) * hw, step = t->b * hw;
    const mango_idx T = mgi_tape_rows(t, i) / mgi_tape_rows(t, j);
    const float *dy = t->grad[i];
    float *g = t->grad[j];
    const int add = t->written[j];
    MGI_OMP(parallel for if (R * Cj >= MGI_GRAIN))
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx c = 0; c < Cj; c++) {
            float s = dy[r * C + at + c];
            for (mango_idx m = 1; m < T; m++)
                s += dy[(m * step + r) * C + at + c];
            g[r * Cj + c] = add ? g[r * Cj + c] + s : s;
        }
    t->written[j] = 1;
}

static void back_concat(mgi_tape *t, int i)
{
    const mgi_node *n = &t->net->node[i];
    mango_idx at = 0;
    for (int k = 0; k < n->n_in; k++) {
        if (t->wants[n->in[k]])
            back_concat_one(t, i, n->in[k], at);
        at += t->net->node[n->in[k]].C;
    }
}

static void back_globalsum(const mgi_tape *t, int i, float *dx)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx R = mgi_tape_rows(t, i), C = n->C, S = in->H * in->W;
    MGI_OMP(parallel for if (R * S * C >= MGI_GRAIN))
    for (mango_idx r = 0; r < R * S; r++)
        memcpy(dx + r * C, t->grad[i] + r / S * C, (size_t)C * sizeof(float));
}

static void back_pool(const mgi_tape *t, int i, float *dx)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i);
    mgi_pool p = n->pool;
    p.C = in->C, p.H = in->H, p.W = in->W, p.OH = n->H, p.OW = n->W;
    if (n->kind == MGI_MAXPOOL)
        mgi_maxpool_backward(&p, N, t->val[n->in[0]], t->grad[i], dx);
    else if (n->kind == MGI_AVGPOOL)
        mgi_avgpool_backward(&p, N, t->grad[i], dx);
    else
        mgi_adaptiveavg_backward(&p, N, t->grad[i], dx);
}

static void back_reshape(const mgi_tape *t, int i, float *work, float *dx)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const mango_idx N = mgi_tape_rows(t, i);
    mgi_to_nchw(N, n->C, n->H * n->W, t->grad[i], work);
    mgi_to_nhwc(N, in->C, in->H * in->W, work, dx);
}

/* Straight through: dx = dy, plus the commitment term commit (x - y). */
static void back_vq(const mgi_tape *t, int i, mango_idx n, float *dx)
{
    const float *dy = t->grad[i], *x = t->val[t->net->node[i].in[0]], *y = t->val[i];
    const float a = (float)t->commit;
    MGI_OMP(parallel for if (n >= MGI_GRAIN))
    for (mango_idx k = 0; k < n; k++)
        dx[k] = dy[k] + a * (x[k] - y[k]);
}

/* Nodes with one input and no parameters that write dx whole. */
static void back_plain(mgi_tape *t, int i, float *spare, float *work)
{
    const mgi_node *n = &t->net->node[i], *in = &t->net->node[n->in[0]];
    const int j = n->in[0];
    const mango_idx rows = mgi_tape_rows(t, i), count = rows * n->C * n->H * n->W;
    const float *dy = t->grad[i];
    float *dx = back_take(t, j, spare);
    switch (n->kind) {
    case MGI_RELU: mgi_relu_backward(count, t->val[i], dy, dx); break;
    case MGI_TANH: mgi_tanh_backward(count, t->val[i], dy, dx); break;
    case MGI_SOFTMAX: mgi_softmax_backward(rows * n->H * n->W, n->C, t->val[i], dy, dx); break;
    case MGI_UPSAMPLE:
        (n->bilinear ? mgi_bilinear2x_backward : mgi_nearest2x_backward)(rows, in->H, in->W,
                                                                         in->C, dy, dx);
        break;
    case MGI_GLOBALSUM: back_globalsum(t, i, dx); break;
    case MGI_RESHAPE: back_reshape(t, i, work, dx); break;
    case MGI_VQ: back_vq(t, i, count, dx); break;
    default: back_pool(t, i, dx); break;
    }
    back_give(t, j, dx);
}

void mgi_backward_node(mgi_tape *t, int i, float *work)
{
    float *spare = work;
    if (!t->written[i])
        return;
    work = work ? work + back_spare(t, i) : NULL;
    switch (t->net->node[i].kind) {
    case MGI_CONV:
    case MGI_CONVT: back_conv(t, i, spare, work); break;
    case MGI_LINEAR: back_linear(t, i, spare, work); break;
    case MGI_BATCHNORM: back_batchnorm(t, i, spare); break;
    case MGI_LIF: back_lif(t, i, spare, work); break;
    case MGI_ADD: back_add(t, i); break;
    case MGI_CONCAT: back_concat(t, i); break;
    case MGI_INPUT: break;
    default: back_plain(t, i, spare, work); break;
    }
}
#undef BACK_CHUNK
#undef BACK_ALIGN
/* ---- end net/backward.c ------------------------------------------------------------- */

/* ---- begin opt/tt.c ----------------------------------------------------------------- */
/* tt.c - sampling, likelihood and its gradient for a tensor train; see tt.h.
 * Inner loops are written once for any (n, r1, r2) and inlined with constants
 * for rank 5, and for rank 5 with two levels, the case of quantized modes.
 */
#include <float.h>
#include <math.h>

#define TT_RNG_INIT 0x54540001u
#define TT_RNG_SAMPLE 0x54540002u
#define TT_BLOCK 16 /* samples that advance together, so that their chains overlap */
#define TT_B1 0.9     /* Adam */
#define TT_B2 0.999
#define TT_EPS 1e-8f
#define TT_CHUNK 32     /* parameters of one inner loop of Adam */
#define TT_GRAIN 131072 /* parameters below which Adam stays on one thread */
#define TT_SCALE(j) (((j) & 3) == 3) /* modes at which left vectors are scaled */

#if defined(__GNUC__)
#define TT_INLINE static inline __attribute__((always_inline))
#else
#define TT_INLINE static
#endif

/* TT_UNROLL goes before a loop over ranks: gcc unrolls it at -O2 only when told. */
#if defined(__GNUC__) && !defined(__clang__)
#define TT_UNROLL _Pragma("GCC unroll 5")
#else
#define TT_UNROLL
#endif

/* Run f(n, r1, r2, ...) with constants where a fast case exists. */
#define TT_CALL(f, n, r1, r2, ...)                                                       \
    do {                                                                                 \
        if ((r1) == 5 && (r2) == 5 && (n) == 2)                                          \
            f(2, 5, 5, __VA_ARGS__);                                                     \
        else if ((r1) == 5 && (r2) == 5)                                                 \
            f((n), 5, 5, __VA_ARGS__);                                                   \
        else                                                                             \
            f((n), (r1), (r2), __VA_ARGS__);                                             \
    } while (0)

/* ---- memory ------------------------------------------------------------- */

static void tt_plan(mgi_tt *t, const mango_idx *vsize)
{
    mango_idx lr = 0, cr = 0;
    const int ok = mgi_prod(3, (mango_idx[3]){t->d + 1, t->rows, t->rmax}, &lr) &&
                   mgi_prod(3, (mango_idx[3]){t->nmax, t->rmax, t->rmax}, &cr);
    mgi_arena *a = &t->arena;
    mgi_arena_plan(a, ok ? t->padded : PTRDIFF_MAX, sizeof(double));
    for (int i = 0; i < 3; i++)
        mgi_arena_plan(a, t->padded, sizeof(float));
    mgi_arena_plan(a, (t->d + 1) * t->rmax, sizeof(double));
    mgi_arena_plan(a, t->d, sizeof(double));
    mgi_arena_plan(a, *vsize, sizeof(double));
    mgi_arena_plan(a, *vsize, sizeof(double));
    mgi_arena_plan(a, lr, sizeof(double));
    mgi_arena_plan(a, lr, sizeof(double));
    mgi_arena_plan(a, t->d * t->rows, sizeof(double));
    mgi_arena_plan(a, t->nmax, sizeof(double));
    mgi_arena_plan(a, cr, sizeof(double));
    mgi_arena_plan(a, 2 * t->rmax, sizeof(double));
    for (int i = 0; i < 4; i++)
        mgi_arena_plan(a, t->d + 1, sizeof(mango_idx));
}

static void tt_take(mgi_tt *t, mango_idx vsize)
{
    const mango_idx lr = (t->d + 1) * t->rows * t->rmax;
    mgi_arena *a = &t->arena;
    t->G = mgi_arena_take(a, t->padded, sizeof(double));
    t->g = mgi_arena_take(a, t->padded, sizeof(float));
    t->m = mgi_arena_take(a, t->padded, sizeof(float));
    t->v = mgi_arena_take(a, t->padded, sizeof(float));
    t->z = mgi_arena_take(a, (t->d + 1) * t->rmax, sizeof(double));
    t->zs = mgi_arena_take(a, t->d, sizeof(double));
    t->V = mgi_arena_take(a, vsize, sizeof(double));
    t->U = mgi_arena_take(a, vsize, sizeof(double));
    t->L = mgi_arena_take(a, lr, sizeof(double));
    t->C = mgi_arena_take(a, lr, sizeof(double));
    t->ls = mgi_arena_take(a, t->d * t->rows, sizeof(double));
    t->q = mgi_arena_take(a, t->nmax, sizeof(double));
    t->core = mgi_arena_take(a, t->nmax * t->rmax * t->rmax, sizeof(double));
    t->gz = mgi_arena_take(a, 2 * t->rmax, sizeof(double));
    t->n = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->r = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->off = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
    t->voff = mgi_arena_take(a, t->d + 1, sizeof(mango_idx));
}

static mango_idx tt_rank(mango_idx d, mango_idx r, mango_idx j)
{
    return j == 0 || j == d ? 1 : r;
}

mango_status mgi_tt_init(mgi_tt *t, mango_idx d, const mango_idx *n, mango_idx r,
                         mango_idx rows, const mango_alloc *al)
{
    mango_idx vsize = 0;
    memset(t, 0, sizeof *t);
    mgi_arena_init(&t->arena, al);
    t->d = d, t->rmax = r, t->rows = MGI_MAX(rows, TT_BLOCK);
    for (mango_idx j = 0; j < d; j++) {
        mango_idx v, s;
        if (!mgi_mul(n[j], tt_rank(d, r, j), &v) || !mgi_mul(v, tt_rank(d, r, j + 1), &s) ||
            !mgi_add(vsize, v, &vsize) || !mgi_add(t->size, s, &t->size))
            return MANGO_E_MEM;
        t->nmax = MGI_MAX(t->nmax, n[j]);
    }
    if (!mgi_add(t->size, TT_CHUNK - 1, &t->padded))
        return MANGO_E_MEM;
    t->padded -= t->padded % TT_CHUNK;
    tt_plan(t, &vsize);
    MGI_TRY(mgi_arena_commit(&t->arena));
    tt_take(t, vsize);
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx r1 = tt_rank(d, r, j), r2 = tt_rank(d, r, j + 1);
        t->n[j] = n[j], t->r[j] = r1;
        t->voff[j + 1] = t->voff[j] + n[j] * r1;
        t->off[j + 1] = t->off[j] + n[j] * r1 * r2;
    }
    t->r[d] = 1, t->b1t = t->b2t = 1.0;
    return MANGO_OK;
}

void mgi_tt_free(mgi_tt *t)
{
    mgi_arena_free(&t->arena);
}

void mgi_tt_touch(mgi_tt *t)
{
    t->fresh = 0;
}

void mgi_tt_uniform(mgi_tt *t, uint64_t seed, uint64_t index0)
{
    for (mango_idx j = 0; j < t->d; j++) {
        mango_rng rng;
        mango_rng_init(&rng, seed, TT_RNG_INIT, index0 + (uint64_t)j);
        for (mango_idx i = t->off[j]; i < t->off[j + 1]; i++)
            t->G[i] = (double)mango_rng_uniformf(&rng);
    }
    memset(t->m, 0, (size_t)t->padded * sizeof *t->m);
    memset(t->v, 0, (size_t)t->padded * sizeof *t->v);
    t->b1t = t->b2t = 1.0;
    t->fresh = 0;
}

/* ---- interface vectors, sampling ---------------------------------------- */

/* Scale x (r) by a power of two when it leaves [2^-64, 2^64]; returns it. A
 * zero vector stays. Rarely taken, so off the critical path. */
TT_INLINE double tt_scale(mango_idx r, double *x)
{
    double m = 0.0, s = 1.0;
    TT_UNROLL
    for (mango_idx a = 0; a < r; a++) {
        const double b = fabs(x[a]);
        m = b > m ? b : m;
    }
    if ((m > 0x1p-64 && m < 0x1p64) || m == 0.0 || !(m <= DBL_MAX))
        return 1.0;
    for (; m * s > 0x1p32; s *= 0x1p-32) {}
    for (; m * s < 0x1p-32; s *= 0x1p32) {}
    TT_UNROLL
    for (mango_idx a = 0; a < r; a++)
        x[a] *= s;
    return s;
}

/* V[i] = G[i] z, z1 = sum_i V[i]: (1) for one core. */
TT_INLINE void tt_right(mango_idx n, mango_idx r1, mango_idx r2, const double *G,
                        const double *z, double *V, double *z1)
{
    TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        z1[a] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            double s = 0.0;
            TT_UNROLL
            for (mango_idx b = 0; b < r2; b++)
                s += G[(i * r1 + a) * r2 + b] * z[b];
            V[i * r1 + a] = s;
            z1[a] += s;
        }
}

static void tt_interfaces(mgi_tt *t)
{
    if (t->fresh)
        return;
    t->z[t->d * t->rmax] = 1.0;
    for (mango_idx j = t->d - 1; j >= 0; j--) {
        double *z = t->z + j * t->rmax;
        TT_CALL(tt_right, t->n[j], t->r[j], t->r[j + 1], t->G + t->off[j], z + t->rmax,
                t->V + t->voff[j], z);                                          /* (1) */
        t->zs[j] = tt_scale(t->r[j], z);
    }
    t->fresh = 1;
}

/* l2 = l Gi, one matrix: (2). */
TT_INLINE void tt_left(mango_idx r1, mango_idx r2, const double *Gi, const double *l,
                       double *l2)
{
    TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        l2[b] = 0.0;
    TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        TT_UNROLL
        for (mango_idx b = 0; b < r2; b++)
            l2[b] += l[a] * Gi[a * r2 + b];
}

/* The first i where the running sum of |q| passes u * total; levels of weight
 * zero are never taken. Uniform when the weights say nothing. */
TT_INLINE mango_idx tt_pick(mango_idx n, const double *q, double u)
{
    double S = 0.0, c = 0.0;
    mango_idx last = 0;
    TT_UNROLL
    for (mango_idx i = 0; i < n; i++)
        S += q[i];
    if (!(S > 0.0 && S <= DBL_MAX))
        return (mango_idx)(u * (double)n);
    const double x = u * S;
    if (n == 2) /* the loop below, without branches */
        return !(q[0] > x) & (q[1] > 0.0);
    for (mango_idx i = 0; i < n; i++) {
        if (!(q[i] > 0.0))
            continue;
        c += q[i], last = i;
        if (c > x)
            break;
    }
    return last;
}

/* One mode, all samples of a block: (3), draw, (2). I has row stride d. */
TT_INLINE void tt_draw(mango_idx n, mango_idx r1, mango_idx r2, const mgi_tt *t,
                       mango_idx j, mango_idx K, mango_rng *rng, mango_idx *I)
{
    const double *G = t->G + t->off[j];
    const double *V = t->V + t->voff[j];
    double *L = t->L + (j % 2) * t->rows * t->rmax;
    double *L2 = t->L + ((j + 1) % 2) * t->rows * t->rmax;
    for (mango_idx k = 0; k < K; k++) {
        const double *l = L + k * t->rmax;
        double two[2], *q = n == 2 ? two : t->q;
        TT_UNROLL
        for (mango_idx i = 0; i < n; i++) {
            double s = 0.0;
            TT_UNROLL
            for (mango_idx a = 0; a < r1; a++)
                s += l[a] * V[i * r1 + a];
            q[i] = fabs(s);                                                     /* (3) */
        }
        const double u = n <= 4096 ? (double)mango_rng_uniformf(rng + k)
                                   : mango_rng_uniform(rng + k);
        const mango_idx i = tt_pick(n, q, u);
        I[k * t->d + j] = i;
        tt_left(r1, r2, G + i * r1 * r2, l, L2 + k * t->rmax);                  /* (2) */
        if (TT_SCALE(j))
            tt_scale(r2, L2 + k * t->rmax);
    }
}

void mgi_tt_sample(mgi_tt *t, mango_idx K, uint64_t seed, uint64_t first, mango_idx *I)
{
    mango_rng rng[TT_BLOCK];
    tt_interfaces(t);
    for (mango_idx k0 = 0; k0 < K; k0 += TT_BLOCK) {
        const mango_idx kn = MGI_MIN(TT_BLOCK, K - k0);
        for (mango_idx k = 0; k < kn; k++) {
            mango_rng_init(rng + k, seed, TT_RNG_SAMPLE, first + (uint64_t)(k0 + k));
            t->L[k * t->rmax] = 1.0;
        }
        for (mango_idx j = 0; j < t->d; j++)
            TT_CALL(tt_draw, t->n[j], t->r[j], t->r[j + 1], t, j, kn, rng, I + k0 * t->d);
    }
}

/* ---- likelihood and gradient -------------------------------------------- */

/* (3) for one row at one mode, and what it says to its surroundings:
 *   A[i] = d log p / d q[i] = [i = i_j]/q[i_j] - sign(q[i])/S,
 *   U[i] += A[i] l,  c = sum_i A[i] V[i].          Returns p(i_j | ...). */
TT_INLINE double tt_condition(mango_idx n, mango_idx r1, const double *V, const double *l,
                              mango_idx ij, double *q, double *U, double *c)
{
    double S = 0.0;
    TT_UNROLL
    for (mango_idx i = 0; i < n; i++) {
        q[i] = 0.0;
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++)
            q[i] += l[a] * V[i * r1 + a];
        S += fabs(q[i]);
    }
    const double p0 = fabs(q[ij]);
    TT_UNROLL
    for (mango_idx a = 0; a < r1; a++)
        c[a] = 0.0;
    if (!(S > 0.0 && S <= DBL_MAX))
        return 1.0 / (double)n;
    if (!(p0 >= DBL_MIN))
        return 0.0;
    const double iS = 1.0 / S, iq = 1.0 / q[ij];
    TT_UNROLL
    for (mango_idx i = 0; i < n; i++) {
        const double A = (i == ij ? iq : 0.0) - (q[i] > 0.0 ? iS : q[i] < 0.0 ? -iS : 0.0);
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            U[i * r1 + a] += A * l[a];
            c[a] += A * V[i * r1 + a];
        }
    }
    return p0 * iS;
}

/* Mode j of the pass from the left: L_{j+1}, U_j and the direct part of C_j
 * for K rows; ll += log p when wanted. */
TT_INLINE void tt_forward(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                          mango_idx K, const mango_idx *I, double *ll)
{
    const double *V = t->V + t->voff[j];
    double *U = t->U + t->voff[j], two[2];
    for (mango_idx i = 0; i < n * r1; i++)
        U[i] = 0.0;
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx ij = I[k * t->d + j], at = (j * t->rows + k) * t->rmax;
        double *l = t->L + at, *l2 = l + t->rows * t->rmax;
        const double p =
            tt_condition(n, r1, V, l, ij, n == 2 ? two : t->q, U, t->C + at);   /* (3) */
        if (ll)
            ll[k] += mgi_log(p);                                                /* (4) */
        tt_left(r1, r2, t->G + t->off[j] + ij * r1 * r2, l, l2);                /* (2) */
        t->ls[j * t->rows + k] = TT_SCALE(j) ? tt_scale(r2, l2) : 1.0;
    }
}

static void tt_forward_all(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll)
{
    tt_interfaces(t);
    for (mango_idx k = 0; k < K; k++)
        t->L[k * t->rmax] = 1.0;
    for (mango_idx j = 0; j < t->d; j++)
        TT_CALL(tt_forward, t->n[j], t->r[j], t->r[j + 1], t, j, K, I, ll);
}

void mgi_tt_loglik(mgi_tt *t, mango_idx K, const mango_idx *I, double *ll)
{
    for (mango_idx k0 = 0; k0 < K; k0 += t->rows) {
        const mango_idx kn = MGI_MIN(t->rows, K - k0);
        for (mango_idx k = 0; k < kn; k++)
            ll[k0 + k] = 0.0;
        tt_forward_all(t, kn, I + k0 * t->d, ll + k0);
    }
}

/* C_j += s l-chain: d/dl_j gets G_j[i_j] d/dl_{j+1}, the transpose of (2). */
TT_INLINE void tt_back(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                       mango_idx K, const mango_idx *I)
{
    (void)n;
    for (mango_idx k = 0; k < K; k++) {
        const double *Gi = t->G + t->off[j] + I[k * t->d + j] * r1 * r2;
        double *c = t->C + (j * t->rows + k) * t->rmax;
        const double *c2 = c + t->rows * t->rmax, s = t->ls[j * t->rows + k];
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            double x = 0.0;
            TT_UNROLL
            for (mango_idx b = 0; b < r2; b++)
                x += Gi[a * r2 + b] * c2[b];
            c[a] += s * x;
        }
    }
}

/* Core j complete: through V_j (its own q's and the chain of z, whose gradient
 * gz comes from the left and goes on as gz2) and through l_{j+1}. */
TT_INLINE void tt_core(mango_idx n, mango_idx r1, mango_idx r2, mgi_tt *t, mango_idx j,
                       mango_idx K, const mango_idx *I, const double *gz, double *gz2)
{
    const double *G = t->G + t->off[j];
    const double *U = t->U + t->voff[j], *z = t->z + (j + 1) * t->rmax, zs = t->zs[j];
    double *D = t->core;
    TT_UNROLL
    for (mango_idx b = 0; b < r2; b++)
        gz2[b] = 0.0;
    for (mango_idx i = 0; i < n; i++)
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const double e = U[i * r1 + a] + zs * gz[a];
            const mango_idx at = (i * r1 + a) * r2;
            TT_UNROLL
            for (mango_idx b = 0; b < r2; b++) {
                D[at + b] = e * z[b];
                gz2[b] += e * G[at + b];
            }
        }
    for (mango_idx k = 0; k < K; k++) {
        const mango_idx at = (j * t->rows + k) * t->rmax;
        const double *l = t->L + at, *c2 = t->C + at + t->rows * t->rmax;
        double *Di = D + I[k * t->d + j] * r1 * r2;
        TT_UNROLL
        for (mango_idx a = 0; a < r1; a++) {
            const double s = t->ls[j * t->rows + k] * l[a];
            TT_UNROLL
            for (mango_idx b = 0; b < r2; b++)
                Di[a * r2 + b] += s * c2[b];
        }
    }
}

/* g = -D/K as floats within +-1e15; NaN becomes 0. */
static void tt_store(mango_idx n, const double *D, double w, float *g)
{
    for (mango_idx i = 0; i < n; i++) {
        double x = w * D[i];
        x = x > 1e15 ? 1e15 : x;
        x = x > -1e15 ? x : x <= -1e15 ? -1e15 : 0.0;
        g[i] = (float)x;
    }
}

void mgi_tt_gradient(mgi_tt *t, mango_idx K, const mango_idx *I, float *g)
{
    const mango_idx d = t->d;
    double *gz = t->gz, *gz2 = t->gz + t->rmax;
    assert(K >= 1 && K <= t->rows);
    tt_forward_all(t, K, I, NULL);
    for (mango_idx k = 0; k < K; k++) /* nothing depends on l_{d+1} */
        t->C[(d * t->rows + k) * t->rmax] = 0.0;
    for (mango_idx j = d - 1; j > 0; j--)
        TT_CALL(tt_back, t->n[j], t->r[j], t->r[j + 1], t, j, K, I);
    gz[0] = 0.0; /* nor on z_1 */
    for (mango_idx j = 0; j < d; j++) {
        TT_CALL(tt_core, t->n[j], t->r[j], t->r[j + 1], t, j, K, I, gz, gz2);
        tt_store(t->off[j + 1] - t->off[j], t->core, -1.0 / (double)K, g + t->off[j]);
        double *swap = gz;
        gz = gz2, gz2 = swap;
    }
}

/* ---- learning ----------------------------------------------------------- */

/* (5) for one chunk. c1, c2: the two bias corrections. Loops of fixed length
 * become vector code; the root has its own, as compilers keep it scalar.
 * Moments below 1e-18 are dropped: eps rules there, and denormals are slow. */
static void tt_adam(float lr, float c1, float c2, const float *restrict g,
                        float *restrict m, float *restrict v, double *restrict G)
{
    const float a1 = (float)(1.0 - TT_B1), a2 = (float)(1.0 - TT_B2);
    const float b1 = (float)TT_B1, b2 = (float)TT_B2;
    float root[TT_CHUNK];
    for (int i = 0; i < TT_CHUNK; i++) {
        const float mi = b1 * m[i] + a1 * g[i];
        const float vi = b2 * v[i] + a2 * (g[i] * g[i]);
        m[i] = fabsf(mi) > 1e-18f ? mi : 0.0f;
        v[i] = vi > 1e-36f ? vi : 0.0f;
    }
    for (int i = 0; i < TT_CHUNK; i++)
        root[i] = sqrtf(c2 * v[i]);
    for (int i = 0; i < TT_CHUNK; i++)
        G[i] -= (double)(lr * (c1 * m[i]) / (root[i] + TT_EPS));            /* (5) */
}

void mgi_tt_learn(mgi_tt *t, mango_idx steps, double lr, mango_idx K, const mango_idx *I)
{
    for (mango_idx s = 0; s < steps; s++) {
        mgi_tt_gradient(t, K, I, t->g);
        t->b1t *= TT_B1, t->b2t *= TT_B2;
        const float c1 = (float)(1.0 / (1.0 - t->b1t)), c2 = (float)(1.0 / (1.0 - t->b2t));
        MGI_OMP(parallel for if (t->padded >= TT_GRAIN))
        for (mango_idx i = 0; i < t->padded; i += TT_CHUNK)
            tt_adam((float)lr, c1, c2, t->g + i, t->m + i, t->v + i, t->G + i);
        t->fresh = 0;
    }
}

#undef TT_B1
#undef TT_B2
#undef TT_EPS
#undef TT_CHUNK
#undef TT_GRAIN
#undef TT_RNG_INIT
#undef TT_RNG_SAMPLE
#undef TT_BLOCK
#undef TT_SCALE
#undef TT_INLINE
#undef TT_UNROLL
#undef TT_CALL
/* ---- end opt/tt.c ------------------------------------------------------------------- */

/* ---- begin opt/qtt.c ---------------------------------------------------------------- */
/* qtt.c - quantized modes: a mode of 2^q levels as q modes of two.
 * Bits are little-endian within each mode: i = b_0 + 2 b_1 + 4 b_2 + ...
 */

/* q when n = 2^q with q >= 1, else 0: the mode stays as it is. */
static mango_idx qtt_bits(mango_idx n)
{
    mango_idx q = 0;
    if (n < 2 || (n & (n - 1)) != 0)
        return 0;
    for (; n > 1; n >>= 1)
        q++;
    return q;
}

mango_idx mgi_qtt_modes(mango_idx d, const mango_idx *n, mango_idx *nq)
{
    mango_idx m = 0;
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx q = qtt_bits(n[j]);
        for (mango_idx s = 0; s < MGI_MAX(q, 1); s++, m++)
            if (nq)
                nq[m] = q ? 2 : n[j];
    }
    return m;
}

void mgi_qtt_split(mango_idx d, const mango_idx *n, const mango_idx *I, mango_idx *Iq)
{
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx q = qtt_bits(n[j]);
        if (q == 0)
            *Iq++ = I[j];
        for (mango_idx s = 0; s < q; s++)
            *Iq++ = (I[j] >> s) & 1;
    }
}

void mgi_qtt_join(mango_idx d, const mango_idx *n, const mango_idx *Iq, mango_idx *I)
{
    for (mango_idx j = 0; j < d; j++) {
        const mango_idx q = qtt_bits(n[j]);
        I[j] = q == 0 ? *Iq++ : 0;
        for (mango_idx s = 0; s < q; s++)
            I[j] |= *Iq++ << s;
    }
}
/* ---- end opt/qtt.c ------------------------------------------------------------------ */

/* ---- begin opt/random.c ------------------------------------------------------------- */
/* random.c - uniform random search: the baseline that learns nothing.
 */

#define RANDOM_RNG 0x524e4401u

/* Proposal number `asked` has its own stream, so that asking 10 codes once or
 * one code ten times is the same. */
static mango_status random_ask(mango_opt *o, mango_idx K, mango_idx *I)
{
    for (mango_idx k = 0; k < K; k++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, RANDOM_RNG, o->asked + (uint64_t)k);
        for (mango_idx j = 0; j < o->d; j++)
            I[k * o->d + j] = mango_rng_int(&rng, o->n[j]);
    }
    return MANGO_OK;
}

const mgi_method *mgi_method_random(void)
{
    static const mgi_method method = {NULL, random_ask, NULL, NULL, NULL};
    return &method;
}

#undef RANDOM_RNG
/* ---- end opt/random.c --------------------------------------------------------------- */

/* ---- begin opt/protes.c ------------------------------------------------------------- */
/* protes.c - PROTES: optimization by sampling from a tensor train.
 *
 * ask:  K multi-indices drawn from the distribution p of the cores (tt.h).
 * tell: the k_top best of what was told since the last ask are the elite.
 *       Before the next ask the cores take k_gd steps of Adam that make the
 *       elite more likely: down the mean of -log p over it.
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets, "PROTES: probabilistic
 * optimization with tensor sampling", 2023.
 */

#define PROTES_BLOCK 16 /* samples drawn before their bits are joined */

typedef struct protes {
    mgi_tt tt;
    mgi_arena arena;
    mango_idx dq;          /* modes of the tensor train */
    mango_idx *Iq;         /* (PROTES_BLOCK, dq) samples before their bits are joined */
    mango_idx *top;        /* (k_top, dq) elite, best first */
    double *y;             /* (k_top) its values */
    mango_idx n_top;
} protes;

static mango_status protes_ask(mango_opt *o, mango_idx K, mango_idx *I)
{
    protes *p = o->state;
    if (p->n_top > 0)
        mgi_tt_learn(&p->tt, o->opt.k_gd, o->opt.lr, p->n_top, p->top);
    p->n_top = 0;
    if (!o->opt.quantized) {
        mgi_tt_sample(&p->tt, K, o->seed, o->asked, I);
        return MANGO_OK;
    }
    for (mango_idx k = 0; k < K; k += PROTES_BLOCK) {
        const mango_idx kn = MGI_MIN(PROTES_BLOCK, K - k);
        mgi_tt_sample(&p->tt, kn, o->seed, o->asked + (uint64_t)k, p->Iq);
        for (mango_idx i = 0; i < kn; i++)
            mgi_qtt_join(o->d, o->n, p->Iq + i * p->dq, I + (k + i) * o->d);
    }
    return MANGO_OK;
}

/* Keep the k_top best, best first; of equal values the one told first. */
static void protes_tell(mango_opt *o, mango_idx K, const mango_idx *I, const double *y)
{
    protes *p = o->state;
    const size_t row = (size_t)p->dq * sizeof *p->top;
    for (mango_idx k = 0; k < K; k++) {
        mango_idx at = p->n_top;
        while (at > 0 && y[k] > p->y[at - 1])
            at--;
        if (y[k] != y[k] || at == o->opt.k_top)
            continue;
        p->n_top = MGI_MIN(p->n_top + 1, o->opt.k_top);
        const size_t move = (size_t)(p->n_top - 1 - at);
        memmove(p->y + at + 1, p->y + at, move * sizeof *p->y);
        memmove(p->top + (at + 1) * p->dq, p->top + at * p->dq, move * row);
        p->y[at] = y[k];
        if (o->opt.quantized)
            mgi_qtt_split(o->d, o->n, I + k * o->d, p->top + at * p->dq);
        else
            memcpy(p->top + at * p->dq, I + k * o->d, row);
    }
}

static void protes_restart(mango_opt *o, uint64_t epoch)
{
    protes *p = o->state;
    mgi_tt_uniform(&p->tt, o->seed, epoch << 32);
    p->n_top = 0;
}

static void protes_destroy(mango_opt *o)
{
    protes *p = o->state;
    if (!p)
        return;
    mgi_tt_free(&p->tt);
    mgi_arena_free(&p->arena);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status protes_alloc(mango_opt *o, protes *p)
{
    const mango_idx k_top = o->opt.k_top, dq = p->dq;
    mango_idx rows;
    if (!mgi_mul(k_top, dq, &rows))
        return MANGO_E_MEM;
    mgi_arena *a = &p->arena;
    mgi_arena_plan(a, PROTES_BLOCK * dq, sizeof(mango_idx));
    mgi_arena_plan(a, rows, sizeof(mango_idx));
    mgi_arena_plan(a, k_top, sizeof(double));
    MGI_TRY(mgi_arena_commit(a));
    p->Iq = mgi_arena_take(a, PROTES_BLOCK * dq, sizeof(mango_idx));
    p->top = mgi_arena_take(a, rows, sizeof(mango_idx));
    p->y = mgi_arena_take(a, k_top, sizeof(double));
    return MANGO_OK;
}

static mango_status protes_create(mango_opt *o, mango_err *err)
{
    protes *p = mgi_new(&o->al, 1, sizeof *p);
    if (!(o->state = p))
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory");
    mgi_arena_init(&p->arena, &o->al);
    const mango_idx dq = o->opt.quantized ? mgi_qtt_modes(o->d, o->n, NULL) : o->d;
    mango_idx *nq = mgi_new(&o->al, dq, sizeof *nq);
    if (!nq)
        return mgi_fail(err, MANGO_E_MEM, "protes: out of memory for %td modes", dq);
    if (o->opt.quantized)
        mgi_qtt_modes(o->d, o->n, nq);
    else
        memcpy(nq, o->n, (size_t)dq * sizeof *nq);
    p->dq = dq;
    mango_status st = mgi_tt_init(&p->tt, dq, nq, o->opt.r, o->opt.k_top, &o->al);
    mgi_del(&o->al, nq, dq, sizeof *nq);
    if (st == MANGO_OK)
        st = protes_alloc(o, p);
    if (st < 0)
        return mgi_fail(err, st, "protes: out of memory for %td cores of rank %td", dq,
                        o->opt.r);
    protes_restart(o, 0);
    return MANGO_OK;
}

const mgi_method *mgi_method_protes(void)
{
    static const mgi_method method = {protes_create, protes_ask, protes_tell,
                                      protes_restart, protes_destroy};
    return &method;
}

#undef PROTES_BLOCK
/* ---- end opt/protes.c --------------------------------------------------------------- */

/* ---- begin opt/opt.c ---------------------------------------------------------------- */
/* opt.c - the ask/tell interface: presets, checks, the best so far.
 * The methods themselves are one file each, behind mgi_method (method.h).
 */

#define OPT_BLOCK 64 /* values handed to a method at once */

typedef struct opt_preset {
    const char *name;
    const mgi_method *(*method)(void);
    mango_opt_options o;
} opt_preset;

/*                       method                k   top gd lr    r  qtt min budget */
static const opt_preset opt_presets[] = {
    {"tt", mgi_method_protes, {10, 1, 1, 0.05, 5, 1, 0, 0}},
    {"tt-s", mgi_method_protes, {5, 1, 1, 0.05, 5, 1, 0, 0}},
    {"tt-b", mgi_method_protes, {25, 5, 1, 0.05, 5, 1, 0, 0}},
    {"tt-exp", mgi_method_protes, {100, 10, 1, 0.1, 5, 1, 0, 0}},
    {"protes", mgi_method_protes, {100, 10, 1, 0.05, 5, 0, 0, 0}},
    {"random", mgi_method_random, {10, 1, 1, 0.05, 5, 0, 0, 0}},
};

const char *const *mango_opt_names(void)
{
    static const char *const names[] = {"tt",     "tt-s",   "tt-b", "tt-exp",
                                        "protes", "random", NULL};
    return names;
}

static const opt_preset *opt_find(const char *name, mango_err *err)
{
    for (mango_idx i = 0; i < MGI_COUNT(opt_presets); i++)
        if (name && strcmp(name, opt_presets[i].name) == 0)
            return opt_presets + i;
    char near[128];
    mgi_near(name ? name : "", MGI_COUNT(opt_presets), mango_opt_names(), near,
             sizeof near);
    mgi_fail(err, MANGO_E_NAME, "optimizer '%.64s' is not known; near: %s",
             name ? name : "", near);
    return NULL;
}

mango_status mango_opt_defaults(const char *name, mango_opt_options *o, mango_err *err)
{
    MGI_REQUIRE(o);
    const opt_preset *p = opt_find(name, err);
    if (!p)
        return MANGO_E_NAME;
    *o = p->o;
    return MANGO_OK;
}

static mango_status opt_check(const mango_opt_options *o, mango_err *err)
{
    const struct { const char *name; mango_idx v, lo, hi; } field[] = {
        {"k", o->k, 1, 1 << 20},       {"k_top", o->k_top, 1, o->k},
        {"k_gd", o->k_gd, 1, 10000},   {"r", o->r, 1, 256},
        {"quantized", o->quantized, 0, 1}, {"minimize", o->minimize, 0, 1},
        {"budget", o->budget, 0, PTRDIFF_MAX},
    };
    for (mango_idx i = 0; i < MGI_COUNT(field); i++)
        if (field[i].v < field[i].lo || field[i].v > field[i].hi)
            return mgi_fail(err, MANGO_E_ARG,
                            "optimizer option %s is %td, expected %td..%td", field[i].name,
                            field[i].v, field[i].lo, field[i].hi);
    if (!(o->lr > 0.0 && o->lr <= 1e6))
        return mgi_fail(err, MANGO_E_ARG, "optimizer option lr must be in (0, 1e6]");
    return MANGO_OK;
}

static mango_status opt_check_modes(const mango_modes *m, mango_err *err)
{
    if (!m || !m->n || m->d < 1 || m->d > (mango_idx)1 << 20)
        return mgi_fail(err, MANGO_E_ARG, "optimizer: 1..2^20 modes expected");
    for (mango_idx j = 0; j < m->d; j++)
        if (m->n[j] < 1 || m->n[j] > (mango_idx)1 << 24)
            return mgi_fail(err, MANGO_E_ARG, "mode %td has %td levels, expected 1..2^24",
                            j, m->n[j]);
    return MANGO_OK;
}

mango_status mango_opt_create(mango_opt **opt, const char *name, const mango_modes *modes,
                              const mango_opt_options *o, uint64_t seed,
                              const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(opt);
    *opt = NULL;
    const opt_preset *p = opt_find(name, err);
    if (!p)
        return MANGO_E_NAME;
    MGI_TRY(opt_check_modes(modes, err));
    MGI_TRY(opt_check(o ? o : &p->o, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_status st = MANGO_E_MEM;
    mango_opt *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, st, "optimizer: out of memory");
    x->al = a, x->method = p->method(), x->opt = o ? *o : p->o;
    x->d = modes->d, x->seed = seed;
    x->n = mgi_new(&a, x->d, sizeof *x->n);
    x->best_I = mgi_new(&a, x->d, sizeof *x->best_I);
    if (!x->n || !x->best_I) {
        mgi_fail(err, st, "optimizer: out of memory for %td modes", x->d);
        goto done;
    }
    memcpy(x->n, modes->n, (size_t)x->d * sizeof *x->n);
    st = x->method->create ? x->method->create(x, err) : MANGO_OK;
done:
    if (st < 0)
        mango_opt_destroy(x);
    else
        *opt = x;
    return st;
}

void mango_opt_destroy(mango_opt *opt)
{
    if (!opt)
        return;
    const mango_alloc al = opt->al;
    if (opt->method->destroy)
        opt->method->destroy(opt);
    mgi_del(&al, opt->n, opt->d, sizeof *opt->n);
    mgi_del(&al, opt->best_I, opt->d, sizeof *opt->best_I);
    mgi_del(&al, opt, 1, sizeof *opt);
}

mango_status mango_opt_ask(mango_opt *opt, mango_idx cap, mango_idx *K, mango_idx *I)
{
    MGI_REQUIRE(opt);
    if (!K || !I || cap < 1 || *K < 0 || *K > cap)
        return mgi_fail(&opt->err, MANGO_E_ARG, "ask: 0 <= K <= cap, cap >= 1 expected");
    const mango_idx want = *K > 0 ? *K : MGI_MIN(cap, opt->opt.k);
    const mango_status st = opt->method->ask(opt, want, I);
    if (st < 0)
        return st;
    opt->asked += (uint64_t)want;
    *K = want;
    return st;
}

static void opt_best(mango_opt *opt, const mango_idx *I, double y)
{
    if (opt->has_best && !(opt->opt.minimize ? y < opt->best_y : y > opt->best_y))
        return;
    opt->has_best = 1;
    opt->best_y = y;
    memcpy(opt->best_I, I, (size_t)opt->d * sizeof *I);
}

mango_status mango_opt_tell(mango_opt *opt, mango_idx K, const mango_idx *I,
                            const double *y)
{
    MGI_REQUIRE(opt);
    const mango_idx d = opt->d;
    if (K < 0 || (K > 0 && (!I || !y)))
        return mgi_fail(&opt->err, MANGO_E_ARG, "tell: K >= 0, codes and values expected");
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < d; j++)
            if (I[k * d + j] < 0 || I[k * d + j] >= opt->n[j])
                return mgi_fail(&opt->err, MANGO_E_ARG,
                                "tell: row %td has level %td in mode %td, expected 0..%td",
                                k, I[k * d + j], j, opt->n[j] - 1);
    for (mango_idx k0 = 0; k0 < K; k0 += OPT_BLOCK) {
        double v[OPT_BLOCK];
        const mango_idx kn = MGI_MIN(OPT_BLOCK, K - k0);
        for (mango_idx k = 0; k < kn; k++) {
            const double yk = y[k0 + k], zero = yk - yk; /* NaN unless finite */
            v[k] = (opt->opt.minimize ? -yk : yk) + zero;
            if (zero == 0.0)
                opt_best(opt, I + (k0 + k) * d, yk);
        }
        if (opt->method->tell)
            opt->method->tell(opt, kn, I + k0 * d, v);
    }
    return MANGO_OK;
}

mango_status mango_opt_restart(mango_opt *opt)
{
    MGI_REQUIRE(opt);
    opt->epoch++;
    if (opt->method->restart)
        opt->method->restart(opt, opt->epoch);
    return MANGO_OK;
}

mango_status mango_opt_best(const mango_opt *opt, double *y, mango_idx *I)
{
    MGI_REQUIRE(opt);
    if (!opt->has_best)
        return MANGO_E_STATE;
    if (y)
        *y = opt->best_y;
    if (I)
        memcpy(I, opt->best_I, (size_t)opt->d * sizeof *I);
    return MANGO_OK;
}

const char *mango_opt_error(const mango_opt *opt)
{
    return opt ? opt->err.text : "";
}

#undef OPT_BLOCK
/* ---- end opt/opt.c ------------------------------------------------------------------ */

/* ---- begin data/bytes.c ------------------------------------------------------------- */
/* bytes.c - loads of any alignment and byte order, and gzip (RFC 1952).
 */
#include <sys/stat.h>

MGI_FN uint32_t mgi_le16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

MGI_FN uint32_t mgi_le32(const unsigned char *p)
{
    return mgi_le16(p) | mgi_le16(p + 2) << 16;
}

MGI_FN uint64_t mgi_le64(const unsigned char *p)
{
    return (uint64_t)mgi_le32(p) | (uint64_t)mgi_le32(p + 4) << 32;
}

MGI_FN uint32_t mgi_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           (uint32_t)p[3];
}

MGI_FN int mgi_little_endian(void)
{
    const uint16_t one = 1;
    unsigned char b[2];
    memcpy(b, &one, 2);
    return b[0] == 1;
}

MGI_FN int mgi_path_exists(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return 0;
    return S_ISDIR(s.st_mode) ? 2 : 1;
}

/* Offset of the deflate data behind the gzip header, or -1. */
static mango_idx bytes_gz_header(const unsigned char *in, mango_idx n)
{
    enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16, RESERVED = 0xE0 };
    mango_idx at = 10;
    if (n < 18 || in[0] != 0x1f || in[1] != 0x8b || in[2] != 8 || (in[3] & RESERVED))
        return -1;
    if (in[3] & FEXTRA) {
        at += 2 + (mango_idx)mgi_le16(in + 10);
        if (at > n)
            return -1;
    }
    for (int text = FNAME; text <= FCOMMENT; text *= 2)
        if (in[3] & text) {
            while (at < n && in[at])
                at++;
            at++;
        }
    if (in[3] & FHCRC)
        at += 2;
    return at <= n - 8 ? at : -1;
}

MGI_FN mango_status mgi_gunzip(const unsigned char *in, mango_idx n, mango_idx limit,
                               const char *what, const mango_codecs *codecs,
                               const mango_alloc *al, unsigned char **out, mango_idx *n_out,
                               mango_err *err)
{
    mango_idx at = bytes_gz_header(in, n), size, got;
    *out = NULL;
    if (at < 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: not a gzip file, or cut off in its header", what);
    if (!codecs || !codecs->inflate)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: compressed, and this build cannot inflate; unpack it by hand",
                        what);
    if (mgi_le32(in + n - 4) > (uint64_t)limit || limit > (mango_idx)INT_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: says it unpacks to %lu bytes, at most %ld expected", what,
                        (unsigned long)mgi_le32(in + n - 4), (long)limit);
    size = (mango_idx)mgi_le32(in + n - 4);
    if (size / 1032 > n)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: %ld bytes cannot hold the %ld it claims; truncated?", what,
                        (long)n, (long)size);
    *out = (unsigned char *)mgi_new(al, size + 1, 1);
    if (!*out)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what,
                        (long)size);
    got = codecs->inflate(codecs->ud, in + at, n - 8 - at, *out, size);
    *n_out = size;
    if (got == size && mgi_crc32(0, *out, size) == mgi_le32(in + n - 8))
        return MANGO_OK;
    mgi_del(al, *out, size + 1, 1);
    *out = NULL;
    return mgi_fail(err, MANGO_E_FORMAT, "%s: %s; truncated or damaged", what,
                    got == size ? "CRC-32 does not match"
                                : "does not unpack to the size it states");
}

MGI_FN int mgi_name_ok(const unsigned char *s, mango_idx n, mango_idx max)
{
    for (mango_idx i = 0; i < n; i++) {
        int more = s[i] < 0x80                   ? 0
                   : s[i] >= 0xc2 && s[i] < 0xe0 ? 1
                   : s[i] >= 0xe0 && s[i] < 0xf0 ? 2
                   : s[i] >= 0xf0 && s[i] < 0xf5 ? 3
                                                 : -1;
        if (s[i] < 32 || s[i] == 127 || more < 0 || more >= n - i)
            return 0;
        if ((s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) ||
            (s[i] == 0xf0 && s[i + 1] < 0x90) || (s[i] == 0xf4 && s[i + 1] > 0x8f))
            return 0;
        for (; more > 0; more--)
            if ((s[++i] & 0xc0) != 0x80)
                return 0;
    }
    return n >= 1 && n <= max;
}
/* ---- end data/bytes.c --------------------------------------------------------------- */

/* ---- begin data/idx.c --------------------------------------------------------------- */
/* idx.c - the IDX format of MNIST: two zero bytes, type, rank, big-endian
 * sizes, then the values.
 */

MGI_FN mango_status mgi_idx_parse(mgi_idx_array *a, const unsigned char *bytes, mango_idx n,
                                  const char *what, mango_err *err)
{
    memset(a, 0, sizeof *a);
    if (n < 4 || bytes[0] || bytes[1])
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: not an IDX file (two zero bytes expected at its start)", what);
    if (bytes[2] != 0x08)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: IDX type 0x%02x, unsigned bytes (0x08) expected", what,
                        (unsigned)bytes[2]);
    if (bytes[3] < 1 || bytes[3] > 4)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: IDX rank %d, 1 to 4 expected", what,
                        (int)bytes[3]);
    a->rank = bytes[3];
    if (n < 4 + 4 * a->rank)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: cut off in its header, after %ld bytes",
                        what, (long)n);
    for (int i = 0; i < a->rank; i++) {
        uint32_t size = mgi_be32(bytes + 4 + 4 * i);
        if (size < 1 || size > (uint32_t)MGI_DIM_MAX)
            return mgi_fail(err, MANGO_E_LIMIT,
                            "%s: size %lu in dimension %d, 1 to 2^24 expected", what,
                            (unsigned long)size, i);
        a->shape[i] = (mango_idx)size;
    }
    if (!mgi_prod(a->rank, a->shape, &a->count) || a->count != n - 4 - 4 * a->rank)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: its sizes do not match its %ld bytes of data; truncated?",
                        what, (long)(n - 4 - 4 * a->rank));
    a->data = bytes + 4 + 4 * a->rank;
    return MANGO_OK;
}
/* ---- end data/idx.c ----------------------------------------------------------------- */

/* ---- begin data/npy.c --------------------------------------------------------------- */
/* npy.c - NumPy's .npy files. The header is a Python dict in text form; only
 * the one shape that NumPy writes is understood, nothing is evaluated.
 */

enum { NPY_HEADER_MAX = 10000 };

static const struct {
    char descr[4];
    int size;
} npy_types[MANGO_NPY_TYPES] = {{"<f4", 4}, {"<f8", 8}, {"|i1", 1}, {"|u1", 1},
                                {"<i2", 2}, {"<i4", 4}, {"<i8", 8}, {"|b1", 1}};

/* What the header says, and the cursor in it. */
typedef struct npy_header {
    const char *p, *end;
    int seen; /* bit 0 descr, 1 fortran_order, 2 shape */
    int fortran;
} npy_header;

static void npy_space(npy_header *h)
{
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n' || *h->p == '\t'))
        h->p++;
}

/* The character c, blanks before it skipped. */
static int npy_char(npy_header *h, char c)
{
    npy_space(h);
    if (h->p >= h->end || *h->p != c)
        return 0;
    h->p++;
    return 1;
}

/* The word z as it stands, blanks before it skipped. */
static int npy_word(npy_header *h, const char *z)
{
    size_t n = strlen(z);
    npy_space(h);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, z, n))
        return 0;
    h->p += n;
    return 1;
}

/* 'xxx' or "xxx", without escapes, of less than cap bytes. */
static int npy_string(npy_header *h, char *out, int cap)
{
    char quote = 0;
    int n = 0;
    if (npy_char(h, '\''))
        quote = '\'';
    else if (npy_char(h, '"'))
        quote = '"';
    if (!quote)
        return 0;
    while (h->p<h->end && * h->p != quote && * h->p> 31 && *h->p != '\\' && n < cap - 1)
        out[n++] = *h->p++;
    out[n] = 0;
    return h->p < h->end && *h->p++ == quote;
}

/* (3, 4), (3,) or (). */
static int npy_shape(npy_header *h, mango_npy *a)
{
    if (!npy_char(h, '('))
        return 0;
    a->rank = 0;
    while (!npy_char(h, ')')) {
        int64_t v = 0;
        int digits = 0;
        npy_space(h);
        while (h->p < h->end && *h->p >= '0' && *h->p <= '9' && ++digits < 18)
            v = 10 * v + (*h->p++ - '0');
        if (!digits || v > INT32_MAX || a->rank == MGI_RANK_MAX)
            return 0;
        a->shape[a->rank++] = (mango_idx)v;
        if (!npy_char(h, ',')) {
            if (a->rank == 1) /* "(3)" is a number, not a tuple */
                return 0;
            return npy_char(h, ')');
        }
    }
    return 1;
}

static mango_status npy_descr(npy_header *h, mango_npy *a, const char *what, mango_err *err)
{
    char z[32];
    if (!npy_string(h, z, (int)sizeof z))
        return mgi_fail(
            err, MANGO_E_UNSUPPORTED,
            "%s: structured or unreadable element type, one plain type expected", what);
    for (int t = 0; t < MANGO_NPY_TYPES; t++)
        if (!strcmp(z, npy_types[t].descr)) {
            a->type = (mango_npy_type)t;
            return MANGO_OK;
        }
    return mgi_fail(err, MANGO_E_UNSUPPORTED,
                    "%s: element type '%s'%s; <f4 <f8 |i1 |u1 <i2 <i4 <i8 or |b1 expected",
                    what, z,
                    strchr(z, 'O') ? " (Python objects are never read)"
                    : z[0] == '>'  ? " (big-endian)"
                                   : "");
}

/* One 'key': value. */
static mango_status npy_entry(npy_header *h, mango_npy *a, const char *what, mango_err *err)
{
    char key[32];
    int bit, good = 1;
    if (!npy_string(h, key, (int)sizeof key) || !npy_char(h, ':'))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: malformed header, 'key': value expected",
                        what);
    bit = !strcmp(key, "descr")           ? 1
          : !strcmp(key, "fortran_order") ? 2
          : !strcmp(key, "shape")         ? 4
                                          : 0;
    if (!bit || (h->seen & bit))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: header key '%s' is %s", what, key,
                        bit ? "there twice" : "not one of descr, fortran_order, shape");
    h->seen |= bit;
    if (bit == 1)
        return npy_descr(h, a, what, err);
    if (bit == 2) {
        h->fortran = npy_word(h, "True");
        good = h->fortran || npy_word(h, "False");
    } else {
        good = npy_shape(h, a);
    }
    return good ? MANGO_OK
                : mgi_fail(err, MANGO_E_FORMAT,
                           "%s: unreadable %s in its header (rank at most %d)", what, key,
                           MGI_RANK_MAX);
}

static mango_status npy_dict(npy_header *h, mango_npy *a, const char *what, mango_err *err)
{
    if (!npy_char(h, '{'))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: malformed header, { expected", what);
    while (!npy_char(h, '}')) {
        MGI_TRY(npy_entry(h, a, what, err));
        if (npy_char(h, ','))
            continue;
        if (!npy_char(h, '}'))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s: malformed header, comma or } expected", what);
        break;
    }
    npy_space(h);
    if (h->p != h->end || h->seen != 7)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: malformed header, descr, fortran_order and shape expected",
                        what);
    return MANGO_OK;
}

/* Where the header's text begins and ends; checked against n. */
static mango_status npy_frame(const unsigned char *bytes, mango_idx n, mango_idx *start,
                              mango_idx *len, const char *what, mango_err *err)
{
    if (n < 10 || memcmp(bytes, "\x93NUMPY", 6))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: not a .npy file", what);
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: .npy version %d.%d, 1.0 to 3.0 expected", what, (int)bytes[6],
                        (int)bytes[7]);
    *start = bytes[6] == 1 ? 10 : 12;
    if (n < *start)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: truncated after %ld bytes", what,
                        (long)n);
    uint32_t size = bytes[6] == 1 ? mgi_le16(bytes + 8) : mgi_le32(bytes + 8);
    if (size > NPY_HEADER_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: a header of %lu bytes, at most %d expected", what,
                        (unsigned long)size, NPY_HEADER_MAX);
    *len = (mango_idx)size;
    if (*len > n - *start)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: truncated in its header, after %ld bytes",
                        what, (long)n);
    return MANGO_OK;
}

/* Element e of size bytes: to this machine's order. */
static void npy_element(unsigned char *out, const unsigned char *in, int size)
{
    const int same = mgi_little_endian();
    for (int b = 0; b < size; b++)
        out[b] = in[same ? b : size - 1 - b];
}

/* Copy the data; Fortran order has its first axis fastest. */
static void npy_copy(mango_npy *a, const unsigned char *in, int fortran)
{
    const int size = npy_types[a->type].size;
    mango_idx at[MGI_RANK_MAX] = {0}, stride[MGI_RANK_MAX], from = 0, step = 1;
    unsigned char *out = (unsigned char *)a->data;
    if (!fortran || a->rank < 2) {
        if (mgi_little_endian())
            memcpy(out, in, (size_t)a->bytes);
        else
            for (mango_idx e = 0; e < a->count; e++)
                npy_element(out + e * size, in + e * size, size);
        return;
    }
    for (int r = 0; r < a->rank; r++, step *= a->shape[r - 1])
        stride[r] = step;
    for (mango_idx e = 0; e < a->count; e++) {
        npy_element(out + e * size, in + from * size, size);
        for (int r = a->rank - 1; r >= 0; r--) { /* the next index in C order */
            from += stride[r];
            if (++at[r] < a->shape[r])
                break;
            from -= stride[r] * a->shape[r];
            at[r] = 0;
        }
    }
}

mango_status mango_npy_parse(mango_npy *a, const unsigned char *bytes, mango_idx n,
                             const char *what, const mango_alloc *al, mango_err *err)
{
    mango_idx start = 0, len = 0;
    npy_header h;
    memset(a, 0, sizeof *a);
    memset(&h, 0, sizeof h);
    a->al = mgi_alloc_get(al);
    MGI_TRY(npy_frame(bytes, n, &start, &len, what, err));
    h.p = (const char *)bytes + start;
    h.end = h.p + len;
    MGI_TRY(npy_dict(&h, a, what, err));
    if (!mgi_prod(a->rank, a->shape, &a->count) ||
        !mgi_mul(a->count, npy_types[a->type].size, &a->bytes) ||
        a->bytes != n - start - len)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: its shape does not match its %ld bytes of data; truncated?",
                        what, (long)(n - start - len));
    if (a->type == MANGO_NPY_BOOL)
        for (mango_idx i = 0; i < a->bytes; i++)
            if (bytes[start + len + i] > 1)
                return mgi_fail(err, MANGO_E_FORMAT,
                                "%s: element %ld is %d, a boolean 0 or 1 expected", what,
                                (long)i, (int)bytes[start + len + i]);
    a->data = mgi_new(&a->al, a->bytes, 1);
    if (!a->data)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what,
                        (long)a->bytes);
    npy_copy(a, bytes + start + len, h.fortran);
    return MANGO_OK;
}

mango_status mango_npy_read(mango_npy *a, const char *path, const mango_alloc *alloc,
                            mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    memset(a, 0, sizeof *a);
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &bytes, &n, err));
    mango_status st = mango_npy_parse(a, bytes, n, path, &al, err);
    mgi_del(&al, bytes, n + 1, 1);
    return st;
}

void mango_npy_free(mango_npy *a)
{
    if (a && a->data)
        mgi_del(&a->al, a->data, a->bytes, 1);
    if (a)
        a->data = NULL;
}

/* Element i: *v as a number, *k as an integer; false when it is none. */
static int npy_value(const mango_npy *a, mango_idx i, double *v, int64_t *k)
{
    const unsigned char *p = (const unsigned char *)a->data + i * npy_types[a->type].size;
    float f4;
    int16_t i2;
    int32_t i4;
    switch (a->type) {
    case MANGO_NPY_F4: memcpy(&f4, p, 4), *v = (double)f4; break;
    case MANGO_NPY_F8: memcpy(v, p, 8); break;
    case MANGO_NPY_I1: *k = p[0] < 128 ? p[0] : p[0] - 256; break;
    case MANGO_NPY_I2: memcpy(&i2, p, 2), *k = i2; break;
    case MANGO_NPY_I4: memcpy(&i4, p, 4), *k = i4; break;
    case MANGO_NPY_I8: memcpy(k, p, 8); break;
    default: *k = p[0]; break;
    }
    if (a->type != MANGO_NPY_F4 && a->type != MANGO_NPY_F8) {
        *v = (double)*k;
        return 1;
    }
    if (!(*v >= -9007199254740992.0 && *v <= 9007199254740992.0)) /* 2^53; NaN too */
        return 0;
    *k = (int64_t)*v;
    return (double)*k == *v;
}

mango_status mango_npy_floats(const mango_npy *a, float *out, mango_err *err)
{
    for (mango_idx i = 0; i < a->count; i++) {
        double v;
        int64_t k = 0;
        npy_value(a, i, &v, &k);
        out[i] = (float)v;
        if (a->type != MANGO_NPY_F4 && a->type != MANGO_NPY_F8 &&
            (k > 9007199254740992 || k < -9007199254740992 || (double)out[i] != (double)k))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "element %ld is %lld, which no float holds exactly", (long)i,
                            (long long)k);
    }
    return MANGO_OK;
}

mango_status mango_npy_ints(const mango_npy *a, mango_idx *out, mango_err *err)
{
    for (mango_idx i = 0; i < a->count; i++) {
        double v;
        int64_t k = 0;
        if (!npy_value(a, i, &v, &k) || k > PTRDIFF_MAX || k < -PTRDIFF_MAX)
            return mgi_fail(err, MANGO_E_FORMAT, "element %ld is %g, an integer expected",
                            (long)i, v);
        out[i] = (mango_idx)k;
    }
    return MANGO_OK;
}

mango_status mango_npy_write(const char *path, mango_npy_type type, int rank,
                             const mango_idx *shape, const void *data, mango_err *err)
{
    mango_idx count, bytes;
    mango_status st;
    mgi_str s;
    if (type < 0 || type >= MANGO_NPY_TYPES || rank < 0 || rank > MGI_RANK_MAX ||
        !mgi_prod(rank, shape, &count) || !mgi_mul(count, npy_types[type].size, &bytes))
        return mgi_fail(err, MANGO_E_ARG, "%s: no such .npy type, rank or shape", path);
    mgi_str_init(&s, NULL);
    mgi_str_put(&s, "\x93NUMPY\1\0\0\0", 10);
    mgi_str_printf(&s, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                   npy_types[type].descr);
    for (int r = 0; r < rank; r++)
        mgi_str_printf(&s,
                       r + 1 < rank ? "%ld, "
                       : rank == 1  ? "%ld,"
                                    : "%ld",
                       (long)shape[r]);
    mgi_str_puts(&s, "), }");
    while (!s.bad && s.n % 64 != 63)
        mgi_str_put(&s, " ", 1);
    mgi_str_put(&s, "\n", 1);
    if (!s.bad) {
        s.p[8] = (char)((s.n - 10) & 255);
        s.p[9] = (char)((s.n - 10) >> 8);
    }
    const mango_idx start = s.n;
    if (bytes > 0)
        mgi_str_put(&s, (const char *)data, bytes);
    if (!s.bad && !mgi_little_endian())
        for (mango_idx e = 0; e < count; e++)
            npy_element((unsigned char *)s.p + start + e * npy_types[type].size,
                        (const unsigned char *)data + e * npy_types[type].size,
                        npy_types[type].size);
    st = s.bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path)
               : mgi_file_write(path, s.p, s.n, err);
    mgi_str_free(&s);
    return st;
}
/* ---- end data/npy.c ----------------------------------------------------------------- */

/* ---- begin data/dataset.c ----------------------------------------------------------- */
/* dataset.c - one interface to every data set: opens, validates, hands out.
 */
#include <stdio.h>

void mango_data_defaults(mango_data_options *o)
{
    memset(o, 0, sizeof *o);
    o->resize = 256;
    o->crop = 224;
    o->max_side = 4096;
}

MGI_FN mango_status mgi_data_reserve(mango_data *d, mango_idx count, mango_idx C,
                                     mango_idx H, mango_idx W, mango_err *err)
{
    const mango_idx size[4] = {count, C, H, W};
    mango_idx bytes;
    if (count < 1 || count > MGI_PICTURES_MAX || C < 1 || H < 1 || W < 1 ||
        !mgi_prod(4, size, &bytes) || bytes > 4 * MGI_FILE_MAX)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: %ld pictures of %ldx%ldx%ld: none, or too many to hold",
                        d->name, (long)count, (long)C, (long)H, (long)W);
    d->count = count, d->C = C, d->H = H, d->W = W;
    d->pixels = (unsigned char *)mgi_new(&d->al, bytes, 1);
    d->labels = (int *)mgi_new(&d->al, count, sizeof(int));
    if (!d->pixels || !d->labels)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes of pictures",
                        d->name, (long)bytes);
    return MANGO_OK;
}

MGI_FN mango_status mgi_data_classes(mango_data *d, mango_idx n, const char *const *names,
                                     mango_err *err)
{
    if (n < 0 || n > MGI_CLASSES_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %ld classes, at most %d expected", d->name,
                        (long)n, MGI_CLASSES_MAX);
    d->class_name = (char(*)[MGI_CLASS_NAME])mgi_new(&d->al, n, MGI_CLASS_NAME);
    if (!d->class_name)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->name);
    d->classes = n;
    for (mango_idx k = 0; k < n; k++)
        if (names && names[k])
            mgi_copy(d->class_name[k], MGI_CLASS_NAME, names[k]);
        else
            snprintf(d->class_name[k], MGI_CLASS_NAME, "%ld", (long)k);
    return MANGO_OK;
}

/* Every label in range, every class with at least one picture. */
static mango_status dataset_validate(const mango_data *d, mango_err *err)
{
    mango_idx *seen, k = 0;
    if (!d->labels || d->classes == 0)
        return MANGO_OK;
    seen = (mango_idx *)mgi_new(&d->al, d->classes, sizeof *seen);
    if (!seen)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->name);
    for (mango_idx i = 0; i < d->count; i++) {
        if (d->labels[i] < 0 || d->labels[i] >= d->classes) {
            mgi_del(&d->al, seen, d->classes, sizeof *seen);
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%s %s: picture %ld has label %d, 0 to %ld expected", d->name,
                            d->split, (long)i, d->labels[i], (long)d->classes - 1);
        }
        seen[d->labels[i]]++;
    }
    while (k < d->classes && (seen[k] > 0 || d->o.allow_empty))
        k++;
    mgi_del(&d->al, seen, d->classes, sizeof *seen);
    if (k == d->classes)
        return MANGO_OK;
    return mgi_fail(err, MANGO_E_FORMAT, "%s %s: class %ld (%s) has no picture", d->name,
                    d->split, (long)k, d->class_name ? d->class_name[k] : "?");
}

static mango_status dataset_new(mango_data **data, const char *name, const char *split,
                                const mango_data_options *o, const mango_alloc *al,
                                mango_err *err)
{
    mango_alloc a = mgi_alloc_get(al);
    mango_data *d = (mango_data *)mgi_new(&a, 1, sizeof *d);
    *data = d;
    if (!d)
        return mgi_fail(err, MANGO_E_MEM, "data set %s: out of memory", name);
    d->al = a;
    if (o)
        d->o = *o;
    else
        mango_data_defaults(&d->o);
    mgi_str_init(&d->names, &a);
    if (!mgi_copy(d->name, (mango_idx)sizeof d->name, name) ||
        !mgi_copy(d->split, (mango_idx)sizeof d->split, split))
        return mgi_fail(err, MANGO_E_NAME, "data set %s, split %s: name too long", name,
                        split);
    return MANGO_OK;
}

static mango_status dataset_load(mango_data *d, const char *root, mango_err *err)
{
    static const char *const known[] = {"cifar10", "mnist", "fashion-mnist", "folder"};
    char near[128];
    if (strcmp(d->split, "train") && strcmp(d->split, "test") && strcmp(d->name, "folder"))
        return mgi_fail(err, MANGO_E_NAME, "%s has no split '%s'; train or test expected",
                        d->name, d->split);
    if (mgi_path_exists(root) != 2)
        return mgi_fail(err, MANGO_E_IO, "%s: no such folder", root);
    if (!strcmp(d->name, "cifar10"))
        return mgi_data_cifar10(d, root, err);
    if (!strcmp(d->name, "mnist") || !strcmp(d->name, "fashion-mnist"))
        return mgi_data_mnist(d, root, err);
    if (!strcmp(d->name, "folder"))
        return mgi_data_folder(d, root, err);
    mgi_near(d->name, MGI_COUNT(known), known, near, (mango_idx)sizeof near);
    return mgi_fail(err, MANGO_E_NAME,
                    "no data set '%s'; near: %s (cifar10, mnist, fashion-mnist, folder)",
                    d->name, near);
}

mango_status mango_data_open(mango_data **data, const char *name, const char *root,
                             const char *split, const mango_data_options *o,
                             const mango_alloc *al, mango_err *err)
{
    mango_status st;
    if (!data || !name || !root)
        return mgi_fail(err, MANGO_E_ARG, "data set: a name and a folder expected");
    st = dataset_new(data, name, split ? split : "test", o, al, err);
    if (st >= 0)
        st = dataset_load(*data, root, err);
    if (st >= 0)
        st = dataset_validate(*data, err);
    if (st < 0) {
        mango_data_destroy(*data);
        *data = NULL;
    }
    return st;
}

mango_status mango_data_make(mango_data **data, const char *name, mango_idx count,
                             mango_idx C, mango_idx H, mango_idx W, mango_idx classes,
                             const unsigned char *pixels, const int *labels,
                             const mango_alloc *al, mango_err *err)
{
    mango_status st;
    if (!data || !name || !pixels)
        return mgi_fail(err, MANGO_E_ARG, "data set: a name and pictures expected");
    st = dataset_new(data, name, "memory", NULL, al, err);
    if (st >= 0)
        st = mgi_data_reserve(*data, count, C, H, W, err);
    if (st >= 0)
        st = mgi_data_classes(*data, labels ? classes : 0, NULL, err);
    if (st >= 0) {
        mango_data *d = *data;
        memcpy(d->pixels, pixels, (size_t)(count * C * H * W));
        if (labels)
            memcpy(d->labels, labels, (size_t)count * sizeof *labels);
        st = dataset_validate(d, err);
    }
    if (st < 0) {
        mango_data_destroy(*data);
        *data = NULL;
    }
    return st;
}

void mango_data_describe(const mango_data *d, mango_data_info *info)
{
    info->name = d->name;
    info->split = d->split;
    info->count = d->count;
    info->classes = d->classes;
    info->C = d->C, info->H = d->H, info->W = d->W;
}

mango_status mango_data_get(const mango_data *d, mango_idx i, unsigned char *pixels,
                            int *label, mango_err *err)
{
    mango_idx n;
    if (!d || i < 0 || i >= d->count)
        return mgi_fail(err, MANGO_E_ARG, "data set: picture %ld, 0 to %ld expected",
                        (long)i, d ? (long)d->count - 1 : 0L);
    if (label)
        *label = d->classes ? d->labels[i] : -1;
    if (!pixels)
        return MANGO_OK;
    if (!d->pixels)
        return mgi_folder_get(d, i, pixels, err);
    n = d->C * d->H * d->W;
    memcpy(pixels, d->pixels + i * n, (size_t)n);
    return MANGO_OK;
}

const unsigned char *mango_data_pixels(const mango_data *d)
{
    return d ? d->pixels : NULL;
}

const int *mango_data_labels(const mango_data *d)
{
    return d && d->classes ? d->labels : NULL;
}

const char *mango_data_class(const mango_data *d, mango_idx k)
{
    return d && k >= 0 && k < d->classes ? d->class_name[k] : NULL;
}

const char *mango_data_path(const mango_data *d, mango_idx i)
{
    return d && d->path && i >= 0 && i < d->count ? d->names.p + d->path[i] : NULL;
}

void mango_data_destroy(mango_data *d)
{
    mango_alloc al;
    if (!d)
        return;
    al = d->al;
    if (d->pixels)
        mgi_del(&al, d->pixels, d->count * d->C * d->H * d->W, 1);
    if (d->labels)
        mgi_del(&al, d->labels, d->count, sizeof *d->labels);
    if (d->class_name)
        mgi_del(&al, d->class_name, d->classes, MGI_CLASS_NAME);
    if (d->path)
        mgi_del(&al, d->path, d->count, sizeof *d->path);
    mgi_str_free(&d->names);
    mgi_del(&al, d, 1, sizeof *d);
}
/* ---- end data/dataset.c ------------------------------------------------------------- */

/* ---- begin data/cifar10.c ----------------------------------------------------------- */
/* cifar10.c - CIFAR-10, binary layout: records of a label byte and 3x1024
 * bytes (planes R, G, B, rows of 32), 10,000 records a file.
 */

enum { CIFAR_PIXELS = 3072, CIFAR_RECORD = 3073, CIFAR_COUNT = 10000 };

static mango_status cifar_path(mgi_str *s, const char *root, const char *file,
                               mango_err *err)
{
    s->n = 0;
    mgi_str_printf(s, "%s/%s", root, file);
    return s->bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", file) : MANGO_OK;
}

/* One file: bytes and number of records. */
static mango_status cifar_file(const mango_data *d, const char *path, unsigned char **p,
                               mango_idx *n, mango_err *err)
{
    MGI_TRY(mgi_file_read(path, CIFAR_COUNT * CIFAR_RECORD, &d->al, p, n, err));
    if (*n > 0 && *n % CIFAR_RECORD == 0 &&
        (d->o.partial || *n == CIFAR_COUNT * CIFAR_RECORD))
        return MANGO_OK;
    mango_idx size = *n;
    mgi_del(&d->al, *p, size + 1, 1);
    return mgi_fail(err, MANGO_E_FORMAT,
                    "%s: %ld bytes, %ld expected (10,000 records of 3,073); truncated?",
                    path, (long)size, (long)CIFAR_COUNT * CIFAR_RECORD);
}

/* Append the records of one file at picture `at`. */
static void cifar_append(mango_data *d, const unsigned char *p, mango_idx records,
                         mango_idx at)
{
    for (mango_idx i = 0; i < records; i++, p += CIFAR_RECORD) {
        d->labels[at + i] = p[0];
        memcpy(d->pixels + (at + i) * CIFAR_PIXELS, p + 1, CIFAR_PIXELS);
    }
}

/* Names from batches.meta.txt, one a line; the official ones without it. */
static mango_status cifar_names(mango_data *d, const char *path, mango_err *err)
{
    static const char *const official[10] = {"airplane", "automobile", "bird", "cat",
                                             "deer",     "dog",        "frog", "horse",
                                             "ship",     "truck"};
    unsigned char *p = NULL;
    mango_idx n = 0, k = 0, at = 0;
    MGI_TRY(mgi_data_classes(d, 10, official, err));
    if (!mgi_path_exists(path))
        return MANGO_OK;
    MGI_TRY(mgi_file_read(path, 4096, &d->al, &p, &n, err));
    for (mango_idx i = 0; i <= n && k <= 10; i++) {
        if (i < n && p[i] != '\n')
            continue;
        mango_idx len = i - at - (i > at && p[i - 1] == '\r');
        if (len > 0 && len < MGI_CLASS_NAME && k < 10) {
            memcpy(d->class_name[k], p + at, (size_t)len);
            d->class_name[k][len] = 0;
        }
        k += len > 0;
        at = i + 1;
    }
    mgi_del(&d->al, p, n + 1, 1);
    for (mango_idx c = 0; c < 10; c++)
        for (char *z = d->class_name[c]; *z; z++)
            if ((unsigned char)*z < 32 || *z == 127)
                *z = '?';
    return k == 10 ? MANGO_OK
                   : mgi_fail(err, MANGO_E_FORMAT, "%s: %ld%s class names, 10 expected",
                              path, (long)k, k > 10 ? " or more" : "");
}

/* Read files [first,last); append their records when `fill`; *count records. */
static mango_status cifar_files(mango_data *d, const char *root, int first, int last,
                                int fill, mango_idx *count, mango_err *err)
{
    static const char *const files[6] = {"data_batch_1.bin", "data_batch_2.bin",
                                         "data_batch_3.bin", "data_batch_4.bin",
                                         "data_batch_5.bin", "test_batch.bin"};
    mango_status st = MANGO_OK;
    mango_idx at = 0;
    mgi_str path;
    mgi_str_init(&path, &d->al);
    for (int f = first; f < last; f++) {
        unsigned char *p = NULL;
        mango_idx n = 0;
        MGI_TRY_TO(cifar_path(&path, root, files[f], err));
        MGI_TRY_TO(cifar_file(d, path.p, &p, &n, err));
        if (fill && at + n / CIFAR_RECORD <= d->count)
            cifar_append(d, p, n / CIFAR_RECORD, at);
        at += n / CIFAR_RECORD;
        mgi_del(&d->al, p, n + 1, 1);
    }
    if (fill && at != d->count)
        st = mgi_fail(err, MANGO_E_IO, "%s: its files changed while they were read", root);
    *count = at;
done:
    mgi_str_free(&path);
    return st;
}

MGI_FN mango_status mgi_data_cifar10(mango_data *d, const char *root, mango_err *err)
{
    const int test = !strcmp(d->split, "test");
    const int first = test ? 5 : 0, last = test ? 6 : 5;
    mango_idx count = (mango_idx)(last - first) * CIFAR_COUNT;
    mango_status st;
    mgi_str path;
    if (d->o.partial) /* sizes are not known before */
        MGI_TRY(cifar_files(d, root, first, last, 0, &count, err));
    MGI_TRY(mgi_data_reserve(d, count, 3, 32, 32, err));
    MGI_TRY(cifar_files(d, root, first, last, 1, &count, err));
    mgi_str_init(&path, &d->al);
    st = cifar_path(&path, root, "batches.meta.txt", err);
    if (st >= 0)
        st = cifar_names(d, path.p, err);
    mgi_str_free(&path);
    return st;
}
/* ---- end data/cifar10.c ------------------------------------------------------------- */

/* ---- begin data/mnist.c ------------------------------------------------------------- */
/* mnist.c - MNIST and Fashion-MNIST: two IDX files a split, plain or .gz.
 */

enum { MNIST_FILE_MAX = 1 << 26 }; /* the official 60,000 pictures are 47 MB */

/* Leaves the path of root/PREFIX-KIND-ubyte[.gz] (or PREFIX.KIND-ubyte, as
 * some unpackers write it) in s. */
static mango_status mnist_find(mgi_str *s, const char *root, const char *prefix,
                               const char *kind, mango_err *err)
{
    static const char *const dash[] = {"-", "-", "."}, *const ext[] = {"", ".gz", ""};
    for (int i = 0; i < 3; i++) {
        s->n = 0;
        mgi_str_printf(s, "%s/%s%s%s-ubyte%s", root, prefix, dash[i], kind, ext[i]);
        if (s->bad)
            return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", root);
        if (mgi_path_exists(s->p) == 1)
            return MANGO_OK;
    }
    return mgi_fail(err, MANGO_E_IO, "%s: no %s-%s-ubyte or %s-%s-ubyte.gz there", root,
                    prefix, kind, prefix, kind);
}

/* Read, inflate when it is gzip, parse. *bytes (n) is the caller's to free. */
static mango_status mnist_read(const mango_data *d, const char *path, unsigned char **bytes,
                               mango_idx *n, mgi_idx_array *a, mango_err *err)
{
    mango_status st;
    MGI_TRY(mgi_file_read(path, MNIST_FILE_MAX, &d->al, bytes, n, err));
    if (*n >= 2 && (*bytes)[0] == 0x1f && (*bytes)[1] == 0x8b) {
        unsigned char *gz = *bytes;
        mango_idx n_gz = *n;
        *bytes = NULL;
        st =
            mgi_gunzip(gz, n_gz, MNIST_FILE_MAX, path, &d->o.codecs, &d->al, bytes, n, err);
        mgi_del(&d->al, gz, n_gz + 1, 1);
        MGI_TRY(st);
    }
    st = mgi_idx_parse(a, *bytes, *n, path, err);
    if (st < 0) {
        mgi_del(&d->al, *bytes, *n + 1, 1);
        *bytes = NULL;
    }
    return st;
}

/* Pictures (N,H,W) into d. */
static mango_status mnist_pictures(mango_data *d, const char *path, mango_err *err)
{
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    mgi_idx_array a;
    mango_status st;
    MGI_TRY(mnist_read(d, path, &bytes, &n, &a, err));
    if (a.rank != 3 || a.shape[1] != 28 || a.shape[2] != 28)
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: rank %d of %ldx%ld pixels, pictures of 28x28 expected", path,
                      a.rank, (long)a.shape[1], (long)a.shape[2]);
    else
        st = mgi_data_reserve(d, a.shape[0], 1, a.shape[1], a.shape[2], err);
    if (st >= 0)
        memcpy(d->pixels, a.data, (size_t)a.count);
    mgi_del(&d->al, bytes, n + 1, 1);
    return st;
}

/* Labels (N), as many as there are pictures. */
static mango_status mnist_labels(mango_data *d, const char *path, mango_err *err)
{
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    mgi_idx_array a;
    mango_status st = MANGO_OK;
    MGI_TRY(mnist_read(d, path, &bytes, &n, &a, err));
    if (a.rank != 1 || a.count != d->count)
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: %ld labels of rank %d, %ld expected, one a picture", path,
                      (long)a.shape[0], a.rank, (long)d->count);
    for (mango_idx i = 0; st >= 0 && i < d->count; i++)
        d->labels[i] = a.data[i];
    mgi_del(&d->al, bytes, n + 1, 1);
    return st;
}

MGI_FN mango_status mgi_data_mnist(mango_data *d, const char *root, mango_err *err)
{
    static const char *const fashion[10] = {
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
    const char *prefix = strcmp(d->split, "test") ? "train" : "t10k";
    mango_status st;
    mgi_str path;
    mgi_str_init(&path, &d->al);
    MGI_TRY_TO(mnist_find(&path, root, prefix, "images-idx3", err));
    MGI_TRY_TO(mnist_pictures(d, path.p, err));
    MGI_TRY_TO(mnist_find(&path, root, prefix, "labels-idx1", err));
    MGI_TRY_TO(mnist_labels(d, path.p, err));
    st = mgi_data_classes(d, 10, strcmp(d->name, "mnist") ? fashion : NULL, err);
done:
    mgi_str_free(&path);
    return st;
}
/* ---- end data/mnist.c --------------------------------------------------------------- */

/* ---- begin data/images.c ------------------------------------------------------------ */
/* images.c - picture files: bounded decoding through a callback, antialiased
 * bilinear resizing, and the resize-and-crop of the ImageNet networks.
 *
 * Along one axis output x is a weighted mean of the inputs under a triangle
 * of half-width s = max(1, in/out) centred at (x + 1/2) in/out:
 *     w_i = max(0, 1 - |(i + 1/2 - centre)/s|) / sum,  in units of 2^-22
 */

#define IMAGES_ONE ((double)(1 << 22))

/* Rows of weights for one axis: output x uses n[x] inputs from first[x] on. */
typedef struct images_filter {
    mango_idx out, width;
    mango_idx *first, *n;
    int32_t *w; /* (out,width) */
} images_filter;

static void images_filter_free(images_filter *f, const mango_alloc *al)
{
    mgi_del(al, f->first, f->out, sizeof *f->first);
    mgi_del(al, f->n, f->out, sizeof *f->n);
    mgi_del(al, f->w, f->out * f->width, sizeof *f->w);
    memset(f, 0, sizeof *f);
}

/* The weights of output x, whose triangle has half-width s. */
static void images_weights(images_filter *f, mango_idx in, mango_idx x, double s)
{
    const double centre = ((double)x + 0.5) * (double)in / (double)f->out;
    mango_idx lo = (mango_idx)(centre - s + 0.5 > 0 ? centre - s + 0.5 : 0);
    mango_idx hi = MGI_MIN((mango_idx)(centre + s + 0.5), in);
    int32_t *w = f->w + x * f->width;
    double sum = 0;
    if (lo >= in)
        lo = in - 1;
    hi = MGI_MIN(MGI_MAX(hi, lo + 1), lo + f->width);
    for (mango_idx i = lo; i < hi; i++) {
        double u = ((double)i + 0.5 - centre) / s;
        u = u < 0 ? -u : u;
        sum += u < 1 ? 1 - u : 0;
    }
    for (mango_idx i = lo; i < hi; i++) {
        double u = ((double)i + 0.5 - centre) / s;
        u = u < 0 ? -u : u;
        w[i - lo] = (int32_t)((u < 1 ? 1 - u : 0) / (sum > 0 ? sum : 1) * IMAGES_ONE + 0.5);
    }
    f->first[x] = lo;
    f->n[x] = hi - lo;
}

static mango_status images_filter_make(images_filter *f, mango_idx in, mango_idx out,
                                       const mango_alloc *al)
{
    const double s = in > out ? (double)in / (double)out : 1.0;
    f->out = out;
    f->width = 2 * ((mango_idx)s + 1) + 1;
    f->first = (mango_idx *)mgi_new(al, out, sizeof *f->first);
    f->n = (mango_idx *)mgi_new(al, out, sizeof *f->n);
    f->w = (int32_t *)mgi_new(al, out * f->width, sizeof *f->w);
    if (!f->first || !f->n || !f->w) {
        images_filter_free(f, al);
        return MANGO_E_MEM;
    }
    for (mango_idx x = 0; x < out; x++)
        images_weights(f, in, x, s);
    return MANGO_OK;
}

/* One axis: in (outer,f.in,inner) -> out (outer,f.out,inner). */
static void images_apply(const images_filter *f, mango_idx outer, mango_idx in_n,
                         mango_idx inner, const unsigned char *in, unsigned char *out)
{
    for (mango_idx o = 0; o < outer; o++)
        for (mango_idx x = 0; x < f->out; x++) {
            const int32_t *w = f->w + x * f->width;
            const unsigned char *p = in + (o * in_n + f->first[x]) * inner;
            for (mango_idx c = 0; c < inner; c++) {
                int64_t sum = 1 << 21;
                for (mango_idx i = 0; i < f->n[x]; i++)
                    sum += (int64_t)w[i] * p[i * inner + c];
                sum >>= 22;
                *out++ = (unsigned char)MGI_MIN(sum, 255);
            }
        }
}

mango_status mango_image_resize(mango_idx H, mango_idx W, mango_idx C,
                                const unsigned char *in, mango_idx oH, mango_idx oW,
                                unsigned char *out, const mango_alloc *alloc)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    images_filter fx = {0, 0, NULL, NULL, NULL}, fy = {0, 0, NULL, NULL, NULL};
    const mango_idx size[3] = {H, oW, C};
    unsigned char *rows = NULL;
    mango_idx bytes = 0;
    mango_status st;
    MGI_REQUIRE(in && out && C >= 1 && C <= 4 && H >= 1 && W >= 1 && oH >= 1 && oW >= 1);
    MGI_REQUIRE(H <= 65535 && W <= 65535 && oH <= 65535 && oW <= 65535);
    MGI_TRY_TO(images_filter_make(&fx, W, oW, &al));
    MGI_TRY_TO(images_filter_make(&fy, H, oH, &al));
    st = mgi_prod(3, size, &bytes) ? MANGO_E_MEM : MANGO_E_LIMIT;
    rows = st == MANGO_E_MEM ? (unsigned char *)mgi_new(&al, bytes, 1) : NULL;
    if (!rows)
        goto done;
    images_apply(&fx, H, W, C, in, rows);       /* (H,W,C) -> (H,oW,C)  */
    images_apply(&fy, 1, H, oW * C, rows, out); /* (H,oW,C) -> (oH,oW,C) */
    st = MANGO_OK;
done:
    mgi_del(&al, rows, bytes, 1);
    images_filter_free(&fx, &al);
    images_filter_free(&fy, &al);
    return st;
}

/* The offset of a centred crop: (side - crop)/2, halves to the even number. */
static mango_idx images_centre(mango_idx side, mango_idx crop)
{
    mango_idx twice = side - crop, half = twice / 2;
    return twice % 2 && half % 2 ? half + 1 : half;
}

mango_status mango_image_fit(mango_idx H, mango_idx W, const unsigned char *in,
                             mango_idx resize, mango_idx crop, unsigned char *out,
                             const mango_alloc *alloc)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *scaled = NULL;
    const unsigned char *p = in;
    mango_idx h = H, w = W, bytes = 0;
    MGI_REQUIRE(in && out && H >= 1 && W >= 1 && H <= 65535 && W <= 65535);
    MGI_REQUIRE(crop >= 1 && crop <= 4096 && resize >= 0 && resize <= 4096);
    if (resize > 0 && resize != MGI_MIN(H, W)) {
        w = W <= H ? resize : resize * W / H;
        h = W <= H ? resize * H / W : resize;
        if (h > 65535 || w > 65535)
            return MANGO_E_SHAPE;
    }
    if (h < crop || w < crop)
        return MANGO_E_SHAPE;
    if (h != H || w != W) {
        if (!mgi_mul(3 * h, w, &bytes) || bytes > MGI_FILE_MAX)
            return MANGO_E_LIMIT;
        scaled = (unsigned char *)mgi_new(&al, bytes, 1);
        mango_status st =
            scaled ? mango_image_resize(H, W, 3, in, h, w, scaled, &al) : MANGO_E_MEM;
        if (st < 0) {
            mgi_del(&al, scaled, bytes, 1);
            return st;
        }
        p = scaled;
    }
    const mango_idx y0 = images_centre(h, crop), x0 = images_centre(w, crop);
    for (mango_idx c = 0; c < 3; c++)
        for (mango_idx y = 0; y < crop; y++)
            for (mango_idx x = 0; x < crop; x++)
                *out++ = p[((y0 + y) * w + x0 + x) * 3 + c];
    mgi_del(&al, scaled, bytes, 1);
    return MANGO_OK;
}

/* Size from the head of a picture file, refused when out of bounds. */
static mango_status images_size(const char *path, const unsigned char *bytes, mango_idx n,
                                const mango_codecs *codecs, mango_idx max_side,
                                mango_idx *W, mango_idx *H, mango_err *err)
{
    if (codecs->picture(codecs->ud, bytes, n, W, H, NULL) != 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: not a picture that can be read (PNG, JPEG, BMP, PPM)", path);
    if (*W < 1 || *H < 1 || *W > max_side || *H > max_side)
        return mgi_fail(err, MANGO_E_LIMIT,
                        "%s: a picture of %ldx%ld, sides of 1 to %ld expected", path,
                        (long)*W, (long)*H, (long)max_side);
    return MANGO_OK;
}

mango_status mango_image_read(const char *path, const mango_codecs *codecs,
                              mango_idx max_side, unsigned char **rgb, mango_idx *W,
                              mango_idx *H, const mango_alloc *alloc, mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *bytes = NULL;
    mango_idx n = 0;
    mango_status st;
    *rgb = NULL;
    if (!codecs || !codecs->picture)
        return mgi_fail(err, MANGO_E_UNSUPPORTED, "%s: this build cannot decode pictures",
                        path);
    max_side = max_side > 0 ? MGI_MIN(max_side, 16384) : 4096;
    MGI_TRY(mgi_file_read(path, (mango_idx)1 << 28, &al, &bytes, &n, err));
    MGI_TRY_TO(images_size(path, bytes, n, codecs, max_side, W, H, err));
    *rgb = (unsigned char *)mgi_new(&al, 3 * *W * *H, 1);
    if (!*rgb) {
        st = mgi_fail(err, MANGO_E_MEM, "%s: out of memory", path);
    } else if (codecs->picture(codecs->ud, bytes, n, W, H, *rgb) != 0) {
        mgi_del(&al, *rgb, 3 * *W * *H, 1);
        *rgb = NULL;
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: a damaged picture", path);
    }
done:
    mgi_del(&al, bytes, n + 1, 1);
    return st;
}
#undef IMAGES_ONE
/* ---- end data/images.c -------------------------------------------------------------- */

/* ---- begin data/folder.c ------------------------------------------------------------ */
/* folder.c - pictures in folders: ROOT/CLASS/xxx as ImageNet has them, or flat
 * (SYNSET_name.JPEG: each synset is a class; other names: no labels).
 */
#include <dirent.h>
#include <stdlib.h>

/* A growing list of names: one block of text, offsets into it. */
typedef struct folder_list {
    mgi_str text;
    mango_idx *at;
    mango_idx n, cap;
} folder_list;

static void folder_list_init(folder_list *l, const mango_alloc *al)
{
    memset(l, 0, sizeof *l);
    mgi_str_init(&l->text, al);
}

static void folder_list_free(folder_list *l)
{
    mgi_del(&l->text.al, l->at, l->cap, sizeof *l->at);
    mgi_str_free(&l->text);
}

/* Append dir/name, or name when dir is empty. */
static mango_status folder_add(folder_list *l, const char *dir, const char *name,
                               mango_err *err)
{
    if (l->n >= MGI_PICTURES_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "more than %ld pictures",
                        (long)MGI_PICTURES_MAX);
    if (l->n == l->cap) {
        mango_idx cap = l->cap ? 2 * l->cap : 64;
        mango_idx *at =
            (mango_idx *)mgi_resize(&l->text.al, l->at, l->cap, cap, sizeof *at);
        if (!at)
            return mgi_fail(err, MANGO_E_MEM, "out of memory for %ld names", (long)cap);
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = l->text.n;
    mgi_str_puts(&l->text, dir);
    mgi_str_puts(&l->text, *dir ? "/" : "");
    mgi_str_put(&l->text, name, (mango_idx)strlen(name) + 1);
    return l->text.bad ? mgi_fail(err, MANGO_E_MEM, "out of memory for names") : MANGO_OK;
}

static int folder_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sort bytewise: the order must not depend on the file system. */
static mango_status folder_sort(folder_list *l, mango_err *err)
{
    const char **p = (const char **)mgi_new(&l->text.al, l->n, sizeof *p);
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "out of memory for %ld names", (long)l->n);
    for (mango_idx i = 0; i < l->n; i++)
        p[i] = l->text.p + l->at[i];
    qsort((void *)p, (size_t)l->n, sizeof *p, folder_compare);
    for (mango_idx i = 0; i < l->n; i++)
        l->at[i] = p[i] - l->text.p;
    mgi_del(&l->text.al, (void *)p, l->n, sizeof *p);
    return MANGO_OK;
}

/* Does name end in a picture's extension? Case is ignored. */
static int folder_is_picture(const char *name)
{
    static const char *const ext[] = {"png", "jpg", "jpeg", "bmp", "ppm", "pgm"};
    const char *dot = strrchr(name, '.');
    if (!dot)
        return 0;
    for (mango_idx i = 0; i < MGI_COUNT(ext); i++) {
        const char *a = dot + 1, *b = ext[i];
        while (*a && *b && (*a | 32) == *b)
            a++, b++;
        if (!*a && !*b)
            return 1;
    }
    return 0;
}

/* List base/dir (dir may be ""), sorted: its pictures, or its folders. */
static mango_status folder_scan(const mango_alloc *al, const char *base, const char *dir,
                                int folders, folder_list *out, mango_err *err)
{
    mango_status st = MANGO_OK;
    mgi_str path;
    DIR *handle;
    struct dirent *e;
    mgi_str_init(&path, al);
    mgi_str_printf(&path, "%s/%s", base, dir);
    handle = path.bad ? NULL : opendir(path.p);
    if (path.bad)
        st = mgi_fail(err, MANGO_E_MEM, "%s/%s: out of memory", base, dir);
    else if (!handle)
        st = mgi_fail(err, MANGO_E_IO, "%s/%s: cannot list this folder", base, dir);
    while (st >= 0 && (e = readdir(handle)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (folder_is_picture(e->d_name)) {
            if (!folders)
                st = folder_add(out, dir, e->d_name, err);
            continue;
        }
        path.n = 0;
        mgi_str_printf(&path, "%s/%s/%s", base, dir, e->d_name);
        if (path.bad)
            st = mgi_fail(err, MANGO_E_MEM, "%s/%s: out of memory", base, dir);
        else if (folders && mgi_path_exists(path.p) == 2)
            st = folder_add(out, "", e->d_name, err);
    }
    if (handle)
        closedir(handle);
    mgi_str_free(&path);
    return st >= 0 ? folder_sort(out, err) : st;
}

/* Bytes of a synset id ("n01440764") at the start of "n01440764_x", or 0. */
static mango_idx folder_synset(const char *name)
{
    mango_idx n = 1;
    if (name[0] != 'n')
        return 0;
    while (name[n] >= '0' && name[n] <= '9')
        n++;
    return n == 9 && name[n] == '_' ? n : 0;
}

static void folder_class_name(char out[MGI_CLASS_NAME], const char *name, mango_idx n)
{
    n = MGI_MIN(n, MGI_CLASS_NAME - 1);
    for (mango_idx i = 0; i < n; i++)
        out[i] = (unsigned char)name[i] < 32 || name[i] == 127 ? '?' : name[i];
    out[n] = 0;
}

/* Labels of a flat folder whose names all start with a synset; 0 classes else.
 * Names are sorted, so pictures of one class lie together. */
static mango_status folder_synsets(mango_data *d, mango_err *err)
{
    mango_idx classes = 0;
    for (mango_idx i = 0; i < d->count; i++) {
        const char *name = d->names.p + d->path[i];
        mango_idx n = folder_synset(name);
        if (!n)
            return mgi_data_classes(d, 0, NULL, err);
        classes += i == 0 || strncmp(name, d->names.p + d->path[i - 1], (size_t)n + 1) != 0;
        d->labels[i] = (int)classes - 1;
    }
    MGI_TRY(mgi_data_classes(d, classes, NULL, err));
    for (mango_idx i = d->count - 1; i >= 0; i--) {
        const char *name = d->names.p + d->path[i], *word = name + folder_synset(name) + 1;
        mango_idx n = (mango_idx)strcspn(word, ".");
        if (n > 0 && (mango_idx)strspn(word, "0123456789") < n)
            folder_class_name(d->class_name[d->labels[i]], word, n);
        else /* ImageNet's own names carry a number there */
            folder_class_name(d->class_name[d->labels[i]], name, 9);
    }
    return MANGO_OK;
}

/* Hand the list over to d; labels are allocated, zero. */
static mango_status folder_take(mango_data *d, folder_list *l, mango_err *err)
{
    if (l->n < 1)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: no pictures there", d->root);
    mango_idx *at = (mango_idx *)mgi_resize(&d->al, l->at, l->cap, l->n, sizeof *at);
    if (!at)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
    mgi_str_free(&d->names);
    d->names = l->text;
    d->path = at;
    d->count = l->n;
    folder_list_init(l, &d->al);
    d->labels = (int *)mgi_new(&d->al, d->count, sizeof *d->labels);
    return d->labels ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
}

/* CLASS/xxx: labels in the order of the sorted class names. */
static mango_status folder_tree(mango_data *d, const folder_list *dirs, folder_list *files,
                                mango_err *err)
{
    MGI_TRY(mgi_data_classes(d, dirs->n, NULL, err));
    mango_idx *end = (mango_idx *)mgi_new(&d->al, dirs->n, sizeof *end), k = 0;
    mango_status st =
        end ? MANGO_OK : mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root);
    for (k = 0; st >= 0 && k < dirs->n; k++) {
        const char *dir = dirs->text.p + dirs->at[k];
        folder_list one;
        folder_class_name(d->class_name[k], dir, (mango_idx)strlen(dir));
        folder_list_init(&one, &d->al);
        st = folder_scan(&d->al, d->root, dir, 0, &one, err);
        for (mango_idx i = 0; st >= 0 && i < one.n; i++)
            st = folder_add(files, "", one.text.p + one.at[i], err);
        folder_list_free(&one);
        end[k] = files->n;
    }
    if (st >= 0)
        st = folder_take(d, files, err);
    for (mango_idx i = (k = 0); st >= 0 && i < d->count; i++) {
        while (i >= end[k])
            k++;
        d->labels[i] = (int)k;
    }
    mgi_del(&d->al, end, dirs->n, sizeof *end);
    return st;
}

/* root/SPLIT, root/val for "test", or root itself. */
static mango_status folder_root(mango_data *d, const char *root, mango_err *err)
{
    const char *const sub[2] = {d->split, strcmp(d->split, "test") ? d->split : "val"};
    mgi_str s;
    int found = 0;
    mgi_str_init(&s, &d->al);
    for (int i = 0; i < 2 && !found; i++) {
        s.n = 0;
        mgi_str_printf(&s, "%s/%s", root, sub[i]);
        found = !s.bad && mgi_path_exists(s.p) == 2;
    }
    const int bad = s.bad;
    const int fits = mgi_copy(d->root, (mango_idx)sizeof d->root, found ? s.p : root);
    mgi_str_free(&s);
    if (bad)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", root);
    return fits ? MANGO_OK : mgi_fail(err, MANGO_E_LIMIT, "%s: path too long", root);
}

MGI_FN mango_status mgi_data_folder(mango_data *d, const char *root, mango_err *err)
{
    folder_list dirs, files;
    mango_status st;
    d->C = 3, d->H = d->W = d->o.crop;
    if (d->o.crop < 1 || d->o.crop > 4096 || d->o.resize < 0 || d->o.resize > 4096 ||
        (d->o.resize > 0 && d->o.resize < d->o.crop))
        return mgi_fail(
            err, MANGO_E_ARG,
            "folder: resize %ld and crop %ld, 1 to 4096 and crop <= resize expected",
            (long)d->o.resize, (long)d->o.crop);
    folder_list_init(&dirs, &d->al);
    folder_list_init(&files, &d->al);
    MGI_TRY_TO(folder_root(d, root, err));
    MGI_TRY_TO(folder_scan(&d->al, d->root, "", 1, &dirs, err));
    if (dirs.n > 0) {
        st = folder_tree(d, &dirs, &files, err);
        goto done;
    }
    MGI_TRY_TO(folder_scan(&d->al, d->root, "", 0, &files, err));
    MGI_TRY_TO(folder_take(d, &files, err));
    st = folder_synsets(d, err);
done:
    folder_list_free(&dirs);
    folder_list_free(&files);
    return st;
}

MGI_FN mango_status mgi_folder_get(const mango_data *d, mango_idx i, unsigned char *pixels,
                                   mango_err *err)
{
    unsigned char *rgb = NULL;
    mango_idx W = 0, H = 0;
    mango_status st;
    mgi_str path;
    mgi_str_init(&path, &d->al);
    mgi_str_printf(&path, "%s/%s", d->root, d->names.p + d->path[i]);
    st = path.bad ? mgi_fail(err, MANGO_E_MEM, "%s: out of memory", d->root)
                  : mango_image_read(path.p, &d->o.codecs, d->o.max_side, &rgb, &W, &H,
                                     &d->al, err);
    if (st >= 0) {
        st = mango_image_fit(H, W, rgb, d->o.resize, d->o.crop, pixels, &d->al);
        if (st < 0)
            mgi_fail(err, st, "%s: a picture of %ldx%ld cannot be cut to %ldx%ld", path.p,
                     (long)W, (long)H, (long)d->o.crop, (long)d->o.crop);
    }
    mgi_del(&d->al, rgb, 3 * W * H, 1);
    mgi_str_free(&path);
    return st;
}
/* ---- end data/folder.c -------------------------------------------------------------- */

/* ---- begin data/zip.c --------------------------------------------------------------- */
/* zip.c - zip archives read through their central directory (APPNOTE 6.3),
 * every entry checked against its local header before anything is used.
 */
#include <stdlib.h>

enum { ZIP_LOCAL = 30, ZIP_CENTRAL = 46, ZIP_END = 22, ZIP_END64 = 56, ZIP_LOCATOR = 20 };

static mango_status zip_bad(mango_err *err, const char *what, mango_idx at, const char *why)
{
    return mgi_fail(err, MANGO_E_FORMAT, "%s: damaged zip archive at byte %ld: %s", what,
                    (long)at, why);
}

/* Is the signature "PK" a b at byte `at`, with room for `need` bytes? */
static int zip_sig(const mgi_zip *z, mango_idx at, mango_idx need, int a, int b)
{
    if (at < 0 || at > z->size - need)
        return 0;
    const unsigned char *p = z->bytes + at;
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

/* A 64-bit size as an index; -1 when it is larger than the file may be. */
static mango_idx zip_size(uint64_t v)
{
    return v > (uint64_t)MGI_FILE_MAX ? -1 : (mango_idx)v;
}

/* The directory: number of entries, first byte, first byte behind. */
static mango_status zip_end(const mgi_zip *z, mango_idx *count, mango_idx *from,
                            mango_idx *to, const char *what, mango_err *err)
{
    const mango_idx end = z->size - ZIP_END, locator = end - ZIP_LOCATOR;
    uint64_t n, size, offset;
    if (!zip_sig(z, end, ZIP_END, 5, 6) || mgi_le16(z->bytes + end + 20) != 0)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "%s: no zip directory at its end (truncated, or bytes behind it)",
                        what);
    const unsigned char *p = z->bytes + end;
    if (mgi_le16(p + 4) || mgi_le16(p + 6) || mgi_le16(p + 8) != mgi_le16(p + 10))
        return zip_bad(err, what, end, "several disks");
    n = mgi_le16(p + 10), size = mgi_le32(p + 12), offset = mgi_le32(p + 16);
    *to = end;
    if (zip_sig(z, locator, ZIP_LOCATOR, 6, 7)) {
        *to = locator - ZIP_END64;
        if (!zip_sig(z, *to, ZIP_END64, 6, 6) ||
            mgi_le64(z->bytes + locator + 8) != (uint64_t)*to ||
            mgi_le64(z->bytes + *to + 4) != ZIP_END64 - 12)
            return zip_bad(err, what, locator, "zip64 locator and directory end disagree");
        const unsigned char *q = z->bytes + *to;
        if ((n != 0xffff && n != mgi_le64(q + 32)) ||
            mgi_le64(q + 24) != mgi_le64(q + 32) ||
            (size != 0xffffffffu && size != mgi_le64(q + 40)) ||
            (offset != 0xffffffffu && offset != mgi_le64(q + 48)))
            return zip_bad(err, what, *to, "zip64 and plain directory ends disagree");
        n = mgi_le64(q + 32), size = mgi_le64(q + 40), offset = mgi_le64(q + 48);
    }
    if (n < 1 || n > MGI_ZIP_ENTRIES)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: %llu zip entries, 1 to %d expected", what,
                        (unsigned long long)n, MGI_ZIP_ENTRIES);
    if (size > (uint64_t)*to || offset != (uint64_t)*to - size || size < n * ZIP_CENTRAL)
        return zip_bad(err, what, end, "directory size and place disagree");
    *count = (mango_idx)n;
    *from = (mango_idx)offset;
    return MANGO_OK;
}

/* zip64 values of an extra field, in the order of v where v is 0xffffffff;
 * 0 when they are missing or a field runs over its end. */
static int zip_extra(const unsigned char *p, mango_idx n, int count, uint64_t **v)
{
    int missing = 0;
    for (int i = 0; i < count; i++)
        missing += *v[i] == 0xffffffffu;
    while (n >= 4) {
        mango_idx len = (mango_idx)mgi_le16(p + 2), at = 0;
        if (len > n - 4)
            return 0;
        for (int i = 0; mgi_le16(p) == 1 && i < count && missing; i++)
            if (*v[i] == 0xffffffffu) {
                if (at + 8 > len)
                    return 0;
                *v[i] = mgi_le64(p + 4 + at);
                at += 8;
                missing--;
            }
        p += 4 + len;
        n -= 4 + len;
    }
    return missing == 0;
}

/* The local header must say what the directory says; zeros with a descriptor. */
static mango_status zip_local(const mgi_zip *z, mgi_zip_entry *e, mango_idx limit,
                              const char *what, mango_err *err)
{
    if (e->start > limit - ZIP_LOCAL || !zip_sig(z, e->start, ZIP_LOCAL, 3, 4))
        return zip_bad(err, what, e->start, "no local header where the directory says");
    const unsigned char *p = z->bytes + e->start;
    mango_idx name = (mango_idx)mgi_le16(p + 26), extra = (mango_idx)mgi_le16(p + 28);
    uint64_t packed = mgi_le32(p + 18), size = mgi_le32(p + 22), *v[2] = {&size, &packed};
    e->data = e->start + ZIP_LOCAL + name + extra;
    if (e->data > limit || e->packed > limit - e->data)
        return zip_bad(err, what, e->start, "an entry runs into the directory");
    if (name != e->n || memcmp(p + ZIP_LOCAL, e->name, (size_t)name) ||
        (int)mgi_le16(p + 6) != e->flags || (int)mgi_le16(p + 8) != e->method)
        return zip_bad(err, what, e->start, "local header and directory disagree");
    const int later = (e->flags & 8) && mgi_le32(p + 14) == 0 && packed == 0 && size == 0;
    if (!later &&
        (!zip_extra(p + ZIP_LOCAL + name, extra, 2, v) || mgi_le32(p + 14) != e->crc ||
         packed != (uint64_t)e->packed || size != (uint64_t)e->size))
        return zip_bad(err, what, e->start,
                       "sizes or CRC of local header and directory disagree");
    e->end = e->data + e->packed;
    if (!(e->flags & 8))
        return MANGO_OK;
    p = z->bytes + e->end; /* data descriptor: sizes of 4 or of 8 bytes */
    if (zip_sig(z, e->end, 16, 7, 8) && mgi_le32(p + 4) == e->crc) {
        int plain =
            mgi_le32(p + 8) == (uint64_t)e->packed && mgi_le32(p + 12) == (uint64_t)e->size;
        int wide = e->end <= limit - 24 && mgi_le64(p + 8) == (uint64_t)e->packed &&
                   mgi_le64(p + 16) == (uint64_t)e->size;
        e->end += wide ? 24 : 16;
        if ((wide || plain) && e->end <= limit)
            return MANGO_OK;
    }
    return zip_bad(err, what, e->data + e->packed,
                   "data descriptor and directory disagree");
}

/* One record of the directory at *at, which moves on. */
static mango_status zip_central(const mgi_zip *z, mgi_zip_entry *e, mango_idx *at,
                                mango_idx to, const char *what, mango_err *err)
{
    if (*at > to - ZIP_CENTRAL || !zip_sig(z, *at, ZIP_CENTRAL, 1, 2))
        return zip_bad(err, what, *at, "no directory record");
    const unsigned char *p = z->bytes + *at;
    mango_idx extra = (mango_idx)mgi_le16(p + 30), note = (mango_idx)mgi_le16(p + 32);
    uint64_t packed = mgi_le32(p + 20), size = mgi_le32(p + 24), start = mgi_le32(p + 42);
    uint64_t *v[3] = {&size, &packed, &start};
    e->n = (mango_idx)mgi_le16(p + 28);
    if (e->n + extra + note > to - *at - ZIP_CENTRAL)
        return zip_bad(err, what, *at, "a directory record runs over its end");
    if (e->n < 1 || e->n > MGI_ZIP_NAME)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: a zip name of %ld bytes, 1 to %d expected",
                        what, (long)e->n, MGI_ZIP_NAME);
    if (!zip_extra(p + ZIP_CENTRAL + e->n, extra, 3, v))
        return zip_bad(err, what, *at, "malformed extra field");
    e->name = (const char *)p + ZIP_CENTRAL;
    e->flags = (int)mgi_le16(p + 8);
    e->method = (int)mgi_le16(p + 10);
    e->crc = mgi_le32(p + 16);
    e->packed = zip_size(packed), e->size = zip_size(size), e->start = zip_size(start);
    if (e->packed < 0 || e->size < 0 || e->start < 0)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: a zip entry beyond 1 GiB", what);
    if ((e->flags & 1) || (e->method != 0 && e->method != 8))
        return mgi_fail(err, MANGO_E_UNSUPPORTED,
                        "%s: zip entry is %s; stored or deflated expected", what,
                        (e->flags & 1) ? "encrypted" : "packed by an unknown method");
    if (e->method == 0 ? e->packed != e->size : e->size / 1032 > e->packed)
        return zip_bad(err, what, *at, "an entry cannot unpack to the size it states");
    *at += ZIP_CENTRAL + e->n + extra + note;
    return MANGO_OK;
}

static int zip_compare(const char *a, mango_idx na, const char *b, mango_idx nb)
{
    int c = memcmp(a, b, (size_t)MGI_MIN(na, nb));
    return c ? c : na < nb ? -1 : na > nb;
}

static int zip_by_name(const void *x, const void *y)
{
    const mgi_zip_entry *a = (const mgi_zip_entry *)x, *b = (const mgi_zip_entry *)y;
    return zip_compare(a->name, a->n, b->name, b->n);
}

static int zip_by_start(const void *x, const void *y)
{
    const mgi_zip_entry *a = (const mgi_zip_entry *)x, *b = (const mgi_zip_entry *)y;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* No two entries share a byte or a name; unpacked, all stay under the cap. */
static mango_status zip_disjoint(mgi_zip *z, const char *what, mango_err *err)
{
    mango_idx total = 0;
    qsort(z->e, (size_t)z->n, sizeof *z->e, zip_by_start);
    for (mango_idx i = 0; i < z->n; i++) {
        if (i == 0 ? z->e[0].start != 0 : z->e[i].start < z->e[i - 1].end)
            return zip_bad(err, what, z->e[i].start,
                           i ? "two entries overlap" : "bytes before the first entry");
        if (z->e[i].size > MGI_FILE_MAX - total)
            return mgi_fail(err, MANGO_E_LIMIT, "%s: unpacks to more than 1 GiB", what);
        total += z->e[i].size;
    }
    qsort(z->e, (size_t)z->n, sizeof *z->e, zip_by_name);
    for (mango_idx i = 1; i < z->n; i++)
        if (zip_by_name(&z->e[i - 1], &z->e[i]) == 0)
            return zip_bad(err, what, z->e[i].start, "two entries of one name");
    return MANGO_OK;
}

MGI_FN mango_status mgi_zip_open(mgi_zip *z, const unsigned char *bytes, mango_idx size,
                                 const char *what, const mango_alloc *al, mango_err *err)
{
    mango_idx from = 0, to = 0, at;
    mango_status st;
    memset(z, 0, sizeof *z);
    z->al = mgi_alloc_get(al);
    z->bytes = bytes;
    z->size = size;
    MGI_TRY(zip_end(z, &z->n, &from, &to, what, err));
    z->e = (mgi_zip_entry *)mgi_new(&z->al, z->n, sizeof *z->e);
    if (!z->e)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    at = from;
    for (mango_idx i = 0; i < z->n; i++) {
        MGI_TRY_TO(zip_central(z, &z->e[i], &at, to, what, err));
        MGI_TRY_TO(zip_local(z, &z->e[i], from, what, err));
    }
    st = at == to ? zip_disjoint(z, what, err)
                  : zip_bad(err, what, at, "directory and number of entries disagree");
done:
    if (st < 0)
        mgi_zip_free(z);
    return st;
}

MGI_FN void mgi_zip_free(mgi_zip *z)
{
    mgi_del(&z->al, z->e, z->n, sizeof *z->e);
    z->e = NULL;
    z->n = 0;
}

MGI_FN const mgi_zip_entry *mgi_zip_find(const mgi_zip *z, const char *name)
{
    mango_idx lo = 0, hi = z->n, n = (mango_idx)strlen(name);
    while (lo < hi) {
        mango_idx mid = lo + (hi - lo) / 2;
        int c = zip_compare(z->e[mid].name, z->e[mid].n, name, n);
        if (c == 0)
            return &z->e[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

MGI_FN mango_status mgi_zip_data(const mgi_zip *z, const mgi_zip_entry *e, const char *what,
                                 const mango_codecs *codecs, const unsigned char **p,
                                 unsigned char **owned, mango_err *err)
{
    const unsigned char *data = z->bytes + e->data;
    *owned = NULL;
    if (e->method == 8) {
        if (!codecs || !codecs->inflate)
            return mgi_fail(err, MANGO_E_UNSUPPORTED,
                            "%s: compressed, and this build cannot inflate", what);
        *owned = (unsigned char *)mgi_new(&z->al, e->size + 1, 1);
        if (!*owned)
            return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what,
                            (long)e->size);
        if (codecs->inflate(codecs->ud, data, e->packed, *owned, e->size) == e->size)
            data = *owned;
    }
    *p = data;
    if ((e->method == 0 || *owned == data) && mgi_crc32(0, data, e->size) == e->crc)
        return MANGO_OK;
    mgi_del(&z->al, *owned, e->size + 1, 1);
    *owned = NULL;
    return zip_bad(err, what, e->data, "an entry's CRC-32 does not match");
}
/* ---- end data/zip.c ----------------------------------------------------------------- */

/* ---- begin data/pickle.c ------------------------------------------------------------ */
/* pickle.c - the opcodes: a stack machine over plain values (protocols 0 to 5,
 * as far as checkpoints use them). Nothing is imported, called or executed.
 */

MGI_FN void mgi_pickle_init(mgi_pickle *k, const char *what, const mango_alloc *al)
{
    memset(k, 0, sizeof *k);
    k->al = mgi_alloc_get(al);
    k->what = what;
}

MGI_FN void mgi_pickle_free(mgi_pickle *k)
{
    mgi_del(&k->al, k->v, k->cap_v, sizeof *k->v);
    mgi_del(&k->al, k->cell, k->cap_cell, sizeof *k->cell);
    mgi_del(&k->al, k->view, k->cap_view, sizeof *k->view);
    mgi_del(&k->al, k->memo, k->cap_memo, sizeof *k->memo);
    mgi_del(&k->al, k->stack, k->cap_stack, sizeof *k->stack);
    mgi_del(&k->al, k->mark, k->cap_mark, sizeof *k->mark);
    memset(k, 0, sizeof *k);
}

MGI_FN mango_status mgi_pickle_bad(mgi_pickle *k, mango_status st, const char *why)
{
    return mgi_fail(k->err, st, "%s: pickle, byte %ld: %s", k->what, (long)k->at, why);
}

/* Room for `need` elements in *(void **)array, doubled up to max. */
MGI_FN mango_status mgi_pickle_grow(mgi_pickle *k, void *array, mango_idx *cap,
                                    mango_idx need, mango_idx max, size_t size,
                                    const char *too_many)
{
    void *p;
    if (need <= *cap)
        return MANGO_OK;
    if (need > max)
        return mgi_pickle_bad(k, MANGO_E_LIMIT, too_many);
    mango_idx want = MGI_MIN(MGI_MAX(MGI_MAX(need, 2 * *cap), 64), max);
    memcpy(&p, array, sizeof p);
    p = mgi_resize(&k->al, p, *cap, want, size);
    if (!p)
        return mgi_pickle_bad(k, MANGO_E_MEM, "out of memory");
    memcpy(array, &p, sizeof p);
    *cap = want;
    return MANGO_OK;
}

MGI_FN mango_status mgi_pickle_new(mgi_pickle *k, mgi_pk_kind kind, int32_t *out)
{
    MGI_TRY(mgi_pickle_grow(k, &k->v, &k->cap_v, k->n_v + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->v, "too many values"));
    memset(&k->v[k->n_v], 0, sizeof *k->v);
    k->v[k->n_v].kind = kind;
    k->v[k->n_v].head = k->v[k->n_v].tail = -1;
    *out = (int32_t)k->n_v++;
    return MANGO_OK;
}

MGI_FN mango_status mgi_pickle_link(mgi_pickle *k, int32_t container, int32_t key,
                                    int32_t v)
{
    MGI_TRY(mgi_pickle_grow(k, &k->cell, &k->cap_cell, k->n_cell + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->cell, "too many items"));
    mgi_pk_cell *c = &k->cell[k->n_cell];
    mgi_pk_value *to = &k->v[container];
    c->k = key, c->v = v, c->next = -1;
    if (to->head < 0)
        to->head = (int32_t)k->n_cell;
    else
        k->cell[to->tail].next = (int32_t)k->n_cell;
    to->tail = (int32_t)k->n_cell++;
    to->n++;
    return MANGO_OK;
}

MGI_FN int mgi_pickle_is(const mgi_pickle *k, int32_t v, const char *z)
{
    return v >= 0 && k->v[v].kind == MGI_PK_STRING && k->v[v].n == (mango_idx)strlen(z) &&
           !memcmp(k->v[v].s, z, strlen(z));
}

MGI_FN int32_t mgi_pickle_get(const mgi_pickle *k, int32_t dict, const char *key)
{
    int32_t found = -1;
    if (dict < 0 || k->v[dict].kind != MGI_PK_DICT)
        return -1;
    for (int32_t c = k->v[dict].head; c >= 0; c = k->cell[c].next)
        if (mgi_pickle_is(k, k->cell[c].k, key))
            found = k->cell[c].v;
    return found;
}

MGI_FN int32_t mgi_pickle_item(const mgi_pickle *k, int32_t list, mango_idx i)
{
    if (list < 0 || (k->v[list].kind != MGI_PK_TUPLE && k->v[list].kind != MGI_PK_LIST))
        return -1;
    int32_t c = k->v[list].head;
    while (c >= 0 && i-- > 0)
        c = k->cell[c].next;
    return c >= 0 ? k->cell[c].v : -1;
}

/* ---- stack, memo, bytes ---- */

static mango_status pk_push(mgi_pickle *k, int32_t v)
{
    MGI_TRY(mgi_pickle_grow(k, &k->stack, &k->cap_stack, k->n_stack + 1, MGI_PK_STACK_MAX,
                            sizeof *k->stack, "stack too deep"));
    k->stack[k->n_stack++] = v;
    return MANGO_OK;
}

/* A pop may not reach below the topmost mark. */
static mango_status pk_pop(mgi_pickle *k, int32_t *v)
{
    if (k->n_stack <= (k->n_mark ? k->mark[k->n_mark - 1] : 0))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "takes from an empty stack");
    *v = k->stack[--k->n_stack];
    return MANGO_OK;
}

static mango_status pk_push_new(mgi_pickle *k, mgi_pk_kind kind, int64_t i)
{
    int32_t v;
    MGI_TRY(mgi_pickle_new(k, kind, &v));
    k->v[v].i = i;
    return pk_push(k, v);
}

/* The next `n` bytes of the pickle; NULL when it ends before. */
static const unsigned char *pk_take(mgi_pickle *k, mango_idx n)
{
    if (n < 0 || n > k->n - k->at)
        return NULL;
    k->at += n;
    return k->p + k->at - n;
}

/* A line of text without its newline. */
static mango_status pk_line(mgi_pickle *k, const unsigned char **s, mango_idx *n)
{
    const unsigned char *from = k->p + k->at;
    const unsigned char *end =
        (const unsigned char *)memchr(from, '\n', (size_t)(k->n - k->at));
    if (!end)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends inside a line of text; truncated?");
    *s = from;
    *n = end - from;
    k->at += *n + 1;
    return MANGO_OK;
}

/* A length of 1, 4 or 8 bytes, then as many bytes: a string or bytes. */
static mango_status pk_counted(mgi_pickle *k, int width, mgi_pk_kind kind)
{
    int32_t v;
    const unsigned char *p = pk_take(k, width), *s;
    if (!p)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
    uint64_t n = width == 1 ? *p : width == 4 ? mgi_le32(p) : mgi_le64(p);
    if (n > (uint64_t)(k->n - k->at))
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "a string longer than what is left; truncated?");
    s = pk_take(k, (mango_idx)n);
    MGI_TRY(mgi_pickle_new(k, kind, &v));
    k->v[v].s = s;
    k->v[v].n = (mango_idx)n;
    return pk_push(k, v);
}

/* Two's complement of n little-endian bytes. */
static mango_status pk_long(mgi_pickle *k, int width)
{
    const unsigned char *p = pk_take(k, width), *s;
    uint64_t n = p ? width == 1 ? *p : mgi_le32(p) : 0, u = 0;
    if (!p || n > 256 || (s = pk_take(k, (mango_idx)n)) == NULL)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a number of over 256 bytes, or cut off");
    if (n > 8) {
        MGI_TRY(pk_push_new(k, MGI_PK_LONG, 0));
        k->v[k->n_v - 1].s = s;
        k->v[k->n_v - 1].n = (mango_idx)n;
        return MANGO_OK;
    }
    for (int b = 0; b < 8; b++) {
        uint64_t sign = n > 0 && (s[n - 1] & 0x80) ? 0xff : 0;
        u |= ((uint64_t)b < n ? (uint64_t)s[b] : sign) << (8 * b);
    }
    int64_t i;
    memcpy(&i, &u, sizeof i);
    return pk_push_new(k, MGI_PK_INT, i);
}

/* Decimal text: I, L, F. 01 and 00 are booleans. Floats are not needed. */
static mango_status pk_text_number(mgi_pickle *k, int op)
{
    const unsigned char *s;
    mango_idx n;
    char z[32];
    int64_t i;
    MGI_TRY(pk_line(k, &s, &n));
    if (op == 'F')
        return pk_push_new(k, MGI_PK_FLOAT, 0);
    if (op == 'I' && n == 2 && s[0] == '0' && (s[1] == '0' || s[1] == '1'))
        return pk_push_new(k, MGI_PK_BOOL, s[1] - '0');
    if (op == 'L' && n > 0 && s[n - 1] == 'L')
        n--;
    if (n < 1 || n > 20)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "an unreadable number");
    memcpy(z, s, (size_t)n);
    z[n] = 0;
    if (!mgi_parse_int(z, INT64_MIN, INT64_MAX, &i))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "an unreadable number");
    return pk_push_new(k, MGI_PK_INT, i);
}

/* ---- containers ---- */

/* Pop the topmost mark; *from is the first stack place above it. */
static mango_status pk_mark(mgi_pickle *k, mango_idx *from)
{
    if (k->n_mark < 1)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "no mark on the stack");
    *from = k->mark[--k->n_mark];
    return MANGO_OK;
}

/* A container of the stack from `from` on; pairs for dicts. */
static mango_status pk_collect(mgi_pickle *k, mgi_pk_kind kind, mango_idx from)
{
    int32_t v;
    MGI_TRY(mgi_pickle_new(k, kind, &v));
    if (kind == MGI_PK_DICT && (k->n_stack - from) % 2)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a key without a value");
    for (mango_idx i = from; i < k->n_stack; i += kind == MGI_PK_DICT ? 2 : 1)
        MGI_TRY(kind == MGI_PK_DICT ? mgi_pickle_link(k, v, k->stack[i], k->stack[i + 1])
                                    : mgi_pickle_link(k, v, -1, k->stack[i]));
    k->n_stack = from;
    return pk_push(k, v);
}

/* Add the stack from `from` on to the container below it. */
static mango_status pk_extend(mgi_pickle *k, mgi_pk_kind kind, mango_idx from)
{
    if (from < 1 || (k->n_mark && k->mark[k->n_mark - 1] >= from))
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "takes from an empty stack");
    const int32_t to = k->stack[from - 1];
    if (kind == MGI_PK_DICT && (k->n_stack - from) % 2)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a key without a value");
    if (k->v[to].kind != kind && k->v[to].kind != MGI_PK_OPAQUE)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "adds items to something that holds none");
    for (mango_idx i = from; i < k->n_stack && k->v[to].kind == kind;
         i += kind == MGI_PK_DICT ? 2 : 1)
        MGI_TRY(kind == MGI_PK_DICT ? mgi_pickle_link(k, to, k->stack[i], k->stack[i + 1])
                                    : mgi_pickle_link(k, to, -1, k->stack[i]));
    k->n_stack = from;
    return MANGO_OK;
}

/* ---- groups of opcodes; 1 means: not one of mine ---- */

static mango_status pk_op_number(mgi_pickle *k, int op)
{
    const unsigned char *p;
    switch (op) {
    case 'N': return pk_push_new(k, MGI_PK_NONE, 0);
    case 0x88:
    case 0x89: return pk_push_new(k, MGI_PK_BOOL, op == 0x88);
    case 'I':
    case 'L':
    case 'F': return pk_text_number(k, op);
    case 0x8a: return pk_long(k, 1);
    case 0x8b: return pk_long(k, 4);
    case 'G':
        return pk_take(k, 8) ? pk_push_new(k, MGI_PK_FLOAT, 0)
                             : mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
    case 'K':
    case 'M':
    case 'J':
        p = pk_take(k, op == 'K' ? 1 : op == 'M' ? 2 : 4);
        if (!p)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
        if (op == 'J') {
            int64_t i = (int64_t)mgi_le32(p);
            return pk_push_new(k, MGI_PK_INT,
                               i >= INT64_C(0x80000000) ? i - INT64_C(0x100000000) : i);
        }
        return pk_push_new(k, MGI_PK_INT, op == 'K' ? *p : (int64_t)mgi_le16(p));
    default: return (mango_status)1;
    }
}

static mango_status pk_op_string(mgi_pickle *k, int op)
{
    switch (op) {
    case 'X':
    case 'T': return pk_counted(k, 4, MGI_PK_STRING);
    case 0x8c:
    case 'U': return pk_counted(k, 1, MGI_PK_STRING);
    case 0x8d: return pk_counted(k, 8, MGI_PK_STRING);
    case 'B': return pk_counted(k, 4, MGI_PK_BYTES);
    case 'C': return pk_counted(k, 1, MGI_PK_BYTES);
    case 0x8e: return pk_counted(k, 8, MGI_PK_BYTES);
    default: return (mango_status)1;
    }
}

static mango_status pk_op_container(mgi_pickle *k, int op)
{
    mango_idx from = 0;
    if (op && strchr("tldeu1\x90\x91", op)) /* those that take all above a mark */
        MGI_TRY(pk_mark(k, &from));
    switch (op) {
    case '(':
        MGI_TRY(mgi_pickle_grow(k, &k->mark, &k->cap_mark, k->n_mark + 1, MGI_PK_DEPTH_MAX,
                                sizeof *k->mark, "nested too deep"));
        k->mark[k->n_mark++] = (int32_t)k->n_stack;
        return MANGO_OK;
    case ')': return pk_collect(k, MGI_PK_TUPLE, k->n_stack);
    case ']':
    case 0x8f: return pk_collect(k, MGI_PK_LIST, k->n_stack);
    case '}': return pk_collect(k, MGI_PK_DICT, k->n_stack);
    case 't': return pk_collect(k, MGI_PK_TUPLE, from);
    case 'l':
    case 0x91: return pk_collect(k, MGI_PK_LIST, from);
    case 'd': return pk_collect(k, MGI_PK_DICT, from);
    case 'e':
    case 0x90: return pk_extend(k, MGI_PK_LIST, from);
    case 'u': return pk_extend(k, MGI_PK_DICT, from);
    case '1': k->n_stack = from; return MANGO_OK;
    case 0x85:
    case 0x86:
    case 0x87:
    case 'a':
    case 's':
        from = k->n_stack - (op == 'a' ? 1 : op == 's' ? 2 : op - 0x84);
        if (from < (k->n_mark ? k->mark[k->n_mark - 1] : 0))
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "takes from an empty stack");
        return op > 0x80 ? pk_collect(k, MGI_PK_TUPLE, from)
                         : pk_extend(k, op == 'a' ? MGI_PK_LIST : MGI_PK_DICT, from);
    default: return (mango_status)1;
    }
}

/* A memo slot: the number in the opcode's argument. */
static mango_status pk_slot(mgi_pickle *k, int op, mango_idx *slot)
{
    const unsigned char *p;
    if (op == 'p' || op == 'g') {
        int32_t v;
        MGI_TRY(pk_text_number(k, 'L'));
        MGI_TRY(pk_pop(k, &v));
        *slot = k->v[v].i < 0 || k->v[v].i >= MGI_PK_VALUES_MAX ? -1 : (mango_idx)k->v[v].i;
    } else {
        const int wide = op == 'r' || op == 'j';
        p = pk_take(k, wide ? 4 : 1);
        if (!p)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends early; truncated?");
        uint32_t u = wide ? mgi_le32(p) : *p;
        *slot = u < MGI_PK_VALUES_MAX ? (mango_idx)u : -1;
    }
    return *slot < 0 ? mgi_pickle_bad(k, MANGO_E_LIMIT, "memo slot out of range")
                     : MANGO_OK;
}

static mango_status pk_op_memo(mgi_pickle *k, int op)
{
    mango_idx slot = k->n_memo;
    int32_t v = 0;
    if (op == 'g' || op == 'h' || op == 'j') {
        MGI_TRY(pk_slot(k, op, &slot));
        if (slot >= k->n_memo || k->memo[slot] < 0)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "an empty memo slot");
        return pk_push(k, k->memo[slot]);
    }
    if (op == 'p' || op == 'q' || op == 'r') {
        MGI_TRY(pk_slot(k, op, &slot));
    } else if (op != 0x94) {
        return (mango_status)1;
    }
    MGI_TRY(pk_pop(k, &v));
    k->n_stack++; /* it stays where it was */
    MGI_TRY(mgi_pickle_grow(k, &k->memo, &k->cap_memo, slot + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->memo, "memo too large"));
    while (k->n_memo <= slot)
        k->memo[k->n_memo++] = -1;
    k->memo[slot] = v;
    return MANGO_OK;
}

/* An imported name, from two lines of text or two strings of the stack. */
static mango_status pk_import(mgi_pickle *k, int from_stack)
{
    const unsigned char *module, *name;
    mango_idx n_module, n_name;
    mgi_pk_name id = MGI_PK_OF_OPAQUE;
    int32_t a = 0, b = 0, dtype = 0, v;
    if (from_stack) {
        MGI_TRY(pk_pop(k, &b));
        MGI_TRY(pk_pop(k, &a));
        if (k->v[a].kind != MGI_PK_STRING || k->v[b].kind != MGI_PK_STRING)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "an import whose name is no string");
        module = k->v[a].s, n_module = k->v[a].n;
        name = k->v[b].s, n_name = k->v[b].n;
    } else {
        MGI_TRY(pk_line(k, &module, &n_module));
        MGI_TRY(pk_line(k, &name, &n_name));
    }
    MGI_TRY(mgi_pickle_name(k, module, n_module, name, n_name, &id, &dtype));
    MGI_TRY(mgi_pickle_new(k, MGI_PK_NAME, &v));
    k->v[v].i = (int64_t)id;
    k->v[v].what = dtype;
    return pk_push(k, v);
}

static mango_status pk_op_object(mgi_pickle *k, int op)
{
    int32_t a = 0, f = 0, v = 0;
    switch (op) {
    case 'c': return pk_import(k, 0);
    case 0x93: return pk_import(k, 1);
    case 'R':
    case 0x81: /* call, or a new object: symbols both */
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_pop(k, &f));
        MGI_TRY(mgi_pickle_call(k, f, a, &v));
        return pk_push(k, v);
    case 'b': /* state of an object: of no use here */
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_pop(k, &v));
        if (k->v[v].kind != MGI_PK_DICT && k->v[v].kind != MGI_PK_OPAQUE &&
            k->v[v].kind != MGI_PK_TENSOR)
            return mgi_pickle_bad(k, MANGO_E_FORMAT,
                                  "sets the state of something that has none");
        return pk_push(k, v);
    case 'Q':
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(mgi_pickle_storage(k, a, &v));
        return pk_push(k, v);
    case '0': /* POP takes a mark, too */
        if (k->n_mark && k->mark[k->n_mark - 1] == k->n_stack) {
            k->n_mark--;
            return MANGO_OK;
        }
        return pk_pop(k, &a);
    case '2':
        MGI_TRY(pk_pop(k, &a));
        MGI_TRY(pk_push(k, a));
        return pk_push(k, a);
    default: return (mango_status)1;
    }
}

/* PROTO, FRAME: framing only, checked and skipped. */
static mango_status pk_op_frame(mgi_pickle *k, int op)
{
    const unsigned char *p;
    if (op == 0x80) {
        p = pk_take(k, 1);
        return p && *p <= 5
                   ? MANGO_OK
                   : mgi_pickle_bad(k, MANGO_E_UNSUPPORTED, "protocol 0 to 5 expected");
    }
    if (op != 0x95)
        return (mango_status)1;
    p = pk_take(k, 8);
    return p && mgi_le64(p) <= (uint64_t)(k->n - k->at)
               ? MANGO_OK
               : mgi_pickle_bad(k, MANGO_E_FORMAT,
                                "a frame longer than what is left; truncated?");
}

/* Every group is asked in turn. */
static mango_status pk_step(mgi_pickle *k, int op)
{
    static mango_status (*const group[])(mgi_pickle *, int) = {
        pk_op_memo, pk_op_number, pk_op_string, pk_op_container, pk_op_object, pk_op_frame};
    for (mango_idx g = 0; g < MGI_COUNT(group); g++) {
        mango_status st = group[g](k, op);
        if (st != 1)
            return st;
    }
    k->at--;
    return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                    "%s: pickle, byte %ld: opcode 0x%02x is none that a checkpoint needs; "
                    "nothing is run",
                    k->what, (long)k->at, (unsigned)op);
}

MGI_FN mango_status mgi_pickle_run(mgi_pickle *k, const unsigned char *p, mango_idx n,
                                   int32_t *root, mango_idx *used, mango_err *err)
{
    k->p = p, k->n = n, k->at = 0, k->err = err;
    k->n_stack = k->n_mark = k->n_memo = 0;
    while (k->at < n && k->at < MGI_PK_BYTES_MAX) {
        int op = p[k->at++];
        if (op != '.') {
            MGI_TRY(pk_step(k, op));
            continue;
        }
        MGI_TRY(pk_pop(k, root));
        if (k->n_stack || k->n_mark)
            return mgi_pickle_bad(k, MANGO_E_FORMAT, "ends with values left over");
        *used = k->at;
        return MANGO_OK;
    }
    return k->at < n ? mgi_pickle_bad(k, MANGO_E_LIMIT, "a pickle of over 64 MiB")
                     : mgi_pickle_bad(k, MANGO_E_FORMAT, "ends without STOP; truncated?");
}
/* ---- end data/pickle.c -------------------------------------------------------------- */

/* ---- begin data/pickle_torch.c ------------------------------------------------------ */
/* pickle_torch.c - the names a checkpoint may import, as symbols: ordered
 * dicts, tensors, parameters, storages. The rest is refused by name.
 */

static const struct {
    const char *module, *name;
    mgi_pk_name id;
} pkt_names[] = {
    {"collections", "OrderedDict", MGI_PK_OF_DICT},
    {"torch._utils", "_rebuild_tensor_v2", MGI_PK_OF_TENSOR},
    {"torch._utils", "_rebuild_tensor", MGI_PK_OF_TENSOR},
    {"torch._utils", "_rebuild_parameter", MGI_PK_OF_PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", MGI_PK_OF_PARAMETER},
    /* Of no use here, but beside the weights in training checkpoints (options,
     * schedules, best scores). Plain data classes: kept as an opaque value. */
    {"argparse", "Namespace", MGI_PK_OF_OPAQUE},
    {"collections", "defaultdict", MGI_PK_OF_OPAQUE},
    {"collections", "Counter", MGI_PK_OF_OPAQUE},
    {"torch", "Size", MGI_PK_OF_OPAQUE},
    {"torch", "device", MGI_PK_OF_OPAQUE},
    {"numpy", "dtype", MGI_PK_OF_OPAQUE},
    {"numpy.core.multiarray", "scalar", MGI_PK_OF_OPAQUE},
    {"numpy._core.multiarray", "scalar", MGI_PK_OF_OPAQUE},
    {"_codecs", "encode", MGI_PK_OF_OPAQUE},
};
static const char *const pkt_builtins[] = {"set",   "frozenset", "list", "dict", "int",
                                           "float", "bool",      "str",  "tuple"};
static const char *const pkt_storages[MGI_PK_DTYPES] = {
    "FloatStorage", "DoubleStorage", "HalfStorage", "BFloat16Storage", "LongStorage",
    "IntStorage",   "ShortStorage",  "CharStorage", "ByteStorage",     "BoolStorage"};
static const struct {
    const char *name;
    int size;
} pkt_types[MGI_PK_DTYPES] = {
    {"float32", 4}, {"float64", 8}, {"float16", 2}, {"bfloat16", 2}, {"int64", 8},
    {"int32", 4},   {"int16", 2},   {"int8", 1},    {"uint8", 1},    {"bool", 1}};

MGI_FN int mgi_pk_size(int dtype)
{
    return pkt_types[dtype].size;
}

MGI_FN const char *mgi_pk_type_name(int dtype)
{
    return pkt_types[dtype].name;
}

/* One element as a double; *whole is set for integers. */
MGI_FN double mgi_pk_element(const unsigned char *p, int dtype, int64_t *whole)
{
    uint32_t u4 = 0;
    uint64_t u8 = 0;
    float f4;
    double f8;
    switch ((mgi_pk_dtype)dtype) {
    case MGI_PK_F32:
        u4 = mgi_le32(p);
        memcpy(&f4, &u4, 4);
        return (double)f4;
    case MGI_PK_F64:
        u8 = mgi_le64(p);
        memcpy(&f8, &u8, 8);
        return f8;
    case MGI_PK_F16: return (double)mgi_from_f16((uint16_t)mgi_le16(p));
    case MGI_PK_BF16: return (double)mgi_from_bf16((uint16_t)mgi_le16(p));
    case MGI_PK_I64:
        u8 = mgi_le64(p);
        memcpy(whole, &u8, 8);
        break;
    case MGI_PK_I32:
        *whole = (int64_t)mgi_le32(p) - ((p[3] & 0x80) ? INT64_C(0x100000000) : 0);
        break;
    case MGI_PK_I16: *whole = (int64_t)mgi_le16(p) - ((p[1] & 0x80) ? 0x10000 : 0); break;
    case MGI_PK_I8: *whole = p[0] - ((p[0] & 0x80) ? 0x100 : 0); break;
    default: *whole = p[0]; break;
    }
    return (double)*whole;
}

static int pkt_is(const unsigned char *s, mango_idx n, const char *z)
{
    return n == (mango_idx)strlen(z) && !memcmp(s, z, (size_t)n);
}

static int pkt_begins(const unsigned char *s, mango_idx n, const char *z)
{
    return n >= (mango_idx)strlen(z) && !memcmp(s, z, strlen(z));
}

/* Why this name is not read: one line, with the name. */
static mango_status pkt_refuse(mgi_pickle *k, const unsigned char *module,
                               mango_idx n_module, const unsigned char *name,
                               mango_idx n_name)
{
    const int whole = pkt_begins(module, n_module, "torch.nn") ||
                      pkt_begins(module, n_module, "__main__") ||
                      pkt_begins(module, n_module, "torchvision") ||
                      pkt_begins(module, n_module, "snntorch") ||
                      pkt_begins(module, n_module, "spikingjelly");
    const int m = (int)MGI_MIN(n_module, 60), c = (int)MGI_MIN(n_name, 60);
    if (whole)
        return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                        "%s: holds a whole pickled module (%.*s.%.*s), which only its code "
                        "could rebuild; "
                        "save its state_dict() instead",
                        k->what, m, (const char *)module, c, (const char *)name);
    return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                    "%s: pickle, byte %ld: wants to import %.*s.%.*s; refused, only "
                    "tensors are read and "
                    "nothing is run",
                    k->what, (long)k->at, m, (const char *)module, c, (const char *)name);
}

MGI_FN mango_status mgi_pickle_name(mgi_pickle *k, const unsigned char *module,
                                    mango_idx n_module, const unsigned char *name,
                                    mango_idx n_name, mgi_pk_name *id, int32_t *dtype)
{
    const int torch = pkt_is(module, n_module, "torch");
    for (mango_idx i = 0; i < MGI_COUNT(pkt_names); i++)
        if (pkt_is(module, n_module, pkt_names[i].module) &&
            pkt_is(name, n_name, pkt_names[i].name)) {
            *id = pkt_names[i].id;
            return MANGO_OK;
        }
    for (int32_t d = 0; d < MGI_PK_DTYPES; d++)
        if ((torch || pkt_is(module, n_module, "torch.cuda")) &&
            pkt_is(name, n_name, pkt_storages[d])) {
            *id = MGI_PK_OF_STORAGE;
            *dtype = d;
            return MANGO_OK;
        }
    *id = MGI_PK_OF_OPAQUE;
    for (mango_idx i = 0; torch && i < MGI_COUNT(pkt_types); i++)
        if (pkt_is(name, n_name, pkt_types[i].name))
            return MANGO_OK;
    const int builtin =
        pkt_is(module, n_module, "builtins") || pkt_is(module, n_module, "__builtin__");
    for (mango_idx i = 0; builtin && i < MGI_COUNT(pkt_builtins); i++)
        if (pkt_is(name, n_name, pkt_builtins[i]))
            return MANGO_OK;
    return pkt_refuse(k, module, n_module, name, n_name);
}

/* An integer of value v in [0, max], or -1. */
static int64_t pkt_int(const mgi_pickle *k, int32_t v, int64_t max)
{
    return v >= 0 && k->v[v].kind == MGI_PK_INT && k->v[v].i >= 0 && k->v[v].i <= max
               ? k->v[v].i
               : -1;
}

/* (view key, first element, elements), or None: the whole storage. */
static mango_status pkt_view(mgi_pickle *k, int32_t view, int32_t storage)
{
    int64_t first = pkt_int(k, mgi_pickle_item(k, view, 1), MGI_FILE_MAX);
    int64_t count = pkt_int(k, mgi_pickle_item(k, view, 2), MGI_FILE_MAX);
    if (view < 0 || k->v[view].kind == MGI_PK_NONE)
        return MANGO_OK;
    if (first < 0 || count < 0 || first > k->v[storage].i - count)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a storage view outside its storage");
    MGI_TRY(mgi_pickle_grow(k, &k->view, &k->cap_view, k->n_view + 1, MGI_PK_VALUES_MAX,
                            sizeof *k->view, "too many storage views"));
    k->view[k->n_view].first = first;
    k->view[k->n_view].count = count;
    k->v[storage].head = (int32_t)k->n_view++;
    return MANGO_OK;
}

/* ('storage', torch.XStorage, key, place, elements[, view]) */
MGI_FN mango_status mgi_pickle_storage(mgi_pickle *k, int32_t id, int32_t *out)
{
    const int32_t type = mgi_pickle_item(k, id, 1), key = mgi_pickle_item(k, id, 2);
    const int64_t numel = pkt_int(k, mgi_pickle_item(k, id, 4), MGI_FILE_MAX);
    if (mgi_pickle_is(k, mgi_pickle_item(k, id, 0), "module"))
        return mgi_fail(k->err, MANGO_E_UNSUPPORTED,
                        "%s: holds a whole pickled module; save its state_dict() instead",
                        k->what);
    if (!mgi_pickle_is(k, mgi_pickle_item(k, id, 0), "storage") || type < 0 || key < 0 ||
        k->v[type].kind != MGI_PK_NAME || k->v[type].i != MGI_PK_OF_STORAGE ||
        k->v[key].kind != MGI_PK_STRING || k->v[key].n < 1 || k->v[key].n > 64 || numel < 0)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a malformed reference to a storage");
    for (mango_idx i = 0; i < k->v[key].n; i++) {
        const unsigned char c = k->v[key].s[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '_')
            return mgi_pickle_bad(k, MANGO_E_FORMAT,
                                  "a storage key of other than letters and digits");
    }
    MGI_TRY(mgi_pickle_new(k, MGI_PK_STORAGE, out));
    k->v[*out].what = k->v[type].what;
    k->v[*out].i = numel;
    k->v[*out].s = k->v[key].s;
    k->v[*out].n = k->v[key].n;
    return pkt_view(k, mgi_pickle_item(k, id, 5), *out);
}

/* (storage, offset, sizes, strides, ...): checked further when it is read. */
static mango_status pkt_tensor(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t storage = mgi_pickle_item(k, args, 0), size = mgi_pickle_item(k, args, 2);
    const int32_t stride = mgi_pickle_item(k, args, 3);
    const int64_t offset = pkt_int(k, mgi_pickle_item(k, args, 1), MGI_FILE_MAX);
    if (storage < 0 || k->v[storage].kind != MGI_PK_STORAGE || offset < 0 || size < 0 ||
        stride < 0 || k->v[size].kind != MGI_PK_TUPLE ||
        k->v[stride].kind != MGI_PK_TUPLE || k->v[size].n != k->v[stride].n)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a malformed tensor");
    MGI_TRY(mgi_pickle_new(k, MGI_PK_TENSOR, out));
    k->v[*out].what = storage;
    k->v[*out].i = offset;
    k->v[*out].head = size;
    k->v[*out].tail = stride;
    return MANGO_OK;
}

/* OrderedDict() or OrderedDict([[key, value], ...]), Python 2's form. */
static mango_status pkt_dict(mgi_pickle *k, int32_t args, int32_t *out)
{
    const int32_t list = mgi_pickle_item(k, args, 0);
    MGI_TRY(mgi_pickle_new(k, MGI_PK_DICT, out));
    if (list < 0)
        return MANGO_OK;
    if (k->v[list].kind != MGI_PK_LIST)
        return mgi_pickle_bad(k, MANGO_E_FORMAT, "a dict from something that is no list");
    for (int32_t c = k->v[list].head; c >= 0; c = k->cell[c].next) {
        int32_t key = mgi_pickle_item(k, k->cell[c].v, 0),
                v = mgi_pickle_item(k, k->cell[c].v, 1);
        if (key < 0 || v < 0)
            return mgi_pickle_bad(k, MANGO_E_FORMAT,
                                  "a dict from something else than pairs");
        MGI_TRY(mgi_pickle_link(k, *out, key, v));
    }
    return MANGO_OK;
}

MGI_FN mango_status mgi_pickle_call(mgi_pickle *k, int32_t f, int32_t args, int32_t *out)
{
    if (k->v[f].kind != MGI_PK_NAME || k->v[args].kind != MGI_PK_TUPLE)
        return mgi_pickle_bad(k, MANGO_E_FORMAT,
                              "calls something that is no imported name");
    switch ((mgi_pk_name)k->v[f].i) {
    case MGI_PK_OF_DICT: return pkt_dict(k, args, out);
    case MGI_PK_OF_TENSOR: return pkt_tensor(k, args, out);
    case MGI_PK_OF_PARAMETER:
        *out = mgi_pickle_item(k, args, 0);
        return *out >= 0 && k->v[*out].kind == MGI_PK_TENSOR
                   ? MANGO_OK
                   : mgi_pickle_bad(k, MANGO_E_FORMAT, "a parameter without its tensor");
    case MGI_PK_OF_OPAQUE: return mgi_pickle_new(k, MGI_PK_OPAQUE, out);
    default: return mgi_pickle_bad(k, MANGO_E_FORMAT, "calls a storage");
    }
}
/* ---- end data/pickle_torch.c -------------------------------------------------------- */

/* ---- begin data/checkpoint.c -------------------------------------------------------- */
/* checkpoint.c - PyTorch checkpoints: the zip format of torch.save, and the
 * legacy one: pickles of a magic number, a version, facts of the machine, the
 * object and the storage keys, then each storage as a count and its bytes.
 */
#include <stdlib.h>

enum { PTC_TENSORS = 4096, PTC_NAME = 256, PTC_STORAGES = MGI_ZIP_ENTRIES };

/* A tensor: `count` elements of the storage's bytes from `first` on. */
typedef struct ptc_tensor {
    mango_idx name; /* offset into names */
    int dtype, rank;
    mango_idx shape[MGI_RANK_MAX], stride[MGI_RANK_MAX], count, first;
    const unsigned char *p; /* the storage, all of it in range */
} ptc_tensor;

/* A storage that was looked up: its bytes, owned when they were inflated. */
typedef struct ptc_storage {
    const unsigned char *key, *p;
    mango_idx n_key, bytes, n_owned;
    unsigned char *owned;
} ptc_storage;

struct mango_checkpoint {
    mango_alloc al;
    unsigned char *image; /* size + 1 bytes */
    mango_idx size;
    int legacy;
    char under[32];
    mgi_str names;
    ptc_tensor *t;
    mango_idx n, cap;
    ptc_storage *storage;
    mango_idx n_storage, cap_storage;
    /* while it is read */
    const char *what;
    const mango_codecs *codecs;
    mgi_pickle pk;
    mgi_zip zip;
    char prefix[MGI_ZIP_NAME + 1]; /* of the archive's names, "archive/" */
    unsigned char *pkl_owned;
    mango_idx pkl_size;
    mango_err *err;
};

static mango_status ptc_bad(mango_checkpoint *c, mango_status st, const char *why)
{
    return mgi_fail(c->err, st, "%s: %s", c->what, why);
}

/* ---- storages ---- */

/* The storage of key s[n] if it was met before, else NULL. */
static ptc_storage *ptc_known(mango_checkpoint *c, const unsigned char *s, mango_idx n)
{
    for (mango_idx i = c->n_storage - 1; i >= 0; i--)
        if (c->storage[i].n_key == n && !memcmp(c->storage[i].key, s, (size_t)n))
            return &c->storage[i];
    return NULL;
}

static mango_status ptc_add_storage(mango_checkpoint *c, const unsigned char *key,
                                    mango_idx n_key, const unsigned char *p,
                                    mango_idx bytes)
{
    MGI_TRY(mgi_pickle_grow(&c->pk, &c->storage, &c->cap_storage, c->n_storage + 1,
                            PTC_STORAGES, sizeof *c->storage, "too many storages"));
    ptc_storage *s = &c->storage[c->n_storage++];
    s->key = key, s->n_key = n_key, s->p = p, s->bytes = bytes;
    s->owned = NULL, s->n_owned = 0;
    return MANGO_OK;
}

/* zip: entry PREFIXdata/KEY. The key holds letters and digits only. */
static mango_status ptc_zip_storage(mango_checkpoint *c, const mgi_pk_value *v)
{
    char name[MGI_ZIP_NAME + 80];
    const size_t at = strlen(c->prefix);
    const mgi_zip_entry *e;
    const unsigned char *p = NULL;
    unsigned char *owned = NULL;
    memcpy(name, c->prefix, at);
    memcpy(name + at, "data/", 5);
    memcpy(name + at + 5, v->s, (size_t)v->n);
    name[at + 5 + (size_t)v->n] = 0;
    e = mgi_zip_find(&c->zip, name);
    if (!e)
        return mgi_fail(c->err, MANGO_E_FORMAT, "%s: no entry %s, which a tensor needs",
                        c->what, name);
    MGI_TRY(mgi_zip_data(&c->zip, e, c->what, c->codecs, &p, &owned, c->err));
    mango_status st = ptc_add_storage(c, v->s, v->n, p, e->size);
    if (st < 0) {
        mgi_del(&c->al, owned, e->size + 1, 1);
        return st;
    }
    c->storage[c->n_storage - 1].owned = owned;
    c->storage[c->n_storage - 1].n_owned = e->size + 1;
    return MANGO_OK;
}

/* The bytes of storage value v, at least the elements that it states. */
static mango_status ptc_find_storage(mango_checkpoint *c, int32_t v, ptc_storage **s)
{
    const mgi_pk_value *st = &c->pk.v[v];
    *s = ptc_known(c, st->s, st->n);
    if (!*s && c->legacy)
        return ptc_bad(c, MANGO_E_FORMAT, "a tensor's storage is not in the file");
    if (!*s) {
        MGI_TRY(ptc_zip_storage(c, st));
        *s = &c->storage[c->n_storage - 1];
    }
    if (st->i > (*s)->bytes / mgi_pk_size(st->what))
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a storage is shorter than a tensor says; truncated?");
    return MANGO_OK;
}

/* ---- tensors ---- */

/* Sizes and strides of tensor value v; every element inside `limit`. */
static mango_status ptc_shape(mango_checkpoint *c, ptc_tensor *t, const mgi_pk_value *v,
                              mango_idx limit)
{
    const mgi_pk_value *size = &c->pk.v[v->head];
    mango_idx last = t->first;
    if (size->n > MGI_RANK_MAX)
        return ptc_bad(c, MANGO_E_LIMIT, "a tensor of more than 8 dimensions");
    t->rank = (int)size->n;
    for (int r = 0; r < t->rank; r++) {
        const mgi_pk_value *a = &c->pk.v[mgi_pickle_item(&c->pk, v->head, r)];
        const mgi_pk_value *b = &c->pk.v[mgi_pickle_item(&c->pk, v->tail, r)];
        if (a->kind != MGI_PK_INT || b->kind != MGI_PK_INT || a->i < 0 || b->i < 0 ||
            a->i > MGI_DIM_MAX || b->i > MGI_FILE_MAX)
            return ptc_bad(c, MANGO_E_LIMIT,
                           "a tensor's size or stride is negative or over 2^24");
        t->shape[r] = (mango_idx)a->i;
        t->stride[r] = (mango_idx)b->i;
    }
    if (!mgi_prod(t->rank, t->shape, &t->count) || t->count > MGI_FILE_MAX / 4)
        return ptc_bad(c, MANGO_E_LIMIT, "a tensor of over 1 GiB");
    for (int r = 0; r < t->rank && t->count > 0; r++) {
        mango_idx span;
        if (!mgi_mul(t->shape[r] - 1, t->stride[r], &span) || !mgi_add(last, span, &last))
            return ptc_bad(c, MANGO_E_FORMAT, "a tensor's strides leave its storage");
    }
    if (t->count > 0 && last >= limit)
        return ptc_bad(c, MANGO_E_FORMAT, "a tensor reaches beyond its storage");
    return MANGO_OK;
}

static mango_status ptc_add(mango_checkpoint *c, int32_t key, int32_t value)
{
    const mgi_pk_value *k = &c->pk.v[key], *v = &c->pk.v[value], *st = &c->pk.v[v->what];
    ptc_storage *s = NULL;
    mango_idx base = 0, limit = (mango_idx)st->i;
    if (k->kind != MGI_PK_STRING || !mgi_name_ok(k->s, k->n, PTC_NAME))
        return ptc_bad(
            c, MANGO_E_FORMAT,
            "a tensor's name is no text of 1 to 256 bytes without control bytes");
    MGI_TRY(mgi_pickle_grow(&c->pk, &c->t, &c->cap, c->n + 1, PTC_TENSORS, sizeof *c->t,
                            "more than 4096 tensors"));
    MGI_TRY(ptc_find_storage(c, v->what, &s));
    if (st->head >= 0) { /* a view of the legacy format */
        base = (mango_idx)c->pk.view[st->head].first;
        limit = base + (mango_idx)c->pk.view[st->head].count;
    }
    ptc_tensor *t = &c->t[c->n];
    memset(t, 0, sizeof *t);
    t->dtype = st->what;
    t->first = base + (mango_idx)v->i;
    t->p = s->p;
    MGI_TRY(ptc_shape(c, t, v, limit));
    t->name = c->names.n;
    mgi_str_put(&c->names, (const char *)k->s, k->n);
    mgi_str_put(&c->names, "", 1);
    if (c->names.bad)
        return ptc_bad(c, MANGO_E_MEM, "out of memory");
    for (mango_idx i = 0; i < c->n; i++)
        if (!strcmp(c->names.p + c->t[i].name, c->names.p + t->name))
            return mgi_fail(c->err, MANGO_E_FORMAT, "%s: tensor %s is there twice", c->what,
                            c->names.p + t->name);
    c->n++;
    return MANGO_OK;
}

/* Does dict d hold a tensor itself? */
static int ptc_has_tensors(const mango_checkpoint *c, int32_t d)
{
    if (d < 0 || c->pk.v[d].kind != MGI_PK_DICT)
        return 0;
    for (int32_t i = c->pk.v[d].head; i >= 0; i = c->pk.cell[i].next)
        if (c->pk.v[c->pk.cell[i].v].kind == MGI_PK_TENSOR)
            return 1;
    return 0;
}

/* The dict that holds the parameters: under a known key, up to 3 deep. */
static int32_t ptc_state_dict(mango_checkpoint *c, int32_t root)
{
    static const char *const keys[] = {"net", "model", "state_dict", "model_state_dict"};
    for (int depth = 0; depth < 3; depth++) {
        int32_t inner = -1;
        for (mango_idx i = 0; i < MGI_COUNT(keys) && inner < 0; i++) {
            inner = mgi_pickle_get(&c->pk, root, keys[i]);
            if (inner >= 0 && c->pk.v[inner].kind != MGI_PK_DICT)
                inner = -1;
            if (inner >= 0)
                mgi_copy(c->under, (mango_idx)sizeof c->under, keys[i]);
        }
        if (inner < 0)
            break;
        root = inner;
    }
    return ptc_has_tensors(c, root) ? root : -1;
}

/* The file holds no state dict: say what it holds. */
static mango_status ptc_nothing(mango_checkpoint *c, int32_t root)
{
    char keys[120] = "";
    mango_idx at = 0;
    const mgi_pk_value *v = &c->pk.v[root];
    if (v->kind == MGI_PK_TENSOR)
        return ptc_bad(c, MANGO_E_FORMAT,
                       "holds one bare tensor, a dict of named ones expected");
    for (int32_t i = v->kind == MGI_PK_DICT ? v->head : -1; i >= 0;
         i = c->pk.cell[i].next) {
        const mgi_pk_value *k = &c->pk.v[c->pk.cell[i].k];
        if (k->kind != MGI_PK_STRING || k->n > 40 || at + k->n + 3 > (mango_idx)sizeof keys)
            continue;
        if (at) {
            memcpy(keys + at, ", ", 2);
            at += 2;
        }
        memcpy(keys + at, k->s, (size_t)k->n);
        keys[at += k->n] = 0;
    }
    return mgi_fail(c->err, MANGO_E_FORMAT,
                    "%s: no tensors, neither there nor under net, model, state_dict or "
                    "model_state_dict%s%s",
                    c->what, at ? "; it has " : "", keys);
}

static mango_status ptc_collect(mango_checkpoint *c, int32_t root)
{
    const int32_t d = ptc_state_dict(c, root);
    if (d < 0)
        return ptc_nothing(c, root);
    for (int32_t i = c->pk.v[d].head; i >= 0; i = c->pk.cell[i].next)
        if (c->pk.v[c->pk.cell[i].v].kind == MGI_PK_TENSOR)
            MGI_TRY(ptc_add(c, c->pk.cell[i].k, c->pk.cell[i].v));
    return MANGO_OK;
}

/* ---- the two formats ---- */

/* Entry PREFIX + name, or NULL. */
static const mgi_zip_entry *ptc_entry(const mango_checkpoint *c, const char *name)
{
    char full[MGI_ZIP_NAME + 40];
    mgi_copy(full, (mango_idx)sizeof full, c->prefix);
    if (!mgi_copy(full + strlen(full), 40, name))
        return NULL;
    return mgi_zip_find(&c->zip, full);
}

/* The one entry that ends in "/data.pkl" with one folder before it. */
static const mgi_zip_entry *ptc_pickle_entry(mango_checkpoint *c)
{
    const mango_idx n = (mango_idx)strlen("/data.pkl");
    for (mango_idx i = 0; i < c->zip.n; i++) {
        const mgi_zip_entry *e = &c->zip.e[i];
        if (e->n > n && !memcmp(e->name + e->n - n, "/data.pkl", (size_t)n) &&
            !memchr(e->name, '/', (size_t)(e->n - n)) &&
            !memchr(e->name, 0, (size_t)e->n)) {
            memcpy(c->prefix, e->name, (size_t)(e->n - n + 1));
            return e;
        }
    }
    return NULL;
}

static mango_status ptc_zip(mango_checkpoint *c)
{
    const unsigned char *p = NULL;
    unsigned char *owned = NULL;
    int32_t root;
    mango_idx used;
    MGI_TRY(mgi_zip_open(&c->zip, c->image, c->size, c->what, &c->al, c->err));
    const mgi_zip_entry *e = ptc_pickle_entry(c), *order;
    if (!e)
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a zip archive without data.pkl, so not from torch.save");
    if (ptc_entry(c, "constants.pkl"))
        return ptc_bad(c, MANGO_E_UNSUPPORTED,
                       "a TorchScript module with code; save its state_dict() with "
                       "torch.save instead");
    order = ptc_entry(c, "byteorder");
    if (order) {
        MGI_TRY(mgi_zip_data(&c->zip, order, c->what, c->codecs, &p, &owned, c->err));
        const int little = order->size == 6 && !memcmp(p, "little", 6);
        mgi_del(&c->al, owned, order->size + 1, 1);
        if (!little)
            return ptc_bad(c, MANGO_E_UNSUPPORTED, "written by a big-endian machine");
    }
    if (e->size > MGI_PK_BYTES_MAX)
        return ptc_bad(c, MANGO_E_LIMIT, "a data.pkl of over 64 MiB");
    MGI_TRY(mgi_zip_data(&c->zip, e, c->what, c->codecs, &p, &c->pkl_owned, c->err));
    c->pkl_size = e->size;
    MGI_TRY(mgi_pickle_run(&c->pk, p, e->size, &root, &used, c->err));
    if (used != e->size)
        return ptc_bad(c, MANGO_E_FORMAT, "bytes behind the pickle's end in data.pkl");
    return ptc_collect(c, root);
}

static int ptc_by_key(const void *x, const void *y)
{
    const mgi_pk_value *a = *(const mgi_pk_value *const *)x,
                       *b = *(const mgi_pk_value *const *)y;
    int c = memcmp(a->s, b->s, (size_t)MGI_MIN(a->n, b->n));
    return c ? c : a->n < b->n ? -1 : a->n > b->n;
}

/* All storages that the pickle refers to, sorted by key: *n of them. */
static const mgi_pk_value **ptc_referred(const mango_checkpoint *c, mango_idx *n)
{
    mango_idx count = 0;
    for (mango_idx i = 0; i < c->pk.n_v; i++)
        count += c->pk.v[i].kind == MGI_PK_STORAGE;
    const mgi_pk_value **p = (const mgi_pk_value **)mgi_new(&c->al, count, sizeof *p);
    *n = count;
    count = 0;
    for (mango_idx i = 0; p && i < c->pk.n_v; i++)
        if (c->pk.v[i].kind == MGI_PK_STORAGE)
            p[count++] = &c->pk.v[i];
    if (p)
        qsort((void *)p, (size_t)count, sizeof *p, ptc_by_key);
    return p;
}

/* One storage at *at: its number of elements, then the elements. */
static mango_status ptc_legacy_storage(mango_checkpoint *c, const mgi_pk_value *key,
                                       const mgi_pk_value *const *known, mango_idx n,
                                       mango_idx *at)
{
    mango_idx bytes;
    const mgi_pk_value *const *hit = NULL;
    if (key->kind == MGI_PK_STRING)
        hit = (const mgi_pk_value *const *)bsearch(&key, (const void *)known, (size_t)n,
                                                   sizeof *known, ptc_by_key);
    if (!hit || ptc_known(c, key->s, key->n))
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a storage that no tensor refers to, or that is there twice");
    if (c->size - *at < 8 || mgi_le64(c->image + *at) != (uint64_t)(*hit)->i)
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a storage's size does not match its tensors; truncated?");
    *at += 8;
    if (!mgi_mul((mango_idx)(*hit)->i, mgi_pk_size((*hit)->what), &bytes) ||
        bytes > c->size - *at)
        return ptc_bad(c, MANGO_E_FORMAT, "truncated: a storage goes beyond its end");
    MGI_TRY(ptc_add_storage(c, key->s, key->n, c->image + *at, bytes));
    *at += bytes;
    return MANGO_OK;
}

/* Behind the pickles: the storages in the order of their keys. */
static mango_status ptc_legacy_storages(mango_checkpoint *c, int32_t keys, mango_idx at)
{
    mango_idx n = 0;
    mango_status st = MANGO_OK;
    if (c->pk.v[keys].kind != MGI_PK_LIST || c->pk.v[keys].n > PTC_STORAGES)
        return ptc_bad(c, MANGO_E_FORMAT, "a malformed list of storages");
    const mgi_pk_value **known = ptc_referred(c, &n);
    if (!known)
        return ptc_bad(c, MANGO_E_MEM, "out of memory");
    for (int32_t i = c->pk.v[keys].head; st >= 0 && i >= 0; i = c->pk.cell[i].next)
        st = ptc_legacy_storage(c, &c->pk.v[c->pk.cell[i].v], known, n, &at);
    mgi_del(&c->al, (void *)known, n, sizeof *known);
    if (st >= 0 && at != c->size)
        st = ptc_bad(c, MANGO_E_FORMAT, "bytes behind the last storage");
    return st;
}

static mango_status ptc_legacy(mango_checkpoint *c)
{
    static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9,
                                            0x20, 0x6a, 0xa8, 0x50, 0x19};
    int32_t v[5];
    mango_idx at = 0, used;
    c->legacy = 1;
    for (int i = 0; i < 5; i++) {
        MGI_TRY(mgi_pickle_run(&c->pk, c->image + at, c->size - at, &v[i], &used, c->err));
        const mgi_pk_value *x = &c->pk.v[v[i]];
        at += used;
        if (i == 0 && (x->kind != MGI_PK_LONG || x->n != 10 || memcmp(x->s, magic, 10)))
            return ptc_bad(c, MANGO_E_FORMAT, "a pickle, but not one of torch.save");
        if (i == 1 && (x->kind != MGI_PK_INT || x->i != 1001))
            return ptc_bad(c, MANGO_E_UNSUPPORTED, "a torch.save format other than 1001");
        if (i == 2) {
            int32_t order = mgi_pickle_get(&c->pk, v[2], "little_endian");
            if (order < 0 || c->pk.v[order].kind != MGI_PK_BOOL || !c->pk.v[order].i)
                return ptc_bad(c, MANGO_E_UNSUPPORTED, "written by a big-endian machine");
        }
    }
    MGI_TRY(ptc_legacy_storages(c, v[4], at));
    return ptc_collect(c, v[3]);
}

/* Other things that people hand over by mistake, by name. */
static mango_status ptc_format(mango_checkpoint *c)
{
    const unsigned char *p = c->image;
    const mango_idx n = c->size;
    static const char lfs[] = "version https://git-lfs";
    if (n < 4)
        return ptc_bad(c, MANGO_E_FORMAT, "empty or truncated");
    if (n >= (mango_idx)sizeof lfs && !memcmp(p, lfs, sizeof lfs - 1))
        return ptc_bad(
            c, MANGO_E_FORMAT,
            "a git-lfs pointer, not the checkpoint itself; fetch it with `git lfs pull`");
    if (p[0] == '<')
        return ptc_bad(c, MANGO_E_FORMAT,
                       "a web page, not a checkpoint; the download went wrong");
    if (n > 262 && !memcmp(p + 257, "ustar", 5))
        return ptc_bad(c, MANGO_E_UNSUPPORTED, "the tar format of PyTorch before 0.1.10");
    if (p[0] == 'P' && p[1] == 'K')
        return ptc_zip(c);
    if (p[0] == 0x80)
        return ptc_legacy(c);
    return ptc_bad(c, MANGO_E_FORMAT,
                   "neither a zip archive nor a pickle, so not from torch.save");
}

/* Takes over image (size + 1 bytes). */
static mango_status ptc_read(mango_checkpoint **out, unsigned char *image, mango_idx size,
                             const char *what, const mango_codecs *codecs,
                             const mango_alloc *al, mango_err *err)
{
    mango_checkpoint *c = (mango_checkpoint *)mgi_new(al, 1, sizeof *c);
    *out = NULL;
    if (!c) {
        mgi_del(al, image, size + 1, 1);
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory", what);
    }
    c->al = *al;
    c->image = image;
    c->size = size;
    c->what = what;
    c->codecs = codecs;
    c->err = err;
    mgi_str_init(&c->names, al);
    mgi_pickle_init(&c->pk, what, al);
    mango_status st = ptc_format(c);
    mgi_pickle_free(&c->pk);
    mgi_zip_free(&c->zip);
    mgi_del(al, c->pkl_owned, c->pkl_size + 1, 1);
    c->pkl_owned = NULL;
    c->what = NULL, c->codecs = NULL, c->err = NULL;
    if (st < 0)
        mango_checkpoint_destroy(c);
    else
        *out = c;
    return st;
}

mango_status mango_checkpoint_open(mango_checkpoint **c, const char *path,
                                   const mango_codecs *codecs, const mango_alloc *alloc,
                                   mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    unsigned char *image = NULL;
    mango_idx size = 0;
    *c = NULL;
    MGI_TRY(mgi_file_read(path, MGI_FILE_MAX, &al, &image, &size, err));
    return ptc_read(c, image, size, path, codecs, &al, err);
}

mango_status mango_checkpoint_parse(mango_checkpoint **c, const unsigned char *bytes,
                                    mango_idx n, const char *what,
                                    const mango_codecs *codecs, const mango_alloc *alloc,
                                    mango_err *err)
{
    const mango_alloc al = mgi_alloc_get(alloc);
    *c = NULL;
    if (n < 0 || n > MGI_FILE_MAX)
        return mgi_fail(err, MANGO_E_LIMIT, "%s: over 1 GiB", what);
    unsigned char *image = (unsigned char *)mgi_new(&al, n + 1, 1);
    if (!image)
        return mgi_fail(err, MANGO_E_MEM, "%s: out of memory for %ld bytes", what, (long)n);
    if (n)
        memcpy(image, bytes, (size_t)n);
    return ptc_read(c, image, n, what, codecs, &al, err);
}

/* ---- what callers see ---- */

mango_idx mango_checkpoint_count(const mango_checkpoint *c)
{
    return c ? c->n : 0;
}

const char *mango_checkpoint_format(const mango_checkpoint *c)
{
    return c->legacy ? "legacy" : "zip";
}

const char *mango_checkpoint_under(const mango_checkpoint *c)
{
    return c->under;
}

mango_status mango_checkpoint_get(const mango_checkpoint *c, mango_idx i,
                                  mango_checkpoint_tensor *t)
{
    MGI_REQUIRE(c && t && i >= 0 && i < c->n);
    t->name = c->names.p + c->t[i].name;
    t->dtype = mgi_pk_type_name(c->t[i].dtype);
    t->rank = c->t[i].rank;
    memcpy(t->shape, c->t[i].shape, sizeof t->shape);
    t->count = c->t[i].count;
    return MANGO_OK;
}

mango_status mango_checkpoint_floats(const mango_checkpoint *c, mango_idx i, float *out,
                                     mango_err *err)
{
    mango_idx at[MGI_RANK_MAX] = {0}, from;
    MGI_REQUIRE(c && out && i >= 0 && i < c->n);
    const ptc_tensor *t = &c->t[i];
    const int size = mgi_pk_size(t->dtype);
    from = t->first;
    for (mango_idx e = 0; e < t->count; e++) {
        int64_t whole = 0;
        const double v = mgi_pk_element(t->p + from * size, t->dtype, &whole);
        if (!(v >= -3.4028234663852886e38 && v <= 3.4028234663852886e38))
            return mgi_fail(err, MANGO_E_NONFINITE,
                            "tensor %s: element %ld is not a finite float",
                            c->names.p + t->name, (long)e);
        out[e] = (float)v;
        if (t->dtype >= MGI_PK_I64 &&
            (whole > 9007199254740992 || whole < -9007199254740992 || (double)out[e] != v))
            return mgi_fail(err, MANGO_E_FORMAT,
                            "tensor %s: element %ld is %lld, which no float holds exactly",
                            c->names.p + t->name, (long)e, (long long)whole);
        for (int r = t->rank - 1; r >= 0; r--) { /* the next element in C order */
            from += t->stride[r];
            if (++at[r] < t->shape[r])
                break;
            from -= t->stride[r] * t->shape[r];
            at[r] = 0;
        }
    }
    return MANGO_OK;
}

void mango_checkpoint_destroy(mango_checkpoint *c)
{
    mango_alloc al;
    if (!c)
        return;
    al = c->al;
    for (mango_idx i = 0; i < c->n_storage; i++)
        mgi_del(&al, c->storage[i].owned, c->storage[i].n_owned, 1);
    mgi_del(&al, c->storage, c->cap_storage, sizeof *c->storage);
    mgi_del(&al, c->t, c->cap, sizeof *c->t);
    mgi_del(&al, c->image, c->size + 1, 1);
    mgi_str_free(&c->names);
    mgi_del(&al, c, 1, sizeof *c);
}
/* ---- end data/checkpoint.c ---------------------------------------------------------- */

/* ---- begin mei/space.c -------------------------------------------------------------- */
/* space.c - what a multi-index means to a generator.
 */

#define SPACE_LEVELS 64 /* of a latent vector, the published grid */
#define SPACE_EDGE 4.0

struct mango_space {
    mango_alloc al;
    mango_idx d, *n;
    mango_idx layer; /* that takes the latent, -1: the input */
    int codes;       /* levels are codes, not places on [lo, hi] */
    double lo, hi;
};

mango_status mango_space_create(mango_space **s, mango_idx d, const mango_idx *n, double lo,
                                double hi, const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(s);
    *s = NULL;
    if (d < 1 || d > (mango_idx)1 << 20 || !n)
        return mgi_fail(err, MANGO_E_ARG, "space: %td modes, expected 1..2^20", d);
    for (mango_idx j = 0; j < d; j++)
        if (n[j] < 1 || n[j] > (mango_idx)1 << 24)
            return mgi_fail(err, MANGO_E_ARG,
                            "space: mode %td has %td levels, expected 1..2^24", j, n[j]);
    if (!(lo <= hi && lo >= -1e30 && hi <= 1e30))
        return mgi_fail(err, MANGO_E_ARG, "space: lo <= hi within 1e30 expected");
    const mango_alloc a = mgi_alloc_get(al);
    mango_space *x = mgi_new(&a, 1, sizeof *x);
    mango_idx *copy = mgi_new(&a, d, sizeof *copy);
    if (!x || !copy) {
        mgi_del(&a, x, 1, sizeof *x);
        mgi_del(&a, copy, d, sizeof *copy);
        return mgi_fail(err, MANGO_E_MEM, "space: out of memory for %td modes", d);
    }
    memcpy(copy, n, (size_t)d * sizeof *n);
    x->al = a, x->d = d, x->n = copy, x->lo = lo, x->hi = hi, x->layer = -1;
    *s = x;
    return MANGO_OK;
}

/* d equal modes. */
static mango_status space_uniform(mango_space **s, mango_idx d, mango_idx levels,
                                  const mango_alloc *al, mango_err *err)
{
    const mango_alloc a = mgi_alloc_get(al);
    if (d < 1 || d > (mango_idx)1 << 20)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "generator: %td latent values, expected 1..2^20", d);
    mango_idx *n = mgi_new(&a, d, sizeof *n);
    if (!n)
        return mgi_fail(err, MANGO_E_MEM, "space: out of memory for %td modes", d);
    for (mango_idx j = 0; j < d; j++)
        n[j] = levels;
    const mango_status st = mango_space_create(s, d, n, -SPACE_EDGE, SPACE_EDGE, al, err);
    mgi_del(&a, n, d, sizeof *n);
    return st;
}

mango_status mango_space_of(mango_space **s, const mango_net *gen, const mango_alloc *al,
                            mango_err *err)
{
    MGI_REQUIRE(s && gen);
    *s = NULL;
    for (int i = 0; i < gen->n_nodes; i++) {
        const mgi_node *v = gen->node + i;
        if (v->kind != MGI_VQ)
            continue;
        MGI_TRY(space_uniform(s, v->H * v->W, v->codes, al, err));
        (*s)->codes = 1;
        (*s)->layer = i;
        return MANGO_OK;
    }
    const mgi_node *in = gen->node + gen->input;
    if (in->H != 1 || in->W != 1)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "'%s' takes a picture of %tdx%tdx%td: a generator takes a latent "
                        "vector, or has a vector quantizer",
                        in->name, in->C, in->H, in->W);
    return space_uniform(s, in->C, SPACE_LEVELS, al, err);
}

void mango_space_modes(const mango_space *s, mango_modes *m)
{
    m->d = s->d;
    m->n = s->n;
}

mango_idx mango_space_layer(const mango_space *s)
{
    return s->layer;
}

mango_status mango_space_latent(const mango_space *s, mango_idx K, const mango_idx *I,
                                float *z)
{
    MGI_REQUIRE(s && K >= 0 && (K == 0 || (I && z)));
    for (mango_idx k = 0; k < K; k++)
        for (mango_idx j = 0; j < s->d; j++) {
            const mango_idx i = I[k * s->d + j], n = s->n[j];
            double x = (double)i;
            if (i < 0 || i >= n)
                return MANGO_E_ARG;
            if (!s->codes && n == 1)
                x = 0.5 * (s->lo + s->hi);
            else if (!s->codes)
                x = s->lo + x * (s->hi - s->lo) / (double)(n - 1);
            z[k * s->d + j] = (float)x;
        }
    return MANGO_OK;
}

void mango_space_destroy(mango_space *s)
{
    if (!s)
        return;
    const mango_alloc al = s->al;
    mgi_del(&al, s->n, s->d, sizeof *s->n);
    mgi_del(&al, s, 1, sizeof *s);
}

#undef SPACE_LEVELS
#undef SPACE_EDGE
/* ---- end mei/space.c ---------------------------------------------------------------- */

/* ---- begin mei/target.c ------------------------------------------------------------- */
/* target.c - which number of a network is wanted: "layer:unit[:y:x]", "class:k".
 */

/* Cut text at its colons into at most 4 fields; 0 when there are more or one
 * is empty. */
static int target_split(const char *text, char buf[256], char *field[4])
{
    int n = 0;
    if (!mgi_copy(buf, 256, text))
        return 0;
    for (char *p = buf;; p++) {
        if (n == 4)
            return 0;
        field[n++] = p;
        p = p + strcspn(p, ":");
        if (p == field[n - 1])
            return 0;
        if (*p == '\0')
            return n;
        *p = '\0';
    }
}

/* A number 0 .. n-1, or an error that says what the layer has. */
static mango_status target_number(const char *z, mango_idx n, const char *layer,
                                  const char *what, mango_idx *v, mango_err *err)
{
    int64_t i;
    if (!mgi_parse_int(z, INT64_MIN, INT64_MAX, &i))
        return mgi_fail(err, MANGO_E_FORMAT,
                        "target: '%.40s' is not a number, expected %s 0..%td", z, what,
                        n - 1);
    if (i < 0 || i >= n)
        return mgi_fail(err, MANGO_E_NAME, "target: layer '%s' has %s 0..%td, got %lld",
                        layer, what, n - 1, (long long)i);
    *v = (mango_idx)i;
    return MANGO_OK;
}

mango_status mango_target_parse(mango_target *t, const mango_net *net, const char *text,
                                mango_err *err)
{
    char buf[256], *field[4];
    MGI_REQUIRE(t && net);
    const int n = text ? target_split(text, buf, field) : 0;
    memset(t, 0, sizeof *t);
    t->y = t->x = -1;
    if (n != 2 && n != 4)
        return mgi_fail(err, MANGO_E_FORMAT,
                        "target '%.80s': expected layer:unit, layer:unit:y:x or class:k",
                        text ? text : "");
    const int is_class = strcmp(field[0], "class") == 0 && n == 2 &&
                         mango_net_find(net, "class", &t->layer, NULL) < 0;
    if (is_class)
        t->layer = mango_net_layers(net) - 1;
    else
        MGI_TRY(mango_net_find(net, field[0], &t->layer, err));
    MGI_TRY(mango_net_layer(net, t->layer, &t->info));
    if (is_class && (t->info.H != 1 || t->info.W != 1))
        return mgi_fail(err, MANGO_E_SHAPE,
                        "target: the network's output '%s' is a map of "
                        "%tdx%tdx%td, not classes",
                        t->info.name, t->info.C, t->info.H, t->info.W);
    MGI_TRY(target_number(field[1], t->info.C, t->info.name, is_class ? "classes" : "units",
                          &t->unit, err));
    t->softmax = is_class && strcmp(t->info.kind, "softmax") != 0;
    if (n == 4) {
        MGI_TRY(target_number(field[2], t->info.H, t->info.name, "rows", &t->y, err));
        MGI_TRY(target_number(field[3], t->info.W, t->info.name, "columns", &t->x, err));
    }
    return MANGO_OK;
}
/* ---- end mei/target.c --------------------------------------------------------------- */

/* ---- begin mei/objective.c ---------------------------------------------------------- */
/* objective.c - codes -> latent -> generator -> 8-bit picture -> network -> activation.
 *
 *   rgb = round(255 clamp(y out_scale + out_shift, 0, 1))/255                (1)
 *   class:k   p_k = exp(v_k - max v) / sum_c exp(v_c - max v)                (2)
 */
#include <math.h>

struct mango_objective {
    mango_alloc al;
    mgi_arena arena;
    mango_space *space;
    mango_plan *gen_plan, *net_plan;
    mango_idx d, batch;
    mango_idx C, H, W, size; /* of the picture; C*H*W          */
    mango_idx row;           /* floats of one reading          */
    float out_scale, out_shift;
    mango_target target;
    mango_idx T;
    float *z, *rgb, *act;    /* (batch,d) (batch,size) (batch,row) */
    char gen[65], net[65];
};

void mango_objective_defaults(mango_objective_options *o)
{
    if (!o)
        return;
    o->T = 0, o->batch = 10, o->memory = 0;
}

/* SHA-256 of the graph's text and of every parameter's name and bits. */
static mango_status objective_digest(const mango_net *n, const mango_alloc *al,
                                     char hex[65])
{
    mgi_hash h;
    mgi_str text;
    mgi_str_init(&text, al);
    mango_status st = mgi_graph_write(n, &text);
    if (st == MANGO_OK && text.bad)
        st = MANGO_E_MEM;
    if (st == MANGO_OK) {
        mgi_sha256_init(&h);
        mgi_hash_add(&h, text.p, text.n);
        for (int i = 0; i < n->n_params; i++) {
            const mgi_param *p = n->param + i;
            mgi_hash_add(&h, p->name, (mango_idx)strlen(p->name) + 1);
            for (mango_idx k = 0; p->v && k < p->count; k += 64) {
                unsigned char b[256];
                const mango_idx m = MGI_MIN(64, p->count - k);
                for (mango_idx e = 0; e < 4 * m; e++) { /* little-endian everywhere */
                    uint32_t bits;
                    memcpy(&bits, p->v + k + e / 4, sizeof bits);
                    b[e] = (unsigned char)(bits >> (8 * (e % 4)) & 255);
                }
                mgi_hash_add(&h, b, 4 * m);
            }
        }
        mgi_hash_end(&h, hex);
    }
    mgi_str_free(&text);
    return st;
}

/* Sizes of both nets, checked against each other. */
static mango_status objective_sizes(mango_objective *o, const mango_net *gen,
                                    const mango_net *net, mango_err *err)
{
    const mgi_node *out = gen->node + gen->output, *in = net->node + net->input;
    const mgi_node *read = net->node + o->target.layer;
    if (out->C != in->C || out->H != in->H || out->W != in->W)
        return mgi_fail(
            err, MANGO_E_SHAPE,
            "the generator's picture is %tdx%tdx%td, the network takes %tdx%tdx%td", out->C,
            out->H, out->W, in->C, in->H, in->W);
    o->C = out->C, o->H = out->H, o->W = out->W;
    o->size = o->C * o->H * o->W;
    o->row = o->target.y < 0 ? read->C : read->C * read->H * read->W;
    o->out_scale = gen->out_scale, o->out_shift = gen->out_shift;
    return MANGO_OK;
}

static mango_status objective_plans(mango_objective *o, const mango_net *gen,
                                    const mango_net *net,
                                    const mango_objective_options *opt, mango_err *err)
{
    mango_plan_options p;
    mango_plan_defaults(&p);
    p.batch = opt->batch;
    if (opt->memory > 0)
        p.memory = opt->memory;
    mango_plan_options g = p;
    g.from = mango_space_layer(o->space), g.raw = 1;
    const mango_reading picture = {gen->output, MANGO_READ_MEAN, o->rgb};
    MGI_TRY(mango_plan_create(&o->gen_plan, gen, &g, 1, &picture, &o->al, err));
    p.T = o->T = opt->T > 0 ? opt->T : mango_net_steps(net);
    const mango_reading reading = {
        o->target.layer, o->target.y < 0 ? MANGO_READ_RATE : MANGO_READ_MEAN, o->act};
    return mango_plan_create(&o->net_plan, net, &p, 1, &reading, &o->al, err);
}

static mango_status objective_build(mango_objective *o, const mango_net *gen,
                                    const mango_net *net, const char *target,
                                    const mango_objective_options *opt, mango_err *err)
{
    mango_modes m;
    MGI_TRY(mango_target_parse(&o->target, net, target, err));
    MGI_TRY(mango_space_of(&o->space, gen, &o->al, err));
    mango_space_modes(o->space, &m);
    MGI_TRY(objective_sizes(o, gen, net, err));
    o->d = m.d, o->batch = opt->batch;
    mango_idx z, rgb, act;
    if (!mgi_mul(o->batch, o->d, &z) || !mgi_mul(o->batch, o->size, &rgb) ||
        !mgi_mul(o->batch, o->row, &act))
        return mgi_fail(err, MANGO_E_MEM, "objective: batch %td is too large", o->batch);
    mgi_arena_plan(&o->arena, z, sizeof(float));
    mgi_arena_plan(&o->arena, rgb, sizeof(float));
    mgi_arena_plan(&o->arena, act, sizeof(float));
    if (mgi_arena_commit(&o->arena) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    o->z = mgi_arena_take(&o->arena, z, sizeof(float));
    o->rgb = mgi_arena_take(&o->arena, rgb, sizeof(float));
    o->act = mgi_arena_take(&o->arena, act, sizeof(float));
    MGI_TRY(objective_plans(o, gen, net, opt, err));
    if (objective_digest(gen, &o->al, o->gen) < 0 ||
        objective_digest(net, &o->al, o->net) < 0)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    return MANGO_OK;
}

mango_status mango_objective_create(mango_objective **o, const mango_net *gen,
                                    const mango_net *net, const char *target,
                                    const mango_objective_options *opt,
                                    const mango_alloc *al, mango_err *err)
{
    mango_objective_options std;
    MGI_REQUIRE(o && gen && net);
    *o = NULL;
    mango_objective_defaults(&std);
    const mango_objective_options *p = opt ? opt : &std;
    if (p->T < 0 || p->T > 4096 || p->batch < 1 || p->batch > 4096 || p->memory < 0)
        return mgi_fail(err, MANGO_E_ARG,
                        "objective: T 0..4096, batch 1..4096, memory >= 0 expected");
    const mango_alloc a = mgi_alloc_get(al);
    mango_objective *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "objective: out of memory");
    x->al = a;
    mgi_arena_init(&x->arena, &a);
    const mango_status st = objective_build(x, gen, net, target, p, err);
    if (st < 0)
        mango_objective_destroy(x);
    else
        *o = x;
    return st;
}

void mango_objective_destroy(mango_objective *o)
{
    if (!o)
        return;
    const mango_alloc al = o->al;
    mango_plan_destroy(o->gen_plan);
    mango_plan_destroy(o->net_plan);
    mango_space_destroy(o->space);
    mgi_arena_free(&o->arena);
    mgi_del(&al, o, 1, sizeof *o);
}

/* (1), in place. */
static void objective_round(const mango_objective *o, mango_idx n, float *rgb)
{
    for (mango_idx i = 0; i < n; i++) {
        const float x = rgb[i] * o->out_scale + o->out_shift;
        const float c = !(x > 0.0f) ? 0.0f : x > 1.0f ? 1.0f : x;
        rgb[i] = floorf(255.0f * c + 0.5f) / 255.0f;
    }
}

/* (2) of unit k among n values. */
static double objective_softmax(mango_idx n, const float *v, mango_idx k)
{
    double sum = 0.0;
    float top = v[0];
    for (mango_idx c = 1; c < n; c++)
        top = v[c] > top ? v[c] : top;
    for (mango_idx c = 0; c < n; c++)
        sum += mgi_exp((double)v[c] - (double)top);
    return mgi_exp((double)v[k] - (double)top) / sum;                           /* (2) */
}

/* y (K) of K <= batch pictures. */
static mango_status objective_read(mango_objective *o, mango_idx K, const float *rgb,
                                   double *y)
{
    const mango_target *t = &o->target;
    MGI_TRY(mango_plan_run(o->net_plan, K, rgb));
    for (mango_idx k = 0; k < K; k++) {
        const float *v = o->act + k * o->row;
        const mango_idx at =
            t->y < 0 ? t->unit : (t->unit * t->info.H + t->y) * t->info.W + t->x;
        y[k] = t->softmax ? objective_softmax(o->row, v, t->unit) : (double)v[at];
    }
    return MANGO_OK;
}

/* Pictures of K <= batch codes into o->rgb. */
static mango_status objective_draw(mango_objective *o, mango_idx K, const mango_idx *I)
{
    MGI_TRY(mango_space_latent(o->space, K, I, o->z));
    MGI_TRY(mango_plan_run(o->gen_plan, K, o->z));
    objective_round(o, K * o->size, o->rgb);                                    /* (1) */
    return MANGO_OK;
}

mango_status mango_objective_eval(void *ud, mango_idx K, const mango_idx *I, double *y)
{
    mango_objective *o = ud;
    MGI_REQUIRE(o && K >= 0 && (K == 0 || (I && y)));
    for (mango_idx k = 0; k < K; k += o->batch) {
        const mango_idx n = MGI_MIN(o->batch, K - k);
        MGI_TRY(objective_draw(o, n, I + k * o->d));
        MGI_TRY(objective_read(o, n, o->rgb, y + k));
    }
    return MANGO_OK;
}

mango_status mango_objective_picture(mango_objective *o, const mango_idx *I, float *rgb)
{
    MGI_REQUIRE(o && I && rgb);
    MGI_TRY(objective_draw(o, 1, I));
    memcpy(rgb, o->rgb, (size_t)o->size * sizeof *rgb);
    return MANGO_OK;
}

mango_status mango_objective_look(mango_objective *o, mango_idx K, const float *rgb,
                                  double *y)
{
    MGI_REQUIRE(o && K >= 0 && (K == 0 || (rgb && y)));
    for (mango_idx k = 0; k < K; k += o->batch)
        MGI_TRY(objective_read(o, MGI_MIN(o->batch, K - k), rgb + k * o->size, y + k));
    return MANGO_OK;
}

void mango_objective_get(const mango_objective *o, mango_objective_info *info)
{
    if (!o || !info)
        return;
    info->C = o->C, info->H = o->H, info->W = o->W, info->T = o->T;
    info->bytes = mango_plan_bytes(o->gen_plan) + mango_plan_bytes(o->net_plan);
    info->macs = mango_plan_macs(o->gen_plan) + mango_plan_macs(o->net_plan);
    info->space = o->space;
    info->target = o->target;
    memcpy(info->gen, o->gen, sizeof info->gen);
    memcpy(info->net, o->net, sizeof info->net);
}
/* ---- end mei/objective.c ------------------------------------------------------------ */

/* ---- begin mei/cache.c -------------------------------------------------------------- */
/* cache.c - every query of a search, in order, found by its code.
 */

#define CACHE_SEED 0xcbf29ce484222325u

void mgi_cache_init(mgi_cache *c, mango_idx d, int indexed, const mango_alloc *al)
{
    memset(c, 0, sizeof *c);
    c->al = mgi_alloc_get(al);
    c->d = d, c->indexed = indexed;
}

void mgi_cache_free(mgi_cache *c)
{
    mgi_del(&c->al, c->code, c->cap * c->d, sizeof *c->code);
    mgi_del(&c->al, c->y, c->cap, sizeof *c->y);
    mgi_del(&c->al, c->slot, c->slots, sizeof *c->slot);
}

/* FNV-1a over 32-bit levels, then mixed so that the high bits are good. */
static uint64_t cache_mix(uint64_t h, uint32_t level)
{
    return (h ^ level) * 0x100000001b3u;
}

static mango_idx cache_slot(const mgi_cache *c, uint64_t h)
{
    h = (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
    return (mango_idx)((h >> 32) & (uint64_t)(c->slots - 1));
}

static void cache_link(mgi_cache *c, mango_idx row)
{
    uint64_t h = CACHE_SEED;
    for (mango_idx j = 0; j < c->d; j++)
        h = cache_mix(h, (uint32_t)c->code[row * c->d + j]);
    mango_idx s = cache_slot(c, h);
    while (c->slot[s] != 0)
        s = (s + 1) & (c->slots - 1);
    c->slot[s] = row + 1;
}

static mango_status cache_slots(mgi_cache *c, mango_idx rows)
{
    mango_idx want = 64;
    while (want < 2 * rows)
        want *= 2;
    if (!c->indexed || want <= c->slots)
        return MANGO_OK;
    mango_idx *slot = mgi_new(&c->al, want, sizeof *slot);
    if (!slot)
        return MANGO_E_MEM;
    mgi_del(&c->al, c->slot, c->slots, sizeof *c->slot);
    c->slot = slot, c->slots = want;
    for (mango_idx i = 0; i < c->n; i++)
        cache_link(c, i);
    return MANGO_OK;
}

mango_status mgi_cache_reserve(mgi_cache *c, mango_idx more)
{
    mango_idx rows, cells;
    if (!mgi_add(c->n, more, &rows) || !mgi_mul(rows, 4 * c->d, &cells))
        return MANGO_E_MEM;
    MGI_TRY(cache_slots(c, rows));
    if (rows <= c->cap)
        return MANGO_OK;
    rows = MGI_MAX(rows, 2 * c->cap);
    int32_t *code = mgi_new(&c->al, rows * c->d, sizeof *code);
    double *y = mgi_new(&c->al, rows, sizeof *y);
    if (!code || !y) {
        mgi_del(&c->al, code, rows * c->d, sizeof *code);
        mgi_del(&c->al, y, rows, sizeof *y);
        return MANGO_E_MEM;
    }
    if (c->n > 0) {
        memcpy(code, c->code, (size_t)(c->n * c->d) * sizeof *code);
        memcpy(y, c->y, (size_t)c->n * sizeof *y);
    }
    mgi_del(&c->al, c->code, c->cap * c->d, sizeof *c->code);
    mgi_del(&c->al, c->y, c->cap, sizeof *c->y);
    c->code = code, c->y = y, c->cap = rows;
    return MANGO_OK;
}

static int cache_same(const mgi_cache *c, mango_idx row, const mango_idx *I)
{
    const int32_t *code = c->code + row * c->d;
    mango_idx j = 0;
    while (j < c->d && code[j] == I[j])
        j++;
    return j == c->d;
}

mango_idx mgi_cache_find(const mgi_cache *c, const mango_idx *I)
{
    uint64_t h = CACHE_SEED;
    if (!c->indexed || c->slots == 0)
        return -1;
    for (mango_idx j = 0; j < c->d; j++)
        h = cache_mix(h, (uint32_t)I[j]);
    mango_idx s = cache_slot(c, h);
    for (; c->slot[s] != 0; s = (s + 1) & (c->slots - 1)) {
        const mango_idx row = c->slot[s] - 1;
        const int known = row >= c->done || c->y[row] - c->y[row] == 0.0;
        if (known && cache_same(c, row, I))
            return row;
    }
    return -1;
}

mango_idx mgi_cache_push(mgi_cache *c, const mango_idx *I)
{
    const mango_idx row = c->n;
    assert(row < c->cap);
    for (mango_idx j = 0; j < c->d; j++)
        c->code[row * c->d + j] = (int32_t)I[j];
    c->y[row] = 0.0;
    c->n++;
    if (c->indexed)
        cache_link(c, row);
    return row;
}

void mgi_cache_code(const mgi_cache *c, mango_idx row, mango_idx *I)
{
    for (mango_idx j = 0; j < c->d; j++)
        I[j] = c->code[row * c->d + j];
}

#undef CACHE_SEED
/* ---- end mei/cache.c ---------------------------------------------------------------- */

/* ---- begin mei/journal.c ------------------------------------------------------------ */
/* journal.c - an append-only file of JSON lines, each with a checksum.
 */
#include <errno.h>
#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

#define JOURNAL_LIMIT ((mango_idx)1 << 30)
#define JOURNAL_TAIL 18 /* ,"crc":"XXXXXXXX"} */
#define JOURNAL_FIRST "{\"mango\":\"journal\","

static int journal_nibble(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is p[0..n) (no newline) a whole line that continues the chain? */
static int journal_check(const unsigned char *p, mango_idx n, uint32_t *crc)
{
    uint32_t v = 0;
    if (n < JOURNAL_TAIL || memcmp(p + n - JOURNAL_TAIL, ",\"crc\":\"", 8) != 0 ||
        memcmp(p + n - 2, "\"}", 2) != 0)
        return 0;
    for (mango_idx i = n - 10; i < n - 2; i++) {
        const int h = journal_nibble(p[i]);
        if (h < 0)
            return 0;
        v = v << 4 | (uint32_t)h;
    }
    if (mgi_crc32(*crc, p, n - JOURNAL_TAIL) != v)
        return 0;
    *crc = v;
    return 1;
}

/* Where does the good part end? A bad line is damage unless it is the last. */
static mango_status journal_scan(mgi_journal *j, mango_err *err)
{
    const mango_idx first = (mango_idx)strlen(JOURNAL_FIRST);
    mango_idx line = 1;
    while (j->good < j->size) {
        const unsigned char *p = j->text + j->good;
        const unsigned char *end = memchr(p, '\n', (size_t)(j->size - j->good));
        const mango_idx n = end ? end - p : j->size - j->good;
        if (line == 1 && memcmp(p, JOURNAL_FIRST, (size_t)MGI_MIN(n, first)) != 0)
            return mgi_fail(err, MANGO_E_FORMAT, "%.150s: is not a journal", j->path.p);
        if (end && journal_check(p, n, &j->crc)) {
            j->good += n + 1, line++;
            continue;
        }
        if (end && j->good + n + 1 < j->size)
            return mgi_fail(err, MANGO_E_FORMAT,
                            "%.150s, line %td: damaged, checksum expected", j->path.p,
                            line);
        break;
    }
    return MANGO_OK;
}

static int journal_exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f)
        fclose(f);
    return f != NULL || errno != ENOENT;
}

mango_status mgi_journal_open(mgi_journal *j, const char *path, int resume, int sync,
                              const mango_alloc *al, mango_err *err)
{
    memset(j, 0, sizeof *j);
    j->al = mgi_alloc_get(al), j->sync = sync;
    mgi_str_init(&j->path, al);
    mgi_str_puts(&j->path, path);
    if (j->path.bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory");
    if (!journal_exists(path))
        return MANGO_OK;
    MGI_TRY(mgi_file_read(path, JOURNAL_LIMIT, &j->al, &j->text, &j->size, err));
    if (!resume && j->size > 0)
        return mgi_fail(err, MANGO_E_STATE,
                        "%.150s: exists; resume it or choose another place", path);
    return journal_scan(j, err);
}

int mgi_journal_more(const mgi_journal *j)
{
    return j->at < j->good;
}

static mango_idx journal_length(const mgi_journal *j)
{
    const unsigned char *p = j->text + j->at;
    return (const unsigned char *)memchr(p, '\n', (size_t)(j->good - j->at)) - p;
}

int mgi_journal_is(const mgi_journal *j, const char *kind)
{
    char head[32];
    if (!mgi_journal_more(j))
        return 0;
    head[0] = '{', head[1] = '"';
    if (!mgi_copy(head + 2, 24, kind))
        return 0;
    const size_t n = strlen(head);
    const unsigned char *p = j->text + j->at;
    return (mango_idx)n < journal_length(j) && memcmp(p, head, n) == 0 && p[n] == '"';
}

mango_status mgi_journal_next(mgi_journal *j, const char *kind, mgi_json *line,
                              mango_err *err)
{
    j->line++;
    if (!mgi_journal_is(j, kind))
        return mgi_fail(err, MANGO_E_FORMAT, "%.150s, line %td: \"%s\" expected", j->path.p,
                        j->line, kind);
    const mango_idx n = journal_length(j);
    mango_err why = {""};
    const mango_status st =
        mgi_json_parse(line, (const char *)j->text + j->at, n, &j->al, &why);
    if (st < 0)
        return mgi_fail(err, st, "%.100s, line %td: %.100s", j->path.p, j->line, why.text);
    j->at += n + 1;
    return MANGO_OK;
}

static void journal_forget(mgi_journal *j)
{
    if (j->text)
        mgi_del(&j->al, j->text, j->size + 1, 1);
    j->text = NULL;
    j->at = j->good = j->size = 0;
}

mango_status mgi_journal_append(mgi_journal *j, mango_err *err)
{
    const int torn = j->good < j->size;
    const mango_idx good = j->good;
    journal_forget(j);
    j->f = fopen(j->path.p, "ab");
#if defined(_WIN32)
    if (!j->f || (torn && _chsize_s(_fileno(j->f), good) != 0))
#else
    if (!j->f || (torn && ftruncate(fileno(j->f), (off_t)good) != 0))
#endif
        return mgi_fail(err, MANGO_E_IO, "%.150s: %s", j->path.p, strerror(errno));
    return MANGO_OK;
}

mango_status mgi_journal_write(mgi_journal *j, mgi_str *body, int now, mango_err *err)
{
    if (body->bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory for a line");
    const uint32_t crc = mgi_crc32(j->crc, body->p, body->n);
    mgi_str_printf(body, ",\"crc\":\"%08lx\"}\n", (unsigned long)crc);
    if (body->bad)
        return mgi_fail(err, MANGO_E_MEM, "journal: out of memory for a line");
    int ok = fwrite(body->p, 1, (size_t)body->n, j->f) == (size_t)body->n;
    ok = ok && fflush(j->f) == 0;
#if defined(_WIN32)
    ok = ok && (!j->sync || !now || _commit(_fileno(j->f)) == 0);
#else
    ok = ok && (!j->sync || !now || fsync(fileno(j->f)) == 0 || errno == EINVAL);
#endif
    if (!ok)
        return mgi_fail(err, MANGO_E_IO, "%.150s: %s", j->path.p, strerror(errno));
    j->crc = crc;
    return MANGO_OK;
}

void mgi_journal_close(mgi_journal *j)
{
    if (j->f)
        fclose(j->f);
    j->f = NULL;
    journal_forget(j);
    mgi_str_free(&j->path);
}

#undef JOURNAL_LIMIT
#undef JOURNAL_TAIL
#undef JOURNAL_FIRST
/* ---- end mei/journal.c -------------------------------------------------------------- */

/* ---- begin mei/session.c ------------------------------------------------------------ */
/* session.c - a search: optimizer, cache of queries, journal, exact resume.
 *
 * One step opens a batch (ask; codes not known yet become pending rows of the
 * cache) and fills it (evaluate the pending rows, then tell the whole batch).
 * A resumed session takes the same steps, but reads the values of the pending
 * rows from the journal for as long as it has lines: so its state cannot
 * differ from that of a session that was never interrupted.
 *
 * Lines:  {"mango":"journal", options, "notes":{...}, "budget":N}    once
 *         {"ask":A,"codes":[[...],...]}     batch A: the codes not known yet
 *         {"tell":A,"first":Q,"y":[...]}    values of queries Q, Q+1, ...
 * Batches that hold known codes only leave no line: they follow from the rest.
 */

#define SESSION_DRY 10 /* restarts in a row without a new code: give up */

mango_status mango_session_defaults(const char *opt, mango_session_options *o,
                                    mango_err *err)
{
    MGI_REQUIRE(o);
    const double zero = 0.0;
    memset(o, 0, sizeof *o);
    MGI_TRY(mango_opt_defaults(opt, &o->o, err));
    o->opt = opt;
    o->budget = 1000;
    o->stop_at = zero / zero;
    o->stall = 100;
    o->sync = 1;
    return MANGO_OK;
}

static int session_better(const mango_session *s, double y, double than)
{
    return s->minimize ? y < than : y > than;
}

/* ---- one batch ----------------------------------------------------------- */

static mango_status session_journal(mango_session *s, int now)
{
    const mango_status st = mgi_journal_write(&s->journal, &s->line, now, &s->err);
    if (st < 0)
        s->dead = st;
    return st;
}

/* The line of the batch just opened: compare it with the journal, or write it. */
static mango_status session_ask_line(mango_session *s, int replay)
{
    mgi_cache *c = &s->cache;
    if (replay) {
        mgi_json j;
        MGI_TRY(mgi_journal_next(&s->journal, "ask", &j, &s->err));
        const mgi_json_value *codes = mgi_json_get(&j, j.v, "codes");
        int same = codes && codes->kind == MGI_JSON_ARRAY && codes->n == c->n - c->done;
        for (mango_idx i = 0, r = same ? codes->child : -1; r >= 0; i++, r = j.v[r].next) {
            same &= j.v[r].kind == MGI_JSON_ARRAY && j.v[r].n == s->d;
            const int32_t *code = c->code + (c->done + i) * s->d;
            for (mango_idx e = same ? j.v[r].child : -1; e >= 0; e = j.v[e].next)
                same &= j.v[e].is_int && j.v[e].i == *code++;
        }
        mgi_json_free(&j);
        if (!same)
            return mgi_fail(
                &s->err, MANGO_E_FORMAT,
                "journal, line %td: the optimizer now proposes other codes; made "
                "by another version?",
                s->journal.line);
        return MANGO_OK;
    }
    if (!s->journal.f)
        return MANGO_OK;
    s->line.n = 0;
    mgi_str_printf(&s->line, "{\"ask\":%lld,\"codes\":[", (long long)s->asks - 1);
    for (mango_idx i = c->done; i < c->n; i++)
        for (mango_idx j = 0; j < s->d; j++)
            mgi_str_printf(&s->line, "%s%ld%s", j ? "," : i > c->done ? ",[" : "[",
                           (long)c->code[i * s->d + j], j == s->d - 1 ? "]" : "");
    mgi_str_puts(&s->line, "]");
    return session_journal(s, 0);
}

/* Enough memory for a batch, taken before anything changes. */
static mango_status session_reserve(mango_session *s)
{
    const mango_idx want = s->cache.n + s->cap;
    MGI_TRY(mgi_cache_reserve(&s->cache, s->cap));
    if (want <= s->cap_better)
        return MANGO_OK;
    mango_idx *p = mgi_resize(&s->al, s->better, s->cap_better, 2 * want, sizeof *p);
    if (!p)
        return MANGO_E_MEM;
    s->better = p, s->cap_better = 2 * want;
    return MANGO_OK;
}

/* Nothing new for long: restart the optimizer. MANGO_STOP_SPACE when in vain. */
static mango_status session_stall(mango_session *s)
{
    if (s->stalled < s->stall)
        return MANGO_OK;
    if (s->dry >= SESSION_DRY)
        return MANGO_STOP_SPACE;
    s->stalled = 0, s->dry++, s->restarts++;
    return mango_opt_restart(s->opt);
}

static mango_status session_open(mango_session *s, int replay)
{
    mgi_cache *c = &s->cache;
    if (session_reserve(s) < 0)
        return mgi_fail(&s->err, MANGO_E_MEM, "session: out of memory");
    const mango_status st = session_stall(s);
    if (st != MANGO_OK)
        return st;
    s->K = 0;
    if (mango_opt_ask(s->opt, s->cap, &s->K, s->I) < 0)
        return mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
    for (mango_idx k = 0; k < s->K; k++) {
        const mango_idx *I = s->I + k * s->d, known = mgi_cache_find(c, I);
        s->row[k] = known >= 0 ? known : mgi_cache_push(c, I);
        s->cached += known >= 0;
    }
    s->asks++;
    s->open = 1;
    if (c->n == c->done) {
        s->stalled++;
        return MANGO_OK;
    }
    s->stalled = s->dry = 0;
    return session_ask_line(s, replay);
}

/* Take m values of the rows from `done` on: the only place where they enter. */
static void session_take(mango_session *s, mango_idx m, const double *y)
{
    mgi_cache *c = &s->cache;
    for (mango_idx i = 0; i < m; i++, c->done++) {
        const double zero = y[i] - y[i]; /* NaN unless finite */
        c->y[c->done] = y[i] + zero;
        if (zero != 0.0) {
            s->missing++;
        } else if (s->n_better == 0 || session_better(s, y[i], s->best)) {
            s->best = y[i];
            s->better[s->n_better++] = c->done;
        }
    }
}

/* Values of the next "tell" line. */
static mango_status session_replay(mango_session *s)
{
    mgi_cache *c = &s->cache;
    mgi_json j;
    MGI_TRY(mgi_journal_next(&s->journal, "tell", &j, &s->err));
    const mgi_json_value *first = mgi_json_get(&j, j.v, "first"),
                         *y = mgi_json_get(&j, j.v, "y");
    mango_idx n = 0;
    int ok = first && first->is_int && first->i == c->done && y &&
             y->kind == MGI_JSON_ARRAY && y->n >= 1 && y->n <= c->n - c->done;
    for (mango_idx e = ok ? y->child : -1; e >= 0; e = j.v[e].next) {
        const double zero = 0.0;
        ok &= j.v[e].kind == MGI_JSON_NUMBER || j.v[e].kind == MGI_JSON_NULL;
        s->y[n++] = j.v[e].kind == MGI_JSON_NUMBER ? j.v[e].d : zero / zero;
    }
    mgi_json_free(&j);
    if (!ok)
        return mgi_fail(&s->err, MANGO_E_FORMAT,
                        "journal, line %td: values of query %td expected", s->journal.line,
                        c->done);
    session_take(s, n, s->y);
    s->replayed += n;
    return MANGO_OK;
}

/* Evaluate the next m pending rows, write their line, take them. */
static mango_status session_evaluate(mango_session *s, mango_idx m)
{
    mgi_cache *c = &s->cache;
    for (mango_idx i = 0; i < m; i++)
        mgi_cache_code(c, c->done + i, s->J + i * s->d);
    const mango_status st = s->f(s->ud, m, s->J, s->y);
    if (st < 0)
        return mgi_fail(&s->err, st, "evaluation of query %td failed: %s", c->done,
                        mango_status_text(st));
    if (st > 0)
        return st;
    if (s->journal.f) {
        s->line.n = 0;
        mgi_str_printf(&s->line, "{\"tell\":%lld,\"first\":%lld,\"y\":[",
                       (long long)s->asks - 1, (long long)c->done);
        for (mango_idx i = 0; i < m; i++) {
            mgi_str_puts(&s->line, i ? "," : "");
            mgi_str_float(&s->line, s->y[i]);
        }
        mgi_str_puts(&s->line, "]");
        MGI_TRY(session_journal(s, 1));
    }
    session_take(s, m, s->y);
    return MANGO_OK;
}

/* Values for all pending rows, then the tell. When replaying, stop quietly
 * where the journal ends. */
static mango_status session_fill(mango_session *s, int replay)
{
    mgi_cache *c = &s->cache;
    while (c->done < c->n) {
        const mango_idx m = MGI_MIN(c->n - c->done, s->budget - c->done);
        if (!replay && m <= 0)
            return MANGO_STOP_BUDGET;
        if (replay && !mgi_journal_more(&s->journal))
            return MANGO_OK;
        const mango_status st = replay ? session_replay(s) : session_evaluate(s, m);
        if (st != MANGO_OK)
            return st;
    }
    for (mango_idx k = 0; k < s->K; k++)
        s->y[k] = c->y[s->row[k]];
    if (mango_opt_tell(s->opt, s->K, s->I, s->y) < 0)
        return mgi_fail(&s->err, MANGO_E_STATE, "%s", mango_opt_error(s->opt));
    s->open = 0;
    return MANGO_OK;
}

/* ---- the search ---------------------------------------------------------- */

/* Is it over? Looked at before and after each step. */
static mango_status session_over(const mango_session *s)
{
    const mgi_cache *c = &s->cache;
    if (s->n_better > 0 && s->stop_at == s->stop_at &&
        !session_better(s, s->stop_at, s->best))
        return MANGO_STOP_TARGET;
    if (c->done >= s->budget)
        return MANGO_STOP_BUDGET;
    if (c->indexed && c->done - s->missing >= s->total)
        return MANGO_STOP_SPACE;
    return MANGO_OK;
}

mango_status mango_session_step(mango_session *s)
{
    MGI_REQUIRE(s);
    if (s->dead < 0)
        return s->dead;
    mango_status st = session_over(s);
    if (st != MANGO_OK)
        return st;
    if (!s->open)
        st = session_open(s, 0);
    if (st == MANGO_OK)
        st = session_fill(s, 0);
    if (st == MANGO_OK || st == MANGO_STOP_BUDGET) {
        if (s->observe && s->observe(s->observe_ud, s) != 0)
            return MANGO_STOP_USER;
    }
    return st == MANGO_OK ? session_over(s) : st;
}

mango_status mango_session_run(mango_session *s)
{
    mango_status st = MANGO_OK;
    while (st == MANGO_OK)
        st = mango_session_step(s);
    return st;
}

mango_status mgi_session_replay(mango_session *s)
{
    while (mgi_journal_more(&s->journal)) {
        if (!s->open) {
            const mango_status st = session_open(s, 1);
            MGI_TRY(st);
            if (st > 0)
                return mgi_fail(&s->err, MANGO_E_FORMAT,
                                "journal, line %td: the search has ended before it",
                                s->journal.line + 1);
        }
        MGI_TRY(session_fill(s, 1));
    }
    return MANGO_OK;
}

void mango_session_extend(mango_session *s, mango_idx budget)
{
    if (s && budget > 0)
        s->budget = budget;
}

const char *mango_session_error(const mango_session *s)
{
    return s ? s->err.text : "";
}

/* ---- what it found ------------------------------------------------------- */

void mango_session_get(const mango_session *s, mango_session_info *info)
{
    const double zero = 0.0;
    if (!s || !info)
        return;
    info->d = s->d, info->budget = s->budget;
    info->queries = s->cache.done;
    info->cached = s->cached, info->missing = s->missing;
    info->asks = s->asks, info->restarts = s->restarts;
    info->replayed = s->replayed, info->improvements = s->n_better;
    info->best = s->n_better > 0 ? s->best : zero / zero;
}

mango_status mango_session_query(const mango_session *s, mango_idx q, double *y,
                                 mango_idx *I)
{
    MGI_REQUIRE(s && q >= 0 && q < s->cache.done);
    if (y)
        *y = s->cache.y[q];
    if (I)
        mgi_cache_code(&s->cache, q, I);
    return MANGO_OK;
}

mango_status mango_session_best(const mango_session *s, double *y, mango_idx *I)
{
    MGI_REQUIRE(s);
    if (s->n_better == 0)
        return MANGO_E_STATE;
    return mango_session_query(s, s->better[s->n_better - 1], y, I);
}

mango_idx mango_session_improvement(const mango_session *s, mango_idx i)
{
    return s && i >= 0 && i < s->n_better ? s->better[i] : -1;
}

#undef SESSION_DRY
/* ---- end mei/session.c -------------------------------------------------------------- */

/* ---- begin mei/session_open.c ------------------------------------------------------- */
/* session_open.c - begin a session or resume one: options, header, replay.
 */

#define SESSION_NOTES 32

static mango_status session_check(const mango_modes *m, const mango_session_options *o,
                                  mango_err *err)
{
    if (!m || !m->n || m->d < 1)
        return mgi_fail(err, MANGO_E_ARG, "session: modes expected");
    if (o->budget < 1)
        return mgi_fail(err, MANGO_E_ARG, "session: budget is %td, expected 1 or more",
                        o->budget);
    if (o->stall < 1 || o->stall > 1000000)
        return mgi_fail(err, MANGO_E_ARG, "session: stall is %td, expected 1..1000000",
                        o->stall);
    if (o->n_notes < 0 || o->n_notes > SESSION_NOTES || (o->n_notes > 0 && !o->notes))
        return mgi_fail(err, MANGO_E_ARG, "session: 0..%d notes expected", SESSION_NOTES);
    for (mango_idx i = 0; i < o->n_notes; i++)
        if (!o->notes[i].key || !o->notes[i].value)
            return mgi_fail(err, MANGO_E_ARG, "session: note %td has no key or no value",
                            i);
    return MANGO_OK;
}

/* The header's text, without its closing brace. */
static void session_header(const mango_modes *m, const mango_session_options *o, mgi_str *s)
{
    mgi_str_puts(s, "{\"mango\":\"journal\",\"format\":1,\"version\":\"" MANGO_VERSION
                    "\",\"opt\":");
    mgi_json_quote(s, o->opt, (mango_idx)strlen(o->opt));
    mgi_str_printf(s, ",\"seed\":\"%llu\",\"k\":%lld,\"k_top\":%lld,\"k_gd\":%lld,\"lr\":",
                   (unsigned long long)o->seed, (long long)o->o.k, (long long)o->o.k_top,
                   (long long)o->o.k_gd);
    mgi_str_float(s, o->o.lr);
    mgi_str_printf(s, ",\"r\":%lld,\"quantized\":%d,\"minimize\":%d,\"schedule\":%lld",
                   (long long)o->o.r, o->o.quantized, o->o.minimize,
                   (long long)o->o.budget);
    mgi_str_printf(s, ",\"stall\":%lld,\"repeat\":%d,\"modes\":[", (long long)o->stall,
                   o->repeat != 0);
    for (mango_idx j = 0; j < m->d; j++)
        mgi_str_printf(s, "%s%lld", j ? "," : "", (long long)m->n[j]);
    mgi_str_puts(s, "],\"notes\":{");
    for (mango_idx i = 0; i < o->n_notes; i++) {
        mgi_str_puts(s, i ? "," : "");
        mgi_json_quote(s, o->notes[i].key, (mango_idx)strlen(o->notes[i].key));
        mgi_str_puts(s, ":");
        mgi_json_quote(s, o->notes[i].value, (mango_idx)strlen(o->notes[i].value));
    }
    mgi_str_printf(s, "},\"budget\":%lld", (long long)o->budget);
}

/* What a resumed run may have different. */
static int session_free(const char *key)
{
    return strcmp(key, "version") == 0 || strcmp(key, "budget") == 0 ||
           strcmp(key, "crc") == 0;
}

/* Are two JSON values the same? For objects `where` becomes the first key that
 * differs; at the top, some may. */
static int session_same(const mgi_json *ja, const mgi_json_value *a, const mgi_json *jb,
                        const mgi_json_value *b, const char **where)
{
    const int top = a == ja->v;
    if (a->kind != b->kind || a->n != b->n)
        return 0;
    if (a->kind == MGI_JSON_NUMBER)
        return a->d == b->d && a->is_int == b->is_int;
    if (a->kind == MGI_JSON_STRING)
        return memcmp(a->str, b->str, (size_t)a->n) == 0;
    if (a->kind == MGI_JSON_ARRAY) {
        mango_idx x = a->child, y = b->child;
        for (; x >= 0 && y >= 0; x = ja->v[x].next, y = jb->v[y].next)
            if (!session_same(ja, ja->v + x, jb, jb->v + y, where))
                return 0;
        return 1;
    }
    for (mango_idx x = a->kind == MGI_JSON_OBJECT ? a->child : -1; x >= 0;
         x = ja->v[x].next) {
        const mgi_json_value *v = ja->v + x, *w = mgi_json_get(jb, b, v->key);
        const char *inner = NULL;
        if (top && session_free(v->key))
            continue;
        if (w && session_same(ja, v, jb, w, &inner))
            continue;
        *where = inner ? inner : v->key;
        return 0;
    }
    return 1;
}

/* The journal's first line against these options. */
static mango_status session_match(mango_session *s, const mango_modes *m,
                                  const mango_session_options *o, mango_err *err)
{
    mgi_json ours, theirs;
    const char *where = "options";
    session_header(m, o, &s->line);
    mgi_str_puts(&s->line, ",\"crc\":\"\"}");
    if (s->line.bad)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    MGI_TRY(mgi_journal_next(&s->journal, "mango", &theirs, err));
    mango_status st = mgi_json_parse(&ours, s->line.p, s->line.n, &s->al, err);
    if (st == MANGO_OK) {
        const mgi_json_value *crc = mgi_json_get(&theirs, theirs.v, "crc");
        if (!crc)
            st = MANGO_E_FORMAT;
        else if (!session_same(&ours, ours.v, &theirs, theirs.v, &where))
            st = MANGO_E_STATE;
        if (st < 0)
            mgi_fail(err, st, "%.120s: was made with another '%.60s'", o->journal, where);
        mgi_json_free(&ours);
    }
    mgi_json_free(&theirs);
    return st;
}

static mango_status session_journal_open(mango_session *s, const mango_modes *m,
                                         const mango_session_options *o, mango_err *err)
{
    MGI_TRY(mgi_journal_open(&s->journal, o->journal, o->resume, o->sync, &s->al, err));
    const int found = mgi_journal_more(&s->journal);
    if (found) {
        MGI_TRY(session_match(s, m, o, err));
        const mango_status st = mgi_session_replay(s);
        if (st < 0)
            return mgi_fail(err, st, "%s", s->err.text);
    }
    MGI_TRY(mgi_journal_append(&s->journal, err));
    if (found)
        return MANGO_OK;
    s->line.n = 0;
    session_header(m, o, &s->line);
    return mgi_journal_write(&s->journal, &s->line, 1, err);
}

static mango_status session_build(mango_session *s, const mango_modes *m,
                                  const mango_session_options *o, mango_err *err)
{
    MGI_TRY(mango_opt_create(&s->opt, o->opt, m, &o->o, o->seed, &s->al, err));
    s->cap = o->o.k, s->total = 1;
    if (!mgi_prod((int)MGI_MIN(m->d, INT_MAX), m->n, &s->total))
        s->total = PTRDIFF_MAX;
    mango_idx cells;
    if (!mgi_mul(s->cap, s->d, &cells))
        return mgi_fail(err, MANGO_E_MEM, "session: batch of %td codes is too large",
                        s->cap);
    s->I = mgi_new(&s->al, cells, sizeof *s->I);
    s->J = mgi_new(&s->al, cells, sizeof *s->J);
    s->row = mgi_new(&s->al, s->cap, sizeof *s->row);
    s->y = mgi_new(&s->al, s->cap, sizeof *s->y);
    if (!s->I || !s->J || !s->row || !s->y)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    return o->journal ? session_journal_open(s, m, o, err) : MANGO_OK;
}

mango_status mango_session_create(mango_session **s, const mango_modes *modes,
                                  const mango_session_options *o, mango_evaluator f,
                                  void *ud, const mango_alloc *al, mango_err *err)
{
    MGI_REQUIRE(s);
    *s = NULL;
    MGI_REQUIRE(o && f && o->opt);
    MGI_TRY(session_check(modes, o, err));
    const mango_alloc a = mgi_alloc_get(al);
    mango_session *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "session: out of memory");
    x->al = a, x->d = modes->d, x->f = f, x->ud = ud;
    x->observe = o->observe, x->observe_ud = o->observe_ud;
    x->minimize = o->o.minimize, x->budget = o->budget, x->stall = o->stall;
    x->stop_at = o->stop_at;
    mgi_cache_init(&x->cache, modes->d, !o->repeat, &a);
    mgi_str_init(&x->line, &a);
    mgi_str_init(&x->journal.path, &a);
    x->journal.al = a;
    const mango_status st = session_build(x, modes, o, err);
    if (st < 0)
        mango_session_destroy(x);
    else
        *s = x;
    return st;
}

void mango_session_destroy(mango_session *s)
{
    if (!s)
        return;
    const mango_alloc al = s->al;
    const mango_idx cells = s->cap * s->d;
    mgi_journal_close(&s->journal);
    mango_opt_destroy(s->opt);
    mgi_cache_free(&s->cache);
    mgi_str_free(&s->line);
    mgi_del(&al, s->I, cells, sizeof *s->I);
    mgi_del(&al, s->J, cells, sizeof *s->J);
    mgi_del(&al, s->row, s->cap, sizeof *s->row);
    mgi_del(&al, s->y, s->cap, sizeof *s->y);
    mgi_del(&al, s->better, s->cap_better, sizeof *s->better);
    mgi_del(&al, s, 1, sizeof *s);
}

#undef SESSION_NOTES
/* ---- end mei/session_open.c --------------------------------------------------------- */

/* ---- begin study/eigen.c ------------------------------------------------------------ */
/* eigen.c - Householder reduction to a tridiagonal T, then implicit QL steps.
 *
 *   H = 1 - beta v v^T,  A' = H A H = A - v w^T - w v^T,
 *       p = beta A v,  w = p - (beta/2)(p.v) v                                (1)
 *   QL: T - mu = Q L,  T' = L Q + mu = Q^T T Q, by rotations chased upwards;
 *       mu the eigenvalue of the top 2x2 block closer to its first entry      (2)
 *
 * Bowdler, Martin, Reinsch, Wilkinson, Numer. Math. 11 (1968); Golub and Van
 * Loan, Matrix Computations, section 8.3 (there for QR).
 */
#include <float.h>
#include <math.h>

#define EIGEN_SWEEPS 60      /* per eigenvalue; two is usual        */
#define EIGEN_NOTHING 1e-280 /* squares, of a matrix scaled to 1 */
#define EIGEN_COLS 64        /* columns of V that one thread turns  */

double mgi_dot64(mango_idx n, const double *x, const double *y)
{
    double s[4] = {0.0, 0.0, 0.0, 0.0};
    mango_idx i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += x[i + k] * y[i + k];
    for (; i < n; i++)
        s[0] += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Scale A by a power of two so that its largest entry lies in [1/2,1);
 * *power undoes it. 0 when A is not finite. */
static int eigen_scale(mango_idx n, double *A, int *power)
{
    double top = 0.0;
    *power = 0;
    for (mango_idx i = 0; i < n * n; i++) {
        const double a = fabs(A[i]);
        if (!(a <= DBL_MAX))
            return 0;
        top = a > top ? a : top;
    }
    if (top > 0.0)
        frexp(top, power);
    for (mango_idx i = 0; *power != 0 && i < n * n; i++)
        A[i] = ldexp(A[i], -*power);
    return 1;
}

/* Row k of A becomes v of the reflection that leaves only its last entry
 * left of the diagonal, e. Returns beta; 0 when there is nothing to do. */
static double eigen_reflector(mango_idx k, double *v, double *e)
{
    const double rest = mgi_dot64(k - 1, v, v), last = v[k - 1];
    *e = last;
    if (rest < EIGEN_NOTHING)
        return 0.0;
    *e = sqrt(rest + last * last);
    *e = last > 0.0 ? -*e : *e;
    v[k - 1] = last - *e;
    return 2.0 / (rest + v[k - 1] * v[k - 1]);
}

/* A -> T: diagonal d (n), off-diagonal e (n), e[i] between i and i+1. The v
 * stay in the rows of A, their beta in b (n). p (n) is scratch. */
static void eigen_reduce(mango_idx n, double *A, double *d, double *e, double *b, double *p)
{
    for (mango_idx k = n - 1; k >= 2; k--) {
        double *v = A + k * n;
        d[k] = v[k];
        b[k] = eigen_reflector(k, v, &e[k - 1]);
        if (b[k] == 0.0)
            continue;
        MGI_OMP(parallel for if (k * k >= MGI_GRAIN))
        for (mango_idx i = 0; i < k; i++)
            p[i] = b[k] * mgi_dot64(k, A + i * n, v);
        const double half = 0.5 * b[k] * mgi_dot64(k, p, v);
        for (mango_idx i = 0; i < k; i++)
            p[i] -= half * v[i];
        MGI_OMP(parallel for if (k * k >= MGI_GRAIN))
        for (mango_idx i = 0; i < k; i++)
            for (mango_idx j = 0; j < k; j++)
                A[i * n + j] -= v[i] * p[j] + p[i] * v[j]; /* (1) */
    }
    e[n - 1] = 0.0;
    d[0] = A[0];
    if (n > 1) {
        d[1] = A[n + 1];
        e[0] = A[n];
    }
}

/* V = H_2 H_3 ... H_{n-1}, so that A = V^T T V. Row i meets H_k for k > i. */
static void eigen_basis(mango_idx n, const double *A, const double *b, double *V)
{
    MGI_OMP(parallel for schedule(dynamic, 4) if (n * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i++) {
        double *r = V + i * n;
        for (mango_idx j = 0; j < n; j++)
            r[j] = i == j ? 1.0 : 0.0;
        for (mango_idx k = MGI_MAX(2, i + 1); k < n; k++) {
            const double *v = A + k * n, s = b[k] == 0.0 ? 0.0 : b[k] * mgi_dot64(k, r, v);
            for (mango_idx j = 0; s != 0.0 && j < k; j++)
                r[j] -= s * v[j];
        }
    }
}

/* One QL step on the rows l..m of T; rotation k turns rows k and k+1 by
 * (c[k], s[k]). */
static void eigen_step(mango_idx l, mango_idx m, double *d, double *e, double *c, double *s)
{
    const double delta = 0.5 * (d[l + 1] - d[l]), root = sqrt(delta * delta + e[l] * e[l]);
    const double mu =
        d[l] - e[l] * (e[l] / (delta < 0.0 ? delta - root : delta + root)); /* (2) */
    double x = d[m] - mu, z = e[m - 1]; /* the pair that the rotation turns into (r, 0) */
    for (mango_idx k = m - 1; k >= l; k--) {
        const double r = sqrt(x * x + z * z);
        c[k] = r > 0.0 ? x / r : 1.0;
        s[k] = r > 0.0 ? z / r : 0.0;
        if (k < m - 1)
            e[k + 1] = r;
        const double q = s[k] * (d[k] - d[k + 1]) + 2.0 * c[k] * e[k];
        d[k + 1] += s[k] * q;
        d[k] -= s[k] * q;
        e[k] = x = c[k] * q - e[k];
        if (k > l) {
            z = s[k] * e[k - 1];
            e[k - 1] *= c[k];
        }
    }
}

/* Rows l..m of V follow T; columns are independent of each other. */
static void eigen_turn(mango_idx n, mango_idx l, mango_idx m, const double *c,
                       const double *s, double *V)
{
    MGI_OMP(parallel for if ((m - l) * n >= MGI_GRAIN))
    for (mango_idx at = 0; at < n; at += EIGEN_COLS) {
        const mango_idx end = MGI_MIN(n, at + EIGEN_COLS);
        for (mango_idx k = m - 1; k >= l; k--) {
            double *lo = V + k * n, *hi = lo + n;
            for (mango_idx j = at; j < end; j++) {
                const double a = lo[j], b = hi[j];
                hi[j] = c[k] * b + s[k] * a;
                lo[j] = c[k] * a - s[k] * b;
            }
        }
    }
}

static mango_status eigen_diagonalize(mango_idx n, double *d, double *e, double *c,
                                      double *s, double *V)
{
    for (mango_idx l = 0; l < n; l++)
        for (int sweep = 0;; sweep++) {
            mango_idx m = l;
            while (m < n - 1 &&
                   fabs(e[m]) > 0.5 * DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])) &&
                   e[m] * e[m] > EIGEN_NOTHING)
                m++;
            if (m == l)
                break;
            if (sweep == EIGEN_SWEEPS)
                return MANGO_E_NONFINITE; /* not seen on finite input */
            eigen_step(l, m, d, e, c, s);
            if (V)
                eigen_turn(n, l, m, c, s, V);
        }
    return MANGO_OK;
}

/* Ascending, the rows of V along; of equal values the first stays first. */
static void eigen_sort(mango_idx n, double *w, double *V)
{
    for (mango_idx i = 0; i < n; i++) {
        mango_idx at = i;
        for (mango_idx j = i + 1; j < n; j++)
            at = w[j] < w[at] ? j : at;
        if (at == i)
            continue;
        const double least = w[at];
        w[at] = w[i];
        w[i] = least;
        for (mango_idx j = 0; V && j < n; j++) {
            const double a = V[i * n + j];
            V[i * n + j] = V[at * n + j];
            V[at * n + j] = a;
        }
    }
}

mango_status mgi_eigen(mango_idx n, double *A, double *w, double *V, double *work)
{
    double *e = work, *b = work + n, *c = work + 2 * n, *s = work + 3 * n;
    int power;
    MGI_REQUIRE(n >= 1 && A && w && work);
    if (!eigen_scale(n, A, &power))
        return MANGO_E_NONFINITE;
    eigen_reduce(n, A, w, e, b, c);
    if (V)
        eigen_basis(n, A, b, V);
    MGI_TRY(eigen_diagonalize(n, w, e, c, s, V));
    eigen_sort(n, w, V);
    for (mango_idx i = 0; i < n; i++)
        w[i] = ldexp(w[i], power);
    return MANGO_OK;
}

#undef EIGEN_SWEEPS
#undef EIGEN_NOTHING
#undef EIGEN_COLS
/* ---- end study/eigen.c -------------------------------------------------------------- */

/* ---- begin study/fid.c -------------------------------------------------------------- */
/* fid.c - streaming means and covariances, and the Frechet distance of two.
 *
 *   blocks of B vectors, n seen before, delta = mean of the block - mean:
 *       mean += delta B/(n + B)
 *       M    += sum_b (x_b - mean_b)(x_b - mean_b)^T + delta delta^T n B/(n + B)   (1)
 *       C     = M/(n - 1)
 *   C1 = sum_i l_i v_i v_i^T,  A_ij = (l_i l_j)^(1/2) v_i^T C2 v_j                (2)
 *   Tr (C1 C2)^(1/2) = sum of the roots of the eigenvalues of A                   (3)
 *
 * A is C1^(1/2) C2 C1^(1/2) in the basis of the v_i, which has the eigenvalues of
 * C1 C2. (1): Chan, Golub, LeVeque 1979.
 */
#include <float.h>
#include <math.h>

#define FID_BLOCK 64
#define FID_MAX_DIM 4096

struct mango_moments {
    mango_alloc al;
    mgi_arena arena;
    mango_idx dim, n;      /* vectors in mean and M                 */
    mango_idx waiting;     /* vectors in next                       */
    double *mean, *M;      /* (dim) (dim,dim), lower half           */
    float *next;           /* (FID_BLOCK,dim)                       */
    double *block, *delta; /* (FID_BLOCK,dim) (dim) scratch         */
};

mango_status mango_moments_create(mango_moments **m, mango_idx dim, const mango_alloc *al,
                                  mango_err *err)
{
    MGI_REQUIRE(m);
    *m = NULL;
    if (dim < 1 || dim > FID_MAX_DIM)
        return mgi_fail(err, MANGO_E_ARG, "moments: %td features, expected 1..%d", dim,
                        FID_MAX_DIM);
    const mango_alloc a = mgi_alloc_get(al);
    mango_moments *x = mgi_new(&a, 1, sizeof *x);
    if (!x)
        return mgi_fail(err, MANGO_E_MEM, "moments: out of memory");
    x->al = a, x->dim = dim;
    mgi_arena_init(&x->arena, &a);
    mgi_arena_plan(&x->arena, dim, sizeof(double));
    mgi_arena_plan(&x->arena, dim * dim, sizeof(double));
    mgi_arena_plan(&x->arena, FID_BLOCK * dim, sizeof(float));
    mgi_arena_plan(&x->arena, FID_BLOCK * dim, sizeof(double));
    mgi_arena_plan(&x->arena, dim, sizeof(double));
    if (mgi_arena_commit(&x->arena) < 0) {
        mango_moments_destroy(x);
        return mgi_fail(err, MANGO_E_MEM, "moments: out of memory for %td features", dim);
    }
    x->mean = mgi_arena_take(&x->arena, dim, sizeof(double));
    x->M = mgi_arena_take(&x->arena, dim * dim, sizeof(double));
    x->next = mgi_arena_take(&x->arena, FID_BLOCK * dim, sizeof(float));
    x->block = mgi_arena_take(&x->arena, FID_BLOCK * dim, sizeof(double));
    x->delta = mgi_arena_take(&x->arena, dim, sizeof(double));
    *m = x;
    return MANGO_OK;
}

void mango_moments_destroy(mango_moments *m)
{
    if (!m)
        return;
    const mango_alloc al = m->al;
    mgi_arena_free(&m->arena);
    mgi_del(&al, m, 1, sizeof *m);
}

/* Add B vectors, whose deviations from their own mean are x (B,dim), to n that
 * are in mean and M; delta (dim) is that mean less the old one. */
static void fid_add(mango_idx dim, mango_idx n, mango_idx B, const double *x,
                    const double *delta, double *mean, double *M)
{
    const double total = (double)(n + B), f = (double)n * (double)B / total;
    for (mango_idx i = 0; i < dim; i++)
        mean[i] += delta[i] * ((double)B / total);
    MGI_OMP(parallel for schedule(dynamic, 8) if (B * dim * dim >= MGI_GRAIN))
    for (mango_idx i = 0; i < dim; i++) {
        double *row = M + i * dim;
        for (mango_idx b = 0; x && b < B; b++)
            for (mango_idx j = 0; j <= i; j++)
                row[j] += x[b * dim + i] * x[b * dim + j];
        for (mango_idx j = 0; j <= i; j++)
            row[j] += f * delta[i] * delta[j]; /* (1) */
    }
}

/* The vectors that wait, into mean and M, which hold those of m. */
static void fid_fold(const mango_moments *m, double *mean, double *M)
{
    const mango_idx dim = m->dim, B = m->waiting;
    for (mango_idx i = 0; i < dim; i++) {
        double sum = 0.0;
        for (mango_idx b = 0; b < B; b++)
            sum += (double)m->next[b * dim + i];
        sum /= (double)B;
        for (mango_idx b = 0; b < B; b++)
            m->block[b * dim + i] = (double)m->next[b * dim + i] - sum;
        m->delta[i] = sum - mean[i];
    }
    fid_add(dim, m->n, B, m->block, m->delta, mean, M);
}

/* One vector; a full block goes into mean and M. */
static void fid_push(mango_moments *m, const float *x)
{
    memcpy(m->next + m->waiting * m->dim, x, (size_t)m->dim * sizeof *x);
    if (++m->waiting < FID_BLOCK)
        return;
    fid_fold(m, m->mean, m->M);
    m->n += m->waiting;
    m->waiting = 0;
}

mango_status mango_moments_add(mango_moments *m, mango_idx n, const float *x)
{
    MGI_REQUIRE(m && n >= 0 && (n == 0 || x));
    for (mango_idx i = 0; i < n * m->dim; i++)
        if (!(fabsf(x[i]) <= FLT_MAX))
            return MANGO_E_NONFINITE;
    for (mango_idx k = 0; k < n; k++)
        fid_push(m, x + k * m->dim);
    return MANGO_OK;
}

mango_status mango_moments_merge(mango_moments *m, const mango_moments *from)
{
    MGI_REQUIRE(m && from && m != from);
    if (m->dim != from->dim)
        return MANGO_E_SHAPE;
    if (m->waiting > 0 && from->n > 0) {
        fid_fold(m, m->mean, m->M);
        m->n += m->waiting;
        m->waiting = 0;
    }
    if (from->n > 0) {
        for (mango_idx i = 0; i < m->dim; i++)
            m->delta[i] = from->mean[i] - m->mean[i];
        fid_add(m->dim, m->n, from->n, NULL, m->delta, m->mean, m->M);
        for (mango_idx i = 0; i < m->dim; i++)
            for (mango_idx j = 0; j <= i; j++)
                m->M[i * m->dim + j] += from->M[i * m->dim + j];
        m->n += from->n;
    }
    for (mango_idx k = 0; k < from->waiting; k++)
        fid_push(m, from->next + k * m->dim);
    return MANGO_OK;
}

mango_idx mango_moments_count(const mango_moments *m)
{
    return m ? m->n + m->waiting : 0;
}

mango_status mango_moments_get(const mango_moments *m, double *mean, double *cov)
{
    MGI_REQUIRE(m && mean && cov);
    const mango_idx dim = m->dim, count = m->n + m->waiting;
    if (count < 2)
        return MANGO_E_STATE;
    memcpy(mean, m->mean, (size_t)dim * sizeof *mean);
    memcpy(cov, m->M, (size_t)(dim * dim) * sizeof *cov);
    if (m->waiting > 0)
        fid_fold(m, mean, cov);
    for (mango_idx i = 0; i < dim; i++)
        for (mango_idx j = 0; j <= i; j++)
            cov[i * dim + j] = cov[j * dim + i] = cov[i * dim + j] / (double)(count - 1);
    return MANGO_OK;
}

static double fid_trace(mango_idx n, const double *C)
{
    double t = 0.0;
    for (mango_idx i = 0; i < n; i++)
        t += C[i * n + i];
    return t;
}

/* From the pairs l, v (rows of V), those that count, and C2 in X: A (r,r) of (2),
 * which takes C2's place. P (n,n) is scratch. Returns r. */
static mango_idx fid_product(mango_idx n, const double *l, const double *V, double *X,
                             double *P)
{
    mango_idx at = 0;
    while (at < n && !(l[at] > (double)n * DBL_EPSILON * l[n - 1]))
        at++;
    const mango_idx r = n - at;
    MGI_OMP(parallel for if (r * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < r; i++) {
        double *p = P + i * n;
        memset(p, 0, (size_t)n * sizeof *p);
        for (mango_idx k = 0; k < n; k++)
            for (mango_idx j = 0; j < n; j++)
                p[j] += V[(at + i) * n + k] * X[k * n + j];
    }
    MGI_OMP(parallel for schedule(dynamic, 8) if (r * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < r; i++)
        for (mango_idx j = 0; j <= i; j++)
            X[i * r + j] = X[j * r + i] =
                sqrt(l[at + i]) * sqrt(l[at + j]) *
                mgi_dot64(n, P + i * n, V + (at + j) * n); /* (2) */
    return r;
}

/* X, V, P (n,n) and v (7,n) are scratch. */
static mango_status fid_distance(const mango_moments *a, const mango_moments *b, double *X,
                                 double *V, double *P, double *v, double *fid,
                                 double *means)
{
    const mango_idx n = a->dim;
    double *m1 = v, *m2 = v + n, *l = v + 2 * n, *work = v + 3 * n, traces, roots = 0.0;
    MGI_TRY(mango_moments_get(a, m1, X));
    traces = fid_trace(n, X);
    MGI_TRY(mgi_eigen(n, X, l, V, work));
    MGI_TRY(mango_moments_get(b, m2, X));
    traces += fid_trace(n, X);
    const mango_idx r = fid_product(n, l, V, X, P);
    if (r > 0)
        MGI_TRY(mgi_eigen(r, X, l, NULL, work));
    for (mango_idx i = 0; i < r; i++)
        roots += l[i] > 0.0 ? sqrt(l[i]) : 0.0; /* (3) */
    for (mango_idx i = 0; i < n; i++)
        m1[i] -= m2[i];
    *means = mgi_dot64(n, m1, m1);
    *fid = *means + MGI_MAX(0.0, traces - 2.0 * roots);
    return *fid <= DBL_MAX ? MANGO_OK : MANGO_E_NONFINITE;
}

mango_status mango_fid(const mango_moments *a, const mango_moments *b,
                       const mango_alloc *al, double *fid, double *means, mango_err *err)
{
    MGI_REQUIRE(a && b && fid);
    const mango_idx n = a->dim, cells = n * n;
    if (b->dim != n)
        return mgi_fail(err, MANGO_E_SHAPE, "fid: %td features against %td", n, b->dim);
    if (mango_moments_count(a) < 2 || mango_moments_count(b) < 2)
        return mgi_fail(err, MANGO_E_STATE,
                        "fid: %td and %td vectors, at least 2 of each expected",
                        mango_moments_count(a), mango_moments_count(b));
    const mango_alloc m = mgi_alloc_get(al);
    double *room = mgi_new(&m, 3 * cells + 7 * n, sizeof *room), both[2];
    if (!room)
        return mgi_fail(err, MANGO_E_MEM, "fid: out of memory for %td features", n);
    const mango_status st = fid_distance(a, b, room, room + cells, room + 2 * cells,
                                         room + 3 * cells, &both[0], &both[1]);
    mgi_del(&m, room, 3 * cells + 7 * n, sizeof *room);
    if (st < 0)
        return mgi_fail(err, st, "fid: %s", mango_status_text(st));
    *fid = both[0];
    if (means)
        *means = both[1];
    return MANGO_OK;
}

#undef FID_BLOCK
#undef FID_MAX_DIM
/* ---- end study/fid.c ---------------------------------------------------------------- */

/* ---- begin train/init.c ------------------------------------------------------------- */
/* init.c - first values of parameters, and the recipes.
 */
#include <math.h>


static void init_uniform(mango_rng *r, mango_idx n, double bound, float *w)
{
    for (mango_idx i = 0; i < n; i++)
        w[i] = (float)((2 * mango_rng_uniform(r) - 1) * bound);
}

static void init_normal(mango_rng *r, mango_idx n, double sd, float *w)
{
    for (mango_idx i = 0; i < n; i++)
        w[i] = (float)(mango_rng_normal(r) * sd);
}

/* The only reader of node i, or -1. */
static int init_reader(const mango_net *net, int i)
{
    int found = -1;
    for (int k = i + 1; k < net->n_nodes; k++)
        for (int m = 0; m < net->node[k].n_in; m++)
            if (net->node[k].in[m] == i)
                found = found < 0 ? k : net->n_nodes;
    return found < net->n_nodes ? found : -1;
}

/* Does a LIF layer read node i, at most a pool in between? */
static int init_feeds_lif(const mango_net *net, int i)
{
    int k = init_reader(net, i);
    while (k >= 0 && (net->node[k].kind == MGI_MAXPOOL || net->node[k].kind == MGI_AVGPOOL))
        k = init_reader(net, k);
    return k >= 0 && net->node[k].kind == MGI_LIF;
}

/* Scale of a batch-norm: neurons of the tau form divide their input by tau, so
 * what feeds them starts higher; 1.5 on the main branch of a residual sum. */
static float init_norm_scale(const mango_net *net, int i)
{
    int k = init_reader(net, i);
    if (k >= 0 && net->node[k].kind == MGI_LIF && net->node[k].lif.tau > 0)
        return 2.0f;
    if (k < 0 || net->node[k].kind != MGI_ADD || net->node[k].in[0] != i)
        return 1.0f;
    k = init_reader(net, k) >= 0 ? init_reader(net, k) : k + 1;
    return k < net->n_nodes && net->node[k].kind == MGI_LIF && net->node[k].lif.tau > 0 ? 1.5f
                                                                                       : 1.0f;
}

static void init_weights(mango_net *net, int i, mango_train_kind kind, mango_rng *r)
{
    const mgi_node *n = &net->node[i];
    const mgi_param *p = &net->param[n->weight];
    const mango_idx taps = p->rank == 4 ? p->shape[2] * p->shape[3] : 1;
    const double fan_in = (double)(p->shape[1] * taps), fan_out = (double)(p->shape[0] * taps);
    const int reader = init_reader(net, i);
    const char *name = strrchr(n->name, '.');
    const int residual = name && (!strcmp(name, ".c1") || !strcmp(name, ".c2"));
    if (kind == MANGO_TRAIN_SNGAN)
        init_uniform(r, p->count, sqrt((residual ? 12.0 : 6.0) / (fan_in + fan_out)), p->v);
    else if (reader >= 0 && net->node[reader].kind == MGI_BATCHNORM)
        init_normal(r, p->count, sqrt(2 / fan_out), p->v);
    else if (init_feeds_lif(net, i)) /* loud enough for neurons to fire */
        init_normal(r, p->count, 1 / sqrt(fan_in), p->v);
    else
        init_uniform(r, p->count, 1 / sqrt(fan_in), p->v);
    if (n->bias_p >= 0) {
        const mango_idx O = net->param[n->bias_p].count;
        if (kind == MANGO_TRAIN_SNGAN)
            memset(net->param[n->bias_p].v, 0, (size_t)O * sizeof(float));
        else
            init_uniform(r, O, 1 / sqrt(fan_in), net->param[n->bias_p].v);
    }
}

static void init_norm(mango_net *net, int i, mango_train_kind kind)
{
    const mgi_node *n = &net->node[i];
    const float scale = kind == MANGO_TRAIN_NET ? init_norm_scale(net, i) : 1.0f;
    for (mango_idx c = 0; c < n->C; c++) {
        if (n->weight >= 0)
            net->param[n->weight].v[c] = scale;
        if (n->bias_p >= 0)
            net->param[n->bias_p].v[c] = 0.0f;
        if (n->mean_p >= 0)
            net->param[n->mean_p].v[c] = 0.0f;
        if (n->var_p >= 0)
            net->param[n->var_p].v[c] = 1.0f;
    }
}

mango_status mango_train_init(mango_net *net, mango_train_kind kind, uint64_t seed)
{
    MGI_REQUIRE(net);
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].v) {
            MGI_TRY(mgi_net_alloc_params(net));
            break;
        }
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        mango_rng r;
        mango_rng_init(&r, seed, MGI_RNG_INIT, (uint64_t)i);
        if (n->kind == MGI_CONV || n->kind == MGI_CONVT || n->kind == MGI_LINEAR)
            init_weights(net, i, kind, &r);
        else if (n->kind == MGI_BATCHNORM)
            init_norm(net, i, kind);
        else if (n->kind == MGI_VQ)
            init_normal(&r, net->param[n->weight].count, 1.0, net->param[n->weight].v);
    }
    return MANGO_OK;
}

/* ---- recipes ------------------------------------------------------------- */

static int init_any(const mango_net *net, mgi_kind kind)
{
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == kind)
            return 1;
    return 0;
}

/* An output of spikes saturates and passes little gradient: read the linear
 * layer that feeds it, at a tenth of the logits' size, so that the rates of the
 * last neurons keep the order of the classes. */
static void init_recipe_readout(mango_train_options *o, const mango_net *net)
{
    int i = net->output;
    if (net->node[i].kind != MGI_LIF)
        return;
    while (net->node[i].kind != MGI_LINEAR && net->node[i].n_in > 0)
        i = net->node[i].in[0];
    if (net->node[i].kind == MGI_LINEAR && mgi_copy(o->readout, (mango_idx)sizeof o->readout, net->node[i].name))
        o->readout_scale = 10;
}

static void init_recipe_net(mango_train_options *o, const mango_net *net)
{
    const int spiking = init_any(net, MGI_LIF), norm = init_any(net, MGI_BATCHNORM);
    o->epochs = 30;
    o->batch = 128;
    o->T = spiking ? 4 : 1;
    /* Surrogate gradients are small and uneven from layer to layer: Adam. */
    o->optimizer = norm && !spiking ? MANGO_SGD : MANGO_ADAMW;
    o->lr = o->optimizer == MANGO_SGD ? 0.1 : 2e-3;
    o->warmup = 0.5;
    o->weight_decay = o->optimizer == MANGO_SGD ? 5e-4 : 0.02;
    o->smoothing = 0.1;
    o->clip = 5;
    o->crop_pad = net->node[net->input].H >= 32 ? 4 : 0;
    o->flip = net->node[net->input].C == 3;
    init_recipe_readout(o, net);
}

static void init_recipe_vqvae(mango_train_options *o)
{
    o->epochs = 20;
    o->batch = 256;
    o->optimizer = MANGO_ADAM;
    o->lr = 1e-3;
    o->commitment = 0.25;
    o->decay = 0.99;
    o->revive = 0.02;
    o->reference = 1000;
    o->flip = 1;
}

static void init_recipe_sngan(mango_train_options *o)
{
    o->epochs = 50;
    o->batch = 64;
    o->optimizer = MANGO_ADAM;
    o->schedule = MANGO_LR_LINEAR;
    o->lr = 2e-4;
    o->beta1 = 0;
    o->beta2 = 0.9;
    o->ema = 0.999;
    o->n_dis = 5;
    o->flip = 1;
}

void mango_train_defaults(mango_train_options *o, mango_train_kind kind, const mango_net *net)
{
    memset(o, 0, sizeof *o);
    o->seed = 1;
    o->T = 1;
    o->schedule = MANGO_LR_COSINE;
    o->momentum = 0.9;
    o->nesterov = 1;
    o->beta1 = 0.9;
    o->beta2 = 0.999;
    o->eps = 1e-8;
    o->lr_every = 30;
    o->lr_factor = 0.1;
    o->readout_scale = 1;
    o->n_dis = 1;
    if (kind == MANGO_TRAIN_NET)
        init_recipe_net(o, net);
    else if (kind == MANGO_TRAIN_VQVAE)
        init_recipe_vqvae(o);
    else
        init_recipe_sngan(o);
}

typedef struct init_range {
    const char *name;
    double value, lo, hi;
} init_range;

mango_status mango_train_check(const mango_train_options *o, mango_train_kind kind, mango_err *err)
{
    const init_range r[] = {
        {"epochs", (double)o->epochs, 1, 100000}, {"batch", (double)o->batch, 1, 4096},
        {"T", (double)o->T, 1, 4096},             {"limit", (double)o->limit, 0, 1e9},
        {"val-limit", (double)o->val_limit, 0, 1e9}, {"lr", o->lr, 0, 1e3},
        {"warmup", o->warmup, 0, 1e5},            {"lr-every", o->lr_every, 1e-3, 1e6},
        {"lr-factor", o->lr_factor, 0, 1},        {"momentum", o->momentum, 0, 0.9999},
        {"beta1", o->beta1, 0, 0.99999},          {"beta2", o->beta2, 0, 0.999999},
        {"eps", o->eps, 1e-30, 1},                {"weight-decay", o->weight_decay, 0, 10},
        {"clip", o->clip, 0, 1e9},                {"smoothing", o->smoothing, 0, 0.99},
        {"ema", o->ema, 0, 0.999999},             {"crop-pad", (double)o->crop_pad, 0, 64},
        {"cutout", (double)o->cutout, 0, 256},    {"mixup", o->mixup, 0, 1},
        {"readout-scale", o->readout_scale, 1e-6, 1e6}, {"bn-T", (double)o->bn_T, 0, 4096},
        {"commitment", o->commitment, 0, 100},    {"decay", o->decay, 0, 0.99999},
        {"revive", o->revive, 0, 1},              {"n-dis", (double)o->n_dis, 1, 100},
        {"reference", (double)o->reference, 0, 100000}, {"memory", (double)o->memory, 0, 1e15},
    };
    for (mango_idx k = 0; k < MGI_COUNT(r); k++)
        if (!(r[k].value >= r[k].lo && r[k].value <= r[k].hi))
            return mgi_fail(err, MANGO_E_ARG, "option %s: %g; expected %g to %g", r[k].name,
                            r[k].value, r[k].lo, r[k].hi);
    if (kind != MANGO_TRAIN_NET && o->mixup > 0)
        return mgi_fail(err, MANGO_E_ARG, "option mixup is for classifiers only");
    return MANGO_OK;
}

static void init_put(mgi_str *s, const char *name, double v)
{
    mgi_str_printf(s, "%s=", name);
    mgi_str_float(s, v);
    mgi_str_puts(s, "\n");
}

/* Everything that the result depends on; not memory. */
void mgi_train_text(const mango_train_options *o, mgi_str *s)
{
    const init_range r[] = {
        {"epochs", (double)o->epochs, 0, 0}, {"batch", (double)o->batch, 0, 0},
        {"T", (double)o->T, 0, 0},           {"limit", (double)o->limit, 0, 0},
        {"val-limit", (double)o->val_limit, 0, 0},
        {"optimizer", (double)o->optimizer, 0, 0}, {"schedule", (double)o->schedule, 0, 0},
        {"lr", o->lr, 0, 0},                 {"warmup", o->warmup, 0, 0},
        {"lr-every", o->lr_every, 0, 0},     {"lr-factor", o->lr_factor, 0, 0},
        {"momentum", o->momentum, 0, 0},     {"nesterov", (double)o->nesterov, 0, 0},
        {"beta1", o->beta1, 0, 0},           {"beta2", o->beta2, 0, 0},
        {"eps", o->eps, 0, 0},               {"weight-decay", o->weight_decay, 0, 0},
        {"clip", o->clip, 0, 0},             {"smoothing", o->smoothing, 0, 0},
        {"ema", o->ema, 0, 0},               {"crop-pad", (double)o->crop_pad, 0, 0},
        {"flip", (double)o->flip, 0, 0},     {"cutout", (double)o->cutout, 0, 0},
        {"mixup", o->mixup, 0, 0},           {"readout-scale", o->readout_scale, 0, 0},
        {"bn-T", (double)o->bn_T, 0, 0},     {"commitment", o->commitment, 0, 0},
        {"decay", o->decay, 0, 0},           {"revive", o->revive, 0, 0},
        {"n-dis", (double)o->n_dis, 0, 0},
    };
    mgi_str_printf(s, "seed=%llu\nreadout=%s\n", (unsigned long long)o->seed, o->readout);
    for (mango_idx k = 0; k < MGI_COUNT(r); k++)
        init_put(s, r[k].name, r[k].value);
}
/* ---- end train/init.c --------------------------------------------------------------- */

/* ---- begin train/optim.c ------------------------------------------------------------ */
/* optim.c - SGD with momentum, Adam, AdamW; schedules; averaged weights.
 *
 * SGD (as PyTorch): g += wd w;  m = mu m + g;  w -= lr (nesterov ? g + mu m : m)
 * Adam (Kingma and Ba 2015): m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
 *     w -= lr (m / (1-b1^k)) / (sqrt(v / (1-b2^k)) + eps)
 * AdamW (Loshchilov and Hutter 2019): w -= lr wd w, apart from the gradient.
 */
#include <math.h>

#define OPTIM_BLOCK 4096

double mgi_norm2(mango_idx n, const float *x)
{
    double total = 0, part[64];
    for (mango_idx at = 0; at < n; at += 64 * (mango_idx)OPTIM_BLOCK) {
        const mango_idx left = n - at, blocks = MGI_MIN(64, (left + OPTIM_BLOCK - 1) / OPTIM_BLOCK);
        MGI_OMP(parallel for if (left >= MGI_GRAIN))
        for (mango_idx k = 0; k < blocks; k++) {
            const float *p = x + at + k * OPTIM_BLOCK;
            const mango_idx m = MGI_MIN(OPTIM_BLOCK, left - k * OPTIM_BLOCK);
            double s = 0;
            for (mango_idx i = 0; i < m; i++)
                s += (double)p[i] * (double)p[i];
            part[k] = s;
        }
        for (mango_idx k = 0; k < blocks; k++)
            total += part[k];
    }
    return sqrt(total);
}

mango_status mgi_optim_new(mgi_optim *p, const mango_net *net, const mango_train_options *o)
{
    memset(p, 0, sizeof *p);
    p->al = net->al;
    p->net = net;
    MGI_TRY(mgi_grads_new(&p->g, net));
    p->m = mgi_new(&p->al, p->g.n, sizeof(float));
    p->v = o->optimizer == MANGO_SGD ? NULL : mgi_new(&p->al, p->g.n, sizeof(float));
    p->skip = mgi_new(&p->al, MGI_MAX(net->n_params, 1), 1);
    if (!p->m || !p->skip || (o->optimizer != MANGO_SGD && !p->v)) {
        mgi_optim_free(p);
        return MANGO_E_MEM;
    }
    for (int i = 0; i < net->n_nodes; i++)
        if (net->node[i].kind == MGI_VQ)
            p->skip[net->node[i].weight] = 1;
    return MANGO_OK;
}

void mgi_optim_free(mgi_optim *p)
{
    if (!p->al.fn)
        return;
    mgi_del(&p->al, p->m, p->g.n, sizeof(float));
    if (p->v)
        mgi_del(&p->al, p->v, p->g.n, sizeof(float));
    mgi_del(&p->al, p->skip, MGI_MAX(p->net->n_params, 1), 1);
    mgi_grads_free(&p->g);
    memset(p, 0, sizeof *p);
}

typedef struct optim_rule {
    float clip, lr, wd, mu, b1, b2, eps, c1, c2;
    int nesterov, decoupled;
} optim_rule;

static void optim_sgd(const optim_rule *r, mango_idx n, const float *g, float *m, float *w)
{
    for (mango_idx i = 0; i < n; i++) {
        const float d = g[i] * r->clip + r->wd * w[i];
        m[i] = r->mu * m[i] + d;
        w[i] -= r->lr * (r->nesterov ? d + r->mu * m[i] : m[i]);
    }
}

static void optim_adam(const optim_rule *r, mango_idx n, const float *g, float *m, float *v,
                       float *w)
{
    for (mango_idx i = 0; i < n; i++) {
        const float d = g[i] * r->clip + (r->decoupled ? 0.0f : r->wd * w[i]);
        m[i] = r->b1 * m[i] + (1.0f - r->b1) * d;
        v[i] = r->b2 * v[i] + (1.0f - r->b2) * d * d;
        if (r->decoupled)
            w[i] -= r->lr * r->wd * w[i];
        w[i] -= r->lr * (m[i] * r->c1) / (sqrtf(v[i] * r->c2) + r->eps);
    }
}

static void optim_param(const mgi_optim *p, const mango_train_options *o, int i, optim_rule r)
{
    const mgi_param *q = &p->net->param[i];
    float *g = p->g.of[i], *m = p->m + (g - p->g.flat), *v = p->v ? p->v + (g - p->g.flat) : NULL;
    const mango_idx blocks = (q->count + OPTIM_BLOCK - 1) / OPTIM_BLOCK;
    r.wd = q->rank > 1 ? (float)o->weight_decay : 0.0f;
    MGI_OMP(parallel for if (q->count >= MGI_GRAIN))
    for (mango_idx k = 0; k < blocks; k++) {
        const mango_idx at = k * OPTIM_BLOCK, n = MGI_MIN(OPTIM_BLOCK, q->count - at);
        if (o->optimizer == MANGO_SGD)
            optim_sgd(&r, n, g + at, m + at, q->v + at);
        else
            optim_adam(&r, n, g + at, m + at, v + at, q->v + at);
    }
}

mango_status mgi_optim_step(mgi_optim *p, const mango_train_options *o, double lr)
{
    optim_rule r;
    memset(&r, 0, sizeof r);
    p->norm = mgi_norm2(p->g.n, p->g.flat);
    if (!(p->norm - p->norm == 0))
        return MANGO_E_NONFINITE;
    p->updates++;
    r.clip = o->clip > 0 && p->norm > o->clip ? (float)(o->clip / p->norm) : 1.0f;
    r.lr = (float)lr;
    r.mu = (float)o->momentum;
    r.nesterov = o->nesterov;
    r.b1 = (float)o->beta1;
    r.b2 = (float)o->beta2;
    r.eps = (float)o->eps;
    r.decoupled = o->optimizer == MANGO_ADAMW;
    r.c1 = o->beta1 > 0 ? (float)(1 / (1 - mgi_pow(o->beta1, (double)p->updates))) : 1.0f;
    r.c2 = o->beta2 > 0 ? (float)(1 / (1 - mgi_pow(o->beta2, (double)p->updates))) : 1.0f;
    for (int i = 0; i < p->net->n_params; i++)
        if (p->g.of[i] && !p->skip[i])
            optim_param(p, o, i, r);
    return MANGO_OK;
}

double mgi_optim_lr(const mango_train_options *o, mango_idx k, mango_idx per, mango_idx n)
{
    const double warm = o->warmup * (double)per, x = (double)k;
    if (x < warm)
        return o->lr * (x + 1) / (warm + 1);
    const double part = (double)n > warm ? (x - warm) / ((double)n - warm) : 0;
    switch (o->schedule) {
    case MANGO_LR_COSINE: return o->lr * 0.5 * (1 + mgi_cos2pi(0.5 * part));
    case MANGO_LR_LINEAR: return o->lr * (1 - part);
    case MANGO_LR_STEP: {
        double lr = o->lr;
        for (double e = o->lr_every; e <= x / (double)per; e += o->lr_every)
            lr *= o->lr_factor;
        return lr;
    }
    default: return o->lr;
    }
}

/* ---- averaged weights ---------------------------------------------------- */

mango_status mgi_average_new(mgi_average *a, const mango_net *net)
{
    memset(a, 0, sizeof *a);
    a->al = net->al;
    a->n_params = MGI_MAX(net->n_params, 1);
    for (int p = 0; p < net->n_params; p++)
        a->n += net->param[p].count;
    a->flat = mgi_new(&a->al, a->n, sizeof(float));
    a->of = mgi_new(&a->al, a->n_params, sizeof *a->of);
    if (!a->flat || !a->of) {
        mgi_average_free(a);
        return MANGO_E_MEM;
    }
    mango_idx at = 0;
    for (int p = 0; p < net->n_params; p++) {
        a->of[p] = a->flat + at;
        memcpy(a->of[p], net->param[p].v, (size_t)net->param[p].count * sizeof(float));
        at += net->param[p].count;
    }
    return MANGO_OK;
}

void mgi_average_free(mgi_average *a)
{
    if (!a->al.fn)
        return;
    mgi_del(&a->al, a->flat, a->n, sizeof(float));
    mgi_del(&a->al, a->of, a->n_params, sizeof *a->of);
    memset(a, 0, sizeof *a);
}

void mgi_average_step(mgi_average *a, const mango_net *net, double decay, mango_idx k)
{
    const double young = (1 + (double)k) / (10 + (double)k);
    const float c = (float)(1 - MGI_MIN(decay, young));
    for (int p = 0; p < net->n_params; p++) {
        const float *w = net->param[p].v;
        float *e = a->of[p];
        const mango_idx n = net->param[p].count;
        MGI_OMP(parallel for if (n >= MGI_GRAIN))
        for (mango_idx i = 0; i < n; i++)
            e[i] += c * (w[i] - e[i]);
    }
}
#undef OPTIM_BLOCK
/* ---- end train/optim.c -------------------------------------------------------------- */

/* ---- begin train/losses.c ----------------------------------------------------------- */
/* losses.c - cross-entropy on the mean over time, squared error, hinge.
 */

/* p = softmax(z) in place; returns log of the sum, the shift included. */
static double loss_softmax(mango_idx C, double *z)
{
    double top = z[0], sum = 0;
    for (mango_idx c = 1; c < C; c++)
        top = z[c] > top ? z[c] : top;
    for (mango_idx c = 0; c < C; c++) {
        z[c] = mgi_exp(z[c] - top);
        sum += z[c];
    }
    for (mango_idx c = 0; c < C; c++)
        z[c] /= sum;
    return top + mgi_log(sum);
}

static double loss_target(const mgi_labels *l, mango_idx r, mango_idx c, mango_idx C)
{
    double q = l->smoothing / (double)C;
    if (c == l->a[r])
        q += (1 - l->smoothing) * (l->b ? l->lam : 1);
    if (l->b && c == l->b[r])
        q += (1 - l->smoothing) * (1 - l->lam);
    return q;
}

double mgi_loss_classes(mango_idx T, mango_idx R, mango_idx C, double scale, const float *v,
                        const mgi_labels *l, float *dv, mango_idx *hits, double *work)
{
    double loss = 0, *z = work, *q = work + C;
    for (mango_idx r = 0; r < R; r++) {
        double cross = 0;
        mango_idx top = 0;
        for (mango_idx c = 0; c < C; c++) {
            double s = 0;
            for (mango_idx k = 0; k < T; k++)
                s += (double)v[(k * R + r) * C + c];
            z[c] = scale * s / (double)T;
            q[c] = loss_target(l, r, c, C);
            cross += q[c] * z[c];
            top = z[c] > z[top] ? c : top;
        }
        *hits += top == l->a[r];
        loss += loss_softmax(C, z) - cross;
        for (mango_idx c = 0; dv && c < C; c++) {
            const float d = (float)((z[c] - q[c]) * scale / ((double)T * (double)R));
            for (mango_idx k = 0; k < T; k++)
                dv[(k * R + r) * C + c] = d;
        }
    }
    return loss / (double)R;
}

double mgi_loss_mse(mango_idx R, mango_idx C, const float *y, const float *x, double c, float *dy,
                    double *per)
{
    const float a = (float)c;
    double sum = 0;
    for (mango_idx k = 0; k < C; k++)
        per[k] = 0;
    for (mango_idx r = 0; r < R; r++)
        for (mango_idx k = 0; k < C; k++) {
            const float d = y[r * C + k] - x[r * C + k];
            per[k] += (double)d * (double)d;
            if (dy)
                dy[r * C + k] = a * d;
        }
    for (mango_idx k = 0; k < C; k++) {
        sum += per[k];
        per[k] /= (double)R;
    }
    return sum / ((double)R * (double)C);
}

double mgi_loss_hinge(mango_idx n, const float *d, int real, float *dd)
{
    const float sign = real ? -1.0f : 1.0f;
    double sum = 0;
    for (mango_idx i = 0; i < n; i++) {
        const float v = 1.0f + sign * d[i];
        sum += v > 0.0f || v != v ? (double)v : 0.0;
        dd[i] = v > 0.0f ? sign / (float)n : 0.0f;
    }
    return sum / (double)n;
}
/* ---- end train/losses.c ------------------------------------------------------------- */

/* ---- begin train/augment.c ---------------------------------------------------------- */
/* augment.c - batches of pictures: order of axes, normalization, random changes.
 */

#define AUG_MAX (256 * 256 * 3) /* bytes of a picture decoded on the stack */

typedef struct aug_change {
    mango_idx dy, dx;         /* shift of the crop, -pad..pad */
    int flip;
    mango_idx cy, cx, side;   /* cutout: centre and side      */
} aug_change;

static aug_change aug_draw(const mango_train_options *o, mango_idx epoch, mango_idx i, mango_idx H,
                           mango_idx W)
{
    mango_rng r;
    aug_change a;
    memset(&a, 0, sizeof a);
    mango_rng_init(&r, o->seed, MGI_RNG_AUGMENT, (uint64_t)epoch << 32 | (uint64_t)i);
    if (o->crop_pad > 0) {
        a.dy = mango_rng_int(&r, 2 * o->crop_pad + 1) - o->crop_pad;
        a.dx = mango_rng_int(&r, 2 * o->crop_pad + 1) - o->crop_pad;
    }
    a.flip = o->flip && mango_rng_int(&r, 2);
    a.side = o->cutout;
    if (a.side > 0) {
        a.cy = mango_rng_int(&r, H);
        a.cx = mango_rng_int(&r, W);
    }
    return a;
}

/* px (C,H,W) bytes -> x (H,W,C). What lies outside the picture is black, as a
 * zero pixel before normalization; a cutout is zero after it. */
static void aug_place(const mgi_batch *B, const aug_change *a, const unsigned char *px,
                      const float table[3][256], float *x)
{
    const mango_idx H = B->H, W = B->W, C = B->C, half = a->side / 2;
    for (mango_idx h = 0; h < H; h++)
        for (mango_idx w = 0; w < W; w++, x += C) {
            const mango_idx sy = h + a->dy, sx = (a->flip ? W - 1 - w : w) + a->dx;
            const int in = sy >= 0 && sy < H && sx >= 0 && sx < W;
            const int cut = a->side > 0 && h >= a->cy - half && h < a->cy - half + a->side &&
                            w >= a->cx - half && w < a->cx - half + a->side;
            for (mango_idx c = 0; c < C; c++)
                x[c] = cut ? 0.0f : table[c % 3][in ? px[(c * H + sy) * W + sx] : 0];
        }
}

mango_status mgi_batch_fill(mgi_batch *B, const mango_data *data, const mango_idx *index,
                            const mango_train_options *o, int random, mango_idx epoch,
                            const float *scale, const float *shift)
{
    const mango_idx e = B->C * B->H * B->W;
    float table[3][256];
    int bad = 0;
    MGI_REQUIRE(e <= AUG_MAX || mango_data_pixels(data));
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = (float)v / 255.0f * scale[c] + shift[c];
    MGI_OMP(parallel for reduction(+ : bad))
    for (mango_idx k = 0; k < B->b; k++) {
        unsigned char own[AUG_MAX];
        const unsigned char *px = mango_data_pixels(data);
        aug_change a;
        memset(&a, 0, sizeof a);
        if (random)
            a = aug_draw(o, epoch, index[k], B->H, B->W);
        bad += mango_data_get(data, index[k], px ? NULL : own, &B->label[k], NULL) < 0;
        aug_place(B, &a, px ? px + index[k] * e : own, (const float(*)[256])table, B->x + k * e);
    }
    B->lam = 1;
    return bad ? MANGO_E_IO : MANGO_OK;
}

/* Beta(a,a) for a in (0,1], Joehnk's method. */
static double aug_beta(mango_rng *r, double a)
{
    for (;;) {
        const double u = mango_rng_uniform(r), v = mango_rng_uniform(r);
        if (u <= 0 || v <= 0)
            continue;
        const double x = mgi_pow(u, 1 / a), y = mgi_pow(v, 1 / a);
        if (x + y > 0 && x + y <= 1)
            return x / (x + y);
    }
}

void mgi_batch_mixup(mgi_batch *B, const mango_train_options *o, mango_idx update, float *tmp)
{
    mango_rng r;
    const mango_idx e = B->C * B->H * B->W, b = B->b;
    mango_rng_init(&r, o->seed, MGI_RNG_MIXUP, (uint64_t)update);
    B->lam = aug_beta(&r, o->mixup);
    const float lam = (float)B->lam;
    memcpy(tmp, B->x, (size_t)e * sizeof(float)); /* the first, for the last */
    for (mango_idx k = 0; k < b; k++) {
        const float *next = k + 1 < b ? B->x + (k + 1) * e : tmp;
        float *x = B->x + k * e;
        B->label2[k] = B->label[(k + 1) % b];
        for (mango_idx i = 0; i < e; i++)
            x[i] = lam * x[i] + (1.0f - lam) * next[i];
    }
}
#undef AUG_MAX
/* ---- end train/augment.c ------------------------------------------------------------ */

/* ---- begin train/trainer.c ---------------------------------------------------------- */
/* trainer.c - what all trainers share: set-up, the order of pictures, epochs.
 */
#include <math.h>

mango_idx mgi_trainer_memory(const mango_trainer *t)
{
    return t->o.memory > 0 ? t->o.memory
                           : (mango_idx)MGI_MIN((uint64_t)PTRDIFF_MAX, (uint64_t)4 << 30);
}

double mgi_trainer_lr(const mango_trainer *t)
{
    return mgi_optim_lr(&t->o, t->update, t->steps, t->steps * t->o.epochs);
}

void mgi_trainer_bind(const mango_trainer *t, mgi_tape *tape)
{
    for (int p = 0; p < t->net->n_params; p++)
        tape->w[p] = t->o.ema > 0 ? t->avg.of[p] : t->net->param[p].v;
}

/* ---- set-up --------------------------------------------------------------- */

static mango_status trainer_fits(const mango_net *net, const mango_data_info *d, const char *what,
                                 int node, mango_err *err)
{
    const mgi_node *n = &net->node[node];
    if (d->C != n->C || d->H != n->H || d->W != n->W)
        return mgi_fail(err, MANGO_E_SHAPE,
                        "%s: pictures are %ldx%ldx%ld, layer %s of %s is %ldx%ldx%ld", what,
                        (long)d->C, (long)d->H, (long)d->W, n->name, net->arch, (long)n->C,
                        (long)n->H, (long)n->W);
    return MANGO_OK;
}

static mango_status trainer_labels(const mango_trainer *t, const mango_data *data,
                                   const mango_data_info *d, mango_err *err)
{
    const mgi_node *out = &t->net->node[t->net->output];
    const int *label = mango_data_labels(data);
    if (d->classes <= 0)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: has no labels to train on", d->name);
    if (d->classes > out->C * out->H * out->W)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: %ld classes, but %s has %ld outputs", d->name,
                        (long)d->classes, t->net->arch, (long)(out->C * out->H * out->W));
    for (mango_idx i = 0; label && i < d->count; i++)
        if (label[i] < 0 || label[i] >= d->classes)
            return mgi_fail(err, MANGO_E_SHAPE, "%s: label %d of picture %ld; expected 0..%ld",
                            d->name, label[i], (long)i, (long)d->classes - 1);
    return MANGO_OK;
}

static mango_status trainer_data(mango_trainer *t, mango_err *err)
{
    const mango_net *net = t->net;
    const int node = t->kind == MANGO_TRAIN_SNGAN ? net->output : net->input;
    mango_data_describe(t->data, &t->info);
    MGI_TRY(trainer_fits(net, &t->info, t->info.name, node, err));
    if (t->kind == MANGO_TRAIN_NET)
        MGI_TRY(trainer_labels(t, t->data, &t->info, err));
    if (t->val) {
        mango_data_describe(t->val, &t->val_info);
        MGI_TRY(trainer_fits(net, &t->val_info, t->val_info.name, node, err));
        if (t->kind == MANGO_TRAIN_NET)
            MGI_TRY(trainer_labels(t, t->val, &t->val_info, err));
    }
    for (int c = 0; c < 3; c++) {
        const float sd = net->std[c] != 0.0f ? net->std[c] : 1.0f;
        const float gain = net->out_scale != 0.0f ? net->out_scale : 1.0f;
        t->scale[c] = 1.0f / (t->kind == MANGO_TRAIN_SNGAN ? gain : sd);
        t->shift[c] = -(t->kind == MANGO_TRAIN_SNGAN ? net->out_shift : net->mean[c]) * t->scale[c];
    }
    const mango_idx n = t->o.limit > 0 ? MGI_MIN(t->o.limit, t->info.count) : t->info.count;
    t->steps = n / t->o.batch;
    if (t->steps < 1)
        return mgi_fail(err, MANGO_E_ARG, "batch %ld is larger than the %ld pictures of an epoch",
                        (long)t->o.batch, (long)n);
    return MANGO_OK;
}

static mango_status trainer_buffers(mango_trainer *t)
{
    const mgi_node *n = &t->net->node[t->kind == MANGO_TRAIN_SNGAN ? t->net->output : t->net->input];
    const mango_idx e = n->C * n->H * n->W;
    t->batch.C = n->C;
    t->batch.H = n->H;
    t->batch.W = n->W;
    t->batch.x = mgi_new(&t->al, t->o.batch * e, sizeof(float));
    t->batch.label = mgi_new(&t->al, t->o.batch, sizeof(int));
    t->batch.label2 = mgi_new(&t->al, t->o.batch, sizeof(int));
    t->order = mgi_new(&t->al, t->info.count, sizeof *t->order);
    t->row = mgi_new(&t->al, t->o.epochs, sizeof *t->row);
    t->n_work = 2 * MGI_MAX(t->info.classes, 1);
    for (int i = 0; i < t->net->n_nodes; i++)
        t->n_work = MGI_MAX(t->n_work, 2 * t->net->node[i].C * t->net->node[i].H *
                                           (t->net->node[i].H == 1 ? 1 : 0));
    t->work = mgi_new(&t->al, t->n_work, sizeof *t->work);
    return t->batch.x && t->batch.label && t->batch.label2 && t->order && t->row && t->work
               ? MANGO_OK
               : MANGO_E_MEM;
}

static mango_status trainer_prepare(mango_trainer *t, mango_err *err)
{
    MGI_TRY(trainer_data(t, err));
    MGI_TRY(trainer_buffers(t));
    MGI_TRY(mgi_optim_new(&t->opt, t->net, &t->o));
    if (t->o.ema > 0)
        MGI_TRY(mgi_average_new(&t->avg, t->net));
    if (t->kind == MANGO_TRAIN_NET)
        return mgi_classifier_prepare(t, err);
    if (t->kind == MANGO_TRAIN_VQVAE)
        return mgi_vqvae_prepare(t, err);
    return mgi_sngan_prepare(t, err);
}

mango_status mango_trainer_create(mango_trainer **out, mango_train_kind kind, mango_net *net,
                                  mango_net *dsc, const mango_data *data, const mango_data *val,
                                  const mango_train_options *o, const mango_alloc *al,
                                  mango_err *err)
{
    MGI_REQUIRE(out && net && data && o && (kind == MANGO_TRAIN_SNGAN) == (dsc != NULL));
    *out = NULL;
    MGI_TRY(mango_train_check(o, kind, err));
    for (int p = 0; p < net->n_params; p++)
        if (!net->param[p].v)
            return mgi_fail(err, MANGO_E_STATE, "parameter %s has no values yet",
                            net->param[p].name);
    const mango_alloc a = mgi_alloc_get(al);
    mango_trainer *t = mgi_new(&a, 1, sizeof *t);
    if (!t)
        return mgi_fail(err, MANGO_E_MEM, "no memory for a trainer");
    t->al = a;
    t->kind = kind;
    t->o = *o;
    t->net = net;
    t->dsc = dsc;
    t->data = data;
    t->val = val;
    t->best = NAN;
    t->vq = t->vq_in = -1;
    mango_err own;
    own.text[0] = 0;
    const mango_status st = trainer_prepare(t, &own);
    if (st < 0) {
        mgi_fail(err, st, "%s", own.text[0] ? own.text : "no memory for a trainer");
        mango_trainer_destroy(t);
        return st;
    }
    *out = t;
    return MANGO_OK;
}

static void trainer_free_vq(mango_trainer *t)
{
    if (t->vq < 0)
        return;
    const mgi_node *n = &t->net->node[t->vq];
    mgi_del(&t->al, t->used, n->codes, sizeof *t->used);
    mgi_del(&t->al, t->ema_n, n->codes, sizeof(float));
    mgi_del(&t->al, t->ema_w, n->codes * n->C, sizeof(float));
}

void mango_trainer_destroy(mango_trainer *t)
{
    if (!t)
        return;
    const mango_alloc a = t->al;
    const mango_idx e = t->batch.C * t->batch.H * t->batch.W;
    mgi_tape_free(t->tape);
    mgi_tape_free(t->eval);
    mgi_tape_free(t->tape_d);
    mgi_tape_free(t->tape_g);
    mgi_optim_free(&t->opt);
    mgi_optim_free(&t->opt_d);
    mgi_average_free(&t->avg);
    mgi_spectral_free(&t->sn);
    trainer_free_vq(t);
    mgi_del(&a, t->batch.x, t->o.batch * e, sizeof(float));
    mgi_del(&a, t->batch.label, t->o.batch, sizeof(int));
    mgi_del(&a, t->batch.label2, t->o.batch, sizeof(int));
    mgi_del(&a, t->order, t->info.count, sizeof *t->order);
    mgi_del(&a, t->row, t->o.epochs, sizeof *t->row);
    mgi_del(&a, t->work, t->n_work, sizeof *t->work);
    mgi_del(&a, t->tmp, t->n_tmp, sizeof(float));
    mgi_del(&a, t, 1, sizeof *t);
}

/* ---- batches --------------------------------------------------------------- */

static void trainer_order(mango_trainer *t)
{
    mango_rng r;
    if (t->ordered)
        return;
    mango_rng_init(&r, t->o.seed, MGI_RNG_ORDER, (uint64_t)t->epoch);
    mango_rng_perm(&r, t->info.count, t->order);
    t->ordered = 1;
}

mango_status mgi_trainer_batch(mango_trainer *t, mango_idx b, mango_err *err)
{
    trainer_order(t);
    t->batch.b = b;
    if (mgi_batch_fill(&t->batch, t->data, t->order + t->step * t->o.batch, &t->o, 1, t->epoch,
                       t->scale, t->shift) < 0)
        return mgi_fail(err, MANGO_E_IO, "%s: a picture cannot be read", t->info.name);
    return MANGO_OK;
}

mango_status mgi_trainer_val(mango_trainer *t, mango_idx at, mango_idx b, mango_err *err)
{
    const mango_data *data = t->val ? t->val : t->data;
    mango_idx index[64];
    mgi_batch part = t->batch;
    const mango_idx e = part.C * part.H * part.W;
    for (mango_idx k = 0; k < b; k += 64) {
        part.b = MGI_MIN(64, b - k);
        part.x = t->batch.x + k * e;
        part.label = t->batch.label + k;
        for (mango_idx i = 0; i < part.b; i++)
            index[i] = at + k + i;
        if (mgi_batch_fill(&part, data, index, &t->o, 0, 0, t->scale, t->shift) < 0)
            return mgi_fail(err, MANGO_E_IO, "%s: a picture cannot be read", t->val_info.name);
    }
    t->batch.b = b;
    t->batch.lam = 1;
    return MANGO_OK;
}

/* ---- steps and epochs ------------------------------------------------------ */

/* The parameter nearest the output whose gradient is not finite; NULL: none. */
static const char *trainer_bad_gradient(const mgi_tape *tape)
{
    for (int p = tape->net->n_params - 1; p >= 0; p--) {
        const float *g = tape->dw[p];
        for (mango_idx i = 0; g && i < tape->net->param[p].count; i++)
            if (!(g[i] - g[i] == 0.0f))
                return tape->net->param[p].name;
    }
    return NULL;
}

mango_status mgi_trainer_nonfinite(mango_trainer *t, mgi_tape *tape, const float *x,
                                   mango_err *err)
{
    const char *grad = trainer_bad_gradient(tape);
    tape->check = tape->frozen = 1;
    mgi_tape_forward(tape, tape->b, x);
    const int bad = tape->bad;
    tape->check = tape->frozen = 0;
    const char *where = bad >= 0 ? tape->net->node[bad].name : grad ? grad : "the loss";
    return mgi_fail(err, MANGO_E_NONFINITE,
                    "the loss or its gradient is not finite at step %ld of epoch %ld; first at %s%s",
                    (long)t->step + 1, (long)t->epoch + 1,
                    bad >= 0 ? "layer " : grad ? "the gradient of " : "", where);
}

mango_status mango_trainer_step(mango_trainer *t, mango_err *err)
{
    MGI_REQUIRE(t);
    if (t->epoch >= t->o.epochs || t->step >= t->steps)
        return mgi_fail(err, MANGO_E_STATE, "no step left in this epoch");
    const mango_status st = t->kind == MANGO_TRAIN_NET     ? mgi_classifier_update(t, err)
                            : t->kind == MANGO_TRAIN_VQVAE ? mgi_vqvae_update(t, err)
                                                           : mgi_sngan_update(t, err);
    if (st < 0)
        return st;
    if (t->o.ema > 0 && t->kind != MANGO_TRAIN_SNGAN)
        mgi_average_step(&t->avg, t->net, t->o.ema, t->update);
    t->step++;
    t->update++;
    return MANGO_OK;
}

static mango_status trainer_look(mango_trainer *t, mango_train_row *r, mango_err *err)
{
    r->val_loss = r->val_score = NAN;
    if (!t->val)
        return MANGO_OK;
    if (t->kind == MANGO_TRAIN_NET)
        return mgi_classifier_look(t, r, err);
    return t->kind == MANGO_TRAIN_VQVAE ? mgi_vqvae_look(t, r, err) : MANGO_OK;
}

static double trainer_perplexity(const mango_trainer *t)
{
    const mango_idx K = t->net->node[t->vq].codes;
    double n = 0, h = 0;
    for (mango_idx k = 0; k < K; k++)
        n += t->used[k];
    for (mango_idx k = 0; k < K; k++)
        if (t->used[k] > 0)
            h -= t->used[k] / n * mgi_log(t->used[k] / n);
    return mgi_exp(h);
}

static mango_status trainer_close(mango_trainer *t, mango_train_row *r, mango_err *err)
{
    const double n = (double)t->steps;
    r->epoch = t->epoch + 1;
    r->lr = mgi_optim_lr(&t->o, MGI_MAX(t->update - 1, 0), t->steps, t->steps * t->o.epochs);
    r->loss = t->sum[0] / n;
    r->score = t->sum[1] / n;
    r->extra = t->kind == MANGO_TRAIN_VQVAE ? trainer_perplexity(t) : t->sum[2] / n;
    MGI_TRY(trainer_look(t, r, err));
    const double better = t->kind == MANGO_TRAIN_NET ? r->val_score : -r->val_score;
    const double best = t->kind == MANGO_TRAIN_NET ? t->best : -t->best;
    if (better == better && (best != best || better > best)) {
        t->best = r->val_score;
        t->best_epoch = r->epoch;
    }
    t->row[t->epoch] = *r;
    t->epoch++;
    t->step = 0;
    t->ordered = 0;
    memset(t->sum, 0, sizeof t->sum);
    if (t->vq >= 0)
        memset(t->used, 0, (size_t)t->net->node[t->vq].codes * sizeof *t->used);
    return MANGO_OK;
}

mango_status mango_trainer_epoch(mango_trainer *t, mango_train_watch on_step, void *ud,
                                 mango_train_row *row, mango_err *err)
{
    MGI_REQUIRE(t && row);
    if (t->epoch >= t->o.epochs)
        return mgi_fail(err, MANGO_E_STATE, "all %ld epochs are done", (long)t->o.epochs);
    while (t->step < t->steps) {
        MGI_TRY(mango_trainer_step(t, err));
        if (on_step && on_step(ud, t))
            return MANGO_STOP_USER;
    }
    memset(row, 0, sizeof *row);
    return trainer_close(t, row, err);
}

void mango_trainer_state(const mango_trainer *t, mango_train_state *s)
{
    memset(s, 0, sizeof *s);
    s->epoch = t->epoch;
    s->epochs = t->o.epochs;
    s->step = t->step;
    s->steps = t->steps;
    s->loss = t->last;
    s->best = t->best;
    s->best_epoch = t->best_epoch;
    s->tape_bytes = mgi_tape_bytes(t->tape);
    s->segments = t->tape->segments;
}

const mango_train_row *mango_trainer_rows(const mango_trainer *t, mango_idx *n)
{
    *n = t->epoch;
    return t->row;
}

/* ---- at the end -------------------------------------------------------------- */

/* Running statistics at bn_T steps: plain mean over batches, momentum 1/(k+1). */
static mango_status trainer_renorm(mango_trainer *t, mango_err *err)
{
    mgi_tape *tape = NULL;
    mgi_tape_options o;
    mango_status st = MANGO_OK;
    const mango_idx b = MGI_MIN(t->o.batch, 64);
    const mango_idx batches = MGI_MIN(64, t->info.count / b);
    mgi_tape_defaults(&o);
    o.B = b;
    o.T = t->o.bn_T;
    o.train = 2;
    o.memory = mgi_trainer_memory(t);
    MGI_TRY(mgi_tape_new(&tape, t->net, &o, &t->al, err));
    mango_rng r;
    mango_rng_init(&r, t->o.seed, MGI_RNG_ORDER, UINT64_MAX);
    mango_rng_perm(&r, t->info.count, t->order);
    t->ordered = 0;
    for (mango_idx k = 0; k < batches; k++) {
        t->batch.b = b;
        MGI_TRY_TO(mgi_batch_fill(&t->batch, t->data, t->order + k * b, &t->o, 0, 0, t->scale,
                                  t->shift));
        tape->momentum = 1.0 / (double)(k + 1);
        MGI_TRY_TO(mgi_tape_forward(tape, b, t->batch.x));
    }
done:
    mgi_tape_free(tape);
    return st;
}

mango_status mango_trainer_finish(mango_trainer *t, mango_err *err)
{
    MGI_REQUIRE(t);
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++)
        memcpy(t->net->param[p].v, t->avg.of[p], (size_t)t->net->param[p].count * sizeof(float));
    if (t->kind == MANGO_TRAIN_VQVAE && t->o.reference > 0)
        return mgi_vqvae_reference(t, err);
    return t->kind == MANGO_TRAIN_NET && t->o.bn_T > 0 ? trainer_renorm(t, err) : MANGO_OK;
}

mango_status mango_trainer_snapshot(mango_trainer *t, const char *path, const char *dtype,
                                    mango_err *err)
{
    MGI_REQUIRE(t && path && dtype);
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++) {
        float *w = t->net->param[p].v;
        t->net->param[p].v = t->avg.of[p];
        t->avg.of[p] = w;
    }
    const mango_status st = mango_net_save(t->net, path, dtype, err);
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++) {
        float *w = t->net->param[p].v;
        t->net->param[p].v = t->avg.of[p];
        t->avg.of[p] = w;
    }
    return st;
}

mango_status mango_trainer_sample(mango_trainer *t, mango_idx n, float *rgb, float *source)
{
    MGI_REQUIRE(t && n > 0 && n <= t->o.batch && rgb);
    if (t->kind == MANGO_TRAIN_VQVAE)
        return mgi_vqvae_sample(t, n, rgb, source);
    return t->kind == MANGO_TRAIN_SNGAN ? mgi_sngan_sample(t, n, rgb) : MANGO_E_UNSUPPORTED;
}
/* ---- end train/trainer.c ------------------------------------------------------------ */

/* ---- begin train/classifier.c ------------------------------------------------------- */
/* classifier.c - cross-entropy on the mean output over time; spiking networks
 * by backpropagation through time with surrogate gradients (Neftci et al. 2019).
 */

static mango_status classifier_readout(mango_trainer *t, int *node, mango_err *err)
{
    *node = t->net->output;
    if (t->o.readout[0]) {
        *node = mgi_net_find(t->net, t->o.readout);
        if (*node < 0)
            return mgi_fail(err, MANGO_E_NAME, "no layer %s in %s to read the loss from",
                            t->o.readout, t->net->arch);
    }
    const mgi_node *n = &t->net->node[*node];
    if (n->H * n->W != 1 || n->C < t->info.classes)
        return mgi_fail(err, MANGO_E_SHAPE, "layer %s is %ldx%ldx%ld; the loss needs %ld classes",
                        n->name, (long)n->C, (long)n->H, (long)n->W, (long)t->info.classes);
    return MANGO_OK;
}

mango_status mgi_classifier_prepare(mango_trainer *t, mango_err *err)
{
    mgi_tape_options o;
    int node;
    MGI_TRY(classifier_readout(t, &node, err));
    mgi_tape_defaults(&o);
    o.B = t->o.batch;
    o.T = t->o.T;
    o.output = node;
    o.memory = mgi_trainer_memory(t);
    MGI_TRY(mgi_tape_new(&t->tape, t->net, &o, &t->al, err));
    mgi_tape_set_grads(t->tape, &t->opt.g);
    o.train = 0;
    MGI_TRY(mgi_tape_new(&t->eval, t->net, &o, &t->al, err));
    if (t->o.mixup > 0) {
        t->n_tmp = t->batch.C * t->batch.H * t->batch.W;
        if (!(t->tmp = mgi_new(&t->al, t->n_tmp, sizeof(float))))
            return MANGO_E_MEM;
    }
    return MANGO_OK;
}

mango_status mgi_classifier_update(mango_trainer *t, mango_err *err)
{
    const mango_idx b = t->o.batch, C = t->tape->net->node[t->tape->output].C;
    mango_idx rows, hits = 0;
    MGI_TRY(mgi_trainer_batch(t, b, err));
    if (t->o.mixup > 0)
        mgi_batch_mixup(&t->batch, &t->o, t->update, t->tmp);
    const mgi_labels l = {t->batch.label, t->o.mixup > 0 ? t->batch.label2 : NULL, t->batch.lam,
                          t->o.smoothing};
    MGI_TRY(mgi_tape_forward(t->tape, b, t->batch.x));
    const float *v = mgi_tape_value(t->tape, -1, &rows);
    t->last = mgi_loss_classes(rows / b, b, C, t->o.readout_scale, v, &l, mgi_tape_dout(t->tape),
                               &hits, t->work);
    if (!(t->last - t->last == 0))
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    mgi_grads_zero(&t->opt.g);
    mgi_tape_backward(t->tape);
    if (mgi_optim_step(&t->opt, &t->o, mgi_trainer_lr(t)) < 0)
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    t->sum[0] += t->last;
    t->sum[1] += (double)hits / (double)b;
    t->sum[2] += t->opt.norm;
    return MANGO_OK;
}

mango_status mgi_classifier_look(mango_trainer *t, mango_train_row *r, mango_err *err)
{
    const mango_idx all = t->val_info.count;
    const mango_idx n = t->o.val_limit > 0 ? MGI_MIN(t->o.val_limit, all) : all;
    const mango_idx C = t->net->node[t->eval->output].C;
    const mgi_labels l = {t->batch.label, NULL, 1, 0};
    mango_idx hits = 0;
    double loss = 0;
    mgi_trainer_bind(t, t->eval);
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        const mango_idx b = MGI_MIN(t->o.batch, n - at);
        mango_idx rows;
        MGI_TRY(mgi_trainer_val(t, at, b, err));
        MGI_TRY(mgi_tape_forward(t->eval, b, t->batch.x));
        const float *v = mgi_tape_value(t->eval, -1, &rows);
        loss += (double)b * mgi_loss_classes(rows / b, b, C, t->o.readout_scale, v, &l, NULL,
                                             &hits, t->work);
    }
    r->val_loss = loss / (double)n;
    r->val_score = (double)hits / (double)n;
    return MANGO_OK;
}
/* ---- end train/classifier.c --------------------------------------------------------- */

/* ---- begin train/vqvae.c ------------------------------------------------------------ */
/* vqvae.c - VQ-VAE (van den Oord et al. 2017) with the codebook as moving
 * averages of what is assigned to each code (its appendix A.1):
 *     N_k = g N_k + (1-g) n_k,  m_k = g m_k + (1-g) sum z,  e_k = m_k / N_k,
 * and codes that nothing uses set on encoded pictures.
 * loss = |y-x|^2 / variance + commitment |z - e|^2, means over elements.
 */

static mango_status vqvae_find(mango_trainer *t, mango_err *err)
{
    for (int i = 0; i < t->net->n_nodes; i++)
        if (t->net->node[i].kind == MGI_VQ)
            t->vq = i;
    if (t->vq < 0)
        return mgi_fail(err, MANGO_E_SHAPE, "%s has no vq layer to train", t->net->arch);
    const mgi_node *n = &t->net->node[t->vq], *y = &t->net->node[t->net->output];
    t->vq_in = n->in[0];
    t->used = mgi_new(&t->al, n->codes, sizeof *t->used);
    t->ema_n = mgi_new(&t->al, n->codes, sizeof(float));
    t->ema_w = mgi_new(&t->al, n->codes * n->C, sizeof(float));
    if (!t->used || !t->ema_n || !t->ema_w)
        return MANGO_E_MEM;
    if (y->C != t->batch.C || y->H != t->batch.H || y->W != t->batch.W)
        return mgi_fail(err, MANGO_E_SHAPE, "%s does not rebuild pictures of its input's size",
                        t->net->arch);
    return MANGO_OK;
}

/* Variance of the training pictures, in the network's units. */
static mango_status vqvae_variance(mango_trainer *t, mango_err *err)
{
    const mango_idx e = t->batch.C * t->batch.H * t->batch.W;
    const mango_idx n = MGI_MIN(t->info.count, 2000);
    double s = 0, q = 0;
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        const mango_idx b = MGI_MIN(t->o.batch, n - at);
        const mango_data *val = t->val;
        t->val = t->data;
        const mango_status st = mgi_trainer_val(t, at, b, err);
        t->val = val;
        MGI_TRY(st);
        for (mango_idx k = 0; k < b * e; k++) {
            s += (double)t->batch.x[k];
            q += (double)t->batch.x[k] * (double)t->batch.x[k];
        }
    }
    const double count = (double)n * (double)e;
    t->variance = q / count - s / count * (s / count);
    if (!(t->variance > 0))
        return mgi_fail(err, MANGO_E_FORMAT, "%s: all pictures are one colour", t->info.name);
    return MANGO_OK;
}

mango_status mgi_vqvae_prepare(mango_trainer *t, mango_err *err)
{
    mgi_tape_options o;
    MGI_TRY(vqvae_find(t, err));
    MGI_TRY(vqvae_variance(t, err));
    mgi_tape_defaults(&o);
    o.B = t->o.batch;
    o.memory = mgi_trainer_memory(t);
    o.n_keep = 1;
    o.keep[0] = t->vq_in;
    MGI_TRY(mgi_tape_new(&t->tape, t->net, &o, &t->al, err));
    mgi_tape_set_grads(t->tape, &t->opt.g);
    o.train = 0;
    return mgi_tape_new(&t->eval, t->net, &o, &t->al, err);
}

/* Code k becomes row r of z, with the weight of one use. */
static void vqvae_set(mango_trainer *t, mango_idx k, const float *z)
{
    const mgi_node *n = &t->net->node[t->vq];
    const mango_idx C = n->C;
    memcpy(t->ema_w + k * C, z, (size_t)C * sizeof(float));
    memcpy(t->net->param[n->weight].v + k * C, z, (size_t)C * sizeof(float));
    t->ema_n[k] = 1.0f;
}

static void vqvae_codebook(mango_trainer *t, const float *z, mango_idx R)
{
    const mgi_node *n = &t->net->node[t->vq];
    const mango_idx C = n->C, K = n->codes;
    float *E = t->net->param[n->weight].v;
    const float g = (float)t->o.decay, h = 1.0f - g;
    double total = 0;
    mango_rng r;
    for (mango_idx k = 0; k < K; k++)
        t->ema_n[k] *= g;
    for (mango_idx k = 0; k < K * C; k++)
        t->ema_w[k] *= g;
    for (mango_idx i = 0; i < R; i++) {
        const int32_t k = t->tape->codes[i];
        t->used[k] += 1;
        t->ema_n[k] += h;
        for (mango_idx c = 0; c < C; c++)
            t->ema_w[k * C + c] += h * z[i * C + c];
    }
    for (mango_idx k = 0; k < K; k++)
        total += (double)t->ema_n[k];
    mango_rng_init(&r, t->o.seed, MGI_RNG_CODES, (uint64_t)t->update);
    for (mango_idx k = 0; k < K; k++) {
        /* Laplace smoothing, then revival. */
        const double size = ((double)t->ema_n[k] + 1e-5) / (total + (double)K * 1e-5) * total;
        for (mango_idx c = 0; c < C; c++)
            E[k * C + c] = (float)((double)t->ema_w[k * C + c] / size);
        const mango_idx pick = mango_rng_int(&r, R);
        if ((double)t->ema_n[k] < t->o.revive * total / (double)K)
            vqvae_set(t, k, z + pick * C);
    }
}

/* Before the first update the codes are encoded pictures of the first batch. */
static void vqvae_first_codes(mango_trainer *t, const float *z, mango_idx R)
{
    const mgi_node *n = &t->net->node[t->vq];
    mango_rng r;
    mango_rng_init(&r, t->o.seed, MGI_RNG_CODES, UINT64_MAX);
    for (mango_idx k = 0; k < n->codes; k++)
        vqvae_set(t, k, z + mango_rng_int(&r, R) * n->C);
}

mango_status mgi_vqvae_update(mango_trainer *t, mango_err *err)
{
    const mgi_node *vq = &t->net->node[t->vq];
    const mango_idx b = t->o.batch, C = t->batch.C, rows = b * t->batch.H * t->batch.W;
    const mango_idx R = b * vq->H * vq->W;
    double per[3] = {0, 0, 0}, commit, each[1];
    MGI_TRY(mgi_trainer_batch(t, b, err));
    MGI_TRY(mgi_tape_forward(t->tape, b, t->batch.x));
    if (t->update == 0) {
        vqvae_first_codes(t, mgi_tape_value(t->tape, t->vq_in, NULL), R);
        MGI_TRY(mgi_tape_forward(t->tape, b, t->batch.x));
    }
    const float *y = mgi_tape_value(t->tape, -1, NULL);
    const float *z = mgi_tape_value(t->tape, t->vq_in, NULL);
    const double mse = mgi_loss_mse(rows, C, y, t->batch.x,
                                    2 / ((double)(rows * C) * t->variance),
                                    mgi_tape_dout(t->tape), per);
    commit = 0;
    for (mango_idx i = 0; i < R; i++) { /* |z - e|^2 */
        const float *e = t->net->param[vq->weight].v + t->tape->codes[i] * vq->C;
        mgi_loss_mse(vq->C, 1, z + i * vq->C, e, 0, NULL, each);
        commit += each[0] / (double)R;
    }
    t->last = mse / t->variance + t->o.commitment * commit;
    if (!(t->last - t->last == 0))
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    t->tape->commit = 2 * t->o.commitment / (double)(R * vq->C);
    mgi_grads_zero(&t->opt.g);
    mgi_tape_backward(t->tape);
    if (mgi_optim_step(&t->opt, &t->o, mgi_trainer_lr(t)) < 0)
        return mgi_trainer_nonfinite(t, t->tape, t->batch.x, err);
    vqvae_codebook(t, mgi_tape_value(t->tape, t->vq_in, NULL), R);
    t->sum[0] += t->last;
    for (mango_idx c = 0; c < C; c++)
        t->sum[1] += per[c] / (double)C / ((double)t->scale[c % 3] * (double)t->scale[c % 3]);
    return MANGO_OK;
}

mango_status mgi_vqvae_look(mango_trainer *t, mango_train_row *r, mango_err *err)
{
    const mango_idx all = t->val_info.count;
    const mango_idx n = t->o.val_limit > 0 ? MGI_MIN(t->o.val_limit, all) : all;
    const mango_idx C = t->batch.C, hw = t->batch.H * t->batch.W;
    double loss = 0, score = 0;
    mgi_trainer_bind(t, t->eval);
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        const mango_idx b = MGI_MIN(t->o.batch, n - at);
        double per[3] = {0, 0, 0};
        MGI_TRY(mgi_trainer_val(t, at, b, err));
        MGI_TRY(mgi_tape_forward(t->eval, b, t->batch.x));
        loss += (double)b / t->variance *
                mgi_loss_mse(b * hw, C, mgi_tape_value(t->eval, -1, NULL), t->batch.x, 0, NULL, per);
        for (mango_idx c = 0; c < C; c++)
            score += (double)b * per[c] / (double)C /
                     ((double)t->scale[c % 3] * (double)t->scale[c % 3]);
    }
    r->val_loss = loss / (double)n;
    r->val_score = score / (double)n;
    return MANGO_OK;
}

/* ---- reference codes ------------------------------------------------------ */

/* The first pictures of each class, the same number of each, into t->order. */
static mango_idx vqvae_choose(mango_trainer *t)
{
    const int *label = mango_data_labels(t->data);
    const mango_idx classes = label ? MGI_MAX(t->info.classes, 1) : 1;
    const mango_idx each = MGI_MIN(t->o.reference, t->info.count) / classes;
    mango_idx n = 0;
    for (mango_idx c = 0; c < classes; c++)
        for (mango_idx i = 0, k = 0; i < t->info.count && k < each; i++)
            if (!label || label[i] == c) {
                t->order[n++] = i;
                k++;
            }
    t->ordered = 0;
    return n;
}

/* Codes as little-endian 16-bit integers. */
static void vqvae_bytes(mango_idx n, const int32_t *code, unsigned char *raw)
{
    for (mango_idx i = 0; i < n; i++) {
        raw[2 * i] = (unsigned char)(code[i] & 255);
        raw[2 * i + 1] = (unsigned char)(code[i] >> 8 & 255);
    }
}

mango_status mgi_vqvae_reference(mango_trainer *t, mango_err *err)
{
    const mgi_node *vq = &t->net->node[t->vq];
    const mango_idx n = vqvae_choose(t), e = vq->H * vq->W, shape[3] = {n, vq->H, vq->W};
    mango_status st = MANGO_OK;
    if (n == 0 || vq->codes > 32768)
        return MANGO_OK;
    unsigned char *raw = mgi_new(&t->al, n * e, 2);
    if (!raw)
        return MANGO_E_MEM;
    mgi_trainer_bind(t, t->eval);
    for (mango_idx at = 0; at < n; at += t->o.batch) {
        t->batch.b = MGI_MIN(t->o.batch, n - at);
        MGI_TRY_TO(mgi_batch_fill(&t->batch, t->data, t->order + at, &t->o, 0, 0, t->scale,
                                  t->shift));
        MGI_TRY_TO(mgi_tape_forward(t->eval, t->batch.b, t->batch.x));
        vqvae_bytes(t->batch.b * e, t->eval->codes, raw + 2 * at * e);
    }
    st = mgi_net_extra_set(t->net, "reference_codes", MGI_I16, 3, shape, raw);
done:
    mgi_del(&t->al, raw, n * e, 2);
    return st < 0 ? mgi_fail(err, st, "reference codes: %s", mango_status_text(st)) : st;
}

mango_status mgi_vqvae_sample(mango_trainer *t, mango_idx n, float *rgb, float *source)
{
    const mango_idx C = t->batch.C, hw = t->batch.H * t->batch.W;
    MGI_REQUIRE(n <= (t->val ? t->val_info.count : t->info.count));
    MGI_TRY(mgi_trainer_val(t, 0, n, NULL));
    mgi_trainer_bind(t, t->eval);
    MGI_TRY(mgi_tape_forward(t->eval, n, t->batch.x));
    const float *from[2] = {mgi_tape_value(t->eval, -1, NULL), t->batch.x};
    float *to[2] = {rgb, source};
    for (int k = 0; k < 2; k++) {
        if (!to[k])
            continue;
        mgi_to_nchw(n, C, hw, from[k], to[k]);
        for (mango_idx i = 0; i < n * C * hw; i++) {
            const mango_idx c = i / hw % C % 3;
            const float v = (to[k][i] - t->shift[c]) / t->scale[c];
            to[k][i] = v > 0.0f ? v < 1.0f ? v : 1.0f : 0.0f;
        }
    }
    return MANGO_OK;
}
/* ---- end train/vqvae.c -------------------------------------------------------------- */

/* ---- begin train/spectral.c --------------------------------------------------------- */
/* spectral.c - spectral normalization (Miyato et al. 2018, algorithm 1).
 *
 * W as a matrix (O, K):  v = W^T u / |.|,  u = W v / |.|,  sigma = u^T W v,
 * Wbar = W / sigma;  dL/dW = (dL/dWbar - <dL/dWbar, Wbar> u v^T) / sigma.
 */
#include <math.h>

static int spectral_marked(const mgi_node *n)
{
    return n->spectral && n->weight >= 0;
}

mango_status mgi_spectral_new(mgi_spectral *s, const mango_net *net, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->al = net->al;
    s->net = net;
    s->at = mgi_new(&s->al, 3 * (mango_idx)net->n_nodes, sizeof *s->at);
    s->sigma = mgi_new(&s->al, net->n_nodes, sizeof *s->sigma);
    if (!s->at || !s->sigma)
        return MANGO_E_MEM; /* the owner frees */
    s->at_u = s->at + net->n_nodes;
    s->at_v = s->at_u + net->n_nodes;
    for (int i = 0; i < net->n_nodes; i++) {
        const mgi_node *n = &net->node[i];
        s->at[i] = s->n;
        s->at_u[i] = s->nu;
        s->at_v[i] = s->nv;
        if (!spectral_marked(n))
            continue;
        const mgi_param *p = &net->param[n->weight];
        s->n += p->count;
        s->nu += p->shape[0];
        s->nv += p->count / p->shape[0];
    }
    s->wbar = mgi_new(&s->al, s->n, sizeof(float));
    s->u = mgi_new(&s->al, s->nu, sizeof(float));
    s->v = mgi_new(&s->al, s->nv, sizeof(float));
    if (!s->wbar || !s->u || !s->v)
        return MANGO_E_MEM;
    mango_rng r;
    mango_rng_init(&r, seed, MGI_RNG_INIT, UINT64_MAX);
    for (mango_idx k = 0; k < s->nu; k++)
        s->u[k] = (float)mango_rng_normal(&r);
    return MANGO_OK;
}

void mgi_spectral_free(mgi_spectral *s)
{
    if (!s->al.fn)
        return;
    mgi_del(&s->al, s->at, 3 * (mango_idx)s->net->n_nodes, sizeof *s->at);
    mgi_del(&s->al, s->sigma, s->net->n_nodes, sizeof *s->sigma);
    mgi_del(&s->al, s->wbar, s->n, sizeof(float));
    mgi_del(&s->al, s->u, s->nu, sizeof(float));
    mgi_del(&s->al, s->v, s->nv, sizeof(float));
    memset(s, 0, sizeof *s);
}

static void spectral_unit(mango_idx n, float *x)
{
    double s = 0;
    for (mango_idx i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    const double r = 1 / (sqrt(s) + 1e-12);
    for (mango_idx i = 0; i < n; i++)
        x[i] = (float)((double)x[i] * r);
}

/* y = W x and y = W^T x, sums in double, indices ascending. */
static void spectral_apply(mango_idx O, mango_idx K, const float *W, const float *x, float *y)
{
    MGI_OMP(parallel for if (O * K >= MGI_GRAIN))
    for (mango_idx o = 0; o < O; o++) {
        double s = 0;
        for (mango_idx k = 0; k < K; k++)
            s += (double)W[o * K + k] * (double)x[k];
        y[o] = (float)s;
    }
}

static void spectral_apply_t(mango_idx O, mango_idx K, const float *W, const float *x, float *y)
{
    enum { BLOCK = 64 };
    MGI_OMP(parallel for if (O * K >= MGI_GRAIN))
    for (mango_idx at = 0; at < K; at += BLOCK) {
        double s[BLOCK] = {0};
        const mango_idx n = MGI_MIN(BLOCK, K - at);
        for (mango_idx o = 0; o < O; o++)
            for (mango_idx k = 0; k < n; k++)
                s[k] += (double)W[o * K + at + k] * (double)x[o];
        for (mango_idx k = 0; k < n; k++)
            y[at + k] = (float)s[k];
    }
}

void mgi_spectral_update(mgi_spectral *s, int iterations)
{
    for (int i = 0; i < s->net->n_nodes; i++) {
        const mgi_node *n = &s->net->node[i];
        if (!spectral_marked(n))
            continue;
        const mgi_param *p = &s->net->param[n->weight];
        const mango_idx O = p->shape[0], K = p->count / O;
        float *u = s->u + s->at_u[i], *v = s->v + s->at_v[i], *wbar = s->wbar + s->at[i];
        for (int k = 0; k < iterations; k++) {
            spectral_apply_t(O, K, p->v, u, v);
            spectral_unit(K, v);
            spectral_apply(O, K, p->v, v, u);
            spectral_unit(O, u);
        }
        double sigma = 0;
        for (mango_idx o = 0; o < O; o++) {
            double dot = 0;
            for (mango_idx k = 0; k < K; k++)
                dot += (double)p->v[o * K + k] * (double)v[k];
            sigma += dot * (double)u[o];
        }
        s->sigma[i] = sigma;
        const float scale = (float)(1 / (sigma != 0 ? sigma : 1e-12));
        for (mango_idx k = 0; k < p->count; k++)
            wbar[k] = p->v[k] * scale;
    }
}

void mgi_spectral_bind(const mgi_spectral *s, mgi_tape *t)
{
    for (int i = 0; i < s->net->n_nodes; i++)
        if (spectral_marked(&s->net->node[i]))
            t->w[s->net->node[i].weight] = s->wbar + s->at[i];
}

void mgi_spectral_backward(const mgi_spectral *s, mgi_grads *g)
{
    for (int i = 0; i < s->net->n_nodes; i++) {
        const mgi_node *n = &s->net->node[i];
        if (!spectral_marked(n))
            continue;
        const mgi_param *p = &s->net->param[n->weight];
        const mango_idx O = p->shape[0], K = p->count / O;
        const float *u = s->u + s->at_u[i], *v = s->v + s->at_v[i], *wbar = s->wbar + s->at[i];
        float *dw = g->of[n->weight];
        double dot = 0;
        for (mango_idx k = 0; k < p->count; k++)
            dot += (double)dw[k] * (double)wbar[k];
        const double r = 1 / (s->sigma[i] != 0 ? s->sigma[i] : 1e-12);
        for (mango_idx o = 0; o < O; o++)
            for (mango_idx k = 0; k < K; k++)
                dw[o * K + k] = (float)(((double)dw[o * K + k] -
                                         dot * (double)u[o] * (double)v[k]) * r);
    }
}
/* ---- end train/spectral.c ----------------------------------------------------------- */

/* ---- begin train/sngan.c ------------------------------------------------------------ */
/* sngan.c - SN-GAN (Miyato et al. 2018): hinge loss, spectral norm in the
 * discriminator D, averaged generator G.
 *     L_D = mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))
 *     L_G = - mean D(G(z))
 * One "update" is n_dis steps of D, each on new pictures, and one of G.
 */

static mango_status sngan_fits(mango_trainer *t, mango_err *err)
{
    const mgi_node *y = &t->net->node[t->net->output], *x = &t->dsc->node[t->dsc->input];
    const mgi_node *d = &t->dsc->node[t->dsc->output];
    if (y->C != x->C || y->H != x->H || y->W != x->W || d->C * d->H * d->W != 1)
        return mgi_fail(err, MANGO_E_SHAPE, "%s and %s do not fit: %ldx%ldx%ld, %ldx%ldx%ld",
                        t->net->arch, t->dsc->arch, (long)y->C, (long)y->H, (long)y->W,
                        (long)x->C, (long)x->H, (long)x->W);
    for (int p = 0; p < t->dsc->n_params; p++)
        if (!t->dsc->param[p].v)
            return mgi_fail(err, MANGO_E_STATE, "parameter %s of %s has no values yet",
                            t->dsc->param[p].name, t->dsc->arch);
    return MANGO_OK;
}

mango_status mgi_sngan_prepare(mango_trainer *t, mango_err *err)
{
    const mgi_node *z = &t->net->node[t->net->input], *y = &t->net->node[t->net->output];
    const mango_idx b = t->o.batch;
    mgi_tape_options o;
    MGI_TRY(sngan_fits(t, err));
    MGI_TRY(mgi_optim_new(&t->opt_d, t->dsc, &t->o));
    MGI_TRY(mgi_spectral_new(&t->sn, t->dsc, t->o.seed));
    t->n_latent = b * z->C * z->H * z->W;
    t->n_tmp = t->n_latent + 2 * b * y->C * y->H * y->W;
    if (!(t->tmp = mgi_new(&t->al, t->n_tmp, sizeof(float))))
        return MANGO_E_MEM;
    mgi_tape_defaults(&o);
    o.B = b;
    o.memory = mgi_trainer_memory(t);
    MGI_TRY(mgi_tape_new(&t->tape, t->net, &o, &t->al, err));
    mgi_tape_set_grads(t->tape, &t->opt.g);
    o.input_grad = 1;
    MGI_TRY(mgi_tape_new(&t->tape_g, t->dsc, &o, &t->al, err));
    o.input_grad = 0;
    o.B = 2 * b;
    MGI_TRY(mgi_tape_new(&t->tape_d, t->dsc, &o, &t->al, err));
    mgi_tape_set_grads(t->tape_d, &t->opt_d.g);
    mgi_spectral_bind(&t->sn, t->tape_d);
    mgi_spectral_bind(&t->sn, t->tape_g);
    mgi_spectral_update(&t->sn, 10);
    o.B = b;
    o.train = 0;
    t->steps = t->steps / t->o.n_dis;
    if (t->steps < 1)
        return mgi_fail(err, MANGO_E_ARG, "an epoch has fewer pictures than n-dis batches");
    return mgi_tape_new(&t->eval, t->net, &o, &t->al, err);
}

static void sngan_latents(mango_trainer *t, uint32_t purpose, mango_idx index, mango_idx n)
{
    mango_rng r;
    mango_rng_init(&r, t->o.seed, purpose, (uint64_t)index);
    for (mango_idx k = 0; k < n; k++)
        t->tmp[k] = (float)mango_rng_normal(&r);
}

static mango_status sngan_discriminator(mango_trainer *t, mango_idx k, double lr, mango_err *err)
{
    const mango_idx b = t->o.batch, e = t->batch.C * t->batch.H * t->batch.W;
    const mango_idx draw = t->update * (t->o.n_dis + 1) + k, step = t->step;
    float *x = t->tmp + t->n_latent; /* (2b,H,W,C) real | fake */
    sngan_latents(t, MGI_RNG_LATENT, draw, t->n_latent);
    t->step = step * t->o.n_dis + k;
    const mango_status st = mgi_trainer_batch(t, b, err);
    t->step = step;
    MGI_TRY(st);
    MGI_TRY(mgi_tape_forward(t->tape, b, t->tmp));
    memcpy(x, t->batch.x, (size_t)(b * e) * sizeof(float));
    memcpy(x + b * e, mgi_tape_value(t->tape, -1, NULL), (size_t)(b * e) * sizeof(float));
    mgi_spectral_update(&t->sn, 1);
    MGI_TRY(mgi_tape_forward(t->tape_d, 2 * b, x));
    const float *d = mgi_tape_value(t->tape_d, -1, NULL);
    float *dd = mgi_tape_dout(t->tape_d);
    t->last = mgi_loss_hinge(b, d, 1, dd) + mgi_loss_hinge(b, d + b, 0, dd + b);
    if (!(t->last - t->last == 0))
        return mgi_trainer_nonfinite(t, t->tape_d, x, err);
    for (mango_idx i = 0; i < b; i++)
        t->sum[2] += ((double)d[i] - (double)d[b + i]) / (double)(b * t->o.n_dis);
    mgi_grads_zero(&t->opt_d.g);
    mgi_tape_backward(t->tape_d);
    mgi_spectral_backward(&t->sn, &t->opt_d.g);
    if (mgi_optim_step(&t->opt_d, &t->o, lr) < 0)
        return mgi_trainer_nonfinite(t, t->tape_d, x, err);
    t->sum[0] += t->last / (double)t->o.n_dis;
    return MANGO_OK;
}

static mango_status sngan_generator(mango_trainer *t, double lr, mango_err *err)
{
    const mango_idx b = t->o.batch, e = t->batch.C * t->batch.H * t->batch.W;
    double loss = 0;
    sngan_latents(t, MGI_RNG_LATENT, t->update * (t->o.n_dis + 1) + t->o.n_dis, t->n_latent);
    MGI_TRY(mgi_tape_forward(t->tape, b, t->tmp));
    mgi_spectral_update(&t->sn, 1);
    MGI_TRY(mgi_tape_forward(t->tape_g, b, mgi_tape_value(t->tape, -1, NULL)));
    const float *d = mgi_tape_value(t->tape_g, -1, NULL);
    float *dd = mgi_tape_dout(t->tape_g);
    for (mango_idx i = 0; i < b; i++) {
        loss -= (double)d[i] / (double)b;
        dd[i] = -1.0f / (float)b;
    }
    if (!(loss - loss == 0))
        return mgi_trainer_nonfinite(t, t->tape, t->tmp, err);
    mgi_tape_backward(t->tape_g);
    memcpy(mgi_tape_dout(t->tape), mgi_tape_input_grad(t->tape_g), (size_t)(b * e) * sizeof(float));
    mgi_grads_zero(&t->opt.g);
    mgi_tape_backward(t->tape);
    if (mgi_optim_step(&t->opt, &t->o, lr) < 0)
        return mgi_trainer_nonfinite(t, t->tape, t->tmp, err);
    t->sum[1] += loss;
    return MANGO_OK;
}

mango_status mgi_sngan_update(mango_trainer *t, mango_err *err)
{
    const double lr = mgi_trainer_lr(t);
    for (mango_idx k = 0; k < t->o.n_dis; k++)
        MGI_TRY(sngan_discriminator(t, k, lr, err));
    MGI_TRY(sngan_generator(t, lr, err));
    if (t->o.ema > 0)
        mgi_average_step(&t->avg, t->net, t->o.ema, t->update);
    return MANGO_OK;
}

mango_status mgi_sngan_sample(mango_trainer *t, mango_idx n, float *rgb)
{
    const mango_idx C = t->batch.C, hw = t->batch.H * t->batch.W;
    sngan_latents(t, MGI_RNG_SAMPLE, 0, n * (t->n_latent / t->o.batch));
    mgi_trainer_bind(t, t->eval);
    MGI_TRY(mgi_tape_forward(t->eval, n, t->tmp));
    mgi_to_nchw(n, C, hw, mgi_tape_value(t->eval, -1, NULL), rgb);
    for (mango_idx i = 0; i < n * C * hw; i++) {
        const float v = (rgb[i] - t->shift[0]) / t->scale[0];
        rgb[i] = v > 0.0f ? v < 1.0f ? v : 1.0f : 0.0f;
    }
    return MANGO_OK;
}
/* ---- end train/sngan.c -------------------------------------------------------------- */

/* ---- begin train/checkpoint.c ------------------------------------------------------- */
/* checkpoint.c - all of a trainer in one safetensors file.
 *
 * One walk over its arrays serves three passes: write, check, read. Resuming
 * checks everything before it changes anything. Doubles are kept as hex digits
 * of their bits.
 */

typedef enum ckpt_pass { CKPT_WRITE, CKPT_CHECK, CKPT_READ } ckpt_pass;
typedef struct ckpt_walk {
    ckpt_pass pass;
    mgi_tensor_writer *w;
    const mgi_tensors *f;
    mango_err *err;
    const char *path;
} ckpt_walk;

static const char *const ckpt_kinds[] = {"net", "vqvae", "sngan"};

static int ckpt_finite(mango_idx n, const float *x)
{
    for (mango_idx i = 0; i < n; i++)
        if (!(x[i] - x[i] == 0.0f))
            return 0;
    return 1;
}

static mango_status ckpt_array(ckpt_walk *k, const char *group, const char *name, mango_idx n,
                               float *x)
{
    char full[MGI_NAME + 64];
    mgi_str s;
    mgi_str_init(&s, NULL);
    mgi_str_printf(&s, "%s/%s", group, name);
    const int whole = !s.bad && mgi_copy(full, (mango_idx)sizeof full, s.p);
    mgi_str_free(&s);
    if (!whole)
        return MANGO_E_MEM;
    if (k->pass == CKPT_WRITE) {
        if (!ckpt_finite(n, x))
            return mgi_fail(k->err, MANGO_E_NONFINITE,
                            "%s: not written, %s holds values that are not finite", k->path, full);
        return mgi_writer_add(k->w, full, MGI_F32, 1, &n, x);
    }
    const mgi_tensor *t = mgi_tensors_find(k->f, full);
    if (!t)
        return mgi_fail(k->err, MANGO_E_SHAPE, "%s: has no tensor %s", k->path, full);
    if (t->count != n || t->dtype != MGI_F32)
        return mgi_fail(k->err, MANGO_E_SHAPE, "%s: %s has %ld values, expected %ld as F32",
                        k->path, full, (long)t->count, (long)n);
    return k->pass == CKPT_READ ? mgi_tensor_floats(t, 1, x, k->err) : MANGO_OK;
}

static mango_status ckpt_params(ckpt_walk *k, const char *group, mango_net *net)
{
    for (int p = 0; p < net->n_params; p++)
        MGI_TRY(ckpt_array(k, group, net->param[p].name, net->param[p].count, net->param[p].v));
    return MANGO_OK;
}

static mango_status ckpt_optim(ckpt_walk *k, const char *m, const char *v, mgi_optim *o)
{
    for (int p = 0; p < o->net->n_params; p++) {
        const mgi_param *q = &o->net->param[p];
        if (!o->g.of[p])
            continue;
        const mango_idx at = o->g.of[p] - o->g.flat;
        MGI_TRY(ckpt_array(k, m, q->name, q->count, o->m + at));
        if (o->v)
            MGI_TRY(ckpt_array(k, v, q->name, q->count, o->v + at));
    }
    return MANGO_OK;
}

static mango_status ckpt_vq(ckpt_walk *k, mango_trainer *t)
{
    const mgi_node *n = &t->net->node[t->vq];
    float *used = mgi_new(&t->al, n->codes, sizeof *used);
    mango_status st = MANGO_E_MEM;
    if (!used)
        return st;
    for (mango_idx i = 0; i < n->codes; i++)
        used[i] = (float)t->used[i];
    MGI_TRY_TO(ckpt_array(k, "vq", "used", n->codes, used));
    MGI_TRY_TO(ckpt_array(k, "vq", "n", n->codes, t->ema_n));
    MGI_TRY_TO(ckpt_array(k, "vq", "w", n->codes * n->C, t->ema_w));
    for (mango_idx i = 0; k->pass == CKPT_READ && i < n->codes; i++)
        t->used[i] = (double)used[i];
done:
    mgi_del(&t->al, used, n->codes, sizeof *used);
    return st;
}

static mango_status ckpt_arrays(ckpt_walk *k, mango_trainer *t)
{
    MGI_TRY(ckpt_params(k, "net", t->net));
    MGI_TRY(ckpt_optim(k, "m", "v", &t->opt));
    for (int p = 0; t->o.ema > 0 && p < t->net->n_params; p++)
        MGI_TRY(ckpt_array(k, "avg", t->net->param[p].name, t->net->param[p].count,
                           t->avg.of[p]));
    if (t->vq >= 0)
        MGI_TRY(ckpt_vq(k, t));
    if (!t->dsc)
        return MANGO_OK;
    MGI_TRY(ckpt_params(k, "dsc", t->dsc));
    MGI_TRY(ckpt_optim(k, "dsc_m", "dsc_v", &t->opt_d));
    MGI_TRY(ckpt_array(k, "sn", "u", t->sn.nu, t->sn.u));
    return ckpt_array(k, "sn", "v", t->sn.nv, t->sn.v);
}

/* ---- numbers --------------------------------------------------------------- */

static void ckpt_put(mgi_str *s, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    mgi_str_printf(s, "%016llx ", (unsigned long long)bits);
}

/* Reads one double of 16 hex digits and a space; NULL at a bad one. */
static const char *ckpt_get(const char *z, double *v)
{
    uint64_t bits = 0;
    for (int i = 0; i < 16; i++) {
        const char c = z[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return NULL;
        bits = bits << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    memcpy(v, &bits, sizeof bits);
    return z[16] == ' ' ? z + 17 : NULL;
}

enum { CKPT_HEAD = 8 + MGI_SUMS, CKPT_ROW = 7 };

static void ckpt_numbers(const mango_trainer *t, mgi_str *s)
{
    const double head[8] = {(double)t->epoch, (double)t->step, (double)t->update, t->last, t->best,
                            (double)t->best_epoch, (double)t->opt.updates,
                            (double)t->opt_d.updates};
    for (int i = 0; i < 8; i++)
        ckpt_put(s, head[i]);
    for (int i = 0; i < MGI_SUMS; i++)
        ckpt_put(s, t->sum[i]);
    for (mango_idx e = 0; e < t->epoch; e++) {
        const mango_train_row *r = &t->row[e];
        const double v[CKPT_ROW] = {(double)r->epoch, r->loss, r->score, r->val_loss,
                                    r->val_score, r->lr, r->extra};
        for (int i = 0; i < CKPT_ROW; i++)
            ckpt_put(s, v[i]);
    }
}

static int ckpt_count(double v, double most, mango_idx *out)
{
    if (!(v >= 0 && v <= most))
        return 0;
    *out = (mango_idx)v;
    return (double)*out == v;
}

/* Reads the numbers; changes t only when `set`. */
static int ckpt_parse(mango_trainer *t, const char *z, int set)
{
    double head[CKPT_HEAD], v[CKPT_ROW];
    mango_idx n[5];
    for (int i = 0; z && i < CKPT_HEAD; i++)
        z = ckpt_get(z, &head[i]);
    if (!z || !ckpt_count(head[0], (double)t->o.epochs, &n[0]) ||
        !ckpt_count(head[1], (double)t->steps, &n[1]) || !ckpt_count(head[2], 1e12, &n[2]) ||
        !ckpt_count(head[6], 1e12, &n[3]) || !ckpt_count(head[7], 1e12, &n[4]))
        return 0;
    for (mango_idx e = 0; e < n[0]; e++) {
        for (int i = 0; z && i < CKPT_ROW; i++)
            z = ckpt_get(z, &v[i]);
        if (!z)
            return 0;
        const mango_train_row r = {e + 1, v[1], v[2], v[3], v[4], v[5], v[6]};
        if (set)
            t->row[e] = r;
    }
    if (set) {
        t->epoch = n[0], t->step = n[1], t->update = n[2];
        t->opt.updates = n[3], t->opt_d.updates = n[4];
        t->last = head[3], t->best = head[4], t->best_epoch = (mango_idx)head[5];
        memcpy(t->sum, head + 8, sizeof t->sum);
        t->ordered = 0;
    }
    return !*z;
}

/* ---- save and resume -------------------------------------------------------- */

static void ckpt_texts(const mango_trainer *t, mgi_str *options, mgi_str *graph)
{
    mgi_str_init(options, &t->al);
    mgi_str_init(graph, &t->al);
    mgi_train_text(&t->o, options);
    mgi_str_printf(options, "data=%s %ld\n", t->info.name, (long)t->info.count);
    if (mgi_graph_write(t->net, graph) < 0 || (t->dsc && mgi_graph_write(t->dsc, graph) < 0))
        graph->bad = 1;
}

mango_status mango_trainer_save(const mango_trainer *t, const char *path, mango_err *err)
{
    MGI_REQUIRE(t && path);
    mango_status st = MANGO_E_MEM;
    mgi_str options, graph, numbers;
    ckpt_walk k = {CKPT_WRITE, NULL, NULL, err, path};
    ckpt_texts(t, &options, &graph);
    mgi_str_init(&numbers, &t->al);
    ckpt_numbers(t, &numbers);
    if (options.bad || graph.bad || numbers.bad)
        goto done;
    MGI_TRY_TO(mgi_writer_new(&k.w, &t->al));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train", "1"));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.kind", ckpt_kinds[t->kind]));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.graph", graph.p));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.options", options.p));
    MGI_TRY_TO(mgi_writer_meta(k.w, "mango.train.numbers", numbers.p));
    MGI_TRY_TO(ckpt_arrays(&k, (mango_trainer *)(uintptr_t)t)); /* read only here */
    MGI_TRY_TO(mgi_writer_save(k.w, path, err));
done:
    mgi_writer_free(k.w);
    mgi_str_free(&options);
    mgi_str_free(&graph);
    mgi_str_free(&numbers);
    return st;
}

/* The first line in which two texts differ, cut to fit a message. */
static void ckpt_differ(const char *have, const char *want, char *a, char *b, size_t cap)
{
    size_t line = 0, i = 0;
    for (; have[i] && have[i] == want[i]; i++)
        if (have[i] == '\n')
            line = i + 1;
    for (i = 0; i + 1 < cap && have[line + i] && have[line + i] != '\n'; i++)
        a[i] = have[line + i];
    a[i] = 0;
    for (i = 0; i + 1 < cap && want[line + i] && want[line + i] != '\n'; i++)
        b[i] = want[line + i];
    b[i] = 0;
}

static mango_status ckpt_same(const mango_trainer *t, const mgi_tensors *f, const char *path,
                              mango_err *err)
{
    char a[80], b[80];
    mango_status st = MANGO_OK;
    const char *kind = mgi_tensors_meta(f, "mango.train.kind");
    const char *g = mgi_tensors_meta(f, "mango.train.graph");
    const char *o = mgi_tensors_meta(f, "mango.train.options");
    if (!mgi_tensors_meta(f, "mango.train") || !kind || !g || !o)
        return mgi_fail(err, MANGO_E_FORMAT, "%s: not a training checkpoint", path);
    if (strcmp(kind, ckpt_kinds[t->kind]) != 0)
        return mgi_fail(err, MANGO_E_SHAPE, "%s: checkpoint of trainer %s, not %s", path, kind,
                        ckpt_kinds[t->kind]);
    mgi_str options, graph;
    ckpt_texts(t, &options, &graph);
    if (options.bad || graph.bad) {
        st = MANGO_E_MEM;
    } else if (strcmp(g, graph.p) != 0) {
        ckpt_differ(g, graph.p, a, b, sizeof a);
        st = mgi_fail(err, MANGO_E_SHAPE,
                      "%s: checkpoint of another architecture: '%s', here '%s'", path, a, b);
    } else if (strcmp(o, options.p) != 0) {
        ckpt_differ(o, options.p, a, b, sizeof a);
        st = mgi_fail(err, MANGO_E_ARG, "%s: made with option %s, now %s", path, a, b);
    }
    mgi_str_free(&options);
    mgi_str_free(&graph);
    return st;
}

mango_status mango_trainer_resume(mango_trainer *t, const char *path, mango_err *err)
{
    MGI_REQUIRE(t && path);
    mgi_tensors f;
    mango_status st;
    MGI_TRY(mgi_tensors_read(&f, path, &t->al, err));
    ckpt_walk k = {CKPT_CHECK, NULL, &f, err, path};
    const char *numbers = mgi_tensors_meta(&f, "mango.train.numbers");
    MGI_TRY_TO(ckpt_same(t, &f, path, err));
    if (!numbers || !ckpt_parse(t, numbers, 0)) {
        st = mgi_fail(err, MANGO_E_FORMAT, "%s: the position of the training is damaged", path);
        goto done;
    }
    MGI_TRY_TO(ckpt_arrays(&k, t));
    k.pass = CKPT_READ;
    MGI_TRY_TO(ckpt_arrays(&k, t));
    ckpt_parse(t, numbers, 1);
    if (t->dsc)
        mgi_spectral_update(&t->sn, 0);
done:
    mgi_tensors_free(&f);
    return st;
}
/* ---- end train/checkpoint.c --------------------------------------------------------- */


#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
#endif /* MANGO_IMPLEMENTATION */

/*
   MIT License

   Copyright (c) 2026 The MANGO in C authors

   Permission is hereby granted, free of charge, to any person obtaining a copy
   of this software and associated documentation files (the "Software"), to deal
   in the Software without restriction, including without limitation the rights
   to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
   copies of the Software, and to permit persons to whom the Software is
   furnished to do so, subject to the following conditions:

   The above copyright notice and this permission notice shall be included in all
   copies or substantial portions of the Software.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
   IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
   FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
   AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
   LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
   OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
   SOFTWARE.
*/

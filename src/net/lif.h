/* lif.h - leaky integrate-and-fire neurons: the rule record and its presets.
 * SPDX-License-Identifier: MIT */
#ifndef MANGO_LIF_H
#define MANGO_LIF_H

#include "../base/base.h"

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
 *
 * Subtracting at once can leave U above U_thr, and there the frameworks differ. In leak
 * form with > it is snnTorch's reset_delay=False: what is still above is subtracted
 * before the next comparison, so that it makes no further spike, and given back after it,
 *   H = beta U[t-1] + X[t] - Theta(U[t-1] - U_thr) U_thr,   S[t] = Theta(H - U_thr),
 *   U[t] = H - (S[t] - Theta(U[t-1] - U_thr)) U_thr,
 * in the gradient a constant. All others compare it again (SpikingJelly's v_reset=None).
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

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

/* Where a constant of a rule comes from: the record's own number; or a parameter of the
 * layer, with one value for all neurons, (1); one a channel, (C); one a neuron, (C,H,W), or
 * (C) where maps are single pixels. */
typedef enum mango_lif_per {
    MANGO_PER_RULE,
    MANGO_PER_LAYER,
    MANGO_PER_CHANNEL,
    MANGO_PER_NEURON
} mango_lif_per;
typedef enum mango_lif_recurrent {
    MANGO_RECURRENT_NONE,
    MANGO_RECURRENT_ONE, /* each neuron's spike back to itself, times V             */
    MANGO_RECURRENT_ALL, /* all spikes to all neurons of a (C,1,1) map              */
    MANGO_RECURRENT_CONV /* a convolution that keeps the size, padded by kernel/2   */
} mango_lif_recurrent;

/* mango_lif - one rule record per layer: stored, printed, never guessed.
 *
 *   input       J[t] = g X[t],  g = input_gain
 *   order 2     I[t] = alpha I[t-1] + J[t], from I = 0, takes the place of J[t] below
 *               (snnTorch's Synaptic, NIR's CubaLIF)
 *   leak form   (tau = 0):  U[t] = beta U[t-1] + J[t]
 *   tau form    (tau > 0):  U[t] = U[t-1] + (J[t] - (U[t-1] - U_leak))/tau   (decay_input), or
 *                           U[t] = (U[t-1] - (U[t-1] - U_leak)/tau) + J[t]   (whole input)
 *   S[t] = Theta(U[t] - U_thr), with > or >=
 *   the reset follows at once, or with reset_delay = 1 at the next step, which
 *   is snnTorch's order: U[t] = beta U[t-1] + X[t] - S[t-1] U_thr; a reset to a
 *   value then replaces U[t-1] before it decays (snnTorch's Leaky), or with reset_after = 1
 *   replaces U[t], so that the input of that step is lost (its Synaptic, RLeaky, RSynaptic
 *   and Lapicque; I[t] is not reset).
 *   recurrence  S[t-1], first 0, comes back as R[t] = V S[t-1], or W S[t-1] + b with W (n,n)
 *               or a convolution. It joins the current, I[t] = (alpha I[t-1] + J[t]) + R[t],
 *               or J[t] + R[t] in the tau form, or the membrane, (beta U[t-1] + J[t]) + R[t]
 *               (snnTorch's RLeaky, RSynaptic).
 *   readout     what the layer gives on: its spikes, or with readout_membrane = 1 the membrane
 *               as the step leaves it (a leaky integrator: NIR's LI, snnTorch's `mem`)
 *
 * beta and alpha that are parameters count as clamped to [0,1], as in snnTorch, and tau as at
 * least 1; outside they get no gradient. Parameters are NAME.beta, NAME.tau, NAME.alpha,
 * NAME.threshold, NAME.V, NAME.recurrent.weight, NAME.recurrent.bias.
 *
 * Subtracting at once can leave U above U_thr, and there the frameworks differ. In leak
 * form with > it is snnTorch's reset_delay=False: what is still above is subtracted
 * before the next comparison, so that it makes no further spike, and given back after it,
 *   H = beta U[t-1] + X[t] - Theta(U[t-1] - U_thr) U_thr,   S[t] = Theta(H - U_thr),
 *   U[t] = H - (S[t] - Theta(U[t-1] - U_thr)) U_thr,
 * in the gradient a constant. All others compare it again (SpikingJelly's v_reset=None).
 *
 * An integrate-and-fire neuron has beta = 1. snnTorch's Alpha has other equations and no
 * rule here.
 */
typedef struct mango_lif {
    float beta;         /* decay per step, [0,1]; used when tau == 0        */
    int beta_per;       /* mango_lif_per, and so below                      */
    float tau;          /* time constant in steps, >= 1; 0: leak form       */
    int tau_per;        /* set: the tau form, with tau any value above 0    */
    int order;          /* 0, 1: first; 2: second                           */
    float alpha;        /* order 2: decay of the current per step, [0,1]    */
    int alpha_per;
    int decay_input;    /* tau form: 1 divides the input by tau             */
    float input_gain;   /* multiplies X; 1 normally                         */
    float U_thr;        /* threshold, > 0                                   */
    int U_thr_per;
    int fires_on_equal; /* 0: fires on U > U_thr; 1: on U >= U_thr          */
    mango_lif_reset reset;
    float U_reset;      /* < U_thr: value after a reset; tau form: at first */
    int leak_apart;     /* tau form: 1: leaks to U_leak, 0: to U_reset      */
    float U_leak;
    int reset_delay;    /* 1: reset acts at the next step (snnTorch)        */
    int reset_after;    /* 1: a delayed reset to a value replaces U[t]      */
    int detach_reset;   /* no gradient through the reset                    */
    mango_lif_recurrent recurrent;
    float V;            /* MANGO_RECURRENT_ONE: weight of the own spike     */
    int V_per;
    int readout_membrane;
    mango_surrogate surrogate;
    float slope;        /* k: fast sigmoid 25 (snnTorch), atan 2            */
} mango_lif;

/* mango_lif_is_plain - 1 when the rule has nothing but numbers of its own, order 1, no
 * reset_after, no recurrence and spikes for its readout: what the functions below take.
 * Layers of all other rules run in networks. 0 for NULL. */
MANGO_API int mango_lif_is_plain(const mango_lif *rule);

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
 * Returns  MANGO_OK; MANGO_E_ARG when the rule or a pointer is bad, or the rule not plain. */
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
 * Returns  MANGO_OK; MANGO_E_ARG when the rule, a size or a pointer is bad, or the rule
 *          not plain.
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

/* lifstep.h - one time step of leaky integrate-and-fire neurons, as scalars.
 *
 * net/lif.h holds the public rule record; net/lif.c lowers it to mgi_lif_rule,
 * which is all that the kernels see. The two functions below are the meaning
 * of a step, in the order of operations that every kernel set keeps (no fma:
 * this is the order of the source frameworks, and spikes are compared exactly).
 * SPDX-License-Identifier: MIT */
#ifndef MGI_LIFSTEP_H
#define MGI_LIFSTEP_H

#include "../../base/mgi.h"

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
    int after;       /* delayed, to a value: H is replaced, not U; mgi_lif_cells alone */
    float beta, tau, gain, U_thr, U_rest, U_reset;
    float alpha;     /* order 2: decay of the current                          */
    int once;        /* 1, with MGI_RESET_SUBTRACT at once: what of the state is still
                        above U_thr is subtracted before the next comparison, and
                        given back after it; the vector kernels leave it to the plain loop */
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
    const int pending = (r->delay || r->once) && mgi_lif_fires(r, U);
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

/* The state to leave behind: H, or H after its reset when that is made at once. U is
 * the state before the step. */
static inline float mgi_lif_leave(const mgi_lif_rule *r, float U, float H)
{
    if (r->once)
        return H - (float)(mgi_lif_fires(r, H) - mgi_lif_fires(r, U)) * r->U_thr;
    if (r->delay || r->reset == MGI_RESET_NONE || !mgi_lif_fires(r, H))
        return H;
    return r->reset == MGI_RESET_SUBTRACT ? H - r->U_thr : r->U_reset;
}

/* What the neurons of a layer have of their own, (n) each; NULL: what the rule says. */
typedef struct mgi_lif_cells {
    const float *leak;  /* beta in [0,1], or tau >= 1                          */
    const float *alpha; /* in [0,1]                                            */
    const float *U_thr;
    const float *R;     /* what comes back of the last spikes; NULL: nothing   */
    float *I;           /* in, out: the synaptic current; NULL: order 1        */
} mgi_lif_cells;

/* The rule of neuron i. */
static inline mgi_lif_rule mgi_lif_cell(const mgi_lif_rule *r, const mgi_lif_cells *c,
                                        mango_idx i)
{
    mgi_lif_rule own = *r;
    if (c->leak && r->charge == MGI_CHARGE_LEAK)
        own.beta = c->leak[i];
    else if (c->leak)
        own.tau = c->leak[i];
    if (c->alpha)
        own.alpha = c->alpha[i];
    if (c->U_thr)
        own.U_thr = c->U_thr[i];
    return own;
}

/* The current J of this step, from the input gain*X and from I and R of the neuron, which
 * are NULL where it has none; *I is set. What of R does not join it joins the membrane. */
static inline float mgi_lif_current(const mgi_lif_rule *r, float gX, const float *R, float *I)
{
    if (I) {
        const float J = r->alpha * *I + gX;
        return *I = R ? J + *R : J;
    }
    return R && r->charge != MGI_CHARGE_LEAK ? gX + *R : gX;
}

/* The membrane before a pending subtraction, or a reset to a value after it, from the one
 * that the charge starts at. R: what joins the membrane, or NULL. */
static inline float mgi_lif_carry(const mgi_lif_rule *r, float u, float J, const float *R)
{
    if (r->charge == MGI_CHARGE_LEAK) {
        const float H = r->beta * u + J;
        return R ? H + *R : H;
    }
    return r->charge == MGI_CHARGE_TAU ? u + (J - (u - r->U_rest)) / r->tau
                                       : (u - (u - r->U_rest) / r->tau) + J;
}

/* mgi_lif_charge for such a neuron. */
static inline float mgi_lif_cell_charge(const mgi_lif_rule *r, float U, float X,
                                        const float *R, float *I)
{
    const int pending = (r->delay || r->once) && mgi_lif_fires(r, U);
    const int value = pending && r->reset == MGI_RESET_VALUE;
    const float J = mgi_lif_current(r, r->gain * X, R, I);
    const float u = value && !r->after ? r->U_reset : U;
    const float H = mgi_lif_carry(r, u, J, I ? NULL : R);
    if (value && r->after)
        return r->U_reset;
    return pending && r->reset == MGI_RESET_SUBTRACT ? H - r->U_thr : H;
}

/* One step of n neurons with constants of their own, a current or a recurrence. The
 * reference entry of the kernel table. */
MGI_FN void mgi_lif_cells_ref(mango_idx n, const mgi_lif_rule *r, const mgi_lif_cells *c,
                              const float *X, float *U, float *S);

/* The plain loop over n neurons: X current, U state, S spikes out (0 or 1).
 * The kernel table's reference entry, and the oracle of the others. */
MGI_FN void mgi_lif_ref(mango_idx n, const mgi_lif_rule *r, const float *X, float *U,
                        float *S);

#endif

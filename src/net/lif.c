/* lif.c - leaky integrate-and-fire layers: presets, steps, gradients in time.
 *
 * Neurons are independent, so all work is split into blocks of LIF_BLOCK of
 * them and each block walks through time on its own.
 * SPDX-License-Identifier: MIT */
#include "lif.h"
#include "../math/loops.h"
#include "lifrule.h"

#define LIF_BLOCK 2048 /* neurons; their state stays in the first-level cache */

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

static mango_status lif_check_reset(const mango_lif *r, mango_err *err)
{
    const float big = 1e30f;
    if (r->reset < MANGO_RESET_SUBTRACT || r->reset > MANGO_RESET_NONE)
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: unknown reset %d", (int)r->reset);
    if (!(r->U_reset >= -big && (r->U_thr_per || r->U_reset < r->U_thr)))
        return mgi_fail(err, MANGO_E_ARG,
                        "LIF rule: U_reset is %g, expected below U_thr %g",
                        (double)r->U_reset, (double)r->U_thr);
    if (!lif_within(r->U_leak, -big, big))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: U_leak is not finite");
    if (!lif_is_flag(r->decay_input) || !lif_is_flag(r->fires_on_equal) ||
        !lif_is_flag(r->reset_delay) || !lif_is_flag(r->detach_reset) ||
        !lif_is_flag(r->reset_after) || !lif_is_flag(r->leak_apart) ||
        !lif_is_flag(r->readout_membrane))
        return mgi_fail(err, MANGO_E_ARG,
                        "LIF rule: decay_input, fires_on_equal, reset_delay, reset_after, "
                        "detach_reset, leak_apart and readout_membrane are 0 or 1");
    if (r->reset_after && (!r->reset_delay || !r->detach_reset ||
                           (r->reset != MANGO_RESET_VALUE && r->reset != MANGO_RESET_ZERO)))
        return mgi_fail(err, MANGO_E_ARG,
                        "LIF rule: reset_after is for a reset to a value or to zero, with "
                        "reset_delay and detach_reset");
    return MANGO_OK;
}

static int lif_is_per(int per)
{
    return per >= MANGO_PER_RULE && per <= MANGO_PER_NEURON;
}

/* What goes beyond mango_lif_is_plain. */
static mango_status lif_check_more(const mango_lif *r, mango_err *err)
{
    if (!lif_within((float)r->order, 0, 2))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: order is %d, expected 1 or 2", r->order);
    if (r->order == 2 && !lif_within(r->alpha, 0.0f, 1.0f))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: alpha is %g, expected 0..1",
                        (double)r->alpha);
    if (!lif_is_per(r->beta_per) || !lif_is_per(r->tau_per) || !lif_is_per(r->alpha_per) ||
        !lif_is_per(r->U_thr_per) || !lif_is_per(r->V_per))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: unknown mango_lif_per");
    if (r->recurrent < MANGO_RECURRENT_NONE || r->recurrent > MANGO_RECURRENT_CONV)
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: unknown recurrent %d", (int)r->recurrent);
    if (!lif_within(r->V, -1e30f, 1e30f))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: V is not finite");
    return MANGO_OK;
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
    MGI_TRY(lif_check_reset(r, err));
    if (r->surrogate != MANGO_SURROGATE_FAST_SIGMOID &&
        r->surrogate != MANGO_SURROGATE_ATAN)
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: unknown surrogate %d",
                        (int)r->surrogate);
    if (!lif_within(r->slope, tiny, big))
        return mgi_fail(err, MANGO_E_ARG, "LIF rule: slope is %g, expected > 0",
                        (double)r->slope);
    return lif_check_more(r, err);
}

int mango_lif_is_plain(const mango_lif *r)
{
    return r && r->order < 2 && !r->beta_per && !r->tau_per && !r->U_thr_per &&
           !r->reset_after && r->recurrent == MANGO_RECURRENT_NONE && !r->readout_membrane;
}

MGI_FN mgi_lif_rule mgi_lif_lower(const mango_lif *r)
{
    mgi_lif_rule k = {.beta = r->beta,
                      .tau = r->tau,
                      .gain = r->input_gain,
                      .U_thr = r->U_thr,
                      .alpha = r->alpha,
                      .U_rest = r->leak_apart ? r->U_leak : r->U_reset,
                      .U_reset = r->U_reset,
                      .delay = r->reset_delay,
                      .after = r->reset_after,
                      .on_equal = r->fires_on_equal};
    k.charge = r->tau == 0.0f   ? MGI_CHARGE_LEAK
               : r->decay_input ? MGI_CHARGE_TAU
                                : MGI_CHARGE_WHOLE;
    k.reset = r->reset == MANGO_RESET_NONE       ? MGI_RESET_NONE
              : r->reset == MANGO_RESET_SUBTRACT ? MGI_RESET_SUBTRACT
                                                 : MGI_RESET_VALUE;
    if (r->reset == MANGO_RESET_ZERO)
        k.U_reset = 0.0f;
    k.once = k.charge == MGI_CHARGE_LEAK && k.reset == MGI_RESET_SUBTRACT && !k.delay &&
             !k.on_equal;
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
    MGI_REQUIRE(mango_lif_is_plain(rule));
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
    MGI_REQUIRE(mango_lif_is_plain(rule));
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
static mgi_lif_grad lif_grad_make(const mango_lif *rule)
{
    mgi_lif_grad k = {
        .r = mgi_lif_lower(rule), .rest = mgi_lif_rest(rule), .slope = rule->slope};
    const int leak = k.r.charge == MGI_CHARGE_LEAK;
    k.a = leak ? rule->beta : 1.0f - 1.0f / rule->tau;
    k.g = k.r.charge == MGI_CHARGE_TAU ? rule->input_gain / rule->tau : rule->input_gain;
    k.atan = rule->surrogate == MANGO_SURROGATE_ATAN;
    k.through = !rule->detach_reset && k.r.reset != MGI_RESET_NONE;
    k.kick = k.r.delay ? -k.r.U_thr : -k.r.U_thr * k.a;
    return k;
}

/* H[t] of neurons i .. i+m-1 for all t, from X. */
static void lif_recompute(const mgi_lif_grad *k, mango_idx T, mango_idx n, mango_idx i,
                          mango_idx m, const float *X, mango_idx Xstride, float *H)
{
    const mgi_loops *loops = mgi_loops_get();
    float U[LIF_BLOCK];
    for (mango_idx j = 0; j < m; j++)
        U[j] = k->rest;
    for (mango_idx t = 0; t < T; t++)
        loops->lif_charge(m, &k->r, X + t * Xstride + i, U, H + t * n + i);
}

static void lif_back_block(const mgi_lif_grad *k, mango_idx T, mango_idx n, mango_idx i,
                           mango_idx m, const float *X, mango_idx Xstride, const float *dS,
                           float *H, float *dX)
{
    const mgi_loops *loops = mgi_loops_get();
    float D[LIF_BLOCK] = {0.0f};
    lif_recompute(k, T, n, i, m, X, Xstride, H);
    if (Xstride == 0)
        memset(dX + i, 0, (size_t)m * sizeof *dX);
    for (mango_idx t = T - 1; t >= 0; t--)
        loops->lif_back(m, k, H + t * n + i, dS + t * n + i, Xstride == 0, D,
                        dX + (Xstride ? t * n : 0) + i);
}

mango_status mango_lif_backward(const mango_lif *rule, mango_idx T, mango_idx n,
                                const float *X, mango_idx Xstride, const float *dS,
                                float *H, float *dX)
{
    MGI_TRY(mango_lif_check(rule, NULL));
    MGI_REQUIRE(mango_lif_is_plain(rule));
    MGI_REQUIRE(T >= 0 && n >= 0 && (Xstride == 0 || Xstride >= n));
    MGI_REQUIRE(n == 0 || ((T == 0 || (X && dS && H)) && dX));
    const mgi_lif_grad k = lif_grad_make(rule);

    MGI_OMP(parallel for schedule(static) if (T * n >= MGI_GRAIN))
    for (mango_idx i = 0; i < n; i += LIF_BLOCK)
        lif_back_block(&k, T, n, i, MGI_MIN(LIF_BLOCK, n - i), X, Xstride, dS, H, dX);
    return MANGO_OK;
}

#undef LIF_BLOCK

/* test_lif.c - LIF layers: golden rules, step against run, checks, gradients.
 * SPDX-License-Identifier: MIT */
#include "test.h"

typedef struct t_lif_case {
    const char *name, *preset;
    mango_lif_reset reset;
    float tau;
    int decay_input, detach;
    mango_surrogate surrogate;
    float slope;
} t_lif_case;

static const t_lif_case t_lif_cases[] = {
    {"snntorch_none_atan2", "snntorch", MANGO_RESET_NONE, 0, 0, 1, MANGO_SURROGATE_ATAN, 2},
    {"snntorch_subtract_atan2", "snntorch", MANGO_RESET_SUBTRACT, 0, 0, 1,
     MANGO_SURROGATE_ATAN, 2},
    {"snntorch_subtract_fastsigmoid10", "snntorch", MANGO_RESET_SUBTRACT, 0, 0, 1,
     MANGO_SURROGATE_FAST_SIGMOID, 10},
    {"snntorch_zero_fastsigmoid25", "snntorch", MANGO_RESET_ZERO, 0, 0, 1,
     MANGO_SURROGATE_FAST_SIGMOID, 25},
    {"spikingjelly_tau10_soft", "spikingjelly", MANGO_RESET_SUBTRACT, 10, 0, 1,
     MANGO_SURROGATE_ATAN, 2},
    {"spikingjelly_tau2_hard", "spikingjelly", MANGO_RESET_VALUE, 2, 1, 0,
     MANGO_SURROGATE_ATAN, 2},
    {"spikingjelly_tau2_hard_detach", "spikingjelly", MANGO_RESET_VALUE, 2, 1, 1,
     MANGO_SURROGATE_ATAN, 2},
};

static mango_lif t_lif_rule(const t_lif_case *c)
{
    mango_lif r;
    memset(&r, 0, sizeof r);
    (void)mango_lif_preset(c->preset, &r);
    r.reset = c->reset;
    r.tau = c->tau;
    r.decay_input = c->decay_input;
    r.detach_reset = c->detach;
    r.surrogate = c->surrogate;
    r.slope = c->slope;
    return r;
}

enum { T_LIF_T = 40, T_LIF_N = 64, T_LIF_TN = T_LIF_T * T_LIF_N };

/* One golden tensor of a case; false when it is not there or of another shape. */
static int t_lif_want(const mgi_tensors *f, const char *name, const char *what, float *v)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", name, what);
    const mgi_tensor *t = mgi_tensors_find(f, key);
    return t && t->count == T_LIF_TN && mgi_tensor_floats(t, 1, v, NULL) == MANGO_OK;
}

/* scale*u + shift of NAME.what. */
static void t_lif_fill(const char *name, const char *what, uint64_t seed, float scale,
                       float shift, float *v)
{
    char key[128];
    snprintf(key, sizeof key, "%s.%s", name, what);
    mango_fill_u(key, seed, T_LIF_TN, v);
    for (int i = 0; i < T_LIF_TN; i++)
        v[i] = shift + scale * v[i];
}

static double t_lif_gap(const float *a, const float *b)
{
    double gap = 0.0;
    for (int i = 0; i < T_LIF_TN; i++)
        gap = MGI_MAX(gap, fabs((double)a[i] - (double)b[i]));
    return gap;
}

static void t_lif_golden_case(const mgi_tensors *f, uint64_t seed, const t_lif_case *c)
{
    static float x[T_LIF_TN], g[T_LIF_TN], U[T_LIF_TN], S[T_LIF_TN], H[T_LIF_TN],
        dX[T_LIF_TN];
    static float want[T_LIF_TN];
    const mango_lif r = t_lif_rule(c);
    t_lif_fill(c->name, "x", seed, 0.5f, 0.35f, x);
    t_lif_fill(c->name, "grad_spikes", seed, 1.0f, 0.0f, g);

    T_STATUS(mango_lif_run(&r, T_LIF_T, T_LIF_N, x, T_LIF_N, U, S), MANGO_OK);
    T_CHECK(t_lif_want(f, c->name, "spikes", want));
    T_MEM(S, want, sizeof S);
    T_CHECK(t_lif_want(f, c->name, "membrane", want));
    T_NEAR(t_lif_gap(U, want), 0.0, 1e-5);

    T_STATUS(mango_lif_backward(&r, T_LIF_T, T_LIF_N, x, T_LIF_N, g, H, dX), MANGO_OK);
    T_CHECK(t_lif_want(f, c->name, "grad_x", want));
    T_NEAR(t_lif_gap(dX, want), 0.0, 2e-5);
    /* In place: the scratch may be the result. */
    T_STATUS(mango_lif_backward(&r, T_LIF_T, T_LIF_N, x, T_LIF_N, g, H, H), MANGO_OK);
    T_CHECK(memcmp(H, dX, sizeof H) == 0);
}

static void t_lif_golden(void)
{
    mgi_tensors f;
    mango_err err = {""};
    int64_t seed = 0;
    T_OK_OR_RETURN(mgi_tensors_read(&f, t_golden("lif.safetensors"), NULL, &err), &err);
    const char *text = mgi_tensors_meta(&f, "seed");
    T_CHECK(text && mgi_parse_int(text, 0, INT64_MAX, &seed));
    for (mango_idx i = 0; i < MGI_COUNT(t_lif_cases); i++)
        t_lif_golden_case(&f, (uint64_t)seed, &t_lif_cases[i]);
    mgi_tensors_free(&f);
}

/* A rule from a number: every charge, reset, delay and comparison. */
static mango_lif t_lif_any(int k)
{
    mango_lif r;
    memset(&r, 0, sizeof r);
    r.beta = 0.8f;
    r.tau = k % 3 == 0 ? 0.0f : 2.5f;
    r.decay_input = k % 3 == 1;
    r.input_gain = 1.25f;
    r.U_thr = 0.75f;
    r.reset = (mango_lif_reset)(k / 3 % 4);
    r.U_reset = -0.125f;
    r.reset_delay = k / 12 % 2;
    r.fires_on_equal = k / 24 % 2;
    r.detach_reset = k / 48 % 2;
    r.surrogate = k % 2 ? MANGO_SURROGATE_ATAN : MANGO_SURROGATE_FAST_SIGMOID;
    r.slope = 3.0f;
    return r;
}

/* run == step after step, also with the input held and without U wanted. */
static void t_lif_step_is_run(void)
{
    enum { T = 7, N = 1500 };
    static float x[T * N], U[T * N], S[T * N], S2[T * N], u[N], s[N];
    mango_fill_u("lif.x", 3, T * N, x);
    for (int k = 0; k < 48; k++) {
        const mango_lif r = t_lif_any(k);
        const mango_idx stride = k % 5 ? N : 0;
        int same = 1;
        T_STATUS(mango_lif_run(&r, T, N, x, stride, U, S), MANGO_OK);
        T_STATUS(mango_lif_run(&r, T, N, x, stride, NULL, S2), MANGO_OK);
        T_CHECK(memcmp(S, S2, sizeof S) == 0);
        for (int i = 0; i < N; i++)
            u[i] = r.tau > 0.0f ? r.U_reset : 0.0f;
        for (int t = 0; t < T; t++) {
            T_STATUS(mango_lif_step(&r, N, x + t * stride, u, s), MANGO_OK);
            same &=
                memcmp(u, U + t * N, sizeof u) == 0 && memcmp(s, S + t * N, sizeof s) == 0;
        }
        T_CHECK(same);
    }
}

/* Theta at the threshold itself, and for what is no number. */
static void t_lif_edges(void)
{
    const float nan = mgi_from_f16(0x7e00), inf = mgi_from_f16(0x7c00);
    for (int k = 0; k < 48; k++) {
        mango_lif r = t_lif_any(k);
        float x[3] = {nan, -inf, 0.75f / 1.25f}, U[3] = {0.0f, 0.0f, 0.0f},
              S[3] = {9, 9, 9};
        T_STATUS(mango_lif_step(&r, 3, x, U, S), MANGO_OK);
        T_CHECK(S[0] == 0.0f && S[1] == 0.0f && (S[2] == 0.0f || S[2] == 1.0f));
        T_STATUS(mango_lif_step(&r, 3, x, U, S), MANGO_OK);
        T_CHECK(S[0] == 0.0f && S[1] == 0.0f);
    }
    mango_lif r;
    float x = 1.0f, U = 0.0f, S = 9.0f;
    T_STATUS(mango_lif_preset("snntorch", &r), MANGO_OK);
    T_CHECK(mango_lif_step(&r, 1, &x, &U, &S) == MANGO_OK && S == 0.0f && U == 1.0f);
    r.fires_on_equal = 1;
    U = 0.0f;
    T_CHECK(mango_lif_step(&r, 1, &x, &U, &S) == MANGO_OK && S == 1.0f && U == 1.0f);
    x = 0.0f; /* the pending reset: .9*1 + 0 - 1 */
    T_CHECK(mango_lif_step(&r, 1, &x, &U, &S) == MANGO_OK && S == 0.0f);
    T_NEAR((double)U, -0.1, 1e-7);
    T_STATUS(mango_lif_preset("spikingjelly", &r), MANGO_OK);
    x = 2.0f;
    U = 0.0f;
    T_CHECK(mango_lif_step(&r, 1, &x, &U, &S) == MANGO_OK && S == 1.0f && U == 0.0f);
}

/* A rule with one field spoiled is refused by name, and nothing is written. */
static void t_lif_refuses(const mango_lif *r, const char *field)
{
    mango_err err = {""};
    float x = 1.0f, U = 0.5f, S = 7.0f;
    T_STATUS(mango_lif_check(r, &err), MANGO_E_ARG);
    T_CHECK(strstr(err.text, field) != NULL);
    T_STATUS(mango_lif_step(r, 1, &x, &U, &S), MANGO_E_ARG);
    T_CHECK(U == 0.5f && S == 7.0f);
}

static void t_lif_checks(void)
{
    const float nan = mgi_from_f16(0x7e00);
    mango_lif ok, r;
    T_STATUS(mango_lif_preset("snntorch", &ok), MANGO_OK);
    T_STATUS(mango_lif_check(&ok, NULL), MANGO_OK);
    T_STATUS(mango_lif_preset("snntorc", &r), MANGO_E_NAME);
    T_STATUS(mango_lif_preset(NULL, &r), MANGO_E_ARG);
    T_STATUS(mango_lif_check(NULL, NULL), MANGO_E_ARG);
#define T_LIF_BAD(field, value) (r = ok, r.field = value, t_lif_refuses(&r, #field))
    T_LIF_BAD(beta, 1.5f);
    T_LIF_BAD(beta, -0.1f);
    T_LIF_BAD(beta, nan);
    T_LIF_BAD(tau, 0.5f);
    T_LIF_BAD(tau, nan);
    T_LIF_BAD(input_gain, nan);
    T_LIF_BAD(U_thr, 0.0f);
    T_LIF_BAD(U_thr, -1.0f);
    T_LIF_BAD(U_thr, nan);
    T_LIF_BAD(U_reset, 1.0f);
    T_LIF_BAD(U_reset, nan);
    T_LIF_BAD(reset, (mango_lif_reset)4);
    T_LIF_BAD(surrogate, (mango_surrogate)2);
    T_LIF_BAD(slope, 0.0f);
    T_LIF_BAD(detach_reset, 2);
    T_LIF_BAD(reset_delay, -1);
#undef T_LIF_BAD
    float x = 0.0f, U = 0.0f;
    T_STATUS(mango_lif_step(&ok, 1, &x, &U, NULL), MANGO_E_ARG);
    T_STATUS(mango_lif_step(&ok, -1, &x, &U, &U), MANGO_E_ARG);
    T_STATUS(mango_lif_step(&ok, 0, NULL, NULL, NULL), MANGO_OK);
    T_STATUS(mango_lif_run(&ok, 2, 4, &x, 3, &U, &U), MANGO_E_ARG);
}

/* theta'(d), in double. */
static double t_lif_theta(const mango_lif *r, double d)
{
    const double k = (double)r->slope, v = 1.5707963267948966 * k * d;
    if (r->surrogate == MANGO_SURROGATE_ATAN)
        return 0.5 * k / (1.0 + v * v);
    return 1.0 / ((1.0 + k * fabs(d)) * (1.0 + k * fabs(d)));
}

/* A value and its derivative by one chosen input. */
typedef struct t_lif_dual {
    double v, d;
} t_lif_dual;

/* S pulls U to c or down by thr; the slope of S counts unless detached. */
static t_lif_dual t_lif_dual_reset(const mango_lif *r, t_lif_dual S, t_lif_dual H,
                                   t_lif_dual U)
{
    const double c = r->reset == MANGO_RESET_VALUE ? (double)r->U_reset : 0.0;
    if (r->detach_reset)
        S.d = 0.0;
    if (r->reset == MANGO_RESET_NONE)
        return U;
    if (r->reset == MANGO_RESET_SUBTRACT)
        return (t_lif_dual){U.v - S.v * (double)r->U_thr, U.d - S.d * (double)r->U_thr};
    return (t_lif_dual){(1.0 - S.v) * H.v + S.v * c, (1.0 - S.v) * H.d + S.d * (c - H.v)};
}

/* d(sum_t g[t] S[t]) / dx[j] in forward mode: the definition of U and S with
 * dS = theta' dH, step by step. */
static double t_lif_slope(const mango_lif *r, int T, const float *x, const float *g, int j)
{
    const int tau = r->tau > 0.0f, subtract = r->reset == MANGO_RESET_SUBTRACT;
    const double a = tau ? 1.0 - 1.0 / (double)r->tau : (double)r->beta;
    const double gain =
        (double)r->input_gain / (tau && r->decay_input ? (double)r->tau : 1.0);
    const double rest = tau ? (double)r->U_reset : 0.0;
    t_lif_dual U = {rest, 0.0}, S = {0.0, 0.0};
    double slope = 0.0;
    for (int t = 0; t < T; t++) {
        if (r->reset_delay && !subtract)
            U = t_lif_dual_reset(r, S, U, U);
        t_lif_dual H = {rest + a * (U.v - rest) + gain * (double)x[t],
                        a * U.d + (t == j ? gain : 0.0)};
        const int once = !tau && subtract && !r->reset_delay && !r->fires_on_equal;
        const double back = once && U.v > (double)r->U_thr ? (double)r->U_thr : 0.0;
        H.v -= back;
        if (r->reset_delay && subtract)
            H = t_lif_dual_reset(r, S, H, H);
        const double d = H.v - (double)r->U_thr;
        S.v = r->fires_on_equal ? d >= 0.0 : d > 0.0;
        S.d = t_lif_theta(r, d) * H.d;
        slope += (double)g[t] * S.d;
        U = r->reset_delay ? H : t_lif_dual_reset(r, S, H, H);
        U.v += back;
    }
    return slope;
}

/* Subtraction at once that leaves U above the threshold: snnTorch 0.9.4 with
 * reset_delay=False counts one spike, SpikingJelly's soft reset two. */
static void t_lif_at_once(void)
{
    static const float x[5] = {2.5f, 0.2f, 3.25f, 0.1f, 0.1f};
    static const float once_S[5] = {1, 0, 1, 1, 1};
    static const float once_U[5] = {1.5f, 1.55f, 3.645f, 2.3805f, 1.24245f};
    static const float again_S[5] = {1, 1, 1, 1, 1};
    static const char *const sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};
    float S[5], U[5];
    mango_lif r;
    mango_lif_preset("snntorch", &r);
    r.reset_delay = 0;
    T_STATUS(mango_lif_run(&r, 5, 1, x, 1, U, S), MANGO_OK);
    T_MEM(S, once_S, sizeof S);
    T_CLOSE(U, once_U, 5, 1e-6);
    for (mango_idx k = 0; k < MGI_COUNT(sets); k++) {
        const mgi_kernels *kern = mgi_kernels_named(sets[k]);
        const mgi_lif_rule rule = mgi_lif_lower(&r);
        float u[40] = {0.0f}, currents[5][40], s[40];
        uint64_t words[5];
        const mgi_lif_run q = {
            .T = 5, .n = 40, .X = currents[0], .ldX = 40, .U = u, .S = words, .ldS = 1};
        for (int i = 0; i < 200; i++)
            currents[i / 40][i % 40] = x[i / 40];
        for (int t = 0; kern && t < 5; t++) {
            kern->lif(40, &rule, currents[t], u, s);
            T_CHECK(s[0] == once_S[t] && s[39] == once_S[t]);
        }
        memset(u, 0, sizeof u);
        if (kern)
            kern->lif_bits(&rule, &q);
        for (int t = 0; kern && t < 5; t++)
            T_CHECK(words[t] == (once_S[t] > 0 ? ((uint64_t)1 << 40) - 1 : 0));
    }
    r.fires_on_equal = 1; /* an IF or LIF neuron of SpikingJelly, v_reset=None */
    T_STATUS(mango_lif_run(&r, 5, 1, x, 1, NULL, S), MANGO_OK);
    T_MEM(S, again_S, sizeof S);
}

/* Backward in time against forward in time, for every kind of rule. */
static void t_lif_gradients(void)
{
    enum { T = 12 };
    int spikes = 0;
    for (int k = 0; k < 96; k++) {
        const mango_lif r = t_lif_any(k);
        float x[T], g[T], H[T], dX[T], S[T];
        mango_fill_u("gradient.x", (uint64_t)k, T, x);
        mango_fill_u("gradient.g", (uint64_t)k, T, g);
        for (int t = 0; t < T; t++)
            x[t] += 0.7f;
        T_STATUS(mango_lif_run(&r, T, 1, x, 1, NULL, S), MANGO_OK);
        T_STATUS(mango_lif_backward(&r, T, 1, x, 1, g, H, dX), MANGO_OK);
        for (int t = 0; t < T; t++) {
            spikes += S[t] > 0.0f;
            T_NEAR((double)dX[t], t_lif_slope(&r, T, x, g, t), 2e-5);
        }
    }
    T_CHECK(spikes > 96);
}

/* An input held over time receives the sum over time of the gradients. */
static void t_lif_held_input(void)
{
    enum { T = 5, N = 1100 };
    static float x[N], xs[T * N], g[T * N], H[T * N], dXs[T * N], dX[N];
    mango_fill_u("held.x", 1, N, x);
    mango_fill_u("held.g", 1, T * N, g);
    for (int t = 0; t < T; t++)
        memcpy(xs + t * N, x, sizeof x);
    for (int k = 0; k < 96; k += 5) {
        const mango_lif r = t_lif_any(k);
        double gap = 0.0;
        T_STATUS(mango_lif_backward(&r, T, N, xs, N, g, H, dXs), MANGO_OK);
        T_STATUS(mango_lif_backward(&r, T, N, x, 0, g, H, dX), MANGO_OK);
        for (int i = 0; i < N; i++) {
            double sum = 0.0;
            for (int t = 0; t < T; t++)
                sum += (double)dXs[t * N + i];
            gap = MGI_MAX(gap, fabs(sum - (double)dX[i]));
        }
        T_NEAR(gap, 0.0, 1e-5);
    }
}

/* The kernel table's entry against the plain loop, odd sizes, all sets. */
static void t_lif_kernels(void)
{
    static const char *const sets[] = {"ref", "sse2", "avx2", "avx512", "neon"};
    enum { N = 77 };
    float x[N], U0[N], Ua[N], Ub[N], Sa[N], Sb[N];
    mango_fill_u("kernel.x", 5, N, x);
    mango_fill_u("kernel.U", 5, N, U0);
    x[3] = mgi_from_f16(0x7e00);
    U0[5] = 0.75f;
    for (mango_idx s = 0; s < MGI_COUNT(sets); s++) {
        const mgi_kernels *kern = mgi_kernels_named(sets[s]);
        for (int k = 0; kern && k < 48; k++) {
            const mango_lif rule = t_lif_any(k);
            const mgi_lif_rule r = mgi_lif_lower(&rule);
            memcpy(Ua, U0, sizeof U0);
            memcpy(Ub, U0, sizeof U0);
            mgi_lif_ref(N, &r, x, Ua, Sa);
            kern->lif(N, &r, x, Ub, Sb);
            T_CHECK(memcmp(Sa, Sb, sizeof Sa) == 0);
            Ua[3] = Ub[3] = 0.0f; /* any NaN is as good as another */
            T_CHECK(memcmp(Ua, Ub, sizeof Ua) == 0);
        }
    }
}

void t_lif(void)
{
    T_CASE(t_lif_golden);
    T_CASE(t_lif_step_is_run);
    T_CASE(t_lif_edges);
    T_CASE(t_lif_checks);
    T_CASE(t_lif_at_once);
    T_CASE(t_lif_gradients);
    T_CASE(t_lif_held_input);
    T_CASE(t_lif_kernels);
}

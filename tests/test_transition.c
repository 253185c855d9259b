/* test_transition.c - modes as real axes: the three kinds, there and back, renaming; the
 * normal distribution and its inverse.
 * SPDX-License-Identifier: MIT */
#include "opt_rig.h"

/* Values of the normal distribution from tables, and the inverse over the whole range. */
static void t_transition_normal(void)
{
    T_NEAR(mgi_normal_cdf(0.0), 0.5, 0.0);
    T_NEAR(mgi_normal_cdf(1.0), 0.84134474606854293, 2e-16);
    T_NEAR(mgi_normal_cdf(-1.96), 0.024997895148220435, 2e-16);
    T_NEAR(mgi_normal_cdf(40.0), 1.0, 0.0);
    T_NEAR(mgi_normal_quantile(0.5), 0.0, 1e-16);
    T_NEAR(mgi_normal_quantile(0.975), 1.959963984540054, 1e-14);
    T_NEAR(mgi_normal_quantile(1e-3), -3.090232306167813, 1e-12);
    T_CHECK(isinf(mgi_normal_quantile(0.0)) && isinf(mgi_normal_quantile(1.0)));
    T_CHECK(isnan(mgi_normal_quantile(NAN)));
    double worst = 0.0;
    for (int i = 1; i < 4000; i++) {
        const double p = i / 4000.0;
        worst = fmax(worst, fabs(mgi_normal_cdf(mgi_normal_quantile(p)) - p));
    }
    T_CHECK(worst < 4e-16);
    for (double p = 1e-9; p > 1e-15; p *= 0.1)
        T_NEAR(mgi_normal_cdf(mgi_normal_quantile(p)), p, 4e-16);
}

static int t_transition_open(mgi_axes *a, mango_opt **p, const mango_modes *m,
                             const mango_facts *f, int rename)
{
    mango_err err = {""};
    *p = t_rig_new("random", m, f, "", 1);
    return *p && T_OK(mgi_axes_create(a, *p, rename, &err), &err);
}

static void t_transition_close(mgi_axes *a, mango_opt *p)
{
    mgi_axes_free(a);
    mango_opt_destroy(p);
}

/* Every level comes back from its place, and places rise with levels. */
static void t_transition_back(void)
{
    static const mango_idx n[7] = {1, 2, 3, 64, 4096, 65536, 1 << 29};
    for (int k = 0; k < 7; k++)
        for (int latent = 0; latent < 2; latent++) {
            mgi_axes a;
            mango_opt *p;
            mango_facts f;
            mango_idx bad = 0;
            const mango_modes m = {1, n + k};
            T_STATUS(mango_facts_defaults(&f), MANGO_OK);
            f.prior = latent ? MANGO_PRIOR_NORMAL : MANGO_PRIOR_NONE;
            f.prior_lo = -4.0, f.prior_hi = 4.0;
            T_REQUIRE(t_transition_open(&a, &p, &m, &f, 0));
            const mango_idx step = n[k] > 5000 ? n[k] / 5000 : 1;
            for (mango_idx i = 0; i < n[k]; i += step) {
                bad += mgi_axes_level(&a, 0, mgi_axes_place(&a, 0, i)) != i;
                bad += i + 1 < n[k] &&
                       mgi_axes_place(&a, 0, i) >= mgi_axes_place(&a, 0, i + 1);
            }
            T_EQ(bad, 0);
            T_EQ(mgi_axes_level(&a, 0, -1e300), 0);
            T_EQ(mgi_axes_level(&a, 0, 1e300), n[k] - 1);
            T_EQ(mgi_axes_level(&a, 0, -(double)INFINITY), 0);
            T_EQ(mgi_axes_level(&a, 0, (double)NAN), 0);
            t_transition_close(&a, p);
        }
}

/* Numbers of Nevergrad's TransitionChoice of 16 levels; latents; real intervals. */
static void t_transition_values(void)
{
    mango_idx n[3] = {16, MANGO_REAL, 16};
    const mango_modes m = {3, n};
    mgi_axes a;
    mango_opt *p;
    mango_facts f;
    T_REQUIRE(t_transition_open(&a, &p, &m, NULL, 0));
    T_NEAR(mgi_axes_place(&a, 0, 0), -1.8627318674216515, 1e-13);
    T_NEAR(mgi_axes_place(&a, 2, 1), -1.3180108973035372, 1e-13);
    T_NEAR(mgi_axes_place(&a, 0, 7), -0.078412412733112, 1e-13);
    T_EQ(mgi_axes_level(&a, 0, 0.04), 8);
    T_EQ(mgi_axes_level(&a, 0, -1.0), 2);
    T_EQ(mgi_axes_level(&a, 0, 1.0), 13);
    T_NEAR(mgi_axes_place(&a, 1, 0), -sqrt(3.0), 1e-15);
    T_NEAR(mgi_axes_place(&a, 1, MANGO_REAL - 1), sqrt(3.0), 1e-15);
    T_EQ(mgi_axes_level(&a, 1, 0.0), MANGO_REAL / 2);
    t_transition_close(&a, p);
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.prior = MANGO_PRIOR_NORMAL;
    f.prior_lo = -4.0, f.prior_hi = 3.5;
    T_REQUIRE(t_transition_open(&a, &p, &m, &f, 0));
    T_NEAR(mgi_axes_place(&a, 0, 3), -2.5, 1e-15);
    T_EQ(mgi_axes_level(&a, 0, -2.3), 3);
    T_EQ(mgi_axes_level(&a, 0, -2.2), 4);
    T_NEAR(mgi_axes_place(&a, 1, MANGO_REAL - 1), 3.5, 1e-15);
    t_transition_close(&a, p);
}

/* Points on a line in the plane come in the order of the line, or its reverse. */
static void t_transition_rename(void)
{
    enum { N = 6 };
    static const int order[N] = {3, 0, 5, 1, 4, 2}; /* levels along the line */
    float level[2 * N];
    mango_idx n[5] = {N, N, N, N, 9};
    const mango_modes m = {5, n};
    mango_facts f;
    mgi_axes a;
    mango_opt *p;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    for (int r = 0; r < N; r++) {
        level[2 * order[r]] = 0.3f * (float)r;
        level[2 * order[r] + 1] = 2.0f - 0.7f * (float)r + (r == 2 ? 0.05f : 0.0f);
    }
    f.levels = level;
    f.level_dim = 2;
    f.H = f.W = 2;
    T_REQUIRE(t_transition_open(&a, &p, &m, &f, 1));
    const int up = mgi_axes_level(&a, 1, -3.0) == order[0];
    for (int r = 0; r < N; r++) {
        const double t = mgi_normal_quantile((r + 0.5) / N);
        T_EQ(mgi_axes_level(&a, 3, t), order[up ? r : N - 1 - r]);
        T_NEAR(mgi_axes_place(&a, 2, order[up ? r : N - 1 - r]), t, 1e-13);
    }
    T_EQ(mgi_axes_level(&a, 4, -3.0), 0); /* not of the grid: as they are */
    t_transition_close(&a, p);
    T_REQUIRE(t_transition_open(&a, &p, &m, &f, 0));
    T_EQ(mgi_axes_level(&a, 3, -3.0), 0);
    t_transition_close(&a, p);
}

void t_transition(void)
{
    T_CASE(t_transition_normal);
    T_CASE(t_transition_back);
    T_CASE(t_transition_values);
    T_CASE(t_transition_rename);
}

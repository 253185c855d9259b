/* test_sphere_cma.c - a strategy on a sphere: how long, how far, where to; odd spaces, the
 * same bits, resume.
 * SPDX-License-Identifier: MIT */
#include "opt_rig.h"

enum { T_SPHERE_D = 64, T_SPHERE_L = 4001 };

static mango_facts t_sphere_facts(void)
{
    mango_facts f;
    T_STATUS(mango_facts_defaults(&f), MANGO_OK);
    f.prior = MANGO_PRIOR_NORMAL;
    f.prior_lo = -8.0, f.prior_hi = 8.0;
    return f;
}

static double t_sphere_z(mango_idx i)
{
    return -8.0 + 16.0 * (double)i / (T_SPHERE_L - 1);
}

/* z.a/|z| and |z| */
static double t_sphere_along(const mango_idx *I, const double *a, double *length)
{
    double dot = 0.0, squares = 0.0;
    for (int j = 0; j < T_SPHERE_D; j++) {
        const double z = t_sphere_z(I[j]);
        dot += z * a[j];
        squares += z * z;
    }
    *length = sqrt(squares);
    return dot / *length;
}

/* All proposals have the sphere's length; mutations turn by the angle of the schedule; and
 * the mean goes to the direction that is rewarded. */
static void t_sphere_goes(void)
{
    mango_idx n[T_SPHERE_D], I[T_SPHERE_D];
    const mango_modes m = t_rig_modes(n, T_SPHERE_D, T_SPHERE_L);
    const mango_facts f = t_sphere_facts();
    mango_opt *p = t_rig_new("sphere-cma", &m, &f, "radius=2,first=40,last=10,decay=3000", 1);
    double a[T_SPHERE_D], best = -1.0, first = -1.0, length, off = 0.0;
    for (int j = 0; j < T_SPHERE_D; j++)
        a[j] = (j % 2 ? 1.0 : -1.0) / sqrt(T_SPHERE_D);
    for (int q = 0; q < 4000; q++) {
        const uint64_t id = t_rig_ask(p, I);
        const double y = t_sphere_along(I, a, &length);
        off = fmax(off, fabs(length - 16.0));
        best = fmax(best, y);
        first = q < 20 ? best : first;
        t_rig_tell(p, id, I, y);
    }
    T_CHECK(off < 0.05);
    T_CHECK(first < 0.5);
    T_CHECK(best > 0.98); /* cos 10 degrees is .985 */
    char text[256];
    T_CHECK(mango_opt_explain(p, text, sizeof text) > 0);
    T_CHECK(strstr(text, "radius 16 in 64 modes") && strstr(text, "turn by 10 degrees"));
    mango_opt_destroy(p);
}

/* The angle between mutants of one mean a: cos of it is cos^2 a, (1) being round. */
static void t_sphere_angle(void)
{
    enum { K = 40 };
    static mango_idx n[T_SPHERE_D], I[K * T_SPHERE_D];
    const mango_modes m = t_rig_modes(n, T_SPHERE_D, T_SPHERE_L);
    const mango_facts f = t_sphere_facts();
    mango_opt *p = t_rig_new("sphere-cma", &m, &f, "k=20,first=30,last=30", 5);
    double mean = 0.0;
    for (int q = 0; q < 20; q++) {
        const uint64_t id = t_rig_ask(p, I);
        t_rig_tell(p, id, I, (double)I[0]);
    }
    mango_idx got = K;
    T_STATUS(mango_opt_ask(p, K, &got, I), MANGO_OK);
    for (int k = 1; k < K; k++) {
        double b[T_SPHERE_D], length;
        for (int j = 0; j < T_SPHERE_D; j++)
            b[j] = t_sphere_z(I[(k - 1) * T_SPHERE_D + j]);
        mean += t_sphere_along(I + k * T_SPHERE_D, b, &length) / length / (K - 1);
    }
    T_NEAR(mean, cos(30.0 * 3.14159265 / 180.0) * cos(30.0 * 3.14159265 / 180.0), 0.02);
    mango_opt_destroy(p);
}

/* In other spaces too: on levels, where the places of N(0,1) are uniform. */
static void t_sphere_levels(void)
{
    mango_idx n[30];
    const mango_modes m = t_rig_modes(n, 30, 32);
    mango_opt *p = t_rig_new("sphere-cma", &m, NULL, "", 2);
    mango_opt *q = t_rig_new("random", &m, NULL, "", 2);
    const double ours = t_rig_run(p, &m, t_rig_sphere, 2000, 10);
    T_CHECK(ours < 0.7 * t_rig_run(q, &m, t_rig_sphere, 2000, 10));
    mango_opt_destroy(p);
    mango_opt_destroy(q);
}

static void t_sphere_hard(void)
{
    t_rig_hard("sphere-cma");
}

static void t_sphere_memory(void)
{
    char name[] = "sphere-cma";
    T_CHECK(t_oom_sweep(t_rig_make, name) >= 10);
}

static void t_sphere_bits(void)
{
    const uint64_t h = t_rig_hash("sphere-cma", NULL, "");
    if (!T_CHECK(h == 0x3035a4dd585e5916u))
        printf("    0x%016llxu\n", (unsigned long long)h);
}

static void t_sphere_resume(void)
{
    t_rig_resume("sphere-cma");
}

void t_sphere_cma(void)
{
    T_CASE(t_sphere_goes);
    T_CASE(t_sphere_angle);
    T_CASE(t_sphere_levels);
    T_CASE(t_sphere_hard);
    T_CASE(t_sphere_memory);
    T_CASE(t_sphere_bits);
    T_CASE(t_sphere_resume);
}

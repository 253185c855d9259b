/* sphere_cma.c - an evolution strategy on a hypersphere, for latents drawn from N(0,1).
 *
 * Such latents lie near a sphere, and generators are best where their samples lie. So the
 * search goes along it: x of length 1, z = R x,
 *     v_k = a_t u_k/sqrt(d - 1),  u_k = (1 - x x^T) N(0,1)                        (1)
 *     x_k = Exp_x(v_k) = cos|v_k| x + sin|v_k| v_k/|v_k|                           (2)
 *     x <- Exp_x(rate sum_i w_i Log_x(x_{i:lambda}))                               (3)
 *     Log_x(y) = angle(x,y) times the direction of (1 - x x^T) y                    (4)
 *     a_t = a_0 (a_1/a_0)^min(1, told/decay)                                       (5)
 * with CMA-ES's weights w_i ~ ln((lambda+1)/2) - ln i of the better half. The first
 * generation is uniform on the sphere, and x their weighted mean. The angle a of a mutation
 * shrinks on a schedule; the covariance stays round, as it stays in thousands of dimensions
 * for as long as anybody searches.
 * In other spaces z are the places of transition.h, which are normal a priori as well.
 * Source: Wang and Ponce, "High-performance evolutionary algorithms for online neuron
 * control", GECCO 2022: their spherical CMA, with exponential maps for mutation and mean.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "../base/rng.h"
#include "../math/eigen.h"
#include "gp.h"
#include "transition.h"

#define SPHERE_RNG 0x53504801u
#define SPHERE_TURN 6.283185307179586

static const mango_opt_spec sphere_option[] = {
    {"k", "values of a generation", MANGO_OPT_INT, 4, 4096, 20, 0, NULL, NULL},
    {"radius", "of the sphere, in parts of sqrt d; 0: on latents 1.5, else 1", MANGO_OPT_REAL,
     0, 100, 0, 0, NULL, NULL},
    {"first", "angle of the first mutations, degrees", MANGO_OPT_REAL, 0, 90, 50, 1, NULL,
     NULL},
    {"last", "angle of the last ones", MANGO_OPT_REAL, 0, 90, 15, 1, NULL, "first"},
    {"decay", "values from the first to the last", MANGO_OPT_INT, 1, 1 << 30, 1000, 0, NULL,
     NULL},
    {"rate", "how far the mean goes", MANGO_OPT_REAL, 0, 10, 1.5, 1, NULL, NULL},
    MGI_AXES_OPTIONS,
};

typedef struct mgi_sphere {
    mgi_axes axes;
    mango_idx d, lambda, cap, rows, own, told, generations; /* told: since the start */
    double radius, first, last, decay, rate;
    double *x;         /* (d) the mean; length 0: none yet   */
    double *row;       /* (cap, d) places of codes           */
    double *y, *tie;   /* (cap)                              */
    mango_idx *order;  /* (cap)                              */
    double *work;      /* (d + cap)                          */
} mgi_sphere;

static double sphere_length(mango_idx d, const double *x)
{
    return sqrt(mgi_dot64(d, x, x));
}

/* (5), as a turn's part of 1. */
static double sphere_angle(const mgi_sphere *p)
{
    const double t = MGI_MIN(1.0, (double)p->told / p->decay);
    return p->first * mgi_exp(t * mgi_log(p->last / p->first)) / 360.0;
}

/* v without its part along x. */
static void sphere_tangent(mango_idx d, const double *x, double *v)
{
    const double along = mgi_dot64(d, x, v);
    for (mango_idx j = 0; j < d; j++)
        v[j] -= along * x[j];
}

/* (2) in place: y = Exp_x(v), v of the length `angle` radians. */
static void sphere_exp(mango_idx d, const double *x, double angle, double *v)
{
    const double turns = angle / SPHERE_TURN, length = sphere_length(d, v);
    const double c = mgi_cos2pi(turns), s = length > 0.0 ? mgi_sin2pi(turns) / length : 0.0;
    for (mango_idx j = 0; j < d; j++)
        v[j] = c * x[j] + s * v[j];                                             /* (2) */
}

/* ---- ask ------------------------------------------------------------------ */

/* One mode: the sphere is two points, so any level. */
static mango_idx sphere_line(const mgi_sphere *p, mango_rng *rng)
{
    return mgi_axes_uniform(&p->axes, 0, mango_rng_uniform(rng));
}

static void sphere_mutant(const mgi_sphere *p, mango_rng *rng, mango_idx *I)
{
    const mango_idx d = p->d;
    double *v = p->work;
    if (d == 1) {
        I[0] = sphere_line(p, rng);
        return;
    }
    for (mango_idx j = 0; j < d; j++)
        v[j] = mango_rng_normal(rng);
    if (sphere_length(d, p->x) > 0.0) {
        sphere_tangent(d, p->x, v);                                             /* (1) */
        const double u = sphere_length(d, v) / sqrt((double)(d - 1));
        sphere_exp(d, p->x, u * sphere_angle(p) * SPHERE_TURN, v);
    }
    const double length = sphere_length(d, v);
    for (mango_idx j = 0; j < d && length > 0.0; j++)
        v[j] *= p->radius / length;
    mgi_axes_code(&p->axes, v, I);
}

static mango_status sphere_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    const mgi_sphere *p = o->state;
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, SPHERE_RNG, o->asked + (uint64_t)k);
        sphere_mutant(p, &rng, I + k * o->d);
    }
    return MANGO_OK;
}

/* ---- tell ----------------------------------------------------------------- */

/* (4): row y becomes Log_x(y). Without a mean: its direction alone. */
static void sphere_log(const mgi_sphere *p, double *y)
{
    const mango_idx d = p->d;
    const double length = sphere_length(d, y);
    for (mango_idx j = 0; j < d && length > 0.0; j++)
        y[j] /= length;
    if (sphere_length(d, p->x) == 0.0)
        return;
    const double c = mgi_dot64(d, p->x, y);
    sphere_tangent(d, p->x, y);
    const double s = sphere_length(d, y);
    const double angle = mgi_atan(s / MGI_MAX(fabs(c), 1e-300));
    const double scale = s > 0.0 ? (c < 0.0 ? 0.5 * SPHERE_TURN - angle : angle) / s : 0.0;
    for (mango_idx j = 0; j < d; j++)
        y[j] *= scale;
}

static int sphere_equal(const mgi_sphere *p, mango_idx a, mango_idx b)
{
    return p->y[a] == p->y[b] && p->tie[a] == p->tie[b];
}

/* Weights of n ordered rows into y, equal ones the same; they sum to 1. */
static void sphere_weights(mgi_sphere *p, mango_idx n)
{
    const double half = mgi_log(0.5 * (double)(n + 1));
    double all = 0.0;
    for (mango_idx i = 0, to; i < n; i = to) {
        double sum = 0.0;
        for (to = i; to < n && sphere_equal(p, p->order[i], p->order[to]); to++)
            sum += MGI_MAX(0.0, half - mgi_log((double)(to + 1)));
        for (mango_idx k = i; k < to; k++)
            p->work[k] = sum / (double)(to - i);
        all += sum;
    }
    for (mango_idx i = 0; i < n; i++)
        p->y[p->order[i]] = p->work[i] / all;
}

/* (3). Nothing is learnt where all values are equal. */
static void sphere_update(mgi_sphere *p)
{
    const mango_idx d = p->d, n = p->rows;
    double *g = p->work;
    p->rows = p->own = 0;
    p->generations++;
    mgi_order(n, p->y, p->tie, p->order);
    if (d == 1 || n < 2 || sphere_equal(p, p->order[0], p->order[n - 1]))
        return;
    sphere_weights(p, n);
    memset(g, 0, (size_t)d * sizeof *g);
    for (mango_idx i = 0; i < n; i++) {
        double *y = p->row + p->order[i] * d;
        const double w = p->y[p->order[i]];
        if (w == 0.0)
            continue;
        sphere_log(p, y);
        for (mango_idx j = 0; j < d; j++)
            g[j] += w * y[j];
    }
    if (sphere_length(d, p->x) > 0.0)
        sphere_exp(d, p->x, p->rate * sphere_length(d, g), g);
    const double length = sphere_length(d, g);
    for (mango_idx j = 0; j < d && length > 0.0; j++)
        p->x[j] = g[j] / length;
}

/* Codes of others are ranked with the own ones, but do not end a generation. */
static void sphere_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_sphere *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        const int own = !t->told || row.id != MANGO_UNASKED;
        p->own += own;
        p->told += own;
        if (!mgi_is_nan(row.y)) {
            p->y[p->rows] = row.y;
            p->tie[p->rows] = row.tie;
            mgi_axes_places(&p->axes, row.I, p->row + p->rows * p->d);
            p->rows++;
        }
        if (p->rows == p->cap || p->own == p->cap)
            sphere_update(p);
    }
    if (p->own >= p->lambda)
        sphere_update(p);
}

static void sphere_restart(mango_opt *o, uint64_t epoch)
{
    mgi_sphere *p = o->state;
    (void)epoch; /* the streams of the proposals go on */
    p->rows = p->own = p->told = 0;
    memset(p->x, 0, (size_t)p->d * sizeof *p->x);
}

/* ---- for people ----------------------------------------------------------- */

static void sphere_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_sphere *p = o->state;
    mgi_str_printf(s, "sphere of radius %.4g in %td modes, generation %td of %td\n", p->radius,
                   p->d, p->generations, p->lambda);
    mgi_str_printf(s, "mutations turn by %.3g degrees", 360.0 * sphere_angle(p));
    mgi_str_puts(s, sphere_length(p->d, p->x) > 0.0 ? "\n" : ", the first are uniform\n");
}

static void sphere_why(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_sphere *p = o->state;
    (void)k;
    if (sphere_length(p->d, p->x) > 0.0)
        mgi_str_printf(s, "the mean, turned by some %.3g degrees", 360.0 * sphere_angle(p));
    else
        mgi_str_puts(s, "uniform on the sphere");
}

/* ---- life ----------------------------------------------------------------- */

static void sphere_destroy(mango_opt *o)
{
    mgi_sphere *p = o->state;
    if (!p)
        return;
    mgi_axes_free(&p->axes);
    mgi_del(&o->al, p->x, p->d, sizeof *p->x);
    mgi_del(&o->al, p->row, p->cap * p->d, sizeof *p->row);
    mgi_del(&o->al, p->y, p->cap, sizeof *p->y);
    mgi_del(&o->al, p->tie, p->cap, sizeof *p->tie);
    mgi_del(&o->al, p->order, p->cap, sizeof *p->order);
    mgi_del(&o->al, p->work, p->d + p->cap, sizeof *p->work);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static int sphere_memory(mango_opt *o, mgi_sphere *p)
{
    mango_idx numbers = 0;
    if (!mgi_mul(p->cap, p->d, &numbers))
        return 0;
    p->x = mgi_new(&o->al, p->d, sizeof *p->x);
    p->row = mgi_new(&o->al, numbers, sizeof *p->row);
    p->y = mgi_new(&o->al, p->cap, sizeof *p->y);
    p->tie = mgi_new(&o->al, p->cap, sizeof *p->tie);
    p->order = mgi_new(&o->al, p->cap, sizeof *p->order);
    p->work = mgi_new(&o->al, p->d + p->cap, sizeof *p->work);
    return p->x && p->row && p->y && p->tie && p->order && p->work;
}

static mango_status sphere_create(mango_opt *o, mango_err *err)
{
    mgi_sphere *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "sphere-cma: out of memory");
    p->d = o->d;
    p->lambda = mgi_opt_int(o, "k");
    p->cap = 2 * p->lambda;
    MGI_TRY(mgi_axes_create(&p->axes, o, mgi_axes_how(o), err));
    const double radius = mgi_opt_real(o, "radius"), known = p->axes.latent ? 1.5 : 1.0;
    p->radius = (radius > 0.0 ? radius : known) * sqrt((double)o->d);
    p->first = mgi_opt_real(o, "first");
    p->last = mgi_opt_real(o, "last");
    p->decay = mgi_opt_real(o, "decay");
    p->rate = mgi_opt_real(o, "rate");
    if (!sphere_memory(o, p))
        return mgi_fail(err, MANGO_E_MEM, "sphere-cma: out of memory for %td modes", o->d);
    o->batch = p->lambda;
    o->ties = 1;
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_sphere_cma(void)
{
    static const mgi_method method = {
        .name = "sphere-cma",
        .option = sphere_option,
        .n_options = MGI_COUNT(sphere_option),
        .create = sphere_create,
        .ask = sphere_ask,
        .tell = sphere_tell,
        .restart = sphere_restart,
        .destroy = sphere_destroy,
        .explain = sphere_explain,
        .why = sphere_why,
    };
    return &method;
}

#undef SPHERE_RNG
#undef SPHERE_TURN

/* protes_plain.c - PROTES, written as it reads: begin here. tt.c does the same, fast.
 *
 * A tensor train gives every code (i_1 .. i_d) a weight by multiplying one matrix a mode:
 *
 *      i_1        i_2        i_3               i_d          the level of a mode
 *       |          |          |                 |           chooses a slice of its core
 *     +---+  r   +---+  r   +---+   r      r  +---+
 *     |G_1|------|G_2|------|G_3|---- ... ----|G_d|         w = G_1[i_1] ... G_d[i_d]
 *     +---+      +---+      +---+             +---+
 *     1 x r      r x r      r x r             r x 1         a few thousand numbers for all
 *                                                           n^d weights
 * From it a distribution, one mode after the other:
 *      z_{d+1} = 1,  z_j = sum_i G_j[i] z_{j+1}          what is to come, summed         (1)
 *      l_1 = 1,      l_{j+1} = l_j G_j[i_j]              what is chosen already          (2)
 *      q_j[i] = l_j G_j[i] z_{j+1},   p(i | i_1 .. i_{j-1}) = |q_j[i]| / sum_i |q_j[i]|  (3)
 *
 * Why the k_top best? To minimize f, MANGO's paper takes F in (0,1), a Fermi function of
 * energy E and temperature T, and by the REINFORCE trick the gradient of its mean is
 *      F[f](x) = 1 / (exp((f(x) - y_min - E)/T) + 1)                          its eq. (4)
 *      grad E F[f] ~ 1/M sum_{i=1..M} F[f](x_i) grad log p(x_i)               its eq. (5)
 * Let T go to 0. Then F = 1 where f(x_i) < y_min + E and F = 0 elsewhere: a sample counts
 * wholly or not at all. E is ours to choose; choose it for each batch so that k_top of its
 * M = k samples are below y_min + E. These are the k_top best, and (5) is, but for k_top/M,
 *      grad of  1/k_top  sum over the k_top best of  log p(x)                            (4)
 * No value enters any more, only its rank: so the method does not care how f is scaled.
 * p climbs it by steps of Adam on the cores (5 of tt.h). That is all.
 *
 * ask: k samples of p by (3).   tell: remember the k_top best; before the next ask, learn.
 * Source: Batsheva, Chertkov, Ryzhakov, Oseledets, "PROTES: probabilistic optimization
 * with tensor sampling", 2023; Pospelov, Chertkov, Beketov, Oseledets, Anokhin, "Fast
 * gradient-free activation maximization for neurons in spiking neural networks", 2025.
 * SPDX-License-Identifier: MIT */
#include "method.h"
#include "ttinner.h"

#define PPLAIN_RNG_INIT 0x54540001u   /* as in tt.c: the same random numbers */
#define PPLAIN_RNG_SAMPLE 0x54540002u
#define PPLAIN_LEVELS ((mango_idx)1 << 24) /* most of a mode */

static const mango_opt_spec pplain_option[] = {
    {"k", "codes of one ask", MANGO_OPT_INT, 1, 1 << 20, 100, 0, NULL, NULL},
    {"k_top", "elite: the best of each batch, which it learns from", MANGO_OPT_INT, 1,
     1 << 20, 10, 0, NULL, "k"},
    {"k_gd", "gradient steps a batch", MANGO_OPT_INT, 1, 10000, 1, 0, NULL, NULL},
    {"lr", "learning rate of Adam", MANGO_OPT_REAL, 0, 1e6, 0.05, 1, NULL, NULL},
    {"r", "rank of the tensor train", MANGO_OPT_INT, 1, 64, 5, 0, NULL, NULL},
};

typedef struct mgi_plain {
    mgi_arena arena;
    const mango_opt *o;
    mango_idx d, r, nmax;
    double lr;
    mango_idx k_gd, k_top, n_top, *top; /* (k_top,d): the best told, best first          */
    double *y;                          /* (k_top) their values                          */
    double *G;                          /* (d, nmax, r, r) the cores                     */
    float *m, *v;                       /* the same: moments of Adam                     */
    double b1t, b2t;                    /* .9^t, .999^t                                  */
    double *z, *zs, *V;                 /* (d+1, r), (d); (d, nmax, r) G_j[i] z_{j+1}    */
    double *l, *ls, *c;                 /* (k_top, d+1, r), (k_top, d+1); d log p/d l_j  */
    double *q, *U, *D, *gz;             /* (nmax); of V_j; of G_j; of z_j (d+1, r)       */
} mgi_plain;

/* All ranks are r here: the rows of G_1 but the first, and the columns of G_d, are zeros and
 * stay so. p does not change when z_j or l_j is multiplied by a number, so both are held in
 * range by powers of two, zs_j and ls_j, which cost no digit (mgi_tt_scale). */
#define PPLAIN_EACH(i, n) for (mango_idx i = 0; i < (n); i++)

static double *pplain_G(const mgi_plain *p, mango_idx j, mango_idx i)
{
    return p->G + (j * p->nmax + i) * p->r * p->r;
}

static double pplain_dot(mango_idx r, const double *x, const double *y)
{
    double s = 0.0;
    PPLAIN_EACH(a, r)
        s += x[a] * y[a];
    return s;
}

/* ---- the method ------------------------------------------------------------------ */

static void pplain_right(mgi_plain *p)
{
    const mango_idx r = p->r;
    for (mango_idx j = p->d - 1; j >= 0; j--) {
        double *z = p->z + j * r, *V = p->V + j * p->nmax * r;
        memset(z, 0, (size_t)r * sizeof *z);
        PPLAIN_EACH(e, p->o->n[j] * r) {
            V[e] = pplain_dot(r, pplain_G(p, j, 0) + e * r, z + r);
            z[e % r] += V[e];                                                       /* (1) */
        }
        p->zs[j] = mgi_tt_scale(r, z);
    }
}

static double pplain_q(mgi_plain *p, mango_idx j, const double *l)
{
    double S = 0.0;
    PPLAIN_EACH(i, p->o->n[j]) {
        p->q[i] = pplain_dot(p->r, l, p->V + (j * p->nmax + i) * p->r);
        S += fabs(p->q[i]);                                                         /* (3) */
    }
    return S;
}

/* l_{j+1}, which follows l in memory; the power of two in it. */
static double pplain_left(const mgi_plain *p, mango_idx j, mango_idx i, double *l)
{
    memset(l + p->r, 0, (size_t)p->r * sizeof *l);
    PPLAIN_EACH(a, p->r)
        PPLAIN_EACH(b, p->r)
            l[p->r + b] += l[a] * pplain_G(p, j, i)[a * p->r + b];                   /* (2) */
    return mgi_tt_scale(p->r, l + p->r);
}

/* One code of p, with random numbers of its own. */
static void pplain_sample(mgi_plain *p, uint64_t number, mango_idx *I)
{
    mango_rng rng;
    mango_rng_init(&rng, p->o->seed, PPLAIN_RNG_SAMPLE, number);
    p->l[0] = 1.0;
    for (mango_idx j = 0; j < p->d; j++) {
        const double S = pplain_q(p, j, p->l + j * p->r);
        const double u = p->o->n[j] <= 4096 ? (double)mango_rng_uniformf(&rng)
                                            : mango_rng_uniform(&rng), x = u * S;
        double sum = 0.0;
        const int flat = !(S > 0.0 && S <= DBL_MAX); /* 0/0: any level */
        I[j] = flat ? (mango_idx)(u * (double)p->o->n[j]) : 0;
        for (mango_idx i = 0; i < p->o->n[j] && !flat && !(sum > x); i++)
            if (fabs(p->q[i]) > 0.0) {
                sum += fabs(p->q[i]);
                I[j] = i;
            }
        pplain_left(p, j, I[j], p->l + j * p->r);
    }
}

/* Elite row k: A_j[i] = d log p/d q_j[i] = [i = i_j]/q_j[i] - sign(q_j[i])/S, what that says
 * to V_j = G_j z_{j+1}, and to l_j; then, from the right, l_j also acts through l_{j+1}. */
static void pplain_row(mgi_plain *p, mango_idx k)
{
    const mango_idx d = p->d, r = p->r, *I = p->top + k * d;
    double *l = p->l + k * (d + 1) * r, *c = p->c + k * (d + 1) * r, *ls = p->ls + k * (d + 1);
    memset(c, 0, (size_t)((d + 1) * r) * sizeof *c);
    PPLAIN_EACH(j, d) {
        const double S = pplain_q(p, j, l + j * r), iS = 1.0 / S, iq = 1.0 / p->q[I[j]];
        const int no = !(S > 0.0 && S <= DBL_MAX && fabs(p->q[I[j]]) >= DBL_MIN); /* 0/0 */
        PPLAIN_EACH(e, no ? 0 : p->o->n[j] * r) {
            const double q = p->q[e / r], sign = q > 0.0 ? iS : q < 0.0 ? -iS : 0.0;
            const double A = (e / r == I[j] ? iq : 0.0) - sign;
            p->U[j * p->nmax * r + e] += A * l[j * r + e % r];
            c[j * r + e % r] += A * p->V[j * p->nmax * r + e];
        }
        ls[j] = pplain_left(p, j, I[j], l + j * r);
    }
    for (mango_idx j = d - 1; j > 0; j--)
        PPLAIN_EACH(a, r) {
            const double *G = pplain_G(p, j, I[j]) + a * r;
            c[j * r + a] += ls[j] * pplain_dot(r, G, c + (j + 1) * r);
        }
}

/* D = d/dG_j: through V_j, to which z_j = sum_i V_j[i] adds its own derivative gz_j, and
 * through l_{j+1} of each elite row; gz_{j+1}. */
static void pplain_core(mgi_plain *p, mango_idx j)
{
    const mango_idx d = p->d, r = p->r;
    double *gz = p->gz + j * r;
    memset(gz + r, 0, (size_t)r * sizeof *gz);
    PPLAIN_EACH(e, p->o->n[j] * r) {
        const double E = p->U[j * p->nmax * r + e] + p->zs[j] * gz[e % r];
        PPLAIN_EACH(b, r) {
            p->D[e * r + b] = E * p->z[(j + 1) * r + b];
            gz[r + b] += E * pplain_G(p, j, 0)[e * r + b];
        }
    }
    PPLAIN_EACH(k, p->n_top) {
        const double *l = p->l + (k * (d + 1) + j) * r, *c = p->c + (k * (d + 1) + j + 1) * r;
        PPLAIN_EACH(e, r * r)
            p->D[p->top[k * d + j] * r * r + e] +=
                p->ls[k * (d + 1) + j] * l[e / r] * c[e % r];
    }
}

/* One number of the cores; as in tt.c all but G is float, D within 1e15, moments below
 * 1e-18 dropped. */
static void pplain_adam(mgi_plain *p, mango_idx at, double D)
{
    const double up = -1.0 / (double)p->n_top * D;
    const float g = (float)(up > 1e15 ? 1e15 : up > -1e15 ? up : up <= -1e15 ? -1e15 : 0.0);
    const float m = (float)MGI_TT_B1 * p->m[at] + (float)(1.0 - MGI_TT_B1) * g;
    const float v = (float)MGI_TT_B2 * p->v[at] + (float)(1.0 - MGI_TT_B2) * (g * g);
    const float c1 = (float)(1.0 / (1.0 - p->b1t)), c2 = (float)(1.0 / (1.0 - p->b2t));
    p->m[at] = fabsf(m) > 1e-18f ? m : 0.0f;
    p->v[at] = v > 1e-36f ? v : 0.0f;
    p->G[at] -= (double)((float)p->lr * (c1 * p->m[at]) / (sqrtf(c2 * p->v[at]) + MGI_TT_EPS));
}

/* One step up (4). */
static void pplain_learn(mgi_plain *p)
{
    const mango_idx one = p->r * p->r;
    pplain_right(p);
    memset(p->U, 0, (size_t)(p->d * p->nmax * p->r) * sizeof *p->U);
    PPLAIN_EACH(k, p->n_top)
        pplain_row(p, k);
    p->b1t *= MGI_TT_B1;
    p->b2t *= MGI_TT_B2;
    PPLAIN_EACH(j, p->d) {
        pplain_core(p, j);
        PPLAIN_EACH(e, p->o->n[j] * one)
            pplain_adam(p, j * p->nmax * one + e, p->D[e]);
    }
}

/* ---- ask and tell ---------------------------------------------------------------- */

static mango_status pplain_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_plain *p = o->state;
    for (mango_idx s = 0; s < p->k_gd && p->n_top > 0; s++)
        pplain_learn(p);
    p->n_top = 0;
    pplain_right(p);
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++)
        pplain_sample(p, o->asked + (uint64_t)k, I + k * o->d);
    return MANGO_OK;
}

static void pplain_tell(mango_opt *o, const mgi_tells *t)
{
    mgi_plain *p = o->state;
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told told = mgi_told_at(t, k);
        mango_idx at = p->n_top;
        while (at > 0 && told.y > p->y[at - 1])
            at--;
        if (mgi_is_nan(told.y) || at == p->k_top)
            continue;
        p->n_top = MGI_MIN(p->n_top + 1, p->k_top);
        for (mango_idx i = p->n_top - 1; i > at; i--) {
            p->y[i] = p->y[i - 1];
            memcpy(p->top + i * o->d, p->top + (i - 1) * o->d, (size_t)o->d * sizeof *p->top);
        }
        p->y[at] = told.y;
        memcpy(p->top + at * o->d, told.I, (size_t)o->d * sizeof *p->top);
    }
}

static void pplain_restart(mango_opt *o, uint64_t epoch)
{
    mgi_plain *p = o->state;
    const mango_idx size = o->d * p->nmax * p->r * p->r;
    for (mango_idx j = 0; j < o->d; j++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, PPLAIN_RNG_INIT, (epoch << 32) + (uint64_t)j);
        PPLAIN_EACH(e, o->n[j] * p->r * p->r)
            if ((j > 0 || e / p->r % p->r == 0) && (j < o->d - 1 || e % p->r == 0))
                pplain_G(p, j, 0)[e] = (double)mango_rng_uniformf(&rng);
    }
    memset(p->m, 0, (size_t)size * sizeof *p->m);
    memset(p->v, 0, (size_t)size * sizeof *p->v);
    p->b1t = p->b2t = 1.0;
    p->n_top = 0;
    p->z[o->d * p->r] = 1.0;
    PPLAIN_EACH(k, p->k_top)
        p->l[k * (o->d + 1) * p->r] = 1.0;
}

/* ---- life ------------------------------------------------------------------------ */

static void pplain_destroy(mango_opt *o)
{
    mgi_plain *p = o->state;
    if (!p)
        return;
    mgi_arena_free(&p->arena);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status pplain_alloc(mgi_plain *p)
{
    const mango_idx d = p->o->d, r = p->r, rows = p->k_top * (d + 1);
    mango_idx size, levels, one;
    if (!mgi_prod(4, (mango_idx[4]){d, p->nmax, r, r}, &size) ||
        !mgi_prod(3, (mango_idx[3]){d, p->nmax, r}, &levels) ||
        !mgi_prod(3, (mango_idx[3]){p->nmax, r, r}, &one))
        return MANGO_E_MEM;
    const mgi_piece piece[] = {
        {&p->top, rows, sizeof *p->top}, {&p->y, p->k_top, sizeof *p->y},
        {&p->G, size, sizeof *p->G},     {&p->m, size, sizeof *p->m},
        {&p->v, size, sizeof *p->v},     {&p->z, (d + 1) * r, sizeof *p->z},
        {&p->zs, d, sizeof *p->zs},      {&p->V, levels, sizeof *p->V},
        {&p->l, rows * r, sizeof *p->l}, {&p->ls, rows, sizeof *p->ls},
        {&p->c, rows * r, sizeof *p->c}, {&p->q, p->nmax, sizeof *p->q},
        {&p->U, levels, sizeof *p->U},   {&p->D, one, sizeof *p->D},
        {&p->gz, (d + 1) * r, sizeof *p->gz},
    };
    return mgi_arena_all(&p->arena, MGI_COUNT(piece), piece);
}

static mango_status pplain_create(mango_opt *o, mango_err *err)
{
    mgi_plain *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "protes-plain: out of memory");
    mgi_arena_init(&p->arena, &o->al);
    p->o = o;
    p->d = o->d;
    p->r = mgi_opt_int(o, "r");
    p->k_gd = mgi_opt_int(o, "k_gd");
    p->lr = mgi_opt_real(o, "lr");
    o->batch = mgi_opt_int(o, "k");
    o->elite = p->k_top = mgi_opt_int(o, "k_top");
    for (mango_idx j = 0; j < o->d; j++)
        p->nmax = MGI_MAX(p->nmax, o->n[j]);
    MGI_CHECK(err, p->nmax <= PPLAIN_LEVELS, "protes-plain: a mode has %td levels, expected "
              "1..2^24", p->nmax);
    const mango_status st = pplain_alloc(p);
    if (st < 0)
        return mgi_fail(err, st, "protes-plain: out of memory for %td cores", o->d);
    pplain_restart(o, 0);
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_protes_plain(void)
{
    static const mgi_method method = {
        .name = "protes-plain",
        .option = pplain_option,
        .n_options = MGI_COUNT(pplain_option),
        .create = pplain_create,
        .ask = pplain_ask,
        .tell = pplain_tell,
        .restart = pplain_restart,
        .destroy = pplain_destroy,
    };
    return &method;
}

#undef PPLAIN_RNG_INIT
#undef PPLAIN_RNG_SAMPLE
#undef PPLAIN_LEVELS
#undef PPLAIN_EACH

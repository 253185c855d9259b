/* latent_pool.c - gp-latent: candidates around the best, and what the model says of them;
 * the equations are in gp_latent.c.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "gp_latent.h"

#define GPL_RNG_POOL 0x47504c02u

/* ---- latents and codes ----------------------------------------------------- */

MGI_FN mango_idx mgi_gpl_level(const mango_opt *o, mango_idx j, float z)
{
    const mgi_gpl *p = o->state;
    if (p->unit[j] == 0.0f)
        return 0;
    const double i = floor((double)((z - p->base[j]) / p->unit[j]) + 0.5);
    return i < 0.0 ? 0 : i > (double)(o->n[j] - 1) ? o->n[j] - 1 : (mango_idx)i;
}

MGI_FN float mgi_gpl_value(const mgi_gpl *p, mango_idx j, mango_idx i)
{
    return p->base[j] + (float)i * p->unit[j];
}

static mango_idx gpl_class(const mgi_gpl *p, const float *z)
{
    mango_idx best = 0;
    for (mango_idx c = 1; c < p->classes; c++)
        if (z[p->first + c] > z[p->first + best])
            best = c;
    return best;
}

MGI_FN void mgi_gpl_class_set(const mgi_gpl *p, mango_idx c, float *z)
{
    const mango_idx from = p->first + gpl_class(p, z), to = p->first + c;
    const float most = z[from];
    if (p->classes == 0)
        return;
    z[from] = z[to];
    z[to] = most;
}

/* The one-hot part of x: (1). */
MGI_FN void mgi_gpl_features(const mango_opt *o, float *x)
{
    const mgi_gpl *p = o->state;
    for (mango_idx c = 0; c < p->classes; c++)
        x[p->d + c] = 0.0f;
    if (p->classes > 0)
        x[p->d + gpl_class(p, x)] = (float)(mgi_opt_real(o, "onehot") * sqrt((double)p->d));
}

static double gpl_norm(const mgi_gpl *p, const float *z)
{
    double sum = 0.0;
    for (mango_idx j = 0; j < p->d; j++)
        sum += (double)z[j] * (double)z[j];
    return sqrt(sum);
}

/* Rounded to levels, other modes of a class may be as high as that of c: one level less. */
static void gpl_class_clear(const mango_opt *o, mango_idx c, float *z)
{
    const mgi_gpl *p = o->state;
    const mango_idx at = p->first + c;
    const mango_idx most = p->classes > 0 ? mgi_gpl_level(o, at, z[at]) : 0;
    for (mango_idx j = p->first; j < p->first + p->classes; j++)
        if (j != at && most > 0 && mgi_gpl_level(o, j, z[j]) >= most)
            z[j] = mgi_gpl_value(p, j, MGI_MIN(most, o->n[j]) - 1);
}

/* z of x scaled to norm `to` (0: as it is), held within the largest and rounded to
 * levels, then (1). */
MGI_FN void mgi_gpl_finish(const mango_opt *o, double to, float *x)
{
    const mgi_gpl *p = o->state;
    const double norm = gpl_norm(p, x), most = MGI_MAX(p->norm, p->grown);
    double want = to > 0.0 ? to : norm;
    if (p->norm > 0.0 && want > most)
        want = most;
    const float by = norm > 0.0 ? (float)(want / norm) : 1.0f;
    const mango_idx c = gpl_class(p, x);
    for (mango_idx j = 0; j < p->d; j++)
        x[j] = mgi_gpl_value(p, j, mgi_gpl_level(o, j, by * x[j]));
    gpl_class_clear(o, c, x);
    mgi_gpl_features(o, x);
}

/* ---- candidates ------------------------------------------------------------- */

static const float *gpl_noise(const mgi_gpl *p, mango_rng *rng, mango_idx *at)
{
    *at = mango_rng_int(rng, MGI_GPL_NOISE);
    return p->noise;
}

/* z += s g for a share of the modes. */
static void gpl_shake(const mgi_gpl *p, mango_rng *rng, double s, double share, float *z)
{
    mango_idx at;
    const float *g = gpl_noise(p, rng, &at);
    const uint32_t below = (uint32_t)(share * 4294967295.0);
    for (mango_idx j = 0; j < p->d; j++)
        if (share >= 1.0 || mango_rng_u32(rng) < below)
            z[j] += (float)s * g[(at + j) & (MGI_GPL_NOISE - 1)];
}

/* z += s v, v as long as g: partly the slope at the parent of rank r. */
static void gpl_climb(const mgi_gpl *p, mango_rng *rng, double s, mango_idx r, float *z)
{
    mango_idx at;
    const float *g = gpl_noise(p, rng, &at), *to = p->slope + r % MGI_GPL_SLOPES * p->dim;
    const double by = 0.2 + 0.8 * mango_rng_uniform(rng);
    const float along = (float)(s * by * sqrt((double)p->d));
    const float across = (float)(s * sqrt(1.0 - by * by));
    for (mango_idx j = 0; j < p->d; j++)
        z[j] += across * g[(at + j) & (MGI_GPL_NOISE - 1)] + along * to[j];
}

/* (2), or, of a space with reference codes, every other time one of these. */
MGI_FN void mgi_gpl_draw(const mango_opt *o, mango_rng *rng, float *z)
{
    const mgi_gpl *p = o->state;
    if (o->facts.n_codes > 0 && mango_rng_int(rng, 2) == 0) {
        const mango_idx *I = o->facts.codes + mango_rng_int(rng, o->facts.n_codes) * o->d;
        for (mango_idx j = 0; j < p->d; j++)
            z[j] = mgi_gpl_value(p, j, I[j]);
        return;
    }
    if (p->radius == 0.0) {
        for (mango_idx j = 0; j < p->d; j++)
            z[j] = mgi_gpl_value(p, j, mango_rng_int(rng, o->n[j]));
        return;
    }
    memset(z, 0, (size_t)p->d * sizeof *z);
    const double vary = mgi_opt_real(o, "vary") * (2.0 * mango_rng_uniform(rng) - 1.0);
    gpl_shake(p, rng, p->radius / sqrt((double)p->d) * mgi_exp(vary), 1.0, z);
}

/* A place in the elite, by exponential ranks. */
static mango_idx gpl_rank(const mango_opt *o, mango_rng *rng)
{
    const mgi_gpl *p = o->state;
    const mango_idx E = MGI_MIN(mgi_opt_int(o, "elite"), p->gp.n);
    const double r = -mgi_log(1.0 - mango_rng_uniform(rng)) * (double)E / 3.0;
    return r < (double)E ? (mango_idx)r : mango_rng_int(rng, E);
}

static const float *gpl_parent(const mango_opt *o, mango_rng *rng)
{
    const mgi_gpl *p = o->state;
    return p->gp.X + p->order[gpl_rank(o, rng)] * p->dim;
}

static double gpl_step(const mango_opt *o, mango_rng *rng)
{
    const double lo = mgi_log(mgi_opt_real(o, "least")), hi = mgi_log(mgi_opt_real(o, "step"));
    return mgi_exp(lo + (hi - lo) * mango_rng_uniform(rng));
}

static void gpl_cross(const mango_opt *o, mango_rng *rng, float *z)
{
    const mgi_gpl *p = o->state;
    const float *q = gpl_parent(o, rng);
    for (mango_idx j = 0; j < p->d; j++)
        if (mango_rng_u32(rng) >> 31)
            z[j] = q[j];
}

static void gpl_differ(const mango_opt *o, mango_rng *rng, double s, float *z)
{
    const mgi_gpl *p = o->state;
    const float *a = gpl_parent(o, rng), *b = gpl_parent(o, rng);
    for (mango_idx j = 0; j < p->d; j++)
        z[j] += (float)s * (a[j] - b[j]);
}

/* Which of (3): the shares of candidates. */
static int gpl_ways(mango_rng *rng)
{
    static const double upto[] = {0.08, 0.48, 0.68, 0.84};
    const double u = mango_rng_uniform(rng);
    int way = MGI_GPL_FRESH;
    for (int i = 0; i < MGI_COUNT(upto); i++)
        way += u >= upto[i];
    return way;
}

/* z moves by one of (3), or by the one that stands in for it, which is returned. */
static int gpl_move(const mango_opt *o, mango_rng *rng, int way, mango_idx rank, float *z)
{
    const mgi_gpl *p = o->state;
    const double s = gpl_step(o, rng), share = mango_rng_uniform(rng) < 0.7 ? 1.0 : 0.3;
    const int climbs = mango_rng_uniform(rng) < mgi_opt_real(o, "climb");
    if (way == MGI_GPL_FRESH)
        mgi_gpl_draw(o, rng, z);
    else if (way == MGI_GPL_CROSS)
        gpl_cross(o, rng, z);
    else if (way == MGI_GPL_DIFFER)
        gpl_differ(o, rng, s, z);
    else if (climbs)
        gpl_climb(p, rng, s, rank, z);
    else
        gpl_shake(p, rng, s, share, z);
    return climbs && (way == MGI_GPL_JITTER || way == MGI_GPL_MEAN) ? MGI_GPL_CLIMB : way;
}

/* Candidate j of a pool: (3). */
static void gpl_candidate(const mango_opt *o, mango_rng *rng, mango_idx j)
{
    mgi_gpl *p = o->state;
    float *x = p->x + j * p->dim;
    const mango_idx rank = gpl_rank(o, rng);
    const float *parent = p->gp.X + p->order[rank] * p->dim;
    const int way = gpl_ways(rng);
    const double swell = mgi_opt_real(o, "swell");
    mango_idx c = gpl_class(p, parent);
    double to = 0.0;
    memcpy(x, way == MGI_GPL_MEAN ? p->middle : parent, (size_t)p->d * sizeof *x);
    p->way[j] = (unsigned char)gpl_move(o, rng, way, rank, x);
    if (p->classes > 0 && mango_rng_uniform(rng) < mgi_opt_real(o, "move"))
        c = mango_rng_int(rng, p->classes);
    if (way != MGI_GPL_FRESH && swell > 0.0 && p->norm > 0.0)
        to = gpl_norm(p, parent) * mgi_exp(swell * mango_rng_normal(rng));
    mgi_gpl_class_set(p, c, x);
    mgi_gpl_finish(o, to, x);
}

/* Candidate j becomes one of the best in another class: what that class does with a
 * latent which is good here. Else the first classes that did well would be the last. */
MGI_FN void mgi_gpl_swap(const mango_opt *o, mango_rng *rng, mango_idx j)
{
    mgi_gpl *p = o->state;
    float *x = p->x + j * p->dim;
    const float *parent = gpl_parent(o, rng);
    const mango_idx other = 1 + mango_rng_int(rng, p->classes - 1);
    memcpy(x, parent, (size_t)p->d * sizeof *x);
    mgi_gpl_class_set(p, (gpl_class(p, parent) + other) % p->classes, x);
    mgi_gpl_finish(o, 0.0, x);
    mgi_gp_predict(&p->gp, 1, x, p->mean + j, p->sd + j);
    p->sd[j] = sqrt(p->sd[j]);
    p->way[j] = MGI_GPL_SWAP;
}

/* ---- the model ------------------------------------------------------------- */

static const mgi_gp_rule gpl_rule[] = {
    {1, 0, 1, 0.1},    {1, 0, 1, 0.4},    {1, 0, 1, 1.5},
    {0.5, 1, 0.5, 0.1}, {0.5, 1, 0.5, 0.4}, {0.5, 1, 0.5, 1.5},
    {0.5, 1, 1, 0.1},  {0.5, 1, 1, 0.4},  {0.5, 1, 1, 1.5},
    {0, 1, 0.5, 0.1},  {0, 1, 0.5, 0.4},  {0, 1, 0.5, 1.5},
    {0, 1, 1, 0.1},    {0, 1, 1, 0.4},    {0, 1, 1, 1.5},
};

/* Each point's variance in units of the scores: that of one presentation, the mean of
 * what was told, over its presentations. */
static void gpl_noises(mgi_gpl *p)
{
    const mango_idx n = p->gp.n;
    double one = 0.0, two = 0.0, var = 0.0, known = 0.0;
    for (mango_idx i = 0; i < n; i++) {
        one += p->y[i];
        two += p->y[i] * p->y[i];
        if (!mgi_is_nan(p->var[i])) {
            var += p->var[i];
            known += 1.0;
        }
    }
    const double spread = two / (double)n - one * one / ((double)n * (double)n);
    const double each = known > 0.0 && spread > 0.0 ? var / known / spread : 0.0;
    for (mango_idx i = 0; i < n; i++)
        p->rank[i] = MGI_MIN(each, 100.0) / p->n[i];
    mgi_gp_noise(&p->gp, p->rank);
}

/* Scores, rule, and who are parents: under noise those of the highest posterior mean,
 * y - N alpha, not the luckiest. */
static void gpl_model(const mango_opt *o)
{
    mgi_gpl *p = o->state;
    const mango_idx n = p->gp.n;
    mgi_scores(n, p->y, p->tie, p->order, p->score);
    mgi_gp_targets(&p->gp, p->score);
    if (o->facts.noisy)
        gpl_noises(p);
    if (n >= p->next) {
        mgi_gp_choose(&p->gp, MGI_COUNT(gpl_rule), gpl_rule);
        p->next = n + n / 2;
    }
    if (!o->facts.noisy)
        return;
    mgi_gp_evidence(&p->gp);
    for (mango_idx i = 0; i < n; i++)
        p->rank[i] = p->score[i] -
                     (p->gp.rule.noise + p->gp.noise[i]) * p->gp.alpha[i];
    mgi_order(n, p->rank, NULL, p->order);
}

static void gpl_middle(const mango_opt *o)
{
    mgi_gpl *p = o->state;
    const mango_idx E = MGI_MIN(mgi_opt_int(o, "elite"), p->gp.n);
    memset(p->middle, 0, (size_t)p->d * sizeof *p->middle);
    p->grown = 0.0;
    for (mango_idx i = 0; i < E; i++)
        p->grown += gpl_norm(p, p->gp.X + p->order[i] * p->dim);
    p->grown *= mgi_opt_real(o, "grow") / (double)E;
    for (mango_idx i = 0; i < E; i++)
        for (mango_idx j = 0; j < p->d; j++)
            p->middle[j] += p->gp.X[p->order[i] * p->dim + j] / (float)E;
}

/* The model's slope, in z, at the best. */
static void gpl_slopes(mgi_gpl *p)
{
    for (mango_idx i = 0; i < MGI_GPL_SLOPES; i++) {
        float *to = p->slope + i * p->dim;
        mgi_gp_slope(&p->gp, p->order[i % p->gp.n], to);
        const double norm = gpl_norm(p, to);
        for (mango_idx j = 0; j < p->d; j++)
            to[j] = norm > 1e-12 ? (float)((double)to[j] / norm) : 0.0f;
    }
}

MGI_FN void mgi_gpl_pool(const mango_opt *o)
{
    mgi_gpl *p = o->state;
    if (p->stale) {
        gpl_model(o);
        gpl_middle(o);
        gpl_slopes(p);
    }
    for (mango_idx j = 0; j < p->pool; j++) {
        mango_rng rng;
        mango_rng_init(&rng, o->seed, GPL_RNG_POOL, p->pools * (uint64_t)p->pool + (uint64_t)j);
        gpl_candidate(o, &rng, j);
        p->used[j] = 0;
    }
    mgi_gp_predict(&p->gp, p->pool, p->x, p->mean, p->sd);
    for (mango_idx j = 0; j < p->pool; j++)
        p->sd[j] = sqrt(p->sd[j]);
    p->left = p->pool;
    p->pools++;
    p->stale = 0;
}

#undef GPL_RNG_POOL

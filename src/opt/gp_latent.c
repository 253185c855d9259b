/* gp_latent.c - latents by a Gaussian process: candidates around the best, screened by a
 * surrogate on z and, where the space has classes, on the class.
 *
 * x = (z, a e_c): z the latent, e_c one-hot of its class c, the place of the highest
 *     of the modes that name it                                                     (1)
 * y = normal scores of the values; f ~ GP (gp.h), its setting by evidence
 * start: `start` draws z ~ radius exp(vary U(-1,1)) N(0,I), or reference codes, the
 *     classes in turn; more of them while all values told are equal                 (2)
 * then, for each batch, a pool of candidates; with parents p, q, .. drawn from the best
 * E by exponential ranks, m the mean of the E, g ~ N(0,I), s log-uniform, h the slope of
 * the model's mean at a parent, of length sqrt(d), c uniform in [.2, 1]:
 *     fresh      (2)                 jitter    p + s g, all or some of its modes
 *     cross      modes of p or q     differ    p + s (q - q')
 *     mean       m + s g             climb     p or m + s (c h + sqrt(1 - c^2) g)
 * each scaled to a norm about the parent's, |p| exp(swell N(0,1)), and held within `norm`
 * sqrt(d) or `grow` times the mean norm of the E; its class the parent's but for some  (3)
 * proposal = argmax mean(x) + b sd(x), b = beta Exp(1); a share of them at random, or a
 *     p moved into another class                                                    (4)
 * The class changes by swapping the highest of its modes into the place c. Steps make a
 * norm grow by chance; scaled so, it grows only where larger norms are better.
 * Under noise parents are ranked by the model's mean at them, not by what was told.
 * Spaces without a prior: levels become z in [-sqrt 3, sqrt 3], draws are uniform and
 * norms free.
 * Sources: (4) Srinivas, Krause, Kakade, Seeger, "Gaussian process optimization in the
 * bandit setting", 2010, its weight drawn at random; (3) the operators of evolution
 * strategies and of differential evolution (Storn, Price 1997), screened by a surrogate as
 * in Jin, "Surrogate-assisted evolutionary computation", 2011.
 * SPDX-License-Identifier: MIT */
#include "../base/real.h"
#include "gp_latent.h"

#define GPL_RNG_PICK 0x47504c03u
#define GPL_RNG_NOISE 0x47504c04u
#define GPL_FLOATS (1 << 24) /* features kept, at most */
#define GPL_TRIES 8
#define GPL_EDGE 1.7320508075688772 /* sqrt 3: the uniform variable of variance 1 */

static const mango_opt_spec gpl_option[] = {
    {"k", "codes of one batch", MANGO_OPT_INT, 1, 1 << 20, 10, 0, NULL, NULL},
    {"start", "draws before the first model", MANGO_OPT_INT, 2, 1 << 20, 20, 0, NULL, NULL},
    {"pool", "candidates screened for a batch", MANGO_OPT_INT, 1, 1 << 16, 128, 0, NULL, NULL},
    {"points", "values the model keeps: the best and the newest", MANGO_OPT_INT, 8, 1 << 13,
     200, 0, NULL, NULL},
    {"radius", "standard deviation of the first draws", MANGO_OPT_REAL, 0, 100, 1.2, 1, NULL,
     NULL},
    {"vary", "how far it varies from draw to draw, log", MANGO_OPT_REAL, 0, 2, 0.4, 0, NULL,
     NULL},
    {"norm", "largest norm over sqrt(d); 0: free", MANGO_OPT_REAL, 0, 100, 1.77, 0, NULL, NULL},
    {"swell", "spread of a candidate's norm about its parent's, log; 0: any", MANGO_OPT_REAL, 0,
     1, 0.08, 0, NULL, NULL},
    {"grow", "largest norm, in mean norms of the elite, where that is more", MANGO_OPT_REAL, 0,
     10, 1.15, 0, NULL, NULL},
    {"climb", "share of jittered candidates that go up the model's slope", MANGO_OPT_REAL, 0, 1,
     0.5, 0, NULL, NULL},
    {"elite", "best codes that are parents", MANGO_OPT_INT, 1, 1 << 13, 15, 0, NULL, NULL},
    {"step", "largest step", MANGO_OPT_REAL, 0, 10, 0.8, 1, NULL, NULL},
    {"least", "smallest step", MANGO_OPT_REAL, 0, 10, 0.12, 1, NULL, "step"},
    {"beta", "optimism of the screening", MANGO_OPT_REAL, 0, 100, 1.2, 0, NULL, NULL},
    {"random", "share of a batch that is not screened", MANGO_OPT_REAL, 0, 1, 0.1, 0, NULL,
     NULL},
    {"classes", "use the modes that name a class", MANGO_OPT_FLAG, 0, 1, 1, 0, NULL, NULL},
    {"move", "share of candidates of another class than the parent's", MANGO_OPT_REAL, 0, 1,
     0.08, 0, NULL, NULL},
    {"swap", "of those not screened, share of the best in another class", MANGO_OPT_REAL, 0, 1,
     0.7, 0, NULL, NULL},
    {"onehot", "a of (1), times sqrt(d)", MANGO_OPT_REAL, 0, 10, 1, 0, NULL, NULL},
};

static const char *const gpl_way[MGI_GPL_WAYS] = {"first draws", "fresh", "jitter",
                                                  "cross", "differ", "mean", "climb",
                                                  "another class"};

/* ---- ask --------------------------------------------------------------- */

/* The code of x as a number that tells codes apart. */
static uint64_t gpl_key(mango_idx d, const mango_idx *I)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (mango_idx j = 0; j < d; j++) {
        h = (h ^ (uint64_t)I[j]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

static void gpl_code(const mango_opt *o, const float *x, mango_idx *I)
{
    for (mango_idx j = 0; j < o->d; j++)
        I[j] = mgi_gpl_level(o, j, x[j]);
}

/* The row of a code that was told; -1: none. */
static mango_idx gpl_find(const mgi_gpl *p, uint64_t key)
{
    for (mango_idx i = 0; i < p->gp.n; i++)
        if (p->key[i] == key)
            return i;
    return -1;
}

/* (4) among what is left of the pool; u: choose at random by it, < 0: not. */
static mango_idx gpl_best(const mgi_gpl *p, double beta, double u)
{
    mango_idx best = -1, skip = u < 0.0 ? 0 : (mango_idx)(u * (double)p->left);
    for (mango_idx j = 0; j < p->pool; j++) {
        if (p->used[j])
            continue;
        if (u >= 0.0 && skip-- == 0)
            return j;
        if (u < 0.0 && (best < 0 || p->mean[j] + beta * p->sd[j] >
                                        p->mean[best] + beta * p->sd[best]))
            best = j;
    }
    return best;
}

/* One proposal from the pool that was not told before; false: there is none. */
static int gpl_pick(const mango_opt *o, mango_rng *rng, mgi_gpl_why *why, mango_idx *I)
{
    mgi_gpl *p = o->state;
    const double beta = -mgi_log(1.0 - mango_rng_uniform(rng)) * mgi_opt_real(o, "beta");
    const int random = mango_rng_uniform(rng) < mgi_opt_real(o, "random");
    while (p->left > 0) {
        const mango_idx j = gpl_best(p, beta, random ? mango_rng_uniform(rng) : -1.0);
        if (random && p->classes > 0 && mango_rng_uniform(rng) < mgi_opt_real(o, "swap"))
            mgi_gpl_swap(o, rng, j);
        p->used[j] = 1;
        p->left--;
        gpl_code(o, p->x + j * p->dim, I);
        const mgi_gpl_why w = {p->way[j], p->mean[j], p->sd[j], random ? -1.0 : beta};
        *why = w;
        if (o->facts.noisy || gpl_find(p, gpl_key(o->d, I)) < 0)
            return 1;
    }
    return 0;
}

/* (2), of class `number` in turn, or a reference code. */
static void gpl_first(const mango_opt *o, mango_rng *rng, mango_idx number, mango_idx *I)
{
    mgi_gpl *p = o->state;
    float *x = p->x;
    mgi_gpl_draw(o, rng, x);
    if (p->classes > 0)
        mgi_gpl_class_set(p, number % p->classes, x);
    mgi_gpl_finish(o, 0.0, x);
    gpl_code(o, x, I);
    p->stale = 1; /* the pool lent its first row */
}

/* Where the pools hold only what is known: any code, a new one if a few tries find it. */
static void gpl_uniform(const mango_opt *o, mango_rng *rng, mango_idx *I)
{
    const mgi_gpl *p = o->state;
    for (int tries = 0; tries < GPL_TRIES; tries++) {
        for (mango_idx j = 0; j < o->d; j++)
            I[j] = mango_rng_int(rng, o->n[j]);
        if (gpl_find(p, gpl_key(o->d, I)) < 0)
            return;
    }
}

static mango_status gpl_ask(mango_opt *o, mango_idx cap, mango_idx *K, mango_idx *I)
{
    mgi_gpl *p = o->state;
    const mango_idx start = mgi_opt_int(o, "start");
    *K = mgi_opt_wanted(o->batch, cap, *K);
    for (mango_idx k = 0; k < *K; k++, p->drawn++) {
        mgi_gpl_why why = {MGI_GPL_DRAW, 0.0, 0.0, -1.0};
        mango_rng rng;
        int picked = 0, i = 0;
        mango_rng_init(&rng, o->seed, GPL_RNG_PICK, o->asked + (uint64_t)k);
        for (; i < 2 && !picked && p->drawn >= start && p->varied; i++) {
            if (p->stale || p->left == 0)
                mgi_gpl_pool(o);
            picked = gpl_pick(o, &rng, &why, I + k * o->d);
        }
        if (!picked && i > 0)
            gpl_uniform(o, &rng, I + k * o->d);
        else if (!picked)
            gpl_first(o, &rng, p->drawn, I + k * o->d);
        if (k < MGI_GPL_WHYS)
            p->why[k] = why;
    }
    return MANGO_OK;
}

/* ---- tell ------------------------------------------------------------------- */

/* Room for one more: the better half stays, and of the rest the newer half. */
static void gpl_room(mgi_gpl *p)
{
    const mango_idx n = p->gp.n, best = n / 2, newest = n / 4;
    mango_idx m = 0, left = n - best - newest;
    if (n < p->room)
        return;
    mgi_order(n, p->y, p->tie, p->order);
    for (mango_idx i = 0; i < n; i++)
        p->row[p->order[i]] = i < best;
    for (mango_idx i = 0; i < n; i++) {
        if (!p->row[i] && left > 0) {
            left--;
            continue;
        }
        p->order[m++] = i;
    }
    for (mango_idx i = 0; i < m; i++) {
        const mango_idx from = p->order[i];
        p->y[i] = p->y[from];
        p->tie[i] = p->tie[from];
        p->var[i] = p->var[from];
        p->n[i] = p->n[from];
        p->key[i] = p->key[from];
    }
    mgi_gp_keep(&p->gp, m, p->order);
}

static void gpl_take(mango_opt *o, const mango_told *t)
{
    mgi_gpl *p = o->state;
    const uint64_t key = gpl_key(o->d, t->I);
    mango_idx i = gpl_find(p, key);
    if (i < 0) {
        float *x = p->x;
        gpl_room(p);
        i = p->gp.n;
        for (mango_idx j = 0; j < o->d; j++)
            x[j] = mgi_gpl_value(p, j, t->I[j]);
        mgi_gpl_features(o, x);
        mgi_gp_add(&p->gp, 1, x, NULL);
        p->key[i] = key;
    }
    p->y[i] = t->y;
    p->tie[i] = t->tie;
    p->varied |= p->y[i] != p->y[0] || p->tie[i] != p->tie[0];
    p->var[i] = t->var;
    p->n[i] = (double)t->n;
    p->stale = 1;
}

static void gpl_tell(mango_opt *o, const mgi_tells *t)
{
    for (mango_idx k = 0; k < t->n; k++) {
        const mango_told row = mgi_told_at(t, k);
        if (!mgi_is_nan(row.y))
            gpl_take(o, &row);
    }
}

static void gpl_restart(mango_opt *o, uint64_t epoch)
{
    mgi_gpl *p = o->state;
    (void)epoch; /* the streams of the proposals and pools go on */
    mgi_gp_keep(&p->gp, 0, NULL);
    p->drawn = p->left = p->next = 0;
    p->varied = 0;
}

/* ---- for people --------------------------------------------------------------- */

static void gpl_explain(const mango_opt *o, mgi_str *s)
{
    const mgi_gpl *p = o->state;
    const mgi_gp_rule *r = &p->gp.rule;
    mgi_str_printf(s,
                   "surrogate on %td values of %td features: linear %.2g, rbf %.2g of "
                   "length %.2g, noise %.2g\n",
                   p->gp.n, p->dim, r->lin, r->rbf, r->length, r->noise);
}

static void gpl_why_text(const mango_opt *o, mango_idx k, mgi_str *s)
{
    const mgi_gpl *p = o->state;
    if (k >= MGI_GPL_WHYS)
        return;
    const mgi_gpl_why *w = p->why + k;
    mgi_str_puts(s, gpl_way[w->way]);
    if (w->way != MGI_GPL_DRAW)
        mgi_str_printf(s, ", expected %.2f +- %.2f", w->mean, w->sd);
    if (w->way != MGI_GPL_DRAW && w->beta < 0.0)
        mgi_str_puts(s, ", by chance");
}

/* ---- life ------------------------------------------------------------------- */

static void gpl_pieces(mgi_gpl *p, int take)
{
#define GPL_PIECE(at, count)                                                             \
    do {                                                                                 \
        if (take)                                                                        \
            p->at = mgi_arena_take(&p->arena, (count), sizeof *p->at);                   \
        else                                                                             \
            mgi_arena_plan(&p->arena, (count), sizeof *p->at);                           \
    } while (0)
    const mango_idx room = p->room, pool = p->pool;
    GPL_PIECE(base, p->d);
    GPL_PIECE(unit, p->d);
    GPL_PIECE(middle, p->d);
    GPL_PIECE(y, room);
    GPL_PIECE(tie, room);
    GPL_PIECE(var, room);
    GPL_PIECE(n, room);
    GPL_PIECE(key, room);
    GPL_PIECE(score, room);
    GPL_PIECE(rank, room);
    GPL_PIECE(order, room);
    GPL_PIECE(row, room);
    GPL_PIECE(noise, MGI_GPL_NOISE);
    GPL_PIECE(x, pool * p->dim);
    GPL_PIECE(slope, MGI_GPL_SLOPES * p->dim);
    GPL_PIECE(mean, pool);
    GPL_PIECE(sd, pool);
    GPL_PIECE(way, pool);
    GPL_PIECE(used, pool);
#undef GPL_PIECE
}

/* What a level stands for. */
static void gpl_levels(const mango_opt *o)
{
    mgi_gpl *p = o->state;
    const int prior = o->facts.prior == MANGO_PRIOR_NORMAL;
    const double lo = prior ? o->facts.prior_lo : -GPL_EDGE;
    const double hi = prior ? o->facts.prior_hi : GPL_EDGE;
    for (mango_idx j = 0; j < p->d; j++) {
        p->base[j] = o->n[j] > 1 ? (float)lo : 0.0f;
        p->unit[j] = o->n[j] > 1 ? (float)((hi - lo) / (double)(o->n[j] - 1)) : 0.0f;
    }
    p->radius = prior ? mgi_opt_real(o, "radius") * sqrt((double)p->d) : 0.0;
    p->norm = prior ? mgi_opt_real(o, "norm") * sqrt((double)p->d) : 0.0;
}

static void gpl_noise_fill(const mango_opt *o)
{
    const mgi_gpl *p = o->state;
    mango_rng rng;
    mango_rng_init(&rng, o->seed, GPL_RNG_NOISE, 0);
    for (mango_idx i = 0; i < MGI_GPL_NOISE; i++)
        p->noise[i] = (float)mango_rng_normal(&rng);
}

/* Points and candidates are bounded by what their features take. */
static void gpl_sizes(const mango_opt *o)
{
    mgi_gpl *p = o->state;
    const int use = mgi_opt_int(o, "classes") != 0;
    p->d = o->d;
    p->first = o->facts.class_first;
    p->classes = use && o->facts.classes > 1 ? o->facts.classes : 0;
    p->dim = p->d + p->classes;
    p->room = MGI_MIN(mgi_opt_int(o, "points"), MGI_MAX(16, GPL_FLOATS / p->dim));
    p->pool = MGI_MIN(mgi_opt_int(o, "pool"), MGI_MAX(16, GPL_FLOATS / p->dim));
}

static void gpl_destroy(mango_opt *o)
{
    mgi_gpl *p = o->state;
    if (!p)
        return;
    mgi_gp_free(&p->gp);
    mgi_arena_free(&p->arena);
    mgi_del(&o->al, p, 1, sizeof *p);
}

static mango_status gpl_create(mango_opt *o, mango_err *err)
{
    mgi_gpl *p = mgi_new(&o->al, 1, sizeof *p);
    o->state = p;
    if (!p)
        return mgi_fail(err, MANGO_E_MEM, "gp-latent: out of memory");
    gpl_sizes(o);
    mgi_arena_init(&p->arena, &o->al);
    gpl_pieces(p, 0);
    if (mgi_arena_commit(&p->arena) < 0 ||
        mgi_gp_init(&p->gp, p->dim, p->room, &o->al) < 0)
        return mgi_fail(err, MANGO_E_MEM, "gp-latent: out of memory for %td modes", o->d);
    gpl_pieces(p, 1);
    gpl_levels(o);
    gpl_noise_fill(o);
    o->batch = mgi_opt_int(o, "k");
    o->elite = MGI_MIN(mgi_opt_int(o, "elite"), p->room);
    o->retell = o->ties = 1;
    return MANGO_OK;
}

MGI_FN const mgi_method *mgi_method_gp_latent(void)
{
    static const mgi_method method = {
        .name = "gp-latent",
        .option = gpl_option,
        .n_options = MGI_COUNT(gpl_option),
        .create = gpl_create,
        .ask = gpl_ask,
        .tell = gpl_tell,
        .restart = gpl_restart,
        .destroy = gpl_destroy,
        .explain = gpl_explain,
        .why = gpl_why_text,
    };
    return &method;
}

#undef GPL_RNG_PICK
#undef GPL_RNG_NOISE
#undef GPL_FLOATS
#undef GPL_TRIES
#undef GPL_EDGE
